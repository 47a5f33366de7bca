"""Write `report.html` of a run folder: one file, no network, readable on a phone."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from tools.errors import BulkheadUsageError
from tools.ledger_reader import U6, read_ledger
from tools.report.charts import figures
from tools.report.model import OPENED, OUTSIDE, View, fold
from tools.report.rotation import occurrences, rotation_of
from tools.report.rotation_data import packed
from tools.run_folder import AUDIT_FILE, REPORT_FILE, SUMMARY_FILE

_TEMPLATES = Path(__file__).parent / "templates"


def build(run_dir: Path) -> Path:
    """Build the page of a run folder and return its path.

    Raises BulkheadUsageError when the folder has no readable ledger or summary.
    """
    ledger = read_ledger(run_dir)
    if ledger.header is None:
        raise BulkheadUsageError(f"{ledger.path}: expected RUN_STARTED at its head. There is nothing to report.")
    view, rotation = fold(ledger), rotation_of(ledger)
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=select_autoescape(["html", "j2"]))
    environment.filters["usd"] = lambda value: "–" if value is None else f"{'-' if value < 0 else ''}${abs(value):,.2f}"
    page = environment.get_template("report.html.j2").render(
        view=view,
        summary=_summary(run_dir),
        header=view.header,
        figures=Markup(_script_safe(orjson.dumps(figures(view)).decode())),
        plotly=Markup(_plotly_script()),
        groups=_groups(view),
        asked=sum(count for counts in view.outcomes.values() for reason, count in counts.items() if reason != OUTSIDE),
        opened=sum(counts.get(OPENED, 0) for counts in view.outcomes.values()),
        result=_result(view),
        rotation=rotation,
        principles=[] if rotation is None else rotation.principles(_audit(run_dir)),
        rotation_data=Markup(_script_safe(orjson.dumps(packed(rotation)).decode())),
        rotation_script=Markup((_TEMPLATES / "rotation.js").read_text(encoding="utf-8")),
    )
    path = run_dir / REPORT_FILE
    path.write_text(page, encoding="utf-8")
    return path


def _summary(run_dir: Path) -> dict[str, Any]:
    path = run_dir / SUMMARY_FILE
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _audit(run_dir: Path) -> dict[str, int] | None:
    """Return how often each rule of the auditor was broken, None where it has not judged this run."""
    path = run_dir / AUDIT_FILE
    return occurrences(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _groups(view: View) -> list[tuple[str, list[Any]]]:
    """Refusals per strategy, most frequent first."""
    names = dict.fromkeys(row.strategy for row in view.funnel)
    return [(name, [row for row in view.funnel if row.strategy == name]) for name in names]


def _result(view: View) -> float | None:
    if view.end is None:
        return None
    change: int = view.end["equity_u6"] - view.header["start_cash_u6"]
    return change / U6


def _plotly_script() -> str:
    """Return the chart library's text, so that the page needs no network."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise BulkheadUsageError("plotly: not installed. Delete .venv and start again; it is one of the requirements.")
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _script_safe(text: str) -> str:
    """Keep a closing script tag inside data from ending the script."""
    return text.replace("</", "<\\/")
