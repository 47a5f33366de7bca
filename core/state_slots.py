"""Two slots for the state, written in turn, so that a torn or lost write leaves the one before it whole.

A slot is one line of header and one line of body, both JSON: {schema, seq, prev_hash, sha256, length, run,
settings_hash}, then the body.  `durable` of the store returns only when the bytes would survive the process; the
write itself is not atomic, which is why there are two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import LedgerError, StateError
from core.ports import Store

SCHEMA: Final = 1
SLOTS: Final = ("a", "b")
GENESIS: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Found:
    """What the slots say at start: the newest valid body, and a sentence per slot that could not be used."""

    body: Mapping[str, Any] | None
    seq: int
    settings_hash: str
    run: str
    lost: tuple[str, ...]


class SlotStore:
    """Reads and writes the two slots of one algorithm."""

    def __init__(
        self, store: Store, run: str, settings_hash: str, max_bytes: int, prefix: str = "bulkhead/state"
    ) -> None:
        self._store = store
        self._run = run
        self._settings_hash = settings_hash
        self._max_bytes = max_bytes
        self._prefix = prefix
        self._seq = 0
        self._head = GENESIS

    def key(self, slot: str) -> str:
        return f"{self._prefix}-{slot}"

    def save(self, body: Mapping[str, Any]) -> tuple[str, int, str]:
        """Write the next slot durably; returns (slot, seq, sha256 of the body). Raises LedgerError when the store
        does not take it.
        """
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        seq = self._seq + 1
        header = {
            "schema": SCHEMA,
            "seq": seq,
            "prev_hash": self._head,
            "sha256": digest,
            "length": len(text),
            "run": self._run,
            "settings_hash": self._settings_hash,
        }
        payload = f"{json.dumps(header, sort_keys=True, separators=(',', ':'))}\n{text}\n".encode("ascii")
        if len(payload) > self._max_bytes:
            raise LedgerError(
                f"{self.key(SLOTS[seq % 2])}: {len(payload)} bytes, at most {self._max_bytes} (state.snapshot_max_bytes)."
            )
        slot = SLOTS[seq % 2]
        try:
            self._store.durable(self.key(slot), payload)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise LedgerError(f"{self.key(slot)}: the object store did not take the state ({error}).") from error
        self._seq, self._head = seq, digest
        return slot, seq, digest

    def load(self) -> Found:
        """Return the newest valid slot. Raises StateError for a schema that is newer than this program."""
        best: tuple[int, dict[str, Any], Mapping[str, Any]] | None = None
        lost: list[str] = []
        for slot in SLOTS:
            payload = self._store.read(self.key(slot))
            if payload is None:
                continue
            try:
                header, body = _read(self.key(slot), payload)
            except ValueError as error:
                lost.append(str(error))
                continue
            if best is None or header["seq"] > best[0]:
                best = (header["seq"], header, body)
        if best is None:
            return Found(None, 0, "", "", tuple(lost))
        seq, header, body = best
        self._seq, self._head = seq, header["sha256"]
        return Found(body, seq, str(header["settings_hash"]), str(header["run"]), tuple(lost))


def _read(key: str, payload: bytes) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return header and body of a slot. ValueError carries a ready sentence; StateError when the schema is newer."""
    lines = payload.split(b"\n")
    if len(lines) < 2:
        raise ValueError(f"{key}: half-written ({len(payload)} bytes, no body). The other slot is used.")
    try:
        header = json.loads(lines[0])
        schema, length, digest = header["schema"], header["length"], header["sha256"]
        int(header["seq"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{key}: its header cannot be read ({error}). The other slot is used.") from error
    if schema > SCHEMA:
        raise StateError(
            f"{key}: schema {schema}, this program knows {SCHEMA}. Run the newer program, or move the file away and adopt by hand."
        )
    text = lines[1]
    if len(text) != length or hashlib.sha256(text).hexdigest() != digest:
        raise ValueError(
            f"{key}: half-written or altered ({len(text)} of {length} bytes, checksum differs). The other slot is used."
        )
    body: Mapping[str, Any] = json.loads(text)
    return header, body
