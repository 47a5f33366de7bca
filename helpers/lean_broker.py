"""The broker side of the LEAN edge: the only file that calls an order method.

Signs.  The core speaks in net cash per unit.  Net cash received is a sale: the legs are written as the inverse of
what we trade, with quantity -n and limit +credit.  Net cash paid is a purchase: legs as we trade them, +n, limit
+debit.  So the limit is always above 0; LEAN accepts a wrong sign in silence and fills it at once, and brokers differ
on negative limits.
"""

from __future__ import annotations

from AlgorithmImports import *

from collections.abc import Iterable, Mapping
from datetime import date, datetime

# LEAN has an OrderRequest, an Account, an OrderType and a TimeInForce of its own.
from core.ports import Account as BrokerAccount, BrokerOrder, OrderRequest as PlanOrder
from core.ports import OrderType as PlanType, TimeInForce as PlanTif
from core.vocabulary import BrokerEvent, OrderStatus as Status, SettlementEvent, to_u6
from helpers.lean_market import LeanMarket

_STATUS: dict[int, Status] = {
    int(OrderStatus.NEW): Status.SUBMITTED,
    int(OrderStatus.SUBMITTED): Status.SUBMITTED,
    int(OrderStatus.PARTIALLY_FILLED): Status.PARTIAL,
    int(OrderStatus.FILLED): Status.FILLED,
    int(OrderStatus.CANCELED): Status.CANCELLED,
    int(OrderStatus.NONE): Status.SUBMITTED,
    int(OrderStatus.INVALID): Status.INVALID,
    int(OrderStatus.CANCEL_PENDING): Status.CANCEL_PENDING,
    int(OrderStatus.UPDATE_SUBMITTED): Status.UPDATED,
}


