"""The one snapshot per step: what is real stays real, what is missing stays missing, and ages grow."""

from __future__ import annotations

import math
from dataclasses import fields
from datetime import date, datetime, timedelta
from statistics import median, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import EquityMark, MarketSnapshot, OpeningStatus, QuoteVerdict
from core.market_data import MarketData
from core.ports import Account
from core.quote_judge import QuoteJudge
from core.session import SessionClock
from core.settings import Settings
from core.vocabulary import Instrument
from helpers.black76 import black_price_of
from helpers.pricing import discount_factor, years_to
from tests.core.feeds import MINUTE, StubFeed, ramp, raw_bar, raw_chain, raw_quote
from tests.risk.builders import call, condor, put, vix

SETTINGS = Settings()
DAY = date(2025, 9, 12)
THURSDAY_CLOSE, THURSDAY_MIDNIGHT = datetime(2025, 9, 11, 16), datetime(2025, 9, 12)
SHORT, WING = put(5_300), put(5_290)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 9, 12, hour, minute)


@pytest.fixture
def feed() -> StubFeed:
    return StubFeed(at(9))


@pytest.fixture
def data() -> MarketData:
    return MarketData(SETTINGS, SessionClock(SETTINGS.session))


def see(data: MarketData, feed: StubFeed, *watched: Instrument) -> MarketSnapshot:
    return data.observe(feed, watched, ())


# -------------------------------------------------------------------------------------------------- shares and indices


def test_a_bar_keeps_its_end_and_its_age_grows(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).bars["SPX"] = raw_bar(at(10), 5_350.0, opened=5_349.0)
    first = see(data, feed)
    later = see(data, feed.to(at(10, 3)))

    assert first.price("SPX") == 5_350.0
    assert first.bars["SPX"].age_s == 0
    assert later.price("SPX") == 5_350.0
    assert (later.bars["SPX"].end, later.bars["SPX"].age_s) == (at(10), 180)


@pytest.mark.parametrize("end", [at(9), at(9, 30), datetime(2025, 9, 11, 16), at(10, 1)])
def test_what_is_not_of_this_session_so_far_is_no_price(data: MarketData, feed: StubFeed, end: datetime) -> None:
    feed.to(at(10)).bars["VIX"] = raw_bar(end, 65.7)
    assert see(data, feed).price("VIX") is None


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_share_price_that_cannot_be_one_is_as_good_as_none(data: MarketData, feed: StubFeed, price: float) -> None:
    feed.to(at(10)).bars["SPY"] = raw_bar(at(10), 600.0)
    see(data, feed)
    feed.to(at(10, 1)).bars["SPY"] = raw_bar(at(10, 1), price)
    snapshot = see(data, feed)
    assert snapshot.price("SPY") == 600.0
    assert snapshot.bars["SPY"].age_s == 60


def test_flt13_an_impossible_vix_reaches_its_judge(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).bars["VIX"] = raw_bar(at(10), 24.0)
    see(data, feed)
    feed.to(at(10, 1)).bars["VIX"] = raw_bar(at(10, 1), 0.0)
    assert see(data, feed).price("VIX") == 0.0


def test_the_next_session_starts_without_prices(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(15)).bars["SPY"] = raw_bar(at(15), 600.0)
    see(data, feed)
    assert see(data, feed.to(datetime(2025, 9, 15, 9))).bars == {}


def test_the_settlement_price_is_the_last_value_inside_regular_hours(data: MarketData, feed: StubFeed) -> None:
    for end, value in ((at(15, 59), 5_351.0), (at(16), 5_352.0), (at(16, 1), 5_400.0)):
        feed.to(end).bars["SPX"] = raw_bar(end, value)
        snapshot = see(data, feed)
    assert snapshot.settlement_price["SPX"] == 5_352.0
    assert snapshot.price("SPX") == 5_400.0

    monday = see(data, feed.to(datetime(2025, 9, 15, 9)))
    assert monday.settlement_price == {}
    assert monday.past_settlement_price[("SPX", DAY)] == 5_352.0


