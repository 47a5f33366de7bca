"""Scheduled events: LEAN's date rules, time rules, and its order of firing.

Events that are due at one moment fire in the order of a list that is sorted by next time and re-sorted one element at
a time by binary search (Engine/RealTime/BacktestingRealTimeHandler.cs).  That list is kept here with the same steps, so
that events of one minute fire in LEAN's changing, but repeatable, order: not in the order in which they were scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from engine.clock import EngineClock, Zone, zone
from engine.exchange import first_daily_open, last_daily_close

if TYPE_CHECKING:
    from engine.hours import ExchangeHours
    from engine.symbols import Symbol

_ONE_DAY: Final = timedelta(days=1)
_FOREVER: Final = datetime.max
_MONDAY: Final = 0

Dates = Iterable[date]
Moments = Iterable[datetime]


class HoursLookup(Protocol):
    """Where rules find the hours of a symbol."""

    def hours_of(self, symbol: Symbol | str) -> ExchangeHours: ...

    def all_hours(self) -> Sequence[ExchangeHours]:
        """Return the distinct hours of all subscribed securities."""
        ...


class DateRule:
    """Dates on which an event fires, lazily, between two dates."""

    def __init__(self, name: str, dates: Callable[[date, date], Dates]) -> None:
        self.name = name
        self._dates = dates

    def get_dates(self, start: date, end: date) -> Dates:
        return self._dates(start, end)


class TimeRule:
    """Moments of the dates, as naive UTC datetimes."""

    def __init__(self, name: str, times: Callable[[Dates], Moments]) -> None:
        self.name = name
        self._times = times

    def create_utc_event_times(self, dates: Dates) -> Moments:
        return self._times(dates)


class FuncTimeRule(TimeRule):
    """Moments that an algorithm's own function makes of midnights: a list, as naive UTC datetimes."""

    def __init__(self, name: str, create_utc_event_times_function: Callable[[Moments], object]) -> None:
        def times(dates: Dates) -> list[datetime]:
            made = create_utc_event_times_function(datetime(day.year, day.month, day.day) for day in dates)
            if isinstance(made, list):
                return made
            kind = type(made).__name__
            raise TypeError(
                f"FuncTimeRule({name!r}): {kind!r} value cannot be converted to IEnumerable. Return a list."
            )

        super().__init__(name, times)


class ScheduledEvent:
    """One schedule; cancel it with `schedule.remove`."""

    __slots__ = ("_callback", "_moments", "enabled", "name", "next_utc")

    def __init__(self, name: str, moments: Iterator[datetime], callback: Callable[[], object]) -> None:
        self.name = name
        self.enabled = True
        self._moments = moments
        self._callback = callback
        self.next_utc = _FOREVER

    def start(self, utc: datetime) -> None:
        """Find the first moment at or after `utc`."""
        self.advance()
        while self.next_utc < utc:
            self.advance()

    def advance(self) -> None:
        self.next_utc = next(self._moments, _FOREVER)

    def __repr__(self) -> str:
        return self.name


class Scheduler:
    """The handler of all schedules of a run."""

    def __init__(self, clock: EngineClock) -> None:
        self._clock = clock
        self._events: list[ScheduledEvent] = []
        self._sorted: list[ScheduledEvent] = []
        self._needs_sorting = False
        self._is_started = False

    def start(self, utc: datetime) -> None:
        """Skip what lies before the start of the run."""
        self._is_started = True
        for event in self._events:
            event.start(utc)
        self._needs_sorting = True

    def add(self, event: ScheduledEvent) -> None:
        if self._is_started:
            event.start(self._clock.utc)
        self._events.append(event)
        self._needs_sorting = True

    def remove(self, event: ScheduledEvent) -> None:
        if event in self._events:
            self._events.remove(event)
        self._needs_sorting = True

    def due_list(self) -> list[ScheduledEvent]:
        """Return the events by next time; one pass keeps one such list to its end, as LEAN does."""
        return self._order() if self._needs_sorting else self._sorted

    def fire_first(self, events: list[ScheduledEvent], at_own_time: bool) -> None:
        """Fire the first event of a list from `due_list` and move it to its next place."""
        event = events[0]
        if at_own_time:
            self._clock.set_utc(event.next_utc)
        if event.enabled:
            event._callback()
        event.advance()
        if len(events) > 1 and event.next_utc > events[1].next_utc:
            _move_first(events)

    def _order(self) -> list[ScheduledEvent]:
        if self._needs_sorting:
            self._needs_sorting = False
            self._sorted = sorted(self._events, key=lambda event: event.next_utc)  # stable: by time, then by creation
        return self._sorted


