"""What may stand for a minute and for a probability, at the edges."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from core.reasons import Reason
from core.signal import Reading, SignalBar, SignalState, is_probability

NOW = datetime(2025, 10, 28, 10)
BAR = SignalBar(NOW, 1, 500.0, 501.0, 499.0, 500.5, 0.0)


def test_a_minute_of_one_price_without_volume_is_sound() -> None:
    assert BAR.is_sound
    assert SignalBar(NOW, 390, 5.0, 5.0, 5.0, 5.0, 0.0).is_sound


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_etf_36_what_is_no_price_is_no_bar(name: str, price: float) -> None:
    changed: dict[str, Any] = {name: price}
    assert not replace(BAR, **changed).is_sound


@pytest.mark.parametrize(
    "changed",
    [
        {"low": 500.01}, {"high": 500.49}, {"low": 500.3, "close": 500.2}, {"high": 499.9, "close": 499.5},
        {"volume": -1.0}, {"volume": math.nan}, {"volume": math.inf}, {"number": 0},
    ],
)  # fmt: skip
def test_etf_36_prices_outside_their_minute_and_volumes_that_cannot_be_are_no_bar(changed: dict[str, Any]) -> None:
    assert not replace(BAR, **changed).is_sound


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1.1, math.nan, math.inf, None])
def test_etf_38_zero_one_and_nothing_are_no_probabilities(value: float | None) -> None:
    assert not is_probability(value)
    assert not Reading(NOW, SignalState.READY, value, Reason.ALLOWED).is_ready
    if value is not None:
        votes = {"rsi": 0.4}
        assert Reading.ready(NOW, value, votes) == Reading.not_ready(NOW, Reason.SIGNAL_INVALID, votes)


@pytest.mark.parametrize("value", [1e-12, 0.5, 1 - 1e-12])
def test_what_lies_between_is_an_answer_and_keeps_its_votes(value: float) -> None:
    reading = Reading.ready(NOW, value, {"rsi": 0.4})
    assert is_probability(value)
    assert reading.is_ready
    assert (reading.probability, reading.reason, reading.votes) == (value, Reason.ALLOWED, {"rsi": 0.4})
    assert Reading.ready(NOW, value).votes == {}


def test_not_ready_is_never_ready_whatever_stands_beside_it() -> None:
    silent = Reading.not_ready(NOW, Reason.BAR_MISSING)
    assert (silent.state, silent.probability, silent.votes) == (SignalState.NOT_READY, None, {})
    assert not replace(silent, probability=0.9).is_ready
