"""Black-76 against an independent implementation, against itself backwards, and one contract against a column."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_lets_be_rational import black as reference_black  # type: ignore[import-untyped]
from py_lets_be_rational import implied_volatility_from_a_transformed_rational_guess as reference_volatility

from core.vocabulary import Right
from helpers.black76 import (
    Floats,
    black_delta,
    black_delta_of,
    black_price,
    black_price_of,
    implied_volatility,
    implied_volatility_of,
)
from helpers.pricing import discount_factor

FORWARD, YEARS = 5_350.0, 5.5 * 3600 / 31_536_000
DISCOUNT = discount_factor(4.0, YEARS)


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


@given(
    deviations=st.floats(-6.0, 6.0),
    volatility=st.floats(0.01, 3.0),
    years=st.floats(60 / 31_536_000, 1.0),
)
def test_implied_volatility_gives_back_the_volatility_that_made_the_price(
    deviations: float, volatility: float, years: float
) -> None:
    strike = FORWARD * math.exp(deviations * volatility * math.sqrt(years))
    is_call = np.array([strike > FORWARD])
    price = black_price(column(strike), is_call, FORWARD, column(volatility), years, 1.0)
    found = implied_volatility(price, column(strike), is_call, FORWARD, years, 1.0)
    assert found[0] == pytest.approx(volatility, abs=1e-8)


@given(
    deviations=st.floats(-3.0, 3.0),
    volatility=st.floats(0.03, 2.0),
    years=st.floats(60 / 31_536_000, 1.0),
    is_call=st.booleans(),
)
def test_prices_and_volatilities_equal_those_of_an_independent_implementation(
    deviations: float, volatility: float, years: float, is_call: bool
) -> None:
    strike, side = FORWARD * math.exp(deviations * volatility * math.sqrt(years)), np.array([is_call])
    expected = reference_black(FORWARD, strike, volatility, years, 1.0 if is_call else -1.0)
    price = black_price(column(strike), side, FORWARD, column(volatility), years, 1.0)[0]
    assert price == pytest.approx(expected, rel=1e-9, abs=1e-8)
    if (strike > FORWARD) is is_call:
        found = implied_volatility(column(price), column(strike), side, FORWARD, years, 1.0)[0]
        assert found == pytest.approx(
            reference_volatility(price, FORWARD, strike, years, 1.0 if is_call else -1.0), abs=1e-8
        )


@given(strike=st.floats(4_000, 7_000), volatility=st.floats(0.0, 2.0), is_call=st.booleans())
def test_one_contract_costs_what_it_costs_in_a_column(strike: float, volatility: float, is_call: bool) -> None:
    of_column = black_price(column(strike), np.array([is_call]), FORWARD, column(volatility), YEARS, DISCOUNT)[0]
    assert black_price_of(strike, is_call, FORWARD, volatility, YEARS, DISCOUNT) == pytest.approx(of_column, abs=1e-9)


@given(
    deviations=st.floats(-4.0, 4.0),
    volatility=st.floats(0.05, 2.0),
    years=st.floats(900 / 31_536_000, 1.0),
    is_call=st.booleans(),
)
def test_one_contract_has_the_volatility_and_delta_that_it_has_in_a_column(
    deviations: float, volatility: float, years: float, is_call: bool
) -> None:
    strike, side = FORWARD * math.exp(deviations * volatility * math.sqrt(years)), np.array([is_call])
    price = float(black_price(column(strike), side, FORWARD, column(volatility), years, DISCOUNT)[0])
    of_column = implied_volatility(column(price), column(strike), side, FORWARD, years, DISCOUNT)
    alone = implied_volatility_of(price, strike, is_call, FORWARD, years, DISCOUNT)
    assert alone == pytest.approx(of_column[0], rel=1e-11)
    delta = black_delta(column(strike), side, FORWARD, column(alone), years)[0]
    assert black_delta_of(strike, is_call, FORWARD, alone, years) == pytest.approx(delta, rel=1e-12)


@given(
    quarters=st.integers(1, 200_000),
    share=st.floats(1e-6, 0.999999) | st.sampled_from((0.0, -0.1, 1.000001, math.nan)),
    years=st.floats(60 / 31_536_000, 3.0),
    is_call=st.booleans(),
)
def test_any_price_at_all_gives_one_contract_what_it_gives_it_in_a_column(
    quarters: int, share: float, years: float, is_call: bool
) -> None:
    """share of the way from the intrinsic value to the highest price there can be: unknown unless between the two."""
    strike = quarters / 4
    intrinsic = DISCOUNT * max(FORWARD - strike if is_call else strike - FORWARD, 0.0)
    price = intrinsic + share * (DISCOUNT * (FORWARD if is_call else strike) - intrinsic)
    alone = implied_volatility_of(price, strike, is_call, FORWARD, years, DISCOUNT)
    found = implied_volatility(column(price), column(strike), np.array([is_call]), FORWARD, years, DISCOUNT)[0]
    assert math.isnan(alone) == math.isnan(found)
    # As near as the price tells them apart: of a price that hardly moves with it, only so many digits can be known.
    costs = [black_price_of(strike, is_call, FORWARD, one, years, DISCOUNT) for one in (alone, float(found))]
    assert costs[0] == pytest.approx(costs[1], abs=1e-12 * FORWARD, nan_ok=True)
    assert alone == pytest.approx(found, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("volatility", [0.0, -0.1, math.nan])
def test_without_a_volatility_one_contract_has_no_delta_either(volatility: float) -> None:
    assert math.isnan(black_delta_of(5_300.0, True, FORWARD, volatility, YEARS))
    assert math.isnan(black_delta(column(5_300.0), np.array([True]), FORWARD, column(volatility), YEARS)[0])


@given(strikes=st.lists(st.floats(4_500, 6_200), min_size=2, max_size=8, unique=True), volatility=st.floats(0.05, 2.0))
def test_a_volatility_does_not_depend_on_what_else_is_asked_for(strikes: list[float], volatility: float) -> None:
    strike = np.array(strikes)
    is_call = strike > FORWARD
    price = black_price(strike, is_call, FORWARD, np.full(len(strike), volatility), YEARS, DISCOUNT)
    together = implied_volatility(price, strike, is_call, FORWARD, YEARS, DISCOUNT)
    for n in range(len(strike)):
        one = slice(n, n + 1)
        alone = implied_volatility(price[one], strike[one], is_call[one], FORWARD, YEARS, DISCOUNT)
        assert np.array_equal(alone, together[one], equal_nan=True)


@pytest.mark.parametrize(
    ("price", "strike", "is_call"),
    [
        (0.0, 5_400.0, True),  # worthless
        (-1.0, 5_400.0, True),
        (math.nan, 5_400.0, True),  # no quote
        (49.0, 5_300.0, True),  # below its intrinsic value
        (5_350.0, 5_400.0, True),  # dearer than the underlying
    ],
)
def test_a_price_that_no_volatility_gives_is_unknown_and_never_zero(price: float, strike: float, is_call: bool) -> None:
    found = implied_volatility(column(price), column(strike), np.array([is_call]), FORWARD, YEARS, DISCOUNT)
    assert math.isnan(found[0])
    assert math.isnan(implied_volatility_of(price, strike, is_call, FORWARD, YEARS, DISCOUNT))


@given(volatility=st.floats(0.05, 1.0), strikes=st.lists(st.floats(5_000, 5_700), min_size=2, max_size=20, unique=True))
def test_delta_of_puts_and_calls_of_a_strike_differ_by_one_and_fall_with_the_strike(
    volatility: float, strikes: list[float]
) -> None:
    strike = np.array(sorted(strikes))
    sigma = np.full(len(strike), volatility)
    calls = black_delta(strike, np.full(len(strike), True), FORWARD, sigma, YEARS)
    puts = black_delta(strike, np.full(len(strike), False), FORWARD, sigma, YEARS)
    assert calls - puts == pytest.approx(np.ones(len(strike)))
    assert (np.diff(calls) <= 0).all()
    assert ((calls >= 0) & (calls <= 1)).all()


def test_delta_is_the_slope_of_the_price_in_the_forward() -> None:
    strike, side, sigma = column(5_300, 5_400), np.array([False, True]), column(0.2, 0.2)
    up = black_price(strike, side, FORWARD + 0.01, sigma, YEARS, 1.0)
    down = black_price(strike, side, FORWARD - 0.01, sigma, YEARS, 1.0)
    assert black_delta(strike, side, FORWARD, sigma, YEARS) == pytest.approx((up - down) / 0.02, abs=1e-6)


@pytest.mark.parametrize("right", list(Right))
def test_time_value_is_never_negative(right: Right) -> None:
    strike = np.arange(5_000.0, 5_700.0, 25.0)
    side = np.full(len(strike), right is Right.CALL)
    price = black_price(strike, side, FORWARD, np.full(len(strike), 0.2), YEARS, 1.0)
    intrinsic = np.maximum(np.where(side, FORWARD - strike, strike - FORWARD), 0.0)
    assert (price >= intrinsic).all()
