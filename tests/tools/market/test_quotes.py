"""Quotes against the quantiles measured on real SPXW minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.tools.market.markets import world
from tools.market import calendar
from tools.market.quotes import NICKEL, Quotes

MEASURED: dict[str, Any] = json.loads((Path(__file__).parent / "spxw_quantiles.json").read_text())
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Two-sided quotes of one kind: mid and width (k,), and the widths of single contracts by minute."""

    mid: Floats
    width: Floats
    contracts: tuple[Floats, ...]


@cache
def sample(kind: str) -> Sample:
    """Return the quotes of every fifth session in a market with VIX from 20 to 34, as in the measured weeks."""
    market = world()
    mids, widths, contracts = [], [], []
    for day in market.days[8:45:5]:
        expiry = day if kind == "0dte" else calendar.week_expiry(day)
        quotes = market.quotes(day, expiry, width_scale=1.0).quotes
        bid, ask = quotes.bid * NICKEL, quotes.ask * NICKEL
        two_sided = quotes.bid > 0
        mids.append(((bid + ask) / 2)[two_sided])
        widths.append((ask - bid)[two_sided])
        for column in range(0, bid.shape[1], 5):
            there = two_sided[:, column]
            if there.sum() > 200 and np.median((bid + ask)[there, column]) > 0.6:
                contracts.append((ask - bid)[there, column])
    return Sample(np.concatenate(mids), np.concatenate(widths), tuple(contracts))


def in_bucket(kind: str, bucket: str) -> Floats:
    low, high = map(float, bucket.split("-"))
    quotes = sample(kind)
    return quotes.width[(quotes.mid >= low - 1e-9) & (quotes.mid < high - 1e-9)]


@pytest.mark.parametrize("name", sorted(MEASURED["width_by_mid"]))
def test_widths_have_the_measured_quantiles(name: str) -> None:
    kind, bucket = name.split("|")
    widths, measured = in_bucket(kind, bucket), MEASURED["width_by_mid"][name]
    tick = 0.10 if float(bucket.split("-")[0]) >= 3 else 0.05
    for quantile, ticks, share in (("p10", 1, 0.2), ("p50", 1, 0.2), ("p90", 1, 0.25), ("p99", 2, 0.45)):
        made = float(np.quantile(widths, int(quantile[1:]) / 100))
        allowed = max(ticks * tick, share * abs(measured[quantile])) + 1e-9
        assert abs(made - measured[quantile]) <= allowed, (quantile, made, measured[quantile])


def test_locked_and_crossed_quotes_come_at_the_measured_rates() -> None:
    """Weighted by the measured buckets: our chains hold more wings than the few contracts that were measured."""
    locked = crossed = count = 0.0
    for name, measured in MEASURED["width_by_mid"].items():
        widths = in_bucket(*name.split("|"))
        locked += measured["n"] * float((np.abs(widths) < 1e-9).mean())
        crossed += measured["n"] * float((widths < -1e-9).mean())
        count += measured["n"]
    assert locked / count == pytest.approx(MEASURED["locked_share"], rel=0.25)
    assert crossed / count == pytest.approx(MEASURED["crossed_share"], rel=0.35)


@pytest.mark.parametrize("kind", ["0dte", "1-9dte"])
def test_widths_remember_the_minute_before(kind: str) -> None:
    memories = []
    for widths in sample(kind).contracts:
        logs = np.log(np.maximum(widths, NICKEL))
        logs = logs - logs.mean()
        if logs.var() > 0:
            memories.append((logs[1:] * logs[:-1]).mean() / logs.var())
    assert np.mean(memories) == pytest.approx(MEASURED["log_width_ar1"][kind], abs=0.08)


@pytest.mark.parametrize("kind", ["0dte", "1-9dte"])
def test_blow_outs_are_rare_and_mostly_last_one_minute(kind: str) -> None:
    shares, lengths = [], []
    for widths in sample(kind).contracts:
        blown = widths > 5 * np.median(widths)
        shares.append(blown.mean())
        edges = np.flatnonzero(np.diff(np.concatenate(([0], blown, [0]))))
        lengths += (edges[1::2] - edges[::2]).tolist()
    assert 0.4 * MEASURED["blowout_share"][kind] < np.mean(shares) < 1.6 * MEASURED["blowout_share"][kind]
    assert 0.5 < np.mean(np.array(lengths) == 1) < 0.9
    assert max(lengths) >= 4


