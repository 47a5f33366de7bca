"""Signed quantities: adding to a holding, what two holdings have in common, what a split makes of one."""

from __future__ import annotations

from typing import Any


def add(holdings: dict[Any, int], key: object, qty: int) -> None:
    """Add to a holding; one that comes to nothing is no holding."""
    after = holdings.get(key, 0) + qty
    if after:
        holdings[key] = after
    else:
        holdings.pop(key, None)


def agreed_quantity(ours: int, theirs: int) -> int:
    """Return what two holdings have in common: the smaller one where the signs agree, else nothing."""
    if ours * theirs <= 0:
        return 0
    return min(ours, theirs) if ours > 0 else max(ours, theirs)


def scaled(held: int, num: int, den: int) -> int:
    """Return the whole part of held x num / den."""
    whole = abs(held) * num // den
    return whole if held > 0 else -whole
