"""The family's size: equity-based, inside every bound, and proven payable before it is sent."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.family import SizeVerdict, SizingFacts
from core.market import MISSING_QUOTE, Quote, QuoteVerdict
from core.reasons import Reason
from core.settings import Brokerage
from core.settings_etf import EtfRotationSettings
from core.vocabulary import FamilyTarget
from helpers.brokerages import share_fee_bound_u6
from risk.family_sizer import FamilySizer

CASH, QQQ, TQQQ, PSQ, SQQQ = (FamilyTarget(name) for name in ("CASH", "QQQ", "TQQQ", "PSQ", "SQQQ"))
IB = Brokerage.INTERACTIVE_BROKERS
SIZER = FamilySizer(EtfRotationSettings(), IB)
INTEGRITY = FamilySizer(EtfRotationSettings(sleeve_fraction=0.75, max_exposure_fraction=2.25), IB)


def quote(ask: float, *, spread: float = 0.02, verdict: QuoteVerdict = QuoteVerdict.GOOD) -> Quote:
    return Quote(verdict, ask - spread, ask, ask - spread, ask, 0.0)


def facts(
    ask: float = 500.0, *, equity: float | None = 100_000.0, cash: float | None = None, power: float | None = None,
    volume: float | None = 1e7, spread: float = 0.02, **more: object,
) -> SizingFacts:  # fmt: skip
    """A margin account that holds nothing and whose buying power is 80 % of its equity."""
    cash = equity if cash is None else cash
    power = (equity or 0.0) * 0.80 if power is None else power
    found: dict[str, object] = {
        "equity_usd": equity, "usable_cash_usd": cash, "total_cash_usd": cash, "buying_power_usd": power,
        "quote": quote(ask, spread=spread), "median_volume": volume,
    }  # fmt: skip
    return SizingFacts(**{**found, **more})  # type: ignore[arg-type]


def answer(verdict: SizeVerdict) -> tuple[int, float | None, Reason]:
    return verdict.qty, verdict.limit_price, verdict.reason


def test_etf_s01_thirty_percent_of_equity_in_the_single_share() -> None:
    assert answer(SIZER.size(QQQ, facts(500.00))) == (59, 500.50, Reason.ALLOWED)


def test_etf_s02_the_triple_share_takes_the_same_sleeve() -> None:
    verdict = SIZER.size(TQQQ, facts(85.10))
    assert answer(verdict) == (352, 85.19, Reason.ALLOWED)
    assert verdict.qty * 85.19 == pytest.approx(29_986.88)
    assert share_fee_bound_u6(IB, 352) == 1_760_000


def test_etf_s10_three_quarters_of_equity_and_the_cash_is_proven() -> None:
    assert answer(INTEGRITY.size(QQQ, facts(500.00))) == (149, 500.50, Reason.ALLOWED)
    assert share_fee_bound_u6(IB, 149) == 1_000_000
    assert pytest.approx(25_424.50) == 100_000 - 149 * 500.50 - 1.00


def test_etf_s11_a_cash_account_spends_what_has_settled() -> None:
    some = facts(500.00, usable_cash_usd=40_000.0, total_cash_usd=100_000.0)
    assert answer(INTEGRITY.size(QQQ, some)) == (69, 500.50, Reason.ALLOWED)
    little = facts(500.00, usable_cash_usd=15_000.0, total_cash_usd=100_000.0)
    assert answer(INTEGRITY.size(QQQ, little)) == (0, 500.50, Reason.UNSETTLED_FUNDS)
    poor = facts(500.00, usable_cash_usd=15_000.0, total_cash_usd=15_000.0)
    assert answer(INTEGRITY.size(QQQ, poor)) == (0, 500.50, Reason.CASH_SHORT)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"power": 5_000.0}, Reason.MARGIN_CEILING),
        ({"stress_shares": 3.0}, Reason.MARGIN_STRESS),
        ({"cash": 11_000.0}, Reason.CASH_SHORT),
        ({"reserved_usd": 90_000.0}, Reason.CASH_SHORT),
        ({"volume": 200.0}, Reason.LIQUIDITY_CAP),
        ({"volume": None}, Reason.LIQUIDITY_CAP),
        ({"power": 0.0, "cash": 1.0, "volume": 0.0}, Reason.MARGIN_CEILING),
        ({"scale": 0.0}, Reason.BELOW_MIN_OPEN),
        ({"equity": 900.0}, Reason.BELOW_MIN_OPEN),
    ],
)
def test_too_little_of_anything_refuses_with_the_smallest_bound(changed: dict[str, float], reason: Reason) -> None:
    assert answer(SIZER.size(QQQ, facts(**changed)))[::2] == (0, reason)


def test_the_leveraged_exposure_has_a_cap() -> None:
    tight = FamilySizer(EtfRotationSettings(max_exposure_fraction=0.10), IB)
    assert answer(tight.size(TQQQ, facts(85.10)))[::2] == (0, Reason.EXPOSURE_CAP)
    half = FamilySizer(EtfRotationSettings(max_exposure_fraction=0.45), IB)
    assert half.size(TQQQ, facts(85.10)).qty == math.floor(45_000 / (3 * 85.19))


@pytest.mark.parametrize(
    "name", ["equity_usd", "usable_cash_usd", "total_cash_usd", "buying_power_usd", "median_volume"]
)
def test_etf_s_unknown_input_is_nothing_bought(name: str) -> None:
    verdict = SIZER.size(QQQ, replace(facts(), **{name: None}))  # type: ignore[arg-type]
    assert verdict.qty == 0
    assert verdict.reason is not Reason.ALLOWED


@pytest.mark.parametrize("verdict", [verdict for verdict in QuoteVerdict if verdict is not QuoteVerdict.GOOD])
def test_a_quote_that_is_not_good_gives_its_own_reason(verdict: QuoteVerdict) -> None:
    assert SIZER.size(QQQ, facts(quote=quote(500.0, verdict=verdict))).reason is verdict.reason
    assert SIZER.size(QQQ, facts(quote=MISSING_QUOTE)).reason is Reason.QUOTE_MISSING


def test_a_spread_above_a_fifth_of_a_percent_is_too_wide() -> None:
    assert SIZER.size(QQQ, facts(500.0, spread=0.99)).qty > 0
    assert answer(SIZER.size(QQQ, facts(500.0, spread=1.01))) == (0, None, Reason.SPREAD_WIDE)


def test_the_scale_of_the_step_scales_the_opening() -> None:
    assert SIZER.size(QQQ, facts(scale=0.5)).qty == 29


# ------------------------------------------------------------------------------------------------- the no-trade band


def held(price: float, shares: int = 352, entry: float = 85.19, **more: float) -> SizingFacts:
    """The holding of ETF-S02, the market at another price; equity is cash plus the holding at its bid."""
    cash = 100_000.0 - shares * entry - 1.76
    equity = cash + shares * price
    return facts(price + 0.01, spread=0.01, equity=equity, cash=cash, held=shares, **more)


@pytest.mark.parametrize(("rise", "of_target"), [(1.04, 1.027), (1.12, 1.081)])
def test_etf_s07_the_target_moves_with_equity(rise: float, of_target: float) -> None:
    known = held(85.19 * rise)
    target = SIZER.target_value(TQQQ, known)
    assert target is not None
    assert 352 * 85.19 * rise / target == pytest.approx(of_target, abs=5e-4)


def test_etf_s07_four_percent_more_is_inside_the_band() -> None:
    assert SIZER.size(TQQQ, held(85.19 * 1.04)).reason is Reason.BELOW_BAND
    assert SIZER.surplus(TQQQ, held(85.19 * 1.04)) == 0


def test_etf_s07_twelve_percent_more_is_sold_down_to_the_target_value() -> None:
    assert SIZER.surplus(TQQQ, held(85.19 * 1.12)) in (26, 27)
    # The band ends where the holding is worth 1.05 of its target, which moves with equity: 7.4 % up.
    assert SIZER.surplus(TQQQ, held(85.19 * 1.073)) == 0
    assert SIZER.surplus(TQQQ, held(85.19 * 1.081)) > 0


def test_etf_s08_what_a_partial_fill_left_out_is_added_later() -> None:
    verdict = SIZER.size(TQQQ, held(85.10, shares=200))
    assert verdict.reason is Reason.ALLOWED
    assert 150 <= verdict.qty <= 153


def test_etf_15_a_full_holding_is_never_sold_and_bought_again_because_its_cash_is_gone() -> None:
    """Sized from equity, not from free cash: with the sleeve invested, nothing is due in either direction."""
    full = held(85.19)
    assert SIZER.size(TQQQ, full).qty == 0
    assert SIZER.surplus(TQQQ, full) == 0


def test_a_surplus_needs_no_limiter_and_a_good_quote() -> None:
    rich = held(85.19 * 1.12)
    assert SIZER.surplus(TQQQ, replace(rich, buying_power_usd=0.0, median_volume=0.0, usable_cash_usd=0.0)) > 0
    stale = replace(rich, quote=replace(rich.quote, verdict=QuoteVerdict.STALE))
    assert SIZER.surplus(TQQQ, stale) == 0


def test_etf_18_no_account_size_is_built_in() -> None:
    small, large = SIZER.size(QQQ, facts(equity=50_000.0)).qty, SIZER.size(QQQ, facts(equity=200_000.0)).qty
    assert (small, large) == (29, 119)


def test_etf_19_an_opening_too_small_to_be_worth_it_is_none() -> None:
    # A quarter of 30,000 USD is 15 shares of 500.50.
    assert SIZER.size(QQQ, facts(volume=280.0)).qty == 0
    assert SIZER.size(QQQ, facts(volume=300.0)).qty == 15


# --------------------------------------------------------------------------------------------------------------- laws


@st.composite
def random_facts(draw: st.DrawFn) -> SizingFacts:
    """Accounts of any size, in which cash, buying power and volume are mostly of the order of equity."""
    ask, equity = draw(st.floats(5, 900)), draw(st.floats(1_000, 5e6))
    return facts(
        ask, equity=equity, cash=equity * draw(st.floats(0.2, 1.5)), power=equity * draw(st.floats(0.1, 1.0)),
        volume=equity / ask * draw(st.floats(1, 100)), spread=ask * draw(st.floats(0.0001, 0.0021)),
        reserved_usd=equity * draw(st.floats(0, 0.3)), stress_shares=equity / ask * draw(st.floats(0.1, 2)),
        scale=draw(st.floats(0.25, 1)),
    )  # fmt: skip


targets = st.sampled_from([QQQ, TQQQ, PSQ, SQQQ])


@given(targets, random_facts())
def test_etf_14_no_opening_costs_more_than_cash_less_reserve_and_none_is_negative(
    target: FamilyTarget, known: SizingFacts
) -> None:
    verdict = INTEGRITY.size(target, known)
    assert type(verdict.qty) is int
    assert verdict.qty >= 0
    assert (verdict.qty > 0) == (verdict.reason is Reason.ALLOWED)
    if verdict.qty:
        assert verdict.limit_price is not None
        assert known.equity_usd is not None
        assert known.usable_cash_usd is not None
        cost = verdict.qty * verdict.limit_price + share_fee_bound_u6(IB, verdict.qty) / 1e6
        assert cost <= known.usable_cash_usd - 0.05 * known.equity_usd - known.reserved_usd + 1e-6


@given(targets, random_facts(), st.floats(0, 1e6))
def test_property_4_more_money_never_buys_less(target: FamilyTarget, known: SizingFacts, more: float) -> None:
    assert known.equity_usd is not None
    assert known.usable_cash_usd is not None
    richer = replace(
        known, equity_usd=known.equity_usd + more, usable_cash_usd=known.usable_cash_usd + more,
        total_cash_usd=known.usable_cash_usd + more,
    )  # fmt: skip
    after = INTEGRITY.size(target, richer)
    # A larger target raises the least that is worth an order as well: then it is none, and never a smaller one.
    assert after.qty >= INTEGRITY.size(target, known).qty or after.qty == 0
    only_cash = replace(known, usable_cash_usd=known.usable_cash_usd + more)
    assert INTEGRITY.size(target, only_cash).qty >= INTEGRITY.size(target, known).qty


@given(targets, random_facts(), st.floats(0, 50), st.floats(0, 1e5))
def test_property_4_price_spread_and_reserve_never_buy_more(
    target: FamilyTarget, known: SizingFacts, dearer: float, reserve: float
) -> None:
    before = INTEGRITY.size(target, known).qty
    assert known.quote.ask is not None
    assert known.quote.bid is not None
    spread = known.quote.ask - known.quote.bid
    up = replace(known, quote=quote(known.quote.ask + dearer, spread=spread * (1 + dearer / known.quote.ask)))
    # What was too small to be worth an order may be worth one at a higher price; it is no larger for that.
    assert INTEGRITY.size(target, up).qty <= before or before == 0
    wide = replace(known, quote=quote(known.quote.ask, spread=spread + 0.01))
    assert INTEGRITY.size(target, wide).qty <= before
    assert INTEGRITY.size(target, replace(known, reserved_usd=known.reserved_usd + reserve)).qty <= before


@given(targets, random_facts(), st.integers(1, 2_000))
def test_a_holding_is_short_exactly_where_the_sizer_would_look_at_an_addition(
    target: FamilyTarget, known: SizingFacts, shares: int
) -> None:
    held_now = replace(known, held=shares)
    looked_at = SIZER.size(target, held_now)
    assert SIZER.is_short(target, held_now) == bool(looked_at.bounds)
