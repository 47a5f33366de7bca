"""Specs: what is refused, and when two of them name the same market."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tools.errors import BulkheadUsageError
from tools.market import MarketManifest, MarketSpec, cache_key


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"scenario": "crash"}, "scenario = 'crash'"),
        ({"seed": -1}, "seed = -1"),
        ({"sessions": 0}, "sessions = 0"),
        ({"sessions": 3, "end": date(2025, 10, 1)}, "sessions = 3 and end = 2025-10-01"),
        ({"start": date(2009, 1, 5)}, "start = 2009-01-05"),
        ({"end": date(2031, 1, 2)}, "end = 2031-01-02"),
        ({"start": date(2025, 9, 6), "end": date(2025, 9, 7)}, "end = 2025-09-07"),
        ({"start": date(2030, 6, 3), "sessions": 300}, "sessions = "),
        ({"scenario": "crash_2020", "sessions": 10}, "sessions = 10"),
    ],
)
def test_a_spec_that_makes_no_market_is_refused_in_one_sentence(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(BulkheadUsageError) as refusal:
        MarketSpec(**arguments)  # type: ignore[arg-type]
    text = str(refusal.value)
    assert text.startswith(field)
    assert "expected" in text
    assert text.endswith(".")
    assert "\n" not in text


def test_the_default_market_is_60_sessions_from_a_friday_to_a_half_day() -> None:
    days = MarketSpec().dates()
    assert (len(days), days[0], days[-1]) == (60, date(2025, 9, 5), date(2025, 11, 28))


def test_a_start_on_a_closed_day_moves_to_the_next_session() -> None:
    assert MarketSpec(start=date(2025, 9, 6), sessions=1).dates() == (date(2025, 9, 8),)


def test_an_event_scenario_from_any_start_is_long_enough_for_its_event() -> None:
    for offset in range(1, 29):
        start = date(2024, 2, offset)
        days = MarketSpec(start=start, scenario="crash_2025").dates()
        assert len(days) >= 8


def test_specs_in_other_words_share_a_key_and_different_markets_do_not() -> None:
    named = cache_key(MarketSpec())
    assert named == cache_key(MarketSpec(start=date(2025, 9, 5), sessions=60))
    assert named == cache_key(MarketSpec(start=date(2025, 9, 5), end=date(2025, 11, 30)))
    others = {
        cache_key(MarketSpec(seed=8)),
        cache_key(MarketSpec(sessions=59)),
        cache_key(MarketSpec(scenario="calm", sessions=60)),
        cache_key(MarketSpec(start=date(2025, 9, 8), end=date(2025, 11, 28))),
    }
    assert len(others | {named}) == 5


@pytest.mark.parametrize("text", [None, "not json", "[]", '{"key": "x"}'])
def test_a_folder_without_our_manifest_has_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "bulkhead-market.json").write_text(text)
    assert MarketManifest.load(tmp_path) is None
