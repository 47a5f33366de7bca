"""A budget for the log, because a cloud backtest keeps a few kilobytes only. The ledger is never cut; the log is a
courtesy.
"""

from __future__ import annotations

from datetime import date, datetime

from core.settings import LogSettings


class LogBudget:
    """Spends bytes of log: per run in a backtest, per session live. Spent: only lines that begin with ERROR still
    pass.
    """

    def __init__(self, settings: LogSettings, *, live: bool) -> None:
        self._limit = settings.live_bytes if live else settings.backtest_bytes
        self._live = live
        self._left = self._limit
        self._day: date | None = None
        self.dropped = 0

    def spend(self, line: str, now: datetime) -> bool:
        """Tell whether the line may be written, and count it."""
        if self._live and now.date() != self._day:
            self._day, self._left = now.date(), self._limit
        # LEAN puts the time before each line: about 20 bytes.
        cost = len(line) + 20
        if cost > self._left and not line.startswith("ERROR"):
            self.dropped += 1
            return False
        self._left -= cost
        return True
