"""`bench lean`: what is compared with what; how long anything takes is never asserted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.world import World
from tools.bench import IDLE_ALGORITHM, ChildRun, Figure, market_of, run_child
from tools.bench_lean import IDLE, OURS, SHARES, WARMING_UP, LeanRun, bench_lean, compare, where
from tools.errors import BulkheadUsageError
from tools.measured.stages import REST, Stages, timed_methods
from tools.measured.stopwatch import Stopwatch
from tools.paths import ROOT

MONDAY = date(2025, 9, 8)
DAYS = [MONDAY + timedelta(days=number) for number in range(WARMING_UP + 4)]
TRADED = frozenset(DAYS[-2:])
"""The first of them is not compared: its orders are compiled then."""
EMBEDDED = ChildRun(1_000, wall_s=0.5, algorithm_s=0.2, process_s=1.0, peak_rss_mb=100, steps_us=())
EMBEDDED_IDLE = ChildRun(1_000, wall_s=0.25, algorithm_s=0.0, process_s=0.5, peak_rss_mb=90, steps_us=())


def lean_run(
    seconds: float, *, traded_s: float | None = None, loop_s: float = 10.0, stages: Mapping[str, float] | None = None
) -> LeanRun:
    """A run whose compiling sessions took 100 s each, so that a comparison which counts them shows."""
    sessions = {day: 100.0 if number < WARMING_UP else seconds for number, day in enumerate(DAYS)}
    sessions |= {day: traded_s for day in TRADED if traded_s is not None}
    return LeanRun(2_000, wall_s=loop_s + 5, loop_s=loop_s, peak_rss_mb=300, sessions=sessions, stages=stages or {})


def ours(seconds: float, traded_s: float, *, loop_s: float = 10.0) -> LeanRun:
    return replace(lean_run(seconds, traded_s=traded_s, loop_s=loop_s), traded=TRADED)


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


def test_where_the_time_goes_is_told_by_part_the_largest_first() -> None:
    told = where(lean_run(1.0, stages={"ledger": 1.0, "market data": 3.0, "ETF book": 0.0}))
    assert [figure.name for figure in told[1:]] == ["  market data", "  ledger"]
    assert named(told)["market data"] == pytest.approx(75)
    assert named(told)["LEAN, main.py with its parts timed, a session"] == pytest.approx(4.0 / len(DAYS) * 1e3)


def test_too_few_sessions_are_refused_before_anything_runs() -> None:
    with pytest.raises(BulkheadUsageError, match="--sessions = 3: expected 15 or more"):
        bench_lean(3)


def test_the_stopwatch_notes_the_first_data_of_a_day() -> None:
    watch = Stopwatch()
    for minute in range(3):
        watch.data(datetime(2025, 9, 8, 9, 31 + minute))
    watch.data(datetime(2025, 9, 9, 9, 31))
    noted = json.loads(watch.text({"ledger": 0.75}))
    assert list(noted["starts"]) == ["2025-09-08", "2025-09-09"]
    assert noted["starts"]["2025-09-08"] < noted["starts"]["2025-09-09"] < noted["end"]
    assert noted["stages"] == {"ledger": 0.75}


def test_a_part_that_calls_another_one_is_not_at_work_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 11.0, 13.0, 13.5, 20.0, 24.0])
    monkeypatch.setattr("tools.measured.stages.time.perf_counter", lambda: next(clock))
    stages = Stages()
    record = stages.timed("ledger", lambda value: value + 1)
    decide = stages.timed("limits", lambda value: record(value) * 2)
    assert decide(1) == 4
    stages.begin(REST)
    stages.end()
    found = stages.seconds()
    assert (found["limits"], found["ledger"], found[REST]) == (1.5, 2.0, 4.0)
    assert sum(found.values()) == 7.5


def test_a_part_that_fails_is_at_work_no_longer() -> None:
    stages = Stages()

    def fail() -> None:
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        stages.timed("ledger", fail)()
    stages.begin(REST)
    stages.end()
    with pytest.raises(IndexError):
        stages.end()


def test_the_idle_algorithm_runs_on_the_embedded_engine() -> None:
    market = market_of(1, quiet=True)
    minutes = 390 * len(("SPY trade", "SPX", "VIX"))
    assert run_child(market, algorithm=IDLE_ALGORITHM).data_points > minutes


def test_main_runs_with_all_of_its_parts_timed() -> None:
    market = market_of(1, quiet=True)
    plain, timed = run_child(market), run_child(market, algorithm=IDLE_ALGORITHM.with_name(f"{SHARES}.py"))
    assert timed.data_points == plain.data_points


@pytest.mark.parametrize("name", [IDLE, OURS, SHARES])
def test_the_measured_algorithms_are_there(name: str) -> None:
    assert (ROOT / Path("tools") / "measured" / f"{name}.py").is_file()


def test_what_is_timed_is_there() -> None:
    World()  # the edge is imported with an engine
    assert all(callable(getattr(kind, name, None)) for _part, kind, name in timed_methods())
