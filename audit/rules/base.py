"""What a rule is: a small predicate on the state of the replay.

A rule reads the kinds for which it has a method `on_<kind>`; further `on_day` (a session's day begins) and `on_end`
(the ledger is over).  It says how often it could judge, and for which books, because a rule that never could makes a
run inconclusive.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum
from typing import Any, ClassVar

from audit.findings import Finding, Findings, Severity
from audit.limits import Limits
from audit.schema import Record as Record
from audit.state import State


class Needs(StrEnum):
    """Whose fills make it necessary that a rule could judge."""

    NOTHING = "nothing"
    ACCOUNT = "any fill"
    EACH_BOOK = "each book with a fill"
    OPTION_BOOK = "each book with an option fill"
    FAMILY_BOOK = "the ETF family's book with a fill"


class Rule:
    """Base of all rules."""

    id: ClassVar[str]
    title: ClassVar[str]
    severity: ClassVar[Severity] = Severity.VIOLATION
    needs: ClassVar[Needs] = Needs.NOTHING

    def __init__(self, state: State, findings: Findings) -> None:
        self.state = state
        self.findings = findings
        self.evaluations = 0
        self.judged: set[str] = set()
        self.start()

    def start(self) -> None:
        """Prepare what the rule remembers."""

    @property
    def limits(self) -> Limits:
        return self.state.limits

    @classmethod
    def reads(cls) -> frozenset[str]:
        """Return the kinds of records that the rule looks at."""
        return frozenset(
            name[3:].upper() for name in dir(cls) if name.startswith("on_") and name not in ("on_day", "on_end")
        )

    def judge(self, book: str = "") -> None:
        """Count one evaluation, for a book."""
        self.evaluations += 1
        self.judged.add(book)

    def hit(self, text: str, *, severity: Severity | None = None, **details: Any) -> Finding:
        """Report an event."""
        return self.findings.hit(self.id, severity or self.severity, text, **details)

    def hold(
        self, key: Hashable, holds: bool, text: str = "", *, severity: Severity | None = None, **details: Any
    ) -> None:
        """Report an interval: see `Findings.hold`."""
        self.findings.hold(self.id, severity or self.severity, key, holds, text, **details)
