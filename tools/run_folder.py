"""The folder that every run leaves behind, the same from both engines: ledger, summary, report, log."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.errors import BulkheadUsageError
from tools.ledger_reader import LEDGER_FILE, U6, Ledger
from tools.paths import RUNS

SUMMARY_FILE = "summary.json"
LOG_FILE = "log.txt"
REPORT_FILE = "report.html"
AUDIT_FILE = "audit.json"


@dataclass(frozen=True, slots=True)
class Effort:
    """What only the runner knows: how much was processed, how long it took, how much memory it needed."""

    data_points: int
    wall_seconds: float
    peak_rss_mb: float

    @property
    def points_per_second(self) -> int:
        return round(self.data_points / self.wall_seconds) if self.wall_seconds > 0 else 0


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """The independent auditor's word: 0 clean, 1 violated, 2 inconclusive, and how much it counted."""

    exit_code: int
    violations: int
    warnings: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """A published head of the ledger: the line and its hash.  Kept elsewhere, it shows a rewrite of the whole file."""

    head_seq: int
    head_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The fields of summary.json; money in USD, max_drawdown a fraction of the running peak of equity."""

    engine: str
    engine_version: str
    start: str
    end: str
    sessions: int
    start_equity: float
    end_equity: float
    fees: float
    orders: int
    fills: int
    trades: int
    refusals: dict[str, int]
    max_drawdown: float
    settings_hash: str
    data_manifest: str
    ledger_hash: str
    data_points: int
    wall_seconds: float
    points_per_second: int
    peak_rss_mb: float
    anchors: tuple[Anchor, ...] = ()
    audit: AuditVerdict | None = None

    def as_json(self) -> str:
        fields = asdict(self)
        if self.audit is None:
            del fields["audit"]
        return json.dumps(fields, indent=2) + "\n"


def create_run_dir(engine: str, started: datetime, out: Path | None = None) -> Path:
    """Create `backtests/<UTC stamp>-<engine>/`, or `out` itself, and return it.

    Two runs of one second get different folders.  Raises BulkheadUsageError when `out` exists and is not empty: a run
    never mixes its files with those of another.
    """
    try:
        if out is not None:
            if out.is_dir() and any(out.iterdir()):
                raise BulkheadUsageError(
                    f"--out = {out}: expected a new or an empty folder. Name another, or empty it."
                )
            out.mkdir(parents=True, exist_ok=True)
            return out
        stamp = started.strftime("%Y%m%dT%H%M%SZ")
        for attempt in range(1, 1000):
            folder = RUNS / (f"{stamp}-{engine}" if attempt == 1 else f"{stamp}.{attempt}-{engine}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise BulkheadUsageError(
            f"run folder {out or RUNS}: cannot be written ({error.strerror}). Name another with --out."
        ) from None
    raise BulkheadUsageError(f"run folder {RUNS / stamp}: a thousand runs in one second are there already. Use --out.")


def summarise(ledger: Ledger, effort: Effort) -> Summary:
    """Return the summary as a fold of the ledger; only the effort comes from outside.

    Raises BulkheadUsageError when the ledger has no RUN_STARTED: then there was no run to sum up.
    """
    header = ledger.header
    last = ledger.last
    if header is None or last is None:
        raise BulkheadUsageError(
            f"{ledger.path}: expected RUN_STARTED at its head. The run ended before it began; see {LOG_FILE}."
        )
    equity = equity_path(ledger)
    refusals = Counter(str(record["reason"]) for record in ledger.of_kind("VERDICT") if record["allowed"] is False)
    fills = list(ledger.of_kind("FILL"))
    ended = next((record for record in reversed(ledger.records) if record["kind"] == "RUN_ENDED"), None)
    fees_u6 = int(ended["fees_u6"]) if ended is not None else sum(int(record["fee_u6"]) for record in fills)
    return Summary(
        engine=str(header["engine"]),
        engine_version=str(header["engine_version"]),
        start=str(header["start"]),
        end=str(header["end"]),
        sessions=sum(1 for _ in ledger.of_kind("SESSION_OPENED")),
        start_equity=equity[0] / U6,
        end_equity=equity[-1] / U6,
        fees=fees_u6 / U6,
        orders=sum(1 for _ in ledger.of_kind("ORDER_SENT")),
        fills=len(fills),
        trades=len({str(record["trade"]) for record in fills}),
        refusals=dict(sorted(refusals.items())),
        max_drawdown=max_drawdown(equity),
        settings_hash=str(header["settings_hash"]),
        data_manifest=str(header["data_manifest"]),
        ledger_hash=str(last["hash"]),
        data_points=effort.data_points,
        wall_seconds=round(effort.wall_seconds, 3),
        points_per_second=effort.points_per_second,
        peak_rss_mb=round(effort.peak_rss_mb, 1),
        anchors=tuple(Anchor(int(record["head_seq"]), str(record["head_hash"])) for record in ledger.of_kind("ANCHOR")),
    )


def equity_path(ledger: Ledger) -> list[int]:
    """Return account equity in micro-dollars, in order: start cash, every mark, every session close, the end."""
    path: list[int] = []
    for record in ledger.records:
        kind = record["kind"]
        if kind == "RUN_STARTED" and not path:
            path.append(int(record["start_cash_u6"]))
        elif kind in ("MARK", "SESSION_CLOSED", "RUN_ENDED") and "equity_u6" in record:
            path.append(int(record["equity_u6"]))
    return path


def max_drawdown(equity: list[int]) -> float:
    """Return the largest fall from a running peak, as a fraction of that peak."""
    peak = 0
    worst = 0.0
    for value in equity:
        peak = max(peak, value)
        if peak > 0:
            worst = max(worst, (peak - value) / peak)
    return round(worst, 6)


def write_summary(run_dir: Path, summary: Summary) -> Path:
    path = run_dir / SUMMARY_FILE
    path.write_text(summary.as_json(), encoding="utf-8")
    return path


def read_summary(run_dir: Path) -> dict[str, Any]:
    """Return summary.json of a run folder."""
    path = run_dir / SUMMARY_FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BulkheadUsageError(f"RUN = {run_dir}: expected a run folder with {SUMMARY_FILE}.") from None
    except json.JSONDecodeError as error:
        raise BulkheadUsageError(f"{path}: expected JSON ({error}). Run the backtest again.") from None
    return content


def write_ledger(run_dir: Path, content: bytes) -> Path:
    path = run_dir / LEDGER_FILE
    path.write_bytes(content)
    return path
