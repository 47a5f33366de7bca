"""The ledger's way out: numbered chunks in the object store, a new one each session and at a quarter of a megabyte.

Live and paper, a chunk is made durable before each order; in a backtest at session close, at the end and on error.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import LedgerError
from core.ports import Store

CHUNK_BYTES = 256 * 1024
PREFIX = "bulkhead"


def chunk_key(run: str, number: int) -> str:
    return f"{PREFIX}/{run}/ledger-{number:05d}"


class ChunkedSink:
    """`core.ledger.LedgerSink` over a store."""

    def __init__(self, store: Store, run: str, first: int = 0) -> None:
        self._store = store
        self._run = run
        self._number = first
        self._lines: list[str] = []
        self._bytes = 0
        self._dirty = False

    def write(self, line: str) -> None:
        if self._bytes + len(line) + 1 > CHUNK_BYTES and self._lines:
            self._next_chunk()
        self._lines.append(line)
        self._bytes += len(line) + 1
        self._dirty = True

    def open_chunk(self) -> None:
        if self._lines:
            self._next_chunk()

    def _next_chunk(self) -> None:
        self.flush(durable=True)
        self._number += 1
        self._lines, self._bytes = [], 0

    def flush(self, *, durable: bool) -> None:
        if not self._dirty:
            return
        payload = ("\n".join(self._lines) + "\n").encode("ascii")
        key = chunk_key(self._run, self._number)
        try:
            if durable:
                self._store.durable(key, payload)
            else:
                self._store.save(key, payload)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise LedgerError(f"{key}: the object store did not take it ({error}).") from error
        self._dirty = False


def read_chunks(store: Store, run: str) -> tuple[list[str], int]:
    """Return the lines of all chunks of a run in order, without their line ends, and the number of the next free chunk."""
    keys: Sequence[str] = sorted(store.keys(f"{PREFIX}/{run}/ledger-"))
    lines: list[str] = []
    for key in keys:
        payload = store.read(key)
        if payload is not None:
            lines += payload.decode("ascii", errors="replace").splitlines()
    following = 0 if not keys else int(keys[-1].rsplit("-", 1)[1]) + 1
    return lines, following
