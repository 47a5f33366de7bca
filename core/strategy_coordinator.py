"""The pipeline of one step: fold, reconcile, watch, leave, enter, send, record.

A step belongs to one closed minute.  Exits are asked first and bypass every limiter; entries run through the gates in
their order.  One failing strategy or component is isolated and becomes close-only, loudly; in a backtest a
programming error ends the run after the ledger is sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from operator import attrgetter

from core.books import Books
from core.component_initializer import ComponentInitializer, Status
from core.containment import Containment
from core.entry_pipeline import EntryPipeline, refuse_entry
from core.exit_plans import ExitWatch
from core.family_desk import FamilyDesk
from core.leaving import Leaving
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot, Session, VixReading
from core.market_data import MarketData
from core.marks import equity_mark
from core.order_gateway import OrderGateway
from core.ports import Broker, MarketFeed
from core.reasons import Reason
from core.reconciliation import CLEAN, Reconciler, Reconciliation
from core.recorder import Recorder
from core.rules import Cause, Manager, VixReader, Watch
from core.session import SessionClock
from core.settings import Mode, Settings
from core.settlement import Settlement
from core.state_manager import StateManager
from core.strategy import EntryWindow, Strategy
from core.trade_machine import TradeState, Trigger
from core.trading_state import StateBoard
from core.vocabulary import (
    BrokerEvent,
    Gate,
    Instrument,
    Intent,
    Purpose,
    SessionPhase,
    SettlementEvent,
    SplitEvent,
    TradingState,
    Verdict,
)
from helpers.funnel import OPENED, Funnel

NAME = "strategy_coordinator"
"""Its row in the component table."""

_MINUTE = timedelta(minutes=1)
_symbol = attrgetter("symbol")
_OUTSIDE_WINDOW = Reason.OUTSIDE_WINDOW.value


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a step works with, built by the initializer."""

    settings: Settings
    initializer: ComponentInitializer
    ledger: Ledger
    books: Books
    clock: SessionClock
    feed: MarketFeed
    broker: Broker
    gateway: OrderGateway
    state: StateManager
    reconciler: Reconciler
    market_data: MarketData
    settlement: Settlement
    vix: VixReader
    managers: tuple[Manager, ...]
    pipeline: EntryPipeline
    exits: ExitWatch
    strategies: tuple[Strategy, ...]
    recorder: Recorder
    family: FamilyDesk | None = None


@dataclass(frozen=True, slots=True)
class _Today:
    """What a strategy says of a session, asked in its first step: it follows from the session alone.

    window None: it does not enter today; chain: the one that it must see in every minute.
    """

    strategy: Strategy
    window: EntryWindow | None
    chain: tuple[str, date] | None


