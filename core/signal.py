"""What the ETF book's signal takes and gives: a minute of the session, and a reading of it.

A signal has no clock, no I/O and no memory beyond the session: all its state starts anew at each open, so that a
restart rebuilds it from the session's bars.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.reasons import Reason
from core.values import value


@value
class SignalBar:
    """A real regular-hours minute of the index share, known at its end.

    number counts the session's minutes from 1; prices in USD per share, volume in shares.
    """

    end: datetime
    number: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def is_sound(self) -> bool:
        """Whether these can be the prices and the volume of one minute."""
        # What is not a number is on no side of anything; what is not finite is not below infinity.
        inside = 0.0 < self.low <= self.open <= self.high < math.inf and self.low <= self.close <= self.high
        return inside and 0.0 <= self.volume < math.inf and self.number >= 1


@value
class MissingBar:
    """A regular-hours minute that brought no real bar; one that was filled forward is none."""

    end: datetime
    number: int


class SignalState(StrEnum):
    READY = "READY"
    NOT_READY = "NOT_READY"


@value
class Reading:
    """A signal's answer to one minute.

    probability of "up" lies strictly between 0 and 1 and is None unless the state is READY; votes are the detectors'
    own probabilities, of those that had one.
    """

    bar_time: datetime
    state: SignalState
    probability: float | None
    reason: Reason
    votes: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def ready(bar_time: datetime, probability: float, votes: Mapping[str, float] | None = None) -> Reading:
        """Return an answer; a probability that is none makes it NOT_READY, never a guess."""
        if not 0.0 < probability < 1.0:  # nor what is no number
            return Reading.not_ready(bar_time, Reason.SIGNAL_INVALID, votes)
        return Reading(bar_time, SignalState.READY, probability, Reason.ALLOWED, votes or {})

    @staticmethod
    def not_ready(bar_time: datetime, reason: Reason, votes: Mapping[str, float] | None = None) -> Reading:
        return Reading(bar_time, SignalState.NOT_READY, None, reason, votes or {})

    @property
    def is_ready(self) -> bool:
        probability = self.probability
        return self.state is SignalState.READY and probability is not None and 0.0 < probability < 1.0


def is_probability(said: float | None) -> bool:
    """Tell whether a value may stand for a probability: 0 and 1 are codes of somebody, not probabilities."""
    return said is not None and 0.0 < said < 1.0


class Signal(Protocol):
    """One answer a bar."""

    @property
    def name(self) -> str: ...

    def update(self, bar: SignalBar | MissingBar) -> Reading:
        """Take the next minute in and answer.  A minute that is not after the last one changes nothing."""


__all__ = ["MissingBar", "Reading", "Signal", "SignalBar", "SignalState", "is_probability"]
