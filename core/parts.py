"""What a step works with."""

from __future__ import annotations

from dataclasses import dataclass

from core.announcements import Announcements
from core.books import Books
from core.component_initializer import ComponentInitializer
from core.entry_pipeline import EntryPipeline
from core.exit_plans import ExitWatch
from core.family_desk import FamilyDesk
from core.ledger import Ledger
from core.market_data import MarketData
from core.order_gateway import OrderGateway
from core.ports import Broker, MarketFeed
from core.reconciliation import Reconciler
from core.recorder import Recorder
from core.rules import Manager, VixReader
from core.session import SessionClock
from core.settings import Settings
from core.settlement import Settlement
from core.state_manager import StateManager
from core.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a step works with, built by the initializer."""

    settings: Settings
    initializer: ComponentInitializer
    ledger: Ledger
    books: Books
    announcements: Announcements
    clock: SessionClock
    feed: MarketFeed
    broker: Broker
    gateway: OrderGateway
    state: StateManager
    reconciler: Reconciler
    market_data: MarketData
    settlement: Settlement
    vix: VixReader
    managers: tuple[Manager, ...]
    pipeline: EntryPipeline
    exits: ExitWatch
    strategies: tuple[Strategy, ...]
    recorder: Recorder
    family: FamilyDesk | None = None
