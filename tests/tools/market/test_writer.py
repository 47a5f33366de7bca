"""Bytes on disk: what a plain reader finds in them."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.archive import Archive
from tools.market.quotes import SIZES, Quotes
from tools.market.writer import index_rows, option_rows, scaled_rows, write_zip


def quotes_of(seed: int, minutes: int, contracts: int, top: int) -> Quotes:
    random = np.random.default_rng(seed)
    shape = (minutes, contracts)
    prices = random.integers(0, top + 1, (8, *shape), dtype=np.int32)
    prices = np.where(random.random(prices.shape) < 0.3, prices % 40, prices)
    sizes = random.integers(0, len(SIZES), (2, *shape), dtype=np.uint8)
    return Quotes(
        bid=prices[0],
        bid_open=prices[1],
        bid_high=prices[2],
        bid_low=prices[3],
        ask=prices[4],
        ask_open=prices[5],
        ask_high=prices[6],
        ask_low=prices[7],
        bid_size=sizes[0],
        ask_size=sizes[1],
    )


@given(
    seed=st.integers(0, 10_000),
    minutes=st.integers(1, 5),
    contracts=st.integers(1, 4),
    top=st.sampled_from([1, 59, 19_999, 20_000, 60_000]),
)
def test_option_rows_say_what_the_arrays_hold(seed: int, minutes: int, contracts: int, top: int) -> None:
    quotes = quotes_of(seed, minutes, contracts, top)
    keep = np.random.default_rng(seed + 1).random((minutes, contracts)) < 0.7
    times = 34_200_000 + 60_000 * np.arange(minutes)
    texts, count = option_rows(quotes, times, keep)
    assert count == keep.sum()
    for contract, text in enumerate(texts):
        expected = ""
        for minute in np.flatnonzero(keep[:, contract]):
            at = (minute, contract)
            bid = (quotes.bid_open[at], quotes.bid_high[at], quotes.bid_low[at], quotes.bid[at])
            ask = (quotes.ask_open[at], quotes.ask_high[at], quotes.ask_low[at], quotes.ask[at])
            bid_size = SIZES[quotes.bid_size[at]] if quotes.bid[at] else 0
            prices = [str(500 * int(price)) for price in bid], [str(500 * int(price)) for price in ask]
            fields = [str(times[minute]), *prices[0], str(bid_size), *prices[1], str(SIZES[quotes.ask_size[at]])]
            expected += ",".join(fields) + "\n"
        assert bytes(text).decode() == expected


@given(st.lists(st.tuples(st.text("abc_.0", min_size=1, max_size=12), st.binary(max_size=200)), max_size=6))
def test_zips_are_read_by_the_standard_library(entries: list[tuple[str, bytes]]) -> None:
    unique = dict(entries)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deep" / "a.zip"
        size = write_zip(path, unique.items())
        assert path.stat().st_size == size
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == unique


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"34200000,1,2\n34260000,1,2\n57540000,1,2\n", (3, 34_200_000, 57_540_000)),
        (b"34200000,1\n34260000,1", (2, 34_200_000, 34_260_000)),
        (b"34200000,1", (1, 34_200_000, 34_200_000)),
        (b"20250905 00:00,1\n", None),
        (b"342000001,1\n", None),
        (b"34200000\n", None),
        (b"", None),
    ],
)
def test_the_engine_knows_the_rows_of_an_entry_without_unpacking_it(
    tmp_path: Path, content: bytes, note: tuple[int, int, int] | None
) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, [("other.csv", b"0,1\n"), ("rows.csv", content)])
    archive = Archive(path, "a.zip")
    assert archive.row_note("rows.csv") == note
    assert archive.row_note("none.csv") is None
    assert archive.read("rows.csv") == content


def test_a_note_that_outlived_its_content_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, [("rows.csv", b"34200000,1\n34260000,1\n")])
    with zipfile.ZipFile(path) as archive:
        kept = archive.getinfo("rows.csv")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(kept, b"34200000,1\n")
    assert Archive(path, "a.zip").row_note("rows.csv") is None


def test_equity_rows_are_scaled_and_index_rows_are_not() -> None:
    text = scaled_rows([34_200_000], np.array([512.345]), np.array([100]))
    assert text == b"34200000,5123450,100"
    prices = np.array([[6000.5, 6001.0, 6000.0, 6000.25]])
    assert index_rows([30_600_000], prices, [60]) == b"30600000,6000.50,6001.00,6000.00,6000.25,60"
