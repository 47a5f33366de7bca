"""Margin of positions and the check before orders: the measured table, message texts, and LEAN's oddities.

The prices are chosen so that the measured margins come out: the index is at 5,860 throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.enums import AccountType, BrokerageName, OrderDirection, OrderType
from engine.models.margin import (
    MarginModelError,
    buying_power,
    has_sufficient_buying_power,
    insufficient_text,
    margin_remaining,
    smart_rounding,
    total_margin_used,
)
from engine.models.position_groups import resolve_groups
from engine.models.views import plain
from tests.engine.models.builders import Account, Market, TestSecurity, account, combo, order

DTE_46 = date(2025, 2, 25)
DTE_116 = date(2025, 5, 6)
Structure = list[tuple[TestSecurity, float]]


def condor(
    market: Market, put_wing: float = 20, call_wing: float = 20, *, shift: float = 0, net: float = -7.2
) -> Structure:
    """Return a 0DTE condor whose legs cost `net` in all, negative for a credit."""
    return [
        (market.option(5800 + shift - put_wing, "P", 1.0), 1),
        (market.option(5800 + shift, "P", 1.0 - net), -1) if net < 0 else (market.option(5800 + shift, "P", 1.0), -1),
        (market.option(5920 + shift, "C", 2.0), -1),
        (market.option(5920 + shift + call_wing, "C", 2.0 if net < 0 else 2.0 + net), 1),
    ]


def spread(market: Market, right: str) -> Structure:
    strikes = (5800, 5780) if right == "P" else (5920, 5940)
    return [(market.option(strikes[0], right, 3.0), -1), (market.option(strikes[1], right, 2.0), 1)]


def one_one_two(market: Market, naked_price: float = 37.25) -> Structure:
    return [
        (market.option(5600, "P", 90.0, expiry=DTE_116), 1),
        (market.option(5550, "P", 80.0, expiry=DTE_116), -1),
        (market.option(5275, "P", naked_price, expiry=DTE_116), -2),
    ]


def covered_call_diagonal(market: Market) -> Structure:
    return [(market.option(5250, "C", 675.79, expiry=DTE_116), 1), (market.option(6050, "C", 70.34, expiry=DTE_46), -1)]


MEASURED: list[tuple[str, Callable[[Market], Structure], str]] = [
    ("condor 20/20", condor, "2000"),
    ("condor put 20 / call 60 (LEAN charges the put wing only)", lambda m: condor(m, 20, 60), "2000"),
    ("condor put 60 / call 20", lambda m: condor(m, 60, 20), "6000"),
    ("put spread 20", lambda m: spread(m, "P"), "2000"),
    ("call spread 20", lambda m: spread(m, "C"), "2000"),
    ("naked put 0DTE -1 %", lambda m: [(m.option(5800, "P", 3.11), -1)], "82211"),
    ("naked put 116 DTE -10 %", lambda m: [(m.option(5275, "P", 36.80, expiry=DTE_116), -1)], "56430"),
    ("1-1-2", one_one_two, "112950"),
    ("1-1-2 and a 0DTE condor", lambda m: [*one_one_two(m, 39.05), *condor(m)], "115310"),
    ("PMCC", covered_call_diagonal, "75934"),
    (
        "diagonal put",
        lambda m: [(m.option(5600, "P", 90.0, expiry=DTE_116), 1), (m.option(5700, "P", 57.19, expiry=DTE_46), -1)],
        "77619",
    ),
    (
        "calendar at one strike",
        lambda m: [(m.option(5800, "P", 60.0, expiry=DTE_46), -1), (m.option(5800, "P", 120.0, expiry=DTE_116), 1)],
        "0",
    ),
    (
        "strangle 46 DTE",
        lambda m: [(m.option(5560, "P", 26.0, expiry=DTE_46), -1), (m.option(6160, "C", 28.65, expiry=DTE_46), -1)],
        "64065",
    ),
    (
        "strangle with the larger margin on the put",
        lambda m: [(m.option(5760, "P", 50.0, expiry=DTE_46), -1), (m.option(6160, "C", 28.65, expiry=DTE_46), -1)],
        "85765",
    ),
    (
        "broken-wing butterfly 20/60",
        lambda m: [(m.option(5820, "P", 5.0), 1), (m.option(5800, "P", 3.0), -2), (m.option(5740, "P", 1.0), 1)],
        "6000",
    ),
]


def hold(structure: Structure, lots: float = 1) -> list[TestSecurity]:
    return [security.holding(ratio * lots) for security, ratio in structure]


@pytest.mark.parametrize(("build", "margin"), [row[1:] for row in MEASURED], ids=[row[0] for row in MEASURED])
@pytest.mark.parametrize("name", [BrokerageName.DEFAULT, BrokerageName.TASTYTRADE])
def test_structure_uses_the_measured_margin(
    build: Callable[[Market], Structure], margin: str, name: BrokerageName
) -> None:
    market = Market(name)
    held = account(1_000_000, market.spx, *hold(build(market)))

    assert total_margin_used(held) == Decimal(margin)
    assert margin_remaining(held) == Decimal(1_000_000) - Decimal(margin)


@pytest.mark.parametrize("account_type", list(AccountType))
def test_a_cash_account_takes_condors_on_the_same_margin(account_type: AccountType) -> None:
    market = Market(account_type=account_type)
    legs = condor(market)
    empty = account(2_000, market.spx, *(security for security, _ in legs))

    assert has_sufficient_buying_power(empty, combo(OrderType.COMBO_LIMIT, 1, legs, limit=-7.2)).is_sufficient
    assert total_margin_used(account(9_000, market.spx, *hold(legs))) == 2_000


def test_condors_grow_with_their_lots() -> None:
    market = Market()

    assert total_margin_used(account(1_000_000, market.spx, *hold(condor(market), 7))) == 14_000


def test_two_overlapping_condors_add_up_whatever_the_order_of_the_holdings() -> None:
    market = Market()
    held = hold([*condor(market), *condor(market, shift=10)])

    used = {
        total_margin_used(account(1_000_000, market.spx, *walk)) for walk in (held, held[::-1], held[3:] + held[:3])
    }

    assert used == {Decimal(4_000)}


def test_three_overlapping_condors_are_grouped_the_same_way_every_time() -> None:
    market = Market()
    held = hold([*condor(market), *condor(market, shift=15), *condor(market, shift=30)])

    groups = {str(resolve_groups(walk)) for walk in (held, held[::-1], held[5:] + held[:5])}

    assert len(groups) == 1


def test_a_debit_spread_costs_nothing_to_hold() -> None:
    market = Market()
    legs = [(market.option(5820, "P", 5.0), 1.0), (market.option(5800, "P", 3.0), -1.0)]

    assert total_margin_used(account(1_000, market.spx, *hold(legs))) == 0


# -- before an order


def needed(market: Market, legs: Structure, lots: float = 1, limit: float = -1.0) -> Decimal:
    """Return the smallest account value with which the order passes, to the cent."""
    securities = [market.spx, *(security for security, _ in legs)]
    low, high = 0, 100_000_000
    while low < high:
        middle = (low + high) // 2
        portfolio = Account(Decimal(middle) / 100, securities)
        if has_sufficient_buying_power(portfolio, combo(OrderType.COMBO_LIMIT, lots, legs, limit=limit)).is_sufficient:
            high = middle
        else:
            low = middle + 1
    return Decimal(low) / 100


@pytest.mark.parametrize(
    ("build", "least"),
    [
        (condor, "2000"),  # a credit adds nothing, and fees are not counted
        (lambda m: condor(m, net=5.0), "2500"),  # a debit does
        (covered_call_diagonal, "143513"),  # margin of the naked call and the debit of the long one
        (lambda m: [(security, -ratio) for security, ratio in spread(m, "P")], "100"),
    ],
    ids=["credit condor", "debit condor", "PMCC", "debit spread"],
)
def test_combo_passes_from(build: Callable[[Market], Structure], least: str) -> None:
    market = Market()

    assert needed(market, build(market)) == Decimal(least)


def test_refused_combo_names_the_change_of_margin() -> None:
    market = Market()
    legs = condor(market)
    portfolio = account("1999.50", market.spx, *(security for security, _ in legs))
    orders = combo(OrderType.COMBO_LIMIT, 1, legs, limit=-7.2, first_id=5)

    check = has_sufficient_buying_power(portfolio, orders)

    assert check == (False, "Id: 5,6,7,8, Maintenance Margin Delta: 2000, Free Margin: 1999.5")
    assert insufficient_text(portfolio, orders, check) == (
        "Order Error: ids: [5,6,7,8], Insufficient buying power to complete orders (Value:[-720,-820,-200,-720]), "
        "Reason: Id: 5,6,7,8, Maintenance Margin Delta: 2000, Free Margin: 1999.5."
    )


def test_refused_naked_put_names_margin_and_fee() -> None:
    market = Market(BrokerageName.INTERACTIVE_BROKERS_BROKERAGE)
    put = market.option(5800, "P", 3.11)
    portfolio = account(29_493, market.spx, put)

    check = has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, put, -1)])

    assert check == (False, "Id: 1, Initial Margin: -82212, Free Margin: 29493")


def test_a_lone_option_is_checked_in_its_group_once_anything_is_held() -> None:
    market = Market()
    put = market.option(5800, "P", 3.11)
    stock = market.stock("SPY", 100.0, held=100)
    portfolio = account(30_000, market.spx, put, stock)

    check = has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, put, -1)])

    assert check == (False, "Id: 1, Maintenance Margin Delta: 82211, Free Margin: 25000")


@pytest.mark.parametrize(("value", "is_sufficient"), [(-50_000, True), (100, True)])
def test_an_order_that_lowers_margin_passes_without_any_free_margin(value: float, is_sufficient: bool) -> None:
    market = Market()
    legs = condor(market)
    portfolio = account(value, market.spx, *hold(legs, 3))
    closing = combo(OrderType.COMBO_LIMIT, 3, [(security, -ratio) for security, ratio in legs], limit=40.0)

    assert has_sufficient_buying_power(portfolio, closing).is_sufficient is is_sufficient


def test_leg_out_of_a_condor_is_charged_for_what_stays() -> None:
    market = Market()
    legs = condor(market)
    portfolio = account(20_000, market.spx, *hold(legs))
    long_put = legs[0][0]

    check = has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, long_put, -1)])

    assert not check.is_sufficient
    assert "Maintenance Margin Delta" in check.reason


def test_open_orders_reserve_nothing() -> None:
    market = Market()
    first, second = condor(market), condor(market, shift=200)
    portfolio = account(2_000, market.spx, *(security for security, _ in [*first, *second]))

    assert has_sufficient_buying_power(portfolio, combo(OrderType.COMBO_LIMIT, 1, first, limit=-7.2)).is_sufficient
    assert has_sufficient_buying_power(portfolio, combo(OrderType.COMBO_LIMIT, 1, second, limit=-7.2)).is_sufficient


def test_combo_with_one_contract_twice_breaks_the_margin_model() -> None:
    market = Market()
    put = market.option(5800, "P", 3.0)
    portfolio = account(100_000, market.spx, put)

    with pytest.raises(MarginModelError, match="same key has already been added"):
        has_sufficient_buying_power(portfolio, combo(OrderType.COMBO_LIMIT, 1, [(put, 1), (put, -2)], limit=-1.0))


def test_an_option_without_price_needs_no_margin() -> None:
    """LEAN's oddity: it can be sold as if it were free; the order is stopped earlier, for the lack of a price."""
    market = Market()
    put = market.option(5800, "P", 0.0, held=-1)

    assert total_margin_used(account(100, market.spx, put)) == 0


