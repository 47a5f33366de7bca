"""Lifecycle of trades: deadlines, exits that must wait, faults, and what a strategy may do."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.errors import StateError
from core.market import Quote, QuoteVerdict
from core.reasons import Reason
from core.strategy_states import StrategyStanding
from core.trade_machine import LIVING, TABLE, TradeState, Trigger
from core.vocabulary import Purpose, TradingState
from tests.core.desk import BOOK, at, condor, put
from tests.core.lifecycle import SETTINGS, Lifecycle

S, T = TradeState, Trigger


@pytest.fixture
def world() -> Lifecycle:
    return Lifecycle()


# ---------------------------------------------------------------------------------------------------------- whole lives


def test_a_life_from_plan_to_result(world: Lifecycle) -> None:
    trade = world.opened(condor())
    assert trade.state == "OPEN"
    assert trade.deadline == at(15, 30)
    world.now = at(15, 30)
    world.step()
    assert trade.state == "EXITING"
    world.sell_out(trade)
    world.step()
    assert trade.state == "CLOSED"
    (result,) = world.records("TRADE_CLOSED")
    assert (result["pnl_u6"], result["reason"]) == (trade.pnl_u6, "EXIT_TIME")
    assert [row["to"] for row in world.records("TRADE_STATE")] == ["ENTERING", "OPEN", "EXITING", "CLOSED"]


def test_an_opening_of_which_nothing_fills_is_cancelled_without_a_result(world: Lifecycle) -> None:
    trade, order = world.entering()
    world.end(trade, order, "CANCELLED", filled=0, left=1)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    assert trade.state == "CANCELLED"
    assert world.records("TRADE_CLOSED") == []
    assert world.books.closed_trades(BOOK) == ()


def test_part_of_the_units_is_a_smaller_trade(world: Lifecycle) -> None:
    trade, order = world.entering(condor(), units=3)
    world.fill_legs(trade, order, 2)
    world.end(trade, order, "CANCELLED", filled=2, left=1)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    assert (trade.state, trade.units) == (S.OPEN, 2)


@pytest.mark.parametrize("legs", [1, 2, 3])
def test_fp40_a_condor_with_some_legs_is_repaired(world: Lifecycle, legs: int) -> None:
    trade, order = world.entering(condor())
    world.fill_legs(trade, order, only=legs)
    world.end(trade, order, "REJECTED", filled=0, left=1)
    world.state.drive(trade.id, T.REJECTED, world.now)
    assert trade.state == "REPAIRING"
    assert trade.deadline == world.now + timedelta(seconds=60)


def test_a_repair_ends_when_every_short_is_covered(world: Lifecycle) -> None:
    trade, order = world.entering(condor())
    world.fill(trade, order, put(5_900).symbol, -1, 2_000_000)
    world.end(trade, order, "REJECTED", filled=0, left=1)
    world.state.drive(trade.id, T.REJECTED, world.now)
    world.state.drive(trade.id, T.BALANCED, world.now)
    assert trade.state == "REPAIRING"
    repair = world.order(trade, {put(5_900).symbol: 1}, Purpose.REPAIR)
    world.fill(trade, repair, put(5_900).symbol, 1, 2_100_000)
    world.end(trade, repair)
    world.step()
    assert trade.state == "CLOSED"  # nothing is left of it


def test_a_spare_long_alone_is_no_trade_and_leaves_with_the_deadline_of_its_repair(world: Lifecycle) -> None:
    trade, order = world.entering(condor())
    world.fill_legs(trade, order, only=1)
    world.end(trade, order, "CANCELLED", filled=0, left=1)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    world.step()
    assert trade.state == "REPAIRING"
    world.wait(seconds=60)
    world.step()
    assert trade.state == "EXITING"


# ------------------------------------------------------------------------------------------------- exits that must wait


def test_an_exit_waits_until_the_orders_of_the_opening_have_ended(world: Lifecycle) -> None:
    trade, order = world.entering(condor(), units=2)
    world.fill_legs(trade, order, 1)
    for _ in range(3):
        world.state.drive(trade.id, T.EXIT_DUE, world.now)
    assert trade.state == "ENTERING"
    assert len(world.records("TRADE_STATE")) == 2  # SENT, and the exit once
    world.end(trade, order, "CANCELLED", filled=1, left=1)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    assert trade.state == "EXITING"


def test_an_exit_that_waited_through_a_repair_is_still_due(world: Lifecycle) -> None:
    trade, order = world.entering(condor())
    world.fill_legs(trade, order, only=1)
    world.state.drive(trade.id, T.EXIT_DUE, world.now)
    world.end(trade, order, "CANCELLED", filled=0, left=1)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    assert trade.state == "REPAIRING"
    world.wait(seconds=60)
    world.step()
    assert trade.state == "EXITING"


def test_an_exit_of_an_opening_that_never_fills_ends_with_it(world: Lifecycle) -> None:
    trade, order = world.entering()
    world.state.drive(trade.id, T.EXIT_DUE, world.now)
    world.end(trade, order, "CANCELLED", filled=0, left=1)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    assert trade.state == "CANCELLED"


def test_a_target_that_nobody_takes_is_armed_again(world: Lifecycle) -> None:
    trade = world.opened()
    world.state.drive(trade.id, T.EXIT_DUE, world.now)
    world.state.drive(trade.id, T.CANCELLED, world.now)
    assert trade.state == "OPEN"
    assert trade.deadline == at(15, 30)


# ------------------------------------------------------------------------------------------------------------ deadlines


def test_fp55_a_plan_that_is_never_sent_ends_by_the_clock(world: Lifecycle) -> None:
    trade = world.planned()
    world.wait(seconds=59)
    world.step()
    assert trade.state == "PLANNED"
    world.wait(seconds=1)
    world.step()
    assert trade.state == "CANCELLED"


def test_fp07_fp55_deadlines_move_a_trade_that_nobody_drives(world: Lifecycle) -> None:
    """The order never ends and nothing is told: time to cancel, then frozen, then an alert every fifteen minutes."""
    trade, _order = world.entering()
    world.wait(minutes=5)
    world.step()
    assert (trade.state, trade.deadline) == (S.ENTERING, world.now + timedelta(seconds=60))
    world.wait(minutes=1)
    world.step()
    assert trade.state == "FROZEN"
    for _ in range(2):
        world.wait(minutes=15)
        world.step()
    assert [row["code"] for row in world.records("ALERT")] == ["TRADE_FROZEN"] * 3


def test_at_its_deadline_an_entry_without_a_working_order_is_settled(world: Lifecycle) -> None:
    trade, order = world.entering(condor())
    world.fill_legs(trade, order)
    world.end(trade, order)
    world.wait(minutes=5)
    world.step()
    assert trade.state == "OPEN"


def test_an_exit_that_takes_long_is_called_out_and_goes_on(world: Lifecycle) -> None:
    trade = world.in_state(S.EXITING)
    for _ in range(2):
        world.wait(minutes=15)
        world.step()
    assert trade.state == "EXITING"
    assert [row["code"] for row in world.records("ALERT")] == ["EXIT_SLOW"] * 2


def test_a_repair_that_fails_closes_leg_by_leg_and_the_strategy_only_manages(world: Lifecycle) -> None:
    trade, order = world.entering(condor())
    world.fill_legs(trade, order, only=3)
    world.end(trade, order, "REJECTED", filled=0, left=1)
    world.state.drive(trade.id, T.REJECTED, world.now)
    world.wait(seconds=60)
    world.step()
    assert trade.state == "EXITING"
    assert world.state.strategy_state(BOOK) == "MANAGE_ONLY"


@pytest.mark.parametrize(
    ("trigger", "now", "by"),
    [
        (T.LEG_GONE, at(11), at(11, 1)),
        (T.LEG_GONE, at(15, 59, 30), datetime(2025, 11, 24, 9, 30, 30)),
        (T.LEG_GONE, at(8, 45), at(9, 31)),
        (T.LEG_GONE, at(16, 5), datetime(2025, 11, 24, 9, 31)),
        (T.ASSIGNED, at(9, 10), at(9, 40)),
        (T.ASSIGNED, at(9, 35), at(9, 40)),
        (T.ASSIGNED, at(12), at(12, 1)),
    ],
)
def test_a_repair_has_sixty_seconds_of_market(trigger: Trigger, now: datetime, by: datetime) -> None:
    world = Lifecycle()
    world.now = at(8, 40)
    trade = world.opened(condor())
    world.now = now
    world.state.drive(trade.id, trigger, now)
    assert trade.deadline == by


def test_settling_lasts_until_half_an_hour_into_the_next_session_on_a_short_day_too(world: Lifecycle) -> None:
    trade = world.opened(condor())
    world.now = at(16)
    world.step()
    assert (trade.state, trade.deadline) == (S.SETTLING, datetime(2025, 11, 24, 10))
    for symbol in list(trade.legs):
        world.expire(symbol)
    world.step()
    assert trade.state == "CLOSED"
    assert world.records("TRADE_CLOSED")[0]["reason"] == "EXPIRED"


def test_a_settlement_that_does_not_come_freezes_the_trade(world: Lifecycle) -> None:
    trade = world.opened(condor())
    world.now = at(16)
    world.step()
    world.now = datetime(2025, 11, 24, 10)
    world.step()
    assert trade.state == "FROZEN"


def test_bidless_longs_that_are_left_over_settle_at_once(world: Lifecycle) -> None:
    trade = world.opened(condor())
    world.now = at(15, 31)
    world.step()
    world.intend(trade, Purpose.CLOSE, "EXIT_TIME")
    shorts = {symbol: -qty for symbol, qty in trade.legs.items() if qty < 0}
    order = world.order(trade, shorts, Purpose.CLOSE)
    for symbol, qty in shorts.items():
        world.fill(trade, order, symbol, qty, 100_000)
    bidless = dict.fromkeys(trade.structure.symbols, Quote(QuoteVerdict.NO_BID, None, 0.05))
    world.step(bidless)
    assert trade.state == "EXITING"  # the order may still fill
    world.end(trade, order)
    world.step(bidless | {put(5_895).symbol: Quote(QuoteVerdict.GOOD, 0.05, 0.10)})
    assert trade.state == "EXITING"  # somebody bids for one of them
    world.step(bidless)
    assert trade.state == "SETTLING"
    for symbol in list(trade.legs):
        world.expire(symbol)
    world.step()
    assert trade.state == "CLOSED"
    assert world.records("TRADE_CLOSED")[0]["reason"] == "EXIT_TIME"


def test_a_trade_that_is_flat_is_closed_even_when_nobody_says_so(world: Lifecycle) -> None:
    trade = world.opened()
    world.sell_out(trade)
    world.step()
    assert trade.state == "CLOSED"


@pytest.mark.parametrize("state", LIVING)
def test_every_living_state_has_a_deadline(world: Lifecycle, state: TradeState) -> None:
    trade = world.in_state(state)
    assert trade.deadline is not None
    assert trade.deadline > world.now


# ------------------------------------------------------------------------------------------ illegal, exceptions, frozen


@pytest.mark.parametrize("state", [S.PLANNED, *LIVING, S.FROZEN])
def test_fp37_a_pair_that_the_table_does_not_have_is_recorded_and_changes_nothing(
    world: Lifecycle, state: TradeState
) -> None:
    trade = world.in_state(state)
    before = len(world.records("ALERT"))
    unknown = [trigger for trigger in Trigger if (state, trigger) not in TABLE]
    assert unknown
    # An opening that ends before it was sent is denied, and a settlement that leaves nothing is FLAT: both are meant.
    told = {T.CANCELLED, T.REJECTED} if state is S.PLANNED else set()
    for trigger in unknown:
        if trigger not in told:
            assert world.state.drive(trade.id, trigger, world.now) is state
    ignored = world.records("ALERT")[before:]
    assert [row["code"] for row in ignored] == ["IGNORED_TRIGGER"] * len([item for item in unknown if item not in told])


@pytest.mark.parametrize("state", [*LIVING, S.FROZEN])
def test_sm_1_fp38_an_exception_never_drops_a_position(world: Lifecycle, state: TradeState) -> None:
    trade = world.in_state(state)
    held = dict(trade.legs)
    for _ in range(3):
        world.state.drive(trade.id, T.ERROR, world.now)
        world.state.fault(BOOK, world.now, "it raised")
    assert trade.state is state
    assert trade.legs == held
    assert world.state.strategy_state(BOOK) == "MANAGE_ONLY"


def test_sm_1_after_an_exception_in_open_the_exit_plan_fires(world: Lifecycle) -> None:
    trade = world.in_state(S.OPEN)
    world.state.drive(trade.id, T.ERROR, world.now)
    world.now = at(15, 30)
    world.step()
    assert trade.state == "EXITING"


@pytest.mark.parametrize("repeats", [1, 3])
def test_fp38_an_exception_inside_a_transition_keeps_the_position_and_the_clock_moves_it_on(
    world: Lifecycle, monkeypatch: pytest.MonkeyPatch, repeats: int
) -> None:
    trade = world.in_state(S.OPEN)
    held = dict(trade.legs)
    with monkeypatch.context() as broken:
        broken.setattr(type(world.ledger), "append", _raises)
        for _ in range(repeats):
            with pytest.raises(RuntimeError, match="inside"):
                world.state.drive(trade.id, T.EXIT_DUE, world.now)
    assert (trade.state, trade.legs) == ("OPEN", held)
    world.now = at(15, 30)
    world.step()
    assert trade.state == "EXITING"


def _raises(*_args: object, **_fields: object) -> None:
    raise RuntimeError("inside the transition")


def test_fp39_an_intent_without_an_exit_plan_becomes_no_trade(world: Lifecycle) -> None:
    trade = world.plan()
    with pytest.raises(StateError, match="no exit plan"):
        world.state.plan(world.intent(trade, None), world.now)
    assert trade.state == "CANCELLED"


def test_a_break_freezes_and_the_books_say_where_it_goes_on(world: Lifecycle) -> None:
    trade = world.in_state(S.FROZEN)
    assert world.state.strategy_state(BOOK) == "MANAGE_ONLY"
    world.state.drive(trade.id, T.CLEARED, world.now)
    assert trade.state == "OPEN"


def test_a_held_trade_waits_for_the_operator(world: Lifecycle) -> None:
    trade = world.in_state(S.OPEN)
    world.state.hold(trade.id, world.now)
    world.state.drive(trade.id, T.CLEARED, world.now)
    assert trade.state == "FROZEN"
    world.state.drive(trade.id, T.ADOPT, world.now)
    assert trade.state == "OPEN"


def test_a_doubt_that_ends_without_any_fill_ends_the_trade_without_a_result(world: Lifecycle) -> None:
    trade, order = world.entering()
    world.end(trade, order, "UNRESOLVED", filled=0, left=1)
    world.state.drive(trade.id, T.UNRESOLVED, world.now)
    assert trade.state == "FROZEN"
    world.end(trade, order, "LOST", filled=0, left=1)
    world.state.drive(trade.id, T.CLEARED, world.now)
    assert trade.state == "CLOSED"
    assert world.records("TRADE_CLOSED") == []
    assert world.books.closed_trades(BOOK) == ()


def test_what_could_not_be_explained_at_start_only_reduces_risk(world: Lifecycle) -> None:
    assert [*world.state.causes] == []
    world.state.distrust()
    assert [cause.state for cause in world.state.causes] == [TradingState.REDUCING]


# ----------------------------------------------------------------------------------------------------------- strategies


def test_three_faults_in_half_an_hour_leave_only_management(world: Lifecycle) -> None:
    world.state.fault(BOOK, at(10), "x")
    world.state.fault(BOOK, at(10, 29), "x")
    world.state.fault(BOOK, at(10, 30), "x")  # the first one is half an hour old by then
    assert world.state.entry_refusal(BOOK, at(10, 30)) is None
    world.state.fault(BOOK, at(10, 31), "it raised")
    refusal = world.state.entry_refusal(BOOK, at(10, 31))
    assert refusal is not None
    assert (refusal.reason, refusal.detail["cause"]) == (Reason.STRATEGY_LOCKED, "it raised")
    assert not world.state.may_enter(BOOK)


def test_thirty_clean_minutes_bring_it_back_twice_a_day() -> None:
    standing = StrategyStanding(SETTINGS.state)
    now = at(10)
    for allowed in (True, True, False):
        standing.manage_only(now, "break")
        now += timedelta(minutes=29)
        standing.rest(now)
        assert standing.state == "MANAGE_ONLY"
        now += timedelta(minutes=1)
        standing.rest(now)
        assert (standing.state == "ENABLED") is allowed
    standing.rest(now + timedelta(days=1))
    assert standing.state == "ENABLED"


def test_disabled_stays_disabled() -> None:
    standing = StrategyStanding(SETTINGS.state)
    standing.disable("CAPABILITY_MISSING")
    standing.manage_only(at(10), "break")
    standing.rest(at(15))
    refusal = standing.refusal()
    assert refusal is not None
    assert refusal.reason is Reason.STRATEGY_DISABLED
    restored = StrategyStanding(SETTINGS.state)
    restored.load(standing.dump())
    assert restored.state == "DISABLED"


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"state": "ASLEEP", "because": "", "faults": [], "returned": []},
        {"state": "MANAGE_ONLY", "because": "", "faults": [], "returned": []},
        {"state": "ENABLED", "because": "", "faults": ["noon"], "returned": []},
    ],
)
def test_a_strategy_state_that_makes_no_sense_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(StateError):
        StrategyStanding(SETTINGS.state).load(stored)
