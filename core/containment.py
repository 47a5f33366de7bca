"""The second containment point: live and paper, one failing strategy or manager is isolated, loudly, and the others
go on.

A backtest contains nothing: a programming error there must stop the run.  Live, the failing call gives its fallback
for this step, which always permits less; a strategy with three faults in half an hour only manages what it holds, a
component with three faults has failed until the next open, and what follows from that is the component table's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from core.component_initializer import ComponentInitializer
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.settings import Mode
from core.state_manager import StateManager

T = TypeVar("T")


class Containment:
    """Runs the calls that one part's failure must not turn into everybody's."""

    def __init__(self, mode: Mode, state: StateManager, initializer: ComponentInitializer, ledger: Ledger) -> None:
        self._contains = mode is not Mode.BACKTEST
        self._state = state
        self._initializer = initializer
        self._ledger = ledger

    def strategy(self, name: str, call: Callable[[], T], fallback: Callable[[str], T], now: datetime) -> T:
        """Return what the call gives, or the fallback with the error's text, counted against the strategy."""
        return self._run(name, call, fallback, now, lambda text: self._state.fault(name, now, text))

    def component(self, name: str, call: Callable[[], T], fallback: Callable[[str], T], now: datetime) -> T:
        """Return what the call gives, or the fallback with the error's text, counted against the component."""
        return self._run(name, call, fallback, now, lambda text: self._initializer.fault(name, text, now))

    def _run(
        self,
        name: str,
        call: Callable[[], T],
        fallback: Callable[[str], T],
        now: datetime,
        blame: Callable[[str], object],
    ) -> T:
        if not self._contains:
            return call()
        try:
            return call()
        except Exception as error:  # noqa: BLE001  documented containment point 2
            text = f"{name}: {type(error).__name__}: {error}"
            blame(text)
            self._ledger.append(Kind.ALERT, "", now, severity="CRITICAL", code="FAULT", text=text)
            return fallback(text)
