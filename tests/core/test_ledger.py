"""The ledger as it is written: encoding, chain, time, and a store that fails."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.eastern import from_utc_text, utc_text
from core.errors import LedgerError
from core.ledger import GENESIS, Ledger
from core.ledger_kinds import Kind
from core.ledger_sink import CHUNK_BYTES, ChunkedSink
from core.reasons import Reason
from core.vocabulary import TradingState
from tests.core.desk import RUN, Desk, MemoryStore, at

NEW_YORK = ZoneInfo("America/New_York")


def lines(desk: Desk) -> list[bytes]:
    desk.ledger.flush(durable=True)
    return desk.store.joined().splitlines()


def test_a_line_is_canonical_and_ends_with_its_hash(desk: Desk) -> None:
    desk.ledger.append(Kind.ALERT, "bk", at(9, 30), severity="INFO", code="X", text="naïve “quote”")
    last = lines(desk)[-1]
    record = json.loads(last)
    digest = record.pop("hash")
    body = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    assert last == body[:-1] + f',"hash":"{digest}"}}'.encode("ascii")
    assert digest == hashlib.sha256(body).hexdigest()
    assert last.isascii()


def test_the_first_line_in_full() -> None:
    """Written out once, so that a change of the encoding cannot go unseen."""
    sink = ChunkedSink(store := MemoryStore(), RUN)
    ledger = Ledger(sink, lambda _kind: (), durable_orders=False)
    ledger.append(Kind.FAULT, "", datetime(2025, 11, 28, 13), name="drop")
    ledger.flush(durable=False)
    body = (
        '{"book":"","kind":"FAULT","name":"drop","prev_hash":"' + "0" * 64 + '",'
        '"seq":0,"time":"2025-11-28T18:00:00.000000Z","v":1'
    )
    digest = hashlib.sha256(f"{body}}}".encode()).hexdigest()
    assert store.joined().decode() == f'{body},"hash":"{digest}"}}\n'


class Moody:
    """A sink that fails once, at its second line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.has_failed = False

    def write(self, line: str) -> None:
        if len(self.lines) == 1 and not self.has_failed:
            self.has_failed = True
            raise MemoryError
        self.lines.append(line)

    def open_chunk(self) -> None: ...

    def flush(self, *, durable: bool) -> None: ...


def test_a_line_that_the_sink_did_not_take_comes_again_and_none_twice() -> None:
    ledger = Ledger(sink := Moody(), lambda _kind: (), durable_orders=False)
    for text in "abc":
        ledger.append(Kind.ALERT, "", at(9, 30), severity="INFO", code="X", text=text)
    with pytest.raises(MemoryError):
        ledger.flush(durable=True)
    ledger.flush(durable=True)
    records = [json.loads(line) for line in sink.lines]
    assert [record["seq"] for record in records] == [0, 1, 2]
    assert [record["prev_hash"] for record in records] == [GENESIS, *(record["hash"] for record in records[:-1])]
    assert ledger.chained_head == records[-1]["hash"] == ledger.head()


def test_looking_at_the_head_writes_nothing(desk: Desk) -> None:
    """Statistics are made outside of the step's turn, perhaps while another thread is in one."""
    desk.ledger.head()
    before = desk.ledger.chained_head
    desk.ledger.append(Kind.ALERT, "", desk.now, severity="INFO", code="X", text="waits")
    assert desk.ledger.chained_head == before
    assert desk.ledger.head() != before


def test_every_line_names_the_hash_of_the_line_above(desk: Desk) -> None:
    desk.open()
    previous = GENESIS
    for number, line in enumerate(lines(desk)):
        record = json.loads(line)
        assert (record["prev_hash"], record["seq"], record["v"]) == (previous, number, 1)
        previous = record["hash"]
    assert previous == desk.ledger.head()


def test_the_same_records_give_the_same_hash() -> None:
    first, second = Desk(), Desk()
    for one in (first, second):
        one.close(one.open())
    assert first.ledger.head() == second.ledger.head()


def test_the_head_is_the_last_line_that_was_written_saved_or_not(desk: Desk) -> None:
    heads: list[str] = []
    for number in range(3):
        desk.ledger.append(Kind.FAULT, "", at(9, 30), name=f"F{number}")
        heads.append(desk.ledger.head())
    assert desk.store.blobs == {}
    assert [json.loads(line)["hash"] for line in lines(desk)[-3:]] == heads


