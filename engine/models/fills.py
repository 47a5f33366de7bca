"""Fill models: which orders fill on which price of which bar, as LEAN's backtest does it.

`fill` returns the fill events of an order, for combos one per leg in order id; no events means that the order goes on
working.  Fees are not in them: the broker adds them from the fee model of each leg.  All orders fill whole.
LEAN's oddities are kept and named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from engine.enums import OrderDirection, OrderStatus, OrderType, SecurityType
from engine.models.equity_fills import EQUITY_MODELS
from engine.models.expiry import exercise
from engine.models.fill_prices import FillError, filled, prices_of
from engine.models.immediate_fills import IMMEDIATE_MODELS, limit_fill, market_fill
from engine.models.views import SecurityView
from engine.orders import Order, OrderEvent

MARKET_ON_CLOSE_NOTICE: Final = timedelta(minutes=15.5)  # MarketOnCloseOrder.SubmissionTimeBuffer
# A combo's net price is compared exactly: eight decimals hold every price, and the hundredth that a share counts for.
_UNITS: Final = 10**8


def is_market_on_close_too_late(security: SecurityView, now: datetime) -> bool:
    """Return whether fewer than 15.5 minutes are left before the next close: 15:44 is in time, 15:45 is not."""
    return now > security.clock.next_close(now) - MARKET_ON_CLOSE_NOTICE


def fill(
    order: Order, security: SecurityView, now: datetime, legs: Sequence[tuple[Order, SecurityView]] = ()
) -> list[OrderEvent]:
    """Return the fills of a working order at `now`; `legs` are all orders of a combo with their securities.

    The caller keeps LEAN's rule that only market orders may fill at the time of their submission
    (`fills_at_submission`).  Raises FillError where LEAN's model throws.
    """
    if order.type is OrderType.COMBO_LIMIT:
        return combo_limit_fill(order, legs, now)
    if order.type is OrderType.COMBO_MARKET:
        return _all_legs(legs, lambda leg, leg_security: market_fill(leg, leg_security, now))
    if order.type is OrderType.COMBO_LEG_LIMIT:
        return _all_legs(legs, lambda leg, leg_security: limit_fill(leg, leg_security, now))
    if order.status is OrderStatus.CANCELED:
        return []
    if order.type is OrderType.OPTION_EXERCISE:
        return exercise(security, order, now)
    models = EQUITY_MODELS if security.type is SecurityType.EQUITY else IMMEDIATE_MODELS
    event = models[order.type](order, security, now)
    return [] if event is None else [event]


def fills_at_submission(order_type: OrderType) -> bool:
    """Return whether an order may fill in the step that sends it (BacktestingBrokerage.Scan)."""
    return order_type in (OrderType.MARKET, OrderType.COMBO_MARKET, OrderType.OPTION_EXERCISE)


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
    """Fill every leg at the low (group bought) or high (sold) of its side's bar, if their net is beyond the limit.

    The net counts ratios, not quantities, and a share of stock for a hundredth.  Oddities of LEAN: the fill prices
    are not the limit and need not have been there at one time; the session is not asked for; a bar that ended at the
    order's time is good enough, so a limit changed later fills at once on the bar before the change.
    """
    group = order.group_order_manager
    assert group is not None, "a combo order has a group"
    buying = group.direction is OrderDirection.BUY
    net = 0
    fills = []
    for leg, security in sorted(legs, key=lambda pair: pair[0].id):
        prices = prices_of(security, leg.direction)
        if prices.end < leg.utc:
            return []
        price = prices.low if buying else prices.high
        ratio = round(leg.quantity / group.quantity)
        value = round(price * _UNITS) * ratio
        net += value if security.type is not SecurityType.EQUITY else value // 100
        fills.append((leg, price))
    limit = round(group.limit_price * _UNITS)
    if not (net < limit if buying else group.quantity < 0 and net > limit):
        return []
    return [filled(leg, now, price) for leg, price in fills]


__all__ = [
    "MARKET_ON_CLOSE_NOTICE",
    "FillError",
    "combo_limit_fill",
    "fill",
    "fills_at_submission",
    "is_market_on_close_too_late",
]
