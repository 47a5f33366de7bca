"""Books and working orders against the broker: every row of the break table, and what comparing must never do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ledger_kinds import Kind
from core.ports import Account, BrokerOrder, OrderRequest, OrderType, TimeInForce
from core.reasons import Reason
from core.reconciliation import CASH, Reconciler, Reconciliation
from core.rules import Note
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import BrokerEvent, OrderLeg, OrderOutcome, OrderStatus, Purpose, Scope, TradingState
from core.working_orders import Child
from tests.core.desk import BOOK, at, condor, put, put_spread
from tests.core.lifecycle import SETTINGS, Lifecycle


class StubBroker:
    """Holdings, cash and orders as the test says; it takes no order."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.known: dict[str, BrokerOrder] = {}
        self.at_work: list[BrokerOrder] = []
        self.cash_u6 = 0
        self.calls = 0

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        raise AssertionError("reconciling sends nothing")

    def cancel(self, order: str) -> None:
        raise AssertionError("reconciling cancels nothing")

    def position(self, symbol: str) -> int:
        return self.held.get(symbol, 0)

    def positions(self) -> Mapping[str, int]:
        return {symbol: qty for symbol, qty in self.held.items() if qty}

    def mark_price(self, symbol: str) -> float:
        return 1.0

    def open_orders(self) -> Iterable[BrokerOrder]:
        return list(self.at_work)

    def find(self, order: str) -> BrokerOrder | None:
        return self.known.get(order)

    def account(self) -> Account:
        return Account(self.cash_u6, 0, 100_000.0)


class Reconciled(Lifecycle):
    """A desk with a broker that agrees until the test changes its mind."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = StubBroker()
        self.reconciler = Reconciler(SETTINGS.state, SETTINGS.orders, self.books, self.broker)
        self.children: list[Child] = []

    def agree(self) -> None:
        self.broker.held = dict(self.books.positions())
        self.broker.cash_u6 = self.books.cash_u6

    def held(self, legs: object = None, units: int = 1) -> Trade:
        """An open trade on which book and broker agree, opened a while ago."""
        trade = self.opened(condor() if legs is None else legs, units)  # type: ignore[arg-type]
        self.agree()
        self.wait(minutes=5)
        return trade

    def child(self, trade: Trade, order: str) -> Child:
        """The gateway's view of an order that stands in the ledger."""
        legs = tuple(
            OrderLeg(self.books.instrument(symbol), qty) for symbol, qty in self.books.order_records.legs[order].items()
        )
        units = min(abs(leg.qty) for leg in legs)
        request = OrderRequest(order, OrderType.COMBO_LIMIT, TimeInForce.DAY, legs, units, 1.0)
        made = Child(
            request,
            self.now,
            self.now + timedelta(minutes=4),
            status=dict.fromkeys((leg.symbol for leg in legs), OrderStatus.SUBMITTED),
        )
        self.children.append(made)
        return made

    def compare(self) -> Reconciliation:
        """Compare, and do what the coordinator does with the answer."""
        found = self.reconciler.reconcile(self.view(), self.broker.account(), self.children)
        for note in found.notes:
            self.ledger.append(note.kind, note.book, self.now, **note.fields)
        for trade, trigger in found.triggers:
            self.state.drive(trade, trigger, self.now)
        return found

    def next_step(self) -> Reconciliation:
        self.wait(minutes=1)
        return self.compare()


@pytest.fixture
def account() -> Reconciled:
    return Reconciled()


def breaks(notes: Sequence[Note]) -> list[tuple[object, object]]:
    return [(note.fields["symbol"], note.fields["status"]) for note in notes if note.kind is Kind.BREAK]


def test_what_agrees_is_clean(account: Reconciled) -> None:
    account.held()
    assert account.compare() == Reconciliation()
    assert account.reconciler.open_breaks == ()


# ------------------------------------------------------------------------------------------------------ the break table


