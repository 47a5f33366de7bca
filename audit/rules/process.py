"""AU-60 to AU-66: was the run whole: strategies asked, trades moved on, marks written, sessions recorded."""

from __future__ import annotations

from collections import deque
from datetime import date, timedelta
from typing import ClassVar

from audit.clock import next_step_after
from audit.contracts import contract
from audit.entities import Trade
from audit.exchange_days import (
    Session,
    after_open_time,
    is_last_of_week,
    ordinal_in_month,
    session_after,
    session_before,
    session_on,
    sessions,
)
from audit.findings import Severity
from audit.limits import FAMILY_BOOK, MARK_GAP_S
from audit.rules.base import Needs, Record, Rule
from audit.times import MINUTE, SECOND, at_exchange, day_of, micros
from audit.trade_table import TABLE
from audit.words import OPENING

_DEADLINE_GRACE = 2 * MINUTE


def is_entry_session(book: str, day: date) -> bool:
    """Tell whether a strategy looks for an entry in this session."""
    if book == FAMILY_BOOK:
        return True
    if book == "friday_0dte":
        return is_last_of_week(day)
    if book == "lt112":
        return any(_kept_on(date(day.year, day.month, number)) == day for number in range(1, 8) if
                   date(day.year, day.month, number).weekday() == 2)  # fmt: skip
    if book == "ipmcc":
        return ordinal_in_month(day) <= 3
    if book == "futures_strangle":
        return _kept_on(day - timedelta(days=(day.weekday() - 3) % 7)) == day
    return book == "leap_ladder" and ordinal_in_month(day) == 1


def _kept_on(day: date) -> date:
    """Return the session on which a weekday rule is kept: that day, or the next session."""
    return day if session_on(day) is not None else session_after(day).day


class Asked(Rule):
    id = "AU-60"
    title = "a strategy whose entry session it is leaves an entry or a refusal"

    def start(self) -> None:
        self._heard: set[str] = set()
        self._whole = False

    def on_run_started(self, record: Record) -> None:
        self._whole = False  # until its next session begins, the process may have missed a window

    def on_session_opened(self, record: Record) -> None:
        self._heard.clear()
        session = self.state.session
        self._whole = session is not None and self.state.now <= session.open_us + 30 * MINUTE

    def on_intent(self, record: Record) -> None:
        if record["purpose"] in OPENING:
            self._heard.add(record["book"])

    def on_verdict(self, record: Record) -> None:
        if not record["allowed"]:
            self._heard.add(record["book"])

    def on_signal(self, record: Record) -> None:
        self._heard.add(FAMILY_BOOK)

    def on_session_closed(self, record: Record) -> None:
        session = self.state.session
        if not self._whole or session is None:
            return
        for book in self.limits.books():
            if not is_entry_session(book, session.day) or not self._has_window(book, session):
                continue
            self.judge(book)
            if book not in self._heard:
                self.hit(f"{book} left no entry and no refusal on {session.day}", book=book)

    def _has_window(self, book: str, session: Session) -> bool:
        """On a half day a window may lie behind the close."""
        text = str(self.limits.settings.get(f"{book}.entry_start_et", ""))
        if len(text) != 5 or text[2] != ":" or not (text[:2] + text[3:]).isdigit():
            return True
        return at_exchange(session.day, int(text[:2]), int(text[3:])) < session.close_us


class TradeMachine(Rule):
    id = "AU-61"
    title = "every trade follows the table of states and meets its deadlines"
    needs = Needs.EACH_BOOK

    def on_trade_state(self, record: Record) -> None:
        book, name = record["book"], record["trade"]
        self.judge(book)
        before, after, trigger = record["from"], record["to"], record["trigger"]
        trade = self.state.trades.get(name)
        if trade is None:
            self.hit(f"{name} changes its state and has no INTENT", book=book)
            return
        self.hold(trade.id, False)
        if self.state.before != before:
            self.hit(f"{name} goes from {before}, it is {self.state.before}", book=book)
        if after not in TABLE.get((before, trigger), frozenset()):
            self.hit(f"{name}: {trigger} does not lead from {before} to {after}", book=book)
        if trade.is_over and trade.held:
            self.hit(f"{name} is {after} while it holds {', '.join(trade.held)}", book=book,
                     exposure=sum(self.state.worth(symbol, qty) for symbol, qty in trade.held.items()))  # fmt: skip
        if trade.deadline_us >= 0 and not trade.is_over:
            self._watch(trade)

    def on_trade_closed(self, record: Record) -> None:
        trade = self.state.trades.get(record["trade"])
        if trade is not None and trade.state != "CLOSED":
            self.hit(f"{trade.id} has its result while it is {trade.state}", book=trade.book)

    def _watch(self, trade: Trade) -> None:
        deadline = trade.deadline_us
        due = next_step_after(deadline) + _DEADLINE_GRACE
        self.state.deadlines.at(due, lambda at: self._look(trade, deadline, at), excused=True)

    def _look(self, trade: Trade, deadline: int, at: int) -> None:
        if trade.deadline_us == deadline and not trade.is_over:
            self.hold(trade.id, True, f"{trade.id} is {trade.state} past its deadline", book=trade.book, at=at,
                      value=at, bound=deadline)  # fmt: skip

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        trade = None if order is None else self.state.trades.get(order.trade)
        if trade is not None and trade.is_over:
            self.hit(f"{record['order']} was sent for {trade.id}, which is {trade.state}", book=trade.book)

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        if fill is not None and fill.trade is not None and fill.trade.is_over:
            self.hit(f"{record['fill']} is booked on {fill.trade.id}, which is {fill.trade.state}",
                     book=record["book"], symbol=record["symbol"])  # fmt: skip


