"""Exchange hours from LEAN's market-hours database.

Only the few entries that a run needs are read out of the 3 MB file.  An entry takes what it lacks from its underlying
and from its market's `[*]` entry as LEAN merges them (Common/Util/MarketHoursDatabaseJsonConverter.cs): SPXW has no
early closes of its own and still shuts at 13:00 New York on half days.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.columns import DataError
from engine.enums import SecurityType
from engine.symbols import Symbol, index_of_option_root

NEW_YORK: Final = ZoneInfo("America/New_York")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_S: Final = 86_400
_ONE_DAY: Final = timedelta(days=1)
_SEARCH_DAYS: Final = 15  # LEAN gives up after two weeks without a session


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of an exchange day; seconds since local midnight; state is market, premarket or postmarket."""

    start_s: int
    end_s: int
    is_market: bool


@dataclass(frozen=True, slots=True)
class Session:
    """The regular session of one date in New York minutes of day: bars end from open_minute + 1 to close_minute."""

    date: date
    open_minute: int
    close_minute: int


class DotNetDict(dict[date, timedelta]):
    """A dictionary with the two members algorithms use on LEAN's early_closes and late_opens."""

    @property
    def count(self) -> int:
        return len(self)

    def contains_key(self, key: date) -> bool:
        return key in self


class DotNetSet(frozenset[date]):
    """A set with the two members algorithms use on LEAN's holidays."""

    @property
    def count(self) -> int:
        return len(self)

    def contains(self, item: date) -> bool:
        return item in self


