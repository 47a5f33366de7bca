"""A market made of Python values, for tests and property runs; the same DataSource as a folder.

Bars may be set while a run is under way: columns that were already handed out show the new minutes.  Hours are those of
LEAN's database for SPY, SPX, VIX and their options, on every weekday that is not named a holiday.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from hashlib import sha256
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np

from engine.columns import (
    DailyColumns,
    DataError,
    Floats,
    Ints,
    MinuteColumns,
    OpenInterestColumns,
    OptionDay,
    QuoteCloses,
    QuoteColumns,
    RowSpan,
    SymbolProperties,
    TradeColumns,
    UnderlyingBar,
    UniverseTable,
)
from engine.corporate import Dividend, FactorFile, FactorRow, Split
from engine.enums import SecurityType
from engine.hours import NEW_YORK, ExchangeHours, Segment, minutes_to_new_york
from engine.symbols import Symbol

_CHICAGO: Final = ZoneInfo("America/Chicago")
_OPEN_MINUTE: Final = 9 * 60 + 30
_EQUITY_CLOSE: Final = 16 * 60
_INDEX_CLOSE: Final = 16 * 60 + 15
_NO_MINUTES: Final = np.empty(0, np.int32)
_INDEX_TYPES: Final = (SecurityType.INDEX, SecurityType.INDEX_OPTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseRow:
    """One contract of a universe file; theta per day, as files hold it."""

    symbol: Symbol
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0
    open_interest: float = 0.0
    implied_volatility: float = 0.0
    delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    rho: float = 0.0


class _Live(MinuteColumns):
    """Columns that can be written to; parts made by `between` follow."""

    __slots__ = ("_parts",)

    def __init__(self, end_minute: Ints, values: Floats) -> None:
        super().__init__(end_minute, values)
        self._parts: dict[tuple[int, int], Self] = {}

    @classmethod
    def empty(cls) -> Self:
        return cls(_NO_MINUTES, np.empty((0, len(cls.FIELDS))))

    def put(self, minute: int, row: Sequence[float]) -> None:
        """Set the bar that ends at `minute`."""
        at = self.row_at(minute)
        if at < 0:
            at = self.last_row_at_or_before(minute) + 1
            self.end_minute = np.insert(self.end_minute, at, minute)
            self.values = np.insert(self.values, at, row, axis=0)
            self.reindex()
        else:
            self.values[at] = row
        for (first, last), part in self._parts.items():
            if first <= minute <= last:
                part.put(minute, row)

    def remove(self, minute: int) -> None:
        """Take the bar that ends at `minute` away; none is fine too."""
        at = self.row_at(minute)
        if at >= 0:
            self.end_minute = np.delete(self.end_minute, at)
            self.values = np.delete(self.values, at, axis=0)
            self.reindex()
        for part in self._parts.values():
            part.remove(minute)

    def between(self, first_end: int, last_end: int) -> Self:
        known = self._parts.get((first_end, last_end))
        if known is None:
            inside = (self.end_minute >= first_end) & (self.end_minute <= last_end)
            known = self._parts[first_end, last_end] = type(self)(self.end_minute[inside], self.values[inside])
        return known


class LiveTradeColumns(_Live, TradeColumns):
    __slots__ = ()


class LiveQuoteColumns(_Live, QuoteColumns):
    __slots__ = ()


class MemoryOptionDay:
    """OptionDay over the contracts that were given quotes or trades."""

    def __init__(self, canonical: Symbol, day: date) -> None:
        self.canonical = canonical
        self.date = day
        self.quotes: dict[Symbol, LiveQuoteColumns] = {}
        self.trades: dict[Symbol, LiveTradeColumns] = {}
        self.interest: dict[Symbol, OpenInterestColumns] = {}

    @property
    def symbols(self) -> Sequence[Symbol]:
        return tuple(dict.fromkeys((*self.quotes, *self.trades)))

    def __contains__(self, symbol: Symbol) -> bool:
        return symbol in self.quotes or symbol in self.trades

    def quote(self, symbol: Symbol) -> QuoteColumns | None:
        return self.quotes.get(symbol)

    def trade(self, symbol: Symbol) -> TradeColumns | None:
        return self.trades.get(symbol)

    def open_interest(self, symbol: Symbol) -> OpenInterestColumns | None:
        return self.interest.get(symbol)

    @property
    def has_more(self) -> bool:
        return bool(self.trades or self.interest)

    def quotes_many(self, symbols: Iterable[Symbol]) -> dict[Symbol, QuoteColumns]:
        return {symbol: self.quotes[symbol] for symbol in symbols if symbol in self.quotes}

    def closes_many(self, symbols: Iterable[Symbol]) -> dict[Symbol, QuoteCloses]:
        return {symbol: self.quotes[symbol].closes() for symbol in symbols if symbol in self.quotes}

    def row_span(self, symbol: Symbol) -> RowSpan | None:
        found = self.quotes.get(symbol)
        return None if found is None else found.span


class MemorySource:
    """DataSource from Python values."""

    def __init__(self, *, holidays: Iterable[date] = (), early_closes: Mapping[date, int] | None = None) -> None:
        """holidays: weekdays without a session; early_closes: New York minute of day at which a date ends for all."""
        self._holidays = tuple(holidays)
        self._early_closes = dict(early_closes or {})
        self._hours: dict[SecurityType | Symbol, ExchangeHours] = {}
        self._properties: dict[Symbol, SymbolProperties] = {}
        self._trades: dict[tuple[Symbol, date], LiveTradeColumns] = {}
        self._quotes: dict[tuple[Symbol, date], LiveQuoteColumns] = {}
        self._days: dict[tuple[Symbol, date], MemoryOptionDay] = {}
        self._universes: dict[tuple[Symbol, date], UniverseTable] = {}
        self._daily: dict[Symbol, dict[date, tuple[float, ...]]] = {}
        self._factors: dict[Symbol, list[FactorRow]] = {}
        self.revision = 1  # changes with every edit of a bar, so that the loop looks for new minutes
        self.rate = 0.01  # LEAN's own, where it has no interest-rate file

    # -- writing ------------------------------------------------------------------------------------------------------

    def set_bar(
        self, symbol: Symbol, day: date, minute: int,
        open: float, high: float | None = None, low: float | None = None, close: float | None = None,
        volume: float = 0.0,
    ) -> None:  # fmt: skip
        """Set the trade bar that ends at a New York minute; one price alone is a bar of that price."""
        close = open if close is None else close
        row = (
            open,
            max(open, close) if high is None else high,
            min(open, close) if low is None else low,
            close,
            volume,
        )
        self._trades_of(symbol, day).put(minute, row)

    def set_quote(
        self, symbol: Symbol, day: date, minute: int, bid: float | None, ask: float | None, *,
        bid_open: float | None = None, bid_high: float | None = None, bid_low: float | None = None,
        ask_open: float | None = None, ask_high: float | None = None, ask_low: float | None = None,
        bid_size: float = 10.0, ask_size: float = 10.0,
    ) -> None:  # fmt: skip
        """Set the quote bar that ends at a New York minute; bid or ask None or 0 is an absent side."""
        row = (*_side(bid, bid_open, bid_high, bid_low, bid_size), *_side(ask, ask_open, ask_high, ask_low, ask_size))
        self._quotes_of(symbol, day).put(minute, row)

    def remove_bar(self, symbol: Symbol, day: date, minute: int) -> None:
        self._trades_of(symbol, day).remove(minute)

    def remove_quote(self, symbol: Symbol, day: date, minute: int) -> None:
        self._quotes_of(symbol, day).remove(minute)

    def set_quotes(self, symbol: Symbol, day: date, minutes: Iterable[int], bid: float, ask: float) -> None:
        """Set the same quote for many minutes."""
        for minute in minutes:
            self.set_quote(symbol, day, minute, bid, ask)

    def set_bars(self, symbol: Symbol, day: date, minutes: Iterable[int], price: float, volume: float = 0.0) -> None:
        """Set the same trade bar for many minutes."""
        for minute in minutes:
            self.set_bar(symbol, day, minute, price, volume=volume)

    def set_open_interest(self, symbol: Symbol, day: date, open_interest: float, minute: int = 0) -> None:
        minutes = np.array([minute], dtype=np.int32)
        self._day_of(symbol, day).interest[symbol] = OpenInterestColumns(minutes, np.array([[open_interest]]))

    def set_universe(
        self,
        canonical: Symbol,
        file_date: date,
        contracts: Iterable[Symbol | UniverseRow],
        underlying: float | UnderlyingBar | None,
    ) -> None:
        """Set the universe file of a date; underlying is its close, or its whole bar."""
        rows = [item if isinstance(item, UniverseRow) else UniverseRow(symbol=item) for item in contracts]
        if isinstance(underlying, int | float):
            underlying = UnderlyingBar(underlying, underlying, underlying, underlying, 0.0)
        names = [field.name for field in fields(UniverseRow)[1:]]
        numbers = np.array([[getattr(row, name) for name in names] for row in rows], dtype=np.float64)
        numbers = numbers.reshape(len(rows), len(names))
        self._universes[canonical, file_date] = UniverseTable(
            canonical,
            file_date,
            np.array([row.symbol.id.date.toordinal() for row in rows], dtype=np.int32),
            np.array([row.symbol.id.strike_price for row in rows], dtype=np.float64),
            np.array([row.symbol.id.option_right for row in rows], dtype=np.int32),
            underlying,
            lambda: numbers,
        )

    def set_daily(
        self, symbol: Symbol, day: date, open: float, high: float, low: float, close: float, volume: float = 0.0
    ) -> None:
        self._daily.setdefault(symbol, {})[day] = (open, high, low, close, volume)

    def set_factors(self, symbol: Symbol, rows: Iterable[FactorRow]) -> None:
        self._factors[symbol] = list(rows)

    def set_hours(self, symbol: Symbol, hours: ExchangeHours) -> None:
        self._hours[symbol] = hours

    def set_properties(self, symbol: Symbol, properties: SymbolProperties) -> None:
        self._properties[symbol] = properties

    # -- DataSource ---------------------------------------------------------------------------------------------------

    def equity(self, ticker: str, market: str = "usa") -> Symbol:
        return Symbol.equity(ticker, market)

    def trades(self, symbol: Symbol, day: date) -> TradeColumns | None:
        if symbol.underlying is not None:
            chain = self._days.get((symbol.canonical, day))
            return None if chain is None else chain.trade(symbol)
        return self._trades.get((symbol, day))

    def quotes(self, symbol: Symbol, day: date) -> QuoteColumns | None:
        if symbol.underlying is not None:
            chain = self._days.get((symbol.canonical, day))
            return None if chain is None else chain.quote(symbol)
        return self._quotes.get((symbol, day))

    def option_day(self, canonical: Symbol, day: date) -> OptionDay | None:
        return self._days.get((canonical, day))

    def universe(self, canonical: Symbol, file_date: date) -> UniverseTable | None:
        return self._universes.get((canonical, file_date))

    def universe_dates(self, canonical: Symbol) -> Sequence[date]:
        return tuple(sorted(day for owner, day in self._universes if owner is canonical))

    def daily(self, symbol: Symbol) -> DailyColumns | None:
        rows = self._daily.get(symbol)
        if rows is None:
            return None
        days = sorted(rows)
        return DailyColumns(
            np.array([day.toordinal() for day in days], np.int32), np.array([rows[day] for day in days])
        )

    def factors(self, symbol: Symbol) -> FactorFile | None:
        rows = self._factors.get(symbol)
        return None if rows is None else FactorFile(rows)

    def splits(self, symbol: Symbol) -> Sequence[Split]:
        found = self.factors(symbol)
        return () if found is None else found.splits(self.hours(symbol))

    def dividends(self, symbol: Symbol) -> Sequence[Dividend]:
        found = self.factors(symbol)
        return () if found is None else found.dividends(self.hours(symbol))

    def interest_rate(self, day: date) -> float:
        return self.rate

    def hours(self, symbol: Symbol) -> ExchangeHours:
        own = self._hours.get(symbol)
        if own is not None:
            return own
        kind = symbol.security_type
        if kind not in self._hours:
            self._hours[kind] = self._usual_hours(kind)
        return self._hours[kind]

    def properties(self, symbol: Symbol) -> SymbolProperties:
        own = self._properties.get(symbol)
        if own is not None:
            return own
        option = symbol.security_type.is_option
        tick = 0.05 if symbol.security_type is SecurityType.INDEX_OPTION else 0.01
        return SymbolProperties("", "USD", 100.0 if option else 1.0, tick, 1.0, None, 1.0)

    def manifest(self) -> str:
        """Return a SHA-256 over everything that was set."""
        digest = sha256()
        for text, array in sorted(self._parts(), key=lambda part: part[0]):
            digest.update(text.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _parts(self) -> Iterable[tuple[str, Floats | Ints]]:
        minutes: list[tuple[str, Symbol, date, MinuteColumns]] = []
        minutes += [("trade", symbol, day, columns) for (symbol, day), columns in self._trades.items()]
        minutes += [("quote", symbol, day, columns) for (symbol, day), columns in self._quotes.items()]
        for (_, day), chain in self._days.items():
            minutes += [("quote", symbol, day, columns) for symbol, columns in chain.quotes.items()]
            minutes += [("trade", symbol, day, columns) for symbol, columns in chain.trades.items()]
        for kind, symbol, day, columns in minutes:
            yield f"{kind} {symbol.id} {day} minutes", columns.end_minute
            yield f"{kind} {symbol.id} {day} values", columns.values
        for (canonical, day), table in self._universes.items():
            yield f"universe {canonical.id} {day} contracts", np.stack([table.expiry, table.strike, table.right])
            yield f"universe {canonical.id} {day} {table.underlying}", table.numbers
        for symbol in self._daily:
            found = self.daily(symbol)
            assert found is not None
            yield f"daily {symbol.id} {found.day.tolist()}", found.values

    def _trades_of(self, symbol: Symbol, day: date) -> LiveTradeColumns:
        self.revision += 1
        if symbol.underlying is not None:
            return self._day_of(symbol, day).trades.setdefault(symbol, LiveTradeColumns.empty())
        return self._trades.setdefault((symbol, day), LiveTradeColumns.empty())

    def _quotes_of(self, symbol: Symbol, day: date) -> LiveQuoteColumns:
        self.revision += 1
        if symbol.underlying is not None:
            return self._day_of(symbol, day).quotes.setdefault(symbol, LiveQuoteColumns.empty())
        return self._quotes.setdefault((symbol, day), LiveQuoteColumns.empty())

    def _day_of(self, symbol: Symbol, day: date) -> MemoryOptionDay:
        key = symbol.canonical, day
        return self._days.setdefault(key, MemoryOptionDay(*key))

    def _usual_hours(self, kind: SecurityType) -> ExchangeHours:
        if kind not in (SecurityType.EQUITY, SecurityType.OPTION, *_INDEX_TYPES):
            raise DataError(
                f"market in memory: found {kind.name}, expected an equity, an index or an option on them. "
                "Give it hours with set_hours."
            )
        index = kind in _INDEX_TYPES
        zone = _CHICAGO if index else NEW_YORK
        shift = minutes_to_new_york(zone, date(2000, 1, 3))  # an hour all year: both change clocks on the same days
        close = _INDEX_CLOSE if index else _EQUITY_CLOSE
        session = (Segment((_OPEN_MINUTE - shift) * 60, (close - shift) * 60, True),)
        week = (session,) * 5 + ((),) * 2
        early = {day: timedelta(minutes=minute - shift) for day, minute in self._early_closes.items()}
        return ExchangeHours(zone, NEW_YORK, week, self._holidays, early)


def _side(
    close: float | None, open: float | None, high: float | None, low: float | None, size: float
) -> tuple[float, float, float, float, float]:
    if not close:
        return (np.nan, np.nan, np.nan, np.nan, 0.0)
    first = close if open is None else open
    return (
        first,
        max(first, close) if high is None else high,
        min(first, close) if low is None else low,
        close,
        size,
    )
