"""From the feed of one closed minute to the one snapshot that every decision reads.

Nothing is filled forward and nothing is replaced: a price keeps the end of the real bar it came from, and its age
grows.  What is costly (option chains, the list of contracts, our own model) is made only when somebody asks, for this
step alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np

from core.component_initializer import RETRY_MIN
from core.contracts import UNDERLYING
from core.market import Bar, Chain, MarketSnapshot, Quote, Session
from core.ports import Floats, MarketFeed, RawBar, RawChain, RawQuote
from core.quote_judge import ChainSpreads, QuoteJudge, SpreadHistory, price
from core.session import OpeningPriceKeeper, SessionClock
from core.settings import Settings
from core.vocabulary import Instrument, Right, Structure
from helpers.pricing import black_price_of, discount_factor, implied_volatility, settlement_time, years_to

VIX = "VIX"
_SESSIONS_PER_YEAR = 252
_EACH_SIDE = 4
"""Strikes read on each side of the price where the whole chain is not needed: the three nearest the money lie among
them with one to spare, also where the price is a strike or two off the forward."""
_PAST_DAYS = 7
"""Settlement of a contract never waits longer than a long weekend."""


@dataclass(slots=True)
class _Seen:
    """What was seen of one instrument: today's last real quote, and its last GOOD one with the spot of that moment."""

    instrument: Instrument
    day: date
    raw: RawQuote | None = None
    good: Quote | None = None
    good_at: datetime = datetime.min
    good_spot: float | None = None


