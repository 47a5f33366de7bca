"""What closing a trade means in legs: the structure that brings what is held to zero, and the most it can be worth."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from core.books import Books
from core.trades import Trade
from core.vocabulary import Leg, Structure, StructureName


def closing_structure(
    trade: Trade, held: Mapping[str, int], keep: frozenset[str], books: Books
) -> tuple[Structure, int] | None:
    """Return the structure (one unit) and units that bring the held legs of a trade to zero, without the symbols in
    keep; None when nothing is left.
    """
    legs = [(books.instrument(symbol), qty) for symbol, qty in sorted(held.items()) if qty and symbol not in keep]
    if not legs:
        return None
    units = gcd(*(qty for _instrument, qty in legs))
    if len(legs) == 1:
        name = StructureName.SINGLE
    elif len(legs) == len(trade.structure.legs):
        name = trade.structure.name
    else:
        name = StructureName.LEGS
    return Structure(name, tuple(Leg(instrument, -qty // units) for instrument, qty in legs)), units


def defined_width(structure: Structure) -> float | None:
    """Return the most that a structure which closes something can be worth, points; None where it has no bound."""
    return structure.best_payoff()
