"""What must reach a person at once: alerts and published ledger heads, as lines for the log.

The ledger holds everything, but nobody reads it while the run goes on.  A critical alert begins with ERROR, so that no
budget of the log drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.ledger_kinds import Kind, Take

_QUIET = "INFO"
_CRITICAL = "CRITICAL"


class Announcements:
    """Listens to the records of this process and to whoever has something to say; `take` empties it."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def takes(self, kind: Kind) -> tuple[Take, ...]:
        """Return what listens to a kind of records: those that may say something to a person."""
        return (self._alert,) if kind is Kind.ALERT else ()

    def _alert(self, book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        if fields["severity"] == _QUIET:
            return
        urgent = "ERROR " if fields["severity"] == _CRITICAL else ""
        self._lines.append(f"{urgent}{fields['severity']} {book or 'account'} {fields['code']}: {fields['text']}")

    def say(self, line: str) -> None:
        """Add a line that no record holds."""
        self._lines.append(line)

    def take(self) -> list[str]:
        """Return and forget the lines."""
        lines, self._lines = self._lines, []
        return lines
