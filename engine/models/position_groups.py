"""Positions grouped as LEAN margins them: option strategies per underlying, everything else alone.

Sources:
Common/Securities/Positions/{OptionStrategyPositionGroupResolver,CompositePositionGroupResolver,PositionExtensions}.cs.
All positions on one underlying are matched together, whichever strategy of the algorithm opened them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from engine.enums import SecurityType
from engine.models.option_strategies import Match, OptionLeg, Strategy, match
from engine.models.views import SecurityView
from engine.symbols import Symbol

_HAVE_OPTIONS: Final = frozenset({SecurityType.EQUITY, SecurityType.FUTURE, SecurityType.INDEX})


class Position(NamedTuple):
    """A quantity of one symbol; `unit` is the quantity that one unit of its group has, unsigned."""

    symbol: Symbol
    quantity: float
    unit: float


@dataclass(frozen=True, slots=True)
class PositionGroup:
    """Positions that are margined together: one option strategy, or (strategy None) a single security on its own."""

    strategy: Strategy | None
    quantity: float
    positions: tuple[Position, ...]

    @property
    def is_default(self) -> bool:
        return self.strategy is None

    @property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset(position.symbol for position in self.positions)

    @property
    def key(self) -> tuple[bool, tuple[tuple[str, float], ...]]:
        """Identity of a group: kind and unit quantities.  LEAN's names of strategies are no part of it."""
        units = sorted((str(position.symbol.id), position.unit) for position in self.positions)
        return self.is_default, tuple(units)


def resolve_groups(securities: Iterable[SecurityView]) -> tuple[PositionGroup, ...]:
    """Return the groups of all securities that are held; the matcher runs only when there are options among them."""
    held = [security for security in securities if security.holdings.quantity != 0]
    positions = [Position(security.symbol, security.holdings.quantity, security.lot_size) for security in held]
    return group_positions(positions, units_of_trade(held))


def units_of_trade(securities: Iterable[SecurityView]) -> dict[Symbol, float]:
    """Return how many units of its underlying each option stands for."""
    return {security.symbol: security.contract_multiplier for security in securities if security.type.is_option}


def group_positions(positions: Iterable[Position], units: dict[Symbol, float]) -> tuple[PositionGroup, ...]:
    """Return the strategies found and, for what is in none, groups of one security.

    `units` has the contract multiplier of every option.  Each symbol may appear once only.
    """
    book = {position.symbol: position for position in positions}
    strategies: list[PositionGroup] = []
    for bucket in _by_underlying(book.values()):
        found = _strategies_on_one_underlying(bucket, units)
        if found is None:
            break  # LEAN stops at an underlying whose options all net to nothing; what follows is left ungrouped
        strategies += found
    for group in strategies:
        for position in group.positions:
            held = book[position.symbol]
            left = held.quantity - position.quantity
            if left == 0:
                del book[position.symbol]
            else:
                book[position.symbol] = held._replace(quantity=left)
    alone = [PositionGroup(None, position.quantity / position.unit, (position,)) for position in book.values()]
    return (*strategies, *alone)


def combine(position: Position, other: Position) -> Position:
    """Return two positions of one symbol as one."""
    return Position(position.symbol, position.quantity + other.quantity, min(position.unit, other.unit))


def impacted_groups(groups: Sequence[PositionGroup], symbols: Iterable[Symbol]) -> list[PositionGroup]:
    """Return the groups an order in these symbols can change: all on the same underlyings, and the security's own."""
    touched: set[Symbol] = set()
    for symbol in symbols:
        touched.add(symbol)
        if symbol.security_type.is_option and symbol.underlying is not None:
            touched.add(symbol.underlying)
    return [
        group
        for group in groups
        if any(position.symbol in touched or _underlying(position.symbol) in touched for position in group.positions)
    ]


def _underlying(symbol: Symbol) -> Symbol:
    return symbol.underlying if symbol.security_type.is_option and symbol.underlying is not None else symbol


def _by_underlying(positions: Iterable[Position]) -> list[list[Position]]:
    buckets: dict[Symbol, list[Position]] = {}
    for position in positions:
        kind = position.symbol.security_type
        if kind.is_option or kind in _HAVE_OPTIONS:
            buckets.setdefault(_underlying(position.symbol), []).append(position)
    return [
        bucket for bucket in buckets.values() if any(position.symbol.security_type.is_option for position in bucket)
    ]


def _strategies_on_one_underlying(bucket: Sequence[Position], units: dict[Symbol, float]) -> list[PositionGroup] | None:
    options = [position for position in bucket if position.symbol.security_type.is_option]
    underlying = next((position for position in bucket if not position.symbol.security_type.is_option), None)
    unit = units[options[0].symbol]
    lots = (
        0 if underlying is None else int(underlying.quantity / unit)
    )  # whole lots only; the rest of the shares stays alone
    legs = [OptionLeg(position.symbol, int(position.quantity)) for position in options if int(position.quantity) != 0]
    if not legs and lots == 0:
        return None
    return [_group(found, underlying, unit) for found in match(legs, lots)]


def _group(found: Match, underlying: Position | None, unit: float) -> PositionGroup:
    quantities = [leg.quantity for leg in found.legs]
    if found.underlying_lots:
        quantities.append(found.underlying_lots)
    size = math.gcd(*quantities)
    positions = [Position(leg.symbol, leg.quantity, abs(leg.quantity) // size) for leg in found.legs]
    if found.underlying_lots:
        assert underlying is not None, "a strategy has lots only of a position that is there"
        shares = found.underlying_lots * unit
        positions.append(Position(underlying.symbol, shares, abs(shares) / size))
    return PositionGroup(found.strategy, size, tuple(positions))
