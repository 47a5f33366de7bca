"""From target to orders: the difference between what the family should hold and what it holds.  Pure.

First what must go, then, in a later step, what should come: a plan never holds a close and an opening together, and
an opening only leaves when nothing else of the family is held, works or is in doubt.  A blocked opening is not kept:
the next bar decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.family import SYMBOLS
from core.reasons import Reason
from core.vocabulary import FamilyTarget, Purpose

CASH = FamilyTarget.CASH


class Sized(Protocol):
    """What the sizer says about buying the target; asked only where nothing else forbids it."""

    @property
    def qty(self) -> int: ...

    @property
    def reason(self) -> Reason: ...


@dataclass(frozen=True, slots=True)
class FamilyHoldings:
    """Shares by symbol, in our book and at the broker; what is missing is 0.

    closed_in_step: a close was folded in this very step; opens_in_bar: openings sent in this bar.
    """

    book: Mapping[str, int] = field(default_factory=dict)
    broker: Mapping[str, int] = field(default_factory=dict)
    closed_in_step: bool = False
    opens_in_bar: int = 0

    def agreed(self, symbol: str) -> int:
        """Return what book and broker agree on: the smaller of the two, nothing where the signs differ."""
        ours, theirs = self.book.get(symbol, 0), self.broker.get(symbol, 0)
        if ours * theirs <= 0:
            return 0
        return min(ours, theirs) if ours > 0 else max(ours, theirs)

    def is_held(self, symbol: str) -> bool:
        """Whether one of the two says that something is held."""
        return self.book.get(symbol, 0) != 0 or self.broker.get(symbol, 0) != 0

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(symbol for symbol in SYMBOLS if self.is_held(symbol))


@dataclass(frozen=True, slots=True)
class FamilyWorking:
    """One family order at work, or in doubt.  qty is what is left of it, signed."""

    order: str
    symbol: str
    purpose: Purpose
    qty: int
    in_doubt: bool = False
    cancelling: bool = False

    @property
    def is_opening(self) -> bool:
        return self.purpose.adds_risk


@dataclass(frozen=True, slots=True)
class FamilyOrder:
    """Signed shares of one symbol, and what for."""

    symbol: str
    qty: int
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Plan:
    """Orders to cancel, closes to send, or one opening to send; reason says why there is no opening."""

    cancels: tuple[str, ...] = ()
    closes: tuple[FamilyOrder, ...] = ()
    open: FamilyOrder | None = None
    reason: Reason = Reason.ALLOWED

    @property
    def is_empty(self) -> bool:
        return not self.cancels and not self.closes and self.open is None


def reconcile(
    target: FamilyTarget,
    holdings: FamilyHoldings,
    working: Sequence[FamilyWorking],
    size: Callable[[], Sized],
    *,
    surplus: int = 0,
    max_opens_per_bar: int = 1,
) -> Plan:
    """Return what to do now.

    size is asked for an opening or addition of the target; surplus is how many shares of a held target are too many.
    """
    cancels = tuple(
        [
            item.order
            for item in working
            if item.is_opening and item.symbol != target and not item.cancelling and not item.in_doubt
        ]
    )
    closes = _closes(target, holdings, working, surplus)
    if cancels or closes:
        return Plan(cancels, closes, None, Reason.ALLOWED if target is CASH else Reason.CLOSE_NOT_CONFIRMED)
    if target is CASH:
        return Plan()
    blocked = _blocked(target, holdings, working, max_opens_per_bar)
    if blocked is not None:
        return Plan(reason=blocked)
    sized = size()
    if sized.qty <= 0:
        return Plan(reason=sized.reason)
    purpose = Purpose.ADD if holdings.is_held(target) else Purpose.OPEN
    return Plan(open=FamilyOrder(target.value, sized.qty, purpose))


def _closes(
    target: FamilyTarget, holdings: FamilyHoldings, working: Sequence[FamilyWorking], surplus: int
) -> tuple[FamilyOrder, ...]:
    """Return the orders that bring what is not wanted to zero; no more in sum than book and broker agree on.

    A short (nobody wanted it) is bought back.  A symbol whose opening still works waits for the cancel, and one with an
    order in doubt waits for its end: there is never a second sale of the same shares.
    """
    found: list[FamilyOrder] = []
    for symbol in SYMBOLS:
        held = holdings.agreed(symbol)
        too_many = held if symbol != target or held < 0 else min(max(0, surplus), held)
        if too_many == 0:
            continue
        at_work = [item for item in working if item.symbol == symbol]
        if any(item.in_doubt or item.is_opening for item in at_work):
            continue
        left = too_many + sum(item.qty for item in at_work)
        if left * too_many > 0:
            purpose = Purpose.REDUCE if abs(too_many) < abs(held) else Purpose.CLOSE
            found.append(FamilyOrder(symbol, -left, purpose))
    return tuple(found)


def _blocked(
    target: FamilyTarget, holdings: FamilyHoldings, working: Sequence[FamilyWorking], max_opens_per_bar: int
) -> Reason | None:
    """Return why nothing may be opened now, whatever its size."""
    if working:
        in_doubt = any(item.in_doubt for item in working)
        return Reason.FAMILY_UNRESOLVED if in_doubt else Reason.FAMILY_ORDER_WORKING
    if holdings.closed_in_step:
        return Reason.CLOSE_NOT_CONFIRMED
    for symbol in SYMBOLS:
        ours, theirs = holdings.book.get(symbol, 0), holdings.broker.get(symbol, 0)
        if ours != theirs or (ours and symbol != target):
            return Reason.CLOSE_NOT_CONFIRMED
    return Reason.OPEN_CAP_BAR if holdings.opens_in_bar >= max_opens_per_bar else None
