"""What the ETF book's desk needs of the parts that decide, as protocols: `strategies/` and `risk/` implement them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Protocol

from core.books import Books
from core.family import Decision, FamilyView, SizeVerdict, SizingFacts, Standing, Trail
from core.market import MarketSnapshot, Session
from core.rules import Cause, Note
from core.signal import Reading
from core.vocabulary import FamilyTarget, Intent, Structure, UnitRisk


class Policy(Protocol):
    """From reading and fold to one target."""

    def advance(self, trail: Trail, reading: Reading) -> Trail: ...

    def decide(self, reading: Reading, family: FamilyView) -> Decision: ...


class Health(Protocol):
    """Watches a session's readings."""

    def observe(self, reading: Reading) -> None: ...

    def dead_detectors(self) -> tuple[str, ...]: ...

    def is_flat(self) -> bool: ...


class Sizer(Protocol):
    """How many shares."""

    def size(self, target: FamilyTarget, facts: SizingFacts) -> SizeVerdict: ...

    def off(self, value_usd: float | None, facts: SizingFacts) -> int:
        """Return 1 where what is held is worth too much, -1 where too little, 0 where it may stay or none can tell."""

    def surplus(self, target: FamilyTarget, facts: SizingFacts) -> int: ...

    def is_short(self, target: FamilyTarget, facts: SizingFacts) -> bool:
        """Tell whether less of target is held than its value wants; limits of an addition are not asked for."""

    def target_value(self, target: FamilyTarget, facts: SizingFacts) -> float | None: ...

    def limit_price(self, ask: float) -> float: ...


class Room(Protocol):
    """What margin and shocks leave room for."""

    def unit(self, structure: Structure, price: float, snapshot: MarketSnapshot) -> UnitRisk:
        """Return what one share costs, at that price, in margin and in the shocks."""

    def buying_power(self, snapshot: MarketSnapshot, books: Books) -> float: ...

    def stress_shares(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> float: ...


class Monitor(Protocol):
    """The six principles at run time."""

    @property
    def is_halted(self) -> bool: ...

    def is_over(self, session: Session, now: datetime) -> bool: ...

    def check(self, standing: Standing, day: date) -> tuple[Note, ...]: ...

    def use(self, held_usd: float, target_usd: float) -> None: ...

    def close_session(self, day: date) -> tuple[Note, ...]: ...

    def causes(self) -> tuple[Cause, ...]: ...

    def statistics(self, breaches: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Yield name and state of every principle; breaches counts those of the run."""

    def resume(self) -> None: ...

    def session_opened(self, day: date, *, is_clean: bool) -> bool: ...
