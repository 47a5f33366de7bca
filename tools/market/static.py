"""The tables LEAN reads before any data: hours, symbol properties, interest rate, map and factor files.

Only the entries this project needs, written from our own tables; hours of SPX, VIX and SPXW end 15:15 Chicago as in
LEAN's database, also on the last day of a series.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from tools.market import calendar
from tools.market.surface import RATE

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
_NEW_YORK, _CHICAGO = "America/New_York", "America/Chicago"
_MARKET = "market"

# First day and exchange of each ETF: LEAN makes the symbol's identity of it.
_ETFS = {
    "spy": (date(1998, 1, 2), "P"),
    "qqq": (date(1999, 3, 10), "Q"),
    "psq": (date(2006, 6, 21), "P"),
    "tqqq": (date(2010, 2, 11), "Q"),
    "sqqq": (date(2010, 2, 11), "Q"),
}
_END_OF_TIME = "20501231"

_PROPERTIES = """\
market,symbol,type,description,quote_currency,contract_multiplier,minimum_price_variation,lot_size,market_ticker,\
minimum_order_size,price_magnifier,strike_multiplier

usa,[*],equity,,USD,1,0.01,1
usa,[*],option,,USD,100,0.01,1
usa,[*],index,,USD,1,0.01,1
usa,[*],indexoption,,USD,100,0.05,1
"""


def _us_date(day: date) -> str:
    return f"{day.month}/{day.day}/{day.year}"


def _segment(start: str, end: str, state: str = _MARKET) -> dict[str, str]:
    return {"start": f"{start}:00", "end": f"{end}:00", "state": state}


def _entry(data_zone: str, exchange_zone: str, segments: list[dict[str, str]], close: str | None) -> dict[str, Any]:
    """Return one entry; close = time of day of the early closes, None where LEAN inherits closed days."""
    entry: dict[str, Any] = {"dataTimeZone": data_zone, "exchangeTimeZone": exchange_zone, "sunday": []}
    entry |= dict.fromkeys(_DAYS, segments)
    entry["saturday"] = []
    entry["holidays"] = [_us_date(day) for day in sorted(calendar.holidays())] if close else []
    entry["earlyCloses"] = {_us_date(day): f"{close}:00" for day in sorted(calendar.early_closes())} if close else {}
    return entry


def market_hours() -> dict[str, Any]:
    """Return the market-hours database."""
    equity = [
        _segment("04:00", "09:30", "premarket"),
        _segment("09:30", "16:00"),
        _segment("16:00", "20:00", "postmarket"),
    ]
    index = [_segment("08:30", "15:15")]
    entries = {
        "Equity-usa-[*]": _entry(_NEW_YORK, _NEW_YORK, equity, "13:00"),
        "Option-usa-[*]": _entry(_NEW_YORK, _NEW_YORK, [_segment("09:30", "16:00")], None),
        "Index-usa-[*]": _entry(_CHICAGO, _CHICAGO, index, "12:00"),
        "Index-usa-SPX": _entry(_CHICAGO, _CHICAGO, index, None),
        "Index-usa-VIX": _entry(_CHICAGO, _CHICAGO, index, None),
        "IndexOption-usa-[*]": _entry(_NEW_YORK, _CHICAGO, index, None),
        "IndexOption-usa-SPX": _entry(_NEW_YORK, _CHICAGO, index, None),
        "IndexOption-usa-SPXW": _entry(_NEW_YORK, _CHICAGO, index, None),
        "IndexOption-usa-VIX": _entry(_NEW_YORK, _CHICAGO, index, None),
    }
    return {"entries": entries}


def write_static(root: Path) -> int:
    """Write all tables below the data folder and return how many files."""
    texts = {
        "market-hours/market-hours-database.json": json.dumps(market_hours(), indent=1) + "\n",
        "symbol-properties/symbol-properties-database.csv": _PROPERTIES,
        "alternative/interest-rate/usa/interest-rate.csv": f"DATE,PCREDIT8\n1998-01-02,{100 * RATE:.2f}\n",
    }
    for ticker, (first, exchange) in _ETFS.items():
        start = f"{first:%Y%m%d}"
        rows = (f"{start},{ticker},{exchange}", f"{_END_OF_TIME},{ticker},{exchange}")
        texts[f"equity/usa/map_files/{ticker}.csv"] = "\n".join(rows) + "\n"
        texts[f"equity/usa/factor_files/{ticker}.csv"] = f"{start},1,1,1\n{_END_OF_TIME},1,1,0\n"
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return len(texts)
