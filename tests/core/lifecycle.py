"""A world for tests of lifecycle and recovery: a real state manager on a desk, and the clock of the exchange."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.books import Books
from core.ledger import Ledger
from core.ledger_reader import Replay, replay_ledger
from core.ledger_sink import ChunkedSink
from core.market import MarketSnapshot, Quote
from core.session import SessionClock
from core.settings import Settings
from core.state_manager import StateManager
from core.state_slots import SlotStore
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import ExitPlan, Intent, IntentKind, Ladder, Purpose, Structure
from tests.core.desk import BOOK, RUN, Desk, at, put_spread
from tests.risk.builders import snapshot

SETTINGS = Settings()
SLOT_BYTES = SETTINGS.state.snapshot_max_bytes


def exit_plan(day: datetime | None = None) -> ExitPlan:
    now = at(15, 30) if day is None else day
    return ExitPlan(hard_exit=now, flatten=now.replace(minute=45), flat_by=now.replace(minute=55), confirm_min=2)


class Lifecycle(Desk):
    """A desk whose trades are driven by the state manager."""

    def __init__(self, *, live: bool = True, max_bytes: int = SLOT_BYTES) -> None:
        super().__init__(live=live, now=at(8))
        self.now = at(10, 30)
        self.max_bytes = max_bytes
        self.clock = SessionClock(SETTINGS.session)
        self.state = self._manager(self.books, self.ledger)

    def _manager(self, books: Books, ledger: Ledger) -> StateManager:
        slots = SlotStore(self.store, RUN, "settings", self.max_bytes)
        manager = StateManager(SETTINGS.state, SETTINGS.orders, self.clock, ledger, books, slots)
        manager.register(BOOK)
        return manager

    # ------------------------------------------------------------------------------------------------------- trades

    def planned(self, legs: Structure | None = None, units: int = 1) -> Trade:
        trade = self.plan(legs, units=units)
        self.state.plan(self.intent(trade, exit_plan()), self.now)
        return trade

    @staticmethod
    def intent(trade: Trade, plan: ExitPlan | None) -> Intent:
        return Intent(IntentKind.OPEN, trade.strategy, trade.structure, Ladder.ENTRY, trade.id, 1, exit_plan=plan)

    def entering(self, legs: Structure | None = None, units: int = 1) -> tuple[Trade, str]:
        trade = self.planned(legs, units)
        order = self.order(trade, {leg.symbol: leg.ratio * units for leg in trade.structure.legs})
        self.state.drive(trade.id, Trigger.SENT, self.now)
        return trade, order

    def opened(self, legs: Structure | None = None, units: int = 1) -> Trade:
        trade, order = self.entering(legs, units)
        self.fill_legs(trade, order, units)
        self.end(trade, order, filled=units)
        self.state.drive(trade.id, Trigger.FILLED, self.now)
        return trade

    def fill_legs(self, trade: Trade, order: str, units: int = 1, *, only: int | None = None) -> None:
        """Fill whole units, or the first legs only."""
        for leg in trade.structure.legs[:only]:
            self.fill(trade, order, leg.symbol, leg.ratio * units, 1_000_000)

    def sell_out(self, trade: Trade) -> None:
        """Fill a closing order of all that is held."""
        self.intend(trade, Purpose.CLOSE, "EXIT_TIME")
        legs = {symbol: -qty for symbol, qty in trade.legs.items()}
        order = self.order(trade, legs, Purpose.CLOSE)
        for symbol, qty in legs.items():
            self.fill(trade, order, symbol, qty, 500_000)
        self.end(trade, order)

    def in_state(self, state: TradeState) -> Trade:
        """A trade that has come into a state by an ordinary way."""
        if state is TradeState.PLANNED:
            return self.planned()
        if state is TradeState.ENTERING:
            return self.entering()[0]
        trade = self.opened(put_spread())
        way = {
            TradeState.OPEN: (),
            TradeState.ADJUSTING: (Trigger.ADJUST_DUE,),
            TradeState.REPAIRING: (Trigger.LEG_GONE,),
            TradeState.EXITING: (Trigger.EXIT_DUE,),
            TradeState.SETTLING: (Trigger.EXPIRED,),
            TradeState.FROZEN: (Trigger.BREAK,),
        }[state]
        for trigger in way:
            self.state.drive(trade.id, trigger, self.now)
        assert trade.state is state
        return trade

    # --------------------------------------------------------------------------------------------------- the clock

    def view(self, quotes: Mapping[str, Quote] | None = None) -> MarketSnapshot:
        session = self.clock.session(self.now.date())
        today = session if session is not None else self.clock.next_session(self.now.date())
        return replace(snapshot(self.now, today=today), quotes=quotes or {})

    def step(self, quotes: Mapping[str, Quote] | None = None) -> None:
        """Drive what books, clock and quotes say, as a step does."""
        for trade, trigger in self.state.due(self.view(quotes)):
            self.state.drive(trade, trigger, self.now)

    # ------------------------------------------------------------------------------------------------------ restart

    def save(self) -> None:
        self.state.save_if_changed(self.now, {})

    def restart(self) -> Replay:
        """A new process on the same store: books from the ledger, and a state manager that knows nothing yet."""
        self.books = Books()
        found = replay_ledger(self.store, RUN, self.books.takes)
        self.ledger = Ledger(
            ChunkedSink(self.store, RUN, found.next_chunk, careful=True), self.books.takes, durable_orders=True
        )
        self.ledger.go_on(found.head, found.seq, found.time, found.counts)
        self.state = self._manager(self.books, self.ledger)
        return found

    def records(self, kind: str) -> list[dict[str, Any]]:
        self.ledger.flush(durable=True)
        found = [json.loads(line) for line in self.store.joined().splitlines()]
        return [record for record in found if record["kind"] == kind]
