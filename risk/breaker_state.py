"""What the circuit breaker remembers, in whole numbers, so that a restart continues with exactly the same state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any, Final

from core.errors import StateError
from core.reasons import Reason


class Condition(StrEnum):
    """A loss limit of the account."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    INTRADAY = "INTRADAY"

    @property
    def reason(self) -> Reason:
        return Reason[f"BREAKER_{self.value}"]

    @property
    def can_halt(self) -> bool:
        """The limit from the session high never flattens: it would act before the daily one."""
        return self is not Condition.INTRADAY


class Level(IntEnum):
    OK = 0
    TRIPPED = 1
    HALTED = 2


@dataclass(slots=True)
class BreakerState:
    """Money in micro-dollars, times naive New York.

    session counts sessions since the run began; trips the sessions of trips.  pending is a crossing that waits for
    the next step to confirm it. low_u6 and low_at are the last material low: the clock of the release starts there.
    warning holds at the last GOOD mark, warned in this session.
    """

    session: int = 0
    session_day: date | None = None
    start_u6: int | None = None
    high_u6: int | None = None
    flows_u6: int = 0
    level: Level = Level.OK
    condition: Condition | None = None
    pending: Level = Level.OK
    pending_at: datetime | None = None
    pending_condition: Condition | None = None
    trip_day: date | None = None
    trip_u6: int = 0
    low_u6: int = 0
    low_at: datetime | None = None
    trips: tuple[int, ...] = ()
    needs_resume: bool = False
    resume_given: bool = False
    leaving: str = ""
    warning: bool = False
    warned: bool = False
    released_at: datetime | None = None
    release_u6: int = 0
    clean_sessions: int = 0

    @property
    def in_recovery(self) -> bool:
        return self.released_at is not None

    @property
    def is_calm(self) -> bool:
        """Whether nothing is tripped, waits to be confirmed or recovers."""
        return self.level is Level.OK and self.pending is Level.OK and self.released_at is None

    def shift(self, flow_u6: int) -> None:
        """Move every remembered amount by an external cash flow: it is neither profit nor loss."""
        self.flows_u6 += flow_u6
        self.start_u6 = None if self.start_u6 is None else self.start_u6 + flow_u6
        self.high_u6 = None if self.high_u6 is None else self.high_u6 + flow_u6
        self.trip_u6 += flow_u6
        self.low_u6 += flow_u6
        self.release_u6 += flow_u6


_WHOLE: Final = frozenset({"session", "flows_u6", "trip_u6", "low_u6", "release_u6", "clean_sessions"})
_OPTIONAL_WHOLE: Final = frozenset({"start_u6", "high_u6"})
_FLAGS: Final = frozenset({"needs_resume", "resume_given", "warning", "warned"})
_DAYS: Final = frozenset({"session_day", "trip_day"})
_TIMES: Final = frozenset({"pending_at", "low_at", "released_at"})
_LEVELS: Final = frozenset({"level", "pending"})
_CONDITIONS: Final = frozenset({"condition", "pending_condition"})


def dump(state: BreakerState) -> dict[str, str | int]:
    """Return the state as text and whole numbers; what is not set is left out."""
    stored: dict[str, str | int] = {}
    for spec in fields(state):
        value = getattr(state, spec.name)
        if value is None:
            continue
        if spec.name in _WHOLE or spec.name in _OPTIONAL_WHOLE:
            stored[spec.name] = value
        elif spec.name in _FLAGS:
            stored[spec.name] = int(value)
        elif spec.name in _LEVELS:
            stored[spec.name] = value.name
        elif spec.name == "trips":
            stored[spec.name] = ",".join(str(trip) for trip in value)
        elif spec.name in _DAYS or spec.name in _TIMES:
            stored[spec.name] = value.isoformat()
        else:
            stored[spec.name] = str(value)
    return stored


def load(stored: Mapping[str, object]) -> BreakerState:
    """Return the state that `dump` stored.  Raises StateError that names the field, the value and what was expected."""
    known = {spec.name for spec in fields(BreakerState)}
    for name in sorted(stored):
        if name not in known:
            raise StateError(f"breaker state {name} = {stored[name]!r}: no such field. Start without a stored state.")
    return BreakerState(**{name: _read(name, value) for name, value in stored.items()})


def _read(name: str, value: object) -> Any:
    if name in _WHOLE or name in _OPTIONAL_WHOLE:
        if type(value) is int:
            return value
        raise _bad(name, value, "a whole number")
    if name in _FLAGS:
        if value in (0, 1) and type(value) is int:
            return value == 1
        raise _bad(name, value, "0 or 1")
    if not isinstance(value, str):
        raise _bad(name, value, "text")
    try:
        if name in _LEVELS:
            return Level[value]
        if name in _CONDITIONS:
            return Condition(value)
        if name in _DAYS:
            return date.fromisoformat(value)
        if name in _TIMES:
            return datetime.fromisoformat(value)
        if name == "trips":
            return tuple(int(part) for part in value.split(",") if part)
    except (KeyError, ValueError):
        raise _bad(name, value, "what the breaker stored") from None
    return value


def _bad(name: str, value: object, expected: str) -> StateError:
    return StateError(f"breaker state {name} = {value!r}: expected {expected}. Start without a stored state.")
