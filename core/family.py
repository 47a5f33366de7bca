"""The ETF family in words: sides, leverage, the decision of one bar, and what a decision looks at.

The registry is `core.vocabulary.FAMILY`; everything here is read from it, and nothing else lists the symbols.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.market import MISSING_QUOTE, Quote
from core.reasons import Reason
from core.values import value
from core.vocabulary import FAMILY, FamilyTarget

BOOK: Final = "etf_rotation"
"""The book's name, and its strategy's."""


class Side(StrEnum):
    """What the shares earn on: a rise of the index, or its fall."""

    LONG = "LONG"
    INVERSE = "INVERSE"

    @property
    def opposite(self) -> Side:
        return Side.INVERSE if self is Side.LONG else Side.LONG


_SIDE: Final = MappingProxyType({symbol: Side(side) for side, members in FAMILY.items() for symbol in members})
_LEVERAGE: Final = MappingProxyType({symbol: times for members in FAMILY.values() for symbol, times in members.items()})
_TARGET: Final = MappingProxyType({(_SIDE[symbol], times): FamilyTarget(symbol) for symbol, times in _LEVERAGE.items()})

SYMBOLS: Final[tuple[str, ...]] = tuple(_SIDE)
"""All family symbols, in the registry's order."""

SIGNAL_SYMBOL: Final = _TARGET[(Side.LONG, 1)].value
"""The unleveraged long share: its minute bars are what the signal reads."""


def side_of(symbol: str) -> Side | None:
    """Return the side of a symbol or target, None for CASH and for what is not of the family."""
    return _SIDE.get(symbol)


def leverage_of(symbol: str) -> int:
    """Return how many times the index a symbol moves, without sign.  Raises KeyError for what is not of the family."""
    return _LEVERAGE[symbol]


def target_on(side: Side, leverage: int) -> FamilyTarget:
    """Return the member of a side with a leverage.  Raises KeyError where the registry has none."""
    return _TARGET[(side, leverage)]


LOWEST: Final = min(_LEVERAGE.values())
HIGHEST: Final = max(_LEVERAGE.values())
"""The two leverages of each side."""


@value
class Decision:
    """The target of one bar, and why it is that."""

    target: FamilyTarget
    reason: Reason


@value
class Trail:
    """How long the signal has been saying the same: bars in a row on one side, bars in a row without an answer."""

    side: Side | None = None
    bars: int = 0
    bars_not_ready: int = 0

    def after(self, side: Side | None, *, ready: bool) -> Trail:
        """Return the trail with one bar more."""
        if not ready:
            return Trail(None, 0, self.bars_not_ready + 1)
        if side is None:
            return _NO_TRAIL
        return Trail(side, self.bars + 1 if side is self.side else 1)


_NO_TRAIL: Final = Trail()


@value
class FamilyView:
    """What a decision looks at besides the reading: the fold of the ledger, and VIX.

    held comes from fills, never from the last decision.  bars_held counts session bars from the first fill of what is
    held; bars_since_close those since the fill that reached CASH, None before the first one of this session.
    switched_side is the side on which the last close was half of a switch.  vix is None unless it is GOOD.
    """

    held: FamilyTarget = FamilyTarget.CASH
    bars_held: int = 0
    bars_since_close: int | None = None
    switched_side: Side | None = None
    opens_in_session: int = 0
    trail: Trail = _NO_TRAIL
    vix: float | None = None
    loss_limit_reached: bool = False


@value
class SizingFacts:
    """What one step knows about the money and the market; USD, None = unknown.

    equity is the equity mark; usable cash what may be spent (settled cash in a cash account, all of it in a margin
    account), total cash the same with what has not settled; reserved the worst cost of buying orders at work, all
    books; buying power as the margin manager gives it; stress_shares the shares that every shock leaves room for;
    median_volume that of the symbol's minutes; held the shares of the target that are held; scale that of the holding's
    opening, or of this step for a new one.
    """

    equity_usd: float | None
    usable_cash_usd: float | None
    total_cash_usd: float | None
    reserved_usd: float = 0.0
    buying_power_usd: float | None = None
    stress_shares: float = math.inf
    quote: Quote = MISSING_QUOTE
    median_volume: float | None = None
    held: int = 0
    scale: float = 1.0


@value
class SizeVerdict:
    """Shares to buy now at most at limit_price, or 0 and why; bounds in shares by name."""

    qty: int
    limit_price: float | None
    reason: Reason
    bounds: Mapping[str, int] = field(default_factory=dict)
    detail: Mapping[str, str | int | float] = field(default_factory=dict)


@value
class Standing:
    """What the principles look at.

    cash counts what is settled and what is not; quantities by family symbol, all books together; opening the symbols
    that openings at work may still bring; opens_sent and opens_filled those of this bar; working the family orders at
    work, whatever they are for; is_over tells that the session has ended long enough for everything to be gone.
    """

    cash_u6: int
    quantities: Mapping[str, int] = field(default_factory=dict)
    opening: frozenset[str] = frozenset()
    opens_sent: int = 0
    opens_filled: int = 0
    working: int = 0
    is_over: bool = False
