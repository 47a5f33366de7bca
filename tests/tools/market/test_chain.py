"""Listings and universe files: what LEAN is told exists, and that it then has quotes."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from tests.tools.market.markets import World, world
from tools.market import calendar
from tools.market.chain import contract_name, expiries, listings, mornings, quote_entries, universe_text


@pytest.fixture(scope="module")
def market() -> World:
    return world()


def test_every_session_has_todays_this_weeks_and_the_monthly_expiries(market: World) -> None:
    for day in market.days:
        listed = market.listed[day]
        assert tuple(listed) == expiries(day)
        assert day in listed
        assert calendar.week_expiry(day) in listed
        days = [(expiry - day).days for expiry in listed]
        assert any(35 <= left <= 72 for left in days)
        assert any(98 <= left <= 140 for left in days)


def test_todays_strikes_reach_sixty_steps_of_five_points_each_side(market: World) -> None:
    for day in market.days:
        strikes = market.listed[day][day]
        nearest = min(strikes, key=lambda strike: abs(strike - market.plans[day].prior))
        assert set(range(nearest - 300, nearest + 301, 5)) <= set(strikes)


def test_a_listed_strike_stays_listed_until_it_expires(market: World) -> None:
    for day, following in zip(market.days[:-1], market.days[1:], strict=True):
        for expiry, strikes in market.listed[day].items():
            if expiry > day:
                assert set(strikes) <= set(market.listed[following][expiry])


def test_the_universe_file_lists_what_the_next_session_quotes(market: World) -> None:
    for day in (market.days[3], market.days[4], market.days[-2]):
        following = calendar.after(day)
        text = universe_text(market.path(day), (1.0, 4.0, 0.5, 2.0), market.listed[following])
        header, underlying, *rows = text.splitlines()
        assert header == (
            "#expiry,strike,right,open,high,low,close,volume,open_interest,"
            "implied_volatility,delta,gamma,vega,theta,rho"
        )
        assert underlying == ",,,1.0000,4.0000,0.5000,2.0000,0,,,,,,,"
        named = set()
        for row in rows:
            expiry, strike, right = row.split(",")[:3]
            listed = date.fromisoformat(f"{expiry[:4]}-{expiry[4:6]}-{expiry[6:]}")
            named.add(contract_name(following, "call" if right == "C" else "put", int(strike), listed))
        entries, _ = quote_entries(7, market.path(following), market.listed[following])
        assert named == {name for name, _ in entries}
        assert all(date.fromisoformat(f"{row[:4]}-{row[4:6]}-{row[6:8]}") > day for row in rows)


def test_universe_greeks_are_those_of_their_prices(market: World) -> None:
    day = market.days[6]
    following = calendar.after(day)
    text = universe_text(market.path(day), (1.0, 1.0, 1.0, 1.0), market.listed[following])
    spot = float(market.path(day).fair[-1])
    rows = [row.split(",") for row in text.splitlines()[2:]]
    for expiry in {row[0] for row in rows}:
        calls = [row for row in rows if row[0] == expiry and row[2] == "C"]
        deltas = np.array([float(row[10]) for row in calls])
        assert np.all(np.diff(deltas) <= 0)
        nearest = min(calls, key=lambda row: abs(float(row[1]) - spot))
        assert 0.3 < float(nearest[10]) < 0.75
        assert 0.05 < float(nearest[9]) < 0.8
        twins = {row[1]: row for row in rows if row[0] == expiry and row[2] == "P"}
        for row in calls:
            put = twins[row[1]]
            assert float(row[9]) == float(put[9])
            assert float(row[10]) - float(put[10]) == pytest.approx(1.0, abs=0.01)
            assert float(row[13]) < 0


def test_slow_expiries_have_a_row_at_least_every_five_minutes(market: World) -> None:
    day = market.days[7]
    for expiry in market.listed[day]:
        keep = market.quotes(day, expiry).keep
        if expiry == day:
            assert keep.all()
            assert len(keep) == 390
            continue
        assert len(keep) == 405
        assert keep[0].all()
        assert keep.mean() < 0.45
        for column in keep.T:
            assert np.diff(np.flatnonzero(column)).max() <= 5


def test_a_halt_and_a_half_day_leave_no_rows_outside_trading() -> None:
    halt = world("halt")
    day = next(day for day in halt.days if halt.plans[day].shape.halts)
    for expiry in halt.listed[day]:
        assert not halt.quotes(day, expiry).keep[220:235].any()
    market = world()
    assert all(len(market.quotes(market.days[-1], expiry).keep) == 210 for expiry in market.listed[market.days[-1]])


def test_listings_do_not_depend_on_how_far_back_the_market_was_planned(market: World) -> None:
    day = market.days[20]
    recent = [plan for plan in market.plans.values() if plan.day >= day - timedelta(150)]
    assert listings(mornings(recent, market.days[-1]))[day] == market.listed[day]
