"""How many data points a root's contracts deliver on a day, as LEAN counts them.

One for each quote bar and each trade bar within the session, one for each row of open interest.  Filled forward, quotes
and trades count in every minute from their first bar on, open interest in every minute of the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clock import MINUTES_PER_DAY

if TYPE_CHECKING:
    from engine.columns import OptionDay
    from engine.feed import Subscription
    from engine.option_group import OptionGroup
    from engine.securities import Security
    from engine.symbols import Symbol


def first_minute_of(member: Security, ordinal: int) -> int:
    """Return the first minute of a day that a contract hears of: later than usual when it was subscribed that day."""
    return max(member.subscription.since - ordinal * MINUTES_PER_DAY + 1, 0)


def points_of_group(group: OptionGroup, last: int) -> int:
    """Return the points of a day's slices up to a minute, which is included."""
    day, session = group.day, group.session
    opened, close = session.open_minute + 1, min(last, session.close_minute)
    points = 0
    for member in group.members:
        first = max(opened, first_minute_of(member, group.ordinal))
        if group.fill_forward:
            points += _filled(group, member, first, close)
        elif day is not None:
            points += _quotes_between(day, member.symbol, first, close)
        if day is not None and day.has_more:
            points += _more(group, day, member, first, close)
    return points


def _quotes_between(day: OptionDay, symbol: Symbol, first: int, close: int) -> int:
    """Return a contract's quotes in [first, close]; parsed only when its span does not tell, as in real files."""
    span = day.row_span(symbol)
    if span is None or span.last < first or close < max(first, span.first):
        return 0
    if first <= span.first and span.last <= close:
        return span.rows
    if span.rows == span.last - span.first + 1 or first <= span.first == close:
        return min(span.last, close) - max(span.first, first) + 1  # a row in each of these minutes
    quotes = day.quote(symbol)
    return 0 if quotes is None else len(quotes.between(first, close))


def _filled(group: OptionGroup, member: Security, first: int, close: int) -> int:
    started = _started(group, member.subscription.quotes_since)
    if not started:
        span = None if group.day is None else group.day.row_span(member.symbol)
        first = max(span.first, first) if span is not None else close + 1
    return max(close + 1 - first, 0)


def _more(group: OptionGroup, day: OptionDay, member: Security, first: int, close: int) -> int:
    """Return the points of a contract's trades and open interest."""
    trades, interest = day.trade(member.symbol), day.open_interest(member.symbol)
    points = 0
    if trades is not None and len(trades):
        if group.fill_forward:
            begins = first if _started(group, member.subscription.trades_since) else max(first, trades.first_minute)
            points += max(close + 1 - begins, 0)
        else:
            points += len(trades.between(first, close))
    if interest is not None and len(interest):
        known = first_minute_of(member, group.ordinal)
        points += len(interest.between(known, close))
        if group.fill_forward:
            points += max(close + 1 - first, 0)
    return points


def _started(group: OptionGroup, since: int) -> bool:
    return since < group.ordinal


def note_first_bars(group: OptionGroup, subscription: Subscription, symbol: Symbol) -> None:
    """Remember the day of a contract's first bars: filling forward repeats them from it on."""
    day = group.day
    if day is None:
        return
    if subscription.quotes_since > group.ordinal and day.row_span(symbol) is not None:
        subscription.quotes_since = group.ordinal
    if day.has_more and subscription.trades_since > group.ordinal:
        trades = day.trade(symbol)
        if trades is not None and len(trades):
            subscription.trades_since = group.ordinal
