"""What a LEAN-format data folder holds, by the names of its files alone."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

_MINUTE_FILE = re.compile(r"(\d{8})_(?:quote|trade).*\.zip")
# The folders whose days decide which sessions a folder has: the first underlying's options, it and the anchor.
_OPTIONS = "indexoption/usa/minute/spxw"
_BARS = ("equity/usa/minute/spy", "index/usa/minute/spx")


def minute_dates(folder: Path) -> list[date]:
    """Return the dates for which the folder has minute files of SPXW options, of SPX or of SPY, in order.

    A folder may begin with the options of the session before its first, which LEAN takes up at midnight: a first day
    with nothing but options is no session when the next one has bars.
    """
    bars: set[date] = set()
    for place in _BARS:
        bars |= _dates(folder / place)
    days = sorted(bars | _dates(folder / _OPTIONS))
    leads_in = len(days) > 1 and days[0] not in bars and days[1] in bars
    return days[1:] if leads_in else days


def _dates(directory: Path) -> set[date]:
    if not directory.is_dir():
        return set()
    found: set[date] = set()
    for path in directory.iterdir():
        match = _MINUTE_FILE.fullmatch(path.name)
        if match is not None and (day := _as_date(match.group(1))) is not None:
            found.add(day)
    return found


def _as_date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