def test_fields_stand_sorted_in_whatever_sequence_they_are_given() -> None:
    first, second = Desk(), Desk()
    first.ledger.append(Kind.ORDER_EVENT, "bk", at(9, 30), order="o", status="FILLED", text="t")
    second.ledger.append(Kind.ORDER_EVENT, "bk", at(9, 30), text="t", order="o", status="FILLED")
    second.ledger.append(Kind.ORDER_EVENT, "bk", at(9, 30), order="o", text="t", status="FILLED")
    assert lines(first)[-1] == lines(second)[-2]
    assert [json.loads(line)["order"] for line in lines(second)[-2:]] == ["o", "o"]


def test_a_line_holds_what_was_so_when_it_was_written(desk: Desk) -> None:
    locked = ["SPY"]
    desk.ledger.append(Kind.BREAK, "", at(10), symbol="SPY", book_qty=1, broker_qty=0, status="OPEN", locked=locked)
    locked.append("later")
    assert json.loads(lines(desk)[-1])["locked"] == ["SPY"]


def test_what_the_schema_refuses_leaves_no_trace(desk: Desk) -> None:
    assert "CASH_FLOW.amount_u6" in desk.refused(Kind.CASH_FLOW, type="DEPOSIT", amount_u6=1.5)
    assert desk.books.cash_u6 == 100_000_000_000


def test_what_the_books_refuse_leaves_no_trace(desk: Desk) -> None:
    trade = desk.plan()
    order = desk.order(trade, {leg.symbol: leg.ratio for leg in trade.structure.legs})
    symbol = trade.structure.symbols[0]
    fields = {
        "fill": "f", "order": order, "trade": trade.id, "symbol": symbol, "qty": -1, "price_u6": 1, "mult": 100,
        "fee_u6": 0, "exec_time": desk.now, "source": "EVENT", "cash_after_u6": 7, "pos_after": -1,
    }  # fmt: skip
    assert "cash_after_u6 = 7" in desk.refused(Kind.FILL, **fields)
    assert desk.books.position(symbol) == 0
    assert desk.books.order_records.fills_of(order) == 0


# ----------------------------------------------------------------------------------------------------------------- time


def test_a_step_never_runs_back_in_time(desk: Desk) -> None:
    desk.ledger.append(Kind.PHASE, "", at(10), phase="REGULAR")
    with pytest.raises(LedgerError, match=r"PHASE\.time"):
        desk.ledger.append(Kind.PHASE, "", at(9, 59), phase="REGULAR")


def test_a_late_report_stands_at_the_time_of_the_line_above(desk: Desk) -> None:
    trade = desk.plan()
    order = desk.order(trade, {leg.symbol: leg.ratio for leg in trade.structure.legs})
    desk.ledger.append(Kind.PHASE, "", at(10), phase="REGULAR")
    desk.ledger.append(Kind.ORDER_EVENT, trade.strategy, at(9, 59), order=order, status="SUBMITTED", text="")
    times = [json.loads(line)["time"] for line in lines(desk)]
    assert times[-1] == times[-2] == utc_text(at(10))


def test_each_time_of_a_line_is_its_own(desk: Desk) -> None:
    hours = {"open_time": at(9, 30), "close_time": at(16)}
    desk.ledger.append(Kind.SESSION_OPENED, "", at(9), date=at(9).date(), half_day=False, **hours)
    desk.ledger.append(Kind.FAULT, "", at(9, 1), name="drop")
    opened, drop = map(json.loads, lines(desk)[-2:])
    texts = [opened[name] for name in ("time", "open_time", "close_time")]
    assert texts == [utc_text(at(9)), utc_text(at(9, 30)), utc_text(at(16))]
    assert drop["time"] == utc_text(at(9, 1))


@pytest.mark.parametrize(
    ("naive", "text"),
    [
        (datetime(2025, 3, 7, 16), "2025-03-07T21:00:00.000000Z"),
        (datetime(2025, 3, 9, 1, 59), "2025-03-09T06:59:00.000000Z"),
        (datetime(2025, 3, 9, 3), "2025-03-09T07:00:00.000000Z"),
        (datetime(2025, 3, 10, 9, 30), "2025-03-10T13:30:00.000000Z"),
        (datetime(2025, 11, 2, 0, 30), "2025-11-02T04:30:00.000000Z"),
        (datetime(2025, 11, 2, 9, 30), "2025-11-02T14:30:00.000000Z"),
        (datetime(2025, 11, 28, 13, 0, 0, 1), "2025-11-28T18:00:00.000001Z"),
    ],
)
def test_new_york_time_becomes_utc_also_on_the_days_when_clocks_change(naive: datetime, text: str) -> None:
    assert utc_text(naive) == text
    assert from_utc_text(text) == naive