# -- stock


def test_second_leveraged_etf_is_accepted_on_top_of_the_first() -> None:
    market = Market(BrokerageName.INTERACTIVE_BROKERS_BROKERAGE)
    tqqq = market.stock("TQQQ", 69.36, held=1354)
    sqqq = market.stock("SQQQ", 30.0)
    portfolio = account(99_136, tqqq, sqqq)

    assert total_margin_used(portfolio) == Decimal("46956.72")
    assert has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, sqqq, 3130)]).is_sufficient


def test_flip_in_a_cash_account_has_to_wait_for_settlement() -> None:
    market = Market(BrokerageName.INTERACTIVE_BROKERS_BROKERAGE, AccountType.CASH)
    sqqq = market.stock("SQQQ", 30.0)
    portfolio = account(99_136, sqqq, unsettled=93_905)

    check = has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, sqqq, 3130)])

    assert check == (False, "Id: 1, Initial Margin: 93915.65, Free Margin: 5231")


def test_order_against_the_holdings_may_use_their_margin_twice() -> None:
    market = Market(BrokerageName.DEFAULT)
    stock = market.stock("SPY", 500.0, held=100)
    portfolio = account(30_000, stock)

    assert buying_power(portfolio, stock, OrderDirection.BUY) == 5_000
    assert buying_power(portfolio, stock, OrderDirection.SELL) == 55_000
    assert has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, stock, -200)]).is_sufficient
    assert not has_sufficient_buying_power(portfolio, [order(OrderType.MARKET, stock, -321)]).is_sufficient


