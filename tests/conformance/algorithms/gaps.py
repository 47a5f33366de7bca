"""Orders where data is missing: a side, a contract, the whole chain, the index; at the first and after the last bar."""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

VERTICAL = "1126P5980:-1 1126P5970:1"
WITH_GAP = "1126P5990:-1 1126P5980:1"
WITHOUT_BID = "1126P5970:-1 1126P5960:1"
WITHOUT_BID_SOLD = "1126P5970:1 1126P5960:-1"
WITHOUT_ASK = "1126C6030:1 1126C6040:-1"
WITHOUT_ASK_BOUGHT = "1126C6030:-1 1126C6040:1"


class Gaps(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX", "VIX")
        self.add_chain(0, 0)
        self._working: list[OrderTicket] = []
        self.on_tick("11-26 09:29", lambda: self.all_kinds("before the open", VERTICAL))
        self.on_tick("11-26 09:30", lambda: self.all_kinds("at the open", VERTICAL))
        self.at("11-26 09:31", lambda: self.all_kinds("first bar", VERTICAL), self.account)
        self.at("11-26 09:33", self.account)
        for number, legs in enumerate((WITHOUT_BID, WITHOUT_BID_SOLD, WITHOUT_ASK, WITHOUT_ASK_BOUGHT)):
            self.at(f"11-26 10:1{number}", lambda legs=legs: self.all_kinds("one side", legs), self.account)
        for contract in ("1126P5960", "1126C6040"):
            for quantity in (1, -1):
                self.at("11-26 10:20", lambda contract=contract, quantity=quantity: self.single(contract, quantity))
        self.at("11-26 10:22", self.account, self.cancel_all)
        for minute in ("10:41", "10:43"):
            self.at(f"11-26 {minute}", lambda: self.all_kinds("one contract", WITH_GAP))
            self.at(f"11-26 {minute}", lambda: self.single("1126P5990", 1))
        self.on_tick("11-26 10:45", lambda: self.all_kinds("one contract, schedule", WITH_GAP))
        self.at("11-26 10:48", self.account)
        self.at("11-26 10:52", self.account, self.cancel_all)
        self.at("11-26 11:02", lambda: self.all_kinds("no index", VERTICAL), lambda: self.single("1126C6010", 1))
        self.at("11-26 11:06", self.account)
        self.on_tick("11-26 11:09", lambda: self.all_kinds("before the chain is gone", VERTICAL))
        for minute in ("11:10", "11:11", "11:12", "11:13", "11:14"):
            self.at(f"11-26 {minute}", lambda: self.all_kinds("no chain", VERTICAL))
            self.at(f"11-26 {minute}", lambda: self.single("1126C6010", 1))
        self.on_tick("11-26 11:13", lambda: self.all_kinds("no chain, schedule", VERTICAL))
        self.at("11-26 11:17", self.account, self.cancel_all)
        self.on_tick("11-26 15:58", lambda: self.all_kinds("last minutes", VERTICAL))
        self.on_tick("11-26 16:00", lambda: self.all_kinds("after its last bar", VERTICAL))
        self.at("11-26 16:01", lambda: self.all_kinds("after its last bar, data", VERTICAL), self.account)
        self.on_tick("11-26 16:14", lambda: self.all_kinds("one minute left", VERTICAL))
        self.on_tick("11-26 16:20", self.account)

    def all_kinds(self, what: str, legs: str) -> None:
        self.note("now", what)
        properties = OrderProperties()
        properties.time_in_force = TimeInForce.DAY
        self.order_note("combo market", self.combo_market_order(self.legs(legs), 1, tag=what))
        tickets = self.combo_limit_order(self.legs(legs), 1, 9.0, tag=f"{what} up", order_properties=properties)
        self.order_note("combo limit", tickets)
        self._working.append(tickets[-1])
        inverse = [Leg.create(leg.symbol, -leg.quantity) for leg in self.legs(legs)]
        tickets = self.combo_limit_order(inverse, -1, 0.05, tag=f"{what} down", order_properties=properties)
        self.order_note("combo limit", tickets)
        self._working.append(tickets[-1])

    def single(self, contract: str, quantity: int) -> None:
        symbol = self.contract(contract)
        self.order_note("market", self.market_order(symbol, quantity, tag="single market"))
        price = 99.0 if quantity > 0 else 0.05
        self._working.append(self.limit_order(symbol, quantity, price, tag="single limit"))
        self.order_note("limit", self._working[-1])

    def cancel_all(self) -> None:
        for ticket in self._working:
            if ticket.status == OrderStatus.SUBMITTED:
                self.note("cancel", int(ticket.order_id), bool(ticket.cancel().is_success))
        self._working.clear()
