"""Chains against what they were made from, a few strikes against the whole chain, and the edges of the clock."""

from __future__ import annotations

import dataclasses
import math
from datetime import date, datetime, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import Chain, StrikeRow, Strikes
from helpers.black76 import Floats
from helpers.pricing import (
    discount_factor,
    forward_of_strikes,
    good_quotes,
    parity_forward,
    price_chain,
    settlement_time,
    years_to,
)
from tests.risk.builders import at, call, chain, put, session, without_quotes

FORWARD, YEARS = 5_350.0, 5.5 * 3600 / 31_536_000
DISCOUNT = discount_factor(4.0, YEARS)
DISCOUNT_AT_11 = discount_factor(4.0, 5 * 3600 / 31_536_000)


def rows(made: Chain) -> list[StrikeRow]:
    columns = zip(made.instruments, made.bid.tolist(), made.ask.tolist(), made.wide_limit.tolist(), strict=True)
    return list(columns)


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


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
        (5_335.0, 5_360.0, True),  # one on either side of 5345 and 5350, the two nearest: the third is one of them
        (5_340.0, 5_375.0, False),  # 5345 is the lowest that was read: 5340 may be nearer than 5355
        (5_330.0, 5_355.0, False),  # and 5350 the highest
        (5_340.0, 5_360.0, False),  # three, and nothing else
        (5_345.0, 5_360.0, False),  # two are no three
    ],
)
def test_the_forward_of_some_strikes_is_that_of_all_or_unknown(below: float, above: float, is_sure: bool) -> None:
    made = chain(at(11), forward=5_346.0, low=5_000, high=5_700)
    of_some = forward_of_strikes(Strikes(made.expiry, made.time, rows(made), (below, above)), {}, DISCOUNT_AT_11)
    of_all = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert of_all is not None
    assert of_all.discount == DISCOUNT_AT_11
    assert of_some == (of_all.forward if is_sure else None)


@given(
    forward=st.floats(5_100, 5_600),
    first=st.integers(0, 135),
    count=st.integers(3, 9),
    missing=st.sets(st.integers(0, 17), max_size=4),
)
def test_whichever_strikes_are_read_their_forward_is_that_of_all_or_unknown(
    forward: float, first: int, count: int, missing: set[int]
) -> None:
    """Also where some of them have no GOOD quote, and wherever the forward is among them or beside them."""
    strikes = [5_000.0 + 5 * n for n in range(141)]
    last = min(first + count, 140)
    around = [n for n, strike in enumerate(strikes) if abs(strike - forward) < 22]
    gone = [f(strikes[around[n // 2 % len(around)]]) for n in sorted(missing) for f in ((put, call)[n % 2],)]
    made = without_quotes(chain(at(11), forward=forward, low=5_000, high=5_700), *[one.symbol for one in gone])
    below, above = strikes[first - 1] if first else -math.inf, strikes[last] if last < 140 else math.inf
    some = [row for row in rows(made) if below < row[0].strike < above]
    found = forward_of_strikes(Strikes(made.expiry, made.time, some, (below, above)), {}, DISCOUNT_AT_11)
    of_all = price_chain(made, session(), rate_pct=4.0, min_years_s=60)
    assert found is None or (of_all is not None and found == of_all.forward)


@pytest.mark.parametrize(
    ("bid", "ask", "wide_limit"),
    [(0.0, 1.0, 9.0), (math.nan, 1.0, math.nan), (1.0, math.nan, math.nan), (1.0, 1.0, 9.0), (1.0, 1.2, 0.1)],
)
def test_a_strike_without_a_good_quote_has_no_mid(bid: float, ask: float, wide_limit: float) -> None:
    made, odd, mids = chain(at(11)), put(5_200), dict[str, float]()
    quoted = [(odd, bid, ask, wide_limit) if row[0] == odd else row for row in rows(made)]
    assert forward_of_strikes(Strikes(made.expiry, made.time, quoted, (-math.inf, math.inf)), mids, 1.0) is not None
    assert math.isnan(mids[odd.symbol])
    assert put(1_000).symbol not in mids
    place = made.instruments.index(put(5_300))
    assert mids[put(5_300).symbol] == (made.bid[place] + made.ask[place]) / 2


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


def test_fp66_a_clock_change_moves_the_seconds_to_settlement() -> None:
    # Given Friday before the clocks go forward (9 March 2025) and Monday's settlement,
    friday, monday = datetime(2025, 3, 7, 16), datetime(2025, 3, 10, 16)
    # then the weekend has 71 hours; in autumn (2 November) it has 73.
    assert years_to(monday, friday, min_s=60) == 71 * 3600 / 31_536_000
    assert years_to(datetime(2025, 11, 3, 16), datetime(2025, 10, 31, 16), min_s=60) == 73 * 3600 / 31_536_000
    assert years_to(datetime(2025, 9, 12, 16), datetime(2025, 9, 12, 10, 30), min_s=60) == 5.5 * 3600 / 31_536_000


def test_time_to_settlement_follows_an_early_close_and_never_falls_below_a_minute() -> None:
    half = session(date(2025, 11, 28), close=time(13))
    assert settlement_time(half.day, half) == datetime(2025, 11, 28, 13)
    assert settlement_time(date(2025, 12, 1), half) == datetime(2025, 12, 1, 16)
    assert years_to(half.close, half.close, min_s=60) == pytest.approx(60 / 31_536_000)
