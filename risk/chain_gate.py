"""Is this option chain a market that one may open on?  Asked per expiry, per leg and per combination.

A chain that is not there is normal in single minutes and silent on days without a universe: both are refusals, never
errors, and they are asked again in the next minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.ledger_kinds import Kind
from core.market import MarketSnapshot, Quote, QuoteVerdict
from core.ports import Floats
from core.reasons import Reason
from core.rules import QUIET, Note, Watch
from core.settings import Settings
from core.vocabulary import Intent, Structure, Verdict
from helpers.pricing import PricedChain
from risk.step_pricer import StepPricer

if TYPE_CHECKING:
    from core.books import Books

Bools = npt.NDArray[np.bool_]

_FRACTION_DECIMALS = 6
"""Percentages of price are compared after rounding, so that a limit met exactly is met."""

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class GatedChain:
    """A chain that passed: columns (n,) in its order. delta is ours, NaN where unknown."""

    priced: PricedChain
    delta: Floats

    @property
    def sellable(self) -> Bools:
        """Contracts whose quote passes every test of a sold leg."""
        return self.priced.good

    @property
    def buyable(self) -> Bools:
        """Contracts whose quote passes every test of a bought leg: nobody need bid for it."""
        chain = self.priced.chain
        with np.errstate(invalid="ignore"):
            bidless: Bools = np.isnan(chain.bid) & (chain.ask > 0)
        return self.priced.good | bidless

    def quote(self, position: int) -> Quote:
        """Return one contract's quote of this minute."""
        chain = self.priced.chain
        bid, ask = float(chain.bid[position]), float(chain.ask[position])
        if np.isnan(ask):
            return Quote(QuoteVerdict.MISSING, None if np.isnan(bid) else bid, age_s=0.0)
        if np.isnan(bid):
            return Quote(QuoteVerdict.NO_BID, None, ask, age_s=0.0)
        return Quote(QuoteVerdict.GOOD if self.priced.good[position] else QuoteVerdict.WIDE, bid, ask, age_s=0.0)


