"""The broker side of the LEAN edge, on the engine's own tickets: a cancel that was lost on its way is sent again."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import pytest

from engine.broker import SimulatedBroker
from engine.enums import OrderStatus
from tests.world import THURSDAY, World


@pytest.fixture
def world() -> World:
    """A Friday on which the first offer (10:30) waits."""
    return World(prepare=lambda world: world.condor(mid=2.70, half=0.40)).run("10:30")


def tickets_of(world: World) -> list[Any]:
    (child,) = world.parts.gateway.working_children()
    broker: Any = world.parts.broker
    tickets: list[Any] = broker._known_tickets(child.id)
    assert len(tickets) == 4
    return tickets


def cancel(world: World, order: str) -> None:
    """Cancel, and let the engine work it off."""
    world.parts.broker.cancel(order)
    world.host.engine.transactions.process_pending()


def test_one_cancel_takes_the_whole_group_off(world: World) -> None:
    tickets = tickets_of(world)
    cancel(world, tickets[0].tag)
    assert {ticket.status for ticket in tickets} == {OrderStatus.CANCELED}
    assert [ticket.cancel_request is not None for ticket in tickets] == [True, False, False, False]


def test_a_cancel_that_was_lost_is_carried_by_the_next_leg(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tickets = tickets_of(world)
    with monkeypatch.context() as while_lost:
        while_lost.setattr(SimulatedBroker, "cancel", lambda _self, _order: True)
        cancel(world, tickets[0].tag)
        cancel(world, tickets[0].tag)
    assert {ticket.status for ticket in tickets} <= {OrderStatus.SUBMITTED, OrderStatus.CANCEL_PENDING}
    cancel(world, tickets[0].tag)
    assert {ticket.status for ticket in tickets} == {OrderStatus.CANCELED}
    assert [ticket.cancel_request is not None for ticket in tickets] == [True, True, True, False]


def test_a_cancel_of_what_has_ended_asks_nothing(world: World) -> None:
    tickets = tickets_of(world)
    cancel(world, tickets[0].tag)
    cancel(world, tickets[0].tag)
    assert [ticket.cancel_request is not None for ticket in tickets] == [True, False, False, False]


def test_an_order_that_nobody_sent_is_not_known_and_cannot_be_cancelled(world: World) -> None:
    assert world.parts.broker.find("00000000|friday_0dte-20250905-9|OPEN|1") is None
    world.parts.broker.cancel("00000000|friday_0dte-20250905-9|OPEN|1")
    assert len(world.parts.gateway.working_children()) == 1


def filled(world: World) -> None:
    """The market comes to the third offer in the minute to 10:33."""
    world.condor(mid=2.70, half=0.40)
    world.condor(mid=3.10, half=0.40, since="10:33")


def test_what_a_report_has_changed_is_seen_in_the_same_session() -> None:
    world = World(prepare=filled).run("10:29")
    assert dict(world.parts.broker.positions()) == {}
    world.run("10:45")
    held = dict(world.parts.books.positions())
    assert len(held) == 4
    assert dict(world.parts.broker.positions()) == held


def test_what_is_kept_is_what_lean_says_in_every_minute() -> None:
    world = World(prepare=filled).run("10:29")
    broker: Any = world.parts.broker
    seen = set[tuple[int, int]]()
    for at in [*range(10 * 60 + 29, 10 * 60 + 40), *range(15 * 60 + 28, 15 * 60 + 40)]:
        world.run(f"{at // 60}:{at % 60:02d}")
        fresh = type(broker)(world.host.algorithm, broker._market, margin_repeats=False)
        held = dict(broker.positions())
        assert held == dict(fresh.positions())
        assert [broker.position(symbol) for symbol in held] == [fresh.position(symbol) for symbol in held]
        assert list(broker.open_orders()) == list(fresh.open_orders())
        seen.add((len(held), len(list(broker.open_orders()))))
    assert {(0, 1), (4, 0), (0, 0)} <= seen  # offered, held, left again


def test_what_was_kept_is_asked_anew_in_the_next_session(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(prepare=filled, parameters={"run.start": THURSDAY.isoformat()})
    world.host.advance(until=datetime.combine(THURSDAY, time(12)))
    broker: Any = world.parts.broker
    assert dict(broker.positions()) == {}
    # Over night a split, say, changes what LEAN holds, and no order tells of it.
    monkeypatch.setattr(type(broker), "_walk", lambda _broker: {"TQQQ": 7})
    world.host.advance(until=datetime.combine(THURSDAY, time(15)))
    assert world.breaks() == []
    world.run("09:45")
    assert [found["symbol"] for found in world.breaks()] == ["TQQQ"]


def test_a_quiet_session_walks_over_the_holdings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(prepare=filled).run("09:32")
    walks: list[None] = []
    broker: Any = world.parts.broker
    walk = type(broker)._walk

    def counted(self: Any) -> dict[str, int]:
        walks.append(None)
        found: dict[str, int] = walk(self)
        return found

    monkeypatch.setattr(type(broker), "_walk", counted)
    world.run("10:25")
    assert not walks
    world.run("10:45")
    assert walks, "all legs of a group move at once"
