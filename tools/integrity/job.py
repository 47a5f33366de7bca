"""Run many cells, on several processes, and keep what failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from tools.errors import BulkheadUsageError
from tools.integrity.cells import SIGNALS, Cell, grid
from tools.integrity.result import CellResult, run_cell
from tools.integrity.venue import Fault

Advance = Callable[[float], None]
MOST_BLOCKS = 40


def choose(
    *, seed: int, rounds: int, blocks: int, signals: Sequence[str] = (), faults: Sequence[str] = ()
) -> list[Cell]:
    """Return the cells to run.  Raises BulkheadUsageError for what is not known."""
    for name, given, known in (("signal", signals, list(SIGNALS)), ("fault", faults, [fault.value for fault in Fault])):
        unknown = [word for word in given if not any(_names(word, full) for full in known)]
        if unknown:
            raise BulkheadUsageError(f"--{name} = {unknown[0]}: expected one of {', '.join(known)}.")
    if not 1 <= blocks <= MOST_BLOCKS:
        raise BulkheadUsageError(f"--blocks = {blocks}: expected 1 to {MOST_BLOCKS}. Leave it out for 20.")
    cells = grid(seed=seed, rounds=rounds, blocks=blocks)
    return [
        cell
        for cell in cells
        if (not signals or any(_names(word, cell.signal) for word in signals))
        and (not faults or cell.fault.value in faults)
    ]


def _names(word: str, full: str) -> bool:
    """Whether a word names something: `look_ahead` all of them, `look_ahead 0.60` the one."""
    return word in (full, full.split()[0])


def run_all(
    cells: Sequence[Cell], *, jobs: int | None, keep: Path | None, keep_all: bool = False, advance: Advance
) -> list[CellResult]:
    """Run every cell and return the results in the order of the cells; ledgers of cells that failed go to keep."""
    if not cells:
        raise BulkheadUsageError("--signal and --fault together: expected at least one cell. Leave one of them out.")
    found: dict[int, CellResult] = {}
    for number, result, ledger in _run(cells, jobs or os.cpu_count() or 1):
        found[number] = result
        if keep is not None and (keep_all or result.failures):
            folder = keep / result.cell.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "ledger.jsonl").write_bytes(ledger)
        advance(len(found) / len(cells))
    return [found[number] for number in range(len(cells))]


def _run(cells: Sequence[Cell], jobs: int) -> Iterator[tuple[int, CellResult, bytes]]:
    if jobs == 1 or len(cells) == 1:
        for number, cell in enumerate(cells):
            yield number, *run_cell(cell)
        return
    with ProcessPoolExecutor(max_workers=min(jobs, len(cells))) as pool:
        waiting: dict[Future[tuple[CellResult, bytes]], int] = {
            pool.submit(run_cell, replace(cell)): number for number, cell in enumerate(cells)
        }
        for done in as_completed(waiting):
            yield waiting.pop(done), *done.result()