@pytest.mark.parametrize("value", [25_000, 24_999, -1])
def test_buying_power_is_never_below_zero(value: float) -> None:
    stock = Market(BrokerageName.DEFAULT).stock("SPY", 500.0, held=100)

    assert buying_power(account(value, stock), stock, OrderDirection.BUY) == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1234.56789", "1234.5679"),
        ("999.987654", "999.9877"),
        ("-82211.5349", "-82211.53"),
        ("0.000123456789", "0.0001234568"),
        ("0", "0"),
    ],
)
def test_values_in_messages_are_rounded(value: str, shown: str) -> None:
    assert plain(smart_rounding(Decimal(value))) == shown


def test_closing_stock_passes_in_an_account_under_water() -> None:
    market = Market()
    stock = market.stock("SPY", 500.0, held=100)

    assert has_sufficient_buying_power(account(-1, stock), [order(OrderType.MARKET, stock, -100)]).is_sufficient


def test_what_is_filled_already_needs_no_margin_again() -> None:
    market = Market(BrokerageName.TASTYTRADE)
    stock = market.stock("SPY", 500.0)
    portfolio = account(10_000, stock)
    sent = order(OrderType.LIMIT, stock, 100, limit=500.0)
    assert not has_sufficient_buying_power(portfolio, [sent]).is_sufficient

    portfolio.filled[1] = 60.0

    assert has_sufficient_buying_power(portfolio, [sent]).is_sufficient


