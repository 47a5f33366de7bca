"""Who joins and leaves a run: chain selections, expiries, corporate events, and when each of them is due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from engine.algorithm import SecurityChanges
from engine.corporate_events import CorporateCalendar, DayEvents
from engine.enums import DataNormalizationMode, DelistingType
from engine.expiries import ExpiryBook
from engine.market_bars import Delisting
from engine.option_security import Option
from engine.securities import Security
from engine.selection import Selection, selections
from engine.symbols import Symbol

if TYPE_CHECKING:
    from engine.state import EngineState

_ONE_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class NightPoint:
    """What is due at one minute besides minute bars."""

    selections: list[tuple[Symbol, Selection]] = field(default_factory=list)
    corporate: DayEvents | None = None


class UniverseKeeper:
    """Keeps the universe of one run."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine
        self.corporate = CorporateCalendar(engine)
        self._expiries = ExpiryBook(lambda: engine.end_date)
        self._streams: dict[Symbol, Iterator[Selection]] = {}
        self._waiting: dict[Symbol, list[Selection]] = {}
        self._delisted: list[tuple[Option, bool]] = []  # whether it is held, ordered or unsettled
        self._chosen_now: set[Symbol] = set()  # the chains whose filter runs in this slice

    # When something is due.

    @property
    def next_delisting(self) -> datetime:
        return self._expiries.next_delisting

    def night(self, day: date, midnight: datetime, first_minute: int) -> dict[int, NightPoint]:
        """Return what is due outside of sessions on a day, by minute; nothing before the first minute of the run."""
        engine = self._engine
        points: dict[int, NightPoint] = {}
        following = self._following(day)
        for canonical in list(engine.chains):
            files = engine.source.universe_dates(canonical)
            for selection in self._due_selections(canonical, following):
                if selection.file_date not in files:
                    continue  # no file, no slice
                minute = minute_of(selection.utc, midnight)
                points.setdefault(minute, NightPoint()).selections.append((canonical, selection))
        for minute in self.expiry_minutes(day, midnight):
            points.setdefault(minute, NightPoint())
        events = self.corporate.on(day)
        if events is not None:
            points.setdefault(0, NightPoint()).corporate = events
        return {minute: point for minute, point in points.items() if minute >= first_minute}

    def expiry_minutes(self, day: date, midnight: datetime) -> list[int]:
        """Return the minutes of a day at which contracts are warned of, or leave."""
        return [minute_of(moment, midnight) for moment in self._expiries.moments(midnight, self._following(day))]

    def _following(self, day: date) -> datetime:
        return self._engine.clock.new_york.utc(datetime(day.year, day.month, day.day) + _ONE_DAY)

    def _due_selections(self, canonical: Symbol, limit: datetime) -> list[Selection]:
        """Return the selections of a chain before a moment that were not returned yet."""
        engine = self._engine
        if canonical not in self._streams:
            hours = engine.canonicals[canonical].hours
            self._streams[canonical] = selections(hours, engine.clock.utc, self._following(engine.end_date))
            self._waiting[canonical] = []
        waiting = self._waiting[canonical]
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

    # What happens then.

    def learn_new(self) -> None:
        """Note the expiries and corporate events of what was subscribed since the last look."""
        engine = self._engine
        for security in engine.newly_subscribed:
            if isinstance(security, Option):
                self._expiries.add(security)
            else:
                self.corporate.learn(security)
        engine.newly_subscribed.clear()

    def select(self, canonical: Symbol, selection: Selection) -> int:
        """Run a chain's filter on the file that is due; return the file's rows, 0 without a file."""
        engine = self._engine
        table = engine.source.universe(canonical, selection.file_date)
        chain = engine.chains.get(canonical)
        if table is None or chain is None:
            return 0
        self._chosen_now.add(canonical)
        option = engine.canonicals[canonical]
        if option.contract_filter is not None:
            chain.contract_filter = option.contract_filter
        change = chain.select(table, selection, engine.may_leave_universe)
        for symbol in change.removed:
            engine.pending_removed.append(engine.securities[symbol])
        for symbol in change.ended:
            self._end_subscription(engine.securities[symbol])
        if self._trades_again(option, selection.exchange_time):
            for symbol in change.added:
                self._add(symbol, option)
        self.learn_new()
        return len(table)

    def _trades_again(self, option: Option, local: datetime) -> bool:
        """Whether the run has a trading day left; LEAN subscribes nothing without one."""
        day = local if option.hours.is_date_open(local) else option.hours.get_next_trading_day(local)
        return day.date() <= self._engine.end_date

    def _add(self, symbol: Symbol, canonical: Option) -> None:
        engine = self._engine
        known = engine.securities.find(symbol)
        if known is not None and engine.feed.is_subscribed(symbol):
            return
        settings = canonical.subscription
        subscription = engine.make_subscription(
            symbol, settings.resolution, settings.fill_forward, False, DataNormalizationMode.RAW
        )
        if known is None:
            known = engine.create_security(symbol, subscription)
        else:
            known.resume(subscription)
            engine.securities.add(known)
        engine.subscribe(known)

    def _end_subscription(self, security: Security) -> None:
        engine = self._engine
        engine.unsubscribe(security)
        if isinstance(security, Option):
            self._expiries.remove(security)
        if not security.is_delisted:
            security.forget()

    def hide_delisted(self, utc: datetime) -> None:
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
            self._delisted.append((option, is_tied))
            if is_tied:
                option.catch_up()
        engine.portfolio.visibility_changed()

    def delistings(self, utc: datetime) -> dict[Symbol, Delisting]:
        """Return the delistings of a slice: warnings for all contracts of the day, delistings for all still subscribed.

        A choice of this very slice has ended the subscription of what is not tied; without a universe file it stays.
        """
        found: dict[Symbol, Delisting] = {}
        for option in self._expiries.take_warned(utc):
            found[option.symbol] = self._delisting(option, utc, DelistingType.WARNING)
        for option, is_tied in self._delisted:
            is_left = option.symbol.canonical not in self._chosen_now or option.symbol in self._engine.added_by_hand
            if is_tied or is_left:
                found[option.symbol] = self._delisting(option, utc, DelistingType.DELISTED)
            if not is_tied:
                option.forget()
        self._delisted.clear()
        self._chosen_now.clear()
        return found

    def _delisting(self, option: Option, utc: datetime, kind: DelistingType) -> Delisting:
        """Make the event; its price is that of the contract's last trade, 0 for one that was only quoted."""
        price = option.last_traded_price() if self._engine.feed.options_trade else 0.0
        return Delisting(option.symbol, option.clock.local(utc), price, kind)

    def take_changes(self) -> SecurityChanges | None:
        """Return, once, what joined and left since the last slice."""
        engine = self._engine
        if not engine.pending_added and not engine.pending_removed:
            return None
        self.learn_new()
        changes = SecurityChanges(engine.pending_added, engine.pending_removed)
        engine.pending_added, engine.pending_removed = [], []
        return changes


def minute_of(utc: datetime, midnight: datetime) -> int:
    """Return the minutes since midnight (both UTC)."""
    return int((utc - midnight).total_seconds()) // 60
