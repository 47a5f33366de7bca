"""The QCAlgorithm methods that subscribe to data and look back at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from engine.enums import DataNormalizationMode, Resolution, SecurityType
from engine.errors import EngineUnsupported
from engine.history import History, HistoryBars
from engine.last_known import last_known, preferred
from engine.market_bars import QuoteBar, TradeBar
from engine.option_security import Option
from engine.securities import Equity, Index, Security
from engine.selection import ChainUniverse
from engine.slice_bars import TradeBars
from engine.symbols import Symbol, SymbolError, index_of_option_root, is_index_option_root
from engine.universe import OptionUniverse, filter_of

if TYPE_CHECKING:
    import pandas as pd

    from engine.columns import UniverseTable
    from engine.state import EngineState

_RESOLUTIONS: Final = (Resolution.MINUTE, Resolution.DAILY)


class DataApi:
    """Subscriptions and history."""

    _embedded_engine: EngineState

    def add_equity(
        self,
        ticker: str,
        resolution: Resolution | None = None,
        market: str | None = None,
        fill_forward: bool = True,
        leverage: float = 0.0,
        extended_market_hours: bool = False,
        data_normalization_mode: DataNormalizationMode | None = None,
    ) -> Equity:
        symbol = self._embedded_engine.source.equity(ticker.upper(), market or "usa")
        mode = data_normalization_mode or self._embedded_engine.universe_settings.data_normalization_mode
        security = self._add(symbol, resolution, fill_forward, extended_market_hours, mode)
        if leverage > 0:
            security.set_leverage(leverage)
        return cast(Equity, security)

    def add_index(
        self, ticker: str, resolution: Resolution | None = None, market: str | None = None, fill_forward: bool = True
    ) -> Index:
        symbol = Symbol.index(ticker.upper(), market or "usa")
        return cast(Index, self._add(symbol, resolution, fill_forward, False, DataNormalizationMode.RAW))

    def add_index_option(
        self,
        underlying: str | Symbol,
        target_option: str | Resolution | None = None,
        resolution: Resolution | None = None,
        market: str | None = None,
        fill_forward: bool = True,
    ) -> Option:
        """`("SPX", "SPXW")`, `(spx_symbol, "SPXW")` or `("SPXW")`; returns the canonical option with its filter."""
        if isinstance(target_option, Resolution):
            target_option, resolution = None, target_option
        if isinstance(underlying, Symbol):
            index = underlying
        else:
            name = underlying.upper()
            if target_option is None and is_index_option_root(name):
                target_option = name
                name = index_of_option_root(name)
            index = Symbol.index(name, market or "usa")
        canonical = Symbol.canonical_option(index, target_option)
        return self._add_canonical(canonical, resolution, fill_forward)

    def add_option(
        self,
        underlying: str | Symbol,
        target_option: str | Resolution | None = None,
        resolution: Resolution | None = None,
        market: str | None = None,
        fill_forward: bool = True,
        leverage: float = 0.0,
        extended_market_hours: bool = False,
    ) -> Option:
        if isinstance(target_option, Resolution):
            target_option, resolution = None, target_option
        symbol = underlying
        if isinstance(symbol, str):
            symbol = self._embedded_engine.source.equity(symbol.upper(), market or "usa")
        return self._add_canonical(Symbol.canonical_option(symbol, target_option), resolution, fill_forward)

    def add_option_contract(
        self,
        symbol: Symbol,
        resolution: Resolution | None = None,
        fill_forward: bool = True,
        leverage: float = 0.0,
        extended_market_hours: bool = False,
    ) -> Option:
        if not symbol.security_type.is_option or symbol.is_canonical():
            raise SymbolError(
                f"add_option_contract({symbol}): expected one option contract. Use add_option for a chain."
            )
        assert symbol.underlying is not None
        if not self._embedded_engine.feed.is_subscribed(symbol.underlying):
            self._add(symbol.underlying, resolution, fill_forward, False, DataNormalizationMode.RAW)
        self._embedded_engine.added_by_hand.add(symbol)
        return cast(Option, self._add(symbol, resolution, fill_forward, False, DataNormalizationMode.RAW))

    def add_index_option_contract(
        self, symbol: Symbol, resolution: Resolution | None = None, fill_forward: bool = True
    ) -> Option:
        return self.add_option_contract(symbol, resolution, fill_forward)

    def add_security(self, symbol: Symbol, resolution: Resolution | None = None, fill_forward: bool = True) -> Security:
        if symbol.security_type.is_option:
            return self.add_option_contract(symbol, resolution, fill_forward)
        mode = DataNormalizationMode.RAW
        if symbol.security_type is SecurityType.EQUITY:
            mode = self._embedded_engine.universe_settings.data_normalization_mode
        return self._add(symbol, resolution, fill_forward, False, mode)

    def remove_security(self, symbol: Symbol) -> bool:
        """Cancel orders, liquidate, and end the subscription."""
        engine = self._embedded_engine
        security = engine.securities.find(symbol)
        if security is None:
            return False
        if symbol.is_canonical():
            engine.chains.pop(symbol, None)
            engine.canonicals.pop(symbol, None)
            return True
        if engine.is_locked:
            engine.transactions.cancel_open_orders(symbol)
            if security.holdings.invested:
                self.liquidate(symbol)  # type: ignore[attr-defined]
        engine.unsubscribe(security)
        engine.pending_removed.append(security)
        return True

    remove_option_contract = remove_security

    def _add(
        self,
        symbol: Symbol,
        resolution: Resolution | None,
        fill_forward: bool,
        extended: bool,
        mode: DataNormalizationMode,
    ) -> Security:
        engine = self._embedded_engine
        resolution = self._resolution(resolution)
        if extended:
            raise EngineUnsupported("extended_market_hours=True", "subscribe to regular hours")
        known = engine.securities.find(symbol)
        if known is not None and engine.feed.is_subscribed(symbol):
            return known
        subscription = engine.make_subscription(symbol, resolution, fill_forward, extended, mode)
        if known is not None:
            known.resume(subscription)
            engine.securities.add(known)
            security = known
        else:
            security = engine.create_security(symbol, subscription)
        engine.subscribe(security)
        return security

    def _add_canonical(self, canonical: Symbol, resolution: Resolution | None, fill_forward: bool) -> Option:
        engine = self._embedded_engine
        found = engine.canonicals.get(canonical)
        if found is not None:
            return found
        resolution = self._resolution(resolution)
        if resolution is not Resolution.MINUTE:
            raise EngineUnsupported(f"option chains of Resolution.{resolution.name}", "use Resolution.MINUTE")
        underlying = canonical.underlying
        assert underlying is not None
        if not engine.feed.is_subscribed(underlying):
            self._add(underlying, resolution, fill_forward, False, DataNormalizationMode.RAW)
        engine.securities[underlying].set_data_normalization_mode(DataNormalizationMode.RAW)
        subscription = engine.make_subscription(canonical, resolution, fill_forward, False, DataNormalizationMode.RAW)
        option = cast(Option, engine.create_security(canonical, subscription))
        engine.canonicals[canonical] = option
        engine.chains[canonical] = ChainUniverse(
            canonical, option.hours, minimum_time=engine.universe_settings.minimum_time_in_universe
        )
        return option

    def _resolution(self, resolution: Resolution | None) -> Resolution:
        chosen = self._embedded_engine.universe_settings.resolution if resolution is None else Resolution(resolution)
        if chosen not in _RESOLUTIONS:
            raise EngineUnsupported(f"Resolution.{chosen.name}", "use Resolution.MINUTE or Resolution.DAILY")
        return chosen

    def symbol(self, ticker: str) -> Symbol:
        """Return the symbol of a ticker in use, or of `str(symbol.id)`."""
        security = self._embedded_engine.securities.find(ticker)
        return security.symbol if security is not None else Symbol.parse(ticker)

    def is_market_open(self, symbol: Symbol) -> bool:
        security = self._embedded_engine.securities.find(symbol)
        if security is not None:
            return security.is_market_open(False)
        hours = self._embedded_engine.hours_of(symbol)
        return self._embedded_engine.clock_of(hours).is_open(self._embedded_engine.clock.utc)

    # History.

    @property
    def history(self) -> HistoryRequest:
        """`history(symbol, ...)` gives a DataFrame, `history[TradeBar](symbol, ...)` a list of bars."""
        return HistoryRequest(self._embedded_engine)

    def option_chain(self, symbol: Symbol, flatten: bool = False) -> UniverseChain:
        """Return yesterday's chain: the contracts of the newest universe file that still live, whatever the filter."""
        canonical = symbol if symbol.is_canonical() else Symbol.canonical_option(symbol)
        engine = self._embedded_engine
        table = History(engine.source, engine.clock.zone).option_chain(canonical, engine.clock.utc)
        engine.history_points += table is not None  # LEAN counts the whole file as one
        today = engine.clock_of(engine.hours_of(canonical)).local(engine.clock.utc).date()
        return UniverseChain(canonical, table, today)

    def get_last_known_prices(self, symbol: Symbol | Security) -> list[TradeBar | QuoteBar]:
        """Return the newest bar of each kind before now, for seeding; empty without any."""
        engine = self._embedded_engine
        security = symbol if isinstance(symbol, Security) else engine.securities[symbol]
        found = last_known(engine, security)
        engine.history_points += found.points
        return found.bars

    def get_last_known_price(self, symbol: Symbol | Security) -> TradeBar | QuoteBar | None:
        security = symbol if isinstance(symbol, Security) else self._embedded_engine.securities[symbol]
        return preferred(self.get_last_known_prices(security), security)


