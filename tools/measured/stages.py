"""Where the time of main.py goes: the parts of a step, each with the time in which none of the others was at work.

The parts are timed at their public methods, for a whole process and on any engine.  Reading the clock costs a few
tenths of a microsecond a call, so that a run with stages says where the time goes, never how long the run takes.
"""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

REST: Final = "everything else"
"""The handlers themselves and whatever runs between the parts."""

PARTS: Final[dict[str, dict[str, str]]] = {
    "engine: prices": {
        "helpers.lean_market:LeanMarket": "absorb bars_of quotes_of chain strikes minute_history daily_history"
    },
    "engine: account, holdings, orders": {
        "helpers.lean_broker:LeanBroker": "account position positions open_orders find send cancel translate"
    },
    "market data": {"core.market_data:MarketData": "observe with_quotes look load_strikes judged"},
    "reconciliation": {"core.reconciliation:Reconciler": "reconcile"},
    "limits": {
        "risk.vix_manager:VixManager": "read watch rule",
        "risk.event_calendar:EventCalendar": "watch rule",
        "risk.circuit_breaker:CircuitBreaker": "watch rule",
        "risk.account_phases:AccountPhases": "watch rule",
        "risk.margin_manager:MarginManager": "watch rule bounds usage",
        "risk.concentration_manager:ConcentrationManager": "rule",
        "risk.chain_gate:ChainGate": "watch rule admit",
    },
    "exits": {"core.leaving:Leaving": "leave leave_book"},
    "Friday strategy": {"strategies.friday_0dte:Friday0dte": "enter leave"},
    "ETF book": {"core.family_desk:FamilyDesk": "fold watch leave enter after"},
    "orders": {"core.order_gateway:OrderGateway": "fold watch open close repair work attend post"},
    "records": {"core.recorder:Recorder": "observe after_step close_session statement save_state"},
    "ledger": {"core.ledger:Ledger": "append flush"},
}
"""Part -> where its classes are -> which of their methods are timed."""


class Stages:
    """Seconds per part; a part that calls another one is not at work meanwhile."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys([*PARTS, REST], 0.0)
        self._at_work: list[str] = []
        self._since = 0.0

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every part so far."""
        return dict(self._seconds)

    def time_parts(self) -> None:
        """Time every part in the whole process; to be called before the parts are joined."""
        for part, kind, name in timed_methods():
            setattr(kind, name, self.timed(part, getattr(kind, name)))

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and is counted for a part."""

        @functools.wraps(work)
        def counted(*arguments: Any, **named: Any) -> Any:
            self.begin(part)
            try:
                return work(*arguments, **named)
            finally:
                self.end()

        return counted

    def begin(self, part: str) -> None:
        """Count for a part until `end`, or until another one begins within it."""
        now = time.perf_counter()
        if self._at_work:
            self._seconds[self._at_work[-1]] += now - self._since
        self._at_work.append(part)
        self._since = now

    def end(self) -> None:
        """Count for the part again that was at work before."""
        now = time.perf_counter()
        self._seconds[self._at_work.pop()] += now - self._since
        self._since = now


def timed_methods() -> Iterator[tuple[str, type, str]]:
    """Yield part, class and name of everything that is timed; imported here, since the edge needs an engine."""
    for part, places in PARTS.items():
        for place, names in places.items():
            module, kind = place.split(":")
            for name in names.split():
                yield part, getattr(importlib.import_module(module), kind), name
