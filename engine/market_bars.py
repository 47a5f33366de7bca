"""Bars and corporate events as LEAN hands them to an algorithm, made from rows of columns when they are asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isnan
from typing import TYPE_CHECKING, Final

from engine.clock import MINUTE_OFFSETS
from engine.columns import QuoteColumns, TradeColumns
from engine.enums import DelistingType, MarketDataType, SplitType

if TYPE_CHECKING:
    from engine.securities import Security
    from engine.symbols import Symbol

ONE_MINUTE: Final = timedelta(minutes=1)
PRICE_DIGITS: Final = 8


class Bar:
    """Open, high, low and close of one side of a quote."""

    __slots__ = ("close", "high", "low", "open")

    def __init__(self, open_price: float, high: float, low: float, close: float) -> None:
        self.open = open_price
        self.high = high
        self.low = low
        self.close = close

    def __repr__(self) -> str:
        return f"Bar(O {self.open} H {self.high} L {self.low} C {self.close})"


class BaseData:
    """What bars and corporate events have in common.  Times are naive, in the exchange's zone (LEAN's rule)."""

    __slots__ = ("end_time", "is_fill_forward", "symbol", "time")

    data_type = MarketDataType.BASE

    def __init__(self, symbol: Symbol, time: datetime, end_time: datetime, is_fill_forward: bool = False) -> None:
        self.symbol = symbol
        self.time = time
        self.end_time = end_time
        self.is_fill_forward = is_fill_forward

    @property
    def value(self) -> float:
        return 0.0

    @property
    def price(self) -> float:
        return self.value

    @property
    def period(self) -> timedelta:
        return self.end_time - self.time


class TradeBar(BaseData):
    __slots__ = ("close", "high", "low", "open", "volume")

    data_type = MarketDataType.TRADE_BAR

    def __init__(
        self,
        time: datetime,
        symbol: Symbol,
        open_price: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        period: timedelta = ONE_MINUTE,
        is_fill_forward: bool = False,
    ) -> None:
        self.symbol = symbol
        self.time = time
        self.end_time = time + period
        self.is_fill_forward = is_fill_forward
        self.open = open_price
        self.high = high
        self.low = low
        self.close = close
        self.volume = volume

    @property
    def value(self) -> float:
        return self.close

    def __repr__(self) -> str:
        return f"{self.symbol}: O: {self.open} H: {self.high} L: {self.low} C: {self.close} V: {self.volume}"


class QuoteBar(BaseData):
    """Quotes of one minute; a side without any price is None."""

    __slots__ = ("ask", "bid", "last_ask_size", "last_bid_size")

    data_type = MarketDataType.QUOTE_BAR

    def __init__(
        self,
        time: datetime,
        symbol: Symbol,
        bid: Bar | None,
        last_bid_size: float,
        ask: Bar | None,
        last_ask_size: float,
        period: timedelta = ONE_MINUTE,
        is_fill_forward: bool = False,
    ) -> None:
        self.symbol = symbol
        self.time = time
        self.end_time = time + period
        self.is_fill_forward = is_fill_forward
        self.bid = bid
        self.ask = ask
        self.last_bid_size = last_bid_size
        self.last_ask_size = last_ask_size

    @property
    def open(self) -> float:
        return middle(self.bid.open if self.bid else 0.0, self.ask.open if self.ask else 0.0)

    @property
    def high(self) -> float:
        return middle(self.bid.high if self.bid else 0.0, self.ask.high if self.ask else 0.0)

    @property
    def low(self) -> float:
        return middle(self.bid.low if self.bid else 0.0, self.ask.low if self.ask else 0.0)

    @property
    def close(self) -> float:
        return middle(self.bid.close if self.bid else 0.0, self.ask.close if self.ask else 0.0)

    @property
    def value(self) -> float:
        return self.close

    def __repr__(self) -> str:
        return f"{self.symbol}: Bid: {self.bid} Ask: {self.ask}"


class Split(BaseData):
    """A share split; the warning comes the session before, `split_factor` 0.5 is two for one."""

    __slots__ = ("reference_price", "split_factor", "type")

    data_type = MarketDataType.AUXILIARY

    def __init__(
        self, symbol: Symbol, time: datetime, reference_price: float, split_factor: float, kind: SplitType
    ) -> None:
        super().__init__(symbol, time, time)
        self.reference_price = reference_price
        self.split_factor = split_factor
        self.type = kind


class Dividend(BaseData):
    """A cash dividend, USD per share, on its ex-date."""

    __slots__ = ("distribution", "reference_price")

    data_type = MarketDataType.AUXILIARY

    def __init__(self, symbol: Symbol, time: datetime, distribution: float, reference_price: float) -> None:
        super().__init__(symbol, time, time)
        self.distribution = distribution
        self.reference_price = reference_price


class Delisting(BaseData):
    """A contract's last day (WARNING, at its start) and the moment after it (DELISTED)."""

    __slots__ = ("_price", "type")

    data_type = MarketDataType.AUXILIARY

    def __init__(self, symbol: Symbol, time: datetime, price: float, kind: DelistingType) -> None:
        super().__init__(symbol, time, time)
        self._price = price
        self.type = kind

    @property
    def value(self) -> float:
        return self._price


