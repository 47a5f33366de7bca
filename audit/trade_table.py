"""The table of trade states, as the auditor knows it: which trigger may lead from where to where."""

from __future__ import annotations

from typing import Final

ENDED: Final = frozenset({"CLOSED", "CANCELLED"})
_SETTLED: Final = "OPEN REPAIRING CANCELLED"
_LIVING: Final = ("ENTERING", "OPEN", "ADJUSTING", "REPAIRING", "EXITING", "SETTLING")

# A trade is born PLANNED.  `settle` looks at what is held; a cancel that must be confirmed first lets it stay.
_ROWS: Final = f"""
PLANNED  PLANNED: PLANNED
PLANNED  SENT: ENTERING
PLANNED  DENIED ERROR DEADLINE CANCELLED: CANCELLED
ENTERING FILLED: OPEN
ENTERING PART LEG: ENTERING
ENTERING REJECTED CANCELLED: {_SETTLED}
ENTERING EXIT_DUE: ENTERING EXITING {_SETTLED}
ENTERING DEADLINE: ENTERING FROZEN {_SETTLED}
OPEN EXIT_DUE DEADLINE: EXITING
OPEN ADJUST_DUE: ADJUSTING
ADJUSTING FILLED CANCELLED: OPEN
ADJUSTING LEG: REPAIRING
ADJUSTING EXIT_DUE: ADJUSTING EXITING
ADJUSTING DEADLINE: ADJUSTING FROZEN {_SETTLED}
REPAIRING BALANCED: OPEN REPAIRING
REPAIRING DEADLINE: EXITING
EXITING PART REJECTED DEADLINE: EXITING
EXITING CANCELLED: OPEN
EXITING LEG: REPAIRING EXITING
SETTLING SETTLED: CLOSED
SETTLING DEADLINE: FROZEN
FROZEN CLEARED: OPEN CLOSED REPAIRING
FROZEN ADOPT: OPEN
FROZEN FLAT: CLOSED
FROZEN EXIT_DUE DEADLINE: FROZEN
"""
_EVERYWHERE: Final = {
    "BREAK": "FROZEN",
    "UNRESOLVED": "FROZEN",
    "ASSIGNED": "REPAIRING",
    "LEG_GONE": "REPAIRING",
    "EXPIRED": "SETTLING",
    "FLAT": "CLOSED",
}


def _read() -> dict[tuple[str, str], frozenset[str]]:
    table = {(state, trigger): frozenset({to}) for state in _LIVING for trigger, to in _EVERYWHERE.items()}
    for row in _ROWS.strip().splitlines():
        left, _, targets = row.partition(":")
        state, *triggers = left.split()
        for trigger in triggers:
            table[(state, trigger)] = frozenset(targets.split())
    return table


TABLE: Final = _read()
"""(state, trigger) -> states that may follow."""
