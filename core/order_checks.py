"""Last checks of each order, pure: what the gateway asks once more when price and quantity are final.

A refusal here is a DENIED_ reason and no order.  Reductions pass every limiter but these: they cannot grow a
position, flip a sign or cross the collar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from core.net_quote import NetQuote
from core.ports import OrderRequest, OrderType
from core.reasons import Reason
from core.settings import OrderSettings
from core.values import value
from core.vocabulary import OrderLeg, Purpose, TradingState, Verdict

_EPS = 1e-9


@value
class OrderFacts:
    """What a final order is judged against. held is what we hold per symbol, own what its trade holds of that, both
    for a reduction only; working the signed open quantity of our own orders per symbol.
    """

    purpose: Purpose
    state: TradingState
    may_flatten: bool
    approved_units: int
    committed_units: int
    held: Mapping[str, int]
    own: Mapping[str, int]
    working: Mapping[str, int]
    used_ids: frozenset[str] | set[str]
    net: NetQuote | None
    tick: float
    close_width: float | None


def judge_order(request: OrderRequest, facts: OrderFacts, settings: OrderSettings) -> Verdict:
    """Return the first refusal, or an allowance."""
    # Asked one by one: a later check may rely on what an earlier one has made sure of.
    return (
        _identity(request, facts)
        or _structure(request)
        or _state(facts)
        or _reduce_only(request, facts)
        or _size(request, facts)
        or _collar(request, facts, settings)
        or _cross(request, facts)
        or Verdict.allow()
    )


def _identity(request: OrderRequest, facts: OrderFacts) -> Verdict | None:
    return Verdict.refuse(Reason.DENIED_DUPLICATE, order=request.order) if request.order in facts.used_ids else None


def _structure(request: OrderRequest) -> Verdict | None:
    symbols = [leg.instrument.symbol for leg in request.legs]
    quantities = [leg.qty for leg in request.legs]
    whole = type(request.units) is int and request.units > 0
    for qty in quantities:
        whole = whole and type(qty) is int and qty != 0
    if not whole or len(set(symbols)) != len(symbols) or not symbols:
        return Verdict.refuse(Reason.DENIED_STRUCTURE, legs=len(symbols))
    if math.gcd(*quantities) != request.units:
        return Verdict.refuse(Reason.DENIED_STRUCTURE, units=request.units)
    if len(symbols) > 1 and request.type is not OrderType.COMBO_LIMIT:
        return Verdict.refuse(Reason.DENIED_STRUCTURE, type=request.type.value)
    priced = request.type in (OrderType.COMBO_LIMIT, OrderType.LIMIT)
    if priced and (request.net_cash is None or not math.isfinite(request.net_cash) or request.net_cash == 0):
        return Verdict.refuse(Reason.DENIED_STRUCTURE, net_cash=str(request.net_cash))
    return None


def _state(facts: OrderFacts) -> Verdict | None:
    if facts.state is TradingState.ACTIVE:
        return None
    if facts.state is TradingState.REDUCING:
        return Verdict.refuse(Reason.DENIED_STATE, state=facts.state.name) if facts.purpose.adds_risk else None
    repairs = facts.purpose in (Purpose.FLATTEN, Purpose.REPAIR, Purpose.CLOSE, Purpose.REDUCE, Purpose.SWEEP)
    return None if facts.may_flatten and repairs else Verdict.refuse(Reason.DENIED_STATE, state=facts.state.name)


def _reduce_only(request: OrderRequest, facts: OrderFacts) -> Verdict | None:
    """A reduction brings every symbol nearer to 0 and never across it, other working reductions counted."""
    if facts.purpose.adds_risk:
        return None
    for leg in request.legs:
        held, own = facts.held.get(leg.symbol, 0), facts.own.get(leg.symbol, 0)
        same_way = facts.working.get(leg.symbol, 0)
        pending = same_way if same_way * leg.qty > 0 else 0
        crosses = held * leg.qty >= 0 or abs(leg.qty + pending) > abs(held)
        if crosses or own * leg.qty >= 0 or abs(leg.qty) > abs(own):
            return Verdict.refuse(
                Reason.DENIED_NOT_REDUCING, symbol=leg.symbol, qty=leg.qty, held=held, pending=pending
            )
    return None


def _size(request: OrderRequest, facts: OrderFacts) -> Verdict | None:
    if facts.committed_units + request.units > facts.approved_units:
        return Verdict.refuse(
            Reason.DENIED_SIZE, units=request.units, committed=facts.committed_units, approved=facts.approved_units
        )
    return None


def _collar(request: OrderRequest, facts: OrderFacts, settings: OrderSettings) -> Verdict | None:
    """Never pay away more than the collar beyond natural. The favourable side needs no collar: such an order only
    waits.
    """
    if request.net_cash is None:
        return None
    if facts.net is None:
        return Verdict.refuse(Reason.DENIED_COLLAR, cause="no natural price")
    room = collar_room(facts.net.natural, facts.tick, settings)
    if request.net_cash < facts.net.natural - room - _EPS:
        return Verdict.refuse(Reason.DENIED_COLLAR, net_cash=request.net_cash, natural=facts.net.natural, room=room)
    if facts.close_width is not None and -request.net_cash > facts.close_width + _EPS:
        return Verdict.refuse(Reason.DENIED_COLLAR, net_cash=request.net_cash, width=facts.close_width)
    return None


def collar_room(natural: float, tick: float, settings: OrderSettings) -> float:
    """Return how far beyond natural an order may go, points: the larger of some ticks and a share of the price."""
    return max(settings.collar_ticks * tick, abs(natural) * settings.collar_pct / 100)


def _cross(request: OrderRequest, facts: OrderFacts) -> Verdict | None:
    for leg in request.legs:
        if facts.working.get(leg.symbol, 0) * leg.qty < 0:
            return Verdict.refuse(Reason.DENIED_CROSS, symbol=leg.symbol)
    return None


class Throttle:
    """Orders per minute and per session; closings are queued by it, openings are refused."""

    def __init__(self, settings: OrderSettings) -> None:
        self._settings = settings
        self._sent: list[tuple[datetime, bool]] = []
        self._session_orders = 0

    def open_session(self) -> None:
        self._sent.clear()
        self._session_orders = 0

    def room(self, now: datetime, *, opening: bool) -> bool:
        since = now - timedelta(seconds=60)
        if self._sent and self._sent[0][0] <= since:
            self._sent = [item for item in self._sent if item[0] > since]
        if (
            len(self._sent) >= self._settings.orders_per_min
            or self._session_orders >= self._settings.orders_per_session
        ):
            return False
        return not opening or sum([item[1] for item in self._sent]) < self._settings.entries_per_min

    def count(self, now: datetime, *, opening: bool) -> None:
        self._sent.append((now, opening))
        self._session_orders += 1


def open_quantities(orders: Iterable[tuple[tuple[OrderLeg, ...], Mapping[str, int]]]) -> dict[str, int]:
    """Return signed unfilled quantity per symbol over (legs, filled) of working orders."""
    total: dict[str, int] = {}
    for legs, filled in orders:
        for leg in legs:
            symbol = leg.instrument.symbol
            left = leg.qty - filled.get(symbol, 0)
            if left:
                total[symbol] = total.get(symbol, 0) + left
    return total
