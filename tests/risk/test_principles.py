"""The six principles: each breached on purpose, told once, halted at once, and released by its own rule."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from core.errors import StateError
from core.family import Standing
from core.ledger_kinds import Kind, plain
from core.market import Session
from core.rules import Note
from core.settings_etf import EtfRotationSettings
from core.vocabulary import Disposition, Scope, TradingState
from risk.principles import Principle, PrincipleMonitor, Utilisation, breaches

DAY = date(2025, 10, 28)
TOMORROW = DAY + timedelta(days=1)
RICH = 100_000_000_000


def standing(**changed: object) -> Standing:
    return Standing(**({"cash_u6": RICH} | changed))  # type: ignore[arg-type]


def told(notes: tuple[Note, ...]) -> list[tuple[str, int, int]]:
    return [
        (str(note.fields["principle"]), note.fields["value"], note.fields["limit"])  # type: ignore[misc]
        for note in notes
        if note.kind is Kind.BREACH
    ]


def test_a_flat_book_with_cash_breaches_nothing() -> None:
    assert breaches(standing()) == ()
    assert breaches(standing(quantities={"TQQQ": 352}, working=1)) == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"cash_u6": -1_000_000}, []),
        ({"cash_u6": -1_000_001}, [("P1", -1_000_001, -1_000_000)]),
        ({"quantities": {"QQQ": 1, "SQQQ": 1}}, [("P2", 2, 1)]),
        ({"quantities": {"QQQ": 1}, "opening": frozenset({"PSQ"})}, [("P2", 2, 1)]),
        ({"quantities": {"QQQ": 1, "TQQQ": 1}}, [("P2", 2, 1)]),
        ({"opens_sent": 2}, [("P3", 2, 1)]),
        ({"opens_filled": 2}, [("P3", 2, 1)]),
        ({"quantities": {"TQQQ": -1}}, [("P4", -1, 0)]),
        ({"quantities": {"TQQQ": 1}, "is_over": True}, [("P5", 1, 0)]),
        ({"working": 1, "is_over": True}, [("P5", 1, 0)]),
    ],
)
def test_etf_33_each_principle_is_breached_at_its_limit_and_not_before(
    changed: dict[str, object], expected: list[tuple[str, int, int]]
) -> None:
    notes = PrincipleMonitor(EtfRotationSettings()).check(standing(**changed), DAY)
    assert told(notes) == expected
    for note in notes:
        plain(note.kind, note.fields)


def test_two_symbols_of_one_side_are_a_warning_and_everything_else_halts_the_book() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    monitor.check(standing(quantities={"QQQ": 1, "TQQQ": 1}), DAY)
    assert not monitor.is_halted
    assert monitor.causes() == ()
    monitor.check(standing(quantities={"QQQ": 1, "SQQQ": 1}), DAY)
    (cause,) = monitor.causes()
    assert (cause.state, cause.scope, cause.subject) == (TradingState.HALTED, Scope.BOOK, "etf_rotation")
    assert cause.disposition is Disposition.FLATTEN


def test_p1_takes_the_account_to_reducing_as_well() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    monitor.check(standing(cash_u6=-5_000_000), DAY)
    assert {(cause.scope, cause.state) for cause in monitor.causes()} == {
        (Scope.BOOK, TradingState.HALTED), (Scope.ACCOUNT, TradingState.REDUCING),
    }  # fmt: skip


def test_a_breach_is_told_once_and_again_when_it_comes_back() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    short = standing(quantities={"TQQQ": -1})
    assert [len(told(monitor.check(item, DAY))) for item in (short, short, standing(), short)] == [1, 0, 0, 1]


def test_what_was_sound_is_looked_at_again_after_another_standing_was_broken() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    sound, short = standing(), standing(quantities={"TQQQ": -1})
    assert [len(told(monitor.check(item, DAY))) for item in (sound, sound, short, sound, short)] == [0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("principle", "changed"),
    [
        (Principle.P1, {"cash_u6": -5_000_000}),
        (Principle.P2, {"quantities": {"QQQ": 1, "SQQQ": 1}}),
        (Principle.P3, {"opens_sent": 2}),
        (Principle.P4, {"quantities": {"TQQQ": -1}}),
        (Principle.P5, {"quantities": {"TQQQ": 1}, "is_over": True}),
    ],
)
def test_a_halt_ends_with_a_later_clean_session_and_some_only_by_the_operators_word(
    principle: Principle, changed: dict[str, object]
) -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    monitor.check(standing(**changed), DAY)
    assert monitor.halted_by == (principle,)
    assert not monitor.session_opened(DAY, is_clean=True)
    assert not monitor.session_opened(TOMORROW, is_clean=False)
    needs = principle in (Principle.P1, Principle.P2, Principle.P4)
    assert monitor.is_halted
    assert monitor.session_opened(TOMORROW, is_clean=True) is not needs
    assert monitor.is_halted is needs
    if needs:
        monitor.resume()
        assert monitor.session_opened(TOMORROW, is_clean=True)
    assert not monitor.is_halted


def test_a_word_given_before_a_new_breach_does_not_release_it() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    monitor.resume()
    monitor.check(standing(quantities={"TQQQ": -1}), DAY)
    assert not monitor.session_opened(TOMORROW, is_clean=True)


def test_etf_s16_p5_holds_from_two_minutes_after_the_close_to_the_next_open() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    session = Session(
        DAY, datetime(2025, 10, 28, 9, 30), datetime(2025, 10, 28, 16), False, False, DAY - timedelta(days=1), TOMORROW
    )
    times = {"09:29": True, "09:30": False, "16:01": False, "16:02": True}
    found = {text: monitor.is_over(session, datetime.fromisoformat(f"2025-10-28 {text}")) for text in times}
    assert found == times


def test_a_restart_remembers_the_halt() -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    monitor.check(standing(quantities={"TQQQ": -1}, opens_sent=2), DAY)
    again = PrincipleMonitor(EtfRotationSettings())
    again.restore(monitor.state())
    assert again.halted_by == (Principle.P3, Principle.P4)
    assert again.is_halted
    assert not again.session_opened(TOMORROW, is_clean=True)
    with pytest.raises(StateError, match=r"principles\.halted"):
        again.restore({"halted": "P9=2025-10-28", "resume": "false"})


@pytest.mark.parametrize(("share", "is_told"), [(0.79, True), (0.80, False), (1.0, False)])
def test_p6_a_sleeve_that_is_wanted_and_not_used_is_told_at_the_close(share: float, is_told: bool) -> None:
    monitor = PrincipleMonitor(EtfRotationSettings())
    for _ in range(60):
        monitor.use(share * 30_000, 30_000)
    assert bool(told(monitor.close_session(DAY))) is is_told
    assert not monitor.is_halted


def test_p6_half_an_hour_is_the_least_evidence_and_the_next_session_begins_anew() -> None:
    used = Utilisation()
    for _ in range(29):
        used.observe(0.0, 30_000)
    assert used.close() is None
    for _ in range(30):
        used.observe(0.0, 30_000)
    assert used.close() is not None
    assert used.close() is None
