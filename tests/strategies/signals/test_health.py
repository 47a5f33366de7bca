"""What a session says of its signal: exact at the edges, silent while there is too little to say."""

from __future__ import annotations

from datetime import datetime
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reasons import Reason
from core.signal import Reading
from strategies.signals.health import READY_BARS, SignalHealth

NOW = datetime(2025, 10, 28, 10)


def watched(*readings: Reading) -> SignalHealth:
    health = SignalHealth()
    for reading in readings:
        health.observe(reading)
    return health


def said(probability: float, **votes: float) -> Reading:
    return Reading.ready(NOW, probability, votes)


def test_a_hundred_answers_are_the_least_evidence() -> None:
    assert READY_BARS == 100
    assert watched(*[said(0.6)] * 99).deviation is None
    assert not watched(*[said(0.6)] * 99).is_flat()
    assert watched(*[said(0.6)] * 100).deviation == 0.0
    assert watched(*[said(0.6)] * 100).is_flat()


def test_bars_without_an_answer_are_no_evidence() -> None:
    silent = [Reading.not_ready(NOW, Reason.BAR_MISSING)] * 200
    health = watched(*[said(0.6, rsi=0.5)] * 99, *silent)
    assert health.deviation is None
    assert health.dead_detectors() == ()


def test_a_hundred_votes_are_the_least_evidence_against_a_detector() -> None:
    assert watched(*[said(0.6, rsi=0.5)] * 99).dead_detectors() == ()
    assert watched(*[said(0.6, rsi=0.5)] * 100).dead_detectors() == ("rsi",)
    warming = Reading.not_ready(NOW, Reason.SIGNAL_WARMING_UP, {"rsi": 0.5})
    assert watched(*[warming] * 100).dead_detectors() == ("rsi",), "it votes before the signal answers"


def test_one_opinion_in_a_session_is_enough_for_a_detector_and_the_dead_are_sorted() -> None:
    quiet = {"vwap": 0.509, "ofi": 0.491, "rsi": 0.5, "surge": 0.5}
    health = watched(said(0.6, **quiet | {"surge": 0.511}), *[said(0.6, **quiet)] * 120)
    assert health.dead_detectors() == ("ofi", "rsi", "vwap")
    below = watched(*[said(0.6, **quiet)] * 120, said(0.6, **quiet | {"rsi": 0.489}))
    assert below.dead_detectors() == ("ofi", "surge", "vwap")


@pytest.mark.parametrize(("vote", "is_dead"), [(0.5 + 0.0099, True), (0.5 - 0.0099, True), (0.51001, False)])
def test_a_hundredth_from_even_is_an_opinion(vote: float, is_dead: bool) -> None:
    assert (watched(*[said(0.6, rsi=vote)] * 100).dead_detectors() == ("rsi",)) is is_dead


@pytest.mark.parametrize(("swing", "is_flat"), [(0.00099, True), (0.00101, False)])
def test_a_thousandth_of_deviation_is_a_signal(swing: float, is_flat: bool) -> None:
    health = watched(*[said(0.6 + swing), said(0.6 - swing)] * 100)
    assert health.is_flat() is is_flat


@given(st.lists(st.floats(0.01, 0.99), min_size=100, max_size=150))
def test_the_deviation_is_that_of_the_sample(answers: list[float]) -> None:
    assert watched(*map(said, answers)).deviation == pytest.approx(stdev(answers), abs=1e-9)
