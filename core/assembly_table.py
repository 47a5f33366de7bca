"""The component table: what there is, what each part needs, what follows while it is not READY; and how the built parts
are taken out of it again, typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar, cast

from core.announcements import Announcements
from core.assembly_family import fold_of
from core.books import Books
from core.component_initializer import Blocks, ComponentInitializer, Row
from core.entry_pipeline import EntryPipeline, GatedRule
from core.errors import PermanentError
from core.exit_plans import ExitWatch
from core.family import BOOK, SYMBOLS
from core.family_desk import FamilyDesk
from core.family_fold import FamilyFold
from core.ledger import Ledger
from core.ledger_reader import Replay
from core.ledger_sink import ChunkedSink
from core.market import MarketSnapshot
from core.market_data import MarketData
from core.order_gateway import OrderGateway
from core.parts import Parts
from core.ports import Broker, MarketFeed, Store
from core.reconciliation import Reconciler
from core.recorder import Recorder
from core.rules import Manager
from core.session import SessionClock
from core.setting_fields import settings_hash
from core.settings import Mode, Settings
from core.settlement import Settlement
from core.state_manager import StateManager
from core.state_slots import SlotStore
from core.strategy import Strategy
from core.strategy_coordinator import NAME as COORDINATOR
from core.turns import Turns
from core.vocabulary import Disposition, Gate, TradingState
from risk.account_phases import AccountPhases
from risk.book_stress import BookStress
from risk.chain_gate import ChainGate
from risk.circuit_breaker import CircuitBreaker
from risk.concentration_manager import ConcentrationManager
from risk.event_calendar import EventCalendar
from risk.invariants import Invariants
from risk.margin_manager import MarginManager
from risk.position_sizer import PositionSizer
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from risk.unit_risk import UnitJudge
from risk.vix_manager import VixManager
from strategies.etf_rotation import EtfRotation
from strategies.friday_0dte import Friday0dte

T = TypeVar("T")

_SPINE = ("ledger", "session_clock", "order_gateway", "state_manager", "reconciliation")


def component_table(
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
        ledger = Ledger(sink, fold_of(books, fold, announcements), durable_orders=live)
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


def _has_seconds(settings: Settings) -> bool:
    """Whether reports arrive within a minute: not in a backtest, nor on the embedded engine with its clock of bars."""
    return settings.run.mode is not Mode.BACKTEST and settings.run.engine != "embedded"


def part_of(initializer: ComponentInitializer, name: str, kind: type[T]) -> T:
    part = initializer.part(name)
    if not isinstance(part, kind):
        lines = [line.sentence for line in initializer.report() if line.name == name]
        raise PermanentError(f"{name} is needed to start at all. {' '.join(lines)}")
    return part


def join(
    settings: Settings,
    initializer: ComponentInitializer,
    feed: MarketFeed,
    broker: Broker,
    books: Books,
    announcements: Announcements,
) -> Parts:
    """Take the built components out of the table, typed; what is missing here means that the run cannot start."""

    def get(name: str, kind: type[T]) -> T:
        return part_of(initializer, name, kind)

    vix, margin = get("vix_manager", VixManager), get("margin_manager", MarginManager)
    calendar, breaker = get("event_calendar", EventCalendar), get("circuit_breaker", CircuitBreaker)
    phases, concentration = get("account_phases", AccountPhases), get("concentration_manager", ConcentrationManager)
    ledger = get("ledger", Ledger)
    exits, chain_gate = ExitWatch(settings), get("chain_gate", ChainGate)
    managers: tuple[Manager, ...] = (vix, calendar, breaker, phases, margin, chain_gate, exits)
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
        announcements=announcements,
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