# -- exercise


@pytest.mark.parametrize(("value", "is_sufficient"), [(60_001, True), (20_000, False)])
def test_exercise_needs_margin_for_the_shares_it_brings(value: float, is_sufficient: bool) -> None:
    market = Market(BrokerageName.DEFAULT)
    stock = market.stock("SPY", 590.0)
    call = market.stock_option(stock, 580.0, "C", 10.0, held=1)
    portfolio = account(value, stock, call)
    alone = Account(portfolio.total_portfolio_value, (stock, call.holding(0)))

    assert (
        has_sufficient_buying_power(alone, [order(OrderType.OPTION_EXERCISE, call, -1)]).is_sufficient is is_sufficient
    )


def test_exercise_of_a_cash_settled_option_always_passes() -> None:
    market = Market()
    put = market.option(5900, "P", 40.0)

    assert has_sufficient_buying_power(
        account(0, market.spx, put), [order(OrderType.OPTION_EXERCISE, put, -1)]
    ).is_sufficient


# -- strategies with stock


@pytest.mark.parametrize(
    ("shares", "options", "hold_margin", "open_value"),
    [
        # (strike, right, price, contracts); spot 580, stock margin 29,000 for 100 shares
        (100, [(600, "C", 2.0, -1)], "29000", "29160"),  # covered call: 0.8 of the option's value on top
        (
            100,
            [(500, "C", 82.0, -1)],
            "33000",
            "35560",
        ),  # in the money: its intrinsic value, and the stock at the strike
        (
            100,
            [(550, "P", 2.0, 1)],
            "8500",
            "29200",
        ),  # protective put: 10 % of the strike and what it is out of the money
        (-100, [(600, "C", 2.0, 1)], "8000", "29200"),
        (-100, [(600, "P", 25.0, -1)], "31000", "31000"),  # covered put
        (100, [(600, "C", 2.0, -1), (550, "P", 2.0, 1)], "8500", "29000"),  # collar
        (100, [(580, "C", 5.0, -1), (580, "P", 5.0, 1)], "5800", "29000"),  # conversion
        (-100, [(580, "C", 5.0, 1), (580, "P", 5.0, -1)], "5800", "29000"),
    ],
    ids=[
        "covered call",
        "covered call in the money",
        "protective put",
        "protective call",
        "covered put",
        "collar",
        "conversion",
        "reverse conversion",
    ],
)
def test_stock_and_options_are_margined_together(
    shares: float, options: Sequence[tuple[float, str, float, float]], hold_margin: str, open_value: str
) -> None:
    market = Market(BrokerageName.DEFAULT)
    stock = market.stock("SPY", 580.0, held=shares)
    held = [market.stock_option(stock, strike, right, price, held=lots) for strike, right, price, lots in options]

    assert total_margin_used(account(1_000_000, stock, *held)) == Decimal(hold_margin)

    opening: Structure = [(stock.holding(0), shares)]
    opening += [(option.holding(0), lots) for option, (_, _, _, lots) in zip(held, options, strict=True)]
    assert needed(market, opening, limit=1.0) == Decimal(open_value)


# -- other strategies


