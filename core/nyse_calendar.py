"""Trading days and closing times of the New York stock exchange, by its published rules.

Pure code instead of a calendar package: importing one costs more than a whole session of a backtest.  Closings that no
rule foresees are listed; the exchange may announce another one at any time: `session.closed_days` takes it.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from functools import lru_cache
from typing import Final

FIRST_YEAR: Final = 1998
LAST_YEAR: Final = 2030
"""Years that are proven against an independent calendar; beyond the last one only the rules speak."""

OPEN: Final = time(9, 30)
CLOSE: Final = time(16, 0)
EARLY_CLOSE: Final = time(13, 0)

_MON, _TUE, _WED, _THU, _FRI, _SAT, _SUN = range(7)
_OLDEST_YEAR: Final = FIRST_YEAR - 1
_KING_SINCE: Final = 1998
_JUNETEENTH_SINCE: Final = 2022
_EARLY_WEDNESDAY_SINCE: Final = 2013
"""Until then a Wednesday before Independence Day was a full day, and the Friday after it was short instead."""

_SPECIAL_CLOSINGS: Final = frozenset(
    {
        date(2001, 9, 11), date(2001, 9, 12), date(2001, 9, 13), date(2001, 9, 14),  # attacks of September 11
        date(2004, 6, 11),  # mourning for President Reagan
        date(2007, 1, 2),  # mourning for President Ford
        date(2012, 10, 29), date(2012, 10, 30),  # hurricane Sandy
        date(2018, 12, 5),  # mourning for President Bush
        date(2025, 1, 9),  # mourning for President Carter
    }
)  # fmt: skip
_SPECIAL_EARLY_CLOSES: Final = frozenset({date(1999, 12, 31), date(2003, 12, 26)})


def is_covered(day: date) -> bool:
    """Tell whether the calendar is proven for a day."""
    return FIRST_YEAR <= day.year <= LAST_YEAR


def is_trading_day(day: date) -> bool:
    """Tell whether the exchange opens. Raises ValueError before the first year, when other rules held."""
    if day.year < _OLDEST_YEAR:
        raise ValueError(f"day {day}: expected a date from {FIRST_YEAR} on. Start the run later.")
    return day.weekday() < _SAT and day not in _holidays(day.year)


def close_of(day: date) -> time:
    """Return the regular close of a trading day."""
    return EARLY_CLOSE if _is_short(day) else CLOSE


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    new_year = date(year, 1, 1)
    days = {
        _nth_weekday(year, 2, _MON, 3),  # Washington's birthday
        _easter(year) - timedelta(days=2),  # Good Friday
        date(year, 5, 31) - timedelta(days=date(year, 5, 31).weekday()),  # Memorial Day, last Monday
        _nearest_workday(date(year, 7, 4)),
        _nth_weekday(year, 9, _MON, 1),  # Labor Day
        _thanksgiving(year),
        _nearest_workday(date(year, 12, 25)),
    }
    if new_year.weekday() != _SAT:  # on a Saturday it is not made up for: the year's last Friday is a full day
        days.add(_sunday_to_monday(new_year))
    if year >= _KING_SINCE:
        days.add(_nth_weekday(year, 1, _MON, 3))
    if year >= _JUNETEENTH_SINCE:
        days.add(_nearest_workday(date(year, 6, 19)))
    return frozenset(days | {day for day in _SPECIAL_CLOSINGS if day.year == year})


def _is_short(day: date) -> bool:
    if day in _SPECIAL_EARLY_CLOSES or day == _thanksgiving(day.year) + timedelta(days=1):
        return True
    if (day.month, day.day) == (12, 24):
        return True
    if (day.month, day.day) == (7, 3):
        return day.weekday() != _WED or day.year >= _EARLY_WEDNESDAY_SINCE
    return (day.month, day.day) == (7, 5) and day.weekday() == _FRI and day.year < _EARLY_WEDNESDAY_SINCE


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _thanksgiving(year: int) -> date:
    return _nth_weekday(year, 11, _THU, 4)


def _sunday_to_monday(day: date) -> date:
    return day + timedelta(days=1) if day.weekday() == _SUN else day


def _nearest_workday(day: date) -> date:
    return day - timedelta(days=1) if day.weekday() == _SAT else _sunday_to_monday(day)


def _easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (the anonymous algorithm, Meeus 1991)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)
