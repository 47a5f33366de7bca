"""Clean ledgers to judge and to damage: seeded, with books, half days, expiries, splits and survived faults."""

from __future__ import annotations

import random
from datetime import date, timedelta
from functools import lru_cache

from audit.exchange_days import session_before, sessions
from tests.audit.chaining import Record
from tests.audit.family_book import Rotation
from tests.audit.option_books import FridayCondor, LongPuts
from tests.audit.simulate import Book, Simulator

HALF_DAYS = tuple(found.day for found in sessions(date(2021, 1, 4), date(2026, 1, 2)) if found.half_day)
ALL_BOOKS = ("friday_0dte", "lt112", "etf_rotation")
_MADE: dict[str, type[FridayCondor] | type[LongPuts] | type[Rotation]] = {
    "friday_0dte": FridayCondor,
    "lt112": LongPuts,
    "etf_rotation": Rotation,
}


def clean(
    seed: int,
    *,
    sessions: int = 4,
    first: date | None = None,
    books: tuple[str, ...] = ALL_BOOKS,
    stride: int = 3,
    faults: bool = True,
    **options: object,
) -> list[Record]:
    """Return the records of a clean run; without first it starts somewhere in 2021 to 2026."""
    rng = random.Random(seed * 7919 + 1)
    start = first or date(2021, 1, 4) + timedelta(days=rng.randrange(5 * 365))
    given = {
        "mode": rng.choice(["BACKTEST", "PAPER"]) if faults else "BACKTEST",
        "account": rng.choice(["MARGIN", "CASH"]),
        "holdings": [("IWM", 75)] if rng.random() < 0.25 else [],
    } | options
    sim = Simulator(seed, start, sessions, books=books, stride=stride, faults=faults, **given)  # type: ignore[arg-type]
    made: list[Book] = [_MADE[name](sim) for name in books]
    sim.books = made
    return sim.simulate()


def _last_of_week(monday: date) -> date:
    return session_before(monday + timedelta(days=5)).day


@lru_cache(maxsize=512)
def pool(seed: int, world: str = "any") -> tuple[Record, ...]:
    """Return one of the clean runs that are damaged: by default one session, the last of a week or a half day.

    Worlds: friday and options trade each Friday; refusing never does; expiry keeps bidless longs; long holds puts to 21
    days; split and half day as they say; pair has two sessions; dense writes a signal in each minute.
    """
    rng = random.Random(seed * 13 + len(world))
    monday = date(2021, 1, 4) + timedelta(days=7 * rng.randrange(250))
    half = rng.choice(HALF_DAYS)
    start = half if world == "half day" or (world == "any" and seed % 2) else _last_of_week(monday)
    if world in ("expiry", "split", "long", "pair"):
        start = session_before(start).day
    made: dict[str, dict[str, object]] = {
        "friday": {"friday_plan": "trade"},
        "options": {"friday_plan": "trade"},
        "refusing": {"friday_plan": "refuse"},
        "expiry": {"sessions": 3, "friday_plan": "bidless", "books": ("friday_0dte", "etf_rotation")},
        "long": {"sessions": 9, "books": ("lt112",), "long_dte": (22, 28), "mode": "BACKTEST"},
        "split": {"sessions": 4, "holdings": [("IWM", 75)], "action_rate": 0.9, "books": ("etf_rotation",)},
        "pair": {"sessions": 2, "books": ("etf_rotation",)},
        "dense": {"books": ("etf_rotation",), "stride": 1},
    }
    options = {"sessions": 1, "stride": 4} | made.get(world, {})
    return tuple(clean(seed, first=start, **options))  # type: ignore[arg-type]
