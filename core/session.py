"""Where in the trading day we are, and what the day opened at.

Everything hangs on the open O and the close X of the anchor exchange, so that deadlines follow early closes; the wall
clock is never asked.  Times are naive New York.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count

from core import nyse_calendar
from core.market import OpeningPrice, OpeningStatus, Session
from core.ports import MarketFeed, RawBar
from core.settings import SessionSettings
from core.vocabulary import SessionPhase

_DAY = timedelta(days=1)
FIRST_CLOSES = 5
"""The opening price is judged against the mean of so many first minute closes (risk.md 3)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of a session, from its first moment to the first one after it."""

    session: Session
    phase: SessionPhase
    start: datetime
    end: datetime


class SessionClock:
    """Sessions and session phases of the anchor exchange. Remembers only what it computed from the calendar."""

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._closed_days = frozenset(settings.closed_days)
        self._sessions: dict[date, Session | None] = {}
        self._span: Span | None = None
        """What was asked for last: it holds for every moment between its start and its end."""

    def covers(self, day: date) -> bool:
        """Tell whether the calendar is proven for a day; the self-test asks."""
        return nyse_calendar.is_covered(day)

    def is_trading_day(self, day: date) -> bool:
        return nyse_calendar.is_trading_day(day) and day not in self._closed_days

    def session(self, day: date) -> Session | None:
        """Return the session of a day, None where the exchange stays closed."""
        try:
            return self._sessions[day]
        except KeyError:
            made = self._sessions[day] = self._make(day) if self.is_trading_day(day) else None
            return made

    def next_session(self, day: date) -> Session:
        """Return the first session after a day."""
        return self._found(self._neighbour(day, _DAY))

    def previous_session(self, day: date) -> Session:
        """Return the last session before a day."""
        return self._found(self._neighbour(day, -_DAY))

    def sessions_between(self, first: date, last: date) -> tuple[date, ...]:
        """Return the trading days from first to last, both included."""
        days = (first + timedelta(days=step) for step in range((last - first).days + 1))
        return tuple(day for day in days if self.is_trading_day(day))

    def phase(self, now: datetime) -> SessionPhase | None:
        """Return the phase of a step stamped now; None where no step runs (before O-30, after X+15, on closed days)."""
        span = self.at(now)
        return None if span is None else span.phase

    def at(self, now: datetime) -> Span | None:
        """Return session and phase of a step stamped now, None where no step runs."""
        span = self._span
        if span is not None and span.start <= now < span.end:
            return span
        span = self._span_at(now)
        if span is not None:
            self._span = span
        return span

    def minutes(self, day: date) -> list[datetime]:
        """Return the minutes of a day that have a step, in order; none where the exchange stays closed."""
        session = self.session(day)
        if session is None:
            return []
        first = session.after_open(-self._settings.pre_open_min)
        last = session.close + timedelta(minutes=self._settings.after_close_min)
        return [first + timedelta(minutes=passed) for passed in range((last - first) // timedelta(minutes=1) + 1)]

    def next_start(self, now: datetime) -> datetime:
        """Return the first moment from now on in which a step may run: now itself inside of a session's steps."""
        if self.at(now) is not None:
            return now
        session = self.session(now.date())
        if session is None or now > session.open:
            session = self.next_session(now.date())
        return session.after_open(-self._settings.pre_open_min)

    def _span_at(self, now: datetime) -> Span | None:
        session = self.session(now.date())
        if session is None:
            return None
        settings = self._settings
        end = session.close + timedelta(minutes=settings.after_close_min) + timedelta.resolution  # X+15 has a step
        if now >= end:
            return None
        # Latest first, so that a short day shortens the phases before.
        for start, phase in (
            (session.close, SessionPhase.CLOSED),
            (session.before_close(settings.final_min), SessionPhase.FINAL),
            (session.before_close(settings.flatten_min), SessionPhase.FLATTEN),
            (session.before_close(settings.late_min), SessionPhase.LATE),
            (session.after_open(settings.opening_min), SessionPhase.REGULAR),
            (session.open, SessionPhase.OPENING),
            (session.after_open(-settings.pre_open_min), SessionPhase.PRE_OPEN),
        ):
            if now >= start:
                return Span(session, phase, start, end)
            end = min(end, start)
        return None

    def _make(self, day: date) -> Session:
        close = nyse_calendar.close_of(day)
        following = self._neighbour(day, _DAY)
        return Session(
            day=day,
            open=datetime.combine(day, nyse_calendar.OPEN),
            close=datetime.combine(day, close),
            half_day=close < nyse_calendar.CLOSE,
            last_of_week=following.isocalendar()[:2] != day.isocalendar()[:2],
            previous=self._neighbour(day, -_DAY),
            next=following,
        )

    def _neighbour(self, day: date, step: timedelta) -> date:
        return next(found for steps in count(1) if self.is_trading_day(found := day + steps * step))

    def _found(self, day: date) -> Session:
        session = self.session(day)
        assert session is not None, "the calendar has just called it a trading day"
        return session


