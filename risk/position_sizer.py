"""Find the number of units inside every bound.  Zero is an answer, a missing figure is zero, one is never forced.

The own bounds are RISK (the per-trade budget) and CRASH (naked structures); the others come from the managers that
own them.  A strategy with fewer than ten closed trades gets half, rounded up: it has not yet shown anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from core.entry_pipeline import SizeAnswer
from core.market import MarketSnapshot
from core.reasons import Reason
from core.rules import SizeBound
from core.settings import SizerSettings
from core.vocabulary import Intent, RiskBasis, Verdict

if TYPE_CHECKING:
    from core.books import Books
    from core.strategy import UnitCap

MARGIN: Final = "MARGIN"
STRESS: Final = "STRESS"
PHASE: Final = "PHASE"
DELTA: Final = "DELTA"
RISK: Final = "RISK"
CRASH: Final = "CRASH"
CAP: Final = "CAP"

FROM_MANAGERS: Final = {
    MARGIN: Reason.SIZE_ZERO_MARGIN,
    STRESS: Reason.SIZE_ZERO_STRESS,
    PHASE: Reason.SIZE_ZERO_PHASE,
    DELTA: Reason.SIZE_ZERO_DELTA,
}
"""Bounds that must be there, each with its reason: a manager that says nothing leaves room for nothing."""

UNBOUNDED: Final = 1_000_000
"""Units that a limit leaves when it does not bind at all."""

_NOISE: Final = 1e-9
"""A budget of 3 units that comes out as 2.9999999996 is 3 units."""


class PositionSizer:
    """Sizes one intent; keeps nothing."""

    name = "position_sizer"

    def __init__(self, settings: SizerSettings) -> None:
        self._settings = settings

    def size(
        self,
        intent: Intent,
        snapshot: MarketSnapshot,
        books: Books,
        scale: float,
        bounds: Sequence[SizeBound],
        cap: UnitCap,
    ) -> SizeAnswer:
        """Return units with all bounds in whole units; the verdict refuses with the reason of the smallest bound."""
        everything = [*self._own_bounds(intent, snapshot, scale), *bounds]
        given = {bound.name for bound in everything}
        everything += [SizeBound(name, 0.0, reason) for name, reason in FROM_MANAGERS.items() if name not in given]
        whole = [(_floor(bound.units), bound) for bound in everything]
        room, tightest = min(whole, key=lambda pair: pair[0])
        detail = {bound.name: units for units, bound in whole}
        detail[CAP] = max(0, cap.units)
        if room == 0:
            return SizeAnswer(0, detail, Verdict(False, tightest.reason, _shown(everything, scale)))
        room = min(room, detail[CAP])
        if room == 0:
            return SizeAnswer(0, detail, Verdict.refuse(Reason.STRATEGY_CAP, cap=cap.because))
        if len(books.closed_trades(intent.strategy)) < self._settings.halve_below_trades:
            room = math.ceil(room / 2)
        return SizeAnswer(room, detail, Verdict.allow())

    def _own_bounds(self, intent: Intent, snapshot: MarketSnapshot, scale: float) -> list[SizeBound]:
        equity, risk = snapshot.equity_usd, intent.risk
        if equity is None or risk is None:
            return [SizeBound(RISK, 0.0, Reason.SIZE_ZERO_RISK)]
        budget = self._settings.trade_risk_pct / 100 * equity * scale
        found = [SizeBound(RISK, quotient(budget, risk.trade_risk_usd), Reason.SIZE_ZERO_RISK)]
        if risk.basis is RiskBasis.STRESS:
            crash = self._settings.trade_crash_pct / 100 * equity * scale
            found.append(SizeBound(CRASH, quotient(crash, risk.c_loss_usd), Reason.SIZE_ZERO_CRASH))
        return found


def quotient(budget: float, per_unit: float | None) -> float:
    """Return how many units a budget pays for: 0 where either is unknown or makes no sense."""
    if per_unit is None or not math.isfinite(budget) or not math.isfinite(per_unit) or per_unit <= 0 or budget <= 0:
        return 0.0
    return budget / per_unit


def _floor(units: float) -> int:
    """Return whole units: 0 where nobody knows, UNBOUNDED where a limit does not bind."""
    return math.floor(min(units, UNBOUNDED) + _NOISE) if units > 0 else 0


def _shown(bounds: Sequence[SizeBound], scale: float) -> dict[str, str | float]:
    shown: dict[str, str | float] = {
        bound.name: round(bound.units, 4) for bound in bounds if math.isfinite(bound.units)
    }
    return {**shown, "scale": scale}
