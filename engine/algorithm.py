"""QCAlgorithm: the class an algorithm inherits from, with the part of LEAN's API that this engine has.

A member of LEAN that is missing here raises EngineUnsupported when it is used, so that a run never pretends; a name
that LEAN does not have either is an ordinary AttributeError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from engine.charts import Chart, Series
from engine.clock import aware
from engine.data_api import DataApi
from engine.enums import (
    AccountType,
    AlgorithmMode,
    AlgorithmStatus,
    BrokerageName,
    DeploymentTarget,
    Resolution,
)
from engine.errors import EngineError, EngineUnsupported
from engine.lean_members import METHODS, PROPERTIES
from engine.models.brokerage import DefaultBrokerageModel, brokerage_model
from engine.orders import OrderEvent, OrderProperties
from engine.securities import Security
from engine.trading import TradingApi
from engine.universe_manager import UniverseManager

if TYPE_CHECKING:
    from engine.object_store import ObjectStore
    from engine.portfolio import Portfolio
    from engine.schedule import DateRules, ScheduleManager, TimeRules
    from engine.security_manager import SecurityManager
    from engine.settings import AlgorithmSettings, UniverseSettings
    from engine.slice import Delistings, Dividends, Slice, Splits
    from engine.state import EngineState
    from engine.tickets import SubmitOrderRequest
    from engine.transactions import TransactionManager

# LEAN creates the algorithm without arguments; its engine waits here for the moment of creation.
CURRENT_ENGINE: ContextVar[EngineState | None] = ContextVar("engine", default=None)
_SETTABLE: Final = frozenset({"name", "default_order_properties"})


class Parameter:
    """One entry of `get_parameters()`."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.value = value

    def __iter__(self) -> Iterator[str]:
        return iter((self.key, self.value))


class Parameters(dict[str, str]):
    """All parameters; iterates key and value pairs, as a .NET dictionary does."""

    def __iter__(self) -> Iterator[Any]:
        return iter([Parameter(key, value) for key, value in self.items()])

    def contains_key(self, key: str) -> bool:
        return key in self

    @property
    def count(self) -> int:
        return len(self)


class SecurityChanges:
    """What joined and left the algorithm's universe."""

    def __init__(self, added: list[Security], removed: list[Security]) -> None:
        self.added_securities = sorted(added, key=lambda security: security.symbol.value)
        self.removed_securities = sorted(removed, key=lambda security: security.symbol.value)

    @property
    def count(self) -> int:
        return len(self.added_securities) + len(self.removed_securities)

    def __repr__(self) -> str:
        added = ", ".join(str(security.symbol) for security in self.added_securities)
        removed = ", ".join(str(security.symbol) for security in self.removed_securities)
        return f"SecurityChanges: Added: {added} Removed: {removed}"


class Notifications:
    """`self.notify`: accepted and dropped, as LEAN does outside the cloud."""

    def email(self, *_: object) -> bool:
        return False

    def sms(self, *_: object) -> bool:
        return False

    def web(self, *_: object) -> bool:
        return False

    def telegram(self, *_: object) -> bool:
        return False


class BrokerageModelSecurityInitializer:
    """Sets a brokerage model's fee, margin and settlement models, then seeds the price."""

    def __init__(self, model: DefaultBrokerageModel | None = None, seeder: object = None) -> None:
        self._model = model
        self._seeder = seeder

    def initialize(self, security: Security) -> None:
        engine = _engine()
        model = self._model or engine.brokerage_model
        security.fee_model = model.get_fee_model(security)
        security.buying_power_model = model.get_buying_power_model(security)
        security.settlement_model = model.get_settlement_model(security)
        if isinstance(self._seeder, FuncSecuritySeeder):
            self._seeder.seed_security(security)


