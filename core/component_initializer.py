"""Build the components in dependency order, retry what may come back, and say what is permitted while one is not READY.

The table is the whole truth: a component that is not part of a delivery is absent from it.  Construction never stops
at the first error, all are collected; failures never permit more than before.  Times are the algorithm's, never the
wall clock's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Final

from core.errors import BulkheadError, PermanentError, TransientError
from core.reasons import Reason
from core.rules import Cause
from core.vocabulary import Disposition, TradingState, Verdict

RETRY_MIN = (1, 2, 4, 8, 15)
"""Minutes of algorithm time after which a TRANSIENT error is tried again; the last one repeats."""

FAULTS_TO_FAIL = 3
FAULT_WINDOW = timedelta(minutes=30)


class Status(StrEnum):
    WAITING = "WAITING"
    READY = "READY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"


_SERVING: Final = (Status.READY, Status.DEGRADED)


class Blocks(StrEnum):
    """Which openings a component that is not READY stops."""

    NOTHING = "NOTHING"
    ALL = "ALL"
    OPTIONS = "OPTIONS"
    ITSELF = "ITSELF"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the component table: what it needs, how it is made, and what follows while it is not READY.

    build gets the needed components by name and returns the component; it may raise TransientError or PermanentError.
    """

    name: str
    tier: int
    needs: tuple[str, ...]
    build: Callable[[Mapping[str, object]], object]
    blocks: Blocks = Blocks.ALL
    state: TradingState = TradingState.ACTIVE
    disposition: Disposition | None = None
    critical: bool = True


@dataclass(slots=True)
class Entry:
    """Where one component stands."""

    row: Row
    status: Status = Status.WAITING
    part: object | None = None
    error: str = ""
    attempts: int = 0
    next_try: datetime | None = None
    permanent: bool = False
    faults: list[datetime] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """One line of INIT_REPORT."""

    name: str
    tier: int
    status: Status
    error: str
    sentence: str
    attempts: int


