"""The account: exact cash, positions, value, margin, and what a fill does to them.

Cash is an exact Decimal; what an algorithm reads is a float.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

from engine.cash_book import CashBook
from engine.clock import EngineClock
from engine.data_dictionary import KeyValuePair
from engine.enums import OrderDirection, OrderType
from engine.holdings import MONEY_DIGITS, SecurityHolding
from engine.models import margin
from engine.models.expiry import cash_settlement, with_profit
from engine.models.position_groups import PositionGroup, resolve_groups
from engine.models.views import ZERO, exact
from engine.option_security import Option
from engine.orders import OrderEvent
from engine.securities import Security
from engine.security_manager import SecurityManager
from engine.symbols import Symbol

if TYPE_CHECKING:
    from engine.transactions import TransactionManager


class AccountView:
    """The account as margin models see it: exact decimals."""

    __slots__ = ("_portfolio",)

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio

    @property
    def total_portfolio_value(self) -> Decimal:
        return exact(self._portfolio.total_portfolio_value)

    @property
    def unsettled_cash(self) -> Decimal:
        return self._portfolio.unsettled

    @property
    def position_groups(self) -> Sequence[PositionGroup]:
        return self._portfolio.position_groups

    def security(self, symbol: Symbol) -> Security:
        return self._portfolio.securities[symbol]

    def quantity_filled(self, order_id: int) -> float:
        return self._portfolio.filled_quantity(order_id)


class Portfolio:
    """LEAN's SecurityPortfolioManager: cash, holdings by symbol, value and margin."""

    transactions: TransactionManager

    def __init__(self, securities: SecurityManager, clock: EngineClock) -> None:
        self.securities = securities
        self._clock = clock
        self.settled = Decimal(100_000)
        self.unsettled = ZERO
        self.cash_book = CashBook(self, settled=True)
        self.unsettled_cash_book = CashBook(self, settled=False)
        self.view = AccountView(self)
        # Securities with a position, in the order in which they were first held.
        self.held: dict[Symbol, Security] = {}
        self._groups: tuple[PositionGroup, ...] | None = None
        self._groups_of_active = -1
        self._value = 0.0
        self._valued_at = -1
        self._is_valid = False

    # What an algorithm reads.

    @property
    def utc_time(self) -> datetime:
        return self._clock.utc

    @property
    def cash(self) -> float:
        return float(self.settled)

    @property
    def unsettled_cash(self) -> float:
        return float(self.unsettled)

    @property
    def total_portfolio_value(self) -> float:
        """Cash plus holdings at `security.price`; cached until prices, cash or positions change, as in LEAN."""
        if not self._is_valid or self._valued_at != self._clock.stamp:
            value = float(self.settled + self.unsettled)
            active = self.securities.active
            for security in self.held.values():
                # An expired contract is out of the collection that LEAN sums, but its cached value stays until the
                # next slice: the cache is not invalidated when the contract is hidden.
                if security.symbol in active:
                    value += security.holdings.quantity * security.price * security.contract_multiplier
            self._value = round(value, MONEY_DIGITS)
            self._valued_at = self._clock.stamp
            self._is_valid = True
        return self._value

    @property
    def total_portfolio_value_less_free_buffer(self) -> float:
        return self.total_portfolio_value * (1.0 - self.free_portfolio_value_percentage)

    free_portfolio_value_percentage = 0.0025

    @property
    def total_holdings_value(self) -> float:
        return sum(security.holdings.absolute_holdings_value for security in self._held_and_active())

    @property
    def total_absolute_holdings_cost(self) -> float:
        return sum(security.holdings.absolute_holdings_cost for security in self._held_and_active())

    @property
    def total_unrealized_profit(self) -> float:
        return sum(security.holdings.unrealized_profit for security in self._held_and_active())

    @property
    def total_unrealised_profit(self) -> float:
        return self.total_unrealized_profit

    @property
    def invested(self) -> bool:
        return any(security.holdings.invested for security in self._held_and_active())

    @property
    def hold_stock(self) -> bool:
        return self.invested

    @property
    def total_fees(self) -> float:
        return round(sum(security.holdings.total_fees for security in self.securities.total), MONEY_DIGITS)

    @property
    def total_profit(self) -> float:
        return round(sum(security.holdings.profit for security in self.securities.total), MONEY_DIGITS)

    @property
    def total_net_profit(self) -> float:
        return round(self.total_profit - self.total_fees, MONEY_DIGITS)

    @property
    def total_sale_volume(self) -> float:
        return round(sum(security.holdings.total_sale_volume for security in self.securities.total), MONEY_DIGITS)

    @property
    def total_margin_used(self) -> float:
        return float(margin.total_margin_used(self.view)) if self.position_groups else 0.0

    @property
    def margin_remaining(self) -> float:
        return float(margin.margin_remaining(self.view))

    def get_margin_remaining(self, symbol: Symbol | float, direction: OrderDirection = OrderDirection.BUY) -> float:
        if isinstance(symbol, Symbol):
            return float(margin.buying_power(self.view, self.securities[symbol], direction))
        return round(symbol - self.unsettled_cash - self.total_margin_used, MONEY_DIGITS)

    def get_buying_power(self, symbol: Symbol, direction: OrderDirection = OrderDirection.BUY) -> float:
        return self.get_margin_remaining(symbol, direction)

    def set_cash(self, amount: float) -> None:
        self.set_cash_amount(exact(amount), settled=True)

    def __getitem__(self, symbol: Symbol | str) -> SecurityHolding:
        return self.securities[symbol].holdings

    def get(self, symbol: Symbol | str) -> SecurityHolding | None:
        security = self.securities.find(symbol)
        return None if security is None else security.holdings

    def contains_key(self, symbol: Symbol | str) -> bool:
        return symbol in self.securities

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.securities

    def keys(self) -> list[Symbol]:
        return self.securities.keys()

    def values(self) -> list[SecurityHolding]:
        return [security.holdings for security in self.securities.active.values()]

    def items(self) -> list[tuple[Symbol, SecurityHolding]]:
        return [(symbol, security.holdings) for symbol, security in self.securities.active.items()]

    def __iter__(self) -> Iterator[KeyValuePair[SecurityHolding]]:
        return iter([KeyValuePair(symbol, holding) for symbol, holding in self.items()])

    def __len__(self) -> int:
        return len(self.securities)

    @property
    def count(self) -> int:
        return len(self.securities)

    # What the engine does.

    @property
    def position_groups(self) -> tuple[PositionGroup, ...]:
        """Position groups of the visible holdings; kept until a quantity or what is visible changes."""
        if self._groups is None:
            self._groups = resolve_groups(self._held_and_active())
        return self._groups

    def visible_holdings(self) -> list[Security]:
        """Return the securities with a position that iteration sees."""
        return self._held_and_active()

    def _held_and_active(self) -> list[Security]:
        active = self.securities.active
        return [security for symbol, security in self.held.items() if symbol in active]

    def filled_quantity(self, order_id: int) -> float:
        ticket = self.transactions.get_order_ticket(order_id)
        return 0.0 if ticket is None else ticket.quantity_filled

    def keep_value(self) -> None:
        """Compute the value now if it is not cached: it is about to be needed as it was."""
        if self.held:
            float(self.total_portfolio_value)

    def visibility_changed(self) -> None:
        """Forget the groups: a security was hidden from iteration.  The cached value stays, as in LEAN."""
        self._groups = None

    def quantity_changed(self, security: Security) -> None:
        if security.holdings.quantity != 0:
            self.held.setdefault(security.symbol, security)
        else:
            self.held.pop(security.symbol, None)
        self._groups = None
        self._is_valid = False

    def set_cash_amount(self, amount: Decimal, *, settled: bool) -> None:
        if settled:
            self.settled = amount
        else:
            self.unsettled = amount
        self._is_valid = False

    def add_cash(self, amount: Decimal) -> None:
        self.settled += amount
        self._is_valid = False

    def add_unsettled_cash(self, amount: Decimal) -> None:
        self.unsettled += amount
        self._is_valid = False

    def process_fills(self, fills: Sequence[OrderEvent]) -> None:
        """Book fills: money, fee, position, profit (Common/Securities/SecurityPortfolioModel.cs)."""
        for fill in fills:
            self._process_fill(self.securities[fill.symbol], fill)
        self._is_valid = False

    def _process_fill(self, security: Security, fill: OrderEvent) -> None:
        holding = security.holdings
        price, quantity = exact(fill.fill_price), exact(fill.fill_quantity)
        multiplier = exact(security.contract_multiplier)
        holding.total_sale_volume += float(abs(quantity) * price * multiplier)
        fee = exact(fill.order_fee.value.amount)
        if fee:
            holding.total_fees += float(fee)
            self.settled -= fee
        security.settlement_model.apply_funds(self, -quantity * price * multiplier, fill.utc)
        held = holding.quantity
        if (held > 0 and fill.direction is OrderDirection.SELL) or (held < 0 and fill.direction is OrderDirection.BUY):
            self._book_profit(security, fill)
        holding.set_holdings(*_position_after(held, holding.average_price, fill))
        if _is_exercise(fill) and isinstance(security, Option):
            fill.message = with_profit(fill.message, exact(holding.last_trade_profit))

    def _book_profit(self, security: Security, fill: OrderEvent) -> None:
        """Book the profit of a closing fill; at the expiry of a cash-settled option, also its payment."""
        holding = security.holdings
        closed = min(abs(fill.fill_quantity), abs(holding.quantity)) * (-1.0 if fill.fill_quantity > 0 else 1.0)
        unit = closed * security.contract_multiplier
        profit = unit * fill.fill_price - unit * holding.average_price
        ticket = fill.ticket
        if ticket is not None and _is_exercise(fill) and isinstance(security, Option):
            payment = cash_settlement(security, ticket.quantity)
            if payment:
                security.settlement_model.apply_funds(self, payment, fill.utc)
                profit += float(payment)
        profit = round(profit, MONEY_DIGITS)
        holding.trade_profit += profit
        holding.last_trade_profit = profit
        fee = fill.order_fee.value.amount
        self.transactions.add_transaction_record(fill.utc, profit - 2 * fee)

    def __setitem__(self, symbol: Symbol, holding: SecurityHolding) -> NoReturn:
        raise TypeError("portfolio: holdings change through orders only.")


def _is_exercise(fill: OrderEvent) -> bool:
    return fill.ticket is not None and fill.ticket.order_type is OrderType.OPTION_EXERCISE


def _position_after(held: float, average: float, fill: OrderEvent) -> tuple[float, float]:
    """Return average price and quantity after a fill."""
    quantity = held + fill.fill_quantity
    if held == 0:
        return fill.fill_price, quantity
    if (held > 0) == (fill.direction is OrderDirection.BUY):
        return (average * held + fill.fill_quantity * fill.fill_price) / quantity, quantity
    if quantity == 0:
        return 0.0, 0.0
    # Through zero the new position costs what the fill costs; a reduction keeps its average.
    return (fill.fill_price if (quantity > 0) != (held > 0) else average), quantity
