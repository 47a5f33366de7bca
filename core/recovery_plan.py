"""What is found on start, and what follows from it (risk.md 17); decided from values alone, carried out by
`core.assembly`.

Unknown things are frozen, never guessed and never traded away.  An order is resumed or asked about, never sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.errors import StateError
from core.ledger_reader import Replay
from core.state_slots import Found, SlotStore


class StartRow(StrEnum):
    """The row of the table that a start belongs to; the last one that holds."""

    FRESH = "fresh"
    LEDGER_ONLY = "ledger without a slot"
    ONE_SLOT = "one valid slot"
    TWO_SLOTS = "two valid slots"
    NOT_FLAT = "no state, broker not flat"
    AHEAD = "slot ahead of ledger"
    NEWER_SCHEMA = "newer schema"
    FUTURE = "future time"
    FORK = "hash fork"


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """What to do.  body: the snapshot to take over; regain: write again what the ledger has lost and the snapshot has.

    distrust: everything open is frozen and only risk is reduced until the operator adopts it; the sentence says why.
    """

    row: StartRow
    body: Mapping[str, Any] | None = None
    regain: bool = False
    distrust: str = ""
    alerts: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def plan_recovery(slots: SlotStore, replay: Replay, *, broker_is_flat: bool, now: datetime) -> RecoveryPlan:
    """Look at slots, ledger and broker; returns what a paper or live start does."""
    alerts = [("LEDGER_TORN", replay.torn)] if replay.torn else []
    try:
        found = slots.load()
    except StateError as error:
        return _distrusted(StartRow.NEWER_SCHEMA, str(error), alerts)
    alerts += [("SLOT_LOST", sentence) for sentence in found.lost]
    if replay.broken:
        return _distrusted(StartRow.FORK, replay.broken, alerts, found.body)
    if found.body is None:
        return _without_slot(replay, broker_is_flat, alerts, lost=bool(found.lost))
    return _with_slot(found, found.body, replay, now, alerts)


def _without_slot(replay: Replay, broker_is_flat: bool, alerts: list[tuple[str, str]], *, lost: bool) -> RecoveryPlan:
    if not replay.is_fresh:
        return RecoveryPlan(StartRow.LEDGER_ONLY, alerts=tuple(alerts))
    if broker_is_flat and not lost:
        return RecoveryPlan(StartRow.FRESH, alerts=tuple(alerts))
    why = (
        "The broker holds positions and no state says whose they are." if not broker_is_flat else "No slot can be read."
    )
    return _distrusted(StartRow.NOT_FLAT, f"{why} Adopt them, or close them by hand.", alerts)


def _with_slot(
    found: Found, body: Mapping[str, Any], replay: Replay, now: datetime, alerts: list[tuple[str, str]]
) -> RecoveryPlan:
    seq, head = int(body["ledger_seq"]), str(body["ledger_head"])
    last = max(replay.time, datetime.fromisoformat(body["time"]))
    if last > now:
        return _distrusted(
            StartRow.FUTURE, f"The state is of {last}, later than now ({now}). Check the clock.", alerts, body
        )
    if found.forked or (seq <= replay.seq and not replay.knows(seq, head)):
        return _distrusted(StartRow.FORK, "State and ledger have different histories.", alerts, body)
    if seq > replay.seq:
        alerts.append(("LEDGER_GAP", f"The state knows {seq} records, the ledger has {replay.seq}: the state counts."))
        return RecoveryPlan(StartRow.AHEAD, body, regain=True, alerts=tuple(alerts))
    row = StartRow.ONE_SLOT if found.lost else StartRow.TWO_SLOTS
    return RecoveryPlan(row, body, alerts=tuple(alerts))


def _distrusted(
    row: StartRow, why: str, alerts: list[tuple[str, str]], body: Mapping[str, Any] | None = None
) -> RecoveryPlan:
    return RecoveryPlan(row, body, distrust=why, alerts=(*alerts, ("STATE_DISTRUSTED", why)))
