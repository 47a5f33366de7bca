"""Bids and asks of options around their worth, with the widths and faults measured on real SPXW minutes.

Widths depend on the price, on the days to expiry and on the hour; they wander (AR(1) of the logarithm), and now and
then one minute's market is blown out.  Quotes lie on the exchange's grid: 0.05 below 3.00, 0.10 above.  Some are
locked, a few crossed, and in the far wings the bid goes, the more the later.  The figures they are fitted to stand in
tests/tools/market/spxw_quantiles.json.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.market.scenarios import DayShape

Floats = npt.NDArray[np.float64]
Nickels = npt.NDArray[np.int32]  # prices in units of 0.05
Bools = npt.NDArray[np.bool_]

NICKEL = 0.05
DIME_FROM = 60  # 3.00 in nickels: from here on prices are even


@dataclass(frozen=True, slots=True)
class WidthModel:
    """Median width (USD) and its log deviations below and above it, by price; memory and blow-outs of the width."""

    price: tuple[float, ...]
    median: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]
    memory: float
    blowout: tuple[tuple[float, float], ...]  # (price, share of minutes)
    by_half_hour: tuple[float, ...]


SAME_DAY = WidthModel(
    price=(0.05, 0.25, 0.7, 1.4, 2.5, 3.9, 7.0, 16.0, 40.0, 100.0, 400.0),
    median=(0.05, 0.07, 0.105, 0.145, 0.16, 0.20, 0.28, 0.47, 1.25, 1.30, 1.60),
    below=(0.30, 0.40, 0.20, 0.25, 0.30, 0.35, 0.35, 0.38, 0.58, 0.22, 0.20),
    above=(0.30, 0.55, 0.45, 0.26, 0.35, 0.34, 0.42, 0.66, 0.80, 0.82, 0.60),
    memory=0.84,
    blowout=((1.5, 0.0), (4.0, 0.002), (7.0, 0.012), (16.0, 0.018), (30.0, 0.006), (80.0, 0.002)),
    by_half_hour=(0.80, 0.82, 0.87, 0.93, 0.86, 1.02, 1.08, 0.94, 0.99, 1.06, 1.12, 1.22, 1.35),
)
LATER = WidthModel(
    price=(0.05, 0.25, 0.7, 1.4, 2.5, 3.9, 7.0, 16.0, 40.0, 100.0, 400.0),
    median=(0.05, 0.07, 0.10, 0.140, 0.150, 0.19, 0.27, 0.30, 0.38, 1.25, 1.60),
    below=(0.30, 0.30, 0.35, 0.20, 0.25, 0.12, 0.30, 0.12, 0.22, 0.70, 0.50),
    above=(0.30, 0.40, 0.32, 0.10, 0.22, 0.30, 0.24, 0.46, 0.48, 0.84, 0.60),
    memory=0.50,
    blowout=((1.5, 0.0), (7.0, 0.006), (16.0, 0.004), (40.0, 0.034), (70.0, 0.006), (100.0, 0.001)),
    by_half_hour=(1.00, 0.98, 0.95, 0.96, 0.94, 0.97, 0.95, 0.96, 0.97, 1.05, 1.15, 1.25, 1.25),
)
BLOWOUT_ENDS = 0.75  # a blow-out ends after each minute with this probability ...
LONG_BLOWOUT, LONG_BLOWOUT_ENDS = 0.06, 0.22  # ... but a few belong to a state that lasts
# Share of locked and crossed quotes by price: two-sided wings are quoted by machines that meet.
LOCKED = ((0.10, 0.45), (0.50, 0.10), (np.inf, 0.0055))
CROSSED = ((0.10, 0.09), (0.50, 0.015), (np.inf, 0.0022))
OPENING_WIDTH, OPENING_MINUTES = 1.8, 4.0
# The measured week is of 2021.  Since every day has its own expiry, markets are tighter: a published sample of 1.5
# million quotes has a median width of 3.6 % of mid at 15 delta, where the widths above give 6.8 %.
RECENT_WIDTH = 0.53
SIZES = np.array([1, 2, 3, 4, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60, 90, 150], dtype=np.int64)

_GRID_STEP = 0.025
_GRID_TOP = 500.0


@dataclass(frozen=True, slots=True)
class Quotes:
    """Minute quotes of c contracts over m minutes, all (m, c), prices in nickels, 0 = no bid; sizes index SIZES."""

    bid: Nickels
    bid_open: Nickels
    bid_high: Nickels
    bid_low: Nickels
    ask: Nickels
    ask_open: Nickels
    ask_high: Nickels
    ask_low: Nickels
    bid_size: npt.NDArray[np.uint8]
    ask_size: npt.NDArray[np.uint8]


def _tables(model: WidthModel) -> tuple[npt.NDArray[np.float32], ...]:
    grid = np.maximum(np.arange(0.0, _GRID_TOP, _GRID_STEP), 0.01)
    known = np.log(np.array(model.price))
    log_price = np.log(grid)
    return (
        np.interp(log_price, known, np.log(model.median)).astype(np.float32),
        np.interp(log_price, known, model.below).astype(np.float32),
        np.interp(log_price, known, model.above).astype(np.float32),
        np.interp(
            log_price, np.log([price for price, _ in model.blowout]), [share for _, share in model.blowout]
        ).astype(np.float32),
        np.array([_share(LOCKED, price) for price in grid], dtype=np.float32),
        np.array([_share(CROSSED, price) for price in grid], dtype=np.float32),
    )


def _share(steps: tuple[tuple[float, float], ...], price: float) -> float:
    return next(share for below, share in steps if price < below)


_TABLES = {id(model): _tables(model) for model in (SAME_DAY, LATER)}


def _wander(random: np.random.Generator, minutes: int, contracts: int, memory: float) -> npt.NDArray[np.float32]:
    noise = random.standard_normal((minutes, contracts), dtype=np.float32)
    noise[1:] *= np.float32(np.sqrt(1 - memory * memory))
    carry = np.float32(memory)
    for minute in range(1, minutes):
        noise[minute] += carry * noise[minute - 1]
    return noise


def _blow_out(random: np.random.Generator, log_width: npt.NDArray[np.float32], share: npt.NDArray[np.float32]) -> None:
    """Widen single minutes and short runs of them, in place."""
    minutes, contracts = log_width.shape
    mean_run = (1 - LONG_BLOWOUT) / BLOWOUT_ENDS + LONG_BLOWOUT / LONG_BLOWOUT_ENDS
    starts = random.random((minutes, contracts), dtype=np.float32) < share / np.float32(mean_run)
    row, column = np.nonzero(starts)
    if not len(row):
        return
    lasting = random.random(len(row)) < LONG_BLOWOUT
    length = random.geometric(np.where(lasting, LONG_BLOWOUT_ENDS, BLOWOUT_ENDS))
    size = (np.log(4.0) + 0.55 * np.abs(random.standard_normal(len(row)))).astype(np.float32)
    spread = np.repeat(np.arange(len(row)), length)
    place = row[spread] + np.arange(len(spread)) - np.repeat(np.cumsum(length) - length, length)
    inside = place < minutes
    blown = np.zeros_like(log_width)
    np.maximum.at(blown, (place[inside], column[spread[inside]]), size[spread[inside]])
    log_width += blown


def _on_grid(nickels: Floats) -> Nickels:
    """Round prices in nickels to the exchange's grid."""
    fine = np.rint(nickels)
    return np.where(fine < DIME_FROM, fine, 2.0 * np.rint(0.5 * nickels)).astype(np.int32)


