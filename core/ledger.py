"""The ledger: append-only, hash-chained; books, reports, metrics and checks are folds of it.

A line is canonical JSON (keys sorted, no spaces, no floats, no null); its hash is the SHA-256 of the line without it,
and stands as the last key. `time` never runs back: a report that carries an earlier execution time keeps it in its
own field.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final, Protocol

from core.eastern import utc_text
from core.errors import LedgerError
from core.ledger_kinds import Kind, check
from core.reasons import Reason
from core.rules import Cause
from core.vocabulary import TradingState

GENESIS: Final = "0" * 64
VERSION: Final = 1

Fold = Callable[[Kind, str, Mapping[str, Any], datetime], None]


class LedgerSink(Protocol):
    """Where lines go. Every method raises LedgerError when the line would not survive; the ledger then keeps it in
    memory.
    """

    def write(self, line: str) -> None: ...

    def open_chunk(self) -> None: ...

    def flush(self, *, durable: bool) -> None: ...


class Ledger:
    """Writes records, chains them, folds them, and hands their lines to the sink."""

    def __init__(self, sink: LedgerSink, fold: Fold, *, durable_orders: bool) -> None:
        """durable_orders: each ORDER_INTENT must survive the process before the order is sent (paper and live)."""
        self._sink = sink
        self._fold = fold
        self._durable_orders = durable_orders
        self._head = GENESIS
        self._seq = 0
        self._time = datetime.min
        self._pending: list[str] = []
        self._failure: str | None = None
        self._sealed = False
        self._counts: Counter[str] = Counter()
        self._encode = json.JSONEncoder(
            sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
        ).encode

    @property
    def head_hash(self) -> str:
        return self._head

    @property
    def seq(self) -> int:
        """Number of records written; the next record's seq."""
        return self._seq

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    @property
    def is_sealed(self) -> bool:
        return self._sealed

    def go_on(self, head: str, seq: int, time: datetime, counts: Mapping[str, int]) -> None:
        """Continue a ledger of an earlier process behind its last intact line."""
        self._head, self._seq, self._time = head, seq, time
        self._counts = Counter(counts)

    def append(self, kind: Kind, book: str, now: datetime, /, **fields: Any) -> None:
        """Write one record and fold it. Raises LedgerError for what the schema refuses; a failing store is kept in
        mind, not raised here.
        """
        if self._sealed:
            raise LedgerError(f"{kind} at {now}: the ledger is sealed, nothing may follow RUN_ENDED.")
        check(kind, fields)
        time = max(now, self._time)
        body: dict[str, Any] = {name: _plain(value) for name, value in fields.items()}
        body |= {
            "v": VERSION,
            "seq": self._seq,
            "time": utc_text(time),
            "kind": kind.value,
            "book": book,
            "prev_hash": self._head,
        }
        text = self._encode(body)
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()
        self._head, self._time = digest, time
        self._seq += 1
        self._counts[kind.value] += 1
        self._write(f'{text[:-1]},"hash":"{digest}"}}')
        self._fold(kind, book, fields, time)

    def _write(self, line: str) -> None:
        """Hand the line over; while the sink fails, lines wait in memory and are appended once it writes again."""
        self._pending.append(line)
        try:
            while self._pending:
                self._sink.write(self._pending[0])
                self._pending.pop(0)
        except LedgerError as error:
            self._failure = str(error)
        else:
            self._failure = None

    def before_order(self) -> None:
        """Make everything durable that an order depends on. Raises LedgerError when it is not: no opening is sent then."""
        if self._failure is not None:
            raise LedgerError(f"The ledger cannot be written ({self._failure}); nothing is opened until it can.")
        if self._durable_orders:
            self.flush(durable=True)

    def flush(self, *, durable: bool) -> None:
        """Bring the sink up to date. Raises LedgerError when it fails; the lines are kept."""
        if self._pending:
            raise LedgerError(
                f"The ledger cannot be written ({self._failure}); {len(self._pending)} records wait in memory."
            )
        self._sink.flush(durable=durable)

    def open_chunk(self) -> None:
        self._sink.open_chunk()

    def causes(self) -> tuple[Cause, ...]:
        """While the store fails only orders that reduce risk are sent."""
        if self._failure is None:
            return ()
        return (Cause("ledger", TradingState.REDUCING, Reason.LEDGER_NOT_DURABLE),)

    def seal(self, now: datetime, **fields: Any) -> None:
        """Write RUN_ENDED with the counts of all records before it, and make everything durable."""
        self.append(Kind.RUN_ENDED, "", now, counts=dict(self._counts), **fields)
        self._sealed = True
        self.flush(durable=True)


def _plain(value: Any) -> Any:
    """Return a value as JSON may hold it. Raises LedgerError for a float, None or anything else that has no exact form."""
    kind = type(value)
    if kind is int or kind is str or kind is bool:
        return value
    if kind is list:
        return [_plain(item) for item in value]
    if kind is dict:
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    raise LedgerError(f"{value!r}: a ledger value is text, a whole number, a flag, a date, a time, a list or a map.")
