"""Books: positions, cash and trades, folded from the ledger record by record.

Nothing here is set by hand: what a book says can be said again from the ledger alone.  Money is in whole micro-dollars.
A record costs O(legs).  One that contradicts the fold (a wrong cash_after, a fill of an unknown trade, a result that is
not the sum of its fills) is refused before anything changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Reversible
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from core.closing_marks import ClosingMarks
from core.contracts import instrument_from_symbol, instrument_of
from core.coverage import declared_nakeds, uncovered
from core.errors import LedgerError
from core.ledger_kinds import Kind, Take
from core.order_records import PURPOSES, OrderRecords
from core.quantities import add, agreed_quantity, scaled
from core.reasons import Reason
from core.trade_machine import TradeState, Trigger
from core.trades import ClosingMark, OpenBreak, Trade, Uncovered, day_of
from core.vocabulary import ExitPlan, Instrument, Leg, OrderOutcome, Purpose, RiskBasis, Structure, StructureName

_EXTERNAL: Final = frozenset({"DEPOSIT", "WITHDRAWAL"})
_CLOSING: Final = frozenset({Purpose.CLOSE, Purpose.REDUCE, Purpose.FLATTEN})
# Value -> member, as core.order_records.PURPOSES.
_STATES: Final = {item.value: item for item in TradeState}
_TRIGGERS: Final = {item.value: item for item in Trigger}
_OUTCOMES: Final = {item.value: item for item in OrderOutcome}
_STANDING: Final = ""
"""The book of what the account held before our first record: ours to count, never ours to trade."""


class Books:
    """The fold."""

    def __init__(self) -> None:
        self.cash_u6 = 0
        self.fees_u6 = 0
        self.flows_u6 = 0
        self.movements = 0
        self.changes = 0
        """Records that may have changed a trade or a holding: all that were folded but marks and verdicts."""
        self.closed_count = 0
        self.result_u6 = 0
        """Of all trades that are CLOSED: how many, and what they brought after fees."""
        self.order_records = OrderRecords()
        self.breaks: dict[str, OpenBreak] = {}
        self.refusals: Counter[Reason] = Counter()
        self.session_day: date | None = None
        self.has_open_trades = False
        """Whether a trade is neither CLOSED nor CANCELLED."""
        self.is_flat = True
        """Whether no book holds anything."""
        self._instruments: dict[str, Instrument] = {}
        self._positions: dict[str, int] = {}
        self._by_book: dict[tuple[str, str], int] = {}
        self._trades: dict[str, Trade] = {}
        self._open: dict[str, Trade] = {}
        # Views that are asked many times a step; each is forgotten where the one thing that it shows changes.
        self._open_of: dict[str | None, tuple[Trade, ...]] = {}
        self._held: Mapping[str, int] | None = None
        self._planned: dict[tuple[str, date], list[Trade]] = {}
        self._closed: dict[str, list[Trade]] = {}
        self._moved: dict[str, datetime] = {}
        self.last_moved = datetime.min
        self._closes = ClosingMarks()

    # ----------------------------------------------------------------------------------------------------------- trades

    @property
    def trades(self) -> Reversible[Trade]:
        """All trades ever planned, in the order of their plans."""
        return self._trades.values()

    def trade(self, trade: str) -> Trade:
        return self._trades[trade]

    def has_trade(self, trade: str) -> bool:
        return trade in self._trades

    def open_trades(self, strategy: str | None = None) -> tuple[Trade, ...]:
        """Return trades that are neither CLOSED nor CANCELLED, in the order of their plans."""
        found = self._open_of.get(strategy)
        if found is None:
            found = tuple(trade for trade in self._open.values() if strategy in (None, trade.strategy))
            self._open_of[strategy] = found
        return found

    def closed_trades(self, strategy: str) -> tuple[Trade, ...]:
        """Return a strategy's trades that ended with a result, in the order in which they ended."""
        return tuple(self._closed.get(strategy, ()))

    def planned_on(self, strategy: str, day: date) -> tuple[Trade, ...]:
        """Return every ladder that was started on that day, filled or not."""
        return tuple(self._planned.get((strategy, day), ()))

    def trades_named_on(self, strategy: str, day: date) -> int:
        return len(self._planned.get((strategy, day), ()))

    def traded_on(self, strategy: str, day: date) -> bool:
        """Whether a trade planned on that day was filled at least in part; a ladder without a fill does not count."""
        return any(trade.opened is not None for trade in self._planned.get((strategy, day), ()))

    def is_of_day(self, trade: Trade, day: date) -> bool:
        """Whether a trade was planned on that day, and filled or is still at work."""
        return trade.day == day and (trade.opened is not None or not trade.state.is_end)

    def stopped_on(self, strategy: str, day: date) -> bool:
        """Whether a trade of the strategy left by its stop on that day."""
        trades = [*self._open.values(), *self._closed.get(strategy, ())]
        return any(trade.strategy == strategy and trade.stopped_on == day for trade in trades)

    def attempts(self, trade: str, purpose: Purpose) -> int:
        """Return the highest attempt number used for a trade and purpose, 0 before the first order."""
        return self.order_records.attempts(trade, purpose)

    def working_orders(self, trade: str | None = None) -> tuple[str, ...]:
        """Return the orders (of one trade) that have no end: planned, sent, working or UNRESOLVED."""
        return self.order_records.working(trade)

    # -------------------------------------------------------------------------------------------------------- positions

    def knows(self, symbol: str) -> bool:
        return symbol in self._instruments

    def instrument(self, symbol: str) -> Instrument:
        return self._instruments[symbol]

    def position(self, symbol: str) -> int:
        return self._positions.get(symbol, 0)

    def positions(self) -> Mapping[str, int]:
        """Return signed holdings by symbol over all books, sorted by symbol; zeros are left out.

        It is a view of this moment: a later movement makes another one.
        """
        if self._held is None:
            self._held = MappingProxyType(dict(sorted(self._positions.items())))
        return self._held

    def position_of(self, book: str, symbol: str) -> int:
        return self._by_book.get((book, symbol), 0)

    def positions_by_book(self) -> Mapping[tuple[str, str], int]:
        """Return signed holdings by (book, symbol), sorted; zeros are left out."""
        return MappingProxyType(dict(sorted(self._by_book.items())))

    def holders(self, symbol: str) -> tuple[str, ...]:
        """Return the books that hold a symbol, sorted."""
        return tuple(sorted(book for book, held in self._by_book if held == symbol))

    def trades_holding(self, book: str, symbol: str) -> tuple[str, ...]:
        return tuple(trade.id for trade in self._open.values() if trade.strategy == book and symbol in trade.legs)

    def moved_at(self, symbol: str) -> datetime:
        """Return when a holding last changed; the earliest possible time where it never did."""
        return self._moved.get(symbol, datetime.min)

    def agreed_legs(self, trade: str) -> dict[str, int]:
        """Return what a trade holds as far as book and broker agree: where a break is open, the smaller of the two, and
        nothing where the signs differ.
        """
        legs = self._trades[trade].legs
        return {symbol: held for symbol, qty in legs.items() if (held := self.agreed(symbol, qty))}

    def agreed(self, symbol: str, qty: int) -> int:
        """Return how much of a holding book and broker agree on; all of it where no break is open."""
        found = self.breaks.get(symbol)
        return qty if found is None else agreed_quantity(qty, found.broker_qty)

    def uncovered(self, trade: str) -> dict[str, int]:
        """Return symbol -> sold contracts that nothing covers.

        They stand beyond the longs of the same right with no earlier expiry, and beyond the declared nakeds.  Where a
        break is open, only what book and broker agree on counts: a wing that is gone at the broker covers nothing.
        """
        held = self._trades[trade]
        agreed = held.legs if not self.breaks else self.agreed_legs(trade)
        return uncovered(((self._instruments[symbol], qty) for symbol, qty in agreed.items()), held.declared_nakeds)

    @property
    def has_uncovered(self) -> bool:
        """Whether a sold contract of an open trade lacks its cover."""
        return any(trade.uncovered_since is not None for trade in self._open.values())

    @property
    def uncovered_shorts(self) -> tuple[Uncovered, ...]:
        """Every sold contract of every open trade that nothing covers."""
        return tuple(
            Uncovered(trade.id, symbol, contracts)
            for trade in self._open.values()
            if trade.uncovered_since is not None
            for symbol, contracts in sorted(self.uncovered(trade.id).items())
        )

    def is_locked(self, subject: str) -> bool:
        """Whether an open break locks a symbol or a strategy."""
        return any(subject in found.locked for found in self.breaks.values())

    # -------------------------------------------------------------------------------------------------------- baselines

    def close_before(self, day: date) -> ClosingMark | None:
        """Return the last closing mark before a day; where that session has none, its last mark.

        None: nothing was marked before that day.
        """
        return self._closes.before(day)

    # ---------------------------------------------------------------------------------------------------------- folding

    def attach_plan(self, trade: str, plan: ExitPlan) -> None:
        """Remember a trade's exit plan; it lives in the state snapshot, because INTENT has no field for it."""
        self._trades[trade].exit_plan = plan

    def takes(self, kind: Kind) -> tuple[Take, ...]:
        """Return what folds a record of a kind; nothing where it changes nothing here.

        It takes the fields as the writer gave them, or as `core.ledger_reader` read them back, and raises LedgerError,
        with nothing changed, when the record contradicts what came before it.
        """
        handler = _HANDLERS.get(kind)
        if handler is None:
            return ()
        if kind is Kind.MARK or kind is Kind.VERDICT:
            return (partial(handler, self),)  # of no trade and no holding

        def take(book: str, fields: Mapping[str, Any], time: datetime) -> None:
            handler(self, book, fields, time)
            self.changes += 1

        return (take,)

    def _run_started(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        if "resumed_from" in fields:
            return
        self.cash_u6 = fields["start_cash_u6"]
        for row in fields["holdings"]:
            symbol = row["symbol"]
            self._instruments.setdefault(symbol, instrument_from_symbol(symbol, row["mult"]))
            self._move(_STANDING, symbol, row["qty"], time)

    def _session_opened(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        self.session_day = fields["date"]

    def _session_closed(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        if "equity_u6" in fields:
            self._closes.keep(fields["date"], fields["equity_u6"], self.flows_u6)

    def _mark(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        self._closes.keep(time.date(), fields["equity_u6"], self.flows_u6)

    def _verdict(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        if not fields["allowed"]:
            self.refusals[Reason[fields["reason"]]] += 1

    def _intent(self, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        purpose, trade_id = PURPOSES[fields["purpose"]], fields["trade"]
        trade = self._trades.get(trade_id)
        if trade is None and purpose is not Purpose.OPEN:
            raise LedgerError(f"INTENT.trade = {trade_id!r}: expected a trade that an OPEN intent has begun.")
        legs = tuple(Leg(self._learn(row), row["ratio"]) for row in fields["legs"])
        self.order_records.intents[fields["intent"]] = (trade_id, purpose)
        if trade is None:
            self._plan(book, trade_id, Structure(StructureName(fields["structure"]), legs), fields, time)
        elif "reason" in fields and purpose in _CLOSING:
            trade.exit_reason = Reason[fields["reason"]]
            if trade.exit_reason is Reason.EXIT_STOP:
                trade.stopped_on = time.date()

    def _learn(self, row: Mapping[str, Any]) -> Instrument:
        known = self._instruments.get(row["symbol"])
        if known is None:
            known = self._instruments[row["symbol"]] = instrument_of(row)
        return known

    def _plan(self, book: str, trade: str, structure: Structure, fields: Mapping[str, Any], time: datetime) -> None:
        basis = RiskBasis(fields["risk_basis"])
        risk = fields.get("t_loss_u6" if basis is RiskBasis.STRESS else "max_loss_u6", 0)
        units = fields["qty"]
        declared = {symbol: per_unit * units for symbol, per_unit in declared_nakeds(structure).items()}
        made = Trade(trade, book, structure, units, risk, fields.get("margin_u6", 0), time, basis, declared)
        self._trades[trade] = self._open[trade] = made
        self._open_trades_changed()
        self._planned.setdefault((book, day_of(trade, time)), []).append(made)

    def _open_trades_changed(self) -> None:
        self._open_of.clear()
        self.has_open_trades = bool(self._open)

    def _order_intent(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        if fields["trade"] not in self._trades:
            raise LedgerError(f"ORDER_INTENT.trade = {fields['trade']!r}: expected a trade that an INTENT has begun.")
        self.order_records.plan(fields)

    def _order_outcome(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        self.order_records.end(fields["order"], _OUTCOMES[fields["outcome"]])

    def _fill(self, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        symbol, qty, fee = fields["symbol"], fields["qty"], fields["fee_u6"]
        trade_id, purpose = self.order_records.owner(fields)
        trade = self._trades[trade_id]
        cash = -qty * fields["price_u6"] * fields["mult"]
        _expect("FILL.cash_after_u6", fields["cash_after_u6"], self.cash_u6 + cash - fee)
        _expect("FILL.pos_after", fields["pos_after"], self._positions.get(symbol, 0) + qty)
        self.order_records.fill(fields)
        self.cash_u6 += cash - fee
        self.fees_u6 += fee
        self._move(book, symbol, qty, time)
        if symbol in self.breaks:
            # The broker holds it as well from now on; the difference stays what it was.
            known = self.breaks[symbol]
            self.breaks[symbol] = replace(known, book_qty=known.book_qty + qty, broker_qty=known.broker_qty + qty)
        add(trade.legs, symbol, qty)
        trade.cash_u6 += cash
        trade.fees_u6 += fee
        if purpose.adds_risk:
            add(trade.opened_legs, symbol, qty)
            trade.entry_cash_u6 += cash
        elif purpose in _CLOSING:
            trade.closings += 1
        trade.opened = trade.opened or time
        trade.last_fill = time
        self._watch_cover(trade, time)

    def _expiry(self, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        """Take a settled contract out of the book, and give each trade that held it its share of the cash."""
        symbol, qty, cash = fields["symbol"], fields["qty"], fields["cash_u6"]
        held = self._by_book.get((book, symbol), 0)
        if qty * held >= 0 or abs(qty) > abs(held):
            holder = book or "the account"
            raise LedgerError(
                f"EXPIRY.qty = {qty}: expected part of the {held} {symbol} of {holder}, with its sign turned."
            )
        self.cash_u6 += cash
        self._move(book, symbol, qty, time)
        left = qty
        for trade_id in self.trades_holding(book, symbol):
            trade = self._trades[trade_id]
            part = -trade.legs[symbol] if abs(trade.legs[symbol]) <= abs(left) else left
            share = cash * part // left if left else 0
            add(trade.legs, symbol, part)
            trade.cash_u6 += share
            trade.expired = True
            cash, left = cash - share, left - part
            self._watch_cover(trade, time)
        if "deliver_symbol" in fields:
            # Shares that an exercise or assignment brings stand in the book, beside its trades, until they are swept.
            self._instruments.setdefault(fields["deliver_symbol"], instrument_from_symbol(fields["deliver_symbol"], 1))
            self._move(book, fields["deliver_symbol"], fields["deliver_qty"], time)

    def _move(self, book: str, symbol: str, qty: int, time: datetime) -> None:
        add(self._positions, symbol, qty)
        self._held = None
        self.is_flat = not self._positions
        add(self._by_book, (book, symbol), qty)
        self.movements += 1
        self._moved[symbol] = self.last_moved = time

    def _watch_cover(self, trade: Trade, time: datetime) -> None:
        if min(trade.legs.values(), default=0) >= 0 or not self.uncovered(trade.id):
            trade.uncovered_since = None
        elif trade.uncovered_since is None:
            trade.uncovered_since = time

    def _cash_flow(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        self.cash_u6 += fields["amount_u6"]
        self.movements += 1
        self.last_moved = time
        if fields["type"] in _EXTERNAL:
            self.flows_u6 += fields["amount_u6"]

    def _split(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        """Multiply a share line by num / den; what is no whole share comes as CASH_IN_LIEU."""
        symbol, num, den = fields["symbol"], fields["num"], fields["den"]
        for book in self.holders(symbol):
            held = self._by_book[(book, symbol)]
            self._move(book, symbol, scaled(held, num, den) - held, time)
        for trade in self._open.values():
            for legs in (trade.legs, trade.opened_legs):
                if symbol in legs:
                    add(legs, symbol, scaled(legs[symbol], num, den) - legs[symbol])

    def _trade_state(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        trade = self._trades.get(fields["trade"])
        before, after, trigger = _STATES[fields["from"]], _STATES[fields["to"]], _TRIGGERS[fields["trigger"]]
        if trade is None or trade.state is not before:
            state = "unknown" if trade is None else trade.state.value
            raise LedgerError(f"TRADE_STATE.from = {before.value}: {fields['trade']} is {state}.")
        trade.deadline = fields.get("deadline")
        if after is before:
            trade.deadlines_passed += trigger is Trigger.DEADLINE
            trade.exit_pending = trade.exit_pending or trigger is Trigger.EXIT_DUE
            return
        trade.state = after
        trade.deadlines_passed = 0
        if after is TradeState.REPAIRING:
            trade.repairs += 1
        if after not in (TradeState.OPEN, TradeState.REPAIRING):
            trade.exit_pending = False
        if after is TradeState.CLOSED:
            self.closed_count += 1
            self.result_u6 += trade.pnl_u6
        if after.is_end:
            trade.closed = time
            self._open.pop(trade.id)
            self._open_trades_changed()
            if after is TradeState.CLOSED and trade.opened is not None:
                self._closed.setdefault(trade.strategy, []).append(trade)

    def _trade_closed(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        trade = self._trades.get(fields["trade"])
        if trade is None or trade.state is not TradeState.CLOSED or trade.result_written:
            raise LedgerError(f"TRADE_CLOSED.trade = {fields['trade']!r}: expected a CLOSED trade without a result.")
        _expect("TRADE_CLOSED.pnl_u6", fields["pnl_u6"], trade.pnl_u6)
        _expect("TRADE_CLOSED.fees_u6", fields["fees_u6"], trade.fees_u6)
        _expect("TRADE_CLOSED.risk_u6", fields["risk_u6"], trade.entry_risk_u6)
        trade.result_written = True
        trade.exit_reason = Reason[fields["reason"]]

    def _break(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        symbol = fields["symbol"]
        if fields["status"] == "CLEARED":
            self.breaks.pop(symbol, None)
            self._watch_holders(symbol, time)
            return
        since = self.breaks[symbol].since if symbol in self.breaks else time
        quantities = fields["book_qty"], fields["broker_qty"]
        self.breaks[symbol] = OpenBreak(symbol, *quantities, tuple(fields["locked"]), since)
        self._watch_holders(symbol, time)

    def _watch_holders(self, symbol: str, time: datetime) -> None:
        for trade in self._open.values():
            if symbol in trade.legs:
                self._watch_cover(trade, time)


def _expect(field: str, given: int, folded: int) -> None:
    if given != folded:
        raise LedgerError(f"{field} = {given}: the fold of this ledger gives {folded}.")


_HANDLERS: Final[Mapping[Kind, Callable[[Books, str, Mapping[str, Any], datetime], None]]] = MappingProxyType(
    {
        Kind.RUN_STARTED: Books._run_started,
        Kind.SESSION_OPENED: Books._session_opened,
        Kind.SESSION_CLOSED: Books._session_closed,
        Kind.MARK: Books._mark,
        Kind.VERDICT: Books._verdict,
        Kind.INTENT: Books._intent,
        Kind.ORDER_INTENT: Books._order_intent,
        Kind.ORDER_OUTCOME: Books._order_outcome,
        Kind.FILL: Books._fill,
        Kind.EXPIRY: Books._expiry,
        Kind.CASH_FLOW: Books._cash_flow,
        Kind.SPLIT: Books._split,
        Kind.TRADE_STATE: Books._trade_state,
        Kind.TRADE_CLOSED: Books._trade_closed,
        Kind.BREAK: Books._break,
    }
)

__all__ = ["Books", "ClosingMark", "OpenBreak", "Trade", "Uncovered"]
