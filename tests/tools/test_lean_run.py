"""The LEAN runner: what it tells the launcher, and what it believes of the launcher's answer."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tools.backtest import EngineJob
from tools.errors import BulkheadUsageError
from tools.lean_launcher import LAUNCHER_DLL, Installation, engine_version, find_installation, find_launcher, packages
from tools.lean_process import LeanOutcome, LeanTask, configuration, read_store, run_task
from tools.lean_run import _Progress, failure_text, log_text

# Stands in for dotnet: does what the variable SCRIPT says, with LEAN's configuration as `config`.
_STAND_IN = """#!{python}
import json, os, pathlib, signal, sys, time
config = json.loads(pathlib.Path(sys.argv[3]).read_text())
work = pathlib.Path(config["results-destination-folder"])
exec(os.environ["SCRIPT"])
"""


@pytest.fixture
def installation(launcher: Path, tmp_path: Path) -> Installation:
    dotnet = tmp_path / "dotnet"
    dotnet.write_text(_STAND_IN.format(python=sys.executable))
    dotnet.chmod(0o755)
    return Installation(launcher, dotnet, tmp_path / "libpython3.11.so", tmp_path / "site-packages")


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    folder = tmp_path / "lean" / "launcher"
    folder.mkdir(parents=True)
    (folder / LAUNCHER_DLL).write_bytes(b"")
    return folder


@pytest.fixture
def no_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.delenv("BULKHEAD_LEAN", raising=False)
    return home


def _task(tmp_path: Path, **more: Any) -> LeanTask:
    return LeanTask(
        algorithm=tmp_path / "main.py", data=tmp_path / "data", work=tmp_path / "run" / "lean",
        parameters={"run.seed": "7"}, **more,
    )  # fmt: skip


def _outcome(work: Path, *, console: str = "", stopped: bool = False) -> LeanOutcome:
    (work / "console.txt").write_text(console)
    return LeanOutcome(work=work, exit_code=-6, wall_s=1.0, peak_rss_mb=1.0, stopped=stopped)


def test_nobody_names_a_launcher(no_launcher: Path) -> None:
    assert find_launcher() is None


def test_the_option_wins_over_the_variable_and_the_variable_over_the_file(
    no_launcher: Path, launcher: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (no_launcher / ".bulkhead").mkdir()
    (no_launcher / ".bulkhead" / "lean").write_text(f"{launcher}\n")
    assert find_launcher() == launcher
    monkeypatch.setenv("BULKHEAD_LEAN", str(tmp_path / "wrong"))
    with pytest.raises(BulkheadUsageError, match=r"BULKHEAD_LEAN = .*wrong: expected a folder that holds"):
        find_launcher()
    assert find_launcher(launcher) == launcher


def test_all_paths_are_absolute_and_all_parameters_text(tmp_path: Path) -> None:
    config = configuration(_task(tmp_path))
    for name in ("algorithm-location", "data-folder", "results-destination-folder", "object-store-root"):
        assert Path(config[name]).is_absolute()
    assert config["parameters"] == {"run.seed": "7"}


def test_the_packages_are_our_own_unless_another_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BULKHEAD_LEAN_VENV", raising=False)
    assert (packages() / "pytest").is_dir()
    monkeypatch.setenv("BULKHEAD_LEAN_VENV", str(tmp_path))
    with pytest.raises(BulkheadUsageError, match="expected a virtual environment"):
        packages()
    (tmp_path / "pyvenv.cfg").write_text("")
    assert packages() == tmp_path / "lib" / "python3.11" / "site-packages"


def test_no_launcher_is_one_sentence_with_the_remedy(no_launcher: Path) -> None:
    with pytest.raises(BulkheadUsageError, match=r"no LEAN launcher folder is named.*--lean DIR"):
        find_installation()


def test_the_version_is_read_from_the_engines_library(launcher: Path) -> None:
    assert engine_version(launcher) == "unknown"
    resource = "FileVersion".encode("utf-16-le") + b"\0\0\0" + "2.5.0.0".encode("utf-16-le") + b"\0\0"
    (launcher / "QuantConnect.Common.dll").write_bytes(b"MZ" + resource)
    assert engine_version(launcher) == "2.5.0.0"


@pytest.mark.parametrize(
    ("state", "stopped", "expected"),
    [
        ({"Status": "Completed"}, False, None),
        ({"Status": "RuntimeError", "RuntimeError": "Runtime Error: boom\n  at line 3"}, False, "Runtime Error: boom"),
        ({"Status": "Completed", "RuntimeError": "late"}, False, "late"),
        ({"Status": "Running"}, False, "LEAN ended with status Running"),
        ({"Status": "Completed"}, True, "LEAN was stopped before its end"),
        (None, False, "LEAN wrote no result and ended with exit code -6"),
    ],
)
def test_success_is_what_the_result_file_says(
    tmp_path: Path, state: dict[str, Any] | None, stopped: bool, expected: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"state": {"Status": "Completed"}}))
    (tmp_path / "run-summary.json").write_text(json.dumps({"state": {"Status": "Completed"}}))
    if state is not None:
        (tmp_path / "run.json").write_text(json.dumps({"state": state}))
    said = _outcome(tmp_path, stopped=stopped).error
    assert (said is None) == (expected is None)
    assert said is None or said.startswith(str(expected))


def test_a_failure_shows_leans_errors_without_its_frames(tmp_path: Path) -> None:
    console = (
        "20261121 14:38:16.100 TRACE:: Engine.Main(): Started\n"
        "20261121 14:38:16.174 ERROR:: Context: OnData boom\n"
        '  File "main.py", line 6, in on_data\n'
        "   at Python.Runtime.PythonException.ThrowLastAsClrException()\n"
        "20261121 14:38:16.180 TRACE:: Engine.Main(): Completed 17 data points\n"
        "20261121 14:38:16.190 ERROR:: Context: OnData boom\n"
    )
    outcome = _outcome(tmp_path, console=console)
    assert outcome.relevant_lines() == ["Context: OnData boom", '  File "main.py", line 6, in on_data']
    said = failure_text(outcome)
    assert said is not None
    assert said.splitlines()[0] == "LEAN wrote no result and ended with exit code -6."
    assert "  Context: OnData boom" in said
    assert "Context: OnData boom" in log_text(outcome)


def test_a_crash_before_any_error_shows_the_last_words(tmp_path: Path) -> None:
    lines = [f"20261121 14:38:16.100 TRACE:: line {number}" for number in range(30)]
    assert _outcome(tmp_path, console="\n".join(lines)).relevant_lines(limit=2) == lines[-2:]


def test_a_good_run_that_aborts_at_shutdown_is_a_good_run(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
store = pathlib.Path(config["object-store-root"]) / "bulkhead" / "r"
store.mkdir(parents=True)
(store / "ledger-0").write_bytes(b"{}\\n")
(work / "run.json").write_text(json.dumps({"state": {"Status": "Completed"}}))
print("completed in 0.20 seconds at 1k data points per second. Processing total of 1,190 data points.", flush=True)
os.kill(os.getpid(), signal.SIGABRT)
"""
    monkeypatch.setenv("SCRIPT", script)
    outcome = run_task(installation, _task(tmp_path))
    assert outcome.exit_code == -6
    assert (outcome.error, outcome.data_points, outcome.loop_s) == (None, 1_190, 0.2)
    assert outcome.store == {"bulkhead/r/ledger-0": b"{}\n"}


