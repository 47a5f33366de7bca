"""Runs an algorithm: all at once (`run`), or step by step for scenario tests and paper sessions.

host = Host(EngineJob(main=Path("main.py"), source=FolderSource(folder)))
result = host.run()

host.start()                       # import, initialize
host.advance(until=datetime(2025, 1, 3, 10, 30))
result = host.finish()
"""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Final, Literal

from engine.algorithm import CURRENT_ENGINE, QCAlgorithm
from engine.broker import DeathAtEvent
from engine.columns import DataSource
from engine.errors import AlgorithmLoadError, EngineError
from engine.loop import Loop
from engine.object_store import Flush, ObjectStore
from engine.paper_account import PaperAccount
from engine.results import RunResult, RunStatus
from engine.state import EngineState, LogSink

Mode = Literal["backtest", "paper"]

_SHIM: Final = Path(__file__).with_name("shim")
_MODULE: Final = "main"  # LEAN imports the algorithm's file under this name, too


@dataclass(slots=True, kw_only=True)
class EngineJob:
    """What to run, on which data, how.

    main: an algorithm's file, or its class.  start, end: override the algorithm's own dates (both included).
    object_store: a folder, or initial contents of a store in memory.  broker_file: where a paper broker remembers the
    account; given and there, the run continues with it.  start_time: the New York time of the first day at which a
    process that was started again takes over; what happened before it is history.  death_at_event: end the process at
    the n-th broker event, by a SimulatedDeath, or really (exit_on_death).
    """

    main: Path | type[QCAlgorithm]
    source: DataSource
    start: date | None = None
    end: date | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    object_store: Path | dict[str, bytes] | None = None
    flush: Flush = Flush.EVERY_5_S
    mode: Mode = "backtest"
    log_sink: LogSink | None = None
    broker_file: Path | None = None
    start_time: time | None = None
    cash_usd: float | None = None
    death_at_event: int | None = None
    exit_on_death: bool = False
    mute_print: bool = True


