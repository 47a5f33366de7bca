"""The close has the last word: what a decision becomes in each phase of the session.

The gate overwrites targets and owns no orders.  There is one clock, the session clock; minutes that differ from its
are refused at the start, because two clocks once left a position between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from core.errors import SettingsError
from core.family import Decision, leverage_of, side_of
from core.reasons import Reason
from core.settings import SessionSettings
from core.settings_etf import EtfRotationSettings
from core.vocabulary import FamilyTarget, SessionPhase

CASH: Final = FamilyTarget.CASH


class GateState(IntEnum):
    """Ascending: within a session the gate never opens again."""

    TRADE = 0
    NO_ENTRY = 1
    FLATTEN = 2
    VERIFY = 3
    CLOSED = 4


_OF_PHASE: Final[Mapping[SessionPhase, GateState]] = MappingProxyType(
    {
        SessionPhase.PRE_OPEN: GateState.CLOSED,
        SessionPhase.OPENING: GateState.TRADE,
        SessionPhase.REGULAR: GateState.TRADE,
        SessionPhase.LATE: GateState.NO_ENTRY,
        SessionPhase.FLATTEN: GateState.FLATTEN,
        SessionPhase.FINAL: GateState.VERIFY,
        SessionPhase.CLOSED: GateState.CLOSED,
    }
)


def gate_of(phase: SessionPhase | None) -> GateState:
    """Return the gate of a phase; a day that the calendar does not have is closed."""
    return GateState.CLOSED if phase is None else _OF_PHASE[phase]


@dataclass(frozen=True, slots=True)
class SessionGate:
    """Overwrites decisions; halted is the book's own state and outweighs the clock."""

    @staticmethod
    def for_clock(settings: EtfRotationSettings, clock: SessionSettings) -> SessionGate:
        """Return the gate of a session clock.  Raises SettingsError where the book wants minutes of its own."""
        pairs = (
            ("no_entry_minutes", settings.no_entry_minutes, "late_min", clock.late_min),
            ("flatten_minutes", settings.flatten_minutes, "flatten_min", clock.flatten_min),
            ("verify_minutes", settings.verify_minutes, "final_min", clock.final_min),
        )
        sentences = [
            f"etf_rotation.{name} = {value}: expected {other}, the session.{theirs} of the one clock. Change both."
            for name, value, theirs, other in pairs
            if value != other
        ]
        if sentences:
            raise SettingsError(sentences)
        return SessionGate()

    def apply(
        self, decision: Decision, phase: SessionPhase | None, held: FamilyTarget, *, halted: bool = False
    ) -> Decision:
        """Return what the phase leaves of a decision."""
        state = gate_of(phase)
        if halted:
            return Decision(CASH, Reason.BOOK_HALTED)
        if state is GateState.TRADE:
            return decision
        if state is GateState.NO_ENTRY:
            return _without_entries(decision, held)
        return Decision(CASH, Reason.SESSION_PHASE)


def _without_entries(decision: Decision, held: FamilyTarget) -> Decision:
    """Hold or leave; of a switch only the half that sells is left, and only where it lowers the leverage."""
    if decision.target is held or decision.target is CASH:
        return decision
    if held is CASH:
        return Decision(CASH, Reason.SESSION_PHASE)
    same_side = side_of(decision.target) is side_of(held)
    stays = same_side and leverage_of(decision.target) > leverage_of(held)
    return Decision(held if stays else CASH, Reason.SESSION_PHASE)
