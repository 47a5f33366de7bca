"""Faults of the link and of the broker's own doing, on the whole order path: FLT-01, FLT-03, FLT-06, FLT-08."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

import pytest

from core.ledger_kinds import FillSource, Kind
from core.ports import OrderRequest, OrderType, TimeInForce
from core.reasons import Reason
from core.trade_machine import TradeState
from core.vocabulary import Ladder, OrderLeg, Purpose, TradingState
from tests.core.desk import BOOK, call
from tests.core.fake_broker import FakeBroker, Placed
from tests.core.order_desk import CONDOR, LC, LP, PUT_SPREAD, SC, SP, OrderDesk

MINUTE = timedelta(minutes=1)
LEGS = (LP, SP, SC, LC)
SUBSETS = [subset for size in (1, 2, 3, 4) for subset in combinations(LEGS, size)]
FOREIGN = call(6_050)


def fills_all_but_openings(broker: FakeBroker, placed: Placed) -> None:
    if "|OPEN|" not in placed.id:
        broker.fill(placed)


@pytest.fixture
def desk() -> OrderDesk:
    return OrderDesk()


def alerts(desk: OrderDesk) -> set[str]:
    return {record["code"] for record in desk.records(Kind.ALERT)}


# ------------------------------------------------------------------------ FLT-01: fills are lost while the link is down


@pytest.mark.parametrize(
    "lost", SUBSETS, ids=lambda subset: "".join(symbol[-9:-8] + symbol[-6:-3] for symbol in subset)
)
def test_flt01_fills_of_a_close_lost_on_a_disconnect_lock_within_a_minute_and_nothing_is_closed_twice(
    desk: OrderDesk, lost: tuple[str, ...]
) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.broker.forgets = True  # the link is down: nothing is said, nothing is answered

    def fill() -> None:
        desk.broker.fill(legs=[symbol for symbol in LEGS if symbol not in lost])
        desk.broker.fill(legs=lost, report=False)

    desk.step(fill)
    desk.step()
    assert all(desk.board.of(BOOK, (symbol,))[0] is not TradingState.ACTIVE for symbol in lost)
    desk.enter(PUT_SPREAD, worst=0.5)
    desk.step()
    assert len(desk.orders(Purpose.OPEN)) == 1, "new risk beside a difference"
    assert len(desk.orders(Purpose.CLOSE)) == 1, "closed twice"
    desk.broker.forgets = False
    desk.run(5)
    assert desk.broker.positions() == {}, "what was closed was traded again"
    assert dict(desk.books.positions()) == {}
    assert trade.state is TradeState.CLOSED
    assert len(desk.orders(Purpose.CLOSE)) == 1


@pytest.mark.parametrize("lost", [LEGS, (LP, SP), (SC,)])
def test_flt01_fills_of_an_opening_lost_on_a_disconnect_are_booked_from_the_brokers_word(
    desk: OrderDesk, lost: tuple[str, ...]
) -> None:
    trade = desk.enter()
    desk.broker.forgets = True

    def fill() -> None:
        desk.broker.fill(legs=[symbol for symbol in LEGS if symbol not in lost])
        desk.broker.fill(legs=lost, report=False)

    desk.step(fill)
    desk.broker.forgets = False
    desk.run(4)
    assert dict(desk.books.positions()) == desk.broker.positions()
    assert len(desk.orders(Purpose.OPEN)) == 1
    recovered = {record["symbol"] for record in desk.records(Kind.FILL)} >= set(lost)
    sources = {record["source"] for record in desk.records(Kind.FILL) if record["symbol"] in lost}
    assert recovered
    assert FillSource.RECOVERED.value in sources
    assert trade.units == 1 or trade.is_flat


# ------------------------------------------------------------------------------------ FLT-03: what is not ours to touch


def test_flt03_a_foreign_position_and_a_foreign_order_are_left_alone_while_our_trade_leaves(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.quote(FOREIGN.symbol, 1.0, 1.1)
    theirs = OrderRequest("somebody's", OrderType.LIMIT, TimeInForce.DAY, (OrderLeg(FOREIGN, -1),), 1, 1.0)
    desk.broker.holdings[FOREIGN.symbol] = 2
    desk.broker.orders[theirs.order] = Placed(theirs, desk.now, {FOREIGN.symbol: 1.0})
    desk.run(2)
    assert "BREAK_FOREIGN" in alerts(desk)
    locked = {symbol for record in desk.records(Kind.BREAK) for symbol in record["locked"]}
    assert FOREIGN.symbol in locked
    desk.leave_by(trade, Ladder.URGENT)
    desk.step_with_fill()
    desk.run(3)
    assert trade.state is TradeState.CLOSED
    assert desk.broker.orders[theirs.order].is_open
    assert desk.broker.orders[theirs.order].cancels == 0
    assert desk.broker.positions() == {FOREIGN.symbol: 2}


def test_flt03_a_foreign_order_that_fills_in_our_symbol_freezes_it_and_is_not_traded_away(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.broker.holdings[SP] -= 1  # somebody sold one more of ours
    desk.run(3)
    assert trade.state is TradeState.FROZEN
    sent = len(desk.broker.orders)
    desk.run(5)
    assert len(desk.broker.orders) == sent
    assert desk.broker.position(SP) == -2


# ------------------------------------------------------------------- FLT-06: holdings come late, or with the wrong sign


def test_flt06_holdings_that_come_seconds_late_cost_no_order_and_no_lock(desk: OrderDesk) -> None:
    trade = desk.enter()
    late = dict(desk.broker.holdings)
    desk.broker.fill()
    seen, desk.broker.holdings = desk.broker.holdings, late
    desk.attend(seconds=2)
    desk.step()  # the broker still shows the account of before the fill
    desk.broker.holdings = seen
    desk.run(2)
    assert trade.state is TradeState.OPEN
    assert desk.records(Kind.BREAK) == []
    assert len(desk.broker.orders) == 1
    assert desk.audited() == []


def test_flt06_a_close_that_the_broker_books_as_an_opening_is_seen_and_never_doubled(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    before = dict(desk.broker.holdings)
    desk.broker.fill()
    desk.broker.holdings = {symbol: 2 * qty for symbol, qty in before.items()}  # booked on the wrong side
    sent = len(desk.broker.orders)
    desk.run(5)
    assert "BREAK_FOREIGN" in alerts(desk)
    assert {symbol for record in desk.records(Kind.BREAK) for symbol in record["locked"]} >= set(LEGS)
    assert len(desk.broker.orders) == sent, "a flip of the broker's own making is the operator's to undo"
    desk.enter(CONDOR)
    desk.step()
    assert len(desk.broker.orders) == sent


# ---------------------------------------------------------------------------- FLT-08: the broker closes a leg by itself


@pytest.mark.parametrize(("gone", "bare"), [(LP, SP), (LC, SC)])
def test_flt08_a_wing_that_the_broker_sells_leaves_a_short_that_is_covered_within_a_minute(
    desk: OrderDesk, gone: str, bare: str
) -> None:
    trade = desk.opened()
    desk.run_to(15, 29)
    desk.broker.each_minute = fills_all_but_openings
    desk.broker.holdings.pop(gone)
    desk.step()
    assert trade.state is TradeState.REPAIRING
    (repair,) = desk.orders(Purpose.REPAIR)
    assert desk.legs_of(repair) == {bare: 1}
    desk.step()
    assert desk.broker.position(bare) == 0
    assert desk.longest_uncovered <= MINUTE
    desk.run(20)
    assert desk.broker.positions() == {}


def test_flt08_when_the_broker_buys_a_short_back_what_is_left_is_closed_in_its_time(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.broker.each_minute = fills_all_but_openings
    desk.broker.holdings.pop(SP)
    desk.run(3)
    assert desk.books.uncovered_shorts == ()
    assert Reason.BREAK_QTY.value in alerts(desk)
    desk.run_to(15, 40)
    (closing,) = desk.orders(Purpose.CLOSE)
    assert desk.legs_of(closing) == {LP: -1, SC: 1, LC: -1}  # what book and broker agree on
    assert desk.broker.positions() == {}
    assert dict(desk.books.positions()) == {SP: -1}  # the operator's to adopt
    assert trade.state is TradeState.EXITING
