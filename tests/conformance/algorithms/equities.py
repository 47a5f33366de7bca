"""Share orders: which bar fills them at which price, near and after the close, on half days, over gaps and a split."""

from __future__ import annotations

from AlgorithmImports import *

from probe import Probe


class Equities(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY", "QQQ", "TQQQ", "SQQQ")
        self._orders: dict[str, OrderTicket] = {}
        self._first_day()
        self._close_of_the_first_day()
        self._gaps_of_the_second_day()
        self._split()
        self._half_day()
        self.at("12-02 09:31", self.account)
        self.at("12-02 15:59", self.sell_all, self.account)

    def _first_day(self) -> None:
        self.on_tick("11-25 09:00", lambda: self.market("before the open", "SPY", 10))
        self.on_tick("11-25 09:30", lambda: self.market("at the open", "SPY", 100))
        self.at("11-25 09:31", lambda: self.market("first bar", "SPY", 100), self.account)
        self.at("11-25 09:32", lambda: self.market("sold short", "QQQ", -50), self.account, self.margin)
        self.on_tick("11-25 09:33", lambda: self.market("covered in a schedule", "QQQ", 50))
        self.at("11-25 10:00", lambda: self.hold("TQQQ", 0.95), self.account, self.margin)
        self.at("11-25 10:05", self.flip, self.account, self.margin)
        self.at("11-25 10:10", self.flip_in_one_call, self.account)
        self.at(
            "11-25 10:12",
            lambda: self.order_note("liquidate", self.liquidate(self._watched["TQQQ"], tag="gone")),
            self.account,
        )
        self.at("11-25 10:15", lambda: self.limit("marketable", "SPY", 10, 999.0))
        self.at("11-25 10:15", lambda: self.limit("resting", "SPY", 10, 1.0))
        self.at("11-25 10:15", lambda: self.limit("sold at once", "SPY", -10, 1.0))
        self.at("11-25 10:20", lambda: self.change("resting", 999.0))
        self.at(
            "11-25 10:25", lambda: self.limit("inside", "SPY", 10, 598.5), lambda: self.limit("off", "SPY", -5, 600.004)
        )
        self.at("11-25 10:30", self.stops)
        self.at("11-25 10:45", lambda: self.limit("to cancel", "SPY", 10, 1.0))
        self.at("11-25 10:46", lambda: self.cancel("to cancel"), lambda: self.cancel("to cancel"))
        self.at("11-25 10:50", lambda: self.market("too many", "SPY", 10_000), lambda: self.market("none", "SPY", 0))
        self.at("11-25 10:55", lambda: self.market("a fraction", "SPY", 1.5))
        self.at("11-25 11:00", lambda: self.hold("SPY", 0.5), self.account)
        self.at("11-25 11:05", lambda: self.hold("SPY", -0.25), self.account, self.margin)
        self.at("11-25 11:10", lambda: self.hold("SPY", 0.0), self.account)
        self.at("11-25 11:15", lambda: self.note("wanted", self.calculate_order_quantity("QQQ", 0.4)))

    def _close_of_the_first_day(self) -> None:
        self.at("11-25 12:00", lambda: self.at_open("at the next open", 20))
        self.at("11-25 12:05", lambda: self.limit("DAY", "SPY", 10, 1.0, day=True))
        self.at("11-25 12:06", lambda: self.limit("GTC", "SPY", 10, 2.0))
        for minute in ("15:40", "15:44", "15:45", "15:50"):
            self.at(f"11-25 {minute}", lambda minute=minute: self.at_close(f"close {minute}", 7))
        for minute in ("15:58", "15:59", "16:00"):
            self.at(f"11-25 {minute}", lambda minute=minute: self.market(f"market {minute}", "SPY", 3), self.account)
        self.on_tick("11-25 15:59", lambda: self.limit("last limit", "SPY", 1, 999.0))
        self.on_tick("11-25 16:00", lambda: self.market("tick 16:00", "SPY", 2))
        self.on_tick("11-25 16:01", lambda: self.market("tick 16:01", "SPY", 2), self.account)
        self.on_tick("11-25 16:05", lambda: self.limit("after hours", "SPY", 1, 999.0))
        self.on_tick("11-25 20:00", lambda: self.cancel("GTC"), self.account)
        self.at("11-26 09:31", self.account)
        self.at("11-26 09:32", self.account)

    def _gaps_of_the_second_day(self) -> None:
        for minute in ("10:20", "10:22", "10:24", "10:26", "10:28"):
            self.on_tick(f"11-26 {minute}", lambda minute=minute: self.market(f"gap {minute}", "SPY", 1))
            self.on_tick(f"11-26 {minute}", lambda minute=minute: self.limit(f"gap limit {minute}", "SPY", 1, 999.0))
        self.on_tick("11-26 10:30", self.account)
        self.at("11-26 15:00", lambda: self.market("to be split", "TQQQ", 101))
        self.at("11-26 15:05", lambda: self.limit("split order", "TQQQ", 11, 10.0), self.account)

    def _split(self) -> None:
        self.on_tick("11-27 00:00", self.account)
        self.at("11-27 09:31", self.account, lambda: self.split_order())
        self.at("11-27 10:00", lambda: self.change("split order", 999.0))
        self.at("11-27 10:05", self.account)

    def _half_day(self) -> None:
        for minute in ("12:40", "12:44", "12:45"):
            self.at(f"11-29 {minute}", lambda minute=minute: self.at_close(f"half {minute}", 5))
        self.at("11-29 12:30", lambda: self.limit("half DAY", "SPY", 10, 1.0, day=True))
        for minute in ("12:59", "13:00"):
            self.at(f"11-29 {minute}", lambda minute=minute: self.market(f"half market {minute}", "SPY", 4))
        self.on_tick("11-29 13:05", lambda: self.market("after the half day", "SPY", 4), self.account)
        self.on_tick("11-29 16:30", self.account)

    # ---------------------------------------------------------------------------------------------------------- steps

    def market(self, what: str, ticker: str, quantity: float) -> None:
        self.order_note(what, self.market_order(self._watched[ticker], quantity, tag=what))

    def limit(self, what: str, ticker: str, quantity: float, price: float, *, day: bool = False) -> None:
        properties = OrderProperties()
        properties.time_in_force = TimeInForce.DAY if day else TimeInForce.GOOD_TIL_CANCELED
        symbol = self._watched[ticker]
        ticket = self.limit_order(symbol, quantity, price, tag=what, order_properties=properties)
        self._orders[what] = ticket
        self.order_note(what, ticket)

    def at_close(self, what: str, quantity: float) -> None:
        self.order_note(what, self.market_on_close_order(self._watched["SPY"], quantity, tag=what))

    def at_open(self, what: str, quantity: float) -> None:
        self.order_note(what, self.market_on_open_order(self._watched["SPY"], quantity, tag=what))

    def change(self, what: str, price: float) -> None:
        response = self._orders[what].update_limit_price(price)
        self.note("update", what, bool(response.is_success), int(response.error_code))

    def cancel(self, what: str) -> None:
        response = self._orders[what].cancel()
        self.note("cancel", what, bool(response.is_success), int(response.error_code))

    def hold(self, ticker: str, share: float) -> None:
        self.order_note(f"hold {ticker} {share}", self.set_holdings(self._watched[ticker], share))

    def flip(self) -> None:
        self.order_note("out", self.liquidate(self._watched["TQQQ"]))
        self.order_note("in", self.set_holdings(self._watched["SQQQ"], 0.95))

    def flip_in_one_call(self) -> None:
        targets = [PortfolioTarget(self._watched["TQQQ"], 0.95), PortfolioTarget(self._watched["SQQQ"], 0.0)]
        self.order_note("both", self.set_holdings(targets, True))

    def stops(self) -> None:
        spy = self._watched["SPY"]
        self.order_note("stop below", self.stop_market_order(spy, -10, 599.5))
        self.order_note("stop above", self.stop_market_order(spy, 10, 601.0))
        self.order_note("stop limit", self.stop_limit_order(spy, -10, 599.5, 599.0))

    def split_order(self) -> None:
        order = self.transactions.get_order_by_id(self._orders["split order"].order_id)
        self.note("order after the split", float(order.quantity), float(order.limit_price), str(order.tag))

    def sell_all(self) -> None:
        self.order_note("all", self.liquidate(tag="the end"))

    def on_splits(self, splits: Splits) -> None:
        for symbol, split in splits.items():
            self.note("split", self.short(symbol), int(split.type), float(split.split_factor),
                      float(split.reference_price))  # fmt: skip
