"""Rules of the book that no scenario of etf-rotation.md 10 plays, through the whole pipeline."""

from __future__ import annotations

from datetime import date

import pytest

from core.vocabulary import SplitEvent
from tests.etf_world import DAY, EtfWorld, on

TRIPLE = "10:05=0.80"
IN_AND_OUT = " ".join(f"{hour}:05=0.80 {hour}:20=0.50" for hour in (10, 11, 12, 13, 14))
"""Five holdings of a quarter of an hour."""
LONG_AGO = on("00:00", date(2025, 9, 2))


def opens(world: EtfWorld) -> list[tuple[str, str, int]]:
    return [(order[0], order[2], order[3]) for order in world.orders() if order[1] in ("OPEN", "ADD")]


def reasons(world: EtfWorld) -> set[str]:
    return {refusal[2] for refusal in world.refusals()}


# -------------------------------------------------------------------------------------------------------- the close


def test_rejected_closes_come_every_minute_then_every_second_one_then_twice_more() -> None:
    """8 children of one parent at 15, 14, 13, 12, 10, 8, 6, 4 minutes to go; a last parent at 2 and 1."""
    world = EtfWorld(TRIPLE)
    world.broker.fates = ["reject"] * 30
    world.run("16:15")
    closes = [record for record in world.records("ORDER_INTENT") if record["purpose"] == "CLOSE"]
    assert [record["at"][3:] for record in closes] == ["45", "46", "47", "48", "50", "52", "54", "56", "58", "59"]
    assert [record["intent"][-1] for record in closes] == ["1"] * 8 + ["2"] * 2
    assert world.breaches() == [("16:02", "P5")]


def test_what_is_left_five_minutes_before_the_close_is_told_once() -> None:
    world = EtfWorld(TRIPLE)
    world.broker.fates = ["reject"] * 8
    world.run("16:15")
    told = [record for record in world.records("ALERT") if record["code"] == "RESIDUAL"]
    assert [(record["at"], record["severity"]) for record in told] == [("15:55", "CRITICAL")]
    assert "352 TQQQ" in told[0]["text"]
    assert world.held() == {}, "closes go on"


def test_in_the_last_half_hour_a_triple_that_weakens_leaves_and_a_single_that_strengthens_stays() -> None:
    weaker = EtfWorld("15:00=0.80 15:31=0.68").run("15:44")
    assert [order[:3] for order in weaker.orders()] == [("15:01", "OPEN", "TQQQ"), ("15:31", "CLOSE", "TQQQ")]
    stronger = EtfWorld("15:00=0.62 15:31=0.80").run("15:44")
    assert [order[:3] for order in stronger.orders()] == [("15:01", "OPEN", "QQQ")]
    assert stronger.held() == {"QQQ": 59}


# --------------------------------------------------------------------------------------------------------- the caps


def test_below_25_000_the_fourth_day_trade_in_five_sessions_is_refused() -> None:
    count = {"etf_rotation.day_trade_rule": "count"}
    small = EtfWorld(IN_AND_OUT, cash=20_000.0, settings=count, end=date(2025, 11, 4)).run("15:59")
    assert [at for at, _symbol, _qty in opens(small)] == ["10:06", "11:06", "12:06"]
    assert ("13:06", "strategy", "DAY_TRADE_LIMIT") in small.refusals()
    for _day in range(5):
        small.next_session()
    assert len(opens(small)) == 3, "still three in five sessions"
    small.run("11:00")
    assert len(opens(small)) == 4, "the first day has left the window"


@pytest.mark.parametrize(("cash", "rule"), [(30_000.0, "count"), (20_000.0, "none")])
def test_a_larger_account_or_no_such_rule_trades_on(cash: float, rule: str) -> None:
    world = EtfWorld(IN_AND_OUT, cash=cash, settings={"etf_rotation.day_trade_rule": rule}).run("15:59")
    assert len(opens(world)) == 5


def test_an_opening_whose_close_would_not_fit_into_the_block_is_refused() -> None:
    caps = {"etf_rotation.orders_per_block_soft": "2", "etf_rotation.orders_per_block_hard": "5"}
    world = EtfWorld(IN_AND_OUT, settings=caps).run("15:59")
    assert [at for at, _symbol, _qty in opens(world)] == ["10:06", "11:06"]
    refused = [record for record in world.records("VERDICT") if record["reason"] == "OPEN_CAP_SESSION"]
    assert refused[0]["at"] == "12:06"
    assert refused[0]["detail"]["filled_in_block"] == 4


@pytest.mark.parametrize(("price", "leaves"), [(82.60, False), (82.50, True)])
def test_three_percent_of_the_sleeve_lost_is_the_end_of_the_session(price: float, leaves: bool) -> None:
    """30,000 USD of sleeve: 900 USD. 352 shares bought at 85.10; fees count."""
    world = EtfWorld(TRIPLE, end=date(2025, 10, 29))
    world.market.move("TQQQ", price, on("11:00"))
    world.market.move("TQQQ", 85.10, on("12:00"))
    world.run("15:40")
    assert (world.signals()["11:00"] == ("CASH", "SESSION_LOSS_LIMIT")) is leaves
    assert (world.signals()["15:40"] == ("CASH", "SESSION_LOSS_LIMIT")) is leaves
    assert bool(world.held()) is not leaves
    world.next_session().run("10:10")
    assert opens(world)[-1][0] == "10:06", "the next session begins anew"


