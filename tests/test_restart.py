"""Death at any moment of a paper run, and a start on what is left: the store, and a broker that remembers.

After each of them the same laws hold (`assert_lawful`): no order repeated, one opening a day, no short uncovered for
longer than a minute, one intact chain over all processes, a legal lifecycle, books equal to the broker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.ledger_kinds import FillSource
from core.trade_machine import TradeState
from engine.object_store import Flush
from engine.symbols import Symbol
from tests.paper_run import (
    MARKETS,
    PaperRun,
    assert_books_equal_broker,
    assert_chain_holds,
    assert_covered,
    assert_lawful,
    assert_no_order_repeated,
    assert_opened_once,
    assert_states_legal,
)
from tests.world import FRIDAY, World

SATURDAY, MONDAY = 6, 8
TELLING = (1, 5, 6, 9, 13, 14, 17, 22, 26, 31, 34)
"""Of each stage of the life of a target exit its first and last event: sent, cancelled, replaced, filled; twice."""


def at(clock: str, day: int = FRIDAY.day) -> datetime:
    return datetime.combine(FRIDAY.replace(day=day), time.fromisoformat(clock))


def ended(run: PaperRun) -> TradeState:
    return list(run.books.trades)[-1].state


# -------------------------------------------------------------------------------------------------- death at any event


@pytest.mark.parametrize("number", TELLING)
def test_sm_p2_death_at_an_event_repeats_no_order_and_the_books_equal_the_broker(tmp_path: Path, number: int) -> None:
    run = PaperRun("target", tmp_path)
    assert run.die_at_event(number)
    run.live_on(until="11:20")
    assert_lawful(run)
    assert ended(run).is_end


@pytest.mark.long
@pytest.mark.parametrize("name", MARKETS)
def test_sm_p2_death_at_every_event_of_every_day(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    number = 0
    went_on = True
    while went_on:
        number += 1
        run = PaperRun(name, tmp_path_factory.mktemp(name))
        went_on = run.die_at_event(number)
        if went_on:
            run.live_on()
        assert_lawful(run)
        assert ended(run).is_end, number
    assert number > 30


def test_three_deaths_on_one_day(tmp_path: Path) -> None:
    run = PaperRun("target", tmp_path)
    assert run.die_at_event(14)
    assert run.die_at_event(3, run.died_at[-1])
    assert run.die_at_event(7, run.died_at[-1])
    run.live_on(until="11:30")
    assert_lawful(run)
    assert ended(run) is TradeState.CLOSED


# ---------------------------------------------------------------------------------------------- death between two steps


@pytest.mark.parametrize(
    ("last", "first", "until"),
    [
        ("10:31", at("10:32"), "10:50"),
        ("10:40", at("15:31"), "15:45"),
        ("10:40", at("15:50"), "16:00"),
        ("10:40", at("23:00"), None),
        ("11:11", at("08:00", SATURDAY), None),
        ("10:50", at("08:50", MONDAY), None),
    ],
)
def test_a_process_that_stays_away_finds_its_way_back(
    tmp_path: Path, last: str, first: datetime, until: str | None
) -> None:
    run = PaperRun("target", tmp_path, flush=Flush.EVERY_5_S)
    run.live_until(last)
    run.live_on(first, until=until)
    assert_lawful(run)
    assert ended(run).is_end


@pytest.mark.parametrize("first", ["15:31", "15:46"])
def test_a_trade_found_open_after_its_hard_exit_leaves_at_once(tmp_path: Path, first: str) -> None:
    run = PaperRun("stop", tmp_path)
    run.live_until("10:40")
    run.live_on(at(first), until="15:55")
    assert_lawful(run)
    left = [fill.filled for fill in run.fills() if "|CLOSE|" in fill.tag or "|FLATTEN|" in fill.tag]
    assert len(left) == 4
    assert ended(run) is TradeState.CLOSED


# ------------------------------------------------------------------------------------- what happened while it was dead


def test_an_order_that_filled_while_we_were_dead_is_booked_at_its_cash_and_never_sent_again(tmp_path: Path) -> None:
    run = PaperRun("target", tmp_path)
    assert run.die_at_event(14)  # the opening is filled, and nobody has heard of it
    moved = round((Decimal(json.loads(run.broker_file.read_text())["cash"]) - 100_000) * 1_000_000)
    run.live_on(until="11:30")
    assert_lawful(run)
    booked = [record for record in run.records("FILL") if record["source"] == FillSource.RECOVERED.value]
    assert len(booked) == 4
    cash = sum(-record["qty"] * record["price_u6"] * record["mult"] - record["fee_u6"] for record in booked)
    assert cash == moved
    assert "FILL_RECOVERED" in run.alerts()
    # The trade lives as if it had been there: its target is taken.
    assert [record["reason"] for record in run.records("TRADE_CLOSED")] == ["EXIT_TARGET"]


def test_an_order_that_nobody_knows_is_lost_after_two_minutes_and_the_strategy_goes_on(tmp_path: Path) -> None:
    run = PaperRun("target", tmp_path)
    assert run.die_at_event(9)  # the first offer is cancelled at the broker, and nobody has heard of it
    run.live_on(until="11:30")
    assert_lawful(run)
    doubts = [(record["at"], record["outcome"]) for record in run.records("ORDER_OUTCOME")][:2]
    assert doubts == [("10:31", "UNRESOLVED"), ("10:33", "LOST")]
    assert [record["at"] for record in run.records("INTENT")][:2] == ["10:30", "10:35"]


def test_a_frozen_trade_comes_back_and_its_hard_exit_happens(tmp_path: Path) -> None:
    run = PaperRun("stop", tmp_path)
    assert run.die_at_event(26)  # the urgent close is cancelled at the broker, and nobody has heard of it
    run.live_on(until="11:30")
    assert_lawful(run)
    triggers = [(record["trigger"], record["to"]) for record in run.records("TRADE_STATE")]
    frozen = triggers.index(("UNRESOLVED", "FROZEN"))
    assert triggers[frozen + 1 : frozen + 3] == [("CLEARED", "OPEN"), ("EXIT_DUE", "EXITING")]
    assert ended(run) is TradeState.CLOSED


@pytest.fixture(scope="module")
def held_over_the_close(tmp_path_factory: pytest.TempPathFactory) -> PaperRun:
    run = PaperRun("settled", tmp_path_factory.mktemp("settled"))
    run.live_until("16:05")
    return run


@pytest.mark.parametrize("number", [1, 4])
def test_what_settled_while_we_were_dead_is_booked_at_the_value_of_its_day(
    held_over_the_close: PaperRun, tmp_path: Path, number: int
) -> None:
    run = held_over_the_close.copy(tmp_path)
    assert run.die_at_event(number, at("16:06"))
    run.live_on()
    assert_lawful(run)
    assert "SETTLEMENT_RECOVERED" in run.alerts()
    assert sum(record["cash_u6"] for record in run.records("EXPIRY")) == -600_000_000
    assert ended(run) is TradeState.CLOSED


def test_a_settlement_value_of_noon_settles_nothing(tmp_path: Path) -> None:
    run = PaperRun("settled", tmp_path)
    run.live_until("10:50")  # SPX stands at 5300 then, and at 5264 at the close
    run.live_on(at("20:00"))
    assert_lawful(run)
    assert {record["price_u6"] for record in run.records("EXPIRY")} == {5_264_000_000}


# ------------------------------------------------------------------------------------------ FP-42: half a group filled


LONG_PUT, PUT_SOLD, CALL_SOLD, LONG_CALL = "P05260000", "P05270000", "C05330000", "C05340000"
PRICES = {LONG_PUT: 1.50, PUT_SOLD: 2.85, CALL_SOLD: 2.85, LONG_CALL: 1.50}


def fill_at_the_broker(run: PaperRun, legs: tuple[str, ...]) -> None:
    """Fill some legs of the group at work and end the rest of it, in the broker's memory."""
    content: dict[str, Any] = json.loads(run.broker_file.read_text())
    cash = Decimal(content["cash"])
    for order in content["orders"]:
        leg = Symbol.parse(order["symbol"]).value[-9:]
        if leg in legs:
            cash -= Decimal(str(PRICES[leg])) * 100 * int(order["quantity"]) + 1
            holding = {"symbol": order["symbol"], "quantity": order["quantity"], "average_price": PRICES[leg]}
            content["holdings"].append(holding)
    assert len(content["holdings"]) == len(legs)
    run.broker_file.write_text(json.dumps({**content, "cash": str(cash), "orders": []}))


