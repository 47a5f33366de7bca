"""Which sold options nothing covers, against a search of every pairing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.coverage import declared_nakeds, naked_shorts, uncovered
from core.vocabulary import Instrument, Right
from tests.core.desk import DAY, call, condor, one_one_two, put, put_spread

NEXT = DAY + timedelta(days=7)


def held(*legs: tuple[Instrument, int]) -> list[tuple[Instrument, int]]:
    return list(legs)


@pytest.mark.parametrize(
    ("holdings", "naked"),
    [
        (held((put(5_900), -1), (put(5_895), 1)), {}),
        (held((put(5_900), -2), (put(5_895), 1)), {put(5_900).symbol: 1}),
        (held((put(5_900), -1), (call(5_895), 1)), {put(5_900).symbol: 1}),
        (held((put(5_900, NEXT), -1), (put(5_895, DAY), 1)), {put(5_900, NEXT).symbol: 1}),
        (held((put(5_900, DAY), -1), (put(5_895, NEXT), 1)), {}),
        (held((call(6_000), -1), (put(5_900), -1), (call(6_005), 1)), {put(5_900).symbol: 1}),
        # One long of the later expiry: it must serve the short that only it can serve.
        (
            held((put(5_900, DAY), -1), (put(5_900, NEXT), -1), (put(5_800, DAY), 1), (put(5_800, NEXT), 1)),
            {},
        ),
        # Of two shorts and one long the one nearest the money is covered, the far one is named.
        (held((put(5_900), -1), (put(5_800), -1), (put(5_950), 1)), {put(5_800).symbol: 1}),
        (held((call(6_000), -1), (call(6_100), -1), (call(6_200), 1)), {call(6_100).symbol: 1}),
        ([], {}),
    ],
)
def test_naked_shorts(holdings: list[tuple[Instrument, int]], naked: dict[str, int]) -> None:
    assert naked_shorts(holdings) == naked


def test_structures_declare_their_nakeds() -> None:
    assert declared_nakeds(condor()) == {}
    assert declared_nakeds(put_spread()) == {}
    assert declared_nakeds(one_one_two()) == {put(5_700).symbol: 2}


def test_a_declared_naked_is_no_lack_but_a_missing_long_is() -> None:
    declared = {put(5_700).symbol: 2}
    whole = held((put(5_900), 1), (put(5_850), -1), (put(5_700), -2))
    assert uncovered(whole, declared) == {}
    assert uncovered(whole[1:], declared) == {put(5_850).symbol: 1}
    assert uncovered(held((put(5_700), -3)), declared) == {put(5_700).symbol: 1}


LEGS = st.tuples(st.sampled_from(Right), st.sampled_from((5_800.0, 5_900.0, 6_000.0)), st.sampled_from((DAY, NEXT)))


@given(st.dictionaries(LEGS, st.integers(-2, 2).filter(bool), max_size=5))
def test_the_number_of_naked_shorts_is_the_least_that_any_pairing_leaves(
    legs: dict[tuple[Right, float, date], int],
) -> None:
    holdings = [(_contract(*leg), qty) for leg, qty in legs.items()]
    assert sum(naked_shorts(holdings).values()) == _least_naked(holdings)


@given(st.dictionaries(LEGS, st.integers(-2, 2).filter(bool), max_size=5), st.randoms(use_true_random=False))
def test_the_sequence_of_the_legs_does_not_matter(legs: dict[tuple[Right, float, date], int], random: object) -> None:
    holdings = [(_contract(*leg), qty) for leg, qty in legs.items()]
    shuffled = list(holdings)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert naked_shorts(holdings) == naked_shorts(shuffled)


def _contract(right: Right, strike: float, expiry: date) -> Instrument:
    return call(strike, expiry) if right is Right.CALL else put(strike, expiry)


def _least_naked(holdings: list[tuple[Instrument, int]]) -> int:
    """Sold contracts less the largest matching, found by augmenting paths."""
    shorts = [item for item, qty in holdings for _ in range(-qty)]
    longs = [item for item, qty in holdings for _ in range(qty)]
    cover: dict[int, int] = {}

    def augment(short: int, seen: set[int]) -> bool:
        for at, long in enumerate(longs):
            if at in seen or not _covers(long, shorts[short]):
                continue
            seen.add(at)
            if at not in cover or augment(cover[at], seen):
                cover[at] = short
                return True
        return False

    return len(shorts) - sum(augment(at, set()) for at in range(len(shorts)))


def _covers(long: Instrument, short: Instrument) -> bool:
    assert long.expiry is not None
    assert short.expiry is not None
    return long.right is short.right and long.expiry >= short.expiry
