"""The circuit breaker: what trips, what one bad mark does not do, and the release that a flat account is sure to
reach.
"""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StateError
from core.market import EquityMark
from core.reasons import Reason
from core.rules import Watch
from core.settings import BreakerSettings, Settings
from core.vocabulary import Disposition, Gate, TradingState
from risk.breaker_state import Condition, Level
from risk.circuit_breaker import CircuitBreaker
from tests.risk.builders import BookKeeper, opening, session, snapshot, vix

SETTINGS = Settings().breaker
WEDNESDAY = date(2025, 9, 10)
THURSDAY = date(2025, 9, 11)
START = 100_000.0


class Account:
    """An account whose marks are given minute by minute, with its breaker and its books."""

    def __init__(
        self, settings: BreakerSettings = SETTINGS, day: date = WEDNESDAY, *, restart_often: bool = False
    ) -> None:
        self.settings = settings
        self.keeper = BookKeeper()
        self.reconciled = True
        self.panic = False
        self.heaviest: str | None = None
        self.restart_often = restart_often
        self.breaker = self._made()
        self.day = day
        self.equity = START
        self.keeper.session_closed(day - timedelta(days=1), START)

    def _made(self) -> CircuitBreaker:
        return CircuitBreaker(
            self.settings, heaviest_short=lambda _step, _books: self.heaviest, reconciled=lambda: self.reconciled
        )

    def mark(self, clock: str, equity: float, *, fresh: bool = True, disputed: bool = False) -> Watch:
        """One step at that time of today, with that mark."""
        if self.restart_often:
            stored = self.breaker.state()
            self.breaker = self._made()
            self.breaker.restore(stored)
        self.equity = equity
        now = datetime.combine(self.day, time.fromisoformat(clock))
        step = snapshot(now, reading=vix(24.0, panic=self.panic), today=session(self.day))
        step = dataclasses.replace(step, equity=EquityMark(equity, fresh=fresh, disputed=disputed))
        return self.breaker.watch(step, self.keeper.books)

    def fall(self, clock: str, equity: float) -> Watch:
        """Two steps with the same mark: seen, and confirmed a minute later."""
        self.mark(clock, equity)
        later = datetime.combine(self.day, time.fromisoformat(clock)) + timedelta(minutes=1)
        return self.mark(f"{later:%H:%M}", equity)

    def next_session(self, day: date | None = None) -> None:
        self.keeper.session_closed(self.day, self.equity)
        if day is None:
            day = self.day + timedelta(days=1 if self.day.weekday() < 4 else 3)
        self.day = day

    def level(self) -> Level:
        return self.breaker.level

    def tripped(self) -> bool:
        return self.breaker.is_tripped

    def recovering(self) -> bool:
        return self.breaker.in_recovery

    def asked(self, clock: str = "11:00") -> Reason:
        now = datetime.combine(self.day, time.fromisoformat(clock))
        return self.breaker.rule(opening(), snapshot(now), self.keeper.books).reason


# ----------------------------------------------------------------------------------------------------------- tripping


def test_a_warning_at_four_fifths_of_a_limit_halves_the_size() -> None:
    account = Account()
    assert account.mark("10:00", 100_000).scale == 1.0
    assert account.mark("10:01", 97_650).scale == 1.0  # 2.35 % from the high
    watch = account.mark("10:02", 97_600)
    assert (watch.scale, watch.causes) == (0.5, ())
    assert [(note.fields["condition"], note.fields["level"]) for note in watch.notes] == [("INTRADAY", "WARN")]
    assert account.mark("10:03", 97_600).notes == ()
    assert account.mark("10:04", 98_000).scale == 1.0


