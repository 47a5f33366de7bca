"""`./bulkhead doctor`: what is here and what is missing."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("doctor", short_help="List what is here and what is missing.")
@click.option("--data", type=click.Path(path_type=Path), help="A LEAN-format folder to look at as well.")
@click.option(
    "--lean", type=click.Path(path_type=Path), help="LEAN launcher folder; else BULKHEAD_LEAN or ~/.bulkhead/lean."
)
@click.option("--settings", is_flag=True, help="List every setting: name, value, bounds, unit and source.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(data: Path | None, lean: Path | None, settings: bool, as_json: bool) -> int:
    """List what is here and what is missing: Python, packages, LEAN, Docker, lean CLI, data, write access.

    Exit code 1 when something is missing that `backtest` needs. With --settings: the algorithm's settings instead, as
    `--set` and config.json name them.
    """
    from tools import doctor

    if settings:
        rows = doctor.settings_rows()
        click.echo(doctor.rows_as_json(rows) if as_json else doctor.rows_as_text(rows))
        return 0
    findings = doctor.examine(data=data, lean=lean)
    click.echo(doctor.as_json(findings) if as_json else doctor.as_text(findings))
    return 0 if all(finding.ok for finding in findings if finding.needed) else 1
