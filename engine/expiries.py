"""When subscribed contracts are warned of and when they leave, without asking each contract each minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

from engine.models import expiry

if TYPE_CHECKING:
    from engine.option_security import Option
    from engine.symbols import Symbol


class ExpiryBook:
    """Contracts by the UTC moments of their delisting warning and of their delisting.

    LEAN finds out about a delisting when it reaches the next trading day, and emits it back at its own moment.  A run
    that ends before that trading day never sees it: a Friday's contracts settle on Saturday only if Monday is in it.
    """

    def __init__(self, last_day: Callable[[], date]) -> None:
        self._last_day = last_day
        self._warnings: dict[datetime, dict[Symbol, Option]] = {}
        self._delistings: dict[datetime, dict[Symbol, Option]] = {}
        # When the next contract leaves; asked before every slice.
        self.next_delisting = datetime.max
        # All contracts of one root and expiry have the same two moments.
        self._moments: dict[tuple[str, datetime], tuple[datetime, datetime]] = {}

    def add(self, option: Option) -> None:
        warned, delisted = self._moments_of(option)
        self._warnings.setdefault(warned, {})[option.symbol] = option
        self._delistings.setdefault(delisted, {})[option.symbol] = option
        self.next_delisting = min(self.next_delisting, delisted)

    def remove(self, option: Option) -> None:
        """Forget a contract whose subscription ended."""
        warned, delisted = self._moments_of(option)
        self._warnings.get(warned, {}).pop(option.symbol, None)
        self._delistings.get(delisted, {}).pop(option.symbol, None)

    def moments(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """Yield all moments in [first, last)."""
        for book in (self._warnings, self._delistings):
            for moment, contracts in book.items():
                if contracts and first <= moment < last:
                    yield moment

    def take_delisted(self, utc: datetime) -> list[Option]:
        """Return, once, the contracts that have left by a moment."""
        due = sorted(moment for moment in self._delistings if moment <= utc)
        found = [option for moment in due for option in self._delistings.pop(moment).values()]
        self.next_delisting = min(self._delistings, default=datetime.max)
        return found

    def take_warned(self, utc: datetime) -> list[Option]:
        """Return, once, the contracts whose last day begins by a moment."""
        due = sorted(moment for moment in self._warnings if moment <= utc)
        return [option for moment in due for option in self._warnings.pop(moment).values()]

    def _moments_of(self, option: Option) -> tuple[datetime, datetime]:
        sid = option.symbol.id
        key = (sid.symbol, sid.date)
        found = self._moments.get(key)
        if found is None:
            following = option.hours.get_next_trading_day(expiry.last_trading_day(option.symbol, option.clock)).date()
            is_seen = following <= self._last_day()
            found = self._moments[key] = (
                expiry.delisting_warning_moment(option.symbol, option.clock),
                expiry.expiry_moment(option.symbol, option.clock) if is_seen else datetime.max,
            )
        return found
