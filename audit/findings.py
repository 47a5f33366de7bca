"""What the rules found: intervals in which a predicate was true, with their worst value and exposure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from audit.exchange_days import open_micros
from audit.times import MINUTE

KEPT_PER_RULE: Final = 2_000
"""Intervals kept with their details; beyond that they are only counted."""


class Severity(StrEnum):
    VIOLATION = "V"
    WARNING = "W"
    INCONCLUSIVE = "I"


@dataclass(slots=True)
class Finding:
    """One interval. value and bound are in the rule's own unit; from_us = to_us for an event."""

    rule: str
    severity: Severity
    book: str
    symbol: str
    seq: int
    from_us: int
    to_us: int
    value: int
    bound: int
    exposure_u6: int
    text: str

    @property
    def seconds(self) -> float:
        return (self.to_us - self.from_us) / 1e6

    @property
    def bars(self) -> int:
        """Minute bars of open market that the interval touches; 1 for an event."""
        if self.to_us <= self.from_us:
            return 1
        return max(1, -(-open_micros(self.from_us, self.to_us) // MINUTE))


class Findings:
    """Collects intervals. An open one ends when its predicate turns false, or with the ledger."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.occurrences: Counter[tuple[str, Severity]] = Counter()
        self._open: dict[tuple[str, Hashable], Finding] = {}
        self._kept_of: Counter[str] = Counter()
        self.now = 0
        self.seq = 0

    def hit(
        self,
        rule: str,
        severity: Severity,
        text: str,
        *,
        book: str = "",
        symbol: str = "",
        value: int = 0,
        bound: int = 0,
        exposure: int = 0,
        at: int | None = None,
        seq: int | None = None,
    ) -> Finding:
        """Record an event, or the beginning of an interval that the caller ends itself."""
        when = self.now if at is None else at
        found = Finding(
            rule,
            severity,
            book,
            symbol,
            self.seq if seq is None else seq,
            when,
            when,
            value,
            bound,
            abs(exposure),
            text,
        )
        self.occurrences[(rule, severity)] += 1
        self._kept_of[rule] += 1
        if self._kept_of[rule] <= KEPT_PER_RULE:
            self.kept.append(found)
        return found

    def hold(
        self,
        rule: str,
        severity: Severity,
        key: Hashable,
        holds: bool,
        text: str = "",
        *,
        book: str = "",
        symbol: str = "",
        value: int = 0,
        bound: int = 0,
        exposure: int = 0,
        at: int | None = None,
    ) -> None:
        """Say whether a predicate holds now: true begins an interval or prolongs it, false ends it."""
        place = (rule, key)
        found = self._open.get(place)
        if not holds:
            if found is not None:
                found.to_us = max(found.from_us, self.now if at is None else at)
                del self._open[place]
            return
        if found is None:
            self._open[place] = self.hit(
                rule, severity, text, book=book, symbol=symbol, value=value, bound=bound, exposure=exposure, at=at
            )
            return
        found.to_us = max(found.to_us, self.now if at is None else at)
        found.exposure_u6 = max(found.exposure_u6, abs(exposure))
        if abs(value - bound) > abs(found.value - found.bound):
            found.value = value

    def is_held(self, rule: str, key: Hashable) -> bool:
        return (rule, key) in self._open

    def withdraw(self, rule: str, key: Hashable) -> None:
        """Take an open interval back: a late report shows that there was none."""
        found = self._open.pop((rule, key), None)
        if found is not None:
            self.occurrences[(rule, found.severity)] -= 1
            self._kept_of[rule] -= 1
            self.kept = [item for item in self.kept if item is not found]

    def finish(self, now: int) -> None:
        """End every open interval with the ledger."""
        for found in self._open.values():
            found.to_us = max(found.to_us, found.from_us, now)
        self._open.clear()

    def count(self, severity: Severity) -> int:
        return sum(count for (_, kind), count in self.occurrences.items() if kind is severity)

    def of(self, rule: str) -> list[Finding]:
        return [found for found in self.kept if found.rule == rule]
