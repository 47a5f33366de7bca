"""Records of the ETF book written as the pipeline writes them, into real books and their fold."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from core.books import Books
from core.family import BOOK, FamilyView, Trail
from core.family_fold import FamilyFold
from core.ledger_kinds import Kind
from core.vocabulary import to_u6
from tests.core.desk import tell

DAY = date(2025, 10, 28)


def clock(text: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(text))


class FamilyLedger:
    """One account with the ETF book alone."""

    def __init__(self, cash_usd: float = 100_000.0, *, block_minutes: int = 480) -> None:
        self.books = Books()
        self.fold = FamilyFold(self.books, block_minutes=block_minutes)
        self._count = 0
        self.write(Kind.RUN_STARTED, clock("09:00"), "", start_cash_u6=to_u6(cash_usd), holdings=[])

    def write(self, kind: Kind, at: datetime, book: str = BOOK, **fields: Any) -> None:
        tell(self.books.takes, kind, book, fields, at)
        tell(self.fold.takes, kind, book, fields, at)

    def view(self, now: datetime) -> FamilyView:
        """Return what a decision would look at."""
        return self.fold.view(now, Trail(), 18.0, loss_limit_reached=False)

    def open_session(self, day: date = DAY, close: time = time(16)) -> None:
        opened = clock("09:30", day)
        self.write(
            Kind.SESSION_OPENED, opened - timedelta(minutes=30), "", date=day, open_time=opened,
            close_time=datetime.combine(day, close), half_day=close < time(16),
        )  # fmt: skip

    def close_session(self, day: date = DAY, close: time = time(16)) -> None:
        ended = datetime.combine(day, close)
        self.write(
            Kind.SESSION_CLOSED, ended, "", date=day, open_time=clock("09:30", day), close_time=ended, half_day=False,
            cash_u6=self.books.cash_u6,
        )  # fmt: skip

    def mark(self, at: datetime, equity_usd: float) -> None:
        self.write(Kind.MARK, at, "", equity_u6=to_u6(equity_usd))

    def signal(self, at: datetime, target: str, reason: str = "ALLOWED") -> None:
        self.write(Kind.SIGNAL, at, target=target, reason=reason)

    def order(
        self, at: datetime, symbol: str, qty: int, purpose: str, *, trade: str | None = None, scale: float = 1.0
    ) -> str:
        """Plan and send one order; returns its id."""
        self._count += 1
        trade = f"{BOOK}-{at:%Y%m%d}-{self._count}" if trade is None else trade
        intent, order = f"{trade}|{purpose}|{self._count}", f"run|{trade}|{purpose}|{self._count}"
        legs = [{"symbol": symbol, "ratio": 1 if qty > 0 else -1, "mult": 1}]
        self.write(
            Kind.INTENT, at, intent=intent, trade=trade, purpose=purpose, structure="SHARES", legs=legs, qty=abs(qty),
            risk_basis="FAMILY",
        )  # fmt: skip
        self.write(Kind.VERDICT, at, intent=intent, allowed=True, reason="ALLOWED", scale_e6=round(scale * 1e6))
        self.write(
            Kind.ORDER_INTENT, at, order=order, intent=intent, trade=trade, purpose=purpose, attempt=self._count,
            legs=[{"symbol": symbol, "qty": qty}],
        )  # fmt: skip
        self.write(Kind.ORDER_SENT, at, order=order)
        return order

    def fill(self, at: datetime, order: str, symbol: str, qty: int, price: float, *, fee_usd: float = 0.0) -> None:
        self._count += 1
        cash = self.books.cash_u6 - qty * to_u6(price) - to_u6(fee_usd)
        self.write(
            Kind.FILL, at, fill=f"{order}#{self._count}", order=order, trade=order.split("|")[1], symbol=symbol,
            qty=qty, price_u6=to_u6(price), mult=1, fee_u6=to_u6(fee_usd), exec_time=at, cash_after_u6=cash,
            pos_after=self.books.position(symbol) + qty,
        )  # fmt: skip

    def buy(self, sent: str, filled: str, symbol: str, qty: int, price: float, *, scale: float = 1.0) -> str:
        """Open; returns the trade."""
        order = self.order(clock(sent), symbol, qty, "OPEN", scale=scale)
        self.fill(clock(filled), order, symbol, qty, price)
        return order.split("|")[1]

    def sell(self, at: str, trade: str, symbol: str, qty: int, price: float) -> None:
        order = self.order(clock(at), symbol, -qty, "CLOSE", trade=trade)
        self.fill(clock(at), order, symbol, -qty, price)
