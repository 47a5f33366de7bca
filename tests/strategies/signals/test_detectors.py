"""The seven detectors against their formulas on whole columns, and each at the values that the table names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.settings_etf import SignalSettings
from core.signal import MissingBar, Reading, SignalBar
from strategies.signals.detectors import TOTAL_WEIGHT, all_detectors
from strategies.signals.sigor import Sigor
from tests.strategies.signals.minutes import FIRST_BAR, OPEN, WEIGHTS, bar, expected_votes, random_session


def readings(bars: list[SignalBar | MissingBar] | list[SignalBar]) -> list[Reading]:
    signal = Sigor(SignalSettings())
    return [signal.update(item) for item in bars]


def test_the_detectors_and_their_weights_are_those_of_the_table() -> None:
    assert {detector.name: detector.weight for detector in all_detectors()} == WEIGHTS
    assert pytest.approx(5.5) == TOTAL_WEIGHT


@pytest.mark.parametrize("seed", range(5))
def test_etf_40_every_detector_equals_its_formula_bar_by_bar(seed: int) -> None:
    bars = random_session(seed)
    expected = expected_votes(bars)
    for place, reading in enumerate(readings(bars)):
        for name, column in expected.items():
            if math.isnan(column[place]):
                assert name not in reading.votes, (name, place)
            else:
                assert reading.votes[name] == pytest.approx(column[place], abs=1e-9), (name, place)


def test_etf_40_every_detector_is_ready_from_the_bar_that_the_table_names() -> None:
    first: dict[str, int] = {}
    for number, reading in enumerate(readings(random_session(1)), 1):
        for name in reading.votes:
            first.setdefault(name, number)
    assert first == FIRST_BAR


def closes(values: list[float]) -> list[SignalBar]:
    return [bar(number, value) for number, value in enumerate(values, 1)]


def test_an_rsi_of_30_gives_four_fifths() -> None:
    # Three rises and seven falls of one cent each, four bars unchanged: RSI 30.
    changes = [0.01] * 3 + [-0.01] * 7 + [0.0] * 4
    path = [500.0]
    for change in changes:
        path.append(path[-1] + change)
    assert readings(closes(path))[-1].votes["rsi_reversion"] == pytest.approx(0.80, abs=1e-6)


def test_a_breakout_of_two_deviations_after_a_squeeze_gives_0_85() -> None:
    quiet = [500.0 + 0.5 * math.sin(step / 2) * (1.2 - step / 60) for step in range(60)]
    window = np.array(quiet[-19:])
    # Find the close that lies exactly two standard deviations from the mean of its own window.
    low, high = window.mean(), window.mean() + 100 * window.std()
    for _ in range(200):
        middle = (low + high) / 2
        whole = np.append(window, middle)
        low, high = (middle, high) if (middle - whole.mean()) / whole.std() < 2 else (low, middle)
    vote = readings(closes([*quiet, float(low)]))[-1].votes["squeeze_breakout"]
    assert vote == pytest.approx(1 / (1 + math.exp(-0.85 * 2)), abs=0.04)
    assert vote > 0.75


def test_prices_that_do_not_move_say_nothing_about_direction() -> None:
    last = readings([bar(number, 500.0, volume=1_000.0 + number % 3) for number in range(1, 81)])[-1]
    assert set(last.votes) == set(WEIGHTS)
    assert set(last.votes.values()) == {0.5}


def test_a_rise_out_of_the_opening_range_by_its_whole_width_gives_0_94() -> None:
    opening = [bar(number, 500.0 + (number % 2), high=501.0, low=500.0) for number in range(1, 31)]
    above = readings([*opening, bar(31, 502.0)])[-1].votes["opening_range"]
    below = readings([*opening, bar(31, 499.0)])[-1].votes["opening_range"]
    inside = readings([*opening, bar(31, 500.5)])[-1].votes["opening_range"]
    assert above == pytest.approx(1 / (1 + math.exp(-2.8)))
    assert below == pytest.approx(1 - above)
    assert inside == 0.5


def test_etf_40_the_opening_range_is_that_of_this_session_and_not_of_the_first_one() -> None:
    signal = Sigor(SignalSettings())
    for item in random_session(3):
        signal.update(item)
    tomorrow = OPEN.replace(day=29)
    opening = [bar(n, 600.0 + n % 2, high=601.0, low=600.0, start=tomorrow) for n in range(1, 31)]
    for item in opening:
        signal.update(item)
    assert signal.update(bar(31, 600.5, start=tomorrow)).votes["opening_range"] == 0.5


def test_an_hour_without_volume_is_no_reading() -> None:
    bars = random_session(2)
    silent = [bar(item.number, item.close, volume=0.0) if item.number > 100 else item for item in bars]
    found = readings(silent)
    assert found[99].is_ready
    assert not found[130].is_ready
    assert found[130].reason == "SIGNAL_INVALID"
