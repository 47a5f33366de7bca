"""A Friday through the whole product: data -> engine -> main.py -> order -> fill -> ledger, one scenario a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pytest

from core.ledger_sink import ChunkedSink
from core.ports import RawChain
from core.trade_machine import TradeState
from tests.world import (
    CALL,
    FRIDAY,
    INDEX_CLOSE,
    OPEN,
    PUT,
    SHORT_CALL,
    SHORT_PUT,
    SPX,
    SPY,
    STRIKES,
    THURSDAY,
    VIX,
    World,
    contract,
)


def condor(world: World) -> None:
    world.condor(mid=2.70, half=0.40)


def filled_at_the_third_offer(world: World) -> None:
    """The market comes to us after 10:32, so that the third offer (2.65) fills in the minute to 10:33."""
    condor(world)
    world.condor(mid=3.10, half=0.40, since="10:33")


def test_f0_01_the_ladder_walks_from_2_80_to_2_55_and_ends_without_a_fill() -> None:
    world = World(prepare=condor).run("10:34")
    assert world.limits("OPEN") == [("10:30", 2.80), ("10:31", 2.70), ("10:32", 2.65), ("10:33", 2.55)]
    size = world.records("SIZE")[0]
    assert size["units"] == 1
    assert size["scale_e6"] == 750_000
    assert world.records("INTENT")[0]["max_loss_u6"] == 755_480_000
    assert world.trade.state is TradeState.CANCELLED
    assert world.books.cash_u6 == 100_000_000_000


def test_three_ladders_in_the_window_and_no_more() -> None:
    world = World(prepare=condor).run("11:05")
    assert [record["at"] for record in world.records("INTENT")] == ["10:30", "10:35", "10:40"]
    assert world.refusals()[-1][1] == "ATTEMPTS_USED"


def test_an_order_fills_in_the_next_bar_at_its_extremes_and_the_trade_is_open() -> None:
    world = World(prepare=filled_at_the_third_offer).run("10:33")
    assert world.trade.state is TradeState.OPEN
    assert [(record["at"], record["qty"]) for record in world.records("FILL")] == [
        ("10:33", 1), ("10:33", -1), ("10:33", -1), ("10:33", 1),
    ]  # fmt: skip
    assert world.trade.entry_cash >= 2.65
    outcome = world.records("ORDER_OUTCOME")[-1]
    assert (outcome["outcome"], outcome["filled"], outcome["left"]) == ("FILLED", 1, 0)


@pytest.mark.parametrize(("prepare", "is_followed"), [(condor, True), (filled_at_the_third_offer, False)])
def test_after_its_trade_of_the_day_nobody_follows_the_chain(
    prepare: Callable[[World], None], is_followed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole chains cost the most of all that is read; an offer without a fill may be made again."""
    world, read = World(prepare=prepare).run("10:34"), list[str]()
    feed, chain = world.parts.feed, world.parts.feed.chain

    def counted(minute: datetime, root: str, expiry: date) -> RawChain | None:
        read.append(root)
        return chain(minute, root, expiry)

    monkeypatch.setattr(feed, "chain", counted)
    world.run("11:05")
    assert bool(read) is is_followed


def test_books_equal_the_broker_after_every_fill_and_at_the_end() -> None:
    world = World(prepare=filled_at_the_third_offer).finish()
    assert world.breaks() == []
    statement = world.records("BROKER_STATEMENT")[-1]
    assert statement["cash_u6"] + statement["unsettled_u6"] == world.books.cash_u6
    assert statement["holdings"] == []


@pytest.mark.parametrize(
    ("vix", "reason"), [(21.99, "VIX_WINDOW"), (22.00, None), (35.00, None), (35.01, "VIX_WINDOW")]
)
def test_f0_04_vix_from_22_to_35_inclusive(vix: float, reason: str | None) -> None:
    world = World(vix=vix, prepare=condor).run("10:30")
    assert (world.first_refusal() if reason else None) == reason
    assert bool(world.limits("OPEN")) is (reason is None)


@pytest.mark.parametrize(
    ("move_pct", "structure"),
    [(0.80, "CALL_SPREAD"), (-0.80, "PUT_SPREAD"), (0.50, "IRON_CONDOR"), (-0.50, "IRON_CONDOR")],
)
def test_f0_03_an_up_morning_sells_calls_and_a_down_morning_puts(move_pct: float, structure: str) -> None:
    world = World(move_pct=move_pct, prepare=condor).run("10:30")
    assert world.records("INTENT")[0]["structure"] == structure


@pytest.mark.parametrize("move_pct", [1.50, -1.50])
def test_f0_03_a_morning_that_ran_away_is_refused(move_pct: float) -> None:
    world = World(move_pct=move_pct, prepare=condor).run("10:30")
    assert world.first_refusal() == "MOVE_TOO_LARGE"


