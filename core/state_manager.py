"""Lifecycle: drives every trade through the one table, watches deadlines, counts faults of strategies, and keeps
durable snapshots.

A snapshot holds only what the ledger cannot say again: exit plans, contract identities, the latches of managers,
settlement values.  Books come from the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from core.books import Books
from core.errors import StateError
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.reasons import Reason
from core.session import SessionClock
from core.settings import OrderSettings, StateSettings
from core.state_slots import SlotStore
from core.trade_machine import TradeState, Trigger, next_state
from core.trades import Trade
from core.vocabulary import ExitPlan, Intent, Verdict

_QUIET = frozenset(
    {Trigger.PART, Trigger.LEG, Trigger.FILLED, Trigger.CANCELLED, Trigger.FLAT, Trigger.EXIT_DUE, Trigger.UNRESOLVED}
)
"""Triggers that may arrive once more for a state that has them behind it; they need no alert."""


class StrategyState(StrEnum):
    ENABLED = "ENABLED"
    MANAGE_ONLY = "MANAGE_ONLY"
    DISABLED = "DISABLED"


class Remembers(Protocol):
    """A part whose latches go into the snapshot: plain text, numbers, lists and maps only."""

    def state(self) -> Mapping[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


class _Faults:
    """Faults of one strategy: three in thirty minutes make it MANAGE_ONLY; thirty clean minutes bring it back, at
    most twice a day.
    """

    def __init__(self, settings: StateSettings) -> None:
        self._settings = settings
        self.state = StrategyState.ENABLED
        self.because = ""
        self._recent: list[datetime] = []
        self._returns: dict[date, int] = {}

    def fault(self, now: datetime, because: str) -> None:
        window = timedelta(minutes=self._settings.fault_window_min)
        self._recent = [at for at in self._recent if now - at < window] + [now]
        if len(self._recent) >= self._settings.fault_limit and self.state is StrategyState.ENABLED:
            self.manage_only(now, because)

    def manage_only(self, now: datetime, because: str) -> None:
        if self.state is not StrategyState.DISABLED:
            self.state, self.because = StrategyState.MANAGE_ONLY, because
            self._recent.append(now)

    def disable(self, because: str) -> None:
        self.state, self.because = StrategyState.DISABLED, because

    def rest(self, now: datetime) -> None:
        if self.state is not StrategyState.MANAGE_ONLY or not self._recent:
            return
        clean = now - self._recent[-1] >= timedelta(minutes=self._settings.clean_min)
        if clean and self._returns.get(now.date(), 0) < self._settings.returns_per_day:
            self._returns[now.date()] = self._returns.get(now.date(), 0) + 1
            self.state, self.because = StrategyState.ENABLED, ""
            self._recent.clear()


class StateManager:
    """Owner of trade states and of the snapshot."""

    def __init__(
        self,
        settings: StateSettings,
        orders: OrderSettings,
        clock: SessionClock,
        ledger: Ledger,
        books: Books,
        slots: SlotStore | None,
    ) -> None:
        """slots: where snapshots go; None in a backtest, which never loads what an earlier run has left."""
        self._settings = settings
        self._orders = orders
        self._clock = clock
        self._ledger = ledger
        self._books = books
        self._slots = slots
        self._saved_seq = -1
        self._strategies: dict[str, _Faults] = {}
        self._parts: dict[str, Remembers] = {}

    @property
    def slots(self) -> SlotStore | None:
        return self._slots

    # ----------------------------------------------------------------------------------------------------- strategies

    def register(self, strategy: str) -> None:
        self._strategies[strategy] = _Faults(self._settings)

    def disable(self, strategy: str, because: str) -> None:
        self._strategies[strategy].disable(because)

    def fault(self, strategy: str, now: datetime, because: str) -> None:
        """Count an exception of a strategy."""
        self._strategies[strategy].fault(now, because)

    def manage_only(self, strategy: str, now: datetime, because: str) -> None:
        """A break or a failed repair: close-only until it has been clean for its time."""
        self._strategies[strategy].manage_only(now, because)

    def may_enter(self, strategy: str) -> bool:
        return self._strategies[strategy].state is StrategyState.ENABLED

    def entry_refusal(self, strategy: str, now: datetime) -> Verdict | None:
        faults = self._strategies[strategy]
        faults.rest(now)
        if faults.state is StrategyState.ENABLED:
            return None
        disabled = faults.state is StrategyState.DISABLED
        return Verdict.refuse(Reason.STRATEGY_DISABLED if disabled else Reason.STRATEGY_LOCKED, cause=faults.because)

    # --------------------------------------------------------------------------------------------------------- trades

    def plan(self, intent: Intent, now: datetime) -> None:
        """A sized intent has become a trade: store its exit plan and start its first deadline."""
        assert intent.exit_plan is not None, f"{intent.trade}: a trade without an exit plan cannot be planned"
        self._books.attach_plan(intent.trade, intent.exit_plan)
        trade = self._books.trade(intent.trade)
        self._write(trade, TradeState.PLANNED, Trigger.PLANNED, TradeState.PLANNED, now)

    def drive(self, trade_id: str, trigger: Trigger, now: datetime) -> TradeState:
        """Apply a trigger by the table; returns the state afterwards. A pair that the table does not have changes
        nothing and is recorded.
        """
        trade = self._books.trade(trade_id)
        after = next_state(trade.state, trigger, balanced_units=trade.units, unbalanced=trade.is_unbalanced)
        if after is None:
            if trigger not in _QUIET:
                text = f"{trade_id} is {trade.state}: {trigger} does not concern it."
                self._ledger.append(Kind.ALERT, trade.strategy, now, severity="INFO", code="IGNORED_TRIGGER", text=text)
            return trade.state
        if after is not trade.state or trigger is Trigger.DEADLINE:
            self._write(trade, trade.state, trigger, after, now)
            if after is TradeState.CLOSED:
                self._close(trade, now)
        return after

    def _write(self, trade: Trade, before: TradeState, trigger: Trigger, after: TradeState, now: datetime) -> None:
        deadline = self._deadline(trade, after, now)
        optional = {} if deadline is None else {"deadline": deadline}
        states = {"from": before.value, "trigger": trigger.value, "to": after.value}
        self._ledger.append(Kind.TRADE_STATE, trade.strategy, now, trade=trade.id, **states, **optional)

    def _close(self, trade: Trade, now: datetime) -> None:
        reason = trade.exit_reason if trade.exit_reason is not None else Reason.EXPIRED
        self._ledger.append(
            Kind.TRADE_CLOSED,
            trade.strategy,
            now,
            trade=trade.id,
            pnl_u6=trade.pnl_u6,
            fees_u6=trade.fees_u6,
            risk_u6=trade.entry_risk_u6,
            reason=reason.value,
        )

    def _deadline(self, trade: Trade, state: TradeState, now: datetime) -> datetime | None:
        settings = self._settings
        if state.is_end:
            return None
        if state is TradeState.OPEN:
            return None if trade.exit_plan is None else max(now, trade.exit_plan.hard_exit)
        if state is TradeState.SETTLING:
            following = self._clock.next_session(now.date())
            return following.open + timedelta(minutes=settings.settling_min)
        seconds = {
            TradeState.PLANNED: settings.planned_s,
            TradeState.ENTERING: 4 * self._orders.ladder_step_s + settings.entering_extra_s,
            TradeState.ADJUSTING: settings.adjusting_min * 60,
            TradeState.REPAIRING: settings.repairing_s,
        }.get(state, settings.exiting_alert_min * 60)
        return now + timedelta(seconds=seconds)

    def overdue(self, now: datetime) -> tuple[str, ...]:
        """Trades whose state has outlived its deadline at this step, in the order of their plans."""
        return tuple(
            trade.id for trade in self._books.open_trades() if trade.deadline is not None and now >= trade.deadline
        )

    # ------------------------------------------------------------------------------------------------------ snapshots

    def remember(self, name: str, part: Remembers) -> None:
        """Let a part's latches travel in the snapshot."""
        self._parts[name] = part

    def save_if_changed(self, now: datetime, contracts: Mapping[str, str]) -> None:
        """Write the next slot when the ledger has grown since the last one. contracts: symbol text -> the broker's
        durable identity of it.
        """
        if self._slots is None or self._ledger.seq == self._saved_seq:
            return
        body = {
            "time": now.isoformat(),
            "ledger_seq": self._ledger.seq,
            "ledger_head": self._ledger.head_hash,
            "contracts": dict(contracts),
            "plans": {
                trade.id: plan_state(trade.exit_plan)
                for trade in self._books.open_trades()
                if trade.exit_plan is not None
            },
            "parts": {name: dict(part.state()) for name, part in sorted(self._parts.items())},
        }
        slot, seq, digest = self._slots.save(body)
        self._ledger.append(Kind.STATE_SAVED, "", now, slot=slot, state_seq=seq, sha256=digest)
        self._saved_seq = self._ledger.seq

    def restore(self, body: Mapping[str, Any]) -> tuple[str, ...]:
        """Take over a snapshot; returns the trades that are open in the books but have no exit plan in it."""
        plans: Mapping[str, Any] = body["plans"]
        missing = []
        for trade in self._books.open_trades():
            stored = plans.get(trade.id)
            if stored is None:
                missing.append(trade.id)
            else:
                self._books.attach_plan(trade.id, plan_of(stored))
        for name, part in self._parts.items():
            if name in body["parts"]:
                part.restore(body["parts"][name])
        return tuple(missing)


def plan_state(plan: ExitPlan) -> dict[str, Any]:
    """Return an exit plan as JSON can hold it."""
    found: dict[str, Any] = {}
    for name in ExitPlan.__slots__:
        value = getattr(plan, name)
        found[name] = value.isoformat() if isinstance(value, datetime) else value
    return found


def plan_of(state: Mapping[str, Any]) -> ExitPlan:
    """Return the exit plan of `plan_state`. Raises StateError for a field that this program does not know."""
    unknown = sorted(set(state) - set(ExitPlan.__slots__))
    if unknown:
        raise StateError(f"exit plan: fields {', '.join(unknown)} are unknown to this program; the trade is frozen.")
    times = {name for name, kind in ExitPlan.__annotations__.items() if "datetime" in str(kind)}
    fields: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in times and value is not None else value
        for name, value in state.items()
    }
    return ExitPlan(**fields)
