"""The words of the system: one word per thing, each an immutable value.

Units: prices in points of the instrument (USD per share or index point), money in USD unless a name ends in `_u6`
(integer micro-dollars, exact), quantities in whole signed contracts or shares (buy +), times naive New York.

Sign of a price.  A structure is traded as its legs say (ratio + bought, - sold).  Its **net cash** is what one unit
brings in points: + for a sale (credit), - for a purchase (debit).  Every ladder, limit and comparison is done in net
cash, so that one formula serves both sides; only the broker edge turns it into the broker's convention.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, IntEnum, StrEnum
from itertools import pairwise
from typing import Final

from core.errors import VocabularyError
from core.reasons import Reason
from core.values import value

Number = int | float
Detail = Mapping[str, str | int | float]
"""Numbers and words behind a verdict; the ledger stores them as strings or integers."""

U6: Final = 1_000_000


def to_u6(usd: float) -> int:
    """Return USD as integer micro-dollars, rounded half away from zero (prices have at most four decimals)."""
    scaled = usd * U6
    return int(scaled + 0.5) if scaled >= 0 else -int(0.5 - scaled)


class Right(StrEnum):
    CALL = "C"
    PUT = "P"


class Kind(StrEnum):
    SHARE = "SHARE"
    OPTION = "OPTION"


class Purpose(StrEnum):
    """What an order is for; part of every order id."""

    adds_risk: bool

    OPEN = "OPEN"
    ADD = "ADD"
    CLOSE = "CLOSE"
    REDUCE = "REDUCE"
    ROLL = "ROLL"
    SWEEP = "SWEEP"
    REPAIR = "REPAIR"
    FLATTEN = "FLATTEN"

    def __init__(self, name: str) -> None:
        self.adds_risk = name in ("OPEN", "ADD", "ROLL")


class IntentKind(StrEnum):
    """What a strategy wants.  A TARGET becomes OPEN, ADD, CLOSE or REDUCE in the family reconciler."""

    OPEN = "OPEN"
    ADD = "ADD"
    CLOSE = "CLOSE"
    REDUCE = "REDUCE"
    ROLL = "ROLL"
    TARGET = "TARGET"


class Ladder(IntEnum):
    """How an order is worked, by urgency.  A more urgent trigger upgrades the ladder, nothing downgrades it."""

    ENTRY = 0
    TARGET = 1
    URGENT = 2
    FLATTEN = 3


class Gate(StrEnum):
    """The gates of an opening, in the order in which they are asked; the first refusal wins."""

    LIFECYCLE = "lifecycle"
    SESSION = "session"
    STRATEGY = "strategy"
    DATA = "data"
    VIX = "vix"
    EVENTS = "events"
    CORRELATION = "correlation"
    CONCENTRATION = "concentration"
    BREAKER = "breaker"
    DRAWDOWN = "drawdown"
    EMERGENCY = "emergency"
    GREEKS = "greeks"
    PHASE = "phase"
    MARGIN = "margin"
    SIZER = "sizer"
    INVARIANTS = "invariants"


class SessionPhase(StrEnum):
    """Where in the trading day; boundaries hang on the exchange's open O and close X, never on the wall clock."""

    market_open: bool

    PRE_OPEN = "PRE_OPEN"
    OPENING = "OPENING"
    REGULAR = "REGULAR"
    LATE = "LATE"
    FLATTEN = "FLATTEN"
    FINAL = "FINAL"
    CLOSED = "CLOSED"

    def __init__(self, name: str) -> None:
        self.market_open = name not in ("PRE_OPEN", "CLOSED")


class TradingState(IntEnum):
    """Worst of all causes.  REDUCING: only orders that reduce risk.  HALTED: cancels, and flattening when told so."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class Disposition(StrEnum):
    """What HALTED does with what is held."""

    FLATTEN = "FLATTEN"
    FREEZE = "FREEZE"


class Scope(StrEnum):
    ACCOUNT = "ACCOUNT"
    BOOK = "BOOK"
    SYMBOL = "SYMBOL"


class OrderOutcome(StrEnum):
    """How an order ended.  UNRESOLVED is not an end: the broker's answer is unknown and nothing is repeated."""

    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"
    UNRESOLVED = "UNRESOLVED"
    LOST = "LOST"


