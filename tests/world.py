"""The whole product in a market that a test writes: main.py on the embedded engine, one Friday of SPXW, minute by
minute.

No mock stands between: the pipeline, the gateway and the ledger are the real ones, and so is the engine's broker.  A
test sets quotes of future minutes, lets time pass, and asks what the world looks like after.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

from core.books import Books
from core.eastern import from_utc_text
from core.parts import Parts
from core.session import SessionClock
from core.settings import SessionSettings
from core.trades import Trade
from engine.enums import OptionRight
from engine.host import EngineJob, Host
from engine.memory import MemorySource
from engine.symbols import Symbol, option_on

MAIN = Path(__file__).parent.parent / "main.py"
SPY, SPX, VIX = Symbol.equity("SPY"), Symbol.index("SPX"), Symbol.index("VIX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
FRIDAY, THURSDAY = date(2025, 9, 5), date(2025, 9, 4)
OPEN, CLOSE, INDEX_CLOSE = 570, 960, 975
SPOT, STOCK = 5300.0, 530.0
STRIKES = tuple(5300.0 + 5 * step for step in range(-30, 31))
SHORT_PUT, SHORT_CALL = 5270.0, 5330.0
_SD_POINTS = 31.0
"""One standard deviation to the close at 10:30: puts a delta of about 0.16 thirty points from the money."""

_NORMAL = NormalDist()
PUT, CALL = OptionRight.PUT, OptionRight.CALL


def minute(clock: str) -> int:
    """Return the minute of day of "10:31"."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def contract(strike: float, right: OptionRight, expiry: date = FRIDAY) -> Symbol:
    return option_on(SPXW, int(right), float(strike), expiry.toordinal())


def model_mid(strike: float, right: OptionRight) -> float:
    """Worth of a same-day contract under a normal law: enough for a chain whose deltas a test can know."""
    distance = (strike - SPOT) if right is CALL else (SPOT - strike)
    z = distance / _SD_POINTS
    return _SD_POINTS * (_NORMAL.pdf(z) - z * _NORMAL.cdf(-z))


def usual_quote(strike: float, right: OptionRight) -> tuple[float, float]:
    """Return (bid, ask) on the 0.05 grid, narrow enough to be GOOD."""
    mid = model_mid(strike, right)
    width = 0.05 if mid < 1.0 else 0.10
    bid = max(0.05, math.floor((mid - width / 2) / 0.05) * 0.05)
    return round(bid, 2), round(bid + width, 2)


