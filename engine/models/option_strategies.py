"""Which option strategies a set of positions is: LEAN's definitions and its greedy matcher.

`match(positions)` splits the positions on one underlying into strategies; the margin of each is in
`strategy_margin`.  Sources: Common/Securities/Option/StrategyMatcher/*.cs (matcher of 2026-08-04, which compares two
groupings and keeps the one that leaves fewer short contracts uncovered).

LEAN walks positions in the order of a hash that differs between processes, so that three or more overlapping
structures are grouped now one way, now another.  Here the order is expiry, strike, right: always the same.  Where
LEAN's result does not depend on the order, as with one or two condors, it is the same as here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final, NamedTuple

from engine.enums import OptionRight
from engine.symbols import Symbol

_CALL: Final = OptionRight.CALL
_PUT: Final = OptionRight.PUT
# A long leg covers a short one although its strike is worse, up to a tenth of the short strike.
_COVER_WIDTHS: Final = 10
_UNLIMITED: Final = 2**31 - 1


class Strategy(StrEnum):
    """LEAN's names; two definitions share a name where LEAN derives the inverse of a definition."""

    COVERED_CALL = "Covered Call"
    PROTECTIVE_CALL = "Protective Call"
    COVERED_PUT = "Covered Put"
    PROTECTIVE_PUT = "Protective Put"
    PROTECTIVE_COLLAR = "Protective Collar"
    CONVERSION = "Conversion"
    REVERSE_CONVERSION = "Reverse Conversion"
    NAKED_CALL = "Naked Call"
    NAKED_PUT = "Naked Put"
    BEAR_CALL_SPREAD = "Bear Call Spread"
    BEAR_PUT_SPREAD = "Bear Put Spread"
    BULL_CALL_SPREAD = "Bull Call Spread"
    BULL_PUT_SPREAD = "Bull Put Spread"
    STRADDLE = "Straddle"
    SHORT_STRADDLE = "Short Straddle"
    STRANGLE = "Strangle"
    SHORT_STRANGLE = "Short Strangle"
    BUTTERFLY_CALL = "Butterfly Call"
    SHORT_BUTTERFLY_CALL = "Short Butterfly Call"
    BUTTERFLY_PUT = "Butterfly Put"
    SHORT_BUTTERFLY_PUT = "Short Butterfly Put"
    CALL_CALENDAR_SPREAD = "Call Calendar Spread"
    SHORT_CALL_CALENDAR_SPREAD = "Short Call Calendar Spread"
    PUT_CALENDAR_SPREAD = "Put Calendar Spread"
    SHORT_PUT_CALENDAR_SPREAD = "Short Put Calendar Spread"
    IRON_BUTTERFLY = "Iron Butterfly"
    SHORT_IRON_BUTTERFLY = "Short Iron Butterfly"
    IRON_CONDOR = "Iron Condor"
    SHORT_IRON_CONDOR = "Short Iron Condor"
    BOX_SPREAD = "Box Spread"
    SHORT_BOX_SPREAD = "Short Box Spread"
    JELLY_ROLL = "Jelly Roll"
    SHORT_JELLY_ROLL = "Short Jelly Roll"
    BEAR_CALL_LADDER = "Bear Call Ladder"
    BEAR_PUT_LADDER = "Bear Put Ladder"
    BULL_CALL_LADDER = "Bull Call Ladder"
    BULL_PUT_LADDER = "Bull Put Ladder"
    CALL_BACKSPREAD = "Call Backspread"
    PUT_BACKSPREAD = "Put Backspread"
    SHORT_CALL_BACKSPREAD = "Short Call Backspread"
    SHORT_PUT_BACKSPREAD = "Short Put Backspread"


class OptionLeg(NamedTuple):
    """A position in one contract, quantity in contracts."""

    symbol: Symbol
    quantity: int


class _Contract(NamedTuple):
    """An option position unpacked for matching; tuples of it sort as the matcher walks."""

    expiry: int  # day number: quick to compare
    strike: float
    right: OptionRight
    symbol: Symbol


