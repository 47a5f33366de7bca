"""Reports of the broker: queued from any thread, folded in one place, by order id, in whatever sequence they come.

A report that cannot belong to its order (foreign symbol, wrong side, overfill, fill after the end) or to any of ours is
set aside as EVENT_QUARANTINED; books never change by it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from core.books import Books
from core.ledger import Ledger
from core.ledger_kinds import FillSource, Kind
from core.missing_fills import MissingFill
from core.ports import BrokerOrder
from core.values import value
from core.vocabulary import BrokerEvent, OrderOutcome, OrderStatus, to_u6
from core.working_orders import Child, Parent


@value
class Touched:
    """A child that reports concerned in one folding; misfit when one of them was set aside."""

    parent: Parent
    child: Child
    misfit: bool


class ReportDesk:
    """Queue and registry of all orders of this process."""

    def __init__(self, ledger: Ledger, books: Books, find: Callable[[str], BrokerOrder | None]) -> None:
        """find: what the broker itself knows of an order."""
        self._ledger = ledger
        self._books = books
        self._find_order = find
        self.waiting: deque[tuple[BrokerEvent, FillSource]] = deque()
        """Reports that wait to be folded."""
        self._owners: dict[str, tuple[Parent, Child]] = {}

    def post(self, event: BrokerEvent) -> None:
        """Append a report; the only thing that a broker's thread may do."""
        self.waiting.append((event, FillSource.EVENT))

    def extend(self, events: Iterable[BrokerEvent]) -> None:
        for event in events:
            self.post(event)

    def register(self, parent: Parent, child: Child) -> None:
        self._owners[child.id] = (parent, child)

    def owner(self, order: str) -> tuple[Parent, Child] | None:
        return self._owners.get(order)

    def fold(self, now: datetime) -> tuple[Touched, ...]:
        """Write every queued report down; returns the children concerned, in the order of their first report."""
        touched: dict[str, Touched] = {}
        while self.waiting:
            event, source = self.waiting.popleft()
            owner = self._owners.get(event.order)
            if owner is None:
                self._set_aside(event, "UNKNOWN_ORDER", "", now)
                continue
            parent, child = owner
            if source is FillSource.EVENT and self._was_said_already(child, event):
                self._set_aside(event, "DUPLICATE", parent.strategy, now)
                continue
            cause = self._misfit(child, parent, event)
            if cause is None:
                self._take(parent, child, event, source, now)
            else:
                self._set_aside(event, cause, parent.strategy, now)
            known = touched.get(child.id)
            touched[child.id] = Touched(parent, child, cause is not None or (known is not None and known.misfit))
        return tuple(touched.values())

    def _was_said_already(self, child: Child, event: BrokerEvent) -> bool:
        """Whether a fill is a repeated report.  Two fills of the same shares, price and minute look alike, so that the
        broker is asked: what it has not filled itself was not filled.
        """
        if not event.qty or event not in child.told:
            return False
        known = self._find_order(child.id)
        booked = child.filled.get(event.symbol, 0) + event.qty
        return known is not None and abs(booked) > abs(known.filled.get(event.symbol, 0))

    def _misfit(self, child: Child, parent: Parent, event: BrokerEvent) -> str | None:
        """Return why a report is set aside. A trade that has ended takes no fill any more, nobody would look after it;
        while it lives, a fill of an order that was LOST is news.
        """
        cause = child.misfit(event)
        if event.qty and self._books.trade(parent.trade).state.is_end:
            return cause or "AFTER_END"
        return None if cause == "AFTER_END" and child.outcome is OrderOutcome.LOST else cause

    def _take(self, parent: Parent, child: Child, event: BrokerEvent, source: FillSource, now: datetime) -> None:
        if event.qty:
            self._write_fill(parent, child, event, source, now)
        elif event.status not in child.reported:
            child.reported.add(event.status)
            self._ledger.append(
                Kind.ORDER_EVENT, parent.strategy, now, order=child.id, status=event.status, text=event.text
            )
        child.absorb(event)

    def _write_fill(self, parent: Parent, child: Child, event: BrokerEvent, source: FillSource, now: datetime) -> None:
        child.fills += 1
        child.fees_u6 += event.fee_u6
        multiplier = child.request.legs[0].instrument.multiplier  # the same for every leg of a structure
        self._ledger.append(
            Kind.FILL,
            parent.strategy,
            now,
            fill=f"{child.id}#{child.fills}",
            order=child.id,
            trade=parent.trade,
            symbol=event.symbol,
            qty=event.qty,
            price_u6=event.price_u6,
            mult=multiplier,
            fee_u6=event.fee_u6,
            exec_time=event.exec_time,
            cash_after_u6=self._books.cash_u6 - event.qty * event.price_u6 * multiplier - event.fee_u6,
            pos_after=self._books.position(event.symbol) + event.qty,
            source=source,
        )

    def _set_aside(self, event: BrokerEvent, cause: str, strategy: str, now: datetime) -> None:
        self._ledger.append(
            Kind.EVENT_QUARANTINED, strategy, now, order=event.order, cause=cause, symbol=event.symbol, qty=event.qty
        )

    def recover_unknown(self, child: Child, fills: Sequence[MissingFill], now: datetime) -> None:
        """Queue what an order must have filled that the broker does not know any more; what is left of it is dead."""
        filled = Counter(child.filled)
        for fill in fills:
            filled[fill.symbol] += fill.qty
            self._find(
                BrokerEvent(child.id, fill.symbol, OrderStatus.PARTIAL, fill.qty, fill.price_u6, fill.fee_u6, now)
            )
        for leg in child.request.legs:
            status = OrderStatus.FILLED if filled[leg.symbol] == leg.qty else OrderStatus.CANCELLED
            self._find(BrokerEvent(child.id, leg.symbol, status, 0, 0, 0, now))

    def _find(self, event: BrokerEvent) -> None:
        """Queue a report that nobody sent."""
        self.waiting.append((event, FillSource.RECOVERED))

    def recover(self, known: BrokerOrder, child: Child, now: datetime) -> None:
        """Queue what the broker knows of an order and we do not: missing fills, with the fees that are left, and its
        end.  What we know and the broker does not is a difference that reconciliation sees.
        """
        fee = max(0, to_u6(known.fees_usd) - child.fees_u6)
        for leg in child.request.legs:
            symbol, filled = leg.symbol, known.filled.get(leg.symbol, 0)
            missing = filled - child.filled.get(symbol, 0)
            if missing * leg.qty > 0:
                price = child.price_of_rest(symbol, filled, to_u6(known.average_price.get(symbol, 0.0)))
                self._find(BrokerEvent(child.id, symbol, known.status, missing, price, fee, now))
                fee = 0
            elif known.status.is_final or known.status is OrderStatus.SUBMITTED:
                self._find(BrokerEvent(child.id, symbol, known.status, 0, 0, 0, now))
