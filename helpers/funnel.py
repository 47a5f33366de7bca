"""Decision funnel: what became of every minute in which a strategy could have been asked."""

from __future__ import annotations

from collections.abc import Mapping

OPENED = "OPENED"


class Funnel:
    """Counts per strategy of one session; every evaluation ends in exactly one outcome (FN-P1)."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, strategy: str, outcome: str) -> None:
        key = (strategy, outcome)
        self._counts[key] = self._counts.get(key, 0) + 1

    def close_session(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counts of the session by strategy and outcome, sorted, and start anew."""
        counts: dict[str, dict[str, int]] = {}
        for (strategy, outcome), count in sorted(self._counts.items()):
            counts.setdefault(strategy, {})[outcome] = count
        self._counts.clear()
        return counts
