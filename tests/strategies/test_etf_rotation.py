"""The allocation policy: zones, hysteresis, patience; every decision from one reading and one view."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from core.family import Decision, FamilyView, Side, Trail, leverage_of, side_of
from core.reasons import Reason
from core.settings_etf import EtfRotationSettings
from core.signal import Reading
from core.vocabulary import FAMILY, FamilyTarget
from strategies.etf_rotation import AllocationPolicy

NOON = datetime(2025, 10, 28, 12, 0)
CASH, QQQ, TQQQ, PSQ, SQQQ = (FamilyTarget(name) for name in ("CASH", "QQQ", "TQQQ", "PSQ", "SQQQ"))
MIRROR = {CASH: CASH, QQQ: PSQ, PSQ: QQQ, TQQQ: SQQQ, SQQQ: TQQQ}
POLICY = AllocationPolicy(EtfRotationSettings())
PROBABILITY = st.floats(0.001, 0.999)
TARGETS = st.sampled_from(list(FamilyTarget))
LONG_HELD = 12


def reading(probability: float) -> Reading:
    return Reading.ready(NOON, probability)


def decide(
    probability: float, held: FamilyTarget = CASH, *, before: float | None = None, vix: float | None = 18.0,
    bars_held: int = LONG_HELD, policy: AllocationPolicy = POLICY, **view: object,
) -> Decision:  # fmt: skip
    """Decide on a reading whose predecessor was the same, unless said otherwise."""
    trail = policy.advance(Trail(), reading(probability if before is None else before))
    trail = policy.advance(trail, reading(probability))
    family = FamilyView(held=held, bars_held=bars_held, vix=vix, trail=trail, **view)  # type: ignore[arg-type]
    return policy.decide(reading(probability), family)


@pytest.mark.parametrize(
    ("probability", "target"),
    [
        (0.99, TQQQ), (0.75, TQQQ), (0.7499, QQQ), (0.60, QQQ), (0.5999, CASH), (0.50, CASH), (0.4001, CASH),
        (0.40, PSQ), (0.2501, PSQ), (0.25, SQQQ), (0.01, SQQQ),
    ],
)  # fmt: skip
def test_from_cash_the_zones_are_entered_at_their_edges(probability: float, target: FamilyTarget) -> None:
    decision = decide(probability)
    assert decision.target is target
    assert decision.reason is (Reason.NEUTRAL if target is CASH else Reason.ALLOWED)


@pytest.mark.parametrize(
    ("held", "probability", "target"),
    [
        (QQQ, 0.75, TQQQ), (QQQ, 0.7499, QQQ), (QQQ, 0.55, QQQ), (QQQ, 0.5499, CASH), (QQQ, 0.10, CASH),
        (TQQQ, 0.70, TQQQ), (TQQQ, 0.6999, QQQ), (TQQQ, 0.55, QQQ), (TQQQ, 0.5499, CASH), (TQQQ, 0.10, CASH),
        (PSQ, 0.25, SQQQ), (PSQ, 0.2501, PSQ), (PSQ, 0.45, PSQ), (PSQ, 0.4501, CASH), (PSQ, 0.90, CASH),
        (SQQQ, 0.30, SQQQ), (SQQQ, 0.3001, PSQ), (SQQQ, 0.45, PSQ), (SQQQ, 0.4501, CASH), (SQQQ, 0.90, CASH),
    ],
)  # fmt: skip
def test_a_holding_is_left_at_its_own_edges(held: FamilyTarget, probability: float, target: FamilyTarget) -> None:
    assert decide(probability, held).target is target


def test_etf_s05_inside_the_hysteresis_nothing_changes_and_below_it_the_holding_goes() -> None:
    path = [0.61, 0.59, 0.56, 0.55, 0.549]
    assert [decide(probability, QQQ).target for probability in path] == [QQQ, QQQ, QQQ, QQQ, CASH]


def test_etf_s01_one_bar_on_a_side_is_not_enough() -> None:
    trail = POLICY.advance(Trail(), reading(0.62))
    first = POLICY.decide(reading(0.62), FamilyView(trail=trail, vix=18.0))
    assert first == Decision(CASH, Reason.NOT_CONFIRMED)
    trail = POLICY.advance(trail, reading(0.63))
    assert POLICY.decide(reading(0.63), FamilyView(trail=trail, vix=18.0)) == Decision(QQQ, Reason.ALLOWED)


def test_the_second_bars_zone_counts() -> None:
    assert decide(0.80, before=0.62).target is TQQQ
    assert decide(0.62, before=0.80).target is QQQ


def test_etf_s06_a_signal_that_alternates_never_confirms() -> None:
    assert decide(0.90, before=0.10) == Decision(CASH, Reason.NOT_CONFIRMED)
    assert decide(0.10, before=0.90) == Decision(CASH, Reason.NOT_CONFIRMED)


def test_a_bar_without_an_answer_breaks_the_row() -> None:
    trail = Trail()
    for item in (reading(0.9), Reading.not_ready(NOON, Reason.BAR_MISSING), reading(0.9)):
        trail = POLICY.advance(trail, item)
    assert POLICY.decide(reading(0.9), FamilyView(trail=trail, vix=18.0)).reason is Reason.NOT_CONFIRMED


@pytest.mark.parametrize(("bars", "target"), [(0, TQQQ), (9, TQQQ), (10, CASH)])
def test_the_signal_waits_until_the_holding_has_lasted(bars: int, target: FamilyTarget) -> None:
    decision = decide(0.20, TQQQ, bars_held=bars)
    assert decision.target is target
    assert decision.reason is (Reason.MIN_HOLD if target is TQQQ else Reason.NEUTRAL)


@pytest.mark.parametrize(("since", "target"), [(1, CASH), (4, CASH), (5, SQQQ), (None, SQQQ)])
def test_etf_s04_the_cooldown_counts_bars_from_the_fill_that_reached_cash(
    since: int | None, target: FamilyTarget
) -> None:
    decision = decide(0.20, bars_since_close=since)
    assert decision.target is target
    assert decision.reason is (Reason.COOLDOWN if target is CASH else Reason.ALLOWED)


def test_etf_s03_a_switch_on_one_side_needs_no_cooldown_and_the_other_side_does() -> None:
    assert decide(0.68, TQQQ).target is QQQ
    assert decide(0.68, bars_since_close=1, switched_side=Side.LONG).target is QQQ
    assert decide(0.20, bars_since_close=1, switched_side=Side.LONG).reason is Reason.COOLDOWN


def test_bars_in_the_cooldown_count_for_the_confirmation() -> None:
    """The trail goes on while the cooldown refuses; the first bar after it may open."""
    trail = Trail()
    found: list[Reason] = []
    for since in (1, 2, 3, 4, 5):
        trail = POLICY.advance(trail, reading(0.20))
        found.append(POLICY.decide(reading(0.20), FamilyView(trail=trail, vix=18.0, bars_since_close=since)).reason)
    assert found == [Reason.NOT_CONFIRMED, Reason.COOLDOWN, Reason.COOLDOWN, Reason.COOLDOWN, Reason.ALLOWED]


@pytest.mark.parametrize(("vix", "target"), [(30.0, TQQQ), (30.01, QQQ), (None, QQQ)])
def test_no_new_triple_while_vix_is_high_or_unknown(vix: float | None, target: FamilyTarget) -> None:
    assert decide(0.80, vix=vix).target is target
    assert decide(0.80, QQQ, vix=vix).target is target
    assert decide(0.80, TQQQ, vix=vix).target is TQQQ


def test_etf_s20_three_bars_without_a_reading_hold_and_the_fourth_leaves() -> None:
    trail, found = Trail(), []
    for _ in range(4):
        invalid = Reading.not_ready(NOON, Reason.SIGNAL_INVALID)
        trail = POLICY.advance(trail, invalid)
        found.append(POLICY.decide(invalid, FamilyView(held=TQQQ, bars_held=1, trail=trail, vix=18.0)))
    assert [decision.target for decision in found] == [TQQQ, TQQQ, TQQQ, CASH]
    assert {decision.reason for decision in found} == {Reason.SIGNAL_INVALID}


def test_the_session_loss_limit_leaves_at_once_and_stays_out() -> None:
    left = decide(0.90, TQQQ, bars_held=1, loss_limit_reached=True)
    assert left == Decision(CASH, Reason.SESSION_LOSS_LIMIT)
    assert decide(0.90, loss_limit_reached=True) == Decision(CASH, Reason.SESSION_LOSS_LIMIT)


def test_etf_41_a_cooldown_never_forces_a_rotation_and_none_outlives_the_open() -> None:
    """Yesterday's close is no close of this session: the view has none, and the first confirmed bar may open."""
    assert decide(0.80, bars_since_close=None, switched_side=None).target is TQQQ
    assert decide(0.80, TQQQ, bars_held=389).target is TQQQ


