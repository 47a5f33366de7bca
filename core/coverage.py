"""Which sold options nothing covers.

Naked = short beyond the longs of the same right with no earlier expiry, and beyond what the structure declares naked.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.vocabulary import Instrument, Right, Structure

Holding = tuple[Instrument, int]


def naked_shorts(holdings: Iterable[Holding]) -> dict[str, int]:
    """Return symbol -> sold contracts (> 0) that no long of the same right and no earlier expiry covers.

    The shorts that expire last find their cover first (the fewest longs can serve them), among those the ones nearest
    the money.
    """
    held = tuple(holdings)
    naked: dict[str, int] = {}
    for right in Right:
        outward = 1.0 if right is Right.CALL else -1.0
        longs = sorted((_expiry(item), qty) for item, qty in held if item.right is right and qty > 0)
        shorts = sorted(
            (-_expiry(item), outward * item.strike, item.symbol, -qty)
            for item, qty in held
            if item.right is right and qty < 0
        )
        cover = 0
        for negated_expiry, _strike, symbol, qty in shorts:
            while longs and longs[-1][0] >= -negated_expiry:
                cover += longs.pop()[1]
            covered = min(cover, qty)
            cover -= covered
            if covered < qty:
                naked[symbol] = qty - covered
    return naked


def declared_nakeds(structure: Structure) -> dict[str, int]:
    """Return symbol -> sold contracts per unit that the structure itself leaves without cover."""
    return naked_shorts((leg.instrument, leg.ratio) for leg in structure.legs)


def uncovered(holdings: Iterable[Holding], structure: Structure, approved_units: int) -> dict[str, int]:
    """Return symbol -> sold contracts (> 0) that lack the cover which the structure promises.

    What the structure declares naked, for all approved units, is no lack.
    """
    declared = declared_nakeds(structure)
    promised: list[Holding] = []
    for instrument, qty in holdings:
        rest = qty if qty > 0 else min(0, qty + declared.get(instrument.symbol, 0) * approved_units)
        if rest:
            promised.append((instrument, rest))
    return naked_shorts(promised)


def _expiry(instrument: Instrument) -> int:
    assert instrument.expiry is not None  # an option has one by construction
    return instrument.expiry.toordinal()
