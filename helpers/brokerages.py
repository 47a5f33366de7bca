"""What each brokerage can do, and what a contract costs there at most.

Order types are those that LEAN's brokerage model accepts (Common/Brokerages/*BrokerageModel.cs); `main.py` sets the
model, so a missing type is known before the first order.  The fee reserve is ours: one figure per contract and side
for all brokerages, above what each of them charges, because the size of a trade must not change with the fee schedule
of the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.ports import Capabilities, OrderType
from core.settings import Brokerage
from core.vocabulary import Instrument, Kind, Structure

_OPTIONS_AND_SHARES: Final = frozenset({Kind.SHARE.value, Kind.OPTION.value})

CAPABILITIES: Final[Mapping[Brokerage, Capabilities]] = MappingProxyType(
    {
        Brokerage.INTERACTIVE_BROKERS: Capabilities(
            "Interactive Brokers",
            frozenset({OrderType.COMBO_LIMIT, OrderType.LIMIT, OrderType.MARKET, OrderType.MARKET_ON_CLOSE}),
            _OPTIONS_AND_SHARES,
        ),
        Brokerage.TASTYTRADE: Capabilities(
            "Tastytrade",
            frozenset({OrderType.COMBO_LIMIT, OrderType.LIMIT, OrderType.MARKET}),
            _OPTIONS_AND_SHARES,
        ),
        Brokerage.SCHWAB: Capabilities(
            "Charles Schwab",
            frozenset({OrderType.COMBO_LIMIT, OrderType.LIMIT, OrderType.MARKET, OrderType.MARKET_ON_CLOSE}),
            _OPTIONS_AND_SHARES,
        ),
        Brokerage.DEFAULT: Capabilities(
            "LEAN's default model",
            frozenset({OrderType.COMBO_LIMIT, OrderType.LIMIT, OrderType.MARKET, OrderType.MARKET_ON_CLOSE}),
            _OPTIONS_AND_SHARES,
        ),
    }
)

INDEX_OPTION_FEE_USD: Final = 1.31
ETF_OPTION_FEE_USD: Final = 0.70
FUTURE_OPTION_FEE_USD: Final = 2.47

FEE_RESERVE_USD: Final[Mapping[str, float]] = MappingProxyType(
    {
        "SPX": INDEX_OPTION_FEE_USD,
        "SPXW": INDEX_OPTION_FEE_USD,
        "SPY": ETF_OPTION_FEE_USD,
        "IWM": ETF_OPTION_FEE_USD,
        "XLE": ETF_OPTION_FEE_USD,
        "GDX": ETF_OPTION_FEE_USD,
        "TLT": ETF_OPTION_FEE_USD,
        "GLD": ETF_OPTION_FEE_USD,
        "ES": FUTURE_OPTION_FEE_USD,
    }
)
"""USD per contract and side by option root.  Source: strategies.md 0."""

_SHARE_FEE_U6: Final[Mapping[Brokerage, tuple[int, int]]] = MappingProxyType(
    {
        Brokerage.INTERACTIVE_BROKERS: (1_000_000, 5_000),
        Brokerage.TASTYTRADE: (0, 0),
        Brokerage.SCHWAB: (0, 0),
        Brokerage.DEFAULT: (1_000_000, 5_000),
    }
)
"""Micro-dollars of one order of shares: at least, and per share; what a brokerage charges is never more."""


def share_fee_bound_u6(brokerage: Brokerage, qty: int) -> int:
    """Return the most that an order of qty shares costs in fees, micro-dollars."""
    least, per_share = _SHARE_FEE_U6[brokerage]
    return max(least, per_share * abs(qty)) if qty else 0


def missing_capabilities(brokerage: Brokerage, needed: frozenset[OrderType]) -> tuple[str, ...]:
    """Return the order types that a strategy needs and this brokerage cannot do, sorted; empty when it can start
    there.
    """
    return tuple(sorted(kind.value for kind in needed - CAPABILITIES[brokerage].order_types))


def fee_reserve_usd(instrument: Instrument) -> float:
    """Return the fee reserve in USD of one option contract, one side.

    Raises ValueError for a root that the table does not have: an unknown fee is not a fee of 0.
    """
    reserve = FEE_RESERVE_USD.get(instrument.root) if instrument.kind is Kind.OPTION else None
    if reserve is None:
        known = ", ".join(FEE_RESERVE_USD)
        raise ValueError(
            f"fee reserve of {instrument.symbol!r}: expected an option of {known}. Add its root to FEE_RESERVE_USD."
        )
    return reserve


def round_trip_fee_usd(structure: Structure) -> float:
    """Return F(n) of one unit: opening and closing every contract of it, in USD."""
    return sum(2 * abs(leg.ratio) * fee_reserve_usd(leg.instrument) for leg in structure.legs)