def test_python_of_lean_sees_our_start_up_file_and_packages_and_no_foreign_home(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", sys.prefix)
    monkeypatch.setenv("SCRIPT", '(work / "env.json").write_text(json.dumps(dict(os.environ, cwd=os.getcwd())))')
    # The stand-in is a Python itself: its home must not be the foreign one.
    run_task(installation, _task(tmp_path))
    seen = json.loads((tmp_path / "run" / "lean" / "env.json").read_text())
    start_up, own = seen["PYTHONPATH"].split(":")
    assert own == str(installation.packages)
    assert not Path(start_up).exists()
    assert seen["PYTHONNET_PYDLL"] == str(installation.python_library)
    assert seen["cwd"] == str(installation.launcher)
    assert "PYTHONHOME" not in seen


@pytest.mark.parametrize(("asked", "given"), [(None, "400000"), ("0", "0")])
def test_nets_young_generation_is_small_unless_somebody_says_otherwise(
    asked: str | None, given: str, tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    if asked is not None:
        monkeypatch.setenv("DOTNET_GCgen0size", asked)
    monkeypatch.setenv("SCRIPT", '(work / "env.json").write_text(json.dumps(dict(os.environ)))')
    run_task(installation, _task(tmp_path))
    assert json.loads((tmp_path / "run" / "lean" / "env.json").read_text())["DOTNET_GCgen0size"] == given


def test_too_long_a_run_is_stopped_as_lean_wants_to_be_stopped(
    tmp_path: Path, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
def end(*_):
    (work / "run.json").write_text(json.dumps({"state": {"Status": "Completed"}}))
    sys.exit(0)
signal.signal(signal.SIGINT, end)
(work / "ready").touch()
time.sleep(60)
"""
    monkeypatch.setenv("SCRIPT", script)
    task = _task(tmp_path, timeout_s=0.0)
    ready = task.work / "ready"

    def until_it_listens() -> None:
        while not ready.exists():
            pass

    outcome = run_task(installation, task, until_it_listens)
    assert (outcome.status, outcome.error) == ("Completed", "LEAN was stopped before its end.")


def test_the_start_up_file_is_silent_where_no_lean_is(tmp_path: Path) -> None:
    from tools.lean_shutdown import write_start_up_file

    write_start_up_file(tmp_path)
    answer = subprocess.run(
        [sys.executable, "-c", "import numpy; print('up')"],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (answer.stdout, answer.stderr) == ("up\n", "")


def test_progress_is_read_from_the_chunks_that_lean_has_written(tmp_path: Path) -> None:
    said: list[float] = []
    job = EngineJob(
        data=tmp_path, start=date(2025, 9, 2), end=date(2025, 9, 5), parameters={}, run_dir=tmp_path,
        on_progress=said.append,
    )  # fmt: skip
    progress = _Progress(tmp_path, job)
    folder = tmp_path / "bulkhead" / "r"
    folder.mkdir(parents=True)
    progress()
    for number, day in enumerate((2, 3, 4)):
        record = {"kind": "SESSION_OPENED", "time": f"2025-09-0{day}T13:00:00.000000Z", "book": ""}
        (folder / f"ledger-{number:05d}").write_text(json.dumps(record) + "\n")
        progress()
        progress()
    assert said == [0.2, 0.4, 0.6]


def test_keys_of_the_object_store_are_paths_below_its_root(tmp_path: Path) -> None:
    (tmp_path / "bulkhead" / "r").mkdir(parents=True)
    (tmp_path / "bulkhead" / "r" / "ledger-0").write_bytes(b"{}\n")
    assert read_store(tmp_path) == {"bulkhead/r/ledger-0": b"{}\n"}
