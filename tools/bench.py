"""Benchmarks of this machine: the engine, one step of the algorithm, the ledger.

Each engine run is a process of its own, so that its peak memory is its own, and the best of several counts: what is
slower than that was something else on the machine.  Ratios compare within one run of the benchmark; absolute figures
say what this machine did, not what another will do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from tools.backtest import BacktestRequest, Market, synthetic_market
from tools.errors import BulkheadUsageError, RunFailedError
from tools.paths import MAIN, ROOT, cache_dir

T = TypeVar("T")
YEAR_SESSIONS = 252
LEDGER_RECORDS = 20_000

IDLE_ALGORITHM = ROOT / "tools" / "measured" / "idle.py"
"""The least that an algorithm can do with the same data: what remains is the engine."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a benchmark: value and spread (largest less smallest of the repetitions) in the unit of the name."""

    name: str
    value: float
    unit: str
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class ChildRun:
    """What one run in a process of its own measured; times in seconds."""

    data_points: int
    wall_s: float
    algorithm_s: float
    process_s: float
    peak_rss_mb: float
    steps_us: tuple[float, ...]

    @property
    def engine_s(self) -> float:
        return self.wall_s - self.algorithm_s


def bench_engine(sessions: int = YEAR_SESSIONS, repeats: int = 3, *, quiet: bool = False) -> list[Figure]:
    """Measure main.py and an idle algorithm over the default market."""
    market = market_of(sessions, quiet=quiet)
    runs = _repeat(lambda: run_child(market), repeats)
    idle = _repeat(lambda: run_child(market, algorithm=IDLE_ALGORITHM), repeats)
    best, floor = _best(runs), _best(idle)
    return [
        Figure("sessions", sessions, ""),
        Figure("data points", best.data_points, ""),
        Figure("run", best.wall_s, "s", spread_of([run.wall_s for run in runs])),
        Figure("data points per second", best.data_points / best.wall_s, "1/s"),
        Figure("engine's share of the run", best.engine_s / best.wall_s * 100, "%"),
        Figure("algorithm's share of the run", best.algorithm_s / best.wall_s * 100, "%"),
        Figure("data points per second of the engine alone", best.data_points / best.engine_s, "1/s"),
        Figure("idle algorithm, run", floor.wall_s, "s", spread_of([run.wall_s for run in idle])),
        Figure("idle algorithm, data points per second", floor.data_points / floor.wall_s, "1/s"),
        Figure("run / idle run", best.wall_s / floor.wall_s, "x"),
        Figure("start-up and end of the process", best.process_s - best.wall_s, "s"),
        Figure("peak memory", max(run.peak_rss_mb for run in runs), "MB"),
    ]


def bench_step(sessions: int = 60, repeats: int = 3, *, quiet: bool = False) -> list[Figure]:
    """Measure one step of the algorithm, main.py's `Assembly.step`, over the default market."""
    market = market_of(sessions, quiet=quiet)
    runs = _repeat(lambda: run_child(market, steps=True), repeats)
    best = min(runs, key=lambda run: sum(run.steps_us))
    steps = sorted(best.steps_us)
    if not steps:
        raise RunFailedError("bench step: the run took no step. `./bulkhead backtest` says why.")
    mean = sum(steps) / len(steps)
    return [
        Figure("steps", len(steps), ""),
        Figure("mean", mean, "µs", spread_of([sum(run.steps_us) / len(run.steps_us) for run in runs])),
        Figure("median", _quantile(steps, 0.5), "µs"),
        Figure("95 % are below", _quantile(steps, 0.95), "µs"),
        Figure("99 % are below", _quantile(steps, 0.99), "µs"),
        Figure("slowest", steps[-1], "µs"),
        Figure("step / engine per minute", mean / (best.engine_s / len(steps) * 1e6), "x"),
    ]


