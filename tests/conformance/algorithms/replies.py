"""Orders sent from inside every hook: order events of all kinds, changes of the universe, delistings, the two ends.

`main.py` answers a confirmed cancel in its own minute: the next price of a ladder leaves from inside the event.
"""

from __future__ import annotations

from AlgorithmImports import *

from collections.abc import Callable

from probe import Probe

BOUGHT = "1125P5990:1 1125P5980:-1"


class Replies(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX")
        self.add_chain(0, 1)
        self._answers: dict[tuple[str, int], Callable[[], None]] = {}
        self._ladder: list[float] = []
        self._working: list[OrderTicket] = []
        self.refuse_here("initialize")
        self.at("11-25 10:00", self.climb)
        for minute in range(1, 8):
            self.at(f"11-25 10:{minute:02}", self.cancel_working)
        self.at("11-25 10:20", lambda: self.send("filled, answered by a market order", 99.0, self.close_at_market))
        self.at("11-25 10:25", lambda: self.send("filled, answered by a limit", 99.0, self.close_by_limit))
        self.at("11-25 10:30", lambda: self.send("at once", 0.05, self.close_by_limit), self.cancel_working)
        self.at("11-25 10:35", self.too_much)
        self.at("11-25 10:40", self.both_ways)
        self.on_tick("11-25 10:45", lambda: self.send("from a schedule", 99.0, self.close_at_market))
        self.on_tick("11-25 10:50", self.climb)
        for minute in (51, 52, 53):
            self.on_tick(f"11-25 10:{minute}", self.cancel_working)
        self.at("11-25 11:00", self.account)
        self.at("11-25 16:10", lambda: self.order_note("kept", self.market_order(self.contract("1125C5950"), 1)))

    # --------------------------------------------------------------------------------------------------------- orders

    def climb(self) -> None:
        """Offer less than anybody takes, and more with each cancel that is confirmed."""
        self._ladder = [99.0, 0.15, 0.1, 0.05]
        self.next_price()

    def next_price(self) -> None:
        if self._ladder:
            limit = self._ladder.pop()
            self.send(f"offer {limit}", limit, self.account)
            self._answers["offer", int(OrderStatus.CANCELED)] = self.next_price

    def send(self, what: str, limit: float, answer: Callable[[], None]) -> None:
        kind = what.split()[0]
        self._answers[kind, int(OrderStatus.FILLED)] = answer
        self._working = list(self.combo_limit_order(self.legs(BOUGHT), 1, limit, tag=what))
        self.order_note(what, self._working)

    def cancel_working(self) -> None:
        if self._working and self._working[-1].status == OrderStatus.SUBMITTED:
            self.note("cancel", bool(self._working[-1].cancel().is_success))

    def close_at_market(self) -> None:
        self.order_note("closing", self.combo_market_order(self.legs(BOUGHT), -1, tag="closing at market"))

    def close_by_limit(self) -> None:
        self.order_note("closing", self.combo_limit_order(self.legs(BOUGHT), -1, 0.05, tag="closing by limit"))

    def too_much(self) -> None:
        self._answers["far", int(OrderStatus.INVALID)] = self.smaller
        self.order_note("too much", self.market_order(self._watched["SPY"], 100_000, tag="far too much"))

    def smaller(self) -> None:
        self.order_note("smaller", self.market_order(self._watched["SPY"], 10, tag="smaller"))

    def both_ways(self) -> None:
        """Sell from inside the event of the purchase."""
        self._answers["bought", int(OrderStatus.FILLED)] = self.sell_again
        self._answers["bought", int(OrderStatus.SUBMITTED)] = self.account
        self.order_note("bought", self.market_order(self._watched["SPY"], 20, tag="bought"))

    def sell_again(self) -> None:
        self.order_note("sold", self.market_order(self._watched["SPY"], -20, tag="sold"))

    def refuse_here(self, where: str) -> None:
        """Send a share order that may be refused, and note the answer."""
        try:
            self.order_note(where, self.market_order(self._watched["SPY"], 1, tag=where))
        except Exception:  # noqa: BLE001 - LEAN raises .NET exceptions of many types
            self.note(where, "raises")

    # ---------------------------------------------------------------------------------------------------------- hooks

    def on_order_event(self, order_event: OrderEvent) -> None:
        super().on_order_event(order_event)
        order = self.transactions.get_order_by_id(order_event.order_id)
        tag = str(order.tag or "").split()
        # The last leg's event stands for the group.
        group = order.group_order_manager
        if tag and (group is None or order.id == max(group.order_ids)):
            answer = self._answers.pop((tag[0], int(order_event.status)), None)
            if answer is not None:
                self.note("answer", tag[0], int(order_event.status))
                answer()

    def on_warmup_finished(self) -> None:
        self.refuse_here("on_warmup_finished")

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.refuse_here("on_securities_changed")

    def on_delistings(self, delistings: Delistings) -> None:
        self.refuse_here("on_delistings")

    def on_end_of_algorithm(self) -> None:
        self.refuse_here("on_end_of_algorithm")
        super().on_end_of_algorithm()
