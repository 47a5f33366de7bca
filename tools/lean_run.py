"""Run main.py on a native LEAN launcher and bring back what the embedded engine gives back.

Success is read from the result file and from our ledger, never from the exit code: LEAN may abort at shutdown after a
good run.  A run is stopped with SIGINT; anything harder loses results and object store.  All paths are absolute:
the engine works in its own folder.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.backtest import EngineJob, EngineRun
from tools.errors import BulkheadUsageError
from tools.lean_launcher import HOW_TO_GET_ONE, LAUNCHER_DLL, find_launcher
from tools.paths import MAIN
from tools.run_folder import Effort

WORK_FOLDER = "lean"
STORE_FOLDER = "storage"
ENGINE_LOG = "log.txt"
STOP_TIMEOUT_S = 30

_HANDLERS = {
    "setup-handler": "QuantConnect.Lean.Engine.Setup.BacktestingSetupHandler",
    "result-handler": "QuantConnect.Lean.Engine.Results.BacktestingResultHandler",
    "data-feed-handler": "QuantConnect.Lean.Engine.DataFeeds.FileSystemDataFeed",
    "real-time-handler": "QuantConnect.Lean.Engine.RealTime.BacktestingRealTimeHandler",
    "history-provider": ["QuantConnect.Lean.Engine.HistoricalData.SubscriptionDataReaderHistoryProvider"],
    "transaction-handler": "QuantConnect.Lean.Engine.TransactionHandlers.BacktestingTransactionHandler",
}


def lean_engine(named: Path | None) -> tuple[Callable[[EngineJob], EngineRun], str]:
    """Return a runner for the launcher of this machine, and the engine's version.

    Raises BulkheadUsageError when there is no launcher, no dotnet or no Python library that LEAN can load.
    """
    launcher = find_launcher(named)
    if launcher is None:
        raise BulkheadUsageError(f"--engine lean: no LEAN launcher folder is named on this machine. {HOW_TO_GET_ONE}.")
    dotnet = shutil.which("dotnet")
    if dotnet is None:
        raise BulkheadUsageError("--engine lean: expected the command dotnet on PATH. Install the .NET runtime.")
    library = python_library()

    def run(job: EngineJob) -> EngineRun:
        return _run(job, launcher, dotnet, library)

    return run, engine_version(launcher)


def engine_version(launcher: Path) -> str:
    """Return the version that QuantConnect.Common.dll carries (2.5.0.0), "unknown" where it carries none."""
    try:
        content = (launcher / "QuantConnect.Common.dll").read_bytes()
    except OSError:
        return "unknown"
    # The version resource of a Windows library: UTF-16 text, the value after its name and padding.
    match = re.search("FileVersion".encode("utf-16-le") + rb"\0+((?:[0-9.]\0)+)", content)
    return match.group(1).decode("utf-16-le") if match is not None else "unknown"


def python_library() -> Path:
    """Return the shared library of Python 3.11 that LEAN embeds: PYTHONNET_PYDLL, this Python's, or the system's."""
    named = os.environ.get("PYTHONNET_PYDLL")
    if named:
        if not Path(named).is_file():
            raise BulkheadUsageError(
                f"PYTHONNET_PYDLL = {named}: expected the shared library of Python 3.11. Correct it."
            )
        return Path(named)
    found: list[str] = []
    for folder in (sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib", sys.base_prefix):
        names = ("libpython3.11.so.1.0", "libpython3.11.so", "libpython3.11.dylib", "python311.dll")
        found += [os.path.join(str(folder), name) for name in names]
    found += sorted(glob.glob("/usr/lib/*/libpython3.11.so*")) + sorted(glob.glob("/usr/lib*/libpython3.11.so*"))
    for path in found:
        if os.path.isfile(path):
            return Path(path)
    raise BulkheadUsageError(
        "--engine lean: no shared library of Python 3.11 found. Install it (Debian: libpython3.11), or name it in "
        "PYTHONNET_PYDLL."
    )


def packages_venv(launcher: Path) -> Path | None:
    """Return an environment with what LEAN's own Python files import: BULKHEAD_LEAN_VENV, or one beside the launcher.

    Ours is of no use to LEAN: it holds the type stubs of LEAN's names, which would stand in for the real ones.
    """
    named = os.environ.get("BULKHEAD_LEAN_VENV")
    candidates = [Path(named)] if named else [launcher / "venv", launcher.parent / "venv"]
    return next((path for path in candidates if (path / "pyvenv.cfg").is_file()), None)


def configuration(job: EngineJob, launcher: Path) -> dict[str, Any]:
    """Return the launcher's config.json for one job."""
    work = job.run_dir / WORK_FOLDER
    config: dict[str, Any] = {
        "environment": "backtesting",
        "algorithm-type-name": "main",
        "algorithm-language": "Python",
        "algorithm-location": str(MAIN),
        "data-folder": str(job.data),
        "results-destination-folder": str(work),
        "object-store-root": str(work / STORE_FOLDER),
        "close-automatically": True,
        "parameters": dict(job.parameters),
        "job-user-id": "0",
        "api-access-token": "",
        "job-organization-id": "",
        "log-handler": "QuantConnect.Logging.CompositeLogHandler",
        "messaging-handler": "QuantConnect.Messaging.Messaging",
        "job-queue-handler": "QuantConnect.Queues.JobQueue",
        "api-handler": "QuantConnect.Api.Api",
        "map-file-provider": "QuantConnect.Data.Auxiliary.LocalDiskMapFileProvider",
        "factor-file-provider": "QuantConnect.Data.Auxiliary.LocalDiskFactorFileProvider",
        "data-provider": "QuantConnect.Lean.Engine.DataFeeds.DefaultDataProvider",
        "data-channel-provider": "DataChannelProvider",
        "object-store": "QuantConnect.Lean.Engine.Storage.LocalObjectStore",
        "data-aggregator": "QuantConnect.Lean.Engine.DataFeeds.AggregationManager",
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
        "environments": {"backtesting": {"live-mode": False, **_HANDLERS}},
    }
    venv = packages_venv(launcher)
    if venv is not None:
        config["python-venv"] = str(venv)
    return config


