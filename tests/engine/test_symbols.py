"""Symbols carry the identifiers that LEAN gives the same securities."""

from __future__ import annotations

import copy
import pickle
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.enums import OptionRight, OptionStyle, SecurityType
from engine.symbols import (
    DEFAULT_DATE,
    SecurityIdentifier,
    Symbol,
    SymbolError,
    is_am_settled,
    is_standard_contract,
    third_friday,
)

SPX = Symbol.index("SPX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
GOOG = Symbol.equity("GOOG", first_ticker="GOOCV", first_date=date(2014, 3, 27))

CALL, PUT = OptionRight.CALL, OptionRight.PUT


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        (Symbol.equity("SPY", first_date=date(1998, 1, 2)), "SPY R735QTJ8XC9X"),
        (Symbol.equity("QQQ", first_date=date(1999, 3, 10)), "QQQ RIWIV7K5Z9LX"),
        (GOOG, "GOOCV VP83T1ZUHROL"),
        (Symbol.equity("TQQQ"), "TQQQ 2T"),
        (SPX, "SPX 31"),
        (Symbol.option(SPX, CALL, 3200, date(2021, 1, 15)), "SPX XL80P3GHIA9A|SPX 31"),
        (Symbol.option(SPX, CALL, 4250, date(2021, 1, 15)), "SPX XL80P59H9OI6|SPX 31"),
        (Symbol.option(SPX, PUT, 3200, date(2021, 1, 15)), "SPX 31KC0UJFOS3N2|SPX 31"),
        (Symbol.option(SPX, PUT, 3800, date(2021, 1, 6), ticker="SPXW"), "SPXW 31K35TP65TBHQ|SPX 31"),
        (Symbol.option(SPX, CALL, 3800, date(2021, 1, 6), ticker="SPXW"), "SPXW XKZ5O96YJI3Y|SPX 31"),
        (Symbol.option(GOOG, PUT, 750, date(2015, 12, 24)), "GOOCV 305RBQ2BZGA4M|GOOCV VP83T1ZUHROL"),
        (Symbol.option(GOOG, CALL, 745, date(2016, 1, 15)), "GOOCV W78ZERHAT67A|GOOCV VP83T1ZUHROL"),
    ],
)
def test_identifier_text_is_the_one_lean_writes(symbol: Symbol, text: str) -> None:
    assert str(symbol.id) == text
    assert Symbol.parse(text) is symbol


def test_identifier_tells_what_the_contract_is() -> None:
    sid = SecurityIdentifier.parse("SPXW 31K35TP65TBHQ|SPX 31")

    assert (sid.symbol, sid.market, sid.security_type) == ("SPXW", "usa", SecurityType.INDEX_OPTION)
    assert (sid.strike_price, sid.date, sid.option_right) == (3800.0, datetime(2021, 1, 6), PUT)
    assert sid.option_style is OptionStyle.EUROPEAN
    assert sid.underlying is SPX.id


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [
        (SPX, "SPX"),
        (SPXW, "?SPXW"),
        (Symbol.canonical_option(GOOG), "?GOOG"),
        (Symbol.option(SPX, PUT, 5300, date(2025, 1, 3), ticker="SPXW"), "SPXW  250103P05300000"),
        (Symbol.option(SPX, CALL, 5302.5, date(2025, 1, 3), ticker="SPXW"), "SPXW  250103C05302500"),
        # The ticker of today names the contract, the first one its identifier.
        (Symbol.option(GOOG, PUT, 750, date(2015, 12, 24)), "GOOG  151224P00750000"),
    ],
)
def test_value_is_the_ticker_or_the_option_symbology(symbol: Symbol, ticker: str) -> None:
    assert symbol.value == ticker
    assert str(symbol) == ticker


def test_contract_knows_its_chain_and_its_underlying() -> None:
    contract = Symbol.option(SPX, PUT, 5300, date(2025, 1, 3), ticker="SPXW")

    assert contract.canonical is SPXW
    assert SPXW.canonical is SPXW
    assert SPXW.is_canonical()
    assert not contract.is_canonical()
    assert contract.underlying is SPX
    assert SPXW.id.date is DEFAULT_DATE
    with pytest.raises(SymbolError, match="SPX: expected an option"):
        _ = SPX.canonical


def test_equal_securities_are_one_object_and_hash_alike() -> None:
    first = Symbol.option(SPX, PUT, 5300, date(2025, 1, 3), ticker="SPXW")
    again = Symbol.option(SPX, PUT, 5300.0, datetime(2025, 1, 3), ticker="spxw")

    assert first is again
    assert {first: 1}[again] == 1
    assert first != Symbol.option(SPX, CALL, 5300, date(2025, 1, 3), ticker="SPXW")


