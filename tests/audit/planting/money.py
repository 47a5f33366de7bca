"""Planted violations of cash, positions, equity, fees, prices, splits and expiries."""

from __future__ import annotations

from audit.contracts import contract
from audit.times import SECOND, micros
from tests.audit.damage import Ledger
from tests.audit.planting.registry import plants


@plants("fill dropped", 30)
def _dropped(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL")
    if place is None:
        return None
    ledger.remove([place])
    return ledger.lines()


@plants("price +1 %", 30)
def _price(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL", lambda record: record["price_u6"] >= 100)
    if place is None:
        return None
    ledger.records[place]["price_u6"] += ledger.records[place]["price_u6"] // 100
    return ledger.lines()


@plants("cash +$100", 30)
def _cash(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL")
    if place is None:
        return None
    for record in ledger.records[place:]:
        for name in ("cash_after_u6", "equity_u6"):
            if name in record:
                record[name] += 100_000_000
        if record["kind"] in ("BROKER_STATEMENT", "SESSION_CLOSED", "RUN_ENDED"):
            record["cash_u6"] += 100_000_000
        if record["kind"] == "MARK":
            record["engine_equity_u6"] += 100_000_000
    return ledger.lines()


@plants("statement cash +$5", 31)
def _statement_cash(ledger: Ledger) -> list[bytes] | None:
    doubted = {record["time"] for record in ledger.records if record["kind"] == "BREAK"}
    place = ledger.pick("BROKER_STATEMENT", lambda record: record["time"] not in doubted)
    if place is None or _settles(ledger, place):
        return None
    ledger.records[place]["cash_u6"] += 5_000_000
    ledger.records[place]["equity_u6"] += 5_000_000
    return ledger.lines()


def _settles(ledger: Ledger, place: int) -> bool:
    """A settlement may wait for its EXPIRY while the broker states its cash."""
    day = ledger.records[place]["time"][:10]
    return any(
        contract(symbol).is_option and contract(symbol).expiry.isoformat() < day for symbol in ledger.held()[place]
    )


@plants("statement position +1", 32)
def _statement_position(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("BROKER_STATEMENT")
    if place is None:
        return None
    record = ledger.records[place]
    broken = {item["symbol"] for item in ledger.records if item["kind"] == "BREAK"}
    rows = [dict(row) for row in record["holdings"]]
    free = [row for row in rows if row["symbol"] not in broken]
    if free and ledger.rng.random() < 0.7:
        row = ledger.rng.choice(free)
        row["qty"] += 1
        record["equity_u6"] += row["price_u6"] * row["mult"]
        rows = [row for row in rows if row["qty"]]
    else:
        if any(row["symbol"] == "SQQQ" for row in rows):
            return None
        rows.append({"symbol": "SQQQ", "qty": ledger.rng.choice([-1, 1]), "price_u6": 0, "mult": 1})
    record["holdings"] = rows
    return ledger.lines()


@plants("equity +3 %", 33)
def _equity(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick(ledger.rng.choice(["MARK", "BROKER_STATEMENT"]))
    if place is None:
        return None
    ledger.records[place]["equity_u6"] += ledger.records[place]["equity_u6"] * 3 // 100
    return ledger.lines()


@plants("negative fee", 34)
def _fee(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL")
    if place is None:
        return None
    record = ledger.records[place]
    record["fee_u6"] = ledger.rng.choice([-record["fee_u6"], -1, record["fee_u6"] * 5])
    return ledger.settled_lines()


@plants("fill 5 % off quote", 35)
def _off_quote(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("FILL", lambda record: record["source"] == "EVENT")
    if place is None:
        return None
    record = ledger.records[place]
    exec_us, symbol = micros(record["exec_time"]), record["symbol"]
    before = next((item for item in reversed(ledger.records[:place]) if item["kind"] == "MARK"), None)
    after = next(
        (item for item in ledger.records[place:] if item["kind"] == "MARK" and micros(item["time"]) >= exec_us), None
    )
    near = [item["px"][symbol] for item in (before, after) if item is not None and symbol in item["px"]
            and (item is after or exec_us - micros(item["time"]) <= 300 * SECOND)]  # fmt: skip
    if not near:
        return None
    low, high = min(row[3] for row in near), max(row[4] for row in near)
    if contract(symbol).is_option:
        record["price_u6"] = high + max(high * 21 // 100, 510_000)
    else:
        record["price_u6"] = ledger.rng.choice([high * 105 // 100, low * 95 // 100])
    return ledger.settled_lines()


@plants("split halves wrong", 36, "split")
def _split(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("SPLIT")
    if place is None:
        return None
    record = ledger.records[place]
    if ledger.rng.random() < 0.5:
        record["num"], record["den"] = record["den"], record["num"]
    else:
        record["num"] += 1
    return ledger.settled_lines(broker_too=False)


@plants("expiry lost", 37, "expiry")
def _expiry(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("EXPIRY")
    if place is None:
        return None
    if ledger.rng.random() < 0.7:
        ledger.remove([place])
        return ledger.settled_lines(broker_too=False)
    ledger.records[place]["cash_u6"] += 1_000_000
    return ledger.settled_lines()
