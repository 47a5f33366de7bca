"""Which sold options nothing covers.

Naked = short beyond the longs of the same right with no earlier expiry, and beyond what the structure declares naked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.vocabulary import Instrument, Right, Structure

Holding = tuple[Instrument, int]


def naked_shorts(holdings: Iterable[Holding]) -> dict[str, int]:
    """Return symbol -> sold contracts (> 0) that no long of the same right and no earlier expiry covers.

    The shorts that expire last find their cover first (the fewest longs can serve them), among those the ones nearest
    the money.
    """
    naked: dict[str, int] = {}
    longs: dict[Right, list[tuple[int, int]]] = {}
    shorts: dict[Right, list[tuple[int, float, str, int]]] = {}
    for item, qty in holdings:
        if item.right is None or item.expiry is None:
            continue
        expiry = item.expiry.toordinal()
        if qty > 0:
            longs.setdefault(item.right, []).append((expiry, qty))
        else:
            distance = item.strike if item.right is Right.CALL else -item.strike
            shorts.setdefault(item.right, []).append((-expiry, distance, item.symbol, -qty))
    for right, sold in shorts.items():
        able = sorted(longs.get(right, ()))
        cover = 0
        for negated_expiry, _distance, symbol, qty in sorted(sold):
            while able and able[-1][0] >= -negated_expiry:
                cover += able.pop()[1]
            covered = min(cover, qty)
            cover -= covered
            if covered < qty:
                naked[symbol] = qty - covered
    return naked


def declared_nakeds(structure: Structure) -> dict[str, int]:
    """Return symbol -> sold contracts per unit that the structure itself leaves without cover."""
    return naked_shorts((leg.instrument, leg.ratio) for leg in structure.legs)


def uncovered(holdings: Iterable[Holding], declared: Mapping[str, int]) -> dict[str, int]:
    """Return symbol -> sold contracts (> 0) that lack the cover which their structure promises.

    declared: symbol -> contracts that the structure leaves naked, for all approved units; they are no lack.
    """
    if not declared:
        return naked_shorts(holdings)
    spared = [
        (instrument, qty if qty > 0 else min(0, qty + declared.get(instrument.symbol, 0)))
        for instrument, qty in holdings
    ]
    return naked_shorts((instrument, qty) for instrument, qty in spared if qty)
