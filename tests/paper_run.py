"""A paper account that outlives its processes: one store, one broker file, one process after another.

Nothing is mocked: each process is the whole product on the embedded engine; the broker's memory and the object store
are files, and what a process had only in memory dies with it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from core.assembly import Assembly
from core.books import Books
from core.eastern import from_utc_text
from core.ledger_reader import Replay, replay_ledger
from core.session import SessionClock
from core.settings import SessionSettings
from core.trade_machine import OUTCOMES, TABLE, Look, TradeState, Trigger
from engine.enums import OrderStatus, OrderType
from engine.errors import SimulatedDeath
from engine.host import EngineJob, Host
from engine.memory import MemorySource
from engine.object_store import Flush
from engine.orders import Order
from tests.world import FRIDAY, MAIN, World

MORNING = datetime.combine(FRIDAY, time(9, 20))


@dataclass(frozen=True, slots=True)
class BrokerFill:
    """One leg as the broker filled or settled it; time is UTC."""

    time: datetime
    tag: str
    symbol: str
    qty: int


class FolderStore:
    """The store's folder as the next process will find it (`core.ports.Store`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> bytes | None:
        path = self._folder / key
        return path.read_bytes() if path.is_file() else None

    def save(self, key: str, payload: bytes) -> None:
        self.durable(key, payload)

    def durable(self, key: str, payload: bytes) -> None:
        (self._folder / key).write_bytes(payload)

    def keys(self, prefix: str) -> list[str]:
        found = (path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file())
        return sorted(key for key in found if key.startswith(prefix))


def market(prepare: Callable[[World], None]) -> MemorySource:
    """Write a Friday's market once, for any number of processes."""
    return World(prepare=prepare).source


@dataclass
class PaperRun:
    """The account, and everything that its processes did."""

    source: MemorySource
    folder: Path
    cash: float = 100_000.0
    flush: Flush = Flush.WHEN_TOLD
    parameters: Mapping[str, str] = field(default_factory=dict)
    day: date = FRIDAY

    def __post_init__(self) -> None:
        self.monday = SessionClock(SessionSettings()).next_session(self.day).day
        self.store = self.folder / "store"
        self.broker_file = self.folder / "broker.json"
        self.hosts: list[Host] = []
        self.died_at: list[datetime] = []

    # ------------------------------------------------------------------------------------------------------ processes

    def start(self, at: datetime = MORNING, **job: Any) -> Host:
        """Start a process."""
        parameters = {
            "account.start_cash_usd": repr(self.cash),
            "run.start": self.day.isoformat(),
            "run.end": self.day.isoformat(),
            "run.engine": "embedded",
            "run.mode": "PAPER",
            **self.parameters,
        }
        host = Host(
            EngineJob(
                main=MAIN,
                source=self.source,
                start=at.date(),
                end=self.monday,
                start_time=at.time(),
                parameters=parameters,
                object_store=self.store,
                flush=self.flush,
                mode="paper",
                broker_file=self.broker_file,
                **job,
            )
        )
        self.hosts.append(host)
        host.start()
        self._check(host)
        return host

    def live_until(self, clock: str, host: Host | None = None) -> Host:
        """Let a process live up to and including a minute, then never hear of it again."""
        host = host or self.start()
        host.advance(until=datetime.combine(self.day, time.fromisoformat(clock)))
        self._check(host)
        self.died_at.append(host.time)
        return host

    def die_at_event(self, number: int, at: datetime = MORNING) -> bool:
        """Start a process that dies at its n-th broker event; returns whether it came to that."""
        host = self.start(at, death_at_event=number)
        try:
            host.advance(until=datetime.combine(self.monday, time(9, 5)))
        except SimulatedDeath:
            self.died_at.append(host.time)
            return True
        self._check(host)
        host.finish()
        return False

    def live_on(self, at: datetime | None = None) -> PaperRun:
        """Start again, in the minute of the last death unless told, and live to the end: exits, close, settlement in
        the night, and the first steps of the next session.
        """
        host = self.start(_next_minute(self.died_at[-1]) if at is None else at)
        self.live_out(host)
        return self

    def live_out(self, host: Host) -> None:
        host.advance(until=datetime.combine(self.monday, time(9, 5)))
        self._check(host)
        host.finish()

    @staticmethod
    def _check(host: Host) -> None:
        error = host.engine.run_time_error
        assert error is None, error.traceback if error is not None else ""

    # ------------------------------------------------------------------------------------------------ what came of it

    @property
    def assembly(self) -> Assembly:
        found: Assembly = self.hosts[-1].algorithm._assembly
        return found

    @property
    def books(self) -> Books:
        return self.assembly.parts.books

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the ledger's records on disk, of all processes; `at` is added."""
        return [record for record in self._lines() if not kinds or record["kind"] in kinds]

    def _lines(self) -> Iterator[dict[str, Any]]:
        store = FolderStore(self.store)
        for key in store.keys("bulkhead/"):
            if "/ledger-" in key:
                for line in (store.read(key) or b"").splitlines():
                    record: dict[str, Any] = json.loads(line)
                    record["at"] = from_utc_text(record["time"]).strftime("%H:%M")
                    yield record

    def alerts(self) -> list[str]:
        return [record["code"] for record in self.records("ALERT") if record["severity"] != "INFO"]

    def replay(self) -> tuple[Books, Replay]:
        """Fold the ledger on disk into fresh books."""
        books = Books()
        return books, replay_ledger(FolderStore(self.store), self.assembly.run, books.apply)

    def fills(self) -> list[BrokerFill]:
        """Return what was filled or settled at the broker, over all processes, heard of or not; orders fill whole."""
        found: dict[int, BrokerFill] = {}
        for host in self.hosts:
            for order in host.engine.transactions.all_orders():
                if order.status is OrderStatus.FILLED and order.last_fill_time is not None:
                    fill = BrokerFill(order.last_fill_time, _tag(order), order.symbol.value, int(order.quantity))
                    found.setdefault(order.id, fill)
        return sorted(found.values(), key=lambda fill: fill.time)

    def sent(self) -> dict[int, tuple[str, str]]:
        """Return broker order number -> (tag, symbol) of all that we ever sent."""
        found: dict[int, tuple[str, str]] = {}
        for host in self.hosts:
            for order in host.engine.transactions.all_orders():
                if order.type is not OrderType.OPTION_EXERCISE:
                    found.setdefault(order.id, (_tag(order), order.symbol.value))
        return found

    def broker_holdings(self) -> dict[str, int]:
        held = self.hosts[-1].engine.portfolio.held.values()
        return {security.symbol.value: int(security.holdings.quantity) for security in held}

    def broker_cash_u6(self) -> int:
        portfolio = self.hosts[-1].engine.portfolio
        return round((portfolio.settled + portfolio.unsettled) * 1_000_000)