@pytest.mark.parametrize(
    ("days", "equity", "condition"),
    [
        ([], 95_000.0, Condition.DAILY),
        ([97_100.0, 94_200.0, 91_500.0], 90_000.0, Condition.WEEKLY),
        ([97_100.0, 94_200.0, 91_500.0, 88_900.0, 86_300.0], 85_000.0, Condition.MONTHLY),
        ([], 96_950.0, Condition.INTRADAY),
    ],
)
def test_each_limit_trips_at_it(days: list[float], equity: float, condition: Condition) -> None:
    names = {Condition.INTRADAY: "session_high_loss_pct", Condition.WEEKLY: "weekly_loss_pct"}
    others: dict[str, Any] = {name: 50.0 for other, name in names.items() if other is not condition}
    wide = dataclasses.replace(SETTINGS, **others)
    account = Account(wide, day=date(2025, 9, 1) if condition is Condition.MONTHLY else date(2025, 9, 8))
    for closing in days:
        account.mark("11:00", closing)
        assert not account.tripped()
        account.next_session()
    if condition is Condition.INTRADAY:
        account.mark("10:00", 100_000)
    watch = account.fall("12:00", equity)
    assert account.level() is Level.TRIPPED
    assert [(cause.state, cause.reason, cause.gate) for cause in watch.causes] == [
        (TradingState.REDUCING, condition.reason, Gate.BREAKER)
    ]
    assert account.asked() is condition.reason


def test_the_first_crossing_blocks_at_once_and_closes_nothing_until_confirmed() -> None:
    account = Account()
    trade = account.keeper.hold(when=datetime.combine(WEDNESDAY, time(10)))
    account.heaviest = trade.id
    first = account.mark("12:00", 95_000)
    assert (first.causes[0].state, first.exits) == (TradingState.REDUCING, ())
    assert account.asked() is Reason.BREAKER_DAILY
    assert not account.tripped()
    second = account.mark("12:01", 95_000)
    assert account.tripped()
    assert [(demand.trade, demand.reason) for demand in second.exits] == [(trade.id, Reason.EXIT_RISK)]
    # Demanded until it is gone, then no other one.
    assert account.mark("12:02", 95_500).exits == second.exits
    account.keeper.close(trade)
    account.heaviest = "another"
    assert account.mark("12:03", 95_500).exits == ()


def test_fp61_one_wide_quote_latches_nothing() -> None:
    account = Account()
    account.mark("12:00", 92_000)
    watch = account.mark("12:01", 100_000)
    assert (watch.causes, watch.exits, account.level()) == ((), (), Level.OK)
    assert account.asked() is Reason.ALLOWED


def test_fp61_limits_that_cross_together_are_one_trip_that_names_them_all_and_one_scale() -> None:
    account = Account()
    account.mark("10:00", 100_000)
    watch = account.fall("12:00", 94_500)  # day 5.5 %, from the high 5.5 %
    assert len(watch.causes) == 1
    tripped = {note.fields["condition"] for note in watch.notes if note.fields["level"] == "TRIPPED"}
    assert tripped == {"DAILY", "INTRADAY"}
    assert watch.scale == 0.5
    assert account.breaker.state()["trips"] == "1"


def test_a_second_look_in_the_same_minute_confirms_nothing() -> None:
    account = Account()
    account.mark("12:00", 94_000)
    account.mark("12:00", 94_000)
    assert not account.tripped()
    account.mark("12:01", 94_000)
    assert account.tripped()


@pytest.mark.parametrize("bad", [{"fresh": False}, {"disputed": True}])
def test_marks_that_are_not_good_neither_trip_nor_release(bad: dict[str, bool]) -> None:
    account = Account()
    account.mark("11:00", 100_000)
    for minute in range(5):
        watch = account.mark(f"12:0{minute}", 80_000, **bad)
    assert (watch.causes, account.level()) == ((), Level.OK)


def test_fp27_a_tenth_lost_in_a_minute_by_open_trades_trips_in_that_step() -> None:
    account = Account()
    for name in ("friday_0dte", "lt112", "ipmcc"):
        account.keeper.hold(strategy=name, when=datetime.combine(WEDNESDAY, time(10)))
    account.mark("12:00", 100_000)
    watch = account.mark("12:01", 90_000)
    assert watch.causes[0].state is TradingState.REDUCING
    halted = account.mark("12:02", 90_000).causes[0]
    assert (halted.state, halted.disposition) == (TradingState.HALTED, Disposition.FLATTEN)


