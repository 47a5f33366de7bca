"""The minute loop, in LEAN's order (Engine/AlgorithmManager.cs).

One time slice: past scheduled events, each at its own time; the clock; securities that joined and left; prices; fills
of working orders; scheduled events of this moment; margin call check; on_securities_changed; dividends and splits and
their hooks; on_data; what this step has ordered and cancelled.

`Loop.steps` is a generator that says at which moment it will act next, so that a test or a paper run can stop anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from engine.algorithm import QCAlgorithm, SecurityChanges
from engine.clock import MINUTE_OFFSETS, MINUTES_PER_DAY, Zone
from engine.corporate_events import DayEvents
from engine.data_points import points_until
from engine.enums import AlgorithmStatus, DelistingType
from engine.hooks import HookCaller
from engine.margin_calls import MarginCalls
from engine.option_security import Option
from engine.orders import OrderEvent
from engine.slice import NO_DELISTINGS, Delistings, Dividends, Slice, Splits
from engine.universe_keeper import NightPoint, UniverseKeeper, minute_of
from engine.warmup import WarmUp

if TYPE_CHECKING:
    from engine.feed import DayPlan
    from engine.schedule import ScheduledEvent
    from engine.state import EngineState
    from engine.symbols import Symbol


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Value of the account at one moment (naive UTC)."""

    time: datetime
    value: float


