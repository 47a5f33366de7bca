"""VIX judged step by step: what is believed, which regime follows, and what never buys more."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books import Books
from core.errors import SettingsError, StateError
from core.market import Bar, MarketSnapshot, Regime, VixReading, VixVerdict
from core.reasons import Reason
from core.settings import Settings, VixSettings
from core.vocabulary import TradingState
from risk.vix_manager import VixManager
from tests.risk.builders import FRIDAY, BookKeeper, at, bar, heard, opening, session, snapshot, unit_risk

SETTINGS = Settings().vix
NEXT_DAY = date(2025, 9, 15)


@pytest.fixture
def manager() -> VixManager:
    return VixManager(SETTINGS)


def seen(
    now: datetime,
    value: float | None,
    *,
    age_s: float = 0.0,
    spx: float | None = 5_350.0,
    prior: float | None = 24.0,
    rv20: float | None = 18.0,
) -> MarketSnapshot:
    bars: dict[str, Bar] = {}
    if value is not None:
        bars["VIX"] = bar(now - timedelta(seconds=age_s), value, age_s=age_s)
    if spx is not None:
        bars["SPX"] = bar(now, spx)
    known = {} if prior is None else {"VIX": prior}
    return dataclasses.replace(snapshot(now, bars=bars, prior_close=known, rv20=rv20), vix=None)


def walk(manager: VixManager, start: datetime, values: Iterable[float], **more: float) -> VixReading:
    """Read one value a minute; returns the last reading."""
    reading = None
    for minute, value in enumerate(values):
        reading = manager.read(seen(start + timedelta(minutes=minute), value, **more))
    assert reading is not None
    return reading


# ------------------------------------------------------------------------------------------------------------ verdicts


@pytest.mark.parametrize(
    ("value", "age_s", "rv20", "verdict"),
    [
        (24.0, 0, 18.0, VixVerdict.GOOD),
        (24.0, 300, 18.0, VixVerdict.GOOD),
        (24.0, 301, 18.0, VixVerdict.STALE),
        (None, 0, 18.0, VixVerdict.UNKNOWN),
        (math.nan, 0, 18.0, VixVerdict.UNKNOWN),
        (4.99, 0, 18.0, VixVerdict.UNKNOWN),
        (100.01, 0, 50.0, VixVerdict.UNKNOWN),
        (24.0, 0, None, VixVerdict.SUSPECT),  # no cross-check exists
        (24.0, 0, 0.0, VixVerdict.SUSPECT),
        (24.0, 0, 4.0, VixVerdict.SUSPECT),  # VIX / RV20 = 6
        (24.0, 0, 70.0, VixVerdict.SUSPECT),  # VIX / RV20 = .34
    ],
)
def test_the_first_matching_verdict_wins(
    manager: VixManager, value: float | None, age_s: float, rv20: float | None, verdict: VixVerdict
) -> None:
    assert manager.read(seen(at(11), value, age_s=age_s, rv20=rv20)).verdict is verdict


def test_a_jump_that_the_index_does_not_explain_is_suspect_for_as_long_as_it_is_a_jump(manager: VixManager) -> None:
    walk(manager, at(11), [24.0] * 6)
    jump = at(11, 6)
    assert manager.read(seen(jump, 27.0)).verdict is VixVerdict.SUSPECT
    # The same jump with the index 1 % down is a market.
    fresh = VixManager(SETTINGS)
    walk(fresh, at(11), [24.0] * 6)
    assert fresh.read(seen(jump, 27.0, spx=5_300.0)).verdict is VixVerdict.GOOD
    # Five minutes later the level has held.
    assert walk(manager, jump + timedelta(minutes=1), [27.0] * 5).verdict is VixVerdict.GOOD


def test_before_the_first_print_of_each_session_nothing_is_known(manager: VixManager) -> None:
    first_print = timedelta(minutes=SETTINGS.first_print_min)
    for day in (FRIDAY, NEXT_DAY):
        opened = datetime.combine(day, time(9, 30))
        assert manager.read(seen(opened + first_print - timedelta(minutes=1), 24.0)).verdict is VixVerdict.UNKNOWN
        assert manager.read(seen(opened + first_print, 24.0)).verdict is VixVerdict.GOOD


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_fp05_a_value_that_no_index_has_is_unknown_and_leaves_nothing(manager: VixManager, value: float) -> None:
    reading = manager.read(seen(at(11), value))
    assert (reading.verdict, reading.value) == (VixVerdict.UNKNOWN, None)
    assert (reading.scale, reading.margin_ceiling, reading.regime) == (0.0, 0.0, Regime.UNKNOWN)
    assert reading.buffer_base == 1.0
    assert refusal(manager, reading) is Reason.VIX_UNKNOWN


def test_fp05_a_factor_of_three_is_a_refused_setting() -> None:
    with pytest.raises(SettingsError) as refused:
        VixSettings(scale_high=3.0)
    assert "vix.scale_high = 3" in refused.value.sentences[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale_high": 0.9},  # more than ELEVATED has
        {"ceiling_crisis": 0.7},
        {"buffer_high": 0.30},
        {"elevated_at": 31.0},
        {"elevated_at": 30.0},  # no room for ELEVATED
    ],
)
def test_fp05_a_table_that_buys_more_as_vix_rises_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        VixManager(dataclasses.replace(SETTINGS, **wrong))
    assert "expected" in refused.value.sentences[0]


def test_fp05_a_regime_outside_the_table_is_not_restored(manager: VixManager) -> None:
    with pytest.raises(StateError) as refused:
        manager.restore({"regime": "PANIC", "panic": "false"})
    assert "regime='PANIC'" in str(refused.value)


@pytest.mark.parametrize(
    ("value", "age_s", "reason"),
    [
        (3.0, 0, Reason.VIX_UNKNOWN),
        (101.0, 0, Reason.VIX_UNKNOWN),
        (24.0, 301, Reason.VIX_STALE),
        (None, 0, Reason.VIX_UNKNOWN),  # not subscribed
    ],
)
def test_fp21_values_out_of_range_or_age_admit_no_entry_and_no_vix_exit(
    manager: VixManager, value: float | None, age_s: float, reason: Reason
) -> None:
    reading = manager.read(seen(at(11), value, age_s=age_s))
    assert refusal(manager, reading) is reason
    assert not reading.is_good  # VIX exits read GOOD values only


def test_fp21_yesterdays_value_is_unknown_until_the_first_print_of_today(manager: VixManager) -> None:
    now = at(9, 31)
    yesterday = dataclasses.replace(
        seen(now, None), bars={"VIX": bar(at(16, 15) - timedelta(days=1), 24.0, age_s=60.0)}
    )
    assert manager.read(yesterday).verdict is VixVerdict.UNKNOWN
    # Before 09:31 the index shows 0 or yesterday's value, whatever the bar's date says.
    assert manager.read(seen(at(9, 30), 24.0)).verdict is VixVerdict.UNKNOWN
    assert manager.read(seen(at(9, 31), 24.0)).verdict is VixVerdict.GOOD


def test_fp57_a_silent_vix_is_not_estimated_from_a_falling_index(manager: VixManager) -> None:
    walk(manager, at(11), [19.0] * 6)
    last = None
    for minute in range(20):
        now = at(11, 6 + minute)
        silent = seen(now, None, spx=5_350.0 * (1 - 0.03 * minute / 19))
        last = manager.read(silent)
    assert last is not None
    assert (last.verdict, last.value) == (VixVerdict.UNKNOWN, None)
    assert refusal(manager, last) is Reason.VIX_UNKNOWN


# ------------------------------------------------------------------------------------------------------------- regimes


@pytest.mark.parametrize(
    ("value", "regime", "scale", "ceiling", "buffer"),
    [
        (11.99, Regime.DORMANT, 1.0, 0.80, 0.20),
        (12.0, Regime.CALM, 1.0, 0.80, 0.20),
        (16.0, Regime.NORMAL, 1.0, 0.80, 0.20),
        (19.99, Regime.NORMAL, 1.0, 0.80, 0.20),
        (20.0, Regime.ELEVATED, 0.75, 0.70, 0.35),
        (30.0, Regime.HIGH, 0.50, 0.60, 0.50),
        (40.0, Regime.CRISIS, 0.25, 0.50, 0.70),
    ],
)
def test_the_regime_table(
    manager: VixManager, value: float, regime: Regime, scale: float, ceiling: float, buffer: float
) -> None:
    reading = manager.read(seen(at(11), value, prior=value))
    assert (reading.regime, reading.scale) == (regime, scale)
    assert (reading.margin_ceiling, reading.buffer_base) == (ceiling, buffer)


def test_vx1_31_then_29_stays_high_and_31_then_28_is_elevated_after_30_minutes() -> None:
    stays, falls = VixManager(SETTINGS), VixManager(SETTINGS)
    for manager, after in ((stays, 29.0), (falls, 28.0)):
        assert walk(manager, at(11), [31.0]).regime is Regime.HIGH
        assert walk(manager, at(11, 1), [after] * 30).regime is Regime.HIGH
    assert walk(stays, at(11, 31), [29.0] * 60).regime is Regime.HIGH
    assert walk(falls, at(11, 31), [28.0]).regime is Regime.ELEVATED


def test_the_regime_rises_at_once_and_falls_through_several_boundaries_only_by_time(manager: VixManager) -> None:
    assert walk(manager, at(11), [15.0, 45.0]).regime is Regime.CRISIS
    assert walk(manager, at(11, 2), [15.0] * 30).regime is Regime.CRISIS
    assert walk(manager, at(11, 32), [15.0]).regime is Regime.CALM


def test_one_minute_back_above_starts_the_thirty_minutes_again(manager: VixManager) -> None:
    walk(manager, at(11), [31.0, *[28.0] * 25, 28.6, *[28.0] * 29])
    assert manager.regime is Regime.HIGH


def test_a_suspect_value_raises_the_regime_and_never_lowers_it(manager: VixManager) -> None:
    walk(manager, at(11), [24.0] * 6)
    reading = manager.read(seen(at(11, 6), 65.7))
    assert (reading.verdict, reading.regime) == (VixVerdict.SUSPECT, Regime.CRISIS)
    # Back at 24 without any cross-check: suspect for an hour, and the regime stays.
    for minute in range(60):
        reading = manager.read(seen(at(12) + timedelta(minutes=minute), 24.0, rv20=None))
    assert (reading.verdict, reading.regime) == (VixVerdict.SUSPECT, Regime.CRISIS)


def test_a_night_is_no_evidence_of_calm(manager: VixManager) -> None:
    walk(manager, at(15, 40), [31.0, *[28.0] * 20])
    opened = at(9, 31, NEXT_DAY)
    assert walk(manager, opened, [28.0] * 30).regime is Regime.HIGH
    assert walk(manager, opened + timedelta(minutes=30), [28.0]).regime is Regime.ELEVATED


def test_a_regime_survives_a_restart_with_its_clock_at_zero(manager: VixManager) -> None:
    walk(manager, at(11), [31.0, *[28.0] * 29])
    again = VixManager(SETTINGS)
    again.restore(manager.state())
    assert walk(again, at(11, 30), [28.0] * 30).regime is Regime.HIGH
    assert walk(again, at(12), [28.0]).regime is Regime.ELEVATED


# --------------------------------------------------------------------------------------------------------- panic etc.


def refusal(manager: VixManager, reading: VixReading, books: Books | None = None, *, short: bool = True) -> Reason:
    step = dataclasses.replace(snapshot(at(11)), vix=reading)
    intent = opening(risk=unit_risk(short_premium=short))
    return manager.rule(intent, step, BookKeeper().books if books is None else books).reason


def test_panic_reduces_until_an_hour_below_its_release(manager: VixManager) -> None:
    books = BookKeeper().books
    # Given a last close of 20, VIX at 30 (1.5 times it) with the index down,
    reading = manager.read(seen(at(10), 30.0, prior=20.0))
    assert reading.panic
    assert refusal(manager, reading) is Reason.VIX_PANIC
    causes = manager.watch(seen(at(10), 30.0), books).causes
    assert [(cause.state, cause.reason) for cause in causes] == [(TradingState.REDUCING, Reason.VIX_PANIC)]
    # when it stays below 25 for an hour, the panic ends; 25.0 is not below.
    assert walk(manager, at(10, 1), [25.0] * 90, prior=20.0).panic
    assert walk(manager, at(11, 31), [24.9] * 60, prior=20.0).panic
    assert not walk(manager, at(12, 31), [24.9], prior=20.0).panic
    assert manager.watch(seen(at(12, 31), 24.9), books).causes == ()


def test_without_a_last_close_there_is_neither_panic_nor_complacency(manager: VixManager) -> None:
    high, low = manager.read(seen(at(10), 45.0, prior=None)), VixManager(SETTINGS).read(seen(at(10), 13.0, prior=None))
    assert (high.verdict, high.panic) == (VixVerdict.GOOD, False)
    assert (low.verdict, low.complacent) == (VixVerdict.GOOD, False)


def test_a_panic_survives_a_restart(manager: VixManager) -> None:
    manager.read(seen(at(10), 30.0, prior=20.0))
    again = VixManager(SETTINGS)
    again.restore(manager.state())
    assert again.read(seen(at(10, 1), 26.0, prior=20.0)).panic


def test_a_crisis_sells_no_premium_and_lets_bought_structures_pass(manager: VixManager) -> None:
    reading = manager.read(seen(at(11), 41.0, prior=40.0))
    assert refusal(manager, reading) is Reason.VIX_CRISIS
    assert refusal(manager, reading, short=False) is Reason.ALLOWED


def test_complacency_allows_one_short_premium_trade_a_day(manager: VixManager) -> None:
    keeper = BookKeeper()
    reading = manager.read(seen(at(11), 14.0, prior=14.5))
    assert reading.complacent
    assert refusal(manager, reading, keeper.books) is Reason.ALLOWED
    keeper.hold(when=at(10, 30))
    assert refusal(manager, reading, keeper.books) is Reason.VIX_COMPLACENT
    assert refusal(manager, reading, keeper.books, short=False) is Reason.ALLOWED
    # A VIX that has moved 10 % since the last close is awake.
    assert not manager.read(seen(at(11, 1), 14.0, prior=15.6)).complacent


def test_daily_only_trades_half_size_on_the_last_close() -> None:
    manager = VixManager(dataclasses.replace(SETTINGS, daily_only=True))
    reading = manager.read(seen(at(11), None, prior=24.0))
    assert (reading.verdict, reading.value, reading.scale) == (VixVerdict.GOOD, 24.0, 0.375)
    assert manager.read(seen(at(11, 1), None, prior=None)).verdict is VixVerdict.UNKNOWN


def test_changes_of_the_regime_are_noted_once(manager: VixManager) -> None:
    manager.read(seen(at(11), 24.0))
    manager.watch(seen(at(11), 24.0), BookKeeper().books)
    step = seen(at(11, 1), 31.0, spx=5_300.0)
    manager.read(step)
    notes = heard(manager, step, BookKeeper().books).notes
    assert [(note.fields["from"], note.fields["to"], note.fields["value_e6"]) for note in notes] == [
        ("ELEVATED", "HIGH", 31_000_000)
    ]
    assert manager.watch(step, BookKeeper().books).notes == ()


# ---------------------------------------------------------------------------------------------------------- properties


@given(
    value=st.one_of(st.none(), st.just(math.nan), st.floats(-10, 4.999), st.floats(100.001, 1e6), st.just(24.0)),
    age_s=st.floats(0, 10_000),
    rv20=st.one_of(st.none(), st.floats(-1, 4.79), st.floats(60.1, 500)),
)
def test_vx_p1_bad_or_absent_sources_never_yield_an_entry(
    value: float | None, age_s: float, rv20: float | None
) -> None:
    manager = VixManager(SETTINGS)
    reading = manager.read(seen(at(12), value, age_s=age_s, rv20=rv20))
    assert refusal(manager, reading) in (Reason.VIX_UNKNOWN, Reason.VIX_STALE, Reason.VIX_SUSPECT)
    assert refusal(manager, reading, short=False) is not Reason.ALLOWED


def test_vx_p1_a_snapshot_without_a_reading_yields_no_entry(manager: VixManager) -> None:
    step = dataclasses.replace(snapshot(at(11)), vix=None)
    assert manager.rule(opening(), step, BookKeeper().books).reason is Reason.VIX_UNKNOWN


@given(low=st.floats(5, 100), high=st.floats(5, 100))
def test_vx_p2_scale_and_ceiling_never_rise_with_vix(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    calm = VixManager(SETTINGS).read(seen(at(11), low, prior=low, rv20=low / 1.2))
    wild = VixManager(SETTINGS).read(seen(at(11), high, prior=high, rv20=high / 1.2))
    assert wild.scale <= calm.scale
    assert wild.margin_ceiling <= calm.margin_ceiling
    assert wild.buffer_base >= calm.buffer_base


@given(path=st.lists(st.floats(8, 60), min_size=1, max_size=120))
def test_vx_p2_a_held_regime_is_never_below_what_the_value_alone_gives(path: list[float]) -> None:
    manager = VixManager(SETTINGS)
    order = list(Regime)
    for minute, value in enumerate(path):
        held = manager.read(seen(at(10) + timedelta(minutes=minute), value, rv20=value / 1.2)).regime
        alone = VixManager(SETTINGS).read(seen(at(10), value, rv20=value / 1.2)).regime
        assert order.index(held) >= order.index(alone)


def regime_of(path: list[tuple[int, float, bool]]) -> Regime:
    """Return the regime after a path of (minute, value, is GOOD), reckoned from the whole of it."""
    boundaries = (SETTINGS.calm_at, SETTINGS.normal_at, SETTINGS.elevated_at, SETTINGS.high_at, SETTINGS.crisis_at)
    held, last_good, since = 0, path[0][0], dict[int, int]()
    for minute, value, good in path:
        if good and (minute - last_good) * 60 > SETTINGS.max_age_s:
            since.clear()
        last_good = minute if good else last_good
        for place, boundary in enumerate(boundaries):
            if value >= SETTINGS.down_fraction * boundary:
                since.pop(place, None)
            elif good:
                since.setdefault(place, minute)
        held = max(held, sum(value >= boundary for boundary in boundaries))
        while good and held > sum(value >= boundary for boundary in boundaries):
            if minute - since.get(held - 1, minute) < SETTINGS.down_min:
                break
            held -= 1
    return list(Regime)[1 + held]


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from((1, 1, 1, 4, 29, 60)),
            st.sampled_from((12.0, 14.25, 15.0, 19.5, 28.0, 28.5, 29.0, 30.0, 38.0, 41.0)),
            st.sampled_from((True, True, True, False)),
        ),
        min_size=1,
        max_size=60,
    ),
    lasting=st.integers(1, 35),
)
def test_the_regime_is_what_the_whole_path_says_whatever_was_left_out_on_the_way(
    steps: list[tuple[int, float, bool]], lasting: int
) -> None:
    manager, path, minute = VixManager(SETTINGS), list[tuple[int, float, bool]](), 0
    for wait, value, good in [(wait, value, good) for wait, value, good in steps for _ in range(lasting)][:90]:
        minute += wait
        now = at(9, 31) + timedelta(minutes=minute)
        day = dataclasses.replace(session(), day=now.date(), open=now - timedelta(hours=1))
        step = dataclasses.replace(
            seen(now, value, spx=None, prior=None, rv20=value / 1.2 if good else None), session=day
        )
        reading = manager.read(step)
        assert reading.is_good == good
        path.append((minute, value, good))
        assert reading.regime is regime_of(path)


def test_a_regime_that_is_restored_falls_again_where_the_values_have_stayed_the_same(manager: VixManager) -> None:
    walk(manager, at(11), [25.0] * 3)
    manager.restore({"regime": "CRISIS", "panic": "false"})
    assert walk(manager, at(11, 3), [25.0] * 30).regime is Regime.CRISIS
    assert walk(manager, at(11, 33), [25.0]).regime is Regime.ELEVATED


@given(path=st.lists(st.sampled_from((20.0, 24.0, 29.0, 31.0)), min_size=1, max_size=150), rise=st.integers(0, 150))
def test_who_listens_only_while_it_does_not_rest_hears_all_that_is_said(path: list[float], rise: int) -> None:
    asked, heard_of, books = VixManager(SETTINGS), VixManager(SETTINGS), BookKeeper().books
    for minute, value in enumerate(path):
        step = seen(at(9, 45) + timedelta(minutes=minute), value, prior=18.0 if minute > rise else 24.0, spx=None)
        assert asked.read(step) == heard_of.read(step)
        assert asked.watch(step, books) == heard(heard_of, step, books)


def test_the_session_of_the_tests_is_a_friday() -> None:
    assert session().last_of_week
