"""MarketSnapshot: one immutable, plain-Python view of the world per step.

Built by `core/market_data.py` from the feed, completed by the coordinator with what is computed from it (VIX reading,
marks). Nothing here is cached across steps, and no missing value is replaced: unknown is None, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.ports import Account, Floats, RawBar
from core.reasons import Reason
from core.values import value
from core.vocabulary import Instrument, SessionPhase, Verdict


class QuoteVerdict(StrEnum):
    """What a quote is worth, first match in this order."""

    HALTED = "HALTED"
    MISSING = "MISSING"
    STALE = "STALE"
    NO_BID = "NO_BID"
    CROSSED = "CROSSED"
    LOCKED = "LOCKED"
    WIDE = "WIDE"
    GOOD = "GOOD"

    @property
    def reason(self) -> Reason:
        """The reason with which an opening is refused; ALLOWED for GOOD."""
        return Reason.ALLOWED if self is QuoteVerdict.GOOD else Reason[f"QUOTE_{self.value}"]


@value
class Quote:
    """The judged quote of one instrument. bid None = no bid; age_s from the end of the last real bar (inf when there
    is none).
    """

    verdict: QuoteVerdict
    bid: float | None = None
    ask: float | None = None
    low_bid: float | None = None
    high_ask: float | None = None
    age_s: float = float("inf")

    @property
    def mid(self) -> float | None:
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    @property
    def spread(self) -> float | None:
        return None if self.bid is None or self.ask is None else self.ask - self.bid

    @property
    def is_good(self) -> bool:
        return self.verdict is QuoteVerdict.GOOD


MISSING_QUOTE = Quote(QuoteVerdict.MISSING)


Bar = RawBar
"""The last real minute bar of a share or index, as old as it is for the step."""


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day of the anchor exchange, naive New York."""

    day: date
    open: datetime
    close: datetime
    half_day: bool
    last_of_week: bool
    previous: date
    next: date

    def before_close(self, minutes: int) -> datetime:
        return self.close - timedelta(minutes=minutes)

    def after_open(self, minutes: int) -> datetime:
        return self.open + timedelta(minutes=minutes)


class OpeningStatus(StrEnum):
    PENDING = "PENDING"
    KNOWN = "KNOWN"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class OpeningPrice:
    """Open of the anchor's first regular minute bar; price is None unless KNOWN."""

    status: OpeningStatus
    price: float | None = None

    def refusal(self) -> Verdict | None:
        if self.status is OpeningStatus.KNOWN:
            return None
        pending = self.status is OpeningStatus.PENDING
        return Verdict.refuse(Reason.OPEN_PRICE_PENDING if pending else Reason.OPEN_PRICE_UNKNOWN)


class VixVerdict(StrEnum):
    UNKNOWN = "UNKNOWN"
    STALE = "STALE"
    SUSPECT = "SUSPECT"
    GOOD = "GOOD"


class Regime(StrEnum):
    """Regime of VIX, ascending."""

    UNKNOWN = "UNKNOWN"
    DORMANT = "DORMANT"
    CALM = "CALM"
    NORMAL = "NORMAL"
    ELEVATED = "ELEVATED"
    HIGH = "HIGH"
    CRISIS = "CRISIS"


@value
class VixReading:
    """VIX as judged in this step. value in index points, None when UNKNOWN; scale and margin_ceiling are 0 while
    unknown.
    """

    verdict: VixVerdict
    regime: Regime
    value: float | None
    age_s: float
    scale: float
    margin_ceiling: float
    buffer_base: float
    prior_close: float | None = None
    panic: bool = False
    complacent: bool = False

    @property
    def is_good(self) -> bool:
        return self.verdict is VixVerdict.GOOD

    @property
    def is_high(self) -> bool:
        return self.regime in (Regime.HIGH, Regime.CRISIS)


@value
class Chain:
    """All contracts of one root and one expiry with a real quote in this minute, sorted by (is_call, strike); columns
    (n,), points.

    NaN = absent side; wide_limit is the largest spread that is not WIDE for that contract.
    """

    root: str
    expiry: date
    time: datetime
    instruments: tuple[Instrument, ...]
    strike: Floats
    is_call: npt.NDArray[np.bool_]
    bid: Floats
    ask: Floats
    wide_limit: Floats

    def __len__(self) -> int:
        return len(self.instruments)


