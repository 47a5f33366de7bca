"""A LEAN folder read as LEAN reads it: what is there, what is missing, what is broken."""

from __future__ import annotations

import struct
import zipfile
import zlib
from datetime import date
from pathlib import Path

import pytest

from engine.columns import DataError, OptionDay
from engine.enums import DataNormalizationMode, OptionRight
from engine.folder import FolderSource
from engine.symbols import Symbol
from tests.engine.lean_folder import LeanFolder

SPX = Symbol.index("SPX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
DAY = date(2021, 1, 4)
EXPIRY = date(2021, 1, 8)
CALL_3800 = Symbol.option(SPX, OptionRight.CALL, 3800, EXPIRY, ticker="SPXW")
PUT_3700 = Symbol.option(SPX, OptionRight.PUT, 3700, EXPIRY, ticker="SPXW")

QUOTES = [
    "34200000,651000,671000,635000,649000,48,692000,707000,674000,679000,15",
    "34260000,,,,,,679000,679000,659000,660000,19",
    "34320000,643000,643000,593000,620000,15,660000,671000,640000,642000,4",
]


def source_of(folder: LeanFolder) -> FolderSource:
    return FolderSource(folder.root)


def chain_of(folder: LeanFolder) -> OptionDay:
    found = source_of(folder).option_day(SPXW, DAY)
    assert found is not None
    return found


# -- bars -------------------------------------------------------------------------------------------------------------


def test_index_minutes_are_chicago_time_and_equity_minutes_new_york_time(folder: LeanFolder) -> None:
    folder.bars("index", "spx", DAY, ["30600000,3764.61,3769.99,3764.61,3766.63,59"])
    folder.bars("equity", "spy", DAY, ["34200000,3750000,3760000,3740000,3755000,1000"])
    folder.bars("equity", "spy", DAY, ["34200000,3750000,3760000,3740000,3755000,3,1,1,1,1,9"], tick="quote")
    source = source_of(folder)

    spx, spy = source.trades(SPX, DAY), source.trades(Symbol.equity("SPY"), DAY)
    quotes = source.quotes(Symbol.equity("SPY"), DAY)

    assert spx is not None
    assert spy is not None
    assert quotes is not None
    assert spx.end_minute.tolist() == spy.end_minute.tolist() == quotes.end_minute.tolist() == [571]
    assert (spx.close[0], spy.close[0], quotes.ask_close[0]) == (3766.63, 375.5, 0.0001)


def test_missing_file_is_no_data_and_no_error(folder: LeanFolder) -> None:
    # LEAN's own sample holds such a name; LEAN does not find it either.
    folder.archive("indexoption/usa/minute/spxw/20210104_quote_european.zip.zip", {"a.csv": "1"})
    source = source_of(folder)

    assert source.trades(SPX, DAY) is None
    assert source.quotes(SPX, DAY) is None
    assert source.quotes(Symbol.equity("SPY"), DAY) is None
    assert source.option_day(SPXW, DAY) is None
    assert source.trades(CALL_3800, DAY) is None
    assert source.quotes(CALL_3800, DAY) is None
    assert source.universe(SPXW, DAY) is None
    assert source.daily(SPX) is None
    assert source.factors(Symbol.equity("SPY")) is None
    assert source.splits(SPX) == ()
    assert list(source.universe_dates(SPXW)) == []


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found no folder there, expected a LEAN data folder"):
        FolderSource(tmp_path / "nowhere")


# -- a day of a chain -------------------------------------------------------------------------------------------------


def test_contracts_of_a_day_by_name(folder: LeanFolder) -> None:
    folder.spxw(DAY, {"call_38000000_20210108": QUOTES, "put_37000000_20210108": QUOTES[:1]})
    folder.spxw(DAY, {"call_38000000_20210108": ["34200000,650000,650000,650000,650000,1"]}, tick="trade")
    folder.spxw(DAY, {"put_37000000_20210108": ["23400000,11755"]}, tick="openinterest")
    chain = chain_of(folder)
    stranger = Symbol.option(SPX, OptionRight.CALL, 3805, EXPIRY, ticker="SPXW")

    assert list(chain.symbols) == [CALL_3800, PUT_3700]
    assert [chain.row_span(one) for one in (CALL_3800, PUT_3700, stranger)] == [(3, 571, 573), (1, 571, 571), None]
    assert CALL_3800 in chain
    assert stranger not in chain
    assert chain.quote(stranger) is None

    quotes, trades, interest = chain.quote(CALL_3800), chain.trade(CALL_3800), chain.open_interest(PUT_3700)
    assert quotes is not None
    assert trades is not None
    assert interest is not None
    assert quotes.ask_close.tolist() == [67.9, 66.0, 64.2]
    assert trades.close.tolist() == [65.0]
    assert interest.open_interest.tolist() == [11755]
    assert chain.trade(PUT_3700) is None
    assert chain.open_interest(CALL_3800) is None
    # The same answers once the quotes are parsed.
    assert [chain.row_span(one) for one in (CALL_3800, stranger)] == [(3, 571, 573), None]


def test_many_contracts_at_once_are_the_same_as_one_by_one(folder: LeanFolder) -> None:
    folder.spxw(DAY, {"call_38000000_20210108": QUOTES, "put_37000000_20210108": QUOTES[1:]})
    stranger = Symbol.option(SPX, OptionRight.CALL, 3805, EXPIRY, ticker="SPXW")

    together = chain_of(folder).quotes_many([PUT_3700, stranger, CALL_3800, PUT_3700])

    assert list(together) == [PUT_3700, CALL_3800]
    for symbol, columns in together.items():
        alone = chain_of(folder).quote(symbol)
        assert alone is not None
        assert alone.end_minute.tolist() == columns.end_minute.tolist()
        assert str(alone.values.tolist()) == str(columns.values.tolist())


def test_closes_are_those_of_the_quotes_parsed_or_not(folder: LeanFolder) -> None:
    no_bid = "34320000,,,,,,1,1,1,10000,5"
    folder.spxw(DAY, {"call_38000000_20210108": QUOTES, "put_37000000_20210108": [*QUOTES[:2], no_bid]})
    stranger = Symbol.option(SPX, OptionRight.CALL, 3805, EXPIRY, ticker="SPXW")
    chain = chain_of(folder)
    chain.quote(CALL_3800)

    closes = chain.closes_many([stranger, CALL_3800, PUT_3700])

    assert set(closes) == {CALL_3800, PUT_3700}
    assert closes[CALL_3800].ask.tolist() == [67.9, 66.0, 64.2]
    assert closes[PUT_3700].end_minute.tolist() == [571, 572, 573]
    assert closes[PUT_3700].bid.tolist()[2] == 0.0
    assert closes[PUT_3700].ask.tolist()[2] == 1.0


def test_chain_with_trades_only_is_a_chain_without_quotes(folder: LeanFolder) -> None:
    folder.spxw(DAY, {"call_38000000_20210108": ["34200000,1,1,1,1,1"]}, tick="trade")
    source = source_of(folder)
    chain = chain_of(folder)

    assert list(chain.symbols) == [CALL_3800]
    assert CALL_3800 in chain
    assert chain.quote(CALL_3800) is None
    assert source.trades(CALL_3800, DAY) is not None
    assert source.quotes(CALL_3800, DAY) is None


def test_equity_options_lie_under_the_ticker_of_their_day(folder: LeanFolder) -> None:
    folder.text("equity/usa/map_files/goog.csv", "20140327,goocv,Q\n20140402,goocv,Q\n20501231,goog,Q\n")
    name = "20140401_goocv_minute_quote_american_call_5600000_20140419.csv"
    folder.archive("option/usa/minute/goocv/20140401_quote_american.zip", {name: QUOTES[0] + "\n"})
    source = source_of(folder)
    goog = source.equity("GOOG")
    contract = Symbol.option(goog, OptionRight.CALL, 560, date(2014, 4, 19))

    chain = source.option_day(contract.canonical, date(2014, 4, 1))

    assert str(goog.id) == "GOOCV VP83T1ZUHROL"
    assert chain is not None
    assert list(chain.symbols) == [contract]
    assert chain.row_span(contract) == (1, 571, 571)


# -- tickers and factors ----------------------------------------------------------------------------------------------


def test_equity_identifier_comes_from_the_map_file_of_todays_owner(folder: LeanFolder) -> None:
    folder.text("equity/usa/map_files/spy.csv", "19980102,spy,P\n20501231,spy,P\n")
    folder.text("equity/usa/map_files/googl.csv", "20040819,goog,Q\n20140402,goog,Q\n20501231,googl,Q\n")
    folder.text("equity/usa/map_files/goog.csv", "20140327,goocv,Q\n20140402,goocv,Q\n20501231,goog,Q\n")
    folder.text("equity/usa/map_files/fb.1.csv", "19990929,fb.1\n20030328,fb.1\n")
    source = source_of(folder)

    assert str(source.equity("spy").id) == "SPY R735QTJ8XC9X"
    assert str(source.equity("GOOG").id) == "GOOCV VP83T1ZUHROL"
    assert str(source.equity("GOOGL").id) == "GOOG T1AZ164W5VTX"
    assert source.equity("GOOGL").value == "GOOGL"
    assert source.equity("FB.1").id.symbol == "FB"
    assert str(source.equity("TQQQ").id) == "TQQQ 2T", "no map file: no first date"


def test_ticker_that_passed_on_belongs_to_its_newest_owner(folder: LeanFolder) -> None:
    folder.text("equity/usa/map_files/fb.csv", "20120518,fb,Q\n20220608,fb,Q\n20501231,meta,Q\n")
    folder.text("equity/usa/map_files/fb.2.csv", "20240102,fb,Q\n20501231,fb,Q\n")
    source = source_of(folder)

    assert (source.equity("META").id.symbol, source.equity("META").id.date.year) == ("FB", 2012)
    assert (source.equity("FB").id.symbol, source.equity("FB").id.date.year) == ("FB", 2024)


def test_daily_bars_of_a_renamed_equity_come_from_both_names(folder: LeanFolder) -> None:
    folder.text("equity/usa/map_files/qqq.csv", "19990310,qqq,Q\n20041130,qqq,Q\n20110322,qqqq,Q\n20501231,qqq,Q\n")
    folder.archive(
        "equity/usa/daily/qqq.zip",
        {"qqq.csv": "20041129 00:00,1,1,1,10000,1\n20101231 00:00,1,1,1,1,1\n20210104 00:00,1,1,1,30000,1\n"},
    )
    folder.archive("equity/usa/daily/qqqq.zip", {"qqqq.csv": "20070103 00:00,1,1,1,20000,1\n"})
    source = source_of(folder)

    daily = source.daily(source.equity("QQQ"))

    assert daily is not None
    assert [str(daily.date_at(row)) for row in range(len(daily))] == ["2004-11-29", "2007-01-03", "2021-01-04"]
    assert daily.close.tolist() == [1.0, 2.0, 3.0]


def test_index_daily_bars_are_not_scaled(folder: LeanFolder) -> None:
    folder.archive("index/usa/daily/vix.zip", {"vix.csv": "20210104 00:00,23,29,22,26.97,0\n"})

    daily = source_of(folder).daily(Symbol.index("VIX"))

    assert daily is not None
    assert daily.close.tolist() == [26.97]


def test_factor_file_gives_splits_dividends_and_price_factors(folder: LeanFolder) -> None:
    folder.text(
        "equity/usa/factor_files/tqqq.csv",
        "20240102,0.9,0.5,1\n20240301,0.89999,0.5,80.00\n20241127,0.9,0.5,80.00\n20241218,0.99,0.5,100.00\n20250106,0.99,1,50\n20501231,1,1,0\n"
        "20200101,1e+10,1,1\n20190101,0,1,1\n",
    )
    source = source_of(folder)
    tqqq = source.equity("TQQQ")

    # Each event takes effect on the session after its row; 28 November 2024 was a holiday.
    assert [(str(d.day), d.distribution) for d in source.dividends(tqqq)] == [("2024-11-29", 7.27), ("2025-01-07", 0.5)]
    assert [(str(s.day), s.split_factor, s.reference_price) for s in source.splits(tqqq)] == [
        ("2024-12-19", 0.5, 100.0)
    ]
    factors = source.factors(tqqq)
    assert factors is not None
    assert factors.price_factor(date(2024, 11, 27), DataNormalizationMode.ADJUSTED) == pytest.approx(0.45)
    assert factors.price_factor(date(2024, 11, 29), DataNormalizationMode.ADJUSTED) == pytest.approx(0.495)
    assert factors.price_factor(date(2024, 11, 29), DataNormalizationMode.SPLIT_ADJUSTED) == 0.5
    assert factors.price_factor(date(2024, 11, 29), DataNormalizationMode.RAW) == 1.0
    assert factors.price_factor(date(2060, 1, 1), DataNormalizationMode.ADJUSTED) == 1.0


# -- tables -----------------------------------------------------------------------------------------------------------


def test_symbol_properties_fall_back_to_the_market_and_to_leans_default(folder: LeanFolder) -> None:
    source = source_of(folder)

    spxw = source.properties(SPXW)
    assert (spxw.contract_multiplier, spxw.minimum_price_variation, spxw.lot_size) == (100, 0.05, 1)
    nqx = source.properties(Symbol.canonical_option(Symbol.index("NDX"), "NQX"))
    assert (nqx.contract_multiplier, nqx.minimum_order_size, nqx.strike_multiplier) == (20, 2, 5)
    foreign = source.properties(Symbol.index("HSI", "hkfe"))
    assert (foreign.contract_multiplier, foreign.minimum_price_variation) == (1, 0.01)


def test_interest_rate_holds_until_the_next_and_after_the_last(folder: LeanFolder) -> None:
    assert source_of(folder).interest_rate(DAY) == 0.01, "LEAN's rate without a file"
    folder.text("alternative/interest-rate/usa/interest-rate.csv", "DATE,PCREDIT8\n2003-01-09,2.25\n2020-03-16,0.25\n")
    source = source_of(folder)

    days = [date(1990, 1, 1), date(2003, 1, 9), date(2020, 3, 15), date(2020, 3, 16), date(2030, 1, 1)]
    assert [source.interest_rate(day) for day in days] == [0.0225, 0.0225, 0.0225, 0.0025, 0.0025]


def test_universe_file_lists_contracts_and_their_close(folder: LeanFolder) -> None:
    folder.universe(
        "indexoption/usa/universes/spxw",
        date(2020, 12, 31),
        [",,,3764.61,3769.99,3764.61,3766.63,59,,,,,,,", "20210108,3800,C,1,2,0.5,1.5,7,100,0.2,0.4,0.001,2,-3,0.1",
         "20210108,3700,P,0,0,0,0,0,,,,,,,"],
    )  # fmt: skip
    source = source_of(folder)

    table = source.universe(SPXW, date(2020, 12, 31))

    assert source.universe_dates(SPXW) == (date(2020, 12, 31),)
    assert table is not None
    assert [table.symbol(row) for row in range(len(table))] == [CALL_3800, PUT_3700]
    assert table.underlying is not None
    assert (table.underlying.open, table.underlying.close, table.underlying.volume) == (3764.61, 3766.63, 59)
    assert table.close.tolist() == [1.5, 0.0]
    assert (table.oi.tolist(), table.iv.tolist(), table.delta.tolist()) == ([100, 0], [0.2, 0], [0.4, 0])
    assert table.column("theta").tolist() == [-3, 0]


# -- manifest ---------------------------------------------------------------------------------------------------------


def test_manifest_names_contents_and_not_the_way_they_were_packed(folder: LeanFolder) -> None:
    def manifest_of(quotes: list[str], compression: int = zipfile.ZIP_DEFLATED) -> str:
        name = "20210104_spxw_minute_quote_european_call_38000000_20210108.csv"
        path = "indexoption/usa/minute/spxw/20210104_quote_european.zip"
        folder.archive(path, {name: "\n".join(quotes) + "\n"}, compression)
        source = source_of(folder)
        before = source.manifest()
        chain = source.option_day(SPXW, DAY)
        assert chain is not None
        assert source.manifest() != before, "an opened file is part of the manifest"
        quote = chain.quote(CALL_3800)
        assert quote is not None
        assert len(quote) == len(quotes)
        return source.manifest()

    deflated = manifest_of(QUOTES)
    assert manifest_of(QUOTES, zipfile.ZIP_STORED) == deflated
    assert manifest_of(QUOTES[:2]) != deflated


# -- broken files -----------------------------------------------------------------------------------------------------


def spx_file(folder: LeanFolder) -> Path:
    return folder.bars("index", "spx", DAY, ["30600000,3764.61,3769.99,3764.61,3766.63,59"] * 1)


@pytest.mark.parametrize("size", [0, 10, 60, -1])
def test_cut_archive_is_named(folder: LeanFolder, size: int) -> None:
    path = spx_file(folder)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(DataError, match=r"^index/usa/minute/spx/20210104_trade.zip: found .*, expected a zip file\."):
        source_of(folder).trades(SPX, DAY)


def test_changed_content_is_found(folder: LeanFolder) -> None:
    path = folder.archive(
        "index/usa/minute/spx/20210104_trade.zip", {"a.csv": "30600000,1,1,1,1,59\n"}, zipfile.ZIP_STORED
    )
    path.write_bytes(path.read_bytes().replace(b",59\n", b",60\n"))

    with pytest.raises(DataError, match=r"found damaged content in a.csv"):
        source_of(folder).trades(SPX, DAY)


def test_encrypted_archive_is_refused(folder: LeanFolder) -> None:
    path = spx_file(folder)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02") + 8
    data[at] |= 1
    path.write_bytes(data)

    with pytest.raises(DataError, match="encrypted"):
        source_of(folder).trades(SPX, DAY)


def test_empty_archive_is_refused(folder: LeanFolder) -> None:
    folder.archive("index/usa/minute/spx/20210104_trade.zip", {})

    with pytest.raises(DataError, match="found an empty zip file, expected one csv file inside"):
        source_of(folder).trades(SPX, DAY)


def test_foreign_entry_in_a_chain_is_named(folder: LeanFolder) -> None:
    folder.archive("indexoption/usa/minute/spxw/20210104_quote_european.zip", {"readme.txt": "hello"})

    with pytest.raises(
        DataError, match=r"found the entry 'readme.txt', expected names like 20210104_spxw_minute_quote"
    ):
        _ = chain_of(folder).symbols


def read_tables(source: FolderSource) -> None:
    source.universe(SPXW, DAY)
    source.interest_rate(DAY)
    source.factors(source.equity("SPY"))
    source.properties(SPXW)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("indexoption/usa/universes/spxw/20210104.csv", "#h\n20210108,x,C,1\n", "20210104.csv line 2: found"),
        ("indexoption/usa/universes/spxw/20210104.csv", "20210108,3800,Q,1\n", "expected expiry,strike,right"),
        ("alternative/interest-rate/usa/interest-rate.csv", "DATE,x\n2020-13-01,1\n", "expected yyyy-mm-dd,percent"),
        ("alternative/interest-rate/usa/interest-rate.csv", "DATE,x\n2020-02-01,1\n2020-01-01,1\n", "out of order"),
        ("equity/usa/factor_files/spy.csv", "20210104,1\n", "spy.csv line 1: found"),
        ("equity/usa/map_files/spy.csv", "yesterday,spy\n", "expected yyyymmdd,ticker"),
        ("symbol-properties/symbol-properties-database.csv", "h\nusa,SPXW,indexoption,,USD,many,1,1\n", "'usa,SPXW,"),
    ],
)
def test_broken_table_is_named_with_its_line(folder: LeanFolder, name: str, content: str, complaint: str) -> None:
    folder.text(name, content)

    with pytest.raises(DataError) as error:
        read_tables(source_of(folder))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_symbol_properties_are_named_with_the_remedy(folder: LeanFolder) -> None:
    (folder.root / "symbol-properties" / "symbol-properties-database.csv").unlink()

    with pytest.raises(DataError, match=r"found no file.*Copy the folder symbol-properties"):
        source_of(folder).properties(SPX)


