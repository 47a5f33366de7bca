"""Where a rule ends: what lies just inside a limit, what was only reported late, what a halt or a restart excuses."""

from __future__ import annotations

import random

import pytest

from audit.contracts import contract, without_cover, worst_value_u6
from audit.limits import FAMILY_BOOK, fee_bound_u6
from audit.times import MINUTE, SECOND, micros, utc_text
from audit.verdict import judge_lines
from tests.audit.damage import Ledger
from tests.audit.worlds import pool


def ledger_of(world: str, seed: int = 0) -> Ledger:
    return Ledger(pool(seed, world), random.Random(seed))


def rules_of(lines: list[bytes]) -> set[str]:
    return {result.id for result in judge_lines(lines).results if result.occurrences or result.warnings}


def an_opening_long(ledger: Ledger) -> int:
    """Return the place of a bought leg's fill in a combo of the Friday book."""
    found = ledger.first(
        "FILL", lambda record: record["book"] == "friday_0dte" and record["qty"] > 0 and "|OPEN|" in record["order"]
    )
    assert found is not None
    return found


def move(ledger: Ledger, place: int, seconds: int, *, executed_late: bool) -> None:
    """Let a fill be reported, and perhaps executed, some seconds later."""
    record = ledger.records.pop(place)
    late = micros(record["time"]) + seconds * SECOND
    at = ledger.after_time(late + 1)
    record["time"] = utc_text(max(late, ledger.us(at - 1)))
    if executed_late:
        record["exec_time"] = utc_text(late)
    ledger.records.insert(at, record)


@pytest.mark.parametrize(("seconds", "late", "seen"), [(60, True, False), (61, True, True), (180, False, False)])
def test_cover_counts_from_execution_to_execution(seconds: int, late: bool, seen: bool) -> None:
    ledger = ledger_of("friday")
    move(ledger, an_opening_long(ledger), seconds, executed_late=late)
    assert ("AU-50" in rules_of(ledger.settled_lines())) == seen


def test_a_halt_stops_the_clock_of_missing_cover() -> None:
    ledger = ledger_of("friday")
    place = an_opening_long(ledger)
    start = ledger.us(place)
    move(ledger, place, 100, executed_late=True)
    for record in ledger.records:
        if record["kind"] == "MARK" and start - 5 * MINUTE <= micros(record["time"]) <= start + 10 * MINUTE:
            record["halted"] = ["SPX"]
    assert "AU-50" not in rules_of(ledger.settled_lines())


@pytest.mark.parametrize(("more", "seen"), [(7, False), (8, True)])
def test_eight_orders_of_an_intent_are_allowed(more: int, seen: bool) -> None:
    ledger = ledger_of("any")
    counts: dict[str, int] = {}
    for record in ledger.records:
        if record["kind"] == "ORDER_INTENT":
            counts[record["intent"]] = counts.get(record["intent"], 0) + 1
    place = ledger.first("ORDER_INTENT", lambda record: counts[record["intent"]] == 1)
    assert place is not None
    record = ledger.records[place]
    legs = {leg["symbol"]: leg["qty"] for leg in record["legs"]}
    rows = []
    for number in range(more):
        rows += ledger.attempt(
            ledger.us(place), record["book"], record["trade"], record["purpose"], legs, number=number + 1,
            intent=record["intent"], limit=record.get("limit_u6"),
        )  # fmt: skip
    ledger.insert(place, rows)
    assert ("AU-20" in rules_of(ledger.settled_lines())) == seen


@pytest.mark.parametrize(
    ("value", "seen"), [(22_000_000, False), (21_999_999, True), (35_000_000, False), (35_000_001, True)]
)
def test_the_vix_window_includes_its_ends(value: int, seen: bool) -> None:
    ledger = ledger_of("friday")
    for record in ledger.records:
        if record["kind"] == "VIX" and record["verdict"] == "GOOD":
            record["value_e6"] = value
    assert ("AU-58" in rules_of(ledger.lines())) == seen


@pytest.mark.parametrize(
    ("name", "age", "seen"),
    [
        ("vix_s", 300, False),
        ("greeks_s", 120, False),
        ("greeks_s", 121, True),
        ("quote_s", 60, False),
        ("quote_s", 61, True),
    ],
)
def test_inputs_may_be_as_old_as_their_limit(name: str, age: int, seen: bool) -> None:
    ledger = ledger_of("friday")
    for record in ledger.records:
        if (
            record["kind"] == "VERDICT"
            and record["allowed"]
            and name in record["ages"]
            and record["book"] == "friday_0dte"
        ):
            record["ages"][name] = age
    assert ("AU-58" in rules_of(ledger.lines())) == seen


def test_a_statement_that_is_ahead_of_a_report_is_explained_by_the_fill() -> None:
    ledger = ledger_of("any", 2)
    place = ledger.pick("FILL", lambda record: record["book"] == FAMILY_BOOK and record["source"] == "EVENT")
    assert place is not None
    at = ledger.first("BROKER_STATEMENT", lambda record: True, place)
    assert at is not None
    statement = ledger.records.pop(at)
    ledger.records.insert(place, statement | {"time": ledger.records[place]["time"]})
    assert "AU-32" not in rules_of(ledger.lines())


