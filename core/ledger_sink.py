"""The ledger's way out: numbered chunks in the object store, a new one each session and at a quarter of a megabyte.

Live and paper, what an order depends on is durable before the order is sent; in a backtest chunks are saved at session
close, at the end and on error.  What the store does not take stays in memory and goes with the next good flush.

The youngest chunk grows by being written over, and a write may be torn at any byte.  Where that would lose what an
order hangs on, the new content is written to a copy first; a start takes it from there when the chunk itself was torn.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from core.errors import LedgerError
from core.ports import Store

CHUNK_BYTES: Final = 256 * 1024
PREFIX: Final = "bulkhead"
_COPY: Final = re.compile(rb"\d+ [0-9a-f]{64}")
_NUMBER: Final = re.compile(r"ledger-(\d+)$")


def copy_key(run: str) -> str:
    return f"{PREFIX}/{run}/youngest"


def chunk_key(run: str, number: int) -> str:
    return f"{PREFIX}/{run}/ledger-{number:05d}"


class ChunkedSink:
    """`core.ledger.LedgerSink` over a store."""

    def __init__(self, store: Store, run: str, first: int = 0, *, careful: bool = False) -> None:
        """first: number of the first chunk, behind those of an earlier process; careful: write the copy first."""
        self._store = store
        self._careful = careful
        self._run = run
        self._number = first
        self._lines: list[str] = []
        self._bytes = 0
        self._is_saved = True
        self._is_durable = True
        self._full: list[tuple[int, bytes]] = []

    def write(self, line: str) -> None:
        """Take one line without its line end; it is in memory until the next flush."""
        size = len(line) + 1
        if self._bytes + size > CHUNK_BYTES:
            self.open_chunk()
        self._lines.append(line)
        self._bytes += size
        self._is_saved = self._is_durable = False

    def open_chunk(self) -> None:
        """Let the next line begin a new chunk."""
        if not self._lines:
            return
        if not self._is_durable:
            self._full.append((self._number, self._payload()))
        self._number += 1
        self._lines, self._bytes = [], 0
        self._is_saved = self._is_durable = True

    def flush(self, *, durable: bool) -> None:
        """Save every chunk that has grown, oldest first.

        Raises LedgerError when the store does not take one; it and all behind it are kept.
        """
        while self._full:
            self._save(*self._full[0], durable=durable)
            self._full.pop(0)
        if not (self._is_durable if durable else self._is_saved):
            self._save(self._number, self._payload(), durable=durable)
            self._is_saved, self._is_durable = True, durable

    def _payload(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode("ascii")

    def _save(self, number: int, payload: bytes, *, durable: bool) -> None:
        key = chunk_key(self._run, number)
        try:
            if self._careful:
                self._store.durable(copy_key(self._run), _copy_header(number, payload) + b"\n" + payload)
            (self._store.durable if durable else self._store.save)(key, payload)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise LedgerError(f"{key}: the object store did not take it ({error}).") from error


def _copy_header(number: int, payload: bytes) -> bytes:
    digest = hashlib.sha256(f"{number}\n".encode("ascii") + payload).hexdigest()
    return f"{number} {digest}".encode("ascii")


def restore_torn_chunk(store: Store, run: str) -> bool:
    """Write the youngest chunk from its copy where the last write of it was torn; returns whether it was.

    A copy that is torn itself is left alone: then the chunk is whole.
    """
    header, _, payload = (store.read(copy_key(run)) or b"").partition(b"\n")
    number = int(header.split(b" ")[0]) if _COPY.fullmatch(header) else 0
    if header != _copy_header(number, payload):
        return False
    key = chunk_key(run, number)
    present = store.read(key) or b""
    if present == payload or not payload.startswith(present):
        return False
    store.durable(key, payload)
    return True


def chunk_numbers(store: Store, run: str) -> Sequence[int]:
    """Return the numbers of a run's chunks in order.  Raises LedgerError when one is missing between two others."""
    keys = store.keys(f"{PREFIX}/{run}/ledger-")
    numbers = sorted(int(found[1]) for key in keys if (found := _NUMBER.search(key)) is not None)
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers else []
    if missing:
        raise LedgerError(
            f"{chunk_key(run, missing[0])}: this chunk of the ledger is missing between two others. "
            "Bring it back, or move the run's chunks away and adopt the positions by hand."
        )
    return numbers


def read_chunk(store: Store, run: str, number: int) -> bytes:
    """Return a chunk's bytes: none where the store lists it and has nothing, as after a write torn at its start."""
    return store.read(chunk_key(run, number)) or b""


def set_tail_aside(store: Store, run: str, number: int, whole: bytes, tail: bytes) -> str:
    """Move a torn tail out of a chunk, so that the joined ledger stays readable; returns where it lies.

    The tail is durable before the chunk is shortened: nothing is lost if this, too, is interrupted.
    """
    key = f"{PREFIX}/{run}/torn-{number:05d}"
    text = tail.decode("ascii", errors="backslashreplace").encode("ascii")
    try:
        store.durable(key, text)
        store.durable(chunk_key(run, number), whole)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise LedgerError(f"{key}: the object store did not take the torn tail ({error}).") from error
    return key
