"""The pipeline of one step: fold, reconcile, watch, leave, enter, send, record.

A step belongs to one closed minute.  Exits are asked first and bypass every limiter; entries run through the gates in
their order.  One failing strategy or component is isolated and becomes close-only, loudly; in a backtest a
programming error ends the run after the ledger is sealed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.containment import Containment
from core.entering import Entering
from core.family_stage import FamilyStage
from core.leaving import Leaving
from core.ledger_kinds import Kind
from core.market import MarketSnapshot, Session, VixReading
from core.marks import equity_mark
from core.parts import Parts
from core.reasons import Reason
from core.reconciliation import CLEAN, Reconciliation
from core.rules import Cause, Watch
from core.session import Span
from core.trading_state import StateBoard
from core.vocabulary import BrokerEvent, Gate, SessionPhase, SettlementEvent, SplitEvent, TradingState
from core.watch_list import WatchList
from helpers.funnel import Funnel

NAME = "strategy_coordinator"
"""Its row in the component table."""

_MINUTE = timedelta(minutes=1)
_EQUITY_UNKNOWN = Cause("equity.unknown", TradingState.REDUCING, Reason.EQUITY_UNKNOWN, Gate.DATA)
_EQUITY_DISPUTED = Cause("equity.disputed", TradingState.REDUCING, Reason.EQUITY_DISPUTED, Gate.DATA)
_FEED_SILENT = Cause("feed.silent", TradingState.REDUCING, Reason.FEED_SILENT, Gate.DATA)


class StrategyCoordinator:
    """Runs the steps of one run."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._board = StateBoard()
        self._funnel = Funnel()
        self._containment = Containment(parts.settings.run.mode, parts.state, parts.initializer, parts.ledger)
        family = parts.family
        self._leaving = Leaving(
            parts.books, parts.state, parts.gateway, parts.exits, self._board, parts.strategies, self._containment,
            frozenset() if family is None else frozenset({family.name}),
        )  # fmt: skip
        self._entering = Entering(parts, self._board, self._funnel, self._containment)
        self._family = (
            None
            if family is None
            else FamilyStage(family, parts, self._board, self._funnel, self._leaving, self._containment)
        )
        self._watch_list = WatchList(parts.books.instrument, () if family is None else family.instruments)
        self._session: Session | None = None
        self.last_step: datetime | None = None
        self.snapshot: MarketSnapshot | None = None
        """The last step's view."""
        parts.gateway.read_state_from(self._board.of)

    @property
    def is_at_open(self) -> bool:
        """Whether the last step belongs to the minute before the session's first bar ends."""
        return self.snapshot is not None and timedelta() <= self.snapshot.time - self.snapshot.session.open < _MINUTE

    @property
    def state(self) -> TradingState:
        return self._board.account()

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
        snapshot = self.snapshot
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
        last = self.last_step
        # Live, a step that came late in its minute is stamped with the second.
        is_new = last is None or last.minute != now.minute or now - last >= _MINUTE
        return is_new and self._parts.clock.at(now) is not None

    def rests_until(self, now: datetime) -> datetime:
        """Return the first moment from now on in which a step may be due."""
        return self._parts.clock.next_start(now)

    # ------------------------------------------------------------------------------------------------------- the step

    def step(self, now: datetime) -> None:
        parts, family = self._parts, self._family
        books, gateway, recorder, orders = parts.books, parts.gateway, parts.recorder, parts.gateway.orders
        at = self._begin(now)
        session, phase = at.session, at.phase
        # 1 fold what was reported since the last step, and what can be built by now
        if gateway.reported:
            gateway.fold(now)
        if orders.parents:
            gateway.watch(now, in_step=True)
        if parts.settlement.reported:
            parts.settlement.fold(now)
        if parts.family is not None and parts.family.splits.announced:
            parts.family.fold(now)
        if parts.initializer.is_unbuilt:
            self._note_components(parts.initializer.retry(now), now)
        # 2 reconcile
        chains = self._entering.followed(session, now)
        watched = self._watch_list.of(books.positions(), orders.symbols, recorder.lately_in_play)
        snapshot = parts.market_data.observe(parts.feed, watched, chains, now)
        parts.settlement.observe(session.day, snapshot.settlement_price, snapshot.past_settlement_price)
        account = parts.broker.account()
        working = gateway.working_children() if orders.parents else ()
        reconciliation = parts.reconciler.reconcile(snapshot, account, working)
        if working or reconciliation is not CLEAN:
            self._settle_doubts(reconciliation, now)
        # 3 watch
        equity = equity_mark(snapshot, books, account, parts.settings)
        reading = parts.vix.read(snapshot)
        snapshot = snapshot.completed(account=account, equity=equity, vix=reading)
        watches = self._containment.watch(parts.managers, snapshot, books)
        for watch in watches:
            recorder.notes(watch.notes, now)
        scale = _scale(reading, watches) if watches else reading.scale
        causes = self._causes(snapshot, reconciliation, watches)
        if causes or self._board.causes:
            self._apply_states(causes, now)
        recorder.observe(snapshot, session, phase, self._board)
        # 4 leave
        if books.has_open_trades:
            demands = [demand for watch in watches for demand in watch.exits] if watches else ()
            self._leaving.leave(snapshot, demands)
        if family is not None:
            family.leave(snapshot)
        # 5 enter
        self._entering.enter(snapshot, scale)
        if family is not None:
            family.enter(snapshot, scale)
        # 6 send
        if orders.parents:
            snapshot = self._send(snapshot)
        # 7 record
        if family is not None:
            family.after(snapshot, scale)
        recorder.after_step(snapshot)
        if now >= session.close and not recorder.session_closed:
            self._close_session(snapshot, session)
        self.snapshot = snapshot

    def _begin(self, now: datetime) -> Span:
        at = self._parts.clock.at(now)
        assert at is not None, "a step is asked for only inside a session"
        self.last_step = now
        if at.session is not self._session:
            self._open_session(at.session, now)
        return at

    def _open_session(self, session: Session, now: datetime) -> None:
        parts = self._parts
        self._session = session
        parts.gateway.open_session()
        self._note_components(parts.initializer.session_opened(now), now)
        parts.recorder.open_session(session, now)

    def _note_components(self, changed: Sequence[str], now: datetime) -> None:
        if changed:
            reports = {line.name: line for line in self._parts.initializer.report()}
            for name in changed:
                self._parts.recorder.component(reports[name], now)
                self._parts.announcements.say(reports[name].sentence)

    # ------------------------------------------------------------------------------- when a step has failed as a whole

    def fail(self, error: Exception, now: datetime) -> None:
        """Say loudly that a step, or what was done between two, has failed as a whole, and count it.  Live only."""
        text = f"{NAME}: {type(error).__name__}: {error}"
        self._parts.initializer.fault(NAME, text, now)
        self._parts.ledger.append(Kind.ALERT, "", now, severity="CRITICAL", code="FAULT", text=text)
        self._parts.announcements.say(f"ERROR {text}")

    def step_reduced(self, now: datetime) -> None:
        """Do what a minute cannot go without: fold, cancel openings, let the exit plans leave, work what is open.

        The account is REDUCING from here to the next whole step.
        """
        parts = self._parts
        orders, recorder = parts.gateway.orders, parts.recorder
        self._begin(now)
        cause = Cause(f"component.{NAME}", TradingState.REDUCING, Reason.COMPONENT_NOT_READY, subject=NAME)
        kept = [known for known in self._board.causes if known.name != cause.name]
        recorder.state_changes(self._board.replace([*kept, cause]), now)
        parts.gateway.fold(now)
        parts.gateway.watch(now, in_step=True)
        parts.gateway.cancel_openings(now)
        watched = self._watch_list.of(parts.books.positions(), orders.symbols, recorder.lately_in_play)
        snapshot = parts.market_data.observe(parts.feed, watched, (), now)
        self._leaving.leave(snapshot, ())
        if parts.family is not None:
            self._leaving.leave_book(parts.family.name, snapshot)
        self.snapshot = self._send(snapshot)

    # ------------------------------------------------------------------------------------------- 2 and 3: what follows

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

    def _causes(
        self, snapshot: MarketSnapshot, reconciliation: Reconciliation, watches: Sequence[Watch]
    ) -> Sequence[Cause]:
        """Return everything that stands against openings in this step: in nearly every one nothing does."""
        parts, equity = self._parts, snapshot.equity
        causes = [*parts.initializer.causes, *reconciliation.causes]
        if equity is None or equity.usd is None:
            causes.append(_EQUITY_UNKNOWN)
        elif equity.disputed:
            causes.append(_EQUITY_DISPUTED)
        if snapshot.feed_silent_s >= parts.settings.data.feed_silent_s and snapshot.phase.market_open:
            causes.append(_FEED_SILENT)
        causes += parts.ledger.causes
        causes += parts.state.causes
        for watch in watches:
            causes += watch.causes
        return causes

    def _apply_states(self, causes: Sequence[Cause], now: datetime) -> None:
        parts = self._parts
        if changes := self._board.replace(causes):
            parts.recorder.state_changes(changes, now)
        if causes:  # without one everybody may open
            parts.gateway.cancel_openings(now)

    # -------------------------------------------------------------------------------------------------------- 6 and 7

    def _send(self, snapshot: MarketSnapshot) -> MarketSnapshot:
        """Work every order one step; returns the snapshot with the quotes that they were priced by."""
        gateway = self._parts.gateway
        if snapshot.phase is SessionPhase.CLOSED:
            gateway.cancel_all(snapshot.time)
        elif snapshot.phase.market_open:
            for parent in gateway.orders.parents:
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
    return reading.scale * min(watch.scale for watch in watches)


__all__ = ["NAME", "StrategyCoordinator"]
