"""The ETF book through the whole core, scenario by scenario (etf-rotation.md 10), and judged by the auditor."""

from __future__ import annotations

from datetime import date

import pytest

from core.family import Standing
from tests.etf_world import DAY, EtfWorld, on

UP, DOWN = "0.80", "0.20"
HALF_DAY = date(2025, 11, 28)
QUIET_DAY = date(2025, 11, 4)
"""No release, no earnings season: the margin buffer is its base, and 80 % of equity are free at noon."""
STRESS = {
    "etf_rotation.confirm_bars": "1",
    "etf_rotation.min_hold_bars": "0",
    "etf_rotation.cooldown_bars": "0",
}
ALTERNATING = {"etf_rotation.signal.source": "alternating"}
NO_AUCTION = {"account.brokerage": "TASTYTRADE"}
INTEGRITY = {"etf_rotation.sleeve_fraction": "0.75", "etf_rotation.max_exposure_fraction": "2.25"}
TRIPLE = "10:05=0.80"
"""TQQQ: 352 shares, sent 10:06, filled 10:07."""


def clean(world: EtfWorld) -> bool:
    """Finish the run and let the auditor judge it."""
    assert world.finish().audit() == []
    return True


def test_etf_s01_the_second_bar_opens_the_single_share_by_a_limit() -> None:
    world = EtfWorld("10:05=0.62 10:06=0.63").run("10:10")
    assert world.signals()["10:05"] == ("CASH", "NOT_CONFIRMED")
    assert world.signals()["10:06"] == ("QQQ", "ALLOWED")
    assert world.orders() == [("10:06", "OPEN", "QQQ", 59, 500.50)]
    assert world.fills() == [("10:07", "QQQ", 59)]
    assert clean(world)


def test_an_opening_is_settled_a_minute_after_its_one_minute_has_passed() -> None:
    world = EtfWorld(TRIPLE).run("10:06")
    entering = [record for record in world.records("TRADE_STATE") if record["to"] == "ENTERING"]
    assert [record["deadline"] for record in entering] == ["2025-10-28T14:08:00.000000Z"]


def test_etf_s02_the_triple_share() -> None:
    world = EtfWorld(TRIPLE).run("10:10")
    assert world.orders() == [("10:06", "OPEN", "TQQQ", 352, 85.19)]
    fill = world.records("FILL")[0]
    assert fill["fee_u6"] == 1_760_000
    assert world.held() == {"TQQQ": 352}
    assert clean(world)


def test_etf_s03_a_switch_sells_now_and_buys_in_the_next_step() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.68").run("10:25")
    assert [order[:4] for order in world.orders()] == [
        ("10:06", "OPEN", "TQQQ", 352), ("10:19", "CLOSE", "TQQQ", -352), ("10:20", "OPEN", "QQQ", 59),
    ]  # fmt: skip
    assert world.held() == {"QQQ": 59}
    assert clean(world)


def test_etf_s04_to_the_other_side_it_waits_five_bars_from_the_close_fill() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.20").run("10:30")
    assert [order[:3] for order in world.orders()] == [
        ("10:06", "OPEN", "TQQQ"), ("10:19", "CLOSE", "TQQQ"), ("10:24", "OPEN", "SQQQ"),
    ]  # fmt: skip
    assert world.signals()["10:23"] == ("CASH", "COOLDOWN")
    assert clean(world)


def test_etf_s05_inside_the_hysteresis_nothing_is_sent() -> None:
    world = EtfWorld("10:05=0.61 10:20=0.59 10:30=0.56 10:40=0.55 10:50=0.549").run("11:00")
    assert [order[:3] for order in world.orders()] == [("10:06", "OPEN", "QQQ"), ("10:50", "CLOSE", "QQQ")]
    assert clean(world)


def test_etf_s06_an_alternating_signal_opens_nothing() -> None:
    world = EtfWorld(settings=ALTERNATING).run("15:59")
    assert world.orders() == []
    assert clean(world)


def test_etf_s06_under_the_stress_policy_the_sessions_cap_holds() -> None:
    world = EtfWorld(settings=ALTERNATING | STRESS).run("15:59")
    opens = [order for order in world.orders() if order[1] == "OPEN"]
    assert len(opens) == 20
    assert ("strategy", "OPEN_CAP_SESSION") in {refusal[1:] for refusal in world.refusals()}
    assert world.breaches() == []
    assert clean(world)


def test_etf_s07_a_rise_of_four_percent_is_left_alone_and_one_of_twelve_is_sold_down_to_the_target() -> None:
    world = EtfWorld(TRIPLE)
    world.market.move("TQQQ", round(85.19 * 1.04, 2), on("11:00"))
    world.market.move("TQQQ", round(85.19 * 1.12, 2), on("12:00"))
    world.run("11:59")
    assert len(world.orders()) == 1
    world.run("12:05")
    assert [order[1:4] for order in world.orders()[1:]] in ([("REDUCE", "TQQQ", -26)], [("REDUCE", "TQQQ", -27)])
    assert world.books.open_trades("etf_rotation")[0].state == "OPEN"
    assert clean(world)


