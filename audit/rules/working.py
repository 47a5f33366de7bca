"""AU-18 to AU-23: how orders are worked: limit, clock, number, deadline, replacement."""

from __future__ import annotations

from collections import deque
from typing import Any

from audit.contracts import contract
from audit.entities import Order
from audit.limits import LAST_SEND_S, OVERDUE_S
from audit.rules.base import Needs, Record, Rule
from audit.times import MINUTE, SECOND
from audit.words import DOUBTFUL


class WithinLimit(Rule):
    """The limit is the net cash of one unit: what a sale brings at least (+), what a purchase costs at most (-)."""

    id = "AU-18"
    title = "no fill is worse than the limit of its order, a combo by the net of its group"

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        assert fill is not None
        order = fill.order
        if order is None or order.limit_u6 is None:
            return
        if len(order.legs) == 1:
            net, units = (-record["price_u6"] if record["qty"] > 0 else record["price_u6"]), 1
            slack = 0
        else:
            units = order.filled_units
            if not units or not order.is_balanced:
                return
            net = order.cash_u6
            slack = sum(abs(qty) for qty in order.filled.values())
        self.judge(order.book)
        if net < order.limit_u6 * units - slack:
            self.hit(
                f"{order.id} filled at {net / units / 1e6:.4f} net, its limit is {order.limit_u6 / 1e6:.4f}",
                book=order.book, symbol=record["symbol"], value=net // units, bound=order.limit_u6,
                exposure=(order.limit_u6 * units - net) * record["mult"],
            )  # fmt: skip


class SendingTime(Rule):
    id = "AU-19"
    title = f"orders leave in open market up to {LAST_SEND_S} s before the close; options by limit, whole"
    needs = Needs.EACH_BOOK

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is None:
            return
        self.judge(order.book)
        session, now = self.state.session, self.state.now
        where: dict[str, Any] = {"book": order.book}
        if session is None or not session.open_us <= now <= session.close_us - LAST_SEND_S * SECOND:
            self.hit(f"{order.id} was sent while the market was closed or about to close", **where)
        options = [symbol for symbol in order.legs if contract(symbol).is_option]
        if order.type == "MARKET_ON_OPEN":
            self.hit(f"{order.id} is a market-on-open order", **where)
        if options and order.type not in ("LIMIT", "COMBO_LIMIT"):
            self.hit(f"{order.id} trades options by {order.type}", symbol=options[0], **where)
        intent = self.state.intents.get(order.intent)
        if intent is not None and options and order.purpose not in ("REPAIR", "FLATTEN"):
            planned = sum(1 for symbol in intent.legs if contract(symbol).is_option)
            if len(options) < planned:
                self.hit(f"{order.id} sends {len(options)} of {planned} legs alone", symbol=options[0], **where)


class Children(Rule):
    id = "AU-20"
    title = "an intent has at most 8 orders"
    needs = Needs.EACH_BOOK

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        intent = None if order is None else self.state.intents.get(order.intent)
        if order is None or intent is None:
            return
        self.judge(order.book)
        bound = self.limits.children
        if self.state.is_family_close(order):
            bound = min(bound, self.limits.family_close_children)
        if intent.sent > bound:
            self.hit(f"{intent.id} has {intent.sent} orders", book=order.book, value=intent.sent, bound=bound)


class OrderRate(Rule):
    id = "AU-21"
    title = "at most 20 orders leave in 60 seconds"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._sent: deque[int] = deque()

    def on_order_sent(self, record: Record) -> None:
        self.judge()
        now, sent = self.state.now, self._sent
        sent.append(now)
        while sent[0] <= now - MINUTE:
            sent.popleft()
        bound = self.limits.orders_per_min
        if len(sent) > bound:
            self.hit(f"{len(sent)} orders left within 60 s", value=len(sent), bound=bound)


class Overdue(Rule):
    id = "AU-22"
    title = f"no order works {OVERDUE_S} s past its deadline"
    needs = Needs.EACH_BOOK

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is None or order.sent_seq != record["seq"]:
            return
        self.judge(order.book)
        due = max(order.deadline_us, order.sent_us) + OVERDUE_S * SECOND
        self.state.deadlines.at(due, lambda at: self._look(order, at), excused=True)

    def _look(self, order: Order, at: int) -> None:
        if not order.is_final and order.outcome != DOUBTFUL:
            text = f"{order.id} still works {OVERDUE_S} s after its deadline"
            self.hold(order.id, True, text, book=order.book, at=at)

    def on_order_outcome(self, record: Record) -> None:
        self.hold(record["order"], False)


class Replaced(Rule):
    id = "AU-23"
    title = "no order replaces another before that one's end is confirmed"
    needs = Needs.EACH_BOOK

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is None:
            return
        self.judge(order.book)
        for other in self.state.working.values():
            if other.intent == order.intent and other.id != order.id:
                self.hit(f"{order.id} was sent while {other.id} of the same intent had not ended", book=order.book)


RULES = (WithinLimit, SendingTime, Children, OrderRate, Overdue, Replaced)