class HistoryRequest:
    """What `self.history` is: callable, and indexable by the type of bar."""

    def __init__(self, engine: EngineState, kind: type | None = None) -> None:
        self._embedded_engine = engine
        self._kind = kind

    def __getitem__(self, kind: type) -> HistoryRequest:
        if kind is not TradeBar:
            raise EngineUnsupported(f"history[{kind.__name__}]", "ask for history[TradeBar]")
        return HistoryRequest(self._embedded_engine, kind)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """`(symbols, periods | timedelta | start[, end][, resolution], fill_forward=...)`."""
        if arguments and isinstance(arguments[0], type):
            return self[arguments[0]](*arguments[1:], **keywords)
        symbols = keywords.pop("symbols", None) or keywords.pop("symbol", None)
        rest = list(arguments)
        if symbols is None:
            symbols = rest.pop(0)
        is_one = isinstance(symbols, Symbol | str | Security)
        many = [symbols] if is_one else list(symbols)
        found = [self._one(self._symbol(each), rest, dict(keywords)) for each in many]
        if self._kind is None:
            return _frame(found)
        if is_one:
            return self._bars(found[0])
        # Of several symbols LEAN gives one dictionary for each time at which any of them has a bar.
        slices: dict[datetime, dict[Symbol, TradeBar]] = {}
        for each in found:
            for end, bar in zip(each.end_time, self._bars(each), strict=True):
                slices.setdefault(end, {})[each.symbol] = bar
        return [_bars_of_one_time(slices[end]) for end in sorted(slices)]

    def _symbol(self, each: Symbol | str | Security) -> Symbol:
        if isinstance(each, Security):
            return each.symbol
        return each if isinstance(each, Symbol) else self._embedded_engine.securities[each].symbol

    def _one(self, symbol: Symbol, rest: Sequence[Any], keywords: dict[str, Any]) -> HistoryBars:
        found = self._read(symbol, rest, keywords)
        self._embedded_engine.history_points += len(found)
        return found

    def _read(self, symbol: Symbol, rest: Sequence[Any], keywords: dict[str, Any]) -> HistoryBars:
        engine = self._embedded_engine
        security = engine.securities.find(symbol)
        fill_forward = keywords.pop("fill_forward", None)
        keywords.pop("extended_market_hours", None)
        mode = keywords.pop("data_normalization_mode", None)
        values = list(rest)
        if values and isinstance(values[-1], Resolution):
            keywords["resolution"] = values.pop()
        elif len(values) > 1 and values[-1] is None:
            values.pop()
        resolution = keywords.pop("resolution", None)
        if resolution is None:
            resolution = Resolution.MINUTE if security is None else security.subscription.resolution
        values += [keywords.pop(name) for name in ("periods", "span", "start", "end") if name in keywords]
        if keywords:
            raise EngineUnsupported(f"history(..., {', '.join(sorted(keywords))}=...)")
        if fill_forward is None:
            fill_forward = True if security is None else security.subscription.fill_forward
        if mode is None:
            mode = DataNormalizationMode.RAW if security is None else security.subscription.normalization
        reader = History(engine.source, engine.clock.zone)
        now = engine.clock.utc
        if len(values) == 1 and isinstance(values[0], int):
            return reader.last(symbol, values[0], resolution, now, fill_forward=fill_forward, mode=mode)
        if len(values) == 1 and isinstance(values[0], timedelta):
            start = engine.clock.time - values[0]
            return reader.between(
                symbol, start, engine.clock.time, resolution, now, fill_forward=fill_forward, mode=mode
            )
        if values and all(isinstance(value, datetime) for value in values) and len(values) <= 2:
            end = values[1] if len(values) == 2 else engine.clock.time
            return reader.between(symbol, values[0], end, resolution, now, fill_forward=fill_forward, mode=mode)
        shown = ", ".join(type(value).__name__ for value in values)
        raise EngineUnsupported(f"history({symbol}, {shown})", "pass a number of bars, a timedelta, or start and end")

    def _bars(self, found: HistoryBars) -> list[TradeBar]:
        """Return bars with exchange times, as LEAN's typed history has them."""
        engine = self._embedded_engine
        exchange = engine.clock_of(engine.hours_of(found.symbol))
        zone = engine.clock.zone
        bars = []
        for start, end, row, repeated in zip(
            found.time, found.end_time, found.values.tolist(), found.repeated, strict=True
        ):
            local = exchange.local(zone.utc(start))
            period = end - start
            bars.append(TradeBar(local, found.symbol, row[0], row[1], row[2], row[3], row[4], period, repeated))
        return bars


