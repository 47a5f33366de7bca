"""The books at one moment of the replay, and the profit until then, computed in two ways."""

from __future__ import annotations

from dataclasses import dataclass

from audit.schema import Record
from audit.state import State
from audit.times import micros


@dataclass(frozen=True, slots=True)
class Held:
    """One position with the last price that the ledger knows of it."""

    book: str
    symbol: str
    qty: int
    price_u6: int
    value_u6: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Books, cash, equity and working orders; profit by the last mark, and by the flows of cash plus what is held."""

    seq: int
    time_us: int
    cash_u6: int
    equity_u6: int
    fees_u6: int
    positions: tuple[Held, ...]
    orders: tuple[str, ...]
    pnl_by_mark_u6: int
    pnl_by_cash_u6: int


class Moment:
    """Listens to a replay and keeps its state at a line or time; None is the end."""

    def __init__(self, at: int | tuple[int] | None) -> None:
        """at: a line's number, or (microseconds,)."""
        self._at = at
        self._kept: Snapshot | None = None
        self.state: State | None = None

    def __call__(self, record: Record, state: State) -> None:
        self.state = state
        at = self._at
        if at is not None and (record["seq"] == at if isinstance(at, int) else state.now <= at[0]):
            self._kept = take_snapshot(state)

    @property
    def snapshot(self) -> Snapshot | None:
        """Return what was kept, None where no record lies at that moment."""
        if self._at is None:
            return None if self.state is None else take_snapshot(self.state)
        return self._kept


def take_snapshot(state: State) -> Snapshot:
    positions = []
    worth = 0
    for (book, symbol), qty in sorted(state.books.items()):
        price, mult = state.price.get(symbol, 0), state.mults.get(symbol, 1)
        positions.append(Held(book, symbol, qty, price, qty * price * mult))
        worth += qty * price * mult
    equity = state.equity
    start = state.start_equity + state.flows
    return Snapshot(
        seq=state.seq,
        time_us=state.now,
        cash_u6=state.cash,
        equity_u6=equity,
        fees_u6=state.fees,
        positions=tuple(positions),
        orders=tuple(state.working),
        pnl_by_mark_u6=equity - start,
        pnl_by_cash_u6=state.cash + worth - start,
    )


def parse_moment(text: str) -> int | tuple[int]:
    """Return a line's number, or (microseconds,) for a UTC time. Raises ValueError."""
    if text.isdigit():
        return int(text)
    padded = text if text.endswith("Z") else text + "Z"
    for form in (padded, padded[:-1] + ".000000Z", padded[:-1] + ":00.000000Z"):
        try:
            return (micros(form),)
        except ValueError:
            continue
    raise ValueError(f"{text!r}: expected a line's number or a UTC time like 2025-11-28T18:00:00")
