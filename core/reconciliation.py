"""Reconciliation: books and working orders against the broker's holdings and cash, in every step (risk.md 19).

Holdings are read by direct key over our own list, because the engine hides expired legs when one iterates; only the
search for foreign positions iterates, in the session.  What a working order or a fill of the last minute explains
waits; what nothing explains is locked.  A break sends nothing; it unlocks itself after two clean steps.  Comparing
twice in one step changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.books import Books
from core.ledger_kinds import BreakStatus, Kind
from core.market import MarketSnapshot
from core.ports import Account, Broker, OrderType
from core.reasons import Reason
from core.rules import Cause, Note
from core.settings import OrderSettings, StateSettings
from core.trade_machine import TradeState, Trigger
from core.vocabulary import U6, OrderOutcome, Scope, TradingState
from core.working_orders import Child, OrderState

CASH: Final = "CASH"
"""The name under which a cash break is recorded in place of a symbol; its quantities are micro-dollars."""

FOREIGN_ORDER: Final = "order "
"""What stands before the id of an order that is not ours, in place of a symbol."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one comparison found.

    causes hold now; queries are orders to ask the broker about; settled are doubts that ended; triggers are for trades;
    notes are ledger records.
    """

    causes: tuple[Cause, ...] = ()
    queries: tuple[str, ...] = ()
    settled: tuple[tuple[str, OrderOutcome], ...] = ()
    triggers: tuple[tuple[str, Trigger], ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not self.causes


CLEAN: Final = Reconciliation()
"""What nearly every comparison finds: nothing."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """One symbol on which book and broker differ now; trigger is for the trades that hold it, None: it only locks."""

    symbol: str
    reason: Reason
    ours: int
    theirs: int
    trigger: Trigger | None = None
    orders: tuple[str, ...] = ()


@dataclass(slots=True)
class _Break:
    """A difference that was recorded, and how many steps it has been gone."""

    found: _Difference
    locked: tuple[str, ...]
    trades: tuple[str, ...]
    clean: int = 0
    counted_at: datetime = datetime.min


class Reconciler:
    """Compares, remembers open breaks, and says what is locked."""

    def __init__(self, settings: StateSettings, orders: OrderSettings, books: Books, broker: Broker) -> None:
        self._settings = settings
        self._wait = timedelta(seconds=orders.cancel_timeout_s)
        self._lost_after = timedelta(seconds=orders.lost_after_s)
        self._books = books
        self._broker = broker
        self._breaks: dict[str, _Break] = {}
        self._waiting: dict[str, datetime] = {}

    @property
    def open_breaks(self) -> tuple[str, ...]:
        return tuple(sorted(self._breaks))

    def reconcile(self, snapshot: MarketSnapshot, account: Account, working: Sequence[Child]) -> Reconciliation:
        """Compare once.  working: our orders that are not final, UNRESOLVED ones included."""
        if not (working or self._breaks or self._waiting) and self._agree(snapshot, account):
            return CLEAN
        triggers: list[tuple[str, Trigger]] = []
        differences = {found.symbol: found for found in self._differences(snapshot, working, triggers)}
        if not differences and not self._waiting:
            cash = self._cash_difference(account, snapshot.time)
            if cash is not None:
                differences[CASH] = cash
        elif CASH in self._breaks:
            differences[CASH] = self._breaks[CASH].found  # money cannot be judged while holdings are in doubt
        if not (differences or self._breaks or triggers or working):
            return CLEAN
        notes: list[Note] = []
        for found in differences.values():
            self._open(found, notes, triggers)
        for symbol in [item for item in self._breaks if item not in differences]:
            self._clear(symbol, snapshot.time, notes, triggers)
        queries, settled = self._doubts(working, differences, snapshot.time)
        return Reconciliation(self._causes(working), queries, settled, tuple(triggers), tuple(notes))

    # ------------------------------------------------------------------------------------------------------ comparing

    def _agree(self, snapshot: MarketSnapshot, account: Account) -> bool:
        """Whether book and broker show the same holdings and cash and no order is at work, as in nearly every step:
        then there is nothing to look into.
        """
        books, broker = self._books, self._broker
        held = books.positions()
        for symbol, ours in held.items():
            if broker.position(symbol) != ours:
                return False
        if snapshot.phase.market_open and (broker.positions() != held or broker.open_orders()):
            return False
        theirs = account.cash_u6 + account.unsettled_u6
        return theirs == books.cash_u6 or self._cash_difference(account, snapshot.time) is None

    def _holdings(self, snapshot: MarketSnapshot, working: Sequence[Child]) -> list[tuple[str, int, int]]:
        """Return what the books and the broker do not hold alike, as (symbol, ours, theirs): first of what we know, by
        direct key, then, in the session, of all else that the broker has.
        """
        books, broker = self._books.positions(), self._broker
        known: Collection[str] = books
        if working:
            known = sorted({*books, *(leg.symbol for child in working for leg in child.request.legs)})
        differing: list[tuple[str, int, int]] = []
        for symbol in known:
            ours, theirs = books.get(symbol, 0), broker.position(symbol)
            if ours != theirs:
                differing.append((symbol, ours, theirs))
        if snapshot.phase.market_open and (held := broker.positions()):
            differing += sorted((symbol, 0, qty) for symbol, qty in held.items() if symbol not in known and qty)
        return differing

    def _differences(
        self, snapshot: MarketSnapshot, working: Sequence[Child], triggers: list[tuple[str, Trigger]]
    ) -> list[_Difference]:
        books = self._books
        found: list[_Difference] = []
        waiting: dict[str, datetime] = {}
        for symbol, ours, theirs in self._holdings(snapshot, working):
            if self._has_expired(symbol, theirs, snapshot):
                triggers.extend(
                    (trade, Trigger.EXPIRED)
                    for trade in self._holding(symbol)
                    if books.trade(trade).state not in (TradeState.SETTLING, TradeState.FROZEN)
                    and self._all_gone(trade, snapshot)
                )
                continue
            doubted = tuple(child.id for child in working if _may_explain(child, symbol, theirs - ours))
            in_doubt = any(child.state is OrderState.UNRESOLVED for child in working if child.id in doubted)
            explained = doubted or snapshot.time - books.moved_at(symbol) < self._wait
            if explained and not in_doubt:
                since = waiting[symbol] = self._waiting.get(symbol, _since(working, doubted, snapshot.time))
                if snapshot.time - since < self._wait:
                    continue
            found.append(self._judge(symbol, ours, theirs, doubted))
        self._waiting = waiting
        if snapshot.phase.market_open:
            found += self._foreign_orders()
        return found

    def _judge(self, symbol: str, ours: int, theirs: int, doubted: tuple[str, ...]) -> _Difference:
        """Return the row of the table that a difference belongs to."""
        if doubted:
            return _Difference(symbol, Reason.BREAK_QTY, ours, theirs, orders=doubted)
        if ours * theirs < 0:
            return _Difference(symbol, Reason.BREAK_SIGN, ours, theirs, Trigger.BREAK)
        if abs(theirs) > abs(ours):
            return _Difference(symbol, Reason.BREAK_FOREIGN, ours, theirs, Trigger.BREAK)
        if theirs == 0:
            alone = len(self._books.holders(symbol)) == 1
            return _Difference(symbol, Reason.BREAK_QTY, ours, theirs, Trigger.LEG_GONE if alone else Trigger.BREAK)
        return _Difference(symbol, Reason.BREAK_QTY, ours, theirs)

    def _foreign_orders(self) -> list[_Difference]:
        """Orders at work that carry none of our ids: left alone, and nothing is opened beside them."""
        orders, ours = self._broker.open_orders(), self._books.order_records.orders
        if not orders:
            return []
        foreign = sorted(order.order for order in orders if order.order not in ours)
        return [_Difference(f"{FOREIGN_ORDER}{order}", Reason.BREAK_FOREIGN, 0, 0) for order in foreign]

    def _has_expired(self, symbol: str, theirs: int, snapshot: MarketSnapshot) -> bool:
        """An expired contract leaves the broker before its settlement is folded: that is no difference."""
        if theirs != 0 or not self._books.knows(symbol):
            return False
        expiry = self._books.instrument(symbol).expiry
        if expiry is None:
            return False
        session = snapshot.session
        return expiry < session.day or (expiry == session.day and snapshot.time >= session.close)

    def _all_gone(self, trade: str, snapshot: MarketSnapshot) -> bool:
        legs = self._books.trade(trade).legs
        return all(self._has_expired(symbol, self._broker.position(symbol), snapshot) for symbol in legs)

    def _cash_difference(self, account: Account, now: datetime) -> _Difference | None:
        ours, theirs = self._books.cash_u6, account.cash_u6 + account.unsettled_u6
        share = self._settings.cash_tolerance_fraction * abs(account.equity_usd)
        room = (self._settings.cash_tolerance_usd + share) * U6
        if abs(ours - theirs) <= room or now - self._books.last_moved < self._wait:
            return None
        return _Difference(CASH, Reason.BREAK_CASH, ours, theirs)

    def _holding(self, symbol: str) -> tuple[str, ...]:
        books = self._books
        return tuple(trade for book in books.holders(symbol) for trade in books.trades_holding(book, symbol))

    # ----------------------------------------------------------------------------------------------- opening, clearing

    def _open(self, found: _Difference, notes: list[Note], triggers: list[tuple[str, Trigger]]) -> None:
        known = self._breaks.get(found.symbol)
        if known is not None and known.found == found:
            known.clean = 0
            return
        owners = {order.split("|")[1].rsplit("-", 2)[0] for order in found.orders}
        locked = (found.symbol, *sorted({*self._books.holders(found.symbol), *owners} - {""}))
        trades = self._holding(found.symbol)
        self._breaks[found.symbol] = _Break(found, locked, trades)
        notes.append(_record(found.symbol, found.ours, found.theirs, BreakStatus.OPEN, locked))
        notes.append(_alert(found, locked))
        if found.trigger is not None:
            triggers.extend((trade, found.trigger) for trade in trades)

    def _clear(self, symbol: str, now: datetime, notes: list[Note], triggers: list[tuple[str, Trigger]]) -> None:
        known = self._breaks[symbol]
        if now > known.counted_at:
            known.clean, known.counted_at = known.clean + 1, now
        if known.clean < self._settings.clean_steps:
            return
        del self._breaks[symbol]
        ours = self._books.cash_u6 if symbol == CASH else self._books.position(symbol)
        notes.append(_record(symbol, ours, ours, BreakStatus.CLEARED, known.locked))
        for trade in known.trades:
            still = any(trade in other.trades for other in self._breaks.values())
            if self._books.trade(trade).state is TradeState.FROZEN and not still:
                triggers.append((trade, Trigger.CLEARED))

    # --------------------------------------------------------------------------------------------------------- doubts

    def _doubts(
        self, working: Sequence[Child], differences: Mapping[str, _Difference], now: datetime
    ) -> tuple[tuple[str, ...], tuple[tuple[str, OrderOutcome], ...]]:
        """Ask about every order in doubt; one that the broker does not know and nothing betrays is LOST in time."""
        asked = {order for found in differences.values() for order in found.orders}
        queries: list[str] = []
        settled: list[tuple[str, OrderOutcome]] = []
        for child in working:
            in_doubt = child.state is OrderState.UNRESOLVED
            if not in_doubt and child.id not in asked:
                continue
            if self._broker.find(child.id) is not None:
                queries.append(child.id)
                continue
            betrayed = any(leg.symbol in differences for leg in child.request.legs)
            late = child.unresolved_at is not None and now - child.unresolved_at >= self._lost_after
            if late and not betrayed:
                settled.append((child.id, OrderOutcome.LOST))
        return tuple(queries), tuple(settled)

    def _causes(self, working: Sequence[Child]) -> tuple[Cause, ...]:
        causes: list[Cause] = []
        for symbol, known in sorted(self._breaks.items()):
            name, reason = f"break.{symbol}", known.found.reason
            if symbol == CASH:
                causes.append(Cause("break.cash", TradingState.REDUCING, reason))
                continue
            causes.append(Cause(name, TradingState.REDUCING, reason, scope=Scope.SYMBOL, subject=symbol))
            causes += [
                Cause(name, TradingState.REDUCING, reason, scope=Scope.BOOK, subject=book) for book in known.locked[1:]
            ]
        for child in working:
            if child.state is OrderState.UNRESOLVED:
                name, reason = f"unresolved.{child.id}", Reason.STRATEGY_LOCKED
                book = child.id.split("|")[1].rsplit("-", 2)[0]
                causes.append(Cause(name, TradingState.REDUCING, reason, scope=Scope.BOOK, subject=book))
                causes += [
                    Cause(name, TradingState.REDUCING, Reason.SYMBOL_LOCKED, scope=Scope.SYMBOL, subject=leg.symbol)
                    for leg in child.request.legs
                ]
        return tuple(causes)


def _may_explain(child: Child, symbol: str, missing: int) -> bool:
    """Whether fills that we have not seen yet may be the difference; an order in doubt may explain either direction."""
    ordered = child.ordered(symbol)
    if child.state is OrderState.UNRESOLVED:
        return ordered != 0
    left = ordered - child.filled.get(symbol, 0)
    return left * missing > 0 and abs(missing) <= abs(left)


def _since(working: Sequence[Child], doubted: Sequence[str], now: datetime) -> datetime:
    """Return since when a difference that is seen for the first time may have been there: an order without a price is
    executed when it is sent, after the comparison of its own step.
    """
    at_once = (child for child in working if child.id in doubted and child.request.type is OrderType.MARKET)
    return min((child.sent_at for child in at_once), default=now)


def _record(symbol: str, ours: int, theirs: int, status: BreakStatus, locked: tuple[str, ...]) -> Note:
    fields = {"symbol": symbol, "book_qty": ours, "broker_qty": theirs, "status": status.value, "locked": list(locked)}
    return Note(Kind.BREAK, "", fields)


def _alert(found: _Difference, locked: tuple[str, ...]) -> Note:
    if found.symbol == CASH:
        what = f"our books hold {found.ours / U6:,.2f} USD, the broker {found.theirs / U6:,.2f}; only risk is reduced"
    elif found.symbol.startswith(FOREIGN_ORDER):
        what = f"{found.symbol} at the broker is not ours; it is left alone"
    else:
        what = (
            f"our books hold {found.ours} of {found.symbol}, the broker {found.theirs}; {', '.join(locked)} only closes"
        )
    fields = {"severity": "CRITICAL", "code": found.reason.value, "text": f"{found.reason.value}: {what}."}
    return Note(Kind.ALERT, "", fields)