class MarketData:
    """Makes one snapshot per step."""

    def __init__(self, settings: Settings, clock: SessionClock, shares: tuple[str, ...] = ()) -> None:
        """shares: further tickers whose bars and last closes are read."""
        self._settings = settings
        self._clock = clock
        self._judge = QuoteJudge(settings.chain, settings.data)
        self._opening = OpeningPriceKeeper(settings.session)
        anchor, root = settings.session.anchor, settings.friday_0dte.underlying
        self._shares = frozenset(shares)
        self._tickers = tuple(dict.fromkeys((anchor, UNDERLYING.get(root, root), VIX, *shares)))
        self._with_close = tuple(dict.fromkeys((anchor, VIX, *shares)))
        self._feed: MarketFeed | None = None
        self._day: date | None = None
        self._bars: dict[str, RawBar] = {}
        self._regular: dict[str, float] = {}
        self._past: dict[tuple[str, date], float] = {}
        self._seen: dict[str, _Seen] = {}
        self._spreads = SpreadHistory()
        self._followed: dict[tuple[str, date], ChainSpreads] = {}
        self._read_whole: dict[tuple[str, date], datetime] = {}
        self._sample = timedelta(minutes=settings.chain.spread_sample_min)
        self._prior_close: dict[str, float] = {}
        self._rv20: float | None = None
        self._daily_tries = 0
        self._daily_due: datetime | None = None
        self._last_data: datetime | None = None

    @property
    def tickers(self) -> tuple[str, ...]:
        """Shares and indices whose minute bars are read."""
        return self._tickers

    # -------------------------------------------------------------------------------------------------------- the step

    def observe(
        self,
        feed: MarketFeed,
        watched: Iterable[Instrument],
        chains: Iterable[tuple[str, date]],
        now: datetime | None = None,
    ) -> MarketSnapshot:
        """Return the snapshot of this step; chains are those whose spreads are sampled from the open on.

        now: when the step is stamped, where that is later than the feed's minute.
        """
        now = feed.time if now is None else now
        day = now.date()
        session, phase = self._clock.session(day), self._clock.phase(now)
        assert session is not None, "a step is asked for only inside a session"
        assert phase is not None, "a step is asked for only inside a session"
        self._feed = feed
        if day != self._day:
            self._open_day(session)
        if self._daily_due is not None and now >= self._daily_due:
            self._read_daily(feed, session)
        anchor_bar = self._read_bars(feed, session, now)
        loader = _ChainLoader(self, feed, now)
        if phase.market_open:
            for root, expiry in chains:
                self._follow(loader, root, expiry, feed.time)
        halted = feed.halted()
        quotes: dict[str, Quote] = {}
        last_good: dict[str, Quote] = {}
        for instrument in watched:
            self._read_quote(feed, instrument, now, halted, quotes, last_good)
        anchor = self._settings.session.anchor
        return MarketSnapshot(
            time=now,
            session=session,
            phase=phase,
            quotes=quotes,
            bars={ticker: _aged(raw, now) for ticker, raw in self._bars.items()},
            opening=self._opening.observe(feed, session, anchor_bar, self._prior_close.get(anchor)),
            prior_close=self._prior_close,
            listed=_Listed(feed),
            load_chain=loader,
            rv20=self._rv20,
            feed_silent_s=self._silent_s(session, now),
            halted=halted,
            last_good=last_good,
            settlement_price=dict(self._regular),
            past_settlement_price=self._past,
            model_price=_Model(self._settings, self._seen, self._bars, session, now),
            load_strikes=loader.strikes,
        )

    def with_quotes(self, snapshot: MarketSnapshot, structure: Structure) -> MarketSnapshot:
        """Return the same step with the quotes of a structure's legs, judged as those of held instruments are."""
        assert self._feed is not None, "the snapshot came from observe()"
        if all(leg.symbol in snapshot.quotes for leg in structure.legs):
            return snapshot
        quotes, last_good = dict(snapshot.quotes), dict(snapshot.last_good)
        for leg in structure.legs:
            if leg.symbol not in quotes:
                self._read_quote(self._feed, leg.instrument, snapshot.time, snapshot.halted, quotes, last_good)
        return replace(snapshot, quotes=quotes, last_good=last_good)

    def _open_day(self, session: Session) -> None:
        """Forget what belongs to the day before: bars, quotes and spreads. Last GOOD quotes of what was held stay."""
        if self._day is not None:
            ended = self._day
            past = {**self._past, **{(ticker, ended): value for ticker, value in self._regular.items()}}
            oldest = session.day - timedelta(days=_PAST_DAYS)
            self._past = {key: value for key, value in past.items() if key[1] >= oldest}
            self._seen = {symbol: seen for symbol, seen in self._seen.items() if seen.day == ended}
            for seen in self._seen.values():
                seen.raw = None
        self._day = session.day
        self._bars, self._regular = {}, {}
        self._spreads = SpreadHistory()
        self._followed, self._read_whole = {}, {}
        self._prior_close, self._rv20 = {}, None
        self._daily_tries, self._daily_due = 0, datetime.min
        self._last_data = None

    def _silent_s(self, session: Session, now: datetime) -> float:
        since = session.open if self._last_data is None else max(session.open, self._last_data)
        return max(0.0, (now - since).total_seconds())

    def _heard(self, end: datetime) -> None:
        if self._last_data is None or end > self._last_data:
            self._last_data = end

    # ---------------------------------------------------------------------------------------------- shares and indices

    def _read_bars(self, feed: MarketFeed, session: Session, now: datetime) -> RawBar | None:
        """Keep every ticker's last real bar of today's session; returns the anchor's bar of this minute."""
        bars, anchor = self._bars, None
        for ticker in self._tickers:
            raw = feed.bar(ticker)
            if raw is None or not session.open < raw.end <= now:
                continue
            # A price that cannot be one is as good as no bar; only VIX has a judge of its own, who must see it.
            if ticker != VIX and not _is_sound(raw):
                continue
            known = bars.get(ticker)
            if known is not None and raw.end < known.end:
                continue
            bars[ticker] = raw
            self._heard(raw.end)
            if raw.end <= session.close and ticker != VIX and ticker not in self._shares:
                self._regular[ticker] = raw.close
            if ticker == self._settings.session.anchor and (known is None or raw.end > known.end):
                anchor = raw
        return anchor

    def _read_daily(self, feed: MarketFeed, session: Session) -> None:
        """Read closes of the previous session; what is missing is asked for again, ever more rarely."""
        closes: dict[str, float] = {}
        for ticker in self._with_close:
            wanted = self._settings.data.rv_sessions + 1 if ticker == self._settings.session.anchor else 1
            bars = [bar for bar in feed.daily_history(ticker, wanted) if price(bar.close) is not None]
            if not bars or _day_of(bars[-1]) != session.previous:
                continue
            closes[ticker] = bars[-1].close
            if wanted > 1:
                self._rv20 = _realised_volatility([bar.close for bar in bars], wanted)
        self._prior_close = closes
        self._daily_due = None
        if len(closes) < len(self._with_close):
            wait = RETRY_MIN[min(self._daily_tries, len(RETRY_MIN) - 1)]
            self._daily_due = feed.time + timedelta(minutes=wait)
            self._daily_tries += 1

    # ---------------------------------------------------------------------------------------------------------- quotes

    def _read_quote(
        self, feed: MarketFeed, instrument: Instrument, now: datetime, halted: frozenset[str],
        quotes: dict[str, Quote], last_good: dict[str, Quote],
    ) -> None:  # fmt: skip
        symbol = instrument.symbol
        seen = self._seen.get(symbol)
        if seen is None:
            seen = self._seen[symbol] = _Seen(instrument, now.date())
        seen.day = now.date()
        raw = feed.quote(symbol)
        if raw is not None and raw.end.date() == now.date() and raw.end <= now:
            if seen.raw is None or raw.end > seen.raw.end:
                self._heard(raw.end)
                if raw.bid is not None and raw.ask is not None and raw.ask > raw.bid > 0:
                    self._spreads.add(symbol, raw.ask - raw.bid)
            seen.raw = raw
        is_halted = bool(halted) and (symbol in halted or instrument.underlying in halted)
        quote = self._judge.judge(instrument, seen.raw, now, halted=is_halted, median=self._median(instrument))
        quotes[symbol] = quote
        if quote.is_good:
            assert seen.raw is not None
            if seen.good_at != seen.raw.end:
                seen.good, seen.good_at, seen.good_spot = quote, seen.raw.end, self._spot_at(seen.raw.end, instrument)
            last_good[symbol] = quote
        elif seen.good is not None:
            last_good[symbol] = replace(seen.good, age_s=(now - seen.good_at).total_seconds())

    def _spot_at(self, moment: datetime, instrument: Instrument) -> float | None:
        """Return the price of the underlying that belongs to a moment, None where the last one is not of then."""
        bar = self._bars.get(instrument.underlying)
        if bar is None or abs((moment - bar.end).total_seconds()) > self._settings.data.underlying_max_age_s:
            return None
        return bar.close

    def _median(self, instrument: Instrument) -> float | None:
        """Return the median spread so far: of the followed chain where there is one, it saw the whole session."""
        if instrument.expiry is not None:
            followed = self._followed.get((instrument.root, instrument.expiry))
            if followed is not None and (median := followed.median(instrument.symbol)) is not None:
                return median
        return self._spreads.median(instrument.symbol)

    # ---------------------------------------------------------------------------------------------------------- chains

    def _follow(self, loader: _ChainLoader, root: str, expiry: date, minute: datetime) -> None:
        """Look at a chain every few minutes, so that the usual spread of each contract is known when one is opened."""
        key = (root, expiry)
        self._followed.setdefault(key, ChainSpreads())
        is_due = minute - self._read_whole.get(key, datetime.min) >= self._sample
        # Where no bar came in this minute, the chain tells whether the feed is silent.
        if is_due or self._last_data is None or self._last_data < minute:
            loader(root, expiry)

    def load(self, feed: MarketFeed, root: str, expiry: date, now: datetime) -> Chain | None:
        """Return the judged columns of one expiry in this minute; None where the feed has none."""
        raw = feed.chain(root, expiry)
        if raw is not None:
            self._read_whole[root, expiry] = raw.end
        return self._judged(raw, root, expiry, now)

    def load_strikes(
        self, feed: MarketFeed, root: str, expiry: date, now: datetime, near: float, also: Sequence[Instrument]
    ) -> Chain | None:
        """Return the rows around a price and those of some contracts, judged as those of the whole chain are."""
        return self._judged(feed.strikes(root, expiry, near, _EACH_SIDE, also), root, expiry, now)

    def _judged(self, raw: RawChain | None, root: str, expiry: date, now: datetime) -> Chain | None:
        if raw is None or not len(raw.instruments) or not timedelta(0) <= now - raw.end < timedelta(minutes=1):
            return None
        self._heard(raw.end)
        raw = _in_order(raw)
        bid, ask = _prices(raw.bid), _prices(raw.ask)
        instruments = raw.instruments
        spreads = self._followed.get((root, expiry))
        if spreads is None:
            median = np.full(len(instruments), np.nan)
        else:
            with np.errstate(invalid="ignore"):
                spreads.add(raw.end, instruments, np.where(ask > bid, ask - bid, np.nan))
            median = spreads.medians(instruments)
        tick = np.fromiter((instrument.tick for instrument in instruments), np.float64, len(instruments))
        limit = self._judge.wide_limits((bid + ask) / 2, tick, median)
        return Chain(root, expiry, now, instruments, raw.strike, raw.is_call, bid, ask, limit, raw.unread)


