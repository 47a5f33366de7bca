"""`doctor` says what is missing, and fails only for what a backtest needs."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from tools import doctor
from tools.cli import bulkhead
from tools.doctor import Finding, as_text, settings_rows
from tools.paths import cache_dir


def _named(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


@pytest.fixture(autouse=True)
def _pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pin what is installed, so that the tests also pass in an environment that is ahead of the pins."""
    pins = tmp_path / "pins.txt"
    pins.write_text(f"# one\nclick=={version('click')}\n")
    monkeypatch.setattr(doctor, "PINS", pins)


def test_this_machine_can_run_a_backtest() -> None:
    assert "`backtest` can run here." in as_text(doctor.examine())


def test_a_folder_without_data_is_missing_with_a_remedy(tmp_path: Path) -> None:
    finding = _named(doctor.examine(data=tmp_path), "data folder")
    assert not finding.ok
    assert finding.needed
    assert "data check" in finding.remedy


def test_what_only_lean_needs_does_not_fail_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = _named(doctor.examine(lean=tmp_path), "LEAN launcher")
    assert (finding.ok, finding.needed) == (False, False)
    answer = CliRunner().invoke(bulkhead, ["doctor", "--lean", str(tmp_path), "--json"], standalone_mode=False)
    assert answer.return_value == 0
    assert {row["name"] for row in json.loads(answer.output) if not row["ok"]} >= {"LEAN launcher", "dotnet", "Docker"}


def test_a_cache_that_cannot_be_written_fails_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BULKHEAD_CACHE", str(tmp_path / "file" / "cache"))
    answer = CliRunner().invoke(bulkhead, ["doctor"], standalone_mode=False)
    assert answer.return_value == 1
    assert "`backtest` cannot run: market cache." in answer.output


def test_a_package_of_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "pins.txt").write_text("click==0.0.1\nno-such-package==1.0\n")
    found = _named(doctor.examine(), "packages").found
    assert "expected 0.0.1" in found
    assert "no-such-package is missing" in found


def test_every_setting_is_listed_except_the_runners_own() -> None:
    rows = {row.name: row for row in settings_rows()}
    assert rows["breaker.daily_loss_pct"].value == "5.0"
    assert rows["breaker.daily_loss_pct"].bounds == "0.1 to 50"
    assert not any(name.startswith("run.") for name in rows)


def test_the_cache_follows_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"
    monkeypatch.delenv("BULKHEAD_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "bulkhead"
