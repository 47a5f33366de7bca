"""Orders, tickets, events and requests, as LEAN names them.

An algorithm sees plain numbers (LEAN hands decimals to Python as floats), so quantities and prices are floats here; quantities
are whole numbers.  Times inside requests, orders and events are naive UTC datetimes, as in LEAN.
One `Order` class serves every order type: fields that a type does not have stay at 0.0 and reading them through
`OrderTicket.get` raises, as LEAN does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Protocol

from engine.enums import OrderDirection, OrderStatus, OrderType, SecurityType
from engine.symbols import Symbol

FILL_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED})
CLOSED_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.INVALID})
COMBO_TYPES = frozenset({OrderType.COMBO_MARKET, OrderType.COMBO_LIMIT, OrderType.COMBO_LEG_LIMIT})
OPTION_TYPES = frozenset({SecurityType.OPTION, SecurityType.INDEX_OPTION, SecurityType.FUTURE_OPTION})
_HAS_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED, OrderType.COMBO_LEG_LIMIT})
_HAS_STOP = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


class OrderField(IntEnum):
    """Fields `OrderTicket.get` can read."""

    LIMIT_PRICE = 0
    STOP_PRICE = 1
    TRIGGER_PRICE = 2
    TRAILING_AMOUNT = 3
    TRAILING_AS_PERCENTAGE = 4


class OrderRequestType(IntEnum):
    SUBMIT = 0
    UPDATE = 1
    CANCEL = 2


class OrderRequestStatus(IntEnum):
    UNPROCESSED = 0
    PROCESSING = 1
    PROCESSED = 2
    ERROR = 3


class OrderResponseErrorCode(IntEnum):
    """LEAN's codes; an invalid ticket compares with them through its order id."""

    NONE = 0
    PROCESSING_ERROR = -1
    ORDER_ALREADY_EXISTS = -2
    INSUFFICIENT_BUYING_POWER = -3
    BROKERAGE_MODEL_REFUSED_TO_SUBMIT_ORDER = -4
    BROKERAGE_FAILED_TO_SUBMIT_ORDER = -5
    BROKERAGE_FAILED_TO_UPDATE_ORDER = -6
    BROKERAGE_HANDLER_REFUSED_TO_UPDATE_ORDER = -7
    BROKERAGE_FAILED_TO_CANCEL_ORDER = -8
    INVALID_ORDER_STATUS = -9
    UNABLE_TO_FIND_ORDER = -10
    ORDER_QUANTITY_ZERO = -11
    UNSUPPORTED_REQUEST_TYPE = -12
    PRE_ORDER_CHECKS_ERROR = -13
    MISSING_SECURITY = -14
    EXCHANGE_NOT_OPEN = -15
    SECURITY_PRICE_ZERO = -16
    FOREX_BASE_AND_QUOTE_CURRENCIES_REQUIRED = -17
    FOREX_CONVERSION_RATE_ZERO = -18
    SECURITY_HAS_NO_DATA = -19
    EXCEEDED_MAXIMUM_ORDERS = -20
    MARKET_ON_CLOSE_ORDER_TOO_LATE = -21
    INVALID_REQUEST = -22
    REQUEST_CANCELED = -23
    ALGORITHM_WARMING_UP = -24
    BROKERAGE_MODEL_REFUSED_TO_UPDATE_ORDER = -25
    QUOTE_CURRENCY_REQUIRED = -26
    CONVERSION_RATE_ZERO = -27
    NON_TRADABLE_SECURITY = -28
    NON_EXERCISABLE_SECURITY = -29
    ORDER_QUANTITY_LESS_THAN_LOT_SIZE = -30
    EXCEEDS_SHORTABLE_QUANTITY = -31
    INVALID_NEW_ORDER_STATUS = -32
    EUROPEAN_OPTION_NOT_EXPIRED_ON_EXERCISE = -33
    OPTION_ORDER_ON_STOCK_SPLIT = -34
    MARKET_ON_OPEN_NOT_ALLOWED_DURING_REGULAR_HOURS = -35


