"""The filter of an option chain: LEAN's OptionFilterUniverse over one universe file, on whole columns.

Rules as in Common/Securities/Option/OptionFilterUniverse.cs.  Strikes are counted from the underlying's close of the
file, expiries from the exchange's date of the selection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, Never, Self

import numpy as np
import numpy.typing as npt

from engine.columns import UNIVERSE_FIELDS, UnderlyingBar, UniverseTable
from engine.enums import OptionRight, SecurityType
from engine.errors import EngineUnsupported
from engine.hours import ExchangeHours
from engine.symbols import SecurityIdentifier, Symbol, is_standard_contract

Rows = npt.NDArray[np.intp]
ContractFilter = Callable[["OptionFilterUniverse"], "OptionFilterUniverse"]

DEFAULT_STRIKES: Final = (-1, 1)
DEFAULT_EXPIRY: Final = (timedelta(0), timedelta(days=35))
_THETA_DAYS: Final = 365.0  # files hold theta per day, LEAN shows it per year (Greeks.GetSafeTheta)
_SELECTORS: Final = frozenset((
    "naked_call", "naked_put", "call_spread", "put_spread", "call_calendar_spread", "put_calendar_spread", "strangle",
    "straddle", "protective_collar", "conversion", "call_butterfly", "put_butterfly", "iron_butterfly", "iron_condor",
    "box_spread", "jelly_roll", "call_ladder", "put_ladder",
))  # fmt: skip


class UniverseGreeks:
    """End-of-day Greeks of one row; theta per year, as LEAN shows it."""

    __slots__ = ("_table", "_row")

    def __init__(self, table: UniverseTable, row: int) -> None:
        self._table = table
        self._row = row

    @property
    def delta(self) -> float:
        return float(self._table.delta[self._row])

    @property
    def gamma(self) -> float:
        return float(self._table.gamma[self._row])

    @property
    def vega(self) -> float:
        return float(self._table.vega[self._row])

    @property
    def theta(self) -> float:
        return float(self._table.theta[self._row]) * _THETA_DAYS

    @property
    def theta_per_day(self) -> float:
        return float(self._table.theta[self._row])

    @property
    def rho(self) -> float:
        return float(self._table.rho[self._row])


class OptionUniverse:
    """One contract of a universe file, as filter functions see it (LEAN's class of that name)."""

    __slots__ = ("_row", "_table")

    def __init__(self, table: UniverseTable, row: int) -> None:
        self._table = table
        self._row = row

    @property
    def symbol(self) -> Symbol:
        return self._table.symbol(self._row)

    @property
    def id(self) -> SecurityIdentifier:
        return self.symbol.id

    @property
    def open(self) -> float:
        return self._number("open")

    @property
    def high(self) -> float:
        return self._number("high")

    @property
    def low(self) -> float:
        return self._number("low")

    @property
    def close(self) -> float:
        return self._number("close")

    @property
    def price(self) -> float:
        return self._number("close")

    @property
    def value(self) -> float:
        return self._number("close")

    @property
    def volume(self) -> float:
        return self._number("volume")

    @property
    def open_interest(self) -> float:
        return self._number("open_interest")

    @property
    def implied_volatility(self) -> float:
        return self._number("implied_volatility")

    @property
    def greeks(self) -> UniverseGreeks:
        return UniverseGreeks(self._table, self._row)

    def _number(self, name: str) -> float:
        return float(self._table.numbers[self._row, UNIVERSE_FIELDS.index(name)])


class OptionFilterUniverse:
    """The contracts of one file, narrowed by each call; every method returns the universe itself."""

    def __init__(self, table: UniverseTable, local_time: datetime, hours: ExchangeHours) -> None:
        self._table = table
        self._hours = hours
        self.local_time = local_time
        self._rows: Rows = np.arange(len(table), dtype=np.intp)
        self._strangers: list[Symbol] = []  # contracts named by the algorithm that the file does not list
        self._strike_list: npt.NDArray[np.float64] | None = None
        self._standard = True
        self._weekly = True
        self._types_applied = False

    # -- what is left -------------------------------------------------------------------------------------------------

    @property
    def symbols(self) -> list[Symbol]:
        """Return the contracts that are left, in the order of the file."""
        return [self._table.symbol(row) for row in self._rows.tolist()] + self._strangers

    @property
    def underlying(self) -> UnderlyingBar | None:
        return self._table.underlying

    @property
    def count(self) -> int:
        return len(self._rows) + len(self._strangers)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[OptionUniverse]:
        return iter([OptionUniverse(self._table, row) for row in self._rows.tolist()])

    # -- strikes and expiries -----------------------------------------------------------------------------------------

    def strikes(self, min_strike: int, max_strike: int) -> Self:
        """Keep strikes that lie between two counts of strikes from the underlying's close.

        The list of strikes is taken at the first call, from what is left then.  Between two strikes, -1 is the one
        below and +1 the one above; a close above all strikes keeps nothing.
        """
        underlying = self._table.underlying
        if underlying is None:
            return self
        if self._strike_list is None:
            self._strike_list = np.unique(np.concatenate([self._table.strike[self._rows], self._stranger_strikes()]))
        strikes = self._strike_list
        index = int(np.searchsorted(strikes, underlying.close))
        if index == len(strikes):
            return self._keep(np.zeros(len(self._rows), np.bool_))
        low, high = index + min_strike, index + max_strike
        if strikes[index] != underlying.close:
            if min_strike < 0 < max_strike:
                high -= 1
            elif min_strike > 0:
                low -= 1
                high -= 1
        low = max(low, 0)
        if low >= len(strikes) or high < 0:
            return self._keep(np.zeros(len(self._rows), np.bool_))
        lowest, highest = strikes[low], strikes[min(high, len(strikes) - 1)]
        strike = self._table.strike[self._rows]
        self._strangers = [s for s in self._strangers if lowest <= s.id.strike_price <= highest]
        return self._keep((strike >= lowest) & (strike <= highest), strangers=True)

    def expiration(self, min_expiry: int | timedelta, max_expiry: int | timedelta) -> Self:
        """Keep expiries between two numbers of days from today, or from the next session on a closed day."""
        reference = datetime(self.local_time.year, self.local_time.month, self.local_time.day)
        if not self._hours.is_date_open(reference):
            reference = self._hours.get_next_trading_day(reference)
        first, last = reference + _days(min_expiry), reference + _days(max_expiry)
        # An expiry is a midnight: a first day with a time of day excludes its own date.
        low = first.toordinal() + (first.time() != datetime.min.time())
        expiry = self._table.expiry[self._rows]
        self._strangers = [s for s in self._strangers if low <= s.id.date.toordinal() <= last.toordinal()]
        return self._keep((expiry >= low) & (expiry <= last.toordinal()), strangers=True)

    def calls_only(self) -> Self:
        return self._side(OptionRight.CALL)

    def puts_only(self) -> Self:
        return self._side(OptionRight.PUT)

    # -- standard and weekly ------------------------------------------------------------------------------------------

    def standards_only(self) -> Self:
        self._types_open("standards_only")
        self._standard, self._weekly = True, False
        return self

    def weeklys_only(self) -> Self:
        self._standard, self._weekly = False, True
        return self

    def include_weeklys(self) -> Self:
        self._types_open("include_weeklys")
        self._weekly = True
        return self

    def front_month(self) -> Self:
        self.apply_types_filter()
        expiry = self._table.expiry[self._rows]
        return self._keep(expiry == expiry.min()) if len(expiry) else self

    def back_months(self) -> Self:
        self.apply_types_filter()
        expiry = self._table.expiry[self._rows]
        return self._keep(expiry != expiry.min()) if len(expiry) else self

    def back_month(self) -> Self:
        return self.back_months().front_month()

    def apply_types_filter(self) -> Self:
        """Drop standard or weekly contracts if that was asked for; runs once, at the latest when the filter is done."""
        if not self._types_applied and not (self._standard and self._weekly):
            wanted = [is_standard_contract(self._table.symbol(row)) is self._standard for row in self._rows.tolist()]
            self._strangers = [s for s in self._strangers if is_standard_contract(s) is self._standard]
            self._keep(np.array(wanted, dtype=np.bool_), strangers=True)
        self._types_applied = True
        return self

    # -- Greeks and the like ------------------------------------------------------------------------------------------

    def delta(self, min: float, max: float) -> Self:
        return self._within("delta", min, max)

    def gamma(self, min: float, max: float) -> Self:
        return self._within("gamma", min, max)

    def vega(self, min: float, max: float) -> Self:
        return self._within("vega", min, max)

    def theta(self, min: float, max: float) -> Self:
        """Keep contracts by theta per year."""
        return self._within("theta", min, max, _THETA_DAYS)

    def rho(self, min: float, max: float) -> Self:
        return self._within("rho", min, max)

    def implied_volatility(self, min: float, max: float) -> Self:
        return self._within("implied_volatility", min, max)

    def open_interest(self, min: float, max: float) -> Self:
        return self._within("open_interest", min, max)

    d = delta
    g = gamma
    v = vega
    t = theta
    r = rho
    iv = implied_volatility
    oi = open_interest

    # -- by function or list ------------------------------------------------------------------------------------------

    def contracts(
        self, contracts: Iterable[Symbol | OptionUniverse] | Callable[[list[OptionUniverse]], Iterable[Symbol]]
    ) -> Self:
        """Take exactly these contracts, or those a function picks from what is left; listed in the file or not."""
        chosen = contracts(list(self)) if callable(contracts) else contracts
        at = {self._table.symbol(row): row for row in self._rows.tolist()}
        rows: list[int] = []
        self._strangers = []
        for item in chosen:
            symbol = item.symbol if isinstance(item, OptionUniverse) else item
            if symbol in at:
                rows.append(at[symbol])
            else:
                self._strangers.append(symbol)
        self._rows = np.array(rows, dtype=np.intp)
        return self

    def where(self, predicate: Callable[[OptionUniverse], bool]) -> Self:
        return self._keep(np.array([bool(predicate(item)) for item in self], dtype=np.bool_))

    def where_contains(self, symbols: Iterable[Symbol]) -> Self:
        wanted = set(symbols)
        self._strangers = [symbol for symbol in self._strangers if symbol in wanted]
        kept = [self._table.symbol(row) in wanted for row in self._rows.tolist()]
        return self._keep(np.array(kept, dtype=np.bool_), strangers=True)

    def select(self, function: Callable[[OptionUniverse], Symbol]) -> Self:
        return self.contracts([function(item) for item in self])

    def __getattr__(self, name: str) -> Never:
        if name in _SELECTORS:
            raise EngineUnsupported(f"OptionFilterUniverse.{name}", "use expiration, strikes or contracts")
        raise AttributeError(f"OptionFilterUniverse.{name}: LEAN has no such member. Check its spelling.")

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _keep(self, mask: npt.NDArray[np.bool_], *, strangers: bool = False) -> Self:
        self._rows = self._rows[mask]
        if not strangers:
            self._strangers = []  # a contract without data passes no test of data
        return self

    def _side(self, right: OptionRight) -> Self:
        self._strangers = [symbol for symbol in self._strangers if symbol.id.option_right is right]
        return self._keep(self._table.right[self._rows] == right, strangers=True)

    def _within(self, name: str, low: float, high: float, scale: float = 1.0) -> Self:
        if self._table.canonical.security_type is SecurityType.FUTURE_OPTION:
            raise ValueError(f"{name} filter is not supported for future options.")
        values = self._table.column(name)[self._rows] * scale
        self._strangers = self._strangers if low <= 0.0 <= high else []  # LEAN reads 0 where there is no data
        return self._keep((values >= low) & (values <= high), strangers=True)

    def _stranger_strikes(self) -> npt.NDArray[np.float64]:
        return np.array([symbol.id.strike_price for symbol in self._strangers], dtype=np.float64)

    def _types_open(self, name: str) -> None:
        if self._types_applied:
            raise ValueError(f"{name}: expected before front_month, back_months and back_month. Call it first.")


def _days(span: int | timedelta) -> timedelta:
    return span if isinstance(span, timedelta) else timedelta(days=span)


def filter_of(*arguments: object) -> ContractFilter:
    """Return the filter that LEAN's set_filter makes of its arguments; raises ValueError for others."""
    match arguments:
        case (function,) if callable(function):
            return lambda universe: _called(function, universe)
        case (int(low), int(high)):
            return lambda universe: universe.strikes(low, high).apply_types_filter()
        case (timedelta() as first, timedelta() as last):
            return lambda universe: universe.expiration(first, last).apply_types_filter()
        case (int(low), int(high), int() | timedelta() as near, int() | timedelta() as far):
            return lambda universe: universe.strikes(low, high).expiration(near, far).apply_types_filter()
    shown = ", ".join(type(argument).__name__ for argument in arguments)
    raise ValueError(
        f"set_filter({shown}): expected a function, two strike counts, two timedeltas, or two strike counts and two "
        "expiries. Pass one of these."
    )


def _called(function: Callable[[OptionFilterUniverse], object], universe: OptionFilterUniverse) -> OptionFilterUniverse:
    result = function(universe)
    if isinstance(result, OptionFilterUniverse):
        return result.apply_types_filter()
    if result is None:  # the universe was narrowed in place
        return universe.apply_types_filter()
    if isinstance(result, Iterable) and not isinstance(result, str):
        return universe.where_contains(result).apply_types_filter()
    raise ValueError(
        f"set_filter: the function returned {type(result).__name__}, expected the universe or a list of symbols. "
        "Return what the last call returned."
    )


DEFAULT_FILTER: Final = filter_of(*DEFAULT_STRIKES, *DEFAULT_EXPIRY)
