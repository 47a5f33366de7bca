"""Account phases: one table by equity, hysteresis at 95 %, trades counted and not legs."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StateError
from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import RiskBasis
from risk.account_phases import AccountPhases, phase_table
from tests.risk.builders import FRIDAY, BookKeeper, at, condor, heard, opening, shares, snapshot, unit_risk

SETTINGS = Settings().phases


def made(*, tripped: bool = False, cap: int | None = None, rate: float | None = 1.0) -> AccountPhases:
    return AccountPhases(
        SETTINGS, is_tripped=lambda: tripped, phase_cap=lambda: cap, dollars_per_unit=lambda _day: rate
    )


class Days:
    """Sessions in a row: each opens on the closing mark of the one before."""

    def __init__(self, phases: AccountPhases) -> None:
        self.phases = phases
        self.keeper = BookKeeper()
        self.day = FRIDAY

    def next(self, equity: float) -> int | None:
        """Close today at that equity, open the next session, and return the phase."""
        self.keeper.session_closed(self.day, equity)
        self.day += timedelta(days=1)
        self.open(equity)
        return self.phases.phase

    def open(self, equity: float | None) -> None:
        now = datetime(self.day.year, self.day.month, self.day.day, 9)
        self.phases.watch(snapshot(now, equity_usd=equity), self.keeper.books)


def phase_after(*equities: float, phases: AccountPhases | None = None) -> int | None:
    days = Days(made() if phases is None else phases)
    days.open(equities[0])
    for equity in equities[1:]:
        days.next(equity)
    return days.phases.phase


def test_ph1_50900_then_48300_stays_2_and_48200_is_1() -> None:
    assert phase_after(50_900) == 2
    assert phase_after(50_900, 48_300) == 2
    assert phase_after(50_900, 48_200) == 1


@pytest.mark.parametrize(("boundary", "upper"), [(38_100, 1), (50_800, 2), (76_200, 3), (95_250, 4)])
def test_fp32_every_boundary_is_crossed_upwards_at_it_and_downwards_at_95_percent_of_it(
    boundary: float, upper: int
) -> None:
    assert phase_after(boundary - 0.01) == upper - 1
    assert phase_after(boundary - 0.01, boundary) == upper
    assert phase_after(boundary, 0.95 * boundary) == upper
    assert phase_after(boundary, 0.95 * boundary - 0.01) == upper - 1


def test_fp32_an_account_in_pounds_is_converted_and_without_a_rate_stays() -> None:
    assert phase_after(45_000, phases=made(rate=1.27)) == 2  # 57,150 dollars
    rate: list[float | None] = [1.27, 1.27, None]
    phases = AccountPhases(
        SETTINGS,
        is_tripped=lambda: False,
        phase_cap=lambda: None,
        dollars_per_unit=lambda day: rate[(day - FRIDAY).days],
    )
    days = Days(phases)
    days.open(45_000)
    assert days.next(62_000) == 3
    assert days.next(20_000) == 3  # no rate today


def test_fp32_without_any_rate_yet_the_lowest_phase_holds_until_there_is_one() -> None:
    rate: list[float | None] = [None]
    phases = AccountPhases(
        SETTINGS, is_tripped=lambda: False, phase_cap=lambda: None, dollars_per_unit=lambda _day: rate[0]
    )
    days = Days(phases)
    days.open(100_000)
    assert phases.phase == 0
    rate[0] = 1.0
    days.open(100_000)
    assert phases.phase == 4


def test_no_promotion_while_tripped_or_ten_percent_below_the_peak() -> None:
    assert phase_after(50_000, 51_000, phases=made(tripped=True)) == 1
    # From 60,000 to 45,000 it is a quarter below the peak; 54,000 still is a tenth below it, one cent more is not.
    assert phase_after(60_000, 45_000, 54_000) == 1
    assert phase_after(60_000, 45_000, 54_000.01) == 2


def test_deposits_are_no_recovery_and_no_drawdown() -> None:
    days = Days(made())
    days.open(60_000)
    assert days.next(45_000) == 1
    days.keeper.flow(20_000)
    assert days.next(65_000) == 1  # still 19 % below a peak of 80,000
    days.keeper.flow(-5_000)
    assert days.next(67_500) == 1  # a tenth below a peak of 75,000
    assert days.next(67_501) == 2


def test_the_phase_is_set_at_the_open_and_not_by_marks_in_between() -> None:
    days = Days(made())
    days.open(100_000)
    now = at(12)
    days.phases.watch(snapshot(now, equity_usd=30_000), days.keeper.books)
    assert (days.phases.phase, days.phases.rests) == (4, True)


def test_a_phase_that_could_not_be_set_at_the_open_is_asked_for_again() -> None:
    days = Days(made())
    days.open(None)
    assert (days.phases.phase, days.phases.rests) == (0, False)
    assert heard(days.phases, snapshot(at(12), equity_usd=40_000), days.keeper.books).notes
    assert (days.phases.phase, days.phases.rests) == (1, True)


def test_the_table_never_permits_less_to_a_larger_account() -> None:
    rows = phase_table(SETTINGS)
    for low, high in pairwise(rows):
        assert low.from_usd < high.from_usd
        assert low.max_trades <= high.max_trades
        assert low.position_margin_pct <= high.position_margin_pct
        assert low.bp_ceiling_pct <= high.bp_ceiling_pct
        assert low.new_per_session <= high.new_per_session


def test_fp33_trades_count_and_not_their_legs() -> None:
    days = Days(made())
    days.open(40_000)  # phase 1: three trades
    reasons = []
    for name in ("first", "second", "third", "fourth"):
        intent = opening(condor(), strategy=name)
        reasons.append(days.phases.rule(intent, snapshot(at(11)), days.keeper.books).reason)
        days.keeper.hold(condor(), strategy=name, when=at(10, 30) - timedelta(days=7))
    assert reasons == [Reason.ALLOWED, Reason.ALLOWED, Reason.ALLOWED, Reason.PHASE_TRADES]


def test_a_working_opening_takes_a_place_and_the_rotation_book_takes_none() -> None:
    days = Days(made())
    days.open(30_000)  # phase 0: two trades
    days.keeper.hold(shares(), strategy="etf_rotation", credit=-400.0)
    days.keeper.hold(condor())
    assert days.phases.rule(opening(), snapshot(at(11)), days.keeper.books).allowed
    days.keeper.plan(condor(), when=at(10, 45))
    assert days.phases.rule(opening(), snapshot(at(11)), days.keeper.books).reason is Reason.PHASE_TRADES


def test_new_trades_of_a_session_are_limited_also_when_closed_again() -> None:
    days = Days(made())
    days.open(30_000)
    for _ in range(2):
        days.keeper.close(days.keeper.hold(when=at(10, 30)))
    assert days.phases.rule(opening(), snapshot(at(11)), days.keeper.books).reason is Reason.PHASE_SESSION
    monday = date(2025, 9, 15)
    assert days.phases.rule(opening(), snapshot(at(11, 0, monday)), days.keeper.books).allowed


def test_phase_zero_admits_defined_risk_only() -> None:
    days = Days(made())
    days.open(30_000)
    naked = opening(risk=unit_risk(basis=RiskBasis.STRESS))
    assert days.phases.rule(naked, snapshot(at(11)), days.keeper.books).reason is Reason.NAKED_NOT_APPROVED


def test_before_the_first_open_nothing_is_allowed_and_nothing_sized() -> None:
    phases = made()
    assert phases.rule(opening(), snapshot(), BookKeeper().books).reason is Reason.PHASE_TRADES
    assert phases.bound(opening(), snapshot(), 0.0).units == 0.0
    assert phases.row is None


def test_the_bound_is_the_smaller_of_position_margin_and_room_under_the_ceiling() -> None:
    days = Days(made())
    days.open(100_000)  # phase 4: 15 % a position, 80 % in all
    one = opening(risk=unit_risk(margin_usd=1_000))
    assert days.phases.bound(one, snapshot(), 0.0).units == 15.0
    assert days.phases.bound(one, snapshot(), 78_000.0).units == pytest.approx(2.0)
    assert days.phases.bound(one, snapshot(), 90_000.0).units == 0.0


def test_recovery_caps_the_phase_that_is_acted_on() -> None:
    days = Days(made(cap=1))
    days.open(100_000)
    assert days.phases.phase == 4
    assert days.phases.row is not None
    assert days.phases.row.phase == 1


@pytest.mark.parametrize("wrong", [7, -1, 5])
def test_a_phase_survives_a_restart_of_the_same_day_and_a_wrong_one_is_refused(wrong: int) -> None:
    days = Days(made())
    days.open(50_900)
    days.next(48_300)
    again = made()
    again.restore(days.phases.state())
    assert again.phase == 2
    assert again.state() == days.phases.state()
    with pytest.raises(StateError) as refused:
        made().restore({"phase": wrong, "set_on": "2025-09-12", "peak_u6": 0, "flows_u6": 0})
    assert f"phase={wrong}" in str(refused.value)


@given(equities=st.lists(st.floats(1_000, 200_000), min_size=1, max_size=15))
def test_a_phase_is_never_above_the_table_nor_more_than_the_hysteresis_above_it(equities: list[float]) -> None:
    phases = made()
    days = Days(phases)
    days.open(equities[0])
    rows = phase_table(SETTINGS)
    for equity in equities[1:]:
        phase = days.next(equity)
        assert phase is not None
        assert equity >= 0.95 * rows[phase].from_usd - 1e-6
