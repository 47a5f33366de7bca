"""Reports of the broker become records, in whatever sequence they come; what fits no order changes no book."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import permutations
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ports import BrokerOrder, OrderRequest, OrderType, TimeInForce
from core.report_desk import ReportDesk
from core.vocabulary import (
    BrokerEvent,
    Intent,
    IntentKind,
    Ladder,
    OrderLeg,
    OrderOutcome,
    OrderStatus,
    Purpose,
    Structure,
)
from core.working_orders import Child, Parent
from tests.core.desk import Desk, put_spread

SPREAD = put_spread()
LONG, SHORT = SPREAD.legs[1], SPREAD.legs[0]


class Reports(Desk):
    """A spread at work, and a desk that hears of it."""

    def __init__(self, units: int = 2) -> None:
        super().__init__(live=True)
        trade = self.plan(SPREAD, units=units)
        order = self.order(trade, {leg.symbol: leg.ratio * units for leg in SPREAD.legs})
        legs = tuple(OrderLeg(leg.instrument, leg.ratio * units) for leg in SPREAD.legs)
        request = OrderRequest(order, OrderType.COMBO_LIMIT, TimeInForce.DAY, legs, units, 1.0)
        self.child = Child(request, self.now, self.now + timedelta(minutes=4))
        self.parent = parent_of(self.child, SPREAD, trade.id, trade.strategy)
        self.known: BrokerOrder | None = None
        self.reports = ReportDesk(self.ledger, self.books, lambda order: self.known)
        self.reports.register(self.parent, self.child)

    def event(self, symbol: str, status: OrderStatus, qty: int = 0, price: float = 1.0, order: str = "") -> BrokerEvent:
        fee = 1_310_000 * abs(qty)
        return BrokerEvent(order or self.child.id, symbol, status, qty, round(price * 1e6), fee, self.now)

    def tell(self, *events: BrokerEvent) -> bool:
        """Fold events; returns whether one of them was set aside."""
        for event in events:
            self.reports.post(event)
        return any(touched.misfit for touched in self.reports.fold(self.now))

    def fills(self) -> list[BrokerEvent]:
        return [self.event(leg.symbol, OrderStatus.FILLED, leg.ratio * 2) for leg in SPREAD.legs]

    def causes(self) -> list[str]:
        return [record["cause"] for record in self.lines("EVENT_QUARANTINED")]

    def lines(self, kind: str) -> list[dict[str, Any]]:
        self.ledger.flush(durable=True)
        found = [json.loads(line) for line in self.store.joined().splitlines()]
        return [record for record in found if record["kind"] == kind]


def parent_of(child: Child, structure: Structure, trade: str, strategy: str) -> Parent:
    intent = Intent(IntentKind.OPEN, strategy, structure, Ladder.ENTRY, trade, child.request.units)
    return Parent(
        intent_id=f"{trade}|OPEN|1",
        intent=intent,
        purpose=Purpose.OPEN,
        structure=structure,
        units=child.request.units,
        ladder=Ladder.ENTRY,
        floor_cash=None,
        started=child.sent_at,
        next_step_at=child.sent_at,
        ladder_end=child.deadline,
    )


@pytest.fixture
def desk() -> Reports:
    return Reports()


def test_the_end_of_an_order_does_not_depend_on_the_sequence_of_its_reports() -> None:
    ends = set()
    for order in permutations(range(4)):
        desk = Reports()
        submitted = [desk.event(leg.symbol, OrderStatus.SUBMITTED) for leg in SPREAD.legs]
        events = [*submitted, *desk.fills()]
        assert not desk.tell(*(events[place] for place in order))
        ends.add((desk.child.verdict(), desk.books.cash_u6, tuple(desk.books.positions().items())))
    assert len(ends) == 1
    assert next(iter(ends))[0] is OrderOutcome.FILLED


def test_a_fill_moves_books_by_its_quantity_price_and_fee(desk: Reports) -> None:
    before = desk.books.cash_u6
    desk.tell(desk.event(SHORT.symbol, OrderStatus.PARTIAL, -1, 3.10))
    assert desk.books.cash_u6 == before + 310_000_000 - 1_310_000
    assert desk.books.position(SHORT.symbol) == -1
    assert desk.lines("FILL")[0]["source"] == "EVENT"


def test_a_report_without_a_fill_is_written_once_for_each_status(desk: Reports) -> None:
    desk.tell(*(desk.event(leg.symbol, OrderStatus.SUBMITTED) for leg in SPREAD.legs))
    desk.tell(desk.event(LONG.symbol, OrderStatus.SUBMITTED))
    desk.tell(desk.event(LONG.symbol, OrderStatus.CANCELLED))
    assert [record["status"] for record in desk.lines("ORDER_EVENT")] == ["SUBMITTED", "CANCELLED"]


@pytest.mark.parametrize(
    ("symbol", "qty", "cause"),
    [("SPXW  251121P05800000", -1, "SYMBOL"), (SHORT.symbol, 1, "SIDE"), (SHORT.symbol, -3, "OVERFILL")],
)
def test_what_cannot_belong_to_its_order_is_set_aside_with_its_cause(
    desk: Reports, symbol: str, qty: int, cause: str
) -> None:
    assert desk.tell(desk.event(symbol, OrderStatus.FILLED, qty))
    assert desk.causes() == [cause]
    assert dict(desk.books.positions()) == {}


def test_an_order_that_nobody_sent_is_set_aside(desk: Reports) -> None:
    assert not desk.tell(desk.event(SHORT.symbol, OrderStatus.FILLED, -1, order="not ours"))
    assert desk.causes() == ["UNKNOWN_ORDER"]
    assert dict(desk.books.positions()) == {}


@pytest.mark.parametrize("outcome", [item for item in OrderOutcome if item is not OrderOutcome.LOST])
def test_a_fill_after_the_end_is_set_aside(desk: Reports, outcome: OrderOutcome) -> None:
    desk.child.outcome = outcome
    assert desk.tell(desk.event(SHORT.symbol, OrderStatus.FILLED, -2))
    assert desk.causes() == ["AFTER_END"]


def test_a_whole_order_reported_twice_is_booked_once(desk: Reports) -> None:
    desk.tell(*desk.fills())
    assert desk.tell(*desk.fills())
    assert set(desk.causes()) == {"OVERFILL"}
    assert desk.books.position(SHORT.symbol) == -2


def test_a_leg_that_is_called_filled_without_its_fills_ends_nothing(desk: Reports) -> None:
    desk.tell(
        desk.event(SHORT.symbol, OrderStatus.FILLED, -1),
        desk.event(LONG.symbol, OrderStatus.FILLED, 2),
    )
    assert desk.child.lacks_fills
    assert desk.child.verdict() is None
    desk.tell(desk.event(SHORT.symbol, OrderStatus.PARTIAL, -1))
    assert desk.child.verdict() is OrderOutcome.FILLED


def test_one_invalid_leg_rejects_the_group(desk: Reports) -> None:
    desk.tell(desk.event(LONG.symbol, OrderStatus.SUBMITTED), desk.event(SHORT.symbol, OrderStatus.INVALID))
    assert desk.child.verdict() is OrderOutcome.REJECTED


def test_what_the_broker_knows_and_we_do_not_is_booked_at_the_price_that_makes_the_average(desk: Reports) -> None:
    desk.tell(desk.event(SHORT.symbol, OrderStatus.PARTIAL, -1, 3.00))
    known = BrokerOrder(
        desk.child.id,
        OrderStatus.FILLED,
        {SHORT.symbol: -2, LONG.symbol: 2},
        {SHORT.symbol: -2, LONG.symbol: 2},
        {SHORT.symbol: 3.05, LONG.symbol: 2.0},
        4 * 1.31,
    )
    desk.reports.recover(known, desk.child, desk.now)
    desk.tell()
    fills = desk.lines("FILL")
    assert [(record["source"], record["price_u6"]) for record in fills] == [
        ("EVENT", 3_000_000), ("RECOVERED", 3_100_000), ("RECOVERED", 2_000_000),
    ]  # fmt: skip
    assert desk.books.fees_u6 == 4 * 1_310_000
    assert desk.child.verdict() is OrderOutcome.FILLED


def test_what_we_know_and_the_broker_does_not_is_no_report(desk: Reports) -> None:
    desk.tell(desk.event(SHORT.symbol, OrderStatus.PARTIAL, -2))
    legs = {SHORT.symbol: -2, LONG.symbol: 2}
    known = BrokerOrder(desk.child.id, OrderStatus.SUBMITTED, legs, {SHORT.symbol: -1}, {SHORT.symbol: 1.0}, 1.31)
    desk.reports.recover(known, desk.child, desk.now)
    assert not desk.tell()
    assert desk.causes() == []
    assert desk.books.position(SHORT.symbol) == -2


def test_the_words_of_a_report_do_not_decide_where_it_came_from(desk: Reports) -> None:
    desk.tell(BrokerEvent(desk.child.id, SHORT.symbol, OrderStatus.PARTIAL, -1, 1, 0, desk.now, "recovered"))
    assert desk.lines("FILL")[0]["source"] == "EVENT"


def test_reports_from_many_threads_are_all_folded(desk: Reports) -> None:
    events = [desk.event("nobody's", OrderStatus.SUBMITTED, order=f"foreign {number}") for number in range(200)]

    def post(part: list[BrokerEvent]) -> None:
        for event in part:
            desk.reports.post(event)

    threads = [Thread(target=post, args=(part,)) for part in (events[:100], events[100:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.tell()
    assert len(desk.causes()) == 200


EVENTS = st.tuples(
    st.sampled_from([SHORT.symbol, LONG.symbol, "SPXW  251121C06500000"]),
    st.sampled_from(list(OrderStatus)),
    st.integers(-3, 3),
)


@given(st.lists(EVENTS, max_size=12))
def test_no_sequence_of_reports_fills_more_than_was_ordered_or_on_the_other_side(
    events: list[tuple[str, OrderStatus, int]],
) -> None:
    desk = Reports()
    desk.tell(*(desk.event(symbol, status, qty) for symbol, status, qty in events))
    assert -2 <= desk.books.position(SHORT.symbol) <= 0 <= desk.books.position(LONG.symbol) <= 2
    assert set(desk.books.positions()) <= {SHORT.symbol, LONG.symbol}
    booked = {symbol: qty for symbol, qty in desk.child.filled.items() if qty}
    assert booked == dict(desk.books.positions())


def test_the_time_of_execution_stays_with_the_fill_when_its_report_comes_late(desk: Reports) -> None:
    executed = desk.now
    desk.wait(minutes=3)
    event = BrokerEvent(desk.child.id, SHORT.symbol, OrderStatus.PARTIAL, -1, 1, 0, executed)
    desk.tell(event)
    record = desk.lines("FILL")[0]
    assert datetime.fromisoformat(str(record["exec_time"])) < datetime.fromisoformat(str(record["time"]))


def part_of(reports: Reports, filled: int) -> BrokerEvent:
    """Return the report of one short filled; the broker knows of so many."""
    legs = {leg.symbol: leg.ratio * 2 for leg in SPREAD.legs}
    reports.known = BrokerOrder(reports.child.id, OrderStatus.PARTIAL, legs, {SHORT.symbol: -filled}, {}, 0.0)
    return reports.event(SHORT.symbol, OrderStatus.PARTIAL, -1)


def test_the_report_of_a_part_that_comes_twice_is_booked_once() -> None:
    reports = Reports()
    part = part_of(reports, 1)
    assert not reports.tell(part, part)
    assert reports.causes() == ["DUPLICATE"]
    assert reports.books.position(SHORT.symbol) == -1


def test_two_parts_that_look_alike_are_two_where_the_broker_has_filled_both() -> None:
    reports = Reports()
    part = part_of(reports, 2)
    assert not reports.tell(part, part)
    assert reports.causes() == []
    assert reports.books.position(SHORT.symbol) == -2