class OpeningPriceKeeper:
    """The official open of the anchor: the open of its first regular minute bar, today.

    Live minutes are trusted when the first five came one by one; everything else (late start, gap, restart) is read
    from history, so that a restart at any minute finds the same price.  The current price is never taken for it.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._day: date | None = None
        self._started = datetime.min
        self._bars: list[RawBar] = []
        self._known = OpeningPrice(OpeningStatus.PENDING)

    def observe(self, feed: MarketFeed, session: Session, bar: RawBar | None, last_close: float | None) -> OpeningPrice:
        """Take one step in: the anchor's bar of this minute, and its close of the session before (None: not known)."""
        if session.day == self._day and self._known.status is not OpeningStatus.PENDING:
            return self._known
        now = feed.time
        if session.day != self._day:
            self._day, self._started = session.day, now
            self._bars.clear()
            self._known = OpeningPrice(OpeningStatus.PENDING)
        if bar is not None and session.open < bar.end and len(self._bars) < FIRST_CLOSES:
            self._bars.append(bar)
        if now >= session.after_open(self._settings.opening_min):
            self._known = self._decide(feed, session, last_close)
        return self._known

    def _decide(self, feed: MarketFeed, session: Session, last_close: float | None) -> OpeningPrice:
        settings = self._settings
        bars: Sequence[RawBar] = self._bars
        if not _one_by_one(bars, session.open):
            anchor = feed.minute_history(settings.anchor, session.open)
            bars = [bar for bar in anchor if session.open < bar.end <= session.close][:FIRST_CLOSES]
        # A first bar that ends later than O+5 may be the first one that we happen to know, not the first one that was.
        in_time = bool(bars) and bars[0].end <= session.after_open(settings.opening_min)
        if in_time and len(bars) == FIRST_CLOSES and last_close is not None:
            valid = self._is_valid(bars, last_close)
            return OpeningPrice(OpeningStatus.KNOWN, bars[0].open) if valid else OpeningPrice(OpeningStatus.UNKNOWN)
        patience = max(
            session.after_open(settings.opening_price_wait_min),
            self._started + timedelta(minutes=settings.opening_price_late_wait_min),
        )
        return OpeningPrice(OpeningStatus.PENDING if feed.time <= patience else OpeningStatus.UNKNOWN)

    def _is_valid(self, bars: Sequence[RawBar], last_close: float) -> bool:
        price, settings = bars[0].open, self._settings
        mean = sum(bar.close for bar in bars) / len(bars)
        near = abs(price - mean) <= settings.opening_price_tolerance_pct / 100 * mean
        low, high = settings.opening_price_low_fraction, settings.opening_price_high_fraction
        return near and low * last_close <= price <= high * last_close


def _one_by_one(bars: Sequence[RawBar], opened: datetime) -> bool:
    """Tell whether these are the first minutes of the session without a gap."""
    return len(bars) == FIRST_CLOSES and all(bar.end == opened + timedelta(minutes=n) for n, bar in enumerate(bars, 1))
