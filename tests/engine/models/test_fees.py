"""Fees per leg order, as measured on LEAN."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.enums import BrokerageName, OrderType
from engine.models.fees import ConstantFeeModel, FeeError
from tests.engine.models.builders import Market, combo, order

IB = BrokerageName.INTERACTIVE_BROKERS_BROKERAGE
DEFAULT = BrokerageName.DEFAULT
TASTYTRADE = BrokerageName.TASTYTRADE
SCHWAB = BrokerageName.CHARLES_SCHWAB


@pytest.mark.parametrize(
    ("name", "lots", "held", "limit", "fee"),
    [
        (DEFAULT, 1, 0, 3.00, "0"),
        (DEFAULT, -3, 3, 3.00, "0"),
        (IB, 1, 0, 3.00, "1"),  # the minimum
        (IB, 3, 0, 0.05, "1.50"),  # the tier goes by the net limit of the combo, not by the leg
        (IB, 10, 0, 3.00, "6.50"),
        (IB, -10, 10, 3.00, "6.50"),
        (IB, 10, 0, 0.04, "2.50"),
        (IB, 10, 0, -7.20, "2.50"),  # a credit combo bought at a negative limit
        (TASTYTRADE, 1, 0, 3.00, "1"),
        (TASTYTRADE, -2, 0, 3.00, "2"),
        (TASTYTRADE, -2, 2, 3.00, "0"),
        (TASTYTRADE, 2, -2, 3.00, "0"),
        (SCHWAB, 1, 0, 3.00, "1"),
        (SCHWAB, -1, 1, 3.00, "1"),
    ],
)
def test_combo_limit_leg_of_spxw_pays(name: BrokerageName, lots: float, held: float, limit: float, fee: str) -> None:
    leg = Market(name).option(5800, "P", 14.40, held=held)

    (sent,) = combo(OrderType.COMBO_LIMIT, lots, [(leg, 1)], limit=limit)

    assert leg.fee_model.get_order_fee(leg, sent) == Decimal(fee)


@pytest.mark.parametrize(("bid", "ask", "lots", "fee"), [(0.04, 0.20, 10, "2.50"), (0.04, 0.20, -10, "6.50")])
def test_market_order_at_ib_is_priced_at_the_far_side(bid: float, ask: float, lots: float, fee: str) -> None:
    leg = Market(IB).option(5800, "P").priced(0.12, bid=bid, ask=ask)

    assert leg.fee_model.get_order_fee(leg, order(OrderType.MARKET, leg, lots)) == Decimal(fee)


@pytest.mark.parametrize(
    ("kind", "fields", "fee"),
    [
        (OrderType.LIMIT, {"limit": 0.09}, "5.00"),
        (OrderType.LIMIT, {"limit": 0.10}, "6.50"),
        (OrderType.STOP_MARKET, {"stop": 0.05}, "5.00"),
        (OrderType.STOP_LIMIT, {"stop": 5.0, "limit": 0.04}, "2.50"),
    ],
)
def test_single_option_order_at_ib_is_priced_at_its_own_price(
    kind: OrderType, fields: dict[str, float], fee: str
) -> None:
    option = Market(IB).option(5800, "P", 14.40)

    sent = order(kind, option, 10, limit=fields.get("limit", 0.0), stop=fields.get("stop", 0.0))

    assert option.fee_model.get_order_fee(option, sent) == Decimal(fee)


@pytest.mark.parametrize(
    ("name", "shares", "price", "fee"),
    [
        (IB, 1354, 69.36, "6.77"),
        (IB, -100, 511.36, "1"),
        (IB, 1000, 0.50, "2.5"),  # half a percent of the value
        (DEFAULT, 1354, 69.36, "6.77"),
        (TASTYTRADE, 1354, 69.36, "0"),
        (SCHWAB, 1354, 69.36, "0"),
    ],
)
def test_shares_pay(name: BrokerageName, shares: float, price: float, fee: str) -> None:
    stock = Market(name).stock("TQQQ", price)

    assert stock.fee_model.get_order_fee(stock, order(OrderType.MARKET, stock, shares)) == Decimal(fee)


@pytest.mark.parametrize(("name", "fee"), [(DEFAULT, "3.25"), (IB, "3.25"), (TASTYTRADE, "5"), (SCHWAB, "3.25")])
def test_equity_options_pay(name: BrokerageName, fee: str) -> None:
    market = Market(name)
    option = market.stock_option(market.stock("SPY", 580.0), 575.0, "P", 2.0)

    assert option.fee_model.get_order_fee(option, order(OrderType.LIMIT, option, 5, limit=2.0)) == Decimal(fee)


def test_exercise_of_an_equity_option_is_free_at_ib() -> None:
    market = Market(IB)
    option = market.stock_option(market.stock("SPY", 580.0), 575.0, "P", 2.0, held=5)

    assert option.fee_model.get_order_fee(option, order(OrderType.OPTION_EXERCISE, option, -5)) == 0


@pytest.mark.parametrize(("constant", "fee"), [(0.0, "0"), (1.5, "1.5"), (-1.5, "1.5")])
def test_constant_fee_does_not_grow_with_the_order(constant: float, fee: str) -> None:
    option = Market(IB).option(5800, "P")

    assert ConstantFeeModel(constant).get_order_fee(option, order(OrderType.MARKET, option, 10)) == Decimal(fee)


def test_an_index_can_not_be_charged() -> None:
    index = Market(IB).spx

    with pytest.raises(FeeError, match="Unsupported security type: Index"):
        index.fee_model.get_order_fee(index, order(OrderType.MARKET, index, 1))
