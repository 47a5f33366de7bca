"""What the end of an order, or the doubt about it, means to its parent and to its trade."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from core.books import Books
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.order_sender import OrderSender
from core.trade_machine import TradeState, Trigger
from core.vocabulary import Ladder, OrderOutcome, Purpose
from core.working_orders import Child, Parent, ParentEnd, WorkingOrders

Drive = Callable[[str, Trigger, datetime], TradeState]

FLATTEN_COMBO_FAILURES: Final = 2
"""After so many combos without a fill the flattening goes leg by leg, shorts first."""

_OPENING_ENDS: Final = {
    ParentEnd.FILLED: Trigger.FILLED,
    ParentEnd.REJECTED: Trigger.REJECTED,
    ParentEnd.DENIED: Trigger.DENIED,
}


class OrderEnds:
    """Ends children and parents, and drives their trades."""

    def __init__(self, ledger: Ledger, books: Books, orders: WorkingOrders, sender: OrderSender, drive: Drive) -> None:
        self._ledger = ledger
        self._books = books
        self._orders = orders
        self._sender = sender
        self._drive = drive

    def doubt(self, parent: Parent, child: Child, now: datetime) -> None:
        """The outcome of an order is unknown: its reservation stays, nothing is repeated, strategy and symbols lock."""
        if child.outcome is not None or child.unresolved_at is not None:
            return
        child.unresolved_at = now
        self._sender.record_outcome(parent, child, OrderOutcome.UNRESOLVED, now)
        self._drive(parent.trade, Trigger.UNRESOLVED, now)

    def tear(self, parent: Parent, child: Child, now: datetime) -> None:
        """A group is filled in part of its legs, and is repaired as it stands; what lacks most is named."""
        child.is_broken = True
        behind = max(child.request.legs, key=lambda leg: abs(leg.qty) - abs(child.filled.get(leg.symbol, 0)))
        self._record_repair(parent, "TORN", behind.symbol, child.first_fill_at or now, now)

    def end(self, parent: Parent, child: Child, outcome: OrderOutcome, now: datetime) -> None:
        """Give an order its one outcome, and end its parent where the plan is done, over, or fits no more."""
        was_in_doubt = child.unresolved_at is not None
        child.outcome, child.unresolved_at = outcome, None
        self._sender.record_outcome(parent, child, outcome, now)
        if was_in_doubt:
            self._clear(parent, now)
        over = self._leg_over(parent) if parent.leg_wise else self._over(parent, child, outcome)
        if over is None and (parent.stopping or was_in_doubt):
            over = ParentEnd.STOPPED  # after a doubt nothing is taken for granted: who wants more begins anew
        if over is None and parent.ending:
            over = ParentEnd.NO_FILL
        if over is not None:
            self.finish(parent, over, now)
        elif outcome is OrderOutcome.REJECTED:
            parent.was_rejected = True

    def _clear(self, parent: Parent, now: datetime) -> None:
        """The doubt is over; a trade that a break holds frozen stays so."""
        trade = self._books.trade(parent.trade)
        if trade.state is TradeState.FROZEN and self._books.breaks.keys().isdisjoint(trade.legs):
            self._drive(parent.trade, Trigger.CLEARED, now)

    def _over(self, parent: Parent, child: Child, outcome: OrderOutcome) -> ParentEnd | None:
        units = child.filled_units()
        parent.done_units += units
        parent.failures += not units
        parent.leg_wise = parent.can_split and parent.failures >= FLATTEN_COMBO_FAILURES
        rejected = outcome is OrderOutcome.REJECTED
        if not child.is_balanced:
            # What is held is no longer a whole number of units: the parent's plan does not fit any more.
            return ParentEnd.REJECTED if rejected else ParentEnd.STOPPED
        if parent.remaining <= 0:
            return ParentEnd.FILLED
        return ParentEnd.REJECTED if rejected and parent.is_opening else None

    def _leg_over(self, parent: Parent) -> ParentEnd | None:
        held = self._books.trade(parent.trade).legs
        return ParentEnd.FILLED if held.keys().isdisjoint(parent.structure.symbols) else None

    def finish(self, parent: Parent, end: ParentEnd, now: datetime) -> None:
        """End a parent and tell the trade what that means; the trade machine looks at the balanced units itself."""
        parent.end = end
        self._orders.drop(parent)
        trade = self._books.trade(parent.trade)
        if parent.is_repair:
            self._record_repair(parent, end.value, parent.structure.symbols[0], parent.started, now)
        if trade.state.is_end:
            return
        if parent.is_opening:
            # An addition that came to nothing leaves the trade as it was.
            known = parent.purpose is Purpose.OPEN or end is ParentEnd.FILLED
            self._drive(parent.trade, _OPENING_ENDS.get(end, Trigger.CANCELLED) if known else Trigger.CANCELLED, now)
        elif trade.is_flat:
            if not self._books.working_orders(parent.trade):  # one that still works may fill yet
                self._drive(parent.trade, Trigger.FLAT, now)
        elif parent.is_repair:
            if end is ParentEnd.FILLED:
                self._drive(parent.trade, Trigger.BALANCED, now)
        elif trade.uncovered_since is not None:
            self._drive(parent.trade, Trigger.LEG, now)
        elif end is ParentEnd.NO_FILL and parent.ladder is Ladder.TARGET and not parent.done_units:
            self._drive(parent.trade, Trigger.CANCELLED, now)

    def _record_repair(self, parent: Parent, stage: str, symbol: str, since: datetime, now: datetime) -> None:
        uncovered_s = max(0, round((now - since).total_seconds()))
        self._ledger.append(
            Kind.REPAIR,
            parent.strategy,
            now,
            trade=parent.trade,
            stage=stage,
            symbol=symbol,
            uncovered_s=uncovered_s,
        )
