"""What a quote is worth: one verdict each, and the widest spread that is still a market.

A spread is judged three ways: against tick and price, against a cap for cheap contracts, and against the contract's own
median spread so far today, so that a blow-out is seen where an ordinary wide market is not.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import numpy as np

from core.market import Quote, QuoteVerdict
from core.ports import Floats, RawQuote
from core.settings import ChainSettings, DataSettings
from core.vocabulary import Instrument, Kind

TOLERANCE: Final = 1e-9
"""Prices are binary fractions: a spread of 0.15 is a little more or less."""

_FIRST_MINUTES: Final = 64


class QuoteJudge:
    """Verdicts by the leg limits of the chain gate and the age limits of the data."""

    def __init__(self, chain: ChainSettings, data: DataSettings) -> None:
        self._chain = chain
        self._data = data

    def max_age_s(self, instrument: Instrument, today: date) -> int:
        """Return how old a quote may be: shares are judged as an underlying, options by their days to expiry."""
        if instrument.kind is Kind.SHARE:
            return self._data.underlying_max_age_s
        assert instrument.expiry is not None
        near = (instrument.expiry - today).days <= self._data.near_dte
        return self._data.quote_max_age_near_s if near else self._data.quote_max_age_far_s

    def judge(
        self, instrument: Instrument, raw: RawQuote | None, now: datetime, *, halted: bool, median: float | None
    ) -> Quote:
        """Return the quote with the first verdict that fits; raw is the last real quote of today, None without one."""
        if raw is None:
            return Quote(QuoteVerdict.HALTED if halted else QuoteVerdict.MISSING)
        bid, ask, age_s = price(raw.bid), price(raw.ask), (now - raw.end).total_seconds()
        if halted:
            verdict = QuoteVerdict.HALTED
        elif bid is None and ask is None:
            verdict = QuoteVerdict.MISSING
        elif age_s > self.max_age_s(instrument, now.date()):
            verdict = QuoteVerdict.STALE
        elif bid is None:
            verdict = QuoteVerdict.NO_BID
        elif ask is None:
            verdict = QuoteVerdict.MISSING
        elif bid > ask:
            verdict = QuoteVerdict.CROSSED
        elif bid == ask:
            verdict = QuoteVerdict.LOCKED
        elif ask - bid > self.wide_limit((bid + ask) / 2, instrument.tick, median) + TOLERANCE:
            verdict = QuoteVerdict.WIDE
        else:
            verdict = QuoteVerdict.GOOD
        return Quote(verdict, bid, ask, price(raw.low_bid), price(raw.high_ask), age_s)

    def wide_limit(self, mid: float, tick: float, median: float | None) -> float:
        """Return the largest spread in points that is not WIDE; median is this contract's spread so far, or None."""
        settings = self._chain
        limit = max(settings.wide_ticks * tick, settings.wide_mid_pct / 100 * mid)
        if mid <= settings.wide_cap_mid_points:
            limit = min(limit, settings.wide_cap_points)
        return limit if median is None else min(limit, settings.blowout_multiple * median)

    def wide_limits(self, mid: Floats, tick: Floats, median: Floats) -> Floats:
        """Return `wide_limit` for columns; NaN in median: not known yet, NaN in mid: no limit can be told."""
        settings = self._chain
        limit = np.maximum(settings.wide_ticks * tick, settings.wide_mid_pct / 100 * mid)
        limit = np.where(mid <= settings.wide_cap_mid_points, np.minimum(limit, settings.wide_cap_points), limit)
        capped: Floats = np.fmin(limit, settings.blowout_multiple * median)
        return np.where(np.isnan(mid), np.nan, capped)


def price(value: float | None) -> float | None:
    """Return a price that can be one: above 0 and finite. LEAN writes an absent side as 0."""
    return value if value is not None and 0 < value < math.inf else None


class SpreadHistory:
    """Spreads of single contracts so far in the session, kept sorted."""

    def __init__(self) -> None:
        self._sorted: dict[str, list[float]] = {}

    def add(self, symbol: str, spread: float) -> None:
        insort(self._sorted.setdefault(symbol, []), spread)

    def median(self, symbol: str) -> float | None:
        spreads = self._sorted.get(symbol)
        if not spreads:
            return None
        return (spreads[(len(spreads) - 1) // 2] + spreads[len(spreads) // 2]) / 2


class ChainSpreads:
    """Spreads of a chain so far in the session: a sorted row per contract, so that medians cost no sorting.

    A minute may come in parts, and a part may come twice: of each contract one spread a minute is taken in.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._spreads = np.full((0, _FIRST_MINUTES), np.inf)
        self._counts = np.zeros(0, dtype=np.intp)
        self._minute = datetime.min
        self._is_in = np.zeros(0, dtype=np.bool_)
        self._instruments: Sequence[Instrument] = ()
        self._at = np.zeros(0, dtype=np.intp)

    def add(self, minute: datetime, instruments: Sequence[Instrument], spreads: Floats) -> None:
        """Insert contracts of the minute that ended: spreads (n,) in points, NaN without a two-sided market."""
        at = self._align(instruments)
        if minute > self._minute:
            self._minute = minute
            self._is_in[:] = False
        is_new = ~(self._is_in[at] | np.isnan(spreads))
        at, fresh = at[is_new], spreads[is_new]
        if not len(at):
            return
        longest = int(self._counts[at].max()) + 1
        if longest > self._spreads.shape[1]:
            self._spreads = np.hstack((self._spreads, np.full_like(self._spreads, np.inf)))
        before = self._spreads[at, :longest]
        after = np.minimum(before, fresh[:, np.newaxis])
        np.maximum(after[:, 1:], before[:, :-1], out=after[:, 1:])
        self._spreads[at, :longest] = after
        self._counts[at] += 1
        self._is_in[at] = True

    def medians(self, instruments: Sequence[Instrument]) -> Floats:
        """Return the median spread (n,) of contracts, NaN for those that had none yet."""
        at = self._align(instruments)
        counts = self._counts[at]
        low, high = np.maximum(counts - 1, 0) // 2, counts // 2
        middle: Floats = (self._spreads[at, low] + self._spreads[at, high]) / 2
        return np.where(counts > 0, middle, np.nan)

    def median(self, symbol: str) -> float | None:
        row = self._rows.get(symbol)
        if row is None or not self._counts[row]:
            return None
        count = int(self._counts[row])
        return float(self._spreads[row, (count - 1) // 2] + self._spreads[row, count // 2]) / 2

    def _align(self, instruments: Sequence[Instrument]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Return the row of each contract; new contracts get one."""
        if instruments is self._instruments or instruments == self._instruments:
            return self._at
        rows = self._rows
        for instrument in instruments:
            rows.setdefault(instrument.symbol, len(rows))
        more = len(rows) - len(self._counts)
        if more:
            self._spreads = np.vstack((self._spreads, np.full((more, self._spreads.shape[1]), np.inf)))
            self._counts = np.concatenate((self._counts, np.zeros(more, dtype=np.intp)))
            self._is_in = np.concatenate((self._is_in, np.zeros(more, dtype=np.bool_)))
        self._instruments = instruments
        self._at = np.fromiter((rows[item.symbol] for item in instruments), np.intp, len(instruments))
        return self._at
