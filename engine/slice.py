"""One moment's data as an algorithm sees it: lazy views over the columns of the day.

A slice remembers its minute and its day; bars and contracts are made when they are asked for, and still right when an
algorithm keeps the slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from engine.columns import QuoteColumns
from engine.enums import OptionRight, OptionStyle
from engine.errors import EngineUnsupported
from engine.feed import OPTION_SECURITY_TYPES
from engine.market_bars import BaseData, Delisting, Dividend, QuoteBar, Split, TradeBar, quote_bar, trade_bar

if TYPE_CHECKING:
    from engine.feed import DayPlan, OptionGroup, Stream
    from engine.securities import Security
    from engine.symbols import SecurityIdentifier, Symbol

T = TypeVar("T")


class KeyValuePair(Generic[T]):
    """What iterating a LEAN dictionary yields; unpacks into key and value."""

    __slots__ = ("key", "value")

    def __init__(self, key: Symbol, value: T) -> None:
        self.key = key
        self.value = value

    def __iter__(self) -> Iterator[Any]:
        return iter((self.key, self.value))


class DataDictionary(Generic[T]):
    """LEAN's dictionary from symbol to data; subclasses say how to find one entry and how to list all."""

    __slots__ = ("_all",)

    def __init__(self, entries: dict[Symbol, T] | None = None) -> None:
        self._all = entries

    def _entries(self) -> dict[Symbol, T]:
        if self._all is None:
            self._all = self._build()
        return self._all

    def _build(self) -> dict[Symbol, T]:
        return {}

    def _find(self, symbol: Symbol) -> T | None:
        return self._entries().get(symbol)

    def get(self, symbol: Symbol, default: T | None = None) -> T | None:
        found = self._find(symbol)
        return default if found is None else found

    def get_value(self, symbol: Symbol) -> T | None:
        return self._find(symbol)

    def __getitem__(self, symbol: Symbol) -> T:
        found = self._find(symbol)
        if found is None:
            raise KeyError(
                f"'{symbol}' wasn't found in the {type(self).__name__} object, likely because there was no-data at "
                "this moment in time and it wasn't possible to fillforward historical data. Please check the data "
                "exists before accessing it."
            )
        return found

    def __contains__(self, symbol: object) -> bool:
        return self._find(symbol) is not None  # type: ignore[arg-type]

    def contains_key(self, symbol: Symbol) -> bool:
        return self._find(symbol) is not None

    def keys(self) -> list[Symbol]:
        return list(self._entries())

    def values(self) -> list[T]:
        return list(self._entries().values())

    def items(self) -> list[tuple[Symbol, T]]:
        return list(self._entries().items())

    def __iter__(self) -> Iterator[KeyValuePair[T]]:
        return iter([KeyValuePair(symbol, value) for symbol, value in self._entries().items()])

    def __len__(self) -> int:
        return len(self._entries())

    @property
    def count(self) -> int:
        return len(self._entries())


class TradeBars(DataDictionary[TradeBar]):
    """Trade bars of one minute."""

    __slots__ = ("_minute", "_plan")

    def __init__(self, plan: DayPlan | None = None, minute: int = 0) -> None:
        super().__init__(None if plan is not None else {})
        self._plan = plan
        self._minute = minute

    def _find(self, symbol: Symbol) -> TradeBar | None:
        plan = self._plan
        if plan is None or self._all is not None:
            return self._entries().get(symbol)
        stream = plan.by_symbol.get(symbol)
        if stream is not None:
            return _trade_of(stream, plan.ordinal, self._minute)
        if getattr(symbol, "security_type", None) not in OPTION_SECURITY_TYPES:
            return None
        group = plan.groups.get(symbol.canonical)
        member = None if group is None else group.member(symbol)
        return None if member is None or group is None else _option_trade(group, member, plan.ordinal, self._minute)

    def _build(self) -> dict[Symbol, TradeBar]:
        plan = self._plan
        found: dict[Symbol, TradeBar] = {}
        if plan is None:
            return found
        for stream in plan.streams:
            bar = _trade_of(stream, plan.ordinal, self._minute)
            if bar is not None:
                found[stream.security.symbol] = bar
        for group in plan.groups.values():
            for member in group.members:
                bar = _option_trade(group, member, plan.ordinal, self._minute)
                if bar is not None:
                    found[member.symbol] = bar
        return found