def test_the_broker_has_less_only_locks_and_the_agreed_quantity_can_be_closed(account: Reconciled) -> None:
    trade = account.held(units=3)
    short = put(5_900).symbol
    account.broker.held[short] = -2
    found = account.compare()
    assert breaks(found.notes) == [(short, "OPEN")]
    assert found.triggers == ()
    assert trade.state == "OPEN"
    assert {(cause.scope, cause.subject) for cause in found.causes} == {(Scope.SYMBOL, short), (Scope.BOOK, BOOK)}
    assert {cause.state for cause in found.causes} == {TradingState.REDUCING}
    assert account.books.agreed_legs(trade.id)[short] == -2


@pytest.mark.parametrize(
    ("broker", "reason"),
    [(1, Reason.BREAK_SIGN), (-2, Reason.BREAK_FOREIGN)],
)
def test_another_sign_or_more_than_ours_freezes(account: Reconciled, broker: int, reason: Reason) -> None:
    trade = account.held()
    account.broker.held[put(5_900).symbol] = broker
    found = account.compare()
    assert {cause.reason for cause in found.causes} == {reason}
    assert trade.state == "FROZEN"
    assert any(note.kind is Kind.ALERT and note.fields["severity"] == "CRITICAL" for note in found.notes)


def test_a_leg_that_is_gone_with_one_holder_is_repaired_and_its_short_is_uncovered(account: Reconciled) -> None:
    trade = account.held()
    del account.broker.held[put(5_895).symbol]
    account.compare()
    assert trade.state == "REPAIRING"
    assert account.books.uncovered(trade.id) == {put(5_900).symbol: 1}


def test_flt08_a_leg_that_is_gone_with_several_holders_freezes_them(account: Reconciled) -> None:
    trade = account.held(put_spread())
    other = account.open(put_spread(), strategy="lt112")
    account.agree()
    account.wait(minutes=5)
    del account.broker.held[put(5_895).symbol]
    account.compare()
    assert (trade.state, other.state) == (TradeState.FROZEN, TradeState.FROZEN)


def test_flt03_a_foreign_position_is_left_alone_and_locked(account: Reconciled) -> None:
    trade = account.held()
    account.broker.held["QQQ"] = 50
    found = account.compare()
    assert breaks(found.notes) == [("QQQ", "OPEN")]
    assert [(cause.reason, cause.scope, cause.subject) for cause in found.causes] == [
        (Reason.BREAK_FOREIGN, Scope.SYMBOL, "QQQ")
    ]
    assert trade.state == "OPEN"


def test_foreign_positions_are_looked_for_in_the_session_only(account: Reconciled) -> None:
    account.held()
    account.now = at(16, 5)
    account.broker.held["QQQ"] = 50
    assert account.compare().causes == ()


def test_flt03_a_foreign_order_is_left_alone(account: Reconciled) -> None:
    account.broker.at_work = [BrokerOrder("somebody", OrderStatus.SUBMITTED, {"QQQ": 1}, {}, {}, 0.0)]
    account.agree()
    found = account.compare()
    assert [cause.reason for cause in found.causes] == [Reason.BREAK_FOREIGN]
    account.broker.at_work = []
    account.next_step()
    assert account.next_step().causes == ()


def test_an_expired_leg_that_is_gone_is_settling_and_no_break(account: Reconciled) -> None:
    trade = account.held()
    account.now = at(16, 10)
    account.broker.held = {}
    found = account.compare()
    assert breaks(found.notes) == []
    assert trade.state == "SETTLING"
    assert account.compare().triggers == ()


def test_an_expired_leg_is_still_there_by_its_key_before_it_settles(account: Reconciled) -> None:
    trade = account.held()
    account.now = at(16, 10)
    assert account.compare() == Reconciliation()
    assert trade.state == "OPEN"


# -------------------------------------------------------------------------------------------------- orders that explain


def half_filled(account: Reconciled) -> tuple[Trade, Child]:
    """An order of one condor works; the broker has filled it and we have not heard."""
    trade, order = account.entering(condor())
    account.agree()
    child = account.child(trade, order)
    account.broker.held = {leg.symbol: leg.ratio for leg in trade.structure.legs}
    return trade, child


