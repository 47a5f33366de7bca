"""Option universe files: which contracts exist, and what they were worth at the close."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np

from engine.columns import UNIVERSE_FIELDS, DataError, Floats, UnderlyingBar, UniverseTable
from engine.symbols import Symbol

_COLUMNS: Final = len(UNIVERSE_FIELDS)
_LAYOUT: Final = "expiry,strike,right," + ",".join(UNIVERSE_FIELDS)
_RIGHTS: Final = {b"C": 0, b"c": 0, b"P": 1, b"p": 1}


def read_universe(canonical: Symbol, file_date: date, text: bytes, name: str) -> UniverseTable:
    """Return the table of a file's text; only what a contract is gets parsed now, prices and Greeks when asked for."""
    ordinals: dict[bytes, int] = {}
    expiry: list[int] = []
    strike: list[float] = []
    right: list[int] = []
    tails: list[bytes] = []
    underlying: UnderlyingBar | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith(b"#"):
            continue
        cells = line.split(b",", 3)
        try:
            if not line[:1].isdigit():
                underlying = UnderlyingBar(*_numbers(cells[3])[:5])
                continue
            day = ordinals.get(cells[0])
            if day is None:
                day = ordinals[cells[0]] = _ordinal(cells[0])
            expiry.append(day)
            strike.append(float(cells[1]))
            right.append(_RIGHTS[cells[2]])
            tails.append(cells[3])
        except (IndexError, KeyError, ValueError):
            shown = line[:80].decode(errors="replace")
            raise DataError(
                f"{name} line {number}: found {shown!r}, expected {_LAYOUT}. Correct or delete the line."
            ) from None

    def numbers() -> Floats:
        rows = [_numbers(tail) for tail in tails]
        return np.array(rows, dtype=np.float64).reshape(len(rows), _COLUMNS)

    return UniverseTable(
        canonical,
        file_date,
        np.array(expiry, dtype=np.int32),
        np.array(strike, dtype=np.float64),
        np.array(right, dtype=np.int32),
        underlying,
        numbers,
    )


def _ordinal(text: bytes) -> int:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal()


def _numbers(tail: bytes) -> list[float]:
    """Return the numbers of a row; LEAN reads an empty, absent or unreadable cell as 0."""
    cells = tail.split(b",")
    try:
        found = [float(cell) if cell else 0.0 for cell in cells[:_COLUMNS]]
    except ValueError:
        found = [_number(cell) for cell in cells[:_COLUMNS]]
    return found if len(found) == _COLUMNS else found + [0.0] * (_COLUMNS - len(found))


def _number(cell: bytes) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0
