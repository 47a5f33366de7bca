"""In which order LEAN goes through its open orders: neither by number nor by time.

It keeps them in a hash table of 37 places. Thirty-six orders that are gone again lie between the first that rest and
the last, so that one place is taken twice.
"""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe


class Resting(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY", "TQQQ")
        self.add_indices("SPX")
        self.add_chain(0, 0)
        self.at("11-25 10:00", lambda: self.rest(4), self.come_and_go, lambda: self.rest(4), self.listed)
        self.at("11-26 10:00", self.rest_shares, self.listed)
        self.at("11-26 10:05", lambda: self.order_note("all", self.liquidate(tag="away")), self.listed)
        self.at("11-26 10:10", self.rest_shares, self.listed)
        self.on_tick("11-27 00:01", self.listed)
        self.at("11-27 09:31", self.listed)

    def rest(self, count: int) -> None:
        for number in range(count):
            symbol = self.contract(f"1125P59{4 + number % 2}0")
            self.order_note("rests", self.limit_order(symbol, 1, 0.05, tag=f"rests {number}"))

    def come_and_go(self) -> None:
        for _ in range(36):
            self.market_order(self._watched["SPY"], 1)

    def rest_shares(self) -> None:
        for number in range(6):
            ticker = "TQQQ" if number % 3 else "SPY"
            self.order_note("rests", self.limit_order(self._watched[ticker], 3 + number, 1.0, tag=f"share {number}"))
            for _ in range(5):
                self.market_order(self._watched["SPY"], 1)

    def listed(self) -> None:
        """Note the open orders as LEAN lists them, not in an order of ours."""
        self.note("open", *(int(order.id) for order in self.transactions.get_open_orders()))
        self.note("tickets", *(int(ticket.order_id) for ticket in self.transactions.get_open_order_tickets()))
