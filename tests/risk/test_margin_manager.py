"""Margin: the buffer, available buying power, the ladder, and the gate that asks what a jump would leave."""

from __future__ import annotations

import dataclasses
import math
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books import Books
from core.market import MarketSnapshot, VixReading
from core.ports import Account
from core.reasons import Reason
from core.settings import MarginSettings, Mode, Settings
from core.vocabulary import RiskBasis, UnitRisk
from risk.book_stress import BookStress
from risk.event_calendar import EventCalendar
from risk.margin_manager import MarginLevel, MarginManager
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from tests.risk.builders import (
    STRATEGY,
    UNKNOWN_VIX,
    BookKeeper,
    at,
    condor,
    opening,
    put,
    put_spread,
    session,
    shares,
    snapshot,
    unit_risk,
    vix,
)

SETTINGS = Settings()
QUIET = date(2025, 9, 26)  # no release, no OpEx week
LATER = date(2025, 10, 24)


def made(
    settings: MarginSettings = SETTINGS.margin, *, mode: Mode = Mode.BACKTEST, bp_ceiling_pct: float | None = 80.0
) -> MarginManager:
    pricer = StepPricer(SETTINGS.greeks)
    return MarginManager(
        settings,
        BookStress(settings, StressTester(SETTINGS.stress, pricer), pricer),
        EventCalendar(SETTINGS.events, settings),
        mode=mode,
        bp_ceiling_pct=lambda: bp_ceiling_pct,
        priorities={STRATEGY: 1, "lt112": 2, "ipmcc": 3},
    )


def now(hour: int = 12, minute: int = 0, day: date = QUIET) -> datetime:
    return at(hour, minute, day)


def quiet(*, equity_usd: float | None = 100_000.0, reading: VixReading | None = None, **more: object) -> MarketSnapshot:
    """Noon of a day without events (the clock factor is 1.0)."""
    return snapshot(now(), equity_usd=equity_usd, reading=vix(15.0) if reading is None else reading, **more)  # type: ignore[arg-type]


def used(usd: float, *, strategy: str = STRATEGY) -> Books:
    """Books with working openings of that own margin: reserved counts like used, and needs no marks."""
    keeper = BookKeeper()
    keeper.plan(put_spread(expiry=QUIET), strategy=strategy, risk_usd=1.0, margin_usd=usd, when=now(11))
    return keeper.books


def held(width_points: float, *, credit: float = 0.0) -> tuple[Books, dict[str, float]]:
    """Books with a held spread of that width and its marks; own margin is 100 x width."""
    keeper = BookKeeper()
    structure = put_spread(5_300, width_points, QUIET)
    keeper.hold(structure, credit=credit, when=now(11))
    return keeper.books, {structure.longs[0].symbol: 1.0, structure.shorts[0].symbol: 1.0 + credit}


def available(manager: MarginManager, step: MarketSnapshot, books: Books) -> float:
    return manager.state(step, manager.usage(step, books)).available_usd


# --------------------------------------------------------------------------------------------------------- the buffer


@pytest.mark.parametrize(
    ("time", "buffer"),
    [
        (now(9, 29), 0.35 * 1.5),
        (now(9, 30), 0.35 * 1.3),
        (now(10, 30), 0.35 * 1.1),
        (now(11, 30), 0.35),
        (now(14, 0), 0.35 * 1.1),
        (now(15, 30), 0.35 * 1.4),
        (now(16, 0), 0.35 * 1.2),
    ],
)
def test_the_buffer_follows_the_clock(time: datetime, buffer: float) -> None:
    assert made().buffer(snapshot(time, reading=vix(24.0))) == pytest.approx(buffer)


def test_the_clock_follows_an_early_close() -> None:
    day = date(2025, 11, 28)
    half = session(day, close=datetime(2025, 11, 28, 13).time())
    assert made().buffer(snapshot(at(12, 30, day), reading=vix(24.0), today=half)) == pytest.approx(0.35 * 1.4)


