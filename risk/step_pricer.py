"""Model values of one step, shared by every rule that asks: volatility, delta and forward of the contracts in question.

It remembers what it priced for the present snapshot only.  The next snapshot, also one of the same minute, drops it:
no decision reads an old value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from core.market import MarketSnapshot, Quote
from core.settings import GreeksSettings
from core.vocabulary import Instrument, Kind, Right
from helpers.pricing import PricedChain, black_price, black_price_of, price_chain


@dataclass(frozen=True, slots=True)
class ModelView:
    """One instrument as the model sees it: price in points, delta, price of the underlying (forward for options).

    volatility is None for a share and for an option that is worth nothing (nobody bids, at most .10 asked).
    """

    instrument: Instrument
    price: float
    delta: float
    underlying_price: float
    volatility: float | None = None
    years: float = 0.0
    discount: float = 1.0

    def serves(self, qty: int) -> bool:
        """Tell whether this view may value a holding: nobody's bid makes a long worth nothing, never a short."""
        return qty > 0 or self.instrument.kind is Kind.SHARE or self.volatility is not None

    def shocked(self, move: float, volatility_shift: float) -> float:
        """Return the price in points after the underlying moves by a fraction and volatility by a shift."""
        moved = self.underlying_price * (1.0 + move)
        if self.instrument.kind is Kind.SHARE:
            return moved
        if self.volatility is None:
            return 0.0
        instrument, volatility = self.instrument, max(0.0, self.volatility + volatility_shift)
        is_call = instrument.right is Right.CALL
        return black_price_of(instrument.strike, is_call, moved, volatility, self.years, self.discount)


class StepPricer:
    """Prices instruments for the snapshot at hand."""

    def __init__(self, settings: GreeksSettings) -> None:
        self._settings = settings
        self._time: datetime | None = None
        self._quotes: Mapping[str, Quote] | None = None
        self._chains: dict[tuple[str, date], PricedChain | None] = {}
        self._views: dict[str, ModelView | None] = {}

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

    def views(self, snapshot: MarketSnapshot, instruments: Iterable[Instrument]) -> dict[str, ModelView | None]:
        """Return symbol -> view; None where volatility, quote or the price of the underlying is unknown."""
        self._turn_to(snapshot)
        wanted = list(instruments)
        groups: dict[tuple[str, date], list[Instrument]] = {}
        for instrument in wanted:
            if instrument.symbol in self._views:
                continue
            if instrument.expiry is None:
                self._views[instrument.symbol] = _share(instrument, snapshot)
            else:
                groups.setdefault((instrument.root, instrument.expiry), []).append(instrument)
        for (root, expiry), members in groups.items():
            priced = self.chain(snapshot, root, expiry)
            self._views |= (
                dict.fromkeys((member.symbol for member in members), None)
                if priced is None
                else _options(priced, members)
            )
        return {instrument.symbol: self._views[instrument.symbol] for instrument in wanted}

    def _turn_to(self, snapshot: MarketSnapshot) -> None:
        if snapshot.time != self._time or snapshot.quotes is not self._quotes:
            self._time, self._quotes = snapshot.time, snapshot.quotes
            self._chains, self._views = {}, {}


def _share(instrument: Instrument, snapshot: MarketSnapshot) -> ModelView | None:
    price = snapshot.price(instrument.symbol)
    return None if price is None else ModelView(instrument, price, 1.0, price)


def _options(priced: PricedChain, members: list[Instrument]) -> dict[str, ModelView | None]:
    views: dict[str, ModelView | None] = dict.fromkeys((member.symbol for member in members), None)
    found = [(member, at) for member in members if (at := priced.position(member)) is not None]
    if not found:
        return views
    places = np.array([place for _, place in found], dtype=np.intp)
    volatility = priced.volatility(places)
    delta = priced.delta(places, volatility)
    chain = priced.chain
    with np.errstate(invalid="ignore"):
        price = black_price(
            chain.strike[places], chain.is_call[places], priced.forward, volatility, priced.years, priced.discount
        )
    for place, (member, _) in enumerate(found):
        known = None if math.isnan(volatility[place]) else float(volatility[place])
        if known is None and delta[place] != 0.0:
            continue
        value = 0.0 if known is None else float(price[place])
        views[member.symbol] = ModelView(
            member, value, float(delta[place]), priced.forward, known, priced.years, priced.discount
        )
    return views
