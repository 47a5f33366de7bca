"""A paper account that outlives its processes: one store, one broker file, one process after another.

Nothing is mocked: each process is the whole product on the embedded engine; the broker's memory and the object store
are files, and what a process had only in memory dies with it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
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
from engine.enums import OrderStatus
from engine.errors import SimulatedDeath
from engine.host import EngineJob, Host
from engine.memory import MemorySource
from engine.object_store import Flush
from tests.world import CALL, FRIDAY, INDEX_CLOSE, MAIN, PUT, SHORT_CALL, SHORT_PUT, SPX, World, minute

MORNING = datetime.combine(FRIDAY, time(10, 25))


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One leg as the broker has it; filled is when it was filled or settled (UTC)."""

    number: int
    tag: str
    symbol: str
    qty: int
    filled: datetime | None

    @property
    def is_ours(self) -> bool:
        return "|" in self.tag

    def to_text(self) -> str:
        filled = None if self.filled is None else self.filled.isoformat()
        return json.dumps([self.number, self.tag, self.symbol, self.qty, filled])

    @classmethod
    def from_text(cls, text: str) -> BrokerOrder:
        number, tag, symbol, qty, filled = json.loads(text)
        return cls(number, tag, symbol, qty, None if filled is None else datetime.fromisoformat(filled))


def broker_orders(host: Host) -> Iterator[BrokerOrder]:
    """Yield what one process knows of the broker's orders; the engine adds its own words to a tag."""
    for order in host.engine.transactions.all_orders():
        filled = order.last_fill_time if order.status is OrderStatus.FILLED else None
        tag = (order.tag or "").split(" ")[0]
        yield BrokerOrder(order.id, tag, order.symbol.value, int(order.quantity), filled)


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


def _entry(world: World) -> None:
    """The second offer (2.70) fills in the minute to 10:32."""
    world.condor(mid=2.70, half=0.40)
    world.condor(mid=3.20, half=0.40, since="10:32")


def _target(world: World) -> None:
    """The target is due at 11:10; its first offer waits, its second (sent at 11:11:05) fills by 11:12; whoever comes
    later is served by 11:18.
    """
    _entry(world)
    world.condor(mid=1.00, half=0.30, since="11:10")
    world.condor(mid=0.40, half=0.30, since="11:12")
    for since, mid, half in (("11:14", 0.30, 0.20), ("11:16", 0.20, 0.10), ("11:18", 0.10, 0.10)):
        world.condor(mid=mid, half=half, since=since)


def _stop(world: World) -> None:
    """The stop is confirmed at 11:11; the urgent ladder fills with its third order."""
    _entry(world)
    world.condor(mid=6.20, half=0.40, since="11:10")


def _settled(world: World) -> None:
    """From 15:20 nobody quotes the condor: it cannot be left, and settles in the night, 6 points in the money."""
    _entry(world)
    for strike in (SHORT_PUT - 10, SHORT_PUT, SHORT_CALL, SHORT_CALL + 10):
        for right in (PUT, CALL):
            world.silence(strike, right, since="15:20")
    for at in range(minute("15:00"), INDEX_CLOSE + 1):
        world.source.set_bar(SPX, world.day, at, SHORT_PUT - 6)


MARKETS: Mapping[str, Callable[[World], None]] = {"target": _target, "stop": _stop, "settled": _settled}


@cache
def market(name: str) -> MemorySource:
    """Write a Friday's market once, for any number of processes."""
    return World(prepare=MARKETS[name]).source


