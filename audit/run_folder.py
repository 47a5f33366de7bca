"""Where a ledger lies, and what the run's summary claims about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LEDGER: Final = "ledger.jsonl"
SUMMARY: Final = "summary.json"
_GZIP: Final = b"\x1f\x8b"
_ANCHOR: Final = re.compile(r"(\d{1,18}):([0-9a-f]{64})\Z")


class Unreadable(Exception):
    """The run cannot be read. The sentence says what was looked for and where; the verdict is INCONCLUSIVE."""


@dataclass(frozen=True, slots=True)
class Source:
    """A ledger file, and what stands outside it: the summary's hash and published anchors."""

    path: Path
    summary_hash: str | None = None
    anchors: Mapping[int, str] = field(default_factory=dict)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines. Raises Unreadable when the file cannot be read."""
        try:
            with self.path.open("rb") as file:
                yield from file
        except OSError as error:
            raise Unreadable(f"{self.path} cannot be read: {error.strerror}. Check the path and its rights.") from error


def find(run: Path) -> Source:
    """Return the ledger of a run folder, or of the file itself. Raises Unreadable."""
    path = run / LEDGER if run.is_dir() else run
    if not path.is_file():
        raise Unreadable(f"RUN = {run}: expected a run folder with {LEDGER}, or a ledger file.")
    if path.stat().st_size == 0:
        raise Unreadable(f"{path} is empty: expected the ledger of a run.")
    if _begins_with(path, _GZIP):
        raise Unreadable(f"{path} is compressed: expected JSON lines. Unpack it with gunzip first.")
    summary = _summary(run / SUMMARY) if run.is_dir() else {}
    claimed = summary.get("ledger_hash")
    try:
        anchors = dict(_anchors(summary.get("anchors")))
    except ValueError as error:
        raise Unreadable(f"{run / SUMMARY}: anchors: {error}. Delete the file to judge the ledger alone.") from error
    return Source(path, claimed if isinstance(claimed, str) else None, anchors)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}. Check the path and its rights.") from error


def parse_anchor(text: str) -> tuple[int, str]:
    """Return (seq, hash) of `SEQ:HASH`. Raises ValueError."""
    found = _ANCHOR.match(text)
    if found is None:
        raise ValueError(f"{text!r}: expected SEQ:HASH, a line's number and its 64 hex digits")
    return int(found.group(1)), found.group(2)


def _summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} cannot be read: {error}. Delete it to judge the ledger alone.") from error
    return content if isinstance(content, dict) else {}


def _anchors(listed: object) -> Iterator[tuple[int, str]]:
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, str):
            yield parse_anchor(item)
        elif isinstance(item, dict) and "head_seq" in item and "head_hash" in item:
            yield parse_anchor(f"{item['head_seq']}:{item['head_hash']}")
