"""Orders, tickets, events and requests, as LEAN names them.

An algorithm sees plain numbers (LEAN hands decimals to Python as floats), so quantities and prices are floats here;
quantities are whole numbers.  Times inside requests, orders and events are naive UTC datetimes, as in LEAN.
One `Order` class serves every order type: fields that a type does not have stay at 0.0 and reading them through
`OrderTicket.get` raises, as LEAN does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from engine.clock import aware
from engine.enums import LeanEnum, OrderDirection, OrderStatus, OrderType, SecurityType
from engine.symbols import Symbol

if TYPE_CHECKING:
    from engine.tickets import OrderTicket

FILL_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED})
CLOSED_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.INVALID})
COMBO_TYPES = frozenset({OrderType.COMBO_MARKET, OrderType.COMBO_LIMIT, OrderType.COMBO_LEG_LIMIT})
OPTION_TYPES = frozenset({SecurityType.OPTION, SecurityType.INDEX_OPTION, SecurityType.FUTURE_OPTION})
LIMIT_TYPES = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED, OrderType.COMBO_LEG_LIMIT})
STOP_TYPES = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


class OrderField(LeanEnum):
    """Fields `OrderTicket.get` can read."""

    LIMIT_PRICE = 0
    STOP_PRICE = 1
    TRIGGER_PRICE = 2
    TRAILING_AMOUNT = 3
    TRAILING_AS_PERCENTAGE = 4


class TimeInForceKind(LeanEnum):
    GOOD_TIL_CANCELED = 0
    DAY = 1
    GOOD_TIL_DATE = 2


class TimeInForce:
    """How long an order works: `TimeInForce.DAY`, `.GOOD_TIL_CANCELED` or `.good_til_date(datetime)`."""

    __slots__ = ("expiry", "kind")

    DAY: TimeInForce
    GOOD_TIL_CANCELED: TimeInForce

    def __init__(
        self, kind: TimeInForceKind = TimeInForceKind.GOOD_TIL_CANCELED, expiry: datetime | None = None
    ) -> None:
        self.kind = kind
        self.expiry = expiry

    @staticmethod
    def good_til_date(expiry: datetime) -> TimeInForce:
        """Return a time in force that ends at the close of the expiry's session."""
        return TimeInForce(TimeInForceKind.GOOD_TIL_DATE, expiry)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeInForce) and (self.kind, self.expiry) == (other.kind, other.expiry)

    def __hash__(self) -> int:
        return hash((self.kind, self.expiry))

    def __repr__(self) -> str:
        return f"TimeInForce.{self.kind.name}" + (f"({self.expiry})" if self.expiry is not None else "")


TimeInForce.DAY = TimeInForce(TimeInForceKind.DAY)
TimeInForce.GOOD_TIL_CANCELED = TimeInForce(TimeInForceKind.GOOD_TIL_CANCELED)


class OrderProperties:
    """Properties sent along with an order."""

    def __init__(self) -> None:
        self.time_in_force = TimeInForce.GOOD_TIL_CANCELED

    def clone(self) -> OrderProperties:
        """Return a copy, so that changing the default later does not reach orders already sent."""
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__.update(self.__dict__)
        return copy


class InteractiveBrokersOrderProperties(OrderProperties):
    def __init__(self) -> None:
        super().__init__()
        self.account = ""
        self.fa_group = ""
        self.fa_method = ""
        self.fa_percentage = 0
        self.fa_profile = ""
        self.outside_regular_trading_hours = False


class TastytradeOrderProperties(OrderProperties):
    pass


class CharlesSchwabOrderProperties(OrderProperties):
    def __init__(self) -> None:
        super().__init__()
        self.extended_regular_trading_hours = False


class CashAmount:
    """An amount in one currency."""

    __slots__ = ("amount", "currency")

    def __init__(self, amount: float, currency: str = "USD") -> None:
        self.amount = amount
        self.currency = currency

    def __repr__(self) -> str:
        return f"{self.amount:g} {self.currency}"


class OrderFee:
    """Fee of one fill; `fee.value.amount` is in USD and positive when it is paid."""

    __slots__ = ("value",)

    ZERO: OrderFee

    def __init__(self, value: CashAmount) -> None:
        self.value = value

    @staticmethod
    def usd(amount: float) -> OrderFee:
        return OrderFee(CashAmount(amount, "USD")) if amount != 0.0 else OrderFee.ZERO

    def __repr__(self) -> str:
        return repr(self.value)


