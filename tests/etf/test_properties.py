"""Properties 1 to 11 of etf-rotation.md 8 over the whole pipeline: settings, quotes and reports in, a ledger out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from audit.exchange_days import session_on
from core.family import Side, side_of
from core.session import SessionClock
from core.session_gate import GateState, gate_of
from core.settings import SessionSettings
from core.vocabulary import SessionPhase
from tests.etf.hostile import MOVES, PROFILES, READINGS, Afternoon, afternoons, minutes, mirrored, punctual
from tests.etf_world import EtfWorld

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""To make an example smaller takes hundreds of afternoons; the one that was found says enough."""

FEW = settings(max_examples=10, phases=UNSHRUNK)

MIRROR = {"CASH": "CASH", "QQQ": "PSQ", "PSQ": "QQQ", "TQQQ": "SQQQ", "SQQQ": "TQQQ"}


def judge_any(afternoon: Afternoon) -> None:
    """Property 1 with everything that follows from it: the principles at the broker, the monitor and the auditor."""
    world, broker = afternoon.run()
    assert broker.found == []
    breaches = world.breaches()
    nights = [at for at, principle in breaches if principle == "P5"]
    assert {principle for _at, principle in breaches} <= {"P5", "P6"}
    if broker.positions():
        assert nights, "what is held over night is a recorded breach"
        assert world.family.outcome is None or dict(world.family.statistics())["ETF book"] == "HALTED"
    elif afternoon.is_punctual:
        assert nights == []
    found = [text for text in world.finish().audit() if not (nights and text.startswith("AU-45"))]
    assert found == []


@given(afternoons())
@FEW
def test_property_1_etf_33_any_signal_any_prices_any_fault_keep_the_principles(afternoon: Afternoon) -> None:
    judge_any(afternoon)


def test_what_the_last_minute_sells_stands_in_the_mark_of_the_close() -> None:
    """Each sale of an afternoon in free fall is refused until the auction: the auditor needs that minute's prices."""
    afternoon = Afternoon([0.6], [-0.011], ["reject"])
    judge_any(afternoon)
    close = afternoon.run()[0].records("MARK")[-1]
    assert "QQQ" in close["px"]


@pytest.mark.long
@given(afternoons())
@settings(max_examples=600, phases=UNSHRUNK)
def test_property_1_in_many_afternoons(afternoon: Afternoon) -> None:
    judge_any(afternoon)


@given(punctual())
@FEW
def test_property_1_p5_a_punctual_broker_leaves_nothing_over_night(afternoon: Afternoon) -> None:
    world, broker = afternoon.run()
    assert broker.positions() == {}
    assert [principle for _at, principle in world.breaches() if principle != "P6"] == []


@given(afternoons(), st.integers(0, 100))
@FEW
def test_property_2_a_step_that_is_taken_twice_sends_nothing_the_second_time(afternoon: Afternoon, place: int) -> None:
    world, broker = afternoon.world()
    for at in minutes()[: place + 1]:
        world.market.now = at
        world.step()
    before, head = dict(broker.orders), len(world.records("ORDER_INTENT", "INTENT"))
    world.assembly.step(world.market.now)
    assert broker.orders == before
    assert len(world.records("ORDER_INTENT", "INTENT")) == head


@given(afternoons())
@settings(max_examples=5, phases=UNSHRUNK)
def test_property_2_the_same_afternoon_gives_the_same_ledger(afternoon: Afternoon) -> None:
    first, second = afternoon.run()[0], afternoon.run()[0]
    assert first.finish().store.blobs == second.finish().store.blobs


@given(st.floats(0.001, 0.999), st.floats(0.0, 0.0004), st.sampled_from(PROFILES[:2]))
@FEW
def test_property_3_a_constant_reading_opens_once(reading: float, move: float, profile: Mapping[str, str]) -> None:
    """Prices go up and down again inside the band."""
    world, _broker = Afternoon([reading], [move, -move], profile=profile).run()
    assert len([order for order in world.orders() if order[1] in ("OPEN", "ADD")]) <= 1
    held = 0.4 < reading < 0.6
    assert (world.orders() == []) is held


@given(afternoons())
@FEW
def test_property_5_between_the_sides_the_ledger_shows_a_zero(afternoon: Afternoon) -> None:
    world, _broker = afternoon.run()
    held: dict[str, int] = {}
    last: Side | None = None
    was_zero = True
    for fill in world.records("FILL"):
        symbol = fill["symbol"]
        held[symbol] = held.get(symbol, 0) + fill["qty"]
        side = side_of(symbol)
        if fill["qty"] > 0 and side is not last:
            assert was_zero, f"{symbol} at {fill['at']} beside {held}"
            last = side
        was_zero = not any(held.values())


