"""Which SPXW contracts are listed on a day, their minute quotes, and the universe file that announces them.

Every session has a same-day expiry in 5-point steps, the week's last expiry in 20-point steps, and the third Fridays of
the next 135 days in 100- and 200-point steps.  A strike once listed stays listed until it expires, so a position opened
in a far expiry has quotes to its end.  Same-day contracts have a row every minute, all others only some.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from tools.market import calendar
from tools.market.paths import DayPlan, SessionPath, Stream, generator, short_vol
from tools.market.quotes import LATER, NICKEL, RECENT_WIDTH, SAME_DAY, Bools, Quotes, quote
from tools.market.surface import DIVIDEND_YIELD, RATE, SECONDS_A_YEAR, Smile, price, sessions_left, smile_shape
from tools.market.writer import Buffer, option_rows

Floats = npt.NDArray[np.float64]

OPEN_NEW_YORK_MS = 34_200_000
MINUTE_MS = 60_000
CLOSE_SECONDS = 16 * 3600

MONTHLY_DAYS = 135
NEAR_MONTHLY_DAYS = 60
LEAST_REACH = 300.0  # points on each side in 5-point steps: 60 strikes
REACH_DEVIATIONS = 2.5
# Two rows of a later expiry are at most so many minutes apart; of the changes between them this share gets a row.
SPARSE_MINUTES = 5
SPARSE_SHARE = 0.10

Listing = Mapping[date, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Morning:
    """What is known before a session opens: its date and the closes of the session before."""

    day: date
    spx: float
    vix: float


def mornings(plans: Sequence[DayPlan], last: date) -> list[Morning]:
    """Return the mornings of the planned sessions and of the one after them."""
    known = [Morning(plan.day, plan.prior, before.close_vix) for before, plan in pairwise(plans)]
    known.append(Morning(calendar.after(last), plans[-1].close, plans[-1].close_vix))
    return known


def expiries(day: date) -> tuple[date, ...]:
    """Return the expiries quoted on a session, nearest first."""
    months = {(day.year + (day.month - 1 + ahead) // 12, (day.month - 1 + ahead) % 12 + 1) for ahead in range(6)}
    monthly = {calendar.monthly_expiry(year, month) for year, month in months}
    near = {one for one in monthly if day <= one <= day + timedelta(MONTHLY_DAYS)}
    return tuple(sorted({day, calendar.week_expiry(day), *near}))


def _band(low: float, high: float, step: int) -> range:
    return range(math.ceil(low / step) * step, math.floor(high / step) * step + 1, step)


def _listed_on(morning: Morning, expiry: date) -> range:
    """Return the strikes that the exchange lists that morning for one expiry."""
    spot = morning.spx
    deviation = spot * short_vol(morning.vix) / 100 / math.sqrt(252)
    middle = 5 * round(spot / 5)
    reach = 5 * math.ceil(max(LEAST_REACH, REACH_DEVIATIONS * deviation) / 5)
    if expiry == morning.day:
        return _band(middle - reach, middle + reach, 5)
    if expiry == calendar.week_expiry(morning.day):
        return _band(middle - reach, middle + reach, 20)
    if (expiry - morning.day).days <= NEAR_MONTHLY_DAYS:
        return _band(0.91 * spot, 1.06 * spot, 100)
    return _band(0.76 * spot, 1.09 * spot, 200)


def listings(known: Sequence[Morning]) -> dict[date, Listing]:
    """Return for every morning the strikes of every expiry; the mornings must reach back MONTHLY_DAYS for the first."""
    standing: dict[date, set[int]] = {}
    result: dict[date, Listing] = {}
    for morning in known:
        today = expiries(morning.day)
        for expiry in today:
            standing.setdefault(expiry, set()).update(_listed_on(morning, expiry))
        result[morning.day] = {expiry: tuple(sorted(standing[expiry])) for expiry in today}
    return result


# --- minute quotes --------------------------------------------------------------------------------------------------


def years_left(day: date, expiry: date, minutes: npt.NDArray[np.int64]) -> Floats:
    """Return calendar years of 31,536,000 s from each minute's end to the expiry's close: 16:00, on half days 13:00."""
    close = CLOSE_SECONDS if calendar.minutes(expiry) == calendar.FULL_DAY_MINUTES else CLOSE_SECONDS - 3 * 3600
    now = OPEN_NEW_YORK_MS // 1000 + 60 * minutes
    seconds = (expiry - day).days * 86_400 + close - now
    return np.asarray(np.maximum(seconds, 0) / SECONDS_A_YEAR, dtype=np.float64)


def contract_name(day: date, right: str, strike: int, expiry: date) -> str:
    """Return the name of a contract's entry in the day's zip."""
    return f"{day:%Y%m%d}_spxw_minute_quote_european_{right}_{strike * 10_000}_{expiry:%Y%m%d}.csv"


def quote_entries(seed: int, path: SessionPath, listing: Listing) -> tuple[list[tuple[str, Buffer]], int]:
    """Return the entries of the day's quote zip, by name, and the number of rows."""
    entries: list[tuple[str, Buffer]] = []
    total = 0
    for expiry, strikes in listing.items():
        day_quotes = expiry_quotes(seed, path, expiry, np.array(strikes, dtype=np.float64))
        times = OPEN_NEW_YORK_MS + MINUTE_MS * (day_quotes.ended - 1)
        texts, rows = option_rows(day_quotes.quotes, times, day_quotes.keep)
        day = path.plan.day
        names = [contract_name(day, right, strike, expiry) for right in ("call", "put") for strike in strikes]
        entries += zip(names, texts, strict=True)
        total += rows
    entries.sort(key=lambda entry: entry[0])
    return entries, total


