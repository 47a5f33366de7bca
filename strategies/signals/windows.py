"""What the detectors look at: the bars since the windows began, and the figures that several of them share."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Final

from core.signal import SignalBar

SPAN: Final = 20
"""Bars of the common windows: returns, volumes, distances from the average price."""

DIFFERENCES: Final = 14
"""Gains and losses that an RSI is made from."""

GAP_BARS: Final = 5
"""So many missing bars in a row leave the windows as they are; one more starts them anew."""

OPENING_MINUTES: Final = 30

_SAMPLE_ROOT: Final = math.sqrt(SPAN - 1)


class Windows:
    """One session's newest bars as columns of a window's length; minutes that are missing are not in them.

    bars counts those since the windows began, the newest included.
    gains and losses are the differences of the closes by their sign, the other one being 0.  deviation is the sample
    deviation of the returns, volume the sum of the volumes of a full common window and volume_before that of the one
    that ended a bar earlier; without volume is one in which nothing traded.
    """

    def __init__(self) -> None:
        self.bars = 0
        self.closes: deque[float] = deque(maxlen=SPAN)
        self.volumes: deque[float] = deque(maxlen=SPAN)
        self.returns: deque[float] = deque(maxlen=SPAN)
        self.gains: deque[float] = deque(maxlen=DIFFERENCES)
        self.losses: deque[float] = deque(maxlen=DIFFERENCES)
        self.flows: deque[float] = deque(maxlen=SPAN)
        self.distances: deque[float] = deque(maxlen=SPAN)
        self.vwap: float | None = None
        self.high: float | None = None
        self.low: float | None = None
        self.number = 0
        self.deviation = 0.0
        self.volume = 0.0
        self.volume_before = 0.0
        self.is_without_volume = False
        self._value = 0.0
        self._session_volume = 0.0
        self._missing = 0

    def take(self, bar: SignalBar) -> None:
        """Add a sound bar."""
        if bar.number != self.number + 1:
            self._count_missing(bar.number - self.number - 1)  # nobody told us of them
        self.number = bar.number
        self._missing = 0
        self.bars += 1
        close, volume = bar.close, bar.volume
        if self.closes:
            before = self.closes[-1]
            change = close - before
            self.gains.append(change if change > 0 else 0.0)
            self.losses.append(-change if change < 0 else 0.0)
            self.returns.append(math.log(close / before))
        self.closes.append(close)
        self.volumes.append(volume)
        span = bar.high - bar.low
        self.flows.append((close - bar.open) / span * volume if span > 0 else 0.0)
        self._value += (bar.high + bar.low + close) / 3 * volume
        self._session_volume += volume
        if self._session_volume > 0:
            self.vwap = self._value / self._session_volume
            self.distances.append(close - self.vwap)
        # Five detectors ask for these: they are reckoned once a bar.
        if self.bars >= SPAN:
            self.volume_before, self.volume = self.volume, math.fsum(self.volumes)
            self.is_without_volume = self.volume <= 0.0
        if self.bars > SPAN:
            self.deviation = off_mean(self.returns, math.fsum(self.returns) / SPAN) / _SAMPLE_ROOT
        if bar.number <= OPENING_MINUTES:
            self.high = bar.high if self.high is None else max(self.high, bar.high)
            self.low = bar.low if self.low is None else min(self.low, bar.low)

    def miss(self, number: int) -> None:
        """Pass a minute that brought no bar; minutes that nobody told us of are missing as well."""
        self._count_missing(number - self.number)
        self.number = number

    def _count_missing(self, minutes: int) -> None:
        self._missing += minutes
        if self._missing > GAP_BARS and self.bars:
            self.bars, self.deviation = 0, 0.0
            self.volume = self.volume_before = 0.0
            self.is_without_volume = False
            for column in (
                self.closes, self.volumes, self.returns, self.gains, self.losses, self.flows, self.distances,
            ):  # fmt: skip
                column.clear()

    def move(self, bars: int) -> float | None:
        """Return the log return over some bars in standard deviations of that span, None where nothing moved."""
        if self.deviation == 0.0:
            return None
        return math.log(self.closes[-1] / self.closes[-1 - bars]) / (self.deviation * math.sqrt(bars))


class OrderedWindow:
    """The newest values of a series, kept in their order and in ascending order, so that a quantile sorts nothing."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: deque[float] = deque()
        self._ascending: list[float] = []

    def take(self, value: float, share: float, *, of_at_least: int = 1) -> float | None:
        """Take a value in (where the window is full the oldest one leaves) and return a quantile of what is in it then,
        with linear interpolation between the two nearest values; None while there are fewer than wanted.
        """
        if len(self._values) == self._size:
            del self._ascending[bisect_left(self._ascending, self._values.popleft())]
        self._values.append(value)
        insort(self._ascending, value)
        ordered, count = self._ascending, len(self._ascending)
        if count < of_at_least:
            return None
        place = share * (count - 1)
        lower = int(place)
        if lower + 1 >= count:
            return ordered[lower]
        return ordered[lower] + (place - lower) * (ordered[lower + 1] - ordered[lower])

    def clear(self) -> None:
        self._values.clear()
        self._ascending.clear()


def off_mean(values: deque[float], mean: float) -> float:
    """Return the root of the summed squares of what lies between the values of a common window and their mean."""
    return math.dist(values, [mean] * SPAN)


def clip(value: float, low: float, high: float) -> float:
    return low if value < low else high if value > high else value


def sigmoid(value: float) -> float:
    """Return 1 / (1 + e^-x), without overflow at either end; sigmoid(-x) is 1 - sigmoid(x)."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    return 1.0 - 1.0 / (1.0 + math.exp(value))
