"""What an audit prints and writes: a table for people, `audit.json` for machines, the same content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.findings import Finding, Severity
from audit.limits import DOLLAR
from audit.times import exchange_text, utc_text
from audit.verdict import Judgement, RuleResult, Verdict

_COLOURS = {Verdict.CLEAN: "bold green", Verdict.VIOLATED: "bold red", Verdict.INCONCLUSIVE: "bold yellow"}
NO_ANCHOR = "No outside anchor was given: the chain shows every edit but a complete rewrite of the file."


def as_json(judgement: Judgement) -> dict[str, Any]:
    """Return the whole judgement as plain JSON values."""
    return {
        "verdict": judgement.verdict.name,
        "exit_code": judgement.exit_code,
        "causes": [{"rule": cause.rule, "text": cause.text} for cause in judgement.causes],
        "ledger": str(judgement.source.path.name),
        "run": judgement.run,
        "ledger_hash": judgement.ledger_hash,
        "anchors_matched": judgement.anchored,
        "violations": judgement.violations,
        "warnings": judgement.warnings,
        "records": dict(judgement.counts),
        "fills": judgement.fills,
        "span": {"from": utc_text(judgement.first_us), "to": utc_text(judgement.last_us)},
        "rules": [_rule(result) for result in judgement.results],
        "unexercised": list(judgement.unexercised),
        "findings": [_finding(found) for found in judgement.findings],
    }


def write_json(judgement: Judgement, path: Path) -> None:
    path.write_text(json.dumps(as_json(judgement), indent=2) + "\n", encoding="utf-8")


def _rule(result: RuleResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": result.id,
        "severity": result.severity.value,
        "title": result.title,
        "evaluations": result.evaluations,
        "occurrences": result.occurrences,
        "warnings": result.warnings,
        "bars": result.bars,
        "seconds": result.seconds,
        "max_exposure_usd": result.exposure_u6 / DOLLAR,
    }
    if result.first is not None:
        row["first"] = {
            "utc": utc_text(result.first.from_us),
            "exchange": exchange_text(result.first.from_us),
            "seq": result.first.seq,
        }
    if result.worst is not None:
        row["worst"] = {"value": result.worst.value, "limit": result.worst.bound}
    return row


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "rule": found.rule,
        "severity": found.severity.value,
        "book": found.book,
        "symbol": found.symbol,
        "seq": found.seq,
        "from": utc_text(found.from_us),
        "to": utc_text(found.to_us),
        "bars": found.bars,
        "value": found.value,
        "limit": found.bound,
        "exposure_usd": found.exposure_u6 / DOLLAR,
        "text": found.text,
    }


_WIDE: Final = 120
"""Columns from which on the tables fit; a narrower terminal gets lines."""


def print_judgement(judgement: Judgement, console: Console, *, limit: int = 20) -> None:
    """Print verdict, causes, one row per rule that has something to say, and the first findings."""
    console.print(Text(judgement.verdict.name, style=_COLOURS[judgement.verdict]), end="  ")
    console.print(Text(f"{judgement.violations} violations, {judgement.warnings} warnings"))
    for cause in judgement.causes[:limit]:
        console.print(Text(f"  {cause.text}"))
    if len(judgement.causes) > limit:
        console.print(Text(f"  and {len(judgement.causes) - limit} more causes"))
    records = sum(judgement.counts.values())
    console.print(
        Text(
            f"{records:,} records, {judgement.fills:,} fills, {exchange_text(judgement.first_us)} to "
            f"{exchange_text(judgement.last_us)}, ledger {judgement.ledger_hash[:16]}{_pace(judgement)}"
        )
    )
    console.print(Text("  " + ", ".join(f"{kind} {count}" for kind, count in judgement.counts.items()), style="dim"))
    wide = console.width >= _WIDE
    loud = [result for result in judgement.results if result.occurrences or result.warnings]
    if loud:
        console.print(_rule_table(loud) if wide else _rule_lines(loud))
    shown = [found for found in judgement.findings if found.severity is not Severity.INCONCLUSIVE][:limit]
    if shown:
        console.print(_finding_table(shown) if wide else _finding_lines(shown))
        hidden = len(judgement.findings) - len(shown)
        if hidden > 0:
            console.print(Text(f"{hidden} further findings; --limit shows more, --json and --db show all."))
    judged = sum(1 for result in judgement.results if result.evaluations)
    console.print(Text(f"{judged} of {len(judgement.results)} rules judged something."))
    if judgement.unexercised:
        console.print(Text("Never put to the test: " + ", ".join(judgement.unexercised), style="dim"))
    if not judgement.anchored:
        console.print(Text(NO_ANCHOR, style="dim"))


def _pace(judgement: Judgement) -> str:
    """Return how fast it went; it stands on the terminal alone, so that `audit.json` repeats."""
    records = sum(judgement.counts.values())
    return f", {records / judgement.seconds:,.0f} records per second of one core" if judgement.seconds > 0 else ""


def _rule_table(results: list[RuleResult]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, right in (
        ("rule", False), ("", False), ("times", True), ("warnings", True), ("bars", True), ("seconds", True),
        ("first, exchange time", False), ("seq", True), ("max exposure", True), ("worst", True), ("limit", True),
        ("of", True),
    ):  # fmt: skip
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for result in results:
        first, worst = result.first, result.worst
        table.add_row(
            result.id, result.severity.value, str(result.occurrences), str(result.warnings or ""), str(result.bars),
            f"{result.seconds:,.0f}", "" if first is None else exchange_text(first.from_us),
            "" if first is None else str(first.seq), f"${result.exposure_u6 / DOLLAR:,.0f}",
            "" if worst is None else str(worst.value), "" if worst is None else str(worst.bound),
            str(result.evaluations),
        )  # fmt: skip
    return table


def _rule_lines(results: list[RuleResult]) -> Text:
    """Return the same as the table, three short lines a rule."""
    text = Text()
    for result in results:
        first, worst = result.first, result.worst
        times = _count(result.occurrences, "time") + (
            f", {_count(result.warnings, 'warning')}" if result.warnings else ""
        )
        span = f"{_count(result.bars, 'bar')}, {result.seconds:,.0f} s"
        text.append(f"{result.id} {result.severity.value}  {times}, {span}\n")
        if first is not None:
            text.append(f"        first {exchange_text(first.from_us)}, seq {first.seq}\n")
        extent = "" if worst is None else f", worst {worst.value}, limit {worst.bound}"
        exposure = f"${result.exposure_u6 / DOLLAR:,.0f}"
        text.append(f"        exposure {exposure}{extent}, of {result.evaluations:,}\n", style="dim")
    text.rstrip()
    return text


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _finding_lines(findings: list[Finding]) -> Text:
    text = Text()
    for found in findings:
        colour = "red" if found.severity is Severity.VIOLATION else "yellow"
        text.append(f"{found.rule} {found.severity.value}", style=colour)
        text.append(f"  seq {found.seq}, {exchange_text(found.from_us)}  {found.book}\n        {found.text}\n")
    text.rstrip()
    return text


def _finding_table(findings: list[Finding]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("rule", "", "seq", "exchange time", "book", "what"):
        table.add_column(heading, justify="right" if heading == "seq" else "left", overflow="fold")
    for found in findings:
        colour = "red" if found.severity is Severity.VIOLATION else "yellow"
        table.add_row(
            found.rule, Text(found.severity.value, style=colour), str(found.seq), exchange_text(found.from_us),
            found.book, Text(found.text),
        )  # fmt: skip
    return table
