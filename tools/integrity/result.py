"""What is asked of a cell, and whether it held."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, Final

from audit.verdict import Judgement
from tools.integrity.audit_count import count_by_auditor
from tools.integrity.broker_count import Count, count_at_broker
from tools.integrity.cells import Cell, Policy
from tools.integrity.run import START_CASH_U6, Ran, run
from tools.integrity.tape import CLOCK
from tools.integrity.venue import Fault

HARD_ORDERS: Final = 100
SOFT_ORDERS: Final = 50
NO_FILLS, OVERNIGHT, UTILISATION = "AU-08", "AU-45", "AU-46"


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell: the venue's count, the auditor's, and every sentence that is wrong with them."""

    cell: Cell
    venue: Count
    auditor: Count
    exit_code: int
    excused_nights: int
    trades: int
    faults: dict[str, int]
    refused: dict[str, int]
    ledger_hash: str
    failures: tuple[str, ...]

    @property
    def gross_return(self) -> float:
        """What the signal made before fees, of the start's cash."""
        return (self.venue.end_cash_u6 + self.venue.fees_u6 - START_CASH_U6) / START_CASH_U6


def run_cell(cell: Cell) -> tuple[CellResult, bytes]:
    """Run a cell, count it twice and judge it; returns its ledger as well."""
    ran = run(cell)
    return judge_run(ran), ran.ledger


def judge_run(ran: Ran) -> CellResult:
    """Count what a run left twice, and say what does not hold."""
    venue = count_at_broker(ran)
    auditor, judgement = count_by_auditor(ran.ledger, ran.cell.blocks)
    records = [json.loads(line) for line in ran.ledger.splitlines()]
    excused = _excused(ran, venue.overnight, records)
    failures = [
        *_principles(venue, excused),
        *_agreement(venue, auditor, records),
        *_same_end(ran, records),
        *_verdict(ran.cell, venue, judgement, excused),
    ]
    refused: dict[str, int] = {}
    for record in records:
        if record["kind"] == "VERDICT" and not record["allowed"]:
            refused[record["reason"]] = refused.get(record["reason"], 0) + 1
    return CellResult(
        cell=ran.cell,
        venue=venue,
        auditor=auditor,
        exit_code=judgement.exit_code,
        excused_nights=len(excused),
        trades=sum(record["kind"] == "TRADE_CLOSED" for record in records),
        faults=dict(sorted(ran.venue.counts.items())),
        refused=dict(sorted(refused.items())),
        ledger_hash=judgement.ledger_hash,
        failures=tuple(failures),
    )


def _principles(count: Count, excused: frozenset[date]) -> list[str]:
    nights = [day for day in count.overnight if day not in excused]
    checks = (
        (count.conflicts, "times both sides held together"),
        (count.shorts, "times a quantity below zero"),
        (len(nights), "nights with something held that could have been sold"),
        (count.crowded, "openings beyond one in a minute"),
    )
    found = [f"{number} {text}" for number, text in checks if number]
    if count.lowest_cash_u6 < 0:
        found.append(f"cash was {count.lowest_cash_u6 / 1e6:,.2f} USD")
    most = max(count.blocks, default=0)
    if most > HARD_ORDERS:
        found.append(f"{most} orders with a fill in one block, at most {HARD_ORDERS} allowed")
    return found


def _agreement(venue: Count, auditor: Count, records: list[dict[str, Any]]) -> list[str]:
    """Both counts are the same figure by figure.  A fill that was found later is dated when it was found: it may count
    in the next block.
    """
    found_later = sum(record["kind"] == "FILL" and record["source"] == "RECOVERED" for record in records)
    moved = sum(abs(one - other) for one, other in zip(venue.blocks, auditor.blocks, strict=True))
    if moved <= 2 * found_later:
        auditor = replace(auditor, blocks=venue.blocks)
    return [
        f"{field.name}: {getattr(venue, field.name)} at the broker, {getattr(auditor, field.name)} by the auditor"
        for field in fields(Count)
        if getattr(venue, field.name) != getattr(auditor, field.name)
    ]


def _same_end(ran: Ran, records: list[dict[str, Any]]) -> list[str]:
    """Ledger and broker end with the same cash, to the cent, and the same shares."""
    end, theirs, held = records[-1], ran.venue.total_u6, dict(ran.venue.positions())
    if end["kind"] != "RUN_ENDED":
        return [f"the ledger ends with {end['kind']}"]
    found = []
    if abs(end["cash_u6"] - theirs) >= 10_000:
        found.append(f"the ledger ends with {end['cash_u6'] / 1e6:,.2f} USD, the broker with {theirs / 1e6:,.2f}")
    if (ours := {row["symbol"]: row["qty"] for row in end["holdings"]}) != held:
        found.append(f"the ledger ends with {ours}, the broker with {held}")
    return found


def _excused(ran: Ran, nights: tuple[date, ...], records: list[dict[str, Any]]) -> frozenset[date]:
    """Return the nights that the book could not prevent and has recorded as a breach: what was held did not trade any
    more, and the auction, if it took an order, brought nothing.
    """
    if ran.cell.fault not in (Fault.HALT, Fault.MIXED):
        return frozenset()
    told = {record["time"][:10] for record in records if record["kind"] == "BREACH" and record["principle"] == "P5"}
    excused = set()
    for day in nights:
        session = CLOCK.session(day)
        assert session is not None, "runs are made of sessions"
        held = next(item.held for item in reversed(ran.venue.executions) if item.at.date() <= day)
        silent = {item.symbol for item in ran.silences if item.since.date() == day and item.until == session.close}
        if set(held) <= silent and day.isoformat() in told:
            excused.add(day)
    return frozenset(excused)


def _verdict(cell: Cell, count: Count, judgement: Judgement, excused: frozenset[date]) -> list[str]:
    """The auditor's exit code is the expected one, for no other rule's sake."""
    rules = {cause.rule for cause in judgement.causes}
    expected = (1, {OVERNIGHT}) if excused else (0, set()) if count.fills else (2, {NO_FILLS})
    found = []
    if (judgement.exit_code, rules) != expected:
        sentences = "; ".join(cause.text for cause in judgement.causes) or "nothing"
        found.append(f"the audit's exit code is {judgement.exit_code}, expected {expected[0]}: {sentences}")
    if cell.signal == "sigor" and cell.fault is Fault.NONE and cell.policy is Policy.DEFAULT:
        mean = sum(count.blocks) / len(count.blocks)
        if mean > SOFT_ORDERS:
            found.append(f"{mean:.1f} orders with a fill per block on average, at most {SOFT_ORDERS} allowed")
        idle = next(result.warnings for result in judgement.results if result.id == UTILISATION)
        if idle:
            found.append(f"P6: in {idle} sessions less than 80 % of the target was held")
    return found
