"""Warm-up: the run begins earlier, orders are refused, and the algorithm is told when it is over."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from engine.clock import MINUTE_OFFSETS
from engine.enums import Resolution

if TYPE_CHECKING:
    from engine.securities import Security
    from engine.state import EngineState


class WarmUp:
    """The warm-up of one run, if it asked for one."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine
        self._resolutions: dict[Security, Resolution] = {}
        self.end_utc = datetime.max

    def begin(self) -> date:
        """Set the clock to the start of the warm-up, or of the run; return the first day of data."""
        engine = self._engine
        clock = engine.clock
        if not engine.is_warming_up:
            return clock.new_york.local(clock.utc).date()
        self.end_utc = clock.utc
        if engine.warmup_span is not None:
            begin = clock.time - engine.warmup_span
        else:
            begin = min([clock.time, *(self._bars_back(security) for security in engine.feed.subscribed.values())])
            engine.bars_before_start = 1
        clock.set_utc(clock.zone.utc(begin))
        stamp = engine.now_stamp() - engine.bars_before_start
        resolution = engine.warmup_resolution or engine.settings.warmup_resolution
        for security in engine.feed.subscribed.values():
            security.restart(stamp)
        if resolution is Resolution.DAILY:
            self._be_daily()
        return clock.new_york.local(clock.utc).date()

    def _be_daily(self) -> None:
        """Subscribe by the day until the warm-up is over; what a chain adds meanwhile follows its canonical."""
        engine = self._engine
        for security in (*engine.feed.subscribed.values(), *engine.canonicals.values()):
            self._resolutions[security] = security.subscription.resolution
            security.subscription.resolution = Resolution.DAILY

    def ends_before(self, utc: datetime) -> bool:
        """Whether the end of the warm-up has no slice of its own and must be announced before one at `utc`."""
        return self._engine.is_warming_up and utc > self.end_utc

    @property
    def is_over(self) -> bool:
        return self._engine.is_warming_up and self._engine.clock.utc >= self.end_utc

    def finish(self) -> None:
        engine = self._engine
        engine.is_warming_up = False
        if self._resolutions:
            for added in engine.feed.subscribed.values():
                canonical = engine.canonicals.get(added.symbol.canonical) if added.type.is_option else None
                if canonical is not None and added not in self._resolutions:
                    self._resolutions[added] = self._resolutions[canonical]
        for security, resolution in self._resolutions.items():
            security.catch_up()
            security.subscription.resolution = resolution
        self._resolutions.clear()

    def _bars_back(self, security: Security) -> datetime:
        """Return where the last so many bars of a security before the start begin (algorithm time)."""
        engine = self._engine
        is_daily = Resolution.DAILY in (engine.warmup_resolution, security.subscription.resolution)
        left = engine.warmup_bars
        local = security.clock.local(engine.clock.utc)
        day = datetime(local.year, local.month, local.day)
        new_york = engine.clock.new_york
        if not is_daily and security.hours.is_date_open(day):
            # Where the exchange's clock is behind ours, its session of yesterday is still today's.
            session = security.hours.session(day)
            assert session is not None
            opened = new_york.utc(day) + MINUTE_OFFSETS[session.open_minute]
            passed = int((engine.clock.utc - opened).total_seconds() // 60)
            length = min(max(passed, 0), session.close_minute - session.open_minute)
            if 0 < left <= length:
                return day + MINUTE_OFFSETS[session.open_minute + length - left]
            left -= length
        while left > 0:
            day = security.hours.get_previous_trading_day(day)
            session = security.hours.session(day)
            assert session is not None
            length = 1 if is_daily else session.close_minute - session.open_minute
            if left <= length and not is_daily:
                return day + MINUTE_OFFSETS[session.close_minute - left]
            left -= length
        return engine.clock.zone.local(security.clock.utc(day))