def test_at_the_sessions_cap_a_holding_is_not_sold_for_an_upgrade_that_would_be_refused() -> None:
    assert decide(0.80, QQQ, opens_in_session=20) == Decision(QQQ, Reason.OPEN_CAP_SESSION)
    assert decide(0.80, QQQ, opens_in_session=19).target is TQQQ
    assert decide(0.60, TQQQ, opens_in_session=20).target is QQQ


def test_etf_03_a_target_is_one_word_and_no_number_stands_for_it() -> None:
    assert {target.value for target in FamilyTarget} == {"CASH", *FAMILY["LONG"], *FAMILY["INVERSE"]}
    with pytest.raises(ValueError):
        FamilyTarget(-1.0)  # type: ignore[arg-type]


views = st.builds(
    FamilyView,
    held=TARGETS,
    bars_held=st.integers(0, 390),
    bars_since_close=st.none() | st.integers(0, 390),
    switched_side=st.none() | st.sampled_from(list(Side)),
    opens_in_session=st.integers(0, 25),
    trail=st.builds(Trail, st.none() | st.sampled_from(list(Side)), st.integers(0, 9), st.integers(0, 9)),
    vix=st.none() | st.floats(5, 100),
    loss_limit_reached=st.booleans(),
)


def mirrored(view: FamilyView) -> FamilyView:
    def other(side: Side | None) -> Side | None:
        return None if side is None else side.opposite

    trail = Trail(other(view.trail.side), view.trail.bars, view.trail.bars_not_ready)
    return FamilyView(
        MIRROR[view.held], view.bars_held, view.bars_since_close, other(view.switched_side), view.opens_in_session,
        trail, view.vix, view.loss_limit_reached,
    )  # fmt: skip


