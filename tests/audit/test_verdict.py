"""Exit codes: 0 clean, 1 violated, 2 inconclusive; nothing is clean by default."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from audit.replay import Replay
from audit.schema import Record
from audit.verdict import Verdict, audit_run, judge, judge_lines
from tests.audit.chaining import chained
from tests.audit.damage import Ledger
from tests.audit.worlds import clean, pool


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(chained(pool(1))))
    return tmp_path


def test_a_clean_run_is_clean_and_leaves_its_audit(run_dir: Path) -> None:
    outcome = audit_run(run_dir)
    assert (outcome.exit_code, outcome.violations, outcome.fails_run) == (0, 0, False)
    written = json.loads((run_dir / "audit.json").read_text())
    assert written["verdict"] == "CLEAN"
    assert written["records"]["RUN_ENDED"] == 1
    assert {row["id"] for row in written["rules"]} >= {"AU-01", "AU-66"}


@pytest.mark.parametrize("content", [b"", b"\n", b"no ledger at all"])
def test_what_is_no_ledger_is_never_clean(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)
    assert judge(path).exit_code != 0


def test_a_missing_file_is_inconclusive(tmp_path: Path) -> None:
    judgement = judge(tmp_path)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "expected a run folder" in judgement.causes[0].text


def test_a_run_without_fills_is_inconclusive_and_does_not_fail_the_backtest(tmp_path: Path) -> None:
    records = clean(3, sessions=3, books=("friday_0dte",), friday_plan="refuse", faults=False, holdings=[])
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(chained(records)))
    outcome = audit_run(tmp_path)
    assert (outcome.exit_code, outcome.only_no_fills, outcome.fails_run) == (2, True, False)


def test_a_cut_ledger_is_inconclusive_and_fails_the_backtest(run_dir: Path) -> None:
    path = run_dir / "ledger.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    outcome = audit_run(run_dir)
    assert (outcome.exit_code, outcome.only_no_fills, outcome.fails_run) == (2, False, True)


def test_the_summary_names_another_ledger(run_dir: Path) -> None:
    (run_dir / "summary.json").write_text(json.dumps({"ledger_hash": "ab" * 32}))
    assert judge(run_dir).verdict is Verdict.VIOLATED
    head = (run_dir / "ledger.jsonl").read_bytes()[-67:-3].decode()
    (run_dir / "summary.json").write_text(json.dumps({"ledger_hash": head}))
    assert judge(run_dir).verdict is Verdict.CLEAN


def test_a_summary_that_cannot_be_read_is_inconclusive(run_dir: Path) -> None:
    (run_dir / "summary.json").write_text("{")
    assert judge(run_dir).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("kind", ["MARK", "BROKER_STATEMENT", "VERDICT", "TRADE_STATE"])
def test_a_rule_that_sees_none_of_its_records_is_never_clean(kind: str) -> None:
    records = [record for record in pool(1) if record["kind"] != kind]
    assert judge_lines(chained(Ledger.recount(records))).exit_code != 0


def test_statements_that_are_missing_make_a_run_inconclusive() -> None:
    records = [record for record in pool(1) if record["kind"] != "BROKER_STATEMENT"]
    judgement = judge_lines(chained(Ledger.recount(records)))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert {"AU-31", "AU-32"} <= {cause.rule for cause in judgement.causes}


class Broken(Replay):
    """An auditor with a programming error."""

    def _judge(self, record: Record, handlers: Sequence[Callable[[Record], None]]) -> None:
        if record["kind"] == "SESSION_CLOSED":
            raise KeyError("a bug")
        super()._judge(record, handlers)


def test_an_error_of_the_auditor_is_inconclusive() -> None:
    judgement = judge_lines(chained(pool(1)), replay_with=Broken)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "internal error of the auditor" in judgement.causes[0].text


def test_a_violation_outranks_everything() -> None:
    records = list(pool(1))[:-1]
    records[2] = records[2] | {"kind": "NONSENSE"}
    assert judge_lines(chained(records), replay_with=Broken).verdict is Verdict.VIOLATED


def test_strict_counts_a_warning_as_a_violation() -> None:
    records = [
        record | {"fee_u6": 0} if record["kind"] == "FILL" else record for record in clean(1, sessions=2, faults=False)
    ]
    from tests.audit.chaining import numbered, settled

    numbers = numbered(records)
    lines = chained(settled(numbers, numbered(clean(1, sessions=2, faults=False))))
    loose, strict = judge_lines(lines), judge_lines(lines, strict=True)
    assert (loose.exit_code, loose.warnings, strict.exit_code) == (0, 1, 1)
