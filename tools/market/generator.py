"""Write a whole market: plan the days, draw the minutes, quote the options, in as many processes as asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tools.errors import BulkheadUsageError
from tools.market import calendar
from tools.market.cache import Progress
from tools.market.chain import MINUTE_MS, OPEN_NEW_YORK_MS, Listing, listings, mornings, quote_entries, universe_text
from tools.market.etfs import TICKERS, fair_values, fund_closes, quote_bars, trade_bars
from tools.market.paths import DayPlan, Floats, SessionPath, daily_plans, session_path
from tools.market.scenarios import SCENARIOS
from tools.market.spec import GENERATOR_VERSION, MANIFEST_NAME, MarketManifest, MarketSpec, cache_key
from tools.market.static import write_static
from tools.market.writer import SCALE, Buffer, index_rows, scaled_rows, write_zip

Bar = tuple[float, float, float, float, int]

HISTORY_SESSIONS = 320  # daily bars before the first session: more than a year
OPEN_CHICAGO_MS = OPEN_NEW_YORK_MS - 3_600_000
INDEX_TICKS = 60  # what LEAN's own index files carry as volume: the number of prints
# Below this a second process costs more than it saves.
SESSIONS_PER_JOB = 4

# At the opening print some members of the index still stand at yesterday's price: the share of the gap not yet shown.
STALE_AT_OPEN = (0.6, 0.15, 0.05)


def generate(spec: MarketSpec, out: Path, progress: Progress | None = None, jobs: int | None = None) -> MarketManifest:
    """Write the market below `out` and return its manifest, which is also written there, last.

    `out` must be new, empty, or hold a generated market, which is replaced.  progress(done, total) counts sessions;
    jobs None: one process per core.  Same spec, same bytes, whatever the jobs.
    Raises BulkheadUsageError when `out` holds something else.
    """
    _make_room(out)
    days = spec.dates()
    tasks, history = _plan(spec, days)
    bars = _DailyBars()
    for day, daily in history.items():
        bars.add(day, daily)
    files = write_static(out)
    rows = 0
    for done, outcome in enumerate(_run(tasks, out, jobs), 1):
        bars.add(outcome.day, outcome.bars)
        files, rows = files + outcome.files, rows + outcome.rows
        if progress is not None:
            progress(done, len(tasks))
    files += bars.write(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    manifest = MarketManifest(
        key=cache_key(spec),
        generator_version=GENERATOR_VERSION,
        scenario=spec.scenario,
        seed=spec.seed,
        first=days[0],
        last=days[-1],
        sessions=len(days),
        files=files,
        bytes=size,
        option_rows=rows,
    )
    manifest.save(out)
    return manifest


def _make_room(out: Path) -> None:
    if out.is_file():
        raise BulkheadUsageError(f"out = {out}: expected a folder, this is a file. Choose another folder.")
    if out.exists() and any(out.iterdir()):
        if not (out / MANIFEST_NAME).is_file():
            raise BulkheadUsageError(
                f"out = {out}: expected a new folder, an empty one or a generated market, this one holds other files. "
                "Choose another folder."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)


# --- planning -------------------------------------------------------------------------------------------------------


class _Content(IntEnum):
    """How much of a session is written."""

    UNIVERSE = 0
    OPTIONS = 1
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class _Task:
    """One session for a worker: its plan, yesterday's fund prices, its listing and the next session's.

    LEAN begins a run at 00:00 New York, when it is still yesterday in Chicago: it first takes up yesterday's options.
    So the session before the first has its universe file and option quotes, the one before that its universe file.
    """

    seed: int
    plan: DayPlan
    fund_priors: Mapping[str, float]
    listing: Listing
    next_listing: Listing
    content: _Content


@dataclass(frozen=True, slots=True)
class _DayBars:
    """One session's bars of all assets, and SPY's by the hour: LEAN's default benchmark."""

    daily: dict[str, Bar]
    spy_hours: list[tuple[int, float, float, float, float, int]]


@dataclass(frozen=True, slots=True)
class _Outcome:
    day: date
    bars: _DayBars
    files: int
    rows: int


