"""Market data of a run: who is subscribed to what, and the columns of the day.

Nothing here costs anything per contract and minute.  A day is opened once: the feed learns at which minutes there is
any data at all (those become time slices) and how many points LEAN would count; columns are parsed when somebody looks.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from engine.clock import MINUTES_PER_DAY, NEVER
from engine.columns import DailyColumns, DataSource, OptionDay, QuoteColumns, TradeColumns
from engine.enums import DataNormalizationMode, Resolution, SecurityType
from engine.option_group import OptionGroup
from engine.option_points import first_minute_of, note_first_bars, points_of_group

if TYPE_CHECKING:
    from engine.hours import Session
    from engine.securities import Security
    from engine.symbols import Symbol

Present = npt.NDArray[np.bool_]
OPTION_SECURITY_TYPES: Final = frozenset({SecurityType.OPTION, SecurityType.INDEX_OPTION})


@dataclass(slots=True)
class Subscription:
    """What an algorithm wants to know of one security."""

    resolution: Resolution
    fill_forward: bool
    extended: bool
    normalization: DataNormalizationMode
    trades: bool
    quotes: bool
    # Data that ended at or before this stamp is history; data after `until` is no longer delivered.
    since: int
    until: int = NEVER
    # Day of the first bar: fill-forward repeats bars from it on.
    trades_since: int = NEVER
    quotes_since: int = NEVER


class Stream:
    """One equity or index on one day."""

    __slots__ = (
        "bar_period",
        "begin",
        "close_minute",
        "first_quote",
        "first_trade",
        "quotes",
        "security",
        "session",
        "subscription",
        "symbol",
        "trades",
    )

    def __init__(self, security: Security, subscription: Subscription, session: Session) -> None:
        self.security = security
        self.symbol = security.symbol
        self.subscription = subscription
        self.session = session
        self.close_minute = session.close_minute
        self.trades: TradeColumns | None = None
        self.quotes: QuoteColumns | None = None
        # First minute that has a bar, real or repeated; NEVER without one.
        self.first_trade = NEVER
        self.first_quote = NEVER
        daily = subscription.resolution is Resolution.DAILY
        self.bar_period = timedelta(minutes=session.close_minute - session.open_minute if daily else 1)
        # A bar that ends at a New York minute begins, in exchange time, so many minutes after this.
        self.begin = security.clock.new_york_midnight(session.date.toordinal()) - self.bar_period


@dataclass(slots=True)
class DayPlan:
    """One calendar day: its slices' minutes and what delivers them."""

    day: date
    ordinal: int
    streams: list[Stream] = field(default_factory=list)
    groups: dict[Symbol, OptionGroup] = field(default_factory=dict)
    minutes: list[int] = field(default_factory=list)
    data_points: int = 0
    by_symbol: dict[Symbol, Stream] = field(default_factory=dict)

    def next_minute(self, after: int) -> int:
        """Return the first minute with data after a minute, -1 when there is none."""
        at = bisect_right(self.minutes, after)
        return self.minutes[at] if at < len(self.minutes) else -1

    def has_minute(self, minute: int) -> bool:
        at = bisect_right(self.minutes, minute)
        return at > 0 and self.minutes[at - 1] == minute


