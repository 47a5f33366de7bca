"""The broker's answer is unknown: the reservation stays, nothing is repeated, and every doubt ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.ledger_kinds import Kind
from core.reasons import Reason
from core.trade_machine import TradeState
from core.vocabulary import BrokerEvent, Ladder, OrderStatus, Purpose
from tests.core.order_desk import LC, LP, PUT_SPREAD, SC, SP, OrderDesk


@pytest.fixture
def desk() -> OrderDesk:
    return OrderDesk()


def test_no_acknowledgement_in_half_a_minute_is_a_doubt_and_no_second_order_leaves(desk: OrderDesk) -> None:
    desk.broker.acknowledges = False
    desk.broker.hears_cancels = False
    trade = desk.enter()
    order = desk.broker.last.id
    desk.run(6)
    assert desk.outcomes(order) == ["UNRESOLVED"]
    assert len(desk.broker.orders) == 1
    assert desk.states(trade)[-1] == "FROZEN"
    assert desk.audited() == []


def test_an_order_in_doubt_locks_its_strategy_and_its_symbols(desk: OrderDesk) -> None:
    desk.broker.acknowledges = desk.broker.hears_cancels = False
    desk.enter()
    desk.run(2)
    desk.broker.acknowledges = True
    refused = desk.enter(PUT_SPREAD, worst=0.5)
    assert refused.state is TradeState.CANCELLED
    assert desk.refusals() == ["DENIED_STATE"]


def test_an_order_in_doubt_that_the_broker_has_at_work_is_cancelled_and_ends_the_opening(desk: OrderDesk) -> None:
    desk.broker.acknowledges = False
    trade = desk.enter()
    desk.run(1)
    assert desk.broker.open == []
    assert desk.outcomes(desk.broker.last.id) == ["UNRESOLVED", "CANCELLED"]
    desk.run(3)
    assert len(desk.broker.orders) == 1
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_an_order_in_doubt_that_filled_in_silence_is_booked_from_the_brokers_word(desk: OrderDesk) -> None:
    desk.broker.acknowledges = False
    trade = desk.enter()
    desk.step_with_fill(report=False)
    assert (trade.units, trade.state) == (1, TradeState.OPEN)
    assert dict(desk.books.positions()) == dict(desk.broker.positions())
    assert desk.books.cash_u6 == desk.broker.account().cash_u6
    assert {record["source"] for record in desk.records(Kind.FILL)} == {"RECOVERED"}
    assert desk.audited() == []


def test_an_order_that_the_broker_never_heard_of_is_lost_after_two_minutes_and_not_sent_again(desk: OrderDesk) -> None:
    desk.broker.acknowledges = False
    trade = desk.enter()
    desk.broker.orders[desk.broker.last.id].status = OrderStatus.INVALID
    desk.broker.forgets = True
    desk.run(2)
    order = desk.broker.last.id
    assert desk.outcomes(order) == ["UNRESOLVED"]
    desk.run(3)
    assert desk.outcomes(order) == ["UNRESOLVED", "LOST"]
    desk.run(3)
    assert len(desk.broker.orders) == 1
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_a_closing_that_was_lost_is_planned_anew_for_what_is_held(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.demand(trade, Ladder.URGENT)
    desk.broker.acknowledges = False
    desk.step()
    lost = desk.broker.last
    lost.status = OrderStatus.INVALID
    desk.broker.forgets = True
    desk.broker.acknowledges = True
    desk.run(4)
    desk.broker.forgets = False
    assert desk.outcomes(lost.id) == ["UNRESOLVED", "LOST"]
    desk.step()
    assert desk.broker.last is not lost
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_no_confirmation_of_a_cancel_in_a_minute_is_a_doubt_and_the_cancel_is_sent_again(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.demand(trade, Ladder.URGENT)
    desk.step()
    desk.broker.hears_cancels = False
    order = desk.broker.last
    desk.run(3)
    assert desk.outcomes(order.id) == ["UNRESOLVED"]
    assert order.cancels >= 2
    assert len(desk.orders(Purpose.CLOSE)) == 1
    desk.broker.hears_cancels = True
    desk.run(1)
    assert len(desk.orders(Purpose.CLOSE)) == 2
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_flt04_a_fill_that_is_spoken_of_and_did_not_come_is_a_doubt_and_no_end(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    desk.leave_by(trade, Ladder.URGENT)
    order = desk.broker.last

    def first_unit_in_silence_then_filled() -> None:
        desk.broker.fill(units=1, report=False)
        desk.broker.fill()

    desk.step(first_unit_in_silence_then_filled)
    desk.run(2)
    assert len(desk.orders(Purpose.CLOSE)) == 1
    assert order.cancels == 0
    assert desk.outcomes(order.id)[-1] == "FILLED"
    assert trade.state is TradeState.CLOSED
    assert dict(desk.broker.positions()) == {}
    assert desk.audited() == []


def test_flt04_a_rejected_close_is_not_repeated_before_holdings_were_compared(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.broker.rejects = "position is zero"
    for symbol in (LP, SP, SC, LC):
        desk.broker.holdings[symbol] = 0  # somebody closed it elsewhere
    desk.demand(trade, Ladder.URGENT)
    desk.run(12)
    assert len(desk.orders(Purpose.CLOSE)) <= 1
    assert set(desk.broker.positions()) == set()


def test_flt04_rejects_without_end_stop_after_eight_children_and_pause(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.broker.rejects = "try again later"
    desk.demand(trade, Ladder.URGENT)
    desk.run(20)
    by_intent: dict[str, int] = {}
    for record in desk.records(Kind.ORDER_INTENT):
        by_intent[record["intent"]] = by_intent.get(record["intent"], 0) + 1
    assert max(by_intent.values()) <= 8
    desk.broker.rejects = None
    desk.run(2)
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_an_opening_rejected_at_once_ends_and_tells_why(desk: OrderDesk) -> None:
    desk.broker.refuses = "buying power"
    trade = desk.enter()
    assert trade.state is TradeState.CANCELLED
    assert desk.records(Kind.ORDER_EVENT)[0]["text"] == "buying power"
    desk.run(3)
    assert len(desk.broker.orders) == 1
    assert desk.audited() == []


def test_a_cancel_that_is_answered_by_a_rejection_sends_nothing_before_the_next_step(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.broker.confirms_cancels = False
    desk.step()
    desk.broker.reject()
    desk.attend(seconds=5)
    assert len(desk.orders(Purpose.CLOSE)) == 1
    desk.now += timedelta(seconds=-5)
    desk.step()
    assert len(desk.orders(Purpose.CLOSE)) == 2


# -------------------------------------------------------------------------------------- fills that belong to no order


def test_a_fill_after_the_end_is_set_aside_and_nothing_more_is_sent_before_holdings_were_compared(
    desk: OrderDesk,
) -> None:
    trade = desk.opened(units=2)
    desk.leave_by(trade, Ladder.URGENT)
    first = desk.broker.last
    desk.step()
    second = desk.broker.last
    assert second is not first

    desk.broker.fill(first)
    desk.gateway.fold(desk.now)
    assert len(desk.records(Kind.EVENT_QUARANTINED)) == 4
    assert second.status is OrderStatus.CANCELLED
    desk.run(5)
    assert desk.broker.positions() == {}, "no second close of what is closed already"
    assert desk.books.position(SP) == -2, "the books wait for the operator's word"
    assert desk.broker.open == []
    assert desk.audited() == []


def test_an_opening_is_not_replaced_while_the_broker_holds_what_no_book_shows(desk: OrderDesk) -> None:
    desk.enter(units=2)
    desk.broker.keeps_fills_to_itself = True
    desk.broker.reports_fills = False
    desk.step_with_fill(units=1)
    desk.run(5)
    assert len(desk.orders(Purpose.OPEN)) == 1
    assert desk.broker.position(SP) == -1
    assert {record["symbol"] for record in desk.records(Kind.BREAK)} == {LP, SP, SC, LC}


def test_a_closing_is_planned_anew_when_part_of_what_it_would_close_is_gone(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    desk.demand(trade, Ladder.URGENT)
    desk.step()
    for symbol, qty in ((LP, 1), (SP, -1), (SC, -1), (LC, 1)):
        desk.broker.holdings[symbol] = qty  # somebody closed one unit elsewhere
    desk.run(2)
    assert desk.broker.last.request.units == 1
    desk.step_with_fill()
    desk.run(4)
    assert desk.broker.positions() == {}


def test_flt02_an_event_of_another_order_is_set_aside_and_puts_this_one_in_doubt(desk: OrderDesk) -> None:
    trade = desk.enter(PUT_SPREAD, worst=0.5)
    order = desk.broker.last
    desk.broker.tell(BrokerEvent(order.id, SC, OrderStatus.FILLED, -1, 1_000_000, 0, desk.now))
    desk.step()
    assert [record["cause"] for record in desk.records(Kind.EVENT_QUARANTINED)] == ["SYMBOL"]
    assert desk.outcomes(order.id)[0] == "UNRESOLVED"
    assert trade.is_flat
    assert desk.broker.open == []
    assert desk.audited() == []


def test_an_event_with_a_tag_that_is_not_ours_changes_nothing(desk: OrderDesk) -> None:
    desk.broker.tell(BrokerEvent("somebody else", SP, OrderStatus.FILLED, -1, 1_000_000, 0, desk.now))
    desk.step()
    assert [record["cause"] for record in desk.records(Kind.EVENT_QUARANTINED)] == ["UNKNOWN_ORDER"]
    assert dict(desk.books.positions()) == {}


def test_an_order_that_was_lost_and_fills_after_all_is_booked_while_its_trade_lives(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    desk.demand(trade, Ladder.URGENT)
    desk.broker.acknowledges = False
    desk.step()
    lost = desk.broker.last
    desk.broker.forgets, desk.broker.acknowledges = True, True
    desk.run(4)
    assert desk.outcomes(lost.id) == ["UNRESOLVED", "LOST"]
    desk.demands = []
    desk.broker.forgets = False
    desk.step(lambda: desk.broker.fill(lost))
    assert trade.is_flat
    desk.run(2)
    assert desk.broker.positions() == {}
    assert desk.audited() == []


def test_an_opening_that_was_lost_and_fills_after_all_is_no_trade_of_ours_any_more(desk: OrderDesk) -> None:
    desk.broker.acknowledges = False
    trade = desk.enter()
    lost = desk.broker.last
    desk.broker.forgets = True
    desk.run(5)
    assert desk.outcomes(lost.id) == ["UNRESOLVED", "LOST"]
    desk.step(lambda: desk.broker.fill(lost))
    assert trade.is_flat
    assert {record["cause"] for record in desk.records(Kind.EVENT_QUARANTINED)} == {"AFTER_END"}
    assert {record["symbol"] for record in desk.records(Kind.BREAK)} == {LP, SP, SC, LC}


def test_a_break_that_is_open_keeps_a_trade_frozen_when_the_doubt_about_its_order_ends(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.broker.holdings[SP] = -5
    desk.step()
    assert desk.states(trade)[-1] == "FROZEN"
    desk.demand(trade, Ladder.URGENT, Reason.EXIT_STOP)
    desk.broker.acknowledges = False
    desk.step()
    desk.step()
    desk.broker.acknowledges = True
    desk.run(1)
    assert desk.states(trade)[-1] == "FROZEN"


def test_a_frozen_trade_closes_what_book_and_broker_agree_on(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    for symbol, qty in ((LP, 1), (SP, -1), (SC, -1), (LC, 1)):
        desk.broker.holdings[symbol] = qty
    desk.state.hold(trade.id, desk.now)
    desk.demand(trade, Ladder.URGENT)
    desk.step()
    assert desk.legs_of(desk.orders(Purpose.CLOSE)[-1]) == {LP: -1, SP: 1, SC: 1, LC: -1}
    desk.step_with_fill()
    desk.run(3)
    assert desk.broker.positions() == {}