def test_etf_s08_what_a_limit_left_unfilled_is_cancelled_and_added_in_a_later_bar() -> None:
    world = EtfWorld(TRIPLE)
    world.broker.limit_fates = ["part:200"]
    world.run("10:15")
    first, second = world.orders()
    assert first[:4] == ("10:06", "OPEN", "TQQQ", 352)
    assert second[1:3] == ("ADD", "TQQQ")
    assert 150 <= second[3] <= 153
    assert [record["outcome"] for record in world.records("ORDER_OUTCOME")] == ["CANCELLED", "FILLED"]
    assert world.held() == {"TQQQ": 200 + second[3]}
    assert clean(world)


def test_etf_s09_after_a_partial_close_the_rest_is_worked_and_nothing_opens() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.68")
    world.broker.fates = ["part:300", "reject", "fill"]
    world.run("10:25")
    assert [order[:4] for order in world.orders()] == [
        ("10:06", "OPEN", "TQQQ", 352), ("10:19", "CLOSE", "TQQQ", -352), ("10:20", "CLOSE", "TQQQ", -52),
        ("10:21", "CLOSE", "TQQQ", -52), ("10:22", "OPEN", "QQQ", 59),
    ]  # fmt: skip
    assert clean(world)


def test_etf_s10_three_quarters_of_equity_leave_a_quarter_in_cash() -> None:
    world = EtfWorld("11:59=0.62", day=QUIET_DAY, settings=INTEGRITY).run("12:05")
    assert world.orders() == [("12:00", "OPEN", "QQQ", 149, 500.50)]
    assert world.books.cash_u6 >= 25_424_500_000
    assert clean(world)


@pytest.mark.parametrize(("settled", "shares"), [(40_000.0, 69), (15_000.0, 0)])
def test_etf_s11_a_cash_account_spends_what_has_settled(settled: float, shares: int) -> None:
    world = EtfWorld("11:59=0.62", settings=INTEGRITY | {"account.type": "CASH"})
    world.run("11:58")
    world.broker.cash, world.broker.unsettled = settled, 100_000.0 - settled
    world.run("12:05")
    assert [order[3] for order in world.orders()] == ([shares] if shares else [])
    if not shares:
        assert ("12:00", "sizer", "UNSETTLED_FUNDS") in world.refusals()


def test_etf_s12_from_half_an_hour_before_the_close_nothing_comes() -> None:
    world = EtfWorld("15:29=0.90").run("16:10")
    assert world.signals()["15:29"] == ("CASH", "NOT_CONFIRMED")
    assert world.signals()["15:30"] == ("CASH", "SESSION_PHASE")
    assert world.orders() == []


def test_etf_s12_a_half_day_flattens_a_quarter_to_one() -> None:
    world = EtfWorld("11:05=0.80 12:29=0.90", day=HALF_DAY).run("12:29")
    assert world.held() == {"TQQQ": 352}
    world.run("12:45")
    assert [order[:4] for order in world.orders()][1:] == [("12:45", "CLOSE", "TQQQ", -352)]
    assert world.held() == {}
    assert clean(world)


def test_etf_s13_rejected_closes_are_sent_again_in_the_next_step() -> None:
    world = EtfWorld(TRIPLE)
    world.broker.fates = ["reject", "reject"]
    world.run("16:10")
    closes = [order for order in world.orders() if order[1] == "CLOSE"]
    assert [order[0] for order in closes] == ["15:45", "15:46", "15:47"]
    assert {record["intent"] for record in world.records("ORDER_INTENT") if record["purpose"] == "CLOSE"} == {
        "etf_rotation-20251028-1|CLOSE|1"
    }
    assert world.held() == {}
    assert clean(world)


def test_etf_s14_a_halted_holding_is_sold_in_the_closing_auction() -> None:
    world = EtfWorld(TRIPLE)
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.run("16:10")
    auction = [record for record in world.records("ORDER_INTENT") if record["purpose"] != "OPEN"]
    assert [(record["at"], record["type"], record["tif"]) for record in auction] == [
        ("15:44", "MARKET_ON_CLOSE", "GTC")
    ]
    assert world.fills()[-1] == ("16:00", "TQQQ", -352)
    assert world.breaches() == []
    assert clean(world)


def test_etf_s15_a_symbol_that_trades_again_is_taken_back_from_the_auction_and_sold_once() -> None:
    world = EtfWorld(TRIPLE)
    world.market.silence("TQQQ", on("15:41"), on("15:46"))
    world.run("16:10")
    after = [(record["at"], record["type"]) for record in world.records("ORDER_INTENT") if record["purpose"] != "OPEN"]
    assert after[0] == ("15:44", "MARKET_ON_CLOSE")
    assert after[1][1] == "MARKET"
    assert "15:47" <= after[1][0] <= "15:48"
    assert [fill for fill in world.fills() if fill[2] < 0] == [(after[1][0], "TQQQ", -352)]
    assert clean(world)