class OrderStatus(StrEnum):
    """The broker's word about one leg of one order."""

    is_final: bool

    SUBMITTED = "SUBMITTED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCEL_PENDING = "CANCEL_PENDING"
    CANCELLED = "CANCELLED"
    INVALID = "INVALID"
    UPDATED = "UPDATED"

    def __init__(self, name: str) -> None:
        self.is_final = name in ("FILLED", "CANCELLED", "INVALID")


class Family(Enum):
    """Underlyings that are one risk.  SPX, SPY and ES are one."""

    SPX = frozenset({"SPX", "SPXW", "SPY", "ES", "XSP"})

    @staticmethod
    def name_of(underlying: str) -> str:
        """Return the family's name, or the underlying itself where it stands alone."""
        for family in Family:
            if underlying in family.value:
                return family.name
        return underlying


class FamilyTarget(StrEnum):
    """The ETF book's target: one value, so that a conflict cannot be said."""

    CASH = "CASH"
    QQQ = "QQQ"
    TQQQ = "TQQQ"
    PSQ = "PSQ"
    SQQQ = "SQQQ"


LONG_FAMILY: Final[Mapping[str, int]] = {"QQQ": 1, "TQQQ": 3}
INVERSE_FAMILY: Final[Mapping[str, int]] = {"PSQ": 1, "SQQQ": 3}
FAMILY: Final[Mapping[str, Mapping[str, int]]] = {"LONG": LONG_FAMILY, "INVERSE": INVERSE_FAMILY}
"""The only registry of the ETF family: side -> symbol -> leverage."""


# -------------------------------------------------------------------------------------------- instruments, structures


@dataclass(frozen=True, slots=True, order=True)
class Instrument:
    """One contract or share line.

    symbol is the broker's text for it (a ticker, or the 21 characters of OSI); underlying the ticker whose price
    moves it (SPX for SPXW); multiplier USD per point; tick the price increment of an order in points.
    """

    symbol: str
    underlying: str
    multiplier: int = 1
    tick: float = 0.01
    right: Right | None = None
    strike: float = 0.0
    expiry: date | None = None

    def __post_init__(self) -> None:
        if self.right is not None and (self.expiry is None or self.strike <= 0):
            raise VocabularyError(f"{self.symbol}: an option needs a strike above 0 and an expiry date")

    @property
    def kind(self) -> Kind:
        return Kind.SHARE if self.right is None else Kind.OPTION

    @property
    def root(self) -> str:
        """The option root (SPXW) or the ticker."""
        return self.symbol if self.right is None else self.symbol[:6].rstrip()

    @property
    def family(self) -> str:
        return Family.name_of(self.underlying)

    def payoff(self, price: float) -> float:
        """Return the value in points of one unit at expiry with the underlying at price."""
        if self.right is Right.CALL:
            return max(0.0, price - self.strike)
        if self.right is Right.PUT:
            return max(0.0, self.strike - price)
        return price


@value
class Leg:
    """One instrument with a signed ratio: +1 bought, -2 two sold."""

    instrument: Instrument
    ratio: int

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


class StructureName(StrEnum):
    IRON_CONDOR = "IRON_CONDOR"
    CALL_SPREAD = "CALL_SPREAD"
    PUT_SPREAD = "PUT_SPREAD"
    ONE_ONE_TWO = "ONE_ONE_TWO"
    STRANGLE = "STRANGLE"
    DIAGONAL = "DIAGONAL"
    NAKED_PUT = "NAKED_PUT"
    SINGLE = "SINGLE"
    SHARES = "SHARES"
    LEGS = "LEGS"


