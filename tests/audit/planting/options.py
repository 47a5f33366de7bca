"""Planted violations of the option books: cover, loss, days to expiry."""

from __future__ import annotations

from audit.contracts import contract
from audit.exchange_days import session_after
from audit.times import MINUTE, SECOND, utc_text
from tests.audit.chaining import Record
from tests.audit.damage import Ledger
from tests.audit.planting.registry import plants


def _opening_longs(ledger: Ledger) -> list[int]:
    """Return fills of bought legs of opening combos whose order filled whole."""
    whole = {
        record["order"]
        for record in ledger.records
        if record["kind"] == "ORDER_OUTCOME" and record["outcome"] == "FILLED"
    }
    return ledger.places(
        "FILL",
        lambda record: record["qty"] > 0 and "|OPEN|" in record["order"] and record["order"] in whole
        and contract(record["symbol"]).is_option,
    )  # fmt: skip


@plants("wing 61 s late", 50, "friday")
def _late_wing(ledger: Ledger) -> list[bytes] | None:
    found = [place for place in _opening_longs(ledger) if ledger.records[place]["book"] == "friday_0dte"]
    if not found:
        return None
    place = ledger.rng.choice(found)
    record = ledger.records[place]
    late = ledger.us(place) + ledger.rng.choice([61, 90, 200]) * SECOND
    sold = ledger.first("FILL", lambda item: item["symbol"] == record["symbol"] and item["qty"] < 0, place)
    if sold is not None and ledger.us(sold) <= late:
        return None
    at = ledger.after_time(late, place)
    del ledger.records[place]
    record |= {"exec_time": utc_text(late), "time": ledger.records[at - 1]["time"]}
    ledger.records.insert(at - 1, record)
    return ledger.settled_lines()


@plants("max loss understated", 51, "options")
def _understated(ledger: Ledger) -> list[bytes] | None:
    sent = {record["intent"] for record in ledger.records if record["kind"] == "ORDER_INTENT"}
    place = ledger.pick(
        "INTENT", lambda record: record["purpose"] == "OPEN" and "max_loss_u6" in record and record["intent"] in sent
    )
    if place is None:
        return None
    record = ledger.records[place]
    if ledger.rng.random() < 0.8:
        record["max_loss_u6"] = record["max_loss_u6"] * ledger.rng.choice([2, 5, 8]) // 10
    else:
        record["max_loss_u6"] = 3_000_000_000
    return ledger.lines()


@plants("wing missing", 52, "options")
def _no_wing(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("INTENT", lambda record: record["purpose"] == "OPEN" and len(record["legs"]) > 1)
    if place is None:
        return None
    record = ledger.records[place]
    shorts = {leg["right"] for leg in record["legs"] if leg["ratio"] < 0}
    longs = [leg["symbol"] for leg in record["legs"] if leg["ratio"] > 0 and leg["right"] in shorts]
    if record["structure"] == "ONE_ONE_TWO":
        longs = [leg["symbol"] for leg in record["legs"] if leg["ratio"] == 2]
    symbol = ledger.rng.choice(longs)
    for item in ledger.records:
        if item.get("trade") == record["trade"] and "legs" in item:
            item["legs"] = [leg for leg in item["legs"] if leg["symbol"] != symbol]
    ledger.remove(ledger.places("FILL", lambda item: item["trade"] == record["trade"] and item["symbol"] == symbol))
    return ledger.settled_lines()


def _exit_of_21_dte(ledger: Ledger) -> list[int]:
    """Return the places of all that a trade does once it has come to its last day."""
    place = ledger.pick("INTENT", lambda record: record.get("reason") == "EXIT_DTE")
    if place is None:
        return []
    trade = ledger.records[place]["trade"]
    orders = {
        item["order"]
        for item in ledger.records
        if item["kind"] == "ORDER_INTENT" and item["trade"] == trade and item["purpose"] == "CLOSE"
    }

    def belongs(at: int, item: Record) -> bool:
        later = item.get("trade") == trade and (item.get("purpose") == "CLOSE" or at >= place - 1)
        return later or item.get("order") in orders or str(item.get("intent", "")).startswith(f"{trade}|CLOSE")

    return [at for at, item in enumerate(ledger.records) if belongs(at, item)]


@plants("21-DTE kept", 53, "long")
def _kept(ledger: Ledger) -> list[bytes] | None:
    places = _exit_of_21_dte(ledger)
    if not places:
        return None
    ledger.remove(places)
    return ledger.settled_lines()


@plants("21-DTE kept for a night", 53, "long")
def _kept_for_a_night(ledger: Ledger) -> list[bytes] | None:
    """The trade leaves in the next session: the days after know nothing of it."""
    places = _exit_of_21_dte(ledger)
    session = ledger.session(places[0]) if places else None
    if session is None:
        return None
    moved = [ledger.records[place] for place in places]
    ledger.remove(places)
    us = session_after(session.day).open_us + 40 * MINUTE
    at = ledger.after_time(us)
    if at == len(ledger.records) - 1:
        return None
    for record in moved:
        record["time"] = utc_text(us)
        for name in ("exec_time", "deadline"):
            if name in record:
                record[name] = utc_text(us if name == "exec_time" else us + 5 * MINUTE)
    ledger.insert(at, moved)
    return ledger.settled_lines()


@plants("short 0DTE leg at 15:56", 54, "friday")
def _late_short(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick(
        "FILL", lambda record: record["book"] == "friday_0dte" and record["qty"] > 0 and "|CLOSE|" in record["order"]
    )
    session = None if place is None else ledger.session(place)
    if place is None or session is None:
        return None
    record = ledger.records.pop(place)
    us = session.close_us - ledger.rng.choice([299, 240, 60]) * SECOND
    at = ledger.after_time(us)
    ledger.records.insert(at, record | {"time": utc_text(us), "exec_time": utc_text(us)})
    return ledger.settled_lines()
