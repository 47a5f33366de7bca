"""The ETF book in a step: signal, policy, gate, reconciler, then closes before openings.

Order within a step: the principles are watched first and may halt the book; then the bar is read and becomes one
target, which stands in the ledger as SIGNAL; then everything that is not the target is cancelled or sold, whatever any
limiter says; then, in a step in which nothing had to go, an opening is judged through the gates.  Nothing of a blocked
opening is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.books import Books
from core.family import BOOK, SIGNAL_SYMBOL, SYMBOLS, Decision, SizeVerdict, Trail
from core.family_auction import FamilyAuction
from core.family_charts import FamilyChart
from core.family_entry import FamilyEntry
from core.family_fold import FamilyFold
from core.family_market import FamilyMarket
from core.family_orders import FamilyOrders
from core.family_ports import Health, Monitor, Policy
from core.family_reconciler import FamilyOrder, Plan, reconcile
from core.family_splits import FamilySplits
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import Mark, MarketSnapshot, Session
from core.reasons import Reason
from core.rules import QUIET, Note, Watch
from core.session_gate import GateState, SessionGate, gate_of
from core.settings_etf import EtfRotationSettings
from core.signal import MissingBar, Reading, Signal, SignalBar
from core.state_manager import StateManager
from core.trade_machine import TradeState, Trigger
from core.trading_state import StateBoard
from core.vocabulary import FamilyTarget, Gate, Instrument, Intent, Purpose, SplitEvent, TradingState, Verdict

CASH = FamilyTarget.CASH
HELD = "HELD"
AT_WORK = "AT_WORK"

_DATA_BY = timedelta(minutes=15)
"""So long after the open a share may be without its first minute."""

_INSTRUMENTS = tuple(Instrument(symbol, symbol) for symbol in SYMBOLS)

_FITS = SizeVerdict(0, None, Reason.ALLOWED)
"""Stands for the size until the gates have spoken."""


@dataclass(frozen=True, slots=True)
class FamilyParts:
    """What the desk works with."""

    settings: EtfRotationSettings
    ledger: Ledger
    books: Books
    fold: FamilyFold
    market: FamilyMarket
    orders: FamilyOrders
    entry: FamilyEntry
    splits: FamilySplits
    state: StateManager
    signal: Signal
    policy: Policy
    gate: SessionGate
    monitor: Monitor
    chart: FamilyChart
    auction: FamilyAuction
    make_health: Callable[[], Health]


@dataclass(slots=True)
class _Bar:
    """What this step has decided.

    is_halted: the book has to become flat; is_clear: of the book nothing stands in the target's way; what the broker
    says is asked when something is opened.
    """

    decision: Decision
    gate: GateState
    is_halted: bool
    is_clear: bool = False
    blocked: Reason | None = None
    outcome: str = ""
    refused: bool = False


class FamilyDesk:
    """Runs the book; a manager of the step, and its own stages of leaving and entering."""

    name = BOOK
    rests = False

    def __init__(self, parts: FamilyParts) -> None:
        self._parts = parts
        self.splits = parts.splits
        self._board: StateBoard | None = None
        self._session: Session | None = None
        self._trail = Trail()
        self._readings: list[Reading] = []
        self._bar: _Bar | None = None
        self._data_due = datetime.min
        self._is_bounded = False
        self._is_verified = False
        self._closed = False
        self._missing: tuple[str, ...] = ()

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The family's shares: their quotes are read in every step."""
        return _INSTRUMENTS

    def join(self, board: StateBoard) -> None:
        """Read trading states from the board of the step."""
        self._board = board

    def post(self, event: SplitEvent) -> None:
        """Take a split in; called from any thread."""
        self._parts.splits.post(event)

    # ------------------------------------------------------------------------------------------------------ the watch

    def fold(self, now: datetime) -> None:
        """Fold what was announced since the last step, before books and broker are compared."""
        for symbol, num, den in self._parts.splits.fold(now):
            self._parts.market.split(symbol, num, den)

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Hold the book against its principles; returns breaches and the halt that follows from them."""
        parts, session = self._parts, snapshot.session
        if self._session is None or self._session.day != session.day:
            self._open_session(snapshot)
        notes = self._check(snapshot)
        if not notes and not parts.monitor.is_halted:
            return QUIET
        return Watch(causes=parts.monitor.causes(), notes=notes)

    def _open_session(self, snapshot: MarketSnapshot) -> None:
        parts, session, now = self._parts, snapshot.session, snapshot.time
        self._session = session
        self._trail, self._readings = Trail(), []
        self._closed, self._is_bounded, self._is_verified = False, False, False
        self._data_due = session.open + _DATA_BY
        parts.market.open_session()
        parts.auction.open_session(session)
        holdings = parts.orders.holdings(now)
        is_clean = not holdings.symbols and not parts.orders.working() and not parts.books.is_locked(BOOK)
        if session.day in parts.settings.resume_dates:
            parts.monitor.resume()
        parts.monitor.session_opened(session.day, is_clean=is_clean)
        foreign = parts.fold.foreign()
        if foreign:
            shares = ", ".join(f"{qty} {symbol}" for symbol, qty in foreign.items())
            text = f"{shares} in the account are not this book's: they are left alone, and nothing is opened."
            self._alert("CRITICAL", Reason.BREAK_FOREIGN.value, text, snapshot)

    def _check(self, snapshot: MarketSnapshot) -> tuple[Note, ...]:
        parts, session, now = self._parts, snapshot.session, snapshot.time
        standing = parts.orders.standing(now, is_over=parts.monitor.is_over(session, now))
        was_halted = parts.monitor.is_halted
        notes = parts.monitor.check(standing, session.day)
        if notes and parts.monitor.is_halted and not was_halted:
            parts.state.manage_only(BOOK, now, "a principle is breached")
        return notes

    # ------------------------------------------------------------------------------------------------------ 4 leaving

    def leave(self, snapshot: MarketSnapshot) -> None:
        """Read the bar, decide, and begin what has to go."""
        parts = self._parts
        minutes = parts.market.observe(snapshot)
        self._bar = None
        if not minutes:
            return
        for past in minutes[:-1]:
            self._read(past)  # a process before this one has decided on them
        reading = self._read(minutes[-1])
        is_halted, may_act = self._standing_orders()
        decision = self._decide(reading, snapshot, is_halted=is_halted)
        bar = self._bar = _Bar(decision, gate_of(snapshot.phase), is_halted, outcome=decision.reason)
        self._record(reading, decision, snapshot)
        if snapshot.time >= self._data_due:
            self._tell_missing(snapshot)
        if bar.gate is GateState.VERIFY and not self._is_verified:
            self._verify(snapshot)
        if may_act and snapshot.phase.market_open:
            if snapshot.time >= parts.auction.due:
                parts.auction.run(snapshot, is_halted=is_halted)
            self._clear_the_way(bar, snapshot)

    def _verify(self, snapshot: MarketSnapshot) -> None:
        """Shortly before the close everything should be gone; what is not is told once, while it can still be sold."""
        left = self._parts.fold.shares()
        if not left:
            return
        self._is_verified = True
        shares = ", ".join(f"{qty} {symbol}" for symbol, qty in left.items())
        self._alert("CRITICAL", "RESIDUAL", f"{shares} are still held shortly before the close.", snapshot)

    def _read(self, minute: SignalBar | MissingBar) -> Reading:
        reading = self._parts.signal.update(minute)
        self._trail = self._parts.policy.advance(self._trail, reading)
        self._readings.append(reading)
        return reading

    def _decide(self, reading: Reading, snapshot: MarketSnapshot, *, is_halted: bool) -> Decision:
        parts, fold, now = self._parts, self._parts.fold, snapshot.time
        vix = snapshot.vix.value if snapshot.vix is not None and snapshot.vix.is_good else None
        most = parts.settings.session_loss_fraction * parts.settings.sleeve_fraction
        view = fold.view(now, self._trail, vix, loss_limit_reached=fold.has_lost(most, _marks(snapshot)))
        decision = parts.policy.decide(reading, view)
        if fold.is_orphan_session:
            decision = Decision(CASH, Reason.ORPHAN_SESSION)
        elif parts.orders.is_leaving():
            decision = Decision(CASH, Reason.CLOSE_NOT_CONFIRMED)
        return parts.gate.apply(decision, snapshot.phase, view.held, halted=is_halted)

    def _standing_orders(self) -> tuple[bool, bool]:
        """Return whether the book has to become flat, and whether anything may be sent at all: a frozen account only
        cancels.
        """
        is_halted = self._parts.monitor.is_halted
        if self._board is None:
            return is_halted, False
        state, may_flatten = self._board.of(BOOK)
        if state is not TradingState.HALTED:
            return is_halted, True
        return is_halted or may_flatten, may_flatten

    def _record(self, reading: Reading, decision: Decision, snapshot: MarketSnapshot) -> None:
        known = {} if reading.probability is None else {"p_e6": round(reading.probability * 1e6)}
        self._parts.ledger.append(
            Kind.SIGNAL,
            BOOK,
            snapshot.time,
            bar_time=reading.bar_time,
            state=reading.state,
            target=decision.target,
            held=self._parts.fold.held(),
            reason=decision.reason,
            **known,
        )

    def _clear_the_way(self, bar: _Bar, snapshot: MarketSnapshot) -> None:
        """Cancel and sell what is not the target."""
        parts, now, target = self._parts, snapshot.time, bar.decision.target
        if bar.gate is not GateState.TRADE:
            parts.orders.cancel_openings(now)
        shares = parts.fold.shares()
        held = shares.get(target, 0)
        surplus = parts.entry.surplus(target, snapshot) if held > 0 and not parts.orders.is_leaving() else 0
        only_the_target = not shares or (len(shares) == 1 and held > 0)
        if only_the_target and not surplus and not parts.orders.working():
            bar.is_clear = True
            return
        plan = self._plan(target, surplus, now)
        bar.blocked = None if plan.reason is Reason.ALLOWED else plan.reason
        parts.orders.cancel(plan.cancels, now)
        for order in plan.closes:
            self._close(order, bar, snapshot)

    def _plan(self, target: FamilyTarget, surplus: int, now: datetime) -> Plan:
        """Hold the target against what book and broker hold and what works."""
        orders = self._parts.orders
        return reconcile(
            target,
            orders.holdings(now),
            orders.working(),
            lambda: _FITS,
            surplus=surplus,
            max_opens_per_bar=self._parts.settings.max_opens_per_bar,
        )

    def _what_blocks(self, bar: _Bar, now: datetime) -> Reason | None:
        """Return why nothing may be opened in this bar, whatever its size."""
        if bar.is_clear:
            reason = self._plan(bar.decision.target, 0, now).reason
            return None if reason is Reason.ALLOWED else reason
        return bar.blocked

    def _close(self, order: FamilyOrder, bar: _Bar, snapshot: MarketSnapshot) -> None:
        """Begin one close, unless the symbol cannot be traded now."""
        parts, now = self._parts, snapshot.time
        ending = bar.gate >= GateState.FLATTEN
        is_orphan = parts.fold.is_orphan_session
        if is_orphan and not ending:
            ready = now >= snapshot.session.open + timedelta(seconds=parts.settings.orphan_delay_s)
            if not ready or not snapshot.quote(order.symbol).is_good:
                return
        if parts.market.is_halted(order.symbol, snapshot) and not ending:
            bar.outcome = Reason.HALT_SUSPECTED.value
            return
        purpose = order.purpose
        if purpose is Purpose.CLOSE:
            purpose = Purpose.SWEEP if is_orphan else Purpose.FLATTEN if bar.is_halted else Purpose.CLOSE
        parts.orders.close(order, purpose, self._exit_reason(bar), snapshot)

    def _exit_reason(self, bar: _Bar) -> Reason:
        decision = bar.decision
        if bar.is_halted:
            return Reason.EXIT_RISK
        if bar.gate >= GateState.FLATTEN or self._parts.fold.is_orphan_session:
            return Reason.EXIT_FLATTEN
        by_signal = decision.reason in (Reason.ALLOWED, Reason.NEUTRAL, Reason.SESSION_PHASE)
        return Reason.EXIT_TARGET if by_signal else decision.reason

    # ------------------------------------------------------------------------------------------------------ 5 entering

    def enter(
        self,
        snapshot: MarketSnapshot,
        scale: float,
        lifecycle: Callable[[MarketSnapshot], Verdict | None],
        owned: Callable[[Intent], Verdict | None],
    ) -> str | None:
        """Judge the opening of the target; returns a line for the log where one was begun."""
        parts, bar = self._parts, self._bar
        if bar is None or bar.decision.target is CASH or not snapshot.phase.market_open:
            return None
        target = bar.decision.target
        working = () if bar.is_clear else parts.orders.working()
        if working and any(item.is_opening and item.symbol == target for item in working):
            bar.outcome = AT_WORK
            return None
        if parts.entry.holds_enough(target, snapshot, scale):
            bar.outcome = HELD
            return None
        blocked = self._what_blocks(bar, snapshot.time)
        answer = parts.entry.judge(target, blocked, snapshot, scale, self._lifecycle(lifecycle), owned)
        if isinstance(answer, Verdict):
            refusal = answer if answer.gate is not None else answer.at(Gate.STRATEGY)
            self._drop_planned(refusal, snapshot)
            parts.entry.refuse(refusal, snapshot)
            bar.outcome, bar.refused = refusal.reason.value, True
            return None
        parts.orders.open(answer, snapshot)
        self._is_bounded = parts.entry.was_bounded
        bar.outcome = "OPENED"
        return f"{answer.trade}: opening {answer.qty} {target.value}"

    def _lifecycle(
        self, lifecycle: Callable[[MarketSnapshot], Verdict | None]
    ) -> Callable[[MarketSnapshot], Verdict | None]:
        def ask(snapshot: MarketSnapshot) -> Verdict | None:
            refusal = lifecycle(snapshot)
            foreign = self._parts.fold.foreign()
            if refusal is None and foreign:
                refusal = Verdict(False, Reason.BREAK_FOREIGN, foreign)
            return None if refusal is None else refusal.at(Gate.LIFECYCLE)

        return ask

    def _drop_planned(self, refusal: Verdict, snapshot: MarketSnapshot) -> None:
        """A sized intent that the invariants refused stands in the ledger as a planned trade: it ends here."""
        if refusal.gate is not Gate.INVARIANTS:
            return
        for trade in self._parts.books.planned_on(BOOK, snapshot.session.day):
            if trade.state is TradeState.PLANNED and trade.exit_plan is None:
                self._parts.state.drive(trade.id, Trigger.DENIED, snapshot.time)

    # ------------------------------------------------------------------------------------------------------ 7 recording

    def after(self, snapshot: MarketSnapshot, scale: float) -> tuple[Note, ...]:
        """Hold the book against its principles once more; returns the records of breaches."""
        parts, bar = self._parts, self._bar
        if bar is not None:
            self._use(bar, snapshot, scale)
        notes = self._check(snapshot)
        if snapshot.time >= snapshot.session.close and not self._closed:
            self._closed = True
            parts.market.close_session()
            notes += parts.monitor.close_session(snapshot.session.day)
            self._tell_health(snapshot)
        return notes

    def _use(self, bar: _Bar, snapshot: MarketSnapshot, scale: float) -> None:
        """Count a minute in which a target was wanted and nothing but its value limited it."""
        parts, target = self._parts, bar.decision.target
        if target is CASH or bar.refused or self._is_bounded or bar.gate is not GateState.TRADE:
            return
        value, marks = parts.entry.target_value(target, snapshot, scale), _marks(snapshot)
        if value is not None:
            shares = parts.fold.shares()
            parts.monitor.use(sum([qty * marks[name].price for name, qty in shares.items() if name in marks]), value)

    def _tell_health(self, snapshot: MarketSnapshot) -> None:
        health = self._parts.make_health()
        for reading in self._readings:
            health.observe(reading)
        if health.is_flat():
            self._alert("WARNING", "SIGNAL_DEAD", "the signal has said the same all session.", snapshot)
        for name in health.dead_detectors():
            self._alert("WARNING", "DETECTOR_DEAD", f"{name} had no opinion all session.", snapshot)

    def _tell_missing(self, snapshot: MarketSnapshot) -> None:
        """Say once which shares have no data at all: in the funnel the book would only seem to wait."""
        missing, before = self._parts.market.missing(), self._missing
        self._missing = missing
        if not missing:
            self._data_due = datetime.max  # what has had a minute stays so for the session
        if missing and missing != before:
            stays = "the book stays in CASH" if SIGNAL_SYMBOL in missing else "they are not traded"
            text = f"no minute of {', '.join(missing)} since the open: {stays}. Bring the data, or disable the book."
            self._alert("WARNING", "ETF_DATA_MISSING", text, snapshot)

    def _alert(self, severity: str, code: str, text: str, snapshot: MarketSnapshot) -> None:
        self._parts.ledger.append(Kind.ALERT, BOOK, snapshot.time, severity=severity, code=code, text=text)

    # ---------------------------------------------------------------------------------------------------------- views

    @property
    def outcome(self) -> str | None:
        """What became of this bar, for the funnel; None outside the session."""
        return None if self._bar is None or not self._bar.outcome else self._bar.outcome

    def statistics(self) -> Iterator[tuple[str, str]]:
        """Yield what a person wants to see while it runs."""
        parts = self._parts
        yield "ETF held", parts.fold.held().value
        yield "ETF opens today", str(parts.fold.opens_in_session)
        yield "ETF book", "HALTED" if parts.monitor.is_halted else "trading"
        yield from parts.monitor.statistics(parts.fold.breaches)

    def chart_points(self, snapshot: MarketSnapshot) -> Sequence[tuple[str, str, float]]:
        """Return what LEAN's chart of the book shows, where something has moved."""
        return self._parts.chart.points(snapshot)

    @property
    def breach_count(self) -> int:
        """Breaches of this run."""
        return self._parts.fold.breach_count


def _marks(snapshot: MarketSnapshot) -> Mapping[str, Mark]:
    """Return our own marks of this step."""
    return {} if snapshot.equity is None else snapshot.equity.marks