@pytest.mark.parametrize(("seconds", "seen"), [(119, False), (121, True)])
def test_reports_may_come_up_to_two_minutes_after_the_close(seconds: int, seen: bool) -> None:
    ledger = ledger_of("any", 2)
    positions = ledger.held()
    place = max(
        at for at, record in enumerate(ledger.records)
        if record["kind"] == "FILL" and record["book"] == FAMILY_BOOK and record["symbol"] not in positions[at]
    )  # fmt: skip
    session = ledger.session(place)
    assert session is not None
    seconds += (session.close_us - ledger.us(place)) // SECOND
    move(ledger, place, seconds, executed_late=False)
    assert ("AU-45" in rules_of(ledger.settled_lines())) == seen


def test_a_lost_order_may_turn_out_to_be_filled() -> None:
    ledger = ledger_of("any")
    place = ledger.pick("ORDER_OUTCOME", lambda record: record["outcome"] == "FILLED" and record["book"] == FAMILY_BOOK)
    assert place is not None
    record = ledger.records[place]
    fill = ledger.first("FILL", lambda item: item["order"] == record["order"])
    assert fill is not None
    ledger.records[place] |= {"outcome": "LOST", "filled": 0, "left": record["filled"]}
    ledger.records.insert(place, ledger.records.pop(fill))
    assert not {"AU-12", "AU-15"} & rules_of(ledger.settled_lines())


@pytest.mark.parametrize(
    ("legs", "naked"),
    [
        ({"SPXW  250919P07515000": 1, "SPXW  250919P07525000": -1}, {}),
        ({"SPXW  250919P07515000": 1, "SPXW  250919C07525000": -1}, {"SPXW  250919C07525000": 1}),
        ({"SPXW  250919P07515000": 1, "SPXW  250919P07525000": -2}, {"SPXW  250919P07525000": 1}),
        ({"SPXW  250918P07515000": 1, "SPXW  250919P07525000": -1}, {"SPXW  250919P07525000": 1}),
        ({"SPXW  251219P07515000": 1, "SPXW  250919P07525000": -1}, {}),
        ({"SPY": 100}, {}),
    ],
)
def test_a_long_of_the_same_right_and_no_earlier_expiry_covers(legs: dict[str, int], naked: dict[str, int]) -> None:
    assert without_cover((contract(symbol), qty) for symbol, qty in legs.items()) == naked


@pytest.mark.parametrize(
    ("legs", "points"),
    [
        ({"SPXW  250919P07515000": 1, "SPXW  250919P07525000": -1}, -10),
        ({"SPXW  250919C07525000": -1}, None),
        ({"SPXW  250919P07525000": -1}, -7525),
        ({"SPY   250919P00470000": -1, "SPY   250919P00475000": 1, "SPY   250919P00445000": -2}, -885),
    ],
)
def test_the_worst_value_of_a_structure(legs: dict[str, int], points: int | None) -> None:
    worst = worst_value_u6((contract(symbol), qty) for symbol, qty in legs.items())
    assert worst == (None if points is None else points * 1_000_000)


@pytest.mark.parametrize(
    ("brokerage", "symbol", "qty", "usd"),
    [
        ("INTERACTIVE_BROKERS", "SPXW  250919P07515000", 1, 1.31),
        ("INTERACTIVE_BROKERS", "QQQ", 59, 1.0),
        ("INTERACTIVE_BROKERS", "TQQQ", 352, 1.936),
        ("SCHWAB", "QQQ", 352, 0.0),
        ("NOBODY", "QQQ", 1, None),
    ],
)
def test_the_highest_fee_of_a_fill(brokerage: str, symbol: str, qty: int, usd: float | None) -> None:
    bound = fee_bound_u6(brokerage, contract(symbol), qty)
    assert bound == (None if usd is None else round(usd * 1e6))


@pytest.mark.parametrize("seed", range(4))
def test_money_taken_out_is_no_loss(seed: int) -> None:
    ledger = ledger_of("any", seed)
    day = ledger.records[len(ledger.records) // 2]["time"][:10]
    marks = [place for place in ledger.places("MARK") if ledger.records[place]["time"][:10] == day]
    place = marks[len(marks) // 2]
    flow = ledger.make("CASH_FLOW", "", ledger.us(place), type="WITHDRAWAL", amount_u6=-9_000_000_000)
    ledger.insert(place + 1, [flow])
    assert "AU-57" not in rules_of(ledger.settled_lines())


def test_an_order_that_outlives_the_process_has_time_after_the_restart() -> None:
    """The deadline passed while nobody could cancel: the order's end shortly after the resume is no violation."""
    ledger = ledger_of("any", 2)
    places = ledger.regular_places()
    place = places[len(places) // 2]
    us = ledger.us(place - 1)
    rows = ledger.attempt(us, FAMILY_BOOK, "etf_rotation-x-1", "OPEN", {"QQQ": 5}, limit=-510_000_000, states=False)
    header = ledger.records[0] | {"resumed_from": "@previous", "time": utc_text(us + 30 * MINUTE), "mode": "PAPER"}
    at = ledger.after_time(us + 30 * MINUTE, place)
    outcome = rows.pop() | {"time": utc_text(us + 31 * MINUTE)}
    del ledger.records[place:at]
    ledger.insert(place, [*rows, header, outcome])
    found = [item for item in judge_lines(ledger.settled_lines()).findings if item.rule == "AU-22"]
    assert found == []