def test_the_buffer_adds_the_calendar_and_stays_between_its_ends() -> None:
    assert made().buffer(snapshot(at(12, 0, date(2025, 9, 17)), reading=vix(24.0))) == pytest.approx(0.35 + 0.15)
    assert made().buffer(quiet()) == 0.20
    raised = dataclasses.replace(SETTINGS.margin, operator_buffer=0.6)
    assert made(raised).buffer(quiet()) == 0.6
    lowered = dataclasses.replace(SETTINGS.margin, operator_buffer=0.1)
    assert made(lowered).buffer(quiet()) == 0.20


def test_fp28_vix_45_ten_minutes_to_the_close_of_an_fomc_day_leaves_nothing_and_closes_nothing() -> None:
    step = snapshot(at(15, 50, date(2025, 9, 17)), reading=vix(45.0))
    manager, books = made(), used(10_000)
    state = manager.state(step, manager.usage(step, books))
    assert state.buffer == 1.0
    assert state.available_usd == 0.0
    watch = manager.watch(step, books)
    assert (watch.exits, watch.causes) == ((), ())


def test_fp28_without_vix_the_buffer_is_everything() -> None:
    step = quiet(reading=UNKNOWN_VIX)
    assert made().buffer(step) == 1.0
    assert available(made(), step, BookKeeper().books) == 0.0


# ---------------------------------------------------------------------------------------------------------- available


def test_available_is_the_ceiling_less_what_is_held_and_what_still_works() -> None:
    assert available(made(), quiet(), BookKeeper().books) == pytest.approx(80_000)
    assert available(made(), quiet(), used(10_000)) == pytest.approx(70_000)
    books, marks = held(100)
    assert available(made(), quiet(marks=marks), books) == pytest.approx(70_000)


def test_the_engines_margin_counts_in_live_and_paper_only() -> None:
    account = Account(0, 0, 100_000.0, margin_used_usd=50_000.0, margin_remaining_usd=20_000.0)
    step = quiet(account=account)
    assert available(made(), step, BookKeeper().books) == pytest.approx(80_000)
    for mode in (Mode.PAPER, Mode.LIVE):
        assert available(made(mode=mode), step, BookKeeper().books) == pytest.approx(0.8 * 20_000)
    silent = quiet(account=Account(0, 0, 100_000.0))
    assert available(made(mode=Mode.LIVE), silent, BookKeeper().books) == 0.0


@given(
    value=st.sampled_from([10.0, 19.0, 24.0, 33.0, 45.0]),
    reserved=st.floats(0, 200_000),
    more=st.floats(0, 50_000),
    equity=st.floats(1_000, 1_000_000),
)
def test_mm_p1_available_lies_in_0_to_80_percent_and_never_rises_with_vix_used_or_reserved(
    value: float, reserved: float, more: float, equity: float
) -> None:
    manager, step = made(), quiet(equity_usd=equity, reading=vix(value))
    here = available(manager, step, used(reserved))
    assert 0.0 <= here <= 0.8 * equity + 1e-6
    assert available(manager, step, used(reserved + more)) <= here
    assert available(manager, quiet(equity_usd=equity, reading=vix(value + 10)), used(reserved)) <= here + 1e-6


@given(width=st.integers(1, 60), wider=st.integers(0, 40))
def test_mm_p1_available_never_rises_with_what_is_held(width: int, wider: int) -> None:
    here, more = (held(5.0 * size) for size in (width, width + wider))
    assert available(made(), quiet(marks=more[1]), more[0]) <= available(made(), quiet(marks=here[1]), here[0])


def test_fp31_negative_buying_power_is_zero_with_a_reason() -> None:
    manager, books = made(), used(95_000)
    assert available(manager, quiet(), books) == 0.0
    verdict = manager.rule(opening(condor(expiry=QUIET)), quiet(), books)
    assert verdict.reason is Reason.MARGIN_CEILING
    assert verdict.detail["available_usd"] == 0.0


