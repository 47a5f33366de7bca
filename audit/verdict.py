"""The verdict on a run, and its exit code: 0 CLEAN, 1 VIOLATED, 2 INCONCLUSIVE; nothing defaults to CLEAN."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from time import process_time
from typing import Final

from audit.findings import Finding, Severity
from audit.limits import FAMILY_BOOK
from audit.replay import Listener, Replay
from audit.rules import ALL, Needs, Rule
from audit.run_folder import Source, Unreadable, find


class Verdict(IntEnum):
    CLEAN = 0
    VIOLATED = 1
    INCONCLUSIVE = 2


INTERNAL: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    StopIteration,
    SystemError,
    TypeError,
    ValueError,
    sqlite3.Error,
)
"""Errors of the auditor itself: they make a verdict inconclusive, never clean."""

NO_FILLS: Final = "AU-08"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run is not clean: the rule, or "" for the auditor's own trouble, and a sentence."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule found, over the whole ledger."""

    id: str
    title: str
    severity: Severity
    evaluations: int
    occurrences: int
    warnings: int
    bars: int
    seconds: float
    first: Finding | None
    exposure_u6: int
    worst: Finding | None


@dataclass(slots=True)
class Judgement:
    """Everything that one audit found."""

    verdict: Verdict
    causes: tuple[Cause, ...]
    source: Source
    results: tuple[RuleResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    violations: int = 0
    warnings: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    fills: int = 0
    first_us: int = 0
    last_us: int = 0
    ledger_hash: str = ""
    run: str = ""
    anchored: int = 0
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        return int(self.verdict)

    @property
    def unexercised(self) -> tuple[str, ...]:
        """Rules that never could judge."""
        return tuple(result.id for result in self.results if not result.evaluations)

    @property
    def only_no_fills(self) -> bool:
        return self.verdict is Verdict.INCONCLUSIVE and {cause.rule for cause in self.causes} == {NO_FILLS}


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What `backtest` needs to know: the fields of summary.json, and whether the run fails by it."""

    exit_code: int
    violations: int
    warnings: int
    causes: tuple[str, ...]
    only_no_fills: bool

    @property
    def fails_run(self) -> bool:
        """A violation fails a run, and an inconclusive audit does unless there simply was no fill."""
        return self.exit_code == Verdict.VIOLATED or (self.exit_code == Verdict.INCONCLUSIVE and not self.only_no_fills)

    def as_summary(self) -> dict[str, int]:
        return {"exit_code": self.exit_code, "violations": self.violations, "warnings": self.warnings}


def audit_run(run_dir: Path) -> AuditOutcome:
    """Audit a run folder with every rule and write its `audit.json`. Never raises for what it finds in the run."""
    from audit.report import write_json

    judgement = judge(run_dir)
    if run_dir.is_dir():
        write_json(judgement, run_dir / "audit.json")
    return AuditOutcome(
        exit_code=judgement.exit_code,
        violations=judgement.violations,
        warnings=judgement.warnings,
        causes=tuple(cause.text for cause in judgement.causes),
        only_no_fills=judgement.only_no_fills,
    )


def judge(
    run: Path,
    *,
    rules: Sequence[type[Rule]] = ALL,
    anchors: Mapping[int, str] | None = None,
    strict: bool = False,
    listeners: Sequence[Listener] = (),
    replay_with: type[Replay] = Replay,
) -> Judgement:
    """Audit a run folder or a ledger file. strict: a warning counts as a violation."""
    try:
        source = find(run)
    except (Unreadable, ValueError) as error:
        return Judgement(Verdict.INCONCLUSIVE, (Cause("", str(error)),), Source(run))
    return judge_lines(
        source.lines(), source=source, rules=rules, anchors=anchors, strict=strict, listeners=listeners,
        replay_with=replay_with,
    )  # fmt: skip


def judge_lines(
    lines: Iterable[bytes],
    *,
    source: Source | None = None,
    rules: Sequence[type[Rule]] = ALL,
    anchors: Mapping[int, str] | None = None,
    strict: bool = False,
    listeners: Sequence[Listener] = (),
    replay_with: type[Replay] = Replay,
) -> Judgement:
    """Audit the lines of a ledger."""
    source = source or Source(Path("ledger"))
    replay = replay_with(rules, listeners)
    expected = {**source.anchors, **(anchors or {})}
    for seq, head_hash in expected.items():
        replay.chain.expect(seq, head_hash)
    trouble: list[Cause] = []
    began = process_time()
    try:
        replay.run(lines)
    except Unreadable as error:
        trouble.append(Cause("", str(error)))
    except INTERNAL as error:
        place = f" at line {replay.chain.lines}"
        trouble.append(Cause("", f"internal error of the auditor{place}: {type(error).__name__}: {error}"))
    judgement = _conclude(replay, source, expected, trouble, strict=strict)
    judgement.seconds = process_time() - began
    return judgement


def _conclude(
    replay: Replay,
    source: Source,
    expected: Mapping[int, str],
    trouble: list[Cause],
    *,
    strict: bool,
) -> Judgement:
    chain, state, findings = replay.chain, replay.state, replay.findings
    if source.summary_hash is not None and chain.head != source.summary_hash:
        findings.hit("AU-02", Severity.VIOLATION, "the summary's ledger_hash is not the hash of the last line")
    for seq in sorted(set(expected) - chain.found_anchors):
        if seq >= chain.lines:
            findings.hit("AU-02", Severity.VIOLATION, f"the anchor of line {seq} points behind the end of the ledger")
    if not chain.lines and not trouble:
        trouble.append(Cause("", "the ledger has no line"))
    if chain.newer is not None:
        trouble.append(Cause("", f"newer schema: {chain.newer}"))
    violations, warnings = findings.count(Severity.VIOLATION), findings.count(Severity.WARNING)
    if strict:
        violations, warnings = violations + warnings, 0
    causes = list(trouble)
    results = tuple(_result(rule, replay) for rule in replay.rules)
    causes += [Cause(result.id, _sentence(result)) for result in results if _counts(result, strict)]
    if chain.newer is None and not trouble:
        causes += _coverage(replay)
    if violations:
        verdict = Verdict.VIOLATED
    elif causes:
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.CLEAN
    header = state.header
    return Judgement(
        verdict=verdict,
        causes=tuple(causes),
        source=source,
        results=results,
        findings=tuple(findings.kept),
        violations=violations,
        warnings=warnings,
        counts=dict(sorted(state.counts.items())),
        fills=state.fills,
        first_us=state.first_us,
        last_us=state.now,
        ledger_hash=chain.head,
        run="" if header is None else header["run"],
        anchored=len(chain.found_anchors),
    )


def _counts(result: RuleResult, strict: bool) -> bool:
    return result.occurrences > 0 or (strict and result.warnings > 0)


def _sentence(result: RuleResult) -> str:
    assert result.first is not None
    times = "" if result.occurrences <= 1 else f" ({result.occurrences} times)"
    return f"{result.id}: {result.first.text}{times}"


def _coverage(replay: Replay) -> list[Cause]:
    """A rule that never could judge although fills need it leaves a question open."""
    causes: list[Cause] = []
    for rule in replay.rules:
        for book in _needing(rule.needs, replay.state.traded):
            if book not in rule.judged:
                whose = f" for {book}" if book else ""
                kinds = ", ".join(sorted(rule.reads())[:6])
                causes.append(Cause(rule.id, f"{rule.id} never could judge{whose}: it needs {kinds} ({rule.title})"))
    return causes


def _needing(needs: Needs, books: Mapping[str, set[bool]]) -> list[str]:
    """Return the books whose fills make a rule necessary; books: name -> were options (True), shares (False) traded."""
    if not books or needs is Needs.NOTHING:
        return []
    if needs is Needs.ACCOUNT:
        return [""]
    if needs is Needs.FAMILY_BOOK:
        return [FAMILY_BOOK] if FAMILY_BOOK in books else []
    if needs is Needs.OPTION_BOOK:
        return sorted(book for book, kinds in books.items() if True in kinds)
    return sorted(books)


def _result(rule: Rule, replay: Replay) -> RuleResult:
    findings = replay.findings
    kept = findings.of(rule.id)
    own = [found for found in kept if found.severity is rule.severity] or kept
    first = min(own, key=lambda found: (found.from_us, found.seq), default=None)
    worst = max(kept, key=lambda found: abs(found.value - found.bound), default=None)
    main = sum(
        count for (name, kind), count in findings.occurrences.items()
        if name == rule.id and kind is not Severity.WARNING
    )  # fmt: skip
    return RuleResult(
        id=rule.id,
        title=rule.title,
        severity=rule.severity,
        evaluations=rule.evaluations,
        occurrences=main,
        warnings=findings.occurrences[(rule.id, Severity.WARNING)],
        bars=sum(found.bars for found in kept),
        seconds=sum(found.seconds for found in kept),
        first=first,
        exposure_u6=max((found.exposure_u6 for found in kept), default=0),
        worst=worst,
    )
