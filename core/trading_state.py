"""The trading state: the worst of all causes, each with its own scope and its own release.

Causes are collected anew in every step from components and managers; what is no longer said is released.  Nothing
here remembers a cause: whoever latches one (the circuit breaker) says so again until it lets go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.reasons import Reason
from core.rules import Cause
from core.vocabulary import Disposition, Gate, Intent, Scope, TradingState, Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """A trading state that changed in this step, and the worst cause of the new one."""

    scope: Scope
    subject: str
    before: TradingState
    after: TradingState
    cause: str
    disposition: Disposition | None


class StateBoard:
    """All causes of the present step."""

    def __init__(self) -> None:
        self.causes: tuple[Cause, ...] = ()
        self._states: dict[tuple[Scope, str], TradingState] = {}

    def replace(self, causes: Iterable[Cause]) -> tuple[Change, ...]:
        """Take the causes of this step in; returns what changed, account first, then by subject."""
        self.causes = tuple(causes)
        worst: dict[tuple[Scope, str], Cause] = {}
        for cause in self.causes:
            key = (cause.scope, "" if cause.scope is Scope.ACCOUNT else cause.subject)
            if key not in worst or cause.state > worst[key].state:
                worst[key] = cause
        changes: list[Change] = []
        for key in sorted(set(worst) | set(self._states)):
            before = self._states.get(key, TradingState.ACTIVE)
            found = worst.get(key)
            after = TradingState.ACTIVE if found is None else found.state
            if after is not before:
                name, disposition = ("released", None) if found is None else (found.name, found.disposition)
                changes.append(Change(key[0], key[1], before, after, name, disposition))
            if after is TradingState.ACTIVE:
                self._states.pop(key, None)
            else:
                self._states[key] = after
        return tuple(changes)

    def account(self) -> TradingState:
        return self._states.get((Scope.ACCOUNT, ""), TradingState.ACTIVE)

    def of(self, strategy: str, symbols: Iterable[str] = ()) -> tuple[TradingState, bool]:
        """Return the state that concerns one strategy in these symbols, and whether its halting cause wants everything
        closed.
        """
        state, flatten = TradingState.ACTIVE, True
        for cause in self.causes:
            if cause.concerns(strategy, symbols):
                state = max(state, cause.state)
                if cause.state is TradingState.HALTED and cause.disposition is not Disposition.FLATTEN:
                    flatten = False
        return state, flatten

    def wants_flat(self, strategy: str) -> Cause | None:
        """Return the cause that wants this strategy's book closed now, None when there is none or a freeze outweighs
        it.
        """
        if not self.causes:
            return None
        state, flatten = self.of(strategy)
        if state is not TradingState.HALTED or not flatten:
            return None
        return next(cause for cause in self.causes if cause.state is TradingState.HALTED)

    def refusal(self, gate: Gate, strategy: str, symbols: Iterable[str] = ()) -> Verdict | None:
        """Return the refusal that a gate owns: the reason of its own causes; lifecycle answers for all that no gate
        owns.
        """
        wanted = frozenset(symbols)
        for cause in self.causes:
            if cause.state is TradingState.ACTIVE or cause.gate is not gate or not cause.concerns(strategy, wanted):
                continue
            reason = cause.reason
            if gate is Gate.LIFECYCLE and cause.scope is Scope.ACCOUNT and reason is not Reason.COMPONENT_NOT_READY:
                reason = Reason.STATE_HALTED if cause.state is TradingState.HALTED else Reason.STATE_REDUCING
            return Verdict.refuse(reason, cause=cause.name)
        return None

    def owned_refusal(self, intent: Intent) -> Verdict | None:
        """Return the refusal of the first gate that owns a cause against this intent, with its own reason; lifecycle
        comes last.
        """
        for gate in (Gate.DATA, Gate.BREAKER, Gate.DRAWDOWN, Gate.EMERGENCY, Gate.LIFECYCLE):
            refusal = self.refusal(gate, intent.strategy, intent.structure.symbols)
            if refusal is not None:
                return refusal.at(gate)
        return None
