"""The main job: find the data, run main.py on an engine, leave a run folder behind.

What differs between the engines is behind `EngineRun`; everything else, ledger to page, is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tools.console import progress
from tools.errors import BulkheadUsageError, RunFailedError
from tools.ledger_chunks import join_chunks
from tools.ledger_reader import Ledger, read_ledger
from tools.parameters import check_settings, project_parameters
from tools.run_folder import (
    LOG_FILE,
    REPORT_FILE,
    AuditVerdict,
    Effort,
    Summary,
    create_run_dir,
    summarise,
    write_ledger,
    write_summary,
)
from tools.shipped import code_hash

if TYPE_CHECKING:
    from audit.verdict import AuditOutcome
    from tools.market import MarketSpec

DEFAULT_SEED = 7
DEFAULT_SESSIONS = 60
DEFAULT_SCENARIO = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """What the user asked for; None where it was left out."""

    engine: str = "embedded"
    data: Path | None = None
    seed: int = DEFAULT_SEED
    scenario: str | None = None
    start: date | None = None
    end: date | None = None
    sessions: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    lean: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineJob:
    """What an engine is given: where the data are, which sessions, and the parameters of the algorithm, all text."""

    data: Path
    start: date
    end: date
    parameters: Mapping[str, str]
    run_dir: Path
    on_progress: Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRun:
    """What an engine gives back; error is the sentence of a run that failed, None of one that did not."""

    store: Mapping[str, bytes]
    log: str
    error: str | None
    effort: Effort
    algorithm_seconds: float | None = None
    """The algorithm's own share of the wall time; None where the engine does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """A run folder and what became of the run; failure None means that it ended as it should."""

    run_dir: Path
    summary: Summary | None
    failure: str | None
    alerts: tuple[str, ...] = ()
    """What was said to a person during the run, each text once."""

    @property
    def report(self) -> Path | None:
        path = self.run_dir / REPORT_FILE
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Market:
    """A data folder and the sessions that are run on it."""

    folder: Path
    start: date
    end: date


def run_backtest(request: BacktestRequest, *, quiet: bool = False, with_report: bool = True) -> BacktestResult:
    """Run one backtest and write its folder.

    Raises BulkheadUsageError for wrong input, before anything is run.  A run that fails does not raise: its folder
    holds what it left, and `failure` says what happened.
    """
    parameters = project_parameters() | dict(request.overrides)
    check_settings(parameters)
    engine, engine_version = _engine(request)
    market = find_market(request, quiet=quiet)
    from tools.data_manifest import data_manifest

    parameters |= {
        "run.start": market.start.isoformat(),
        "run.end": market.end.isoformat(),
        "run.seed": str(request.seed),
        "run.engine": request.engine,
        "run.engine_version": engine_version,
        "run.data_manifest": data_manifest(market.folder, market.start, market.end),
        "run.code_hash": code_hash(),
    }
    check_settings(parameters)
    run_dir = create_run_dir(request.engine, datetime.now(UTC), request.out)
    with progress("Backtest", quiet=quiet) as advance:
        outcome = engine(
            EngineJob(
                data=market.folder,
                start=market.start,
                end=market.end,
                parameters=parameters,
                run_dir=run_dir,
                on_progress=advance,
            )
        )
    (run_dir / LOG_FILE).write_text(outcome.log, encoding="utf-8")
    return _record(run_dir, outcome, with_report=with_report)


def _engine(request: BacktestRequest) -> tuple[Callable[[EngineJob], EngineRun], str]:
    """Return the engine's runner and version; a LEAN launcher that is not there is refused here, before any work."""
    if request.engine == "lean":
        from tools.lean_run import lean_engine

        return lean_engine(request.lean)
    from tools.embedded_run import embedded_engine

    return embedded_engine()


def _record(run_dir: Path, outcome: EngineRun, *, with_report: bool) -> BacktestResult:
    """Write ledger, summary and page of what the engine gave back; its own error outranks what follows from it."""
    from audit.verdict import audit_run

    try:
        write_ledger(run_dir, join_chunks(outcome.store))
    except RunFailedError as error:
        return BacktestResult(run_dir=run_dir, summary=None, failure=outcome.error or str(error))
    ledger = read_ledger(run_dir)
    summary = summarise(ledger, outcome.effort)
    write_summary(run_dir, summary)
    audited = audit_run(run_dir)
    summary = replace(summary, audit=AuditVerdict(audited.exit_code, audited.violations, audited.warnings))
    write_summary(run_dir, summary)
    if with_report:
        from tools.report import build

        build(run_dir)
    failure = outcome.error or how_it_ended(ledger) or audit_failure(audited)
    return BacktestResult(run_dir=run_dir, summary=summary, failure=failure, alerts=alerts(ledger))


