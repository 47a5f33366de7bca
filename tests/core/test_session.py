"""Sessions and session phases: the calendar against an independent one, and every boundary of the day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import exchange_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.nyse_calendar import FIRST_YEAR, LAST_YEAR
from core.session import SessionClock
from core.settings import SessionSettings
from core.vocabulary import SessionPhase

SETTINGS = SessionSettings()
P = SessionPhase
FULL, HALF = date(2025, 11, 26), date(2025, 11, 28)


@pytest.fixture
def clock() -> SessionClock:
    return SessionClock(SETTINGS)


def test_sc_p1_sessions_and_closes_equal_an_independent_calendar(clock: SessionClock) -> None:
    first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)
    calendar = exchange_calendars.get_calendar("XNYS", start=first.isoformat(), end=last.isoformat())
    closes = calendar.schedule["close"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    opens = calendar.schedule["open"].dt.tz_convert("America/New_York").dt.tz_localize(None)

    days = clock.sessions_between(first, last)

    assert list(days) == [session.date() for session in calendar.sessions]
    for day, opened, closed in zip(days, opens, closes, strict=True):
        session = clock.session(day)
        assert session is not None
        assert (session.open, session.close) == (opened.to_pydatetime(), closed.to_pydatetime())
        assert session.half_day is (closed.time() < time(16))


def test_sc_p1_neighbours_and_last_session_of_the_week_follow_from_the_days(clock: SessionClock) -> None:
    days = clock.sessions_between(date(2010, 1, 1), date(2030, 12, 31))
    for before, day, after in zip(days, days[1:], days[2:], strict=False):
        session = clock.session(day)
        assert session is not None
        assert (session.previous, session.next) == (before, after)
        assert session.last_of_week is (after.isocalendar()[:2] != day.isocalendar()[:2])


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        ("08:59", None),
        ("09:00", P.PRE_OPEN),
        ("09:29", P.PRE_OPEN),
        ("09:30", P.OPENING),
        ("09:34", P.OPENING),
        ("09:35", P.REGULAR),
        ("15:29", P.REGULAR),
        ("15:30", P.LATE),
        ("15:44", P.LATE),
        ("15:45", P.FLATTEN),
        ("15:54", P.FLATTEN),
        ("15:55", P.FINAL),
        ("15:59", P.FINAL),
        ("16:00", P.CLOSED),
        ("16:15", P.CLOSED),
        ("16:16", None),
    ],
)
def test_a_phase_begins_with_the_step_stamped_at_its_minute(clock: SessionClock, at: str, phase: P | None) -> None:
    assert clock.phase(datetime.combine(FULL, time.fromisoformat(at))) is phase


def test_sc_1_on_a_half_day_the_deadlines_move_with_the_close(clock: SessionClock) -> None:
    def phase(hour: int, minute: int) -> P | None:
        return clock.phase(datetime.combine(HALF, time(hour, minute)))

    assert [phase(12, 29), phase(12, 30), phase(12, 45), phase(12, 55)] == [P.REGULAR, P.LATE, P.FLATTEN, P.FINAL]
    assert [phase(13, 0), phase(13, 15), phase(13, 16)] == [P.CLOSED, P.CLOSED, None]


@given(
    st.dates(date(2000, 1, 1), date(2030, 12, 31)),
    st.integers(0, 24 * 60 - 1),
)
def test_phases_only_move_forward_and_only_on_trading_days(day: date, minute: int) -> None:
    clock, order = SessionClock(SETTINGS), list(P)
    now = datetime.combine(day, time()) + timedelta(minutes=minute)
    phase, following = clock.phase(now), clock.phase(now + timedelta(minutes=1))
    if clock.session(day) is None:
        assert phase is None
    if phase is not None and following is not None:
        assert order.index(following) - order.index(phase) in (0, 1)


@given(st.lists(st.sampled_from([FULL, HALF, date(2025, 11, 27), date(2025, 12, 1)]), min_size=1), st.data())
def test_a_clock_that_was_asked_before_answers_like_a_new_one(days: list[date], data: st.DataObject) -> None:
    clock = SessionClock(SETTINGS)
    for day in days:
        seconds = data.draw(st.integers(8 * 3600, 17 * 3600) | st.sampled_from([16 * 3600 + 900, 16 * 3600 + 901]))
        now = datetime.combine(day, time()) + timedelta(seconds=seconds)
        assert clock.phase(now) is SessionClock(SETTINGS).phase(now)


@given(st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 30)))
def test_no_step_is_missed_by_resting_until_the_next_start(moment: datetime) -> None:
    clock, now = SessionClock(SETTINGS), moment.replace(second=0, microsecond=0)
    start = clock.next_start(now)
    assert clock.phase(start) is not None
    if start != now:
        quiet = range(0, int((start - now).total_seconds()), 60)

        assert all(clock.phase(now + timedelta(seconds=second)) is None for second in quiet)


@given(st.dates(date(2025, 1, 1), date(2026, 12, 30)))
def test_the_minutes_of_a_day_are_those_that_have_a_phase(day: date) -> None:
    clock, midnight = SessionClock(SETTINGS), datetime.combine(day, time())
    every = [midnight + timedelta(minutes=passed) for passed in range(24 * 60)]
    assert clock.minutes(day) == [minute for minute in every if clock.phase(minute) is not None]


@pytest.mark.parametrize("day", [date(2025, 7, 4), date(2025, 1, 9), date(2025, 11, 29), date(2024, 3, 29)])
def test_fp20_nothing_steps_on_a_day_without_a_session(clock: SessionClock, day: date) -> None:
    assert clock.session(day) is None
    assert all(clock.phase(datetime.combine(day, time(hour))) is None for hour in range(24))


def test_f0_13_the_week_of_a_closed_friday_ends_on_thursday(clock: SessionClock) -> None:
    thursday = clock.session(date(2024, 3, 28))
    assert thursday is not None
    assert thursday.last_of_week
    assert thursday.next == date(2024, 4, 1)


def test_next_and_previous_session_skip_the_day_itself_and_closed_days(clock: SessionClock) -> None:
    assert clock.next_session(date(2024, 3, 28)).day == date(2024, 4, 1)
    assert clock.next_session(date(2024, 3, 30)).day == date(2024, 4, 1)
    assert clock.previous_session(date(2024, 4, 1)).day == date(2024, 3, 28)


def test_a_closing_announced_later_is_a_setting() -> None:
    clock = SessionClock(SessionSettings(closed_days=(date(2026, 3, 18),)))
    assert clock.session(date(2026, 3, 18)) is None
    assert clock.next_session(date(2026, 3, 17)).day == date(2026, 3, 19)


def test_the_calendar_says_where_it_is_proven_and_refuses_where_other_rules_held(clock: SessionClock) -> None:
    assert clock.covers(date(2030, 12, 31))
    assert not clock.covers(date(2031, 1, 2))
    assert clock.session(date(2031, 1, 2)) is not None
    with pytest.raises(ValueError, match="expected a date from 1998 on"):
        clock.session(date(1996, 5, 1))
