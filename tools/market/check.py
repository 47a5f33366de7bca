"""Judge a LEAN-format data folder: name every gap that would silence the algorithm.

LEAN says nothing when data is missing: a day without a universe file is a day on which no option exists.  `check` says
it beforehand, one sentence a gap: which file, what is wrong, what the algorithm would do, what to do about it.  It
knows nothing of how the folder was made, so it judges real data as well.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from tools.errors import BulkheadUsageError
from tools.market import calendar

MINUTE_MS = 60_000
OPEN_NEW_YORK_MS = 34_200_000
OPEN_CHICAGO_MS = OPEN_NEW_YORK_MS - 3_600_000
# As many the chain gate wants between 2 and 50 delta; fewer contracts in all can never pass.
LEAST_SAME_DAY_CONTRACTS = 20
RV_SESSIONS = 21  # closes for the 20 daily returns of RV20
LATEST_FIRST_BAR = 5  # minutes after the open at which an opening price still counts
FEW_BARS_SHARE = 0.8
SAMPLED_CONTRACTS = 6


class Need(StrEnum):
    """What a strategy or a book reads."""

    TABLES = "tables"  # market hours, symbol properties
    SPY = "spy"
    SPX = "spx"
    VIX = "vix"
    SAME_DAY_CHAIN = "same_day_chain"
    ETFS = "etfs"
    DAILY = "daily"


DEFAULT_NEEDS = frozenset(Need)
ETFS = ("qqq", "tqqq", "psq", "sqqq")


def needs_of(*, friday_0dte: bool, etf_rotation: bool) -> frozenset[Need]:
    """Return what the enabled books read."""
    idle = {Need.SAME_DAY_CHAIN: friday_0dte, Need.ETFS: etf_rotation}
    return frozenset(need for need in Need if idle.get(need, True))


HOURS = "market-hours/market-hours-database.json"
PROPERTIES = "symbol-properties/symbol-properties-database.csv"
HOURS_ENTRIES = ("Equity-usa-[*]", "Index-usa-SPX", "Index-usa-VIX", "IndexOption-usa-SPXW")
PROPERTY_ENTRIES = (("[*]", "SPY", "equity"), ("[*]", "SPX", "index"), ("[*]", "SPXW", "indexoption"))


@dataclass(frozen=True, slots=True)
class DataGap:
    """One gap: `file` below the folder, the session it silences (None: all), and the sentence in its parts."""

    file: str
    session: date | None
    problem: str
    consequence: str
    remedy: str

    @property
    def sentence(self) -> str:
        """Return file, problem, consequence and remedy in one sentence."""
        when = f" (session {self.session})" if self.session is not None else ""
        return f"{self.file}{when}: {self.problem}, so {self.consequence}; {self.remedy}."

    def __str__(self) -> str:
        return self.sentence


def check(
    folder: Path, start: date | None = None, end: date | None = None, needs: Iterable[Need] = DEFAULT_NEEDS
) -> list[DataGap]:
    """Return the gaps of a data folder, by session and file; an empty list means the algorithm will see what it needs.

    start, end: first and last session to judge; without them, from the first to the last session that has minute files.
    Raises BulkheadUsageError when the folder does not exist or holds no sessions to judge.
    """
    if not folder.is_dir():
        raise BulkheadUsageError(f"data = {folder}: expected a LEAN data folder, there is none. Name another folder.")
    wanted = frozenset(needs)
    days = _sessions(folder, start, end)
    gaps: list[DataGap] = []
    if Need.TABLES in wanted:
        gaps += _tables(folder, days)
    if Need.DAILY in wanted:
        gaps += _daily(folder, days[0])
    for day in days:
        for need, judge in _SESSION_CHECKS.items():
            if need in wanted:
                gaps += judge(folder, day)
    return gaps


def _sessions(folder: Path, start: date | None, end: date | None) -> tuple[date, ...]:
    if start is None or end is None:
        found = sorted(_dates_of_minutes(folder))
        if not found:
            raise BulkheadUsageError(
                f"data = {folder}: expected minute files of SPY or SPX, there are none. "
                "Name another folder, or make one with ./bulkhead data generate."
            )
        start, end = start or found[0], end or found[-1]
    days = calendar.between(start, end)
    if not days:
        raise BulkheadUsageError(f"start = {start}, end = {end}: expected a session between them. Name other dates.")
    return days


# Not SPXW: a folder may begin with the options of the session before the first, which LEAN takes up at midnight.
_MINUTE_FOLDERS = ("equity/usa/minute/spy", "index/usa/minute/spx")


def _dates_of_minutes(folder: Path) -> set[date]:
    days = set()
    for name in _MINUTE_FOLDERS:
        for path in (folder / name).glob("[0-9]*.zip"):
            day = _parse_date(path.name[:8])
            if day is not None and calendar.is_session(day):
                days.add(day)
    return days


def _parse_date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


# --- tables and daily bars ------------------------------------------------------------------------------------------

_GENERATE = "make a folder with ./bulkhead data generate or copy the file from a LEAN data folder"


def _tables(folder: Path, days: tuple[date, ...]) -> Iterator[DataGap]:
    entries = _hours_entries(folder)
    if isinstance(entries, DataGap):
        yield entries
    else:
        for name in HOURS_ENTRIES:
            wildcard = name[: name.rindex("-") + 1] + "[*]"
            if name not in entries and wildcard not in entries:
                problem = f"no entry {name}"
                yield DataGap(HOURS, None, problem, "LEAN refuses to start", _GENERATE)
        closed = _closed_days(entries)
        wrong = [day for day in days if day in closed]
        if wrong:
            problem = f"it calls {wrong[0]} a holiday" + (f" and {len(wrong) - 1} more sessions" if wrong[1:] else "")
            yield DataGap(HOURS, wrong[0], problem, "LEAN drops every bar of it", "take the table of a newer LEAN")
    try:
        rows = [line.split(",") for line in (folder / PROPERTIES).read_text(encoding="utf-8").splitlines()]
    except OSError:
        yield DataGap(PROPERTIES, None, "the file is missing", "LEAN refuses to start", _GENERATE)
        return
    known = {(row[1], row[2]) for row in rows if len(row) > 6 and row[0] == "usa"}
    for wildcard, ticker, kind in PROPERTY_ENTRIES:
        if (wildcard, kind) not in known and (ticker, kind) not in known:
            problem = f"no row for usa {kind} {ticker} or [*]"
            consequence = "multiplier and tick of its contracts would be LEAN's defaults and every size wrong"
            yield DataGap(PROPERTIES, None, problem, consequence, _GENERATE)


def _hours_entries(folder: Path) -> dict[str, object] | DataGap:
    try:
        entries = json.loads((folder / HOURS).read_text(encoding="utf-8"))["entries"]
    except OSError:
        return DataGap(HOURS, None, "the file is missing", "LEAN refuses to start", _GENERATE)
    except (ValueError, KeyError, TypeError):
        return DataGap(HOURS, None, "it is not a market-hours database", "LEAN refuses to start", _GENERATE)
    if not isinstance(entries, dict):
        return DataGap(HOURS, None, "its entries are no mapping", "LEAN refuses to start", _GENERATE)
    return entries


def _closed_days(entries: dict[str, object]) -> set[date]:
    equity = entries.get("Equity-usa-[*]")
    listed = equity.get("holidays", []) if isinstance(equity, dict) else []
    days = set()
    for text in listed:
        parts = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", str(text))
        if parts:
            days.add(date(int(parts[3]), int(parts[1]), int(parts[2])))
    return days


def _daily(folder: Path, first: date) -> Iterator[DataGap]:
    wanted = {
        "equity/usa/daily/spy.zip": "the prior close and realised volatility are unknown and every entry is refused",
        "index/usa/daily/vix.zip": "the last close of VIX stays unknown and the rules that compare with it refuse",
    }
    for name, consequence in wanted.items():
        lines = _read_entry(folder / name, f"{Path(name).stem}.csv")
        remedy = f"add at least {RV_SESSIONS} daily rows before {first}"
        if isinstance(lines, str):
            yield DataGap(name, first, lines, consequence, remedy)
            continue
        days = {line[:8] for line in lines}
        before = calendar.between(first - timedelta(60), calendar.before(first))[-RV_SESSIONS:]
        missing = [day for day in before if f"{day:%Y%m%d}" not in days]
        if missing:
            problem = f"{len(missing)} of the {RV_SESSIONS} sessions before the first have no row, last {missing[-1]}"
            yield DataGap(name, first, problem, consequence, remedy)


# --- minutes --------------------------------------------------------------------------------------------------------


def _read_entry(path: Path, entry: str) -> list[str] | str:
    """Return the lines of a zip's entry, or what is wrong in a few words."""
    if not path.is_file():
        twin = path.with_name(path.name + ".zip")
        return f"the file is missing, LEAN does not look for {twin.name}" if twin.is_file() else "the file is missing"
    try:
        with zipfile.ZipFile(path) as archive:
            if entry not in archive.namelist():
                return f"the zip has no entry {entry}"
            lines = archive.read(entry).decode("ascii").splitlines()
    except (OSError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError, EOFError) as error:
        return f"it cannot be read ({error})"
    return lines or f"the entry {entry} is empty"


