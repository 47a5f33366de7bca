"""One at a time: live, LEAN calls from several threads, and no step may run beside or inside another.

Nobody waits.  LEAN's threads wait for one another (a market order for its fill, the fill for the thread of the data),
so a lock that blocks could hold up all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import TypeVarTuple

Ts = TypeVarTuple("Ts")
Work = Callable[[], object]


class Turns:
    """Runs one piece of work at a time, whatever thread asks for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[Work] = deque()

    def take(self, work: Callable[[*Ts], object], *args: *Ts) -> None:
        """Run work now; while somebody is at work, he runs it when he has finished.  None is lost."""
        if self._waiting or not self._lock.acquire(blocking=False):
            self._waiting.append(partial(work, *args))
        else:
            try:
                work(*args)
            finally:
                self._lock.release()
        if self._waiting:
            self._work_off()

    def take_if_free(self, work: Work) -> None:
        """Run work now, or not at all: for what is asked for again in some seconds."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            work()
        finally:
            self._lock.release()
        self._work_off()

    def take_last(self, work: Work, patience_s: float) -> None:
        """Run work as soon as nobody is at work; after patience_s it is left to him who is."""
        if not self._lock.acquire(timeout=patience_s):
            self.take(work)
            return
        try:
            work()
        finally:
            self._lock.release()

    def _work_off(self) -> None:
        # Looked at again after each release: what was handed over between the last look and the release would stay.
        while self._waiting and self._lock.acquire(blocking=False):
            try:
                while self._waiting:
                    self._waiting.popleft()()
            finally:
                self._lock.release()
