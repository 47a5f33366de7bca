"""What must hold before an order leaves, and what is written before it does: last checks, throttle, ORDER_INTENT,
ORDER_SENT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from core.books import Books
from core.closing import defined_width
from core.errors import LedgerError
from core.intents import allow_intent, ledger_detail
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.order_checks import OrderFacts, Throttle, judge_order, open_quantities
from core.order_maker import Draft, OrderMaker
from core.ports import Broker, OrderRequest
from core.quantities import agreed_quantity
from core.reasons import Reason
from core.settings import OrderSettings
from core.vocabulary import Gate, OrderOutcome, TradingState, Verdict, to_u6
from core.working_orders import Child, Parent

StateOf = Callable[[str, Iterable[str]], tuple[TradingState, bool]]
"""(strategy, symbols) -> the trading state that concerns them now, and whether a halt wants everything closed."""

Guard = Callable[[Parent, OrderRequest, MarketSnapshot], Verdict]
"""A book's own last word on each of its final orders."""

_LAST_SEND: Final = timedelta(seconds=30)
"""So long before the close nothing is sent any more: it could not be cancelled in time."""


class OrderSender:
    """Judges and records each order; the gateway hands it to the broker."""

    def __init__(
        self, settings: OrderSettings, ledger: Ledger, books: Books, broker: Broker, maker: OrderMaker
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._maker = maker
        self._throttle = Throttle(settings)
        self.state_of: StateOf = lambda _strategy, _symbols: (TradingState.HALTED, False)
        self.guards: dict[str, Guard] = {}

    def open_session(self) -> None:
        self._throttle.open_session()

    def must_wait(self, parent: Parent, snapshot: MarketSnapshot) -> bool:
        """Whether it is not the time to send: an opening waits until book and broker agree on its contracts, a closing
        for its turn; an opening never queues, it is refused.
        """
        if snapshot.time > snapshot.session.close - _LAST_SEND:
            return True
        if parent.is_opening:
            return not self._agree_on(parent.structure.symbols)
        return not self._throttle.room(snapshot.time, opening=False)

    def _agree_on(self, symbols: Iterable[str]) -> bool:
        return all(self._broker.position(symbol) == self._books.position(symbol) for symbol in symbols)

    def refusal(
        self, parent: Parent, draft: Draft, working: Iterable[Child], snapshot: MarketSnapshot
    ) -> Verdict | None:
        """Return why this order must not leave, None where it may.  A refusal is written."""
        if parent.is_opening and not self._throttle.room(snapshot.time, opening=True):
            verdict = Verdict.refuse(Reason.THROTTLED)
        else:
            verdict = judge_order(draft.request, self._facts(parent, draft, working), self._settings)
        if verdict.allowed and (guard := self.guards.get(parent.strategy)) is not None:
            verdict = guard(parent, draft.request, snapshot)
        if verdict.allowed:
            return None
        parent.refused = True
        self._ledger.append(
            Kind.VERDICT,
            parent.strategy,
            snapshot.time,
            intent=parent.intent_id,
            gate=Gate.INVARIANTS,
            allowed=False,
            reason=verdict.reason,
            scale_e6=0,
            ages={},
            detail=ledger_detail(verdict.detail),
        )
        return verdict

    def record(self, parent: Parent, request: OrderRequest, now: datetime) -> Child | None:
        """Write the order down, durably before it is said to be sent; None where an opening could not be made durable.

        A closing goes on all the same: its record is kept in memory and appended once the store writes again.
        """
        if parent.refused:
            allow_intent(self._ledger, parent.strategy, parent.intent_id, now)
            parent.refused = False
        child = Child(request, now, parent.ladder_end)
        self._write_intent(parent, child, now)
        try:
            self._ledger.before_order()
        except LedgerError:
            if parent.is_opening:
                child.outcome = OrderOutcome.DENIED
                self.record_outcome(parent, child, OrderOutcome.DENIED, now)
                return None
        self._ledger.append(Kind.ORDER_SENT, parent.strategy, now, order=child.id)
        self._throttle.count(now, opening=parent.is_opening)
        return child

    def record_outcome(self, parent: Parent, child: Child, outcome: OrderOutcome, now: datetime) -> None:
        units = child.filled_units()
        self._ledger.append(
            Kind.ORDER_OUTCOME,
            parent.strategy,
            now,
            order=child.id,
            outcome=outcome,
            filled=units,
            left=child.request.units - units,
        )

    def _write_intent(self, parent: Parent, child: Child, now: datetime) -> None:
        request = child.request
        limit = {} if request.net_cash is None else {"limit_u6": to_u6(request.net_cash)}
        self._ledger.append(
            Kind.ORDER_INTENT,
            parent.strategy,
            now,
            order=child.id,
            intent=parent.intent_id,
            trade=parent.trade,
            purpose=parent.purpose,
            attempt=self._maker.use(parent, request),
            type=request.type,
            tif=request.tif,
            legs=[{"symbol": leg.instrument.symbol, "qty": leg.qty} for leg in request.legs],
            deadline=child.deadline,
            **limit,
        )

    def _held(self, parent: Parent, symbol: str) -> int:
        """Return what may be closed of a symbol: where book and broker differ, only what they agree on.

        A repair trusts the book until the difference is a break: the broker's holdings may lag behind its fills.
        """
        ours = self._books.position(symbol)
        if parent.is_repair:
            return self._books.agreed(symbol, ours)
        return agreed_quantity(ours, self._broker.position(symbol))

    def _facts(self, parent: Parent, draft: Draft, working: Iterable[Child]) -> OrderFacts:
        books, structure = self._books, draft.structure
        state, may_flatten = self.state_of(parent.strategy, structure.symbols)
        whole = structure is parent.structure
        # What an opening may not do is asked of its size; only a reduction is measured by what is held.
        held = {} if parent.is_opening else {symbol: self._held(parent, symbol) for symbol in structure.symbols}
        return OrderFacts(
            purpose=parent.purpose,
            state=state,
            may_flatten=may_flatten,
            approved_units=parent.units if whole else max(parent.units, draft.request.units),
            committed_units=parent.done_units if whole else 0,
            held=held,
            own={} if parent.is_opening else books.agreed_legs(parent.trade),
            working=open_quantities([(child.request.legs, child.filled) for child in working]),
            used_ids=self._maker.used_ids,
            net=draft.net,
            tick=structure.tick,
            close_width=None if parent.is_opening else defined_width(structure),
        )
