"""A market of Python values behaves like a folder, and shows edits of minutes to come."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.columns import DataError, DataSource, UnderlyingBar
from engine.enums import OptionRight
from engine.folder import FolderSource
from engine.memory import MemorySource
from engine.symbols import Symbol
from tests.engine.factors import factor_rows
from tests.engine.lean_folder import LeanFolder

SPX = Symbol.index("SPX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
SPY = Symbol.equity("SPY")
DAY = date(2025, 1, 3)
PUT = Symbol.option(SPX, OptionRight.PUT, 5300, DAY, ticker="SPXW")


def test_quotes_set_later_show_in_columns_handed_out_before() -> None:
    source = MemorySource()
    source.set_quotes(PUT, DAY, range(571, 574), bid=1.00, ask=1.10)
    columns = source.quotes(PUT, DAY)
    assert columns is not None
    session = columns.between(571, 975)

    source.set_quote(PUT, DAY, 573, bid=2.00, ask=2.20, bid_low=1.50, ask_high=2.50)
    source.set_quote(PUT, DAY, 575, bid=3.00, ask=3.30)
    source.set_quote(PUT, DAY, 980, bid=9.00, ask=9.30)

    for seen in (columns, session):
        assert seen.bid_close[seen.row_at(573)] == 2.00
        assert (seen.bid_low[2], seen.ask_high[2]) == (1.50, 2.50)
        assert (seen.row_at(574), seen.last_row_at_or_before(574)) == (-1, 2)
        assert seen.ask_close[seen.row_at(575)] == 3.30
    assert columns.last_minute == 980
    assert session.last_minute == 575, "a part shows only its own minutes"


def test_minute_taken_away_is_gone_everywhere() -> None:
    source = MemorySource()
    source.set_bars(SPY, DAY, (571, 572, 573), 500.0, volume=10)
    source.set_quotes(PUT, DAY, (571, 572), 1.0, 1.1)
    trades, quotes = source.trades(SPY, DAY), source.quotes(PUT, DAY)
    assert trades is not None
    assert quotes is not None
    part = trades.between(571, 975)

    source.remove_bar(SPY, DAY, 572)
    source.remove_quote(PUT, DAY, 571)
    source.remove_quote(PUT, DAY, 600)

    assert trades.end_minute.tolist() == part.end_minute.tolist() == [571, 573]
    assert quotes.end_minute.tolist() == [572]


@pytest.mark.parametrize("nothing", [None, 0])
def test_quote_without_a_side(nothing: float | None) -> None:
    source = MemorySource()
    source.set_quote(PUT, DAY, 571, bid=nothing, ask=0.05)
    columns = source.quotes(PUT, DAY)

    assert columns is not None
    assert math.isnan(columns.bid_close[0])
    assert (columns.bid_size[0], columns.ask_close[0]) == (0, 0.05)


def test_bar_of_one_price_and_bar_of_four() -> None:
    source = MemorySource()
    source.set_bar(SPX, DAY, 571, 5300.0)
    source.set_bar(SPX, DAY, 572, 5300.0, close=5310.0)
    source.set_bar(SPX, DAY, 573, 5300.0, 5320.0, 5290.0, 5310.0, 7)
    columns = source.trades(SPX, DAY)

    assert columns is not None
    assert columns.values.tolist() == [
        [5300, 5300, 5300, 5300, 0],
        [5300, 5310, 5300, 5310, 0],
        [5300, 5320, 5290, 5310, 7],
    ]


def test_chain_lists_what_was_quoted_or_traded() -> None:
    source = MemorySource()
    call = Symbol.option(SPX, OptionRight.CALL, 5300, DAY, ticker="SPXW")
    source.set_quotes(PUT, DAY, (571, 572), 1.0, 1.1)
    source.set_bar(call, DAY, 571, 2.0)
    source.set_open_interest(PUT, DAY, 1234)
    chain = source.option_day(SPXW, DAY)

    assert chain is not None
    assert list(chain.symbols) == [PUT, call]
    assert (chain.row_span(PUT), chain.row_span(call)) == ((2, 571, 572), None)
    assert list(chain.quotes_many([call, PUT])) == [PUT]
    closes = chain.closes_many([call, PUT])
    assert {symbol: (one.end_minute.tolist(), one.ask.tolist()) for symbol, one in closes.items()} == {
        PUT: ([571, 572], [1.1, 1.1])
    }
    interest = chain.open_interest(PUT)
    assert interest is not None
    assert interest.open_interest.tolist() == [1234]
    assert source.option_day(SPXW, date(2025, 1, 6)) is None


def test_universe_holds_contracts_and_the_underlyings_close() -> None:
    source = MemorySource()
    source.set_universe(SPXW, DAY, [PUT], 5303.0)
    source.set_universe(SPXW, date(2025, 1, 2), [PUT], UnderlyingBar(1, 2, 0.5, 1.5, 9))

    table = source.universe(SPXW, DAY)

    assert table is not None
    assert table.symbol(0) is PUT
    assert table.underlying == UnderlyingBar(5303, 5303, 5303, 5303, 0)
    assert list(source.universe_dates(SPXW)) == [date(2025, 1, 2), DAY]


def test_usual_hours_and_properties() -> None:
    source = MemorySource(holidays=[date(2025, 1, 20)], early_closes={DAY: 780})

    for symbol, close in ((SPY, 960), (SPX, 975), (SPXW, 975), (Symbol.canonical_option(SPY), 960)):
        normal, half = source.hours(symbol).session(date(2025, 7, 2)), source.hours(symbol).session(DAY)
        assert normal is not None
        assert half is not None
        assert (normal.open_minute, normal.close_minute, half.close_minute) == (570, close, 780)
        assert source.hours(symbol).session(date(2025, 1, 20)) is None
    assert source.properties(SPXW).contract_multiplier == 100
    assert source.properties(SPY).minimum_price_variation == 0.01
    with pytest.raises(DataError, match="found FUTURE, expected an equity"):
        source.hours(Symbol.parse("ES XKJAZ588SI4H"))


def test_manifest_changes_with_any_number() -> None:
    def manifest(change: Callable[[MemorySource], object]) -> str:
        source = MemorySource()
        source.set_bar(SPY, DAY, 571, 500.0)
        source.set_quote(PUT, DAY, 571, 1.0, 1.1)
        source.set_universe(SPXW, DAY, [PUT], 5300.0)
        source.set_daily(SPY, DAY, 1, 1, 1, 1)
        change(source)
        return source.manifest()

    same = manifest(lambda source: None)
    others = [
        manifest(lambda source: source.set_bar(SPY, DAY, 571, 500.01)),
        manifest(lambda source: source.set_quote(PUT, DAY, 571, 1.0, 1.1, ask_size=11)),
        manifest(lambda source: source.set_quote(PUT, DAY, 572, 1.0, 1.1)),
        manifest(lambda source: source.set_universe(SPXW, DAY, [PUT], 5301.0)),
        manifest(lambda source: source.set_daily(SPY, DAY, 1, 1, 1, 2)),
    ]
    assert manifest(lambda source: None) == same
    assert len({same, *others}) == 6


def test_splits_and_dividends_from_factor_rows() -> None:
    source = MemorySource()
    source.set_factors(SPY, factor_rows(("2025-01-03", 0.99, 0.5), ("2050-12-31", 1.0, 1.0)))

    assert [(split.day, split.split_factor) for split in source.splits(SPY)] == [(date(2025, 1, 6), 0.5)]
    assert [(dividend.day, dividend.distribution) for dividend in source.dividends(SPY)] == [(date(2025, 1, 6), 1.0)]
    assert source.splits(SPX) == ()
    assert source.dividends(SPX) == ()


edits = st.lists(st.tuples(st.integers(571, 600), st.one_of(st.none(), st.integers(1, 9_999))), min_size=1, max_size=40)


@given(edits)
def test_columns_hold_the_last_edit_of_each_minute_in_order(changes: list[tuple[int, int | None]]) -> None:
    source = MemorySource()
    source.set_bar(SPY, DAY, 585, 1.0)
    columns = source.trades(SPY, DAY)
    assert columns is not None
    part = columns.between(580, 590)
    wanted = {585: 1.0}
    for minute, price in changes:
        if price is None:
            source.remove_bar(SPY, DAY, minute)
            wanted.pop(minute, None)
        else:
            source.set_bar(SPY, DAY, minute, float(price))
            wanted[minute] = float(price)

    expected = sorted(wanted.items())
    assert list(zip(columns.end_minute.tolist(), columns.close.tolist(), strict=True)) == expected
    inside = [(minute, price) for minute, price in expected if 580 <= minute <= 590]
    assert list(zip(part.end_minute.tolist(), part.close.tolist(), strict=True)) == inside
    for minute in range(570, 602):
        row = columns.row_at(minute)
        assert (columns.close[row] if row >= 0 else None) == wanted.get(minute)


def test_memory_and_folder_give_the_same_columns(folder: LeanFolder) -> None:
    rows = ["34200000,10000,10000,10000,10000,10,,,,,", "34320000,9000,9000,9000,9000,10,11000,11000,11000,11000,10"]
    folder.spxw(DAY, {"put_53000000_20250103": rows})
    memory = MemorySource()
    memory.set_quote(PUT, DAY, 571, 1.0, None)
    memory.set_quote(PUT, DAY, 573, 0.9, 1.1)
    sources: list[DataSource] = [FolderSource(folder.root), memory]

    seen = []
    for source in sources:
        columns = source.quotes(PUT, DAY)
        assert columns is not None
        seen.append((columns.end_minute.tolist(), str(columns.values.tolist())))
    assert seen[0] == seen[1]
