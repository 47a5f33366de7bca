"""How the parts of the component table are joined, recovered and run.

`main.py` calls `assemble` once and then `Assembly.step` for every closed minute.  Tests call the same two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import partial
from typing import Protocol

from core.announcements import Announcements
from core.assembly_family import family_row, fold_of, make_fold
from core.assembly_table import component_table, join, part_of
from core.books import Books
from core.component_initializer import ComponentInitializer
from core.ledger_kinds import EndReason, Kind
from core.ledger_reader import Replay, replay_ledger
from core.parts import Parts
from core.ports import Broker, MarketFeed, Store
from core.recorder import ANCHOR_CHANNEL, RunFacts
from core.recovery import learn_settlement_values, take_over_orders
from core.recovery_plan import plan_recovery
from core.self_test import self_test
from core.session import SessionClock
from core.setting_fields import settings_hash
from core.settings import Mode, Settings
from core.state_manager import Remembers
from core.strategy_coordinator import NAME as COORDINATOR
from core.strategy_coordinator import StrategyCoordinator
from core.turns import Turns
from helpers.brokerages import missing_capabilities
from risk.account_phases import AccountPhases
from risk.circuit_breaker import CircuitBreaker
from risk.principles import PrincipleMonitor
from risk.vix_manager import VixManager
from strategies.etf_rotation import EtfRotation

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
    ) -> None:
        self._parts = parts
        self._phases = phases
        self._breaker = breaker
        self._identities = identities
        self._anchored: tuple[int, str] | None = None
        self._said = (-1, False, 0, False)
        self._charted: date | None = None
        self._finished = False
        self._turns = part_of(parts.initializer, COORDINATOR, Turns)
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
        lines = self._parts.announcements.take()
        anchor = self._parts.recorder.anchor
        if anchor is not None and anchor != self._anchored:
            self._anchored = anchor
            if self._parts.settings.run.mode is not Mode.BACKTEST:  # a backtest's summary lists them all
                lines.append(f"{ANCHOR_CHANNEL} {anchor[0]}:{anchor[1]}")
        return lines

    def attend(self, now: datetime) -> None:
        """Go on between two steps; left out where a step runs, inside of it or on another thread: it comes again."""
        if COORDINATOR not in self._parts.initializer.failed:
            self._turns.take_if_free(partial(self._attend, now))

    def _attend(self, now: datetime) -> None:
        if not self._finished:
            self._contained(self.coordinator.attend, max(now, self._parts.ledger.time))

    def _step(self, now: datetime) -> None:
        # Another thread may have stepped, or written something, between the question and our turn.
        stamp = max(now, self._parts.ledger.time)
        if self._finished or not self.coordinator.is_due(stamp):
            return
        # A coordinator that had too many faults does what a minute cannot go without until the next open.
        if COORDINATOR in self._parts.initializer.failed or not self._contained(self.coordinator.step, stamp):
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
        """Return what a person wants to see while it runs: at each close and at the end, and whenever a trade changes
        live or after a breach.  Nobody sees a backtest's that often, and LEAN takes 25 us for each of a dozen.
        """
        parts = self._parts
        breaches = 0 if parts.family is None else parts.family.breach_count
        is_closely_watched = breaches or parts.settings.run.mode is not Mode.BACKTEST
        now = (
            parts.books.movements if is_closely_watched else 0,
            parts.recorder.session_closed,
            breaches,
            self._finished,
        )
        if now == self._said:
            return ()
        self._said = now
        return self._statistics()

    def _statistics(self) -> Iterator[tuple[str, str]]:
        parts = self._parts
        yield "Trading state", self.coordinator.state.name
        yield "Open trades", str(len(parts.books.open_trades()))
        yield "Closed trades", str(parts.books.closed_count)
        yield "Result USD", f"{parts.books.result_u6 / 1e6:,.2f}"
        yield "Account phase", "unknown" if self._phases.phase is None else str(self._phases.phase)
        yield "Breaker", self._breaker.level.name
        if parts.family is not None:
            yield from parts.family.statistics()
        yield "Ledger head", parts.ledger.chained_head[:16]
        if parts.recorder.anchor is not None:
            yield ANCHOR_CHANNEL, "{}:{}".format(*parts.recorder.anchor)

    def chart_points(self) -> Sequence[tuple[str, str, float]]:
        """Return one point per session and series: LEAN keeps few.  The ETF book has a chart of its own."""
        snapshot, family = self.coordinator.snapshot, self._parts.family
        if snapshot is None:
            return ()
        points = () if family is None else family.chart_points(snapshot)
        if not self._parts.recorder.session_closed or self._charted == snapshot.session.day:
            return points
        self._charted = snapshot.session.day
        if snapshot.equity_usd is not None:
            points = (*points, ("Bulkhead", "Equity USD", snapshot.equity_usd))
        if snapshot.vix is not None and snapshot.vix.value is not None:
            points = (*points, ("Bulkhead", "VIX", snapshot.vix.value))
        return points


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
    replay = replay_ledger(store, run, fold_of(books, fold)) if live else Replay()
    announcements = Announcements()
    table = component_table(settings, broker, store, books, fold, replay, run, announcements)
    if fold is not None:
        table.append(family_row(settings, feed, broker, books, fold, monitor))
    initializer = ComponentInitializer(table)
    initializer.build(now)
    parts = join(settings, initializer, feed, broker, books, announcements)
    phases, breaker = (
        part_of(initializer, "account_phases", AccountPhases),
        part_of(initializer, "circuit_breaker", CircuitBreaker),
    )
    remembered: dict[str, Remembers] = {
        "account_phases": phases,
        "circuit_breaker": breaker,
        "vix_manager": part_of(initializer, "vix_manager", VixManager),
        "settlement": parts.settlement,
        "exit_watch": parts.exits,
    }
    for name, part in remembered.items():
        parts.state.remember(name, part)
    assembly = Assembly(parts, run, phases, breaker, identities)
    gateway = parts.gateway
    parts.recorder.contracts = lambda: {
        symbol: identities.identifier(symbol) for symbol in sorted({*books.positions(), *gateway.orders.symbols})
    }
    parts.recorder.orders = gateway.orders
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
        state.distrust()
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