class Loop:
    """Drives one run."""

    def __init__(self, engine: EngineState, algorithm: QCAlgorithm, *, pulse_every_minute: bool) -> None:
        self._engine = engine
        self._algorithm = algorithm
        self._pulse = pulse_every_minute
        self.call = HookCaller(engine)
        self.data_points = 0
        self.equity: list[EquityPoint] = []
        self.is_finished = False
        # Moments up to this one are not announced: whoever drives the run would go on at once.
        self.unannounced_until = datetime.min
        self._is_started = False
        self._counted_day = self._last_minute = 0
        self._universe = UniverseKeeper(engine)
        self._margin = MarginCalls(engine, algorithm, self.call)
        self._warm_up = WarmUp(engine)
        self._next_settlement = datetime.min
        self._hears_data = type(algorithm).on_data is not QCAlgorithm.on_data
        self._hears_end_of_day = hasattr(type(algorithm), "on_end_of_day")
        self._ends_of_day: dict[Symbol, ScheduledEvent] = {}
        engine.call_order_event = self._order_event
        engine.call_assignment = self._assignment

    @property
    def algorithm_s(self) -> float:
        """Seconds spent in the algorithm's own code, its calls into the engine included."""
        return self.call.algorithm_s

    def _order_event(self, event: OrderEvent) -> None:
        # After an error LEAN goes on with the code that sent the order, and stops at its next check.
        self.call("Order Event Handler", self._algorithm.on_order_event, event)

    def _assignment(self, event: OrderEvent) -> None:
        self.call("Assignment Order Event Handler", self._algorithm.on_assignment_order_event, event)

    # The run.

    def steps(self) -> Iterator[datetime]:
        """Yield the UTC moment of what comes next, unless it need not be announced, then do it; ends with the run."""
        engine = self._engine
        engine.is_locked = True
        self._universe.learn_new()
        first_day = self._warm_up.begin()
        start_utc = engine.clock.utc
        if not self.call("Initialize", engine.scheduler.start, start_utc):  # an algorithm's own time rule may fail
            return
        # LEAN samples the account at every midnight, as a scheduled event like any other.
        engine.schedule.on("Daily Sampling", engine.date_rules.every_day(), engine.time_rules.midnight, self.sample)
        if engine.is_warming_up:
            engine.debug("Algorithm starting warm up...")
        elif not self.call("OnWarmupFinished", self._algorithm.on_warmup_finished):
            return
        # LEAN counts one point per kind of security that was added by hand; a chain's canonical is not one of them.
        self.data_points += len({one.type for one in engine.securities.active.values() if not isinstance(one, Option)})
        for ordinal in range(first_day.toordinal(), engine.end_date.toordinal() + 1):
            day = date.fromordinal(ordinal)
            midnight = engine.clock.new_york.utc(datetime.fromordinal(ordinal))
            first_minute = minute_of(start_utc, midnight)
            night = self._universe.night(day, midnight, first_minute)
            if not self._is_started:
                night.setdefault(first_minute, NightPoint())
            minute = first_minute
            while night:
                minute = min(night)
                point = night.pop(minute)
                utc = midnight + MINUTE_OFFSETS[minute]
                if not self._may_go_on():
                    return
                if self._is_behind(utc):
                    yield from self._past(utc)
                if utc > self.unannounced_until:
                    yield utc
                if not self._night_slice(ordinal, minute, utc, point):
                    return
                # What joined just now may be warned of later this night.
                for later in self._universe.expiry_minutes(day, midnight):
                    if later > minute:
                        night.setdefault(later, NightPoint())
            for bar_end in self._minutes(day, max(minute, -1)):
                utc = midnight + MINUTE_OFFSETS[bar_end]
                if not self._may_go_on():
                    return
                if self._is_behind(utc):
                    yield from self._past(utc)
                if utc > self.unannounced_until:
                    yield utc
                if not self._minute_slice(ordinal, bar_end, utc):
                    return
            self._close_day(ordinal)
        yield from self._last_slice()

    def _last_slice(self) -> Iterator[datetime]:
        """LEAN also reads the last session's universe, and its slice, an hour or so into the next day, ends the run.

        The filter is not run, nobody joins or leaves, and what expired stays as it was; the clock and the schedule go
        on until then.
        """
        engine = self._engine
        moments: list[datetime] = []
        for canonical in engine.chains if not self._pulse else ():
            hours = engine.canonicals[canonical].hours
            table = engine.source.universe(canonical, engine.end_date) if hours.is_date_open(engine.end_date) else None
            if table is not None:
                self.data_points += len(table)
                following = datetime(engine.end_date.year, engine.end_date.month, engine.end_date.day) + timedelta(1)
                moments.append(Zone(hours.time_zone.key).utc(following))
        for utc in sorted(set(moments)):
            if not self._may_go_on():
                return
            yield from self._fire_past(utc)
            yield utc
            engine.clock.set_utc(utc)
            data = Slice(engine.clock.time, utc, None, 0)
            data.has_data = False
            if not self._run_slice(data, utc, None):
                return

    def _is_behind(self, utc: datetime) -> bool:
        """Whether anything is to be done before a slice; for most there is not."""
        engine = self._engine
        events = engine.scheduler.due_list()
        is_late = bool(events) and events[0].next_utc < utc
        return is_late or self._universe.next_delisting <= utc or engine.is_warming_up

    def _past(self, utc: datetime) -> Iterator[datetime]:
        """Before a slice: hide what expires with it, and fire what was due since the last one."""
        engine = self._engine
        if self._warm_up.ends_before(utc):
            yield from self._fire_past(self._warm_up.end_utc)
            engine.clock.set_utc(self._warm_up.end_utc)
            self._finish_warm_up()
        if self._universe.next_delisting <= utc:
            self._universe.hide_delisted(utc)
        yield from self._fire_past(utc)

    def _fire_past(self, utc: datetime) -> Iterator[datetime]:
        scheduler = self._engine.scheduler
        call, fire_first = self.call, scheduler.fire_first
        events = scheduler.due_list()
        while events and (due := events[0].next_utc) < utc:
            if due > self.unannounced_until:
                yield due
            if not call("Scheduled event", fire_first, events, True):
                return

    def finish(self) -> None:
        """Call on_end_of_algorithm unless an error ended the run, and take the last sample."""
        engine = self._engine
        if self.is_finished:
            return
        self.is_finished = True
        plan = engine.feed.plan
        if plan is not None and plan.ordinal != self._counted_day:
            self.data_points += points_until(plan, self._last_minute)
        if engine.run_time_error is None:
            self.call("OnEndOfAlgorithm", self._algorithm.on_end_of_algorithm)
        self.sample()
        if engine.run_time_error is None:
            engine.status = AlgorithmStatus.COMPLETED

    def sample(self) -> None:
        engine = self._engine
        self.equity.append(EquityPoint(engine.clock.utc, engine.portfolio.total_portfolio_value))

    def _may_go_on(self) -> bool:
        """LEAN's check before a slice, and before the events of the past that it brings."""
        engine = self._engine
        if engine.status is not AlgorithmStatus.RUNNING and engine.run_time_error is None:
            return False  # quit
        portfolio = engine.portfolio
        if engine.live_mode or not (portfolio.held or portfolio.settled <= 0):
            return True
        if self._is_started and portfolio.total_portfolio_value <= 0:
            engine.debug("Portfolio value is less than or equal to zero, stopping algorithm.")
            return False
        return True

    # Days.

    def _minutes(self, day: date, after: int) -> Iterator[int]:
        """Yield the minutes of a day that have a slice; follows subscriptions and edits of a market in memory."""
        engine = self._engine
        feed, source = engine.feed, engine.source
        revision = source.revision
        plan = feed.open_day(day)
        if not self._pulse and not feed.may_change:
            # The common case: nothing is added to the day while it runs.
            for minute in plan.minutes:
                if minute > after:
                    yield minute
                    if feed.is_stale:
                        after = minute
                        break
            else:
                return
        minute = after
        while True:
            if feed.is_stale or source.revision != revision:
                revision = source.revision
                plan = feed.open_day(day)
            minute = minute + 1 if self._pulse else plan.next_minute(minute)
            if not 0 <= minute < MINUTES_PER_DAY:
                return
            yield minute

    def _close_day(self, ordinal: int) -> None:
        plan = self._engine.feed.plan
        if plan is not None and plan.ordinal == ordinal:
            self._counted_day = ordinal
            self.data_points += plan.data_points
            for stream in plan.streams:
                stream.security.catch_up()
        for security in list(self._engine.portfolio.held.values()):
            security.catch_up()

    # Slices.

    def _night_slice(self, ordinal: int, minute: int, utc: datetime, point: NightPoint) -> bool:
        """Run a slice that is not, or not only, minute bars; False ends the run."""
        clock = self._engine.clock
        clock.set_utc(utc)
        clock.stamp = ordinal * MINUTES_PER_DAY + minute
        for canonical, selection in point.selections:
            self.data_points += self._universe.select(canonical, selection)
        delistings = self._universe.delistings(utc)
        self.data_points += len(delistings)
        plan = self._first_bars(ordinal)
        data = Slice(clock.time, utc, plan, minute)
        if delistings:
            data.delistings = Delistings(delistings)
        if point.corporate is not None:
            self.data_points += len(point.corporate.splits) + len(point.corporate.dividends)
            data.splits = Splits(point.corporate.splits)
            data.dividends = Dividends(point.corporate.dividends)
        data.has_data = (
            bool(delistings) or point.corporate is not None or (plan is not None and plan.has_minute(minute))
        )
        return self._run_slice(data, utc, point.corporate)

    def _first_bars(self, ordinal: int) -> DayPlan | None:
        """Return the day of the first slice of a warm-up by bars, which has the bars that end at its moment."""
        engine = self._engine
        if not engine.bars_before_start:
            return None
        engine.bars_before_start = 0
        return engine.feed.open_day(date.fromordinal(ordinal))

    def _minute_slice(self, ordinal: int, minute: int, utc: datetime) -> bool:
        """Run the slice of a minute; False ends the run."""
        engine = self._engine
        plan = engine.feed.plan
        assert plan is not None
        self._last_minute = minute
        clock = engine.clock
        clock.set_utc(utc)
        clock.stamp = ordinal * MINUTES_PER_DAY + minute
        data = Slice(clock.time, utc, plan, minute)
        if self._pulse:
            data.has_data = plan.has_minute(minute)
        return self._run_slice(data, utc, None)

    def _run_slice(self, data: Slice, utc: datetime, corporate: DayEvents | None) -> bool:
        """LEAN's order within one slice; False ends the run."""
        engine = self._engine
        engine.current_slice = data
        self._is_started = True
        if utc >= self._next_settlement:
            self._settle_cash(utc)
        if self._warm_up.is_over:
            self._finish_warm_up()
        # What a scheduled event of this moment adds comes with a slice of its own.
        changes = self._universe.take_changes() if engine.pending_added or engine.pending_removed else None
        transactions, broker, scheduler = engine.transactions, engine.broker, engine.scheduler
        transactions.process_pending()
        broker.advance()
        has_delistings = data.delistings is not NO_DELISTINGS
        if has_delistings:
            self._process_delistings(data)
        events = scheduler.due_list()
        while events and events[0].next_utc <= utc:
            if not self.call("Scheduled event", scheduler.fire_first, events, False):
                break
        if self._universe.corporate.has_warnings:
            self._universe.corporate.close_options_before_split()
        if engine.status is not AlgorithmStatus.RUNNING:
            return False  # an error, or quit
        if utc >= self._margin.next_utc and not self._margin.check(utc):
            return False
        if changes is not None and not self._report(changes):
            return False
        if corporate is not None and not self._corporate_hooks(data, corporate):
            return False
        if has_delistings and not self.call("OnDelistings", self._algorithm.on_delistings, data.delistings):
            return False
        if data.has_data and self._hears_data and not self.call("OnData", self._algorithm.on_data, data):
            return False
        transactions.process_pending()
        broker.advance()
        if engine.object_store.is_dirty:
            engine.object_store.tick(utc)
        return not engine.pending_added or self._slice_of_added(data, utc)

    def _slice_of_added(self, before: Slice, utc: datetime) -> bool:
        """Run the further slice of the same minute in which LEAN tells what the algorithm has added in it.

        It has no bars; a contract on its last day is warned of at once.  LEAN counts one point for each addition.
        """
        self._universe.learn_new()
        delistings = self._universe.delistings(utc)
        self.data_points += len(self._engine.pending_added) + len(delistings)
        data = Slice(before.time, utc, None, self._last_minute)
        if delistings:
            data.delistings = Delistings(delistings)
        data.has_data = bool(delistings)
        return self._run_slice(data, utc, None)

    def _settle_cash(self, utc: datetime) -> None:
        """Once an hour, as LEAN does: move what has settled."""
        engine = self._engine
        self._next_settlement = utc.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if engine.portfolio.unsettled:
            for security in list(engine.securities.active.values()):
                security.settlement_model.scan(engine.portfolio, utc)

    def _finish_warm_up(self) -> None:
        self._warm_up.finish()
        self.call("OnWarmupFinished", self._algorithm.on_warmup_finished)
        self._engine.debug("Algorithm finished warming up.")

    def _process_delistings(self, data: Slice) -> None:
        expired = [symbol for symbol, delisting in data.delistings.items() if delisting.type is DelistingType.DELISTED]
        if expired:
            self._engine.broker.settle(expired)

    def _report(self, changes: SecurityChanges) -> bool:
        if self._hears_end_of_day:
            self._schedule_end_of_day(changes)
        return self.call("OnSecuritiesChanged", self._algorithm.on_securities_changed, changes)

    def _schedule_end_of_day(self, changes: SecurityChanges) -> None:
        """LEAN calls on_end_of_day(symbol) ten minutes before each security's close, also for every contract."""
        engine = self._engine
        hook = self._algorithm.on_end_of_day
        for security in changes.added_securities:
            symbol = security.symbol
            self._ends_of_day[symbol] = engine.schedule.on(
                f"{symbol}.EndOfDay",
                engine.date_rules.every_day(symbol),
                engine.time_rules.before_market_close(symbol, 10),
                lambda symbol=symbol, security=security: None if security.is_delisted else hook(symbol),
            )
        for security in changes.removed_securities:
            event = self._ends_of_day.pop(security.symbol, None)
            if event is not None:
                engine.schedule.remove(event)

    def _corporate_hooks(self, data: Slice, corporate: DayEvents) -> bool:
        self._universe.corporate.apply(corporate)
        if corporate.splits and not self.call("OnSplits", self._algorithm.on_splits, data.splits):
            return False
        return not corporate.dividends or self.call("OnDividends", self._algorithm.on_dividends, data.dividends)
