"""What the sizer is told of a holding belongs to this very step, and to what the books say now."""

from __future__ import annotations

from typing import Any

import pytest

from core.family_entry import FamilyEntry
from core.market import MarketSnapshot, Quote, QuoteVerdict
from core.ports import Account
from core.settings import AccountType, Brokerage
from core.settings_etf import EtfRotationSettings
from core.vocabulary import FamilyTarget
from risk.family_sizer import FamilySizer
from tests.core.family_ledger import FamilyLedger, clock
from tests.risk.builders import snapshot

QQQ, TQQQ = FamilyTarget.QQQ, FamilyTarget.TQQQ
SETTINGS = EtfRotationSettings()
NOBODY: Any = None
"""Stands for parts that these questions do not reach."""


@pytest.fixture
def entry(ledger: FamilyLedger) -> FamilyEntry:
    sizer = FamilySizer(SETTINGS, Brokerage.INTERACTIVE_BROKERS)
    return FamilyEntry(
        SETTINGS, AccountType.MARGIN, NOBODY, ledger.books, ledger.fold, NOBODY, NOBODY, sizer, NOBODY, (), NOBODY
    )


def step(bid: float, *, equity_usd: float = 100_000.0) -> MarketSnapshot:
    quote = Quote(QuoteVerdict.GOOD, bid, bid + 0.01, bid, bid + 0.01, 0.0)
    account = Account(100_000_000_000, 0, equity_usd)
    return snapshot(
        clock("11:00"), equity_usd=equity_usd, quotes={"QQQ": quote, "TQQQ": quote}, account=account
    )  # fmt: skip


def test_a_fill_between_two_questions_of_one_step_changes_the_answer(entry: FamilyEntry, ledger: FamilyLedger) -> None:
    now = step(50.0)
    assert entry.target_value(QQQ, now, 0.5) == 15_000.0
    assert entry.surplus(QQQ, now) == 0
    trade = ledger.buy("10:59", "11:00", "QQQ", 700, 50.0, scale=0.8)
    assert entry.target_value(QQQ, now, 0.5) == 24_000.0, "a holding keeps the scale of its opening"
    assert entry.surplus(QQQ, now) == 700 - 480
    assert entry.holds_enough(QQQ, now, 0.5)
    ledger.sell("11:00", trade, "QQQ", 500, 50.0)
    assert entry.surplus(QQQ, now) == 0
    assert not entry.holds_enough(QQQ, now, 0.5)


def test_the_next_step_the_other_share_and_the_scale_are_asked_for_anew(
    entry: FamilyEntry, ledger: FamilyLedger
) -> None:
    now, later = step(50.0), step(60.0, equity_usd=50_000.0)
    ledger.buy("10:59", "11:00", "QQQ", 700, 50.0)
    assert entry.surplus(QQQ, now) == 700 - 600
    assert entry.surplus(QQQ, later) == 700 - 250
    assert entry.surplus(QQQ, now) == 700 - 600
    assert entry.surplus(TQQQ, now) == 0
    assert (entry.target_value(TQQQ, now, 0.5), entry.target_value(TQQQ, now, 0.25)) == (15_000.0, 7_500.0)
    assert entry.holds_enough(QQQ, now, 1.0)
    assert not entry.holds_enough(TQQQ, now, 1.0)
