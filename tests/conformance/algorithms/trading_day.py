"""When things happen: schedules, sessions and half days, the slices of a day, gaps, end of day, order within a minute.

Parameter fill = on asks LEAN to fill forward; then every contract stands in every slice.
"""

from __future__ import annotations

from AlgorithmImports import *

from collections.abc import Iterable
from datetime import timedelta

from probe import Probe

GAP_HOURS = ("10", "11")


def own_times(days: Iterable[datetime]) -> list[datetime]:
    """Two moments of each day (UTC), one of them with seconds; LEAN's days go on until 2050."""
    moments: list[datetime] = []
    for day in days:
        if day.year > 2025:
            break
        moments += [day + timedelta(hours=15, minutes=10), day + timedelta(hours=15, minutes=20, seconds=30)]
    return moments


class TradingDayProbe(Probe):
    def prepare(self) -> None:
        fill = self.get_parameter("fill", "off") == "on"
        spy = self.add_equity("SPY", Resolution.MINUTE, fill_forward=fill).symbol
        spx = self.add_index("SPX", Resolution.MINUTE, fill_forward=fill).symbol
        vix = self.add_index("VIX", Resolution.MINUTE, fill_forward=fill).symbol
        option = self.add_index_option("SPX", "SPXW", Resolution.MINUTE, fill_forward=fill)
        option.set_filter(lambda universe: universe.include_weeklys().expiration(0, 0).strikes(-3, 3))
        self._spy, self._spx, self._vix, self._canonical = spy, spx, vix, option.symbol
        self._calls: dict[str, list[int]] = {}
        self._minutes = 0
        rules, times = self.date_rules, self.time_rules
        for name, date_rule in {
            "every day": rules.every_day(),
            "SPY days": rules.every_day(spy),
            "SPX days": rules.every_day(spx),
            "week start": rules.week_start(spy),
            "week end": rules.week_end(spy),
            "month start": rules.month_start(spy),
            "month end": rules.month_end(spy),
            "27th": rules.on(2024, 11, 27),
            "Fridays": rules.every(DayOfWeek.FRIDAY),
        }.items():
            self.schedule.on(date_rule, times.at(12, 0), lambda name=name: self.note("at noon", name))
        for name, symbol in {"SPY": spy, "SPX": spx, "SPXW": option.symbol}.items():
            for minutes in (0, 1, 30):
                self.schedule.on(
                    rules.every_day(symbol), times.after_market_open(symbol, minutes),
                    lambda name=name, minutes=minutes: self.note("opened", name, minutes),
                )  # fmt: skip
                self.schedule.on(
                    rules.every_day(symbol), times.before_market_close(symbol, minutes),
                    lambda name=name, minutes=minutes: self.note("closes", name, minutes),
                )  # fmt: skip
        self.schedule.on(rules.every_day(spy), times.at(15, 45), lambda: self.note("a quarter to four"))
        self.schedule.on(rules.every_day(spy), times.every(timedelta(hours=2)), lambda: self.note("two hours"))
        self.schedule.on(rules.every_day(spy), times.every(timedelta(minutes=1)), self._count)
        self.schedule.on(rules.every_day(), times.midnight, lambda: self.note("midnight", self._minutes))
        self.schedule.on(rules.every_day(spy), FuncTimeRule("own times", own_times), lambda: self.note("own times"))

    def _count(self) -> None:
        self._minutes += 1
        if f"{self.time:%H:%M}" in ("09:31", "10:00", "13:00", "16:00"):
            self.note("schedule", "SPX", self.securities[self._spx].price, "SPY", self.securities[self._spy].price)

    def seen(self, data: Slice) -> None:
        hour = f"{self.time:%m-%d %H}"
        counts = self._calls.setdefault(hour, [0, 0, 0, 0, 0, 0])
        chain = data.option_chains.get(self._canonical)
        contracts = [] if chain is None else list(chain)
        kinds = (1, len(list(data.bars.keys())), len(list(data.quote_bars.keys())), len(contracts),
                 len(list(data.delistings.keys())), int(self.is_market_open(self._spy)))  # fmt: skip
        for number, count in enumerate(kinds):
            counts[number] += count
        if f"{self.time:%m-%d}" == "11-26" and f"{self.time:%H}" in GAP_HOURS:
            self._gap_note(data, contracts)
        if f"{self.time:%H:%M}" in ("09:31", "13:00", "16:00", "16:15"):
            self._prices(data)

    def _gap_note(self, data: Slice, contracts: list[OptionContract]) -> None:
        bars = [name for name, symbol in (("SPY", self._spy), ("SPX", self._spx), ("VIX", self._vix))
                if symbol in data.bars]  # fmt: skip
        quote = data.quote_bars.get(self._spy)
        names = sorted(str(one.symbol.value)[12:].replace(" ", "")[:6] for one in contracts)
        self.note("slice", *bars, "quote", quote is not None, "chain", *names)
        for contract in contracts:
            if contract.bid_price == 0 or contract.ask_price == 0:
                security = self.securities[contract.symbol]
                self.note("one side", self.short(contract.symbol), float(contract.bid_price),
                          float(contract.ask_price), "security", float(security.bid_price),
                          float(security.ask_price), float(security.price))  # fmt: skip

    def _prices(self, data: Slice) -> None:
        for name, symbol in (("SPY", self._spy), ("SPX", self._spx), ("VIX", self._vix)):
            security = self.securities[symbol]
            self.note("price", name, float(security.price), float(security.bid_price), float(security.ask_price),
                      float(security.close), float(security.volume), bool(security.has_data),
                      bool(security.exchange.exchange_open), security.local_time)  # fmt: skip
        bar, quote = data.bars.get(self._spy), data.quote_bars.get(self._spy)
        if bar is not None:
            self.note("bar", bar.time, bar.end_time, float(bar.open), float(bar.high), float(bar.low),
                      float(bar.close), float(bar.volume), bool(bar.is_fill_forward))  # fmt: skip
        if quote is not None:
            self.note("quote", quote.end_time, float(quote.bid.open), float(quote.bid.high), float(quote.bid.low),
                      float(quote.bid.close), float(quote.ask.open), float(quote.ask.close), float(quote.close),
                      float(quote.last_bid_size), float(quote.last_ask_size))  # fmt: skip

    def on_end_of_day(self, symbol: Symbol) -> None:
        if symbol.security_type != SecurityType.INDEX_OPTION:
            self.note("end of day", self.short(symbol))

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.note("changed", "+", *sorted(self.short(one.symbol) for one in changes.added_securities),
                  "-", *sorted(self.short(one.symbol) for one in changes.removed_securities))  # fmt: skip

    def on_warmup_finished(self) -> None:
        self.note("warm-up finished")

    def on_end_of_algorithm(self) -> None:
        for hour, counts in self._calls.items():
            self.note("calls", hour, *counts)
        super().on_end_of_algorithm()
