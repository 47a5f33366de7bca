"""AU-10 to AU-17: intent, verdict, order, fills, outcome belong together, and closings only close."""

from __future__ import annotations

from typing import Any

from audit.entities import Order
from audit.limits import PARTLY_UNBALANCED_S
from audit.rules.base import Needs, Record, Rule
from audit.times import SECOND
from audit.words import CLOSING, DOUBTFUL


class Approved(Rule):
    id = "AU-10"
    title = "every order has an intent whose last verdict allows it, and stays inside it"
    needs = Needs.EACH_BOOK

    def on_order_intent(self, record: Record) -> None:
        self.judge(record["book"])
        order, intent = record["order"], self.state.intents.get(record["intent"])
        where: dict[str, Any] = {"book": record["book"]}
        if intent is None:
            self.hit(f"{order} has no INTENT {record['intent']}", **where)
            return
        if (intent.trade, intent.purpose, intent.book) != (record["trade"], record["purpose"], record["book"]):
            self.hit(f"{order} is not of the trade, purpose and book of {intent.id}", **where)
        if intent.verdict is None:
            self.hit(f"{order}: {intent.id} has no verdict", **where)
        elif not intent.verdict:
            self.hit(f"{order}: the last verdict on {intent.id} refuses it", **where)
        for leg in record["legs"]:
            symbol, qty = leg["symbol"], leg["qty"]
            ratio = intent.legs.get(symbol, 0)
            if ratio * qty <= 0:
                self.hit(f"{order}: {qty} of {symbol} is no leg of {intent.id}", symbol=symbol, **where)
            elif intent.used.get(symbol, 0) > abs(ratio) * intent.qty:
                used, approved = intent.used[symbol], abs(ratio) * intent.qty
                self.hit(
                    f"{order}: orders of {intent.id} take {used} of {symbol}, {approved} are approved",
                    symbol=symbol, value=used, bound=approved, exposure=self.state.worth(symbol, qty), **where,
                )  # fmt: skip


class Sent(Rule):
    id = "AU-11"
    title = "ORDER_INTENT, then ORDER_SENT, then reports and fills"
    needs = Needs.EACH_BOOK

    def on_order_sent(self, record: Record) -> None:
        self.judge(record["book"])
        if record["order"] not in self.state.orders:
            self.hit(f"{record['order']} was sent before its ORDER_INTENT", book=record["book"])

    def on_order_event(self, record: Record) -> None:
        self.judge(record["book"])
        order = self.state.orders.get(record["order"])
        if order is None or order.sent_us < 0:
            self.hit(f"{record['order']} is reported {record['status']} before it was sent", book=record["book"])

    def on_fill(self, record: Record) -> None:
        self.judge(record["book"])
        fill = self.state.fill
        if fill is None or fill.order is None:
            return
        order = fill.order
        if order.sent_us < 0:
            self.hit(f"{record['fill']} is booked before {order.id} was sent", book=record["book"])
        elif fill.exec_us < order.sent_us - SECOND:
            self.hit(
                f"{record['fill']} was executed before {order.id} was sent",
                book=record["book"], value=fill.exec_us, bound=order.sent_us,
            )  # fmt: skip


class FillFits(Rule):
    id = "AU-12"
    title = "a fill belongs to a known order that still lives: leg, sign, trade, book"
    needs = Needs.EACH_BOOK

    def on_fill(self, record: Record) -> None:
        self.judge(record["book"])
        fill, symbol, qty = self.state.fill, record["symbol"], record["qty"]
        assert fill is not None
        where: dict[str, Any] = {"book": record["book"], "symbol": symbol, "exposure": self.state.worth(symbol, qty)}
        order = fill.order
        if order is None:
            self.hit(f"{record['fill']}: order {record['order']} is unknown", **where)
            return
        if (order.trade, order.book) != (record["trade"], record["book"]):
            self.hit(f"{record['fill']} is booked on another trade or book than {order.id}", **where)
        ordered = order.legs.get(symbol, 0)
        if ordered == 0:
            self.hit(f"{record['fill']}: {symbol} is no leg of {order.id}", **where)
        elif ordered * qty < 0:
            self.hit(f"{record['fill']}: {qty} has the wrong sign, {order.id} trades {ordered}", **where)
        if order.is_final and order.outcome != "LOST" and fill.exec_us >= order.ended_us:
            self.hit(f"{record['fill']} was executed after {order.id} had ended {order.outcome}", **where)


class Unique(Rule):
    id = "AU-13"
    title = "no fill and no order id stands twice"
    needs = Needs.EACH_BOOK

    def start(self) -> None:
        self._fills: set[str] = set()

    def on_fill(self, record: Record) -> None:
        self.judge(record["book"])
        if record["fill"] in self._fills:
            self.hit(f"{record['fill']} is booked twice", book=record["book"], symbol=record["symbol"])
        self._fills.add(record["fill"])

    def on_order_intent(self, record: Record) -> None:
        self.judge(record["book"])
        if self.state.before:
            self.hit(f"order id {record['order']} is used twice", book=record["book"])

    def on_order_sent(self, record: Record) -> None:
        if self.state.before:
            self.hit(f"{record['order']} was sent twice", book=record["book"])


