"""The edges of an algorithm: parameters, the object store, symbols' texts, statistics, and how each error ends a run.

Parameter fails names where it raises.
"""

from __future__ import annotations

from AlgorithmImports import *

from datetime import datetime

from probe import NOTES, Probe


class Edges(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY", "TQQQ")
        self.add_indices("SPX", "VIX")
        self.add_chain(0, 0, 1)
        self.parameters()
        self.store()
        if self._fails == "initialize":
            raise ValueError("on purpose")
        self.at("11-25 10:00", self.symbols, lambda: self.fail("on_data"))
        self.at("11-25 10:05", lambda: self.order_note("order", self.market_order(self._watched["SPY"], 1)))
        self.at("11-25 10:08", self.times)
        self.at("11-25 10:10", lambda: self.leave("quit"), lambda: self.stop("exit"))
        self.on_tick("11-25 10:07", lambda: self.fail("schedule"))
        self.at("11-25 10:20", self.store_again)

    def parameters(self) -> None:
        self.note("text", self.get_parameter("words"), self.get_parameter("words", "default"))
        self.note("absent", self.get_parameter("absent") is None, self.get_parameter("absent", "default"))
        self.note("int", self.get_parameter("whole", 1), type(self.get_parameter("whole", 1)).__name__)
        self.note("float", self.get_parameter("part", 1.0), type(self.get_parameter("part", 1.0)).__name__)
        self.note("wrong int", self.get_parameter("words", 5), self.get_parameter("part", 5))
        self.note("dots", self.get_parameter("a.b.c"))
        found = {str(item.key): str(item.value) for item in self.get_parameters()}
        self.note("all", *(f"{key}={found[key]}" for key in sorted(found)))
        self.note("dates", self.start_date, self.end_date, self.time, self.utc_time)

    def store(self) -> None:
        store = self.object_store
        for key in ("bulkhead/a-1/ledger-00001", "UPPER", "a b", "deep/er/k", "one.dot"):
            self.note("save", key, bool(store.save(key, f"content of {key}\n")), bool(store.contains_key(key)))
        for key in ("a:b", "x.y.z", "..", "ä"):
            self.refused(f"save {key}", lambda key=key: store.save(key, "x"))
        self.refused("read of nothing", lambda: store.read("nothing"))
        self.note("read", store.read("UPPER"), "bytes", bytes(store.read_bytes("UPPER")).decode())
        self.note("delete", bool(store.delete("one.dot")), bool(store.contains_key("one.dot")))
        self.note("keys", *sorted(str(key) for key in store.keys if str(key) != NOTES))

    def store_again(self) -> None:
        self.object_store.save("UPPER", "later")
        self.note("read", self.object_store.read("UPPER"))

    def symbols(self) -> None:
        for name in ("SPY", "TQQQ", "SPX", "VIX"):
            symbol = self._watched[name]
            self.note("symbol", name, str(symbol.id), str(symbol.value), self.symbol(str(symbol.id)) == symbol)
        for symbol in sorted(self._contracts.values(), key=lambda one: str(one.value)):
            security = self.securities[symbol]
            self.note("contract", str(symbol.id), str(symbol.value), float(symbol.id.strike_price), symbol.id.date,
                      int(symbol.id.option_right), int(symbol.id.option_style),
                      float(security.symbol_properties.contract_multiplier),
                      float(security.symbol_properties.minimum_price_variation), bool(security.is_tradable),
                      self.symbol(str(symbol.id)) == symbol)  # fmt: skip

    def times(self) -> None:
        """Which times are aware in Python, and in which zone the others are."""
        order = self.transactions.get_order_by_id(1)
        data = self._present
        assert data is not None
        spx = data.bars.get(self._watched["SPX"])
        self.note("order", order.time, order.created_time, order.last_fill_time, order.canceled_time)
        self.note("ticket", self.transactions.get_order_ticket(1).time)
        self.note("slice", data.time, data.utc_time)
        self.note("bar", spx.time, spx.end_time)
        security = self.securities[self._watched["SPX"]]
        self.note("security", security.local_time, security.get_last_data().end_time)
        self.note("types", type(self.time.date()).__name__, isinstance(self.time, datetime))

    def fail(self, where: str) -> None:
        if self._fails == where:
            raise ValueError("on purpose")

    def leave(self, where: str) -> None:
        if self._fails == where:
            self.quit("on purpose")
            self.note("still here")

    def stop(self, where: str) -> None:
        if self._fails == where:
            raise SystemExit("on purpose")

    def on_order_event(self, order_event: OrderEvent) -> None:
        super().on_order_event(order_event)
        self.note("event at", order_event.utc_time)
        if order_event.status == OrderStatus.FILLED:
            self.fail("on_order_event")

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.fail("on_securities_changed")

    def on_warmup_finished(self) -> None:
        self.note("ready")
        self.fail("on_warmup_finished")

    def on_delistings(self, delistings: Delistings) -> None:
        self.note("delistings", len(list(delistings.keys())))
        self.fail("on_delistings")

    def on_splits(self, splits: Splits) -> None:
        self.note("splits", len(list(splits.keys())))
        self.fail("on_splits")

    def on_end_of_algorithm(self) -> None:
        self.fail("on_end_of_algorithm")
        super().on_end_of_algorithm()
