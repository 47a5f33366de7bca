"""Benchmarks: every figure has its unit, ratios are of one run, and nothing is asserted about speed."""

from __future__ import annotations

import json

import pytest

from tools import bench, cli
from tools.bench import ChildRun, Figure, bench_engine, bench_ledger, bench_step
from tools.commands.bench import _as_text
from tools.errors import BulkheadUsageError


def _figures(figures: list[Figure]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures}


def test_the_ledger_is_measured_against_plain_json() -> None:
    figures = _figures(bench_ledger(records=200, repeats=2))
    assert figures["records"] == 200
    ratio = figures["one record, written"] / figures["one record as plain JSON with its hash"]
    assert figures["written / plain"] == pytest.approx(ratio)


def test_the_shares_of_engine_and_algorithm_are_of_the_best_run(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter(
        [
            ChildRun(1_000_000, wall_s=3.0, algorithm_s=1.0, process_s=3.5, peak_rss_mb=200, steps_us=()),
            ChildRun(1_000_000, wall_s=2.0, algorithm_s=0.5, process_s=2.4, peak_rss_mb=300, steps_us=()),
            ChildRun(900_000, wall_s=1.0, algorithm_s=0.0, process_s=1.3, peak_rss_mb=100, steps_us=()),
            ChildRun(900_000, wall_s=1.5, algorithm_s=0.0, process_s=1.9, peak_rss_mb=100, steps_us=()),
        ]
    )
    monkeypatch.setattr(bench, "market_of", lambda sessions, quiet: None)
    monkeypatch.setattr(bench, "run_child", lambda market, algorithm=None: next(runs))
    figures = _figures(bench_engine(sessions=5, repeats=2))
    assert figures["run"] == 2.0
    assert figures["data points per second"] == 500_000
    assert figures["algorithm's share of the run"] == 25
    assert figures["data points per second of the engine alone"] == pytest.approx(1_000_000 / 1.5)
    assert figures["run / idle run"] == 2.0
    assert figures["peak memory"] == 300


def test_steps_are_told_as_a_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = tuple(float(n) for n in range(1, 101))
    run = ChildRun(10, wall_s=1.0, algorithm_s=0.5, process_s=1.0, peak_rss_mb=1, steps_us=steps)
    monkeypatch.setattr(bench, "market_of", lambda sessions, quiet: None)
    monkeypatch.setattr(bench, "run_child", lambda market, steps: run)
    figures = _figures(bench_step(sessions=5, repeats=1))
    assert (figures["steps"], figures["mean"], figures["median"], figures["slowest"]) == (100, 50.5, 51, 100)
    assert figures["step / engine per minute"] == pytest.approx(50.5 / 5_000)


def test_sessions_below_one_are_refused() -> None:
    with pytest.raises(BulkheadUsageError, match="--sessions = -1"):
        bench_engine(sessions=-1)


def test_the_command_prints_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "bench_ledger", lambda repeats: [Figure("records", 5, "")])
    assert cli.main(["bench", "ledger", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "records", "value": 5, "unit": "", "spread": 0.0}]


def test_figures_are_read_in_columns() -> None:
    text = _as_text([Figure("run", 2.345, "s", 0.125), Figure("data points", 6_000_000, "")])
    assert text.splitlines() == [
        "run                    2.35 s  (spread 0.12 s)",
        "data points       6,000,000",
    ]
