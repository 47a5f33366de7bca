"""SPY, QQQ and the leveraged funds on QQQ: minute bars, quotes, and daily bars made of them.

A leveraged fund is nothing but QQQ: its value is its last close times (1 + leverage x QQQ's move since the last close)
less a day's fee.  So funds never contradict each other, and the decay of daily resetting is there by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tools.market.paths import DayPlan, SessionPath, Stream, generator, minute_weights

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fund:
    """A leveraged fund: factor on QQQ's move of the day, yearly fee, and its price at the turn of the year."""

    leverage: float
    yearly_fee: float
    anchor_price: float


FUNDS: Mapping[str, Fund] = MappingProxyType(
    {
        "tqqq": Fund(3.0, 0.0084, 70.0),
        "psq": Fund(-1.0, 0.0095, 38.0),
        "sqqq": Fund(-3.0, 0.0095, 32.0),
    }
)
TICKERS = ("spy", "qqq", *FUNDS)
_DAILY_VOLUME = {"spy": 70e6, "qqq": 45e6, "tqqq": 60e6, "psq": 8e6, "sqqq": 90e6}
LEAST_PRICE = 0.05
OPEN_MINUTE = 570  # 09:30
STUB_BID, STUB_ASK = 0.01, 99_999.0


@dataclass(frozen=True, slots=True)
class MinuteBars:
    """Bars of the minutes that traded: minute (k,) counts from 0 at the open, prices (k, 4) o h l c, volume (k,)."""

    minute: Ints
    prices: Floats
    volume: Ints

    def daily(self) -> tuple[float, float, float, float, int]:
        """Return open, high, low, close and volume of the day."""
        return (
            float(self.prices[0, 0]),
            float(self.prices[:, 1].max()),
            float(self.prices[:, 2].min()),
            float(self.prices[-1, 3]),
            int(self.volume.sum()),
        )

    def hourly(self) -> list[tuple[int, float, float, float, float, int]]:
        """Return hour of the day, open, high, low, close and volume of every clock hour, the first from 09:30."""
        hour = (self.minute + OPEN_MINUTE) // 60
        bars = []
        for one in np.unique(hour).tolist():
            inside = hour == one
            bars.append((one, *MinuteBars(self.minute[inside], self.prices[inside], self.volume[inside]).daily()))
        return bars


@dataclass(frozen=True, slots=True)
class QuoteBars:
    """Quotes of the minutes that were quoted: bid, ask (k, 4) o h l c, sizes (k,)."""

    minute: Ints
    bid: Floats
    ask: Floats
    bid_size: Ints
    ask_size: Ints


def fund_closes(plans: Sequence[DayPlan], anchor: date) -> dict[str, dict[date, float]]:
    """Return each fund's close after every session of the plans, so that it costs its anchor price on `anchor`.

    The chain runs both ways from the anchor: a fund's price of a date is the same in every market that starts in the
    same calendar year, whatever QQQ did in the years before.
    """
    days = [plan.day for plan in plans]
    moves = np.array([plan.close_qqq / plan.prior_qqq - 1.0 for plan in plans])
    place = days.index(anchor)
    closes: dict[str, dict[date, float]] = {}
    for ticker, fund in FUNDS.items():
        log_growth = np.cumsum(np.log(1.0 + fund.leverage * moves - fund.yearly_fee / 252))
        levels = fund.anchor_price * np.exp(log_growth - log_growth[place])
        closes[ticker] = dict(zip(days, levels.tolist(), strict=True))
    return closes


def fair_values(path: SessionPath, fund_priors: Mapping[str, float]) -> dict[str, Floats]:
    """Return what each ETF is worth at the open and after each minute, (n + 1,)."""
    move = path.qqq / path.plan.prior_qqq - 1.0
    values = {"spy": path.fair / 10.0, "qqq": path.qqq}
    for ticker, fund in FUNDS.items():
        values[ticker] = fund_priors[ticker] * (1.0 + fund.leverage * move - fund.yearly_fee / 252)
    return values


def trade_bars(seed: int, path: SessionPath, ticker: str, value: Floats) -> MinuteBars:
    """Return the minute bars of one ETF, rounded to the cent."""
    random = generator(seed, Stream.ETFS, path.plan.day.toordinal(), TICKERS.index(ticker))
    n = path.plan.minutes
    factor = _factor(ticker)
    up, down = (path.up, path.down) if factor > 0 else (path.down, path.up)
    opens, closes = value[:-1].copy(), value[1:]
    opens[1:] += 0.004 * random.standard_normal(n - 1)
    high = np.maximum(opens, closes) * (1 + abs(factor) * up)
    low = np.minimum(opens, closes) * np.maximum(1e-3, 1 - abs(factor) * down)
    prices = np.maximum(LEAST_PRICE, np.round(np.column_stack((opens, high, low, closes)), 2))
    prices[:, 1] = prices.max(axis=1)
    prices[:, 2] = prices.min(axis=1)
    busy = np.exp(0.35 * random.standard_normal(n)) * np.sqrt(minute_weights(n) * n)
    volume = (_DAILY_VOLUME[ticker] / 390 * busy).astype(np.int64) + 100
    open_minutes = ~path.halted
    return MinuteBars(np.flatnonzero(open_minutes), prices[open_minutes], volume[open_minutes])


def _factor(ticker: str) -> float:
    return FUNDS[ticker].leverage if ticker in FUNDS else 1.0


def quote_bars(seed: int, path: SessionPath, ticker: str, bars: MinuteBars) -> QuoteBars:
    """Return quotes around the trades: a cent or two wide, wider at the open and in the windows of the day's script."""
    random = generator(seed, Stream.ETFS, path.plan.day.toordinal(), 100 + TICKERS.index(ticker))
    minute = bars.minute
    widen = 1.0 + 4.0 * np.exp(-minute / 3.0)
    for first, last, times in path.plan.shape.spreads:
        widen[(minute >= first) & (minute < last)] *= times
    cents = 1 + (random.random(len(minute)) < 0.25) + np.floor(widen * random.random(len(minute)))
    below = np.floor(cents / 2 + (minute % 2) * 0.5 * (cents % 2))[:, None] / 100
    bid = np.maximum(LEAST_PRICE - 0.01, bars.prices - below)
    ask = bid + cents[:, None] / 100
    if ticker in FUNDS:
        for first, last in path.plan.shape.stubs:
            gone = (minute >= first) & (minute < last)
            bid[gone], ask[gone] = STUB_BID, STUB_ASK
    sizes = random.integers(1, 40, (2, len(minute))) * 100
    return QuoteBars(minute, np.round(bid, 2), np.round(ask, 2), sizes[0], sizes[1])
