"""From records to the lines of a ledger and back; and the fields that follow from others, made to fit again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

Record = dict[str, Any]
GENESIS = "0" * 64
PREVIOUS = "@previous"
"""Stands in a record where the hash of the line above belongs."""
HIDDEN = "@"
"""Key under which a record carries its number in the ledger that it comes from; never written."""


def canonical(record: Record) -> bytes:
    """Return the canonical text; orjson says the same, and quicker, where nothing needs an escape of its own."""
    try:
        quick = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a number of more than 64 bits
        quick = b"\x7f"
    if quick.isascii() and b"\x7f" not in quick and b"\\" not in quick:
        return quick
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def chained(records: Iterable[Record], *, renumber: bool = True) -> list[bytes]:
    """Return the lines of a ledger; renumber gives every record its place as seq."""
    lines = []
    head = GENESIS
    for number, record in enumerate(records):
        written = {key: head if value == PREVIOUS else value for key, value in record.items() if key != HIDDEN}
        written["prev_hash"] = head
        if renumber:
            written["seq"] = number
            if record.get("head_hash") == PREVIOUS:
                written["head_seq"] = number - 1
        body = canonical(written)
        head = hashlib.sha256(body).hexdigest()
        lines.append(body[:-1] + b',"hash":"' + head.encode("ascii") + b'"}\n')
    return lines


def numbered(records: Sequence[Record]) -> list[Record]:
    """Return deep copies that remember their number, so that `settled` can compare."""
    copies: list[Record] = orjson.loads(orjson.dumps(list(records)))
    for number, record in enumerate(copies):
        record[HIDDEN] = number
    return copies


class _Fold:
    """Cash, fees and positions after each record: a third, plain way to add them up."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.after: dict[int, tuple[int, dict[str, int]]] = {}
        self.cash, self.fees = 0, 0
        self.positions: dict[str, int] = {}
        self.results: dict[str, int] = {}
        self.costs: dict[str, int] = {}
        self.owners: dict[tuple[str, str], str] = {}
        self.counts: dict[str, int] = {}
        for place, record in enumerate(records):
            self.take(record)
            self.after[record.get(HIDDEN, -1 - place)] = (self.cash, dict(self.positions))

    def take(self, record: Record) -> None:
        kind = record["kind"]
        if kind == "RUN_STARTED" and "resumed_from" not in record:
            self.cash = record["start_cash_u6"]
            for row in record["holdings"]:
                self.move(row["symbol"], row["qty"])
        elif kind == "FILL":
            worth = -record["qty"] * record["price_u6"] * record["mult"]
            self.cash += worth - record["fee_u6"]
            self.fees += record["fee_u6"]
            self.move(record["symbol"], record["qty"])
            self.results[record["trade"]] = self.results.get(record["trade"], 0) + worth - record["fee_u6"]
            self.costs[record["trade"]] = self.costs.get(record["trade"], 0) + record["fee_u6"]
            self.owners[(record["book"], record["symbol"])] = record["trade"]
        elif kind == "EXPIRY":
            self.cash += record["cash_u6"]
            self.move(record["symbol"], record["qty"])
            owner = self.owners.get((record["book"], record["symbol"]), "")
            self.results[owner] = self.results.get(owner, 0) + record["cash_u6"]
        elif kind == "CASH_FLOW":
            self.cash += record["amount_u6"]
        elif kind == "SPLIT":
            held = self.positions.get(record["symbol"], 0)
            self.move(record["symbol"], held * record["num"] // record["den"] - held)
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def move(self, symbol: str, qty: int) -> None:
        after = self.positions.get(symbol, 0) + qty
        if after:
            self.positions[symbol] = after
        else:
            self.positions.pop(symbol, None)


def settled(records: Sequence[Record], original: Sequence[Record], *, broker_too: bool = True) -> list[Record]:
    """Return the records with every field that follows from fills and flows computed anew.

    broker_too: the broker's statements move with what was changed, as if it had really happened.
    """
    before = _Fold(original).after
    fold = _Fold([])
    prices: dict[str, tuple[int, int]] = {}
    done: list[Record] = []
    for item in records:
        record = dict(item)
        kind = record["kind"]
        fold.take(record)
        old_cash, old_positions = before.get(record.get(HIDDEN, -1), (fold.cash, fold.positions))
        shift = fold.cash - old_cash
        moved = {
            symbol: fold.positions.get(symbol, 0) - old_positions.get(symbol, 0)
            for symbol in fold.positions.keys() | old_positions.keys()
        }
        if kind == "FILL":
            record["cash_after_u6"], record["pos_after"] = fold.cash, fold.positions.get(record["symbol"], 0)
            prices[record["symbol"]] = (record["price_u6"], record["mult"])
        elif kind == "MARK":
            for symbol, row in record["px"].items():
                prices[symbol] = ((row[0] + row[1]) // 2 or row[2], prices.get(symbol, (0, 1))[1])
            worth = shift + _worth(moved, prices)
            record["equity_u6"] += worth
            record["engine_equity_u6"] += worth
        elif kind == "BROKER_STATEMENT" and broker_too:
            for row in record["holdings"]:
                prices[row["symbol"]] = (row["price_u6"], row["mult"])
            record["cash_u6"] += shift
            record["equity_u6"] += shift + _worth(moved, prices)
            record["holdings"] = _holdings(record["holdings"], moved, prices)
        elif kind == "SESSION_CLOSED":
            record["cash_u6"] = fold.cash
            if "equity_u6" in record:
                record["equity_u6"] += shift + _worth(moved, prices)
        elif kind == "TRADE_CLOSED":
            record["pnl_u6"] = fold.results.get(record["trade"], 0)
            record["fees_u6"] = fold.costs.get(record["trade"], 0)
        elif kind == "RUN_ENDED":
            record["cash_u6"], record["fees_u6"] = fold.cash, fold.fees
            record["equity_u6"] += shift + _worth(moved, prices)
            record["holdings"] = _holdings(record["holdings"], moved, prices)
            counts = dict(fold.counts)
            counts["RUN_ENDED"] -= 1
            record["counts"] = {name: count for name, count in counts.items() if count}
        done.append(record)
    return done


def _worth(moved: dict[str, int], prices: dict[str, tuple[int, int]]) -> int:
    return sum(qty * prices.get(symbol, (0, 1))[0] * prices.get(symbol, (0, 1))[1] for symbol, qty in moved.items())


def _holdings(rows: list[Record], moved: dict[str, int], prices: dict[str, tuple[int, int]]) -> list[Record]:
    held = {row["symbol"]: dict(row) for row in rows}
    for symbol, qty in moved.items():
        if not qty:
            continue
        price, mult = prices.get(symbol, (0, 1))
        row = held.setdefault(symbol, {"symbol": symbol, "qty": 0, "price_u6": price, "mult": mult})
        row["qty"] += qty
    return [held[symbol] for symbol in sorted(held) if held[symbol]["qty"]]
