"""The object-store side of the LEAN edge. Payloads are ASCII text, because that is the one form all four places keep
alike.
"""

from __future__ import annotations

from AlgorithmImports import *

from collections.abc import Sequence


class LeanStore:
    """`core.ports.Store` over LEAN's object store."""

    def __init__(self, algorithm: QCAlgorithm) -> None:
        self._store = algorithm.object_store

    def read(self, key: str) -> bytes | None:
        if not self._store.contains_key(key):
            return None
        return str(self._store.read(key)).encode("ascii", errors="replace")

    def save(self, key: str, payload: bytes) -> None:
        self._save(key, payload)

    def durable(self, key: str, payload: bytes) -> None:
        """Asking for the file path after a save forces the write to disk; without it up to five seconds may be lost."""
        self._save(key, payload)
        self._store.get_file_path(key)

    def _save(self, key: str, payload: bytes) -> None:
        """LEAN answers a full or refused store with False, not with an error."""
        if self._store.save(key, payload.decode("ascii")) is False:
            raise OSError(f"{key}: LEAN's object store refused {len(payload)} bytes")

    def keys(self, prefix: str) -> Sequence[str]:
        return sorted(str(key) for key in self._store.keys if str(key).startswith(prefix))