def _bars_of_one_time(bars: dict[Symbol, TradeBar]) -> TradeBars:
    found = TradeBars()
    found._all = bars
    return found


def _frame(found: Iterable[HistoryBars]) -> pd.DataFrame:
    """Return LEAN's history frame: index (symbol, time of the bar's end), columns close high low open volume."""
    import pandas as pd

    frames = []
    for each in found:
        if not len(each):
            continue
        index = pd.MultiIndex.from_product([[each.symbol], each.end_time], names=["symbol", "time"])
        columns = {
            "close": each.values[:, 3],
            "high": each.values[:, 1],
            "low": each.values[:, 2],
            "open": each.values[:, 0],
            "volume": each.values[:, 4],
        }
        frames.append(pd.DataFrame(columns, index=index))
    if not frames:
        return pd.DataFrame()
    whole = pd.concat(frames)
    # LEAN leaves a column out that holds nothing but zeros: an index has no volume.
    return whole.loc[:, whole.fillna(0.0).ne(0.0).any()]


class UniverseContract:
    """One contract of `option_chain()`: yesterday's close is bid, ask and last."""

    __slots__ = ("_row",)

    def __init__(self, row: OptionUniverse) -> None:
        self._row = row

    @property
    def symbol(self) -> Symbol:
        return self._row.symbol

    @property
    def id(self) -> Any:
        return self._row.symbol.id

    @property
    def strike(self) -> float:
        return self._row.symbol.id.strike_price

    @property
    def expiry(self) -> datetime:
        return self._row.symbol.id.date

    @property
    def right(self) -> Any:
        return self._row.symbol.id.option_right

    @property
    def style(self) -> Any:
        return self._row.symbol.id.option_style

    @property
    def bid_price(self) -> float:
        return self._row.close

    @property
    def ask_price(self) -> float:
        return self._row.close

    @property
    def last_price(self) -> float:
        return self._row.close

    @property
    def volume(self) -> float:
        return self._row.volume

    @property
    def open_interest(self) -> float:
        return self._row.open_interest

    @property
    def implied_volatility(self) -> float:
        return self._row.implied_volatility

    @property
    def greeks(self) -> Any:
        return self._row.greeks


