"""Run folders: every figure of the summary is a fold of the ledger, and no run mixes its files with another's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.ledgers import LedgerBuilder, one_session
from tools import run_folder
from tools.errors import BulkheadUsageError
from tools.ledger_reader import read_ledger
from tools.run_folder import Effort, create_run_dir, max_drawdown, read_summary, summarise, write_summary

EFFORT = Effort(data_points=1_500_000, wall_seconds=0.75, peak_rss_mb=321.04)
NOON = datetime(2025, 11, 28, 17, 0, 5, tzinfo=UTC)


def test_summary_has_exactly_the_fields_of_the_specification(tmp_path: Path) -> None:
    run = one_session().write(tmp_path)
    write_summary(run, summarise(read_ledger(run), EFFORT))
    assert list(json.loads((run / "summary.json").read_text())) == [
        "engine", "engine_version", "start", "end", "sessions", "start_equity", "end_equity", "fees", "orders", "fills",
        "trades", "refusals", "max_drawdown", "settings_hash", "data_manifest", "ledger_hash", "data_points",
        "wall_seconds", "points_per_second", "peak_rss_mb", "anchors",
    ]  # fmt: skip


def test_summary_is_a_fold_of_the_ledger(tmp_path: Path) -> None:
    builder = one_session()
    run = builder.write(tmp_path)
    summary = summarise(read_ledger(run), EFFORT)
    assert (summary.start_equity, summary.end_equity, summary.fees) == (100_000.0, 100_106.0, 4.0)
    assert (summary.sessions, summary.orders, summary.fills, summary.trades) == (1, 2, 4, 1)
    assert summary.refusals == {"QUOTE_STALE": 1, "VIX_WINDOW": 2}
    assert summary.ledger_hash == json.loads(builder.lines[-1])["hash"]
    assert summary.points_per_second == 2_000_000
    assert summary.peak_rss_mb == 321.0


def test_fees_of_a_run_without_an_end_are_those_of_its_fills(tmp_path: Path) -> None:
    builder = one_session()
    del builder.lines[-1]
    assert summarise(read_ledger(builder.write(tmp_path)), EFFORT).fees == 4.0


def test_a_ledger_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BulkheadUsageError, match="RUN_STARTED"):
        summarise(read_ledger(LedgerBuilder().open_session().write(tmp_path)), EFFORT)


@pytest.mark.parametrize(
    ("equity", "expected"),
    [([100, 110, 99, 120, 114], 0.1), ([100, 101, 102], 0.0), ([100], 0.0), ([], 0.0), ([100, 50, 200, 150], 0.5)],
)
def test_drawdown_is_the_largest_fall_from_a_running_peak(equity: list[int], expected: float) -> None:
    assert max_drawdown(equity) == expected


@given(st.lists(st.integers(min_value=1, max_value=10**12), min_size=1))
def test_drawdown_equals_the_worst_pair_of_an_earlier_peak_and_a_later_trough(equity: list[int]) -> None:
    worst = max((high - low) / high for at, high in enumerate(equity) for low in equity[at:])
    assert max_drawdown(equity) == pytest.approx(max(worst, 0.0), abs=1e-6)


def test_two_runs_of_one_second_get_different_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "RUNS", tmp_path / "backtests")
    first = create_run_dir("embedded", NOON)
    second = create_run_dir("embedded", NOON)
    assert first.name == "20251128T170005Z-embedded"
    assert second.name == "20251128T170005Z.2-embedded"


def test_a_named_folder_must_be_empty(tmp_path: Path) -> None:
    assert create_run_dir("embedded", NOON, tmp_path / "new") == tmp_path / "new"
    (tmp_path / "new" / "old.txt").write_text("x")
    with pytest.raises(BulkheadUsageError, match=r"--out = .*empty folder"):
        create_run_dir("embedded", NOON, tmp_path / "new")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BulkheadUsageError, match="cannot be written"):
        create_run_dir("embedded", NOON, tmp_path / "file" / "run")


@pytest.mark.parametrize(("content", "said"), [(None, "expected a run folder"), ("{", "expected JSON")])
def test_a_missing_or_damaged_summary_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(BulkheadUsageError, match=said):
        read_summary(tmp_path)
