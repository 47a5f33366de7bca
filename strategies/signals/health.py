"""What a session says of the signal itself: a detector that never has an opinion, an answer that never changes.

Both were once taken for a quiet market; they are reported by name.
"""

from __future__ import annotations

import math
from typing import Final

from core.signal import Reading

FLAT_VOTE: Final = 0.01
"""A detector that stays nearer to 0.5 than this all session is dead."""

FLAT_SIGNAL: Final = 0.001
"""A signal whose answers vary less than this (standard deviation) is dead."""

READY_BARS: Final = 100
"""Fewer answers than this are no evidence."""


class SignalHealth:
    """Watches one session."""

    def __init__(self) -> None:
        self._silent: set[str] = set()
        self._spoken: set[str] = set()
        self._votes = 0
        self._answers = 0
        self._mean = 0.0
        self._squares = 0.0

    def observe(self, reading: Reading) -> None:
        if reading.votes:
            self._votes += 1
            for name, vote in reading.votes.items():
                if name in self._spoken:
                    continue  # one opinion is enough for the session
                if abs(vote - 0.5) >= FLAT_VOTE:
                    self._spoken.add(name)
                else:
                    self._silent.add(name)
        if reading.is_ready:
            assert reading.probability is not None
            # Welford: exact enough for a thousandth, and it keeps nothing.
            self._answers += 1
            ahead = reading.probability - self._mean
            self._mean += ahead / self._answers
            self._squares += ahead * (reading.probability - self._mean)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the answers, None while there are too few."""
        return math.sqrt(self._squares / (self._answers - 1)) if self._answers >= READY_BARS else None

    def dead_detectors(self) -> tuple[str, ...]:
        """Return the detectors without an opinion all session, sorted; none while there were too few bars."""
        if self._votes < READY_BARS:
            return ()
        return tuple(sorted(self._silent - self._spoken))

    def is_flat(self) -> bool:
        return (deviation := self.deviation) is not None and deviation < FLAT_SIGNAL
