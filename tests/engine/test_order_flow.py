"""Orders between algorithm and broker: what is heard when, and what the order calls refuse."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.broker import BrokerPort
from engine.enums import BrokerageName, OrderStatus, OrderType
from engine.orders import Leg, Order, OrderProperties, TimeInForce
from engine.symbols import Symbol
from engine.trading import InvalidOrder
from tests.engine.desk import (
    CALL,
    FRIDAY,
    MONDAY,
    PUT,
    SPY,
    THURSDAY,
    WINGS,
    Desk,
    Market,
    contract,
    minute,
    started,
    times,
    trade,
    when,
)


@pytest.fixture
def market() -> Market:
    return Market().session(FRIDAY).condor()


def test_a_market_order_is_submitted_and_filled_inside_the_call(market: Market) -> None:
    def buy(desk: Desk) -> None:
        ticket = desk.market_order(SPY, 10)
        desk.note("returned", ticket.status, ticket.average_fill_price, desk.portfolio[SPY].quantity)

    desk = trade(market, at={"10:00": buy})

    assert [line.what for line in desk.heard] == ["changed", "SUBMITTED", "FILLED", "returned", "end"]
    assert desk.heard[3].values == (OrderStatus.FILLED, 500.01, 10.0)
    assert set(times(desk.heard[1:4])) == {"03 10:00"}


def test_the_order_is_known_by_its_tag_inside_its_first_event(market: Market) -> None:
    def remember(desk: Desk, event: object) -> None:
        order = desk.transactions.get_order_by_id(event.order_id)  # type: ignore[attr-defined]
        assert order is not None
        desk.keep((order.tag, order.type))

    desk = trade(market, at={"10:00": lambda desk: desk.market_order(SPY, 1, tag="S1|open")}, on_event=remember)

    assert desk.results == [("S1|open", OrderType.MARKET)] * 2


def test_a_limit_order_never_fills_in_the_bar_of_its_submission(market: Market) -> None:
    desk = trade(market, at={"10:00": lambda desk: desk.limit_order(SPY, 10, 600.0)})

    submitted, filled = desk.events("SUBMITTED", "FILLED")
    assert (submitted.time, filled.time) == ("03 10:00", "03 10:01")


def test_a_combo_fills_all_legs_at_once_with_all_cash_in_the_first_event(market: Market) -> None:
    def cash(desk: Desk, event: object) -> None:
        desk.keep(round(desk.portfolio.cash, 2))

    desk = trade(
        market, with_chain=True, at={"10:00": lambda desk: desk.combo_market_order(desk.legs(), -1)}, on_event=cash
    )

    filled = desk.events("FILLED")
    assert [line.values[1:3] for line in filled] == [(1.0, 3.1), (-1.0, 5.4), (-1.0, 5.4), (1.0, 3.1)]
    assert set(times(filled)) == {"03 10:00"}
    # 4.60 of credit less four fees of 1.00, in the first leg's event already.
    assert desk.results == [100_000.0] * 4 + [100_456.0] * 4


def test_the_legs_of_a_combo_limit_are_booked_at_their_sides_of_the_next_bar(market: Market) -> None:
    desk = trade(market, with_chain=True, at={"10:00": lambda desk: desk.condor(-2, 4.55, tag="x")})

    assert set(times(desk.events("SUBMITTED"))) == {"03 10:00"}
    assert set(times(desk.events("FILLED"))) == {"03 10:01"}
    assert desk.held() == [2.0, -2.0, -2.0, 2.0]


def test_an_updated_combo_limit_fills_at_once_on_the_bar_before_the_update(market: Market) -> None:
    # LEAN's look-back (lean_lab surprise 7); a new order waits for the next bar.
    def send(desk: Desk) -> None:
        desk.keep(desk.condor(-1, 5.00))

    def lower(desk: Desk) -> None:
        desk.results[0][1].update_limit_price(4.50)

    desk = trade(market, with_chain=True, at={"10:00": send, "10:10": lower})

    assert times(desk.events("UPDATE_SUBMITTED")) == ["03 10:10"]
    assert times(desk.events("FILLED")) == ["03 10:10"] * 4


def test_cancelling_one_leg_cancels_the_group_at_the_end_of_the_step(market: Market) -> None:
    def send(desk: Desk) -> None:
        desk.keep(desk.condor(-1, 6.00))

    def cancel(desk: Desk) -> None:
        tickets = desk.results[0]
        tickets[2].cancel("late")
        desk.note("returned", [ticket.status for ticket in tickets])

    desk = trade(market, with_chain=True, at={"10:00": send, "10:10": cancel})

    seen = [line.what for line in desk.heard if line.time == "03 10:10"]
    assert seen == ["CANCEL_PENDING", "returned", "CANCELED", "CANCELED", "CANCELED", "CANCELED"]
    assert [ticket.status for ticket in desk.results[0]] == [OrderStatus.CANCELED] * 4
    again = desk.results[0][0].cancel()
    assert again.is_error


def test_a_quantity_update_of_one_leg_scales_the_group(market: Market) -> None:
    def send(desk: Desk) -> None:
        desk.keep(desk.condor(-1, 6.00))

    def more(desk: Desk) -> None:
        desk.results[0][0].update_quantity(-3)
        desk.results[0][0].update_limit_price(4.50)

    desk = trade(market, with_chain=True, at={"10:00": send, "10:10": more})

    assert desk.held() == [3.0, -3.0, -3.0, 3.0]


def test_a_day_order_on_spxw_expires_at_its_close(market: Market) -> None:
    def send(desk: Desk) -> None:
        properties = OrderProperties()
        properties.time_in_force = TimeInForce.DAY
        desk.combo_limit_order(desk.legs(), -1, 9.00, order_properties=properties)

    desk = trade(market, with_chain=True, at={"10:00": send})

    canceled = desk.events("CANCELED")
    assert times(canceled) == ["03 16:15"] * 4
    assert {line.values[3] for line in canceled} == {"The order has expired."}


def test_tastytrade_refuses_a_combo_market_order_and_says_so_on_the_last_ticket(market: Market) -> None:
    def send(desk: Desk) -> None:
        desk.keep(desk.combo_market_order(desk.legs(), -1))

    desk = trade(market, with_chain=True, brokerage=BrokerageName.TASTYTRADE, at={"10:00": send})

    tickets = desk.results[0]
    assert [ticket.status for ticket in tickets] == [OrderStatus.INVALID] * 4
    assert [ticket.submit_request.response.is_error for ticket in tickets] == [False, False, False, True]
    assert len(desk.events("INVALID")) == 4
    assert desk.held() == [0.0] * 4


def test_a_combo_without_quantity_gives_one_invalid_ticket_without_an_order(market: Market) -> None:
    desk = trade(market, with_chain=True, at={"10:00": lambda desk: desk.keep(desk.condor(0))})

    (ticket,) = desk.results[0]
    assert (ticket.order_id, ticket.status) == (-10, OrderStatus.INVALID)
    assert ticket.submit_request.response.error_code.name == "ORDER_QUANTITY_ZERO"
    assert desk.events() == []


@pytest.mark.parametrize(
    ("send", "sentence"),
    [
        (lambda desk: desk.condor(-1, 0.0), "requires a limit price"),
        (lambda desk: desk.combo_market_order([], 1), "at least one leg"),
        (lambda desk: desk.combo_market_order([Leg.create(WINGS[0], 2), Leg.create(WINGS[1], -2)], 1), "ratio"),
        (lambda desk: desk.combo_leg_limit_order(desk.legs(), 1), "limit price for each leg"),
    ],
)
def test_impossible_combos_raise_and_send_nothing(market: Market, send: object, sentence: str) -> None:
    def try_it(desk: Desk) -> None:
        with pytest.raises(InvalidOrder, match=sentence):
            send(desk)  # type: ignore[operator]

    desk = trade(market, with_chain=True, at={"10:00": try_it})

    assert desk.events() == []


def test_one_contract_in_two_legs_hangs_in_status_new(market: Market) -> None:
    # LEAN's margin model throws on it and leaves the orders there (lean_lab surprise 12).
    legs = [Leg.create(WINGS[0], 1), Leg.create(WINGS[0], -1)]
    desk = trade(market, with_chain=True, at={"10:00": lambda desk: desk.keep(desk.combo_market_order(legs, 1))})

    assert desk.results[0][1].status is OrderStatus.NEW
    assert [line.values[3] for line in desk.events("NEW")] == ["Error executing margin models"]


def test_an_order_the_account_cannot_bear_is_refused_with_a_reason(market: Market) -> None:
    def sell_naked(desk: Desk) -> None:
        desk.keep(desk.market_order(WINGS[1], -50))

    desk = trade(market, with_chain=True, cash=10_000.0, at={"10:00": sell_naked})

    ticket = desk.results[0]
    assert ticket.status is OrderStatus.INVALID
    assert "Insufficient buying power" in (ticket.submit_request.response.error_message or "")
    assert desk.portfolio.cash == 10_000.0


def test_a_working_combo_becomes_invalid_as_soon_as_buying_power_is_gone(market: Market) -> None:
    # LEAN checks before it looks for a fill, at every step: open orders reserve nothing.
    desk = trade(
        market,
        with_chain=True,
        cash=10_000.0,
        at={"10:00": lambda desk: desk.condor(-3, 9.00), "10:30": lambda desk: desk.market_order(SPY, 38)},
    )

    assert times(desk.events("INVALID")) == ["03 10:30"] * 4
    assert desk.portfolio[SPY].quantity == 38.0


def test_an_order_sent_from_an_event_is_worked_off_there(market: Market) -> None:
    def hedge(desk: Desk, event: object) -> None:
        if event.status is OrderStatus.FILLED and event.fill_quantity > 0:  # type: ignore[attr-defined]
            desk.market_order(SPY, -5)

    desk = trade(market, at={"10:00": lambda desk: desk.market_order(SPY, 10)}, on_event=hedge)

    assert [(line.what, line.values[0]) for line in desk.events()] == [
        ("SUBMITTED", 1), ("FILLED", 1), ("SUBMITTED", 2), ("FILLED", 2),
    ]  # fmt: skip
    assert desk.portfolio[SPY].quantity == 5.0


def test_a_market_order_at_the_close_becomes_market_on_open(market: Market) -> None:
    market.session(MONDAY, stock=510.0)
    market.source.set_bar(SPY, MONDAY, 571, 509.55, 511.0, 509.0, 510.0, volume=1.0)
    sent: list[object] = []

    def buy_once(desk: Desk) -> None:
        if not sent:
            sent.append(desk.market_order(SPY, 10))

    desk = trade(market, end=MONDAY, at={"16:00": buy_once})

    assert desk.transactions.get_order_by_id(1).type is OrderType.MARKET_ON_OPEN  # type: ignore[union-attr]
    (filled,) = desk.events("FILLED")
    assert (filled.time, filled.values[2]) == ("06 09:31", 509.55)


def test_a_market_order_at_half_past_nine_waits_for_the_first_bar(market: Market) -> None:
    market.session(THURSDAY, stock=490.0)

    def buy(desk: Desk) -> None:
        if desk.time.date() == FRIDAY:
            desk.keep(desk.market_order(SPY, 10).status)

    desk = trade(market, start=THURSDAY, at={"09:30": buy})

    assert desk.results == [OrderStatus.SUBMITTED]
    (filled,) = desk.events("FILLED")
    assert (filled.time, filled.values[2]) == ("03 09:31", 500.01)


def test_market_on_close_is_taken_until_1544_and_fills_before_the_events_of_1600(market: Market) -> None:
    def order(desk: Desk) -> None:
        desk.keep(desk.market_on_close_order(SPY, 1).status)

    desk = trade(market, at={"15:44": order, "15:45": order, "16:00": lambda desk: desk.note("closing bell")})

    assert desk.results == [OrderStatus.SUBMITTED, OrderStatus.INVALID]
    last = [line.what for line in desk.heard if line.time == "03 16:00"]
    assert last == ["FILLED", "closing bell", "end"]


def test_an_expired_contract_is_tradable_at_1614_and_not_at_1616(market: Market) -> None:
    def order(desk: Desk) -> None:
        desk.keep(desk.market_order(WINGS[1], -1))

    desk = trade(market, with_chain=True, end=MONDAY, at={"16:14": order, "16:15": order, "16:16": order})

    early, at_close, late = desk.results
    assert early.status is OrderStatus.FILLED
    assert at_close.order_type is OrderType.MARKET_ON_OPEN
    assert late.status is OrderStatus.INVALID
    assert "non-tradable" in late.submit_request.response.error_message


def test_orders_are_refused_before_the_run_has_begun(market: Market) -> None:
    desk = trade(market, set_up=lambda desk: desk.keep(desk.market_order(SPY, 1)))

    (ticket,) = desk.results
    assert ticket.status is OrderStatus.INVALID
    assert ticket.submit_request.response.error_code.name == "ALGORITHM_WARMING_UP"


def test_text_and_bool_quantities_count_as_numbers_and_fractions_are_cut(market: Market) -> None:
    def order(desk: Desk) -> None:
        desk.market_order(SPY, "4")  # type: ignore[arg-type]
        desk.market_order(SPY, True)
        desk.market_order(SPY, 1.5)

    desk = trade(market, at={"10:00": order})

    assert desk.portfolio[SPY].quantity == 6.0


def test_liquidate_cancels_what_works_and_sells_what_is_held(market: Market) -> None:
    def build(desk: Desk) -> None:
        desk.market_order(SPY, 10)
        desk.limit_order(SPY, -5, 900.0)

    desk = trade(market, at={"10:00": build, "11:00": lambda desk: desk.liquidate()})

    assert desk.portfolio[SPY].quantity == 0.0
    assert [line.what for line in desk.heard if line.time == "03 11:00"] == [
        "CANCEL_PENDING", "CANCELED", "SUBMITTED", "FILLED",
    ]  # fmt: skip
    assert desk.transactions.get_open_orders() == []


def test_set_holdings_keeps_a_quarter_percent_free(market: Market) -> None:
    desk = trade(market, cash=1e6, at={"10:00": lambda desk: desk.set_holdings(SPY, 1.0)})

    # 1,000,000 less 0.25 % less the fee, at 500 a share.
    assert desk.portfolio[SPY].quantity == 1_994.0


def test_set_holdings_counts_what_is_already_on_its_way(market: Market) -> None:
    market.session(MONDAY)

    def buy_twice(desk: Desk) -> None:
        if desk.time.date() == FRIDAY:
            desk.set_holdings(SPY, 0.5)
            desk.set_holdings(SPY, 0.5)

    desk = trade(market, end=MONDAY, at={"16:30": buy_twice})

    assert [line.values[1] for line in desk.events("FILLED")] == [99.0]


def test_an_order_on_a_symbol_that_was_never_added_raises(market: Market) -> None:
    stranger = contract(4_000, CALL)

    def order(desk: Desk) -> None:
        with pytest.raises(KeyError, match="not found in the algorithm's securities"):
            desk.market_order(stranger, 1)

    trade(market, at={"10:00": order})


def test_a_test_can_change_the_next_minutes_while_the_run_stands_still(market: Market) -> None:
    host = started(market, with_chain=True, at={"10:00": lambda desk: desk.condor(-1, 6.00)})
    host.advance(until=when(FRIDAY, "10:05"))
    desk = host.algorithm
    assert isinstance(desk, Desk)
    assert desk.events("FILLED") == []

    for symbol in (WINGS[1], WINGS[2]):
        market.source.set_quote(symbol, FRIDAY, minute("10:06"), 6.30, 6.50)
    host.advance(minutes=1)

    assert times(desk.events("FILLED")) == ["03 10:06"] * 4
    assert contract(5_280, PUT) is WINGS[1]


class Stubborn:
    """A broker that refuses what it is told to refuse."""

    def __init__(self, inner: BrokerPort, refuses: str) -> None:
        self.on_events = inner.on_events
        self._inner = inner
        self._refuses = refuses

    def submit(self, order: Order) -> bool:
        return self._refuses != "submit" and self._inner.submit(order)

    def update(self, order: Order) -> bool:
        return self._refuses != "update" and self._inner.update(order)

    def cancel(self, order: Order) -> bool:
        return self._refuses != "cancel" and self._inner.cancel(order)

    def advance(self) -> None:
        self._inner.advance()

    def settle(self, expired: Sequence[Symbol]) -> None:
        self._inner.settle(expired)


@pytest.mark.parametrize(
    ("refuses", "status", "code"),
    [
        ("submit", OrderStatus.INVALID, "BROKERAGE_FAILED_TO_SUBMIT_ORDER"),
        ("update", OrderStatus.SUBMITTED, "BROKERAGE_FAILED_TO_UPDATE_ORDER"),
        ("cancel", OrderStatus.SUBMITTED, "BROKERAGE_FAILED_TO_CANCEL_ORDER"),
    ],
)
def test_a_refusal_of_the_broker_leaves_the_order_as_the_broker_has_it(
    market: Market, refuses: str, status: OrderStatus, code: str
) -> None:
    def send(desk: Desk) -> None:
        desk.keep(desk.limit_order(SPY, 1, 400.0))

    def change(desk: Desk) -> None:
        (ticket,) = desk.results
        if refuses == "cancel":
            ticket.cancel()
        else:
            ticket.update_limit_price(401.0)

    host = started(market, at={"10:00": send, "10:10": change})
    host.engine.wrap_broker(lambda inner: Stubborn(inner, refuses))
    host.advance(until=when(FRIDAY, "10:20"))
    desk = host.algorithm
    assert isinstance(desk, Desk)

    (ticket,) = desk.results
    assert ticket.status is status
    request = ticket.submit_request if refuses == "submit" else ticket.get_most_recent_order_request()
    assert request.response.error_code.name == code
