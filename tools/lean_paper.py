"""LEAN's paper brokerage natively: the configuration of a live-paper process, and what the account must be told.

The paper brokerage remembers nothing: each process starts with the cash and the holdings that its configuration names.
Our ledger knows both, so that a restart can name what the process before it has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.books import Books
from core.ledger_kinds import Kind, Take
from core.ledger_reader import replay_ledger
from core.state_slots import SlotStore
from tools.errors import BulkheadUsageError
from tools.ledger_chunks import join_chunks

ENVIRONMENT = "live-paper"
_ENGINE = "QuantConnect.Lean.Engine."


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as LEAN wants to be told of it; identifier is the text of LEAN's SecurityIdentifier."""

    symbol: str
    identifier: str
    quantity: int
    average_price: float

    @property
    def as_lean_reads_it(self) -> dict[str, Any]:
        symbol: dict[str, Any] = {"Value": self.symbol, "ID": self.identifier}
        underlying = self.identifier.partition("|")[2]
        if underlying:  # LEAN refuses a contract that does not name it
            symbol["Underlying"] = {"Value": underlying.split(" ")[0], "ID": underlying}
        return {"Symbol": symbol, "Quantity": self.quantity, "AveragePrice": self.average_price}


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """What a paper account holds."""

    cash_usd: float
    holdings: tuple[Holding, ...] = ()

    @property
    def configuration(self) -> dict[str, list[dict[str, Any]]]:
        """Return the two keys of LEAN's configuration."""
        return {
            "live-cash-balance": [{"currency": "USD", "amount": self.cash_usd}],
            "live-holdings": [holding.as_lean_reads_it for holding in self.holdings],
        }


class _Folder:
    """An object store's folder, read only (`core.ports.Store`)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[str, bytes] = {}

    def read(self, key: str) -> bytes | None:
        path = self._root / key
        return self._kept.get(key) or (path.read_bytes() if path.is_file() else None)

    def save(self, key: str, payload: bytes) -> None:
        self._kept[key] = payload  # what recovery mends is mended for this reading alone

    durable = save

    def keys(self, prefix: str) -> Sequence[str]:
        found = {path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file()}
        return sorted(key for key in found | self._kept.keys() if key.startswith(prefix))


def paper_configuration(account: PaperAccount, queue: str) -> dict[str, Any]:
    """Return the keys of LEAN's configuration that make a run a live-paper one; queue is the data source's class."""
    return {
        "environment": ENVIRONMENT,
        "environments": {
            ENVIRONMENT: {
                "live-mode": True,
                "live-mode-brokerage": "PaperBrokerage",
                "data-queue-handler": [queue],
                "setup-handler": _ENGINE + "Setup.BrokerageSetupHandler",
                "result-handler": _ENGINE + "Results.LiveTradingResultHandler",
                "data-feed-handler": _ENGINE + "DataFeeds.LiveTradingDataFeed",
                "real-time-handler": _ENGINE + "RealTime.LiveTradingRealTimeHandler",
                "history-provider": [_ENGINE + "HistoricalData.SubscriptionDataReaderHistoryProvider"],
                "transaction-handler": _ENGINE + "TransactionHandlers.BacktestingTransactionHandler",
            }
        },
        **account.configuration,
    }


def account_left(store: Path) -> PaperAccount:
    """Return the account as the last paper or live process has left it, from the ledger in its object store's folder.

    Raises BulkheadUsageError when the folder holds no state, or a position whose identifier nobody has kept.
    """
    folder = _Folder(store)
    run, state = _newest(folder, store)
    books, bought = Books(), dict[str, tuple[int, int]]()

    def note(_book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        _note_entry(bought, fields["symbol"], fields["qty"], fields["price_u6"], books)

    def fold(kind: Kind) -> Sequence[Take]:
        return (*books.takes(kind), note) if kind is Kind.FILL else books.takes(kind)

    replay_ledger(folder, run, fold)
    known: Mapping[str, str] = state["contracts"]
    held = {symbol: quantity for symbol, quantity in books.positions().items() if quantity}
    unnamed = sorted(held.keys() - known.keys())
    if unnamed:
        raise BulkheadUsageError(
            f"{', '.join(unnamed)}: held, but the state does not name LEAN's identifier. Look it up in LEAN's results."
        )
    holdings = tuple(Holding(symbol, known[symbol], held[symbol], _average(bought, symbol)) for symbol in sorted(held))
    return PaperAccount(books.cash_u6 / 1e6, holdings)


def ledger_left(store: Path) -> bytes:
    """Return the ledger of the newest run in an object store's folder.

    Raises BulkheadUsageError when the folder holds no state, RunFailedError when a chunk of its ledger is missing.
    """
    folder = _Folder(store)
    run, _state = _newest(folder, store)
    chunks = {key: folder.read(key) or b"" for key in folder.keys(f"bulkhead/{run}/")}
    return join_chunks(chunks)


def _newest(folder: _Folder, named: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the run of the newest state, and the state."""
    found = SlotStore(folder, "", "", 0).load()
    if found.body is None:
        raise BulkheadUsageError(
            f"{named}: expected the object store of a paper or live run (bulkhead/state-a). Name its folder."
        )
    return found.run, found.body


def _note_entry(bought: dict[str, tuple[int, int]], symbol: str, qty: int, price_u6: int, books: Books) -> None:
    """Keep quantity and worth of what was added to a position; forget it when the position is gone."""
    after = books.position(symbol)
    if not after:
        bought.pop(symbol, None)
    elif after * qty > 0:
        known, worth = bought.get(symbol, (0, 0))
        bought[symbol] = (known + qty, worth + qty * price_u6)


def _average(bought: Mapping[str, tuple[int, int]], symbol: str) -> float:
    quantity, worth = bought.get(symbol, (0, 0))
    return worth / quantity / 1e6 if quantity else 0.0
