"""How much an account of this size may do: one table by equity, set once a day at the open.

Up at a boundary, when nothing has tripped and the drawdown is small; down at 95 % of it.  A demotion forces no exit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from core.errors import StateError
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.reasons import Reason
from core.rules import QUIET, Note, SizeBound, Watch
from core.settings import PhaseSettings
from core.vocabulary import U6, Intent, RiskBasis, StructureName, Verdict, to_u6
from risk.position_sizer import PHASE, quotient

if TYPE_CHECKING:
    from core.books import Books

LAST: Final = 4


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """What one account phase permits.  Percentages are of equity."""

    phase: int
    from_usd: float
    max_trades: int
    position_margin_pct: float
    bp_ceiling_pct: float
    new_per_session: int


def phase_table(settings: PhaseSettings) -> tuple[PhaseRow, ...]:
    """Return the rows of phases 0 to 4."""
    s = settings
    return (
        PhaseRow(0, 0.0, s.max_trades_0, s.position_margin_pct_0, s.bp_ceiling_pct_0, s.new_per_session_0),
        PhaseRow(1, s.phase1_usd, s.max_trades_1, s.position_margin_pct_1, s.bp_ceiling_pct_1, s.new_per_session_1),
        PhaseRow(2, s.phase2_usd, s.max_trades_2, s.position_margin_pct_2, s.bp_ceiling_pct_2, s.new_per_session_2),
        PhaseRow(3, s.phase3_usd, s.max_trades_3, s.position_margin_pct_3, s.bp_ceiling_pct_3, s.new_per_session_3),
        PhaseRow(4, s.phase4_usd, s.max_trades_4, s.position_margin_pct_4, s.bp_ceiling_pct_4, s.new_per_session_4),
    )


class AccountPhases:
    """The account phase of today, and the limits that hang on it.

    dollars_per_unit gives the day's rate of the account's currency (1 for USD), None where it is unknown.
    """

    name = "account_phases"

    def __init__(
        self,
        settings: PhaseSettings,
        *,
        is_tripped: Callable[[], bool],
        phase_cap: Callable[[], int | None],
        dollars_per_unit: Callable[[date], float | None],
    ) -> None:
        self._settings = settings
        self._table = phase_table(settings)
        self._is_tripped = is_tripped
        self._phase_cap = phase_cap
        self._dollars_per_unit = dollars_per_unit
        self._phase: int | None = None
        self._set_on: date | None = None
        self.rests = False
        self._peak_u6 = 0
        self._flows_u6 = 0

    # ------------------------------------------------------------------------------------------------------- the phase

    @property
    def phase(self) -> int | None:
        """The phase by equity; None before the first open."""
        return self._phase

    @property
    def row(self) -> PhaseRow | None:
        """What may be acted on now: the row of the phase, or of a lower one while the breaker recovers."""
        if self._phase is None:
            return None
        cap = self._phase_cap()
        return self._table[self._phase if cap is None else min(self._phase, cap)]

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Set the phase in the first step of a session, from the last closing mark; at first from the start."""
        day = snapshot.session.day
        if self._set_on == day:
            self.rests = True  # it is set once a session
            return QUIET
        self.rests = False
        equity_u6 = self._last_close(snapshot, books)
        rate = self._dollars_per_unit(day)
        if equity_u6 is None or rate is None:
            # Without a rate the phase stays; where there is none yet it is the lowest, and asked again in the next
            # step.
            self._phase = 0 if self._phase is None else self._phase
            return QUIET
        self._peak_u6 = max(self._peak_u6 + books.flows_u6 - self._flows_u6, equity_u6)
        self._flows_u6 = books.flows_u6
        dollars = equity_u6 / U6 * rate
        before, self._phase = self._phase, self._next(dollars, round(1.0 - equity_u6 / self._peak_u6, 9))
        self._set_on, self.rests = day, True
        if before == self._phase:
            return QUIET
        fields = {
            "manager": self.name,
            "from": "NONE" if before is None else str(before),
            "to": str(self._phase),
            "value_e6": to_u6(dollars),
        }
        return Watch(notes=(Note(Kind.LEVEL, "", fields),))

    def _last_close(self, snapshot: MarketSnapshot, books: Books) -> int | None:
        """Return the last closing mark in today's money; before the first close the mark of this step."""
        close = books.close_before(snapshot.session.day)
        if close is not None:
            return close.equity_u6 + books.flows_u6 - close.flows_u6
        return None if snapshot.equity_usd is None else to_u6(snapshot.equity_usd)

    def _next(self, equity_usd: float, drawdown: float) -> int:
        by_table = max(row.phase for row in self._table if equity_usd >= row.from_usd or row.phase == 0)
        if self._set_on is None or self._phase is None:
            return by_table
        if by_table > self._phase:
            free = not self._is_tripped() and drawdown < self._settings.promotion_drawdown_pct / 100
            return by_table if free else self._phase
        phase = self._phase
        while phase > 0 and equity_usd < self._settings.down_fraction * self._table[phase].from_usd:
            phase -= 1
        return phase

    # ------------------------------------------------------------------------------------------------- rule and bound

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse a trade beyond what this phase may hold, or may open in a session; trades count, not legs."""
        row = self.row
        if row is None or intent.risk is None:
            return Verdict.refuse(Reason.PHASE_TRADES, phase="unknown")
        if row.phase == 0 and intent.risk.basis is RiskBasis.STRESS:
            return Verdict.refuse(Reason.NAKED_NOT_APPROVED, phase=0)
        held = sum(is_option_trade(trade.structure.name) for trade in books.open_trades())
        if held >= row.max_trades:
            return Verdict.refuse(Reason.PHASE_TRADES, phase=row.phase, open_trades=held, limit=row.max_trades)
        day = snapshot.session.day
        new = sum(is_option_trade(trade.structure.name) and books.is_of_day(trade, day) for trade in books.trades)
        if new >= row.new_per_session:
            return Verdict.refuse(Reason.PHASE_SESSION, phase=row.phase, opened_today=new, limit=row.new_per_session)
        return Verdict.allow()

    def bound(self, intent: Intent, snapshot: MarketSnapshot, used_usd: float) -> SizeBound:
        """Return the units inside the position margin and under the ceiling of the option books.

        used_usd is own margin of what is held and of what may still fill.
        """
        row, equity, risk = self.row, snapshot.equity_usd, intent.risk
        if row is None or equity is None or risk is None:
            return SizeBound(PHASE, 0.0, Reason.SIZE_ZERO_PHASE)
        position = row.position_margin_pct / 100 * equity
        room = row.bp_ceiling_pct / 100 * equity - used_usd
        return SizeBound(PHASE, quotient(min(position, room), risk.margin_usd), Reason.SIZE_ZERO_PHASE)

    # --------------------------------------------------------------------------------------------------------- state

    def state(self) -> dict[str, str | int]:
        """Return what a restart needs."""
        if self._phase is None or self._set_on is None:
            return {}
        return {
            "phase": self._phase,
            "set_on": self._set_on.isoformat(),
            "peak_u6": self._peak_u6,
            "flows_u6": self._flows_u6,
        }

    def restore(self, stored: Mapping[str, object]) -> None:
        """Take over a stored phase.  Raises StateError for one that does not exist."""
        if not stored:
            return
        phase, day = stored.get("phase"), stored.get("set_on")
        peak, flows = stored.get("peak_u6"), stored.get("flows_u6")
        if type(phase) is not int or not 0 <= phase <= LAST or not isinstance(day, str):
            raise StateError(
                f"account phase state phase={phase!r} set_on={day!r}: expected 0 to {LAST} and a date. "
                "Start without a stored state."
            )
        if type(peak) is not int or type(flows) is not int:
            raise StateError(
                f"account phase state peak_u6={peak!r} flows_u6={flows!r}: expected whole numbers. "
                "Start without a stored state."
            )
        self._phase, self._set_on, self.rests = phase, date.fromisoformat(day), False
        self._peak_u6, self._flows_u6 = peak, flows


def is_option_trade(name: StructureName) -> bool:
    """Tell whether a trade takes a place: shares of the rotation book take none."""
    return name is not StructureName.SHARES
