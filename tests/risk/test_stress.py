"""Losses in the shocks: bounded where the structure is, whole where a price is unknown, T alone for what ends
tonight.
"""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import EquityMark, MarketSnapshot
from core.settings import Settings
from core.vocabulary import Instrument, Structure, StructureName
from risk.book_stress import BookStress, floor_usd
from risk.exposure import exposure_of
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from risk.unit_risk import C_SHOCKS, T_SHOCKS, delta_usd
from tests.risk.builders import (
    FRIDAY,
    UNKNOWN_VIX,
    BookKeeper,
    at,
    bar,
    call,
    chain,
    condor,
    legs,
    naked_put,
    put,
    put_spread,
    quote,
    shares,
    snapshot,
    vix,
    without_quotes,
)

SETTINGS = Settings()
LATER = date(2025, 10, 10)  # 28 days after the Friday of the tests


def held(structure: Structure, units: int = 1) -> list[tuple[Instrument, int]]:
    return [(leg.instrument, leg.ratio * units) for leg in structure.legs]


def step(expiry: date = FRIDAY, forward: float = 5_350.0) -> MarketSnapshot:
    return snapshot(at(11), chains=[chain(at(11), expiry, forward=forward, low=4_000, high=6_700)])


STEP = step()


def stress_tester() -> StressTester:
    return StressTester(SETTINGS.stress, StepPricer(SETTINGS.greeks))


def test_a_shock_of_five_percent_takes_a_near_condor_to_its_whole_width() -> None:
    losses = stress_tester().losses(held(condor()), -250.0, -1_000.0, step())
    assert losses.by_shock["T_DOWN"] == pytest.approx(750, abs=1)
    assert losses.by_shock["T_UP"] == pytest.approx(750, abs=1)


@given(
    short=st.integers(1_020, 1_064),
    width=st.integers(1, 10),
    value=st.floats(-900, 0),
    units=st.integers(1, 4),
)
def test_a_finite_structure_never_loses_more_in_a_shock_than_it_can_lose(
    short: int, width: int, value: float, units: int
) -> None:
    spread = put_spread(short * 5.0, width * 5.0)
    floor = -width * 500.0 * units
    for loss in stress_tester().losses(held(spread, units), value * units, floor, STEP).by_shock.values():
        assert loss is not None
        assert loss <= value * units - floor + 1e-6


def test_an_unknown_price_counts_with_all_that_can_be_lost() -> None:
    dark = snapshot(at(11))  # no chain at all
    assert stress_tester().losses(held(condor()), -250.0, -1_000.0, dark).by_shock["T_DOWN"] == 750
    assert stress_tester().losses(held(naked_put()), -1_200.0, None, dark).by_shock["T_DOWN"] is None
    # A short of which the volatility is unknown is not harmless because nobody bids for it.
    made = chain(at(11), low=5_300)
    blind = snapshot(at(11), chains=[without_quotes(made, put(5_300).symbol)])
    losses = stress_tester().losses(held(put_spread(5_300)), -80.0, -1_000.0, blind)
    assert losses.by_shock["T_UP"] == 920


def test_a_naked_put_loses_by_move_and_volatility_without_a_cap() -> None:
    losses = stress_tester().losses(held(naked_put(5_300)), -2_000.0, None, step())
    down = losses.by_shock["T_DOWN"]
    assert down is not None
    # 5 % of 5350 is 267.5 points: 217.5 inside, less the 20 points of value now.
    assert down == pytest.approx((217.5 - 20) * 100, rel=0.05)


def test_the_crash_takes_thirty_day_volatility_to_45_at_least() -> None:
    calm, wild = (
        stress_tester().shocks(snapshot(reading=vix(15.0))),
        stress_tester().shocks(snapshot(reading=vix(35.0))),
    )
    assert [shock.volatility_shift for shock in calm if shock.name == "C_DOWN"] == [pytest.approx(0.30)]
    assert [shock.volatility_shift for shock in wild if shock.name == "C_DOWN"] == [pytest.approx(0.25)]
    unknown = stress_tester().shocks(snapshot(reading=UNKNOWN_VIX))
    assert [shock.volatility_shift for shock in unknown if shock.name == "C_DOWN"] == [None]


