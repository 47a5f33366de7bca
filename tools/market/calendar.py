"""Sessions of the New York exchanges, 1998 to 2030, without a calendar library at run time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, timedelta
from functools import cache

from tools.market.calendar_table import CLOSED, EARLY

FULL_DAY_MINUTES = 390
HALF_DAY_MINUTES = 210
FRIDAY = 4


def _dates(table: dict[int, str]) -> frozenset[date]:
    return frozenset(date(year, int(day[:2]), int(day[2:])) for year, days in table.items() for day in days.split())


@cache
def holidays() -> frozenset[date]:
    """Return the closed weekdays."""
    return _dates(CLOSED)


@cache
def early_closes() -> frozenset[date]:
    """Return the sessions that end at 13:00 New York."""
    return _dates(EARLY)


@cache
def all_sessions() -> tuple[date, ...]:
    """Return every session of the table, oldest first."""
    closed = holidays()
    first = date(min(CLOSED), 1, 1)
    days = (first + timedelta(offset) for offset in range((date(max(CLOSED) + 1, 1, 1) - first).days))
    return tuple(day for day in days if day.weekday() <= FRIDAY and day not in closed)


@cache
def _known() -> frozenset[date]:
    return frozenset(all_sessions())


def is_session(day: date) -> bool:
    """Return whether the exchanges open that day."""
    return day in _known()


def at_or_after(day: date) -> date:
    """Return the day itself or the next session."""
    sessions = all_sessions()
    return sessions[bisect_left(sessions, day)]


def after(day: date) -> date:
    """Return the first session later than the day."""
    sessions = all_sessions()
    return sessions[bisect_right(sessions, day)]


def before(day: date) -> date:
    """Return the last session earlier than the day."""
    sessions = all_sessions()
    return sessions[bisect_left(sessions, day) - 1]


def between(first: date, last: date) -> tuple[date, ...]:
    """Return the sessions from first to last, both included."""
    sessions = all_sessions()
    return sessions[bisect_left(sessions, first) : bisect_right(sessions, last)]


def count_from(first: date, count: int) -> tuple[date, ...]:
    """Return so many sessions from the first one at or after the day; fewer where the table ends."""
    sessions = all_sessions()
    start = bisect_left(sessions, first)
    return sessions[start : start + count]


def minutes(day: date) -> int:
    """Return the length of the session in minutes."""
    return HALF_DAY_MINUTES if day in early_closes() else FULL_DAY_MINUTES


def is_last_of_week(day: date) -> bool:
    """Return whether no later session lies in the same week."""
    return after(day).isocalendar()[:2] != day.isocalendar()[:2]


def week_expiry(day: date) -> date:
    """Return the last session of the first week that ends after the day."""
    friday = day + timedelta((FRIDAY - day.weekday()) % 7)
    expiry = before(friday + timedelta(1))
    if expiry > day:
        return expiry
    return before(friday + timedelta(8))


def monthly_expiry(year: int, month: int) -> date:
    """Return the third Friday of the month, or the session before it where that is a holiday."""
    first = date(year, month, 1)
    third_friday = first + timedelta((FRIDAY - first.weekday()) % 7 + 14)
    return before(third_friday + timedelta(1))