def test_what_a_working_order_explains_waits_for_sixty_seconds(account: Reconciled) -> None:
    _trade, child = half_filled(account)
    assert account.compare() == Reconciliation()
    account.wait(seconds=59)
    assert account.compare() == Reconciliation()
    account.broker.known[child.id] = BrokerOrder(child.id, OrderStatus.FILLED, {}, {}, {}, 0.0)
    account.wait(seconds=1)
    found = account.compare()
    assert found.queries == (child.id,)
    assert len(breaks(found.notes)) == 4
    assert {cause.reason for cause in found.causes} == {Reason.BREAK_QTY}


def test_a_working_order_explains_no_more_than_it_has_left(account: Reconciled) -> None:
    trade, _child = half_filled(account)
    account.broker.held[trade.structure.symbols[0]] = 2
    found = account.compare()
    assert breaks(found.notes) == [(trade.structure.symbols[0], "OPEN")]
    assert {cause.reason for cause in found.causes} == {Reason.BREAK_FOREIGN}


def test_a_working_order_explains_only_its_own_direction(account: Reconciled) -> None:
    trade = account.held()
    short = put(5_900).symbol
    account.child(trade, account.order(trade, {short: 1}, Purpose.CLOSE))
    account.broker.held[short] = -2
    assert {cause.reason for cause in account.compare().causes} == {Reason.BREAK_FOREIGN}


def test_an_order_of_ours_at_the_broker_is_not_foreign(account: Reconciled) -> None:
    trade, order = account.entering(condor())
    account.child(trade, order)
    account.agree()
    account.broker.at_work = [BrokerOrder(order, OrderStatus.SUBMITTED, {}, {}, {}, 0.0)]
    assert account.compare() == Reconciliation()


def test_rc_1_a_lost_fill_locks_within_a_minute_and_nothing_is_closed_twice(account: Reconciled) -> None:
    """The closing order filled, its reports are lost. Nothing here may send; the missing fill comes from the query."""
    trade = account.held(put_spread())
    account.state.drive(trade.id, Trigger.EXIT_DUE, account.now)
    account.intend(trade, Purpose.CLOSE, "EXIT_TIME")
    order = account.order(trade, {symbol: -qty for symbol, qty in trade.legs.items()}, Purpose.CLOSE)
    child = account.child(trade, order)
    account.broker.held = {}
    account.broker.known[order] = BrokerOrder(order, OrderStatus.FILLED, {}, {}, {}, 0.0)
    account.compare()
    found = account.next_step()
    assert {cause.subject for cause in found.causes if cause.scope is Scope.BOOK} == {BOOK}
    assert found.queries == (order,)
    for symbol, qty in dict(trade.legs).items():  # what the query brings
        account.fill(trade, order, symbol, -qty, 500_000)
    account.end(trade, order)
    child.outcome = OrderOutcome.FILLED
    account.children.clear()
    account.agree()
    account.state.drive(trade.id, Trigger.FLAT, account.now)
    account.next_step()
    cleared = account.next_step()
    assert cleared.causes == ()
    assert trade.state == "CLOSED"
    assert account.reconciler.open_breaks == ()


def test_fp42_after_death_with_half_a_group_filled_it_is_recovered_only_when_books_equal_the_broker(
    account: Reconciled,
) -> None:
    """Two of four legs were booked before the process died; the broker has filled all four."""
    trade, order = account.entering(condor())
    account.fill_legs(trade, order, only=2)
    account.broker.cash_u6 = account.books.cash_u6
    account.broker.held = {leg.symbol: leg.ratio for leg in trade.structure.legs}
    account.broker.known[order] = BrokerOrder(order, OrderStatus.FILLED, {}, {}, {}, 0.0)
    child = account.child(trade, order)
    child.filled = dict(account.books.positions())
    child.unresolved_at = account.now
    assert account.compare().queries == (order,)
    assert not account.next_step().is_clean
    for leg in trade.structure.legs[2:]:  # what the query brings
        account.fill(trade, order, leg.symbol, leg.ratio, 1_000_000)
    account.end(trade, order)
    account.children.clear()
    account.agree()
    account.next_step()
    assert account.next_step().is_clean
    assert trade.units == 1


