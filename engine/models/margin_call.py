"""Margin calls and their warning.

Sources: Common/Securities/DefaultMarginCallModel.cs, PositionGroupBuyingPowerModel.cs.  The loop asks every five
minutes of algorithm time, not in live mode.  Warning: 5 % of the value or less is free.  Call: the margin used
exceeds the value by more than 10 %; then each group is reduced on its own by the whole excess, as if no other group
were.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from engine.enums import OrderType
from engine.models.margin import margin_remaining, total_margin_used
from engine.models.order_sizing import quantity_for_margin_share
from engine.models.position_groups import Position, PositionGroup
from engine.models.strategy_margin import initial_margin, maintenance_margin
from engine.models.views import ZERO, PortfolioView, exact
from engine.symbols import Symbol

MARGIN_CALL_TAG: Final = "Margin Call"
_WARNING_SHARE: Final = Decimal("0.05")
_BUFFER: Final = Decimal("0.10")


class MarginCallOrder(NamedTuple):
    """Orders that reduce one group: a market order, or a combo market order of `group_quantity` units of its legs."""

    type: OrderType
    group_quantity: float
    legs: tuple[tuple[Symbol, float], ...]  # quantity of each leg's order

    @property
    def tag(self) -> str:
        return MARGIN_CALL_TAG


class MarginCall(NamedTuple):
    """What LEAN hands to `on_margin_call` (orders) or `on_margin_call_warning`."""

    is_warning: bool
    orders: tuple[MarginCallOrder, ...]


def scan_margin_call(portfolio: PortfolioView) -> MarginCall:
    """Return the margin call that is due, if any.

    Oddity of LEAN: an account without free margin that is less than 10 % over gets neither call nor warning.
    """
    used = total_margin_used(portfolio)
    if used <= 0:
        return MarginCall(False, ())
    value = portfolio.total_portfolio_value
    remaining = value - portfolio.unsettled_cash - used
    if remaining > 0:
        return MarginCall(remaining <= value * _WARNING_SHARE, ())
    orders: list[MarginCallOrder] = []
    if used > value * (1 + _BUFFER):
        for group in portfolio.position_groups:
            order = _reduction(portfolio, group, used - value)
            if order is not None:
                orders.append(order)
    return MarginCall(bool(orders), tuple(orders))


def losers_first(portfolio: PortfolioView, orders: Sequence[MarginCallOrder]) -> list[MarginCallOrder]:
    """Return the orders as they are sent: largest unrealized loss first; stop sending once `is_cured`."""
    return sorted(
        orders, key=lambda order: sum((_unrealized_profit(portfolio, symbol) for symbol, _ in order.legs), ZERO)
    )


def is_cured(portfolio: PortfolioView) -> bool:
    """Return whether the account has margin again, so that the rest of the orders stays unsent."""
    return margin_remaining(portfolio) >= 0


def _unrealized_profit(portfolio: PortfolioView, symbol: Symbol) -> Decimal:
    security = portfolio.security(symbol)
    held = security.holdings
    gain = exact(security.price) - exact(held.average_price)
    return gain * exact(held.quantity) * exact(security.contract_multiplier)


def _reduction(portfolio: PortfolioView, group: PositionGroup, excess: Decimal) -> MarginCallOrder | None:
    used = maintenance_margin(group, portfolio.security)
    keep = max(ZERO, used - excess)
    if group.is_default:
        units = abs(_units_of_security(portfolio, group.positions[0], keep - used))
    else:
        units = _units_of_strategy(portfolio, group, keep)
    if units == 0:
        return None
    if len(group.positions) == 1:
        position = group.positions[0]
        return MarginCallOrder(OrderType.MARKET, 1, ((position.symbol, _closing(position, units)),))
    # LEAN multiplies the quantity of a leg by the quantity of the group once more: reducing two units sends four.
    legs = tuple((position.symbol, _closing(position, units) * units) for position in group.positions)
    return MarginCallOrder(OrderType.COMBO_MARKET, units, legs)


def _closing(position: Position, units: float) -> float:
    return (-1 if position.quantity > 0 else 1) * units * position.unit


def _units_of_security(portfolio: PortfolioView, position: Position, delta: Decimal) -> float:
    """Return the lots to trade so that the security's margin changes by `delta`, which is negative."""
    security = portfolio.security(position.symbol)
    side = 1 if security.holdings.quantity > 0 else -1
    used = security.buying_power_model.holdings_margin(security)
    share = side * (used + delta) / portfolio.total_portfolio_value if portfolio.total_portfolio_value else ZERO
    return quantity_for_margin_share(portfolio, security, share, minimum_share=ZERO).quantity / security.lot_size


def _units_of_strategy(portfolio: PortfolioView, group: PositionGroup, target: Decimal) -> float:
    """Return how many units of the group must go until the margin to open the rest is within the target."""
    if target == 0:
        return group.quantity
    for kept in range(int(group.quantity) - 1, 0, -1):
        rest = PositionGroup(
            group.strategy,
            kept,
            tuple(p._replace(quantity=kept * p.unit * (1 if p.quantity > 0 else -1)) for p in group.positions),
        )
        if abs(initial_margin(rest, portfolio.security).value) <= target:
            return group.quantity - kept
    return group.quantity