@dataclass(frozen=True, slots=True)
class Match:
    """One strategy found: its option legs, and underlying lots (of one contract's units each) that belong to it."""

    strategy: Strategy
    legs: tuple[OptionLeg, ...]
    underlying_lots: int


class _Rule(NamedTuple):
    """`position.field relation reference`; the reference is a field of an earlier leg or a distance of two."""

    field: str  # "strike" or "expiry"
    relation: str
    leg: int
    kind: str = ""  # "wing": as far beyond leg 1 as leg 1 is beyond leg 0; "mirror": 2 * leg 0 - leg 1


class _LegRule(NamedTuple):
    right: OptionRight
    quantity: int
    rules: tuple[_Rule, ...]


class _Definition(NamedTuple):
    strategy: Strategy
    underlying_lots: int
    legs: tuple[_LegRule, ...]

    @property
    def leg_count(self) -> int:
        return len(self.legs) + (1 if self.underlying_lots else 0)

    @property
    def has_uncovered_short(self) -> bool:
        calls = sum(leg.quantity for leg in self.legs if leg.right is _CALL)
        puts = sum(leg.quantity for leg in self.legs if leg.right is _PUT)
        return -calls > max(0, self.underlying_lots) or -puts > max(0, -self.underlying_lots)


def _leg(right: OptionRight, quantity: int, *rules: _Rule) -> _LegRule:
    return _LegRule(right, quantity, rules)


def _strike(relation: str, leg: int, kind: str = "") -> _Rule:
    return _Rule("strike", relation, leg, kind)


_SAME_EXPIRY: Final = _Rule("expiry", "==", 0)
_LATER_EXPIRY: Final = _Rule("expiry", ">", 0)


def _pair(
    name: Strategy, right: OptionRight, first: int, second: int, relation: str, expiry: _Rule = _SAME_EXPIRY
) -> _Definition:
    return _Definition(name, 0, (_leg(right, first), _leg(right, second, _strike(relation, 0), expiry)))


def _call_and_put(name: Strategy, side: int, relation: str) -> _Definition:
    return _Definition(name, 0, (_leg(_CALL, side), _leg(_PUT, side, _strike(relation, 0), _SAME_EXPIRY)))


def _butterfly(name: Strategy, right: OptionRight, side: int) -> _Definition:
    body = _leg(right, -2 * side, _strike(">=", 0), _SAME_EXPIRY)
    wing = _leg(right, side, _strike(">=", 1), _SAME_EXPIRY, _strike("==", 1, "wing"))
    return _Definition(name, 0, (_leg(right, side), body, wing))


def _ladder(name: Strategy, right: OptionRight, side: int, relation: str) -> _Definition:
    steps = tuple(_leg(right, -side, _strike(relation, leg), _SAME_EXPIRY) for leg in (0, 1))
    return _Definition(name, 0, (_leg(right, side), *steps))


def _iron_butterfly(name: Strategy, side: int) -> _Definition:
    return _Definition(name, 0, (
        _leg(_PUT, -side),
        _leg(_PUT, side, _strike("<", 0), _SAME_EXPIRY),
        _leg(_CALL, -side, _strike("==", 0), _SAME_EXPIRY),
        _leg(_CALL, side, _strike("==", 0, "mirror"), _SAME_EXPIRY),
    ))  # fmt: skip


def _iron_condor(name: Strategy, side: int) -> _Definition:
    return _Definition(name, 0, (
        _leg(_PUT, side),
        _leg(_PUT, -side, _strike(">", 0), _SAME_EXPIRY),
        _leg(_CALL, -side, _strike(">", 1), _SAME_EXPIRY),
        _leg(_CALL, side, _strike(">", 2), _SAME_EXPIRY),
    ))  # fmt: skip


def _box(name: Strategy, side: int) -> _Definition:
    return _Definition(name, 0, (
        _leg(_PUT, side),
        _leg(_PUT, -side, _strike("<", 0), _SAME_EXPIRY),
        _leg(_CALL, side, _strike("==", 1), _SAME_EXPIRY),
        _leg(_CALL, -side, _strike("==", 0), _SAME_EXPIRY),
    ))  # fmt: skip


