"""A market of random walks in memory: QQQ, the three funds made of it, SPY, SPX and a VIX that stands still.

It gives no signal an edge, which is the point: what is proven must hold whatever the market does.  A date has the same
minutes in every tape of a seed.  Prices in USD; minutes are regular ones and numbered by their end, from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from core.ports import RawBar, RawChain, RawQuote, RawStrikes
from core.session import SessionClock
from core.settings import SessionSettings
from core.vocabulary import Instrument

Floats = npt.NDArray[np.float64]

MINUTE: Final = timedelta(minutes=1)
VIX_POINTS: Final = 17.0
FACTORS: Final[Mapping[str, float]] = {"QQQ": 1.0, "TQQQ": 3.0, "PSQ": -1.0, "SQQQ": -3.0, "SPY": 0.8, "SPX": 0.8}
FIRST_PRICES: Final[Mapping[str, float]] = {
    "QQQ": 500.0, "TQQQ": 85.0, "PSQ": 40.0, "SQQQ": 18.0, "SPY": 600.0, "SPX": 6000.0, "VIX": VIX_POINTS,
}  # fmt: skip
QUOTED: Final = ("QQQ", "TQQQ", "PSQ", "SQQQ", "SPY")

_DAY_SD: Final = 0.011
_NIGHT_SD: Final = 0.004
_TICKS: Final = 6
"""Prices within a minute from which its bar is made."""
_QUIET_MINUTES: Final = 0.002
"""Share of minutes in which a symbol does not trade at all."""
_DAILY_WAVE: Final = 0.009
"""Closes before the tape begins alternate by this, so that realised volatility is there and near VIX."""

CLOCK: Final = SessionClock(SessionSettings())


@dataclass(frozen=True, slots=True)
class Silence:
    """No quotes and no trades of a symbol in the minutes that end after `since` and at `until` or before; a halt that
    is announced is also said.
    """

    symbol: str
    since: datetime
    until: datetime
    announced: bool = False

    def covers(self, symbol: str, at: datetime) -> bool:
        return symbol == self.symbol and self.since < at <= self.until


@dataclass(frozen=True, slots=True)
class _Session:
    """One session: open, high, low, close (n, 4), volume (n,) and minutes without a trade, by symbol."""

    minutes: int
    bars: Mapping[str, Floats]
    volumes: Mapping[str, Floats]
    quiet: Mapping[str, frozenset[int]]
    closes: Mapping[str, float]


@lru_cache(maxsize=256)
def _session(seed: int, day: date, first: date) -> _Session:
    """Return a session of the tape of a seed that begins on a first day."""
    before = FIRST_PRICES if day == first else _session(seed, CLOCK.previous_session(day).day, first).closes
    found = CLOCK.session(day)
    assert found is not None, "tapes are made of sessions"
    n = int((found.close - found.open) / MINUTE)
    random = np.random.default_rng([seed, day.toordinal()])
    # Busier at both ends of the session.
    busy = 0.75 + 1.0 * np.linspace(-1, 1, n) ** 2
    sd = _DAY_SD / np.sqrt(n) * busy / np.sqrt(np.mean(busy**2))
    steps = random.standard_normal((n, _TICKS)) * sd[:, None] / np.sqrt(_TICKS)
    path = np.exp(random.standard_normal() * _NIGHT_SD + np.concatenate(([0.0], np.cumsum(steps.ravel()))))
    bars: dict[str, Floats] = {}
    volumes: dict[str, Floats] = {}
    quiet: dict[str, frozenset[int]] = {}
    for symbol, factor in FACTORS.items():
        value = before[symbol] * (1.0 + factor * (path - 1.0))
        within = np.lib.stride_tricks.sliding_window_view(value, _TICKS + 1)[::_TICKS]
        made = np.column_stack((within[:, 0], within.max(axis=1), within.min(axis=1), within[:, -1]))
        bars[symbol] = np.round(made, 2)
        volumes[symbol] = np.floor(4e5 * busy * np.exp(0.5 * random.standard_normal(n)))
        silent = np.flatnonzero(random.random(n) < _QUIET_MINUTES) if symbol in QUOTED else ()
        quiet[symbol] = frozenset(int(minute) + 1 for minute in silent)
    closes = {symbol: float(made[-1, 3]) for symbol, made in bars.items()} | {"VIX": VIX_POINTS}
    return _Session(n, bars, volumes, quiet, closes)


class Tape:
    """`core.ports.MarketFeed` over the sessions from first to last; `now` is set by who runs it."""

    def __init__(self, seed: int, first: date, last: date, silences: Iterable[Silence] = ()) -> None:
        self.now = datetime.min
        self.days = CLOCK.sessions_between(first, last)
        self._seed = seed
        self._first = first
        self._silences: dict[date, list[Silence]] = {}
        for silence in silences:
            self._silences.setdefault(silence.since.date(), []).append(silence)

    def session(self, day: date) -> _Session:
        return _session(self._seed, day, self._first)

    def _minute(self, at: datetime) -> int:
        """Return the number of the session's minute that ends at a moment, 0 where there is none."""
        found = CLOCK.session(at.date())
        if found is None or not found.open < at <= found.close:
            return 0
        return int((at - found.open) / MINUTE)

    def speaks(self, symbol: str, at: datetime) -> bool:
        """Whether the minute that ends now brought quotes and trades of a symbol."""
        minute = self._minute(at)
        if not minute or symbol not in FIRST_PRICES:
            return False
        if any(silence.covers(symbol, at) for silence in self._silences.get(at.date(), ())):
            return False
        return symbol == "VIX" or minute not in self.session(at.date()).quiet[symbol]

    def prices(self, symbol: str, at: datetime) -> tuple[float, float, float, float]:
        """Return open, high, low and close of a minute, spoken of or not."""
        if symbol == "VIX":
            return (VIX_POINTS,) * 4
        o, h, low, c = self.session(at.date()).bars[symbol][self._minute(at) - 1]
        return float(o), float(h), float(low), float(c)

    def last_price(self, symbol: str) -> float:
        """Return the close of the last minute in which a symbol spoke; a session's last close before its first one."""
        session = CLOCK.session(self.now.date())
        if session is not None and session.open < self.now:
            at = min(self.now, session.close)
            while at > session.open:
                if self.speaks(symbol, at):
                    return self.prices(symbol, at)[3]
                at -= MINUTE
        return self._daily(symbol, 1)[-1].close

    def rises(self, day: date, symbol: str, horizon: int) -> list[bool]:
        """Return for every minute whether the price is higher so many minutes later, or at the close."""
        closes = self.session(day).bars[symbol][:, 3]
        later = np.minimum(np.arange(len(closes)) + horizon, len(closes) - 1)
        return [bool(rise) for rise in closes[later] > closes]

    # -------------------------------------------------------------------------------------------------------- the port

    @property
    def time(self) -> datetime:
        return self.now

    def bar(self, symbol: str) -> RawBar | None:
        return self._bar(symbol, self.now) if self.speaks(symbol, self.now) else None

    def _bar(self, symbol: str, at: datetime) -> RawBar:
        volume = 0.0 if symbol == "VIX" else float(self.session(at.date()).volumes[symbol][self._minute(at) - 1])
        return RawBar(at, *self.prices(symbol, at), volume)

    def quote(self, symbol: str) -> RawQuote | None:
        if symbol not in QUOTED or not self.speaks(symbol, self.now):
            return None
        _open, high, low, close = self.prices(symbol, self.now)
        return RawQuote(self.now, round(close - 0.01, 2), close, round(low - 0.01, 2), round(high + 0.01, 2))

    def bars_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawBar]:
        return {symbol: bar for symbol in symbols if minute == self.now and (bar := self.bar(symbol)) is not None}

    def quotes_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawQuote]:
        return {symbol: found for symbol in symbols if minute == self.now and (found := self.quote(symbol)) is not None}

    def chain(self, minute: datetime, root: str, expiry: date) -> RawChain | None:
        return None

    def strikes(
        self, minute: datetime, root: str, expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> RawStrikes | None:
        return None

    def listed(self, root: str) -> Mapping[date, int]:
        return {}

    def halted(self) -> frozenset[str]:
        today = self._silences.get(self.now.date(), ())
        return frozenset(item.symbol for item in today if item.announced and item.covers(item.symbol, self.now))

    def minute_history(self, symbol: str, since: datetime) -> Sequence[RawBar]:
        minutes = int((self.now - since) / MINUTE)
        ends = (since + number * MINUTE for number in range(1, minutes + 1))
        return [self._bar(symbol, end) for end in ends if end < self.now and self.speaks(symbol, end)]

    def daily_history(self, symbols: Sequence[str], sessions: int) -> Mapping[str, Sequence[RawBar]]:
        return {symbol: self._daily(symbol, sessions) for symbol in symbols}

    def _daily(self, symbol: str, sessions: int) -> Sequence[RawBar]:
        day, bars = self.now.date(), []
        for number in range(sessions):
            day = CLOCK.previous_session(day).day
            if day >= self._first:
                price = self.session(day).closes[symbol]
            else:
                wave = 1.0 if symbol == "VIX" or number == 0 else 1.0 + _DAILY_WAVE * (-1) ** number
                price = FIRST_PRICES[symbol] * wave
            end = datetime.combine(day, time(16))
            bars.append(RawBar(end, price, price, price, price, 1e6))
        return bars[::-1]
