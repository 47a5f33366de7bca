"""Our own margin of a set of contracts, by rules that do not change from run to run.

Shorts are paired with longs of the same right and no earlier expiry.  A paired short costs the distance that its long
leaves open; an iron condor pays for its worse side only.  What stays unpaired is naked and pays a share of the
underlying.  A debit is margin too: it can be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from core.settings import MarginSettings
from core.vocabulary import Instrument, Kind, Right

PriceOf = Callable[[Instrument], float | None]
"""Points: the price of a contract or share; for a naked short also asked for its underlying."""

INDICES: Final = frozenset({"SPX", "NDX", "RUT", "XSP"})


@dataclass(frozen=True, slots=True)
class OwnMargin:
    """USD. naked is the part that belongs to shorts without a long; it is dearer under stress."""

    usd: float
    naked_usd: float = 0.0

    def stressed(self, naked_multiple: float) -> float:
        return self.usd + (naked_multiple - 1.0) * self.naked_usd


@dataclass(frozen=True, slots=True)
class NakedPrices:
    """What a naked short needs to be judged: prices in points of the contract and of its underlying, None = unknown."""

    premium: PriceOf
    underlying: PriceOf


def _unknown(_instrument: Instrument) -> float | None:
    return None


UNPRICED: Final = NakedPrices(_unknown, _unknown)
"""Knows no price: what is margined by it needs none."""


def own_margin(
    holdings: Sequence[tuple[Instrument, int]], net_cash_usd: float, settings: MarginSettings, prices: NakedPrices
) -> OwnMargin | None:
    """Return the margin of contracts that are one trade, opened for net_cash_usd; None where it needs an unknown price.

    holdings are signed contracts or shares, net_cash_usd what they brought in (+) or cost (-).
    """
    shares = _shares(holdings, prices)
    if shares is None:
        return None
    if all(instrument.right is None for instrument, _ in holdings):
        return OwnMargin(shares)
    calls, naked_calls = _pair([held for held in holdings if held[0].right is Right.CALL], Right.CALL)
    puts, naked_puts = _pair([held for held in holdings if held[0].right is Right.PUT], Right.PUT)
    sides = [_naked_side(naked, settings, prices) for naked in (naked_calls, naked_puts)]
    if sides[0] is None or sides[1] is None:
        return None
    call_side, put_side = sides[0], sides[1]
    # The underlying can hurt one side only; the premium of the other one is owed all the same.
    if call_side.requirement + calls >= put_side.requirement + puts:
        naked, covered = call_side.requirement + put_side.premium, calls
    else:
        naked, covered = put_side.requirement + call_side.premium, puts
    return OwnMargin(shares + covered + naked + max(0.0, -net_cash_usd), naked)


def has_naked(holdings: Sequence[tuple[Instrument, int]]) -> bool:
    """Tell whether a short has no long of its right that lives as long."""
    return any(_pair([held for held in holdings if held[0].right is right], right)[1] for right in Right)


def _shares(holdings: Iterable[tuple[Instrument, int]], prices: NakedPrices) -> float | None:
    total = 0.0
    for instrument, qty in holdings:
        if instrument.kind is Kind.SHARE and qty:
            price = prices.premium(instrument)
            if price is None:
                return None
            total += abs(qty) * price * instrument.multiplier
    return total


def _expiry(instrument: Instrument) -> date:
    assert instrument.expiry is not None  # an option has one by construction
    return instrument.expiry


def _pair(side: Sequence[tuple[Instrument, int]], right: Right) -> tuple[float, list[tuple[Instrument, int]]]:
    """Return the USD that paired shorts of one right leave open, and the shorts that found no long.

    A long at or inside the short's strike covers it wholly; the one nearest to it is taken, so that better longs stay
    for the others.
    """
    outward = 1.0 if right is Right.CALL else -1.0
    longs = {instrument: qty for instrument, qty in side if qty > 0}
    shorts = sorted((held for held in side if held[1] < 0), key=lambda held: (outward * held[0].strike, held[0].symbol))
    open_usd = 0.0
    naked: list[tuple[Instrument, int]] = []
    for short, qty in shorts:
        left = -qty

        def distance(long: Instrument, short: Instrument = short) -> tuple[bool, float, str]:
            gap = outward * (long.strike - short.strike)
            return gap > 0, abs(gap), long.symbol

        for long in sorted((one for one in longs if _expiry(one) >= _expiry(short)), key=distance):
            used = min(left, longs[long])
            open_usd += used * max(0.0, outward * (long.strike - short.strike)) * short.multiplier
            longs[long] -= used
            left -= used
        if left:
            naked.append((short, left))
    return open_usd, naked


@dataclass(frozen=True, slots=True)
class _Side:
    requirement: float
    premium: float


def _naked_side(naked: Iterable[tuple[Instrument, int]], settings: MarginSettings, prices: NakedPrices) -> _Side | None:
    """Return requirement and premium in USD of the naked shorts of one right, None where a price is unknown."""
    requirement = premium = 0.0
    for short, count in naked:
        price, underlying = prices.premium(short), prices.underlying(short)
        if price is None or underlying is None:
            return None
        share = settings.naked_index_pct if short.underlying in INDICES else settings.naked_underlying_pct
        away = max(0.0, short.strike - underlying if short.right is Right.CALL else underlying - short.strike)
        floor = settings.naked_strike_pct / 100 * short.strike
        points = max(share / 100 * underlying - away, floor) + price
        requirement += count * points * short.multiplier
        premium += count * price * short.multiplier
    return _Side(requirement, premium)
