"""The broker behind one port, and the honest simulated one (Brokerages/Backtesting/BacktestingBrokerage.cs).

Everything that can go wrong at a broker wraps `BrokerPort`; of these faults only the death of our own process exists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from engine.clock import EngineClock
from engine.enums import OrderStatus, OrderType
from engine.errors import SimulatedDeath
from engine.models import expiry, fills, margin
from engine.models.brokerage import ORDER_EXPIRED, is_order_expired
from engine.models.strategy_margin import MarginModelError
from engine.option_security import Option
from engine.orders import CLOSED_STATUSES, Order, OrderEvent, OrderFee, lean_name
from engine.portfolio import Portfolio
from engine.securities import Security
from engine.security_manager import SecurityManager
from engine.symbols import Symbol
from engine.transactions import Hooks, TransactionManager

EventSink = Callable[[Sequence[OrderEvent]], None]
KILLED_EXIT_CODE: Final = 137  # what a shell reports of a process that SIGKILL ended


class BrokerPort(Protocol):
    """What the engine asks of a broker.  Answers come as events through `on_events`, within the call or later."""

    on_events: EventSink

    def submit(self, order: Order) -> bool:
        """Take an order; False when it cannot be taken."""
        ...

    def update(self, order: Order) -> bool:
        """Take an order's new values."""
        ...

    def cancel(self, order: Order) -> bool:
        """Cancel an order, with it all legs of its combo."""
        ...

    def advance(self) -> None:
        """Let time pass: fill, expire and assign what is due at the current moment."""
        ...

    def settle(self, expired: Sequence[Symbol]) -> None:
        """Take expired or delisted securities out of the account."""
        ...