def test_fp58_open_losses_alone_trip_the_daily_limit() -> None:
    account = Account()
    account.keeper.hold(when=datetime.combine(WEDNESDAY, time(10)))
    account.fall("12:00", 95_000)
    assert account.keeper.books.closed_trades("friday_0dte") == ()
    assert account.asked() is Reason.BREAKER_DAILY


def test_cb3_seven_and_a_half_percent_in_a_day_flattens_and_stays() -> None:
    account = Account()
    account.mark("10:00", 100_000)
    watch = account.fall("12:00", 92_500)
    assert [(cause.state, cause.disposition) for cause in watch.causes] == [(TradingState.HALTED, Disposition.FLATTEN)]
    for _ in range(60):
        account.next_session()
        watch = account.fall("10:00", 92_500)
        assert watch.causes[0].state is TradingState.HALTED


def test_the_limit_from_the_session_high_never_flattens() -> None:
    account = Account()
    account.mark("10:00", 103_000)
    account.fall("12:00", 98_000)  # 4.9 % from the high: 1.6 times its limit, but only 2 % on the day
    assert account.level() is Level.TRIPPED


def test_a_trip_that_goes_on_falling_ends_at_one_and_a_half() -> None:
    account = Account()
    account.fall("12:00", 95_000)
    account.mark("13:00", 92_500)
    assert account.level() is Level.TRIPPED
    account.mark("13:01", 92_500)
    assert account.level() is Level.HALTED


# ------------------------------------------------------------------------------------------------------------ release


def test_cb1_flat_on_wednesday_13_20_is_in_recovery_on_thursday_13_20() -> None:
    account = Account()
    account.mark("10:00", 100_000)
    account.fall("12:00", 96_900)  # -3.1 % from the high
    account.mark("13:20", 94_400)  # flat at -5.6 %
    account.mark("15:59", 94_400)
    account.next_session()
    account.mark("13:19", 94_400)
    assert account.tripped()
    watch = account.mark("13:20", 94_400)
    assert not account.tripped()
    assert account.recovering()
    assert (watch.scale, watch.causes) == (0.5, ())
    assert account.breaker.phase_cap == 1


def test_cb2_a_weekly_trip_on_tuesday_releases_on_monday_past_the_opening() -> None:
    account = Account(day=date(2025, 9, 8))
    account.mark("15:00", 96_000)
    account.next_session()
    account.mark("10:00", 92_200)
    account.fall("12:00", 89_800)  # -10.2 % on the week, -6.5 % on the day
    for _ in range(3):
        account.next_session()
        account.fall("15:00", 89_800)
        assert account.tripped()
    account.next_session()
    assert account.day == date(2025, 9, 15)
    account.mark("09:34", 89_800)
    assert account.tripped()
    account.mark("09:35", 89_800)
    assert account.recovering()


@pytest.mark.parametrize("obstacle", ["reconciled", "panic"])
def test_a_release_waits_for_reconciled_books_and_the_end_of_a_panic(obstacle: str) -> None:
    account = Account()
    account.fall("12:00", 95_000)
    account.next_session()
    if obstacle == "reconciled":
        account.reconciled = False
    else:
        account.panic = True
    account.mark("14:00", 95_000)
    assert account.tripped()
    account.reconciled, account.panic = True, False
    account.mark("14:01", 95_000)
    assert account.recovering()


def test_a_material_low_starts_the_wait_again_and_a_small_one_does_not() -> None:
    account = Account()
    account.fall("12:00", 95_000)
    account.mark("14:00", 94_800)  # 0.21 % lower: not material
    account.mark("15:00", 94_700)  # 0.32 % below the trip
    account.next_session()
    account.mark("14:59", 94_700)
    assert account.tripped()
    account.mark("15:00", 94_700)
    assert account.recovering()


