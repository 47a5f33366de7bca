"""`./bulkhead live`: what a paper or live run needs beside LEAN, and what its object store tells."""

from __future__ import annotations

import json
from pathlib import Path

import click

STORE = click.argument("store", metavar="STORE", type=click.Path(path_type=Path, file_okay=False))


@click.group("live", short_help="Read what a paper or live run has left.")
def command() -> None:
    """Read what a paper or live run has left in its object store (STORE, the folder `storage` of the workspace).

    Nothing here starts or stops a run: see docs/live.md.
    """


@command.command("capabilities", short_help="What each brokerage can do, as docs/live.md shows it.")
def capabilities() -> None:
    """Print what each brokerage can do with what this project sends."""
    from tools.capabilities import capability_table

    click.echo(capability_table())


@command.command("account", short_help="Cash and holdings for the next start on a paper brokerage.")
@STORE
def account(store: Path) -> None:
    """Print the two keys of lean.json that name the cash and the holdings of the last process.

    LEAN's paper brokerage forgets them. A real brokerage does not: there these keys must be left out.
    """
    from tools.lean_paper import account_left

    click.echo(json.dumps(account_left(store).configuration, indent=4))


@command.command("ledger", short_help="Make a run folder out of an object store.")
@STORE
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="New or empty folder.")
def ledger(store: Path, out: Path) -> None:
    """Join the ledger of the newest run in STORE to DIR/ledger.jsonl, for `audit` and `explain`.

    The run may go on meanwhile: what it has written so far is taken.
    """
    from tools.lean_paper import ledger_left

    out.mkdir(parents=True, exist_ok=True)
    target = out / "ledger.jsonl"
    target.write_bytes(ledger_left(store))
    click.echo(str(target))
