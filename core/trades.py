"""A trade: a structure with an id, from its INTENT to flat.  The books change it; everyone else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from core.reasons import Reason
from core.trade_machine import TradeState
from core.vocabulary import U6, ExitPlan, Purpose, RiskBasis, Structure


class Balance(StrEnum):
    """What the legs of a trade amount to."""

    NONE = "NONE"
    BALANCED = "BALANCED"
    UNBALANCED = "UNBALANCED"


@dataclass(slots=True)
class Trade:
    """Holdings, cash and state of one trade.

    legs holds signed contracts or shares, zeros removed; opened the signed sums of its opening fills.  entry_cash_u6 is the net cash of opening
    fills, exit_cash_u6 that of closing fills and expiries, both + received and before fees.  approved_risk_u6 is for all approved units.
    """

    id: str
    strategy: str
    structure: Structure
    approved_units: int
    planned: datetime
    risk_basis: RiskBasis = RiskBasis.MAX_LOSS
    approved_risk_u6: int | None = None
    state: TradeState = TradeState.PLANNED
    since: datetime = datetime.min
    deadline: datetime | None = None
    legs: dict[str, int] = field(default_factory=dict)
    opened_legs: dict[str, int] = field(default_factory=dict)
    entry_cash_u6: int = 0
    exit_cash_u6: int = 0
    fees_u6: int = 0
    opened: datetime | None = None
    last_fill: datetime | None = None
    closed: datetime | None = None
    exit_reason: Reason | None = None
    exit_plan: ExitPlan | None = None
    uncovered_since: datetime | None = None
    repairs: int = 0
    overdue: int = 0

    @property
    def is_open(self) -> bool:
        """Neither CLOSED nor CANCELLED: it holds something or still may."""
        return not self.state.is_end

    @property
    def is_flat(self) -> bool:
        return not self.legs

    @property
    def units(self) -> int:
        """Balanced units held: min over the legs of floor(held / ratio)."""
        return _units(self.structure, self.legs)

    @property
    def entry_units(self) -> int:
        """Balanced units that were ever opened."""
        return _units(self.structure, self.opened_legs)

    @property
    def balance(self) -> Balance:
        if not self.legs:
            return Balance.NONE
        units = self.units
        exact = {leg.symbol: leg.ratio * units for leg in self.structure.legs}
        return Balance.BALANCED if units > 0 and self.legs == exact else Balance.UNBALANCED

    @property
    def entry_cash_points(self) -> float | None:
        """Net cash per unit of the average opening fill, points: + a credit, - a debit; None before a whole unit is filled."""
        units = self.entry_units
        if units <= 0:
            return None
        return self.entry_cash_u6 / (units * self.structure.multiplier * U6)

    @property
    def pnl_u6(self) -> int:
        """Cash of fills and expiries less fees; the result of the trade once it is flat."""
        return self.entry_cash_u6 + self.exit_cash_u6 - self.fees_u6

    @property
    def risk_u6(self) -> int:
        """Entry risk of what was filled: the approved risk in proportion; where none was declared, the cash that was paid."""
        if self.approved_risk_u6 is None:
            return max(0, -self.entry_cash_u6)
        return self.approved_risk_u6 * self.entry_units // self.approved_units

    @property
    def unit_risk_usd(self) -> float:
        """Approved risk of one unit, USD; 0 where none was declared (shares of the rotation family)."""
        return 0.0 if self.approved_risk_u6 is None else self.approved_risk_u6 / self.approved_units / U6

    @property
    def short_premium(self) -> bool:
        """It sold options for a credit: by what was received, before any fill by what its legs can come to owe."""
        if not self.structure.shorts:
            return False
        if self.opened_legs:
            return self.entry_cash_u6 > 0
        floor = self.structure.worst_payoff()
        return floor is None or floor < 0

    @property
    def expiries(self) -> tuple[date, ...]:
        return self.structure.expiries


@dataclass(slots=True)
class WorkingOrder:
    """One order as the ledger tells it: ordered and filled signed quantities per symbol; limit_u6 net cash per unit."""

    order: str
    intent: str
    trade: str
    book: str
    purpose: Purpose
    attempt: int
    legs: Mapping[str, int]
    limit_u6: int | None
    deadline: datetime
    planned: datetime
    sent: datetime | None = None
    status: str = ""
    filled: dict[str, int] = field(default_factory=dict)
    unresolved_since: datetime | None = None

    def left(self, symbol: str) -> int:
        """Return the signed quantity that may still fill."""
        return self.legs.get(symbol, 0) - self.filled.get(symbol, 0)


@dataclass(frozen=True, slots=True)
class OpenBreak:
    """A difference between book and broker that is not cleared: quantities (for cash micro-dollars) and what it locks."""

    symbol: str
    book_qty: int
    broker_qty: int
    locked: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Close:
    """Equity at the end of one day, by its closing mark, and the external flows booked until then (micro-dollars)."""

    day: date
    equity_u6: int
    flows_u6: int


def _units(structure: Structure, held: Mapping[str, int]) -> int:
    return max(0, min(held.get(leg.symbol, 0) // leg.ratio for leg in structure.legs))
