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

from audit.schema import SHAPES, VERSION, Record, in_range
from audit.times import micros

GENESIS: Final = "0" * 64
_HASH: Final = 64 + len('"}\n')
_TAIL: Final = len(',"hash":"') + _HASH
_MARK: Final = b',"hash":"'

Report = Callable[[str, int, int, str], None]
"""Called with rule id, seq, time in microseconds and a sentence."""


class Chain:
    """Walks the lines of a ledger once; hands on every record that is well-formed."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.lines = 0
        self.head = GENESIS
        self._heads = array("q")
        self._anchors: dict[int, str] = {}
        self.found_anchors: set[int] = set()
        self.newer: str | None = None

    def expect(self, seq: int, head_hash: str) -> None:
        """Compare the hash of line seq with one that was published elsewhere."""
        self._anchors[seq] = head_hash

    def knows(self, seq: int, head_hash: str) -> bool:
        """Tell whether line seq had that hash; 64 bits are kept of every line, enough against chance."""
        return 0 <= seq < len(self._heads) and self._heads[seq] == hash(head_hash)

    def walk(self, lines: Iterable[bytes]) -> Iterator[tuple[Record, int]]:
        """Yield (record, time in microseconds) for every line that is a record; report whatever is wrong."""
        report, judge, loads, dumps = self._report, SHAPES, orjson.loads, orjson.dumps
        form, heads, anchors = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER, self._heads, self._anchors
        head, seq, time_text, now = GENESIS, -1, "", 0
        for line in lines:
            self.lines += 1
            if line[-_TAIL:-_HASH] == _MARK and line[-3:] == b'"}\n':
                body, stated = line[:-_TAIL] + b"}", line[-_HASH:-3].decode("latin-1")
            else:
                body, stated = _torn_apart(line)
                report("AU-01", seq + 1, now, f"line {self.lines} does not end with its hash and a line feed")
                report("AU-02", seq + 1, now, f"line {self.lines}: no hash stands where a line has it")
            if sha256(body).hexdigest() != stated:
                report("AU-02", seq + 1, now, f"line {self.lines}: its hash does not match its content")
            try:
                record = loads(body)
                known = dumps(record, option=form) == body and b"\x7f" not in body and body.isascii()
            except orjson.JSONDecodeError as error:
                record, known = error, False
            except orjson.JSONEncodeError:  # a number of more than 53 bits
                known = False
            previous, head = head, stated
            heads.append(hash(stated))
            self.head = stated
            if type(record) is not dict:
                report("AU-01", seq + 1, now, f"line {self.lines} is no JSON object: {record}"[:200])
                report("AU-02", seq + 1, now, f"line {self.lines} breaks the chain")
                continue
            if not known and (_canonical(record) != body or not in_range(record)):
                report("AU-01", seq + 1, now, f"line {self.lines} is not in canonical form, or a number is too large")
            if record.get("prev_hash") != previous:
                report("AU-02", seq + 1, now, f"line {self.lines}: prev_hash is not the hash of the line above")
            if self.newer is not None or (record.get("v") != VERSION and self._is_newer(record, "v")):
                continue
            wrong = judge(record)
            if wrong is not None:
                if record.get("kind") == "RUN_STARTED" and self._is_newer(record, "schema"):
                    continue
                report("AU-01", seq + 1, now, f"line {self.lines}: {wrong}")
            elif record["v"] != VERSION:
                wrong = f"v = {record['v']}: expected {VERSION}"
                report("AU-01", seq + 1, now, f"line {self.lines}: {wrong}")
            elif record["kind"] == "RUN_STARTED" and self._is_newer(record, "schema"):
                continue
            given = record.get("seq")
            seq += 1
            if given != seq:
                report("AU-03", seq, now, f"line {self.lines}: seq = {given}, expected {seq}")
                if type(given) is int and 0 <= given < 2**63:
                    seq = given
            if seq in anchors:
                self._compare(seq, stated, now)
            stamp = record.get("time")
            if stamp != time_text:
                try:
                    moment = micros(stamp) if isinstance(stamp, str) else -1
                except ValueError as error:
                    moment = -1
                    report("AU-01", seq, now, f"line {self.lines}: {error}")
                if moment < 0:
                    continue
                if moment < now:
                    report("AU-03", seq, now, f"line {self.lines}: time {stamp} is before the line above ({time_text})")
                else:
                    time_text, now = str(stamp), moment
            if wrong is None:
                yield record, now

    def _is_newer(self, record: Record, name: str) -> bool:
        """A ledger of a later program cannot be judged: not clean, not violated."""
        value = record.get(name)
        if type(value) is int and value > VERSION:
            self.newer = f"{name} = {value}: this auditor knows {VERSION}; use the one of the program that wrote it"
            return True
        return False

    def _compare(self, seq: int, stated: str, now: int) -> None:
        if self._anchors[seq] == stated:
            self.found_anchors.add(seq)
        else:
            self._report(
                "AU-02", seq, now, f"line {seq} has hash {stated[:16]}..., its anchor {self._anchors[seq][:16]}..."
            )


def encode(record: Record) -> bytes:
    """Return the canonical text of a record without its hash."""
    return _canonical(record)


def _canonical(record: Record) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _torn_apart(line: bytes) -> tuple[bytes, str]:
    """Return content and hash of a line that has not the form of one, as far as they can be told apart."""
    at = line.rfind(_MARK)
    return (line, "") if at < 0 else (line[:at] + b"}", line[at + len(_MARK) : at + len(_MARK) + 64].decode("latin-1"))
