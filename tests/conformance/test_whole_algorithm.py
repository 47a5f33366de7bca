"""The whole algorithm on both engines: the two ledgers are the same record by record, but for what is named."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from tools.backtest import BacktestRequest, run_backtest
from tools.compare_runs import as_text, compare_folders
from tools.lean_launcher import Installation
from tools.run_folder import Summary

_EVERY_VIX = {"friday_0dte.vix_min": "5", "friday_0dte.vix_max": "90"}
VIX_CLOSES = {
    date(2021, 1, 4): 26.97, date(2021, 1, 5): 25.34, date(2021, 1, 6): 25.07, date(2021, 1, 7): 22.37,
    date(2021, 1, 8): 21.56,
}  # fmt: skip
WEEK = tuple(VIX_CLOSES)


@dataclass(frozen=True, slots=True)
class Job:
    """One market and one set of settings."""

    name: str
    sessions: int
    seed: int = 7
    scenario: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    trades: int = 0
    """The least number of trades: a run without any proves little."""


_QUICK = Job("one_friday", 1, overrides=_EVERY_VIX)
_LONG = (
    Job("default", 20, trades=2),
    Job("tastytrade", 12, 3, overrides={**_EVERY_VIX, "account.brokerage": "TASTYTRADE"}, trades=2),
    Job("default_model", 12, 3, overrides={**_EVERY_VIX, "account.brokerage": "DEFAULT"}, trades=2),
    Job("crash", 17, scenario="crash_2025", overrides={**_EVERY_VIX, "account.brokerage": "SCHWAB"}, trades=2),
    Job("half_day", 10, scenario="half_day", overrides=_EVERY_VIX, trades=1),
)


@pytest.mark.lean
@pytest.mark.parametrize(
    "job", [pytest.param(_QUICK, id=_QUICK.name), *(pytest.param(j, id=j.name, marks=pytest.mark.long) for j in _LONG)]
)
def test_both_engines_write_the_same_ledger(job: Job, installation: Installation, tmp_path: Path) -> None:
    request = BacktestRequest(
        sessions=job.sessions, seed=job.seed, scenario=job.scenario, overrides=job.overrides,
        start=date(2025, 9, 5) if job is _QUICK else None,
    )  # fmt: skip
    _same_on_both(request, tmp_path, job.trades)


@pytest.mark.lean
@pytest.mark.long
@pytest.mark.parametrize("with_vix", [False, True], ids=["as_it_is", "with_vix"])
def test_both_engines_write_the_same_ledger_on_the_real_week(
    with_vix: bool, sample_data: Path, installation: Installation, tmp_path: Path
) -> None:
    data = _with_vix(sample_data, tmp_path / "data") if with_vix else sample_data
    request = BacktestRequest(data=data, start=WEEK[0], end=WEEK[-1], overrides=_EVERY_VIX)
    summaries = _same_on_both(request, tmp_path, 0)
    # The week has no VIX and, on its Friday, no SPX: nothing may be traded, and both say why.
    assert all(one.refusals.get("VIX_UNKNOWN", 0) > 0 for one in summaries) is not with_vix
    assert summaries[0].refusals == summaries[1].refusals


def _with_vix(sample: Path, folder: Path) -> Path:
    """Return a copy of the sample (by links) with minutes of a VIX that stands still at each day's published close."""
    for path in sample.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(sample)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    for day, close in VIX_CLOSES.items():
        stamp = f"{day:%Y%m%d}"
        rows = [f"{minute * 60_000},{close},{close},{close},{close},0\n" for minute in range(510, 915)]
        path = folder / f"index/usa/minute/vix/{stamp}_trade.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(f"{stamp}_vix_minute_trade.csv", "".join(rows))
    return folder


def _same_on_both(request: BacktestRequest, folder: Path, trades: int) -> list[Summary]:
    runs = []
    summaries = []
    for engine in ("embedded", "lean"):
        asked = replace(request, engine=engine, out=folder / engine)
        result = run_backtest(asked, quiet=True, with_report=False)
        assert result.failure is None
        assert result.summary is not None
        assert result.summary.trades >= trades
        runs.append(result.run_dir)
        summaries.append(result.summary)
    comparison = compare_folders(*runs)
    assert comparison.same, as_text(comparison)
    return summaries