def _move_first(events: list[ScheduledEvent]) -> None:
    """Put the first element, now later than the second, where LEAN's binary search puts it among those of its time."""
    moved = events[0]
    del events[0]
    time = moved.next_utc
    low, high = 0, len(events) - 1
    while low <= high:
        middle = low + (high - low) // 2
        other = events[middle].next_utc
        if time < other:
            high = middle - 1
        elif time > other:
            low = middle + 1
        else:
            events.insert(middle + 1, moved)
            return
    events.insert(low, moved)


class DateRules:
    """`self.date_rules`."""

    def __init__(self, lookup: HoursLookup, clock: EngineClock) -> None:
        self._lookup = lookup
        self._clock = clock

    @property
    def today(self) -> DateRule:
        day = self._clock.time.date()
        return DateRule("TodayOnly", lambda start, end: [day])

    @property
    def tomorrow(self) -> DateRule:
        day = self._clock.time.date() + _ONE_DAY
        return DateRule("TomorrowOnly", lambda start, end: [day])

    def on(self, *arguments: date | int | Sequence[date]) -> DateRule:
        """`on(2025, 1, 3)`, `on(date)`, `on(date, date)` or `on([dates])`."""
        days: list[date] = []
        if len(arguments) == 3 and all(isinstance(part, int) for part in arguments):
            year, month, number = arguments
            assert isinstance(year, int)
            assert isinstance(month, int)
            assert isinstance(number, int)
            days = [date(year, month, number)]
        else:
            for argument in arguments:
                if isinstance(argument, date):
                    days.append(_plain(argument))
                elif isinstance(argument, Sequence):
                    days.extend(_plain(day) for day in argument)
        return DateRule(
            ",".join(str(day) for day in days), lambda start, end: [d for d in sorted(days) if start <= d <= end]
        )

    def every(self, *days: int) -> DateRule:
        """Fire on days of the week (0 = Sunday, as .NET's DayOfWeek counts)."""
        wanted = frozenset(int(day) for day in days)
        return DateRule(str(days), lambda start, end: (d for d in _days(start, end) if d.isoweekday() % 7 in wanted))

    def every_day(self, symbol: Symbol | str | None = None, extended_market_hours: bool = False) -> DateRule:
        """Without a symbol every calendar day, weekends and holidays included; with one its trading days."""
        if symbol is None:
            return DateRule("EveryDay", _days)
        hours = self._lookup.hours_of(symbol)
        return DateRule(f"{symbol}: EveryDay", lambda start, end: _open_days(hours, start, end))

    def week_start(self, symbol: Symbol | str | int | None = None, days_offset: int = 0) -> DateRule:
        return self._weekly("WeekStart", symbol, days_offset, from_end=False)

    def week_end(self, symbol: Symbol | str | int | None = None, days_offset: int = 0) -> DateRule:
        return self._weekly("WeekEnd", symbol, days_offset, from_end=True)

    def month_start(self, symbol: Symbol | str | int | None = None, days_offset: int = 0) -> DateRule:
        return self._monthly("MonthStart", symbol, days_offset, from_end=False)

    def month_end(self, symbol: Symbol | str | int | None = None, days_offset: int = 0) -> DateRule:
        return self._monthly("MonthEnd", symbol, days_offset, from_end=True)

    def _weekly(self, name: str, symbol: Symbol | str | int | None, offset: int, *, from_end: bool) -> DateRule:
        hours, offset = self._hours_and_offset(symbol, offset)

        def dates(start: date, end: date) -> Iterator[date]:
            week = start - timedelta(days=start.weekday())
            while week <= end:
                days = [week + timedelta(days=n) for n in range(5 if hours is None else 7)]
                yield from _pick(days, hours, offset, from_end, start, end)
                week += timedelta(days=7)

        return DateRule(name, dates)

    def _monthly(self, name: str, symbol: Symbol | str | int | None, offset: int, *, from_end: bool) -> DateRule:
        hours, offset = self._hours_and_offset(symbol, offset)

        def dates(start: date, end: date) -> Iterator[date]:
            first = start.replace(day=1)
            while first <= end:
                following = (first + timedelta(days=32)).replace(day=1)
                days = list(_days(first, following - _ONE_DAY))
                yield from _pick(days, hours, offset, from_end, start, end)
                first = following

        return DateRule(name, dates)

    def _hours_and_offset(self, symbol: Symbol | str | int | None, offset: int) -> tuple[ExchangeHours | None, int]:
        if isinstance(symbol, int):
            return None, symbol
        return (None if symbol is None else self._lookup.hours_of(symbol)), offset


