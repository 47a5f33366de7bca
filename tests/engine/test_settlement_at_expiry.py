"""What happens to option positions after their last session."""

from __future__ import annotations

from datetime import date

import pytest

from engine.option_security import Option
from engine.orders import Leg
from engine.slice import Slice
from tests.engine.desk import (
    CALL,
    FRIDAY,
    MONDAY,
    PUT,
    SATURDAY,
    SPX,
    SPXW,
    SPY,
    THURSDAY,
    WINGS,
    Desk,
    Market,
    contract,
    minute,
    times,
    trade,
)

TUESDAY = date(2025, 1, 7)


@pytest.fixture
def market() -> Market:
    return Market().session(FRIDAY).condor()


def look(desk: Desk) -> None:
    portfolio = desk.portfolio
    visible = [holding.symbol for holding in portfolio.values() if holding.symbol in WINGS]
    desk.keep((len(visible), portfolio.invested, portfolio.total_margin_used, portfolio.total_holdings_value))


def test_legs_settle_at_one_in_the_night_at_price_zero_and_cash_moves_then(market: Market) -> None:
    desk = trade(
        market, with_chain=True, end=MONDAY, at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -1)}
    )

    settled = [line for line in desk.events("FILLED") if line.time == "04 01:00"]
    assert [line.values[1:3] for line in settled] == [(-1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (-1.0, 0.0)]
    assert all(line.values[3].startswith("OTM. Underlying: 5300") for line in settled)
    assert desk.held() == [0.0] * 4
    assert desk.portfolio.cash == 100_456.0


def test_an_option_in_the_money_moves_its_intrinsic_value_in_cash(market: Market) -> None:
    for at in range(minute("15:00"), 976):
        market.source.set_bar(SPX, FRIDAY, at, 5_275.74)
    desk = trade(
        market, with_chain=True, end=MONDAY, at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -1)}
    )

    # The short put ends 4.26 in the money: 456 of credit less 426.
    assert desk.portfolio.cash == pytest.approx(100_456.0 - 426.0, abs=1e-9)
    short = next(line for line in desk.events("FILLED") if line.values[3].startswith("Assigned"))
    assert "Underlying: 5275.74" in short.values[3]
    following = desk.heard[desk.heard.index(short) + 1]
    assert (following.what, following.values[0]) == ("assigned", short.values[0])


def test_expired_legs_are_half_invisible_until_they_settle(market: Market) -> None:
    def look_by_key(desk: Desk) -> None:
        look(desk)
        desk.keep(desk.held())
        desk.keep(desk.portfolio.total_portfolio_value)
        desk.keep(WINGS[0] in desk.securities)

    desk = trade(
        market,
        with_chain=True,
        end=MONDAY,
        at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -1), "16:14": look, "16:16": look_by_key},
    )

    before, after, held, value, is_known = desk.results
    assert before[0] == 4
    assert before[1] is True
    assert before[2] == 2_000.0
    assert after == (0, False, 0.0, 0)
    assert held == [1.0, -1.0, -1.0, 1.0]
    # The value still counts the legs, at 3.00 bought and 5.50 sold.
    assert value == 100_456.0 - 500.0
    assert is_known is True


@pytest.mark.parametrize("end", [FRIDAY, SATURDAY])
def test_nothing_settles_unless_the_next_session_is_in_the_run(market: Market, end: date) -> None:
    desk = trade(market, with_chain=True, end=end, at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -1)})

    assert desk.events("FILLED")[-1].time == "03 10:00"
    assert desk.held() == [1.0, -1.0, -1.0, 1.0]
    assert desk.portfolio.invested is True


def test_a_working_order_on_an_expired_contract_is_canceled_after_the_settlement(market: Market) -> None:
    def send(desk: Desk) -> None:
        desk.combo_market_order(desk.legs(), -1)
        desk.limit_order(WINGS[1], 1, 0.05)

    desk = trade(market, with_chain=True, end=MONDAY, at={"10:00": send})

    night = [line.what for line in desk.heard if line.time == "04 01:00"]
    # Contract by contract: settled, then its orders are asked to cancel, which happens at the end of the step.
    assert night == ["FILLED", "FILLED", "CANCEL_PENDING", "FILLED", "FILLED", "changed", "CANCELED", "end"]


