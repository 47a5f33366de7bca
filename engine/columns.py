"""The shapes in which market data reaches the engine: one day of one security as columns.

A minute bar is named by the minute of the New York day at which it ends (571 = the bar 09:30-09:31).  Prices are
dollars or index points.  NaN is an absent price: LEAN drops a whole side of a quote bar whose four prices are zero or
empty, and so do these columns; the size of an absent side is 0.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from engine.corporate import Dividend, FactorFile, Split
    from engine.hours import ExchangeHours
    from engine.symbols import Symbol

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

LAST_MINUTE: Final = 24 * 60


class DataError(Exception):
    """A data file is broken.  The run stops: what came after it would be invented, or missing in silence."""


class MinuteColumns:
    """Rows of one security and one day, ascending by end minute, one row per minute at most.

    end_minute (n,) int32, New York minute of day at which each bar ends; values (n, k), one column per field of FIELDS.
    `values.item(row, k)` is the cheapest way to one number, `values[row].tolist()` to a whole bar.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ()

    __slots__ = ("_dense", "_first", "_minutes", "_rows", "end_minute", "values")

    def __init__(self, end_minute: Ints, values: Floats) -> None:
        self.end_minute = end_minute
        self.values = values
        self.reindex()

    def reindex(self) -> None:
        """Prepare look-ups after `end_minute` was set: arithmetic for a day without gaps, a dictionary otherwise."""
        minutes = self.end_minute
        count = len(minutes)
        self._first = int(minutes[0]) if count else 0
        self._dense = not count or int(minutes[-1]) - self._first == count - 1
        self._rows: dict[int, int] | None = None
        self._minutes: list[int] | None = None

    def __len__(self) -> int:
        return len(self.end_minute)

    def row_at(self, minute: int) -> int:
        """Return the row whose bar ends at `minute`, or -1."""
        if self._dense:
            row = minute - self._first
            return row if 0 <= row < len(self.end_minute) else -1
        rows = self._rows
        if rows is None:
            rows = self._rows = {end: row for row, end in enumerate(self.end_minute.tolist())}
        return rows.get(minute, -1)

    def last_row_at_or_before(self, minute: int) -> int:
        """Return the newest row that had ended by `minute`, or -1."""
        if self._dense:
            row = minute - self._first
            return min(row, len(self.end_minute) - 1) if row >= 0 else -1
        if self._minutes is None:
            self._minutes = self.end_minute.tolist()
        return bisect_right(self._minutes, minute) - 1

    def between(self, first_end: int, last_end: int) -> Self:
        """Return the rows whose bars end in [first_end, last_end], without copying."""
        low, high = np.searchsorted(self.end_minute, (first_end, last_end + 1))
        if low == 0 and high == len(self.end_minute):
            return self
        return type(self)(self.end_minute[low:high], self.values[low:high])

    @property
    def span(self) -> RowSpan | None:
        """Return how many bars there are and when, None without any."""
        count = len(self.end_minute)
        return RowSpan(count, self._first, self.last_minute) if count else None

    @property
    def first_minute(self) -> int:
        """Return the end minute of the first bar, or -1 without bars."""
        return self._first if len(self.end_minute) else -1

    @property
    def last_minute(self) -> int:
        """Return the end minute of the last bar, or -1 without bars."""
        return int(self.end_minute[-1]) if len(self.end_minute) else -1


class TradeColumns(MinuteColumns):
    """Trade bars: open, high, low, close, volume, each (n,) float64."""

    FIELDS: ClassVar[tuple[str, ...]] = ("open", "high", "low", "close", "volume")
    OPEN: ClassVar[int] = 0
    HIGH: ClassVar[int] = 1
    LOW: ClassVar[int] = 2
    CLOSE: ClassVar[int] = 3
    VOLUME: ClassVar[int] = 4

    __slots__ = ()

    @property
    def open(self) -> Floats:
        return self.values[:, 0]

    @property
    def high(self) -> Floats:
        return self.values[:, 1]

    @property
    def low(self) -> Floats:
        return self.values[:, 2]

    @property
    def close(self) -> Floats:
        return self.values[:, 3]

    @property
    def volume(self) -> Floats:
        return self.values[:, 4]


