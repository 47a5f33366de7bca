"""Naive New York time to UTC, exactly and cheaply: the offset is looked up once per date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_EASTERN = ZoneInfo("America/New_York")
_CHANGE_HOUR = 2


@lru_cache(maxsize=4096)
def _offsets(day: date) -> tuple[timedelta, timedelta]:
    """Offset of a date before and after two in the morning, when clocks change."""
    before = datetime(day.year, day.month, day.day, tzinfo=_EASTERN).utcoffset()
    after = datetime(day.year, day.month, day.day, 12, tzinfo=_EASTERN).utcoffset()
    assert before is not None
    assert after is not None
    return before, after


def to_utc(naive: datetime) -> datetime:
    """Return the naive UTC time of a naive New York time."""
    before, after = _offsets(naive.date())
    return naive - (before if naive.hour < _CHANGE_HOUR else after)


@lru_cache(maxsize=64)
def utc_text(naive: datetime) -> str:
    """Return a naive New York time as `2025-11-28T18:00:00.000000Z`.  The records of one step share it."""
    return to_utc(naive).isoformat(timespec="microseconds") + "Z"


def from_utc_text(text: str) -> datetime:
    """Return the naive New York time of a ledger time. Raises ValueError for anything else."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return moment.astimezone(_EASTERN).replace(tzinfo=None)