class LeanBroker:
    """`core.ports.Broker` over the algorithm's order methods, portfolio and transactions."""

    def __init__(self, algorithm: QCAlgorithm, market: LeanMarket, *, margin_repeats: bool) -> None:
        """margin_repeats: whether the engine's margin may be read (live and paper; in a backtest it differs between
        identical runs).
        """
        self._algorithm = algorithm
        # LEAN keeps these three for the life of the algorithm; asking for them each time costs as much as the answer.
        self._portfolio = algorithm.portfolio
        self._securities = algorithm.securities
        self._transactions = algorithm.transactions
        self._market = market
        self._margin_repeats = margin_repeats
        self._tickets: dict[str, list[OrderTicket]] = {}
        self._is_live = bool(algorithm.live_mode)
        self._properties = {tif: _properties(tif) for tif in PlanTif}  # LEAN copies them for each order
        self._orders: dict[int, tuple[str, bool, bool]] = {}
        """Our name of an order by LEAN's number, whether it is a settlement, and whether one of a group."""
        # In a backtest holdings change with an order event, those of its symbol, or over night only; orders at work
        # also by a call of ours: what LEAN has said holds until then. Live the broker may change them at any time, and
        # nothing is kept.
        self._kept_on = date.min
        self._walked: dict[str, int] | None = None
        self._quantities: dict[str, int] = {}
        self._working: list[BrokerOrder] | None = None

    # --------------------------------------------------------------------------------------------------------- orders

    def send(self, request: PlanOrder) -> list[BrokerEvent]:
        """Send one order; returns the refusals that LEAN states only in the ticket, all else arrives as an event."""
        algorithm, tag = self._algorithm, request.order
        self._working = None
        properties = self._properties[request.tif]
        if request.type is PlanType.COMBO_LIMIT:
            assert request.net_cash is not None
            sale = request.net_cash > 0
            ratio_sign = -1 if sale else 1
            legs = [Leg.create(self._lean(leg.symbol), ratio_sign * leg.qty // request.units) for leg in request.legs]
            units = -request.units if sale else request.units
            tickets = list(
                algorithm.combo_limit_order(legs, units, abs(request.net_cash), tag=tag, order_properties=properties)
            )
        else:
            leg = request.legs[0]
            symbol = self._lean(leg.symbol)
            if request.type is PlanType.LIMIT:
                assert request.net_cash is not None
                price = abs(request.net_cash)
                tickets = [algorithm.limit_order(symbol, leg.qty, price, tag=tag, order_properties=properties)]
            elif request.type is PlanType.MARKET:
                tickets = [algorithm.market_order(symbol, leg.qty, tag=tag, order_properties=properties)]
            else:
                tickets = [algorithm.market_on_close_order(symbol, leg.qty, tag=tag, order_properties=properties)]
        self._tickets[tag] = tickets
        return self._refusals(request, tickets)

    def _refusals(self, request: PlanOrder, tickets: list[OrderTicket]) -> list[BrokerEvent]:
        """LEAN answers a failed pre-check by invalid tickets without an event; the text stands on the last one."""
        if not any(ticket.status == OrderStatus.INVALID for ticket in tickets):
            return []
        text = str(tickets[-1].submit_request.response.error_message or "")
        now = self._algorithm.time
        return [BrokerEvent(request.order, leg.symbol, Status.INVALID, 0, 0, 0, now, text) for leg in request.legs]

    def _lean(self, text: str) -> Symbol:
        symbol = self._market.symbol(text)
        assert symbol is not None, f"{text}: no symbol of this run has this text"
        return symbol

    def cancel(self, order: str) -> None:
        """Cancel an order by one leg of it, which cancels the whole group.

        LEAN takes one cancel per ticket: where the first was lost on its way, the next leg carries the next one.
        """
        self._working = None
        for ticket in self._known_tickets(order):
            open_still = ticket.status not in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.INVALID)
            if open_still and ticket.cancel().is_success:
                return

    def _known_tickets(self, order: str) -> list[OrderTicket]:
        known = self._tickets.get(order)
        if known is None:  # an order of a process that died
            known = [ticket for ticket in self._transactions.get_order_tickets() if ticket.tag == order]
            self._tickets[order] = known
        return known

    # ------------------------------------------------------------------------------------------------------ positions

    def begin_step(self, day: date) -> None:
        """Let a step of that day begin: what was kept of the day before is forgotten."""
        if day != self._kept_on:
            self._kept_on = day
            self._forget()

    def _forget(self) -> None:
        self._walked = self._working = None
        self._quantities.clear()

    def _moved(self, text: str, symbol: Symbol) -> None:
        """Note what LEAN holds of a symbol that an event has just moved: LEAN books before it tells."""
        held = int(self._portfolio[symbol].quantity)
        self._quantities[text] = held
        if self._walked is not None:
            others = {known: quantity for known, quantity in self._walked.items() if known != text}
            self._walked = dict(sorted({**others, text: held}.items())) if held else others

    def position(self, symbol: str) -> int:
        if self._is_live:
            return self._quantity(symbol)
        known = self._quantities.get(symbol)
        if known is None:
            known = self._quantities[symbol] = self._quantity(symbol)
        return known

    def _quantity(self, symbol: str) -> int:
        lean = self._market.symbol(symbol)
        if lean is None or lean not in self._securities:
            return 0
        return int(self._portfolio[lean].quantity)

    def positions(self) -> Mapping[str, int]:
        walked = None if self._is_live else self._walked
        if walked is None:  # a walk over a day's contracts costs more than the rest of a quiet step
            walked = self._walked = self._walk()
        return walked

    def _walk(self) -> dict[str, int]:
        found: dict[str, int] = {}
        portfolio = self._portfolio
        if not portfolio.invested:
            return found
        for holding in portfolio.values():
            if holding.invested:
                found[self._market.instrument(holding.symbol).symbol] = int(holding.quantity)
        return dict(sorted(found.items()))

    def mark_price(self, symbol: str) -> float:
        return float(self._securities[self._lean(symbol)].price)

    def account(self) -> BrokerAccount:
        portfolio = self._portfolio
        return BrokerAccount(
            to_u6(float(portfolio.cash)),
            to_u6(float(portfolio.unsettled_cash)),
            float(portfolio.total_portfolio_value),
            float(portfolio.total_margin_used) if self._margin_repeats else None,
            float(portfolio.margin_remaining) if self._margin_repeats else None,
        )

    # -------------------------------------------------------------------------------------------------- order queries

    def open_orders(self) -> Iterable[BrokerOrder]:
        working = None if self._is_live else self._working
        if working is None:
            tags = dict.fromkeys(str(order.tag) for order in self._transactions.get_open_orders())
            working = self._working = [order for tag in tags if (order := self.find(tag)) is not None]
        return working

    def find(self, order: str) -> BrokerOrder | None:
        tickets = self._known_tickets(order)
        if not tickets:
            return None
        texts = [self._market.instrument(ticket.symbol).symbol for ticket in tickets]
        statuses = [_STATUS[int(ticket.status)] for ticket in tickets]
        fees = 0.0
        for ticket in tickets:
            fees += sum(float(event.order_fee.value.amount) for event in ticket.order_events)
        return BrokerOrder(
            order,
            _worst(statuses),
            {text: int(ticket.quantity) for text, ticket in zip(texts, tickets, strict=True)},
            {text: int(ticket.quantity_filled) for text, ticket in zip(texts, tickets, strict=True)},
            {text: float(ticket.average_fill_price) for text, ticket in zip(texts, tickets, strict=True)},
            fees,
        )

    # --------------------------------------------------------------------------------------------------------- events

    def translate(self, event: OrderEvent) -> BrokerEvent | SettlementEvent:
        """Turn LEAN's event into ours. Settlement of an expired contract has price 0 and no tag: it is never a fill."""
        self._working = None
        number = int(event.order_id)
        known = self._orders.get(number)
        if known is None:
            order = self._transactions.get_order_by_id(number)
            kind = order.type
            known = (str(order.tag), kind == OrderType.OPTION_EXERCISE, kind == OrderType.COMBO_LIMIT)
            self._orders[number] = known
        tag, is_settlement, is_of_group = known
        symbol = event.symbol
        text = self._market.instrument(symbol).symbol
        # A whole second, as the pulse is stamped that folds it: a report is never younger than its line in the ledger.
        now: datetime = self._algorithm.time.replace(microsecond=0)
        quantity = int(event.fill_quantity)
        if is_of_group:
            self._forget()  # LEAN has booked every leg before it tells of the first
        elif quantity and not self._is_live:
            self._moved(text, symbol)
        if is_settlement:
            return SettlementEvent(text, quantity, None, bool(event.is_assignment), now)
        price = to_u6(float(event.fill_price)) if quantity else 0
        fee = to_u6(float(event.order_fee.value.amount)) if quantity else 0  # without a fill LEAN books no fee
        return BrokerEvent(tag, text, _STATUS[int(event.status)], quantity, price, fee, now, str(event.message or ""))


def _properties(tif: PlanTif) -> OrderProperties:
    properties = OrderProperties()
    properties.time_in_force = TimeInForce.DAY if tif is PlanTif.DAY else TimeInForce.GOOD_TIL_CANCELED
    return properties


def _worst(statuses: list[Status]) -> Status:
    """The status of a group: invalid if one leg is, final only when all legs are."""
    for status in (
        Status.INVALID,
        Status.SUBMITTED,
        Status.UPDATED,
        Status.CANCEL_PENDING,
        Status.PARTIAL,
        Status.CANCELLED,
    ):
        if status in statuses:
            return status
    return Status.FILLED
