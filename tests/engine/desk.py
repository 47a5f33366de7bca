"""A small market in memory and an algorithm that does what a test tells it and writes down what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from engine.algorithm import QCAlgorithm, SecurityChanges
from engine.enums import AccountType, BrokerageName, OptionRight, Resolution
from engine.host import EngineJob, Host
from engine.memory import MemorySource
from engine.models.expiry import NullOptionAssignmentModel
from engine.option_security import Option
from engine.orders import Leg, OrderEvent
from engine.results import RunResult
from engine.securities import Security
from engine.slice import Slice
from engine.symbols import Symbol, option_on

SPY = Symbol.equity("SPY")
SPX = Symbol.index("SPX")
VIX = Symbol.index("VIX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
THURSDAY = date(2025, 1, 2)
FRIDAY = date(2025, 1, 3)
SATURDAY = date(2025, 1, 4)
MONDAY = date(2025, 1, 6)
OPEN, CLOSE, INDEX_CLOSE = 570, 960, 975
PUT, CALL = OptionRight.PUT, OptionRight.CALL


def minute(text: str) -> int:
    """Return the minute of day of "10:01"."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def contract(strike: float, right: OptionRight, expiry: date = FRIDAY) -> Symbol:
    return option_on(SPXW, int(right), float(strike), expiry.toordinal())


# Long put, short put, short call, long call of the condor that most tests trade, at a spot of 5,300.
WINGS = (contract(5_260, PUT), contract(5_280, PUT), contract(5_320, CALL), contract(5_340, CALL))


class Market:
    """SPY, SPX, VIX and a few SPXW contracts, flat unless a test says otherwise."""

    def __init__(self, *, holidays: Iterable[date] = (), early_closes: Mapping[date, int] | None = None) -> None:
        self.source = MemorySource(holidays=holidays, early_closes=early_closes)

    def session(
        self,
        day: date,
        *,
        spot: float = 5_300.0,
        stock: float = 500.0,
        close: int = CLOSE,
        index_close: int = INDEX_CLOSE,
    ) -> Market:
        """Add a session of flat prices: SPX and VIX until 16:15, SPY with quotes a cent around its price."""
        self.source.set_bars(SPX, day, range(OPEN + 1, index_close + 1), spot)
        self.source.set_bars(VIX, day, range(OPEN + 1, index_close + 1), 16.0)
        self.stock(SPY, day, stock, close=close)
        return self

    def stock(self, symbol: Symbol, day: date, price: float, *, close: int = CLOSE) -> Market:
        minutes = range(OPEN + 1, close + 1)
        self.source.set_bars(symbol, day, minutes, price, volume=100.0)
        self.source.set_quotes(symbol, day, minutes, price - 0.01, price + 0.01)
        return self

    def chain(
        self,
        prior: date,
        quotes: Mapping[Symbol, tuple[float, float]],
        *,
        spot: float = 5_300.0,
        days: Iterable[date] | None = None,
        close: int = INDEX_CLOSE,
    ) -> Market:
        """List contracts in the universe file of the prior session and quote them flat on their last day."""
        self.source.set_universe(SPXW, prior, quotes, spot)
        for symbol, (bid, ask) in quotes.items():
            for day in days or (symbol.id.date.date(),):
                self.source.set_quotes(symbol, day, range(OPEN + 1, close + 1), bid, ask)
        return self

    def condor(self, prior: date = THURSDAY, *, close: int = INDEX_CLOSE) -> Market:
        """Quote WINGS: wings 2.90/3.10, shorts 5.40/5.60, so that the natural credit is 4.60."""
        long, short = (2.90, 3.10), (5.40, 5.60)
        return self.chain(prior, dict(zip(WINGS, (long, short, short, long), strict=True)), close=close)


