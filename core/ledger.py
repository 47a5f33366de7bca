"""The ledger: append-only, hash-chained; books, reports, metrics and checks are folds of it.

A line is canonical JSON (keys sorted, no spaces, no floats, no null); its hash is the SHA-256 of the line without it,
and stands as the last key. `time` never runs back: a report that carries an earlier execution time keeps it in its
own field.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from core.errors import LedgerError
from core.ledger_kinds import Fold, Form, Kind, Take, plain
from core.reasons import Reason
from core.rules import Cause
from core.vocabulary import TradingState

GENESIS: Final = "0" * 64

RETRY_AFTER: Final = timedelta(minutes=1)

REPORTS: Final = frozenset(
    {
        Kind.ORDER_EVENT,
        Kind.FILL,
        Kind.ORDER_OUTCOME,
        Kind.EVENT_QUARANTINED,
        Kind.EXPIRY,
        Kind.CASH_FLOW,
        Kind.SPLIT,
    }
)
"""Kinds that tell what happened elsewhere, perhaps before the line above: such a line stands at that line's time.

A fill keeps its own time in exec_time.
"""

MOVES: Final = frozenset(
    {
        Kind.INTENT,
        Kind.ORDER_INTENT,
        Kind.ORDER_SENT,
        Kind.FILL,
        Kind.ORDER_OUTCOME,
        Kind.TRADE_STATE,
        Kind.TRADE_CLOSED,
        Kind.EXPIRY,
        Kind.CASH_FLOW,
        Kind.SPLIT,
        Kind.BREAK,
        Kind.SESSION_CLOSED,
    }
)
"""Kinds that move money, orders or trades: what a restart may not forget."""


class LedgerSink(Protocol):
    """Where lines go.  It keeps what it cannot save."""

    def write(self, line: str) -> None: ...

    def open_chunk(self) -> None: ...

    def flush(self, *, durable: bool) -> None:
        """Save all lines; raises LedgerError when some stay in memory."""


class Ledger:
    """Writes records, chains them, folds them, and hands their lines to the sink."""

    def __init__(self, sink: LedgerSink, fold: Fold, *, durable_orders: bool) -> None:
        """durable_orders: each ORDER_INTENT must survive the process before the order is sent (paper and live)."""
        self._sink = sink
        self._fold = fold
        self._durable_orders = durable_orders
        self.chained_head = GENESIS
        """Hash of the last line that is chained: for those who only look, also while another thread is in a step."""
        self._seq = 0
        self._unchained: deque[tuple[Form, datetime, list[str | datetime]]] = deque()
        self.time = datetime.min
        """Time of the last line; no step may be stamped earlier."""
        self._retry_at = datetime.min
        self._failure: str | None = None
        self.causes: tuple[Cause, ...] = ()
        """Why only orders that reduce risk are sent: the store does not take the ledger."""
        self._sealed = False
        self._counts: dict[str, int] = {}
        self._forms: dict[tuple[str, ...], tuple[Form, Sequence[Take]]] = {}
        self._tail: list[dict[str, Any]] = []
        self._tail_since = 0

    def head(self) -> str:
        """Chain what waits, and return the hash of the last line.  Like `append`, only whose turn it is calls this."""
        self._chain()
        return self.chained_head

    @property
    def seq(self) -> int:
        """Number of records written; the next record's seq."""
        return self._seq

    @property
    def counts(self) -> Mapping[str, int]:
        """Lines by kind, as far as they are chained."""
        return self._counts

    @property
    def tail(self) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """Return (seq, records from there on that move money or orders: seq, kind, book, fields as in the line).

        They are those of the present session; paper and live only, where a snapshot keeps them.
        """
        return self._tail_since, self._tail

    @property
    def is_sealed(self) -> bool:
        return self._sealed

    def go_on(self, head: str, seq: int, time: datetime, counts: Mapping[str, int]) -> None:
        """Continue a ledger of an earlier process behind its last intact line."""
        self.chained_head, self._seq = head, seq
        self.time = time
        self._tail_since = seq
        self._counts = dict(counts)

    def append(self, kind: Kind, book: str, now: datetime, /, **fields: Any) -> None:
        """Write one record and fold it.  now is the time of the step, or of the event that is reported.

        Raises LedgerError, with nothing written, for what the schema or the fold refuses and for a step that runs
        back in time.  A failing store is kept in mind and not raised here.
        """
        if self._sealed:
            raise LedgerError(f"{kind} at {now}: the ledger is sealed, nothing may follow RUN_ENDED.")
        known = self._forms.get((kind, *fields))
        if known is None:
            known = self._forms[(kind, *fields)] = Form(kind, fields), self._fold(kind)
        form, takes = known
        if now < self.time:
            if kind not in REPORTS:
                raise LedgerError(f"{kind}.time = {now}: expected not before the line above ({self.time}).")
            now = self.time
        parts = form.parts(book, fields)
        kept = self._kept(kind, book, fields) if self._durable_orders and kind in MOVES else None
        for take in takes:
            take(book, fields, now)
        if kept is not None:
            self._tail.append(kept)
        self._unchained.append((form, now, parts))
        self.time = now
        self._seq += 1
        if self._failure is not None and now >= self._retry_at:
            self.flush(durable=True)

    def _chain(self) -> None:
        """Hand over to the sink what was appended since: each line with the hash of the one above.

        Nobody sees a line before it is saved, and a session's lines in one go cost half of what they do one by one.
        """
        waiting, counts = self._unchained, self._counts
        while waiting:
            form, time, parts = waiting[0]
            text = form.line(self.chained_head, self._seq - len(waiting), time, parts)
            head = hashlib.sha256(f"{text}}}".encode("ascii")).hexdigest()
            self._sink.write(f'{text},"hash":"{head}"}}')
            # Only now is it done: a sink that fails gets this line again, and none twice.
            waiting.popleft()
            self.chained_head = head
            counts[form.kind] = counts.get(form.kind, 0) + 1

    def _kept(self, kind: Kind, book: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row of the tail, as it stands before the fold sees the record."""
        return {"seq": self._seq, "kind": str(kind), "book": book, "fields": plain(kind, fields)}

    def flush(self, *, durable: bool) -> bool:
        """Save what was written; returns whether the store took it.

        While it does not, the lines stay in memory, openings stop (`before_order`, `causes`), and once a minute of the
        algorithm's clock it is tried again.
        """
        self._chain()
        try:
            self._sink.flush(durable=durable)
        except LedgerError as error:
            self._failure = str(error)
            self.causes = (Cause("ledger", TradingState.REDUCING, Reason.LEDGER_NOT_DURABLE),)
            self._retry_at = self.time + RETRY_AFTER
            return False
        self._failure, self.causes = None, ()
        return True

    def before_order(self) -> None:
        """Make everything durable that an order depends on.

        Raises LedgerError when it is not: then no opening is sent.
        """
        if (self._durable_orders or self._failure is not None) and not self.flush(durable=True):
            raise LedgerError(f"The ledger cannot be written ({self._failure}); nothing is opened until it can.")

    def open_chunk(self) -> None:
        """Begin a new chunk; what is saved by then is never written over again."""
        if self.flush(durable=True):
            self._tail, self._tail_since = [], self._seq
        self._sink.open_chunk()

    def seal(self, now: datetime, **fields: Any) -> None:
        """Write RUN_ENDED with the counts of all lines before it, and save everything.

        Raises LedgerError when the store does not take it: a run whose ledger is lost has failed.
        """
        self._chain()
        self.append(Kind.RUN_ENDED, "", max(now, self.time), counts=dict(self._counts), **fields)
        self._sealed = True
        if not self.flush(durable=True):
            raise LedgerError(f"The ledger of this run could not be saved: {self._failure}")