def test_fp31_of_two_orders_that_fit_only_singly_the_second_is_refused() -> None:
    manager, keeper = made(), BookKeeper()
    wanted = opening(condor(expiry=QUIET), risk=unit_risk(margin_usd=50_000.0, t_loss_usd=500.0))
    assert manager.rule(wanted, quiet(), keeper.books).allowed
    keeper.plan(condor(expiry=QUIET), risk_usd=500.0, margin_usd=50_000.0, when=now(11, 59))
    assert manager.rule(wanted, quiet(), keeper.books).reason is Reason.MARGIN_CEILING


# --------------------------------------------------------------------------------------------------------- the ladder


@pytest.mark.parametrize(
    ("width_points", "level", "scale", "first", "third"),
    [
        (590, MarginLevel.NORMAL, 1.0, Reason.ALLOWED, Reason.ALLOWED),
        (600, MarginLevel.WATCH, 1.0, Reason.ALLOWED, Reason.ALLOWED),
        (700, MarginLevel.RESTRICT, 0.5, Reason.ALLOWED, Reason.MARGIN_RESTRICTED),
        (800, MarginLevel.BLOCK, 0.5, Reason.MARGIN_BLOCKED, Reason.MARGIN_BLOCKED),
        (610, MarginLevel.WATCH, 1.0, Reason.ALLOWED, Reason.ALLOWED),
        (710, MarginLevel.RESTRICT, 0.5, Reason.ALLOWED, Reason.MARGIN_RESTRICTED),
        (810, MarginLevel.BLOCK, 0.5, Reason.MARGIN_BLOCKED, Reason.MARGIN_BLOCKED),
    ],
)
def test_fp29_each_rung_is_recorded_and_does_what_it_says(
    width_points: float, level: MarginLevel, scale: float, first: Reason, third: Reason
) -> None:
    # A credit as wide as the spread leaves nothing to lose: the ladder alone is in play.
    books, marks = held(width_points, credit=width_points)
    step, manager = quiet(marks=marks), made(bp_ceiling_pct=100.0)
    state = manager.state(step, manager.usage(step, books))
    assert state.level is level
    assert state.used_fraction == pytest.approx(width_points / 1_000)
    watch = manager.watch(step, books)
    assert watch.scale == scale
    assert [note.fields["to"] for note in watch.notes] == ([] if level is MarginLevel.NORMAL else [level.name])
    assert manager.watch(step, books).notes == ()
    assert watch.exits == ()
    one = unit_risk(margin_usd=500.0, max_loss_usd=100.0, t_loss_usd=100.0)
    assert manager.rule(opening(condor(expiry=QUIET), risk=one), step, books).reason is first
    assert manager.rule(opening(condor(expiry=QUIET), risk=one, strategy="lt112"), step, books).reason is first
    assert manager.rule(opening(condor(expiry=QUIET), risk=one, strategy="ipmcc"), step, books).reason is third


def test_fp59_a_jump_of_vix_tightens_everything_in_the_same_step_and_sells_nothing() -> None:
    books, marks = held(650, credit=650)
    manager = made(bp_ceiling_pct=100.0)
    before, after = quiet(marks=marks, reading=vix(19.0)), quiet(marks=marks, reading=vix(31.0))
    assert manager.state(before, manager.usage(before, books)).level is MarginLevel.WATCH
    state = manager.state(after, manager.usage(after, books))
    assert (state.level, state.ceiling, state.available_usd) == (MarginLevel.BLOCK, 0.5, 0.0)
    assert manager.watch(after, books).exits == ()
    assert manager.rule(opening(condor(expiry=QUIET)), after, books).reason is Reason.MARGIN_BLOCKED


# ----------------------------------------------------------------------------------------------------------- the gate


