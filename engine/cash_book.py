"""The account's currencies: USD, settled and unsettled."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.models.views import exact

if TYPE_CHECKING:
    from engine.portfolio import Portfolio


class Cash:
    """One entry of the cash book."""

    __slots__ = ("_portfolio", "_settled", "symbol")

    def __init__(self, portfolio: Portfolio, symbol: str, settled: bool) -> None:
        self._portfolio = portfolio
        self._settled = settled
        self.symbol = symbol

    @property
    def exact_amount(self) -> Decimal:
        """The amount as an exact decimal (the engine's own; LEAN hands out floats)."""
        return self._portfolio.settled if self._settled else self._portfolio.unsettled

    @property
    def amount(self) -> float:
        return float(self.exact_amount)

    @property
    def value_in_account_currency(self) -> float:
        return self.amount

    @property
    def conversion_rate(self) -> float:
        return 1.0

    def set_amount(self, amount: float) -> None:
        self._portfolio.set_cash_amount(exact(amount), settled=self._settled)

    def add_amount(self, amount: float) -> float:
        self._portfolio.set_cash_amount(self.exact_amount + exact(amount), settled=self._settled)
        return self.amount


class CashBook:
    """The account's currencies: USD."""

    __slots__ = ("_cash", "account_currency")

    def __init__(self, portfolio: Portfolio, settled: bool) -> None:
        self.account_currency = "USD"
        self._cash = {"USD": Cash(portfolio, "USD", settled)}

    @property
    def total_value_in_account_currency(self) -> float:
        return self._cash["USD"].amount

    def __getitem__(self, currency: str) -> Cash:
        return self._cash[currency]

    def __contains__(self, currency: object) -> bool:
        return currency in self._cash

    def contains_key(self, currency: str) -> bool:
        return currency in self._cash

    def get(self, currency: str) -> Cash | None:
        return self._cash.get(currency)

    def keys(self) -> list[str]:
        return list(self._cash)

    def values(self) -> list[Cash]:
        return list(self._cash.values())

    def items(self) -> list[tuple[str, Cash]]:
        return list(self._cash.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._cash)

    def __len__(self) -> int:
        return len(self._cash)
