"""What must be true of every sized intent, whoever made it: the last word before an order is planned.

These are not limits to be tuned.  A refusal here means that a strategy, a rule or the sizer is wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from core.errors import VocabularyError
from core.market import MarketSnapshot
from core.reasons import Reason
from core.settings import SizerSettings
from core.vocabulary import Intent, IntentKind, RiskBasis, Structure, StructureName, UnitRisk, Verdict

if TYPE_CHECKING:
    from core.books import Books

_NOISE: Final = 1e-9


class Invariants:
    """Judge a sized intent: sane structure, whole size, finite loss inside the per-trade limit; or a pure reduction."""

    name = "invariants"

    def __init__(self, settings: SizerSettings) -> None:
        self._settings = settings

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse an intent that makes no sense."""
        sane = _structure_refusal(intent.structure) or _quantity_refusal(intent.qty)
        if sane is not None:
            return sane
        if intent.adds_risk:
            return self._risk_refusal(intent, snapshot) or Verdict.allow()
        return _not_reducing(intent, books) or Verdict.allow()

    def _risk_refusal(self, intent: Intent, snapshot: MarketSnapshot) -> Verdict | None:
        """An opening says what it can lose, and loses no more than the per-trade limits in all its units together."""
        equity, risk, units = snapshot.equity_usd, intent.risk, intent.qty
        if equity is None or risk is None or units is None:
            return Verdict.refuse(Reason.EQUITY_UNKNOWN if equity is None else Reason.DENIED_STRUCTURE, risk="unknown")
        if risk.basis is RiskBasis.FAMILY and not _is_bought_share(intent.structure):
            return Verdict.refuse(
                Reason.DENIED_STRUCTURE, basis=risk.basis.value, structure=intent.structure.name.value
            )
        for name, value in _figures(risk):
            if value is None or not math.isfinite(value) or value < 0:
                return Verdict.refuse(Reason.DENIED_STRUCTURE, figure=name, value=str(value))
        limits = [(risk.trade_risk_usd, self._settings.trade_risk_pct)]
        if risk.basis is RiskBasis.STRESS:
            limits.append((risk.c_loss_usd, self._settings.trade_crash_pct))
        for loss, pct in limits:
            if loss is not None and loss * units > pct / 100 * equity + _NOISE * equity:
                return Verdict.refuse(Reason.DENIED_SIZE, loss_usd=loss * units, limit_usd=pct / 100 * equity)
        return None


def _is_bought_share(structure: Structure) -> bool:
    """The family's basis sets no limit of a trade: it is for its shares alone."""
    return structure.name is StructureName.SHARES and not structure.expiries and not structure.shorts


def _figures(risk: UnitRisk) -> list[tuple[str, float | None]]:
    """Return the figures that this basis needs; every one of them must be a number."""
    figures: list[tuple[str, float | None]] = [
        ("margin_usd", risk.margin_usd),
        ("stressed_margin_usd", risk.stressed_margin_usd),
        ("t_loss_usd", risk.t_loss_usd) if risk.basis is RiskBasis.FAMILY else ("trade_risk_usd", risk.trade_risk_usd),
    ]
    if risk.basis is RiskBasis.STRESS:
        figures.append(("c_loss_usd", risk.c_loss_usd))
    return figures


def _structure_refusal(structure: Structure) -> Verdict | None:
    """Refuse legs that could not have been made a structure, and prices that are no numbers."""
    try:
        Structure(structure.name, structure.legs)
    except VocabularyError as error:
        return Verdict.refuse(Reason.DENIED_STRUCTURE, error=str(error))
    for leg in structure.legs:
        if not math.isfinite(leg.instrument.strike) or not leg.instrument.tick > 0:
            return Verdict.refuse(Reason.DENIED_STRUCTURE, symbol=leg.symbol)
    return None


def _quantity_refusal(qty: object) -> Verdict | None:
    """Refuse what is not a whole number above 0; the engine would take text and flags."""
    if type(qty) is int and qty > 0:
        return None
    return Verdict.refuse(Reason.DENIED_SIZE, qty=str(qty))


def _not_reducing(intent: Intent, books: Books) -> Verdict | None:
    """Every symbol of a close comes nearer to 0 in its trade and keeps its sign."""
    if intent.kind not in (IntentKind.CLOSE, IntentKind.REDUCE):
        return Verdict.refuse(Reason.DENIED_STRUCTURE, kind=intent.kind.value)
    if not books.has_trade(intent.trade):
        return Verdict.refuse(Reason.DENIED_NOT_REDUCING, trade=intent.trade)
    held, units = books.trade(intent.trade).legs, intent.qty or 0
    for leg in intent.structure.legs:
        now, change = held.get(leg.symbol, 0), leg.ratio * units
        if now * change >= 0 or abs(change) > abs(now):
            return Verdict.refuse(Reason.DENIED_NOT_REDUCING, symbol=leg.symbol, held=now, change=change)
    return None