class _ChainLoader:
    """Chains of one step, each made at most once; after the step there is nothing to load any more."""

    __slots__ = ("_data", "_feed", "_loaded", "_minute", "_now")

    def __init__(self, data: MarketData, feed: MarketFeed, now: datetime) -> None:
        self._data = data
        self._feed = feed
        self._minute = feed.time
        self._now = now
        self._loaded: dict[tuple[str, date], Chain | None] = {}

    def __call__(self, root: str, expiry: date) -> Chain | None:
        key = (root, expiry)
        if key not in self._loaded:
            present = self._feed.time == self._minute
            self._loaded[key] = self._data.load(self._feed, root, expiry, self._now) if present else None
        return self._loaded[key]

    def strikes(self, root: str, expiry: date, near: float, also: Sequence[Instrument]) -> Chain | None:
        """Return the whole chain where this step has loaded it, else the rows around a price and of some contracts."""
        key = (root, expiry)
        if key in self._loaded:
            return self._loaded[key]
        if self._feed.time != self._minute:
            return None
        return self._data.load_strikes(self._feed, root, expiry, self._now, near, also)


class _Listed(Mapping[str, Mapping[date, int]]):
    """Contracts per expiry of today's universe, by root; read from the feed when asked for."""

    __slots__ = ("_feed", "_minute", "_read")

    def __init__(self, feed: MarketFeed) -> None:
        self._feed = feed
        self._minute = feed.time
        self._read: dict[str, Mapping[date, int]] = {}

    def __getitem__(self, root: str) -> Mapping[date, int]:
        if root not in self._read:
            if self._feed.time != self._minute:
                raise KeyError(root)
            self._read[root] = self._feed.listed(root)
        return self._read[root]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


