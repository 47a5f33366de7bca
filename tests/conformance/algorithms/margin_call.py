"""Positions that outgrow the account: the warning, the call, and what LEAN sells of it."""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe


class MarginCall(Probe):
    def prepare(self) -> None:
        self.add_indices("SPX")
        self.add_chain(0, 0)
        self.at("11-25 10:00", lambda: self.trade("1125P5970:1 1125P5980:-1 1125C5990:-1 1125C6040:1"), self.margin)
        for hour in range(10, 16):
            for minute in range(5, 60, 10):
                self.at(f"11-25 {hour}:{minute:02}", self.account, self.margin)
        self.on_tick("11-25 16:20", self.account)

    def trade(self, legs: str) -> None:
        self.order_note("condor", self.combo_market_order(self.legs(legs), int(self.get_parameter("size", "1"))))

    def on_margin_call(self, requests: list[SubmitOrderRequest]) -> list[SubmitOrderRequest]:
        for request in requests:
            self.note("margin call", self.short(request.symbol), float(request.quantity), str(request.tag or ""))
        return requests

    def on_margin_call_warning(self) -> None:
        self.note("margin call warning")
