"""Decision funnel: what became of every minute in which a strategy could have been asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

OPENED = "OPENED"


class Funnel:
    """Counts per strategy of one session; every evaluation ends in exactly one outcome (FN-P1)."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def count(self, strategy: str, outcome: str) -> None:
        self._counts.setdefault(strategy, Counter())[outcome] += 1

    def close_session(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counts of the session by strategy and outcome, sorted, and start anew."""
        counts = {name: dict(sorted(found.items())) for name, found in sorted(self._counts.items())}
        self._counts.clear()
        return counts
