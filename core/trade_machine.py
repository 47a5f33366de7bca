"""The trade machine: states, triggers, one table (risk.md 17).

Every state has an exit and a deadline; a pair that the table does not have is recorded as IGNORED_TRIGGER and changes
nothing.  An exception (ERROR) never drops a position: only PLANNED reacts to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class TradeState(StrEnum):
    is_end: bool

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

    def __init__(self, name: str) -> None:
        self.is_end = name in ("CLOSED", "CANCELLED")


class Trigger(StrEnum):
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


class Balance(StrEnum):
    """What the legs of a trade amount to: nothing, a whole number of units, or anything else."""

    NONE = "NONE"
    BALANCED = "BALANCED"
    UNBALANCED = "UNBALANCED"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the machine looks at besides the state: the books' view of one trade.

    covered: no sold contract lacks its cover, and a whole unit is held; at_work: an order of the trade has no end yet;
    asked_before: the deadline of this state has passed once already; repaired: it has been in REPAIRING before.
    """

    balance: Balance
    covered: bool = True
    at_work: bool = False
    asked_before: bool = False
    repaired: bool = False


class Look(StrEnum):
    """Not a state but a look at the standing, which gives the state."""

    SETTLE = "SETTLE"
    """The balanced units decide: some and balanced OPEN, unbalanced REPAIRING, none CANCELLED."""

    CANCEL_AND_SETTLE = "CANCEL_AND_SETTLE"
    """Settle once no order works; until then stay, and freeze when the cancel is not confirmed by the next deadline."""

    COVERED = "COVERED"
    """Leave REPAIRING when no short lacks its cover and a whole unit is held."""

    REPAIR_ONCE = "REPAIR_ONCE"
    """Repair the first time; afterwards stay and go on leaving."""

    BOOKS = "BOOKS"
    """The state that the books show: OPEN, CLOSED or REPAIRING."""


Next = TradeState | Look
S, T = TradeState, Trigger

LIVING: Final = (S.ENTERING, S.OPEN, S.ADJUSTING, S.REPAIRING, S.EXITING, S.SETTLING)
"""The states in which the rows below the table hold as well."""

_OWN: Final[Mapping[tuple[TradeState, Trigger], Next]] = {
    (S.PLANNED, T.SENT): S.ENTERING,
    (S.PLANNED, T.DENIED): S.CANCELLED,
    (S.PLANNED, T.ERROR): S.CANCELLED,
    (S.PLANNED, T.DEADLINE): S.CANCELLED,
    (S.ENTERING, T.FILLED): S.OPEN,
    (S.ENTERING, T.PART): S.ENTERING,
    (S.ENTERING, T.LEG): S.ENTERING,
    (S.ENTERING, T.REJECTED): Look.SETTLE,
    (S.ENTERING, T.CANCELLED): Look.SETTLE,
    (S.ENTERING, T.EXIT_DUE): S.ENTERING,
    (S.ENTERING, T.DEADLINE): Look.CANCEL_AND_SETTLE,
    (S.OPEN, T.EXIT_DUE): S.EXITING,
    (S.OPEN, T.ADJUST_DUE): S.ADJUSTING,
    (S.OPEN, T.DEADLINE): S.EXITING,
    (S.ADJUSTING, T.FILLED): S.OPEN,
    (S.ADJUSTING, T.CANCELLED): S.OPEN,
    (S.ADJUSTING, T.LEG): S.REPAIRING,
    (S.ADJUSTING, T.EXIT_DUE): S.ADJUSTING,
    (S.ADJUSTING, T.DEADLINE): Look.CANCEL_AND_SETTLE,
    (S.REPAIRING, T.BALANCED): Look.COVERED,
    (S.REPAIRING, T.DEADLINE): S.EXITING,
    (S.EXITING, T.PART): S.EXITING,
    (S.EXITING, T.CANCELLED): S.OPEN,
    (S.EXITING, T.LEG): Look.REPAIR_ONCE,
    (S.EXITING, T.REJECTED): S.EXITING,
    (S.EXITING, T.DEADLINE): S.EXITING,
    (S.SETTLING, T.SETTLED): S.CLOSED,
    (S.SETTLING, T.DEADLINE): S.FROZEN,
    (S.FROZEN, T.CLEARED): Look.BOOKS,
    (S.FROZEN, T.ADOPT): S.OPEN,
    (S.FROZEN, T.EXIT_DUE): S.FROZEN,
    (S.FROZEN, T.FLAT): S.CLOSED,
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

TABLE: Final[Mapping[tuple[TradeState, Trigger], Next]] = MappingProxyType(
    {**{(state, trigger): target for state in LIVING for trigger, target in _EVERYWHERE.items()}, **_OWN}
)
"""(state, trigger) -> next; a state's own rows and the rows that hold from ENTERING to SETTLING do not overlap."""

OUTCOMES: Final[Mapping[Look, frozenset[TradeState]]] = MappingProxyType(
    {
        Look.SETTLE: frozenset({S.OPEN, S.REPAIRING, S.CANCELLED}),
        Look.CANCEL_AND_SETTLE: frozenset({S.ENTERING, S.ADJUSTING, S.OPEN, S.REPAIRING, S.CANCELLED, S.FROZEN}),
        Look.COVERED: frozenset({S.OPEN, S.REPAIRING}),
        Look.REPAIR_ONCE: frozenset({S.REPAIRING, S.EXITING}),
        Look.BOOKS: frozenset({S.OPEN, S.CLOSED, S.REPAIRING}),
    }
)
"""Every state that a look can give."""

_SETTLED: Final = {Balance.NONE: S.CANCELLED, Balance.BALANCED: S.OPEN, Balance.UNBALANCED: S.REPAIRING}
_SHOWN: Final = {**_SETTLED, Balance.NONE: S.CLOSED}


def next_state(state: TradeState, trigger: Trigger, look: Callable[[], Standing]) -> TradeState | None:
    """Return the next state, None where the table has no such pair: the trade stays, the trigger is ignored.

    look is asked where the table says so.
    """
    found = TABLE.get((state, trigger))
    if found is None or isinstance(found, TradeState):
        return found
    standing = look()
    if found is Look.SETTLE:
        return _SETTLED[standing.balance]
    if found is Look.BOOKS:
        return _SHOWN[standing.balance]
    if found is Look.COVERED:
        return S.OPEN if standing.covered else state
    if found is Look.REPAIR_ONCE:
        return state if standing.repaired else S.REPAIRING
    if not standing.at_work:
        return _SETTLED[standing.balance]
    return S.FROZEN if standing.asked_before else state


def traps() -> tuple[str, ...]:
    """Return what is wrong with the table: a state without end, without way in, or without deadline."""
    edges: dict[TradeState, set[TradeState]] = {state: set() for state in TradeState}
    for (state, _trigger), target in TABLE.items():
        edges[state] |= OUTCOMES[target] - {state} if isinstance(target, Look) else {target}
    found: list[str] = []
    for state in TradeState:
        seen, stack = {state}, [state]
        while stack:
            fresh = edges[stack.pop()] - seen
            seen |= fresh
            stack.extend(sorted(fresh))
        if not any(item.is_end for item in seen):
            found.append(f"{state} reaches no end")
        if state is not S.PLANNED and not any(
            state in targets for other, targets in edges.items() if other is not state
        ):
            found.append(f"{state} is reached from nowhere")
        if not state.is_end and (state, T.DEADLINE) not in TABLE:
            found.append(f"{state} has no deadline")
    return tuple(found)