def quote(
    random: np.random.Generator,
    worth: Floats,
    reach_up: Floats,
    reach_down: Floats,
    model: WidthModel,
    shape: DayShape,
    *,
    scale: float = 1.0,
) -> Quotes:
    """Quote contracts minute by minute.

    worth (m, c) USD at the end of each minute; reach_up, reach_down (m, c) USD that the worth went beyond the minute's
    ends.  Widths, faults and sizes are drawn from `random`; scale multiplies the measured widths.
    """
    minutes, contracts = worth.shape
    median, below, above, blowout, locked, crossed = _TABLES[id(model)]
    cell = np.minimum((worth * (1 / _GRID_STEP)).astype(np.int32), len(median) - 1)
    wander = _wander(random, minutes, contracts, model.memory)
    log_width = median[cell] + wander * np.where(wander < 0, below[cell], above[cell])
    log_width += _by_minute(model, minutes, shape)[:, None] + np.float32(np.log(scale))
    _blow_out(random, log_width, blowout[cell])
    width = np.exp(log_width, dtype=np.float32) * np.float32(1 / NICKEL)

    centre = worth * (1 / NICKEL)
    lean = random.random((minutes, contracts), dtype=np.float32) - np.float32(0.5)
    bid = _on_grid(np.maximum(0.0, centre - 0.5 * width + 0.15 * lean * width))
    _drop_bids(random, bid, centre, wander, shape)
    steps = np.maximum(1, np.rint(width)).astype(np.int32)
    ask = bid + steps
    ask = np.where(ask < DIME_FROM, ask, bid + np.maximum(2, 2 * np.rint(0.5 * width).astype(np.int32)))
    ask += (ask >= DIME_FROM) & (ask % 2 == 1)
    # Without a bid the ask is what the option is worth, or the least there is.
    ask = np.where(bid > 0, ask, np.maximum(1, _on_grid(centre + 0.5 * np.minimum(width, 4.0))))

    chance = random.random((minutes, contracts), dtype=np.float32)
    tick = np.where(bid > DIME_FROM, 2, 1)
    ask = np.where((bid > 0) & (chance < locked[cell]), bid, ask)
    ask = np.where((bid > tick) & (chance > 1 - crossed[cell]), bid - tick, ask)
    return _bars(random, bid, ask, reach_up, reach_down)


