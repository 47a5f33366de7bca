"""Books: positions, cash and trades, folded from the ledger record by record.

Nothing here is set by hand: what a book says can be said again from the ledger alone.  Money is in whole micro-dollars.  O(legs) per record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from core.contracts import instrument_of
from core.ledger_kinds import Kind
from core.reasons import Reason
from core.trade_machine import TradeState
from core.vocabulary import ExitPlan, Instrument, Leg, OrderOutcome, Purpose, Right, Structure, StructureName


@dataclass(slots=True)
class Trade:
    """A structure with an id, from its plan to flat.

    legs is what is held now (signed contracts per symbol); cash_u6 all cash of its fills and expiries, fees apart; entry_cash_u6 the part of its openings.
    approved_units, risk_u6 and margin_u6 are what its INTENT approved, all units together.
    """

    id: str
    strategy: str
    structure: Structure
    approved_units: int
    risk_u6: int
    margin_u6: int
    planned: datetime
    state: TradeState = TradeState.PLANNED
    deadline: datetime | None = None
    legs: dict[str, int] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)
    entry_cash_u6: int = 0
    cash_u6: int = 0
    fees_u6: int = 0
    opened: datetime | None = None
    closed: datetime | None = None
    exit_reason: Reason | None = None
    exit_plan: ExitPlan | None = None
    uncovered_since: datetime | None = None
    attempts_done: int = 0

    @property
    def units(self) -> int:
        """Balanced units held: min over the structure's legs of floor(held / ratio)."""
        return min(max(0, self.legs.get(leg.symbol, 0) // leg.ratio) for leg in self.structure.legs)

    @property
    def opened_units(self) -> int:
        """Balanced units ever opened."""
        return min(max(0, self.bought.get(leg.symbol, 0) // leg.ratio) for leg in self.structure.legs)

    @property
    def is_unbalanced(self) -> bool:
        """Whether something is held that is not a whole number of units."""
        units = self.units
        return any(self.legs.get(leg.symbol, 0) != leg.ratio * units for leg in self.structure.legs)

    @property
    def is_flat(self) -> bool:
        return not any(self.legs.values())

    @property
    def pending_units(self) -> int:
        """Approved units that a working opening may still fill."""
        return self.approved_units - self.opened_units if self.state in (TradeState.PLANNED, TradeState.ENTERING) else 0

    @property
    def pnl_u6(self) -> int:
        """Cash of all fills and expiries less fees: the result once the trade is flat."""
        return self.cash_u6 - self.fees_u6

    @property
    def entry_cash(self) -> float:
        """Net cash per opened unit in points (credit +, debit -)."""
        units = self.opened_units
        return self.entry_cash_u6 / 1e6 / units / self.structure.multiplier if units else 0.0

    @property
    def short_premium(self) -> bool:
        return bool(self.structure.shorts)


@dataclass(frozen=True, slots=True)
class ClosingMark:
    """Equity at a session's close, and the sum of external flows up to then."""

    day: date
    equity_u6: int
    flows_u6: int


class Books:
    """The fold."""

    def __init__(self) -> None:
        self.cash_u6 = 0
        self.fees_u6 = 0
        self.flows_u6 = 0
        self.movements = 0
        self.orders: dict[str, tuple[str, Purpose, int]] = {}
        self.order_outcomes: dict[str, OrderOutcome] = {}
        self.order_legs: dict[str, Mapping[str, int]] = {}
        self.order_filled: dict[str, dict[str, int]] = {}
        self.intents: dict[str, tuple[str, Purpose]] = {}
        self._instruments: dict[str, Instrument] = {}
        self._positions: defaultdict[str, int] = defaultdict(int)
        self._by_book: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._trades: dict[str, Trade] = {}
        self._open: dict[str, Trade] = {}
        self._closes: list[ClosingMark] = []
        self.session_day: date | None = None

    # ---------------------------------------------------------------------------------------------------------------- reading

    @property
    def trades(self) -> Iterable[Trade]:
        """All trades ever planned, in the order of their plans."""
        return self._trades.values()

    def trade(self, trade: str) -> Trade:
        return self._trades[trade]

    def has_trade(self, trade: str) -> bool:
        return trade in self._trades

    def open_trades(self, strategy: str | None = None) -> tuple[Trade, ...]:
        """Trades that are neither CLOSED nor CANCELLED, in the order of their plans."""
        return tuple(trade for trade in self._open.values() if strategy in (None, trade.strategy))

    def closed_trades(self, strategy: str) -> tuple[Trade, ...]:
        return tuple(trade for trade in self._trades.values() if trade.strategy == strategy and trade.state is TradeState.CLOSED)

    def traded_on(self, strategy: str, day: date) -> bool:
        """Whether a trade of the strategy had its first fill on that day; a ladder without a fill does not count."""
        return any(
            trade.strategy == strategy and trade.opened is not None and trade.opened.date() == day for trade in self._trades.values()
        )

    def is_of_day(self, trade: Trade, day: date) -> bool:
        """Whether a trade was filled on that day, or is still at work since then."""
        return trade.planned.date() == day and (trade.opened is not None or not trade.state.is_end)

    def planned_on(self, strategy: str, day: date) -> tuple[Trade, ...]:
        """Every ladder that was started on that day, filled or not."""
        return tuple(trade for trade in self._trades.values() if trade.strategy == strategy and trade.planned.date() == day)

    def trades_named_on(self, strategy: str, day: date) -> int:
        return len(self.planned_on(strategy, day))

    def stopped_on(self, strategy: str, day: date) -> bool:
        """Whether a trade of the strategy left by its stop on that day."""
        return any(
            trade.strategy == strategy and trade.exit_reason is Reason.EXIT_STOP and trade.planned.date() == day
            for trade in self._trades.values()
        )

    def knows(self, symbol: str) -> bool:
        return symbol in self._instruments

    def instrument(self, symbol: str) -> Instrument:
        return self._instruments[symbol]

    def position(self, symbol: str) -> int:
        return self._positions.get(symbol, 0)

    def positions(self) -> Mapping[str, int]:
        """Signed holdings by symbol over all books; zeros are left out."""
        return MappingProxyType({symbol: qty for symbol, qty in sorted(self._positions.items()) if qty})

    def position_of(self, book: str, symbol: str) -> int:
        return self._by_book.get((book, symbol), 0)

    def holders(self, symbol: str) -> tuple[str, ...]:
        """Books that hold a symbol."""
        return tuple(sorted(book for (book, held), qty in self._by_book.items() if held == symbol and qty))

    def trades_holding(self, book: str, symbol: str) -> tuple[str, ...]:
        return tuple(trade.id for trade in self._open.values() if trade.strategy == book and trade.legs.get(symbol, 0))

    def close_before(self, day: date) -> ClosingMark | None:
        """Return the last closing mark of a session before a day, None when the ledger has none."""
        return next((mark for mark in reversed(self._closes) if mark.day < day), None)

    def uncovered(self, trade: str) -> dict[str, int]:
        """Return shorts that nothing covers: contracts beyond the longs of the same right with no earlier expiry, and beyond the declared nakeds."""
        held = self._trades[trade]
        declared = _naked({leg.instrument: leg.ratio * held.approved_units for leg in held.structure.legs})
        allowed = {right: sum(qty for item, qty in declared.items() if item.right is right) for right in Right}
        found: dict[str, int] = {}
        for instrument, qty in _naked({self._instruments[symbol]: qty for symbol, qty in held.legs.items()}).items():
            assert instrument.right is not None
            spared = min(qty, allowed[instrument.right])
            allowed[instrument.right] -= spared
            if qty > spared:
                found[instrument.symbol] = qty - spared
        return found

    # ----------------------------------------------------------------------------------------------------------------- folding

    def attach_plan(self, trade: str, plan: ExitPlan) -> None:
        """Remember a trade's exit plan; it lives in the state snapshot, because INTENT has no field for it."""
        self._trades[trade].exit_plan = plan

    def apply(self, kind: Kind, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        """Fold one record."""
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, book, fields, time)

    def _run_started(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        if "resumed_from" not in fields:
            self.cash_u6 = fields["start_cash_u6"]

    def _session_opened(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        self.session_day = fields["date"]

    def _session_closed(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        if "equity_u6" in fields:
            self._closes.append(ClosingMark(fields["date"], fields["equity_u6"], self.flows_u6))

    def _intent(self, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        legs = []
        for row in fields["legs"]:
            instrument = self._instruments.get(row["symbol"])
            if instrument is None:
                instrument = self._instruments[row["symbol"]] = instrument_of(row)
            legs.append(Leg(instrument, row["ratio"]))
        purpose, trade = Purpose(fields["purpose"]), fields["trade"]
        self.intents[fields["intent"]] = (trade, purpose)
        if purpose is Purpose.OPEN and trade not in self._trades:
            risk = fields.get("max_loss_u6", fields.get("t_loss_u6", 0))
            structure = Structure(StructureName(fields["structure"]), tuple(legs))
            made = Trade(trade, book, structure, fields["qty"], risk, fields.get("margin_u6", 0), time)
            self._trades[trade] = self._open[trade] = made
        elif trade in self._trades and "reason" in fields:
            self._trades[trade].exit_reason = Reason[fields["reason"]]

    def _order_intent(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        order = fields["order"]
        self.orders[order] = (fields["trade"], Purpose(fields["purpose"]), fields["attempt"])
        self.order_legs[order] = {leg["symbol"]: leg["qty"] for leg in fields["legs"]}

    def _order_outcome(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        self.order_outcomes[fields["order"]] = OrderOutcome(fields["outcome"])

    def _fill(self, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        symbol, qty = fields["symbol"], fields["qty"]
        cash = -qty * fields["price_u6"] * fields["mult"]
        self._move(book, symbol, qty, cash - fields["fee_u6"])
        self.fees_u6 += fields["fee_u6"]
        filled = self.order_filled.setdefault(fields["order"], {})
        filled[symbol] = filled.get(symbol, 0) + qty
        trade = self._trades[fields["trade"]]
        trade.legs[symbol] = trade.legs.get(symbol, 0) + qty
        trade.cash_u6 += cash
        trade.fees_u6 += fields["fee_u6"]
        purpose = self.orders[fields["order"]][1] if fields["order"] in self.orders else None
        if purpose is not None and purpose.adds_risk:
            trade.bought[symbol] = trade.bought.get(symbol, 0) + qty
            trade.entry_cash_u6 += cash
        if trade.opened is None:
            trade.opened = time
        self._watch_cover(trade, time)

    def _watch_cover(self, trade: Trade, time: datetime) -> None:
        if not self.uncovered(trade.id):
            trade.uncovered_since = None
        elif trade.uncovered_since is None:
            trade.uncovered_since = time

    def _expiry(self, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        symbol, qty = fields["symbol"], fields["qty"]
        self._move(book, symbol, qty, fields["cash_u6"])
        left, cash = qty, fields["cash_u6"]
        holders = [self._trades[trade] for trade in self.trades_holding(book, symbol)]
        for trade in holders:
            part = -trade.legs[symbol]
            share = cash * part // qty if qty else 0
            trade.legs[symbol] = 0
            trade.cash_u6 += share if part != left else cash
            cash -= share if part != left else cash
            left -= part
            self._watch_cover(trade, time)

    def _move(self, book: str, symbol: str, qty: int, cash: int) -> None:
        self._positions[symbol] += qty
        self._by_book[(book, symbol)] += qty
        self.cash_u6 += cash
        self.movements += 1

    def _cash_flow(self, _book: str, fields: Mapping[str, Any], _time: datetime) -> None:
        self.cash_u6 += fields["amount_u6"]
        self.movements += 1
        if fields["type"] in ("DEPOSIT", "WITHDRAWAL"):
            self.flows_u6 += fields["amount_u6"]

    def _trade_state(self, _book: str, fields: Mapping[str, Any], time: datetime) -> None:
        trade = self._trades[fields["trade"]]
        trade.state = TradeState(fields["to"])
        trade.deadline = fields.get("deadline")
        if trade.state.is_end:
            trade.closed = time
            self._open.pop(trade.id, None)


def _naked(held: Mapping[Instrument, int]) -> dict[Instrument, int]:
    """Return short contracts without a long of the same right and no earlier expiry, shorts of the latest expiry matched first."""
    found: dict[Instrument, int] = {}
    for right in Right:
        legs = [(item, qty) for item, qty in held.items() if item.right is right and qty]
        longs = {item: qty for item, qty in sorted(legs) if qty > 0}
        shorts = sorted(((item, -qty) for item, qty in legs if qty < 0), key=lambda leg: (leg[0].expiry, leg[0].symbol), reverse=True)
        for item, qty in shorts:
            for cover in longs:
                if cover.expiry is not None and item.expiry is not None and cover.expiry >= item.expiry and longs[cover]:
                    used = min(qty, longs[cover])
                    longs[cover] -= used
                    qty -= used
            if qty:
                found[item] = qty
    return found


_HANDLERS = {
    Kind.RUN_STARTED: Books._run_started,
    Kind.SESSION_OPENED: Books._session_opened,
    Kind.SESSION_CLOSED: Books._session_closed,
    Kind.INTENT: Books._intent,
    Kind.ORDER_INTENT: Books._order_intent,
    Kind.ORDER_OUTCOME: Books._order_outcome,
    Kind.FILL: Books._fill,
    Kind.EXPIRY: Books._expiry,
    Kind.CASH_FLOW: Books._cash_flow,
    Kind.TRADE_STATE: Books._trade_state,
}