class BreaksLock(Rule):
    id = "AU-62"
    title = "a break locks its symbol, and does not stay open for more than a session"

    def on_break(self, record: Record) -> None:
        self.judge()
        symbol = record["symbol"]
        if record["status"] == "OPEN":
            if symbol not in record["locked"]:
                self.hit(f"the break of {symbol} does not lock it", symbol=symbol)
            if record["book_qty"] == record["broker_qty"]:
                self.hit(f"the break of {symbol} names no difference", symbol=symbol)
        else:
            self.hold(symbol, False)

    def on_session_closed(self, record: Record) -> None:
        session = self.state.session
        if session is None or not self.state.breaks:
            return
        limit = session_before(session.day).close_us
        for symbol, (since, _) in self.state.breaks.items():
            self.hold(symbol, since < limit, f"the break of {symbol} is open for more than a session",
                      severity=Severity.WARNING, symbol=symbol)  # fmt: skip


class Marked(Rule):
    id = "AU-63"
    title = "whatever is held in open market is marked every 5 minutes"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._armed = False
        self._base = 0

    def on_run_started(self, record: Record) -> None:
        self._base = self.state.now
        self._arm()

    def on_fill(self, record: Record) -> None:
        if not self._armed:
            self._base = self.state.now
            self._arm()

    def on_split(self, record: Record) -> None:
        self._arm()

    def on_expiry(self, record: Record) -> None:
        self._arm()

    def on_mark(self, record: Record) -> None:
        self.evaluations += 1
        self._base = self.state.now
        if self._missing:
            self._missing = False
            self.hold("marks", False)
        if not self._armed:
            self._arm()

    _missing = False

    def _arm(self) -> None:
        if not self._armed and self._held():
            self._armed = True
            base = max(self._base, self.state.now)
            self.state.deadlines.at(after_open_time(base, MARK_GAP_S * SECOND), self._look, excused=True)

    def _held(self) -> list[str]:
        today = self.state.day
        return [symbol for symbol in self.state.account if contract(symbol).expiry >= today]

    def _look(self, at: int) -> None:
        self._armed = False
        day = day_of(at)
        held = [symbol for symbol in self.state.account if contract(symbol).expiry >= day]
        self.judge()  # what was held for less than this needs no mark, and that is an answer as well
        if not held:
            return
        due = after_open_time(self._base, MARK_GAP_S * SECOND)
        if due <= at:
            state = self.state
            self._missing = True
            text = f"{len(held)} symbols are held and nothing was marked for {MARK_GAP_S} s"
            exposure = sum(state.worth(symbol, qty) for symbol, qty in state.account.items())
            self.hold("marks", True, text, symbol=held[0], value=len(held), exposure=exposure, at=at)
            due = after_open_time(at, MARK_GAP_S * SECOND)
        self._armed = True
        self.state.deadlines.at(due, self._look, excused=True)


class SignalLives(Rule):
    """Any hundred ready bars in a row count, so that what moved in the morning does not hide that it stood still since;
    a signal that never was ready in a whole session is as dead.  Of a detector the ledger says only what the run-time
    report says.
    """

    id = "AU-64"
    title = "the signal moves: over 100 ready bars in a row its probability has a deviation of at least 0.001"
    severity = Severity.WARNING

    BARS = 100
    DEVIATION_E6 = 1_000
    DEAD: ClassVar[dict[str, str]] = {"DETECTOR_DEAD": "a detector is dead", "SIGNAL_DEAD": "the signal is dead"}

    def start(self) -> None:
        self._day = ""
        self._begin()

    def on_session_opened(self, record: Record) -> None:
        """A restart opens its session once more; the signal goes on from the session's bars."""
        if record["date"] != self._day:
            self._day = record["date"]
            self._begin()

    def _begin(self) -> None:
        self._values: deque[int] = deque()
        self._sum = self._squares = self._bars = 0

    def on_signal(self, record: Record) -> None:
        self._bars += 1
        if record["state"] != "READY" or "p_e6" not in record:
            return
        value, values = record["p_e6"], self._values
        values.append(value)
        self._sum += value
        self._squares += value * value
        if len(values) < self.BARS:
            return
        if len(values) > self.BARS:
            gone = values.popleft()
            self._sum -= gone
            self._squares -= gone * gone
        self.judge(FAMILY_BOOK)
        count = self.BARS
        # n² times the variance, in whole numbers: no rounding builds up over the bars.
        still = count * self._squares - self._sum * self._sum < (count * self.DEVIATION_E6) ** 2
        if still or self.findings.is_held(self.id, "still"):
            self.hold("still", still, f"the signal stood still at {self._sum / count / 1e6:.4f} for {count} ready bars",
                      book=FAMILY_BOOK, bound=self.DEVIATION_E6)  # fmt: skip

    def on_session_closed(self, record: Record) -> None:
        if self._bars >= self.BARS and not self._values:
            self.judge(FAMILY_BOOK)
            self.hit(f"the signal was ready in none of {self._bars} bars", book=FAMILY_BOOK, value=self._bars)
        self.hold("still", False)
        self._begin()

    def on_alert(self, record: Record) -> None:
        if record["code"] in self.DEAD:
            self.judge(FAMILY_BOOK)
            self.hit(f"{self.DEAD[record['code']]}: {record['text']}", book=record["book"])


