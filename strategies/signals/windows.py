"""What the detectors look at: the bars since the windows began, and the figures that several of them share."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from core.signal import SignalBar

SPAN: Final = 20
"""Bars of the common windows: returns, volumes, distances from the average price."""

GAP_BARS: Final = 5
"""So many missing bars in a row leave the windows as they are; one more starts them anew."""

OPENING_MINUTES: Final = 30


class Windows:
    """One session's bars as windows.  Each ends with the newest bar; minutes that are missing are not in it.

    deviation is the sample deviation of the returns; without volume is a full common window in which nothing traded.
    """

    def __init__(self) -> None:
        self.bars = 0
        self.closes: deque[float] = deque(maxlen=SPAN + 1)
        self.volumes: deque[float] = deque(maxlen=SPAN + 1)
        self.returns: deque[float] = deque(maxlen=SPAN)
        self.flows: deque[float] = deque(maxlen=SPAN)
        self.distances: deque[float] = deque(maxlen=SPAN)
        self.vwap: float | None = None
        self.high: float | None = None
        self.low: float | None = None
        self.number = 0
        self.deviation = 0.0
        self.is_without_volume = False
        self._value = 0.0
        self._volume = 0.0
        self._missing = 0

    def take(self, bar: SignalBar) -> None:
        """Add a sound bar."""
        self._pass_to(bar.number)
        self._missing = 0
        self.bars += 1
        if self.closes:
            self.returns.append(math.log(bar.close / self.closes[-1]))
        self.closes.append(bar.close)
        self.volumes.append(bar.volume)
        span = bar.high - bar.low
        self.flows.append((bar.close - bar.open) / span * bar.volume if span > 0 else 0.0)
        self._value += (bar.high + bar.low + bar.close) / 3 * bar.volume
        self._volume += bar.volume
        if self._volume > 0:
            self.vwap = self._value / self._volume
            self.distances.append(bar.close - self.vwap)
        # Five detectors ask for these: they are reckoned once a bar.
        self.deviation = sample_deviation(self.returns) if len(self.returns) > 1 else 0.0
        self.is_without_volume = len(self.volumes) >= SPAN and sum(last(self.volumes, SPAN)) <= 0.0
        if bar.number <= OPENING_MINUTES:
            self.high = bar.high if self.high is None else max(self.high, bar.high)
            self.low = bar.low if self.low is None else min(self.low, bar.low)

    def miss(self, number: int) -> None:
        """Pass a minute that brought no bar."""
        self._pass_to(number)
        self._count_missing(1)

    def _pass_to(self, number: int) -> None:
        """Minutes that nobody told us of are missing as well."""
        self._count_missing(max(0, number - self.number - 1))
        self.number = number

    def _count_missing(self, minutes: int) -> None:
        self._missing += minutes
        if self._missing > GAP_BARS and self.bars:
            self.bars = 0
            self.is_without_volume = False
            for window in (self.closes, self.volumes, self.returns, self.flows, self.distances):
                window.clear()

    @property
    def has_restarted(self) -> bool:
        """Whether the newest bar is the first of its windows."""
        return self.bars == 1

    def move(self, bars: int) -> float | None:
        """Return the log return over some bars in standard deviations of that span, None where nothing moved."""
        if self.deviation == 0.0:
            return None
        newest = len(self.closes) - 1
        return math.log(self.closes[newest] / self.closes[newest - bars]) / (self.deviation * math.sqrt(bars))


def last(window: Sequence[float] | deque[float], count: int) -> list[float]:
    """Return the newest values of a window, oldest first."""
    return list(window)[-count:]


def sample_deviation(values: Sequence[float] | deque[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def population_deviation(values: Sequence[float] | deque[float], mean: float) -> float:
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / len(values))


def clip(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


def sigmoid(value: float) -> float:
    """Return 1 / (1 + e^-x), without overflow at either end; sigmoid(-x) is 1 - sigmoid(x)."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    return 1.0 - sigmoid(-value)
