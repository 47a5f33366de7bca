"""`./bulkhead bench`: measure this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tools.bench import Figure


@click.command("bench", short_help="Measure engine, step and ledger on this machine.")
@click.argument("what", type=click.Choice(["engine", "step", "ledger", "lean", "audit"]), default="engine")
@click.option("--sessions", metavar="N", type=int, help="Sessions of the default market: engine 252, step 60, lean 40.")
@click.option("--repeats", metavar="N", type=click.IntRange(1, 100), help="Repetitions; the best one counts.")
@click.option("--lean", metavar="DIR", type=click.Path(path_type=Path), help="LEAN launcher folder, for `bench lean`.")
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting of main.py, for `bench lean`; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    what: str, sessions: int | None, repeats: int | None, lean: Path | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Measure this machine.

    \b
    engine  one year of the default market: data points per second, memory, engine's and algorithm's shares
    step    one step of the algorithm: mean, median, slowest
    ledger  writing and reading of ledger records against plain JSON with a hash
    lean    main.py on LEAN against an algorithm that does nothing, and against the embedded engine
    audit   the auditor's verify, integrity and query store over a made-up ledger

    The best of several repetitions counts. Ratios hold within one run of this command; figures of two machines, or of
    one machine at two times, do not compare.
    """
    from tools import bench

    if what == "engine":
        figures = bench.bench_engine(sessions or bench.YEAR_SESSIONS, repeats or 3, quiet=as_json)
    elif what == "step":
        figures = bench.bench_step(sessions or 60, repeats or 3, quiet=as_json)
    elif what == "audit":
        from tools.bench_audit import bench_audit

        figures = bench_audit(repeats=repeats or 3)
    elif what == "ledger":
        figures = bench.bench_ledger(repeats=repeats or 5)
    else:
        from tools.bench_lean import bench_lean
        from tools.parameters import parse_overrides

        figures = bench_lean(sessions or 40, repeats or 3, lean, parse_overrides(settings), quiet=as_json)
    click.echo(json.dumps([asdict(figure) for figure in figures], indent=2) if as_json else _as_text(figures))


def _as_text(figures: list[Figure]) -> str:
    width = max(len(figure.name) for figure in figures)
    lines = []
    for figure in figures:
        spread = f"  (spread {_number(figure.spread)} {figure.unit})" if figure.spread else ""
        lines.append(f"{figure.name:<{width}}  {_number(figure.value):>14} {figure.unit}{spread}".rstrip())
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"
