"""A paper run that dies and is started again against a broker that remembers."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Any

import pytest

from engine.enums import OrderStatus
from engine.errors import EngineError, SimulatedDeath
from engine.host import EngineJob, Host
from engine.object_store import Flush
from engine.paper_account import PaperAccountError
from tests.engine.desk import FRIDAY, MONDAY, SPXW, SPY, WINGS, Desk, Market, minute, started, when


@pytest.fixture
def market() -> Market:
    return Market().session(FRIDAY).condor()


@pytest.fixture
def paper(tmp_path: Path) -> dict[str, Any]:
    return {
        "mode": "paper",
        "start": FRIDAY,
        "end": MONDAY,
        "cash_usd": 100_000.0,
        "broker_file": tmp_path / "broker.json",
        "object_store": tmp_path / "store",
        "flush": Flush.WHEN_TOLD,
    }


def algorithm(host: Host) -> Desk:
    assert isinstance(host.algorithm, Desk)
    return host.algorithm


def test_a_paper_run_is_live_and_its_schedules_do_not_wait_for_data(market: Market, paper: dict[str, Any]) -> None:
    for at in range(minute("10:01"), minute("10:30")):
        market.source.remove_bar(SPY, FRIDAY, at)
        market.source.remove_quote(SPY, FRIDAY, at)
    host = started(market, paper, at={"10:15": lambda desk: desk.note("pulse", desk.live_mode)})

    host.advance(until=when(FRIDAY, "10:15"))

    assert host.time == when(FRIDAY, "10:15")
    assert [line.values for line in algorithm(host).heard if line.what == "pulse"] == [(True,)]


def test_a_process_that_dies_at_a_fill_finds_the_position_at_the_broker(market: Market, paper: dict[str, Any]) -> None:
    # The fifth event is the first leg's fill: booked at the broker, never heard by the algorithm.
    host = started(
        market,
        {**paper, "death_at_event": 5},
        with_chain=True,
        at={"10:00": lambda desk: desk.condor(-1, 4.55, tag="x")},
    )
    with pytest.raises(SimulatedDeath):
        host.advance()
    assert algorithm(host).events("FILLED") == []

    again = started(market, paper, with_chain=True)
    desk = algorithm(again)

    assert desk.held() == [1.0, -1.0, -1.0, 1.0]
    assert desk.portfolio.cash == pytest.approx(100_456.0)
    assert desk.transactions.get_open_orders() == []
    again.advance()
    assert desk.held() == [0.0] * 4


def test_a_process_that_dies_before_a_fill_finds_its_working_combo_by_its_tag(
    market: Market, paper: dict[str, Any]
) -> None:
    host = started(market, paper, with_chain=True, at={"10:00": lambda desk: desk.condor(-1, 5.00, tag="T1|open|0")})
    host.advance(until=when(FRIDAY, "10:05"))  # and is never heard of again

    for at in range(571, 976):
        for symbol in (WINGS[1], WINGS[2]):
            market.source.set_quote(symbol, FRIDAY, at, 5.80, 6.00)
    again = started(market, paper, with_chain=True)
    desk = algorithm(again)
    orders = desk.transactions.get_open_orders()

    assert [order.tag for order in orders] == ["T1|open|0"] * 4
    assert [order.status for order in orders] == [OrderStatus.SUBMITTED] * 4
    assert desk.transactions.last_order_id == 4
    again.advance()
    assert desk.portfolio.cash == pytest.approx(100_000 + 540 - 4)
    assert len(desk.events("FILLED")) == 8  # opened once, and settled


def test_a_process_started_again_at_noon_lives_on_from_there(market: Market, paper: dict[str, Any]) -> None:
    def sell(desk: Desk) -> None:
        desk.note("ten")
        if desk.time.date() == FRIDAY:
            desk.combo_market_order(desk.legs(), -1)

    def count(desk: Desk) -> None:
        chain = None if desk.current_slice is None else desk.current_slice.option_chains.get(SPXW)
        desk.keep(0 if chain is None else len(chain))

    plan: dict[str, Any] = {"with_chain": True, "at": {"10:00": sell, "12:01": count}}
    host = started(market, paper, **plan)
    host.advance(until=when(FRIDAY, "12:00"))

    again = started(market, {**paper, "start_time": time(12)}, **plan)
    desk = algorithm(again)
    assert again.time == when(FRIDAY, "12:00")
    # What came before noon is known at once, as live LEAN seeds it.
    assert desk.securities[SPY].price == 500.0
    assert desk.portfolio.total_margin_used == 2_000.0
    again.advance()

    assert next(line.time for line in desk.heard if line.what == "ten") == "04 10:00"
    assert desk.results == [4, 0, 0, 0]
    assert desk.held() == [0.0] * 4


def test_a_time_to_start_needs_its_dates(market: Market) -> None:
    with pytest.raises(EngineError, match="expected start and end with it"):
        started(market, {"start_time": time(12)})


def test_an_operators_command_reaches_the_algorithm(market: Market, paper: dict[str, Any]) -> None:
    class Commanded(Desk):
        def on_command(self, data: Any) -> bool | None:
            self.note(data.action, data.reason)
            return True

    host = Host(EngineJob(main=Commanded, source=market.source, **paper))
    host.start()

    assert host.send_command(action="pause", reason="test") is True
    assert algorithm(host).heard[-1].what == "pause"


def test_a_cancel_that_was_under_way_is_forgotten_by_the_broker(market: Market, paper: dict[str, Any]) -> None:
    # Four SUBMITTED, then CANCEL_PENDING: the request never reached the broker.
    host = started(
        market,
        {**paper, "death_at_event": 5},
        with_chain=True,
        at={"10:00": lambda desk: desk.condor(-1, 5.00), "10:10": lambda desk: desk.transactions.cancel_order(1)},
    )
    with pytest.raises(SimulatedDeath):
        host.advance()

    again = started(market, paper, with_chain=True)

    statuses = {order.status for order in algorithm(again).transactions.get_open_orders()}
    assert statuses == {OrderStatus.SUBMITTED}


def test_a_half_written_broker_file_starts_no_run(market: Market, paper: dict[str, Any]) -> None:
    paper["broker_file"].write_text('{"version": 1, "cash": "1')

    with pytest.raises(PaperAccountError, match=r"broker file broker\.json: unreadable"):
        started(market, paper)


def test_the_store_loses_what_was_not_made_durable(market: Market, paper: dict[str, Any]) -> None:
    def save(desk: Desk) -> None:
        desk.object_store.save("durable", "1")
        desk.object_store.get_file_path("durable")
        desk.object_store.save("lost", "2")
        desk.market_order(SPY, 1)

    host = started(market, {**paper, "death_at_event": 1}, at={"10:00": save})
    with pytest.raises(SimulatedDeath):
        host.advance()

    again = started(market, paper)

    assert algorithm(again).object_store.keys == ["durable"]
