"""Rules and managers: the shape of everything that can refuse, scale, or demand an exit.

A `Rule` is a value without state, clock or I/O; rules combine with `&`.  A `Manager` looks at every step, once, after
the marks are made (`watch`), and offers rules and size bounds that read what the watch of this very step found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from core.market import MarketSnapshot, VixReading
from core.reasons import Reason
from core.vocabulary import Disposition, Gate, Intent, Ladder, Scope, TradingState, Verdict

if TYPE_CHECKING:
    from core.books import Books
    from core.ledger_kinds import Kind


class Rule(ABC):
    """Judge an intent: allow (perhaps scaled) or refuse with a reason."""

    @abstractmethod
    def __call__(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict: ...

    def __and__(self, other: Rule) -> Rule:
        return AllOf((self, other))


@dataclass(frozen=True, slots=True)
class AllOf(Rule):
    """Answer with the first refusal, else with the smallest scale."""

    rules: tuple[Rule, ...]

    def __call__(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        smallest = Verdict.allow()
        for rule in self.rules:
            verdict = rule(intent, snapshot, books)
            if not verdict.allowed:
                return verdict
            if verdict.scale < smallest.scale:
                smallest = verdict
        return smallest


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a trading state: who says so, over what, how bad. name identifies it (`breaker.daily`); gate is
    the gate that refuses openings with `reason` for it (lifecycle where no gate owns it).
    """

    name: str
    state: TradingState
    reason: Reason
    gate: Gate = Gate.LIFECYCLE
    scope: Scope = Scope.ACCOUNT
    subject: str = ""
    disposition: Disposition | None = None

    def concerns(self, strategy: str, symbols: Iterable[str]) -> bool:
        """Whether it holds for this strategy when it trades these symbols."""
        if self.scope is Scope.ACCOUNT:
            return True
        return self.subject == strategy if self.scope is Scope.BOOK else self.subject in symbols


@dataclass(frozen=True, slots=True)
class ExitDemand:
    """A manager wants a trade closed. It bypasses every limiter; it can only reduce."""

    trade: str
    reason: Reason
    ladder: Ladder


@dataclass(frozen=True, slots=True)
class Note:
    """A ledger record that a component asks the coordinator to write: kind, book and the fields of that kind."""

    kind: Kind
    book: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Watch:
    """What a manager found in this step. scale (0, 1] is the manager's own; 1 when it is not active."""

    causes: tuple[Cause, ...] = ()
    scale: float = 1.0
    exits: tuple[ExitDemand, ...] = ()
    notes: tuple[Note, ...] = ()


QUIET = Watch()
"""What a manager with nothing to say returns in nearly every step."""


@dataclass(frozen=True, slots=True)
class SizeBound:
    """Units that one limit leaves room for, and the reason when it is the smallest and below 1. units is exact,
    floored by the sizer.
    """

    name: str
    units: float
    reason: Reason


class Manager(Protocol):
    """A component of the risk layer.

    rests: `watch` would be QUIET and change nothing until the session ends, or until something else is asked of this
    part, which then ends the rest itself.  In the first step of a session everybody is asked.
    """

    @property
    def name(self) -> str: ...

    @property
    def rests(self) -> bool: ...

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch: ...


class VixReader(Protocol):
    """Judges VIX once a step."""

    def read(self, snapshot: MarketSnapshot) -> VixReading: ...


class Usage(Protocol):
    """Own margin and stress losses of all books, USD."""

    @property
    def used_usd(self) -> float: ...

    @property
    def reserved_usd(self) -> float: ...

    @property
    def t_loss_usd(self) -> float: ...

    @property
    def c_loss_usd(self) -> float: ...


class MarginView(Protocol):
    """Says how much margin is used; the recorder asks it for every mark."""

    def usage(self, snapshot: MarketSnapshot, books: Books) -> Usage: ...


def is_due(now: datetime, at: datetime) -> bool:
    """A timer is due at the first step at or after it."""
    return now >= at
