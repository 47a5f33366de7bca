"""Which sold options nothing covers: short beyond the longs of the same right with no earlier expiry, and beyond what the structure declares naked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.vocabulary import Instrument, Right, Structure

Holding = tuple[Instrument, int]


def naked_shorts(holdings: Iterable[Holding]) -> dict[str, int]:
    """Return symbol -> sold contracts (> 0) that no long of the same right and no earlier expiry covers.

    The shorts that expire last find their cover first (fewest longs can serve them), among them those nearest the money.
    """
    held = tuple(holdings)
    naked: dict[str, int] = {}
    for right in Right:
        longs = sorted((one for one in held if one[0].right is right and one[1] > 0), key=lambda one: (one[0].expiry, one[0].symbol))
        outward = 1.0 if right is Right.CALL else -1.0
        shorts = sorted(
            (one for one in held if one[0].right is right and one[1] < 0),
            key=lambda one: (-_ordinal(one[0]), outward * one[0].strike, one[0].symbol),
        )
        cover = 0
        for instrument, qty in shorts:
            while longs and _ordinal(longs[-1][0]) >= _ordinal(instrument):
                cover += longs.pop()[1]
            covered = min(cover, -qty)
            cover -= covered
            if covered < -qty:
                naked[instrument.symbol] = -qty - covered
    return naked


def uncovered(holdings: Iterable[Holding], structure: Structure, approved_units: int) -> dict[str, int]:
    """Return symbol -> sold contracts that lack the cover which the structure promises; what it declares naked is no lack."""
    declared = declared_nakeds(structure)
    if not declared:
        return naked_shorts(holdings)
    promised: list[Holding] = []
    for instrument, qty in holdings:
        allowed = declared.get(instrument.symbol, 0) * approved_units if qty < 0 else 0
        rest = min(0, qty + allowed) if qty < 0 else qty
        if rest:
            promised.append((instrument, rest))
    return naked_shorts(promised)


def declared_nakeds(structure: Structure) -> Mapping[str, int]:
    """Return symbol -> sold contracts per unit that the structure itself leaves without cover."""
    return naked_shorts((leg.instrument, leg.ratio) for leg in structure.legs)


def _ordinal(instrument: Instrument) -> int:
    assert instrument.expiry is not None  # an option has one by construction
    return instrument.expiry.toordinal()