OrderFee.ZERO = OrderFee(CashAmount(0.0, "USD"))


class Leg:
    """One leg of a combo: signed ratio, and its own limit price in a combo leg limit order."""

    __slots__ = ("order_price", "quantity", "symbol")

    def __init__(self, symbol: Symbol, quantity: int, order_price: float | None = None) -> None:
        self.symbol = symbol
        self.quantity = quantity
        self.order_price = order_price

    @staticmethod
    def create(symbol: Symbol, quantity: int, limit_price: float | None = None) -> Leg:
        """Return a leg; quantity is cut to a whole number, as LEAN does."""
        return Leg(symbol, int(quantity), None if limit_price is None else float(limit_price))

    def __repr__(self) -> str:
        return f"Leg({self.quantity} {self.symbol})"


class GroupOrderManager:
    """What the legs of one combo share.  `quantity` is signed and scales the ratios; the limit is per unit."""

    __slots__ = ("count", "id", "limit_price", "order_ids", "quantity")

    def __init__(self, group_id: int, leg_count: int, quantity: float, limit_price: float = 0.0) -> None:
        self.id = group_id
        self.count = leg_count
        self.quantity = quantity
        self.limit_price = limit_price
        self.order_ids: list[int] = []  # in leg order; LEAN's hash set happens to keep it too

    @property
    def direction(self) -> OrderDirection:
        if self.quantity > 0:
            return OrderDirection.BUY
        return OrderDirection.SELL if self.quantity < 0 else OrderDirection.HOLD

    @property
    def absolute_quantity(self) -> float:
        return abs(self.quantity)


class OrderSubmissionData:
    """Market at the moment of submission."""

    __slots__ = ("ask_price", "bid_price", "last_price")

    def __init__(self, bid_price: float, ask_price: float, last_price: float) -> None:
        self.bid_price = bid_price
        self.ask_price = ask_price
        self.last_price = last_price


