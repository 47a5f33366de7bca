"""SPX, QQQ and VIX: day by day from one state, then minute by minute between the points a day has fixed.

Two steps, so that a year of daily history costs no minutes.  `daily_plans` walks through every session since 2008 and
fixes each day's opening, closing and scripted points; `session_path` draws the minutes of one day as a bridge through
them.  Every number comes from (seed, stream, date): a date has the same path in every market that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from tools.market import calendar
from tools.market.scenarios import DayShape, Scenario

Floats = npt.NDArray[np.float64]


class Stream(IntEnum):
    """Independent sources of randomness."""

    DAILY = 1
    MINUTES = 2
    QUOTES = 3
    ETFS = 4


EPOCH = date(2008, 1, 2)
INDEX_MINUTES = 405  # SPX and VIX are published to 16:15
SESSIONS_A_YEAR = 252.0

OVERNIGHT_SHARE = 0.27  # of a day's variance
HALF_DAY_SHARE = 0.60  # of a full day's intraday variance
# Relative variance of the 13 half hours of a session; they sum to 13.
HALF_HOURS = (2.0, 1.3, 1.0, 0.85, 0.75, 0.7, 0.68, 0.7, 0.75, 0.85, 0.95, 1.1, 1.37)

# Rough year-start levels of SPX and of QQQ as a share of it.  The walk is pulled towards them (half-life about 170
# sessions), so that strikes and prices have the size their year had; nothing else depends on them.
_LEVELS = (
    (2008, 1450.0, 0.0350),
    (2010, 1130.0, 0.0410),
    (2013, 1450.0, 0.0460),
    (2015, 2060.0, 0.0500),
    (2018, 2700.0, 0.0590),
    (2020, 3250.0, 0.0660),
    (2022, 4700.0, 0.0840),
    (2023, 3850.0, 0.0700),
    (2024, 4750.0, 0.0860),
    (2025, 5880.0, 0.0870),
    (2026, 6850.0, 0.0895),
    (2027, 7300.0, 0.0900),
    (2031, 9000.0, 0.0920),
)
PULL = 1 / 250

# FOMC decisions at 14:00, CPI and payrolls at 08:30: days on which variance moves to that moment.
FOMC_DAYS = frozenset(
    date(year, int(day[:2]), int(day[2:]))
    for year, days in (
        (2025, "0129 0319 0507 0618 0730 0917 1029 1210"),
        (2026, "0128 0318 0429 0617 0729 0916 1028 1209"),
    )
    for day in days.split()
)
RELEASE_DAYS = frozenset(
    date.fromisoformat(day)
    for day in (
        *("2025-09-05", "2025-09-11", "2025-10-24", "2025-11-20", "2025-12-16", "2025-12-18"),
        *("2026-01-09", "2026-01-13"),
    )
)
FOMC_MINUTE = 270

VIX_FAST = 0.63  # what is left of the fast factor after a session: half-life 1.5
VIX_SLOW = 0.97  # half-life 23
VIX_SHOCK = 0.055  # sd of a day's log change
VIX_LEVERAGE = -0.84  # its correlation with the day's return
LOWEST_VIX, HIGHEST_VIX = 9.2, 92.0

QQQ_BETA = 1.20
QQQ_OWN = 0.39  # own sd as a share of beta's part: correlation 0.93


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The fixed points of one session.

    prior, prior_qqq  closes of the session before, index points and USD
    sigma             sd of the day's log return, the night included
    points            (minute, log return from the prior close), from the open to the close
    vix               (minute, log VIX)
    qqq_own           QQQ's own log return at the open and at the close, beside beta x SPX
    """

    day: date
    minutes: int
    prior: float
    prior_qqq: float
    sigma: float
    points: tuple[tuple[int, float], ...]
    vix: tuple[tuple[int, float], ...]
    qqq_own: tuple[float, float]
    shape: DayShape

    @property
    def close(self) -> float:
        """SPX at the close."""
        return self.prior * math.exp(self.points[-1][1])

    @property
    def close_qqq(self) -> float:
        """QQQ at the close."""
        return self.prior_qqq * math.exp(QQQ_BETA * self.points[-1][1] + self.qqq_own[1])

    @property
    def close_vix(self) -> float:
        """VIX when its session ends."""
        return math.exp(self.vix[-1][1])


