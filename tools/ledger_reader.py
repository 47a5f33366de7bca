"""Read a run's ledger: one JSON object per line, as audit.md lays it out.  Reads only; the auditor is what judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from tools.errors import BulkheadUsageError

Record = dict[str, Any]
LEDGER_FILE = "ledger.jsonl"
EXCHANGE_ZONE = ZoneInfo("America/New_York")
U6 = 1_000_000


@dataclass(frozen=True, slots=True)
class Ledger:
    """All records of one run in their order, and where they came from."""

    path: Path
    records: tuple[Record, ...]

    @property
    def header(self) -> Record | None:
        """Return the first RUN_STARTED, or None where the file has none."""
        return next((record for record in self.records if record["kind"] == "RUN_STARTED"), None)

    @property
    def last(self) -> Record | None:
        return self.records[-1] if self.records else None

    def of_kind(self, *kinds: str) -> Iterator[Record]:
        return (record for record in self.records if record["kind"] in kinds)

    def sessions(self) -> list[date]:
        """Return the dates of SESSION_OPENED, in order."""
        return [date.fromisoformat(str(record["date"])) for record in self.of_kind("SESSION_OPENED")]


def ledger_path(run: Path) -> Path:
    """Return the ledger of a run folder, or the path itself when it is a ledger file already."""
    path = run / LEDGER_FILE if run.is_dir() else run
    if not path.is_file():
        raise BulkheadUsageError(
            f"RUN = {run}: expected a run folder with {LEDGER_FILE}, or a ledger file. `backtest` prints its path."
        )
    return path


def read_ledger(run: Path) -> Ledger:
    """Read the ledger of a run folder or file.  Raises BulkheadUsageError naming the first line that is no record."""
    path = ledger_path(run)
    return Ledger(path, tuple(parse_lines(path.read_bytes(), str(path))))


def parse_lines(content: bytes, source: str) -> Iterator[Record]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BulkheadUsageError(
                f"{source}, line {number}: expected one JSON object ({error}). The file is damaged; run it again."
            ) from None
        if not isinstance(record, dict) or not {"kind", "time", "book"} <= record.keys():
            raise BulkheadUsageError(
                f"{source}, line {number}: expected a ledger record with kind, time and book. This is not a ledger."
            )
        yield record


def exchange_time(record: Record, field: str = "time") -> datetime:
    """Return a record's time in New York, aware."""
    return parse_utc(str(record[field])).astimezone(EXCHANGE_ZONE)


def parse_utc(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def on_session(records: Sequence[Record], session: date) -> list[Record]:
    """Return the records of one exchange date, in order."""
    return [record for record in records if exchange_time(record).date() == session]
