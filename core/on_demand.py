"""What a step reads only when somebody asks: option chains, the list of contracts, our own model's values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from core.market import Bar, Chain, Session, Strikes
from core.ports import MarketFeed, RawChain
from core.vocabulary import Instrument

if TYPE_CHECKING:
    from core.market_data import MarketData


class OnDemand:
    """Chains, each read at most once in a step, and our own model's values.

    A chain of another minute is none, so that after the step there is nothing to load any more.
    """

    __slots__ = ("_bars", "_data", "_feed", "_loaded", "_looks", "_now", "_session")

    def __init__(
        self, data: MarketData, feed: MarketFeed, session: Session, now: datetime, bars: Mapping[str, Bar]
    ) -> None:
        self._data = data
        self._feed = feed
        self._session = session
        self._now = now
        self._bars = bars
        self._looks: dict[tuple[str, date], RawChain | None] = {}
        self._loaded: dict[tuple[str, date], Chain | None] = {}

    def look(self, root: str, expiry: date) -> RawChain | None:
        """Return the chain as it came, read once in this step."""
        key = (root, expiry)
        if key not in self._looks:
            self._looks[key] = self._data.look(self._feed, root, expiry, self._now)
        return self._looks[key]

    def chain(self, root: str, expiry: date) -> Chain | None:
        key = (root, expiry)
        if key not in self._loaded:
            raw = self.look(root, expiry)
            self._loaded[key] = None if raw is None else self._data.judged(raw, root, expiry, self._now)
        return self._loaded[key]

    def strikes(
        self, root: str, expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> Strikes | None:
        """Return the rows around a price and of some contracts, None where this step has loaded the whole chain."""
        if (root, expiry) in self._loaded:
            return None
        return self._data.load_strikes(self._feed, root, expiry, self._now, near, each_side, also)

    def model_price(self, instrument: Instrument) -> float | None:
        return self._data.model_price(instrument, self._session, self._now, self._bars)


class Listed(Mapping[str, Mapping[date, int]]):
    """Contracts per expiry of today's universe, by root; read from the feed when asked for."""

    __slots__ = ("_feed", "_minute", "_read")

    def __init__(self, feed: MarketFeed, minute: datetime) -> None:
        self._feed = feed
        self._minute = minute
        self._read: dict[str, Mapping[date, int]] = {}

    def __getitem__(self, root: str) -> Mapping[date, int]:
        if root not in self._read:
            if self._feed.time.date() != self._minute.date():
                raise KeyError(root)  # a step that is late in its minute has the same universe, the next day another
            self._read[root] = self._feed.listed(root)
        return self._read[root]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
