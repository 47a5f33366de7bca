"""Securities with LEAN's cache behaviour.

A security folds the rows of its columns into its prices when somebody reads them, never before: a contract that nobody
touches costs nothing.  LEAN's rules of the fold (Common/Securities/SecurityCache.cs) are kept, with their oddity: a
price of zero or an absent side never overwrites, so that `bid_price` goes stale, even crosses the ask, when the bid
vanishes.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import isnan
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from engine.clock import MINUTES_PER_DAY, NEW_YORK, EngineClock, zone
from engine.columns import Floats, QuoteColumns, SymbolProperties, TradeColumns
from engine.enums import DataNormalizationMode, Resolution, SecurityType
from engine.exchange import ExchangeClock, SecurityExchange
from engine.models.security_margin import SecurityMarginModel
from engine.models.views import BuyingPowerModel, FeeModel, PriceBar, QuoteView

if TYPE_CHECKING:
    from engine.feed import Feed, Subscription
    from engine.holdings import SecurityHolding
    from engine.hours import ExchangeHours
    from engine.market_bars import QuoteBar, TradeBar
    from engine.models.settlement import SettlementModel
    from engine.symbols import Symbol

_NEVER: Final = 1 << 40
_ONE_MINUTE: Final = timedelta(minutes=1)
_ONE_DAY: Final = timedelta(days=1)
_NEW_YORK: Final = zone(NEW_YORK)

_BID_CLOSE, _BID_SIZE = QuoteColumns.BID_CLOSE, QuoteColumns.BID_SIZE
_ASK_CLOSE, _ASK_SIZE = QuoteColumns.ASK_CLOSE, QuoteColumns.ASK_SIZE


class PropertiesView(Protocol):
    """`symbol_properties` as an algorithm reads them: how a security is quoted and traded."""

    @property
    def description(self) -> str: ...

    @property
    def quote_currency(self) -> str: ...

    @property
    def contract_multiplier(self) -> float: ...

    @property
    def minimum_price_variation(self) -> float: ...

    @property
    def lot_size(self) -> float: ...

    @property
    def minimum_order_size(self) -> float | None: ...

    @property
    def strike_multiplier(self) -> float: ...


class Security:
    """A subscribed security.  Prices are those of the newest delivered bars."""

    __slots__ = (
        "_ask_price",
        "_began",
        "_ask_size",
        "_bid_price",
        "_bid_size",
        "_clock",
        "_close",
        "_feed",
        "_high",
        "_last_quote",
        "_last_trade",
        "_low",
        "_open",
        "_price",
        "_seeded",
        "_seen",
        "_volume",
        "_waits",
        "buying_power_model",
        "clock",
        "exchange",
        "fee_model",
        "holdings",
        "hours",
        "is_delisted",
        "is_internal",
        "is_tradable",
        "settlement_model",
        "subscription",
        "symbol",
        "type",
        "underlying",
        "_contract_multiplier",
        "_properties",
    )

    holdings: SecurityHolding
    fee_model: FeeModel
    buying_power_model: BuyingPowerModel
    settlement_model: SettlementModel

    def __init__(
        self,
        symbol: Symbol,
        subscription: Subscription,
        hours: ExchangeHours,
        exchange_clock: ExchangeClock,
        properties: SymbolProperties,
        feed: Feed,
        clock: EngineClock,
    ) -> None:
        self.symbol = symbol
        self.type: SecurityType = symbol.security_type
        self.subscription = subscription
        self.hours = hours
        self.clock = exchange_clock
        self.exchange = SecurityExchange(hours, exchange_clock, clock)
        self._properties = properties
        self._contract_multiplier = properties.contract_multiplier
        self.underlying: Security | None = None
        self.is_tradable = self.type is not SecurityType.INDEX
        self.is_delisted = False
        self.is_internal = False
        self._feed = feed
        self._clock = clock
        self._seen = subscription.since
        self._began = -1
        self._waits = False
        self._price = self._open = self._high = self._low = self._close = 0.0
        self._bid_price = self._ask_price = self._bid_size = self._ask_size = self._volume = 0.0
        # Columns, row and day of the newest real bar of each kind.
        self._last_trade: tuple[TradeColumns, int, int] | None = None
        self._last_quote: tuple[QuoteColumns, int, int] | None = None
        self._seeded: TradeBar | QuoteBar | None = None

    # Prices.

    @property
    def price(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._price

    @property
    def open(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._open or self._price

    @property
    def high(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._high or self._price

    @property
    def low(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._low or self._price

    @property
    def close(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._close or self._price

    @property
    def volume(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._volume

    @property
    def bid_price(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._bid_price or self._price

    @property
    def ask_price(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._ask_price or self._price

    @property
    def bid_size(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._bid_size

    @property
    def ask_size(self) -> float:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._ask_size

    @property
    def has_data(self) -> bool:
        if self._seen != self._clock.stamp:
            self.catch_up()
        return self._last_trade is not None or self._last_quote is not None or self._seeded is not None

    # What else an algorithm asks.

    @property
    def invested(self) -> bool:
        return self.holdings.invested

    @property
    def hold_stock(self) -> bool:
        return self.holdings.invested

    @property
    def local_time(self) -> datetime:
        return self.clock.local(self._clock.utc)

    @property
    def quote_currency(self) -> QuoteCurrency:
        return QuoteCurrency(self._properties.quote_currency)

    @property
    def resolution(self) -> Resolution:
        return self.subscription.resolution

    @property
    def leverage(self) -> float:
        return self.buying_power_model.leverage

    @property
    def margin_model(self) -> BuyingPowerModel:
        return self.buying_power_model

    @margin_model.setter
    def margin_model(self, model: BuyingPowerModel) -> None:
        self.buying_power_model = model

    def set_fee_model(self, model: FeeModel) -> None:
        self.fee_model = model

    def set_buying_power_model(self, model: BuyingPowerModel) -> None:
        self.buying_power_model = model

    def set_margin_model(self, model: BuyingPowerModel) -> None:
        self.buying_power_model = model

    def set_leverage(self, leverage: float) -> None:
        self.buying_power_model = SecurityMarginModel(leverage)

    def set_data_normalization_mode(self, mode: DataNormalizationMode) -> None:
        self.subscription.normalization = mode

    def is_market_open(self, extended_market_hours: bool = False) -> bool:
        return self.hours.is_open(self.local_time, extended_market_hours)

    def get_last_data(self) -> TradeBar | QuoteBar | None:
        """Return the newest bar; of a quote and a trade bar of one minute, the quote."""
        from engine.market_bars import quote_bar, trade_bar

        self.catch_up()
        trade, quote = self._last_trade, self._last_quote
        if quote is not None and (trade is None or _key(quote) >= _key(trade)):
            return quote_bar(self, quote[0], quote[1], quote[2])
        return self._seeded if trade is None else trade_bar(self, trade[0], trade[1], trade[2])

    # What the reality models ask.

    @property
    def symbol_properties(self) -> PropertiesView:
        return self._properties

    @property
    def contract_multiplier(self) -> float:
        return self._contract_multiplier

    @property
    def lot_size(self) -> float:
        return self._properties.lot_size

    @property
    def minimum_price_variation(self) -> float:
        return self.symbol_properties.minimum_price_variation

    @property
    def is_adjusted(self) -> bool:
        is_equity = self.type is SecurityType.EQUITY
        return is_equity and self.subscription.normalization is not DataNormalizationMode.RAW

    @property
    def has_trades(self) -> bool:
        return self.subscription.trades

    @property
    def has_quotes(self) -> bool:
        return self.subscription.quotes

    @property
    def bar_span(self) -> timedelta:
        return _ONE_DAY if self.subscription.resolution is Resolution.DAILY else _ONE_MINUTE

    @property
    def last_trade(self) -> PriceBar | None:
        self.catch_up()
        found = self._last_trade
        if found is None:
            return None
        columns, row, ordinal = found
        values = columns.values[row].tolist()
        start, end = _bar_times(columns, row, ordinal)
        return PriceBar(values[0], values[1], values[2], values[3], start, end)

    @property
    def last_quote(self) -> QuoteView | None:
        self.catch_up()
        found = self._last_quote
        if found is None:
            return None
        columns, row, ordinal = found
        values = columns.values[row].tolist()
        start, end = _bar_times(columns, row, ordinal)
        bid = None if isnan(values[3]) else PriceBar(values[0], values[1], values[2], values[3], start, end)
        ask = None if isnan(values[8]) else PriceBar(values[5], values[6], values[7], values[8], start, end)
        return QuoteView(bid, ask, start, end)

    @property
    def last_data_end(self) -> datetime | None:
        """UTC end of the newest bar of any kind."""
        self.catch_up()
        found = [kept for kept in (self._last_trade, self._last_quote) if kept is not None]
        return max((_bar_times(*kept)[1] for kept in found), default=None)

    # The fold.

    def catch_up(self) -> None:
        """Fold all bars that were delivered since the last look."""
        first, now = self._seen, self._clock.stamp
        if now <= first:
            return
        self._seen = now
        last = min(now, self.subscription.until)
        if self._waits:
            first = self._first_of_interest(first)
        if first >= last:
            return
        if self.subscription.resolution is Resolution.DAILY:
            self._fold_daily(first, last)
            return
        first_day, last_day = first // MINUTES_PER_DAY, last // MINUTES_PER_DAY
        for ordinal in range(first_day, last_day + 1):
            after = first - ordinal * MINUTES_PER_DAY if ordinal == first_day else -1
            until = last - ordinal * MINUTES_PER_DAY if ordinal == last_day else MINUTES_PER_DAY
            self._fold_day(ordinal, after, until)

    def _first_of_interest(self, first: int) -> int:
        """Return the stamp after which bars count; options wait for their underlying."""
        return first

    def began(self) -> int:
        """Return the stamp of the first bar (or seed) of this security, NEVER before there is one."""
        if self._began < 0:
            first, now = self.subscription.since, self._clock.stamp
            for ordinal in range(first // MINUTES_PER_DAY, now // MINUTES_PER_DAY + 1):
                start = ordinal * MINUTES_PER_DAY
                found = [
                    int(columns.end_minute[row])
                    for columns in (self._feed.trades(self, ordinal), self._feed.quotes(self, ordinal))
                    if columns is not None and len(columns) > (row := columns.last_row_at_or_before(first - start) + 1)
                ]
                if found and start + min(found) <= now:
                    self._began = start + min(found)
                    break
        return self._began if self._began >= 0 else _NEVER

    def _fold_day(self, ordinal: int, after: int, until: int) -> None:
        """Fold the bars of one day that end in (after, until]; nothing is read when no session lies in there."""
        session = self.hours.session(date.fromordinal(ordinal))
        if session is None or until <= session.open_minute or after >= session.close_minute:
            return
        trades = self._feed.trades(self, ordinal)
        if trades is not None:
            row = trades.last_row_at_or_before(until)
            first = trades.last_row_at_or_before(after) + 1
            if row >= first:
                self._fold_trades(trades, first, row)
                self._last_trade = (trades, row, ordinal)
        quotes = self._feed.quotes(self, ordinal)
        if quotes is not None:
            row = quotes.last_row_at_or_before(until)
            first = quotes.last_row_at_or_before(after) + 1
            if row >= first:
                self._fold_quotes(quotes, first, row)
                self._last_quote = (quotes, row, ordinal)

    def _fold_trades(self, columns: TradeColumns, first: int, row: int) -> None:
        open_price, high, low, close, volume = columns.values[row].tolist()
        if open_price > 0 and high > 0 and low > 0 and close > 0:  # NaN compares false
            self._open, self._high, self._low = open_price, high, low
            self._price = self._close = close
        else:
            self._fold_trade_prices(columns, first, row)
        self._volume = volume if volume > 0 else last_number(columns.values, 4, first, row) or self._volume

    def _fold_trade_prices(self, columns: TradeColumns, first: int, row: int) -> None:
        values = columns.values
        self._open = last_number(values, 0, first, row) or self._open
        self._high = last_number(values, 1, first, row) or self._high
        self._low = last_number(values, 2, first, row) or self._low
        close = last_number(values, 3, first, row)
        if close:
            self._price = self._close = close

    def _fold_quotes(self, columns: QuoteColumns, first: int, row: int) -> None:
        values = columns.values
        newest = values[row].tolist()
        bid, bid_size, ask, ask_size = newest[_BID_CLOSE], newest[_BID_SIZE], newest[_ASK_CLOSE], newest[_ASK_SIZE]
        if bid > 0 and ask > 0 and bid_size > 0 and ask_size > 0:  # NaN compares false
            self._bid_price, self._ask_price = bid, ask
            self._bid_size, self._ask_size = bid_size, ask_size
            return
        self._bid_price = last_number(values, _BID_CLOSE, first, row) or self._bid_price
        self._ask_price = last_number(values, _ASK_CLOSE, first, row) or self._ask_price
        self._bid_size = last_number(values, _BID_SIZE, first, row) or self._bid_size
        self._ask_size = last_number(values, _ASK_SIZE, first, row) or self._ask_size

    def _fold_daily(self, first: int, last: int) -> None:
        columns = self._feed.source.daily(self.symbol)
        if columns is None:
            return
        for ordinal in range(last // MINUTES_PER_DAY, first // MINUTES_PER_DAY - 1, -1):
            day = date.fromordinal(ordinal)
            row = columns.row_of(day)
            session = self.hours.session(day) if row >= 0 else None
            if session is not None and first < ordinal * MINUTES_PER_DAY + session.close_minute <= last:
                bar = self._feed.daily_bar(self, columns, row, session)
                self._fold_trades(bar, 0, 0)
                self._last_trade = (bar, 0, ordinal)
                return

    def latest_trade(self, ordinal: int, minute: int) -> tuple[TradeColumns, int, int] | None:
        """Return columns, row and day of the newest trade bar that had ended by a minute (not later than now)."""
        columns = self._feed.trades(self, ordinal)
        row = -1 if columns is None else columns.last_row_at_or_before(minute)
        if columns is not None and row >= 0:
            return columns, row, ordinal
        self.catch_up()
        found = self._last_trade
        return found if found is not None and found[2] < ordinal else None

    def latest_quote(self, ordinal: int, minute: int) -> tuple[QuoteColumns, int, int] | None:
        """Return columns, row and day of the newest quote bar that had ended by a minute (not later than now)."""
        columns = self._feed.quotes(self, ordinal)
        row = -1 if columns is None else columns.last_row_at_or_before(minute)
        if columns is not None and row >= 0:
            return columns, row, ordinal
        self.catch_up()
        found = self._last_quote
        return found if found is not None and found[2] < ordinal else None

    def seed(self, bar: TradeBar | QuoteBar) -> None:
        """Set prices from a bar of history (security seeder); it counts as data, as in LEAN."""
        from engine.market_bars import QuoteBar

        self.catch_up()
        self._seeded = bar
        if self._began < 0:
            self._began = self._clock.stamp
        self._price = self._close = bar.close or self._price
        self._open, self._high = bar.open or self._open, bar.high or self._high
        self._low = bar.low or self._low
        if isinstance(bar, QuoteBar):
            self._bid_price = bar.bid.close if bar.bid is not None else self._bid_price
            self._ask_price = bar.ask.close if bar.ask is not None else self._ask_price
            self._bid_size, self._ask_size = bar.last_bid_size, bar.last_ask_size
        else:
            self._volume = bar.volume

    def restart(self, stamp: int) -> None:
        """Begin earlier than subscribed: the run has a warm-up."""
        self.subscription.since = stamp
        self._seen = stamp

    def resume(self, subscription: Subscription) -> None:
        """Subscribe anew after the subscription had ended."""
        self.catch_up()
        self.subscription = subscription
        self.is_tradable = self.type is not SecurityType.INDEX
        self.is_delisted = False

    def forget(self) -> None:
        """Reset the cache: the security left its universe without being held.  Nothing is read for it."""
        self._seen = self._clock.stamp
        self._price = self._open = self._high = self._low = self._close = 0.0
        self._bid_price = self._ask_price = self._bid_size = self._ask_size = self._volume = 0.0
        self._last_trade = None
        self._last_quote = None
        self._seeded = None

    def apply_split(self, factor: float) -> None:
        """Scale the cached prices, as LEAN does between two sessions."""
        self.catch_up()
        self._price *= factor
        self._open *= factor
        self._high *= factor
        self._low *= factor
        self._close *= factor
        self._bid_price *= factor
        self._ask_price *= factor
        self._volume /= factor

    def __repr__(self) -> str:
        return str(self.symbol)


class Equity(Security):
    """A share.  Its trades are what LEAN calls its data: quotes alone make no `has_data` and no `get_last_data`."""

    __slots__ = ("primary_exchange",)

    @property
    def has_data(self) -> bool:
        self.catch_up()
        return self._last_trade is not None or self._seeded is not None

    def get_last_data(self) -> TradeBar | QuoteBar | None:
        from engine.market_bars import trade_bar

        self.catch_up()
        trade = self._last_trade
        return self._seeded if trade is None else trade_bar(self, trade[0], trade[1], trade[2])


class Index(Security):
    """An index: trades only, not tradable."""

    __slots__ = ()


class QuoteCurrency:
    """The one currency of this engine."""

    __slots__ = ("conversion_rate", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.conversion_rate = 1.0


def _key(found: tuple[TradeColumns | QuoteColumns, int, int]) -> int:
    return found[2] * MINUTES_PER_DAY + int(found[0].end_minute[found[1]])


def _bar_times(columns: TradeColumns | QuoteColumns, row: int, ordinal: int) -> tuple[datetime, datetime]:
    end = _NEW_YORK.utc(datetime.fromordinal(ordinal) + timedelta(minutes=int(columns.end_minute[row])))
    return end - _ONE_MINUTE, end


def last_number(values: Floats, column: int, first: int, row: int) -> float:
    """Return the newest number that is neither zero nor absent in rows first..row of a column, 0.0 without one."""
    newest: float = values.item(row, column)
    if newest and not isnan(newest):
        return newest
    part = values[first : row + 1, column]
    found = np.flatnonzero((part != 0) & ~np.isnan(part))
    return float(part[found[-1]]) if len(found) else 0.0