def generator(seed: int, stream: Stream, *parts: int) -> np.random.Generator:
    """Return the random numbers of one stream; parts (a date's ordinal, an expiry's) make streams of their own."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, int(stream), *parts))))


def short_vol(vix: float) -> float:
    """Return the annualised volatility that same-day options pay for when VIX stands there (both in per cent).

    Below VIX in quiet markets, level with it in a panic: SPXW expiring on 2021-01-04..08 paid 0.60 of VIX 22-27.
    """
    return vix * (0.66 + 0.25 * min(1.0, max(0.0, (vix - 22.0) / 40.0)))


REALISED_SHARE = 0.92  # of what is paid for


@cache
def minute_weights(minutes: int) -> Floats:
    """Return each minute's share of the intraday variance, (minutes,), sum 1."""
    place = (np.arange(minutes) + 0.5) * (len(HALF_HOURS) / minutes) - 0.5
    raw = np.interp(place, np.arange(len(HALF_HOURS)), HALF_HOURS)
    shares = np.asarray(raw / raw.sum(), dtype=np.float64)
    shares.flags.writeable = False
    return shares


# --- day by day -----------------------------------------------------------------------------------------------------


def _trend(days: Sequence[date]) -> tuple[Floats, Floats]:
    """Return the log levels of SPX and of QQQ / SPX that the walk is pulled to."""
    when = np.array([day.year + (day.timetuple().tm_yday - 1) / 365.25 for day in days])
    years = np.array([row[0] for row in _LEVELS], dtype=np.float64)
    spx = np.log(np.array([row[1] for row in _LEVELS]))
    ratio = np.log(np.array([row[2] for row in _LEVELS]))
    return np.interp(when, years, spx), np.interp(when, years, ratio)


def _student(normals: Sequence[float]) -> float:
    """Return a Student t(5) of variance 1 from six normals."""
    return normals[0] * math.sqrt(3.0 / sum(value * value for value in normals[1:6]))


def _scripted(shape: DayShape | None) -> tuple[DayShape, dict[int, float]]:
    if shape is None:
        return DayShape(), {}
    return shape, {minute: math.log1p(move / 100) for minute, move in shape.path}


def daily_plans(seed: int, scenario: Scenario, start: date, last: date) -> list[DayPlan]:
    """Return the plan of every session from the epoch to `last`; `start` is where event scenarios begin to count."""
    days = calendar.between(EPOCH, last)
    return list(_walk(days, generator(seed, Stream.DAILY).standard_normal((len(days), 24)), scenario, start))


