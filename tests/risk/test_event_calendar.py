"""Releases: which days and hours they close, and what is said of days that no list covers."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import Structure
from risk.event_calendar import EventCalendar, is_opex_week
from risk.event_table import CPI, FOMC, NFP, SCHEDULE, EventKind
from tests.risk.builders import BookKeeper, condor, opening, session, snapshot, unit_risk

SETTINGS = Settings()
CALENDAR = EventCalendar(SETTINGS.events, SETTINGS.margin)


def asked(now: datetime, structure: Structure, *, short: bool = True) -> Reason:
    intent = opening(structure, risk=unit_risk(short_premium=short))
    return CALENDAR.rule(intent, snapshot(now, today=session(now.date())), BookKeeper().books).reason


def same_day(now: datetime, *, short: bool = True) -> Reason:
    return asked(now, condor(expiry=now.date()), short=short)


def longer(now: datetime, *, short: bool = True) -> Reason:
    return asked(now, condor(expiry=now.date() + timedelta(days=45)), short=short)


def test_ev1_cpi_on_friday_2025_10_24_means_no_0dte() -> None:
    assert same_day(datetime(2025, 10, 24, 10, 30)) is Reason.EVENT_CPI
    assert same_day(datetime(2025, 10, 17, 10, 30)) is Reason.ALLOWED


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (datetime(2025, 9, 17, 10, 30), Reason.EVENT_FOMC),  # the whole day, before and after
        (datetime(2025, 9, 17, 15, 45), Reason.EVENT_FOMC),
        (datetime(2025, 9, 18, 10, 30), Reason.ALLOWED),
        (datetime(2025, 9, 5, 10, 29), Reason.EVENT_NFP),
        (datetime(2025, 9, 5, 10, 30), Reason.ALLOWED),  # exactly two hours after payrolls
        (datetime(2021, 1, 8, 10, 30), Reason.ALLOWED),
    ],
)
def test_0dte_around_releases(now: datetime, reason: Reason) -> None:
    assert same_day(now) is reason


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (datetime(2025, 9, 16, 13, 59), Reason.ALLOWED),
        (datetime(2025, 9, 16, 14, 0), Reason.EVENT_FOMC),  # 24 hours before
        (datetime(2025, 9, 17, 15, 59), Reason.EVENT_FOMC),
        (datetime(2025, 9, 17, 16, 0), Reason.ALLOWED),  # two hours after
        (datetime(2025, 9, 11, 10, 29), Reason.EVENT_CPI),
        (datetime(2025, 9, 11, 10, 30), Reason.ALLOWED),
        (datetime(2025, 9, 5, 10, 29), Reason.EVENT_NFP),
    ],
)
def test_other_short_premium_around_releases(now: datetime, reason: Reason) -> None:
    assert longer(now) is reason


def test_bought_structures_are_not_kept_from_events() -> None:
    assert same_day(datetime(2025, 9, 17, 10, 30), short=False) is Reason.ALLOWED
    assert longer(datetime(2025, 9, 17, 10, 30), short=False) is Reason.ALLOWED


def test_a_refusal_says_when_to_ask_again() -> None:
    now = datetime(2025, 9, 5, 9, 45)
    verdict = CALENDAR.rule(opening(condor(expiry=now.date())), snapshot(now), BookKeeper().books)
    assert verdict.until == datetime(2025, 9, 5, 10, 30)


@pytest.mark.parametrize(
    ("day", "add"),
    [
        (date(2025, 9, 17), 0.15),  # FOMC, also OpEx week: the largest, not the sum
        (date(2025, 9, 11), 0.10),  # CPI
        (date(2025, 9, 19), 0.12),  # OpEx week
        (date(2025, 10, 24), 0.10),  # CPI over earnings season
        (date(2025, 10, 3), 0.08),  # earnings season
        (date(2025, 1, 8), 0.08),
        (date(2025, 4, 1), 0.08),
        (date(2025, 7, 1), 0.08),
        (date(2025, 5, 20), 0.0),
        (date(2025, 12, 2), 0.10),  # December
        (date(2025, 9, 25), 0.0),
        (date(2026, 3, 5), 0.15),  # beyond the lists of CPI and payrolls
        (date(2019, 6, 3), 0.15),
    ],
)
def test_event_add_is_the_largest_that_holds(day: date, add: float) -> None:
    assert CALENDAR.event_add(day) == add


def test_fp25_past_coverage_index_trades_go_on_with_a_larger_buffer() -> None:
    now = datetime(2026, 3, 6, 10, 45)
    assert same_day(now) is Reason.ALLOWED
    assert CALENDAR.event_add(now.date()) == SETTINGS.margin.event_add_unknown


@given(day=st.dates(date(2015, 1, 1), date(2032, 12, 31)))
def test_ev_p1_outside_coverage_is_never_no_event(day: date) -> None:
    if any(not CALENDAR.covers(kind, day) for kind in EventKind):
        assert CALENDAR.event_add(day) >= SETTINGS.margin.event_add_unknown


def test_ev_p1_a_kind_without_a_list_is_covered_nowhere() -> None:
    partial = EventCalendar(SETTINGS.events, SETTINGS.margin, (FOMC, CPI))
    assert not partial.covers(EventKind.NFP, date(2025, 9, 25))
    assert partial.event_add(date(2025, 9, 25)) == SETTINGS.margin.event_add_unknown


@pytest.mark.parametrize("series", SCHEDULE, ids=lambda series: series.kind.value)
def test_lists_are_sorted_trading_days_inside_their_span(series: object) -> None:
    assert isinstance(series, type(FOMC))
    assert list(series.days) == sorted(set(series.days))
    assert all(series.covers(day) and day.weekday() < 5 for day in series.days)
    for year in range(series.covers_from.year, series.covers_to.year + 1):
        # Eight FOMC meetings; twelve reports, eleven in 2025, when one was not published.
        expected = 8 if series.kind is EventKind.FOMC else 11 if year == 2025 else 12
        assert sum(day.year == year for day in series.days) == expected


def test_payrolls_come_on_fridays_but_for_holidays_and_the_lapse() -> None:
    odd = [day for day in NFP.days if day.weekday() != 4]
    assert odd == [date(2025, 7, 3), date(2025, 11, 20), date(2025, 12, 16)]


def test_opex_week_is_the_week_of_the_third_friday() -> None:
    week = [date(2025, 9, 15) + timedelta(days=offset) for offset in range(-1, 6)]
    assert [is_opex_week(day) for day in week] == [False, True, True, True, True, True, True]
    assert is_opex_week(date(2025, 8, 15))  # the earliest third Friday
    assert is_opex_week(date(2025, 2, 21))  # the latest
    assert not is_opex_week(date(2025, 11, 14))
    assert not is_opex_week(date(2025, 8, 22))


def test_an_ending_list_is_announced_once_a_session_from_30_days_ahead() -> None:
    calendar, books = EventCalendar(SETTINGS.events, SETTINGS.margin), BookKeeper().books

    def alerts(day: date) -> list[str]:
        now = datetime(day.year, day.month, day.day, 10)
        return [str(note.fields["text"]) for note in calendar.watch(snapshot(now), books).notes]

    assert alerts(date(2025, 11, 28)) == []
    ending = alerts(date(2025, 12, 8))
    assert [text[:3] for text in ending] == ["CPI", "NFP"]
    assert alerts(date(2025, 12, 8)) == []
    assert calendar.rests
    assert len(alerts(date(2025, 12, 9))) == 2
