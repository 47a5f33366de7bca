"""Pricing against an independent implementation, against itself backwards, and at the edges of the clock."""

from __future__ import annotations

import dataclasses
import math
from datetime import date, datetime, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py_lets_be_rational import black as reference_black  # type: ignore[import-untyped]
from py_lets_be_rational import implied_volatility_from_a_transformed_rational_guess as reference_volatility

from core.market import Strikes
from core.vocabulary import Right
from helpers.pricing import (
    Floats,
    black_delta,
    black_delta_of,
    black_price,
    black_price_of,
    discount_factor,
    good_quotes,
    implied_volatility,
    implied_volatility_of,
    parity_forward,
    price_chain,
    price_strikes,
    seconds_between,
    settlement_time,
    years_to,
)
from tests.risk.builders import at, call, chain, put, session, without_quotes

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


def test_parity_forward_is_the_median_of_the_three_strikes_nearest_the_money() -> None:
    strike = column(5_340, 5_345, 5_350, 5_355, 5_340, 5_345, 5_350, 5_355)
    is_call = np.array([False] * 4 + [True] * 4)
    # Parity says 5351 at the three where call and put cost nearly the same; the dear pair far away is not asked,
    # and neither is the cheap one whose quote is broken.
    mid = column(4, 5, 6, 1, 15, 11, 7, 40)
    assert parity_forward(strike, is_call, mid, np.full(8, True), 1.0) == pytest.approx(5_351.0)


@pytest.mark.parametrize(
    ("below", "above", "is_sure"),
    [
        (5_330.0, 5_375.0, True),
        (-math.inf, math.inf, True),
        (5_335.0, 5_375.0, False),  # 5340 is the lowest that was read, and one of the three
        (5_330.0, 5_355.0, False),  # nothing above the three was read
        (5_345.0, 5_360.0, False),  # two are no three
        (5_335.0, 5_360.0, False),  # the three, and nothing else
    ],
)
def test_the_forward_of_some_strikes_is_that_of_all_or_unknown(below: float, above: float, is_sure: bool) -> None:
    made = chain(at(11), forward=5_346.0, low=5_000, high=5_700)
    columns = zip(made.instruments, made.bid.tolist(), made.ask.tolist(), made.wide_limit.tolist(), strict=True)
    of_some = price_strikes(
        Strikes(made.expiry, made.time, list(columns), (below, above)), {}, session(), rate_pct=4.0, min_years_s=60
    )
    of_all = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert of_all is not None
    assert (None if of_some is None else of_some.forward) == (of_all.forward if is_sure else None)


@pytest.mark.parametrize(
    ("bid", "ask", "wide_limit"),
    [(0.0, 1.0, 9.0), (math.nan, 1.0, math.nan), (1.0, math.nan, math.nan), (1.0, 1.0, 9.0), (1.0, 1.2, 0.1)],
)
def test_a_strike_without_a_good_quote_says_nothing_of_volatility(bid: float, ask: float, wide_limit: float) -> None:
    made, odd = chain(at(11)), put(5_200)
    rows = list(zip(made.instruments, made.bid.tolist(), made.ask.tolist(), made.wide_limit.tolist(), strict=True))
    rows = [(one, bid, ask, wide_limit) if one == odd else (one, *quote) for one, *quote in rows]
    strikes = Strikes(made.expiry, made.time, rows, (-math.inf, math.inf))
    priced = price_strikes(strikes, {}, session(), rate_pct=4.0, min_years_s=60)
    assert priced is not None
    volatility = priced.volatility_of(odd)
    assert volatility is not None
    assert math.isnan(volatility)
    assert priced.volatility_of(put(1_000)) is None
    assert priced.volatility_of(put(5_300)) == pytest.approx(0.20, abs=1e-6)


def test_a_contract_without_a_bid_or_inside_out_is_not_good() -> None:
    made = chain(at(11), low=5_340, high=5_360)
    bid = made.bid.copy()
    bid[0], bid[1], bid[2] = 0.0, made.ask[1], math.nan
    wide = made.wide_limit.copy()
    wide[3] = 0.04
    good = good_quotes(dataclasses.replace(made, bid=bid, wide_limit=wide))
    assert list(good[:5]) == [False, False, False, False, True]


def test_the_discount_is_that_of_four_percent_a_year() -> None:
    assert discount_factor(4.0, 0.5) == pytest.approx(math.exp(-0.02))


