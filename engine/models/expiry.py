"""Expiry of options: when, at what value, and the simulated early assignment.

Sources: Common/Orders/OptionExercise/DefaultExerciseModel.cs, Common/Securities/Option/{DefaultOptionAssignmentModel,
OptionPortfolioModel,OptionSymbol}.cs, BacktestingBrokerage.ProcessAssignmentOrders,
Engine/.../DelistingEventProvider.cs.  An option leaves the account at midnight of its exchange after its last day
(01:00 New York for Chicago), weekends included: one fill at price 0.0, no fee, no tag.  Cash-settled options then
move cash by their intrinsic value at the last close of the underlying; options on stock deliver shares at the
strike.  Settlement on the morning of expiry is not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from engine.enums import OptionRight, OptionStyle, OrderDirection, OrderStatus, OrderType, SecurityType, SettlementType
from engine.models.security_margin import intrinsic_value, moneyness, underlying_of
from engine.models.views import ZERO, SecurityView, SessionClock, exact, plain
from engine.orders import Order, OrderEvent
from engine.symbols import Symbol

OPTION_ASSIGNMENT: Final = "Option Assignment"
OPTION_EXERCISE: Final = "Option Exercise"
EARLY_ASSIGNMENT_TAG: Final = "Simulated option assignment before expiration"
_AUTO_EXERCISE: Final = Decimal("0.01")
_DEEP: Final = Decimal("0.05")
_ONE_DAY: Final = timedelta(days=1)


def exercise_settlement(symbol: Symbol) -> SettlementType:
    """Return how an option settles: index options in cash, others in shares."""
    is_index = symbol.security_type is SecurityType.INDEX_OPTION
    return SettlementType.CASH if is_index else SettlementType.PHYSICAL_DELIVERY


def last_trading_day(symbol: Symbol, clock: SessionClock) -> date:
    """Return the expiry, or the open day before it."""
    day = symbol.id.date.date()
    while not clock.is_date_open(day):
        day -= _ONE_DAY
    return day


def delisting_warning_moment(symbol: Symbol, clock: SessionClock) -> datetime:
    """Return when LEAN warns of the expiry: midnight of the exchange at the start of the last day."""
    return clock.utc(datetime.combine(last_trading_day(symbol, clock), time()))


def expiry_moment(symbol: Symbol, clock: SessionClock) -> datetime:
    """Return when the option leaves the account: midnight of the exchange after the last day."""
    return clock.utc(datetime.combine(last_trading_day(symbol, clock) + _ONE_DAY, time()))


def exercise_quantity(symbol: Symbol, order_quantity: float, unit: float) -> float:
    """Return the shares an exercise order brings; order_quantity is minus what is held."""
    return (-1 if symbol.id.option_right is OptionRight.CALL else 1) * order_quantity * unit


def is_auto_exercised(option: SecurityView) -> bool:
    """Return whether the option is at least a cent in the money at the underlying's last close."""
    return intrinsic_value(option.symbol, exact(underlying_of(option).close)) >= _AUTO_EXERCISE


def expiry_order(option: SecurityView, now: datetime, tag: str | None = None) -> Order:
    """Return the exercise order that closes what is held; it is never submitted, its fill comes at once."""
    return Order(OrderType.OPTION_EXERCISE, option.symbol, -option.holdings.quantity, now, tag=tag)


def exercise(option: SecurityView, order: Order, now: datetime) -> list[OrderEvent]:
    """Return the events of an exercise, expiry or assignment; call it before any of them is booked.

    The option's event has price 0.0 and zero fee; an option that delivers adds the shares at the strike.
    """
    underlying = underlying_of(option)
    in_the_money = is_auto_exercised(option)
    is_assignment = in_the_money and option.holdings.quantity < 0
    action = ("Assigned" if is_assignment else "Automatic Exercise") if in_the_money else "OTM"
    events = [
        OrderEvent(
            order,
            now,
            message=f"{action}. Underlying: {plain(exact(underlying.price))}",
            status=OrderStatus.FILLED,
            fill_quantity=order.quantity,
            is_assignment=is_assignment,
            is_in_the_money=in_the_money,
        )
    ]
    if in_the_money and exercise_settlement(option.symbol) is SettlementType.PHYSICAL_DELIVERY:
        shares = exercise_quantity(option.symbol, order.quantity, option.contract_multiplier)
        delivery = OrderEvent(
            order,
            now,
            message=OPTION_ASSIGNMENT if is_assignment else OPTION_EXERCISE,
            status=OrderStatus.FILLED,
            fill_price=option.symbol.id.strike_price,
            fill_quantity=shares,
            is_in_the_money=True,
        )
        delivery.symbol = underlying.symbol
        delivery.direction = OrderDirection.BUY if shares > 0 else OrderDirection.SELL
        events.append(delivery)
    return events