def test_comparison_with_text_means_ticker_or_identifier() -> None:
    assert SPX == "SPX"
    assert SPX == "SPX 31"
    assert SPX != "SPXW"
    assert sorted([Symbol.equity("TQQQ"), SPX]) == [SPX, Symbol.equity("TQQQ")]


def test_ticker_of_today_follows_a_rename() -> None:
    old = Symbol.equity("OLDCO", first_date=date(2012, 5, 18))
    assert old.value == "OLDCO"
    new = Symbol.equity("NEWCO", first_ticker="OLDCO", first_date=date(2012, 5, 18))

    assert new is old
    assert old.value == "NEWCO"


@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, pickle.dumps])
def test_symbols_cannot_be_copied_as_in_lean(make_copy: object) -> None:
    assert callable(make_copy)
    with pytest.raises(TypeError, match=r"keep str\(symbol.id\)"):
        make_copy(SPX)


@given(
    right=st.sampled_from(OptionRight),
    strike=st.one_of(st.integers(1, 99_999).map(float), st.integers(1, 19_000).map(lambda quarters: quarters / 4)),
    expiry=st.dates(date(2000, 1, 1), date(2090, 12, 31)),
    ticker=st.sampled_from(["SPX", "SPXW"]),
)
def test_identifier_and_option_ticker_round_trip(right: OptionRight, strike: float, expiry: date, ticker: str) -> None:
    contract = Symbol.option(SPX, right, strike, expiry, ticker=ticker)

    assert Symbol.parse(str(contract.id)) is contract
    sid = contract.id
    assert (sid.strike_price, sid.date.date(), sid.option_right, sid.symbol) == (strike, expiry, right, ticker)
    if expiry.year < 2069:  # two digits of the year are all the option ticker has
        assert Symbol.from_osi(contract.value) is contract


@given(code=st.integers(0, (1 << 64) - 1))
def test_any_number_either_parses_to_itself_or_is_refused(code: int) -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ""
    number = code
    while number:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    whole = f"XYZ {text or '0'}"
    try:
        sid = SecurityIdentifier.parse(whole)
    except SymbolError:
        return
    assert str(sid) == whole


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SPY", "expected 'TICKER CODE'"),
        ("SPY R735 X", "expected 'TICKER CODE'"),
        ("SPY R73-5", "expected a base 36 code"),
        ("SPY 3W5E11264SGSG", "expected a base 36 code"),  # 2 to the 64th
        ("SPY 9Z", "expected a security type and a market"),
    ],
)
def test_text_that_is_no_identifier_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(SymbolError, match=complaint):
        SecurityIdentifier.parse(text)


@pytest.mark.parametrize("ticker", ["SPXW", "SPXW  250103X05300000", "SPXW  250103P0530000", ""])
def test_text_that_is_no_option_ticker_is_refused(ticker: str) -> None:
    with pytest.raises(SymbolError, match="expected root, yymmdd"):
        Symbol.from_osi(ticker)


@pytest.mark.parametrize(
    ("strike", "complaint"),
    [(1.2345678, "at most six decimals"), (5300.123456, "LEAN's limit"), (1e-9, "six decimals")],
)
def test_strike_that_lean_cannot_hold_is_refused(strike: float, complaint: str) -> None:
    with pytest.raises(SymbolError, match=complaint):
        Symbol.option(SPX, PUT, strike, date(2025, 1, 3))


def test_option_roots_decide_between_index_and_equity() -> None:
    assert Symbol.from_osi("SPXW  250103P05300000").underlying is SPX
    assert Symbol.from_osi("TQQQ  250103P00053000").security_type is SecurityType.OPTION


@pytest.mark.parametrize(
    ("root", "expiry", "standard"),
    [
        ("SPXW", date(2021, 1, 15), True),
        ("SPXW", date(2021, 1, 8), False),
        ("SPX", date(2021, 1, 8), True),
        ("RUTW", date(2021, 1, 22), False),
    ],
)
def test_third_friday_makes_a_weekly_root_standard(root: str, expiry: date, standard: bool) -> None:
    underlying = Symbol.index("RUT") if root == "RUTW" else SPX
    assert is_standard_contract(Symbol.option(underlying, CALL, 100, expiry, ticker=root)) is standard


def test_settlement_at_the_open_is_for_monthly_roots() -> None:
    assert is_am_settled(Symbol.option(SPX, CALL, 100, date(2021, 1, 15)))
    assert not is_am_settled(Symbol.option(SPX, CALL, 100, date(2021, 1, 15), ticker="SPXW"))
    assert third_friday(datetime(2025, 8, 1)) == datetime(2025, 8, 15)
