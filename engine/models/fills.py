"""Fill models: which orders fill on which price of which bar, as LEAN's backtest does it.

`fill` returns the fill events of an order, for combos one per leg in order id; no events means that the order goes on
working.  Fees are not in them: the broker adds them from the fee model of each leg.  All orders fill whole.
Sources: Common/Orders/Fills/FillModel.cs (options, indices) and EquityFillModel.cs.  LEAN's oddities are kept and named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from engine.enums import OrderDirection, OrderStatus, OrderType, SecurityType
from engine.models.views import PriceBar, QuoteView, SecurityView, exact, plain
from engine.orders import Order, OrderEvent

STALE_PRICE_SPAN: Final = timedelta(hours=1)  # AlgorithmSettings.StalePriceTimeSpan
MARKET_ON_CLOSE_NOTICE: Final = timedelta(minutes=15.5)  # MarketOnCloseOrder.SubmissionTimeBuffer
_COARSE: Final = timedelta(hours=1)
_NEVER: Final = datetime.min
# A combo's net price is compared exactly; eight decimals hold every price and the hundredth that a share of stock counts for.
_UNITS: Final = 10**8


class FillError(ValueError):
    """The fill model has nothing to fill on.  LEAN logs it and the order goes on working."""


class Prices(NamedTuple):
    """What a fill looks at: `current` is the bar's close, except where there is no bar at all."""

    start: datetime
    end: datetime
    current: float
    open: float
    high: float
    low: float
    close: float


def prices_of(security: SecurityView, direction: OrderDirection) -> Prices:
    """Return the bar an order of this direction looks at: ask or bid bar, else the trade bar, else the cached price."""
    quote = security.last_quote
    if quote is not None:
        side = quote.bid if direction is OrderDirection.SELL else quote.ask
        if side is not None:
            return _of_bar(side)
    if security.last_trade is not None:
        return _of_bar(security.last_trade)
    # A quote bar without the side we need: LEAN falls back to the cache, whose price may be the other side.
    start, end = (_NEVER, _NEVER) if quote is None else (quote.start, quote.end)
    return Prices(start, end, security.price, security.open, security.high, security.low, security.close)


def _of_bar(bar: PriceBar) -> Prices:
    return Prices(bar.start, bar.end, bar.close, bar.open, bar.high, bar.low, bar.close)


def is_exchange_open(security: SecurityView, now: datetime) -> bool:
    """Return whether LEAN lets orders fill: in the session, and still at its last instant, on the bar that ends there."""
    clock = security.clock
    if clock.is_open(now):
        return True
    span = _last_data(security)
    if span is None:
        return False
    start, end = span
    on_bar = clock.local(now).date() == clock.local(end).date() if end - start > _COARSE else now <= end
    # The bar must touch the session; the data of this engine has nothing outside it, but a daily bar ends at midnight or at the close.
    return on_bar and (clock.is_open(start) or start < clock.next_close(start) <= end)


def _last_data(security: SecurityView) -> tuple[datetime, datetime] | None:
    trade, quote = security.last_trade, security.last_quote
    if quote is not None and (trade is None or quote.end >= trade.end):
        return quote.start, quote.end
    return None if trade is None else (trade.start, trade.end)


def is_market_on_close_too_late(security: SecurityView, now: datetime) -> bool:
    """Return whether fewer than 15.5 minutes are left before the next close: 15:44 is in time, 15:45 is not."""
    return now > security.clock.next_close(now) - MARKET_ON_CLOSE_NOTICE


def fill(order: Order, security: SecurityView, now: datetime, legs: Sequence[tuple[Order, SecurityView]] = ()) -> list[OrderEvent]:
    """Return the fills of a working order at `now`; `legs` are all orders of a combo with their securities.

    The caller keeps LEAN's rule that only market orders may fill at the time of their submission (`fills_at_submission`).
    Raises FillError where LEAN's model throws.
    """
    if order.type is OrderType.COMBO_LIMIT:
        return combo_limit_fill(order, legs, now)
    if order.type is OrderType.COMBO_MARKET:
        return _all_legs(legs, lambda leg, leg_security: market_fill(leg, leg_security, now))
    if order.type is OrderType.COMBO_LEG_LIMIT:
        return _all_legs(legs, lambda leg, leg_security: limit_fill(leg, leg_security, now))
    if order.status is OrderStatus.CANCELED:
        return []
    models = _EQUITY_MODELS if security.type is SecurityType.EQUITY else _MODELS
    event = models[order.type](order, security, now)
    return [] if event is None else [event]


