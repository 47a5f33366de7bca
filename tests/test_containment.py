"""Live and paper, one failing part is isolated and the others go on; a backtest contains nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from risk.circuit_breaker import CircuitBreaker
from strategies.friday_0dte import Friday0dte
from tests.world import FRIDAY, World


def paper(tmp_path: Path, world_is: str = "filled") -> World:
    def prepare(world: World) -> None:
        world.condor(mid=2.70, half=0.40)
        if world_is == "filled":
            world.condor(mid=3.10, half=0.40, since="10:33")

    return World(
        prepare=prepare,
        parameters={"run.mode": "PAPER"},
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
