"""When the contracts of a chain are chosen, and who joins and leaves.

A universe file of session D is put out at the exchange's midnight after D (01:00 New York for Chicago), and the filter
runs then.  At the start of a run the newest file that is already out is used at once; with an algorithm clock ahead of
the exchange's that is the file of the session before the last one, so a run that starts on a Tuesday first gets
Monday's contracts and an hour later its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from engine.clock import Zone
from engine.columns import UniverseTable
from engine.hours import ExchangeHours
from engine.symbols import Symbol
from engine.universe import DEFAULT_FILTER, ContractFilter, OptionFilterUniverse

ONE_DAY: Final = timedelta(days=1)
_ROUNDING: Final = (ONE_DAY, timedelta(hours=1), timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter run that is due: the file it reads and when it happens (naive UTC and naive exchange time)."""

    file_date: date
    utc: datetime
    exchange_time: datetime


def selections(hours: ExchangeHours, start_utc: datetime, end_utc: datetime) -> Iterator[Selection]:
    """Yield every selection of a run in order, whether or not its file exists; nothing happens where it does not.

    The first happens at start_utc with the file of the last session before the exchange's date of that moment.
    """
    zone = Zone(hours.time_zone.key)
    day = hours.get_previous_trading_day(zone.local(start_utc)).date()
    while True:
        utc = max(zone.utc(datetime(day.year, day.month, day.day) + ONE_DAY), start_utc)
        if utc > end_utc:
            return
        yield Selection(day, utc, zone.local(utc))
        day = hours.get_next_trading_day(day).date()


@dataclass(frozen=True, slots=True)
class UniverseChange:
    """What one selection changed.

    added and removed are what on_securities_changed tells; a removed contract that is held or has an open order keeps
    its data until a later selection lists it in `ended`, without being reported again.
    """

    added: tuple[Symbol, ...] = ()
    removed: tuple[Symbol, ...] = ()
    ended: tuple[Symbol, ...] = ()


class ChainUniverse:
    """The members of one chain over a run."""

    def __init__(
        self,
        canonical: Symbol,
        hours: ExchangeHours,
        contract_filter: ContractFilter | None = None,
        minimum_time: timedelta = ONE_DAY,
    ) -> None:
        self.canonical = canonical
        self.contract_filter = contract_filter or DEFAULT_FILTER
        self._hours = hours
        self._minimum_time = minimum_time
        self._members: dict[Symbol, datetime] = {}  # since when, UTC
        self._pending: dict[Symbol, None] = {}  # reported as removed, still held
        self._selected: dict[Symbol, None] | None = None

    @property
    def members(self) -> tuple[Symbol, ...]:
        """Return the contracts with data, those that wait for their position to close included."""
        return tuple(self._members)

    @property
    def selected(self) -> list[Symbol] | None:
        """Return the underlying and what the filter chose last, None before the first selection."""
        if self._selected is None:
            return None
        underlying = self.canonical.underlying
        return [*(() if underlying is None else (underlying,)), *self._selected]

    @property
    def pending(self) -> tuple[Symbol, ...]:
        """Return the contracts that were reported as removed and wait for their position to close."""
        return tuple(self._pending)

    def select(
        self, table: UniverseTable, selection: Selection, may_leave: Callable[[Symbol], bool] = lambda symbol: True
    ) -> UniverseChange:
        """Run the filter on a file and return the change; may_leave: neither held, nor ordered, nor unsettled.

        An unchanged choice changes nothing, not even for members that were too young to leave last time.
        """
        universe = OptionFilterUniverse(table, selection.exchange_time, self._hours)
        chosen = dict.fromkeys(self.contract_filter(universe).symbols)
        unchanged = self._selected is not None and chosen.keys() == self._selected.keys()
        self._selected = chosen
        ended = self._end_pending(chosen, may_leave)
        if unchanged:
            return UniverseChange(ended=tuple(ended))
        removed: list[Symbol] = []
        for symbol in sorted(self._members, key=lambda member: str(member.id)):
            if symbol in chosen or not self._old_enough(selection.utc - self._members[symbol]):
                continue
            if symbol not in self._pending:
                removed.append(symbol)
            if may_leave(symbol):
                del self._members[symbol]
                ended.append(symbol)
            else:
                self._pending[symbol] = None
        added = tuple(symbol for symbol in chosen if symbol not in self._members)
        self._members.update(dict.fromkeys(added, selection.utc))
        return UniverseChange(added, tuple(removed), tuple(ended))

    def drop(self, symbol: Symbol) -> None:
        """Take a delisted contract out at once."""
        self._members.pop(symbol, None)
        self._pending.pop(symbol, None)

    def _end_pending(self, chosen: dict[Symbol, None], may_leave: Callable[[Symbol], bool]) -> list[Symbol]:
        ended = [symbol for symbol in self._pending if may_leave(symbol)]
        for symbol in ended:
            del self._members[symbol]
        self._pending = {symbol: None for symbol in self._pending if symbol in self._members and symbol not in chosen}
        return ended

    def _old_enough(self, age: timedelta) -> bool:
        unit = next((unit for unit in _ROUNDING if self._minimum_time >= unit), None)
        if unit is None:
            return age >= self._minimum_time
        return round(age / unit) * unit >= self._minimum_time  # LEAN rounds half to even, as round() does
