"""Run one cell: the whole core, from quotes to ledger, on a tape and a venue."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from core.assembly import Assembly, assemble
from core.settings import Settings
from strategies.signals.synthetic import write_table
from tools.integrity.cells import HORIZON_BARS, Account, Cell
from tools.integrity.tape import CLOCK, MINUTE, Silence, Tape
from tools.integrity.venue import RATES, Fault, Venue
from tools.ledger_chunks import join_chunks

START_CASH_U6: Final = 100_000_000_000
_HALTS_PER_SESSION: Final = 0.6
_HALT_MINUTES: Final = (3, 6, 12, 40)
_TO_THE_CLOSE: Final = 0.25
_FAMILY: Final = ("QQQ", "TQQQ", "PSQ", "SQQQ")


class Shelf:
    """`core.ports.Store` in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def read(self, key: str) -> bytes | None:
        return self.blobs.get(key)

    def save(self, key: str, payload: bytes) -> None:
        self.blobs[key] = payload

    def durable(self, key: str, payload: bytes) -> None:
        self.save(key, payload)

    def keys(self, prefix: str) -> Sequence[str]:
        return sorted(key for key in self.blobs if key.startswith(prefix))


class _Names:
    """Shares are known by their ticker: nothing to remember."""

    def identifier(self, text: str) -> str:
        return text

    def restore(self, text: str, identifier: str) -> None:
        return


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run left: the venue's own record and the ledger."""

    cell: Cell
    days: tuple[date, ...]
    venue: Venue
    ledger: bytes
    silences: tuple[Silence, ...]


def run(cell: Cell) -> Ran:
    """Run a cell to its end and return what it left."""
    days, silences = cell.days(), tuple(_halts(cell))
    tape = Tape(cell.seed, days[0], days[-1], silences)
    venue = Venue(
        tape, RATES[cell.fault], f"{cell.seed}|{cell.fault}|{cell.signal}", START_CASH_U6, cell.account is Account.CASH
    )
    shelf = Shelf()
    assembly = _assemble(cell, tape, venue, shelf)
    for day in days:
        session = CLOCK.session(day)
        assert session is not None, "cells are made of sessions"
        _pass(assembly, tape, venue, session.open - 30 * MINUTE, session.close + 20 * MINUTE)
    assembly.finish(tape.now)
    return Ran(cell, days, venue, join_chunks(shelf.blobs), silences)


def _assemble(cell: Cell, tape: Tape, venue: Venue, shelf: Shelf) -> Assembly:
    rises = {day: tape.rises(day, "QQQ", HORIZON_BARS) for day in tape.days} if cell.source == "look_ahead" else {}
    settings = Settings.from_parameters(cell.settings(write_table(rises)))
    tape.now = datetime.combine(tape.days[0], time(8, 59))
    assembly = assemble(settings, tape, venue, shelf, tape.now, _Names())
    venue.sink = assembly.coordinator.post
    return assembly


def _pass(assembly: Assembly, tape: Tape, venue: Venue, first: datetime, last: datetime) -> None:
    """Let the minutes from first to last pass, as an engine does."""
    tape.now = first
    while tape.now <= last:
        venue.advance()
        if assembly.coordinator.is_due(tape.now):
            assembly.step(tape.now)
            # The engine confirms a cancel in the minute of the step but after it.
            assembly.coordinator.attend(tape.now)
        tape.now += MINUTE


def _halts(cell: Cell) -> list[Silence]:
    """Return the halts of a cell whose fault has them: of every length, some to the close."""
    if cell.fault not in (Fault.HALT, Fault.MIXED):
        return []
    chance, found = random.Random(f"{cell.seed}|halts|{cell.signal}"), []
    for day in cell.days():
        session = CLOCK.session(day)
        assert session is not None, "cells are made of sessions"
        if chance.random() >= _HALTS_PER_SESSION:
            continue
        minutes = int((session.close - session.open) / MINUTE)
        since = session.open + chance.randrange(10, minutes - 2) * MINUTE
        until = since + timedelta(minutes=chance.choice(_HALT_MINUTES))
        if chance.random() < _TO_THE_CLOSE:
            until = session.close
        announced = chance.random() < 0.5
        found.append(Silence(chance.choice(_FAMILY), since, min(until, session.close), announced))
    return found
