"""What a measured algorithm notes while it runs, and how it is written: one JSON file in the engine's object store."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date, datetime

KEY = "measured.json"


class Stopwatch:
    """Notes when each day's first data came: nothing else, so that measuring takes no time itself."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._starts: dict[str, float] = {}

    def data(self, now: datetime) -> None:
        """Note that data came; the clock is read on the first call of a day."""
        day = now.date()
        if day != self._day:
            self._day = day
            self._starts[day.isoformat()] = time.perf_counter()

    def text(self, stages: Mapping[str, float] | None = None) -> str:
        """Return day -> second of its first data, the second of the end, and stage -> seconds at work."""
        return json.dumps({"starts": self._starts, "end": time.perf_counter(), "stages": dict(stages or {})})
