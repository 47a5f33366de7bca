"""Orders between the algorithm and the broker (LEAN's transaction manager and its backtesting handler in one).

Requests are put into a queue and worked off on the caller's thread.  Sending an order empties the queue at once, so
that SUBMITTED, and for market orders FILLED, reach `on_order_event` before the order call returns; updates and cancels
wait for the next order or the end of the step (Engine/TransactionHandlers/BacktestingTransactionHandler.cs).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from engine.clock import EngineClock
from engine.enums import OrderStatus, OrderType
from engine.models import expiry, margin
from engine.models.brokerage import DefaultBrokerageModel, refusal_text
from engine.models.strategy_margin import MarginModelError
from engine.models.ticks import round_order_prices
from engine.option_security import Option
from engine.order_book import OrderBook
from engine.orders import CLOSED_STATUSES, FILL_STATUSES, Order, OrderEvent, OrderSubmissionData, plain_number
from engine.portfolio import Portfolio
from engine.securities import Security
from engine.security_manager import SecurityManager
from engine.symbols import Symbol
from engine.tickets import (
    CancelOrderRequest,
    OrderRequest,
    OrderRequestStatus,
    OrderResponse,
    OrderResponseErrorCode,
    OrderTicket,
    SubmitOrderRequest,
    UpdateOrderRequest,
)

if TYPE_CHECKING:
    from engine.broker import BrokerPort

LIQUIDATE_FROM_DELISTING: Final = "Liquidate from delisting"


class Hooks(Protocol):
    """What the transaction manager needs of the running algorithm."""

    @property
    def is_warming_up(self) -> bool: ...

    @property
    def is_running(self) -> bool: ...

    @property
    def brokerage_model(self) -> DefaultBrokerageModel: ...

    def error(self, text: str) -> None: ...

    def deliver_order_event(self, event: OrderEvent) -> None: ...

    def deliver_assignment(self, event: OrderEvent) -> None: ...


class TransactionManager(OrderBook):
    """Keeps orders and tickets, checks and forwards requests, books and delivers events."""

    broker: BrokerPort

    def __init__(self, clock: EngineClock, securities: SecurityManager, portfolio: Portfolio, hooks: Hooks) -> None:
        super().__init__(clock)
        self._securities = securities
        self._portfolio = portfolio
        self._hooks = hooks
        self._queue: deque[OrderRequest] = deque()
        self._status_before_cancel: dict[int, OrderStatus] = {}
        self._group_id = 0
        self._warned_of_rounding = False
        self._warned_of_lots = False
        self.order_events: list[OrderEvent] = []
        # Called after fills are booked and before the algorithm hears of them (a paper account is saved here).
        self.on_account_changed: Callable[[], None] | None = None
        # Called with each event just before the algorithm hears of it (process death).
        self.before_delivery: Callable[[OrderEvent], None] | None = None

    # Requests.

    def cancel_order(self, order_id: int, order_tag: str | None = None) -> OrderTicket:
        return self.process_cancel(CancelOrderRequest(self._clock.utc, order_id, order_tag or ""))

    def cancel_open_orders(self, symbol: Symbol | None = None, tag: str | None = None) -> list[OrderTicket]:
        if self._hooks.is_warming_up:
            raise ValueError(
                "This operation is not allowed in initialize or during warm up: cancel_open_orders. Please move this "
                "code to the on_warmup_finished() method."
            )
        tickets = self.get_open_order_tickets(symbol)
        if symbol is None:
            tag = f"Canceled by CancelOpenOrders() at {self._clock.utc:%m/%d/%Y %H:%M:%S}"
        for ticket in tickets:
            ticket.cancel(tag)
        return tickets

    def next_group_id(self) -> int:
        self._group_id += 1
        return self._group_id

    def next_order_id(self) -> int:
        self._order_id += 1
        return self._order_id

    def resume_numbering(self, order_id: int, group_id: int) -> None:
        """Go on after the numbers of an earlier process (paper account)."""
        self._order_id, self._group_id = order_id, group_id

    @property
    def group_id(self) -> int:
        return self._group_id

    def add_order(self, request: SubmitOrderRequest) -> OrderTicket:
        """Send an order whose pre-checks passed.  All its immediate events are delivered before this returns."""
        if self._hooks.is_warming_up:
            raise ValueError(str(OrderResponse.warming_up(request)))
        if request.order_id < 1:
            request.order_id = self.next_order_id()
            if request.group_order_manager is not None:
                request.group_order_manager.order_ids.append(request.order_id)
        request.set_response(OrderResponse.success(request))
        ticket = OrderTicket(self, request)
        security = self._securities[request.symbol]
        order = request.create_order()
        self._tickets[order.id] = ticket
        order.order_submission_data = OrderSubmissionData(security.bid_price, security.ask_price, security.close)
        self._open[order.id] = order
        self._queue.append(request)
        self.process_pending()
        return ticket

    def update_order(self, request: UpdateOrderRequest) -> OrderTicket:
        ticket = self._tickets.get(request.order_id)
        order = self._order(request.order_id)
        if ticket is None or order is None:
            return self._unknown(request)
        ticket.update_requests.append(request)
        if order.status is OrderStatus.NEW:
            request.set_response(OrderResponse.invalid_new_status(request, order))
        elif order.status in CLOSED_STATUSES and not request.is_allowed_for_closed_order:
            request.set_response(OrderResponse.invalid_status(request, order))
        elif request.quantity is not None and request.quantity == 0:
            request.set_response(OrderResponse.zero_quantity(request))
        elif self._hooks.is_warming_up:
            request.set_response(OrderResponse.warming_up(request))
        else:
            request.set_response(OrderResponse.success(request), OrderRequestStatus.PROCESSING)
            self._queue.append(request)
        return ticket

    def process_cancel(self, request: CancelOrderRequest) -> OrderTicket:
        if self._hooks.is_warming_up:
            raise ValueError(str(OrderResponse.warming_up(request)))
        ticket = self._tickets.get(request.order_id)
        order = self._order(request.order_id)
        if ticket is None or order is None:
            return self._unknown(request)
        if ticket.cancel_request is not None and ticket.cancel_request.status is not OrderRequestStatus.ERROR:
            text = "Cancellation is already in progress."
            request.set_response(OrderResponse.error(request, OrderResponseErrorCode.INVALID_REQUEST, text))
            return ticket
        ticket.cancel_request = request
        if request.tag is not None:
            order.tag = request.tag
        if order.status is OrderStatus.NEW:
            request.set_response(OrderResponse.invalid_new_status(request, order))
        elif order.status in CLOSED_STATUSES:
            request.set_response(OrderResponse.invalid_status(request, order))
        else:
            self._status_before_cancel[order.id] = order.status
            order.status = OrderStatus.CANCEL_PENDING
            self.handle_order_events([OrderEvent(order, self._clock.utc)])
            request.set_response(OrderResponse.success(request), OrderRequestStatus.PROCESSING)
            self._queue.append(request)
        return ticket

    def process_pending(self) -> None:
        """Work off the queue; after each request the broker looks for fills."""
        queue = self._queue
        while queue:
            request = queue.popleft()
            if isinstance(request, SubmitOrderRequest):
                response = self._handle_submit(request)
            elif isinstance(request, UpdateOrderRequest):
                response = self._handle_update(request)
            else:
                assert isinstance(request, CancelOrderRequest)
                response = self._handle_cancel(request)
            request.set_response(response, OrderRequestStatus.PROCESSED)
            self.broker.advance()

    def has_work(self) -> bool:
        return bool(self._queue)

    def _unknown(self, request: UpdateOrderRequest | CancelOrderRequest) -> OrderTicket:
        """Return the ticket LEAN makes up for an order that does not exist."""
        submit = SubmitOrderRequest(OrderType.MARKET, _no_symbol(), 0.0, datetime.max, tag=request.tag)
        response = OrderResponse.unable_to_find_order(request)
        submit.order_id = request.order_id
        request.set_response(response)
        ticket = OrderTicket.invalid_submit_request(self, submit, response)
        if isinstance(request, UpdateOrderRequest):
            ticket.update_requests.append(request)
        else:
            ticket.cancel_request = request
        return ticket

    def _order(self, order_id: int) -> Order | None:
        return self._open.get(order_id) or self._orders.get(order_id)

    def group_of(self, order: Order, among: dict[int, Order]) -> list[Order] | None:
        """Return all orders of a combo by id, or the order alone; None while some have not arrived."""
        group = order.group_order_manager
        if group is None:
            return [order]
        found = [among[number] for number in group.order_ids if number in among]
        if len(found) != group.count:
            return None
        return sorted(found, key=lambda leg: leg.id)

    # Handling a request.

    def _handle_submit(self, request: SubmitOrderRequest) -> OrderResponse:
        order = self._open[request.order_id]
        self._orders[order.id] = order
        security = self._securities[order.symbol]
        self._round_lots(order, security)
        orders = self.group_of(order, self._orders)
        self._round_prices(order, security, orders)
        self._tickets[order.id].set_order(order)
        if orders is None:
            return OrderResponse.success(request)  # more legs to come
        refusal = self._check_buying_power(order, request, orders)
        if refusal is not None:
            return refusal
        for leg in orders:
            message = self._hooks.brokerage_model.can_submit_order(self._securities[leg.symbol], leg)
            if message is not None:
                text = refusal_text([each.id for each in orders], message)
                response = OrderResponse.error(
                    request, OrderResponseErrorCode.BROKERAGE_MODEL_REFUSED_TO_SUBMIT_ORDER, text
                )
                self._invalidate(orders, text)
                self._hooks.error(text)
                return response
        if not all(self.broker.submit(leg) for leg in orders):
            text = f"Brokerage failed to place orders: [{','.join(str(leg.id) for leg in orders)}]"
            self._invalidate(orders, text)
            self._hooks.error(text)
            return OrderResponse.error(request, OrderResponseErrorCode.BROKERAGE_FAILED_TO_SUBMIT_ORDER, text)
        return OrderResponse.success(request)

    def _handle_update(self, request: UpdateOrderRequest) -> OrderResponse:
        order = self._order(request.order_id)
        if order is None:
            return OrderResponse.unable_to_find_order(request)
        if order.status is OrderStatus.NEW:
            return OrderResponse.invalid_new_status(request, order)
        is_closed = order.status in CLOSED_STATUSES
        if is_closed and not request.is_allowed_for_closed_order:
            return OrderResponse.invalid_status(request, order)
        security = self._securities[order.symbol]
        self._round_lots(order, security)
        message = self._hooks.brokerage_model.can_update_order(security, order)
        if message is not None:
            text = f"OrderID: {order.id} {message}"
            self._hooks.error(text)
            self.handle_order_events(
                [OrderEvent(order, self._clock.utc, message="BrokerageModel declared unable to update order")]
            )
            return OrderResponse.error(request, OrderResponseErrorCode.BROKERAGE_MODEL_REFUSED_TO_UPDATE_ORDER, text)
        if order.group_order_manager is None:
            updated = order.clone()
            updated.apply_update(request.fields)
            refusal = self._check_buying_power(updated, request, None)
            if refusal is not None:
                return refusal
        order.apply_update(request.fields)
        self._round_prices(order, security, self.group_of(order, self._orders))
        if not is_closed and not self.broker.update(order):
            text = f"Brokerage failed to update order with id {request.order_id}"
            self._hooks.error(text)
            self.handle_order_events([OrderEvent(order, self._clock.utc, message="Brokerage failed to update order")])
            return OrderResponse.error(request, OrderResponseErrorCode.BROKERAGE_FAILED_TO_UPDATE_ORDER, text)
        return OrderResponse.success(request)

    def _handle_cancel(self, request: CancelOrderRequest) -> OrderResponse:
        order = self._order(request.order_id)
        if order is None:
            return OrderResponse.unable_to_find_order(request)
        if order.status is OrderStatus.NEW:
            self._fall_back(order)
            return OrderResponse.invalid_new_status(request, order)
        if order.status in CLOSED_STATUSES:
            self._fall_back(order)
            return OrderResponse.invalid_status(request, order)
        if not self.broker.cancel(order):
            text = f"Brokerage failed to cancel order with id {order.id}"
            self._hooks.error(text)
            self._fall_back(order)
            return OrderResponse.error(request, OrderResponseErrorCode.BROKERAGE_FAILED_TO_CANCEL_ORDER, text)
        if request.tag is not None:
            order.tag = request.tag
        return OrderResponse.success(request)

    def _fall_back(self, order: Order) -> None:
        """Undo CANCEL_PENDING of a cancel that failed, unless an event has set another status."""
        before = self._status_before_cancel.pop(order.id, None)
        if before is not None and order.status is OrderStatus.CANCEL_PENDING:
            order.status = before

    def _check_buying_power(
        self, order: Order, request: OrderRequest, orders: list[Order] | None
    ) -> OrderResponse | None:
        """Return the refusal of an order the account cannot bear, None when it can."""
        try:
            check = margin.has_sufficient_buying_power(self._portfolio.view, orders or [order])
        except MarginModelError as error:
            # LEAN leaves such an order in status NEW for ever; the same contract in two legs does it.
            self._hooks.error(f"Order Error: id: {order.id}, Error executing margin models: {error}")
            event = OrderEvent(order, self._clock.utc, message="Error executing margin models")
            self.handle_order_events([event])
            text = "An error occurred while checking sufficient buying power for the orders."
            return OrderResponse.error(request, OrderResponseErrorCode.PROCESSING_ERROR, text)
        if check.is_sufficient:
            return None
        if orders is None:
            text = (
                f"Brokerage failed to update order with id: {order.id}, Symbol: {order.symbol.value}, Insufficient "
                f"buying power to complete order, Reason: {check.reason}."
            )
            self._hooks.error(text)
            self.handle_order_events([OrderEvent(order, self._clock.utc, message=text)])
            return OrderResponse.error(request, OrderResponseErrorCode.BROKERAGE_FAILED_TO_UPDATE_ORDER, text)
        text = margin.insufficient_text(self._portfolio.view, orders, check)
        self._hooks.error(text)
        self._invalidate(orders, text)
        return OrderResponse.error(request, OrderResponseErrorCode.INSUFFICIENT_BUYING_POWER, text)

    def _invalidate(self, orders: Sequence[Order], text: str) -> None:
        for order in orders:
            if order.status not in CLOSED_STATUSES:
                order.status = OrderStatus.INVALID
            self.handle_order_events([OrderEvent(order, self._clock.utc, message=text)])

    def _round_lots(self, order: Order, security: Security) -> None:
        remainder = abs(order.quantity) % security.lot_size
        if remainder:
            order.set_quantity(order.quantity - (remainder if order.quantity > 0 else -remainder))
            if not self._warned_of_lots:
                self._warned_of_lots = True
                self._hooks.error(
                    "Warning: Due to brokerage limitations, orders will be rounded to the nearest lot size of "
                    f"{plain_number(security.lot_size)}"
                )

    def _round_prices(self, order: Order, security: Security, orders: list[Order] | None) -> None:
        legs = [(leg, self._securities[leg.symbol]) for leg in orders] if orders is not None else []
        warning = round_order_prices(order, security, legs)
        if warning is not None and not self._warned_of_rounding:
            self._warned_of_rounding = True
            self._hooks.error(warning)

    # Events.

    def handle_order_events(self, events: Sequence[OrderEvent]) -> None:
        """Book a batch of events, then deliver it: all legs of a combo are in cash before the first is heard of."""
        states: list[tuple[OrderEvent, Order, OrderTicket]] = []
        for event in events:
            order = self._open.pop(event.order_id, None) if event.status in CLOSED_STATUSES else None
            if order is None:
                order = self._order(event.order_id)
            else:
                self._orders[order.id] = order
            ticket = self._tickets.get(event.order_id)
            if order is None or ticket is None:
                return  # LEAN logs and drops the batch: nobody knows the order
            event.ticket = ticket
            states.append((event, order, ticket))
        fills = [event for event, order, ticket in states if self._apply(event, order, ticket)]
        # Also without a fill: LEAN computes the value anew after any order event, of what is visible then.
        self._portfolio.process_fills(fills)
        for event, _, ticket in states:
            ticket.add_order_event(event)
        if self.on_account_changed is not None:
            self.on_account_changed()
        for event, _, _ in states:
            if event.status is not OrderStatus.NONE:
                self.order_events.append(event)
                if self.before_delivery is not None:
                    self.before_delivery(event)
                self._hooks.deliver_order_event(event)

    def _apply(self, event: OrderEvent, order: Order, ticket: OrderTicket) -> bool:
        """Set the order's state from an event, complete the event, and return whether it is a fill."""
        if event.status is not OrderStatus.CANCEL_PENDING:
            self._status_before_cancel.pop(order.id, None)
        terminal = order.status in (OrderStatus.FILLED, OrderStatus.CANCELED)
        if not terminal or event.status is not OrderStatus.INVALID:
            order.status = event.status
        order.event_count += 1
        event.id = order.event_count
        is_fill = event.status in FILL_STATUSES
        if event.status is OrderStatus.CANCELED:
            order.canceled_time = event.utc_time
        elif is_fill:
            order.last_fill_time = event.utc_time
        elif ticket.update_requests and event.status in (OrderStatus.UPDATE_SUBMITTED, OrderStatus.SUBMITTED):
            order.last_update_time = event.utc_time
        event.quantity = order.quantity
        order.describe_prices(event)
        return is_fill

    # Expiry, assignment, delisting.

    def option_expires(self, option: Option) -> None:
        """Close an expired contract's position: one exercise order, never submitted, filled at once."""
        if option.holdings.quantity != 0:
            self._exercise_now(option, expiry.expiry_order(option, self._clock.utc))

    def option_assigned(self, option: Option, tag: str) -> None:
        """Take an early assignment of a whole short position."""
        order = Order(OrderType.OPTION_EXERCISE, option.symbol, -option.holdings.quantity, self._clock.utc, tag=tag)
        self._exercise_now(option, order)

    def _exercise_now(self, option: Option, order: Order) -> None:
        order.order_submission_data = OrderSubmissionData(option.bid_price, option.ask_price, option.close)
        self.add_open_order(order)
        for event in expiry.exercise(option, order, self._clock.utc):
            self.handle_order_events([event])
            if event.is_assignment:
                event.message = expiry.assignment_message(event, order.tag)
                self.position_assigned(event)

    def position_assigned(self, event: OrderEvent) -> None:
        if self._hooks.is_running:
            self._hooks.deliver_assignment(event)

    def security_delisted(self, security: Security) -> None:
        """Liquidate a delisted stock at its last price, outside any market."""
        quantity = -security.holdings.quantity
        if quantity == 0:
            return
        now = self._clock.utc
        order = Order(OrderType.MARKET, security.symbol, quantity, now, tag=LIQUIDATE_FROM_DELISTING)
        self.add_open_order(order)
        self.handle_order_events(
            [
                OrderEvent(
                    order,
                    now,
                    message=LIQUIDATE_FROM_DELISTING,
                    status=OrderStatus.FILLED,
                    fill_price=security.price,
                    fill_quantity=quantity,
                )
            ]
        )

    def add_open_order(self, order: Order) -> OrderTicket:
        """Take over an order that the broker has already (expiry; open orders found at the start of a paper run)."""
        if order.status in (OrderStatus.NEW, OrderStatus.NONE):
            order.status = OrderStatus.SUBMITTED
        if order.id < 1:
            order.id = self.next_order_id()
        request = SubmitOrderRequest(
            order.type,
            order.symbol,
            order.quantity,
            order.utc,
            tag=order.tag,
            stop_price=order.stop_price,
            limit_price=order.limit_price,
            order_properties=order.properties,
            group_order_manager=order.group_order_manager,
        )
        request.order_id = order.id
        request.set_response(OrderResponse.success(request), OrderRequestStatus.PROCESSED)
        ticket = OrderTicket(self, request)
        ticket.set_order(order)
        self._open[order.id] = order
        self._orders[order.id] = order
        self._tickets[order.id] = ticket
        return ticket

    def working_orders(self) -> list[Order]:
        """Return the engine's own open orders, not copies."""
        return list(self._open.values())

    def all_orders(self) -> list[Order]:
        return list(self._orders.values())

    def fees_paid(self) -> Decimal:
        return sum((Decimal(repr(event.order_fee.value.amount)) for event in self.order_events), Decimal(0))


def _no_symbol() -> Symbol:
    return Symbol.index("EMPTY")
