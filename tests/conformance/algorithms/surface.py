"""What else of LEAN the algorithm's edge touches: words, order queries, a contract by its id, charts, files.

Parameter seed = on seeds every security with its last known price.
"""

from __future__ import annotations

from AlgorithmImports import *

from pathlib import Path

from probe import Probe

OUTSIDE = "SPXW 32MWD6FSMLUJ2|SPX 31"
"""A put at 5940 of the first day, which the narrow filter leaves out."""
LATER = "SPXW 32MXCMJ5YMXQM|SPX 31"
"""A put at 5950 of the second day."""
FAR = "SPXW YONVBX2UG966|SPX 31"
"""A call at 6200 of December."""


class Surface(Probe):
    def prepare(self) -> None:
        if self.get_parameter("seed", "off") == "on":
            seeder = FuncSecuritySeeder(self.get_last_known_prices)
            self.set_security_initializer(BrokerageModelSecurityInitializer(self.brokerage_model, seeder))
        self.add_shares("SPY")
        self.add_indices("SPX", "VIX")
        self._canonical = self.add_chain(0, 0, 2)
        self._line: Series | None = None
        self.words()
        self.on_tick("11-25 09:00", self.prices)
        self.at("11-25 09:31", self.prices, self.chain)
        for name, text in (("outside", OUTSIDE), ("later", LATER)):
            self.at("11-25 10:00", lambda name=name, text=text: self.restore(name, text))
        self.at("11-25 10:00", self.prices)
        self.at("11-25 10:01", self.prices, self.chain)
        self.at("11-25 10:02", self.trade_the_restored)
        self.at("11-25 10:05", self.queries, self.chart)
        self.at("11-25 10:06", self.cancel_by_tag, self.chart)
        self.at("11-25 10:07", self.queries, self.files)
        self.on_tick("11-25 10:30", lambda: self.restore("far", FAR))
        self.at("11-25 10:30", self.prices)
        self.at("11-25 10:31", self.prices, self.chain)
        for minute in ("16:00", "16:10", "16:15"):
            self.at(f"11-25 {minute}", self.chart, self.account)
        self.on_tick("11-26 00:30", self.account)
        self.on_tick("11-26 01:30", self.prices, self.account)
        self.at("11-26 09:31", self.prices, self.chain, self.account)
        self.at("11-26 11:02", self.chain)
        self.at("11-26 11:12", self.chain)

    def words(self) -> None:
        """The numbers behind the names that the edge compares with."""
        statuses = (OrderStatus.NEW, OrderStatus.SUBMITTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED,
                    OrderStatus.CANCELED, OrderStatus.NONE, OrderStatus.INVALID, OrderStatus.CANCEL_PENDING,
                    OrderStatus.UPDATE_SUBMITTED)  # fmt: skip
        self.note("statuses", *(int(one) for one in statuses))
        types = (OrderType.MARKET, OrderType.LIMIT, OrderType.COMBO_LIMIT, OrderType.COMBO_MARKET,
                 OrderType.MARKET_ON_CLOSE, OrderType.OPTION_EXERCISE)  # fmt: skip
        self.note("types", *(int(one) for one in types))
        kinds = (SecurityType.EQUITY, SecurityType.OPTION, SecurityType.FUTURE_OPTION, SecurityType.INDEX,
                 SecurityType.INDEX_OPTION)  # fmt: skip
        self.note("securities", *(int(one) for one in kinds))
        self.note("rights", int(OptionRight.CALL), int(OptionRight.PUT))
        self.note("mode", bool(self.live_mode), bool(self.is_warming_up), int(SplitType.SPLIT_OCCURRED))

    def prices(self) -> None:
        for symbol in sorted(self.securities.keys(), key=lambda symbol: str(symbol.value)):
            if symbol.is_canonical():
                continue
            security = self.securities[symbol]
            held = self.portfolio[symbol]
            self.note("security", self.short(symbol), float(security.price), float(security.bid_price),
                      float(security.ask_price), bool(security.has_data), bool(security.is_tradable),
                      float(held.quantity), float(held.average_price), security.local_time)  # fmt: skip

    def chain(self) -> None:
        assert self._present is not None
        chain = self._present.option_chains.get(self._canonical)
        if chain is None:
            self.note("chain", "none")
            return
        underlying = chain.underlying
        self.note("chain", len(list(chain)), "underlying", underlying is None,
                  "" if underlying is None else float(underlying.price),
                  "" if underlying is None else str(underlying.end_time))  # fmt: skip
        for contract in sorted(chain, key=lambda one: str(one.symbol.value)):
            self.note("contract", self.short(contract.symbol), float(contract.strike), contract.expiry,
                      int(contract.right), float(contract.bid_price), float(contract.ask_price),
                      float(contract.last_price), float(contract.volume), float(contract.open_interest),
                      float(contract.underlying_last_price))  # fmt: skip

    def restore(self, name: str, text: str) -> None:
        """As after a restart: a contract that no filter wants, known only by its id."""
        symbol = self.symbol(text)
        self.note("known", name, self.short(symbol), bool(self.securities.contains_key(symbol)))
        security = self.add_security(symbol, Resolution.MINUTE, fill_forward=False)
        self._watched[name] = security.symbol
        self.note("added", bool(self.securities.contains_key(symbol)), float(security.price),
                  float(security.symbol_properties.contract_multiplier), str(security.symbol.id))  # fmt: skip

    def trade_the_restored(self) -> None:
        for name in ("outside", "later"):
            self.order_note(name, self.market_order(self._watched[name], 1, tag=name))
            self.order_note(name, self.limit_order(self._watched[name], 1, 0.05, tag=f"rests {name}"))

    def queries(self) -> None:
        working = list(self.transactions.get_open_orders())
        self.note("open", *(f"{order.id}:{order.tag}" for order in sorted(working, key=lambda one: int(one.id))))
        one = self._watched["later"]
        self.note("open of one", *(int(order.id) for order in self.transactions.get_open_orders(one)))
        for ticket in sorted(self.transactions.get_order_tickets(), key=lambda one: int(one.order_id)):
            fees = sum(float(event.order_fee.value.amount) for event in ticket.order_events)
            self.note("ticket", int(ticket.order_id), str(ticket.tag), int(ticket.status), float(ticket.quantity),
                      float(ticket.quantity_filled), float(ticket.average_fill_price), len(list(ticket.order_events)),
                      round(fees, 6))  # fmt: skip
        self.note("holdings", *(f"{self.short(one.symbol)}:{int(one.quantity)}"
                                for one in self.portfolio.values() if one.invested))  # fmt: skip

    def cancel_by_tag(self) -> None:
        for ticket in [one for one in self.transactions.get_order_tickets() if one.tag == "rests later"]:
            response = ticket.cancel()
            self.note("cancel", bool(response.is_success), bool(response.is_error), int(ticket.status))
            self.note("again", bool(ticket.cancel().is_success))

    def chart(self) -> None:
        if self._line is None:
            chart = Chart("Conformance lines")
            self._line = Series("equity", SeriesType.LINE, "%")
            chart.add_series(self._line)
            self.add_chart(chart)
        self._line.add_point(self.utc_time, float(self.portfolio.total_portfolio_value))
        self.plot("Conformance", "value", float(self.portfolio.total_portfolio_value))
        self.plot("Conformance", "spy", float(self.securities[self._watched["SPY"]].price))
        self.set_runtime_statistic("Conformance", f"{self.time:%H:%M} {self.portfolio.cash:.2f}")

    def files(self) -> None:
        store = self.object_store
        self.note("save", bool(store.save("a/b-1", "content\n")))
        path = Path(str(store.get_file_path("a/b-1")))
        self.note("file", path.is_file(), path.read_text(encoding="utf-8").strip())
        self.note("keys", *sorted(str(key) for key in store.keys))

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.note("changed", "+", *(self.short(one.symbol) for one in changes.added_securities),
                  "-", *(self.short(one.symbol) for one in changes.removed_securities))  # fmt: skip

    def on_delistings(self, delistings: Delistings) -> None:
        told = sorted(delistings.values(), key=lambda one: str(one.symbol.value))
        self.note("delistings", *(f"{self.short(one.symbol)}:{int(one.type)}:{float(one.price)}" for one in told))
