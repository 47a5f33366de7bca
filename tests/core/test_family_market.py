"""Usual volumes and opens of the family's minutes: read when somebody asks, and always up to that minute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest

from core.family_market import FamilyMarket
from core.market import MarketSnapshot, Quote, QuoteVerdict
from core.ports import RawBar
from core.reasons import Reason
from core.settings_etf import EtfRotationSettings
from core.signal import MissingBar, SignalBar
from tests.core.feeds import StubFeed
from tests.risk.builders import session, snapshot

DAY = date(2025, 10, 28)
TODAY = session(DAY)
THREE = EtfRotationSettings(volume_bars=3)
FRESH = Quote(QuoteVerdict.GOOD, 50.0, 50.01, 50.0, 50.01, 0.0)


def minute(number: int) -> datetime:
    return TODAY.open + timedelta(minutes=number)


def bar(end: datetime, volume: float, opened: float = 50.0) -> RawBar:
    return RawBar(end, opened, opened, opened, opened, volume)


class Feed(StubFeed):
    """Its history is by symbol."""

    def __init__(self) -> None:
        super().__init__(TODAY.open)
        self.history: dict[str, tuple[RawBar, ...]] = {}

    def minute_history(self, symbol: str, _since: datetime) -> tuple[RawBar, ...]:
        return self.history.get(symbol, ())


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture
def market(feed: Feed) -> FamilyMarket:
    made = FamilyMarket(THREE, feed)
    made.open_session()
    return made


def step(number: int, bars: Mapping[str, RawBar], *, last_close: float = 50.0) -> MarketSnapshot:
    closes = {"TQQQ": last_close}
    return snapshot(minute(number), bars=bars, today=TODAY, quotes={"TQQQ": FRESH}, prior_close=closes)


def see(market: FamilyMarket, number: int, volume: float, opened: float = 50.0) -> None:
    market.observe(step(number, {"TQQQ": bar(minute(number), volume, opened)}))


def test_the_usual_volume_is_that_of_the_newest_minutes_whenever_it_is_asked_for(market: FamilyMarket) -> None:
    see(market, 1, 100.0)
    see(market, 2, 200.0)
    assert market.median_volume("TQQQ") is None
    see(market, 3, 300.0)
    assert market.median_volume("TQQQ") == 200.0
    see(market, 4, 400.0)
    see(market, 5, 500.0)
    assert market.median_volume("TQQQ") == 400.0
    assert market.median_volume("TQQQ") == 400.0, "no minute counts twice"
    assert market.median_volume("QQQ") is None


def test_a_minute_that_brought_no_bar_has_no_volume(market: FamilyMarket) -> None:
    for number in (1, 2, 3):
        see(market, number, 100.0 * number)
    old = bar(minute(3), 300.0).seen_at(minute(4))
    market.observe(step(4, {"TQQQ": old}))
    assert market.median_volume("TQQQ") == 200.0


def test_minutes_that_nobody_saw_stand_between_those_before_and_after(market: FamilyMarket, feed: Feed) -> None:
    see(market, 1, 900.0)
    see(market, 2, 800.0)
    feed.history["TQQQ"] = tuple(bar(minute(number), 10.0 * number) for number in range(1, 5))
    see(market, 5, 20.0)
    assert market.median_volume("TQQQ") == 30.0, "of 30, 40 and 20"


def test_the_open_is_the_first_of_the_session_and_a_gap_to_the_last_close_refuses(market: FamilyMarket) -> None:
    see(market, 1, 100.0, opened=80.0)
    see(market, 2, 100.0, opened=50.0)
    refusal = market.refusal("TQQQ", step(2, {}, last_close=50.0))
    assert refusal is not None
    assert (refusal.reason, refusal.detail["open"]) == (Reason.UNEXPLAINED_GAP, 80.0)
    assert market.refusal("TQQQ", step(2, {}, last_close=80.0)) is None


def test_a_share_is_missing_until_its_first_minute(market: FamilyMarket) -> None:
    see(market, 1, 100.0)
    assert market.missing() == ("QQQ", "PSQ", "SQQQ")
    market.observe(step(2, {name: bar(minute(2), 1.0) for name in ("QQQ", "PSQ")}))
    assert market.missing() == ("SQQQ",)


def test_a_session_begins_without_the_minutes_of_the_one_before(market: FamilyMarket) -> None:
    for number in (1, 2, 3):
        see(market, number, 100.0)
    market.open_session()
    assert market.median_volume("TQQQ") is None
    assert market.missing() == ("QQQ", "TQQQ", "PSQ", "SQQQ")


def test_the_signal_reads_each_minute_once_and_is_told_of_one_that_brought_nothing(market: FamilyMarket) -> None:
    end = minute(1)
    assert market.observe(step(1, {"QQQ": bar(end, 7.0)})) == (SignalBar(end, 1, 50.0, 50.0, 50.0, 50.0, 7.0),)
    assert market.observe(step(1, {"QQQ": bar(end, 7.0)})) == ()
    assert market.observe(step(2, {"QQQ": bar(end, 7.0).seen_at(minute(2))})) == (MissingBar(minute(2), 2),)
