"""Where the ETF book stands in a step: after the option strategies, and contained as one of them is."""

from __future__ import annotations

from core.containment import Containment
from core.entering import lifecycle_refusal
from core.family_desk import FamilyDesk
from core.leaving import Leaving
from core.market import MarketSnapshot
from core.parts import Parts
from core.settings import Mode
from core.trading_state import StateBoard
from core.vocabulary import Intent, Verdict
from helpers.funnel import Funnel


class FamilyStage:
    """Calls the desk in the stages of leaving, entering and recording."""

    def __init__(
        self,
        desk: FamilyDesk,
        parts: Parts,
        board: StateBoard,
        funnel: Funnel,
        leaving: Leaving,
        containment: Containment,
    ) -> None:
        self._desk = desk
        self._parts = parts
        self._board = board
        self._funnel = funnel
        self._leaving = leaving
        self._containment = containment
        self._symbols = tuple([item.symbol for item in desk.instruments])
        desk.join(board)

    def leave(self, snapshot: MarketSnapshot) -> None:
        self._containment.strategy(
            self._desk.name,
            snapshot.time,
            lambda _text: self._leaving.leave_book(self._desk.name, snapshot),
            self._desk.leave,
            snapshot,
        )

    def enter(self, snapshot: MarketSnapshot, scale: float) -> None:
        desk = self._desk
        line = self._containment.strategy(
            desk.name,
            snapshot.time,
            lambda _text: None,
            desk.enter,
            snapshot,
            scale,
            self._lifecycle,
            lambda intent: self._owned(snapshot, intent),
        )
        if line is not None:
            if self._parts.settings.run.mode is not Mode.BACKTEST:
                self._parts.announcements.say(line)  # a backtest's log is too small for a book of twenty openings a day
            self._parts.recorder.save_state(snapshot.time)  # the exit plan must outlive a death while it is sent
        outcome = desk.outcome
        if outcome is not None and snapshot.phase.market_open:
            self._funnel.counts[desk.name, outcome] += 1

    def after(self, snapshot: MarketSnapshot, scale: float) -> None:
        desk = self._desk
        notes = self._containment.strategy(desk.name, snapshot.time, lambda _text: (), desk.after, snapshot, scale)
        if notes:
            self._parts.recorder.notes(notes, snapshot.time)

    def _lifecycle(self, snapshot: MarketSnapshot) -> Verdict | None:
        return lifecycle_refusal(self._parts, self._board, self._desk.name, snapshot.time, self._symbols)

    def _owned(self, snapshot: MarketSnapshot, intent: Intent) -> Verdict | None:
        self._parts.recorder.ask_vix(snapshot)
        return self._board.owned_refusal(intent)
