"""Brokerage models: what an account at Interactive Brokers, Tastytrade or Charles Schwab takes, and LEAN's default.

A model decides which orders may be sent (with LEAN's words when not), fees, leverage, settlement and time in force.
Sources: Common/Brokerages/{Default,InteractiveBrokers,Tastytrade,CharlesSchwab}BrokerageModel.cs,
BrokerageExtensions.cs, Common/Orders/TimeInForces/*.cs.  A real brokerage may refuse more than LEAN's model of it
does.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final, NamedTuple

from engine.enums import AccountType, BrokerageName, OrderType, SecurityType
from engine.models.fees import (
    CharlesSchwabFeeModel,
    ConstantFeeModel,
    InteractiveBrokersFeeModel,
    TastytradeFeeModel,
    order_position,
)
from engine.models.margin import OptionMarginModel, SecurityMarginModel
from engine.models.settlement import DelayedSettlement, ImmediateSettlement, SettlementModel
from engine.models.views import BuyingPowerModel, FeeModel, SecurityView
from engine.orders import Order, TimeInForceKind, lean_name

ORDER_EXPIRED: Final = "The order has expired."
_OPTIONS: Final = (SecurityType.OPTION, SecurityType.INDEX_OPTION)
_FUTURES: Final = (SecurityType.FUTURE, SecurityType.FUTURE_OPTION)


class BrokerageMessage(NamedTuple):
    """Why an order is refused; its text is what LEAN appends to the response."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"Warning - Code: {self.code} - {self.message}"


def refusal_text(order_ids: list[int], message: BrokerageMessage) -> str:
    """Return the error of the response; only the last leg of a combo carries it."""
    ids = ",".join(str(order_id) for order_id in order_ids)
    return f"BrokerageModel declared unable to submit order: [{ids}] {message}"


def _unsupported(text: str) -> BrokerageMessage:
    return BrokerageMessage("NotSupported", text)


class DefaultBrokerageModel:
    """LEAN's default: takes every order; index options cost nothing, the rest pays Interactive Brokers' schedule."""

    lean_name = "DefaultBrokerageModel"
    security_types: frozenset[SecurityType] | None = None  # None: all
    order_types: tuple[OrderType, ...] | None = None  # in the order LEAN lists them in its message
    benchmark_ticker: str | None = "SPY"

    def __init__(self, account_type: AccountType = AccountType.MARGIN) -> None:
        self.account_type = account_type

    def can_submit_order(self, security: SecurityView, order: Order) -> BrokerageMessage | None:
        """Return why the order is refused, None when it is taken."""
        if self.security_types is not None and security.type not in self.security_types:
            return _unsupported(f"The {self.lean_name} does not support {lean_name(security.type)} security type.")
        if self.order_types is not None and order.type not in self.order_types:
            return self._wrong_order_type(order)
        if security.type in _FUTURES and order.type is OrderType.MARKET_ON_OPEN:
            return _unsupported("MarketOnOpen orders are not supported for futures and future options.")
        return None

    def can_update_order(self, security: SecurityView, order: Order) -> BrokerageMessage | None:
        """Return why the change is refused: none of these models refuses one."""
        return None

    def get_leverage(self, security: SecurityView) -> float:
        return 2.0 if self.account_type is AccountType.MARGIN and security.type is SecurityType.EQUITY else 1.0

    def get_fee_model(self, security: SecurityView) -> FeeModel:
        free = (SecurityType.INDEX, SecurityType.INDEX_OPTION, SecurityType.BASE)
        return ConstantFeeModel() if security.type in free else InteractiveBrokersFeeModel()

    def get_buying_power_model(self, security: SecurityView) -> BuyingPowerModel:
        """Return the margin model: a cash account's too, which for options differs in nothing but settlement."""
        if security.type in _OPTIONS:
            return OptionMarginModel()
        return SecurityMarginModel(self.get_leverage(security))

    def get_settlement_model(self, security: SecurityView) -> SettlementModel:
        """Return T+1 at 06:00 for shares and equity options of a cash account, else at once (index options always)."""
        if self.account_type is AccountType.CASH and security.type in (SecurityType.EQUITY, SecurityType.OPTION):
            return DelayedSettlement(security.clock)
        return ImmediateSettlement()

    def _wrong_order_type(self, order: Order) -> BrokerageMessage:
        known = ",".join(lean_name(kind) for kind in self.order_types or ())
        return _unsupported(
            f"The {self.lean_name} does not support {lean_name(order.type)} order type. Only supports [{known}]"
        )