def _walk(days: Sequence[date], normals: Floats, scenario: Scenario, start: date) -> Iterator[DayPlan]:
    trend, ratio_trend = _trend(days)
    spx, qqq = float(trend[0]), float(trend[0] + ratio_trend[0])
    anchor = math.log(scenario.script.level(days[0], start))
    vix, fast, slow = anchor, 0.0, 0.0
    for index, day in enumerate(days):
        z = normals[index].tolist()
        level = scenario.script.level(day, start)
        shape, scripted = _scripted(scenario.script.shape(day, start, math.erf(z[0] / math.sqrt(2))))
        minutes = calendar.minutes(day)
        sigma = short_vol(math.exp(vix)) / 100 / math.sqrt(SESSIONS_A_YEAR)
        sigma *= REALISED_SHARE * scenario.return_scale * math.exp(0.20 * z[1] - 0.02)

        wave, anchor = math.log(level) - anchor, math.log(level)
        growth = float(trend[index] - trend[index - 1]) if index else 0.0
        own_drift = scenario.script.drift(day, start)
        drift = own_drift + growth - PULL * (spx - float(trend[index])) - 3.0 * max(-0.2, min(0.2, wave)) * sigma
        night = sigma * math.sqrt(OVERNIGHT_SHARE) * _student(z[2:8]) * (1.5 if day in RELEASE_DAYS else 1.0)
        share = 1.0 if minutes == calendar.FULL_DAY_MINUTES else HALF_DAY_SHARE
        intraday = sigma * math.sqrt((1 - OVERNIGHT_SHARE) * share) * (1.3 if day in FOMC_DAYS else 1.0)
        points = _points(scripted, minutes, night + 0.2 * drift, intraday * _student(z[8:14]) + 0.8 * drift)

        total = points[-1][1]
        surprise = max(-4.0, min(4.0, total / sigma))
        own = math.sqrt(1 - VIX_LEVERAGE**2) * z[14]
        jump = 0.18 if z[15] > 2.4 and not scripted else 0.0
        fast = VIX_FAST * fast + scenario.vix_noise * VIX_SHOCK * (VIX_LEVERAGE * surprise + own) + jump
        slow = VIX_SLOW * slow + scenario.vix_noise * 0.02 * z[16]
        drawn = max(math.log(LOWEST_VIX), min(math.log(HIGHEST_VIX), anchor + fast + slow))
        vix_points = _vix_points(shape, points, vix, drawn, sigma)
        if shape.vix:
            fast = vix_points[-1][1] - anchor - slow

        qqq_own = QQQ_BETA * sigma * QQQ_OWN
        pull = -PULL * (qqq - spx - float(ratio_trend[index]))
        at_open = qqq_own * math.sqrt(OVERNIGHT_SHARE) * z[17]
        at_close = at_open + qqq_own * math.sqrt(1 - OVERNIGHT_SHARE) * z[18] + pull - (QQQ_BETA - 1) * own_drift
        plan = DayPlan(
            day=day,
            minutes=minutes,
            prior=math.exp(spx),
            prior_qqq=math.exp(qqq),
            sigma=sigma,
            points=points,
            vix=vix_points,
            qqq_own=(at_open, at_close),
            shape=shape,
        )
        yield plan
        spx, qqq, vix = spx + total, qqq + QQQ_BETA * total + at_close, vix_points[-1][1]


def _points(scripted: dict[int, float], minutes: int, night: float, intraday: float) -> tuple[tuple[int, float], ...]:
    """Return the day's points: scripted ones as they are, open and close drawn where no script fixes them."""
    known = {minute: value for minute, value in scripted.items() if minute <= minutes}
    known.setdefault(0, night)
    if minutes not in known:
        latest = max(known)
        known[minutes] = known[latest] + intraday * math.sqrt(float(minute_weights(minutes)[latest:].sum()))
    return tuple(sorted(known.items()))


def _vix_points(
    shape: DayShape, points: tuple[tuple[int, float], ...], prior: float, drawn: float, sigma: float
) -> tuple[tuple[int, float], ...]:
    """Return the points of log VIX: scripted ones as they are, open and close drawn where no script fixes them."""
    minutes = points[-1][0]
    last = INDEX_MINUTES if minutes == calendar.FULL_DAY_MINUTES else minutes
    known = {minute: math.log(level) for minute, level in shape.vix if minute <= last}
    if not known:
        gap = max(-3.0, min(3.0, points[0][1] / sigma))
        return (0, prior + 0.35 * (drawn - prior) + 0.6 * VIX_SHOCK * VIX_LEVERAGE * gap), (last, drawn)
    known.setdefault(0, 0.25 * prior + 0.75 * known[min(known)])
    if last not in known:
        latest = max(known)
        then = float(np.interp(latest, [minute for minute, _ in points], [value for _, value in points]))
        move = max(-4.0, min(4.0, (points[-1][1] - then) / sigma))
        level = known[latest] + VIX_SHOCK * VIX_LEVERAGE * move
        known[last] = max(math.log(LOWEST_VIX), min(math.log(HIGHEST_VIX), level))
    return tuple(sorted(known.items()))