@pytest.mark.parametrize(("has_file", "delisted"), [(True, 1), (False, 4)])
def test_all_contracts_are_warned_of_and_those_still_subscribed_are_delisted(
    market: Market, has_file: bool, delisted: int
) -> None:
    # A universe file of the last day makes the others leave first; without one all of them stay until then.
    if has_file:
        market.chain(FRIDAY, {contract(5_280, PUT, MONDAY): (5.4, 5.6)}, days=(MONDAY,))

    def read(desk: Desk, data: object) -> None:
        kinds = [delisting.type.name for delisting in data.delistings.values()]  # type: ignore[attr-defined]
        if kinds:
            desk.note("delistings", *sorted(kinds))

    desk = trade(
        market, with_chain=True, end=MONDAY, at={"10:00": lambda desk: desk.market_order(WINGS[0], 1)}, on_data=read
    )

    told = [(line.time, line.values) for line in desk.heard if line.what == "delistings"]
    assert told[:2] == [("03 01:00", ("WARNING",) * 4), ("04 01:00", ("DELISTED",) * delisted)]


def test_the_default_model_assigns_a_deep_european_short_on_its_last_day(market: Market) -> None:
    deep = contract(5_700, PUT)
    market.chain(THURSDAY, {deep: (399.0, 401.0), WINGS[0]: (2.9, 3.1)})

    def sell(desk: Desk) -> None:
        desk.combo_market_order([Leg.create(deep, -1), Leg.create(WINGS[0], 1)], 1)

    def assigned(null: bool) -> Desk:
        return trade(market, with_chain=True, cash=1e6, end=MONDAY, null_assignment=null, at={"10:00": sell})

    early, patient = assigned(False), assigned(True)
    assert times(line for line in early.heard if line.what == "assigned") == ["03 11:00"]
    assert early.portfolio[deep].quantity == 0.0
    assert times(line for line in patient.heard if line.what == "assigned") == ["04 01:00"]


def test_a_half_day_ends_at_one_and_settles_the_next_night() -> None:
    noon = 13 * 60
    market = Market(early_closes={FRIDAY: noon})
    market.session(FRIDAY, close=noon, index_close=noon).condor(close=noon)

    desk = trade(
        market,
        with_chain=True,
        end=MONDAY,
        at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -1), "15:45": lambda desk: desk.note("late")},
        set_up=lambda desk: desk.schedule.on(
            desk.date_rules.every_day(SPY),
            desk.time_rules.before_market_close(SPX, 10),
            lambda: desk.note("before close"),
        ),
    )

    assert times(line for line in desk.heard if line.what in ("before close", "late")) == ["03 12:50", "03 15:45"]
    assert times(desk.events("FILLED"))[-4:] == ["04 01:00"] * 4


def test_a_friday_holiday_moves_the_universe_but_not_the_hour_of_settlement() -> None:
    market = Market(holidays=[FRIDAY]).session(THURSDAY)
    put = contract(5_280, PUT, THURSDAY)
    market.chain(date(2025, 1, 1), {put: (5.4, 5.6), contract(5_300, CALL, THURSDAY): (1.0, 1.2)})
    sent: list[object] = []

    def buy_once(desk: Desk) -> None:
        if not sent:
            sent.append(desk.market_order(put, 1))

    desk = trade(market, with_chain=True, start=THURSDAY, end=MONDAY, at={"10:00": buy_once})

    assert times(desk.events("FILLED")) == ["02 10:00", "03 01:00"]


def test_the_universe_of_a_day_comes_from_the_file_of_the_session_before() -> None:
    market = Market().session(FRIDAY).session(MONDAY).session(TUESDAY)
    first, second = contract(5_300, CALL, MONDAY), contract(5_310, CALL, TUESDAY)
    market.chain(FRIDAY, {first: (1.0, 1.2)}).chain(MONDAY, {second: (1.0, 1.2)})

    def chain(desk: Desk, data: object) -> None:
        found = data.option_chains.get(second.canonical)  # type: ignore[attr-defined]
        if found is not None and desk.time.minute == 0:
            desk.keep((desk.time.day, [item.symbol for item in found]))

    desk = trade(market, with_chain=True, start=MONDAY, end=TUESDAY, on_data=chain)

    assert desk.results[0] == (6, [first])
    assert desk.results[-1] == (7, [second])
    # Monday's contract joins at midnight, Sunday in Chicago; Tuesday's at one, when Monday's leaves.
    changes = [(line.time, line.values) for line in desk.heard if line.what == "changed"]
    assert changes == [("06 00:00", (4, 0)), ("07 01:00", (1, 1))]


