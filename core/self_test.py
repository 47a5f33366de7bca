"""The self-test: pure, run at start; its failure blocks entries only.

It proves that the joints hold: every part has the members that others call, the trade table has no trap, the calendar
covers the run, and every rule that reads the market refuses an empty one.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from core.books import Books
from core.market import MarketSnapshot, OpeningPrice, OpeningStatus, Session
from core.trade_machine import traps
from core.vocabulary import Instrument, Intent, IntentKind, Ladder, Leg, Right, SessionPhase, Structure, StructureName

if TYPE_CHECKING:
    from core.parts import Parts

_MANAGER_MEMBERS = ("name", "rests", "watch")
_STRATEGY_MEMBERS = ("name", "priority", "root", "window", "watches", "enter", "leave", "cap", "max_open")


def self_test(parts: Parts) -> tuple[str, ...]:
    """Return one sentence per broken joint; empty when all hold."""
    return (*_contracts(parts), *traps(), *_calendar(parts), *_empty_market(parts))


def _contracts(parts: Parts) -> list[str]:
    found = []
    for part, members in [(item, _MANAGER_MEMBERS) for item in parts.managers] + [
        (item, _STRATEGY_MEMBERS) for item in parts.strategies
    ]:
        lacking = [member for member in members if not hasattr(part, member)]
        if lacking:
            found.append(f"{type(part).__name__} lacks {', '.join(lacking)}, which the coordinator calls.")
    names = [strategy.name for strategy in parts.strategies]
    if len(set(names)) != len(names):
        found.append(f"Two strategies have one name: {', '.join(sorted(names))}.")
    return found


def _calendar(parts: Parts) -> list[str]:
    run = parts.settings.run
    day, found = run.start, 0
    while day <= run.end:
        found += parts.clock.session(day) is not None
        day += timedelta(days=1)
    return [] if found else [f"No session between {run.start} and {run.end}: the calendar knows none."]


def _empty_market(parts: Parts) -> list[str]:
    """Every gate that reads the market must refuse when there is nothing to read."""
    snapshot, intent = _nothing(), _anything()
    needs_market = ("vix", "concentration", "phase", "margin")
    return [
        f"Gate {gated.gate.value} allows an opening on an empty market."
        for gated in parts.pipeline.gates
        if gated.gate.value in needs_market and gated.rule(intent, snapshot, Books()).allowed
    ]


def _nothing() -> MarketSnapshot:
    day = date(2025, 1, 2)
    at = datetime.combine(day, time(10, 30))
    session = Session(
        day,
        at - timedelta(hours=1),
        at + timedelta(hours=5),
        False,
        False,
        day - timedelta(days=1),
        day + timedelta(days=1),
    )
    return MarketSnapshot(
        time=at,
        session=session,
        phase=SessionPhase.REGULAR,
        quotes={},
        bars={},
        opening=OpeningPrice(OpeningStatus.UNKNOWN),
        prior_close={},
        listed={},
        load_chain=lambda _root, _expiry: None,
    )


def _anything() -> Intent:
    put = Instrument("SPXW  250102P05000000", "SPX", 100, 0.05, Right.PUT, 5000.0, date(2025, 1, 2))
    wing = Instrument("SPXW  250102P04990000", "SPX", 100, 0.05, Right.PUT, 4990.0, date(2025, 1, 2))
    spread = Structure(StructureName.PUT_SPREAD, (Leg(put, -1), Leg(wing, 1)))
    return Intent(IntentKind.OPEN, "self_test", spread, Ladder.ENTRY)
