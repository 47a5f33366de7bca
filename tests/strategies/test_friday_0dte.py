"""The Friday condor's own decisions: when it wants to enter, with which contracts and at which prices, and when not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import numpy as np
import pytest

from core.errors import SettingsError
from core.market import Chain, MarketSnapshot, OpeningPrice, OpeningStatus, VixReading, VixVerdict
from core.ports import OrderType
from core.reasons import Reason
from core.session import SessionClock
from core.settings import Friday0dteSettings, Settings
from core.vocabulary import (
    Instrument,
    Intent,
    IntentKind,
    Ladder,
    RiskBasis,
    Structure,
    StructureName,
    UnitRisk,
    Verdict,
)
from risk.chain_gate import ChainGate, GatedChain
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from risk.unit_risk import UnitJudge
from strategies.friday_0dte import Friday0dte
from tests.risk.builders import FRIDAY, BookKeeper, at, bar, call, chain, condor, put, session, snapshot, vix

SETTINGS = Settings()
OPEN = 600.0
KNOWN = OpeningPrice(OpeningStatus.KNOWN, OPEN)


def strategy(
    *,
    phase: int | None = 4,
    settings: Settings = SETTINGS,
    gate: Callable[[Settings, StepPricer], ChainGate] = ChainGate,
) -> Friday0dte:
    pricer = StepPricer(settings.greeks)
    judge = UnitJudge(settings, pricer, StressTester(settings.stress, pricer))
    return Friday0dte(settings, gate(settings, pricer), judge, lambda: phase)


def step(
    *,
    now: datetime | None = None,
    move_pct: float = 0.0,
    reading: VixReading | None = None,
    opening: OpeningPrice = KNOWN,
    prior_close: Mapping[str, float] | None = None,
    options: Chain | None = None,
    spy_age_s: float = 0.0,
) -> MarketSnapshot:
    """Friday 10:45 with a good chain, VIX 24, SPY moved by so many per cent from its open."""
    now = at(10, 45) if now is None else now
    bars = {"SPX": bar(now, 5_350.0), "SPY": bar(now, OPEN * (1 + move_pct / 100), age_s=spy_age_s)}
    made = snapshot(now, chains=(chain(now) if options is None else options,), bars=bars, reading=reading)
    prior = {"SPY": OPEN} if prior_close is None else prior_close
    return replace(made, opening=opening, prior_close=prior, listed={"SPXW": {FRIDAY: 282}})


def wanted(snapshot: MarketSnapshot, by: Friday0dte | None = None, keeper: BookKeeper | None = None) -> Intent:
    found = (by or strategy()).enter(snapshot, (keeper or BookKeeper()).books)
    assert isinstance(found, Intent), f"refused: {found}"
    return found


def refused(snapshot: MarketSnapshot, by: Friday0dte | None = None, keeper: BookKeeper | None = None) -> Verdict:
    found = (by or strategy()).enter(snapshot, (keeper or BookKeeper()).books)
    assert isinstance(found, Verdict), "it wants to enter"
    return found


def priced_at(structure: Structure, mid: float, half: float, options: Chain) -> Chain:
    """The chain with a structure's net quote at mid ± half: shorts keep their mids, the wings give way.

    mid is what the structure sells for; every leg has the same spread.
    """
    at_of = {item.symbol: place for place, item in enumerate(options.instruments)}
    bid, ask = options.bid.copy(), options.ask.copy()
    model = (bid + ask) / 2
    shorts = sum(float(model[at_of[leg.symbol]]) for leg in structure.shorts)
    wing = (shorts - mid) / len(structure.longs)
    leg_half = half / len(structure.legs)
    for leg in structure.legs:
        place = at_of[leg.symbol]
        centre = float(model[place]) if leg.ratio < 0 else wing
        bid[place], ask[place] = centre - leg_half, centre + leg_half
    return replace(options, bid=bid, ask=ask)


def with_net(mid: float, half: float, by: Friday0dte, *, move_pct: float, now: datetime | None = None) -> Intent:
    """What it wants when the structure of its choice is quoted at mid ± half."""
    moment = at(10, 45) if now is None else now
    options = chain(moment, volatility=lambda _strike: 0.24)
    chosen = wanted(step(now=moment, move_pct=move_pct, options=options), by).structure
    intent = wanted(step(now=moment, move_pct=move_pct, options=priced_at(chosen, mid, half, options)), by)
    assert intent.structure == chosen
    return intent


def figures(intent: Intent) -> tuple[tuple[float, ...], UnitRisk]:
    assert intent.plan is not None
    assert intent.risk is not None
    return intent.plan.steps, intent.risk


# -------------------------------------------------------------------------------------------------------- when it asks


def test_f0_13_it_enters_on_the_last_session_of_the_week_between_half_past_ten_and_eleven() -> None:
    by = strategy()
    clock = SessionClock(SETTINGS.session)
    days = [day for n in range(5) if (day := clock.session(date(2024, 3, 25 + n))) is not None]
    assert [by.window(day) is not None for day in days] == [False, False, False, True]
    assert [by.watches(day) for day in days] == [None, None, None, date(2024, 3, 28)]
    window = by.window(days[-1])
    assert window is not None
    thursday = datetime(2024, 3, 28, 10, 30)
    assert [window.holds(thursday + timedelta(minutes=n)) for n in (-1, 0, 30, 31)] == [False, True, True, False]


def test_it_says_what_its_brokerage_must_do_and_that_it_is_flat_by_tonight() -> None:
    assert {OrderType.COMBO_LIMIT, OrderType.LIMIT} == Friday0dte.order_types
    assert (Friday0dte.name, Friday0dte.priority, Friday0dte.same_day) == ("friday_0dte", 1, True)


def test_another_root_than_spxw_is_a_refused_setting() -> None:
    with pytest.raises(SettingsError, match=r"friday_0dte\.underlying = XSP: expected SPXW"):
        strategy(settings=Settings(friday_0dte=Friday0dteSettings(underlying="XSP")))


# -------------------------------------------------------------------------------------------------------------- prices


def test_f0_01_a_condor_of_a_large_account_walks_from_2_80_to_2_55_and_can_lose_755_48() -> None:
    intent = with_net(2.70, 0.40, strategy(phase=4), move_pct=0.30)
    prices, risk = figures(intent)
    assert intent.structure.name is StructureName.IRON_CONDOR
    assert prices == (2.80, 2.70, 2.65, 2.55)
    assert risk.max_loss_usd == pytest.approx(755.48)
    assert risk.margin_usd == risk.stressed_margin_usd == pytest.approx(1_000.0)
    assert (risk.basis, risk.short_premium) == (RiskBasis.MAX_LOSS, True)


def test_f0_02_a_call_spread_is_worth_1_25_at_worst_and_can_lose_880_24() -> None:
    intent = with_net(1.30, 0.15, strategy(phase=4), move_pct=0.80)
    prices, risk = figures(intent)
    assert intent.structure.name is StructureName.CALL_SPREAD
    assert prices[-1] == 1.25
    assert risk.max_loss_usd == pytest.approx(880.24)


def test_f0_07_a_smaller_account_sells_five_wide_and_one_unit_can_lose_380_48() -> None:
    by = strategy(phase=0)
    intent = with_net(1.33, 0.15, by, move_pct=0.0)
    prices, risk = figures(intent)
    strikes = [leg.instrument.strike for leg in intent.structure.legs]
    assert (strikes[1] - strikes[0], strikes[3] - strikes[2]) == (5.0, 5.0)
    assert prices[-1] == 1.30
    assert risk.max_loss_usd == pytest.approx(380.48)
    assert risk.margin_usd == pytest.approx(500.0)


@pytest.mark.parametrize(("phase", "width"), [(None, 5.0), (0, 5.0), (2, 5.0), (3, 10.0), (4, 10.0)])
def test_the_wings_widen_with_the_account_phase(phase: int | None, width: float) -> None:
    strikes = [leg.instrument.strike for leg in wanted(step(), strategy(phase=phase)).structure.legs]
    assert (strikes[1] - strikes[0], strikes[3] - strikes[2]) == (width, width)


@pytest.mark.parametrize(
    ("mid", "half", "move_pct", "reason"),
    [
        (2.00, 0.00, 0.0, None),  # twenty per cent of ten at the worst price
        (1.95, 0.00, 0.0, Reason.CREDIT_TOO_SMALL),
        (2.00, 0.20, 0.0, Reason.CREDIT_TOO_SMALL),  # 1.95 at worst
        (1.00, 0.00, 0.8, None),  # ten per cent for one side
        (0.95, 0.00, 0.8, Reason.CREDIT_TOO_SMALL),
        (3.30, 0.00, 0.0, None),  # 3.30 of 6.70 at risk is 49 per cent
        (3.35, 0.00, 0.0, Reason.CREDIT_TOO_RICH),
        (3.30, 0.15, 0.0, Reason.CREDIT_TOO_RICH),  # judged at the first offer
    ],
)
def test_credit_is_judged_at_the_worst_price_below_and_at_the_first_offer_above(
    mid: float, half: float, move_pct: float, reason: Reason | None
) -> None:
    by, options = strategy(phase=4), chain(at(10, 45), volatility=lambda _strike: 0.24)
    chosen = wanted(step(move_pct=move_pct, options=options), by).structure
    # A locked quote is not GOOD: "no spread" is one that rounds away.
    quoted = priced_at(chosen, mid, max(half, 1e-9), options)
    answer = by.enter(step(move_pct=move_pct, options=quoted), BookKeeper().books)
    assert (answer.reason if isinstance(answer, Verdict) else None) is reason


def test_fees_above_their_share_of_the_credit_are_a_refusal() -> None:
    plan = Friday0dteSettings(max_fee_pct=4.0)
    by = strategy(phase=4, settings=Settings(friday_0dte=plan))
    options = chain(at(10, 45), volatility=lambda _strike: 0.24)
    chosen = wanted(step(options=options), strategy(phase=4)).structure
    answer = refused(step(options=priced_at(chosen, 2.58, 1e-5, options)), by)  # 10.48 of 260 is 4.03 %
    assert answer.reason is Reason.FEES_TOO_HIGH
    wanted(step(options=priced_at(chosen, 2.63, 1e-5, options)), by)  # 10.48 of 265 is 3.95 %


def test_a_combination_that_is_too_wide_is_refused_before_its_price_is_judged() -> None:
    by, options = strategy(phase=4), chain(at(10, 45), volatility=lambda _strike: 0.24)
    chosen = wanted(step(options=options), by).structure
    assert refused(step(options=priced_at(chosen, 2.70, 0.9, options)), by).reason is Reason.COMBO_TOO_WIDE


# ------------------------------------------------------------------------------------------------------------ the move


@pytest.mark.parametrize(
    ("move_pct", "name"),
    [
        (0.0, StructureName.IRON_CONDOR),
        (0.50, StructureName.IRON_CONDOR),
        (-0.50, StructureName.IRON_CONDOR),
        (0.51, StructureName.CALL_SPREAD),
        (0.80, StructureName.CALL_SPREAD),
        (-0.80, StructureName.PUT_SPREAD),
        (1.49, StructureName.CALL_SPREAD),
        (-1.49, StructureName.PUT_SPREAD),
    ],
)
def test_f0_03_the_morning_decides_which_sides_are_sold(move_pct: float, name: StructureName) -> None:
    intent = wanted(step(move_pct=move_pct))
    assert intent.structure.name is name
    assert intent.detail["move_pct"] == pytest.approx(move_pct)


@pytest.mark.parametrize("move_pct", [1.50, -1.50, 3.0])
def test_f0_03_a_morning_that_has_run_away_is_left_alone(move_pct: float) -> None:
    assert refused(step(move_pct=move_pct)).reason is Reason.MOVE_TOO_LARGE


@pytest.mark.parametrize(
    ("prior", "reason"),
    [
        (OPEN / 1.0149, None),
        (OPEN / 1.0150, Reason.GAP_TOO_LARGE),
        (OPEN / 0.9850, Reason.GAP_TOO_LARGE),
        (OPEN / 0.9851, None),
    ],
)
def test_a_gap_of_one_and_a_half_per_cent_is_too_large(prior: float, reason: Reason | None) -> None:
    answer = strategy().enter(step(prior_close={"SPY": prior}), BookKeeper().books)
    assert (answer.reason if isinstance(answer, Verdict) else None) is reason


def test_f0_12_without_opening_price_or_prior_close_nothing_is_opened() -> None:
    assert refused(step(opening=OpeningPrice(OpeningStatus.PENDING))).reason is Reason.OPEN_PRICE_PENDING
    assert refused(step(opening=OpeningPrice(OpeningStatus.UNKNOWN))).reason is Reason.OPEN_PRICE_UNKNOWN
    assert refused(step(prior_close={"VIX": 24.0})).reason is Reason.PRIOR_CLOSE_MISSING


def test_a_stale_spy_tells_no_move() -> None:
    assert refused(step(spy_age_s=31)).reason is Reason.QUOTE_STALE


# ----------------------------------------------------------------------------------------------------------------- VIX


@pytest.mark.parametrize(
    ("value", "reason"),
    [(21.99, Reason.VIX_WINDOW), (22.00, None), (35.00, None), (35.01, Reason.VIX_WINDOW)],
)
def test_f0_04_vix_from_22_to_35(value: float, reason: Reason | None) -> None:
    answer = strategy().enter(step(reading=vix(value)), BookKeeper().books)
    assert (answer.reason if isinstance(answer, Verdict) else None) is reason


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (VixVerdict.SUSPECT, Reason.VIX_SUSPECT),
        (VixVerdict.STALE, Reason.VIX_STALE),
        (VixVerdict.UNKNOWN, Reason.VIX_UNKNOWN),
    ],
)
def test_vx_p1_a_vix_that_is_not_good_opens_nothing_and_caps_at_nothing(verdict: VixVerdict, reason: Reason) -> None:
    reading = vix(24.0, verdict=verdict)
    assert refused(step(reading=reading)).reason is reason
    assert strategy().cap(step(reading=reading)).units == 0
    without = replace(step(), vix=None)
    assert refused(without).reason is Reason.VIX_UNKNOWN
    assert strategy().cap(without).units == 0


@pytest.mark.parametrize(("value", "units"), [(24.0, 5), (25.0, 5), (25.01, 3), (34.0, 3)])
def test_fewer_units_in_a_nervous_market(value: float, units: int) -> None:
    assert strategy().cap(step(reading=vix(value))).units == units


# ------------------------------------------------------------------------------------------------------------- strikes


class GivenDeltas(ChainGate):
    """The real gate, with the deltas of some contracts as the test says and none for all others of that right."""

    deltas: Mapping[Instrument, float]

    def admit(self, snapshot: MarketSnapshot, root: str, expiry: date) -> GatedChain | Verdict:
        found = super().admit(snapshot, root, expiry)
        assert isinstance(found, GatedChain)
        given = {item.symbol: delta for item, delta in self.deltas.items()}
        rights = {item.right for item in self.deltas}
        delta = [
            given.get(item.symbol, np.nan) if item.right in rights else known
            for item, known in zip(found.priced.chain.instruments, found.delta, strict=True)
        ]
        return replace(found, delta=np.array(delta))


def with_deltas(deltas: Mapping[Instrument, float]) -> Friday0dte:
    """Ten wide, by given deltas, at any price."""
    settings = Settings(friday_0dte=Friday0dteSettings(min_credit_spread_pct=0, max_fee_pct=100))
    return strategy(phase=4, settings=settings, gate=type("Given", (GivenDeltas,), {"deltas": deltas}))


def short_strike(intent: Intent) -> float:
    (short,) = intent.structure.shorts
    return short.instrument.strike


@pytest.mark.parametrize(
    ("deltas", "strike"),
    [
        ({put(5_320): -0.150, put(5_325): -0.170}, 5_320),  # a tie goes farther out
        ({put(5_325): -0.170, put(5_320): -0.1499}, 5_325),
        ({put(5_320): -0.100, put(5_325): -0.201}, 5_320),  # the band includes its ends
        ({put(5_320): -0.099, put(5_325): -0.200}, 5_325),
    ],
)
def test_f0_05_the_short_is_the_one_nearest_to_16_delta(deltas: Mapping[Instrument, float], strike: float) -> None:
    assert short_strike(wanted(step(move_pct=-0.8), with_deltas(deltas))) == strike


def test_f0_05_calls_go_farther_out_upwards() -> None:
    by = with_deltas({call(5_375): 0.170, call(5_380): 0.150})
    assert short_strike(wanted(step(move_pct=0.8), by)) == 5_380


def test_no_short_in_the_band_is_a_refusal() -> None:
    by = with_deltas({put(5_320): -0.099, put(5_325): -0.201})
    assert refused(step(move_pct=-0.8), by).reason is Reason.NO_STRIKE_IN_BAND


def unquoted(options: Chain, *items: Instrument) -> Chain:
    hit = np.array([item in items for item in options.instruments])
    return replace(options, ask=np.where(hit, np.nan, options.ask), bid=np.where(hit, np.nan, options.bid))


def test_f0_06_a_short_without_its_wing_gives_way_to_the_next_best_one() -> None:
    by = with_deltas({put(5_325): -0.160, put(5_320): -0.140})
    options = chain(at(10, 45))
    assert short_strike(wanted(step(move_pct=-0.8, options=options), by)) == 5_325
    no_wing = unquoted(options, put(5_315))
    assert short_strike(wanted(step(move_pct=-0.8, options=no_wing), by)) == 5_320
    none_at_all = unquoted(options, put(5_315), put(5_310))
    assert refused(step(move_pct=-0.8, options=none_at_all), by).reason is Reason.WING_MISSING


def test_f0_06_the_wing_is_at_exactly_the_width_and_may_be_without_a_bid() -> None:
    by = with_deltas({put(5_325): -0.160})
    options = chain(at(10, 45))
    hit = np.array([item == put(5_315) for item in options.instruments])
    bidless = replace(options, bid=np.where(hit, np.nan, options.bid), ask=np.where(hit, 0.30, options.ask))
    intent = wanted(step(move_pct=-0.8, options=bidless), by)
    assert [(leg.instrument.strike, leg.ratio) for leg in intent.structure.legs] == [(5_315, 1), (5_325, -1)]


def test_a_short_without_a_good_quote_is_not_sold() -> None:
    by = with_deltas({put(5_325): -0.160, put(5_320): -0.140})
    options = chain(at(10, 45))
    hit = np.array([item == put(5_325) for item in options.instruments])
    crossed = replace(options, bid=np.where(hit, options.ask + 1, options.bid))
    assert short_strike(wanted(step(move_pct=-0.8, options=crossed), by)) == 5_320


def test_nl09_a_contract_that_another_book_holds_is_skipped() -> None:
    by = with_deltas({put(5_325): -0.160, put(5_320): -0.140})
    keeper = BookKeeper()
    other = Structure(StructureName.PUT_SPREAD, condor(short_put=5_325, short_call=5_400).legs[:2])
    keeper.hold(other, strategy="lt112", when=at(10, 30, date(2025, 9, 11)))
    assert short_strike(wanted(step(move_pct=-0.8), by, keeper)) == 5_320
    only = with_deltas({put(5_325): -0.160})
    assert refused(step(move_pct=-0.8), only, keeper).reason is Reason.CONTRACT_IN_OTHER_BOOK


def test_fp18_a_chain_that_is_no_market_is_the_gates_refusal() -> None:
    thin = replace(step(), load_chain=lambda root, expiry: None)
    assert refused(thin).reason is Reason.CHAIN_EMPTY
    assert refused(replace(step(), listed={})).reason is Reason.UNIVERSE_MISSING


# ----------------------------------------------------------------------------------------------------- not twice a day


def test_after_a_fill_there_is_no_second_trade_that_day_not_even_when_it_is_closed() -> None:
    keeper = BookKeeper()
    trade = keeper.hold(condor(), when=at(10, 31))
    assert refused(step(), keeper=keeper).reason is Reason.ALREADY_TRADED
    keeper.close(trade, when=at(10, 40))
    assert refused(step(), keeper=keeper).reason is Reason.ALREADY_TRADED


def test_a_trade_of_last_week_that_is_still_there_takes_the_only_place() -> None:
    keeper = BookKeeper()
    keeper.hold(condor(expiry=date(2025, 9, 5)), when=at(10, 31, date(2025, 9, 5)))
    assert refused(step(), keeper=keeper).reason is Reason.MAX_OPEN


def ladder(keeper: BookKeeper, started: datetime) -> None:
    """A ladder that ended without a fill."""
    trade = keeper.plan(condor(), when=started)
    keeper.close(trade, when=started + timedelta(minutes=4))
    trade.opened = None


def test_a_ladder_without_a_fill_may_be_tried_again_five_minutes_after_it_began() -> None:
    keeper = BookKeeper()
    ladder(keeper, at(10, 41))
    answer = refused(step(now=at(10, 45)), keeper=keeper)
    assert (answer.reason, answer.until) == (Reason.ATTEMPT_SPACING, at(10, 46))
    wanted(step(now=at(10, 46)), keeper=keeper)


def test_three_ladders_a_session_are_all() -> None:
    keeper = BookKeeper()
    for minute in (30, 35, 40):
        ladder(keeper, at(10, minute))
    assert refused(step(now=at(10, 50)), keeper=keeper).reason is Reason.ATTEMPTS_USED


# ------------------------------------------------------------------------------------------------------ the whole want


def test_the_intent_carries_all_that_the_gates_and_a_restart_need() -> None:
    intent = wanted(step())
    assert (intent.kind, intent.strategy, intent.ladder) == (IntentKind.OPEN, "friday_0dte", Ladder.ENTRY)
    assert intent.qty is None
    assert intent.plan is not None
    assert intent.plan.worst_cash == min(intent.plan.steps) == intent.plan.steps[-1]
    assert intent.plan.first_cash == intent.plan.steps[0]
    assert [leg.ratio for leg in intent.structure.legs] == [1, -1, -1, 1]
    strikes = [leg.instrument.strike for leg in intent.structure.legs]
    assert strikes == sorted(strikes)
    assert intent.structure.expiries == (FRIDAY,)


@pytest.mark.parametrize(("close", "hours"), [(time(16), (15, 30)), (time(13), (12, 30))])
def test_f0_10_the_exit_plan_follows_the_close(close: time, hours: tuple[int, int]) -> None:
    plan = strategy().exit_plan(session(close=close))
    hard = at(*hours)
    assert (plan.hard_exit, plan.flatten, plan.flat_by) == (
        hard,
        hard + timedelta(minutes=15),
        hard + timedelta(minutes=25),
    )
    assert (plan.stop_cost_multiple, plan.target_fraction, plan.confirm_min) == (2.0, 0.5, 2)
    assert (plan.touched_confirm_min, plan.vix_exit, plan.invalid_min, plan.quiet_min) == (1, 40.0, 5, 15)
    assert wanted(step()).exit_plan == strategy().exit_plan(session())
