"""Model values of one step, shared by every rule that asks: volatility, delta and forward of the contracts in question.

It remembers what it priced for the present reading of the market only.  The next one, also one of the same minute,
drops it: no decision reads an old value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from core.market import Bar, ChainLoader, MarketSnapshot, QuoteVerdict
from core.settings import GreeksSettings
from core.values import value
from core.vocabulary import Instrument, Right
from helpers.black76 import black_delta_of, black_price_of, implied_volatility_of
from helpers.pricing import (
    PricedChain,
    discount_factor,
    forward_of_strikes,
    price_chain,
    settlement_time,
    years_to,
)

_EACH_SIDE = (2, 4)
"""Strikes read on each side of the price where the whole chain is not needed: the two nearest the money and one more on
either side, which nearly always are enough; and more of them where a quote is missing or the forward has moved on.
"""


@value
class ModelView:
    """One instrument as the model sees it: price of the underlying (forward for options), and its own volatility.

    volatility is None for a share and for an option that is worth nothing (nobody bids, at most .10 asked).
    """

    instrument: Instrument
    underlying_price: float
    volatility: float | None = None
    years: float = 0.0
    discount: float = 1.0

    @property
    def price(self) -> float:
        """Points."""
        return self.shocked(0.0, 0.0)

    @property
    def delta(self) -> float:
        """To the underlying: 1 of a share, calls above 0, puts below; 0 of what is worth nothing."""
        instrument, volatility = self.instrument, self.volatility
        if instrument.right is None:
            return 1.0
        if volatility is None:
            return 0.0
        is_call = instrument.right is Right.CALL
        return black_delta_of(instrument.strike, is_call, self.underlying_price, volatility, self.years)

    def serves(self, qty: int) -> bool:
        """Tell whether this view may value a holding: nobody's bid makes a long worth nothing, never a short."""
        return qty > 0 or self.volatility is not None or self.instrument.right is None

    def shocked(self, move: float, volatility_shift: float) -> float:
        """Return the price in points after the underlying moves by a fraction and volatility by a shift."""
        instrument, volatility = self.instrument, self.volatility
        moved = self.underlying_price * (1.0 + move)
        if instrument.right is None:
            return moved
        if volatility is None:
            return 0.0
        shifted, is_call = max(0.0, volatility + volatility_shift), instrument.right is Right.CALL
        return black_price_of(instrument.strike, is_call, moved, shifted, self.years, self.discount)


Views = Mapping[str, ModelView | None]


@value
class Basket:
    """Instruments that are priced together: the shares among them, and the contracts of each root and expiry."""

    shares: tuple[Instrument, ...]
    contracts: tuple[tuple[str, date, tuple[Instrument, ...]], ...]

    @staticmethod
    def of(instruments: Iterable[Instrument]) -> Basket:
        shares: list[Instrument] = []
        chains: dict[tuple[str, date], list[Instrument]] = {}
        for instrument in instruments:
            if instrument.expiry is None:
                shares.append(instrument)
            else:
                chains.setdefault((instrument.root, instrument.expiry), []).append(instrument)
        return Basket(tuple(shares), tuple([(*key, tuple(members)) for key, members in chains.items()]))


