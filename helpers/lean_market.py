"""The market side of the LEAN edge: turns a slice into the core's feed, and LEAN symbols into instruments and back.

All subscriptions are made with `fill_forward=False`: what stands in a slice is real, what does not is missing, and
its age grows.  Quotes come from `slice.quote_bars` and the slice's chains only, because `security.bid_price` keeps an
old bid when the bid is gone.
"""

from __future__ import annotations

from AlgorithmImports import *

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import inf
from typing import TypeVar

from System.Collections.Generic import KeyNotFoundException

import numpy as np

from core.ports import RawBar, RawChain, RawQuote, RawStrikes
from core.vocabulary import Instrument, Right, SplitEvent

T = TypeVar("T")
_CENT = 0.01
_SPLIT_DENOMINATOR = 1000
# LEAN's own number for an index option follows its last price (0.05 below 3, 0.10 from there on), so that it depends on
# the moment in which it is read; the net price of a combo moves in 0.05.
_INDEX_OPTION_TICK = 0.05
_TAIL, _STRIKE_SCALE = 15, 1000
"""An option's text ends with the day of its expiry, its side and a thousand times its strike, 6 + 1 + 8 characters."""


@dataclass(slots=True)
class _Ladder:
    """The listed contracts of one expiry: strikes in order, and the contracts of each.

    chosen: those that were read last, with the window and the further contracts that they were chosen for.
    """

    instruments: tuple[Instrument, ...]
    symbols: list[Symbol]
    strikes: list[float]
    contracts: list[list[tuple[Instrument, Symbol]]]
    chosen: tuple[int, int, tuple[Instrument, ...], list[tuple[Instrument, Symbol]]] = (0, 0, (), [])


