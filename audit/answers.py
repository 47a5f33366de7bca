"""What the verbs share: judging a run, loading it, and saying in one sentence what cannot be answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from audit.replay import Listener
from audit.schema import Record
from audit.state import State
from audit.store import Store
from audit.verdict import INTERNAL, Judgement, judge


class Books:
    """Listens to a replay and knows which books wrote something."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, record: Record, _state: State) -> None:
        self.seen.add(record["book"])


def books_of(store: Store) -> set[str]:
    return {name for (name,) in store.query("SELECT DISTINCT book FROM record")}


def expect_book(book: str | None, known: set[str]) -> None:
    if book is not None and book not in known:
        listed = ", ".join(sorted(known - {""})) or "none"
        raise click.UsageError(f"--book {book}: expected a book of this run: {listed}.")


def tell(judgement: Judgement, quiet: bool) -> None:
    """Say beside what a verb shows that the ledger it shows is not clean."""
    if judgement.exit_code and not quiet:
        more = len(judgement.causes) - 1
        also = f" ({more} more)" if more > 0 else ""
        click.echo(f"{judgement.verdict.name}: {judgement.causes[0].text}{also}", err=True)


def judged(
    run: Path, db: Path | None, *, listeners: Sequence[Listener] = (), as_text: bool = False, **options: Any
) -> Judgement:
    """Judge a run. What cannot be read at all ends the command with a sentence, unless a verdict in JSON is wanted."""
    if db is not None:
        judgement, store = stored(run, db, listeners, **options)
        store.close()
        return judgement
    judgement = judge(run, listeners=listeners, **options)
    if not as_text:
        expect_readable(judgement)
    return judgement


def expect_readable(judgement: Judgement) -> None:
    if not judgement.results:
        raise click.UsageError(judgement.causes[0].text)


def stored(run: Path, db: Path | None, listeners: Sequence[Listener] = (), **options: Any) -> tuple[Judgement, Store]:
    """Judge a run and load it into the query store, in memory or in a file. A store that fails ends the command."""
    store: Store | None = None
    try:
        store = Store(db)
        judgement = judge(run, listeners=(store, *listeners), **options)
        expect_readable(judgement)
        store.finish(judgement)
    except INTERNAL as error:
        if store is not None:
            store.close()
        where = "the query store" if db is None else f"--db {db}"
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise click.UsageError(f"{where} cannot be written: {why}.") from error
    except click.UsageError:
        if store is not None:
            store.close()
        raise
    return judgement, store
