"""AU-35 to AU-37: fills against the quotes of their minute, splits, expiries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from audit.contracts import contract
from audit.entities import Mark
from audit.exchange_days import Session, session_on
from audit.limits import DOLLAR, MARK_GAP_S
from audit.rules.base import Needs, Record, Rule
from audit.times import MINUTE, SECOND, at_exchange, day_of

_HALF_DOLLAR = DOLLAR // 2


@dataclass(slots=True)
class _Waiting:
    """A fill that the mark before it could not confirm; it waits for the mark after it."""

    record: Record
    exec_us: int
    seq: int
    at: int
    bounds: tuple[int, int] | None


class NearQuotes(Rule):
    id = "AU-35"
    title = "a fill lies in the range of its minute, give or take 1 % (options 20 % or $0.50)"
    needs = Needs.EACH_BOOK

    def start(self) -> None:
        self._waiting: list[_Waiting] = []
        self._books: set[str] = set()

    def on_fill(self, record: Record) -> None:
        self._books.add(record["book"])
        if record["source"] == "RECOVERED":
            return  # its price comes from the broker's books, perhaps of minutes ago
        fill = self.state.fill
        assert fill is not None
        bounds = None
        marked = self.state.marked
        if marked is not None and fill.exec_us - marked.us <= MARK_GAP_S * SECOND:
            bounds = _bounds(marked, record["symbol"])
        if bounds is not None and bounds[0] <= record["price_u6"] <= bounds[1]:
            self.evaluations += 1
            return
        self._waiting.append(_Waiting(record, fill.exec_us, record["seq"], self.state.now, bounds))

    def on_mark(self, record: Record) -> None:
        if not self._waiting:
            return
        marked = self.state.marked
        assert marked is not None
        left: list[_Waiting] = []
        for waiting in self._waiting:
            if waiting.exec_us > marked.us:
                left.append(waiting)
            else:
                self._decide(waiting, _bounds(marked, waiting.record["symbol"]))
        self._waiting = left

    def on_end(self) -> None:
        for waiting in self._waiting:
            self._decide(waiting, None)
        if self.state.marked is not None:  # a symbol that came and went between two marks has no range to lie in
            self.judged |= self._books

    def _decide(self, waiting: _Waiting, after: tuple[int, int] | None) -> None:
        """Outside both ranges is a violation; without any range nothing can be said."""
        ranges = [bounds for bounds in (waiting.bounds, after) if bounds is not None]
        if not ranges:
            return
        record = waiting.record
        self.evaluations += 1
        price = record["price_u6"]
        if not any(low <= price <= high for low, high in ranges):
            low, high = ranges[-1]
            self.hit(
                f"{record['fill']} at {price / DOLLAR:.4f} lies outside {low / DOLLAR:.4f} to {high / DOLLAR:.4f}",
                book=record["book"], symbol=record["symbol"], value=price, bound=high if price > high else low,
                exposure=record["qty"] * price * record["mult"], seq=waiting.seq, at=waiting.at,
            )  # fmt: skip


def _bounds(marked: Mark, symbol: str) -> tuple[int, int] | None:
    """Return the widened range of a symbol's minute, None where the mark has no price of it."""
    row = marked.px.get(symbol)
    if row is None:
        return None
    bid, ask, last, low, high = row
    top = high or ask or last
    if not top:
        return None
    if contract(symbol).is_option:
        return low - max(low // 5, _HALF_DOLLAR), top + max(top // 5, _HALF_DOLLAR)
    bottom = low or bid or last or top
    return bottom - bottom // 100, top + top // 100


class Splits(Rule):
    id = "AU-36"
    title = "a split leaves whole shares at the broker as in the books, and cash for the rest"

    def start(self) -> None:
        self._split: set[str] = set()
        self._owed: dict[str, int] = {}
        self._price: dict[str, int] = {}

    def on_split(self, record: Record) -> None:
        symbol, num, den = record["symbol"], record["num"], record["den"]
        self.judge(record["book"])
        if num == den:
            self.hit(f"SPLIT of {symbol} {num}:{den} changes nothing", symbol=symbol)
        before = self.state.before
        if not before:
            return
        self._split.add(symbol)
        if abs(before) * num % den:
            self._owed[symbol] = self.state.now
        if self.state.price.get(symbol):
            self._price[symbol] = self.state.price[symbol]

    def on_cash_flow(self, record: Record) -> None:
        if record["type"] == "CASH_IN_LIEU":
            self._owed.clear()

    def on_broker_statement(self, record: Record) -> None:
        if not self._split:
            return
        theirs = {row["symbol"]: row["qty"] for row in record["holdings"]}
        for symbol in self._split:
            ours = self.state.account.get(symbol, 0)
            if theirs.get(symbol, 0) != ours:
                self.hit(
                    f"after the split the broker holds {theirs.get(symbol, 0)} {symbol}, the books {ours}",
                    symbol=symbol, value=ours, bound=theirs.get(symbol, 0), exposure=self.state.worth(symbol, ours),
                )  # fmt: skip
        self._split.clear()

    def on_mark(self, record: Record) -> None:
        for symbol in [symbol for symbol in self._price if symbol in record["px"]]:
            expected, found = self._price.pop(symbol), self.state.price.get(symbol, 0)
            if found and not 0.55 < found / expected < 1.8:
                self.hit(
                    f"after the split {symbol} is at {found / DOLLAR:.2f}, expected about {expected / DOLLAR:.2f}",
                    symbol=symbol, value=found, bound=expected,
                )  # fmt: skip

    def on_session_closed(self, record: Record) -> None:
        for symbol in list(self._owed):
            del self._owed[symbol]
            self.hit(f"the split of {symbol} left a fraction of a share and no CASH_IN_LIEU came", symbol=symbol)


class Expiries(Rule):
    id = "AU-37"
    title = "every option that expires is recorded, at its intrinsic value"

    def on_expiry(self, record: Record) -> None:
        book, symbol, qty = record["book"], record["symbol"], record["qty"]
        self.judge(book)
        state, item, before = self.state, contract(symbol), self.state.before
        where: dict[str, Any] = {"book": book, "symbol": symbol}
        if before * qty >= 0 or abs(qty) > abs(before):
            self.hit(
                f"EXPIRY of {qty} {symbol} while {book or 'the account'} held {before}",
                value=qty,
                bound=-before,
                **where,
            )
        if not item.is_option:
            self.hit(f"EXPIRY of {symbol}, which is no option", **where)
            return
        session = session_on(item.expiry)
        ends = session.close_us if session is not None else at_exchange(item.expiry, 16)
        early = record["result"] in ("EXERCISED", "ASSIGNED")
        if state.now < ends and not early:
            self.hit(f"EXPIRY of {symbol} before it expired", **where)
        worth, cash = item.intrinsic_u6(record["price_u6"]), record["cash_u6"]
        mult = state.mults.get(symbol, 100)
        if early:
            expected = -record.get("deliver_qty", 0) * item.strike_u6
        else:
            expected = -qty * worth * mult
        if abs(cash - expected) > abs(qty) * mult:
            self.hit(
                f"EXPIRY of {symbol} brings {cash}, its intrinsic value is {expected}",
                value=cash, bound=expected, exposure=cash - expected, **where,
            )  # fmt: skip
        if (record["result"] == "WORTHLESS" and (worth or cash)) or (record["result"] == "CASH" and not worth):
            self.hit(f"EXPIRY of {symbol} is called {record['result']} at intrinsic value {worth}", **where)
        for held in [key for key in self._late if key[1] == symbol]:
            if held not in state.books:
                self._late.discard(held)
                self.hold(held, False)

    def start(self) -> None:
        self._late: set[tuple[str, str]] = set()

    def on_day(self, session: Session) -> None:
        """Half an hour after the open nothing of an earlier day may be left."""
        if any(contract(symbol).expiry < session.day for symbol in self.state.account):
            due = session.open_us + 30 * MINUTE
            self.state.deadlines.at(due, partial(self._look, session.day), excused=True)

    def _look(self, day: date, at: int) -> None:
        for key, qty in self.state.books.items():
            book, symbol = key
            if contract(symbol).expiry < day:
                self._late.add(key)
                self.hold(key, True, f"{qty} {symbol} expired and no EXPIRY is recorded", book=book, symbol=symbol,
                          value=qty, exposure=self.state.worth(symbol, qty), at=at)  # fmt: skip

    def on_end(self) -> None:
        ended = self.state.ended
        if ended is None:
            return
        today = day_of(self.state.now)
        for (book, symbol), qty in self.state.books.items():
            if contract(symbol).expiry < today and (book, symbol) not in self._late:
                self.hit(f"{qty} {symbol} expired and no EXPIRY is recorded", book=book, symbol=symbol, value=qty)


RULES = (NearQuotes, Splits, Expiries)
