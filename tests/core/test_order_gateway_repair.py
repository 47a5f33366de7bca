"""Legs that fill alone: whatever the broker does, a short that nothing covers is bought back within a minute."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations

import pytest

from core.ledger_kinds import Kind
from core.reasons import Reason
from core.trade_machine import TradeState
from core.vocabulary import Disposition, Ladder, OrderStatus, Purpose, TradingState
from tests.core.desk import at
from tests.core.fake_broker import FakeBroker, Placed
from tests.core.order_desk import LC, LP, PUT_SPREAD, SC, SP, OrderDesk

ALL = (LP, SP, SC, LC)
TORN = [legs for size in (1, 2, 3) for legs in combinations(ALL, size)]
MINUTE = timedelta(minutes=1)


def fills_all_but_condors(broker: FakeBroker, placed: Placed) -> None:
    """The market after the mishap: what is sent to mend it fills in the next minute."""
    if len(placed.request.legs) < 4:
        broker.fill(placed)


@pytest.fixture
def desk() -> OrderDesk:
    made = OrderDesk()
    made.broker.each_minute = fills_all_but_condors
    return made


def assert_made_good(desk: OrderDesk) -> None:
    assert desk.books.uncovered_shorts == ()
    assert desk.longest_uncovered <= MINUTE
    assert dict(desk.books.positions()) == dict(desk.broker.positions())


@pytest.mark.parametrize("legs", TORN)
@pytest.mark.parametrize("after", ["silence", "reject", "dead link"])
def test_fp40_a_condor_that_fills_in_some_legs_is_covered_within_a_minute(
    desk: OrderDesk, legs: tuple[str, ...], after: str
) -> None:
    trade = desk.enter()
    desk.broker.hears_cancels = after != "dead link"

    def mishap() -> None:
        desk.broker.fill(legs=legs)
        if after == "reject":
            desk.broker.reject()

    desk.step(mishap)
    desk.step()
    assert_made_good(desk)
    if after == "dead link":
        desk.run(3)
        desk.broker.hears_cancels = True
    desk.run(12)
    assert_made_good(desk)
    assert trade.is_flat, "a condor that is none is not kept"
    assert trade.state is TradeState.CLOSED
    assert len(desk.orders(Purpose.OPEN)) == 1
    assert desk.audited() == []


def test_og_1_two_of_four_legs_then_silence(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.step_with_fill(legs=(SP, SC))
    repairs = desk.orders(Purpose.REPAIR)
    assert sorted(symbol for order in repairs for symbol in desk.legs_of(order)) == sorted((SP, SC))
    assert [record["stage"] for record in desk.records(Kind.REPAIR)] == ["TORN", "BUY_BACK", "BUY_BACK"]
    desk.step()
    assert desk.books.uncovered_shorts == ()
    assert trade.is_flat
    assert desk.states(trade)[-1] == "CLOSED"


def test_a_repair_pays_the_whole_collar_at_once(desk: OrderDesk) -> None:
    desk.quote(SP, 4.0, 4.2)
    desk.enter()
    desk.step_with_fill(legs=(SP,))
    assert desk.offers(Purpose.REPAIR)[0][1] == -4.60  # 4.20 and ten per cent of it, rounded in our favour


def test_one_whole_unit_stays_a_trade_and_the_torn_one_is_repaired(desk: OrderDesk) -> None:
    trade = desk.enter(units=2)

    def one_unit_and_three_legs() -> None:
        desk.broker.fill(units=1)
        desk.broker.fill(legs=(SP, LP, SC), units=1)

    desk.step(one_unit_and_three_legs)
    assert [desk.legs_of(order) for order in desk.orders(Purpose.REPAIR)] == [{SC: 1}]
    desk.run(2)
    assert_made_good(desk)
    assert trade.units == 1
    assert trade.state is TradeState.OPEN
    assert desk.audited() == []


def test_nl_01_a_closing_that_sells_the_wings_first_is_repaired(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.step_with_fill(legs=(LP, LC))
    assert desk.states(trade)[-1] == "REPAIRING"
    desk.step()
    assert_made_good(desk)
    desk.run(2)
    assert trade.state is TradeState.CLOSED
    assert trade.exit_reason is Reason.EXIT_STOP
    assert desk.audited() == []


def test_a_closing_that_buys_the_shorts_first_needs_no_repair_and_sells_the_rest(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.step_with_fill(legs=(SP, SC))
    assert desk.orders(Purpose.REPAIR) == []
    last = desk.orders(Purpose.CLOSE)[-1]
    assert desk.legs_of(last) == {LP: -1, LC: -1}
    desk.step_with_fill()
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_fp49_a_group_rejected_after_its_short_leg_is_repaired_and_nothing_is_rolled_back_by_a_sale(
    desk: OrderDesk,
) -> None:
    trade = desk.enter()

    def short_leg_then_no_margin() -> None:
        desk.broker.fill(legs=(SP, LC))
        desk.broker.reject(text="margin")

    desk.step(short_leg_then_no_margin)
    repairs = [desk.legs_of(order) for order in desk.orders(Purpose.REPAIR)]
    assert repairs == [{SP: 1}]
    desk.step()
    assert_made_good(desk)
    assert desk.outcomes(desk.orders(Purpose.OPEN)[0]) == ["REJECTED"]
    desk.run(8)
    assert trade.is_flat


def test_a_lost_report_of_the_other_legs_is_asked_for_before_anything_is_bought(desk: OrderDesk) -> None:
    trade = desk.enter()

    def the_wings_are_not_reported() -> None:
        desk.broker.fill(legs=(SP, SC))
        desk.broker.fill(report=False)

    desk.step(the_wings_are_not_reported)
    assert desk.orders(Purpose.REPAIR) == []
    assert (trade.units, trade.state) == (1, TradeState.OPEN)
    assert {record["source"] for record in desk.records(Kind.FILL)} == {"EVENT", "RECOVERED"}
    assert desk.audited() == []


def test_a_leg_rejected_while_the_others_have_filled_is_asked_about_at_once(desk: OrderDesk) -> None:
    desk.enter()

    def two_legs_in_silence_then_rejected() -> None:
        desk.broker.fill(legs=(SP, LP), report=False)
        desk.broker.reject()

    desk.step(two_legs_in_silence_then_rejected)
    assert desk.books.position(SP) == -1
    assert desk.outcomes(desk.orders(Purpose.OPEN)[0]) == ["REJECTED"]
    assert desk.audited() == []


def test_a_repair_works_in_frozen_too_on_what_book_and_broker_agree_on(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.broker.hears_cancels = False
    desk.state.hold(trade.id, desk.now)
    desk.step_with_fill(legs=(SP,))
    assert desk.states(trade)[-1] == "FROZEN"
    assert [desk.legs_of(order) for order in desk.orders(Purpose.REPAIR)] == [{SP: 1}]
    desk.step()
    assert_made_good(desk)


def test_a_short_that_the_broker_does_not_have_is_not_bought_back_in_frozen(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.broker.hears_cancels = False
    desk.state.hold(trade.id, desk.now)

    def filled_and_gone() -> None:
        desk.broker.fill(legs=(SP,))
        desk.broker.holdings[SP] = 0

    desk.step(filled_and_gone)
    assert desk.orders(Purpose.REPAIR) == []


def test_a_repair_without_a_market_takes_the_first_quote(desk: OrderDesk) -> None:
    desk.enter()
    desk.silence(SP)
    desk.step_with_fill(legs=(SP,))
    desk.run(2)
    assert desk.orders(Purpose.REPAIR) == []
    desk.quote_condor()
    desk.step()
    assert len(desk.orders(Purpose.REPAIR)) == 1
    desk.step()
    assert desk.books.uncovered_shorts == ()


def test_a_repair_ends_when_the_cover_comes_by_itself(desk: OrderDesk) -> None:
    trade = desk.enter()
    order = desk.broker.last
    desk.broker.hears_cancels = False
    desk.broker.each_minute = None
    desk.step_with_fill(legs=(SP, LC, SC))
    assert len(desk.orders(Purpose.REPAIR)) == 1
    desk.broker.hears_cancels = True
    desk.broker.fill(order, legs=(LP,))
    desk.run(2)
    assert desk.broker.open == []
    assert trade.units == 1
    assert desk.books.uncovered_shorts == ()
    assert desk.audited() == []


def test_og_p1_a_repair_never_meets_the_rest_of_its_own_opening_and_comes_when_that_has_ended(desk: OrderDesk) -> None:
    """The one exception of OG-P1: the rest still sells what would be bought back, and its cancel is not heard."""
    desk.broker.hears_cancels = False
    desk.enter(units=2)
    desk.step(lambda: desk.broker.fill(legs=[SP], units=1))
    desk.run(2)
    assert desk.orders(Purpose.REPAIR) == []
    assert desk.refusals() == []  # it is not even tried
    assert desk.broker.last.cancels >= 2  # it is asked for again in every minute
    desk.broker.hears_cancels = True
    desk.broker.confirm_cancel()
    desk.run(2)
    (repair,) = desk.orders(Purpose.REPAIR)
    assert desk.legs_of(repair) == {SP: 1}
    assert desk.books.uncovered_shorts == ()
    assert desk.broker.positions() == {}


def test_a_repair_that_leaves_nothing_ends_no_trade_whose_opening_may_still_fill(desk: OrderDesk) -> None:
    trade = desk.enter()
    opening = desk.broker.last
    desk.broker.hears_cancels = False
    desk.step_with_fill(legs=(SP, SC))
    desk.step()
    assert trade.is_flat
    assert not trade.state.is_end
    desk.step(lambda: desk.broker.fill(opening))
    assert trade.legs == {LP: 1, LC: 1}
    desk.broker.hears_cancels = True
    desk.run(8)
    assert desk.broker.positions() == {}
    assert trade.state is TradeState.CLOSED
    assert trade.result_written
    assert desk.audited() == []


def test_a_repair_that_is_done_before_the_opening_has_ended_leaves_a_closed_trade_with_a_result(
    desk: OrderDesk,
) -> None:
    trade = desk.enter()
    opening = desk.broker.last
    desk.broker.confirms_cancels = False
    desk.step_with_fill(legs=(SP,))
    desk.broker.fill()
    desk.attend(seconds=20)
    assert trade.is_flat
    desk.broker.confirm_cancel(opening)
    desk.attend(seconds=20)
    assert trade.state is TradeState.CLOSED
    assert trade.result_written


def test_flatten_takes_over_from_a_repair_and_buys_the_bare_short_first(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.broker.each_minute = None
    desk.step_with_fill(legs=(SP, SC, LC))
    desk.run(2)
    assert desk.states(trade)[-1] == "EXITING"
    desk.demand(trade, Ladder.FLATTEN, Reason.EXIT_FLATTEN)
    desk.step()
    first = desk.legs_of(desk.orders(Purpose.FLATTEN)[0])
    assert set(first) <= {SP, SC}
    assert len(first) == 1
    desk.broker.each_minute = fills_all_but_condors
    desk.run(6)
    assert trade.state is TradeState.CLOSED


def test_a_frozen_account_repairs_nothing_and_a_flattening_one_does(desk: OrderDesk) -> None:
    desk.enter()
    desk.halt(TradingState.HALTED, disposition=Disposition.FREEZE)
    desk.step_with_fill(legs=(SP,))
    assert desk.orders(Purpose.REPAIR) == []
    desk.halt(TradingState.HALTED, disposition=Disposition.FLATTEN)
    desk.run(3)
    assert desk.books.uncovered_shorts == ()


def test_with_a_clock_of_seconds_a_lone_leg_is_heard_of_by_the_pulse_and_repaired_within_its_minute() -> None:
    desk = OrderDesk(group_wait_s=30)
    desk.enter()
    desk.attend(seconds=10)
    desk.broker.fill(legs=(SP,))
    desk.attend(seconds=5)
    assert desk.books.position(SP) == -1
    for _ in range(6):
        desk.attend(seconds=5)
    (repair,) = desk.orders(Purpose.REPAIR)
    assert desk.broker.orders[repair].at == at(10, 30) + timedelta(seconds=40)
    desk.broker.fill(desk.broker.orders[repair])
    desk.attend(seconds=5)
    assert desk.books.uncovered_shorts == ()
    assert desk.longest_uncovered <= MINUTE


def test_with_a_clock_of_seconds_the_legs_of_a_group_have_half_a_minute_to_arrive() -> None:
    desk = OrderDesk(group_wait_s=30)
    trade = desk.enter()
    desk.now += timedelta(seconds=10)
    desk.broker.now = desk.now
    desk.broker.fill(legs=(SP, SC))
    desk.stages()
    desk.attend(seconds=5)
    assert desk.broker.last.cancels == 0
    desk.broker.fill()
    desk.attend(seconds=5)
    desk.stages()
    assert trade.state is TradeState.OPEN
    assert desk.orders(Purpose.REPAIR) == []


def test_with_a_clock_of_seconds_the_repair_leaves_half_a_minute_after_the_first_leg() -> None:
    desk = OrderDesk(group_wait_s=30)
    desk.enter()
    desk.now += timedelta(seconds=10)
    desk.broker.now = desk.now
    desk.broker.fill(legs=(SP,))
    desk.stages()
    for _ in range(6):
        desk.attend(seconds=5)
    assert len(desk.orders(Purpose.REPAIR)) == 1
    desk.broker.fill()
    desk.attend(seconds=5)
    assert desk.longest_uncovered <= MINUTE
    assert desk.audited() == []


def test_in_a_backtest_the_reports_of_a_group_come_one_by_one_and_are_no_torn_group(desk: OrderDesk) -> None:
    trade = desk.enter()
    other = desk.enter(PUT_SPREAD, worst=0.5)  # its cancel makes the gateway attend between the reports
    first = desk.broker.orders[desk.orders(Purpose.OPEN)[0]]
    desk.broker.each_minute = None
    desk.broker.confirms_cancels = False
    desk.step()
    for leg in first.request.legs:
        desk.broker.tell(desk.broker.event(first, leg.symbol, OrderStatus.FILLED, leg.qty))
        desk.attend()
    assert desk.orders(Purpose.REPAIR) == []
    assert trade.units == 1
    assert other.is_flat


def test_uncovered_for_the_night_is_bought_at_the_next_open_and_not_after_the_close(desk: OrderDesk) -> None:
    desk.now = desk.broker.now = at(15, 58)
    desk.enter()
    desk.broker.each_minute = None
    desk.step_with_fill(legs=(SP,))
    desk.run(3)
    sent = len(desk.offers())
    desk.run(3)
    assert len(desk.offers()) == sent
    assert desk.broker.open == []