@dataclass(frozen=True, slots=True)
class ExpiryQuotes:
    """One expiry's day: what its n calls, then its n puts are worth, how they are quoted, which rows are written.

    smile (m, n); quotes and keep (m, 2 n); ended (m,) minutes since the open at each row's end.
    """

    smile: Smile
    quotes: Quotes
    keep: Bools
    ended: npt.NDArray[np.int64]


def expiry_quotes(
    seed: int, path: SessionPath, expiry: date, strikes: Floats, width_scale: float = RECENT_WIDTH
) -> ExpiryQuotes:
    """Price and quote one expiry over a session; width_scale multiplies the measured widths."""
    day, plan = path.plan.day, path.plan
    # A series that expires today has its last row at 16:00, the others go on to 16:15.
    rows = plan.minutes if expiry == day else path.rows
    ended = np.arange(1, rows + 1)
    open_minute = np.minimum(ended, plan.minutes)
    sessions = sessions_left(day, plan.minutes, expiry)
    spot = path.fair[open_minute]
    years = years_left(day, expiry, ended)
    smile = price(spot, strikes, path.vix[ended], sessions[open_minute], years, smile_shape(float(sessions[0])))
    worth = np.hstack((smile.call, smile.put))
    up, down = (np.concatenate((side, np.zeros(rows)))[:rows, None] * spot[:, None] for side in (path.up, path.down))
    rising, falling = smile.call_delta, 1 - smile.call_delta
    reach_up = np.hstack((rising * up, falling * down))
    reach_down = np.hstack((rising * down, falling * up))
    random = generator(seed, Stream.QUOTES, day.toordinal(), expiry.toordinal())
    model = SAME_DAY if expiry == day else LATER
    quotes = quote(random, worth, reach_up, reach_down, model, plan.shape, scale=width_scale)

    keep: Bools = np.ones(worth.shape, dtype=np.bool_)
    if expiry > day:
        keep = _sparse(random, quotes.bid, quotes.ask)
    keep[: plan.minutes][path.halted] = False
    return ExpiryQuotes(smile, quotes, keep, ended)


def _sparse(random: np.random.Generator, bid: npt.NDArray[np.int32], ask: npt.NDArray[np.int32]) -> Bools:
    """Choose the rows of a slow expiry: the first and last minute, one in five, and now and then one that changed."""
    minutes, contracts = bid.shape
    phase = (np.arange(minutes)[:, None] + np.arange(contracts)[None, :]) % SPARSE_MINUTES == 0
    changed = np.ones(bid.shape, dtype=np.bool_)
    changed[1:] = (bid[1:] != bid[:-1]) | (ask[1:] != ask[:-1])
    keep = phase | (changed & (random.random(bid.shape, dtype=np.float32) < SPARSE_SHARE))
    keep[0] = keep[-1] = True
    return np.asarray(keep, dtype=np.bool_)


