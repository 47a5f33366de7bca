"""The market's stories: how high VIX stands, and which days follow a script.

A script fixes a few points of a day (`DayShape`); everything between and around them is drawn.  The default market runs
in cycles of 13 weeks whose phase depends on the date alone, so a date has the same data in every market that holds it.
The event scenarios count from the market's start: their event needs quiet sessions before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from tools.market import calendar

Points = tuple[tuple[int, float], ...]
Windows = tuple[tuple[int, int, float], ...]


@dataclass(frozen=True, slots=True)
class DayShape:
    """What a script fixes of one session; minutes count from the open, 60 = 10:30, 390 = 16:00, 405 = 16:15.

    path     (minute, per cent from the prior close); minute 0 is the open; the close is drawn where no point fixes it
    vix      (minute, index points)
    halts    (first, last) minutes without trades and quotes
    spreads  (first, last, factor on every option and ETF spread)
    no_bids  (first, last, share of the option bids that are gone)
    stubs    (first, last) minutes in which leveraged ETFs show stub quotes
    """

    path: Points = ()
    vix: Points = ()
    halts: tuple[tuple[int, int], ...] = ()
    spreads: Windows = ()
    no_bids: Windows = ()
    stubs: tuple[tuple[int, int], ...] = ()
    noise: float = 1.0


class Script(Protocol):
    """A scenario's level of VIX and its scripted days."""

    def level(self, day: date, start: date) -> float:
        """Return the VIX that the day's market is drawn to."""

    def shape(self, day: date, start: date, jitter: float) -> DayShape | None:
        """Return the day's script, None for a free day; jitter in -1..1 varies it from seed to seed."""

    def drift(self, day: date, start: date) -> float:
        """Return the day's log return beside the level's own growth."""

    def last_scripted(self, start: date) -> int:
        """Return how many sessions from the start the story needs."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named story with the dates it is made for."""

    story: str
    script: Script
    start: date
    sessions: int
    vix_noise: float = 1.0
    return_scale: float = 1.0

    def minimum_sessions(self, start: date) -> int:
        """Return how many sessions a market from that start needs to hold the scripted event, 1 where there is none."""
        return self.script.last_scripted(start)


# --- the default market ---------------------------------------------------------------------------------------------

# A Friday; 12 weeks later is the half day after Thanksgiving 2025.
CYCLE_ANCHOR = date(2025, 9, 5)
CYCLE_WEEKS = 13


@dataclass(frozen=True, slots=True)
class _Week:
    """The last session of one week of the cycle.

    vix at 10:30; gap in per cent at the open; move in per cent from the open at 10:30; after: (minute, per cent from
    the open), what the afternoon does.  A move of None leaves the day free.
    """

    vix: float
    move: float | None = None
    gap: float = 0.1
    after: Points = ()


# Which gate each of these Fridays meets is told in docs/synthetic-market.md.
_CYCLE: tuple[_Week, ...] = (
    _Week(18.0),
    _Week(17.0),
    _Week(23.6, move=0.22, after=((90, 0.20), (210, 0.12), (360, 0.26))),
    _Week(26.5, move=0.85, after=((90, 0.88), (240, 0.45), (360, 0.40))),
    _Week(31.0, move=-0.95, gap=-0.4, after=((90, -0.90), (180, -1.70), (300, -2.70), (360, -2.60))),
    _Week(24.5, move=0.30, gap=2.10),
    _Week(25.5, move=-0.12, after=((90, -0.15), (180, 0.55), (300, 1.35), (360, 1.50))),
    _Week(27.5, move=0.15),
    _Week(32.5, move=-2.10, gap=-0.7),
    _Week(41.0, move=-0.60, gap=-0.8),
    _Week(29.0, move=0.28, after=((90, 0.25), (150, -0.35), (240, 0.45), (360, 0.15))),
    _Week(25.0, move=-0.75, after=((90, -0.72), (240, -0.40), (360, -0.35))),
    _Week(23.2, move=0.10, after=((90, 0.12), (180, 0.15))),
)
assert len(_CYCLE) == CYCLE_WEEKS


