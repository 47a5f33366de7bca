"""Combo orders: signs, the bar they fill on, atomic fills, updates and cancels of a group, time in force, refusals.

Expectations that are odd stay as LEAN has them: an updated limit fills in the same minute on the bar that had ended
before; a fresh one never does; q = -1 with a positive limit fills at other prices than q = +1 with a negative one.
"""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

VERTICAL = "1125P5990:-1 1125P5980:1"
CONDOR = "1125P5980:1 1125P5990:-1 1125C6010:-1 1125C6020:1"
INVERSE = "1125P5980:-1 1125P5990:1 1125C6010:1 1125C6020:-1"
LATER = "1126P5980:1 1126P5970:-1"


class Combos(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX")
        self.add_chain(0, 1)
        self._tickets: list[OrderTicket] = []
        self.at("11-25 10:00", lambda: self.limit("sold with q<0", INVERSE_OF_VERTICAL, -1, 1.0), self.account)
        self.at("11-25 10:05", lambda: self.limit("sold with q>0", VERTICAL, 1, -1.0))
        self.at("11-25 10:10", lambda: self.limit("wrong sign", VERTICAL, 1, 1.0))
        self.on_tick("11-25 10:12", lambda: self.limit("from a schedule", INVERSE_OF_VERTICAL, -1, 1.0))
        self.at("11-25 10:15", lambda: self.limit("waits", INVERSE_OF_VERTICAL, -1, 9.0))
        self.at("11-25 10:20", lambda: self.update(1.0))
        self.at("11-25 10:25", lambda: self.limit("to cancel", INVERSE_OF_VERTICAL, -1, 9.0))
        self.at("11-25 10:27", self.cancel)
        self.at("11-25 10:30", lambda: self.limit("to replace", INVERSE_OF_VERTICAL, -1, 9.0))
        self.at("11-25 10:32", self.cancel, lambda: self.limit("replaced", INVERSE_OF_VERTICAL, -1, 1.0))
        self.on_tick("11-25 10:36", lambda: self.limit("to update in a schedule", INVERSE_OF_VERTICAL, -1, 9.0))
        self.on_tick("11-25 10:38", lambda: self.update(1.0))
        self.at("11-25 10:40", lambda: self.limit("two condors", INVERSE, -2, 2.0))
        self.at("11-25 10:45", lambda: self.limit("closed by debit", INVERSE, 2, 30.0), self.account)
        self.at("11-25 10:50", lambda: self.market("condor at market", CONDOR, 1))
        self.at("11-25 10:52", lambda: self.market("condor closed at market", INVERSE, 1), self.account)
        self.at("11-25 11:00", self.leg_limits)
        self.at("11-25 11:05", self.refusals)
        self.at("11-25 11:10", lambda: self.limit("quantity 0", VERTICAL, 0, 1.0))
        self.at("11-25 11:12", lambda: self.limit("one leg", "1125P5990:-1", 1, -1.0))
        self.at("11-25 11:15", lambda: self.limit("to scale", INVERSE_OF_VERTICAL, -1, 9.0))
        self.at("11-25 11:17", self.scale, lambda: self.update(1.0))
        self.at("11-25 11:20", lambda: self.limit("DAY", INVERSE_OF_VERTICAL, -1, 9.0, TimeInForce.DAY))
        self.at("11-25 11:21", lambda: self.limit("rests", INVERSE_OF_VERTICAL, -1, 9.0))
        self.at("11-25 11:22", lambda: self.limit("rests overnight", LATER, 1, 9.9))
        self.at("11-25 11:30", lambda: self.limit("off the tick", INVERSE_OF_VERTICAL, -1, 1.23))
        self.at("11-25 11:35", self.single_legs)
        self.at("11-25 11:38", self.single_changes)
        self.at("11-25 11:45", lambda: self.limit("thirty", INVERSE_OF_VERTICAL, -30, 0.05), self.account)
        self.at("11-25 11:50", lambda: self.limit("closed thirty", INVERSE_OF_VERTICAL, 30, 9.95), self.account)
        for minute in ("15:59", "16:00", "16:05", "16:14"):
            self.at(f"11-25 {minute}", lambda: self.limit("late limit", INVERSE_OF_VERTICAL, -1, 0.05))
            self.at(f"11-25 {minute}", lambda: self.market("late market", VERTICAL, 1))
        self.at("11-25 16:15", self.account, lambda: self.market("at the end", VERTICAL, 1))
        self.on_tick("11-25 16:16", lambda: self.market("after the end", VERTICAL, 1), self.account)
        self.on_tick("11-26 00:30", self.account)
        self.on_tick("11-26 01:30", self.account)
        self.at("11-26 09:31", self.account)

    def limit(self, what: str, legs: str, quantity: int, limit: float, force: TimeInForce | None = None) -> None:
        properties = OrderProperties()
        properties.time_in_force = force or TimeInForce.GOOD_TIL_CANCELED
        tickets = self.combo_limit_order(self.legs(legs), quantity, limit, tag=what, order_properties=properties)
        self._tickets = list(tickets)
        self.order_note(what, self._tickets)

    def market(self, what: str, legs: str, quantity: int) -> None:
        self.order_note(what, self.combo_market_order(self.legs(legs), quantity, tag=what))

    def update(self, limit: float) -> None:
        response = self._tickets[-1].update_limit_price(limit)
        self.note("update", bool(response.is_success))

    def scale(self) -> None:
        response = self._tickets[0].update_quantity(3 * self._tickets[0].quantity)
        self.note("scale", bool(response.is_success))

    def cancel(self) -> None:
        response = self._tickets[-1].cancel()
        self.note("cancel", bool(response.is_success))
        self.order_note("cancel", self._tickets)

    def leg_limits(self) -> None:
        legs = [
            Leg.create(self.contract("1125P5990"), -1, 0.05),
            Leg.create(self.contract("1125P5980"), 1, 99.0),
        ]
        self.order_note("leg limits", self.combo_leg_limit_order(legs, 1))

    def refusals(self) -> None:
        self.refused("limit 0", lambda: self.combo_limit_order(self.legs(VERTICAL), 1, 0))
        self.refused("ratios 2", lambda: self.combo_limit_order(self.legs("1125P5990:-2 1125P5980:2"), 1, 1.0))
        self.refused("no legs", lambda: self.combo_limit_order([], 1, 1.0))

    def single_legs(self) -> None:
        put, call = self.contract("1125P5980"), self.contract("1125C6030")
        self.order_note("market order", self.market_order(put, 2))
        self.order_note("limit order", self.limit_order(call, -1, 0.05))
        self._single = self.limit_order(call, 1, 0.05)
        self.order_note("resting limit", self._single)

    def single_changes(self) -> None:
        fields = UpdateOrderFields()
        fields.limit_price = 99.0
        fields.tag = "raised"
        self.note("update of one", bool(self._single.update(fields).is_success))
        self.order_note("sold again", self.market_order(self.contract("1125P5980"), -2))
        self.account()


INVERSE_OF_VERTICAL = "1125P5990:1 1125P5980:-1"
