"""The first count: from the venue's own executions and orders, minute by minute.

Nothing of the algorithm's books enters it; of the ledger only which orders belong to one intent, because the venue
does not know that.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tools.integrity.cells import BLOCK_MINUTES
from tools.integrity.run import Ran
from tools.integrity.tape import CLOCK, MINUTE
from tools.integrity.venue import Execution, Venue

_LONG, _INVERSE = frozenset({"QQQ", "TQQQ"}), frozenset({"PSQ", "SQQQ"})
_AFTER_CLOSE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Count:
    """What the six principles come down to in one run.

    conflicts   times that both sides began to be held at once, an opening at work counted as held
    shorts      times that a quantity fell below zero
    overnight   sessions after whose close (two minutes later) something was held
    crowded     openings, sent or first filled, beyond the first of their minute
    blocks      orders with a fill per block, oldest first: parents, whose further children do not count again
    """

    conflicts: int
    shorts: int
    overnight: tuple[date, ...]
    crowded: int
    lowest_cash_u6: int
    blocks: tuple[int, ...]
    fills: int
    fees_u6: int
    end_cash_u6: int


def count_at_broker(ran: Ran) -> Count:
    """Count from what the venue has executed."""
    venue = ran.venue
    executions = venue.executions
    cash = [execution.cash_u6 for execution in executions]
    return Count(
        conflicts=_begins(_both_sides(venue)),
        shorts=_begins(any(qty < 0 for qty in execution.held.values()) for execution in executions),
        overnight=tuple(day for day in ran.days if _held_after(executions, day)),
        crowded=_crowded(venue, _intents(ran.ledger)),
        lowest_cash_u6=min(cash, default=venue.total_u6),
        blocks=_blocks(ran, _intents(ran.ledger)),
        fills=len(executions),
        fees_u6=sum(round(execution.fee * 1e6) for execution in executions),
        end_cash_u6=venue.total_u6,
    )


def _begins(states: Iterator[bool]) -> int:
    """Count how often a state begins to hold."""
    before, count = False, 0
    for state in states:
        count += state and not before
        before = state
    return count


def _both_sides(venue: Venue) -> Iterator[bool]:
    for moment in venue.moments:
        present = moment.opening.union(moment.held)
        yield bool(present & _LONG) and bool(present & _INVERSE)


def _held_after(executions: Sequence[Execution], day: date) -> bool:
    session = CLOCK.session(day)
    assert session is not None, "runs are made of sessions"
    before = [execution for execution in executions if execution.at <= session.close + _AFTER_CLOSE]
    return bool(before) and bool(before[-1].held)


def _intents(ledger: bytes) -> Mapping[str, str]:
    lines = (line for line in ledger.splitlines() if b'"kind":"ORDER_INTENT"' in line)
    return {record["order"]: record["intent"] for record in map(json.loads, lines)}


def _crowded(venue: Venue, intents: Mapping[str, str]) -> int:
    """Count openings beyond the first of a minute, by sending and by first fill."""
    sent: dict[datetime, set[str]] = {}
    for at, order, opens in venue.sent:
        if opens:
            sent.setdefault(at, set()).add(intents[order])
    opened = {order for _at, order, opens in venue.sent if opens}
    first: dict[str, datetime] = {}
    for execution in venue.executions:
        if execution.order in opened:
            first.setdefault(intents[execution.order], execution.at)
    filled = Counter(first.values())
    return sum(len(found) - 1 for found in sent.values()) + sum(count - 1 for count in filled.values())


def _blocks(ran: Ran, intents: Mapping[str, str]) -> tuple[int, ...]:
    """Return the orders with a fill in each of the last blocks of session minutes."""
    begins: dict[date, int] = {}
    minutes = 0
    for day in ran.days:
        session = CLOCK.session(day)
        assert session is not None, "runs are made of sessions"
        begins[day] = minutes
        minutes += int((session.close - session.open) / MINUTE)
    found: list[set[str]] = [set() for _ in range(ran.cell.blocks)]
    for execution in ran.venue.executions:
        session = CLOCK.session(execution.at.date())
        assert session is not None, "nothing is executed on a closed day"
        minute = begins[session.day] + int((min(execution.at, session.close) - session.open) / MINUTE)
        place = ran.cell.blocks - 1 - (minutes - minute) // BLOCK_MINUTES
        if place >= 0:
            found[place].add(intents[execution.order])
    return tuple(len(orders) for orders in found)
