"""What the models see of the engine: small protocols that the engine's own objects satisfy.

Units: prices are floats in USD (index points for indices), as in the engine's columns; money is an exact `Decimal` in
USD; quantities are signed and whole.  Every moment is a naive UTC datetime, as in orders and events.  The names are
LEAN's, so that a `Security` fits without an adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.enums import SecurityType
from engine.orders import Order
from engine.symbols import Symbol

if TYPE_CHECKING:
    from engine.models.position_groups import PositionGroup

ZERO = Decimal(0)

# Quotes have four decimals at most and mids five; eight keep every price and undo the noise of float means.
_PRICE_UNITS = 10**8
_PRICE_DIGITS = -8


def exact(number: float) -> Decimal:
    """Return the decimal number a float stands for, to eight decimals: 0.1 + 0.2 gives 0.3."""
    return Decimal(round(number * _PRICE_UNITS)).scaleb(_PRICE_DIGITS)


def plain(number: Decimal) -> str:
    """Return the number without exponent and trailing zeros, as LEAN writes decimals in messages."""
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class PriceBar(NamedTuple):
    """Prices of one side (trades, bids or asks) over one bar."""

    open: float
    high: float
    low: float
    close: float
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class QuoteView:
    """Last quote bar of a security; a side that had no quote is None."""

    bid: PriceBar | None
    ask: PriceBar | None
    start: datetime
    end: datetime


class SessionClock(Protocol):
    """Regular hours of one exchange.  `local` values are naive exchange time, everything else is UTC."""

    @property
    def time_zone(self) -> str: ...

    def local(self, utc: datetime) -> datetime: ...

    def is_open(self, utc: datetime) -> bool:
        """Return whether the regular session is open; its last instant is closed."""
        ...

    def is_date_open(self, day: date) -> bool: ...

    def next_open(self, utc: datetime) -> datetime:
        """Return the first start of a regular session after the moment."""
        ...

    def next_close(self, utc: datetime) -> datetime:
        """Return the first end of a regular session after the moment."""
        ...

    def close_of_day(self, utc: datetime) -> datetime:
        """Return the last regular close of the local date, of the next open date if that is past or there is none."""
        ...

    def utc(self, local: datetime) -> datetime: ...


class HoldingView(Protocol):
    @property
    def quantity(self) -> float: ...

    @property
    def average_price(self) -> float: ...


class FeeModel(Protocol):
    def get_order_fee(self, security: SecurityView, order: Order) -> Decimal:
        """Return what the order costs in USD, never negative."""
        ...


class InitialMargin(NamedTuple):
    """Margin needed to open: LEAN adds an option's premium to it only when it is paid, and keeps both numbers."""

    value: Decimal
    without_premium: Decimal


class BuyingPowerModel(Protocol):
    """Margin of one security on its own."""

    def initial_margin(self, security: SecurityView, quantity: float) -> InitialMargin:
        """Return the margin to open `quantity`; signed like the quantity, as in LEAN."""
        ...

    def initial_margin_for_order(self, security: SecurityView, order: Order) -> Decimal: ...

    def maintenance_margin(self, security: SecurityView, quantity: float) -> Decimal:
        """Return the margin to hold `quantity` at the current price, never negative."""
        ...

    def holdings_margin(self, security: SecurityView) -> Decimal:
        """Return the margin of what the security holds."""
        ...

    @property
    def leverage(self) -> float: ...


class SecurityView(Protocol):
    """A security as margin, fee and fill models see it."""

    @property
    def symbol(self) -> Symbol: ...

    @property
    def type(self) -> SecurityType: ...

    @property
    def price(self) -> float: ...

    @property
    def open(self) -> float: ...

    @property
    def high(self) -> float: ...

    @property
    def low(self) -> float: ...

    @property
    def close(self) -> float: ...

    @property
    def bid_price(self) -> float: ...

    @property
    def ask_price(self) -> float: ...

    @property
    def holdings(self) -> HoldingView: ...

    @property
    def contract_multiplier(self) -> float: ...

    @property
    def lot_size(self) -> float: ...

    @property
    def minimum_price_variation(self) -> float:
        """Tick of the symbol properties table; see `ticks.price_increment` for the tick that applies."""
        ...

    @property
    def is_adjusted(self) -> bool:
        """Whether prices are adjusted for splits and dividends: LEAN then rounds no order price."""
        ...

    @property
    def is_tradable(self) -> bool: ...

    @property
    def underlying(self) -> SecurityView | None: ...

    @property
    def fee_model(self) -> FeeModel: ...

    @property
    def buying_power_model(self) -> BuyingPowerModel: ...

    @property
    def clock(self) -> SessionClock: ...

    @property
    def last_trade(self) -> PriceBar | None:
        """Last trade bar delivered, None without trade subscription or data."""
        ...

    @property
    def last_quote(self) -> QuoteView | None:
        """Last quote bar delivered, None without quote subscription or data."""
        ...

    @property
    def has_trades(self) -> bool:
        """Whether trade bars are subscribed to."""
        ...

    @property
    def has_quotes(self) -> bool:
        """Whether quote bars are subscribed to."""
        ...

    @property
    def bar_span(self) -> timedelta:
        """Period of the finest subscription."""
        ...


class PortfolioView(Protocol):
    """The account as the margin model sees it.

    `position_groups` is `resolve_groups` of the holdings: keep it until a quantity changes.
    """

    @property
    def total_portfolio_value(self) -> Decimal: ...

    @property
    def unsettled_cash(self) -> Decimal: ...

    @property
    def position_groups(self) -> Sequence[PositionGroup]: ...

    def security(self, symbol: Symbol) -> SecurityView: ...

    def quantity_filled(self, order_id: int) -> float:
        """Return what the order's ticket has filled so far."""
        ...
