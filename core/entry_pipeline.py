"""One strategy asked for one entry: the gates in their order, then the sizer, then the invariants.  The first refusal
wins and is written.

A gate that a delivery does not have is absent from the list; there is no gate that allows by default.  Gates judge
the intent at one unit, unscaled, at the worst ladder price; the sizer then finds the number of units inside all
bounds, and the sized intent is judged once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.books import Books
from core.intents import allow_intent, ledger_ages, ledger_detail, record_intent
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.rules import Rule, SizeBound
from core.strategy import Strategy, UnitCap
from core.vocabulary import Gate, Intent, Purpose, Verdict, to_u6

Asked = Callable[[Intent, MarketSnapshot, Books], Verdict]
Bounds = Callable[[Intent, MarketSnapshot, Books, float], tuple[SizeBound, ...]]


@dataclass(frozen=True, slots=True)
class SizeAnswer:
    """Units and all bounds; verdict refuses with the reason of the smallest bound when units is 0."""

    units: int
    bounds: Mapping[str, int]
    verdict: Verdict


Sizer = Callable[[Intent, MarketSnapshot, Books, float, Sequence[SizeBound], UnitCap], SizeAnswer]


@dataclass(frozen=True, slots=True)
class GatedRule:
    """A rule at its gate."""

    gate: Gate
    rule: Rule | Asked


class EntryPipeline:
    """Judges one intent and, if all agree, writes it down sized."""

    def __init__(
        self,
        ledger: Ledger,
        books: Books,
        gates: Sequence[GatedRule],
        bounds: Sequence[Bounds],
        sizer: Sizer,
        invariants: Rule | Asked,
    ) -> None:
        self._ledger = ledger
        self._books = books
        self.gates = tuple(gates)
        self._bounds = tuple(bounds)
        self._sizer = sizer
        self._invariants = invariants

    def judge(
        self,
        strategy: Strategy,
        wanted: Intent,
        snapshot: MarketSnapshot,
        scale: float,
        name_trade: Callable[[], tuple[str, str]],
    ) -> Intent | Verdict:
        """Return the sized intent, written as INTENT, SIZE and an allowing VERDICT; or the refusal, signed by its gate.

        name_trade gives (trade id, intent id); it is called only when a size above 0 was found, so that refusals use
        up no number.
        """
        smallest = pass_gates(self.gates, wanted, snapshot, self._books, scale)
        if isinstance(smallest, Verdict):
            return smallest
        bounds = [bound for source in self._bounds for bound in source(wanted, snapshot, self._books, smallest)]
        answer = self._sizer(wanted, snapshot, self._books, smallest, bounds, strategy.cap(snapshot))
        # Anything but a whole number above 0 is a broken sizer, and nothing is sized by it.
        if type(answer.units) is not int or answer.units <= 0:
            return answer.verdict.at(Gate.SIZER)
        trade, intent_id = name_trade()
        sized = replace(wanted, trade=trade, qty=answer.units, detail={**wanted.detail, "intent": intent_id})
        self._write(sized, intent_id, answer, snapshot, smallest)
        verdict = self._invariants(sized, snapshot, self._books)
        if not verdict.allowed:
            return verdict.at(Gate.INVARIANTS)
        allow_intent(
            self._ledger, sized.strategy, intent_id, snapshot.time, scale=smallest, ages=ledger_ages(sized, snapshot)
        )
        return sized

    def _write(self, sized: Intent, intent_id: str, answer: SizeAnswer, snapshot: MarketSnapshot, scale: float) -> None:
        risk, units = sized.risk, answer.units
        assert risk is not None
        amounts = {
            "max_loss_u6": risk.max_loss_usd,
            "t_loss_u6": risk.t_loss_usd,
            "c_loss_u6": risk.c_loss_usd,
            "margin_u6": risk.margin_usd,
        }
        totals = {name: to_u6(amount * units) for name, amount in amounts.items() if amount is not None}
        record_intent(self._ledger, sized, intent_id, Purpose.OPEN, snapshot.time, **totals)
        self._ledger.append(
            Kind.SIZE,
            sized.strategy,
            snapshot.time,
            intent=intent_id,
            bounds=dict(answer.bounds),
            scale_e6=round(scale * 1e6),
            units=units,
        )


def pass_gates(
    gates: Sequence[GatedRule], wanted: Intent, snapshot: MarketSnapshot, books: Books, scale: float
) -> float | Verdict:
    """Return the smallest scale that the gates leave of the step's, or the refusal of the first that refuses."""
    smallest = scale
    for gated in gates:
        verdict = gated.rule(wanted, snapshot, books)
        if not verdict.allowed:
            return verdict.at(gated.gate)
        smallest = min(smallest, scale * verdict.scale)
    return smallest


def refuse_entry(
    ledger: Ledger, strategy: str, verdict: Verdict, snapshot: MarketSnapshot, intent: Intent | None = None
) -> None:
    """Write the VERDICT of a refused entry; nothing is refused silently."""
    optional: dict[str, object] = {} if verdict.until is None else {"until": verdict.until}
    intent_id = None if intent is None else intent.detail.get("intent")
    if intent_id is not None:
        optional["intent"] = intent_id
    ledger.append(
        Kind.VERDICT,
        strategy,
        snapshot.time,
        gate=(verdict.gate or Gate.STRATEGY).value,
        allowed=False,
        reason=verdict.reason.value,
        scale_e6=0,
        ages=ledger_ages(intent, snapshot),
        detail=ledger_detail(verdict.detail),
        **optional,
    )
