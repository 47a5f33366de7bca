"""The session table against an independent calendar."""

from __future__ import annotations

from datetime import date

import exchange_calendars
import pytest

from tools.market import calendar


@pytest.fixture(scope="module")
def independent() -> exchange_calendars.ExchangeCalendar:
    return exchange_calendars.get_calendar("XNYS", start="1998-01-01", end="2030-12-31")


def test_every_session_and_early_close_from_1998_to_2030_is_the_exchanges(
    independent: exchange_calendars.ExchangeCalendar,
) -> None:
    assert list(calendar.all_sessions()) == [stamp.date() for stamp in independent.sessions]
    assert sorted(calendar.early_closes()) == [stamp.date() for stamp in independent.early_closes]


@pytest.mark.parametrize(
    ("day", "expiry"),
    [
        (date(2025, 9, 8), date(2025, 9, 12)),
        (date(2025, 9, 12), date(2025, 9, 19)),  # on expiry day the week is the next one
        (date(2024, 3, 25), date(2024, 3, 28)),  # Good Friday
        (date(2024, 3, 28), date(2024, 4, 5)),
        (date(2025, 11, 24), date(2025, 11, 28)),
    ],
)
def test_the_weeks_expiry_is_its_last_session(day: date, expiry: date) -> None:
    assert calendar.week_expiry(day) == expiry


@pytest.mark.parametrize(
    ("year", "month", "expiry"),
    [(2025, 11, date(2025, 11, 21)), (2026, 6, date(2026, 6, 18)), (2019, 4, date(2019, 4, 18))],
)
def test_the_months_expiry_is_the_third_friday_or_the_session_before(year: int, month: int, expiry: date) -> None:
    assert calendar.monthly_expiry(year, month) == expiry
