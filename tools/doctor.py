"""Examine this machine: what is there, whether a backtest needs it, and what to do when it is missing."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from tools.errors import BulkheadUsageError
from tools.lean_launcher import HOW_TO_GET_ONE, find_launcher
from tools.parameters import RUNNERS_OWN, check_settings, project_parameters
from tools.paths import ROOT, RUNS, cache_dir

PINS = ROOT / "tools" / "requirements.txt"
# A folder with less than this cannot hold the default market and a run.
ROOM_NEEDED_MB = 500
DOCKER_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for; `remedy` is empty when it is fine."""

    name: str
    ok: bool
    needed: bool
    found: str
    remedy: str = ""


def examine(*, data: Path | None = None, lean: Path | None = None) -> list[Finding]:
    """Return every finding, in the order in which a user would set things up."""
    findings = [_python(), _packages(), _writable("run folders", RUNS), _writable("market cache", cache_dir())]
    findings += [_launcher(lean), _dotnet(), _docker(), _lean_cli()]
    if data is not None:
        findings.append(_data(data))
    return findings


def as_json(findings: list[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], indent=2)


def as_text(findings: list[Finding]) -> str:
    """Return the table: a mark, what, what was found; below a missing thing its remedy."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        mark = "ok     " if finding.ok else ("MISSING" if finding.needed else "absent ")
        lines.append(f"{mark}  {finding.name:<{width}}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':9}{'':{width}}  {finding.remedy}")
    missing = [finding.name for finding in findings if finding.needed and not finding.ok]
    lines.append("")
    lines.append(f"`backtest` cannot run: {', '.join(missing)}." if missing else "`backtest` can run here.")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting of the algorithm as `--set` names it; bounds are inclusive, absent for what is not a number."""

    name: str
    value: str
    bounds: str
    unit: str
    source: str


def settings_rows() -> list[SettingRow]:
    """Return every setting that `--set` takes, with what config.json makes of it."""
    from core.setting_fields import describe, flatten
    from core.settings import Settings

    parameters = project_parameters()
    check_settings(parameters)
    settings = Settings.from_parameters(parameters)
    values = flatten(settings)
    rows = []
    for item in describe(settings):
        if item.name.startswith(RUNNERS_OWN):
            continue
        low, high = item.meta.low, item.meta.high
        bounds = f"{low:g} to {high:g}" if math.isfinite(low) and math.isfinite(high) else ""
        rows.append(SettingRow(item.name, str(values[item.name]), bounds, item.meta.unit, item.meta.source))
    return rows


def rows_as_json(rows: list[SettingRow]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2)


def rows_as_text(rows: list[SettingRow]) -> str:
    name_width = max(len(row.name) for row in rows)
    value_width = max(len(row.value) for row in rows)
    lines = []
    for row in rows:
        meaning = ", ".join(part for part in (row.bounds, row.unit) if part)
        source = f"  ({row.source})" if row.source else ""
        lines.append(f"{row.name:<{name_width}}  {row.value:<{value_width}}  {meaning}{source}".rstrip())
    return "\n".join(lines)


def _python() -> Finding:
    version = platform.python_version()
    ok = sys.version_info[:2] == (3, 11)
    remedy = "" if ok else "Delete .venv and start ./bulkhead again; it looks for Python 3.11."
    return Finding("Python", ok, True, f"{version} ({sys.executable})", remedy)


def _packages() -> Finding:
    wrong = []
    pins = _pins()
    for name, wanted in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing, expected {wanted}")
            continue
        if installed != wanted:
            wrong.append(f"{name} is {installed}, expected {wanted}")
    if not wrong:
        return Finding("packages", True, True, f"{len(pins)} as pinned")
    shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
    return Finding("packages", False, True, shown, "Delete .venv and start ./bulkhead again; it installs them.")


def _pins() -> dict[str, str]:
    lines = (line.split("#", 1)[0].strip() for line in PINS.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==", 1) for line in lines if "==" in line)


def _writable(name: str, folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "Give yourself write access" + ("." if name == "run folders" else ", or set BULKHEAD_CACHE elsewhere.")
        return Finding(name, False, True, f"cannot write to {folder} ({error.strerror})", remedy)
    free_mb = shutil.disk_usage(folder).free // 2**20
    enough = free_mb >= ROOM_NEEDED_MB
    remedy = "" if enough else f"Free some space: {ROOM_NEEDED_MB} MB are needed."
    return Finding(name, enough, True, f"{folder}, {free_mb:,} MB free", remedy)


def _launcher(named: Path | None) -> Finding:
    try:
        folder = find_launcher(named)
    except BulkheadUsageError as error:
        return Finding("LEAN launcher", False, False, str(error), "")
    if folder is None:
        return Finding("LEAN launcher", False, False, "not named", f"Only for `--engine lean`. {HOW_TO_GET_ONE}.")
    return Finding("LEAN launcher", True, False, str(folder))


def _dotnet() -> Finding:
    path = shutil.which("dotnet")
    if path is None:
        return Finding("dotnet", False, False, "not on PATH", "Only for `--engine lean`: install the .NET runtime.")
    return Finding("dotnet", True, False, path)


def _docker() -> Finding:
    path = shutil.which("docker")
    if path is None:
        return Finding("Docker", False, False, "not on PATH", "Only for `lean backtest .`: install Docker.")
    try:
        answer = subprocess.run([path, "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True,
                                timeout=DOCKER_TIMEOUT_S)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Docker", False, False, f"{path} does not answer ({error})", "Start the Docker service.")
    if answer.returncode != 0:
        return Finding("Docker", False, False, f"{path}, but its service does not answer", "Start the Docker service.")
    return Finding("Docker", True, False, f"{path}, server {answer.stdout.strip()}")


def _lean_cli() -> Finding:
    path = shutil.which("lean")
    if path is None:
        return Finding(
            "lean CLI", False, False, "not on PATH", "Only for `lean backtest .` and the cloud: pip install lean."
        )
    return Finding("lean CLI", True, False, path)


def _data(folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding("data folder", False, True, f"{folder} is not a folder", "`data generate --out DIR` writes one.")
    parts = [part for part in ("equity", "index", "indexoption", "market-hours") if (folder / part).is_dir()]
    if "market-hours" not in parts or len(parts) < 2:
        found = f"{folder} holds no LEAN-format data (found: {', '.join(parts) or 'nothing of it'})"
        return Finding("data folder", False, True, found, "`data check DIR` names what is missing.")
    readable = os.access(folder, os.R_OK | os.X_OK)
    return Finding("data folder", readable, True, f"{folder}: {', '.join(parts)}; `data check` looks closer")