def fills_at_submission(order_type: OrderType) -> bool:
    """Return whether an order may fill in the step that sends it (BacktestingBrokerage.Scan)."""
    return order_type in (OrderType.MARKET, OrderType.COMBO_MARKET, OrderType.OPTION_EXERCISE)


def _filled(order: Order, now: datetime, price: float, message: str = "") -> OrderEvent:
    return OrderEvent(order, now, message=message, status=OrderStatus.FILLED, fill_price=price, fill_quantity=order.quantity)


# -- combos ------------------------------------------------------------------------------------------------------------------


def _all_legs(
    legs: Sequence[tuple[Order, SecurityView]], model: Callable[[Order, SecurityView], OrderEvent | None]
) -> list[OrderEvent]:
    """Fill every leg or none."""
    events = []
    for leg, security in sorted(legs, key=lambda pair: pair[0].id):
        event = None if leg.status is OrderStatus.CANCELED else model(leg, security)
        if event is None:
            return []
        events.append(event)
    return events


def combo_limit_fill(order: Order, legs: Sequence[tuple[Order, SecurityView]], now: datetime) -> list[OrderEvent]:
    """Fill every leg at the low (group bought) or high (group sold) of its side's bar, if their net is beyond the limit.

    The net counts ratios, not quantities, and a share of stock for a hundredth.  Oddities of LEAN: the fill prices are not the
    limit and need not have been there at one time; the session is not asked for; a bar that ended at the order's time is
    good enough, so a limit changed later fills at once on the bar before the change.
    """
    group = order.group_order_manager
    assert group is not None, "a combo order has a group"
    buying = group.direction is OrderDirection.BUY
    net = 0
    fills = []
    for leg, security in sorted(legs, key=lambda pair: pair[0].id):
        prices = prices_of(security, leg.direction)
        if prices.end < leg.time:
            return []
        price = prices.low if buying else prices.high
        ratio = round(leg.quantity / group.quantity)
        value = round(price * _UNITS) * ratio
        net += value if security.type is not SecurityType.EQUITY else value // 100
        fills.append((leg, price))
    limit = round(group.limit_price * _UNITS)
    if not (net < limit if buying else group.quantity < 0 and net > limit):
        return []
    return [_filled(leg, now, price) for leg, price in fills]


# -- options and indices -----------------------------------------------------------------------------------------------------


def market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the side's bar; wait while the last bar is more than an hour older than the order."""
    if not is_exchange_open(security, now):
        return None
    prices = prices_of(security, order.direction)
    # More than an hour old is more than one minute bar old, and of hours and days LEAN never takes a stale bar.
    if order.time - prices.end > STALE_PRICE_SPAN:
        return None
    if security.bar_span >= _COARSE and prices.open != 0 and order.time <= prices.start:
        return _filled(order, now, prices.open)
    return _filled(order, now, prices.current)


def limit_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the limit when the bar went beyond it, at the worst price of the bar when all of it did."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    if order.direction is OrderDirection.BUY:
        return _filled(order, now, min(prices.high, order.limit_price)) if prices.low < order.limit_price else None
    if order.direction is OrderDirection.SELL:
        return _filled(order, now, max(prices.low, order.limit_price)) if prices.high > order.limit_price else None
    return None


def stop_market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the worse of stop and bar close once the bar went beyond the stop."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    if order.direction is OrderDirection.SELL and prices.low < order.stop_price:
        return _filled(order, now, min(order.stop_price, prices.current))
    if order.direction is OrderDirection.BUY and prices.high > order.stop_price:
        return _filled(order, now, max(order.stop_price, prices.current))
    return None


def stop_limit_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Arm the order when the bar went beyond the stop; fill when the bar's close is better than the limit."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    if order.direction is OrderDirection.BUY:
        order.stop_triggered = order.stop_triggered or prices.high > order.stop_price
        if order.stop_triggered and prices.current < order.limit_price:
            return _filled(order, now, min(prices.high, order.limit_price))
    elif order.direction is OrderDirection.SELL:
        order.stop_triggered = order.stop_triggered or prices.low < order.stop_price
        if order.stop_triggered and prices.current > order.limit_price:
            return _filled(order, now, max(prices.low, order.limit_price))
    return None