def _row_problem(lines: list[str], fields: int) -> str | None:
    previous = -1
    for number, line in enumerate(lines, 1):
        parts = line.split(",")
        if len(parts) != fields or not parts[0].isdigit():
            return f"row {number} ({line[:40]!r}) is not {fields} fields that begin with milliseconds"
        if int(parts[0]) <= previous:
            return f"row {number} is not later than the row before"
        previous = int(parts[0])
    return None


def _bars(
    folder: Path, name: str, entry: str, day: date, opens: int, fields: int, consequence: str
) -> Iterator[DataGap]:
    """Judge the minute bars of one asset: there, readable, from the open to the close, without long holes."""
    remedy = "get the file for this session or leave the session out with --start and --end"
    lines = _read_entry(folder / name, entry)
    if isinstance(lines, str):
        yield DataGap(name, day, lines, consequence, remedy)
        return
    problem = _row_problem(lines, fields)
    if problem is not None:
        yield DataGap(name, day, problem, consequence, remedy)
        return
    length = calendar.minutes(day)
    minutes = [(int(line[: line.index(",")]) - opens) // MINUTE_MS for line in lines]
    inside = [minute for minute in minutes if 0 <= minute < length]
    if not inside:
        yield DataGap(name, day, "no row lies inside the session", consequence, remedy)
    elif inside[0] >= LATEST_FIRST_BAR:
        problem = f"the first row comes {inside[0]} minutes after the open"
        yield DataGap(name, day, problem, consequence, remedy)
    elif len(inside) < FEW_BARS_SHARE * length:
        problem = f"only {len(inside)} of {length} minutes have a row"
        yield DataGap(name, day, problem, consequence, remedy)


def _spy(folder: Path, day: date) -> Iterator[DataGap]:
    name = f"equity/usa/minute/spy/{day:%Y%m%d}_trade.zip"
    consequence = "the opening price is unknown and every 0DTE entry of the day is refused"
    yield from _bars(folder, name, f"{day:%Y%m%d}_spy_minute_trade.csv", day, OPEN_NEW_YORK_MS, 6, consequence)


def _spx(folder: Path, day: date) -> Iterator[DataGap]:
    name = f"index/usa/minute/spx/{day:%Y%m%d}_trade.zip"
    consequence = "the chain has no underlying, the day's options are never added and their settlement is unknown"
    yield from _bars(folder, name, f"{day:%Y%m%d}_spx_minute_trade.csv", day, OPEN_CHICAGO_MS, 6, consequence)


def _vix(folder: Path, day: date) -> Iterator[DataGap]:
    name = f"index/usa/minute/vix/{day:%Y%m%d}_trade.zip"
    consequence = "VIX is unknown and no entry of any strategy is allowed"
    yield from _bars(folder, name, f"{day:%Y%m%d}_vix_minute_trade.csv", day, OPEN_CHICAGO_MS, 6, consequence)


def _etfs(folder: Path, day: date) -> Iterator[DataGap]:
    for ticker in ETFS:
        for kind, fields in (("trade", 6), ("quote", 11)):
            name = f"equity/usa/minute/{ticker}/{day:%Y%m%d}_{kind}.zip"
            entry = f"{day:%Y%m%d}_{ticker}_minute_{kind}.csv"
            consequence = "the rotation book gets no signal or no price and stays in cash"
            yield from _bars(folder, name, entry, day, OPEN_NEW_YORK_MS, fields, consequence)


def _chain(folder: Path, day: date) -> Iterator[DataGap]:
    yield from _universe(folder, day)
    name = f"indexoption/usa/minute/spxw/{day:%Y%m%d}_quote_european.zip"
    consequence = "the chain is empty all day and nothing is traded, without any message from LEAN"
    remedy = "get the file for this session or leave the session out with --start and --end"
    pattern = re.compile(rf"{day:%Y%m%d}_spxw_minute_quote_european_(call|put)_\d+_{day:%Y%m%d}\.csv")
    path = folder / name
    try:
        with zipfile.ZipFile(path) as archive:
            entries = sorted(entry for entry in archive.namelist() if pattern.fullmatch(entry))
    except FileNotFoundError:
        problem = _read_entry(path, "")
        yield DataGap(name, day, str(problem), consequence, remedy)
        return
    except (OSError, zipfile.BadZipFile) as error:
        yield DataGap(name, day, f"it cannot be read ({error})", consequence, remedy)
        return
    if len(entries) < LEAST_SAME_DAY_CONTRACTS:
        problem = f"{len(entries)} contracts expire that day, {LEAST_SAME_DAY_CONTRACTS} are the least a chain needs"
        yield DataGap(name, day, problem, consequence, remedy)
        return
    middle = len(entries) // 2
    for entry in entries[:: max(1, middle // SAMPLED_CONTRACTS * 2)]:
        lines = _read_entry(path, entry)
        fault = lines if isinstance(lines, str) else _row_problem(lines, 11)
        if fault is not None:
            consequence = "this contract has no usable quotes and a structure that needs it is refused"
            yield DataGap(f"{name}#{entry}", day, fault, consequence, remedy)


def _universe(folder: Path, day: date) -> Iterator[DataGap]:
    before = calendar.before(day)
    name = f"indexoption/usa/universes/spxw/{before:%Y%m%d}.csv"
    consequence = f"LEAN adds no contract on {day} and the day passes in silence"
    remedy = f"get the universe file of {before}, the session before"
    try:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        yield DataGap(name, day, "the file is missing", consequence, remedy)
        return
    except (OSError, UnicodeDecodeError) as error:
        yield DataGap(name, day, f"it cannot be read ({error})", consequence, remedy)
        return
    if not lines or not lines[0].startswith("#expiry,strike,right"):
        yield DataGap(name, day, "it does not begin with the header #expiry,strike,right", consequence, remedy)
        return
    listed = sum(1 for line in lines[1:] if line.startswith(f"{day:%Y%m%d},"))
    if listed < LEAST_SAME_DAY_CONTRACTS:
        problem = f"it lists {listed} contracts that expire on {day}, {LEAST_SAME_DAY_CONTRACTS} are the least"
        yield DataGap(name, day, problem, consequence, remedy)


_SESSION_CHECKS: dict[Need, Callable[[Path, date], Iterator[DataGap]]] = {
    Need.SPY: _spy,
    Need.SPX: _spx,
    Need.VIX: _vix,
    Need.SAME_DAY_CHAIN: _chain,
    Need.ETFS: _etfs,
}
