"""Warm-up: what is called, what is refused, which universe the first day has; by sessions or by bars."""

from __future__ import annotations

from AlgorithmImports import *

from datetime import timedelta

from probe import Probe


class WarmUpProbe(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX")
        self.add_chain(0, 0, 2)
        self._slices = 0
        self._ticks = 0
        how = self.get_parameter("how", "days")
        if how == "days":
            self.set_warm_up(timedelta(days=1))
        elif how == "bars":
            self.set_warm_up(30, Resolution.MINUTE)
        else:
            self.set_warm_up(2, Resolution.DAILY)
        self.note("warming", bool(self.is_warming_up))
        self.schedule.on(self.date_rules.every_day(), self.time_rules.every(timedelta(minutes=30)), self._count)
        self.on_tick("11-25 15:00", self.try_an_order)
        self.on_tick("11-26 10:00", self.try_an_order)

    def _count(self) -> None:
        self._ticks += 1
        if self.is_warming_up:
            self.note("tick in warm-up")

    def seen(self, data: Slice) -> None:
        self._slices += 1
        if self._slices in (1, 2, 3) or (self.is_warming_up and self.time.minute == 0):
            self.note("slice", bool(self.is_warming_up), len(list(data.bars.keys())), len(list(data.quote_bars.keys())))

    def try_an_order(self) -> None:
        self.order_note("order", self.market_order(self._watched["SPY"], 1))

    def on_warmup_finished(self) -> None:
        self.note("finished", self._slices, self._ticks, float(self.securities[self._watched["SPY"]].price))

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.note("changed", len(list(changes.added_securities)), len(list(changes.removed_securities)))

    def on_end_of_algorithm(self) -> None:
        self.note("counts", self._slices, self._ticks)
        super().on_end_of_algorithm()