class QuoteColumns(MinuteColumns):
    """Quote bars: bid and ask open, high, low, close and size, each (n,) float64; NaN prices where a side is absent."""

    FIELDS: ClassVar[tuple[str, ...]] = (
        "bid_open", "bid_high", "bid_low", "bid_close", "bid_size",
        "ask_open", "ask_high", "ask_low", "ask_close", "ask_size",
    )  # fmt: skip
    BID_OPEN: ClassVar[int] = 0
    BID_HIGH: ClassVar[int] = 1
    BID_LOW: ClassVar[int] = 2
    BID_CLOSE: ClassVar[int] = 3
    BID_SIZE: ClassVar[int] = 4
    ASK_OPEN: ClassVar[int] = 5
    ASK_HIGH: ClassVar[int] = 6
    ASK_LOW: ClassVar[int] = 7
    ASK_CLOSE: ClassVar[int] = 8
    ASK_SIZE: ClassVar[int] = 9

    __slots__ = ()

    @property
    def bid_open(self) -> Floats:
        return self.values[:, 0]

    @property
    def bid_high(self) -> Floats:
        return self.values[:, 1]

    @property
    def bid_low(self) -> Floats:
        return self.values[:, 2]

    @property
    def bid_close(self) -> Floats:
        return self.values[:, 3]

    @property
    def bid_size(self) -> Floats:
        return self.values[:, 4]

    @property
    def ask_open(self) -> Floats:
        return self.values[:, 5]

    @property
    def ask_high(self) -> Floats:
        return self.values[:, 6]

    @property
    def ask_low(self) -> Floats:
        return self.values[:, 7]

    @property
    def ask_close(self) -> Floats:
        return self.values[:, 8]

    @property
    def ask_size(self) -> Floats:
        return self.values[:, 9]

    def closes(self) -> QuoteCloses:
        return QuoteCloses(self.end_minute, np.nan_to_num(self.bid_close), np.nan_to_num(self.ask_close))


class OpenInterestColumns(MinuteColumns):
    """Open interest of one contract; `end_minute` is the minute of the statement, a point in time and not a bar."""

    FIELDS: ClassVar[tuple[str, ...]] = ("open_interest",)

    __slots__ = ()

    @property
    def open_interest(self) -> Floats:
        return self.values[:, 0]


class DailyColumns:
    """Daily trade bars, ascending; day (n,) int32 holds `date.toordinal()` of the session each bar describes."""

    __slots__ = ("day", "values")

    def __init__(self, day: Ints, values: Floats) -> None:
        self.day = day
        self.values = values  # (n, 5): open, high, low, close, volume

    def __len__(self) -> int:
        return len(self.day)

    def row_of(self, day: date) -> int:
        """Return the row of the session `day`, or -1."""
        row = int(np.searchsorted(self.day, day.toordinal()))
        return row if row < len(self.day) and self.day[row] == day.toordinal() else -1

    def rows_before(self, day: date) -> int:
        """Return how many rows describe sessions before `day`; they are rows 0 to that number less 1."""
        return int(np.searchsorted(self.day, day.toordinal()))

    def date_at(self, row: int) -> date:
        return date.fromordinal(int(self.day[row]))

    @property
    def open(self) -> Floats:
        return self.values[:, 0]

    @property
    def high(self) -> Floats:
        return self.values[:, 1]

    @property
    def low(self) -> Floats:
        return self.values[:, 2]

    @property
    def close(self) -> Floats:
        return self.values[:, 3]

    @property
    def volume(self) -> Floats:
        return self.values[:, 4]


class RowSpan(NamedTuple):
    """How many rows a contract has, and the end minutes of the first and the last."""

    rows: int
    first: int
    last: int


class QuoteCloses(NamedTuple):
    """Closing quotes of one contract, ascending by end minute; 0.0 where a side is absent."""

    end_minute: Ints
    bid: Floats
    ask: Floats


class OptionDay(Protocol):
    """All contracts of one option root on one day.  Nothing is parsed until it is asked for."""

    canonical: Symbol
    date: date

    @property
    def symbols(self) -> Sequence[Symbol]:
        """Every contract with quotes or trades, in the order of the file.  Creates a symbol for each: prefer `in`."""
        ...

    def __contains__(self, symbol: Symbol) -> bool: ...

    def quote(self, symbol: Symbol) -> QuoteColumns | None:
        """Return the quotes of one contract, None when the file has none."""
        ...

    def trade(self, symbol: Symbol) -> TradeColumns | None: ...

    def open_interest(self, symbol: Symbol) -> OpenInterestColumns | None: ...

    def quotes_many(self, symbols: Iterable[Symbol]) -> dict[Symbol, QuoteColumns]:
        """Return the quotes of many contracts, parsed in one go; contracts without any are left out."""
        ...

    def closes_many(self, symbols: Iterable[Symbol]) -> dict[Symbol, QuoteCloses]:
        """Return the closing quotes of many contracts, which is much less to parse; those without any are left out."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether there may be trades or open interest: most folders hold quotes only."""
        ...

    def row_span(self, symbol: Symbol) -> RowSpan | None:
        """Return where the contract's quotes lie, reading as little as possible; None without quotes."""
        ...


