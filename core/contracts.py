"""What the ledger says of a contract: INTENT names symbol, multiplier, right, strike and expiry of each leg, and an OSI text repeats them.

Books are folded from the ledger alone, so that an instrument must be readable back from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from core.errors import VocabularyError
from core.vocabulary import U6, Instrument, Right

OSI_LENGTH: Final = 21
_ROOT: Final = 6

UNDERLYING: Final[Mapping[str, str]] = MappingProxyType({"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT"})
"""Option roots whose underlying bears another name."""

COMBO_TICK: Final[Mapping[str, float]] = MappingProxyType(dict.fromkeys(("SPX", "SPXW", "NDX", "NDXP", "RUT", "RUTW"), 0.05))
"""Price increment of an order by option root, points (strategies.md 0); a cent elsewhere."""


def instrument_of(row: Mapping[str, Any]) -> Instrument:
    """Return the instrument of one leg of INTENT; expiry may be a date or its ISO text (as the line has it)."""
    symbol, multiplier = row["symbol"], row["mult"]
    if "right" not in row:
        return Instrument(symbol, symbol, multiplier)
    expiry = row["expiry"]
    root = symbol[:_ROOT].rstrip()
    return Instrument(
        symbol,
        UNDERLYING.get(root, root),
        multiplier,
        COMBO_TICK.get(root, 0.01),
        Right(row["right"]),
        row["strike_u6"] / U6,
        expiry if isinstance(expiry, date) else date.fromisoformat(expiry),
    )


def instrument_from_symbol(symbol: str, multiplier: int) -> Instrument:
    """Return the instrument that a symbol's text alone describes (a holding that no intent of ours has named).

    Raises VocabularyError for a text of OSI length that is not OSI.
    """
    if len(symbol) != OSI_LENGTH:
        return Instrument(symbol, symbol, multiplier)
    day, right, strike = symbol[6:12], symbol[12], symbol[13:]
    try:
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
        row = {"symbol": symbol, "mult": multiplier, "right": Right(right).value, "strike_u6": int(strike) * 1000, "expiry": expiry}
        return instrument_of(row)
    except ValueError as error:
        raise VocabularyError(f"symbol {symbol!r}: expected root, yymmdd, C or P and the strike in thousandths ({error}).") from error
