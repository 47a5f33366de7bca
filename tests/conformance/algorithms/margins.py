"""Margin of one structure at a time, by order and by position; what is refused, and with which words."""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

STRUCTURES = {
    "condor equal wings": "1125P5980:1 1125P5990:-1 1125C6010:-1 1125C6020:1",
    "condor wider calls": "1125P5980:1 1125P5990:-1 1125C6010:-1 1125C6050:1",
    "condor wider puts": "1125P5950:1 1125P5990:-1 1125C6010:-1 1125C6020:1",
    "put credit": "1125P5980:1 1125P5990:-1",
    "put debit": "1125P5980:-1 1125P5990:1",
    "call credit": "1125C6010:-1 1125C6020:1",
    "call debit": "1125C6010:1 1125C6020:-1",
    "naked put": "1125P5950:-1",
    "naked call": "1125C6050:-1",
    "naked put in the money": "1125P6400:-1",
    "far naked put": "0321P5400:-1",
    "long put": "0321P5800:1",
    "1-1-2": "0321P5900:1 0321P5800:-1 0321P5700:-2",
    "strangle": "1227P5800:-1 1227C6200:-1",
    "straddle": "1227P6000:-1 1227C6000:-1",
    "long straddle": "1227P6000:1 1227C6000:1",
    "PMCC": "0321C5400:1 1227C6200:-1",
    "put diagonal": "0321P5800:1 1227P5900:-1",
    "calendar": "0321P5800:1 1227P5800:-1",
    "short calendar": "0321P5800:-1 1227P5800:1",
    "butterfly": "1125P5980:1 1125P5990:-2 1125P6000:1",
    "broken wing": "1125P5960:1 1125P5990:-2 1125P6000:1",
    "iron butterfly": "1125P5980:1 1125P6000:-1 1125C6000:-1 1125C6020:1",
    "ratio": "1125P5990:1 1125P5980:-2",
    "ladder": "1125P5990:-1 1125P5980:1 1125P5970:1",
    "box": "1125C5990:1 1125C6010:-1 1125P6010:1 1125P5990:-1",
    "jade lizard": "1125P5980:-1 1125C6010:-1 1125C6020:1",
}
REFUSED = {
    "naked puts": ("1125P5950:-1", 20),
    "far naked puts": ("0321P5700:-1", 30),
    "condors": ("1125P5980:1 1125P5990:-1 1125C6010:-1 1125C6020:1", 3_000),
    "debit": ("0321P5800:1 1227P5800:-1", 1_000),
    "long calls": ("0321C5400:1", 40),
}


class Margins(Probe):
    def prepare(self) -> None:
        self.add_indices("SPX")
        self.add_chain(0, 180)
        minute = 10 * 60
        for name, legs in STRUCTURES.items():
            self.at(f"11-25 {minute // 60}:{minute % 60:02}", lambda name=name, legs=legs: self.trade(name, legs, 1))
            minute += 2
            self.at(f"11-25 {minute // 60}:{minute % 60:02}", lambda name=name, legs=legs: self.trade(name, legs, -1))
            minute += 2
        self.at("11-25 12:00", self.refusals)
        for number, name in enumerate(("condor equal wings", "1-1-2")):
            legs = STRUCTURES[name]
            self.at(f"11-25 13:0{number}", lambda name=name, legs=legs: self.trade(name, legs, 2))
        self.at("11-25 13:05", lambda: self.one("1125P5990", 1))
        self.at("11-25 13:06", lambda: self.one("1125P5990", 2))
        self.at("11-25 13:07", lambda: self.one("0321P5900", -2))
        self.at("11-25 13:10", self.account, self.margin)
        for minute_text in ("13:30", "14:30", "15:30", "16:10"):
            self.at(f"11-25 {minute_text}", self.margin)
        self.on_tick("11-25 16:20", self.margin)
        self.on_tick("11-26 00:30", self.margin)
        self.at("11-26 09:31", self.account, self.margin)

    def trade(self, name: str, legs: str, quantity: int) -> None:
        self.order_note(name, self.combo_market_order(self.legs(legs), quantity))
        self.margin()

    def one(self, contract: str, quantity: int) -> None:
        self.order_note(contract, self.market_order(self.contract(contract), quantity))
        self.margin()

    def refusals(self) -> None:
        for name, (legs, quantity) in REFUSED.items():
            if len(legs.split()) == 1:
                contract, ratio = legs.split(":")
                self.order_note(name, self.market_order(self.contract(contract), int(ratio) * quantity))
            else:
                self.order_note(name, self.combo_market_order(self.legs(legs), quantity))
            self.margin()

    def on_margin_call_warning(self) -> None:
        self.note("margin call warning")