def test_parity_forward_of_two_strikes_is_unknown() -> None:
    strike, is_call = column(5_350, 5_355, 5_350, 5_355), np.array([False, False, True, True])
    assert parity_forward(strike, is_call, column(6, 9, 7, 5), np.full(4, True), 1.0) is None


def test_a_chain_gives_back_forward_smile_and_delta_it_was_made_from() -> None:
    def smile(strike: float) -> float:
        return 0.20 + (5_350 - strike) * 1e-4

    made = chain(at(11), forward=5_352.3, volatility=smile)
    priced = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert priced is not None
    assert priced.forward == pytest.approx(5_352.3, abs=1e-6)
    place = priced.position(put(5_300))
    assert place is not None
    assert priced.volatility()[place] == pytest.approx(smile(5_300), abs=1e-6)
    assert priced.volatility_of(place) == pytest.approx(smile(5_300), abs=1e-6)
    assert -0.5 < priced.delta()[place] < 0


def test_a_contract_without_a_good_quote_takes_the_volatility_between_its_neighbours() -> None:
    def smile(strike: float) -> float:
        return 0.20 + (5_350 - strike) * 1e-4

    made = without_quotes(chain(at(11), volatility=smile), put(5_300).symbol, put(5_305).symbol)
    priced = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert priced is not None
    place = priced.position(put(5_300))
    assert place is not None
    assert priced.volatility()[place] == pytest.approx(smile(5_300), abs=1e-4)
    assert priced.volatility_of(place) == pytest.approx(priced.volatility()[place], abs=1e-12)


def test_beyond_the_last_good_quote_volatility_is_unknown() -> None:
    made = without_quotes(chain(at(11), low=5_200, high=5_500), put(5_200).symbol, call(5_500).symbol)
    priced = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert priced is not None
    for instrument in (put(5_200), call(5_500)):
        place = priced.position(instrument)
        assert place is not None
        assert math.isnan(priced.volatility()[place])
        assert math.isnan(priced.volatility_of(place))


def test_a_contract_nobody_bids_for_and_that_is_offered_at_a_dime_has_no_delta() -> None:
    made = chain(at(15, 30), low=4_800, high=5_900, spread=0.05)
    priced = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert priced is not None
    place = priced.position(put(4_800))
    assert place is not None
    assert math.isnan(made.bid[place])
    assert priced.delta()[place] == 0.0


def test_a_symbol_that_is_not_in_the_chain_has_no_position() -> None:
    priced = price_chain(chain(at(11)), session(), rate_pct=4.0, min_years_s=60)
    assert priced is not None
    assert priced.position(put(5_302.5)) is None
    assert priced.position(put(9_000)) is None
    assert priced.position(put(5_300, date(2025, 9, 19))) is None


def test_a_chain_without_three_pairs_has_no_forward() -> None:
    assert price_chain(chain(at(11), low=5_350, high=5_355), session(), rate_pct=4.0, min_years_s=60) is None


@pytest.mark.parametrize("right", list(Right))
def test_time_value_is_never_negative(right: Right) -> None:
    strike = np.arange(5_000.0, 5_700.0, 25.0)
    side = np.full(len(strike), right is Right.CALL)
    price = black_price(strike, side, FORWARD, np.full(len(strike), 0.2), YEARS, 1.0)
    intrinsic = np.maximum(np.where(side, FORWARD - strike, strike - FORWARD), 0.0)
    assert (price >= intrinsic).all()


def test_fp66_a_clock_change_moves_the_seconds_to_settlement() -> None:
    # Given Friday before the clocks go forward (9 March 2025) and Monday's settlement,
    friday, monday = datetime(2025, 3, 7, 16), datetime(2025, 3, 10, 16)
    # then the weekend has 71 hours; in autumn (2 November) it has 73.
    assert seconds_between(friday, monday) == 71 * 3600
    assert seconds_between(datetime(2025, 10, 31, 16), datetime(2025, 11, 3, 16)) == 73 * 3600
    assert seconds_between(datetime(2025, 9, 12, 10, 30), datetime(2025, 9, 12, 16)) == 5.5 * 3600


def test_time_to_settlement_follows_an_early_close_and_never_falls_below_a_minute() -> None:
    half = session(date(2025, 11, 28), close=time(13))
    assert settlement_time(half.day, half) == datetime(2025, 11, 28, 13)
    assert settlement_time(date(2025, 12, 1), half) == datetime(2025, 12, 1, 16)
    assert years_to(half.close, half.close, min_s=60) == pytest.approx(60 / 31_536_000)
