"""The ETF book in a market that a test writes: the whole core on a feed and a broker that do as they are told.

Prices stand still unless a test moves them.  The broker is LEAN's in what it does by itself: a market order fills
inside the call at the bid of the finished minute, a limit in a later minute whose trades went below it, an order for
the auction at the close; a DAY order ends there.  Fates, one an order, make it misbehave; what it holds it never lies
about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from audit.findings import Severity
from audit.replay import Replay
from core.assembly import assemble
from core.eastern import from_utc_text
from core.family import SYMBOLS
from core.ports import Account, BrokerOrder, OrderRequest, OrderType, RawBar, RawChain, RawQuote, RawStrikes
from core.session import SessionClock
from core.settings import SessionSettings, Settings
from core.vocabulary import BrokerEvent, Instrument, OrderStatus, SplitEvent, to_u6
from tests.core.desk import MemoryStore

DAY = date(2025, 10, 28)
PRICES = {"QQQ": 500.00, "TQQQ": 85.10, "PSQ": 40.00, "SQQQ": 18.00, "SPY": 600.0, "SPX": 6000.0, "VIX": 17.0}
CLOCK = SessionClock(SessionSettings())
_MINUTE = timedelta(minutes=1)


def on(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock))


class Market:
    """Asks and last prices by symbol and moment; a symbol is silent in the minutes that are taken from it."""

    def __init__(self) -> None:
        self._moves: dict[str, list[tuple[datetime, float]]] = {symbol: [] for symbol in PRICES}
        self._silences: list[tuple[str, datetime, datetime]] = []
        self.volume = 1e6
        self.spread = 0.01
        self.now = datetime.min
        self.said_halted: frozenset[str] = frozenset()

    def move(self, symbol: str, price: float, since: datetime) -> None:
        self._moves[symbol].append((since, price))

    def silence(self, symbol: str, since: datetime, until: datetime) -> None:
        """No quotes and no trades in the minutes that end after since and at until or before."""
        self._silences.append((symbol, since, until))

    def ask(self, symbol: str, at: datetime) -> float:
        found = [price for since, price in sorted(self._moves[symbol]) if since <= at]
        return found[-1] if found else PRICES[symbol]

    def bid(self, symbol: str, at: datetime) -> float:
        return round(self.ask(symbol, at) - self.spread, 2)

    def speaks(self, symbol: str, at: datetime) -> bool:
        session = CLOCK.session(at.date())
        if symbol not in PRICES or session is None or not session.open < at <= session.close:
            return False
        return not any(name == symbol and since < at <= until for name, since, until in self._silences)

    # -------------------------------------------------------------------------------------------------------- the feed

    @property
    def time(self) -> datetime:
        return self.now

    def bar(self, symbol: str) -> RawBar | None:
        return self._bar(symbol, self.now) if self.speaks(symbol, self.now) else None

    def _bar(self, symbol: str, at: datetime) -> RawBar:
        before, price = self.ask(symbol, at - _MINUTE), self.ask(symbol, at)
        return RawBar(at, before, max(before, price), min(before, price) - self.spread, price, self.volume)

    def quote(self, symbol: str) -> RawQuote | None:
        if not self.speaks(symbol, self.now) or symbol in ("SPX", "VIX"):
            return None
        bid, ask = self.bid(symbol, self.now), self.ask(symbol, self.now)
        return RawQuote(self.now, bid, ask, bid, ask)

    def bars_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawBar]:
        return {symbol: bar for symbol in symbols if minute == self.now and (bar := self.bar(symbol)) is not None}

    def quotes_of(self, minute: datetime, symbols: Iterable[str]) -> Mapping[str, RawQuote]:
        return {symbol: found for symbol in symbols if minute == self.now and (found := self.quote(symbol)) is not None}

    def chain(self, minute: datetime, root: str, expiry: date) -> RawChain | None:
        return None

    def strikes(
        self, minute: datetime, root: str, expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> RawStrikes | None:
        return None

    def listed(self, root: str) -> Mapping[date, int]:
        return {}

    def halted(self) -> frozenset[str]:
        return self.said_halted

    def minute_history(self, symbol: str, since: datetime) -> Sequence[RawBar]:
        minutes = int((self.now - since) / _MINUTE)
        ends = [since + number * _MINUTE for number in range(1, minutes)]
        return [self._bar(symbol, end) for end in ends if self.speaks(symbol, end)]

    def daily_history(self, symbols: Sequence[str], sessions: int) -> Mapping[str, Sequence[RawBar]]:
        return {symbol: self._daily(symbol, sessions) for symbol in symbols}

    def _daily(self, symbol: str, sessions: int) -> Sequence[RawBar]:
        day, bars = self.now.date(), []
        for number in range(sessions):
            day = CLOCK.previous_session(day).day
            wave = 1.0 if symbol == "VIX" or number == 0 else 1.0 + 0.01 * (-1) ** number
            price = self.ask(symbol, datetime.combine(day, time(16))) * wave
            bars.append(RawBar(datetime.combine(day, time(16)), price, price, price, price, 1e6))
        return bars[::-1]


@dataclass
class Placed:
    request: OrderRequest
    at: datetime
    status: OrderStatus = OrderStatus.SUBMITTED
    filled: int = 0
    paid: float = 0.0
    fees: float = 0.0
    late: bool = False
    reported: bool = True

    @property
    def qty(self) -> int:
        return self.request.legs[0].qty

    @property
    def symbol(self) -> str:
        return self.request.legs[0].symbol

    @property
    def left(self) -> int:
        return self.qty - self.filled


@dataclass
class FateBroker:
    """`core.ports.Broker`. fates: one a market order, then `fill`; limit_fates: one a minute and limit, then `fill`.

    Fates of a sale: fill, reject, part:N (the rest is cancelled), late (one minute), lost (executed, never reported),
    never (it works on).  Of a limit in a minute: fill, part:N, none.
    """

    market: Market
    cash_account: bool
    cash: float
    unsettled: float = 0.0
    held: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Placed] = field(default_factory=dict)
    fates: list[str] = field(default_factory=list)
    limit_fates: list[str] = field(default_factory=list)
    cancel_fates: list[str] = field(default_factory=list)
    moc_fates: list[str] = field(default_factory=list)
    repeats: bool = False
    is_free: bool = False
    sink: Any = None

    def post(self, placed: Placed, status: OrderStatus, qty: int = 0, price: float = 0.0, fee: float = 0.0) -> None:
        event = BrokerEvent(placed.request.order, placed.symbol, status, qty, to_u6(price), to_u6(fee), self.market.now)
        for _ in range(2 if self.repeats else 1):
            self.sink(event)

    # -------------------------------------------------------------------------------------------------------- the port

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        assert request.order not in self.orders, "an id is used once"
        placed = self.orders[request.order] = Placed(request, self.market.now)
        if request.type is not OrderType.MARKET:
            self.post(placed, OrderStatus.SUBMITTED)
            return []
        fate = self.fates.pop(0) if self.fates else "fill"
        if fate == "reject":
            placed.status = OrderStatus.INVALID
            self.post(placed, OrderStatus.INVALID)
            return []
        self.post(placed, OrderStatus.SUBMITTED)
        price = self.market.bid(placed.symbol, self.market.now)
        if fate == "fill":
            self.fill(placed, placed.left, price)
        elif fate == "lost":
            placed.reported = False
            self.fill(placed, placed.left, price)
        elif fate.startswith("part:"):
            sign = 1 if placed.qty > 0 else -1
            self.fill(placed, sign * min(abs(placed.left), int(fate[5:])), price)
            if placed.left:
                placed.status = OrderStatus.CANCELLED
                self.post(placed, OrderStatus.CANCELLED)
        else:
            placed.late = fate == "late"
        return []

    def fill(self, placed: Placed, qty: int, price: float) -> None:
        placed.filled += qty
        fee = 0.0 if self.is_free else max(1.0, 0.005 * abs(placed.filled)) - placed.fees
        placed.paid += qty * price
        placed.fees += fee
        placed.status = OrderStatus.FILLED if placed.left == 0 else OrderStatus.PARTIAL
        self.held[placed.symbol] = self.held.get(placed.symbol, 0) + qty
        if self.cash_account and qty < 0:
            self.unsettled -= qty * price
            self.cash -= fee
        else:
            self.cash -= qty * price + fee
        if placed.reported:
            self.post(placed, placed.status, qty, price, fee)

    def cancel(self, order: str) -> None:
        placed = self.orders[order]
        if placed.status.is_final:
            return
        fate = self.cancel_fates.pop(0) if self.cancel_fates else "confirm"
        limit, bar = -(placed.request.net_cash or 0.0), self.market.bar(placed.symbol)
        if fate == "fill" and bar is not None and bar.low < limit:
            self.fill(placed, placed.left, limit)
        elif fate in ("confirm", "fill"):
            placed.status = OrderStatus.CANCELLED
            self.post(placed, OrderStatus.CANCELLED)

    def position(self, symbol: str) -> int:
        return self.held.get(symbol, 0)

    def positions(self) -> Mapping[str, int]:
        return {symbol: qty for symbol, qty in sorted(self.held.items()) if qty}

    def mark_price(self, symbol: str) -> float:
        return self.market.ask(symbol, self.market.now)

    def open_orders(self) -> Iterable[BrokerOrder]:
        return [self._told(placed) for placed in self.orders.values() if not placed.status.is_final]

    def find(self, order: str) -> BrokerOrder | None:
        placed = self.orders.get(order)
        return None if placed is None else self._told(placed)

    def _told(self, placed: Placed) -> BrokerOrder:
        average = placed.paid / placed.filled if placed.filled else 0.0
        legs, filled = {placed.symbol: placed.qty}, {placed.symbol: placed.filled}
        return BrokerOrder(placed.request.order, placed.status, legs, filled, {placed.symbol: average}, placed.fees)

    def account(self) -> Account:
        worth = sum(qty * self.mark_price(symbol) for symbol, qty in self.held.items())
        return Account(to_u6(self.cash), to_u6(self.unsettled), self.cash + self.unsettled + worth)

    # ---------------------------------------------------------------------------------------------------- time passes

    def advance(self) -> None:
        """What happens in the minute that ends now, before anybody looks."""
        now, session = self.market.now, CLOCK.session(self.market.now.date())
        if session is None:
            return
        if now <= session.open:
            self.cash, self.unsettled = self.cash + self.unsettled, 0.0
        for placed in list(self.orders.values()):
            if placed.status.is_final or placed.at >= now:
                continue
            self._work(placed, now, at_close=now == session.close)

    def _work(self, placed: Placed, now: datetime, *, at_close: bool) -> None:
        request = placed.request
        if request.type is OrderType.MARKET_ON_CLOSE:
            if at_close and (self.moc_fates.pop(0) if self.moc_fates else "fill") == "fill":
                self.fill(placed, placed.left, self.market.bid(placed.symbol, now))
            return
        if request.type is OrderType.LIMIT and self.market.speaks(placed.symbol, now):
            limit, bar = -(request.net_cash or 0.0), self.market.bar(placed.symbol)
            fate = self.limit_fates.pop(0) if self.limit_fates else "fill"
            if bar is not None and bar.low < limit and fate != "none":
                qty = placed.left if fate == "fill" else min(placed.left, int(fate[5:]))
                self.fill(placed, qty, min(limit, bar.open))
        elif request.type is OrderType.MARKET and placed.late and self.market.speaks(placed.symbol, now):
            self.fill(placed, placed.left, self.market.bid(placed.symbol, now))
        if at_close and not placed.status.is_final:
            placed.status = OrderStatus.CANCELLED
            self.post(placed, OrderStatus.CANCELLED)


class Names:
    def identifier(self, text: str) -> str:
        return text

    def restore(self, text: str, identifier: str) -> None:
        return


class EtfWorld:
    """Sessions of the ETF book alone."""

    def __init__(
        self, script: str = "", *, day: date = DAY, cash: float = 100_000.0, held: Mapping[str, int] | None = None,
        unsettled: float = 0.0, end: date | None = None, store: MemoryStore | None = None,
        broker: FateBroker | None = None, market: Market | None = None, start: str = "09:00",
        settings: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.day = day
        self.settings = Settings.from_parameters(
            {
                "friday_0dte.enabled": "false",
                "etf_rotation.enabled": "true",
                "etf_rotation.signal.source": "script",
                "etf_rotation.synthetic.script": script,
                "run.start": day.isoformat(),
                "run.end": (end or day).isoformat(),
                **(settings or {}),
            }
        )
        self.market = market or Market()
        cash_account = self.settings.account.type.value == "CASH"
        self.broker = broker or FateBroker(self.market, cash_account, cash, unsettled, dict(held or {}))
        self.store = store or MemoryStore()
        self.market.now = on(start, day)
        self.assembly = assemble(self.settings, self.market, self.broker, self.store, self.market.now, Names())
        self.broker.sink = self.assembly.coordinator.post
        self.steps = 0
        self.log: list[str] = []
        self.statistics: dict[str, str] = {}
        self.chart: list[tuple[datetime, str, float]] = []

    # ----------------------------------------------------------------------------------------------------------- time

    def run(self, until: str, day: date | None = None) -> EtfWorld:
        """Let every minute up to and including one pass."""
        end = on(until, day or self.market.now.date())
        while self.market.now < end:
            self.market.now += _MINUTE
            self.step()
        return self

    def step(self) -> None:
        now = self.market.now
        self.broker.advance()
        if self.assembly.coordinator.is_due(now):
            self.log += self.assembly.step(now)
            self.steps += 1
            # As main.py shows them.
            self.statistics.update(self.assembly.runtime_statistics())
            self.chart += [(now, series, value) for _chart, series, value in self.assembly.chart_points()]
            # The engine confirms a cancel in the minute of the step but after it.
            self.assembly.coordinator.attend(now)

    def next_session(self) -> EtfWorld:
        """Go on to the evening, and to the morning of the next session."""
        self.run("16:20")
        day = CLOCK.next_session(self.market.now.date()).day
        self.market.now = on("08:59", day)
        return self

    def split(self, symbol: str, num: int, den: int) -> None:
        held = self.broker.held.get(symbol, 0)
        self.broker.held[symbol] = held * num // den
        self.assembly.coordinator.post(SplitEvent(symbol, num, den))

    def finish(self) -> EtfWorld:
        self.run("16:20")
        self.assembly.finish(self.market.now)
        return self

    # ------------------------------------------------------------------------------------------------ what came of it

    @property
    def books(self) -> Any:
        return self.assembly.parts.books

    @property
    def family(self) -> Any:
        family = self.assembly.parts.family
        assert family is not None
        return family

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the ledger's records so far; `at` is New York time as "10:31"."""
        return [record for record in self._all() if not kinds or record["kind"] in kinds]

    def _all(self) -> Iterator[dict[str, Any]]:
        if not self.assembly.parts.ledger.is_sealed:
            self.assembly.parts.ledger.flush(durable=False)
        for line in self.store.joined(self.assembly.run).splitlines():
            record: dict[str, Any] = json.loads(line)
            record["at"] = from_utc_text(record["time"]).strftime("%H:%M")
            yield record

    def signals(self) -> dict[str, tuple[str, str]]:
        """Return (target, reason) by minute."""
        return {record["at"]: (record["target"], record["reason"]) for record in self.records("SIGNAL")}

    def orders(self) -> list[tuple[str, str, str, int, float | None]]:
        """Return (time, purpose, symbol, shares, limit) of every order."""
        return [
            (
                record["at"], record["purpose"], record["legs"][0]["symbol"], record["legs"][0]["qty"],
                -record["limit_u6"] / 1e6 if "limit_u6" in record else None,
            )
            for record in self.records("ORDER_INTENT")
        ]  # fmt: skip

    def fills(self) -> list[tuple[str, str, int]]:
        return [(record["at"], record["symbol"], record["qty"]) for record in self.records("FILL")]

    def refusals(self) -> list[tuple[str, str, str]]:
        """Return (time, gate, reason) of every refusal."""
        return [
            (record["at"], record["gate"], record["reason"])
            for record in self.records("VERDICT")
            if not record["allowed"]
        ]

    def breaches(self) -> list[tuple[str, str]]:
        return [(record["at"], record["principle"]) for record in self.records("BREACH")]

    def alerts(self) -> list[str]:
        return [record["code"] for record in self.records("ALERT")]

    def audit(self) -> list[str]:
        """Return what the independent auditor finds in the whole ledger of a finished run."""
        replay = Replay()
        replay.run(self.store.joined(self.assembly.run).splitlines(keepends=True))
        return [f"{found.rule} {found.text}" for found in replay.findings.kept if found.severity is Severity.VIOLATION]

    def held(self) -> dict[str, int]:
        return {symbol: qty for symbol in SYMBOLS if (qty := self.books.position(symbol))}


def instrument(symbol: str) -> Instrument:
    return Instrument(symbol, symbol)