def test_the_four_shocks() -> None:
    shocks = stress_tester().shocks(snapshot(reading=vix(24.0)))
    assert [(shock.name, shock.is_crash, shock.move, shock.volatility_shift) for shock in shocks] == [
        ("T_DOWN", False, -0.05, 0.10),
        ("T_UP", False, 0.05, -0.04),
        ("C_DOWN", True, -0.10, 0.25),
        ("C_UP", True, 0.10, -0.05),
    ]


def test_without_vix_the_crash_costs_everything_it_can() -> None:
    now = snapshot(at(11), chains=[chain(at(11), LATER, low=4_000, high=6_700)], reading=UNKNOWN_VIX)
    losses = stress_tester().losses(held(put_spread(4_700, 10, LATER)), -20.0, -1_000.0, now)
    assert losses.by_shock["C_DOWN"] == 980
    t_down = losses.by_shock["T_DOWN"]
    assert t_down is not None
    assert t_down < 900


def test_near_expiries_take_one_and_a_half_times_the_shift_and_far_ones_half() -> None:
    def rise(expiry: date) -> float:
        pricer = StepPricer(SETTINGS.greeks)
        still = dataclasses.replace(SETTINGS.stress, ordinary_down_pct=0.1)
        now = snapshot(at(11), chains=[chain(at(11), expiry, low=4_000, high=6_700)])
        straddle = [(put(5_350, expiry), 1), (call(5_350, expiry), 1)]
        before = 100 * sum(view.price for view in pricer.views(now, [item for item, _ in straddle]).values() if view)
        loss = StressTester(still, pricer).losses(straddle, before, 0.0, now).by_shock["T_DOWN"]
        assert loss is not None
        return 1 - loss / before

    assert rise(FRIDAY) == pytest.approx(1.75, abs=0.03)  # 20 % + 15 points
    assert rise(date(2026, 9, 18)) == pytest.approx(1.25, abs=0.02)  # 20 % + 5 points


def test_an_underlying_that_does_not_follow_the_index_is_shocked_both_ways() -> None:
    gold = snapshot(at(11), bars={"GLD": bar(at(11), 200.0)})
    losses = stress_tester().losses([(Instrument("GLD", "GLD"), 100)], 20_000.0, 0.0, gold)
    assert losses.by_shock["T_UP"] == pytest.approx(1_000)
    assert losses.by_shock["T_DOWN"] == pytest.approx(1_000)
    index = snapshot(at(11), bars={"SPY": bar(at(11), 500.0)})
    losses = stress_tester().losses([(Instrument("SPY", "SPY"), 40)], 20_000.0, 0.0, index)
    assert losses.by_shock["T_UP"] == pytest.approx(-1_000)


def test_an_underlying_of_unknown_beta_counts_whole() -> None:
    now = snapshot(at(11), bars={"XYZ": bar(at(11), 10.0)})
    losses = stress_tester().losses([(Instrument("XYZ", "XYZ"), 100)], 1_000.0, 0.0, now)
    assert set(losses.by_shock.values()) == {1_000.0}


def test_leveraged_beta_widens_the_move() -> None:
    now = snapshot(at(11), bars={"QQQ": bar(at(11), 400.0)})
    losses = stress_tester().losses(held(shares("QQQ"), 10), 4_000.0, 0.0, now)
    assert losses.by_shock["T_DOWN"] == pytest.approx(240)  # 5 % x 1.2


# ------------------------------------------------------------------------------------------------------------ of a book


def book_stress() -> BookStress:
    pricer = StepPricer(SETTINGS.greeks)
    return BookStress(SETTINGS.margin, StressTester(SETTINGS.stress, pricer), pricer)


