"""One run of one algorithm on a native LEAN launcher, and what it left.

Success is read from the result file, never from the exit code: LEAN may abort at shutdown after a good run.  A run is
stopped with SIGINT; anything harder loses results and object store.  All paths are absolute, because the engine works
in its own folder.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.lean_launcher import LAUNCHER_DLL, Installation
from tools.lean_shutdown import write_start_up_file

ALGORITHM_ID = "run"
STORE_FOLDER = "storage"
CONSOLE = "console.txt"
STOP_TIMEOUT_S = 60
_POLL_S = 0.1
_ENGINE = "QuantConnect.Lean.Engine."

_BACKTESTING: dict[str, Any] = {
    "live-mode": False,
    "setup-handler": _ENGINE + "Setup.BacktestingSetupHandler",
    "result-handler": _ENGINE + "Results.BacktestingResultHandler",
    "data-feed-handler": _ENGINE + "DataFeeds.FileSystemDataFeed",
    "real-time-handler": _ENGINE + "RealTime.BacktestingRealTimeHandler",
    "history-provider": [_ENGINE + "HistoricalData.SubscriptionDataReaderHistoryProvider"],
    "transaction-handler": _ENGINE + "TransactionHandlers.BacktestingTransactionHandler",
}
# Said on many good runs; a reader who looks for the cause of a failure is only led astray.
_STAMP = re.compile(r"\d{8} \d\d:\d\d:\d\d\.\d{3} ")
_HARMLESS = ("has no data for", "File not found", "Failed to find", "Isolator", "RegisterFile")


_YOUNG_GENERATION = {"DOTNET_GCgen0size": "400000"}
"""Hexadecimal, 4 MB a core.  By itself .NET fills far more with short-lived objects before it collects, and with each
round drives the algorithm's Python out of the processor's caches; what a collection costs more is less than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanTask:
    """One algorithm's file, its data and parameters, and a folder for everything that LEAN writes."""

    algorithm: Path
    data: Path
    work: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of LEAN's configuration; they win over ours."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further variables of the process's environment."""
    timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class LeanOutcome:
    """What a run left in its work folder."""

    work: Path
    exit_code: int
    wall_s: float
    peak_rss_mb: float
    stopped: bool
    """The user or the time limit stopped it: then LEAN says Completed too."""

    @cached_property
    def result(self) -> Mapping[str, Any] | None:
        """LEAN's result, None when the engine wrote none."""
        content = self._json(f"{ALGORITHM_ID}.json")
        return content if isinstance(content, dict) and "state" in content else None

    @property
    def status(self) -> str | None:
        return str(self.result["state"].get("Status")) if self.result is not None else None

    @property
    def error(self) -> str | None:
        """Return what went wrong according to LEAN, None for a run that completed."""
        if self.stopped:
            return "LEAN was stopped before its end."
        if self.result is None:
            return f"LEAN wrote no result and ended with exit code {self.exit_code}."
        said = str(self.result["state"].get("RuntimeError") or "").strip()
        if said:
            return said.splitlines()[0]
        return None if self.status == "Completed" else f"LEAN ended with status {self.status}, not Completed."

    @property
    def orders(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.result or {}).get("orders", {})
        return found

    @property
    def order_events(self) -> Sequence[Mapping[str, Any]]:
        return self._json(f"{ALGORITHM_ID}-order-events.json") or []

    @cached_property
    def console(self) -> str:
        return (self.work / CONSOLE).read_text(encoding="utf-8", errors="replace")

    @property
    def data_points(self) -> int:
        """Return the number of "Processing total of 1,234 data points", 0 where LEAN printed none."""
        match = re.search(r"total of ([\d,]+) data points", self.console)
        return int(match.group(1).replace(",", "")) if match is not None else 0

    @property
    def loop_s(self) -> float | None:
        """Return the seconds of LEAN's own loop, without start-up and end; None where LEAN did not say."""
        match = re.search(r"completed in ([\d.]+) seconds", self.console)
        return float(match.group(1)) if match is not None else None

    @property
    def log(self) -> str:
        """Return the algorithm's own log, empty where the run ended before its first line was written."""
        path = self.work / f"{ALGORITHM_ID}-log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    @property
    def store(self) -> dict[str, bytes]:
        return read_store(self.work / STORE_FOLDER)

    def relevant_lines(self, limit: int = 12) -> list[str]:
        """Return what LEAN printed about a failure without its .NET frames: its errors, else its last words."""
        lines = [line for line in self.console.splitlines() if line.strip() and not line.startswith("   at ")]
        found: list[str] = []
        of_error = False
        for line in lines:
            stamped = _STAMP.match(line)
            if stamped is not None or line.startswith("Unhandled exception"):
                of_error = stamped is None or ("ERROR::" in line and not any(word in line for word in _HARMLESS))
            text = line if stamped is None else line[stamped.end() :].removeprefix("ERROR:: ")
            if of_error and text not in found:
                found.append(text)
        return (found or lines[-limit:])[:limit]

    def _json(self, name: str) -> Any:
        path = self.work / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None


