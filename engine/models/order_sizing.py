"""How many to order for a target share of the account: the arithmetic behind `set_holdings`.

Sources: BuyingPowerModel.GetMaximumOrderQuantityForTargetBuyingPower, PortfolioTarget.Percent.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from engine.enums import OrderType
from engine.models.margin import margin_remaining
from engine.models.views import PortfolioView, SecurityView, exact, plain
from engine.orders import Order

FREE_PORTFOLIO_SHARE: Final = Decimal("0.0025")  # AlgorithmSettings.FreePortfolioValuePercentage
MINIMUM_ORDER_MARGIN_SHARE: Final = Decimal("0.001")  # AlgorithmSettings.MinimumOrderMarginPortfolioPercentage


class OrderSize(NamedTuple):
    """Quantity to order (signed, may be 0), why it is 0, and whether that is an error or just too small a change."""

    quantity: int
    reason: str = ""
    is_error: bool = False


class SizingError(ArithmeticError):
    """LEAN's search for a quantity does not converge; it throws, too."""


def quantity_for_target(
    portfolio: PortfolioView,
    security: SecurityView,
    target: float,
    *,
    free_share: Decimal = FREE_PORTFOLIO_SHARE,
    minimum_share: Decimal = MINIMUM_ORDER_MARGIN_SHARE,
) -> OrderSize:
    """Return what to order so that the security is `target` (1.0 = all) of the account, less the share kept free.

    The target counts value at the security's leverage: 1.0 of a stock on margin is one times the account.
    """
    value = portfolio.total_portfolio_value
    if value == 0:
        return OrderSize(0, "The portfolio is worth nothing.", True)
    share = exact(target) * (value - value * free_share) / value / exact(security.buying_power_model.leverage)
    return quantity_for_margin_share(portfolio, security, share, minimum_share=minimum_share)


def quantity_for_margin_share(
    portfolio: PortfolioView,
    security: SecurityView,
    share: Decimal,
    *,
    minimum_share: Decimal = MINIMUM_ORDER_MARGIN_SHARE,
) -> OrderSize:
    """Return what to order so that the security's initial margin is `share` of the account, fees included."""
    model, held = security.buying_power_model, security.holdings.quantity
    value = portfolio.total_portfolio_value
    target = share * value
    if target == 0:
        return OrderSize(round(-held))
    unit = model.initial_margin(security, 1).value
    if unit == 0:
        text = "The security does not have an accurate price as it has not yet received a bar of data."
        return OrderSize(0, f"{security.symbol}: {text}", True)
    change = abs(target - model.initial_margin(security, held).value)
    if value * minimum_share > change and margin_remaining(portfolio) > 0:
        return OrderSize(
            0, f"The target order margin {plain(change)} is less than the minimum {plain(value * minimum_share)}."
        )
    last: Decimal | None = None
    while True:
        quantity, margin = _amount_to_order(security, target, unit)
        if quantity == 0:
            return OrderSize(
                0,
                f"The order quantity is less than the lot size of {plain(exact(security.lot_size))} and has been "
                f"rounded to zero. Target order margin {plain(target - model.initial_margin(security, held).value)}. ",
            )
        order = Order(OrderType.MARKET, security.symbol, float(quantity), datetime.min)  # a fee asks for no time
        fees = security.fee_model.get_order_fee(security, order)
        target = (value - fees) * share
        if abs(margin) <= abs(target):
            return OrderSize(int(quantity))
        if last == quantity:
            raise SizingError(
                f"{security.symbol}: found no quantity for a margin of {plain(target)} with fees of {plain(fees)}."
            )
        last = quantity


def _amount_to_order(security: SecurityView, target: Decimal, unit: Decimal) -> tuple[Decimal, Decimal]:
    """Return the quantity that brings the margin to the target without exceeding it, and the margin then."""
    lot, held = exact(security.lot_size), exact(security.holdings.quantity)
    rounding = ROUND_CEILING if target < 0 else ROUND_FLOOR
    size = ((target / unit - held) / lot).to_integral_value(rounding) * lot

    def margin_after(quantity: Decimal) -> Decimal:
        return security.buying_power_model.initial_margin(security, float(quantity + held)).value

    margin = margin_after(size)
    beyond = margin - target
    while (target < 0 and beyond < 0) or (target > 0 and beyond > 0):
        size += lot if target < 0 else -lot
        margin = margin_after(size)
        if abs(margin - target) > abs(beyond) and (margin > target) == (beyond > 0):
            raise SizingError(
                f"{security.symbol}: margin moves away from the target {plain(target)}, one unit needs {plain(unit)}."
            )
        beyond = margin - target
    return size, margin
