"""Splits and dividends of subscribed equities: when they are due, and what they do to the account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.enums import DataNormalizationMode, OrderType, SecurityType, SplitType
from engine.market_bars import Dividend, Split
from engine.models.views import exact
from engine.option_security import Option
from engine.orders import LIMIT_TYPES, STOP_TYPES, OrderField, UpdateOrderFields
from engine.securities import Security
from engine.tickets import SubmitOrderRequest

if TYPE_CHECKING:
    from engine.state import EngineState
    from engine.symbols import Symbol

_CASH_DIVIDENDS = frozenset({DataNormalizationMode.RAW, DataNormalizationMode.SPLIT_ADJUSTED})


@dataclass(slots=True)
class DayEvents:
    """Corporate events of one midnight."""

    splits: dict[Symbol, Split] = field(default_factory=dict)
    dividends: dict[Symbol, Dividend] = field(default_factory=dict)


class CorporateCalendar:
    """Knows the corporate events of a run.

    LEAN warns of a split at the midnight before the last session on the old shares, and reports split and dividend at
    the midnight of the first session after; both in all normalization modes, but the account changes for raw prices
    only.
    """

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine
        self._days: dict[date, DayEvents] = {}
        self._known: set[Symbol] = set()
        self._warned: list[Split] = []

    def learn(self, security: Security) -> None:
        """Read the events of an equity that was subscribed."""
        symbol = security.symbol
        if security.type is not SecurityType.EQUITY or symbol in self._known:
            return
        self._known.add(symbol)
        for split in self._engine.source.splits(symbol):
            last_old_day = security.hours.get_previous_trading_day(split.day).date()
            for day, kind in ((last_old_day, SplitType.WARNING), (split.day, SplitType.SPLIT_OCCURRED)):
                event = Split(symbol, _midnight(day), split.reference_price, split.split_factor, kind)
                # An occurrence outranks the warning of another split on the same day.
                known = self._events(day).splits
                if kind is SplitType.SPLIT_OCCURRED or symbol not in known:
                    known[symbol] = event
        for dividend in self._engine.source.dividends(symbol):
            self._events(dividend.day).dividends[symbol] = Dividend(
                symbol, _midnight(dividend.day), dividend.distribution, dividend.reference_price
            )

    def on(self, day: date) -> DayEvents | None:
        """Return the events of a day's midnight, those of subscribed equities only."""
        found = self._days.get(day)
        if found is None:
            return None
        subscribed = self._engine.feed.subscribed
        splits = {symbol: self._as_told(event) for symbol, event in found.splits.items() if symbol in subscribed}
        dividends = {symbol: event for symbol, event in found.dividends.items() if symbol in subscribed}
        return DayEvents(splits, dividends) if splits or dividends else None

    def _as_told(self, split: Split) -> Split:
        """LEAN's warning carries the last price, the occurrence the price of the factor file."""
        if split.type is not SplitType.WARNING:
            return split
        price = self._engine.securities[split.symbol].price
        return Split(split.symbol, split.time, price, split.split_factor, split.type)

    def _events(self, day: date) -> DayEvents:
        return self._days.setdefault(day, DayEvents())

    def apply(self, events: DayEvents) -> None:
        """Change cash, positions and working orders, before the algorithm hears of it."""
        engine = self._engine
        if engine.is_warming_up:
            return
        for symbol, dividend in events.dividends.items():
            security = engine.securities[symbol]
            if security.subscription.normalization in _CASH_DIVIDENDS:
                amount = exact(security.holdings.quantity) * exact(dividend.distribution)
                engine.portfolio.add_cash(amount)
                security.holdings.total_dividends += float(amount)
        for symbol, split in events.splits.items():
            if split.type is SplitType.WARNING:
                self._warned.append(split)
            elif engine.securities[symbol].subscription.normalization is DataNormalizationMode.RAW:
                self._split(engine.securities[symbol], split)

    def _split(self, security: Security, split: Split) -> None:
        engine = self._engine
        factor = split.split_factor
        holding = security.holdings
        shares = holding.quantity / factor
        whole = float(int(shares))
        has_data = security.has_data
        security.apply_split(factor)
        holding.set_holdings(holding.average_price * factor, whole)
        # The fraction is paid out at the new price.
        price = security.price if has_data else split.reference_price * factor
        engine.portfolio.add_cash(exact(shares - whole) * exact(price) if shares != whole else Decimal(0))
        for ticket in engine.transactions.get_open_order_tickets(security.symbol):
            fields = UpdateOrderFields()
            fields.quantity = int(ticket.quantity / factor)
            if ticket.order_type in LIMIT_TYPES and ticket.order_type is not OrderType.COMBO_LEG_LIMIT:
                fields.limit_price = ticket.get(OrderField.LIMIT_PRICE) * factor
            if ticket.order_type in STOP_TYPES:
                fields.stop_price = ticket.get(OrderField.STOP_PRICE) * factor
            ticket.update(fields)

    def close_options_before_split(self) -> None:
        """From the last moment for MarketOnClose orders on, close options on a stock that splits overnight."""
        engine = self._engine
        for split in list(self._warned):
            security = engine.securities[split.symbol]
            close = security.clock.next_close(engine.clock.utc)
            if (close - engine.clock.utc).total_seconds() > 16 * 60:
                continue
            self._warned.remove(split)
            for option in self._held_options(split.symbol):
                engine.transactions.cancel_open_orders(
                    option.symbol,
                    "Canceled due to impending split. Separate MarketOnClose order submitted to liquidate position.",
                )
                request = SubmitOrderRequest(
                    OrderType.MARKET_ON_CLOSE,
                    option.symbol,
                    -option.holdings.quantity,
                    engine.clock.utc,
                    tag="Liquidated due to impending split. Option splits are not currently supported.",
                )
                engine.transactions.add_order(request)
                option.is_tradable = False
                engine.debug(
                    f"MarketOnClose order submitted for option contract '{option.symbol}' due to impending "
                    f"{split.symbol.value} split event. Option splits are not currently supported."
                )

    @property
    def has_warnings(self) -> bool:
        return bool(self._warned)

    def _held_options(self, underlying: Symbol) -> Iterator[Option]:
        for security in list(self._engine.portfolio.held.values()):
            if isinstance(security, Option) and security.symbol.underlying is underlying:
                yield security


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
