"""What the detectors' windows keep from bar to bar equals what would be reckoned anew from the bars."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.signals.windows import DIFFERENCES, SPAN, OrderedWindow, Windows
from tests.strategies.signals.minutes import random_session


@given(
    st.lists(st.floats(0.0, 1.0) | st.sampled_from((0.25, 0.5)), min_size=1, max_size=200), st.integers(1, 60),
    st.floats(0.0, 1.0),
)  # fmt: skip
def test_a_quantile_that_is_kept_is_exactly_that_of_the_newest_values_sorted_anew(
    values: list[float], size: int, share: float
) -> None:
    window, demanding = OrderedWindow(size), OrderedWindow(size)
    for place, value in enumerate(values, 1):
        newest = sorted(values[max(0, place - size) : place])
        rank = share * (len(newest) - 1)
        lower, upper = math.floor(rank), min(math.floor(rank) + 1, len(newest) - 1)
        assert demanding.take(value, share, of_at_least=len(newest) + 1) is None
        assert window.take(value, share, of_at_least=len(newest)) == newest[lower] + (rank - lower) * (
            newest[upper] - newest[lower]
        )


def test_a_window_that_was_cleared_begins_anew() -> None:
    window = OrderedWindow(3)
    for value in (5.0, 1.0, 3.0, 2.0):
        window.take(value, 0.25)
    window.clear()
    assert window.take(7.0, 0.25, of_at_least=2) is None
    window.clear()
    assert window.take(7.0, 0.25) == 7.0


def test_the_columns_end_with_what_the_newest_bars_say() -> None:
    bars, windows = random_session(21), Windows()
    for place, item in enumerate(bars, 1):
        windows.take(item)
        changes = np.diff([each.close for each in bars[:place]])
        assert list(windows.gains) == [max(0.0, change) for change in changes][-DIFFERENCES:]
        assert list(windows.losses) == [max(0.0, -change) for change in changes][-DIFFERENCES:]
        assert list(windows.closes) == [each.close for each in bars[:place]][-SPAN:]
        assert list(windows.volumes) == [each.volume for each in bars[:place]][-SPAN:]
        if place > SPAN:
            newest = bars[place - SPAN - 1 : place]
            returns = [math.log(after.close / before.close) for before, after in pairwise(newest)]
            assert list(windows.returns) == returns
            assert windows.deviation == pytest.approx(stdev(returns), rel=1e-12)
            assert windows.volume == math.fsum(each.volume for each in newest[1:])
            assert windows.volume_before == math.fsum(each.volume for each in newest[:-1])


def test_six_missing_bars_leave_nothing_of_what_was_kept() -> None:
    bars, windows = random_session(22), Windows()
    for item in bars[:40]:
        windows.take(item)
    for number in range(41, 47):
        windows.miss(number)
    assert (windows.bars, windows.deviation, windows.is_without_volume) == (0, 0.0, False)
    assert (windows.volume, windows.volume_before) == (0.0, 0.0)
    windows.take(bars[46])
    assert (windows.bars, list(windows.closes), list(windows.returns)) == (1, [bars[46].close], [])