class TimeInForceKind(IntEnum):
    GOOD_TIL_CANCELED = 0
    DAY = 1
    GOOD_TIL_DATE = 2


class TimeInForce:
    """How long an order works: `TimeInForce.DAY`, `.GOOD_TIL_CANCELED` or `.good_til_date(datetime)`."""

    __slots__ = ("expiry", "kind")

    DAY: TimeInForce
    GOOD_TIL_CANCELED: TimeInForce

    def __init__(self, kind: TimeInForceKind = TimeInForceKind.GOOD_TIL_CANCELED, expiry: datetime | None = None) -> None:
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
    """What the legs of one combo share.  `quantity` is signed and scales the ratios; limit price is per unit of the group."""

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
        "time",
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
        self.time = time
        self.created_time = time
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
        self.last_fill_time: datetime | None = None
        self.last_update_time: datetime | None = None
        self.canceled_time: datetime | None = None
        self.order_submission_data: OrderSubmissionData | None = None
        if order_type is OrderType.COMBO_LIMIT and group_order_manager is not None:
            group_order_manager.limit_price = limit_price

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
        """Whether the order takes the market: market orders, and limits beyond the opposite quote when they were sent."""
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

        Buying counts at the lower, selling at the higher of the order's own price and the market.  Exercises: see models.expiry.
        """
        quantity = self.quantity
        own = self._own_price()
        price = security_price if own is None else (min if quantity > 0 else max)(own, security_price)
        return price * quantity * multiplier

    def _own_price(self) -> float | None:
        if self.type is OrderType.COMBO_LIMIT:
            assert self.group_order_manager is not None
            return self.group_order_manager.limit_price
        if self.type in _HAS_LIMIT:
            return self.limit_price
        return self.stop_price if self.type in _HAS_STOP else None

    def apply_update(self, fields: UpdateOrderFields) -> None:
        """Apply an accepted update request; the new quantity of a combo leg is the quantity of its group, as in LEAN."""
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
            f"OrderId: {self.id} (BrokerId: {','.join(self.broker_id)}) {lean_name(self.status)} {lean_name(self.type)} order for "
            f"{plain_number(self.quantity)} unit{plural} of {self.symbol}{tag}"
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


class OrderResponse:
    """Answer to a request."""

    __slots__ = ("error_code", "error_message", "order_id")

    UNPROCESSED: OrderResponse

    def __init__(self, order_id: int, error_code: OrderResponseErrorCode, error_message: str | None) -> None:
        self.order_id = order_id
        self.error_code = error_code
        self.error_message = None if error_code is OrderResponseErrorCode.NONE else error_message or "An unexpected error occurred."

    @property
    def is_processed(self) -> bool:
        return self is not OrderResponse.UNPROCESSED

    @property
    def is_error(self) -> bool:
        return self.is_processed and self.error_code is not OrderResponseErrorCode.NONE

    @property
    def is_success(self) -> bool:
        return self.is_processed and not self.is_error

    @staticmethod
    def success(request: OrderRequest) -> OrderResponse:
        return OrderResponse(request.order_id, OrderResponseErrorCode.NONE, None)

    @staticmethod
    def error(request: OrderRequest, code: OrderResponseErrorCode, message: str | None = None) -> OrderResponse:
        return OrderResponse(request.order_id, code, message)

    @staticmethod
    def invalid_status(request: OrderRequest, order: Order) -> OrderResponse:
        text = f"Unable to update order with id {request.order_id} because it already has {lean_name(order.status)} status."
        return OrderResponse.error(request, OrderResponseErrorCode.INVALID_ORDER_STATUS, text)

    @staticmethod
    def invalid_new_status(request: OrderRequest, order: Order) -> OrderResponse:
        text = (
            f"Unable to update or cancel order with id {request.order_id} and status {lean_name(order.status)} because the submit "
            "confirmation has not been received yet."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.INVALID_NEW_ORDER_STATUS, text)

    @staticmethod
    def unable_to_find_order(request: OrderRequest) -> OrderResponse:
        text = f"Unable to locate order with id {request.order_id}."
        return OrderResponse.error(request, OrderResponseErrorCode.UNABLE_TO_FIND_ORDER, text)

    @staticmethod
    def zero_quantity(request: OrderRequest) -> OrderResponse:
        verb = request.request_type.name.lower()
        text = f"Unable to {verb} order with id {request.order_id} that has zero quantity."
        return OrderResponse.error(request, OrderResponseErrorCode.ORDER_QUANTITY_ZERO, text)

    @staticmethod
    def missing_security(request: SubmitOrderRequest) -> OrderResponse:
        text = (
            f"You haven't requested {request.symbol} data. Add this with add_security() in the initialize() method."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.MISSING_SECURITY, text)

    @staticmethod
    def warming_up(request: OrderRequest) -> OrderResponse:
        verb = request.request_type.name.lower()
        text = (
            f"This operation is not allowed in initialize or during warm up: OrderRequest.{verb}. Please move this code to the "
            "on_warmup_finished() method."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.ALGORITHM_WARMING_UP, text)

    def __repr__(self) -> str:
        if not self.is_processed:
            return "Unprocessed"
        return f"Error: {lean_name(self.error_code)} - {self.error_message}" if self.is_error else "Success"


OrderResponse.UNPROCESSED = OrderResponse(-(2**31), OrderResponseErrorCode.NONE, None)


class OrderRequest:
    """What the algorithm asked for, and the answer."""

    request_type: OrderRequestType

    def __init__(self, time: datetime, order_id: int, tag: str | None) -> None:
        self.time = time
        self.order_id = order_id
        self.tag = tag
        self.response = OrderResponse.UNPROCESSED
        self.status = OrderRequestStatus.UNPROCESSED

    @property
    def order_request_type(self) -> OrderRequestType:
        return self.request_type

    def set_response(self, response: OrderResponse, status: OrderRequestStatus = OrderRequestStatus.ERROR) -> None:
        self.status = OrderRequestStatus.ERROR if response.is_error else status
        self.response = response


class SubmitOrderRequest(OrderRequest):
    """A new order, before and after it got its id (-10 until then, as in LEAN)."""

    request_type = OrderRequestType.SUBMIT

    def __init__(
        self,
        order_type: OrderType,
        symbol: Symbol,
        quantity: float,
        time: datetime,
        *,
        tag: str | None = "",
        stop_price: float = 0.0,
        limit_price: float = 0.0,
        trigger_price: float = 0.0,
        trailing_amount: float = 0.0,
        trailing_as_percentage: bool = False,
        order_properties: OrderProperties | None = None,
        group_order_manager: GroupOrderManager | None = None,
        asynchronous: bool = False,
    ) -> None:
        super().__init__(time, int(OrderResponseErrorCode.UNABLE_TO_FIND_ORDER), tag)
        self.order_type = order_type
        self.symbol = symbol
        self.quantity = quantity
        self.stop_price = stop_price
        self.limit_price = limit_price
        self.trigger_price = trigger_price
        self.trailing_amount = trailing_amount
        self.trailing_as_percentage = trailing_as_percentage
        self.order_properties = order_properties
        self.group_order_manager = group_order_manager
        self.asynchronous = asynchronous

    @property
    def security_type(self) -> SecurityType:
        return self.symbol.security_type

    def create_order(self) -> Order:
        """Return the order this request describes, with status NEW and the request's id."""
        return Order(
            self.order_type,
            self.symbol,
            self.quantity,
            self.time,
            tag=self.tag,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trigger_price=self.trigger_price,
            trailing_amount=self.trailing_amount,
            trailing_as_percentage=self.trailing_as_percentage,
            group_order_manager=self.group_order_manager,
            properties=self.order_properties,
            order_id=self.order_id,
        )


