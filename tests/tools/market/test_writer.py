"""Bytes on disk: what a plain reader finds in them."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

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


def test_equity_rows_are_scaled_and_index_rows_are_not() -> None:
    text = scaled_rows([34_200_000], np.array([512.345]), np.array([100]))
    assert text == b"34200000,5123450,100"
    prices = np.array([[6000.5, 6001.0, 6000.0, 6000.25]])
    assert index_rows([30_600_000], prices, [60]) == b"30600000,6000.50,6001.00,6000.00,6000.25,60"
