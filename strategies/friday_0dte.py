"""Sell a same-day SPXW iron condor, or one side of it, on the last session of the week.

Enters once, after the first hour, when VIX pays for the risk.  A quiet morning sells both sides; a morning that has
moved sells the side it moved to, because such moves more often fade than double.  Leaves at half of the credit, at
twice the credit, when VIX explodes, or by the clock, whichever is first; nothing is held over night.
Worst case: the width of one side less the credit.  Stays out when VIX, the opening price or a leg's quote is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from core.errors import SettingsError
from core.market import MarketSnapshot, Quote, Session, VixVerdict
from core.net_quote import NetQuote, PriceLadder, net_quote
from core.ports import OrderType
from core.reasons import Reason
from core.settings import Settings
from core.strategy import EntryWindow, Strategy, UnitCap
from core.vocabulary import (
    ExitPlan,
    Instrument,
    Intent,
    IntentKind,
    Ladder,
    LadderPlan,
    Leg,
    Right,
    Structure,
    StructureName,
    UnitRisk,
    Verdict,
)
from helpers.brokerages import round_trip_fee_usd
from risk.chain_gate import ChainGate, GatedChain, underlying_refusal
from risk.unit_risk import UnitJudge

if TYPE_CHECKING:
    from core.books import Books

_LARGE_WINGS_FROM_PHASE: Final = 3
_FRACTION_DECIMALS: Final = 6
_DELTA_DECIMALS: Final = 9
_SAME_STRIKE: Final = 1e-6

_UNKNOWN_VIX: Final = {
    VixVerdict.UNKNOWN: Reason.VIX_UNKNOWN,
    VixVerdict.STALE: Reason.VIX_STALE,
    VixVerdict.SUSPECT: Reason.VIX_SUSPECT,
}


@dataclass(frozen=True, slots=True)
class _Side:
    """The sold and the bought contract of one side, as positions in the chain, and the sold one's delta."""

    short: int
    wing: int
    delta: float


@dataclass(frozen=True, slots=True)
class _Offer:
    """A structure with its quote and the prices at which it would be offered."""

    structure: Structure
    plan: LadderPlan
    net: NetQuote


