"""Synthetic signals: they say what they are told to, the same in every run, and never live."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from core.errors import SettingsError
from core.settings_etf import EtfRotationSettings, SignalSettings, SignalSource, SyntheticSettings
from core.signal import MissingBar
from strategies.signals.synthetic import make_signal, read_table, write_table
from tests.strategies.signals.minutes import OPEN, random_session

SYNTHETIC = [source for source in SignalSource if source is not SignalSource.SIGOR]


def settings(source: SignalSource, **made: float | int | str) -> EtfRotationSettings:
    return EtfRotationSettings(signal=SignalSettings(source=source), synthetic=SyntheticSettings(**made))  # type: ignore[arg-type]


def said(source: SignalSource, **made: float | int | str) -> list[float | None]:
    signal = make_signal(settings(source, **made), backtest=True)
    return [signal.update(item).probability for item in random_session(1)]


@pytest.mark.parametrize("source", SYNTHETIC)
def test_a_synthetic_signal_is_refused_outside_a_backtest(source: SignalSource) -> None:
    with pytest.raises(SettingsError, match="expected sigor outside a backtest"):
        make_signal(settings(source), backtest=False)
    assert make_signal(settings(source), backtest=True).name == source.value


def test_the_live_signal_is_sigor() -> None:
    assert make_signal(EtfRotationSettings(), backtest=False).name == "sigor"


def test_constant_and_alternating_say_their_numbers() -> None:
    assert set(said(SignalSource.CONSTANT, constant_prob=0.8)) == {0.8}
    assert said(SignalSource.ALTERNATING)[:4] == [0.9, 0.1, 0.9, 0.1]


def test_hover_stays_in_its_width_on_both_sides() -> None:
    values = [value for value in said(SignalSource.HOVER) if value is not None]
    assert 0.59 <= min(values) < 0.60 < max(values) <= 0.61


@pytest.mark.parametrize("source", [SignalSource.RANDOM, SignalSource.NAN, SignalSource.HOVER])
def test_the_same_seed_says_the_same_and_another_something_else(source: SignalSource) -> None:
    assert said(source, seed=3) == said(source, seed=3)
    assert said(source, seed=3) != said(source, seed=4)


def test_nan_says_nothing_in_its_share_of_the_bars() -> None:
    values = said(SignalSource.NAN, nan_fraction=0.25)
    assert 0.15 < sum(value is None for value in values) / len(values) < 0.35


@pytest.mark.parametrize(("accuracy", "right"), [(1.0, 1.0), (0.0, 0.0), (0.75, 0.75)])
def test_look_ahead_is_right_as_often_as_asked(accuracy: float, right: float) -> None:
    bits = [(number * 7) % 11 < 5 for number in range(390)]
    table = write_table({OPEN.date(): bits})
    values = said(SignalSource.LOOK_AHEAD, accuracy_fraction=accuracy, table=table)
    share = sum((value == 0.9) is bit for value, bit in zip(values, bits, strict=True)) / 390
    assert share == pytest.approx(right, abs=0.06)


def test_look_ahead_is_silent_on_a_day_that_its_table_does_not_have() -> None:
    assert set(said(SignalSource.LOOK_AHEAD, table=write_table({date(2025, 1, 2): [True]}))) == {None}


def test_a_table_survives_its_text_and_a_wrong_one_is_one_sentence() -> None:
    rises = {OPEN.date(): [False, False, True, False], OPEN.date() + timedelta(days=1): [True] * 390}
    assert {day: list(bits) for day, bits in read_table(write_table(rises)).items()} == rises
    with pytest.raises(SettingsError, match="expected `date=hex`"):
        read_table("2025-10-28=xyz")


@pytest.mark.parametrize("source", SYNTHETIC)
def test_a_missing_minute_stays_missing(source: SignalSource) -> None:
    reading = make_signal(settings(source), backtest=True).update(MissingBar(OPEN, 1))
    assert reading.reason == "BAR_MISSING"


def test_a_script_says_each_value_from_its_minute_on() -> None:
    values = said(SignalSource.SCRIPT, script="09:33=0.62 09:35=nan 09:36=0.2")
    assert values[:8] == [None, None, 0.62, 0.62, None, 0.2, 0.2, 0.2]
    with pytest.raises(SettingsError, match=r"synthetic\.script"):
        said(SignalSource.SCRIPT, script="at noon=0.5")
