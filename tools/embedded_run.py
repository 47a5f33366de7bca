"""Run main.py on the embedded engine, in this process."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from engine.columns import DataError
from engine.errors import EngineError
from engine.folder import FolderSource
from engine.host import EngineJob as HostJob
from engine.host import Host
from engine.results import RunResult
from tools.backtest import EngineJob, EngineRun
from tools.machine import peak_rss_mb
from tools.paths import MAIN
from tools.run_folder import Effort
from tools.shipped import version

ONE_DAY = timedelta(days=1)
_LARGEST_KEPT_BYTES = 16 * 2**20
_YOUNG_OBJECTS = 50_000
"""New objects between two looks for reference cycles: what a minute makes dies by itself, days and ledger stay."""


def embedded_engine(algorithm: Path = MAIN) -> tuple[Callable[[EngineJob], EngineRun], str]:
    """Return a runner for an algorithm's file, and the engine's version."""

    def run(job: EngineJob) -> EngineRun:
        _keep_freed_memory()
        with tempfile.TemporaryDirectory(prefix="bulkhead-store-") as store, _rare_collections():
            return _run(job, algorithm, Path(store))

    return run, version()


def _keep_freed_memory() -> None:
    """Let the allocator keep what arrays of a few megabytes free, where it learns that from a larger block (glibc).

    Else it returns it to the system each time and gets it anew, a page fault for every 4 KB: a third of the time that
    parsing takes.
    """
    np.empty(_LARGEST_KEPT_BYTES, np.uint8)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for reference cycles rarely while a run lasts: at Python's usual pace that takes a tenth of its time."""
    before = gc.get_threshold()
    gc.freeze()  # what the imports have made stays anyway
    gc.set_threshold(_YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _run(job: EngineJob, algorithm: Path, store: Path) -> EngineRun:
    began = time.perf_counter()
    host = Host(
        HostJob(main=algorithm, source=FolderSource(job.data), parameters=dict(job.parameters), object_store=store)
    )
    broken, result = _drive(host, job)
    wall_s = time.perf_counter() - began
    error = host.engine.run_time_error
    sentence = broken or (f"{error.where}: {error.text}" if error is not None else None)
    lines = [str(line) for line in host.engine.logs]
    lines += [f"The run failed: {sentence}"] if sentence is not None else []
    lines += [error.traceback.rstrip()] if error is not None else []
    return EngineRun(
        store=host.engine.object_store.contents(),
        log="".join(f"{line}\n" for line in lines),
        error=sentence,
        effort=Effort(
            data_points=result.data_points if result is not None else 0, wall_seconds=wall_s, peak_rss_mb=peak_rss_mb()
        ),
        algorithm_seconds=result.algorithm_s if result is not None else 0.0,
    )


def _drive(host: Host, job: EngineJob) -> tuple[str | None, RunResult | None]:
    """Run day by day, so that the progress can be shown.

    Return the sentence of what broke outside of the algorithm, and the result.  After broken data the algorithm still
    gets its end, so that its ledger is sealed with what happened until then.
    """
    first = datetime.combine(job.start, datetime.min.time())
    days = (job.end - job.start).days + 2
    try:
        host.start()
    except (DataError, EngineError) as error:
        return str(error), None
    broken = None
    try:
        for number in range(1, days + 1):
            goes_on = host.advance(until=first + ONE_DAY * number)
            job.on_progress(number / days)
            if not goes_on:
                break
        host.advance()
        job.on_progress(1.0)
    except (DataError, EngineError) as error:
        broken = str(error)
    return broken, host.finish()