class Friday0dte(Strategy):
    """The first strategy of the options book."""

    name: ClassVar[str] = "friday_0dte"
    priority: ClassVar[int] = 1
    root: ClassVar[str] = "SPXW"
    order_types: ClassVar[frozenset[OrderType]] = frozenset({OrderType.COMBO_LIMIT, OrderType.LIMIT})
    same_day: ClassVar[bool] = True

    def __init__(
        self, settings: Settings, gate: ChainGate, judge: UnitJudge, account_phase: Callable[[], int | None]
    ) -> None:
        """account_phase tells the account's size class of today, None before the first open."""
        plan = settings.friday_0dte
        if plan.underlying != self.root:
            raise SettingsError(
                [
                    f"friday_0dte.underlying = {plan.underlying}: expected {self.root}, the only root with European, "
                    f"cash-settled contracts every Friday in LEAN. Delete it from the parameters."
                ]
            )
        self._settings = plan
        self._orders = settings.orders
        self._anchor = settings.session.anchor
        self._max_age_s = settings.data.underlying_max_age_s
        self._gate = gate
        self._judge = judge
        self._account_phase = account_phase

    # ------------------------------------------------------------------------------------------------------------ when

    def window(self, session: Session) -> EntryWindow | None:
        """The last session of the week: Friday, or Thursday when Friday is closed."""
        if not session.last_of_week:
            return None
        start, end = self._settings.entry_start_et, self._settings.entry_end_et
        return EntryWindow(datetime.combine(session.day, start), datetime.combine(session.day, end))

    def watches(self, session: Session) -> date | None:
        return session.day if session.last_of_week else None

    def is_done(self, books: Books, day: date) -> bool:
        """One trade a day."""
        return books.traded_on(self.name, day)

    def cap(self, snapshot: MarketSnapshot) -> UnitCap:
        """Fewer units in a nervous market, none while nobody knows how nervous it is."""
        settings, vix = self._settings, snapshot.vix
        if vix is None or not vix.is_good or vix.value is None:
            return UnitCap(0, "VIX is not known")
        if vix.value > settings.high_vix:
            return UnitCap(settings.max_units_high_vix, f"VIX above {settings.high_vix:g}")
        return UnitCap(settings.max_units, "largest position")

    # ------------------------------------------------------------------------------------------------------- the entry

    def enter(self, snapshot: MarketSnapshot, books: Books) -> Intent | Verdict:
        refusal = self._not_again(snapshot, books) or self._vix_outside(snapshot) or self._gapped(snapshot)
        if refusal is not None:
            return refusal
        move = self._move(snapshot)
        if isinstance(move, Verdict):
            return move
        chain = self._gate.admit(snapshot, self.root, snapshot.session.day)
        if isinstance(chain, Verdict):
            return chain
        structure = self._structure(move, chain, books)
        if isinstance(structure, Verdict):
            return structure
        offer = self._offer(structure, chain)
        if isinstance(offer, Verdict):
            return offer
        risk = self._judge.judge(structure, offer.plan.worst_cash, snapshot)
        if isinstance(risk, Verdict):
            return risk
        return self._intent(offer, risk, move, snapshot)

    def _not_again(self, snapshot: MarketSnapshot, books: Books) -> Verdict | None:
        """One trade a day; a ladder without a fill may be tried again, some minutes later and not for ever."""
        day, orders = snapshot.session.day, self._orders
        if self.is_done(books, day):
            return Verdict.refuse(Reason.ALREADY_TRADED)
        if len(books.open_trades(self.name)) >= self.max_open(self._account_phase() or 0):
            return Verdict.refuse(Reason.MAX_OPEN)
        ladders = books.planned_on(self.name, day)
        if len(ladders) >= orders.entry_parents:
            return Verdict.refuse(Reason.ATTEMPTS_USED, ladders=len(ladders))
        if ladders:
            free = max(ladder.planned for ladder in ladders) + timedelta(minutes=orders.entry_spacing_min)
            if snapshot.time < free:
                return Verdict.refuse(Reason.ATTEMPT_SPACING, until=free)
        return None

    def _vix_outside(self, snapshot: MarketSnapshot) -> Verdict | None:
        settings, vix = self._settings, snapshot.vix
        if vix is None or vix.value is None:
            return Verdict.refuse(Reason.VIX_UNKNOWN)
        if not vix.is_good:
            return Verdict.refuse(_UNKNOWN_VIX[vix.verdict], vix=vix.value)
        if not settings.vix_min <= vix.value <= settings.vix_max:
            return Verdict.refuse(Reason.VIX_WINDOW, vix=vix.value, low=settings.vix_min, high=settings.vix_max)
        return None

    def _gapped(self, snapshot: MarketSnapshot) -> Verdict | None:
        """A night that has moved the market this far has not ended yet."""
        unknown = snapshot.opening.refusal()
        if unknown is not None:
            return unknown
        prior, opened = snapshot.prior_close.get(self._anchor), snapshot.opening.price
        if prior is None or opened is None:
            return Verdict.refuse(Reason.PRIOR_CLOSE_MISSING, symbol=self._anchor)
        gap = round(opened / prior - 1, _FRACTION_DECIMALS)
        if abs(gap) >= self._settings.max_gap_pct / 100:
            return Verdict.refuse(
                Reason.GAP_TOO_LARGE, gap_pct=round(gap * 100, 4), limit_pct=self._settings.max_gap_pct
            )
        return None

    def _move(self, snapshot: MarketSnapshot) -> float | Verdict:
        """Return today's move as a fraction, of SPY at both ends: the first print of the index holds stale members."""
        stale = underlying_refusal(self._anchor, snapshot, self._max_age_s)
        if stale is not None:
            return stale
        now, opened = snapshot.price(self._anchor), snapshot.opening.price
        assert now is not None, "a fresh bar has a close"
        assert opened is not None, "an unknown opening price was refused before"
        move = round(now / opened - 1, _FRACTION_DECIMALS)
        if abs(move) >= self._settings.skip_move_pct / 100:
            limit = self._settings.skip_move_pct
            return Verdict.refuse(Reason.MOVE_TOO_LARGE, move_pct=round(move * 100, 4), limit_pct=limit)
        return move

    # --------------------------------------------------------------------------------------------------- the structure

    def _structure(self, move: float, chain: GatedChain, books: Books) -> Structure | Verdict:
        """Both sides on a quiet morning; else the side that the market moved to."""
        if abs(move) <= self._settings.condor_max_move_pct / 100:
            puts, calls = self._side(Right.PUT, chain, books), self._side(Right.CALL, chain, books)
            if isinstance(puts, Verdict):
                return puts
            if isinstance(calls, Verdict):
                return calls
            legs = (*_legs(puts, chain), *reversed(_legs(calls, chain)))
            return Structure(StructureName.IRON_CONDOR, legs)
        right = Right.CALL if move > 0 else Right.PUT
        side = self._side(right, chain, books)
        if isinstance(side, Verdict):
            return side
        name = StructureName.CALL_SPREAD if right is Right.CALL else StructureName.PUT_SPREAD
        return Structure(name, _legs(side, chain))

    @property
    def width_points(self) -> float:
        """Distance of the wings today: a larger account may hold wider ones inside the same share of equity."""
        phase, settings = self._account_phase(), self._settings
        is_large = phase is not None and phase >= _LARGE_WINGS_FROM_PHASE
        return settings.wing_width_large_points if is_large else settings.wing_width_points

    def _side(self, right: Right, chain: GatedChain, books: Books) -> _Side | Verdict:
        """Return the short nearest the wanted delta that has its wing at exactly the width; ties go farther out."""
        settings, contracts = self._settings, chain.priced.chain
        is_call = contracts.is_call if right is Right.CALL else ~contracts.is_call
        size = np.round(np.abs(chain.delta), _DELTA_DECIMALS)
        with np.errstate(invalid="ignore"):
            band = (size >= settings.short_delta_low) & (size <= settings.short_delta_high)
        shorts = [int(at) for at in np.flatnonzero(is_call & band & chain.sellable)]
        if not shorts:
            return Verdict.refuse(
                Reason.NO_STRIKE_IN_BAND,
                right=right.value,
                low=settings.short_delta_low,
                high=settings.short_delta_high,
            )
        outward = 1.0 if right is Right.CALL else -1.0

        def nearness(at: int) -> tuple[float, float]:
            distance = round(abs(float(size[at]) - settings.short_delta), _DELTA_DECIMALS)
            return distance, -outward * float(contracts.strike[at])

        wings = is_call & chain.buyable
        held_elsewhere = False
        for short in sorted(shorts, key=nearness):
            away = np.abs(contracts.strike - (contracts.strike[short] + outward * self.width_points))
            found = np.flatnonzero(wings & (away < _SAME_STRIKE))
            if not len(found):
                continue
            wing = int(found[0])
            if any(self._is_held_elsewhere(contracts.instruments[at], books) for at in (short, wing)):
                held_elsewhere = True
                continue
            return _Side(short, wing, float(chain.delta[short]))
        if held_elsewhere:
            return Verdict.refuse(Reason.CONTRACT_IN_OTHER_BOOK, right=right.value)
        return Verdict.refuse(Reason.WING_MISSING, right=right.value, width=self.width_points, shorts=len(shorts))

    def _is_held_elsewhere(self, instrument: Instrument, books: Books) -> bool:
        """LEAN would net two books that hold the same contract."""
        return any(book != self.name for book in books.holders(instrument.symbol))

    # ------------------------------------------------------------------------------------------------------- the price

    def _offer(self, structure: Structure, chain: GatedChain) -> _Offer | Verdict:
        """Return the ladder of prices, every one of which is worth taking; the worst one is never passed later."""
        quotes = _quotes(structure, chain)
        wide = self._gate.combo(structure, quotes.__getitem__)
        if not wide.allowed:
            return wide
        net = net_quote(structure, quotes.__getitem__)
        assert net is not None, "sold and bought legs were chosen by their quotes"
        ladder, tick = PriceLadder.of(Ladder.ENTRY, self._orders), structure.tick
        steps = [ladder.cash(step, net, tick) for step in range(ladder.steps)]
        prices = tuple(cash for cash in steps if cash is not None)
        settings = self._settings
        is_condor = structure.name is StructureName.IRON_CONDOR
        least_pct = settings.min_credit_condor_pct if is_condor else settings.min_credit_spread_pct
        worst, width = min(prices, default=0.0), self.width_points
        if len(prices) < len(steps) or round(worst / width, _FRACTION_DECIMALS) < least_pct / 100:
            return Verdict.refuse(Reason.CREDIT_TOO_SMALL, credit=worst, width=width, least_pct=least_pct)
        at_risk = width - prices[0]
        if at_risk <= 0 or round(prices[0] / at_risk, _FRACTION_DECIMALS) > settings.max_credit_risk_pct / 100:
            most_pct = settings.max_credit_risk_pct
            return Verdict.refuse(Reason.CREDIT_TOO_RICH, credit=prices[0], width=width, most_pct=most_pct)
        fees, credit_usd = round_trip_fee_usd(structure), worst * structure.multiplier
        if round(fees / credit_usd, _FRACTION_DECIMALS) > settings.max_fee_pct / 100:
            return Verdict.refuse(
                Reason.FEES_TOO_HIGH, fees_usd=fees, credit_usd=credit_usd, most_pct=settings.max_fee_pct
            )
        return _Offer(structure, LadderPlan(prices[0], worst, prices, self._orders.ladder_step_s), net)

    # ------------------------------------------------------------------------------------------------------ the intent

    def _intent(self, offer: _Offer, risk: UnitRisk, move: float, snapshot: MarketSnapshot) -> Intent:
        assert snapshot.vix is not None
        assert snapshot.vix.value is not None, "an unknown VIX was refused before"
        return Intent(
            IntentKind.OPEN,
            self.name,
            offer.structure,
            Ladder.ENTRY,
            plan=offer.plan,
            risk=risk,
            exit_plan=self.exit_plan(snapshot.session),
            detail={
                "move_pct": round(move * 100, 4),
                "vix": snapshot.vix.value,
                "width": self.width_points,
                "mid": round(offer.net.mid, 4),
                "half": round(offer.net.half, 4),
            },
        )

    def exit_plan(self, session: Session) -> ExitPlan:
        """Return how a trade of today is left; it needs no code of this file afterwards."""
        settings = self._settings
        return ExitPlan(
            hard_exit=session.before_close(settings.time_exit_min),
            flatten=session.before_close(settings.flatten_min),
            flat_by=session.before_close(settings.flat_min),
            stop_cost_multiple=settings.stop_cost_multiple,
            target_fraction=settings.profit_target_pct / 100,
            confirm_min=settings.confirm_min,
            touched_confirm_min=settings.touched_confirm_min,
            vix_exit=settings.vix_exit,
            invalid_min=settings.invalid_min,
            quiet_min=settings.quiet_exit_until_min,
        )


def _legs(side: _Side, chain: GatedChain) -> tuple[Leg, Leg]:
    """Return one side from the outside in: the bought wing, then the sold contract."""
    instruments = chain.priced.chain.instruments
    return Leg(instruments[side.wing], 1), Leg(instruments[side.short], -1)


def _quotes(structure: Structure, chain: GatedChain) -> dict[str, Quote]:
    found: dict[str, Quote] = {}
    for leg in structure.legs:
        position = chain.priced.position(leg.instrument)
        assert position is not None, "the legs were taken from this chain"
        found[leg.symbol] = chain.quote(position)
    return found


__all__ = ["Friday0dte"]