def _run(job: EngineJob, launcher: Path, dotnet: str, library: Path) -> EngineRun:
    work = job.run_dir / WORK_FOLDER
    (work / STORE_FOLDER).mkdir(parents=True)
    config = work / "config.json"
    config.write_text(json.dumps(configuration(job, launcher), indent=2), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    environment["PYTHONNET_PYDLL"] = str(library)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [dotnet, str(launcher / LAUNCHER_DLL), "--config", str(config)]
    began = time.perf_counter()
    with (work / "console.txt").open("wb") as console:
        process = subprocess.Popen(
            command, cwd=launcher, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
        )
        peak_mb = _wait(process)
    wall_s = time.perf_counter() - began
    result = result_file(work)
    return EngineRun(
        store=read_store(work / STORE_FOLDER),
        log=_log_text(work),
        error=how_lean_ended(result, work),
        effort=Effort(data_points=_data_points(work), wall_seconds=wall_s, peak_rss_mb=peak_mb),
    )


def _wait(process: subprocess.Popen[bytes]) -> float:
    """Wait for the engine and return its largest resident memory in MiB; Ctrl-C is handed on as SIGINT."""
    import psutil

    peak = 0
    try:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_TIMEOUT_S)
        raise
    return peak / 2**20


def result_file(work: Path) -> Mapping[str, Any] | None:
    """Return LEAN's result, the file with `state`; None when the engine wrote none."""
    for path in sorted(work.glob("*.json")):
        if (
            path.name == "config.json"
            or path.stem.endswith(("-summary", "-order-events"))
            or "data-monitor" in path.name
        ):
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            continue
        if isinstance(content, dict) and "state" in content:
            return content
    return None


def how_lean_ended(result: Mapping[str, Any] | None, work: Path) -> str | None:
    """Return what went wrong according to LEAN, None for a run that completed."""
    if result is None:
        return f"LEAN wrote no result; its words are in {work / 'console.txt'}."
    state = result["state"]
    if state.get("RuntimeError"):
        return str(state["RuntimeError"]).strip().splitlines()[0]
    if state.get("Status") != "Completed":
        return f"LEAN ended with status {state.get('Status')}, not Completed; its words are in {work / 'console.txt'}."
    return None


def read_store(root: Path) -> dict[str, bytes]:
    """Return key -> content of LEAN's object store: a key is a path below its root."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def _log_text(work: Path) -> str:
    """Return the algorithm's own log; the engine's, where the run ended before the first was written."""
    path = next((path for path in (work / "main-log.txt", work / ENGINE_LOG) if path.is_file()), None)
    return path.read_text(encoding="utf-8", errors="replace") if path is not None else ""


def _data_points(work: Path) -> int:
    """Return the number of "Processing total of 1,234 data points", 0 where LEAN printed none."""
    match = re.search(r"total of ([\d,]+) data points", (work / "console.txt").read_text(errors="replace"))
    return int(match.group(1).replace(",", "")) if match is not None else 0
