"""Black-76 prices, implied volatility and delta of European options: of whole columns, and of single contracts.

Every array is a column over contracts, shape (n,).  A function that ends in `_of` answers for one contract in plain
floats, by the same steps: arrays would cost a handful of contracts many times their arithmetic.  Prices and strikes in
points of the underlying, volatility 0.18 = 18 % a year, years of 31,536,000 s to settlement, discount = present value
of 1 at settlement.  Unknown is NaN and stays NaN; nothing is replaced by a constant.

The normal distribution comes from `math.erfc`, exact to the last bits in both tails; importing scipy for it would cost
more time than a session's pricing.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_SQRT_2: Final = math.sqrt(2.0)
_MINUS_SQRT_HALF: Final = -1.0 / _SQRT_2
_SQRT_2PI: Final = math.sqrt(2.0 * math.pi)
_LOG_SQRT_2PI: Final = math.log(_SQRT_2PI)
_MAX_STEPS: Final = 64
_RELATIVE_STEP: Final = 1e-6  # of a cubic step: what is left after it is rounding
_NORMAL: Final = (2.20136, -3.93536, 2.36065, -0.420524, 0.0268327)
"""|x| / s of the normal model, as a polynomial in sqrt(2 - ln(price / |x|)), within 1 % from a quarter to seven: fitted
by least squares; only how soon a volatility is found hangs on it."""
_NEAR: Final = 0.13  # ln(price / |x|) where |x| / s is a quarter,
_FAR: Final = -31.3  # and where it is seven


def normal_cdf(x: Floats) -> Floats:
    """Return the standard normal distribution function, exact to a few units in the last place in both tails."""
    scaled = (x * _MINUS_SQRT_HALF).tolist()
    tails: Floats = np.fromiter(map(math.erfc, scaled), np.float64, len(scaled))
    return 0.5 * tails


def _normal_cdf_of(x: float) -> float:
    return 0.5 * math.erfc(x * _MINUS_SQRT_HALF)


def black_price(
    strike: Floats, is_call: Bools, forward: float, volatility: Floats, years: float, discount: float
) -> Floats:
    """Return Black-76 present values.  A volatility of 0 gives the intrinsic value, NaN gives NaN."""
    deviation = volatility * math.sqrt(years)
    sign = np.where(is_call, 1.0, -1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        d1 = np.log(forward / strike) / deviation + deviation / 2
        value = sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - deviation)))
    intrinsic = np.maximum(sign * (forward - strike), 0.0)
    return np.where(deviation == 0.0, intrinsic, np.maximum(value, intrinsic)) * discount


def black_price_of(
    strike: float, is_call: bool, forward: float, volatility: float, years: float, discount: float
) -> float:
    """Return the Black-76 present value of one contract: the same as `black_price`, without the cost of arrays."""
    sign = 1.0 if is_call else -1.0
    intrinsic = sign * (forward - strike)
    if intrinsic < 0.0:
        intrinsic = 0.0
    deviation = volatility * math.sqrt(years)
    if deviation == 0.0:
        return intrinsic * discount
    d1 = math.log(forward / strike) / deviation + deviation / 2
    above = 0.5 * math.erfc(-sign * d1 / _SQRT_2)
    beyond = 0.5 * math.erfc(-sign * (d1 - deviation) / _SQRT_2)
    value = sign * (forward * above - strike * beyond)
    return (intrinsic if intrinsic > value else value) * discount


def black_delta(strike: Floats, is_call: Bools, forward: float, volatility: Floats, years: float) -> Floats:
    """Return delta to the forward, undiscounted: calls in (0, 1), puts in (-1, 0).  NaN without a volatility."""
    deviation = np.where(volatility > 0.0, volatility, np.nan) * math.sqrt(years)
    d1 = np.log(forward / strike) / deviation + deviation / 2
    return np.where(is_call, normal_cdf(d1), -normal_cdf(-d1))


def black_delta_of(strike: float, is_call: bool, forward: float, volatility: float, years: float) -> float:
    """Return the forward delta of one contract as `black_delta` does."""
    if not volatility > 0.0:
        return math.nan
    deviation = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    return _normal_cdf_of(d1) if is_call else -_normal_cdf_of(-d1)


def implied_volatility(
    price: Floats, strike: Floats, is_call: Bools, forward: float, years: float, discount: float
) -> Floats:
    """Return Black-76 implied volatility; NaN where no volatility gives that price.

    price (n,) present values; strike (n,) > 0; forward > 0; years > 0.  Accurate to 1e-9.

    Halley steps on the out-of-the-money time value of the normalised price: below its inflection point in the
    reciprocal of ln(price), above it in the price itself; a bracket guards them.  They begin within a hundredth of the
    root, where the normal model has it, so that two nearly always do.  Source: P. Jaeckel, "Let's Be Rational" (2015),
    normalisation and objectives.
    """
    sign = np.where(is_call, 1.0, -1.0)
    moneyness = -np.abs(np.log(forward / strike))
    scale = discount * np.sqrt(forward * strike)
    target = (price - discount * np.maximum(sign * (forward - strike), 0.0)) / scale
    with np.errstate(invalid="ignore"):
        solvable = (target > 1e-300) & (target < np.exp(moneyness / 2))
    result = np.full(target.shape, np.nan)
    if solvable.any():
        result[solvable] = _total_deviation(moneyness[solvable], target[solvable]) / math.sqrt(years)
    return result


def _normalised_price(x: Floats, ratio: Floats, half: Floats) -> Floats:
    """Return price / sqrt(forward * strike) out of the money, for log-moneyness x <= 0, ratio x / s and half s / 2."""
    both = normal_cdf(np.concatenate((ratio + half, ratio - half)))
    value: Floats = np.exp(x / 2) * both[: len(x)] - np.exp(-x / 2) * both[len(x) :]
    return value


def _first_step(x: Floats, target: Floats, log_target: Floats) -> Floats:
    """Return a first s: where |x| / s is what the normal model says for price / |x|; from the tangent at the money
    where that is nearly 0, from ln(price) ~ -x²/2s² + 3 ln s - 2 ln|x| - ln(2 pi)/2 where it is large.
    """
    distance = np.abs(x)
    depth = log_target - np.log(distance)
    root = np.sqrt(np.maximum(2.0 - depth, 0.0))
    a, b, c, d, e = _NORMAL
    s = distance / (a + root * (b + root * (c + root * (d + root * e))))
    s = np.where(depth > _NEAR, (target + distance / 2) * _SQRT_2PI, s)
    if (depth < _FAR).any():
        far = distance / np.sqrt(-2.0 * log_target)
        for _ in range(3):
            exponent = log_target - 3.0 * np.log(far) + 2.0 * np.log(distance) + _LOG_SQRT_2PI
            far = np.where(exponent < -1.0, distance / np.sqrt(np.maximum(-2.0 * exponent, 2.0)), far)
        s = np.where(depth < _FAR, far, s)
    return s


def _total_deviation(x: Floats, target: Floats) -> Floats:
    """Return s with normalised price = target, for 0 < target < exp(x / 2)."""
    log_target = np.log(target)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        s = _first_step(x, target, log_target)
        below = s * s < 2.0 * np.abs(x)  # the inflection point
        low, high = np.zeros_like(s), np.full_like(s, np.inf)
        done = np.zeros(s.shape, dtype=np.bool_)
        for _ in range(_MAX_STEPS):
            half, ratio = s / 2, x / s
            price = np.maximum(_normalised_price(x, ratio, half), 1e-305)
            vega = np.exp(-0.5 * (ratio * ratio + half * half)) / _SQRT_2PI
            low = np.where(price < target, s, low)
            high = np.where(price >= target, s, high)
            log_price = np.log(price)
            bend = (ratio * ratio - half * half) / s  # second over first derivative
            # Below the inflection: the difference of 1 / ln(price) over its slope.
            step = np.where(below, (log_target - log_price) * log_price / log_target * price, target - price) / vega
            bend = np.where(below, bend - vega / price * (1.0 + 2.0 / log_price), bend)
            shrunk = 1.0 + 0.5 * bend * step
            step = np.where(shrunk > 0.5, step / shrunk, step)
            following = s + step
            arrived = np.abs(step) <= _RELATIVE_STEP * s
            inside = (following > low) & (following < high)
            middle = np.where(np.isinf(high), 2.0 * s, (low + high) / 2)
            # One that has arrived stays: what it is does not depend on which others are asked for with it.
            s = np.where(done, s, np.where(inside | arrived, following, middle))
            done |= arrived
            if done.all():
                return s
    return np.where(done, s, np.nan)


def implied_volatility_of(
    price: float, strike: float, is_call: bool, forward: float, years: float, discount: float
) -> float:
    """Return the implied volatility of one contract as `implied_volatility` does, NaN where none gives that price."""
    moneyness = -abs(math.log(forward / strike))
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    target = (price - discount * intrinsic) / (discount * math.sqrt(forward * strike))
    if not 1e-300 < target < math.exp(moneyness / 2):
        return math.nan
    return _total_deviation_of(moneyness, target) / math.sqrt(years)


def _first_step_of(x: float, target: float, log_target: float) -> float:
    """`_first_step` of one contract."""
    distance = abs(x)
    depth = math.inf if distance == 0.0 else log_target - math.log(distance)
    if depth > _NEAR:
        return (target + distance / 2) * _SQRT_2PI
    if depth >= _FAR:
        root, (a, b, c, d, e) = math.sqrt(2.0 - depth), _NORMAL
        return distance / (a + root * (b + root * (c + root * (d + root * e))))
    far = distance / math.sqrt(-2.0 * log_target)
    for _ in range(3):
        exponent = log_target - 3.0 * math.log(far) + 2.0 * math.log(distance) + _LOG_SQRT_2PI
        if exponent < -1.0:
            far = distance / math.sqrt(max(-2.0 * exponent, 2.0))
    return far


def _total_deviation_of(x: float, target: float) -> float:
    """`_total_deviation` of one contract."""
    erfc, log_target = math.erfc, math.log(target)
    call_weight, strike_weight = math.exp(x / 2), math.exp(-x / 2)
    s = _first_step_of(x, target, log_target)
    below = s * s < 2.0 * abs(x)
    low, high = 0.0, math.inf
    for _ in range(_MAX_STEPS):
        half, ratio = s / 2, x / s
        price = call_weight * (0.5 * erfc((ratio + half) * _MINUS_SQRT_HALF))
        price = max(price - strike_weight * (0.5 * erfc((ratio - half) * _MINUS_SQRT_HALF)), 1e-305)
        vega = math.exp(-0.5 * (ratio * ratio + half * half)) / _SQRT_2PI
        if price < target:
            low = s
        else:
            high = s
        step, bend = target - price, (ratio * ratio - half * half) / s
        if below:
            log_price = math.log(price)
            step = (log_target - log_price) * log_price / log_target * price
            bend -= vega / price * (1.0 + 2.0 / log_price)
        # Where the slope underflows, halving the bracket finds the way.
        step = step / vega if vega > 0.0 else math.inf
        shrunk = 1.0 + 0.5 * bend * step
        if shrunk > 0.5:
            step /= shrunk
        following = s + step
        if abs(step) <= _RELATIVE_STEP * s:
            return following
        if low < following < high:
            s = following
        else:
            s = 2.0 * s if high == math.inf else (low + high) / 2
    return math.nan
