"""Equity at the end of each day, as the breaker's baselines and the account phase read it."""

from __future__ import annotations

from bisect import bisect_left, insort
from datetime import date

from core.trades import ClosingMark


class ClosingMarks:
    """The last mark of each day; the closing mark of its session is the last one."""

    def __init__(self) -> None:
        self._marks: dict[date, ClosingMark] = {}
        self._days: list[date] = []

    def keep(self, day: date, equity_u6: int, flows_u6: int) -> None:
        if day not in self._marks:
            insort(self._days, day)
        self._marks[day] = ClosingMark(day, equity_u6, flows_u6)

    def before(self, day: date) -> ClosingMark | None:
        """Return the last mark before a day, None where nothing was marked."""
        place = bisect_left(self._days, day)
        return self._marks[self._days[place - 1]] if place else None
