"""The last checks of each order: a refusal here is a DENIED_ reason and no order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.net_quote import NetQuote
from core.order_checks import OrderFacts, Throttle, judge_order
from core.ports import OrderRequest, OrderType, TimeInForce
from core.reasons import Reason
from core.settings import OrderSettings
from core.vocabulary import Instrument, OrderLeg, Purpose, Right, TradingState

SETTINGS = OrderSettings()
DAY = date(2025, 9, 5)


def option(strike: float, right: Right = Right.PUT) -> Instrument:
    text = f"SPXW  250905{right.value}{round(strike * 1000):08d}"
    return Instrument(text, "SPX", 100, 0.05, right, strike, DAY)


SHORT, LONG = option(5300), option(5290)


def spread(
    units: int = 1, cash: float | None = 1.25, *, close: bool = False, order: str = "r|t|OPEN|1"
) -> OrderRequest:
    sign = -1 if close else 1
    legs = (OrderLeg(SHORT, -units * sign), OrderLeg(LONG, units * sign))
    return OrderRequest(order, OrderType.COMBO_LIMIT, TimeInForce.DAY, legs, units, cash)


def facts(**changes: object) -> OrderFacts:
    base = OrderFacts(
        purpose=Purpose.OPEN,
        state=TradingState.ACTIVE,
        may_flatten=True,
        approved_units=1,
        committed_units=0,
        held={},
        own={},
        working={},
        used_ids=frozenset(),
        net=NetQuote(natural=1.15, passive=1.45),
        tick=0.05,
        close_width=None,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def closing_facts(**changes: object) -> OrderFacts:
    held = {SHORT.symbol: -1, LONG.symbol: 1}
    return facts(**{"purpose": Purpose.CLOSE, "held": held, "own": held, "net": NetQuote(-1.45, -1.15), **changes})


def reason(request: OrderRequest, known: OrderFacts) -> Reason:
    return judge_order(request, known, SETTINGS).reason


def test_a_sane_opening_and_a_sane_closing_pass() -> None:
    assert reason(spread(), facts()) is Reason.ALLOWED
    assert reason(spread(cash=-1.30, close=True), closing_facts()) is Reason.ALLOWED


def test_an_id_is_never_used_twice() -> None:
    assert reason(spread(), facts(used_ids=frozenset({"r|t|OPEN|1"}))) is Reason.DENIED_DUPLICATE


@pytest.mark.parametrize("qty", [0, 1.0, True, "1"])
def test_a_quantity_that_is_no_whole_number_is_denied(qty: object) -> None:
    legs = (OrderLeg(SHORT, -1), OrderLeg(LONG, qty))  # type: ignore[arg-type]
    request = replace(spread(), legs=legs)
    assert reason(request, facts()) is Reason.DENIED_STRUCTURE


def test_a_symbol_twice_a_common_factor_or_loose_legs_as_a_single_order_are_denied() -> None:
    twice = replace(spread(), legs=(OrderLeg(SHORT, -1), OrderLeg(SHORT, 1)))
    factor = replace(spread(), legs=(OrderLeg(SHORT, -2), OrderLeg(LONG, 2)), units=1)
    loose = replace(spread(), type=OrderType.LIMIT)
    for request in (twice, factor, loose):
        assert reason(request, facts()) is Reason.DENIED_STRUCTURE


@pytest.mark.parametrize("cash", [None, 0.0, float("nan"), float("inf")])
def test_a_limit_order_needs_a_price(cash: float | None) -> None:
    assert reason(spread(cash=cash), facts()) is Reason.DENIED_STRUCTURE


def test_fp64_reducing_and_halted_let_nothing_be_opened() -> None:
    for state in (TradingState.REDUCING, TradingState.HALTED):
        assert reason(spread(), facts(state=state)) is Reason.DENIED_STATE
        assert reason(spread(cash=-1.30, close=True), closing_facts(state=state)) is Reason.ALLOWED


def test_a_freeze_lets_nothing_be_sent() -> None:
    frozen = closing_facts(state=TradingState.HALTED, may_flatten=False)
    assert reason(spread(cash=-1.30, close=True), frozen) is Reason.DENIED_STATE


def test_a_closing_that_crosses_zero_grows_or_doubles_another_is_denied() -> None:
    too_many = closing_facts(approved_units=2)
    assert reason(spread(units=2, cash=-1.30, close=True), too_many) is Reason.DENIED_NOT_REDUCING
    assert reason(spread(cash=-1.30, close=True), closing_facts(held={})) is Reason.DENIED_NOT_REDUCING
    at_work = closing_facts(working={SHORT.symbol: 1, LONG.symbol: -1})
    assert reason(spread(cash=-1.30, close=True), at_work) is Reason.DENIED_NOT_REDUCING


def test_og_p3_filled_and_working_units_never_pass_what_was_approved() -> None:
    assert reason(spread(units=2), facts(approved_units=2)) is Reason.ALLOWED
    assert reason(spread(units=2), facts(approved_units=2, committed_units=1)) is Reason.DENIED_SIZE


def test_fp51_the_collar_gives_up_four_ticks_or_ten_per_cent_at_most() -> None:
    assert reason(spread(cash=0.95), facts()) is Reason.ALLOWED
    assert reason(spread(cash=0.90), facts()) is Reason.DENIED_COLLAR
    rich = facts(net=NetQuote(natural=30.0, passive=34.0))
    assert reason(spread(cash=27.0), rich) is Reason.ALLOWED
    assert reason(spread(cash=26.95), rich) is Reason.DENIED_COLLAR


def test_without_a_natural_price_nothing_is_sent() -> None:
    assert reason(spread(), facts(net=None)) is Reason.DENIED_COLLAR


def test_a_closing_never_pays_more_than_its_width() -> None:
    dear = closing_facts(net=NetQuote(-10.1, -9.0), close_width=10.0)
    assert reason(spread(cash=-10.0, close=True), dear) is Reason.ALLOWED
    assert reason(spread(cash=-10.05, close=True), dear) is Reason.DENIED_COLLAR


def test_an_order_never_meets_an_own_order_of_the_other_side() -> None:
    assert reason(spread(), facts(working={LONG.symbol: -1})) is Reason.DENIED_CROSS


@given(
    held=st.integers(-5, 5),
    qty=st.integers(-5, 5).filter(bool),
    working=st.integers(-5, 5),
)
def test_og_p2_a_reduction_that_passes_brings_the_symbol_nearer_to_zero(held: int, qty: int, working: int) -> None:
    request = OrderRequest("id", OrderType.LIMIT, TimeInForce.DAY, (OrderLeg(SHORT, qty),), abs(qty), -1.0)
    known = closing_facts(
        held={SHORT.symbol: held},
        own={SHORT.symbol: held},
        working={SHORT.symbol: working},
        approved_units=5,
        net=NetQuote(-1.0, -0.9),
    )
    if judge_order(request, known, SETTINGS).allowed:
        after = held + qty + working
        assert abs(held + qty) < abs(held)
        assert after * held >= 0


def test_orders_per_minute_and_per_session_are_limited_and_closings_wait_where_openings_are_refused() -> None:
    throttle, now = (
        Throttle(OrderSettings(orders_per_min=3, entries_per_min=1, orders_per_session=5)),
        datetime(2025, 9, 5, 10),
    )
    throttle.count(now, opening=True)
    assert not throttle.room(now, opening=True)
    assert throttle.room(now, opening=False)
    throttle.count(now, opening=False)
    throttle.count(now, opening=False)
    assert not throttle.room(now, opening=False)
    later = now + timedelta(seconds=60)
    assert throttle.room(later, opening=True)
    throttle.count(later, opening=False)
    throttle.count(later, opening=False)
    assert not throttle.room(later + timedelta(hours=1), opening=False)
    throttle.open_session()
    assert throttle.room(later + timedelta(hours=1), opening=False)