def test_the_option_books_stay_below_the_ceiling_of_the_account_phase() -> None:
    manager = made(bp_ceiling_pct=30.0)
    wanted = opening(condor(expiry=QUIET), risk=unit_risk(margin_usd=1_000.0))
    assert manager.rule(wanted, quiet(), used(29_000)).allowed
    refused = manager.rule(wanted, quiet(), used(29_001))
    assert (refused.reason, refused.detail["bp_ceiling_pct"]) == (Reason.MARGIN_CEILING, 30.0)
    # The rotation book's shares are no option margin.
    keeper = BookKeeper()
    keeper.plan(shares(), risk_usd=0.0, margin_usd=29_500.0, strategy="etf_rotation", when=now(11))
    assert manager.rule(wanted, quiet(), keeper.books).allowed
    assert made(bp_ceiling_pct=None).rule(wanted, quiet(), used(0)).reason is Reason.MARGIN_CEILING


def test_an_opening_that_a_jump_would_leave_without_margin_is_refused() -> None:
    # Equity 10,000; a unit that loses 5,000 in the shock and then needs 5,000 fits exactly.
    fits = opening(risk=unit_risk(margin_usd=5_000.0, t_loss_usd=5_000.0, max_loss_usd=5_000.0))
    above = opening(risk=unit_risk(margin_usd=5_000.0, t_loss_usd=5_000.01, max_loss_usd=5_000.01))
    manager, small = made(), quiet(equity_usd=10_000.0)
    assert manager.rule(fits, small, BookKeeper().books).allowed
    assert manager.rule(above, small, BookKeeper().books).reason is Reason.MARGIN_STRESS


def test_the_crash_loss_of_all_books_stays_below_a_fifth_of_equity() -> None:
    manager = made()
    for loss, reason in ((20_000.0, Reason.ALLOWED), (20_001.0, Reason.MARGIN_STRESS)):
        one = unit_risk(t_loss_usd=1_000.0, c_loss_usd=loss, max_loss_usd=loss)
        assert manager.rule(opening(risk=one), quiet(), BookKeeper().books).reason is reason


def test_books_whose_crash_costs_more_than_their_share_admit_not_even_a_trade_of_today() -> None:
    keeper = BookKeeper()
    keeper.plan(condor(expiry=LATER), risk_usd=20_001.0, margin_usd=1_000.0, when=now(11))
    one = unit_risk(margin_usd=500.0, t_loss_usd=100.0, c_loss_usd=None)
    assert made().rule(opening(condor(expiry=QUIET), risk=one), quiet(), keeper.books).reason is Reason.MARGIN_STRESS


def test_fp60_three_trades_each_allowed_and_together_above_stress() -> None:
    manager, keeper = made(bp_ceiling_pct=100.0), BookKeeper()
    small = quiet(equity_usd=30_000.0)
    one = unit_risk(max_loss_usd=6_000.0, t_loss_usd=6_000.0, margin_usd=6_000.0)
    answers = []
    for name in ("friday_0dte", "lt112", "ipmcc"):
        answers.append(manager.rule(opening(condor(expiry=QUIET), risk=one, strategy=name), small, keeper.books).reason)
        keeper.plan(condor(expiry=QUIET), strategy=name, risk_usd=6_000.0, margin_usd=6_000.0, when=now(11, 50))
    # 30,000 less 6,000 and 12,000 of loss leaves the margin of one and of two; less 18,000 does not leave that of
    # three.
    assert answers == [Reason.ALLOWED, Reason.ALLOWED, Reason.MARGIN_STRESS]


def test_fp25_without_a_calendar_every_day_may_hold_an_event() -> None:
    pricer = StepPricer(SETTINGS.greeks)
    stress = BookStress(SETTINGS.margin, StressTester(SETTINGS.stress, pricer), pricer)
    blind = MarginManager(
        SETTINGS.margin, stress, None, mode=Mode.BACKTEST, bp_ceiling_pct=lambda: 80.0, priorities={STRATEGY: 1}
    )
    assert blind.buffer(quiet(reading=vix(24.0))) == pytest.approx(0.35 + 0.15)