class InteractiveBrokersBrokerageModel(DefaultBrokerageModel):
    lean_name = "InteractiveBrokersBrokerageModel"
    benchmark_ticker = None
    security_types = frozenset(
        {SecurityType.EQUITY, SecurityType.FOREX, SecurityType.CFD, SecurityType.INDEX, *_OPTIONS, *_FUTURES}
    )
    order_types = (
        OrderType.MARKET,
        OrderType.MARKET_ON_OPEN,
        OrderType.MARKET_ON_CLOSE,
        OrderType.LIMIT,
        OrderType.STOP_MARKET,
        OrderType.STOP_LIMIT,
        OrderType.TRAILING_STOP,
        OrderType.LIMIT_IF_TOUCHED,
        OrderType.COMBO_MARKET,
        OrderType.COMBO_LIMIT,
        OrderType.COMBO_LEG_LIMIT,
        OrderType.OPTION_EXERCISE,
    )

    def can_submit_order(self, security: SecurityView, order: Order) -> BrokerageMessage | None:
        if order.type not in self.order_types:
            return self._wrong_order_type(order)
        if order.type is OrderType.MARKET_ON_CLOSE and security.type not in (SecurityType.FUTURE, SecurityType.EQUITY):
            return BrokerageMessage(
                f"Unsupported order type for {lean_name(security.type)} security type",
                "InteractiveBrokers does not support Market-on-Close orders for other security types different than "
                "Future and Equity.",
            )
        if order.type is OrderType.MARKET_ON_OPEN:
            refusal = self._market_on_open(security, order.utc)
            if refusal is not None:
                return refusal
        group = order.group_order_manager
        if order.type is OrderType.COMBO_LEG_LIMIT and group is not None and group.count >= 4:
            return _unsupported(
                f"The {self.lean_name} does not support four-leg ComboLegLimit orders. "
                "Use ComboLimit orders for four-leg combinations or more."
            )
        if security.type not in self.security_types:
            return _unsupported(f"The {self.lean_name} does not support {lean_name(security.type)} security type.")
        if order.type is OrderType.OPTION_EXERCISE and security.type is SecurityType.INDEX_OPTION:
            return _unsupported(
                f"The {self.lean_name} does not support {lean_name(order.type)} exercises for index and "
                "cash-settled options."
            )
        return None

    def get_fee_model(self, security: SecurityView) -> FeeModel:
        return InteractiveBrokersFeeModel()

    def _market_on_open(self, security: SecurityView, now: datetime) -> BrokerageMessage | None:
        """Refuse a market-on-open between two minutes before the open and the close of an open day."""
        if security.type not in (SecurityType.EQUITY, *_OPTIONS, SecurityType.FUTURE_OPTION, SecurityType.CFD):
            return BrokerageMessage(
                "UnsupportedSecurityType",
                f"The broker does not support Market-on-Open orders for security type {lean_name(security.type)}",
            )
        clock = security.clock
        local = clock.local(now)
        if not clock.is_date_open(local.date()):
            return None
        midnight = clock.utc(datetime.combine(local.date(), time()))
        close = clock.local(clock.next_close(midnight))
        latest = clock.local(clock.next_open(midnight)) - timedelta(minutes=2)
        if not latest.time() <= local.time() < close.time():
            return None
        # The blanks and the twelve-hour clock are LEAN's.
        return _unsupported(
            f"MarketOnOpen submission time is invalid. Valid local times are  {close:%I:%M}– {latest:%I:%M}. "
            "Consider setting daily_precise_end_time = false or using self.schedule.on."
        )


