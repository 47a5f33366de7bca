"""Run main.py on a native LEAN launcher and bring back what the embedded engine gives back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

from tools.backtest import EngineJob, EngineRun
from tools.lean_launcher import Installation, find_installation
from tools.lean_process import STORE_FOLDER, LeanOutcome, LeanTask, run_task
from tools.ledger_reader import exchange_time
from tools.paths import MAIN
from tools.run_folder import Effort

WORK_FOLDER = "lean"


def lean_engine(named: Path | None, algorithm: Path = MAIN) -> tuple[Callable[[EngineJob], EngineRun], str]:
    """Return a runner for the launcher of this machine, and the engine's version.

    Raises BulkheadUsageError when there is no launcher, no dotnet or no Python library that LEAN can load.
    """
    installation = find_installation(named)

    def run(job: EngineJob) -> EngineRun:
        return _run(job, installation, algorithm)

    return run, installation.version


def _run(job: EngineJob, installation: Installation, algorithm: Path) -> EngineRun:
    work = job.run_dir / WORK_FOLDER
    task = LeanTask(algorithm=algorithm, data=job.data, work=work, parameters=job.parameters)
    progress = _Progress(work / STORE_FOLDER, job)
    outcome = run_task(installation, task, progress)
    return EngineRun(
        store=outcome.store,
        log=log_text(outcome),
        error=failure_text(outcome),
        effort=Effort(data_points=outcome.data_points, wall_seconds=outcome.wall_s, peak_rss_mb=outcome.peak_rss_mb),
    )


def failure_text(outcome: LeanOutcome) -> str | None:
    """Return the sentence of a run that failed, LEAN's own words below it; None of one that did not."""
    if outcome.error is None:
        return None
    words = "\n".join(f"  {line}" for line in outcome.relevant_lines())
    return f"{outcome.error}\nLEAN's words, in full in {outcome.work}:\n{words}"


def log_text(outcome: LeanOutcome) -> str:
    """Return the algorithm's own log, and what LEAN said about a failure."""
    if outcome.error is None:
        return outcome.log
    return "\n".join([outcome.log.rstrip(), f"The run failed: {outcome.error}", *outcome.relevant_lines(100)]) + "\n"


class _Progress:
    """Tells how far LEAN is from the last chunk of our ledger that it has written."""

    def __init__(self, store: Path, job: EngineJob) -> None:
        self._store = store
        self._job = job
        self._seen = 0

    def __call__(self) -> None:
        chunks = sorted(self._store.glob("bulkhead/*/ledger-*"))
        if len(chunks) <= self._seen:
            return
        self._seen = len(chunks)
        reached = _date_of(chunks[-1])
        if reached is not None:
            days = (self._job.end - self._job.start).days + 2
            self._job.on_progress(min(1.0, ((reached - self._job.start).days + 1) / days))


def _date_of(chunk: Path) -> date | None:
    """Return the exchange date of a chunk's first record; None while LEAN is still writing it."""
    try:
        first = chunk.read_bytes().split(b"\n", 1)[0]
        return exchange_time(json.loads(first)).date()
    except (OSError, ValueError):
        return None