def test_f0_07_a_small_account_sells_five_wide_and_one_below_its_risk_gets_nothing() -> None:
    def five_wide(world: World) -> None:
        world.condor(mid=1.40, half=0.20, width=5.0)

    fits = World(cash=30_000.0, vix=24.0, prepare=five_wide).run("10:30")
    assert fits.records("SIZE")[0]["units"] == 1
    too_small = World(cash=24_000.0, vix=24.0, prepare=five_wide).run("10:30")
    assert too_small.first_refusal() == "SIZE_ZERO_RISK"
    assert too_small.limits("OPEN") == []


def test_f0_08_a_stop_needs_two_minutes_of_the_natural_price_and_leaves_urgently() -> None:
    world = World(prepare=filled_at_the_third_offer).run("10:33")
    cost = 2 * world.trade.entry_cash
    world.condor(mid=cost, half=0.40, since="13:00")
    world.run("13:01")
    assert world.exits() == [("13:01", "EXIT_STOP")]
    assert world.trade.state in (TradeState.EXITING, TradeState.CLOSED)
    world.run("13:10")
    assert world.trade.state is TradeState.CLOSED
    assert world.trade.exit_reason == "EXIT_STOP"
    assert world.trade.pnl_u6 < 0


def test_f0_09_a_target_is_bid_for_and_never_paid_a_tick_more_than_allowed() -> None:
    world = World(prepare=filled_at_the_third_offer).run("10:33")
    half_credit = world.trade.entry_cash / 2
    world.condor(mid=round(half_credit / 0.05) * 0.05 - 0.05, half=0.30, since="13:00")
    world.run("13:05")
    assert world.exits()[0] == ("13:00", "EXIT_TARGET")
    assert all(-limit <= half_credit + 0.05 + 1e-9 for _at, limit in world.limits("CLOSE"))


def test_f0_10_what_is_open_half_an_hour_before_the_close_leaves_then() -> None:
    world = World(prepare=filled_at_the_third_offer).run("15:29")
    assert world.trade.state is TradeState.OPEN
    world.run("15:30")
    assert world.exits() == [("15:30", "EXIT_TIME")]
    world.run("15:55")
    assert world.trade.is_flat


def test_f0_10_on_a_half_day_the_hard_exit_moves_with_the_close() -> None:
    half_day = date(2025, 11, 28)
    world = World(day=half_day, close=13 * 60, prepare=filled_at_the_third_offer).run("12:29")
    assert world.trade.state is TradeState.OPEN
    world.run("12:30")
    assert world.exits() == [("12:30", "EXIT_TIME")]
    world.run("12:55")
    assert world.trade.is_flat


def test_f0_11_a_bidless_wing_is_left_out_and_expires_while_no_short_ever_is() -> None:
    world = World(prepare=filled_at_the_third_offer).run("10:33")
    world.quote(SHORT_PUT - 10, PUT, None, 0.05, since="15:25")
    world.run("15:56")
    closing = world.records("ORDER_INTENT")[-1]
    assert {leg["symbol"] for leg in closing["legs"]} == {
        contract(SHORT_PUT, PUT).value, contract(SHORT_CALL, CALL).value, contract(SHORT_CALL + 10, CALL).value,
    }  # fmt: skip
    assert world.trade.legs == {contract(SHORT_PUT - 10, PUT).value: 1}
    assert world.states()[-1] == "SETTLING"
    world.finish()
    assert world.states()[-1] == "CLOSED"
    assert [record["result"] for record in world.records("EXPIRY")] == ["WORTHLESS"]


def test_what_leans_statistics_say_at_the_end_is_what_the_ledger_says() -> None:
    world = World(prepare=filled_at_the_third_offer).run("15:00")
    shown = world.host.engine.runtime_statistics
    assert shown["Open trades"] == "0", "a backtest's are those of a close"
    world.finish()
    (closed,) = world.records("TRADE_CLOSED")
    assert shown["Closed trades"] == "1"
    assert shown["Result USD"] == f"{closed['pnl_u6'] / 1e6:,.2f}"
    assert shown["Ledger head"] == world.parts.ledger.head()[:16]


