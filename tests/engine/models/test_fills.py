"""Fills of single orders in stocks and options."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from engine.enums import OrderStatus, OrderType
from engine.models.fills import FillError, fill, is_market_on_close_too_late
from engine.models.views import PriceBar
from engine.orders import Order
from tests.engine.models.builders import HALF_DAY, TODAY, Market, TestSecurity, at, bar, order, quote

MONDAY = date(2025, 1, 13)


def filled_at(sent: Order, security: TestSecurity, now: str, day: date = TODAY) -> float | None:
    events = fill(sent, security, at(now, day))
    if not events:
        return None
    (event,) = events
    assert event.status is OrderStatus.FILLED
    assert event.fill_quantity == sent.quantity
    assert event.utc == at(now, day)
    return event.fill_price


# -- stocks: market orders


def spy(
    quote_end: str = "10:00", bid: float | None = 511.345, ask: float | None = 511.355, day: date = TODAY
) -> TestSecurity:
    stock = Market().stock("SPY", 511.35).quoted(quote_end, bid, ask, day)
    stock.last_trade = bar(quote_end, 511.30, 511.40, close=511.35, day=day)
    return stock


@pytest.mark.parametrize(("shares", "price"), [(100, 511.355), (-100, 511.345)])
def test_market_order_fills_at_once_at_the_quote_of_the_finished_minute(shares: float, price: float) -> None:
    stock = spy()

    assert filled_at(order(OrderType.MARKET, stock, shares, at("10:00")), stock, "10:00") == price


def test_market_order_at_the_open_waits_for_the_first_bar() -> None:
    stock = spy("16:00", day=date(2025, 1, 9))
    sent = order(OrderType.MARKET, stock, 100, at("09:30"))
    assert filled_at(sent, stock, "09:30") is None

    stock.quoted("09:31", 512.10, 512.15)

    assert filled_at(sent, stock, "09:31") == 512.15


@pytest.mark.parametrize(("quote_end", "does_fill"), [("09:31", True), ("09:30", False)])
def test_market_order_takes_quotes_up_to_an_hour_old(quote_end: str, does_fill: bool) -> None:
    stock = spy(quote_end)
    sent = order(OrderType.MARKET, stock, 100, at("10:30") + timedelta(seconds=1))

    assert (filled_at(sent, stock, "10:31") is not None) is does_fill


def test_market_order_takes_the_trade_bar_when_quotes_are_stale() -> None:
    stock = spy("08:00")
    stock.last_trade = bar("10:00", 511.30, 511.40, close=511.35)

    (event,) = fill(order(OrderType.MARKET, stock, 100, at("10:00")), stock, at("10:00"))

    assert event.fill_price == 511.35
    assert event.message == (
        "Warning: No quote information available at 01/10/2025 10:00:00 America/New_York, "
        "order filled using TradeBar data"
    )


def test_market_order_takes_the_other_side_of_a_one_sided_quote() -> None:
    stock = spy(ask=None)

    assert filled_at(order(OrderType.MARKET, stock, 100, at("10:00")), stock, "10:00") == 511.345


def test_market_order_at_the_last_instant_of_the_session_fills() -> None:
    stock = spy("16:00")

    assert filled_at(order(OrderType.MARKET, stock, 100, at("15:59:30")), stock, "16:00") == 511.355
    assert filled_at(order(OrderType.MARKET, stock, 100, at("16:01")), stock, "16:01") is None


def test_market_order_without_any_data_is_an_error_of_the_model() -> None:
    stock = Market().stock("SPY", 511.35)

    with pytest.raises(
        FillError, match=r"Cannot get ask price to perform fill .* SubscribedTypes: \[TradeBar,QuoteBar\]"
    ):
        fill(order(OrderType.MARKET, stock, 100, at("10:00")), stock, at("10:00"))


# -- stocks: limits and stops look at trades only


@pytest.mark.parametrize(
    ("shares", "limit", "low", "high", "opened", "price"),
    [
        (10, 511.00, 510.90, 511.50, 511.20, 511.00),
        (10, 511.00, 511.00, 511.50, 511.20, None),  # touched, not passed
        (10, 511.00, 510.50, 510.80, 510.60, 510.60),  # opened better
        (-10, 511.00, 510.90, 511.50, 510.95, 511.00),
        (-10, 511.50, 510.90, 511.50, 510.95, None),
        (-10, 511.00, 511.20, 511.50, 511.30, 511.30),
    ],
)
def test_stock_limit(shares: float, limit: float, low: float, high: float, opened: float, price: float | None) -> None:
    stock = spy("10:01")
    stock.last_trade = bar("10:01", low, high, open=opened)

    assert filled_at(order(OrderType.LIMIT, stock, shares, limit=limit), stock, "10:01") == price


def test_favorable_gap_is_explained() -> None:
    stock = spy("10:01")
    stock.last_trade = bar("10:01", 510.5, 510.8, open=510.625)

    (event,) = fill(order(OrderType.LIMIT, stock, 10, limit=511.0), stock, at("10:01"))

    assert event.message == (
        "Due to a favorable gap at 01/10/2025 10:01:00 America/New_York, order filled using the open price (510.625)"
    )


@pytest.mark.parametrize(
    ("shares", "stop", "low", "high", "opened", "price"),
    [
        (-10, 511.00, 511.00, 511.50, 511.20, 511.00),  # reached is enough
        (-10, 511.00, 511.01, 511.50, 511.20, None),
        (-10, 511.00, 510.00, 511.50, 510.70, 510.70),  # opened worse
        (10, 511.50, 511.00, 511.50, 511.20, 511.50),
        (10, 511.50, 511.00, 511.49, 511.20, None),
        (10, 511.50, 511.00, 512.00, 511.80, 511.80),
    ],
)
def test_stock_stop(shares: float, stop: float, low: float, high: float, opened: float, price: float | None) -> None:
    stock = spy("10:01")
    stock.last_trade = bar("10:01", low, high, open=opened)

    assert filled_at(order(OrderType.STOP_MARKET, stock, shares, stop=stop), stock, "10:01") == price


@pytest.mark.parametrize(
    "kind", [OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP]
)
@pytest.mark.parametrize("asset", ["stock", "option"])
def test_waiting_orders_need_a_bar_that_ended_after_them(kind: OrderType, asset: str) -> None:
    market = Market()
    security = market.stock("SPY", 511.0) if asset == "stock" else market.option(5800, "P")

    def try_at(end: str) -> float | None:
        security.last_trade = bar(end, 1.0, 2.0)
        security.last_quote = quote(end, bar(end, 1.0, 2.0), bar(end, 1.0, 2.0))
        return filled_at(order(kind, security, 1, at("10:00"), limit=2.5, stop=1.5), security, "10:01")

    assert try_at("10:00") is None
    assert try_at("10:01") is not None


# -- options: everything looks at the side's quotes


@pytest.mark.parametrize(
    ("lots", "limit", "price"),
    [
        (1, 2.20, 2.20),
        (1, 2.10, None),
        (1, 2.60, 2.50),  # the worst of a bar that is better throughout
        (-1, 1.90, 1.90),
        (-1, 2.00, None),
        (-1, 1.40, 1.50),
    ],
)
def test_option_limit(lots: float, limit: float, price: float | None) -> None:
    option = Market().option(5800, "P").quoted("10:01", bar("10:01", 1.5, 2.0), bar("10:01", 2.1, 2.5))

    assert filled_at(order(OrderType.LIMIT, option, lots, limit=limit), option, "10:01") == price


@pytest.mark.parametrize(
    ("lots", "stop", "price"),
    [(-1, 1.60, 1.60), (-1, 1.50, None), (-1, 2.40, 2.00), (1, 2.40, 2.50), (1, 2.50, None), (1, 2.00, 2.50)],
)
def test_option_stop(lots: float, stop: float, price: float | None) -> None:
    option = Market().option(5800, "P").quoted("10:01", bar("10:01", 1.5, 2.0), bar("10:01", 2.1, 2.5))

    assert filled_at(order(OrderType.STOP_MARKET, option, lots, stop=stop), option, "10:01") == price


def test_option_market_order_fills_at_the_close_of_its_side() -> None:
    option = (
        Market().option(5800, "P").quoted("10:00", bar("10:00", 1.5, 2.0, close=1.7), bar("10:00", 2.1, 2.5, close=2.2))
    )

    assert filled_at(order(OrderType.MARKET, option, 1, at("10:00")), option, "10:00") == 2.2
    assert filled_at(order(OrderType.MARKET, option, -1, at("10:00")), option, "10:00") == 1.7


@pytest.mark.parametrize(("now", "does_fill"), [("16:00", True), ("16:14", True), ("16:15", False), ("16:16", False)])
def test_expiring_option_trades_until_a_quarter_past_four(now: str, does_fill: bool) -> None:
    option = Market().option(5800, "P").quoted("16:00", 1.5, 2.1)

    assert (filled_at(order(OrderType.MARKET, option, 1, at(now)), option, now) is not None) is does_fill


def test_option_with_trades_only_fills_on_them() -> None:
    option = Market().option(5800, "P")
    option.last_trade = bar("10:01", 1.5, 2.0, close=1.8)

    assert filled_at(order(OrderType.MARKET, option, 1, at("10:01")), option, "10:01") == 1.8


def test_stop_limit_is_armed_once_and_fills_later() -> None:
    option = Market().option(5800, "P").quoted("10:01", 1.5, bar("10:01", 2.1, 2.6, close=2.6))
    sent = order(OrderType.STOP_LIMIT, option, 1, stop=2.5, limit=2.3)
    assert filled_at(sent, option, "10:01") is None
    assert sent.stop_triggered

    option.quoted("10:02", 1.5, bar("10:02", 2.1, 2.2, close=2.15))

    assert filled_at(sent, option, "10:02") == 2.2


def test_trailing_stop_follows_the_best_price_after_it_was_not_hit() -> None:
    option = Market().option(5800, "P").quoted("10:01", bar("10:01", 4.0, 5.0), 5.1)
    sent = order(OrderType.TRAILING_STOP, option, -1, stop=3.0)
    sent.trailing_amount = 1.0
    assert filled_at(sent, option, "10:01") is None
    assert sent.stop_price == 4.0

    option.quoted("10:02", bar("10:02", 3.9, 4.5, close=4.2), 4.6)

    assert filled_at(sent, option, "10:02") == 4.0


def test_trailing_stop_in_percent_moves_down_for_a_purchase() -> None:
    option = Market().option(5800, "P").quoted("10:01", 3.9, bar("10:01", 4.0, 4.5))
    sent = order(OrderType.TRAILING_STOP, option, 1, stop=6.0)
    sent.trailing_amount, sent.trailing_as_percentage = 0.10, True

    assert filled_at(sent, option, "10:01") is None
    assert sent.stop_price == 4.4


@pytest.mark.parametrize(("asset", "price"), [("stock", 2.0), ("option", 2.3)])
def test_limit_if_touched(asset: str, price: float) -> None:
    """Stocks fill at the quote that is better than the limit; options, oddly, at the limit, tested against the bid."""
    market = Market()
    security = market.stock("SPY", 2.0) if asset == "stock" else market.option(5800, "P")
    sent = order(OrderType.LIMIT_IF_TOUCHED, security, 1, limit=2.3, trigger=1.9)
    security.last_trade = bar("10:01", 1.95, 2.2)
    security.quoted("10:01", 1.9, 2.0)
    assert filled_at(sent, security, "10:01") is None
    assert not sent.trigger_touched

    security.last_trade = bar("10:02", 1.90, 2.2)

    assert filled_at(sent, security, "10:02") == price


# -- open and close


def test_market_on_open_fills_at_the_open_of_the_next_session_in_the_event_of_its_first_bar() -> None:
    stock = spy("16:00")
    sent = order(OrderType.MARKET_ON_OPEN, stock, 100, at("16:00"))
    assert filled_at(sent, stock, "16:00") is None

    stock.last_trade = bar("09:31", 509.0, 510.0, open=509.55, day=MONDAY)
    stock.quoted("09:31", 509.8, 509.9, MONDAY)

    assert filled_at(sent, stock, "09:31", MONDAY) == 509.55


def test_market_on_open_sent_in_the_session_waits_for_the_next_one() -> None:
    stock = spy("10:31")
    sent = order(OrderType.MARKET_ON_OPEN, stock, 100, at("10:00"))
    assert filled_at(sent, stock, "10:31") is None

    stock.last_trade = bar("09:31", 509.0, 510.0, open=509.55, day=MONDAY)

    assert filled_at(sent, stock, "09:31", MONDAY) == 509.55


def test_market_on_open_of_an_option_fills_at_the_open_of_its_quote() -> None:
    option = Market().option(5800, "P", expiry=MONDAY).quoted("16:15", 1.0, 1.1)
    sent = order(OrderType.MARKET_ON_OPEN, option, 1, at("16:15"))
    assert filled_at(sent, option, "16:15") is None

    option.quoted("09:31", 1.0, bar("09:31", 1.3, 1.6, open=1.4, day=MONDAY), MONDAY)

    assert filled_at(sent, option, "09:31", MONDAY) == 1.4


@pytest.mark.parametrize(
    ("time", "day", "is_late"),
    [
        ("15:40", TODAY, False),
        ("15:44", TODAY, False),
        ("15:44:30", TODAY, False),
        ("15:44:31", TODAY, True),
        ("15:45", TODAY, True),
        ("12:44", HALF_DAY, False),
        ("12:45", HALF_DAY, True),
    ],
)
def test_market_on_close_needs_fifteen_and_a_half_minutes(time: str, day: date, is_late: bool) -> None:
    assert is_market_on_close_too_late(spy(), at(time, day)) is is_late


@pytest.mark.parametrize("asset", ["stock", "option"])
def test_market_on_close_fills_when_the_session_ends(asset: str) -> None:
    market = Market()
    security = market.stock("SPY", 511.0) if asset == "stock" else market.option(5800, "P")
    close = "16:00" if asset == "stock" else "16:15"
    sent = order(OrderType.MARKET_ON_CLOSE, security, 10, at("15:40"))
    security.last_trade = bar("15:59", 511.0, 511.2)
    security.quoted("15:59", 511.0, 511.2)
    assert filled_at(sent, security, "15:59") is None

    security.last_trade = bar(close, 511.0, 511.3, close=511.27)
    security.quoted(close, 511.0, bar(close, 511.0, 511.3, close=511.27))

    assert filled_at(sent, security, close) == 511.27


# -- daily bars


def test_market_order_on_daily_bars_that_waited_fills_at_the_open() -> None:
    option = Market().option(5800, "P", expiry=MONDAY)
    option.bar_span = timedelta(days=1)
    sent = order(OrderType.MARKET, option, 1, at("17:00"))
    day_bar = PriceBar(1.4, 1.9, 1.3, 1.8, at("09:30", MONDAY), at("16:15", MONDAY))
    option.last_trade = day_bar

    assert filled_at(sent, option, "16:15", MONDAY) == 1.4


@pytest.mark.parametrize(
    "kind", [OrderType.MARKET, OrderType.LIMIT, OrderType.MARKET_ON_CLOSE, OrderType.MARKET_ON_OPEN]
)
@pytest.mark.parametrize("build", [lambda market: market.stock("SPY", 511.0), lambda market: market.option(5800, "P")])
def test_canceled_order_does_not_fill(kind: OrderType, build: Callable[[Market], TestSecurity]) -> None:
    security = build(Market())
    security.last_trade = bar("09:31", 1.0, 2.0, day=MONDAY)
    security.quoted("09:31", 1.0, 2.0, MONDAY)
    sent = order(kind, security, 1, at("16:30", date(2025, 1, 9)), limit=9.0)

    sent.status = OrderStatus.CANCELED

    assert fill(sent, security, at("09:31", MONDAY)) == []