def _plan(spec: MarketSpec, days: Sequence[date]) -> tuple[list[_Task], dict[date, _DayBars]]:
    plans = daily_plans(spec.seed, SCENARIOS[spec.scenario], days[0], days[-1])
    places = {plan.day: place for place, plan in enumerate(plans)}
    first = places[days[0]]
    turn_of_the_year = calendar.before(date(days[0].year, 1, 1))
    funds = fund_closes(plans, turn_of_the_year)

    listed = listings(mornings(plans[max(0, first - 150) :], days[-1]))
    history: dict[date, _DayBars] = {}
    for plan in plans[max(1, first - HISTORY_SESSIONS) : first]:
        history[plan.day] = _daily(spec.seed, session_path(spec.seed, plan), _fund_priors(funds, plan.day))
    tasks: list[_Task] = []
    for plan in plans[first - _Content.WHOLE :]:
        content = _Content(min(_Content.WHOLE, _Content.UNIVERSE + len(tasks)))
        today, following = listed[plan.day], listed[calendar.after(plan.day)]
        tasks.append(_Task(spec.seed, plan, _fund_priors(funds, plan.day), today, following, content))
    return tasks, history


def _fund_priors(funds: Mapping[str, Mapping[date, float]], day: date) -> dict[str, float]:
    before = calendar.before(day)
    return {ticker: closes[before] for ticker, closes in funds.items()}


# --- one session ----------------------------------------------------------------------------------------------------