class Order:
    """One order as the engine knows it; the algorithm gets clones from `transactions.get_order_by_id`."""

    __slots__ = (
        "broker_id",
        "canceled_time",
        "created_time",
        "event_count",
        "group_order_manager",
        "id",
        "last_fill_time",
        "last_update_time",
        "limit_price",
        "order_submission_data",
        "price",
        "price_currency",
        "properties",
        "_quantity",
        "status",
        "stop_price",
        "stop_triggered",
        "symbol",
        "tag",
        "utc",
        "trailing_amount",
        "trailing_as_percentage",
        "trigger_price",
        "trigger_touched",
        "type",
    )

    def __init__(
        self,
        order_type: OrderType,
        symbol: Symbol,
        quantity: float,
        time: datetime,
        *,
        tag: str | None = "",
        limit_price: float = 0.0,
        stop_price: float = 0.0,
        trigger_price: float = 0.0,
        trailing_amount: float = 0.0,
        trailing_as_percentage: bool = False,
        group_order_manager: GroupOrderManager | None = None,
        properties: OrderProperties | None = None,
        order_id: int = 0,
    ) -> None:
        self.type = order_type
        self.symbol = symbol
        self.group_order_manager = group_order_manager if order_type in COMBO_TYPES else None
        # Of a combo leg the ratio is kept: an update of the group's quantity scales every leg.
        self._quantity = quantity if self.group_order_manager is None else quantity / self.group_order_manager.quantity
        self.utc = time
        self.created_time = aware(time)
        self.tag = tag
        # LEAN keeps the limit of a combo limit order on the group alone.
        self.limit_price = 0.0 if order_type is OrderType.COMBO_LIMIT else limit_price
        self.stop_price = stop_price
        self.trigger_price = trigger_price
        self.trailing_amount = trailing_amount
        self.trailing_as_percentage = trailing_as_percentage
        self.stop_triggered = False
        self.trigger_touched = False
        self.properties = properties if properties is not None else OrderProperties()
        self.id = order_id
        self.status = OrderStatus.NEW
        self.price = 0.0
        self.price_currency = "USD"
        self.broker_id: list[str] = []
        self.event_count = 0
        self.last_fill_time: datetime | None = None
        self.last_update_time: datetime | None = None
        self.canceled_time: datetime | None = None
        self.order_submission_data: OrderSubmissionData | None = None
        if order_type is OrderType.COMBO_LIMIT and group_order_manager is not None:
            group_order_manager.limit_price = limit_price

    @property
    def time(self) -> datetime:
        return aware(self.utc)

    @property
    def quantity(self) -> float:
        group = self.group_order_manager
        return self._quantity if group is None else self._quantity * group.quantity

    @property
    def security_type(self) -> SecurityType:
        return self.symbol.security_type

    @property
    def direction(self) -> OrderDirection:
        if self.quantity > 0:
            return OrderDirection.BUY
        return OrderDirection.SELL if self.quantity < 0 else OrderDirection.HOLD

    @property
    def absolute_quantity(self) -> float:
        return abs(self.quantity)

    @property
    def time_in_force(self) -> TimeInForce:
        return self.properties.time_in_force

    @property
    def is_marketable(self) -> bool:
        """Whether the order takes the market: market orders, and limits beyond the opposite quote when sent."""
        if self.type is not OrderType.LIMIT:
            return self.type in (OrderType.MARKET, OrderType.COMBO_MARKET)
        data = self.order_submission_data
        if data is None:
            return False
        if self.direction is OrderDirection.BUY:
            return self.limit_price >= data.ask_price
        return self.limit_price <= data.bid_price

    @property
    def is_closed(self) -> bool:
        return self.status in CLOSED_STATUSES

    def get_value(self, security_price: float, multiplier: float = 1.0) -> float:
        """Return the order's signed value in USD at the price LEAN takes for its type (`Order.GetValue`).

        Buying counts at the lower, selling at the higher of the order's own price and the market.  Exercises: see
        `models.expiry`.
        """
        quantity = self.quantity
        own = self._own_price()
        price = security_price if own is None else (min if quantity > 0 else max)(own, security_price)
        return price * quantity * multiplier

    def _own_price(self) -> float | None:
        if self.type is OrderType.COMBO_LIMIT:
            assert self.group_order_manager is not None
            return self.group_order_manager.limit_price
        if self.type in LIMIT_TYPES:
            return self.limit_price
        return self.stop_price if self.type in STOP_TYPES else None

    def apply_update(self, fields: UpdateOrderFields) -> None:
        """Apply an accepted update; the new quantity of a combo leg is the quantity of its group, as in LEAN."""
        if fields.quantity is not None:
            if self.group_order_manager is None:
                self._quantity = float(fields.quantity)
            else:
                self.group_order_manager.quantity = float(fields.quantity)
        if fields.tag is not None:
            self.tag = fields.tag
        if fields.limit_price is not None:
            if self.type is OrderType.COMBO_LIMIT:
                assert self.group_order_manager is not None
                self.group_order_manager.limit_price = float(fields.limit_price)
            else:
                self.limit_price = float(fields.limit_price)
        if fields.stop_price is not None:
            self.stop_price = float(fields.stop_price)
        if fields.trigger_price is not None:
            self.trigger_price = float(fields.trigger_price)
        if fields.trailing_amount is not None:
            self.trailing_amount = float(fields.trailing_amount)

    def set_quantity(self, quantity: float) -> None:
        """Change the order's own quantity (rounding to lots); of a combo leg only its ratio."""
        group = self.group_order_manager
        self._quantity = quantity if group is None else quantity / group.quantity

    def describe_prices(self, event: OrderEvent) -> None:
        """Copy the order's current prices into one of its events; not the limit of a combo limit order."""
        if self.type in LIMIT_TYPES:
            event.limit_price = self.limit_price
        if self.type in STOP_TYPES:
            event.stop_price = self.stop_price
        if self.type is OrderType.TRAILING_STOP:
            event.trailing_amount = self.trailing_amount
        if self.type is OrderType.LIMIT_IF_TOUCHED:
            event.trigger_price = self.trigger_price

    def clone(self) -> Order:
        """Return a copy; the group is shared, as in LEAN."""
        copy = Order.__new__(Order)
        for name in Order.__slots__:
            setattr(copy, name, getattr(self, name))
        copy.broker_id = list(self.broker_id)
        return copy

    def __repr__(self) -> str:
        tag = f": {self.tag}" if self.tag else ""
        plural = "" if self.quantity == 1 else "s"
        return (
            f"OrderId: {self.id} (BrokerId: {','.join(self.broker_id)}) {lean_name(self.status)} "
            f"{lean_name(self.type)} order for {plain_number(self.quantity)} unit{plural} of {self.symbol}{tag}"
        )


