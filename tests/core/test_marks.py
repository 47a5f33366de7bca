"""Our own valuation: what each holding is worth when its quote is good, and what when it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import Mark, MarketSnapshot, Quote, QuoteVerdict
from core.marks import equity_mark, mark_of
from core.ports import Account
from core.settings import Settings
from core.vocabulary import Instrument
from tests.risk.builders import BookKeeper, at, call, condor, put, snapshot

SETTINGS = Settings()
HOLD_S = SETTINGS.data.mark_hold_s
V = QuoteVerdict
LONG, SHORT = 1, -1
OPTION = put(5_300)


def quote(bid: float | None, ask: float | None, verdict: QuoteVerdict = V.GOOD, *, age_s: float = 0.0) -> Quote:
    return Quote(verdict, bid, ask, age_s=age_s)


def mark(
    qty: int, present: Quote | None, *, good: Quote | None = None, model: float | None = None,
    item: Instrument = OPTION, now: datetime | None = None, **more: Any,
) -> Mark | None:  # fmt: skip
    quotes = {} if present is None else {item.symbol: present}
    step = snapshot(now, quotes=quotes, last_good={} if good is None else {item.symbol: good}, **more)
    step = replace(step, model_price=lambda _instrument: model)
    return mark_of(item, qty, step, HOLD_S)


@pytest.mark.parametrize("qty", [LONG, SHORT])
def test_a_good_quote_is_marked_at_its_mid(qty: int) -> None:
    assert mark(qty, quote(2.0, 2.2), model=9.0) == Mark(2.1, fresh=True)


@pytest.mark.parametrize("verdict", [V.WIDE, V.CROSSED, V.LOCKED, V.STALE, V.HALTED, V.MISSING])
@pytest.mark.parametrize("qty", [LONG, SHORT])
def test_a_quote_that_is_not_good_is_held_for_a_minute_at_its_last_good_mid(qty: int, verdict: QuoteVerdict) -> None:
    present = quote(1.0, 5.0, verdict)
    held = mark(qty, present, good=quote(2.0, 2.2, age_s=HOLD_S), model=3.0)
    assert held == Mark(2.1, fresh=False)
    later = mark(qty, present, good=quote(2.0, 2.2, age_s=HOLD_S + 1), model=3.0)
    assert later == Mark(1.0 if qty == LONG else 5.0, fresh=False)


SHARE = Instrument("TQQQ", "TQQQ")


@pytest.mark.parametrize("verdict", [V.MISSING, V.HALTED, V.NO_BID])
def test_a_share_without_a_bid_counts_its_last_good_mid_of_the_session(verdict: QuoteVerdict) -> None:
    half_an_hour = quote(85.0, 85.2, age_s=1_800)
    assert mark(LONG, quote(None, None, verdict), good=half_an_hour, item=SHARE, now=at(11)) == Mark(85.1, fresh=False)


def test_a_share_that_was_not_quoted_today_is_unknown_and_never_worthless() -> None:
    yesterday = quote(85.0, 85.2, age_s=63_000)
    assert mark(LONG, quote(None, None, V.MISSING), good=yesterday, item=SHARE, now=at(9, 30)) is None
    assert mark(LONG, quote(None, None, V.MISSING), item=SHARE, now=at(9, 31)) is None
    assert mark(LONG, quote(None, None, V.MISSING), item=OPTION, now=at(9, 31)) == Mark(0.0, fresh=False)


@pytest.mark.parametrize(
    ("ask", "model", "price"),
    [(5.0, 3.0, 5.0), (2.0, 3.0, 3.0), (None, 3.0, 3.0), (2.0, None, 2.0)],
)
def test_a_short_costs_its_ask_or_its_model_value_whichever_is_more(
    ask: float | None, model: float | None, price: float
) -> None:
    assert mark(SHORT, quote(1.0, ask, V.STALE), model=model) == Mark(price, fresh=False)


def test_a_short_of_which_nothing_is_known_has_no_mark() -> None:
    assert mark(SHORT, None) is None
    assert mark(SHORT, quote(1.0, None, V.MISSING)) is None


def test_a_long_without_any_quote_is_worth_nothing_until_there_is_one() -> None:
    assert mark(LONG, None) == Mark(0.0, fresh=False)
    assert mark(LONG, quote(None, None, V.MISSING)) == Mark(0.0, fresh=False)


def test_no_bid_is_marked_at_once_and_not_held_at_the_last_good_mid() -> None:
    """The engine would mark both at the ask."""
    good = quote(2.0, 2.2)
    assert mark(LONG, quote(None, 0.3, V.NO_BID), good=good) == Mark(0.0, fresh=True)
    assert mark(SHORT, quote(None, 0.3, V.NO_BID), good=good, model=9.0) == Mark(0.3, fresh=True)


def test_a_short_with_neither_bid_nor_ask_is_valued_by_the_model() -> None:
    assert mark(SHORT, quote(None, None, V.NO_BID), model=0.7) == Mark(0.7, fresh=False)


@pytest.mark.parametrize("qty", [LONG, SHORT])
def test_after_its_last_trading_moment_a_contract_is_worth_its_intrinsic_value(qty: int) -> None:
    present, value = quote(8.0, 9.0), {"SPX": 5_291.5}
    assert mark(qty, present, now=at(15, 59), settlement_price=value) == Mark(8.5, fresh=True)
    assert mark(qty, present, now=at(16), settlement_price=value) == Mark(8.5, fresh=True)
    assert mark(qty, quote(1.0, 1.2), now=at(16, 10), settlement_price=value) == Mark(8.5, fresh=True)
    assert mark(qty, present, item=call(5_300), now=at(16), settlement_price=value) == Mark(0.0, fresh=True)


def test_a_contract_that_waits_for_its_settlement_keeps_the_value_of_its_own_day() -> None:
    monday = datetime(2025, 9, 15, 9, 31)
    past = {("SPX", date(2025, 9, 12)): 5_280.0}
    values: dict[str, Any] = {"settlement_price": {"SPX": 5_400.0}, "past_settlement_price": past}
    assert mark(SHORT, None, now=monday, **values) == Mark(20.0, fresh=True)
    assert mark(SHORT, None, now=monday, settlement_price={"SPX": 5_400.0}) is None


def test_an_unknown_index_value_leaves_an_expired_contract_without_a_mark() -> None:
    assert mark(LONG, quote(2.0, 2.2), now=at(16)) is None


# -------------------------------------------------------------------------------------------------------------- equity


def condor_step(mids: dict[str, float]) -> MarketSnapshot:
    return snapshot(quotes={symbol: quote(mid - 0.05, mid + 0.05) for symbol, mid in mids.items()})


def account(equity_usd: float) -> Account:
    return Account(0, 0, equity_usd)


def test_equity_is_cash_and_all_holdings_at_their_marks() -> None:
    keeper = BookKeeper(100_000.0)
    trade = keeper.hold(condor(), credit=2.5, units=2)
    values = dict(zip(trade.structure.symbols, (0.5, 1.5, 1.7, 0.6), strict=True))
    result = equity_mark(condor_step(values), keeper.books, account(100_080.0), SETTINGS)
    # 500 received, and closing would cost 2 x (1.5 + 1.7 - 0.5 - 0.6) x 100
    assert result.usd == pytest.approx(100_000 + 500 - 420)
    assert result.fresh
    assert not result.disputed
    assert set(result.marks) == set(values)


def test_one_holding_without_a_mark_makes_equity_unknown_and_is_named() -> None:
    keeper = BookKeeper()
    trade = keeper.hold(condor())
    mids = dict.fromkeys(trade.structure.symbols, 1.0)
    short = trade.structure.shorts[0].symbol
    del mids[short]
    result = equity_mark(condor_step(mids), keeper.books, account(100_000.0), SETTINGS)
    assert (result.usd, result.unmarked, result.fresh) == (None, (short,), False)


def test_one_held_over_mark_makes_the_whole_mark_not_fresh() -> None:
    keeper = BookKeeper()
    trade = keeper.hold(condor())
    step = condor_step(dict.fromkeys(trade.structure.symbols, 1.0))
    wide = trade.structure.shorts[0].symbol
    step = replace(step, quotes={**step.quotes, wide: quote(0.5, 9.0, V.WIDE)}, last_good={wide: quote(1.0, 1.1)})
    assert not equity_mark(step, keeper.books, account(100_000.0), SETTINGS).fresh


@pytest.mark.parametrize(("engine_usd", "disputed"), [(98_000.0, False), (97_999.0, True), (102_001.0, True)])
def test_the_engines_equity_is_a_witness_that_may_disagree(engine_usd: float, disputed: bool) -> None:
    result = equity_mark(snapshot(), BookKeeper(100_000.0).books, account(engine_usd), SETTINGS)
    assert (result.usd, result.disputed) == (100_000.0, disputed)


@given(st.floats(0.05, 50), st.floats(0.01, 5), st.floats(0, 60), st.sampled_from(list(V)))
def test_a_doubtful_quote_never_makes_a_short_cheaper_than_its_model(
    mid: float, half: float, model: float, verdict: QuoteVerdict
) -> None:
    if verdict in (V.GOOD, V.NO_BID):
        return
    found = mark(SHORT, quote(mid - half, mid + half, verdict), model=model)
    assert found is not None
    assert found.price >= max(model, mid)
    assert not found.fresh
