"""Which strategies LEAN's matcher finds in a set of positions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest

from engine.models.option_strategies import OptionLeg, match
from engine.models.position_groups import group_positions, impacted_groups, resolve_groups
from tests.engine.models.builders import Market

NEAR = date(2025, 1, 10)
FAR = date(2025, 5, 6)
Legs = Sequence[tuple[float, str, int, date]]


def names(legs: Legs, lots: int = 0) -> list[str]:
    market = Market()
    positions = [
        OptionLeg(market.option(strike, right, expiry=expiry).symbol, held) for strike, right, held, expiry in legs
    ]
    found = match(positions, lots)
    return [f"{hit.strategy} {abs(hit.legs[0].quantity)}" for hit in found]


def near(*legs: tuple[float, str, int]) -> Legs:
    return [(*leg, NEAR) for leg in legs]


@pytest.mark.parametrize(
    ("legs", "found"),
    [
        (near((5780, "P", 1), (5800, "P", -1), (5920, "C", -1), (5940, "C", 1)), ["Iron Condor 1"]),
        (near((5780, "P", -3), (5800, "P", 3), (5920, "C", 3), (5940, "C", -3)), ["Short Iron Condor 3"]),
        (
            near((5780, "P", 2), (5800, "P", -2), (5920, "C", -1), (5940, "C", 1)),
            ["Iron Condor 1", "Bull Put Spread 1"],
        ),
        (near((5780, "P", 1), (5800, "P", -1), (5800, "C", -1), (5820, "C", 1)), ["Iron Butterfly 1"]),
        (
            near((5780, "P", 1), (5800, "P", -1), (5800, "C", -1), (5830, "C", 1)),
            ["Bear Call Spread 1", "Bull Put Spread 1"],
        ),
        (near((5780, "P", 1), (5800, "P", -2), (5820, "P", 1)), ["Butterfly Put 1"]),
        (near((5740, "P", 1), (5800, "P", -2), (5820, "P", 1)), ["Bear Put Spread 1", "Bull Put Spread 1"]),
        (near((5800, "P", -1), (5900, "C", -1)), ["Short Strangle 1"]),
        (near((5800, "P", -1), (5800, "C", -1)), ["Short Straddle 1"]),
        (near((5900, "P", -1), (5800, "C", -1)), ["Naked Call 1", "Naked Put 1"]),  # the put must be below
        (near((5800, "P", 2)), ["Naked Put 2"]),  # LEAN derives the inverse of its naked definitions and keeps the name
        ([(5800, "P", -1, NEAR), (5800, "P", 1, FAR)], ["Put Calendar Spread 1"]),
        ([(5800, "P", 1, NEAR), (5800, "P", -1, FAR)], ["Short Put Calendar Spread 1"]),
        ([(6050, "C", -1, NEAR), (5250, "C", 1, FAR)], ["Naked Call 1", "Naked Call 1"]),  # a diagonal is no strategy
        (
            [(5800, "C", -1, NEAR), (5800, "C", 1, FAR), (5800, "P", 1, NEAR), (5800, "P", -1, FAR)],
            ["Jelly Roll 1"],
        ),
        (near((5800, "P", 1), (5780, "P", -1), (5780, "C", 1), (5800, "C", -1)), ["Box Spread 1"]),
        # 1-1-2: the long put, the short one and one of the far puts are a ladder; the other far put is naked.
        (near((5600, "P", 1), (5550, "P", -1), (5275, "P", -2)), ["Bear Put Ladder 1", "Naked Put 1"]),
    ],
)
def test_positions_are(legs: Legs, found: list[str]) -> None:
    assert names(legs) == found


def test_overlapping_spreads_are_not_carved_into_a_ladder_with_a_naked_leg() -> None:
    """The greedy grouping leaves one call uncovered, the other none: LEAN has compared the two since August 2026."""
    legs = near((5800, "C", 1), (5820, "C", -1), (5810, "C", 1), (5830, "C", -1))

    assert names(legs) == ["Bull Call Spread 1", "Bull Call Spread 1"]


@pytest.mark.parametrize(
    ("far_strike", "found"),
    [(6050, ["Bear Call Spread 1", "Bull Call Spread 1"]), (6051, ["Bull Call Ladder 1", "Naked Call 1"])],
)
def test_a_long_leg_covers_up_to_a_tenth_of_the_strike_away(far_strike: float, found: list[str]) -> None:
    assert names(near((5000, "C", 1), (5500, "C", -1), (far_strike, "C", 1), (7000, "C", -1))) == found


@pytest.mark.parametrize(
    ("legs", "found"),
    [
        (((5700, "P", 1), (5720, "P", -1), (5750, "P", 1), (5770, "P", -1)), ["Bull Put Ladder 1", "Naked Put 1"]),
        (((5920, "C", -1), (5940, "C", 1), (5950, "C", -1), (5970, "C", 1)), ["Bear Call Ladder 1", "Naked Call 1"]),
    ],
)
def test_two_credit_spreads_of_one_expiry_become_a_ladder_and_a_naked_short(
    legs: Sequence[tuple[float, str, int]], found: list[str]
) -> None:
    """LEAN's credit ladder takes two longs for one short; neither of the two groupings it compares avoids that."""
    assert names(near(*legs)) == found