@value
class Structure:
    """A named set of legs, one unit, as it is traded.  Raises VocabularyError for a set that cannot be one order."""

    name: StructureName
    legs: tuple[Leg, ...]
    symbols: tuple[str, ...] = field(init=False, repr=False, compare=False)
    expiries: tuple[date, ...] = field(init=False, repr=False, compare=False)
    """Sorted distinct expiry dates; empty for shares.  Like the symbols asked many times, and the legs never change."""

    def __post_init__(self) -> None:
        symbols = tuple([leg.instrument.symbol for leg in self.legs])
        dates = {leg.instrument.expiry for leg in self.legs if leg.instrument.expiry is not None}
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "expiries", tuple(sorted(dates)))
        if not self.legs:
            raise VocabularyError(f"{self.name}: a structure needs at least one leg")
        if len(set(symbols)) != len(symbols):
            raise VocabularyError(f"{self.name}: a symbol stands in it twice ({', '.join(sorted(symbols))})")
        for leg in self.legs:
            if type(leg.ratio) is not int or leg.ratio == 0:
                raise VocabularyError(
                    f"{self.name}: ratio {leg.ratio!r} of {leg.symbol}: expected a whole number other than 0"
                )
        if math.gcd(*[leg.ratio for leg in self.legs]) != 1:
            raise VocabularyError(f"{self.name}: the ratios have a common factor; put it into the quantity")
        if len({leg.instrument.multiplier for leg in self.legs}) != 1:
            raise VocabularyError(f"{self.name}: its legs have different multipliers")

    @property
    def multiplier(self) -> int:
        return self.legs[0].instrument.multiplier

    @property
    def tick(self) -> float:
        return max(leg.instrument.tick for leg in self.legs)

    @property
    def underlying(self) -> str:
        return self.legs[0].instrument.underlying

    @property
    def family(self) -> str:
        return Family.name_of(self.underlying)

    @property
    def contracts(self) -> int:
        """Contracts or shares per unit, all legs."""
        return sum(abs(leg.ratio) for leg in self.legs)

    @property
    def shorts(self) -> tuple[Leg, ...]:
        return tuple(leg for leg in self.legs if leg.ratio < 0)

    @property
    def longs(self) -> tuple[Leg, ...]:
        return tuple(leg for leg in self.legs if leg.ratio > 0)

    def inverse(self) -> Structure:
        """Return the structure that closes this one."""
        return Structure(self.name, tuple(Leg(leg.instrument, -leg.ratio) for leg in self.legs))

    def worst_payoff(self) -> float | None:
        """Return the lowest value in points of one unit at its single expiry, None where it has no floor or several
        expiries.

        The value of a set of options at expiry is piecewise linear in the underlying, so that its minimum lies at 0,
        at a strike, or at infinity when the net number of calls is negative (then there is no floor).
        """
        if len(self.expiries) > 1:
            return None
        if self._rise() < 0:
            return None
        return min([self.payoff(price) for price in self._corners()])

    def best_payoff(self) -> float | None:
        """Return the highest value in points of one unit at its single expiry, None where it has no ceiling or several
        expiries.
        """
        if len(self.expiries) > 1 or self._rise() > 0:
            return None
        return max([self.payoff(price) for price in self._corners()])

    def _rise(self) -> int:
        """Return by how much the value rises with each point far above the last strike."""
        return sum([leg.ratio for leg in self.legs if leg.instrument.right is not Right.PUT])

    def _corners(self) -> list[float]:
        return [0.0, *[leg.instrument.strike for leg in self.legs if leg.instrument.right is not None]]

    def payoff(self, price: float) -> float:
        """Return the value in points of one unit at expiry with the underlying at price."""
        return sum([leg.ratio * leg.instrument.payoff(price) for leg in self.legs])

    def max_loss_points(self, net_cash: float) -> float | None:
        """Return the most that one unit opened for net_cash points can lose, fees apart; None where that has no
        bound.
        """
        floor = self.worst_payoff()
        return None if floor is None else max(0.0, -(floor + net_cash))

    def breakevens(self, net_cash: float) -> tuple[float, ...]:
        """Return the underlying prices, ascending, at which one unit opened for net_cash neither wins nor loses at
        expiry.
        """
        corners = sorted({0.0, *(leg.instrument.strike for leg in self.legs if leg.instrument.kind is Kind.OPTION)})
        corners.append(corners[-1] * 2 + 1.0)
        found: list[float] = []
        for low, high in pairwise(corners):
            at_low, at_high = self.payoff(low) + net_cash, self.payoff(high) + net_cash
            if at_low * at_high < 0:
                found.append(low + (high - low) * at_low / (at_low - at_high))
            elif at_low == 0:
                found.append(low)
        return tuple(found)


# ----------------------------------------------------------------------------------------------- verdicts and intents


