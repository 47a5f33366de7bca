"""One replay of a ledger: it feeds the rules, the metrics and the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from audit.chain import Chain
from audit.findings import Findings, Severity
from audit.limits import Limits
from audit.rules import ALL, Rule
from audit.rules.process import SeenByBoth
from audit.rules.run import LineRule
from audit.schema import KINDS, Record
from audit.state import State

Listener = Callable[[Record, State], None]
"""Called after each record was folded and judged."""


_HANDLERS: dict[type[Rule], tuple[tuple[str, str], ...]] = {}


def _handlers_of(rule: type[Rule]) -> tuple[tuple[str, str], ...]:
    """Return the kinds that a rule reads, each with the name of the method that reads it."""
    if rule not in _HANDLERS:
        names = ((kind, f"on_{kind.lower()}") for kind in KINDS)
        _HANDLERS[rule] = tuple((kind, name) for kind, name in names if hasattr(rule, name))
    return _HANDLERS[rule]


class Replay:
    """Chain, state and rules over one pass of the lines."""

    def __init__(self, rules: Sequence[type[Rule]] = ALL, listeners: Sequence[Listener] = ()) -> None:
        self.findings = Findings()
        self.state = State(Limits())
        self.chain = Chain(self._chain_report)
        self.rules = [rule(self.state, self.findings) for rule in rules]
        self._ids = {rule.id for rule in self.rules}
        self._listeners = list(listeners)
        self._handlers: dict[str, list[Callable[[Record], None]]] = {kind: [] for kind in KINDS}
        for rule in self.rules:
            for kind, name in _handlers_of(type(rule)):
                self._handlers[kind].append(getattr(rule, name))
        self.state.on_day += [rule.on_day for rule in self.rules if hasattr(rule, "on_day")]

    def _chain_report(self, rule: str, seq: int, us: int, text: str) -> None:
        if rule in self._ids:
            self.findings.hit(rule, Severity.VIOLATION, text, seq=seq, at=us)

    def run(self, lines: Iterable[bytes]) -> None:
        """Replay all lines, then let the rules conclude."""
        state, findings, handlers = self.state, self.findings, self._handlers
        advance, take, judge, listeners = state.advance, state.take, self._judge, self._listeners
        knows = self.chain.knows
        plain = type(self)._judge is Replay._judge  # a call per record less
        for record, us in self.chain.walk(lines):
            if record["kind"] == "RUN_STARTED" and state.headers:
                state.deadlines.resume(us)
            if us != state.now or not state.headers:
                findings.now = us
                advance(us)
            findings.seq = record["seq"]
            take(record)
            kind = record["kind"]
            if kind == "ANCHOR" and not knows(record["head_seq"], record["head_hash"]):
                self._chain_report("AU-02", record["seq"], us, f"ANCHOR of line {record['head_seq']} does not match it")
            if plain:
                for handler in handlers[kind]:
                    handler(record)
            else:
                judge(record, handlers[kind])
            for listener in listeners:
                listener(record, state)
        self.finish()

    def _judge(self, record: Record, handlers: Sequence[Callable[[Record], None]]) -> None:
        for handler in handlers:
            handler(record)

    def finish(self) -> None:
        """Let every rule conclude, end open intervals, and compare what the run-time monitor saw."""
        state, findings = self.state, self.findings
        findings.now = state.now
        findings.seq = max(0, self.chain.lines - 1)
        if self.chain.newer is None:
            for rule in self.rules:
                if hasattr(rule, "on_end"):
                    rule.on_end()
            findings.finish(state.now)
            for rule in self.rules:
                if isinstance(rule, SeenByBoth):
                    rule.on_summary()
        for rule in self.rules:
            if isinstance(rule, LineRule):
                rule.evaluations = self.chain.lines
                rule.judged.add("")
