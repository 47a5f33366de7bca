"""What SPXW options are worth: a variance clock, a term structure hung on VIX, and a smile without arbitrage.

Variance is counted in sessions, not in hours: it accrues while the market is open, faster at both ends of the day, and
overnight in one piece.  Seen through calendar time the implied volatility of a same-day option therefore rises through
the day, as it does in the market.  Each expiry's smile is a slice of SSVI (Gatheral and Jacquier 2014), whose condition
against butterfly arbitrage the constants below meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from tools.market import calendar
from tools.market.paths import HALF_DAY_SHARE, OVERNIGHT_SHARE, SESSIONS_A_YEAR, minute_weights, short_vol

Floats = npt.NDArray[np.float64]

RATE = 0.0425
DIVIDEND_YIELD = 0.0130
SECONDS_A_YEAR = 31_536_000.0

# Options keep paying for the last prints: a share of the day's variance that is only used up in its last half hour.
CLOSING_SHARE = 0.07
CLOSING_MINUTES = 30

AT_THE_MONEY_30D = 0.91  # of VIX, which also counts the wings
LONG_RUN_VOL = 0.19
SHORT_SESSIONS, LONG_SESSIONS = 5.0, 90.0
MONTH_SESSIONS = 21.0

LEAST_VARIANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Smile:
    """Prices of one expiry at n strikes and m moments: arrays (m, n), USD per index point."""

    call: Floats
    put: Floats
    call_delta: Floats
    variance: Floats  # total, to expiry


def remaining_share(minutes: int) -> Floats:
    """Return what is left of a session's variance at the open and after each minute, (minutes + 1,), from 1 to 0."""
    used = np.concatenate(([0.0], np.cumsum(minute_weights(minutes))))
    left = np.arange(minutes, -1, -1.0)
    closing = CLOSING_SHARE * np.minimum(1.0, left / CLOSING_MINUTES)
    return np.asarray(np.maximum(0.0, (1 - CLOSING_SHARE) * (1.0 - used) + closing), dtype=np.float64)


def sessions_left(day: date, minutes: int, expiry: date) -> Floats:
    """Return the variance time to the expiry's close in full sessions, at the open and after each minute of the day."""
    intraday = (1 - OVERNIGHT_SHARE) * (1.0 if minutes == calendar.FULL_DAY_MINUTES else HALF_DAY_SHARE)
    later = calendar.between(calendar.after(day), expiry)
    whole = math.fsum(
        OVERNIGHT_SHARE + (1 - OVERNIGHT_SHARE) * (HALF_DAY_SHARE if one in calendar.early_closes() else 1.0)
        for one in later
    )
    return remaining_share(minutes) * intraday + whole


def _mean_decay(sessions: Floats, scale: float) -> Floats:
    """Return the mean of exp(-u / scale) for u from 0 to sessions."""
    x = np.maximum(sessions, 1e-6) / scale
    return np.asarray(-np.expm1(-x) / x, dtype=np.float64)


def total_variance(vix: Floats, sessions: Floats) -> Floats:
    """Return at-the-money total variance for so many sessions of variance time.

    Forward variance is a sum of two decays: same-day options pay `short_vol`, the mean over 30 days is AT_THE_MONEY_30D
    of VIX, and years ahead it is LONG_RUN_VOL.  vix (m,) index points, sessions (m,); result (m,).
    """
    short = np.array([short_vol(level) for level in vix.tolist()]) / 100
    month = vix / 100 * AT_THE_MONEY_30D
    far = LONG_RUN_VOL**2
    at_month = np.array([MONTH_SESSIONS])
    fast, slow = float(_mean_decay(at_month, SHORT_SESSIONS)[0]), float(_mean_decay(at_month, LONG_SESSIONS)[0])
    # far + (middle - far) slow + (short - middle) fast = month, solved for the middle level
    middle = (month**2 - far * (1 - slow) - short**2 * fast) / (slow - fast)
    middle = np.maximum(middle, 0.25 * month**2)
    mean = far + (middle - far) * _mean_decay(sessions, LONG_SESSIONS)
    mean = mean + (short**2 - middle) * _mean_decay(sessions, SHORT_SESSIONS)
    return np.asarray(np.maximum(mean, 1e-4) * sessions / SESSIONS_A_YEAR, dtype=np.float64)


def smile_shape(sessions: float) -> tuple[float, float]:
    """Return SSVI's (rho, eta) for so many sessions: volatility falls by rho eta / 2 per standard deviation upwards.

    8 per cent of the at-the-money volatility on the last day, 20 to 21 per cent from two sessions on.
    """
    slope = 0.16 + 0.26 * -math.expm1(-max(0.0, sessions - 0.7) / 0.8)
    eta = 0.50 + 0.20 * -math.expm1(-sessions / 3.0)
    return -slope / eta, eta


def price(
    spot: Floats, strikes: Floats, vix: Floats, sessions: Floats, years: Floats, shape: tuple[float, float]
) -> Smile:
    """Return prices of calls and puts.

    spot, vix, sessions, years (m,): index points, VIX points, variance time in sessions, calendar years to the close;
    strikes (n,) index points.
    """
    rho, eta = shape
    variance = np.maximum(total_variance(vix, sessions), LEAST_VARIANCE)[:, None]
    forward = (spot * np.exp((RATE - DIVIDEND_YIELD) * years))[:, None]
    discount = np.exp(-RATE * years)[:, None]
    moneyness = np.log(strikes[None, :] / forward)
    z = np.clip(moneyness / np.sqrt(variance), -40.0, 40.0)
    slice_variance = 0.5 * variance * (1 + rho * eta * z + np.sqrt(np.square(eta * z + rho) + 1 - rho * rho))
    deviation = np.sqrt(slice_variance)
    upper = -moneyness / deviation + 0.5 * deviation
    in_the_money = ndtr(upper)
    call = discount * (forward * in_the_money - strikes * ndtr(upper - deviation))
    call = np.maximum(call, np.maximum(0.0, discount * (forward - strikes)))
    put = call - discount * (forward - strikes)
    return Smile(call=call, put=np.maximum(put, 0.0), call_delta=in_the_money, variance=slice_variance)
