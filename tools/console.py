"""The terminal: tables with rich, a progress bar that only a person sees, plain text when piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
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
