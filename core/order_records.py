"""Intents and orders as the ledger tells them: ids that are never used again, what was filled, what has no end yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core.errors import LedgerError
from core.vocabulary import OrderOutcome, Purpose

PURPOSES: Final = {item.value: item for item in Purpose}
"""Value -> member: a record has the member or, read back from its line, the value, which is equal."""


class OrderRecords:
    """The fold of INTENT, ORDER_INTENT, ORDER_OUTCOME and the ids of FILL.

    orders: id -> (trade, purpose, attempt); legs: id -> ordered, filled: id -> filled signed quantity per symbol;
    outcomes: id -> the last word; intents: id -> (trade, purpose).
    """

    def __init__(self) -> None:
        self.orders: dict[str, tuple[str, Purpose, int]] = {}
        self.outcomes: dict[str, OrderOutcome] = {}
        self.legs: dict[str, Mapping[str, int]] = {}
        self.filled: dict[str, dict[str, int]] = {}
        self.intents: dict[str, tuple[str, Purpose]] = {}
        self._working: dict[str, str] = {}
        self._attempts: dict[tuple[str, Purpose], int] = {}
        self._fill_ids: set[str] = set()
        self._fills: dict[str, int] = {}

    def working(self, trade: str | None = None) -> tuple[str, ...]:
        return tuple([order for order, owner in self._working.items() if trade is None or trade == owner])

    def attempts(self, trade: str, purpose: Purpose) -> int:
        return self._attempts.get((trade, purpose), 0)

    def fills_of(self, order: str) -> int:
        return self._fills.get(order, 0)

    def plan(self, fields: Mapping[str, Any]) -> None:
        """Take ORDER_INTENT in.  Raises LedgerError for an id that was used before."""
        order, trade, purpose = fields["order"], fields["trade"], PURPOSES[fields["purpose"]]
        if order in self.orders:
            raise LedgerError(f"ORDER_INTENT.order = {order!r}: expected an id that was never used.")
        self.orders[order] = (trade, purpose, fields["attempt"])
        self.legs[order] = {leg["symbol"]: leg["qty"] for leg in fields["legs"]}
        self._working[order] = trade
        self._attempts[(trade, purpose)] = max(self.attempts(trade, purpose), fields["attempt"])

    def end(self, order: str, outcome: OrderOutcome) -> None:
        """Take ORDER_OUTCOME in; UNRESOLVED is no end."""
        self.outcomes[order] = outcome
        if outcome is not OrderOutcome.UNRESOLVED:
            self._working.pop(order, None)

    def owner(self, fields: Mapping[str, Any]) -> tuple[str, Purpose]:
        """Return trade and purpose of the order that a FILL belongs to.

        Raises LedgerError for an order, a leg or a fill id that does not fit.
        """
        order, symbol = fields["order"], fields["symbol"]
        trade, purpose, _attempt = self.orders.get(order, ("", Purpose.OPEN, 0))
        if trade != fields["trade"] or symbol not in self.legs[order]:
            raise LedgerError(f"FILL.order = {order!r}: expected an order of {fields['trade']} with a leg in {symbol}.")
        if fields["fill"] in self._fill_ids:
            raise LedgerError(f"FILL.fill = {fields['fill']!r}: this fill is booked already.")
        return trade, purpose

    def fill(self, fields: Mapping[str, Any]) -> None:
        order, symbol = fields["order"], fields["symbol"]
        self._fill_ids.add(fields["fill"])
        self._fills[order] = self._fills.get(order, 0) + 1
        filled = self.filled.setdefault(order, {})
        filled[symbol] = filled.get(symbol, 0) + fields["qty"]