class TimeRules:
    """`self.time_rules`."""

    def __init__(self, lookup: HoursLookup, clock: EngineClock) -> None:
        self._lookup = lookup
        self._clock = clock
        self._default_zone: Zone | None = None

    def set_default_time_zone(self, name: str) -> None:
        self._default_zone = zone(name)

    @property
    def _zone(self) -> Zone:
        return self._default_zone or self._clock.zone

    @property
    def now(self) -> TimeRule:
        return TimeRule("Now", lambda dates: (self._clock.utc for _ in dates))

    @property
    def midnight(self) -> TimeRule:
        return self.at(0, 0)

    @property
    def noon(self) -> TimeRule:
        return self.at(12, 0)

    def at(
        self, hour: int | timedelta, minute: int | str = 0, second: int | str = 0, time_zone: str | None = None
    ) -> TimeRule:
        """Fire at a wall time of the algorithm's zone, or of `time_zone`; half days make no difference."""
        for zone_name in (minute, second):
            time_zone = zone_name if isinstance(zone_name, str) else time_zone
        minute = 0 if isinstance(minute, str) else minute
        second = 0 if isinstance(second, str) else second
        of_day = hour if isinstance(hour, timedelta) else timedelta(hours=hour, minutes=minute, seconds=second)
        local = self._zone if time_zone is None else zone(time_zone)

        def times(dates: Dates) -> Iterator[datetime]:
            return (local.utc(datetime(day.year, day.month, day.day) + of_day) for day in dates)

        return TimeRule(f"{of_day}", times)

    def every(self, interval: timedelta) -> TimeRule:
        """Fire at every interval of the day, from midnight round the clock."""
        if interval <= timedelta(0):
            raise ValueError("TimeRules.Every(): time span interval can not be zero or less")
        local = self._zone
        offsets = []
        offset = timedelta(0)
        while offset < _ONE_DAY:
            offsets.append(offset)
            offset += interval

        def times(dates: Dates) -> Iterator[datetime]:
            for day in dates:
                midnight = datetime(day.year, day.month, day.day)
                start = local.utc(midnight)
                if local.utc(midnight + _ONE_DAY) - start == _ONE_DAY:
                    for step in offsets:
                        yield start + step
                else:  # clocks change today
                    for step in offsets:
                        yield local.utc(midnight + step)

        return TimeRule(f"Every {interval.total_seconds() / 60:g} min", times)

    def after_market_open(
        self, symbol: Symbol | str, minutes_after_open: float = 0, extended_market_open: bool = False
    ) -> TimeRule:
        """Fire some minutes after the symbol's opening, on its trading days only."""
        _no_extended("after_market_open", extended_market_open)
        hours = self._lookup.hours_of(symbol)
        exchange = zone(hours.time_zone.key)
        shift = timedelta(minutes=minutes_after_open)

        def times(dates: Dates) -> Iterator[datetime]:
            for day in dates:
                opens = first_daily_open(hours, day)
                if opens is not None:
                    yield exchange.utc(opens + shift)

        return TimeRule(f"{symbol}: {abs(minutes_after_open):g} min after MarketOpen", times)

    def before_market_open(
        self, symbol: Symbol | str, minutes_before_open: float = 0, extended_market_open: bool = False
    ) -> TimeRule:
        return self.after_market_open(symbol, -minutes_before_open, extended_market_open)

    def before_market_close(
        self, symbol: Symbol | str, minutes_before_close: float = 0, extended_market_close: bool = False
    ) -> TimeRule:
        """Fire some minutes before the symbol's close; follows half days.  SPX and SPXW close at 16:15 New York."""
        _no_extended("before_market_close", extended_market_close)
        hours = self._lookup.hours_of(symbol)
        exchange = zone(hours.time_zone.key)
        shift = timedelta(minutes=minutes_before_close)

        def times(dates: Dates) -> Iterator[datetime]:
            for day in dates:
                if hours.is_date_open(datetime(day.year, day.month, day.day)):
                    yield exchange.utc(last_daily_close(hours, day) - shift)

        return TimeRule(f"{symbol}: {abs(minutes_before_close):g} min before MarketClose", times)

    def after_market_close(
        self, symbol: Symbol | str, minutes_after_close: float = 0, extended_market_close: bool = False
    ) -> TimeRule:
        return self.before_market_close(symbol, -minutes_after_close, extended_market_close)


