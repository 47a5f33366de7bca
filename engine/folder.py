"""Market data from a LEAN data folder, the same bytes that LEAN reads.

A file that is not there is None, as in LEAN, which trades on without it; a file that is broken raises DataError.
Nothing is written, and nothing is read before it is asked for.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np

from engine import bars
from engine.archive import Archive
from engine.columns import (
    DailyColumns,
    DataError,
    OptionDay,
    QuoteColumns,
    SymbolProperties,
    TradeColumns,
    UniverseTable,
)
from engine.corporate import Dividend, FactorFile, MapFile, Split
from engine.databases import InterestRates, SymbolPropertiesDatabase
from engine.enums import SecurityType
from engine.hours import ExchangeHours, MarketHoursDatabase, minutes_to_new_york
from engine.option_day import FolderOptionDay
from engine.symbols import Symbol
from engine.universe_file import read_universe

_KEPT_DAYS: Final = 512  # minute files of equities and indices, 30 KB each
_KEPT_CHAINS: Final = 4
_KEPT_UNIVERSES: Final = 8

K = TypeVar("K")
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """The newest few results of a function; the oldest is dropped first."""

    def __init__(self, capacity: int, make: Callable[[K], V]) -> None:
        self._capacity = capacity
        self._make = make
        self._kept: dict[K, V] = {}

    def __call__(self, key: K) -> V:
        if key not in self._kept:
            found = self._make(key)
            while len(self._kept) >= self._capacity:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
        return self._kept[key]


class FolderSource:
    """DataSource over a LEAN data folder."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(
                f"data folder = {root}: found no folder there, expected a LEAN data folder. Name another one."
            )
        self._opened: dict[str, tuple[int, int]] = {}
        self._hours: MarketHoursDatabase | None = None
        self._properties: SymbolPropertiesDatabase | None = None
        self._rates: InterestRates | None = None
        self._trades = _Recent(_KEPT_DAYS, self._read_trades)
        self._quotes = _Recent(_KEPT_DAYS, self._read_quotes)
        self._chains = _Recent(_KEPT_CHAINS, self._read_chain)
        self._universes = _Recent(_KEPT_UNIVERSES, self._read_universe)
        self._daily = _Recent(64, self._read_daily)
        self._factors = _Recent(64, self._read_factors)
        self._maps = _Recent(256, self._read_map)
        self._owners = _Recent(256, self._find_owner)
        self._universe_days: dict[Symbol, tuple[date, ...]] = {}
        self._equities: dict[tuple[str, str], Symbol] = {}

    @property
    def revision(self) -> int:
        return 0

    # -- securities ---------------------------------------------------------------------------------------------------

    def equity(self, ticker: str, market: str = "usa") -> Symbol:
        """Return the equity traded today as `ticker`; without a map file it has no first date, as in LEAN."""
        key = (ticker.upper(), market)
        if key not in self._equities:
            found = self._owners(key)
            if found is None:
                self._equities[key] = Symbol.equity(key[0], market)
            else:
                self._equities[key] = Symbol.equity(
                    key[0], market, first_ticker=found.first_ticker, first_date=found.first_date
                )
        return self._equities[key]

    def hours(self, symbol: Symbol) -> ExchangeHours:
        if self._hours is None:
            self._hours = MarketHoursDatabase.read(self.root / "market-hours" / "market-hours-database.json")
            self._note("market-hours/market-hours-database.json", self._hours.text)
        return self._hours.hours(symbol)

    def properties(self, symbol: Symbol) -> SymbolProperties:
        if self._properties is None:
            name = "symbol-properties/symbol-properties-database.csv"
            text = self._text(name)
            if text is None:
                raise DataError(
                    f"{name}: found no file, expected LEAN's symbol properties. "
                    "Copy the folder symbol-properties of LEAN's own Data folder."
                )
            self._properties = SymbolPropertiesDatabase(text, name)
        return self._properties.properties(symbol)

    def interest_rate(self, day: date) -> float:
        if self._rates is None:
            name = "alternative/interest-rate/usa/interest-rate.csv"
            self._rates = InterestRates((self._text(name) or b"").decode(errors="replace"), name)
        return self._rates.rate(day)

    def factors(self, symbol: Symbol) -> FactorFile | None:
        return self._factors(symbol)

    def splits(self, symbol: Symbol) -> Sequence[Split]:
        found = self._factors(symbol)
        return found.splits(self.hours(symbol)) if found is not None else ()

    def dividends(self, symbol: Symbol) -> Sequence[Dividend]:
        found = self._factors(symbol)
        return found.dividends(self.hours(symbol)) if found is not None else ()

    # -- bars ---------------------------------------------------------------------------------------------------------

    def trades(self, symbol: Symbol, day: date) -> TradeColumns | None:
        if symbol.underlying is not None:
            chain = self._chains((symbol.canonical, day))
            return None if chain is None else chain.trade(symbol)
        return self._trades((symbol, day))

    def quotes(self, symbol: Symbol, day: date) -> QuoteColumns | None:
        if symbol.underlying is not None:
            chain = self._chains((symbol.canonical, day))
            return None if chain is None else chain.quote(symbol)
        return self._quotes((symbol, day))

    def option_day(self, canonical: Symbol, day: date) -> OptionDay | None:
        return self._chains((canonical, day))

    def daily(self, symbol: Symbol) -> DailyColumns | None:
        return self._daily(symbol)

    # -- universes ----------------------------------------------------------------------------------------------------

    def universe(self, canonical: Symbol, file_date: date) -> UniverseTable | None:
        return self._universes((canonical, file_date))

    def universe_dates(self, canonical: Symbol) -> Sequence[date]:
        found = self._universe_days.get(canonical)
        if found is None:
            try:
                names = os.listdir(self.root / self._universe_folder(canonical))
            except FileNotFoundError:
                names = []
            days = [name[:8] for name in names if len(name) == 12 and name.endswith(".csv") and name[:8].isdigit()]
            found = tuple(sorted(date(int(day[:4]), int(day[4:6]), int(day[6:])) for day in days))
            self._universe_days[canonical] = found
        return found

    def manifest(self) -> str:
        lines = (f"{name} {size} {checksum:08x}\n" for name, (size, checksum) in sorted(self._opened.items()))
        return sha256("".join(lines).encode()).hexdigest()

    # -- reading ------------------------------------------------------------------------------------------------------

    def _text(self, name: str) -> bytes | None:
        try:
            text = (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._note(name, text)
        return text

    def _note(self, name: str, text: bytes) -> None:
        self._opened[name] = (len(text), zlib.crc32(text))

    def _archive(self, name: str) -> Archive | None:
        try:
            found = Archive(self.root / name, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._opened[name] = (len(found.entries), found.fingerprint)
        return found

    def _only_text(self, name: str) -> bytes | None:
        """Return the first entry of an archive; LEAN does not look at its name either."""
        archive = self._archive(name)
        if archive is None:
            return None
        if not archive.entries:
            raise DataError(f"{name}: found an empty zip file, expected one csv file inside. Write the file again.")
        return archive.read(next(iter(archive.entries)))

    def _shift(self, symbol: Symbol, day: date) -> int:
        return minutes_to_new_york(self.hours(symbol).data_time_zone, day)

    def _minute_file(self, symbol: Symbol, day: date, kind: str) -> str:
        ticker = self._ticker_at(symbol, day).lower()
        return f"{symbol.security_type.folder}/{symbol.id.market}/minute/{ticker}/{day:%Y%m%d}_{kind}.zip"

    def _read_trades(self, key: tuple[Symbol, date]) -> TradeColumns | None:
        symbol, day = key
        name = self._minute_file(symbol, day, "trade")
        text = self._only_text(name)
        if text is None:
            return None
        scaled = symbol.security_type is SecurityType.EQUITY
        return bars.trade_columns([text], [name], self._shift(symbol, day), scaled=scaled)[0]

    def _read_quotes(self, key: tuple[Symbol, date]) -> QuoteColumns | None:
        symbol, day = key
        if symbol.security_type is not SecurityType.EQUITY:
            return None  # LEAN has no quotes of an index
        name = self._minute_file(symbol, day, "quote")
        text = self._only_text(name)
        return None if text is None else bars.quote_columns([text], [name], self._shift(symbol, day))[0]

    def _read_chain(self, key: tuple[Symbol, date]) -> FolderOptionDay | None:
        canonical, day = key
        ticker = self._option_ticker(canonical, day)
        folder = f"{canonical.security_type.folder}/{canonical.id.market}/minute/{ticker}"
        style = canonical.id.option_style.name.lower()
        found = {kind: self._archive(f"{folder}/{day:%Y%m%d}_{kind}_{style}.zip") for kind in ("quote", "trade")}
        if found["quote"] is None and found["trade"] is None:
            return None
        return FolderOptionDay(
            canonical,
            day,
            ticker=ticker,
            quotes=found["quote"],
            trades=found["trade"],
            interest=lambda: self._archive(f"{folder}/{day:%Y%m%d}_openinterest_{style}.zip"),
            shift=self._shift(canonical, day),
        )

    def _read_universe(self, key: tuple[Symbol, date]) -> UniverseTable | None:
        canonical, day = key
        name = f"{self._universe_folder(canonical)}/{day:%Y%m%d}.csv"
        text = self._text(name)
        return None if text is None else read_universe(canonical, day, text, name)

    def _read_daily(self, symbol: Symbol) -> DailyColumns | None:
        """Return the daily bars of all tickers the security has had, each from the file of its own ticker."""
        folder = f"{symbol.security_type.folder}/{symbol.id.market}/daily"
        scaled = symbol.security_type is SecurityType.EQUITY
        tickers = self._ticker_spans(symbol)
        parts: list[DailyColumns] = []
        for ticker in dict.fromkeys(ticker for ticker, _, _ in tickers):
            name = f"{folder}/{ticker.lower()}.zip"
            text = self._only_text(name)
            if text is not None:
                whole = bars.daily_columns(text, name, scaled=scaled)
                for owner, low, high in tickers:
                    if owner == ticker:
                        first, last = np.searchsorted(whole.day, (low, high + 1))
                        parts.append(DailyColumns(whole.day[first:last], whole.values[first:last]))
        if not parts:
            return None
        parts = sorted((part for part in parts if len(part)), key=lambda part: int(part.day[0])) or parts[:1]
        return DailyColumns(
            np.concatenate([part.day for part in parts]), np.concatenate([part.values for part in parts])
        )

    def _read_factors(self, symbol: Symbol) -> FactorFile | None:
        if symbol.security_type is not SecurityType.EQUITY:
            return None
        name = f"equity/{symbol.id.market}/factor_files/{symbol.value.lower()}.csv"
        text = self._text(name)
        return None if text is None else FactorFile.parse(text.decode(errors="replace"), name)

    # -- tickers ------------------------------------------------------------------------------------------------------

    def _find_owner(self, key: tuple[str, str]) -> MapFile | None:
        """Return the map file of the security that trades as a ticker now: the newest row with that ticker wins."""
        ticker, market = key
        own = self._maps((ticker.lower(), market))
        if own is not None and own.rows and own.rows[-1][1] == ticker:
            return own
        try:
            names = sorted(os.listdir(self.root / f"equity/{market}/map_files"))
        except FileNotFoundError:
            return None
        best: tuple[date, MapFile] | None = None
        for name in names:
            other = self._maps((name.removesuffix(".csv"), market)) if name.endswith(".csv") else None
            for day, owner in () if other is None else other.rows:
                if owner == ticker and other is not None and (best is None or day > best[0]):
                    best = (day, other)
        return best[1] if best is not None else own

    def _read_map(self, key: tuple[str, str]) -> MapFile | None:
        permanent, market = key
        name = f"equity/{market}/map_files/{permanent}.csv"
        text = self._text(name)
        if text is None:
            return None
        found = MapFile.parse(text.decode(errors="replace"), name)
        return found if found.rows else None

    def _map_of(self, symbol: Symbol) -> MapFile | None:
        return self._owners((symbol.value, symbol.id.market)) if symbol.security_type is SecurityType.EQUITY else None

    def _ticker_at(self, symbol: Symbol, day: date) -> str:
        found = self._map_of(symbol)
        return symbol.value if found is None else found.ticker_at(day, symbol.value)

    def _ticker_spans(self, symbol: Symbol) -> list[tuple[str, int, int]]:
        found = self._map_of(symbol)
        if found is None:
            return [(symbol.value, 0, date.max.toordinal() - 1)]
        spans: list[tuple[str, int, int]] = []
        low = 0
        for last, ticker in found.rows:
            spans.append((ticker, low, last.toordinal()))
            low = last.toordinal() + 1
        return spans

    def _option_ticker(self, canonical: Symbol, day: date) -> str:
        """Return the folder of a chain: the option root of an index, the ticker of that day of an equity."""
        if canonical.security_type is SecurityType.OPTION and canonical.underlying is not None:
            return self._ticker_at(canonical.underlying, day).lower()
        return canonical.id.symbol.lower()

    def _universe_folder(self, canonical: Symbol) -> str:
        ticker = canonical.id.symbol
        if canonical.security_type is SecurityType.OPTION and canonical.underlying is not None:
            ticker = canonical.underlying.value
        return f"{canonical.security_type.folder}/{canonical.id.market}/universes/{ticker.lower()}"
