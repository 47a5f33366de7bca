"""What a person sees of the ETF book while it runs: principles, chart, alerts, published heads of the ledger."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from audit.verdict import judge_lines
from core.family import SYMBOLS
from tests.etf_world import EtfWorld, on
from tests.test_friday_pipeline import filled_at_the_third_offer
from tests.world import World

UP = "10:05=0.80"
PRINCIPLES = {
    "ETF P1 cash", "ETF P2 one side", "ETF P3 one open a bar", "ETF P4 no shorts", "ETF P5 flat at night",
    "ETF P6 utilisation",
}  # fmt: skip


def stuck_overnight() -> EtfWorld:
    """352 TQQQ that nobody buys before the close, and no auction to sell them in."""
    world = EtfWorld(UP, settings={"account.brokerage": "TASTYTRADE"}, end=date(2025, 10, 30))
    world.market.silence("TQQQ", on("15:41"), on("16:00"))
    world.broker.fates = ["never"] * 20
    return world


def test_every_principle_has_its_statistic_and_holds() -> None:
    world = EtfWorld(UP).run("16:10")
    shown = {name: text for name, text in world.statistics.items() if name in PRINCIPLES}
    assert shown == dict.fromkeys(PRINCIPLES, "ok")
    assert world.statistics["ETF book"] == "trading"


def test_a_breach_is_counted_alerted_at_once_and_the_book_is_shown_halted() -> None:
    world = stuck_overnight().run("16:15")
    assert world.breaches() == [("16:02", "P5")]
    assert world.statistics["ETF P5 flat at night"] == "BROKEN, breached 1 time"
    assert world.statistics["ETF P1 cash"] == "ok"
    assert world.statistics["ETF book"] == "HALTED"
    said = [line for line in world.log if "PRINCIPLE_BREACH" in line]
    assert said == ["ERROR CRITICAL etf_rotation PRINCIPLE_BREACH: P5: 352 TQQQ held after the close."]


def test_a_breach_that_is_mended_stays_counted() -> None:
    world = stuck_overnight().run("16:15")
    world.broker.fates = []
    world.next_session().run("10:00")
    assert world.held() == {}
    assert world.statistics["ETF P5 flat at night"] == "breached 1 time"


def test_the_chart_shows_the_side_that_is_held_cash_and_openings() -> None:
    world = EtfWorld("10:05=0.80 10:19=0.20").run("16:10")
    series = {name for _at, name, _value in world.chart}
    assert series >= {"Long exposure %", "Inverse exposure %", "Cash %", "Opens in the bar"}
    long = {f"{at:%H:%M}": value for at, name, value in world.chart if name == "Long exposure %"}
    inverse = {f"{at:%H:%M}": value for at, name, value in world.chart if name == "Inverse exposure %"}
    assert long["10:07"] == pytest.approx(90, abs=1)  # three times 30 % of equity
    assert inverse["10:25"] == pytest.approx(-90, abs=1)
    assert long["16:00"] == inverse["16:00"] == 0
    assert all(not (long[at] and inverse[at]) for at in long)
    cash = [value for _at, name, value in world.chart if name == "Cash %"]
    assert min(cash) == pytest.approx(70, abs=1)
    assert max(value for _at, name, value in world.chart if name == "Opens in the bar") <= 1


def test_a_long_run_keeps_its_chart_below_what_lean_keeps() -> None:
    stress = {"etf_rotation.confirm_bars": "1", "etf_rotation.min_hold_bars": "0", "etf_rotation.cooldown_bars": "0"}
    world = EtfWorld(
        settings={"etf_rotation.signal.source": "alternating", **stress}, end=date(2030, 10, 28)
    ).run("16:10")  # fmt: skip
    points = [at for at, name, _value in world.chart if name == "Cash %"]
    assert len(world.fills()) > 20
    assert 1 <= len(points) <= 3
    assert f"{points[-1]:%H:%M}" == "16:00"


def test_every_close_publishes_the_head_of_the_ledger() -> None:
    world = EtfWorld(UP, end=date(2025, 10, 29)).run("16:10")
    world.next_session().run("16:10")
    anchors = world.records("ANCHOR")
    lines = world.finish().store.joined(world.assembly.run).splitlines(keepends=True)
    assert len(anchors) == 2
    for anchor in anchors:
        assert json.loads(lines[anchor["head_seq"]])["hash"] == anchor["head_hash"]
    last = anchors[-1]
    assert world.statistics["Ledger anchor"] == f"{last['head_seq']}:{last['head_hash']}"
    judged = judge_lines(lines, anchors={last["head_seq"]: last["head_hash"]})
    assert judged.anchored == 1
    assert judged.exit_code == 0


def test_a_rewritten_ledger_does_not_match_the_anchor_that_was_published() -> None:
    kept = EtfWorld(UP).run("16:10").statistics["Ledger anchor"]
    seq, _, digest = kept.partition(":")
    # The same day again, whole and consistent in itself, but with another opening.
    other = EtfWorld("10:06=0.80").finish()
    lines = other.store.joined(other.assembly.run).splitlines(keepends=True)
    assert judge_lines(lines).exit_code == 0
    assert judge_lines(lines, anchors={int(seq): digest}).exit_code == 1


def test_a_paper_run_says_its_anchors_in_the_log() -> None:
    world = EtfWorld(settings={"run.mode": "PAPER"}).run("16:10")
    anchor = world.records("ANCHOR")[0]
    assert f"Ledger anchor {anchor['head_seq']}:{anchor['head_hash']}" in world.log


def test_a_backtest_does_not_spend_its_log_on_openings() -> None:
    world = EtfWorld(UP).run("16:10")
    assert world.fills()
    assert [line for line in world.log if "opening" in line] == []


def silent(*symbols: str, days: int = 1) -> EtfWorld:
    world = EtfWorld(UP, end=date(2025, 10, 30))
    for symbol in symbols:
        world.market.silence(symbol, on("09:00"), on("16:30") + timedelta(days=days - 1))
    return world


def test_without_any_data_the_book_says_so_once_and_stays_in_cash() -> None:
    world = silent(*SYMBOLS, days=2).run("16:10").next_session().run("16:10")
    said = [line for line in world.log if "ETF_DATA_MISSING" in line]
    assert said == [
        "WARNING etf_rotation ETF_DATA_MISSING: no minute of QQQ, TQQQ, PSQ, SQQQ since the open: the book stays in "
        "CASH. Bring the data, or disable the book."
    ]
    assert {target for target, _reason in world.signals().values()} == {"CASH"}
    assert world.orders() == []


def test_data_that_come_back_and_go_again_are_told_again() -> None:
    world = silent("TQQQ").run("16:10")
    world.next_session().run("10:30")
    assert world.held() == {"TQQQ": 352}
    assert world.alerts().count("ETF_DATA_MISSING") == 1


def test_one_missing_share_is_not_traded_and_the_signal_goes_on() -> None:
    world = silent("TQQQ").run("10:30")
    assert world.signals()["10:06"] == ("TQQQ", "ALLOWED")
    assert world.orders() == []
    text = next(record["text"] for record in world.records("ALERT"))
    assert text.startswith("no minute of TQQQ since the open: they are not traded.")


def test_the_friday_book_trades_where_the_shares_have_no_data() -> None:
    friday = World(parameters={"etf_rotation.enabled": "true"}, prepare=filled_at_the_third_offer).finish()
    alone = World(prepare=filled_at_the_third_offer).finish()
    money = [(record["at"], record["symbol"], record["price_u6"]) for record in friday.records("FILL")]
    assert money == [(record["at"], record["symbol"], record["price_u6"]) for record in alone.records("FILL")]
    assert money
    assert [record["code"] for record in friday.records("ALERT")].count("ETF_DATA_MISSING") == 1
    assert friday.breaks() == []