@dataclass
class PaperRun:
    """The account, and everything that its processes did."""

    name: str
    folder: Path
    cash: float = 100_000.0
    flush: Flush = Flush.WHEN_TOLD
    parameters: Mapping[str, str] = field(default_factory=dict)
    day: date = FRIDAY

    def __post_init__(self) -> None:
        self.monday = SessionClock(SessionSettings()).next_session(self.day).day
        self.store = self.folder / "store"
        self.broker_file = self.folder / "broker.json"
        self.witness = self.folder / "witness.jsonl"
        self.hosts: list[Host] = []
        self.died_at: list[datetime] = []
        self.killed = 0

    # ------------------------------------------------------------------------------------------------------ processes

    def start(self, at: datetime = MORNING, **job: Any) -> Host:
        """Start a process."""
        parameters = {
            "account.start_cash_usd": repr(self.cash),
            "run.start": self.day.isoformat(),
            "run.end": self.day.isoformat(),
            "run.engine": "embedded",
            "etf_rotation.enabled": "false",  # this market has no shares to rotate among
            "run.mode": "PAPER",
            **self.parameters,
        }
        host = Host(
            EngineJob(
                main=MAIN,
                source=market(self.name),
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

    def live_on(self, at: datetime | None = None, *, until: str | None = None) -> PaperRun:
        """Start again, in the minute of the last death unless told, and live to the end: exits, close, settlement in
        the night, and the first steps of the next session; or until a minute of the day.
        """
        host = self.start(_next_minute(self.died_at[-1]) if at is None else at)
        self.live_out(host, until=until)
        return self

    def copy(self, folder: Path) -> PaperRun:
        """Return the account as its last process has left it, in another folder, with all that it has lived through."""
        made = PaperRun(self.name, folder, self.cash, self.flush, self.parameters, self.day)
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        made.hosts, made.died_at, made.killed = list(self.hosts), list(self.died_at), self.killed
        return made

    def live_out(self, host: Host, *, until: str | None = None) -> None:
        morning_after = datetime.combine(self.monday, time(9, 5))
        last = morning_after if until is None else datetime.combine(self.day, time.fromisoformat(until))
        host.advance(until=last)
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
        return books, replay_ledger(FolderStore(self.store), self.assembly.run, books.takes)

    def sent(self) -> list[BrokerOrder]:
        """Return all that we ever sent, or that was settled for us, as the broker numbers it, over all processes."""
        found: dict[int, BrokerOrder] = {}
        for line in self.witness.read_text().splitlines() if self.witness.is_file() else ():
            order = BrokerOrder.from_text(line)
            found[order.number] = order
        for host in self.hosts:
            for order in broker_orders(host):
                assert order.number not in found or found[order.number].tag == order.tag, "a number was given twice"
                # A later process knows the end of an order that an earlier one has sent.
                if order.number not in found or order.filled is not None:
                    found[order.number] = order
        return list(found.values())

    def fills(self) -> list[BrokerOrder]:
        """Return what was filled or settled at the broker, heard of or not, in its order; orders fill whole."""
        filled = [order for order in self.sent() if order.filled is not None]
        return sorted(filled, key=lambda order: (order.filled or datetime.min, order.number))

    def broker_holdings(self) -> dict[str, int]:
        held = self.hosts[-1].engine.portfolio.held.values()
        return {security.symbol.value: int(security.holdings.quantity) for security in held}

    def broker_cash_u6(self) -> int:
        portfolio = self.hosts[-1].engine.portfolio
        return round((portfolio.settled + portfolio.unsettled) * 1_000_000)


def _next_minute(moment: datetime) -> datetime:
    """A minute that has begun is over before another process stands."""
    return moment if moment.second == 0 else moment.replace(second=0) + timedelta(minutes=1)


# ------------------------------------------------------------------------------------------------------------ the laws


def assert_no_order_repeated(run: PaperRun) -> None:
    intents = [record["order"] for record in run.records("ORDER_INTENT")]
    assert len(intents) == len(set(intents))
    legs = [(order.tag, order.symbol) for order in run.sent() if order.is_ours]
    assert len(legs) == len(set(legs)), "the broker has one of our orders twice"
    assert {tag for tag, _symbol in legs} <= set(intents), "an order was sent that the ledger does not know"


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
    # A killed process may have had no time to make its header durable.
    assert len(run.hosts) <= len(starts) <= len(run.hosts) + run.killed
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
    for moment, fills in groupby(run.fills(), key=lambda fill: fill.filled):
        assert moment is not None
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
