"""One exchange as a security sees it: LEAN's `security.exchange`, and the UTC clock that the reality models use."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from engine.clock import EngineClock, Zone, zone
from engine.hours import ExchangeHours, minutes_to_new_york


class ExchangeClock:
    """Regular hours in UTC; naive UTC datetimes in and out, `local` values are exchange time."""

    __slots__ = ("_closes", "_hours", "_midnights", "_zone", "time_zone")

    def __init__(self, hours: ExchangeHours) -> None:
        self._hours = hours
        self.time_zone = hours.time_zone.key
        self._zone: Zone = zone(self.time_zone)
        self._closes: dict[date, datetime] = {}
        self._midnights: dict[int, datetime] = {}

    @property
    def zone(self) -> Zone:
        return self._zone

    def local(self, utc: datetime) -> datetime:
        return self._zone.local(utc)

    def utc(self, local: datetime) -> datetime:
        return self._zone.utc(local)

    def new_york_midnight(self, ordinal: int) -> datetime:
        """Return the local time at which a New York day begins, counted back from its session: data's minute 0."""
        found = self._midnights.get(ordinal)
        if found is None:
            shift = minutes_to_new_york(self._hours.time_zone, date.fromordinal(ordinal))
            found = self._midnights[ordinal] = datetime.fromordinal(ordinal) - timedelta(minutes=shift)
        return found

    def is_open(self, utc: datetime) -> bool:
        return self._hours.is_open(self._zone.local(utc))

    def is_date_open(self, day: date) -> bool:
        return self._hours.is_date_open(day)

    def next_open(self, utc: datetime) -> datetime:
        return self._zone.utc(self._hours.get_next_market_open(self._zone.local(utc)))

    def next_close(self, utc: datetime) -> datetime:
        return self._zone.utc(self._hours.get_next_market_close(self._zone.local(utc)))

    def close_of_day(self, utc: datetime) -> datetime:
        """Return the last close of the moment's local date; of the next open date when that is past or missing."""
        day = self._zone.local(utc).date()
        found = self._closes.get(day)
        if found is None:
            found = self._closes[day] = self._zone.utc(last_daily_close(self._hours, day))
        return found if found > utc else self._zone.utc(last_daily_close(self._hours, day + timedelta(days=1)))


def last_daily_close(hours: ExchangeHours, day: date) -> datetime:
    """Return the last regular close (local time) of a date, or of the next open date when the market is shut."""
    at = datetime(day.year, day.month, day.day)
    if not hours.is_date_open(at):
        at = hours.get_next_trading_day(at)
    market = [segment for segment in hours.segments(at) if segment.is_market]
    return at + timedelta(seconds=market[-1].end_s)


def first_daily_open(hours: ExchangeHours, day: date) -> datetime | None:
    """Return the first regular open of a date in exchange time, None when the market is shut that day."""
    at = datetime(day.year, day.month, day.day)
    market = [segment for segment in hours.segments(at) if segment.is_market]
    return at + timedelta(seconds=market[0].start_s) if market else None


class SecurityExchange:
    """LEAN's SecurityExchange: hours, and whether they are open now."""

    __slots__ = ("_clock", "_engine_clock", "hours")

    def __init__(self, hours: ExchangeHours, clock: ExchangeClock, engine_clock: EngineClock) -> None:
        self.hours = hours
        self._clock = clock
        self._engine_clock = engine_clock

    @property
    def time_zone(self) -> str:
        return self._clock.time_zone

    @property
    def local_time(self) -> datetime:
        return self._clock.local(self._engine_clock.utc)

    @property
    def exchange_open(self) -> bool:
        return self._clock.is_open(self._engine_clock.utc)

    @property
    def closing_soon(self) -> bool:
        """LEAN: within ten minutes of the close."""
        local = self.local_time
        return not self.hours.is_open(local + timedelta(minutes=10))

    def date_is_open(self, day: datetime | None = None) -> bool:
        return self.hours.is_date_open(self.local_time if day is None else day)

    def is_open_during_bar(self, start: datetime, end: datetime, extended_market_hours: bool = False) -> bool:
        return self.hours.is_open_during(start, end, extended_market_hours)
