"""Minutes of the family's shares: the bars that the signal reads, usual volumes, halts and unexplained gaps.

Only real regular-hours minutes count.  What a session has shown is remembered for that session; a process that starts
in the middle of one reads the rest from history.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
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
        self._seen = 0
        self._minutes: list[Mapping[str, Bar]] = []
        self._opens: dict[str, float] = {}
        self._splits: dict[str, float] = {}

    def open_session(self) -> None:
        self._seen = 0
        self._minutes, self._opens = [], {}

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
        self._keep(snapshot.bars)
        bar = _fresh(snapshot.bars, SIGNAL_SYMBOL)
        return (*past, MissingBar(now, number) if bar is None else _signal_bar(bar, now, number))

    def _keep(self, bars: Mapping[str, Bar]) -> None:
        """Keep a minute as it came: its volumes are read when something is opened."""
        self._minutes.append(bars)
        if len(self._opens) < len(SYMBOLS):
            for symbol in SYMBOLS:
                bar = _fresh(bars, symbol)
                if bar is not None:
                    self._opens.setdefault(symbol, bar.open)

    def _past(self, session: Session, number: int) -> list[SignalBar | MissingBar]:
        """Return the minutes before this one that no step has seen, from history."""
        rows: dict[int, dict[str, Bar]] = {minute: {} for minute in range(self._seen + 1, number)}
        for symbol in SYMBOLS:
            for raw in self._feed.minute_history(symbol, session.open):
                row = rows.get((raw.end - session.open) // _MINUTE)
                if row is not None:
                    row[symbol] = raw
        found: list[SignalBar | MissingBar] = []
        for minute, row in rows.items():
            self._keep(row)
            bar = row.get(SIGNAL_SYMBOL)
            due = session.open + minute * _MINUTE
            found.append(MissingBar(due, minute) if bar is None else _signal_bar(bar, bar.end, minute))
        return found

    def missing(self) -> tuple[str, ...]:
        """Return the symbols that have not had one minute in this session."""
        if len(self._opens) == len(SYMBOLS):
            return ()
        return tuple(symbol for symbol in SYMBOLS if symbol not in self._opens)

    def median_volume(self, symbol: str) -> float | None:
        """Return the median volume of the last minutes of this session, None while there are too few."""
        wanted, volumes = self._settings.volume_bars, list[float]()
        for bars in reversed(self._minutes):
            bar = _fresh(bars, symbol)
            if bar is not None:
                volumes.append(bar.volume)
                if len(volumes) == wanted:
                    return float(median(volumes))
        return None

    def is_halted(self, symbol: str, snapshot: MarketSnapshot) -> bool:
        """Whether the symbol is said to be halted, or has had no fresh quote for too long."""
        return symbol in snapshot.halted or snapshot.quote(symbol).age_s > self._settings.halt_age_s

    def refusal(self, symbol: str, snapshot: MarketSnapshot) -> Verdict | None:
        """Return why this symbol may not be opened now."""
        if self.is_halted(symbol, snapshot):
            return Verdict.refuse(Reason.HALT_SUSPECTED, symbol=symbol)
        first, last = self._opens.get(symbol), snapshot.prior_close.get(symbol)
        if first is not None and last is not None and last > 0:
            last /= self._splits.get(symbol, 1.0)
            if abs(first / last - 1.0) > self._settings.unexplained_gap_fraction:
                return Verdict.refuse(Reason.UNEXPLAINED_GAP, symbol=symbol, open=first, last_close=last)
        return None


def _fresh(bars: Mapping[str, Bar], symbol: str) -> Bar | None:
    """Return the bar that its minute brought, None where it brought none."""
    bar = bars.get(symbol)
    return bar if bar is not None and bar.age_s < _MINUTE_S else None


def _signal_bar(bar: Bar, end: datetime, number: int) -> SignalBar:
    return SignalBar(end, number, bar.open, bar.high, bar.low, bar.close, bar.volume)
