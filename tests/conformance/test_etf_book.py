"""The ETF book beside the Friday book, on the embedded engine and on LEAN: the same ledger, clean, flat at every close.

Besides the live signal, those that made the book's predecessor break its principles; with the stress policy, which
takes every waiting time away, they trade as often as the caps let them.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tools.backtest import BacktestRequest, find_market, run_backtest
from tools.compare_runs import as_text, compare_folders
from tools.lean_launcher import Installation
from tools.ledger_reader import Record, exchange_time, read_ledger
from tools.run_folder import read_summary

FAMILY = frozenset({"QQQ", "TQQQ", "PSQ", "SQQQ"})
SIDES = ("Long", "Inverse")
STRESS = {
    "etf_rotation.confirm_bars": "1",
    "etf_rotation.min_hold_bars": "0",
    "etf_rotation.cooldown_bars": "0",
}


@dataclass(frozen=True, slots=True)
class Job:
    """Sessions of the default market, and how often the book has to open in them at least."""

    name: str
    start: date
    sessions: int
    opens: int
    overrides: Mapping[str, str] = field(default_factory=dict)
    warned: frozenset[str] = frozenset()
    """Rules that may warn: what is traded without any patience, or with few shares, is not held long or wholly."""
    fleeting: bool = False
    """Whether what was bought is sold in the step that learns of it, so that no chart can show it."""


def _signal(source: str, **numbers: str) -> dict[str, str]:
    named = {f"etf_rotation.synthetic.{name}": value for name, value in numbers.items()}
    return {"etf_rotation.signal.source": source, **named, **STRESS}


_RESTLESS = frozenset({"AU-46", "AU-49", "AU-64"})  # utilisation, trades per block, a signal that stands still
_QUICK = Job("sigor", date(2025, 9, 11), 2, 10)
_LONG = (
    Job("twenty_sessions", date(2025, 9, 5), 20, 200),
    Job("alternating", date(2025, 9, 11), 2, 40, _signal("alternating"), _RESTLESS, fleeting=True),
    Job("random", date(2025, 9, 11), 2, 40, _signal("random", seed="11"), _RESTLESS),
    Job("nan", date(2025, 9, 11), 2, 1, _signal("nan", nan_fraction="0.3"), _RESTLESS),
    Job("half_day", date(2025, 11, 26), 3, 15),
    Job("cash_account", date(2025, 9, 11), 3, 10, {"account.type": "CASH", "friday_0dte.enabled": "false"}),
    Job("no_auction", date(2025, 9, 11), 2, 10, {"account.brokerage": "TASTYTRADE"}),
    Job("small_account", date(2025, 9, 11), 2, 5, {"account.start_cash_usd": "12000"}, frozenset({"AU-46"})),
)


@pytest.mark.lean
@pytest.mark.parametrize(
    "job", [pytest.param(_QUICK, id=_QUICK.name), *(pytest.param(j, id=j.name, marks=pytest.mark.long) for j in _LONG)]
)
def test_the_book_does_the_same_on_both_engines(job: Job, installation: Installation, tmp_path: Path) -> None:
    runs = [_run(job, engine, tmp_path) for engine in ("embedded", "lean")]
    comparison = compare_folders(*runs)
    assert comparison.same, as_text(comparison)
    _shown_by_lean(runs[1], fleeting=job.fleeting)


def _shown_by_lean(run: Path, *, fleeting: bool) -> None:
    """LEAN's own result shows the principles, the chart, and the anchor that the summary lists last."""
    shown = json.loads((run / "lean" / "run.json").read_text(encoding="utf-8"))
    statistics = shown["runtimeStatistics"]
    states = [text for name, text in statistics.items() if name.startswith("ETF P")]
    assert len(states) == 6
    assert all(text == "ok" for text in states) or statistics["ETF P6 utilisation"].startswith("breached")
    last = read_summary(run)["anchors"][-1]
    assert statistics["Ledger anchor"] == f"{last['head_seq']}:{last['head_hash']}"
    series = shown["charts"]["ETF rotation"]["series"]
    assert set(series) == {"Long exposure %", "Inverse exposure %", "Cash %", "Opens in the bar"}
    long, inverse = (dict(series[f"{side} exposure %"]["values"]) for side in SIDES)
    assert (max(long.values()) > 0) is not fleeting
    assert not [moment for moment in long if long[moment] and inverse[moment]]


@pytest.mark.parametrize(("source", "opens"), [("alternating", 20), ("random", 20), ("constant", 2)])
def test_hostile_signals_keep_the_principles_on_a_full_and_a_half_day(source: str, opens: int, tmp_path: Path) -> None:
    _run(Job(source, date(2025, 11, 26), 2, opens, _signal(source), _RESTLESS), "embedded", tmp_path)


