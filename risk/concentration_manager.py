"""Limits on what adds up: net delta of the option books, and strategies, risk and margin per underlying family.

SPX, SPY and ES are one family.  Exposure is what is held, what works and what was approved in this step, at current
Greeks, computed anew whenever it is asked for; nothing has to be cleaned up.  What brings net delta nearer to zero is
never refused for delta.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.market import MarketSnapshot
from core.reasons import Reason
from core.rules import SizeBound
from core.settings import ConcentrationSettings
from core.vocabulary import Intent, UnitRisk, Verdict
from risk.betas import BETA
from risk.book_stress import BookStress, TradeStress
from risk.position_sizer import DELTA, quotient

if TYPE_CHECKING:
    from core.books import Books


@dataclass(frozen=True, slots=True)
class FamilyLoad:
    """One underlying family: strategies that take a place, USD at risk and own margin, working openings included."""

    strategies: tuple[str, ...]
    risk_usd: float
    margin_usd: float


class ConcentrationManager:
    """Judges one unit against what is there; keeps nothing."""

    name = "concentration_manager"

    def __init__(self, settings: ConcentrationSettings, stress: BookStress) -> None:
        self._settings = settings
        self._stress = stress

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse one unit that passes a limit of delta, or of its family's strategies, risk or margin."""
        equity, risk = snapshot.equity_usd, intent.risk
        if equity is None or risk is None:
            return Verdict.refuse(Reason.EQUITY_UNKNOWN)
        if intent.structure.underlying not in BETA:
            return Verdict.refuse(Reason.UNKNOWN_BETA, underlying=intent.structure.underlying)
        trades = self._stress.trades(snapshot, books)
        return (
            self._places(intent, risk, trades, snapshot)
            or self._family_room(intent, risk, trades, equity)
            or self._delta(risk, equity, snapshot, books)
            or Verdict.allow()
        )

    def bound(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> SizeBound:
        """Return the units that delta, and the family's risk and margin, leave room for."""
        equity, risk = snapshot.equity_usd, intent.risk
        if equity is None or risk is None or risk.delta_usd is None:
            return SizeBound(DELTA, 0.0, Reason.SIZE_ZERO_DELTA)
        net = self._stress.net_delta_usd(snapshot, books)
        if net is None:
            return SizeBound(DELTA, 0.0, Reason.SIZE_ZERO_DELTA)
        load = _family_load(intent.structure.family, self._stress.trades(snapshot, books))
        settings = self._settings
        rooms = (
            _units_of_delta(net, risk.delta_usd, self._delta_limit(equity, snapshot)),
            quotient(settings.family_risk_pct / 100 * equity - load.risk_usd, risk.trade_risk_usd),
            quotient(settings.family_margin_pct / 100 * equity - load.margin_usd, risk.margin_usd),
        )
        return SizeBound(DELTA, min(rooms), Reason.SIZE_ZERO_DELTA)

    def net_delta_usd(self, snapshot: MarketSnapshot, books: Books) -> float | None:
        """Return net delta of the option books in USD of the index, None where one holding's is unknown."""
        return self._stress.net_delta_usd(snapshot, books)

    # ----------------------------------------------------------------------------------------------------------- limits

    def _places(
        self, intent: Intent, risk: UnitRisk, trades: Sequence[TradeStress], snapshot: MarketSnapshot
    ) -> Verdict | None:
        """A family has places for few strategies; one that is there already takes no second place."""
        if not intent.structure.shorts:
            return None
        family = intent.structure.family
        holders = _family_load(family, trades).strategies
        high = snapshot.vix is None or snapshot.vix.value is None or snapshot.vix.is_high
        limit = self._settings.family_strategies_high if high else self._settings.family_strategies
        if intent.strategy in holders or len(holders) < limit:
            return None
        return Verdict.refuse(Reason.CONC_STRATEGIES, family=family, holders=", ".join(holders), limit=limit)

    def _family_room(
        self, intent: Intent, risk: UnitRisk, trades: Sequence[TradeStress], equity: float
    ) -> Verdict | None:
        family = intent.structure.family
        load = _family_load(family, trades)
        loss, settings = risk.trade_risk_usd, self._settings
        if loss is None or not load.risk_usd + loss <= settings.family_risk_pct / 100 * equity:
            return Verdict.refuse(
                Reason.CONC_RISK, family=family, risk_usd=load.risk_usd, unit_usd="unknown" if loss is None else loss
            )
        if not load.margin_usd + risk.margin_usd <= settings.family_margin_pct / 100 * equity:
            return Verdict.refuse(
                Reason.CONC_ALLOCATION, family=family, margin_usd=load.margin_usd, unit_usd=risk.margin_usd
            )
        return None

    def _delta(self, risk: UnitRisk, equity: float, snapshot: MarketSnapshot, books: Books) -> Verdict | None:
        net, unit = self._stress.net_delta_usd(snapshot, books), risk.delta_usd
        if net is None or unit is None:
            return Verdict.refuse(Reason.GREEKS_UNKNOWN, of="books" if net is None else "structure")
        limit = self._delta_limit(equity, snapshot)
        if abs(net + unit) <= max(limit, abs(net)):
            return None
        return Verdict.refuse(Reason.CONC_DELTA, net_usd=net, unit_usd=unit, limit_usd=limit)

    def _delta_limit(self, equity: float, snapshot: MarketSnapshot) -> float:
        high = snapshot.vix is None or snapshot.vix.value is None or snapshot.vix.is_high
        pct = self._settings.options_delta_high_pct if high else self._settings.options_delta_pct
        return pct / 100 * equity


def _family_load(family: str, trades: Sequence[TradeStress]) -> FamilyLoad:
    members = [trade for trade in trades if trade.exposure.structure.family == family and trade.takes_place]
    holders = dict.fromkeys(member.exposure.strategy for member in members if member.exposure.structure.shorts)
    return FamilyLoad(
        tuple(sorted(holders)),
        math.fsum(member.exposure.risk_usd for member in members),
        math.fsum(member.margin_usd for member in members),
    )


def _units_of_delta(net: float, unit: float, limit: float) -> float:
    """Return how many units keep |net + n x unit| within the limit, or no farther from zero than it is."""
    if not math.isfinite(net) or not math.isfinite(unit):
        return 0.0
    if unit == 0.0:
        return math.inf
    ahead = net if unit > 0 else -net
    # Walking n units moves net by n x |unit| in its direction: allowed up to the limit beyond zero, or back to its
    # own mirror.
    room = max(limit, abs(ahead)) - ahead
    return max(0.0, room) / abs(unit)
