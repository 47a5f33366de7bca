"""The option chains of a slice.  Contracts are made when a chain is iterated, from one matrix of closes per day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from engine.columns import QuoteColumns
from engine.data_dictionary import DataDictionary
from engine.enums import OptionRight, OptionStyle
from engine.errors import EngineUnsupported
from engine.market_bars import BaseData, QuoteBar, TradeBar, trade_bar
from engine.slice_bars import QuoteBars, quote_of_contract, trade_of_contract, trade_of_stream

if TYPE_CHECKING:
    from engine.feed import DayPlan
    from engine.option_group import OptionGroup
    from engine.securities import Security
    from engine.symbols import SecurityIdentifier, Symbol


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
        return self._chain.underlying.price

    @property
    def greeks(self) -> Greeks:
        return Greeks()

    @property
    def implied_volatility(self) -> float:
        raise EngineUnsupported("OptionContract.implied_volatility", "use the universe's (option_chain) or your own")

    def __repr__(self) -> str:
        return self.symbol.value


class OptionContracts(DataDictionary[OptionContract]):
    """`chain.contracts`: one contract is found without making the others."""

    __slots__ = ("_chain",)

    def __init__(self, chain: OptionChain) -> None:
        super().__init__()
        self._chain = chain

    def _find(self, symbol: Symbol) -> OptionContract | None:
        return self._chain._one(symbol) if self._chain._may_read_one else self._entries().get(symbol)

    def _build(self) -> dict[Symbol, OptionContract]:
        return {contract.symbol: contract for contract in self._chain._list()}


class OptionChain:
    """The contracts of one root that have data in this slice, in the order of their subscription."""

    __slots__ = ("_by_symbol", "_contracts", "_group", "_has_underlying", "_minute", "_plan", "symbol", "time")

    def __init__(self, plan: DayPlan, group: OptionGroup, minute: int, time: datetime) -> None:
        self.symbol = group.canonical
        self.time = time
        self._plan = plan
        self._group = group
        self._minute = minute
        self._contracts: list[OptionContract] | None = None
        self._by_symbol: OptionContracts | None = None
        self._has_underlying: bool | None = None

    @property
    def end_time(self) -> datetime:
        return self.time

    def _list(self) -> list[OptionContract]:
        if self._contracts is None:
            if self._underlying_bar() is None:
                self._contracts = []  # LEAN makes no contract before the underlying has had a price
            else:
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
        traded = {symbol for symbol, columns in self._group.trades().items() if columns.row_at(self._minute) >= 0}
        return [
            OptionContract(self, member, bid, ask) for member, bid, ask, here in rows if here or member.symbol in traded
        ]

    @property
    def _may_read_one(self) -> bool:
        """Whether a contract is to be found without making the others: none is made, and what is there is real."""
        if self._has_underlying is None:
            self._has_underlying = self._underlying_bar() is not None
        return self._contracts is None and self._has_underlying and not self._group.fill_forward

    def _one(self, symbol: Symbol) -> OptionContract | None:
        """Return the contract of a symbol, None where it has no data in this slice."""
        group, minute = self._group, self._minute
        member, session = group.member(symbol), group.session
        if member is None or not session.open_minute < minute <= session.close_minute:
            return None
        quote = group.closing_quote(member, minute)
        if quote is not None:
            return OptionContract(self, member, *quote)
        traded = group.trades().get(symbol)
        is_traded = traded is not None and traded.row_at(minute) >= 0
        return OptionContract(self, member, 0.0, 0.0) if is_traded else None

    def _repeated(self) -> list[OptionContract]:
        found = []
        self._group.all_quotes()
        for member in self._group.members:
            bar = quote_of_contract(self._group, member, self._plan.ordinal, self._minute)
            if bar is not None:
                bid = bar.bid.close if bar.bid is not None else 0.0
                ask = bar.ask.close if bar.ask is not None else 0.0
                found.append(OptionContract(self, member, bid, ask))
            elif self._group.trade_row(member, self._minute)[0] is not None:
                found.append(OptionContract(self, member, 0.0, 0.0))
        return found

    def size_of(self, member: Security, column: int) -> int:
        columns, row, _ = self._group.quote_row(member, self._minute)
        return 0 if columns is None else int(columns.values.item(row, column))

    @property
    def contracts(self) -> OptionContracts:
        if self._by_symbol is None:
            self._by_symbol = OptionContracts(self)
        return self._by_symbol

    @property
    def underlying(self) -> BaseData:
        """The underlying's bar of this minute, else its newest one; before the first an empty bar, as in LEAN."""
        bar = self._underlying_bar()
        if bar is None:
            return QuoteBar(datetime.min, self.symbol.underlying or self.symbol, None, 0.0, None, 0.0)
        return bar

    def _underlying_bar(self) -> BaseData | None:
        symbol = self.symbol.underlying
        stream = None if symbol is None else self._plan.by_symbol.get(symbol)
        if stream is None:
            return None
        bar = trade_of_stream(stream, self._plan.ordinal, self._minute)
        if bar is not None:
            return bar
        latest = stream.security.latest_trade(self._plan.ordinal, self._minute)
        return None if latest is None else trade_bar(stream.security, latest[0], latest[1], latest[2])

    def get(self, symbol: Symbol) -> OptionContract | None:
        return self.contracts.get(symbol)

    def trade_of(self, member: Security) -> TradeBar | None:
        return trade_of_contract(self._group, member, self._plan.ordinal, self._minute)

    def open_interest_of(self, member: Security) -> float:
        day = self._group.day
        columns = None if day is None else day.open_interest(member.symbol)
        if columns is None:
            return 0.0
        # Without filling forward it is only in the slice of its own minute, which is before the session.
        row = columns.last_row_at_or_before(self._minute) if self._group.fill_forward else columns.row_at(self._minute)
        return 0.0 if row < 0 else float(columns.values.item(row, 0))

    @property
    def quote_bars(self) -> QuoteBars:
        group, ordinal, minute = self._group, self._plan.ordinal, self._minute
        bars = QuoteBars()
        bars._all = {
            contract.symbol: bar
            for contract in self._list()
            if (bar := quote_of_contract(group, contract._member, ordinal, minute)) is not None
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