@given(READINGS, st.sampled_from(PROFILES[:2]))
@FEW
def test_property_6_the_mirrored_signal_gives_the_mirrored_targets(
    readings: list[float | None], profile: Mapping[str, str]
) -> None:
    """In a market that stands still, where nothing but the signal can tell the sides apart."""
    said = [None if value is None else round(value, 6) for value in readings]
    up = Afternoon(said, profile=profile).run()[0].signals()
    down = Afternoon([mirrored(value) for value in said], profile=profile).run()[0].signals()
    assert {at: (MIRROR[target], reason) for at, (target, reason) in up.items()} == down


@given(READINGS, MOVES, MOVES, st.integers(1, 100))
@FEW
def test_property_7_what_comes_later_changes_nothing_before(
    readings: list[float | None], moves: list[float], others: list[float], place: int
) -> None:
    count = len(minutes())
    past = [moves[number % len(moves)] for number in range(place)]
    futures = ([one[number % len(one)] for number in range(count - place)] for one in (moves, others))
    ledgers = []
    for future in futures:
        world, _broker = Afternoon(readings, [*past, *future]).world()
        for at in minutes()[:place]:
            world.market.now = at
            world.step()
        ledgers.append(world.records())
    assert ledgers[0] == ledgers[1]


@given(READINGS, st.integers(20, 75))
@FEW
def test_property_9_closes_are_the_same_with_every_limiter_at_its_tightest(
    readings: list[float | None], place: int
) -> None:
    """From some minute on VIX is beyond every window and nobody trades: nothing may be opened.

    In readings that want no triple share: above 30 the policy itself wants none, so that it would not leave the single
    one for it. That is an opinion and no limiter.
    """
    single = [None if reading is None else min(max(reading, 0.26), 0.74) for reading in readings]
    calm, _broker = Afternoon(single).run()
    tight, _broker = Afternoon(single).world()
    since = minutes()[place]
    tight.market.move("VIX", 95.0, since)
    for at in minutes():
        tight.market.now = at
        if at >= since:
            tight.market.volume = 0.0
        tight.step()
    held = [trade.id for trade in calm.books.trades if opened_before(calm, trade.id, since.strftime("%H:%M"))]
    assert closes_of(calm, held) == closes_of(tight, held)
    assert tight.held() == {}
    later = [order for order in tight.orders() if order[1] in ("OPEN", "ADD") and order[0] > since.strftime("%H:%M")]
    assert later == []


def opened_before(world: EtfWorld, trade: str, clock: str) -> bool:
    fills = [record for record in world.records("FILL") if record["trade"] == trade]
    return bool(fills) and fills[0]["at"] < clock


def closes_of(world: EtfWorld, trades: list[str]) -> list[tuple[str, str, int]]:
    return [
        (record["at"], record["legs"][0]["symbol"], record["legs"][0]["qty"])
        for record in world.records("ORDER_INTENT")
        if record["trade"] in trades and record["purpose"] not in ("OPEN", "ADD")
    ]


def test_property_10_in_every_session_from_2010_to_2030_entries_come_only_before_its_last_half_hour() -> None:
    """Against the auditor's calendar, which shares nothing with ours."""
    clock, day, count = SessionClock(SessionSettings()), date(2010, 1, 1), 0
    while day <= date(2030, 12, 31):
        theirs, ours = session_on(day), clock.session(day)
        assert (ours is None) is (theirs is None), day
        if ours is not None and theirs is not None:
            count += 1
            assert (ours.close - ours.open).total_seconds() * 1e6 == theirs.close_us - theirs.open_us, day
            late = ours.close - timedelta(minutes=30)
            for moment, may in (
                (ours.open - timedelta(minutes=1), False), (ours.open, False), (ours.after_open(5), True),
                (late - timedelta(minutes=1), True), (late, False), (ours.close, False),
            ):  # fmt: skip
                phase = clock.phase(moment)
                assert (phase is SessionPhase.REGULAR) is may, moment
                assert (gate_of(phase) is GateState.TRADE) is (may or phase is SessionPhase.OPENING), moment
        day += timedelta(days=1)
    assert count > 5_200


@given(afternoons())
@FEW
def test_property_11_no_close_asks_for_more_than_is_held_and_not_yet_on_its_way(afternoon: Afternoon) -> None:
    _world, broker = afternoon.run()
    assert [text for text in broker.found if "property 11" in text] == []


def test_the_watch_can_see_what_it_watches_for() -> None:
    """A check of the checks: a broker that is told to do what the book never asks for writes it down."""
    world, broker = Afternoon([0.9]).world()
    for at in minutes()[:20]:
        world.market.now = at
        world.step()
    assert (broker.found, broker.held) == ([], {"TQQQ": broker.held["TQQQ"]})
    placed = next(iter(broker.orders.values()))
    other = replace(placed.request.legs[0], instrument=replace(placed.request.legs[0].instrument, symbol="SQQQ"))
    placed = replace(placed, request=replace(placed.request, order="x|y-20251028-9|OPEN|1", legs=(other,)))
    broker.send(placed.request)
    broker.send(replace(placed.request, order="x|y-20251028-9|OPEN|2"))
    assert [text[6:8] for text in broker.found] == ["P2", "P3", "P2"]
