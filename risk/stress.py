"""What the books lose when the underlying jumps: the two pairs of shocks, T (ordinary) and C (crash).

A trade that must be flat by tonight meets T only.  A finite structure never loses more in a shock than it can lose at
all; where a price of it is unknown, that whole amount counts.  Nothing unknown is taken for harmless.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from core.market import MarketSnapshot
from core.settings import StressSettings
from core.values import value
from core.vocabulary import Instrument
from risk.betas import BETA
from risk.step_pricer import Basket, ModelView, StepPricer


@dataclass(frozen=True, slots=True)
class Shock:
    """A jump: fraction by which the underlying moves, shift of 30-day volatility (0.10 = 10 points; None = unknown)."""

    name: str
    is_crash: bool
    move: float
    volatility_shift: float | None


@value
class Losses:
    """USD by shock name, gains negative; None where a loss without bound could not be priced."""

    by_shock: Mapping[str, float | None]

    def worst(self, names: Sequence[str]) -> float | None:
        """Return the largest loss over these shocks, at least 0; None where one is unknown."""
        values = [self.by_shock[name] for name in names]
        known = [value for value in values if value is not None]
        return None if len(known) < len(values) else max(0.0, *known) if known else 0.0


@value
class Weight:
    """How a holding meets a shock: USD per point, and the shares of the index's move and of the shift of volatility
    that reach it; is_aside where the index says nothing of it.
    """

    symbol: str
    qty: int
    usd_per_point: int
    follows: float
    term: float
    is_aside: bool


@value
class Weights:
    """The holdings of a trade as they meet a shock on one day; has_aside where the index says nothing of one."""

    rows: tuple[Weight, ...]
    basket: Basket
    has_aside: bool


_Shaken = tuple[ModelView, Weight]


class StressTester:
    """Revalue holdings under every shock of this step."""

    def __init__(self, settings: StressSettings, pricer: StepPricer) -> None:
        self._settings = settings
        self._pricer = pricer
        self._ordinary = (
            Shock("T_DOWN", False, -settings.ordinary_down_pct / 100, settings.ordinary_down_iv_points / 100),
            Shock("T_UP", False, settings.ordinary_up_pct / 100, settings.ordinary_up_iv_points / 100),
        )

    def shocks(self, snapshot: MarketSnapshot) -> tuple[Shock, ...]:
        """Return T and C for this step; the fall of C takes 30-day volatility (VIX) to a floor and needs to know it."""
        settings, vix = self._settings, None if snapshot.vix is None else snapshot.vix.value
        crash: float | None = None
        if vix is not None:
            crash = max(settings.crash_down_iv_points, settings.crash_iv_floor_points - vix) / 100
        return (
            *self._ordinary,
            Shock("C_DOWN", True, -settings.crash_down_pct / 100, crash),
            Shock("C_UP", True, settings.crash_up_pct / 100, settings.crash_up_iv_points / 100),
        )

    def weights(self, holdings: Sequence[tuple[Instrument, int]], today: date) -> Weights | None:
        """Return how holdings meet a shock on a day, None where the beta of one is unknown."""
        found: list[Weight] = []
        for instrument, qty in holdings:
            beta = BETA.get(instrument.underlying)
            if beta is None:
                return None
            follows, term = math.copysign(max(abs(beta), 1.0), beta), self._term(instrument, today)
            found.append(Weight(instrument.symbol, qty, qty * instrument.multiplier, follows, term, beta == 0.0))
        basket = Basket.of([instrument for instrument, _ in holdings])
        return Weights(tuple(found), basket, any(weight.is_aside for weight in found))

    def losses(
        self,
        holdings: Sequence[tuple[Instrument, int]],
        value_now_usd: float | None,
        floor_usd: float | None,
        snapshot: MarketSnapshot,
    ) -> Losses:
        """Return the loss in USD of holdings against value_now_usd under every shock."""
        weights = self.weights(holdings, snapshot.session.day)
        return Losses(self.losses_of(weights, value_now_usd, floor_usd, snapshot))

    def losses_of(
        self,
        weights: Weights | None,
        value_now_usd: float | None,
        floor_usd: float | None,
        snapshot: MarketSnapshot,
        *,
        only_ordinary: bool = False,
    ) -> dict[str, float | None]:
        """Return the loss in USD against value_now_usd by shock: under every one, or under the ordinary ones alone.

        floor_usd is the least the holdings can be worth, None without bound.  With an unknown price, or without
        weights, the loss is the whole way to that floor, or unknown.
        """
        most = None if floor_usd is None or value_now_usd is None else value_now_usd - floor_usd
        shaken = None if value_now_usd is None or weights is None else self._shaken(weights, snapshot)
        found: dict[str, float | None] = {}
        for shock in self._ordinary if only_ordinary else self.shocks(snapshot):
            if shaken is None or value_now_usd is None or weights is None or shock.volatility_shift is None:
                found[shock.name] = most
                continue
            worst = _value(shaken, shock.move, shock.volatility_shift)
            if weights.has_aside:  # of both signs of the move where beta is 0, since then the index says nothing
                worst = min(worst, _value(shaken, -shock.move, shock.volatility_shift))
            loss = value_now_usd - worst
            found[shock.name] = loss if most is None else min(loss, most)
        return found

    def _shaken(self, weights: Weights, snapshot: MarketSnapshot) -> list[_Shaken] | None:
        """Return the views of what is held, None where the price of one is unknown."""
        views = self._pricer.price(snapshot, weights.basket)
        found: list[_Shaken] = []
        for weight in weights.rows:
            view = views[weight.symbol]
            if view is None or not view.serves(weight.qty):
                return None
            found.append((view, weight))
        return found

    def _term(self, instrument: Instrument, today: date) -> float:
        """Return how much of a shift of 30-day volatility reaches this expiry: near ones move more."""
        if instrument.expiry is None:
            return 1.0
        days = (instrument.expiry - today).days
        ratio = math.inf if days <= 0 else math.sqrt(self._settings.iv_days / days)
        return min(max(ratio, self._settings.iv_shift_low), self._settings.iv_shift_high)


def _value(shaken: Sequence[_Shaken], move: float, volatility_shift: float) -> float:
    """Return the value in USD after a shock."""
    total = 0.0
    for view, weight in shaken:
        total += weight.usd_per_point * view.shocked(move * weight.follows, volatility_shift * weight.term)
    return total