def _by_minute(model: WidthModel, minutes: int, shape: DayShape) -> npt.NDArray[np.float32]:
    """Return the log factor on every width of a minute."""
    minute = np.arange(minutes)
    half_hour = np.minimum(minute // 30, len(model.by_half_hour) - 1)
    factor = np.array(model.by_half_hour)[half_hour] * (1 + OPENING_WIDTH * np.exp(-minute / OPENING_MINUTES))
    for first, last, times in shape.spreads:
        factor[first:last] *= times
    return np.asarray(np.log(factor), dtype=np.float32)


def _drop_bids(
    random: np.random.Generator, bid: Nickels, centre: Floats, wander: npt.NDArray[np.float32], shape: DayShape
) -> None:
    """Take away the bids that nobody shows: cheap wings late in the day, and what the day's script says, in place."""
    minutes = len(bid)
    late = np.clip((np.arange(minutes) / minutes - 0.6) / 0.4, 0.0, 1.0)[:, None]
    bid[(centre < 1.0 + 2.0 * late) & (wander > 1.6 - 1.4 * late)] = 0
    for first, last, share in shape.no_bids:
        window = bid[first:last]
        window[random.random(window.shape) < share] = 0


def _bars(random: np.random.Generator, bid: Nickels, ask: Nickels, reach_up: Floats, reach_down: Floats) -> Quotes:
    up, down = reach_up * (1 / NICKEL), reach_down * (1 / NICKEL)
    bid_open = np.concatenate((bid[:1], bid[:-1]))
    ask_open = np.concatenate((ask[:1], ask[:-1]))
    bid_top, bid_bottom = np.maximum(bid_open, bid), np.minimum(bid_open, bid)
    ask_top, ask_bottom = np.maximum(ask_open, ask), np.minimum(ask_open, ask)
    sizes = random.integers(0, len(SIZES), (2, *bid.shape), dtype=np.uint8)
    return Quotes(
        bid=bid,
        bid_open=bid_open,
        bid_high=np.where(bid_top > 0, np.maximum(bid_top, _on_grid(bid_top + up)), 0),
        bid_low=np.where(bid_bottom > 0, np.clip(_on_grid(bid_bottom - down), 1, bid_bottom), 0),
        ask=ask,
        ask_open=ask_open,
        ask_high=np.maximum(ask_top, _on_grid(ask_top + up)),
        ask_low=np.clip(_on_grid(ask_bottom - down), 1, ask_bottom),
        bid_size=sizes[0],
        # What nobody bids for is offered in size, and the offer stands still.
        ask_size=np.where(bid > 0, sizes[1], np.uint8(len(SIZES) - 1)),
    )
