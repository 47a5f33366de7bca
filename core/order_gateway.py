"""The only module that sends or cancels an order; an order is never changed.

A parent (one intent) is worked by children (orders) along a price ladder: cancel, confirm, replace the remainder.
Before each order the last checks are asked again, ORDER_INTENT is made durable and ORDER_SENT written, because
reports may arrive inside the broker's call.  Reports only enter a queue; it is folded when the call returns and at
the start of each step, by order id, in whatever sequence they come.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import gcd

from core.books import Books
from core.closing import closing_structure, defined_width
from core.errors import LedgerError
from core.intents import allow_intent, ledger_detail, record_intent
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot, Quote
from core.net_quote import NetQuote, PriceLadder, all_good, net_quote, usable
from core.order_checks import OrderFacts, Throttle, collar_room, judge_order, open_quantities
from core.ports import Broker, OrderRequest, OrderType, TimeInForce
from core.reasons import Reason
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
    OrderLeg,
    OrderOutcome,
    OrderStatus,
    Purpose,
    Structure,
    StructureName,
    TradingState,
    Verdict,
    to_u6,
)
from core.working_orders import Child, OrderState, Parent, ParentEnd
from helpers.tick_grid import against_us

Drive = Callable[[str, Trigger, datetime], TradeState]
FLATTEN_COMBO_FAILURES = 2
"""After so many combos without a fill the flattening goes leg by leg, shorts first (risk.md 18)."""


class OrderGateway:
    """Owner of every order from its plan to its end."""

    def __init__(
        self, run: str, settings: OrderSettings, ledger: Ledger, books: Books, broker: Broker, drive: Drive
    ) -> None:
        self._run = run
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._drive = drive
        self._queue: deque[BrokerEvent] = deque()
        self._parents: dict[str, Parent] = {}
        self._children: dict[str, tuple[Parent, Child]] = {}
        self._attempts: Counter[tuple[str, Purpose]] = Counter()
        self._intents: Counter[tuple[str, Purpose]] = Counter()
        self._used_ids: set[str] = set()
        self._throttle = Throttle(settings)
        self._state: Callable[[str], tuple[TradingState, bool]] = lambda _strategy: (TradingState.HALTED, False)

    # ---------------------------------------------------------------------------------------------------- the outside

    def read_state_from(self, state: Callable[[str], tuple[TradingState, bool]]) -> None:
        """Give the gateway the trading state of a strategy as it is at the moment of sending: (state, may flatten)."""
        self._state = state

    def post(self, event: BrokerEvent) -> None:
        """Append a report. Called from any thread, also inside a broker call; does nothing else."""
        self._queue.append(event)

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
        """Fold all queued reports into ledger, books and orders. Reports of orders that are not ours stay for
        reconciliation.
        """
        touched: dict[str, tuple[Parent, Child]] = {}
        while self._queue:
            event = self._queue.popleft()
            owner = self._children.get(event.order)
            if owner is None:
                self._quarantine(event, "UNKNOWN_ORDER", "", now)
                continue
            parent, child = owner
            misfit = child.misfit(event)
            if misfit is not None:
                self._quarantine(event, misfit, parent.strategy, now)
                if child.outcome is None:
                    self._mark_unresolved(parent, child, now)
                continue
            self._take(parent, child, event, now)
            touched[child.id] = (parent, child)
        for parent, child in touched.values():
            self._judge(parent, child, now)

    def _take(self, parent: Parent, child: Child, event: BrokerEvent, now: datetime) -> None:
        if event.qty:
            child.fills += 1
            instrument = next(leg.instrument for leg in child.request.legs if leg.symbol == event.symbol)
            cash = self._books.cash_u6 - event.qty * event.price_u6 * instrument.multiplier - event.fee_u6
            self._ledger.append(
                Kind.FILL,
                parent.strategy,
                now,
                fill=f"{child.id}#{child.fills}",
                order=child.id,
                trade=parent.trade,
                symbol=event.symbol,
                qty=event.qty,
                price_u6=event.price_u6,
                mult=instrument.multiplier,
                fee_u6=event.fee_u6,
                exec_time=event.exec_time,
                cash_after_u6=cash,
                pos_after=self._books.position(event.symbol) + event.qty,
                source="EVENT",
            )
        elif event.status not in child.reported:
            child.reported.add(event.status)
            self._ledger.append(
                Kind.ORDER_EVENT, parent.strategy, now, order=child.id, status=event.status.value, text=event.text
            )
        child.absorb(event)

    def _judge(self, parent: Parent, child: Child, now: datetime) -> None:
        """Judge the group once all its legs are terminal; a fill that left legs behind is an imbalance at once."""
        outcome = child.verdict()
        if outcome is None:
            if child.filled and parent.is_opening:
                balanced = child.filled_units() * child.request.units == sum(abs(q) for q in child.filled.values())
                self._drive(parent.trade, Trigger.PART if balanced else Trigger.LEG, now)
            return
        if child.outcome is not None:
            return
        self._close_child(parent, child, outcome, now)

    def _close_child(self, parent: Parent, child: Child, outcome: OrderOutcome, now: datetime) -> None:
        child.outcome = outcome
        child.unresolved_at = None
        units = child.filled_units()
        parent.done_units += units
        if not units:
            parent.failures += 1
        self._ledger.append(
            Kind.ORDER_OUTCOME,
            parent.strategy,
            now,
            order=child.id,
            outcome=outcome.value,
            filled=units,
            left=child.request.units - units,
        )
        if parent.remaining <= 0:
            self._finish(parent, ParentEnd.FILLED, now)
        elif outcome is OrderOutcome.REJECTED and parent.is_opening:
            self._finish(parent, ParentEnd.REJECTED, now)
        elif parent.stopping is not None:
            self._finish(parent, ParentEnd.STOPPED, now)

    def _finish(self, parent: Parent, end: ParentEnd, now: datetime) -> None:
        """End a parent and tell the trade what that means; the trade machine looks at the balanced units itself."""
        parent.end = end
        self._parents.pop(parent.intent_id, None)
        if parent.is_opening:
            trigger = {
                ParentEnd.FILLED: Trigger.FILLED,
                ParentEnd.REJECTED: Trigger.REJECTED,
                ParentEnd.DENIED: Trigger.DENIED,
            }.get(end, Trigger.CANCELLED)
            self._drive(parent.trade, trigger, now)
            return
        trade = self._books.trade(parent.trade)
        if not any(trade.legs.values()):
            self._drive(parent.trade, Trigger.FLAT, now)
        elif end is ParentEnd.NO_FILL and parent.ladder is Ladder.TARGET:
            self._drive(parent.trade, Trigger.CANCELLED, now)
        elif end is ParentEnd.FILLED:
            self._drive(parent.trade, Trigger.PART, now)

    def _quarantine(self, event: BrokerEvent, cause: str, strategy: str, now: datetime) -> None:
        self._ledger.append(
            Kind.EVENT_QUARANTINED, strategy, now, order=event.order, cause=cause, symbol=event.symbol, qty=event.qty
        )

    # ----------------------------------------------------------------------------------------------------- 2 openings

    def open(self, intent: Intent, snapshot: MarketSnapshot) -> None:
        """Start working a sized opening; INTENT and the allowing VERDICT stand in the ledger already."""
        assert intent.qty is not None and intent.plan is not None
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
            if ladder <= at_work.ladder or at_work.stopping is not None:
                return
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
        request = self._next_request(parent, snapshot)
        if child is not None:
            if (
                request is not None
                and request.net_cash == child.request.net_cash
                and request.legs == child.request.legs
            ):
                parent.advance(self._settings.ladder_step_s, now)
                return
            self._cancel(parent, child, now)
            if not child.is_final or parent.is_done:
                return  # confirmed later, or it filled meanwhile: never replaced before the cancel is confirmed
            request = self._next_request(parent, snapshot)
        if request is None:
            parent.advance(self._settings.ladder_step_s, now)
            return
        self._send(parent, request, snapshot)

    def _end_ladder(self, parent: Parent, now: datetime) -> None:
        child = parent.working
        if child is not None:
            self._cancel(parent, child, now)
            if not child.is_final or parent.is_done:
                return
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
        units = child.filled_units()
        self._ledger.append(
            Kind.ORDER_OUTCOME,
            parent.strategy,
            now,
            order=child.id,
            outcome=OrderOutcome.UNRESOLVED.value,
            filled=units,
            left=child.request.units - units,
        )
        self._drive(parent.trade, Trigger.UNRESOLVED, now)

    # --------------------------------------------------------------------------------------------- prices and sending

    def _next_request(self, parent: Parent, snapshot: MarketSnapshot) -> OrderRequest | None:
        """Return the order of the present ladder step, None where no price can be made now."""
        structure, units = self._structure_now(parent)
        net = self._net(parent, structure, snapshot)
        if net is None:
            return None
        cash = PriceLadder.of(parent.ladder, self._settings).cash(parent.step, net, structure.tick, parent.floor_cash)
        if parent.purpose is Purpose.REPAIR:
            # On a clock of minute bars the collar opens to its full width at once, or sixty seconds could not be kept.
            cash = against_us(net.natural, structure.tick) - collar_room(net.natural, structure.tick, self._settings)
            cash = -abs(against_us(cash, structure.tick))
        if cash is None:
            return None
        attempt = self._attempts[(parent.trade, parent.purpose)] + 1
        legs = tuple(OrderLeg(leg.instrument, leg.ratio * units) for leg in structure.legs)
        single = len(legs) == 1
        return OrderRequest(
            order=f"{self._run}|{parent.trade}|{parent.purpose.value}|{attempt}",
            type=OrderType.LIMIT if single else OrderType.COMBO_LIMIT,
            tif=TimeInForce.DAY,
            legs=legs,
            units=gcd(*(leg.qty for leg in legs)),
            net_cash=cash,
        )

    def _structure_now(self, parent: Parent) -> tuple[Structure, int]:
        """The legs of the next child. A flattening that failed twice as a combo goes leg by leg, shorts (which it
        buys) first.
        """
        if (
            parent.purpose is Purpose.FLATTEN
            and parent.failures >= FLATTEN_COMBO_FAILURES
            and len(parent.structure.legs) > 1
        ):
            trade = self._books.trade(parent.trade)
            for leg in sorted(parent.structure.legs, key=lambda item: -item.ratio):
                left = abs(trade.legs.get(leg.symbol, 0))
                if left:
                    sign = 1 if leg.ratio > 0 else -1
                    return Structure(StructureName.SINGLE, (Leg(leg.instrument, sign),)), left
        return parent.structure, parent.remaining

    def _net(self, parent: Parent, structure: Structure, snapshot: MarketSnapshot) -> NetQuote | None:
        """Openings need every leg GOOD now. Closings leave under any verdict, at the last good natural price."""
        if parent.is_opening:
            return net_quote(structure, snapshot.quote) if all_good(structure, snapshot.quote) else None

        def quote_of(symbol: str) -> Quote:
            present = snapshot.quote(symbol)
            return present if usable(present) else snapshot.last_good.get(symbol, present)

        return net_quote(structure, quote_of)

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
        structure, _units = self._structure_now(parent)
        verdict = judge_order(request, self._facts(parent, structure, snapshot), self._settings)
        if not verdict.allowed:
            self._refuse(parent, verdict, now)
            if parent.is_opening:
                self._finish(parent, ParentEnd.DENIED if parent.children == 0 else ParentEnd.NO_FILL, now)
            else:
                parent.advance(self._settings.ladder_step_s, now)
            return
        child = Child(request, now, parent.ladder_end)
        try:
            self._record_sending(parent, child, now)
        except LedgerError:
            if parent.is_opening:
                self._finish(parent, ParentEnd.DENIED if parent.children == 0 else ParentEnd.NO_FILL, now)
                return
            # A closing goes on: the record is kept in memory and appended once the store writes again.
        self._used_ids.add(child.id)
        self._attempts[(parent.trade, parent.purpose)] += 1
        self._children[child.id] = (parent, child)
        self._throttle.count(now, opening=parent.is_opening)
        first = parent.children == 0
        parent.child = child
        parent.children += 1
        parent.advance(self._settings.ladder_step_s, now)
        if first and parent.is_opening:
            self._drive(parent.trade, Trigger.SENT, now)
        self._queue.extend(self._broker.send(request))
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
            attempt=self._attempts[(parent.trade, parent.purpose)] + 1,
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
            used_ids=self._used_ids,
            net=self._net(parent, structure, snapshot),
            tick=structure.tick,
            close_width=width,
        )

    def _refuse(self, parent: Parent, verdict: Verdict, now: datetime) -> None:
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
        parent, child = self._children[order]
        if child.outcome is None:
            self._close_child(parent, child, outcome, now)

    def remember(self, orders: Iterable[tuple[str, str, Purpose, int]], intents: Iterable[tuple[str, Purpose]]) -> None:
        """Take over ids of an earlier process (order id, trade, purpose, attempt), so that none is ever used again."""
        for order, trade, purpose, attempt in orders:
            self._used_ids.add(order)
            self._attempts[(trade, purpose)] = max(self._attempts[(trade, purpose)], attempt)
        for trade, purpose in intents:
            self._intents[(trade, purpose)] += 1

    def adopt(self, parent: Parent, child: Child) -> None:
        """Take over an order of an earlier process that still works, or whose end is unknown."""
        parent.child = child
        self._parents[parent.intent_id] = parent
        self._children[child.id] = (parent, child)
        self._used_ids.add(child.id)

    def query(self, order: str, now: datetime) -> None:
        """Ask the broker about an order and fold what it says as if it had been reported."""
        owner = self._children.get(order)
        known = self._broker.find(order)
        if owner is None or known is None:
            return
        _parent, child = owner
        for symbol, filled in sorted(known.filled.items()):
            missing = filled - child.filled.get(symbol, 0)
            price = to_u6(known.average_price.get(symbol, 0.0))
            if missing:
                self._queue.append(BrokerEvent(order, symbol, known.status, missing, price, 0, now, "recovered"))
            elif known.status.is_final or known.status is OrderStatus.SUBMITTED:
                self._queue.append(BrokerEvent(order, symbol, known.status, 0, 0, 0, now, "recovered"))
        self.fold(now)
