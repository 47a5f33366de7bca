"""How many shares of the family's target: from equity, inside every limit, and never more than cash can pay for.

An opening is a limit order at a price that is known here, so that its cost is proven before it is sent.  Zero is an
answer and has a reason; what is unknown is zero.  Closings are never asked about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from core.family import SYMBOLS, SizeVerdict, SizingFacts, leverage_of
from core.reasons import Reason
from core.settings import Brokerage
from core.settings_etf import EtfRotationSettings
from core.vocabulary import U6, FamilyTarget, to_u6
from helpers.brokerages import share_fee_bound_u6
from helpers.tick_grid import in_our_favour

TARGET: Final = "TARGET"
MARGIN: Final = "MARGIN"
STRESS: Final = "STRESS"
CASH: Final = "CASH"
EXPOSURE: Final = "EXPOSURE"
LIQUIDITY: Final = "LIQUIDITY"

_REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        MARGIN: Reason.MARGIN_CEILING,
        STRESS: Reason.MARGIN_STRESS,
        CASH: Reason.CASH_SHORT,
        EXPOSURE: Reason.EXPOSURE_CAP,
        LIQUIDITY: Reason.LIQUIDITY_CAP,
    }
)
"""Bounds besides the target value, in the order in which equal ones give their reason."""

_TICK: Final = 0.01
_NOISE: Final = 1e-9
"""30,000 / 500 is 60 shares, whatever binary fractions make of it."""


class FamilySizer:
    """Sizes openings and additions, and says when a holding has grown too large; keeps nothing."""

    def __init__(self, settings: EtfRotationSettings, brokerage: Brokerage) -> None:
        self._settings = settings
        self._brokerage = brokerage
        self._weights = {symbol: settings.weight(leverage_of(symbol)) for symbol in SYMBOLS}

    def target_value(self, target: FamilyTarget, facts: SizingFacts) -> float | None:
        """Return V*, the USD that the target should be worth; None while equity is unknown."""
        if facts.equity_usd is None:
            return None
        return self._weights[target] * facts.scale * self._settings.sleeve_fraction * facts.equity_usd

    def limit_price(self, ask: float) -> float:
        """Return the most that an opening pays: a collar above the ask, up to the tick."""
        return in_our_favour(ask * (1.0 + self._settings.open_collar_fraction), _TICK)

    def size(self, target: FamilyTarget, facts: SizingFacts) -> SizeVerdict:
        """Return the shares of target to buy: all of them from CASH, what is missing where it is held already."""
        unknown = self._unknown(facts)
        if unknown is not None:
            return SizeVerdict(0, None, unknown)
        value = self.target_value(target, facts)
        assert value is not None
        assert facts.quote.ask is not None
        assert facts.quote.bid is not None
        price = self.limit_price(facts.quote.ask)
        held_value = facts.held * facts.quote.bid
        if facts.held and self._gap(held_value, value, facts) >= 0:
            return SizeVerdict(0, price, Reason.BELOW_BAND)
        bounds = self._bounds(target, price, value - held_value, facts)
        qty = min(bounds.values())
        detail: dict[str, str | int | float] = {"target_usd": round(value, 2), "price": price, "held": facts.held}
        if qty > 0 and held_value + qty * price >= self._settings.min_open_fraction * value:
            return SizeVerdict(qty, price, Reason.ALLOWED, bounds, detail)
        reason = self._smallest(bounds)
        if reason is Reason.CASH_SHORT and self._would_do(target, price, value - held_value, held_value, facts):
            reason = Reason.UNSETTLED_FUNDS
        return SizeVerdict(0, price, reason, bounds, detail)

    def off(self, value_usd: float | None, facts: SizingFacts) -> int:
        """Return 1 where what is held is worth more than value_usd by more than the no-trade band, -1 where less, 0
        inside it; 0 as well where value or bid is unknown.
        """
        bid = facts.quote.bid
        return 0 if value_usd is None or bid is None else self._gap(facts.held * bid, value_usd, facts)

    def surplus(self, target: FamilyTarget, facts: SizingFacts) -> int:
        """Return the shares of a held target that are more than its value allows, 0 inside the band.

        A bid is all it needs to know besides equity: selling asks no limit for leave.
        """
        value = self.target_value(target, facts)
        bid = facts.quote.bid
        if value is None or bid is None or not bid > 0 or not facts.quote.is_good or facts.held <= 0:
            return 0
        if self._gap(facts.held * bid, value, facts) <= 0:
            return 0
        return facts.held - math.floor(value / bid + _NOISE)

    def is_short(self, target: FamilyTarget, facts: SizingFacts) -> bool:
        """Tell whether what is held lies below its value by more than the band; unknown facts say no."""
        value = self.target_value(target, facts)
        if value is None or self._unknown(facts) is not None:
            return False
        assert facts.quote.bid is not None
        return self._gap(facts.held * facts.quote.bid, value, facts) < 0

    def _gap(self, held_value: float, value: float, facts: SizingFacts) -> int:
        """Return -1 where too little is held, 1 where too much, 0 inside the no-trade band."""
        assert facts.equity_usd is not None
        off = held_value - value
        band = self._settings.rebalance_band_fraction * self._settings.sleeve_fraction * facts.equity_usd
        if abs(off) <= band or abs(off) < self._settings.min_order_usd:
            return 0
        return 1 if off > 0 else -1

    def _unknown(self, facts: SizingFacts) -> Reason | None:
        """Return the reason of the first thing that an opening has to know and does not."""
        quote, equity = facts.quote, facts.equity_usd
        if equity is None or not math.isfinite(equity) or equity <= 0:
            return Reason.EQUITY_UNKNOWN
        if not quote.is_good or quote.bid is None or quote.ask is None:
            return Reason.QUOTE_MISSING if quote.is_good else quote.verdict.reason
        if not 0 < quote.bid < quote.ask:
            return Reason.QUOTE_CROSSED
        if (quote.ask - quote.bid) / ((quote.ask + quote.bid) / 2) > self._settings.max_spread_fraction + _NOISE:
            return Reason.SPREAD_WIDE
        if facts.usable_cash_usd is None or facts.total_cash_usd is None:
            return Reason.CASH_SHORT
        return None

    def _bounds(self, target: FamilyTarget, price: float, missing: float, facts: SizingFacts) -> dict[str, int]:
        """Return shares by bound; what is unknown leaves room for none."""
        settings = self._settings
        assert facts.equity_usd is not None
        assert facts.usable_cash_usd is not None
        exposure = settings.max_exposure_fraction * facts.equity_usd / (leverage_of(target) * price) - facts.held
        volume = 0.0 if facts.median_volume is None else settings.max_participation_fraction * facts.median_volume
        return {
            TARGET: _whole(missing / price),
            MARGIN: _whole((facts.buying_power_usd or 0.0) / price),
            STRESS: _whole(facts.stress_shares),
            CASH: self._affordable(price, facts.usable_cash_usd, facts),
            EXPOSURE: _whole(exposure),
            LIQUIDITY: _whole(volume),
        }

    def _affordable(self, price: float, cash_usd: float, facts: SizingFacts) -> int:
        """Return the most shares whose price and fee leave the reserve untouched; in whole micro-dollars, exact."""
        assert facts.equity_usd is not None
        kept = self._settings.cash_reserve_fraction * facts.equity_usd + facts.reserved_usd
        room, unit = math.floor((cash_usd - kept) * U6 + _NOISE), to_u6(price)
        qty = max(0, room // unit)
        while qty and qty * unit + share_fee_bound_u6(self._brokerage, qty) > room:
            short = qty * unit + share_fee_bound_u6(self._brokerage, qty) - room
            qty = max(0, qty - max(1, short // (2 * unit)))
        return qty

    def _smallest(self, bounds: Mapping[str, int]) -> Reason:
        name = min(_REASONS, key=lambda item: bounds[item])
        return _REASONS[name] if bounds[name] < bounds[TARGET] else Reason.BELOW_MIN_OPEN

    def _would_do(
        self, target: FamilyTarget, price: float, missing: float, held_value: float, facts: SizingFacts
    ) -> bool:
        """Whether cash that has not settled yet is all that is missing."""
        qty = min(self._bounds(target, price, missing, replace(facts, usable_cash_usd=facts.total_cash_usd)).values())
        least = self._settings.min_open_fraction * (held_value + missing)
        return qty > 0 and held_value + qty * price >= least


def _whole(shares: float) -> int:
    return math.floor(min(shares, 1e12) + _NOISE) if shares > 0 else 0
