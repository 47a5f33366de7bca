"""How many data points a part of a day delivered, as LEAN counts them: for the days that a run does not go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.enums import Resolution
from engine.feed import NEVER

if TYPE_CHECKING:
    from engine.feed import DayPlan, OptionGroup, Stream


def points_until(plan: DayPlan, last: int) -> int:
    """Return the points of a day's slices up to a minute, which is included."""
    return sum(_of_stream(stream, last) for stream in plan.streams) + sum(
        _of_group(group, last) for group in plan.groups.values()
    )


def _of_stream(stream: Stream, last: int) -> int:
    close = min(last, stream.session.close_minute)
    points = 0
    for columns, first in ((stream.trades, stream.first_trade), (stream.quotes, stream.first_quote)):
        if first == NEVER or first > close:
            continue
        if stream.subscription.resolution is Resolution.DAILY:
            points += 1
        elif stream.subscription.fill_forward:
            points += close + 1 - first
        elif columns is not None:
            points += len(columns.between(first, close))
    return points


def _of_group(group: OptionGroup, last: int) -> int:
    session, day = group.session, group.day
    opened, close = session.open_minute + 1, min(last, session.close_minute)
    points = 0
    for member in group.members:
        span = None if day is None else day.minute_span(member.symbol)
        if group.fill_forward:
            started = member.subscription.quotes_since < group.ordinal
            first = opened if started else max(span[0], opened) if span is not None else close + 1
            points += max(close + 1 - first, 0)
        elif day is not None and span is not None and span[0] <= close:
            quotes = day.quote(member.symbol)
            points += 0 if quotes is None else len(quotes.between(opened, close))
    return points