def trailing_stop_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill when the bar reached the stop; else move the stop after the bar's best price."""
    prices = _fresh(order, security, now)
    if prices is None:
        return None
    selling = order.direction is OrderDirection.SELL
    if selling and prices.low <= order.stop_price:
        return _filled(order, now, min(order.stop_price, prices.current))
    if order.direction is OrderDirection.BUY and prices.high >= order.stop_price:
        return _filled(order, now, max(order.stop_price, prices.current))
    best, sign = (prices.high, 1) if selling else (prices.low, -1)
    distance = best * order.trailing_amount if order.trailing_as_percentage else order.trailing_amount
    if sign * (best - order.stop_price) > distance:
        order.stop_price = round(best - sign * distance, 8)
    return None


def limit_if_touched_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Arm on the trade bar's high or low; fill at the limit.  LEAN compares a sale with the ask and a purchase with the bid."""
    if not is_exchange_open(security, now):
        return None
    trade = security.last_trade
    if trade is None or trade.end <= order.time:
        return None
    quote = security.last_quote
    if order.direction is OrderDirection.SELL:
        order.trigger_touched = order.trigger_touched or trade.high >= order.trigger_price
        ask = trade.close if quote is None else _quote_close(quote, quote.ask)
        if order.trigger_touched and ask >= order.limit_price:
            return _filled(order, now, order.limit_price)
    elif order.direction is OrderDirection.BUY:
        order.trigger_touched = order.trigger_touched or trade.low <= order.trigger_price
        bid = trade.close if quote is None else _quote_close(quote, quote.bid)
        if order.trigger_touched and bid <= order.limit_price:
            return _filled(order, now, order.limit_price)
    return None


def _quote_close(quote: QuoteView, side: PriceBar | None) -> float:
    """Return the close of the side, of the other side where this one had no quote."""
    side = side or quote.ask or quote.bid
    return 0.0 if side is None else side.close


def market_on_open_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the open of the first bar of the session after the order."""
    span = _last_data(security)
    clock = security.clock
    if span is None or order.time >= span[1]:
        return None
    if clock.is_open(order.time) and clock.local(order.time).date() == clock.local(now).date():
        return None
    if not is_exchange_open(security, now):
        return None
    return _filled(order, now, prices_of(security, order.direction).open)


def market_on_close_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the side's last bar, from the session's end on."""
    if now < security.clock.next_close(order.time):
        return None
    return _filled(order, now, prices_of(security, order.direction).close)


def _fresh(order: Order, security: SecurityView, now: datetime) -> Prices | None:
    """Return the side's bar if the exchange is open and the bar ended after the order was sent."""
    if not is_exchange_open(security, now):
        return None
    prices = prices_of(security, order.direction)
    return None if prices.end <= order.time else prices


# -- equities ----------------------------------------------------------------------------------------------------------------


def equity_market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the ask or bid bar; at that of the trade bar, with a warning, where quotes are missing or older."""
    if not is_exchange_open(security, now):
        return None
    price, message, is_stale = _best_effort_price(order, security)
    # As in market_fill: stale data is waited for at every resolution this engine has.
    return None if is_stale else _filled(order, now, price, message)


def _best_effort_price(order: Order, security: SecurityView) -> tuple[float, str, bool]:
    quote, trade = security.last_quote, security.last_trade
    cut_off = order.time - STALE_PRICE_SPAN
    price, message = 0.0, ""
    if quote is not None:
        price = _quote_close(quote, quote.ask if order.direction is OrderDirection.BUY else quote.bid)
        if quote.end >= cut_off:
            return price, "", False
        message = f"Warning: fill at stale price ({_stamp(security, quote.end)}), using QuoteBar data."
    if trade is not None and (quote is None or trade.end > quote.end):
        message = f"Warning: No quote information available at {_stamp(security, trade.end)}, order filled using TradeBar data"
        if trade.end >= cut_off:
            return trade.close, message, False
        price = trade.close
    if quote is None and trade is None:
        side_name = "ask" if order.direction is OrderDirection.BUY else "bid"
        types = [name for name, wanted in (("TradeBar", security.has_trades), ("QuoteBar", security.has_quotes)) if wanted]
        raise FillError(
            f"Cannot get {side_name} price to perform fill for {security.symbol} because no market data was found. "
            f"SubscribedTypes: [{','.join(types)}]"
        )
    return price, message, True


def equity_limit_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the limit when trades went beyond it, at the bar's open when it opened beyond it.  Quotes are not looked at."""
    trade = _fresh_trade(order, security, now)
    if trade is None:
        return None
    limit = order.limit_price
    if order.direction is OrderDirection.BUY and trade.low < limit:
        return _at_open(order, security, now, trade, "a favorable") if trade.open < limit else _filled(order, now, limit)
    if order.direction is OrderDirection.SELL and trade.high > limit:
        return _at_open(order, security, now, trade, "a favorable") if trade.open > limit else _filled(order, now, limit)
    return None