def _jelly_roll(name: Strategy, side: int) -> _Definition:
    return _Definition(name, 0, (
        _leg(_CALL, -side),
        _leg(_CALL, side, _strike("==", 0), _LATER_EXPIRY),
        _leg(_PUT, side, _strike("==", 0), _SAME_EXPIRY),
        _leg(_PUT, -side, _strike("==", 0), _Rule("expiry", "==", 1)),
    ))  # fmt: skip


def _with_underlying(name: Strategy, lots: int, *legs: _LegRule) -> _Definition:
    return _Definition(name, lots, legs)


_PUT_BELOW: Final = (_strike("<", 0), _SAME_EXPIRY)
_PUT_AT: Final = (_strike("==", 0), _SAME_EXPIRY)
# In LEAN's order of declaration.  It derives an inverse of every definition and drops those that are declared under
# another name; what stays are the naked call and put bought instead of sold, and the collar on short stock, each
# after its original.
_DECLARED: Final = (
    _with_underlying(Strategy.COVERED_CALL, 1, _leg(_CALL, -1)),
    _with_underlying(Strategy.PROTECTIVE_CALL, -1, _leg(_CALL, 1)),
    _with_underlying(Strategy.COVERED_PUT, -1, _leg(_PUT, -1)),
    _with_underlying(Strategy.PROTECTIVE_PUT, 1, _leg(_PUT, 1)),
    _with_underlying(Strategy.PROTECTIVE_COLLAR, 1, _leg(_CALL, -1), _leg(_PUT, 1, *_PUT_BELOW)),
    _with_underlying(Strategy.PROTECTIVE_COLLAR, -1, _leg(_CALL, 1), _leg(_PUT, -1, *_PUT_BELOW)),
    _with_underlying(Strategy.CONVERSION, 1, _leg(_CALL, -1), _leg(_PUT, 1, *_PUT_AT)),
    _with_underlying(Strategy.REVERSE_CONVERSION, -1, _leg(_CALL, 1), _leg(_PUT, -1, *_PUT_AT)),
    _Definition(Strategy.NAKED_CALL, 0, (_leg(_CALL, -1),)),
    _Definition(Strategy.NAKED_CALL, 0, (_leg(_CALL, 1),)),
    _Definition(Strategy.NAKED_PUT, 0, (_leg(_PUT, -1),)),
    _Definition(Strategy.NAKED_PUT, 0, (_leg(_PUT, 1),)),
    _pair(Strategy.BEAR_CALL_SPREAD, _CALL, -1, 1, ">"),
    _pair(Strategy.BEAR_PUT_SPREAD, _PUT, 1, -1, "<"),
    _pair(Strategy.BULL_CALL_SPREAD, _CALL, 1, -1, ">"),
    _pair(Strategy.BULL_PUT_SPREAD, _PUT, -1, 1, "<"),
    _call_and_put(Strategy.STRADDLE, 1, "=="),
    _call_and_put(Strategy.SHORT_STRADDLE, -1, "=="),
    _call_and_put(Strategy.STRANGLE, 1, "<"),
    _call_and_put(Strategy.SHORT_STRANGLE, -1, "<"),
    _butterfly(Strategy.BUTTERFLY_CALL, _CALL, 1),
    _butterfly(Strategy.SHORT_BUTTERFLY_CALL, _CALL, -1),
    _butterfly(Strategy.BUTTERFLY_PUT, _PUT, 1),
    _butterfly(Strategy.SHORT_BUTTERFLY_PUT, _PUT, -1),
    _pair(Strategy.CALL_CALENDAR_SPREAD, _CALL, -1, 1, "==", _LATER_EXPIRY),
    _pair(Strategy.SHORT_CALL_CALENDAR_SPREAD, _CALL, 1, -1, "==", _LATER_EXPIRY),
    _pair(Strategy.PUT_CALENDAR_SPREAD, _PUT, -1, 1, "==", _LATER_EXPIRY),
    _pair(Strategy.SHORT_PUT_CALENDAR_SPREAD, _PUT, 1, -1, "==", _LATER_EXPIRY),
    _iron_butterfly(Strategy.IRON_BUTTERFLY, 1),
    _iron_butterfly(Strategy.SHORT_IRON_BUTTERFLY, -1),
    _iron_condor(Strategy.IRON_CONDOR, 1),
    _iron_condor(Strategy.SHORT_IRON_CONDOR, -1),
    _box(Strategy.BOX_SPREAD, 1),
    _box(Strategy.SHORT_BOX_SPREAD, -1),
    _jelly_roll(Strategy.JELLY_ROLL, 1),
    _jelly_roll(Strategy.SHORT_JELLY_ROLL, -1),
    _ladder(Strategy.BEAR_CALL_LADDER, _CALL, -1, ">"),
    _ladder(Strategy.BEAR_PUT_LADDER, _PUT, 1, "<"),
    _ladder(Strategy.BULL_CALL_LADDER, _CALL, 1, ">"),
    _ladder(Strategy.BULL_PUT_LADDER, _PUT, -1, "<"),
    _pair(Strategy.CALL_BACKSPREAD, _CALL, -1, 2, ">"),
    _pair(Strategy.PUT_BACKSPREAD, _PUT, -1, 2, "<"),
    _pair(Strategy.SHORT_CALL_BACKSPREAD, _CALL, 1, -2, ">"),
    _pair(Strategy.SHORT_PUT_BACKSPREAD, _PUT, 1, -2, "<"),
)  # fmt: skip


