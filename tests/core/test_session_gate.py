"""The session gate: what each phase leaves of a target, on full days, half days and days that do not exist."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from core.family import Decision
from core.reasons import Reason
from core.session import SessionClock
from core.session_gate import GateState, SessionGate, gate_of
from core.settings import SessionSettings
from core.settings_etf import EtfRotationSettings
from core.vocabulary import FamilyTarget, SessionPhase

CASH, QQQ, TQQQ, PSQ, SQQQ = (FamilyTarget(name) for name in ("CASH", "QQQ", "TQQQ", "PSQ", "SQQQ"))
CLOCK = SessionClock(SessionSettings())
GATE = SessionGate.for_clock(EtfRotationSettings(), SessionSettings())
FULL, HALF = date(2025, 10, 28), date(2025, 11, 28)
TARGETS = st.sampled_from(list(FamilyTarget))


def at(day: date, clock: str) -> SessionPhase | None:
    return CLOCK.phase(datetime.fromisoformat(f"{day.isoformat()} {clock}"))


def after(wanted: FamilyTarget, held: FamilyTarget, phase: SessionPhase | None) -> FamilyTarget:
    return GATE.apply(Decision(wanted, Reason.ALLOWED), phase, held).target


@pytest.mark.parametrize(
    ("wanted", "held", "left"),
    [
        (TQQQ, CASH, CASH), (QQQ, QQQ, QQQ), (CASH, QQQ, CASH), (TQQQ, QQQ, QQQ), (QQQ, TQQQ, CASH),
        (PSQ, TQQQ, CASH), (SQQQ, PSQ, PSQ), (PSQ, SQQQ, CASH), (QQQ, PSQ, CASH),
    ],
)  # fmt: skip
def test_etf_08_after_the_last_entry_minute_a_holding_stays_or_goes_and_nothing_comes(
    wanted: FamilyTarget, held: FamilyTarget, left: FamilyTarget
) -> None:
    assert after(wanted, held, SessionPhase.LATE) is left


def test_etf_s12_from_half_an_hour_before_the_close_a_wish_becomes_session_phase() -> None:
    wish = Decision(TQQQ, Reason.ALLOWED)
    assert GATE.apply(wish, at(FULL, "15:29"), CASH) == wish
    assert GATE.apply(wish, at(FULL, "15:30"), CASH) == Decision(CASH, Reason.SESSION_PHASE)
    assert GATE.apply(wish, at(HALF, "12:29"), CASH) == wish
    assert GATE.apply(wish, at(HALF, "12:30"), CASH) == Decision(CASH, Reason.SESSION_PHASE)
    assert after(TQQQ, TQQQ, at(HALF, "12:44")) is TQQQ
    assert after(TQQQ, TQQQ, at(HALF, "12:45")) is CASH


@pytest.mark.parametrize(
    "phase", [SessionPhase.FLATTEN, SessionPhase.FINAL, SessionPhase.CLOSED, SessionPhase.PRE_OPEN]
)
@given(wanted=TARGETS, held=TARGETS)
def test_etf_07_towards_and_after_the_close_the_target_is_cash_whatever_is_wanted(
    phase: SessionPhase, wanted: FamilyTarget, held: FamilyTarget
) -> None:
    assert after(wanted, held, phase) is CASH


@pytest.mark.parametrize("clock", ["08:59", "16:20", "04:00", "20:00"])
def test_etf_12_outside_the_session_there_is_no_target(clock: str) -> None:
    assert after(TQQQ, TQQQ, at(FULL, clock)) is CASH


@pytest.mark.parametrize("day", [date(2025, 11, 27), date(2025, 11, 29), date(2025, 12, 25)])
def test_a_day_that_the_calendar_does_not_have_has_no_entries(day: date) -> None:
    assert after(TQQQ, CASH, at(day, "11:00")) is CASH


@pytest.mark.parametrize("phase", list(SessionPhase))
def test_a_halted_book_wants_nothing(phase: SessionPhase) -> None:
    decision = GATE.apply(Decision(TQQQ, Reason.ALLOWED), phase, TQQQ, halted=True)
    assert decision == Decision(CASH, Reason.BOOK_HALTED)


@pytest.mark.parametrize(
    ("name", "minutes"), [("no_entry_minutes", 60), ("flatten_minutes", 10), ("verify_minutes", 2)]
)
def test_etf_13_minutes_of_its_own_would_be_a_second_clock_and_do_not_start(name: str, minutes: int) -> None:
    with pytest.raises(SettingsError, match=name):
        SessionGate.for_clock(EtfRotationSettings(**{name: minutes}), SessionSettings())  # type: ignore[arg-type]


def test_a_clock_and_a_book_that_move_together_start() -> None:
    book = EtfRotationSettings(no_entry_minutes=45, flatten_minutes=20, verify_minutes=10)
    assert SessionGate.for_clock(book, SessionSettings(late_min=45, flatten_min=20, final_min=10)) == SessionGate()


@given(day=st.dates(date(2010, 1, 1), date(2030, 12, 31)), minute=st.integers(0, 1439), wanted=TARGETS, held=TARGETS)
def test_property_10_entries_only_from_the_open_to_half_an_hour_before_the_close(
    day: date, minute: int, wanted: FamilyTarget, held: FamilyTarget
) -> None:
    now = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    target = after(wanted, held, CLOCK.phase(now))
    if target not in (held, CASH):
        session = CLOCK.session(day)
        assert session is not None
        assert session.open <= now < session.before_close(30)


@given(day=st.dates(date(2010, 1, 1), date(2030, 12, 31)))
def test_the_gate_never_opens_again_within_a_session(day: date) -> None:
    session = CLOCK.session(day)
    if session is None:
        return
    minutes = int((session.close - session.open).total_seconds() // 60)
    states = [gate_of(CLOCK.phase(session.after_open(number))) for number in range(minutes + 1)]
    assert states == sorted(states)
    assert states[0] is GateState.TRADE
    assert states[-1] is GateState.CLOSED
