"""`./bulkhead explain`: why a run traded, and why it did not."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tools.console import print_table
from tools.dates import DAY

if TYPE_CHECKING:
    from tools.explain import SessionFacts, Story

_COLOURS = {"refused": "yellow", "acted": "green", "closed": "bold cyan", "alarm": "bold red", "plain": "dim"}


@click.command("explain", short_help="Say why a run traded, and why it did not.")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--session", metavar="D", type=DAY, help="One session, minute by minute (2025-11-28).")
@click.option("--trade", metavar="ID", help="The story of one trade, from its first verdict to the money.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run: Path, session: date | None, trade: str | None, as_json: bool) -> None:
    """Say why a run traded, and why it did not.

    RUN is a run folder or a ledger file; everything is made from the ledger. Without an option: one line per session.
    """
    from tools import explain
    from tools.ledger_reader import read_ledger

    if session is not None and trade is not None:
        raise click.UsageError("--session and --trade: expected at most one of the two. Ask twice.")
    ledger = read_ledger(run)
    if session is None and trade is None:
        rows = explain.overview(ledger)
        if as_json:
            click.echo(json.dumps([_row(row) for row in rows], indent=2))
        else:
            _print_overview(rows)
        return
    story = explain.session_story(ledger, session) if session is not None else explain.trade_story(ledger, trade or "")
    if as_json:
        click.echo(json.dumps(_story(story), indent=2))
    else:
        _print_story(story, with_date=trade is not None)


def _row(row: SessionFacts) -> dict[str, object]:
    return {
        "session": row.session.isoformat(),
        "opened": list(row.trades_opened),
        "closed": [{"trade": trade, "pnl_u6": pnl} for trade, pnl in row.trades_closed],
        "refusals": dict(row.refusals),
        "alerts": row.alerts,
    }


def _story(story: Story) -> dict[str, object]:
    return {
        "title": story.title,
        "facts": list(story.facts),
        "lines": [
            {
                "from": line.first.isoformat(),
                "to": line.last.isoformat(),
                "minutes": line.minutes,
                "book": line.book,
                "kind": line.kind,
                "tone": line.tone,
                "text": line.text,
                "seq": list(line.seqs),
            }
            for line in story.lines
        ],
    }


def _print_overview(rows: list[SessionFacts]) -> None:
    from tools.explain import collapsed

    headings = ("session", "opened", "closed", "minutes refused", "alerts")
    cells = [
        (
            f"{row.session:%a %Y-%m-%d}",
            ", ".join(collapsed(row.trades_opened)),
            ", ".join(_closed(row)),
            ", ".join(f"{reason} {count}" for reason, count in row.refusals),
            str(row.alerts or ""),
        )
        for row in rows
    ]
    print_table(headings, cells, styles=[("", "green", "cyan", "yellow", "red")] * len(cells))


def _closed(row: SessionFacts) -> list[str]:
    """Return each closed trade with its result, of a book with many only their sum."""
    from tools.explain import FEW_TRADES
    from tools.sentences import usd

    books: dict[str, list[tuple[str, int]]] = {}
    for trade, pnl in row.trades_closed:
        books.setdefault(trade.split("-")[0], []).append((trade, pnl))
    out = []
    for book, closed in books.items():
        if len(closed) <= FEW_TRADES:
            out += [f"{trade} {usd(pnl)}" for trade, pnl in closed]
        else:
            out.append(f"{book} {len(closed)} trades {usd(sum(pnl for _trade, pnl in closed))}")
    return out


def _print_story(story: Story, *, with_date: bool) -> None:
    click.secho(story.title, bold=True)
    for fact in story.facts:
        click.echo(f"  {fact}")
    cells = []
    for line in story.lines:
        first = f"{line.first:%Y-%m-%d %H:%M}" if with_date else f"{line.first:%H:%M}"
        clock = first if line.minutes == 1 else f"{first}-{line.last:%H:%M}"
        cells.append((clock, str(line.minutes), line.text))
    styles = [("", "dim", _COLOURS[line.tone]) for line in story.lines]
    print_table(("New York", "min", "what and why"), cells, styles=styles)
