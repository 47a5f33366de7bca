"""Every open or opening trade with its margin, its loss in each shock and its delta, read once for all who limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.market import MarketSnapshot
from core.settings import MarginSettings
from core.vocabulary import Leg, Structure, StructureName
from risk.exposure import Exposure, Holding, exposures
from risk.own_margin import own_margin
from risk.step_pricer import StepPricer
from risk.stress import Losses, StressTester
from risk.unit_risk import C_SHOCKS, T_SHOCKS, delta_usd, naked_prices

if TYPE_CHECKING:
    from core.books import Books


@dataclass(frozen=True, slots=True)
class TradeStress:
    """One trade as the limits see it, USD.

    used is own margin of what is held, reserved of what may still fill; naked the part of both that is dearer under
    stress. losses are per shock and None where a loss without bound could not be priced; delta is None where it is
    unknown.
    """

    exposure: Exposure
    used_usd: float | None
    reserved_usd: float
    naked_usd: float
    losses: Losses
    delta_usd: float | None

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


class BookStress:
    """Reads the books in this step.

    Several limits ask in one step: a trade whose exposure is still the same is not priced again.  Nothing outlives the
    quotes, the mark and the VIX it was made from.
    """

    def __init__(self, settings: MarginSettings, stress: StressTester, pricer: StepPricer) -> None:
        self._settings = settings
        self._stress = stress
        self._pricer = pricer
        self._seen: tuple[object, ...] = (None, None, None, None)
        self._priced: dict[str, TradeStress] = {}

    def trades(self, snapshot: MarketSnapshot, books: Books) -> tuple[TradeStress, ...]:
        """Return every trade that holds or may hold something, in the order of the books."""
        seen = (snapshot.time, snapshot.quotes, snapshot.equity, snapshot.vix)
        if any(now is not then for now, then in zip(seen, self._seen, strict=True)):
            self._seen, self._priced = seen, {}
        return tuple(self._trade_now(exposure, snapshot) for exposure in exposures(books))

    def _trade_now(self, exposure: Exposure, snapshot: MarketSnapshot) -> TradeStress:
        known = self._priced.get(exposure.trade)
        if known is None or known.exposure != exposure:
            known = self._priced[exposure.trade] = self._trade(exposure, snapshot)
        return known

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

    def _trade(self, exposure: Exposure, snapshot: MarketSnapshot) -> TradeStress:
        instruments = [instrument for instrument, _ in exposure.held]
        prices = naked_prices(instruments, snapshot, self._pricer)
        used = own_margin(exposure.held, exposure.entry_cash_usd, self._settings, prices)
        return TradeStress(
            exposure=exposure,
            used_usd=None if used is None else used.usd,
            reserved_usd=exposure.pending_margin_usd,
            naked_usd=0.0 if used is None else used.naked_usd,
            losses=self._losses(exposure, snapshot),
            delta_usd=self._delta(exposure, snapshot),
        )

    def _losses(self, exposure: Exposure, snapshot: MarketSnapshot) -> Losses:
        """Return held losses by shock plus all that a working opening risks; a trade that ends today meets T only."""
        held = self._stress.losses(
            exposure.held, _value_usd(exposure.held, snapshot), floor_usd(exposure.held), snapshot
        )
        only_t = exposure.ends_on(snapshot.session.day)
        found: dict[str, float | None] = {}
        for name, loss in held.by_shock.items():
            if only_t and name in C_SHOCKS:
                found[name] = 0.0
            else:
                found[name] = None if loss is None else loss + exposure.pending_risk_usd
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