class ComponentInitializer:
    """The component table at work."""

    def __init__(self, rows: Sequence[Row]) -> None:
        """Raises PermanentError when a need is not in the table or the needs form a cycle: then the run does not
        start.
        """
        self._entries = {row.name: Entry(row) for row in rows}
        missing = [f"{row.name} needs {need}" for row in rows for need in row.needs if need not in self._entries]
        if missing:
            raise PermanentError(f"The component table names what it does not hold: {'; '.join(missing)}.")
        try:
            self._order = tuple(TopologicalSorter({row.name: row.needs for row in rows}).static_order())
        except CycleError as error:
            raise PermanentError(f"The needs of the components form a cycle: {' -> '.join(error.args[1])}.") from error
        self.self_test_errors: tuple[str, ...] = ()
        self.is_unbuilt = True
        """Whether something has still to be built; without that there is nothing to retry."""
        self.causes: tuple[Cause, ...] = ()
        """The trading-state causes of every critical component that is not READY."""
        self.failed: frozenset[str] = frozenset()
        """Components that could not be built, or had too many faults."""
        self._lacking: tuple[Entry, ...] = ()
        """Where those stand that do not serve, in the order of construction."""
        self._look()

    def build(self, now: datetime) -> tuple[str, ...]:
        """Build everything whose needs are READY; returns the names that changed their status."""
        return self._attempt(now, lambda entry: entry.part is None)

    def retry(self, now: datetime) -> tuple[str, ...]:
        """Build again what is due: failed constructions on their timetable, and what waited for them."""
        if not self.is_unbuilt:
            return ()
        return self._attempt(
            now, lambda entry: entry.part is None and (entry.next_try is None or now >= entry.next_try)
        )

    def session_opened(self, now: datetime) -> tuple[str, ...]:
        """At an open a PERMANENT error is tried once more, and components that had too many faults start afresh."""
        for entry in self._entries.values():
            if entry.permanent and entry.attempts < 2:
                entry.next_try = now
            if entry.part is not None and entry.status is Status.FAILED:
                self._set(entry, Status.READY)
                entry.faults.clear()
        return self.retry(now)

    def _attempt(self, now: datetime, wanted: Callable[[Entry], bool]) -> tuple[str, ...]:
        changed: list[str] = []
        for name in self._order:
            entry = self._entries[name]
            if not wanted(entry):
                continue
            before = entry.status
            waiting_for = [need for need in entry.row.needs if self._entries[need].part is None]
            if waiting_for:
                self._set(entry, Status.WAITING, f"waits for {', '.join(waiting_for)}")
            else:
                self._construct(entry, now)
            if entry.status is not before:
                changed.append(name)
        self.is_unbuilt = any(entry.part is None for entry in self._entries.values())
        return tuple(changed)

    def _construct(self, entry: Entry, now: datetime) -> None:
        needs = {need: part for need in entry.row.needs if (part := self._entries[need].part) is not None}
        entry.attempts += 1
        try:
            entry.part = entry.row.build(needs)
        except TransientError as error:
            wait = RETRY_MIN[min(entry.attempts, len(RETRY_MIN)) - 1]
            entry.next_try = now + timedelta(minutes=wait)
            self._set(entry, Status.WAITING, str(error))
        except (BulkheadError, ImportError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            # Anything that a constructor can raise is a broken contract here: it is named, and the others are still
            # built.
            entry.permanent, entry.next_try = True, datetime.max
            self._set(entry, Status.FAILED, f"{type(error).__name__}: {error}")
        else:
            self._set(entry, Status.READY)

    def _set(self, entry: Entry, status: Status, error: str = "") -> None:
        entry.status, entry.error = status, error
        self._look()

    def _look(self) -> None:
        """Find what follows from the statuses as they are."""
        self._lacking = tuple(known for name in self._order if (known := self._entries[name]).status not in _SERVING)
        self.failed = frozenset(known.row.name for known in self._lacking if known.status is Status.FAILED)
        self.causes = tuple(
            Cause(
                f"component.{known.row.name}",
                known.row.state,
                Reason.COMPONENT_NOT_READY,
                subject=known.row.name,
                disposition=known.row.disposition,
            )
            for known in self._lacking
            if known.row.state is not TradingState.ACTIVE
        )

    # ---------------------------------------------------------------------------------------------------- at run time

    def part(self, name: str) -> object | None:
        return self._entries[name].part

    def status(self, name: str) -> Status:
        return self._entries[name].status

    def degrade(self, name: str, sentence: str) -> bool:
        """Mark a READY component as working on a fallback; returns whether that is news."""
        entry = self._entries[name]
        if entry.status is not Status.READY:
            return False
        self._set(entry, Status.DEGRADED, sentence)
        return True

    def restore(self, name: str) -> bool:
        """The cause is gone: READY again without a restart; returns whether that is news."""
        entry = self._entries[name]
        if entry.status is not Status.DEGRADED:
            return False
        self._set(entry, Status.READY)
        return True

    def fault(self, name: str, error: str, now: datetime) -> Status:
        """Count an exception while running (live only). Three in thirty minutes: FAILED until the next open."""
        entry = self._entries[name]
        entry.faults = [at for at in entry.faults if now - at < FAULT_WINDOW] + [now]
        self._set(entry, Status.FAILED if len(entry.faults) >= FAULTS_TO_FAIL else entry.status, error)
        return entry.status

    def report(self) -> tuple[Report, ...]:
        """Return every component with a sentence that says what its state means."""
        return tuple(
            Report(name, entry.row.tier, entry.status, entry.error, _sentence(entry), entry.attempts)
            for name in self._order
            for entry in (self._entries[name],)
        )

    def entry_refusal(self, strategy: str) -> Verdict | None:
        """Return why a strategy may not open now because of a component, None when all that it hangs on are READY."""
        if self.self_test_errors:
            return Verdict.refuse(Reason.SELF_TEST_FAILED, error=self.self_test_errors[0])
        for entry in self._lacking:
            name, blocks = entry.row.name, entry.row.blocks
            if blocks is not Blocks.NOTHING and (blocks is not Blocks.ITSELF or name == strategy):
                return Verdict.refuse(
                    Reason.COMPONENT_NOT_READY, component=name, status=entry.status.value, error=entry.error
                )
        return None


def _sentence(entry: Entry) -> str:
    name, row = entry.row.name, entry.row
    if entry.status is Status.READY:
        return f"{name} is ready."
    effect = {
        Blocks.ALL: "nothing is opened",
        Blocks.OPTIONS: "no option trade is opened",
        Blocks.ITSELF: "this strategy only manages what it holds",
        Blocks.NOTHING: "only views are missing",
    }[row.blocks]
    if row.state is TradingState.REDUCING:
        effect = "only orders that reduce risk are sent"
    if row.state is TradingState.HALTED:
        effect = "nothing is sent but cancels"
    verb = {Status.DEGRADED: "works on a fallback", Status.WAITING: "is waiting", Status.FAILED: "has failed"}[
        entry.status
    ]
    return f"{name} {verb} ({entry.error}): {effect}."
