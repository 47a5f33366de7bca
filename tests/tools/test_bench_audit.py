"""The auditor's benchmark measures a ledger that is clean, and every record of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.verdict import Verdict, judge
from tools import bench_audit, cli
from tools.bench import Figure
from tools.bench_audit import VERBS, main, measure, write_ledger


def test_the_made_up_ledger_is_clean_and_as_long_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    records, size = write_ledger(path, 3_000)
    assert records >= 3_000
    assert size == path.stat().st_size
    judgement = judge(path)
    assert judgement.verdict is Verdict.CLEAN, judgement.causes
    assert judgement.warnings == 0
    assert sum(judgement.counts.values()) == records
    assert judgement.fills == 2 * judgement.counts["SESSION_OPENED"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_record_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    path = tmp_path / "ledger.jsonl"
    records, _ = write_ledger(path, 1_000)
    main([verb, str(path)])
    measured = json.loads(capsys.readouterr().out)
    assert measured["records"] == records
    assert measured["seconds"] > 0


def test_a_ledger_that_is_not_clean_is_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write_ledger(path, 1_000)
    path.write_bytes(path.read_bytes().replace(b'"fee_u6":1000000', b'"fee_u6":1000001', 1))
    with pytest.raises(SystemExit, match="not clean"):
        measure("verify", path)


def test_it_runs_from_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench_audit, "bench_audit", lambda repeats: [Figure("repeats", repeats, "")])
    assert cli.main(["bench", "audit", "--repeats", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["value"] == 4
