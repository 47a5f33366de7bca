"""The terminal: tables with rich, a progress bar that only a person sees, plain lines when piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich costs a tenth of a second to import: only commands that draw pay for it
    from rich.console import Console

Advance = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


def console(*, stderr: bool = False) -> Console:
    """Return a console that keeps whole lines when its output goes to a file or a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, soft_wrap=not stream.isatty(), highlight=False, width=None if stream.isatty() else 160
    )


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Advance]:
    """Show a bar on stderr while the block runs; nothing at all when that is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def print_table(headings: Sequence[str], cells: Sequence[Sequence[str]], *, styles: Sequence[Sequence[str]]) -> None:
    """Print a table: folded and coloured for a person, one line a row and plain for a pipe or a file."""
    if not sys.stdout.isatty():
        widths = [max(len(row[column]) for row in [headings, *cells]) for column in range(len(headings))]
        for row in [headings, *cells]:
            line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            print(line.rstrip())
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, heading in enumerate(headings):
        table.add_column(heading, no_wrap=position == 0, overflow="fold")
    for row, row_styles in zip(cells, styles, strict=True):
        table.add_row(*(Text(cell, style=style) for cell, style in zip(row, row_styles, strict=True)))
    console().print(table)