def test_feed_silence_counts_from_the_open_and_ends_with_any_price(data: MarketData, feed: StubFeed) -> None:
    assert see(data, feed.to(at(9, 20))).feed_silent_s == 0
    assert see(data, feed.to(at(9, 32))).feed_silent_s == 120
    feed.to(at(9, 33)).quotes[SHORT.symbol] = raw_quote(at(9, 33), 2.0, 2.1)
    assert see(data, feed, SHORT).feed_silent_s == 0
    assert see(data, feed.to(at(9, 35))).feed_silent_s == 120
    feed.to(at(9, 36)).bars["VIX"] = raw_bar(at(9, 36), 24.0)
    assert see(data, feed).feed_silent_s == 0


def test_the_opening_price_comes_with_the_snapshot(data: MarketData, feed: StubFeed) -> None:
    feed.daily["SPY"] = [raw_bar(THURSDAY_CLOSE, 601.0)]
    for minute, bar in enumerate(ramp(at(9, 30), 5, first=600.0), 31):
        feed.to(at(9, minute)).bars["SPY"] = bar
        snapshot = see(data, feed)
    assert snapshot.opening.status is OpeningStatus.KNOWN
    assert snapshot.opening.price == 600.0
    feed.bars.clear()
    later, monday = see(data, feed.to(at(15))), see(data, feed.to(datetime(2025, 9, 15, 9)))
    assert later.opening == snapshot.opening
    assert monday.opening.status is OpeningStatus.PENDING


# ---------------------------------------------------------------------------------------------------------- daily bars


def test_closes_of_the_day_before_and_realised_volatility_are_read_once(data: MarketData, feed: StubFeed) -> None:
    closes = [600 + 3 * math.sin(n) for n in range(25)]
    feed.daily["SPY"] = [raw_bar(THURSDAY_CLOSE - timedelta(days=24 - n), close) for n, close in enumerate(closes)]
    feed.daily["VIX"] = [raw_bar(THURSDAY_MIDNIGHT, 23.5)]  # a daily bar may be stamped with the midnight after it
    snapshot = see(data, feed)
    see(data, feed.to(at(9, 1)))

    returns = [math.log(b / a) for a, b in zip(closes[-21:], closes[-20:], strict=False)]
    assert snapshot.prior_close == {"SPY": closes[-1], "VIX": 23.5}
    assert snapshot.rv20 == pytest.approx(stdev(returns) * math.sqrt(252) * 100)
    assert feed.asked == ["daily SPY VIX"], "in one request"


def test_realised_volatility_needs_all_its_closes(data: MarketData, feed: StubFeed) -> None:
    feed.daily["SPY"] = [raw_bar(THURSDAY_CLOSE - timedelta(days=19 - n), 600.0 + n) for n in range(20)]
    snapshot = see(data, feed)
    assert snapshot.prior_close["SPY"] == 619.0
    assert snapshot.rv20 is None


def test_an_older_close_is_not_the_prior_one_and_is_asked_for_again(data: MarketData, feed: StubFeed) -> None:
    feed.daily["SPY"] = [raw_bar(datetime(2025, 9, 10, 16), 599.0)]
    feed.daily["VIX"] = [raw_bar(THURSDAY_CLOSE, 23.5)]
    assert see(data, feed).prior_close == {"VIX": 23.5}
    asked: list[int] = []
    for minute in range(1, 60):
        feed.asked.clear()
        see(data, feed.to(at(9, minute)))
        if "daily SPY VIX" in feed.asked:
            asked.append(minute)
    assert asked == [1, 3, 7, 15, 30, 45]

    feed.daily["SPY"].append(raw_bar(THURSDAY_CLOSE, 601.0))  # type: ignore[attr-defined]
    assert see(data, feed.to(at(10))).prior_close == {"SPY": 601.0, "VIX": 23.5}


# -------------------------------------------------------------------------------------------------------------- quotes