# ------------------------------------------------------------------------------------------------------- VIX and quotes


@pytest.mark.parametrize(("vix", "opened"), [(29.9, ["TQQQ"]), (30.1, ["QQQ"]), (39.9, ["QQQ"]), (40.1, [])])
def test_above_30_the_single_share_and_above_40_nothing(vix: float, opened: list[str]) -> None:
    world = EtfWorld()
    world = EtfWorld(TRIPLE, market=world.market)
    world.market.move("VIX", vix, LONG_AGO)
    world.run("10:30")
    assert [symbol for _at, symbol, _qty in opens(world)][:1] == opened
    assert bool(opened) or reasons(world) & {"VIX_WINDOW", "VIX_CRISIS"}


def test_without_vix_nothing_is_opened_and_what_is_held_leaves_as_ever() -> None:
    world = EtfWorld("10:05=0.80 10:40=0.50 11:00=0.80")
    world.market.silence("VIX", on("10:20"), on("16:00"))
    world.run("11:10")
    assert [order[:2] for order in world.orders()] == [("10:06", "OPEN"), ("10:40", "CLOSE")]
    assert reasons(world) & {"VIX_STALE", "VIX_UNKNOWN"}


def test_a_wide_market_is_not_bought() -> None:
    world = EtfWorld(TRIPLE)
    world.market.spread = 0.30
    world.run("10:30")
    assert opens(world) == []
    assert reasons(world) & {"SPREAD_WIDE", "QUOTE_WIDE"}


def test_a_twentieth_of_the_usual_minute_is_the_most_that_is_bought() -> None:
    world = EtfWorld(TRIPLE)
    world.market.volume = 4_000.0
    world.run("10:08")
    assert opens(world)[0] == ("10:06", "TQQQ", 200)
    thin = EtfWorld(TRIPLE)
    thin.market.volume = 1_000.0
    thin.run("10:30")
    assert opens(thin) == []
    assert reasons(thin) == {"LIQUIDITY_CAP"}


# ------------------------------------------------------------------------------------------------------- halts, splits


def test_a_symbol_that_is_said_to_be_halted_is_not_opened() -> None:
    world = EtfWorld(TRIPLE)
    world.market.said_halted = frozenset({"TQQQ"})
    world.run("10:08")
    assert opens(world) == []
    assert ("10:06", "strategy", "HALT_SUSPECTED") in world.refusals()
    world.market.said_halted = frozenset()
    world.run("10:12")
    assert opens(world)[0][1] == "TQQQ"


def test_without_a_quote_for_ninety_seconds_nothing_is_opened_and_a_close_waits_for_the_first_one() -> None:
    world = EtfWorld("10:05=0.80 10:20=0.50")
    world.market.silence("TQQQ", on("10:17"), on("10:29"))
    world.run("10:35")
    assert [order[:2] for order in world.orders()] == [("10:06", "OPEN"), ("10:30", "CLOSE")]
    assert world.finish().audit() == []


def test_an_open_at_half_the_last_close_is_not_traded_unless_a_split_explains_it() -> None:
    plain = EtfWorld(TRIPLE)
    plain.market.move("TQQQ", 42.55, on("00:00"))
    plain.run("10:10")
    assert opens(plain) == []
    assert reasons(plain) == {"UNEXPLAINED_GAP"}
    split = EtfWorld(TRIPLE)
    split.market.move("TQQQ", 42.55, on("00:00"))
    split.assembly.coordinator.post(SplitEvent("TQQQ", 2, 1))
    split.run("10:10")
    assert opens(split)[0][1] == "TQQQ"


def test_parts_of_a_share_that_a_reverse_split_leaves_over_come_as_cash() -> None:
    world = EtfWorld(TRIPLE, settings={"account.brokerage": "TASTYTRADE"}, end=date(2025, 10, 29))
    world.broker.is_free = True
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.broker.fates = ["never"] * 20
    world.next_session()
    world.broker.fates = []
    tomorrow = date(2025, 10, 29)
    world.market.move("TQQQ", 255.30, on("00:00", tomorrow))
    world.split("TQQQ", 1, 3)  # 352 are 117 and a third
    world.broker.cash += round(255.30 / 3, 2)
    world.run("09:30", tomorrow)
    assert world.held() == {"TQQQ": 117}
    assert [record["amount_u6"] for record in world.records("CASH_FLOW")] == [85_100_000]
    world.run("16:15")
    assert [order[1:4] for order in world.orders() if order[1] == "SWEEP"] == [("SWEEP", "TQQQ", -117)]
    assert world.records("BREAK") == []
    assert tomorrow > DAY
