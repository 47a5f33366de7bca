"""Sessions, half days and holidays as LEAN merges them from its database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.columns import DataError
from engine.hours import ExchangeHours, MarketHoursDatabase, Segment, Session, minutes_to_new_york
from engine.symbols import Symbol
from tests.engine.lean_folder import HOURS, entry

SPX = Symbol.index("SPX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
SPY = Symbol.equity("SPY")
VIX = Symbol.index("VIX")

HALF_DAY = date(2024, 11, 29)
THANKSGIVING = date(2024, 11, 28)


def database(entries: Mapping[str, object] | None = None) -> MarketHoursDatabase:
    return MarketHoursDatabase(json.dumps({"entries": HOURS if entries is None else entries}).encode(), "hours.json")


@pytest.mark.parametrize(
    ("symbol", "day", "open_minute", "close_minute"),
    [
        (SPY, date(2025, 1, 2), 570, 960),
        (SPX, date(2025, 1, 2), 570, 975),
        (SPXW, date(2025, 1, 2), 570, 975),
        (SPXW, date(2025, 7, 2), 570, 975),  # both zones keep summer time together
        (VIX, date(2025, 1, 2), 570, 980),  # no entry of its own: the market's [*]
        (SPY, HALF_DAY, 570, 780),
        (SPX, HALF_DAY, 570, 780),
        (SPXW, HALF_DAY, 570, 780),  # has no early closes of its own
        (Symbol.canonical_option(SPY), HALF_DAY, 570, 780),
    ],
)
def test_session_in_new_york_minutes(symbol: Symbol, day: date, open_minute: int, close_minute: int) -> None:
    session = database().hours(symbol).session(day)

    assert session is not None
    assert (session.open_minute, session.close_minute) == (open_minute, close_minute)


@pytest.mark.parametrize("symbol", [SPY, SPX, SPXW, VIX])
@pytest.mark.parametrize("day", [THANKSGIVING, date(2024, 11, 30), date(2024, 12, 1)])
def test_no_session_on_holidays_and_weekends(symbol: Symbol, day: date) -> None:
    hours = database().hours(symbol)

    assert hours.session(day) is None
    assert not hours.is_date_open(day)
    assert hours.get_next_trading_day(THANKSGIVING) == datetime(2024, 11, 29)
    assert hours.get_previous_trading_day(HALF_DAY) == datetime(2024, 11, 27)


def test_an_entry_with_days_of_its_own_adds_them_to_its_market() -> None:
    entries = dict(HOURS)
    entries["IndexOption-usa-[*]"] = entry(
        "America/New_York", "America/Chicago", "08:30:00", "15:20:00", early={"7/3/2025": "12:00:00"}
    )
    entries["IndexOption-usa-SPXW"] = entry(
        "America/New_York", "America/Chicago", "08:30:00", "15:15:00",
        holidays=["12/24/2024"], early={"7/3/2025": "11:00:00", "12/31/2024": "12:00:00"},
    )  # fmt: skip
    hours = database(entries).hours(SPXW)

    # Its own days, those of its market, and through the market's empty list those of the index; its own time wins.
    assert not hours.is_date_open(date(2024, 12, 24))
    assert not hours.is_date_open(date(2024, 12, 25))
    assert hours.session(HALF_DAY) == Session(HALF_DAY, 570, 975), "own early closes replace the index's"
    session = hours.session(date(2025, 7, 3))
    assert session is not None
    assert session.close_minute == 12 * 60
    assert hours.early_closes.count == 2


def test_late_open_shortens_the_morning() -> None:
    entries = {
        "Equity-usa-[*]": entry(
            "America/New_York", "America/New_York", "09:30:00", "16:00:00", late={"1/9/2025": "11:00:00"}
        )
    }
    session = database(entries).hours(SPY).session(date(2025, 1, 9))

    assert session is not None
    assert (session.open_minute, session.close_minute) == (660, 960)


def test_late_open_after_an_early_close_resumes_the_market() -> None:
    week = ((Segment(0, 86_400, True),),) * 7
    day = datetime(2025, 1, 9)
    hours = ExchangeHours(
        ZoneInfo("America/Chicago"), ZoneInfo("UTC"), week, (), {day: timedelta(hours=12)}, {day: timedelta(hours=17)}
    )
    assert hours.segments(day) == (Segment(0, 43_200, True), Segment(61_200, 86_400, True))
    assert hours.is_open(datetime(2025, 1, 9, 11, 59))
    assert not hours.is_open(datetime(2025, 1, 9, 12))
    assert hours.is_open(datetime(2025, 1, 9, 17))
    # Although it then runs through midnight, LEAN counts the day after an early close as a new opening.
    assert hours.get_next_market_open(datetime(2025, 1, 9, 18)) == datetime(2025, 1, 10)


def test_is_open_tells_regular_from_extended_hours() -> None:
    hours = database().hours(SPXW)

    assert hours.is_open(datetime(2025, 1, 2, 8, 30))
    assert not hours.is_open(datetime(2025, 1, 2, 15, 15))
    assert hours.is_open(datetime(2025, 1, 2, 15, 15), extended_market_hours=True)
    assert not hours.is_open(datetime(2025, 1, 2, 8, 20), extended_market_hours=True)
    assert hours.regular_market_duration == timedelta(hours=6, minutes=45)
    assert not hours.is_market_always_open


@pytest.mark.parametrize(
    ("at", "opens", "closes"),
    [
        (datetime(2024, 11, 27, 8, 29), datetime(2024, 11, 27, 8, 30), datetime(2024, 11, 27, 15, 15)),
        (datetime(2024, 11, 27, 8, 30), datetime(2024, 11, 29, 8, 30), datetime(2024, 11, 27, 15, 15)),
        (datetime(2024, 11, 27, 15, 15), datetime(2024, 11, 29, 8, 30), datetime(2024, 11, 29, 12, 0)),
        (datetime(2024, 11, 29, 12, 0), datetime(2024, 12, 2, 8, 30), datetime(2024, 12, 2, 15, 15)),
    ],
)
def test_next_open_and_close_of_the_regular_session(at: datetime, opens: datetime, closes: datetime) -> None:
    hours = database().hours(SPXW)

    assert hours.get_next_market_open(at) == opens
    assert hours.get_next_market_close(at) == closes


def test_extended_hours_run_through_midnight() -> None:
    hours = database().hours(SPXW)

    # 19:15 to midnight and midnight to 08:15 touch, so the night has one close; it opens anew after a half day.
    assert hours.get_next_market_close(datetime(2025, 1, 6, 20), extended_market_hours=True) == datetime(
        2025, 1, 7, 8, 15
    )
    assert hours.get_next_market_open(datetime(2025, 1, 6, 16), extended_market_hours=True) == datetime(
        2025, 1, 6, 19, 15
    )
    assert hours.get_next_market_open(datetime(2025, 1, 6, 20), extended_market_hours=True) == datetime(
        2025, 1, 7, 8, 30
    )


def test_previous_open_is_the_one_that_began_the_segment() -> None:
    hours = database().hours(SPXW)

    assert hours.get_previous_market_open(datetime(2025, 1, 2, 12)) == datetime(2025, 1, 2, 8, 30)
    assert hours.get_previous_market_open(datetime(2025, 1, 2, 8)) == datetime(2024, 12, 31, 8, 30) + timedelta(days=1)
    assert hours.get_previous_market_open(datetime(2024, 12, 2, 8)) == datetime(2024, 11, 29, 8, 30)


@given(at=st.datetimes(datetime(2024, 11, 1), datetime(2025, 2, 28)), symbol=st.sampled_from([SPY, SPX, SPXW]))
def test_between_an_open_and_the_next_close_the_market_is_open(at: datetime, symbol: Symbol) -> None:
    hours = database().hours(symbol)
    opens, closes = hours.get_next_market_open(at), hours.get_next_market_close(at)

    assert hours.is_open(at) is (closes < opens)
    assert hours.is_open(opens)
    assert not hours.is_open(closes)
    assert hours.is_date_open(opens)
    assert hours.get_previous_market_open(opens) == opens


@pytest.mark.parametrize(
    ("zone", "day", "minutes"),
    [
        ("America/Chicago", date(2025, 1, 2), 60),
        ("America/Chicago", date(2025, 3, 9), 60),
        ("America/New_York", date(2025, 7, 1), 0),
        ("UTC", date(2025, 1, 2), -300),
        ("UTC", date(2025, 7, 1), -240),
    ],
)
def test_minutes_to_new_york_follow_the_season(zone: str, day: date, minutes: int) -> None:
    assert minutes_to_new_york(ZoneInfo(zone), day) == minutes


def test_missing_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"market-hours-database.json: found no file.* Copy the folder market-hours"):
        MarketHoursDatabase.read(tmp_path / "market-hours" / "market-hours-database.json")


def test_missing_entry_names_both_keys() -> None:
    with pytest.raises(DataError, match=r"no entry Index-usa-VIX nor Index-usa-\[\*\]"):
        database({"Equity-usa-[*]": HOURS["Equity-usa-[*]"]}).hours(VIX)


@pytest.mark.parametrize(
    "broken",
    [
        {"exchangeTimeZone": "Mars/Olympus"},
        {"holidays": ["2024-11-28"]},
        {"monday": [{"start": "9.30", "end": "16:00:00", "state": "market"}]},
    ],
)
def test_unreadable_entry_is_named(broken: dict[str, object]) -> None:
    entries = {"Equity-usa-[*]": HOURS["Equity-usa-[*]"] | broken}

    with pytest.raises(DataError, match=r"hours.json: entry Equity-usa-\[\*\] is unreadable"):
        database(entries).hours(SPY)


def test_cut_file_is_named() -> None:
    text = json.dumps({"entries": HOURS}).encode()
    with pytest.raises(DataError, match=r"entry Equity-usa-\[\*\] is broken"):
        MarketHoursDatabase(text[:300], "hours.json").hours(SPY)
