"""Rotate within one family of index shares, on one probability of "up" a minute; flat at every close.

Above the upper zone the book holds the long share, or its triple; below the lower zone the inverse ones; between them
nothing.  Zones are entered at one probability and left at another, a change waits until the signal has said so twice
and the holding has lasted, and no edge leads from one side to the other: it goes through CASH.
Worst case of a session: the loss limit of the sleeve, plus what a gap takes.  Stays out while the signal, VIX or the
share's quote is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from core.family import BOOK, HIGHEST, LOWEST, Decision, FamilyView, Side, Trail, leverage_of, side_of, target_on
from core.ports import OrderType
from core.reasons import Reason
from core.settings_etf import EtfRotationSettings
from core.signal import Reading
from core.vocabulary import FamilyTarget

CASH: Final = FamilyTarget.CASH

_DECIMALS: Final = 9
"""Strengths are compared after rounding, so that a probability and its mirror image meet the same edge."""


class EtfRotation:
    """The strategy as the rest of the system names it."""

    name: ClassVar[str] = BOOK
    priority: ClassVar[int] = 6
    tier: ClassVar[int] = 4
    order_types: ClassVar[frozenset[OrderType]] = frozenset({OrderType.LIMIT, OrderType.MARKET})


@dataclass(frozen=True, slots=True)
class AllocationPolicy:
    """From reading and fold to one target.  Total: there is a decision for every reading and every view."""

    settings: EtfRotationSettings

    def advance(self, trail: Trail, reading: Reading) -> Trail:
        """Return the trail after a reading."""
        probability = reading.probability
        if not reading.is_ready or probability is None:
            return trail.after(None, ready=False)
        return trail.after(self._leaning(probability), ready=True)

    def decide(self, reading: Reading, family: FamilyView) -> Decision:
        """Return the target after this reading; family.trail counts the reading in."""
        held = family.held
        if family.loss_limit_reached:
            return Decision(CASH, Reason.SESSION_LOSS_LIMIT)
        if not reading.is_ready or reading.probability is None:
            reason = Reason.SIGNAL_INVALID if reading.reason is Reason.ALLOWED else reading.reason
            patient = family.trail.bars_not_ready <= self.settings.not_ready_bars
            return Decision(held if patient else CASH, reason)
        side = side_of(held)
        if side is None:
            return self._enter(reading.probability, family)
        wanted = self._hold(strength(reading.probability, side), side, family)
        if wanted is not held and family.bars_held < self.settings.min_hold_bars:
            return Decision(held, Reason.MIN_HOLD)
        if family.opens_in_session >= self.settings.max_opens_per_session and _is_upgrade(held, wanted):
            # The half that opens would be refused: what is held stays.
            return Decision(held, Reason.OPEN_CAP_SESSION)
        return Decision(wanted, Reason.ALLOWED if wanted is not CASH else Reason.NEUTRAL)

    def _leaning(self, probability: float) -> Side | None:
        """Return the side that a probability speaks for strongly enough to enter it."""
        enough = self.settings.enter_1x_prob
        up = strength(probability, Side.LONG)
        if up >= 0.5:  # of which no side needs less
            return Side.LONG if up >= enough else None
        return Side.INVERSE if strength(probability, Side.INVERSE) >= enough else None

    def _enter(self, probability: float, family: FamilyView) -> Decision:
        settings = self.settings
        side = self._leaning(probability)
        if side is None:
            return Decision(CASH, Reason.NEUTRAL)
        if family.trail.side is not side or family.trail.bars < settings.confirm_bars:
            return Decision(CASH, Reason.NOT_CONFIRMED)
        since = family.bars_since_close
        if since is not None and since < settings.cooldown_bars and family.switched_side is not side:
            return Decision(CASH, Reason.COOLDOWN)
        triple = strength(probability, side) >= settings.enter_3x_prob and self._may_triple(family)
        return Decision(target_on(side, HIGHEST if triple else LOWEST), Reason.ALLOWED)

    def _hold(self, strong: float, side: Side, family: FamilyView) -> FamilyTarget:
        settings, held = self.settings, family.held
        if strong < settings.leave_1x_prob:
            return CASH
        if leverage_of(held) == HIGHEST:
            return held if strong >= settings.leave_3x_prob else target_on(side, LOWEST)
        if strong >= settings.enter_3x_prob and self._may_triple(family):
            return target_on(side, HIGHEST)
        return held

    def _may_triple(self, family: FamilyView) -> bool:
        return family.vix is not None and family.vix <= self.settings.vix_max_3x_points


def strength(probability: float, side: Side) -> float:
    """Return how much a probability of "up" speaks for a side."""
    return round(probability if side is Side.LONG else 1.0 - probability, _DECIMALS)


def _is_upgrade(held: FamilyTarget, wanted: FamilyTarget) -> bool:
    return wanted is not CASH and wanted is not held and leverage_of(wanted) > leverage_of(held)
