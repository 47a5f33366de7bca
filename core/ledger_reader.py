"""Reading a ledger back: every line is checked against the chain and folded, as when it was written.

A torn tail, the last line of the last chunk cut by the death of its process, is set aside.  A line before it that does
not fit the chain means that somebody altered the ledger: what came before still counts, and what is open is frozen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from core.eastern import from_utc_text
from core.errors import LedgerError
from core.ledger import GENESIS
from core.ledger_kinds import FIELDS, VERSION, Fold, Kind
from core.ledger_sink import chunk_key, chunk_numbers, read_chunk, restore_torn_chunk, set_tail_aside
from core.ports import Store

_HASH_MARK: Final = b',"hash":"'


@dataclass(slots=True)
class Replay:
    """What an earlier process left: head, next seq, time and counts behind its last good line, and what is wrong there.

    torn is the sentence about a tail set aside, broken the one about an altered line; heads the hash of every line;
    began the first day that the first process wrote down.
    """

    began: date | None = None
    head: str = GENESIS
    seq: int = 0
    time: datetime = datetime.min
    counts: dict[str, int] = field(default_factory=dict)
    next_chunk: int = 0
    torn: str = ""
    broken: str = ""
    sealed: bool = False
    heads: list[str] = field(default_factory=list)

    @property
    def is_fresh(self) -> bool:
        return self.seq == 0

    def knows(self, seq: int, head: str) -> bool:
        """Whether this ledger, after its first seq lines, had that head: false for a fork."""
        return (GENESIS if seq == 0 else self.heads[seq - 1] if seq <= len(self.heads) else "") == head


def replay_ledger(store: Store, run: str, fold: Fold) -> Replay:
    """Fold every good line of a run's chunks, and move a torn tail out of its chunk.

    Raises LedgerError when a chunk is missing or the store refuses the tail.
    """
    is_mended = restore_torn_chunk(store, run)
    numbers = chunk_numbers(store, run)
    found, fold = Replay(next_chunk=numbers[-1] + 1 if numbers else 0), cache(fold)
    if is_mended:
        found.torn = "The last write of the ledger's youngest chunk was torn; its copy was whole, and nothing is lost."
    for number in numbers:
        payload = read_chunk(store, run, number)
        good = 0
        while good < len(payload):
            end = payload.find(b"\n", good)
            line = payload[good : len(payload) if end < 0 else end]
            if end < 0 or (trouble := _take(line, found, fold)):
                break
            good = end + 1
        else:
            continue
        rest = payload[good:]
        if end < 0 and number == numbers[-1]:
            kept = set_tail_aside(store, run, number, payload[:good], rest)
            found.torn = f"The last line of the ledger was cut after {len(rest)} bytes; it lies in {kept}."
        else:
            trouble = trouble if end >= 0 else "it is cut in the middle of the ledger"
            found.broken = (
                f"{chunk_key(run, number)} seq {found.seq}: {trouble}. The ledger was altered, what is open is frozen. "
                "Compare it with its anchors, then adopt or close them by hand."
            )
        break
    return found


def _take(line: bytes, found: Replay, fold: Fold) -> str:
    """Check and fold one line; returns what is wrong with it."""
    body, mark, tail = line.rpartition(_HASH_MARK)
    digest = hashlib.sha256(body + b"}").hexdigest()
    if not mark or tail != digest.encode("ascii") + b'"}':
        return "its hash does not match"
    record: dict[str, Any] = json.loads(line)
    if record["prev_hash"] != found.head or record["seq"] != found.seq:
        return "it does not follow the line before it"
    if record["v"] != VERSION or record["kind"] not in Kind.__members__:
        return f"this program does not know version {record['v']} or kind {record['kind']}"
    kind, time = Kind(record["kind"]), from_utc_text(record["time"])
    try:
        fields = written_fields(kind, record)
        for take in fold(kind):
            take(record["book"], fields, time)
    except LedgerError as error:
        return str(error).rstrip(".")
    found.head, found.seq, found.time = digest, found.seq + 1, time
    found.heads.append(digest)
    found.counts[kind.value] = found.counts.get(kind.value, 0) + 1
    found.sealed = kind is Kind.RUN_ENDED
    if kind is Kind.RUN_STARTED and found.began is None:
        found.began = date.fromisoformat(record["start"])
    return ""


def written_fields(kind: Kind, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's own fields with their dates and times as the writer had them."""
    fields: dict[str, Any] = {}
    for name, spec in FIELDS[kind].items():
        if name in record:
            value = record[name]
            if spec.type == "time":
                value = from_utc_text(value)
            elif spec.type == "date":
                value = date.fromisoformat(value)
            elif spec.type == "intent_legs":
                value = [
                    row | {"expiry": date.fromisoformat(row["expiry"])} if "expiry" in row else row for row in value
                ]
            fields[name] = value
    return fields
