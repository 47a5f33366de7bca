"""Bars and chains of the past, with the times LEAN gives them.

A request covers the bars that end in (start, end]; nothing ends after now.  Daily bars begin and end with the regular
session.  Asking for n bars asks for n sessions (or open minutes) back, so missing rows make fewer bars, unless they are
filled forward: then a gap repeats the bar before it with no volume, and what precedes the first bar stays empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from engine.clock import Zone
from engine.columns import DataSource, Floats, UniverseTable
from engine.enums import DataNormalizationMode, Resolution, SecurityType
from engine.errors import EngineUnsupported
from engine.hours import ExchangeHours, Session, minutes_to_new_york
from engine.symbols import Symbol

_ONE_DAY: Final = timedelta(days=1)
_CHAIN_SESSIONS: Final = 3  # option_chain() looks this far back for a file (QCAlgorithm.GetChainsData)
_VOLUME: Final = 4
_FIRST_YEAR: Final = 1970  # no data is older; a request for a million sessions ends here


@dataclass(frozen=True, slots=True)
class HistoryBars:
    """Trade bars of one symbol, ascending; times naive in the algorithm's zone; values (n, 5) o, h, l, c, volume."""

    symbol: Symbol
    time: list[datetime]
    end_time: list[datetime]
    values: Floats
    repeated: list[bool]
    """Which bars are not real but the one before, filled forward."""

    def __len__(self) -> int:
        return len(self.end_time)


class History:
    """Answers an algorithm's history requests from a data source."""

    def __init__(self, source: DataSource, zone: Zone) -> None:
        """zone is the algorithm's; `now` below is naive UTC, start and end are naive in that zone."""
        self._source = source
        self._zone = zone
        self._zones: dict[str, Zone] = {}

    def last(
        self,
        symbol: Symbol,
        periods: int,
        resolution: Resolution,
        now: datetime,
        *,
        fill_forward: bool = True,
        mode: DataNormalizationMode = DataNormalizationMode.RAW,
    ) -> HistoryBars:
        """Return the bars of the last `periods` sessions or open minutes up to now."""
        exchange = self._exchange(symbol)
        local_now = exchange.local(now)
        start = periods_back(self._source.hours(symbol), local_now, resolution, periods)
        return self._bars(symbol, resolution, start, local_now, fill_forward, mode)

    def between(
        self,
        symbol: Symbol,
        start: datetime,
        end: datetime,
        resolution: Resolution,
        now: datetime,
        *,
        fill_forward: bool = True,
        mode: DataNormalizationMode = DataNormalizationMode.RAW,
    ) -> HistoryBars:
        """Return the bars that end after `start` and by `end`, or by now if that comes first."""
        exchange = self._exchange(symbol)
        last = min(self._zone.utc(end), now)
        return self._bars(
            symbol, resolution, exchange.local(self._zone.utc(start)), exchange.local(last), fill_forward, mode
        )

    def option_chain(self, canonical: Symbol, now: datetime) -> UniverseTable | None:
        """Return the newest universe file of the three sessions before the exchange's date: yesterday's close."""
        hours = self._source.hours(canonical)
        day: date = self._exchange(canonical).local(now)
        for _ in range(_CHAIN_SESSIONS):
            day = hours.get_previous_trading_day(day)
            found = self._source.universe(canonical, day.date())
            if found is not None:
                return found
        return None

    # -- reading ------------------------------------------------------------------------------------------------------

    def _bars(
        self,
        symbol: Symbol,
        resolution: Resolution,
        start: datetime,
        end: datetime,
        fill_forward: bool,
        mode: DataNormalizationMode,
    ) -> HistoryBars:
        if symbol.underlying is not None:
            raise EngineUnsupported(f"history({symbol})", "ask for the underlying")
        sessions = self._source.hours(symbol).sessions(start.date(), end.date())
        found = _Rows()
        if resolution is Resolution.DAILY:
            self._daily(symbol, sessions, found, fill_forward)
        elif resolution is Resolution.MINUTE:
            self._minutes(symbol, sessions, found, fill_forward)
        else:
            raise EngineUnsupported(f"history(..., Resolution.{resolution.name})", "ask for MINUTE or DAILY")
        hours = self._source.hours(symbol)
        shifts = {
            session.date: timedelta(minutes=minutes_to_new_york(hours.time_zone, session.date)) for session in sessions
        }
        factors = self._source.factors(symbol) if symbol.security_type is SecurityType.EQUITY else None
        exchange = self._exchange(symbol)
        time: list[datetime] = []
        end_time: list[datetime] = []
        values: list[list[float]] = []
        repeated: list[bool] = []
        for day, first, last, row, is_repeated in found.rows:
            midnight = datetime(day.year, day.month, day.day) - shifts[day]
            ends = midnight + timedelta(minutes=last)
            if not start < ends <= end:
                continue
            repeated.append(is_repeated)
            time.append(self._zone.local(exchange.utc(midnight + timedelta(minutes=first))))
            end_time.append(self._zone.local(exchange.utc(ends)))
            factor = 1.0 if factors is None else factors.price_factor(day, mode)
            values.append(row if factor == 1.0 else [*(price * factor for price in row[:_VOLUME]), row[_VOLUME]])
        table = np.array(values, dtype=np.float64).reshape(len(values), 5)
        return HistoryBars(symbol, time, end_time, table, repeated)

    def _daily(self, symbol: Symbol, sessions: list[Session], found: _Rows, fill_forward: bool) -> None:
        columns = self._source.daily(symbol)
        if columns is None:
            return
        for session in sessions:
            row = columns.row_of(session.date)
            if row >= 0:
                found.add(session.date, session.open_minute, session.close_minute, columns.values[row].tolist())
            elif fill_forward:
                found.repeat(session.date, session.open_minute, session.close_minute)

    def _minutes(self, symbol: Symbol, sessions: list[Session], found: _Rows, fill_forward: bool) -> None:
        for session in sessions:
            day = self._source.trades(symbol, session.date)
            columns = None if day is None else day.between(session.open_minute + 1, session.close_minute)
            if fill_forward:
                minutes = list(range(session.open_minute + 1, session.close_minute + 1))
            else:
                minutes = [] if columns is None else columns.end_minute.tolist()
            for minute in minutes:
                row = -1 if columns is None else columns.row_at(minute)
                if columns is not None and row >= 0:
                    found.add(session.date, minute - 1, minute, columns.values[row].tolist())
                else:
                    found.repeat(session.date, minute - 1, minute)

    def _exchange(self, symbol: Symbol) -> Zone:
        key = self._source.hours(symbol).time_zone.key
        return self._zones.setdefault(key, Zone(key))


