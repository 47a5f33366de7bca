"""Option worth: no arbitrage, the smile's slope, and what the clock does to implied volatility."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.market.paths import SESSIONS_A_YEAR
from tools.market.surface import (
    DIVIDEND_YIELD,
    RATE,
    Smile,
    price,
    remaining_share,
    sessions_left,
    smile_shape,
    total_variance,
)

SPOT = 6_000.0


def chain(vix: float, sessions: float, strikes: np.ndarray[tuple[int], np.dtype[np.float64]], years: float) -> Smile:
    one = np.array([1.0])
    return price(SPOT * one, strikes, vix * one, sessions * one, years * one, smile_shape(sessions))


@given(vix=st.floats(9, 90), sessions=st.floats(0.02, 95))
def test_prices_allow_no_arbitrage(vix: float, sessions: float) -> None:
    years = sessions / SESSIONS_A_YEAR
    strikes = np.arange(4_500.0, 7_501.0, 5.0)
    smile = chain(vix, sessions, strikes, years)
    call, put = smile.call[0], smile.put[0]
    discount = np.exp(-RATE * years)
    forward = SPOT * np.exp((RATE - DIVIDEND_YIELD) * years)
    assert np.allclose(call - put, discount * (forward - strikes), atol=1e-8)
    assert np.all(np.diff(call) <= 1e-9)
    assert np.all(np.diff(put) >= -1e-9)
    assert np.all(np.diff(call) >= -5.0 * discount - 1e-9)
    assert np.all(np.diff(call, 2) >= -1e-7)
    assert np.all(np.diff(smile.call_delta[0]) <= 1e-9)


@given(vix=st.floats(9, 90), near=st.floats(0.02, 90), more=st.floats(0.01, 30))
def test_later_expiries_hold_more_variance(vix: float, near: float, more: float) -> None:
    level = np.array([vix, vix])
    first, second = total_variance(level, np.array([near, near + more]))
    assert second > first


@pytest.mark.parametrize(("sessions", "slope"), [(0.65, -0.08), (2.5, -0.20), (5.0, -0.21), (30.0, -0.21)])
def test_volatility_falls_with_the_strike_as_measured(sessions: float, slope: float) -> None:
    deviation = float(np.sqrt(total_variance(np.array([25.0]), np.array([sessions]))[0]))
    strikes = SPOT * np.exp(deviation * np.array([-0.1, 0.0, 0.1]))
    sigma = np.sqrt(chain(25.0, sessions, strikes, 1e-9).variance[0])
    assert (sigma[2] - sigma[0]) / sigma[1] / 0.2 == pytest.approx(slope, abs=0.02)


def test_implied_volatility_of_the_last_day_rises_through_it() -> None:
    """Measured on 2021-01-08, VIX 22: 0.26 at 10:00, 0.34 at 14:00, 0.46 at 15:30, in calendar time."""
    left = sessions_left(date(2025, 9, 10), 390, date(2025, 9, 10))
    minutes = np.array([30, 270, 360])
    years = (390 - minutes) * 60 / 31_536_000
    implied = np.sqrt(total_variance(np.full(3, 22.0), left[minutes]) / years)
    assert implied[0] == pytest.approx(0.26, abs=0.03)
    assert implied[0] < implied[1] < implied[2]
    assert 1.4 < implied[2] / implied[0] < 1.9


def test_thirty_days_pay_what_vix_says() -> None:
    for vix in (12.0, 20.0, 35.0, 60.0):
        implied = 100 * np.sqrt(total_variance(np.array([vix]), np.array([21.0]))[0] * SESSIONS_A_YEAR / 21)
        assert 0.75 <= vix / implied <= 1.6  # the cross-check of risk.md


def test_nothing_is_left_at_the_close_and_a_half_day_holds_less() -> None:
    for minutes in (390, 210):
        left = remaining_share(minutes)
        assert left[0] == pytest.approx(1.0)
        assert left[-1] == 0.0
        assert np.all(np.diff(left) < 0)
    whole = sessions_left(date(2025, 11, 26), 390, date(2025, 12, 1))
    half = sessions_left(date(2025, 12, 2), 390, date(2025, 12, 4))
    assert whole[0] < half[0]  # two sessions each, one of the first two ends at 13:00