UNIVERSE_FIELDS: Final = (
    "open", "high", "low", "close", "volume", "open_interest",
    "implied_volatility", "delta", "gamma", "vega", "theta", "rho",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnderlyingBar:
    """The first line of an option universe file: the underlying's session."""

    open: float
    high: float
    low: float
    close: float
    volume: float


class UniverseTable:
    """One option universe file: every contract listed on a day, with end-of-day prices and Greeks.

    expiry (n,) int32 as `date.toordinal()`; strike (n,) float64; right (n,) int32, 0 call, 1 put; all other columns
    (n,) float64.  An empty cell is 0, as LEAN reads it.  `underlying` is None when the file has no line for it.
    """

    __slots__ = ("_numbers", "_symbols", "canonical", "expiry", "file_date", "right", "strike", "underlying")

    def __init__(
        self,
        canonical: Symbol,
        file_date: date,
        expiry: Ints,
        strike: Floats,
        right: Ints,
        underlying: UnderlyingBar | None,
        numbers: NumberReader,
    ) -> None:
        self.canonical = canonical
        self.file_date = file_date
        self.expiry = expiry
        self.strike = strike
        self.right = right
        self.underlying = underlying
        self._numbers: Floats | NumberReader = numbers
        self._symbols: dict[int, Symbol] = {}

    def __len__(self) -> int:
        return len(self.strike)

    @property
    def numbers(self) -> Floats:
        """Return the columns of UNIVERSE_FIELDS as one array (n, 12); parsed at the first call."""
        found = self._numbers
        if not isinstance(found, np.ndarray):
            found = self._numbers = found()
        return found

    def column(self, name: str) -> Floats:
        """Return one column of UNIVERSE_FIELDS by name."""
        return self.numbers[:, UNIVERSE_FIELDS.index(name)]

    def symbol(self, row: int) -> Symbol:
        """Return the contract of a row; created at the first call."""
        found = self._symbols.get(row)
        if found is None:
            from engine.symbols import Symbol, option_on

            found = self._symbols[row] = option_on(
                self.canonical, int(self.right[row]), float(self.strike[row]), int(self.expiry[row])
            )
            assert isinstance(found, Symbol)
        return found

    @property
    def open(self) -> Floats:
        return self.numbers[:, 0]

    @property
    def high(self) -> Floats:
        return self.numbers[:, 1]

    @property
    def low(self) -> Floats:
        return self.numbers[:, 2]

    @property
    def close(self) -> Floats:
        return self.numbers[:, 3]

    @property
    def volume(self) -> Floats:
        return self.numbers[:, 4]

    @property
    def oi(self) -> Floats:
        return self.numbers[:, 5]

    @property
    def iv(self) -> Floats:
        return self.numbers[:, 6]

    @property
    def delta(self) -> Floats:
        return self.numbers[:, 7]

    @property
    def gamma(self) -> Floats:
        return self.numbers[:, 8]

    @property
    def vega(self) -> Floats:
        return self.numbers[:, 9]

    @property
    def theta(self) -> Floats:
        return self.numbers[:, 10]

    @property
    def rho(self) -> Floats:
        return self.numbers[:, 11]


class NumberReader(Protocol):
    """Parses the numeric columns of a universe file when first needed."""

    def __call__(self) -> Floats: ...


@dataclass(frozen=True, slots=True)
class SymbolProperties:
    """How a security is quoted and traded (symbol-properties database)."""

    description: str
    quote_currency: str
    contract_multiplier: float
    minimum_price_variation: float
    lot_size: float
    minimum_order_size: float | None
    strike_multiplier: float


class DataSource(Protocol):
    """Where the engine's market data comes from: a LEAN folder or a market in memory."""

    @property
    def revision(self) -> int:
        """Return a number that changes with every edit; always 0 where nothing can be edited."""
        ...

    def equity(self, ticker: str, market: str = "usa") -> Symbol:
        """Return the equity traded today as `ticker`, with the first ticker and date of its map file."""
        ...

    def trades(self, symbol: Symbol, day: date) -> TradeColumns | None:
        """Return the minute trade bars of an equity, index or contract; None when there is no file or entry."""
        ...

    def quotes(self, symbol: Symbol, day: date) -> QuoteColumns | None:
        """Return the minute quote bars of an equity or contract; None when there is no file or entry."""
        ...

    def option_day(self, canonical: Symbol, day: date) -> OptionDay | None: ...

    def universe(self, canonical: Symbol, file_date: date) -> UniverseTable | None: ...

    def universe_dates(self, canonical: Symbol) -> Sequence[date]:
        """Return the dates of all universe files, ascending."""
        ...

    def daily(self, symbol: Symbol) -> DailyColumns | None: ...

    def factors(self, symbol: Symbol) -> FactorFile | None: ...

    def splits(self, symbol: Symbol) -> Sequence[Split]: ...

    def dividends(self, symbol: Symbol) -> Sequence[Dividend]: ...

    def interest_rate(self, day: date) -> float:
        """Return the risk-free rate, 0.05 = 5 % a year."""
        ...

    def hours(self, symbol: Symbol) -> ExchangeHours: ...

    def properties(self, symbol: Symbol) -> SymbolProperties: ...

    def manifest(self) -> str:
        """Return a SHA-256 over names, sizes and checksums of everything that was opened so far."""
        ...
