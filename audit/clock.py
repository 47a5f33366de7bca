"""Deadlines: what must be looked at once a moment has passed."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from audit.exchange_days import after_open_time, session_on
from audit.times import MINUTE, day_of

Due = Callable[[int], None]
"""Called with the moment that was waited for, once time has passed it."""


class Deadlines:
    """A heap of moments; each is called once, when a record is later than it."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Due]] = []
        self._count = 0
        self.next_us = 1 << 62

    def at(self, due_us: int, call: Due) -> None:
        self._count += 1
        heapq.heappush(self._heap, (due_us, self._count, call))
        self.next_us = self._heap[0][0]

    def pass_to(self, now: int) -> None:
        """Call everything that was due before now."""
        heap = self._heap
        while heap and heap[0][0] < now:
            due, _, call = heapq.heappop(heap)
            self.next_us = heap[0][0] if heap else 1 << 62
            call(due)
        self.next_us = heap[0][0] if heap else 1 << 62

    def resume(self, now: int, grace_us: int) -> None:
        """The process was not running: what fell due meanwhile falls due a grace after it runs again."""
        late = [item for item in self._heap if item[0] < now]
        if late:
            self._heap = [item for item in self._heap if item[0] >= now]
            self._heap += [(now + grace_us, count, call) for _, count, call in late]
            heapq.heapify(self._heap)
            self.next_us = self._heap[0][0]


def next_step_after(us: int) -> int:
    """Return the first moment at or after us at which the algorithm steps: half an hour before the open to a quarter
    of an hour after the close.
    """
    day = day_of(us)
    found = session_on(day)
    if found is not None and us <= found.close_us + 15 * MINUTE:
        return max(us, found.open_us - 30 * MINUTE)
    return after_open_time(us, 0) - 30 * MINUTE
