"""Limits and stops that the next bar just reaches, just misses, or passes by the smallest step.

The prices are those of the lab market: at 10:01 the ask of P5980 goes down to 2.45 and its bid up to 2.35, SPY trades
between 599.68 and 599.72; at 10:06 SPY trades between 599.43 and 599.47; at 10:11 the vertical costs 5.20 at best, and
brings 4.85.
"""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

VERTICAL = "1125P5990:1 1125P5980:-1"


class Touch(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX")
        self.add_chain(0, 0)
        self._sent: list[OrderTicket] = []
        self.at("11-25 10:00", self.limits)
        self.at("11-25 10:05", self.stops)
        self.at("11-25 10:10", self.combos)
        for minute in ("10:01", "10:06", "10:11"):
            self.at(f"11-25 {minute}", self.cancel_all, self.account)

    def limits(self) -> None:
        put, spy = self.contract("1125P5980"), self._watched["SPY"]
        for price in (2.4, 2.45, 2.5):
            self._sent.append(self.limit_order(put, 1, price, tag=f"buy {price}"))
        for price in (2.3, 2.35, 2.4):
            self._sent.append(self.limit_order(put, -1, price, tag=f"sell {price}"))
        for cents in range(67, 72):
            self._sent.append(self.limit_order(spy, 10, 599 + cents / 100, tag=f"buy {cents}"))
            self._sent.append(self.limit_order(spy, -10, 599 + (cents + 2) / 100, tag=f"sell {cents + 2}"))

    def stops(self) -> None:
        spy = self._watched["SPY"]
        for cents in range(41, 46):
            self._sent.append(self.stop_market_order(spy, -10, 599 + cents / 100, tag=f"stop below {cents}"))
            self._sent.append(self.stop_market_order(spy, 10, 599 + (cents + 4) / 100, tag=f"stop above {cents + 4}"))
            self._sent.append(self.stop_limit_order(spy, 10, 599.45, 599 + cents / 100, tag=f"stop limit {cents}"))

    def combos(self) -> None:
        for price in (5.15, 5.2, 5.25):
            self._sent.append(self.combo_limit_order(self.legs(VERTICAL), 1, price, tag=f"bought {price}")[0])
        for price in (4.8, 4.85, 4.9):
            self._sent.append(self.combo_limit_order(self.legs(VERTICAL), -1, price, tag=f"sold {price}")[0])

    def cancel_all(self) -> None:
        for ticket in self._sent:
            if ticket.status == OrderStatus.SUBMITTED:
                self.note("left", int(ticket.order_id), bool(ticket.cancel().is_success))
        self._sent.clear()
