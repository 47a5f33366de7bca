"""What history() and option_chain() show at a moment, with LEAN's end times."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.clock import Zone
from engine.enums import DataNormalizationMode, OptionRight, Resolution
from engine.errors import EngineUnsupported
from engine.history import History, HistoryBars
from engine.memory import MemorySource
from engine.symbols import Symbol
from tests.engine.factors import factor_rows

VIX = Symbol.index("VIX")
SPY = Symbol.equity("SPY")
SPXW = Symbol.canonical_option(Symbol.index("SPX"), "SPXW")
NEW_YORK = Zone("America/New_York")
HOLIDAY = date(2025, 1, 9)
HALF_DAY = date(2025, 1, 3)
SESSIONS = [date(2025, 1, day) for day in (2, 3, 6, 7, 8, 10)]


@pytest.fixture
def source() -> MemorySource:
    """Six sessions of VIX and SPY, a half day and a holiday among them."""
    found = MemorySource(holidays=[HOLIDAY], early_closes={HALF_DAY: 13 * 60})
    for n, day in enumerate(SESSIONS):
        found.set_daily(VIX, day, 15 + n, 16 + n, 14 + n, 15.5 + n)
        found.set_daily(SPY, day, 500 + n, 501 + n, 499 + n, 500.5 + n, 1000)
    return found


def utc(text: str) -> datetime:
    """Return the UTC moment of a New York time in January 2025."""
    return datetime.strptime(f"2025-01-{text}", "%Y-%m-%d %H:%M") + timedelta(hours=5)


def last_vix(source: MemorySource, periods: int, at: str) -> HistoryBars:
    return History(source, NEW_YORK).last(VIX, periods, Resolution.DAILY, utc(at))


def ends(bars: HistoryBars) -> list[str]:
    return [f"{end:%d %H:%M}" for end in bars.end_time]


def test_daily_bars_end_with_the_session(source: MemorySource) -> None:
    bars = last_vix(source, 3, "07 10:00")

    assert ends(bars) == ["02 16:15", "03 13:00", "06 16:15"]
    assert [f"{begin:%d %H:%M}" for begin in bars.time] == ["02 09:30", "03 09:30", "06 09:30"]
    assert bars.values[:, 3].tolist() == [15.5, 16.5, 17.5]
    assert bars.values[-1].tolist() == [17, 18, 16, 17.5, 0]


@pytest.mark.parametrize(
    ("at", "newest"),
    [
        ("07 16:14", "06 16:15"),  # today is not over
        ("07 16:15", "07 16:15"),
        ("07 23:30", "07 16:15"),  # still the 7th in Chicago
        ("08 00:30", "07 16:15"),
        ("09 12:00", "08 16:15"),  # a holiday
        ("11 12:00", "10 16:15"),  # a Saturday
        ("10 09:31", "08 16:15"),
    ],
)
def test_newest_daily_bar_is_the_last_session_that_is_over(source: MemorySource, at: str, newest: str) -> None:
    assert ends(last_vix(source, 1, at)) == [newest]


def test_request_before_the_first_bar_gives_what_there_is(source: MemorySource) -> None:
    assert ends(last_vix(source, 10, "06 10:00")) == ["02 16:15", "03 13:00"]
    assert len(last_vix(source, 3, "02 10:00")) == 0
    assert last_vix(source, 3, "02 10:00").values.shape == (0, 5)


def test_session_without_a_row_repeats_the_bar_before_it(source: MemorySource) -> None:
    gap = MemorySource(holidays=[HOLIDAY])
    for day in (SESSIONS[0], SESSIONS[3]):
        gap.set_daily(SPY, day, 500, 501, 499, 500.5, 1000)
    history = History(gap, NEW_YORK)

    filled = history.last(SPY, 5, Resolution.DAILY, utc("08 10:00"))
    bare = history.last(SPY, 5, Resolution.DAILY, utc("08 10:00"), fill_forward=False)

    assert ends(filled) == ["02 16:00", "03 16:00", "06 16:00", "07 16:00"]
    assert filled.values[:, 4].tolist() == [1000, 0, 0, 1000]
    assert filled.values[1, :4].tolist() == [500, 501, 499, 500.5]
    assert ends(bare) == ["02 16:00", "07 16:00"]


def test_adjusted_prices_are_scaled_by_the_factor_of_their_day(source: MemorySource) -> None:
    source.set_factors(SPY, factor_rows(("2025-01-03", 0.9, 0.5), ("2050-12-31", 1.0, 1.0)))
    history = History(source, NEW_YORK)

    raw = history.last(SPY, 2, Resolution.DAILY, utc("07 10:00"))
    adjusted = history.last(SPY, 2, Resolution.DAILY, utc("07 10:00"), mode=DataNormalizationMode.ADJUSTED)
    split = history.last(SPY, 2, Resolution.DAILY, utc("07 10:00"), mode=DataNormalizationMode.SPLIT_ADJUSTED)

    assert raw.values[:, 3].tolist() == [501.5, 502.5]
    assert adjusted.values[:, 3].tolist() == pytest.approx([501.5 * 0.45, 502.5])
    assert split.values[:, 3].tolist() == [501.5 / 2, 502.5]
    assert adjusted.values[:, 4].tolist() == [1000, 1000]


def minutes_of(source: MemorySource, day: date, *minutes: int) -> None:
    for minute in minutes:
        source.set_bar(SPY, day, minute, float(minute), volume=5)


def test_minutes_reach_back_over_the_night(source: MemorySource) -> None:
    minutes_of(source, SESSIONS[3], 958, 959, 960, 961)
    minutes_of(source, SESSIONS[4], 571, 572, 573)
    history = History(source, NEW_YORK)

    bars = history.last(SPY, 4, Resolution.MINUTE, utc("08 09:32"))

    assert ends(bars) == ["07 15:59", "07 16:00", "08 09:31", "08 09:32"]
    assert bars.values[:, 3].tolist() == [959, 960, 571, 572]
    assert bars.time[-1] == datetime(2025, 1, 8, 9, 31)


def test_minutes_are_filled_forward_within_a_session_and_never_from_after_now(source: MemorySource) -> None:
    minutes_of(source, SESSIONS[4], 572, 575, 577)
    history = History(source, NEW_YORK)

    filled = history.last(SPY, 6, Resolution.MINUTE, utc("08 09:36"))
    bare = history.last(SPY, 6, Resolution.MINUTE, utc("08 09:36"), fill_forward=False)

    assert ends(filled) == ["08 09:32", "08 09:33", "08 09:34", "08 09:35", "08 09:36"]
    assert filled.values[:, 3].tolist() == [572, 572, 572, 575, 575]
    assert filled.values[:, 4].tolist() == [5, 0, 0, 5, 0]
    assert ends(bare) == ["08 09:32", "08 09:35"]


def test_range_holds_bars_that_end_after_its_start_and_by_its_end(source: MemorySource) -> None:
    minutes_of(source, SESSIONS[4], 571, 572, 573, 574)
    history = History(source, NEW_YORK)
    start, end = datetime(2025, 1, 8, 9, 31), datetime(2025, 1, 8, 9, 33)

    assert ends(history.between(SPY, start, end, Resolution.MINUTE, utc("08 12:00"))) == ["08 09:32", "08 09:33"]
    assert ends(history.between(SPY, start, end, Resolution.MINUTE, utc("08 09:32"))) == ["08 09:32"]
    days = history.between(SPY, datetime(2025, 1, 2), datetime(2025, 1, 31), Resolution.DAILY, utc("06 16:00"))
    assert ends(days) == ["02 16:00", "03 13:00", "06 16:00"]


def test_times_are_in_the_algorithms_zone(source: MemorySource) -> None:
    bars = History(source, Zone("UTC")).last(VIX, 1, Resolution.DAILY, utc("07 10:00"))

    assert bars.end_time == [datetime(2025, 1, 6, 21, 15)]


@given(day=st.sampled_from(range(2, 15)), hour=st.integers(0, 23), minute=st.integers(0, 59), periods=st.integers(1, 9))
@example(day=3, hour=13, minute=0, periods=1)
@example(day=3, hour=13, minute=0, periods=4)
@example(day=3, hour=13, minute=0, periods=5)
@example(day=3, hour=16, minute=14, periods=9)
@example(day=3, hour=16, minute=14, periods=1)
@example(day=3, hour=16, minute=15, periods=1)
def test_daily_history_never_shows_the_future_and_counts_sessions(
    day: int, hour: int, minute: int, periods: int
) -> None:
    source = MemorySource(holidays=[HOLIDAY], early_closes={HALF_DAY: 13 * 60})
    for n in range(40):
        source.set_daily(VIX, date(2024, 12, 10) + timedelta(days=n), n, n, n, n)
    now = utc(f"{day:02} {hour:02}:{minute:02}")

    bars = History(source, Zone("UTC")).last(VIX, periods, Resolution.DAILY, now)

    # From an early close to the usual hour of closing LEAN steps back from now by the day, past the usual close of
    # the day before, and gives one bar more; the first weekend or holiday on its way takes it back, because the day
    # after it is touched by two steps (measured: conformance case history-plain).
    half_day = day == HALF_DAY.day and 13 * 60 <= hour * 60 + minute < 16 * 60 + 15
    assert len(bars) == periods + (half_day and periods <= 4)
    assert bars.end_time[-1] <= now
    hours = source.hours(VIX)
    for begin, end in zip(bars.time, bars.end_time[1:], strict=False):
        assert hours.get_next_trading_day(begin).date() == end.date()


def test_options_and_other_resolutions_are_refused_by_name(source: MemorySource) -> None:
    history = History(source, NEW_YORK)
    contract = Symbol.option(Symbol.index("SPX"), OptionRight.CALL, 5300, date(2025, 1, 10), ticker="SPXW")

    with pytest.raises(EngineUnsupported, match=r"Resolution\.HOUR"):
        history.last(VIX, 1, Resolution.HOUR, utc("07 10:00"))
    with pytest.raises(EngineUnsupported, match="SPXW  250110C05300000"):
        history.last(contract, 1, Resolution.DAILY, utc("07 10:00"))


# -- option_chain() ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "at", "used"),
    [
        (SESSIONS, "08 10:00", 7),
        (SESSIONS, "08 00:30", 6),  # 23:30 of the 7th in Chicago
        (SESSIONS, "06 10:00", 3),
        (SESSIONS, "12 10:00", 10),
        ([SESSIONS[0], SESSIONS[1]], "07 10:00", 3),
        ([SESSIONS[1]], "08 10:00", 3),
        ([SESSIONS[0]], "08 10:00", None),  # four sessions back
        ([SESSIONS[4]], "08 10:00", None),  # today's file is not out
    ],
)
def test_option_chain_is_the_newest_file_of_three_sessions(
    source: MemorySource, files: list[date], at: str, used: int | None
) -> None:
    for day in files:
        source.set_universe(SPXW, day, [], 5300)

    found = History(source, NEW_YORK).option_chain(SPXW, utc(at))

    assert (None if found is None else found.file_date.day) == used
