"""Splits of both kinds, long, short and with working orders; a cash dividend, long and short."""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe


class Corporate(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY", "QQQ", "TQQQ", "SQQQ")
        self._orders: dict[str, OrderTicket] = {}
        self.at("11-26 10:00", lambda: self.buy_now("TQQQ", -51), lambda: self.buy_now("QQQ", 100))
        self.at("11-26 10:05", self.rest_orders, self.account)
        for moment in ("11-27 00:00", "11-27 00:01", "11-27 09:30", "11-28 12:00", "11-29 00:00", "11-29 00:01"):
            self.on_tick(moment, self.account, self.resting)
        self.at("11-27 09:31", self.account, self.margin)
        self.at("11-27 10:00", lambda: self.buy_now("TQQQ", 2))
        self.at("11-29 09:31", self.account)
        self.at("11-29 10:00", lambda: self.buy_now("QQQ", -150), lambda: self.buy_now("SQQQ", 103))
        self.at("11-29 10:05", self.rest_at_old_price, self.account)
        self.on_tick("12-02 00:00", self.account, self.resting)
        self.at("12-02 09:31", self.account, self.resting)
        self.at("12-02 10:00", lambda: self.order_note("all", self.liquidate()), self.account)
        self.at("12-02 10:02", self.account, self.resting)

    def buy_now(self, ticker: str, quantity: int) -> None:
        self.order_note(ticker, self.market_order(self._watched[ticker], quantity))

    def rest_orders(self) -> None:
        tqqq = self._watched["TQQQ"]
        self._orders["limit"] = self.limit_order(tqqq, 11, 60.0, tag="limit")
        self._orders["odd limit"] = self.limit_order(tqqq, 7, 60.01, tag="odd limit")
        self._orders["stop"] = self.stop_market_order(tqqq, -9, 61.0, tag="stop")
        self._orders["stop limit"] = self.stop_limit_order(tqqq, -9, 61.0, 60.5, tag="stop limit")

    def rest_at_old_price(self) -> None:
        sqqq = self._watched["SQQQ"]
        self._orders["reverse"] = self.limit_order(sqqq, 10, 20.0, tag="reverse")
        self._orders["fraction"] = self.limit_order(sqqq, 3, 20.0, tag="fraction")

    def resting(self) -> None:
        for name, ticket in self._orders.items():
            order = self.transactions.get_order_by_id(ticket.order_id)
            prices = [str(getattr(ticket, "tag", ""))]
            if order.type == OrderType.LIMIT:
                prices.append(f"{float(order.limit_price):.4f}")
            self.note("resting", name, int(ticket.order_id), int(ticket.status), float(order.quantity), *prices)

    def on_splits(self, splits: Splits) -> None:
        for split in splits.values():
            occurred = split.type == SplitType.SPLIT_OCCURRED
            self.note("split", self.short(split.symbol), occurred, float(split.split_factor),
                      float(split.reference_price))  # fmt: skip

    def on_dividends(self, dividends: Dividends) -> None:
        for dividend in dividends.values():
            self.note("dividend", self.short(dividend.symbol), float(dividend.distribution),
                      float(dividend.reference_price))  # fmt: skip
