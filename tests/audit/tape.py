"""Prices of a made-up market, minute by minute: shares of the rotation family, an index, its options."""

from __future__ import annotations

import math
import random
from datetime import date

from audit.contracts import contract
from audit.exchange_days import Session
from audit.times import MINUTE

CENT = 10_000
NICKEL = 50_000
_LEVERAGE = {"QQQ": 1, "TQQQ": 3, "PSQ": -1, "SQQQ": -3}
_START = {"QQQ": 500.0, "TQQQ": 85.0, "PSQ": 40.0, "SQQQ": 25.0, "IWM": 210.0}


class Tape:
    """One walk of QQQ and one of SPX per session; everything else follows from them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._closes = dict(_START)
        self._spx = 5_300.0
        self._day = date.min
        self.session: Session | None = None
        self._qqq: list[float] = []
        self._index: list[float] = []

    def begin(self, session: Session) -> None:
        """Draw the walks of a session."""
        minutes = (session.close_us - session.open_us) // MINUTE
        self.session, self._day = session, session.day
        self._qqq = self._walk(0.0, 0.0004, minutes)
        self._index = [self._spx * math.exp(step) for step in self._walk(0.0, 0.0002, minutes)]

    def _walk(self, start: float, deviation: float, minutes: int) -> list[float]:
        steps = [start]
        for _ in range(minutes):
            steps.append(steps[-1] + self._rng.gauss(0.0, deviation))
        return steps

    def end(self) -> None:
        """Keep the closes for the next session."""
        for symbol in self._closes:
            self._closes[symbol] = self._mid(symbol, len(self._qqq) - 1)
        self._spx = self._index[-1]

    def split(self, symbol: str, num: int, den: int) -> None:
        self._closes[symbol] *= den / num

    def _mid(self, symbol: str, minute: int) -> float:
        move = self._qqq[min(minute, len(self._qqq) - 1)]
        return self._closes[symbol] * math.exp(_LEVERAGE.get(symbol, 1) * move)

    def spot(self, underlying: str, minute: int) -> float:
        """Return the price of an underlying: an index, SPY as its tenth, or a share."""
        index = self._index[min(minute, len(self._index) - 1)]
        return index if underlying == "SPX" else index / 10 if underlying == "SPY" else self._mid(underlying, minute)

    def quote(self, symbol: str, minute: int) -> tuple[int, int]:
        """Return bid and ask in micro-dollars; a bid of 0 is none."""
        item = contract(symbol)
        if not item.is_option:
            bid = int(self.spot(symbol, minute) * 100) * CENT
            return bid, bid + CENT
        assert self.session is not None
        years = max((item.expiry - self._day).days * 390 + len(self._index) - min(minute, len(self._index)), 1) / 98_280
        spot = self.spot(item.underlying, minute)
        deviation = spot * 0.16 * math.sqrt(years)
        distance = (spot - item.strike_u6 / 1e6) * (1 if item.right == "C" else -1)
        ratio = distance / deviation
        density = math.exp(-ratio * ratio / 2) / math.sqrt(2 * math.pi)
        value = distance * (1 + math.erf(ratio / math.sqrt(2))) / 2 + deviation * density
        tick = NICKEL if item.underlying == "SPX" else CENT
        bid = max(0, int(value * 1e6 * 0.98 / tick) * tick)
        return bid, bid + tick * (1 + bid // (40 * tick))

    def mid(self, symbol: str, minute: int) -> int:
        bid, ask = self.quote(symbol, minute)
        return (bid + ask) // 2

    def row(self, symbol: str, minute: int) -> list[int]:
        """Return bid, ask, last, lowest bid and highest ask of the minute that just ended."""
        now, before = self.quote(symbol, minute), self.quote(symbol, max(0, minute - 1))
        return [now[0], now[1], 0, min(now[0], before[0]), max(now[1], before[1])]

    def bar(self, underlying: str, minute: int) -> list[int]:
        """Return the same of an underlying of which only trades are known."""
        now, before = (round(self.spot(underlying, at) * 100) * CENT for at in (minute, max(0, minute - 1)))
        return [0, 0, now, min(now, before), max(now, before)]


def osi(root: str, expiry: date, right: str, strike: float) -> str:
    return f"{root:<6}{expiry:%y%m%d}{right}{round(strike * 1000):08d}"