def test_a_run_that_starts_on_a_tuesday_first_gets_mondays_expired_contracts() -> None:
    market = Market().session(MONDAY).session(TUESDAY)
    old, new = contract(5_300, CALL, MONDAY), contract(5_310, CALL, TUESDAY)
    market.chain(FRIDAY, {old: (1.0, 1.2)}).chain(MONDAY, {new: (1.0, 1.2)})

    desk = trade(market, with_chain=True, start=TUESDAY, end=TUESDAY)

    changes = [(line.time, line.values) for line in desk.heard if line.what == "changed"]
    assert changes[0] == ("07 00:00", (4, 0))
    assert changes[1][0] == "07 01:00"
    assert changes[1][1][0] == 1


def test_a_missing_universe_file_leaves_the_chain_empty_and_nothing_breaks() -> None:
    market = Market().session(FRIDAY)
    market.source.set_quotes(WINGS[0], FRIDAY, range(571, 976), 2.9, 3.1)

    desk = trade(
        market,
        with_chain=True,
        at={"10:00": lambda desk: desk.keep(desk.current_slice.option_chains.get(WINGS[0].canonical))},
    )

    assert desk.results == [None]


def test_canonical_options_carry_a_filter_and_no_data(market: Market) -> None:
    desk = trade(market, with_chain=True, at={"10:00": lambda desk: desk.keep(desk.securities[WINGS[0].canonical])})

    (canonical,) = desk.results
    assert isinstance(canonical, Option)
    assert canonical.is_option_chain


def test_a_run_that_begins_on_the_last_day_of_a_contract_warns_of_it_and_settles_it() -> None:
    # On a Monday the contract joins at midnight already, an hour before its last day begins in Chicago.
    market = Market().session(MONDAY)
    put = contract(5_280, PUT, MONDAY)
    market.chain(FRIDAY, {put: (5.4, 5.6), contract(5_300, CALL, MONDAY): (1.0, 1.2)})
    sent: list[object] = []

    def buy_once(desk: Desk) -> None:
        if not sent:
            sent.append(desk.market_order(put, 1))

    def read(desk: Desk, data: Slice) -> None:
        if data.delistings:
            desk.note("delistings", len(data.delistings))

    desk = trade(market, with_chain=True, start=MONDAY, end=TUESDAY, at={"10:00": buy_once}, on_data=read)

    told = [(line.time, line.values) for line in desk.heard if line.what == "delistings"]
    # Without a universe file of its last day the contract that nobody holds is delisted, too.
    assert told == [("06 01:00", (2,)), ("07 01:00", (2,))]
    assert times(desk.events("FILLED")) == ["06 10:00", "07 01:00"]


def test_a_contract_of_several_days_keeps_its_price_and_settles_on_its_own_day() -> None:
    market = Market().session(FRIDAY).session(MONDAY, spot=5_250.0)
    put = contract(5_280, PUT, MONDAY)
    market.chain(THURSDAY, {put: (20.0, 21.0), contract(5_320, CALL, MONDAY): (1.0, 1.2)}, days=(FRIDAY, MONDAY))
    market.source.set_universe(SPXW, FRIDAY, [put], 5_300.0)

    def widen(desk: Desk) -> None:
        desk.add_index_option("SPX", "SPXW").set_filter(lambda universe: universe.expiration(0, 7).strikes(-50, 50))

    def buy_on_friday(desk: Desk) -> None:
        if desk.time.date() == FRIDAY:
            desk.market_order(put, 1)

    desk = trade(
        market,
        with_chain=True,
        end=TUESDAY,
        set_up=widen,
        at={"10:00": buy_on_friday, "20:00": lambda desk: desk.keep(desk.securities[put].price)},
    )

    assert desk.results[:3] == [20.5, 20.5, 20.5]
    assert times(desk.events("FILLED")) == ["03 10:00", "07 01:00"]
    assert desk.portfolio.cash == pytest.approx(100_000 - 2_100 - 1 + 3_000)
