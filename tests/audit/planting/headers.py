"""Damage to lines, header and end of a ledger, with the chain made anew."""

from __future__ import annotations

import hashlib

from audit.limits import ceiling_of
from audit.rules.run import settings_hash
from audit.times import micros
from tests.audit.chaining import Record, chained
from tests.audit.damage import Ledger
from tests.audit.planting.registry import plants


@plants("line deleted", 3)
def _gap(ledger: Ledger) -> list[bytes] | None:
    ledger.remove([ledger.rng.randrange(len(ledger.records) - 1)])
    return ledger.lines(renumber=False)


@plants("unknown kind", 1)
def _unknown_kind(ledger: Ledger) -> list[bytes] | None:
    ledger.rng.choice(ledger.records)["kind"] = ledger.rng.choice(["MARKS", "", "fill", "NOTE"])
    return ledger.lines()


@plants("unknown field", 1)
def _unknown_field(ledger: Ledger) -> list[bytes] | None:
    record = ledger.rng.choice(ledger.records)
    if ledger.rng.random() < 0.5:
        record["comment"] = 1
    else:
        names = [name for name in record if name not in ("@", "prev_hash", "seq") and not _optional(record, name)]
        record.pop(ledger.rng.choice(names))
    return ledger.lines()


def _optional(record: Record, name: str) -> bool:
    from audit.schema import KINDS as SCHEMA

    field = SCHEMA[record["kind"]].get(name)
    return field is not None and field.optional


@plants("unknown reason", 1)
def _unknown_reason(ledger: Ledger) -> list[bytes] | None:
    names = ("reason", "purpose", "outcome", "status", "gate", "to", "trigger", "phase", "verdict", "target")
    found = [(record, name) for record in ledger.records for name in names if name in record]
    record, name = ledger.rng.choice(found)
    record[name] = ledger.rng.choice(["BECAUSE", "nowhere", ""])
    return ledger.lines()


@plants("float", 1)
def _float(ledger: Ledger) -> list[bytes] | None:
    record = ledger.rng.choice(ledger.records)
    fixed = ("@", "seq", "head_seq")  # made to fit when the lines are chained
    names = [name for name, value in record.items() if type(value) is int and name not in fixed]
    name = ledger.rng.choice(names)
    record[name] = ledger.rng.choice([record[name] + 0.5, float(record[name])])
    return ledger.lines()


@plants("space", 1)
def _space(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.lines()
    at = ledger.rng.randrange(len(lines))
    done = lines[:at]
    was = now = ""
    for line in lines[at:]:
        body = line[:-76] + b"}"
        if was:
            body = body.replace(was.encode(), now.encode())
        else:
            cut = body.index(ledger.rng.choice([b":", b","])) + 1
            body = body[:cut] + b" " + body[cut:]
        was, now = line[-67:-3].decode(), hashlib.sha256(body).hexdigest()
        done.append(body[:-1] + b',"hash":"' + now.encode() + b'"}\n')
    return done


@plants("settings edited", 4)
def _settings(ledger: Ledger) -> list[bytes] | None:
    record = ledger.records[0]
    name = ledger.rng.choice(sorted(record["settings"]))
    record["settings"] = record["settings"] | {name: "1.25"}
    return ledger.lines()


WITH_CEILING = [
    "sizer.trade_risk_pct",
    "sizer.trade_crash_pct",
    "margin.account_crash_pct",
    "margin.block_fraction",
    "vix.ceiling_high",
    "etf_rotation.sleeve_fraction",
    "orders.uncovered_max_s",
    "orders.children_per_parent",
    "orders.orders_per_min",
    "state.cash_tolerance_usd",
    "lt112.dte_exit",
    "friday_0dte.flat_min",
]


@plants("ceiling exceeded", 5)
def _ceiling(ledger: Ledger) -> list[bytes] | None:
    name = ledger.rng.choice(WITH_CEILING)
    ceiling = ceiling_of(name)
    assert ceiling is not None
    factor = ledger.rng.choice([1.05, 1.5, 3.0])
    value = ceiling.bound / factor if ceiling.is_floor else ceiling.bound * factor
    for record in ledger.records:
        if record["kind"] == "RUN_STARTED":
            record["settings"] = record["settings"] | {name: f"{value:.4f}"}
            if ledger.rng.random() < 0.2:
                record["families"] = {"LONG": {"QQQ": 1}, "INVERSE": {"SQQQ": 3, "PSQ": 1}}
            record["settings_hash"] = settings_hash(record["settings"])
    return ledger.lines()


@plants("counts wrong", 6)
def _counts(ledger: Ledger) -> list[bytes] | None:
    lines = ledger.recount(ledger.records)
    record = lines[-1]
    what = ledger.rng.choice(["counts", "cash_u6", "fees_u6", "after", "holdings"])
    if what == "counts":
        kind = ledger.rng.choice(sorted(record["counts"]))
        record["counts"] = record["counts"] | {kind: record["counts"][kind] + ledger.rng.choice([-1, 1, 7])}
    elif what == "after":
        lines.append(ledger.make("FAULT", "", micros(record["time"]), name="late"))
    elif what == "holdings":
        record["holdings"] = [*record["holdings"], {"symbol": "QQQ", "qty": 1, "price_u6": 0, "mult": 1}]
    else:
        record[what] += ledger.rng.choice([-1, 1, 1_000_000])
    return chained(lines)


@plants("all fills removed", 8)
def _no_fills(ledger: Ledger) -> list[bytes] | None:
    ledger.remove(ledger.places("FILL"))
    return ledger.settled_lines()


@plants("end unresolved", 9)
def _unresolved(ledger: Ledger) -> list[bytes] | None:
    place = ledger.pick("ORDER_OUTCOME", lambda record: record["outcome"] != "UNRESOLVED")
    if place is None:
        return None
    ledger.records[place]["outcome"] = "UNRESOLVED"
    ledger.records[-1]["orders"] = [ledger.records[place]["order"]]
    return ledger.lines()