class Feed:
    """Subscriptions and the data behind them."""

    def __init__(self, source: DataSource) -> None:
        self.source = source
        self.subscribed: dict[Symbol, Security] = {}
        self.plan: DayPlan | None = None
        # Whether the plan of the day misses a subscription that came or went meanwhile.
        self.is_stale = False
        # Whether any option of the run has had a trade; most folders hold quotes only, and nobody has to look.
        self.options_trade = False
        self._option_days: dict[tuple[Symbol, int], OptionDay | None] = {}

    def add(self, security: Security) -> None:
        self.subscribed[security.symbol] = security
        self.is_stale = True

    def remove(self, security: Security, stamp: int) -> None:
        """End a subscription; what was delivered up to `stamp` stays readable."""
        security.subscription.until = min(security.subscription.until, stamp)
        self.subscribed.pop(security.symbol, None)
        self.is_stale = True

    @property
    def may_change(self) -> bool:
        """Whether the market itself may be edited while the day runs."""
        return self.source.revision != 0

    def is_subscribed(self, symbol: Symbol) -> bool:
        return symbol in self.subscribed

    # What securities ask for.

    def trades(self, security: Security, ordinal: int) -> TradeColumns | None:
        """Return the trade bars of one day that LEAN would deliver: within the session, prices scaled."""
        if not security.subscription.trades:
            return None
        symbol = security.symbol
        plan = self.plan
        if plan is not None and plan.ordinal == ordinal:
            stream = plan.by_symbol.get(symbol)
            if stream is not None:
                return stream.trades
        day = date.fromordinal(ordinal)
        if symbol.security_type in OPTION_SECURITY_TYPES:
            option_day = self.option_day(symbol.canonical, ordinal)
            found = None if option_day is None else option_day.trade(symbol)
        else:
            found = self.source.trades(symbol, day)
        if found is None:
            return None
        session = security.hours.session(day)
        if session is None:
            return None
        return self._scaled(security, found.between(session.open_minute + 1, session.close_minute), day)

    def quotes(self, security: Security, ordinal: int) -> QuoteColumns | None:
        """Return the quote bars of one day that LEAN would deliver."""
        if not security.subscription.quotes:
            return None
        symbol = security.symbol
        plan = self.plan
        day = date.fromordinal(ordinal)
        if plan is not None and plan.ordinal == ordinal:
            stream = plan.by_symbol.get(symbol)
            if stream is not None:
                return stream.quotes
            group = plan.groups.get(symbol.canonical) if symbol.security_type in OPTION_SECURITY_TYPES else None
            if group is not None and group.parsed is not None and symbol in group.parsed:
                return group.parsed[symbol]
        if symbol.security_type in OPTION_SECURITY_TYPES:
            option_day = self.option_day(symbol.canonical, ordinal)
            found = None if option_day is None else option_day.quote(symbol)
        else:
            found = self.source.quotes(symbol, day)
        if found is None:
            return None
        session = security.hours.session(day)
        if session is None:
            return None
        kept = found.between(session.open_minute + 1, session.close_minute)
        factor = self._factor(security, day)
        if factor != 1.0:
            values = kept.values.copy()
            values[:, [0, 1, 2, 3, 5, 6, 7, 8]] *= factor
            kept = QuoteColumns(kept.end_minute, values)
        return kept

    def option_day(self, canonical: Symbol, ordinal: int) -> OptionDay | None:
        """Return the contracts of one root on one day; the two newest days are kept open."""
        key = (canonical, ordinal)
        days = self._option_days
        if key not in days:
            while len(days) >= 8:
                del days[next(iter(days))]
            days[key] = self.source.option_day(canonical, date.fromordinal(ordinal))
        return days[key]

    def _factor(self, security: Security, day: date) -> float:
        mode = security.subscription.normalization
        if mode is DataNormalizationMode.RAW or security.symbol.security_type is not SecurityType.EQUITY:
            return 1.0
        factors = self.source.factors(security.symbol)
        return 1.0 if factors is None else factors.price_factor(day, mode)

    def _scaled(self, security: Security, columns: TradeColumns, day: date) -> TradeColumns:
        factor = self._factor(security, day)
        if factor == 1.0:
            return columns
        values = columns.values.copy()
        values[:, :4] *= factor
        return TradeColumns(columns.end_minute, values)

    def daily_bar(self, security: Security, columns: DailyColumns, row: int, session: Session) -> TradeColumns:
        """Return one daily bar as a bar that ends at the session's close (LEAN's precise end times)."""
        end = np.array([session.close_minute], dtype=np.int32)
        return self._scaled(security, TradeColumns(end, columns.values[row : row + 1]), session.date)

    # What the loop asks for.

    def open_day(self, day: date) -> DayPlan:
        """Read what the subscribed equities and indices have on a day, and find all minutes with data."""
        ordinal = day.toordinal()
        self.plan = None
        self.is_stale = False
        plan = DayPlan(day, ordinal)
        present = np.zeros(MINUTES_PER_DAY + 1, dtype=bool)
        for security in self.subscribed.values():
            subscription = security.subscription
            session = security.hours.session(day)
            if session is None:
                continue
            if subscription.resolution is Resolution.DAILY:
                self._open_daily(plan, security, session, present)
                continue
            if security.symbol.security_type in OPTION_SECURITY_TYPES:
                self._join(plan, security, session, ordinal)
            else:
                stream = Stream(security, subscription, session)
                stream.trades = self.trades(security, ordinal)
                stream.quotes = self.quotes(security, ordinal)
                plan.streams.append(stream)
                plan.by_symbol[security.symbol] = stream
                plan.data_points += _mark(stream, present, ordinal)
        for group in plan.groups.values():
            plan.data_points += _mark_options(group, present, ordinal)
            self.options_trade = self.options_trade or bool(group.trades())
        plan.minutes = np.flatnonzero(present).tolist()
        self.plan = plan
        return plan

    def _open_daily(self, plan: DayPlan, security: Security, session: Session, present: Present) -> None:
        """A daily bar is one point at the session's close."""
        columns = self.source.daily(security.symbol)
        row = -1 if columns is None else columns.row_of(session.date)
        stream = Stream(security, security.subscription, session)
        if columns is not None and row >= 0:
            stream.trades = self.daily_bar(security, columns, row, session)
            stream.first_trade = session.close_minute
            present[session.close_minute] = True
            plan.data_points += 1
        plan.streams.append(stream)
        plan.by_symbol[security.symbol] = stream

    def _join(self, plan: DayPlan, security: Security, session: Session, ordinal: int) -> None:
        canonical = security.symbol.canonical
        group = plan.groups.get(canonical)
        if group is None:
            fill_forward = security.subscription.fill_forward
            group = OptionGroup(canonical, session, fill_forward, self.option_day(canonical, ordinal), ordinal)
            plan.groups[canonical] = group
        group.members.append(security)