class StrategyCoordinator:
    """Runs the steps of one run."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._strategies = sorted(parts.strategies, key=lambda item: item.priority)
        self._today: tuple[_Today, ...] = ()
        self._always = () if parts.family is None else tuple(sorted(parts.family.instruments, key=_symbol))
        """What is watched even where nothing is held."""
        self._always_symbols = frozenset(map(_symbol, self._always))
        self._board = StateBoard()
        self._funnel = Funnel()
        self._last_step: datetime | None = None
        self._session: Session | None = None
        self._last_open: datetime | None = None
        self._snapshot: MarketSnapshot | None = None
        self._lines: list[str] = []
        self._containment = Containment(parts.settings.run.mode, parts.state, parts.initializer, parts.ledger)
        apart = frozenset[str]() if parts.family is None else frozenset({parts.family.name})
        self._leaving = Leaving(
            parts.books, parts.state, parts.gateway, parts.exits, self._board, parts.strategies, self._containment,
            apart,
        )  # fmt: skip
        parts.gateway.read_state_from(self._board.of)
        if parts.family is not None:
            parts.family.join(self._board)

    @property
    def last_step(self) -> datetime | None:
        return self._last_step

    @property
    def is_at_open(self) -> bool:
        """Whether the last step belongs to the minute before the session's first bar ends."""
        return self._snapshot is not None and timedelta() <= self._snapshot.time - self._snapshot.session.open < _MINUTE

    @property
    def snapshot(self) -> MarketSnapshot | None:
        """The last step's view."""
        return self._snapshot

    @property
    def state(self) -> TradingState:
        return self._board.account()

    def lines(self) -> list[str]:
        """Return and forget what the log should say of the last step."""
        lines, self._lines = self._lines, []
        return lines

    def post(self, event: BrokerEvent | SettlementEvent | SplitEvent) -> None:
        """Take a report in; called from any thread, also inside a broker call."""
        if isinstance(event, SettlementEvent):
            self._parts.settlement.post(event)
        elif isinstance(event, SplitEvent):
            if self._parts.family is not None:
                self._parts.family.post(event)
        else:
            self._parts.gateway.post(event)

    def attend(self, now: datetime) -> None:
        """Finish between two steps what a step has begun: fold reports, replace orders whose cancel is confirmed.

        In a backtest the engine confirms a cancel in the minute of the step but after it, so that `main.py` calls this
        from the report; live and paper a pulse does. Never inside a step (`Assembly` sees to that): it folds by itself.
        """
        snapshot = self._snapshot
        gateway = self._parts.gateway
        if snapshot is None or not gateway.needs_attention():
            return
        gateway.fold(now)
        if now - snapshot.time < _MINUTE:  # a minute later its prices are old, and the next step is due
            gateway.attend(replace(snapshot, time=now))

    def is_due(self, now: datetime) -> bool:
        """Tell whether a step is due at now: once per closed minute, from PRE_OPEN to a quarter of an hour after the
        close.
        """
        last = self._last_step
        # Live, a step that came late in its minute is stamped with the second.
        is_new = last is None or last.minute != now.minute or now - last >= _MINUTE
        return is_new and self._parts.clock.phase(now) is not None

    def rests_until(self, now: datetime) -> datetime:
        """Return the first moment from now on in which a step may be due."""
        return self._parts.clock.next_start(now)

    # ------------------------------------------------------------------------------------------------------- the step

    def step(self, now: datetime) -> None:
        parts = self._parts
        session, phase = self._begin(now)
        # 1 fold
        self._fold(now)
        # 2 reconcile
        snapshot = parts.market_data.observe(parts.feed, self._watched(), self._followed(session, now), now)
        parts.settlement.observe(session.day, snapshot.settlement_price, snapshot.past_settlement_price)
        account = parts.broker.account()
        working = parts.gateway.working_children()
        reconciliation = parts.reconciler.reconcile(snapshot, account, working)
        if working or reconciliation is not CLEAN:
            self._settle_doubts(reconciliation, now)
        # 3 watch
        equity = equity_mark(snapshot, parts.books, account, parts.settings)
        reading = parts.vix.read(snapshot)
        snapshot = snapshot.completed(account=account, equity=equity, vix=reading)
        watches = self._watch(snapshot)
        scale = _scale(reading, watches)
        self._apply_states(snapshot, reconciliation, watches)
        parts.recorder.observe(snapshot, session, phase, self._board)
        # 4 leave
        self._leaving.leave(snapshot, [demand for watch in watches for demand in watch.exits] if watches else ())
        if parts.family is not None:
            self._family_leaves(parts.family, snapshot)
        # 5 enter
        self._enter(snapshot, scale)
        if parts.family is not None:
            self._family_enters(parts.family, snapshot, scale)
        # 6 send
        snapshot = self._send(snapshot, phase)
        # 7 record
        if parts.family is not None:
            self._family_ends(parts.family, snapshot, scale)
        parts.recorder.after_step(snapshot)
        if now >= session.close and not parts.recorder.session_closed:
            self._close_session(snapshot, session)
        self._snapshot = snapshot

    def _begin(self, now: datetime) -> tuple[Session, SessionPhase]:
        phase = self._parts.clock.phase(now)
        assert phase is not None, "a step is asked for only inside a session"
        self._last_step = now
        session = self._session
        if session is None or session.day != now.date():
            session = self._open_session(now)
        return session, phase

    def _open_session(self, now: datetime) -> Session:
        parts = self._parts
        session = parts.clock.session(now.date())
        assert session is not None, "a step is asked for only inside a session"
        self._session, self._today = session, ()
        parts.gateway.open_session()
        if changed := parts.initializer.session_opened(now):
            self._note_components(changed, now)
        parts.recorder.open_session(session, now)
        return session

    def _fold(self, now: datetime) -> None:
        """Take in what was reported since the last step, and what can be built by now."""
        parts = self._parts
        parts.gateway.fold(now)
        parts.gateway.watch(now, in_step=True)
        parts.settlement.fold(now)
        if parts.family is not None:
            parts.family.fold(now)
        if changed := parts.initializer.retry(now):
            self._note_components(changed, now)

    def _note_components(self, changed: Sequence[str], now: datetime) -> None:
        reports = {line.name: line for line in self._parts.initializer.report()}
        for name in changed:
            self._parts.recorder.component(reports[name], now)
            self._lines.append(reports[name].sentence)

    def _watched(self) -> Sequence[Instrument]:
        parts = self._parts
        symbols = {*parts.books.positions(), *parts.gateway.symbols_at_work(), *parts.recorder.lately_in_play}
        others = symbols.difference(self._always_symbols)
        if not others:
            return self._always
        return sorted([*self._always, *map(parts.books.instrument, others)], key=_symbol)

    def _followed(self, session: Session, now: datetime) -> Sequence[tuple[str, date]]:
        """Chains that must be seen in every minute: those of strategies that may still enter today."""
        if not self._today:
            # Not while the session is opened: a strategy that fails here fails this step, and neither the session's
            # opening nor the reduced step that follows.
            self._today = tuple(_today(strategy, session) for strategy in self._strategies)
        wanted: dict[tuple[str, date], None] = {}
        for today in self._today:
            if today.window is None or today.chain is None or now > today.window.end:
                continue
            if self._parts.state.may_enter(today.strategy.name):
                wanted[today.chain] = None
        return tuple(wanted)

    # ------------------------------------------------------------------------------- when a step has failed as a whole

    def fail(self, error: Exception, now: datetime) -> None:
        """Say loudly that a step, or what was done between two, has failed as a whole, and count it.  Live only."""
        text = f"{NAME}: {type(error).__name__}: {error}"
        self._parts.initializer.fault(NAME, text, now)
        self._parts.ledger.append(Kind.ALERT, "", now, severity="CRITICAL", code="FAULT", text=text)
        self._lines.append(f"ERROR {text}")

    @property
    def has_failed(self) -> bool:
        """Whether it had too many faults: until the next open only `step_reduced` is run."""
        return self._parts.initializer.status(NAME) is Status.FAILED

    def step_reduced(self, now: datetime) -> None:
        """Do what a minute cannot go without: fold, cancel openings, let the exit plans leave, work what is open.

        The account is REDUCING from here to the next whole step.
        """
        parts = self._parts
        _session, phase = self._begin(now)
        cause = Cause(f"component.{NAME}", TradingState.REDUCING, Reason.COMPONENT_NOT_READY, subject=NAME)
        kept = [known for known in self._board.causes if known.name != cause.name]
        parts.recorder.state_changes(self._board.replace([*kept, cause]), now)
        parts.gateway.fold(now)
        parts.gateway.watch(now, in_step=True)
        parts.gateway.cancel_openings(now)
        snapshot = parts.market_data.observe(parts.feed, self._watched(), (), now)
        self._leaving.leave(snapshot, ())
        if parts.family is not None:
            self._leaving.leave_book(parts.family.name, snapshot)
        self._snapshot = self._send(snapshot, phase)

    # ---------------------------------------------------------------------------------------------- 2 and 3: find out

    def _settle_doubts(self, reconciliation: Reconciliation, now: datetime) -> None:
        """An order in doubt is asked about; what the broker shows is folded, what it does not know is LOST after its
        time.
        """
        parts = self._parts
        for order in reconciliation.queries:
            parts.gateway.query(order, now)
        parts.gateway.recover_unknown(now)
        for order, outcome in reconciliation.settled:
            parts.gateway.settle_unresolved(order, outcome, now)
        for trade, trigger in reconciliation.triggers:
            parts.state.drive(trade, trigger, now)
        parts.recorder.notes(reconciliation.notes, now)

    def _watch(self, snapshot: MarketSnapshot) -> list[Watch]:
        """Return what managers have found that is not quiet, and write down what they ask for."""
        parts = self._parts
        found = self._containment.watch(parts.managers, snapshot, parts.books)
        for watch in found:
            parts.recorder.notes(watch.notes, snapshot.time)
        return found

    def _apply_states(self, snapshot: MarketSnapshot, reconciliation: Reconciliation, watches: Sequence[Watch]) -> None:
        parts = self._parts
        causes: list[Cause] = [
            *parts.initializer.causes(),
            *reconciliation.causes,
            *parts.recorder.causes(snapshot),
            *parts.ledger.causes(),
            *parts.state.causes(),
        ]
        for watch in watches:
            causes.extend(watch.causes)
        if changes := self._board.replace(causes):
            parts.recorder.state_changes(changes, snapshot.time)
        if causes:  # without one everybody may open
            parts.gateway.cancel_openings(snapshot.time)

    # -------------------------------------------------------------------------------------------------------- 5 enter

    def _enter(self, snapshot: MarketSnapshot, scale: float) -> None:
        for today in self._today:
            if today.window is not None and today.window.holds(snapshot.time):
                self._ask(today.strategy, snapshot, scale)
            elif snapshot.phase.market_open:
                self._funnel.count(today.strategy.name, _OUTSIDE_WINDOW)

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
                answer = self._owned_refusals(intent, snapshot) or parts.pipeline.judge(
                    strategy, intent, snapshot, scale, lambda: self._name_trade(strategy, snapshot)
                )
            if isinstance(answer, Intent):
                self._open(answer, snapshot)
                return
            refusal = answer if answer.gate is not None else answer.at(Gate.STRATEGY)
        self._drop_planned(strategy, refusal, snapshot)
        self._funnel.count(strategy.name, refusal.reason.value)
        refuse_entry(parts.ledger, strategy.name, refusal, snapshot, intent)

    def _drop_planned(self, strategy: Strategy, refusal: Verdict, snapshot: MarketSnapshot) -> None:
        """A sized intent that the invariants refused stands in the ledger as a planned trade: it ends here."""
        if refusal.gate is not Gate.INVARIANTS:
            return
        for trade in self._parts.books.planned_on(strategy.name, snapshot.session.day):
            if trade.state is TradeState.PLANNED and trade.exit_plan is None:
                self._parts.state.drive(trade.id, Trigger.DENIED, snapshot.time)

    def _lifecycle(self, strategy: Strategy, snapshot: MarketSnapshot) -> Verdict | None:
        parts = self._parts
        refusal = (
            parts.initializer.entry_refusal(strategy.name)
            or parts.state.entry_refusal(strategy.name, snapshot.time)
            or self._board.refusal(Gate.LIFECYCLE, strategy.name)
        )
        if refusal is None and parts.gateway.opening_of(strategy.name) is not None:
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

    def _owned_refusals(self, intent: Intent, snapshot: MarketSnapshot) -> Verdict | None:
        """Causes that a gate owns refuse at that gate, with their own reason."""
        for gate in (Gate.DATA, Gate.BREAKER, Gate.DRAWDOWN, Gate.EMERGENCY):
            refusal = self._board.refusal(gate, intent.strategy, intent.structure.symbols)
            if refusal is not None:
                return refusal.at(gate)
        locked = self._board.refusal(Gate.LIFECYCLE, intent.strategy, intent.structure.symbols)
        return None if locked is None else locked.at(Gate.LIFECYCLE)

    def _name_trade(self, strategy: Strategy, snapshot: MarketSnapshot) -> tuple[str, str]:
        day = snapshot.session.day
        trade = f"{strategy.name}-{day:%Y%m%d}-{self._parts.books.trades_named_on(strategy.name, day) + 1}"
        return trade, self._parts.gateway.next_intent_id(trade, Purpose.OPEN)

    def _open(self, intent: Intent, snapshot: MarketSnapshot) -> None:
        parts = self._parts
        self._funnel.count(intent.strategy, OPENED)
        self._last_open = snapshot.time
        self._lines.append(f"{intent.trade}: opening {intent.qty} x {intent.structure.name.value}")
        parts.state.plan(intent, snapshot.time)
        parts.gateway.open(intent, snapshot)
        # The exit plan lives in the snapshot alone: it must outlive a process that dies while it sends the order.
        parts.recorder.save_state(snapshot.time)

    # ------------------------------------------------------------------------------------------------- the ETF family

    def _family_leaves(self, family: FamilyDesk, snapshot: MarketSnapshot) -> None:
        self._containment.strategy(
            family.name,
            snapshot.time,
            lambda _text: self._leaving.leave_book(family.name, snapshot),
            family.leave,
            snapshot,
        )

    def _family_enters(self, family: FamilyDesk, snapshot: MarketSnapshot, scale: float) -> None:
        line = self._containment.strategy(
            family.name,
            snapshot.time,
            lambda _text: None,
            family.enter,
            snapshot,
            scale,
            self._family_lifecycle,
            lambda intent: self._family_owned(snapshot, intent),
        )
        if line is not None:
            if self._parts.settings.run.mode is not Mode.BACKTEST:
                self._lines.append(line)  # a backtest's log is too small for a book that opens twenty times a day
            self._parts.recorder.save_state(snapshot.time)  # the exit plan must outlive a death while it is sent
        if family.outcome is not None and snapshot.phase.market_open:
            self._funnel.count(family.name, family.outcome)

    def _family_lifecycle(self, snapshot: MarketSnapshot) -> Verdict | None:
        parts = self._parts
        assert parts.family is not None
        name, symbols = parts.family.name, [item.symbol for item in parts.family.instruments]
        return (
            parts.initializer.entry_refusal(name)
            or parts.state.entry_refusal(name, snapshot.time)
            or self._board.refusal(Gate.LIFECYCLE, name, symbols)
        )

    def _family_owned(self, snapshot: MarketSnapshot, intent: Intent) -> Verdict | None:
        self._parts.recorder.ask_vix(snapshot)
        return self._owned_refusals(intent, snapshot)

    def _family_ends(self, family: FamilyDesk, snapshot: MarketSnapshot, scale: float) -> None:
        notes = self._containment.strategy(family.name, snapshot.time, lambda _text: (), family.after, snapshot, scale)
        if notes:
            self._parts.recorder.notes(notes, snapshot.time)

    # -------------------------------------------------------------------------------------------------------- 6 and 7

    def _send(self, snapshot: MarketSnapshot, phase: SessionPhase) -> MarketSnapshot:
        """Work every order one step; returns the snapshot with the quotes that they were priced by."""
        gateway = self._parts.gateway
        if phase is SessionPhase.CLOSED:
            gateway.cancel_all(snapshot.time)
        elif phase.market_open and (parents := gateway.parents()):
            for parent in parents:
                # An opening of this step is not watched yet: its legs were in the chain that the strategy has read.
                snapshot = self._parts.market_data.with_quotes(snapshot, parent.structure)
            gateway.work(snapshot)
        return snapshot

    def _close_session(self, snapshot: MarketSnapshot, session: Session) -> None:
        parts = self._parts
        for strategy, counts in self._funnel.close_session().items():
            parts.recorder.funnel(strategy, session.day, counts, snapshot.time)
        parts.recorder.close_session(snapshot, session)

    def finish(self, now: datetime, reason: str) -> None:
        """End the run: fold what still waits, state what the broker holds, seal the ledger."""
        parts = self._parts
        parts.gateway.fold(now)
        parts.settlement.fold(now)
        parts.gateway.leave_open(now)
        parts.recorder.end_run(now, reason, parts.gateway)


def _scale(reading: VixReading, watches: Sequence[Watch]) -> float:
    """Return the scale of the step: that of VIX x the smallest of the managers', never their product: one loss is
    counted once.
    """
    return reading.scale * min(watch.scale for watch in watches) if watches else reading.scale


def _today(strategy: Strategy, session: Session) -> _Today:
    window, expiry = strategy.window(session), strategy.watches(session)
    return _Today(strategy, window, None if expiry is None else (strategy.root, expiry))


__all__ = ["NAME", "Parts", "StrategyCoordinator", "VixReading"]
