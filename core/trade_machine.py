"""The trade machine: states, triggers, one table.

Every state has an exit and a deadline; a pair that the table does not have is recorded as IGNORED_TRIGGER and changes
nothing.  An exception (ERROR) never drops a position: only PLANNED reacts to it.  "settle" looks at the balanced
units: some and balanced OPEN, unbalanced REPAIRING, none CANCELLED.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class TradeState(StrEnum):
    PLANNED = "PLANNED"
    ENTERING = "ENTERING"
    OPEN = "OPEN"
    ADJUSTING = "ADJUSTING"
    REPAIRING = "REPAIRING"
    EXITING = "EXITING"
    SETTLING = "SETTLING"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"

    @property
    def is_end(self) -> bool:
        return self in (TradeState.CLOSED, TradeState.CANCELLED)


class Trigger(StrEnum):
    PLANNED = "PLANNED"
    SENT = "SENT"
    DENIED = "DENIED"
    ERROR = "ERROR"
    FILLED = "FILLED"
    PART = "PART"
    LEG = "LEG"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXIT_DUE = "EXIT_DUE"
    ADJUST_DUE = "ADJUST_DUE"
    BALANCED = "BALANCED"
    BREAK = "BREAK"
    UNRESOLVED = "UNRESOLVED"
    ASSIGNED = "ASSIGNED"
    LEG_GONE = "LEG_GONE"
    EXPIRED = "EXPIRED"
    FLAT = "FLAT"
    SETTLED = "SETTLED"
    CLEARED = "CLEARED"
    ADOPT = "ADOPT"
    DEADLINE = "DEADLINE"


class Settle(StrEnum):
    """Not a state but a look at what is held, which gives the state."""

    HOLDINGS = "HOLDINGS"


Next = TradeState | Settle
S, T = TradeState, Trigger

_LIVING: Final = (S.ENTERING, S.OPEN, S.ADJUSTING, S.REPAIRING, S.EXITING, S.SETTLING, S.FROZEN)

_OWN: Final[Mapping[tuple[TradeState, Trigger], Next]] = {
    (S.PLANNED, T.SENT): S.ENTERING,
    (S.PLANNED, T.DENIED): S.CANCELLED,
    (S.PLANNED, T.CANCELLED): S.CANCELLED,
    (S.PLANNED, T.ERROR): S.CANCELLED,
    (S.PLANNED, T.DEADLINE): S.CANCELLED,
    (S.ENTERING, T.FILLED): S.OPEN,
    (S.ENTERING, T.PART): S.ENTERING,
    (S.ENTERING, T.LEG): S.ENTERING,
    (S.ENTERING, T.REJECTED): Settle.HOLDINGS,
    (S.ENTERING, T.CANCELLED): Settle.HOLDINGS,
    (S.ENTERING, T.EXIT_DUE): S.EXITING,
    (S.ENTERING, T.DEADLINE): S.FROZEN,
    (S.OPEN, T.EXIT_DUE): S.EXITING,
    (S.OPEN, T.ADJUST_DUE): S.ADJUSTING,
    (S.OPEN, T.LEG): S.REPAIRING,
    (S.OPEN, T.DEADLINE): S.EXITING,
    (S.ADJUSTING, T.FILLED): S.OPEN,
    (S.ADJUSTING, T.CANCELLED): S.OPEN,
    (S.ADJUSTING, T.LEG): S.REPAIRING,
    (S.ADJUSTING, T.EXIT_DUE): S.EXITING,
    (S.ADJUSTING, T.DEADLINE): Settle.HOLDINGS,
    (S.REPAIRING, T.BALANCED): Settle.HOLDINGS,
    (S.REPAIRING, T.DEADLINE): S.EXITING,
    (S.EXITING, T.PART): S.EXITING,
    (S.EXITING, T.CANCELLED): S.OPEN,
    (S.EXITING, T.LEG): S.REPAIRING,
    (S.EXITING, T.REJECTED): S.EXITING,
    (S.EXITING, T.DEADLINE): S.EXITING,
    (S.SETTLING, T.SETTLED): S.CLOSED,
    (S.SETTLING, T.DEADLINE): S.FROZEN,
    (S.FROZEN, T.CLEARED): Settle.HOLDINGS,
    (S.FROZEN, T.ADOPT): S.OPEN,
    (S.FROZEN, T.EXIT_DUE): S.FROZEN,
    (S.FROZEN, T.SETTLED): S.CLOSED,
    (S.FROZEN, T.DEADLINE): S.FROZEN,
}

_EVERYWHERE: Final[Mapping[Trigger, TradeState]] = {
    T.BREAK: S.FROZEN,
    T.UNRESOLVED: S.FROZEN,
    T.ASSIGNED: S.REPAIRING,
    T.LEG_GONE: S.REPAIRING,
    T.EXPIRED: S.SETTLING,
    T.FLAT: S.CLOSED,
}

TABLE: Final[Mapping[tuple[TradeState, Trigger], Next]] = {
    **{(state, trigger): target for state in _LIVING for trigger, target in _EVERYWHERE.items()},
    **_OWN,
}
"""(state, trigger) -> next; own rows win over the rows that hold from ENTERING to SETTLING."""


def next_state(state: TradeState, trigger: Trigger, *, balanced_units: int, unbalanced: bool) -> TradeState | None:
    """Return the next state, None where the table has no such pair (the trade stays, the trigger is recorded as
    ignored).
    """
    found = TABLE.get((state, trigger))
    if found is None or isinstance(found, TradeState):
        return found
    if unbalanced:
        return TradeState.REPAIRING
    if balanced_units > 0:
        return TradeState.OPEN
    return TradeState.CLOSED if state is TradeState.FROZEN else TradeState.CANCELLED


def traps() -> tuple[str, ...]:
    """Return every state from which no end can be reached, or that no state leads to; empty when the table is sound."""
    edges: dict[TradeState, set[TradeState]] = {state: set() for state in TradeState}
    for (state, _trigger), target in TABLE.items():
        edges[state] |= {S.OPEN, S.REPAIRING, S.CLOSED, S.CANCELLED} if isinstance(target, Settle) else {target}
    found = []
    for state in TradeState:
        seen, stack = {state}, [state]
        while stack:
            for target in edges[stack.pop()] - seen:
                seen.add(target)
                stack.append(target)
        if not any(item.is_end for item in seen):
            found.append(f"{state} reaches no end")
        if state is not S.PLANNED and not any(
            state in targets for other, targets in edges.items() if other is not state
        ):
            found.append(f"{state} is reached from nowhere")
    return tuple(found)
