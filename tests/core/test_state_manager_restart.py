"""Snapshots and restarts: two slots that survive any torn write, and the table of what is found on start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LedgerError, StateError
from core.exit_plan_text import plan_from_text, plan_to_text
from core.ledger_reader import Replay
from core.ledger_sink import chunk_key, copy_key
from core.recovery_plan import RecoveryPlan, StartRow, plan_recovery
from core.state_slots import SLOTS, SlotStore
from core.trade_machine import Trigger
from core.trades import Trade
from core.vocabulary import Purpose
from tests.core.desk import BOOK, RUN, Desk, MemoryStore, at, condor, standing
from tests.core.lifecycle import Lifecycle, exit_plan


def no_shortening(body: dict[str, Any]) -> bool:
    return False


def slots(store: MemoryStore, max_bytes: int = 10_000) -> SlotStore:
    return SlotStore(store, RUN, "settings", max_bytes)


def body(number: int) -> dict[str, Any]:
    return {"number": number, "ledger_head": "h" * 64, "text": "x" * 40}


def plan_of(world: Lifecycle, found: Replay, *, broker_is_flat: bool = True) -> RecoveryPlan:
    store = world.state.slots
    assert store is not None
    return plan_recovery(store, found, broker_is_flat=broker_is_flat, now=world.now)


# ------------------------------------------------------------------------------------------------------------ the slots


def test_the_newest_slot_is_read_back() -> None:
    store = MemoryStore()
    for number in range(1, 6):
        slot, seq, digest = slots_at(store, number - 1).save(body(number), shorten=no_shortening)
        assert (slot, seq) == (SLOTS[number % 2], number)
        assert len(digest) == 64
    found = slots(store).load()
    assert found.body == body(5)
    assert (found.seq, found.run, found.settings_hash, found.lost, found.forked) == (5, RUN, "settings", (), False)


def slots_at(store: MemoryStore, saved: int) -> SlotStore:
    """Slots as a process has them that was started after so many saves."""
    made = slots(store)
    if saved:
        assert made.load().seq == saved
    return made


def test_without_slots_nothing_is_found() -> None:
    assert slots(MemoryStore()).load().body is None


@given(st.integers(1, 4), st.integers(0, 600))
def test_a_write_torn_at_any_byte_leaves_the_slot_before_it(saves: int, cut: int) -> None:
    store = MemoryStore()
    writer = slots(store)
    for number in range(1, saves + 1):
        writer.save(body(number), shorten=no_shortening)
    size = len(store.blobs[writer.key(SLOTS[saves % 2])])
    store.tear_at = min(cut, size - 2)  # without its last line end the slot is still whole
    with pytest.raises(SystemExit):
        writer.save(body(saves + 1), shorten=no_shortening)
    store.tear_at = None
    found = slots(store).load()
    assert found.body == body(saves)
    assert len(found.lost) == 1
    assert "other slot is used" in found.lost[0]


@given(st.data())
def test_no_byte_of_a_slot_can_be_changed_unseen(data: st.DataObject) -> None:
    store = MemoryStore()
    writer = slots(store)
    writer.save(body(1), shorten=no_shortening)
    writer.save(body(2), shorten=no_shortening)
    key = writer.key("a")
    payload = bytearray(store.blobs[key])
    place = data.draw(st.integers(0, len(payload) - 2))
    payload[place] ^= data.draw(st.integers(1, 255))
    store.blobs[key] = bytes(payload)
    found = slots(store).load()
    assert found.body == body(1)
    assert found.lost


def test_two_slots_that_do_not_follow_each_other_are_a_fork() -> None:
    one, other = MemoryStore(), MemoryStore()
    for store, text in ((one, 1), (other, 7)):
        writer = slots(store)
        writer.save(body(text), shorten=no_shortening)
        writer.save(body(text + 1), shorten=no_shortening)
    one.blobs[slots(one).key("a")] = other.blobs[slots(other).key("a")]
    assert slots(one).load().forked


def test_a_rolled_back_slot_is_no_fork_and_the_newer_one_counts() -> None:
    store = MemoryStore()
    writer = slots(store)
    writer.save(body(1), shorten=no_shortening)
    old = dict(store.blobs)
    for number in (2, 3, 4):
        writer.save(body(number), shorten=no_shortening)
    store.blobs[writer.key("b")] = old[writer.key("b")]
    found = slots(store).load()
    assert (found.body, found.forked) == (body(4), False)


def test_a_newer_schema_is_not_guessed_at() -> None:
    store = MemoryStore()
    writer = slots(store)
    writer.save(body(1), shorten=no_shortening)
    store.blobs[writer.key("b")] = store.blobs[writer.key("b")].replace(b'"schema":1', b'"schema":2')
    with pytest.raises(StateError, match="schema 2"):
        slots(store).load()


def test_a_state_that_is_too_large_is_refused_and_the_one_before_it_stays() -> None:
    store = MemoryStore()
    writer = slots(store, max_bytes=1_000)
    writer.save(body(1), shorten=no_shortening)
    with pytest.raises(LedgerError, match="at most 1000"):
        writer.save(body(2) | {"text": "x" * 2_000}, shorten=no_shortening)
    assert slots(store).load().body == body(1)


def test_a_store_that_refuses_is_a_ledger_error_and_the_next_save_uses_the_same_slot() -> None:
    store = MemoryStore()
    writer = slots(store)
    store.refuses = True
    with pytest.raises(LedgerError, match="did not take the state"):
        writer.save(body(1), shorten=no_shortening)
    store.refuses = False
    assert writer.save(body(1), shorten=no_shortening)[:2] == ("b", 1)


# ----------------------------------------------------------------------------------------------------------- exit plans


def test_an_exit_plan_comes_back_as_it_was() -> None:
    assert plan_from_text(json.loads(json.dumps(plan_to_text(exit_plan())))) == exit_plan()


@pytest.mark.parametrize("change", [{"mood": 1}, {"hard_exit": "noon"}, {"hard_exit": None}])
def test_an_exit_plan_that_this_program_cannot_carry_out_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(StateError, match="the trade is frozen"):
        plan_from_text({**plan_to_text(exit_plan()), **change})


# ------------------------------------------------------------------------------------------------------- found on start


class Latch:
    """A part that remembers one number."""

    def __init__(self) -> None:
        self.number = 0

    def state(self) -> dict[str, int]:
        return {"number": self.number}

    def restore(self, stored: Mapping[str, Any]) -> None:
        self.number = stored["number"]


def held_overnight() -> tuple[Lifecycle, Trade]:
    """An open trade, saved twice."""
    world = Lifecycle()
    world.save()
    world.state.fault(BOOK, world.now, "it raised")
    trade = world.opened(condor())
    world.save()
    return world, trade


def test_two_valid_slots_everything_is_as_it_was() -> None:
    world, trade = held_overnight()
    before = standing(world.books)
    found = world.restart()
    plan = plan_of(world, found, broker_is_flat=False)
    assert (plan.row, plan.distrust, plan.alerts, plan.regain) == (StartRow.TWO_SLOTS, "", (), False)
    assert plan.body is not None
    assert world.state.restore(plan.body) == ()
    assert standing(world.books) == before
    assert world.books.trade(trade.id).exit_plan == exit_plan()
    world.state.fault(BOOK, world.now, "it raised")
    world.state.fault(BOOK, world.now, "it raised")
    assert not world.state.may_enter(BOOK)  # the fault before the restart counts


def test_latches_of_the_parts_come_back() -> None:
    world = Lifecycle()
    latch = Latch()
    latch.number = 7
    world.state.remember("latch", latch)
    world.save()
    world.restart()
    world.state.remember("latch", again := Latch())
    plan = plan_of(world, Replay(), broker_is_flat=True)
    assert plan.body is not None
    world.state.restore(plan.body)
    assert again.number == 7


def test_one_slot_lost_the_other_counts_with_an_alert() -> None:
    world, _trade = held_overnight()
    store = world.state.slots
    assert store is not None
    world.store.blobs[store.key("b")] = b"torn"
    found = world.restart()
    plan = plan_of(world, found)
    assert (plan.row, plan.distrust) == (StartRow.ONE_SLOT, "")
    assert [code for code, _text in plan.alerts] == ["SLOT_LOST"]


def test_nothing_found_and_nothing_held_is_a_fresh_start() -> None:
    assert plan_recovery(slots(MemoryStore()), Replay(), broker_is_flat=True, now=at(9)).row is StartRow.FRESH


@pytest.mark.parametrize("torn", [False, True])
def test_nothing_found_but_something_held_is_frozen_until_adopted(torn: bool) -> None:
    store = MemoryStore()
    if torn:
        store.blobs[slots(store).key("a")] = b"{"
    plan = plan_recovery(slots(store), Replay(), broker_is_flat=torn, now=at(9))
    assert plan.row is StartRow.NOT_FLAT
    assert "Adopt" in plan.distrust


def test_a_ledger_without_any_slot_has_its_trades_but_no_exit_plans() -> None:
    world, _trade = held_overnight()
    for slot in SLOTS:
        store = world.state.slots
        assert store is not None
        del world.store.blobs[store.key(slot)]
    plan = plan_of(world, world.restart(), broker_is_flat=False)
    assert (plan.row, plan.body) == (StartRow.LEDGER_ONLY, None)


@pytest.mark.parametrize("stored", [None, {"mood": 1}])
def test_fp36_a_saved_trade_that_nobody_can_leave_is_frozen_with_an_alert(stored: object) -> None:
    world, trade = held_overnight()
    plan = plan_of(world, world.restart())
    assert plan.body is not None
    plans = {} if stored is None else {trade.id: stored}
    orphans = world.state.restore({**plan.body, "plans": plans})
    assert orphans == (trade.id,)
    world.state.hold(trade.id, world.now)
    world.state.drive(trade.id, Trigger.CLEARED, world.now)
    assert world.books.trade(trade.id).state == "FROZEN"
    assert world.records("ALERT")[-2]["code"] == "TRADE_FROZEN"


def test_a_held_trade_is_held_after_another_restart() -> None:
    world, trade = held_overnight()
    world.state.hold(trade.id, world.now)
    world.save()
    plan = plan_of(world, world.restart())
    assert plan.body is not None
    world.state.restore(plan.body)
    world.state.drive(trade.id, Trigger.CLEARED, world.now)
    assert world.books.trade(trade.id).state == "FROZEN"


@pytest.mark.parametrize("broken", ["schema", "future", "fork", "slots", "ledger"])
def test_what_cannot_be_explained_is_distrusted(broken: str) -> None:
    world, _trade = held_overnight()
    store = world.state.slots
    assert store is not None
    found = world.restart()
    row = StartRow.FORK
    if broken == "schema":
        row = StartRow.NEWER_SCHEMA
        key = store.key("b")
        world.store.blobs[key] = world.store.blobs[key].replace(b'"schema":1', b'"schema":9')
    elif broken == "future":
        row = StartRow.FUTURE
        world.now -= timedelta(hours=1)
    elif broken == "fork":
        found.heads = ["0" * 64] * len(found.heads)
    elif broken == "slots":
        other = MemoryStore()
        writer = slots(other)
        for number in (1, 2):
            fake = {"ledger_seq": 1, "ledger_head": found.heads[0], "time": at(9).isoformat(), "number": number}
            writer.save(fake, shorten=no_shortening)
        world.store.blobs[store.key("b")] = other.blobs[writer.key("b")]
    else:
        found.broken = "line 7 was altered"
    plan = plan_of(world, found)
    assert plan.row is row
    assert plan.distrust
    assert plan.alerts[-1] == ("STATE_DISTRUSTED", plan.distrust)


# ----------------------------------------------------------------------------------- the ledger lost more than its tail


def test_flt12_a_ledger_that_lost_its_youngest_chunk_gets_back_what_moves_money() -> None:
    world = Lifecycle()
    world.ledger.open_chunk()
    trade = world.opened(condor(), units=2)
    world.save()
    before = standing(world.books)
    world.store.blobs[chunk_key(RUN, 1)] = b""  # the store lost it, and its copy
    del world.store.blobs[copy_key(RUN)]
    found = world.restart()
    plan = plan_of(world, found, broker_is_flat=False)
    assert (plan.row, plan.regain) == (StartRow.AHEAD, True)
    assert plan.body is not None
    assert world.state.regain(plan.body, found.seq, world.now)
    assert world.state.restore(plan.body) == ()
    assert standing(world.books) == before
    # No id is ever used again, and the next process finds a whole ledger.
    assert world.books.attempts(trade.id, Purpose.OPEN) == 1
    world.ledger.flush(durable=True)
    again = world.restart()
    assert (again.broken, again.torn) == ("", "")
    assert standing(world.books)["positions"] == before["positions"]


def test_a_snapshot_that_does_not_reach_back_says_so() -> None:
    world = Lifecycle()
    world.opened(condor())
    world.save()
    plan = plan_of(world, world.restart())
    assert plan.body is not None
    cut = {**plan.body, "tail": plan.body["tail"][3:], "tail_since": plan.body["tail"][3]["seq"]}
    world.books.__init__()  # type: ignore[misc]
    assert not world.state.regain(cut, 1, world.now)
    empty = {**plan.body, "tail": [], "tail_since": 9}
    assert not world.state.regain(empty, 8, world.now)
    assert world.state.regain(empty, 9, world.now)


def test_a_snapshot_that_grows_too_large_gives_up_its_oldest_records_first() -> None:
    world = Lifecycle(max_bytes=9_000)
    for _ in range(3):
        trade = world.opened(condor())
        world.sell_out(trade)
        world.step()
    world.save()
    store = world.state.slots
    assert store is not None
    found = store.load()
    assert found.body is not None
    assert found.body["tail"]
    assert found.body["tail_since"] > 0
    assert found.body["tail"][0]["seq"] >= found.body["tail_since"]


def test_the_ledger_is_durable_before_the_snapshot_that_names_it() -> None:
    world, _trade = held_overnight()
    store = world.state.slots
    assert store is not None
    keys = [key for key in world.store.durable_keys if "ledger-" in key or key == store.key("a")]
    assert keys.index(store.key("a")) > 0
    stored = store.load().body
    assert stored is not None
    assert world.store.joined().count(b"\n") >= stored["ledger_seq"]


def test_a_backtest_keeps_no_snapshot() -> None:
    world = Desk()
    assert world.ledger.tail[1] == []


def test_nothing_new_is_not_saved_again() -> None:
    world, _trade = held_overnight()
    saved = len(world.records("STATE_SAVED"))
    world.save()
    world.save()
    assert len(world.records("STATE_SAVED")) == saved


# ------------------------------------------------------------------------------------------------------- death anywhere


@given(st.integers(0, 60), st.integers(0, 3_000))
def test_sm_p2_death_at_any_write_repeats_no_order_and_the_books_are_equal_or_distrusted(write: int, cut: int) -> None:
    """The process dies in its n-th write, which is cut at any byte; then it starts again on what is left."""
    world = Lifecycle()
    writes = 0
    save = world.store.save

    def dying(key: str, payload: bytes) -> None:
        nonlocal writes
        if writes == write:
            world.store.blobs[key] = payload[:cut]
            raise SystemExit("killed")
        writes += 1
        save(key, payload)

    world.store.save = dying  # type: ignore[method-assign]
    sent: list[str] = []
    try:
        world.ledger.open_chunk()
        for _ in range(3):
            trade, order = world.entering(condor())
            world.ledger.before_order()
            sent.append(order)
            world.fill_legs(trade, order)
            world.end(trade, order)
            world.state.drive(trade.id, Trigger.FILLED, world.now)
            world.save()
            world.sell_out(trade)
            world.step()
            world.save()
    except SystemExit:
        pass
    world.store.save = save  # type: ignore[method-assign]
    before = standing(world.books)
    found = world.restart()
    plan = plan_of(world, found, broker_is_flat=not before["positions"])
    whole = True
    if plan.regain:
        assert plan.body is not None
        whole = world.state.regain(plan.body, found.seq, world.now)
    assert (found.broken, plan.distrust, whole) == ("", "", True)
    assert set(sent) <= set(
        world.books.order_records.orders
    )  # every order that was sent is known: its id is not used again
    assert set(world.books.order_records.orders) <= set(before["orders"])  # type: ignore[call-overload]