def test_what_is_shown_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live, another thread may be in a step, and in the ledger, while statistics and charts are made."""
    world = World(prepare=filled_at_the_third_offer).run("10:45")
    assembly = world.host.algorithm._assembly
    written: list[str] = []
    monkeypatch.setattr(ChunkedSink, "write", lambda _sink, line: written.append(line))
    shown = dict(assembly._statistics())
    assert (shown["Open trades"], len(shown["Ledger head"])) == ("1", 16)
    assert not [*assembly.chart_points(), *written]


def test_f0_14_on_a_cpi_day_nothing_is_opened() -> None:
    world = World(day=date(2025, 10, 24), prepare=condor).run("10:30")
    assert world.first_refusal() == "EVENT_CPI"


def test_f0_14_exactly_two_hours_after_the_payrolls_the_entry_is_allowed() -> None:
    world = World(day=date(2025, 9, 5), prepare=condor).run("10:30")
    assert world.limits("OPEN")
    assert not [reason for _at, reason in world.refusals() if reason.startswith("EVENT")]


def test_ux_02_a_working_target_is_cancelled_when_the_stop_comes_and_urgent_takes_its_place() -> None:
    world = World(prepare=filled_at_the_third_offer).run("10:33")
    credit = world.trade.entry_cash
    world.condor(mid=round(credit / 2, 1) - 0.10, half=0.30, since="13:00")
    for strike, right in ((SHORT_PUT, PUT), (SHORT_CALL, CALL)):
        world.quote(strike, right, 4.0, 4.2, since="13:01")
    world.run("13:03")
    reasons = [reason for _at, reason in world.exits()]
    assert reasons[0] == "EXIT_TARGET"
    assert "EXIT_STOP" in reasons
    outcomes = {record["order"]: record["outcome"] for record in world.records("ORDER_OUTCOME")}
    first_close = next(order for order in outcomes if "|CLOSE|1" in order)
    assert outcomes[first_close] in ("CANCELLED", "FILLED")


def test_a_day_without_vix_is_refused_minute_by_minute_and_nothing_is_traded() -> None:
    def no_vix(world: World) -> None:
        condor(world)
        for at in range(OPEN + 1, INDEX_CLOSE + 1):
            world.source.remove_bar(VIX, world.day, at)

    world = World(prepare=no_vix).finish()
    assert {reason for _at, reason in world.refusals()} == {"VIX_UNKNOWN"}
    assert len(world.refusals()) == 31
    assert world.limits("OPEN") == []


def test_fp57_a_vix_that_falls_silent_stops_entries_and_no_value_is_invented() -> None:
    def silent(world: World) -> None:
        condor(world)
        for at in range(10 * 60 + 20, INDEX_CLOSE + 1):
            world.source.remove_bar(VIX, world.day, at)

    world = World(prepare=silent).run("10:30")
    assert world.first_refusal() == "VIX_STALE"


def test_fp18_an_empty_chain_is_refused_and_entered_when_it_comes_in_the_same_window() -> None:
    def late_chain(world: World) -> None:
        condor(world)
        for strike in STRIKES:
            for right in (PUT, CALL):
                for at in range(OPEN + 1, 10 * 60 + 40):
                    world.source.remove_quote(contract(strike, right), world.day, at)

    world = World(prepare=late_chain).run("10:45")
    assert world.first_refusal() == "CHAIN_EMPTY"
    assert world.limits("OPEN")[0][0] == "10:40"


def test_fp55_a_silent_feed_reduces_and_the_deadline_still_fires() -> None:
    world = World(prepare=filled_at_the_third_offer).run("10:33")
    for at in range(13 * 60, 16 * 60 + 16):
        for symbol in (SPY, SPX, VIX):
            world.source.remove_bar(symbol, world.day, at)
        world.source.remove_quote(SPY, world.day, at)
        for strike in STRIKES:
            for right in (PUT, CALL):
                world.source.remove_quote(contract(strike, right), world.day, at)
    world.run("15:40")
    states = world.records("TRADING_STATE")
    assert (states[0]["to"], states[0]["cause"]) == ("REDUCING", "feed.silent")
    assert ("EXIT_TIME") in [reason for _at, reason in world.exits()]


def test_the_same_run_twice_gives_the_same_ledger_and_another_seed_another() -> None:
    def head(**parameters: str) -> str:
        world = World(prepare=filled_at_the_third_offer, parameters=parameters).finish()
        return str(world.records("RUN_ENDED")[0]["hash"])

    assert head() == head()
    assert head() != head(**{"run.seed": "8"})


def test_an_unknown_setting_stops_the_start_with_one_sentence() -> None:
    world = World(parameters={"friday_0dte.vix_mim": "20"}, prepare=condor)
    error = world.host.engine.run_time_error
    assert error is not None
    assert "friday_0dte.vix_mim = '20': no setting has this name. Did you mean friday_0dte.vix_min?" in error.text
    world.host.finish()


def test_a_programming_error_ends_a_backtest_after_the_ledger_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(prepare=condor).run("10:00")

    def broken(*_args: object) -> None:
        raise ZeroDivisionError("a planted fault")

    monkeypatch.setattr(type(world.parts.strategies[0]), "enter", broken)
    world.host.advance(until=None)
    error = world.host.engine.run_time_error
    assert error is not None
    assert "a planted fault" in error.text
    assert world.records("RUN_ENDED")[0]["reason"] == "ERROR"


def test_a_run_that_begins_the_day_before_enters_on_the_last_session_of_the_week_alone() -> None:
    world = World(prepare=condor, parameters={"run.start": THURSDAY.isoformat()}).run("10:31")
    assert [record["date"] for record in world.records("SESSION_OPENED")] == [THURSDAY.isoformat(), FRIDAY.isoformat()]
    assert world.limits("OPEN")[0][0] == "10:30"


def test_fn_p1_every_minute_of_the_session_has_one_outcome() -> None:
    world = World(prepare=filled_at_the_third_offer).finish()
    funnel = world.records("FUNNEL")[0]["counts"]
    assert sum(funnel.values()) == 390
    assert funnel["OPENED"] == 1
