"""What fill models look at: the bar of the right side, its age, and whether the exchange lets orders fill.

Source: Common/Orders/Fills/FillModel.cs.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from engine.enums import OrderDirection, OrderStatus
from engine.models.views import PriceBar, QuoteView, SecurityView
from engine.orders import Order, OrderEvent

STALE_PRICE_SPAN: Final = timedelta(hours=1)  # AlgorithmSettings.StalePriceTimeSpan
COARSE_SPAN: Final = timedelta(hours=1)  # bars this long are treated as a whole session
_NEVER: Final = datetime.min


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
    """Return whether orders may fill: in the session, and still at its last instant, on the bar that ends there."""
    clock = security.clock
    if clock.is_open(now):
        return True
    span = last_data(security)
    if span is None:
        return False
    start, end = span
    on_bar = clock.local(now).date() == clock.local(end).date() if end - start > COARSE_SPAN else now <= end
    # The bar must touch the session; the data of this engine has nothing outside it, but a daily bar ends at midnight
    # or at the close.
    return on_bar and (clock.is_open(start) or clock.next_close(start) <= end)


def last_data(security: SecurityView) -> tuple[datetime, datetime] | None:
    trade, quote = security.last_trade, security.last_quote
    if quote is not None and (trade is None or quote.end >= trade.end):
        return quote.start, quote.end
    return None if trade is None else (trade.start, trade.end)


def quote_close(quote: QuoteView, side: PriceBar | None) -> float:
    """Return the close of the side, of the other side where this one had no quote."""
    side = side or quote.ask or quote.bid
    return 0.0 if side is None else side.close


def filled(order: Order, now: datetime, price: float, message: str = "") -> OrderEvent:
    return OrderEvent(
        order, now, message=message, status=OrderStatus.FILLED, fill_price=price, fill_quantity=order.quantity
    )


def stamp(security: SecurityView, utc: datetime) -> str:
    return f"{security.clock.local(utc):%m/%d/%Y %H:%M:%S} {security.clock.time_zone}"
