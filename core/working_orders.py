"""Orders at work: one parent is one intent, a child is one order of it.

A child's state follows from what its legs report, in whatever sequence the reports arrive (FILLED may come before
SUBMITTED); it is judged when all legs are terminal, or when it stays filled in part of its legs.  UNRESOLVED is not an
end: the broker's answer is unknown, the reservation stays, and nothing is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from core.ports import OrderRequest
from core.vocabulary import BrokerEvent, Intent, Ladder, OrderLeg, OrderOutcome, OrderStatus, Purpose, Structure


class OrderState(StrEnum):
    SENT = "SENT"
    WORKING = "WORKING"
    PART = "PART"
    CANCEL_PENDING = "CANCEL_PENDING"
    UNRESOLVED = "UNRESOLVED"
    DONE = "DONE"


@dataclass(slots=True)
class Child:
    """One order. filled is signed contracts per symbol, worth_u6 their sum of quantity x price; outcome is set once,
    when the order has ended.

    lacking_since: since when a leg is called filled whose fills have not all come; is_broken: judged as filled in part
    of its legs only, so that its cancel was asked for and what it has left uncovered is repaired; was_asked: the broker
    was asked what it filled before it was rejected; told: the reports of its fills.
    """

    request: OrderRequest
    sent_at: datetime
    deadline: datetime
    status: dict[str, OrderStatus] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)
    worth_u6: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    fees_u6: int = 0
    first_fill_at: datetime | None = None
    lacking_since: datetime | None = None
    is_broken: bool = False
    was_asked: bool = False
    cancel_at: datetime | None = None
    unresolved_at: datetime | None = None
    outcome: OrderOutcome | None = None
    text: str = ""
    reported: set[OrderStatus] = field(default_factory=set)
    told: set[BrokerEvent] = field(default_factory=set)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = self.request.order

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
        for leg in self.request.legs:
            if leg.instrument.symbol == symbol:
                return leg.qty
        return 0

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
        return None if self.outcome is None else "AFTER_END"

    def absorb(self, event: BrokerEvent) -> None:
        """Take one fitting event in. A final status of a leg is never undone by a later SUBMITTED."""
        if event.qty:
            self.told.add(event)
            self.filled[event.symbol] = self.filled.get(event.symbol, 0) + event.qty
            self.worth_u6[event.symbol] = self.worth_u6.get(event.symbol, 0) + event.qty * event.price_u6
            self.first_fill_at = self.first_fill_at or event.exec_time
        known = self.status.get(event.symbol)
        if known is None or not known.is_final:
            self.status[event.symbol] = event.status
        if event.text:
            self.text = event.text

    def price_of_rest(self, symbol: str, filled: int, average_u6: int) -> int:
        """Return the price of the fills that have not come, from the average price that the broker states."""
        known = self.filled.get(symbol, 0)
        if known and symbol not in self.worth_u6:
            return average_u6  # fills of an earlier process
        return max(0, round((average_u6 * filled - self.worth_u6.get(symbol, 0)) / (filled - known)))

    def verdict(self) -> OrderOutcome | None:
        """Return how the order ended by what its legs say, None while a leg is open. One INVALID leg rejects the
        group.
        """
        if self.lacks_fills:
            return None
        if OrderStatus.INVALID in self.status.values():
            return OrderOutcome.REJECTED
        is_full = True
        for leg in self.request.legs:
            status = self.status.get(leg.instrument.symbol)
            if status is None or not status.is_final:
                return None
            is_full = is_full and self.filled.get(leg.instrument.symbol, 0) == leg.qty
        if is_full:
            return OrderOutcome.FILLED
        return OrderOutcome.CANCELLED if self.cancel_at is not None else OrderOutcome.EXPIRED

    @property
    def lacks_fills(self) -> bool:
        """Whether a leg is called filled of which not every fill has come: how much it filled is not known yet."""
        for leg in self.request.legs:
            symbol = leg.instrument.symbol
            if self.status.get(symbol) is OrderStatus.FILLED and self.filled.get(symbol, 0) != leg.qty:
                return True
        return False

    def stands_for(self, request: OrderRequest) -> bool:
        """Whether this order, or what is left of it, is that request already."""
        if request.net_cash != self.request.net_cash:
            return False
        left = tuple(OrderLeg(leg.instrument, leg.qty - self.filled.get(leg.symbol, 0)) for leg in self.request.legs)
        return request.legs in (self.request.legs, left)

    @property
    def is_balanced(self) -> bool:
        """Whether what is filled is a whole number of units in every leg."""
        if not self.filled:
            return True
        units, per_unit = self.filled_units(), self.request.units
        for leg in self.request.legs:
            if self.filled.get(leg.instrument.symbol, 0) != leg.qty // per_unit * units:
                return False
        return True

    def filled_units(self) -> int:
        """Return balanced units: min over legs of floor(filled / ratio)."""
        if not self.filled:
            return 0
        per_unit = self.request.units
        return min([self.filled.get(leg.instrument.symbol, 0) // (leg.qty // per_unit) for leg in self.request.legs])


class ParentEnd(StrEnum):
    FILLED = "FILLED"
    NO_FILL = "NO_FILL"
    REJECTED = "REJECTED"
    DENIED = "DENIED"
    STOPPED = "STOPPED"
    CHILDREN_USED = "CHILDREN_USED"


class Style(StrEnum):
    """How a parent is worked: along its ladder; by one limit that never moves; by market orders, or by one at the
    closing auction (shares only).
    """

    LADDER = "LADDER"
    FIXED = "FIXED"
    MARKET = "MARKET"
    ON_CLOSE = "ON_CLOSE"


_SLOW_AFTER = 4
"""From this child on a parent of market orders takes every second step."""


@dataclass(slots=True)
class Parent:
    """One intent at work: a structure, its approved units, the ladder and where on it we are.

    stopping: it ends as soon as its child has; leg_wise: a flattening that goes leg by leg; replacing: the next child
    waits for the confirmation of a cancel; was_rejected: nothing more is sent before holdings were compared.
    """

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
    end: ParentEnd | None = None
    refused: bool = False
    stopping: bool = False
    ending: bool = False
    replacing: bool = False
    leg_wise: bool = False
    was_rejected: bool = False
    style: Style = Style.LADDER
    trade: str = field(init=False)
    strategy: str = field(init=False)
    is_opening: bool = field(init=False)
    is_repair: bool = field(init=False)

    def __post_init__(self) -> None:
        self.trade, self.strategy = self.intent.trade, self.intent.strategy
        self.is_opening = self.purpose.adds_risk
        self.is_repair = self.purpose is Purpose.REPAIR

    @property
    def can_split(self) -> bool:
        """Whether it may go leg by leg: in an emergency only."""
        return self.purpose is Purpose.FLATTEN and len(self.structure.legs) > 1

    @property
    def ends_by_itself(self) -> bool:
        """Whether its ladder has an end; urgent closings work until they are done or the session closes."""
        return self.is_opening or self.ladder is Ladder.TARGET

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
        slow = self.style is Style.MARKET and self.children >= _SLOW_AFTER
        step = timedelta(seconds=step_s * (2 if slow else 1))
        following = self.next_step_at + step
        self.next_step_at = following if following > now else now + step


class WorkingOrders:
    """All parents that have not ended.  A trade has at most one opening and one closing, and one repair per symbol."""

    def __init__(self) -> None:
        self._by_intent: dict[str, Parent] = {}
        self.parents: tuple[Parent, ...] = ()
        """The parents of this moment; what ends or begins meanwhile makes another tuple."""
        self.symbols: tuple[str, ...] = ()
        """The symbols of their structures, which never change."""

    def add(self, parent: Parent) -> None:
        self._by_intent[parent.intent_id] = parent
        self._look()

    def drop(self, parent: Parent) -> None:
        self._by_intent.pop(parent.intent_id, None)
        self._look()

    def _look(self) -> None:
        self.parents = tuple(self._by_intent.values())
        self.symbols = tuple(symbol for parent in self.parents for symbol in parent.structure.symbols)

    def __iter__(self) -> Iterator[Parent]:
        return iter(self.parents)

    @property
    def children(self) -> tuple[Child, ...]:
        if not self.parents:
            return ()  # as in nearly every step
        return tuple([child for parent in self.parents if (child := parent.working) is not None])

    def of(self, trade: str) -> tuple[Parent, ...]:
        return tuple([parent for parent in self.parents if parent.trade == trade])

    def closing(self, trade: str) -> Parent | None:
        for parent in self.parents:
            if parent.trade == trade and not parent.is_opening and not parent.is_repair:
                return parent
        return None

    def repairs(self, trade: str) -> tuple[Parent, ...]:
        return tuple([parent for parent in self.of(trade) if parent.is_repair])

    def opening_of(self, strategy: str) -> Parent | None:
        for parent in self.parents:
            if parent.is_opening and parent.strategy == strategy:
                return parent
        return None
