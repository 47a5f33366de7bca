"""The ETF book's part of the component table: what its desk is made of, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar, cast

from core.books import Books
from core.component_initializer import Blocks, Row
from core.entry_pipeline import GatedRule
from core.family import BOOK
from core.family_auction import FamilyAuction
from core.family_charts import FamilyChart
from core.family_desk import FamilyDesk, FamilyParts
from core.family_entry import FamilyEntry
from core.family_fold import FamilyFold
from core.family_market import FamilyMarket
from core.family_orders import FamilyOrders
from core.family_splits import FamilySplits
from core.ledger import Ledger
from core.ledger_kinds import Fold, Kind, Take
from core.order_gateway import OrderGateway
from core.ports import Broker, MarketFeed, OrderType
from core.session_gate import SessionGate
from core.settings import Mode, Settings
from core.state_manager import StateManager
from core.vocabulary import Gate
from helpers.brokerages import CAPABILITIES
from risk.chain_gate import ChainGate
from risk.circuit_breaker import CircuitBreaker
from risk.event_calendar import EventCalendar
from risk.family_risk import FamilyRoom
from risk.family_sizer import FamilySizer
from risk.invariants import Invariants
from risk.margin_manager import MarginManager
from risk.principles import PrincipleMonitor
from risk.step_pricer import StepPricer
from risk.stress import StressTester
from risk.vix_manager import VixManager
from strategies.etf_rotation import AllocationPolicy, EtfRotation
from strategies.signals.health import SignalHealth
from strategies.signals.synthetic import make_signal

T = TypeVar("T")

NEEDS = (
    "ledger", "session_clock", "state_manager", "order_gateway", "reconciliation", "market_data", "step_pricer",
    "chain_gate", "vix_manager", "event_calendar", "circuit_breaker", "margin_manager",
)  # fmt: skip


def make_fold(settings: Settings, books: Books) -> FamilyFold | None:
    """Return the fold of the ETF book's counters, None in a run without it."""
    chosen = settings.etf_rotation
    return FamilyFold(books, block_minutes=chosen.block_minutes) if chosen.enabled else None


class Listener(Protocol):
    """Takes records of some kinds in."""

    def takes(self, kind: Kind) -> Sequence[Take]: ...


def fold_of(books: Books, *listeners: Listener | None) -> Fold:
    """Return who takes records in: the books first, then what is counted or told beside them; each is told of its own
    kinds only.
    """
    present = [books, *(listener for listener in listeners if listener is not None)]

    def takes(kind: Kind) -> tuple[Take, ...]:
        return tuple(take for listener in present for take in listener.takes(kind))

    return takes


def family_row(
    settings: Settings, feed: MarketFeed, broker: Broker, books: Books, fold: FamilyFold, monitor: PrincipleMonitor
) -> Row:
    """Return the row of the ETF book."""

    def make(parts: Mapping[str, object]) -> FamilyDesk:
        return _make_desk(settings, feed, broker, books, fold, monitor, parts)

    return Row(BOOK, EtfRotation.tier, NEEDS, make, Blocks.ITSELF, critical=False)


def _make_desk(
    settings: Settings,
    feed: MarketFeed,
    broker: Broker,
    books: Books,
    fold: FamilyFold,
    monitor: PrincipleMonitor,
    parts: Mapping[str, object],
) -> FamilyDesk:
    def need(name: str, kind: type[T]) -> T:
        return cast(kind, parts[name])  # type: ignore[valid-type]

    chosen, brokerage = settings.etf_rotation, settings.account.brokerage
    ledger, state = need("ledger", Ledger), need("state_manager", StateManager)
    margin = need("margin_manager", MarginManager)
    stress = StressTester(settings.stress, need("step_pricer", StepPricer))
    market = FamilyMarket(chosen, feed)
    has_auction = OrderType.MARKET_ON_CLOSE in CAPABILITIES[brokerage].order_types
    orders = FamilyOrders(chosen, brokerage, ledger, books, fold, broker, need("order_gateway", OrderGateway), state)
    gates = (
        GatedRule(Gate.DATA, need("chain_gate", ChainGate).rule),
        GatedRule(Gate.VIX, need("vix_manager", VixManager).rule),
        GatedRule(Gate.EVENTS, need("event_calendar", EventCalendar).rule),
        GatedRule(Gate.BREAKER, need("circuit_breaker", CircuitBreaker).rule),
        GatedRule(Gate.MARGIN, margin.rule),
    )
    entry = FamilyEntry(
        chosen,
        settings.account.type,
        ledger,
        books,
        fold,
        market,
        orders,
        FamilySizer(chosen, brokerage),
        FamilyRoom(margin, stress),
        gates,
        Invariants(settings.sizer).rule,
    )
    return FamilyDesk(
        FamilyParts(
            settings=chosen,
            ledger=ledger,
            books=books,
            fold=fold,
            market=market,
            orders=orders,
            entry=entry,
            splits=FamilySplits(ledger, books, broker),
            state=state,
            signal=make_signal(chosen, backtest=settings.run.mode is Mode.BACKTEST),
            policy=AllocationPolicy(chosen),
            gate=SessionGate.for_clock(chosen, settings.session),
            monitor=monitor,
            chart=FamilyChart(books, fold, sessions=_sessions(settings)),
            auction=FamilyAuction(chosen, ledger, books, market, orders, is_offered=has_auction),
            make_health=SignalHealth,
        )
    )


def _sessions(settings: Settings) -> int:
    """Return about how many sessions the run has; a paper or live run is charted session by session."""
    if settings.run.mode is not Mode.BACKTEST:
        return 1
    return (settings.run.end - settings.run.start).days * 5 // 7 + 1
