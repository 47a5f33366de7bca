"""Start, trade, stop, start again: the product on LEAN's own live engine and paper brokerage, for some minutes.

No network and no login: see `station.py`.  It takes minutes, because a session's minutes have to pass.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pytest

from audit.verdict import audit_run
from tests.lean_live.station import CannotBuild, Process, Records, Station
from tools.errors import BulkheadUsageError
from tools.lean_launcher import find_installation
from tools.lean_paper import PaperAccount, account_left
from tools.lean_process import read_store
from tools.ledger_chunks import join_chunks
from tools.market import MarketSpec
from tools.market.generator import generate

pytestmark = [pytest.mark.lean, pytest.mark.long, pytest.mark.timeout(1_200)]

FRIDAY = date(2025, 9, 19)
CASH_USD = 100_000.0
SETTINGS = {"run.mode": "PAPER", "etf_rotation.enabled": "false"}


def at(hour: int, minute: int) -> datetime:
    return datetime(FRIDAY.year, FRIDAY.month, FRIDAY.day, hour, minute)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    """The default market's Friday of September 19th: VIX at 23, a condor is sold at 10:30."""
    folder = tmp_path_factory.mktemp("station")
    try:
        installation = find_installation()
        made = Station.build(installation, folder / "data", folder)
    except (BulkheadUsageError, CannotBuild) as error:
        pytest.skip(str(error))
    generate(MarketSpec(start=date(2025, 9, 18), sessions=2), folder / "data")
    return made


def is_open(records: Records) -> bool:
    return any(record["kind"] == "TRADE_STATE" and record["to"] == "OPEN" for record in records)


def is_closed(records: Records) -> bool:
    return any(record["kind"] == "TRADE_CLOSED" for record in records)


def is_past_its_exit(records: Records) -> bool:
    return bool(records) and records[-1]["time"] >= "2025-09-19T19:32"


@pytest.fixture(scope="module")
def morning(station: Station, tmp_path_factory: pytest.TempPathFactory) -> Process:
    """The process that sells the condor, and is stopped as soon as it holds it."""
    return station.live(tmp_path_factory.mktemp("live") / "morning", at(10, 28), PaperAccount(CASH_USD), SETTINGS,
                        is_open)  # fmt: skip


def assert_went_well(process: Process) -> None:
    print(process.summary)
    outcome = process.outcome
    assert outcome.status == "Completed", outcome.relevant_lines()
    assert outcome.result is not None
    assert not outcome.result["state"].get("RuntimeError")
    assert "FAULT" not in process.alerts()


def audited(process: Process, folder: Path) -> dict[str, list[str]]:
    """Return what the auditor says of the ledger of all processes: rule -> sentences."""
    (folder / "ledger.jsonl").write_bytes(join_chunks(read_store(process.store)))
    causes: dict[str, list[str]] = {}
    for cause in audit_run(folder).causes:
        rule, _, text = cause.partition(": ")
        causes.setdefault(rule.split(" ")[0], []).append(text)
    return causes


def test_a_process_trades_on_leans_paper_brokerage_and_leaves_ledger_and_state(morning: Process) -> None:
    assert_went_well(morning)
    (restart,) = morning.records("RESTART")
    assert restart["row"] == "fresh"
    fills = morning.records("FILL")
    assert sorted(fill["qty"] for fill in fills) == [-1, -1, 1, 1]
    assert {record["outcome"] for record in morning.records("ORDER_OUTCOME")} <= {"CANCELLED", "FILLED"}
    # LEAN's time runs on within the minute; a step carries the minute that has closed, and its ladder keeps its pace.
    sent = [record["time"] for record in morning.records("ORDER_SENT")]
    assert sent[0].endswith(":00.000000Z")
    assert len(sent) == len(set(sent))
    stored = read_store(morning.store)
    assert {"bulkhead/state-a", "bulkhead/state-b"} <= stored.keys()
    statement = morning.records("BROKER_STATEMENT")[-1]
    assert statement["cash_u6"] == fills[-1]["cash_after_u6"]
    # What LEAN itself has written down.
    orders = [order for order in morning.outcome.orders.values() if order["status"] == 3]
    assert sorted(order["quantity"] for order in orders) == [-1, -1, 1, 1]


def test_with_its_holdings_named_the_next_process_goes_on_and_closes(
    station: Station, morning: Process, tmp_path: Path
) -> None:
    account = account_left(morning.store)
    assert sorted(holding.quantity for holding in account.holdings) == [-1, -1, 1, 1]
    afternoon = station.live(tmp_path / "lean", at(15, 27), account, SETTINGS, is_closed, morning.store)
    assert_went_well(afternoon)
    (header,) = afternoon.records("RUN_STARTED")
    assert header["resumed_from"] == morning.records()[-1]["hash"]
    assert header["start"] == FRIDAY.isoformat()
    (restart,) = afternoon.records("RESTART")
    assert (restart["row"], restart["trades"]) == ("two valid slots", ["friday_0dte-20250919-1"])
    assert afternoon.records("BREAK") == []
    (closed,) = afternoon.records("TRADE_CLOSED")
    assert closed["reason"] in ("EXIT_TARGET", "EXIT_TIME")
    assert afternoon.records("BROKER_STATEMENT")[-1]["holdings"] == []
    orders = [record["order"] for process in (morning, afternoon) for record in process.records("ORDER_INTENT")]
    assert len(orders) == len(set(orders))
    # The ledger of a run that goes on has no end: that is all that the auditor misses.
    assert set(audited(afternoon, tmp_path)) == {"AU-07"}


def test_without_them_the_break_is_seen_and_locked_and_nothing_is_sent(
    station: Station, morning: Process, tmp_path: Path
) -> None:
    account = PaperAccount(CASH_USD)
    blind = station.live(tmp_path / "lean", at(15, 27), account, SETTINGS, is_past_its_exit, morning.store)
    assert_went_well(blind)
    breaks = {(record["symbol"], record["status"]) for record in blind.records("BREAK")}
    assert breaks == {(fill["symbol"], "OPEN") for fill in morning.records("FILL")}
    assert all("friday_0dte" in record["locked"] for record in blind.records("BREAK"))
    assert blind.alerts() == ["BREAK_QTY"] * 4
    assert blind.records("ORDER_SENT", "TRADE_CLOSED") == []
    # Differences that a BREAK says of are no violation; book and broker still differ at the end.
    assert set(audited(blind, tmp_path)) == {"AU-07", "AU-09"}


def test_live_without_a_mode_is_refused_in_one_sentence(station: Station, tmp_path: Path) -> None:
    settings = {"etf_rotation.enabled": "false"}
    refused = station.live(tmp_path / "lean", at(10, 28), PaperAccount(CASH_USD), settings, lambda _records: False)
    assert "run.mode = BACKTEST: expected PAPER or LIVE" in json.dumps(refused.outcome.result)
    assert refused.records() == []