# --- universe files -------------------------------------------------------------------------------------------------

UNIVERSE_HEADER = (
    "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta,rho"
)


def universe_text(path: SessionPath, index_bar: tuple[float, float, float, float], listing: Listing) -> str:
    """Return the universe file of a session: the underlying's bar and every contract quoted in the next session.

    `listing` is the next session's.  Greeks are Black-76 on the calendar volatility at the close: vega per point of
    volatility, theta per day, rho per point of rate.
    """
    plan = path.plan
    opened, high, low, close = index_bar
    lines = [UNIVERSE_HEADER, f",,,{opened:.4f},{high:.4f},{low:.4f},{close:.4f},0,,,,,,,"]
    ends = np.array([0, plan.minutes])
    for expiry, strikes in listing.items():
        sessions = sessions_left(plan.day, plan.minutes, expiry)
        years = years_left(plan.day, expiry, ends)
        smile = price(
            path.fair[ends],
            np.array(strikes, dtype=np.float64),
            path.vix[ends],
            sessions[ends],
            years,
            smile_shape(float(sessions[-1])),
        )
        forward = float(path.fair[-1]) * math.exp((RATE - DIVIDEND_YIELD) * years[1])
        greeks = _greeks(forward, np.array(strikes, dtype=np.float64), smile.variance[1], float(years[1]))
        for right, worth in (("C", smile.call), ("P", smile.put)):
            lines += _universe_rows(expiry, strikes, right, worth, greeks[right])
    return "\n".join(lines) + "\n"


def _universe_rows(expiry: date, strikes: Sequence[int], right: str, worth: Floats, greeks: Floats) -> list[str]:
    at_open, at_close = np.maximum(NICKEL / 2, np.round(worth / (NICKEL / 2)) * (NICKEL / 2)).tolist()
    stamp = f"{expiry:%Y%m%d}"
    lines = []
    for place, strike in enumerate(strikes):
        first, last = at_open[place], at_close[place]
        # Interest gathers at round strikes; the numbers only have to be stable and plausible.
        interest = 40 + strike * 7919 % 900 + 2500 * (strike % 100 == 0) + 600 * (strike % 25 == 0)
        tail = ",".join(f"{value:.7f}" for value in greeks[:, place])
        lines.append(
            f"{stamp},{strike},{right},{first:.4f},{max(first, last):.4f},{min(first, last):.4f},{last:.4f},"
            f"{interest // 3},{interest},{tail}"
        )
    return lines


def _greeks(forward: float, strikes: Floats, variance: Floats, years: float) -> dict[str, Floats]:
    """Return rows of implied volatility, delta, gamma, vega, theta, rho by right, (6, n)."""
    deviation = np.sqrt(variance)
    volatility = deviation / math.sqrt(years)
    upper = np.log(forward / strikes) / deviation + 0.5 * deviation
    lower = upper - deviation
    density = np.exp(-0.5 * upper * upper) / math.sqrt(2 * math.pi)
    discount, carry = math.exp(-RATE * years), math.exp(-DIVIDEND_YIELD * years)
    spot = forward * math.exp(-(RATE - DIVIDEND_YIELD) * years)
    gamma = carry * density / (spot * deviation)
    vega = spot * carry * density * math.sqrt(years) / 100
    decay = -spot * carry * density * volatility / (2 * math.sqrt(years))
    rows = {}
    for right, sign in (("C", 1.0), ("P", -1.0)):
        delta = sign * carry * ndtr(sign * upper)
        money = discount * strikes * ndtr(sign * lower)
        theta = (decay - sign * RATE * money + DIVIDEND_YIELD * spot * delta) / 365
        rows[right] = np.vstack((volatility, delta, gamma, vega, theta, sign * years * money / 100))
    return rows
