"""Planted violations of the six principles of the ETF family."""

from __future__ import annotations

from audit.times import MINUTE, utc_text
from tests.audit.chaining import Record
from tests.audit.damage import FAMILY, Ledger, is_family
from tests.audit.planting.registry import LONG, plants


@plants("cash to -$2", 40)
def _cash_below(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("MARK")
    if place is None:
        return None
    cash = next((item["cash_after_u6"] for item in reversed(ledger.records[:place]) if item["kind"] == "FILL"), None)
    if cash is None:
        cash = ledger.records[0]["start_cash_u6"]
    flows = _flows_since(ledger, place)
    us, amount = ledger.us(place), cash + flows + 2_000_000
    rows = [ledger.make("CASH_FLOW", "", us, type="WITHDRAWAL", amount_u6=-amount)]
    if ledger.rng.random() < 0.5:
        rows.append(ledger.make("CASH_FLOW", "", us, type="DEPOSIT", amount_u6=amount))
    ledger.insert(place + 1, rows)
    return ledger.settled_lines()


def _flows_since(ledger: Ledger, place: int) -> int:
    """Cash that moved by other things than fills since the last fill."""
    total = 0
    for record in reversed(ledger.records[:place]):
        if record["kind"] == "FILL":
            break
        total += (
            record["amount_u6"]
            if record["kind"] == "CASH_FLOW"
            else record["cash_u6"]
            if record["kind"] == "EXPIRY"
            else 0
        )
    return total


def _second_holding(ledger: Ledger, same_side: bool, fills: bool = True) -> list[bytes] | None:
    positions = ledger.held()
    found = [
        place for place, record in enumerate(ledger.records)
        if record["kind"] == "MARK" and any(symbol in FAMILY for symbol in positions[place])
    ]  # fmt: skip
    if not found:
        return None
    place = ledger.rng.choice(found)
    held = next(symbol for symbol in positions[place] if symbol in FAMILY)
    other = next(
        symbol
        for symbol in ledger.rng.sample(FAMILY, 4)
        if symbol != held and ((symbol in LONG) == (held in LONG)) == same_side
    )
    us, price, qty = ledger.us(place), ledger.quote(other, place), ledger.rng.randrange(1, 50)
    trade = "etf_rotation-other-1"
    rows = ledger.attempt(
        us, "etf_rotation", trade, "OPEN", {other: qty}, limit=-price * 2, price=price if fills else None
    )
    if fills:
        rows += ledger.attempt(us, "etf_rotation", trade, "CLOSE", {other: -qty}, price=price, number=2)
    ledger.insert(place + 1, rows)
    return ledger.settled_lines()


@plants("opposing fill", 41)
def _opposing(ledger: Ledger) -> list[bytes] | None:
    return _second_holding(ledger, same_side=False)


@plants("second same-side symbol", 42)
def _same_side(ledger: Ledger) -> list[bytes] | None:
    return _second_holding(ledger, same_side=True)


@plants("opposing order, cancelled", 41)
def _opposing_order(ledger: Ledger) -> list[bytes] | None:
    return _second_holding(ledger, same_side=False, fills=False)


@plants("second same-side order, cancelled", 42)
def _same_side_order(ledger: Ledger) -> list[bytes] | None:
    return _second_holding(ledger, same_side=True, fills=False)


@plants("second open in bar", 43)
def _second_open(ledger: Ledger) -> list[bytes] | None:
    opens = {
        r["order"]: r
        for r in ledger.records
        if r["kind"] == "ORDER_INTENT" and r["book"] == "etf_rotation" and r["purpose"] in ("OPEN", "ADD")
    }
    place = ledger.pick("ORDER_SENT", lambda record: record["order"] in opens)
    if place is None:
        return None
    symbol = opens[ledger.records[place]["order"]]["legs"][0]["symbol"]
    rows = ledger.attempt(
        ledger.us(place), "etf_rotation", "etf_rotation-twin-1", "OPEN", {symbol: 1}, limit=-600_000_000
    )
    ledger.insert(place + 1, rows)
    return ledger.settled_lines()


@plants("short by 1", 44)
def short_by_one(ledger: Ledger) -> list[bytes] | None:
    place = ledger.last_close_fill("etf_rotation")
    if place is None:
        return None
    ledger.records[place]["qty"] -= 1
    return ledger.settled_lines()


def _last_sales(ledger: Ledger, half_day: bool) -> list[int]:
    """Return the places of the sales that leave the book flat for the night, one a session."""
    positions = ledger.held()
    last: dict[str, int] = {}
    for place, record in enumerate(ledger.records):
        session = ledger.session(place)
        if (
            record["kind"] == "FILL"
            and is_family(record)
            and session is not None
            and not positions[place].get(record["symbol"])
        ):
            if session.half_day == half_day and abs(record["qty"]) > 1:
                last[session.day.isoformat()] = place
            else:
                last.pop(session.day.isoformat(), None)
    return sorted(last.values())


def _keep_one(ledger: Ledger, half_day: bool) -> list[bytes] | None:
    """The last sale of a session leaves one share."""
    found = _last_sales(ledger, half_day)
    if not found:
        return None
    ledger.records[ledger.rng.choice(found)]["qty"] += 1
    return ledger.settled_lines()


@plants("1 share sold in the morning", 45, "pair")
def _one_night(ledger: Ledger) -> list[bytes] | None:
    """One share is left in the evening and sold after the next open: at the end nothing is to be seen of it."""
    for place in _last_sales(ledger, half_day=False):
        record, evening = ledger.records[place], ledger.session(place)
        assert evening is not None
        after = ledger.after_time(evening.close_us + MINUTE, place)
        morning = ledger.first("MARK", lambda item: True, after)
        if morning is None:
            continue
        symbol, us = record["symbol"], ledger.us(morning)
        record["qty"] += 1
        rows = ledger.attempt(us, record["book"], record["trade"], "CLOSE", {symbol: -1}, number=70,
                              price=ledger.quote(symbol, morning))  # fmt: skip
        ledger.insert(morning + 1, rows)
        return ledger.settled_lines()
    return None


@plants("1 share overnight", 45)
def _overnight(ledger: Ledger) -> list[bytes] | None:
    return _keep_one(ledger, half_day=False)


@plants("1 share overnight on a half day", 45, "half day")
def _half_day(ledger: Ledger) -> list[bytes] | None:
    return _keep_one(ledger, half_day=True)


@plants("idle half the session", 46, "dense")
def _idle(ledger: Ledger) -> list[bytes] | None:
    places = ledger.places("SIGNAL")
    days = {record["time"][:10] for record in (ledger.records[place] for place in places)}
    for day in ledger.rng.sample(sorted(days), len(days)):
        today = [place for place in places if ledger.records[place]["time"][:10] == day]
        idle = [place for place in today if ledger.records[place]["held"] == ledger.records[place]["target"] == "CASH"]
        session = ledger.session(today[0])
        assert session is not None
        idle = [place for place in idle if ledger.us(place) < session.close_us - 31 * MINUTE]
        if len(idle) >= 35 and len(idle) * 2 > len(today):
            for place in idle:
                ledger.records[place]["target"] = "TQQQ"
            ledger.remove(
                place for place, record in enumerate(ledger.records)
                if record["kind"] == "VERDICT" and record["book"] == "etf_rotation" and not record["allowed"]
            )  # fmt: skip
            return ledger.lines()
    return None


@plants("open before close fill", 47)
def _early_open(ledger: Ledger) -> list[bytes] | None:
    closes = {
        r["order"]: r
        for r in ledger.records
        if r["kind"] == "ORDER_INTENT" and r["book"] == "etf_rotation" and r["purpose"] == "CLOSE"
    }
    place = ledger.pick("ORDER_SENT", lambda record: record["order"] in closes)
    if place is None:
        return None
    symbol = closes[ledger.records[place]["order"]]["legs"][0]["symbol"]
    other = ledger.rng.choice([item for item in FAMILY if item != symbol])
    rows = ledger.attempt(
        ledger.us(place), "etf_rotation", "etf_rotation-soon-1", "OPEN", {other: 3}, limit=-600_000_000
    )
    where = place + 1
    if ledger.rng.random() < 0.4:
        fill = ledger.first("FILL", lambda record: record["order"] in closes, place)
        if fill is None or ledger.us(fill) != ledger.us(place):
            return None
        outcome = ledger.first("ORDER_OUTCOME", lambda record: record["order"] in closes, fill)
        where = (outcome or fill) + 1
    ledger.insert(where, rows)
    return ledger.settled_lines()


@plants("open at close - 20 min", 48)
def _late_open(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("SESSION_CLOSED")
    session = None if place is None else ledger.session(place)
    if session is None:
        return None
    positions = ledger.held()
    at = ledger.after_time(session.close_us - ledger.rng.choice([30, 20, 16]) * MINUTE)
    us = max(ledger.us(at - 1), session.close_us - 30 * MINUTE)
    if any(symbol in FAMILY for symbol in positions[at]):
        us = max(us, ledger.us(at))
        at += 1
    signal = ledger.make(
        "SIGNAL",
        "etf_rotation",
        us,
        bar_time=utc_text(us),
        state="READY",
        p_e6=640_000,
        target="QQQ",
        held="CASH",
        reason="ALLOWED",
    )
    ledger.insert(
        at, [signal, *ledger.attempt(us, "etf_rotation", "etf_rotation-late-1", "OPEN", {"QQQ": 2}, limit=-600_000_000)]
    )
    return ledger.settled_lines()


@plants("open off the target", 48)
def _off_target(ledger: Ledger) -> list[bytes] | None:
    opens = {
        r["order"]: r
        for r in ledger.records
        if r["kind"] == "ORDER_INTENT" and r["book"] == "etf_rotation" and r["purpose"] == "OPEN"
    }
    place = ledger.pick("ORDER_SENT", lambda record: record["order"] in opens)
    if place is None:
        return None
    symbol = opens[ledger.records[place]["order"]]["legs"][0]["symbol"]
    at = max(item for item in ledger.places("SIGNAL") if item < place)
    ledger.records[at]["target"] = ledger.rng.choice([item for item in (*FAMILY, "CASH") if item != symbol])
    return ledger.lines()


@plants("101 orders in a block", 49)
def _churn(ledger: Ledger) -> list[bytes] | None:
    places = ledger.regular_places()
    if not places:
        return None
    place = ledger.rng.choice(places)
    us = ledger.us(place - 1)
    rows: list[Record] = []
    price = ledger.quote("QQQ", place)
    for number in range(1, 52):
        trade = f"etf_rotation-many-{number}"
        rows += ledger.attempt(us, "etf_rotation", trade, "OPEN", {"QQQ": 1}, limit=-price, price=price, number=number)
        rows += ledger.attempt(us, "etf_rotation", trade, "CLOSE", {"QQQ": -1}, price=price, number=100 + number)
    ledger.insert(place, rows)
    return ledger.settled_lines()
