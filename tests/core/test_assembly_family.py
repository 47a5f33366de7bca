"""Who is told of a record: the books first, then whoever listens to its kind, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.assembly_family import fold_of
from core.books import Books
from core.family_fold import FamilyFold
from core.ledger_kinds import Kind, Take
from tests.core.desk import tell
from tests.core.family_ledger import clock

NOW = clock("10:00")


class Listener:
    """Writes down what it is told, and what the books say at that moment."""

    def __init__(self, books: Books, *kinds: Kind) -> None:
        self._kinds = frozenset(kinds)
        self.heard: list[tuple[Kind, int]] = []
        self._books = books

    def takes(self, kind: Kind) -> tuple[Take, ...]:
        def take(_book: str, _fields: Mapping[str, Any], _time: datetime) -> None:
            self.heard.append((kind, self._books.cash_u6))

        return (take,) if kind in self._kinds else ()


def test_each_listener_hears_its_own_kinds_after_the_books() -> None:
    books = Books()
    flows, everything = Listener(books, Kind.CASH_FLOW), Listener(books, *Kind)
    fold = fold_of(books, flows, None, everything)
    tell(fold, Kind.RUN_STARTED, "", {"start_cash_u6": 100, "holdings": []}, NOW)
    tell(fold, Kind.CASH_FLOW, "", {"type": "INTEREST", "amount_u6": 7}, NOW)
    tell(fold, Kind.SIGNAL, "etf_rotation", {"target": "CASH", "reason": "NEUTRAL"}, NOW)
    assert flows.heard == [(Kind.CASH_FLOW, 107)]
    assert everything.heard == [(Kind.RUN_STARTED, 100), (Kind.CASH_FLOW, 107), (Kind.SIGNAL, 107)]


def test_the_etf_fold_counts_what_every_book_shares_and_of_the_rest_its_own() -> None:
    books = Books()
    fold = FamilyFold(books, block_minutes=480)
    breach = {"principle": "P1", "value": 1, "limit": 0}
    tell(fold.takes, Kind.BREACH, "friday_0dte", breach, NOW)
    assert fold.breach_count == 0
    tell(fold.takes, Kind.BREACH, "etf_rotation", breach, NOW)
    assert fold.breach_count == 1
    session = {"date": NOW.date(), "open_time": clock("09:30"), "close_time": clock("16:00"), "half_day": False}
    tell(fold.takes, Kind.SESSION_OPENED, "", session, NOW)
    tell(fold.takes, Kind.MARK, "", {"equity_u6": 5_000_000}, NOW)
    assert fold.sleeve_equity_u6 == 5_000_000
