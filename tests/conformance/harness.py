"""Run one conformance algorithm on either engine and bring back what it noted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

from tools.lean_launcher import Installation
from tools.lean_process import LeanTask, run_task

SAMPLE = "BULKHEAD_LEAN_SAMPLE"
"""Names LEAN's own sample data folder in the environment."""
HERE = Path(__file__).resolve().parent
ALGORITHMS = HERE / "algorithms"
RECORDED = HERE / "recorded"
MARKED_CHARTS = ("Conformance", "Conformance lines")
MARKED_STATISTICS = ("Conformance",)
_NOTE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? ~ ")
_DECIMAL = re.compile(r"\d+\.\d+")
_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One algorithm with its parameters."""

    algorithm: str
    parameters: Mapping[str, str]
    name: str
    without: tuple[str, ...] = ()
    """Files of the lab market that this case lacks."""

    @property
    def path(self) -> Path:
        return ALGORITHMS / f"{self.algorithm}.py"

    @property
    def recording(self) -> Path:
        return RECORDED / f"{self.name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run left, in the words of the algorithm."""

    status: str
    error: str
    data_points: int
    notes: tuple[str, ...]
    store: Mapping[str, str]
    charts: Mapping[str, list[list[float]]]
    """What the algorithm plotted: `chart/series`, then moments (seconds since 1970, UTC) and values."""
    statistics: Mapping[str, str]
    """What the algorithm set."""

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Outcome:
        content: dict[str, Any] = json.loads(text)
        return Outcome(**{**content, "notes": tuple(content["notes"])})


def run_on_lean(case: Case, data: Path, work: Path, installation: Installation) -> Outcome:
    task = LeanTask(algorithm=case.path, data=data, work=work, parameters=case.parameters, timeout_s=240)
    outcome = run_task(installation, task)
    assert outcome.result is not None, "\n".join([str(outcome.error), *outcome.relevant_lines()])
    assert not outcome.stopped, f"{case.name}: LEAN was not done after {task.timeout_s} s"
    state = outcome.result["state"]
    charts = {
        f"{chart}/{series}": [[float(moment), float(value)] for moment, value in content["values"]]
        for chart in MARKED_CHARTS
        if chart in outcome.result["charts"]
        for series, content in outcome.result["charts"][chart]["series"].items()
    }
    said = outcome.result.get("runtimeStatistics") or {}
    statistics = {name: str(said[name]) for name in MARKED_STATISTICS if name in said}
    return _outcome(str(state["Status"]), str(state.get("RuntimeError") or ""), outcome.data_points, outcome.log,
                    outcome.store, charts, statistics)  # fmt: skip


def run_on_engine(case: Case, data: Path) -> Outcome:
    from engine.folder import FolderSource
    from engine.host import EngineJob, Host

    host = Host(EngineJob(main=case.path, source=FolderSource(data), parameters=dict(case.parameters), object_store={}))
    result = host.run()
    error = "" if result.error is None else result.error.text
    log = "\n".join(str(line) for line in result.logs)
    charts = {
        f"{chart.name}/{series.name}": [
            [moment.replace(tzinfo=UTC).timestamp(), value] for moment, value in series.values
        ]
        for chart in result.charts.values()
        if chart.name in MARKED_CHARTS
        for series in chart.series.values()
    }
    said = result.runtime_statistics
    statistics = {name: said[name] for name in MARKED_STATISTICS if name in said}
    return _outcome(result.status.value, error, result.data_points, log, result.object_store, charts, statistics)


def market_for(case: Case, market: Path, folder: Path) -> Path:
    """Return the lab market, or a copy of it (by links) without the files that the case lacks."""
    if not case.without:
        return market
    missing = set(case.without)
    for path in sorted(market.rglob("*")):
        name = str(path.relative_to(market))
        if name in missing:
            missing.remove(name)
        elif path.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(path)
    assert not missing, f"{case.name}: the lab market has no {sorted(missing)}"
    return folder


def _outcome(
    status: str,
    error: str,
    data_points: int,
    log: str,
    store: Mapping[str, bytes],
    charts: Mapping[str, list[list[float]]],
    statistics: Mapping[str, str],
) -> Outcome:
    texts = {key: value.decode() for key, value in sorted(store.items())}
    noted = texts.pop("notes", None)
    return Outcome(
        status=status,
        # The engines put different words before the exception's own.
        error=error.strip().splitlines()[0].rsplit(": ", 1)[-1] if error.strip() else "",
        data_points=data_points,
        notes=notes_of(log)
        if noted is None
        else tuple(_DECIMAL.sub(_rounded, line[2:]) for line in noted.splitlines()),
        store=texts,
        charts=charts,
        statistics=statistics,
    )


def notes_of(log: str) -> tuple[str, ...]:
    """Return the notes of a log without the engine's own lines and stamps; a note may have several lines."""
    notes: list[str] = []
    inside = False
    for line in log.splitlines():
        if _NOTE.match(line):
            notes.append(_NOTE.sub("", line))
            inside = True
        elif _LINE.match(line):
            inside = False
        elif inside and line.strip():
            notes[-1] += " / " + line.strip()
    # LEAN writes a decimal with all its digits ("5974.50", 28 digits of a quotient): the value is compared.
    return tuple(_DECIMAL.sub(_rounded, note) for note in notes)


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.6f}".rstrip("0").rstrip(".")


def differences(expected: Outcome, found: Outcome, limit: int = 60) -> list[str]:
    """Return what is not the same, as a reader wants it: notes as a diff, all else by name."""
    import difflib

    lines = []
    for name in ("status", "error", "data_points", "store", "charts", "statistics"):
        one, other = getattr(expected, name), getattr(found, name)
        if one != other:
            lines.append(f"{name}: LEAN {one!r}, engine {other!r}")
    lines += list(difflib.unified_diff(expected.notes, found.notes, "LEAN", "engine", lineterm="", n=1))
    return lines[:limit]
