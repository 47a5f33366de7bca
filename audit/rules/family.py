"""AU-40 to AU-49: the six principles of the ETF family, and how its orders may come."""

from __future__ import annotations

from abc import ABC, abstractmethod

from audit.entities import Order
from audit.exchange_days import Session, minute_of_session, session_after
from audit.findings import Severity
from audit.limits import (
    BLOCK_MINUTES,
    CLOSED_CHECK_S,
    DOLLAR,
    FAMILY_BOOK,
    INVERSE_SIDE,
    LATE_MINUTES,
    LEVERAGE,
    LONG_SIDE,
    OPENING_MINUTES,
    UTILISATION,
)
from audit.rules.base import Needs, Record, Rule
from audit.state import State
from audit.times import MINUTE, SECOND
from audit.words import OPENING


def family_exposure(state: State) -> int:
    return sum(state.worth(symbol, qty) for symbol, qty in state.family.items())


def side_of(symbol: str) -> str:
    return "LONG" if symbol in LONG_SIDE else "INVERSE" if symbol in INVERSE_SIDE else ""


def open_symbol(order: Order) -> str:
    return next(symbol for symbol in order.legs if symbol in LEVERAGE)


class CashNotNegative(Rule):
    id = "AU-40"
    title = "P1: account cash is never below -$1.00"
    needs = Needs.ACCOUNT

    def on_fill(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is None or order.is_balanced:  # between the legs of one combo cash is not yet what it will be
            self._look()

    def on_expiry(self, record: Record) -> None:
        self._look()

    def on_cash_flow(self, record: Record) -> None:
        self._look()

    def on_broker_statement(self, record: Record) -> None:
        self._look()

    def _look(self) -> None:
        self.judge()
        cash = self.state.cash
        below = cash < -DOLLAR
        if below or self.findings.is_held(self.id, "cash"):
            self.hold("cash", below, f"account cash is {cash / DOLLAR:.2f}", value=cash, bound=-DOLLAR, exposure=cash)


class _Sides(Rule, ABC):
    """Looks at the symbols that are held or may still be opened, by side."""

    needs = Needs.FAMILY_BOOK

    def on_fill(self, record: Record) -> None:
        if record["symbol"] in LEVERAGE:
            self._look()

    def on_expiry(self, record: Record) -> None:
        if record.get("deliver_symbol") in LEVERAGE:
            self._look()

    def on_order_sent(self, record: Record) -> None:
        self._of_order(record)

    def on_order_outcome(self, record: Record) -> None:
        self._of_order(record)

    def _of_order(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is not None and any(symbol in LEVERAGE for symbol in order.legs):
            self._look()

    def _look(self) -> None:
        self.judge(FAMILY_BOOK)
        state = self.state
        symbols = {symbol for symbol, qty in state.family.items() if qty}
        for order in state.working.values():
            if order.purpose in OPENING:
                symbols.update(symbol for symbol in order.legs if symbol in LEVERAGE)
        longs, inverses = symbols & LONG_SIDE.keys(), symbols & INVERSE_SIDE.keys()
        self.decide(longs, inverses)

    @abstractmethod
    def decide(self, longs: set[str], inverses: set[str]) -> None:
        """Judge the symbols of both sides."""


class NoOpposites(_Sides):
    id = "AU-41"
    title = "P2: long and inverse shares are never held together, a working open counted as held"

    def decide(self, longs: set[str], inverses: set[str]) -> None:
        text = f"{', '.join(sorted(longs))} and {', '.join(sorted(inverses))} together"
        self.hold("sides", bool(longs and inverses), text, book=FAMILY_BOOK, value=len(longs | inverses), bound=1,
                  exposure=family_exposure(self.state))  # fmt: skip


class OneOfASide(_Sides):
    id = "AU-42"
    title = "P2: only one symbol of a side is held"
    severity = Severity.WARNING

    def decide(self, longs: set[str], inverses: set[str]) -> None:
        for side, symbols in (("LONG", longs), ("INVERSE", inverses)):
            self.hold(side, len(symbols) > 1, f"{', '.join(sorted(symbols))} together", book=FAMILY_BOOK,
                      value=len(symbols), bound=1, exposure=family_exposure(self.state))  # fmt: skip


class OneOpenPerBar(Rule):
    id = "AU-43"
    title = "P3: at most one family open is sent, and one first filled, in a minute"
    needs = Needs.FAMILY_BOOK

    def start(self) -> None:
        self._sent: dict[int, set[str]] = {}
        self._filled: dict[int, set[str]] = {}
        self._seen: set[str] = set()

    def on_day(self, session: Session) -> None:
        self.start()

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is not None and self.state.is_family_open(order):
            self._count(self._sent, self.state.now, order, "sent")

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        assert fill is not None
        order = fill.order
        if order is None or order.intent in self._seen or not self.state.is_family_open(order):
            return
        self._seen.add(order.intent)
        self._count(self._filled, fill.exec_us, order, "first filled")

    def _count(self, bars: dict[int, set[str]], us: int, order: Order, how: str) -> None:
        self.judge(FAMILY_BOOK)
        bar = (us - 1) // MINUTE
        opens = bars.setdefault(bar, set())
        opens.add(order.intent)
        if len(opens) > 1:
            self.hit(f"{len(opens)} family opens were {how} in one minute", book=FAMILY_BOOK, value=len(opens), bound=1,
                     symbol=open_symbol(order), exposure=family_exposure(self.state))  # fmt: skip


class NoShorts(Rule):
    id = "AU-44"
    title = "P4: no family quantity is below zero"
    needs = Needs.FAMILY_BOOK

    def on_fill(self, record: Record) -> None:
        symbol = record["symbol"]
        if symbol in LEVERAGE:
            self.judge(FAMILY_BOOK)
            qty = self.state.family.get(symbol, 0)
            self.hold(symbol, qty < 0, f"{qty} {symbol} held", book=record["book"], symbol=symbol, value=qty,
                      exposure=self.state.worth(symbol, qty))  # fmt: skip


class FlatOvernight(Rule):
    id = "AU-45"
    title = f"P5: from {CLOSED_CHECK_S} s after the close to the next open nothing is held or at work"
    needs = Needs.FAMILY_BOOK

    def start(self) -> None:
        self._closed = False

    def on_day(self, session: Session) -> None:
        due = session.close_us + CLOSED_CHECK_S * SECOND
        self.state.deadlines.at(due, lambda at: self._close(session, at))

    def _close(self, session: Session, at: int) -> None:
        self._closed = True
        self._look(at)
        self.state.deadlines.at(session_after(session.day).open_us, self._open)

    def _open(self, at: int) -> None:
        self._closed = False
        for key in (*LEVERAGE, "orders"):
            self.hold(key, False, at=at)

    def on_fill(self, record: Record) -> None:
        if self._closed:
            self._look(self.state.now)

    def on_order_sent(self, record: Record) -> None:
        if self._closed:
            self._look(self.state.now)

    def on_order_outcome(self, record: Record) -> None:
        if self._closed:
            self._look(self.state.now)

    def _look(self, at: int) -> None:
        self.judge(FAMILY_BOOK)
        state = self.state
        for symbol in LEVERAGE:
            qty = state.family.get(symbol, 0)
            self.hold(symbol, qty != 0, f"{qty} {symbol} held overnight", book=FAMILY_BOOK, symbol=symbol, value=qty,
                      exposure=state.worth(symbol, qty), at=at)  # fmt: skip
        working = [order for order in state.working.values() if any(symbol in LEVERAGE for symbol in order.legs)]
        self.hold("orders", bool(working), f"{len(working)} family orders work overnight", book=FAMILY_BOOK,
                  value=len(working), at=at)  # fmt: skip

    def on_end(self) -> None:
        session, state = self.state.session, self.state
        closed = session is None or not session.open_us <= state.now <= session.close_us
        if state.ended is not None and closed and not self._closed:
            self._look(state.now)


class Utilisation(Rule):
    id = "AU-46"
    title = f"P6: while the target is not CASH, on average {UTILISATION:.0%} of the sleeve is held"
    severity = Severity.WARNING

    MINUTES = 30

    def start(self) -> None:
        self._waiting: tuple[int, float] | None = None
        self._ratios: list[float] = []
        self._scale = 1.0
        self._bounded = False

    def on_size(self, record: Record) -> None:
        """Another bound than the sleeve's own (TARGET) may be the smallest: then less is held for a good reason."""
        if record["book"] == FAMILY_BOOK:
            bounds = record["bounds"]
            self._bounded = "TARGET" in bounds and min(bounds.values()) < bounds["TARGET"]

    def on_verdict(self, record: Record) -> None:
        if record["book"] != FAMILY_BOOK:
            return
        if not record["allowed"]:
            if self._waiting is not None and self._waiting[0] == self.state.now:
                self._waiting = None
            return
        intent = self.state.intents.get(record.get("intent", ""))
        if intent is not None and intent.adds_risk:
            self._scale = record["scale_e6"] / 1e6

    def on_signal(self, record: Record) -> None:
        self._settle()
        state, target = self.state, record["target"]
        session = state.session
        if session is None or target == "CASH" or self._bounded:
            return
        if not session.open_us < state.now < session.close_us - LATE_MINUTES * MINUTE:
            return
        weight = self.limits.number(f"etf_rotation.weight_{LEVERAGE[target]}x_fraction", 1.0)
        full = weight * self._scale * self.limits.sleeve * state.equity
        if full > 0:
            self._waiting = (state.now, family_exposure(state) / full)

    def _settle(self) -> None:
        if self._waiting is not None:
            self._ratios.append(self._waiting[1])
            self._waiting = None

    def on_session_closed(self, record: Record) -> None:
        self._settle()
        ratios, self._ratios = self._ratios, []
        if len(ratios) < self.MINUTES:
            return
        self.judge(FAMILY_BOOK)
        mean = sum(ratios) / len(ratios)
        if mean < UTILISATION:
            self.hit(f"{mean:.0%} of the sleeve was held over {len(ratios)} minutes with a target", book=FAMILY_BOOK,
                     value=round(mean * 1e6), bound=round(UTILISATION * 1e6))  # fmt: skip


class _FamilyOpen(Rule, ABC):
    needs = Needs.FAMILY_BOOK

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is not None and self.state.is_family_open(order):
            self.judge(FAMILY_BOOK)
            self.opens(order)

    @abstractmethod
    def opens(self, order: Order) -> None:
        """Judge one opening when it is sent."""

    def hit_open(self, order: Order, text: str, value: int = 0, bound: int = 0) -> None:
        symbol = open_symbol(order)
        self.hit(f"{order.id}: {text}", book=order.book, symbol=symbol, value=value, bound=bound,
                 exposure=self.state.worth(symbol, order.legs[symbol]))  # fmt: skip


class TwoPhases(_FamilyOpen):
    id = "AU-47"
    title = "a family open leaves only when nothing else is held or works, in a later step than the last close fill"

    def start(self) -> None:
        self._closed_at = -1

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        if fill is not None and fill.order is not None and self.state.is_family_close(fill.order):
            self._closed_at = self.state.now

    def opens(self, order: Order) -> None:
        state, symbol = self.state, open_symbol(order)
        held = [other for other, qty in state.family.items() if qty and other != symbol]
        if held:
            self.hit_open(order, f"{', '.join(held)} is still held", value=len(held))
        working = [
            other.id
            for other in state.working.values()
            if other.id != order.id and any(leg in LEVERAGE for leg in other.legs)
        ]
        if working:
            self.hit_open(order, f"{working[0]} still works", value=len(working))
        if self._closed_at == state.now:
            self.hit_open(order, "the last close filled in this very step")


class OpensAsDecided(_FamilyOpen):
    id = "AU-48"
    title = "a family open leaves in REGULAR, after the cooldown, inside the session's cap, on the recorded target"

    def start(self) -> None:
        self._flat: tuple[int, str] | None = None
        self._opens: set[str] = set()

    def on_day(self, session: Session) -> None:
        self.start()

    def on_fill(self, record: Record) -> None:
        fill, symbol = self.state.fill, record["symbol"]
        if fill is not None and symbol in LEVERAGE and record["qty"] < 0 and not self.state.family:
            self._flat = (fill.exec_us, side_of(symbol))

    def opens(self, order: Order) -> None:
        state, symbol, session = self.state, open_symbol(order), self.state.session
        first = OPENING_MINUTES * MINUTE
        late = LATE_MINUTES * MINUTE
        if session is None or not session.open_us + first <= state.now < session.close_us - late:
            self.hit_open(order, "sent outside phase REGULAR")
        elif state.phase not in ("", "REGULAR"):
            self.hit_open(order, f"sent in phase {state.phase}")
        if self._flat is not None and self._flat[1] != side_of(symbol):
            waited = (state.now - self._flat[0]) // MINUTE
            if waited < self.limits.cooldown_bars:
                self.hit_open(order, f"sent {waited} bars after the close fill", waited, self.limits.cooldown_bars)
        self._opens.add(order.intent)
        if len(self._opens) > self.limits.opens_per_session:
            self.hit_open(order, "one open too many", len(self._opens), self.limits.opens_per_session)
        target = None if state.signal is None else state.signal["target"]
        if target != symbol:
            self.hit_open(order, f"the recorded target is {target or 'none'}")


class Churn(Rule):
    id = "AU-49"
    title = "at most 100 family orders (a warning from 50 on) are filled per 480 session minutes"
    needs = Needs.FAMILY_BOOK

    def start(self) -> None:
        self._minutes = 0
        self._session: Session | None = None
        self._block = 0
        self._intents: set[str] = set()

    def on_day(self, session: Session) -> None:
        if self._session is not None:
            self._minutes += minute_of_session(self._session, self._session.close_us)
        self._session = session

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        if record["symbol"] not in LEVERAGE or fill is None or fill.order is None or self._session is None:
            return
        self.judge(FAMILY_BOOK)
        passed = max(0, min(fill.exec_us, self._session.close_us) - self._session.open_us) // MINUTE
        block = (self._minutes + passed) // BLOCK_MINUTES
        if block != self._block:
            self._block, self._intents = block, set()
        self._intents.add(fill.order.intent)
        count = len(self._intents)
        hard, soft = self.limits.block_hard, self.limits.block_soft
        text = f"{count} family orders filled in block {block}"
        if count > hard:
            self.hold(block, True, text, book=FAMILY_BOOK, value=count, bound=hard)
        elif count > soft:
            self.hold(("soft", block), True, text, severity=Severity.WARNING, book=FAMILY_BOOK, value=count, bound=soft)


RULES = (
    CashNotNegative, NoOpposites, OneOfASide, OneOpenPerBar, NoShorts, FlatOvernight, Utilisation, TwoPhases,
    OpensAsDecided, Churn,
)  # fmt: skip