def test_recovery_ends_with_the_gain_or_after_twenty_sessions_without_a_warning() -> None:
    account = released()
    assert account.mark("14:00", 96_899).scale == 0.5
    assert account.mark("14:01", 96_900).scale == 1.0  # 95,000 x 1.02
    patient = released()
    for session_count in range(1, 21):
        assert patient.recovering(), session_count
        patient.next_session()
        patient.mark("10:00", 95_000)
    assert not patient.recovering()


def test_a_warning_starts_the_twenty_sessions_again() -> None:
    account = released()
    for _ in range(10):
        account.next_session()
        account.mark("10:00", 95_000)
    account.mark("11:00", 92_600)
    account.mark("12:00", 95_000)
    for _ in range(20):
        account.next_session()
        account.mark("10:00", 95_000)
    assert account.recovering()
    account.next_session()
    account.mark("10:00", 95_000)
    assert not account.recovering()


def released() -> Account:
    """An account that fell to 95,000 on Wednesday and was released on Thursday at 12:01."""
    account = Account()
    account.fall("12:00", 95_000)
    account.next_session()
    account.mark("12:01", 95_000)
    assert account.recovering()
    return account


def test_fp62_recovery_admits_one_open_new_trade_and_all_see_one_state() -> None:
    account = released()
    assert account.asked("12:30") is Reason.ALLOWED
    old = account.keeper.hold(when=datetime.combine(WEDNESDAY, time(10)), strategy="lt112")
    assert account.asked("12:30") is Reason.ALLOWED  # opened before the trip: not new
    new = account.keeper.hold(when=datetime.combine(THURSDAY, time(12, 40)))
    assert account.asked("12:45") is Reason.BREAKER_RECOVERY
    account.keeper.close(new, when=datetime.combine(THURSDAY, time(13)))
    account.keeper.close(old, when=datetime.combine(THURSDAY, time(13)))
    assert account.asked("13:05") is Reason.ALLOWED
    waiting = account.keeper.plan(when=datetime.combine(THURSDAY, time(13, 10)))
    assert account.asked("13:11") is Reason.BREAKER_RECOVERY, waiting.id


def test_a_halt_needs_the_operators_word_and_then_the_conditions_of_a_release() -> None:
    account = Account()
    account.fall("12:00", 92_000)
    account.breaker.resume()
    account.mark("13:00", 92_000)
    assert account.level() is Level.HALTED  # not yet a later session
    account.next_session()
    account.mark("12:00", 92_000)
    assert account.level() is Level.HALTED  # 24 hours are not over
    account.mark("12:01", 92_000)
    assert account.recovering()


def test_in_a_backtest_the_word_is_a_date() -> None:
    account = Account(dataclasses.replace(SETTINGS, resume_dates=(date(2025, 9, 17),)))
    account.fall("12:00", 92_000)
    while account.day < date(2025, 9, 16):
        account.next_session()
        account.mark("15:00", 92_000)
    assert account.level() is Level.HALTED
    account.next_session()
    account.mark("09:35", 92_000)
    assert account.recovering()


def test_a_third_trip_within_twenty_sessions_needs_the_word() -> None:
    account = Account(dataclasses.replace(SETTINGS, weekly_loss_pct=50.0, monthly_loss_pct=50.0))
    equity = START
    for trip in (1, 2, 3):
        equity *= 0.945
        account.fall("12:00", equity)
        assert account.level() is Level.TRIPPED, trip
        for _ in range(3):
            account.next_session()
            account.mark("14:00", equity)
    assert account.tripped()
    account.breaker.resume()
    account.mark("14:01", equity)
    assert account.recovering()


def test_resume_before_any_trip_grants_nothing_in_advance() -> None:
    account = Account()
    account.breaker.resume()
    account.fall("12:00", 92_000)
    account.next_session()
    account.mark("14:00", 92_000)
    assert account.level() is Level.HALTED


