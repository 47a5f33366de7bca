"""What each brokerage takes, with LEAN's words where it does not, and how long orders live."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from engine.enums import AccountType, BrokerageName, OrderType
from engine.models.brokerage import (
    BrokerageMessage,
    UnsupportedBrokerage,
    brokerage_model,
    is_order_expired,
    refusal_text,
)
from engine.orders import Order, TimeInForce
from tests.engine.models.builders import DAY, HALF_DAY, HOLIDAY, Market, TestSecurity, at, combo, order

DEFAULT = BrokerageName.DEFAULT
IB = BrokerageName.INTERACTIVE_BROKERS_BROKERAGE
TASTYTRADE = BrokerageName.TASTYTRADE
SCHWAB = BrokerageName.CHARLES_SCHWAB
ALL = (DEFAULT, IB, TASTYTRADE, SCHWAB)


def condor(market: Market) -> list[tuple[TestSecurity, float]]:
    return [
        (market.option(5780, "P"), 1),
        (market.option(5800, "P"), -1),
        (market.option(5900, "C"), -1),
        (market.option(5920, "C"), 1),
    ]


def answer(name: BrokerageName, kind: OrderType) -> BrokerageMessage | None:
    market = Market(name)
    legs = condor(market)
    (first, *_) = combo(kind, 1, legs, limit=-7.2, leg_limits=(1.0, 2.0, 2.0, 1.0))
    return market.brokerage.can_submit_order(legs[0][0], first)


@pytest.mark.parametrize(
    ("kind", "takers"),
    [
        (OrderType.COMBO_LIMIT, {DEFAULT, IB, TASTYTRADE, SCHWAB}),
        (OrderType.COMBO_MARKET, {DEFAULT, IB, SCHWAB}),
        (OrderType.COMBO_LEG_LIMIT, {DEFAULT}),
    ],
)
def test_condor_is_taken_by(kind: OrderType, takers: set[BrokerageName]) -> None:
    assert {name for name in ALL if answer(name, kind) is None} == takers


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        (
            TASTYTRADE,
            OrderType.COMBO_MARKET,
            "The TastytradeBrokerageModel does not support ComboMarket order type. "
            "Only supports [Market,Limit,StopMarket,StopLimit,ComboLimit]",
        ),
        (
            SCHWAB,
            OrderType.COMBO_LEG_LIMIT,
            "The CharlesSchwabBrokerageModel does not support ComboLegLimit order type. "
            "Only supports [Market,Limit,StopMarket,ComboMarket,ComboLimit,MarketOnClose,MarketOnOpen,StopLimit]",
        ),
        (
            IB,
            OrderType.COMBO_LEG_LIMIT,
            "The InteractiveBrokersBrokerageModel does not support four-leg ComboLegLimit orders. "
            "Use ComboLimit orders for four-leg combinations or more.",
        ),
    ],
)
def test_refused_combo_says_why(name: BrokerageName, kind: OrderType, text: str) -> None:
    message = answer(name, kind)

    assert message is not None
    assert refusal_text([1, 2, 3, 4], message) == (
        f"BrokerageModel declared unable to submit order: [1,2,3,4] Warning - Code: NotSupported - {text}"
    )


def test_three_leg_combo_leg_limit_is_taken_by_ib() -> None:
    market = Market(IB)
    legs = condor(market)[:3]
    (first, *_) = combo(OrderType.COMBO_LEG_LIMIT, 1, legs, leg_limits=(1.0, 2.0, 2.0))

    assert market.brokerage.can_submit_order(legs[0][0], first) is None


@pytest.mark.parametrize(
    ("kind", "takers"),
    [
        (OrderType.MARKET, {DEFAULT, IB, TASTYTRADE, SCHWAB}),
        (OrderType.LIMIT, {DEFAULT, IB, TASTYTRADE, SCHWAB}),
        (OrderType.STOP_MARKET, {DEFAULT, IB, TASTYTRADE, SCHWAB}),
        (OrderType.STOP_LIMIT, {DEFAULT, IB, TASTYTRADE, SCHWAB}),
        (OrderType.TRAILING_STOP, {DEFAULT, IB}),
        (OrderType.LIMIT_IF_TOUCHED, {DEFAULT, IB}),
        (OrderType.MARKET_ON_CLOSE, {DEFAULT, IB, SCHWAB}),
    ],
)
def test_stock_order_is_taken_by(kind: OrderType, takers: set[BrokerageName]) -> None:
    taken = set()
    for name in ALL:
        market = Market(name)
        stock = market.stock("SPY", 580.0)
        if market.brokerage.can_submit_order(stock, order(kind, stock, 10)) is None:
            taken.add(name)
    assert taken == takers


def test_market_on_close_of_an_option_is_refused_by_ib_under_its_own_code() -> None:
    market = Market(IB)
    option = market.option(5800, "P")

    message = market.brokerage.can_submit_order(option, order(OrderType.MARKET_ON_CLOSE, option, 1))

    assert message == (
        "Unsupported order type for IndexOption security type",
        "InteractiveBrokers does not support Market-on-Close orders for other security types different than Future and "
        "Equity.",
    )


@pytest.mark.parametrize(
    ("time", "is_taken"), [("09:27:59", True), ("09:28", False), ("12:00", False), ("15:59", False), ("16:00", True)]
)
def test_market_on_open_at_ib_is_taken_while_the_market_is_shut(time: str, is_taken: bool) -> None:
    market = Market(IB)
    stock = market.stock("SPY", 580.0)

    message = market.brokerage.can_submit_order(stock, order(OrderType.MARKET_ON_OPEN, stock, 10, at(time)))

    assert (message is None) is is_taken
    if message is not None:
        assert message.message.startswith("MarketOnOpen submission time is invalid. Valid local times are  04:00–")


def test_market_on_open_at_ib_is_taken_all_day_on_a_holiday() -> None:
    market = Market(IB)
    stock = market.stock("SPY", 580.0)
    sent = order(OrderType.MARKET_ON_OPEN, stock, 10, at("12:00", HOLIDAY))

    assert market.brokerage.can_submit_order(stock, sent) is None


@pytest.mark.parametrize(("name", "is_taken"), [(DEFAULT, True), (IB, False)])
def test_exercise_of_an_index_option(name: BrokerageName, is_taken: bool) -> None:
    market = Market(name)
    option = market.option(5900, "P", 40.0, held=1)

    message = market.brokerage.can_submit_order(option, order(OrderType.OPTION_EXERCISE, option, -1))

    assert (message is None) is is_taken


@pytest.mark.parametrize("name", [TASTYTRADE, SCHWAB])
def test_an_index_is_no_security_to_these(name: BrokerageName) -> None:
    market = Market(name)

    message = market.brokerage.can_submit_order(market.spx, order(OrderType.MARKET, market.spx, 1))

    assert message is not None
    assert message.message == f"The {market.brokerage.lean_name} does not support Index security type."


@pytest.mark.parametrize(("held", "lots", "is_taken"), [(2, -2, True), (2, -3, False), (-1, 2, False), (0, 5, True)])
def test_combo_limit_through_zero_is_refused_by_tastytrade(held: float, lots: float, is_taken: bool) -> None:
    market = Market(TASTYTRADE)
    option = market.option(5800, "P", held=held)
    (sent,) = combo(OrderType.COMBO_LIMIT, lots, [(option, 1)], limit=1.0)

    message = market.brokerage.can_submit_order(option, sent)

    assert (message is None) is is_taken
    if message is not None:
        assert message.message.startswith("Order type 'ComboLimit' is not supported for orders that cross the zero")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("account_type", "leverage"), [(AccountType.MARGIN, 2.0), (AccountType.CASH, 1.0)])
def test_leverage_is_two_for_stock_on_margin(name: BrokerageName, account_type: AccountType, leverage: float) -> None:
    market = Market(name, account_type)

    assert market.stock("SPY", 580.0).buying_power_model.leverage == leverage
    assert market.option(5800, "P").buying_power_model.leverage == 1.0


def test_a_brokerage_without_model_is_named() -> None:
    with pytest.raises(UnsupportedBrokerage, match=r"set_brokerage_model.*TASTYTRADE"):
        brokerage_model(BrokerageName.ALPACA)


# -- time in force


def waiting(security: TestSecurity, force: TimeInForce, sent: datetime) -> Order:
    return order(OrderType.LIMIT, security, 1, sent, limit=1.0, force=force)


@pytest.mark.parametrize(
    ("day", "sent", "alive_at", "dead_at"),
    [
        (date(2025, 1, 10), "10:00", "16:14:59", "16:15"),
        (HALF_DAY, "10:00", "12:59:59", "13:00"),
    ],
)
def test_day_order_in_spxw_ends_with_the_index_session(day: date, sent: str, alive_at: str, dead_at: str) -> None:
    option = Market().option(5800, "P", expiry=day)
    day_order = waiting(option, DAY, at(sent, day))

    assert not is_order_expired(option, day_order, at(alive_at, day))
    assert is_order_expired(option, day_order, at(dead_at, day))


def test_day_order_sent_after_the_close_lives_through_the_next_session() -> None:
    stock = Market().stock("SPY", 580.0)
    day_order = waiting(stock, DAY, at("16:30", date(2025, 1, 10)))

    assert not is_order_expired(stock, day_order, at("15:59", date(2025, 1, 13)))
    assert is_order_expired(stock, day_order, at("16:00", date(2025, 1, 13)))


def test_good_til_canceled_never_ends() -> None:
    stock = Market().stock("SPY", 580.0)

    assert not is_order_expired(
        stock, waiting(stock, TimeInForce.GOOD_TIL_CANCELED, at("10:00")), at("10:00", date(2026, 1, 9))
    )


def test_good_til_date_ends_with_the_session_of_its_date() -> None:
    stock = Market().stock("SPY", 580.0)
    dated = waiting(stock, TimeInForce.good_til_date(datetime(2025, 1, 14)), at("10:00"))

    assert not is_order_expired(stock, dated, at("15:59", date(2025, 1, 14)))
    assert is_order_expired(stock, dated, at("16:00", date(2025, 1, 14)))
