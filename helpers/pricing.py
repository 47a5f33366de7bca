"""Black-76 prices, implied volatility and delta of European options: of whole chains, and of single contracts.

Every array is a column over contracts, shape (n,).  A function that ends in `_of` answers for one contract in plain
floats, by the same steps: arrays would cost a handful of contracts many times their arithmetic.  Prices and strikes in
points of the underlying, volatility 0.18 = 18 % a year, years of 31,536,000 s to settlement, discount = present value
of 1 at settlement.  Unknown is NaN and stays NaN; nothing is replaced by a constant.

The engine's own Greeks never decide: its theta is per year and its far wings do not converge.  The normal
distribution comes from `math.erfc`, exact to the last bits in both tails; importing scipy for it would cost more time
than a session's pricing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Final

import numpy as np
import numpy.typing as npt

from core.eastern import to_utc
from core.market import Chain, Session, Strikes
from core.values import value
from core.vocabulary import Instrument, Right

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SECONDS_PER_YEAR: Final = 31_536_000
FORWARD_STRIKES: Final = 3
REGULAR_CLOSE: Final = time(16, 0)
"""PM settlement of an index option that expires on a later day; a half day is known only when it is today's session."""
WORTHLESS_ASK: Final = 0.10
"""A long without bid and with an ask up to this has no delta and no value (points)."""

_SPREAD_TOLERANCE: Final = 1e-9
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


def seconds_between(start: datetime, end: datetime) -> float:
    """Return the seconds that really pass between two naive New York times; a clock change moves them by an hour."""
    return (to_utc(end) - to_utc(start)).total_seconds()


def years_to(settlement: datetime, now: datetime, *, min_s: int) -> float:
    """Return years of 31,536,000 s from now to settlement, never less than min_s seconds."""
    return max(seconds_between(now, settlement), min_s) / SECONDS_PER_YEAR


def settlement_time(expiry: date, session: Session) -> datetime:
    """Return when a PM-settled contract of that expiry settles: today's real close, else 16:00 of its day."""
    return session.close if expiry == session.day else datetime.combine(expiry, REGULAR_CLOSE)


def discount_factor(rate_pct: float, years: float) -> float:
    """Return the present value of 1 paid in years, at a continuously compounded rate in per cent."""
    return math.exp(-rate_pct / 100.0 * years)


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


def parity_forward(strike: Floats, is_call: Bools, mid: Floats, good: Bools, discount: float) -> float | None:
    """Return the median parity forward of the three strikes nearest the money; None when fewer have two GOOD quotes.

    Nearest the money is where call and put cost the same; no index print is needed.
    """
    calls: dict[float, float] = dict(zip(strike[is_call & good].tolist(), mid[is_call & good].tolist(), strict=True))
    puts: dict[float, float] = dict(zip(strike[~is_call & good].tolist(), mid[~is_call & good].tolist(), strict=True))
    return _median_forward(_pairs(calls, puts), discount)


_Pair = tuple[float, float, float]
"""|call - put|, strike, call - put, in points."""


def _pairs(calls: Mapping[float, float], puts: Mapping[float, float]) -> list[_Pair]:
    """Return the strikes with two mids, nearest the money first."""
    return sorted([(abs(call - puts[k]), k, call - puts[k]) for k, call in calls.items() if k in puts])


