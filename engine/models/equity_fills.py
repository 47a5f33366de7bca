"""Fill model of stocks: market orders on quotes, limits and stops on trades, openings and closings on trade bars.

Source: Common/Orders/Fills/EquityFillModel.cs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from engine.enums import OrderDirection, OrderType
from engine.models.fill_prices import (
    COARSE_SPAN,
    STALE_PRICE_SPAN,
    FillError,
    filled,
    is_exchange_open,
    quote_close,
    stamp,
)
from engine.models.immediate_fills import IMMEDIATE_MODELS, Model
from engine.models.views import PriceBar, SecurityView, exact, plain
from engine.orders import Order, OrderEvent


def equity_market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the ask or bid bar; of the trade bar, with a warning, where quotes are missing or older."""
    if not is_exchange_open(security, now):
        return None
    price, message, is_stale = _best_effort_price(order, security)
    # As in market_fill: stale data is waited for at every resolution this engine has.
    return None if is_stale else filled(order, now, price, message)


def _best_effort_price(order: Order, security: SecurityView) -> tuple[float, str, bool]:
    quote, trade = security.last_quote, security.last_trade
    cut_off = order.utc - STALE_PRICE_SPAN
    price, message = 0.0, ""
    if quote is not None:
        price = quote_close(quote, quote.ask if order.direction is OrderDirection.BUY else quote.bid)
        if quote.end >= cut_off:
            return price, "", False
        message = f"Warning: fill at stale price ({stamp(security, quote.end)}), using QuoteBar data."
    if trade is not None and (quote is None or trade.end > quote.end):
        message = (
            f"Warning: No quote information available at {stamp(security, trade.end)}, order filled using TradeBar data"
        )
        if trade.end >= cut_off:
            return trade.close, message, False
        price = trade.close
    if quote is None and trade is None:
        side_name = "ask" if order.direction is OrderDirection.BUY else "bid"
        types = [
            name for name, wanted in (("TradeBar", security.has_trades), ("QuoteBar", security.has_quotes)) if wanted
        ]
        raise FillError(
            f"Cannot get {side_name} price to perform fill for {security.symbol} because no market data was found. "
            f"SubscribedTypes: [{','.join(types)}]"
        )
    return price, message, True


def equity_limit_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the limit when trades went beyond it, at the bar's open when it opened there.  Quotes do not matter."""
    trade = _fresh_trade(order, security, now)
    if trade is None:
        return None
    limit = order.limit_price
    if order.direction is OrderDirection.BUY and trade.low < limit:
        return _at_open(order, security, now, trade, "a favorable") if trade.open < limit else filled(order, now, limit)
    if order.direction is OrderDirection.SELL and trade.high > limit:
        return _at_open(order, security, now, trade, "a favorable") if trade.open > limit else filled(order, now, limit)
    return None


def equity_stop_market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the stop when trades reached it, at the bar's open when it opened there or beyond."""
    trade = _fresh_trade(order, security, now)
    if trade is None:
        return None
    stop = order.stop_price
    if order.direction is OrderDirection.SELL and trade.low <= stop:
        return (
            _at_open(order, security, now, trade, "an unfavorable") if trade.open <= stop else filled(order, now, stop)
        )
    if order.direction is OrderDirection.BUY and trade.high >= stop:
        return (
            _at_open(order, security, now, trade, "an unfavorable") if trade.open >= stop else filled(order, now, stop)
        )
    return None


def equity_limit_if_touched_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Arm on trades, fill on the quote that is better than the limit, at that quote."""
    trade = _fresh_trade(order, security, now)
    if trade is None:
        return None
    buying = order.direction is OrderDirection.BUY
    reached = trade.low <= order.trigger_price if buying else trade.high >= order.trigger_price
    order.trigger_touched = order.trigger_touched or reached
    if not order.trigger_touched:
        return None
    price, message, _ = _best_effort_price(order, security)
    if price <= order.limit_price if buying else price >= order.limit_price:
        return filled(order, now, price, message)
    return None


def equity_market_on_open_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the open of the first trade bar that began after the order, in a later session than the order's."""
    trade, clock = security.last_trade, security.clock
    # Without a trade bar LEAN never gets past its own check of the bar's end.
    if trade is None or trade.start < order.utc or order.utc >= trade.end:
        return None
    if trade.end - trade.start < COARSE_SPAN and not clock.is_open(trade.start):
        return None
    if clock.is_open(order.utc) and clock.local(order.utc).date() == clock.local(trade.end).date():
        return None
    if not is_exchange_open(security, now):
        return None
    return _with_quote_fallback(order, security, now, trade.open)


def equity_market_on_close_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the last trade bar, from the session's end on, however old that bar is."""
    if now < security.clock.next_close(order.utc):
        return None
    return _with_quote_fallback(order, security, now, 0.0 if security.last_trade is None else security.last_trade.close)


def _with_quote_fallback(order: Order, security: SecurityView, now: datetime, price: float) -> OrderEvent:
    if price != 0:
        return filled(order, now, price)
    best, message, _ = _best_effort_price(order, security)
    if not security.has_trades:
        message = (
            f"Warning: No trade information available at {stamp(security, now)}, order filled using Quote data{message}"
        )
    return filled(order, now, best, message)


def _fresh_trade(order: Order, security: SecurityView, now: datetime) -> PriceBar | None:
    trade = security.last_trade
    if trade is None or trade.end <= order.utc or not is_exchange_open(security, now):
        return None
    return trade


def _at_open(order: Order, security: SecurityView, now: datetime, trade: PriceBar, gap: str) -> OrderEvent:
    price = plain(exact(trade.open))
    text = f"Due to {gap} gap at {stamp(security, trade.end)}, order filled using the open price ({price})"
    return filled(order, now, trade.open, text)


EQUITY_MODELS: Final[dict[OrderType, Model]] = {
    **IMMEDIATE_MODELS,
    OrderType.MARKET: equity_market_fill,
    OrderType.LIMIT: equity_limit_fill,
    OrderType.STOP_MARKET: equity_stop_market_fill,
    OrderType.LIMIT_IF_TOUCHED: equity_limit_if_touched_fill,
    OrderType.MARKET_ON_OPEN: equity_market_on_open_fill,
    OrderType.MARKET_ON_CLOSE: equity_market_on_close_fill,
}
