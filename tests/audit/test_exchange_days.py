"""The auditor's calendar is the exchange's, day by day."""

from __future__ import annotations

from datetime import date, timedelta

import exchange_calendars
import pandas as pd
import pytest

from audit import exchange_days
from audit.times import DAY, MINUTE, SECOND, at_exchange, micros, utc_text

FIRST, LAST = date(1998, 1, 2), date(2030, 12, 31)


@pytest.fixture(scope="module")
def schedule() -> pd.DataFrame:
    found: pd.DataFrame = exchange_calendars.get_calendar(
        "XNYS", start=FIRST.isoformat(), end=LAST.isoformat()
    ).schedule
    return found


def test_every_session_opens_and_closes_when_the_exchange_does(schedule: pd.DataFrame) -> None:
    theirs = {
        moment.date(): (opens.value // 1000, closes.value // 1000)
        for moment, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    }
    ours = {session.day: (session.open_us, session.close_us) for session in exchange_days.sessions(FIRST, LAST)}
    assert ours == theirs


def test_half_days_are_those_that_close_early(schedule: pd.DataFrame) -> None:
    for session in exchange_days.sessions(FIRST, LAST):
        assert session.half_day == (session.close_us - session.open_us < 390 * MINUTE)


def test_neighbours_of_a_weekend_and_a_holiday() -> None:
    assert exchange_days.session_after(date(2025, 11, 26)).day == date(2025, 11, 28)
    assert exchange_days.session_before(date(2025, 12, 1)).day == date(2025, 11, 28)
    assert exchange_days.is_last_of_week(date(2024, 3, 28))  # Good Friday follows
    assert exchange_days.ordinal_in_month(date(2025, 9, 3)) == 2  # the first was Labor Day


def test_open_time_runs_while_the_exchange_is_open() -> None:
    friday = at_exchange(date(2025, 11, 28), 12, 59)  # a half day: one minute is left
    due = exchange_days.after_open_time(friday, 3 * MINUTE)
    assert due == at_exchange(date(2025, 12, 1), 9, 32)
    assert exchange_days.open_micros(friday, due) == 3 * MINUTE


def test_a_day_before_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="calendar begins"):
        exchange_days.session_on(date(1997, 12, 31))


@pytest.mark.parametrize(
    "text", ["2025-11-28T18:00:00Z", "2025-11-28 18:00:00.000000Z", "2025-13-28T18:00:00.000000Z", ""]
)
def test_a_time_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        micros(text)


def test_times_come_back_as_they_went() -> None:
    day = date(2025, 11, 2)  # clocks go back
    assert at_exchange(day + timedelta(days=1), 0) - at_exchange(day, 0) == DAY + 3600 * SECOND
    assert micros(utc_text(micros("2025-11-28T18:00:00.000001Z"))) == micros("2025-11-28T18:00:00.000001Z")
