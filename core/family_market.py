"""Minutes of the family's shares: the bars that the signal reads, usual volumes, halts and unexplained gaps.

Only real regular-hours minutes count.  What a session has shown is remembered for that session; a process that starts
in the middle of one reads the rest from history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from statistics import median

from core.family import SIGNAL_SYMBOL, SYMBOLS
from core.market import Bar, MarketSnapshot, Session
from core.ports import MarketFeed
from core.reasons import Reason
from core.settings_etf import EtfRotationSettings
from core.signal import MissingBar, SignalBar
from core.vocabulary import Verdict

_MINUTE = timedelta(minutes=1)
_MINUTE_S = 60.0


class FamilyMarket:
    """Looks at every step once."""

    def __init__(self, settings: EtfRotationSettings, feed: MarketFeed) -> None:
        self._settings = settings
        self._feed = feed
        self._session: Session | None = None
        self._seen = 0
        self._unread: list[Mapping[str, Bar]] = []
        self._volumes: dict[str, deque[float]] = {}
        self._opens: dict[str, float] = {}
        self._splits: dict[str, float] = {}

    def open_session(self, session: Session) -> None:
        self._session = session
        self._seen = 0
        self._unread.clear()
        self._volumes = {symbol: deque(maxlen=self._settings.volume_bars) for symbol in SYMBOLS}
        self._opens = {}

    def split(self, symbol: str, num: int, den: int) -> None:
        """Remember a split that was announced since the last close."""
        self._splits[symbol] = num / den

    def close_session(self) -> None:
        self._splits = {}

    def observe(self, snapshot: MarketSnapshot) -> tuple[SignalBar | MissingBar, ...]:
        """Return the minutes for the signal that have ended since the last call, in order; none outside the session."""
        session, now = snapshot.session, snapshot.time
        if not session.open < now <= session.close:
            return ()
        number = (now - session.open) // _MINUTE
        if number <= self._seen:
            return ()
        past = self._past(session, number) if number > self._seen + 1 else []
        self._seen = number
        self._unread.append(snapshot.bars)
        bar = snapshot.bars.get(SIGNAL_SYMBOL)
        if bar is None or bar.age_s >= _MINUTE_S:
            return (*past, MissingBar(now, number))
        return (*past, SignalBar(now, number, bar.open, bar.high, bar.low, bar.close, bar.volume))

    def _read(self) -> None:
        """Take in the minutes since the last question: volumes and opens are asked for when something is opened."""
        for bars in self._unread:
            for symbol, volumes in self._volumes.items():
                bar = bars.get(symbol)
                if bar is None or bar.age_s >= _MINUTE_S:
                    continue  # that minute brought none
                volumes.append(bar.volume)
                self._opens.setdefault(symbol, bar.open)
        self._unread.clear()

    def _past(self, session: Session, number: int) -> list[SignalBar | MissingBar]:
        """Return the minutes before this one that no step has seen, from history."""
        self._read()  # what was seen comes before what was missed
        first = self._seen + 1
        found: dict[int, SignalBar | MissingBar] = {}
        for symbol in SYMBOLS:
            for raw in self._feed.minute_history(symbol, session.open):
                minute = (raw.end - session.open) // _MINUTE
                if first <= minute < number:
                    self._volumes[symbol].append(raw.volume)
                    self._opens.setdefault(symbol, raw.open)
                    if symbol == SIGNAL_SYMBOL:
                        found[minute] = SignalBar(raw.end, minute, raw.open, raw.high, raw.low, raw.close, raw.volume)
        return [
            found.get(minute) or MissingBar(session.open + minute * _MINUTE, minute) for minute in range(first, number)
        ]

    def missing(self) -> tuple[str, ...]:
        """Return the symbols that have not had one minute in this session."""
        self._read()
        return tuple(symbol for symbol in SYMBOLS if symbol not in self._opens)

    def median_volume(self, symbol: str) -> float | None:
        """Return the median volume of the last minutes of this session, None while there are too few."""
        self._read()
        volumes = self._volumes.get(symbol, ())
        return float(median(volumes)) if len(volumes) >= self._settings.volume_bars else None

    def is_halted(self, symbol: str, snapshot: MarketSnapshot) -> bool:
        """Whether the symbol is said to be halted, or has had no fresh quote for too long."""
        return symbol in snapshot.halted or snapshot.quote(symbol).age_s > self._settings.halt_age_s

    def refusal(self, symbol: str, snapshot: MarketSnapshot) -> Verdict | None:
        """Return why this symbol may not be opened now."""
        if self.is_halted(symbol, snapshot):
            return Verdict.refuse(Reason.HALT_SUSPECTED, symbol=symbol)
        self._read()
        first, last = self._opens.get(symbol), snapshot.prior_close.get(symbol)
        if first is not None and last is not None and last > 0:
            last /= self._splits.get(symbol, 1.0)
            if abs(first / last - 1.0) > self._settings.unexplained_gap_fraction:
                return Verdict.refuse(Reason.UNEXPLAINED_GAP, symbol=symbol, open=first, last_close=last)
        return None