def alerts(ledger: Ledger) -> tuple[str, ...]:
    """Return the alerts of a run above INFO, each code once, critical ones first."""
    said: dict[str, tuple[bool, str]] = {}
    for record in ledger.of_kind("ALERT"):
        if record["severity"] != "INFO":
            mild = record["severity"] != "CRITICAL"
            said.setdefault(str(record["code"]), (mild, f"{record['code']}: {record['text']}"))
    return tuple(text for _mild, text in sorted(said.values(), key=lambda item: item[0]))


def audit_failure(audited: AuditOutcome) -> str | None:
    """Return why the auditor's word fails the run: a violation, or a doubt other than that nothing was traded."""
    if not audited.fails_run:
        return None
    word = "a principle is violated" if audited.exit_code == 1 else "the audit is inconclusive"
    return f"{word}: {'; '.join(audited.causes)}. `audit integrity` on the run folder shows where."


def how_it_ended(ledger: Ledger) -> str | None:
    """Return what is wrong with the end of a ledger, None when the run came to its end."""
    last = ledger.last
    if last is None or last["kind"] != "RUN_ENDED":
        return "the ledger has no RUN_ENDED: the run was cut off. See log.txt."
    if last["reason"] != "COMPLETED":
        alert = next((record for record in reversed(ledger.records) if record["kind"] == "ALERT"), None)
        why = f" ({alert['code']}: {alert['text']})" if alert is not None else ""
        return f"the run ended with reason {last['reason']}{why}. See log.txt."
    return None


def find_market(request: BacktestRequest, *, quiet: bool = False) -> Market:
    """Return the data folder to run on: the one that is named, else a synthetic market from the cache."""
    if request.data is None:
        return synthetic_market(request, quiet=quiet)
    if request.scenario is not None:
        raise BulkheadUsageError(
            f"--scenario = {request.scenario}: expected without --data, it names a synthetic market."
        )
    return folder_market(request.data.expanduser().absolute(), request)


def synthetic_market(request: BacktestRequest, *, quiet: bool = False) -> Market:
    from tools.market import cached_market
    from tools.paths import markets_dir

    spec = market_spec(request)
    days = spec.dates()
    with progress("Market data", quiet=quiet) as advance:
        folder = cached_market(spec, markets_dir(), lambda done, total: advance(done / total))
    return Market(folder, days[0], days[-1])


def market_spec(request: BacktestRequest) -> MarketSpec:
    from tools.market import MarketSpec

    return MarketSpec(
        start=request.start,
        end=request.end,
        sessions=request.sessions,
        seed=request.seed,
        scenario=request.scenario or DEFAULT_SCENARIO,
    )


def folder_market(folder: Path, request: BacktestRequest) -> Market:
    """Return the sessions to run on a named folder: --start to --end, else as far as its minute files reach."""
    from tools.data_folder import minute_dates

    if not folder.is_dir():
        raise BulkheadUsageError(f"--data = {folder}: expected a LEAN-format data folder. `data generate` writes one.")
    if request.end is not None and request.sessions is not None:
        raise BulkheadUsageError("--end and --sessions: expected one of the two. Leave one of them out.")
    days = minute_dates(folder)
    if not days:
        raise BulkheadUsageError(
            f"--data = {folder}: expected minute files of SPXW or SPY, found none. `data check` names what is missing."
        )
    start = request.start or days[0]
    end = request.end or days[-1]
    inside = [day for day in days if start <= day <= end]
    if start > end or not inside:
        raise BulkheadUsageError(
            f"--start = {start}, --end = {end}: expected sessions that the folder has, {days[0]} to {days[-1]}. "
            "Choose other dates."
        )
    if request.sessions is not None:
        if not 1 <= request.sessions <= len(inside):
            raise BulkheadUsageError(
                f"--sessions = {request.sessions}: expected 1 to {len(inside)}, the folder has no more from {start} on."
            )
        end = inside[request.sessions - 1]
    return Market(folder, start, end)
