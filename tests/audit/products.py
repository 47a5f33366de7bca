"""Ledgers of the product itself: both books, orphans and splits, a broker that lies, processes that die.

Each is written once per process of the tests, by the worlds that the pipeline tests use.  A ledger that is not clean
by its nature (an orphan overnight is a breach of P5) is named with the rules that must say so.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from pathlib import Path

from tests.audit.chaining import PREVIOUS, Record
from tests.etf_world import EtfWorld, on
from tests.paper_run import FolderStore, PaperRun
from tests.world import PUT, SHORT_PUT, World

HALF_DAY = date(2025, 11, 28)
TRIPLE = "10:05=0.80"


def _etf(world: EtfWorld) -> bytes:
    return world.finish().store.joined(world.assembly.run)


def etf_day() -> bytes:
    """Three trades on both sides, a partial entry and its addition, a rejected and a partial close."""
    world = EtfWorld("10:05=0.80 10:45=0.20 12:30=0.50 13:30=0.64 14:20=0.50")
    world.broker.limit_fates = ["part:200"]
    world.broker.fates = ["reject", "part:300", "fill"]
    return _etf(world)


def etf_half_day() -> bytes:
    return _etf(EtfWorld(TRIPLE, day=HALF_DAY))


def etf_cash_account() -> bytes:
    return _etf(EtfWorld("10:05=0.80 11:00=0.20 13:00=0.50", settings={"account.type": "CASH"}))


def etf_two_sessions() -> bytes:
    world = EtfWorld("10:05=0.62 14:00=0.20", end=date(2025, 10, 29))
    return _etf(world.next_session())


def etf_lost_fill() -> bytes:
    """A close whose fill is never reported: doubt, and the fill found by asking."""
    world = EtfWorld("10:05=0.80 10:19=0.50")
    world.broker.fates = ["lost"]
    return _etf(world)


def etf_split_orphan() -> bytes:
    """A holding that nothing could sell is split overnight and swept at the open: 2:1, whole shares."""
    world = EtfWorld(TRIPLE, end=date(2025, 10, 29))
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.broker.fates, world.broker.moc_fates = ["never"] * 20, ["none"] * 20
    world.next_session()
    world.broker.fates = []
    world.market.move("TQQQ", 42.55, on("00:00", date(2025, 10, 29)))
    world.split("TQQQ", 2, 1)
    return _etf(world)


def etf_crash(*steps: float) -> Callable[[], bytes]:
    """Return the maker of a session in which three quarters of the account sit in TQQQ when it falls, step by step."""

    def make() -> bytes:
        sleeve = {"etf_rotation.sleeve_fraction": "0.75", "etf_rotation.max_exposure_fraction": "2.25"}
        world = EtfWorld(TRIPLE, settings=sleeve)
        for number, factor in enumerate(steps):
            world.market.move("TQQQ", round(85.19 * factor, 2), on(f"11:{number:02}"))
        return _etf(world.run("12:00"))

    return make


def friday() -> bytes:
    """A condor is filled at its third offer and leaves at its time."""
    return _friday(World(prepare=_filled))


def friday_bidless_wing() -> bytes:
    """The wing without a bid is left out and expires in the night."""
    world = World(prepare=_filled).run("10:33")
    world.quote(SHORT_PUT - 10, PUT, None, 0.05, since="15:25")
    return _friday(world)


def friday_refused() -> bytes:
    return _friday(World(vix=40.0, prepare=_filled))


def _filled(world: World) -> None:
    world.condor(mid=2.70, half=0.40)
    world.condor(mid=3.10, half=0.40, since="10:33")


def _friday(world: World) -> bytes:
    world.finish()
    store = world.host.engine.object_store.contents()
    return b"".join(store[key] for key in sorted(store) if "ledger-" in key)


def paper(name: str, *deaths: int) -> Callable[[], bytes]:
    """Return the maker of a paper account's ledger whose processes died at these events."""

    def make() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            run = PaperRun(name, Path(folder), parameters={"run.end": "2025-09-08"})
            at = None
            for number in deaths:
                assert run.die_at_event(number) if at is None else run.die_at_event(number, at)
                at = run.died_at[-1]
            run.live_on()
            run.assembly.coordinator.finish(run.hosts[-1].time, "STOPPED")
            store = FolderStore(run.store)
            keys = [key for key in store.keys("bulkhead/") if "/ledger-" in key]
            return b"".join(store.read(key) or b"" for key in keys)

    return make


MADE: Mapping[str, Callable[[], bytes]] = {
    "etf day": etf_day,
    "etf half day": etf_half_day,
    "etf cash account": etf_cash_account,
    "etf two sessions": etf_two_sessions,
    "etf lost fill": etf_lost_fill,
    "etf split orphan": etf_split_orphan,
    "etf crash": etf_crash(0.80),
    "etf loss in two steps": etf_crash(0.955, 0.86),
    "friday": friday,
    "friday bidless wing": friday_bidless_wing,
    "friday refused": friday_refused,
    "paper died before any fill": paper("target", 6),
    "paper died twice": paper("target", 14, 3),
    "paper died before the stop filled": paper("stop", 13),
    "paper settled in the night": paper("settled", 14),
}


@cache
def product(name: str) -> tuple[bytes, ...]:
    """Return the lines of a product's ledger."""
    return tuple(MADE[name]().splitlines(keepends=True))


@cache
def product_records(name: str) -> tuple[Record, ...]:
    """Return its records, to be damaged and chained anew."""
    records: list[Record] = []
    for line in product(name):
        record: Record = json.loads(line)
        del record["hash"], record["prev_hash"]
        for key in ("resumed_from", "head_hash"):
            if key in record:
                record[key] = PREVIOUS
        records.append(record)
    return tuple(records)


__all__ = ["MADE", "product", "product_records"]
