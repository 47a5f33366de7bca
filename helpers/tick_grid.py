"""The tick grid of an order's price, in net cash per unit (points: + received, - paid).

Rounding in our favour is always upwards: more received, or less paid.  LEAN would round to the nearest tick by
itself, half of the time against us, so that a price is put on the grid before it leaves.
"""

from __future__ import annotations

import math
from typing import Final

_NOISE: Final = 1e-6
"""A fraction of a tick that is arithmetic, not price: 2.55 / 0.05 is not a whole number in binary."""


def in_our_favour(cash: float, tick: float) -> float:
    """Return the lowest price on the grid that is not below cash."""
    return _on_grid(math.ceil(cash / tick - _NOISE), tick)


def against_us(cash: float, tick: float) -> float:
    """Return the highest price on the grid that is not above cash."""
    return _on_grid(math.floor(cash / tick + _NOISE), tick)


def next_worse(cash: float, tick: float) -> float:
    """Return the first price on the grid that gives up more than cash: a tick less received, or a tick more paid."""
    return _on_grid(math.ceil(cash / tick - _NOISE) - 1, tick)


def is_on_grid(cash: float, tick: float) -> bool:
    """Tell whether cash is a whole number of ticks."""
    return abs(cash / tick - round(cash / tick)) <= _NOISE


def _on_grid(ticks: int, tick: float) -> float:
    # Ten decimals remove the binary dust of the product and keep every tick that exists.
    return round(ticks * tick, 10) + 0.0
