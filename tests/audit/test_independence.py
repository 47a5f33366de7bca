"""The auditor shares nothing with what it audits, and knows all that the writer may write."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from audit.limits import FAMILY
from audit.schema import KINDS
from audit.trade_table import TABLE
from audit.words import ENUMS
from core import ledger_kinds, trade_machine, vocabulary
from core.reasons import Reason
from tools.paths import ROOT

ALLOWED = {"audit", "click", "numpy", "orjson", "rich"}
STANDARD = set(sys.stdlib_module_names)
FILES = sorted((ROOT / "audit").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_audit_file_imports_nothing_of_the_algorithm(path: Path) -> None:
    roots: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            roots.add((node.module or "").split(".")[0])
    assert roots <= ALLOWED | STANDARD


def test_the_auditor_knows_every_kind_and_field_of_the_writer() -> None:
    writer = {
        kind.value: {name: field.optional for name, field in fields.items()}
        for kind, fields in ledger_kinds.FIELDS.items()
    }
    auditor = {kind: {name: field.optional for name, field in fields.items()} for kind, fields in KINDS.items()}
    assert auditor == writer


def test_the_auditor_knows_every_reason_of_the_writer() -> None:
    assert {reason.value for reason in Reason} <= ENUMS["reason"]


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("purpose", vocabulary.Purpose),
        ("gate", vocabulary.Gate),
        ("phase", vocabulary.SessionPhase),
        ("structure", vocabulary.StructureName),
        ("outcome", vocabulary.OrderOutcome),
        ("status", vocabulary.OrderStatus),
        ("trade_state", trade_machine.TradeState),
        ("trigger", trade_machine.Trigger),
        ("target", vocabulary.FamilyTarget),
        ("run_end", ledger_kinds.EndReason),
        ("flow", ledger_kinds.FlowType),
    ],
)
def test_the_auditor_knows_every_word_of_the_writer(name: str, members: type) -> None:
    assert {member.value for member in members} <= ENUMS[name]  # type: ignore[attr-defined]


def test_the_writers_trade_machine_stays_inside_the_auditors_table() -> None:
    for (state, trigger), after in trade_machine.TABLE.items():
        states = {after} if isinstance(after, trade_machine.TradeState) else trade_machine.OUTCOMES[after]
        for found in states:
            stays = {trade_machine.TradeState.ENTERING, trade_machine.TradeState.ADJUSTING}
            if found is state or (len(states) > 1 and found in stays):
                continue  # nothing changes; a look that may let any of several states stay lists them all
            assert found.value in TABLE[(state.value, trigger.value)], f"{trigger} from {state} to {found}"


def test_both_know_the_same_family() -> None:
    assert {side: dict(members) for side, members in FAMILY.items()} == {
        side: dict(members) for side, members in vocabulary.FAMILY.items()
    }
