"""Synthetic LEAN-format markets: what to make (`MarketSpec`), making it (`generate`), and judging any folder (`check`).

A market is made from a seed, so every figure that came from one can be had again by anybody.  What it is and what it is
not is told in docs/synthetic-market.md: it proves machinery, it knows nothing of edge.
"""

from tools.market.check import DEFAULT_NEEDS, DataGap, Need, check, needs_of
from tools.market.generator import cached_market, generate
from tools.market.spec import GENERATOR_VERSION, MarketManifest, MarketSpec, cache_key

__all__ = [
    "DEFAULT_NEEDS",
    "GENERATOR_VERSION",
    "DataGap",
    "MarketManifest",
    "MarketSpec",
    "Need",
    "cache_key",
    "cached_market",
    "check",
    "generate",
    "needs_of",
]
