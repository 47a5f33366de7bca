"""The only module that sends or cancels an order; an order is never changed.

A parent (one intent) is worked by children (orders) along a price ladder: cancel, confirm, replace the remainder.
Before each order the last checks are asked again, ORDER_INTENT is made durable and ORDER_SENT written, because
reports may arrive inside the broker's call.  Reports only enter a queue; it is folded when the call returns and at
the start of each step, by order id, in whatever sequence they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from core.books import Books
from core.broker_doubts import BrokerDoubts
from core.closing import closing_structure, defined_width
from core.errors import LedgerError
from core.intents import allow_intent, ledger_detail, record_intent
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.net_quote import PriceLadder
from core.order_checks import OrderFacts, Throttle, judge_order, open_quantities
from core.order_maker import OrderMaker
from core.ports import Broker, OrderRequest
from core.reasons import Reason
from core.report_desk import ReportDesk
from core.settings import OrderSettings
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import (
    BrokerEvent,
    Gate,
    Intent,
    IntentKind,
    Ladder,
    Leg,
    OrderOutcome,
    Purpose,
    Structure,
    StructureName,
    TradingState,
    Verdict,
    to_u6,
)
from core.working_orders import Child, OrderState, Parent, ParentEnd

Drive = Callable[[str, Trigger, datetime], TradeState]


class OrderGateway:
    """Owner of every order from its plan to its end."""

    def __init__(
        self, run: str, settings: OrderSettings, ledger: Ledger, books: Books, broker: Broker, drive: Drive
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._drive = drive
        self._desk = ReportDesk(ledger, books)
        self._doubts = BrokerDoubts(ledger, books, broker, self._desk)
        self._maker = OrderMaker(run, settings, books)
        self._parents: dict[str, Parent] = {}
        self._intents: Counter[tuple[str, Purpose]] = Counter()
        self._throttle = Throttle(settings)
        self._state: Callable[[str], tuple[TradingState, bool]] = lambda _strategy: (TradingState.HALTED, False)

    # ---------------------------------------------------------------------------------------------------- the outside

    def read_state_from(self, state: Callable[[str], tuple[TradingState, bool]]) -> None:
        """Give the gateway the trading state of a strategy as it is at the moment of sending: (state, may flatten)."""
        self._state = state

    def post(self, event: BrokerEvent) -> None:
        """Append a report. Called from any thread, also inside a broker call; does nothing else."""
        self._desk.post(event)

    def open_session(self) -> None:
        self._throttle.open_session()

    def parents(self) -> tuple[Parent, ...]:
        return tuple(self._parents.values())

    def working_children(self) -> tuple[Child, ...]:
        return tuple(
            parent.child for parent in self._parents.values() if parent.working is not None and parent.child is not None
        )

    def unresolved(self) -> tuple[Child, ...]:
        return tuple(child for child in self.working_children() if child.state is OrderState.UNRESOLVED)

    def parent_of(self, trade: str, *, opening: bool) -> Parent | None:
        """Return the live parent of a trade on one side; there is never more than one."""
        for parent in self._parents.values():
            if parent.trade == trade and parent.is_opening is opening and not parent.is_done:
                return parent
        return None

    def opening_of(self, strategy: str) -> Parent | None:
        """Return the live opening of a strategy; it is not asked again while one is at work."""
        return next(
            (
                item
                for item in self._parents.values()
                if item.strategy == strategy and item.is_opening and not item.is_done
            ),
            None,
        )

    def symbols_at_work(self) -> tuple[str, ...]:
        return tuple(
            symbol for parent in self._parents.values() if not parent.is_done for symbol in parent.structure.symbols
        )

    # ------------------------------------------------------------------------------------------------- 1 fold reports

    def fold(self, now: datetime) -> None:
        """Fold all queued reports into ledger, books and orders, then judge the orders that they concern."""
        for touched in self._desk.fold(now):
            parent, child = touched.parent, touched.child
            if touched.misfit and child.outcome is None:
                self._mark_unresolved(parent, child, now)
            self._judge(parent, child, now)

    def _judge(self, parent: Parent, child: Child, now: datetime) -> None:
        """Judge the group once all its legs are terminal; a fill that left legs behind is an imbalance at once."""
        if child.outcome is not None:
            return
        outcome = child.verdict()
        if outcome is not None:
            self._close_child(parent, child, outcome, now)
        elif child.filled and parent.is_opening:
            self._drive(parent.trade, Trigger.PART if child.is_balanced else Trigger.LEG, now)

    def _close_child(self, parent: Parent, child: Child, outcome: OrderOutcome, now: datetime) -> None:
        was_in_doubt = child.unresolved_at is not None
        child.outcome, child.unresolved_at = outcome, None
        units = child.filled_units()
        self._record_outcome(parent, child, outcome, now)
        if was_in_doubt:
            self._drive(parent.trade, Trigger.CLEARED, now)
        if self._maker.is_leg_wise(parent):
            if self._books.trade(parent.trade).is_flat:
                self._finish(parent, ParentEnd.FILLED, now)
            elif parent.stopping is not None:
                self._finish(parent, ParentEnd.STOPPED, now)
            return
        parent.done_units += units
        parent.failures += not units
        if not child.is_balanced:
            # What is held is no longer a whole number of units: the parent's plan does not fit any more.
            if not parent.is_opening:
                self._drive(parent.trade, Trigger.LEG, now)
            self._finish(parent, ParentEnd.REJECTED if outcome is OrderOutcome.REJECTED else ParentEnd.STOPPED, now)
        elif parent.remaining <= 0:
            self._finish(parent, ParentEnd.FILLED, now)
        elif outcome is OrderOutcome.REJECTED and parent.is_opening:
            self._finish(parent, ParentEnd.REJECTED, now)
        elif parent.stopping is not None:
            self._finish(parent, ParentEnd.STOPPED, now)
        elif parent.ending:
            self._finish(parent, ParentEnd.NO_FILL, now)

    def _finish(self, parent: Parent, end: ParentEnd, now: datetime) -> None:
        """End a parent and tell the trade what that means; the trade machine looks at the balanced units itself."""
        parent.end = end
        self._parents.pop(parent.intent_id, None)
        if parent.is_opening:
            self._drive(parent.trade, _OPENING_ENDS.get(end, Trigger.CANCELLED), now)
        elif self._books.trade(parent.trade).is_flat:
            self._drive(parent.trade, Trigger.FLAT, now)
        elif end is ParentEnd.NO_FILL and parent.ladder is Ladder.TARGET:
            self._drive(parent.trade, Trigger.CANCELLED, now)
        elif end is ParentEnd.FILLED and parent.purpose is Purpose.REPAIR:
            self._drive(parent.trade, Trigger.BALANCED, now)

    def _record_outcome(self, parent: Parent, child: Child, outcome: OrderOutcome, now: datetime) -> None:
        units = child.filled_units()
        self._ledger.append(
            Kind.ORDER_OUTCOME,
            parent.strategy,
            now,
            order=child.id,
            outcome=outcome.value,
            filled=units,
            left=child.request.units - units,
        )

    # ----------------------------------------------------------------------------------------------------- 2 openings

    def open(self, intent: Intent, snapshot: MarketSnapshot) -> None:
        """Start working a sized opening; INTENT and the allowing VERDICT stand in the ledger already."""
        assert intent.qty is not None
        assert intent.plan is not None
        now = snapshot.time
        steps = PriceLadder.of(Ladder.ENTRY, self._settings).steps
        parent = Parent(
            intent_id=intent.detail["intent"],  # type: ignore[arg-type]
            intent=intent,
            purpose=Purpose.OPEN,
            structure=intent.structure,
            units=intent.qty,
            ladder=Ladder.ENTRY,
            floor_cash=intent.plan.worst_cash,
            started=now,
            next_step_at=now,
            ladder_end=now + timedelta(seconds=steps * self._settings.ladder_step_s),
        )
        self._parents[parent.intent_id] = parent

    def next_intent_id(self, trade: str, purpose: Purpose) -> str:
        self._intents[(trade, purpose)] += 1
        return f"{trade}|{purpose.value}|{self._intents[(trade, purpose)]}"

    # ----------------------------------------------------------------------------------------------------- 3 closings

    def close(
        self,
        trade: Trade,
        reason: Reason,
        ladder: Ladder,
        floor_cash: float | None,
        keep: frozenset[str],
        snapshot: MarketSnapshot,
    ) -> None:
        """Close what a trade holds, except bidless longs in keep. One closing parent per trade; a more urgent ladder
        replaces a calmer one.
        """
        now = snapshot.time
        opening = self.parent_of(trade.id, opening=True)
        if opening is not None:
            self._stop(opening, reason, now)
            if not opening.is_done:
                return
        at_work = self.parent_of(trade.id, opening=False)
        if at_work is not None:
            # A long that nobody bids for any more would leave the whole order without a price.
            is_stuck = not keep.isdisjoint(at_work.structure.symbols)
            if at_work.stopping is not None or (ladder <= at_work.ladder and not is_stuck):
                return
            if ladder < at_work.ladder:  # nothing downgrades an exit
                ladder, floor_cash = at_work.ladder, at_work.floor_cash
            self._stop(at_work, reason, now)
            if not at_work.is_done:
                return
        legs = trade.legs if trade.state is not TradeState.FROZEN else self._agreed(trade)
        found = closing_structure(trade, legs, keep, self._books)
        if found is None:
            return
        structure, units = found
        purpose = Purpose.FLATTEN if ladder is Ladder.FLATTEN else Purpose.CLOSE
        self._start_closing(trade, structure, units, purpose, reason, ladder, floor_cash, snapshot)

    def _agreed(self, trade: Trade) -> dict[str, int]:
        """What book and broker agree on, per symbol: the smaller of the two where the signs agree, else nothing."""
        agreed: dict[str, int] = {}
        for symbol, ours in trade.legs.items():
            theirs = self._broker.position(symbol)
            agreed[symbol] = 0 if ours * theirs <= 0 else (min(ours, theirs) if ours > 0 else max(ours, theirs))
        return agreed

    def _start_closing(
        self,
        trade: Trade,
        structure: Structure,
        units: int,
        purpose: Purpose,
        reason: Reason,
        ladder: Ladder,
        floor_cash: float | None,
        snapshot: MarketSnapshot,
    ) -> None:
        now = snapshot.time
        intent_id = self.next_intent_id(trade.id, purpose)
        intent = Intent(IntentKind.CLOSE, trade.strategy, structure, ladder, trade.id, units, reason)
        record_intent(self._ledger, intent, intent_id, purpose, now)
        allow_intent(self._ledger, trade.strategy, intent_id, now)
        steps = PriceLadder.of(ladder, self._settings).steps
        calm = ladder is Ladder.TARGET
        parent = Parent(
            intent_id=intent_id,
            intent=intent,
            purpose=purpose,
            structure=structure,
            units=units,
            ladder=ladder,
            floor_cash=floor_cash,
            started=now,
            next_step_at=now,
            ladder_end=now + timedelta(seconds=steps * self._settings.ladder_step_s)
            if calm
            else snapshot.session.close,
        )
        self._parents[intent_id] = parent

    def repair(self, trade: Trade, snapshot: MarketSnapshot) -> None:
        """Buy back shorts that nothing covers, one leg at a time. Repair only buys."""
        opening = self.parent_of(trade.id, opening=True)
        if opening is not None:
            self._stop(opening, Reason.EXIT_RISK, snapshot.time)
            return
        if self.parent_of(trade.id, opening=False) is not None:
            return
        for symbol, qty in sorted(self._books.uncovered(trade.id).items()):
            instrument = self._books.instrument(symbol)
            structure = Structure(StructureName.SINGLE, (Leg(instrument, 1),))
            self._start_closing(trade, structure, qty, Purpose.REPAIR, Reason.EXIT_RISK, Ladder.FLATTEN, None, snapshot)
            return

    # -------------------------------------------------------------------------------------------- 4 work what is open

    def work(self, snapshot: MarketSnapshot) -> None:
        """Move every parent one step if its time has come. Closings first, then openings in the order in which they
        began.
        """
        for parent in sorted(self._parents.values(), key=lambda item: (item.is_opening, item.started, item.intent_id)):
            if not parent.is_done:
                self._work_parent(parent, snapshot)

    def _work_parent(self, parent: Parent, snapshot: MarketSnapshot) -> None:
        now = snapshot.time
        child = parent.working
        if child is not None:
            if self._overdue(parent, child, now) or child.state in (OrderState.UNRESOLVED, OrderState.CANCEL_PENDING):
                return
            if now < parent.next_step_at and now < parent.ladder_end:
                return
        if now >= parent.ladder_end and (parent.is_opening or parent.ladder is Ladder.TARGET):
            self._end_ladder(parent, now)
            return
        if now < parent.next_step_at:
            return
        request = self._maker.make(parent, snapshot)
        if child is not None:
            if (
                request is not None
                and request.net_cash == child.request.net_cash
                and request.legs == child.request.legs
            ):
                parent.advance(self._settings.ladder_step_s, now)
                return
            parent.replacing = True
            self._cancel(parent, child, now)
            if not child.is_final or parent.is_done:
                return  # confirmed later, or it filled meanwhile: never replaced before the cancel is confirmed
            request = self._maker.make(parent, snapshot)
        if request is None:
            parent.advance(self._settings.ladder_step_s, now)
            return
        self._send(parent, request, snapshot)

    def awaits_confirmation(self) -> bool:
        """Whether a cancel is on its way, after which an order is to be replaced or a ladder ends."""
        return any(child.state is OrderState.CANCEL_PENDING for child in self.working_children())

    def replace_confirmed(self, snapshot: MarketSnapshot) -> None:
        """Send what waits behind cancels that are confirmed by now, at the prices of the step that cancelled."""
        for parent in tuple(self._parents.values()):
            if parent.replacing and parent.working is None and not parent.is_done:
                parent.replacing = False
                self._work_parent(parent, snapshot)

    def _end_ladder(self, parent: Parent, now: datetime) -> None:
        parent.ending = True
        child = parent.working
        if child is not None:
            self._cancel(parent, child, now)
        elif not parent.is_done:
            self._finish(parent, ParentEnd.NO_FILL, now)

    def _overdue(self, parent: Parent, child: Child, now: datetime) -> bool:
        """No acknowledgement, or no confirmation of a cancel, within its time: the outcome is unknown and nothing is
        repeated.
        """
        if child.state is OrderState.SENT and now - child.sent_at >= timedelta(seconds=self._settings.ack_timeout_s):
            self._mark_unresolved(parent, child, now)
            return True
        if child.cancel_at is not None and now - child.cancel_at >= timedelta(seconds=self._settings.cancel_timeout_s):
            self._mark_unresolved(parent, child, now)
            return True
        return False

    def _mark_unresolved(self, parent: Parent, child: Child, now: datetime) -> None:
        if child.unresolved_at is not None:
            return
        child.unresolved_at = now
        self._record_outcome(parent, child, OrderOutcome.UNRESOLVED, now)
        self._drive(parent.trade, Trigger.UNRESOLVED, now)

    # --------------------------------------------------------------------------------------------- prices and sending

    def _send(self, parent: Parent, request: OrderRequest, snapshot: MarketSnapshot) -> None:
        now = snapshot.time
        if parent.children >= self._settings.children_per_parent:
            self._finish(parent, ParentEnd.CHILDREN_USED, now)
            return
        if not self._throttle.room(now, opening=parent.is_opening):
            if parent.is_opening:
                self._refuse(parent, Verdict.refuse(Reason.THROTTLED), now)
                self._end_ladder(parent, now)
            return  # closings queue: the next step tries again
        structure, _units = self._maker.structure_now(parent)
        verdict = judge_order(request, self._facts(parent, structure, snapshot), self._settings)
        if not verdict.allowed:
            self._refuse(parent, verdict, now)
            if parent.is_opening:
                self._finish(parent, ParentEnd.DENIED if parent.children == 0 else ParentEnd.NO_FILL, now)
            else:
                parent.advance(self._settings.ladder_step_s, now)
            return
        if parent.refused:
            allow_intent(self._ledger, parent.strategy, parent.intent_id, now)
            parent.refused = False
        child = Child(request, now, parent.ladder_end)
        try:
            self._record_sending(parent, child, now)
        except LedgerError:
            if parent.is_opening:
                self._finish(parent, ParentEnd.DENIED if parent.children == 0 else ParentEnd.NO_FILL, now)
                return
            # A closing goes on: the record is kept in memory and appended once the store writes again.
        parent.replacing = False
        self._desk.register(parent, child)
        self._throttle.count(now, opening=parent.is_opening)
        first = parent.children == 0
        parent.child = child
        parent.children += 1
        parent.advance(self._settings.ladder_step_s, now)
        if first and parent.is_opening:
            self._drive(parent.trade, Trigger.SENT, now)
        self._desk.extend(self._broker.send(request))
        self.fold(now)

    def _record_sending(self, parent: Parent, child: Child, now: datetime) -> None:
        request = child.request
        limit = {} if request.net_cash is None else {"limit_u6": to_u6(request.net_cash)}
        self._ledger.append(
            Kind.ORDER_INTENT,
            parent.strategy,
            now,
            order=child.id,
            intent=parent.intent_id,
            trade=parent.trade,
            purpose=parent.purpose.value,
            attempt=self._maker.use(parent, request),
            type=request.type.value,
            tif=request.tif.value,
            legs=[{"symbol": leg.symbol, "qty": leg.qty} for leg in request.legs],
            deadline=child.deadline,
            **limit,
        )
        self._ledger.before_order()
        self._ledger.append(Kind.ORDER_SENT, parent.strategy, now, order=child.id)

    def _facts(self, parent: Parent, structure: Structure, snapshot: MarketSnapshot) -> OrderFacts:
        state, may_flatten = self._state(parent.strategy)
        trade = self._books.trade(parent.trade)
        width = None
        if not parent.is_opening and parent.purpose is Purpose.CLOSE:
            width = defined_width(structure)
        approved = parent.units
        return OrderFacts(
            purpose=parent.purpose,
            state=state,
            may_flatten=may_flatten,
            approved_units=approved
            if structure is parent.structure
            else max(approved, abs(trade.legs.get(structure.symbols[0], 0))),
            committed_units=parent.done_units if structure is parent.structure else 0,
            held={symbol: self._books.position(symbol) for symbol in structure.symbols},
            working=open_quantities((child.request.legs, child.filled) for child in self.working_children()),
            used_ids=self._maker.used_ids,
            net=self._maker.net(parent, structure, snapshot),
            tick=structure.tick,
            close_width=width,
        )

    def _refuse(self, parent: Parent, verdict: Verdict, now: datetime) -> None:
        parent.refused = True
        self._ledger.append(
            Kind.VERDICT,
            parent.strategy,
            now,
            intent=parent.intent_id,
            gate=Gate.INVARIANTS.value,
            allowed=False,
            reason=verdict.reason.value,
            scale_e6=0,
            ages={},
            detail=ledger_detail(verdict.detail),
        )

    # -------------------------------------------------------------------------------------------------------- cancels

    def _cancel(self, parent: Parent, child: Child, now: datetime) -> None:
        if child.cancel_at is None:
            child.cancel_at = now
            self._broker.cancel(child.id)
            self.fold(now)

    def _stop(self, parent: Parent, reason: Reason, now: datetime) -> None:
        """Stop a parent: its child is cancelled, and when that is confirmed the parent ends."""
        parent.stopping = reason
        child = parent.working
        if child is None:
            self._finish(parent, ParentEnd.STOPPED, now)
        elif child.state not in (OrderState.UNRESOLVED, OrderState.CANCEL_PENDING):
            self._cancel(parent, child, now)

    def cancel_openings(self, reason: Reason, now: datetime, strategy: str | None = None) -> None:
        """Cancel every working opening, or those of one strategy."""
        for parent in tuple(self._parents.values()):
            if (
                parent.is_opening
                and not parent.is_done
                and strategy in (None, parent.strategy)
                and parent.stopping is None
            ):
                self._stop(parent, reason, now)

    def cancel_all(self, reason: Reason, now: datetime) -> None:
        """Cancel everything at work; allowed in every phase."""
        for parent in tuple(self._parents.values()):
            if not parent.is_done and parent.stopping is None:
                self._stop(parent, reason, now)

    # --------------------------------------------------------------------------------- after a doubt, after a restart

    def settle_unresolved(self, order: str, outcome: OrderOutcome, now: datetime) -> None:
        """End an UNRESOLVED order by what the broker or reconciliation has shown."""
        owner = self._desk.owner(order)
        if owner is not None and owner[1].outcome is None:
            self._close_child(*owner, outcome, now)

    def remember(self, orders: Iterable[tuple[str, str, Purpose, int]], intents: Iterable[tuple[str, Purpose]]) -> None:
        """Take over the ids of an earlier process, so that none is ever used again."""
        self._maker.remember(orders)
        self._intents.update(intents)

    def adopt(self, parent: Parent, child: Child, now: datetime) -> None:
        """Take over an order of an earlier process that still works, or whose end is unknown."""
        if parent.is_opening and self._books.trade(parent.trade).state is TradeState.PLANNED:
            self._drive(parent.trade, Trigger.SENT, now)  # it died between the word and the deed: it may be sent
        parent.child = child
        self._parents[parent.intent_id] = parent
        self._desk.register(parent, child)

    def query(self, order: str, now: datetime) -> None:
        """Ask the broker about an order and fold what it says as if it had been reported.

        One in doubt that turns out to be at work is cancelled: its ladder has gone on without it.
        """
        owner, known = self._desk.owner(order), self._broker.find(order)
        if owner is None or known is None:
            return
        child = owner[1]
        self._desk.recover(known, child, now)
        self.fold(now)
        if child.state is OrderState.UNRESOLVED:
            child.cancel_at = child.cancel_at or now
            self._broker.cancel(order)
            self.fold(now)

    def doubt_unknown(self, now: datetime) -> None:
        """Put every order in doubt that we count as at work and the broker does not know: it may have filled, or ended,
        while nobody was listening.
        """
        for parent in tuple(self._parents.values()):
            child = parent.working
            if child is not None and self._broker.find(child.id) is None:
                self._mark_unresolved(parent, child, now)

    def recover_unknown(self, now: datetime) -> None:
        """Book what orders in doubt must have filled that the broker does not know any more."""
        if self._doubts.recover(self.working_children(), now):
            self.fold(now)


_OPENING_ENDS = {
    ParentEnd.FILLED: Trigger.FILLED,
    ParentEnd.REJECTED: Trigger.REJECTED,
    ParentEnd.DENIED: Trigger.DENIED,
}
