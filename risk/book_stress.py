"""Every open or opening trade with its margin, its loss in each shock and its delta, read once for all who limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from core.market import MarketSnapshot
from core.settings import MarginSettings
from core.values import value
from core.vocabulary import Leg, Structure, StructureName
from risk.exposure import Exposure, Holding, exposure_of
from risk.own_margin import UNPRICED, OwnMargin, own_margin
from risk.step_pricer import StepPricer
from risk.stress import Losses, StressTester, Weights
from risk.unit_risk import C_SHOCKS, T_SHOCKS, delta_usd, naked_prices

if TYPE_CHECKING:
    from core.books import Books


_NO_CRASH: Mapping[str, float] = dict.fromkeys(C_SHOCKS, 0.0)
"""What a crash takes from a trade that ends before the night."""


@value
class TradeStress:
    """One trade as the limits see it, USD.

    used is own margin of what is held, reserved of what may still fill; naked the part of both that is dearer under
    stress. losses are per shock and None where a loss without bound could not be priced.
    """

    exposure: Exposure
    used_usd: float | None
    reserved_usd: float
    naked_usd: float
    losses: Losses

    @property
    def takes_place(self) -> bool:
        """Whether the trade counts among option trades: the rotation book's shares do not."""
        return self.exposure.structure.name is not StructureName.SHARES

    @property
    def margin_usd(self) -> float:
        """Own margin, infinite while it is unknown: nothing fits beside what cannot be measured."""
        return math.inf if self.used_usd is None else self.used_usd + self.reserved_usd

    @property
    def is_unknown(self) -> bool:
        """Whether its margin or one of its losses could not be priced."""
        return self.used_usd is None or None in self.losses.by_shock.values()

    @property
    def is_short_premium(self) -> bool:
        return self.takes_place and bool(self.exposure.structure.shorts) and self.exposure.entry_cash_usd > 0


@dataclass(frozen=True, slots=True)
class _Standing:
    """What follows from the books alone of one trade on one day, USD: it holds for as long as they say the same of it.

    margin is None where it needs the prices of the minute: of shares, and of shorts without a long.
    """

    exposure: Exposure
    floor_usd: float | None
    margin: OwnMargin | None
    weights: Weights | None
    only_t: bool


class BookStress:
    """Reads the books in this step.

    Several limits ask in one step: nothing is priced again while neither the books nor the moment have changed.  What
    is known of a trade outlives no record of the books and no day, what it is worth no chain, bar, mark or VIX.
    """

    def __init__(self, settings: MarginSettings, stress: StressTester, pricer: StepPricer) -> None:
        self._settings = settings
        self._stress = stress
        self._pricer = pricer
        self._read: tuple[Books, int, date] | None = None
        self._standing: tuple[_Standing, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._trades: tuple[TradeStress, ...] = ()

    def trades(self, snapshot: MarketSnapshot, books: Books) -> tuple[TradeStress, ...]:
        """Return every trade that holds or may hold something, in the order of the books; the same tuple as before
        where nothing has changed since.
        """
        read = (books, books.changes, snapshot.session.day)
        if read != self._read:
            self._read, self._seen = None, ()
            self._standing = self._standing_of(books, snapshot.session.day)
            self._read = read
        seen = (snapshot.time, snapshot.load_chain, snapshot.bars, snapshot.equity, snapshot.vix)
        if seen != self._seen:
            # In this order: a reading that fails leaves no answer behind.
            self._seen = ()
            self._trades = tuple([self._trade(standing, snapshot) for standing in self._standing])
            self._seen = seen
        return self._trades

    def _standing_of(self, books: Books, today: date) -> tuple[_Standing, ...]:
        """Return how every trade stands by the books that holds something or may."""
        found: list[_Standing] = []
        for trade in books.open_trades():
            exposure = exposure_of(trade, books)
            if exposure.is_flat:
                continue
            held = exposure.held
            margin = own_margin(held, exposure.entry_cash_usd, self._settings, UNPRICED)
            weights = self._stress.weights(held, today)
            found.append(_Standing(exposure, floor_usd(held), margin, weights, exposure.ends_on(today)))
        return tuple(found)

    def heaviest_short(self, snapshot: MarketSnapshot, books: Books) -> str | None:
        """Return the open short-premium trade with the largest crash loss; T loss where C does not apply."""
        worst: tuple[float, str] | None = None
        for trade in self.trades(snapshot, books):
            if not trade.is_short_premium or not trade.exposure.held:
                continue
            loss = trade.losses.worst(C_SHOCKS) or trade.losses.worst(T_SHOCKS)
            key = (math.inf if loss is None else loss, trade.exposure.trade)
            if worst is None or key[0] > worst[0]:
                worst = key
        return None if worst is None else worst[1]

    def net_delta_usd(self, snapshot: MarketSnapshot, books: Books) -> float | None:
        """Return net delta of the option books in USD of the index, None where one holding's is unknown."""
        deltas = [self._delta(one.exposure, snapshot) for one in self.trades(snapshot, books) if one.takes_place]
        known = [delta for delta in deltas if delta is not None]
        return math.fsum(known) if len(known) == len(deltas) else None

    def _trade(self, standing: _Standing, snapshot: MarketSnapshot) -> TradeStress:
        """Return a trade with its losses: those of what it holds, by shock, plus all that a working opening risks.  A
        trade that ends today meets T only.
        """
        exposure, used, only_t = standing.exposure, standing.margin, standing.only_t
        if used is None:
            prices = naked_prices([instrument for instrument, _ in exposure.held], snapshot, self._pricer)
            used = own_margin(exposure.held, exposure.entry_cash_usd, self._settings, prices)
        value = _value_usd(exposure.held, snapshot)
        losses = self._stress.losses_of(standing.weights, value, standing.floor_usd, snapshot, only_ordinary=only_t)
        if exposure.pending_units:
            risk_usd = exposure.pending_risk_usd
            losses = {name: None if loss is None else loss + risk_usd for name, loss in losses.items()}
        if only_t:
            losses |= _NO_CRASH
        used_usd, naked_usd = (None, 0.0) if used is None else (used.usd, used.naked_usd)
        return TradeStress(exposure, used_usd, exposure.pending_margin_usd, naked_usd, Losses(losses))

    def _delta(self, exposure: Exposure, snapshot: MarketSnapshot) -> float | None:
        coming = [(leg.instrument, leg.ratio * exposure.pending_units) for leg in exposure.structure.legs]
        held = delta_usd(exposure.held, snapshot, self._pricer)
        pending = delta_usd([holding for holding in coming if holding[1]], snapshot, self._pricer)
        return None if held is None or pending is None else held + pending


def floor_usd(holdings: Sequence[Holding]) -> float | None:
    """Return the least that holdings can be worth at their expiry, None where there is no such bound."""
    if not holdings:
        return 0.0
    factor = math.gcd(*(qty for _, qty in holdings))
    legs = tuple(Leg(instrument, qty // factor) for instrument, qty in holdings)
    structure = Structure(StructureName.LEGS, legs)
    floor = structure.worst_payoff()
    return None if floor is None else floor * factor * structure.multiplier


def _value_usd(holdings: Sequence[Holding], snapshot: MarketSnapshot) -> float | None:
    """Return what the holdings are worth in our own equity mark, None where one has no mark."""
    marks = {} if snapshot.equity is None else snapshot.equity.marks
    total = 0.0
    for instrument, qty in holdings:
        mark = marks.get(instrument.symbol)
        if mark is None:
            return None
        total += qty * instrument.multiplier * mark.price
    return total
