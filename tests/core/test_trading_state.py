"""The trading state is the worst of all causes, each with its own scope and release."""

from __future__ import annotations

from core.reasons import Reason
from core.rules import Cause
from core.trading_state import StateBoard
from core.vocabulary import Disposition, Gate, Scope, TradingState

REDUCING, HALTED, ACTIVE = TradingState.REDUCING, TradingState.HALTED, TradingState.ACTIVE
BREAKER = Cause("breaker.DAILY", REDUCING, Reason.BREAKER_DAILY, Gate.BREAKER)
FEED = Cause("feed.silent", REDUCING, Reason.FEED_SILENT, Gate.DATA)
FLATTEN = Cause("breaker.halt", HALTED, Reason.BREAKER_DAILY, Gate.BREAKER, disposition=Disposition.FLATTEN)
FREEZE = Cause("gateway", HALTED, Reason.COMPONENT_NOT_READY, disposition=Disposition.FREEZE)


def test_the_worst_cause_decides_and_each_is_released_alone() -> None:
    board = StateBoard()
    assert [change.after for change in board.replace([BREAKER, FLATTEN])] == [HALTED]
    assert [change.after for change in board.replace([BREAKER])] == [REDUCING]
    assert board.replace([BREAKER]) == ()
    assert [(change.before, change.after, change.cause) for change in board.replace([])] == [
        (REDUCING, ACTIVE, "released")
    ]


def test_a_book_cause_concerns_only_its_book() -> None:
    board = StateBoard()
    board.replace([Cause("break.X", REDUCING, Reason.BREAK_QTY, scope=Scope.BOOK, subject="friday_0dte")])
    assert board.of("friday_0dte")[0] is REDUCING
    assert board.of("lt112")[0] is ACTIVE
    assert board.account() is ACTIVE


def test_a_symbol_cause_refuses_only_intents_with_that_symbol() -> None:
    board = StateBoard()
    board.replace([Cause("break.X", REDUCING, Reason.BREAK_QTY, scope=Scope.SYMBOL, subject="X")])
    assert board.refusal(Gate.LIFECYCLE, "any", ["Y"]) is None
    refusal = board.refusal(Gate.LIFECYCLE, "any", ["X", "Y"])
    assert refusal is not None
    assert refusal.reason is Reason.BREAK_QTY


def test_a_cause_is_refused_by_the_gate_that_owns_it_with_its_own_reason() -> None:
    board = StateBoard()
    board.replace([BREAKER, FEED])
    assert board.refusal(Gate.LIFECYCLE, "any") is None
    for gate, reason in ((Gate.BREAKER, Reason.BREAKER_DAILY), (Gate.DATA, Reason.FEED_SILENT)):
        refusal = board.refusal(gate, "any")
        assert refusal is not None
        assert refusal.reason is reason


def test_a_cause_that_no_gate_owns_is_refused_by_lifecycle_with_the_state() -> None:
    board = StateBoard()
    board.replace([Cause("break.cash", REDUCING, Reason.BREAK_CASH)])
    refusal = board.refusal(Gate.LIFECYCLE, "any")
    assert refusal is not None
    assert refusal.reason is Reason.STATE_REDUCING
    assert refusal.detail["cause"] == "break.cash"


def test_a_halt_flattens_unless_a_freeze_outweighs_it() -> None:
    board = StateBoard()
    board.replace([FLATTEN])
    assert board.of("any") == (HALTED, True)
    assert board.wants_flat("any") is not None
    board.replace([FLATTEN, FREEZE])
    assert board.of("any") == (HALTED, False)
    assert board.wants_flat("any") is None