# --------------------------------------------------------------------------------------------------------- properties


@given(loss=st.floats(0.0505, 0.0745), day=st.integers(1, 28), hour=st.integers(10, 15))
def test_cb_p1_flat_at_constant_equity_a_trip_releases_within_a_month_and_a_day(
    loss: float, day: int, hour: int
) -> None:
    start = date(2025, 9, day)
    account = Account(day=start + timedelta(days=(7 - start.weekday()) % 7 if start.weekday() > 4 else 0))
    tripped_on, equity = account.day, START * (1 - loss)
    account.fall(f"{hour}:00", equity)
    assert account.level() is Level.TRIPPED
    while account.tripped():
        account.next_session()
        for clock in ("09:30", "09:35", "12:00", "15:59"):
            account.mark(clock, equity)
        assert account.day - tripped_on <= timedelta(days=32)


@given(
    path=st.lists(st.floats(-0.004, 0.004), min_size=5, max_size=60),
    flows=st.dictionaries(st.integers(0, 59), st.floats(-40_000, 400_000), max_size=3),
)
def test_cb_p2_flows_neither_trip_nor_release(path: list[float], flows: dict[int, float]) -> None:
    plain, flowing = Account(), Account()
    profit = moved = 0.0
    for step, change in enumerate(path):
        profit += change * 1_000
        if step in flows:
            flowing.keeper.flow(flows[step])
            moved += flows[step]
        clock = f"{10 + step // 60}:{step % 60:02d}"
        plain.mark(clock, START + profit)
        flowing.mark(clock, START + profit + moved)
    # Within 0.3 % no limit is near: whatever flows, neither account may see a loss.
    assert plain.level() is flowing.level() is Level.OK
    assert flowing.mark("15:00", START + profit + moved).causes == ()


@pytest.mark.parametrize("flow", [-30_000.0, 300_000.0])
def test_cb_p2_a_flow_in_a_session_moves_its_baselines_at_once(flow: float) -> None:
    account = Account()
    account.mark("10:00", START)
    account.keeper.flow(flow)
    account.fall("10:01", START + flow)
    assert account.level() is Level.OK
    account.fall("11:00", (START + flow) * 0.94)
    assert account.tripped()


@pytest.mark.parametrize("flow", [-30_000.0, 300_000.0])
def test_cb_p2_a_flow_after_the_trip_does_not_release(flow: float) -> None:
    account = Account()
    account.fall("12:00", 95_000)
    account.keeper.flow(flow)
    account.mark("12:05", 95_000 + flow)
    account.next_session()
    account.mark("11:00", 95_000 + flow)
    assert account.tripped()
    account.mark("12:01", 95_000 + flow)
    assert account.recovering()


PATHS = st.lists(
    st.lists(st.sampled_from([-0.06, -0.03, -0.012, -0.002, 0.0, 0.002, 0.01]), min_size=1, max_size=6),
    min_size=1,
    max_size=8,
)


def walk(account: Account, path: list[list[float]]) -> list[tuple[object, ...]]:
    """Walk an account through sessions of changes and return what could be seen of the breaker in every step."""
    seen: list[tuple[object, ...]] = []
    equity = START
    for changes in path:
        for place, change in enumerate(changes):
            equity *= 1 + change
            watch = account.mark(f"{10 + place}:00", equity)
            seen.append(
                (account.level(), watch.causes, watch.scale, account.asked(), account.recovering(), watch.notes)
            )
        account.next_session()
    return seen


@given(path=PATHS)
def test_cb_p3_no_new_risk_between_trip_and_release(path: list[list[float]]) -> None:
    for level, causes, _scale, asked, _recovery, _notes in walk(Account(), path):
        if level is not Level.OK:
            assert causes
            assert asked is not Reason.ALLOWED
        if not causes:
            assert level is Level.OK


@given(path=PATHS)
def test_cb_p4_same_marks_with_any_restarts_give_the_same_state(path: list[list[float]]) -> None:
    steady, restarted = Account(), Account(restart_often=True)
    assert walk(steady, path) == walk(restarted, path)
    assert steady.breaker.state() == restarted.breaker.state()


