"""The price of a structure: its net quote, and the ladder along which an order walks from the passive to the natural
side.

Everything is net cash per unit in points: + received, - paid.  natural is what we would get (or pay) at once, passive
the other side of the net quote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.market import Quote, QuoteVerdict
from core.settings import OrderSettings
from core.vocabulary import Ladder, Structure
from helpers.tick_grid import in_our_favour

QuoteOf = Callable[[str], Quote]

_USABLE = frozenset({QuoteVerdict.GOOD, QuoteVerdict.WIDE, QuoteVerdict.LOCKED})


@dataclass(frozen=True, slots=True)
class NetQuote:
    """Net cash per unit, points: natural <= mid <= passive on an ordinary market."""

    natural: float
    passive: float

    @property
    def spread(self) -> float:
        return self.passive - self.natural

    @property
    def mid(self) -> float:
        return (self.natural + self.passive) / 2

    @property
    def half(self) -> float:
        return self.spread / 2

    def at(self, k: float) -> float:
        """Return the net cash k of the way from the passive to the natural side."""
        return self.passive - k * self.spread


def net_quote(structure: Structure, quote_of: QuoteOf) -> NetQuote | None:
    """Return the net quote of one unit as it is traded, None where a side that is needed is absent.

    A bought leg without a bid counts as 0 on the passive side (nobody pays for it); every other absent side is unknown.
    """
    natural = passive = 0.0
    for leg in structure.legs:
        quote = quote_of(leg.symbol)
        if quote.ask is None:
            return None
        if leg.ratio > 0:
            natural -= leg.ratio * quote.ask
            passive -= leg.ratio * (quote.bid or 0.0)
        else:
            if quote.bid is None:
                return None
            natural -= leg.ratio * quote.bid
            passive -= leg.ratio * quote.ask
    return NetQuote(natural, passive)


def all_good(structure: Structure, quote_of: QuoteOf) -> bool:
    """Every leg GOOD, except that a bought leg may be without a bid: what an opening needs."""
    return all(
        (verdict := quote_of(leg.symbol).verdict) is QuoteVerdict.GOOD
        or (leg.ratio > 0 and verdict is QuoteVerdict.NO_BID)
        for leg in structure.legs
    )


def usable(quote: Quote) -> bool:
    """Whether a present quote may price an exit (a stale, missing or crossed one may not; the last good one does)."""
    return quote.verdict in _USABLE or (quote.verdict is QuoteVerdict.NO_BID and quote.ask is not None)


@dataclass(frozen=True, slots=True)
class PriceLadder:
    """The prices of one order ladder: shares of the net spread, then ticks beyond natural; the last one is held."""

    shares: tuple[float, ...]
    ticks_beyond: tuple[int, ...]

    @staticmethod
    def of(ladder: Ladder, settings: OrderSettings) -> PriceLadder:
        if ladder is Ladder.ENTRY:
            return PriceLadder((settings.entry_k1, settings.entry_k2, settings.entry_k3, settings.entry_k4), ())
        if ladder is Ladder.TARGET:
            return PriceLadder((settings.exit_k1, settings.exit_k2, settings.exit_k3, settings.exit_k4), ())
        return PriceLadder((settings.urgent_k1, settings.urgent_k2), (1, 2, 4))

    @property
    def steps(self) -> int:
        return len(self.shares) + len(self.ticks_beyond)

    def cash(self, step: int, net: NetQuote, tick: float, floor: float | None = None) -> float | None:
        """Return the net cash of a step (beyond the last: the last), never below floor, on the tick grid in our
        favour; None where that is 0.
        """
        step = min(step, self.steps - 1)
        if step < len(self.shares):
            cash = net.at(self.shares[step])
        else:
            cash = net.natural - self.ticks_beyond[step - len(self.shares)] * tick
        if floor is not None:
            cash = max(cash, floor)
        cash = in_our_favour(cash, tick)
        return None if cash == 0 else cash
