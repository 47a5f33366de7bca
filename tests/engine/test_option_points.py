"""Points of a chain: one for each quote that a run was given, however the day's rows lie."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from engine.clock import stamp_of
from engine.enums import DataNormalizationMode, OptionRight, Resolution
from engine.feed import Subscription
from engine.hours import Session
from engine.memory import MemorySource
from engine.option_group import OptionGroup
from engine.option_points import points_of_group
from engine.securities import Security
from engine.symbols import Symbol

DAY = date(2025, 1, 3)
SPXW = Symbol.canonical_option(Symbol.index("SPX"), "SPXW")
OPEN, CLOSE = 570, 600  # a short session; real files go on after it

without_gaps = st.tuples(st.integers(560, 610), st.integers(0, 40)).map(lambda pair: range(pair[0], sum(pair)))
minutes = st.one_of(without_gaps, st.lists(st.integers(560, 610), unique=True, max_size=20))


@given(contracts=st.lists(minutes, min_size=1, max_size=3), since=st.integers(540, 605), last=st.integers(565, 605))
def test_points_are_the_quotes_between_subscription_and_end(contracts: list[list[int]], since: int, last: int) -> None:
    source = MemorySource()
    members: list[Security] = []
    expected = 0
    for number, rows in enumerate(contracts):
        symbol = Symbol.option(Symbol.index("SPX"), OptionRight.PUT, 5300.0 + number, DAY, ticker="SPXW")
        source.set_quotes(symbol, DAY, rows, bid=1.0, ask=1.1)
        subscription = Subscription(
            Resolution.MINUTE, False, False, DataNormalizationMode.RAW, True, True, stamp_of(DAY, since)
        )
        members.append(cast(Security, SimpleNamespace(symbol=symbol, subscription=subscription)))
        expected += sum(max(OPEN, since) < row <= min(last, CLOSE) for row in rows)

    group = OptionGroup(SPXW, Session(DAY, OPEN, CLOSE), False, source.option_day(SPXW, DAY), DAY.toordinal())
    group.members = members

    assert points_of_group(group, last) == expected
