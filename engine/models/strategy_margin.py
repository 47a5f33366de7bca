"""Margin of one position group.

Source: Common/Securities/Option/OptionStrategyPositionGroupBuyingPowerModel.cs.  Oddities of LEAN that are kept: an
iron condor or butterfly pays for its put wing only, whatever the call wing (LEAN issue 9775); a covering long option
of another strike and expiry (diagonal) counts nothing; a calendar costs nothing; backspreads have no rule, LEAN
throws (it never groups one).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal

from engine.enums import OptionRight
from engine.models.option_strategies import Strategy
from engine.models.position_groups import Position, PositionGroup
from engine.models.security_margin import intrinsic_value, out_of_the_money, quantity_value
from engine.models.views import ZERO, InitialMargin, SecurityView, exact
from engine.symbols import Symbol

Securities = Callable[[Symbol], SecurityView]

_CALL: Final = OptionRight.CALL
_PUT: Final = OptionRight.PUT
_TENTH: Final = Decimal("0.1")
_QUARTER: Final = Decimal("0.25")
_COVERED_CALL_SHARE: Final = Decimal("0.8")
_BOX_MARKUP: Final = Decimal("1.02")
_BOX_COMMISSION: Final = Decimal("0.65")
_CREDIT_BOX_LEGS: Final = 4

_NAKED: Final = frozenset({Strategy.NAKED_CALL, Strategy.NAKED_PUT})
_FREE: Final = frozenset({
    Strategy.CALL_CALENDAR_SPREAD, Strategy.PUT_CALENDAR_SPREAD, Strategy.STRADDLE, Strategy.STRANGLE,
    Strategy.BUTTERFLY_CALL, Strategy.BUTTERFLY_PUT, Strategy.BOX_SPREAD,
})  # fmt: skip
_CALL_SPREADS: Final = frozenset({Strategy.BEAR_CALL_SPREAD, Strategy.BULL_CALL_SPREAD})
_PUT_WINGS: Final = frozenset({
    Strategy.BEAR_PUT_SPREAD, Strategy.BULL_PUT_SPREAD, Strategy.IRON_CONDOR, Strategy.SHORT_IRON_CONDOR,
    Strategy.IRON_BUTTERFLY, Strategy.SHORT_IRON_BUTTERFLY,
})  # fmt: skip
_SHORT_CALENDARS: Final = frozenset({Strategy.SHORT_CALL_CALENDAR_SPREAD, Strategy.SHORT_PUT_CALENDAR_SPREAD})
_SHORT_PAIRS: Final = frozenset({Strategy.SHORT_STRADDLE, Strategy.SHORT_STRANGLE})
_SHORT_BUTTERFLIES: Final = frozenset({Strategy.SHORT_BUTTERFLY_CALL, Strategy.SHORT_BUTTERFLY_PUT})
_JELLY_ROLLS: Final = frozenset({Strategy.JELLY_ROLL, Strategy.SHORT_JELLY_ROLL})
_CREDIT_LADDERS: Final = frozenset({Strategy.BEAR_CALL_LADDER, Strategy.BULL_PUT_LADDER})
_DEBIT_LADDERS: Final = frozenset({Strategy.BULL_CALL_LADDER, Strategy.BEAR_PUT_LADDER})
_PROTECTED: Final = frozenset({Strategy.PROTECTIVE_PUT, Strategy.PROTECTIVE_CALL})

_Stage = Literal["open", "hold"]


class MarginModelError(RuntimeError):
    """The margin model cannot answer.  LEAN then leaves the order in status NEW for ever and logs the text."""


def maintenance_margin(group: PositionGroup, securities: Securities) -> Decimal:
    """Return the margin to hold a group at current prices, in USD."""
    if group.strategy is None:
        models = [(securities(position.symbol), position.quantity) for position in group.positions]
        return sum((security.buying_power_model.maintenance_margin(security, held) for security, held in models), ZERO)
    return ZERO if group.quantity == 0 else _Margin(group, securities).of("hold")


def initial_margin(group: PositionGroup, securities: Securities) -> InitialMargin:
    """Return the margin to open a group: with the premium if it is paid, and without."""
    if group.strategy is None:
        value = ZERO
        for position in group.positions:
            security = securities(position.symbol)
            value += security.buying_power_model.initial_margin(security, position.quantity).value
        return InitialMargin(value, value)
    if group.quantity == 0:
        return InitialMargin(ZERO, ZERO)
    margin = _Margin(group, securities)
    without_premium = margin.of("open")
    return InitialMargin(without_premium + max(margin.premium, ZERO), without_premium)


class _Margin:
    """The rules of one group; `of` picks the one of its strategy."""

    def __init__(self, group: PositionGroup, securities: Securities) -> None:
        assert group.strategy is not None, "a group of one security has no strategy"
        self._strategy: Strategy = group.strategy
        self._quantity = abs(exact(group.quantity))
        self._securities = securities
        self._options = [position for position in group.positions if position.symbol.security_type.is_option]
        self._underlying = next((p for p in group.positions if not p.symbol.security_type.is_option), None)

    @property
    def premium(self) -> Decimal:
        """Signed value of the options: positive is a debit."""
        return sum((self._value(position) for position in self._options), ZERO)

    def of(self, stage: _Stage) -> Decimal:
        strategy = self._strategy
        if strategy in _PUT_WINGS:
            return self._width(self._one(_PUT, short=True), self._one(_PUT, short=False))
        if strategy in _CALL_SPREADS:
            return self._width(self._one(_CALL, short=False), self._one(_CALL, short=True))
        if strategy in _FREE:
            return ZERO
        if strategy in _NAKED:
            return self._alone(self._options[0], stage)
        if strategy in _SHORT_CALENDARS:
            return self._alone(next(p for p in self._options if p.quantity < 0), stage)
        if strategy in _SHORT_PAIRS:
            return self._short_pair(stage)
        if strategy in _SHORT_BUTTERFLIES:
            lowest, middle, _ = sorted(self._options, key=lambda p: p.symbol.id.strike_price)
            return self._width(middle, lowest)
        if strategy is Strategy.SHORT_BOX_SPREAD:
            return self._short_box()
        if strategy in _JELLY_ROLLS:
            last = max(p.symbol.id.date for p in self._options)
            return self._alone(next(p for p in self._options if p.quantity < 0 and p.symbol.id.date == last), "hold")
        if strategy in _CREDIT_LADDERS | _DEBIT_LADDERS:
            return self._ladder()
        if self._underlying is not None:
            return (
                self._opened_with_stock(self._underlying)
                if stage == "open"
                else self._held_with_stock(self._underlying)
            )
        raise MarginModelError(f"Option strategy {strategy} margin modeling has yet to be implemented")

    # -- options only

    def _ladder(self) -> Decimal:
        """Credit ladder: its credit spread.  Debit ladder: its last short leg, naked."""
        is_call = self._options[0].symbol.id.option_right is _CALL
        near_first = sorted(self._options, key=lambda p: p.symbol.id.strike_price, reverse=not is_call)
        if self._strategy in _DEBIT_LADDERS:
            return self._without_premium_signed(near_first[-1])
        spread = {position.quantity > 0: position for position in near_first[:2]}
        return self._width(spread[True], spread[False]) if is_call else self._width(spread[False], spread[True])

    def _short_pair(self, stage: _Stage) -> Decimal:
        """The larger naked margin, and the price of the other option."""
        call, put = self._one(_CALL, short=True), self._one(_PUT, short=True)
        call_margin, put_margin = self._signed(call, stage), self._signed(put, stage)
        if put_margin > call_margin:
            return put_margin + abs(self._value(call))
        return call_margin + abs(self._value(put))

    def _short_box(self) -> Decimal:
        """The larger of 1.02 times the cost to close it (with a commission of 0.65 a contract) and its width."""
        call, put = self._one(_CALL, short=False), self._one(_PUT, short=False)
        short_call, short_put = self._one(_CALL, short=True), self._one(_PUT, short=True)
        contracts = abs(exact(call.quantity))
        asks = exact(self._of(short_call).ask_price) + exact(self._of(short_put).ask_price)
        bids = exact(self._of(call).bid_price) + exact(self._of(put).bid_price)
        commission = max(contracts * _BOX_COMMISSION, Decimal(1)) * _CREDIT_BOX_LEGS
        close_cost = commission + (asks - bids) * contracts * self._unit(call)
        width = (
            (exact(call.symbol.id.strike_price) - exact(short_call.symbol.id.strike_price))
            * contracts
            * self._unit(call)
        )
        return max(_BOX_MARKUP * close_cost, width)

    # -- with stock

    def _held_with_stock(self, stock: Position) -> Decimal:
        underlying, option = self._of(stock), self._options[0]
        spot = exact(underlying.price)
        contracts = abs(exact(option.quantity)) * self._unit(option)
        strike = exact(option.symbol.id.strike_price)
        if self._strategy in _PROTECTED:
            floor = (_TENTH * strike + out_of_the_money(option.symbol, spot)) * contracts
            return min(floor, underlying.buying_power_model.maintenance_margin(underlying, stock.quantity))
        if self._strategy is Strategy.COVERED_CALL:
            share = underlying.buying_power_model.maintenance_margin(underlying, stock.quantity)
            value = quantity_value(underlying, stock.quantity)
            # Both margins are the same share of a value, so that the margin at the strike is that share of the value
            # there.
            at_strike = share if spot == 0 else share * min(spot, strike) / spot
            second = min(value, max(self._value(option), share))
            return max(intrinsic_value(option.symbol, spot) * contracts + at_strike, second)
        if self._strategy is Strategy.COVERED_PUT:
            return self._stock_and_intrinsic(stock, option)
        if self._strategy is Strategy.PROTECTIVE_COLLAR:
            put, call = self._any(_PUT), self._any(_CALL)
            put_rule = _TENTH * exact(put.symbol.id.strike_price) + out_of_the_money(put.symbol, spot)
            units = abs(exact(put.quantity)) * self._unit(put)
            return min(put_rule, _QUARTER * exact(call.symbol.id.strike_price)) * units
        leg = self._any(_CALL if self._strategy is Strategy.CONVERSION else _PUT)
        rule = _TENTH * exact(leg.symbol.id.strike_price) + intrinsic_value(leg.symbol, spot)
        return rule * abs(exact(leg.quantity)) * self._unit(leg)

    def _opened_with_stock(self, stock: Position) -> Decimal:
        underlying, option = self._of(stock), self._options[0]
        if self._strategy in _PROTECTED:
            return abs(underlying.buying_power_model.initial_margin(underlying, stock.quantity).value)
        if self._strategy is Strategy.COVERED_CALL:
            margin = underlying.buying_power_model.initial_margin(underlying, stock.quantity).value
            return abs(self._value(option)) * _COVERED_CALL_SHARE + margin
        if self._strategy is Strategy.COVERED_PUT:
            return self._stock_and_intrinsic(stock, option)
        return self._stock_and_intrinsic(
            stock, self._any(_PUT if self._strategy is Strategy.REVERSE_CONVERSION else _CALL)
        )

    def _stock_and_intrinsic(self, stock: Position, option: Position) -> Decimal:
        underlying = self._of(stock)
        margin = abs(underlying.buying_power_model.initial_margin(underlying, stock.quantity).value)
        in_the_money = intrinsic_value(option.symbol, exact(underlying.price))
        return margin + in_the_money * self._unit(option) * abs(exact(option.quantity))

    # -- pieces

    def _width(self, upper: Position, lower: Position) -> Decimal:
        """Return what the strikes are apart, for the whole group; nothing when it is the other way round."""
        apart = exact(upper.symbol.id.strike_price) - exact(lower.symbol.id.strike_price)
        return max(ZERO, apart * self._unit(lower) * self._quantity)

    def _alone(self, position: Position, stage: _Stage) -> Decimal:
        """Return the margin of one leg on its own, to open without its premium."""
        security = self._of(position)
        if stage == "hold":
            return security.buying_power_model.maintenance_margin(security, position.quantity)
        return abs(security.buying_power_model.initial_margin(security, position.quantity).without_premium)

    def _signed(self, position: Position, stage: _Stage) -> Decimal:
        security = self._of(position)
        if stage == "hold":
            return security.buying_power_model.maintenance_margin(security, position.quantity)
        return abs(security.buying_power_model.initial_margin(security, position.quantity).value)

    def _without_premium_signed(self, position: Position) -> Decimal:
        return self._signed(position, "open")

    def _one(self, right: OptionRight, *, short: bool) -> Position:
        return next(p for p in self._options if p.symbol.id.option_right is right and (p.quantity < 0) is short)

    def _any(self, right: OptionRight) -> Position:
        return next(p for p in self._options if p.symbol.id.option_right is right)

    def _of(self, position: Position) -> SecurityView:
        return self._securities(position.symbol)

    def _unit(self, position: Position) -> Decimal:
        return exact(self._of(position).contract_multiplier)

    def _value(self, position: Position) -> Decimal:
        return quantity_value(self._of(position), position.quantity)