def equity_stop_market_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the stop when trades reached it, at the bar's open when it opened there or beyond."""
    trade = _fresh_trade(order, security, now)
    if trade is None:
        return None
    stop = order.stop_price
    if order.direction is OrderDirection.SELL and trade.low <= stop:
        return _at_open(order, security, now, trade, "an unfavorable") if trade.open <= stop else _filled(order, now, stop)
    if order.direction is OrderDirection.BUY and trade.high >= stop:
        return _at_open(order, security, now, trade, "an unfavorable") if trade.open >= stop else _filled(order, now, stop)
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
        return _filled(order, now, price, message)
    return None


def equity_market_on_open_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the open of the first trade bar that began after the order, in a later session than the order's."""
    trade, clock = security.last_trade, security.clock
    # Without a trade bar LEAN never gets past its own check of the bar's end.
    if trade is None or trade.start < order.time or order.time >= trade.end:
        return None
    if trade.end - trade.start < _COARSE and not clock.is_open(trade.start):
        return None
    if clock.is_open(order.time) and clock.local(order.time).date() == clock.local(trade.end).date():
        return None
    if not is_exchange_open(security, now):
        return None
    return _with_quote_fallback(order, security, now, trade.open)


def equity_market_on_close_fill(order: Order, security: SecurityView, now: datetime) -> OrderEvent | None:
    """Fill at the close of the last trade bar, from the session's end on, however old that bar is."""
    if now < security.clock.next_close(order.time):
        return None
    return _with_quote_fallback(order, security, now, 0.0 if security.last_trade is None else security.last_trade.close)


def _with_quote_fallback(order: Order, security: SecurityView, now: datetime, price: float) -> OrderEvent:
    if price != 0:
        return _filled(order, now, price)
    best, message, _ = _best_effort_price(order, security)
    if not security.has_trades:
        message = f"Warning: No trade information available at {_stamp(security, now)}, order filled using Quote data{message}"
    return _filled(order, now, best, message)


def _fresh_trade(order: Order, security: SecurityView, now: datetime) -> PriceBar | None:
    trade = security.last_trade
    if trade is None or trade.end <= order.time or not is_exchange_open(security, now):
        return None
    return trade


def _at_open(order: Order, security: SecurityView, now: datetime, trade: PriceBar, gap: str) -> OrderEvent:
    text = f"Due to {gap} gap at {_stamp(security, trade.end)}, order filled using the open price ({plain(exact(trade.open))})"
    return _filled(order, now, trade.open, text)


def _stamp(security: SecurityView, utc: datetime) -> str:
    return f"{security.clock.local(utc):%m/%d/%Y %H:%M:%S} {security.clock.time_zone}"


_Model = Callable[[Order, SecurityView, datetime], OrderEvent | None]
_MODELS: Final[dict[OrderType, _Model]] = {
    OrderType.MARKET: market_fill,
    OrderType.LIMIT: limit_fill,
    OrderType.STOP_MARKET: stop_market_fill,
    OrderType.STOP_LIMIT: stop_limit_fill,
    OrderType.TRAILING_STOP: trailing_stop_fill,
    OrderType.LIMIT_IF_TOUCHED: limit_if_touched_fill,
    OrderType.MARKET_ON_OPEN: market_on_open_fill,
    OrderType.MARKET_ON_CLOSE: market_on_close_fill,
}
_EQUITY_MODELS: Final[dict[OrderType, _Model]] = {
    **_MODELS,
    OrderType.MARKET: equity_market_fill,
    OrderType.LIMIT: equity_limit_fill,
    OrderType.STOP_MARKET: equity_stop_market_fill,
    OrderType.LIMIT_IF_TOUCHED: equity_limit_if_touched_fill,
    OrderType.MARKET_ON_OPEN: equity_market_on_open_fill,
    OrderType.MARKET_ON_CLOSE: equity_market_on_close_fill,
}
