"""What a measured algorithm notes while it runs, and how it is written: one JSON file in the engine's object store."""

from __future__ import annotations

import json
import time
from datetime import date, datetime

KEY = "measured.json"


class Stopwatch:
    """Notes when each day's first data came, and how long each handler was at work."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._starts: dict[str, float] = {}
        self._handlers: dict[str, float] = {}
        self._last = time.perf_counter()

    def data(self, now: datetime) -> None:
        """Note that data came; the clock is read on the first call of a day."""
        day = now.date()
        if day != self._day:
            self._day = day
            self._starts[day.isoformat()] = time.perf_counter()

    def add(self, handler: str, seconds: float) -> None:
        self._handlers[handler] = self._handlers.get(handler, 0.0) + seconds

    def text(self) -> str:
        """Return day -> second of its first data, the second of the end, and handler -> seconds at work."""
        content = {"starts": self._starts, "end": time.perf_counter(), "handlers": self._handlers}
        return json.dumps(content)