class UpdateOrderFields:
    """New values for an open order; None leaves a field alone."""

    __slots__ = ("limit_price", "quantity", "stop_price", "tag", "trailing_amount", "trigger_price")

    def __init__(self) -> None:
        self.quantity: float | None = None
        self.limit_price: float | None = None
        self.stop_price: float | None = None
        self.trigger_price: float | None = None
        self.trailing_amount: float | None = None
        self.tag: str | None = None


class OrderEvent:
    """What happened to one order.  Fill quantity is signed; a fill at expiry has price 0.0 (the money is in cash)."""

    __slots__ = (
        "direction",
        "fill_price",
        "fill_price_currency",
        "fill_quantity",
        "id",
        "is_assignment",
        "is_in_the_money",
        "limit_price",
        "message",
        "order_fee",
        "order_id",
        "quantity",
        "status",
        "stop_price",
        "symbol",
        "ticket",
        "trailing_amount",
        "trailing_as_percentage",
        "trigger_price",
        "utc",
    )

    def __init__(
        self,
        order: Order,
        utc_time: datetime,
        order_fee: OrderFee = OrderFee.ZERO,
        message: str = "",
        *,
        status: OrderStatus | None = None,
        fill_price: float = 0.0,
        fill_quantity: float = 0.0,
        is_assignment: bool = False,
        is_in_the_money: bool = False,
    ) -> None:
        self.order_id = order.id
        self.id = 0
        self.symbol = order.symbol
        self.utc = utc_time
        self.status = order.status if status is None else status
        self.order_fee = order_fee
        self.fill_price = fill_price
        self.fill_price_currency = order.price_currency
        self.fill_quantity = fill_quantity
        self.direction = order.direction
        self.message = message
        self.is_assignment = is_assignment
        self.is_in_the_money = is_in_the_money
        self.quantity = order.quantity
        # Filled in by the transaction handler for the order types that have them; a combo limit event has none.
        self.limit_price: float | None = None
        self.stop_price: float | None = None
        self.trigger_price: float | None = None
        self.trailing_amount: float | None = None
        self.trailing_as_percentage: bool | None = None
        self.ticket: OrderTicket | None = None

    @property
    def utc_time(self) -> datetime:
        return aware(self.utc)

    @property
    def absolute_fill_quantity(self) -> float:
        return abs(self.fill_quantity)

    @property
    def is_fill(self) -> bool:
        return self.status in FILL_STATUSES

    def clone(self) -> OrderEvent:
        copy = OrderEvent.__new__(OrderEvent)
        for name in OrderEvent.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy

    def __repr__(self) -> str:
        text = (
            f"Time: {self.utc:%m/%d/%Y %H:%M:%S} OrderID: {self.order_id} EventID: {self.id} "
            f"Symbol: {self.symbol.value} Status: {lean_name(self.status)} Quantity: {plain_number(self.quantity)}"
        )
        if self.fill_quantity != 0:
            text += f" FillQuantity: {plain_number(self.fill_quantity)} FillPrice: ${plain_number(self.fill_price)}"
        if self.limit_price is not None:
            text += f" LimitPrice: ${plain_number(self.limit_price)}"
        if self.stop_price is not None:
            text += f" StopPrice: ${plain_number(self.stop_price)}"
        if self.order_fee.value.amount != 0:
            text += f" OrderFee: {self.order_fee}"
        if self.message:
            text += f" Message: {self.message}"
        if self.symbol.security_type in OPTION_TYPES:
            text += f" IsAssignment: {self.is_assignment}"
        return text


def greatest_common_divisor(quantities: Sequence[float]) -> int:
    """Return the greatest common divisor of whole quantities (0 for none)."""
    return math.gcd(*(abs(int(quantity)) for quantity in quantities))


def lean_name(member: LeanEnum) -> str:
    """Return an enum member's name as LEAN prints it: COMBO_LIMIT -> ComboLimit."""
    return "".join(part.capitalize() for part in member.name.split("_"))


def plain_number(value: float) -> str:
    """Return a number as LEAN prints a normalized decimal: 1.0 -> 1, 0.50 -> 0.5."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