@given(st.datetimes(datetime(2010, 1, 1), datetime(2030, 12, 31)))
def test_utc_is_that_of_the_time_zone_database(naive: datetime) -> None:
    aware = naive.replace(tzinfo=NEW_YORK)
    exists = aware.astimezone(UTC).astimezone(NEW_YORK).replace(tzinfo=None) == naive
    if exists:  # the hour that spring skips is no time at all
        assert utc_text(naive) == aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --------------------------------------------------------------------------------------------------------------- chunks


def test_a_session_begins_a_chunk_and_the_chunks_join_to_the_ledger(desk: Desk) -> None:
    desk.open()
    desk.ledger.open_chunk()
    desk.ledger.append(Kind.PHASE, "", at(10), phase="REGULAR")
    desk.seal()
    first, second = desk.store.chunks()
    assert b"PHASE" in second
    assert b"PHASE" not in first
    assert desk.store.joined().count(b"\n") == desk.ledger.seq


def test_a_chunk_ends_before_a_quarter_of_a_megabyte(desk: Desk) -> None:
    for number in range(1_500):
        desk.ledger.append(Kind.ALERT, "", at(10), severity="INFO", code=f"C{number}", text="x" * 200)
    desk.seal()
    chunks = desk.store.chunks()
    assert len(chunks) > 1
    assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert [json.loads(line)["seq"] for line in desk.store.joined().splitlines()] == list(range(desk.ledger.seq))


def test_live_everything_is_durable_before_an_order_is_sent() -> None:
    desk = Desk(live=True)
    desk.plan()
    desk.ledger.before_order()
    assert b'"kind":"INTENT"' in desk.store.joined()
    assert desk.store.durable_keys


def test_a_backtest_saves_only_when_told(desk: Desk) -> None:
    desk.plan()
    desk.ledger.before_order()
    assert desk.store.blobs == {}


# -------------------------------------------------------------------------------------------------------- failing store


def test_while_the_store_fails_openings_stop_and_records_wait_in_memory() -> None:
    desk = Desk(live=True)
    desk.ledger.flush(durable=True)
    desk.store.refuses = True
    desk.open()  # a closing order goes on without it; nothing is raised here
    with pytest.raises(LedgerError, match="the disk is full"):
        desk.ledger.before_order()
    (cause,) = desk.ledger.causes
    assert (cause.state, cause.reason) == (TradingState.REDUCING, Reason.LEDGER_NOT_DURABLE)


def test_once_the_store_writes_again_nothing_is_missing() -> None:
    desk = Desk(live=True)
    desk.store.refuses = True
    desk.ledger.flush(durable=True)
    desk.ledger.open_chunk()
    trade = desk.open()
    desk.store.refuses = False
    desk.wait(seconds=30)
    desk.ledger.append(Kind.PHASE, "", desk.now, phase="REGULAR")
    assert desk.ledger.causes  # it is tried again once a minute
    desk.wait(minutes=1)
    desk.close(trade)
    assert desk.ledger.causes == ()
    desk.ledger.before_order()
    assert [json.loads(line)["seq"] for line in desk.store.joined().splitlines()] == list(range(desk.ledger.seq))


def test_a_run_whose_ledger_is_lost_has_failed(desk: Desk) -> None:
    desk.store.refuses = True
    with pytest.raises(LedgerError, match="could not be saved"):
        desk.seal()


# ------------------------------------------------------------------------------------------------------------------ end


def test_run_ended_counts_every_line_before_it_and_nothing_follows(desk: Desk) -> None:
    desk.close(desk.open())
    desk.seal()
    *before, last = [json.loads(line) for line in desk.store.joined().splitlines()]
    assert last["kind"] == "RUN_ENDED"
    kinds = [record["kind"] for record in before]
    assert last["counts"] == {kind: kinds.count(kind) for kind in set(kinds)}
    assert last["cash_u6"] == desk.books.cash_u6
    with pytest.raises(LedgerError, match="sealed"):
        desk.ledger.append(Kind.PHASE, "", desk.now + timedelta(days=1), phase="REGULAR")


def test_dates_of_the_run_are_iso(desk: Desk) -> None:
    record = json.loads(lines(desk)[0])
    assert date.fromisoformat(record["start"]) == date(2025, 11, 21)
