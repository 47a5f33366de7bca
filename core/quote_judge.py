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
from core.ports import Floats, RawChain, RawQuote
from core.settings import ChainSettings, DataSettings
from core.vocabulary import Instrument, Kind

TOLERANCE: Final = 1e-9
"""Prices are binary fractions: a spread of 0.15 is a little more or less."""


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
        bid, ask = price(raw.bid), price(raw.ask)
        age_s = 0.0 if raw.end == now else (now - raw.end).total_seconds()
        if halted:
            verdict = QuoteVerdict.HALTED
        elif bid is None and ask is None:
            verdict = QuoteVerdict.MISSING
        elif age_s > 0 and age_s > self.max_age_s(instrument, now.date()):
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
        limit, least = settings.wide_mid_pct / 100 * mid, settings.wide_ticks * tick
        if limit < least:
            limit = least
        if mid <= settings.wide_cap_mid_points and limit > settings.wide_cap_points:
            limit = settings.wide_cap_points
        if median is None:
            return limit
        blown = settings.blowout_multiple * median
        return limit if limit < blown else blown

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


def prices(column: Floats) -> Floats:
    """Return a column with NaN for everything that is no price."""
    return np.where((column > 0) & (column < np.inf), column, np.nan)


def middle_of(spreads: Sequence[float]) -> float:
    """Return the median of spreads that stand in order."""
    return (spreads[(len(spreads) - 1) // 2] + spreads[len(spreads) // 2]) / 2


class ChainSpreads:
    """Spreads of the contracts of a chain so far in the session, kept sorted.

    A minute may come in parts, and a part may come twice: of each contract one spread a minute is taken in.  Looks at
    the whole chain come far more often than anybody asks for a median: they are taken in when one is asked for.
    """

    def __init__(self) -> None:
        self._sorted: dict[str, list[float]] = {}
        self._minute = datetime.min
        self._is_in: set[str] = set()
        self._looks: list[RawChain] = []

    def note(self, look: RawChain) -> None:
        """Take in the spreads of a whole chain in the minute that ended, no earlier than any before it."""
        self._looks.append(look)

    def _take_in(self) -> None:
        looks, self._looks = self._looks, []
        for look in looks:
            spreads = (prices(look.ask) - prices(look.bid)).tolist()
            for instrument, spread in zip(look.instruments, spreads, strict=True):
                self._add(look.end, instrument.symbol, spread)

    def _add(self, minute: datetime, symbol: str, spread: float) -> None:
        if not spread > 0:
            return
        if minute > self._minute:
            self._minute = minute
            self._is_in.clear()
        if symbol not in self._is_in:
            self._is_in.add(symbol)
            insort(self._sorted.setdefault(symbol, []), spread)

    def medians(self, instruments: Sequence[Instrument]) -> list[float]:
        """Return the medians of contracts, NaN where none is known."""
        found = [self.median(instrument.symbol) for instrument in instruments]
        return [math.nan if median is None else median for median in found]

    def median(self, symbol: str) -> float | None:
        if self._looks:
            self._take_in()
        spreads = self._sorted.get(symbol)
        return middle_of(spreads) if spreads else None

    def usual(self, minute: datetime, symbol: str, spread: float) -> float | None:
        """Take in a contract's spread in the minute that ended, in points (not above 0, or NaN: it has no market), and
        return its median so far.
        """
        if self._looks:
            self._take_in()
        self._add(minute, symbol, spread)
        return self.median(symbol)