def test_an_order_in_doubt_locks_strategy_and_symbols_at_once(account: Reconciled) -> None:
    trade, child = half_filled(account)
    child.unresolved_at = account.now
    account.broker.known[child.id] = BrokerOrder(child.id, OrderStatus.SUBMITTED, {}, {}, {}, 0.0)
    found = account.compare()
    assert found.queries == (child.id,)
    subjects = {cause.subject for cause in found.causes if cause.name.startswith("unresolved")}
    assert subjects == {BOOK, *trade.structure.symbols}


@pytest.mark.parametrize(("waited_s", "settled"), [(119, ()), (120, (OrderOutcome.LOST,))])
def test_an_order_that_the_broker_does_not_know_is_lost_after_its_time(
    account: Reconciled, waited_s: int, settled: tuple[OrderOutcome, ...]
) -> None:
    trade, order = account.entering(condor())
    account.agree()
    child = account.child(trade, order)
    child.unresolved_at = account.now
    account.wait(seconds=waited_s)
    found = account.compare()
    assert tuple(outcome for _order, outcome in found.settled) == settled


def test_an_order_that_holdings_betray_is_not_lost(account: Reconciled) -> None:
    _trade, child = half_filled(account)
    child.unresolved_at = account.now
    account.wait(minutes=10)
    assert account.compare().settled == ()


def test_flt06_holdings_that_lag_behind_a_fill_wait(account: Reconciled) -> None:
    trade = account.opened(condor())
    account.broker.cash_u6 = account.books.cash_u6
    assert account.compare() == Reconciliation()
    account.wait(seconds=3)
    account.agree()
    assert account.compare() == Reconciliation()
    account.broker.held[trade.structure.symbols[0]] = 0
    assert account.next_step().causes != ()  # the fill is more than a minute old by now


def test_a_wait_that_has_ended_does_not_count_for_the_next(account: Reconciled) -> None:
    trade = account.opened(condor())
    assert account.compare() == Reconciliation()  # the broker has not heard of the fill
    account.wait(seconds=20)
    account.agree()
    assert account.compare() == Reconciliation()
    account.wait(seconds=50)
    short = put(5_900).symbol
    account.fill(trade, account.order(trade, {short: 1}, Purpose.CLOSE), short, 1, 500_000)
    assert account.compare() == Reconciliation()  # nor of this one, 70 s after the first


# ----------------------------------------------------------------------------------------------------------------- cash


@pytest.mark.parametrize(("off_usd", "broken"), [(10.9, False), (-10.9, False), (11.1, True), (-11.1, True)])
def test_cash_may_differ_by_a_dollar_and_a_hundredth_of_a_percent(
    account: Reconciled, off_usd: float, broken: bool
) -> None:
    account.held()
    account.broker.cash_u6 += round(off_usd * 1e6)
    found = account.compare()
    assert bool(found.causes) is broken
    if broken:
        (cause,) = found.causes
        assert (cause.scope, cause.reason, cause.state) == (Scope.ACCOUNT, Reason.BREAK_CASH, TradingState.REDUCING)
        assert breaks(found.notes) == [(CASH, "OPEN")]


def test_cash_clears_when_it_agrees_again(account: Reconciled) -> None:
    account.held()
    account.broker.cash_u6 += 50_000_000
    account.compare()
    account.broker.cash_u6 -= 50_000_000
    assert account.next_step().causes != ()
    assert account.next_step().causes == ()


def test_unsettled_cash_counts(account: Reconciled) -> None:
    account.held()
    view = account.view()
    ours = account.books.cash_u6
    assert account.reconciler.reconcile(view, Account(ours - 10**9, 10**9, 1e5), []).causes == ()