@pytest.mark.parametrize(
    ("filled", "repaired"),
    [
        ((PUT_SOLD,), 1),
        ((PUT_SOLD, CALL_SOLD), 2),
        ((LONG_PUT,), 0),
        ((CALL_SOLD, LONG_CALL), 0),
        ((LONG_PUT, PUT_SOLD, CALL_SOLD), 1),
    ],
)
def test_fp42_half_a_group_filled_while_we_were_dead_is_covered_within_a_minute(
    tmp_path: Path, filled: tuple[str, ...], repaired: int
) -> None:
    run = PaperRun("target", tmp_path)
    run.live_until("10:31:30")  # the second offer is at work
    fill_at_the_broker(run, filled)
    run.live_on(at("10:32"), until="10:40")
    assert_no_order_repeated(run)
    assert_chain_holds(run)
    assert_states_legal(run)
    assert_books_equal_broker(run)
    assert ended(run) is TradeState.CLOSED
    bought = [record for record in run.records("FILL") if "|REPAIR|" in record["order"]]
    assert len(bought) == repaired
    assert all(record["at"] <= "10:34" for record in bought)


# ----------------------------------------------------------------------------------- FLT-12: what the store has lost


def newest(run: PaperRun, pattern: str) -> Path:
    return max(run.store.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def cut_slot(run: PaperRun) -> None:
    path = newest(run, "bulkhead/state-*")
    path.write_bytes(path.read_bytes()[:100])


def cut_chunk(run: PaperRun) -> None:
    path = newest(run, "bulkhead/*/ledger-*")
    path.write_bytes(path.read_bytes()[:-40])


def cut_copy(run: PaperRun) -> None:
    path = newest(run, "bulkhead/*/youngest")
    path.write_bytes(path.read_bytes()[:-40])


def lose_chunk(run: PaperRun) -> None:
    newest(run, "bulkhead/*/ledger-*").write_bytes(b"")
    newest(run, "bulkhead/*/youngest").write_bytes(b"")


@pytest.mark.parametrize("number", [11, 14])
@pytest.mark.parametrize(("damage", "said"), [(cut_slot, "SLOT_LOST"), (cut_chunk, "LEDGER_TORN"), (cut_copy, "")])
def test_flt12_a_torn_write_is_said_and_no_order_is_lost_or_repeated(
    tmp_path: Path, damage: Callable[[PaperRun], None], said: str, number: int
) -> None:
    run = PaperRun("target", tmp_path)
    assert run.die_at_event(number)
    damage(run)
    run.live_on(until="11:20")
    assert not said or said in run.alerts()
    assert_lawful(run)
    assert ended(run).is_end


@pytest.mark.parametrize("number", [11, 17, 23, 34])
def test_flt12_a_ledger_that_lost_this_session_gets_it_back_from_the_snapshot_and_the_broker(
    tmp_path: Path, number: int
) -> None:
    run = PaperRun("target", tmp_path)
    assert run.die_at_event(number)
    lose_chunk(run)
    run.live_on(until="11:20")
    assert "LEDGER_GAP" in run.alerts()
    assert_opened_once(run)
    assert_covered(run)
    assert_chain_holds(run)
    assert_states_legal(run)
    assert_books_equal_broker(run)
    assert ended(run).is_end


def test_an_order_at_work_that_the_ledger_lost_is_known_by_its_id_and_resumed(tmp_path: Path) -> None:
    run = PaperRun("stop", tmp_path)
    run.live_until("11:12:30")  # the second urgent close is at work
    lose_chunk(run)
    run.live_on(at("11:13"), until="11:30")
    assert "ORDER_RELEARNED" in run.alerts()
    assert_lawful(run)
    assert ended(run) is TradeState.CLOSED


def test_without_any_snapshot_what_is_open_is_frozen_until_somebody_adopts_it(tmp_path: Path) -> None:
    run = PaperRun("stop", tmp_path)
    run.live_until("10:40")
    for slot in run.store.glob("bulkhead/state-*"):
        slot.unlink()
    run.live_on(at("10:41"), until="11:30")
    assert_lawful(run)
    assert ended(run) is TradeState.FROZEN
    assert "TRADE_FROZEN" in run.alerts()
    assert [record for record in run.records("ORDER_INTENT") if "|OPEN|" not in record["order"]] == []


@pytest.mark.parametrize(
    ("first", "began"),
    [("08:30", "2025-09-05"), ("10:25", "2025-09-05"), ("16:10", "2025-09-05"), ("16:20", "2025-09-08")],
)
def test_a_paper_run_begins_with_the_session_that_its_first_process_still_sees_and_has_no_end(
    tmp_path: Path, first: str, began: str
) -> None:
    run = PaperRun("target", tmp_path, parameters={"run.start": "2020-01-02", "run.end": "2020-01-03"})
    run.start(at(first)).finish()
    run.start(at("16:30")).finish()
    headers = [(record["start"], record["end"]) for record in run.records("RUN_STARTED")]
    assert headers == [(began, "9999-12-31")] * 2


def test_a_process_that_takes_over_keeps_the_distance_to_the_opening_before_it(tmp_path: Path) -> None:
    def process(start: str) -> World:
        return World(
            prepare=lambda world: world.condor(mid=2.70, half=0.40),  # nobody ever takes an offer
            parameters={"run.mode": "PAPER", "orders.entry_spacing_min": "30"},
            store=tmp_path / "store",
            job={
                "mode": "paper",
                "start": FRIDAY,
                "end": FRIDAY + timedelta(days=1),
                "start_time": time.fromisoformat(start),
                "broker_file": tmp_path / "broker.json",
                "cash_usd": 100_000.0,
            },
        )

    process("08:50").run("10:36")  # its ladder began at 10:30 and has ended
    world = process("10:40").run("11:00")
    spaced = [at for at, reason in world.refusals() if reason == "ENTRY_SPACING"]
    assert spaced[-1] == "10:59"
    assert [at for at, _limit in world.limits("OPEN")] == [*(f"10:3{minute}" for minute in range(4)), "11:00"]
