"""One measured run, in a process of its own: `python -m tools.bench_child JOB`, JOB as JSON; prints JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tools.backtest import EngineJob
from tools.embedded_run import embedded_engine


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run the job and return the fields of `tools.bench.ChildRun` that only this process knows."""
    steps_us: list[float] = []
    if job["steps"]:
        _time_steps(steps_us)
    engine, _ = embedded_engine(Path(job["algorithm"]))
    start, end = date.fromisoformat(job["start"]), date.fromisoformat(job["end"])
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        outcome = engine(
            EngineJob(
                data=Path(job["data"]),
                start=start,
                end=end,
                parameters={"run.start": start.isoformat(), "run.end": end.isoformat(), **job["overrides"]},
                run_dir=Path(folder),
                on_progress=lambda share: None,
            )
        )
    if outcome.error is not None:
        sys.exit(outcome.error)
    return {
        "data_points": outcome.effort.data_points,
        "wall_s": outcome.effort.wall_seconds,
        "algorithm_s": outcome.algorithm_seconds,
        "peak_rss_mb": outcome.effort.peak_rss_mb,
        "steps_us": steps_us,
    }


def _time_steps(steps_us: list[float]) -> None:
    """Note the time of every step; the clock is read outside of it."""
    from core.assembly import Assembly

    step = Assembly.step

    def timed(assembly: Assembly, now: datetime) -> list[str]:
        began = time.perf_counter_ns()
        try:
            return step(assembly, now)
        finally:
            steps_us.append((time.perf_counter_ns() - began) / 1_000)

    Assembly.step = timed  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