def configuration(task: LeanTask) -> dict[str, Any]:
    """Return LEAN's config.json of one task: all that it needs, no login, no network."""
    return {
        "environment": "backtesting",
        "algorithm-type-name": "main",
        "algorithm-language": "Python",
        "algorithm-location": str(task.algorithm.absolute()),
        "algorithm-id": ALGORITHM_ID,
        "data-folder": str(task.data.absolute()),
        "results-destination-folder": str(task.work.absolute()),
        "object-store-root": str((task.work / STORE_FOLDER).absolute()),
        "close-automatically": True,
        "parameters": dict(task.parameters),
        "job-user-id": "0",
        "api-access-token": "",
        "job-organization-id": "",
        "log-handler": "QuantConnect.Logging.CompositeLogHandler",
        "messaging-handler": "QuantConnect.Messaging.Messaging",
        "job-queue-handler": "QuantConnect.Queues.JobQueue",
        "api-handler": "QuantConnect.Api.Api",
        "map-file-provider": "QuantConnect.Data.Auxiliary.LocalDiskMapFileProvider",
        "factor-file-provider": "QuantConnect.Data.Auxiliary.LocalDiskFactorFileProvider",
        "data-provider": _ENGINE + "DataFeeds.DefaultDataProvider",
        "data-channel-provider": "DataChannelProvider",
        "object-store": _ENGINE + "Storage.LocalObjectStore",
        "data-aggregator": _ENGINE + "DataFeeds.AggregationManager",
        "symbol-minute-limit": 10_000,
        "symbol-second-limit": 10_000,
        "symbol-tick-limit": 10_000,
        "maximum-data-points-per-chart-series": 1_000_000,
        "maximum-chart-series": 30,
        "storage-limit-mb": "9999999",
        "storage-file-count": "9999999",
        "force-exchange-always-open": False,
        "show-missing-data-logs": False,
        "python-additional-paths": [],
        "environments": {"backtesting": dict(_BACKTESTING)},
        **task.configuration,
    }


def run_task(
    installation: Installation,
    task: LeanTask,
    on_poll: Callable[[], None] | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> LeanOutcome:
    """Run LEAN to its end, or until is_over says so; on_poll is called several times a second.

    Ctrl-C, the time limit and is_over end LEAN as it wants to be ended.
    """
    (task.work / STORE_FOLDER).mkdir(parents=True, exist_ok=True)
    config = (task.work / "config.json").absolute()
    config.write_text(json.dumps(configuration(task), indent=2), encoding="utf-8")
    command = [str(installation.dotnet), str(installation.launcher / LAUNCHER_DLL), "--config", str(config)]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bulkhead-lean-") as start_up, (task.work / CONSOLE).open("wb") as console:
        write_start_up_file(Path(start_up))
        process = subprocess.Popen(
            command,
            cwd=installation.launcher,
            env={**_environment(installation, start_up), **task.variables},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            # Of its own session: a Ctrl-C at the terminal reaches LEAN once, from us.
            start_new_session=sys.platform != "win32",
        )
        peak, stopped = _wait(process, task.timeout_s, on_poll, is_over)
    return LeanOutcome(
        work=task.work,
        exit_code=process.returncode,
        wall_s=time.perf_counter() - began,
        peak_rss_mb=peak / 2**20,
        stopped=stopped,
    )


def _environment(installation: Installation, start_up: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV")}
    environment = {**_YOUNG_GENERATION, **inherited}
    environment["PYTHONNET_PYDLL"] = str(installation.python_library)
    environment["PYTHONPATH"] = os.pathsep.join((start_up, str(installation.packages)))
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def _wait(
    process: subprocess.Popen[bytes],
    timeout_s: float | None,
    on_poll: Callable[[], None] | None,
    is_over: Callable[[], bool],
) -> tuple[int, bool]:
    """Wait for LEAN; return its largest resident memory in bytes, and whether it had to be stopped."""
    import psutil

    peak = 0
    deadline = time.monotonic() + timeout_s if timeout_s is not None else None
    try:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            if on_poll is not None:
                on_poll()
            if is_over() or (deadline is not None and time.monotonic() > deadline):
                stop(process)
                return peak, True
            time.sleep(_POLL_S)
        process.wait()
    except KeyboardInterrupt:
        stop(process)
        return peak, True
    return peak, False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End LEAN as it wants to be ended: it calls on_end_of_algorithm and writes results and store."""
    if sys.platform == "win32":
        process.terminate()
    else:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_store(root: Path) -> dict[str, bytes]:
    """Return key -> content of LEAN's object store: a key is a path below its root."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