def trade_bar(
    security: Security,
    columns: TradeColumns,
    row: int,
    ordinal: int,
    repeat_minute: int = -1,
    period: timedelta = ONE_MINUTE,
) -> TradeBar:
    """Return row `row` as a bar; with repeat_minute, the fill-forward copy of it that ends at that minute."""
    open_price, high, low, close, volume = columns.values[row].tolist()
    repeated = repeat_minute >= 0
    minute = repeat_minute if repeated else columns.end_minute.item(row)
    start = security.clock.new_york_midnight(ordinal) + MINUTE_OFFSETS[minute] - period
    # LEAN keeps the prices of a repeated bar and only clears its volume.
    return TradeBar(start, security.symbol, open_price, high, low, close, 0.0 if repeated else volume, period, repeated)


def quote_bar(security: Security, columns: QuoteColumns, row: int, ordinal: int, repeat_minute: int = -1) -> QuoteBar:
    """Return row `row` as a bar; a fill-forward subscription takes an absent side from the newest row that has it."""
    values = columns.values[row].tolist()
    bid_open, bid_high, bid_low, bid_close, bid_size, ask_open, ask_high, ask_low, ask_close, ask_size = values
    bid = None if isnan(bid_close) else Bar(bid_open, bid_high, bid_low, bid_close)
    ask = None if isnan(ask_close) else Bar(ask_open, ask_high, ask_low, ask_close)
    if (bid is None or ask is None) and security.subscription.fill_forward:
        earlier = row - 1
        while earlier >= 0 and (bid is None or ask is None):
            older = columns.values[earlier].tolist()
            bid = bid or _side(older, 0)
            ask = ask or _side(older, 5)
            earlier -= 1
    repeated = repeat_minute >= 0
    minute = repeat_minute if repeated else columns.end_minute.item(row)
    start = security.clock.new_york_midnight(ordinal) + MINUTE_OFFSETS[minute] - ONE_MINUTE
    return QuoteBar(start, security.symbol, bid, bid_size, ask, ask_size, ONE_MINUTE, repeated)


def middle(bid: float, ask: float) -> float:
    """Return the middle of a quote as LEAN's decimals give it: (0.1 + 0.2) / 2 is 0.15, not 0.15000000000000002."""
    return round((bid + ask) / 2, PRICE_DIGITS) if bid and ask else bid + ask


def _side(values: list[float], first: int) -> Bar | None:
    close = values[first + 3]
    return None if isnan(close) else Bar(values[first], values[first + 1], values[first + 2], close)