@pytest.mark.parametrize(
    ("lots", "legs", "found"),
    [
        (2, near((5900, "C", -1)), ["Covered Call 1"]),
        (1, near((5900, "C", -2)), ["Covered Call 1", "Naked Call 1"]),
        (-1, near((5900, "C", -1)), ["Naked Call 1"]),  # short stock covers no call
        (-1, near((5700, "P", -1)), ["Covered Put 1"]),
        (1, near((5900, "C", -1), (5700, "P", 1)), ["Protective Collar 1"]),
        (-1, near((5900, "C", 1), (5700, "P", -1)), ["Protective Collar 1"]),
        (1, near((5800, "C", -1), (5800, "P", 1)), ["Conversion 1"]),
    ],
)
def test_lots_of_the_underlying_take_part(lots: int, legs: Legs, found: list[str]) -> None:
    assert names(legs, lots) == found


def test_shares_beyond_whole_lots_stay_alone() -> None:
    market = Market()
    stock = market.stock("SPY", 580.0, held=270)
    call = market.stock_option(stock, 600, "C", 2.0, held=-2)

    covered, alone = resolve_groups([stock, call])

    assert covered.strategy == "Covered Call"
    assert {position.symbol: position.quantity for position in covered.positions} == {
        call.symbol: -2,
        stock.symbol: 200,
    }
    assert alone.is_default
    assert (alone.quantity, alone.positions[0].quantity) == (70, 70)


def test_part_of_a_lot_covers_nothing() -> None:
    market = Market()
    stock = market.stock("SPY", 580.0, held=270)
    call = market.stock_option(stock, 600, "C", 2.0, held=-3)

    assert [group.strategy for group in resolve_groups([stock, call])] == ["Covered Call", "Naked Call", None]


def test_groups_count_units_of_their_legs() -> None:
    market = Market()
    held = [market.option(5780, "C", held=10), market.option(5800, "C", held=-20), market.option(5820, "C", held=10)]

    (butterfly,) = resolve_groups(held)

    assert butterfly.quantity == 10
    assert sorted(position.unit for position in butterfly.positions) == [1, 1, 2]


def test_without_options_nothing_is_matched() -> None:
    market = Market()
    stocks = [market.stock("SPY", 580.0, held=10), market.stock("QQQ", 500.0, held=-5), market.stock("PSQ", 40.0)]

    groups = resolve_groups(stocks)

    assert [(group.is_default, group.quantity) for group in groups] == [(True, 10), (True, -5)]


def test_an_order_touches_all_groups_on_its_underlying_and_no_other() -> None:
    market = Market()
    spy = market.stock("SPY", 580.0, held=10)
    call = market.stock_option(spy, 600, "C", held=-1)
    held = [market.option(5780, "P", held=1), market.option(5800, "P", held=-1, expiry=FAR), spy, call]
    groups = resolve_groups(held)

    touched = impacted_groups(groups, [market.option(5900, "C").symbol])

    assert len(groups) == 4
    assert {position.symbol for group in touched for position in group.positions} == {held[0].symbol, held[1].symbol}
    assert len(impacted_groups(groups, [spy.symbol])) == 2


def test_a_book_that_nets_to_nothing_has_no_groups() -> None:
    assert group_positions([], {}) == ()
    assert resolve_groups([Market().option(5800, "P")]) == ()
