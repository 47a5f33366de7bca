"""Lifecycle: drives every trade through the one table, watches deadlines, judges strategies, keeps snapshots.

A snapshot holds what the ledger cannot say again (exit plans, contract identities, the latches of managers), and the
records of this session that move money or orders: the ledger's youngest chunk is rewritten in place, so that a torn
write can cost more than its last line, and no order may ever be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from core.books import Books
from core.errors import LedgerError, StateError
from core.exit_plan_text import plan_from_text, plan_to_text
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.ledger_reader import written_fields
from core.market import MarketSnapshot, QuoteVerdict
from core.reasons import Reason
from core.rules import Cause
from core.session import SessionClock
from core.settings import OrderSettings, StateSettings
from core.state_slots import SlotStore
from core.strategy_states import StrategyStanding, StrategyState
from core.trade_machine import LIVING, Standing, TradeState, Trigger, next_state
from core.trades import Trade
from core.vocabulary import ExitPlan, Intent, TradingState, Verdict

_ENTRY_STEPS: Final = 4
_ASSIGNED_MIN: Final = 10
"""A trade that was assigned is repaired by ten minutes after the open (risk.md 17)."""

_ALERTS: Final = {TradeState.EXITING: ("WARNING", "EXIT_SLOW"), TradeState.FROZEN: ("CRITICAL", "TRADE_FROZEN")}


class Remembers(Protocol):
    """A part whose latches go into the snapshot: plain text, numbers, lists and maps only."""

    def state(self) -> Mapping[str, Any]: ...

    def restore(self, stored: Mapping[str, Any], /) -> None: ...


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
        self.slots = slots
        self._saved_seq = -1
        self._strategies: dict[str, StrategyStanding] = {}
        self._parts: dict[str, Remembers] = {}
        self._held: set[str] = set()
        self._ladders: dict[str, int] = {}
        self.causes: tuple[Cause, ...] = ()
        """The trading-state cause of a start that could not be explained."""

    # ----------------------------------------------------------------------------------------------------- strategies

    def register(self, strategy: str) -> None:
        self._strategies[strategy] = StrategyStanding(self._settings)

    def disable(self, strategy: str, because: str) -> None:
        self._strategies[strategy].disable(because)

    def fault(self, strategy: str, now: datetime, because: str) -> None:
        """Count an exception of a strategy."""
        self._strategies[strategy].fault(now, because)

    def manage_only(self, strategy: str, now: datetime, because: str) -> None:
        """A break or a failed repair: close-only until it has been clean for its time."""
        standing = self._strategies.get(strategy)
        if standing is not None:
            standing.manage_only(now, because)

    def strategy_state(self, strategy: str) -> StrategyState:
        return self._strategies[strategy].state

    def may_enter(self, strategy: str) -> bool:
        return self._strategies[strategy].state is StrategyState.ENABLED

    def entry_refusal(self, strategy: str, now: datetime) -> Verdict | None:
        """Return why a strategy may not open; what has been clean for its time comes back here."""
        standing = self._strategies[strategy]
        standing.rest(now)
        return standing.refusal()

    def distrust(self) -> None:
        """Only reduce risk until the operator has adopted what was found on start."""
        self.causes = (Cause("state.distrusted", TradingState.REDUCING, Reason.STATE_REDUCING),)

    # --------------------------------------------------------------------------------------------------------- trades

    def plan(self, intent: Intent, now: datetime, *, offered_s: int | None = None) -> None:
        """Store the exit plan of a sized intent that has become a trade; offered_s where its opening is not offered for
        the usual ladder.  Raises StateError for one without a plan.
        """
        if intent.exit_plan is None:
            self.drive(intent.trade, Trigger.ERROR, now)
            raise StateError(
                f"{intent.trade}: {intent.strategy} gives no exit plan; such an intent cannot become a trade."
            )
        self._books.attach_plan(intent.trade, intent.exit_plan)
        if offered_s is not None:
            self._ladders[intent.trade] = offered_s

    def hold(self, trade: str, now: datetime) -> None:
        """Freeze a trade until the operator adopts it: nobody can say how it is to be left, or whether it is ours."""
        self._held.add(trade)
        if self._books.trade(trade).state in LIVING:
            self.drive(trade, Trigger.BREAK, now)

    def drive(self, trade_id: str, trigger: Trigger, now: datetime) -> TradeState:
        """Apply a trigger by the table; returns the state afterwards.

        A pair that the table does not have changes nothing and is recorded as IGNORED_TRIGGER.
        """
        trade = self._books.trade(trade_id)
        trigger = _as_meant(trade, trigger)
        after = next_state(trade.state, trigger, partial(self._standing, trade))
        if after is None or (trade_id in self._held and trigger is Trigger.CLEARED):
            text = f"{trade_id} is {trade.state}: {trigger} does not concern it."
            self._ledger.append(Kind.ALERT, trade.strategy, now, severity="INFO", code="IGNORED_TRIGGER", text=text)
            return trade.state
        if after is not trade.state:
            self._move(trade, trigger, after, now)
        elif trigger is Trigger.DEADLINE or (trigger is Trigger.EXIT_DUE and self._is_news(trade)):
            self._write(trade, trigger, after, now)
            self._alert(trade, now)
        if trade.state is TradeState.OPEN and trade.exit_pending:
            return self.drive(trade_id, Trigger.EXIT_DUE, now)
        return trade.state

    def _standing(self, trade: Trade) -> Standing:
        return Standing(
            balance=trade.balance,
            covered=_is_mended(trade),
            at_work=bool(self._books.working_orders(trade.id)),
            asked_before=trade.deadlines_passed > 0,
            repaired=trade.repairs > 0,
        )

    @staticmethod
    def _is_news(trade: Trade) -> bool:
        """An exit that falls due while orders of the opening work is remembered once, for when they have ended."""
        return trade.state in (TradeState.ENTERING, TradeState.ADJUSTING) and not trade.exit_pending

    def _move(self, trade: Trade, trigger: Trigger, after: TradeState, now: datetime) -> None:
        before = trade.state
        self._write(trade, trigger, after, now)
        if after is TradeState.CLOSED and trade.opened is not None:
            self._close(trade, now)
        if after.is_end or trigger is Trigger.ADOPT:
            self._held.discard(trade.id)
        if after is TradeState.FROZEN:
            self._alert(trade, now)
        failed_repair = before is TradeState.REPAIRING and trigger is Trigger.DEADLINE
        if trigger is Trigger.BREAK or failed_repair:
            self.manage_only(trade.strategy, now, f"{trade.id}: {'repair failed' if failed_repair else 'break'}")

    def _write(self, trade: Trade, trigger: Trigger, after: TradeState, now: datetime) -> None:
        keeps_time = trigger is Trigger.EXIT_DUE and after is trade.state
        deadline = trade.deadline if keeps_time else self._deadline(trade, trigger, after, now)
        optional = {} if deadline is None else {"deadline": deadline}
        states = {"from": trade.state, "trigger": trigger, "to": after}
        self._ledger.append(Kind.TRADE_STATE, trade.strategy, now, trade=trade.id, **states, **optional)

    def _close(self, trade: Trade, now: datetime) -> None:
        self._ledger.append(
            Kind.TRADE_CLOSED,
            trade.strategy,
            now,
            trade=trade.id,
            pnl_u6=trade.pnl_u6,
            fees_u6=trade.fees_u6,
            risk_u6=trade.entry_risk_u6,
            reason=_end_reason(trade),
        )

    def _alert(self, trade: Trade, now: datetime) -> None:
        if trade.state in _ALERTS:
            severity, code = _ALERTS[trade.state]
            held = ", ".join(f"{qty:+d} {symbol}" for symbol, qty in sorted(trade.legs.items()))
            text = f"{trade.id} is {trade.state} and holds {held or 'nothing'}."
            self._ledger.append(Kind.ALERT, trade.strategy, now, severity=severity, code=code, text=text)

    # ------------------------------------------------------------------------------------------------------ deadlines

    def _deadline(self, trade: Trade, trigger: Trigger, state: TradeState, now: datetime) -> datetime | None:
        settings = self._settings
        if state.is_end:
            return None
        if state is TradeState.OPEN:
            return None if trade.exit_plan is None else max(now, trade.exit_plan.hard_exit)
        if state is TradeState.SETTLING:
            return self._clock.next_session(now.date()).after_open(settings.settling_min)
        if state is TradeState.REPAIRING:
            return self._repaired_by(trigger, now)
        if state is trade.state and state in (TradeState.ENTERING, TradeState.ADJUSTING):
            return now + timedelta(seconds=settings.entering_extra_s)
        seconds = {
            TradeState.ENTERING: self._ladder_s(trade) + settings.entering_extra_s,
            TradeState.ADJUSTING: settings.adjusting_min * 60,
        }.get(state, settings.exiting_alert_min * 60)
        return now + timedelta(seconds=seconds)

    def _ladder_s(self, trade: Trade) -> int:
        """Return how long a trade's opening is offered; for one of an earlier process the usual ladder."""
        return self._ladders.pop(trade.id, _ENTRY_STEPS * self._orders.ladder_step_s)

    def _repaired_by(self, trigger: Trigger, now: datetime) -> datetime:
        """Seconds of market count: what is left of them at the close goes on at the next open."""
        today = self._clock.session(now.date())
        if today is None or now >= today.close:
            today = self._clock.next_session(now.date())
        if trigger is Trigger.ASSIGNED and now < today.after_open(_ASSIGNED_MIN):
            return today.after_open(_ASSIGNED_MIN)
        start = max(now, today.open)
        by = start + timedelta(seconds=self._settings.repairing_s)
        return by if by <= today.close else self._clock.next_session(now.date()).open + (by - today.close)

    def due(self, snapshot: MarketSnapshot) -> tuple[tuple[str, Trigger], ...]:
        """Return what the books, the clock and the quotes say about open trades, in the order of their plans."""
        found: list[tuple[str, Trigger]] = []
        for trade in self._books.open_trades():
            trigger = self._due(trade, snapshot)
            if trigger is not None:
                found.append((trade.id, trigger))
        return tuple(found)

    def _due(self, trade: Trade, snapshot: MarketSnapshot) -> Trigger | None:
        state, now = trade.state, snapshot.time
        if state is TradeState.PLANNED:
            late = now >= trade.planned + timedelta(seconds=self._settings.planned_s)
            return Trigger.DEADLINE if late else None
        held = state in LIVING or state is TradeState.FROZEN
        if held and state is not TradeState.ENTERING and trade.is_flat and not self._books.working_orders(trade.id):
            return Trigger.FLAT
        if state in LIVING and state is not TradeState.SETTLING and self._has_expired(trade, snapshot):
            return Trigger.EXPIRED
        if state is TradeState.REPAIRING and _is_mended(trade):
            return Trigger.BALANCED
        return Trigger.DEADLINE if trade.deadline is not None and now >= trade.deadline else None

    def _has_expired(self, trade: Trade, snapshot: MarketSnapshot) -> bool:
        """Past X on the expiry date of all that is held, or only bidless longs of today are left and nothing works."""
        today, ends_today = snapshot.session.day, False
        for symbol in trade.legs:
            expiry = self._books.instrument(symbol).expiry
            if expiry is None or expiry > today:
                return False
            ends_today = ends_today or expiry == today
        if not trade.legs:
            return False
        if snapshot.time >= snapshot.session.close or not ends_today:
            return True
        if trade.state is not TradeState.EXITING or self._books.working_orders(trade.id):
            return False
        verdicts = {symbol: snapshot.quote(symbol).verdict for symbol in trade.legs}
        return all(qty > 0 and verdicts[symbol] is QuoteVerdict.NO_BID for symbol, qty in trade.legs.items())

    # ------------------------------------------------------------------------------------------------------ snapshots

    def remember(self, name: str, part: Remembers) -> None:
        """Let a part's latches travel in the snapshot."""
        self._parts[name] = part

    @property
    def is_saved(self) -> bool:
        """Whether nothing was written since the last slot; always where the run keeps none."""
        return self.slots is None or self._ledger.seq == self._saved_seq

    def save_if_changed(self, now: datetime, contracts: Mapping[str, str]) -> None:
        """Write the next slot when the ledger has grown since the last one.

        contracts: symbol text -> the broker's durable identity of it.  Raises LedgerError when the store refuses.
        """
        if self.slots is None or self.is_saved:
            return
        self._ledger.flush(durable=True)  # the ledger first, so that a slot is ahead of it only after a loss
        slot, seq, digest = self.slots.save(self._body(now, contracts), shorten=_drop_oldest)
        self._ledger.append(Kind.STATE_SAVED, "", now, slot=slot, state_seq=seq, sha256=digest)
        self._saved_seq = self._ledger.seq

    def _body(self, now: datetime, contracts: Mapping[str, str]) -> dict[str, Any]:
        plans = {trade.id: trade.exit_plan for trade in self._books.open_trades() if trade.exit_plan is not None}
        since, tail = self._ledger.tail
        return {
            "time": now.isoformat(),
            "ledger_seq": self._ledger.seq,
            "ledger_head": self._ledger.head(),
            "contracts": dict(contracts),
            "plans": {trade: plan_to_text(plan) for trade, plan in plans.items()},
            "held": sorted(self._held),
            "strategies": {name: standing.dump() for name, standing in sorted(self._strategies.items())},
            "parts": {name: dict(part.state()) for name, part in sorted(self._parts.items())},
            "tail_since": since,
            "tail": list(tail),
        }

    def regain(self, body: Mapping[str, Any], known: int, now: datetime) -> bool:
        """Write again what the ledger has lost and the snapshot still has: the records that move money or orders.

        known: number of lines that the ledger still has.  Returns whether none is missing; if not, freeze what is open.
        """
        try:
            for row in body["tail"]:
                if row["seq"] >= known:
                    kind = Kind(row["kind"])
                    self._ledger.append(kind, row["book"], now, **written_fields(kind, row["fields"]))
        except LedgerError:
            return False  # it does not follow from what the ledger still has
        return int(body["tail_since"]) <= known

    def restore(self, body: Mapping[str, Any]) -> tuple[str, ...]:
        """Take over a snapshot; returns the open trades whose exit plan is missing or unknown."""
        missing: list[str] = []
        for trade in self._books.open_trades():
            plan = _stored_plan(body["plans"].get(trade.id))
            if plan is None:
                missing.append(trade.id)
            else:
                self._books.attach_plan(trade.id, plan)
        self._held |= {trade for trade in body["held"] if self._books.has_trade(trade)}
        for name, stored in body["strategies"].items():
            if name in self._strategies:
                self._strategies[name].load(stored)
        for name, part in self._parts.items():
            if name in body["parts"]:
                part.restore(body["parts"][name])
        return tuple(missing)


