"""The order path at work: ledger, books, trade machine, gateway, reconciliation and exits are the real ones; the broker
and the quotes are told what to do, and a step is a minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from audit.replay import Replay
from audit.rules import ALL as AUDIT_RULES
from core.containment import Containment
from core.exit_plans import Exit, ExitWatch
from core.intents import allow_intent, record_intent
from core.leaving import Leaving
from core.ledger_kinds import Kind
from core.market import Bar, MarketSnapshot, Quote, QuoteVerdict
from core.order_gateway import OrderGateway
from core.reasons import Reason
from core.reconciliation import Reconciler
from core.rules import Cause, ExitDemand
from core.session import SessionClock
from core.settings import Mode, OrderSettings, Settings
from core.state_manager import StateManager
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.trading_state import StateBoard
from core.vocabulary import (
    ExitPlan,
    Intent,
    IntentKind,
    Ladder,
    LadderPlan,
    Purpose,
    RiskBasis,
    SessionPhase,
    Structure,
    StructureName,
    TradingState,
    UnitRisk,
)
from tests.core.desk import BOOK, RUN, Desk, at, call, put, structure
from tests.core.fake_broker import FakeBroker
from tests.risk.builders import snapshot

SETTINGS = Settings()
AUDITED = {"AU-01", "AU-02", "AU-03", *(f"AU-{number}" for number in range(10, 24)), "AU-30", "AU-50", "AU-61"}
"""Rules of lines, orders, cash, cover and trade states: what a few minutes of orders can be judged by."""

MINUTE = timedelta(minutes=1)
SHORT_PUT, LONG_PUT, SHORT_CALL, LONG_CALL = put(5_900), put(5_890), call(6_000), call(6_010)
SP, LP, SC, LC = (item.symbol for item in (SHORT_PUT, LONG_PUT, SHORT_CALL, LONG_CALL))
CONDOR = structure((LONG_PUT, 1), (SHORT_PUT, -1), (SHORT_CALL, -1), (LONG_CALL, 1), name=StructureName.IRON_CONDOR)
PUT_SPREAD = structure((LONG_PUT, 1), (SHORT_PUT, -1), name=StructureName.PUT_SPREAD)
CALM = ExitPlan(hard_exit=at(15, 30), flatten=at(15, 45), flat_by=at(15, 55), confirm_min=2)
"""A plan that leaves by the clock alone."""


class OrderDesk(Desk):
    """Runs the steps of one session on a broker that is told what to do."""

    def __init__(self, *, live: bool = True, group_wait_s: int = 0, orders: OrderSettings = SETTINGS.orders) -> None:
        super().__init__(live=live, now=at(9, 30))
        self.now = at(10, 30)
        self.broker = FakeBroker()
        self.broker.now = self.now
        self.clock = SessionClock(SETTINGS.session)
        self.state = StateManager(SETTINGS.state, orders, self.clock, self.ledger, self.books, None)
        self.state.register(BOOK)
        wait = timedelta(seconds=group_wait_s)
        self.gateway = OrderGateway(
            RUN, orders, self.ledger, self.books, self.broker, self.state.drive, group_wait=wait
        )
        self.broker.reports_to(self.gateway.post)
        self.broker.quoted = self.mid
        self.reconciler = Reconciler(SETTINGS.state, orders, self.books, self.broker)
        self.board = StateBoard()
        self.gateway.read_state_from(self.board.of)
        self.exits = ExitWatch(SETTINGS)
        contained = Containment(Mode.BACKTEST, self.state, None, self.ledger)  # type: ignore[arg-type]
        self.leaving = Leaving(self.books, self.state, self.gateway, self.exits, self.board, (), contained)
        self.quotes: dict[str, Quote] = {}
        self.last_good: dict[str, Quote] = {}
        self.spot = 5_950.0
        self.causes: list[Cause] = []
        self.demands: list[ExitDemand] = []
        self.session_closed = False
        self.longest_uncovered = timedelta(0)
        self._uncovered_since: dict[str, Any] = {}
        self.quote_condor()

    # ------------------------------------------------------------------------------------------------------ the market

    def quote(self, symbol: str, bid: float | None, ask: float | None, verdict: QuoteVerdict | None = None) -> None:
        usual = QuoteVerdict.GOOD if bid is not None else QuoteVerdict.NO_BID
        quote = Quote(verdict or usual, bid, ask, bid, ask, 0.0)
        self.quotes[symbol] = quote
        if quote.is_good:
            self.last_good[symbol] = quote

    def quote_condor(self, mid: float = 2.70, half: float = 0.40) -> None:
        """Quote the four legs so that their net mid and half spread are exactly these."""
        for symbol, price in ((LP, 1.0), (LC, 1.0), (SP, 1.0 + mid / 2), (SC, 1.0 + mid / 2)):
            self.quote(symbol, round(price - half / 4, 6), round(price + half / 4, 6))

    def spoil(self, *symbols: str, verdict: QuoteVerdict = QuoteVerdict.STALE) -> None:
        for symbol in symbols:
            self.quotes[symbol] = replace(self.quotes[symbol], verdict=verdict)

    def silence(self, *symbols: str) -> None:
        """No market: no quote now, and none that was ever good."""
        for symbol in symbols:
            self.quotes.pop(symbol, None)
            self.last_good.pop(symbol, None)

    def mid(self, symbol: str) -> float:
        quote = self.last_good.get(symbol) or self.quotes.get(symbol)
        return 1.0 if quote is None or quote.mid is None else quote.mid

    def view(self) -> MarketSnapshot:
        session = self.clock.session(self.now.date())
        assert session is not None
        bar = Bar(self.now, self.spot, self.spot, self.spot, self.spot, 0.0, 0.0)
        return replace(
            snapshot(self.now, today=session, quotes=self.quotes, bars={"SPX": bar}), last_good=dict(self.last_good)
        )

    # -------------------------------------------------------------------------------------------------------- the step

    def step(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Let the market work to the next minute, then run the stages of a step that concern orders.

        meanwhile: what happens at the broker in that minute; its reports carry the minute's end, as in LEAN.
        """
        self.now += MINUTE
        self.broker.now = self.now
        if meanwhile is not None:
            meanwhile()
        self.broker.minute()
        self.stages()

    def step_with_fill(self, **how: Any) -> None:
        """Step through a minute in which the youngest order fills: `FakeBroker.fill` says how."""
        self.step(lambda: self.broker.fill(**how))

    def stages(self) -> None:
        view = self.view()
        self.gateway.fold(self.now)
        self.gateway.watch(self.now, in_step=True)
        found = self.reconciler.reconcile(view, self.broker.account(), self.gateway.working_children())
        for order in found.queries:
            self.gateway.query(order, self.now)
        self.gateway.recover_unknown(self.now)
        for order, outcome in found.settled:
            self.gateway.settle_unresolved(order, outcome, self.now)
        for trade, trigger in found.triggers:
            self.state.drive(trade, trigger, self.now)
        for note in found.notes:
            self.ledger.append(note.kind, note.book, self.now, **note.fields)
        self.board.replace([*self.causes, *found.causes, *self.ledger.causes])
        self.gateway.cancel_openings(self.now)
        self.leaving.leave(view, self.demands)
        if view.phase is SessionPhase.CLOSED:
            self.gateway.cancel_all(self.now)
        else:
            self.gateway.work(view)
        self._measure()

    def attend(self, seconds: int = 0) -> None:
        """What the pulse, or the report of a cancel in a backtest, does between two steps."""
        self.now += timedelta(seconds=seconds)
        self.broker.now = self.now
        if self.gateway.needs_attention():
            self.gateway.fold(self.now)
            self.gateway.attend(self.view())
        self._measure()

    def run(self, minutes: int) -> None:
        for _ in range(minutes):
            self.step()

    def run_to(self, hour: int, minute: int) -> None:
        while self.now < at(hour, minute):
            self.step()

    def _measure(self) -> None:
        naked = {item.symbol for item in self.books.uncovered_shorts}
        for symbol in naked:
            since = self._uncovered_since.setdefault(symbol, self.now)
            self.longest_uncovered = max(self.longest_uncovered, self.now - since)
        self._uncovered_since = {symbol: at for symbol, at in self._uncovered_since.items() if symbol in naked}

    # ---------------------------------------------------------------------------------------------------------- trades

    def enter(self, legs: Structure = CONDOR, *, units: int = 1, worst: float = 2.55, plan: ExitPlan = CALM) -> Trade:
        """Begin an opening that the sizer has approved; its first order leaves in this step."""
        number = self.books.trades_named_on(BOOK, self.now.date()) + 1
        name = f"{BOOK}-{self.now:%Y%m%d}-{number}"
        risk = UnitRisk(RiskBasis.MAX_LOSS, 1_000.0, 1_000.0, max_loss_usd=755.48)
        intent_id = self.gateway.next_intent_id(name, Purpose.OPEN)
        ladder = LadderPlan(worst, worst, (worst,), 60)
        intent = Intent(
            IntentKind.OPEN, BOOK, legs, Ladder.ENTRY, name, units, plan=ladder, risk=risk, exit_plan=plan,
            detail={"intent": intent_id},
        )  # fmt: skip
        amounts = {"max_loss_u6": 755_480_000 * units, "margin_u6": 1_000_000_000 * units}
        record_intent(self.ledger, intent, intent_id, Purpose.OPEN, self.now, **amounts)
        allow_intent(self.ledger, BOOK, intent_id, self.now)
        self.state.plan(intent, self.now)
        self.gateway.open(intent, self.view())
        self.gateway.work(self.view())
        return self.books.trade(name)

    def opened(self, legs: Structure = CONDOR, *, units: int = 1, worst: float = 2.55, plan: ExitPlan = CALM) -> Trade:
        """A trade that filled in full at its first offer, a few minutes ago."""
        trade = self.enter(legs, units=units, worst=worst, plan=plan)
        self.broker.fill()
        self.step()
        assert trade.state is TradeState.OPEN
        self.step()
        return trade

    def leave_by(
        self, trade: Trade, ladder: Ladder, reason: Reason = Reason.EXIT_STOP, floor: float | None = None
    ) -> None:
        """Want a trade closed in this step, as an exit would."""
        if trade.state is not TradeState.EXITING:
            self.state.drive(trade.id, Trigger.EXIT_DUE, self.now)
        self.gateway.close(trade, Exit(reason, ladder, floor), self.view())
        self.gateway.work(self.view())

    def demand(self, trade: Trade, ladder: Ladder, reason: Reason = Reason.EXIT_RISK) -> None:
        self.demands = [ExitDemand(trade.id, reason, ladder)]

    def halt(self, state: TradingState, **more: Any) -> None:
        self.causes = [Cause("test", state, Reason.STATE_REDUCING, **more)]
        self.board.replace(self.causes)

    # ------------------------------------------------------------------------------------------------------ afterwards

    def offers(self, purpose: Purpose | None = None) -> list[tuple[str, float]]:
        """Return (minute, net cash) of every order that was sent."""
        return [
            (f"{placed.at:%H:%M}", placed.request.net_cash or 0.0)
            for placed in self.broker.orders.values()
            if purpose is None or f"|{purpose.value}|" in placed.id
        ]

    def orders(self, purpose: Purpose) -> list[str]:
        return [order for order in self.broker.orders if f"|{purpose.value}|" in order]

    def legs_of(self, order: str) -> dict[str, int]:
        return {leg.symbol: leg.qty for leg in self.broker.orders[order].request.legs}

    def records(self, kind: Kind) -> list[dict[str, Any]]:
        self.ledger.flush(durable=True)
        found = [json.loads(line) for line in self.store.joined().splitlines()]
        return [record for record in found if record["kind"] == kind.value]

    def outcomes(self, order: str) -> list[str]:
        return [record["outcome"] for record in self.records(Kind.ORDER_OUTCOME) if record["order"] == order]

    def refusals(self) -> list[str]:
        return [record["reason"] for record in self.records(Kind.VERDICT) if not record["allowed"]]

    def states(self, trade: Trade) -> list[str]:
        return [record["to"] for record in self.records(Kind.TRADE_STATE) if record["trade"] == trade.id]

    def audited(self) -> list[str]:
        """End the run; return what the independent auditor has against how orders were recorded, worked and covered."""
        self.gateway.leave_open(self.now)
        self.seal()
        replay = Replay([rule for rule in AUDIT_RULES if rule.id in AUDITED])
        replay.run(self.store.joined().splitlines(keepends=True))
        return [f"{finding.rule}: {finding.text}" for finding in replay.findings.kept]


def crossed(held: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """Return symbols whose holding changed its sign."""
    return [symbol for symbol, qty in held.items() if qty * before.get(symbol, 0) < 0]