@value
class Verdict:
    """An answer: allowed or not, and why.  scale (0, 1] multiplies the size of what is allowed; until says when to
    ask again.
    """

    allowed: bool
    reason: Reason
    detail: Detail = field(default_factory=dict)
    gate: Gate | None = None
    until: datetime | None = None
    scale: float = 1.0

    @staticmethod
    def allow(*, scale: float = 1.0, **detail: str | Number) -> Verdict:
        return Verdict(True, Reason.ALLOWED, detail, scale=scale)

    @staticmethod
    def refuse(reason: Reason, *, until: datetime | None = None, **detail: str | Number) -> Verdict:
        return Verdict(False, reason, detail, until=until)

    def at(self, gate: Gate) -> Verdict:
        """Return the same answer, signed by a gate."""
        return Verdict(self.allowed, self.reason, self.detail, gate, self.until, self.scale)


class RiskBasis(StrEnum):
    MAX_LOSS = "MAX_LOSS"
    STRESS = "STRESS"
    FAMILY = "FAMILY"


@value
class UnitRisk:
    """What one unit, opened at its worst ladder price, can cost.  USD, all >= 0; None where the basis does not need it.

    max_loss includes fees; t_loss and c_loss are the losses in the ordinary and the crash shocks; margin is our own;
    stressed_margin the same after the worst shock (equal for finite structures); delta_usd is signed, at current
    Greeks.
    """

    basis: RiskBasis
    margin_usd: float
    stressed_margin_usd: float
    max_loss_usd: float | None = None
    t_loss_usd: float | None = None
    c_loss_usd: float | None = None
    delta_usd: float | None = None
    short_premium: bool = False

    @property
    def trade_risk_usd(self) -> float | None:
        """The loss that the per-trade limit judges: the maximum loss, or the ordinary stress loss where there is
        none.
        """
        return self.t_loss_usd if self.basis is RiskBasis.STRESS else self.max_loss_usd


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """How a trade is left without its strategy's code: stored with the trade, read by the gateway's owner when all
    else fails.

    entry_cash is the net cash per unit of the average fill (points); stop_cash and target_cash the net cash of
    closing (points, a cost is negative) at or beyond which the trade is left.  Times are naive New York.
    """

    hard_exit: datetime
    flatten: datetime
    flat_by: datetime
    stop_cost_multiple: float | None = None
    target_fraction: float | None = None
    confirm_min: int = 3
    touched_confirm_min: int | None = None
    vix_exit: float | None = None
    invalid_min: int = 5
    quiet_min: int = 15


@value
class LadderPlan:
    """Prices of an opening, net cash per unit in points: the first offer and the worst price that will ever be sent."""

    first_cash: float
    worst_cash: float
    steps: tuple[float, ...]
    step_s: int


@value
class Intent:
    """What a strategy wants; never an order.  qty (units) is None until the sizer has answered."""

    kind: IntentKind
    strategy: str
    structure: Structure
    ladder: Ladder
    trade: str = ""
    qty: int | None = None
    reason: Reason | None = None
    plan: LadderPlan | None = None
    risk: UnitRisk | None = None
    exit_plan: ExitPlan | None = None
    target: FamilyTarget | None = None
    detail: Detail = field(default_factory=dict)

    @property
    def adds_risk(self) -> bool:
        return self.kind in (IntentKind.OPEN, IntentKind.ADD, IntentKind.ROLL)


@value
class OrderLeg:
    """One leg of an order: whole signed contracts or shares for the whole order."""

    instrument: Instrument
    qty: int

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


@value
class BrokerEvent:
    """One report about one leg of one of our orders, as the broker edge saw it.

    order is the tag; qty and price_u6, fee_u6 are of this event alone (qty 0 where nothing filled); exec_time naive
    New York.
    """

    order: str
    symbol: str
    status: OrderStatus
    qty: int
    price_u6: int
    fee_u6: int
    exec_time: datetime
    text: str = ""


@dataclass(frozen=True, slots=True)
class SplitEvent:
    """A share line is split: num new shares for den old ones.  What the broker holds has changed already."""

    symbol: str
    num: int
    den: int


@dataclass(frozen=True, slots=True)
class SettlementEvent:
    """The broker settled an expired contract: qty is the change of position (+1 removes a short), underlying_price in
    points.
    """

    symbol: str
    qty: int
    underlying_price: float | None
    assigned: bool
    time: datetime


def net_cash(prices: Iterable[tuple[int, float]]) -> float:
    """Return net cash in points of one unit from (ratio, price) pairs: sold legs bring cash, bought legs cost it."""
    return -sum(ratio * price for ratio, price in prices)