def _mark(stream: Stream, present: Present, ordinal: int) -> int:
    """Mark the minutes of a stream's bars and return how many points it delivers."""
    subscription = stream.subscription
    session = stream.session
    points = 0
    earliest = max(subscription.since - ordinal * MINUTES_PER_DAY + 1, 0)
    for name in ("trades", "quotes"):
        columns: TradeColumns | QuoteColumns | None = stream.trades if name == "trades" else stream.quotes
        count = 0 if columns is None else len(columns)
        started = (subscription.trades_since if name == "trades" else subscription.quotes_since) < ordinal
        first = NEVER
        if columns is not None and count:
            first = max(columns.first_minute, earliest)
        if subscription.fill_forward:
            first = max(session.open_minute + 1, earliest) if started else first
            if first <= session.close_minute:
                present[first : session.close_minute + 1] = True
                points += session.close_minute + 1 - first
        elif columns is not None and count:
            minutes = columns.end_minute
            if first > columns.first_minute:
                minutes = minutes[minutes >= first]
            present[minutes] = True
            points += len(minutes)
        if name == "trades":
            stream.first_trade = first
            if not started and first != NEVER:
                subscription.trades_since = ordinal
        else:
            stream.first_quote = first
            if not started and first != NEVER:
                subscription.quotes_since = ordinal
    return points


def _mark_options(group: OptionGroup, present: Present, ordinal: int) -> int:
    """Mark the minutes of a root's bars and return how many points its members deliver.

    Usually the underlying has marked every minute already, so contracts are only parsed, one after the other, while
    there are minutes of the session for which no data is known yet.
    """
    session, day = group.session, group.day
    opened, close = session.open_minute + 1, session.close_minute
    unknown = slice(opened, close + 1)
    if group.fill_forward:
        for member in group.members:
            span = None if day is None else day.row_span(member.symbol)
            if member.subscription.quotes_since < ordinal:
                present[unknown] = True
            elif span is not None:
                present[max(span.first, opened) : close + 1] = True
            note_first_bars(group, member.subscription, member.symbol)
        return points_of_group(group, close)
    if day is None:
        return 0
    for member in group.members:
        if present[unknown].all():
            break
        first = max(opened, first_minute_of(member, ordinal))
        columns: QuoteColumns | TradeColumns | None
        for columns in (day.quote(member.symbol), day.trade(member.symbol)):
            if columns is not None and len(columns):
                present[columns.between(first, close).end_minute] = True
    return points_of_group(group, close)