def test_written_markets_have_recent_widths_when_vix_is_ordinary() -> None:
    market = world("crash_2018")
    widths: dict[str, list[Floats]] = {delta: [] for delta in MEASURED["recent_width_of_mid"]}
    for day in market.days[:8]:  # before the event, VIX 13 to 16
        made = market.quotes(day)
        bid, ask = made.quotes.bid * NICKEL, made.quotes.ask * NICKEL
        delta = np.abs(np.hstack((made.smile.call_delta, made.smile.call_delta - 1)))
        for wanted, found in widths.items():
            near = (np.abs(delta - float(wanted)) < 0.02) & (bid > 0)
            found.append(((ask - bid) / ((ask + bid) / 2))[near])
    for wanted, found in widths.items():
        assert np.median(np.concatenate(found)) == pytest.approx(MEASURED["recent_width_of_mid"][wanted], rel=0.25)


def all_prices(quotes: Quotes) -> npt.NDArray[np.int32]:
    sides = (quotes.bid, quotes.bid_open, quotes.bid_high, quotes.bid_low)
    return np.stack((*sides, quotes.ask, quotes.ask_open, quotes.ask_high, quotes.ask_low))


def test_prices_lie_on_the_exchanges_grid_and_bars_hold_their_ends() -> None:
    market = world()
    for day in market.days[::15]:
        quotes = market.quotes(day).quotes
        prices = all_prices(quotes)
        assert np.all(prices[prices >= 60] % 2 == 0)
        assert np.all(prices[4:] >= 1)
        assert np.all(prices[:4] >= 0)
        for opened, high, low, close in (
            (quotes.bid_open, quotes.bid_high, quotes.bid_low, quotes.bid),
            (quotes.ask_open, quotes.ask_high, quotes.ask_low, quotes.ask),
        ):
            assert np.all(high >= np.maximum(opened, close))
            assert np.all(low <= np.minimum(opened, close))
        assert np.array_equal(quotes.bid_open[1:], quotes.bid[:-1])


def test_bids_of_far_wings_vanish_late_in_the_day() -> None:
    market = world()
    day = market.days[12]
    made = market.quotes(day)
    worth = np.hstack((made.smile.call, made.smile.put))
    cheap = (worth > 0.08) & (worth < 0.12)
    gone = made.quotes.bid == 0
    assert gone[:180][cheap[:180]].mean() < 0.05
    assert gone[330:][cheap[330:]].mean() > 0.15


def test_mids_of_orderly_quotes_keep_parity_and_order() -> None:
    """So that a volatility backed out of them is smooth: within the widths no free lunch."""
    market = world()
    for day in market.days[3:45:14]:
        made, strikes = market.quotes(day), market.strikes(day)
        n = len(strikes)
        bid, ask = made.quotes.bid * NICKEL, made.quotes.ask * NICKEL
        mid, half = (bid + ask) / 2, (ask - bid) / 2
        spot = market.path(day).fair[made.ended][:, None]
        orderly = (half > 0) & (half < 0.6) & (bid > 0)
        parity = np.abs((mid[:, :n] - mid[:, n:]) - (spot - strikes))
        both = orderly[:, :n] & orderly[:, n:]
        assert np.quantile(parity[both], 0.99) <= 1.0
        # up to 0.20 is carry to the close
        assert np.all(parity[both] <= (half[:, :n] + half[:, n:])[both] + 0.35)
        steps = np.diff(mid[:, :n], axis=1)
        pair = orderly[:, 1:n] & orderly[:, : n - 1]
        assert (steps[pair] <= 0.10 + 1e-9).mean() > 0.99


def test_a_scripted_window_widens_quotes_and_takes_bids() -> None:
    market = world("crash_2010")
    day = next(day for day in market.days if market.plans[day].shape.no_bids)
    made = market.quotes(day)
    worth = np.hstack((made.smile.call, made.smile.put))
    width = (made.quotes.ask - made.quotes.bid) * NICKEL
    body = (worth > 20) & (worth < 60)
    gone = made.quotes.bid == 0
    assert gone[314:325][body[314:325]].mean() == pytest.approx(0.6, abs=0.1)
    shown = body & ~gone
    assert np.median(width[312:330][shown[312:330]]) > 4 * np.median(width[200:300][shown[200:300]])