def with_profit(message: str, profit: Decimal) -> str:
    """Return the message as LEAN leaves it once the fill is booked and the trade's profit is known."""
    return f"{message}. Profit: +{plain(profit)}" if profit >= 0 else f"{message}. Loss: {plain(profit)}"


def assignment_message(event: OrderEvent, tag: str | None) -> str:
    """Return the message that `on_assignment_order_event` sees."""
    if not tag:
        return event.message
    return f"{event.message}. {tag}" if event.message else tag


def cash_settlement(option: SecurityView, order_quantity: float) -> Decimal:
    """Return the cash an exercise moves, negative when it is paid; 0 for options that deliver."""
    if exercise_settlement(option.symbol) is not SettlementType.CASH:
        return ZERO
    value = intrinsic_value(option.symbol, exact(underlying_of(option).close))
    return -value * exact(option.contract_multiplier) * exact(order_quantity)


# -- early assignment ------------------------------------------------------------------------------------------------


class Assignment(NamedTuple):
    """Contracts assigned (unsigned) and the tag of the exercise order."""

    quantity: float
    tag: str


class OptionAssignmentModel(Protocol):
    def get_assignment(self, option: SecurityView, now: datetime) -> Assignment | None: ...


class NullOptionAssignmentModel:
    """Nobody exercises early."""

    def get_assignment(self, option: SecurityView, now: datetime) -> Assignment | None:
        return None


class DefaultOptionAssignmentModel:
    """Assign short options deep in the money: American ones up to four days before expiry, European ones on that day.

    European options can not be exercised early at all; LEAN assigns them all the same.  It also counts the contract
    multiplier twice in the exerciser's gain, so that its test of a gain passes for every option deep in the money.
    """

    def __init__(
        self, required_in_the_money_percent: float = float(_DEEP), prior_expiration: timedelta | None = None
    ) -> None:
        self._deep = exact(required_in_the_money_percent)
        self._prior = timedelta(days=4) if prior_expiration is None else prior_expiration

    def get_assignment(self, option: SecurityView, now: datetime) -> Assignment | None:
        local = option.clock.local(now)
        sid = option.symbol.id
        if sid.option_style is OptionStyle.AMERICAN:
            is_due = sid.date - local <= self._prior
        else:
            is_due = sid.date.date() == local.date()
        spot = exact(underlying_of(option).close)
        if not is_due or spot == 0 or moneyness(option.symbol, spot) / spot <= self._deep:
            return None
        if _gain_of_exercise(option, now) <= 0:
            return None
        return Assignment(abs(option.holdings.quantity), EARLY_ASSIGNMENT_TAG)


def next_assignment_scan(now: datetime) -> datetime:
    """Return the next full hour; the first scan of a run is at its first step."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def short_options(securities: Iterable[SecurityView]) -> list[SecurityView]:
    """Return the short options in the order LEAN scans them for assignment: by option ticker."""
    short = [security for security in securities if security.type.is_option and security.holdings.quantity < 0]
    return sorted(short, key=lambda security: security.symbol.id.symbol)


def _gain_of_exercise(option: SecurityView, now: datetime) -> Decimal:
    """Return what the holder of the other side gains by exercising over selling, as LEAN estimates it."""
    underlying = underlying_of(option)
    held = option.holdings
    contracts, average = exact(held.quantity), exact(held.average_price)
    multiplier = exact(option.contract_multiplier)
    buy_back = Order(OrderType.MARKET, option.symbol, -held.quantity, now)
    sell_now = (exact(option.bid_price) - average) * -contracts * multiplier - option.fee_model.get_order_fee(
        option, buy_back
    )
    shares = exercise_quantity(option.symbol, held.quantity, option.contract_multiplier)
    is_call = option.symbol.id.option_right is OptionRight.CALL
    fees = option.fee_model.get_order_fee(
        option, Order(OrderType.OPTION_EXERCISE, option.symbol, abs(held.quantity), now)
    )
    if exercise_settlement(option.symbol) is SettlementType.PHYSICAL_DELIVERY:
        fees += underlying.fee_model.get_order_fee(underlying, Order(OrderType.MARKET, underlying.symbol, -shares, now))
    # The moneyness at the price at which the shares could be sold or bought; signed like the exercise.
    price = exact(underlying.bid_price if is_call else underlying.ask_price)
    proceeds = moneyness(option.symbol, price) * (1 if is_call else -1) * exact(shares) * multiplier
    return proceeds - fees - average * abs(contracts) * multiplier - sell_now