class TastytradeBrokerageModel(DefaultBrokerageModel):
    lean_name = "TastytradeBrokerageModel"
    security_types = frozenset({SecurityType.EQUITY, *_OPTIONS, *_FUTURES})
    order_types = (
        OrderType.MARKET,
        OrderType.LIMIT,
        OrderType.STOP_MARKET,
        OrderType.STOP_LIMIT,
        OrderType.COMBO_LIMIT,
    )

    def can_submit_order(self, security: SecurityView, order: Order) -> BrokerageMessage | None:
        refusal = super().can_submit_order(security, order)
        if (
            refusal is None
            and order.type is OrderType.COMBO_LIMIT
            and _crosses_zero(security.holdings.quantity, order.quantity)
        ):
            return _unsupported(
                f"Order type '{lean_name(order.type)}' is not supported for orders that cross the zero holdings "
                f"threshold in the {self.lean_name}. This means you cannot change a position from positive to negative "
                "or vice versa using this order type. Please close the existing position first."
            )
        return refusal

    def get_fee_model(self, security: SecurityView) -> FeeModel:
        return TastytradeFeeModel()


def _crosses_zero(held: float, ordered: float) -> bool:
    return held * ordered < 0 and abs(ordered) > abs(held)


class CharlesSchwabBrokerageModel(DefaultBrokerageModel):
    lean_name = "CharlesSchwabBrokerageModel"
    security_types = frozenset({SecurityType.EQUITY, *_OPTIONS})
    order_types = (
        OrderType.MARKET,
        OrderType.LIMIT,
        OrderType.STOP_MARKET,
        OrderType.COMBO_MARKET,
        OrderType.COMBO_LIMIT,
        OrderType.MARKET_ON_CLOSE,
        OrderType.MARKET_ON_OPEN,
        OrderType.STOP_LIMIT,
    )

    def get_fee_model(self, security: SecurityView) -> FeeModel:
        return CharlesSchwabFeeModel()


_MODELS: Final[dict[BrokerageName, type[DefaultBrokerageModel]]] = {
    BrokerageName.DEFAULT: DefaultBrokerageModel,
    BrokerageName.INTERACTIVE_BROKERS_BROKERAGE: InteractiveBrokersBrokerageModel,
    BrokerageName.TASTYTRADE: TastytradeBrokerageModel,
    BrokerageName.CHARLES_SCHWAB: CharlesSchwabBrokerageModel,
}


class UnsupportedBrokerage(ValueError):
    """The engine has no model of this brokerage; the run does not start."""


def brokerage_model(name: BrokerageName, account_type: AccountType = AccountType.MARGIN) -> DefaultBrokerageModel:
    """Return LEAN's model of a brokerage."""
    model = _MODELS.get(name)
    if model is None:
        known = ", ".join(f"BrokerageName.{known.name}" for known in _MODELS)
        raise UnsupportedBrokerage(f"set_brokerage_model({name!r}): expected one of {known}. Choose one of these.")
    return model(account_type)


def is_order_expired(security: SecurityView, order: Order, now: datetime) -> bool:
    """Return whether the order's time in force has ended: at the close of its own or of its expiry's session."""
    force = order.time_in_force
    if force.kind is TimeInForceKind.GOOD_TIL_CANCELED:
        return False
    if force.kind is TimeInForceKind.DAY:
        return now >= security.clock.close_of_day(order.utc)
    assert force.expiry is not None, "good-til-date has a date"
    midnight = datetime.combine(force.expiry.date(), time())
    return now >= security.clock.close_of_day(security.clock.utc(midnight))


__all__ = [
    "ORDER_EXPIRED",
    "BrokerageMessage",
    "CharlesSchwabBrokerageModel",
    "DefaultBrokerageModel",
    "InteractiveBrokersBrokerageModel",
    "TastytradeBrokerageModel",
    "UnsupportedBrokerage",
    "brokerage_model",
    "is_order_expired",
    "order_position",
    "refusal_text",
]