def test_fp24_a_quote_that_stops_coming_grows_old_and_stays_known_as_the_last_good_one(
    data: MarketData, feed: StubFeed
) -> None:
    feed.to(at(10)).quotes[SHORT.symbol] = raw_quote(at(10), 2.0, 2.1)
    assert see(data, feed, SHORT).quote(SHORT.symbol).is_good
    assert see(data, feed.to(at(10, 1)), SHORT).quote(SHORT.symbol).is_good

    snapshot = see(data, feed.to(at(10, 2)), SHORT)
    quote, good = snapshot.quote(SHORT.symbol), snapshot.last_good[SHORT.symbol]
    assert (quote.verdict, quote.age_s) == (QuoteVerdict.STALE, 120)
    assert (good.mid, good.age_s) == (2.05, 120)


def test_a_bid_that_is_gone_is_gone(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).quotes[SHORT.symbol] = raw_quote(at(10), 2.0, 2.1)
    see(data, feed, SHORT)
    feed.to(at(10, 1)).quotes[SHORT.symbol] = raw_quote(at(10, 1), 0.0, 2.1)
    quote = see(data, feed, SHORT).quote(SHORT.symbol)
    assert (quote.verdict, quote.bid, quote.ask) == (QuoteVerdict.NO_BID, None, 2.1)


def test_yesterdays_quote_is_missing_today_but_its_last_good_price_is_known(data: MarketData, feed: StubFeed) -> None:
    held = put(5_300, date(2025, 9, 19))
    feed.to(at(15)).quotes[held.symbol] = raw_quote(at(15), 2.0, 2.1)
    see(data, feed, held)
    monday = see(data, feed.to(datetime(2025, 9, 15, 9, 31)), held)
    assert monday.quote(held.symbol).verdict is QuoteVerdict.MISSING
    assert monday.last_good[held.symbol].mid == 2.05
    assert held.symbol not in see(data, feed.to(datetime(2025, 9, 15, 9, 32))).last_good


@pytest.mark.parametrize("halt", ["SPX", SHORT.symbol])
def test_a_halt_of_the_underlying_halts_its_options(data: MarketData, feed: StubFeed, halt: str) -> None:
    feed.to(at(10)).quotes[SHORT.symbol] = raw_quote(at(10), 2.0, 2.1)
    feed.halts = frozenset({halt})
    assert see(data, feed, SHORT).quote(SHORT.symbol).verdict is QuoteVerdict.HALTED


def test_a_spread_blows_out_against_the_contracts_own_median(data: MarketData, feed: StubFeed) -> None:
    for minute in range(10):
        feed.to(at(10, minute)).quotes[SHORT.symbol] = raw_quote(at(10, minute), 20.0, 20.1)
        see(data, feed, SHORT)
    feed.to(at(10, 10)).quotes[SHORT.symbol] = raw_quote(at(10, 10), 20.0, 21.0)
    assert see(data, feed, SHORT).quote(SHORT.symbol).verdict is QuoteVerdict.WIDE


@given(st.lists(st.sampled_from((0.0, 0.05, 0.1, 0.2, 0.3, 0.55, 1.1, 1.6)), min_size=1, max_size=12))
def test_every_quote_is_judged_by_the_median_of_the_spreads_so_far(spreads: list[float]) -> None:
    data, feed, known = MarketData(SETTINGS, SessionClock(SETTINGS.session)), StubFeed(at(9)), list[float]()
    judge = QuoteJudge(SETTINGS.chain, SETTINGS.data)
    for minute, spread in enumerate(spreads):
        now = at(10, minute)
        raw = feed.to(now).quotes[SHORT.symbol] = raw_quote(now, 20.0, 20.0 + spread)
        assert raw.bid is not None
        assert raw.ask is not None
        if raw.ask > raw.bid:
            known.append(raw.ask - raw.bid)
        usual = median(known) if known else None
        assert see(data, feed, SHORT).quote(SHORT.symbol) == judge.judge(SHORT, raw, now, halted=False, median=usual)


