"""Margin calls and warnings."""

from __future__ import annotations

import pytest

from engine.enums import BrokerageName, OrderType
from engine.models.margin_call import MARGIN_CALL_TAG, is_cured, losers_first, scan_margin_call
from tests.engine.models.builders import Account, Market, account


def stock_account(value: float) -> Account:
    """Return an account with 1,000 SPY at 500: margin used is 250,000."""
    return account(value, Market(BrokerageName.DEFAULT).stock("SPY", 500.0, held=1_000))


@pytest.mark.parametrize(
    ("value", "is_warning", "has_orders"),
    [
        (300_000, False, False),
        (263_157, True, False),  # 5 % of the value free
        (263_158, False, False),
        (250_000, False, False),  # LEAN's gap: nothing free, yet neither warning nor call
        (227_273, False, False),
        (227_272, True, True),  # 10 % over
    ],
)
def test_warning_and_call_begin_at(value: float, is_warning: bool, has_orders: bool) -> None:
    call = scan_margin_call(stock_account(value))

    assert (call.is_warning, bool(call.orders)) == (is_warning, has_orders)


def test_account_without_margin_used_is_never_called() -> None:
    assert scan_margin_call(account(-1_000)) == (False, ())


def test_stock_is_reduced_to_what_the_account_bears() -> None:
    portfolio = stock_account(200_000)

    (sale,) = scan_margin_call(portfolio).orders

    ((symbol, quantity),) = sale.legs
    assert (sale.type, sale.tag) == (OrderType.MARKET, MARGIN_CALL_TAG)
    assert symbol is portfolio.securities[0].symbol
    assert -210 <= quantity <= -200
    assert not is_cured(portfolio)


def test_short_stock_is_bought_back() -> None:
    portfolio = account(200_000, Market(BrokerageName.DEFAULT).stock("SPY", 500.0, held=-1_000))

    (purchase,) = scan_margin_call(portfolio).orders

    assert 200 <= purchase.legs[0][1] <= 210


def test_condor_is_closed_as_one_combo() -> None:
    market = Market()
    legs = [(5780, "P", 1), (5800, "P", -1), (5920, "C", -1), (5940, "C", 1)]
    held = [market.option(strike, right, held=ratio) for strike, right, ratio in legs]
    portfolio = account(1_000, market.spx, *held)

    (closing,) = scan_margin_call(portfolio).orders

    assert (closing.type, closing.group_quantity) == (OrderType.COMBO_MARKET, 1)
    assert dict(closing.legs) == {o.symbol: -o.holdings.quantity for o in held}


def test_reducing_more_than_one_unit_of_a_group_repeats_leans_square() -> None:
    market = Market()
    held = [market.option(5780, "P", held=5), market.option(5800, "P", held=-5)]

    (closing,) = scan_margin_call(account(7_000, market.spx, *held)).orders

    assert closing.group_quantity == 2  # 3,000 too much at 2,000 a unit
    assert {quantity for _, quantity in closing.legs} == {-4, 4}


def test_naked_option_is_a_single_order() -> None:
    market = Market()
    put = market.option(5800, "P", 3.11, held=-2)

    (purchase,) = scan_margin_call(account(100_000, market.spx, put)).orders

    assert (purchase.type, purchase.legs) == (OrderType.MARKET, ((put.symbol, 1),))


def test_largest_loser_goes_first() -> None:
    market = Market(BrokerageName.DEFAULT)
    winner = market.stock("SPY", 500.0).holding(1_000, 480.0)
    loser = market.stock("QQQ", 400.0).holding(1_000, 450.0)
    portfolio = account(300_000, winner, loser)
    orders = scan_margin_call(portfolio).orders

    assert [sale.legs[0][0] for sale in losers_first(portfolio, orders)] == [loser.symbol, winner.symbol]


def test_call_is_over_as_soon_as_nothing_is_missing() -> None:
    assert is_cured(stock_account(250_000))
    assert not is_cured(stock_account(249_999))
