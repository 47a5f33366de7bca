"""What the ledger says of a contract: INTENT names symbol, multiplier, right, strike and expiry of each leg.

Books are folded from the ledger alone, so that an instrument must be readable back from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from core.vocabulary import U6, Instrument, Right

_ROOT: Final = 6
_OSI: Final = re.compile(r".{6}(?P<yy>\d\d)(?P<mm>\d\d)(?P<dd>\d\d)(?P<right>[CP])(?P<strike>\d{8})", re.ASCII)

UNDERLYING: Final[Mapping[str, str]] = MappingProxyType({"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT"})
"""Option roots whose underlying bears another name."""

_INDEX_ROOTS: Final = ("SPX", "SPXW", "NDX", "NDXP", "RUT", "RUTW")
COMBO_TICK: Final[Mapping[str, float]] = MappingProxyType(dict.fromkeys(_INDEX_ROOTS, 0.05))
"""Price increment of an order by option root, points (strategies.md 0); a cent elsewhere."""


def instrument_of(row: Mapping[str, Any]) -> Instrument:
    """Return the instrument of one leg of INTENT."""
    symbol, multiplier = row["symbol"], row["mult"]
    if "right" not in row:
        return Instrument(symbol, symbol, multiplier)
    root = symbol[:_ROOT].rstrip()
    return Instrument(
        symbol,
        UNDERLYING.get(root, root),
        multiplier,
        COMBO_TICK.get(root, 0.01),
        Right(row["right"]),
        row["strike_u6"] / U6,
        row["expiry"],
    )


def instrument_from_symbol(symbol: str, multiplier: int) -> Instrument:
    """Return the instrument that a symbol's text alone describes: a holding that no intent of ours has named.

    A text that is not OSI is a line of its own name: somebody else's holding must be counted, whatever it is called.
    """
    found = _OSI.fullmatch(symbol)
    if found is None or int(found["strike"]) == 0:
        return Instrument(symbol, symbol, multiplier)
    try:
        expiry = date(2000 + int(found["yy"]), int(found["mm"]), int(found["dd"]))
    except ValueError:
        return Instrument(symbol, symbol, multiplier)
    strike_u6 = int(found["strike"]) * 1000
    return instrument_of(
        {"symbol": symbol, "mult": multiplier, "right": found["right"], "strike_u6": strike_u6, "expiry": expiry}
    )