class SimulatedBroker:
    """Fills orders from the day's data with LEAN's models."""

    on_events: EventSink

    def __init__(
        self,
        clock: EngineClock,
        securities: SecurityManager,
        portfolio: Portfolio,
        transactions: TransactionManager,
        hooks: Hooks,
    ) -> None:
        self._clock = clock
        self._securities = securities
        self._portfolio = portfolio
        self._transactions = transactions
        self._hooks = hooks
        self._pending: dict[int, Order] = {}
        self._next_assignment_scan = datetime.min
        self.on_events = transactions.handle_order_events

    def submit(self, order: Order) -> bool:
        if order.status is not OrderStatus.NEW:
            return False
        self._pending[order.id] = order
        _add_broker_id(order)
        self.on_events([OrderEvent(order, self._clock.utc, status=OrderStatus.SUBMITTED)])
        return True

    def update(self, order: Order) -> bool:
        if order.id not in self._pending:
            return False
        self._pending[order.id] = order
        _add_broker_id(order)
        self.on_events([OrderEvent(order, self._clock.utc, status=OrderStatus.UPDATE_SUBMITTED)])
        return True

    def cancel(self, order: Order) -> bool:
        orders = self._transactions.group_of(order, self._pending)
        if orders is None or order.id not in self._pending:
            return False
        for leg in orders:
            self._pending.pop(leg.id, None)
            _add_broker_id(leg)
            self.on_events([OrderEvent(leg, self._clock.utc, status=OrderStatus.CANCELED)])
        return True

    def resume(self, order: Order) -> None:
        """Go on working an order of an earlier process."""
        self._pending[order.id] = order

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def advance(self) -> None:
        if self._clock.utc >= self._next_assignment_scan:
            self._scan_assignments()
        if not self._pending:
            return
        tried: set[int] = set()
        for _, order in sorted(self._pending.items()):
            # Events of an earlier order may have led to cancels, fills and new orders: look at each as it is now.
            if order.status in CLOSED_STATUSES:
                self._pending.pop(order.id, None)
            elif order.utc != self._clock.utc or fills.fills_at_submission(order.type):
                group = order.group_order_manager
                if group is not None:
                    if group.id in tried:
                        continue
                    tried.add(group.id)
                self._try_to_fill(order)

    def _try_to_fill(self, order: Order) -> None:
        orders = self._transactions.group_of(order, self._pending)
        if orders is None:
            return
        legs = [(leg, self._securities[leg.symbol]) for leg in orders]
        if not self._may_fill(legs):
            return
        try:
            check = margin.has_sufficient_buying_power(self._portfolio.view, orders)
        except MarginModelError as error:
            self._remove(orders, OrderStatus.INVALID, str(error))
            ids = ",".join(str(leg.id) for leg in orders)
            self._hooks.error(f"Order Error: ids: [{ids}], Error executing margin models: {error}")
            return
        if not check.is_sufficient:
            if order.status is OrderStatus.CANCEL_PENDING:
                return  # the cancel is in the queue
            text = margin.insufficient_text(self._portfolio.view, orders, check)
            self._remove(orders, OrderStatus.INVALID, text)
            self._hooks.error(text)
            return
        events = self._fills(order, legs)
        if events:
            self._emit(orders, events)

    def _may_fill(self, legs: Sequence[tuple[Order, Security]]) -> bool:
        for order, security in legs:
            if order.type is OrderType.MARKET_ON_OPEN:
                # Not before a bar that ended after the order; LEAN skips the time in force with it.
                last = security.last_data_end
                if last is None or order.utc >= last:
                    return False
            if is_order_expired(security, order, self._clock.utc):
                self._remove([leg for leg, _ in legs], OrderStatus.CANCELED, ORDER_EXPIRED)
                return False
        return True

    def _fills(self, order: Order, legs: Sequence[tuple[Order, Security]]) -> list[OrderEvent]:
        securities = {leg.id: security for leg, security in legs}
        security = securities[order.id]
        now = self._clock.utc
        try:
            if order.type is OrderType.OPTION_EXERCISE:
                events = expiry.exercise(security, order, now)
            else:
                events = fills.fill(order, security, now, legs)
        except fills.FillError as error:
            self._hooks.error(
                f"Order Error: id: {order.id}, Transaction model failed to fill for order type: "
                f"{lean_name(order.type)} with error: {error}"
            )
            return []
        by_id = {leg.id: leg for leg, _ in legs}
        for event in events:
            if event.status is OrderStatus.FILLED and event.order_fee.value.amount == 0:
                leg_security = securities[event.order_id]
                fee = leg_security.fee_model.get_order_fee(leg_security, by_id[event.order_id])
                event.order_fee = OrderFee.usd(float(fee))
        return events

    def _emit(self, orders: Sequence[Order], events: Sequence[OrderEvent]) -> None:
        batch: list[OrderEvent] = []
        assigned: list[tuple[Order, OrderEvent]] = []
        for order in orders:
            for event in events:
                if event.order_id != order.id:
                    continue
                if order.status is not event.status or event.fill_quantity != 0:
                    # Closed before anybody hears of it, so that orders sent from an event handler do not fill it twice.
                    order.status = event.status
                    batch.append(event)
                if event.is_assignment:
                    assigned.append((order, event))
        if all(event.status in CLOSED_STATUSES for event in events):
            for order in orders:
                self._pending.pop(order.id, None)
        self.on_events(batch)
        for order, event in assigned:
            event.message = order.tag or ""
            self._transactions.position_assigned(event)

    def _remove(self, orders: Sequence[Order], status: OrderStatus, message: str) -> None:
        now = self._clock.utc
        for order in orders:
            self._pending.pop(order.id, None)
        self.on_events([OrderEvent(order, now, message=message, status=status) for order in orders])

    def _scan_assignments(self) -> None:
        self._next_assignment_scan = expiry.next_assignment_scan(self._clock.utc)
        for security in expiry.short_options(self._portfolio.visible_holdings()):
            assert isinstance(security, Option)
            assignment = security.option_assignment_model.get_assignment(security, self._clock.utc)
            if assignment is not None and assignment.quantity != 0:
                self._transactions.option_assigned(security, assignment.tag)

    def settle(self, expired: Sequence[Symbol]) -> None:
        for symbol in sorted(expired, key=lambda symbol: not symbol.security_type.is_option):
            security = self._securities[symbol]
            if isinstance(security, Option):
                self._transactions.option_expires(security)
            else:
                self._transactions.security_delisted(security)
            if not self._hooks.is_warming_up:
                self._transactions.cancel_open_orders(symbol)


class DeathAtEvent:
    """Ends the process at the n-th broker event: after it is booked, before the algorithm hears of it.

    The broker's memory (paper account) has the event, ours has not.  With `raises` the death is a SimulatedDeath that
    tears down the host; otherwise the process really ends, without any clean-up.
    """

    def __init__(self, at_event: int, *, raises: bool = True) -> None:
        self._number = at_event
        self._left = at_event
        self._raises = raises

    def __call__(self, event: OrderEvent) -> None:
        self._left -= 1
        if self._left == 0:
            if self._raises:
                raise SimulatedDeath(self._number)
            os._exit(KILLED_EXIT_CODE)


def _add_broker_id(order: Order) -> None:
    number = str(order.id)
    if number not in order.broker_id:
        order.broker_id.append(number)