def test_etf_s16_without_an_auction_a_holding_that_cannot_be_sold_is_a_breach_and_is_swept() -> None:
    world = EtfWorld("10:05=0.80", settings=NO_AUCTION, end=date(2025, 10, 30))
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.broker.fates = ["never"] * 20
    world.run("16:15")
    assert world.breaches() == [("16:02", "P5")]
    assert "MOC_UNSUPPORTED" in world.alerts()
    world.broker.fates = []
    world.next_session().run("10:20")
    tomorrow = [order for order in world.orders() if order[1] == "SWEEP"]
    assert [(order[0], order[3]) for order in tomorrow] == [("09:31", -352)]
    assert world.held() == {}
    assert not [order for order in world.orders()[-1:] if order[1] == "OPEN"]
    assert set(world.signals().values()) >= {("CASH", "BOOK_HALTED")}
    world.next_session().run("10:20")
    assert world.orders()[-1][1] == "OPEN"


@pytest.mark.parametrize(("word", "opened_on"), [("", []), ("2025-10-30", ["2025-10-30"])])
def test_a_halt_for_a_short_waits_for_the_operators_word(word: str, opened_on: list[str]) -> None:
    """A clean session alone releases P3 and P5; P1, P2 and P4 say that nobody knows what happened."""
    world = EtfWorld(TRIPLE, end=date(2025, 10, 30), settings={"etf_rotation.resume_dates": word})
    world.run("10:00")
    short = Standing(cash_u6=world.books.cash_u6, quantities={"QQQ": -5})
    world.family._parts.monitor.check(short, DAY)
    world.next_session().next_session().run("10:10")
    assert sorted({record["time"][:10] for record in world.records("ORDER_INTENT")}) == opened_on
    assert world.signals()["10:00"][1] == ("BOOK_HALTED" if not word else "SIGNAL_WARMING_UP")


def test_etf_s17_a_close_whose_fill_is_lost_is_not_sold_twice_and_is_booked_from_the_query() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.68")
    world.broker.fates = ["lost"]
    world.run("10:40")
    sales = [order for order in world.orders() if order[3] < 0]
    assert sales == [("10:19", "CLOSE", "TQQQ", -352, None)]
    assert [(record["at"], record["status"]) for record in world.records("BREAK")][:1] == [("10:20", "OPEN")]
    recovered = [record for record in world.records("FILL") if record["source"] == "RECOVERED"]
    assert [(record["symbol"], record["qty"]) for record in recovered] == [("TQQQ", -352)]
    assert min(order[0] for order in world.orders() if order[1] == "OPEN" and order[2] == "QQQ") > recovered[0]["at"]
    assert world.breaches() == []
    assert clean(world)


def test_etf_s18_a_split_scales_the_orphan_and_all_of_it_is_swept() -> None:
    world = EtfWorld(TRIPLE, settings=NO_AUCTION, end=date(2025, 10, 29))
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.broker.fates = ["never"] * 20
    world.next_session()
    world.broker.fates = []
    world.market.move("TQQQ", 42.55, on("00:00", date(2025, 10, 29)))
    world.split("TQQQ", 2, 1)
    world.run("09:30")
    assert world.held() == {"TQQQ": 704}
    world.run("09:40")
    assert [(order[0], order[3]) for order in world.orders() if order[1] == "SWEEP"] == [("09:31", -704)]
    assert world.records("BREAK") == []


def test_etf_s19_shares_that_nobody_can_explain_are_left_alone_and_lock_the_family() -> None:
    world = EtfWorld(TRIPLE, held={"QQQ": 100}).run("16:10")
    assert world.orders() == []
    assert world.broker.held == {"QQQ": 100}
    assert ("10:06", "lifecycle", "BREAK_FOREIGN") in world.refusals()
    told = [record for record in world.records("ALERT") if record["code"] == "BREAK_FOREIGN"]
    assert [(record["severity"], record["text"][:7]) for record in told] == [("CRITICAL", "100 QQQ")]


def test_etf_s20_three_bars_without_a_number_hold_and_the_fourth_leaves() -> None:
    world = EtfWorld("10:05=0.80 10:20=nan").run("10:25")
    assert [world.signals()[at] for at in ("10:20", "10:21", "10:22", "10:23")] == [
        ("TQQQ", "SIGNAL_INVALID"), ("TQQQ", "SIGNAL_INVALID"), ("TQQQ", "SIGNAL_INVALID"), ("CASH", "SIGNAL_INVALID"),
    ]  # fmt: skip
    assert world.orders()[-1][:4] == ("10:23", "CLOSE", "TQQQ", -352)
    assert clean(world)


def test_an_ordinary_day_ends_flat_and_the_auditor_finds_nothing() -> None:
    world = EtfWorld(TRIPLE).run("16:15")
    assert world.orders()[-1][:4] == ("15:45", "CLOSE", "TQQQ", -352)
    assert world.held() == {}
    trade = next(iter(world.books.trades))
    assert (trade.state, trade.exit_reason) == ("CLOSED", "EXIT_FLATTEN")
    assert world.day == DAY
    assert clean(world)
