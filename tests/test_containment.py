"""Live and paper, one failing part is isolated and the others go on; a backtest contains nothing."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from core.market import Session
from core.reconciliation import Reconciler
from core.strategy import EntryWindow
from core.trade_machine import TradeState
from risk.circuit_breaker import CircuitBreaker
from risk.margin_manager import MarginManager
from risk.position_sizer import PositionSizer
from strategies.friday_0dte import Friday0dte
from tests.world import FRIDAY, World


def paper(tmp_path: Path, world_is: str = "filled", **parameters: str) -> World:
    def prepare(world: World) -> None:
        world.condor(mid=2.70, half=0.40)
        if world_is == "filled":
            world.condor(mid=3.10, half=0.40, since="10:33")

    return World(
        prepare=prepare,
        parameters={"run.mode": "PAPER", **parameters},
        store=tmp_path / "store",
        job={
            "mode": "paper",
            "start": FRIDAY,
            "end": FRIDAY + timedelta(days=1),
            "broker_file": tmp_path / "broker.json",
            "cash_usd": 100_000.0,
        },
    )


def broken(*_arguments: object) -> None:
    raise ZeroDivisionError("a planted fault")


def test_fp08_a_strategy_that_raises_opens_nothing_and_is_locked_after_three_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Friday0dte, "enter", broken)
    world = paper(tmp_path).run("10:40")
    reasons = [reason for _at, reason in world.refusals()]
    assert reasons[:3] == ["STRATEGY_ERROR"] * 3
    assert set(reasons[3:]) == {"STRATEGY_LOCKED"}
    assert world.limits("OPEN") == []
    faults = [record for record in world.records("ALERT") if record["code"] == "FAULT"]
    assert len(faults) == 3
    assert "a planted fault" in faults[0]["text"]


def test_a_session_opens_and_trades_although_the_first_question_to_a_strategy_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, asked = Friday0dte.window, list[date]()

    def fails_once(self: Friday0dte, session: Session) -> EntryWindow | None:
        asked.append(session.day)
        if len(asked) == 1:
            broken()
        return window(self, session)

    monkeypatch.setattr(Friday0dte, "window", fails_once)
    world = paper(tmp_path).run("10:40")
    assert [record["date"] for record in world.records("SESSION_OPENED")] == [FRIDAY.isoformat()]
    assert len(world.records("ALERT")) == 1
    assert world.trade.legs


def test_a_strategy_that_fails_in_every_question_keeps_the_account_reducing_in_an_open_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Friday0dte, "window", broken)
    world = paper(tmp_path).run("10:40")
    assert len(world.records("SESSION_OPENED")) == 1
    assert world.records("TRADING_STATE")[-1]["to"] == "REDUCING"
    assert world.limits("OPEN") == []


def test_fp08_a_strategy_that_raises_while_it_holds_is_left_by_its_stored_exit_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path).run("10:35")
    monkeypatch.setattr(Friday0dte, "leave", broken)
    world.run("15:30")
    assert world.exits() == [("15:30", "EXIT_TIME")]
    world.run("15:55")
    assert world.trade.is_flat


def test_fp10_a_breaker_that_raises_reduces_the_account_and_exits_still_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path).run("10:35")
    monkeypatch.setattr(CircuitBreaker, "watch", broken)
    world.run("10:36")
    assert world.records("TRADING_STATE")[-1]["to"] == "REDUCING"
    world.run("15:55")
    assert world.trade.is_flat


def test_fp10_a_breaker_that_raises_takes_back_the_opening_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its ladder would not move for three minutes, and find only then that it may not open.
    world = paper(tmp_path, world_is="quiet", **{"orders.ladder_step_s": "180"}).run("10:30")
    assert len(world.parts.gateway.working_children()) == 1
    monkeypatch.setattr(CircuitBreaker, "watch", broken)
    world.run("10:32")
    assert world.parts.gateway.working_children() == ()
    assert [at for at, _limit in world.limits("OPEN")] == ["10:30"]


def test_fp10_a_breaker_that_comes_back_releases_what_its_absence_caused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path, world_is="quiet").run("10:00")
    with monkeypatch.context() as while_broken:
        while_broken.setattr(CircuitBreaker, "watch", broken)
        world.run("10:01")
    world.run("10:30")
    assert [record["to"] for record in world.records("TRADING_STATE")] == ["REDUCING", "ACTIVE"]
    assert world.limits("OPEN")[0][0] == "10:30"


# ------------------------------------------------------------------------------------------- the coordinator as a whole


def faults(world: World) -> list[str]:
    return [record["text"] for record in world.records("ALERT") if record["code"] == "FAULT"]


def test_co1_a_coordinator_that_raises_in_every_step_still_leaves_by_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path).run("10:35")
    monkeypatch.setattr(Reconciler, "reconcile", broken)
    world.run("15:55")
    assert world.exits() == [("15:30", "EXIT_TIME")]
    assert world.trade.state is TradeState.CLOSED
    assert [record["to"] for record in world.records("TRADING_STATE")] == ["REDUCING"]
    # After three faults in half an hour it has failed, and is tried again at the next open.
    assert faults(world) == ["strategy_coordinator: ZeroDivisionError: a planted fault"] * 3
    assert world.host.engine.run_time_error is None
    assert sum("ERROR strategy_coordinator" in str(line) for line in world.host.engine.logs) == 3


def test_fp54_breaker_margin_sizer_and_coordinator_die_in_one_step_and_each_returns_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path, world_is="quiet").run("10:29")
    with monkeypatch.context() as while_broken:
        while_broken.setattr(CircuitBreaker, "watch", broken)
        while_broken.setattr(MarginManager, "watch", broken)
        while_broken.setattr(PositionSizer, "size", broken)
        while_broken.setattr(Reconciler, "reconcile", broken)
        world.run("10:31")
        assert world.limits("OPEN") == []
    world.run("10:33")
    assert [record["to"] for record in world.records("TRADING_STATE")] == ["REDUCING", "ACTIVE"]
    assert world.limits("OPEN")[0][0] == "10:32"


def test_co1_an_opening_at_work_is_cancelled_when_the_coordinator_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path, world_is="quiet").run("10:30")
    assert len(world.parts.gateway.working_children()) == 1
    monkeypatch.setattr(Reconciler, "reconcile", broken)
    world.run("10:32")
    assert world.parts.gateway.working_children() == ()


def test_what_fails_between_two_steps_is_contained_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = paper(tmp_path).run("10:35")
    monkeypatch.setattr(type(world.parts.gateway), "needs_attention", broken)
    world.run("15:55")
    assert len(faults(world)) == 3  # then it has failed, and is left out
    assert world.host.engine.run_time_error is None
    assert world.exits() == [("15:30", "EXIT_TIME")]
    assert world.trade.is_flat


def test_a_step_and_a_report_that_come_while_another_thread_steps_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = paper(tmp_path).run("10:30")
    assembly: Any = world.host.algorithm._assembly
    inside, go_on, steps = Event(), Event(), list[Any]()
    whole = assembly.coordinator.step

    def step(now: Any) -> None:
        steps.append(now)
        if len(steps) == 1:
            inside.set()
            assert go_on.wait(30)
        else:
            whole(now)

    monkeypatch.setattr(assembly.coordinator, "step", step)
    now = world.host.time
    first = Thread(target=assembly.step, args=(now + timedelta(minutes=1),))
    first.start()
    assert inside.wait(30)
    assembly.attend(now + timedelta(minutes=1))  # left out, and nobody is held up
    assembly.step(now + timedelta(minutes=2))  # handed over
    assert len(steps) == 1
    go_on.set()
    first.join(30)
    assert steps == [now + timedelta(minutes=1), now + timedelta(minutes=2)]
    assert not first.is_alive()
