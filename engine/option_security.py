"""Option contracts as securities, and the canonical option that carries a root's filter."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from engine.clock import EngineClock
from engine.columns import Floats, QuoteColumns, SymbolProperties, TradeColumns
from engine.enums import OptionRight, OptionStyle, SecurityType, SettlementType
from engine.exchange import ExchangeClock
from engine.market_bars import PRICE_DIGITS, middle
from engine.models.expiry import DefaultOptionAssignmentModel, OptionAssignmentModel, exercise_settlement
from engine.models.ticks import price_increment
from engine.securities import Security, last_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.feed import Feed, Subscription
    from engine.hours import ExchangeHours
    from engine.securities import PropertiesView
    from engine.symbols import Symbol
    from engine.universe import OptionFilterUniverse

_TICK_WITHOUT_PRICE: Final = 0.05
_USUAL_ASSIGNMENT: Final = DefaultOptionAssignmentModel()


class Option(Security):
    """An option contract, or the canonical option that carries a root's filter."""

    __slots__ = ("contract_filter", "option_assignment_model", "price_model", "exercise_settlement")

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
        super().__init__(symbol, subscription, hours, exchange_clock, properties, feed, clock)
        self.contract_filter: Callable[[OptionFilterUniverse], OptionFilterUniverse] | None = None
        self.option_assignment_model: OptionAssignmentModel = _USUAL_ASSIGNMENT
        self.price_model: object = None
        self.exercise_settlement: SettlementType = exercise_settlement(symbol)
        self._waits = True

    @property
    def symbol_properties(self) -> PropertiesView:
        is_index = self.type is SecurityType.INDEX_OPTION
        return IndexOptionProperties(self, self._properties) if is_index else self._properties

    @property
    def strike_price(self) -> float:
        return self.symbol.id.strike_price

    @property
    def expiry(self) -> datetime:
        return self.symbol.id.date

    @property
    def right(self) -> OptionRight:
        return self.symbol.id.option_right

    @property
    def style(self) -> OptionStyle:
        return self.symbol.id.option_style

    @property
    def contract_unit_of_trade(self) -> float:
        return self._contract_multiplier

    @property
    def is_option_chain(self) -> bool:
        return self.symbol.is_canonical()

    @property
    def is_option_contract(self) -> bool:
        return not self.symbol.is_canonical()

    def set_option_assignment_model(self, model: OptionAssignmentModel) -> None:
        self.option_assignment_model = model

    def set_filter(self, *arguments: object) -> None:
        """Choose contracts: a function of the universe, two strike counts and two expiries, or either pair."""
        from engine.universe import filter_of

        self.contract_filter = filter_of(*arguments)

    def get_intrinsic_value(self, underlying_price: float) -> float:
        call = self.symbol.id.option_right is OptionRight.CALL
        strike = self.symbol.id.strike_price
        return max(underlying_price - strike if call else strike - underlying_price, 0.0)

    def get_pay_off(self, underlying_price: float) -> float:
        call = self.symbol.id.option_right is OptionRight.CALL
        strike = self.symbol.id.strike_price
        return underlying_price - strike if call else strike - underlying_price

    def is_auto_exercised(self, underlying_price: float) -> bool:
        return self.get_intrinsic_value(underlying_price) >= 0.01

    def last_traded_price(self) -> float:
        """Return the close of the last row in the newest file of trades, also of one after the session; 0 without."""
        self.catch_up()
        ordinal = -1 if self._last_trade is None else self._last_trade[2]
        day = self._feed.option_day(self.symbol.canonical, ordinal) if ordinal >= 0 else None
        columns = None if day is None else day.trade(self.symbol)
        return 0.0 if columns is None or not len(columns) else float(columns.values.item(len(columns) - 1, 3))

    def _first_of_interest(self, first: int) -> int:
        """LEAN drops an option's bars as long as its underlying has had none: the contract keeps a price of 0."""
        if self.underlying is None:
            return first
        began = self.underlying.began()
        if began <= self._clock.stamp:
            self._waits = False
        return max(first, began - 1)

    def _fold_trades(self, columns: TradeColumns, first: int, row: int) -> None:
        # Of a quote and a trade in one minute the quote makes the price; see _fold_day for a trade alone.
        self._volume = last_number(columns.values, 4, first, row) or self._volume

    def _fold_day(self, ordinal: int, after: int, until: int) -> None:
        super()._fold_day(ordinal, after, until)
        trade, quote = self._last_trade, self._last_quote
        if trade is None or trade[2] != ordinal:
            return
        minute = int(trade[0].end_minute[trade[1]])
        if minute <= after or (quote is not None and quote[2] == ordinal and quote[0].end_minute[quote[1]] >= minute):
            return
        # A minute with a trade and no quote: LEAN takes the prices of the trade.
        open_price, high, low, close, _ = trade[0].values[trade[1]].tolist()
        self._open, self._high = open_price or self._open, high or self._high
        self._low = low or self._low
        if close:
            self._price = self._close = close

    def _fold_quotes(self, columns: QuoteColumns, first: int, row: int) -> None:
        bid_open, bid_high, bid_low, bid, bid_size, ask_open, ask_high, ask_low, ask, ask_size = columns.values[
            row
        ].tolist()
        if bid > 0 and ask > 0:  # NaN compares false
            self._bid_price, self._ask_price = bid, ask
            self._price = self._close = middle(bid, ask)
            self._open = middle(bid_open, ask_open) if bid_open > 0 and ask_open > 0 else self._open
            self._high = middle(bid_high, ask_high) if bid_high > 0 and ask_high > 0 else self._high
            self._low = middle(bid_low, ask_low) if bid_low > 0 and ask_low > 0 else self._low
            self._bid_size = bid_size or self._bid_size
            self._ask_size = ask_size or self._ask_size
            return
        super()._fold_quotes(columns, first, row)
        values = columns.values
        self._open = _last_middle(values, 0, first, row) or self._open
        self._high = _last_middle(values, 1, first, row) or self._high
        self._low = _last_middle(values, 2, first, row) or self._low
        close = _last_middle(values, 3, first, row)
        if close:
            self._price = self._close = close


class IndexOptionProperties:
    """Properties of an index option: its tick follows its price whenever it is read, 0.05 before there is one."""

    __slots__ = ("_option", "_properties")

    def __init__(self, option: Option, properties: SymbolProperties) -> None:
        self._option = option
        self._properties = properties

    @property
    def minimum_price_variation(self) -> float:
        option = self._option
        return float(price_increment(option, option.price)) if option.has_data else _TICK_WITHOUT_PRICE

    @property
    def description(self) -> str:
        return self._properties.description

    @property
    def quote_currency(self) -> str:
        return self._properties.quote_currency

    @property
    def contract_multiplier(self) -> float:
        return self._properties.contract_multiplier

    @property
    def lot_size(self) -> float:
        return self._properties.lot_size

    @property
    def minimum_order_size(self) -> float | None:
        return self._properties.minimum_order_size

    @property
    def strike_multiplier(self) -> float:
        return self._properties.strike_multiplier


def _last_middle(values: Floats, field: int, first: int, row: int) -> float:
    """Return the newest middle of bid and ask that is a number; with one side alone, that side (LEAN's QuoteBar)."""
    bid = np.nan_to_num(values[first : row + 1, field])
    ask = np.nan_to_num(values[first : row + 1, field + 5])
    middles = np.where((bid != 0) & (ask != 0), np.round((bid + ask) / 2, PRICE_DIGITS), bid + ask)
    found = np.flatnonzero(middles)
    return float(middles[found[-1]]) if len(found) else 0.0
