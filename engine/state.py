"""Everything a run is made of, behind the algorithm object: clock, feed, account, orders, schedules, stores, log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from engine.broker import BrokerPort, SimulatedBroker
from engine.charts import ChartBook
from engine.clock import MINUTES_PER_DAY, EngineClock, stamp_of
from engine.columns import DataSource, SymbolProperties
from engine.enums import AlgorithmStatus, DataNormalizationMode, Resolution, SecurityType
from engine.exchange import ExchangeClock
from engine.feed import Feed, Subscription
from engine.holdings import SecurityHolding
from engine.models.brokerage import DefaultBrokerageModel
from engine.models.fees import InteractiveBrokersFeeModel
from engine.models.security_margin import OptionMarginModel, SecurityMarginModel
from engine.models.settlement import ImmediateSettlement
from engine.object_store import ObjectStore
from engine.option_security import Option
from engine.orders import OrderEvent
from engine.portfolio import Portfolio
from engine.schedule import DateRules, ScheduleManager, Scheduler, TimeRules
from engine.securities import Equity, Index, Security
from engine.security_manager import SecurityManager
from engine.selection import ChainUniverse
from engine.settings import AlgorithmSettings, UniverseSettings
from engine.slice import Slice
from engine.symbols import Symbol
from engine.transactions import TransactionManager

if TYPE_CHECKING:
    from engine.algorithm import QCAlgorithm
    from engine.hours import ExchangeHours

DEFAULT_START: Final = date(1998, 1, 1)
END_OF_TIME: Final = date(2050, 12, 31)  # LEAN's: schedules do not end with the run, its last slice may lie after it
_IMMEDIATE: Final = ImmediateSettlement()

LogSink = Callable[[str], None]
Initializer = Callable[[Security], object]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the algorithm's log; kind is log, debug or error."""

    time: datetime
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} {self.text}"


@dataclass(frozen=True, slots=True)
class RunError:
    """What ended a run: the hook it happened in, one sentence, and the traceback."""

    where: str
    text: str
    traceback: str


# How far back live LEAN finds a price for a security, at least: a process may be started on the last day of a long
# weekend, and what expired before it is settled at the underlying's last price.
SEEDED_DAYS: Final = 5