class ExchangeHours:
    """Hours of one exchange.  Datetimes are naive and in the exchange's time zone, as in LEAN."""

    def __init__(
        self,
        time_zone: ZoneInfo,
        data_time_zone: ZoneInfo,
        week: tuple[tuple[Segment, ...], ...],
        holidays: Iterable[date] = (),
        early_closes: Mapping[date, timedelta] | None = None,
        late_opens: Mapping[date, timedelta] | None = None,
    ) -> None:
        self.time_zone = time_zone
        self.data_time_zone = data_time_zone
        self._week = week  # Monday first
        self.holidays = DotNetSet(_midnight(day) for day in holidays)
        self.early_closes = DotNetDict({_midnight(day): at for day, at in (early_closes or {}).items()})
        self.late_opens = DotNetDict({_midnight(day): at for day, at in (late_opens or {}).items()})
        self._segments: dict[date, tuple[Segment, ...]] = {}
        self._sessions: dict[date, Session | None] = {}

    # -- what the engine asks -----------------------------------------------------------------------------------------

    def session(self, day: date) -> Session | None:
        """Return the regular session of `day` in New York minutes, None when the market is shut all day."""
        found = self._sessions.get(day)
        if found is None and day not in self._sessions:
            market = [segment for segment in self.segments(day) if segment.is_market]
            if market:
                shift = minutes_to_new_york(self.time_zone, day)
                found = Session(_plain(day), market[0].start_s // 60 + shift, market[-1].end_s // 60 + shift)
            self._sessions[day] = found
        return found

    def sessions(self, start: date, end: date) -> list[Session]:
        """Return the sessions of all open dates from start to end, both included."""
        days = (date.fromordinal(n) for n in range(start.toordinal(), end.toordinal() + 1))
        return [found for day in days if (found := self.session(day)) is not None]

    def segments(self, day: date) -> tuple[Segment, ...]:
        """Return the segments of one date after holidays, early closes and late opens; empty when shut all day."""
        day = _plain(day)
        found = self._segments.get(day)
        if found is None:
            found = self._segments[day] = self._segments_of(_midnight(day))
        return found

    # -- LEAN's members -----------------------------------------------------------------------------------------------

    @property
    def is_market_always_open(self) -> bool:
        return all(day == (Segment(0, _DAY_S, True),) for day in self._week)

    @property
    def regular_market_duration(self) -> timedelta:
        """Return the most common length of the weekdays' regular hours, the longer one on a tie."""
        lengths = [sum(s.end_s - s.start_s for s in day if s.is_market) for day in self._week]
        return timedelta(seconds=max(lengths, key=lambda length: (lengths.count(length), length)))

    def is_open(self, local_time: datetime, extended_market_hours: bool = False) -> bool:
        second = _second_of_day(local_time)
        for segment in self.segments(local_time):
            if segment.start_s <= second < segment.end_s:
                return extended_market_hours or segment.is_market
        return False

    def is_open_during(self, start: datetime, end: datetime, extended_market_hours: bool = False) -> bool:
        """Return whether any part of [start, end] lies in an open segment; both on one date."""
        low, high = _second_of_day(start), _second_of_day(end)
        return any(
            segment.start_s < high and low < segment.end_s
            for segment in self.segments(start)
            if extended_market_hours or segment.is_market
        )

    def is_date_open(self, local_date: date, extended_market_hours: bool = False) -> bool:
        segments = self.segments(local_date)
        return bool(segments) and (extended_market_hours or any(segment.is_market for segment in segments))

    def get_previous_trading_day(self, local_date: date) -> datetime:
        return self._trading_day(local_date, -1)

    def get_next_trading_day(self, local_date: date) -> datetime:
        return self._trading_day(local_date, 1)

    def get_next_market_open(self, local_time: datetime, extended_market_hours: bool = False) -> datetime:
        """Return the first opening after local_time; touching segments (midnight) do not open anew.

        While a segment is open LEAN goes on with the next day, even if another segment opens later on this one.
        """
        day = _midnight(local_time)
        before = self.segments(day - _ONE_DAY)
        previous_end = before[-1].end_s - _DAY_S if before else None
        for _ in range(_SEARCH_DAYS):
            segments = self.segments(day)
            for segment in segments:
                if not (extended_market_hours or segment.is_market):
                    continue
                if segment.start_s != previous_end and day + timedelta(seconds=segment.end_s) > local_time:
                    opens = day + timedelta(seconds=segment.start_s)
                    if opens > local_time:
                        return opens
                    break
                previous_end = segment.end_s
            # After an early close the next day always opens anew.
            previous_end = None if not segments or day in self.early_closes else segments[-1].end_s - _DAY_S
            day += _ONE_DAY
        raise ValueError(f"market open after {local_time}: expected one within two weeks. Check the hours entry.")

    def get_next_market_close(self, local_time: datetime, extended_market_hours: bool = False) -> datetime:
        """Return the first closing after local_time; touching segments (midnight) do not close."""
        day = _midnight(local_time)
        for _ in range(_SEARCH_DAYS):
            segments = self.segments(day)
            for n, segment in enumerate(segments):
                closes = day + timedelta(seconds=segment.end_s)
                if closes <= local_time or not (extended_market_hours or segment.is_market):
                    continue
                if not self._continues(day, segments, n, extended_market_hours):
                    return closes
            day += _ONE_DAY
        raise ValueError(f"market close after {local_time}: expected one within two weeks. Check the hours entry.")

    def get_previous_market_open(self, local_time: datetime, extended_market_hours: bool = False) -> datetime:
        """Return the last opening at or before local_time."""
        day = _midnight(local_time)
        for _ in range(9):
            for segment in reversed(self.segments(day)):
                opens = day + timedelta(seconds=segment.start_s)
                if opens > local_time or not (extended_market_hours or segment.is_market):
                    continue
                if self.get_next_market_open(opens - timedelta(microseconds=1), extended_market_hours) == opens:
                    return opens
            day -= _ONE_DAY
        raise ValueError(f"market open before {local_time}: expected one within nine days. Check the hours entry.")

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _trading_day(self, local_date: date, step: int) -> datetime:
        day = _midnight(local_date) + step * _ONE_DAY
        for _ in range(400):
            if self.is_date_open(day):
                return day
            day += step * _ONE_DAY
        raise ValueError(f"trading day next to {local_date}: expected one within a year. Check the market-hours entry.")

    def _continues(self, day: datetime, segments: tuple[Segment, ...], n: int, extended: bool) -> bool:
        if n + 1 < len(segments):
            follower = segments[n + 1]
            return (extended or follower.is_market) and follower.start_s == segments[n].end_s
        if segments[n].end_s != _DAY_S or day + _ONE_DAY in self.early_closes:
            return False
        tomorrow = self.segments(day + _ONE_DAY)
        return bool(tomorrow) and tomorrow[0].start_s == 0

    def _segments_of(self, day: datetime) -> tuple[Segment, ...]:
        if day in self.holidays:
            return ()
        segments = self._week[day.weekday()]
        close = self.early_closes.get(day)
        opening = self.late_opens.get(day)
        before = after = None
        if close is not None:
            before = _until(segments, int(close.total_seconds()))
        if opening is not None:
            # A late open after an early close resumes the market; before it, it only shortens the morning.
            base = before if before is not None and close is not None and close >= opening else segments
            after = _since(base, int(opening.total_seconds()))
        if before is None:
            return segments if after is None else after
        if after is None:
            return before
        return before + after if close is not None and opening is not None and close <= opening else after


def _until(segments: tuple[Segment, ...], close_s: int) -> tuple[Segment, ...]:
    for n, segment in enumerate(segments):
        if segment.start_s <= close_s <= segment.end_s:
            return (*segments[:n], Segment(segment.start_s, close_s, segment.is_market))
        if close_s < segment.start_s:
            # LEAN takes one segment less here than one would expect (SecurityExchangeHours.GetMarketHours).
            return segments[: max(n - 1, 0)]
    return segments


def _since(segments: tuple[Segment, ...], open_s: int) -> tuple[Segment, ...]:
    for n, segment in enumerate(segments):
        if segment.start_s <= open_s <= segment.end_s:
            return (Segment(open_s, segment.end_s, segment.is_market), *segments[n + 1 :])
        if open_s < segment.start_s:
            return segments[n:]
    return segments


# -- time zones -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def utc_offset_minutes(zone: ZoneInfo, day: date) -> int:
    """Return minutes from UTC to `zone` at noon of `day`; clocks change on Sundays at 02:00, never within a session."""
    offset = datetime.combine(day, time(12), zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


def minutes_to_new_york(zone: ZoneInfo, day: date) -> int:
    """Return what to add to a minute of day in `zone` for the New York minute of that day."""
    return utc_offset_minutes(NEW_YORK, _plain(day)) - utc_offset_minutes(zone, _plain(day))


def _plain(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _second_of_day(at: datetime) -> float:
    return at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6


# -- the database -----------------------------------------------------------------------------------------------------


class MarketHoursDatabase:
    """Reads single entries of market-hours-database.json; raises DataError when the text is not what LEAN writes."""

    def __init__(self, text: bytes, name: str) -> None:
        self.text = text
        self._name = name
        self._raw: dict[str, dict[str, Any] | None] = {}
        self._hours: dict[str, ExchangeHours | None] = {}

    @staticmethod
    def read(path: Path) -> MarketHoursDatabase:
        """Return the database of a file; raise DataError when there is none, since no session is known without it."""
        try:
            return MarketHoursDatabase(path.read_bytes(), path.name)
        except FileNotFoundError:
            raise DataError(
                f"{path.parent.name}/{path.name}: found no file, expected LEAN's market hours. "
                "Copy the folder market-hours of LEAN's own Data folder."
            ) from None

    def hours(self, symbol: Symbol) -> ExchangeHours:
        """Return a symbol's hours: its own entry, else its market's `[*]`; raise DataError when there is neither."""
        kind = _kind(symbol.security_type)
        market = symbol.id.market
        found = self._entry(kind, market, database_key(symbol)) or self._entry(kind, market, "[*]")
        if found is None:
            raise DataError(
                f"{self._name}: found no entry {kind}-{market}-{database_key(symbol)} nor {kind}-{market}-[*], "
                "expected one of them. Add it, or drop the subscription."
            )
        return found

    def _entry(self, kind: str, market: str, ticker: str) -> ExchangeHours | None:
        key = f"{kind}-{market}-{ticker}"
        if key not in self._hours:
            raw = self._read_entry(key)
            self._hours[key] = None if raw is None else self._merge(raw, kind, market, ticker, key)
        return self._hours[key]

    def _merge(self, raw: dict[str, Any], kind: str, market: str, ticker: str, key: str) -> ExchangeHours:
        try:
            holidays: set[date] = {_day(text) for text in raw.get("holidays") or ()}
            early = {_day(text): _span(at) for text, at in (raw.get("earlyCloses") or {}).items()}
            late = {_day(text): _span(at) for text, at in (raw.get("lateOpens") or {}).items()}
            week = tuple(_segments(raw.get(name) or ()) for name in _DAYS)
            zones = ZoneInfo(raw["exchangeTimeZone"]), ZoneInfo(raw["dataTimeZone"])
        except (KeyError, TypeError, ValueError, ZoneInfoNotFoundError) as error:
            raise DataError(
                f"{self._name}: entry {key} is unreadable ({error}), expected days, zones, holidays and closes as LEAN "
                "writes them. Restore LEAN's own file."
            ) from None
        base = self._underlying_entry(kind, market, ticker)
        if base is not None:
            holidays = holidays or set(base.holidays)
            early = early or {**base.early_closes}
            late = late or {**base.late_opens}
        common = self._entry(kind, market, "[*]") if ticker != "[*]" else None
        if common is not None:
            holidays |= common.holidays
            early = {**common.early_closes, **early}
            late = {**common.late_opens, **late}
        return ExchangeHours(zones[0], zones[1], week, holidays, early, late)

    def _underlying_entry(self, kind: str, market: str, ticker: str) -> ExchangeHours | None:
        if kind == "IndexOption":
            base = "Index"
        elif kind == "Option":
            base = "Equity"
        else:
            return None
        name = index_of_option_root(ticker) if kind == "IndexOption" and ticker != "[*]" else ticker
        return self._entry(base, market, name) or self._entry(base, market, "[*]")

    def _read_entry(self, key: str) -> dict[str, Any] | None:
        match = re.search(rb'"' + re.escape(key.encode()) + rb'"\s*:\s*(?=\{)', self.text)
        if match is None:
            return None
        # An entry is a few kilobytes; the rest of the file is never decoded.
        chunk = self.text[match.end() : match.end() + 200_000].decode(errors="replace")
        try:
            found, _ = json.JSONDecoder().raw_decode(chunk)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{self._name}: entry {key} is broken ({error.msg}), expected JSON. Restore LEAN's own file."
            ) from None
        assert isinstance(found, dict)
        return found


def _kind(security_type: SecurityType) -> str:
    return security_type.name.title().replace("_", "")


def database_key(symbol: Symbol) -> str:
    """Return the name under which LEAN's databases list a symbol (BaseSecurityDatabase.GetDatabaseSymbolKey)."""
    if symbol.security_type is SecurityType.OPTION and symbol.underlying is not None:
        return symbol.underlying.value
    if symbol.security_type in (SecurityType.INDEX_OPTION, SecurityType.FUTURE_OPTION, SecurityType.FUTURE):
        return symbol.id.symbol
    return symbol.value


def _day(text: str) -> date:
    month, day, year = text.split("/")
    return _midnight(date(int(year), int(month), int(day)))


def _span(text: str) -> timedelta:
    parts = [int(part) for part in text.split(":")]
    days, hours, minutes, seconds = ([0] * (4 - len(parts))) + parts
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _segments(items: Iterable[Mapping[str, str]]) -> tuple[Segment, ...]:
    return tuple(
        Segment(_seconds(item["start"]), _seconds(item["end"]), item["state"] == "market")
        for item in items
        if item["state"] != "closed"
    )


def _seconds(text: str) -> int:
    return int(_span(text).total_seconds())
