"""Stage 5 of a step: every strategy whose window is open is asked for an opening, through the gates in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.containment import Containment
from core.entry_pipeline import refuse_entry
from core.market import MarketSnapshot, Session
from core.parts import Parts
from core.reasons import Reason
from core.strategy import EntryWindow, Strategy
from core.trade_machine import TradeState, Trigger
from core.trading_state import StateBoard
from core.vocabulary import Gate, Intent, Purpose, SessionPhase, Verdict
from helpers.funnel import OPENED, Funnel

_OUTSIDE_WINDOW = Reason.OUTSIDE_WINDOW.value


@dataclass(frozen=True, slots=True)
class _Today:
    """What a strategy says of a session, asked in its first step: it follows from the session alone.

    window None: it does not enter today; chain: the one that it must see in every minute.
    """

    strategy: Strategy
    window: EntryWindow | None
    chain: tuple[str, date] | None


class Entering:
    """Asks strategies for openings, and begins what the gates have let through."""

    def __init__(self, parts: Parts, board: StateBoard, funnel: Funnel, containment: Containment) -> None:
        self._parts = parts
        self._board = board
        self._funnel = funnel
        self._containment = containment
        self._strategies = sorted(parts.strategies, key=lambda item: item.priority)
        self._session: Session | None = None
        self._today: tuple[_Today, ...] = ()
        self._following: tuple[tuple[Strategy, tuple[str, date], datetime], ...] = ()
        self._last_open: datetime | None = None

    def followed(self, session: Session, now: datetime) -> Sequence[tuple[str, date]]:
        """Return the chains that must be seen in every minute: those of strategies that may still enter today."""
        if session is not self._session:
            # Not while the session is opened: a strategy that fails here fails this step, and neither the session's
            # opening nor the reduced step that follows.
            self._today, self._following = (), ()
            self._today = tuple(_today(strategy, session) for strategy in self._strategies)
            self._following = tuple(
                (today.strategy, today.chain, today.window.end)
                for today in self._today
                if today.window is not None and today.chain is not None
            )
            self._session = session
        if not self._following:
            return ()
        wanted: dict[tuple[str, date], None] = {}
        for strategy, chain, end in self._following:
            if now > end or not self._parts.state.may_enter(strategy.name):
                continue
            if not strategy.is_done(self._parts.books, session.day):
                wanted[chain] = None
        return tuple(wanted)

    def enter(self, snapshot: MarketSnapshot, scale: float) -> None:
        for today in self._today:
            if today.window is not None and today.window.holds(snapshot.time):
                self._ask(today.strategy, snapshot, scale)
            elif snapshot.phase.market_open:
                self._funnel.counts[today.strategy.name, _OUTSIDE_WINDOW] += 1

    def _ask(self, strategy: Strategy, snapshot: MarketSnapshot, scale: float) -> None:
        parts = self._parts
        refusal = self._lifecycle(strategy, snapshot) or self._session_gate(snapshot)
        intent: Intent | None = None
        if refusal is None:
            answer = self._containment.strategy(
                strategy.name,
                snapshot.time,
                lambda text: Verdict.refuse(Reason.STRATEGY_ERROR, error=text),
                strategy.enter,
                snapshot,
                parts.books,
            )
            if isinstance(answer, Intent):
                intent = answer
                snapshot = parts.market_data.with_quotes(snapshot, intent.structure)
                parts.recorder.ask_vix(snapshot)
                answer = self._board.owned_refusal(intent) or parts.pipeline.judge(
                    strategy, intent, snapshot, scale, lambda: self._name_trade(strategy, snapshot)
                )
            if isinstance(answer, Intent):
                self._open(answer, snapshot)
                return
            refusal = answer if answer.gate is not None else answer.at(Gate.STRATEGY)
        self._drop_planned(strategy, refusal, snapshot)
        self._funnel.counts[strategy.name, refusal.reason.value] += 1
        refuse_entry(parts.ledger, strategy.name, refusal, snapshot, intent)

    def _drop_planned(self, strategy: Strategy, refusal: Verdict, snapshot: MarketSnapshot) -> None:
        """A sized intent that the invariants refused stands in the ledger as a planned trade: it ends here."""
        if refusal.gate is not Gate.INVARIANTS:
            return
        for trade in self._parts.books.planned_on(strategy.name, snapshot.session.day):
            if trade.state is TradeState.PLANNED and trade.exit_plan is None:
                self._parts.state.drive(trade.id, Trigger.DENIED, snapshot.time)

    def _lifecycle(self, strategy: Strategy, snapshot: MarketSnapshot) -> Verdict | None:
        refusal = lifecycle_refusal(self._parts, self._board, strategy.name, snapshot.time)
        if refusal is None and self._parts.gateway.opening_of(strategy.name) is not None:
            refusal = Verdict.refuse(Reason.ENTRY_WORKING)
        if refusal is None and self._spacing_left(snapshot.time) > 0:
            refusal = Verdict.refuse(Reason.ENTRY_SPACING, minutes_left=self._spacing_left(snapshot.time))
        return None if refusal is None else refusal.at(Gate.LIFECYCLE)

    def _spacing_left(self, now: datetime) -> int:
        spacing_min = self._parts.settings.orders.entry_spacing_min
        last = self._last_open or self._planned_since(now - timedelta(minutes=spacing_min))
        if last is None:
            return 0
        passed = (now - last).total_seconds() / 60
        return max(0, round(spacing_min - passed))

    def _planned_since(self, moment: datetime) -> datetime | None:
        """Return when the last option trade after a moment was planned: a process that took over knows of the openings
        before it from the books.
        """
        for trade in reversed(self._parts.books.trades):
            if trade.planned <= moment:
                break
            if trade.structure.expiries:
                return trade.planned
        return None

    def _session_gate(self, snapshot: MarketSnapshot) -> Verdict | None:
        if snapshot.phase is SessionPhase.REGULAR:
            return None
        return Verdict.refuse(Reason.SESSION_PHASE, phase=snapshot.phase.value).at(Gate.SESSION)

    def _name_trade(self, strategy: Strategy, snapshot: MarketSnapshot) -> tuple[str, str]:
        day = snapshot.session.day
        trade = f"{strategy.name}-{day:%Y%m%d}-{self._parts.books.trades_named_on(strategy.name, day) + 1}"
        return trade, self._parts.gateway.next_intent_id(trade, Purpose.OPEN)

    def _open(self, intent: Intent, snapshot: MarketSnapshot) -> None:
        parts = self._parts
        self._funnel.counts[intent.strategy, OPENED] += 1
        self._last_open = snapshot.time
        parts.announcements.say(f"{intent.trade}: opening {intent.qty} x {intent.structure.name.value}")
        parts.state.plan(intent, snapshot.time)
        parts.gateway.open(intent, snapshot)
        # The exit plan lives in the snapshot alone: it must outlive a process that dies while it sends the order.
        parts.recorder.save_state(snapshot.time)


def lifecycle_refusal(
    parts: Parts, board: StateBoard, name: str, now: datetime, symbols: Sequence[str] = ()
) -> Verdict | None:
    """Return why a strategy or book may not open at all now: a component, its own standing, the trading state."""
    return (
        parts.initializer.entry_refusal(name)
        or parts.state.entry_refusal(name, now)
        or board.refusal(Gate.LIFECYCLE, name, symbols)
    )


def _today(strategy: Strategy, session: Session) -> _Today:
    window, expiry = strategy.window(session), strategy.watches(session)
    return _Today(strategy, window, None if expiry is None else (strategy.root, expiry))