def test_spreads_of_the_day_before_say_nothing_of_todays(data: MarketData, feed: StubFeed) -> None:
    held, opened = put(5_300, date(2025, 9, 19)), datetime(2025, 9, 15, 10)
    for minute in range(10):
        feed.to(at(10, minute)).quotes[held.symbol] = raw_quote(at(10, minute), 20.0, 20.1)
        see(data, feed, held)
    for minute in range(2):
        now = opened + timedelta(minutes=minute)
        feed.to(now).quotes[held.symbol] = raw_quote(now, 20.0, 21.0)
        assert see(data, feed, held).quote(held.symbol).verdict is QuoteVerdict.GOOD


def test_with_quotes_adds_the_legs_of_a_structure_to_the_same_step(data: MarketData, feed: StubFeed) -> None:
    structure = condor()
    feed.to(at(10))
    for leg in structure.legs:
        feed.quotes[leg.symbol] = raw_quote(at(10), 2.0, 2.1)
    before = see(data, feed)
    after = data.with_quotes(before, structure)
    assert before.quotes == {}
    assert all(after.quote(symbol).is_good for symbol in structure.symbols)
    assert set(after.last_good) == set(structure.symbols)


# -------------------------------------------------------------------------------------------------------------- chains


def test_a_chain_is_judged_sorted_and_loaded_once_per_step(data: MarketData, feed: StubFeed) -> None:
    rows = [(call(5_400), 2.0, 2.1), (SHORT, 1.9, 2.0), (WING, 0.0, 0.05)]
    feed.to(at(10)).chains[("SPXW", DAY)] = raw_chain(at(10), rows)
    snapshot = see(data, feed)
    chain = snapshot.load_chain("SPXW", DAY)

    assert chain is not None
    assert snapshot.load_chain("SPXW", DAY) is chain
    assert feed.asked.count("chain SPXW") == 1
    assert [item.symbol for item in chain.instruments] == [WING.symbol, SHORT.symbol, call(5_400).symbol]
    assert chain.strike.tolist() == [5_290, 5_300, 5_400]
    assert math.isnan(chain.bid[0])
    assert chain.ask.tolist() == [0.05, 2.0, 2.1]
    assert chain.wide_limit[1:].tolist() == pytest.approx([0.195, 0.205])


def test_a_chain_of_another_minute_is_none(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).chains[("SPXW", DAY)] = raw_chain(at(10), [(SHORT, 1.9, 2.0)])
    earlier = see(data, feed)
    feed.to(at(10, 1)).chains[("SPXW", DAY)] = raw_chain(at(10), [(SHORT, 1.9, 2.0)])
    assert see(data, feed).load_chain("SPXW", DAY) is None
    assert earlier.load_chain("SPXW", DAY) is None, "a step that is over loads nothing any more"


def test_a_look_at_a_followed_chain_is_read_once_and_belongs_to_its_step(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(9, 31)).chains[("SPXW", DAY)] = raw_chain(at(9, 31), [(SHORT, 1.9, 2.0)])
    first = data.observe(feed, (), [("SPXW", DAY)])
    assert first.load_chain("SPXW", DAY) is not None
    assert feed.asked.count("chain SPXW") == 1
    feed.to(at(9, 36)).chains[("SPXW", DAY)] = raw_chain(at(9, 36), [(SHORT, 1.9, 2.0)])
    second = data.observe(feed, (), [("SPXW", DAY)])
    see(data, feed.to(at(9, 37)))
    assert second.load_chain("SPXW", DAY) is None, "a step that is over judges nothing any more"


