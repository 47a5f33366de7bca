"""Prices on the grid: always in our favour, never more than a tick away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.tick_grid import against_us, in_our_favour, is_on_grid, next_worse

TICKS = st.sampled_from([0.01, 0.05, 0.10])
CASH = st.integers(-200_000, 200_000).map(lambda ten_thousandths: ten_thousandths / 10_000)


@pytest.mark.parametrize(
    ("cash", "favour", "against"),
    [
        (2.5201, 2.55, 2.50),  # a sale: never for less
        (-1.375, -1.35, -1.40),  # a purchase: never for more
        (2.55, 2.55, 2.55),
        (0.15, 0.15, 0.15),  # 0.15 / 0.05 is not 3 in binary
        (-0.02, 0.0, -0.05),
    ],
)
def test_rounding_gives_more_to_us_or_to_them(cash: float, favour: float, against: float) -> None:
    assert in_our_favour(cash, 0.05) == favour
    assert against_us(cash, 0.05) == against


@given(cash=CASH, tick=TICKS)
def test_both_sides_lie_on_the_grid_around_the_price(cash: float, tick: float) -> None:
    up, down = in_our_favour(cash, tick), against_us(cash, tick)
    assert is_on_grid(up, tick)
    assert is_on_grid(down, tick)
    assert down - 1e-6 <= cash <= up + 1e-6
    assert up - down == pytest.approx(0.0 if is_on_grid(cash, tick) else tick)


@given(cash=CASH, tick=TICKS)
def test_the_next_worse_price_is_the_first_one_below(cash: float, tick: float) -> None:
    worse = next_worse(cash, tick)
    assert worse < cash
    assert is_on_grid(worse, tick)
    assert cash - worse <= tick * (1 + 1e-4)
