"""The ETF book as LEAN charts it: exposure of both sides, cash, and openings per bar.

Points are made when something has moved and at each close.  LEAN keeps some thousand points of a series and drops the
rest in silence, so a long run gives each session its share of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from core.books import Books
from core.family import Side, leverage_of, side_of
from core.family_fold import FamilyFold
from core.market import MarketSnapshot
from core.vocabulary import U6

CHART: Final = "ETF rotation"
POINTS: Final = 3_900
"""Of 4,000 that LEAN keeps of a series."""


class FamilyChart:
    """Looks at every step; has a point of every series when there is something to see."""

    def __init__(self, books: Books, fold: FamilyFold, *, sessions: int) -> None:
        """sessions: how many the run has; each gets the same share of the points."""
        self._books = books
        self._fold = fold
        self._share = max(1, POINTS // max(1, sessions))
        self._day: date | None = None
        self._left = 0
        self._seen = books.movements
        self._closed = False

    def points(self, snapshot: MarketSnapshot) -> Sequence[tuple[str, str, float]]:
        """Return (chart, series, value), nothing in most steps; exposure is leverage times value, in % of equity, of
        the inverse side below zero.
        """
        session = snapshot.session
        if session.day != self._day:
            self._day, self._left, self._closed = session.day, self._share, False
        at_close = snapshot.time >= session.close and not self._closed
        moved, self._seen = self._seen != self._books.movements, self._books.movements
        # One point of each session is kept for its close.
        if not (at_close or (moved and self._left > 1)) or not snapshot.equity_usd:
            return ()
        self._closed, self._left = at_close, self._left - 1
        equity, marks = snapshot.equity_usd, {} if snapshot.equity is None else snapshot.equity.marks
        exposure = dict.fromkeys(Side, 0.0)
        for symbol, held in self._fold.shares().items():
            side = side_of(symbol)
            if side is not None and symbol in marks:
                exposure[side] += leverage_of(symbol) * held * marks[symbol].price / equity
        return (
            (CHART, "Long exposure %", round(100 * exposure[Side.LONG], 3)),
            (CHART, "Inverse exposure %", round(-100 * exposure[Side.INVERSE], 3)),
            (CHART, "Cash %", round(100 * self._books.cash_u6 / U6 / equity, 3)),
            (CHART, "Opens in the bar", float(self._fold.opens_sent_in(snapshot.time))),
        )
