"""The small tables of a LEAN folder: symbol properties and the risk-free rate."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from typing import Final

from engine.columns import DataError, SymbolProperties
from engine.hours import database_key
from engine.symbols import Symbol

_NO_FILE_RATE: Final = 0.01  # what LEAN takes when there is no interest-rate file (InterestRateProvider.cs)


class SymbolPropertiesDatabase:
    """Rows of symbol-properties-database.csv, found by text search: a run needs five of eleven thousand."""

    def __init__(self, text: bytes, name: str) -> None:
        self._text = b"\n" + text.replace(b"\r\n", b"\n")
        self._name = name
        self._found: dict[tuple[str, str, str], SymbolProperties | None] = {}

    def properties(self, symbol: Symbol) -> SymbolProperties:
        """Return a symbol's own row, else its market's `[*]` row, else LEAN's default of one cent and multiplier 1."""
        kind = symbol.security_type.folder
        market = symbol.id.market
        own = self._row(market, database_key(symbol), kind)
        return own or self._row(market, "[*]", kind) or SymbolProperties("", "USD", 1.0, 0.01, 1.0, None, 1.0)

    def _row(self, market: str, ticker: str, kind: str) -> SymbolProperties | None:
        key = (market, ticker, kind)
        if key not in self._found:
            self._found[key] = self._read(f"{market},{ticker},{kind},".encode())
        return self._found[key]

    def _read(self, head: bytes) -> SymbolProperties | None:
        start = self._text.find(b"\n" + head)
        if start < 0:
            return None
        end = self._text.find(b"\n", start + 1)
        line = self._text[start + 1 : end if end >= 0 else None].decode(errors="replace")
        cells = [*line.split(","), *[""] * 12]
        try:
            return SymbolProperties(
                description=cells[3],
                quote_currency=cells[4],
                contract_multiplier=float(cells[5]),
                minimum_price_variation=float(cells[6]),
                lot_size=float(cells[7]),
                minimum_order_size=float(cells[9]) if cells[9] else None,
                strike_multiplier=float(cells[11]) if cells[11] else 1.0,
            )
        except ValueError:
            raise DataError(
                f"{self._name}: found {line!r}, expected market,symbol,type,description,currency and five numbers. "
                "Restore LEAN's own file."
            ) from None


class InterestRates:
    """The FED primary credit rate by date; the first rate before its first date, the last one after its last."""

    def __init__(self, text: str, name: str) -> None:
        self._days: list[date] = []
        self._rates: list[float] = []
        for number, line in enumerate(text.splitlines()[1:], 2):
            if not line.strip():
                continue
            day, _, rate = line.partition(",")
            try:
                self._days.append(date.fromisoformat(day.strip()))
                self._rates.append(float(rate) / 100.0)
            except ValueError:
                raise DataError(
                    f"{name} line {number}: found {line!r}, expected yyyy-mm-dd,percent. Correct or delete the line."
                ) from None
        if self._days != sorted(self._days):
            raise DataError(f"{name}: found dates out of order, expected ascending dates. Sort the rows.")

    def rate(self, day: date) -> float:
        if not self._rates:
            return _NO_FILE_RATE
        return self._rates[max(bisect_right(self._days, day) - 1, 0)]
