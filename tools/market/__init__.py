"""Synthetic LEAN-format markets: what to make (`MarketSpec`), making it (`generator`), and judging a folder (`check`).

A market is made from a seed, so every figure that came from one can be had again by anybody.  What it is and what it is
not is told in docs/synthetic-market.md: it proves machinery, it knows nothing of edge.

Only what every start needs is imported here: a market that is there already is found without its generator.
"""

from tools.market.cache import cached_market
from tools.market.spec import GENERATOR_VERSION, MarketManifest, MarketSpec, cache_key

__all__ = ["GENERATOR_VERSION", "MarketManifest", "MarketSpec", "cache_key", "cached_market"]
