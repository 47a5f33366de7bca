"""Two slots for the state, written in turn, so that a torn or lost write leaves the one before it whole.

A slot is a line of header and a line of body, both JSON: {schema, seq, prev_hash, sha256, length, run, settings_hash,
ledger_head}, then the body; sha256 covers the rest of the header and the body.  `durable` of the store returns only
when the bytes would survive the process; the write itself is not atomic, which is why there are two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import LedgerError, StateError
from core.ports import Store

SCHEMA: Final = 1
SLOTS: Final = ("a", "b")
GENESIS: Final = "0" * 64
_HEADER: Final[Mapping[str, type]] = {
    "schema": int,
    "seq": int,
    "prev_hash": str,
    "sha256": str,
    "length": int,
    "run": str,
    "settings_hash": str,
    "ledger_head": str,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the slots say at start: the newest valid body, and a sentence per slot that could not be used.

    forked: both slots are valid and the newer one does not follow the older one.
    """

    body: Mapping[str, Any] | None
    seq: int
    settings_hash: str
    run: str
    lost: tuple[str, ...]
    forked: bool = False


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

    def save(self, body: dict[str, Any], *, shorten: Callable[[dict[str, Any]], bool]) -> tuple[str, int, str]:
        """Write the next slot durably; returns (slot, seq, sha256).

        shorten makes a body that is too large smaller, and says whether it could.  Raises LedgerError when it stays too
        large or the store does not take it; the slot before it is still whole then.
        """
        seq = self._seq + 1
        slot = SLOTS[seq % 2]
        payload, digest = self._payload(seq, body)
        while len(payload) > self._max_bytes:
            if not shorten(body):
                raise LedgerError(
                    f"{self.key(slot)} = {len(payload)} bytes: expected at most {self._max_bytes} "
                    "(state.snapshot_max_bytes); the slot before it stays."
                )
            payload, digest = self._payload(seq, body)
        try:
            self._store.durable(self.key(slot), payload)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise LedgerError(f"{self.key(slot)}: the object store did not take the state ({error}).") from error
        self._seq, self._head = seq, digest
        return slot, seq, digest

    def _payload(self, seq: int, body: Mapping[str, Any]) -> tuple[bytes, str]:
        text = _json(body)
        header = {
            "schema": SCHEMA,
            "seq": seq,
            "prev_hash": self._head,
            "length": len(text),
            "run": self._run,
            "settings_hash": self._settings_hash,
            "ledger_head": body["ledger_head"],
        }
        digest = _digest(header, text)
        return f"{_json({**header, 'sha256': digest})}\n{text}\n".encode("ascii"), digest

    def load(self) -> Found:
        """Return the newest valid slot.  Raises StateError when one was written by a newer program."""
        valid: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        lost: list[str] = []
        for slot in SLOTS:
            payload = self._store.read(self.key(slot))
            if payload is None:
                continue
            try:
                valid.append(_read(self.key(slot), payload))
            except ValueError as error:
                lost.append(f"{error} The other slot is used.")
        if not valid:
            return Found(None, 0, "", "", tuple(lost))
        valid.sort(key=lambda found: int(found[0]["seq"]))
        older, (header, body) = valid[0][0], valid[-1]
        follows = header["seq"] != older["seq"] + 1 or header["prev_hash"] == older["sha256"]
        self._seq, self._head = header["seq"], header["sha256"]
        return Found(body, header["seq"], header["settings_hash"], header["run"], tuple(lost), not follows)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(header: Mapping[str, Any], text: str) -> str:
    return hashlib.sha256(f"{_json(header)}\n{text}".encode("ascii")).hexdigest()


def _read(key: str, payload: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and body of a slot.  ValueError carries a ready sentence; StateError when the schema is newer."""
    try:
        first, text = payload.decode("ascii").split("\n")[:2]
        header = json.loads(first)
        broken = [name for name, kind in _HEADER.items() if type(header[name]) is not kind]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{key}: its {len(payload)} bytes are no whole slot ({type(error).__name__}: {error})."
        ) from None
    if not broken and header["schema"] > SCHEMA:
        raise StateError(
            f"{key}: schema {header['schema']}, this program knows {SCHEMA}. "
            "Run the newer program, or move the slots away and adopt what is held."
        )
    bare = {name: value for name, value in header.items() if name != "sha256"}
    if broken or len(text) != header["length"] or _digest(bare, text) != header["sha256"]:
        raise ValueError(f"{key}: half-written or altered ({len(text)} bytes of body, the checksum differs).")
    body: Mapping[str, Any] = json.loads(text)
    return header, body
