"""The chain of lines: canonical form, hash, previous hash, sequence, time.

Each line is hashed, decoded, and encoded again from what was decoded; the two texts must be the same bytes.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Final

import orjson

from audit.schema import VERSION, Record, SchemaJudge
from audit.times import micros

GENESIS: Final = "0" * 64
_TAIL: Final = len(',"hash":"') + 64 + len('"}\n')
_MARK: Final = b',"hash":"'

Report = Callable[[str, int, int, str], None]
"""Called with rule id, seq, time in microseconds and a sentence."""


class Chain:
    """Walks the lines of a ledger once; hands on every record that is well-formed."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._judge = SchemaJudge()
        self.lines = 0
        self.head = GENESIS
        self.heads = array("Q")
        self.anchors: dict[int, str] = {}
        self.found_anchors: set[int] = set()
        self.newer: str | None = None

    def expect(self, seq: int, head_hash: str) -> None:
        """Compare the hash of line seq with one that was published elsewhere."""
        self.anchors[seq] = head_hash

    def knows(self, seq: int, head_hash: str) -> bool:
        """Tell whether line seq had that hash (its first 64 bits, which is what is kept of every line)."""
        return 0 <= seq < len(self.heads) and self.heads[seq] == int(head_hash[:16], 16)

    def walk(self, lines: Iterable[bytes]) -> Iterator[tuple[Record, int]]:
        """Yield (record, time in microseconds) for every line that is a record; report whatever is wrong."""
        report, judge, loads, dumps = self._report, self._judge, orjson.loads, orjson.dumps
        sort, heads, anchors = orjson.OPT_SORT_KEYS, self.heads, self.anchors
        head, seq, time_text, now = GENESIS, -1, "", 0
        for line in lines:
            number = self.lines
            self.lines = number + 1
            body = line[:-_TAIL] + b"}"
            stated = line[-67:-3].decode("latin-1")
            if line[-_TAIL : -_TAIL + 9] != _MARK or line[-3:] != b'"}\n':
                stated = _stated_hash(line)
                body = _without_hash(line)
                report("AU-01", seq + 1, now, f"line {number + 1} does not end with its hash and a line feed")
            if sha256(body).hexdigest() != stated:
                report("AU-02", seq + 1, now, f"line {number + 1}: its hash does not match its content")
            try:
                record = loads(body)
            except orjson.JSONDecodeError as error:
                report("AU-01", seq + 1, now, f"line {number + 1} is no JSON: {error}")
                report("AU-02", seq + 1, now, f"line {number + 1} breaks the chain")
                head = stated
                self.head = head
                heads.append(_short(head))
                continue
            if type(record) is not dict:
                report("AU-01", seq + 1, now, f"line {number + 1} is no object")
                head = stated
                self.head = head
                heads.append(_short(head))
                continue
            if b"\\u" in body or b"\x7f" in body or not body.isascii():
                canonical = _canonical(record) == body
            else:
                canonical = dumps(record, option=sort) == body
            if not canonical:
                report("AU-01", seq + 1, now, f"line {number + 1} is not in canonical form")
            if record.get("prev_hash") != head:
                report("AU-02", seq + 1, now, f"line {number + 1}: prev_hash is not the hash of the line above")
            head = stated
            self.head = head
            heads.append(_short(head))
            if self.newer is not None or self._is_newer(record):
                continue
            wrong = judge(record)
            if wrong is not None:
                report("AU-01", seq + 1, now, f"line {number + 1}: {wrong}")
            given = record.get("seq")
            if given != seq + 1:
                report("AU-03", seq + 1, now, f"line {number + 1}: seq = {given}, expected {seq + 1}")
            if type(given) is int and 0 <= given < 2**63:
                if given in anchors:
                    self._anchor(given, stated, now)
                seq = given
            else:
                seq += 1
            if wrong is not None and (type(record.get("time")) is not str or type(record.get("kind")) is not str):
                continue
            text = record["time"]
            if text != time_text:
                try:
                    moment = micros(text)
                except ValueError as error:
                    report("AU-01", seq, now, f"line {number + 1}: {error}")
                    continue
                if moment < now:
                    report("AU-03", seq, now, f"line {number + 1}: time {text} is before the line above ({time_text})")
                else:
                    time_text, now = text, moment
            if wrong is None:
                yield record, now

    def _is_newer(self, record: Record) -> bool:
        """A ledger of a later program cannot be judged: not clean, not violated."""
        for name in ("v", "schema"):
            value = record.get(name)
            if (name == "v" or record.get("kind") == "RUN_STARTED") and type(value) is int and value > VERSION:
                self.newer = f"{name} = {value}: this auditor knows {VERSION}; use the one of the program that wrote it"
                return True
        return False

    def _anchor(self, seq: int, stated: str, now: int) -> None:
        if self.anchors[seq] == stated:
            self.found_anchors.add(seq)
        else:
            self._report(
                "AU-02", seq, now, f"line {seq} has hash {stated[:16]}..., its anchor {self.anchors[seq][:16]}..."
            )


def encode(record: Record) -> bytes:
    """Return the canonical text of a record without its hash."""
    return _canonical(record)


def _canonical(record: Record) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _stated_hash(line: bytes) -> str:
    at = line.rfind(_MARK)
    return line[at + 9 : at + 73].decode("latin-1") if at >= 0 else ""


def _without_hash(line: bytes) -> bytes:
    at = line.rfind(_MARK)
    return line[:at] + b"}" if at >= 0 else line


def _short(head: str) -> int:
    try:
        return int(head[:16], 16)
    except ValueError:
        return 0
