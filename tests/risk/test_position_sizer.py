"""Size: inside every bound, zero where anything is missing, never one by force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books import Books
from core.reasons import Reason
from core.rules import SizeBound
from core.settings import Settings
from core.strategy import UnitCap
from core.vocabulary import RiskBasis, UnitRisk
from risk.invariants import Invariants
from risk.position_sizer import FROM_MANAGERS, PositionSizer, quotient
from tests.risk.builders import STRATEGY, BookKeeper, at, opening, snapshot, unit_risk

SETTINGS = Settings()
SIZER = PositionSizer(SETTINGS.sizer)
NO_CAP = UnitCap(1_000, "none")


def bounds(units: float = 1_000.0, **named: float) -> list[SizeBound]:
    """The bounds that the managers give, all of them wide unless named."""
    return [SizeBound(name, named.get(name, units), reason) for name, reason in FROM_MANAGERS.items()]


def experienced(trades: int = 10) -> Books:
    keeper = BookKeeper()
    for _ in range(trades):
        keeper.close(keeper.hold(when=at(10, 30)))
    return keeper.books


EXPERIENCED = experienced()


def units(
    *,
    equity: float | None = 100_000.0,
    risk: UnitRisk | None = None,
    scale: float = 1.0,
    given_bounds: list[SizeBound] | None = None,
    cap: UnitCap = NO_CAP,
    books: Books = EXPERIENCED,
) -> tuple[int, Reason]:
    intent = opening(risk=unit_risk() if risk is None else risk)
    step = snapshot(equity_usd=equity)
    answer = SIZER.size(intent, step, books, scale, bounds() if given_bounds is None else given_bounds, cap)
    return answer.units, answer.verdict.reason


def test_ps1_equity_45k_loss_400_at_vix_23_buys_one() -> None:
    assert units(equity=45_000, risk=unit_risk(max_loss_usd=400), scale=0.75) == (1, Reason.ALLOWED)


def test_ps2_the_same_with_a_loss_of_700_buys_none() -> None:
    assert units(equity=45_000, risk=unit_risk(max_loss_usd=700), scale=0.75) == (0, Reason.SIZE_ZERO_RISK)


@pytest.mark.parametrize(
    ("equity", "loss", "scale", "expected"),
    [
        (100_000, 755.48, 0.75, 1),  # F0-01
        (100_000, 880.24, 0.75, 1),  # F0-02
        (30_000, 380.48, 0.75, 1),  # F0-07
        (24_000, 380.48, 0.75, 0),
        (100_000, 500.0, 1.0, 4),  # exactly four
    ],
)
def test_the_budget_is_two_percent_of_equity_scaled(equity: float, loss: float, scale: float, expected: int) -> None:
    assert units(equity=equity, risk=unit_risk(max_loss_usd=loss), scale=scale)[0] == expected


@pytest.mark.parametrize("name", list(FROM_MANAGERS))
def test_the_smallest_bound_gives_size_and_reason(name: str) -> None:
    cheap = unit_risk(max_loss_usd=100.0)
    assert units(risk=cheap, given_bounds=bounds(**{name: 3.9})) == (3, Reason.ALLOWED)
    assert units(risk=cheap, given_bounds=bounds(**{name: 0.99})) == (0, FROM_MANAGERS[name])


def test_naked_structures_are_also_bound_by_the_crash() -> None:
    naked = unit_risk(basis=RiskBasis.STRESS, max_loss_usd=None, t_loss_usd=500.0, c_loss_usd=2_600.0)
    assert units(risk=naked) == (1, Reason.ALLOWED)
    assert units(risk=naked, scale=0.5) == (0, Reason.SIZE_ZERO_CRASH)
    worse = unit_risk(basis=RiskBasis.STRESS, max_loss_usd=None, t_loss_usd=500.0, c_loss_usd=5_001.0)
    assert units(risk=worse) == (0, Reason.SIZE_ZERO_CRASH)


def test_the_strategys_cap_comes_after_the_bounds() -> None:
    cheap = unit_risk(max_loss_usd=100.0)
    assert units(risk=cheap, cap=UnitCap(5, "max_units")) == (5, Reason.ALLOWED)
    assert units(risk=cheap, cap=UnitCap(0, "max_units")) == (0, Reason.STRATEGY_CAP)


@pytest.mark.parametrize(("closed", "expected"), [(0, 3), (9, 3), (10, 5)])
def test_fewer_than_ten_closed_trades_get_half_rounded_up(closed: int, expected: int) -> None:
    cheap = unit_risk(max_loss_usd=400.0)
    assert units(risk=cheap, books=experienced(closed)) == (expected, Reason.ALLOWED)


def test_trades_of_another_strategy_are_no_experience() -> None:
    keeper = BookKeeper()
    for _ in range(10):
        keeper.close(keeper.hold(strategy="lt112", when=at(10, 30)))
    assert units(risk=unit_risk(max_loss_usd=400.0), books=keeper.books)[0] == 3


def test_all_bounds_are_told_in_whole_units() -> None:
    answer = SIZER.size(
        opening(risk=unit_risk(max_loss_usd=400.0)), snapshot(), EXPERIENCED, 1.0, bounds(9.7, DELTA=math.inf), NO_CAP
    )
    assert answer.bounds == {"RISK": 5, "MARGIN": 9, "STRESS": 9, "PHASE": 9, "DELTA": 1_000_000, "CAP": 1_000}
    assert all(type(value) is int for value in answer.bounds.values())


# --------------------------------------------------------------------------------------------------------- properties

MONEY = st.floats(1, 1e7)


@given(equity=MONEY, loss=st.floats(1, 1e5), scale=st.floats(0.01, 1), more=st.floats(0, 1e5), less=st.floats(0, 1))
def test_ps_p1_units_never_rise_with_risk_and_never_fall_with_equity(
    equity: float, loss: float, scale: float, more: float, less: float
) -> None:
    here = units(equity=equity, risk=unit_risk(max_loss_usd=loss), scale=scale)[0]
    assert here >= 0
    assert units(equity=equity + more, risk=unit_risk(max_loss_usd=loss), scale=scale)[0] >= here
    assert units(equity=equity, risk=unit_risk(max_loss_usd=loss), scale=scale * less)[0] <= here
    assert units(equity=equity, risk=unit_risk(max_loss_usd=loss + more), scale=scale)[0] <= here
    used = bounds(1_000.0 * less)
    assert units(equity=equity, risk=unit_risk(max_loss_usd=loss), scale=scale, given_bounds=used)[0] <= here


@given(equity=MONEY, loss=st.floats(0.01, 1e6), scale=st.floats(0.01, 1))
def test_ps_p2_the_risk_of_all_units_is_within_two_percent(equity: float, loss: float, scale: float) -> None:
    size, _ = units(equity=equity, risk=unit_risk(max_loss_usd=loss), scale=scale, given_bounds=bounds(math.inf))
    assert min(size, 1_000) * loss <= 0.02 * equity * (1 + 1e-9)


BAD = st.sampled_from([math.nan, -1.0, -math.inf])


@given(name=st.sampled_from(list(FROM_MANAGERS)), bad=BAD)
def test_ps_p3_a_bound_that_is_missing_or_no_number_is_zero(name: str, bad: float) -> None:
    missing = [bound for bound in bounds() if bound.name != name]
    assert units(given_bounds=missing) == (0, FROM_MANAGERS[name])
    assert units(given_bounds=bounds(**{name: bad})) == (0, FROM_MANAGERS[name])


@pytest.mark.parametrize("equity", [None, 0.0, -1.0, math.nan, math.inf])
def test_ps_p3_equity_that_is_unknown_is_zero(equity: float | None) -> None:
    assert units(equity=equity) == (0, Reason.SIZE_ZERO_RISK)


@pytest.mark.parametrize("loss", [None, 0.0, -1.0, math.nan, math.inf])
def test_ps_p3_a_loss_that_is_unknown_is_zero(loss: float | None) -> None:
    assert units(risk=unit_risk(max_loss_usd=loss)) == (0, Reason.SIZE_ZERO_RISK)


def test_ps_p3_an_intent_without_risk_is_zero() -> None:
    intent = opening()
    bare = type(intent)(intent.kind, intent.strategy, intent.structure, intent.ladder)
    answer = SIZER.size(bare, snapshot(), EXPERIENCED, 1.0, bounds(), NO_CAP)
    assert (answer.units, answer.verdict.reason) == (0, Reason.SIZE_ZERO_RISK)


@pytest.mark.parametrize("wrong", [-1, 0, math.nan, 1.5, True, "2", None])
def test_fp06_a_size_that_is_no_whole_number_above_zero_never_becomes_an_order(wrong: object) -> None:
    sized = opening(qty=wrong)  # type: ignore[arg-type]
    verdict = Invariants(SETTINGS.sizer).rule(sized, snapshot(), BookKeeper().books)
    assert verdict.reason is Reason.DENIED_SIZE


@given(budget=st.floats(allow_nan=True), per_unit=st.one_of(st.none(), st.floats(allow_nan=True)))
def test_a_quotient_is_a_number_from_zero_on_whatever_goes_in(budget: float, per_unit: float | None) -> None:
    assert quotient(budget, per_unit) >= 0.0


def test_the_strategy_of_these_tests_is_the_one_of_the_books() -> None:
    assert len(EXPERIENCED.closed_trades(STRATEGY)) == 10
