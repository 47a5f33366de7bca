"""`./bulkhead integrity`: the ETF book against hostile signals and a faulty broker."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from tools.errors import EXIT_FAILED, EXIT_OK


@click.command("integrity", short_help="Run the ETF book against hostile signals and a faulty broker.")
@click.option("--blocks", metavar="N", type=int, default=20, show_default=True, help="Blocks of 480 session minutes.")
@click.option("--seed", metavar="N", type=int, default=1, show_default=True, help="Seed of the first round.")
@click.option(
    "--rounds", metavar="N", type=click.IntRange(1, 100), default=1, show_default=True,
    help="Rounds, each with the next seed; 8 rounds are the whole grid.",
)  # fmt: skip
@click.option("--signal", "signals", metavar="NAME", multiple=True, help="Only this signal; may be repeated.")
@click.option("--fault", "faults", metavar="NAME", multiple=True, help="Only this fault; may be repeated.")
@click.option("--jobs", metavar="N", type=click.IntRange(1), help="Processes; one a core.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--keep-ledgers", is_flag=True, help="Keep the ledger of every cell, not only of those that failed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    blocks: int,
    seed: int,
    rounds: int,
    signals: tuple[str, ...],
    faults: tuple[str, ...],
    jobs: int | None,
    out: Path | None,
    keep_ledgers: bool,
    as_json: bool,
) -> int:
    """Run the ETF book against hostile signals and a faulty broker, and count what came of it twice.

    Every signal (the live one, constant, alternating, hovering, random, NaN, looking ahead) meets every fault (rejects,
    part fills, late and lost reports, repeated ones, refused cancels, halts) over 20 blocks of 480 session minutes,
    with a change of clocks in each season and a half day in one. The whole core runs, from quotes to ledger. One count
    comes from the broker's executions, one from the auditor's replay; they must be the same.

    \b
    bulkhead integrity
    bulkhead integrity --blocks 4 --signal random --fault mixed --seed 3
    """
    from tools.console import print_table, progress
    from tools.integrity import table
    from tools.integrity.job import choose, run_all
    from tools.paths import RUNS

    cells = choose(seed=seed, rounds=rounds, blocks=blocks, signals=signals, faults=faults)
    folder = out or RUNS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-integrity"
    folder.mkdir(parents=True, exist_ok=True)
    with progress(f"{len(cells)} cells of {blocks} blocks", quiet=as_json) as advance:
        results = run_all(cells, jobs=jobs, keep=folder, keep_all=keep_ledgers, advance=advance)
    tables = (
        (table.PREDECESSOR_HEADINGS, table.beside_the_predecessor(results)),
        (table.SIGNAL_HEADINGS, table.by_signal(results)),
        (table.FAULT_HEADINGS, table.by_fault(results)),
    )
    wrong = [f"{result.cell.name}: {sentence}" for result in results for sentence in result.failures]
    text = "\n\n".join([*(table.as_text(*one) for one in tables), *wrong])
    (folder / "integrity.txt").write_text(text + "\n", encoding="utf-8")
    found = table.as_json(results)
    (folder / "integrity.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for headings, rows in tables:
            print_table(headings, rows, styles=[[""] * len(headings)] * len(rows))
            click.echo()
        click.echo(f"folder  {folder}")
    for sentence in wrong:
        click.echo(f"bulkhead: {sentence}", err=True)
    return EXIT_FAILED if wrong else EXIT_OK