# --- minute by minute -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionPath:
    """One session's minutes; index 0 is the open, index i the end of minute i.

    fair, qqq       (n + 1,) what SPX and QQQ are worth
    vix             (rows + 1,)
    up, down        (n,) how far above and below its ends a minute went, as a log return
    halted          (n,) minutes without trades and quotes
    rows            405, on a half day 210
    """

    plan: DayPlan
    fair: Floats
    qqq: Floats
    vix: Floats
    up: Floats
    down: Floats
    halted: npt.NDArray[np.bool_]
    rows: int


def _bridge(noise: Floats, clock: Floats, points: Sequence[tuple[int, float]]) -> Floats:
    """Return the noise bent through the points; noise and clock (n + 1,) are cumulative and start at 0."""
    minutes = np.array([minute for minute, _ in points])
    values = np.array([value for _, value in points])
    line = np.interp(clock, clock[minutes], values - noise[minutes])
    return np.asarray(noise + line, dtype=np.float64)


def _cumulative(steps: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(steps)))


def session_path(seed: int, plan: DayPlan) -> SessionPath:
    """Draw the minutes of one session."""
    random = generator(seed, Stream.MINUTES, plan.day.toordinal())
    n = plan.minutes
    weights = minute_weights(n)
    student = random.standard_normal(n) * np.sqrt(3.0 / np.square(random.standard_normal((5, n))).sum(axis=0))
    own, vix_own = random.standard_normal((2, INDEX_MINUTES))
    high_low = np.abs(random.standard_normal((2, n)))

    share = 1.0 if n == calendar.FULL_DAY_MINUTES else HALF_DAY_SHARE
    scale = plan.sigma * math.sqrt((1 - OVERNIGHT_SHARE) * share) * plan.shape.noise
    if plan.day in FOMC_DAYS and n > FOMC_MINUTE:
        weights = weights * np.where(np.arange(n) >= FOMC_MINUTE, 2.6, 0.7)
        weights[FOMC_MINUTE] *= 8.0
        weights /= weights.sum()
    halted = np.zeros(n, dtype=np.bool_)
    for first, last in plan.shape.halts:
        halted[first:last] = True
    weights = np.where(halted, 0.0, weights)
    minute_sd = scale * np.sqrt(weights)

    # A whole-day clock that never stands still, so that points inside a halt stay apart.
    clock = _cumulative(weights + 1e-9)
    fair = _bridge(_cumulative(minute_sd * student), clock, plan.points)
    qqq_noise = _cumulative(QQQ_BETA * QQQ_OWN * minute_sd * own[:n])
    qqq_own = _bridge(qqq_noise, clock, ((0, plan.qqq_own[0]), (n, plan.qqq_own[1])))

    rows = INDEX_MINUTES if n == calendar.FULL_DAY_MINUTES else n
    vix_sd = VIX_SHOCK * np.sqrt(np.concatenate((weights, np.full(rows - n, 1.5e-4))))
    common = np.concatenate((student, np.zeros(rows - n)))
    vix_steps = vix_sd * (0.8 * -np.clip(common, -4, 4) + 0.6 * vix_own[:rows])
    vix = _bridge(_cumulative(vix_steps), _cumulative(vix_sd**2 + 1e-12), plan.vix)

    typical = scale * np.sqrt(np.maximum(weights, 0.0))
    return SessionPath(
        plan=plan,
        fair=plan.prior * np.exp(fair),
        qqq=plan.prior_qqq * np.exp(QQQ_BETA * fair + qqq_own),
        vix=np.clip(np.exp(vix), 5.5, 99.0),
        up=0.35 * typical * high_low[0],
        down=0.35 * typical * high_low[1],
        halted=halted,
        rows=rows,
    )
