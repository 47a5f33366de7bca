"""Orders and tickets of a run, as `self.transactions` shows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from engine.clock import EngineClock
from engine.orders import Order
from engine.symbols import Symbol
from engine.tickets import OrderTicket

_PLACES: Final = 37  # of a .NET ConcurrentDictionary that nobody has given a size
TicketFilter = Callable[[OrderTicket], bool]
OrderFilter = Callable[[Order], bool]


class OrderBook:
    """All orders by id; open ones apart.  Orders are handed out as copies."""

    def __init__(self, clock: EngineClock) -> None:
        self._clock = clock
        self._orders: dict[int, Order] = {}
        self._tickets: dict[int, OrderTicket] = {}
        self._open: dict[int, Order] = {}
        self._order_id = 0
        self.transaction_record: dict[datetime, float] = {}

    @property
    def utc_time(self) -> datetime:
        return self._clock.utc

    @property
    def orders_count(self) -> int:
        return len(self._tickets)

    @property
    def last_order_id(self) -> int:
        return self._order_id

    def get_order_by_id(self, order_id: int) -> Order | None:
        """Return a copy of an order; readable inside its own events."""
        found = self._orders.get(order_id)
        return None if found is None else found.clone()

    def get_orders(self, order_filter: OrderFilter | None = None) -> list[Order]:
        return [order.clone() for order in self._orders.values() if order_filter is None or order_filter(order)]

    def get_open_orders(self, condition: OrderFilter | Symbol | None = None) -> list[Order]:
        accepts = _order_condition(condition)
        return [order.clone() for order in map(self._open.__getitem__, self._open_in_order()) if accepts(order)]

    def get_order_ticket(self, order_id: int) -> OrderTicket | None:
        return self._tickets.get(order_id)

    def get_order_tickets(self, condition: TicketFilter | None = None) -> list[OrderTicket]:
        return [ticket for ticket in list(self._tickets.values()) if condition is None or condition(ticket)]

    def get_open_order_tickets(self, condition: TicketFilter | Symbol | None = None) -> list[OrderTicket]:
        accepts = _ticket_condition(condition)
        return [ticket for ticket in map(self._tickets.__getitem__, self._open_in_order()) if accepts(ticket)]

    def _open_in_order(self) -> list[int]:
        """Return the numbers of the open orders in LEAN's order: by place in a hash table, the newest of a place first.

        With more than nine open orders LEAN's table may grow, when depends on the machine's cores; this one never does.
        """
        return sorted(self._open, key=lambda number: (number % _PLACES, -number))

    def get_open_orders_remaining_quantity(self, condition: TicketFilter | Symbol | None = None) -> float:
        return sum(ticket.quantity_remaining for ticket in self.get_open_order_tickets(condition))

    def get_orders_by_brokerage_id(self, brokerage_id: str) -> list[Order]:
        return [order.clone() for order in self._orders.values() if str(brokerage_id) in order.broker_id]

    @property
    def win_count(self) -> int:
        return sum(1 for profit in self.transaction_record.values() if profit > 0)

    @property
    def loss_count(self) -> int:
        return sum(1 for profit in self.transaction_record.values() if profit <= 0)

    def add_transaction_record(self, time: datetime, profit: float) -> None:
        while time in self.transaction_record:
            time += timedelta(milliseconds=1)
        self.transaction_record[time] = profit


def _order_condition(condition: OrderFilter | Symbol | None) -> OrderFilter:
    if condition is None:
        return lambda order: True
    if isinstance(condition, Symbol):
        return lambda order: order.symbol is condition
    return condition


def _ticket_condition(condition: TicketFilter | Symbol | None) -> TicketFilter:
    if condition is None:
        return lambda ticket: True
    if isinstance(condition, Symbol):
        return lambda ticket: ticket.symbol is condition
    return condition