class UpdateOrderRequest(OrderRequest):
    request_type = OrderRequestType.UPDATE

    def __init__(self, time: datetime, order_id: int, fields: UpdateOrderFields) -> None:
        super().__init__(time, order_id, fields.tag)
        self.fields = fields
        self.quantity = fields.quantity
        self.limit_price = fields.limit_price
        self.stop_price = fields.stop_price
        self.trigger_price = fields.trigger_price
        self.trailing_amount = fields.trailing_amount


class CancelOrderRequest(OrderRequest):
    request_type = OrderRequestType.CANCEL


class OrderEvent:
    """What happened to one order.  Fill quantity is signed; a fill at expiry has fill price 0.0 (the money moves in cash)."""

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
        "utc_time",
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
        self.utc_time = utc_time
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
            f"Time: {self.utc_time:%m/%d/%Y %H:%M:%S} OrderID: {self.order_id} EventID: {self.id} Symbol: {self.symbol.value} "
            f"Status: {lean_name(self.status)} Quantity: {plain_number(self.quantity)}"
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


class TicketDesk(Protocol):
    """Where a ticket sends its requests: the transaction manager."""

    @property
    def utc_time(self) -> datetime: ...

    def update_order(self, request: UpdateOrderRequest) -> OrderTicket: ...

    def process_cancel(self, request: CancelOrderRequest) -> OrderTicket: ...


