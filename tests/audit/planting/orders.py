"""Planted violations of how intents, orders and fills belong together."""

from __future__ import annotations

from math import gcd

from audit.times import SECOND, micros
from tests.audit.chaining import Record
from tests.audit.damage import Ledger
from tests.audit.planting.registry import plants


@plants("intent removed", 10)
def _no_intent(ledger: Ledger) -> list[bytes] | None:
    used = {record["intent"] for record in ledger.records if record["kind"] == "ORDER_INTENT"}
    place = ledger.pick("INTENT", lambda record: record["intent"] in used)
    if place is None:
        return None
    ledger.remove([place])
    return ledger.lines()


@plants("verdict flipped", 10)
def _verdict(ledger: Ledger) -> list[bytes] | None:
    used = {record["intent"] for record in ledger.records if record["kind"] == "ORDER_INTENT"}
    place = ledger.pick("VERDICT", lambda record: record["allowed"] and record.get("intent") in used)
    if place is None:
        return None
    if ledger.rng.random() < 0.3:
        ledger.remove([place])
    else:
        ledger.records[place] |= {"allowed": False, "reason": "DENIED_STATE"}
    return ledger.lines()


@plants("order larger than approved", 10)
def _too_large(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("INTENT", lambda record: record["purpose"] == "OPEN" and record["qty"] > 1)
    if place is None:
        return None
    ledger.records[place]["qty"] -= 1
    return ledger.lines()


@plants("sent before intent", 11)
def _early_sent(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("ORDER_SENT")
    if place is None:
        return None
    sent = ledger.records.pop(place)
    if ledger.rng.random() < 0.5:
        before = next(at for at in range(place - 1, -1, -1) if ledger.records[at].get("order") == sent["order"])
        ledger.records.insert(before, sent | {"time": ledger.records[before]["time"]})
    else:
        after = ledger.first("ORDER_EVENT", lambda record: record["order"] == sent["order"], place)
        if after is None:
            return None
        ledger.records.insert(after + 1, sent | {"time": ledger.records[after]["time"]})
    return ledger.lines()


@plants("fill sign flipped", 12)
def _sign(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL")
    if place is None:
        return None
    ledger.records[place]["qty"] *= -1
    return ledger.settled_lines()


@plants("fill after cancel", 12)
def _after_cancel(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("ORDER_OUTCOME", lambda record: record["outcome"] == "CANCELLED" and record["left"] > 0)
    if place is None:
        return None
    record = ledger.records[place]
    order = ledger.order_of(record)
    leg = ledger.rng.choice(order["legs"])
    fill = ledger.fill(ledger.us(place), order["book"], order["trade"], order["order"], leg["symbol"], leg["qty"],
                       abs(order.get("limit_u6", 1_000_000)))  # fmt: skip
    ledger.insert(place + 1, [fill])
    return ledger.settled_lines()


@plants("fill doubled", 13)
def _doubled(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick(ledger.rng.choice(["FILL", "ORDER_INTENT"]))
    if place is None:
        return None
    ledger.insert(place + 1, [dict(ledger.records[place]) | {"@": -1}])
    return ledger.settled_lines()


@plants("overfill", 14)
def _overfill(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL")
    if place is None:
        return None
    record = ledger.records[place]
    ordered = next(leg["qty"] for leg in ledger.order_of(record)["legs"] if leg["symbol"] == record["symbol"])
    record["qty"] = ordered + (1 if ordered > 0 else -1) * ledger.rng.choice([1, 2, 10])
    return ledger.settled_lines()


@plants("combo half filled", 14, "friday")
def _half_combo(ledger: Ledger) -> list[bytes] | None:
    """One bought leg of an opening combo never fills, and nothing repairs it."""
    place = ledger.pick("FILL", lambda record: record["book"] == "friday_0dte" and "|OPEN|" in record["order"])
    if place is None:
        return None
    record = ledger.records[place]
    legs = {leg["symbol"] for leg in ledger.order_of(record)["legs"]}
    filled = {item["symbol"] for item in ledger.records if item["kind"] == "FILL" and item["order"] == record["order"]}
    if filled != legs:
        return None
    start = ledger.us(place)
    repaired = ledger.first(
        "INTENT",
        lambda item: (
            item["trade"] == record["trade"]
            and item["purpose"] != "OPEN"
            and micros(item["time"]) <= start + 61 * SECOND
        ),
    )
    if repaired is not None:
        return None
    ledger.remove([place])
    return ledger.settled_lines()


@plants("order never ends", 15)
def _endless(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("ORDER_OUTCOME", lambda record: record["outcome"] != "UNRESOLVED")
    if place is None:
        return None
    if ledger.rng.random() < 0.7:
        ledger.remove([place])
    else:
        ledger.records[place]["left"] += 1
    order = ledger.original[place]["order"]
    if any(
        record["kind"] == "ORDER_OUTCOME" and record["order"] == order and record["outcome"] == "UNRESOLVED"
        for record in ledger.records
    ):
        return None
    return ledger.lines()


@plants("close one too many", 16)
def _one_too_many(ledger: Ledger) -> list[bytes] | None:
    place = ledger.last_close_fill()
    if place is None:
        return None
    ledger.records[place]["qty"] += 1 if ledger.records[place]["qty"] > 0 else -1
    return ledger.settled_lines()


@plants("two full closes working", 17)
def _two_closes(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("ORDER_INTENT", lambda record: record["purpose"] == "CLOSE")
    if place is None:
        return None
    record = ledger.records[place]
    at = ledger.first("ORDER_SENT", lambda item: item["order"] == record["order"], place)
    if at is None:
        return None
    legs = {leg["symbol"]: leg["qty"] for leg in record["legs"]}
    ledger.insert(at + 1, ledger.attempt(ledger.us(at), record["book"], record["trade"], "CLOSE", legs,
                                         limit=record.get("limit_u6"), states=False))  # fmt: skip
    return ledger.settled_lines()


@plants("fill beyond limit", 18)
def _beyond(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL", lambda record: "limit_u6" in ledger.order_of(record))
    if place is None:
        return None
    record = ledger.records[place]
    order = ledger.order_of(record)
    fills = [item for item in ledger.records if item["kind"] == "FILL" and item["order"] == order["order"]]
    if {item["symbol"] for item in fills} != {leg["symbol"] for leg in order["legs"]}:
        return None
    units = _units(order)
    net = -sum(item["qty"] * item["price_u6"] for item in fills) - order["limit_u6"] * units
    worse = net // abs(record["qty"]) + ledger.rng.choice([10_000, 50_000, 1_000_000])
    price = record["price_u6"] + (worse if record["qty"] > 0 else -worse)
    if price < 0 or (
        len(order["legs"]) > 1
        and sum(abs(item["qty"]) for item in fills) != sum(abs(leg["qty"]) for leg in order["legs"])
    ):
        return None
    record["price_u6"] = price
    return ledger.settled_lines()


def _units(order: Record) -> int:
    return gcd(*(leg["qty"] for leg in order["legs"]))


@plants("order after the close", 19)
def _after_close(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("SESSION_CLOSED")
    session = None if place is None else ledger.session(place)
    if place is None or session is None:
        return None
    late = ledger.rng.choice([-29, -10, 1, 60, 600]) * SECOND
    us = session.close_us + late
    at = ledger.after_time(us + 1) if late > 0 else ledger.after_time(us)
    trade = f"etf_rotation-{session.day:%Y%m%d}-90"
    ledger.insert(at, ledger.attempt(us, "etf_rotation", trade, "OPEN", {"QQQ": 10}, limit=-510_000_000))
    return ledger.settled_lines()


@plants("loose leg", 19, "friday")
def _loose(ledger: Ledger) -> list[bytes] | None:
    sent = {record["order"] for record in ledger.records if record["kind"] == "ORDER_SENT"}
    place = ledger.pick("ORDER_INTENT", lambda record: len(record["legs"]) > 1 and record["order"] in sent)
    if place is None:
        return None
    if ledger.rng.random() < 0.5:
        ledger.records[place]["type"] = "COMBO_MARKET"
    else:
        ledger.records[place]["legs"] = ledger.records[place]["legs"][:-1]
    return ledger.lines()


def _children(ledger: Ledger, wanted: int) -> list[bytes] | None:
    """Give an intent more orders, each cancelled at once, before its own."""
    sent = {record["order"] for record in ledger.records if record["kind"] == "ORDER_SENT"}
    place = ledger.pick("ORDER_INTENT", lambda record: record["order"] in sent)
    if place is None:
        return None
    record = ledger.records[place]
    legs = {leg["symbol"]: leg["qty"] for leg in record["legs"]}
    us = ledger.us(place)
    rows: list[Record] = []
    for number in range(1, wanted + 1):
        rows += ledger.attempt(us, record["book"], record["trade"], record["purpose"], legs, number=number,
                               intent=record["intent"], limit=record.get("limit_u6"))  # fmt: skip
    ledger.insert(place, rows)
    return ledger.settled_lines()


@plants("9th child", 20)
def _ninth(ledger: Ledger) -> list[bytes] | None:
    return _children(ledger, 8)


@plants("21 orders a minute", 21)
def _rate(ledger: Ledger) -> list[bytes] | None:
    return _children(ledger, 20)


@plants("overdue order", 22)
def _overdue(ledger: Ledger) -> list[bytes] | None:
    places = ledger.regular_places()
    if not places:
        return None
    place = ledger.rng.choice(places)
    us = ledger.us(place - 1)
    rows = ledger.attempt(
        us, "etf_rotation", "etf_rotation-late-1", "OPEN", {"QQQ": 5}, limit=-510_000_000, states=False
    )
    late = ledger.after_time(us + 121 * SECOND, place)
    rows[-1]["time"] = ledger.records[late]["time"]
    ledger.insert(late, rows[-1:])
    ledger.insert(place, rows[:-1])
    return ledger.settled_lines()


@plants("replace without cancel", 23)
def _replaced(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("ORDER_SENT")
    if place is None:
        return None
    order = ledger.order_of(ledger.records[place])
    legs = {leg["symbol"]: leg["qty"] for leg in order["legs"]}
    rows = ledger.attempt(ledger.us(place), order["book"], order["trade"], order["purpose"], legs,
                          intent=order["intent"], limit=order.get("limit_u6"))  # fmt: skip
    ledger.insert(place + 1, rows)
    return ledger.settled_lines()
