"""The only module that sends or cancels an order; an order is never changed.

A parent (one intent) is worked by children (orders) along a price ladder: cancel, confirm, replace the remainder.
Before each order the last checks are asked again, ORDER_INTENT is made durable and ORDER_SENT written, because
reports may arrive inside the broker's call.  Reports only enter a queue; it is folded when the call returns and at
the start of each step, by order id, in whatever sequence they come.

`closing_desk` decides what is begun to close or repair a trade, `order_maker` makes the next order of a parent,
`order_sender` judges and records it, `order_ends` says what an end means; here is when all that happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from core.books import Books
from core.broker_doubts import BrokerDoubts
from core.closing_desk import ClosingDesk
from core.exit_plans import Exit
from core.ledger import Ledger
from core.market import MarketSnapshot
from core.net_quote import PriceLadder
from core.order_ends import Drive, OrderEnds
from core.order_maker import Draft, OrderMaker
from core.order_sender import Guard, OrderSender, StateOf
from core.ports import Broker
from core.reasons import Reason
from core.report_desk import ReportDesk
from core.settings import OrderSettings
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import BrokerEvent, Intent, Ladder, OrderOutcome, Purpose, TradingState
from core.working_orders import Child, OrderState, Parent, ParentEnd, Style, WorkingOrders

_FITS_NO_MORE = frozenset({Reason.DENIED_NOT_REDUCING, Reason.DENIED_SIZE})
"""A closing that is denied so was planned on holdings that are no more: it ends, and is planned anew."""


class OrderGateway:
    """Owner of every order from its plan to its end."""

    def __init__(
        self,
        run: str,
        settings: OrderSettings,
        ledger: Ledger,
        books: Books,
        broker: Broker,
        drive: Drive,
        *,
        group_wait: timedelta = timedelta(0),
    ) -> None:
        """group_wait: how long the legs of a group may arrive after the first; none on a clock of minute bars, where
        all reports of a minute are there when its step folds them.
        """
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._drive = drive
        self._group_wait = group_wait
        self._desk = ReportDesk(ledger, books, broker.find)
        self.reported = self._desk.waiting
        """Reports that are not folded yet."""
        self._doubts = BrokerDoubts(run, ledger, books, broker, self._desk)
        self.orders = WorkingOrders()
        """What is at work; only the gateway and its desks change it."""
        self._maker = OrderMaker(run, settings, books)
        self._sender = OrderSender(settings, ledger, books, broker, self._maker)
        self._ends = OrderEnds(ledger, books, self.orders, self._sender, drive)
        self._closings = ClosingDesk(settings, ledger, books, broker, self.orders, self._maker, self._stop)

    # ---------------------------------------------------------------------------------------------------- the outside

    def read_state_from(self, state: StateOf) -> None:
        """Give the gateway the trading state as it is at the moment of sending."""
        self._sender.state_of = state

    def post(self, event: BrokerEvent) -> None:
        """Append a report. Called from any thread, also inside a broker call; does nothing else."""
        self._desk.post(event)

    def open_session(self) -> None:
        self._sender.open_session()

    def working_children(self) -> tuple[Child, ...]:
        return self.orders.children

    def opening_of(self, strategy: str) -> Parent | None:
        """Return the live opening of a strategy; it is not asked again while one is at work."""
        return self.orders.opening_of(strategy)

    def closing_of(self, trade: str) -> Parent | None:
        """Return the live closing of a trade, repairs apart; there is never more than one."""
        return self.orders.closing(trade)

    # ----------------------------------------------------------------------------------- 1 fold reports, watch clocks

    def fold(self, now: datetime) -> None:
        """Fold all queued reports into ledger, books and orders, then judge the orders that they concern."""
        if not self._desk.waiting:
            return
        for touched in self._desk.fold(now):
            parent, child = touched.parent, touched.child
            self._judge(parent, child, now)
            if not touched.misfit:
                continue
            if child.outcome is None:
                self._ends.doubt(parent, child, now)
            elif parent.end is None:
                # What was filled after the end is in no book: nothing more is sent until holdings were compared.
                self._stop(parent, now)

    def _judge(self, parent: Parent, child: Child, now: datetime) -> None:
        """Judge the group once all its legs are terminal."""
        if child.outcome is not None:
            return
        outcome = child.verdict()
        if outcome not in (None, OrderOutcome.FILLED) and not child.was_asked:
            child.was_asked = True
            self.query(child.id, now)  # what has it filled before it ended? A report may be missing
            outcome = child.verdict() if child.outcome is None else None
        if outcome is not None:
            self._ends.end(parent, child, outcome, now)
        elif child.outcome is None and child.filled and parent.purpose is Purpose.OPEN:
            self._drive(parent.trade, Trigger.PART if child.is_balanced else Trigger.LEG, now)

    def watch(self, now: datetime, *, in_step: bool) -> None:
        """Look at the clock of every order: what was not answered in time is in doubt, and a group that stays filled in
        part of its legs is judged as it stands.

        in_step: all reports of this minute have been folded.
        """
        for parent in self.orders.parents:
            child = parent.working
            if child is None:
                continue
            child.lacking_since = (child.lacking_since or now) if child.lacks_fills else None
            if child.unresolved_at is None and self._is_overdue(child, now):
                self._ends.doubt(parent, child, now)
            if self._is_torn(child, now, in_step=in_step):
                self.query(child.id, now)
                if child.outcome is None and not child.is_balanced:
                    self._ends.tear(parent, child, now)
                    self._stop(parent, now)

    def _is_overdue(self, child: Child, now: datetime) -> bool:
        """Whether acknowledgement, confirmation of a cancel, or fills that are spoken of did not come in their time."""
        answer, confirmation = (
            timedelta(seconds=self._settings.ack_timeout_s),
            timedelta(seconds=self._settings.cancel_timeout_s),
        )
        return (
            (child.state is OrderState.SENT and now - child.sent_at >= answer)
            or (child.lacking_since is not None and now - child.lacking_since >= answer)
            or (child.cancel_at is not None and now - child.cancel_at >= confirmation)
        )

    def _is_torn(self, child: Child, now: datetime, *, in_step: bool) -> bool:
        if child.is_broken or not child.filled or child.is_balanced:
            return False
        if not self._group_wait:
            return in_step
        return now - (child.first_fill_at or child.sent_at) >= self._group_wait

    # ----------------------------------------------------------------------------------------------------- 2 openings

    def open(self, intent: Intent, snapshot: MarketSnapshot) -> None:
        """Start working a sized opening; INTENT and the allowing VERDICT stand in the ledger already."""
        assert intent.qty is not None, "the sizer has answered"
        assert intent.plan is not None, "an opening knows its worst price"
        now = snapshot.time
        steps = PriceLadder.of(Ladder.ENTRY, self._settings).steps
        parent = Parent(
            intent_id=str(intent.detail["intent"]),
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
        self.orders.add(parent)

    def begin(self, parent: Parent) -> None:
        """Start working a parent that its owner has planned; INTENT and the allowing VERDICT stand in the ledger."""
        self.orders.add(parent)

    def stop(self, parent: Parent, now: datetime) -> None:
        """Stop a parent: its order is cancelled, and when that is confirmed it ends."""
        if not parent.stopping:
            self._stop(parent, now)

    def guard(self, strategy: str, guard: Guard) -> None:
        """Let a book judge each of its own orders once more when they are final."""
        self._sender.guards[strategy] = guard

    def next_intent_id(self, trade: str, purpose: Purpose) -> str:
        return self._maker.next_intent_id(trade, purpose)

    # ----------------------------------------------------------------------------------------------------- 3 closings

    def close(self, trade: Trade, due: Exit, snapshot: MarketSnapshot) -> None:
        """Close what a trade holds, except bidless longs in due.keep."""
        self._closings.close(trade, due, snapshot)

    def repair(self, trade: Trade, snapshot: MarketSnapshot) -> None:
        """Buy back at once every short of a trade that nothing covers."""
        self._closings.repair(trade, snapshot)

    # -------------------------------------------------------------------------------------------- 4 work what is open

    def work(self, snapshot: MarketSnapshot) -> None:
        """Move every parent one step if its time has come. Closings first, then openings in the order in which they
        began.
        """
        if not self.orders.parents:
            return
        for parent in sorted(self.orders, key=lambda item: (item.is_opening, item.started, item.intent_id)):
            parent.was_rejected = False  # holdings were compared since
            if parent.end is None:
                self._work_parent(parent, snapshot)

    def _work_parent(self, parent: Parent, snapshot: MarketSnapshot) -> None:
        now = snapshot.time
        child = parent.working
        if parent.stopping or parent.was_rejected:
            return
        waits = (OrderState.UNRESOLVED, OrderState.CANCEL_PENDING)
        if child is not None and (child.state in waits or child.lacks_fills):
            return
        if now >= parent.ladder_end and parent.ends_by_itself:
            self._end_ladder(parent, now)
            return
        if parent.is_repair and not self._books.uncovered(parent.trade).get(parent.structure.symbols[0]):
            self._stop(parent, now)  # its cover has come by itself
            return
        if parent.style is Style.MARKET and child is None and parent.children >= self._settings.children_per_parent:
            self._ends.finish(parent, ParentEnd.CHILDREN_USED, now)  # its owner begins the next one, reconciled
            return
        if now >= parent.next_step_at:
            self._take_step(parent, child, snapshot)

    def _take_step(self, parent: Parent, child: Child | None, snapshot: MarketSnapshot) -> None:
        now = snapshot.time
        draft = self._maker.make(parent, snapshot)
        if draft is None and parent.can_split and not parent.leg_wise:
            parent.leg_wise = True  # a leg without a price holds up all of them
            draft = self._maker.make(parent, snapshot)
        if child is not None:
            if draft is None and not parent.is_opening:
                parent.advance(self._settings.ladder_step_s, now)
                return  # an exit at an old price is better than none
            if draft is not None and child.stands_for(draft.request):
                parent.advance(self._settings.ladder_step_s, now)
                return
            parent.replacing = True
            self._cancel(child, now)
            if child.outcome is None or parent.end is not None or parent.was_rejected:
                return  # confirmed later, or it filled meanwhile: never replaced before the cancel is confirmed
            draft = self._maker.make(parent, snapshot)
        if draft is not None:
            self._send(parent, draft, snapshot)
        elif not parent.is_repair:  # a repair takes the first quote that comes
            parent.advance(self._settings.ladder_step_s, now)

    def _send(self, parent: Parent, draft: Draft, snapshot: MarketSnapshot) -> None:
        now = snapshot.time
        if parent.children >= self._settings.children_per_parent:
            self._closings.rest(parent.trade, now)
            self._ends.finish(parent, ParentEnd.CHILDREN_USED, now)
            return
        if self._sender.must_wait(parent, snapshot):
            return
        verdict = self._sender.refusal(parent, draft, self.orders.children, snapshot)
        if verdict is not None:
            self._denied(parent, verdict.reason, now)
            return
        child = self._sender.record(parent, draft.request, now)
        if child is None:
            self._denied(parent, Reason.LEDGER_NOT_DURABLE, now)
            return
        first = parent.children == 0
        parent.replacing = False
        parent.child = child
        parent.children += 1
        parent.advance(self._settings.ladder_step_s, now)
        self._desk.register(parent, child)
        if first and parent.purpose is Purpose.OPEN:
            self._drive(parent.trade, Trigger.SENT, now)
        self._desk.extend(self._broker.send(draft.request))
        self.fold(now)

    def _denied(self, parent: Parent, reason: Reason, now: datetime) -> None:
        if parent.is_opening:
            self._ends.finish(parent, ParentEnd.NO_FILL if parent.children else ParentEnd.DENIED, now)
        elif reason in _FITS_NO_MORE:
            self._ends.finish(parent, ParentEnd.STOPPED, now)
        else:
            parent.advance(self._settings.ladder_step_s, now)

    def _end_ladder(self, parent: Parent, now: datetime) -> None:
        parent.ending = True
        child = parent.working
        if child is not None:
            self._cancel(child, now)
        elif parent.end is None:
            self._ends.finish(parent, ParentEnd.NO_FILL, now)

    # ------------------------------------------------------------------------------------------------- between steps

    def needs_attention(self) -> bool:
        """Whether something waits for the broker's next word, or may not wait for the next step.

        Where reports come within the minute, none waits: it may be the one leg of a group that fills alone.
        """
        waits = (OrderState.CANCEL_PENDING, OrderState.UNRESOLVED)
        return (
            (bool(self._desk.waiting) and bool(self._group_wait))
            or self._closings.is_waiting
            or any(child.state in waits or child.is_broken for child in self.orders.children)
            or self._books.has_uncovered
        )

    def attend(self, snapshot: MarketSnapshot) -> None:
        """Go on with what waited for the end of an order, at the prices of the step before."""
        self.watch(snapshot.time, in_step=False)
        if not snapshot.phase.market_open:
            return
        for parent in self.orders:
            if parent.replacing and parent.working is None and parent.end is None:
                parent.replacing = False
                self._work_parent(parent, snapshot)
        self._closings.go_on(snapshot)
        for trade in self._books.open_trades():
            if trade.uncovered_since is not None:
                self.repair(trade, snapshot)
        for parent in self.orders:
            if parent.children == 0 and not parent.is_opening:
                self._work_parent(parent, snapshot)

    # -------------------------------------------------------------------------------------------------------- cancels

    def _cancel(self, child: Child, now: datetime) -> None:
        if child.cancel_at is None:
            child.cancel_at = now
            self._broker.cancel(child.id)
            self.fold(now)

    def _stop(self, parent: Parent, now: datetime) -> None:
        """Stop a parent: its child is cancelled, and when that is confirmed the parent ends."""
        parent.stopping = True
        child = parent.working
        if parent.end is not None:
            return
        if child is None:
            self._ends.finish(parent, ParentEnd.STOPPED, now)
        elif child.state is not OrderState.UNRESOLVED:  # one in doubt is cancelled when the broker knows it
            self._cancel(child, now)

    def cancel_openings(self, now: datetime) -> None:
        """Cancel every working opening that could not be sent now: whoever may not open has none at work."""
        for parent in self.orders.parents:
            if not parent.is_opening or parent.stopping:
                continue
            state, _ = self._sender.state_of(parent.strategy, parent.structure.symbols)
            if state is not TradingState.ACTIVE:
                self._stop(parent, now)

    def cancel_all(self, now: datetime) -> None:
        """Cancel everything at work but what waits for the auction's word; allowed in every phase."""
        for parent in self.orders:
            if not parent.stopping and not (parent.style is Style.ON_CLOSE and now < parent.ladder_end):
                self._stop(parent, now)

    # --------------------------------------------------------------------------------- after a doubt, after a restart

    def settle_unresolved(self, order: str, outcome: OrderOutcome, now: datetime) -> None:
        """End an UNRESOLVED order by what the broker or reconciliation has shown."""
        owner = self._desk.owner(order)
        if owner is not None and owner[1].outcome is None:
            self._ends.end(*owner, outcome, now)

    def leave_open(self, now: datetime) -> None:
        """The run ends here: what still works has no outcome that anyone will learn."""
        for parent in self.orders:
            child = parent.working
            if child is not None and child.unresolved_at is None:
                child.unresolved_at = now
                self._sender.record_outcome(parent, child, OrderOutcome.UNRESOLVED, now)

    def remember(self, orders: Iterable[tuple[str, str, Purpose, int]], intents: Iterable[tuple[str, Purpose]]) -> None:
        """Take over the ids of an earlier process, so that none is ever used again."""
        self._maker.remember(orders, intents)

    def relearn(self, now: datetime) -> None:
        """Write down again what works at the broker under an id of ours that the ledger has lost."""
        self._doubts.relearn(now)

    def adopt(self, parent: Parent, child: Child, now: datetime) -> None:
        """Take over an order of an earlier process that still works, or whose end is unknown."""
        if parent.is_opening and self._books.trade(parent.trade).state is TradeState.PLANNED:
            self._drive(parent.trade, Trigger.SENT, now)  # it died between the word and the deed: it may be sent
        parent.child = child
        self.orders.add(parent)
        self._desk.register(parent, child)

    def query(self, order: str, now: datetime) -> None:
        """Ask the broker about an order and fold what it says as if it had been reported.

        One in doubt that turns out to be at work is cancelled, again each time: its ladder has gone on without it.
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
        for parent in self.orders:
            child = parent.working
            if child is not None and self._broker.find(child.id) is None:
                self._ends.doubt(parent, child, now)

    def recover_unknown(self, now: datetime) -> None:
        """Book what orders in doubt must have filled that the broker does not know any more."""
        if self.orders.parents and self._doubts.recover(self.working_children(), now):
            self.fold(now)