def test_a_followed_chain_knows_its_spreads_from_the_open_on(data: MarketData, feed: StubFeed) -> None:
    follow = [("SPXW", DAY)]
    for minute in range(31, 51):
        feed.to(at(9, minute)).chains[("SPXW", DAY)] = raw_chain(at(9, minute), [(SHORT, 20.0, 20.1)])
        data.observe(feed, (), follow)
    feed.to(at(9, 51)).chains[("SPXW", DAY)] = raw_chain(at(9, 51), [(SHORT, 20.0, 21.0), (WING, 20.0, 21.0)])
    feed.quotes[SHORT.symbol] = raw_quote(feed.time, 20.0, 21.0)
    snapshot = data.observe(feed, (SHORT,), follow)

    chain = snapshot.load_chain("SPXW", DAY)
    assert chain is not None
    assert chain.wide_limit.tolist() == pytest.approx([2.05, 0.5])  # of the wing only this minute is known
    assert snapshot.quote(SHORT.symbol).verdict is QuoteVerdict.WIDE


def test_a_quote_of_a_followed_chain_counts_in_its_spreads(data: MarketData, feed: StubFeed) -> None:
    """What is held is quoted in every minute; whether its row of the chain was read as well makes no difference."""
    follow = [("SPXW", DAY)]
    for minute in range(31, 52):
        feed.to(at(9, minute)).bars["SPX"] = raw_bar(at(9, minute), 5_340.0)
        spread = 0.1 if minute == 31 else 0.2
        feed.chains[("SPXW", DAY)] = raw_chain(at(9, minute), [(SHORT, 20.0, 20.0 + spread)])
        if minute > 31:
            feed.quotes[SHORT.symbol] = raw_quote(feed.time, 20.0, 20.0 + spread)
        data.observe(feed, (SHORT,), follow if minute == 31 else ())
    feed.to(at(9, 52)).chains[("SPXW", DAY)] = raw_chain(at(9, 52), [(SHORT, 20.0, 21.0)])
    chain = data.observe(feed, (), ()).load_chain("SPXW", DAY)
    assert chain is not None
    assert chain.wide_limit.tolist() == pytest.approx([1.0])  # five times 0.2; of the chain alone it would be 0.1


def test_single_strikes_are_judged_as_those_of_the_chain(data: MarketData, feed: StubFeed) -> None:
    """What was read alone is part of a contract's spread history, and counts once a minute whatever is read after."""
    contracts = [put(5_250 + 10 * n) for n in range(11)]
    for minute in range(31, 41):
        feed.to(at(9, minute)).chains[("SPXW", DAY)] = raw_chain(
            at(9, minute), [(one, 20.0, 20.1) for one in contracts]
        )
        data.observe(feed, (), [("SPXW", DAY)])
    feed.to(at(9, 41)).chains[("SPXW", DAY)] = raw_chain(at(9, 41), [(one, 20.0, 21.0) for one in contracts])
    snapshot = data.observe(feed, (), ())
    narrow = snapshot.load_strikes("SPXW", DAY, 5_301.0, 4, [contracts[0]])
    again = snapshot.load_strikes("SPXW", DAY, 5_301.0, 4, [])
    whole = snapshot.load_chain("SPXW", DAY)

    assert narrow is not None
    assert again is not None
    assert whole is not None
    of_chain = dict(zip(whole.instruments, zip(whole.bid, whole.ask, whole.wide_limit, strict=True), strict=True))
    assert [row[0] for row in narrow.rows] == [contracts[0], *contracts[2:10]]
    assert all(row[1:] == of_chain[row[0]] for row in narrow.rows)
    assert narrow.unread == (5_260.0, 5_350.0)
    assert [row[3] for row in again.rows] == pytest.approx([0.5] * 8)
    assert whole.wide_limit.tolist() == pytest.approx([0.5] * 11)


def test_a_side_that_is_absent_alone_is_absent_in_the_row_too(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).chains[("SPXW", DAY)] = raw_chain(at(10), [(SHORT, 0.0, 2.0), (WING, 0.1, 0.0)])
    found = see(data, feed).load_strikes("SPXW", DAY, 5_300.0, 4, (SHORT, WING))
    assert found is not None
    quotes = {row[0]: row[1:] for row in found.rows}
    assert quotes[SHORT] == pytest.approx((math.nan, 2.0, math.nan), nan_ok=True)
    assert quotes[WING] == pytest.approx((0.1, math.nan, math.nan), nan_ok=True)


