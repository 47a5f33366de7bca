"""Sessions of minutes for signals: random walks, shapes, and the detectors' formulas once more, on whole columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from core.signal import SignalBar

OPEN = datetime(2025, 10, 28, 9, 30)
Floats = npt.NDArray[np.float64]


def bar(
    number: int, close: float, *, open_: float | None = None, high: float | None = None, low: float | None = None,
    volume: float = 1_000.0, start: datetime = OPEN,
) -> SignalBar:  # fmt: skip
    open_ = close if open_ is None else open_
    high = max(open_, close) if high is None else high
    low = min(open_, close) if low is None else low
    return SignalBar(start + timedelta(minutes=number), number, open_, high, low, close, volume)


def random_session(
    seed: int, *, minutes: int = 390, start: datetime = OPEN, sd: float = 0.0006, drift: float = 0.0
) -> list[SignalBar]:
    """A random walk from 500 USD with ordinary minute volumes."""
    draw = np.random.default_rng(seed)
    close = 500.0 * np.exp(np.cumsum(draw.normal(drift, sd, minutes)))
    open_ = np.concatenate(([500.0], close[:-1]))
    reach = np.abs(draw.normal(0.0, sd / 2, (2, minutes))) * close
    volume = draw.lognormal(9.0, 0.6, minutes).round()
    return [
        SignalBar(
            start + timedelta(minutes=place + 1), place + 1, float(open_[place]),
            float(max(open_[place], close[place]) + reach[0, place]),
            float(min(open_[place], close[place]) - reach[1, place]),
            float(close[place]), float(volume[place]),
        )
        for place in range(minutes)
    ]  # fmt: skip


def expected_votes(bars: Sequence[SignalBar]) -> dict[str, Floats]:
    """The table of etf-rotation.md 2, one column a detector over a session without gaps; NaN = not ready."""
    o, h, low, c, v = (
        np.array([getattr(item, name) for item in bars]) for name in ("open", "high", "low", "close", "volume")
    )
    n = len(bars)
    r = np.concatenate(([np.nan], np.diff(np.log(c))))
    votes = {name: np.full(n, np.nan) for name in WEIGHTS}
    vwap = np.cumsum((h + low + c) / 3 * v) / np.cumsum(v)
    d = c - vwap
    x = np.divide(c - o, h - low, out=np.zeros(n), where=h > low)
    widths: list[float] = []
    squeezed: list[bool] = []
    armed = 0.0
    for m in range(n):
        if m >= 14:
            diff = np.diff(c[m - 14 : m + 1])
            up, down = diff[diff > 0].sum() / 14, -diff[diff < 0].sum() / 14
            rsi = 50.0 if up == down == 0 else 100 * up / (up + down)
            votes["rsi_reversion"][m] = 1 / (1 + 2 ** ((rsi - 50) / 10))
        if m >= 19:
            window = c[m - 19 : m + 1]
            mean, deviation = window.mean(), window.std()
            widths.append(deviation / mean)
            recent = widths[-60:]
            if len(recent) >= 30:
                squeezed.append(bool(widths[-1] <= np.percentile(recent, 25)))
                armed = 1.0 if squeezed[-3:] == [True] * 3 else max(0.0, armed - 0.2)
                z = (c[m] - mean) / deviation
                gate = np.clip(abs(z) - 1, 0, 1)
                votes["squeeze_breakout"][m] = 1 / (1 + np.exp(-0.85 * armed * gate * z))
            usual = np.sqrt((d[m - 19 : m + 1] ** 2).mean())
            votes["vwap_reversion"][m] = 1 / (1 + np.exp(0.85 * np.clip(d[m] / usual, -3, 3)))
            flow = (x[m - 19 : m + 1] * v[m - 19 : m + 1]).sum() / v[m - 19 : m + 1].sum()
            votes["ofi_proxy"][m] = 1 / (1 + np.exp(-4 * flow))
        if m >= 20:
            s20 = r[m - 19 : m + 1].std(ddof=1)
            momentum = np.log(c[m] / c[m - 10]) / (s20 * np.sqrt(10))
            volumes = v[m - 19 : m + 1]
            gate = np.clip(0.5 + 0.25 * (v[m] - volumes.mean()) / volumes.std(), 0, 1)
            votes["momentum_volume"][m] = 1 / (1 + np.exp(-0.8 * gate * np.clip(momentum, -3, 3)))
            surge = np.clip((v[m] / v[m - 20 : m].mean() - 1.5) / 1.5, 0, 1)
            five = np.log(c[m] / c[m - 5]) / (s20 * np.sqrt(5))
            votes["volume_surge"][m] = 1 / (1 + np.exp(-1.4 * surge * np.clip(five, -1, 1)))
        if m >= 30:
            top, bottom = h[:30].max(), low[:30].min()
            beyond = (c[m] - top if c[m] > top else c[m] - bottom if c[m] < bottom else 0.0) / (top - bottom)
            votes["opening_range"][m] = 1 / (1 + np.exp(-2.8 * np.clip(beyond, -1, 1)))
    return votes


WEIGHTS = {
    "rsi_reversion": 1.0,
    "squeeze_breakout": 1.0,
    "momentum_volume": 1.0,
    "vwap_reversion": 1.0,
    "opening_range": 0.5,
    "ofi_proxy": 0.5,
    "volume_surge": 0.5,
}
FIRST_BAR = {
    "rsi_reversion": 15,
    "squeeze_breakout": 49,
    "momentum_volume": 21,
    "vwap_reversion": 20,
    "opening_range": 31,
    "ofi_proxy": 20,
    "volume_surge": 21,
}
