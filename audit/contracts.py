"""What a symbol says about itself: the ticker of a share, or the 21 characters of an option."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

_OSI: Final = re.compile(r"([A-Z0-9.]{1,6}) *(\d{2})(\d{2})(\d{2})([CP])(\d{8})\Z")
_ROOTS: Final = {"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT", "VIXW": "VIX"}
INDICES: Final = frozenset({"SPX", "NDX", "RUT", "VIX", "XSP"})
_FUTURES: Final = frozenset({"ES", "NQ", "RTY", "GC", "SI", "CL", "NG", "ZB", "ZN", "ZC"})


@dataclass(frozen=True, slots=True)
class Contract:
    """A share line (right is "") or an option."""

    symbol: str
    underlying: str
    right: str = ""
    strike_u6: int = 0
    expiry: date = date.max

    @property
    def is_option(self) -> bool:
        return self.right != ""

    @property
    def is_future_option(self) -> bool:
        return self.right != "" and self.underlying in _FUTURES

    def intrinsic_u6(self, underlying_u6: int) -> int:
        """Return the value of one unit at expiry, in micro-dollars per point."""
        if self.right == "C":
            return max(0, underlying_u6 - self.strike_u6)
        if self.right == "P":
            return max(0, self.strike_u6 - underlying_u6)
        return underlying_u6


@lru_cache(maxsize=65_536)
def contract(symbol: str) -> Contract:
    """Return what a symbol stands for; whatever is no option text is a share line."""
    found = _OSI.match(symbol) if len(symbol) == 21 else None
    if found is None:
        return Contract(symbol, symbol)
    root, year, month, day, right, strike = found.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        return Contract(symbol, symbol)
    return Contract(symbol, _ROOTS.get(root, root), right, int(strike) * 1000, expiry)


def without_cover(held: Iterable[tuple[Contract, int]]) -> dict[str, int]:
    """Return symbol -> sold contracts that no long of the same right and no earlier expiry covers.

    Shorts are served from the latest expiry backwards, so that a long which can serve few of them is not wasted.
    """
    naked: dict[str, int] = {}
    by_right: dict[str, list[tuple[Contract, int]]] = {}
    for item, qty in held:
        if item.right and qty:
            by_right.setdefault(item.right, []).append((item, qty))
    for legs in by_right.values():
        if all(qty > 0 for _, qty in legs):
            continue
        spare = 0
        # At one date longs come first: they may serve the shorts of their own date.
        for item, qty in sorted(legs, key=lambda leg: (-leg[0].expiry.toordinal(), leg[1] < 0, leg[0].strike_u6)):
            if qty > 0:
                spare += qty
                continue
            lacking = max(0, -qty - spare)
            spare = max(0, spare + qty)
            if lacking:
                naked[item.symbol] = lacking
    return naked


def worst_value_u6(legs: Iterable[tuple[Contract, int]]) -> int | None:
    """Return the lowest value in micro-dollars of a set of legs at expiry, None where it falls without bound.

    The value is piecewise linear in the underlying: its lowest point lies at 0 or at a strike, unless more calls are
    sold than bought.  Legs of a later expiry than the first are worth at least their intrinsic value then.
    """
    legs = list(legs)
    if sum(qty for item, qty in legs if item.right != "P") < 0:
        return None
    corners = {0, *(item.strike_u6 for item, _ in legs if item.is_option)}
    return min(sum(item.intrinsic_u6(at) * qty for item, qty in legs) for at in corners)