@given(
    minutes=st.lists(
        st.tuples(
            st.sampled_from([100_000.0, 100_500.0, 99_000.0, 97_601.0, 97_600.1, 97_600.0, 97_599.0, 96_000.0]),
            st.sampled_from([0.0, 0.0, 0.0, 0.0, 1_000.0, -40_000.0]),
            st.sampled_from(["", "", "", "unknown", "night"]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_mark_that_is_not_judged_anew_would_have_changed_nothing(
    minutes: list[tuple[float, float, str]],
) -> None:
    """One breaker forgets in every step what room the last mark has left, and judges each as the first one."""
    quick, slow, flowed = Account(), Account(restart_often=True), 0.0
    for minute, (equity, flow, event) in enumerate(minutes):
        flowed += flow
        clock = f"{10 + minute // 60}:{minute % 60:02}"
        watches = []
        for account in (quick, slow):
            if flow:
                account.keeper.flow(flow)
            if event == "night":
                account.next_session()
            watches.append(account.mark(clock, equity + flowed, fresh=event != "unknown"))
        assert watches[0] == watches[1]
        assert quick.breaker.state() == slow.breaker.state()


def test_a_new_high_does_not_forget_the_limit_of_the_week() -> None:
    account = Account(day=date(2025, 9, 8))
    for close in (97_100.0, 94_200.0, 92_700.0):
        account.mark("10:00", close)
        account.next_session()
    for minute, equity in enumerate((92_600.0, 93_000.0, 93_500.0)):
        assert account.mark(f"10:0{minute}", equity).scale == 1.0
    watch = account.mark("10:03", 91_950.0)  # 1.7 % below the high
    assert [(note.fields["condition"], note.fields["level"]) for note in watch.notes] == [("WEEKLY", "WARN")]


def test_fp26_the_state_is_typed_complete_and_comes_back_equal() -> None:
    account = released()
    stored = account.breaker.state()
    assert all(type(value) in (str, int) for value in stored.values())
    again = CircuitBreaker(SETTINGS, heaviest_short=lambda _step, _books: None, reconciled=lambda: True)
    again.restore(stored)
    assert again.state() == stored


def test_a_breaker_that_takes_a_state_over_judges_the_next_mark_by_it() -> None:
    """What it has seen before says nothing: a mark that was far from every limit may be below one of the other's."""
    account = Account()
    account.mark("10:00", START)
    before = account.breaker.state()
    account.mark("10:01", START * 1.05)
    account.breaker.restore(before)
    account.mark("10:02", START * 1.04)
    account.fall("10:03", START * 1.04 * 0.98)
    assert account.breaker.state()["high_u6"] == round(START * 1.04 * 1e6)


@pytest.mark.parametrize(
    ("stored", "named"),
    [
        ({"level": "PANIC"}, "level = 'PANIC'"),
        ({"trip_u6": 1.5}, "trip_u6 = 1.5"),
        ({"low_at": "yesterday"}, "low_at = 'yesterday'"),
        ({"needs_resume": 2}, "needs_resume = 2"),
        ({"released": "x"}, "released = 'x'"),
        ({"condition": 3}, "condition = 3"),
    ],
)
def test_a_state_that_cannot_be_is_refused_with_its_field(stored: dict[str, object], named: str) -> None:
    with pytest.raises(StateError) as refused:
        Account().breaker.restore(stored)
    assert named in str(refused.value)


def test_the_first_session_measures_from_its_first_mark() -> None:
    account = Account()
    account.keeper = BookKeeper()  # no closing mark at all
    account.mark("10:00", 50_000)
    notes = account.fall("12:00", 47_500).notes
    assert account.level() is Level.TRIPPED
    assert {"DAILY": 1_000_000}.items() <= {note.fields["condition"]: note.fields["ratio_e6"] for note in notes}.items()
