"""Seven detectors fused into one probability: the weighted mean of their log-odds, amplified.

All state starts anew at each open.  A missing or senseless minute is answered NOT_READY, never 0.5.
"""

from __future__ import annotations

import math
from datetime import date

from core.reasons import Reason
from core.settings_etf import SignalSettings
from core.signal import MissingBar, Reading, SignalBar
from strategies.signals.detectors import TOTAL_WEIGHT, all_detectors
from strategies.signals.windows import Windows, sigmoid


def fuse(votes: dict[str, tuple[float, float]], settings: SignalSettings) -> float:
    """Return the fused probability of votes (name -> probability, weight); at least one is needed.

    Mirrored votes give the mirrored answer: fuse(1 - p) = 1 - fuse(p).
    """
    low = settings.logit_clip_prob
    high = 1.0 - low
    odds = weights = 0.0
    for vote, weight in votes.values():
        clipped = low if vote < low else high if vote > high else vote
        odds += weight * math.log(clipped / (1.0 - clipped))
        weights += weight
    return sigmoid(settings.fusion_gain * odds / weights)


class Sigor:
    """The live signal."""

    name = "sigor"

    def __init__(self, settings: SignalSettings) -> None:
        self._settings = settings
        self._day: date | None = None
        self._windows = Windows()
        self._detectors = all_detectors()

    def update(self, bar: SignalBar | MissingBar) -> Reading:
        day = bar.end.date()
        if day != self._day:
            self._day = day
            self._windows, self._detectors = Windows(), all_detectors()
        if bar.number <= self._windows.number:
            return Reading.not_ready(bar.end, Reason.SIGNAL_INVALID)
        if isinstance(bar, MissingBar):
            self._windows.miss(bar.number)
            return Reading.not_ready(bar.end, Reason.BAR_MISSING)
        if not bar.is_sound:
            self._windows.miss(bar.number)
            return Reading.not_ready(bar.end, Reason.SIGNAL_INVALID)
        self._windows.take(bar)
        return self._answer(bar)

    def _answer(self, bar: SignalBar) -> Reading:
        found: dict[str, tuple[float, float]] = {}
        votes: dict[str, float] = {}
        ready = 0.0
        for detector in self._detectors:
            vote = detector.vote(bar, self._windows)
            if vote is not None:
                votes[detector.name] = vote
                found[detector.name] = (vote, detector.weight)
                ready += detector.weight
        if self._windows.is_without_volume:
            return Reading.not_ready(bar.end, Reason.SIGNAL_INVALID, votes)
        if ready < self._settings.ready_weight_fraction * TOTAL_WEIGHT or not found:
            return Reading.not_ready(bar.end, Reason.SIGNAL_WARMING_UP, votes)
        return Reading.ready(bar.end, fuse(found, self._settings), votes)
