"""The book's settings: every number with its source, and text parameters of every name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.setting_fields import describe, flatten, parse
from core.settings_etf import DayTradeRule, EtfRotationSettings, SignalSource


def test_every_setting_says_where_it_comes_from_and_every_number_its_bounds() -> None:
    for item in describe(EtfRotationSettings()):
        assert item.meta.source, item.name
        if isinstance(item.value, int | float) and not isinstance(item.value, bool):
            assert item.meta.low < item.meta.high, item.name


def test_etf_38_nested_names_are_read_by_the_type_of_their_field() -> None:
    read = parse(
        EtfRotationSettings,
        {"signal.source": "random", "signal.fusion_gain": "2", "day_trade_rule": "count", "synthetic.seed": "11"},
    )
    assert (read.signal.source, read.signal.fusion_gain) == (SignalSource.RANDOM, 2.0)
    assert (read.day_trade_rule, read.synthetic.seed) == (DayTradeRule.COUNT, 11)
    assert flatten(read)["signal.source"] == "random"


def test_etf_19_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        parse(EtfRotationSettings, {"sleeve_fraction": "0.9", "signal.fusion_gain": "0", "confirm_bar": "1"})
    assert [sentence.split(" ")[0] for sentence in raised.value.sentences] == [
        "confirm_bar", "etf_rotation.signal.fusion_gain", "etf_rotation.sleeve_fraction",
    ]  # fmt: skip


def test_the_weight_of_a_leverage() -> None:
    chosen = EtfRotationSettings(weight_1x_fraction=0.9, weight_3x_fraction=0.6)
    assert (chosen.weight(1), chosen.weight(3)) == (0.9, 0.6)


def test_the_fact_sheet_names_the_defaults() -> None:
    sheet = (Path(__file__).parents[2] / "docs/etf_rotation.md").read_text(encoding="utf-8")
    settings = sheet.partition("## Settings")[2].partition("\n## ")[0]
    named = dict(re.findall(r"`(\w+)`\s+(\d[\d.]*\d|\d)", settings))
    assert len(named) >= 7
    assert {name: float(value) for name, value in named.items()} == {
        name: float(getattr(EtfRotationSettings(), name)) for name in named
    }
