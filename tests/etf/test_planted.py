"""The integrity test can fail: faults are planted in the book, and each turns it red for its own reason.

A fault in one part alone is often caught by the next one; those cases are here as well, because a defence that nobody
has seen hold may not be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.eastern import from_utc_text
from core.family import SizingFacts
from core.family_desk import FamilyDesk
from core.family_entry import FamilyEntry
from core.family_fold import FamilyFold
from core.family_orders import FamilyOrders
from core.family_reconciler import FamilyHoldings, FamilyOrder, FamilyWorking, Plan, reconcile
from core.report_desk import ReportDesk
from core.session_gate import SessionGate
from core.vocabulary import BrokerEvent, FamilyTarget, Purpose, SessionPhase, Verdict
from risk.family_sizer import FamilySizer
from tools.integrity.cells import PROFILE, Cell, Policy
from tools.integrity.result import CellResult, run_cell
from tools.integrity.run import run
from tools.integrity.tape import MINUTE
from tools.integrity.venue import RATES, Fault, Rates

Patch = pytest.MonkeyPatch
BUSY = Cell("random", policy=Policy.STRESS, seed=3, blocks=1)
HOLDING = Cell("look_ahead 0.60", seed=3, blocks=1)


@pytest.fixture(autouse=True)
def _room_for_more(monkeypatch: Patch) -> None:
    """Take a sleeve that leaves room for a second one: with three quarters of equity margin alone would forbid it."""
    monkeypatch.setitem(PROFILE, "etf_rotation.sleeve_fraction", "0.30")


def result_of(cell: Cell) -> CellResult:
    return run_cell(cell)[0]


def without_the_last_word(patch: Patch) -> None:
    patch.setattr(FamilyOrders, "_judge_final", lambda *_arguments: Verdict.allow())


def forgets_what_is_held(patch: Patch) -> None:
    """A policy that decides as if every bar began in CASH: the edges of the sides meet."""
    patch.setattr(FamilyFold, "held", lambda self: FamilyTarget.CASH)


def opens_beside_a_holding(patch: Patch) -> None:
    """A reconciler that closes only where CASH is wanted."""

    def careless(target: FamilyTarget, *arguments: Any, **named: Any) -> Plan:
        return reconcile(target, *arguments, **named) if target is FamilyTarget.CASH else Plan()

    patch.setattr("core.family_desk.reconcile", careless)


def counts_sent_closes_as_done(patch: Patch) -> None:
    """A fold that takes an order for its fill: what is on its way out is gone already."""
    holdings, working = FamilyOrders.holdings, FamilyOrders.working

    def hopeful(self: FamilyOrders, now: Any) -> FamilyHoldings:
        real = holdings(self, now)
        leaving = {item.symbol: item.qty for item in working(self) if not item.is_opening}
        book, broker = (
            {symbol: qty + leaving.get(symbol, 0) for symbol, qty in one.items() if qty + leaving.get(symbol, 0)}
            for one in (real.book, real.broker)
        )
        return FamilyHoldings(book, broker, closed_in_step=False, opens_in_bar=real.opens_in_bar)

    def openings(self: FamilyOrders) -> tuple[FamilyWorking, ...]:
        return tuple(item for item in working(self) if item.is_opening)

    patch.setattr(FamilyOrders, "holdings", hopeful)
    patch.setattr(FamilyOrders, "working", openings)
    patch.setattr(FamilyOrders, "is_leaving", lambda self: False)


def every_report_is_late(patch: Patch) -> None:
    patch.setitem(RATES, Fault.LATE, Rates(late=1.0))


def lets_go_of_the_close(patch: Patch) -> None:
    """A gate that does not flatten, and a desk that does not care that the exit is due."""
    patch.setattr(SessionGate, "apply", lambda self, decision, phase, held, halted=False: decision)
    patch.setattr(FamilyOrders, "is_leaving", lambda self: False)


def buys_on_credit(patch: Patch) -> None:
    """A sizer that takes the account's margin for money."""
    value = FamilySizer.target_value
    patch.setattr(FamilySizer, "target_value", lambda self, target, facts: 8.0 * (value(self, target, facts) or 0.0))

    def bounds(
        self: FamilySizer, target: FamilyTarget, price: float, missing: float, facts: SizingFacts
    ) -> Mapping[str, int]:
        return dict.fromkeys(("TARGET", "MARGIN", "STRESS", "CASH", "EXPOSURE", "LIQUIDITY"), int(missing / price))

    patch.setattr(FamilySizer, "_bounds", bounds)