def _median_forward(pairs: Sequence[_Pair], discount: float) -> float | None:
    nearest = pairs[:FORWARD_STRIKES]
    if len(nearest) < FORWARD_STRIKES:
        return None
    return sorted([k + difference / discount for _, k, difference in nearest])[FORWARD_STRIKES // 2]


def good_quotes(chain: Chain) -> Bools:
    """Return which contracts have a bid above 0, an ask above it, and a spread inside their wide limit."""
    bid, ask = chain.bid, chain.ask
    with np.errstate(invalid="ignore"):
        good: Bools = (bid > 0) & (ask > bid) & (ask - bid <= chain.wide_limit + _SPREAD_TOLERANCE)
    return good


@value
class PricedChain:
    """A chain with its parity forward.  Volatilities and deltas are computed when they are asked for.

    Columns in the chain's order; a position is an index into it, places those of all symbols; NaN = unknown.  good
    marks contracts with a two-sided quote inside its wide limit.
    """

    chain: Chain
    forward: float
    years: float
    discount: float
    mid: Floats
    good: Bools
    places: Mapping[str, int]

    def position(self, instrument: Instrument) -> int | None:
        """Return the index of a contract in the chain, None where it has no quote in this minute."""
        return self.places.get(instrument.symbol)

    def volatility(self) -> Floats:
        """Return implied volatility of every contract: of the mid of a GOOD quote, else linear in strike between the
        nearest GOOD neighbours of the same right, never beyond them.
        """
        chain = self.chain
        price = np.where(self.good, self.mid, np.nan)
        known = implied_volatility(price, chain.strike, chain.is_call, self.forward, self.years, self.discount)
        for side in (chain.is_call, ~chain.is_call):
            known[side] = _between_neighbours(chain.strike[side], known[side])
        return known

    def volatility_of(self, position: int) -> float:
        """Return what `volatility` says of one contract."""
        known = self._quoted(position)
        return self._interpolated(position) if math.isnan(known) else known

    def delta(self) -> Floats:
        """Return forward delta of every contract, calls above 0, puts below; 0 where nobody bids and at most .10 is
        asked.
        """
        chain, volatility = self.chain, self.volatility()
        delta = black_delta(chain.strike, chain.is_call, self.forward, volatility, self.years)
        with np.errstate(invalid="ignore"):
            worthless = np.isnan(volatility) & ~(chain.bid > 0) & (chain.ask <= WORTHLESS_ASK)
        return np.where(worthless, 0.0, delta)

    def is_worthless(self, position: int) -> bool:
        """Tell whether nobody bids for a contract and at most .10 is asked."""
        return not self.chain.bid[position] > 0 and bool(self.chain.ask[position] <= WORTHLESS_ASK)

    def _quoted(self, position: int) -> float:
        if not self.good[position]:
            return math.nan
        chain, price = self.chain, float(self.mid[position])
        strike, is_call = float(chain.strike[position]), bool(chain.is_call[position])
        return implied_volatility_of(price, strike, is_call, self.forward, self.years, self.discount)

    def _interpolated(self, position: int) -> float:
        """Return the volatility between the nearest contracts of the same right whose GOOD quote has one."""
        strikes: list[float] = []
        values: list[float] = []
        for step in (-1, 1):
            at = position + step
            while 0 <= at < len(self.chain) and self.chain.is_call[at] == self.chain.is_call[position]:
                value = self._quoted(at)
                if not math.isnan(value):
                    strikes.append(float(self.chain.strike[at]))
                    values.append(value)
                    break
                at += step
        if len(values) < 2:
            return math.nan
        return float(np.interp(self.chain.strike[position], strikes, values))


def price_chain(chain: Chain, session: Session, *, rate_pct: float, min_years_s: int) -> PricedChain | None:
    """Return the chain with its forward; None when parity gives none."""
    years = years_to(settlement_time(chain.expiry, session), chain.time, min_s=min_years_s)
    discount = discount_factor(rate_pct, years)
    mid, good = (chain.bid + chain.ask) / 2, good_quotes(chain)
    forward = parity_forward(chain.strike, chain.is_call, mid, good, discount)
    if forward is None or forward <= 0:
        return None
    places = {instrument.symbol: at for at, instrument in enumerate(chain.instruments)}
    return PricedChain(chain, forward, years, discount, mid, good, places)


@value
class PricedStrikes:
    """Some contracts of a chain with the chain's forward; mids by symbol, NaN without a GOOD quote."""

    forward: float
    years: float
    discount: float
    mids: Mapping[str, float]

    def volatility_of(self, instrument: Instrument) -> float | None:
        """Return implied volatility of a contract's own GOOD quote, NaN where that says nothing; None without a row."""
        mid = self.mids.get(instrument.symbol)
        if mid is None or math.isnan(mid):
            return mid
        is_call = instrument.right is Right.CALL
        return implied_volatility_of(mid, instrument.strike, is_call, self.forward, self.years, self.discount)


def price_strikes(
    strikes: Strikes, mids: dict[str, float], session: Session, *, rate_pct: float, min_years_s: int
) -> PricedStrikes | None:
    """Return some contracts with the forward that the whole chain would give; None where they cannot tell it.

    mids are those of GOOD quotes that are known already; those of the strikes are added to them.
    The three strikes nearest the money must have a further one on either side among those that were read without a
    gap: beyond it the difference of call and put only grows.
    """
    calls: dict[float, float] = {}
    puts: dict[float, float] = {}
    below, above = strikes.unread
    for instrument, bid, ask, wide_limit in strikes.rows:
        # Absent sides are NaN, of which nothing is true.
        is_good = bid > 0 and 0 < ask - bid <= wide_limit + _SPREAD_TOLERANCE
        mids[instrument.symbol] = mid = (bid + ask) / 2 if is_good else math.nan
        if is_good and below < instrument.strike < above:
            side = calls if instrument.right is Right.CALL else puts
            side[instrument.strike] = mid
    years = years_to(settlement_time(strikes.expiry, session), strikes.time, min_s=min_years_s)
    discount = discount_factor(rate_pct, years)
    pairs = _pairs(calls, puts)
    forward = _median_forward(pairs, discount)
    if forward is None or forward <= 0:
        return None
    with_two = [k for _, k, _ in pairs]
    nearest = with_two[:FORWARD_STRIKES]
    if min(with_two) in nearest or max(with_two) in nearest:
        return None
    return PricedStrikes(forward, years, discount, mids)


def _between_neighbours(strike: Floats, iv: Floats) -> Floats:
    """Return iv with gaps filled linearly in strike, the ends left unknown."""
    known = ~np.isnan(iv)
    if known.sum() < 2:
        return iv
    filled = np.interp(strike, strike[known], iv[known], left=np.nan, right=np.nan)
    return np.where(known, iv, filled)
