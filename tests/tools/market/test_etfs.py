"""ETFs: leveraged funds are QQQ, reset daily, less their fee."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from tests.tools.market.markets import world
from tools.market import calendar
from tools.market.etfs import FUNDS, STUB_BID, TICKERS, fair_values, fund_closes, quote_bars, trade_bars

PRIORS = {"tqqq": 70.0, "psq": 38.0, "sqqq": 32.0}


@pytest.mark.parametrize("ticker", sorted(FUNDS))
def test_a_funds_minute_is_its_leverage_times_qqqs_move_less_the_fee(ticker: str) -> None:
    market = world()
    fund = FUNDS[ticker]
    for day in market.days[::12]:
        path = market.path(day)
        values = fair_values(path, PRIORS)
        bars = {name: trade_bars(7, path, name, values[name]) for name in ("qqq", ticker)}
        move = bars["qqq"].prices[:, 3] / path.plan.prior_qqq - 1
        expected = PRIORS[ticker] * (1 + fund.leverage * move - fund.yearly_fee / 252)
        assert np.allclose(bars[ticker].prices[:, 3], expected, atol=0.011 + PRIORS[ticker] * 3 * 0.005 / 300)


def test_fund_closes_chain_from_day_to_day_and_cost_their_anchor() -> None:
    market = world()
    plans = list(market.plans.values())
    closes = fund_closes(plans, date(2024, 12, 31))
    for ticker, fund in FUNDS.items():
        assert closes[ticker][date(2024, 12, 31)] == pytest.approx(fund.anchor_price)
        for day in market.days[:20]:
            plan, before = market.plans[day], calendar.before(day)
            move = plan.close_qqq / plan.prior_qqq - 1
            grown = closes[ticker][before] * (1 + fund.leverage * move - fund.yearly_fee / 252)
            assert closes[ticker][day] == pytest.approx(grown)


def test_a_round_trip_of_qqq_costs_a_leveraged_fund_its_decay() -> None:
    market = world()
    plans = [market.plans[day] for day in market.days]
    variance = float(np.var([np.log(plan.close_qqq / plan.prior_qqq) for plan in plans])) * len(plans)
    closes = fund_closes(list(market.plans.values()), date(2024, 12, 31))
    growth = np.log(plans[-1].close_qqq / plans[0].prior_qqq)
    for ticker, decay in (("tqqq", 3.0), ("sqqq", 6.0)):
        made = np.log(closes[ticker][market.days[-1]] / closes[ticker][calendar.before(market.days[0])])
        expected = FUNDS[ticker].leverage * growth - decay * variance
        assert made == pytest.approx(expected, abs=0.25 * decay * variance + 0.01)


@pytest.mark.parametrize("ticker", TICKERS)
def test_quotes_surround_the_trades_by_cents(ticker: str) -> None:
    market = world()
    path = market.path(market.days[4])
    bars = trade_bars(7, path, ticker, fair_values(path, PRIORS)[ticker])
    quotes = quote_bars(7, path, ticker, bars)
    width = quotes.ask[:, 3] - quotes.bid[:, 3]
    assert np.all(width > 0.005)
    assert np.median(width) <= 0.03
    assert np.all(quotes.bid[:, 3] <= bars.prices[:, 3] + 1e-9)
    assert np.all(quotes.ask[:, 3] >= bars.prices[:, 3] - 1e-9)


def test_bars_hold_their_ends_and_no_minute_is_missing() -> None:
    market = world()
    for day in (market.days[0], market.days[-1]):
        path = market.path(day)
        for ticker, value in fair_values(path, PRIORS).items():
            bars = trade_bars(7, path, ticker, value)
            assert bars.minute.tolist() == list(range(path.plan.minutes))
            assert np.all(bars.prices[:, 1] >= bars.prices[:, [0, 3]].max(axis=1))
            assert np.all(bars.prices[:, 2] <= bars.prices[:, [0, 3]].min(axis=1))
            assert np.all(bars.volume > 0)


def test_in_a_halt_no_etf_trades_and_stubs_are_shown_in_the_flash_crash() -> None:
    halt, crash = world("halt"), world("crash_2010")
    day = next(day for day in halt.days if halt.plans[day].shape.halts)
    path = halt.path(day)
    bars = trade_bars(7, path, "spy", fair_values(path, PRIORS)["spy"])
    assert len(bars.minute) == 375
    assert 225 not in bars.minute
    day = next(day for day in crash.days if crash.plans[day].shape.stubs)
    path = crash.path(day)
    bars = trade_bars(7, path, "sqqq", fair_values(path, PRIORS)["sqqq"])
    assert (quote_bars(7, path, "sqqq", bars).bid[:, 3] == STUB_BID).sum() == 4


def test_hours_add_up_to_the_day() -> None:
    market = world()
    path = market.path(market.days[4])
    bars = trade_bars(7, path, "spy", fair_values(path, PRIORS)["spy"])
    hours = bars.hourly()
    assert [hour for hour, *_ in hours] == [9, 10, 11, 12, 13, 14, 15]
    opened, high, low, close, volume = bars.daily()
    assert (hours[0][1], hours[-1][4]) == (opened, close)
    assert (max(bar[2] for bar in hours), min(bar[3] for bar in hours)) == (high, low)
    assert sum(bar[5] for bar in hours) == volume