@dataclass
class Heard:
    """One line of what an algorithm heard; time is New York, "03 10:01"."""

    time: str
    what: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a desk does: functions of the desk at New York times of every day, and in its hooks."""

    start: date = FRIDAY
    end: date = FRIDAY
    cash: float = 100_000.0
    brokerage: BrokerageName = BrokerageName.INTERACTIVE_BROKERS_BROKERAGE
    account: AccountType = AccountType.MARGIN
    with_chain: bool = False
    null_assignment: bool = True
    fill_forward: bool = False
    at: Mapping[str, Callable[[Desk], object]] = field(default_factory=dict)
    on_data: Callable[[Desk, Slice], object] | None = None
    on_event: Callable[[Desk, OrderEvent], object] | None = None
    set_up: Callable[[Desk], object] | None = None


class Desk(QCAlgorithm):
    """Follows a plan; `heard` is its diary."""

    plan = Plan()

    def initialize(self) -> None:
        plan = self.plan
        self.heard: list[Heard] = []
        self.results: list[Any] = []
        self.set_start_date(plan.start)
        self.set_end_date(plan.end)
        self.set_cash(plan.cash)
        self.set_brokerage_model(plan.brokerage, plan.account)
        if plan.null_assignment:
            self.add_security_initializer(_no_early_assignment)
        self.add_equity("SPY", Resolution.MINUTE, fill_forward=plan.fill_forward)
        if plan.with_chain:
            self.add_index("SPX", Resolution.MINUTE, fill_forward=plan.fill_forward)
            self.add_index("VIX", Resolution.MINUTE, fill_forward=plan.fill_forward)
            option = self.add_index_option("SPX", "SPXW", Resolution.MINUTE, fill_forward=plan.fill_forward)
            option.set_filter(lambda universe: universe.expiration(0, 0).strikes(-50, 50))
        for text, act in plan.at.items():
            hours, minutes = (int(part) for part in text.split(":"))
            self.schedule.on(self.date_rules.every_day(), self.time_rules.at(hours, minutes), self._runner(act))
        if plan.set_up is not None:
            plan.set_up(self)

    def _runner(self, act: Callable[[Desk], object]) -> Callable[[], object]:
        return lambda: act(self)

    def note(self, what: str, *values: Any) -> None:
        self.heard.append(Heard(f"{self.time:%d %H:%M}", what, values))

    def keep(self, value: Any) -> None:
        self.results.append(value)

    def on_data(self, slice: Slice) -> None:
        if self.plan.on_data is not None:
            self.plan.on_data(self, slice)

    def on_order_event(self, order_event: OrderEvent) -> None:
        event = order_event
        self.note(event.status.name, event.order_id, event.fill_quantity, event.fill_price, event.message)
        if self.plan.on_event is not None:
            self.plan.on_event(self, event)

    def on_assignment_order_event(self, assignment_event: OrderEvent) -> None:
        self.note("assigned", assignment_event.order_id, assignment_event.message)

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        self.note("changed", len(changes.added_securities), len(changes.removed_securities))

    def on_end_of_algorithm(self) -> None:
        self.note("end")

    # What tests ask.

    def events(self, *statuses: str) -> list[Heard]:
        """Return the order events heard, those of some statuses only if any are named."""
        known = statuses or ("SUBMITTED", "FILLED", "CANCELED", "INVALID", "CANCEL_PENDING", "UPDATE_SUBMITTED", "NEW")
        return [line for line in self.heard if line.what in known]

    def condor(self, units: int = -1, limit: float = 4.60, tag: str = "") -> list[Any]:
        """Send the condor: legs as bought when units is positive, so -1 with a positive limit sells it."""
        return self.combo_limit_order(self.legs(), units, limit, tag=tag)

    def legs(self) -> list[Leg]:
        long_put, short_put, short_call, long_call = WINGS
        return [
            Leg.create(long_put, -1),
            Leg.create(short_put, 1),
            Leg.create(short_call, 1),
            Leg.create(long_call, -1),
        ]

    def held(self) -> list[float]:
        return [self.portfolio[symbol].quantity for symbol in WINGS]


def desk(**plan: Any) -> type[Desk]:
    """Return a class of algorithms that follows this plan."""
    return type("Desk", (Desk,), {"plan": Plan(**plan)})


def trade(market: Market, **plan: Any) -> Desk:
    """Run a plan on a market to its end and return the algorithm; a runtime error fails the test."""
    ran, result = run(market, **plan)
    assert result.error is None, result.error.traceback
    return ran


def run(market: Market, job: Mapping[str, Any] | None = None, **plan: Any) -> tuple[Desk, RunResult]:
    """Run a plan on a market and return algorithm and result, whatever happened."""
    host = Host(EngineJob(main=desk(**plan), source=market.source, **(job or {})))
    result = host.run()
    assert isinstance(host.algorithm, Desk)
    return host.algorithm, result


def started(market: Market, job: Mapping[str, Any] | None = None, **plan: Any) -> Host:
    """Return a host that is ready to advance."""
    host = Host(EngineJob(main=desk(**plan), source=market.source, **(job or {})))
    host.start()
    return host


def times(lines: Iterable[Heard]) -> list[str]:
    return [line.time for line in lines]


def when(day: date, text: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(text))


def _no_early_assignment(security: Security) -> None:
    if isinstance(security, Option):
        security.set_option_assignment_model(NullOptionAssignmentModel())