class UniverseChain:
    """What `option_chain()` returns; empty without a universe file."""

    def __init__(self, canonical: Symbol, table: UniverseTable | None, today: date) -> None:
        self.symbol = canonical
        self._table = table
        self._rows = [] if table is None else np.flatnonzero(table.expiry >= today.toordinal()).tolist()

    def _contracts(self) -> list[UniverseContract]:
        table = self._table
        return [] if table is None else [UniverseContract(OptionUniverse(table, row)) for row in self._rows]

    @property
    def contracts(self) -> dict[Symbol, UniverseContract]:
        return {contract.symbol: contract for contract in self._contracts()}

    @property
    def data_frame(self) -> pd.DataFrame:
        """Return one row per contract, indexed by symbol."""
        import pandas as pd

        table = self._table
        if table is None:
            return pd.DataFrame()
        contracts, rows = self._contracts(), self._rows
        return pd.DataFrame(
            {
                "expiry": [contract.expiry for contract in contracts],
                "strike": table.strike[rows],
                "scaledstrike": table.strike[rows],
                "right": [contract.right for contract in contracts],
                "style": [contract.style for contract in contracts],
                "lastprice": table.close[rows],
                "volume": table.volume[rows],
                "bidprice": table.close[rows],
                "askprice": table.close[rows],
                "openinterest": table.oi[rows],
                "impliedvolatility": table.iv[rows],
                "delta": table.delta[rows],
                "gamma": table.gamma[rows],
                "vega": table.vega[rows],
                "theta": table.theta[rows],
                "rho": table.rho[rows],
            },
            index=pd.Index([contract.symbol for contract in contracts], name="symbol"),
        )

    def __iter__(self) -> Any:
        return iter(self._contracts())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def count(self) -> int:
        return len(self)


__all__ = ["DataApi", "HistoryRequest", "UniverseChain", "filter_of"]
