"""Seven detectors fused into one probability: the weighted mean of their log-odds, amplified.

All state starts anew at each open.  A missing or senseless minute is answered NOT_READY, never 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date

from core.reasons import Reason
from core.settings_etf import SignalSettings
from core.signal import MissingBar, Reading, SignalBar
from strategies.signals.detectors import TOTAL_WEIGHT, all_detectors
from strategies.signals.windows import Windows, sigmoid


def fuse(votes: Iterable[tuple[float, float]], settings: SignalSettings) -> float:
    """Return the fused probability of votes (probability, weight); at least one is needed.

    Mirrored votes give the mirrored answer: fuse(1 - p) = 1 - fuse(p).
    """
    low = settings.logit_clip_prob
    high = 1.0 - low
    odds = weights = 0.0
    for vote, weight in votes:
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
        self._begin(None)

    def _begin(self, day: date | None) -> None:
        """Forget everything: detectors and windows belong to one session."""
        self._day = day
        self._windows = Windows()
        self._looks = tuple((detector.name, detector.weight, detector.vote) for detector in all_detectors())

    def update(self, bar: SignalBar | MissingBar) -> Reading:
        day = bar.end.date()
        if day != self._day:
            self._begin(day)
        windows = self._windows
        if bar.number <= windows.number:
            return Reading.not_ready(bar.end, Reason.SIGNAL_INVALID)
        if isinstance(bar, MissingBar):
            windows.miss(bar.number)
            return Reading.not_ready(bar.end, Reason.BAR_MISSING)
        if not bar.is_sound:
            windows.miss(bar.number)
            return Reading.not_ready(bar.end, Reason.SIGNAL_INVALID)
        windows.take(bar)
        return self._answer(bar, windows)

    def _answer(self, bar: SignalBar, windows: Windows) -> Reading:
        votes: dict[str, float] = {}
        weights: list[float] = []
        for name, weight, vote_on in self._looks:
            vote = vote_on(bar, windows)
            if vote is not None:
                votes[name] = vote
                weights.append(weight)
        if windows.is_without_volume:
            return Reading.not_ready(bar.end, Reason.SIGNAL_INVALID, votes)
        if not votes or sum(weights) < self._settings.ready_weight_fraction * TOTAL_WEIGHT:
            return Reading.not_ready(bar.end, Reason.SIGNAL_WARMING_UP, votes)
        return Reading.ready(bar.end, fuse(zip(votes.values(), weights, strict=True), self._settings), votes)
