"""Seven looks at one session, each a probability of "up"; None while it has seen too little.

A denominator of zero says nothing about direction and gives 0.5.  Formulas, windows and weights: etf-rotation.md 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Final

from core.signal import SignalBar
from strategies.signals.windows import (
    DIFFERENCES,
    OPENING_MINUTES,
    SPAN,
    OrderedWindow,
    Windows,
    clip,
    off_mean,
    sigmoid,
)

EVEN: Final = 0.5

_ROOT: Final = math.sqrt(SPAN)
_LN2: Final = math.log(2.0)


class Detector(ABC):
    """One look.  It is asked once for every sound bar, in order; what it remembers belongs to this session."""

    name: ClassVar[str]
    weight: ClassVar[float]

    @abstractmethod
    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        """Return the probability of "up" after this bar (which the windows hold already), None while not ready."""


class RsiReversion(Detector):
    """What has risen for a quarter of an hour comes back: RSI of 14 differences, 30 gives 0.80."""

    name = "rsi_reversion"
    weight = 1.0

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if windows.bars <= DIFFERENCES:
            return None
        gain, loss = math.fsum(windows.gains), math.fsum(windows.losses)
        if gain == 0 and loss == 0:
            return EVEN
        # RSI - 50, written so that the mirrored market gives exactly the opposite.
        return sigmoid(-(50.0 * (gain - loss) / (gain + loss)) / 10.0 * _LN2)


class SqueezeBreakout(Detector):
    """After a narrow market the first wide move goes on: closes within their narrowest quarter arm it, a move beyond
    one standard deviation fires it.
    """

    name = "squeeze_breakout"
    weight = 1.0
    WIDTHS: ClassVar[int] = 60
    WIDTHS_NEEDED: ClassVar[int] = 30
    QUANTILE: ClassVar[float] = 0.25
    SQUEEZED_BARS: ClassVar[int] = 3
    FADE: ClassVar[float] = 0.2

    def __init__(self) -> None:
        self._widths = OrderedWindow(self.WIDTHS)
        self._squeezed = 0
        self._armed = 0.0

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if windows.bars == 1:
            self._widths.clear()
            self._squeezed, self._armed = 0, 0.0
        if windows.bars < SPAN:
            return None
        mean = math.fsum(windows.closes) / SPAN
        deviation = off_mean(windows.closes, mean) / _ROOT
        width = deviation / mean
        narrow = self._widths.take(width, self.QUANTILE, of_at_least=self.WIDTHS_NEEDED)
        if narrow is None:
            return None
        self._squeezed = self._squeezed + 1 if width <= narrow else 0
        if self._squeezed >= self.SQUEEZED_BARS:
            self._armed = 1.0
        else:
            self._armed = self._armed - self.FADE if self._armed > self.FADE else 0.0
        if deviation == 0 or self._armed == 0:
            return EVEN
        z = (bar.close - mean) / deviation
        return sigmoid(0.85 * self._armed * clip(abs(z) - 1.0, 0.0, 1.0) * z)


class MomentumVolume(Detector):
    """Ten minutes of movement count as far as they come with volume."""

    name = "momentum_volume"
    weight = 1.0
    BARS: ClassVar[int] = 10

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if windows.bars <= SPAN or windows.is_without_volume:
            return None
        moved = windows.move(self.BARS)
        mean = windows.volume / SPAN
        deviation = off_mean(windows.volumes, mean) / _ROOT
        if moved is None or deviation == 0:
            return EVEN
        support = clip(0.5 + 0.25 * (bar.volume - mean) / deviation, 0.0, 1.0)
        return sigmoid(0.8 * support * clip(moved, -3.0, 3.0))


class VwapReversion(Detector):
    """Far from the session's average price the way back is the shorter one."""

    name = "vwap_reversion"
    weight = 1.0

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if len(windows.distances) < SPAN or windows.vwap is None or windows.is_without_volume:
            return None
        usual = math.hypot(*windows.distances) / _ROOT
        if usual == 0:
            return EVEN
        return sigmoid(-0.85 * clip(windows.distances[-1] / usual, -3.0, 3.0))


class OpeningRange(Detector):
    """Beyond the range of the first half hour, in units of that range."""

    name = "opening_range"
    weight = 0.5

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if bar.number <= OPENING_MINUTES or windows.high is None or windows.low is None:
            return None
        span = windows.high - windows.low
        if span == 0 or windows.low <= bar.close <= windows.high:
            return EVEN
        beyond = bar.close - (windows.high if bar.close > windows.high else windows.low)
        return sigmoid(2.8 * clip(beyond / span, -1.0, 1.0))


class OfiProxy(Detector):
    """Where in its bar the price ended, weighted by volume: who was in a hurry."""

    name = "ofi_proxy"
    weight = 0.5

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if windows.bars < SPAN or windows.is_without_volume:
            return None
        return sigmoid(4.0 * math.fsum(windows.flows) / windows.volume)


class VolumeSurge(Detector):
    """A minute with far more volume than usual goes where the last five minutes went."""

    name = "volume_surge"
    weight = 0.5
    BARS: ClassVar[int] = 5

    def vote(self, bar: SignalBar, windows: Windows) -> float | None:
        if windows.bars <= SPAN or windows.is_without_volume:
            return None
        usual = windows.volume_before / SPAN
        if usual == 0:
            return EVEN
        surge = clip((bar.volume / usual - 1.5) / 1.5, 0.0, 1.0)
        moved = windows.move(self.BARS) if surge > 0 else None
        if moved is None:
            return EVEN
        return sigmoid(1.4 * surge * clip(moved, -1.0, 1.0))


def all_detectors() -> tuple[Detector, ...]:
    """Return new detectors, in the order of the table."""
    return (
        RsiReversion(), SqueezeBreakout(), MomentumVolume(), VwapReversion(), OpeningRange(), OfiProxy(), VolumeSurge(),
    )  # fmt: skip


TOTAL_WEIGHT: Final = math.fsum(detector.weight for detector in all_detectors())