StrikeRow = tuple[Instrument, float, float, float]
"""Contract, bid, ask and wide limit as the columns of `Chain` have them."""


@value
class Strikes:
    """Some contracts of one expiry with a real quote in this minute, as rows that stand in the chain as well.

    unread: the nearest strikes below and above that nobody looked at (infinite where there is none).
    """

    expiry: date
    time: datetime
    rows: Sequence[StrikeRow]
    unread: tuple[float, float]


@value
class Mark:
    """Value of one holding: price in points per unit, and whether it is fresh (GOOD, or settled) or held over from
    earlier.
    """

    price: float
    fresh: bool


@value
class EquityMark:
    """Our own valuation of the account in this step, never cached. usd None: some holding has no mark (unmarked says
    which).
    """

    usd: float | None
    marks: Mapping[str, Mark] = field(default_factory=dict)
    unmarked: tuple[str, ...] = ()
    fresh: bool = True
    disputed: bool = False


ChainLoader = Callable[[str, date], Chain | None]
StrikesLoader = Callable[[str, date, float, int, Sequence[Instrument]], Strikes | None]
"""Root, expiry, price, how many strikes on each side of it, and further contracts."""
Modeller = Callable[[Instrument], float | None]


def no_strikes(_root: str, _expiry: date, _near: float, _each_side: int, _also: Sequence[Instrument]) -> Strikes | None:
    """The loader that reads no single strikes: the whole chain has to be loaded."""
    return None


def no_model(_instrument: Instrument) -> float | None:
    """The model that knows nothing: every value is unknown."""
    return None


@value
class MarketSnapshot:
    """One step's view.  time is the end of the closed minute; a step at 10:30 has seen the bar that ended 10:30.

    quotes covers every held, working or watched instrument; bars the subscribed shares and indices; load_chain builds
    the columns of one expiry on demand (None: no such contracts in this minute); load_strikes only the rows around a
    price and those of some contracts, at a tenth of the cost (None: ask for the whole chain); listed the contracts per
    (root, expiry) of today's universe. equity, vix and account are None until the coordinator has computed or read them
    for this very step.
    """

    time: datetime
    session: Session
    phase: SessionPhase
    quotes: Mapping[str, Quote]
    bars: Mapping[str, Bar]
    opening: OpeningPrice
    prior_close: Mapping[str, float]
    listed: Mapping[str, Mapping[date, int]]
    load_chain: ChainLoader
    rv20: float | None = None
    feed_silent_s: float = 0.0
    halted: frozenset[str] = frozenset()
    last_good: Mapping[str, Quote] = field(default_factory=dict)
    settlement_price: Mapping[str, float] = field(default_factory=dict)
    past_settlement_price: Mapping[tuple[str, date], float] = field(default_factory=dict)
    model_price: Modeller = no_model
    vix: VixReading | None = None
    account: Account | None = None
    equity: EquityMark | None = None
    load_strikes: StrikesLoader = no_strikes

    def quote(self, symbol: str) -> Quote:
        return self.quotes.get(symbol, MISSING_QUOTE)

    def price(self, symbol: str) -> float | None:
        """Return the last real trade price of today's session, None when there is none."""
        bar = self.bars.get(symbol)
        return None if bar is None else bar.close

    def completed(
        self, *, account: Account | None, equity: EquityMark | None, vix: VixReading | None
    ) -> MarketSnapshot:
        """Return the same step with what the coordinator has computed from it or read for it."""
        return MarketSnapshot(
            self.time, self.session, self.phase, self.quotes, self.bars, self.opening, self.prior_close, self.listed,
            self.load_chain, self.rv20, self.feed_silent_s, self.halted, self.last_good, self.settlement_price,
            self.past_settlement_price, self.model_price, vix, account, equity, self.load_strikes,
        )  # fmt: skip

    @property
    def equity_usd(self) -> float | None:
        return None if self.equity is None else self.equity.usd
