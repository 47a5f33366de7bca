"""Builder of tiny LEAN data folders: the files a scenario needs, written as LEAN writes them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
_CLOSED: dict[str, list[object]] = {"sunday": [], "saturday": []}


def entry(
    data_zone: str, exchange_zone: str, opens: str, closes: str, *,
    holidays: Iterable[str] = (), early: Mapping[str, str] | None = None, late: Mapping[str, str] | None = None,
    others: Iterable[tuple[str, str, str]] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return one market-hours entry; others are further segments (start, end, state) after the regular one."""
    segments = [{"start": opens, "end": closes, "state": "market"}]
    segments += [{"start": start, "end": end, "state": state} for start, end, state in others]
    segments.sort(key=lambda segment: segment["start"])
    return {
        "dataTimeZone": data_zone,
        "exchangeTimeZone": exchange_zone,
        **dict.fromkeys(_WEEKDAYS, segments),
        **_CLOSED,
        "holidays": list(holidays),
        "earlyCloses": dict(early or {}),
        "lateOpens": dict(late or {}),
    }


# The shape of LEAN's own file: holidays and half days stand in the [*] entries only.
HOURS = {
    "Equity-usa-[*]": entry(
        "America/New_York", "America/New_York", "09:30:00", "16:00:00",
        holidays=["1/1/2021", "11/28/2024", "12/25/2024"], early={"11/29/2024": "13:00:00", "12/24/2015": "13:00:00"},
        others=[("04:00:00", "09:30:00", "premarket"), ("16:00:00", "20:00:00", "postmarket")],
    ),
    "Index-usa-[*]": entry(
        "America/Chicago", "America/Chicago", "08:30:00", "15:20:00",
        holidays=["1/1/2021", "11/28/2024", "12/25/2024"], early={"11/29/2024": "12:00:00"},
    ),
    "Index-usa-SPX": entry("America/Chicago", "America/Chicago", "08:30:00", "15:15:00"),
    "Option-usa-[*]": entry("America/New_York", "America/New_York", "09:30:00", "16:00:00"),
    "IndexOption-usa-[*]": entry("America/New_York", "America/Chicago", "08:30:00", "15:20:00"),
    "IndexOption-usa-SPXW": entry(
        "America/New_York", "America/Chicago", "08:30:00", "15:15:00",
        others=[
            ("00:00:00", "08:15:00", "premarket"), ("15:15:00", "16:00:00", "postmarket"),
            ("19:15:00", "1:00:00:00", "postmarket"),
        ],
    ),
}  # fmt: skip

PROPERTIES = """market,symbol,type,description,quote_currency,contract_multiplier,minimum_price_variation,lot_size,...

# a comment
usa,[*],equity,,USD,1,0.01,1
usa,[*],index,,USD,1,0.01,1
usa,[*],option,,USD,100,0.01,1
usa,[*],indexoption,,USD,100,0.05,1
usa,NQX,indexoption,reduced,USD,20,0.01,1,NQX,2,1,5
"""

_UNIVERSE_HEADER = (
    "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta,rho"
)


class LeanFolder:
    """A LEAN data folder under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.text("market-hours/market-hours-database.json", json.dumps({"entries": HOURS}, indent=2))
        self.text("symbol-properties/symbol-properties-database.csv", PROPERTIES)

    def text(self, name: str, content: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, newline="")
        return path

    def archive(self, name: str, entries: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", compression) as file:
            for entry_name, content in entries.items():
                file.writestr(entry_name, content)
        return path

    def bars(self, kind: str, ticker: str, day: date, rows: Iterable[str], tick: str = "trade") -> Path:
        """Write one minute file of an equity or index; rows as LEAN writes them."""
        content = "".join(f"{row}\n" for row in rows)
        name = f"{kind}/usa/minute/{ticker}/{day:%Y%m%d}_{tick}.zip"
        return self.archive(name, {f"{day:%Y%m%d}_{ticker}_minute_{tick}.csv": content})

    def spxw(self, day: date, contracts: Mapping[str, Iterable[str]], tick: str = "quote") -> Path:
        """Write one SPXW file; contracts by 'call_38000000_20210104'."""
        entries = {
            f"{day:%Y%m%d}_spxw_minute_{tick}_european_{contract}.csv": "".join(f"{row}\n" for row in rows)
            for contract, rows in contracts.items()
        }
        return self.archive(f"indexoption/usa/minute/spxw/{day:%Y%m%d}_{tick}_european.zip", entries)

    def universe(self, folder: str, day: date, rows: Iterable[str]) -> Path:
        """Write one universe file; rows begin with the underlying's."""
        return self.text(f"{folder}/{day:%Y%m%d}.csv", "\n".join([_UNIVERSE_HEADER, *rows]) + "\n")
