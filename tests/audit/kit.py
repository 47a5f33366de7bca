"""The kit of planted violations: plants them by seed and asks an auditor whether it sees them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from audit.findings import Severity
from audit.replay import Replay
from audit.rules import ALL, Rule
from audit.verdict import Judgement, judge_lines
from tests.audit.damage import Ledger
from tests.audit.planting import KINDS, Planted
from tests.audit.worlds import pool

WORLDS = 60
"""Different clean ledgers per world."""
_PATIENCE = 60
"""Seeds in a row that may find nothing to damage."""


def instances(kind: Planted, count: int, first: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (seed, damaged ledger), count times."""
    seed, done, idle = first, 0, 0
    while done < count:
        ledger = Ledger(pool(seed % WORLDS, kind.world), random.Random(f"{kind.name} {seed}"))
        lines = kind.damage(ledger)
        seed += 1
        idle = idle + 1 if lines is None else 0
        assert idle < _PATIENCE, f"{kind.name}: nothing to damage in {_PATIENCE} ledgers of world {kind.world}"
        if lines is not None:
            done += 1
            yield seed - 1, lines


def is_caught(kind: Planted, judgement: Judgement) -> bool:
    """Tell whether the named rule saw it, and the verdict is not CLEAN unless the rule only warns."""
    found = [result for result in judgement.results if result.id == kind.rule]
    seen = any(result.occurrences or result.warnings for result in found)
    only_warns = any(result.severity is Severity.WARNING for result in found)
    return seen and (judgement.exit_code != 0 or only_warns)


def misses(
    kind: Planted, count: int, *, first: int = 0, rules: Sequence[type[Rule]] = ALL, replay_with: type[Replay] = Replay
) -> list[int]:
    """Return the seeds whose damage an auditor of these rules did not see."""
    return [
        seed
        for seed, lines in instances(kind, count, first)
        if not is_caught(kind, judge_lines(lines, rules=rules, replay_with=replay_with))
    ]


__all__ = ["KINDS", "Planted", "instances", "is_caught", "misses"]