def bench_ledger(records: int = LEDGER_RECORDS, repeats: int = 5) -> list[Figure]:
    """Measure writing and reading of ledger records against plain JSON with a hash, the least that a chain costs."""
    from tools.ledger_reader import parse_lines

    bodies = _bodies(records)
    lines = _write_ledger(bodies)
    content = ("\n".join(lines) + "\n").encode("ascii")
    write_s = _repeat(lambda: _timed(lambda: _write_ledger(bodies)), repeats)
    plain_s = _repeat(lambda: _timed(lambda: _write_plain(bodies)), repeats)
    read_s = _repeat(lambda: _timed(lambda: list(parse_lines(content, "benchmark"))), repeats)
    return [
        Figure("records", records, ""),
        Figure("bytes per record", len(content) / records, "B"),
        Figure("written per second", records / min(write_s), "1/s"),
        Figure("one record, written", min(write_s) / records * 1e6, "µs", spread_of(write_s) / records * 1e6),
        Figure("one record as plain JSON with its hash", min(plain_s) / records * 1e6, "µs"),
        Figure("written / plain", min(write_s) / min(plain_s), "x"),
        Figure("read per second", records / min(read_s), "1/s"),
    ]


def market_of(sessions: int, *, quiet: bool) -> Market:
    if sessions < 1:
        raise BulkheadUsageError(f"--sessions = {sessions}: expected 1 or more. Leave it out for the usual number.")
    return synthetic_market(BacktestRequest(sessions=sessions), quiet=quiet)


def run_child(
    market: Market, *, algorithm: Path = MAIN, steps: bool = False, overrides: Mapping[str, str] | None = None
) -> ChildRun:
    """Run one backtest in a new process and return what it measured."""
    job = {
        "algorithm": str(algorithm),
        "data": str(market.folder),
        "start": market.start.isoformat(),
        "end": market.end.isoformat(),
        "steps": steps,
        "overrides": dict(overrides or {}),
    }
    began = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-m", "tools.bench_child", json.dumps(job)],
        cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    process_s = time.perf_counter() - began
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip().splitlines()
        raise RunFailedError(f"bench: the measured run failed: {said[-1] if said else 'it said nothing'}")
    measured: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return ChildRun(process_s=process_s, steps_us=tuple(measured.pop("steps_us")), **measured)


def _environment() -> dict[str, str]:
    """Let a measured process find its modules compiled, as every start but a user's first does."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(cache_dir() / "bytecode")}


def _repeat(measure: Callable[[], T], repeats: int) -> list[T]:
    return [measure() for _ in range(repeats)]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _best(runs: Sequence[ChildRun]) -> ChildRun:
    return min(runs, key=lambda run: run.wall_s)


def spread_of(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _bodies(count: int) -> list[dict[str, Any]]:
    """Return the fields of a typical mix: one mark with four option legs, then three refusals."""
    symbols = [f"SPXW  251128{right}0{strike}000" for right in "PC" for strike in (5875, 5900)]
    mark = {
        "px": {symbol: [1_250_000, 1_300_000, 0, 1_200_000, 1_350_000] for symbol in symbols},
        "halted": [],
        **dict.fromkeys(("equity_u6", "engine_equity_u6", "used_u6", "reserved_u6", "t_loss_u6", "c_loss_u6"), 10**11),
    }
    refusal = {
        "gate": "vix",
        "allowed": False,
        "reason": "VIX_WINDOW",
        "scale_e6": 1_000_000,
        "ages": {"vix_s": 0},
        "detail": {"vix_e6": 23_410_000, "high_e6": 22_000_000},
    }
    return [mark if number % 4 == 0 else refusal for number in range(count)]


class _Memory:
    """Takes lines and keeps them: the sink that costs least."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)

    def open_chunk(self) -> None:
        return

    def flush(self, *, durable: bool) -> None:
        return


def _write_ledger(bodies: Sequence[dict[str, Any]]) -> list[str]:
    from core.ledger import Ledger
    from core.ledger_kinds import Kind

    sink = _Memory()
    ledger = Ledger(sink, lambda _kind: (), durable_orders=False)
    now = datetime(2025, 11, 28, 9, 31)
    minute = timedelta(minutes=1)
    for body in bodies:
        ledger.append(Kind.MARK if "px" in body else Kind.VERDICT, "", now, **body)
        now += minute
    ledger.flush(durable=False)
    return sink.lines


def _write_plain(bodies: Sequence[dict[str, Any]]) -> list[str]:
    import hashlib

    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
    previous = "0" * 64
    lines = []
    for number, body in enumerate(bodies):
        text = encode({**body, "seq": number, "prev_hash": previous})
        previous = hashlib.sha256(text.encode("ascii")).hexdigest()
        lines.append(f'{text[:-1]},"hash":"{previous}"}}')
    return lines
