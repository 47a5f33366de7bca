"""The second containment point: live and paper, one failing strategy or manager is isolated, loudly, and the others
go on.

A backtest contains nothing: a programming error there must stop the run.  Live, the failing call gives its fallback
for this step, which always permits less; a strategy with three faults in half an hour only manages what it holds, a
component with three faults has failed until the next open, and what follows from that is the component table's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from typing import TypeVar, TypeVarTuple

from core.books import Books
from core.component_initializer import ComponentInitializer
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.reasons import Reason
from core.rules import QUIET, Cause, Manager, Watch
from core.settings import Mode
from core.state_manager import StateManager
from core.vocabulary import TradingState

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Containment:
    """Runs the calls that one part's failure must not turn into everybody's."""

    def __init__(self, mode: Mode, state: StateManager, initializer: ComponentInitializer, ledger: Ledger) -> None:
        self._contains = mode is not Mode.BACKTEST
        self._state = state
        self._initializer = initializer
        self._ledger = ledger
        self._asked_all_on: date | None = None

    def strategy(
        self, name: str, now: datetime, fallback: Callable[[str], T], call: Callable[[*Ts], T], *args: *Ts
    ) -> T:
        """Return what the call gives, or the fallback with the error's text, counted against the strategy."""
        if not self._contains:
            return call(*args)
        return self._run(name, now, lambda text: self._state.fault(name, now, text), fallback, call, *args)

    def watch(self, managers: Sequence[Manager], snapshot: MarketSnapshot, books: Books) -> list[Watch]:
        """Return what managers that do not rest find in this step, and is not quiet; in the first one of a session all
        are asked.  One that fails lets nothing be opened, counted against it.
        """
        found: list[Watch] = []
        day = snapshot.session.day
        for manager in managers:
            if manager.rests and day == self._asked_all_on:
                continue
            contained = self._contains
            watch = self._watch(manager, snapshot, books) if contained else manager.watch(snapshot, books)
            if watch is not QUIET:
                found.append(watch)
        self._asked_all_on = day
        return found

    def _watch(self, manager: Manager, snapshot: MarketSnapshot, books: Books) -> Watch:
        name, now = manager.name, snapshot.time
        blame = partial(self._initializer.fault, name, now=now)
        return self._run(name, now, blame, lambda _text: _blind(name), manager.watch, snapshot, books)

    def _run(
        self,
        name: str,
        now: datetime,
        blame: Callable[[str], object],
        fallback: Callable[[str], T],
        call: Callable[[*Ts], T],
        *args: *Ts,
    ) -> T:
        try:
            return call(*args)
        except Exception as error:  # noqa: BLE001  documented containment point 2
            text = f"{name}: {type(error).__name__}: {error}"
            blame(text)
            self._ledger.append(Kind.ALERT, "", now, severity="CRITICAL", code="FAULT", text=text)
            return fallback(text)


def _blind(manager: str) -> Watch:
    """What a manager that failed in this step says: nothing is opened on a limit that nobody has checked."""
    return Watch(
        causes=(Cause(f"component.{manager}", TradingState.REDUCING, Reason.COMPONENT_NOT_READY, subject=manager),)
    )
