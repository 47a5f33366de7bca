"""`bench lean`: what main.py costs on LEAN beside an algorithm that does nothing, and the embedded engine beside LEAN.

Both algorithms subscribe to the same data and run alternately, so that a slow hour of the machine hits both.  Of each
session the quickest repetition counts; the first sessions are left out, in which .NET still compiles, and the first one
with a trade.  Where main.py's time goes is found by one more run of it, with every part timed: that takes time, so that
no ratio is made of that run.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tools.backtest import Market
from tools.bench import IDLE_ALGORITHM, ChildRun, Figure, market_of, run_child, spread_of
from tools.console import progress
from tools.errors import BulkheadUsageError, RunFailedError
from tools.lean_launcher import Installation, find_installation
from tools.lean_process import LeanOutcome, LeanTask, run_task
from tools.lean_run import failure_text
from tools.ledger_chunks import join_chunks
from tools.ledger_reader import exchange_time, parse_lines
from tools.measured.stopwatch import KEY
from tools.parameters import check_settings, project_parameters
from tools.paths import ROOT

IDLE, OURS, SHARES = "idle", "ours", "shares"
WARMING_UP = 10
"""Sessions at the start that are not compared: LEAN's own code is still being compiled, and several times slower."""

_FEWEST = WARMING_UP + 5


@dataclass(frozen=True, slots=True)
class LeanRun:
    """One measured run on LEAN; sessions is the wall time of each in seconds, stages that of main.py's parts."""

    data_points: int
    wall_s: float
    loop_s: float
    peak_rss_mb: float
    sessions: Mapping[date, float]
    stages: Mapping[str, float]
    traded: frozenset[date] = frozenset()


def bench_lean(
    sessions: int = 40,
    repeats: int = 3,
    lean: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    quiet: bool = False,
) -> list[Figure]:
    """Measure main.py and an algorithm that does nothing on LEAN, and main.py on the embedded engine, alternately."""
    if sessions < _FEWEST:
        raise BulkheadUsageError(
            f"--sessions = {sessions}: expected {_FEWEST} or more, the first {WARMING_UP} are not compared."
        )
    parameters = project_parameters() | dict(overrides or {})
    check_settings(parameters)
    installation = find_installation(lean)
    market = market_of(sessions, quiet=quiet)
    parameters |= {"run.start": market.start.isoformat(), "run.end": market.end.isoformat()}
    idle: list[LeanRun] = []
    ours: list[LeanRun] = []
    embedded: list[ChildRun] = []
    embedded_idle: list[ChildRun] = []
    with progress("Measuring", quiet=quiet) as advance:
        shares = _run(SHARES, installation, market, parameters)  # first: it is the one whose parts may be missing
        advance(1 / (3 * repeats + 1))
        for number in range(repeats):
            idle.append(_run(IDLE, installation, market, parameters))
            advance((3 * number + 2) / (3 * repeats + 1))
            ours.append(_run(OURS, installation, market, parameters))
            advance((3 * number + 3) / (3 * repeats + 1))
            embedded.append(run_child(market, overrides=overrides))
            embedded_idle.append(run_child(market, algorithm=IDLE_ALGORITHM, overrides=overrides))
            advance((3 * number + 4) / (3 * repeats + 1))
    return [*compare(idle, ours, embedded, embedded_idle), *where(shares)]