class OrderTicket:
    """The algorithm's handle on an order it sent."""

    __slots__ = (
        "_average_fill_price",
        "_desk",
        "_filled",
        "_order",
        "_status_override",
        "cancel_request",
        "order_events",
        "submit_request",
        "update_requests",
    )

    def __init__(self, desk: TicketDesk, submit_request: SubmitOrderRequest) -> None:
        self._desk = desk
        self.submit_request = submit_request
        self.update_requests: list[UpdateOrderRequest] = []
        self.cancel_request: CancelOrderRequest | None = None
        self.order_events: list[OrderEvent] = []
        self._order: Order | None = None
        self._status_override: OrderStatus | None = None
        self._filled = 0.0
        self._average_fill_price = 0.0

    @staticmethod
    def invalid_submit_request(desk: TicketDesk, request: SubmitOrderRequest, response: OrderResponse) -> OrderTicket:
        """Return the ticket of a request that never became an order."""
        request.set_response(response)
        ticket = OrderTicket(desk, request)
        ticket._status_override = OrderStatus.INVALID
        return ticket

    @property
    def order_id(self) -> int:
        return self.submit_request.order_id

    @property
    def status(self) -> OrderStatus:
        if self._status_override is not None:
            return self._status_override
        return OrderStatus.NEW if self._order is None else self._order.status

    @property
    def symbol(self) -> Symbol:
        return self.submit_request.symbol

    @property
    def security_type(self) -> SecurityType:
        return self.submit_request.security_type

    @property
    def order_type(self) -> OrderType:
        return self.submit_request.order_type

    @property
    def quantity(self) -> float:
        return self.submit_request.quantity if self._order is None else self._order.quantity

    @property
    def quantity_filled(self) -> float:
        return self._filled

    @property
    def quantity_remaining(self) -> float:
        return self.quantity - self._filled

    @property
    def average_fill_price(self) -> float:
        return self._average_fill_price

    @property
    def tag(self) -> str | None:
        return self.submit_request.tag if self._order is None else self._order.tag

    @property
    def time(self) -> datetime:
        return self.get_most_recent_order_request().time

    @property
    def has_order(self) -> bool:
        return self._order is not None

    def get(self, field: OrderField) -> float:
        """Return a price field; raises ValueError when this order type does not have it."""
        order_type = self.order_type
        if field is OrderField.LIMIT_PRICE and order_type is OrderType.COMBO_LIMIT:
            if self._order is None or self._order.group_order_manager is None:
                return self.submit_request.limit_price
            return self._order.group_order_manager.limit_price
        source: Order | SubmitOrderRequest = self.submit_request if self._order is None else self._order
        if field is OrderField.LIMIT_PRICE and order_type in _HAS_LIMIT:
            return source.limit_price
        if field is OrderField.STOP_PRICE and order_type in _HAS_STOP:
            return source.stop_price
        if field is OrderField.TRIGGER_PRICE and order_type is OrderType.LIMIT_IF_TOUCHED:
            return source.trigger_price
        if field is OrderField.TRAILING_AMOUNT and order_type is OrderType.TRAILING_STOP:
            return source.trailing_amount
        raise ValueError(f"Unable to get field {lean_name(field)} on order of type {lean_name(order_type)}")

    def update(self, fields: UpdateOrderFields) -> OrderResponse:
        ticket = self._desk.update_order(UpdateOrderRequest(self._desk.utc_time, self.order_id, fields))
        return ticket.update_requests[-1].response

    def update_tag(self, tag: str) -> OrderResponse:
        fields = UpdateOrderFields()
        fields.tag = tag
        return self.update(fields)

    def update_quantity(self, quantity: float, tag: str | None = None) -> OrderResponse:
        fields = UpdateOrderFields()
        fields.quantity = quantity
        fields.tag = tag
        return self.update(fields)

    def update_limit_price(self, limit_price: float, tag: str | None = None) -> OrderResponse:
        fields = UpdateOrderFields()
        fields.limit_price = limit_price
        fields.tag = tag
        return self.update(fields)

    def update_stop_price(self, stop_price: float, tag: str | None = None) -> OrderResponse:
        fields = UpdateOrderFields()
        fields.stop_price = stop_price
        fields.tag = tag
        return self.update(fields)

    def cancel(self, tag: str | None = None) -> OrderResponse:
        request = CancelOrderRequest(self._desk.utc_time, self.order_id, tag)
        pending = self.cancel_request
        if pending is not None and pending.status is not OrderRequestStatus.ERROR:
            text = f"Order {self.order_id} has already received a cancellation request."
            return OrderResponse.error(request, OrderResponseErrorCode.REQUEST_CANCELED, text)
        ticket = self._desk.process_cancel(request)
        assert ticket.cancel_request is not None
        return ticket.cancel_request.response

    def get_most_recent_order_request(self) -> OrderRequest:
        if self.cancel_request is not None:
            return self.cancel_request
        return self.update_requests[-1] if self.update_requests else self.submit_request

    def get_most_recent_order_response(self) -> OrderResponse:
        return self.get_most_recent_order_request().response

    # -- engine side ---------------------------------------------------------------------------------------------------------

    def set_order(self, order: Order) -> None:
        self._order = order

    def add_order_event(self, event: OrderEvent) -> None:
        """Record an event and keep the running totals.  Exercises count only when they carry a price (LEAN issue 2846)."""
        self.order_events.append(event)
        order = self._order
        if event.fill_quantity == 0 or order is None:
            return
        if order.type is OrderType.OPTION_EXERCISE:
            if event.is_in_the_money:
                order.price = float(order.symbol.id.strike_price)
                if event.fill_price != 0:
                    self._filled += event.fill_quantity
                    self._average_fill_price = order.price
            return
        self._filled += event.fill_quantity
        value = sum(abs(e.fill_quantity) * e.fill_price for e in self.order_events if e.status in FILL_STATUSES)
        self._average_fill_price = value / abs(self._filled) if self._filled else 0.0
        order.price = self._average_fill_price

    def __int__(self) -> int:
        response = self.get_most_recent_order_response()
        return int(response.error_code) if response.is_error else self.order_id

    def __repr__(self) -> str:
        requests = [self.submit_request, *self.update_requests, *([self.cancel_request] if self.cancel_request else [])]
        answered = sum(1 for request in requests if request.response.is_processed)
        counts = f"Request Count: {len(requests)} Response Count: {answered}"
        return f"{self.order_id}: {self._order} {counts}" if self._order is not None else f"{self.order_id}: {counts}"


def greatest_common_divisor(quantities: Sequence[float]) -> int:
    """Return the greatest common divisor of whole quantities (0 for none)."""
    return math.gcd(*(abs(int(quantity)) for quantity in quantities))


def lean_name(member: IntEnum) -> str:
    """Return an enum member's name as LEAN prints it: COMBO_LIMIT -> ComboLimit."""
    return "".join(part.capitalize() for part in member.name.split("_"))


def plain_number(value: float) -> str:
    """Return a number as LEAN prints a normalized decimal: 1.0 -> 1, 0.50 -> 0.5."""
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
