"""From the feed of one closed minute to the one snapshot that every decision reads.

Nothing is filled forward and nothing is replaced: a price keeps the end of the real bar it came from, and its age
grows.  What is costly (option chains, the list of contracts, our own model) is made only when somebody asks, for this
step alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from operator import attrgetter

import numpy as np

from core.chain_layout import ChainLayout
from core.component_initializer import RETRY_MIN
from core.contracts import UNDERLYING
from core.market import (
    Bar,
    Chain,
    MarketSnapshot,
    OpeningPrice,
    OpeningStatus,
    Quote,
    QuoteVerdict,
    Session,
    StrikeRow,
    Strikes,
)
from core.on_demand import Listed, OnDemand
from core.ports import MarketFeed, RawBar, RawChain, RawQuote
from core.quote_judge import ChainSpreads, QuoteJudge, middle_of, price, prices
from core.session import OpeningPriceKeeper, SessionClock
from core.settings import Settings
from core.vocabulary import Instrument, Right, Structure
from helpers.black76 import black_price_of, implied_volatility_of
from helpers.pricing import discount_factor, settlement_time, years_to

VIX = "VIX"
_SESSIONS_PER_YEAR = 252
_symbol = attrgetter("symbol")
_GOOD = QuoteVerdict.GOOD
_ZERO, _MINUTE = timedelta(0), timedelta(minutes=1)
_PAST_DAYS = 7
"""Settlement of a contract never waits longer than a long weekend."""


@dataclass(slots=True)
class _Seen:
    """What was seen of one instrument: today's last real quote, its spreads and the narrowest of them, and its last
    GOOD quote with the underlying's last bar of that moment.

    chain: root and expiry of an option.
    """

    instrument: Instrument
    chain: tuple[str, date] | None
    day: date
    raw: RawQuote | None = None
    good: Quote | None = None
    good_at: datetime = datetime.min
    good_bar: RawBar | None = None
    spreads: list[float] = field(default_factory=list)
    narrowest: float = math.inf


class MarketData:
    """Makes one snapshot per step."""

    def __init__(self, settings: Settings, clock: SessionClock, shares: tuple[str, ...] = ()) -> None:
        """shares: further tickers whose bars and last closes are read."""
        self._settings = settings
        self._clock = clock
        self._judge = QuoteJudge(settings.chain, settings.data)
        self._opening = OpeningPriceKeeper(settings.session)
        anchor, root = settings.session.anchor, settings.friday_0dte.underlying
        self._anchor = anchor
        self._tickers = tuple(dict.fromkeys((anchor, UNDERLYING.get(root, root), VIX, *shares)))
        self._settling = frozenset(self._tickers).difference((VIX, *shares))
        self._with_close = tuple(dict.fromkeys((anchor, VIX, *shares)))
        self._feed: MarketFeed | None = None
        self._day: date | None = None
        self._minute = datetime.min
        self._bars: dict[str, RawBar] = {}
        self._regular: dict[str, float] = {}
        self._past: dict[tuple[str, date], float] = {}
        self._seen: dict[str, _Seen] = {}
        self._followed: dict[tuple[str, date], ChainSpreads] = {}
        self._read_whole: dict[tuple[str, date], datetime] = {}
        self._layouts: dict[tuple[str, date], ChainLayout] = {}
        self._sample = timedelta(minutes=settings.chain.spread_sample_min)
        self._prior_close: dict[str, float] = {}
        self._rv20: float | None = None
        self._daily_tries = 0
        self._daily_due: datetime | None = None
        self._last_data: datetime | None = None
        self._opened_at: OpeningPrice | None = None

    @property
    def tickers(self) -> tuple[str, ...]:
        """Shares and indices whose minute bars are read."""
        return self._tickers

    # -------------------------------------------------------------------------------------------------------- the step

    def observe(
        self,
        feed: MarketFeed,
        watched: Sequence[Instrument],
        chains: Iterable[tuple[str, date]],
        now: datetime | None = None,
    ) -> MarketSnapshot:
        """Return the snapshot of this step; chains are those whose spreads are sampled from the open on.

        now: when the step is stamped, where that is later than the feed's minute.
        """
        now = feed.time if now is None else now
        at = self._clock.at(now)
        assert at is not None, "a step is asked for only inside a session"
        session, phase = at.session, at.phase
        # The step's own minute: when a step of live trading is late, the feed's time may be in the next one already.
        minute = now.replace(second=0, microsecond=0) if now.second or now.microsecond else now
        self._feed, self._minute = feed, minute
        if session.day != self._day:
            self._open_day(session)
        if self._daily_due is not None and now >= self._daily_due:
            self._read_daily(feed, session)
        anchor_bar = self._read_bars(feed.bars_of(minute, self._tickers), session, now)
        bars: dict[str, Bar] = {}
        for name, bar in self._bars.items():
            bars[name] = bar if bar.end == now else bar.seen_at(now)
        on_demand = OnDemand(self, feed, session, now, bars)
        if phase.market_open:
            for root, expiry in chains:
                self._follow(on_demand, root, expiry)
        opening = self._opened_at
        if opening is None:
            opening = self._opening.observe(feed, session, anchor_bar, self._prior_close.get(self._anchor))
            if opening.status is not OpeningStatus.PENDING:
                self._opened_at = opening  # decided once a session
        halted = feed.halted()
        quotes: dict[str, Quote] = {}
        last_good: dict[str, Quote] = {}
        if watched:
            self._read_quotes(feed, watched, now, halted, quotes, last_good)
        return MarketSnapshot(
            time=now,
            session=session,
            phase=phase,
            quotes=quotes,
            bars=bars,
            opening=opening,
            prior_close=self._prior_close,
            listed=Listed(feed, minute),
            load_chain=on_demand.chain,
            rv20=self._rv20,
            feed_silent_s=0.0 if self._last_data == now else self._silent_s(session, now),
            halted=halted,
            last_good=last_good,
            settlement_price=dict(self._regular),
            past_settlement_price=self._past,
            model_price=on_demand.model_price,
            load_strikes=on_demand.strikes,
        )

    def with_quotes(self, snapshot: MarketSnapshot, structure: Structure) -> MarketSnapshot:
        """Return the same step with the quotes of a structure's legs, judged as those of held instruments are."""
        assert self._feed is not None, "the snapshot came from observe()"
        missing = [leg.instrument for leg in structure.legs if leg.symbol not in snapshot.quotes]
        if not missing:
            return snapshot
        quotes, last_good = dict(snapshot.quotes), dict(snapshot.last_good)
        self._read_quotes(self._feed, missing, snapshot.time, snapshot.halted, quotes, last_good)
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
                seen.spreads.clear()
                seen.narrowest = math.inf
        self._day = session.day
        self._bars, self._regular = {}, {}
        self._followed, self._read_whole, self._layouts = {}, {}, {}
        self._prior_close, self._rv20 = {}, None
        self._daily_tries, self._daily_due = 0, datetime.min
        self._last_data = self._opened_at = None

    def _silent_s(self, session: Session, now: datetime) -> float:
        since = session.open if self._last_data is None else max(session.open, self._last_data)
        return max(0.0, (now - since).total_seconds())

    def _heard(self, end: datetime) -> None:
        if self._last_data is None or end > self._last_data:
            self._last_data = end

    # ---------------------------------------------------------------------------------------------- shares and indices

    def _read_bars(self, found: Mapping[str, RawBar], session: Session, now: datetime) -> RawBar | None:
        """Keep every ticker's last real bar of today's session; returns the anchor's bar of this minute."""
        bars, anchor = self._bars, None
        for ticker, raw in found.items():
            end = raw.end
            if not session.open < end <= now:
                continue
            # A price that cannot be one is as good as no bar; only VIX has a judge of its own, who must see it.
            sound = 0 < raw.low <= raw.open <= raw.high < math.inf and raw.low <= raw.close <= raw.high
            if not sound and ticker != VIX:
                continue
            known = bars.get(ticker)
            if known is not None and end < known.end:
                continue
            bars[ticker] = raw
            if self._last_data is None or end > self._last_data:
                self._last_data = end
            if ticker in self._settling and end <= session.close:
                self._regular[ticker] = raw.close
            if ticker == self._anchor and (known is None or end > known.end):
                anchor = raw
        return anchor

    def _read_daily(self, feed: MarketFeed, session: Session) -> None:
        """Read closes of the previous session; what is missing is asked for again, ever more rarely."""
        closes: dict[str, float] = {}
        wanted = self._settings.data.rv_sessions + 1
        for ticker, found in feed.daily_history(self._with_close, wanted).items():
            bars = [bar for bar in found if price(bar.close) is not None]
            if not bars or _day_of(bars[-1]) != session.previous:
                continue
            closes[ticker] = bars[-1].close
            if ticker == self._anchor:
                self._rv20 = _realised_volatility([bar.close for bar in bars], wanted)
        self._prior_close = closes
        self._daily_due = None
        if len(closes) < len(self._with_close):
            wait = RETRY_MIN[min(self._daily_tries, len(RETRY_MIN) - 1)]
            self._daily_due = self._minute + timedelta(minutes=wait)
            self._daily_tries += 1

    # ---------------------------------------------------------------------------------------------------------- quotes

    def _read_quotes(
        self, feed: MarketFeed, instruments: Sequence[Instrument], now: datetime, halted: frozenset[str],
        quotes: dict[str, Quote], last_good: dict[str, Quote],
    ) -> None:  # fmt: skip
        found, today = feed.quotes_of(self._minute, map(_symbol, instruments)), now.date()
        for instrument in instruments:
            self._judge_quote(instrument, found.get(instrument.symbol), now, today, halted, quotes, last_good)

    def _judge_quote(
        self, instrument: Instrument, raw: RawQuote | None, now: datetime, today: date, halted: frozenset[str],
        quotes: dict[str, Quote], last_good: dict[str, Quote],
    ) -> None:  # fmt: skip
        symbol = instrument.symbol
        seen = self._seen.get(symbol)
        if seen is None:
            chain = None if instrument.expiry is None else (instrument.root, instrument.expiry)
            seen = self._seen[symbol] = _Seen(instrument, chain, today)
        seen.day = today
        followed = None if seen.chain is None else self._followed.get(seen.chain)
        # The usual spread is that of the followed chain where there is one: it saw the whole session.
        median = None if followed is None else followed.median(symbol)
        if raw is not None and (raw.end == now or (raw.end < now and raw.end.date() == today)):
            if seen.raw is None or raw.end > seen.raw.end:
                self._heard(raw.end)
                if raw.bid is not None and raw.ask is not None and raw.ask > raw.bid > 0:
                    spread = raw.ask - raw.bid
                    seen.spreads.append(spread)
                    if spread < seen.narrowest:
                        seen.narrowest = spread
                    if followed is not None:
                        followed.usual(raw.end, symbol, spread)
            seen.raw = raw
        last = seen.raw
        if (
            median is None and last is not None and last.bid is not None and last.ask is not None
            # Only a spread of a multiple of the narrowest one can be one of their median.
            and last.ask - last.bid > self._settings.chain.blowout_multiple * seen.narrowest
        ):  # fmt: skip
            seen.spreads.sort()
            median = middle_of(seen.spreads)
        is_halted = bool(halted) and (symbol in halted or instrument.underlying in halted)
        quote = self._judge.judge(instrument, seen.raw, now, halted=is_halted, median=median)
        quotes[symbol] = quote
        if quote.verdict is _GOOD:
            assert seen.raw is not None
            if seen.good_at != seen.raw.end:
                seen.good, seen.good_at = quote, seen.raw.end
                seen.good_bar = None if seen.chain is None else self._bars.get(instrument.underlying)
            last_good[symbol] = quote
        elif seen.good is not None:
            good, age_s = seen.good, (now - seen.good_at).total_seconds()
            last_good[symbol] = Quote(good.verdict, good.bid, good.ask, good.low_bid, good.high_ask, age_s)

    # ---------------------------------------------------------------------------------------------------------- chains

    def _follow(self, on_demand: OnDemand, root: str, expiry: date) -> None:
        """Look at a chain every few minutes, so that the usual spread of each contract is known when one is opened."""
        key = (root, expiry)
        if key not in self._followed:
            self._followed[key] = ChainSpreads()
        is_due = self._minute - self._read_whole.get(key, datetime.min) >= self._sample
        # Where no bar came in this minute, the chain tells whether the feed is silent.
        if is_due or self._last_data is None or self._last_data < self._minute:
            look = on_demand.look(root, expiry)
            if look is not None:
                self._followed[key].note(look)

    def look(self, feed: MarketFeed, root: str, expiry: date, now: datetime) -> RawChain | None:
        """Return what the feed has of one expiry in this minute, None where it has nothing."""
        raw = feed.chain(self._minute, root, expiry)
        if raw is None:
            return None
        self._read_whole[root, expiry] = raw.end
        if not raw.instruments or not self._is_of_now(raw.end, now):
            return None
        self._heard(raw.end)
        return raw

    def load_strikes(
        self, feed: MarketFeed, root: str, expiry: date, now: datetime, near: float, each_side: int,
        also: Sequence[Instrument],
    ) -> Strikes | None:  # fmt: skip
        """Return the rows around a price and those of some contracts, judged as those of the whole chain are."""
        raw = feed.strikes(self._minute, root, expiry, near, each_side, also)
        if raw is None or not raw.rows or not self._is_of_now(raw.end, now):
            return None
        self._heard(raw.end)
        spreads = self._followed.get((root, expiry))
        rows: list[StrikeRow] = []
        for instrument, raw_bid, raw_ask in raw.rows:
            bid = raw_bid if 0 < raw_bid < math.inf else math.nan
            ask = raw_ask if 0 < raw_ask < math.inf else math.nan
            limit = math.nan
            if bid > 0 and ask > 0:
                median = None if spreads is None else spreads.usual(raw.end, instrument.symbol, ask - bid)
                limit = self._judge.wide_limit((bid + ask) / 2, instrument.tick, median)
            rows.append((instrument, bid, ask, limit))
        return Strikes(expiry, now, rows, raw.unread)

    def judged(self, raw: RawChain, root: str, expiry: date, now: datetime) -> Chain | None:
        """Return the judged columns of what a look has found, None where its step is over."""
        if not self._is_of_now(raw.end, now):
            return None
        layout = self._layouts.get((root, expiry))
        if layout is None or layout.came != raw.instruments:
            layout = self._layouts[root, expiry] = ChainLayout.of(raw.instruments)
        bid, ask = prices(raw.bid[layout.order]), prices(raw.ask[layout.order])
        spreads = self._followed.get((root, expiry))
        if spreads is None:
            median = np.full(len(bid), np.nan)
        else:
            spreads.note(raw)
            median = np.array(spreads.medians(layout.instruments))
        limit = self._judge.wide_limits((bid + ask) / 2, layout.tick, median)
        return Chain(root, expiry, now, layout.instruments, layout.strike, layout.is_call, bid, ask, limit)

    def _is_of_now(self, end: datetime, now: datetime) -> bool:
        """Tell whether a chain is of the present step: neither an older chain nor an older step that asks."""
        return end == self._minute and _ZERO <= now - end < _MINUTE

    def model_price(
        self, instrument: Instrument, session: Session, now: datetime, bars: Mapping[str, Bar]
    ) -> float | None:
        """Return our own value of an option now, at the volatility of its last GOOD quote.

        The underlying's price stands for the forward at both moments, so that carry is part of the volatility and drops
        out again.
        """
        seen, spot = self._seen.get(instrument.symbol), bars.get(instrument.underlying)
        if instrument.expiry is None or seen is None or spot is None or seen.good is None or seen.good_bar is None:
            return None
        if abs((seen.good_at - seen.good_bar.end).total_seconds()) > self._settings.data.underlying_max_age_s:
            return None  # the underlying's last price was not of then
        assert seen.good.mid is not None
        greeks = self._settings.greeks
        settles = settlement_time(instrument.expiry, session)
        then = years_to(settles, seen.good_at, min_s=greeks.min_years_s)
        left = years_to(settles, now, min_s=greeks.min_years_s)
        is_call = instrument.right is Right.CALL
        volatility = implied_volatility_of(
            seen.good.mid, instrument.strike, is_call, seen.good_bar.close, then, discount_factor(greeks.rate_pct, then)
        )
        if math.isnan(volatility):
            return None
        discount = discount_factor(greeks.rate_pct, left)
        return black_price_of(instrument.strike, is_call, spot.close, volatility, left, discount)


def _day_of(bar: RawBar) -> date:
    """Return the session a daily bar belongs to: it may be stamped with the close or with the midnight after it."""
    return (bar.end - timedelta(microseconds=1)).date()


def _realised_volatility(closes: list[float], wanted: int) -> float | None:
    """Return the annualised sample deviation of daily log returns in points; None with too few closes."""
    if len(closes) < wanted:
        return None
    returns = np.diff(np.log(np.array(closes[-wanted:])))
    return float(np.std(returns, ddof=1)) * math.sqrt(_SESSIONS_PER_YEAR) * 100