class FuncSecuritySeeder:
    """Seeds a security with the last of the bars that a function finds."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def seed_security(self, security: Security) -> bool:
        found = self._function(security)
        bars = list(found) if isinstance(found, list | tuple) else [found]
        bars = [bar for bar in bars if bar is not None]
        for bar in bars:
            security.seed(bar)
        return bool(bars)


class SecuritySeeder:
    """LEAN's `SecuritySeeder.NULL`."""

    NULL = None


class QCAlgorithm(TradingApi, DataApi):
    """Base class of algorithms.  Hooks are empty here and overridden by the algorithm."""

    default_order_properties: OrderProperties

    def __new__(cls, *arguments: object, **keywords: object) -> Self:
        self = super().__new__(cls)
        engine = CURRENT_ENGINE.get()
        if engine is None:
            raise EngineError(f"{cls.__name__}(): an algorithm is created by the engine, not by hand.")
        put = object.__setattr__
        put(self, "_embedded_engine", engine)
        put(self, "_embedded_warned", set())
        put(self, "default_order_properties", OrderProperties())
        put(self, "name", cls.__name__)
        put(self, "notify", Notifications())
        return self

    def __setattr__(self, name: str, value: object) -> None:
        # LEAN converts what is assigned to one of its properties, and fails; methods are replaced in silence.
        if name in PROPERTIES and name not in _SETTABLE:
            raise TypeError(
                f"self.{name} = ...: {type(value).__name__!r} value cannot be converted, {name} is a member of "
                f"QCAlgorithm. Call it self._{name}."
            )
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in PROPERTIES or name in METHODS:
            raise EngineUnsupported(f"QCAlgorithm.{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # Hooks.

    def initialize(self) -> None: ...

    def on_data(self, slice: Slice) -> None: ...

    def on_order_event(self, order_event: OrderEvent) -> None: ...

    def on_assignment_order_event(self, assignment_event: OrderEvent) -> None: ...

    def on_securities_changed(self, changes: SecurityChanges) -> None: ...

    def on_end_of_algorithm(self) -> None: ...

    def on_warmup_finished(self) -> None: ...

    def on_margin_call(self, requests: list[SubmitOrderRequest]) -> list[SubmitOrderRequest]:
        return requests

    def on_margin_call_warning(self) -> None: ...

    def on_splits(self, splits: Splits) -> None: ...

    def on_dividends(self, dividends: Dividends) -> None: ...

    def on_delistings(self, delistings: Delistings) -> None: ...

    def on_brokerage_message(self, message_event: object) -> None: ...

    def on_brokerage_disconnect(self) -> None: ...

    def on_brokerage_reconnect(self) -> None: ...

    def on_command(self, data: object) -> bool | None:
        return None

    # Time and mode.

    @property
    def time(self) -> datetime:
        return self._embedded_engine.clock.time

    @property
    def utc_time(self) -> datetime:
        return aware(self._embedded_engine.clock.utc)

    @property
    def start_date(self) -> datetime:
        day = self._embedded_engine.start_date
        return datetime(day.year, day.month, day.day)

    @property
    def end_date(self) -> datetime:
        day = self._embedded_engine.end_date
        return datetime(day.year, day.month, day.day) + timedelta(days=1, microseconds=-1)

    @property
    def time_zone(self) -> str:
        return self._embedded_engine.clock.zone.name

    @property
    def live_mode(self) -> bool:
        return self._embedded_engine.live_mode

    @property
    def algorithm_mode(self) -> AlgorithmMode:
        return AlgorithmMode.LIVE if self._embedded_engine.live_mode else AlgorithmMode.BACKTESTING

    @property
    def deployment_target(self) -> DeploymentTarget:
        return DeploymentTarget.LOCAL_PLATFORM

    @property
    def is_warming_up(self) -> bool:
        """Whether orders are refused still; LEAN says so in `initialize` too, with or without a warm-up."""
        return self._embedded_engine.is_warming_up or not self._embedded_engine.is_locked

    @property
    def status(self) -> AlgorithmStatus:
        return self._embedded_engine.status

    @property
    def run_time_error(self) -> object:
        return self._embedded_engine.run_time_error

    # Set-up.

    def set_start_date(self, *day: int | date) -> None:
        self._set_date("start_date", day)

    def set_end_date(self, *day: int | date) -> None:
        self._set_date("end_date", day)

    def _set_date(self, which: str, parts: tuple[int | date, ...]) -> None:
        engine = self._embedded_engine
        self._refuse_after_start(f"set_{which}")
        if engine.live_mode or engine.dates_are_fixed:
            return  # live: no effect; a job with dates of its own overrides the algorithm's
        if len(parts) == 1 and isinstance(parts[0], date):
            found = parts[0]
            value = found.date() if isinstance(found, datetime) else found
        else:
            value = date(*(int(part) for part in parts))  # type: ignore[arg-type]
        setattr(engine, which, value)
        if which == "start_date":
            engine.clock.set_utc(engine.clock.zone.utc(datetime(value.year, value.month, value.day)))

    def set_cash(self, cash: float | str, *rest: float) -> None:
        self._refuse_after_start("set_cash")
        if isinstance(cash, str):
            if cash.upper() != "USD":
                raise EngineUnsupported(f"set_cash({cash!r}, ...)", "use USD")
            cash = rest[0]
        if not self._embedded_engine.cash_is_given:
            self._embedded_engine.portfolio.set_cash(float(cash))

    def set_account_currency(self, currency: str, starting_cash: float | None = None) -> None:
        if currency.upper() != "USD":
            raise EngineUnsupported(f"set_account_currency({currency!r})", "use USD")
        if starting_cash is not None:
            self.set_cash(starting_cash)

    def set_time_zone(self, time_zone: str) -> None:
        self._refuse_after_start("set_time_zone")
        self._embedded_engine.clock.set_zone(str(time_zone))

    def set_brokerage_model(
        self, brokerage: BrokerageName | DefaultBrokerageModel, account_type: AccountType = AccountType.MARGIN
    ) -> None:
        if isinstance(brokerage, DefaultBrokerageModel):
            self._embedded_engine.set_brokerage_model(brokerage)
            return
        self._embedded_engine.set_brokerage_model(brokerage_model(BrokerageName(brokerage), AccountType(account_type)))

    @property
    def brokerage_model(self) -> DefaultBrokerageModel:
        return self._embedded_engine.brokerage_model

    def set_security_initializer(self, initializer: object) -> None:
        """Replace the brokerage model's initializer by a function or an object with `initialize`."""
        self._refuse_after_start("set_security_initializer")
        self._embedded_engine.initializer = _initializer(initializer)

    def add_security_initializer(self, initializer: object) -> None:
        """Run a further initializer after the present one."""
        self._embedded_engine.extra_initializers.append(_initializer(initializer))

    def set_benchmark(self, *_: object) -> None:
        """Accepted: the benchmark changes nothing but LEAN's own statistics."""

    def set_warm_up(self, period: int | timedelta, resolution: Resolution | None = None) -> None:
        self._refuse_after_start("set_warm_up")
        engine = self._embedded_engine
        engine.warmup_resolution = resolution
        if isinstance(period, timedelta):
            engine.warmup_span, engine.warmup_bars = period, 0
        else:
            engine.warmup_span, engine.warmup_bars = None, int(period)
        engine.is_warming_up = True

    set_warmup = set_warm_up

    def set_name(self, name: str) -> None:
        self.name = name

    @property
    def settings(self) -> AlgorithmSettings:
        return self._embedded_engine.settings

    @property
    def universe_settings(self) -> UniverseSettings:
        return self._embedded_engine.universe_settings

    def _refuse_after_start(self, call: str) -> None:
        if self._embedded_engine.is_locked:
            raise RuntimeError(f"Algorithm.{call}(): Cannot be called after the algorithm is initialized.")

    # Parameters.  LEAN converts by the default's type; a bool default counts as a number: "false" gives 1.0 for True.

    def get_parameter(self, name: str, default: Any = None) -> Any:
        text = self._embedded_engine.parameters.get(name)
        if isinstance(default, bool | float):
            return _parsed(float, text, float(default))
        if isinstance(default, int):
            return _parsed(int, text, default)
        return default if text is None else text

    def get_parameters(self) -> Parameters:
        return Parameters(self._embedded_engine.parameters)

    # What a run is made of.

    @property
    def portfolio(self) -> Portfolio:
        return self._embedded_engine.portfolio

    @property
    def securities(self) -> SecurityManager:
        return self._embedded_engine.securities

    @property
    def active_securities(self) -> SecurityManager:
        return self._embedded_engine.securities

    @property
    def transactions(self) -> TransactionManager:
        return self._embedded_engine.transactions

    @property
    def schedule(self) -> ScheduleManager:
        return self._embedded_engine.schedule

    @property
    def date_rules(self) -> DateRules:
        return self._embedded_engine.date_rules

    @property
    def time_rules(self) -> TimeRules:
        return self._embedded_engine.time_rules

    @property
    def universe_manager(self) -> UniverseManager:
        return UniverseManager(self._embedded_engine.chains)

    @property
    def object_store(self) -> ObjectStore:
        return self._embedded_engine.object_store

    @property
    def current_slice(self) -> Slice | None:
        return self._embedded_engine.current_slice

    @property
    def account_currency(self) -> str:
        return "USD"

    @property
    def project_id(self) -> int:
        return 0

    @property
    def algorithm_id(self) -> str:
        return self.name

    # Words and numbers for people.

    def log(self, message: object) -> None:
        self._embedded_engine.log(_text(message))

    def debug(self, message: object) -> None:
        self._embedded_engine.debug(_text(message))

    def error(self, message: object) -> None:
        self._embedded_engine.error(_text(message))

    def plot(self, *arguments: Any) -> None:
        """`plot(series, value)` or `plot(chart, series, value)`."""
        if len(arguments) == 2:
            arguments = ("Strategy Equity Custom", *arguments)
        chart, series, value = arguments
        self._embedded_engine.charts.plot(str(chart), str(series), self._embedded_engine.clock.utc, float(value))

    def add_chart(self, chart: Chart) -> None:
        self._embedded_engine.charts.add(chart)

    def add_series(self, chart: str, series: str, *_: object) -> None:
        book = self._embedded_engine.charts.charts.setdefault(chart, Chart(chart))
        book.series.setdefault(series, Series(series))

    def set_runtime_statistic(self, name: str, value: object) -> None:
        self._embedded_engine.runtime_statistics[name] = _text(value)

    def set_summary_statistic(self, name: str, value: object) -> None:
        self._embedded_engine.summary_statistics[name] = _text(value)

    def quit(self, message: str = "") -> None:
        """End the run after this step, as a completed one."""
        self._embedded_engine.debug(f"Quit(): {message}")
        self._embedded_engine.stop()

    def set_quit(self, quit: bool) -> None:
        if quit:
            self._embedded_engine.stop()


def _engine() -> EngineState:
    engine = CURRENT_ENGINE.get()
    assert engine is not None, "security initializers run inside an engine"
    return engine


def _initializer(initializer: object) -> Callable[[Security], object]:
    if isinstance(initializer, BrokerageModelSecurityInitializer):
        return initializer.initialize
    if callable(initializer):
        return initializer
    method = getattr(initializer, "initialize", None)
    if not callable(method):
        raise TypeError("set_security_initializer: expected a function, or an object with a method initialize.")
    return method  # type: ignore[no-any-return]


def _parsed(kind: type, text: str | None, default: Any) -> Any:
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError:
        return default


def _text(message: object) -> str:
    return message if isinstance(message, str) else str(message)


__all__ = ["CURRENT_ENGINE", "QCAlgorithm", "SecurityChanges"]