def marked(structure: Structure, price: float, expiry: date = FRIDAY) -> MarketSnapshot:
    marks = dict.fromkeys(structure.symbols, 1.0)
    carrier = structure.shorts[0]
    rest = sum(leg.ratio for leg in structure.legs if leg is not carrier)
    marks[carrier.symbol] = (price + rest) / -carrier.ratio
    return snapshot(at(11), chains=[chain(at(11), expiry, low=4_000, high=6_700)], marks=marks)


def test_a_trade_that_ends_tonight_meets_the_ordinary_shocks_only() -> None:
    keeper = BookKeeper()
    keeper.hold(condor())
    (trade,) = book_stress().trades(marked(condor(), 2.5), keeper.books)
    assert trade.losses.worst(T_SHOCKS) == pytest.approx(750, abs=1)
    assert trade.losses.worst(C_SHOCKS) == 0.0
    later = BookKeeper()
    later.hold(condor(expiry=LATER))
    (trade,) = book_stress().trades(marked(condor(expiry=LATER), 2.5, LATER), later.books)
    worst = trade.losses.worst(C_SHOCKS)
    assert worst is not None
    assert worst > 100


def test_a_working_opening_counts_with_its_approved_risk_margin_and_delta() -> None:
    keeper = BookKeeper()
    trade = keeper.plan(put_spread(), units=4, risk_usd=800.0, margin_usd=1_000.0)
    now = snapshot(at(11), chains=[chain(at(11), low=4_000, high=6_700)])
    (seen,) = book_stress().trades(now, keeper.books)
    assert (seen.used_usd, seen.reserved_usd) == (0.0, 4_000.0)
    assert seen.losses.by_shock["T_DOWN"] == pytest.approx(3_200)
    whole_delta = delta_usd(held(put_spread(), 4), now, StepPricer(SETTINGS.greeks))
    assert book_stress().net_delta_usd(now, keeper.books) == pytest.approx(whole_delta)
    # When one unit fills, it moves from "to come" to "held".
    prices = {put(5_300).symbol: 4.0, put(5_290).symbol: 2.0}
    keeper.fill(trade, prices, units=1)
    keeper.state(trade.id, keeper.books.trade(trade.id).state.ENTERING, at(10, 32))
    marks = snapshot(at(11), chains=[chain(at(11), low=4_000, high=6_700)], marks=prices)
    (seen,) = book_stress().trades(marks, keeper.books)
    assert (seen.used_usd, seen.reserved_usd) == (1_000.0, 3_000.0)
    assert book_stress().net_delta_usd(marks, keeper.books) == pytest.approx(whole_delta)


def test_fp52_what_the_books_say_of_a_trade_is_read_anew_after_a_fill_and_on_another_day() -> None:
    """One reader through a life: planned, half filled, given up, closed; and a trade that ends tomorrow, then today."""
    keeper, reader = BookKeeper(), book_stress()
    trade = keeper.plan(put_spread(), units=2, risk_usd=800.0, margin_usd=1_000.0)
    prices = {put(5_300).symbol: 4.0, put(5_290).symbol: 2.0}
    now = snapshot(at(11), chains=[chain(at(11), low=4_000, high=6_700)], marks=prices)
    assert [(one.used_usd, one.reserved_usd) for one in reader.trades(now, keeper.books)] == [(0.0, 2_000.0)]
    assert reader.trades(now, keeper.books) is reader.trades(now, keeper.books)
    keeper.fill(trade, prices, units=1)
    keeper.state(trade.id, trade.state.ENTERING, at(10, 32))
    assert [(one.used_usd, one.reserved_usd) for one in reader.trades(now, keeper.books)] == [(1_000.0, 1_000.0)]
    keeper.state(trade.id, trade.state.OPEN, at(10, 33))
    (rest,) = reader.trades(now, keeper.books)
    assert (rest.used_usd, rest.reserved_usd) == (1_000.0, 0.0)
    assert rest == book_stress().trades(now, keeper.books)[0]
    fallen = snapshot(at(11), chains=[chain(at(11), low=4_000, high=6_700, forward=5_300.0)], marks=prices)
    assert reader.trades(fallen, keeper.books) == book_stress().trades(fallen, keeper.books) != (rest,)
    keeper.buy_back(trade, put(5_300).symbol)
    (wing,) = reader.trades(fallen, keeper.books)
    assert wing.exposure.held == ((put(5_290), 1),)
    keeper.state(trade.id, trade.state.CLOSED, at(13))
    assert reader.trades(fallen, keeper.books) == ()

    keeper.hold(condor(expiry=FRIDAY))
    eve, day = at(11, 0, FRIDAY - timedelta(days=1)), at(11)
    seen = {}
    for moment in (eve, day):
        chains = [chain(moment, FRIDAY, low=4_000, high=6_700)]
        now = snapshot(moment, chains=chains, marks=dict.fromkeys(condor().symbols, 1.0))
        (seen[moment],) = reader.trades(now, keeper.books)
        assert seen[moment] == book_stress().trades(now, keeper.books)[0]
    assert seen[eve].losses.worst(C_SHOCKS) != 0.0
    assert seen[day].losses.worst(C_SHOCKS) == 0.0


