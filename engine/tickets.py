"""Requests, their answers, and the ticket an algorithm holds of each order it sent."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engine.clock import aware
from engine.enums import LeanEnum, OrderStatus, OrderType, SecurityType
from engine.orders import (
    FILL_STATUSES,
    LIMIT_TYPES,
    STOP_TYPES,
    GroupOrderManager,
    Order,
    OrderEvent,
    OrderField,
    OrderProperties,
    UpdateOrderFields,
    lean_name,
)
from engine.symbols import Symbol


class OrderRequestType(LeanEnum):
    SUBMIT = 0
    UPDATE = 1
    CANCEL = 2


class OrderRequestStatus(LeanEnum):
    UNPROCESSED = 0
    PROCESSING = 1
    PROCESSED = 2
    ERROR = 3


class OrderResponseErrorCode(LeanEnum):
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


class OrderResponse:
    """Answer to a request."""

    __slots__ = ("error_code", "error_message", "order_id")

    UNPROCESSED: OrderResponse

    def __init__(self, order_id: int, error_code: OrderResponseErrorCode, error_message: str | None) -> None:
        self.order_id = order_id
        self.error_code = error_code
        self.error_message = (
            None if error_code is OrderResponseErrorCode.NONE else error_message or "An unexpected error occurred."
        )

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
        status = lean_name(order.status)
        text = f"Unable to update order with id {request.order_id} because it already has {status} status."
        return OrderResponse.error(request, OrderResponseErrorCode.INVALID_ORDER_STATUS, text)

    @staticmethod
    def invalid_new_status(request: OrderRequest, order: Order) -> OrderResponse:
        text = (
            f"Unable to update or cancel order with id {request.order_id} and status {lean_name(order.status)} because "
            "the submit confirmation has not been received yet."
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
        text = f"You haven't requested {request.symbol} data. Add this with add_security() in the initialize() method."
        return OrderResponse.error(request, OrderResponseErrorCode.MISSING_SECURITY, text)

    @staticmethod
    def warming_up(request: OrderRequest) -> OrderResponse:
        verb = request.request_type.name.lower()
        text = (
            f"This operation is not allowed in initialize or during warm up: OrderRequest.{verb}. Please move this "
            "code to the on_warmup_finished() method."
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
        self.utc = time
        self.order_id = order_id
        self.tag = tag
        self.response = OrderResponse.UNPROCESSED
        self.status = OrderRequestStatus.UNPROCESSED

    @property
    def time(self) -> datetime:
        return aware(self.utc)

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
            self.utc,
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

    @property
    def is_allowed_for_closed_order(self) -> bool:
        """Only the tag of a closed order may change."""
        fields = self.fields
        values = (
            fields.quantity,
            fields.limit_price,
            fields.stop_price,
            fields.trigger_price,
            fields.trailing_amount,
        )
        return all(value is None for value in values)


class CancelOrderRequest(OrderRequest):
    request_type = OrderRequestType.CANCEL


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
        if field is OrderField.LIMIT_PRICE and order_type in LIMIT_TYPES:
            return source.limit_price
        if field is OrderField.STOP_PRICE and order_type in STOP_TYPES:
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

    # What follows is for the engine.

    def set_order(self, order: Order) -> None:
        self._order = order

    def add_order_event(self, event: OrderEvent) -> None:
        """Record an event and keep the running totals; exercises count only with a price (LEAN issue 2846)."""
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
        self._average_fill_price = round(value / abs(self._filled), 10) if self._filled else 0.0
        order.price = self._average_fill_price

    def __int__(self) -> int:
        response = self.get_most_recent_order_response()
        return int(response.error_code) if response.is_error else self.order_id

    def __repr__(self) -> str:
        requests = [self.submit_request, *self.update_requests, *([self.cancel_request] if self.cancel_request else [])]
        answered = sum(1 for request in requests if request.response.is_processed)
        counts = f"Request Count: {len(requests)} Response Count: {answered}"
        return f"{self.order_id}: {self._order} {counts}" if self._order is not None else f"{self.order_id}: {counts}"
