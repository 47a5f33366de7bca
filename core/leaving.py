"""Stage 4 of a step: every open trade is asked for its exit before anything is opened.

Exits bypass every limiter but the last checks.  A trade that has begun to leave goes on leaving, and a short that
nothing covers is bought back before anything else happens to its trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.books import Books
from core.containment import Containment
from core.exit_plans import Exit, ExitWatch
from core.market import MarketSnapshot
from core.order_gateway import OrderGateway
from core.reasons import EXIT_PRIORITY, Reason
from core.rules import ExitDemand
from core.state_manager import StateManager
from core.strategy import Strategy
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.trading_state import StateBoard
from core.vocabulary import Ladder


class Leaving:
    """Asks strategies, managers and stored plans what has to go, and has it closed."""

    def __init__(
        self,
        books: Books,
        state: StateManager,
        gateway: OrderGateway,
        exits: ExitWatch,
        board: StateBoard,
        strategies: Sequence[Strategy],
        containment: Containment,
        apart: frozenset[str] = frozenset(),
    ) -> None:
        """apart: books that leave by a desk of their own."""
        self._apart = apart
        self._books = books
        self._state = state
        self._gateway = gateway
        self._exits = exits
        self._board = board
        self._strategies = {strategy.name: strategy for strategy in strategies}
        self._containment = containment

    def leave(self, snapshot: MarketSnapshot, demands: Sequence[ExitDemand]) -> None:
        """Let due triggers move the trades, then begin what has to be closed or repaired."""
        if not self._books.has_open_trades:
            return
        for trade_id, trigger in self._state.due(snapshot):
            self._state.drive(trade_id, trigger, snapshot.time)
        if not snapshot.phase.market_open:
            return
        by_trade = {demand.trade: demand for demand in demands} if demands else {}
        for trade in self._books.open_trades():
            if trade.strategy not in self._apart:
                self._ask(trade, snapshot, by_trade.get(trade.id))

    def leave_book(self, book: str, snapshot: MarketSnapshot) -> None:
        """Let the stored plans of one book decide, whose own desk has failed."""
        if snapshot.phase.market_open:
            for trade in self._books.open_trades(book):
                self._ask(trade, snapshot, None)

    def _ask(self, trade: Trade, snapshot: MarketSnapshot, demand: ExitDemand | None) -> None:
        if trade.is_flat or trade.state is TradeState.PLANNED or trade.state is TradeState.SETTLING:
            return
        due = None if trade.state is TradeState.REPAIRING else self._due(trade, snapshot, demand)
        flattens = due is not None and due.ladder is Ladder.FLATTEN  # it goes leg by leg itself, shorts first
        if trade.uncovered_since is not None and not flattens:
            self._gateway.repair(trade, snapshot)
        elif due is not None:
            if trade.state is not TradeState.EXITING:
                self._state.drive(trade.id, Trigger.EXIT_DUE, snapshot.time)
            self._gateway.close(self._books.trade(trade.id), due, snapshot)

    def _due(self, trade: Trade, snapshot: MarketSnapshot, demand: ExitDemand | None) -> Exit | None:
        """Return the first true exit in the universal order, by the most urgent ladder of all that are true."""
        found: list[Exit] = []
        own = self._own(trade, snapshot)
        if own is not None:
            found.append(own)
        if demand is not None:
            found.append(self._exits.demanded(trade, snapshot, demand.reason, demand.ladder))
        if self._board.wants_flat(trade.strategy) is not None:
            found.append(self._exits.demanded(trade, snapshot, Reason.EXIT_RISK, Ladder.FLATTEN))
        if self._goes_on(trade) and (not found or trade.closings):
            reason = trade.exit_reason or Reason.EXIT_RISK
            found.append(self._exits.demanded(trade, snapshot, reason, Ladder.URGENT))
        if not found:
            return None
        first = min(found, key=lambda item: (EXIT_PRIORITY.index(item.reason), -item.ladder))
        return replace(first, ladder=max(item.ladder for item in found))

    def _own(self, trade: Trade, snapshot: MarketSnapshot) -> Exit | None:
        """Ask the strategy; where it is gone or fails, the plan that is stored with the trade."""
        strategy = self._strategies.get(trade.strategy)
        if strategy is None:
            return self._exits.judge(trade, snapshot)
        return self._containment.strategy(
            strategy.name,
            snapshot.time,
            lambda _text: self._exits.judge(trade, snapshot),
            strategy.leave,
            trade,
            snapshot,
            self._books,
            self._exits,
        )

    def _goes_on(self, trade: Trade) -> bool:
        """Whether a trade has begun to leave and nothing works on it: only a target without a fill is taken back."""
        begun = trade.closings > 0 or trade.exit_reason not in (None, Reason.EXIT_TARGET)
        return (begun or trade.state is TradeState.EXITING) and self._gateway.closing_of(trade.id) is None
