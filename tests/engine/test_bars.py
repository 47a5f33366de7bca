"""Rows of LEAN's files become columns, whatever road they are read by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bars import (
    daily_columns,
    open_interest_columns,
    quote_closes,
    quote_columns,
    row_span,
    trade_columns,
)
from engine.columns import DataError, QuoteColumns

QUOTE = b"34200000,651000,671000,635000,649000,48,692000,707000,674000,679000,15\n"
NEXT_QUOTE = b"34260000,649000,658000,630000,643000,19,679000,679000,659000,660000,19\n"


def one_quote(text: bytes, shift: int = 0) -> QuoteColumns:
    return quote_columns([text], ["a.csv"], shift)[0]


def test_quote_row_of_lean_is_a_bar_that_ends_a_minute_later() -> None:
    columns = one_quote(QUOTE + NEXT_QUOTE)

    assert columns.end_minute.tolist() == [571, 572]
    assert columns.values[0].tolist() == [65.1, 67.1, 63.5, 64.9, 48, 69.2, 70.7, 67.4, 67.9, 15]
    assert (columns.bid_close[1], columns.ask_close[1], columns.ask_size[1]) == (64.3, 66.0, 19)


def test_index_row_holds_plain_prices_in_chicago_minutes() -> None:
    text = b"30600000,3764.61,3769.99,3764.61,3766.63,59\n30660000,3766.41,3767.22,3765.83,3766.13,60\n"
    columns = trade_columns([text], ["spx.csv"], 60, scaled=False)[0]

    assert columns.end_minute.tolist() == [571, 572]
    assert columns.close.tolist() == [3766.63, 3766.13]
    assert columns.volume.tolist() == [59, 60]


def test_equity_row_is_scaled() -> None:
    columns = trade_columns([b"34200000,1000000,1000100,999900,1000001,12345\n"], ["spy.csv"], 0, scaled=True)[0]

    assert columns.values[0].tolist() == [100.0, 100.01, 99.99, 100.0001, 12345]


@pytest.mark.parametrize(
    ("text", "bid", "ask", "sizes"),
    [
        (b"34200000,,,,,,100,200,50,150,7\n", math.nan, 0.015, (0, 7)),
        (b"34200000,0,0,0,0,5,100,200,50,150,7\n", math.nan, 0.015, (0, 7)),
        (b"34200000,100,200,50,150,7,,,,,\n", 0.015, math.nan, (7, 0)),
        (b"34200000,0,200,0,150,7,0,0,0,0,0\n", 0.015, math.nan, (7, 0)),
    ],
)
def test_side_without_any_price_is_absent(text: bytes, bid: float, ask: float, sizes: tuple[int, int]) -> None:
    columns = one_quote(text)

    assert columns.bid_close[0] == pytest.approx(bid, nan_ok=True)
    assert columns.ask_close[0] == pytest.approx(ask, nan_ok=True)
    assert (columns.bid_size[0], columns.ask_size[0]) == sizes


def test_side_with_one_price_keeps_its_zeros() -> None:
    assert one_quote(b"34200000,0,200,0,150,7,0,0,0,0,0\n").values[0, :5].tolist() == [0, 0.02, 0, 0.015, 7]


@pytest.mark.parametrize(
    "text", [QUOTE + NEXT_QUOTE, (QUOTE + NEXT_QUOTE).replace(b"\n", b"\r\n"), (QUOTE + NEXT_QUOTE)[:-1]]
)
def test_line_ends_of_any_system_and_a_cut_last_one_read_alike(text: bytes) -> None:
    np.testing.assert_array_equal(one_quote(text).values, one_quote(QUOTE + NEXT_QUOTE).values)


@pytest.mark.parametrize("price", [99_999_999, 100_000_000, 123_456_789, 9_876_543_210])
def test_prices_above_ten_thousand_dollars_are_read(price: int) -> None:
    columns = trade_columns([f"34200000,{price},{price},{price},{price},7\n".encode()], ["brk.csv"], 0, scaled=True)[0]

    assert columns.values[0].tolist() == [price / 10_000] * 4 + [7]


def test_day_of_many_contracts_is_read_without_mixing_them() -> None:
    texts = [
        "".join(
            f"{(570 + minute) * 60_000},{n},{n},{n},{n},{minute},{n + 1},{n + 1},{n + 1},{n + 1},{minute}\n"
            for minute in range(390)
        ).encode()
        for n in range(1, 31)
    ]

    found = quote_columns(texts, [str(n) for n in range(30)], 0)

    for n, columns in enumerate(found, 1):
        assert columns.end_minute.tolist() == list(range(571, 961))
        assert set(columns.bid_close.tolist()) == {n / 10_000}
        assert set(columns.ask_open.tolist()) == {(n + 1) / 10_000}
        assert columns.ask_size.tolist() == list(range(390))


prices = st.one_of(st.just(""), st.integers(0, 99_999_999).map(str))
dear_prices = st.one_of(prices, st.integers(0, 10**12).map(str), st.decimals(0, 10**6, places=2).map(str))


def rows_of(cell: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(cell, min_size=10, max_size=10), min_size=1, max_size=6)


@given(st.lists(st.one_of(rows_of(prices), rows_of(dear_prices)), min_size=1, max_size=5), st.booleans())
def test_columns_hold_the_numbers_of_the_text(contracts: list[list[list[str]]], empty_first: bool) -> None:
    texts = [b""] if empty_first else []
    for rows in contracts:
        lines = (f"{34_200_000 + 60_000 * minute},{','.join(row)}\n" for minute, row in enumerate(rows))
        texts.append("".join(lines).encode())

    found = quote_columns(texts, [f"{n}.csv" for n in range(len(texts))], 0)

    for columns, rows in zip(found[empty_first:], contracts, strict=True):
        assert columns.end_minute.tolist() == list(range(571, 571 + len(rows)))
        for values, row in zip(columns.values.tolist(), rows, strict=True):
            for side in (0, 5):
                wanted = [float(cell or 0) / 10_000 for cell in row[side : side + 4]] + [float(row[side + 4] or 0)]
                if not any(wanted[:4]):
                    wanted = [math.nan] * 4 + [0.0]
                np.testing.assert_array_equal(values[side : side + 5], wanted)
    for closes, columns in zip(quote_closes(texts, [""] * len(texts), 0), found, strict=True):
        np.testing.assert_array_equal(closes.end_minute, columns.end_minute)
        np.testing.assert_array_equal(closes.bid, np.nan_to_num(columns.bid_close))
        np.testing.assert_array_equal(closes.ask, np.nan_to_num(columns.ask_close))


plain_prices = st.one_of(
    st.integers(0, 99_999_999).map(str),
    st.builds(
        lambda digits, places: f"{digits:08d}"[: 8 - places] + "." + f"{digits:08d}"[8 - places :],
        st.integers(0, 99_999_999), st.integers(1, 7),
    ),
    st.sampled_from(["", "5.", ".5", "0.0", "123456789.5", "1.123456789", "1e3", "-2.5"]),
)  # fmt: skip


@given(st.lists(st.lists(plain_prices, min_size=5, max_size=5), min_size=1, max_size=6))
def test_index_prices_are_the_numbers_that_their_text_says(rows: list[list[str]]) -> None:
    text = "".join(f"{60_000 * at},{','.join(row)}\n" for at, row in enumerate(rows)).encode()

    columns = trade_columns([text], ["vix.csv"], 0, scaled=False)[0]

    assert columns.values.tolist() == [[float(cell or 0) for cell in row] for row in rows]


@pytest.mark.parametrize("cell", [".", "1.2.3", "1..2", " 1", "1.5 "])
def test_index_price_that_is_no_number_is_refused_or_read_as_text_is(cell: str) -> None:
    text = f"0,1.5,2.5,{cell},1.25,7\n".encode()
    try:
        number = float(cell)
    except ValueError:
        with pytest.raises(DataError, match=r"vix\.csv line 1"):
            trade_columns([text], ["vix.csv"], 0, scaled=False)
    else:
        assert trade_columns([text], ["vix.csv"], 0, scaled=False)[0].values[0].tolist() == [1.5, 2.5, number, 1.25, 7]


@given(st.lists(st.integers(571, 975), unique=True, min_size=1, max_size=30), st.integers(560, 980))
def test_look_ups_by_minute_find_what_a_search_finds(minutes: list[int], minute: int) -> None:
    minutes.sort()
    text = "".join(f"{(end - 1) * 60_000},100,100,100,{end},1\n" for end in minutes).encode()
    columns = trade_columns([text], ["a.csv"], 0, scaled=True)[0]

    assert columns.row_at(minute) == (minutes.index(minute) if minute in minutes else -1)
    assert columns.last_row_at_or_before(minute) == sum(end <= minute for end in minutes) - 1
    assert columns.between(600, 700).end_minute.tolist() == [end for end in minutes if 600 <= end <= 700]
    assert (columns.first_minute, columns.last_minute) == (minutes[0], minutes[-1])
    assert row_span(text, "a.csv", 0) == columns.span == (len(minutes), minutes[0], minutes[-1])


def test_day_without_rows_is_empty_columns() -> None:
    columns = one_quote(b"")

    assert len(columns) == 0
    assert (columns.row_at(571), columns.last_row_at_or_before(571), columns.first_minute) == (-1, -1, -1)
    assert row_span(b"", "a.csv", 0) is columns.span is None


def test_open_interest_is_a_point_in_time() -> None:
    columns = open_interest_columns(b"23400000,11755\n", "oi.csv", 0)

    assert columns.end_minute.tolist() == [390]
    assert columns.open_interest.tolist() == [11755]


def test_daily_rows_are_named_by_their_date() -> None:
    text = b"20210104 00:00,3720000,3725000,3670000,3700000,1000\n20210105 00:00,3700000,3725000,3670000,3710000,2000\n"
    columns = daily_columns(text, "spy.csv", scaled=True)

    assert columns.close.tolist() == [370.0, 371.0]
    assert [columns.date_at(row).isoformat() for row in (0, 1)] == ["2021-01-04", "2021-01-05"]
    assert columns.row_of(columns.date_at(1)) == 1
    assert columns.rows_before(columns.date_at(1)) == 1


TRADE = "34200000,1,1,1,1,1"


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("34200000,1,1,1\n", 1, "expected milliseconds,open"),
        (f"{TRADE}\n34260000,1,1,x,1,1\n", 2, "found '34260000,1,1,x,1,1'"),
        (f"{TRADE}\n,1,1,1,1,1\n", 2, "expected milliseconds,open"),
        (f"{TRADE}\n{TRADE}\n", 2, "not after the row before"),
        ("34200001,1,1,1,1,1\n", 1, "found a time within a minute"),
        (f"{TRADE}\n99000000,1,1,1,1,1\n", 2, "outside of the New York day"),
        (f"{TRADE}\n-120000,1,1,1,1,1\n", 2, "outside of the New York day"),
    ],
)
def test_bad_row_is_named_by_file_and_line(text: str, line: int, complaint: str) -> None:
    good = f"{TRADE}\n34260000,1,1,1,1,1\n".encode()

    with pytest.raises(DataError, match=rf"^bad\.csv line {line}: .*{complaint}"):
        trade_columns([good, text.encode()], ["good.csv", "bad.csv"], 0, scaled=True)


@pytest.mark.parametrize(
    "text",
    ["20210104 00:00,1,1,1\n", "2021-01-04,1,1,1,1,1\n", "20210105 00:00,1,1,1,1\n20210104 00:00,1,1,1,1\n"],
)
def test_bad_daily_row_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"spy\.csv line"):
        daily_columns(text.encode(), "spy.csv", scaled=True)


def test_span_of_a_text_that_does_not_begin_with_a_time_is_refused() -> None:
    with pytest.raises(DataError, match=r"a\.csv line 1.*milliseconds since midnight first"):
        row_span(b"x,1\n", "a.csv", 0)
