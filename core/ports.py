"""The edges of the core, as protocols: what it needs from a market feed, a broker and a store.

`helpers/lean_market.py`, `helpers/lean_broker.py` and `helpers/lean_store.py` implement them on LEAN; nothing else
reaches an order method.  Times are naive New York.  Every price may be None: absent is never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.values import value
from core.vocabulary import BrokerEvent, Instrument, OrderLeg, OrderStatus, Right

Floats = npt.NDArray[np.float64]


@value
class RawBar:
    """A real (never filled-forward) minute bar of trades; end is the minute's end, prices in points.

    age_s: from its end to the step that sees it; none as the feed gives it out.
    """

    end: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    age_s: float = 0.0

    def seen_at(self, now: datetime) -> RawBar:
        """Return the same bar as a later step sees it."""
        age_s = (now - self.end).total_seconds()
        return RawBar(self.end, self.open, self.high, self.low, self.close, self.volume, age_s)


@value
class RawQuote:
    """A real minute of quotes: last bid and ask, lowest bid, highest ask. None = absent (a bid of 0 is None)."""

    end: datetime
    bid: float | None
    ask: float | None
    low_bid: float | None
    high_ask: float | None


@value
class RawChain:
    """Contracts of one option root that have a real quote in this minute, in any order; bid and ask are columns (n,)
    with 0 for an absent side.
    """

    end: datetime
    instruments: tuple[Instrument, ...]
    bid: Floats
    ask: Floats


@value
class RawStrikes:
    """Some contracts of an expiry that have a real quote in this minute: rows of contract, bid and ask in any order, 0
    for an absent side.

    unread: the nearest strikes below and above that were not looked at, infinite where there is none.
    """

    end: datetime
    rows: Sequence[tuple[Instrument, float, float]]
    unread: tuple[float, float]


class MarketFeed(Protocol):
    """One closed minute as the engine delivered it, and history on request.

    The caller says which minute he means: what is there of another one is not given out as of this.
    """

    @property
    def time(self) -> datetime: ...

    def bars_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawBar]:
        """Return the bars that ended with the minute, of those symbols that have one."""

    def quotes_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawQuote]:
        """Return the quotes that ended with the minute, of those symbols that have one."""

    def chain(self, minute: datetime, root: str, expiry: date) -> RawChain | None:
        """Return a minute's contracts of exactly that exchange date and root; None when the slice has none."""

    def strikes(
        self, minute: datetime, root: str, expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> RawStrikes | None:
        """Return those rows of `chain` whose strike is among so many listed ones on each side of a price, and of
        further contracts: the same rows, read one by one.  None when the slice has no chain or no contract is listed.
        """

    def listed(self, root: str) -> Mapping[date, int]:
        """Return the number of contracts per expiry in today's universe; empty when the prior day's universe is
        missing.
        """

    def halted(self) -> frozenset[str]: ...

    def minute_history(self, symbol: str, since: datetime) -> Sequence[RawBar]: ...

    def daily_history(self, symbols: Sequence[str], sessions: int) -> Mapping[str, Sequence[RawBar]]:
        """Return at most that many daily bars of each that ended before today's open, oldest first."""


class OrderType(StrEnum):
    COMBO_LIMIT = "COMBO_LIMIT"
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    MARKET_ON_CLOSE = "MARKET_ON_CLOSE"


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as the gateway decided it.

    legs carry the signed quantities of the whole order; units is their greatest common factor (> 0).  net_cash is the
    limit per unit in points, + a credit to receive, - a debit to pay, None for a market order; it is on the tick grid
    already.
    """

    order: str
    type: OrderType
    tif: TimeInForce
    legs: tuple[OrderLeg, ...]
    units: int
    net_cash: float | None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """What the broker says of one working or past order; filled is signed contracts per symbol."""

    order: str
    status: OrderStatus
    legs: Mapping[str, int]
    filled: Mapping[str, int]
    average_price: Mapping[str, float]
    fees_usd: float


@value
class Account:
    """The broker's own figures: settled and unsettled cash in micro-dollars, its equity in USD, and its margin where
    it repeats.
    """

    cash_u6: int
    unsettled_u6: int
    equity_usd: float
    margin_used_usd: float | None = None
    margin_remaining_usd: float | None = None


class Broker(Protocol):
    """The only way to an order. Every method may be called at any time; reports arrive through the queue."""

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        """Send one order; returns only refusals that the broker states in its answer and not as an event."""

    def cancel(self, order: str) -> None: ...

    def position(self, symbol: str) -> int:
        """Return the signed holding of one symbol, read by direct key (an expired contract is still there until it
        settles).
        """

    def positions(self) -> Mapping[str, int]:
        """Return all non-zero holdings by iterating; finds foreign ones. Meaningful in the session only."""

    def mark_price(self, symbol: str) -> float:
        """Return the price that the broker's own equity uses for a symbol."""

    def open_orders(self) -> Iterable[BrokerOrder]: ...

    def find(self, order: str) -> BrokerOrder | None:
        """Return what the broker knows of an order of ours; None when it knows nothing."""

    def account(self) -> Account: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a brokerage can do: order types, and the fee reserve per contract by option root or '' for shares (USD)."""

    name: str
    order_types: frozenset[OrderType]
    instruments: frozenset[str]


class Store(Protocol):
    """Named blobs that outlive the run. `durable` returns only after the bytes would survive the death of the
    process.
    """

    def read(self, key: str) -> bytes | None: ...

    def save(self, key: str, payload: bytes) -> None: ...

    def durable(self, key: str, payload: bytes) -> None: ...

    def keys(self, prefix: str) -> Sequence[str]: ...


__all__ = [
    "Account",
    "Broker",
    "BrokerOrder",
    "Capabilities",
    "Floats",
    "MarketFeed",
    "OrderRequest",
    "OrderType",
    "RawBar",
    "RawChain",
    "RawQuote",
    "Right",
    "Store",
    "TimeInForce",
]