class QuoteBars(DataDictionary[QuoteBar]):
    """Quote bars of one minute."""

    __slots__ = ("_minute", "_plan")

    def __init__(self, plan: DayPlan | None = None, minute: int = 0) -> None:
        super().__init__(None if plan is not None else {})
        self._plan = plan
        self._minute = minute

    def _find(self, symbol: Symbol) -> QuoteBar | None:
        plan = self._plan
        if plan is None or self._all is not None:
            return self._entries().get(symbol)
        stream = plan.by_symbol.get(symbol)
        if stream is not None:
            return _quote_of(stream, plan.ordinal, self._minute)
        if getattr(symbol, "security_type", None) not in OPTION_SECURITY_TYPES:
            return None
        group = plan.groups.get(symbol.canonical)
        member = None if group is None else group.member(symbol)
        return None if member is None or group is None else _option_quote(group, member, plan.ordinal, self._minute)

    def _build(self) -> dict[Symbol, QuoteBar]:
        plan = self._plan
        found: dict[Symbol, QuoteBar] = {}
        if plan is None:
            return found
        for stream in plan.streams:
            bar = _quote_of(stream, plan.ordinal, self._minute)
            if bar is not None:
                found[stream.security.symbol] = bar
        for group in plan.groups.values():
            group.all_quotes()
            for member in group.members:
                bar = _option_quote(group, member, plan.ordinal, self._minute)
                if bar is not None:
                    found[member.symbol] = bar
        return found


def _trade_of(stream: Stream, ordinal: int, minute: int) -> TradeBar | None:
    if minute < stream.first_trade or minute > stream.session.close_minute:
        return None
    columns = stream.trades
    row = -1 if columns is None else columns.row_at(minute)
    if columns is not None and row >= 0:
        period = stream.bar_period
        return trade_bar(stream.security, columns, row, ordinal, period=period)
    if not stream.subscription.fill_forward:
        return None
    latest = stream.security.latest_trade(ordinal, minute)
    return None if latest is None else trade_bar(stream.security, latest[0], latest[1], ordinal, minute)


def _quote_of(stream: Stream, ordinal: int, minute: int) -> QuoteBar | None:
    if minute < stream.first_quote or minute > stream.session.close_minute:
        return None
    columns = stream.quotes
    row = -1 if columns is None else columns.row_at(minute)
    if columns is not None and row >= 0:
        return quote_bar(stream.security, columns, row, ordinal)
    if not stream.subscription.fill_forward:
        return None
    latest = stream.security.latest_quote(ordinal, minute)
    return None if latest is None else quote_bar(stream.security, latest[0], latest[1], ordinal, minute)


def _option_trade(group: OptionGroup, member: Security, ordinal: int, minute: int) -> TradeBar | None:
    columns = None if group.day is None else group.day.trade(member.symbol)
    row = -1 if columns is None else columns.row_at(minute)
    return None if columns is None or row < 0 else trade_bar(member, columns, row, ordinal)


def _option_quote(group: OptionGroup, member: Security, ordinal: int, minute: int) -> QuoteBar | None:
    columns, row, repeated = group.quote_row(member, minute)
    if columns is None:
        return None
    return quote_bar(member, columns, row, ordinal, minute if repeated else -1)


