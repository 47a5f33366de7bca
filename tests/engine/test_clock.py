"""Wall times where the clocks change, as LEAN converts them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import Zone

NEW_YORK = Zone("America/New_York")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2025-03-09 01:59", "2025-03-09 06:59"),
        ("2025-03-09 02:00", "2025-03-09 07:00"),
        ("2025-03-09 02:30", "2025-03-09 07:00"),
        ("2025-03-09 02:59", "2025-03-09 07:00"),
        ("2025-03-09 03:00", "2025-03-09 07:00"),
        ("2025-03-09 03:01", "2025-03-09 07:01"),
        ("2024-11-03 00:59", "2024-11-03 04:59"),
        ("2024-11-03 01:00", "2024-11-03 06:00"),
        ("2024-11-03 01:59", "2024-11-03 06:59"),
        ("2024-11-03 02:00", "2024-11-03 07:00"),
    ],
)
def test_a_wall_time_that_is_missing_or_twice(local: str, utc: str) -> None:
    assert NEW_YORK.utc(datetime.fromisoformat(local)) == datetime.fromisoformat(utc)


@given(st.datetimes(datetime(2024, 1, 1), datetime(2026, 1, 1)))
def test_there_and_back_is_the_same_moment_or_the_later_of_two(moment: datetime) -> None:
    again = NEW_YORK.utc(NEW_YORK.local(moment))
    assert again - moment in (timedelta(0), timedelta(hours=1))
    assert NEW_YORK.local(again) == NEW_YORK.local(moment)
