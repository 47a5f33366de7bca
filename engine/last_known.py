"""Last known prices, as LEAN finds them for a seeder: minutes first, then more minutes, then days.

LEAN asks three times (Algorithm/QCAlgorithm.History.cs, GetLastKnownPrices): for each kind of bar the last five open
minutes; for each kind that had none the last day of open minutes; and where a kind still has none, daily bars of all
kinds, which then win.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from engine.clock import MINUTES_PER_DAY
from engine.enums import Resolution, SecurityType
from engine.history import periods_back
from engine.market_bars import QuoteBar, TradeBar, quote_bar, trade_bar
from engine.models.expiry import expiry_moment

if TYPE_CHECKING:
    from engine.columns import QuoteColumns, TradeColumns
    from engine.securities import Security
    from engine.state import EngineState

_FIRST_MINUTES: Final = 5
_MORE_MINUTES: Final = 24 * 60
_DAYS: Final = 50


@dataclass(slots=True)
class LastKnown:
    """What was found, and how many data points LEAN counts for the search."""

    bars: list[TradeBar | QuoteBar] = field(default_factory=list)
    """At most one of each kind, by time; of one time the kind first that LEAN prefers last."""
    points: int = 0


def last_known(engine: EngineState, security: Security) -> LastKnown:
    found = LastKnown()
    is_option = security.type.is_option
    if security.symbol.is_canonical():
        return found
    if is_option and engine.clock.utc >= expiry_moment(security.symbol, security.clock):
        return found  # LEAN's history has nothing of what is gone
    kinds = (("quote", "trade") if is_option else ("trade", "quote")) if security.has_quotes else ("trade",)
    bars: dict[str, TradeBar | QuoteBar] = {}
    missing: list[str] = list(kinds)
    for minutes in (_FIRST_MINUTES, _MORE_MINUTES):
        for kind in list(missing):
            bar, points = _newest_minute(engine, security, kind, minutes)
            found.points += points
            if bar is not None:
                bars[kind] = bar
                missing.remove(kind)
            elif is_option and minutes == _MORE_MINUTES:
                found.points += _interest_today(engine, security)
    # An option also has open interest, which is never there: its last attempt always comes.
    if missing or is_option:
        bar, points = _newest_day(engine, security)
        found.points += points
        if bar is not None:
            bars["trade"] = bar
    known = [bars[kind] for kind in kinds if kind in bars]
    found.bars = sorted(known, key=lambda bar: bar.time)
    return found


def preferred(bars: list[TradeBar | QuoteBar], security: Security) -> TradeBar | QuoteBar | None:
    """Return the one bar of `get_last_known_price`: the default kind of its security type, else the other."""
    wanted = QuoteBar if security.type.is_option else TradeBar
    return next((bar for bar in bars if isinstance(bar, wanted)), bars[-1] if bars else None)


def _newest_minute(
    engine: EngineState, security: Security, kind: str, minutes: int
) -> tuple[TradeBar | QuoteBar | None, int]:
    """Return the newest bar of a kind within so many open minutes, and how many bars there are."""
    local = engine.clock_of(security.hours).local(engine.clock.utc)
    begin = engine.clock_of(security.hours).utc(periods_back(security.hours, local, Resolution.MINUTE, minutes))
    start = engine.clock.new_york.local(begin)
    first = start.date().toordinal() * MINUTES_PER_DAY + start.hour * 60 + start.minute
    now = engine.now_stamp()
    newest: tuple[TradeColumns | QuoteColumns, int, int] | None = None
    points = 0
    for ordinal in range(first // MINUTES_PER_DAY, now // MINUTES_PER_DAY + 1):
        feed = engine.feed
        columns = feed.trades(security, ordinal) if kind == "trade" else feed.quotes(security, ordinal)
        if columns is None:
            continue
        begin_minute = max(first - ordinal * MINUTES_PER_DAY, -1)
        begins = columns.last_row_at_or_before(begin_minute) + 1
        ends = columns.last_row_at_or_before(min(now - ordinal * MINUTES_PER_DAY, MINUTES_PER_DAY))
        if ends >= begins:
            points += ends + 1 - begins
            newest = columns, ends, ordinal
    if newest is None:
        return None, points
    columns, row, ordinal = newest
    make = trade_bar if kind == "trade" else quote_bar
    return make(security, columns, row, ordinal), points  # type: ignore[arg-type]


def _interest_today(engine: EngineState, security: Security) -> int:
    """Return how many rows of open interest LEAN reads on the way: only when it looks for more minutes of a kind."""
    now = engine.now_stamp()
    day = engine.feed.option_day(security.symbol.canonical, now // MINUTES_PER_DAY)
    columns = None if day is None else day.open_interest(security.symbol)
    return 0 if columns is None else columns.last_row_at_or_before(now % MINUTES_PER_DAY) + 1


def _newest_day(engine: EngineState, security: Security) -> tuple[TradeBar | None, int]:
    columns = None if security.type is SecurityType.INDEX_OPTION else engine.source.daily(security.symbol)
    if columns is None:
        return None, 0
    clock = engine.clock_of(security.hours)
    local = clock.local(engine.clock.utc)
    begin = periods_back(security.hours, local, Resolution.DAILY, _DAYS)
    newest: TradeBar | None = None
    points = 0
    for session in security.hours.sessions(begin.date(), local.date()):
        row = columns.row_of(session.date)
        ends = session.close_minute + session.date.toordinal() * MINUTES_PER_DAY
        if row < 0 or ends > engine.now_stamp() or session.date <= begin.date():
            continue
        points += 1
        bar = engine.feed.daily_bar(security, columns, row, session)
        ordinal = date.toordinal(session.date)
        newest = trade_bar(security, bar, 0, ordinal)
    return newest, points
