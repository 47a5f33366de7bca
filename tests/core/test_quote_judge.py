"""Verdicts of quotes, and medians of spreads so far in the session."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import QuoteVerdict
from core.ports import RawChain, RawQuote
from core.quote_judge import ChainSpreads, QuoteJudge
from core.settings import Settings
from core.vocabulary import Instrument
from tests.risk.builders import call, put

NOW = datetime(2025, 9, 12, 11, 0)
JUDGE = QuoteJudge(Settings().chain, Settings().data)
V = QuoteVerdict
OPTION = put(5_300)


def judged(
    bid: float | None, ask: float | None, *, age_s: float = 0, halted: bool = False, median: float | None = None,
    instrument: Instrument = OPTION,
) -> QuoteVerdict:  # fmt: skip
    raw = RawQuote(NOW - timedelta(seconds=age_s), bid, ask, bid, ask)
    return JUDGE.judge(instrument, raw, NOW, halted=halted, median=median).verdict


@pytest.mark.parametrize(
    ("bid", "ask", "verdict"),
    [
        (2.0, 2.1, V.GOOD),
        (None, None, V.MISSING),
        (0.0, 0.0, V.MISSING),
        (0.0, 0.05, V.NO_BID),
        (None, 3.0, V.NO_BID),  # nobody bids comes before wide: a bought wing may be so
        (2.0, None, V.MISSING),
        (1.2, 1.1, V.CROSSED),
        (1.2, 1.2, V.LOCKED),
        (math.nan, 1.2, V.NO_BID),
        (1.0, math.inf, V.MISSING),
        (-1.0, 1.2, V.NO_BID),
    ],
)
def test_fr_1_what_a_quote_is_worth(bid: float | None, ask: float | None, verdict: QuoteVerdict) -> None:
    assert judged(bid, ask) is verdict


@pytest.mark.parametrize(
    ("mid", "widest"),
    [
        (0.5, 0.15),  # three ticks
        (1.5, 0.15),
        (2.0, 0.20),  # a tenth of the price
        (4.5, 0.45),
        (5.0, 0.50),
        (10.0, 0.50),  # capped where an option is cheap
        (12.0, 1.20),
        (40.0, 4.0),
    ],
)
def test_a_spread_is_wide_beyond_its_limit_and_not_at_it(mid: float, widest: float) -> None:
    assert judged(mid - widest / 2, mid + widest / 2) is V.GOOD
    assert judged(mid - widest / 2 - 0.005, mid + widest / 2 + 0.005) is V.WIDE
    assert JUDGE.wide_limit(mid, 0.05, None) == pytest.approx(widest)


def test_a_spread_of_five_times_its_own_median_is_the_widest() -> None:
    assert judged(19.75, 20.25, median=0.10) is V.GOOD
    assert judged(19.70, 20.25, median=0.10) is V.WIDE
    assert judged(19.70, 20.25) is V.GOOD


def test_the_first_verdict_that_fits_wins() -> None:
    assert judged(1.2, 1.1, age_s=61, halted=True) is V.HALTED
    assert judged(1.2, 1.1, age_s=61) is V.STALE
    assert judged(None, 1.1, age_s=61) is V.STALE
    assert JUDGE.judge(OPTION, None, NOW, halted=True, median=None).verdict is V.HALTED
    assert JUDGE.judge(OPTION, None, NOW, halted=False, median=None).verdict is V.MISSING


@pytest.mark.parametrize(
    ("instrument", "limit_s"),
    [
        (put(5_300), 60),
        (put(5_300, (NOW + timedelta(days=7)).date()), 60),
        (put(5_300, (NOW + timedelta(days=8)).date()), 300),
        (Instrument("SPY", "SPY"), 30),
    ],
)
def test_fr_p1_how_old_a_quote_may_be_depends_on_what_it_is_of(instrument: Instrument, limit_s: int) -> None:
    assert judged(20.0, 20.01, age_s=limit_s, instrument=instrument) is V.GOOD
    assert judged(20.0, 20.01, age_s=limit_s + 1, instrument=instrument) is V.STALE


@given(
    st.lists(st.floats(0.05, 300), min_size=1, max_size=8),
    st.lists(st.one_of(st.just(math.nan), st.floats(0.01, 5)), min_size=8, max_size=8),
)
def test_columns_give_the_limits_of_single_quotes(mids: list[float], medians: list[float]) -> None:
    count = len(mids)
    columns = JUDGE.wide_limits(np.array(mids), np.full(count, 0.05), np.array(medians[:count]))
    single = [
        JUDGE.wide_limit(mid, 0.05, None if math.isnan(known) else known)
        for mid, known in zip(mids, medians, strict=False)
    ]
    assert columns.tolist() == single


def test_a_contract_without_a_mid_has_no_limit() -> None:
    limits = JUDGE.wide_limits(np.array([math.nan, 1.0]), np.full(2, 0.05), np.full(2, math.nan))
    assert math.isnan(limits[0])
    assert limits[1] == pytest.approx(0.15)


CONTRACTS = (put(5_290), put(5_300), call(5_400), call(5_410))


@given(
    st.lists(
        st.dictionaries(st.sampled_from(range(4)), st.one_of(st.just(math.nan), st.floats(0.01, 9)), min_size=1),
        min_size=1,
        max_size=90,
    )
)
def test_medians_of_a_chain_are_those_of_each_contracts_minutes(minutes: list[dict[int, float]]) -> None:
    """Contracts come and go from minute to minute, a minute without a two-sided market does not count, and one that is
    read in parts, or twice, counts once.
    """
    chain = ChainSpreads()
    seen: dict[int, list[float]] = {place: [] for place in range(4)}
    for number, minute in enumerate(minutes):
        places = sorted(minute)
        for part in (places[: number % 3], places):
            for place in part:
                found = chain.usual(NOW + timedelta(minutes=number), CONTRACTS[place].symbol, minute[place])
                known = [*seen[place], *([] if math.isnan(minute[place]) else [minute[place]])]
                assert found == (pytest.approx(median(known)) if known else None)
        for place in places:
            if not math.isnan(minute[place]):
                seen[place].append(minute[place])
    for place, contract in enumerate(CONTRACTS):
        expected = median(seen[place]) if seen[place] else None
        assert chain.median(contract.symbol) == (None if expected is None else pytest.approx(expected))


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(range(4)), st.tuples(st.sampled_from((0.0, 1.0)), st.floats(1.01, 9))),
            st.sampled_from(("look", "twice", "row", "ask")),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_looks_at_the_whole_chain_count_as_if_taken_in_at_once(
    minutes: list[tuple[dict[int, tuple[float, float]], str]],
) -> None:
    """Whether a row of that very minute is read as well, and whether a median is asked for in between."""
    late, prompt = ChainSpreads(), ChainSpreads()
    for number, (minute, way) in enumerate(minutes):
        end, places = NOW + timedelta(minutes=number), sorted(minute)
        bid, ask = (np.array([minute[place][side] for place in places], dtype=np.float64) for side in (0, 1))
        look = RawChain(end, tuple(CONTRACTS[place] for place in places), bid, ask)
        for _ in range(2 if way == "twice" else 1):
            late.note(look)
        rows = [(CONTRACTS[place].symbol, minute[place][1] - minute[place][0]) for place in places if minute[place][0]]
        medians = {symbol: prompt.usual(end, symbol, spread) for symbol, spread in rows}
        for symbol, spread in rows:
            if way == "row":
                assert late.usual(end, symbol, spread) == medians[symbol]
            elif way == "ask":
                assert late.median(symbol) == medians[symbol]
    expected = [prompt.median(one.symbol) for one in CONTRACTS]
    assert late.medians(CONTRACTS) == pytest.approx([math.nan if one is None else one for one in expected], nan_ok=True)
    assert [late.median(one.symbol) for one in CONTRACTS] == expected
