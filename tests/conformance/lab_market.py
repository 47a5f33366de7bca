"""A small market made by hand, in LEAN's own folder format: every price follows from the minute by whole numbers.

Ten sessions: the week of Thanksgiving 2024 (Thursday closed, Friday a half day) with the Monday after it, three around
Good Friday 2025, and two around a change of the clocks.  SPX moves in quarters of a point, SPXW in its tick of 0.05.
What makes a case is written in plain tables below: gaps, sides without a quote, splits.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

from tools.market.static import write_static

THANKSGIVING = (date(2024, 11, 25), date(2024, 11, 26), date(2024, 11, 27), date(2024, 11, 29), date(2024, 12, 2))
EASTER = (date(2025, 4, 16), date(2025, 4, 17), date(2025, 4, 21))
SPRING = (date(2025, 3, 7), date(2025, 3, 10))
"""The clocks go forward on the Sunday between."""
SESSIONS = THANKSGIVING + EASTER + SPRING
STRETCHES = (THANKSGIVING, SPRING, EASTER)
HALF_DAYS = frozenset({date(2024, 11, 29)})
BEFORE = {THANKSGIVING[0]: date(2024, 11, 22), EASTER[0]: date(2025, 4, 15), SPRING[0]: date(2025, 3, 6)}
"""The session before a stretch's first one: only its universe exists."""
AFTER = {
    date(2024, 12, 2): date(2024, 12, 3), date(2025, 4, 21): date(2025, 4, 22), date(2025, 3, 10): date(2025, 3, 11),
}  # fmt: skip
FAR_EXPIRIES = {2024: (date(2024, 12, 27), date(2025, 3, 21)), 2025: (date(2025, 5, 16), date(2025, 8, 15))}
NEAR_STRIKES = (*range(5940, 6061, 10), 6400)
FAR_STRIKES = (5400, 5700, 5800, 5900, 6000, 6100, 6200)
SPLITS = {"tqqq": (date(2024, 11, 27), 2.0), "sqqq": (date(2024, 12, 2), 0.25)}
"""On this day one share of the fund becomes two; four become one."""
DIVIDEND = ("qqq", date(2024, 11, 29), 0.75)
"""Whoever held a share the session before is paid so much."""
TRADED = date(2024, 12, 2)
"""On this day the options of the day have trades and open interest, too."""

# Minutes (New York, of the bar's end) that a stream lacks.
GAPS: dict[tuple[date, str], range] = {
    (date(2024, 11, 26), "spy_trade"): range(620, 625),
    (date(2024, 11, 26), "spy_quote"): range(622, 627),
    (date(2024, 11, 26), "spx"): range(661, 665),
    (date(2024, 11, 26), "vix"): range(680, 700),
    (date(2024, 11, 26), "P5990"): range(641, 650),
    (date(2024, 11, 26), "spxw"): range(671, 674),
    (TRADED, "P5990"): range(641, 650),
}
# Minutes in which a contract of the day has no bid, or no ask.
NO_BID: dict[tuple[date, str], range] = {(date(2024, 11, 26), "P5960"): range(601, 660)}
NO_ASK: dict[tuple[date, str], range] = {(date(2024, 11, 26), "C6040"): range(601, 660)}

_SHARES = {"spy": 10, "qqq": 12, "tqqq": 80, "sqqq": 150}
"""What SPX is divided by to get the share's price."""
_OPEN = 570
_QUARTERS = 4
_TICKS = 20


@dataclass(frozen=True, slots=True)
class Session:
    """One day: its number, and the end minutes of its bars (New York)."""

    day: date
    number: int

    @property
    def share_close(self) -> int:
        return 780 if self.day in HALF_DAYS else 960

    @property
    def index_close(self) -> int:
        return 780 if self.day in HALF_DAYS else 975

    def spx_quarters(self, minute: int) -> int:
        """SPX at the end of a minute (New York), in quarters of a point."""
        step = minute - _OPEN + 37 * self.number
        triangle = abs(step % 160 - 80) - 40
        return 4 * 6000 + 16 * (self.number * 3 % 5 - 2) + 2 * triangle + step * 7 % 5


def sessions() -> list[Session]:
    return [Session(day, number) for number, day in enumerate(SESSIONS)]


def write_lab_market(root: Path) -> Path:
    """Write the whole folder and return it."""
    write_static(root)
    for before in BEFORE.values():
        _write_universe(root, before, 6000 * _QUARTERS)
    for session in sessions():
        _write_index(root, session, "spx", [session.spx_quarters(m) for m in range(_OPEN, session.index_close + 1)], 1)
        vix = [4 * 18 + (m + session.number) % 9 for m in range(_OPEN, session.index_close + 1)]
        _write_index(root, session, "vix", vix, 0)
        for ticker, divisor in _SHARES.items():
            _write_share(root, session, ticker, divisor)
        _write_options(root, session)
        _write_universe(root, session.day, session.spx_quarters(session.index_close))
    _write_daily(root)
    for ticker, (day, into) in SPLITS.items():
        _write_factors(root, ticker, day, f"1,{1 / into},100")
    paying, ex_date, amount = DIVIDEND
    close = _share_cents(sessions()[2], paying, _SHARES[paying], 960) / 100
    _write_factors(root, paying, ex_date, f"{1 - amount / close:.9f},1,{close}")
    return root