def compare(
    idle: Sequence[LeanRun], ours: Sequence[LeanRun], embedded: Sequence[ChildRun], embedded_idle: Sequence[ChildRun]
) -> list[Figure]:
    """Return the figures of the repetitions: of every kind of run the quickest counts."""
    floor, best = _quickest(idle), _quickest(ours)
    own, own_floor = (min(runs, key=lambda run: run.wall_s) for runs in (embedded, embedded_idle))
    quiet_days, trade_days = _days(ours)
    return [
        Figure("sessions", len(best.sessions), ""),
        Figure("LEAN, idle algorithm, its loop", floor.loop_s, "s", spread_of([run.loop_s for run in idle])),
        Figure("LEAN, idle algorithm, with start-up", floor.wall_s, "s"),
        Figure("LEAN, idle algorithm, data points per second", floor.data_points / floor.loop_s, "1/s"),
        Figure("LEAN, idle algorithm, peak memory", max(run.peak_rss_mb for run in idle), "MB"),
        Figure("LEAN, main.py, its loop", best.loop_s, "s", spread_of([run.loop_s for run in ours])),
        Figure("LEAN, main.py, with start-up", best.wall_s, "s"),
        Figure("LEAN, main.py, data points per second", best.data_points / best.loop_s, "1/s"),
        Figure("LEAN, main.py, peak memory", max(run.peak_rss_mb for run in ours), "MB"),
        Figure("sessions without a trade, compared", len(quiet_days), ""),
        *_overhead("overhead on sessions without a trade", idle, ours, quiet_days),
        Figure("sessions with a trade, compared", len(trade_days), ""),
        *_overhead("overhead on sessions with a trade", idle, ours, trade_days),
        Figure("embedded engine, main.py, run", own.wall_s, "s", spread_of([run.wall_s for run in embedded])),
        Figure("embedded engine, main.py, with start-up", own.process_s, "s"),
        Figure("embedded engine, data points per second", own.data_points / own.wall_s, "1/s"),
        Figure("embedded engine, idle algorithm, run", own_floor.wall_s, "s"),
        Figure("LEAN / embedded, main.py, start-up included", best.wall_s / own.process_s, "x"),
        Figure("LEAN / embedded, main.py, start-up excluded", best.loop_s / own.wall_s, "x"),
        Figure("LEAN / embedded, idle algorithm, start-up included", floor.wall_s / own_floor.process_s, "x"),
        Figure("LEAN / embedded, idle algorithm, start-up excluded", floor.loop_s / own_floor.wall_s, "x"),
    ]


def where(shares: LeanRun) -> list[Figure]:
    """Return where main.py's time goes on LEAN: each part's share of it, the largest first."""
    total = sum(shares.stages.values())
    parts = sorted(shares.stages.items(), key=lambda item: -item[1])
    return [
        Figure("LEAN, main.py with its parts timed, a session", total / len(shares.sessions) * 1e3, "ms"),
        *(Figure(f"  {name}", seconds / total * 100, "%") for name, seconds in parts if seconds),
    ]


def _quickest(runs: Sequence[LeanRun]) -> LeanRun:
    return min(runs, key=lambda run: run.loop_s)


def _days(ours: Sequence[LeanRun]) -> tuple[list[date], list[date]]:
    """Return the compared sessions without and with a fill; the first order ever is compiled in its session."""
    days = sorted(ours[0].sessions)[WARMING_UP:]
    traded = sorted(ours[0].traded)
    return [day for day in days if day not in traded], [day for day in days if day in traded[1:]]


def _overhead(name: str, idle: Sequence[LeanRun], ours: Sequence[LeanRun], days: Sequence[date]) -> list[Figure]:
    if not days:
        return []
    floor, best = _seconds(idle, days), _seconds(ours, days)
    return [Figure(name, (best / floor - 1) * 100, "%")]


def _seconds(runs: Sequence[LeanRun], days: Sequence[date]) -> float:
    """Return the time of some sessions, each in its quickest repetition; a day that a run has not seen counts 0."""
    return sum(min(run.sessions.get(day, 0.0) for run in runs) for day in days)


def _run(name: str, installation: Installation, market: Market, parameters: Mapping[str, str]) -> LeanRun:
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        algorithm = ROOT / "tools" / "measured" / f"{name}.py"
        task = LeanTask(algorithm=algorithm, data=market.folder, work=Path(folder), parameters=parameters)
        outcome = run_task(installation, task)
        failure = failure_text(outcome)
        if failure is not None or outcome.loop_s is None or KEY not in outcome.store:
            raise RunFailedError(
                f"bench lean: the measured run failed: {failure or 'LEAN did not say how long it took'}"
            )
        traded = frozenset() if name == IDLE else _traded(outcome.store)
        return _measured(outcome, outcome.loop_s, market.end, traded)


def _measured(outcome: LeanOutcome, loop_s: float, end: date, traded: frozenset[date]) -> LeanRun:
    noted = json.loads(outcome.store[KEY])
    moments = [*noted["starts"].values(), noted["end"]]
    days = [date.fromisoformat(day) for day in noted["starts"]]
    # After the last session only the settlement of the night comes.
    lengths = {
        day: after - before for day, before, after in zip(days, moments, moments[1:], strict=False) if day <= end
    }
    return LeanRun(
        data_points=outcome.data_points,
        wall_s=outcome.wall_s,
        loop_s=loop_s,
        peak_rss_mb=outcome.peak_rss_mb,
        sessions=lengths,
        stages=noted["stages"],
        traded=traded,
    )


def _traded(store: Mapping[str, bytes]) -> frozenset[date]:
    """Return the sessions with a fill."""
    records = parse_lines(join_chunks(store), "the measured run")
    return frozenset(exchange_time(record).date() for record in records if record["kind"] == "FILL")