@pytest.mark.parametrize(
    ("legs", "margin"),
    [
        ([(5800, "P", 1, 5.0), (5800, "C", 1, 5.0)], "0"),  # straddle bought
        ([(5780, "C", 1, 8.0), (5800, "C", -2, 5.0), (5820, "C", 1, 3.0)], "0"),  # butterfly bought
        ([(5780, "C", -1, 8.0), (5800, "C", 2, 5.0), (5820, "C", -1, 3.0)], "2000"),  # sold: its lower half
        ([(5780, "P", -2, 3.0), (5800, "P", 4, 5.0), (5820, "P", -2, 8.0)], "4000"),
        (
            [(5780, "P", 1, 3.0), (5800, "P", -1, 5.0), (5800, "C", -1, 5.0), (5820, "C", 1, 3.0)],
            "2000",
        ),  # iron butterfly
        ([(5780, "P", -1, 3.0), (5800, "P", 1, 5.0), (5800, "C", 1, 5.0), (5820, "C", -1, 3.0)], "0"),  # and bought
        ([(5800, "P", 1, 5.0), (5780, "P", -1, 3.0), (5780, "C", 1, 8.0), (5800, "C", -1, 5.0)], "0"),  # box
        ([(5800, "C", -1, 5.0), (5820, "C", 1, 3.0), (5840, "C", 1, 2.0)], "2000"),  # bear call ladder: its spread
        ([(5800, "P", -1, 5.0), (5770, "P", 1, 3.0), (5740, "P", 1, 2.0)], "3000"),  # bull put ladder
        ([(5800, "P", 1, 5.0), (5780, "P", -2, 3.0)], "80200"),  # bear put spread and a naked put
        ([(5800, "C", 1, 5.0)], "0"),
    ],
)
def test_strategy_uses(legs: Sequence[tuple[float, str, float, float]], margin: str) -> None:
    market = Market()
    held = [market.option(strike, right, price, held=lots) for strike, right, lots, price in legs]

    assert total_margin_used(account(1_000_000, market.spx, *held)) == Decimal(margin)


def test_box_sold_needs_its_width_or_the_cost_to_close_it() -> None:
    market = Market()
    legs = [(5800, "P", -1, 5.0), (5780, "P", 1, 3.0), (5780, "C", -1, 85.0), (5800, "C", 1, 66.0)]
    held = [market.option(strike, right, price, held=lots) for strike, right, lots, price in legs]
    assert total_margin_used(account(1_000_000, market.spx, *held)) == Decimal("2146.08")  # 1.02 * (4 + 2,100)

    for option in held:
        option.priced(1.0)

    assert total_margin_used(account(1_000_000, market.spx, *held)) == 2_000


# -- laws

_STRIKES = st.sampled_from([5700.0, 5720.0, 5750.0, 5800.0, 5860.0, 5900.0, 5930.0, 6000.0])
_BOOK = st.dictionaries(
    st.tuples(_STRIKES, st.sampled_from("PC"), st.sampled_from([DTE_46, DTE_116])),
    st.integers(-4, 4).filter(bool),
    min_size=1,
    max_size=7,
)


@given(book=_BOOK, lots=st.integers(-2, 2), seed=st.randoms(use_true_random=False))
def test_every_position_is_in_exactly_one_place_and_order_does_not_matter(
    book: dict[tuple[float, str, date], int], lots: int, seed: object
) -> None:
    market = Market()
    held = [market.option(strike, right, 2.0, expiry=expiry, held=n) for (strike, right, expiry), n in book.items()]

    groups = resolve_groups(held)

    totals: dict[str, float] = {}
    for group in groups:
        for position in group.positions:
            totals[str(position.symbol)] = totals.get(str(position.symbol), 0) + position.quantity
            assert abs(position.quantity) == position.unit * abs(group.quantity)
    assert totals == {str(security.symbol): security.holdings.quantity for security in held}
    assert groups == resolve_groups(held[::-1])


@given(book=_BOOK)
def test_margin_is_between_nothing_and_all_shorts_naked(book: dict[tuple[float, str, date], int]) -> None:
    """It need not grow with the book: twice as many of three puts may contain a butterfly that one of each does not."""
    market = Market()
    held = [market.option(strike, right, 2.0, expiry=expiry, held=n) for (strike, right, expiry), n in book.items()]

    used = total_margin_used(account(1_000_000, market.spx, *held))

    naked = sum(option.buying_power_model.maintenance_margin(option, option.holdings.quantity) for option in held)
    assert 0 <= used <= naked
