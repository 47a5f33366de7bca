"""The order of things within a step, and how runs end."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from engine.algorithm import QCAlgorithm
from engine.enums import Resolution
from engine.errors import SimulatedDeath
from engine.host import EngineJob, Host
from engine.results import RunStatus
from engine.schedule import ScheduledEvent
from engine.slice import Slice
from tests.engine.desk import (
    FRIDAY,
    MONDAY,
    SPX,
    SPY,
    Desk,
    Market,
    minute,
    run,
    started,
    times,
    trade,
    when,
)

TUESDAY = date(2025, 1, 7)
WEDNESDAY = date(2025, 1, 8)


@pytest.fixture
def market() -> Market:
    return Market().session(FRIDAY)


def test_fills_come_before_scheduled_events_and_those_before_data(market: Market) -> None:
    def note_data(desk: Desk, data: Slice) -> None:
        if desk.time == when(FRIDAY, "10:01"):
            desk.note("data")

    desk = trade(
        market,
        at={"10:00": lambda desk: desk.limit_order(SPY, 1, 600.0), "10:01": lambda desk: desk.note("scheduled")},
        on_data=note_data,
    )

    assert [line.what for line in desk.heard if line.time == "03 10:01"] == ["FILLED", "scheduled", "data"]


def test_a_scheduled_event_sees_the_bar_that_ends_at_its_time(market: Market) -> None:
    market.source.set_bar(SPY, FRIDAY, minute("10:00"), 501.0)
    market.source.set_bar(SPY, FRIDAY, minute("10:01"), 502.0)

    desk = trade(market, at={"10:00": lambda desk: desk.keep(desk.securities[SPY].price)})

    assert desk.results == [501.0]


def test_events_between_two_slices_run_at_their_own_time_on_the_data_before_them(market: Market) -> None:
    market.session(MONDAY, stock=510.0)

    def look(desk: Desk) -> None:
        desk.note("look", desk.securities[SPY].price)

    desk = trade(market, end=MONDAY, at={"20:00": look})

    # Sunday's and Friday's run when Monday's first slice comes; Monday's has no slice after it and never runs.
    looked = [(line.time, line.values) for line in desk.heard if line.what == "look"]
    assert looked == [("03 20:00", (500.0,)), ("04 20:00", (500.0,)), ("05 20:00", (500.0,))]


def test_events_of_one_minute_fire_in_leans_changing_order() -> None:
    # The order measured on LEAN for six events of one minute on three days (lean_lab surprise 6).
    market = Market().session(MONDAY).session(TUESDAY).session(WEDNESDAY)
    fired: dict[int, list[int]] = {}

    def schedule(desk: Desk) -> None:
        for number in range(6):
            desk.schedule.on(
                desk.date_rules.every_day(SPY),
                desk.time_rules.at(10, 0),
                lambda number=number: fired.setdefault(desk.time.day, []).append(number),
            )

    trade(market, start=MONDAY, end=WEDNESDAY, set_up=schedule)

    assert fired == {6: [0, 1, 2, 3, 4, 5], 7: [0, 4, 5, 2, 3, 1], 8: [0, 3, 1, 5, 2, 4]}


def test_rules_without_a_symbol_fire_on_days_without_a_session_too() -> None:
    market = Market().session(FRIDAY).session(MONDAY)

    def schedule(desk: Desk) -> None:
        every, rules = desk.date_rules.every_day, desk.time_rules
        desk.schedule.on(every(), rules.at(12, 0), lambda: desk.note("all"))
        desk.schedule.on(every(SPY), rules.at(12, 0), lambda: desk.note("sessions"))
        desk.schedule.on(every(SPY), rules.after_market_open(SPY, 5), lambda: desk.note("opened"))
        desk.schedule.on(every(SPX), rules.before_market_close(SPX, 10), lambda: desk.note("closing"))
        desk.schedule.on(desk.date_rules.week_start(SPY), rules.at(9, 45), lambda: desk.note("week"))

    desk = trade(market, end=MONDAY, with_chain=True, set_up=schedule)

    def fired(what: str) -> list[str]:
        return times(line for line in desk.heard if line.what == what)

    assert fired("all") == ["03 12:00", "04 12:00", "05 12:00", "06 12:00"]
    assert fired("sessions") == ["03 12:00", "06 12:00"]
    assert fired("opened") == ["03 09:35", "06 09:35"]
    assert fired("closing") == ["03 16:05", "06 16:05"]
    assert fired("week") == ["06 09:45"]


def test_a_repeated_pulse_fires_round_the_clock_and_can_be_removed(market: Market) -> None:
    events: list[ScheduledEvent] = []

    def pulse(desk: Desk) -> None:
        desk.note("pulse")
        if desk.time.hour == 12:
            desk.schedule.remove(events[0])

    def schedule(desk: Desk) -> None:
        rule = desk.time_rules.every(timedelta(hours=4))
        events.append(desk.schedule.on(desk.date_rules.every_day(), rule, lambda: pulse(desk)))

    desk = trade(market.session(MONDAY), end=MONDAY, set_up=schedule)

    pulses = times(line for line in desk.heard if line.what == "pulse")
    assert pulses == ["03 00:00", "03 04:00", "03 08:00", "03 12:00"]


@pytest.mark.parametrize("hook", ["initialize", "scheduled", "data", "event"])
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_exception_in_any_hook_ends_the_run_without_on_end_of_algorithm(
    market: Market, hook: str, error: type[BaseException]
) -> None:
    def fail(*_: object) -> None:
        raise error("broken")

    plans = {
        "initialize": {"set_up": fail},
        "scheduled": {"at": {"10:00": fail}},
        "data": {"on_data": fail},
        "event": {"at": {"10:00": lambda desk: desk.market_order(SPY, 1)}, "on_event": fail},
    }
    desk, result = run(market, **plans[hook])  # type: ignore[arg-type]

    assert result.status is RunStatus.RUNTIME_ERROR
    assert result.error is not None
    assert "broken" in result.error.text
    assert "test_loop.py" in result.error.traceback
    assert [line for line in desk.heard if line.what == "end"] == []


def test_after_an_error_in_an_event_the_code_that_sent_the_order_still_finishes(market: Market) -> None:
    def fail(desk: Desk, event: object) -> None:
        raise ValueError("broken")

    def send(desk: Desk) -> None:
        desk.market_order(SPY, 1)
        desk.note("after")

    desk, result = run(market, at={"10:00": send, "10:01": lambda desk: desk.note("next minute")}, on_event=fail)

    assert result.status is RunStatus.RUNTIME_ERROR
    assert [line.what for line in desk.heard][-1] == "after"
    assert desk.portfolio[SPY].quantity == 1.0


def test_quit_ends_the_run_after_the_step_as_a_completed_one(market: Market) -> None:
    desk, result = run(market, at={"10:00": lambda desk: desk.quit("enough")})

    assert result.status is RunStatus.COMPLETED
    assert desk.heard[-1].time == "03 10:00"
    assert desk.heard[-1].what == "end"
    assert any("enough" in line.text for line in result.logs)


def test_after_quit_not_even_the_events_before_the_next_slice_run() -> None:
    market = Market().session(FRIDAY).session(MONDAY)

    def last_word(desk: Desk, data: Slice) -> None:
        if desk.time == when(FRIDAY, "16:00"):
            desk.quit("enough")

    desk = trade(market, end=MONDAY, at={"20:00": lambda desk: desk.note("too late")}, on_data=last_word)

    assert [line.what for line in desk.heard if line.time >= "03 16:00"] == ["end"]


def test_an_account_that_is_worth_nothing_ends_the_run(market: Market) -> None:
    for at in range(minute("11:00"), 961):
        market.source.set_bar(SPY, FRIDAY, at, 100.0, volume=1.0)

    desk, result = run(market, at={"10:00": lambda desk: desk.set_holdings(SPY, 1.9)})

    assert result.status is RunStatus.COMPLETED
    assert desk.heard[-1].time == "03 11:00"


def test_minutes_without_any_data_have_no_slice() -> None:
    market = Market()
    for at in ("09:31", "09:35", "12:00"):
        market.source.set_bar(SPY, FRIDAY, minute(at), 500.0)

    desk = trade(market, on_data=lambda desk, data: desk.note("data", data.bars[SPY].is_fill_forward))

    assert [(line.time, line.values) for line in desk.heard if line.what == "data"] == [
        ("03 09:31", (False,)), ("03 09:35", (False,)), ("03 12:00", (False,)),
    ]  # fmt: skip


def test_fill_forward_repeats_the_last_bar_until_the_close() -> None:
    market = Market()
    market.source.set_bar(SPY, FRIDAY, minute("15:57"), 500.0, volume=7.0)

    desk = trade(
        market,
        fill_forward=True,
        on_data=lambda desk, data: desk.note("data", data.bars[SPY].is_fill_forward, data.bars[SPY].volume),
    )

    assert [(line.time, line.values) for line in desk.heard if line.what == "data"] == [
        ("03 15:57", (False, 7.0)), ("03 15:58", (True, 0.0)), ("03 15:59", (True, 0.0)), ("03 16:00", (True, 0.0)),
    ]  # fmt: skip


def test_data_points_count_every_bar_delivered(market: Market) -> None:
    _, plain = run(market)
    _, chained = run(Market().session(FRIDAY).condor(), with_chain=True)

    # One more for each kind of security that was added by hand.
    assert plain.data_points == 390 * 2 + 1
    # SPY twice, two indices, four contracts, the four rows of the universe file, and four warnings of the delisting.
    assert chained.data_points == 390 * 2 + 405 * 2 + 405 * 4 + 4 + 4 + 2


def test_the_host_can_be_stopped_anywhere_and_go_on(market: Market) -> None:
    host = started(market, at={"10:00": lambda desk: desk.note("ten"), "15:00": lambda desk: desk.note("three")})
    desk = host.algorithm
    assert isinstance(desk, Desk)

    assert host.advance(until=when(FRIDAY, "10:00"))
    assert host.time == when(FRIDAY, "10:00")
    assert [line.what for line in desk.heard][-1] == "ten"
    host.advance(minutes=30)
    assert host.time == when(FRIDAY, "10:30")
    assert not host.advance()
    result = host.finish()

    assert [line.what for line in desk.heard][-2:] == ["three", "end"]
    assert result.status is RunStatus.COMPLETED
    assert host.finish() is result


def test_two_runs_of_one_job_are_equal(market: Market) -> None:
    def busy(desk: Desk) -> None:
        desk.set_holdings(SPY, 0.5)
        desk.limit_order(SPY, -10, 499.0)

    def once() -> list[object]:
        _, result = run(market, at={"10:00": busy, "14:00": lambda desk: desk.liquidate()})
        return [(event.order_id, event.status, event.utc, event.fill_price) for event in result.order_events]

    assert once() == once()


def test_the_value_is_sampled_at_midnight_and_at_the_end() -> None:
    market = Market().session(FRIDAY).session(MONDAY, stock=510.0)

    def buy_on_friday(desk: Desk) -> None:
        if desk.time.date() == FRIDAY:
            desk.market_order(SPY, 1)

    _, result = run(market, end=MONDAY, at={"10:00": buy_on_friday})

    # New York midnights in UTC; the share costs 500.01 and a fee of 1.00.
    assert [point.time for point in result.equity] == [
        datetime(2025, 1, 3, 5), datetime(2025, 1, 4, 5), datetime(2025, 1, 5, 5), datetime(2025, 1, 6, 5),
        datetime(2025, 1, 6, 21),
    ]  # fmt: skip
    assert result.equity[1].value == pytest.approx(100_000 - 0.01 - 1.0)
    assert result.end_equity_usd == pytest.approx(100_000 - 1.01 + 10.0)


class Warming(QCAlgorithm):
    """Counts what it hears while warming up."""

    def initialize(self) -> None:
        self.set_start_date(2025, 1, 6)
        self.set_end_date(2025, 1, 6)
        self.add_equity("SPY", Resolution.MINUTE, fill_forward=False)
        self.heard: list[tuple[str, bool]] = []
        self.set_warm_up(timedelta(days=3))
        self.schedule.on(self.date_rules.every_day(), self.time_rules.at(12, 0), self.noon)

    def noon(self) -> None:
        self.heard.append((f"{self.time:%d} noon", self.is_warming_up))
        if self.is_warming_up:
            ticket = self.market_order(SPY, 1)
            self.heard.append((ticket.submit_request.response.error_code.name, True))

    def on_data(self, slice: Slice) -> None:
        if self.time.minute == 0 and self.time.hour == 10:
            self.heard.append((f"{self.time:%d} data", self.is_warming_up))

    def on_warmup_finished(self) -> None:
        self.heard.append((f"{self.time:%d %H:%M} finished", self.is_warming_up))


def test_a_warm_up_replays_data_refuses_orders_and_ends_at_the_start() -> None:
    market = Market().session(FRIDAY).session(MONDAY)
    host = Host(EngineJob(main=Warming, source=market.source))
    result = host.run()
    assert result.error is None
    assert isinstance(host.algorithm, Warming)

    assert host.algorithm.heard == [
        ("03 data", True),
        ("03 noon", True), ("ALGORITHM_WARMING_UP", True),
        ("04 noon", True), ("ALGORITHM_WARMING_UP", True),
        ("05 noon", True), ("ALGORITHM_WARMING_UP", True),
        ("06 00:00 finished", False),
        ("06 data", False),
        ("06 noon", False),
    ]  # fmt: skip


def test_simulated_death_leaves_nothing_behind_it_running(market: Market) -> None:
    host = started(market, {"death_at_event": 2}, at={"10:00": lambda desk: desk.market_order(SPY, 1)})

    with pytest.raises(SimulatedDeath):
        host.advance()

    desk = host.algorithm
    assert isinstance(desk, Desk)
    assert [line.what for line in desk.heard] == ["changed", "SUBMITTED"]
    assert desk.portfolio[SPY].quantity == 1.0
