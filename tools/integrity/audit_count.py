"""The second count: by the auditor, from its replay of the ledger.

What breaks a principle is what the auditor's rules find; cash, fees and fills are its own fold.  Only the cutting of
blocks from the end of the run is done here, on its calendar and its state.
"""

from __future__ import annotations

from datetime import date

from audit.exchange_days import minute_of_session, session_on
from audit.schema import Record
from audit.state import State
from audit.times import day_of, micros
from audit.verdict import Judgement, judge_lines
from tools.integrity.broker_count import Count
from tools.integrity.cells import BLOCK_MINUTES


class _Listener:
    """Keeps what the auditor's verdict does not print."""

    def __init__(self) -> None:
        self.lowest = 0
        self.state: State | None = None
        self.begins: dict[date, int] = {}
        self.minutes = 0
        self.filled: list[tuple[int, str]] = []

    def __call__(self, record: Record, state: State) -> None:
        if self.state is None:
            self.state, self.lowest = state, state.cash
        kind = record["kind"]
        if kind == "SESSION_OPENED":
            session = session_on(date.fromisoformat(record["date"]))
            assert session is not None, "AU-66 finds a session that is none"
            self.begins[session.day] = self.minutes
            self.minutes += minute_of_session(session, session.close_us)
        elif kind == "FILL":
            self.lowest = min(self.lowest, state.cash)
            self._fill(record, state)

    def _fill(self, record: Record, state: State) -> None:
        at = micros(record["exec_time"])
        session = session_on(day_of(at))
        assert session is not None, "AU-19 finds an order on a closed day"
        minute = self.begins[session.day] + minute_of_session(session, min(at, session.close_us))
        self.filled.append((minute, state.orders[record["order"]].intent))

    def blocks(self, blocks: int) -> tuple[int, ...]:
        found: list[set[str]] = [set() for _ in range(blocks)]
        for minute, intent in self.filled:
            place = blocks - 1 - (self.minutes - minute) // BLOCK_MINUTES
            if place >= 0:
                found[place].add(intent)
        return tuple(len(intents) for intents in found)


def count_by_auditor(ledger: bytes, blocks: int) -> tuple[Count, Judgement]:
    """Let the auditor judge a ledger and return its count and its verdict."""
    listener = _Listener()
    judgement = judge_lines(ledger.splitlines(keepends=True), listeners=[listener])
    found = {result.id: result.occurrences for result in judgement.results}
    overnight = {day_of(item.from_us) for item in judgement.findings if item.rule == "AU-45"}
    state = listener.state
    assert state is not None, "a run has a ledger"
    count = Count(
        conflicts=found["AU-41"],
        shorts=found["AU-44"],
        overnight=tuple(sorted(overnight)),
        crowded=found["AU-43"],
        lowest_cash_u6=listener.lowest,
        blocks=listener.blocks(blocks),
        fills=state.fills,
        fees_u6=state.fees,
        end_cash_u6=state.cash,
    )
    return count, judgement
