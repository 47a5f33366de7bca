"""What a strategy may do.

ENABLED; MANAGE_ONLY after faults, a break or a failed repair; DISABLED by the operator or for want of a capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from core.errors import StateError
from core.reasons import Reason
from core.settings import StateSettings
from core.vocabulary import Verdict


class StrategyState(StrEnum):
    ENABLED = "ENABLED"
    MANAGE_ONLY = "MANAGE_ONLY"
    DISABLED = "DISABLED"


class StrategyStanding:
    """One strategy: faults make it MANAGE_ONLY; clean minutes bring it back, a limited number of times a day."""

    def __init__(self, settings: StateSettings) -> None:
        self._settings = settings
        self._state = StrategyState.ENABLED
        self._because = ""
        self._faults: list[datetime] = []
        self._returned: list[date] = []

    @property
    def state(self) -> StrategyState:
        return self._state

    @property
    def because(self) -> str:
        return self._because

    def fault(self, now: datetime, because: str) -> None:
        """Count an exception; it also starts the clean minutes anew."""
        window = timedelta(minutes=self._settings.fault_window_min)
        self._faults = [*(at for at in self._faults if now - at < window), now]
        if len(self._faults) >= self._settings.fault_limit:
            self.manage_only(now, because)

    def manage_only(self, now: datetime, because: str) -> None:
        """Make it close-only; what is DISABLED stays so."""
        if self._state is StrategyState.DISABLED:
            return
        self._state, self._because = StrategyState.MANAGE_ONLY, because
        self._faults = [*self._faults, now]

    def disable(self, because: str) -> None:
        self._state, self._because = StrategyState.DISABLED, because

    def rest(self, now: datetime) -> None:
        """Come back from MANAGE_ONLY after the clean minutes, if the day's returns are not used up."""
        if self._state is not StrategyState.MANAGE_ONLY:
            return
        clean_since = self._faults[-1]
        clean = now - clean_since >= timedelta(minutes=self._settings.clean_min)
        if clean and self._returned.count(now.date()) < self._settings.returns_per_day:
            self._returned = [*(day for day in self._returned if day == now.date()), now.date()]
            self._state, self._because = StrategyState.ENABLED, ""
            self._faults.clear()

    def refusal(self) -> Verdict | None:
        if self._state is StrategyState.ENABLED:
            return None
        disabled = self._state is StrategyState.DISABLED
        return Verdict.refuse(Reason.STRATEGY_DISABLED if disabled else Reason.STRATEGY_LOCKED, cause=self._because)

    def dump(self) -> dict[str, Any]:
        return {
            "state": self._state.value,
            "because": self._because,
            "faults": [at.isoformat() for at in self._faults],
            "returned": [day.isoformat() for day in self._returned],
        }

    def load(self, stored: Mapping[str, Any]) -> None:
        """Take over a stored standing; DISABLED for want of a capability is found anew by the start.

        Raises StateError for one that cannot be.
        """
        try:
            state = StrategyState(stored["state"])
            faults = [datetime.fromisoformat(text) for text in stored["faults"]]
            returned = [date.fromisoformat(text) for text in stored["returned"]]
            because = str(stored["because"])
        except (KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"strategy state {stored!r} cannot be read ({error}); start it without a state."
            ) from error
        if state is StrategyState.MANAGE_ONLY and not faults:
            raise StateError("strategy state MANAGE_ONLY has no time; start it without a state.")
        self._faults, self._returned = faults, returned
        if self._state is not StrategyState.DISABLED:
            self._state, self._because = state, because
