"""Trade and quote bars of one minute, found in the columns of the day when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.clock import MINUTE_OFFSETS
from engine.data_dictionary import DataDictionary
from engine.feed import OPTION_SECURITY_TYPES
from engine.market_bars import QuoteBar, TradeBar, quote_bar, trade_bar

if TYPE_CHECKING:
    from engine.feed import DayPlan, Stream
    from engine.option_group import OptionGroup
    from engine.securities import Security
    from engine.symbols import Symbol


class TradeBars(DataDictionary[TradeBar]):
    """Trade bars of one minute."""

    __slots__ = ("_minute", "_plan")

    def __init__(self, plan: DayPlan | None = None, minute: int = 0) -> None:
        super().__init__(None if plan is not None else {})
        self._plan = plan
        self._minute = minute

    def _find(self, symbol: Symbol) -> TradeBar | None:
        plan = self._plan
        if plan is None or self._all is not None:
            return self._entries().get(symbol)
        stream = plan.by_symbol.get(symbol)
        if stream is not None:
            return trade_of_stream(stream, plan.ordinal, self._minute)
        if getattr(symbol, "security_type", None) not in OPTION_SECURITY_TYPES:
            return None
        group = plan.groups.get(symbol.canonical)
        member = None if group is None else group.member(symbol)
        return None if member is None or group is None else trade_of_contract(group, member, plan.ordinal, self._minute)

    def _build(self) -> dict[Symbol, TradeBar]:
        plan = self._plan
        found: dict[Symbol, TradeBar] = {}
        if plan is None:
            return found
        for stream in plan.streams:
            bar = trade_of_stream(stream, plan.ordinal, self._minute)
            if bar is not None:
                found[stream.security.symbol] = bar
        for group in plan.groups.values():
            for member in group.members:
                bar = trade_of_contract(group, member, plan.ordinal, self._minute)
                if bar is not None:
                    found[member.symbol] = bar
        return found


class QuoteBars(DataDictionary[QuoteBar]):
    """Quote bars of one minute."""

    __slots__ = ("_minute", "_plan")

    def __init__(self, plan: DayPlan | None = None, minute: int = 0) -> None:
        super().__init__(None if plan is not None else {})
        self._plan = plan
        self._minute = minute

    def _find(self, symbol: Symbol) -> QuoteBar | None:
        plan = self._plan
        if plan is None or self._all is not None:
            return self._entries().get(symbol)
        stream = plan.by_symbol.get(symbol)
        if stream is not None:
            return quote_of_stream(stream, plan.ordinal, self._minute)
        if getattr(symbol, "security_type", None) not in OPTION_SECURITY_TYPES:
            return None
        group = plan.groups.get(symbol.canonical)
        member = None if group is None else group.member(symbol)
        return None if member is None or group is None else quote_of_contract(group, member, plan.ordinal, self._minute)

    def _build(self) -> dict[Symbol, QuoteBar]:
        plan = self._plan
        found: dict[Symbol, QuoteBar] = {}
        if plan is None:
            return found
        for stream in plan.streams:
            bar = quote_of_stream(stream, plan.ordinal, self._minute)
            if bar is not None:
                found[stream.security.symbol] = bar
        for group in plan.groups.values():
            group.all_quotes()
            for member in group.members:
                bar = quote_of_contract(group, member, plan.ordinal, self._minute)
                if bar is not None:
                    found[member.symbol] = bar
        return found


def trade_of_stream(stream: Stream, ordinal: int, minute: int) -> TradeBar | None:
    if minute < stream.first_trade or minute > stream.close_minute:
        return None
    columns = stream.trades
    row = -1 if columns is None else columns.row_at(minute)
    if columns is not None and row >= 0:
        open_price, high, low, close, volume = columns.values[row].tolist()
        begin = stream.begin + MINUTE_OFFSETS[minute]
        return TradeBar(begin, stream.symbol, open_price, high, low, close, volume, stream.bar_period)
    if not stream.subscription.fill_forward:
        return None
    latest = stream.security.latest_trade(ordinal, minute)
    return None if latest is None else trade_bar(stream.security, latest[0], latest[1], ordinal, minute)


def quote_of_stream(stream: Stream, ordinal: int, minute: int) -> QuoteBar | None:
    if minute < stream.first_quote or minute > stream.close_minute:
        return None
    columns = stream.quotes
    row = -1 if columns is None else columns.row_at(minute)
    if columns is not None and row >= 0:
        return quote_bar(stream.security, columns, row, ordinal)
    if not stream.subscription.fill_forward:
        return None
    latest = stream.security.latest_quote(ordinal, minute)
    return None if latest is None else quote_bar(stream.security, latest[0], latest[1], ordinal, minute)


def trade_of_contract(group: OptionGroup, member: Security, ordinal: int, minute: int) -> TradeBar | None:
    columns, row, repeated = group.trade_row(member, minute)
    if columns is None:
        return None
    return trade_bar(member, columns, row, ordinal, minute if repeated else -1)


def quote_of_contract(group: OptionGroup, member: Security, ordinal: int, minute: int) -> QuoteBar | None:
    columns, row, repeated = group.quote_row(member, minute)
    if columns is None:
        return None
    return quote_bar(member, columns, row, ordinal, minute if repeated else -1)