class Greeks:
    """The price model's Greeks are not computed by this engine: every member says so when it is read."""

    __slots__ = ()

    def _refuse(self, name: str) -> NoReturn:
        raise EngineUnsupported(f"OptionContract.greeks.{name}", "use the universe's Greeks (option_chain) or your own")

    @property
    def delta(self) -> float:
        self._refuse("delta")

    @property
    def gamma(self) -> float:
        self._refuse("gamma")

    @property
    def theta(self) -> float:
        self._refuse("theta")

    @property
    def vega(self) -> float:
        self._refuse("vega")

    @property
    def rho(self) -> float:
        self._refuse("rho")


class OptionContract:
    """One contract of a slice's chain.  Prices are this minute's; an absent side is 0.0, as in LEAN."""

    __slots__ = ("_chain", "_member", "ask_price", "bid_price", "strike", "symbol")

    def __init__(self, chain: OptionChain, member: Security, bid_price: float, ask_price: float) -> None:
        self._chain = chain
        self._member = member
        self.bid_price = bid_price
        self.ask_price = ask_price
        symbol = member.symbol
        self.symbol = symbol
        self.strike = symbol.id.strike_price

    @property
    def id(self) -> SecurityIdentifier:
        return self.symbol.id

    @property
    def scaled_strike(self) -> float:
        return self.strike

    @property
    def expiry(self) -> datetime:
        return self.symbol.id.date

    @property
    def right(self) -> OptionRight:
        return self.symbol.id.option_right

    @property
    def style(self) -> OptionStyle:
        return self.symbol.id.option_style

    @property
    def underlying_symbol(self) -> Symbol | None:
        return self.symbol.underlying

    @property
    def time(self) -> datetime:
        return self._chain.time

    @property
    def end_time(self) -> datetime:
        return self._chain.time

    @property
    def bid_size(self) -> int:
        return self._chain.size_of(self._member, QuoteColumns.BID_SIZE)

    @property
    def ask_size(self) -> int:
        return self._chain.size_of(self._member, QuoteColumns.ASK_SIZE)

    @property
    def last_price(self) -> float:
        bar = self._chain.trade_of(self._member)
        return 0.0 if bar is None else bar.close

    @property
    def volume(self) -> int:
        bar = self._chain.trade_of(self._member)
        return 0 if bar is None else int(bar.volume)

    @property
    def open_interest(self) -> float:
        return self._chain.open_interest_of(self._member)

    @property
    def underlying_last_price(self) -> float:
        underlying = self._chain.underlying
        return 0.0 if underlying is None else underlying.price

    @property
    def greeks(self) -> Greeks:
        return Greeks()

    @property
    def implied_volatility(self) -> float:
        raise EngineUnsupported("OptionContract.implied_volatility", "use the universe's (option_chain) or your own")

    def __repr__(self) -> str:
        return self.symbol.value


class OptionContracts(DataDictionary[OptionContract]):
    """`chain.contracts`."""

    __slots__ = ()


