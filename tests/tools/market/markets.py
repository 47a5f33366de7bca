"""Markets of the tests: planned days, their minutes and their same-day chains, made once a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from tools.market import calendar
from tools.market.chain import ExpiryQuotes, Listing, expiry_quotes, listings, mornings
from tools.market.paths import DayPlan, SessionPath, daily_plans, session_path
from tools.market.quotes import RECENT_WIDTH
from tools.market.scenarios import SCENARIOS
from tools.market.spec import MarketSpec

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A planned market: `days` are its sessions, `plans` reach back to 2008."""

    seed: int
    days: tuple[date, ...]
    plans: dict[date, DayPlan]
    listed: dict[date, Listing]

    def path(self, day: date) -> SessionPath:
        """Return the minutes of one session."""
        return session_path(self.seed, self.plans[day])

    def strikes(self, day: date, expiry: date | None = None) -> Floats:
        """Return the listed strikes of one expiry, today's by default."""
        return np.array(self.listed[day][expiry or day], dtype=np.float64)

    def quotes(self, day: date, expiry: date | None = None, width_scale: float = RECENT_WIDTH) -> ExpiryQuotes:
        """Return one expiry's quotes of a session, today's by default; a width_scale of 1 is the measured week's."""
        return expiry_quotes(self.seed, self.path(day), expiry or day, self.strikes(day, expiry), width_scale)

    def fridays(self) -> list[date]:
        """Return the last session of every week."""
        return [day for day in self.days if calendar.is_last_of_week(day)]


@cache
def world(scenario: str = "default", seed: int = 7) -> World:
    """Return the market that `MarketSpec(scenario=..., seed=...)` would write."""
    days = MarketSpec(scenario=scenario, seed=seed).dates()
    plans = daily_plans(seed, SCENARIOS[scenario], days[0], days[-1])
    recent = [plan for plan in plans if plan.day >= days[0] - timedelta(230)]
    return World(seed, days, {plan.day: plan for plan in plans}, listings(mornings(recent, days[-1])))


def move_pct(path: SessionPath, minute: int) -> float:
    """Return the move from the open, in per cent."""
    return float(path.fair[minute] / path.fair[0] - 1) * 100


def gap_pct(path: SessionPath) -> float:
    """Return the opening gap, in per cent."""
    return float(path.fair[0] / path.plan.prior - 1) * 100


def close_pct(path: SessionPath) -> float:
    """Return the move since the prior close, in per cent."""
    return float(path.fair[-1] / path.plan.prior - 1) * 100