# -- zip64, which some of LEAN's writers use for every file -----------------------------------------------------------


def zip64(name: str, content: bytes, *, directory_too: bool) -> bytes:
    """Return an archive with its sizes in zip64 fields, as .NET writes them; optionally the directory's place too."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    crc, large = zlib.crc32(content), 0xFFFFFFFF
    field = struct.pack("<2H2Q", 1, 16, len(content), len(packed))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 8, 0, 0, crc, large, large, len(name), len(field))
    local += name.encode() + field + packed
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 45, 45, 0, 8, 0, 0, crc, large, large, len(name), len(field), 0, 0, 0, 0, 0
    )
    entry += name.encode() + field
    end = b""
    count, size, start = 1, len(entry), len(local)
    if directory_too:
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, start)
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, len(local) + len(entry), 1)
        count, start = 0xFFFF, large
    return local + entry + end + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)


@pytest.mark.parametrize("directory_too", [False, True])
def test_zip64_archives_are_read(folder: LeanFolder, directory_too: bool) -> None:
    path = spx_file(folder)
    content = b"30600000,3764.61,3769.99,3764.61,3766.63,59\n"
    path.write_bytes(zip64("20210104_spx_minute_trade.csv", content, directory_too=directory_too))

    columns = source_of(folder).trades(SPX, DAY)

    assert columns is not None
    assert columns.close.tolist() == [3766.63]
