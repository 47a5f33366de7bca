"""The minute loop, in LEAN's order (Engine/AlgorithmManager.cs).

One time slice: past scheduled events, each at its own time; the clock; securities that joined and left; prices; fills
of working orders; scheduled events of this moment; margin call check; on_securities_changed; dividends and splits and
their hooks; on_data; what this step has ordered and cancelled.

`Loop.steps` is a generator that says at which moment it will act next, so that a test or a paper run can stop anywhere.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from engine.algorithm import QCAlgorithm, SecurityChanges
from engine.clock import MINUTE_OFFSETS, MINUTES_PER_DAY
from engine.corporate_events import CorporateCalendar, DayEvents
from engine.enums import AlgorithmStatus, DataNormalizationMode, DelistingType
from engine.errors import SimulatedDeath
from engine.expiries import ExpiryBook
from engine.market_bars import Delisting
from engine.models import margin_call
from engine.orders import GroupOrderManager, OrderEvent, plain_number
from engine.securities import Option, Security
from engine.selection import Selection, selections
from engine.slice import NO_DELISTINGS, Delistings, Dividends, Slice, Splits
from engine.symbols import Symbol
from engine.tickets import OrderTicket, SubmitOrderRequest
from engine.warmup import WarmUp

if TYPE_CHECKING:
    from engine.state import EngineState

_ONE_DAY: Final = timedelta(days=1)
_MARGIN_CALL_SPAN: Final = timedelta(minutes=5)


@dataclass(slots=True)
class NightPoint:
    """What is due at one minute besides minute bars."""

    selections: list[tuple[Symbol, Selection]] = field(default_factory=list)
    corporate: DayEvents | None = None


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
        self.algorithm_s = 0.0  # spent in the algorithm's own code, calls into the engine included
        self.data_points = 0
        self.equity: list[EquityPoint] = []
        self.is_finished = False
        self._is_started = False
        self._in_hook = False
        self._expiries = ExpiryBook()
        self._delisted: list[Option] = []
        self._corporate = CorporateCalendar(engine)
        self._warm_up = WarmUp(engine)
        self._selections: dict[Symbol, list[Selection]] = {}
        self._streams: dict[Symbol, Iterator[Selection]] = {}
        self._next_settlement = datetime.min
        self._next_margin_call = datetime.min
        self._hears_data = type(algorithm).on_data is not QCAlgorithm.on_data
        self._hears_end_of_day = getattr(type(algorithm), "on_end_of_day", None)
        engine.call_order_event = self._order_event
        engine.call_assignment = self._assignment

    # Hooks.

    def call(self, where: str, hook: Callable[..., Any], *arguments: Any) -> bool:
        """Run one of the algorithm's functions; whatever it throws becomes the run's error."""
        if self._in_hook:
            return self._guarded(where, hook, arguments)
        self._in_hook = True
        started = perf_counter()
        try:
            return self._guarded(where, hook, arguments)
        finally:
            self.algorithm_s += perf_counter() - started
            self._in_hook = False

    def _guarded(self, where: str, hook: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
        try:
            hook(*arguments)
        except SimulatedDeath:
            raise
        except BaseException as error:  # noqa: BLE001 - LEAN's boundary: even SystemExit in a hook is a runtime error
            self._engine.set_runtime_error(where, error, traceback.format_exc())
            return False
        return True

    def _order_event(self, event: OrderEvent) -> None:
        # After an error LEAN goes on with the code that sent the order, and stops at its next check.
        self.call("Order Event Handler", self._algorithm.on_order_event, event)

    def _assignment(self, event: OrderEvent) -> None:
        self.call("Assignment Order Event Handler", self._algorithm.on_assignment_order_event, event)

    # The run.

    def steps(self) -> Iterator[datetime]:
        """Yield the UTC moment of what comes next, then do it; ends with the run."""
        engine = self._engine
        engine.is_locked = True
        self._learn_new()
        first_day = self._warm_up.begin()
        start_utc = engine.clock.utc
        engine.scheduler.start(start_utc)
        self._schedule_sampling()
        if engine.is_warming_up:
            engine.debug("Algorithm starting warm up...")
        else:
            self.call("OnWarmupFinished", self._algorithm.on_warmup_finished)
        for ordinal in range(first_day.toordinal(), engine.end_date.toordinal() + 1):
            day = date.fromordinal(ordinal)
            midnight = engine.clock.new_york.utc(datetime.fromordinal(ordinal))
            night = self._night(day, midnight, start_utc)
            for minute in sorted(night):
                utc = midnight + MINUTE_OFFSETS[minute]
                yield from self._past(utc)
                if not self._night_slice(ordinal, minute, utc, night[minute]):
                    return
            first_minute = max(night, default=-1)
            after = self._minute_of(start_utc, midnight) if midnight <= start_utc < midnight + _ONE_DAY else -1
            for minute in self._minutes(day, max(first_minute, after)):
                utc = midnight + MINUTE_OFFSETS[minute]
                yield from self._past(utc)
                if not self._minute_slice(ordinal, minute, utc):
                    return
            self._close_day(ordinal)

    def _past(self, utc: datetime) -> Iterator[datetime]:
        """Before a slice: hide what expires with it, fire what was due since the last one, then announce the slice."""
        engine = self._engine
        if self._warm_up.ends_before(utc):
            yield from self._fire_past(self._warm_up.end_utc)
            engine.clock.set_utc(self._warm_up.end_utc)
            self._finish_warm_up()
        if self._expiries.next_delisting <= utc:
            self._hide_delisted(utc)
        events = engine.scheduler.due_list()
        if events and events[0].next_utc < utc:
            yield from self._fire_past(utc)
        yield utc

    def _fire_past(self, utc: datetime) -> Iterator[datetime]:
        scheduler = self._engine.scheduler
        events = scheduler.due_list()
        while events and events[0].next_utc < utc:
            yield events[0].next_utc
            if not self.call("Scheduled event", scheduler.fire_first, events, True):
                return

    def finish(self) -> None:
        """Call on_end_of_algorithm unless an error ended the run, and take the last sample."""
        engine = self._engine
        if self.is_finished:
            return
        self.is_finished = True
        if engine.run_time_error is None:
            self.call("OnEndOfAlgorithm", self._algorithm.on_end_of_algorithm)
        self.sample()
        if engine.run_time_error is None:
            engine.status = AlgorithmStatus.COMPLETED

    def sample(self) -> None:
        engine = self._engine
        self.equity.append(EquityPoint(engine.clock.utc, engine.portfolio.total_portfolio_value))

    def _schedule_sampling(self) -> None:
        """LEAN samples the account at every midnight, as a scheduled event like any other."""
        engine = self._engine
        engine.schedule.on("Daily Sampling", engine.date_rules.every_day(), engine.time_rules.midnight, self.sample)

    def _may_go_on(self) -> bool:
        """LEAN's check before a slice."""
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

    @staticmethod
    def _minute_of(utc: datetime, midnight: datetime) -> int:
        return int((utc - midnight).total_seconds()) // 60

    def _night(self, day: date, midnight: datetime, start_utc: datetime) -> dict[int, NightPoint]:
        """Return what happens outside of sessions on a day: the start, selections, expiries, corporate events."""
        engine = self._engine
        points: dict[int, NightPoint] = {}
        if not self._is_started:
            points[self._minute_of(start_utc, midnight)] = NightPoint()
        following = engine.clock.new_york.utc(datetime(day.year, day.month, day.day) + _ONE_DAY)
        for canonical in list(engine.chains):
            for selection in self._due_selections(canonical, following):
                minute = self._minute_of(selection.utc, midnight)
                points.setdefault(minute, NightPoint()).selections.append((canonical, selection))
        for moment in self._expiries.moments(midnight, following):
            points.setdefault(self._minute_of(moment, midnight), NightPoint())
        events = self._corporate.on(day)
        if events is not None:
            points.setdefault(0, NightPoint()).corporate = events
        first = self._minute_of(start_utc, midnight)
        return {minute: point for minute, point in points.items() if minute >= first}

    def _due_selections(self, canonical: Symbol, limit: datetime) -> list[Selection]:
        """Return the selections of a chain before a moment that were not returned yet."""
        engine = self._engine
        if canonical not in self._streams:
            end = engine.clock.new_york.utc(datetime.combine(engine.end_date, datetime.min.time()) + _ONE_DAY)
            hours = engine.canonicals[canonical].hours
            self._streams[canonical] = selections(hours, engine.clock.utc, end)
            self._selections[canonical] = []
        waiting = self._selections[canonical]
        due: list[Selection] = []
        while True:
            if not waiting:
                following = next(self._streams[canonical], None)
                if following is None:
                    return due
                waiting.append(following)
            if waiting[0].utc >= limit:
                return due
            due.append(waiting.pop(0))

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
            self.data_points += plan.data_points
            for stream in plan.streams:
                stream.security.catch_up()
        for security in list(self._engine.portfolio.held.values()):
            security.catch_up()

    # Slices.

    def _begin_slice(self, ordinal: int, minute: int, utc: datetime) -> None:
        clock = self._engine.clock
        clock.set_utc(utc)
        clock.stamp = ordinal * MINUTES_PER_DAY + minute

    def _night_slice(self, ordinal: int, minute: int, utc: datetime, point: NightPoint) -> bool:
        """Run a slice that is not, or not only, minute bars; False ends the run."""
        engine = self._engine
        if not self._may_go_on():
            return False
        self._begin_slice(ordinal, minute, utc)
        for canonical, selection in point.selections:
            self._select(canonical, selection)
        delistings = self._delistings(utc)
        data = Slice(engine.clock.time, utc, None, minute)
        if delistings:
            data.delistings = Delistings(delistings)
        if point.corporate is not None:
            data.splits = Splits(point.corporate.splits)
            data.dividends = Dividends(point.corporate.dividends)
        data.has_data = bool(delistings) or point.corporate is not None
        return self._run_slice(data, utc, point.corporate)

    def _minute_slice(self, ordinal: int, minute: int, utc: datetime) -> bool:
        """Run the slice of a minute; False ends the run."""
        engine = self._engine
        if not self._may_go_on():
            return False
        plan = engine.feed.plan
        assert plan is not None
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
        engine.portfolio.invalidate()
        if self._warm_up.is_over:
            self._finish_warm_up()
        transactions, broker, scheduler = engine.transactions, engine.broker, engine.scheduler
        transactions.process_pending()
        broker.advance()
        if data.delistings is not NO_DELISTINGS:
            self._process_delistings(data)
        events = scheduler.due_list()
        while events and events[0].next_utc <= utc:
            if not self.call("Scheduled event", scheduler.fire_first, events, False):
                break
        if self._corporate.has_warnings:
            self._corporate.close_options_before_split()
        if engine.status is not AlgorithmStatus.RUNNING:
            return False  # an error, or quit
        if utc >= self._next_margin_call and not self._check_margin(utc):
            return False
        if (engine.pending_added or engine.pending_removed) and not self._report_changes():
            return False
        if corporate is not None and not self._corporate_hooks(data, corporate):
            return False
        if data.delistings is not NO_DELISTINGS and not self.call(
            "OnDelistings", self._algorithm.on_delistings, data.delistings
        ):
            return False
        if data.has_data and self._hears_data and not self.call("OnData", self._algorithm.on_data, data):
            return False
        if transactions.has_work():
            transactions.process_pending()
        broker.advance()
        if engine.object_store.is_dirty:
            engine.object_store.tick(utc)
        return True

    def _settle_cash(self, utc: datetime) -> None:
        """Once an hour, as LEAN does: move what has settled."""
        engine = self._engine
        self._next_settlement = utc.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if engine.portfolio.unsettled:
            for security in list(engine.securities.active.values()):
                security.settlement_model.scan(engine.portfolio, utc)

    def _finish_warm_up(self) -> None:
        engine = self._engine
        self._warm_up.finish()
        self.call("OnWarmupFinished", self._algorithm.on_warmup_finished)
        engine.debug("Algorithm finished warming up.")

    def _corporate_hooks(self, data: Slice, corporate: DayEvents) -> bool:
        self._corporate.apply(corporate)
        if corporate.splits and not self.call("OnSplits", self._algorithm.on_splits, data.splits):
            return False
        return not corporate.dividends or self.call("OnDividends", self._algorithm.on_dividends, data.dividends)

    # Universe.

    def _select(self, canonical: Symbol, selection: Selection) -> None:
        """Run a chain's filter on the file that is due; without a file nothing changes."""
        engine = self._engine
        table = engine.source.universe(canonical, selection.file_date)
        chain = engine.chains.get(canonical)
        if table is None or chain is None:
            return
        self.data_points += len(table)
        option = engine.canonicals[canonical]
        if option.contract_filter is not None:
            chain.contract_filter = option.contract_filter
        change = chain.select(table, selection, engine.may_leave_universe)
        for symbol in change.removed:
            engine.pending_removed.append(engine.securities[symbol])
        for symbol in change.ended:
            self._end_subscription(engine.securities[symbol])
        settings = option.subscription
        for symbol in change.added:
            known = engine.securities.find(symbol)
            if known is not None and engine.feed.is_subscribed(symbol):
                continue
            subscription = engine.make_subscription(
                symbol, settings.resolution, settings.fill_forward, False, DataNormalizationMode.RAW
            )
            if known is None:
                known = engine.create_security(symbol, subscription)
            else:
                known.resume(subscription)
                engine.securities.add(known)
            engine.subscribe(known)
        self._learn_new()

    def _learn_new(self) -> None:
        """Note the expiries and corporate events of what was subscribed since the last look."""
        engine = self._engine
        for security in engine.newly_subscribed:
            if isinstance(security, Option):
                self._expiries.add(security)
            else:
                self._corporate.learn(security)
        engine.newly_subscribed.clear()

    def _end_subscription(self, security: Security) -> None:
        engine = self._engine
        engine.unsubscribe(security)
        if isinstance(security, Option):
            self._expiries.remove(security)
        if not security.is_delisted:
            security.forget()

    def _hide_delisted(self, utc: datetime) -> None:
        """LEAN's feed runs ahead: what leaves with the next slice is hidden before the events of the past are fired."""
        engine = self._engine
        # LEAN's cached value keeps the contracts that are about to be hidden; make sure that it is there.
        engine.portfolio.keep_value()
        for option in self._expiries.take_delisted(utc):
            is_tied = not engine.may_leave_universe(option.symbol)
            option.is_delisted = True
            option.is_tradable = False
            engine.securities.hide(option.symbol)
            engine.feed.remove(option, engine.clock.stamp)
            chain = engine.chains.get(option.symbol.canonical)
            is_reported = chain is not None and option.symbol in chain.pending
            if chain is not None:
                chain.drop(option.symbol)
            if not is_reported:
                engine.pending_removed.append(option)
            if is_tied:
                option.catch_up()
                self._delisted.append(option)
            else:
                option.forget()
        engine.portfolio.visibility_changed()

    def _delistings(self, utc: datetime) -> dict[Symbol, Delisting]:
        """Return the delistings of a slice: warnings for all contracts of the day, delistings for those still tied."""
        found: dict[Symbol, Delisting] = {}
        for option in self._delisted:
            moment = option.clock.local(utc)
            found[option.symbol] = Delisting(option.symbol, moment, option.price, DelistingType.DELISTED)
        self._delisted.clear()
        for option in self._expiries.take_warned(utc):
            moment = option.clock.local(utc)
            found[option.symbol] = Delisting(option.symbol, moment, option.price, DelistingType.WARNING)
        return found

    def _process_delistings(self, data: Slice) -> None:
        expired = [symbol for symbol, delisting in data.delistings.items() if delisting.type is DelistingType.DELISTED]
        if expired:
            self._engine.broker.settle(expired)

    def _report_changes(self) -> bool:
        engine = self._engine
        self._learn_new()
        changes = SecurityChanges(engine.pending_added, engine.pending_removed)
        engine.pending_added, engine.pending_removed = [], []
        if self._hears_end_of_day is not None:
            self._schedule_end_of_day(changes)
        return self.call("OnSecuritiesChanged", self._algorithm.on_securities_changed, changes)

    def _schedule_end_of_day(self, changes: SecurityChanges) -> None:
        """LEAN calls on_end_of_day(symbol) ten minutes before each security's close, also for every contract."""
        engine = self._engine
        hook = self._algorithm.on_end_of_day
        for security in changes.added_securities:
            symbol = security.symbol
            engine.schedule.on(
                f"{symbol}.EndOfDay",
                engine.date_rules.every_day(symbol),
                engine.time_rules.before_market_close(symbol, 10),
                lambda symbol=symbol, security=security: None if security.is_delisted else hook(symbol),
            )

    # Margin calls.

    def _check_margin(self, utc: datetime) -> bool:
        """Every five minutes: warn, or reduce positions."""
        engine = self._engine
        self._next_margin_call = utc + _MARGIN_CALL_SPAN
        if not engine.portfolio.held or engine.live_mode:
            return True
        found = margin_call.scan_margin_call(engine.portfolio.view)
        executed: list[OrderTicket] = []
        orders = margin_call.losers_first(engine.portfolio.view, found.orders)
        symbols = [symbol for order in orders for symbol, _ in order.legs]
        if orders and all(engine.securities[symbol].exchange.exchange_open for symbol in symbols):
            requests = [request for order in orders for request in self._margin_requests(order)]
            answer: list[SubmitOrderRequest] = []

            def ask() -> None:
                chosen = self._algorithm.on_margin_call(requests)
                if not isinstance(chosen, list | tuple) or not chosen:
                    raise ValueError("on_margin_call: expected a non-empty list of the requests to execute.")
                answer.extend(chosen)

            if not self.call("OnMarginCall", ask):
                return False
            executed = self._execute_margin_call(answer)
        if not executed and found.is_warning:
            return self.call("OnMarginCallWarning", self._algorithm.on_margin_call_warning)
        return True

    def _margin_requests(self, order: margin_call.MarginCallOrder) -> list[SubmitOrderRequest]:
        engine = self._engine
        group = None
        if len(order.legs) > 1:
            group = GroupOrderManager(engine.transactions.next_group_id(), len(order.legs), order.group_quantity)
        return [
            SubmitOrderRequest(
                order.type,
                symbol,
                quantity,
                engine.clock.utc,
                tag=order.tag,
                order_properties=self._algorithm.default_order_properties.clone(),
                group_order_manager=group,
            )
            for symbol, quantity in order.legs
        ]

    def _execute_margin_call(self, requests: list[SubmitOrderRequest]) -> list[OrderTicket]:
        engine = self._engine
        executed: list[OrderTicket] = []
        groups: dict[int, list[SubmitOrderRequest]] = {}
        for number, request in enumerate(requests):
            group = request.group_order_manager
            groups.setdefault(-1 - number if group is None else group.id, []).append(request)
        for batch in groups.values():
            if margin_call.is_cured(engine.portfolio.view):
                break
            executed += [engine.transactions.add_order(request) for request in batch]
        for ticket in executed:
            engine.error(
                f"{engine.clock.time:%m/%d/%Y %H:%M:%S} - Executed MarginCallOrder: {ticket.symbol} - Quantity: "
                f"{plain_number(ticket.quantity)} @ {plain_number(ticket.average_fill_price)}"
            )
        return executed
