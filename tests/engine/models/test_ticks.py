"""Rounding of order prices."""

from __future__ import annotations

import pytest

from engine.enums import OptionRight, OrderType
from engine.models.ticks import price_increment, round_order_prices
from engine.symbols import Symbol
from tests.engine.models.builders import INDEX_CLOCK, TODAY, Market, TestSecurity, combo, order


@pytest.mark.parametrize(
    ("limit", "rounded"),
    [(14.23, 14.25), (14.22, 14.20), (14.26, 14.25), (-7.18, -7.20), (14.25, 14.25), (0.02, 0.0), (0.03, 0.05)],
)
def test_combo_limit_is_rounded_to_the_nearest_nickel(limit: float, rounded: float) -> None:
    market = Market()
    legs = [(market.option(5780, "P", 1.0), 1), (market.option(5800, "P", 14.0), -1)]
    orders = combo(OrderType.COMBO_LIMIT, 1, legs, limit=limit)
    pairs = [(sent, security) for sent, (security, _) in zip(orders, legs, strict=True)]

    warning = round_order_prices(orders[-1], legs[-1][0], pairs)

    group = orders[0].group_order_manager
    assert group is not None
    assert group.limit_price == rounded
    assert (warning is None) is (limit == rounded)


def test_warning_names_old_and_new_price() -> None:
    option = Market().option(5800, "P")
    sent = order(OrderType.LIMIT, option, 1, limit=1.23)

    assert round_order_prices(sent, option) == (
        "Warning: To meet brokerage precision requirements, order LimitPrice was rounded to 1.25 from 1.23"
    )


def test_incomplete_combo_is_left_alone() -> None:
    option = Market().option(5800, "P")
    (sent,) = combo(OrderType.COMBO_LIMIT, 1, [(option, 1)], limit=1.23)

    assert round_order_prices(sent, option) is None
    assert sent.group_order_manager is not None
    assert sent.group_order_manager.limit_price == 1.23


@pytest.mark.parametrize(
    ("limit", "rounded"),
    [(2.98, 3.0), (2.96, 2.95), (3.04, 3.0), (3.06, 3.1), (3.05, 3.0), (3.15, 3.2), (0.075, 0.1), (0.125, 0.1)],
)
def test_single_limit_has_dimes_from_three_dollars_and_halves_go_to_even(limit: float, rounded: float) -> None:
    option = Market().option(5800, "P")
    sent = order(OrderType.LIMIT, option, 1, limit=limit)

    round_order_prices(sent, option)

    assert sent.limit_price == rounded


def test_all_prices_of_an_order_are_rounded() -> None:
    option = Market().option(5800, "P")
    stop_limit = order(OrderType.STOP_LIMIT, option, 1, limit=1.01, stop=4.04)
    touched = order(OrderType.LIMIT_IF_TOUCHED, option, 1, limit=1.01, trigger=1.04)
    trailing = order(OrderType.TRAILING_STOP, option, -1, stop=1.01)
    trailing.trailing_amount = 0.52

    for sent in (stop_limit, touched, trailing):
        round_order_prices(sent, option)

    assert (stop_limit.limit_price, stop_limit.stop_price) == (1.0, 4.0)
    assert (touched.limit_price, touched.trigger_price) == (1.0, 1.05)
    assert (trailing.stop_price, trailing.trailing_amount) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("price", "is_adjusted", "rounded"), [(69.357, False, 69.36), (0.56781, False, 0.5678), (69.357, True, 69.357)]
)
def test_stock_has_cents_finer_ticks_below_a_dollar_and_none_when_adjusted(
    price: float, is_adjusted: bool, rounded: float
) -> None:
    stock = Market().stock("TQQQ", 69.36)
    stock.is_adjusted = is_adjusted
    sent = order(OrderType.LIMIT, stock, 1, limit=price)

    round_order_prices(sent, stock)

    assert sent.limit_price == rounded


@pytest.mark.parametrize(("root", "below", "above"), [("VIX", "0.01", "0.05"), ("VIXW", "0.01", "0.01")])
def test_vix_options_have_ticks_of_their_own(root: str, below: str, above: str) -> None:
    symbol = Symbol.option(Symbol.index("VIX"), OptionRight.CALL, 20.0, TODAY, ticker=root)
    option = TestSecurity(symbol, INDEX_CLOCK)

    assert [str(price_increment(option, price)) for price in (2.99, 3.0)] == [below, above]
