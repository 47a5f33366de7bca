"""Sessions of the New York Stock Exchange by the exchange's own rules; the auditor's calendar.

Holidays follow Rule 7.2; closings that no rule foresees are listed.  Years from 1998 on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from audit.times import MINUTE, at_exchange

FIRST_YEAR: Final = 1998
_ONE: Final = timedelta(days=1)
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6

# Attacks of 2001, days of mourning, hurricane Sandy.
_CLOSED_TEXT: Final = (
    "2001-09-11 2001-09-12 2001-09-13 2001-09-14 2004-06-11 2007-01-02 2012-10-29 2012-10-30 2018-12-05 2025-01-09"
)
_CLOSED: Final = frozenset(map(date.fromisoformat, _CLOSED_TEXT.split()))
_SHORT: Final = frozenset({date(1999, 12, 31), date(2003, 12, 26)})


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day: its open and close in microseconds UTC."""

    day: date
    open_us: int
    close_us: int
    half_day: bool

    def is_open(self, us: int) -> bool:
        return self.open_us <= us <= self.close_us


@lru_cache(maxsize=4096)
def session_on(day: date) -> Session | None:
    """Return the session of a day, None where the exchange is closed. Raises ValueError before the calendar begins."""
    if day.year < FIRST_YEAR:
        raise ValueError(f"{day}: expected a date from {FIRST_YEAR} on, the calendar begins there")
    if day.weekday() >= _SATURDAY or day in _CLOSED or day in _holidays(day.year):
        return None
    half = day in _SHORT or day in _half_days(day.year)
    return Session(day, at_exchange(day, 9, 30), at_exchange(day, 13 if half else 16), half)


def session_after(day: date) -> Session:
    """Return the first session after a day."""
    while True:
        day += _ONE
        found = session_on(day)
        if found is not None:
            return found


def session_before(day: date) -> Session:
    """Return the last session before a day."""
    while True:
        day -= _ONE
        found = session_on(day)
        if found is not None:
            return found


def sessions(first: date, last: date) -> Iterator[Session]:
    """Yield the sessions from first to last, both included."""
    day = first
    while day <= last:
        found = session_on(day)
        if found is not None:
            yield found
        day += _ONE


def is_last_of_week(day: date) -> bool:
    """Tell whether no later session lies in the same week."""
    return session_after(day).day.isocalendar()[:2] != day.isocalendar()[:2]


def ordinal_in_month(day: date) -> int:
    """Return 1 for the first session of a month, 2 for the second ..."""
    return sum(1 for _ in sessions(day.replace(day=1), day))


def open_micros(first: int, last: int) -> int:
    """Return how much of a span the exchange was open, in microseconds."""
    from audit.times import day_of

    total = 0
    for session in sessions(day_of(first), day_of(last)):
        total += max(0, min(last, session.close_us) - max(first, session.open_us))
    return total


def after_open_time(start: int, span: int) -> int:
    """Return the moment at which the exchange has been open for span microseconds since start."""
    from audit.times import day_of

    day = day_of(start)
    found = session_on(day)
    session = found if found is not None and start < found.close_us else session_after(day)
    begin = max(start, session.open_us)
    while begin + span > session.close_us:
        span -= session.close_us - begin
        session = session_after(session.day)
        begin = session.open_us
    return begin + span


def minute_of_session(session: Session, us: int) -> int:
    """Return the number of the minute bar that holds a moment: 1 for the first, whose end is included."""
    return (us - session.open_us + MINUTE - 1) // MINUTE


@lru_cache(maxsize=128)
def _holidays(year: int) -> frozenset[date]:
    days = {
        _weekday(year, 1, _MONDAY, 3),
        _weekday(year, 2, _MONDAY, 3),
        _easter(year) - 2 * _ONE,
        _weekday(year, 5, _MONDAY, -1),
        _observed(date(year, 7, 4)),
        _weekday(year, 9, _MONDAY, 1),
        _weekday(year, 11, _THURSDAY, 4),
        _observed(date(year, 12, 25)),
    }
    if date(year, 1, 1).weekday() != _SATURDAY:  # never made up for on the Friday: it closes the old year
        days.add(_observed(date(year, 1, 1)))
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days)


@lru_cache(maxsize=128)
def _half_days(year: int) -> frozenset[date]:
    days = {_weekday(year, 11, _THURSDAY, 4) + _ONE, date(year, 12, 24)}
    eve = date(year, 7, 3)
    if year >= 2013 or eve.weekday() in (0, 1, 3):
        days.add(eve)
    elif eve.weekday() == 2:  # until 2012 the Friday after a Thursday holiday was short, not the Wednesday before it
        days.add(date(year, 7, 5))
    return frozenset(days)


def _observed(day: date) -> date:
    """Return the weekday on which a holiday is kept."""
    return day + {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0) * _ONE


def _weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """Return the nth weekday of a month, -1 for the last."""
    if nth < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - _ONE
        return last - (last.weekday() - weekday) % 7 * _ONE
    first = date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (nth - 1)) * _ONE


def _easter(year: int) -> date:
    """Return Easter Sunday (Gauss, with the corrections for the Gregorian calendar)."""
    century = year // 100
    moon = (15 + century - century // 4 - (8 * century + 13) // 25) % 30
    sun = (4 + century - century // 4) % 7
    d = (19 * (year % 19) + moon) % 30
    e = (2 * (year % 4) + 4 * (year % 7) + 6 * d + sun) % 7
    offset = 22 + d + e
    if (d == 29 and e == 6) or (d == 28 and e == 6 and (11 * moon + 11) % 30 < 19):
        offset -= 7
    return date(year, 3, 1) + (offset - 1) * _ONE
