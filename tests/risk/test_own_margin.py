"""Own margin of structures, by the table of the margin rules."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings
from core.vocabulary import Instrument, Right, Structure, StructureName
from risk.own_margin import NakedPrices, own_margin
from tests.risk.builders import call, call_spread, condor, legs, naked_put, put, put_spread, shares

SETTINGS = Settings().margin
NOTHING = NakedPrices(lambda _: None, lambda _: None)
LATER = date(2025, 9, 19)


def prices(premium: float, underlying: float) -> NakedPrices:
    return NakedPrices(lambda _: premium, lambda _: underlying)


def usd(
    structure: Structure, net_cash_usd: float = 100.0, known: NakedPrices = NOTHING, units: int = 1
) -> float | None:
    held = [(leg.instrument, leg.ratio * units) for leg in structure.legs]
    margin = own_margin(held, net_cash_usd, SETTINGS, known)
    return None if margin is None else margin.usd


def test_mm1_wings_of_20_and_10_points_cost_the_margin_of_the_20() -> None:
    assert usd(condor(width_points=20, call_width_points=10)) == 2_000
    assert usd(condor(width_points=10, call_width_points=20)) == 2_000


def test_a_spread_costs_its_width_and_two_of_them_twice_that() -> None:
    assert usd(put_spread(width_points=5)) == 500
    assert usd(call_spread(width_points=5)) == 500
    assert usd(call_spread(width_points=5), units=2) == 1_000


def test_a_debit_is_margin_because_it_can_be_lost() -> None:
    bought = Structure(StructureName.CALL_SPREAD, legs((call(5_400), 1), (call(5_410), -1)))
    assert usd(bought, -350.0) == 350
    diagonal = Structure(StructureName.DIAGONAL, legs((call(5_380, LATER), 1), (call(5_370), -1)))
    assert usd(diagonal, -900.0) == 900 + 1_000  # the short strike lies below the long's


def test_a_long_that_expires_first_covers_nothing() -> None:
    backwards = Structure(StructureName.DIAGONAL, legs((put(5_290), 1), (put(5_300, LATER), -1)))
    assert usd(backwards) is None
    assert usd(backwards, 100.0, prices(20.0, 5_350.0)) is not None


def test_one_one_two_pays_for_its_two_tails_only() -> None:
    spy = {
        strike: Instrument(f"SPY{strike}", "SPY", 100, 0.01, Right.PUT, strike, LATER)
        for strike in (475.0, 470.0, 445.0, 435.0)
    }
    structure = Structure(
        StructureName.ONE_ONE_TWO, legs((spy[475.0], 1), (spy[470.0], -1), (spy[445.0], -2), (spy[435.0], 2))
    )
    assert usd(structure, 45.0) == 2_000  # strategies.md LT-01


def test_a_naked_put_pays_a_share_of_the_index_less_what_it_is_away() -> None:
    # 15 % of 5350 = 802.50, 50 points away: 752.50; plus the premium of 12.
    assert usd(naked_put(5_300), 1_200.0, prices(12.0, 5_350.0)) == pytest.approx(76_450)
    # Far away the floor of 10 % of the strike holds.
    assert usd(naked_put(3_000), 100.0, prices(1.0, 5_350.0)) == pytest.approx(30_100)


def test_a_naked_call_pays_a_share_of_the_index_less_what_it_is_away() -> None:
    naked = Structure(StructureName.SINGLE, legs((call(5_450), -1)))
    assert usd(naked, 500.0, prices(5.0, 5_350.0)) == pytest.approx((802.5 - 100 + 5) * 100)
    inside = Structure(StructureName.SINGLE, legs((call(5_300), -1)))
    assert usd(inside, 6_000.0, prices(60.0, 5_350.0)) == pytest.approx((802.5 + 60) * 100)


def test_an_equity_option_pays_a_fifth() -> None:
    gold = Instrument("GLD   250912P00190000", "GLD", 100, 0.01, Right.PUT, 190.0, date(2025, 9, 12))
    naked = Structure(StructureName.NAKED_PUT, legs((gold, -1)))
    assert usd(naked, 100.0, prices(1.0, 200.0)) == pytest.approx((40 - 10 + 1) * 100)


def test_a_naked_put_without_prices_has_no_known_margin() -> None:
    assert usd(naked_put()) is None


def test_a_strangle_pays_its_larger_side_and_the_other_premium() -> None:
    strangle = Structure(StructureName.STRANGLE, legs((put(5_300), -1), (call(5_450), -1)))
    # put 802.5 - 50 + 5 = 757.5, call 802.5 - 100 + 5 = 707.5; the other premium is 5.
    assert usd(strangle, 1_000.0, prices(5.0, 5_350.0)) == pytest.approx((757.5 + 5) * 100)


def test_naked_margin_is_dearer_under_stress_and_covered_margin_is_not() -> None:
    naked = own_margin([(put(5_300), -1)], 1_200.0, SETTINGS, prices(12.0, 5_350.0))
    covered = own_margin([(put(5_300), -1), (put(5_290), 1)], 200.0, SETTINGS, NOTHING)
    assert naked is not None
    assert covered is not None
    assert naked.stressed(1.3) == pytest.approx(1.3 * naked.usd)
    assert covered.stressed(1.3) == covered.usd


def test_shares_cost_their_notional_and_are_unknown_without_a_price() -> None:
    assert usd(shares(), -40_000.0, prices(400.0, 400.0), units=100) == 40_000
    assert usd(shares(), -40_000.0) is None


@given(
    strikes=st.lists(st.integers(1_000, 1_140), min_size=4, max_size=4, unique=True),
    credit=st.floats(0, 400),
    units=st.integers(1, 5),
)
def test_own_margin_covers_all_that_a_credit_structure_can_owe(strikes: list[int], credit: float, units: int) -> None:
    low, short_put, short_call, high = (strike * 5.0 for strike in sorted(strikes))
    made = Structure(
        StructureName.IRON_CONDOR, legs((put(low), 1), (put(short_put), -1), (call(short_call), -1), (call(high), 1))
    )
    floor = made.worst_payoff()
    margin = usd(made, credit, units=units)
    assert floor is not None
    assert margin == pytest.approx(-floor * 100 * units)
