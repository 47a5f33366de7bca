"""What history gives on a half day, across a weekend, a holiday, a split and gaps; and last known prices."""

from __future__ import annotations

from AlgorithmImports import *

from datetime import datetime, timedelta

from probe import Probe

MOMENTS = (
    "11-25 00:00", "11-25 09:30", "11-26 10:24", "11-26 16:05", "11-27 12:00", "11-28 12:00", "11-29 00:00",
    "11-29 12:59", "11-29 13:00", "11-29 13:30", "11-29 15:59", "11-29 16:00", "11-29 16:14", "11-29 16:15",
    "11-29 20:00", "11-30 12:00", "12-01 23:30", "12-02 00:30", "12-02 09:31", "03-07 10:00", "03-08 12:00",
    "03-09 01:30", "03-09 12:00", "03-10 00:30", "03-10 09:31", "03-10 16:20",
)  # fmt: skip


class HistoryProbe(Probe):
    def prepare(self) -> None:
        self.add_shares("SPY", "TQQQ")
        self.add_indices("SPX", "VIX")
        self.add_chain(0, 1, 2)
        for moment in MOMENTS:
            self.on_tick(moment, self.daily, self.minutes, self.last_known)

    def daily(self) -> None:
        for name in ("VIX", "SPY"):
            symbol = self._watched[name]
            counts = []
            for periods in range(1, 16):
                bars = list(self.history[TradeBar](symbol, periods, Resolution.DAILY))
                counts.append(f"{len(bars)}:{bars[0].end_time:%m-%d %H:%M}" if bars else "0")
            self.note("daily", name, *counts)
            midnight = datetime(self.time.year, self.time.month, self.time.day)
            for end in (midnight, self.time):
                since = midnight - timedelta(days=12)
                bars = list(self.history[TradeBar](symbol, since, end, Resolution.DAILY, fill_forward=False))
                self.note("between", name, len(bars), *(f"{bar.end_time:%m-%d %H:%M}={bar.close:.2f}" for bar in bars))

    def minutes(self) -> None:
        for name in ("VIX", "SPY", "TQQQ"):
            symbol = self._watched[name]
            for periods in (1, 7, 400):
                self._note("minutes", name, periods, self.history[TradeBar](symbol, periods, Resolution.MINUTE))
            since = self.time - timedelta(hours=20)
            for fill in (False, True):
                bars = self.history[TradeBar](symbol, since, self.time, Resolution.MINUTE, fill_forward=fill)
                self._note("minutes since", name, int(fill), bars)

    def _note(self, what: str, name: str, asked: int, bars: object) -> None:
        found = list(bars)
        if not found:
            self.note(what, name, asked, 0)
            return
        total = sum(float(bar.close) for bar in found)
        self.note(what, name, asked, len(found), found[0].end_time, found[-1].end_time, round(total, 2),
                  sum(float(bar.volume) for bar in found), sum(bool(bar.is_fill_forward) for bar in found))  # fmt: skip

    def last_known(self) -> None:
        for name in ("VIX", "SPY", "TQQQ"):
            self._last_known(name, self.securities[self._watched[name]])
        listed = sorted(self._contracts.values(), key=lambda symbol: str(symbol.value))
        living = [one for one in listed if one.id.date.date() >= self.time.date()]
        for symbol in [one for one in [*listed[:1], *living[:1], *living[-1:]] if one in self.securities]:
            self._last_known(self.short(symbol), self.securities[symbol])

    def _last_known(self, name: str, security: Security) -> None:
        bar = self.get_last_known_price(security)
        if bar is None:
            self.note("last known", name, "nothing")
            return
        self.note("last known", name, type(bar).__name__, bar.end_time, float(bar.price), "price",
                  float(security.price), bool(security.has_data))  # fmt: skip
