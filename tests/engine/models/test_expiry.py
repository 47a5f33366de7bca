"""Expiry, exercise and assignment as measured on LEAN."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from engine.enums import OrderDirection, OrderStatus, OrderType
from engine.models.expiry import (
    EARLY_ASSIGNMENT_TAG,
    DefaultOptionAssignmentModel,
    NullOptionAssignmentModel,
    assignment_message,
    cash_settlement,
    delisting_warning_moment,
    exercise,
    expiry_moment,
    expiry_order,
    is_auto_exercised,
    next_assignment_scan,
    short_options,
    with_profit,
)
from engine.models.fills import fill
from engine.models.security_margin import UnknownUnderlying
from tests.engine.models.builders import HOLIDAY, INDEX_CLOCK, STOCK_CLOCK, Market, TestSecurity, at, order

FRIDAY = date(2025, 1, 10)
SATURDAY = date(2025, 1, 11)


@pytest.mark.parametrize(
    ("expiry", "warned", "gone"),
    [
        (date(2025, 1, 8), date(2025, 1, 8), date(2025, 1, 9)),
        (FRIDAY, FRIDAY, SATURDAY),  # the next calendar day, open or not
        (HOLIDAY, date(2025, 1, 17), date(2025, 1, 18)),  # nobody trades on the expiry: the open day before
    ],
)
def test_index_options_leave_at_one_in_the_morning(expiry: date, warned: date, gone: date) -> None:
    symbol = Market().option(5800, "P", expiry=expiry).symbol

    assert delisting_warning_moment(symbol, INDEX_CLOCK) == at("01:00", warned)
    assert expiry_moment(symbol, INDEX_CLOCK) == at("01:00", gone)


def test_options_on_stock_leave_at_midnight() -> None:
    market = Market()
    symbol = market.stock_option(market.stock("SPY", 580.0), 580, "C", expiry=FRIDAY).symbol

    assert expiry_moment(symbol, STOCK_CLOCK) == at("00:00", SATURDAY)


@pytest.mark.parametrize(
    ("strike", "right", "held", "message", "assigned", "cash"),
    [
        (5770, "P", -1, "Assigned. Underlying: 5765.74", True, "-426"),
        (5770, "P", 1, "Automatic Exercise. Underlying: 5765.74", False, "426"),
        (5750, "P", -1, "OTM. Underlying: 5765.74", False, "0"),
        (5750, "C", -3, "Assigned. Underlying: 5765.74", True, "-4722"),
        (5750, "C", 2, "Automatic Exercise. Underlying: 5765.74", False, "3148"),
        (5780, "C", 2, "OTM. Underlying: 5765.74", False, "0"),
    ],
)
def test_expiring_index_option_is_one_fill_at_zero_and_cash(
    strike: float, right: str, held: float, message: str, assigned: bool, cash: str
) -> None:
    market = Market(spot=5765.74)
    option = market.option(strike, right, 3.0, held=held)
    sent = expiry_order(option, at("01:00", SATURDAY))

    (event,) = exercise(option, sent, at("01:00", SATURDAY))

    assert (sent.type, sent.quantity, sent.tag) == (OrderType.OPTION_EXERCISE, -held, None)
    assert (event.status, event.fill_price, event.fill_quantity) == (OrderStatus.FILLED, 0.0, -held)
    assert event.order_fee.value.amount == 0
    assert (event.message, event.is_assignment) == (message, assigned)
    assert cash_settlement(option, sent.quantity) == Decimal(cash)


@pytest.mark.parametrize(("spot", "is_exercised"), [(5800.01, True), (5800.0099, False), (5800.0, False)])
def test_exercised_from_one_cent_on(spot: float, is_exercised: bool) -> None:
    assert is_auto_exercised(Market(spot=spot).option(5800, "C", held=1)) is is_exercised


@pytest.mark.parametrize(
    ("right", "held", "shares", "message", "direction"),
    [
        ("C", 2, 200, "Option Exercise", OrderDirection.BUY),
        ("C", -1, -100, "Option Assignment", OrderDirection.SELL),
    ],
)
def test_option_on_stock_delivers_shares_at_the_strike(
    right: str, held: float, shares: float, message: str, direction: OrderDirection
) -> None:
    market = Market()
    stock = market.stock("SPY", 590.0)
    option = market.stock_option(stock, 580, right, 10.0, held=held)
    sent = expiry_order(option, at("00:00", SATURDAY))

    closed, delivered = exercise(option, sent, at("00:00", SATURDAY))

    assert (closed.symbol, closed.fill_price, closed.fill_quantity) == (option.symbol, 0.0, -held)
    assert (delivered.symbol, delivered.fill_price, delivered.fill_quantity) == (stock.symbol, 580.0, shares)
    assert (delivered.message, delivered.direction, delivered.is_assignment) == (message, direction, False)
    assert cash_settlement(option, sent.quantity) == 0


def test_put_delivers_the_other_way() -> None:
    market = Market()
    stock = market.stock("SPY", 570.0)
    put = market.stock_option(stock, 580, "P", 10.0, held=1)

    _, delivered = exercise(put, expiry_order(put, at("00:00", SATURDAY)), at("00:00", SATURDAY))

    assert (delivered.fill_quantity, delivered.direction) == (-100, OrderDirection.SELL)


def test_exercise_on_the_holders_own_order_is_filled_like_an_expiry() -> None:
    market = Market()
    call = market.stock_option(market.stock("SPY", 590.0), 580, "C", 10.0, held=3)
    sent = order(OrderType.OPTION_EXERCISE, call, -2)

    events = fill(sent, call, at("10:00"))

    assert [(event.fill_price, event.fill_quantity) for event in events] == [(0.0, -2), (580.0, 200)]


def test_worthless_option_on_stock_delivers_nothing() -> None:
    market = Market()
    put = market.stock_option(market.stock("SPY", 590.0), 580, "P", 0.01, held=-1)

    assert len(exercise(put, expiry_order(put, at("00:00", SATURDAY)), at("00:00", SATURDAY))) == 1


def test_profit_is_added_to_the_message_when_it_is_known() -> None:
    assert with_profit("OTM. Underlying: 5765.74", Decimal("115.00")) == "OTM. Underlying: 5765.74. Profit: +115"
    assert (
        with_profit("Assigned. Underlying: 5765.74", Decimal("-426.5")) == "Assigned. Underlying: 5765.74. Loss: -426.5"
    )


def test_option_without_underlying_can_not_expire() -> None:
    option = Market().option(5800, "P", held=1)
    option.underlying = None

    with pytest.raises(UnknownUnderlying, match="expected a subscribed underlying"):
        exercise(option, expiry_order(option, at("01:00", SATURDAY)), at("01:00", SATURDAY))


# -- early assignment


def deep_put(spot: float = 5765.74, strike: float = 6165, expiry: date = FRIDAY) -> TestSecurity:
    put = Market(spot=spot).option(strike, "P", expiry=expiry)
    return put.priced(strike - spot, bid=strike - spot - 1).holding(-1, strike - spot)


def test_default_model_assigns_a_european_put_deep_in_the_money_on_its_last_day() -> None:
    put = deep_put(spot=5757.74)  # short at 10:00, assigned on the next full hour

    assignment = DefaultOptionAssignmentModel().get_assignment(put, at("11:00"))

    assert assignment is not None
    assert (assignment.quantity, assignment.tag) == (1.0, EARLY_ASSIGNMENT_TAG)
    sent = expiry_order(put, at("11:00"), assignment.tag)
    (event,) = exercise(put, sent, at("11:00"))
    assert event.is_assignment
    assert cash_settlement(put, sent.quantity) == Decimal("-40726")
    assert assignment_message(event, sent.tag) == f"Assigned. Underlying: 5757.74. {EARLY_ASSIGNMENT_TAG}"


def test_message_of_an_assignment_at_expiry_has_no_tag() -> None:
    put = deep_put()
    (event,) = exercise(put, expiry_order(put, at("01:00", SATURDAY)), at("01:00", SATURDAY))

    assert assignment_message(event, None) == "Assigned. Underlying: 5765.74"


def test_null_model_assigns_nobody() -> None:
    assert NullOptionAssignmentModel().get_assignment(deep_put(), at("11:00")) is None


@pytest.mark.parametrize(
    ("strike", "expiry", "is_assigned"),
    [
        (6054, FRIDAY, False),  # 5 % of 5,765.74 is 288.29
        (6055, FRIDAY, True),
        (5823, FRIDAY, False),  # 1 %, as condors get
        (6165, date(2025, 1, 13), False),  # European: not before its last day
    ],
)
def test_european_options_are_assigned_only_deep_and_on_the_last_day(
    strike: float, expiry: date, is_assigned: bool
) -> None:
    put = deep_put(strike=strike, expiry=expiry)

    assert (DefaultOptionAssignmentModel().get_assignment(put, at("11:00")) is not None) is is_assigned


@pytest.mark.parametrize(
    ("expiry", "right", "is_assigned"),
    [
        (date(2025, 1, 14), "P", True),  # midnight of the expiry is within four days
        (date(2025, 1, 15), "P", False),
        (date(2025, 1, 14), "C", False),  # out of the money
    ],
)
def test_american_options_are_assigned_within_four_days(expiry: date, right: str, is_assigned: bool) -> None:
    market = Market()
    option = market.stock_option(market.stock("SPY", 580.0), 640, right, 60.0, expiry=expiry, held=-2)

    assignment = DefaultOptionAssignmentModel().get_assignment(option, at("11:00"))

    assert (assignment is not None) is is_assigned
    if assignment is not None:
        assert assignment.quantity == 2


def test_call_is_assigned_by_its_distance_above_the_strike() -> None:
    call = Market(spot=6200.0).option(5800, "C", 400.0, held=-1)

    assert DefaultOptionAssignmentModel().get_assignment(call, at("11:00")) is not None
    assert DefaultOptionAssignmentModel(required_in_the_money_percent=0.07).get_assignment(call, at("11:00")) is None


def test_own_window_before_expiry_is_kept() -> None:
    market = Market()
    option = market.stock_option(market.stock("SPY", 580.0), 640, "P", 60.0, expiry=date(2025, 1, 12), held=-1)

    assert DefaultOptionAssignmentModel(prior_expiration=timedelta(days=1)).get_assignment(option, at("11:00")) is None


@pytest.mark.parametrize(("now", "scan"), [("09:31", "10:00"), ("10:00", "11:00"), ("10:59:59", "11:00")])
def test_assignment_is_looked_for_every_full_hour(now: str, scan: str) -> None:
    assert next_assignment_scan(at(now)) == at(scan)


def test_only_short_options_are_scanned() -> None:
    market = Market()
    stock = market.stock("SPY", 580.0, held=-100)
    spy_put = market.stock_option(stock, 640, "P", 60.0, held=-1)
    spxw = [market.option(6165, "P", 400.0, held=-1), market.option(6170, "P", 400.0, held=1)]

    assert short_options([spy_put, stock, *spxw, market.spx]) == [spxw[0], spy_put]
