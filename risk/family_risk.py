"""What the ETF book's shares take of margin and shocks: full notional, and the ordinary shocks, since they are flat by
tonight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.market import MarketSnapshot
from core.vocabulary import Intent, RiskBasis, Structure, UnitRisk
from risk.margin_manager import MarginManager
from risk.stress import Losses, StressTester
from risk.unit_risk import T_SHOCKS

if TYPE_CHECKING:
    from core.books import Books


class FamilyRoom:
    """Asks the margin manager and the shocks; keeps nothing."""

    def __init__(self, margin: MarginManager, stress: StressTester) -> None:
        self._margin = margin
        self._stress = stress

    def unit(self, structure: Structure, price: float, snapshot: MarketSnapshot) -> UnitRisk:
        """Return the risk of one share bought at a price; where a shock cannot be priced, all of it."""
        legs = [(leg.instrument, leg.ratio) for leg in structure.legs]
        weights = self._stress.weights(legs, snapshot.session.day)
        losses = self._stress.losses_of(weights, price, 0.0, snapshot, only_ordinary=True)
        worst = Losses(losses).worst(T_SHOCKS)
        t_loss = price if worst is None else min(price, worst)
        return UnitRisk(RiskBasis.FAMILY, price, price, t_loss_usd=t_loss)

    def buying_power(self, snapshot: MarketSnapshot, books: Books) -> float:
        """Return what openings may still take of margin, USD; a trade's share of it does not apply here."""
        return self._margin.state(snapshot, self._margin.usage(snapshot, books)).available_usd

    def stress_shares(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> float:
        """Return the shares after which every shock still leaves the account above its margin."""
        return self._margin.stress_units(intent, snapshot, books)
