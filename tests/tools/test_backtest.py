"""The runner around an engine: what it hands over, what it writes, and how it judges the end of a run.

The engine here is a function that returns a ledger: what an engine does with a market is tested where the engines are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pytest

from audit.verdict import AuditOutcome
from tests.tools.ledgers import LedgerBuilder, one_session
from tools import backtest, cli
from tools.backtest import BacktestRequest, EngineJob, EngineRun, folder_market, run_backtest
from tools.errors import BulkheadUsageError
from tools.run_folder import Effort

Jobs = list[EngineJob]
FEW = Effort(data_points=1_000, wall_seconds=0.5, peak_rss_mb=100.0)


def _store(builder: LedgerBuilder) -> dict[str, bytes]:
    half = len(builder.lines) // 2
    parts = builder.lines[:half], builder.lines[half:]
    return {f"bulkhead/0a1b2c3d/ledger-{n}": ("\n".join(lines) + "\n").encode() for n, lines in enumerate(parts)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    minutes = tmp_path / "data" / "indexoption" / "usa" / "minute" / "spxw"
    minutes.mkdir(parents=True)
    for day in ("20251125", "20251126", "20251128"):
        (minutes / f"{day}_quote_european.zip").write_bytes(b"PK")
    return tmp_path / "data"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, bytes], str | None], Jobs]:
    """Put an engine in place that answers with the given object store and error."""

    def install(store: Mapping[str, bytes], error: str | None = None) -> Jobs:
        jobs: Jobs = []

        def run(job: EngineJob) -> EngineRun:
            jobs.append(job)
            return EngineRun(store=store, log="a line\n", error=error, effort=FEW)

        monkeypatch.setattr(backtest, "_engine", lambda request: (run, "0.1.0"))
        return jobs

    return install


def _run(data: Path, tmp_path: Path, **changes: object) -> backtest.BacktestResult:
    request = BacktestRequest(**{"data": data, "out": tmp_path / "run", **changes})  # type: ignore[arg-type]
    return run_backtest(request, quiet=True, with_report=False)


def test_a_run_leaves_ledger_summary_and_log(
    data: Path, tmp_path: Path, engine: Callable[[Mapping[str, bytes], str | None], Jobs]
) -> None:
    engine(_store(one_session()), None)
    result = _run(data, tmp_path)
    assert (result.run_dir / "ledger.jsonl").read_bytes() == one_session().content()
    assert (result.run_dir / "log.txt").read_text() == "a line\n"
    assert json.loads((result.run_dir / "summary.json").read_text())["trades"] == 1


def test_a_ledger_that_no_algorithm_writes_fails_the_run_by_the_audit(
    data: Path, tmp_path: Path, engine: Callable[[Mapping[str, bytes], str | None], Jobs]
) -> None:
    engine(_store(one_session()), None)
    result = _run(data, tmp_path)
    assert result.summary is not None
    assert result.summary.audit is not None
    assert result.summary.audit.exit_code == 1
    assert str(result.failure).startswith("a principle is violated: AU-01: line 7: INTENT.structure = 'put_spread'")


@pytest.mark.parametrize(
    ("exit_code", "only_no_fills", "fails"), [(0, False, False), (2, True, False), (2, False, True)]
)
def test_an_inconclusive_audit_fails_a_run_unless_it_only_lacks_fills(
    exit_code: int, only_no_fills: bool, fails: bool
) -> None:
    outcome = AuditOutcome(exit_code, 0, 0, ("why",), only_no_fills)
    assert (backtest.audit_failure(outcome) is not None) is fails


def test_the_engine_is_told_sessions_seed_and_overrides_as_text(
    data: Path, tmp_path: Path, engine: Callable[[Mapping[str, bytes], str | None], Jobs]
) -> None:
    jobs = engine(_store(one_session()), None)
    _run(data, tmp_path, seed=11, overrides={"breaker.daily_loss_pct": "4"}, end=date(2025, 11, 26))
    (job,) = jobs
    assert (job.start, job.end) == (date(2025, 11, 25), date(2025, 11, 26))
    assert job.parameters["run.start"] == "2025-11-25"
    assert job.parameters["run.end"] == "2025-11-26"
    assert job.parameters["run.seed"] == "11"
    assert job.parameters["breaker.daily_loss_pct"] == "4"
    assert all(isinstance(value, str) for value in job.parameters.values())


@pytest.mark.parametrize(
    ("builder", "error", "said"),
    [
        (one_session(), "boom in on_data", "boom in on_data"),
        (LedgerBuilder().start().open_session().end(reason="ERROR"), None, "reason ERROR"),
        (LedgerBuilder().start().open_session(), None, "no RUN_ENDED"),
        (LedgerBuilder(), None, "left no ledger"),
    ],
)
def test_a_run_that_did_not_end_as_it_should_has_failed(
    data: Path,
    tmp_path: Path,
    engine: Callable[[Mapping[str, bytes], str | None], Jobs],
    builder: LedgerBuilder,
    error: str | None,
    said: str,
) -> None:
    engine(_store(builder) if builder.lines else {}, error)
    assert said in str(_run(data, tmp_path).failure)


def test_the_command_exits_with_1_when_the_run_failed_and_says_why(
    data: Path,
    tmp_path: Path,
    engine: Callable[[Mapping[str, bytes], str | None], Jobs],
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine({}, "boom")
    assert cli.main(["backtest", "--data", str(data), "--out", str(tmp_path / "run"), "--json"]) == 1
    said = capsys.readouterr()
    assert said.err == "bulkhead: the run failed: boom\n"
    assert json.loads(said.out) == {"run": str(tmp_path / "run"), "failure": "boom"}


def test_wrong_input_runs_nothing_and_leaves_no_folder(
    data: Path, tmp_path: Path, engine: Callable[[Mapping[str, bytes], str | None], Jobs]
) -> None:
    jobs = engine(_store(one_session()), None)
    with pytest.raises(BulkheadUsageError, match="no setting has this name"):
        _run(data, tmp_path, overrides={"breaker.daily_loss": "4"})
    assert not jobs
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (date(2025, 11, 25), date(2025, 11, 28))),
        ({"sessions": 2}, (date(2025, 11, 25), date(2025, 11, 26))),
        ({"start": date(2025, 11, 26), "sessions": 1}, (date(2025, 11, 26), date(2025, 11, 26))),
        ({"end": date(2025, 12, 31)}, (date(2025, 11, 25), date(2025, 12, 31))),
    ],
)
def test_sessions_of_a_folder(data: Path, changes: dict[str, object], expected: tuple[date, date]) -> None:
    market = folder_market(data, BacktestRequest(**changes))  # type: ignore[arg-type]
    assert (market.start, market.end) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": date(2025, 12, 1)}, r"expected sessions that the folder has, 2025-11-25 to 2025-11-28"),
        ({"start": date(2025, 11, 28), "end": date(2025, 11, 25)}, "expected sessions that the folder has"),
        ({"sessions": 4}, "--sessions = 4: expected 1 to 3"),
        ({"sessions": 0}, "--sessions = 0: expected 1 to 3"),
        ({"sessions": 1, "end": date(2025, 11, 28)}, "expected one of the two"),
    ],
)
def test_sessions_that_a_folder_has_not_are_refused(data: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(BulkheadUsageError, match=said):
        folder_market(data, BacktestRequest(**changes))  # type: ignore[arg-type]


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BulkheadUsageError, match="expected minute files"):
        folder_market(tmp_path, BacktestRequest())
    with pytest.raises(BulkheadUsageError, match="expected a LEAN-format data folder"):
        folder_market(tmp_path / "nowhere", BacktestRequest())
    with pytest.raises(BulkheadUsageError, match="it names a synthetic market"):
        run_backtest(BacktestRequest(data=tmp_path, scenario="default"))
