"""Who is in the chain each day, by filter; and what history and `option_chain` say."""

from __future__ import annotations

from AlgorithmImports import *

from datetime import timedelta

from probe import Probe

FILTERS = {
    "today": lambda universe: universe.include_weeklys().expiration(0, 0).strikes(-3, 3),
    "days": lambda universe: universe.include_weeklys().expiration(0, 2).strikes(-2, 2),
    "calls": lambda universe: universe.include_weeklys().expiration(1, 40).strikes(-1, 1).calls_only(),
    "puts": lambda universe: universe.include_weeklys().expiration(0, 200).strikes(-30, 30).puts_only(),
    "none": lambda universe: universe.include_weeklys().expiration(300, 400),
}


class UniverseProbe(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY")
        self.add_indices("SPX", "VIX")
        option = self.add_index_option("SPX", "SPXW", Resolution.MINUTE, fill_forward=False)
        name = self.get_parameter("filter", "today")
        if name != "default":
            option.set_filter(FILTERS[name])
        self._canonical = option.symbol
        self.note("canonical", str(self._canonical.id), str(self._canonical.value))
        for day in ("11-25", "11-26", "11-27", "11-29", "12-02"):
            self.at(f"{day} 09:31", self.members)
            self.at(f"{day} 11:01", self.history_notes, self.chain_notes)
        self.at("11-25 10:30", self.hold)
        self.on_tick("11-28 12:00", self.history_notes)

    def hold(self) -> None:
        """A held contract stays when the filter no longer wants it."""
        held = sorted((symbol for symbol in self._contracts.values() if symbol.id.date.date() > self.time.date()),
                      key=lambda symbol: str(symbol.value))  # fmt: skip
        for symbol in held[:2]:
            self._watched[self.short(symbol)] = symbol
            self.order_note("held", self.market_order(symbol, 1))

    def members(self) -> None:
        names = sorted(self.short(symbol) for symbol in self.securities.keys() if symbol.underlying is not None)
        self.note("members", len(names), *names)
        chosen = self.universe_manager[self._canonical].selected
        self.note("chosen", "none" if chosen is None else sorted(self.short(symbol) for symbol in chosen))
        self.account()

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        super().on_securities_changed(changes)
        self.note("changed", "+", *(self.short(one.symbol) for one in changes.added_securities))
        self.note("changed", "-", *(self.short(one.symbol) for one in changes.removed_securities))

    def history_notes(self) -> None:
        spx, vix, spy = (self._watched[name] for name in ("SPX", "VIX", "SPY"))
        for name, symbol in (("SPX", spx), ("VIX", vix), ("SPY", spy)):
            for bar in self.history[TradeBar](symbol, 3, Resolution.DAILY):
                self.note("daily", name, *_bar(bar))
        for bar in self.history[TradeBar](spx, self.time - timedelta(days=6), self.time, Resolution.DAILY):
            self.note("daily since", *_bar(bar))
        for bar in self.history[TradeBar](spy, 3, Resolution.MINUTE):
            self.note("minute", *_bar(bar))
        for bar in self.history[TradeBar](vix, self.time - timedelta(minutes=3), self.time, Resolution.MINUTE,
                                          fill_forward=False):  # fmt: skip
            self.note("minute since", *_bar(bar))
        for bar in self.history[TradeBar](spx, timedelta(minutes=2), Resolution.MINUTE):
            self.note("minute span", *_bar(bar))
        frame = self.history(spx, 2, Resolution.DAILY)
        self.note("frame", list(frame.columns), len(frame), float(frame["close"].iloc[-1]))

    def chain_notes(self) -> None:
        rows = sorted(self.option_chain(self._canonical), key=lambda one: (one.expiry, int(one.right), one.strike))
        self.note("option chain", len(rows))
        for one in rows[:4] + rows[-4:]:
            self.note("row", one.expiry, int(one.right), float(one.strike), float(one.bid_price),
                      float(one.ask_price), float(one.last_price), float(one.open_interest))  # fmt: skip


def _bar(bar: TradeBar) -> tuple[object, ...]:
    return (bar.time, bar.end_time, float(bar.open), float(bar.high), float(bar.low), float(bar.close),
            float(bar.volume))  # fmt: skip
