"""The query store: one typed SQLite table per kind of record, and what the replay derived.

It is no input of the verdict.  Tables are made from the schema; times are microseconds, lists and maps lie in tables of
their own, so that no query parses text.  A file is built aside and renamed when it is complete.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from audit.schema import KINDS, Field, Record, Type
from audit.state import State
from audit.times import micros
from audit.verdict import Judgement

_NAMES: Final = {
    ("INTENT", "legs"): "intent_leg",
    ("ORDER_INTENT", "legs"): "order_leg",
    ("MARK", "px"): "mark_px",
    ("BROKER_STATEMENT", "holdings"): "statement_holding",
    ("BROKER_STATEMENT", "orders"): "statement_order",
    ("RUN_STARTED", "settings"): "run_setting",
    ("RUN_STARTED", "holdings"): "run_holding",
    ("RUN_STARTED", "families"): "run_family",
    ("RUN_ENDED", "counts"): "run_count",
    ("SIZE", "bounds"): "size_bound",
    ("FUNNEL", "counts"): "funnel_count",
}
_BATCH: Final = 20_000
_DERIVED: Final = """
CREATE TABLE run(run TEXT NOT NULL, verdict TEXT NOT NULL CHECK(verdict IN ('CLEAN','VIOLATED','INCONCLUSIVE')),
  ledger_hash TEXT NOT NULL, violations INTEGER NOT NULL, warnings INTEGER NOT NULL, fills INTEGER NOT NULL,
  from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, skipped INTEGER NOT NULL) STRICT;
CREATE TABLE position_interval(book TEXT NOT NULL, symbol TEXT NOT NULL, qty INTEGER NOT NULL CHECK(qty <> 0),
  from_seq INTEGER NOT NULL REFERENCES record(seq), to_seq INTEGER REFERENCES record(seq), from_us INTEGER NOT NULL,
  to_us INTEGER, max_value_u6 INTEGER NOT NULL CHECK(max_value_u6 >= 0)) STRICT;