def test_where_the_chain_is_loaded_no_strikes_are_read(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).chains[("SPXW", DAY)] = raw_chain(at(10), [(SHORT, 1.9, 2.0)])
    snapshot = see(data, feed)
    assert snapshot.load_chain("SPXW", DAY) is not None
    assert snapshot.load_strikes("SPXW", DAY, 5_300.0, 4, ()) is None
    later = see(data, feed.to(at(10, 1)))
    assert later.load_strikes("SPXW", DAY, 5_300.0, 4, ()) is None
    feed.to(at(10, 2)).chains[("SPXW", DAY)] = raw_chain(at(10, 2), [(SHORT, 1.9, 2.0)])
    assert later.load_strikes("SPXW", DAY, 5_300.0, 4, ()) is None, "a step that is over loads nothing any more"


def test_a_followed_chain_is_sampled_and_any_look_at_it_counts(data: MarketData, feed: StubFeed) -> None:
    asked: list[int] = []
    for minute in range(31, 51):
        feed.to(at(9, minute)).bars["SPX"] = raw_bar(at(9, minute), 5_340.0)
        if minute not in (36, 37):  # no chain in these: it is looked at as soon as there is one
            feed.chains[("SPXW", DAY)] = raw_chain(at(9, minute), [(SHORT, 20.0, 20.1)])
        feed.asked.clear()
        snapshot = data.observe(feed, (), [("SPXW", DAY)])
        if "chain SPXW" in feed.asked:
            asked.append(minute)
        if minute == 45:
            snapshot.load_chain("SPXW", DAY)
    assert asked == [31, 36, 37, 38, 43, 50]


def test_where_no_bar_comes_a_followed_chain_says_that_the_feed_is_alive(data: MarketData, feed: StubFeed) -> None:
    for minute in range(31, 36):
        feed.to(at(9, minute)).chains[("SPXW", DAY)] = raw_chain(at(9, minute), [(SHORT, 20.0, 20.1)])
        assert data.observe(feed, (), [("SPXW", DAY)]).feed_silent_s == 0
    assert see(data, feed.to(at(9, 37))).feed_silent_s == 120


def test_a_chain_is_not_followed_before_the_open(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(9, 29)).chains[("SPXW", DAY)] = raw_chain(at(9, 29), [(SHORT, 20.0, 20.1)])
    data.observe(feed, (), [("SPXW", DAY)])
    assert feed.asked.count("chain SPXW") == 0


def test_todays_contracts_are_read_when_somebody_asks(data: MarketData, feed: StubFeed) -> None:
    feed.counts["SPXW"] = {DAY: 240}
    snapshot = see(data, feed.to(at(10)))
    assert snapshot.listed.get("SPXW") == {DAY: 240}
    assert not snapshot.listed.get("SPX")


def test_a_late_step_still_knows_todays_contracts_and_yesterdays_none(data: MarketData, feed: StubFeed) -> None:
    """Live, the clock may have gone on by the time that a step asks."""
    feed.counts["SPXW"] = {DAY: 240}
    for later, found in ((at(10, 1), {DAY: 240}), (at(10) + timedelta(days=1), None)):
        snapshot = see(data, feed.to(at(10)))
        feed.to(later)
        assert snapshot.listed.get("SPXW") == found


# ----------------------------------------------------------------------------------------------------------- our model


