"""`./bulkhead data`: write a synthetic market, or validate any LEAN-format folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import click

from tools.dates import DAY
from tools.errors import EXIT_FAILED, EXIT_OK


@click.group("data", short_help="Write or validate a LEAN-format data folder.")
def command() -> None:
    """Write a synthetic market, or validate any LEAN-format data folder."""


@command.command("generate", short_help="Write a synthetic market into a folder.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="New or empty folder.")
@click.option("--start", metavar="D", type=DAY, help="First session; else the scenario's own.")
@click.option("--sessions", metavar="N", type=int, help="Number of sessions; else the scenario's own.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same market.")
@click.option("--scenario", metavar="NAME", default="default", show_default=True, help="An unknown name lists them.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def generate(out: Path, start: date | None, sessions: int | None, seed: int, scenario: str, as_json: bool) -> None:
    """Write a synthetic market in LEAN's format: SPX, VIX, SPY, four Nasdaq ETFs and SPXW option chains.

    LEAN itself reads the same folder. Same seed, scenario and dates: the same bytes.
    """
    from tools.console import progress
    from tools.market import MarketSpec
    from tools.market.generator import generate as write_market

    spec = MarketSpec(start=start, sessions=sessions, seed=seed, scenario=scenario)
    with progress("Market data", quiet=as_json) as advance:
        made = write_market(spec, out, progress=lambda done, total: advance(done / total))
    if as_json:
        click.echo(json.dumps({"folder": str(out), **asdict(made)}, default=str, indent=2))
        return
    click.echo(
        f"{out}: {made.sessions} sessions, {made.first} to {made.last}, scenario {made.scenario}, seed {made.seed}; "
        f"{made.files} files, {made.bytes / 2**20:,.0f} MB, {made.option_rows:,} option rows."
    )


@command.command("check", short_help="Name every gap of a folder that would silence the algorithm.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--start", metavar="D", type=DAY, help="First session to judge; else the first with minute files.")
@click.option("--end", metavar="D", type=DAY, help="Last session to judge; else the last with minute files.")
@click.option("--limit", metavar="N", type=int, default=40, show_default=True, help="Gaps to print; all are counted.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As for `backtest`: what is switched off.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    folder: Path, start: date | None, end: date | None, limit: int, overrides: tuple[str, ...], as_json: bool
) -> int:
    """Name every gap of a LEAN-format folder that would silence the algorithm. Exit code 1 when there is one.

    What is needed follows from the books that config.json and --set leave switched on.
    """
    from tools.market.check import check as find_gaps
    from tools.market.check import needs_of
    from tools.parameters import check_settings, parse_overrides, project_parameters

    settings = check_settings(project_parameters() | parse_overrides(overrides))
    needs = needs_of(friday_0dte=settings.friday_0dte.enabled, etf_rotation=settings.etf_rotation.enabled)
    gaps = find_gaps(folder, start, end, needs)
    if as_json:
        click.echo(json.dumps([asdict(gap) for gap in gaps], default=str, indent=2))
    elif not gaps:
        click.echo(f"{folder}: no gap; the algorithm sees all that it needs.")
    else:
        for gap in gaps[:limit]:
            click.echo(gap.sentence)
        silenced = {gap.session for gap in gaps if gap.session is not None}
        shown = "" if len(gaps) <= limit else f", the first {limit} of them above"
        click.echo(f"{len(gaps)} gaps in {len(silenced)} sessions{shown}. Narrow it with --start and --end.")
    return EXIT_FAILED if gaps else EXIT_OK