class MixedRegimes:
    """VIX goes from quiet to crisis and back in 13 weeks; the last session of each week is scripted to meet a gate."""

    def level(self, day: date, start: date) -> float:
        del start
        offset = (day - CYCLE_ANCHOR).days
        week, days = divmod(offset, 7)
        here = math.log(_CYCLE[week % CYCLE_WEEKS].vix)
        there = math.log(_CYCLE[(week + 1) % CYCLE_WEEKS].vix)
        return math.exp(here + (there - here) * days / 7)

    def shape(self, day: date, start: date, jitter: float) -> DayShape | None:
        del start
        if not calendar.is_last_of_week(day):
            return None
        friday = day + timedelta(calendar.FRIDAY - day.weekday())
        week = _CYCLE[(friday - CYCLE_ANCHOR).days // 7 % CYCLE_WEEKS]
        if week.move is None:
            return None
        gap = week.gap + 0.05 * jitter
        move = week.move * (1 + 0.12 * jitter)
        path = ((0, gap), (60, gap + move), *((minute, gap + value) for minute, value in week.after))
        return DayShape(path=path, vix=((60, week.vix * (1 + 0.02 * jitter)),), noise=0.7)

    def drift(self, day: date, start: date) -> float:
        del day, start
        return 0.0004  # the scripted Fridays lose about 2 per cent a cycle

    def last_scripted(self, start: date) -> int:
        del start
        return 1


# --- steady and event scenarios -------------------------------------------------------------------------------------

# The last scripted level of VIX halves its distance to CALM_AFTER in so many sessions.
AFTERMATH_HALF_LIFE = 10.0
CALM_AFTER = 20.0
QUIET_SESSIONS = 8
MONDAY, THURSDAY = 0, 3


@dataclass(frozen=True, slots=True)
class Steady:
    """VIX near one level, or on its way to another in `sessions`; the last session of the week may be scripted."""

    vix: float
    vix_end: float | None = None
    sessions: int = 1
    friday: DayShape | None = None
    trend: float = 0.0

    def level(self, day: date, start: date) -> float:
        if self.vix_end is None:
            return self.vix
        done = min(1.0, max(0.0, _sessions_since(start, day) / self.sessions))
        return self.vix * math.pow(self.vix_end / self.vix, done)

    def shape(self, day: date, start: date, jitter: float) -> DayShape | None:
        del jitter
        return self.friday if day >= start and calendar.is_last_of_week(day) else None

    def drift(self, day: date, start: date) -> float:
        return self.trend if day >= start else 0.0

    def last_scripted(self, start: date) -> int:
        del start
        return 1


@dataclass(frozen=True, slots=True)
class Event:
    """Scripted sessions in a row, the first of them on a given weekday after at least QUIET_SESSIONS quiet ones."""

    before: float
    weekday: int
    days: tuple[DayShape, ...]

    def first(self, start: date) -> date:
        """Return the date of the first scripted session."""
        day = calendar.count_from(start, QUIET_SESSIONS + 1)[-1]
        while day.weekday() != self.weekday:
            day = calendar.after(day)
        return day

    def level(self, day: date, start: date) -> float:
        place = _sessions_since(self.first(start), day)
        if place < 0:
            return self.before
        if place < len(self.days):
            return self.days[place].vix[-1][1]
        last = self.days[-1].vix[-1][1]
        halvings = (place - len(self.days) + 1) / AFTERMATH_HALF_LIFE
        return CALM_AFTER * math.pow(last / CALM_AFTER, math.pow(0.5, halvings))

    def shape(self, day: date, start: date, jitter: float) -> DayShape | None:
        del jitter
        place = _sessions_since(self.first(start), day)
        return self.days[place] if 0 <= place < len(self.days) else None

    def drift(self, day: date, start: date) -> float:
        del day, start
        return 0.0

    def last_scripted(self, start: date) -> int:
        return _sessions_since(start, self.first(start)) + len(self.days)


def _sessions_since(start: date, day: date) -> int:
    if day >= start:
        return len(calendar.between(start, day)) - 1
    return -len(calendar.between(day, start)) + 1


def _day(close: float, vix: float, *, opens: float | None = None, vix_opens: float | None = None) -> DayShape:
    """Return a day known by its figures alone: per cent from the prior close and VIX at the close."""
    first = close * 0.3 if opens is None else opens
    points: Points = ((405, vix),) if vix_opens is None else ((0, vix_opens), (405, vix))
    return DayShape(path=((0, first), (390, close)), vix=points)


# Figures of the days themselves; what lies between the fixed points is drawn.
_CRASH_2010 = Event(
    before=24.9,
    weekday=calendar.FRIDAY,  # a Thursday in 2010; here the 0DTE book is in the market
    days=(
        DayShape(
            path=(
                *((0, -0.1), (60, -0.4), (120, -0.8), (240, -1.6), (300, -2.9), (311, -3.9)),
                *((316, -8.6), (325, -5.4), (336, -3.3), (390, -3.24)),
            ),
            vix=((0, 25.4), (60, 25.9), (240, 28.0), (300, 30.5), (311, 33.0), (317, 40.7), (336, 34.5), (405, 32.8)),
            spreads=((300, 312, 2.5), (312, 330, 9.0), (330, 360, 3.0)),
            no_bids=((313, 326, 0.6),),
            stubs=((315, 319),),
        ),
        _day(-1.53, 40.95),
        _day(4.40, 28.84, opens=3.9, vix_opens=30.0),
    ),
)
_CRASH_2018 = Event(
    before=13.5,
    weekday=calendar.FRIDAY,
    days=(
        _day(-2.12, 17.31),
        DayShape(
            path=((0, -0.5), (120, -0.6), (240, -1.3), (300, -2.4), (340, -4.5), (360, -3.3), (390, -4.10)),
            vix=((0, 18.4), (120, 18.9), (240, 21.0), (300, 24.0), (345, 30.0), (360, 28.0), (390, 33.5), (405, 37.32)),
            spreads=((330, 390, 2.5),),
        ),
        DayShape(path=((0, -1.6), (60, 0.4), (390, 1.74)), vix=((0, 45.0), (60, 34.0), (405, 29.98))),
        _day(-0.50, 27.73),
        _day(-3.75, 33.46),
        DayShape(path=((0, 0.7), (60, 0.3), (240, -1.9), (390, 1.49)), vix=((0, 32.5), (240, 38.0), (405, 29.06))),
    ),
)


def _halted(close: float, vix: float, *, opens: float, start: int, vix_opens: float) -> DayShape:
    """Return a limit-down day: it falls to the first breaker, stands still for 15 minutes and goes on."""
    fall = max(start - 1, 1)  # the minute of the breaker
    return DayShape(
        path=((0, opens), (fall, -7.0), (start + 15, -7.0), (390, close)),
        vix=((0, vix_opens), (405, vix)),
        halts=((start, start + 15),),
        spreads=((0, 30, 3.0), (30, 390, 1.8)),
    )


_CRASH_2020 = Event(
    before=40.0,
    weekday=MONDAY,
    days=(
        _halted(-7.60, 54.46, opens=-6.2, start=4, vix_opens=57.0),
        _day(4.94, 47.30, opens=3.0),
        _day(-4.89, 53.90, opens=-2.0),
        _halted(-9.51, 75.47, opens=-5.8, start=5, vix_opens=65.0),
        _day(9.29, 57.83, opens=4.6),
        _halted(-11.98, 82.69, opens=-7.0, start=1, vix_opens=70.0),
        _day(6.00, 75.91, opens=1.8),
        _halted(-5.18, 76.45, opens=-3.4, start=206, vix_opens=77.0),
        _day(0.47, 72.00),
        _day(-4.34, 66.04, opens=0.8),
        _day(-2.93, 61.59),
        _day(9.38, 61.67, opens=4.0),
    ),
)
_CRASH_2024 = Event(
    before=17.0,
    weekday=calendar.FRIDAY,
    days=(
        _day(-1.84, 23.39, opens=-1.0, vix_opens=20.5),
        DayShape(
            path=((0, -3.7), (8, -4.2), (60, -2.4), (390, -3.00)),
            vix=((0, 57.0), (10, 52.0), (60, 41.0), (120, 37.0), (405, 38.57)),
            # the index was a quote artefact: the options behind it could hardly be dealt in
            spreads=((0, 15, 9.0), (15, 45, 5.0), (45, 90, 2.5)),
            no_bids=((0, 15, 0.35),),
        ),
        _day(1.04, 27.71),
        _day(-0.77, 27.85, opens=0.9),
        _day(2.30, 23.79),
        _day(0.47, 20.37),
    ),
)
_CRASH_2025 = Event(
    before=21.5,
    weekday=THURSDAY,
    days=(
        _day(-4.84, 30.02, opens=-3.1, vix_opens=26.5),
        _day(-5.97, 45.31, opens=-2.7, vix_opens=37.0),
        DayShape(
            path=((0, -3.6), (8, -4.7), (40, -2.2), (48, 3.4), (54, -1.0), (120, -2.0), (390, -0.23)),
            vix=((0, 60.1), (40, 48.0), (48, 39.0), (56, 47.0), (405, 46.98)),
            spreads=((0, 30, 3.0), (38, 60, 3.0)),
        ),
        DayShape(path=((0, 2.6), (20, 4.0), (390, -1.57)), vix=((0, 40.0), (20, 37.0), (405, 52.33))),
        DayShape(
            path=((0, -0.3), (220, 0.6), (229, 0.8), (236, 6.6), (260, 7.6), (390, 9.52)),
            vix=((0, 54.0), (229, 50.0), (236, 39.0), (405, 33.62)),
            spreads=((229, 260, 4.0),),
        ),
        _day(-3.46, 40.72, opens=-2.1),
        _day(1.81, 37.56),
        _day(0.79, 30.89, opens=1.5),
    ),
)
_HALT = Event(
    before=27.0,
    weekday=calendar.FRIDAY,
    days=(
        DayShape(
            path=((0, -0.2), (60, -0.35), (120, -0.5), (200, -2.5), (219, -7.0), (235, -7.0), (260, -6.1), (390, -5.2)),
            vix=((0, 27.0), (60, 27.5), (200, 35.0), (219, 47.0), (235, 50.0), (405, 43.0)),
            halts=((220, 235),),
            spreads=((205, 220, 3.0), (235, 265, 4.0)),
        ),
    ),
)
_GAP_UP = Event(
    before=30.0,
    weekday=calendar.FRIDAY,
    days=(
        DayShape(
            path=((0, 5.0), (60, 5.2), (390, 5.6)), vix=((0, 23.5), (60, 23.0), (405, 22.0)), spreads=((0, 20, 2.5),)
        ),
    ),
)
_HALF_DAY = Steady(24.0, friday=DayShape(path=((0, 0.1), (60, 0.2), (90, 0.2)), vix=((60, 24.0),), noise=0.7))

_EVENT_START = CYCLE_ANCHOR

SCENARIOS: Mapping[str, Scenario] = {
    "default": Scenario("13 weeks from quiet to crisis and back", MixedRegimes(), CYCLE_ANCHOR, 60),
    "calm": Scenario(
        "VIX near 11: credits hardly pay the fees", Steady(11.2), CYCLE_ANCHOR, 40, vix_noise=0.6, return_scale=0.85
    ),
    "grind": Scenario(
        "a slow fall day after day, VIX from 22 to 30", Steady(22.0, 30.0, 40, trend=-0.0035), CYCLE_ANCHOR, 40
    ),
    "crash_2010": Scenario("a flash crash after lunch on a Friday", _CRASH_2010, _EVENT_START, 20),
    "crash_2018": Scenario("VIX doubles between 15:00 and 16:15", _CRASH_2018, _EVENT_START, 20),
    "crash_2020": Scenario("limit-down opens, halts, moves of 9 per cent", _CRASH_2020, _EVENT_START, 30),
    "crash_2024": Scenario("VIX opens near 60 on quotes nobody can deal", _CRASH_2024, _EVENT_START, 20),
    "crash_2025": Scenario("two crash days, a false headline, +9.5 per cent", _CRASH_2025, _EVENT_START, 25),
    "half_day": Scenario("a week that ends at 13:00 on Friday", _HALF_DAY, date(2025, 11, 17), 10),
    "halt": Scenario("a 15-minute market-wide halt with positions open", _HALT, _EVENT_START, 15),
    "gap_up": Scenario("an opening gap of +5 per cent", _GAP_UP, _EVENT_START, 15),
}