@cache
def _most_legs_first() -> tuple[_Definition, ...]:
    return tuple(sorted(_DECLARED, key=lambda definition: -definition.leg_count))


@cache
def _covered_first() -> tuple[_Definition, ...]:
    return tuple(sorted(_most_legs_first(), key=lambda definition: definition.has_uncovered_short))


class _Book(NamedTuple):
    """What is still to be matched; contracts in walking order."""

    quantities: dict[_Contract, int]
    lots: int

    @property
    def size(self) -> int:
        return len(self.quantities) + (1 if self.lots else 0)


def match(legs: Iterable[OptionLeg], underlying_lots: int = 0) -> tuple[Match, ...]:
    """Return the strategies that the positions on one underlying form, in the order LEAN finds them.

    Positions of one contract are added up.  Every option ends up in a strategy, if only as a naked call or put; lots
    of the underlying that no strategy takes are left out.
    """
    return _match(tuple(legs), underlying_lots)


@lru_cache(maxsize=256)
def _match(legs: tuple[OptionLeg, ...], underlying_lots: int) -> tuple[Match, ...]:
    # Remembered because a working order asks for the same groups every minute.
    book = _book(legs, underlying_lots)
    best, left = _greedy(_most_legs_first(), book)
    uncovered = _uncovered(best, left)
    if uncovered <= _least_uncovered(book):
        return tuple(best)
    other, left = _greedy(_covered_first(), book)
    return tuple(other if _uncovered(other, left) < uncovered else best)


def _book(legs: Iterable[OptionLeg], lots: int) -> _Book:
    quantities: dict[_Contract, int] = {}
    for leg in legs:
        sid = leg.symbol.id
        contract = _Contract(sid.date.toordinal(), sid.strike_price, sid.option_right, leg.symbol)
        quantities[contract] = quantities.get(contract, 0) + leg.quantity
    ordered = sorted((contract for contract, held in quantities.items() if held), key=lambda contract: contract[:3])
    return _Book({contract: quantities[contract] for contract in ordered}, lots)


def _greedy(definitions: Sequence[_Definition], book: _Book) -> tuple[list[Match], _Book]:
    found: list[Match] = []
    for definition in definitions:
        while (hit := next(_matches(definition, book), None)) is not None:
            found.append(hit)
            book = _without(book, hit)
        if book.size == 0:
            break
    return found, book


def _without(book: _Book, hit: Match) -> _Book:
    taken = {leg.symbol: leg.quantity for leg in hit.legs}
    left = {contract: held - taken.get(contract.symbol, 0) for contract, held in book.quantities.items()}
    return _Book({contract: held for contract, held in left.items() if held}, book.lots - hit.underlying_lots)