@dataclass
class World:
    """One Friday; every quote stands still unless a test moves it."""

    cash: float = 100_000.0
    vix: float = 24.0
    move_pct: float = 0.30
    gap_pct: float = 0.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    day: date = FRIDAY
    close: int = CLOSE
    store: dict[str, bytes] | Path = field(default_factory=dict)
    prepare: Callable[[World], None] | None = None
    job: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        early = {self.day: self.close} if self.close != CLOSE else {}
        self.sessions = SessionClock(SessionSettings())
        self.prior = self.sessions.previous_session(self.day).day
        weekdays = [self.day - timedelta(days=back) for back in range(1, 60)]
        holidays = [day for day in weekdays if day.weekday() < 5 and not self.sessions.is_trading_day(day)]
        self.source = MemorySource(early_closes=early, holidays=holidays)
        self._daily()
        self._indices()
        self._chain()
        if self.prepare is not None:
            self.prepare(self)
        parameters = {
            "account.start_cash_usd": repr(self.cash),
            "run.start": self.day.isoformat(),
            "run.end": self.day.isoformat(),
            "run.engine": "embedded",
            "etf_rotation.enabled": "false",  # this market has no shares to rotate among
            **self.parameters,
        }
        self.host = Host(
            EngineJob(main=MAIN, source=self.source, parameters=parameters, object_store=self.store, **self.job)
        )
        self.host.start()

    # ----------------------------------------------------------------------------------------------------- the market

    def _daily(self) -> None:
        day = self.day
        for step in range(30):
            day = self.sessions.previous_session(day).day
            close = STOCK if step == 0 else STOCK * (1 + 0.012 * (1 if step % 2 else -1))
            self.source.set_daily(SPY, day, close, close, close, close)
            self.source.set_daily(VIX, day, self.vix, self.vix, self.vix, self.vix)

    def _indices(self) -> None:
        opening = STOCK * (1 + self.gap_pct / 100)
        for at in range(OPEN + 1, min(self.close, CLOSE) + 1):
            # The move happens in the first half hour and stays.
            share = min(1.0, (at - OPEN - 1) / 30)
            price = opening * (1 + self.move_pct / 100 * share)
            self.source.set_bar(SPY, self.day, at, price, volume=1000.0)
            self.source.set_quote(SPY, self.day, at, price - 0.01, price + 0.01)
        index_close = INDEX_CLOSE if self.close == CLOSE else self.close
        for at in range(OPEN + 1, index_close + 1):
            self.source.set_bar(SPX, self.day, at, SPOT)
            self.source.set_bar(VIX, self.day, at, self.vix)

    def _chain(self) -> None:
        symbols = [contract(strike, right, self.day) for strike in STRIKES for right in (PUT, CALL)]
        self.source.set_universe(SPXW, self.prior, symbols, SPOT)
        for strike in STRIKES:
            for right in (PUT, CALL):
                self.quote(strike, right, *usual_quote(strike, right))

    def quote(
        self,
        strike: float,
        right: OptionRight,
        bid: float | None,
        ask: float | None,
        *,
        since: str = "09:31",
        until: str = "16:15",
    ) -> None:
        """Set one contract's quote from one minute to another; None is an absent side."""
        last = min(minute(until), INDEX_CLOSE if self.close == CLOSE else self.close)
        for at in range(minute(since), last + 1):
            self.source.set_quote(contract(strike, right, self.day), self.day, at, bid, ask)

    def silence(self, strike: float, right: OptionRight, *, since: str, until: str = "16:15") -> None:
        """Take a contract's quotes away."""
        for at in range(minute(since), minute(until) + 1):
            self.source.remove_quote(contract(strike, right, self.day), self.day, at)

    def condor(self, *, mid: float = 2.70, half: float = 0.40, width: float = 10.0, since: str = "09:31") -> None:
        """Quote the condor of the two shorts so that its net mid and half spread are exactly these."""
        self.side(PUT, mid=mid / 2, half=half / 2, width=width, since=since)
        self.side(CALL, mid=mid / 2, half=half / 2, width=width, since=since)

    def side(
        self,
        right: OptionRight,
        *,
        mid: float,
        half: float,
        width: float = 10.0,
        since: str = "09:31",
        until: str = "16:15",
    ) -> None:
        """Quote one credit spread: short and wing so that their net mid and half spread are exactly these."""
        short = SHORT_PUT if right is PUT else SHORT_CALL
        wing = short - width if right is PUT else short + width
        # The short gets the wider market; both stay on the grid of 0.05.
        wing_width = min(0.15, round(math.floor(half / 0.05 + 1e-9) * 0.05, 2))
        short_width = round(2 * half - wing_width, 2)
        wing_bid = round(math.floor(model_mid(wing, right) / 0.05) * 0.05 - 0.05, 2)
        short_bid = round(wing_bid + wing_width / 2 + mid - short_width / 2, 4)
        self.quote(short, right, short_bid, round(short_bid + short_width, 4), since=since, until=until)
        self.quote(wing, right, wing_bid, round(wing_bid + wing_width, 4), since=since, until=until)

    # ----------------------------------------------------------------------------------------------------------- time

    def run(self, until: str) -> World:
        """Let everything up to and including a minute happen."""
        self.host.advance(until=datetime.combine(self.day, time.fromisoformat(until)))
        error = self.host.engine.run_time_error
        assert error is None, error.traceback if error is not None else ""
        return self

    def finish(self) -> World:
        """Run to the end: settlement in the night, RUN_ENDED."""
        self.host.advance()
        self.host.finish()
        error = self.host.engine.run_time_error
        assert error is None, error.traceback if error is not None else ""
        return self

    # ------------------------------------------------------------------------------------------------ what came of it

    @property
    def parts(self) -> Parts:
        parts: Parts = self.host.algorithm._assembly.parts
        return parts

    @property
    def books(self) -> Books:
        return self.parts.books

    @property
    def trade(self) -> Trade:
        """The only trade; the last one where ladders without a fill came before it."""
        return list(self.books.trades)[-1]

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the ledger's records so far, all or of some kinds; `at` is added: New York time as "10:31"."""
        return [record for record in self._all() if not kinds or record["kind"] in kinds]

    def _all(self) -> Iterator[dict[str, Any]]:
        if not self.parts.ledger.is_sealed:
            self.parts.ledger.flush(durable=False)
        store = self.host.engine.object_store.contents()
        for key in sorted(key for key in store if "ledger-" in key):
            for line in store[key].splitlines():
                record: dict[str, Any] = json.loads(line)
                record["at"] = from_utc_text(record["time"]).strftime("%H:%M")
                yield record

    def refusals(self) -> list[tuple[str, str]]:
        """Return (time, reason) of every refused entry."""
        return [(record["at"], record["reason"]) for record in self.records("VERDICT") if not record["allowed"]]

    def first_refusal(self) -> str:
        return self.refusals()[0][1]

    def limits(self, purpose: str) -> list[tuple[str, float]]:
        """Return (time, net cash in points) of every order of a purpose, in order."""
        sent = [record for record in self.records("ORDER_INTENT") if record["purpose"] == purpose]
        return [(record["at"], record["limit_u6"] / 1e6) for record in sent]

    def exits(self) -> list[tuple[str, str]]:
        """Return (time, reason) of every closing intent."""
        closing = [record for record in self.records("INTENT") if record["purpose"] != "OPEN"]
        return [(record["at"], record["reason"]) for record in closing]

    def states(self) -> list[str]:
        return [record["to"] for record in self.records("TRADE_STATE")]

    def breaks(self) -> list[dict[str, Any]]:
        return self.records("BREAK")
