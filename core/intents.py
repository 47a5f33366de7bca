"""How an intent and its verdict are written into the ledger: the same words for entries, exits and repairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.reasons import Reason
from core.vocabulary import Detail, Gate, Intent, Purpose, RiskBasis, to_u6


def record_intent(
    ledger: Ledger, intent: Intent, intent_id: str, purpose: Purpose, now: datetime, **amounts: int
) -> None:
    """Write INTENT for a sized intent; amounts are the optional *_u6 totals of all its units."""
    legs: list[dict[str, object]] = []
    for leg in intent.structure.legs:
        item = leg.instrument
        row: dict[str, object] = {"symbol": item.symbol, "ratio": leg.ratio, "mult": item.multiplier}
        if item.right is not None:
            row |= {"right": item.right, "strike_u6": to_u6(item.strike), "expiry": item.expiry}
        legs.append(row)
    reason = {} if intent.reason is None else {"reason": intent.reason}
    basis = RiskBasis.MAX_LOSS if intent.risk is None else intent.risk.basis
    ledger.append(
        Kind.INTENT,
        intent.strategy,
        now,
        intent=intent_id,
        trade=intent.trade,
        purpose=purpose,
        structure=intent.structure.name,
        legs=legs,
        qty=intent.qty,
        risk_basis=basis,
        **reason,
        **amounts,
    )


def allow_intent(
    ledger: Ledger,
    strategy: str,
    intent_id: str,
    now: datetime,
    *,
    scale: float = 1.0,
    ages: Mapping[str, int] | None = None,
) -> None:
    """Write the VERDICT that allows an intent."""
    ledger.append(
        Kind.VERDICT,
        strategy,
        now,
        intent=intent_id,
        gate=Gate.INVARIANTS,
        allowed=True,
        reason=Reason.ALLOWED,
        scale_e6=round(scale * 1e6),
        ages=dict(ages or {}),
        detail={},
    )


def ledger_ages(intent: Intent | None, snapshot: MarketSnapshot) -> dict[str, int]:
    """Return whole seconds of age of what the decision read: VIX, and the oldest quote of the legs (Greeks are made
    from those quotes).
    """
    ages: dict[str, int] = {}
    if snapshot.vix is not None and math.isfinite(snapshot.vix.age_s):
        ages["vix_s"] = int(snapshot.vix.age_s)
    if intent is not None:
        oldest = max(snapshot.quote(symbol).age_s for symbol in intent.structure.symbols)
        if math.isfinite(oldest):
            ages["quote_s"] = ages["greeks_s"] = int(oldest)
    return ages


def ledger_detail(detail: Detail) -> dict[str, str | int]:
    """Return a verdict's detail as the ledger stores it: whole numbers, and everything else as text."""
    return {key: value if type(value) is int else _text(value) for key, value in detail.items()}


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
