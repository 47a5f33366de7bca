"""What is begun to leave or to repair a trade: one closing at a time, the more urgent one instead of the calmer, and
every short that nothing covers bought back by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from core.books import Books
from core.closing import closing_structure
from core.exit_plans import Exit
from core.intents import allow_intent, record_intent
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.net_quote import PriceLadder
from core.order_checks import open_quantities
from core.order_maker import OrderMaker
from core.ports import Broker
from core.quantities import agreed_quantity
from core.reasons import Reason
from core.settings import OrderSettings
from core.trade_machine import TradeState
from core.trades import Trade
from core.vocabulary import Intent, IntentKind, Ladder, Leg, Purpose, Structure, StructureName
from core.working_orders import Parent, WorkingOrders


class ClosingDesk:
    """Begins closings and repairs; the gateway works them."""

    def __init__(
        self,
        settings: OrderSettings,
        ledger: Ledger,
        books: Books,
        broker: Broker,
        orders: WorkingOrders,
        maker: OrderMaker,
        stop: Callable[[Parent, datetime], None],
    ) -> None:
        """stop: cancel the order of a parent, which ends when that is confirmed."""
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._orders = orders
        self._maker = maker
        self._stop = stop
        self._waiting: dict[str, Exit] = {}
        self._rests: dict[str, datetime] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a closing waits for the end of what was at work before it."""
        return bool(self._waiting)

    def rest(self, trade: str, now: datetime) -> None:
        """A closing has used all its children up: the next one comes after a pause, when holdings were compared."""
        self._rests[trade] = now + timedelta(seconds=self._settings.child_pause_s)

    def go_on(self, snapshot: MarketSnapshot) -> None:
        """Begin what waited, where nothing is in its way any more."""
        for trade_id, due in tuple(self._waiting.items()):
            if not self._orders.of(trade_id):
                self.close(self._books.trade(trade_id), due, snapshot)

    # ------------------------------------------------------------------------------------------------------- closings

    def close(self, trade: Trade, due: Exit, snapshot: MarketSnapshot) -> None:
        """Begin closing what a trade holds, except bidless longs in due.keep. A more urgent ladder replaces a calmer
        one as soon as that one's cancel is confirmed.
        """
        now = snapshot.time
        self._waiting.pop(trade.id, None)
        if self._must_rest(trade, due, now):
            return
        at_work = self._orders.closing(trade.id)
        if at_work is not None and not at_work.stopping:
            # A long that nobody bids for any more would leave the whole order without a price.
            is_stuck = not due.keep.isdisjoint(at_work.structure.symbols)
            if due.ladder <= at_work.ladder and not is_stuck:
                return
            if due.ladder < at_work.ladder:  # nothing downgrades an exit
                due = replace(due, ladder=at_work.ladder, floor_cash=at_work.floor_cash)
        if self._orders.repairs(trade.id) and due.ladder is not Ladder.FLATTEN:
            return  # the leg that nothing covers first
        for parent in self._orders.of(trade.id):
            self._stop(parent, now)
        if self._orders.of(trade.id):
            self._waiting[trade.id] = due
            return
        found = closing_structure(trade, self._to_close(trade), due.keep, self._books)
        if found is None:
            return
        purpose = Purpose.FLATTEN if due.ladder is Ladder.FLATTEN else Purpose.CLOSE
        parent = self._start(trade, *found, purpose, due, snapshot)
        if parent.can_split and self._books.uncovered(trade.id):
            parent.leg_wise = True
            parent.step = len(PriceLadder.of(Ladder.FLATTEN, self._settings).shares)

    def _must_rest(self, trade: Trade, due: Exit, now: datetime) -> bool:
        """Whether a closing comes too soon: after the last order of one that used all its children up, or a calm one
        right behind a fill.
        """
        if now < self._rests.get(trade.id, datetime.min):
            return True
        calm = timedelta(seconds=self._settings.open_to_close_s)
        return due.ladder is Ladder.TARGET and trade.last_fill is not None and now - trade.last_fill < calm

    def _to_close(self, trade: Trade) -> dict[str, int]:
        """Return what may be closed: of every symbol what book and broker agree on now."""
        return {symbol: agreed_quantity(qty, self._broker.position(symbol)) for symbol, qty in trade.legs.items()}

    def _start(
        self, trade: Trade, structure: Structure, units: int, purpose: Purpose, due: Exit, snapshot: MarketSnapshot
    ) -> Parent:
        now = snapshot.time
        intent_id = self._maker.next_intent_id(trade.id, purpose)
        intent = Intent(IntentKind.CLOSE, trade.strategy, structure, due.ladder, trade.id, units, due.reason)
        record_intent(self._ledger, intent, intent_id, purpose, now)
        allow_intent(self._ledger, trade.strategy, intent_id, now)
        steps = PriceLadder.of(due.ladder, self._settings).steps
        calm = due.ladder is Ladder.TARGET
        parent = Parent(
            intent_id=intent_id,
            intent=intent,
            purpose=purpose,
            structure=structure,
            units=units,
            ladder=due.ladder,
            floor_cash=due.floor_cash,
            started=now,
            next_step_at=now,
            ladder_end=now + timedelta(seconds=steps * self._settings.ladder_step_s)
            if calm
            else snapshot.session.close,
        )
        self._orders.add(parent)
        return parent

    # -------------------------------------------------------------------------------------------------------- repairs

    def repair(self, trade: Trade, snapshot: MarketSnapshot) -> None:
        """Buy back at once every short that nothing covers, each by itself. Repair only buys."""
        now = snapshot.time
        if now < self._rests.get(trade.id, datetime.min):
            return
        for parent in self._orders.of(trade.id):
            child = parent.working
            if parent.is_repair or parent.leg_wise:
                continue
            if child is not None and child.filled and not child.is_balanced and not child.is_broken:
                return  # the other legs may be reported with the next word
            self._stop(parent, now)
        if any(parent.leg_wise for parent in self._orders.of(trade.id)):
            return  # it buys the shorts back first
        busy = open_quantities((child.request.legs, child.filled) for child in self._orders.children)
        under_repair = {parent.structure.symbols[0] for parent in self._orders.repairs(trade.id)}
        held = self._to_close(trade) if trade.state is TradeState.FROZEN else trade.legs
        for symbol, uncovered in sorted(self._books.uncovered(trade.id).items()):
            qty = min(uncovered, max(0, -held.get(symbol, 0)))
            if qty and symbol not in busy and symbol not in under_repair:
                self._buy_back(trade, symbol, qty, snapshot)

    def _buy_back(self, trade: Trade, symbol: str, qty: int, snapshot: MarketSnapshot) -> None:
        now = snapshot.time
        since = trade.uncovered_since or now
        self._ledger.append(
            Kind.REPAIR,
            trade.strategy,
            now,
            trade=trade.id,
            stage="BUY_BACK",
            symbol=symbol,
            uncovered_s=round((now - since).total_seconds()),
        )
        structure = Structure(StructureName.SINGLE, (Leg(self._books.instrument(symbol), 1),))
        due = Exit(Reason.EXIT_RISK, Ladder.FLATTEN)
        self._start(trade, structure, qty, Purpose.REPAIR, due, snapshot)
