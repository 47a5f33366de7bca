"""What an order must have filled that the broker does not know any more: read from holdings and cash.

An order that fills while our process is dead is no open order when the next process asks; its holdings are there, its
reports never come.  The quantities are certain then.  The price of the whole is certain as well, because it is what
the cash has changed by; only its split over the legs is ours: marks of the moment, the remainder on one leg.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.vocabulary import to_u6
from core.working_orders import Child

_FEE_ROOM_U6: Final = 5_000_000
"""Five dollars a contract: more than any brokerage charges: fees never make a difference in cash implausible."""


@dataclass(frozen=True, slots=True)
class MissingFill:
    """One leg's fill; its fee stands in the price, but for what does not divide by the contracts."""

    order: str
    symbol: str
    qty: int
    multiplier: int
    price_u6: int
    fee_u6: int

    @property
    def cash_u6(self) -> int:
        return -self.qty * self.price_u6 * self.multiplier - self.fee_u6


def allot(orders: Sequence[Child], differences: Mapping[str, int]) -> tuple[tuple[Child, str, int], ...] | None:
    """Return (order, symbol, signed quantity) that together are exactly the differences; None where orders cannot
    explain them.

    differences: broker less book per symbol.  An earlier order takes what it can before a later one.
    """
    left = {symbol: qty for symbol, qty in differences.items() if qty}
    found: list[tuple[Child, str, int]] = []
    for child in orders:
        for leg in child.request.legs:
            missing = left.get(leg.symbol, 0)
            open_qty = leg.qty - child.filled.get(leg.symbol, 0)
            if missing * open_qty <= 0:
                continue
            part = min(missing, open_qty) if open_qty > 0 else max(missing, open_qty)
            found.append((child, leg.symbol, part))
            left[leg.symbol] = missing - part
    return None if any(left.values()) else tuple(found)


def price_fills(
    parts: Sequence[tuple[Child, str, int]], cash_u6: int, marks: Mapping[str, float | None]
) -> tuple[MissingFill, ...] | None:
    """Price the parts so that together they move the cash by exactly cash_u6 (+ received).

    None while a mark is missing that is needed.  Where no plausible prices give that cash, the marks alone stand: the
    holdings are known, and the difference in cash stays visible as one.
    """
    fills: list[MissingFill] = []
    for child, symbol, qty in parts:
        mark = marks.get(symbol)
        if mark is None or mark < 0:
            return _alone(parts, cash_u6)
        fills.append(MissingFill(child.id, symbol, qty, _multiplier(child, symbol), to_u6(mark), 0))
    remainder = cash_u6 - sum(fill.cash_u6 for fill in fills)
    room = sum(abs(fill.qty) * (fill.price_u6 * fill.multiplier + _FEE_ROOM_U6) for fill in fills)
    if abs(remainder) > room:
        return tuple(fills)
    for place in _by_fitness(fills, remainder):
        whole = _exact(fills[place], fills[place].cash_u6 + remainder)
        if whole.price_u6 >= 0:
            fills[place] = whole
            break
    return tuple(fills)


def _alone(parts: Sequence[tuple[Child, str, int]], cash_u6: int) -> tuple[MissingFill, ...] | None:
    """A fill of one leg needs no mark: the cash is its price."""
    if len(parts) != 1 or parts[0][2] * cash_u6 > 0:
        return None
    child, symbol, qty = parts[0]
    return (_exact(MissingFill(child.id, symbol, qty, _multiplier(child, symbol), 0, 0), cash_u6),)


def _exact(fill: MissingFill, cash_u6: int) -> MissingFill:
    """Return the fill with the price that moves the cash by exactly this; its fee is what the price cannot express."""
    lot = -fill.qty * fill.multiplier
    price = -(-cash_u6 // lot) if lot > 0 else -cash_u6 // -lot
    return replace(fill, price_u6=price, fee_u6=lot * price - cash_u6)


def _by_fitness(fills: Sequence[MissingFill], remainder: int) -> list[int]:
    """Places of the fills, those first whose price rises by the remainder; among them the dearest."""

    def key(place: int) -> tuple[bool, int]:
        fill = fills[place]
        return fill.qty * remainder > 0, -fill.price_u6

    return sorted(range(len(fills)), key=key)


def _multiplier(child: Child, symbol: str) -> int:
    return next(leg.instrument.multiplier for leg in child.request.legs if leg.symbol == symbol)


__all__ = ["MissingFill", "allot", "price_fills"]