class Balanced(Rule):
    id = "AU-14"
    title = f"no order is overfilled; a combo out of balance for {PARTLY_UNBALANCED_S} s is under repair"
    needs = Needs.EACH_BOOK

    def on_fill(self, record: Record) -> None:
        self.judge(record["book"])
        fill, symbol = self.state.fill, record["symbol"]
        assert fill is not None
        order = fill.order
        if order is None:
            return
        filled, ordered = abs(order.filled.get(symbol, 0)), abs(order.legs.get(symbol, 0))
        if filled > ordered > 0:
            self.hit(
                f"{order.id} filled {filled} of {ordered} {symbol}",
                book=order.book, symbol=symbol, value=filled, bound=ordered,
                exposure=self.state.worth(symbol, filled - ordered),
            )  # fmt: skip
        if order.unbalanced_us >= 0:
            if self._since.get(order.id) != order.unbalanced_us:
                since = self._since[order.id] = order.unbalanced_us
                due = since + PARTLY_UNBALANCED_S * SECOND
                self.state.deadlines.at(due, lambda at: self._look(order, since, at), excused=True)
        elif order.id in self._since:
            since = self._since.pop(order.id)
            if fill.exec_us <= since + PARTLY_UNBALANCED_S * SECOND:
                self.findings.withdraw(self.id, order.id)  # the report was late, the leg was not
            else:
                self.hold(order.id, False)

    def start(self) -> None:
        self._since: dict[str, int] = {}

    def _look(self, order: Order, since: int, at: int) -> None:
        trade = self.state.trades.get(order.trade)
        if order.unbalanced_us != since or (trade is not None and trade.repaired_us >= since):
            return
        self.hold(
            order.id, True, f"{order.id} is filled in part of its legs and nothing repairs it", book=order.book, at=at
        )


class Accounted(Rule):
    id = "AU-15"
    title = "filled and left add up to what was ordered; every order ends once"
    needs = Needs.EACH_BOOK

    def on_order_outcome(self, record: Record) -> None:
        self.judge(record["book"])
        order = self.state.orders.get(record["order"])
        where: dict[str, Any] = {"book": record["book"]}
        if order is None:
            self.hit(f"outcome of {record['order']}, which is unknown", **where)
            return
        if self.state.before:
            self.hit(f"{order.id} has a second outcome", **where)
            return
        filled, left = record["filled"], record["left"]
        if filled + left != order.units or filled != order.filled_units:
            self.hit(
                f"{order.id}: {filled} filled and {left} left, {order.units} ordered and {order.filled_units} filled",
                value=filled + left, bound=order.units, **where,
            )  # fmt: skip
        elif record["outcome"] == "FILLED" and left:
            self.hit(f"{order.id} is called FILLED with {left} left", value=left, **where)

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        if fill is None or fill.order is None or not fill.order.is_final or fill.order.outcome == "LOST":
            return
        if fill.exec_us < fill.order.ended_us:
            self.hit(f"{record['fill']} is missing in the outcome of {fill.order.id}", book=record["book"])

    def on_end(self) -> None:
        if self.state.ended is None:
            return
        for order in self.state.orders.values():
            if not order.is_final and order.outcome != DOUBTFUL:
                self.hit(f"{order.id} has no outcome", book=order.book, seq=order.seq, at=order.us)


class OnlyReduces(Rule):
    id = "AU-16"
    title = "a closing order only brings a position nearer to zero"
    needs = Needs.NOTHING

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        assert fill is not None
        if fill.order is None or fill.order.purpose not in CLOSING:
            return
        self.judge(record["book"])
        qty, before = record["qty"], fill.book_before
        if before * qty >= 0 or abs(qty) > abs(before):
            self.hit(
                f"{fill.order.purpose} {fill.order.id} trades {qty} while {record['book']} holds {before}",
                book=record["book"], symbol=record["symbol"], value=qty, bound=-before,
                exposure=self.state.worth(record["symbol"], fill.book_after),
            )  # fmt: skip


class ClosesHeld(Rule):
    id = "AU-17"
    title = "closing orders at work never exceed what is held"

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is None or order.purpose not in CLOSING:
            return
        self.judge(order.book)
        for symbol, qty in order.legs.items():
            working = 0
            for other in self.state.working.values():
                left = other.left(symbol)
                if other.book == order.book and other.purpose in CLOSING and left * qty > 0:
                    working += abs(left)
            held = self.state.books.get((order.book, symbol), 0)
            room = abs(held) if held * qty < 0 else 0
            if working > room:
                self.hit(
                    f"closing orders for {working} of {symbol} work, {held} are held",
                    book=order.book, symbol=symbol, value=working, bound=room,
                    exposure=self.state.worth(symbol, working - room),
                )  # fmt: skip


RULES = (Approved, Sent, FillFits, Unique, Balanced, Accounted, OnlyReduces, ClosesHeld)