@pytest.mark.parametrize("equity", [None, 0.0, -5_000.0, math.nan, math.inf])
def test_without_equity_nothing_is_opened_and_nothing_sized(equity: float | None) -> None:
    manager, step = made(), quiet(equity_usd=equity)
    assert not manager.rule(opening(), step, BookKeeper().books).allowed
    assert [bound.units for bound in manager.bounds(opening(), step, BookKeeper().books, 1.0)] == [0.0, 0.0]


def test_a_naked_short_without_a_price_blocks_openings() -> None:
    keeper = BookKeeper()
    trade = keeper.plan(put_spread(5_300, 10, QUIET), when=now(11))
    keeper.fill(trade, {put(5_300, QUIET).symbol: 2.0}, when=now(11, 1))
    step, manager = quiet(), made()
    assert manager.usage(step, keeper.books).unknown == (trade.id,)
    assert not manager.rule(opening(), step, keeper.books).allowed


# --------------------------------------------------------------------------------------------------------- the bounds


def test_bounds_are_a_share_of_buying_power_and_the_room_of_the_shocks() -> None:
    one = unit_risk(margin_usd=1_000.0, max_loss_usd=760.0, t_loss_usd=760.0)
    margin, stress = made().bounds(opening(risk=one), quiet(), BookKeeper().books, 0.75)
    assert (margin.name, margin.reason) == ("MARGIN", Reason.SIZE_ZERO_MARGIN)
    assert margin.units == pytest.approx(0.30 * 80_000 * 0.75 / 1_000)
    assert (stress.name, stress.reason) == ("STRESS", Reason.SIZE_ZERO_STRESS)
    assert stress.units == pytest.approx(100_000 / 1_760)


def test_an_unknown_shock_loss_leaves_no_room() -> None:
    unknown = unit_risk(t_loss_usd=None)
    _, stress = made().bounds(opening(risk=unknown), quiet(), BookKeeper().books, 1.0)
    assert stress.units == 0.0


@given(
    t_loss=st.floats(1, 5_000),
    c_loss=st.one_of(st.none(), st.floats(0, 8_000)),
    margin=st.floats(1, 5_000),
    reserved=st.floats(0, 50_000),
    risked=st.floats(0, 20_000),
    equity=st.floats(5_000, 200_000),
)
def test_mm_p2_after_approval_the_worst_shock_leaves_margin_covered(
    t_loss: float, c_loss: float | None, margin: float, reserved: float, risked: float, equity: float
) -> None:
    keeper = BookKeeper()
    keeper.plan(condor(expiry=QUIET), risk_usd=risked, margin_usd=reserved, when=now(11))
    risk = unit_risk(margin_usd=margin, t_loss_usd=t_loss, c_loss_usd=c_loss, max_loss_usd=t_loss)
    manager, step = made(bp_ceiling_pct=100.0), quiet(equity_usd=equity)
    intent = opening(condor(expiry=QUIET), risk=risk)
    units = int(min(bound.units for bound in manager.bounds(intent, step, keeper.books, 1.0)) + 1e-9)
    allowed = manager.rule(intent, step, keeper.books).allowed
    if not allowed or units == 0:
        return
    excess = equity - risked - units * t_loss - (reserved + units * margin)
    assert excess >= -1e-6 * equity
    crash = units * (c_loss or 0.0)
    assert crash <= 0.20 * equity + 1e-6 * equity


def test_family_openings_need_no_place_below_the_option_ceiling() -> None:
    family = UnitRisk(RiskBasis.FAMILY, margin_usd=400.0, stressed_margin_usd=400.0, t_loss_usd=24.0)
    books = used(30_000)
    assert made(bp_ceiling_pct=30.0).rule(opening(shares(), risk=family), quiet(), books).allowed
