"""Whose quotes a step reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from core.vocabulary import Instrument
from core.watch_list import WatchList

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
INSTRUMENTS = {symbol: Instrument(symbol, symbol) for symbol in SYMBOLS}
ALWAYS = (INSTRUMENTS["DDD"], INSTRUMENTS["BBB"])

some = st.lists(st.sampled_from(SYMBOLS), max_size=2, unique=True)


@given(st.lists(st.tuples(st.sampled_from(("held", "at_work", "lately", "none")), some), max_size=20))
def test_a_step_reads_what_is_held_at_work_or_was_lately_and_what_is_always_watched(
    changes: list[tuple[str, list[str]]],
) -> None:
    listed = WatchList(INSTRUMENTS.__getitem__, ALWAYS)
    held: Mapping[str, int] = MappingProxyType({})
    at_work: tuple[str, ...] = ()
    lately: frozenset[str] = frozenset()
    for what, symbols in changes:
        if what == "held":
            held = MappingProxyType(dict.fromkeys(symbols, 1))
        elif what == "at_work":
            at_work = tuple(symbols)
        elif what == "lately":
            lately = frozenset(symbols)
        found = [instrument.symbol for instrument in listed.of(held, at_work, lately)]
        assert found == sorted({*held, *at_work, *lately, "BBB", "DDD"})