class Counted(StressTester):
    """Counts how often a trade is revalued."""

    count = 0
    fails = False

    def losses_of(self, *values: Any, **options: Any) -> dict[str, float | None]:
        self.count += 1
        if self.fails:
            raise ValueError("no shock can be priced")
        return super().losses_of(*values, **options)


def test_a_second_reading_of_a_minute_revalues_nothing() -> None:
    """Its quotes may have been completed in between; a new mark, another VIX or another minute are another reading."""
    keeper, pricer = BookKeeper(), StepPricer(SETTINGS.greeks)
    keeper.hold(condor())
    tester = Counted(SETTINGS.stress, pricer)
    reader, now = BookStress(SETTINGS.margin, tester, pricer), marked(condor(), 2.5)
    for _ in range(2):
        reader.trades(now, keeper.books)
        reader.trades(dataclasses.replace(now, quotes={"QQQ": quote(1.0, 1.1)}), keeper.books)
    assert tester.count == 1
    others = ({"equity": EquityMark(1.0)}, {"vix": vix(31.0)}, {"time": at(11, 1)}, {"bars": {"SPX": bar(at(11), 1.0)}})
    for other in others:
        before = tester.count
        reader.trades(dataclasses.replace(now, **other), keeper.books)
        reader.trades(now, keeper.books)
        assert tester.count == before + 2


def test_a_reading_that_fails_is_not_answered_with_the_one_before() -> None:
    """Live, a failing manager is contained, and the others ask in the same step."""
    keeper, pricer = BookKeeper(), StepPricer(SETTINGS.greeks)
    keeper.hold(condor())
    tester = Counted(SETTINGS.stress, pricer)
    reader, before, now = BookStress(SETTINGS.margin, tester, pricer), marked(condor(), 2.5), marked(condor(), 4.0)
    reader.trades(before, keeper.books)
    tester.fails = True
    for _ in range(2):
        with pytest.raises(ValueError, match="no shock"):
            reader.trades(now, keeper.books)
    tester.fails = False
    assert reader.trades(now, keeper.books) == book_stress().trades(now, keeper.books)


def test_other_books_are_read_although_as_much_has_happened_to_them() -> None:
    reader, now, first, second = book_stress(), marked(condor(), 2.5), BookKeeper(), BookKeeper()
    first.hold(condor())
    second.hold(condor(), units=2)
    assert first.books.changes == second.books.changes
    (one,), (two,) = reader.trades(now, first.books), reader.trades(now, second.books)
    assert (one.used_usd, two.used_usd) == (1_000.0, 2_000.0)


def test_an_unbalanced_trade_counts_with_its_longest_leg() -> None:
    keeper = BookKeeper()
    tails = Structure(StructureName.LEGS, legs((put(5_300), 1), (put(5_250), -2)))
    trade = keeper.plan(tails, units=2, risk_usd=500.0)
    keeper.fill(trade, {put(5_250).symbol: 1.0}, units=1)  # two sold, nothing bought
    seen = exposure_of(trade, keeper.books)
    assert (seen.held, seen.pending_units) == (((put(5_250), -2),), 0)
    assert seen.risk_usd == 500.0