HALT = date(2025, 9, 11)
HELD_ALL_DAY = {"etf_rotation.signal.source": "constant", "friday_0dte.enabled": "false"}
ENDS = {"one_minute_before_the_close": 958, "never": 961}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "engines",
    [("embedded",), pytest.param(("embedded", "lean"), marks=[pytest.mark.lean, pytest.mark.long])],
    ids=["embedded", "both"],
)
def test_a_share_that_stops_trading_is_sold_in_the_auction(
    engines: tuple[str, ...], end: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if "lean" in engines:
        request.getfixturevalue("installation")
    data = _halted(tmp_path / "data", "tqqq", HALT, 940, ENDS[end])
    runs = []
    for engine in engines:
        asked = BacktestRequest(
            engine=engine, data=data, start=HALT, end=HALT, overrides=HELD_ALL_DAY, out=tmp_path / engine
        )
        result = run_backtest(asked, quiet=True, with_report=False)
        assert result.failure is None
        runs.append(result.run_dir)
    records = read_ledger(runs[0]).records
    sales = [record for record in records if record["kind"] == "ORDER_INTENT" and record["purpose"] == "CLOSE"]
    assert [(f"{exchange_time(sale):%H:%M}", sale["type"], sale["tif"]) for sale in sales] == [
        ("15:44", "MARKET_ON_CLOSE", "GTC")
    ]
    fills = [record for record in records if record["kind"] == "FILL"]
    assert [(f"{exchange_time(fill):%H:%M}", fill["qty"] > 0) for fill in fills] == [("09:51", True), ("16:00", False)]
    assert fills[0]["qty"] == -fills[1]["qty"]
    assert _kept_over_night(records) == {}
    if len(runs) == 2:
        comparison = compare_folders(*runs)
        assert comparison.same, as_text(comparison)


def _halted(out: Path, ticker: str, day: date, first: int, last: int) -> Path:
    """Copy a synthetic market without the bars of one share that begin in these minutes of the day."""
    market = find_market(BacktestRequest(start=day, sessions=2), quiet=True).folder
    shutil.copytree(market, out)
    for kind in ("trade", "quote"):
        path = out / f"equity/usa/minute/{ticker}/{day:%Y%m%d}_{kind}.zip"
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            rows = archive.read(name).decode("ascii").splitlines()
        kept = [row for row in rows if not first <= int(row.partition(",")[0]) // 60_000 < last]
        assert 0 < len(kept) < len(rows)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, "\n".join(kept))
    return out


def _run(job: Job, engine: str, folder: Path) -> Path:
    """Run a job; its audit is clean, and the book is flat after each close and opened once a bar at most."""
    request = BacktestRequest(start=job.start, sessions=job.sessions, overrides=job.overrides)
    result = run_backtest(replace(request, engine=engine, out=folder / engine), quiet=True, with_report=False)
    assert result.failure is None
    assert result.summary is not None
    assert result.summary.audit is not None
    assert result.summary.audit.exit_code == 0
    judged = json.loads((result.run_dir / "audit.json").read_text(encoding="utf-8"))
    assert {finding["rule"] for finding in judged["findings"]} <= job.warned
    records = read_ledger(result.run_dir).records
    assert len(_opens(records)) >= job.opens
    assert max(_opens(records).values()) == 1
    assert _kept_over_night(records) == {}
    breached = {record["principle"] for record in records if record["kind"] == "BREACH"}
    assert breached <= {"P6"} if "AU-46" in job.warned else not breached
    return result.run_dir


def _opens(records: tuple[Record, ...]) -> Counter[str]:
    """Return the openings sent in each bar."""
    kinds = {record["order"]: record for record in records if record["kind"] == "ORDER_INTENT"}
    sent = (record for record in records if record["kind"] == "ORDER_SENT")
    return Counter(
        str(record["time"])
        for record in sent
        if kinds[record["order"]]["purpose"] in ("OPEN", "ADD") and kinds[record["order"]]["book"] == "etf_rotation"
    )


def _kept_over_night(records: tuple[Record, ...]) -> dict[str, str]:
    """Return family shares by the session after whose close the broker still held them: by the broker's words."""
    found: dict[str, str] = {}
    close = None
    for record in records:
        if record["kind"] == "SESSION_OPENED":
            close = exchange_time(record, "close_time")
        if record["kind"] != "BROKER_STATEMENT" or close is None:
            continue
        held = {item["symbol"]: item["qty"] for item in record["holdings"] if item["symbol"] in FAMILY}
        if held and exchange_time(record) >= close - timedelta(minutes=1):
            found[f"{close:%Y-%m-%d}"] = json.dumps(held)
    return found