class _Rows:
    """Bars in the making: date, New York minutes of begin and end, values, whether it repeats the bar before."""

    def __init__(self) -> None:
        self.rows: list[tuple[date, int, int, list[float], bool]] = []

    def add(self, day: date, first: int, last: int, values: list[float]) -> None:
        self.rows.append((day, first, last, values, False))

    def repeat(self, day: date, first: int, last: int) -> None:
        if self.rows:
            self.rows.append((day, first, last, [*self.rows[-1][3][:_VOLUME], 0.0], True))


def periods_back(hours: ExchangeHours, now: datetime, resolution: Resolution, periods: int) -> datetime:
    """Return the exchange time from which `periods` sessions or open minutes lead to now.

    LEAN's Time.GetStartTimeForTradeBars: a session that is still open does not count.
    """
    if resolution is Resolution.DAILY:
        start = now
        today = datetime(now.year, now.month, now.day)
        if not hours.is_date_open(now) or hours.get_next_market_close(today) > now:
            start = today
        return _steps_back(hours, start, _ONE_DAY, periods)
    start = now.replace(second=0, microsecond=0)
    left = periods
    while left > 0 and start.year > _FIRST_YEAR:
        # Whole sessions at once; a step per minute would take a thousand calls a day.
        opened = [
            (datetime(start.year, start.month, start.day) + timedelta(seconds=segment.start_s), segment)
            for segment in hours.segments(start)
            if segment.is_market
        ]
        for begins, segment in reversed(opened):
            ends = min(begins + timedelta(seconds=segment.end_s - segment.start_s), start)
            minutes = int((ends - begins).total_seconds()) // 60
            if minutes >= left:
                return ends - timedelta(minutes=left)
            left -= max(minutes, 0)
        start = datetime(start.year, start.month, start.day) - timedelta(microseconds=1)
    return start


def _steps_back(hours: ExchangeHours, start: datetime, step: timedelta, periods: int) -> datetime:
    left = periods
    while left > 0 and start.year > _FIRST_YEAR:
        before = start - step
        # A span of one day touches two dates; either may hold the session.
        midnight = datetime(start.year, start.month, start.day)
        open_before = before < midnight and hours.is_open_during(before, midnight - timedelta(microseconds=1))
        open_after = midnight < start and hours.is_open_during(midnight, start)
        if open_before or open_after:
            left -= 1
        start = before
    return start
