"""`./bulkhead report`: (re)build the page of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report", short_help="(Re)build report.html of a run.")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path, file_okay=False))
def command(run: Path) -> None:
    """(Re)build report.html from the ledger and the summary in RUN, a run folder.

    `backtest` does it by itself; this is for a run folder that came from elsewhere or from an older version.
    """
    from tools.ledger_reader import ledger_path

    ledger_path(run)  # a folder without a ledger gets its sentence before anything is imported for plotting
    from tools.report import build

    click.echo(str(build(run)))
