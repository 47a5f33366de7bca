"""Expiry: worthless and in the money, long and short; on a normal day, before a holiday, on a half day, over a weekend.

Parameter assignment = default keeps LEAN's model that assigns a European short on its last day.
"""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

DAYS = ("1125", "1126", "1127", "1129", "1202", "0416", "0417", "0421", "0307", "0310")
LEGS = ("P5950:-1", "P6050:-2", "P6040:3", "C5950:-1", "C6050:-2", "C5960:3", "P6400:-1")


class ExpiryProbe(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX")
        self.add_chain(0, 0, null_assignment=self.get_parameter("assignment", "null") == "null")
        for day in DAYS:
            date = f"{day[:2]}-{day[2:]}"
            self.at(f"{date} 10:00", lambda day=day: self.open(day))
            self.at(f"{date} 12:59", self.account)
            for minute in ("13:01", "15:30", "16:14", "16:15", "16:16", "23:59"):
                self.on_tick(f"{date} {minute}", self.account, self.visible)
        nights = (
            "11-26",
            "11-27",
            "11-28",
            "11-30",
            "12-03",
            "04-17",
            "04-18",
            "04-22",
            "03-08",
            "03-09",
            "03-10",
            "03-11",
        )
        for date in nights:
            for minute in ("00:00", "00:59", "01:00", "01:01"):
                self.on_tick(f"{date} {minute}", self.account, self.visible)
        for minute in ("01:59", "02:00", "02:30", "03:00"):
            self.on_tick(f"03-09 {minute}", self.account, self.visible)

    def open(self, day: str) -> None:
        for leg in LEGS:
            name, quantity = leg.split(":")
            if not self.is_listed(day + name):
                self.note("not listed", day + name)
                continue
            self.order_note(leg, self.market_order(self.contract(day + name), int(quantity), tag=leg))
        self.account()

    def visible(self) -> None:
        """What can be seen by iterating: from the close until the settlement LEAN hides what expires."""
        held = [self.short(symbol) for symbol, holding in self.portfolio.items() if holding.invested]
        self.note("visible", len(held), "holdings", self.portfolio.total_holdings_value, "profit",
                  self.portfolio.total_unrealized_profit)  # fmt: skip

    def on_assignment_order_event(self, assignment_event: OrderEvent) -> None:
        self.note("assigned", int(assignment_event.order_id), self.short(assignment_event.symbol))

    def on_delistings(self, delistings: Delistings) -> None:
        for symbol in sorted(delistings.keys(), key=lambda symbol: str(symbol.value)):
            delisting = delistings[symbol]
            self.note("delisting", self.short(symbol), int(delisting.type), float(delisting.price))
