"""The ledger read back: replay equals what was written; damage is found, and a torn tail is set aside."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books import Books
from core.errors import LedgerError
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.ledger_reader import Replay, replay_ledger
from core.ledger_sink import PREFIX, ChunkedSink, chunk_key, copy_key
from tests.core.desk import RUN, Desk, MemoryStore, at, condor, put_spread, standing


def busy_day() -> Desk:
    """Two trades in two chunks: one closed, one that expired worthless but for its spread."""
    desk = Desk(live=True)
    hours = {"open_time": at(9, 30), "close_time": at(16), "half_day": False}
    desk.ledger.append(Kind.SESSION_OPENED, "", at(9, 30), date=at(9).date(), **hours)
    desk.now = at(10, 30)
    desk.close(desk.open(condor(), units=2))
    desk.ledger.open_chunk()
    desk.wait(minutes=5)
    trade = desk.open(put_spread())
    desk.ledger.append(
        Kind.MARK, "", desk.now, px={}, halted=[], equity_u6=99_000_000_000, engine_equity_u6=99_000_000_000, used_u6=0,
        reserved_u6=0, t_loss_u6=0, c_loss_u6=0,
    )  # fmt: skip
    desk.now = at(16, 10)
    for symbol in list(trade.legs):
        desk.expire(symbol)
    desk.ledger.flush(durable=True)
    return desk


DAY = busy_day()


def copied(desk: Desk) -> MemoryStore:
    """The chunks alone: what is left of a ledger when nobody kept the copy of the youngest one."""
    store = MemoryStore()
    store.blobs = {key: payload for key, payload in desk.store.blobs.items() if key != copy_key(RUN)}
    return store


def replayed(store: MemoryStore) -> tuple[Replay, Books]:
    books = Books()
    return replay_ledger(store, RUN, books.takes), books


def test_a_replay_gives_the_same_books_and_the_same_head() -> None:
    found, books = replayed(copied(DAY))
    assert standing(books) == standing(DAY.books)
    assert (found.head, found.seq, found.time) == (DAY.ledger.head(), DAY.ledger.seq, DAY.now)
    assert found.counts == DAY.ledger.counts
    assert (found.torn, found.broken, found.next_chunk) == ("", "", 2)


def test_a_ledger_goes_on_behind_its_last_line() -> None:
    store = copied(DAY)
    found, books = replayed(store)
    ledger = Ledger(ChunkedSink(store, RUN, found.next_chunk), books.takes, durable_orders=True)
    ledger.go_on(found.head, found.seq, found.time, found.counts)
    ledger.append(Kind.PHASE, "", at(16, 11), phase="CLOSED")
    ledger.flush(durable=True)
    again, _books = replayed(store)
    assert (again.seq, again.broken, again.torn) == (found.seq + 1, "", "")
    assert again.heads[: found.seq] == found.heads


def test_an_empty_store_is_a_fresh_start() -> None:
    found, books = replayed(MemoryStore())
    assert found.is_fresh
    assert found.next_chunk == 0
    assert books.positions() == {}


@given(st.data())
def test_no_byte_can_be_changed_unseen(data: st.DataObject) -> None:
    store = copied(DAY)
    key = data.draw(st.sampled_from(store.keys(PREFIX)))
    payload = bytearray(store.blobs[key])
    at_byte = data.draw(st.integers(0, len(payload) - 1))
    payload[at_byte] ^= data.draw(st.integers(1, 255))
    store.blobs[key] = bytes(payload)
    found, _books = replayed(store)
    assert found.broken or found.torn
    assert found.seq < DAY.ledger.seq
    assert found.head == ["0" * 64, *_heads()][found.seq]


@given(st.integers(0, 10_000))
def test_a_tail_torn_at_any_byte_is_set_aside_and_the_rest_is_whole(cut: int) -> None:
    store = copied(DAY)
    key = chunk_key(RUN, 1)
    whole = store.blobs[key]
    cut = min(cut, len(whole))
    store.blobs[key] = whole[:cut]
    found, books = replayed(store)
    good = whole[:cut].rfind(b"\n") + 1
    assert store.blobs[key] == whole[:good]
    assert found.broken == ""
    assert bool(found.torn) is (good < cut)
    if found.torn:
        assert store.blobs[f"{PREFIX}/{RUN}/torn-00001"] == whole[good:cut]
    again, same = replayed(store)
    assert (again.torn, again.head, again.seq) == ("", found.head, found.seq)
    assert standing(same) == standing(books)


@given(st.integers(0, 10_000))
def test_a_chunk_torn_while_it_was_written_over_comes_back_from_its_copy(cut: int) -> None:
    store = MemoryStore()
    store.blobs = dict(DAY.store.blobs)
    key = chunk_key(RUN, 1)
    whole = store.blobs[key]
    store.blobs[key] = whole[:cut]
    found, books = replayed(store)
    assert (found.head, found.broken) == (DAY.ledger.head(), "")
    assert ("nothing is lost" in found.torn) == (cut < len(whole))
    assert standing(books) == standing(DAY.books)


@given(st.data())
def test_a_copy_that_is_torn_or_changed_is_left_alone(data: st.DataObject) -> None:
    store = MemoryStore()
    store.blobs = dict(DAY.store.blobs)
    copy = bytearray(store.blobs[copy_key(RUN)])
    place = data.draw(st.integers(0, len(copy) - 1))
    if data.draw(st.booleans()):
        copy[place] ^= data.draw(st.integers(1, 255))
        store.blobs[copy_key(RUN)] = bytes(copy)
    else:
        store.blobs[copy_key(RUN)] = bytes(copy[:place])
    found, _books = replayed(store)
    assert (found.head, found.torn, found.broken) == (DAY.ledger.head(), "", "")


def test_a_changed_copy_does_not_replace_what_was_torn() -> None:
    store = MemoryStore()
    store.blobs = dict(DAY.store.blobs)
    key = chunk_key(RUN, 1)
    store.blobs[key] = store.blobs[key][:100]
    store.blobs[copy_key(RUN)] = store.blobs[copy_key(RUN)].replace(b'"qty":1', b'"qty":2')
    found, _books = replayed(store)
    assert (found.broken, store.blobs[key]) == ("", b"")
    assert found.torn


def test_an_older_copy_does_not_undo_a_longer_chunk() -> None:
    desk = Desk(live=True)
    desk.ledger.flush(durable=True)
    old = desk.store.blobs[copy_key(RUN)]
    desk.open()
    desk.ledger.flush(durable=True)
    desk.store.blobs[copy_key(RUN)] = old
    found, _books = replayed(desk.store)
    assert found.head == desk.ledger.head()


def test_a_line_taken_out_of_the_middle_is_a_break() -> None:
    store = copied(DAY)
    lines = store.blobs[chunk_key(RUN, 0)].splitlines(keepends=True)
    store.blobs[chunk_key(RUN, 0)] = b"".join(lines[:3] + lines[4:])
    found, _books = replayed(store)
    assert "does not follow" in found.broken
    assert found.seq == 3


def test_a_chunk_cut_in_the_middle_of_the_ledger_is_a_break_and_stays_as_it_is() -> None:
    store = copied(DAY)
    cut = store.blobs[chunk_key(RUN, 0)][:-5]
    store.blobs[chunk_key(RUN, 0)] = cut
    found, _books = replayed(store)
    assert found.broken
    assert store.blobs[chunk_key(RUN, 0)] == cut


def test_a_missing_chunk_is_named() -> None:
    store = copied(DAY)
    store.blobs[chunk_key(RUN, 3)] = b""
    with pytest.raises(LedgerError, match=r"ledger-00002.*missing"):
        replayed(store)


def test_a_kind_of_a_newer_program_is_a_break_not_a_crash() -> None:
    store = copied(DAY)
    lines = store.blobs[chunk_key(RUN, 1)].splitlines()
    record = json.loads(lines[0])
    head = record["prev_hash"]
    altered = _rechained([{**record, "kind": "TELEPATHY"}], head)
    store.blobs[chunk_key(RUN, 1)] = altered
    found, _books = replayed(store)
    assert "TELEPATHY" in found.broken


def test_a_rechained_lie_is_found_by_the_books() -> None:
    """Whoever recomputes every hash still cannot change what a fill did to the cash."""
    store = copied(DAY)
    records = [json.loads(line) for line in store.blobs[chunk_key(RUN, 1)].splitlines()]
    fill = next(record for record in records if record["kind"] == "FILL")
    fill["price_u6"] += 10_000
    store.blobs[chunk_key(RUN, 1)] = _rechained(records, records[0]["prev_hash"])
    found, _books = replayed(store)
    assert "cash_after_u6" in found.broken


def test_a_replay_knows_which_heads_it_had() -> None:
    found, _books = replayed(copied(DAY))
    assert found.knows(0, "0" * 64)
    assert found.knows(found.seq, found.head)
    assert not found.knows(found.seq - 1, found.head)
    assert not found.knows(found.seq + 1, found.head)


def _heads() -> list[str]:
    return [json.loads(line)["hash"] for line in DAY.store.joined().splitlines()]


def _rechained(records: list[dict[str, object]], head: str) -> bytes:
    found = b""
    for record in records:
        bare = {key: value for key, value in record.items() if key != "hash"} | {"prev_hash": head}
        text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
        head = hashlib.sha256(text.encode()).hexdigest()
        found += f'{text[:-1]},"hash":"{head}"}}\n'.encode()
    return found
