"""Orders at work: one parent is one intent, a child is one order of it.

A child's state follows from what its legs report, in whatever sequence the reports arrive (FILLED may come before
SUBMITTED); it is judged only when all legs are terminal.  UNRESOLVED is not an end: the broker's answer is unknown,
the reservation stays, and nothing is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from core.ports import OrderRequest
from core.reasons import Reason
from core.vocabulary import BrokerEvent, Intent, Ladder, OrderOutcome, OrderStatus, Purpose, Structure


class OrderState(StrEnum):
    SENT = "SENT"
    WORKING = "WORKING"
    PART = "PART"
    CANCEL_PENDING = "CANCEL_PENDING"
    UNRESOLVED = "UNRESOLVED"
    DONE = "DONE"


@dataclass(slots=True)
class Child:
    """One order. filled is signed contracts per symbol; outcome is set once, when the order has ended."""

    request: OrderRequest
    sent_at: datetime
    deadline: datetime
    status: dict[str, OrderStatus] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    fees_u6: int = 0
    cancel_at: datetime | None = None
    unresolved_at: datetime | None = None
    outcome: OrderOutcome | None = None
    text: str = ""
    reported: set[OrderStatus] = field(default_factory=set)

    @property
    def id(self) -> str:
        return self.request.order

    @property
    def state(self) -> OrderState:
        if self.outcome is not None:
            return OrderState.DONE
        if self.unresolved_at is not None:
            return OrderState.UNRESOLVED
        if self.cancel_at is not None:
            return OrderState.CANCEL_PENDING
        if self.filled:
            return OrderState.PART
        return OrderState.WORKING if self.status else OrderState.SENT

    @property
    def is_final(self) -> bool:
        return self.outcome is not None

    def ordered(self, symbol: str) -> int:
        return next((leg.qty for leg in self.request.legs if leg.symbol == symbol), 0)

    def misfit(self, event: BrokerEvent) -> str | None:
        """Return why an event cannot belong to this order: foreign symbol, wrong side, overfill, or a fill after the
        end.
        """
        ordered = self.ordered(event.symbol)
        if ordered == 0:
            return "SYMBOL"
        if event.qty == 0:
            return None
        if event.qty * ordered < 0:
            return "SIDE"
        if abs(self.filled.get(event.symbol, 0) + event.qty) > abs(ordered):
            return "OVERFILL"
        if self.outcome in (OrderOutcome.CANCELLED, OrderOutcome.REJECTED, OrderOutcome.EXPIRED):
            return "AFTER_END"
        return None

    def absorb(self, event: BrokerEvent) -> None:
        """Take one fitting event in. A final status of a leg is never undone by a later SUBMITTED."""
        if event.qty:
            self.filled[event.symbol] = self.filled.get(event.symbol, 0) + event.qty
        known = self.status.get(event.symbol)
        if known is None or not known.is_final:
            self.status[event.symbol] = event.status
        if event.text:
            self.text = event.text

    def verdict(self) -> OrderOutcome | None:
        """Return how the order ended by what its legs say, None while a leg is open. One INVALID leg rejects the
        group.
        """
        if any(status is OrderStatus.INVALID for status in self.status.values()):
            return OrderOutcome.REJECTED
        if any(not (status := self.status.get(leg.symbol)) or not status.is_final for leg in self.request.legs):
            return None
        if all(self.filled.get(leg.symbol, 0) == leg.qty for leg in self.request.legs):
            return OrderOutcome.FILLED
        return OrderOutcome.CANCELLED if self.cancel_at is not None else OrderOutcome.EXPIRED

    @property
    def is_balanced(self) -> bool:
        """Whether what is filled is a whole number of units in every leg."""
        units = self.filled_units()
        return all(self.filled.get(leg.symbol, 0) == leg.qty // self.request.units * units for leg in self.request.legs)

    def filled_units(self) -> int:
        """Return balanced units: min over legs of floor(filled / ratio)."""
        per_unit = {leg.symbol: leg.qty // self.request.units for leg in self.request.legs}
        return min(self.filled.get(symbol, 0) // ratio for symbol, ratio in per_unit.items())


class ParentEnd(StrEnum):
    FILLED = "FILLED"
    NO_FILL = "NO_FILL"
    REJECTED = "REJECTED"
    DENIED = "DENIED"
    STOPPED = "STOPPED"
    CHILDREN_USED = "CHILDREN_USED"


@dataclass(slots=True)
class Parent:
    """One intent at work: a structure, its approved units, the ladder and where on it we are."""

    intent_id: str
    intent: Intent
    purpose: Purpose
    structure: Structure
    units: int
    ladder: Ladder
    floor_cash: float | None
    started: datetime
    next_step_at: datetime
    ladder_end: datetime
    step: int = 0
    children: int = 0
    failures: int = 0
    done_units: int = 0
    child: Child | None = None
    stopping: Reason | None = None
    end: ParentEnd | None = None
    refused: bool = False
    replacing: bool = False
    ending: bool = False

    @property
    def trade(self) -> str:
        return self.intent.trade

    @property
    def strategy(self) -> str:
        return self.intent.strategy

    @property
    def is_opening(self) -> bool:
        return self.purpose.adds_risk

    @property
    def remaining(self) -> int:
        return self.units - self.done_units

    @property
    def working(self) -> Child | None:
        return self.child if self.child is not None and not self.child.is_final else None

    @property
    def is_done(self) -> bool:
        return self.end is not None

    def advance(self, step_s: int, now: datetime) -> None:
        """Go one step on. Steps keep the grid on which the ladder began, also when a confirmation took some seconds."""
        self.step += 1
        following = self.next_step_at + timedelta(seconds=step_s)
        self.next_step_at = following if following > now else now + timedelta(seconds=step_s)
