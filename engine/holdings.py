"""What the account holds of each security.

Averages are floats, as LEAN's decimals reach Python.  What an algorithm reads is rounded to eight decimals, so that it
is the float nearest to LEAN's decimal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from engine.enums import OrderType
from engine.orders import Order
from engine.symbols import Symbol

if TYPE_CHECKING:
    from engine.portfolio import Portfolio
    from engine.securities import Security

MONEY_DIGITS: Final = 8


class SecurityHolding:
    """The position in one security; quantity is signed."""

    __slots__ = (
        "_account",
        "_security",
        "average_price",
        "invested",
        "last_trade_profit",
        "trade_profit",
        "quantity",
        "total_dividends",
        "total_fees",
        "total_sale_volume",
    )

    def __init__(self, security: Security, account: Portfolio) -> None:
        self._security = security
        self._account = account
        self.quantity = 0.0
        self.invested = False  # kept, not computed: algorithms ask it of every security
        self.average_price = 0.0
        self.trade_profit = 0.0
        self.last_trade_profit = 0.0
        self.total_fees = 0.0
        self.total_sale_volume = 0.0
        self.total_dividends = 0.0

    @property
    def profit(self) -> float:
        """Profit of closed trades; LEAN counts dividends in."""
        return self.trade_profit + self.total_dividends

    @property
    def symbol(self) -> Symbol:
        return self._security.symbol

    @property
    def security(self) -> Security:
        return self._security

    @property
    def type(self) -> int:
        return self._security.type

    @property
    def absolute_quantity(self) -> float:
        return abs(self.quantity)

    @property
    def is_long(self) -> bool:
        return self.quantity > 0

    @property
    def is_short(self) -> bool:
        return self.quantity < 0

    @property
    def hold_stock(self) -> bool:
        return self.invested

    @property
    def price(self) -> float:
        return self._security.price

    @property
    def leverage(self) -> float:
        return self._security.leverage

    @property
    def holdings_cost(self) -> float:
        return round(self.average_price * self.quantity * self._security.contract_multiplier, MONEY_DIGITS)

    @property
    def absolute_holdings_cost(self) -> float:
        return abs(self.holdings_cost)

    @property
    def holdings_value(self) -> float:
        if self.quantity == 0:
            return 0.0
        return round(self._security.price * self.quantity * self._security.contract_multiplier, MONEY_DIGITS)

    @property
    def absolute_holdings_value(self) -> float:
        return abs(self.holdings_value)

    @property
    def net_profit(self) -> float:
        return self.profit - self.total_fees

    @property
    def unrealized_profit(self) -> float:
        return self.total_close_profit()

    @property
    def unrealized_profit_percent(self) -> float:
        cost = self.absolute_holdings_cost
        return self.unrealized_profit / cost if cost else 0.0

    def total_close_profit(self, include_fees: bool = True) -> float:
        """Return what closing now at the bid (long) or ask (short) would earn, less the fee of a market order."""
        if not self.invested:
            return 0.0
        security = self._security
        fees = 0.0
        if include_fees:
            order = Order(OrderType.MARKET, security.symbol, -self.quantity, self._account.utc_time)
            fees = float(security.fee_model.get_order_fee(security, order))
        price = security.bid_price if self.quantity > 0 else security.ask_price
        unit = self.quantity * security.contract_multiplier
        return round(unit * price - unit * self.average_price - fees, MONEY_DIGITS)

    def set_holdings(self, average_price: float, quantity: float) -> None:
        """Overwrite the position (split, account loaded from a broker)."""
        self.average_price = average_price
        self.quantity = quantity
        self.invested = abs(quantity) >= self._security.lot_size
        self._account.quantity_changed(self._security)

    def __repr__(self) -> str:
        return f"{self.symbol.value}: {self.quantity:g} @ ${self.average_price:g} - Market: ${self.price:g}"
