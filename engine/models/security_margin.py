"""Margin of a single security: a share of its value for stock, LEAN's rule of thumb for naked options.

Sources: Common/Securities/{BuyingPowerModel,SecurityMarginModel}.cs, Common/Securities/Option/OptionMarginModel.cs.
Margins of short positions are negative where LEAN's are.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.enums import OptionRight, SecurityType
from engine.models.views import ZERO, InitialMargin, SecurityView, exact
from engine.orders import Order
from engine.symbols import Symbol

_FLOOR: Final = Decimal("0.10")
_EQUITY_OPTION_SHARE: Final = Decimal("0.20")
_INDEX_OPTION_SHARE: Final = Decimal("0.15")
# Options on a fraction of the index: their strikes are multiplied before they are compared with it (symbol properties
# table).
_STRIKE_MULTIPLIERS: Final = {"NQX": 5}


class UnknownUnderlying(ValueError):
    """An option came without its underlying: no margin, exercise or assignment can be computed."""


def underlying_of(option: SecurityView) -> SecurityView:
    """Return the security an option is written on."""
    if option.underlying is None:
        raise UnknownUnderlying(
            f"{option.symbol}: expected a subscribed underlying. Add the underlying before its options."
        )
    return option.underlying


def scaled_strike(symbol: Symbol) -> Decimal:
    """Return the strike on the scale of the underlying."""
    return exact(symbol.id.strike_price) * _STRIKE_MULTIPLIERS.get(symbol.id.symbol, 1)


def out_of_the_money(symbol: Symbol, underlying_price: Decimal) -> Decimal:
    """Return by how many dollars an option is out of the money, 0 when it is in it."""
    return max(ZERO, -moneyness(symbol, underlying_price))


def intrinsic_value(symbol: Symbol, underlying_price: Decimal) -> Decimal:
    """Return by how many dollars an option is in the money, 0 when it is out of it."""
    return max(ZERO, moneyness(symbol, underlying_price))


def moneyness(symbol: Symbol, underlying_price: Decimal) -> Decimal:
    """Return the signed distance of the underlying beyond the strike, positive in the money."""
    beyond = underlying_price - scaled_strike(symbol)
    return beyond if symbol.id.option_right is OptionRight.CALL else -beyond


def quantity_value(security: SecurityView, quantity: float, price: float | None = None) -> Decimal:
    """Return the signed value of a quantity in USD at the current (or another) price."""
    unit = exact(security.price if price is None else price) * exact(security.contract_multiplier)
    return unit * exact(quantity)


def _sign(value: Decimal) -> int:
    return (value > 0) - (value < 0)


class SecurityMarginModel:
    """A fixed share of the value, 50 % for stock on margin, to open and to hold."""

    def __init__(self, leverage: float = 1.0) -> None:
        if leverage < 1:
            raise ValueError(f"leverage = {leverage}: expected 1 or more. Use 1 for an account without margin.")
        self.leverage = leverage
        self._requirement = 1 / exact(leverage)

    def initial_margin(self, security: SecurityView, quantity: float) -> InitialMargin:
        margin = quantity_value(security, quantity) * self._requirement
        return InitialMargin(margin, margin)

    def initial_margin_for_order(self, security: SecurityView, order: Order) -> Decimal:
        margin = self.initial_margin(security, order.quantity).value
        return margin + _sign(margin) * security.fee_model.get_order_fee(security, order)

    def maintenance_margin(self, security: SecurityView, quantity: float) -> Decimal:
        return abs(quantity_value(security, quantity)) * self._requirement

    def holdings_margin(self, security: SecurityView) -> Decimal:
        return self.maintenance_margin(security, security.holdings.quantity)


class OptionMarginModel:
    """Long: the premium to open, nothing to hold.  Short: the premium and a share of the underlying.

    The share is the larger of 20 % (index 15 %) less what the option is out of the money, and 10 % (puts: of the
    strike).
    """

    leverage = 1.0

    def initial_margin(self, security: SecurityView, quantity: float) -> InitialMargin:
        value = quantity_value(security, quantity)
        without_premium = ZERO if quantity >= 0 else -_short_margin(security, quantity, value)
        return InitialMargin(without_premium + max(value, ZERO), without_premium)

    def initial_margin_for_order(self, security: SecurityView, order: Order) -> Decimal:
        value = exact(order.get_value(security.price, security.contract_multiplier))
        if value > 0:
            margin = value if _is_priced(security) else ZERO
        else:
            margin = -_short_margin(security, order.quantity, value)
        return margin + _sign(margin) * security.fee_model.get_order_fee(security, order)

    def maintenance_margin(self, security: SecurityView, quantity: float) -> Decimal:
        return ZERO if quantity >= 0 else _short_margin(security, quantity, quantity_value(security, quantity))

    def holdings_margin(self, security: SecurityView) -> Decimal:
        """Return the margin of what is held; the premium counts as received, not at its price."""
        held = security.holdings
        value = quantity_value(security, held.quantity, held.average_price)
        return ZERO if held.quantity >= 0 else _short_margin(security, held.quantity, value)


def _is_priced(option: SecurityView) -> bool:
    underlying = option.underlying
    return option.close != 0 and option.symbol.id.strike_price != 0 and underlying is not None and underlying.close != 0


def _short_margin(option: SecurityView, quantity: float, value: Decimal) -> Decimal:
    """Return the margin of a short position, positive; 0 while option or underlying have no price, as in LEAN."""
    if value == 0 or not _is_priced(option):
        return ZERO
    spot = exact(underlying_of(option).close)
    strike = exact(option.symbol.id.strike_price)
    share = _EQUITY_OPTION_SHARE if option.type is SecurityType.OPTION else _INDEX_OPTION_SHARE
    # LEAN scales the underlying down to the strike as quoted, but not the amount out of the money.
    scaled_spot = spot / _STRIKE_MULTIPLIERS.get(option.symbol.id.symbol, 1)
    floor = _FLOOR * (scaled_spot if option.symbol.id.option_right is OptionRight.CALL else strike)
    naked = max(floor, share * scaled_spot - out_of_the_money(option.symbol, spot))
    return abs(value) + abs(exact(quantity)) * exact(option.contract_multiplier) * naked
