"""Rounding of order prices to the tick, before an order reaches the broker.

Sources: BrokerageTransactionHandler.RoundOrderPrices, IndexOptionPriceVariationModel.cs,
EquityPriceVariationModel.cs.  LEAN rounds to the nearest tick, halves to even, so that a limit may end up worse for
us.  A combo's limit is rounded to the finest tick any leg has at price zero: 0.05 for SPXW whatever the limit, while
a single limit of 3 or more is rounded to 0.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from engine.enums import OrderType, SecurityType
from engine.models.views import ZERO, SecurityView, exact, plain
from engine.orders import Order

_NICKEL: Final = Decimal("0.05")
_DIME: Final = Decimal("0.10")
_CENT: Final = Decimal("0.01")
_PENNY_STOCK_TICK: Final = Decimal("0.0001")
_INDEX_OPTION_TICKS: Final = {"VIXW": (_CENT, _CENT), "VIX": (_CENT, _NICKEL)}  # below 3, from 3 on


def price_increment(security: SecurityView, reference: float) -> Decimal:
    """Return the tick at a price; 0 means that prices are not rounded."""
    if security.type is SecurityType.INDEX_OPTION:
        below, above = _INDEX_OPTION_TICKS.get(security.symbol.id.symbol, (_NICKEL, _DIME))
        return above if reference >= 3 else below
    if security.type is SecurityType.EQUITY:
        if security.is_adjusted:
            return ZERO
        if reference < 1:
            return _PENNY_STOCK_TICK
    return exact(security.minimum_price_variation)


def round_order_prices(
    order: Order, security: SecurityView, legs: Sequence[tuple[Order, SecurityView]] = ()
) -> str | None:
    """Round the order's prices in place; return LEAN's warning (shown once a run) if one changed.

    `legs` are all orders of a combo limit; while some are missing pass none, and the group's limit stays as it is.
    """
    warnings: list[str] = []

    def rounded(name: str, price: float, increment: Decimal) -> float:
        if increment == 0:
            return price
        value = exact(price)
        result = (value / increment).to_integral_value(ROUND_HALF_EVEN) * increment
        if result != value:
            warnings.append(
                f"Warning: To meet brokerage precision requirements, order {name} was rounded to {plain(result)} "
                f"from {plain(value)}"
            )
        return float(result)

    if order.type in (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED, OrderType.COMBO_LEG_LIMIT):
        order.limit_price = rounded("LimitPrice", order.limit_price, price_increment(security, order.limit_price))
    if order.type in (OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP):
        order.stop_price = rounded("StopPrice", order.stop_price, price_increment(security, order.stop_price))
    if order.type is OrderType.TRAILING_STOP and not order.trailing_as_percentage:
        order.trailing_amount = rounded(
            "TrailingAmount", order.trailing_amount, price_increment(security, order.trailing_amount)
        )
    if order.type is OrderType.LIMIT_IF_TOUCHED:
        order.trigger_price = rounded(
            "TriggerPrice", order.trigger_price, price_increment(security, order.trigger_price)
        )
    if order.type is OrderType.COMBO_LIMIT and legs:
        assert order.group_order_manager is not None, "a combo order has a group"
        # The reference is the leg's fill price so far, which is 0 for an order that waits.
        increments = [price_increment(leg_security, leg.price) for leg, leg_security in legs]
        increment = min((step for step in increments if step > 0), default=ZERO)
        group = order.group_order_manager
        group.limit_price = rounded("LimitPrice", group.limit_price, increment)
    return warnings[0] if warnings else None
