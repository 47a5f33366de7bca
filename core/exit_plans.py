"""When a trade is left: its stored exit plan against the quotes of this minute.

Stops read the natural price and must hold for some minutes; targets read the mid, once.  A minute without a valid price
neither counts nor resets; when such minutes follow each other, spot decides.  Hard times always hold.  No strategy code
is needed: whoever holds the plan can leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.ledger_kinds import Kind
from core.market import MISSING_QUOTE, Bar, MarketSnapshot, QuoteVerdict
from core.net_quote import usable
from core.reasons import Reason
from core.rules import QUIET, Note, Watch
from core.settings import Settings
from core.values import value
from core.vocabulary import Detail, ExitPlan, Ladder, Right, Structure

if TYPE_CHECKING:
    from core.books import Books
    from core.trades import Trade

_PRICE_DECIMALS = 6
"""Prices are compared after rounding: half of a credit is a decimal number, not a binary one."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A due exit.

    floor_cash is the worst net cash per unit in points that will ever be sent (None: only the collar holds); keep the
    bidless longs that are left out of the order and expire; detail the numbers behind the decision.
    """

    reason: Reason
    ladder: Ladder
    floor_cash: float | None = None
    keep: frozenset[str] = frozenset()
    detail: Detail = field(default_factory=dict)


@dataclass(slots=True)
class _Count:
    """Minutes in a row of one trade: that confirm its stop, and that had no valid price."""

    judged: datetime = datetime.min
    beyond: int = 0
    invalid: int = 0
    is_touched: bool = False


@value
class _ClosePrice:
    """What closing one unit costs in points (proceeds negative), bidless longs worth 0."""

    natural: float
    mid: float
    is_wide: bool


class ExitWatch:
    """Judges every open trade once a minute. Its counts travel in the state snapshot."""

    name = "exit_watch"

    def __init__(self, settings: Settings) -> None:
        self._spot_max_age_s = settings.data.underlying_max_age_s
        self._counts: dict[str, _Count] = {}
        self._notes: list[Note] = []
        self._swept: tuple[Books, int] | None = None
        """The books, and how much had changed in them, when trades that have ended were last forgotten."""
        self.rests = False

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Hand over the alerts of the step before, and forget trades that have ended."""
        read = (books, books.changes)
        if self._counts and read != self._swept:  # no trade has ended while the books have not changed
            for ended in self._counts.keys() - {trade.id for trade in books.open_trades()}:
                del self._counts[ended]
            self._swept = read
        self.rests = not self._counts
        if not self._notes:
            return QUIET
        notes, self._notes = tuple(self._notes), []
        return Watch(notes=notes)

    # -------------------------------------------------------------------------------------------------------- the exit

    def judge(self, trade: Trade, snapshot: MarketSnapshot) -> Exit | None:
        """Return the first exit of the trade's plan that is due, None to stay or where the trade has no plan."""
        plan = trade.exit_plan
        if plan is None:
            return None
        due = self._by_quotes(trade, plan, snapshot)
        if snapshot.time >= plan.flatten:
            return self.demanded(trade, snapshot, Reason.EXIT_FLATTEN, Ladder.FLATTEN)
        if snapshot.time >= plan.hard_exit:
            return self.demanded(trade, snapshot, Reason.EXIT_TIME, Ladder.URGENT)
        if due is not None and due.ladder is not Ladder.TARGET:
            return due
        reading, limit = snapshot.vix, plan.vix_exit
        if limit is not None and reading is not None and reading.is_good:
            vix = reading.value
            if vix is not None and vix > limit:
                return self._urgent(trade, snapshot, Reason.EXIT_VIX, vix=vix, limit=limit)
        return due

    def demanded(self, trade: Trade, snapshot: MarketSnapshot, reason: Reason, ladder: Ladder) -> Exit:
        """Return an exit that somebody else decided, with what it leaves out and the price it never passes.

        Flattening knows no floor but the collar: leg by leg one leg may cost more than the whole structure can.
        """
        keep = bidless_longs(trade, snapshot)
        floor = None if ladder is Ladder.FLATTEN else _width_floor(trade)
        return Exit(reason, ladder, floor, keep)

    def _urgent(self, trade: Trade, snapshot: MarketSnapshot, reason: Reason, **detail: str | int | float) -> Exit:
        return Exit(reason, Ladder.URGENT, _width_floor(trade), bidless_longs(trade, snapshot), detail)

    # ------------------------------------------------------------------------------------------------- exits by quotes

    def _by_quotes(self, trade: Trade, plan: ExitPlan, snapshot: MarketSnapshot) -> Exit | None:
        """Count this minute, then return the stop, the exit without a price, or the target; None where none is due."""
        count = self._counts.get(trade.id)
        if count is None:
            count = self._counts[trade.id] = _Count()
            self.rests = False
        bar = snapshot.bars.get(trade.structure.underlying)
        spot = None if bar is None or bar.age_s > self._spot_max_age_s else bar.close
        if bar is not None and not count.is_touched:
            count.is_touched = _touches(trade, bar)
        if snapshot.time < snapshot.session.after_open(plan.quiet_min):
            count.beyond = count.invalid = 0
            return None
        if trade.units < 1:
            return None  # nothing whole is held: repair and hard times see to it
        price = _close_price(trade.structure, snapshot)
        credit, minute = trade.entry_cash, snapshot.time
        if minute.second or minute.microsecond:
            minute = minute.replace(second=0, microsecond=0)
        is_new = minute > count.judged
        count.judged = minute
        stop = _times(plan.stop_cost_multiple, credit)
        is_beyond = False
        if price is not None and price.is_wide and (stop is None or not _counts_when_wide(price, stop, spot, trade)):
            price = None
        if price is None:
            count.invalid += is_new
        else:
            count.invalid = 0
            is_beyond = stop is not None and round(price.natural, _PRICE_DECIMALS) >= stop
            count.beyond = count.beyond + is_new if is_beyond else 0
        needed = plan.confirm_min
        if count.is_touched and plan.touched_confirm_min is not None:
            needed = plan.touched_confirm_min
        if price is not None and stop is not None and is_beyond and count.beyond >= needed:
            return self._urgent(trade, snapshot, Reason.EXIT_STOP, close_natural=price.natural, stop=stop)
        if price is None:
            return self._without_price(trade, plan, count, spot, snapshot, is_new=is_new)
        target = _times(plan.target_fraction, credit)
        if target is not None and not price.is_wide and round(price.mid, _PRICE_DECIMALS) <= target:
            floor = -(target + trade.structure.tick)
            detail = {"close_mid": price.mid, "target": target}
            return Exit(Reason.EXIT_TARGET, Ladder.TARGET, floor, bidless_longs(trade, snapshot), detail)
        return None

    def _without_price(
        self, trade: Trade, plan: ExitPlan, count: _Count, spot: float | None, snapshot: MarketSnapshot, *, is_new: bool
    ) -> Exit | None:
        """Spot decides once no quote has been valid for too long: out when beyond a short strike, else an alert."""
        if count.invalid < plan.invalid_min:
            return None
        if spot is not None and _is_beyond(spot, trade.structure):
            return self._urgent(trade, snapshot, Reason.UNPRICED, spot=spot, minutes=count.invalid)
        if is_new and count.invalid == plan.invalid_min:
            where = "the underlying has no fresh price either" if spot is None else f"spot {spot:g} is inside"
            text = f"{trade.id} has had no valid closing price for {count.invalid} minutes; {where}."
            fields = {"severity": "CRITICAL" if spot is None else "WARNING", "code": "TRADE_UNPRICED", "text": text}
            self._notes.append(Note(Kind.ALERT, trade.strategy, fields))
            self.rests = False
        return None

    # ----------------------------------------------------------------------------------------------------------- state

    def state(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return {
            trade: {
                "judged": count.judged.isoformat(),
                "beyond": count.beyond,
                "invalid": count.invalid,
                "touched": count.is_touched,
            }
            for trade, count in sorted(self._counts.items())
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on counting where a run left off; a row that cannot be read starts afresh, which only delays a stop."""
        for trade, row in state.items():
            judged = datetime.fromisoformat(row["judged"])
            self.rests, self._swept = False, None
            self._counts[trade] = _Count(judged, int(row["beyond"]), int(row["invalid"]), bool(row["touched"]))


def bidless_longs(trade: Trade, snapshot: MarketSnapshot) -> frozenset[str]:
    """Return held longs that nobody bids for now, and that have no earlier price to be offered at; shorts never."""
    return frozenset(
        symbol
        for symbol, qty in trade.legs.items()
        if qty > 0 and trade.structure.legs[0].instrument.right is not None and _last_bid(symbol, snapshot) is None
    )


def _last_bid(symbol: str, snapshot: MarketSnapshot) -> float | None:
    quote = snapshot.quote(symbol)
    return (quote if usable(quote) else snapshot.last_good.get(symbol, quote)).bid


def _close_price(structure: Structure, snapshot: MarketSnapshot) -> _ClosePrice | None:
    """Return what closing costs now; None without a valid price. A long that nobody bids for is worth 0."""
    natural = mid = 0.0
    is_wide, quotes = False, snapshot.quotes
    for leg in structure.legs:
        quote, ratio = quotes.get(leg.instrument.symbol, MISSING_QUOTE), leg.ratio
        verdict = quote.verdict
        if verdict is not QuoteVerdict.GOOD:
            if verdict is QuoteVerdict.NO_BID and ratio > 0:
                continue
            if verdict is not QuoteVerdict.WIDE:
                return None
            is_wide = True
        bid, ask = quote.bid, quote.ask
        assert bid is not None, "a quote in the market has both sides"
        assert ask is not None, "a quote in the market has both sides"
        # A sold leg is closed at the ask, a bought one at the bid.
        natural -= ratio * (ask if ratio < 0 else bid)
        mid -= ratio * ((bid + ask) / 2)
    return _ClosePrice(natural, mid, is_wide)


def _counts_when_wide(price: _ClosePrice, stop: float, spot: float | None, trade: Trade) -> bool:
    """A fast market must not hide a stop: a wide quote counts when its mid, or spot, says the same."""
    if round(price.natural, _PRICE_DECIMALS) < stop:
        return False
    beyond = spot is not None and _is_beyond(spot, trade.structure)
    return beyond or round(price.mid, _PRICE_DECIMALS) >= stop


def _is_beyond(spot: float, structure: Structure) -> bool:
    return any(leg.instrument.payoff(spot) > 0 for leg in structure.shorts)


def _touches(trade: Trade, bar: Bar) -> bool:
    """A sold strike counts as touched by any price inside a minute after the trade began."""
    if trade.opened is None or bar.end <= trade.opened:
        return False
    for leg in trade.structure.legs:
        sold = leg.instrument
        if leg.ratio < 0 and (bar.high >= sold.strike if sold.right is Right.CALL else bar.low <= sold.strike):
            return True
    return False


def _times(factor: float | None, credit: float) -> float | None:
    """Return a share or multiple of a credit; a debit has neither stop nor target by it."""
    return None if factor is None or credit <= 0 else round(factor * credit, _PRICE_DECIMALS)


def _width_floor(trade: Trade) -> float | None:
    """Return the net cash below which a close never goes: a defined risk is never paid for with more than its width."""
    floor = trade.structure.worst_payoff()
    return None if floor is None or trade.is_unbalanced else floor