class StepPricer:
    """Prices instruments for the snapshot at hand."""

    def __init__(self, settings: GreeksSettings) -> None:
        self._settings = settings
        self._time: datetime | None = None
        self._load_chain: ChainLoader | None = None
        self._bars: Mapping[str, Bar] | None = None
        self._chains: dict[tuple[str, date], PricedChain | None] = {}
        self._views: dict[str, ModelView | None] = {}
        # By how much a forward was ahead of the index when it was last seen: where to look for it, never what it is.
        self._ahead: dict[tuple[str, date], float] = {}

    def chain(self, snapshot: MarketSnapshot, root: str, expiry: date) -> PricedChain | None:
        """Return the priced chain, None where this minute has none or parity gives no forward."""
        self._turn_to(snapshot)
        key = (root, expiry)
        if key not in self._chains:
            found = snapshot.load_chain(root, expiry)
            rate, floor = self._settings.rate_pct, self._settings.min_years_s
            priced = None if found is None else price_chain(found, snapshot.session, rate_pct=rate, min_years_s=floor)
            self._chains[key] = priced
        return self._chains[key]

    def views(self, snapshot: MarketSnapshot, instruments: Iterable[Instrument]) -> Views:
        """Return symbol -> view; None where volatility, quote or the price of the underlying is unknown."""
        wanted = list(instruments)
        known = self.price(snapshot, Basket.of(wanted))
        return {instrument.symbol: known[instrument.symbol] for instrument in wanted}

    def price(self, snapshot: MarketSnapshot, wanted: Basket) -> Views:
        """Return the `views` of this moment, those of a basket among them."""
        self._turn_to(snapshot)
        known = self._views
        for share in wanted.shares:
            if share.symbol not in known:
                price = snapshot.price(share.symbol)
                known[share.symbol] = None if price is None else ModelView(share, price)
        for root, expiry, members in wanted.contracts:
            missing = [member for member in members if member.symbol not in known] if known else members
            if missing and not self._by_their_quotes(snapshot, root, expiry, missing):
                self._by_the_chain(snapshot, root, expiry, missing)
        return known

    def _by_their_quotes(
        self, snapshot: MarketSnapshot, root: str, expiry: date, members: Sequence[Instrument]
    ) -> bool:
        """Price contracts by their own quotes and by the strikes around the price.

        False where these do not say what the whole chain would: no sure forward, or a volatility that lies between
        neighbours.
        """
        spot, key = snapshot.price(members[0].underlying), (root, expiry)
        if spot is None or key in self._chains:
            return False
        # A GOOD quote of this very minute stands in the chain as well, and was judged more strictly.
        mids: dict[str, float] = {}
        others: list[Instrument] = []
        quotes = snapshot.quotes
        for member in members:
            quote = quotes.get(member.symbol)
            is_fresh = quote is not None and quote.verdict is QuoteVerdict.GOOD and quote.age_s == 0.0
            if quote is not None and is_fresh and (mid := quote.mid) is not None:
                mids[member.symbol] = mid
            else:
                others.append(member)
        settings, near = self._settings, spot + self._ahead.get(key, 0.0)
        for each_side in _EACH_SIDE:
            strikes = snapshot.load_strikes(root, expiry, near, each_side, others)
            if strikes is None:
                return False
            years = years_to(settlement_time(expiry, snapshot.session), strikes.time, min_s=settings.min_years_s)
            discount = discount_factor(settings.rate_pct, years)
            forward = forward_of_strikes(strikes, mids, discount)
            if forward is not None:
                break
        else:
            return False
        self._ahead[key] = forward - spot
        found: dict[str, ModelView | None] = {}
        for member in members:
            symbol, is_call = member.symbol, member.right is Right.CALL
            mid, view = mids.get(symbol), None
            if mid is not None:  # else it has no row: nobody knows anything of it
                # NaN of a quote that is not GOOD stays NaN.
                volatility = implied_volatility_of(mid, member.strike, is_call, forward, years, discount)
                if math.isnan(volatility):
                    return False
                view = ModelView(member, forward, volatility, years, discount)
            found[symbol] = view
        self._views |= found
        return True

    def _by_the_chain(self, snapshot: MarketSnapshot, root: str, expiry: date, members: Sequence[Instrument]) -> None:
        priced, found = self.chain(snapshot, root, expiry), self._views
        spot = snapshot.price(members[0].underlying)
        if priced is not None and spot is not None:
            self._ahead[root, expiry] = priced.forward - spot
        for member in members:
            place = None if priced is None else priced.position(member)
            found[member.symbol] = None
            if priced is None or place is None:
                continue
            volatility = priced.volatility_of(place)
            is_unknown = math.isnan(volatility)
            if not is_unknown or priced.is_worthless(place):
                known = None if is_unknown else volatility
                found[member.symbol] = ModelView(member, priced.forward, known, priced.years, priced.discount)

    def _turn_to(self, snapshot: MarketSnapshot) -> None:
        """Forget what was priced from other inputs: a view is made of the chains and the bars of a moment alone."""
        is_same = snapshot.load_chain is self._load_chain and snapshot.bars is self._bars
        if not is_same or snapshot.time != self._time:
            self._time, self._load_chain, self._bars = snapshot.time, snapshot.load_chain, snapshot.bars
            self._chains, self._views = {}, {}
