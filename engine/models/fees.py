"""Fee models of the four brokerages, per order (each leg of a combo is an order).

Sources: Common/Orders/Fees/{InteractiveBrokers,Tastytrade,CharlesSchwab}FeeModel.cs.  Amounts are exact USD.
Interactive Brokers lowers the fee of cheap options and takes a combo's net limit for the price of each leg, so that a
combo limit of 0.05 pays 0.50 a contract for legs of any price.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.enums import Market, OrderDirection, OrderPosition, OrderType, SecurityType
from engine.models.views import ZERO, SecurityView, exact
from engine.orders import Order

_MINIMUM: Final = Decimal(1)
# Exchange fee and commission of a future or its option where the brokerage table has no entry of its own, and the
# regulatory fee.
_FUTURE_COMMISSION: Final = Decimal("0.85")
_FUTURE_EXCHANGE_FEE: Final = Decimal("1.60")
_REGULATORY_FEE: Final = Decimal("0.02")
_FUTURE_MARKETS: Final = frozenset(
    {Market.USA, Market.NYMEX, Market.CBOT, Market.ICE, Market.CFE, Market.COMEX, Market.CME, "cmeglobex", "nyseliffe"}
)


class FeeError(ValueError):
    """The fee model does not know the security.  LEAN throws here, too."""


def order_position(direction: OrderDirection, held: float) -> OrderPosition:
    """Return whether an order opens or closes what is held before it; an order through zero counts as closing."""
    if direction is OrderDirection.BUY:
        return OrderPosition.BUY_TO_OPEN if held >= 0 else OrderPosition.BUY_TO_CLOSE
    return OrderPosition.SELL_TO_OPEN if held <= 0 else OrderPosition.SELL_TO_CLOSE


class ConstantFeeModel:
    """The same fee for every order, whatever its size."""

    def __init__(self, fee: Decimal | float = ZERO) -> None:
        self._fee = abs(fee if isinstance(fee, Decimal) else exact(fee))

    def get_order_fee(self, security: SecurityView, order: Order) -> Decimal:
        return self._fee


class InteractiveBrokersFeeModel:
    """Options 0.65, 0.50 or 0.25 a contract by price, at least 1; shares 0.005, at least 1, at most 0.5 % of value."""

    def get_order_fee(self, security: SecurityView, order: Order) -> Decimal:
        kind = security.type
        if order.type is OrderType.OPTION_EXERCISE and kind is SecurityType.OPTION:
            return ZERO
        quantity = exact(order.absolute_quantity)
        if kind in (SecurityType.OPTION, SecurityType.INDEX_OPTION):
            return max(quantity * _option_commission(exact(potential_order_price(order, security))), _MINIMUM)
        if kind is SecurityType.EQUITY:
            return _share_commission(order, security, quantity)
        if kind in (SecurityType.FUTURE, SecurityType.FUTURE_OPTION):
            return quantity * _future_commission(security)
        raise FeeError(f"Unsupported security type: {kind.name.title().replace('_', '')}")


def potential_order_price(order: Order, security: SecurityView) -> float:
    """Return the price IB's fee goes by.  LEAN oddly looks at the bid of a purchase and at the ask of a sale."""
    if order.type in (OrderType.MARKET, OrderType.COMBO_MARKET, OrderType.MARKET_ON_OPEN, OrderType.MARKET_ON_CLOSE):
        return security.bid_price if order.direction is OrderDirection.BUY else security.ask_price
    if order.type is OrderType.COMBO_LIMIT:
        assert order.group_order_manager is not None, "a combo order has a group"
        return order.group_order_manager.limit_price
    if order.type in (OrderType.STOP_MARKET, OrderType.TRAILING_STOP):
        return order.stop_price
    return 0.0 if order.type is OrderType.OPTION_EXERCISE else order.limit_price


def _option_commission(premium: Decimal) -> Decimal:
    """Return the commission of one contract; a combo bought at a negative limit is as cheap as a worthless option."""
    if premium >= Decimal("0.10"):
        return Decimal("0.65")
    return Decimal("0.50") if premium >= Decimal("0.05") else Decimal("0.25")


def _share_commission(order: Order, security: SecurityView, quantity: Decimal) -> Decimal:
    fee = Decimal("0.005") * quantity
    if fee < _MINIMUM:
        return _MINIMUM
    value = abs(exact(order.get_value(security.price, security.contract_multiplier)))
    return min(fee, Decimal("0.005") * value)


def _future_commission(security: SecurityView) -> Decimal:
    if security.symbol.id.market not in _FUTURE_MARKETS:
        raise FeeError(f"Unexpected future market: {security.symbol.id.market}")
    future = security.symbol.underlying if security.type is SecurityType.FUTURE_OPTION else security.symbol
    assert future is not None, "a future option has a future"
    table = _FUTURE_OPTION_FEES if security.type is SecurityType.FUTURE_OPTION else _FUTURE_FEES
    commission, exchange_fee = table.get(future.id.symbol, (_FUTURE_COMMISSION, _FUTURE_EXCHANGE_FEE))
    return commission + exchange_fee + _REGULATORY_FEE


# Index futures only, those the strategies name; (commission, exchange fee) of one contract.
_EMINI: Final = ("ES", "NQ", "YM", "RTY", "EMD")
_MICRO: Final = ("MES", "MNQ", "MYM", "M2K")
_FUTURE_FEES: Final = {
    **dict.fromkeys(_EMINI, (_FUTURE_COMMISSION, Decimal("1.28"))),
    **dict.fromkeys(_MICRO, (Decimal("0.25"), Decimal("0.30"))),
}
_FUTURE_OPTION_FEES: Final = {
    **dict.fromkeys(_EMINI, (_FUTURE_COMMISSION, Decimal("0.55"))),
    **dict.fromkeys(_MICRO, (Decimal("0.25"), Decimal("0.20"))),
}


class TastytradeFeeModel:
    """Options 1 a contract to open and nothing to close, shares nothing."""

    def get_order_fee(self, security: SecurityView, order: Order) -> Decimal:
        opens = order_position(order.direction, security.holdings.quantity) in (
            OrderPosition.BUY_TO_OPEN,
            OrderPosition.SELL_TO_OPEN,
        )
        rate = ZERO
        if security.type in (SecurityType.OPTION, SecurityType.INDEX_OPTION):
            rate = Decimal(1) if opens else ZERO
        elif security.type is SecurityType.FUTURE:
            rate = Decimal("1.25")
        elif security.type is SecurityType.FUTURE_OPTION:
            rate = Decimal("2.5") if opens else ZERO
        return exact(order.absolute_quantity) * rate


class CharlesSchwabFeeModel:
    """Index options 1 a contract, equity options 0.65, shares nothing."""

    def get_order_fee(self, security: SecurityView, order: Order) -> Decimal:
        rate = {SecurityType.INDEX_OPTION: Decimal(1), SecurityType.OPTION: Decimal("0.65")}.get(security.type, ZERO)
        return exact(order.absolute_quantity) * rate