def test_money_is_not_judged_while_holdings_are_in_doubt(account: Reconciled) -> None:
    account.held()
    account.broker.held["QQQ"] = 1
    account.broker.cash_u6 -= 600_000_000
    assert {cause.reason for cause in account.compare().causes} == {Reason.BREAK_FOREIGN}


# ------------------------------------------------------------------------------------------------------------ unlocking


def test_a_break_unlocks_after_two_clean_steps_and_the_trade_goes_on(account: Reconciled) -> None:
    trade = account.held()
    account.broker.held[put(5_900).symbol] = 1
    account.compare()
    account.agree()
    first = account.next_step()
    assert first.causes != ()
    assert trade.state == "FROZEN"
    second = account.next_step()
    assert second.causes == ()
    assert breaks(second.notes) == [(put(5_900).symbol, "CLEARED")]
    assert trade.state == "OPEN"
    assert account.books.breaks == {}


def test_comparing_often_in_one_step_does_not_make_it_two_clean_steps(account: Reconciled) -> None:
    account.held()
    account.broker.held[put(5_900).symbol] = 1
    account.compare()
    account.agree()
    account.wait(minutes=1)
    for _ in range(5):
        assert account.compare().causes != ()


def test_a_break_that_comes_back_starts_counting_anew(account: Reconciled) -> None:
    account.held()
    for _ in range(3):
        account.broker.held[put(5_900).symbol] = 1
        account.next_step()
        account.agree()
        assert account.next_step().causes != ()
    assert account.next_step().causes == ()


def test_a_trade_with_two_breaks_is_freed_by_the_last(account: Reconciled) -> None:
    trade = account.held()
    account.broker.held |= {put(5_900).symbol: 1, put(5_895).symbol: -1}
    account.compare()
    account.broker.held[put(5_900).symbol] = -1
    account.next_step()
    account.next_step()
    assert trade.state == "FROZEN"
    account.agree()
    account.next_step()
    account.next_step()
    assert trade.state == "OPEN"


def test_a_difference_that_changes_is_written_again(account: Reconciled) -> None:
    account.held(units=3)
    for broker in (-2, -2, -1):
        account.broker.held[put(5_900).symbol] = broker
        account.next_step()
    rows = account.records("BREAK")
    assert [row["broker_qty"] for row in rows] == [-2, -1]
    assert all(row["locked"] == [put(5_900).symbol, BOOK] for row in rows)


# ----------------------------------------------------------------------------------------------------------------- laws


SYMBOLS = [leg.symbol for leg in condor().legs] + ["QQQ"]


@given(st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(-3, 3)), max_size=8), st.integers(-(10**8), 10**8))
def test_rc_p1_reconciling_twice_says_the_same_and_sends_nothing(changes: list[tuple[str, int]], cash: int) -> None:
    account = Reconciled()
    account.held(units=2)
    for symbol, qty in changes:
        account.broker.held[symbol] = qty
        account.broker.cash_u6 += cash
        account.wait(minutes=1)
        first = account.compare()
        lines = account.ledger.seq
        for _ in range(3):
            again = account.compare()
            assert again.causes == first.causes
            assert (again.notes, again.triggers) == ((), ())
        assert account.ledger.seq == lines


@given(st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(-3, 3)), max_size=8))
def test_every_difference_is_locked_within_a_minute_and_every_lock_opens_again(changes: list[tuple[str, int]]) -> None:
    account = Reconciled()
    account.held(units=2)
    for symbol, qty in changes:
        account.broker.held[symbol] = qty
        found = account.next_step()
        differing = {name for name in SYMBOLS if account.broker.position(name) != account.books.position(name)}
        locked = {cause.subject for cause in found.causes if cause.scope is Scope.SYMBOL}
        assert differing <= locked
        assert locked <= set(account.reconciler.open_breaks)
    account.agree()
    account.next_step()
    assert account.next_step().causes == ()
    assert account.books.breaks == {}
