"""`./bulkhead backtest`: the main job."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tools.dates import DAY
from tools.errors import EXIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from tools.backtest import BacktestResult
    from tools.run_folder import AuditVerdict, Summary


ALERTS_SHOWN = 5


@click.command("backtest", short_help="Run main.py over a market and write a run folder.")
@click.option("--engine", type=click.Choice(["embedded", "lean"]), default="embedded", show_default=True)
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="LEAN-format data folder; else synthetic.")
@click.option(
    "--seed", type=int, default=7, show_default=True, help="Seed of the synthetic market; part of the run id."
)
@click.option("--scenario", metavar="NAME", help="Synthetic market to make; an unknown name lists them.")
@click.option("--start", metavar="D", type=DAY, help="First session (2025-09-02).")
@click.option("--end", metavar="D", type=DAY, help="Last session; its expiries are settled before the run ends.")
@click.option("--sessions", metavar="N", type=int, help="Number of sessions; 60 of the default market.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a setting; may be repeated.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Run folder to write.")
@click.option("--lean", metavar="DIR", type=click.Path(path_type=Path), help="LEAN launcher folder, for --engine lean.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    engine: str,
    data: Path | None,
    seed: int,
    scenario: str | None,
    start: date | None,
    end: date | None,
    sessions: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    lean: Path | None,
    as_json: bool,
) -> int:
    """Run main.py over a market and write a run folder with ledger, summary, log and page.

    Without options: the embedded engine, 60 sessions of a synthetic market, seed 7. The market is made once and kept in
    the cache folder. Same data, settings and seed give the same ledger hash.

    \b
    bulkhead backtest
    bulkhead backtest --sessions 20 --seed 11 --set breaker.daily_loss_pct=4
    bulkhead backtest --data DIR --start 2021-01-04 --end 2021-01-08
    """
    from tools.backtest import BacktestRequest, run_backtest
    from tools.parameters import parse_overrides

    result = run_backtest(
        BacktestRequest(
            engine=engine,
            data=data,
            seed=seed,
            scenario=scenario,
            start=start,
            end=end,
            sessions=sessions,
            overrides=parse_overrides(overrides),
            out=out,
            lean=lean,
        ),
        quiet=as_json,
    )
    click.echo(_as_json(result) if as_json else _as_text(result))
    if result.failure is not None:
        click.echo(f"bulkhead: the run failed: {result.failure}", err=True)
    return EXIT_OK if result.failure is None else EXIT_FAILED


def _as_json(result: BacktestResult) -> str:
    summary = asdict(result.summary) if result.summary is not None else {}
    return json.dumps({"run": str(result.run_dir), "failure": result.failure, **summary}, indent=2)


def _as_text(result: BacktestResult) -> str:
    lines = _summary_lines(result.summary) if result.summary is not None else []
    lines += [("alert", text) for text in result.alerts[:ALERTS_SHOWN]]
    if len(result.alerts) > ALERTS_SHOWN:
        lines.append(("alert", f"and {len(result.alerts) - ALERTS_SHOWN} more kinds; the page lists them"))
    lines.append(("run folder", str(result.run_dir)))
    if result.report is not None:
        lines.append(("page", str(result.report)))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def _audit_line(audit: AuditVerdict | None) -> str:
    if audit is None:
        return "not made"
    word = {0: "clean", 1: "violated", 2: "inconclusive"}[audit.exit_code]
    return f"{word}, {audit.violations} violations, {audit.warnings} warnings"


def _summary_lines(summary: Summary) -> list[tuple[str, str]]:
    gain = summary.end_equity - summary.start_equity
    share = gain / summary.start_equity if summary.start_equity else 0.0
    refusals = sorted(summary.refusals.items(), key=lambda item: (-item[1], item[0]))
    return [
        ("sessions", f"{summary.sessions}, {summary.start} to {summary.end}, engine {summary.engine}"),
        ("equity", f"${summary.start_equity:,.2f} to ${summary.end_equity:,.2f} ({gain:+,.2f}, {share:+.2%})"),
        ("drawdown", f"{summary.max_drawdown:.2%} at most"),
        ("trades", f"{summary.trades}, {summary.orders} orders, {summary.fills} fills, ${summary.fees:,.2f} fees"),
        ("refusals", ", ".join(f"{reason} {count}" for reason, count in refusals) or "none"),
        ("ledger", summary.ledger_hash),
        ("audit", _audit_line(summary.audit)),
        (
            "speed",
            f"{summary.data_points:,} data points in {summary.wall_seconds:.2f} s, {summary.points_per_second:,}/s, "
            f"{summary.peak_rss_mb:,.0f} MB",
        ),
    ]
