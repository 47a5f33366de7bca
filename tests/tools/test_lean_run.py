"""The LEAN runner: what it tells the launcher, and what it believes of the launcher's answer."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tools.backtest import EngineJob
from tools.errors import BulkheadUsageError
from tools.lean_launcher import LAUNCHER_DLL, find_launcher
from tools.lean_run import configuration, engine_version, how_lean_ended, packages_venv, read_store, result_file


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


def _job(tmp_path: Path) -> EngineJob:
    return EngineJob(
        data=tmp_path / "data", start=date(2025, 9, 2), end=date(2025, 9, 5), parameters={"run.seed": "7"},
        run_dir=tmp_path / "run", on_progress=lambda share: None,
    )  # fmt: skip


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


def test_all_paths_are_absolute_and_all_parameters_text(tmp_path: Path, launcher: Path) -> None:
    config = configuration(_job(tmp_path), launcher)
    for name in ("algorithm-location", "data-folder", "results-destination-folder", "object-store-root"):
        assert Path(config[name]).is_absolute()
    assert config["parameters"] == {"run.seed": "7"}


def test_packages_come_from_an_environment_beside_the_launcher(
    launcher: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BULKHEAD_LEAN_VENV", raising=False)
    assert packages_venv(launcher) is None
    (launcher.parent / "venv").mkdir()
    (launcher.parent / "venv" / "pyvenv.cfg").write_text("")
    assert packages_venv(launcher) == launcher.parent / "venv"


def test_the_version_is_read_from_the_engines_library(launcher: Path) -> None:
    assert engine_version(launcher) == "unknown"
    resource = "FileVersion".encode("utf-16-le") + b"\0\0\0" + "2.5.0.0".encode("utf-16-le") + b"\0\0"
    (launcher / "QuantConnect.Common.dll").write_bytes(b"MZ" + resource)
    assert engine_version(launcher) == "2.5.0.0"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "Completed"}, None),
        ({"Status": "RuntimeError", "RuntimeError": "Runtime Error: boom\n  at line 3"}, "Runtime Error: boom"),
        ({"Status": "Completed", "RuntimeError": "late"}, "late"),
        ({"Status": "Running"}, "LEAN ended with status Running"),
        (None, "LEAN wrote no result"),
    ],
)
def test_success_is_what_the_result_file_says(
    tmp_path: Path, state: dict[str, Any] | None, expected: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"state": {"Status": "Completed"}}))
    (tmp_path / "main-summary.json").write_text(json.dumps({"state": {"Status": "Completed"}}))
    if state is not None:
        (tmp_path / "main.json").write_text(json.dumps({"state": state}))
    said = how_lean_ended(result_file(tmp_path), tmp_path)
    assert (said is None) == (expected is None)
    assert said is None or said.startswith(str(expected))


def test_keys_of_the_object_store_are_paths_below_its_root(tmp_path: Path) -> None:
    (tmp_path / "bulkhead" / "r").mkdir(parents=True)
    (tmp_path / "bulkhead" / "r" / "ledger-0").write_bytes(b"{}\n")
    assert read_store(tmp_path) == {"bulkhead/r/ledger-0": b"{}\n"}
