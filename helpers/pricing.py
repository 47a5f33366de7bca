"""Option chains as the model sees them: time to settlement, the forward by put-call parity, volatility and delta.

The engine's own Greeks never decide: its theta is per year and its far wings do not converge.  Units are those of
`helpers.black76`; unknown is NaN in columns, None for a forward.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Final

import numpy as np

from core.eastern import to_utc
from core.market import Chain, Session, Strikes
from core.values import value
from core.vocabulary import Instrument, Right
from helpers.black76 import Bools, Floats, black_delta, implied_volatility, implied_volatility_of

SECONDS_PER_YEAR: Final = 31_536_000
REGULAR_CLOSE: Final = time(16, 0)
"""PM settlement of an index option that expires on a later day; a half day is known only when it is today's session."""
WORTHLESS_ASK: Final = 0.10
"""A long without bid and with an ask up to this has no delta and no value (points)."""

_SPREAD_TOLERANCE: Final = 1e-9


def years_to(settlement: datetime, now: datetime, *, min_s: int) -> float:
    """Return years of 31,536,000 s from now to settlement, never less than min_s seconds.

    Those that really pass count: a clock change moves them by an hour.
    """
    return max((to_utc(settlement) - to_utc(now)).total_seconds(), min_s) / SECONDS_PER_YEAR


def settlement_time(expiry: date, session: Session) -> datetime:
    """Return when a PM-settled contract of that expiry settles: today's real close, else 16:00 of its day."""
    return session.close if expiry == session.day else datetime.combine(expiry, REGULAR_CLOSE)


def discount_factor(rate_pct: float, years: float) -> float:
    """Return the present value of 1 paid in years, at a continuously compounded rate in per cent."""
    return math.exp(-rate_pct / 100.0 * years)


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
    found: list[_Pair] = []
    for strike, call in calls.items():
        put = puts.get(strike)
        if put is not None:
            found.append((abs(call - put), strike, call - put))
    found.sort()
    return found


def _median_forward(pairs: Sequence[_Pair], discount: float) -> float | None:
    if len(pairs) < 3:
        return None
    (_, first, of_first), (_, second, of_second), (_, third, of_third) = pairs[:3]
    return sorted((first + of_first / discount, second + of_second / discount, third + of_third / discount))[1]


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


def forward_of_strikes(strikes: Strikes, mids: dict[str, float], discount: float) -> float | None:
    """Return the forward that the whole chain would give, None where some strikes cannot tell it.

    mids are those of GOOD quotes that are known already by symbol; those of the strikes are added, NaN for any other
    quote.  Along the strikes call less put only falls.  So no strike that was not looked at can be among the three
    nearest the money where the two nearest lie inside of those that were read without a gap: the third is at most the
    outermost of these, and beyond it the difference only grows.
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
    pairs = _pairs(calls, puts)
    if len(pairs) < 4:
        return None
    low, high = sorted((pairs[0][1], pairs[1][1]))
    is_below = is_above = False
    for _, strike, _ in pairs[2:]:
        is_below = is_below or strike < low
        is_above = is_above or strike > high
    if not (is_below and is_above):
        return None
    forward = _median_forward(pairs, discount)
    return None if forward is None or forward <= 0 else forward


def _between_neighbours(strike: Floats, iv: Floats) -> Floats:
    """Return iv with gaps filled linearly in strike, the ends left unknown."""
    known = ~np.isnan(iv)
    if known.sum() < 2:
        return iv
    filled = np.interp(strike, strike[known], iv[known], left=np.nan, right=np.nan)
    return np.where(known, iv, filled)
