"""How many data points a part of a day delivered, as LEAN counts them: for the days that a run does not go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clock import NEVER
from engine.enums import Resolution
from engine.option_points import points_of_group

if TYPE_CHECKING:
    from engine.feed import DayPlan, Stream


def points_until(plan: DayPlan, last: int) -> int:
    """Return the points of a day's slices up to a minute, which is included."""
    return sum(_of_stream(stream, last) for stream in plan.streams) + sum(
        points_of_group(group, last) for group in plan.groups.values()
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
