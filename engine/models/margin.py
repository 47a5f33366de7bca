"""Margin of the account and the check before an order.

Sources: Common/Securities/Positions/PositionGroupBuyingPowerModel.cs, BuyingPowerModel.cs, SecurityPortfolioManager.cs.
An order is checked on its own: open orders reserve nothing, and one that lowers the margin of its group always passes.
LEAN adds fees only where a security is checked alone, not to combos.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from engine.enums import OptionRight, OrderDirection, OrderType
from engine.models.position_groups import (
    Position,
    PositionGroup,
    combine,
    group_positions,
    impacted_groups,
    resolve_groups,
    units_of_trade,
)
from engine.models.security_margin import (
    OptionMarginModel,
    SecurityMarginModel,
    intrinsic_value,
    underlying_of,
)
from engine.models.strategy_margin import MarginModelError, initial_margin, maintenance_margin
from engine.models.views import ZERO, PortfolioView, SecurityView, exact, plain
from engine.orders import Order
from engine.symbols import Symbol

_AUTO_EXERCISE = Decimal("0.01")


class BuyingPowerCheck(NamedTuple):
    """Whether the account can bear an order, and LEAN's words if not."""

    is_sufficient: bool
    reason: str = ""


_SUFFICIENT = BuyingPowerCheck(True)


def total_margin_used(portfolio: PortfolioView) -> Decimal:
    """Return the maintenance margin of all position groups at current prices."""
    return sum((maintenance_margin(group, portfolio.security) for group in portfolio.position_groups), ZERO)


def margin_remaining(portfolio: PortfolioView) -> Decimal:
    """Return what is free for new positions: value less unsettled cash less margin used."""
    return portfolio.total_portfolio_value - portfolio.unsettled_cash - total_margin_used(portfolio)


def has_sufficient_buying_power(portfolio: PortfolioView, orders: Sequence[Order]) -> BuyingPowerCheck:
    """Return whether the orders (all legs of a combo, or one order) may be sent, or filled.

    Raises MarginModelError where LEAN's margin model throws, as for a combo that names one contract twice.
    """
    positions = [_position(portfolio, order) for order in orders]
    considered = [*positions]
    for group in impacted_groups(portfolio.position_groups, [position.symbol for position in positions]):
        considered += group.positions
    has_option = any(position.symbol.security_type.is_option for position in considered)
    # LEAN groups a lone option order only if the account holds anything at all, whatever that is.
    if has_option and (len(orders) > 1 or portfolio.position_groups):
        return _check_groups(portfolio, orders, positions)
    for order in orders:
        check = _check_security(portfolio, portfolio.security(order.symbol), order)
        if not check.is_sufficient:
            return check
    return _SUFFICIENT


def insufficient_text(portfolio: PortfolioView, orders: Sequence[Order], check: BuyingPowerCheck) -> str:
    """Return LEAN's error for a refused submission."""
    ids = ",".join(str(order.id) for order in orders)
    values = []
    for order in orders:
        security = portfolio.security(order.symbol)
        values.append(plain(smart_rounding(exact(order.get_value(security.price, security.contract_multiplier)))))
    return (
        f"Order Error: ids: [{ids}], Insufficient buying power to complete orders (Value:[{','.join(values)}]), "
        f"Reason: {check.reason}."
    )


def smart_rounding(value: Decimal) -> Decimal:
    """Return the value as LEAN shows it: four decimals above 1,000, else (below zero, too) seven significant digits."""
    if value == 0:
        return value
    return round(value, 4 if value > 1000 else 6 - value.adjusted())


def _position(portfolio: PortfolioView, order: Order) -> Position:
    return Position(order.symbol, order.quantity, portfolio.security(order.symbol).lot_size)


def _check_groups(portfolio: PortfolioView, orders: Sequence[Order], positions: Sequence[Position]) -> BuyingPowerCheck:
    """Compare the margin of the groups as they would be with that of the groups as they are."""
    delta = _margin_delta(portfolio, positions)
    if delta < 0:
        return _SUFFICIENT
    free = margin_remaining(portfolio)
    if delta <= free:
        return _SUFFICIENT
    ids = ",".join(str(order.id) for order in orders)
    return BuyingPowerCheck(False, f"Id: {ids}, Maintenance Margin Delta: {plain(delta)}, Free Margin: {plain(free)}")


