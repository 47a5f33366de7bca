"""Join the numbered chunks in which a ledger leaves the algorithm through the object store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tools.errors import RunFailedError

_KEY = re.compile(r"bulkhead/(?P<run>[^/]+)/ledger-(?P<number>\d+)")


def ledger_runs(keys: Iterable[str]) -> dict[str, list[str]]:
    """Return run id -> its chunk keys in the order of their numbers."""
    found: dict[str, list[tuple[int, str]]] = {}
    for key in keys:
        match = _KEY.fullmatch(key)
        if match is not None:
            found.setdefault(match["run"], []).append((int(match["number"]), key))
    return {run: [key for _, key in sorted(chunks)] for run, chunks in sorted(found.items())}


def join_chunks(store: Mapping[str, bytes]) -> bytes:
    """Return the ledger of the one run in a store.

    Raises RunFailedError when there is none, more than one, or a number is missing between two chunks: a ledger with a
    hole is never written down as if it were whole.
    """
    runs = ledger_runs(store)
    if not runs:
        raise RunFailedError(
            "the run left no ledger in the object store: it ended before its first record. See log.txt."
        )
    if len(runs) > 1:
        raise RunFailedError(
            f"the object store holds the ledgers of {len(runs)} runs ({', '.join(runs)}), expected one."
        )
    ((run, keys),) = runs.items()
    numbers = [int(key.rsplit("-", 1)[1]) for key in keys]
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing or numbers[0] > 1:
        lost = ", ".join(str(number) for number in missing or range(numbers[0]))
        raise RunFailedError(f"ledger chunks {lost} of run {run} are missing in the object store. Run it again.")
    return b"".join(_with_newline(store[key]) for key in keys)


def _with_newline(chunk: bytes) -> bytes:
    return chunk if not chunk or chunk.endswith(b"\n") else chunk + b"\n"
