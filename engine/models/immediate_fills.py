"""Fill model of options and indices: LEAN's ImmediateFillModel, on the bar of the order's own side.

Source: Common/Orders/Fills/FillModel.cs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from engine.enums import OrderDirection, OrderType
from engine.models.fill_prices import (
    COARSE_SPAN,
    STALE_PRICE_SPAN,
    Prices,
    filled,
    is_exchange_open,
    last_data,
    prices_of,
    quote_close,
)
from engine.models.views import SecurityView
from engine.orders import Order, OrderEvent

Model = Callable[[Order, SecurityView, datetime], OrderEvent | None]


def market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the side's bar; wait while the last bar is more than an hour older than the order."""
    if not is_exchange_open(security, now):
        return None
    prices = prices_of(security, order.direction)
    # More than an hour old is more than one minute bar old, and of hours and days LEAN never takes a stale bar.
    if order.utc - prices.end > STALE_PRICE_SPAN:
        return None
    if security.bar_span >= COARSE_SPAN and prices.open != 0 and order.utc <= prices.start:
        return filled(order, now, prices.open)
    return filled(order, now, prices.current)


def limit_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the limit when the bar went beyond it, at the worst price of the bar when all of it did."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    if order.direction is OrderDirection.BUY:
        return filled(order, now, min(prices.high, order.limit_price)) if prices.low < order.limit_price else None
    if order.direction is OrderDirection.SELL:
        return filled(order, now, max(prices.low, order.limit_price)) if prices.high > order.limit_price else None
    return None


def stop_market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the worse of stop and bar close once the bar went beyond the stop."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    if order.direction is OrderDirection.SELL and prices.low < order.stop_price:
        return filled(order, now, min(order.stop_price, prices.current))
    if order.direction is OrderDirection.BUY and prices.high > order.stop_price:
        return filled(order, now, max(order.stop_price, prices.current))
    return None


def stop_limit_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Arm the order when the bar went beyond the stop; fill when the bar's close is better than the limit."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    if order.direction is OrderDirection.BUY:
        order.stop_triggered = order.stop_triggered or prices.high > order.stop_price
        if order.stop_triggered and prices.current < order.limit_price:
            return filled(order, now, min(prices.high, order.limit_price))
    elif order.direction is OrderDirection.SELL:
        order.stop_triggered = order.stop_triggered or prices.low < order.stop_price
        if order.stop_triggered and prices.current > order.limit_price:
            return filled(order, now, max(prices.low, order.limit_price))
    return None


def trailing_stop_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill when the bar reached the stop; else move the stop after the bar's best price."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    selling = order.direction is OrderDirection.SELL
    if selling and prices.low <= order.stop_price:
        return filled(order, now, min(order.stop_price, prices.current))
    if order.direction is OrderDirection.BUY and prices.high >= order.stop_price:
        return filled(order, now, max(order.stop_price, prices.current))
    best, sign = (prices.high, 1) if selling else (prices.low, -1)
    distance = best * order.trailing_amount if order.trailing_as_percentage else order.trailing_amount
    if sign * (best - order.stop_price) > distance:
        order.stop_price = round(best - sign * distance, 8)
    return None


def limit_if_touched_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Arm on trades; fill at the limit.  LEAN oddly compares a sale with the ask and a purchase with the bid."""
    if not is_exchange_open(security, now):
        return None
    trade = security.last_trade
    if trade is None or trade.end <= order.utc:
        return None
    quote = security.last_quote
    if order.direction is OrderDirection.SELL:
        order.trigger_touched = order.trigger_touched or trade.high >= order.trigger_price
        ask = trade.close if quote is None else quote_close(quote, quote.ask)
        if order.trigger_touched and ask >= order.limit_price:
            return filled(order, now, order.limit_price)
    elif order.direction is OrderDirection.BUY:
        order.trigger_touched = order.trigger_touched or trade.low <= order.trigger_price
        bid = trade.close if quote is None else quote_close(quote, quote.bid)
        if order.trigger_touched and bid <= order.limit_price:
            return filled(order, now, order.limit_price)
    return None


def market_on_open_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the open of the first bar of the session after the order."""
    span = last_data(security)
    clock = security.clock
    if span is None or order.utc >= span[1]:
        return None
    if clock.is_open(order.utc) and clock.local(order.utc).date() == clock.local(now).date():
        return None
    if not is_exchange_open(security, now):
        return None
    return filled(order, now, prices_of(security, order.direction).open)


def market_on_close_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the side's last bar, from the session's end on."""
    if now < security.clock.next_close(order.utc):
        return None
    return filled(order, now, prices_of(security, order.direction).close)


def _fresh(order: Order, security: SecurityView, now: datetime) -> Prices | None:
    """Return the side's bar if the exchange is open and the bar ended after the order was sent."""
    if not is_exchange_open(security, now):
        return None
    prices = prices_of(security, order.direction)
    return None if prices.end <= order.utc else prices


IMMEDIATE_MODELS: Final[dict[OrderType, Model]] = {
    OrderType.MARKET: market_fill,
    OrderType.LIMIT: limit_fill,
    OrderType.STOP_MARKET: stop_market_fill,
    OrderType.STOP_LIMIT: stop_limit_fill,
    OrderType.TRAILING_STOP: trailing_stop_fill,
    OrderType.LIMIT_IF_TOUCHED: limit_if_touched_fill,
    OrderType.MARKET_ON_OPEN: market_on_open_fill,
    OrderType.MARKET_ON_CLOSE: market_on_close_fill,
}