def _matches(definition: _Definition, book: _Book) -> Iterator[Match]:
    if book.size < definition.leg_count:
        return
    times = _UNLIMITED
    if definition.underlying_lots:
        if book.lots * definition.underlying_lots <= 0:
            return
        times = book.lots // definition.underlying_lots
    for chosen, multiple in _fill_legs(definition, book.quantities, (), times):
        legs = tuple(
            OptionLeg(contract.symbol, multiple * rule.quantity)
            for contract, rule in zip(chosen, definition.legs, strict=True)
        )
        yield Match(definition.strategy, legs, definition.underlying_lots * multiple)


def _fill_legs(
    definition: _Definition, quantities: dict[_Contract, int], chosen: tuple[_Contract, ...], times: int
) -> Iterator[tuple[tuple[_Contract, ...], int]]:
    index = len(chosen)
    if index == len(definition.legs):
        yield chosen, times
        return
    rule = definition.legs[index]
    for contract, held in quantities.items():
        if contract.right is not rule.right or held * rule.quantity <= 0 or not _fits(rule, contract, chosen):
            continue
        multiple = held // rule.quantity
        if multiple == 0:
            continue
        # LEAN takes all it could use of this position away before it looks for the next leg.
        rest = {other: left for other, left in quantities.items() if other is not contract}
        if held != multiple * rule.quantity:
            rest = {
                other: left if other is not contract else held - multiple * rule.quantity
                for other, left in quantities.items()
            }
        yield from _fill_legs(definition, rest, (*chosen, contract), min(times, multiple))


def _fits(leg: _LegRule, contract: _Contract, chosen: tuple[_Contract, ...]) -> bool:
    for field, relation, index, kind in leg.rules:
        value = contract.strike if field == "strike" else contract.expiry
        reference: float = chosen[index].strike if field == "strike" else chosen[index].expiry
        if kind == "wing":
            reference = 2 * chosen[1].strike - chosen[0].strike
        elif kind == "mirror":
            reference = 2 * chosen[0].strike - chosen[1].strike
        holds = (
            value == reference if relation == "==" else value < reference if relation == "<"
            else value > reference if relation == ">" else value >= reference
        )  # fmt: skip
        if not holds:
            return False
    return True


def _least_uncovered(book: _Book) -> int:
    """Return the short contracts that no grouping can cover."""
    calls = sum(held for contract, held in book.quantities.items() if contract.right is _CALL)
    puts = sum(held for contract, held in book.quantities.items() if contract.right is _PUT)
    return max(0, -calls - max(0, book.lots)) + max(0, -puts - max(0, -book.lots))


def _uncovered(found: Sequence[Match], left: _Book) -> int:
    """Return how many short contracts a grouping leaves uncovered."""
    total = sum(-held for held in left.quantities.values() if held < 0)
    for hit in found:
        for right, cover in ((_CALL, max(0, hit.underlying_lots)), (_PUT, max(0, -hit.underlying_lots))):
            total += _uncovered_of(right, [leg for leg in hit.legs if leg.symbol.id.option_right is right], cover)
    return total


def _uncovered_of(right: OptionRight, legs: Sequence[OptionLeg], lots: int) -> int:
    """Pair each short leg with long legs that expire no earlier and are not much worse, then with stock."""
    sign = 1 if right is _CALL else -1
    shorts = sorted((leg for leg in legs if leg.quantity < 0), key=lambda leg: sign * leg.symbol.id.strike_price)
    longs = {leg.symbol: leg.quantity for leg in legs if leg.quantity > 0}
    uncovered = 0
    for short in shorts:
        sid, remaining = short.symbol.id, -short.quantity
        for symbol, free in longs.items():
            worse_by = sign * (symbol.id.strike_price - sid.strike_price)
            if symbol.id.date >= sid.date and worse_by * _COVER_WIDTHS <= sid.strike_price:
                used = min(remaining, free)
                remaining -= used
                longs[symbol] -= used
        used = min(remaining, lots)
        lots -= used
        uncovered += remaining - used
    return uncovered