CREATE TABLE equity(date TEXT NOT NULL, cash_u6 INTEGER NOT NULL, equity_u6 INTEGER, fees_u6 INTEGER NOT NULL) STRICT;
CREATE TABLE violation(rule TEXT NOT NULL, severity TEXT NOT NULL CHECK(severity IN ('V','W','I')), book TEXT NOT NULL,
  symbol TEXT NOT NULL, seq INTEGER NOT NULL, from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, bars INTEGER NOT NULL,
  value INTEGER NOT NULL, bound INTEGER NOT NULL, exposure_u6 INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
CREATE TABLE coverage(rule TEXT PRIMARY KEY, evaluations INTEGER NOT NULL CHECK(evaluations >= 0)) STRICT;
"""

Row = Sequence[Any]


@dataclass(slots=True)
class _Table:
    """A table, the statement that fills it, and the rows that wait."""

    name: str
    ddl: str
    insert: str
    rows: list[Row]


def _table(name: str, columns: list[str]) -> _Table:
    marks = ",".join("?" * len(columns))
    return _Table(
        name, f'CREATE TABLE "{name}"({", ".join(columns)}) STRICT', f'INSERT INTO "{name}" VALUES({marks})', []
    )


def _column(name: str, kind: Type, *, optional: bool) -> str:
    """Return the definition of a column: its storage and what the schema says about its values."""
    words = [f'"{name}"', "TEXT" if kind.store in ("text", "date") else "INTEGER"]
    if not optional:
        words.append("NOT NULL")
    if kind.members:
        listed = ",".join(f"'{member}'" for member in sorted(kind.members))
        words.append(f'CHECK("{name}" IN ({listed}))')
    elif kind.store == "flag":
        words.append(f'CHECK("{name}" IN (0,1))')
    elif kind.name in _BOUNDS:
        words.append(f'CHECK("{name}" {_BOUNDS[kind.name]})')
    return " ".join(words)


_BOUNDS: Final = {"nat": ">= 0", "pos": "> 0", "nonzero": "<> 0"}
_SEQ: Final = "seq INTEGER NOT NULL REFERENCES record(seq)"
_KEY: Final = "seq INTEGER PRIMARY KEY REFERENCES record(seq)"


class _KindWriter:
    """Turns records of one kind into rows."""

    def __init__(self, kind: str, fields: dict[str, Field]) -> None:
        columns = [_KEY]
        self._scalars: list[tuple[str, Callable[[Any], Any] | None]] = []
        self._rows: list[tuple[str, tuple[str, ...]]] = []
        self._children: list[tuple[str, Type, _Table]] = []
        for name, field in fields.items():
            store = field.type.store
            if store == "columns":
                keys = field.type.row or {}
                columns += [_column(key, inner.type, optional=True) for key, inner in keys.items()]
                self._rows.append((name, tuple(keys)))
            elif store in _CHILDREN:
                child = _NAMES.get((kind, name), f"{kind}_{name}".lower())
                self._children.append((name, field.type, _table(child, [_SEQ, *_CHILDREN[store](field.type)])))
            else:
                columns.append(_column(name, field.type, optional=field.optional))
                self._scalars.append((name, micros if store == "time" else None))
        order = [name for name in fields if fields[name].type.store not in _CHILDREN]
        converters, nested = dict(self._scalars), dict(self._rows)
        self._columns = [(name, converters.get(name), nested.get(name)) for name in order]
        plain = not nested and not any(converters.values()) and not any(fields[name].optional for name in order)
        # Most records are of kinds whose columns are just there: one look at all of them.
        self._whole = itemgetter(*order) if plain and len(order) > 1 else None
        self.table = _table(kind.lower(), columns)

    @property
    def tables(self) -> list[_Table]:
        return [self.table, *(table for _, _, table in self._children)]

    def add(self, seq: int, record: Record) -> None:
        row: list[Any] = [seq]
        if self._whole is not None:
            row += self._whole(record)
        else:
            for name, convert, keys in self._columns:
                value = record.get(name)
                if keys is not None:
                    row += [(value or {}).get(key) for key in keys]
                else:
                    row.append(value if convert is None or value is None else convert(value))
        self.table.rows.append(row)
        for name, kind, table in self._children:
            if name in record:
                table.rows.extend(_child_rows(seq, record[name], kind))


def _row_columns(kind: Type) -> list[str]:
    return [_column(name, field.type, optional=field.optional) for name, field in (kind.row or {}).items()]


_PX: Final = ("bid_u6", "ask_u6", "last_u6", "low_u6", "high_u6")
_CHILDREN: Final[dict[str, Callable[[Type], list[str]]]] = {
    "list": lambda kind: ["position INTEGER NOT NULL", "value TEXT NOT NULL"],
    "map": lambda kind: [
        "name TEXT NOT NULL",
        "value ANY NOT NULL" if kind.name == "values" else "value INTEGER NOT NULL",
    ],
    "families": lambda kind: ["family TEXT NOT NULL", "symbol TEXT NOT NULL", "leverage INTEGER NOT NULL"],
    "px": lambda kind: ["symbol TEXT NOT NULL", *(f"{name} INTEGER NOT NULL CHECK({name} >= 0)" for name in _PX)],
    "rows": _row_columns,
}


def _child_rows(seq: int, value: Any, kind: Type) -> Iterable[Row]:
    if kind.store == "list":
        return [(seq, number, item) for number, item in enumerate(value)]
    if kind.store == "map":
        return [(seq, name, item) for name, item in value.items()]
    if kind.store == "px":
        return [(seq, symbol, *row) for symbol, row in value.items()]
    if kind.store == "families":
        return [(seq, side, symbol, level) for side, members in value.items() for symbol, level in members.items()]
    keys = tuple(kind.row or {})
    return [(seq, *(item.get(key) for key in keys)) for item in value]


@dataclass(slots=True)
class _Holding:
    """A position that has not changed since from_seq."""

    qty: int
    from_seq: int
    from_us: int
    max_value_u6: int


class Store:
    """Listens to a replay and fills a database; `finish` adds the judgement."""

    def __init__(self, path: Path | None = None) -> None:
        """path: the file to make; None for a database in memory."""
        self._path = path
        self._aside = None if path is None else path.with_name(path.name + f".building-{os.getpid()}")
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)
        self.connection = sqlite3.connect(":memory:" if self._aside is None else self._aside)
        self.connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF;")
        self._writers = {kind: _KindWriter(kind, dict(fields)) for kind, fields in KINDS.items()}
        kinds = ",".join(f"'{kind}'" for kind in sorted(KINDS))
        columns = [
            "seq INTEGER PRIMARY KEY",
            "time_us INTEGER NOT NULL",
            f"kind TEXT NOT NULL CHECK(kind IN ({kinds}))",
        ]
        self._records = _table("record", [*columns, "book TEXT NOT NULL"])
        self._tables = [self._records] + [table for writer in self._writers.values() for table in writer.tables]
        for table in self._tables:
            self.connection.execute(table.ddl)
        self.connection.executescript(_DERIVED)
        self._holdings: dict[tuple[str, str], _Holding] = {}
        self._intervals: list[Row] = []
        self._equity: list[Row] = []
        self._last_seq = -1
        self._skipped = 0

    def __call__(self, record: Record, state: State) -> None:
        """Take one record of the replay. One whose seq does not rise has no place here; it is counted."""
        seq = record["seq"]
        if seq <= self._last_seq:
            self._skipped += 1
            return
        self._last_seq = seq
        kind, rows = record["kind"], self._records.rows
        rows.append((seq, state.now, kind, record["book"]))
        self._writers[kind].add(seq, record)
        if kind == "MARK":
            self._value(state)
        elif kind in _MOVING:
            self._move(seq, state)
        elif kind == "SESSION_CLOSED":
            self._equity.append((record["date"], state.cash, record.get("equity_u6"), state.fees))
        if len(rows) >= _BATCH:
            self._flush()

    def _move(self, seq: int, state: State) -> None:
        for key in self._holdings.keys() | state.books.keys():
            qty = state.books.get(key, 0)
            held = self._holdings.get(key)
            if held is not None and held.qty == qty:
                continue
            if held is not None:
                self._end(key, held, seq, state.now)
            if qty:
                self._holdings[key] = _Holding(qty, seq, state.now, state.worth(key[1], qty))

    def _end(self, key: tuple[str, str], held: _Holding, seq: int | None, us: int | None) -> None:
        self._holdings.pop(key, None)
        self._intervals.append((*key, held.qty, held.from_seq, seq, held.from_us, us, held.max_value_u6))

    def _value(self, state: State) -> None:
        for (_, symbol), held in self._holdings.items():
            held.max_value_u6 = max(held.max_value_u6, state.worth(symbol, held.qty))

    def _flush(self) -> None:
        for table in self._tables:
            if table.rows:
                self.connection.executemany(table.insert, table.rows)
                table.rows.clear()

    def finish(self, judgement: Judgement) -> None:
        """Add what was derived and found; name the file. Raises sqlite3.IntegrityError for a broken reference."""
        self._flush()
        for key, held in list(self._holdings.items()):
            self._end(key, held, None, None)
        put = self.connection.executemany
        put("INSERT INTO position_interval VALUES(?,?,?,?,?,?,?,?)", self._intervals)
        put("INSERT INTO equity VALUES(?,?,?,?)", self._equity)
        put(
            "INSERT INTO violation VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    found.rule, found.severity.value, found.book, found.symbol, found.seq, found.from_us, found.to_us,
                    found.bars, found.value, found.bound, found.exposure_u6, found.text,
                )
                for found in judgement.findings
            ],
        )  # fmt: skip
        put("INSERT INTO coverage VALUES(?,?)", [(result.id, result.evaluations) for result in judgement.results])
        put(
            "INSERT INTO run VALUES(?,?,?,?,?,?,?,?,?)",
            [
                (
                    judgement.run, judgement.verdict.name, judgement.ledger_hash, judgement.violations,
                    judgement.warnings, judgement.fills, judgement.first_us, judgement.last_us, self._skipped,
                )
            ],
        )  # fmt: skip
        self.connection.execute("CREATE INDEX record_kind ON record(kind, time_us)")
        self.connection.commit()
        broken = self.connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise sqlite3.IntegrityError(f"table {broken[0]}, row {broken[1]} refers to no {broken[2]}")
        if self._aside is not None and self._path is not None:
            self.connection.close()
            self._aside.replace(self._path)
            self.connection = sqlite3.connect(self._path)

    def query(self, sql: str, *values: Any) -> list[Row]:
        """Return the rows of a query."""
        return self.connection.execute(sql, values).fetchall()

    def close(self) -> None:
        self.connection.close()
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)


_MOVING: Final = frozenset({"RUN_STARTED", "FILL", "EXPIRY", "SPLIT"})


def tables() -> list[str]:
    """Return the names of all tables, sorted."""
    store = Store()
    names = [name for (name,) in store.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    store.close()
    return names
