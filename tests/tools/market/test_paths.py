"""SPX, VIX and QQQ: sizes, dependence and the crash library, against the figures they were made for."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tests.tools.market.markets import close_pct, gap_pct, world
from tools.market import calendar
from tools.market.paths import FOMC_DAYS, daily_plans, session_path
from tools.market.scenarios import SCENARIOS, Scenario, Steady


@pytest.fixture(scope="module")
def steady() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Eighteen years with VIX around its long-run median."""
    scenario = Scenario("", Steady(17.6), date(2025, 9, 5), 60)
    plans = daily_plans(3, scenario, scenario.start, date(2025, 9, 5))
    return {
        "spx": np.array([plan.points[-1][1] for plan in plans]),
        "night": np.array([plan.points[0][1] for plan in plans]),
        "vix": np.log([plan.close_vix for plan in plans]),
        "qqq": np.log([plan.close_qqq / plan.prior_qqq for plan in plans]),
        "level": np.array([plan.prior for plan in plans[-250:]]),
    }


def test_returns_have_fat_tails_and_the_night_its_share(
    steady: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]],
) -> None:
    returns = steady["spx"] - steady["spx"].mean()
    assert 0.006 < returns.std() < 0.010
    assert 4.0 < (returns**4).mean() / returns.var() ** 2 < 12.0
    assert 0.20 < steady["night"].var() / returns.var() < 0.40


def test_vix_rises_when_spx_falls(steady: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> None:
    moves = np.diff(steady["vix"])
    assert 0.05 < moves.std() < 0.08
    assert -0.85 < np.corrcoef(steady["spx"][1:], moves)[0, 1] < -0.60
    assert -8.0 < np.polyfit(steady["spx"][1:], moves, 1)[0] < -4.0


def test_qqq_moves_with_spx_and_more(steady: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> None:
    assert np.corrcoef(steady["spx"], steady["qqq"])[0, 1] == pytest.approx(0.93, abs=0.02)
    assert np.polyfit(steady["spx"], steady["qqq"], 1)[0] == pytest.approx(1.2, abs=0.05)


def test_levels_have_the_size_of_their_year(steady: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> None:
    assert steady["level"].min() > 4_000
    assert steady["level"].max() < 9_500


def test_the_day_is_busy_at_both_ends() -> None:
    squares = np.zeros(390)
    market = world()
    for day in market.days:
        path = market.path(day)
        if path.plan.minutes == 390 and day not in FOMC_DAYS:
            squares += np.square(np.diff(np.log(path.fair)) / path.plan.sigma)
    first, middle, last = squares[:30].mean(), squares[150:240].mean(), squares[360:].mean()
    assert first > 1.8 * middle
    assert last > 1.3 * middle


def test_an_fomc_afternoon_moves_more_than_its_morning() -> None:
    ratios = []
    for seed in range(8):
        market = world(seed=seed)
        for day in sorted(FOMC_DAYS & set(market.days)):
            steps = np.abs(np.diff(np.log(market.path(day).fair)))
            assert steps[270:300].mean() > 1.5 * steps[120:240].mean()
            ratios.append(steps[270] / steps[271:300].mean())
    assert np.mean(ratios) > 1.8  # the statement's own minute


@pytest.mark.parametrize("seed", range(12))
def test_vix_and_spx_never_disagree_by_themselves(seed: int) -> None:
    """The limit of risk.md: beyond it a VIX value is suspect and refuses every entry."""
    market = world(seed=seed)
    for day in market.days[::5]:
        path = market.path(day)
        n = path.plan.minutes
        vix, spx = np.log(path.vix[: n + 1]), np.log(path.fair)
        assert np.all(np.abs(vix[5:] - vix[:-5]) <= 0.10 + 15 * np.abs(spx[5:] - spx[:-5]))


def test_a_date_has_the_same_minutes_in_every_market_that_holds_it() -> None:
    market = world()
    later = daily_plans(7, SCENARIOS["default"], date(2025, 9, 15), date(2025, 10, 31))
    plan = next(plan for plan in later if plan.day == date(2025, 10, 10))
    assert plan == market.plans[plan.day]
    assert np.array_equal(session_path(7, plan).fair, market.path(plan.day).fair)
    assert not np.array_equal(session_path(8, plan).fair, market.path(plan.day).fair)


# (scenario, place of the day after the quiet sessions' event, gap, low, close in per cent, VIX high and close)
CRASHES = [
    ("crash_2010", 0, -0.1, -8.6, -3.24, 40.7, 32.8),
    ("crash_2018", 1, -0.5, -4.5, -4.10, 37.3, 37.3),
    ("crash_2020", 0, -6.2, None, -7.60, None, 54.5),
    ("crash_2020", 5, -7.0, None, -11.98, None, 82.7),
    ("crash_2020", 11, 4.0, None, 9.38, None, 61.7),
    ("crash_2024", 1, -3.7, None, -3.00, 57.0, 38.6),
    ("crash_2025", 1, -2.7, None, -5.97, None, 45.3),
    ("crash_2025", 2, -3.6, -4.7, -0.23, 60.1, 47.0),
    ("crash_2025", 4, -0.3, None, 9.52, None, 33.6),
    ("gap_up", 0, 5.0, None, 5.6, 23.5, 22.0),
]


@pytest.mark.parametrize(("scenario", "place", "gap", "low", "close", "vix_high", "vix_close"), CRASHES)
def test_crash_days_have_the_figures_of_the_library(
    scenario: str, place: int, gap: float, low: float | None, close: float, vix_high: float | None, vix_close: float
) -> None:
    market = world(scenario)
    scripted = [day for day in market.days if market.plans[day].shape.path]
    path = market.path(scripted[place])
    assert gap_pct(path) == pytest.approx(gap, abs=0.01)
    assert close_pct(path) == pytest.approx(close, abs=0.01)
    assert path.vix[-1] == pytest.approx(vix_close, abs=0.1)
    if low is not None:
        assert (path.fair.min() / path.plan.prior - 1) * 100 == pytest.approx(low, abs=0.6)
    if vix_high is not None:
        assert path.vix.max() == pytest.approx(vix_high, rel=0.05)


def test_the_flash_crash_falls_and_recovers_within_the_half_hour() -> None:
    market = world("crash_2010")
    day = next(day for day in market.days if market.plans[day].shape.stubs)
    change = (market.path(day).fair / market.plans[day].prior - 1) * 100
    assert calendar.is_last_of_week(day)
    assert abs(change[60] - change[0]) < 0.5  # a condor is allowed in the morning
    assert change[316] - change[311] < -4.0
    assert change[336] - change[316] > 4.5


def test_during_a_halt_nothing_moves() -> None:
    market = world("halt")
    day = next(day for day in market.days if market.plans[day].shape.halts)
    path = market.path(day)
    assert path.halted.sum() == 15
    inside = np.flatnonzero(path.halted)
    assert np.ptp(path.fair[inside[0] + 1 : inside[-1] + 2]) < 1.0


def test_calm_stays_calm_and_the_grind_goes_down() -> None:
    calm, grind = world("calm"), world("grind")
    assert max(calm.path(day).vix.max() for day in calm.days) < 16
    assert grind.plans[grind.days[-1]].close < 0.95 * grind.plans[grind.days[0]].prior
    assert min(close_pct(grind.path(day)) for day in grind.days) > -5.5
