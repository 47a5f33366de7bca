"""Orders in doubt that the broker does not know any more: did they fill while nobody was listening?

Holdings say how much, cash says for what.  Nothing is booked while anything else could have moved either: another order
on the same contracts, ours or not, or a settlement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.books import Books
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.missing_fills import MissingFill, allot, price_fills
from core.ports import Broker, OrderType, TimeInForce
from core.report_desk import ReportDesk
from core.vocabulary import Purpose
from core.working_orders import Child, OrderState


class BrokerDoubts:
    """Turns differences between book and broker into the fills that explain them."""

    def __init__(self, run: str, ledger: Ledger, books: Books, broker: Broker, desk: ReportDesk) -> None:
        self._run = run
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._desk = desk

    def relearn(self, now: datetime) -> None:
        """Write the intent of every order at work that bears an id of ours and that the ledger has lost, so that it is
        resumed like any other and its id is never given again.  One of a trade that is lost as well stays foreign.
        """
        records = self._books.order_records
        intents = {owner: intent for intent, owner in records.intents.items()}
        for order in sorted(self._broker.open_orders(), key=lambda item: item.order):
            run, trade, purpose, attempt = (order.order.split("|") + [""] * 4)[:4]
            ours = run == self._run and self._books.has_trade(trade) and purpose in Purpose.__members__
            if not ours or order.order in records.orders or (trade, Purpose(purpose)) not in intents:
                continue
            strategy = self._books.trade(trade).strategy
            self._ledger.append(
                Kind.ORDER_INTENT,
                strategy,
                now,
                order=order.order,
                intent=intents[(trade, Purpose(purpose))],
                trade=trade,
                purpose=purpose,
                attempt=int(attempt),
                type=(OrderType.LIMIT if len(order.legs) == 1 else OrderType.COMBO_LIMIT).value,
                tif=TimeInForce.DAY.value,
                legs=[{"symbol": symbol, "qty": qty} for symbol, qty in order.legs.items()],
                deadline=now,
            )
            text = (
                f"{order.order} is at work and the ledger has lost it: it is ours, known again, and never sent again."
            )
            self._ledger.append(Kind.ALERT, strategy, now, severity="WARNING", code="ORDER_RELEARNED", text=text)

    def recover(self, working: Sequence[Child], now: datetime) -> bool:
        """Queue the fills of orders in doubt that holdings betray, as if they had been reported; returns whether there
        are any.
        """
        lost = [child for child in working if self._is_lost(child, now)]
        symbols = {leg.symbol for child in lost for leg in child.request.legs}
        if not lost or self._others_touch(symbols, working, lost):
            return False
        books, account = self._books, self._broker.account()
        differences = {symbol: self._broker.position(symbol) - books.position(symbol) for symbol in sorted(symbols)}
        parts = allot(lost, differences)
        if not parts:
            return False
        cash = account.cash_u6 + account.unsettled_u6 - books.cash_u6
        # LEAN prices a security at 0 until it has seen it.
        marks = {symbol: self._broker.mark_price(symbol) or None for _child, symbol, _qty in parts}
        fills = price_fills(parts, cash, marks)
        if fills is None:
            return False
        for child in lost:
            own = [fill for fill in fills if fill.order == child.id]
            if own:
                self._desk.recover_unknown(child, own, now)
                self._say(child, own, now)
        return True

    def _is_lost(self, child: Child, now: datetime) -> bool:
        """A contract past its date may be settled by now, which takes holdings away as a fill does."""
        if child.state is not OrderState.UNRESOLVED or self._broker.find(child.id) is not None:
            return False
        expiries = [leg.instrument.expiry for leg in child.request.legs]
        return not any(expiry is not None and expiry < now.date() for expiry in expiries)

    def _others_touch(self, symbols: set[str], working: Sequence[Child], lost: Sequence[Child]) -> bool:
        others = [child for child in working if child not in lost]
        if any(leg.symbol in symbols for child in others for leg in child.request.legs):
            return True
        known = self._books.order_records.orders
        return any(
            order.order not in known and not symbols.isdisjoint(order.legs) for order in self._broker.open_orders()
        )

    def _say(self, child: Child, fills: Sequence[MissingFill], now: datetime) -> None:
        legs = ", ".join(f"{fill.qty:+d} {fill.symbol}" for fill in fills)
        text = (
            f"{child.id} filled while nobody was listening: {legs}. Booked from the broker's holdings and cash; how "
            "the price splits over the legs is an estimate."
        )
        strategy = self._books.trade(self._books.order_records.orders[child.id][0]).strategy
        self._ledger.append(Kind.ALERT, strategy, now, severity="WARNING", code="FILL_RECOVERED", text=text)
