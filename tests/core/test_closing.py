"""Closing: what a structure that closes something can be worth at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.closing import defined_width
from core.errors import VocabularyError
from core.vocabulary import Instrument, Leg, Structure, StructureName
from tests.core.desk import call, condor, put, put_spread, structure

SHARES = Instrument("QQQ", "QQQ")
LEGS = st.lists(
    st.tuples(
        st.sampled_from([make(strike) for make in (put, call) for strike in (5_800.0, 5_900.0, 5_950.0)]),
        st.sampled_from([-2, -1, 1, 2]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda leg: leg[0],
)


def test_a_spread_is_worth_its_width_and_shares_that_are_sold_nothing_less() -> None:
    assert defined_width(put_spread(width=25.0).inverse()) == 25.0
    assert defined_width(condor().inverse()) == 5.0
    assert defined_width(structure((call(6_000.0), 1))) is None
    assert defined_width(Structure(StructureName.SHARES, (Leg(SHARES, -1),))) == 0.0
    assert defined_width(Structure(StructureName.SHARES, (Leg(SHARES, 1),))) is None


@given(LEGS)
def test_what_closing_can_be_worth_is_what_the_inverse_can_owe(legs: list[tuple[Instrument, int]]) -> None:
    try:
        made = structure(*legs)
    except VocabularyError:
        return  # a common factor: no unit
    owed = made.inverse().worst_payoff()
    assert defined_width(made) == (None if owed is None else -owed)
