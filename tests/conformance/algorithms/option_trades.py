"""Contracts that trade as well as quote: what is in the chain, what a contract's price is, and what fills an order.

Parameter fill = on asks LEAN to fill forward.
"""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe

NAMES = ("P5990", "P5980", "C6010")
DAY = "1202"


class OptionTrades(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        fill = self.get_parameter("fill", "off") == "on"
        # An index that is not filled forward under options that are: LEAN would subscribe to it twice.
        self.add_index("SPX", Resolution.MINUTE, fill_forward=fill)
        option = self.add_index_option("SPX", "SPXW", Resolution.MINUTE, fill_forward=fill)
        option.set_filter(lambda universe: universe.include_weeklys().expiration(0, 1).strikes(-60, 60))
        self._canonical = option.symbol
        self.on_tick("12-02 06:31", self.interest)
        self.at("12-02 09:31", self.interest)
        self.at("12-02 10:00", self.order_all, self.account, self.interest)
        self.at("12-02 10:42", self.order_all)
        self.at("12-02 10:44", self.account, self.order_all)
        self.at("12-02 10:52", self.account)
        self.on_tick("12-02 16:20", self.account)

    def order_all(self) -> None:
        for name in NAMES:
            self.order_note(name, self.market_order(self.contract(DAY + name), 1, tag=name))
            self.order_note(name, self.limit_order(self.contract(DAY + name), 1, 99.0, tag=f"limit {name}"))

    def interest(self) -> None:
        for name in NAMES:
            security = self.securities[self.contract(DAY + name)]
            self.note("interest", name, float(security.volume), float(security.price))

    def seen(self, data: Slice) -> None:
        if f"{self.time:%m-%d}" != "12-02" or not ("10:37" <= f"{self.time:%H:%M}" <= "10:53"):
            return
        chain = data.option_chains.get(self._canonical)
        for name in NAMES:
            symbol = self.contract(DAY + name)
            contract = None if chain is None else chain.contracts.get(symbol)
            if contract is None:
                self.note("not in the chain", name)
            else:
                self.note("chain", name, float(contract.bid_price), float(contract.ask_price), float(contract.volume),
                          float(contract.last_price), float(contract.open_interest))  # fmt: skip
            security = self.securities[symbol]
            last = security.get_last_data()
            self.note("security", name, float(security.price), float(security.bid_price), float(security.ask_price),
                      float(security.close), float(security.volume), type(last).__name__, last.end_time)  # fmt: skip
            bar = data.bars.get(symbol)
            if bar is not None:
                self.note("bar", name, float(bar.open), float(bar.high), float(bar.low), float(bar.close),
                          float(bar.volume), bool(bar.is_fill_forward))  # fmt: skip
            if data.quote_bars.get(symbol) is None:
                self.note("no quote", name)
