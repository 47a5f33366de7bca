"""The ETF book's orders: what is held and at work, how a close is begun, and the last word on each final order.

Everything goes through the gateway; here a plan becomes parents, and each of their orders is held against the
principles once more when it is final.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.books import Books
from core.family import BOOK, SYMBOLS, Standing
from core.family_fold import FamilyFold
from core.family_reconciler import FamilyHoldings, FamilyOrder, FamilyWorking
from core.intents import allow_intent, record_intent
from core.ledger import Ledger
from core.market import MarketSnapshot
from core.order_gateway import OrderGateway
from core.ports import Broker, OrderRequest
from core.reasons import Reason
from core.settings import Brokerage
from core.settings_etf import EtfRotationSettings
from core.state_manager import StateManager
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import (
    U6,
    Instrument,
    Intent,
    IntentKind,
    Kind,
    Ladder,
    Leg,
    OrderOutcome,
    Purpose,
    RiskBasis,
    Structure,
    StructureName,
    UnitRisk,
    Verdict,
    to_u6,
)
from core.working_orders import OrderState, Parent, Style
from helpers.brokerages import fee_reserve_usd, share_fee_bound_u6

_NO_RISK = UnitRisk(RiskBasis.FAMILY, 0.0, 0.0)


def shares(instrument: Instrument, ratio: int = 1) -> Structure:
    """Return one share of a symbol as a structure."""
    return Structure(StructureName.SHARES, (Leg(instrument, ratio),))


class FamilyOrders:
    """The desk's hands."""

    def __init__(
        self,
        settings: EtfRotationSettings,
        brokerage: Brokerage,
        ledger: Ledger,
        books: Books,
        fold: FamilyFold,
        broker: Broker,
        gateway: OrderGateway,
        state: StateManager,
    ) -> None:
        self._settings = settings
        self._brokerage = brokerage
        self._ledger = ledger
        self._books = books
        self._fold = fold
        self._broker = broker
        self._gateway = gateway
        self._state = state
        self._quiet: Standing | None = None
        gateway.guard(BOOK, self._judge_final)

    # ------------------------------------------------------------------------------------------------- what there is

    def holdings(self, now: datetime) -> FamilyHoldings:
        """Return book and broker; what is known to be somebody else's is not counted on either side."""
        fold, broker = self._fold, self._broker
        foreign = fold.foreign()
        theirs = {symbol: broker.position(symbol) - foreign.get(symbol, 0) for symbol in SYMBOLS}
        return FamilyHoldings(fold.shares(), theirs, fold.closed_in(now), fold.opens_sent_in(now))

    def parents(self) -> tuple[Parent, ...]:
        every = self._gateway.orders.parents
        if not every:
            return ()  # as in most minutes
        return tuple(parent for parent in every if parent.strategy == BOOK and not parent.is_done)

    def working(self) -> tuple[FamilyWorking, ...]:
        """Return every intent at work with what is left of it."""
        parents = self.parents()
        return tuple(map(_working, parents)) if parents else ()

    def standing(self, now: datetime, *, is_over: bool) -> Standing:
        """Return what the principles look at; of a quiet minute the same object as of the last one, where it says the
        same.
        """
        fold, parents = self._fold, self.parents()
        cash_u6, quantities = self._books.cash_u6, fold.shares()
        if not parents and now > fold.last_opening:  # nothing works, and no opening is of this bar
            quiet = self._quiet
            if quiet is None or not (
                quiet.quantities is quantities and quiet.cash_u6 == cash_u6 and quiet.is_over is is_over
            ):
                quiet = self._quiet = Standing(cash_u6, quantities, is_over=is_over)
            return quiet
        working = [_working(parent) for parent in parents]
        return Standing(
            cash_u6,
            quantities,
            opening=frozenset(item.symbol for item in working if item.is_opening and item.qty),
            opens_sent=fold.opens_sent_in(now),
            opens_filled=fold.opens_filled_in(now),
            working=sum(parent.working is not None for parent in parents),
            is_over=is_over,
        )

    def trade_of(self, symbol: str) -> Trade | None:
        """Return the open trade that holds a symbol."""
        held = self._books.trades_holding(BOOK, symbol)
        return self._books.trade(held[0]) if held else None

    def is_leaving(self) -> bool:
        """Whether a holding has begun to leave: it goes on, whatever the signal says meanwhile."""
        for trade in self._books.open_trades(BOOK):  # noqa: SIM110  asked twice a minute: no generator for one trade
            if trade.state is TradeState.EXITING and trade.legs:
                return True
        return False

    def rejected_in_a_row(self, symbol: str) -> int:
        """Return how many of the symbol's last closing orders were rejected, counted back from the newest."""
        trade = self.trade_of(symbol)
        if trade is None:
            return 0
        records = self._books.order_records
        count = 0
        for order, (owner, purpose, _attempt) in reversed(records.orders.items()):
            if owner != trade.id or purpose.adds_risk:
                continue
            if records.outcomes.get(order) is not OrderOutcome.REJECTED:
                break
            count += 1
        return count

    def reserved_usd(self) -> float:
        """Return the worst cost of all buying orders at work, of every book."""
        return sum(self._cost(parent) for parent in self._gateway.orders.parents if not parent.is_done)

    def _cost(self, parent: Parent) -> float:
        child = parent.working
        worst = parent.floor_cash if parent.is_opening or child is None else child.request.net_cash
        paid = 0.0 if worst is None else max(0.0, -worst) * parent.structure.multiplier
        fees = sum(self._fee(leg.instrument, abs(leg.ratio) * parent.remaining) for leg in parent.structure.legs)
        return paid * parent.remaining + (fees if parent.is_opening or paid else 0.0)

    def _fee(self, instrument: Instrument, qty: int) -> float:
        if instrument.kind is Kind.SHARE:
            return share_fee_bound_u6(self._brokerage, qty) / U6
        return fee_reserve_usd(instrument) * qty

    # ------------------------------------------------------------------------------------------------------- closing

    def cancel(self, intents: tuple[str, ...], now: datetime) -> None:
        for parent in self.parents():
            if parent.intent_id in intents:
                self._gateway.stop(parent, now)

    def cancel_openings(self, now: datetime) -> None:
        for parent in self.parents():
            if parent.is_opening:
                self._gateway.stop(parent, now)

    def stop(self, parent: Parent, now: datetime) -> None:
        self._gateway.stop(parent, now)

    def close(
        self, order: FamilyOrder, purpose: Purpose, reason: Reason, snapshot: MarketSnapshot, *, at_close: bool = False
    ) -> None:
        """Begin a close: market orders, or one for the closing auction.  It asks no limiter."""
        trade, now = self.trade_of(order.symbol), snapshot.time
        if trade is None:
            return  # nothing that the ledger proves ours
        if purpose is not Purpose.REDUCE and trade.state is not TradeState.EXITING:
            self._state.drive(trade.id, Trigger.EXIT_DUE, now)
        structure = shares(self._books.instrument(order.symbol), 1 if order.qty > 0 else -1)
        kind = IntentKind.REDUCE if purpose is Purpose.REDUCE else IntentKind.CLOSE
        intent_id = self._gateway.next_intent_id(trade.id, purpose)
        intent = Intent(kind, BOOK, structure, Ladder.URGENT, trade.id, abs(order.qty), reason, risk=_NO_RISK)
        record_intent(self._ledger, intent, intent_id, purpose, now)
        allow_intent(self._ledger, BOOK, intent_id, now)
        wait = timedelta(seconds=self._settings.moc_cancel_s if at_close else 0)
        self._gateway.begin(
            Parent(
                intent_id=intent_id,
                intent=intent,
                purpose=purpose,
                structure=structure,
                units=abs(order.qty),
                ladder=Ladder.URGENT,
                floor_cash=None,
                started=now,
                next_step_at=now,
                ladder_end=snapshot.session.close + wait,
                style=Style.ON_CLOSE if at_close else Style.MARKET,
            )
        )

    # ------------------------------------------------------------------------------------------------------- opening

    def open(self, intent: Intent, snapshot: MarketSnapshot) -> None:
        """Begin a sized opening or addition; its INTENT and VERDICT stand in the ledger."""
        assert intent.qty is not None, "the sizer has answered"
        assert intent.plan is not None, "an opening knows its price"
        now = snapshot.time
        purpose = Purpose.OPEN if intent.kind is IntentKind.OPEN else Purpose.ADD
        if purpose is Purpose.OPEN:
            self._state.plan(intent, now, offered_s=self._settings.open_timeout_s)
        else:
            self._state.drive(intent.trade, Trigger.ADJUST_DUE, now)
        self._gateway.begin(
            Parent(
                intent_id=str(intent.detail["intent"]),
                intent=intent,
                purpose=purpose,
                structure=intent.structure,
                units=intent.qty,
                ladder=Ladder.ENTRY,
                floor_cash=intent.plan.worst_cash,
                started=now,
                next_step_at=now,
                ladder_end=now + timedelta(seconds=self._settings.open_timeout_s),
                style=Style.FIXED,
            )
        )

    def name(self, snapshot: MarketSnapshot, symbol: str) -> tuple[str, str, Purpose]:
        """Return (trade, intent id, purpose) of an opening: a new trade, or the one that holds the symbol."""
        held = self.trade_of(symbol)
        if held is not None:
            return held.id, self._gateway.next_intent_id(held.id, Purpose.ADD), Purpose.ADD
        day = snapshot.session.day
        trade = f"{BOOK}-{day:%Y%m%d}-{self._books.trades_named_on(BOOK, day) + 1}"
        return trade, self._gateway.next_intent_id(trade, Purpose.OPEN), Purpose.OPEN

    # ------------------------------------------------------------------------------------------------- the last word

    def _judge_final(self, parent: Parent, request: OrderRequest, snapshot: MarketSnapshot) -> Verdict:
        """Hold a final order against the principles, with the broker's own holdings."""
        leg = request.legs[0]
        holdings = self.holdings(snapshot.time)
        others = [item for item in self.working() if item.order != parent.intent_id]
        if not parent.is_opening:
            return _reduces(leg.symbol, leg.qty, holdings, others)
        if any(symbol != leg.symbol for symbol in holdings.symbols) or others:
            return Verdict.refuse(Reason.PRINCIPLE_BREACH, principle="P2", working=len(others))
        if holdings.opens_in_bar >= self._settings.max_opens_per_bar:
            return Verdict.refuse(Reason.OPEN_CAP_BAR, opens=holdings.opens_in_bar)
        if leg.qty <= 0 or holdings.agreed(leg.symbol) < 0:
            return Verdict.refuse(Reason.PRINCIPLE_BREACH, principle="P4", qty=leg.qty)
        cost = leg.qty * to_u6(-(request.net_cash or 0.0)) + share_fee_bound_u6(self._brokerage, leg.qty)
        if self._books.cash_u6 < cost:
            return Verdict.refuse(Reason.PRINCIPLE_BREACH, principle="P1", cost_usd=cost / U6)
        return Verdict.allow()


def _reduces(symbol: str, qty: int, holdings: FamilyHoldings, others: list[FamilyWorking]) -> Verdict:
    """A close stays inside what book and broker agree on, other closes at work counted."""
    agreed = holdings.agreed(symbol)
    at_work = sum(item.qty for item in others if item.symbol == symbol and item.qty * qty > 0)
    if agreed * qty < 0 and abs(qty + at_work) <= abs(agreed):
        return Verdict.allow()
    return Verdict.refuse(Reason.DENIED_NOT_REDUCING, symbol=symbol, qty=qty, agreed=agreed, at_work=at_work)


def _working(parent: Parent) -> FamilyWorking:
    leg, child = parent.structure.legs[0], parent.working
    left = parent.remaining - (child.filled_units() if child is not None else 0)
    return FamilyWorking(
        order=parent.intent_id,
        symbol=leg.symbol,
        purpose=parent.purpose,
        qty=leg.ratio * left,
        in_doubt=child is not None and child.state is OrderState.UNRESOLVED,
        cancelling=parent.stopping or (child is not None and child.state is OrderState.CANCEL_PENDING),
    )
