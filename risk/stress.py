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
from risk.step_pricer import ModelView, StepPricer


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


_Shaken = tuple[ModelView, int, float, float, bool]
"""A view, USD per point of it, the share of the index's move and of the shift of volatility that reach it, and whether
the index says nothing of it."""


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

    def losses(
        self,
        holdings: Sequence[tuple[Instrument, int]],
        value_now_usd: float | None,
        floor_usd: float | None,
        snapshot: MarketSnapshot,
        *,
        only_ordinary: bool = False,
    ) -> Losses:
        """Return the loss in USD against value_now_usd under every shock, or under the ordinary ones alone.

        floor_usd is the least the holdings can be worth, None without bound.  With an unknown price, or an underlying
        of unknown beta, the loss is the whole way to that floor, or unknown.
        """
        most = None if floor_usd is None or value_now_usd is None else value_now_usd - floor_usd
        shaken = None if value_now_usd is None else self._shaken(holdings, snapshot)
        found: dict[str, float | None] = {}
        for shock in self._ordinary if only_ordinary else self.shocks(snapshot):
            if shaken is None or value_now_usd is None or shock.volatility_shift is None:
                found[shock.name] = most
            else:
                loss = value_now_usd - _worst_value(shaken, shock.move, shock.volatility_shift)
                found[shock.name] = loss if most is None else min(loss, most)
        return Losses(found)

    def _shaken(self, holdings: Sequence[tuple[Instrument, int]], snapshot: MarketSnapshot) -> list[_Shaken] | None:
        """Return how each holding meets a shock, None where the price or the beta of one is unknown."""
        views = self._pricer.views(snapshot, [instrument for instrument, _ in holdings])
        today, found = snapshot.session.day, list[_Shaken]()
        for instrument, qty in holdings:
            view, beta = views[instrument.symbol], BETA.get(instrument.underlying)
            if view is None or beta is None or not view.serves(qty):
                return None
            follows = math.copysign(max(abs(beta), 1.0), beta)
            found.append((view, qty * instrument.multiplier, follows, self._term(instrument, today), beta == 0.0))
        return found

    def _term(self, instrument: Instrument, today: date) -> float:
        """Return how much of a shift of 30-day volatility reaches this expiry: near ones move more."""
        if instrument.expiry is None:
            return 1.0
        days = (instrument.expiry - today).days
        ratio = math.inf if days <= 0 else math.sqrt(self._settings.iv_days / days)
        return min(max(ratio, self._settings.iv_shift_low), self._settings.iv_shift_high)


def _worst_value(shaken: Sequence[_Shaken], move: float, volatility_shift: float) -> float:
    """Return the value in USD; of both signs of the move where beta is 0, since then the index says nothing."""
    value, is_aside = 0.0, False
    for view, units, follows, term, aside in shaken:
        value += units * view.shocked(move * follows, volatility_shift * term)
        is_aside = is_aside or aside
    if not is_aside:
        return value
    other = 0.0
    for view, units, follows, term, _ in shaken:
        other += units * view.shocked(-move * follows, volatility_shift * term)
    return min(value, other)
