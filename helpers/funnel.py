"""Decision funnel: what became of every minute in which a strategy could have been asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

OPENED = "OPENED"


class Funnel:
    """Counts per strategy of one session; every evaluation ends in exactly one outcome (FN-P1)."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        """Minutes of this session by strategy and outcome."""

    def close_session(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counts of the session by strategy and outcome, sorted, and start anew."""
        counts: dict[str, dict[str, int]] = {}
        for (strategy, outcome), count in sorted(self.counts.items()):
            counts.setdefault(strategy, {})[outcome] = count
        self.counts.clear()
        return counts