def _write_factors(root: Path, ticker: str, day: date, row: str) -> None:
    """Write a factor file whose only event is due at the open of a day."""
    last = max(session for session in SESSIONS if session < day)
    rows = [f"20100211,{row.rpartition(',')[0]},1", f"{last:%Y%m%d},{row}", "20501231,1,1,0"]
    (root / f"equity/usa/factor_files/{ticker}.csv").write_text("\n".join(rows) + "\n")


def _archive(path: Path, entries: Iterable[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, text in entries:
            file.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text)


def _write_index(root: Path, session: Session, ticker: str, quarters: list[int], wick: int) -> None:
    gap = GAPS.get((session.day, ticker), range(0))
    rows = []
    for number, (before, now) in enumerate(pairwise(quarters)):
        if _OPEN + number + 1 in gap:
            continue
        prices = (before, max(before, now) + wick, min(before, now) - wick, now)
        start_ms = (_OPEN - 60 + number) * 60_000  # Chicago
        rows.append(f"{start_ms}," + ",".join(f"{price / _QUARTERS:.2f}" for price in prices) + ",0\n")
    stamp = f"{session.day:%Y%m%d}"
    path = root / f"index/usa/minute/{ticker}/{stamp}_trade.zip"
    _archive(path, [(f"{stamp}_{ticker}_minute_trade.csv", "".join(rows))])


def _share_cents(session: Session, ticker: str, divisor: int, minute: int) -> int:
    cents = session.spx_quarters(minute) * 25 // divisor
    split_day, into = SPLITS.get(ticker, (date.max, 1.0))
    return int(cents / into) if session.day >= split_day else cents


def _write_share(root: Path, session: Session, ticker: str, divisor: int) -> None:
    trades, quotes = [], []
    for minute in range(_OPEN + 1, session.share_close + 1):
        before = _share_cents(session, ticker, divisor, minute - 1)
        now = _share_cents(session, ticker, divisor, minute)
        top, bottom = max(before, now) + 2, min(before, now) - 2
        start_ms = (minute - 1) * 60_000
        if minute not in GAPS.get((session.day, f"{ticker}_trade"), range(0)):
            trades.append(f"{start_ms},{before}00,{top}00,{bottom}00,{now}00,{1000 + minute}\n")
        if minute not in GAPS.get((session.day, f"{ticker}_quote"), range(0)):
            bid = f"{before - 1}00,{top - 1}00,{bottom - 1}00,{now - 1}00,300"
            ask = f"{before + 1}00,{top + 1}00,{bottom + 1}00,{now + 1}00,400"
            quotes.append(f"{start_ms},{bid},{ask}\n")
    stamp = f"{session.day:%Y%m%d}"
    for tick, rows in (("trade", trades), ("quote", quotes)):
        path = root / f"equity/usa/minute/{ticker}/{stamp}_{tick}.zip"
        _archive(path, [(f"{stamp}_{ticker}_minute_{tick}.csv", "".join(rows))])


def expiries(day: date) -> tuple[date, ...]:
    """Return the expiries listed at the end of a day: this session, the next two, and two far ones."""
    known = [*BEFORE.values(), *SESSIONS, *AFTER.values()]
    later = [other for other in sorted(known) if other > day and other.year == day.year][:2]
    return (day, *later, *FAR_EXPIRIES[day.year])


def _strikes(day: date, expiry: date) -> Iterable[int]:
    return FAR_STRIKES if expiry in FAR_EXPIRIES[day.year] else NEAR_STRIKES


def fair_ticks(spx_quarters: int, right: str, strike: int, days: int, minutes_left: int) -> int:
    """Return what a contract is worth, in ticks of 0.05: intrinsic value and a time value that fades with distance."""
    ahead = spx_quarters * 5 - strike * _TICKS
    intrinsic = max(0, ahead if right == "C" else -ahead)
    height = 40 + 160 * minutes_left // 405 if days == 0 else 250 + 25 * days
    width = 400 + 60 * days
    return intrinsic + height * width * width // (width * width + 4 * ahead * ahead)


def _write_options(root: Path, session: Session) -> None:
    stamp = f"{session.day:%Y%m%d}"
    entries = []
    for expiry in expiries(session.day):
        for right, word in (("C", "call"), ("P", "put")):
            for strike in _strikes(session.day, expiry):
                name = f"{stamp}_spxw_minute_quote_european_{word}_{strike * 10_000}_{expiry:%Y%m%d}.csv"
                entries.append((name, "".join(_quote_rows(session, expiry, right, strike))))
    _archive(root / f"indexoption/usa/minute/spxw/{stamp}_quote_european.zip", entries)
    if session.day == TRADED:
        _write_trades(root, session)


def _write_trades(root: Path, session: Session) -> None:
    """Write a trade in every third minute of each of the day's contracts, and open interest before the open."""
    stamp = f"{session.day:%Y%m%d}"
    trades, interest = [], []
    for right, word in (("C", "call"), ("P", "put")):
        for strike in NEAR_STRIKES:
            rows = []
            for minute in range(_OPEN + 1 + strike // 10 % 3, session.share_close + 1, 3):
                left = 975 - minute
                worth = fair_ticks(session.spx_quarters(minute), right, strike, 0, left) * 500
                rows.append(f"{(minute - 1) * 60_000},{worth},{worth + 500},{worth},{worth + 500},{minute % 7 + 1}\n")
            name = f"european_{word}_{strike * 10_000}_{session.day:%Y%m%d}.csv"
            trades.append((f"{stamp}_spxw_minute_trade_{name}", "".join(rows)))
            interest.append((f"{stamp}_spxw_minute_openinterest_{name}", f"23400000,{strike % 1000 + 1}\n"))
    for kind, entries in (("trade", trades), ("openinterest", interest)):
        _archive(root / f"indexoption/usa/minute/spxw/{stamp}_{kind}_european.zip", entries)


def _quote_rows(session: Session, expiry: date, right: str, strike: int) -> Iterator[str]:
    days = (expiry - session.day).days
    key = f"{right}{strike}"
    of_the_day = days == 0
    close = min(session.share_close, session.index_close) if of_the_day else session.index_close
    gaps = {*GAPS.get((session.day, "spxw"), ())}
    if of_the_day:
        gaps.update(GAPS.get((session.day, key), ()))
    no_bid = NO_BID.get((session.day, key), range(0)) if of_the_day else range(0)
    no_ask = NO_ASK.get((session.day, key), range(0)) if of_the_day else range(0)
    before = fair_ticks(session.spx_quarters(_OPEN), right, strike, days, 405)
    for minute in range(_OPEN + 1, close + 1):
        now = fair_ticks(session.spx_quarters(minute), right, strike, days, 975 - minute)
        top, bottom = max(before, now) + 1, min(before, now) - 1
        first, before = before, now
        if minute in gaps:
            continue
        bid = "" if minute in no_bid else _side(-2, first, top, bottom, now, 10)
        ask = "" if minute in no_ask else _side(2, first, top, bottom, now, 20)
        yield f"{(minute - 1) * 60_000},{bid or ',,,,0'},{ask or ',,,,0'}\n"


def _side(shift: int, first: int, top: int, bottom: int, now: int, size: int) -> str:
    """Return one side of a quote row; below the first tick there is no bid."""
    prices = [max(0, ticks + shift) * 500 for ticks in (first, top, bottom, now)]
    return ",".join(map(str, prices)) + f",{size}"


_UNIVERSE_HEADER = (
    "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta,rho"
)


def _write_universe(root: Path, day: date, spx_quarters: int) -> None:
    close = spx_quarters / _QUARTERS
    rows = [_UNIVERSE_HEADER, f",,,{close},{close},{close},{close},0,,,,,,,"]
    for expiry in expiries(day):
        for right in "CP":
            for strike in _strikes(day, expiry):
                worth = fair_ticks(spx_quarters, right, strike, (expiry - day).days, 0) / _TICKS
                greeks = "0.2,0.5,0.001,2,-3,1" if right == "C" else "0.2,-0.5,0.001,2,-3,-1"
                bar = ",".join([f"{worth}"] * 4)
                rows.append(f"{expiry:%Y%m%d},{strike},{right},{bar},7,11,{greeks}")
    path = root / f"indexoption/usa/universes/spxw/{day:%Y%m%d}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")


def _write_daily(root: Path) -> None:
    """Write the daily files of SPX, VIX and SPY: the sessions, and ten weekdays before each stretch."""
    spx, vix, spy = [], [], []
    for stretch in STRETCHES:
        history = [day for back in range(20, 0, -1) if (day := stretch[0] - timedelta(days=back)).weekday() < 5]
        for number, day in enumerate([*history, *stretch]):
            session = next((one for one in sessions() if one.day == day), None)
            close = session.spx_quarters(session.index_close) if session else 4 * 5950 + 9 * number
            spx.append(f"{day:%Y%m%d} 00:00,{close / 4 - 3},{close / 4 + 5},{close / 4 - 6},{close / 4},0\n")
            vix.append(f"{day:%Y%m%d} 00:00,{18 + number / 4},{19 + number / 4},17,{18.5 + number / 4},0\n")
            cents = close * 25 // 10
            spy.append(f"{day:%Y%m%d} 00:00,{cents - 30}00,{cents + 50}00,{cents - 60}00,{cents}00,{1000 + number}\n")
    for folder, ticker, rows in (("index", "spx", spx), ("index", "vix", vix), ("equity", "spy", spy)):
        _archive(root / f"{folder}/usa/daily/{ticker}.zip", [(f"{ticker}.csv", "".join(rows))])
