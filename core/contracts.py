"""What a symbol's text says of its contract: an OSI symbol names root, expiry, right and strike; a ticker names itself.

The ledger keeps symbols and multipliers only, so that books can be folded from it alone; the rest of a contract is read back here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from core.errors import VocabularyError
from core.vocabulary import Instrument, Right

OSI_LENGTH: Final = 21
_ROOT: Final = 6

UNDERLYING: Final[Mapping[str, str]] = MappingProxyType({"SPXW": "SPX", "NDXP": "NDX", "RUTW": "RUT"})
"""Option roots whose underlying bears another name."""

COMBO_TICK: Final[Mapping[str, float]] = MappingProxyType({"SPX": 0.05, "SPXW": 0.05, "NDX": 0.05, "NDXP": 0.05, "RUT": 0.05, "RUTW": 0.05})
"""Price increment of an order by option root, points (strategies.md 0); a cent elsewhere."""


def instrument_of(symbol: str, multiplier: int) -> Instrument:
    """Return the instrument that a symbol's text describes.  Raises VocabularyError for an option text that is not OSI."""
    if len(symbol) != OSI_LENGTH:
        return Instrument(symbol, symbol, multiplier)
    root, day, right, strike = symbol[:_ROOT].rstrip(), symbol[6:12], symbol[12], symbol[13:]
    try:
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
        return Instrument(
            symbol, UNDERLYING.get(root, root), multiplier, COMBO_TICK.get(root, 0.01), Right(right), int(strike) / 1000, expiry
        )
    except ValueError as error:
        raise VocabularyError(f"symbol {symbol!r}: expected root, yymmdd, C or P and the strike in thousandths ({error}).") from error