class Host:
    """One run of one job."""

    def __init__(self, job: EngineJob) -> None:
        self.job = job
        root = job.object_store if isinstance(job.object_store, Path) else None
        contents = job.object_store if isinstance(job.object_store, dict) else None
        self._engine = EngineState(
            job.source,
            live_mode=job.mode == "paper",
            parameters=dict(job.parameters),
            object_store=ObjectStore(root, contents, job.flush),
            log_sink=job.log_sink,
        )
        self._loop: Loop | None = None
        self._steps: Iterator[datetime] = iter(())
        self._next_utc: datetime | None = None
        self._engine_s = 0.0
        self._start_equity = 0.0
        self._result: RunResult | None = None
        self._account = None if job.broker_file is None else PaperAccount(job.broker_file)

    # What a test looks at.

    @property
    def algorithm(self) -> QCAlgorithm:
        found = self._engine.algorithm
        if found is None:
            raise EngineError("Host.algorithm: expected start() before it.")
        return found

    @property
    def engine(self) -> EngineState:
        return self._engine

    @property
    def broker(self) -> object:
        return self._engine.broker

    @property
    def time(self) -> datetime:
        """Algorithm time."""
        return self._engine.clock.time

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to run."""
        return self._loop is not None and self._next_utc is None

    # Running.

    def run(self) -> RunResult:
        """Run from start to end."""
        self.start()
        self.advance()
        return self.finish()

    def start(self) -> None:
        """Import the algorithm and run its `initialize`; an error in there ends the run as LEAN ends it."""
        with self._active():
            engine, job = self._engine, self.job
            self._set_dates()
            if job.cash_usd is not None:
                engine.portfolio.set_cash(job.cash_usd)
                engine.cash_is_given = True
            cls = job.main if isinstance(job.main, type) else load_algorithm(job.main)
            algorithm = engine.algorithm = cls()
            self._loop = Loop(engine, algorithm, pulse_every_minute=engine.live_mode)
            if not self._loop.call("Initialize", algorithm.initialize):
                self._next_utc = None
                return
            if self._account is not None:
                if self._account.exists:
                    self._account.load(engine)
                account = self._account
                engine.transactions.on_account_changed = lambda: account.save(engine)
            if job.death_at_event is not None:
                engine.transactions.before_delivery = DeathAtEvent(job.death_at_event, raises=not job.exit_on_death)
            if engine.end_date < engine.start_date:
                raise EngineError(
                    f"run from {engine.start_date} to {engine.end_date}: expected start before end. Set both."
                )
            engine.clock.stamp = engine.now_stamp()
            self._start_equity = engine.portfolio.total_portfolio_value
            self._steps = self._loop.steps()
            self._next_utc = next(self._steps, None)

    def advance(self, *, until: datetime | None = None, minutes: int | None = None) -> bool:
        """Run everything up to and including a moment of algorithm time; all of it without arguments.

        Returns whether anything is left.  The clock stands at `until` afterwards only if something happened there.
        """
        if self._loop is None:
            raise EngineError("Host.advance: expected start() before it.")
        if minutes is not None:
            until = self.time + timedelta(minutes=minutes)
        limit = datetime.max if until is None else self._engine.clock.zone.utc(until)
        with self._active():
            steps, following = self._steps, self._next_utc
            self._loop.unannounced_until = limit
            while following is not None and following <= limit:
                following = next(steps, None)
            self._next_utc = following
        return self._next_utc is not None

    def send_command(self, **data: object) -> bool | None:
        """Hand an operator's command to `on_command`, as LEAN's command channel does; its fields are attributes."""
        if self._loop is None:
            raise EngineError("Host.send_command: expected start() before it.")
        answer: list[bool | None] = []
        algorithm = self.algorithm
        with self._active():
            command = SimpleNamespace(**data)
            self._loop.call("OnCommand", lambda: answer.append(algorithm.on_command(command)))
        return answer[0] if answer else None

    def finish(self) -> RunResult:
        """End the run: on_end_of_algorithm, last sample, store.  What was not run is left out, as after a stop."""
        if self._result is not None:
            return self._result
        loop = self._loop
        if loop is None:
            raise EngineError("Host.finish: expected start() before it.")
        with self._active():
            loop.finish()
            self._engine.object_store.flush()
        self._result = self._make_result(loop)
        return self._result

    def _set_dates(self) -> None:
        engine, job = self._engine, self.job
        if job.start is not None:
            engine.start_date = job.start
            engine.clock.set_utc(engine.clock.new_york.utc(datetime.combine(job.start, job.start_time or time.min)))
        if job.end is not None:
            engine.end_date = job.end
        engine.dates_are_fixed = job.start is not None and job.end is not None
        if job.start_time is not None and not engine.dates_are_fixed:
            raise EngineError(
                f"EngineJob.start_time = {job.start_time}: expected start and end with it. Give the job both dates."
            )

    @contextmanager
    def _active(self) -> Iterator[None]:
        """Make this run the current one: its engine, its silence on stdout, its stopwatch."""
        token = CURRENT_ENGINE.set(self._engine)
        started = perf_counter()
        spent_before = self._loop.algorithm_s if self._loop is not None else 0.0
        try:
            if self.job.mute_print:
                with redirect_stdout(_Silence()):
                    yield
            else:
                yield
        finally:
            CURRENT_ENGINE.reset(token)
            spent = (self._loop.algorithm_s if self._loop is not None else 0.0) - spent_before
            self._engine_s += perf_counter() - started - spent

    def _make_result(self, loop: Loop) -> RunResult:
        engine = self._engine
        error = engine.run_time_error
        return RunResult(
            status=RunStatus.COMPLETED if error is None else RunStatus.RUNTIME_ERROR,
            error=error,
            orders=tuple(engine.transactions.all_orders()),
            order_events=tuple(engine.transactions.order_events),
            equity=tuple(loop.equity),
            charts=engine.charts.charts,
            runtime_statistics=dict(engine.runtime_statistics),
            summary_statistics=dict(engine.summary_statistics),
            logs=tuple(engine.logs),
            data_points=loop.data_points + engine.history_points,
            engine_s=self._engine_s,
            algorithm_s=loop.algorithm_s,
            object_store=engine.object_store.contents(),
            start_equity_usd=self._start_equity,
            end_equity_usd=engine.portfolio.total_portfolio_value,
            fees_usd=engine.portfolio.total_fees,
        )


class _Silence(io.TextIOBase):
    """LEAN mutes `print`."""

    def write(self, text: str) -> int:
        return len(text)


def load_algorithm(path: Path) -> type[QCAlgorithm]:
    """Import an algorithm's file as LEAN does: as module `main`, its folder first on the path."""
    path = path.resolve()
    if not path.is_file():
        raise AlgorithmLoadError(
            f"algorithm {path.name}: found no such file, expected a Python file. Name another one."
        )
    for folder in (_SHIM, path.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise AlgorithmLoadError(
            f"algorithm {path.name}: {type(error).__name__}: {error}. Expected a file that imports. Correct it."
        ) from error
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, QCAlgorithm) and value.__module__ == _MODULE
    ]
    if len(found) != 1:
        names = ", ".join(cls.__name__ for cls in found) or "none"
        raise AlgorithmLoadError(
            f"algorithm {path.name}: found {names}, expected exactly one class that inherits from QCAlgorithm."
        )
    return found[0]
