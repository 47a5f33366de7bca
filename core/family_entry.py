"""The opening half of a target: the gates in their order, the size, and what is written before the order.

Asked anew in every bar; a refused opening is not kept.  Closings never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from core.books import Books
from core.entry_pipeline import Asked, GatedRule, pass_gates, refuse_entry
from core.family import BOOK, SYMBOLS, SizeVerdict, SizingFacts
from core.family_fold import FamilyFold
from core.family_market import FamilyMarket
from core.family_orders import FamilyOrders, shares
from core.family_ports import Room, Sizer
from core.intents import allow_intent, ledger_ages, record_intent
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.reasons import Reason
from core.settings import AccountType
from core.settings_etf import DayTradeRule, EtfRotationSettings
from core.values import value
from core.vocabulary import (
    U6,
    ExitPlan,
    FamilyTarget,
    Gate,
    Instrument,
    Intent,
    IntentKind,
    Ladder,
    LadderPlan,
    SessionPhase,
    Verdict,
    to_u6,
)

Lifecycle = Callable[[MarketSnapshot], Verdict | None]
_ONE_SHARE: Final = MappingProxyType({symbol: shares(Instrument(symbol, symbol)) for symbol in SYMBOLS})
TARGET_BOUND = "TARGET"
"""The sizer's name for the bound of the target's value."""

_DAY_TRADES = 3
"""So many day trades in five sessions a small account has; the next one is refused."""


@value
class _Looked:
    """The facts of a holding, what they belong to, and what follows from them: the USD that it should be worth, and
    whether it is too large (1) or too small (-1) for that.
    """

    snapshot: MarketSnapshot
    target: FamilyTarget
    movements: int
    facts: SizingFacts
    value_usd: float | None
    off: int


class FamilyEntry:
    """Judges the opening of a target."""

    def __init__(
        self,
        settings: EtfRotationSettings,
        account: AccountType,
        ledger: Ledger,
        books: Books,
        fold: FamilyFold,
        market: FamilyMarket,
        orders: FamilyOrders,
        sizer: Sizer,
        room: Room,
        gates: Sequence[GatedRule],
        invariants: Asked,
    ) -> None:
        self._settings = settings
        self._account = account
        self._ledger = ledger
        self._books = books
        self._fold = fold
        self._market = market
        self._orders = orders
        self._sizer = sizer
        self._room = room
        self._gates = tuple(gates)
        self._invariants = invariants
        self._last: _Looked | None = None
        self.was_bounded = False
        """Whether another bound than its value made the last opening smaller."""

    # ----------------------------------------------------------------------------------------------------------- facts

    def _facts(self, wanted: Intent, target: FamilyTarget, snapshot: MarketSnapshot, scale: float) -> SizingFacts:
        """Return what the sizer may look at; a holding keeps the scale that it was opened with."""
        known = self._of_holding(target, snapshot, scale).facts
        return SizingFacts(
            known.equity_usd,
            known.usable_cash_usd,
            known.total_cash_usd,
            reserved_usd=self._orders.reserved_usd(),
            buying_power_usd=self._room.buying_power(snapshot, self._books),
            stress_shares=self._room.stress_shares(wanted, snapshot, self._books),
            quote=known.quote,
            median_volume=self._market.median_volume(target),
            held=known.held,
            scale=known.scale,
        )

    def _of_holding(self, target: FamilyTarget, snapshot: MarketSnapshot, scale: float) -> _Looked:
        """Return what needs no margin and no stress to be known."""
        books, last = self._books, self._last
        # A minute asks three times.  A snapshot never changes, nor what the books say before their next movement.
        if last is not None and last.snapshot is snapshot and last.target is target:
            facts = last.facts
            if last.movements == books.movements and (facts.held or facts.scale == scale):
                return last
        held = books.position_of(BOOK, target)
        facts = self._look(target, snapshot, held, self._fold.scale if held else scale)
        value_usd = self._sizer.target_value(target, facts)
        off = self._sizer.off(value_usd, facts) if held else 0
        last = self._last = _Looked(snapshot, target, books.movements, facts, value_usd, off)
        return last

    def _look(self, target: FamilyTarget, snapshot: MarketSnapshot, held: int, scale: float) -> SizingFacts:
        account, books_usd = snapshot.account, self._books.cash_u6 / U6
        settled: float | None = None
        if account is not None:
            settled = books_usd
            if self._account is AccountType.CASH:
                settled = min(books_usd, account.cash_u6 / U6)
        return SizingFacts(
            equity_usd=snapshot.equity_usd,
            usable_cash_usd=settled,
            total_cash_usd=books_usd,
            quote=snapshot.quote(target),
            held=held,
            scale=scale,
        )

    def surplus(self, target: FamilyTarget, snapshot: MarketSnapshot) -> int:
        """Return the shares of a held target that are too many; only equity and a bid are asked for."""
        held = self._of_holding(target, snapshot, self._fold.scale)
        return self._sizer.surplus(target, held.facts) if held.off > 0 else 0

    def target_value(self, target: FamilyTarget, snapshot: MarketSnapshot, scale: float) -> float | None:
        """Return V*, the USD that the target should be worth now."""
        return self._of_holding(target, snapshot, scale).value_usd

    # ----------------------------------------------------------------------------------------------------------- judge

    def judge(
        self,
        target: FamilyTarget,
        blocked: Reason | None,
        snapshot: MarketSnapshot,
        scale: float,
        lifecycle: Lifecycle,
        owned: Callable[[Intent], Verdict | None],
    ) -> Intent | Verdict:
        """Return the sized intent, written, or a refusal, signed by its gate.

        blocked is what the reconciler has found in the way; lifecycle and owned ask for causes of the trading state.
        """
        held = self._books.position_of(BOOK, target)
        refusal = lifecycle(snapshot) or _phase(snapshot) or self._own(target, blocked, held, snapshot)
        if refusal is not None:
            return refusal
        wanted = self._wanted(target, held, snapshot)
        if isinstance(wanted, Verdict):
            return wanted
        return self._through_gates(wanted, target, snapshot, scale, owned)

    def holds_enough(self, target: FamilyTarget, snapshot: MarketSnapshot, scale: float) -> bool:
        """Whether the target is held and does not lie so far below its value that it is worth adding to."""
        held = self._of_holding(target, snapshot, scale)
        if not held.facts.held:
            return False
        if held.off >= 0 or snapshot.phase is not SessionPhase.REGULAR:
            return True
        return not self._sizer.is_short(target, held.facts)

    def _own(self, target: FamilyTarget, blocked: Reason | None, held: int, snapshot: MarketSnapshot) -> Verdict | None:
        """Return the book's own refusal."""
        settings, fold, now = self._settings, self._fold, snapshot.time
        found: Verdict | None = None
        if blocked is not None:
            found = Verdict.refuse(blocked)
        elif fold.is_orphan_session:
            found = Verdict.refuse(Reason.ORPHAN_SESSION)
        elif fold.opens_in_session >= settings.max_opens_per_session:
            found = Verdict.refuse(Reason.OPEN_CAP_SESSION, opens=fold.opens_in_session)
        elif (filled := fold.filled_orders(now)) + 2 > settings.orders_per_block_hard:
            # Each opening needs a close later on: both must fit.
            found = Verdict.refuse(Reason.OPEN_CAP_SESSION, filled_in_block=filled)
        elif not held and self._is_day_trade_too_many(snapshot):
            found = Verdict.refuse(Reason.DAY_TRADE_LIMIT, day_trades=fold.day_trades())
        else:
            found = self._market.refusal(target.value, snapshot)
        return None if found is None else found.at(Gate.STRATEGY)

    def _is_day_trade_too_many(self, snapshot: MarketSnapshot) -> bool:
        if self._settings.day_trade_rule is not DayTradeRule.COUNT:
            return False
        equity = snapshot.equity_usd
        small = equity is None or equity < self._settings.day_trade_equity_usd
        return small and self._fold.day_trades() >= _DAY_TRADES

    def _wanted(self, target: FamilyTarget, held: int, snapshot: MarketSnapshot) -> Intent | Verdict:
        """Return the intent at one share, at the price that it will be sent with."""
        quote = snapshot.quote(target.value)
        if not quote.is_good or quote.ask is None:
            return Verdict.refuse(quote.verdict.reason, symbol=target.value).at(Gate.DATA)
        structure = _ONE_SHARE[target]
        price, session = self._sizer.limit_price(quote.ask), snapshot.session
        flatten = session.before_close(self._settings.flatten_minutes)
        return Intent(
            IntentKind.ADD if held else IntentKind.OPEN,
            BOOK,
            structure,
            Ladder.ENTRY,
            plan=LadderPlan(-price, -price, (-price,), self._settings.open_timeout_s),
            risk=self._room.unit(structure, price, snapshot),
            exit_plan=ExitPlan(flatten, flatten, session.before_close(self._settings.verify_minutes)),
            target=target,
        )

    def _through_gates(
        self,
        wanted: Intent,
        target: FamilyTarget,
        snapshot: MarketSnapshot,
        scale: float,
        owned: Callable[[Intent], Verdict | None],
    ) -> Intent | Verdict:
        refusal = owned(wanted)
        if refusal is not None:
            return refusal
        smallest = pass_gates(self._gates, wanted, snapshot, self._books, scale)
        if isinstance(smallest, Verdict):
            return smallest
        too_high = self._vix_too_high(snapshot)
        if too_high is not None:
            return too_high
        facts = self._facts(wanted, target, snapshot, smallest)
        size = self._sizer.size(target, facts)
        if size.qty <= 0:
            return Verdict(False, size.reason, {**size.detail, **_whole(size.bounds)}).at(Gate.SIZER)
        return self._write(wanted, target, size, facts, snapshot)

    def _vix_too_high(self, snapshot: MarketSnapshot) -> Verdict | None:
        vix, limit = snapshot.vix, self._settings.vix_max_entry_points
        if vix is None or vix.value is None or vix.value > limit:
            shown = "unknown" if vix is None or vix.value is None else vix.value
            return Verdict.refuse(Reason.VIX_WINDOW, vix=shown, limit=limit).at(Gate.VIX)
        return None

    # ---------------------------------------------------------------------------------------------------------- writing

    def _write(
        self, wanted: Intent, target: FamilyTarget, size: SizeVerdict, facts: SizingFacts, snapshot: MarketSnapshot
    ) -> Intent | Verdict:
        self.was_bounded = size.qty < size.bounds[TARGET_BOUND]
        trade, intent_id, purpose = self._orders.name(snapshot, target.value)
        sized = replace(wanted, trade=trade, qty=size.qty, detail={"intent": intent_id})
        assert sized.risk is not None
        wanted_usd = self._sizer.target_value(target, facts)
        amounts = {"margin_u6": to_u6(sized.risk.margin_usd * size.qty)}
        if sized.risk.t_loss_usd is not None:
            amounts["t_loss_u6"] = to_u6(sized.risk.t_loss_usd * size.qty)
        if wanted_usd is not None:
            amounts["budget_u6"] = to_u6(wanted_usd)
        scale_e6 = round(facts.scale * 1e6)
        record_intent(self._ledger, sized, intent_id, purpose, snapshot.time, **amounts)
        self._ledger.append(
            Kind.SIZE,
            BOOK,
            snapshot.time,
            intent=intent_id,
            bounds=dict(size.bounds),
            scale_e6=scale_e6,
            units=size.qty,
        )
        verdict = self._invariants(sized, snapshot, self._books)
        if not verdict.allowed:
            return verdict.at(Gate.INVARIANTS)
        ages = ledger_ages(sized, snapshot)
        allow_intent(self._ledger, BOOK, intent_id, snapshot.time, scale=facts.scale, ages=ages)
        return sized

    def refuse(self, verdict: Verdict, snapshot: MarketSnapshot) -> None:
        """Write the refusal of an opening."""
        refuse_entry(self._ledger, BOOK, verdict, snapshot)


def _phase(snapshot: MarketSnapshot) -> Verdict | None:
    if snapshot.phase is SessionPhase.REGULAR:
        return None
    return Verdict.refuse(Reason.SESSION_PHASE, phase=snapshot.phase.value).at(Gate.SESSION)


def _whole(bounds: Mapping[str, int]) -> dict[str, int]:
    return {f"bound_{name.lower()}": min(units, 10**12) for name, units in bounds.items()}
