"""The default market meets every gate of friday_0dte: days it may trade, days it must refuse, wins and losses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pytest

from tests.tools.market.markets import World, gap_pct, move_pct, world
from tools.market.quotes import NICKEL

WINDOW = range(60, 91, 5)  # steps from 10:30 to 11:00
SHORT_DELTA, WIDTH = 0.16, 5.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Entry:
    """One step of the entry window, judged by risk.md section 4 and strategies.md section 1."""

    contracts: int  # between 2 and 50 delta
    good_share: float
    credit_share: float  # of the condor's width at the worst price, NaN where a leg's quote is not good
    width_share: float  # of the sum of the mids
    short_put: float
    short_call: float


def entry(market: World, day: date, minute: int) -> Entry:
    """Judge the chain as the step after `minute` minutes sees it."""
    made, strikes = market.quotes(day), market.strikes(day)
    row, n = minute - 1, len(strikes)
    bid, ask = made.quotes.bid[row] * NICKEL, made.quotes.ask[row] * NICKEL
    mid, width = (bid + ask) / 2, ask - bid
    call = made.smile.call_delta[row]
    delta = np.concatenate((call, call - 1))
    near = (np.abs(delta) >= 0.02) & (np.abs(delta) <= 0.50)
    limit = np.maximum(3 * NICKEL, 0.10 * mid)
    good = (bid > 0) & (width > 0) & (width <= limit + 1e-9) & ((mid > 10) | (width <= 0.50 + 1e-9))
    usable = np.where(good, np.abs(np.abs(delta) - SHORT_DELTA), np.inf)
    short_call, short_put = int(np.argmin(usable[:n])), int(np.argmin(usable[n:]))
    step = round(WIDTH / 5)
    legs = {n + short_put: 1, n + short_put - step: -1, short_call: 1, short_call + step: -1}
    places = list(legs)
    credit_mid = sum(sign * mid[place] for place, sign in legs.items())
    natural = sum(bid[place] if sign > 0 else -ask[place] for place, sign in legs.items())
    worst = credit_mid + (credit_mid - natural) * (1 - 2 * 0.70)
    return Entry(
        contracts=int(near.sum()),
        good_share=float(good[near].mean()),
        credit_share=float(worst / WIDTH) if good[places].all() else float("nan"),
        width_share=float(width[places].sum() / mid[places].sum()),
        short_put=float(strikes[short_put]),
        short_call=float(strikes[short_call]),
    )


@pytest.mark.parametrize("seed", [7, 1, 2, 3, 4])
def test_fridays_meet_every_branch_of_the_entry(seed: int) -> None:
    market = world(seed=seed)
    paths = {day: market.path(day) for day in market.fridays()}
    vix = np.array([path.vix[60] for path in paths.values()])
    move = np.array([abs(move_pct(path, 60)) for path in paths.values()])
    gap = np.array([abs(gap_pct(path)) for path in paths.values()])
    assert (vix < 22).sum() >= 2
    assert (vix > 35).sum() >= 1
    inside = (vix >= 22) & (vix <= 35)
    assert (inside & (gap >= 1.5)).sum() >= 1
    assert (inside & (gap < 1.5) & (move <= 0.5)).sum() >= 3
    assert (inside & (gap < 1.5) & (move > 0.5) & (move < 1.5)).sum() >= 3
    assert (inside & (gap < 1.5) & (move >= 1.5)).sum() >= 1
    signed = np.array([move_pct(path, 60) for path in paths.values()])
    assert (inside & (signed > 0.5) & (signed < 1.5)).any()
    assert (inside & (signed < -0.5) & (signed > -1.5)).any()


def test_the_span_holds_the_days_the_calendar_knows() -> None:
    market = world()
    days = set(market.days)
    assert {date(2025, 9, 17), date(2025, 10, 29)} <= days  # FOMC
    assert date(2025, 10, 24) in market.fridays()  # CPI
    assert date(2025, 9, 5) in market.fridays()  # payrolls
    assert market.plans[date(2025, 11, 28)].minutes == 210  # half day, a Friday
    assert {date(2025, 10, 31), date(2025, 11, 3)} <= days  # the clocks change between them


@pytest.mark.parametrize("seed", [7, 2])
def test_chain_and_credit_pass_their_gates_on_the_days_that_may_trade(seed: int) -> None:
    market = world(seed=seed)
    for day in market.fridays():
        if not 22 <= market.path(day).vix[60] <= 35:
            continue
        steps = [entry(market, day, minute) for minute in WINDOW]
        assert min(step.contracts for step in steps) >= 20
        passing = [
            step for step in steps if step.good_share >= 0.80 and step.width_share <= 0.15 and step.credit_share >= 0.20
        ]
        assert len(passing) >= 3, (day, steps)


def test_condors_sold_on_friday_win_and_lose() -> None:
    wins = losses = 0
    for seed in (7, 1, 2):
        market = world(seed=seed)
        for day in market.fridays():
            path = market.path(day)
            if not (22 <= path.vix[60] <= 35 and abs(gap_pct(path)) < 1.5 and abs(move_pct(path, 60)) <= 0.5):
                continue
            opened = entry(market, day, 60)
            inside = opened.short_put < path.fair[60:].min() and path.fair[60:].max() < opened.short_call
            wins, losses = wins + inside, losses + (not inside)
    assert wins >= 3
    assert losses >= 3


def test_realised_volatility_keeps_vix_credible() -> None:
    """VIX over the realised volatility of the last 20 sessions stays within .4..5, risk.md section 2."""
    for scenario in ("default", "calm", "grind", "crash_2010", "crash_2024"):
        market = world(scenario)
        plans = list(market.plans.values())
        returns = np.array([plan.points[-1][1] for plan in plans])
        for place in range(len(plans) - len(market.days), len(plans)):
            realised = 100 * returns[place - 20 : place].std(ddof=1) * np.sqrt(252)
            path = market.path(plans[place].day)
            assert path.vix.min() / realised > 0.4
            assert path.vix.max() / realised < 5.0 or scenario == "crash_2024"