class _Model:
    """Our own value of an option now, at the volatility of its last GOOD quote.

    The underlying's price stands for the forward at both moments, so that carry is part of the volatility and drops
    out again.
    """

    __slots__ = ("_bars", "_now", "_seen", "_session", "_settings")

    def __init__(
        self, settings: Settings, seen: Mapping[str, _Seen], bars: Mapping[str, RawBar], session: Session, now: datetime
    ) -> None:
        self._settings = settings
        self._seen = seen
        self._bars = bars
        self._session = session
        self._now = now

    def __call__(self, instrument: Instrument) -> float | None:
        seen, spot = self._seen.get(instrument.symbol), self._bars.get(instrument.underlying)
        if instrument.expiry is None or seen is None or spot is None or seen.good is None or seen.good_spot is None:
            return None
        assert seen.good.mid is not None
        greeks = self._settings.greeks
        settles = settlement_time(instrument.expiry, self._session)
        then = years_to(settles, seen.good_at, min_s=greeks.min_years_s)
        left = years_to(settles, self._now, min_s=greeks.min_years_s)
        is_call = instrument.right is Right.CALL
        volatility = implied_volatility(
            np.array([seen.good.mid]), np.array([instrument.strike]), np.array([is_call]), seen.good_spot, then,
            discount_factor(greeks.rate_pct, then),
        )[0]  # fmt: skip
        if math.isnan(volatility):
            return None
        discount = discount_factor(greeks.rate_pct, left)
        return black_price_of(instrument.strike, is_call, spot.close, float(volatility), left, discount)


def _aged(raw: RawBar, now: datetime) -> Bar:
    return Bar(raw.end, raw.open, raw.high, raw.low, raw.close, raw.volume, (now - raw.end).total_seconds())


def _is_sound(raw: RawBar) -> bool:
    """Tell whether a bar's prices can be prices."""
    return 0 < raw.low <= min(raw.open, raw.close) and max(raw.open, raw.close) <= raw.high < math.inf


def _day_of(bar: RawBar) -> date:
    """Return the session a daily bar belongs to: it may be stamped with the close or with the midnight after it."""
    return (bar.end - timedelta(microseconds=1)).date()


def _realised_volatility(closes: list[float], wanted: int) -> float | None:
    """Return the annualised sample deviation of daily log returns in points; None with too few closes."""
    if len(closes) < wanted:
        return None
    returns = np.diff(np.log(np.array(closes[-wanted:])))
    return float(np.std(returns, ddof=1)) * math.sqrt(_SESSIONS_PER_YEAR) * 100


def _prices(column: Floats) -> Floats:
    """Return a column with NaN for everything that is no price."""
    with np.errstate(invalid="ignore"):
        return np.where((column > 0) & np.isfinite(column), column, np.nan)


def _in_order(raw: RawChain) -> RawChain:
    """Return the contracts sorted by (is_call, strike), which a search in the chain relies on."""
    order = np.lexsort((raw.strike, raw.is_call))
    if np.array_equal(order, np.arange(len(order))):
        return raw
    instruments = tuple(raw.instruments[at] for at in order)
    columns = (raw.strike[order], raw.is_call[order], raw.bid[order], raw.ask[order])
    return RawChain(raw.end, instruments, *columns, raw.unread)
