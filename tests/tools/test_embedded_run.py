"""Runs on the embedded engine through the runner: a small algorithm, a market of two sessions, and what comes back."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from tools.backtest import EngineJob, EngineRun
from tools.embedded_run import embedded_engine
from tools.market import MarketSpec, cached_market

DAY, LAST = date(2025, 9, 5), date(2025, 9, 8)
ALGORITHM = """
from AlgorithmImports import *
from datetime import date, timedelta


class Small(QCAlgorithm):
    def initialize(self):
        self.set_start_date(date.fromisoformat(self.get_parameter("run.start")))
        self.set_end_date(date.fromisoformat(self.get_parameter("run.end")) + timedelta(days=1))
        self.set_benchmark(lambda _time: 0)
        self._spy = self.add_equity("SPY", Resolution.MINUTE, fill_forward=False).symbol
        self._seen = 0
        self.log("begin")

    def on_data(self, data):
        if data.bars.contains_key(self._spy):
            self._seen += 1
        {extra}

    def on_end_of_algorithm(self):
        self.object_store.save("bulkhead/0a1b2c3d/ledger-00000", f"{{self._seen}}")
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cached_market(MarketSpec(start=DAY, end=LAST), tmp_path_factory.mktemp("markets"), jobs=1)


def _run(tmp_path: Path, market: Path, extra: str = "pass", shares: list[float] | None = None) -> EngineRun:
    algorithm = tmp_path / "main.py"
    algorithm.write_text(ALGORITHM.format(extra=extra))
    engine, _ = embedded_engine(algorithm)
    parameters = {"run.start": DAY.isoformat(), "run.end": LAST.isoformat()}
    done = [] if shares is None else shares
    return engine(
        EngineJob(data=market, start=DAY, end=LAST, parameters=parameters, run_dir=tmp_path, on_progress=done.append)
    )


def test_a_run_brings_back_store_log_and_effort(tmp_path: Path, market: Path) -> None:
    shares: list[float] = []
    outcome = _run(tmp_path, market, shares=shares)
    assert outcome.error is None
    assert outcome.store == {"bulkhead/0a1b2c3d/ledger-00000": b"780"}
    assert "begin" in outcome.log
    assert outcome.effort.data_points >= 780
    assert 0 < (outcome.algorithm_seconds or 0) < outcome.effort.wall_seconds
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.2, 1.0)


def test_an_error_of_the_algorithm_is_a_sentence_and_its_traceback_is_in_the_log(tmp_path: Path, market: Path) -> None:
    outcome = _run(tmp_path, market, extra="raise ValueError('boom')")
    assert "ValueError: boom" in str(outcome.error)
    assert "Traceback" in outcome.log
    assert outcome.store == {}


def test_broken_data_end_the_run_with_their_sentence_and_what_happened_is_kept(tmp_path: Path, market: Path) -> None:
    folder = Path(shutil.copytree(market, tmp_path / "data"))
    path = folder / "equity" / "usa" / "minute" / "spy" / f"{DAY:%Y%m%d}_trade.zip"
    path.write_bytes(path.read_bytes()[:100])
    outcome = _run(tmp_path, folder)
    assert f"{DAY:%Y%m%d}_trade.zip" in str(outcome.error)
    assert outcome.log.splitlines()[-1] == f"The run failed: {outcome.error}"
    assert outcome.store == {"bulkhead/0a1b2c3d/ledger-00000": b"0"}


def test_a_file_that_is_no_algorithm_fails_with_a_sentence(tmp_path: Path, market: Path) -> None:
    outcome = _run(tmp_path, market, extra="(")
    assert "SyntaxError" in str(outcome.error)
    assert outcome.effort.data_points == 0
