"""One day of an option chain out of LEAN's archives: contracts by name, parsed when touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from engine import bars
from engine.archive import Archive
from engine.columns import DataError, OpenInterestColumns, QuoteCloses, QuoteColumns, RowSpan, TradeColumns
from engine.enums import OptionRight, OptionStyle
from engine.symbols import Symbol, option_on

_BATCH: Final = (
    64  # contracts parsed together: enough to spread the cost of a call, few enough for the processor's cache
)
_STYLES: Final = {style: style.name.lower() for style in OptionStyle}
_RIGHTS: Final = {right: right.name.lower() for right in OptionRight}


@lru_cache(maxsize=1024)
def _yyyymmdd(day: datetime) -> str:
    return f"{day:%Y%m%d}"


class FolderOptionDay:
    """OptionDay over the archives of one day; texts and columns are kept once they were needed."""

    def __init__(
        self,
        canonical: Symbol,
        day: date,
        *,
        ticker: str,
        quotes: Archive | None,
        trades: Archive | None,
        interest: Callable[[], Archive | None],
        shift: int,
    ) -> None:
        self.canonical = canonical
        self.date = day
        self._archives: dict[str, Archive | None] = {"quote": quotes, "trade": trades}
        self._open_interest = interest
        self._shift = shift
        self._names: dict[Symbol, str] = {}
        self._head = f"{day:%Y%m%d}_{ticker}_minute_"
        self._texts: dict[Symbol, bytes | None] = {}
        self._quotes: dict[Symbol, QuoteColumns | None] = {}
        self._trades: dict[Symbol, TradeColumns | None] = {}
        self._interest: dict[Symbol, OpenInterestColumns | None] = {}
        self._symbols: tuple[Symbol, ...] | None = None
        self._has_more: bool | None = None

    @property
    def symbols(self) -> Sequence[Symbol]:
        if self._symbols is None:
            found: dict[Symbol, None] = {}
            for kind in ("quote", "trade"):
                archive = self._archives[kind]
                if archive is not None:
                    found.update((self._contract(name, archive), None) for name in archive.entries)
            self._symbols = tuple(found)
        return self._symbols

    def __contains__(self, symbol: Symbol) -> bool:
        return self._has(symbol, "quote") or self._has(symbol, "trade")

    def quote(self, symbol: Symbol) -> QuoteColumns | None:
        if symbol not in self._quotes:
            self._parse_quotes([symbol])
        return self._quotes[symbol]

    def quotes_many(self, symbols: Iterable[Symbol]) -> dict[Symbol, QuoteColumns]:
        wanted = list(symbols)
        missing = [symbol for symbol in dict.fromkeys(wanted) if symbol not in self._quotes]
        if missing:
            self._parse_quotes(missing)
        return {symbol: found for symbol in wanted if (found := self._quotes[symbol]) is not None}

    def closes_many(self, symbols: Iterable[Symbol]) -> dict[Symbol, QuoteCloses]:
        parsed = {symbol: self._quotes.get(symbol) for symbol in symbols}
        found = {symbol: columns.closes() for symbol, columns in parsed.items() if columns is not None}
        for texts in self._batches([symbol for symbol in parsed if symbol not in self._quotes]):
            names = [self._place(symbol, "quote") for symbol in texts]
            closes = bars.quote_closes(list(texts.values()), names, self._shift)
            found.update(zip(texts, closes, strict=True))
        return found

    def trade(self, symbol: Symbol) -> TradeColumns | None:
        if symbol not in self._trades:
            text, name = self._read(symbol, "trade")
            found = None if text is None else bars.trade_columns([text], [name], self._shift, scaled=True)[0]
            self._trades[symbol] = found
        return self._trades[symbol]

    def open_interest(self, symbol: Symbol) -> OpenInterestColumns | None:
        if symbol not in self._interest:
            self._interest_archive()
            text, name = self._read(symbol, "openinterest")
            self._interest[symbol] = None if text is None else bars.open_interest_columns(text, name, self._shift)
        return self._interest[symbol]

    @property
    def has_more(self) -> bool:
        if self._has_more is None:
            self._has_more = self._archives["trade"] is not None or self._interest_archive() is not None
        return self._has_more

    def row_span(self, symbol: Symbol) -> RowSpan | None:
        """Return the span that the archive notes of the entry; else it is unpacked, and its lines are counted."""
        if symbol in self._quotes:
            columns = self._quotes[symbol]
            return None if columns is None else columns.span
        archive = self._archives["quote"]
        noted = None if archive is None else archive.row_note(self._entry_name(symbol, "quote"))
        if noted is not None:
            return bars.noted_span(*noted, self._shift)
        text = self._quote_text(symbol)
        return None if text is None else bars.row_span(text, self._place(symbol, "quote"), self._shift)

    # -- entries ------------------------------------------------------------------------------------------------------

    def _interest_archive(self) -> Archive | None:
        if "openinterest" not in self._archives:
            self._archives["openinterest"] = self._open_interest()
        return self._archives["openinterest"]

    def _parse_quotes(self, symbols: Sequence[Symbol]) -> None:
        for texts in self._batches(symbols):
            names = [self._place(symbol, "quote") for symbol in texts]
            found = bars.quote_columns(list(texts.values()), names, self._shift)
            self._quotes.update(zip(texts, found, strict=True))

    def _batches(self, symbols: Sequence[Symbol]) -> Iterator[dict[Symbol, bytes]]:
        """Yield the texts of contracts, so many at once as are parsed together; notes those that have none."""
        for start in range(0, len(symbols), _BATCH):
            texts: dict[Symbol, bytes] = {}
            for symbol in symbols[start : start + _BATCH]:
                text = self._quote_text(symbol)
                del self._texts[symbol]
                if text is None:
                    self._quotes[symbol] = None
                else:
                    texts[symbol] = text
            yield texts

    def _quote_text(self, symbol: Symbol) -> bytes | None:
        if symbol not in self._texts:
            self._texts[symbol] = self._read(symbol, "quote")[0]
        return self._texts[symbol]

    def _read(self, symbol: Symbol, kind: str) -> tuple[bytes | None, str]:
        archive = self._archives[kind]
        name = self._entry_name(symbol, kind)
        if archive is None or name not in archive.entries:
            return None, name
        return archive.read(name), self._place(symbol, kind)

    def _has(self, symbol: Symbol, kind: str) -> bool:
        archive = self._archives[kind]
        return archive is not None and self._entry_name(symbol, kind) in archive.entries

    def _place(self, symbol: Symbol, kind: str) -> str:
        archive = self._archives[kind]
        assert archive is not None
        return f"{archive.name}#{self._entry_name(symbol, kind)}"

    def _entry_name(self, symbol: Symbol, kind: str) -> str:
        tail = self._names.get(symbol)
        if tail is None:
            sid = symbol.id
            strike = round(sid.strike_price * bars.PRICE_SCALE)
            kinds = f"{_STYLES[sid.option_style]}_{_RIGHTS[sid.option_right]}"
            tail = self._names[symbol] = f"_{kinds}_{strike}_{_yyyymmdd(sid.date)}.csv"
        return f"{self._head}{kind}{tail}"

    def _contract(self, name: str, archive: Archive) -> Symbol:
        parts = name.removesuffix(".csv").split("_")
        style = self.canonical.id.option_style.name.lower()
        try:
            if parts[4] != style:
                raise ValueError(parts[4])
            right = OptionRight[parts[5].upper()]
            strike, day = int(parts[6]) / bars.PRICE_SCALE, parts[7]
            expiry = date(int(day[:4]), int(day[4:6]), int(day[6:8])).toordinal()
        except (IndexError, KeyError, ValueError):
            raise DataError(
                f"{archive.name}: found the entry {name!r}, expected names like "
                f"{self._head}quote_{style}_call_<strike x 10000>_<yyyymmdd>.csv. Rename or remove it."
            ) from None
        return option_on(self.canonical, right, strike, expiry)