@given(PROBABILITY, views)
def test_property_6_the_mirrored_probability_gives_the_mirrored_target(probability: float, view: FamilyView) -> None:
    seen = POLICY.decide(reading(probability), view)
    other = POLICY.decide(reading(1.0 - probability), mirrored(view))
    assert (other.target, other.reason) == (MIRROR[seen.target], seen.reason)


@given(PROBABILITY, views)
def test_etf_01_no_edge_joins_the_sides(probability: float, view: FamilyView) -> None:
    target = POLICY.decide(reading(probability), view).target
    assert CASH in (view.held, target) or side_of(target) is side_of(view.held)


@given(st.lists(PROBABILITY | st.just(None), max_size=40), views)
def test_etf_34_no_fill_and_no_count_moves_a_threshold(path: list[float | None], view: FamilyView) -> None:
    """Counters can only refuse: whatever happened before, a target is that of a fresh view, what is held, or CASH."""
    policy = AllocationPolicy(EtfRotationSettings())
    for value in path:
        item = Reading.not_ready(NOON, Reason.BAR_MISSING) if value is None else reading(value)
        target = policy.decide(item, view).target
        if target in (view.held, CASH):
            continue
        fresh = FamilyView(view.held, 390, None, None, 0, Trail(view.trail.side, 9), view.vix)
        assert target is policy.decide(item, fresh).target


@given(st.lists(st.floats(0.60, 0.749), min_size=2, max_size=60))
def test_property_3_inside_the_band_a_signal_opens_once(path: list[float]) -> None:
    held, trail, opens = CASH, Trail(), 0
    for value in path:
        trail = POLICY.advance(trail, reading(value))
        target = POLICY.decide(reading(value), FamilyView(held=held, bars_held=99, trail=trail, vix=18.0)).target
        opens += target is not CASH and target is not held
        held = target
    assert opens == 1


def test_etf_04_every_symbol_of_the_registry_has_its_side_and_leverage() -> None:
    found = {symbol: (side_of(symbol), leverage_of(symbol)) for symbol in ("QQQ", "TQQQ", "PSQ", "SQQQ")}
    assert found == {
        "QQQ": (Side.LONG, 1), "TQQQ": (Side.LONG, 3), "PSQ": (Side.INVERSE, 1), "SQQQ": (Side.INVERSE, 3),
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"leave_1x_prob": 0.61}, {"leave_3x_prob": 0.76}, {"enter_1x_prob": 0.80}, {"leave_1x_prob": 0.49},
        {"leave_3x_prob": 0.54}, {"sleeve_fraction": 0.76}, {"max_opens_per_bar": 2}, {"max_close_children": 9},
        {"vix_max_3x_points": 41.0},
    ],
)  # fmt: skip
def test_etf_38_thresholds_that_contradict_each_other_or_pass_a_ceiling_do_not_start(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        EtfRotationSettings(**wrong)  # type: ignore[arg-type]


def test_a_minute_later_is_a_bar_later() -> None:
    assert Trail().after(Side.LONG, ready=True).after(Side.LONG, ready=True) == Trail(Side.LONG, 2)
    assert Trail(Side.LONG, 2).after(Side.INVERSE, ready=True) == Trail(Side.INVERSE, 1)
    assert Trail(Side.LONG, 2).after(None, ready=True) == Trail()
