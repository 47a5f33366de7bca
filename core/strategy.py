"""What a strategy is: a story, an entry window, an entry, an exit.  It wants; it never orders, and it keeps no
position of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from core.market import MarketSnapshot, Session
from core.ports import OrderType
from core.vocabulary import Intent, Verdict

if TYPE_CHECKING:
    from core.books import Books
    from core.exit_plans import Exit, ExitWatch
    from core.trades import Trade


@dataclass(frozen=True, slots=True)
class EntryWindow:
    """When an order of this strategy may start today; both ends inclusive, naive New York."""

    start: datetime
    end: datetime

    def holds(self, now: datetime) -> bool:
        return self.start <= now <= self.end


@dataclass(frozen=True, slots=True)
class UnitCap:
    """A cap on units that the strategy itself sets, and what it hangs on (for the record)."""

    units: int
    because: str


class Strategy(ABC):
    """Base of every strategy; the coordinator asks for exits first, then, inside the window, for an entry."""

    name: ClassVar[str]
    priority: ClassVar[int]
    root: ClassVar[str]
    order_types: ClassVar[frozenset[OrderType]]
    """What the brokerage must be able to do, else the strategy does not start (CAPABILITY_MISSING)."""

    short_premium: ClassVar[bool] = True
    same_day: ClassVar[bool] = False
    """Flat by tonight: judged by the ordinary shocks only, and by the 0DTE rows of the event calendar."""

    @abstractmethod
    def window(self, session: Session) -> EntryWindow | None:
        """Return today's entry window, None where today is not an entry session."""

    @abstractmethod
    def watches(self, session: Session) -> date | None:
        """Return the expiry whose chain must be followed from the open on (spread medians), None where none is needed
        today.
        """

    def is_done(self, books: Books, day: date) -> bool:
        """Tell whether every entry of this day is refused from now on, whatever the market does: nobody follows a chain
        for it any more.
        """
        return False

    @abstractmethod
    def enter(self, snapshot: MarketSnapshot, books: Books) -> Intent | Verdict:
        """Return an OPEN intent with plan, unit risk and exit plan, or the first refusal of the strategy's own
        rules.
        """

    @abstractmethod
    def cap(self, snapshot: MarketSnapshot) -> UnitCap:
        """Return the most units this strategy would hold today."""

    def max_open(self, account_phase: int) -> int:
        """Return how many open trades of this strategy the account phase allows."""
        return 1

    def leave(self, trade: Trade, snapshot: MarketSnapshot, books: Books, watch: ExitWatch) -> Exit | None:
        """Return the exit that is due, None to stay. By default the stored exit plan decides alone."""
        return watch.judge(trade, snapshot)
