"""How much an underlying moves with the index: one table for the stress test and for delta in index terms."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.vocabulary import FAMILY

_NASDAQ: Final = 1.2
_SIGN: Final[Mapping[str, int]] = MappingProxyType({"LONG": 1, "INVERSE": -1})

BETA: Final[Mapping[str, float]] = MappingProxyType(
    {
        **dict.fromkeys(("SPX", "SPXW", "SPY", "ES", "XSP"), 1.0),
        **dict.fromkeys(("QQQ", "NDX", "NQ", "IWM", "RUT", "RTY"), _NASDAQ),
        **dict.fromkeys(("XLE", "GDX"), 1.0),
        "DIA": 0.9,
        **dict.fromkeys(("TLT", "IEF", "GLD", "SLV", "USO", "UNG"), 0.0),
        **{
            symbol: _SIGN[side] * times * _NASDAQ
            for side, members in FAMILY.items()
            for symbol, times in members.items()
        },
    }
)
"""Beta by underlying; commodities and bonds 0.  Source: risk.md 10.  The family's
shares move with the Nasdaq, times their leverage.  One that is not here has no known beta."""
