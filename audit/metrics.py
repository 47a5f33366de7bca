"""Figures of a run from its replay: equity by session close, returns, blocks of session minutes, books."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev

from audit.exchange_days import minute_of_session
from audit.limits import DOLLAR
from audit.schema import Record
from audit.state import State

SESSIONS_A_YEAR = 252


@dataclass(slots=True)
class Span:
    """What happened in one block of session minutes, or in one book."""

    name: str
    orders: int = 0
    fills: int = 0
    fees_u6: int = 0
    entries: int = 0
    refusals: int = 0
    max_exposure_u6: int = 0
    equity_u6: int | None = None


@dataclass(slots=True)
class Summary:
    """The run as a whole."""

    start_equity_u6: int = 0
    end_equity_u6: int = 0
    fees_u6: int = 0
    flows_u6: int = 0
    sessions: int = 0
    trades: int = 0
    orders: int = 0
    fills: int = 0
    max_exposure_u6: int = 0
    max_drawdown: float = 0.0
    total_return: float = 0.0
    mean_return: float = 0.0
    deviation: float = 0.0
    sharpe: float | None = None
    blocks: list[Span] = field(default_factory=list)
    books: list[Span] = field(default_factory=list)


class Metrics:
    """Listens to a replay and keeps what a summary needs."""

    def __init__(self, block_minutes: int = 480) -> None:
        self._block_minutes = block_minutes
        self._minutes_before = 0
        self._minutes_today = 0
        self._day: object = None
        self._closes: list[tuple[int, int]] = []
        self._path: list[int] = []
        self._peak = 0
        self._drawdown = 0.0
        self._blocks: dict[int, Span] = {}
        self._books: dict[str, Span] = {}
        self._trades: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._exposure = 0
        self._start = 0
        self._flows = 0

    def __call__(self, record: Record, state: State) -> None:
        kind, book = record["kind"], record["book"]
        if kind == "RUN_STARTED":
            self._start = self._start or state.start_equity
            self._see(self._start)
        elif kind == "MARK":
            self._mark(record, state)
        elif kind == "SESSION_CLOSED" and "equity_u6" in record:
            self._closes.append((record["equity_u6"], state.flows))
            self._see(record["equity_u6"])
            self._block(state).equity_u6 = record["equity_u6"]
        elif kind == "RUN_ENDED":
            self._see(record["equity_u6"])
            self._end = record["equity_u6"]
        elif kind == "FILL":
            self._fill(record, state)
        elif kind == "ORDER_SENT":
            self._counts["orders"] += 1
            for span in (self._block(state), self._book(book)):
                span.orders += 1
        elif kind == "VERDICT" and not record["allowed"]:
            for span in (self._block(state), self._book(book)):
                span.refusals += 1
        elif kind == "INTENT" and record["purpose"] == "OPEN":
            for span in (self._block(state), self._book(book)):
                span.entries += 1

    _end: int | None = None

    def _fill(self, record: Record, state: State) -> None:
        self._trades.add(record["trade"])
        worth = sum(state.worth(symbol, qty) for symbol, qty in state.account.items())
        self._exposure = max(self._exposure, worth)
        for span in (self._block(state), self._book(record["book"])):
            span.fills += 1
            span.fees_u6 += record["fee_u6"]
        self._block(state).max_exposure_u6 = max(self._block(state).max_exposure_u6, worth)
        held = sum(state.worth(symbol, qty) for (book, symbol), qty in state.books.items() if book == record["book"])
        self._book(record["book"]).max_exposure_u6 = max(self._book(record["book"]).max_exposure_u6, held)

    def _mark(self, record: Record, state: State) -> None:
        self._see(record["equity_u6"])
        block = self._block(state)
        block.equity_u6 = record["equity_u6"]
        worth = sum(state.worth(symbol, qty) for symbol, qty in state.account.items())
        block.max_exposure_u6 = max(block.max_exposure_u6, worth)
        self._exposure = max(self._exposure, worth)

    def _see(self, equity: int) -> None:
        self._peak = max(self._peak, equity)
        if self._peak > 0:
            self._drawdown = max(self._drawdown, (self._peak - equity) / self._peak)
        self._last = equity

    _last = 0

    def _block(self, state: State) -> Span:
        """Return the block of the present session minute; the night belongs to the day before it."""
        session = state.session
        if session is not None:
            if self._day != session.day:
                self._minutes_before += self._minutes_today
                self._day, self._minutes_today = session.day, 0
            length = minute_of_session(session, session.close_us)
            self._minutes_today = max(self._minutes_today, min(length, minute_of_session(session, state.now)))
        number = max(0, self._minutes_before + self._minutes_today - 1) // self._block_minutes
        return self._blocks.setdefault(number, Span(f"block {number + 1}"))

    def _book(self, book: str) -> Span:
        return self._books.setdefault(book, Span(book or "account"))

    def summary(self, state: State) -> Summary:
        """Return the figures. Returns are from session close to session close, external flows taken out."""
        closes = [(self._start, 0), *self._closes]
        returns = [
            (after - flows_after + flows_before) / before - 1
            for (before, flows_before), (after, flows_after) in pairwise(closes)
            if before > 0
        ]
        end = self._last if self._end is None else self._end
        mean = fmean(returns) if returns else 0.0
        deviation = stdev(returns) if len(returns) > 1 else 0.0
        return Summary(
            start_equity_u6=self._start,
            end_equity_u6=end,
            fees_u6=state.fees,
            flows_u6=state.flows,
            sessions=len(self._closes),
            trades=len(self._trades),
            orders=self._counts["orders"],
            fills=state.fills,
            max_exposure_u6=self._exposure,
            max_drawdown=self._drawdown,
            total_return=(end - state.flows) / self._start - 1 if self._start > 0 else 0.0,
            mean_return=mean,
            deviation=deviation,
            sharpe=mean / deviation * sqrt(SESSIONS_A_YEAR) if deviation > 0 else None,
            blocks=[self._blocks[number] for number in sorted(self._blocks)],
            books=[self._books[book] for book in sorted(self._books)],
        )


def usd(u6: int | None) -> str:
    return "" if u6 is None else f"{u6 / DOLLAR:,.2f}"
