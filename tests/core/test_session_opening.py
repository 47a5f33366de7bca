"""The opening price: the anchor's first regular minute, the same after any restart, and never the current price."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import OpeningPrice, OpeningStatus
from core.ports import RawBar
from core.session import OpeningPriceKeeper, SessionClock
from core.settings import SessionSettings
from tests.core.feeds import MINUTE, StubFeed, live, ramp, raw_bar

SETTINGS = SessionSettings()
DAY = date(2025, 9, 12)
CLOCK = SessionClock(SETTINGS)
OPEN = datetime(2025, 9, 12, 9, 30)
PENDING, UNKNOWN = OpeningPrice(OpeningStatus.PENDING), OpeningPrice(OpeningStatus.UNKNOWN)


def known(price: float) -> OpeningPrice:
    return OpeningPrice(OpeningStatus.KNOWN, price)


class Morning:
    """A keeper on a feed, started at any minute."""

    def __init__(self, start: datetime, bars: tuple[RawBar, ...], *, last_close: float | None = 600.0) -> None:
        self.keeper = OpeningPriceKeeper(SETTINGS)
        self.feed = StubFeed(start - MINUTE)
        self.feed.minutes = bars
        self.last_close = last_close
        self.answers: dict[datetime, OpeningPrice] = {}

    def until(self, end: datetime) -> OpeningPrice:
        live(self.feed, end, self._step)
        return self.answers[end]

    def _step(self) -> None:
        session = CLOCK.session(self.feed.time.date())
        assert session is not None
        bar = self.feed.bars.get("SPY")
        self.answers[self.feed.time] = self.keeper.observe(self.feed, session, bar, self.last_close)


def at(hour: int, minute: int) -> datetime:
    return datetime(2025, 9, 12, hour, minute)


def test_the_first_five_minutes_give_the_price_without_asking_history() -> None:
    morning = Morning(at(9, 0), ramp(OPEN, 60, first=600.0))
    assert morning.until(at(9, 34)) == PENDING
    assert morning.until(at(9, 35)) == known(600.0)
    assert morning.until(at(10, 30)) == known(600.0)
    assert morning.feed.asked == []


@given(st.integers(0, 120), st.sets(st.integers(2, 60), max_size=6))
def test_sc_p2_a_restart_at_any_minute_finds_the_same_price(start: int, missing: set[int]) -> None:
    bars = tuple(bar for n, bar in enumerate(ramp(OPEN, 150, first=600.0), 1) if n not in missing)
    through = Morning(at(9, 0), bars).until(at(11, 40))
    restarted = Morning(OPEN - timedelta(minutes=10) + start * MINUTE, bars).until(at(11, 40))
    assert restarted == through == known(600.0)


def test_f0_12_a_late_start_reads_the_open_from_history() -> None:
    assert Morning(at(10, 40), ramp(OPEN, 90, first=598.0)).until(at(10, 40)) == known(598.0)


def test_f0_12_an_open_that_is_nowhere_is_pending_for_five_minutes_and_then_unknown_for_the_day() -> None:
    late_bars = tuple(bar for bar in ramp(OPEN, 150) if bar.end > at(10, 38))
    morning = Morning(at(10, 40), late_bars)
    assert morning.until(at(10, 45)) == PENDING
    assert morning.until(at(10, 46)) == UNKNOWN
    assert morning.until(at(11, 30)) == UNKNOWN


def test_fp22_an_open_that_never_comes_is_unknown_an_hour_after_the_open() -> None:
    morning = Morning(at(9, 0), ())
    assert morning.until(at(10, 30)) == PENDING
    assert morning.until(at(10, 31)) == UNKNOWN


def test_fp22_a_first_bar_later_than_the_opening_phase_is_not_the_open() -> None:
    delayed = tuple(bar for bar in ramp(OPEN, 120) if bar.end > at(9, 36))
    assert Morning(at(9, 0), delayed).until(at(11, 0)) == UNKNOWN


def test_fp22_the_next_day_starts_afresh() -> None:
    morning = Morning(at(9, 0), ramp(OPEN, 30, first=600.0))
    morning.until(at(9, 40))
    monday = datetime(2025, 9, 15, 9, 30)
    morning.feed.minutes = ramp(monday, 30, first=606.0)
    morning.feed.time = monday - MINUTE
    assert morning.until(monday) == PENDING
    assert morning.until(monday + 5 * MINUTE) == known(606.0)
    assert morning.feed.asked == []


def test_the_same_bar_comes_from_history_when_a_minute_was_missed() -> None:
    bars = ramp(OPEN, 30, first=600.0)
    morning = Morning(at(9, 0), bars)
    live(morning.feed, at(9, 32), morning._step)
    morning.feed.to(at(9, 34))  # the step of 9:33 never ran
    assert morning.until(at(9, 35)) == known(600.0)
    assert morning.feed.asked == ["minutes SPY"]


@pytest.mark.parametrize(
    ("first_price", "last_close", "answer"),
    [
        (606.0, 600.0, known(606.0)),  # exactly one per cent above the mean of the first closes
        (606.1, 600.0, UNKNOWN),
        (593.9, 600.0, UNKNOWN),
        (600.0, 600.0 / 0.7 - 0.01, known(600.0)),
        (600.0, 600.0 / 0.7 + 0.01, UNKNOWN),
        (600.0, 600.0 / 1.3 + 0.01, known(600.0)),
        (600.0, 600.0 / 1.3 - 0.01, UNKNOWN),
    ],
)
def test_an_implausible_first_price_is_not_the_open(
    first_price: float, last_close: float, answer: OpeningPrice
) -> None:
    bars = (raw_bar(OPEN + MINUTE, 600.0, opened=first_price), *ramp(OPEN, 10, first=600.0, step=0.0)[1:])
    assert Morning(at(9, 0), bars, last_close=last_close).until(at(9, 35)) == answer


def test_without_a_last_close_the_price_waits_for_it() -> None:
    morning = Morning(at(9, 0), ramp(OPEN, 60, first=600.0), last_close=None)
    assert morning.until(at(9, 40)) == PENDING
    morning.last_close = 599.0
    assert morning.until(at(9, 41)) == known(600.0)
