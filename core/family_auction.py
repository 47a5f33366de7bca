"""The closing auction of the ETF book: where a holding goes that cannot be sold before the close.

It is decided once a session, at a fixed minute; a symbol that trades again is taken back, and sold as any other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.books import Books
from core.family import BOOK, SYMBOLS
from core.family_market import FamilyMarket
from core.family_orders import FamilyOrders
from core.family_reconciler import FamilyOrder
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot, Session
from core.reasons import Reason
from core.settings_etf import EtfRotationSettings
from core.vocabulary import Purpose
from core.working_orders import Style

_NOTICE = timedelta(seconds=30)
"""So long after the minute of the decision the exchange still takes notice."""


class FamilyAuction:
    """Asked in every step from the minute of the decision on (`due`)."""

    def __init__(
        self,
        settings: EtfRotationSettings,
        ledger: Ledger,
        books: Books,
        market: FamilyMarket,
        orders: FamilyOrders,
        *,
        is_offered: bool,
    ) -> None:
        """is_offered: whether the brokerage has an order for it."""
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._market = market
        self._orders = orders
        self._is_offered = is_offered
        self._decided = False
        self._halted_before: set[str] = set()
        self.due = datetime.min

    def open_session(self, session: Session) -> None:
        self.due = session.before_close(self._settings.moc_decide_minutes)
        self._decided = False
        self._halted_before = set()

    def run(self, snapshot: MarketSnapshot, *, is_halted: bool) -> None:
        """Decide once whether a holding needs the auction, and take it back where the symbol trades again.

        is_halted: the book has to become flat, whatever the signal says.
        """
        session, now = snapshot.session, snapshot.time
        for parent in self._orders.parents():
            symbol = parent.structure.symbols[0]
            if parent.style is not Style.ON_CLOSE or parent.stopping or symbol not in self._halted_before:
                continue
            early = now < session.before_close(self._settings.moc_release_minutes)
            if early and not self._market.is_halted(symbol, snapshot) and snapshot.quote(symbol).is_good:
                self._orders.stop(parent, now)
        if self._decided:
            return
        self._decided = True
        if now >= self.due + _NOTICE:
            return
        for symbol in SYMBOLS:
            if self._books.position_of(BOOK, symbol) > 0:
                self._send(symbol, snapshot, Purpose.FLATTEN if is_halted else Purpose.CLOSE)

    def _send(self, symbol: str, snapshot: MarketSnapshot, purpose: Purpose) -> None:
        orders, now = self._orders, snapshot.time
        halted = self._market.is_halted(symbol, snapshot)
        if not halted and orders.rejected_in_a_row(symbol) < 2:
            return
        if not self._is_offered:
            text = f"{symbol} may not be sold before the close and the brokerage has no order for the auction."
            code = Reason.MOC_UNSUPPORTED.value
            self._ledger.append(Kind.ALERT, BOOK, now, severity="CRITICAL", code=code, text=text)
            return
        for parent in orders.parents():
            if parent.structure.symbols[0] == symbol and parent.working is None:
                orders.stop(parent, now)  # it waits for its next try; the auction is that
        if any(item.symbol == symbol for item in orders.working()):
            return
        held = orders.holdings(now).agreed(symbol)
        if held > 0:
            if halted:
                self._halted_before.add(symbol)
            order = FamilyOrder(symbol, -held, Purpose.CLOSE)
            orders.close(order, purpose, Reason.EXIT_FLATTEN, snapshot, at_close=True)
