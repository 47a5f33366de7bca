"""Every open or opening trade with its margin, its loss in each shock and its delta, read once for all who limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from core.market import MarketSnapshot
from core.settings import MarginSettings
from core.values import value
from core.vocabulary import Leg, Structure, StructureName
from risk.exposure import Exposure, Figures, Holding, exposure_of, figures_of
from risk.own_margin import UNPRICED, OwnMargin, own_margin
from risk.step_pricer import StepPricer
from risk.stress import Losses, StressTester, Weight
from risk.unit_risk import C_SHOCKS, T_SHOCKS, delta_usd, naked_prices

if TYPE_CHECKING:
    from core.books import Books
    from core.trades import Trade


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
    weights: tuple[Weight, ...] | None
    only_t: bool


class BookStress:
    """Reads the books in this step.

    Several limits ask in one step: a trade that stands as it stood is not priced again.  Nothing outlives the chains,
    the bars, the mark and the VIX it was made from.
    """

    def __init__(self, settings: MarginSettings, stress: StressTester, pricer: StepPricer) -> None:
        self._settings = settings
        self._stress = stress
        self._pricer = pricer
        self._standing: dict[str, tuple[Figures, date, _Standing | None]] = {}
        self._seen: tuple[object, ...] = ()
        self._priced: dict[str, TradeStress] = {}
        self._trades: tuple[TradeStress, ...] = ()

    def trades(self, snapshot: MarketSnapshot, books: Books) -> tuple[TradeStress, ...]:
        """Return every trade that holds or may hold something, in the order of the books; the same tuple as before
        where nothing has changed since.
        """
        seen = (snapshot.time, snapshot.load_chain, snapshot.bars, snapshot.equity, snapshot.vix)
        if seen != self._seen:
            self._seen, self._priced = seen, {}
        found: list[TradeStress] = []
        for trade in books.open_trades():
            standing = self._stands(trade, books, snapshot.session.day)
            if standing is None:
                continue
            known = self._priced.get(trade.id)
            if known is None or known.exposure is not standing.exposure:
                known = self._priced[trade.id] = self._trade(standing, snapshot)
            found.append(known)
        trades = tuple(found)
        if trades != self._trades:
            self._trades = trades
        return self._trades

    def _stands(self, trade: Trade, books: Books, today: date) -> _Standing | None:
        """Return how a trade stands by the books, None where it neither holds nor may hold anything."""
        figures = figures_of(trade)
        known = self._standing.get(trade.id)
        if known is None or known[0] != figures or known[1] != today:
            standing = self._standing_of(exposure_of(trade, books), today)
            # What has ended is forgotten with the next change of any trade.
            living = {other.id for other in books.open_trades()}
            self._standing = {name: kept for name, kept in self._standing.items() if name in living}
            known = self._standing[trade.id] = (figures, today, standing)
        return known[2]

    def _standing_of(self, exposure: Exposure, today: date) -> _Standing | None:
        if exposure.is_flat:
            return None
        held = exposure.held
        margin = own_margin(held, exposure.entry_cash_usd, self._settings, UNPRICED)
        weights = self._stress.weights(held, today)
        return _Standing(exposure, floor_usd(held), margin, weights, exposure.ends_on(today))

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
        exposure, used = standing.exposure, standing.margin
        if used is None:
            prices = naked_prices([instrument for instrument, _ in exposure.held], snapshot, self._pricer)
            used = own_margin(exposure.held, exposure.entry_cash_usd, self._settings, prices)
        return TradeStress(
            exposure=exposure,
            used_usd=None if used is None else used.usd,
            reserved_usd=exposure.pending_margin_usd,
            naked_usd=0.0 if used is None else used.naked_usd,
            losses=self._losses(standing, snapshot),
        )

    def _losses(self, standing: _Standing, snapshot: MarketSnapshot) -> Losses:
        """Return held losses by shock plus all that a working opening risks; a trade that ends today meets T only."""
        only_t, risk_usd = standing.only_t, standing.exposure.pending_risk_usd
        value = _value_usd(standing.exposure.held, snapshot)
        held = self._stress.losses_of(standing.weights, value, standing.floor_usd, snapshot, only_ordinary=only_t)
        found: dict[str, float | None] = dict.fromkeys(C_SHOCKS, 0.0) if only_t else {}
        for name, loss in held.by_shock.items():
            found[name] = None if loss is None else loss + risk_usd
        return Losses(found)

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