class LeanMarket:
    """`core.ports.MarketFeed` over the slice of the present minute."""

    def __init__(self, algorithm: QCAlgorithm) -> None:
        self._algorithm = algorithm
        self._symbols: dict[str, Symbol] = {}
        self._shares: set[str] = set()
        self._indices: set[str] = set()
        # By text everywhere: a dictionary of LEAN's symbols compares them through .NET, 6 us for each look-up.
        self._instruments: dict[str, Instrument] = {}
        self._multipliers: dict[str, int] = {}
        self._canonical: dict[str, Symbol] = {}
        self._index_of_root: dict[str, str] = {}
        self._listed: dict[str, dict[str, Symbol]] = {}
        self._counts: dict[str, dict[date, int]] = {}
        self._ladders: dict[tuple[str, date], _Ladder] = {}
        self._is_live = bool(algorithm.live_mode)
        # One value: live, a step reads on one thread while the thread of the data brings the next slice.
        self._present: tuple[datetime, Slice | None] = (datetime.min, None)
        self._halted: frozenset[str] = frozenset()

    # -------------------------------------------------------------------------------------- subscriptions, identities

    def add_share(self, ticker: str, symbol: Symbol) -> None:
        self._symbols[ticker] = symbol
        self._shares.add(ticker)
        self._instruments[ticker] = Instrument(ticker, ticker, tick=_CENT)

    def add_index(self, ticker: str, symbol: Symbol) -> None:
        self._symbols[ticker] = symbol
        self._indices.add(ticker)

    def add_chain(self, root: str, underlying: str, canonical: Symbol) -> None:
        self._canonical[root] = canonical
        self._index_of_root[root] = underlying

    def symbol(self, text: str) -> Symbol | None:
        """Return LEAN's symbol for the core's text of it, None when this run has never seen it."""
        return self._symbols.get(text)

    def restore(self, text: str, identifier: str) -> None:
        """Make a contract of an earlier run known again: its text, and `str(symbol.id)` as the snapshot kept it.

        LEAN subscribes only what the broker still holds; whatever our books hold needs quotes as well.
        """
        if text in self._symbols:
            return
        symbol = self._algorithm.symbol(identifier)
        if not self._algorithm.securities.contains_key(symbol):
            self._algorithm.add_security(symbol, Resolution.MINUTE, fill_forward=False)
        self._know(str(symbol.value), symbol)

    def identifier(self, text: str) -> str:
        """Return `str(symbol.id)`, the only form of a symbol that survives a restart."""
        return str(self._symbols[text].id)

    def instrument(self, symbol: Symbol) -> Instrument:
        text = str(symbol.value)
        known = self._instruments.get(text)
        return known if known is not None else self._know(text, symbol)

    def _know(self, text: str, symbol: Symbol) -> Instrument:
        root = _root(text)
        multiplier = self._multipliers.get(root)
        if multiplier is not None:
            instrument = _index_option(text, self._index_of_root[root], multiplier)
        elif symbol.security_type in (SecurityType.OPTION, SecurityType.INDEX_OPTION, SecurityType.FUTURE_OPTION):
            properties = self._algorithm.securities[symbol].symbol_properties
            is_call = symbol.id.option_right == OptionRight.CALL
            is_index = symbol.security_type == SecurityType.INDEX_OPTION
            instrument = Instrument(
                text,
                str(symbol.underlying.value),
                multiplier=int(properties.contract_multiplier),
                tick=_INDEX_OPTION_TICK if is_index else float(properties.minimum_price_variation),
                right=Right.CALL if is_call else Right.PUT,
                strike=float(symbol.id.strike_price),
                expiry=symbol.id.date.date(),
            )
            if root in self._canonical:
                self._multipliers[root] = instrument.multiplier  # one for all contracts of a root
        else:
            renamed = self._share_of(symbol)
            instrument = Instrument(text, text, tick=_CENT) if renamed is None else renamed
        self._symbols[text] = symbol
        self._instruments[text] = instrument
        return instrument

    def _share_of(self, symbol: Symbol) -> Instrument | None:
        """Return the share that LEAN calls by another ticker since it was renamed."""
        # A copy: live, another thread may learn of an instrument meanwhile.
        shares = (known for known in tuple(self._instruments.values()) if known.right is None)
        return next((share for share in shares if self._symbols[share.symbol] == symbol), None)

    def universe_changed(self) -> None:
        """Forget what was listed: the universe is another one now."""
        # Live, a step may be reading on another thread: it goes on with what was, and what it makes of that is kept in
        # dictionaries that nobody looks at any more.
        self._listed, self._ladders, self._counts = {}, {}, {}

    def _universe(self, root: str) -> Mapping[str, Symbol]:
        """Return the contracts of the last selection by text.

        Read when they are first asked for, which on most days nobody does; LEAN says nothing when the prior day's file
        is missing, and its choice stays the old one.
        """
        every = self._listed
        known = every.get(root)
        if known is None:
            canonical = self._canonical.get(root)
            chosen = () if canonical is None else self._algorithm.universe_manager[canonical].selected or ()
            by_text = {str(symbol.value): symbol for symbol in chosen}
            known = every[root] = {text: by_text[text] for text in sorted(by_text) if _root(text) == root}
        return known

    # ----------------------------------------------------------------------------------------------------- one minute

    def split(self, split: Split) -> SplitEvent:
        """Turn LEAN's factor (0.5 for two new shares for an old one) into whole numbers."""
        ratio = Fraction(1 / float(split.split_factor)).limit_denominator(_SPLIT_DENOMINATOR)
        return SplitEvent(self.instrument(split.symbol).symbol, ratio.numerator, ratio.denominator)

    def absorb(self, data: Slice) -> datetime | None:
        """Take a slice in; returns its minute, None where it has no prices: live, LEAN also sends slices like that."""
        if self._is_live and not (data.bars.count or data.quote_bars.count):
            return None
        minute = self.time
        self._present = (minute, data)
        return minute

    @property
    def time(self) -> datetime:
        """The minute that has closed; live, LEAN's own time runs on within it."""
        now: datetime = self._algorithm.time
        return now if not (now.second or now.microsecond) else now.replace(second=0, microsecond=0)

    def bars_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawBar]:
        # Whatever is asked of LEAN costs some tenths of a microsecond, so nothing is asked that is known: these are
        # main.py's own subscriptions, without filling forward, and an index has no volume.
        found: dict[str, RawBar] = {}
        end, data = self._present
        if data is None or end != minute:
            return found
        bars = data.bars
        for text in symbols:
            lean = self._symbols.get(text)
            bar = None if lean is None else _entry(bars, lean)
            if bar is not None:
                volume = 0.0 if text in self._indices else float(bar.volume)
                # LEAN stamps a bar in its exchange's zone (an index: Chicago); a real bar of this slice ended now.
                found[text] = RawBar(minute, bar.open, bar.high, bar.low, bar.close, volume)
        return found

    def quotes_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawQuote]:
        found: dict[str, RawQuote] = {}
        end, data = self._present
        if data is None or end != minute:
            return found
        bars = data.quote_bars
        for text in symbols:
            lean = self._symbols.get(text)
            bar = None if lean is None else _entry(bars, lean)
            # Live, LEAN subscribes what the broker holds, and fills it forward; all others are main.py's own.
            if bar is None or (self._is_live and text not in self._shares and bar.is_fill_forward):
                continue
            bid, ask = bar.bid, bar.ask
            found[text] = RawQuote(
                minute,
                _present(bid.close) if bid is not None else None,
                _present(ask.close) if ask is not None else None,
                _present(bid.low) if bid is not None else None,
                _present(ask.high) if ask is not None else None,
            )
        return found

    def _chain(self, minute: datetime, root: str) -> OptionChain | None:
        """Return the chain of that very minute: an older slice is history and must not be read as new."""
        end, data = self._present
        canonical = self._canonical.get(root)
        if data is None or canonical is None or end != minute:
            return None
        return _entry(data.option_chains, canonical)

    def chain(self, minute: datetime, root: str, expiry: date) -> RawChain | None:
        chain = self._chain(minute, root)
        if chain is None:
            return None
        # Nearly always every listed contract is there. By name they are read without LEAN's sorting them first.
        ladder = self._ladder(root, expiry)
        contracts = chain.contracts
        found = self._by_name(minute, contracts, ladder) if contracts.count == len(ladder.symbols) else None
        return self._by_walking(minute, chain, expiry) if found is None else found

    def _by_name(self, minute: datetime, contracts: OptionContracts, ladder: _Ladder) -> RawChain | None:
        """Return the rows of all listed contracts of an expiry, None where the chain does not have them all."""
        bids: list[float] = []
        asks: list[float] = []
        for symbol in ladder.symbols:
            contract = _entry(contracts, symbol)
            if contract is None:
                return None
            bids.append(contract.bid_price)
            asks.append(contract.ask_price)
        return RawChain(minute, ladder.instruments, np.array(bids), np.array(asks))

    def _by_walking(self, minute: datetime, chain: OptionChain, expiry: date) -> RawChain | None:
        known = self._instruments
        instruments: list[Instrument] = []
        bids: list[float] = []
        asks: list[float] = []
        for contract in chain:
            text = str(contract)  # the text of its symbol, at a fifth of what asking for that costs
            instrument = known.get(text)
            if instrument is None:
                instrument = self._know(text, contract.symbol)
            if instrument.expiry == expiry:
                instruments.append(instrument)
                bids.append(contract.bid_price)
                asks.append(contract.ask_price)
        if not instruments:
            return None
        return RawChain(minute, tuple(instruments), np.array(bids), np.array(asks))

    def strikes(
        self, minute: datetime, root: str, expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> RawStrikes | None:
        # By key out of the chain itself and not out of the quote bars: a contract that only traded in this minute has a
        # row without prices there and no quote bar, and the row must be the one that the whole chain would show.
        ladder, chain = self._ladder(root, expiry), self._chain(minute, root)
        if chain is None or not ladder.strikes:
            return None
        strikes = ladder.strikes
        middle = bisect_left(strikes, near)
        low, high = max(0, middle - each_side), min(len(strikes), middle + each_side)
        also = tuple(also)
        if ladder.chosen[:3] != (low, high, also):
            wanted = {pair[0].symbol: pair for pairs in ladder.contracts[low:high] for pair in pairs}
            chosen_for = low
            for instrument in also:
                known = self._symbols.get(instrument.symbol)
                if known is None:
                    chosen_for = -1  # by the next time it may be known
                elif instrument.expiry == expiry:
                    wanted.setdefault(instrument.symbol, (instrument, known))
            ladder.chosen = (chosen_for, high, also, list(wanted.values()))
        contracts = chain.contracts
        rows: list[tuple[Instrument, float, float]] = []
        for instrument, symbol in ladder.chosen[3]:
            contract = _entry(contracts, symbol)
            if contract is not None:
                rows.append((instrument, contract.bid_price, contract.ask_price))
        unread = (strikes[low - 1] if low else -inf, strikes[high] if high < len(strikes) else inf)
        return RawStrikes(minute, rows, unread)

    def _ladder(self, root: str, expiry: date) -> _Ladder:
        """Return the listed contracts of an expiry by strike; made anew after every change of the universe."""
        ladders = self._ladders
        known = ladders.get((root, expiry))
        if known is None:
            instruments: list[Instrument] = []
            symbols: list[Symbol] = []
            by_strike: dict[float, list[tuple[Instrument, Symbol]]] = {}
            day = f"{expiry:%y%m%d}"
            for text, symbol in self._universe(root).items():
                if _day(text) == day:
                    instrument = self._instruments.get(text) or self._know(text, symbol)
                    instruments.append(instrument)
                    symbols.append(symbol)
                    by_strike.setdefault(instrument.strike, []).append((instrument, symbol))
            strikes = sorted(by_strike)
            known = _Ladder(tuple(instruments), symbols, strikes, [by_strike[strike] for strike in strikes])
            ladders[root, expiry] = known
        return known

    def listed(self, root: str) -> Mapping[date, int]:
        known = self._counts
        counts = known.get(root)
        if counts is None:
            days = Counter(map(_day, self._universe(root)))
            counts = known[root] = {_date(day): count for day, count in days.items()}
        today = self.time.date()
        return {expiry: count for expiry, count in counts.items() if expiry >= today}

    def halted(self) -> frozenset[str]:
        return self._halted

    # -------------------------------------------------------------------------------------------------------- history

    def minute_history(self, symbol: str, since: datetime) -> Sequence[RawBar]:
        lean = self._symbols.get(symbol)
        if lean is None:
            return ()
        bars = self._algorithm.history[TradeBar](lean, since, self.time, Resolution.MINUTE, fill_forward=False)
        return self._raw(bars, lean)

    def daily_history(self, symbols: Sequence[str], sessions: int) -> Mapping[str, Sequence[RawBar]]:
        wanted = {text: lean for text in symbols if (lean := self._symbols.get(text)) is not None}
        found: dict[str, list[TradeBar]] = {text: [] for text in wanted}
        if not wanted:
            return {}
        midnight = datetime.combine(self.time.date(), datetime.min.time())
        # Two calendar days a session cover weekends and holidays; LEAN's own counting of daily bars would include
        # today's.
        since = midnight - timedelta(days=2 * sessions + 10)
        # One request for all: LEAN waits some ten milliseconds in each, however little it is asked for.
        read = self._algorithm.history[TradeBar]
        for data in read(list(wanted.values()), since, midnight, Resolution.DAILY, fill_forward=False):
            for entry in data:
                text = str(entry.key.value)
                found[text if text in found else self.instrument(entry.key).symbol].append(entry.value)
        return {text: self._raw(found[text][-sessions:], lean) for text, lean in wanted.items()}

    def _raw(self, bars: Iterable[TradeBar], lean: Symbol) -> Sequence[RawBar]:
        """Return bars of history in New York time: LEAN gives them in the zone of their exchange."""
        ahead: timedelta = self._algorithm.time - self._algorithm.securities[lean].local_time
        return tuple(
            RawBar(bar.end_time + ahead, bar.open, bar.high, bar.low, bar.close, float(bar.volume)) for bar in bars
        )


def _entry(entries: DataDictionary[T], symbol: Symbol) -> T | None:
    """Return what LEAN has of a symbol in this slice: `get` costs it three times as much."""
    try:
        return entries[symbol]
    except KeyNotFoundException:  # type: ignore[misc]  # the stubs do not say that it is an exception
        return None


def _root(text: str) -> str:
    """Return the root of "SPXW  250905P06450000", an empty text for what is no option."""
    return text[:-_TAIL].rstrip()


def _day(text: str) -> str:
    return text[-_TAIL:-9]


def _date(day: str) -> date:
    return date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))


def _index_option(text: str, underlying: str, multiplier: int) -> Instrument:
    """Read a contract out of its text: LEAN needs 12 us to say the same."""
    right = Right.CALL if text[-9] == "C" else Right.PUT
    return Instrument(
        text, underlying, multiplier, _INDEX_OPTION_TICK, right, int(text[-8:]) / _STRIKE_SCALE, _date(_day(text))
    )


def _present(price: float) -> float | None:
    """LEAN writes an absent side as 0; zero is never a price."""
    return price if price > 0 else None