def _tag(order: Order) -> str:
    """Return an order's id as we wrote it; the engine adds its own words to a tag."""
    return (order.tag or "").split(" ")[0]


def _next_minute(moment: datetime) -> datetime:
    """A minute that has begun is over before another process stands."""
    return moment if moment.second == 0 else moment.replace(second=0) + timedelta(minutes=1)


# ------------------------------------------------------------------------------------------------------------ the laws


def assert_no_order_repeated(run: PaperRun) -> None:
    intents = [record["order"] for record in run.records("ORDER_INTENT")]
    assert len(intents) == len(set(intents))
    sent = list(run.sent().values())
    assert len(sent) == len(set(sent)), "the broker has one of our orders twice"
    assert {tag for tag, _symbol in sent} <= set(intents), "an order was sent that the ledger does not know"


def assert_opened_once(run: PaperRun) -> None:
    """No second trade of the day was filled at the broker, whatever we know of the first."""
    assert len({fill.tag for fill in run.fills() if "|OPEN|" in fill.tag}) <= 1


def assert_chain_holds(run: PaperRun) -> None:
    books, replay = run.replay()
    assert (replay.broken, replay.torn) == ("", "")
    assert dict(books.positions()) == dict(run.books.positions())
    assert books.cash_u6 == run.books.cash_u6
    lines = run.records()
    starts = [number for number, record in enumerate(lines) if record["kind"] == "RUN_STARTED"]
    assert len(starts) == len(run.hosts)
    for number in starts[1:]:
        assert lines[number]["resumed_from"] == lines[number - 1]["hash"]


def assert_states_legal(run: PaperRun) -> None:
    for record in run.records("TRADE_STATE"):
        target = TABLE[(TradeState(record["from"]), Trigger(record["trigger"]))]
        allowed = OUTCOMES[target] if isinstance(target, Look) else {target}
        assert record["to"] in allowed, record


def assert_covered(run: PaperRun, most_s: int = 60) -> None:
    """No short stood at the broker without a long of its right for longer than a minute of market time."""
    held: Counter[str] = Counter()
    since: datetime | None = None
    for moment, fills in groupby(run.fills(), key=lambda fill: fill.time):
        assert since is None or (moment - since).total_seconds() <= most_s, f"a short was uncovered from {since}"
        for fill in fills:
            held[fill.symbol] += fill.qty
        is_naked = any(sum(qty for symbol, qty in held.items() if symbol[12] == right) < 0 for right in "CP")
        since = (since or moment) if is_naked else None
    assert since is None


def assert_books_equal_broker(run: PaperRun) -> None:
    assert dict(run.books.positions()) == run.broker_holdings()
    assert run.books.cash_u6 == run.broker_cash_u6()


def assert_lawful(run: PaperRun) -> None:
    """All that must hold at the end of any storm."""
    assert_no_order_repeated(run)
    assert_opened_once(run)
    assert_covered(run)
    assert_chain_holds(run)
    assert_states_legal(run)
    assert_books_equal_broker(run)


__all__ = ["FolderStore", "MORNING", "PaperRun", "assert_lawful", "market"]
