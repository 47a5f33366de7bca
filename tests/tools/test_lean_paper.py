"""What a paper account must be told at a restart: read from what the process before it has left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.paper_run import PaperRun
from tools import cli
from tools.errors import BulkheadUsageError
from tools.lean_paper import Holding, PaperAccount, account_left, ledger_left, paper_configuration


@pytest.fixture
def run(tmp_path: Path) -> PaperRun:
    return PaperRun("target", tmp_path)


def test_the_account_is_what_the_ledger_says_with_leans_identifiers_and_the_prices_paid(run: PaperRun) -> None:
    run.live_until("10:40").finish()
    account = account_left(run.store)
    assert account.cash_usd == run.broker_cash_u6() / 1e6
    assert {item.symbol: item.quantity for item in account.holdings} == run.broker_holdings()
    paid = {record["symbol"]: record["price_u6"] / 1e6 for record in run.records("FILL")}
    assert {item.symbol: item.average_price for item in account.holdings} == paid
    assert all(item.identifier.endswith("|SPX 31") for item in account.holdings)


def test_after_the_trade_only_cash_is_left(run: PaperRun) -> None:
    host = run.start()
    run.live_out(host, until="11:30")
    account = account_left(run.store)
    assert account == PaperAccount(run.broker_cash_u6() / 1e6)


@pytest.mark.parametrize("read", [account_left, ledger_left])
def test_a_folder_without_a_state_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(BulkheadUsageError, match="expected the object store of a paper or live run"):
        read(tmp_path)


def test_the_command_prints_what_goes_into_lean_json(run: PaperRun, capsys: pytest.CaptureFixture[str]) -> None:
    run.live_until("10:40").finish()
    assert cli.main(["live", "account", str(run.store)]) == 0
    assert json.loads(capsys.readouterr().out) == account_left(run.store).configuration


def test_a_ledger_is_taken_out_of_the_store_for_the_auditor(
    run: PaperRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.live_until("10:40").finish()
    older = run.store / "bulkhead" / "0000aaaa"
    older.mkdir()
    (older / "ledger-00000").write_bytes(b"another run\n")
    assert cli.main(["live", "ledger", str(run.store), "--out", str(tmp_path / "out")]) == 0
    lines = (tmp_path / "out" / "ledger.jsonl").read_text().splitlines()
    assert len(lines) == 1 + json.loads(lines[-1])["seq"]
    capsys.readouterr()
    # A run that goes on has no end: the auditor says so, and finds nothing else.
    assert cli.main(["audit", "verify", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().out
    assert "0 violations, 0 warnings" in said
    assert "no RUN_ENDED" in said


def test_reading_an_account_changes_nothing_in_the_store(run: PaperRun) -> None:
    run.live_until("10:40")  # it never wrote its last words
    before = {path: path.read_bytes() for path in run.store.rglob("*") if path.is_file()}
    account_left(run.store)
    assert {path: path.read_bytes() for path in run.store.rglob("*") if path.is_file()} == before


def test_the_configuration_is_in_the_words_that_lean_reads() -> None:
    option = Holding("SPXW  250919C07640000", "SPXW YVXS8VLU9RDA|SPX 31", -1, 5.1)
    share = Holding("QQQ", "QQQ RIWIV7K5Z9LX", 10, 480.5)
    made = paper_configuration(PaperAccount(250.5, (option, share)), "Feed")
    assert made["live-cash-balance"] == [{"currency": "USD", "amount": 250.5}]
    first, second = made["live-holdings"]
    # LEAN refuses a contract whose underlying is not named.
    assert first == {
        "Symbol": {"Value": option.symbol, "ID": option.identifier, "Underlying": {"Value": "SPX", "ID": "SPX 31"}},
        "Quantity": -1,
        "AveragePrice": 5.1,
    }
    assert second["Symbol"] == {"Value": "QQQ", "ID": "QQQ RIWIV7K5Z9LX"}
    environment = made["environments"][made["environment"]]
    assert environment["live-mode"] is True
    assert environment["data-queue-handler"] == ["Feed"]