def _run(tasks: Sequence[_Task], out: Path, jobs: int | None) -> Iterator[_Outcome]:
    wanted = jobs if jobs is not None else os.cpu_count() or 1
    workers = max(1, min(wanted, len(tasks) // SESSIONS_PER_JOB))
    if workers == 1:
        for task in tasks:
            yield _write_session(task, out)
        return
    # "spawn" everywhere: a fork of a process that already has threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from _gather(pool, tasks, out)


def _gather(pool: Executor, tasks: Sequence[_Task], out: Path) -> Iterator[_Outcome]:
    waiting: list[Future[_Outcome]] = [pool.submit(_write_session, task, out) for task in tasks]
    try:
        for finished in as_completed(waiting):
            yield finished.result()
    finally:
        for future in waiting:
            future.cancel()


def _write_session(task: _Task, out: Path) -> _Outcome:
    path = session_path(task.seed, task.plan)
    day = task.plan.day
    stamp = f"{day:%Y%m%d}"
    spx, vix = index_bars(path)
    universe = out / "indexoption/usa/universes/spxw" / f"{stamp}.csv"
    universe.parent.mkdir(parents=True, exist_ok=True)
    text = universe_text(path, _index_day(spx), task.next_listing)
    universe.write_text(text, encoding="utf-8", newline="\n")
    files, rows = 1, 0
    if task.content >= _Content.OPTIONS:
        entries, rows = quote_entries(task.seed, path, task.listing)
        write_zip(out / f"indexoption/usa/minute/spxw/{stamp}_quote_european.zip", entries)
        files += 1
    if task.content < _Content.WHOLE:
        return _Outcome(day, _DayBars({}, []), files, rows)
    bars = _daily(task.seed, path, task.fund_priors, out)
    times = [OPEN_CHICAGO_MS + MINUTE_MS * minute for minute in range(path.rows)]
    for ticker, prices in (("spx", spx), ("vix", vix)):
        entry: Buffer = index_rows(times, prices, [INDEX_TICKS] * path.rows)
        write_zip(out / f"index/usa/minute/{ticker}/{stamp}_trade.zip", [(f"{stamp}_{ticker}_minute_trade.csv", entry)])
    files += 2 + 2 * len(TICKERS)
    return _Outcome(day, bars, files, rows)


def index_bars(path: SessionPath) -> tuple[Floats, Floats]:
    """Return the minute bars of SPX and VIX, (rows, 4); SPX stands still after the close."""
    n = path.plan.minutes
    shown = path.fair.copy()
    gap = float(np.log(path.fair[0] / path.plan.prior))
    shown[: len(STALE_AT_OPEN)] *= np.exp(-gap * np.array(STALE_AT_OPEN))
    reach_up = np.where(path.halted, 0.0, path.up)
    reach_down = np.where(path.halted, 0.0, path.down)
    spx = _bars(shown, reach_up, reach_down)
    still = np.full((path.rows - n, 4), spx[-1, 3])
    vix_reach = np.full(path.rows, 0.0006)
    return np.vstack((spx, still)), _bars(path.vix, vix_reach, vix_reach)


def _bars(values: Floats, up: Floats, down: Floats) -> Floats:
    opens, closes = values[:-1], values[1:]
    high = np.maximum(opens, closes) * (1 + up)
    low = np.minimum(opens, closes) * (1 - down)
    return np.round(np.column_stack((opens, high, low, closes)), 2)


def _index_day(bars: Floats) -> tuple[float, float, float, float]:
    return float(bars[0, 0]), float(bars[:, 1].max()), float(bars[:, 2].min()), float(bars[-1, 3])


def _daily(seed: int, path: SessionPath, fund_priors: Mapping[str, float], out: Path | None = None) -> _DayBars:
    """Return the day's bars of all assets; with `out` the ETFs' minute files are written as well."""
    spx, vix = index_bars(path)
    daily: dict[str, Bar] = {
        "spx": (*_index_day(spx), INDEX_TICKS * path.rows),
        "vix": (*_index_day(vix), INDEX_TICKS * path.rows),
    }
    spy_hours: list[tuple[int, float, float, float, float, int]] = []
    stamp = f"{path.plan.day:%Y%m%d}"
    for ticker, value in fair_values(path, fund_priors).items():
        trades = trade_bars(seed, path, ticker, value)
        daily[ticker] = trades.daily()
        if ticker == "spy":
            spy_hours = trades.hourly()
        if out is None:
            continue
        folder = out / f"equity/usa/minute/{ticker}"
        times = (OPEN_NEW_YORK_MS + MINUTE_MS * trades.minute).tolist()
        text = scaled_rows(times, *trades.prices.T, trades.volume)
        write_zip(folder / f"{stamp}_trade.zip", [(f"{stamp}_{ticker}_minute_trade.csv", text)])
        quotes = quote_bars(seed, path, ticker, trades)
        text = scaled_rows(times, *quotes.bid.T, quotes.bid_size, *quotes.ask.T, quotes.ask_size)
        write_zip(folder / f"{stamp}_quote.zip", [(f"{stamp}_{ticker}_minute_quote.csv", text)])
    return _DayBars(daily, spy_hours)


class _DailyBars:
    """Collects the sessions, in whatever order they come, and writes the files that span all of them."""

    def __init__(self) -> None:
        self._days: dict[date, _DayBars] = {}

    def add(self, day: date, bars: _DayBars) -> None:
        if bars.daily:
            self._days[day] = bars

    def write(self, out: Path) -> int:
        """Write the daily files and SPY's hours, return how many files."""
        ordered = sorted(self._days.items())
        for ticker in ("spx", "vix"):
            rows = [
                f"{day:%Y%m%d} 00:00," + ",".join(f"{price:.2f}" for price in bar[:4]) + f",{bar[4]}"
                for day, bar in ((day, bars.daily[ticker]) for day, bars in ordered)
            ]
            write_zip(out / "index/usa/daily" / f"{ticker}.zip", [(f"{ticker}.csv", "\n".join(rows).encode())])
        for ticker in TICKERS:
            rows = [_scaled_row(f"{day:%Y%m%d} 00:00", bars.daily[ticker]) for day, bars in ordered]
            write_zip(out / "equity/usa/daily" / f"{ticker}.zip", [(f"{ticker}.csv", "\n".join(rows).encode())])
        rows = [
            _scaled_row(f"{day:%Y%m%d} {hour:02d}:00", bar) for day, bars in ordered for hour, *bar in bars.spy_hours
        ]
        write_zip(out / "equity/usa/hour/spy.zip", [("spy.csv", "\n".join(rows).encode())])
        return 2 + len(TICKERS) + 1


def _scaled_row(stamp: str, bar: Sequence[float]) -> str:
    return ",".join((stamp, *(str(round(price * SCALE)) for price in bar[:4]), str(int(bar[4]))))