def opens_twice_a_bar(patch: Patch) -> None:
    """No cap on openings in a bar: each is followed at once by one more."""
    enter = FamilyDesk.enter

    def twice(self: FamilyDesk, *arguments: Any) -> str | None:
        line = enter(self, *arguments)
        if line is not None:
            with pytest.MonkeyPatch.context() as again:
                again.setattr(FamilyOrders, "working", lambda _self: ())
                again.setattr(FamilyEntry, "_own", lambda *_arguments: None)
                enter(self, *arguments)
        return line

    patch.setattr(FamilyDesk, "enter", twice)


def opens_towards_the_close(patch: Patch) -> None:
    """Neither gate nor entry look at the phase before the flatten."""
    apply = SessionGate.apply

    def late(self: SessionGate, decision: Any, phase: SessionPhase | None, held: Any, halted: bool = False) -> Any:
        return apply(self, decision, SessionPhase.REGULAR if phase is SessionPhase.LATE else phase, held, halted=halted)

    patch.setattr(SessionGate, "apply", late)
    patch.setattr("core.family_entry._phase", lambda snapshot: None)
    patch.setattr("core.family_desk.gate_of", lambda phase: _of(SessionPhase.REGULAR, phase))


def _of(shown: SessionPhase, phase: SessionPhase | None) -> Any:
    from core.session_gate import gate_of

    return gate_of(shown if phase is SessionPhase.LATE else phase)


def sells_twice(patch: Patch) -> None:
    """A close that asks neither the broker nor what is at work, and takes no answer for none."""
    close = FamilyOrders.close

    def double(self: FamilyOrders, order: FamilyOrder, *arguments: Any, **named: Any) -> None:
        qty = order.qty * (2 if order.purpose is Purpose.CLOSE else 1)
        close(self, FamilyOrder(order.symbol, qty, order.purpose), *arguments, **named)

    patch.setattr(FamilyOrders, "close", double)


def books_a_better_price(patch: Patch) -> None:
    """A ledger that is kinder than the broker: a cent a share on every fill."""
    write = ReportDesk._write_fill

    def kind(self: ReportDesk, parent: Any, child: Any, event: BrokerEvent, source: Any, now: Any) -> None:
        cent = -10_000 if event.qty > 0 else 10_000
        better = BrokerEvent(
            event.order, event.symbol, event.status, event.qty, event.price_u6 + cent, event.fee_u6, event.exec_time
        )
        write(self, parent, child, better, source, now)

    patch.setattr(ReportDesk, "_write_fill", kind)


def forgets_the_gateways_checks(patch: Patch) -> None:
    patch.setattr("core.order_sender.OrderSender.refusal", lambda *_arguments: None)


def without_the_gateways_own_checks(patch: Patch) -> None:
    """The last checks of each order are gone, but for the book's own last word."""
    patch.setattr("core.order_sender.judge_order", lambda *_arguments: Verdict.allow())