class EngineState:
    """The world of one run.  The algorithm holds it as its engine; nothing here is LEAN API."""

    broker: BrokerPort

    def __init__(
        self,
        source: DataSource,
        *,
        live_mode: bool,
        parameters: dict[str, str],
        object_store: ObjectStore,
        log_sink: LogSink | None = None,
    ) -> None:
        self.source = source
        self.live_mode = live_mode
        self.parameters = parameters
        self.object_store = object_store
        self._log_sink = log_sink
        self.clock = EngineClock(datetime(DEFAULT_START.year, 1, 1))
        self.feed = Feed(source)
        self.securities = SecurityManager(self.clock)
        self.portfolio = Portfolio(self.securities, self.clock)
        self.transactions = TransactionManager(self.clock, self.securities, self.portfolio, self)
        self.portfolio.transactions = self.transactions
        self.simulated_broker = SimulatedBroker(self.clock, self.securities, self.portfolio, self.transactions, self)
        self.broker = self.simulated_broker
        self.transactions.broker = self.broker
        self.scheduler = Scheduler(self.clock)
        self.date_rules = DateRules(self, self.clock)
        self.time_rules = TimeRules(self, self.clock)
        self.start_date: date = DEFAULT_START
        self.end_date: date = DEFAULT_START  # the algorithm or the job sets it
        self.schedule = ScheduleManager(self.scheduler, self.date_rules, self.time_rules, self.clock, END_OF_TIME)
        self.settings = AlgorithmSettings()
        self.universe_settings = UniverseSettings()
        self.charts = ChartBook()
        self.runtime_statistics: dict[str, str] = {}
        self.summary_statistics: dict[str, str] = {}
        self.logs: list[LogLine] = []
        self._last_debug = ""
        self._last_error = ""
        self.dates_are_fixed = False
        self.cash_is_given = False  # by the job or a paper account: set_cash has no effect, as live
        self.is_locked = False
        self.is_warming_up = False
        # A warm-up by bars begins with the bar that ends at its first moment: then 1, until its first slice is over.
        self.bars_before_start = 0
        self.warmup_span: timedelta | None = None
        self.warmup_bars = 0
        self.warmup_resolution: Resolution | None = None
        self.status = AlgorithmStatus.RUNNING
        self.run_time_error: RunError | None = None
        self.current_slice: Slice | None = None
        self._brokerage_model = DefaultBrokerageModel()
        self.brokerage_name_was_set = False
        self.initializer: Initializer | None = None  # None: the brokerage model's
        self.extra_initializers: list[Initializer] = []
        self.chains: dict[Symbol, ChainUniverse] = {}
        self.canonicals: dict[Symbol, Option] = {}
        self.maximum_orders = 10_000
        # Securities whose expiries and corporate events the loop has not noted yet.
        self.newly_subscribed: list[Security] = []
        # Contracts that the algorithm has added itself; no chain's choice ends their subscription.
        self.added_by_hand: set[Symbol] = set()
        self.history_points = 0
        self.pending_added: list[Security] = []
        self.pending_removed: list[Security] = []
        self.algorithm: QCAlgorithm | None = None
        # Set by the host: how to call the algorithm's hooks with its guard and stopwatch.
        self.call_order_event: Callable[[OrderEvent], None] = _ignore_event
        self.call_assignment: Callable[[OrderEvent], None] = _ignore_event
        self._clocks: dict[int, ExchangeClock] = {}
        self._hours: dict[tuple[str, SecurityType], ExchangeHours] = {}
        self._properties: dict[tuple[str, SecurityType], SymbolProperties] = {}

    def wrap_broker(self, wrap: Callable[[BrokerPort], BrokerPort]) -> None:
        """Put something between the engine and its broker: this is where faults live."""
        self.broker = self.transactions.broker = wrap(self.broker)

    # Hooks of the transaction manager.

    @property
    def is_running(self) -> bool:
        return self.status is AlgorithmStatus.RUNNING

    @property
    def brokerage_model(self) -> DefaultBrokerageModel:
        return self._brokerage_model

    def set_brokerage_model(self, model: DefaultBrokerageModel) -> None:
        self._brokerage_model = model
        for security in self.securities.total:
            self.initialize_security(security)

    def deliver_order_event(self, event: OrderEvent) -> None:
        self.call_order_event(event)

    def deliver_assignment(self, event: OrderEvent) -> None:
        self.call_assignment(event)

    # Log.

    def error(self, text: str) -> None:
        if not self.live_mode and (not text or text == self._last_error):
            return
        self._last_error = text
        self._write("error", text)

    def debug(self, text: str) -> None:
        if not self.live_mode and (not text or text == self._last_debug):
            return
        self._last_debug = text
        self._write("debug", text)

    def log(self, text: str) -> None:
        if text or self.live_mode:
            self._write("log", text)

    def _write(self, kind: str, text: str) -> None:
        line = LogLine(self.clock.time, kind, text)
        self.logs.append(line)
        if self._log_sink is not None:
            self._log_sink(str(line))

    # Hours.

    def hours_of(self, symbol: Symbol | str) -> ExchangeHours:
        if isinstance(symbol, str):
            symbol = self.securities[symbol].symbol
        key = (symbol.id.symbol, symbol.security_type)
        found = self._hours.get(key)
        if found is None:
            found = self._hours[key] = self.source.hours(symbol)
        return found

    def all_hours(self) -> Sequence[ExchangeHours]:
        return list({id(security.hours): security.hours for security in self.securities.total}.values())

    def clock_of(self, hours: ExchangeHours) -> ExchangeClock:
        found = self._clocks.get(id(hours))
        if found is None:
            found = self._clocks[id(hours)] = ExchangeClock(hours)
        return found

    def properties_of(self, symbol: Symbol) -> SymbolProperties:
        key = (symbol.id.symbol, symbol.security_type)
        found = self._properties.get(key)
        if found is None:
            found = self._properties[key] = self.source.properties(symbol)
        return found

    # Securities.

    def now_stamp(self) -> int:
        """Return the stamp up to which data counts as past: what is subscribed now starts after it."""
        local = self.clock.new_york.local(self.clock.utc)
        return stamp_of(local.date(), local.hour * 60 + local.minute)

    def make_subscription(
        self,
        symbol: Symbol,
        resolution: Resolution,
        fill_forward: bool,
        extended: bool,
        normalization: DataNormalizationMode,
    ) -> Subscription:
        has_quotes = symbol.security_type is not SecurityType.INDEX and resolution is not Resolution.DAILY
        since = self.now_stamp() - self.bars_before_start
        if self.live_mode:
            since -= since % MINUTES_PER_DAY  # live, LEAN seeds prices: what came earlier today is known
            if not symbol.security_type.is_option:
                since -= SEEDED_DAYS * MINUTES_PER_DAY
        return Subscription(
            resolution, fill_forward, extended, normalization, trades=True, quotes=has_quotes, since=since
        )

    def create_security(self, symbol: Symbol, subscription: Subscription) -> Security:
        """Return a new security with all its models; the caller subscribes it."""
        hours = self.hours_of(symbol)
        kind: type[Security] = Option
        if symbol.security_type is SecurityType.EQUITY:
            kind = Equity
        elif symbol.security_type is SecurityType.INDEX:
            kind = Index
        security = kind(
            symbol, subscription, hours, self.clock_of(hours), self.properties_of(symbol), self.feed, self.clock
        )
        security.holdings = SecurityHolding(security, self.portfolio)
        if symbol.underlying is not None:
            security.underlying = self.securities.find(symbol.underlying)
        self.securities.add(security)
        if self.initializer is not None:
            _give_default_models(security)
        self.initialize_security(security)
        return security

    def initialize_security(self, security: Security) -> None:
        """Run the security initializers: the brokerage model's unless the algorithm replaced it."""
        if self.initializer is None:
            self.apply_brokerage_models(security)
        else:
            self.initializer(security)
        for initializer in self.extra_initializers:
            initializer(security)

    def apply_brokerage_models(self, security: Security) -> None:
        model = self._brokerage_model
        security.fee_model = model.get_fee_model(security)
        security.buying_power_model = model.get_buying_power_model(security)
        security.settlement_model = model.get_settlement_model(security)

    def subscribe(self, security: Security) -> None:
        """Start delivering a security's data and report it as added."""
        self.feed.add(security)
        self.pending_added.append(security)
        self.newly_subscribed.append(security)

    def unsubscribe(self, security: Security) -> None:
        """Stop delivering a security's data; it stays reachable by key."""
        self.feed.remove(security, self.now_stamp())
        security.is_tradable = False
        self.securities.hide(security.symbol)
        self.portfolio.visibility_changed()

    def may_leave_universe(self, symbol: Symbol) -> bool:
        """Whether nothing ties the account to a contract: no position, no open order, no unsettled money."""
        security = self.securities.find(symbol)
        if security is None:
            return True
        if security.holdings.quantity != 0 or security.settlement_model.unsettled_cash > 0:
            return False
        return not any(order.symbol is symbol for order in self.transactions.working_orders())

    def stop(self) -> None:
        """End the run after this step, as a completed one (`quit`)."""
        self.status = AlgorithmStatus.STOPPED

    def set_runtime_error(self, where: str, error: BaseException, traceback: str) -> None:
        """Record what ended the run; the first one counts."""
        if self.run_time_error is None:
            text = f"{type(error).__name__}: {error}"
            self.run_time_error = RunError(
                where, f"During the algorithm's {where} the following error has occurred: {text}", traceback
            )
        self.status = AlgorithmStatus.RUNTIME_ERROR


def _give_default_models(security: Security) -> None:
    """Give a new security what it has in LEAN before an initializer of the algorithm's own sees it."""
    security.fee_model = InteractiveBrokersFeeModel()
    is_equity = security.type is SecurityType.EQUITY
    security.buying_power_model = (
        OptionMarginModel() if security.type.is_option else SecurityMarginModel(2.0 if is_equity else 1.0)
    )
    security.settlement_model = _IMMEDIATE


def _ignore_event(event: OrderEvent) -> None:
    return
