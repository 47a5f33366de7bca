"""The component table: what there is, what each part needs, what follows while it is not READY; and how the parts are
joined.

`main.py` calls `assemble` once and then `Assembly.step` for every closed minute.  Tests call the same two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar, cast

from core.announcements import Announcements
from core.assembly_family import apply_to, family_row, make_fold
from core.books import Books
from core.component_initializer import Blocks, ComponentInitializer, Row
from core.entry_pipeline import EntryPipeline, GatedRule
from core.errors import PermanentError
from core.exit_plans import ExitWatch
from core.family import BOOK, SYMBOLS
from core.family_desk import FamilyDesk
from core.family_fold import FamilyFold
from core.ledger import Ledger
from core.ledger_kinds import EndReason, Kind
from core.ledger_reader import Replay, replay_ledger
from core.ledger_sink import ChunkedSink
from core.market import MarketSnapshot
from core.market_data import MarketData
from core.order_gateway import OrderGateway
from core.ports import Broker, MarketFeed, Store
from core.reconciliation import Reconciler
from core.recorder import ANCHOR_CHANNEL, Recorder, RunFacts
from core.recovery import learn_settlement_values, take_over_orders
from core.recovery_plan import plan_recovery
from core.rules import Manager
from core.self_test import self_test
from core.session import SessionClock
from core.setting_fields import settings_hash
from core.settings import Mode, Settings
from core.settlement import Settlement
from core.state_manager import Remembers, StateManager
from core.state_slots import SlotStore
from core.strategy import Strategy
from core.strategy_coordinator import NAME as COORDINATOR
from core.strategy_coordinator import Parts, StrategyCoordinator
from core.trade_machine import TradeState
from core.turns import Turns
from core.vocabulary import Disposition, Gate, TradingState
from helpers.brokerages import missing_capabilities
from risk.account_phases import AccountPhases
from risk.book_stress import BookStress
from risk.chain_gate import ChainGate
from risk.circuit_breaker import CircuitBreaker
from risk.concentration_manager import ConcentrationManager
from risk.event_calendar import EventCalendar
from risk.invariants import Invariants
from risk.margin_manager import MarginManager
from risk.position_sizer import PositionSizer
from risk.principles import PrincipleMonitor
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from risk.unit_risk import UnitJudge
from risk.vix_manager import VixManager
from strategies.etf_rotation import EtfRotation
from strategies.friday_0dte import Friday0dte

T = TypeVar("T")

_SPINE = ("ledger", "session_clock", "order_gateway", "state_manager", "reconciliation")
_PATIENCE_S = 10.0
"""So long the end of a run waits for a step that another thread is in."""


class Identities(Protocol):
    """How contracts keep their identity over a restart (the LEAN edge)."""

    def identifier(self, text: str) -> str: ...

    def restore(self, text: str, identifier: str) -> None: ...


def run_id(settings: Settings) -> str:
    """Return the run's 8 hex digits. Backtests: from settings, data, seed and dates, so that it repeats; paper and
    live: from the settings alone.
    """
    run = settings.run
    parts = [settings_hash(settings.trading()), run.mode.value]
    if run.mode is Mode.BACKTEST:
        parts += [run.data_manifest, str(run.seed), run.start.isoformat(), run.end.isoformat()]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:8]


class Assembly:
    """Everything joined, ready to step."""

    def __init__(
        self,
        parts: Parts,
        run: str,
        phases: AccountPhases,
        breaker: CircuitBreaker,
        identities: Identities,
        announcements: Announcements,
    ) -> None:
        self._parts = parts
        self._phases = phases
        self._breaker = breaker
        self._identities = identities
        self._announcements = announcements
        self._anchored: tuple[int, str] | None = None
        self._said = (-1, False, 0)
        self._charted: date | None = None
        self._finished = False
        self._turns = _get(parts.initializer, COORDINATOR, Turns)
        self.run = run
        self.coordinator = StrategyCoordinator(parts)

    @property
    def parts(self) -> Parts:
        return self._parts

    def step(self, now: datetime) -> list[str]:
        """Run one step and return the lines for the log; while another thread is at work, that one runs it.

        In a backtest a programming error seals the ledger (reason ERROR) and is raised again; live, the account is
        REDUCING until a whole step has passed, and exit plans leave all the same.
        """
        self._turns.take(self._step, now)
        lines = self.coordinator.lines() + self._announcements.take()
        anchor = self._parts.recorder.anchor
        if anchor is not None and anchor != self._anchored:
            self._anchored = anchor
            if self._parts.settings.run.mode is not Mode.BACKTEST:  # a backtest's summary lists them all
                lines.append(f"{ANCHOR_CHANNEL} {anchor[0]}:{anchor[1]}")
        return lines

    def attend(self, now: datetime) -> None:
        """Go on between two steps; left out where a step runs, inside of it or on another thread: it comes again."""
        if not self.coordinator.has_failed:
            self._turns.take_if_free(partial(self._attend, now))

    def _attend(self, now: datetime) -> None:
        if not self._finished:
            self._contained(self.coordinator.attend, max(now, self._parts.ledger.time))

    def _step(self, now: datetime) -> None:
        # Another thread may have stepped, or written something, between the question and our turn.
        stamp = max(now, self._parts.ledger.time)
        if self._finished or not self.coordinator.is_due(stamp):
            return
        if self.coordinator.has_failed or not self._contained(self.coordinator.step, stamp):
            self._contained(self.coordinator.step_reduced, max(stamp, self._parts.ledger.time))

    def _contained(self, work: Callable[[datetime], None], now: datetime) -> bool:
        """Return whether it went well."""
        try:
            work(now)
        except Exception as error:
            # Documented containment point 1: in a backtest the run ends here, loudly, with everything so far in the
            # ledger.
            if self._parts.settings.run.mode is Mode.BACKTEST:
                self._seal(now, EndReason.ERROR)
                raise
            self.coordinator.fail(error, now)
            return False
        return True

    def finish(self, now: datetime) -> None:
        """End the run when LEAN ends it."""
        self._turns.take_last(partial(self._finish, now), _PATIENCE_S)

    def _finish(self, now: datetime) -> None:
        run = self._parts.settings.run
        ended = run.mode is not Mode.BACKTEST or now.date() > run.end or self._last_session_closed()
        self._seal(now, EndReason.COMPLETED if ended else EndReason.STOPPED)

    def _last_session_closed(self) -> bool:
        clock, run = self._parts.clock, self._parts.settings.run
        last = self.coordinator.last_step
        return (
            last is not None and clock.next_session(last.date()).day > run.end and self._parts.recorder.session_closed
        )

    def _seal(self, now: datetime, reason: EndReason) -> None:
        if self._finished:
            return
        self._finished = True
        if self._parts.settings.run.mode is Mode.BACKTEST or reason is EndReason.ERROR:
            self.coordinator.finish(now, reason.value)
        else:
            self._parts.ledger.flush(durable=True)  # a paper or live run goes on with the next process

    # ---------------------------------------------------------------------------------------------------------- views

    def runtime_statistics(self) -> Iterable[tuple[str, str]]:
        """Return what a person wants to see while it runs, once per session and whenever a trade changes."""
        parts = self._parts
        breaches = 0 if parts.family is None else parts.family.breach_count
        now = (parts.books.movements, parts.recorder.session_closed, breaches)
        if now == self._said:
            return ()
        self._said = now
        return self._statistics()

    def _statistics(self) -> Iterator[tuple[str, str]]:
        parts = self._parts
        closed = [trade for trade in parts.books.trades if trade.state is TradeState.CLOSED]
        yield "Trading state", self.coordinator.state.name
        yield "Open trades", str(len(parts.books.open_trades()))
        yield "Closed trades", str(len(closed))
        yield "Result USD", f"{sum(trade.pnl_u6 for trade in closed) / 1e6:,.2f}"
        yield "Account phase", "unknown" if self._phases.phase is None else str(self._phases.phase)
        yield "Breaker", self._breaker.level.name
        if parts.family is not None:
            yield from parts.family.statistics()
        yield "Ledger head", parts.ledger.head_hash[:16]
        if parts.recorder.anchor is not None:
            yield ANCHOR_CHANNEL, "{}:{}".format(*parts.recorder.anchor)

    def chart_points(self) -> Iterator[tuple[str, str, float]]:
        """Yield one point per session and series: LEAN keeps few.  The ETF book has a chart of its own."""
        snapshot = self.coordinator.snapshot
        if snapshot is not None and self._parts.family is not None:
            yield from self._parts.family.chart_points(snapshot)
        if snapshot is None or not self._parts.recorder.session_closed or self._charted == snapshot.session.day:
            return
        self._charted = snapshot.session.day
        if snapshot.equity_usd is not None:
            yield "Bulkhead", "Equity USD", snapshot.equity_usd
        if snapshot.vix is not None and snapshot.vix.value is not None:
            yield "Bulkhead", "VIX", snapshot.vix.value


def assemble(
    settings: Settings, feed: MarketFeed, broker: Broker, store: Store, now: datetime, identities: Identities
) -> Assembly:
    """Build every component, recover what an earlier process left (paper and live), write the header. Raises
    SettingsError, PermanentError.
    """
    run = run_id(settings)
    live = settings.run.mode is not Mode.BACKTEST
    books = Books()
    fold, monitor = make_fold(settings, books), PrincipleMonitor(settings.etf_rotation)
    replay = replay_ledger(store, run, apply_to(books, fold)) if live else Replay()
    announcements = Announcements()
    table = _table(settings, broker, store, books, fold, replay, run, announcements)
    if fold is not None:
        table.append(family_row(settings, feed, broker, books, fold, monitor))
    initializer = ComponentInitializer(table)
    initializer.build(now)
    parts = _join(settings, initializer, feed, broker, books)
    phases, breaker = (
        _get(initializer, "account_phases", AccountPhases),
        _get(initializer, "circuit_breaker", CircuitBreaker),
    )
    remembered: dict[str, Remembers] = {
        "account_phases": phases,
        "circuit_breaker": breaker,
        "vix_manager": _get(initializer, "vix_manager", VixManager),
        "settlement": parts.settlement,
        "exit_watch": parts.exits,
    }
    for name, part in remembered.items():
        parts.state.remember(name, part)
    assembly = Assembly(parts, run, phases, breaker, identities, announcements)
    gateway = parts.gateway
    parts.recorder.contracts = lambda: {
        symbol: identities.identifier(symbol) for symbol in sorted({*books.positions(), *gateway.symbols_at_work()})
    }
    parts.recorder.at_work = gateway.symbols_at_work
    for strategy in parts.strategies:
        parts.state.register(strategy.name)
    if parts.family is not None:
        parts.state.register(parts.family.name)
        parts.state.remember(monitor.name, monitor)
    initializer.self_test_errors = self_test(parts)
    facts = RunFacts(
        run,
        settings.run.engine,
        settings.run.engine_version,
        settings.run.code_hash,
        settings_hash(settings.trading()),
        settings.run.data_manifest,
        *_days_of(settings, parts.clock, replay, now),
    )
    _disable_incapable(parts)
    parts.recorder.start_run(facts, initializer, now, None if replay.is_fresh else replay.head)
    if live:
        _recover(parts, replay, identities, now)
    return assembly


def _days_of(settings: Settings, clock: SessionClock, replay: Replay, now: datetime) -> tuple[date, date]:
    """Return the first and the last day of the run: a live one begins with the session that its first process still
    sees, and has no end.
    """
    if settings.run.mode is Mode.BACKTEST:
        return settings.run.start, settings.run.end
    today = clock.session(now.date())
    is_to_come = today is not None and (now < today.open or clock.phase(now) is not None)
    first = now.date() if is_to_come else clock.next_session(now.date()).day
    return replay.began or first, date.max


def _has_seconds(settings: Settings) -> bool:
    """Whether reports arrive within a minute: not in a backtest, nor on the embedded engine with its clock of bars."""
    return settings.run.mode is not Mode.BACKTEST and settings.run.engine != "embedded"


def _get(initializer: ComponentInitializer, name: str, kind: type[T]) -> T:
    part = initializer.part(name)
    if not isinstance(part, kind):
        lines = [line.sentence for line in initializer.report() if line.name == name]
        raise PermanentError(f"{name} is needed to start at all. {' '.join(lines)}")
    return part


def _disable_incapable(parts: Parts) -> None:
    """A strategy that the brokerage cannot serve does not start; there is no leg-wise fallback."""
    brokerage = parts.settings.account.brokerage
    for strategy in parts.strategies:
        missing = missing_capabilities(brokerage, strategy.order_types)
        if missing:
            parts.state.disable(strategy.name, f"CAPABILITY_MISSING: {brokerage.value} has no {', '.join(missing)}")
    lacking = missing_capabilities(brokerage, EtfRotation.order_types)
    if parts.family is not None and lacking:
        parts.state.disable(parts.family.name, f"CAPABILITY_MISSING: {brokerage.value} has no {', '.join(lacking)}")


def _table(
    settings: Settings,
    broker: Broker,
    store: Store,
    books: Books,
    fold: FamilyFold | None,
    replay: Replay,
    run: str,
    announcements: Announcements,
) -> list[Row]:
    """The rows of this delivery, in tiers; a component that is not part of it is absent."""
    reducing, live = TradingState.REDUCING, settings.run.mode is not Mode.BACKTEST

    def need(parts: Mapping[str, object], name: str, kind: type[T]) -> T:
        return cast(kind, parts[name])  # type: ignore[valid-type]

    def make_ledger(_parts: Mapping[str, object]) -> Ledger:
        sink = ChunkedSink(store, run, replay.next_chunk, careful=live)
        ledger = Ledger(sink, apply_to(books, fold, announcements), durable_orders=live)
        if not replay.is_fresh:
            ledger.go_on(replay.head, replay.seq, replay.time, replay.counts)
        return ledger

    def make_state(parts: Mapping[str, object]) -> StateManager:
        slots = (
            SlotStore(store, run, settings_hash(settings.trading()), settings.state.snapshot_max_bytes)
            if live
            else None
        )
        clock = need(parts, "session_clock", SessionClock)
        return StateManager(settings.state, settings.orders, clock, need(parts, "ledger", Ledger), books, slots)

    def make_gateway(parts: Mapping[str, object]) -> OrderGateway:
        state = need(parts, "state_manager", StateManager)
        ledger = need(parts, "ledger", Ledger)
        wait = timedelta(seconds=settings.orders.group_wait_s if _has_seconds(settings) else 0)
        return OrderGateway(run, settings.orders, ledger, books, broker, state.drive, group_wait=wait)

    def make_stress(parts: Mapping[str, object]) -> BookStress:
        pricer = need(parts, "step_pricer", StepPricer)
        return BookStress(settings.margin, StressTester(settings.stress, pricer), pricer)

    def make_breaker(parts: Mapping[str, object]) -> CircuitBreaker:
        stress = need(parts, "book_stress", BookStress)
        reconciler = need(parts, "reconciliation", Reconciler)
        return CircuitBreaker(
            settings.breaker, heaviest_short=stress.heaviest_short, reconciled=lambda: not reconciler.open_breaks
        )

    def make_phases(parts: Mapping[str, object]) -> AccountPhases:
        breaker = need(parts, "circuit_breaker", CircuitBreaker)
        rate = 1.0 if settings.account.currency == "USD" else None
        return AccountPhases(
            settings.phases,
            is_tripped=lambda: breaker.is_tripped,
            phase_cap=lambda: breaker.phase_cap,
            dollars_per_unit=lambda _day: rate,
        )

    def make_margin(parts: Mapping[str, object]) -> MarginManager:
        phases = need(parts, "account_phases", AccountPhases)
        return MarginManager(
            settings.margin,
            need(parts, "book_stress", BookStress),
            need(parts, "event_calendar", EventCalendar),
            mode=settings.run.mode,
            bp_ceiling_pct=lambda: None if phases.row is None else phases.row.bp_ceiling_pct,
            priorities={Friday0dte.name: Friday0dte.priority, EtfRotation.name: EtfRotation.priority},
        )

    def make_friday(parts: Mapping[str, object]) -> Friday0dte:
        judge = UnitJudge(
            settings,
            need(parts, "step_pricer", StepPricer),
            StressTester(settings.stress, need(parts, "step_pricer", StepPricer)),
        )
        phases = need(parts, "account_phases", AccountPhases)
        return Friday0dte(settings, need(parts, "chain_gate", ChainGate), judge, lambda: phases.phase)

    def make_recorder(parts: Mapping[str, object]) -> Recorder:
        return Recorder(
            settings,
            need(parts, "ledger", Ledger),
            books,
            broker,
            need(parts, "state_manager", StateManager),
            need(parts, "margin_manager", MarginManager),
        )

    rows = [
        Row("ledger", 0, (), make_ledger, state=reducing),
        Row("session_clock", 0, (), lambda _parts: SessionClock(settings.session), state=reducing),
        Row("state_manager", 1, ("ledger", "session_clock"), make_state, state=reducing),
        Row(
            "order_gateway",
            1,
            ("ledger", "session_clock", "state_manager"),
            make_gateway,
            state=TradingState.HALTED,
            disposition=Disposition.FREEZE,
        ),
        Row(
            "reconciliation",
            1,
            ("order_gateway", "state_manager"),
            lambda _parts: Reconciler(settings.state, settings.orders, books, broker),
            state=reducing,
        ),
        Row(
            "settlement",
            1,
            ("ledger", "state_manager"),
            lambda parts: Settlement(need(parts, "ledger", Ledger), books, need(parts, "state_manager", StateManager)),
            state=reducing,
        ),
        Row(
            "market_data",
            2,
            ("session_clock",),
            lambda parts: MarketData(
                settings, need(parts, "session_clock", SessionClock), () if fold is None else SYMBOLS
            ),
            state=reducing,
        ),
        Row("step_pricer", 2, ("market_data",), lambda _parts: StepPricer(settings.greeks), Blocks.OPTIONS),
        Row(
            "chain_gate",
            2,
            ("market_data", "step_pricer"),
            lambda parts: ChainGate(settings, need(parts, "step_pricer", StepPricer)),
            Blocks.OPTIONS,
        ),
        Row("vix_manager", 2, ("market_data",), lambda _parts: VixManager(settings.vix)),
        Row(
            "event_calendar",
            2,
            ("session_clock",),
            lambda _parts: EventCalendar(settings.events, settings.margin),
            critical=False,
        ),
        Row("book_stress", 2, ("market_data", "step_pricer"), make_stress),
        Row("circuit_breaker", 3, ("state_manager", "book_stress", "reconciliation"), make_breaker, state=reducing),
        Row("account_phases", 3, ("state_manager", "circuit_breaker"), make_phases, Blocks.OPTIONS),
        Row("margin_manager", 2, ("market_data", "book_stress", "event_calendar", "account_phases"), make_margin),
        Row("position_sizer", 3, ("vix_manager", "margin_manager"), lambda _parts: PositionSizer(settings.sizer)),
        Row(
            "concentration_manager",
            3,
            ("vix_manager", "margin_manager", "book_stress"),
            lambda parts: ConcentrationManager(settings.concentration, need(parts, "book_stress", BookStress)),
        ),
        # The coordinator is made of all the others; what is built here is what lets its steps run one at a time.
        Row(COORDINATOR, 4, _SPINE, lambda _parts: Turns(), state=reducing),
        Row("recorder", 4, ("ledger", "state_manager", "margin_manager"), make_recorder, state=reducing),
    ]
    if settings.friday_0dte.enabled:
        needs = ("chain_gate", "step_pricer", "account_phases")
        rows.append(Row(Friday0dte.name, 4, needs, make_friday, Blocks.ITSELF, critical=False))
    return rows


def _join(
    settings: Settings, initializer: ComponentInitializer, feed: MarketFeed, broker: Broker, books: Books
) -> Parts:
    """Take the built components out of the table, typed; what is missing here means that the run cannot start."""

    def get(name: str, kind: type[T]) -> T:
        return _get(initializer, name, kind)

    vix, margin = get("vix_manager", VixManager), get("margin_manager", MarginManager)
    calendar, breaker = get("event_calendar", EventCalendar), get("circuit_breaker", CircuitBreaker)
    phases, concentration = get("account_phases", AccountPhases), get("concentration_manager", ConcentrationManager)
    ledger = get("ledger", Ledger)
    exits, chain_gate = ExitWatch(settings), get("chain_gate", ChainGate)
    managers: tuple[Manager, ...] = (vix, calendar, breaker, phases, margin, concentration, chain_gate, exits)
    gates = (
        GatedRule(Gate.DATA, chain_gate.rule),
        GatedRule(Gate.VIX, vix.rule),
        GatedRule(Gate.EVENTS, calendar.rule),
        GatedRule(Gate.CONCENTRATION, concentration.rule),
        GatedRule(Gate.BREAKER, breaker.rule),
        GatedRule(Gate.PHASE, phases.rule),
        GatedRule(Gate.MARGIN, margin.rule),
    )
    bounds = (
        margin.bounds,
        lambda intent, snapshot, held, _scale: (concentration.bound(intent, snapshot, held),),
        lambda intent, snapshot, held, _scale: (
            phases.bound(intent, snapshot, _option_margin(margin, snapshot, held)),
        ),
    )
    pipeline = EntryPipeline(
        ledger, books, gates, bounds, get("position_sizer", PositionSizer).size, Invariants(settings.sizer).rule
    )
    strategies: list[Strategy] = []
    if settings.friday_0dte.enabled and isinstance(friday := initializer.part(Friday0dte.name), Friday0dte):
        strategies.append(friday)
    family = initializer.part(BOOK) if settings.etf_rotation.enabled else None
    desk = family if isinstance(family, FamilyDesk) else None
    if desk is not None:
        managers = (*managers, desk)
    return Parts(
        settings=settings,
        initializer=initializer,
        ledger=ledger,
        books=books,
        clock=get("session_clock", SessionClock),
        feed=feed,
        broker=broker,
        gateway=get("order_gateway", OrderGateway),
        state=get("state_manager", StateManager),
        reconciler=get("reconciliation", Reconciler),
        market_data=get("market_data", MarketData),
        settlement=get("settlement", Settlement),
        vix=vix,
        managers=managers,
        pipeline=pipeline,
        exits=exits,
        strategies=tuple(strategies),
        recorder=get("recorder", Recorder),
        family=desk,
    )


def _option_margin(margin: MarginManager, snapshot: MarketSnapshot, books: Books) -> float:
    return margin.usage(snapshot, books).options_usd


def _recover(parts: Parts, replay: Replay, identities: Identities, now: datetime) -> None:
    """Complete the replayed books by the newest valid snapshot and the broker's word; freeze what cannot be
    explained.
    """
    state, books, ledger = parts.state, parts.books, parts.ledger
    assert state.slots is not None
    plan = plan_recovery(state.slots, replay, broker_is_flat=not parts.broker.positions(), now=now)
    whole = True
    if plan.body is not None:
        for text, identifier in dict(plan.body["contracts"]).items():
            identities.restore(text, identifier)
        if plan.regain:
            whole = state.regain(plan.body, replay.seq, now)
        orphans = state.restore(plan.body)
    else:
        orphans = tuple(trade.id for trade in books.open_trades())
    why = plan.distrust or ("" if whole else "The state does not reach back to the end of the ledger.")
    if why:
        state.distrust(why)
        orphans = tuple(trade.id for trade in books.open_trades())
    for trade in orphans:
        state.hold(trade, now)
    orders = take_over_orders(books, parts.gateway, now)
    missed: tuple[str, ...] = ()
    if not why:
        saved = None if plan.body is None else datetime.fromisoformat(plan.body["time"])
        learn_settlement_values(parts.feed, books, parts.clock, parts.settlement, saved, now)
        parts.gateway.recover_unknown(now)
        missed = parts.settlement.recover(parts.broker.position, now)
        parts.settlement.fold(now)
    trades = sorted(trade.id for trade in books.open_trades())
    ledger.append(Kind.RESTART, "", now, row=plan.row.value, trades=trades, orders=sorted(orders))
    if missed:
        text = f"{', '.join(missed)} were settled while nobody was listening; booked at the value of their day."
        ledger.append(Kind.ALERT, "", now, severity="WARNING", code="SETTLEMENT_RECOVERED", text=text)
    for code, text in plan.alerts:
        ledger.append(Kind.ALERT, "", now, severity="WARNING", code=code, text=text)


__all__ = ["Assembly", "assemble", "run_id"]
