"""Deadlines: what must be looked at once a moment has passed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

from audit.exchange_days import after_open_time, session_on
from audit.times import MINUTE, day_of

RESUME_GRACE: Final = 2 * MINUTE
_NEVER: Final = 1 << 62

Due = Callable[[int], None]
"""Called with the moment that was waited for, once time has passed it."""


class Deadlines:
    """A heap of moments; each is called once, when a record is later than it."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Due, bool]] = []
        self._count = 0
        self.next_us = _NEVER

    def at(self, due_us: int, call: Due, *, excused: bool = False) -> None:
        """Call once due_us has passed. excused: what fell due while no process ran has time after its restart."""
        self._count += 1
        heapq.heappush(self._heap, (due_us, self._count, call, excused))
        self.next_us = self._heap[0][0]

    def pass_to(self, now: int) -> None:
        """Call everything that was due before now."""
        heap = self._heap
        while heap and heap[0][0] < now:
            due, _, call, _ = heapq.heappop(heap)
            call(due)
        self.next_us = heap[0][0] if heap else _NEVER

    def resume(self, now: int) -> None:
        """A process runs again since now."""
        self._heap = [
            (now + RESUME_GRACE, count, call, excused) if excused and due < now else (due, count, call, excused)
            for due, count, call, excused in self._heap
        ]
        heapq.heapify(self._heap)
        self.next_us = self._heap[0][0] if self._heap else _NEVER


def next_step_after(us: int) -> int:
    """Return the first moment at or after us at which the algorithm steps: half an hour before the open to a quarter
    of an hour after the close.
    """
    day = day_of(us)
    found = session_on(day)
    if found is not None and us <= found.close_us + 15 * MINUTE:
        return max(us, found.open_us - 30 * MINUTE)
    return after_open_time(us, 0) - 30 * MINUTE
