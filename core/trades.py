"""A trade: a structure with an id, from its INTENT to flat.  The books change it; everyone else reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from core.reasons import Reason
from core.trade_machine import Balance, TradeState
from core.values import value
from core.vocabulary import U6, ExitPlan, RiskBasis, Structure


@dataclass(slots=True)
class Trade:
    """Holdings, cash and state of one trade.

    legs holds signed contracts or shares, zeros removed; opened_legs the signed sums of its opening fills.  cash_u6 is
    the net cash of all fills and expiries, entry_cash_u6 the part of its openings, both + received and before fees.
    approved_units, risk_u6 and margin_u6 are what its INTENT approved, all units together; risk_u6 is 0 only for the
    FAMILY basis, which declares none; declared_nakeds the sold contracts that the approved units leave without cover.
    """

    id: str
    strategy: str
    structure: Structure
    approved_units: int
    risk_u6: int
    margin_u6: int
    planned: datetime
    risk_basis: RiskBasis = RiskBasis.MAX_LOSS
    declared_nakeds: Mapping[str, int] = field(default_factory=dict)
    state: TradeState = TradeState.PLANNED
    deadline: datetime | None = None
    legs: dict[str, int] = field(default_factory=dict)
    opened_legs: dict[str, int] = field(default_factory=dict)
    entry_cash_u6: int = 0
    cash_u6: int = 0
    fees_u6: int = 0
    opened: datetime | None = None
    last_fill: datetime | None = None
    closed: datetime | None = None
    exit_reason: Reason | None = None
    exit_plan: ExitPlan | None = None
    stopped_on: date | None = None
    uncovered_since: datetime | None = None
    exit_pending: bool = False
    deadlines_passed: int = 0
    repairs: int = 0
    closings: int = 0
    expired: bool = False
    result_written: bool = False

    @property
    def day(self) -> date:
        """The session of its plan, as its id names it."""
        return day_of(self.id, self.planned)

    @property
    def is_flat(self) -> bool:
        return not self.legs

    @property
    def units(self) -> int:
        """Balanced units held: min over the legs of floor(held / ratio)."""
        return _units(self.structure, self.legs)

    @property
    def opened_units(self) -> int:
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
    def is_unbalanced(self) -> bool:
        """Whether something is held that is not a whole number of units."""
        return self.balance is Balance.UNBALANCED

    @property
    def pending_units(self) -> int:
        """Approved units that a working opening may still fill."""
        working = self.state in (TradeState.PLANNED, TradeState.ENTERING)
        return self.approved_units - self.opened_units if working else 0

    @property
    def pnl_u6(self) -> int:
        """Cash of all fills and expiries less fees: the result once the trade is flat."""
        return self.cash_u6 - self.fees_u6

    @property
    def entry_risk_u6(self) -> int:
        """Risk of what was opened: the approved risk in proportion to the units; of shares the cash that was paid."""
        if self.risk_basis is RiskBasis.FAMILY:
            return max(0, -self.entry_cash_u6)
        return self.risk_u6 * self.opened_units // self.approved_units

    @property
    def entry_cash(self) -> float:
        """Net cash per opened unit in points (credit +, debit -); 0 while no whole unit is filled."""
        units = self.opened_units
        return self.entry_cash_u6 / (units * self.structure.multiplier * U6) if units else 0.0

    @property
    def short_premium(self) -> bool:
        """It sells options for a credit: by what was received; before any fill, by what its legs can come to owe."""
        if not self.structure.shorts or not self.structure.expiries:
            return False
        if self.opened_legs:
            return self.entry_cash_u6 > 0
        floor = self.structure.worst_payoff()
        return floor is None or floor < 0


@value
class ClosingMark:
    """Equity by the last mark of one day, and the sum of external flows up to then; micro-dollars."""

    day: date
    equity_u6: int
    flows_u6: int


@dataclass(frozen=True, slots=True)
class OpenBreak:
    """A difference between book and broker that is not cleared (of cash: in micro-dollars), and what it locks."""

    symbol: str
    book_qty: int
    broker_qty: int
    locked: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Sold contracts (> 0) of one trade that nothing covers."""

    trade: str
    symbol: str
    contracts: int


def day_of(trade: str, planned: datetime) -> date:
    """Return the session that a trade's id names (`<strategy>-<yyyymmdd>-<n>`), else the day of its plan."""
    _strategy, _, rest = trade.rpartition("-")[0].rpartition("-")
    try:
        return date.fromisoformat(rest)
    except ValueError:
        return planned.date()


def _units(structure: Structure, held: Mapping[str, int]) -> int:
    least: int | None = None
    for leg in structure.legs:
        units = held.get(leg.instrument.symbol, 0) // leg.ratio
        if least is None or units < least:
            least = units
    return max(0, least or 0)
