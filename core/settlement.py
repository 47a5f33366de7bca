"""Expiry: what the broker settles in the night becomes EXPIRY in the ledger, at intrinsic value.

The engine reports a settlement as one event per leg with price 0 and no tag, at 01:00 of the next calendar day; it is
never a fill.  The value of a cash-settled contract is its intrinsic value at the index's last regular value of the
expiry date, and the cash booked is checked by reconciliation against the cash that moved.  P&L belongs to the expiry
date.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from core.books import Books
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.state_manager import StateManager
from core.trade_machine import Trigger
from core.vocabulary import Instrument, SettlementEvent, to_u6

_KEPT = timedelta(days=7)
"""So long a value is kept for which no contract waits, as long as the feed looks back."""


class Settlement:
    """Folds settlement events; keeps the last regular value of each underlying per date until its contracts are
    settled.
    """

    def __init__(self, ledger: Ledger, books: Books, state: StateManager) -> None:
        self._ledger = ledger
        self._books = books
        self._state = state
        self.reported: deque[SettlementEvent] = deque()
        """What is not folded yet; what is of unknown value stays here."""
        self._values: dict[tuple[str, date], float] = {}
        self._day = date.min
        self._regular: Mapping[str, float] = {}
        """Of the present day; they join the values when it ends or one of them is asked for."""
        self._past: Mapping[tuple[str, date], float] = {}
        self.unknown: tuple[str, ...] = ()

    def post(self, event: SettlementEvent) -> None:
        self.reported.append(event)

    def observe(self, day: date, values: Mapping[str, float], past: Mapping[tuple[str, date], float]) -> None:
        """Keep the regular values of this step by underlying, and the last ones of the days before.

        Both are views of their moment: a day's values only grow in number, and the same past says the same.
        """
        if day != self._day or past is not self._past:
            self._take_up()
            self._values.update(past)
            if day != self._day:
                self._drop_old(day)
            self._day, self._past = day, past
        self._regular = values

    def _drop_old(self, day: date) -> None:
        """Drop what settles nothing any more: a live run would carry three values a day in its snapshot for ever."""
        held = (self._books.instrument(symbol) for symbol in self._books.positions())
        needed = {(instrument.underlying, instrument.expiry) for instrument in held}
        oldest = day - _KEPT
        self._values = {key: value for key, value in self._values.items() if key[1] >= oldest or key in needed}

    def _take_up(self) -> None:
        for underlying, value in self._regular.items():
            self._values[(underlying, self._day)] = value
        self._regular = {}

    def remember(self, underlying: str, day: date, value: float) -> None:
        """Keep the last regular value of an underlying."""
        self._take_up()
        self._values[(underlying, day)] = value

    def forget(self, underlying: str, day: date) -> None:
        """Drop a value that was not yet the last one of its day: a contract settled by it would be settled wrongly."""
        self._take_up()
        self._values.pop((underlying, day), None)

    def recover(self, position_of: Callable[[str], int], now: datetime) -> tuple[str, ...]:
        """Take up what was settled while nobody was listening: a contract past its date that a book holds and the
        broker does not any more.  Returns the symbols.
        """
        missed = [
            symbol
            for symbol in self._books.positions()
            if (expiry := self._books.instrument(symbol).expiry) is not None
            and expiry < now.date()
            and position_of(symbol) == 0
        ]
        for symbol in missed:
            self.post(SettlementEvent(symbol, -self._books.position(symbol), None, False, now))
        return tuple(missed)

    def state(self) -> Mapping[str, Any]:
        self._take_up()
        return {f"{underlying} {day.isoformat()}": value for (underlying, day), value in sorted(self._values.items())}

    def restore(self, state: Mapping[str, Any]) -> None:
        for key, value in state.items():
            underlying, day = key.rsplit(" ", 1)
            self._values[(underlying, date.fromisoformat(day))] = float(value)

    def fold(self, now: datetime) -> None:
        """Write EXPIRY for every settled leg that a book holds; a leg of unknown value stays, and its symbol is named
        in `unknown`.
        """
        waiting: list[SettlementEvent] = []
        touched: dict[str, None] = {}
        while self.reported:
            event = self.reported.popleft()
            holders = self._books.holders(event.symbol)
            if not holders:
                continue  # not ours: reconciliation sees the holding, not this report
            instrument = self._books.instrument(event.symbol)
            value = self._value(instrument, event)
            if value is None:
                waiting.append(event)
                continue
            for book in holders:
                touched.update(dict.fromkeys(self._books.trades_holding(book, event.symbol)))
                self._expire(book, instrument, value, event)
        self.reported.extend(waiting)
        self.unknown = tuple(sorted({event.symbol for event in waiting}))
        for trade in touched:
            if not any(self._books.trade(trade).legs.values()):
                self._state.drive(trade, Trigger.SETTLED, now)

    def _value(self, instrument: Instrument, event: SettlementEvent) -> float | None:
        if event.underlying_price is not None:
            return event.underlying_price
        self._take_up()
        assert instrument.expiry is not None
        return self._values.get((instrument.underlying, instrument.expiry))

    def _expire(self, book: str, instrument: Instrument, value: float, event: SettlementEvent) -> None:
        held = self._books.position_of(book, instrument.symbol)
        intrinsic = instrument.payoff(value)
        cash = to_u6(intrinsic) * held * instrument.multiplier
        self._ledger.append(
            Kind.EXPIRY,
            book,
            event.time,
            symbol=instrument.symbol,
            qty=-held,
            result="WORTHLESS" if intrinsic == 0 else "CASH",
            price_u6=to_u6(value),
            cash_u6=cash,
        )