RED: list[tuple[str, Cell, tuple[Callable[[Patch], None], ...], str]] = [
    (
        "a reconciler that opens beside a holding",
        BUSY,
        (forgets_what_is_held, opens_beside_a_holding, without_the_last_word),
        "both sides",
    ),
    (
        "a fold that counts orders as fills",
        Cell("random", Fault.LATE, Policy.STRESS, seed=3, blocks=1),
        (forgets_what_is_held, counts_sent_closes_as_done, without_the_last_word, every_report_is_late),
        "AU-47",
    ),
    ("a gate that does not flatten", Cell("constant", blocks=1), (lets_go_of_the_close,), "nights with something held"),
    ("a sizer that uses margin credit", HOLDING, (buys_on_credit, without_the_last_word), "cash was -"),
    ("no cap on openings in a bar", BUSY, (opens_twice_a_bar, without_the_last_word), "openings beyond one"),
    ("openings towards the close", HOLDING, (opens_towards_the_close,), "AU-48"),
    ("a close that sells twice", HOLDING, (sells_twice, forgets_the_gateways_checks), "below zero"),
    ("a ledger that is kinder than the broker", BUSY, (books_a_better_price,), "the ledger ends with"),
]


@pytest.mark.parametrize(("cell", "plants", "said"), [row[1:] for row in RED], ids=[row[0] for row in RED])
def test_a_planted_fault_turns_the_integrity_test_red(
    cell: Cell, plants: tuple[Callable[[Patch], None], ...], said: str, monkeypatch: Patch
) -> None:
    for plant in plants:
        plant(monkeypatch)
    result = result_of(cell)
    assert any(said in sentence for sentence in result.failures), result.failures


HELD: list[tuple[str, Cell, tuple[Callable[[Patch], None], ...]]] = [
    ("the policy never asks for the other side of what is held", BUSY, (opens_beside_a_holding, without_the_last_word)),
    ("the reconciler closes first", BUSY, (forgets_what_is_held, without_the_last_word)),
    ("the last word stops an opening beside a holding", BUSY, (forgets_what_is_held, opens_beside_a_holding)),
    ("the last word stops a second opening in a bar", BUSY, (opens_twice_a_bar,)),
    ("cash is proven once more when an order is final", HOLDING, (buys_on_credit,)),
    ("the last word stops a close of more than is held", HOLDING, (sells_twice, without_the_gateways_own_checks)),
    ("the gateway stops a close of more than is held", HOLDING, (sells_twice, without_the_last_word)),
]


@pytest.mark.parametrize(("cell", "plants"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_a_second_defence_holds_where_the_first_one_is_gone(
    cell: Cell, plants: tuple[Callable[[Patch], None], ...], monkeypatch: Patch
) -> None:
    for plant in plants:
        plant(monkeypatch)
    count = result_of(cell).venue
    assert (count.conflicts, count.shorts, count.crowded) == (0, 0, 0)
    assert count.lowest_cash_u6 >= 0


def test_both_counts_see_the_same_conflicts_where_there_are_any(monkeypatch: Patch) -> None:
    for plant in (forgets_what_is_held, opens_beside_a_holding, without_the_last_word):
        plant(monkeypatch)
    result = result_of(BUSY)
    assert result.venue.conflicts == result.auditor.conflicts > 0
    assert result.exit_code == 1


def test_at_the_first_conflict_the_book_is_halted_sold_and_stays_out(monkeypatch: Patch) -> None:
    for plant in (forgets_what_is_held, opens_beside_a_holding, without_the_last_word):
        plant(monkeypatch)
    ran = run(replace(BUSY, blocks=2))
    records = [json.loads(line) for line in ran.ledger.splitlines()]
    breaches = [record for record in records if record["kind"] == "BREACH"]
    assert [record["principle"] for record in breaches] == ["P2"]
    at = from_utc_text(breaches[0]["time"])
    halts = [record for record in records if record["kind"] == "TRADING_STATE" and record["to"] == "HALTED"]
    assert from_utc_text(halts[0]["time"]) - at <= MINUTE
    assert [order for sent, order, opens in ran.venue.sent if opens and sent > at] == []
    assert ran.venue.executions[-1].held == {}
    assert ran.venue.executions[-1].at - at <= 2 * MINUTE
    after = [record for record in records if record["kind"] == "SIGNAL" and record["seq"] > halts[0]["seq"]]
    assert {(record["target"], record["reason"]) for record in after} == {("CASH", "BOOK_HALTED")}


def test_nothing_planted_is_green() -> None:
    assert [result_of(cell).failures for cell in (BUSY, HOLDING)] == [(), ()]
