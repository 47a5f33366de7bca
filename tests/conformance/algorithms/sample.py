"""Real minutes: LEAN's own sample data, with its gaps, wide quotes, missing days and misnamed files.

Nothing is known of the market beforehand: each step trades what the chain of its minute quotes, in the order of the
symbols.
"""

from __future__ import annotations

from AlgorithmImports import *

from itertools import pairwise

from probe import Probe

HOURS = ("09:31", "09:45", "10:00", "10:30", "11:00", "12:00", "13:00", "14:00", "15:00", "15:30", "16:00", "16:14")


class Sample(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX", "VIX")
        self._canonical = self.add_chain(0, 20)
        self._turn = 0

    def seen(self, data: Slice) -> None:
        clock = f"{self.time:%H:%M}"
        if clock not in HOURS:
            return
        self.prices(data)
        self.trade_shares(clock)
        quoted = self.quoted(data)
        if quoted and clock in ("10:00", "11:00", "13:00", "15:00", "16:14"):
            self.trade_singles(quoted)
            self.trade_combos(quoted)
        self.account()
        self.margin()

    def prices(self, data: Slice) -> None:
        for name in ("SPY", "SPX", "VIX"):
            security = self.securities[self._watched[name]]
            self.note("price", name, float(security.price), float(security.bid_price), float(security.ask_price),
                      float(security.volume), bool(security.has_data))  # fmt: skip
        chain = data.option_chains.get(self._canonical)
        if chain is None:
            self.note("no chain")
            return
        for one in sorted(chain, key=lambda contract: str(contract.symbol.value)):
            security = self.securities[one.symbol]
            self.note("contract", self.short(one.symbol), float(one.bid_price), float(one.ask_price),
                      float(one.last_price), float(one.volume), float(one.open_interest), "security",
                      float(security.price), float(security.bid_price), float(security.ask_price))  # fmt: skip

    def quoted(self, data: Slice) -> list[Symbol]:
        chain = data.option_chains.get(self._canonical)
        found = [] if chain is None else [one.symbol for one in chain if one.bid_price > 0 and one.ask_price > 0]
        return sorted(found, key=lambda symbol: str(symbol.value))

    def trade_shares(self, clock: str) -> None:
        spy = self._watched["SPY"]
        if not self.securities[spy].has_data:
            return
        if clock == "10:00":
            self.order_note("shares", self.market_order(spy, 100))
            self.order_note("shares", self.limit_order(spy, -40, float(self.securities[spy].price) + 0.2))
        elif clock == "11:00":
            self.order_note("shares", self.set_holdings(spy, 0.3))
        elif clock == "15:30":
            self.order_note("shares", self.market_on_close_order(spy, -20))

    def trade_singles(self, quoted: list[Symbol]) -> None:
        self._turn += 1
        symbol = quoted[self._turn % len(quoted)]
        self._watched[self.short(symbol)] = symbol
        quantity = 1 if self._turn % 2 else -1
        self.order_note("single", self.market_order(symbol, quantity))
        middle = round(float(self.securities[symbol].price), 1)
        self.order_note("single", self.limit_order(symbol, -quantity, middle, order_properties=_of_the_day()))

    def trade_combos(self, quoted: list[Symbol]) -> None:
        """Trade a vertical of two neighbours at market, and another one at a limit, sold and bought in turn."""
        alike = [(one, two) for one, two in pairwise(quoted)
                 if one.id.date == two.id.date and one.id.option_right == two.id.option_right]  # fmt: skip
        if not alike:
            return
        for number in (0, 1):
            low, high = alike[(self._turn + number) % len(alike)]
            for symbol in (low, high):
                self._watched[self.short(symbol)] = symbol
            legs = [Leg.create(low, 1), Leg.create(high, -1)]
            if number == 0:
                self.order_note("combo market", self.combo_market_order(legs, 1))
            else:
                side = 1 if self._turn % 2 else -1
                tickets = self.combo_limit_order(legs, side, 30.0 * side, order_properties=_of_the_day())
                self.order_note("combo limit", tickets)

    def on_delistings(self, delistings: Delistings) -> None:
        told = sorted(delistings.values(), key=lambda one: str(one.symbol.value))
        self.note("delistings", *(f"{self.short(one.symbol)}:{int(one.type)}:{float(one.price)}" for one in told))

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.note("changed", "+", *(self.short(one.symbol) for one in changes.added_securities),
                  "-", *(self.short(one.symbol) for one in changes.removed_securities))  # fmt: skip


def _of_the_day() -> OrderProperties:
    """More than nine open orders LEAN goes through in an order that depends on the machine's number of cores."""
    properties = OrderProperties()
    properties.time_in_force = TimeInForce.DAY
    return properties
