"""Planted violations of account limits, states, marks, sessions."""

from __future__ import annotations

from audit.exchange_days import is_last_of_week
from audit.times import MINUTE, SECOND, micros, utc_text
from tests.audit.chaining import Record
from tests.audit.damage import Ledger
from tests.audit.planting.principles import short_by_one
from tests.audit.planting.registry import plants


@plants("margin over limit", 55)
def _margin(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL", lambda record: "|OPEN|" in record["order"])
    if place is None:
        return None
    at = ledger.first("MARK", lambda record: True, place)
    if at is None:
        return None
    mark = ledger.records[at]
    name, share = ledger.rng.choice([("used_u6", 90), ("c_loss_u6", 25), ("reserved_u6", 95)])
    mark[name] = mark["equity_u6"] * share // 100
    return ledger.lines()


@plants("open while HALTED", 56)
def _halted(ledger: Ledger) -> list[bytes] | None:
    opens = {r["order"]: r for r in ledger.records if r["kind"] == "ORDER_INTENT" and r["purpose"] == "OPEN"}
    place = ledger.pick("ORDER_SENT", lambda record: record["order"] in opens)
    if place is None:
        return None
    order, us = opens[ledger.records[place]["order"]], ledger.us(place)
    symbol = order["legs"][0]["symbol"]
    how = ledger.rng.choice(["ACCOUNT", f"BOOK:{order['book']}", f"SYMBOL:{symbol}", "breaker", "break"])
    if how == "breaker":
        before = [ledger.make("BREAKER", "", us, condition="DAILY", ratio_e6=1_100_000, level="TRIPPED")]
        after = [ledger.make("BREAKER", "", us, condition="DAILY", ratio_e6=100_000, level="RECOVERY")]
    elif how == "break":
        fields = {"symbol": symbol, "locked": [symbol, order["book"]]}
        before = [ledger.make("BREAK", "", us, **fields, book_qty=0, broker_qty=5, status="OPEN")]
        after = [ledger.make("BREAK", "", us, **fields, book_qty=0, broker_qty=0, status="CLEARED")]
    else:
        before = [
            ledger.make(
                "TRADING_STATE", "", us, scope=how, **{"from": "ACTIVE"}, to="HALTED", cause="x", disposition="FREEZE"
            )
        ]
        after = [ledger.make("TRADING_STATE", "", us, scope=how, **{"from": "HALTED"}, to="ACTIVE", cause="released")]
    ledger.insert(place + 1, after)
    ledger.insert(place, before)
    return ledger.lines()


def crash(
    ledger: Ledger, *, loss_pct: int = 6, answer: str | None = None, before: str | None = None
) -> list[bytes] | None:
    """Let three marks in a row show a loss.  answer: what the account's state becomes with the first of them; before:
    what it has been since the mark before, for another reason.
    """
    by_day: dict[str, list[int]] = {}
    for place in ledger.places("MARK", lambda record: all(row[1] for s, row in record["px"].items() if len(s) > 6)):
        by_day.setdefault(ledger.records[place]["time"][:10], []).append(place)
    days = [places for places in by_day.values() if len(places) >= 6]
    if not days:
        return None
    places = ledger.rng.choice(days)
    start = ledger.rng.randrange(1, len(places) - 4)
    loss = ledger.records[places[start]]["equity_u6"] * loss_pct // 100
    for place in places[start : start + 3]:
        ledger.records[place]["equity_u6"] -= loss
        ledger.records[place]["engine_equity_u6"] -= loss
    first, last = (start, answer) if answer is not None else (start - 1, before)
    if last is not None:
        ledger.insert(places[start + 3], [_state(ledger, places[start + 3], last, "ACTIVE", "released")])
        cause = "breaker.daily" if answer is not None else "feed.silent"
        ledger.insert(places[first], [_state(ledger, places[first], "ACTIVE", last, cause)])
    return ledger.lines()


def _state(ledger: Ledger, place: int, before: str, after: str, cause: str) -> Record:
    fields = {"scope": "ACCOUNT", "from": before, "to": after, "cause": cause}
    return ledger.make("TRADING_STATE", "", ledger.us(place), **fields)


@plants("trip removed", 57)
def _no_trip(ledger: Ledger) -> list[bytes] | None:
    return crash(ledger)


@plants("trip hidden behind another cause", 57)
def _old_state(ledger: Ledger) -> list[bytes] | None:
    """The account was REDUCING for another reason before the loss came: that is no answer to it."""
    return crash(ledger, before="REDUCING")


@plants("loss of 1.5 limits without a halt", 57)
def _no_halt(ledger: Ledger) -> list[bytes] | None:
    return crash(ledger, loss_pct=10, answer="REDUCING")  # measured from a mark: the day may have gained two


def _entry_verdict(ledger: Ledger) -> int | None:
    return ledger.pick("VERDICT", lambda record: record["allowed"] and _opens_options(ledger, record))


def _opens_options(ledger: Ledger, record: Record) -> bool:
    intent = ledger.intent_of(record) if "intent" in record else None
    return intent is not None and intent["purpose"] == "OPEN" and "right" in intent["legs"][0]


@plants("entry without VIX", 58, "options")
def _no_vix(ledger: Ledger) -> list[bytes] | None:
    place = _entry_verdict(ledger)
    if place is None:
        return None
    ages = ledger.records[place]["ages"]
    at = max(item for item in ledger.places("VIX") if item < place)
    how = ledger.rng.randrange(4)
    if how == 0:
        del ages["vix_s"]
    elif how == 1:
        ages["vix_s"] = 301
    elif how == 2:
        ledger.records[at]["verdict"] = ledger.rng.choice(["STALE", "SUSPECT", "UNKNOWN"])
    else:
        ledger.records[at]["value_e6"] = ledger.rng.choice([11_900_000, 35_010_000])
    return ledger.lines()


@plants("entry without Greeks", 58, "options")
def _no_greeks(ledger: Ledger) -> list[bytes] | None:
    place = _entry_verdict(ledger)
    if place is None:
        return None
    ages = ledger.records[place]["ages"]
    name = ledger.rng.choice(["greeks_s", "quote_s"])
    if ledger.rng.random() < 0.5:
        del ages[name]
    else:
        ages[name] = 301
    return ledger.lines()


@plants("one trade over phase", 59, "options")
def _over_phase(ledger: Ledger) -> list[bytes] | None:
    places = [place for place in ledger.regular_places() if is_last_of_week(_day(ledger, place))]
    if not places:
        return None
    place = ledger.rng.choice(places)
    us, day = ledger.us(place - 1), _day(ledger, place)
    rows: list[Record] = []
    ends: list[Record] = []
    for number in range(11):
        legs = {
            f"SPXW  {day:%y%m%d}P{5000 + 5 * number:05d}000": 1,
            f"SPXW  {day:%y%m%d}P{5200 + 5 * number:05d}000": -1,
        }
        part = ledger.attempt(
            us, "friday_0dte", f"friday_0dte-{day:%Y%m%d}-{50 + number}", "OPEN", legs, limit=2_000_000
        )
        rows, ends = rows + part[:-2], ends + part[-2:]
    ledger.insert(place, rows + ends)
    return ledger.settled_lines()


def _day(ledger: Ledger, place: int):  # type: ignore[no-untyped-def]
    session = ledger.session(place - 1)
    assert session is not None
    return session.day


@plants("refusals removed", 60, "refusing")
def _silent(ledger: Ledger) -> list[bytes] | None:
    days = {
        record["time"][:10]
        for record in ledger.records
        if record["kind"] == "VERDICT" and record["book"] == "friday_0dte"
    }
    traded = {
        record["time"][:10]
        for record in ledger.records
        if record["kind"] == "INTENT" and record["book"] == "friday_0dte" and record["purpose"] == "OPEN"
    }
    silent = sorted(days - traded)
    resumed = {r["time"][:10] for r in ledger.records if r["kind"] == "RUN_STARTED" and "resumed_from" in r}
    silent = [day for day in silent if day not in resumed]
    if not silent:
        return None
    day = ledger.rng.choice(silent)
    ledger.remove(
        ledger.places("VERDICT", lambda record: record["book"] == "friday_0dte" and record["time"][:10] == day)
    )
    return ledger.lines()


@plants("trade stuck", 61)
def _stuck(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("TRADE_STATE", lambda record: record["trigger"] != "PLANNED")
    if place is None:
        return None
    if ledger.rng.random() < 0.6:
        ledger.remove([place])
    else:
        ledger.records[place]["to"] = "PLANNED"
    return ledger.lines()


@plants("break without lock", 62)
def _unlocked(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("MARK")
    if place is None:
        return None
    us = ledger.us(place)
    fields = {"symbol": "QQQ", "book_qty": 0, "broker_qty": 9}
    locked = ledger.rng.choice([[], ["etf_rotation"]])
    cleared = fields | {"broker_qty": 0}
    rows = [
        ledger.make("BREAK", "", us, **fields, status="OPEN", locked=locked),
        ledger.make("BREAK", "", us, **cleared, status="CLEARED", locked=[]),
    ]
    ledger.insert(place + 1, rows)
    return ledger.lines()


@plants("marks removed", 63)
def _no_marks(ledger: Ledger) -> list[bytes] | None:
    positions = ledger.held()
    marks = ledger.places("MARK")
    found: list[list[int]] = []
    for number, first in enumerate(marks):
        session = ledger.session(first)
        if session is None or not positions[first]:
            continue
        between: list[int] = []
        for place in marks[number + 1 :]:
            if ledger.session(place) != session or not all(positions[at] for at in range(first, place)):
                break
            if any(record["kind"] == "RUN_STARTED" for record in ledger.records[first:place]):
                break  # where a process dies, nobody can tell a mark that was removed from one that was not written
            if ledger.us(place) - ledger.us(first) > 301 * SECOND and between:
                found.append(between.copy())
                break
            between.append(place)
    if not found:
        return None
    ledger.remove(ledger.rng.choice(found))
    return ledger.lines()


@plants("flat signal", 64, "dense")
def _flat(ledger: Ledger) -> list[bytes] | None:
    days = _ready_by_day(ledger)
    if not days:
        return None
    value = ledger.rng.randrange(100_000, 900_000)
    for record in ledger.rng.choice(days):
        record["p_e6"] = value + ledger.rng.randrange(-300, 301)
    return ledger.lines()


def _ready_by_day(ledger: Ledger) -> list[list[Record]]:
    by_day: dict[str, list[Record]] = {}
    for place in ledger.places("SIGNAL", lambda record: "p_e6" in record):
        record = ledger.records[place]
        by_day.setdefault(record["time"][:10], []).append(record)
    return [records for records in by_day.values() if len(records) >= 100]


@plants("signal stands still for 100 bars", 64, "dense")
def _still(ledger: Ledger) -> list[bytes] | None:
    """It moved before and moves after."""
    days = _ready_by_day(ledger)
    if not days:
        return None
    records = ledger.rng.choice(days)
    first = ledger.rng.randrange(len(records) - 99)
    for record in records[first : first + 100]:
        record["p_e6"] = records[first]["p_e6"] + ledger.rng.randrange(-300, 301)
    return ledger.lines()


@plants("signal never ready", 64, "dense")
def _never_ready(ledger: Ledger) -> list[bytes] | None:
    """As if no detector ever spoke: nothing is ready, so nothing is wanted, held or traded."""
    kinds = ("SIGNAL", "MARK", "VIX", "PHASE", "SESSION_OPENED", "SESSION_CLOSED")
    if ledger.places("SPLIT") or not ledger.places("SIGNAL"):
        return None
    for record in ledger.records:
        if record["kind"] == "SIGNAL":
            record.pop("p_e6", None)
            record |= {"state": "NOT_READY", "target": "CASH", "held": "CASH", "reason": "SIGNAL_WARMING_UP"}
    ends = (0, len(ledger.records) - 1)
    ledger.remove(
        place for place, record in enumerate(ledger.records) if place not in ends and record["kind"] not in kinds
    )
    return ledger.settled_lines()


@plants("detector dead", 64)
def _dead(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("SESSION_CLOSED")
    if place is None:
        return None
    code = ledger.rng.choice(["DETECTOR_DEAD", "SIGNAL_DEAD"])
    fields = {"severity": "WARNING", "code": code, "text": "momentum had no opinion all session."}
    ledger.insert(place, [ledger.make("ALERT", "etf_rotation", ledger.us(place), **fields)])
    return ledger.lines()


@plants("breach record removed", 65)
def _unseen(ledger: Ledger) -> list[bytes] | None:
    if ledger.rng.random() < 0.7:
        return short_by_one(ledger)
    place = ledger.pick("MARK")
    if place is None:
        return None
    principle = ledger.rng.choice(["P1", "P2", "P3", "P4", "P5"])
    ledger.insert(place, [ledger.make("BREACH", "", ledger.us(place), principle=principle, value=1, limit=0)])
    return ledger.lines()


@plants("close time moved", 66)
def _moved(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick(ledger.rng.choice(["SESSION_OPENED", "SESSION_CLOSED"]))
    if place is None:
        return None
    record = ledger.records[place]
    how = ledger.rng.randrange(3)
    if how == 0:
        name = ledger.rng.choice(["open_time", "close_time"])
        record[name] = utc_text(micros(record[name]) + ledger.rng.choice([-60, -1, 1, 180]) * MINUTE)
    elif how == 1:
        record["half_day"] = not record["half_day"]
    else:
        again = [item for item in ledger.records if item["kind"] == record["kind"] and item["date"] == record["date"]]
        if len(again) > 1:
            return None
        ledger.remove([place])
    return ledger.lines()
