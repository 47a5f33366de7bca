"""Quantities behind `set_holdings`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.enums import BrokerageName, OrderType
from engine.models.margin import has_sufficient_buying_power
from engine.models.order_sizing import quantity_for_target
from tests.engine.models.builders import Market, account, order

IB = BrokerageName.INTERACTIVE_BROKERS_BROKERAGE


def test_a_quarter_percent_of_the_account_stays_free() -> None:
    stock = Market(IB).stock("TQQQ", 69.36)

    assert quantity_for_target(account(99_136, stock), stock, 0.95).quantity == 1_354


@pytest.mark.parametrize(
    ("held", "target", "quantity"),
    [(0, 0.5, 49), (49, 0.5, 0), (100, 0.5, -51), (0, -0.5, -49), (30, 0.0, -30), (30, -0.5, -79), (0, 2.0, 199)],
)
def test_order_is_the_difference_to_the_target(held: float, target: float, quantity: int) -> None:
    stock = Market(BrokerageName.TASTYTRADE).stock("SPY", 100.0, held=held)

    assert quantity_for_target(account(10_000, stock), stock, target).quantity == quantity


def test_change_below_a_tenth_of_a_percent_is_not_worth_an_order() -> None:
    stock = Market(BrokerageName.TASTYTRADE).stock("SPY", 10.0, held=4_988)

    size = quantity_for_target(account(100_000, stock), stock, 0.5)

    assert size == (0, "The target order margin 2.5 is less than the minimum 100.", False)


def test_fees_make_room() -> None:
    """1,995 shares would need 99,750 of value, all that may be used; the fee of 9.98 takes one share away."""
    stock = Market(IB).stock("SPY", 50.0)

    assert quantity_for_target(account(100_000, stock), stock, 1.0).quantity == 1_994


def test_less_than_a_share_is_nothing() -> None:
    stock = Market(IB).stock("SPY", 5_000.0)

    size = quantity_for_target(account(10_000, stock), stock, 0.3)

    assert size.quantity == 0
    assert size.reason.startswith("The order quantity is less than the lot size of 1 and has been rounded to zero.")
    assert not size.is_error


def test_a_security_without_price_is_an_error() -> None:
    stock = Market(IB).stock("SPY", 0.0)

    size = quantity_for_target(account(10_000, stock), stock, 0.3)

    assert (size.quantity, size.is_error) == (0, True)


def test_an_account_worth_nothing_buys_nothing() -> None:
    stock = Market(IB).stock("SPY", 100.0)

    assert quantity_for_target(account(0, stock), stock, 0.5).is_error


@given(
    cents=st.integers(100, 200_000),
    value=st.integers(1_000, 2_000_000),
    target=st.integers(-190, 190).filter(bool),
    name=st.sampled_from([BrokerageName.DEFAULT, IB, BrokerageName.CHARLES_SCHWAB]),
)
def test_what_is_sized_is_within_the_target_and_accepted(
    cents: int, value: int, target: int, name: BrokerageName
) -> None:
    stock = Market(name).stock("SPY", cents / 100)
    portfolio = account(value, stock)

    size = quantity_for_target(portfolio, stock, target / 100)

    assert abs(size.quantity) * cents <= value * abs(target) * 0.9975
    assert size.quantity * target >= 0
    if size.quantity:
        assert has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, stock, size.quantity)]).is_sufficient
