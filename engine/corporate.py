"""Ticker changes, splits and dividends of an equity: LEAN's map and factor files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from engine.columns import DataError
from engine.enums import DataNormalizationMode
from engine.hours import ExchangeHours

_SPLIT_MODES: Final = frozenset({DataNormalizationMode.SPLIT_ADJUSTED, DataNormalizationMode.TOTAL_RETURN})


@dataclass(frozen=True, slots=True)
class Split:
    """A split that takes effect at the open of `day`; split_factor 0.5 = two shares for one."""

    day: date
    reference_price: float
    split_factor: float


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash dividend whose ex-date is `day`, USD per share."""

    day: date
    reference_price: float
    distribution: float


@dataclass(frozen=True, slots=True)
class FactorRow:
    """Factors for dates up to and including `day`."""

    day: date
    price_factor: Decimal
    split_factor: Decimal
    reference_price: Decimal


class FactorFile:
    """What to multiply raw prices with, by date."""

    def __init__(self, rows: Sequence[FactorRow]) -> None:
        self.rows = tuple(sorted(rows, key=lambda row: row.day))
        self._days = [row.day for row in self.rows]

    @staticmethod
    def parse(text: str, name: str) -> FactorFile:
        """Return the factors of a file's text; rows with infinite or zero factors are left out, as LEAN does."""
        rows: list[FactorRow] = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or "inf" in line or "e+" in line:
                continue
            cells = line.split(",")
            try:
                day = datetime.strptime(cells[0], "%Y%m%d").date()
                price, split = Decimal(cells[1]), Decimal(cells[2])
                reference = Decimal(cells[3]) if len(cells) > 3 else Decimal(0)
            except (IndexError, ValueError, InvalidOperation):
                raise DataError(
                    f"{name} line {number}: found {line!r}, expected yyyymmdd,price factor,split factor,price. "
                    "Correct or delete the line."
                ) from None
            if price * split > 0:
                rows.append(FactorRow(day, price, split, reference))
        return FactorFile(rows)

    def price_factor(self, day: date, mode: DataNormalizationMode) -> float:
        """Return what a raw price of `day` is multiplied with; 1.0 for RAW and after the last row."""
        if mode is DataNormalizationMode.RAW:
            return 1.0
        row = bisect_left(self._days, day)
        if row == len(self.rows):
            return 1.0
        found = self.rows[row]
        return float(found.split_factor if mode in _SPLIT_MODES else found.price_factor * found.split_factor)

    def splits(self, hours: ExchangeHours) -> list[Split]:
        """Return all splits, ascending; each takes effect on the session after its row."""
        return [
            Split(
                _next_session(row.day, hours), float(row.reference_price), float(row.split_factor / after.split_factor)
            )
            for row, after in zip(self.rows, self.rows[1:], strict=False)
            if row.split_factor != after.split_factor
        ]

    def dividends(self, hours: ExchangeHours) -> list[Dividend]:
        """Return all dividends, ascending, rounded to cents as LEAN rounds them."""
        found: list[Dividend] = []
        for row, after in zip(self.rows, self.rows[1:], strict=False):
            if row.price_factor == after.price_factor:
                continue
            ratio = row.price_factor / after.price_factor
            exact = row.reference_price - row.reference_price * ratio
            amount = exact.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            if amount:
                found.append(Dividend(_next_session(row.day, hours), float(row.reference_price), float(amount)))
        return found


def _next_session(day: date, hours: ExchangeHours) -> date:
    return hours.get_next_trading_day(day).date()


@dataclass(frozen=True, slots=True)
class MapFile:
    """Tickers an equity has had; each row holds the last day of a ticker."""

    rows: tuple[tuple[date, str], ...]

    @staticmethod
    def parse(text: str, name: str) -> MapFile:
        rows: list[tuple[date, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            cells = line.split(",")
            try:
                rows.append((datetime.strptime(cells[0], "%Y%m%d").date(), cells[1].strip().upper()))
            except (IndexError, ValueError):
                raise DataError(
                    f"{name} line {number}: found {line!r}, expected yyyymmdd,ticker. Correct or delete the line."
                ) from None
        return MapFile(tuple(sorted(rows)))

    @property
    def first_date(self) -> date:
        return self.rows[0][0]

    @property
    def first_ticker(self) -> str:
        """Return the ticker of the first day; LEAN drops the '.1' that tells re-used tickers apart."""
        ticker = self.rows[0][1]
        stem, dot, number = ticker.rpartition(".")
        return stem if dot and stem and number.isdigit() else ticker

    def ticker_at(self, day: date, default: str) -> str:
        """Return the ticker on `day`; default after the last row."""
        for last, ticker in self.rows:
            if last >= day:
                return ticker
        return default