class SeenByBoth(Rule):
    id = "AU-65"
    title = "the run-time monitor and the auditor saw the same breaches of principles P1 to P5"

    WATCHED: ClassVar[dict[str, tuple[str, ...]]] = {
        "P1": ("AU-40",),
        "P2": ("AU-41", "AU-42"),
        "P3": ("AU-43",),
        "P4": ("AU-44",),
        "P5": ("AU-45",),
    }
    SLACK = 3 * MINUTE

    def start(self) -> None:
        self._breaches: list[tuple[str, int, int]] = []

    def on_breach(self, record: Record) -> None:
        self.judge()
        self._breaches.append((record["principle"][:2], self.state.now, record["seq"]))

    def on_summary(self) -> None:
        """Compare, once every interval has its end."""
        for principle, rules in self.WATCHED.items():
            seen = [(found.from_us, found.to_us, found) for rule in rules for found in self.findings.of(rule)]
            recorded = [(us, seq) for name, us, seq in self._breaches if name == principle]
            for first, last, found in seen:
                if not any(first - self.SLACK <= us <= last + self.SLACK for us, _ in recorded):
                    self.hit(f"{principle}: only the auditor saw the breach ({found.text})", book=found.book,
                             symbol=found.symbol, seq=found.seq, at=found.from_us)  # fmt: skip
            for us, seq in recorded:
                if not any(first - self.SLACK <= us <= last + self.SLACK for first, last, _ in seen):
                    self.hit(f"{principle}: only the run-time monitor saw the breach", seq=seq, at=us)


class EverySession(Rule):
    id = "AU-66"
    title = "every exchange day of the run has its records, with the exchange's own open and close"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._opened: set[date] = set()
        self._closed: set[date] = set()
        self._resumed = False

    def on_run_started(self, record: Record) -> None:
        self._resumed = True

    def on_session_opened(self, record: Record) -> None:
        self._take(record, self._opened)
        self._resumed = False

    def on_session_closed(self, record: Record) -> None:
        self._take(record, self._closed)
        if self.state.now < micros(record["close_time"]):
            self.hit(f"SESSION_CLOSED of {record['date']} stands before the close")

    def _take(self, record: Record, seen: set[date]) -> None:
        self.judge()
        day = date.fromisoformat(record["date"])
        if day in seen and not self._resumed:
            self.hit(f"{record['kind']} of {day} stands twice")
        seen.add(day)
        session = session_on(day)
        if session is None:
            self.hit(f"{record['kind']} of {day}, on which the exchange is closed")
            return
        given = (micros(record["open_time"]), micros(record["close_time"]), record["half_day"])
        if given != (session.open_us, session.close_us, session.half_day):
            self.hit(f"{record['kind']} of {day}: open, close or half day are not the exchange's",
                     value=given[1], bound=session.close_us)  # fmt: skip
        if day_of(self.state.now) != day:
            self.hit(f"{record['kind']} of {day} is written on {day_of(self.state.now)}")

    def on_end(self) -> None:
        header, ended = self.state.header, self.state.ended
        if header is None:
            return
        first, last = date.fromisoformat(header["start"]), date.fromisoformat(header["end"])
        completed = ended is not None and ended["reason"] == "COMPLETED"
        for session in sessions(first, last):
            if not completed and session.close_us >= self.state.now:
                break
            for name, seen in (("SESSION_OPENED", self._opened), ("SESSION_CLOSED", self._closed)):
                if session.day not in seen:
                    self.hit(f"{session.day} has no {name}", at=session.open_us)
        for day in sorted(self._opened | self._closed):
            if not first <= day <= last:
                self.hit(f"session {day} lies outside the run, {first} to {last}")


RULES = (Asked, TradeMachine, BreaksLock, Marked, SignalLives, SeenByBoth, EverySession)
