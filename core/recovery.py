"""Recovery on start, paper and live: the ledger is replayed, the newest valid snapshot completes it, the broker is
asked about what was under way.

What cannot be explained is frozen, never guessed and never traded away; no order is ever repeated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import gcd
from typing import Any

from core.books import Books
from core.eastern import from_utc_text
from core.errors import LedgerError
from core.ledger import GENESIS
from core.ledger_kinds import FIELDS, Kind
from core.ledger_sink import read_chunks
from core.order_gateway import OrderGateway
from core.ports import OrderRequest, OrderType, Store, TimeInForce
from core.trades import Trade
from core.vocabulary import Intent, IntentKind, Ladder, Leg, OrderLeg, OrderOutcome, Purpose, Structure, StructureName
from core.working_orders import Child, Parent


@dataclass(slots=True)
class Replay:
    """An earlier process's ledger: head, next seq, counts, and what had to be cut off behind the last intact line."""

    head: str = GENESIS
    seq: int = 0
    time: datetime = datetime.min
    counts: dict[str, int] = field(default_factory=dict)
    next_chunk: int = 0
    torn: tuple[str, ...] = ()
    sealed: bool = False

    @property
    def is_fresh(self) -> bool:
        return self.seq == 0


def replay_ledger(store: Store, run: str, books: Books) -> Replay:
    """Fold every intact line of a run's chunks into books.

    A torn tail (a last line that is not whole) is set aside; a break of the chain before the tail raises LedgerError:
    then nothing may be opened.
    """
    lines, following = read_chunks(store, run)
    found = Replay(next_chunk=following)
    for number, line in enumerate(lines):
        record = _intact(line, found.head)
        if record is None:
            if number < len(lines) - 1:
                raise LedgerError(
                    f"Ledger of run {run}, line {number + 1} of {len(lines)}: its hash or the one before it does not match. "
                    "The ledger was altered; move it away and adopt the positions by hand."
                )
            found.torn = (line,)
            break
        found.head, found.seq = record["hash"], record["seq"] + 1
        found.time = from_utc_text(record["time"])
        found.counts[record["kind"]] = found.counts.get(record["kind"], 0) + 1
        kind = Kind(record["kind"])
        found.sealed = kind is Kind.RUN_ENDED
        books.apply(kind, record["book"], _fields(kind, record), found.time)
    return found


def _intact(line: str, head: str) -> dict[str, Any] | None:
    """Return the record of a line whose hash and predecessor match, else None."""
    body, mark, _tail = line.rpartition(',"hash":"')
    digest = hashlib.sha256((body + "}").encode("ascii", errors="replace")).hexdigest()
    if not mark or line != f'{body},"hash":"{digest}"}}':
        return None
    record: dict[str, Any] = json.loads(line)
    return record if record["prev_hash"] == head else None


def _fields(kind: Kind, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's own fields with dates and times as the writer had them."""
    fields: dict[str, Any] = {}
    for name, spec in FIELDS[kind].items():
        if name not in record:
            continue
        value = record[name]
        if spec.type == "time":
            value = from_utc_text(value)
        elif spec.type == "date":
            value = datetime.strptime(value, "%Y-%m-%d").date()
        fields[name] = value
    return fields


def take_over_orders(books: Books, gateway: OrderGateway, now: datetime) -> tuple[str, ...]:
    """Hand every order of the earlier process to the gateway: ids are never used again, unfinished ones are resumed
    and asked about.

    Returns the ids of the unfinished orders. One that the broker does not know becomes UNRESOLVED in the first step,
    and LOST after its time.
    """
    gateway.remember(
        ((order, trade, purpose, attempt) for order, (trade, purpose, attempt) in books.orders.items()),
        books.intents.values(),
    )
    unfinished = []
    for order, (trade_id, purpose, _attempt) in books.orders.items():
        if books.order_outcomes.get(
            order, OrderOutcome.UNRESOLVED
        ) is not OrderOutcome.UNRESOLVED or not books.has_trade(trade_id):
            continue
        unfinished.append(order)
        gateway.adopt(*_resumed(books.trade(trade_id), order, purpose, books, now))
    for order in unfinished:
        gateway.query(order, now)
    return tuple(unfinished)


def _resumed(trade: Trade, order: str, purpose: Purpose, books: Books, now: datetime) -> tuple[Parent, Child]:
    """Return the parent and child of an order whose ladder has ended with its process: it is cancelled at the next
    step unless it filled.
    """
    quantities = books.order_legs[order]
    legs = tuple(OrderLeg(books.instrument(symbol), qty) for symbol, qty in quantities.items())
    filled = dict(books.order_filled.get(order, {}))
    units = gcd(*quantities.values())
    name = trade.structure.name if len(legs) == len(trade.structure.legs) else StructureName.LEGS
    structure = Structure(name, tuple(Leg(leg.instrument, leg.qty // units) for leg in legs))
    kind = OrderType.COMBO_LIMIT if len(legs) > 1 else OrderType.LIMIT
    request = OrderRequest(order, kind, TimeInForce.DAY, legs, units, None)
    child = Child(request, now, now + timedelta(seconds=60), filled=filled)
    intent = Intent(
        IntentKind.OPEN if purpose.adds_risk else IntentKind.CLOSE,
        trade.strategy,
        structure,
        Ladder.ENTRY,
        trade.id,
        units,
    )
    parent = Parent(
        intent_id=f"{order}|resumed",
        intent=intent,
        purpose=purpose,
        structure=structure,
        units=units,
        ladder=Ladder.ENTRY if purpose.adds_risk else Ladder.TARGET,
        floor_cash=None,
        started=now,
        next_step_at=now,
        ladder_end=now,
        children=1,
    )
    return parent, child
