"""Reconciliation: books and working orders against the broker's holdings and cash, in every step.

Holdings are read by direct key over our own list, because the engine hides expired legs when one iterates; only the
search for foreign positions iterates, in the session.  A break locks what it concerns and sends nothing; it unlocks
itself after two clean steps.  Reconciling twice changes nothing (RC-P1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.books import Books
from core.ledger_kinds import BreakStatus, Kind
from core.market import MarketSnapshot
from core.order_checks import open_quantities
from core.ports import Account, Broker
from core.reasons import Reason
from core.rules import Cause, Note
from core.settings import OrderSettings, StateSettings
from core.trade_machine import Trigger
from core.vocabulary import OrderOutcome, Scope, TradingState
from core.working_orders import Child, OrderState

CASH = "CASH"
"""The name under which a cash break is recorded in place of a symbol."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one comparison found: causes that hold, orders to ask the broker about, doubts it settled, triggers for
    trades, records.
    """

    causes: tuple[Cause, ...] = ()
    queries: tuple[str, ...] = ()
    settled: tuple[tuple[str, OrderOutcome], ...] = ()
    triggers: tuple[tuple[str, Trigger], ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not self.causes


@dataclass(slots=True)
class _Break:
    """One difference under watch; it opens at once and clears after the clean steps."""

    reason: Reason
    book_qty: int
    broker_qty: int
    locked: tuple[str, ...]
    clean: int = 0
    trades: tuple[str, ...] = field(default_factory=tuple)


class Reconciler:
    """Compares, remembers open breaks, and says what is locked."""

    def __init__(self, settings: StateSettings, orders: OrderSettings, books: Books, broker: Broker) -> None:
        self._settings = settings
        self._orders = orders
        self._books = books
        self._broker = broker
        self._breaks: dict[str, _Break] = {}

    @property
    def open_breaks(self) -> tuple[str, ...]:
        return tuple(sorted(self._breaks))

    def reconcile(self, snapshot: MarketSnapshot, account: Account, working: Sequence[Child]) -> Reconciliation:
        """Compare once. working: our orders that are not final, UNRESOLVED ones included."""
        now = snapshot.time
        unresolved = [child for child in working if child.state is OrderState.UNRESOLVED]
        explained = open_quantities((child.request.legs, child.filled) for child in working)
        differences = self._differences(snapshot, explained)
        notes: list[Note] = []
        triggers: list[tuple[str, Trigger]] = []
        for symbol, (reason, ours, theirs) in differences.items():
            self._open(symbol, reason, ours, theirs, notes, triggers)
        cash = self._cash_difference(snapshot, account)
        if cash is not None and not differences:
            self._open(CASH, Reason.BREAK_CASH, cash[0], cash[1], notes, triggers)
        seen = set(differences) | ({CASH} if cash is not None else set())
        for symbol in [item for item in self._breaks if item not in seen]:
            self._clear(symbol, notes, triggers)
        queries, settled = self._doubts(unresolved, differences, now)
        return Reconciliation(self._causes(unresolved), queries, settled, tuple(triggers), tuple(notes))

    # ------------------------------------------------------------------------------------------------------ comparing

    def _differences(
        self, snapshot: MarketSnapshot, explained: Mapping[str, int]
    ) -> dict[str, tuple[Reason, int, int]]:
        books = self._books
        found: dict[str, tuple[Reason, int, int]] = {}
        known = dict.fromkeys(books.positions())
        known.update(dict.fromkeys(explained))
        for symbol in known:
            ours, theirs = books.position(symbol), self._broker.position(symbol)
            if ours == theirs or self._is_settling(symbol, theirs, snapshot):
                continue
            found[symbol] = (Reason.BREAK_SIGN if ours * theirs < 0 else Reason.BREAK_QTY, ours, theirs)
        if snapshot.phase.market_open:
            for symbol, qty in self._broker.positions().items():
                if symbol not in known:
                    found[symbol] = (Reason.BREAK_FOREIGN, 0, qty)
        return dict(sorted(found.items()))

    def _is_settling(self, symbol: str, theirs: int, snapshot: MarketSnapshot) -> bool:
        """An expired contract is gone at the broker before its settlement is folded: that is no difference."""
        instrument = self._books.instrument(symbol) if self._books.knows(symbol) else None
        expired = instrument is not None and instrument.expiry is not None and instrument.expiry < snapshot.session.day
        return expired and theirs == 0

    def _cash_difference(self, snapshot: MarketSnapshot, account: Account) -> tuple[int, int] | None:
        ours, theirs = self._books.cash_u6, account.cash_u6 + account.unsettled_u6
        room = (
            self._settings.cash_tolerance_usd * 1e6
            + self._settings.cash_tolerance_fraction * abs(account.equity_usd) * 1e6
        )
        return (ours, theirs) if abs(ours - theirs) > room else None

    # ---------------------------------------------------------------------------------------------- opening, clearing

    def _open(
        self,
        symbol: str,
        reason: Reason,
        ours: int,
        theirs: int,
        notes: list[Note],
        triggers: list[tuple[str, Trigger]],
    ) -> None:
        known = self._breaks.get(symbol)
        if known is not None and (known.book_qty, known.broker_qty) == (ours, theirs):
            known.clean = 0
            return
        holders = self._books.holders(symbol)
        trades = tuple(trade for book in holders for trade in self._books.trades_holding(book, symbol))
        locked = (symbol, *holders)
        self._breaks[symbol] = _Break(reason, ours, theirs, locked, trades=trades)
        notes.append(self._note(symbol, ours, theirs, BreakStatus.OPEN, locked))
        text = f"{reason.value}: our books hold {ours} of {symbol}, the broker {theirs}. {', '.join(locked)} is close-only until they agree."
        notes.append(Note(Kind.ALERT, "", {"severity": "CRITICAL", "code": reason.value, "text": text}))
        if reason in (Reason.BREAK_QTY, Reason.BREAK_SIGN):
            triggers.extend((trade, Trigger.BREAK) for trade in trades)

    def _clear(self, symbol: str, notes: list[Note], triggers: list[tuple[str, Trigger]]) -> None:
        known = self._breaks[symbol]
        known.clean += 1
        if known.clean < self._settings.clean_steps:
            return
        del self._breaks[symbol]
        ours = self._books.cash_u6 if symbol == CASH else self._books.position(symbol)
        notes.append(self._note(symbol, ours, ours, BreakStatus.CLEARED, known.locked))
        triggers.extend((trade, Trigger.CLEARED) for trade in known.trades if not self._books.trade(trade).state.is_end)

    @staticmethod
    def _note(symbol: str, ours: int, theirs: int, status: BreakStatus, locked: tuple[str, ...]) -> Note:
        return Note(
            Kind.BREAK,
            "",
            {"symbol": symbol, "book_qty": ours, "broker_qty": theirs, "status": status.value, "locked": list(locked)},
        )

    # --------------------------------------------------------------------------------------------------------- doubts

    def _doubts(
        self, unresolved: Sequence[Child], differences: Mapping[str, tuple[Reason, int, int]], now: datetime
    ) -> tuple[tuple[str, ...], tuple[tuple[str, OrderOutcome], ...]]:
        """Ask about every order in doubt; one that the broker does not know and that no difference betrays is LOST
        after its time.
        """
        queries: list[str] = []
        settled: list[tuple[str, OrderOutcome]] = []
        for child in unresolved:
            known = self._broker.find(child.id)
            if known is not None:
                queries.append(child.id)
                continue
            assert child.unresolved_at is not None
            betrayed = any(leg.symbol in differences for leg in child.request.legs)
            if not betrayed and now - child.unresolved_at >= timedelta(seconds=self._orders.lost_after_s):
                settled.append((child.id, OrderOutcome.LOST))
        return tuple(queries), tuple(settled)

    def _causes(self, unresolved: Sequence[Child]) -> tuple[Cause, ...]:
        found: list[Cause] = []
        for symbol, known in sorted(self._breaks.items()):
            if known.reason is Reason.BREAK_CASH:
                found.append(Cause("break.cash", TradingState.REDUCING, known.reason))
                continue
            found.append(
                Cause(f"break.{symbol}", TradingState.REDUCING, known.reason, scope=Scope.SYMBOL, subject=symbol)
            )
            for book in known.locked[1:]:
                found.append(
                    Cause(f"break.{symbol}", TradingState.REDUCING, known.reason, scope=Scope.BOOK, subject=book)
                )
        for child in unresolved:
            strategy = child.id.split("|")[1].rsplit("-", 2)[0]
            found.append(
                Cause(
                    f"unresolved.{child.id}",
                    TradingState.REDUCING,
                    Reason.STRATEGY_LOCKED,
                    scope=Scope.BOOK,
                    subject=strategy,
                )
            )
        return tuple(found)
