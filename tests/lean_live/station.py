"""LEAN itself, live on its paper brokerage, without a network: a feed that plays a data folder, and the session's time.

LEAN trades live on the clock of its process, so the process gets a clock (`clock.c`) that stands where a session of the
folder begins; the feed (`queue/`) plays that session's minutes as ticks.  Both are compiled here, for one test run.
Everything else is LEAN as it is: its handlers, threads, aggregation of bars and paper brokerage.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.eastern import to_utc
from tools.lean_launcher import Installation
from tools.lean_paper import PaperAccount, paper_configuration
from tools.lean_process import CONSOLE, STORE_FOLDER, LeanOutcome, LeanTask, run_task
from tools.paths import MAIN

HERE = Path(__file__).resolve().parent
RATE = 6
"""Seconds of the session per second of ours, once LEAN stands: faster, its loop of one second would be too coarse."""
_STANDS = "Begin DataStream"
QUEUE = "TapeQueue"
LIMIT_S = 300
"""Nothing here takes that long; a process that hangs is ended."""

Records = Sequence[Mapping[str, Any]]


class CannotBuild(Exception):
    """This machine has no compiler for the feed or the clock."""


@dataclass(frozen=True, slots=True)
class Station:
    """The compiled feed and clock, and the data that is played."""

    installation: Installation
    data: Path
    built: Path

    @staticmethod
    def build(installation: Installation, data: Path, folder: Path) -> Station:
        """Raises CannotBuild, with what the compiler said."""
        _run("cc", "-O1", "-shared", "-fPIC", "-o", str(folder / "clock.so"), str(HERE / "clock.c"), "-lpthread")
        project, made = folder / "source", folder / "queue"
        shutil.copytree(HERE / "queue", project)
        _run("dotnet", "build", str(project), "-v", "q", "-nologo", f"-p:LeanFolder={installation.launcher}", "-o",
             str(made))  # fmt: skip
        return Station(installation, data, folder)

    def live(
        self,
        work: Path,
        start: datetime,
        account: PaperAccount,
        parameters: Mapping[str, str],
        is_over: Callable[[Records], bool],
        store: Path | None = None,
    ) -> Process:
        """Let a process live from a moment (New York) until its ledger says what is waited for; returns what it left.

        store: the object store that an earlier process has left; it is copied.
        """
        if store is not None:
            shutil.copytree(store, work / STORE_FOLDER)
        root, hurry = work / STORE_FOLDER, work / "hurry"
        task = LeanTask(
            algorithm=MAIN,
            data=self.data,
            work=work,
            parameters=parameters,
            configuration=paper_configuration(account, QUEUE) | {"plugin-directory": str(self.built / "queue")},
            variables={
                "LD_PRELOAD": str(self.built / "clock.so"),
                "TAPE_CLOCK_START": repr(to_utc(start).replace(tzinfo=UTC).timestamp()),
                "TAPE_CLOCK_RATE": str(RATE),
                "TAPE_CLOCK_HURRY": str(hurry),
            },
            timeout_s=LIMIT_S,
        )
        before = len(records(root))

        def watch() -> None:
            if not hurry.exists() and _STANDS in (work / CONSOLE).read_text(encoding="utf-8", errors="replace"):
                hurry.touch()

        outcome = run_task(self.installation, task, watch, lambda: is_over(records(root)[before:]))
        return Process(outcome, root, before)


@dataclass(frozen=True)
class Process:
    """What one process has left; told is the number of records that it found."""

    outcome: LeanOutcome
    store: Path
    told: int

    def records(self, *kinds: str) -> Records:
        """Return the records of this process alone."""
        return [record for record in records(self.store)[self.told :] if not kinds or record["kind"] in kinds]

    def alerts(self) -> list[str]:
        return [record["code"] for record in self.records("ALERT")]

    @property
    def summary(self) -> str:
        """Say in one line what it lived through; pytest shows it with -s."""
        counts = Counter(record["kind"] for record in self.records())
        first, last = self.records()[0]["time"], self.records()[-1]["time"]
        what = ", ".join(f"{name} {counts[name]}" for name in ("ORDER_SENT", "FILL", "BREAK", "TRADE_CLOSED", "ALERT"))
        return f"{first} to {last} in {self.outcome.wall_s:.0f} s, {self.outcome.peak_rss_mb:.0f} MB: {what}"


def records(store: Path) -> Records:
    """Return the ledger in an object store; a line that is being written is left out."""
    found: list[Mapping[str, Any]] = []
    for chunk in sorted(store.glob("bulkhead/*/ledger-*")):
        for line in chunk.read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
    return found


def _run(*command: str) -> None:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except FileNotFoundError:
        raise CannotBuild(f"{command[0]} is not on PATH") from None
    if answer.returncode:
        raise CannotBuild(f"{command[0]}: {answer.stdout}{answer.stderr}")
