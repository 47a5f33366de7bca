"""What the principles are shown: the same object while nothing is different, and never an old one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.family import BOOK, Standing
from core.family_orders import FamilyOrders, shares
from core.ledger_kinds import Kind
from core.settings import Brokerage
from core.settings_etf import EtfRotationSettings
from core.vocabulary import Instrument, Intent, IntentKind, Ladder, Purpose
from core.working_orders import Parent, Style, WorkingOrders
from tests.core.family_ledger import FamilyLedger, clock

NOBODY: Any = None
"""Stands for parts that these questions do not reach."""
NOON = clock("12:00")


class Gateway:
    """Knows what works, and nothing else."""

    def __init__(self) -> None:
        self.orders = WorkingOrders()

    def guard(self, book: str, judge: object) -> None:
        """It sends nothing: nobody is asked."""


def opening(symbol: str) -> Parent:
    structure = shares(Instrument(symbol, symbol))
    intent = Intent(IntentKind.OPEN, BOOK, structure, Ladder.ENTRY, f"{BOOK}-20251028-9", 10)
    return Parent(
        "intent", intent, Purpose.OPEN, structure, 10, Ladder.ENTRY, None, NOON, NOON, NOON + timedelta(seconds=60),
        style=Style.FIXED,
    )  # fmt: skip


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def orders(ledger: FamilyLedger, gateway: Any) -> FamilyOrders:
    return FamilyOrders(
        EtfRotationSettings(), Brokerage.INTERACTIVE_BROKERS, NOBODY, ledger.books, ledger.fold, NOBODY, gateway, NOBODY
    )


def test_a_quiet_minute_shows_the_same_object_as_the_last_one(orders: FamilyOrders, ledger: FamilyLedger) -> None:
    flat = orders.standing(NOON, is_over=False)
    assert flat == Standing(100_000_000_000)
    assert orders.standing(NOON + timedelta(minutes=1), is_over=False) is flat
    ledger.buy("12:01", "12:01", "QQQ", 10, 50.0)
    held = orders.standing(clock("12:02"), is_over=False)
    assert held == Standing(99_500_000_000, {"QQQ": 10})
    assert orders.standing(clock("12:03"), is_over=False) is held


def test_cash_that_moves_is_seen_though_no_share_has_moved(orders: FamilyOrders, ledger: FamilyLedger) -> None:
    orders.standing(NOON, is_over=False)
    ledger.write(Kind.CASH_FLOW, NOON, "", type="FEE", amount_u6=-7_000_000)
    assert orders.standing(NOON, is_over=False).cash_u6 == 99_993_000_000
    ledger.books.cash_u6 = -1
    assert orders.standing(NOON, is_over=False).cash_u6 == -1


def test_shares_that_move_for_nothing_are_seen_though_the_cash_is_the_same(
    orders: FamilyOrders, ledger: FamilyLedger
) -> None:
    trade = ledger.buy("11:00", "11:00", "QQQ", 10, 50.0)
    orders.standing(NOON, is_over=False)
    ledger.sell("12:00", trade, "QQQ", 4, 0.0)
    assert orders.standing(NOON, is_over=False).quantities == {"QQQ": 6}


def test_the_end_of_the_session_is_seen(orders: FamilyOrders) -> None:
    assert not orders.standing(NOON, is_over=False).is_over
    assert orders.standing(NOON, is_over=True).is_over


def test_an_opening_that_begins_to_work_and_ends_is_seen(orders: FamilyOrders, gateway: Gateway) -> None:
    quiet = orders.standing(NOON, is_over=False)
    gateway.orders.parents = (opening("TQQQ"),)
    assert orders.standing(NOON, is_over=False).opening == {"TQQQ"}
    gateway.orders.parents = ()
    assert orders.standing(NOON, is_over=False) == quiet


def test_openings_count_in_their_bar_and_not_in_the_next_one(orders: FamilyOrders, ledger: FamilyLedger) -> None:
    orders.standing(clock("11:59"), is_over=False)
    order = ledger.order(NOON, "QQQ", 10, "OPEN")
    sent = orders.standing(NOON, is_over=False)
    assert (sent.opens_sent, sent.opens_filled) == (1, 0)
    ledger.fill(clock("12:01"), order, "QQQ", 10, 0.0)
    filled = orders.standing(clock("12:01"), is_over=False)
    assert (filled.opens_sent, filled.opens_filled) == (0, 1)
    later = orders.standing(clock("12:02"), is_over=False)
    assert (later.opens_sent, later.opens_filled) == (0, 0)
