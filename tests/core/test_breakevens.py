"""Where a structure neither wins nor loses at its expiry."""

from __future__ import annotations

import pytest

from tests.risk.builders import call_spread, condor, put_spread


def test_a_sold_spread_breaks_even_its_credit_away_from_the_short_strike() -> None:
    assert put_spread(5_300).breakevens(2.5) == pytest.approx((5_297.5,))
    assert call_spread(5_400).breakevens(1.25) == pytest.approx((5_401.25,))


def test_a_condor_breaks_even_on_both_sides_of_what_it_sold() -> None:
    assert condor(short_put=5_300, short_call=5_400).breakevens(3.0) == pytest.approx((5_297.0, 5_403.0))


def test_a_bought_spread_breaks_even_what_it_paid_inside_of_its_long_strike() -> None:
    assert put_spread(5_300).inverse().breakevens(-2.5) == pytest.approx((5_297.5,))


def test_a_credit_as_wide_as_the_wings_never_loses() -> None:
    assert put_spread(5_300, 10).breakevens(10.5) == ()
