"""Times of the ledger as whole microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
DAY: Final = 86_400 * SECOND
ZONE: Final = ZoneInfo("America/New_York")
_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()


@lru_cache(maxsize=65_536)
def micros(text: str) -> int:
    """Return a ledger time in microseconds. Raises ValueError for anything but `2025-11-28T18:00:00.000000Z`."""
    moment = datetime.fromisoformat(text[:-1])
    if moment.isoformat(timespec="microseconds") + "Z" != text:
        raise ValueError(f"{text!r}: expected a time like 2025-11-28T18:00:00.000000Z")
    seconds = (moment.toordinal() - _EPOCH_ORDINAL) * 86_400 + moment.hour * 3600 + moment.minute * 60 + moment.second
    return seconds * SECOND + moment.microsecond


def utc_text(us: int) -> str:
    """Return microseconds as the ledger writes them."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"


def exchange_text(us: int) -> str:
    """Return microseconds as New York time, for people: `Fri 2025-11-28 13:00:00 EST`."""
    return exchange_time(us).strftime("%a %Y-%m-%d %H:%M:%S %Z")


def exchange_time(us: int) -> datetime:
    """Return microseconds as aware New York time."""
    return (_EPOCH + timedelta(microseconds=us)).replace(tzinfo=UTC).astimezone(ZONE)


def at_exchange(day: date, hour: int, minute: int = 0) -> int:
    """Return the microseconds of a New York wall-clock time."""
    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE).astimezone(UTC).replace(tzinfo=None)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def day_of(us: int) -> date:
    """Return the New York date of a moment."""
    if us % DAY >= _BEHIND:
        return _utc_day(us // DAY)
    return exchange_time(us).date()


_BEHIND: Final = 5 * 3_600 * SECOND
"""From this hour of a UTC day on New York has the same date: it is never more than five hours behind."""


@lru_cache(maxsize=8_192)
def _utc_day(number: int) -> date:
    return date.fromordinal(_EPOCH_ORDINAL + number)
