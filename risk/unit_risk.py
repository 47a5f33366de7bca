"""What one unit can cost, opened at the worst price of its ladder: the figures that gates and sizer judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.market import MarketSnapshot
from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import Instrument, RiskBasis, Structure, UnitRisk, Verdict
from helpers.brokerages import round_trip_fee_usd
from risk.betas import BETA
from risk.own_margin import NakedPrices, has_naked, own_margin
from risk.step_pricer import StepPricer
from risk.stress import Losses, StressTester

T_SHOCKS = ("T_DOWN", "T_UP")
C_SHOCKS = ("C_DOWN", "C_UP")


@dataclass(frozen=True, slots=True)
class UnitJudge:
    """Prices one unit of a structure for the step at hand."""

    settings: Settings
    pricer: StepPricer
    stress: StressTester

    def judge(self, structure: Structure, worst_cash: float, snapshot: MarketSnapshot) -> UnitRisk | Verdict:
        """Return what one unit can cost, opened for worst_cash points; a refusal where that has no bound or is unknown.

        Finite structures are judged by their maximum loss.  Naked shorts need the operator's approval and known prices:
        they are judged by what the shocks do to them.
        """
        legs = [(leg.instrument, leg.ratio) for leg in structure.legs]
        cash_usd = worst_cash * structure.multiplier
        fees = round_trip_fee_usd(structure)
        margin = own_margin(legs, cash_usd, self.settings.margin, self._naked_prices(legs, snapshot))
        points = structure.max_loss_points(worst_cash)
        floor = structure.worst_payoff()
        floor_usd = None if floor is None else floor * structure.multiplier
        losses = self.stress.losses(legs, -cash_usd, floor_usd, snapshot)
        overnight = structure.expiries != (snapshot.session.day,)
        if points is not None and margin is not None and not has_naked(legs):
            max_loss = points * structure.multiplier + fees
            t_loss = _with_fees(losses, T_SHOCKS, fees, max_loss)
            c_loss = _with_fees(losses, C_SHOCKS, fees, max_loss) if overnight else None
            basis, most = RiskBasis.MAX_LOSS, max_loss
        elif not self.settings.account.naked_options_approved:
            return Verdict.refuse(Reason.NAKED_NOT_APPROVED, structure=structure.name.value)
        else:
            t_loss = _with_fees(losses, T_SHOCKS, fees, None)
            c_loss = _with_fees(losses, C_SHOCKS, fees, None) if overnight else None
            if margin is None or t_loss is None or (overnight and c_loss is None):
                return Verdict.refuse(Reason.GREEKS_UNKNOWN, structure=structure.name.value)
            basis, most = RiskBasis.STRESS, None
        return UnitRisk(
            basis=basis,
            margin_usd=margin.usd,
            stressed_margin_usd=margin.stressed(self.settings.margin.naked_stress_multiple),
            max_loss_usd=most,
            t_loss_usd=t_loss,
            c_loss_usd=c_loss,
            delta_usd=delta_usd(legs, snapshot, self.pricer),
            short_premium=worst_cash > 0 and bool(structure.shorts),
        )

    def _naked_prices(self, legs: Sequence[tuple[Instrument, int]], snapshot: MarketSnapshot) -> NakedPrices:
        return naked_prices([instrument for instrument, _ in legs], snapshot, self.pricer)


def naked_prices(instruments: Sequence[Instrument], snapshot: MarketSnapshot, pricer: StepPricer) -> NakedPrices:
    """Return how margin finds its prices: a share's own, and for naked shorts the model's, for this step."""

    def premium(instrument: Instrument) -> float | None:
        if instrument.right is None:
            return snapshot.price(instrument.symbol)
        view = pricer.views(snapshot, instruments)[instrument.symbol]
        return None if view is None else view.price

    def underlying(instrument: Instrument) -> float | None:
        view = pricer.views(snapshot, instruments)[instrument.symbol]
        return None if view is None else view.underlying_price

    return NakedPrices(premium, underlying)


def delta_usd(holdings: Sequence[tuple[Instrument, int]], snapshot: MarketSnapshot, pricer: StepPricer) -> float | None:
    """Return signed index-equivalent delta in USD of holdings, None where a delta or a beta is unknown."""
    views = pricer.views(snapshot, [instrument for instrument, _ in holdings])
    total = 0.0
    for instrument, qty in holdings:
        view, beta = views[instrument.symbol], BETA.get(instrument.underlying)
        if view is None or beta is None or not view.serves(qty):
            return None
        total += view.delta * qty * instrument.multiplier * view.underlying_price * beta
    return total


def _with_fees(losses: Losses, shocks: Sequence[str], fees: float, most: float | None) -> float | None:
    worst = losses.worst(shocks)
    if worst is None:
        return most
    return worst + fees if most is None else min(worst + fees, most)
