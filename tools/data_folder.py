"""What a LEAN-format data folder holds, by the names of its files alone."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

_MINUTE_FILE = re.compile(r"(\d{8})_(?:quote|trade).*\.zip")
# The folders whose days decide which sessions a folder has, the algorithm's anchor and its first underlying.
_TELLING = ("indexoption/usa/minute/spxw", "equity/usa/minute/spy")


def minute_dates(folder: Path) -> list[date]:
    """Return the dates for which the folder has minute files of SPXW options or of SPY, in order."""
    found: set[date] = set()
    for place in _TELLING:
        directory = folder / place
        if not directory.is_dir():
            continue
        for path in directory.iterdir():
            match = _MINUTE_FILE.fullmatch(path.name)
            if match is not None and (day := _as_date(match.group(1))) is not None:
                found.add(day)
    return sorted(found)


def _as_date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
