"""What one unit can cost at the worst ladder price, with the figures of the strategies' tables."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import MarketSnapshot
from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import Instrument, RiskBasis, Structure, StructureName, UnitRisk, Verdict
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from risk.unit_risk import T_SHOCKS, UnitJudge, delta_usd
from tests.risk.builders import at, bar, call, call_spread, chain, condor, legs, naked_put, put_spread, snapshot

SETTINGS = Settings()
STEP = snapshot(at(11), chains=[chain(at(11), low=4_000, high=6_700)])


def judge(
    structure: Structure, worst_cash: float, now: MarketSnapshot | None = None, *, approved: bool = False
) -> UnitRisk | Verdict:
    account = dataclasses.replace(SETTINGS.account, naked_options_approved=approved)
    settings = dataclasses.replace(SETTINGS, account=account)
    pricer = StepPricer(settings.greeks)
    now = STEP if now is None else now
    return UnitJudge(settings, pricer, StressTester(settings.stress, pricer)).judge(structure, worst_cash, now)


@pytest.mark.parametrize(
    ("structure", "worst_cash", "max_loss", "margin"),
    [
        (condor(width_points=10), 2.55, 755.48, 1_000),  # F0-01
        (call_spread(width_points=10), 1.25, 880.24, 1_000),  # F0-02
        (condor(width_points=5), 1.30, 380.48, 500),  # F0-07
        (condor(width_points=20, call_width_points=10), 2.55, 1_755.48, 2_000),  # MM-1
    ],
)
def test_finite_structures_are_judged_by_their_true_worst_case(
    structure: Structure, worst_cash: float, max_loss: float, margin: float
) -> None:
    risk = judge(structure, worst_cash)
    assert isinstance(risk, UnitRisk)
    assert risk.basis is RiskBasis.MAX_LOSS
    assert risk.max_loss_usd == pytest.approx(max_loss)
    assert (risk.margin_usd, risk.stressed_margin_usd) == (margin, margin)
    assert risk.trade_risk_usd == risk.max_loss_usd
    assert risk.short_premium
    assert risk.c_loss_usd is None  # flat by tonight: T only


@given(short=st.integers(1_030, 1_066), width=st.integers(1, 10), share=st.floats(0.01, 0.9))
def test_no_shock_costs_more_than_the_maximum_loss(short: int, width: int, share: float) -> None:
    risk = judge(put_spread(short * 5.0, width * 5.0), width * 5.0 * share)
    assert isinstance(risk, UnitRisk)
    assert risk.t_loss_usd is not None
    assert risk.max_loss_usd is not None
    assert 0 <= risk.t_loss_usd <= risk.max_loss_usd


def test_without_a_chain_the_shock_costs_the_maximum_and_delta_is_unknown() -> None:
    risk = judge(condor(), 2.55, snapshot(at(11)))
    assert isinstance(risk, UnitRisk)
    assert risk.t_loss_usd == risk.max_loss_usd
    assert risk.delta_usd is None


def test_delta_of_a_sold_put_spread_is_long_the_index() -> None:
    risk = judge(put_spread(), 2.0)
    assert isinstance(risk, UnitRisk)
    assert risk.delta_usd is not None
    assert 0 < risk.delta_usd < 0.5 * 100 * 5_350
    mirrored = judge(call_spread(), 2.0)
    assert isinstance(mirrored, UnitRisk)
    assert mirrored.delta_usd is not None
    assert mirrored.delta_usd < 0


def test_delta_counts_shares_in_index_terms() -> None:
    now = snapshot(at(11), bars={"SPY": bar(at(11), 500.0), "QQQ": bar(at(11), 400.0)})
    spy, qqq = Instrument("SPY", "SPY"), Instrument("QQQ", "QQQ")
    pricer = StepPricer(SETTINGS.greeks)
    assert delta_usd([(spy, 10)], now, pricer) == 5_000
    assert delta_usd([(qqq, -10)], now, pricer) == pytest.approx(-4_800)
    assert delta_usd([(spy, 10), (Instrument("XYZ", "XYZ"), 1)], now, pricer) is None


def test_delta_of_an_option_is_its_share_of_the_index() -> None:
    view = StepPricer(SETTINGS.greeks).views(STEP, [call(5_350)])[call(5_350).symbol]
    assert view is not None
    delta = delta_usd([(call(5_350), -2)], STEP, StepPricer(SETTINGS.greeks))
    assert delta == pytest.approx(-2 * view.delta * 100 * 5_350)
    assert view.delta == pytest.approx(0.5, abs=0.01)


def test_a_bought_structure_is_no_short_premium() -> None:
    bought = Structure(StructureName.CALL_SPREAD, legs((call(5_400), 1), (call(5_410), -1)))
    risk = judge(bought, -3.5)
    assert isinstance(risk, UnitRisk)
    assert not risk.short_premium
    assert risk.margin_usd == 350
    assert risk.max_loss_usd == pytest.approx(350 + 5.24)


def test_naked_shorts_need_the_operators_word_and_known_prices() -> None:
    refused = judge(naked_put(), 20.0)
    assert isinstance(refused, Verdict)
    assert refused.reason is Reason.NAKED_NOT_APPROVED
    risk = judge(naked_put(), 20.0, approved=True)
    assert isinstance(risk, UnitRisk)
    assert risk.basis is RiskBasis.STRESS
    assert risk.max_loss_usd is None
    assert risk.trade_risk_usd == risk.t_loss_usd
    assert risk.stressed_margin_usd == pytest.approx(1.3 * risk.margin_usd)
    free = StressTester(SETTINGS.stress, StepPricer(SETTINGS.greeks)).losses(
        [(leg.instrument, leg.ratio) for leg in naked_put().legs], -2_000.0, None, STEP
    )
    assert risk.t_loss_usd == pytest.approx((free.worst(T_SHOCKS) or 0.0) + 2.62)  # fees are lost as well
    blind = judge(naked_put(), 20.0, snapshot(at(11)), approved=True)
    assert isinstance(blind, Verdict)
    assert blind.reason is Reason.GREEKS_UNKNOWN