def _is_mended(trade: Trade) -> bool:
    """Whether a repair has left a trade: nothing uncovered, and a whole unit. Half a condor is no condor, its exits do
    not fit it: the deadline of the repair closes it.
    """
    return trade.uncovered_since is None and trade.units > 0


def _as_meant(trade: Trade, trigger: Trigger) -> Trigger:
    """Translate what the caller cannot know: an opening that ended before it was sent was denied; one that leaves
    nothing of what it had filled is FLAT, and so is, outside SETTLING, a settlement that leaves nothing.
    """
    if trade.state is TradeState.PLANNED and trigger in (Trigger.CANCELLED, Trigger.REJECTED):
        return Trigger.DENIED
    was_held = trade.opened is not None and trade.is_flat
    if trade.state is TradeState.ENTERING and was_held and trigger in (Trigger.CANCELLED, Trigger.REJECTED):
        return Trigger.FLAT
    if trigger is Trigger.SETTLED and trade.state is not TradeState.SETTLING and was_held:
        return Trigger.FLAT
    return trigger


def _end_reason(trade: Trade) -> Reason:
    """The reason of the exit that closed it; without a closing fill it was left to expire."""
    if trade.exit_reason is not None and trade.closings:
        return trade.exit_reason
    return Reason.EXPIRED if trade.expired else Reason.EXIT_RISK


def _stored_plan(stored: Mapping[str, Any] | None) -> ExitPlan | None:
    if stored is None:
        return None
    try:
        return plan_from_text(stored)
    except StateError:
        return None


def _drop_oldest(body: dict[str, Any]) -> bool:
    """Make a snapshot that is too large smaller by its oldest record; returns whether there was one."""
    tail: Sequence[Mapping[str, Any]] = body["tail"]
    if not tail:
        return False
    body["tail"], body["tail_since"] = tail[1:], tail[0]["seq"] + 1
    return True
