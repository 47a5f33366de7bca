"""What must be true of every sized intent."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reasons import Reason
from core.settings import Settings
from core.vocabulary import Intent, IntentKind, Ladder, Leg, RiskBasis, Structure, StructureName
from risk.invariants import Invariants
from tests.risk.builders import BookKeeper, condor, legs, opening, put, put_spread, snapshot, unit_risk

INVARIANTS = Invariants(Settings().sizer)


def asked(intent: Intent, keeper: BookKeeper | None = None, equity_usd: float | None = 100_000.0) -> Reason:
    books = (BookKeeper() if keeper is None else keeper).books
    return INVARIANTS.rule(intent, snapshot(equity_usd=equity_usd), books).reason


def closing(keeper: BookKeeper, structure: Structure, qty: int, kind: IntentKind = IntentKind.CLOSE) -> Reason:
    trade = keeper.books.open_trades()[0]
    return asked(Intent(kind, trade.strategy, structure, Ladder.URGENT, trade.id, qty), keeper)


def broken(structure: Structure, **changes: object) -> Structure:
    """A structure as a faulty part could hand it over, past its own checks."""
    made = object.__new__(Structure)
    for spec in dataclasses.fields(Structure):
        object.__setattr__(made, spec.name, changes.get(spec.name, getattr(structure, spec.name)))
    return made


def test_a_sane_sized_opening_passes() -> None:
    assert asked(opening(qty=2)) is Reason.ALLOWED


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        (Leg(put(5_300), -1), Leg(put(5_300), 1)),  # a symbol twice
        (Leg(put(5_300), -2), Leg(put(5_290), 2)),  # a common factor belongs into the quantity
        (Leg(put(5_300), 0), Leg(put(5_290), 1)),
        (Leg(put(5_300), True), Leg(put(5_290), -1)),  # the engine would take it
    ],
)
def test_a_structure_that_is_none_is_refused(wrong: tuple[Leg, ...]) -> None:
    structure = broken(condor(), legs=wrong)
    assert asked(opening(structure, qty=1)) is Reason.DENIED_STRUCTURE


@pytest.mark.parametrize("wrong", [{"strike": math.inf}, {"strike": math.nan}, {"tick": 0.0}])
def test_a_strike_or_a_tick_that_prices_nothing_is_refused(wrong: dict[str, Any]) -> None:
    odd = dataclasses.replace(put(5_300), **wrong)
    structure = Structure(StructureName.PUT_SPREAD, legs((odd, -1), (put(5_290), 1)))
    assert asked(opening(structure, qty=1)) is Reason.DENIED_STRUCTURE


@pytest.mark.parametrize("figure", ["max_loss_usd", "margin_usd"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_an_opening_whose_loss_or_margin_is_no_number_is_refused(figure: str, value: float) -> None:
    risk = dataclasses.replace(unit_risk(), **{figure: value})  # type: ignore[arg-type]
    assert asked(opening(risk=risk, qty=1)) is Reason.DENIED_STRUCTURE


def test_an_opening_without_a_loss_is_refused() -> None:
    assert asked(opening(risk=unit_risk(max_loss_usd=None), qty=1)) is Reason.DENIED_STRUCTURE
    naked = unit_risk(basis=RiskBasis.STRESS, max_loss_usd=None, c_loss_usd=None)
    assert asked(opening(risk=naked, qty=1)) is Reason.DENIED_STRUCTURE
    bare = dataclasses.replace(opening(qty=1), risk=None)
    assert asked(bare) is Reason.DENIED_STRUCTURE


@given(units=st.integers(1, 50), loss=st.floats(1, 5_000), equity=st.floats(1_000, 1e6))
def test_ps_p2_no_sized_opening_risks_more_than_two_percent(units: int, loss: float, equity: float) -> None:
    answer = asked(opening(risk=unit_risk(max_loss_usd=loss), qty=units), equity_usd=equity)
    if answer is Reason.ALLOWED:
        assert units * loss <= 0.02 * equity * (1 + 1e-6)
    elif units * loss <= 0.02 * equity:
        pytest.fail(f"{units} x {loss} of {equity} was refused: {answer}")


def test_a_naked_opening_is_held_to_its_crash_as_well() -> None:
    risk = unit_risk(basis=RiskBasis.STRESS, max_loss_usd=None, t_loss_usd=100.0, c_loss_usd=2_600.0)
    assert asked(opening(risk=risk, qty=1)) is Reason.ALLOWED
    assert asked(opening(risk=risk, qty=2)) is Reason.DENIED_SIZE


def test_without_equity_no_opening_is_sane() -> None:
    assert asked(opening(qty=1), equity_usd=None) is Reason.EQUITY_UNKNOWN


def test_a_close_brings_every_symbol_nearer_to_zero() -> None:
    keeper = BookKeeper()
    keeper.hold(put_spread(), units=2)
    assert closing(keeper, put_spread().inverse(), 2) is Reason.ALLOWED
    assert closing(keeper, put_spread().inverse(), 1, IntentKind.REDUCE) is Reason.ALLOWED
    assert closing(keeper, put_spread().inverse(), 3) is Reason.DENIED_NOT_REDUCING  # would flip the sign
    assert closing(keeper, put_spread(), 1) is Reason.DENIED_NOT_REDUCING  # would grow it
    assert closing(keeper, put_spread(5_280).inverse(), 1) is Reason.DENIED_NOT_REDUCING  # not held
    assert closing(keeper, put_spread().inverse(), 0) is Reason.DENIED_SIZE


def test_a_close_of_a_trade_nobody_knows_is_refused() -> None:
    stranger = Intent(IntentKind.CLOSE, "friday_0dte", put_spread().inverse(), Ladder.URGENT, "other-1", 1)
    assert asked(stranger) is Reason.DENIED_NOT_REDUCING


def test_a_target_never_reaches_an_order_as_it_is() -> None:
    keeper = BookKeeper()
    keeper.hold(put_spread())
    assert closing(keeper, put_spread().inverse(), 1, IntentKind.TARGET) is Reason.DENIED_STRUCTURE


@given(held=st.integers(1, 5), qty=st.integers(1, 8), part=st.sampled_from(["both", "short"]))
def test_reductions_never_grow_flip_or_exceed_what_is_held(held: int, qty: int, part: str) -> None:
    keeper = BookKeeper()
    trade = keeper.hold(put_spread(), units=held)
    whole = put_spread().inverse()
    structure = whole if part == "both" else Structure(StructureName.SINGLE, whole.longs)
    before = dict(trade.legs)
    if closing(keeper, structure, qty) is Reason.ALLOWED:
        for leg in structure.legs:
            after = before[leg.symbol] + leg.ratio * qty
            assert abs(after) < abs(before[leg.symbol])
            assert after * before[leg.symbol] >= 0
    else:
        assert qty > held
