"""Splits of the family's shares: the book is scaled before it is compared with the broker's holdings.

Prices are raw, so a split changes what is held over night.  Whole shares stay; what is left over comes as cash, and
how much is the broker's to say.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

from core.books import Books
from core.family import SYMBOLS
from core.ledger import Ledger
from core.ledger_kinds import FlowType, Kind
from core.ports import Broker
from core.vocabulary import SplitEvent


class FamilySplits:
    """Queue of announced splits; folded at the start of a step."""

    def __init__(self, ledger: Ledger, books: Books, broker: Broker) -> None:
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self.announced: deque[SplitEvent] = deque()
        """What is not folded yet."""

    def post(self, event: SplitEvent) -> None:
        """Append an announcement; the only thing that another thread may do."""
        self.announced.append(event)

    def fold(self, now: datetime) -> list[tuple[str, int, int]]:
        """Write every announced split of the family; returns (symbol, num, den)."""
        found: list[tuple[str, int, int]] = []
        while self.announced:
            event = self.announced.popleft()
            if event.symbol not in SYMBOLS:
                continue
            found.append((event.symbol, event.num, event.den))
            left_over = self._books.position(event.symbol) * event.num % event.den
            self._ledger.append(Kind.SPLIT, "", now, symbol=event.symbol, num=event.num, den=event.den)
            if left_over:
                self._take_cash(now)
        return found

    def _take_cash(self, now: datetime) -> None:
        """Book what the broker has paid for parts of a share; where it has paid nothing, reconciliation will see it."""
        account = self._broker.account()
        paid = account.cash_u6 + account.unsettled_u6 - self._books.cash_u6
        if paid > 0:
            self._ledger.append(Kind.CASH_FLOW, "", now, type=FlowType.CASH_IN_LIEU, amount_u6=paid)