class ChainGate:
    """Answers for the step at hand; remembers only since when it has refused a chain."""

    name = "chain_gate"

    def __init__(self, settings: Settings, pricer: StepPricer) -> None:
        self._settings = settings.chain
        self._underlying_max_age_s = settings.data.underlying_max_age_s
        self._pricer = pricer
        self._refused_since: dict[tuple[str, date], datetime] = {}
        self._alerted: set[tuple[str, date, date]] = set()
        self._notes: list[Note] = []
        self.rests = False

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Hand over the alerts of the step before."""
        self.rests = True
        if not self._notes:
            return QUIET
        notes, self._notes = tuple(self._notes), []
        return Watch(notes=notes)

    # ------------------------------------------------------------------------------------------------------ per expiry

    def admit(self, snapshot: MarketSnapshot, root: str, expiry: date) -> GatedChain | Verdict:
        """Return the priced chain of exactly that root and exchange date, or why nothing may be opened on it now."""
        found = self._judge(snapshot, root, expiry)
        key = (root, expiry)
        if isinstance(found, GatedChain):
            self._refused_since.pop(key, None)
            return found
        since = self._refused_since.get(key)
        if since is None or since.date() != snapshot.time.date():
            since = self._refused_since[key] = snapshot.time
        self._alert(key, since, found, snapshot)
        return found

    def _judge(self, snapshot: MarketSnapshot, root: str, expiry: date) -> GatedChain | Verdict:
        settings, listed = self._settings, snapshot.listed.get(root)
        if not listed:
            return Verdict.refuse(Reason.UNIVERSE_MISSING, root=root)
        if not listed.get(expiry):
            return Verdict.refuse(Reason.EXPIRY_NOT_LISTED, root=root, expiry=expiry.isoformat())
        chain = snapshot.load_chain(root, expiry)
        if chain is None or not len(chain):
            return Verdict.refuse(Reason.CHAIN_EMPTY, root=root, listed=listed[expiry])
        least = settings.min_contracts_0dte if expiry == snapshot.session.day else settings.min_contracts
        priced = self._pricer.chain(snapshot, root, expiry)
        if priced is None:
            return Verdict.refuse(Reason.CHAIN_TOO_THIN, listed=listed[expiry], quoted=len(chain), forward="unknown")
        delta = priced.delta()
        size = np.abs(delta)
        with np.errstate(invalid="ignore"):
            in_band = (size >= settings.delta_low) & (size <= settings.delta_high)
        inside = int(np.count_nonzero(in_band))
        good = int(np.count_nonzero(in_band & priced.good))
        if inside < least or good * 100 < settings.good_share_pct * inside:
            return Verdict.refuse(
                Reason.CHAIN_TOO_THIN, listed=listed[expiry], quoted=len(chain),
                with_delta=int(np.count_nonzero(~np.isnan(delta))), in_band=inside, good=good, least=least,
                good_share_pct=settings.good_share_pct,
            )  # fmt: skip
        return GatedChain(priced, delta)

    def _alert(self, key: tuple[str, date], since: datetime, refusal: Verdict, snapshot: MarketSnapshot) -> None:
        today = snapshot.time.date()
        if snapshot.time - since < timedelta(minutes=self._settings.alert_min) or (*key, today) in self._alerted:
            return
        self._alerted.add((*key, today))
        root, expiry = key
        text = f"Chain {root} {expiry} has been refused since {since:%H:%M}: {refusal.reason.value}."
        fields = {"severity": "WARNING", "code": "CHAIN_REFUSED", "text": text}
        self._notes.append(Note(Kind.ALERT, "", fields))
        self.rests = False

    # ----------------------------------------------------------------------------------------- per leg and combination

    def combo(self, structure: Structure, quote_of: Callable[[str], Quote]) -> Verdict:
        """Refuse a combination whose legs' spreads are too large a part of their mids, both counted without sign."""
        spreads = mids = 0.0
        for leg in structure.legs:
            quote = quote_of(leg.symbol)
            if quote.ask is None:
                return Verdict.refuse(quote.verdict.reason, symbol=leg.symbol)
            bid = quote.bid or 0.0  # nobody's bid makes a leg cheap to buy, it is no price of it
            spreads += abs(leg.ratio) * (quote.ask - bid)
            mids += abs(leg.ratio) * (quote.ask + bid) / 2
        share = round(spreads / mids, _FRACTION_DECIMALS)
        if share > self._settings.combo_spread_pct / 100:
            return Verdict.refuse(Reason.COMBO_TOO_WIDE, spreads=round(spreads, 4), mids=round(mids, 4))
        return Verdict.allow()

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse an opening unless its underlying is fresh and every leg GOOD; a bought leg may be without a bid."""
        structure = intent.structure
        stale = underlying_refusal(structure.underlying, snapshot, self._underlying_max_age_s)
        if stale is not None:
            return stale
        for leg in structure.legs:
            quote = snapshot.quote(leg.symbol)
            if quote.is_good or (leg.ratio > 0 and quote.verdict is QuoteVerdict.NO_BID):
                continue
            detail: dict[str, str | int | float] = {
                "symbol": leg.symbol,
                "age_s": round(min(quote.age_s, _DAY_S)),
                "bid": "none" if quote.bid is None else quote.bid,
                "ask": "none" if quote.ask is None else quote.ask,
            }
            return Verdict(False, quote.verdict.reason, detail)
        return self.combo(structure, snapshot.quote)


def underlying_refusal(ticker: str, snapshot: MarketSnapshot, max_age_s: int) -> Verdict | None:
    """Return why the price of an underlying may not be read now, None when it is fresh."""
    bar = snapshot.bars.get(ticker)
    if ticker in snapshot.halted:
        return Verdict.refuse(Reason.QUOTE_HALTED, symbol=ticker)
    if bar is None:
        return Verdict.refuse(Reason.QUOTE_MISSING, symbol=ticker)
    if bar.age_s > max_age_s:
        return Verdict.refuse(Reason.QUOTE_STALE, symbol=ticker, age_s=round(bar.age_s), limit_s=max_age_s)
    return None
