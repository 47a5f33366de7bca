"""The query store: strict types, whole references, what was derived."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from audit.schema import KINDS
from audit.store import Store, tables
from audit.verdict import judge, judge_lines
from tests.audit.chaining import chained
from tests.audit.worlds import clean, pool


@pytest.fixture
def store() -> Store:
    made = Store()
    made.finish(judge_lines(chained(pool(1)), listeners=(made,)))
    return made


def test_every_record_stands_in_its_kinds_table(store: Store) -> None:
    for kind in KINDS:
        expected = sum(1 for record in pool(1) if record["kind"] == kind)
        assert store.query(f'SELECT count(*) FROM "{kind.lower()}"') == [(expected,)]
    assert store.query("SELECT count(*) FROM record") == [(len(pool(1)),)]


def test_every_table_is_strict(store: Store) -> None:
    for (sql,) in store.query("SELECT sql FROM sqlite_master WHERE type = 'table'"):
        assert sql.rstrip().endswith("STRICT")


def test_what_the_schema_refuses_the_store_refuses(store: Store) -> None:
    columns = "(9, 'f', 'o', 't', 's', {qty}, {price}, 1, 0, 0, 0, 0, '{source}')"
    for qty, price, source in ((0, 1, "EVENT"), (1, -1, "EVENT"), (1, 1, "GUESS"), ("'x'", 1, "EVENT")):
        with pytest.raises(sqlite3.IntegrityError):
            store.connection.execute("INSERT INTO fill VALUES" + columns.format(qty=qty, price=price, source=source))


def test_times_are_numbers_and_lists_are_rows(store: Store) -> None:
    assert store.query("SELECT count(*) FROM fill WHERE typeof(exec_time) <> 'integer'") == [(0,)]
    legs = sum(len(record["legs"]) for record in pool(1) if record["kind"] == "INTENT")
    assert store.query("SELECT count(*) FROM intent_leg") == [(legs,)]
    marked = sum(len(record["px"]) for record in pool(1) if record["kind"] == "MARK")
    assert store.query("SELECT count(*) FROM mark_px") == [(marked,)]


def test_position_intervals_add_up_to_the_fills(store: Store) -> None:
    for symbol, qty in store.query("SELECT symbol, sum(qty) FROM fill GROUP BY symbol"):
        ends = store.query("SELECT sum(qty) FROM position_interval WHERE symbol = ? AND to_seq IS NULL", symbol)
        expiry = store.query("SELECT coalesce(sum(qty), 0) FROM expiry WHERE symbol = ?", symbol)[0][0]
        assert (ends[0][0] or 0) == qty + expiry
    assert store.query("SELECT count(*) FROM position_interval WHERE to_us < from_us") == [(0,)]


def test_equity_is_kept_for_every_close(store: Store) -> None:
    closes = [(record["date"], record["cash_u6"]) for record in pool(1) if record["kind"] == "SESSION_CLOSED"]
    assert store.query("SELECT date, cash_u6 FROM equity ORDER BY date") == closes


def test_findings_and_coverage_are_kept() -> None:
    records = [record for record in pool(1) if record["kind"] != "PHASE"]
    made = Store()
    judgement = judge_lines(chained(records), listeners=(made,))
    made.finish(judgement)
    rows = made.query("SELECT rule, severity FROM violation")
    assert ("AU-06", "V") in rows
    assert made.query("SELECT verdict FROM run") == [("VIOLATED",)]
    assert len(made.query("SELECT * FROM coverage")) == len(judgement.results)


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_bytes(b"".join(chained(clean(2, sessions=1))))
    made = Store(path)
    judgement = judge(ledger, listeners=(made,))
    assert not path.exists()
    made.finish(judgement)
    made.close()
    assert [item.name for item in sorted(tmp_path.iterdir())] == ["ledger.jsonl", "run.db"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_tables_of_the_specification_are_there() -> None:
    wanted = {"run", "record", "intent_leg", "order_leg", "mark_px", "statement_holding", "position_interval", "equity",
              "violation", "coverage"}  # fmt: skip
    assert wanted | {kind.lower() for kind in KINDS} <= set(tables())
