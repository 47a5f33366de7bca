"""The book dies and starts again: at any step, and in the middle of any word to the broker.

Paper runs of the whole core on the live signal; what a process leaves is what stands in the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.assembly import Assembly, assemble
from core.family_desk import FamilyDesk
from core.ports import Account, OrderRequest
from core.settings import Settings
from core.signal import MissingBar, Reading, SignalBar
from core.vocabulary import BrokerEvent
from tests.etf_world import Names
from tools.integrity.run import START_CASH_U6, Shelf
from tools.integrity.tape import CLOCK, MINUTE, Tape
from tools.integrity.venue import RATES, Fault, Venue
from tools.ledger_chunks import join_chunks

DAY = date(2025, 11, 28)
SEED = 5
FEW = settings(max_examples=6, phases=(Phase.explicit, Phase.reuse, Phase.generate))


class Death(BaseException):
    """The process is gone: nothing after this line of it happens."""


@dataclass
class PaperVenue(Venue):
    """States its margin, as a broker of a paper account does, and kills the process at chosen calls."""

    deaths: frozenset[tuple[int, bool]] = frozenset()
    calls: int = 0
    heard: list[BrokerEvent] = field(default_factory=list)

    def account(self) -> Account:
        account = super().account()
        used = max(0.0, account.equity_usd - self.total_u6 / 1e6)
        return replace(account, margin_used_usd=used, margin_remaining_usd=max(0.0, account.equity_usd - used))

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        self.calls += 1
        if (self.calls, False) in self.deaths:
            raise Death  # before the word has left
        answer = super().send(request)
        if (self.calls, True) in self.deaths:
            raise Death  # it has arrived, and nobody hears what it brought
        return answer


@dataclass
class PaperDay:
    """One short session of the live signal."""

    kills: frozenset[int] = frozenset()
    deaths: frozenset[tuple[int, bool]] = frozenset()
    fault: Fault = Fault.NONE

    def __post_init__(self) -> None:
        self.tape = Tape(SEED, DAY, DAY)
        self.venue = PaperVenue(self.tape, RATES[self.fault], "paper", START_CASH_U6, False, deaths=self.deaths)
        self.shelf = Shelf()
        self.starts = 0
        self.readings: dict[datetime, float | None] = {}

    def start(self) -> Assembly:
        self.starts += 1
        chosen = {
            "friday_0dte.enabled": "false", "etf_rotation.enabled": "true", "run.mode": "PAPER",
            "run.engine": "embedded", "run.start": DAY.isoformat(), "run.end": DAY.isoformat(),
        }  # fmt: skip
        made = assemble(Settings.from_parameters(chosen), self.tape, self.venue, self.shelf, self.tape.now, Names())
        self.venue.sink = made.coordinator.post
        return made

    def run(self) -> PaperDay:
        session, read = CLOCK.session(DAY), FamilyDesk._read
        assert session is not None, "the day is a session"

        def overhear(desk: FamilyDesk, minute: SignalBar | MissingBar) -> Reading:
            reading = read(desk, minute)
            known = self.readings.setdefault(reading.bar_time, reading.probability)
            assert known == reading.probability, "two processes read the same minute alike"
            return reading

        FamilyDesk._read = overhear  # type: ignore[method-assign,assignment]
        try:
            self._pass(session.open - 31 * MINUTE, session.close + 16 * MINUTE)
        finally:
            FamilyDesk._read = read  # type: ignore[method-assign]
        return self

    def _pass(self, first: datetime, last: datetime) -> None:
        self.tape.now = first
        assembly = self.start()
        number = 0
        while self.tape.now < last:
            self.tape.now += MINUTE
            number += 1
            self.venue.advance()
            if number in self.kills:
                assembly = self.start()
            try:
                self._step(assembly)
            except Death:
                assembly = self.start()
                self._step(assembly)
        assembly.parts.ledger.flush(durable=True)

    def _step(self, assembly: Assembly) -> None:
        if assembly.coordinator.is_due(self.tape.now):
            assembly.step(self.tape.now)
            assembly.coordinator.attend(self.tape.now)

    # ------------------------------------------------------------------------------------------------ what came of it

    def orders(self) -> list[tuple[datetime, str, str, int]]:
        """Return every order that reached the venue: when, its id, symbol and shares."""
        orders = self.venue.orders
        return [(at, order, orders[order].symbol, orders[order].qty) for at, order, _opens in self.venue.sent]

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        found = (json.loads(line) for line in join_chunks(self.shelf.blobs).splitlines())
        return [record for record in found if record["kind"] in kinds]

    def signals(self) -> dict[str, tuple[str, str, str]]:
        """Return target, held and reason by minute, as they stand in the ledger."""
        return {
            record["bar_time"]: (record["target"], record["held"], record["reason"])
            for record in self.records("SIGNAL")
        }


@cache
def undisturbed() -> PaperDay:
    return PaperDay().run()


def steps(*clocks: str) -> frozenset[int]:
    first = datetime.combine(DAY, datetime.min.time()).replace(hour=8, minute=59)
    return frozenset(
        int((datetime.combine(DAY, datetime.strptime(clock, "%H:%M").time()) - first) / MINUTE) for clock in clocks
    )


def test_the_undisturbed_day_trades_and_ends_flat() -> None:
    day = undisturbed()
    assert len(day.orders()) >= 10
    assert day.venue.positions() == {}
    assert day.starts == 1


@given(st.frozensets(st.integers(1, 255), min_size=1, max_size=6))
@FEW
def test_property_8_after_a_restart_at_any_step_readings_and_orders_are_the_same(kills: frozenset[int]) -> None:
    day, plain = PaperDay(kills).run(), undisturbed()
    assert day.starts == 1 + len(kills)
    assert day.readings == plain.readings
    assert day.orders() == plain.orders()
    assert day.signals() == plain.signals()


def test_property_8_while_something_is_held_a_restart_holds_it() -> None:
    """The session is announced anew by each process: what is held is no orphan, and counters of the session go on."""
    plain = undisturbed()
    held = [number for number, record in enumerate(plain.records("SIGNAL")) if record["held"] != "CASH"]
    day = PaperDay(frozenset(32 + number for number in held[3:60:7])).run()
    assert day.starts > 3
    assert day.orders() == plain.orders()


@given(st.frozensets(st.tuples(st.integers(1, 14), st.booleans()), min_size=1, max_size=3))
@FEW
def test_property_8_dead_in_the_middle_of_a_word_to_the_broker_nothing_is_sent_twice(
    deaths: frozenset[tuple[int, bool]],
) -> None:
    day = PaperDay(deaths=deaths).run()
    assert day.starts > 1
    assert_sound(day)


@given(
    st.sampled_from([Fault.LATE, Fault.LOST, Fault.PARTIAL, Fault.CANCEL, Fault.REJECT]),
    st.frozensets(st.integers(1, 255), min_size=1, max_size=4),
)
@FEW
def test_property_8_restarts_among_faults_keep_the_principles(fault: Fault, kills: frozenset[int]) -> None:
    assert_sound(PaperDay(kills, fault=fault).run())


def assert_sound(day: PaperDay) -> None:
    """Ids are used once (the venue asserts it), nothing is sold that is not held, nothing stays, readings repeat."""
    assert len({order for _at, order, _symbol, _qty in day.orders()}) == len(day.orders())
    assert not any(qty < 0 for execution in day.venue.executions for qty in execution.held.values())
    assert not any(len(execution.held) > 1 for execution in day.venue.executions)
    assert min((execution.cash_u6 for execution in day.venue.executions), default=0) >= 0
    assert day.venue.positions() == {}
    assert day.readings == undisturbed().readings
    opens = opens_by_minute(day.venue.sent)
    assert max(opens, default=0) <= 1


def opens_by_minute(sent: Iterable[tuple[datetime, str, bool]]) -> list[int]:
    minutes = [at for at, _order, opens in sent if opens]
    return [minutes.count(at) for at in set(minutes)]
