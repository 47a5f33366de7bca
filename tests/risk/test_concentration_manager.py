"""Concentration: what adds up over strategies, judged on exposure as it is now and never on the sign of an idea."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import MarketSnapshot
from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import Instrument, Structure, StructureName, UnitRisk
from risk.book_stress import BookStress
from risk.concentration_manager import ConcentrationManager
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from tests.risk.builders import (
    BookKeeper,
    at,
    call,
    call_spread,
    chain,
    condor,
    legs,
    opening,
    put_spread,
    shares,
    snapshot,
    unit_risk,
    vix,
)

SETTINGS = Settings()
CHAIN = chain(at(11), low=5_200, high=5_500)
LIMIT_USD = 50_000.0  # 50 % of the 100,000 of the tests


def made() -> ConcentrationManager:
    pricer = StepPricer(SETTINGS.greeks)
    return ConcentrationManager(
        SETTINGS.concentration,
        BookStress(SETTINGS.margin, StressTester(SETTINGS.stress, pricer), pricer),
    )


def step(value: float = 24.0, equity_usd: float | None = 100_000.0) -> MarketSnapshot:
    return snapshot(at(11), reading=vix(value), equity_usd=equity_usd, chains=[CHAIN])


def asked(
    keeper: BookKeeper,
    *,
    strategy: str = "newcomer",
    structure: Structure | None = None,
    risk: UnitRisk | None = None,
    now: MarketSnapshot | None = None,
) -> Reason:
    intent = opening(structure, strategy=strategy, risk=unit_risk(max_loss_usd=100.0) if risk is None else risk)
    return made().rule(intent, step() if now is None else now, keeper.books).reason


def loaded(delta_sign: int = 1, units: int = 1) -> BookKeeper:
    """Books with a working opening that is long (+1) or short (-1) the index."""
    keeper = BookKeeper()
    structure = put_spread(5_345, 10) if delta_sign > 0 else call_spread(5_355, 10)
    keeper.plan(structure, units=units, risk_usd=100.0, margin_usd=100.0)
    return keeper


def net(keeper: BookKeeper) -> float:
    found = made().net_delta_usd(step(), keeper.books)
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------- strategies of a family


def test_cn1_a_third_strategy_on_spx_is_refused_and_a_holders_second_order_passes() -> None:
    keeper = BookKeeper()
    keeper.plan(condor(), strategy="friday_0dte", risk_usd=100.0)
    assert asked(keeper, strategy="lt112") is Reason.ALLOWED
    keeper.plan(condor(), strategy="lt112", risk_usd=100.0)
    assert asked(keeper, strategy="ipmcc") is Reason.CONC_STRATEGIES
    assert asked(keeper, strategy="friday_0dte") is Reason.ALLOWED


def test_fp16_of_five_requests_two_strategies_pass_and_the_holders_second() -> None:
    keeper, answers = BookKeeper(), []
    for name in ("friday_0dte", "lt112", "ipmcc", "friday_0dte", "strangle"):
        answers.append(asked(keeper, strategy=name))
        if answers[-1] is Reason.ALLOWED:
            keeper.plan(condor(), strategy=name, risk_usd=100.0)
    allowed, refused = Reason.ALLOWED, Reason.CONC_STRATEGIES
    assert answers == [allowed, allowed, refused, allowed, refused]


def test_in_high_regimes_a_family_has_one_place() -> None:
    keeper = BookKeeper()
    keeper.plan(condor(), strategy="friday_0dte", risk_usd=100.0)
    assert asked(keeper, strategy="lt112", now=step(29.9)) is Reason.ALLOWED
    assert asked(keeper, strategy="lt112", now=step(30.0)) is Reason.CONC_STRATEGIES


def test_the_rotation_book_and_bought_structures_take_no_place() -> None:
    keeper = BookKeeper()
    keeper.plan(shares("SPY"), strategy="etf_rotation", risk_usd=0.0, margin_usd=0.0)
    bought = Structure(StructureName.SINGLE, legs((call(5_350), 1)))
    keeper.plan(bought, strategy="leap", risk_usd=100.0)
    keeper.plan(condor(), strategy="friday_0dte", risk_usd=100.0)
    assert asked(keeper, strategy="lt112") is Reason.ALLOWED
    keeper.plan(condor(), strategy="lt112", risk_usd=100.0)
    assert asked(keeper, strategy="ladder", structure=bought) is Reason.ALLOWED


def test_fp15_exposure_is_there_until_flat_and_gone_after() -> None:
    keeper = BookKeeper()
    first = keeper.hold(condor(), strategy="friday_0dte", risk_usd=100.0)
    keeper.plan(condor(), strategy="lt112", risk_usd=100.0)
    assert asked(keeper, strategy="ipmcc") is Reason.CONC_STRATEGIES
    keeper.close(first)
    assert asked(keeper, strategy="ipmcc") is Reason.ALLOWED


# ------------------------------------------------------------------------------------------- risk and margin of a
# family


@pytest.mark.parametrize(
    ("margin", "loss", "reason"),
    [
        (10_000.0, 100.0, Reason.ALLOWED),  # 20,000 + 10,000 is 30 % of equity
        (10_000.01, 100.0, Reason.CONC_ALLOCATION),
        (100.0, 2_000.0, Reason.ALLOWED),  # 4,000 + 2,000 is 6 %
        (100.0, 2_000.01, Reason.CONC_RISK),
        (100.0, None, Reason.CONC_RISK),  # unknown
    ],
)
def test_fp14_one_unit_above_a_family_limit_is_refused_and_one_below_allowed(
    margin: float, loss: float | None, reason: Reason
) -> None:
    keeper = BookKeeper()
    keeper.plan(condor(), risk_usd=4_000.0, margin_usd=20_000.0)
    assert asked(keeper, risk=unit_risk(margin_usd=margin, max_loss_usd=loss)) is reason


def test_another_family_has_its_own_room() -> None:
    keeper = BookKeeper()
    keeper.plan(condor(), risk_usd=6_000.0, margin_usd=30_000.0)
    gold = Structure(StructureName.SHARES, legs((Instrument("GLD", "GLD"), 1)))
    assert asked(keeper, structure=gold) is Reason.ALLOWED
    spy = Structure(StructureName.SHARES, legs((Instrument("SPY", "SPY"), 1)))
    assert asked(keeper, structure=spy) is Reason.CONC_RISK


# -----------------------------------------------------------------------------------------------------------------
# delta


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (LIMIT_USD, Reason.ALLOWED),
        (LIMIT_USD + 1, Reason.CONC_DELTA),
        (-LIMIT_USD, Reason.ALLOWED),
        (-LIMIT_USD - 1, Reason.CONC_DELTA),
        (None, Reason.GREEKS_UNKNOWN),
    ],
)
def test_fp14_delta_is_taken_as_it_is_and_not_multiplied_twice(unit: float | None, reason: Reason) -> None:
    risk = unit_risk(max_loss_usd=100.0, delta_usd=unit)
    assert asked(BookKeeper(), risk=risk) is reason


def test_fp14_a_hedge_passes_however_far_the_limit_is_exceeded() -> None:
    keeper = loaded(1, units=20)
    here = net(keeper)
    assert here > LIMIT_USD
    assert asked(keeper, risk=unit_risk(max_loss_usd=100.0, delta_usd=-1_000.0)) is Reason.ALLOWED
    assert asked(keeper, risk=unit_risk(max_loss_usd=100.0, delta_usd=1_000.0)) is Reason.CONC_DELTA
    assert asked(keeper, risk=unit_risk(max_loss_usd=100.0, delta_usd=-2 * here - 1_000.0)) is Reason.CONC_DELTA


def test_fp17_bullish_and_bearish_strategies_are_judged_on_what_is_left_of_both() -> None:
    keeper = loaded(1, units=10)
    keeper.plan(call_spread(5_355, 10), strategy="lt112", units=10, risk_usd=10.0, margin_usd=10.0)
    assert abs(net(keeper)) < 0.1 * net(loaded(1, units=10))
    assert asked(keeper, strategy="lt112", risk=unit_risk(max_loss_usd=10.0, delta_usd=30_000.0)) is Reason.ALLOWED


def test_in_high_regimes_half_the_delta_is_left() -> None:
    risk = unit_risk(max_loss_usd=100.0, delta_usd=30_000.0)
    assert asked(BookKeeper(), risk=risk, now=step(29.9)) is Reason.ALLOWED
    assert asked(BookKeeper(), risk=risk, now=step(30.0)) is Reason.CONC_DELTA


def test_a_holding_of_unknown_delta_refuses_new_risk() -> None:
    keeper = BookKeeper()
    keeper.hold(condor())
    dark = snapshot(at(11))  # no chain in this minute
    assert asked(keeper, now=dark, strategy="friday_0dte") is Reason.GREEKS_UNKNOWN
    assert made().bound(opening(), dark, keeper.books).units == 0.0


def test_an_underlying_of_unknown_beta_is_refused() -> None:
    odd = Structure(StructureName.SHARES, legs((Instrument("XYZ", "XYZ"), 1)))
    assert asked(BookKeeper(), structure=odd) is Reason.UNKNOWN_BETA


def test_without_equity_nothing_passes() -> None:
    assert asked(BookKeeper(), now=step(equity_usd=None)) is Reason.EQUITY_UNKNOWN
    assert made().bound(opening(), step(equity_usd=None), BookKeeper().books).units == 0.0


@given(sign=st.sampled_from([-1, 1]), units=st.integers(1, 30), share=st.floats(0.0, 1.99))
def test_cn_p1_lowering_net_delta_is_never_refused_for_delta(sign: int, units: int, share: float) -> None:
    keeper = loaded(sign, units)
    keeper.books.open_trades()[0].risk_u6 = 0  # delta alone is in play
    unit = -net(keeper) * share
    assert (
        asked(keeper, strategy="friday_0dte", risk=unit_risk(max_loss_usd=1.0, margin_usd=1.0, delta_usd=unit))
        is Reason.ALLOWED
    )


# ------------------------------------------------------------------------------------------------------------- the
# bound


@given(
    sign=st.sampled_from([-1, 1]),
    units=st.integers(0, 20),
    delta=st.floats(-60_000, 60_000).filter(lambda d: abs(d) > 1),
)
def test_the_bound_and_the_gate_agree(sign: int, units: int, delta: float) -> None:
    keeper = loaded(sign, units) if units else BookKeeper()
    risk = unit_risk(max_loss_usd=100.0, margin_usd=100.0, delta_usd=delta)
    room = made().bound(opening(risk=risk, strategy="friday_0dte"), step(), keeper.books)
    here = net(keeper) if units else 0.0
    whole = int(room.units)
    assert abs(here + whole * delta) <= max(LIMIT_USD, abs(here)) * (1 + 1e-9)
    if room.units < 20:  # risk and margin of the family leave room for 20 units and more
        assert abs(here + (whole + 1) * delta) > max(LIMIT_USD, abs(here)) * (1 - 1e-9)
    allowed = asked(keeper, strategy="friday_0dte", risk=risk) is Reason.ALLOWED
    assert allowed is (room.units >= 1.0)


@pytest.mark.parametrize("delta", [math.nan, math.inf, -math.inf])
def test_a_delta_that_is_no_number_leaves_no_room(delta: float) -> None:
    risk = unit_risk(max_loss_usd=100.0, delta_usd=delta)
    assert made().bound(opening(risk=risk), step(), BookKeeper().books).units == 0.0
    assert asked(BookKeeper(), risk=risk) is Reason.CONC_DELTA


def test_the_bound_is_the_smallest_of_delta_risk_and_margin() -> None:
    keeper = BookKeeper()
    keeper.plan(condor(), risk_usd=4_000.0, margin_usd=20_000.0)

    def room(**figures: float) -> float:
        risk = unit_risk(**{"max_loss_usd": 1.0, "margin_usd": 1.0, "delta_usd": 0.0, **figures})  # type: ignore[arg-type]
        return made().bound(opening(risk=risk), step(), keeper.books).units

    assert room(max_loss_usd=500.0) == pytest.approx(4.0)
    assert room(margin_usd=5_000.0) == pytest.approx(2.0)
    assert room(delta_usd=20_000.0) == pytest.approx(2.5, abs=0.05)
    assert room(max_loss_usd=500.0, margin_usd=2_500.0, delta_usd=20_000.0) == pytest.approx(2.5, abs=0.05)
