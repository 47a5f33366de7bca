"""One moment's data as an algorithm sees it: lazy views over the columns of the day.

A slice remembers its minute and its day; bars and contracts are made when they are asked for, and still right when an
algorithm keeps the slice.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.clock import aware
from engine.data_dictionary import DataDictionary
from engine.market_bars import BaseData, Delisting, Dividend, QuoteBar, Split, TradeBar
from engine.option_chain import OptionChains
from engine.slice_bars import QuoteBars, TradeBars

if TYPE_CHECKING:
    from engine.feed import DayPlan
    from engine.symbols import Symbol


class Splits(DataDictionary[Split]):
    __slots__ = ()


class Dividends(DataDictionary[Dividend]):
    __slots__ = ()


class Delistings(DataDictionary[Delisting]):
    __slots__ = ()


class Slice:
    """All data of one moment.  `time` is algorithm time."""

    __slots__ = (
        "_bars",
        "_chains",
        "_minute",
        "_plan",
        "_quote_bars",
        "delistings",
        "dividends",
        "has_data",
        "splits",
        "time",
        "utc",
    )

    def __init__(self, time: datetime, utc_time: datetime, plan: DayPlan | None, minute: int) -> None:
        self.time = time
        self.utc = utc_time
        self.has_data = plan is not None
        self._plan = plan
        self._minute = minute
        self._bars: TradeBars | None = None
        self._quote_bars: QuoteBars | None = None
        self._chains: OptionChains | None = None
        self.splits = NO_SPLITS
        self.dividends = NO_DIVIDENDS
        self.delistings = NO_DELISTINGS

    @property
    def utc_time(self) -> datetime:
        return aware(self.utc)

    @property
    def bars(self) -> TradeBars:
        if self._bars is None:
            self._bars = TradeBars(self._plan, self._minute)
        return self._bars

    @property
    def quote_bars(self) -> QuoteBars:
        if self._quote_bars is None:
            self._quote_bars = QuoteBars(self._plan, self._minute)
        return self._quote_bars

    @property
    def option_chains(self) -> OptionChains:
        if self._chains is None:
            self._chains = OptionChains(self._plan, self._minute, self.time)
        return self._chains

    def get(self, kind: object, symbol: Symbol | None = None) -> Any:
        """`get(symbol)`, `get(TradeBar)`, `get(TradeBar, symbol)` as in LEAN."""
        if kind is TradeBar or kind is QuoteBar:
            bars: TradeBars | QuoteBars = self.bars if kind is TradeBar else self.quote_bars
            return bars if symbol is None else bars.get(symbol)
        return self._find(kind)  # type: ignore[arg-type]

    def _find(self, symbol: Symbol) -> BaseData | None:
        found: BaseData | None = self.bars.get(symbol)
        if found is None:
            found = self.quote_bars.get(symbol)
        return found

    def contains_key(self, symbol: Symbol) -> bool:
        return symbol in self

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.bars or symbol in self.quote_bars or symbol in self.delistings

    def __getitem__(self, symbol: Symbol) -> BaseData:
        found = self._find(symbol)
        if found is None:
            raise KeyError(
                f"'{symbol}' wasn't found in the Slice object, likely because there was no-data at this moment in time "
                "and it wasn't possible to fillforward historical data. Please check the data exists before accessing "
                'it with data.ContainsKey("{symbol}")'
            )
        return found

    def keys(self) -> list[Symbol]:
        return list(dict.fromkeys([*self.bars.keys(), *self.quote_bars.keys()]))

    def values(self) -> list[BaseData]:
        return [self[symbol] for symbol in self.keys()]

    def items(self) -> list[tuple[Symbol, BaseData]]:
        return [(symbol, self[symbol]) for symbol in self.keys()]

    @property
    def count(self) -> int:
        return len(self.keys())


NO_SPLITS = Splits({})
NO_DIVIDENDS = Dividends({})
NO_DELISTINGS = Delistings({})
