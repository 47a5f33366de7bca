"""Options on a half day: orders before and after the early close, resting and expiring ones, and the night after."""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

BOUGHT = "1129P6010:1 1129P6000:-1"
SOLD = "1129P6010:-1 1129P6000:1"
LATER = "1202P6010:1 1202P6000:-1"


class HalfDay(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX", "VIX")
        self.add_chain(0, 3)
        self._working: dict[str, OrderTicket] = {}
        self.at("11-29 10:00", lambda: self.limit("filled", BOUGHT, 99.0), self.account, self.margin)
        self.at("11-29 11:00", lambda: self.limit("DAY", BOUGHT, 0.05, TimeInForce.DAY))
        self.at("11-29 11:01", lambda: self.limit("GTC", BOUGHT, 0.05))
        self.at("11-29 11:02", lambda: self.limit("later DAY", LATER, 0.05, TimeInForce.DAY))
        self.at("11-29 11:03", lambda: self.limit("later GTC", LATER, 0.05))
        self.at("11-29 11:04", lambda: self.single("single DAY", TimeInForce.DAY), lambda: self.single("single GTC"))
        for minute in ("12:44", "12:45", "12:59", "13:00"):
            self.at(f"11-29 {minute}", lambda minute=minute: self.market(f"market {minute}", BOUGHT))
            self.at(f"11-29 {minute}", lambda minute=minute: self.limit(f"limit {minute}", SOLD, 0.05, quantity=-1))
        for minute in ("12:59", "13:00", "13:01", "13:14", "13:15", "15:00", "16:00", "16:14"):
            self.on_tick(f"11-29 {minute}", lambda minute=minute: self.market(f"tick {minute}", SOLD), self.account)
            self.on_tick(f"11-29 {minute}", lambda minute=minute: self.limit(f"tick limit {minute}", BOUGHT, 99.0))
        self.on_tick("11-29 13:05", lambda: self.cancel("later GTC"), self.margin)
        self.on_tick("11-29 13:06", lambda: self.cancel("DAY"), lambda: self.cancel("single GTC"))
        for moment in ("11-29 16:20", "11-30 00:30", "11-30 01:30", "12-01 12:00", "12-02 01:30"):
            self.on_tick(moment, self.account, self.margin, self.states)
        self.at("12-02 09:31", self.account, self.margin, self.states)

    def limit(self, what: str, legs: str, price: float, force: TimeInForce | None = None, *, quantity: int = 1) -> None:
        properties = OrderProperties()
        properties.time_in_force = force or TimeInForce.GOOD_TIL_CANCELED
        tickets = self.combo_limit_order(self.legs(legs), quantity, price, tag=what, order_properties=properties)
        self._working[what] = tickets[-1]
        self.order_note(what, tickets)

    def single(self, what: str, force: TimeInForce | None = None) -> None:
        properties = OrderProperties()
        properties.time_in_force = force or TimeInForce.GOOD_TIL_CANCELED
        symbol = self.contract("1129P6000")
        self._working[what] = self.limit_order(symbol, 1, 0.05, tag=what, order_properties=properties)
        self.order_note(what, self._working[what])

    def market(self, what: str, legs: str) -> None:
        self.order_note(what, self.combo_market_order(self.legs(legs), 1, tag=what))

    def cancel(self, what: str) -> None:
        response = self._working[what].cancel()
        self.note("cancel", what, bool(response.is_success), int(response.error_code), int(self._working[what].status))

    def states(self) -> None:
        self.note("states", *(f"{name}:{int(ticket.status)}" for name, ticket in self._working.items()))
