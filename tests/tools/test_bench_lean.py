"""`bench lean`: what is compared with what; how long anything takes is never asserted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tools.bench import ChildRun, Figure, market_of, run_child
from tools.bench_lean import IDLE, OURS, WARMING_UP, LeanRun, bench_lean, compare
from tools.errors import BulkheadUsageError
from tools.measured.stopwatch import Stopwatch
from tools.paths import ROOT

MONDAY = date(2025, 9, 8)
DAYS = [MONDAY + timedelta(days=number) for number in range(WARMING_UP + 3)]
TRADED = frozenset(DAYS[-1:])
EMBEDDED = ChildRun(1_000, wall_s=0.5, algorithm_s=0.2, process_s=1.0, peak_rss_mb=100, steps_us=())
EMBEDDED_IDLE = ChildRun(1_000, wall_s=0.25, algorithm_s=0.0, process_s=0.5, peak_rss_mb=90, steps_us=())


def lean_run(seconds: float, *, traded_s: float | None = None, loop_s: float = 10.0, **more: float) -> LeanRun:
    """A run whose compiling sessions took 100 s each, so that a comparison which counts them shows."""
    sessions = {day: 100.0 if number < WARMING_UP else seconds for number, day in enumerate(DAYS)}
    sessions |= {day: traded_s for day in TRADED if traded_s is not None}
    return LeanRun(2_000, wall_s=loop_s + 5, loop_s=loop_s, peak_rss_mb=300, sessions=sessions, handlers=more)


def ours(seconds: float, traded_s: float, **more: float) -> LeanRun:
    return replace(lean_run(seconds, traded_s=traded_s, **more), traded=TRADED)


def named(figures: list[Figure]) -> dict[str, float]:
    return {figure.name.strip(): figure.value for figure in figures}


def test_sessions_with_and_without_a_trade_are_compared_apart_and_compiling_ones_not_at_all() -> None:
    figures = named(compare([lean_run(1.0, traded_s=2.0)], [ours(1.25, 3.0)], [EMBEDDED], [EMBEDDED_IDLE]))
    assert figures["overhead on sessions without a trade"] == pytest.approx(25)
    assert figures["overhead on sessions with a trade"] == pytest.approx(50)
    assert figures["sessions without a trade, compared"] == 2
    assert figures["sessions with a trade, compared"] == 1


def test_of_each_session_the_quickest_repetition_counts() -> None:
    idle, slow, quick = lean_run(1.0, traded_s=2.0), ours(9.0, 2.0), ours(1.5, 9.0)
    figures = named(compare([idle, lean_run(5.0, traded_s=5.0)], [slow, quick], [EMBEDDED], [EMBEDDED_IDLE]))
    assert figures["overhead on sessions without a trade"] == pytest.approx(50)
    assert figures["overhead on sessions with a trade"] == pytest.approx(0)


def test_without_a_day_of_one_kind_its_overhead_is_left_out() -> None:
    figures = named(compare([lean_run(1.0)], [lean_run(1.0)], [EMBEDDED], [EMBEDDED_IDLE]))
    assert "overhead on sessions with a trade" not in figures
    assert figures["sessions with a trade, compared"] == 0


def test_lean_stands_beside_the_embedded_engine_with_and_without_start_up() -> None:
    figures = named(
        compare([lean_run(1.0)], [ours(1.0, 1.0, loop_s=6.0), ours(1.0, 1.0, loop_s=4.0)], [EMBEDDED], [EMBEDDED_IDLE])
    )
    assert figures["LEAN / embedded, main.py, start-up included"] == pytest.approx(9.0)
    assert figures["LEAN / embedded, main.py, start-up excluded"] == pytest.approx(8.0)
    assert figures["LEAN / embedded, idle algorithm, start-up included"] == pytest.approx(30.0)
    assert figures["LEAN / embedded, idle algorithm, start-up excluded"] == pytest.approx(40.0)


def test_the_algorithms_own_time_is_told_by_handler_the_largest_first() -> None:
    told = compare([lean_run(1.0)], [ours(1.0, 1.0, pulse=0.8, on_data=1.6)], [EMBEDDED], [EMBEDDED_IDLE])
    names = [figure.name for figure in told if figure.name.startswith("  ")]
    assert names == ["  on_data", "  pulse"]
    assert named(told)["on_data"] == pytest.approx(200)
    assert named(told)["main.py's own CPU time per session"] == pytest.approx(300)


def test_too_few_sessions_are_refused_before_anything_runs() -> None:
    with pytest.raises(BulkheadUsageError, match="--sessions = 3: expected 10 or more"):
        bench_lean(3)


def test_the_stopwatch_notes_the_first_data_of_a_day() -> None:
    watch = Stopwatch()
    for minute in range(3):
        watch.data(datetime(2025, 9, 8, 9, 31 + minute))
    watch.data(datetime(2025, 9, 9, 9, 31))
    watch.add("on_data", 0.25)
    watch.add("on_data", 0.5)
    noted = json.loads(watch.text())
    assert list(noted["starts"]) == ["2025-09-08", "2025-09-09"]
    assert noted["starts"]["2025-09-08"] < noted["starts"]["2025-09-09"] < noted["end"]
    assert noted["handlers"] == {"on_data": 0.75}


def test_the_idle_algorithm_runs_on_the_embedded_engine() -> None:
    market = market_of(1, quiet=True)
    minutes = 390 * len(("SPY trade", "SPX", "VIX"))
    assert run_child(market, idle=True).data_points > minutes


@pytest.mark.parametrize("name", [IDLE, OURS])
def test_the_measured_algorithms_are_there(name: str) -> None:
    assert (ROOT / Path("tools") / "measured" / f"{name}.py").is_file()
