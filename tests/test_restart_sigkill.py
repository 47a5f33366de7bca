"""The process is really killed, at random moments of wall time, and started again: the same laws as in test_restart."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from time import sleep

import pytest

from tests.paper_run import MORNING, PaperRun, assert_lawful

ROOT = Path(__file__).parent.parent
BUSY = ("10:30", "10:31", "10:32", "10:33", "11:10", "11:11", "11:12", "11:13")
"""The minutes in which orders are sent, cancelled and filled."""


def live_and_be_killed(run: PaperRun, since: datetime, target: datetime, delay_s: float) -> datetime:
    """Start a process and kill it some time after it has begun a minute; returns the minute it was in."""
    command = [sys.executable, "-m", "tests.paper_process", run.name, str(run.folder), since.isoformat()]
    reached = since
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            assert line.strip() != "ended", "it was not killed"
            reached = datetime.fromisoformat(line.strip())
            if reached >= target:
                sleep(delay_s)
                process.send_signal(signal.SIGKILL)
                break
        # What it said between our look and its death.
        for line in process.stdout:
            if line.endswith("\n") and line.strip() != "ended":
                reached = datetime.fromisoformat(line.strip())
    assert process.returncode == -signal.SIGKILL
    run.killed += 1
    return reached


def storm(run: PaperRun, seed: int, kills: int) -> None:
    chance = random.Random(seed)
    minutes = sorted(chance.sample(BUSY, kills))
    since = MORNING
    for clock in minutes:
        target = datetime.combine(MORNING.date(), datetime.strptime(clock, "%H:%M").time())
        since = live_and_be_killed(run, since, max(since, target), chance.uniform(0.0, 0.08))
    run.died_at.append(since)
    run.live_on(until="11:40")


@pytest.mark.parametrize("seed", [1])
def test_a_process_that_is_killed_again_and_again_repeats_no_order(tmp_path: Path, seed: int) -> None:
    run = PaperRun("target", tmp_path)
    storm(run, seed, kills=3)
    assert_lawful(run)
    assert list(run.books.trades)[-1].state.is_end
