"""A market feed written by hand: what stands in it is what the slice of that minute holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np

from core.ports import RawBar, RawChain, RawQuote, RawStrikes
from core.vocabulary import Instrument

MINUTE = timedelta(minutes=1)


def raw_bar(end: datetime, price: float, *, opened: float | None = None) -> RawBar:
    first = price if opened is None else opened
    return RawBar(end, first, max(first, price), min(first, price), price, 100.0)


def raw_quote(end: datetime, bid: float | None, ask: float | None) -> RawQuote:
    return RawQuote(end, bid, ask, bid, ask)


def raw_chain(end: datetime, rows: Iterable[tuple[Instrument, float, float]]) -> RawChain:
    """Columns from (contract, bid, ask) in the order given; 0 stands for an absent side, as in LEAN."""
    contracts = tuple(rows)
    return RawChain(
        end,
        tuple(row[0] for row in contracts),
        np.array([row[1] for row in contracts], dtype=np.float64),
        np.array([row[2] for row in contracts], dtype=np.float64),
    )


def ramp(opened: datetime, minutes: int, *, first: float = 600.0, step: float = 0.1) -> tuple[RawBar, ...]:
    """Minute bars from the open on; each opens where the one before closed."""
    return tuple(
        raw_bar(opened + n * MINUTE, first + n * step, opened=first + (n - 1) * step) for n in range(1, minutes + 1)
    )


class StubFeed:
    """One minute at a time: `to` moves on and empties the slice."""

    def __init__(self, time: datetime) -> None:
        self.time = time
        self.bars: dict[str, RawBar] = {}
        self.quotes: dict[str, RawQuote] = {}
        self.chains: dict[tuple[str, date], RawChain] = {}
        self.counts: dict[str, Mapping[date, int]] = {}
        self.halts: frozenset[str] = frozenset()
        self.minutes: Sequence[RawBar] = ()
        self.daily: dict[str, Sequence[RawBar]] = {}
        self.asked: list[str] = []
        """What was asked of history and of chains, in order."""

    def to(self, time: datetime) -> StubFeed:
        self.time = time
        self.bars, self.quotes, self.chains = {}, {}, {}
        return self

    def bars_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawBar]:
        return {symbol: self.bars[symbol] for symbol in symbols if symbol in self.bars}

    def quotes_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawQuote]:
        return {symbol: self.quotes[symbol] for symbol in symbols if symbol in self.quotes}

    def chain(self, minute: datetime, root: str, expiry: date) -> RawChain | None:
        self.asked.append(f"chain {root}")
        return self.chains.get((root, expiry))

    def strikes(
        self, minute: datetime, root: str, expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> RawStrikes | None:
        self.asked.append(f"strikes {root}")
        whole = self.chains.get((root, expiry))
        if whole is None:
            return None
        strikes = sorted({item.strike for item in whole.instruments})
        below = [strike for strike in strikes if strike < near]
        above = [strike for strike in strikes if strike >= near]
        window = {*below[-each_side:], *above[:each_side]}
        columns = zip(whole.instruments, whole.bid.tolist(), whole.ask.tolist(), strict=True)
        rows = [row for row in columns if row[0].strike in window or row[0] in also]
        unread = (
            below[-each_side - 1] if len(below) > each_side else -math.inf,
            above[each_side] if len(above) > each_side else math.inf,
        )
        return RawStrikes(whole.end, rows, unread)

    def listed(self, root: str) -> Mapping[date, int]:
        return self.counts.get(root, {})

    def halted(self) -> frozenset[str]:
        return self.halts

    def minute_history(self, symbol: str, since: datetime) -> Sequence[RawBar]:
        self.asked.append(f"minutes {symbol}")
        return [bar for bar in self.minutes if since < bar.end <= self.time]

    def daily_history(self, symbols: Sequence[str], sessions: int) -> Mapping[str, Sequence[RawBar]]:
        self.asked.append(f"daily {' '.join(symbols)}")
        return {symbol: list(self.daily.get(symbol, ()))[-sessions:] for symbol in symbols}


def live(feed: StubFeed, until: datetime, step: Callable[[], object]) -> None:
    """Run a step for every minute after the feed's time, with the anchor's bar of that minute from its history."""
    known = {bar.end: bar for bar in feed.minutes}
    while feed.time < until:
        feed.to(feed.time + MINUTE)
        if feed.time in known:
            feed.bars["SPY"] = known[feed.time]
        step()