class ScheduleManager:
    """`self.schedule`."""

    def __init__(
        self,
        scheduler: Scheduler,
        date_rules: DateRules,
        time_rules: TimeRules,
        clock: EngineClock,
        last_date: date,
    ) -> None:
        self._scheduler = scheduler
        self.date_rules = date_rules
        self.time_rules = time_rules
        self._clock = clock
        self._last_date = last_date

    def on(self, *arguments: object) -> ScheduledEvent:
        """`on([name,] date_rule, time_rule, callback)`; the callback takes no arguments."""
        named = isinstance(arguments[0], str)
        name = str(arguments[0]) if named else ""
        date_rule, time_rule, callback = arguments[1:] if named else arguments
        if not isinstance(date_rule, DateRule) or not isinstance(time_rule, TimeRule) or not callable(callback):
            raise TypeError("schedule.on: expected a date rule, a time rule and a function, in this order.")
        name = name or f"{date_rule.name}: {time_rule.name}"

        def dates() -> Iterator[date]:
            # Evaluated when the run starts; a day back, because an event of another zone may fall on our first day.
            return iter(date_rule.get_dates(self._clock.utc.date() - _ONE_DAY, self._last_date))

        event = ScheduledEvent(name, _lazily(time_rule, dates), callback)
        self._scheduler.add(event)
        return event

    def add(self, event: ScheduledEvent) -> None:
        self._scheduler.add(event)

    def remove(self, event: ScheduledEvent) -> None:
        self._scheduler.remove(event)


def _lazily(time_rule: TimeRule, dates: Callable[[], Iterator[date]]) -> Iterator[datetime]:
    yield from time_rule.create_utc_event_times(dates())


def _no_extended(rule: str, extended: bool) -> None:
    if extended:
        from engine.errors import EngineUnsupported

        raise EngineUnsupported(f"time_rules.{rule} with extended market hours")


def _plain(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def _days(start: date, end: date) -> Iterator[date]:
    for ordinal in range(start.toordinal(), end.toordinal() + 1):
        yield date.fromordinal(ordinal)


def _open_days(hours: ExchangeHours, start: date, end: date) -> Iterator[date]:
    return (day for day in _days(start, end) if hours.is_date_open(datetime(day.year, day.month, day.day)))


def _pick(
    days: Sequence[date], hours: ExchangeHours | None, offset: int, from_end: bool, start: date, end: date
) -> Iterator[date]:
    """Yield the offset-th (open) day of a week or month, counted from either end, if it lies in the range."""
    if hours is not None:
        days = [day for day in days if hours.is_date_open(datetime(day.year, day.month, day.day))]
    if not days:
        return
    chosen = days[max(len(days) - 1 - offset, 0)] if from_end else days[min(offset, len(days) - 1)]
    if start <= chosen <= end:
        yield chosen
