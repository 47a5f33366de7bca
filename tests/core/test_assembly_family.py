"""Who is told of a record: the books first, then whoever listens to its kind, and nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from core.announcements import Announcements
from core.assembly_family import apply_to
from core.books import Books
from core.family_fold import FamilyFold
from core.ledger_kinds import Kind
from tests.core.family_ledger import clock

NOW = clock("10:00")


class Listener:
    """Writes down what it is told, and what the books say at that moment."""

    def __init__(self, books: Books, *kinds: Kind) -> None:
        self.kinds = frozenset(kinds)
        self.heard: list[tuple[Kind, int]] = []
        self._books = books

    def apply(self, kind: Kind, book: str, fields: Mapping[str, Any], time: datetime) -> None:
        self.heard.append((kind, self._books.cash_u6))


def test_each_listener_hears_its_own_kinds_after_the_books() -> None:
    books = Books()
    flows, everything = Listener(books, Kind.CASH_FLOW), Listener(books, *Kind)
    tell = apply_to(books, flows, None, everything)
    tell(Kind.RUN_STARTED, "", {"start_cash_u6": 100, "holdings": []}, NOW)
    tell(Kind.CASH_FLOW, "", {"type": "INTEREST", "amount_u6": 7}, NOW)
    tell(Kind.SIGNAL, "etf_rotation", {"target": "CASH", "reason": "NEUTRAL"}, NOW)
    assert flows.heard == [(Kind.CASH_FLOW, 107)]
    assert everything.heard == [(Kind.RUN_STARTED, 100), (Kind.CASH_FLOW, 107), (Kind.SIGNAL, 107)]


@pytest.mark.parametrize("kind", list(Kind))
def test_what_a_fold_does_not_list_would_change_nothing_in_it(kind: Kind) -> None:
    books, announcements = Books(), Announcements()
    for fold in (books, FamilyFold(books, block_minutes=480), announcements):
        if kind not in fold.kinds:
            fold.apply(kind, "etf_rotation", {}, NOW)  # it does not even look at the fields
    assert announcements.take() == []
