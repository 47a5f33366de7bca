"""The contracts of one option root on one day: their quotes and trades, parsed when somebody looks."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from engine.clock import NEVER
from engine.columns import OptionDay, QuoteColumns, TradeColumns

if TYPE_CHECKING:
    from engine.hours import Session
    from engine.securities import Security
    from engine.symbols import Symbol


class OptionGroup:
    """The subscribed contracts of one option root on one day, in the order of their subscription."""

    __slots__ = (
        "_by_symbol",
        "_matrix",
        "_span",
        "_trades",
        "canonical",
        "day",
        "fill_forward",
        "members",
        "ordinal",
        "parsed",
        "session",
    )

    def __init__(
        self, canonical: Symbol, session: Session, fill_forward: bool, day: OptionDay | None, ordinal: int
    ) -> None:
        self.canonical = canonical
        self.session = session
        self.fill_forward = fill_forward
        self.day = day
        self.ordinal = ordinal
        self.members: list[Security] = []
        self.parsed: dict[Symbol, QuoteColumns] | None = None
        self._by_symbol: dict[Symbol, Security] | None = None
        self._matrix: QuoteMatrix | None = None
        self._span: tuple[int, int] | None = None
        self._trades: dict[Symbol, TradeColumns] | None = None

    def matrix(self) -> QuoteMatrix:
        """Return the closes of all members by minute; made at the first call of the day."""
        if self._matrix is None or len(self._matrix.bid) != len(self.members):
            self._matrix = QuoteMatrix(self)
        return self._matrix

    def closing_quote(self, member: Security, minute: int) -> tuple[float, float] | None:
        """Return the real closing bid and ask of a member at a minute of the session, 0.0 where a side is absent.

        Read from the closes of all members where they are there already, else from this contract's quotes alone.
        """
        if self._matrix is not None:
            return self.matrix().quote(member.symbol, minute)
        columns = self.quotes_of(member.symbol)
        row = -1 if columns is None else columns.row_at(minute)
        if columns is None or row < 0:
            return None
        bid = columns.values.item(row, QuoteColumns.BID_CLOSE)
        ask = columns.values.item(row, QuoteColumns.ASK_CLOSE)
        return 0.0 if isnan(bid) else bid, 0.0 if isnan(ask) else ask

    def has_data(self, minute: int) -> bool:
        """Return whether any contract has a bar at a minute, parsing as little as possible."""
        if self.fill_forward:
            return any(self.quote_row(member, minute)[0] is not None for member in self.members)
        first, last = self._span_of_all()
        if not first <= minute <= last:
            return False
        if any(columns.row_at(minute) >= 0 for columns in self.trades().values()):
            return True
        if self._matrix is not None:
            return self.matrix().has_data(minute)
        return any(self.quote_row(member, minute)[0] is not None for member in self.members)

    def trades(self) -> dict[Symbol, TradeColumns]:
        """Return the trades of all members that have any; usually there are none."""
        if self._trades is None:
            day = self.day
            symbols = [one.symbol for one in self.members] if day is not None and day.has_more else []
            found = [(symbol, day.trade(symbol)) for symbol in symbols] if day is not None else []
            self._trades = {symbol: columns for symbol, columns in found if columns is not None and len(columns)}
        return self._trades

    def trade_row(self, member: Security, minute: int) -> tuple[TradeColumns | None, int, bool]:
        """Return columns and row of the trade bar that a slice has of a member, and whether it is a repeated one."""
        columns = self.trades().get(member.symbol)
        row = -1 if columns is None else columns.row_at(minute)
        if row >= 0:
            return columns, row, False
        is_late = minute > self.session.close_minute
        if not self.fill_forward or is_late or member.subscription.trades_since > self.ordinal:
            return None, -1, False
        latest = member.latest_trade(self.ordinal, minute)
        return (None, -1, False) if latest is None else (latest[0], latest[1], True)

    def _span_of_all(self) -> tuple[int, int]:
        """Return the first and last minute at which any member has a quote."""
        if self._span is None:
            day = self.day
            spans = [] if day is None else [day.row_span(member.symbol) for member in self.members]
            known = [(span.first, span.last) for span in spans if span is not None]
            known += [(columns.first_minute, columns.last_minute) for columns in self.trades().values()]
            first = min((span[0] for span in known), default=NEVER)
            self._span = (first, max((span[1] for span in known), default=-1))
        return self._span

    def member(self, symbol: Symbol) -> Security | None:
        if self._by_symbol is None or len(self._by_symbol) != len(self.members):
            self._by_symbol = {member.symbol: member for member in self.members}
        return self._by_symbol.get(symbol)

    def quotes_of(self, symbol: Symbol) -> QuoteColumns | None:
        """Return one contract's quotes without parsing the others."""
        if self.parsed is not None:
            return self.parsed.get(symbol)
        return None if self.day is None else self.day.quote(symbol)

    def quote_row(self, member: Security, minute: int) -> tuple[QuoteColumns | None, int, bool]:
        """Return columns and row of the quote that a slice has of a member, and whether it is a repeated one."""
        columns = self.quotes_of(member.symbol)
        row = -1 if columns is None else columns.row_at(minute)
        if row >= 0:
            return columns, row, False
        is_late = minute > self.session.close_minute
        if not self.fill_forward or is_late or member.subscription.quotes_since > self.ordinal:
            return None, -1, False
        latest = member.latest_quote(self.ordinal, minute)
        return (None, -1, False) if latest is None else (latest[0], latest[1], True)

    def all_quotes(self) -> dict[Symbol, QuoteColumns]:
        """Return the quotes of all members, parsed in one go at the first call of the day."""
        if self.parsed is None:
            symbols = [member.symbol for member in self.members]
            self.parsed = {} if self.day is None else self.day.quotes_many(symbols)
        return self.parsed


class QuoteMatrix:
    """Closing bids and asks of a group's contracts, (contracts, minutes), 0.0 where a side is absent."""

    __slots__ = ("ask", "bid", "first", "present", "rows")

    def __init__(self, group: OptionGroup) -> None:
        session = group.session
        self.first = session.open_minute + 1
        shape = (len(group.members), session.close_minute - session.open_minute)
        self.bid = np.zeros(shape)
        self.ask = np.zeros(shape)
        self.present = np.zeros(shape, dtype=bool)
        symbols = [member.symbol for member in group.members]
        self.rows = {symbol: row for row, symbol in enumerate(symbols)}
        closes = {} if group.day is None else group.day.closes_many(symbols)
        for row, symbol in enumerate(symbols):
            found = closes.get(symbol)
            if found is None:
                continue
            at = found.end_minute - self.first
            low, high = np.searchsorted(at, (0, shape[1]))
            at = at[low:high]
            self.bid[row, at] = found.bid[low:high]
            self.ask[row, at] = found.ask[low:high]
            self.present[row, at] = True

    def quote(self, symbol: Symbol, minute: int) -> tuple[float, float] | None:
        """Return closing bid and ask of a contract at a minute, None where it has no bar."""
        row, column = self.rows[symbol], minute - self.first
        if not (0 <= column < self.present.shape[1] and self.present.item(row, column)):
            return None
        return self.bid.item(row, column), self.ask.item(row, column)

    def has_data(self, minute: int) -> bool:
        column = minute - self.first
        return 0 <= column < self.present.shape[1] and bool(self.present[:, column].any())