def test_a_closed_trade_leaves_nothing_behind() -> None:
    keeper = BookKeeper()
    trade = keeper.hold()
    keeper.close(trade)
    assert book_stress().trades(snapshot(), keeper.books) == ()


def test_the_heaviest_short_is_the_one_that_can_lose_most() -> None:
    keeper = BookKeeper()
    keeper.hold(put_spread(5_300, 5), strategy="small")
    heavy = keeper.hold(put_spread(5_250, 50), strategy="heavy", credit=6.0)
    keeper.hold(shares("QQQ"), units=1_000, credit=-400.0, strategy="rotation")
    keeper.plan(put_spread(5_200, 100), strategy="coming", risk_usd=9_000.0)  # holds nothing yet
    marks = {put(strike).symbol: 1.0 for strike in (5_300, 5_295, 5_250, 5_200)} | {"QQQ": 400.0}
    now = snapshot(at(11), chains=[chain(at(11), low=4_000, high=6_700)], marks=marks, bars={"QQQ": bar(at(11), 400.0)})
    assert book_stress().heaviest_short(now, keeper.books) == heavy.id
    assert book_stress().heaviest_short(now, BookKeeper().books) is None


@given(quantities=st.lists(st.integers(-4, 4).filter(bool), min_size=2, max_size=2))
def test_the_floor_of_any_two_puts_is_their_worst_value_at_expiry(quantities: list[int]) -> None:
    pair = [(put(5_290), quantities[0]), (put(5_300), quantities[1])]
    expected = min(
        sum(qty * item.payoff(price) for item, qty in pair) * 100 for price in (0.0, 5_290.0, 5_300.0, 6_000.0)
    )
    assert floor_usd(pair) == pytest.approx(expected)


def test_naked_calls_have_no_floor() -> None:
    assert floor_usd([(call(5_400), -1)]) is None
    assert floor_usd([]) == 0.0


# -------------------------------------------------------------------------------------------------- the step's memory


def test_fp52_a_later_step_with_the_same_quotes_is_priced_anew() -> None:
    pricer, now = StepPricer(SETTINGS.greeks), step()
    before = pricer.views(now, [put(5_350)])[put(5_350).symbol]
    later = dataclasses.replace(now, time=at(11, 1), load_chain=step(forward=5_340.0).load_chain)
    after = pricer.views(later, [put(5_350)])[put(5_350).symbol]
    assert before is not None
    assert after is not None
    assert after.underlying_price == pytest.approx(before.underlying_price - 10)


def test_a_contract_nobody_bids_for_is_worth_nothing_to_a_holder_and_unknown_to_a_seller() -> None:
    late = snapshot(at(15, 30), chains=[chain(at(15, 30), low=4_800, high=5_900)])
    view = StepPricer(SETTINGS.greeks).views(late, [put(4_800)])[put(4_800).symbol]
    assert view is not None
    assert (view.price, view.delta, view.shocked(-0.05, 0.1)) == (0.0, 0.0, 0.0)
    assert view.serves(1)
    assert not view.serves(-1)


def test_a_contract_beyond_the_last_good_quote_that_is_asked_for_more_is_unknown() -> None:
    blind = without_quotes(chain(at(11), low=5_300, high=5_400), put(5_300).symbol)
    views = StepPricer(SETTINGS.greeks).views(snapshot(at(11), chains=[blind]), [put(5_300)])
    assert views[put(5_300).symbol] is None


def test_fp52_what_was_priced_in_a_step_dies_with_it() -> None:
    pricer = StepPricer(SETTINGS.greeks)
    first, second = step(forward=5_350.0), step(forward=5_300.0)  # a further slice of the same minute
    before = pricer.views(first, [put(5_300)])[put(5_300).symbol]
    after = pricer.views(second, [put(5_300)])[put(5_300).symbol]
    assert before is not None
    assert after is not None
    assert after.underlying_price == pytest.approx(5_300.0, abs=1e-6)
    assert after.price > before.price