def test_our_model_prices_a_contract_at_the_volatility_of_its_last_good_quote(data: MarketData, feed: StubFeed) -> None:
    def value(spot: float, now: datetime) -> float:
        years = years_to(at(16), now, min_s=60)
        return black_price_of(SHORT.strike, False, spot, 0.22, years, discount_factor(4.0, years))

    good = value(5_340.0, at(12))
    feed.to(at(12)).bars["SPX"] = raw_bar(at(12), 5_340.0)
    feed.quotes[SHORT.symbol] = raw_quote(at(12), good - 0.05, good + 0.05)
    assert see(data, feed, SHORT).model_price(SHORT) == pytest.approx(good)

    feed.to(at(12, 1)).bars["SPX"] = raw_bar(at(12, 1), 5_335.0)
    step = see(data, feed, SHORT)
    assert step.quote(SHORT.symbol).is_good, "a minute old, and still of the spot of its own minute"
    assert step.model_price(SHORT) == pytest.approx(value(5_335.0, at(12, 1)), abs=1e-6)
    feed.to(at(12, 10)).bars["SPX"] = raw_bar(at(12, 10), 5_290.0)
    assert see(data, feed, SHORT).model_price(SHORT) == pytest.approx(value(5_290.0, at(12, 10)), abs=1e-6)


def test_our_model_says_nothing_where_the_spot_was_old_when_the_quote_was_good(
    data: MarketData, feed: StubFeed
) -> None:
    feed.to(at(12)).bars["SPX"] = raw_bar(at(12), 5_340.0)
    see(data, feed)
    feed.to(at(12, 2)).quotes[SHORT.symbol] = raw_quote(at(12, 2), 2.0, 2.1)
    see(data, feed, SHORT)
    feed.to(at(12, 3)).bars["SPX"] = raw_bar(at(12, 3), 5_340.0)
    assert see(data, feed, SHORT).model_price(SHORT) is None
    feed.quotes[SHORT.symbol] = raw_quote(feed.to(at(12, 3)).time, 2.0, 2.1)
    assert see(data, feed, SHORT).model_price(SHORT) is not None


def test_our_model_says_nothing_without_a_good_quote_or_a_spot(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(12)).quotes[SHORT.symbol] = raw_quote(at(12), 2.0, 2.1)
    assert see(data, feed, SHORT).model_price(SHORT) is None
    feed.to(at(12, 1)).bars["SPX"] = raw_bar(at(12, 1), 5_340.0)
    assert see(data, feed, SHORT).model_price(SHORT) is None, "the good quote was seen without a spot"
    assert see(data, feed, WING).model_price(WING) is None
    feed.to(at(12, 2)).bars["SPX"] = raw_bar(at(12, 2), 5_340.0)
    feed.quotes[SHORT.symbol] = raw_quote(feed.time, 0.05, 0.10)
    impossible = put(5_600)
    feed.quotes[impossible.symbol] = raw_quote(feed.time, 20.0, 20.1)  # below its intrinsic value
    snapshot = see(data, feed, SHORT, impossible)
    assert snapshot.model_price(SHORT) is not None
    assert snapshot.model_price(impossible) is None


def test_a_snapshot_does_not_change_with_the_next_step(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).bars["SPX"] = raw_bar(at(10), 5_340.0)
    first = see(data, feed, SHORT)
    feed.to(at(10) + MINUTE).bars["SPX"] = raw_bar(at(10, 1), 5_350.0)
    feed.quotes[SHORT.symbol] = raw_quote(feed.time, 2.0, 2.1)
    see(data, feed, SHORT)
    assert first.price("SPX") == 5_340.0
    assert first.settlement_price["SPX"] == 5_340.0
    assert not first.quote(SHORT.symbol).is_good
    assert np.isfinite(first.bars["SPX"].age_s)


def test_a_completed_snapshot_is_the_same_step_and_only_that_is_added(data: MarketData, feed: StubFeed) -> None:
    feed.to(at(10)).bars["SPX"] = raw_bar(at(10), 5_340.0)
    feed.quotes[SHORT.symbol] = raw_quote(at(10), 2.0, 2.1)
    seen = see(data, feed, SHORT)
    account, equity = Account(1, 0, 100.0), EquityMark(99.0)
    added = {"account": account, "equity": equity, "vix": vix(24.0)}
    done = seen.completed(account=account, equity=equity, vix=vix(24.0))
    for field in fields(MarketSnapshot):
        assert getattr(done, field.name) == added.get(field.name, getattr(seen, field.name)), field.name
