"""The fused signal: when it answers, that it mirrors, forgets at the open, never looks ahead and never guesses."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings_etf import SignalSettings
from core.signal import MissingBar, Reading, SignalBar
from strategies.signals.health import SignalHealth
from strategies.signals.sigor import Sigor, fuse
from tests.strategies.signals.minutes import OPEN, WEIGHTS, bar, random_session

SETTINGS = SignalSettings()
VOTES = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.floats(0.0, 1.0), min_size=1)


def run(bars: list[SignalBar | MissingBar] | list[SignalBar], signal: Sigor | None = None) -> list[Reading]:
    signal = signal or Sigor(SETTINGS)
    return [signal.update(item) for item in bars]


@given(VOTES)
def test_property_6_mirrored_votes_fuse_to_the_mirrored_probability(votes: dict[str, float]) -> None:
    weighed = {name: (vote, WEIGHTS[name]) for name, vote in votes.items()}
    mirrored = {name: (1.0 - vote, WEIGHTS[name]) for name, vote in votes.items()}
    assert fuse(mirrored.values(), SETTINGS) == pytest.approx(1.0 - fuse(weighed.values(), SETTINGS), abs=1e-12)


def test_one_certain_detector_among_three_even_ones_of_its_weight() -> None:
    votes = [(1.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.5, 1.0)]
    odds = math.log(0.98 / 0.02) / 4
    assert fuse(votes, SETTINGS) == pytest.approx(1 / (1 + math.exp(-2.5 * odds)))


def test_the_first_answer_comes_with_bar_31() -> None:
    found = run(random_session(4))
    assert [reading.is_ready for reading in found[:31]] == [False] * 30 + [True]
    assert {reading.reason.value for reading in found[:30]} == {"SIGNAL_WARMING_UP"}


@pytest.mark.parametrize("cut", [31, 60, 200, 389])
def test_property_7_cutting_off_the_future_changes_nothing_past(cut: int) -> None:
    bars = random_session(5)
    assert run(bars)[:cut] == run(bars[:cut])


@pytest.mark.parametrize("at", [1, 45, 120, 300])
def test_property_8_a_restart_rebuilds_the_same_readings_from_the_bars_of_the_session(at: int) -> None:
    yesterday, today = random_session(6, start=OPEN - timedelta(days=1)), random_session(7)
    through = Sigor(SETTINGS)
    run(yesterday, through)
    expected = run(today, through)
    restarted = Sigor(SETTINGS)
    run(today[:at], restarted)
    for reading, other in zip(run(today[at:], restarted), expected[at:], strict=True):
        assert reading.state is other.state
        assert reading.probability == pytest.approx(other.probability, abs=1e-12)


def gap(bars: list[SignalBar], first: int, count: int) -> list[SignalBar | MissingBar]:
    return [MissingBar(item.end, item.number) if first <= item.number < first + count else item for item in bars]


@pytest.mark.parametrize("count", [1, 5])
def test_a_short_gap_is_not_ready_and_leaves_the_windows(count: int) -> None:
    found = run(gap(random_session(8), 100, count))
    missing = found[99 : 99 + count]
    assert [(reading.is_ready, reading.reason.value) for reading in missing] == [(False, "BAR_MISSING")] * count
    assert found[99 + count].is_ready


def test_six_missing_bars_start_the_windows_anew_and_the_opening_range_goes_on() -> None:
    found = run(gap(random_session(8), 100, 6))
    assert found[105 + 1].reason == "SIGNAL_WARMING_UP"
    assert set(found[105 + 1].votes) == {"opening_range"}
    ready_again = next(reading.bar_time for reading in found[106:] if reading.is_ready)
    assert ready_again == OPEN + timedelta(minutes=105 + 21)


def test_minutes_that_nobody_mentions_are_missing_too() -> None:
    bars = random_session(8)
    told = run(gap(bars, 100, 7))
    untold = run([item for item in bars if not 100 <= item.number < 107])
    assert untold[-1].probability == told[-1].probability


def test_a_minute_of_the_past_or_twice_the_same_changes_nothing() -> None:
    bars = random_session(9)
    signal = Sigor(SETTINGS)
    run(bars[:50], signal)
    assert signal.update(bars[49]).reason == "SIGNAL_INVALID"
    assert signal.update(bars[10]).reason == "SIGNAL_INVALID"
    assert run(bars[50:], signal) == run(bars)[50:]


@pytest.mark.parametrize(
    "broken",
    [
        {"close": math.nan}, {"close": -1.0}, {"open_": math.inf}, {"high": 499.0}, {"low": 501.0},
        {"volume": -5.0}, {"volume": math.nan}, {"close": 0.0},
    ],
)  # fmt: skip
def test_etf_36_a_senseless_bar_is_not_ready_and_never_one_half(broken: dict[str, float]) -> None:
    bars = random_session(10)
    values = {"close": 500.0, "open_": 500.0, "high": 500.5, "low": 499.5, "volume": 1_000.0} | broken
    reading = run([*bars[:99], bar(100, values.pop("close"), **values)])[-1]  # type: ignore[arg-type]
    assert not reading.is_ready
    assert reading.probability is None
    assert reading.reason == "SIGNAL_INVALID"


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1.0, -1.0, 2.0])
def test_etf_38_a_code_that_is_no_probability_is_not_ready(value: float) -> None:
    reading = Reading.ready(OPEN, value)
    assert not reading.is_ready
    assert reading.probability is None


def test_etf_35_no_state_latches_the_signal_after_a_violent_minute() -> None:
    calm = random_session(11)
    violent = [*calm]
    shock = calm[59]
    violent[59] = bar(60, shock.close * 1.03, open_=shock.open, high=shock.close * 1.04, low=shock.low)
    pairs = zip(run(calm)[200:], run(violent)[200:], strict=True)
    # The volume average and the opening range keep a trace; every window of twenty bars has forgotten.
    assert all(abs((a.probability or 0) - (b.probability or 0)) < 0.5 for a, b in pairs)
    assert len({round(reading.probability or 0, 6) for reading in run(violent)[200:]}) > 100


def test_etf_37_and_39_a_flat_signal_and_a_dead_detector_are_named() -> None:
    lively, dead = SignalHealth(), SignalHealth()
    for reading in run(random_session(12)):
        lively.observe(reading)
        if reading.is_ready:
            votes = {**reading.votes, "squeeze_breakout": 0.505}
            dead.observe(Reading.ready(reading.bar_time, 0.61, votes))
    assert (lively.is_flat(), lively.dead_detectors()) == (False, ())
    assert (dead.is_flat(), dead.dead_detectors()) == (True, ("squeeze_breakout",))


def test_too_few_answers_are_no_evidence_of_death() -> None:
    health = SignalHealth()
    for number in range(99):
        health.observe(Reading.ready(OPEN + timedelta(minutes=number), 0.5, {"ofi_proxy": 0.5}))
    assert not health.is_flat()
    assert health.dead_detectors() == ()


def test_etf_43_the_outer_zones_are_neither_dead_nor_everything() -> None:
    probabilities = np.array(
        [reading.probability for seed in range(20) for reading in run(random_session(seed)) if reading.is_ready]
    )
    outer = float(np.mean((probabilities >= 0.75) | (probabilities <= 0.25)))
    assert 0.01 <= outer <= 0.15
    assert float(np.mean((probabilities >= 0.60) | (probabilities <= 0.40))) > 2 * outer
