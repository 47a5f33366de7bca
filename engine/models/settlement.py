"""When the money of a fill can be used: at once, or the next open day at 06:00 exchange time in a cash account.

Sources: Common/Securities/{Immediate,Delayed}SettlementModel.cs.  Purchases are always paid at once.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Final, Protocol

from engine.models.views import ZERO, SessionClock

SETTLEMENT_TIME: Final = time(6)
SETTLEMENT_DAYS: Final = 1


class CashLedger(Protocol):
    """Where the money goes."""

    def add_cash(self, amount: Decimal) -> None: ...

    def add_unsettled_cash(self, amount: Decimal) -> None: ...


class SettlementModel(Protocol):
    def apply_funds(self, ledger: CashLedger, amount: Decimal, utc: datetime) -> None:
        """Book the money of a fill (without its fee)."""
        ...

    def scan(self, ledger: CashLedger, utc: datetime) -> None:
        """Move what has settled from unsettled to settled cash."""
        ...

    @property
    def unsettled_cash(self) -> Decimal: ...


class ImmediateSettlement:
    def apply_funds(self, ledger: CashLedger, amount: Decimal, utc: datetime) -> None:
        ledger.add_cash(amount)

    def scan(self, ledger: CashLedger, utc: datetime) -> None:
        return

    @property
    def unsettled_cash(self) -> Decimal:
        return ZERO


class DelayedSettlement:
    """Proceeds of a sale are usable some open days later; each security has its own queue."""

    def __init__(self, clock: SessionClock, days: int = SETTLEMENT_DAYS, at: time = SETTLEMENT_TIME) -> None:
        self._clock = clock
        self._days = days
        self._at = at
        self._queue: deque[tuple[datetime, Decimal]] = deque()

    def apply_funds(self, ledger: CashLedger, amount: Decimal, utc: datetime) -> None:
        if amount <= 0:
            ledger.add_cash(amount)
            return
        ledger.add_unsettled_cash(amount)
        self._queue.append((self._settlement_time(utc), amount))

    def scan(self, ledger: CashLedger, utc: datetime) -> None:
        while self._queue and utc >= self._queue[0][0]:
            _, amount = self._queue.popleft()
            ledger.add_unsettled_cash(-amount)
            ledger.add_cash(amount)

    @property
    def unsettled_cash(self) -> Decimal:
        return sum((amount for _, amount in self._queue), ZERO)

    def _settlement_time(self, utc: datetime) -> datetime:
        day = self._clock.local(utc).date()
        left = self._days
        while left > 0:
            day += timedelta(days=1)
            if self._clock.is_date_open(day):
                left -= 1
        return self._clock.utc(datetime.combine(day, self._at))
