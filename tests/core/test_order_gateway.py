"""Openings and closings along their price ladders: cancel, confirm, replace the remainder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.ledger_kinds import Kind
from core.market import QuoteVerdict
from core.reasons import Reason
from core.rules import Cause
from core.settings import OrderSettings
from core.trade_machine import TradeState
from core.vocabulary import Disposition, Gate, Ladder, Purpose, Scope, TradingState
from tests.core.desk import BOOK, at
from tests.core.order_desk import CONDOR, LC, LP, PUT_SPREAD, SC, SP, OrderDesk

MINUTE = timedelta(minutes=1)


@pytest.fixture
def desk() -> OrderDesk:
    return OrderDesk()


# ------------------------------------------------------------------------------------------------------------- openings


def test_f0_01_an_entry_walks_from_the_passive_side_and_ends_without_a_fill(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.run(5)
    assert desk.offers() == [("10:30", 2.80), ("10:31", 2.70), ("10:32", 2.65), ("10:33", 2.55)]
    assert trade.state is TradeState.CANCELLED
    assert desk.broker.open == []
    assert desk.audited() == []


def test_an_entry_never_passes_its_worst_price_when_the_market_runs_away(desk: OrderDesk) -> None:
    desk.enter(worst=2.55)
    desk.quote_condor(mid=2.30, half=0.40)
    desk.run(4)
    assert desk.offers() == [("10:30", 2.80), ("10:31", 2.55)]  # then it rests at the worst price
    desk.run(2)
    assert desk.broker.last.status.value == "CANCELLED"


def test_what_is_at_work_is_known_from_its_plan_to_its_end(desk: OrderDesk) -> None:
    assert (desk.gateway.orders.parents, desk.gateway.orders.symbols) == ((), ())
    trade = desk.enter()
    assert [parent.trade for parent in desk.gateway.orders.parents] == [trade.id]
    assert desk.gateway.orders.symbols == CONDOR.symbols
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.OPEN
    assert (desk.gateway.orders.parents, desk.gateway.orders.symbols) == ((), ())


def test_a_step_that_gives_the_same_price_leaves_the_order_alone(desk: OrderDesk) -> None:
    desk.quote_condor(mid=2.70, half=0.02)
    desk.enter(worst=2.60)
    desk.run(3)
    assert desk.offers() == [("10:30", 2.75), ("10:31", 2.70)]
    assert desk.broker.last.cancels == 0


@pytest.mark.parametrize("verdict", [QuoteVerdict.STALE, QuoteVerdict.CROSSED, QuoteVerdict.WIDE, QuoteVerdict.MISSING])
def test_an_opening_leaves_no_order_at_work_while_a_leg_is_not_good(desk: OrderDesk, verdict: QuoteVerdict) -> None:
    desk.enter()
    desk.spoil(SC, verdict=verdict)
    desk.step()
    assert desk.broker.open == []
    desk.quote_condor()
    desk.step()
    assert [cash for _at, cash in desk.offers()] == [2.80, 2.65]  # the step of the bad minute is skipped
    assert desk.audited() == []


def test_a_bought_leg_may_be_without_a_bid_and_a_sold_one_may_not(desk: OrderDesk) -> None:
    desk.quote(LP, None, 0.05)
    desk.enter(PUT_SPREAD, worst=1.0)
    assert len(desk.offers()) == 1
    desk.quote(SP, None, 0.05)
    desk.step()
    assert desk.broker.open == []


def test_one_of_two_units_fills_and_only_the_rest_is_offered_again(desk: OrderDesk) -> None:
    trade = desk.enter(units=2)
    desk.broker.fill(units=1)
    desk.step()
    assert desk.legs_of(desk.orders(Purpose.OPEN)[-1]) == {LP: 1, SP: -1, SC: -1, LC: 1}
    desk.broker.fill()
    desk.step()
    assert trade.units == 2
    assert trade.state is TradeState.OPEN
    assert desk.audited() == []


def test_a_part_that_is_filled_at_the_end_of_the_ladder_is_a_smaller_trade(desk: OrderDesk) -> None:
    trade = desk.enter(units=2)
    desk.broker.fill(units=1)
    desk.run(6)
    assert (trade.units, trade.state) == (1, TradeState.OPEN)
    assert desk.broker.open == []


def test_flt05_a_fill_while_the_cancel_is_pending_leaves_only_the_remainder_to_replace(desk: OrderDesk) -> None:
    trade = desk.enter(units=2)
    desk.broker.fills_on_cancel = 1
    desk.step()
    desk.broker.fills_on_cancel = 0
    assert trade.units == 1
    assert desk.legs_of(desk.orders(Purpose.OPEN)[-1])[SP] == -1
    desk.broker.fill()
    desk.step()
    assert desk.books.position(SP) == -2
    assert desk.audited() == []


def test_an_order_that_fills_whole_while_its_cancel_is_pending_is_not_replaced(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.broker.fills_on_cancel = 1
    desk.step()
    assert trade.state is TradeState.OPEN
    assert len(desk.orders(Purpose.OPEN)) == 1


def test_nothing_replaces_an_order_before_its_cancel_is_confirmed(desk: OrderDesk) -> None:
    desk.enter()
    desk.broker.confirms_cancels = False
    desk.step()
    assert len(desk.orders(Purpose.OPEN)) == 1
    desk.broker.confirm_cancel()
    desk.attend(seconds=5)
    assert desk.offers() == [("10:30", 2.80), ("10:31", 2.70)]
    assert desk.audited() == []


def test_filled_before_submitted_and_repeated_reports_change_nothing_twice(desk: OrderDesk) -> None:
    desk.broker.fills_first = desk.broker.repeats_fills = True
    trade = desk.enter()
    assert (trade.units, trade.state) == (1, TradeState.OPEN)
    assert len(desk.records(Kind.FILL)) == 4
    desk.run(2)
    assert trade.state is TradeState.OPEN
    assert dict(desk.books.positions()) == dict(desk.broker.positions())
    assert desk.audited() == []


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_whoever_may_not_open_has_no_opening_at_work(desk: OrderDesk, state: TradingState) -> None:
    trade = desk.enter()
    desk.halt(state)
    desk.step()
    assert desk.broker.open == []
    assert trade.state is TradeState.CANCELLED
    assert len(desk.offers()) == 1


def test_an_opening_in_a_locked_symbol_is_cancelled_though_its_strategy_is_not_locked(desk: OrderDesk) -> None:
    desk.quote_condor(mid=2.70, half=0.02)  # the order would be left alone at the next step
    trade = desk.enter(worst=2.70)
    desk.step()
    lock = Cause("break", TradingState.REDUCING, Reason.BREAK_FOREIGN, Gate.LIFECYCLE, Scope.SYMBOL, SC)
    desk.causes = [lock]
    desk.step()
    assert desk.broker.open == []
    assert trade.state is TradeState.CANCELLED


def test_fp64_what_has_become_forbidden_between_plan_and_order_is_denied_and_never_sent(desk: OrderDesk) -> None:
    desk.board.replace([Cause("test", TradingState.REDUCING, Reason.STATE_REDUCING)])
    trade = desk.enter()
    assert trade.state is TradeState.CANCELLED
    assert desk.offers() == []
    assert desk.refusals() == ["DENIED_STATE"]


# ------------------------------------------------------------------------------------------------------------- closings


def test_f0_09_a_target_is_bid_for_up_to_a_tick_beyond_and_re_armed_without_a_fill(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.quote_condor(mid=1.30, half=0.25)
    desk.leave_by(trade, Ladder.TARGET, Reason.EXIT_TARGET, floor=-1.35)
    desk.run(4)
    assert [cash for _at, cash in desk.offers(Purpose.CLOSE)] == [-1.30, -1.35]
    assert trade.state is TradeState.OPEN
    assert desk.broker.open == []
    assert desk.audited() == []


def test_ux_07_a_target_that_sold_one_of_two_units_goes_on_urgently_with_the_other(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    desk.quote_condor(mid=1.30, half=0.25)
    desk.leave_by(trade, Ladder.TARGET, Reason.EXIT_TARGET, floor=-1.35)
    desk.broker.fill(units=1)
    desk.run(4)
    assert desk.states(trade)[-1] == "EXITING"
    desk.run(2)
    last = desk.broker.last
    assert last.request.units == 1
    assert last.request.net_cash is not None
    assert last.request.net_cash < -1.35  # the price of a target no longer binds
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED
    assert desk.audited() == []


def test_ux_02_a_stop_cancels_the_target_at_work_and_takes_its_place_for_the_rest(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    desk.quote_condor(mid=1.30, half=0.25)
    desk.leave_by(trade, Ladder.TARGET, Reason.EXIT_TARGET, floor=-1.35)
    desk.broker.fill(units=1)
    desk.step()
    desk.quote_condor(mid=5.40, half=0.25)
    desk.leave_by(trade, Ladder.URGENT)
    last = desk.broker.last
    assert (last.request.units, last.request.net_cash) == (1, -5.55)
    desk.demand(trade, Ladder.FLATTEN)
    desk.step()
    assert desk.orders(Purpose.FLATTEN)
    assert len(desk.broker.open) == 1
    assert desk.audited() == []


def test_a_more_urgent_closing_begins_with_the_confirmation_of_the_cancel_and_not_a_step_later(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.quote_condor(mid=1.30, half=0.25)
    desk.leave_by(trade, Ladder.TARGET, Reason.EXIT_TARGET, floor=-1.35)
    desk.broker.confirms_cancels = False
    desk.leave_by(trade, Ladder.URGENT)
    assert len(desk.orders(Purpose.CLOSE)) == 1
    desk.broker.confirm_cancel()
    desk.attend(seconds=5)
    assert [cash for _at, cash in desk.offers(Purpose.CLOSE)] == [-1.30, -1.45]
    assert desk.audited() == []


def test_nothing_downgrades_an_exit(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.leave_by(trade, Ladder.TARGET, Reason.EXIT_TARGET, floor=-1.0)
    desk.step()
    assert [cash for _at, cash in desk.offers(Purpose.CLOSE)] == [-2.90, -3.10]
    assert desk.gateway.closing_of(trade.id) is not None
    assert len(desk.records(Kind.INTENT)) == 2


def test_urgent_walks_beyond_natural_and_stays_at_the_last_step(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.run(7)
    assert [cash for _at, cash in desk.offers(Purpose.CLOSE)] == [-2.90, -3.10, -3.15, -3.20, -3.30]


@pytest.mark.parametrize("ladder", [Ladder.URGENT, Ladder.FLATTEN])
def test_ux_05_a_defined_risk_is_never_paid_for_with_more_than_its_width(desk: OrderDesk, ladder: Ladder) -> None:
    trade = desk.opened()
    desk.quote_condor(mid=9.80, half=0.20)
    desk.leave_by(trade, ladder)
    desk.run(1)
    assert desk.offers()[-1][1] == -10.0
    desk.step()
    combos = [cash for order, (_at, cash) in zip(desk.broker.orders, desk.offers(), strict=True)
              if len(desk.legs_of(order)) == 4]  # fmt: skip
    assert min(combos) == -10.0


@pytest.mark.parametrize("gate", list(Gate))
def test_ux_06_exits_leave_when_every_gate_refuses_openings(desk: OrderDesk, gate: Gate) -> None:
    trade = desk.opened()
    desk.causes = [Cause("test", TradingState.REDUCING, Reason.STATE_REDUCING, gate)]
    desk.demand(trade, Ladder.URGENT)
    desk.step()
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED


def test_an_exit_leaves_at_the_last_good_price_when_quotes_are_bad(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.spoil(SP, SC, verdict=QuoteVerdict.CROSSED)
    desk.leave_by(trade, Ladder.URGENT)
    assert desk.offers(Purpose.CLOSE)[-1][1] == -2.90


def test_an_exit_at_work_stays_at_work_when_no_price_can_be_made(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    desk.silence(SP)
    desk.run(3)
    assert len(desk.broker.open) == 1
    assert desk.broker.last.cancels == 0


def test_a_close_that_is_left_with_a_bidless_long_leaves_it_out_and_settles(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.quote(LP, None, 0.05)
    desk.last_good.pop(LP)
    desk.demand(trade, Ladder.URGENT)
    desk.step()
    assert set(desk.legs_of(desk.orders(Purpose.CLOSE)[-1])) == {SP, SC, LC}
    desk.broker.fill()
    desk.run(2)
    assert trade.legs == {LP: 1}
    assert trade.state is TradeState.SETTLING


def test_flatten_goes_leg_by_leg_after_two_failures_shorts_first(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.FLATTEN, Reason.EXIT_FLATTEN)
    desk.broker.each_minute = lambda broker, placed: broker.fill(placed) if len(placed.request.legs) == 1 else None
    desk.run(8)
    sizes = [len(desk.legs_of(order)) for order in desk.orders(Purpose.FLATTEN)]
    singles = [next(iter(desk.legs_of(order))) for order in desk.orders(Purpose.FLATTEN)[2:]]
    assert sizes == [4, 4, 1, 1, 1, 1]
    assert set(singles[:2]) == {SP, SC}
    assert trade.state is TradeState.CLOSED
    assert desk.longest_uncovered == timedelta(0)
    assert desk.audited() == []


def test_flatten_leg_by_leg_ends_when_only_a_bidless_long_is_left(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.quote(LP, None, 0.05)
    desk.last_good.pop(LP)
    desk.demand(trade, Ladder.FLATTEN, Reason.EXIT_FLATTEN)
    desk.step()
    desk.broker.each_minute = lambda broker, placed: broker.fill(placed) if len(placed.request.legs) == 1 else None
    desk.run(6)
    desk.demands = []
    desk.run(3)
    assert trade.legs == {LP: 1}
    assert trade.state is TradeState.SETTLING
    assert desk.gateway.orders.parents == ()
    assert "DENIED_NOT_REDUCING" not in desk.refusals()


def test_a_short_without_a_price_does_not_hold_up_the_other_short(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.FLATTEN, Reason.EXIT_FLATTEN)
    desk.run(1)
    desk.silence(SC)
    desk.broker.each_minute = lambda broker, placed: broker.fill(placed) if len(placed.request.legs) == 1 else None
    desk.run(6)
    assert set(trade.legs) <= {SC, LC, LP}  # no long is sold while a short is open
    assert LC in trade.legs
    desk.quote_condor()
    desk.run(6)
    assert trade.state is TradeState.CLOSED


def test_what_is_left_of_a_leg_at_the_price_already_at_work_is_left_alone(desk: OrderDesk) -> None:
    trade = desk.opened(units=2)
    desk.silence(LP)  # so it goes leg by leg, shorts first
    desk.leave_by(trade, Ladder.FLATTEN, Reason.EXIT_RISK)
    desk.run(6)
    at_work, sent = desk.broker.last, len(desk.broker.orders)
    assert [leg.qty for leg in at_work.request.legs] == [2]
    desk.broker.fill(units=1)
    desk.step()  # what is wanted now is one contract, and that is what is left at work
    assert len(desk.broker.orders) == sent
    assert at_work.cancels == 0
    desk.broker.fill()
    desk.step()
    assert len(desk.broker.orders) == sent + 1  # the next leg


def test_a_calm_exit_waits_some_seconds_after_a_fill_and_an_urgent_one_does_not(desk: OrderDesk) -> None:
    trade = desk.enter()
    desk.broker.fill()
    desk.attend(seconds=0)
    desk.stages()
    desk.leave_by(trade, Ladder.TARGET, Reason.EXIT_TARGET)
    assert desk.orders(Purpose.CLOSE) == []
    desk.leave_by(trade, Ladder.URGENT)
    assert len(desk.orders(Purpose.CLOSE)) == 1


# ------------------------------------------------------------------------------------------------------- halts, the end


def test_freeze_sends_nothing_but_cancels(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    sent = len(desk.offers())
    desk.halt(TradingState.HALTED, disposition=Disposition.FREEZE)
    desk.demand(trade, Ladder.FLATTEN)
    desk.run(4)
    assert len(desk.offers()) == sent
    assert desk.broker.open == []
    assert "DENIED_STATE" in desk.refusals()


def test_a_halt_that_flattens_closes_everything_held(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.halt(TradingState.HALTED, disposition=Disposition.FLATTEN)
    desk.step()
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED
    assert desk.orders(Purpose.FLATTEN)


def test_at_the_close_everything_at_work_is_cancelled_and_nothing_is_sent(desk: OrderDesk) -> None:
    desk.now = desk.broker.now = at(15, 56)
    trade = desk.enter()
    desk.run_to(15, 59)
    sent = len(desk.offers())
    desk.run(3)
    assert desk.broker.open == []
    assert len(desk.offers()) == sent
    assert trade.state is TradeState.CANCELLED
    assert desk.audited() == []


def test_in_the_last_half_minute_nothing_is_sent(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.now = desk.broker.now = at(15, 59, 31)
    desk.leave_by(trade, Ladder.FLATTEN)
    assert desk.orders(Purpose.FLATTEN) == []


def test_a_cancel_that_nobody_hears_at_the_close_is_in_doubt_a_minute_later_and_sent_again(desk: OrderDesk) -> None:
    desk.now = desk.broker.now = at(15, 57)
    desk.enter()
    desk.run_to(15, 59)
    desk.broker.hears_cancels = False
    order = desk.broker.last
    desk.run(2)
    assert desk.outcomes(order.id) == ["UNRESOLVED"]
    desk.broker.hears_cancels = True
    desk.run(2)
    assert desk.outcomes(order.id) == ["UNRESOLVED", "CANCELLED"]
    assert desk.audited() == []


def test_a_run_that_is_stopped_leaves_no_order_without_a_word(desk: OrderDesk) -> None:
    desk.enter()
    order = desk.broker.last.id
    assert desk.audited() == []
    assert desk.books.order_records.outcomes[order].value == "UNRESOLVED"


# --------------------------------------------------------------------------------------------------- limits, the ledger


def test_eight_children_then_a_pause_and_a_new_parent() -> None:
    desk = OrderDesk()
    trade = desk.opened()
    desk.demand(trade, Ladder.URGENT)

    def moving(_broker: object, _placed: object) -> None:
        desk.quote_condor(mid=2.70 + 0.1 * (desk.now.minute % 2), half=0.25)

    desk.broker.each_minute = moving
    desk.run(14)
    sent = desk.records(Kind.ORDER_INTENT)
    first = [record["time"] for record in sent if record["intent"].endswith("|CLOSE|1")]
    second = [record["time"] for record in sent if record["intent"].endswith("|CLOSE|2")]
    assert len(first) == 8
    assert second
    assert second[0] > first[-1]
    assert desk.audited() == []


def test_the_pause_counts_seconds_and_not_steps(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.leave_by(trade, Ladder.URGENT)
    parent = desk.gateway.closing_of(trade.id)
    assert parent is not None
    parent.children = 8
    desk.step()
    assert desk.gateway.closing_of(trade.id) is None
    sent = len(desk.offers())
    desk.now += timedelta(seconds=30)
    desk.leave_by(trade, Ladder.FLATTEN)
    assert len(desk.offers()) == sent
    desk.now += timedelta(seconds=30)
    desk.leave_by(trade, Ladder.FLATTEN)
    assert len(desk.offers()) == sent + 1


def test_a_throttled_opening_ends_and_a_throttled_closing_waits_its_turn() -> None:
    desk = OrderDesk(orders=OrderSettings(orders_per_min=2, entries_per_min=2))
    first = desk.opened()
    desk.now = desk.broker.now = desk.now + 2 * MINUTE
    desk.enter(PUT_SPREAD, worst=0.5)
    desk.broker.fill()
    desk.stages()
    second = desk.books.trade(f"{BOOK}-20251121-2")
    desk.leave_by(second, Ladder.URGENT)
    refused = desk.enter(PUT_SPREAD, worst=0.5)
    assert desk.refusals() == ["THROTTLED"]
    assert refused.state is TradeState.CANCELLED
    desk.leave_by(first, Ladder.URGENT)
    assert desk.gateway.closing_of(first.id) is not None
    assert all("-1|CLOSE" not in order for order in desk.orders(Purpose.CLOSE))
    desk.step()
    assert any("-1|CLOSE" in order for order in desk.orders(Purpose.CLOSE))
    assert desk.audited() == []


def test_when_the_store_fails_openings_stop_before_the_order_and_closings_go_on(desk: OrderDesk) -> None:
    trade = desk.opened()
    desk.store.refuses = True
    sent = len(desk.offers())
    refused = desk.enter(PUT_SPREAD, worst=0.5)
    assert len(desk.offers()) == sent
    assert refused.state is TradeState.CANCELLED
    desk.leave_by(trade, Ladder.URGENT)
    assert len(desk.offers()) == sent + 1
    desk.broker.fill()
    desk.step()
    assert trade.state is TradeState.CLOSED
    desk.store.refuses = False
    desk.run(2)
    assert desk.books.order_records.working() == ()
    assert desk.audited() == []