class OptionChain:
    """The contracts of one root that have data in this slice, in the order of their subscription."""

    __slots__ = ("_by_symbol", "_contracts", "_group", "_minute", "_plan", "_underlying", "symbol", "time")

    def __init__(self, plan: DayPlan, group: OptionGroup, minute: int, time: datetime) -> None:
        self.symbol = group.canonical
        self.time = time
        self._plan = plan
        self._group = group
        self._minute = minute
        self._contracts: list[OptionContract] | None = None
        self._by_symbol: OptionContracts | None = None

    @property
    def end_time(self) -> datetime:
        return self.time

    def _list(self) -> list[OptionContract]:
        if self._contracts is None:
            self._contracts = self._repeated() if self._group.fill_forward else self._real()
        return self._contracts

    def _real(self) -> list[OptionContract]:
        matrix = self._group.matrix()
        column = self._minute - matrix.first
        if not 0 <= column < matrix.present.shape[1]:
            return []
        rows = zip(
            self._group.members,
            matrix.bid[:, column].tolist(),
            matrix.ask[:, column].tolist(),
            matrix.present[:, column].tolist(),
            strict=True,
        )
        return [OptionContract(self, member, bid, ask) for member, bid, ask, here in rows if here]

    def _repeated(self) -> list[OptionContract]:
        found = []
        self._group.all_quotes()
        for member in self._group.members:
            bar = _option_quote(self._group, member, self._plan.ordinal, self._minute)
            if bar is not None:
                bid = bar.bid.close if bar.bid is not None else 0.0
                ask = bar.ask.close if bar.ask is not None else 0.0
                found.append(OptionContract(self, member, bid, ask))
        return found

    def size_of(self, member: Security, column: int) -> int:
        columns, row, _ = self._group.quote_row(member, self._minute)
        return 0 if columns is None else int(columns.values.item(row, column))

    @property
    def contracts(self) -> OptionContracts:
        if self._by_symbol is None:
            self._by_symbol = OptionContracts({contract.symbol: contract for contract in self._list()})
        return self._by_symbol

    @property
    def underlying(self) -> BaseData | None:
        """The underlying's bar of this minute, else its newest one."""
        symbol = self.symbol.underlying
        stream = None if symbol is None else self._plan.by_symbol.get(symbol)
        if stream is None:
            return None
        bar = _trade_of(stream, self._plan.ordinal, self._minute)
        if bar is not None:
            return bar
        latest = stream.security.latest_trade(self._plan.ordinal, self._minute)
        return None if latest is None else trade_bar(stream.security, latest[0], latest[1], latest[2])

    def get(self, symbol: Symbol) -> OptionContract | None:
        return self.contracts.get(symbol)

    def trade_of(self, member: Security) -> TradeBar | None:
        return _option_trade(self._group, member, self._plan.ordinal, self._minute)

    def open_interest_of(self, member: Security) -> float:
        day = self._group.day
        columns = None if day is None else day.open_interest(member.symbol)
        row = -1 if columns is None else columns.last_row_at_or_before(self._minute)
        return 0.0 if columns is None or row < 0 else float(columns.values.item(row, 0))

    @property
    def quote_bars(self) -> QuoteBars:
        group, ordinal, minute = self._group, self._plan.ordinal, self._minute
        bars = QuoteBars()
        bars._all = {
            contract.symbol: bar
            for contract in self._list()
            if (bar := _option_quote(group, contract._member, ordinal, minute)) is not None
        }
        return bars

    @property
    def count(self) -> int:
        return len(self._list())

    def __iter__(self) -> Iterator[OptionContract]:
        return iter(self._list())

    def __len__(self) -> int:
        return len(self._list())

    def __getitem__(self, symbol: Symbol) -> OptionContract:
        return self.contracts[symbol]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.contracts

    @property
    def has_contracts(self) -> bool:
        """Whether any contract has data in this minute."""
        return bool(self._contracts) if self._contracts is not None else self._group.has_data(self._minute)


class OptionChains(DataDictionary[OptionChain]):
    """Chains of one slice by canonical symbol; a root without any data in this minute is not in it."""

    __slots__ = ("_minute", "_plan", "_time")

    def __init__(self, plan: DayPlan | None = None, minute: int = 0, time: datetime = datetime.min) -> None:
        super().__init__({} if plan is None else None)
        self._plan = plan
        self._minute = minute
        self._time = time

    def _build(self) -> dict[Symbol, OptionChain]:
        found: dict[Symbol, OptionChain] = {}
        plan = self._plan
        if plan is None:
            return found
        for canonical, group in plan.groups.items():
            chain = OptionChain(plan, group, self._minute, self._time)
            if chain.has_contracts:
                found[canonical] = chain
        return found


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
        "utc_time",
    )

    def __init__(self, time: datetime, utc_time: datetime, plan: DayPlan | None, minute: int) -> None:
        self.time = time
        self.utc_time = utc_time
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