def _margin_delta(portfolio: PortfolioView, positions: Sequence[Position]) -> Decimal:
    ordered: dict[Symbol, Position] = {}
    for position in positions:
        if position.symbol in ordered:
            raise MarginModelError(f"An item with the same key has already been added. Key: {position.symbol}")
        ordered[position.symbol] = position
    after = dict(ordered)
    current = ZERO
    for group in impacted_groups(portfolio.position_groups, [position.symbol for position in positions]):
        current += maintenance_margin(group, portfolio.security)
        for position in group.positions:
            known = after.get(position.symbol)
            after[position.symbol] = position if known is None else combine(known, position)
    contemplated = sum(
        (initial_margin(group, portfolio.security).without_premium for group in _groups(portfolio, after.values())),
        ZERO,
    )
    # The premium counts once, for what the order buys, not for what the account already owns.
    for group in _groups(portfolio, ordered.values()):
        margin = initial_margin(group, portfolio.security)
        contemplated += margin.value - margin.without_premium
    return contemplated - current


def _groups(portfolio: PortfolioView, positions: Iterable[Position]) -> tuple[PositionGroup, ...]:
    listed = list(positions)
    return group_positions(listed, units_of_trade(portfolio.security(position.symbol) for position in listed))


def _check_security(portfolio: PortfolioView, security: SecurityView, order: Order) -> BuyingPowerCheck:
    """Check one order against its own security's margin model."""
    if order.quantity == 0:
        return _SUFFICIENT
    if order.type is OrderType.OPTION_EXERCISE:
        return _check_exercise(portfolio, security, order)
    return _compare(portfolio, security, order, None)


def _compare(portfolio: PortfolioView, security: SecurityView, order: Order, extra: Decimal | None) -> BuyingPowerCheck:
    held = security.holdings.quantity
    if held * order.quantity < 0 and abs(held) >= abs(order.quantity):
        return _SUFFICIENT
    free = buying_power(portfolio, security, order.direction) + (extra or ZERO)
    required = security.buying_power_model.initial_margin_for_order(security, order)
    unfilled = (exact(order.absolute_quantity) - abs(exact(portfolio.quantity_filled(order.id)))) / exact(
        order.absolute_quantity
    )
    required *= unfilled
    if abs(required) > free:
        return BuyingPowerCheck(False, f"Id: {order.id}, Initial Margin: {plain(required)}, Free Margin: {plain(free)}")
    return _SUFFICIENT


def buying_power(portfolio: PortfolioView, security: SecurityView, direction: OrderDirection) -> Decimal:
    """Return the margin free for an order: an order against the holdings may use their margin and as much again."""
    free = margin_remaining(portfolio)
    held = security.holdings.quantity
    if (held > 0 and direction is OrderDirection.SELL) or (held < 0 and direction is OrderDirection.BUY):
        model = security.buying_power_model
        free += model.holdings_margin(security) + model.initial_margin(security, abs(held)).value
    return max(free, ZERO)


def _check_exercise(portfolio: PortfolioView, option: SecurityView, order: Order) -> BuyingPowerCheck:
    """Check the shares that an exercise trades at the strike; what is cash settled or worthless always passes."""
    underlying = underlying_of(option)
    if intrinsic_value(option.symbol, exact(underlying.close)) < _AUTO_EXERCISE or not underlying.is_tradable:
        return _SUFFICIENT
    sign = -1 if option.symbol.id.option_right is OptionRight.CALL else 1
    shares = Order(
        OrderType.LIMIT,
        underlying.symbol,
        sign * order.quantity * option.contract_multiplier,
        order.utc,
        limit_price=option.symbol.id.strike_price,
        order_id=order.id,
    )
    released = option.buying_power_model.maintenance_margin(option, -order.quantity)
    return _compare(portfolio, underlying, shares, released)


__all__ = [
    "BuyingPowerCheck",
    "MarginModelError",
    "OptionMarginModel",
    "PositionGroup",
    "SecurityMarginModel",
    "buying_power",
    "has_sufficient_buying_power",
    "insufficient_text",
    "margin_remaining",
    "resolve_groups",
    "total_margin_used",
]
