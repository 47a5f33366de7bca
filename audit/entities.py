"""What a replay keeps of intents, orders, trades, marks and the fill at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from audit.contracts import Contract, contract, without_cover
from audit.trade_table import ENDED
from audit.words import OPENING


@dataclass(slots=True)
class Intent:
    """An intent as it was written, and what its orders have used of it."""

    id: str
    trade: str
    book: str
    purpose: str
    structure: str
    legs: dict[str, int]
    mults: dict[str, int]
    qty: int
    basis: str
    max_loss_u6: int | None
    us: int
    seq: int
    verdict: bool | None = None
    first_allowed: bool = False
    used: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    live: int = 0
    filled: bool = False

    @property
    def adds_risk(self) -> bool:
        return self.purpose in OPENING


@dataclass(slots=True)
class Order:
    """An order from its intent to its end; filled and cash_u6 (received +, per point) are what its fills say."""

    id: str
    intent: str
    trade: str
    book: str
    purpose: str
    type: str
    legs: dict[str, int]
    units: int
    limit_u6: int | None
    deadline_us: int
    seq: int
    us: int
    sent_us: int = -1
    sent_seq: int = -1
    filled: dict[str, int] = field(default_factory=dict)
    cash_u6: int = 0
    outcome: str = ""
    ended_us: int = -1
    unbalanced_us: int = -1

    @property
    def is_final(self) -> bool:
        return self.ended_us >= 0

    @property
    def is_working(self) -> bool:
        return self.sent_us >= 0 and self.ended_us < 0

    @property
    def filled_units(self) -> int:
        """Whole units that every leg has filled."""
        return min(abs(self.filled.get(symbol, 0)) // (abs(qty) // self.units) for symbol, qty in self.legs.items())

    @property
    def is_balanced(self) -> bool:
        if len(self.legs) == 1:
            return True
        units = self.filled_units
        return all(
            abs(self.filled.get(symbol, 0)) == abs(qty) // self.units * units for symbol, qty in self.legs.items()
        )

    def left(self, symbol: str) -> int:
        return self.legs.get(symbol, 0) - self.filled.get(symbol, 0)


@dataclass(slots=True)
class Trade:
    """A structure with an id, from its intent to flat."""

    id: str
    book: str
    structure: str
    basis: str
    declared: dict[str, int]
    us: int
    day: date
    state: str = "PLANNED"
    deadline_us: int = -1
    held: dict[str, int] = field(default_factory=dict)
    cash_u6: int = 0
    fees_u6: int = 0
    first_fill_us: int = -1
    first_sent_us: int = -1
    repaired_us: int = -1
    ended_us: int = -1
    intents: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.state in ENDED

    @property
    def is_option_trade(self) -> bool:
        return self.structure != "SHARES"

    def uncovered(self) -> dict[str, int]:
        """Return sold contracts whose promised cover is missing: symbol -> contracts."""
        if not any(qty < 0 for qty in self.held.values()):
            return {}
        legs = []
        for symbol, qty in self.held.items():
            promised_naked = self.declared.get(symbol, 0)
            legs.append((contract(symbol), qty if qty > 0 else min(0, qty + promised_naked)))
        return without_cover(legs)


@dataclass(slots=True)
class Mark:
    """The last MARK."""

    us: int
    seq: int
    px: dict[str, list[int]]
    equity_u6: int


@dataclass(slots=True)
class FillFacts:
    """What the fill at hand did: positions of account and book before and after it."""

    order: Order | None
    trade: Trade | None
    exec_us: int
    account_before: int
    account_after: int
    book_before: int
    book_after: int
    item: Contract
