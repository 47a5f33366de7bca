"""The broker of the integrity test: LEAN's rules of filling, faults by name and seed, and the truth about holdings.

A market order fills inside the call at the near side of the finished minute, a limit in a later minute whose trades
went beyond it, an order for the auction at the close, at the last price that anybody has seen; DAY orders end there.
A fault makes one of these come out differently; what is held and how much cash there is is never lied about.
`executions`, `moments` and `sent` are the venue's own record, which the ledger has no part in.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.ports import Account, BrokerOrder, OrderRequest, OrderType
from core.vocabulary import BrokerEvent, OrderStatus, Purpose, SettlementEvent, SplitEvent, to_u6
from tools.integrity.tape import CLOCK, MINUTE, Tape

Sink = Callable[[BrokerEvent | SettlementEvent | SplitEvent], None]


class Fault(StrEnum):
    """What may go wrong at the broker."""

    NONE = "none"
    REJECT = "reject"
    PARTIAL = "partial"
    LATE = "late"
    LOST = "lost"
    DUPLICATE = "duplicate"
    CANCEL = "cancel"
    HALT = "halt"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each thing goes wrong, of the orders or reports that it can happen to."""

    reject: float = 0.0
    partial: float = 0.0
    late: float = 0.0
    lost: float = 0.0
    duplicate: float = 0.0
    cancel_ignored: float = 0.0
    cancel_too_late: float = 0.0
    auction_missed: float = 0.0


RATES: Final[dict[Fault, Rates]] = {
    Fault.NONE: Rates(),
    Fault.REJECT: Rates(reject=0.30),
    Fault.PARTIAL: Rates(partial=0.50),
    Fault.LATE: Rates(late=0.40),
    Fault.LOST: Rates(lost=0.15),
    Fault.DUPLICATE: Rates(duplicate=0.50),
    Fault.CANCEL: Rates(partial=0.50, cancel_ignored=0.30, cancel_too_late=0.30),
    Fault.HALT: Rates(auction_missed=0.25),
    Fault.MIXED: Rates(0.10, 0.15, 0.10, 0.04, 0.20, 0.10, 0.10, 0.10),
}

LATEST_FLATTEN_MINUTE: Final = 14
"""A fault may delay a close, never beyond what the spec asks of a broker: filled within 14 minutes of the flatten."""


@dataclass(slots=True)
class Placed:
    """One order at the venue."""

    request: OrderRequest
    at: datetime
    status: OrderStatus = OrderStatus.SUBMITTED
    filled: int = 0
    paid: float = 0.0
    fees: float = 0.0
    works_from: datetime | None = None
    told_from: datetime | None = None
    is_told: bool = True

    @property
    def symbol(self) -> str:
        return self.request.legs[0].symbol

    @property
    def qty(self) -> int:
        return self.request.legs[0].qty

    @property
    def left(self) -> int:
        return self.qty - self.filled

    @property
    def opens(self) -> bool:
        """Whether its tag says that it opens: `run|trade|purpose|attempt`."""
        return Purpose(self.request.order.split("|")[2]).adds_risk


@dataclass(frozen=True, slots=True)
class Execution:
    """What was executed, and what is held and owned after it."""

    at: datetime
    order: str
    symbol: str
    qty: int
    price: float
    fee: float
    cash_u6: int
    held: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """After each change: symbols with an opening at work, and what is held."""

    at: datetime
    opening: frozenset[str]
    held: Mapping[str, int]


@dataclass
class Venue:
    """`core.ports.Broker`."""

    tape: Tape
    rates: Rates
    seed: str
    cash_u6: int
    cash_account: bool
    unsettled_u6: int = 0
    held: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Placed] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    sent: list[tuple[datetime, str, bool]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    sink: Sink | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._later: list[tuple[datetime, BrokerEvent]] = []
        self._alive: dict[str, Placed] = {}

    @property
    def total_u6(self) -> int:
        return self.cash_u6 + self.unsettled_u6

    # ------------------------------------------------------------------------------------------------------- the faults

    def _strikes(self, name: str) -> bool:
        """Whether a fault happens now; none in the last minutes in which a close must come through."""
        rate: float = getattr(self.rates, name)
        if not rate or self._random.random() >= rate:
            return False
        session = CLOCK.session(self.tape.now.date())
        hard = name in ("reject", "late", "lost")
        if hard and session is not None and self.tape.now > session.before_close(LATEST_FLATTEN_MINUTE - 4):
            return False
        self.counts[name] = self.counts.get(name, 0) + 1
        return True

    def _post(self, placed: Placed, status: OrderStatus, qty: int = 0, price: float = 0.0, fee: float = 0.0) -> None:
        if not placed.is_told and status is not OrderStatus.SUBMITTED:
            return
        event = BrokerEvent(placed.request.order, placed.symbol, status, qty, to_u6(price), to_u6(fee), self.tape.now)
        if placed.told_from is not None and placed.told_from > self.tape.now:
            self._later.append((placed.told_from, event))
            return
        assert self.sink is not None, "the venue is joined before the first order"
        for _ in range(2 if self._strikes("duplicate") else 1):
            self.sink(event)

    # --------------------------------------------------------------------------------------------------------- the port

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        now = self.tape.now
        assert request.order not in self.orders, "an id is used once"
        placed = self.orders[request.order] = Placed(request, now)
        self.sent.append((now, request.order, placed.opens))
        if self._strikes("reject"):
            placed.status = OrderStatus.INVALID
            self._post(placed, OrderStatus.INVALID)
            return []
        self._alive[request.order] = placed
        self._note()
        self._post(placed, OrderStatus.SUBMITTED)
        if request.type is not OrderType.MARKET:
            placed.works_from = now + MINUTE
            return []
        if not self.tape.speaks(placed.symbol, now):
            placed.works_from = now + MINUTE
        elif self._strikes("late"):
            self._delay(placed, now)
        elif self._strikes("lost"):
            placed.is_told = False
            self._fill(placed, placed.left, self._near_side(placed))
        elif self._strikes("partial") and abs(placed.qty) > 1:
            self._in_parts(placed, now)
        else:
            self._fill(placed, placed.left, self._near_side(placed))
        return []

    def _delay(self, placed: Placed, now: datetime) -> None:
        """Executed a minute or two later; or at once, and only said later."""
        wait = self._random.choice((MINUTE, 2 * MINUTE))
        if self._random.random() < 0.5:
            placed.works_from = now + wait
            return
        placed.told_from = now + wait
        self._fill(placed, placed.left, self._near_side(placed))

    def _in_parts(self, placed: Placed, now: datetime) -> None:
        """A part at once; the rest in the next minute, or never."""
        part = self._random.randrange(1, abs(placed.qty)) * (1 if placed.qty > 0 else -1)
        self._fill(placed, part, self._near_side(placed))
        if self._random.random() < 0.5:
            placed.works_from = now + MINUTE
        else:
            self._end(placed, OrderStatus.CANCELLED)

    def _near_side(self, placed: Placed) -> float:
        """Return the price of a market order: the bid for a sale, the ask for a purchase."""
        close = self.tape.prices(placed.symbol, self.tape.now)[3]
        return close if placed.qty > 0 else round(close - 0.01, 2)

    def _fill(self, placed: Placed, qty: int, price: float) -> None:
        fee = max(1.0, round(0.005 * abs(qty), 6)) if not placed.filled else round(0.005 * abs(qty), 6)
        placed.filled += qty
        placed.paid += qty * price
        placed.fees += fee
        self.held[placed.symbol] = self.held.get(placed.symbol, 0) + qty
        value = qty * to_u6(price)
        if self.cash_account and qty < 0:
            self.unsettled_u6 -= value
            self.cash_u6 -= to_u6(fee)
        else:
            self.cash_u6 -= value + to_u6(fee)
        order, held = placed.request.order, dict(self.positions())
        self.executions.append(Execution(self.tape.now, order, placed.symbol, qty, price, fee, self.total_u6, held))
        if placed.left == 0:
            placed.status = OrderStatus.FILLED
            self._alive.pop(order, None)
        else:
            placed.status = OrderStatus.PARTIAL
        self._note()
        self._post(placed, placed.status, qty, price, fee)

    def _end(self, placed: Placed, status: OrderStatus) -> None:
        placed.status = status
        self._alive.pop(placed.request.order, None)
        self._note()
        self._post(placed, status)

    def _note(self) -> None:
        opening = frozenset(item.symbol for item in self._alive.values() if item.opens)
        self.moments.append(Moment(self.tape.now, opening, dict(self.positions())))

    def cancel(self, order: str) -> None:
        placed = self.orders[order]
        if placed.status.is_final or self._strikes("cancel_ignored"):
            return
        limit = placed.request.net_cash
        if limit is not None and self._strikes("cancel_too_late"):
            self._fill(placed, placed.left, -limit)
            return
        self._end(placed, OrderStatus.CANCELLED)

    def position(self, symbol: str) -> int:
        return self.held.get(symbol, 0)

    def positions(self) -> Mapping[str, int]:
        return {symbol: qty for symbol, qty in sorted(self.held.items()) if qty}

    def mark_price(self, symbol: str) -> float:
        """Return the last trade that anybody has seen, of today or of before."""
        return self.tape.last_price(symbol)

    def open_orders(self) -> Iterable[BrokerOrder]:
        return [_told(placed) for placed in self._alive.values()]

    def find(self, order: str) -> BrokerOrder | None:
        placed = self.orders.get(order)
        return None if placed is None else _told(placed)

    def account(self) -> Account:
        worth = sum(qty * self.mark_price(symbol) for symbol, qty in self.held.items() if qty)
        return Account(self.cash_u6, self.unsettled_u6, self.total_u6 / 1e6 + worth)

    # ------------------------------------------------------------------------------------------------------ time passes

    def advance(self) -> None:
        """What happens in the minute that ends now, before anybody looks."""
        now = self.tape.now
        session = CLOCK.session(now.date())
        if session is None:
            return
        due = [event for when, event in self._later if when <= now]
        self._later = [(when, event) for when, event in self._later if when > now]
        for event in due:
            assert self.sink is not None, "the venue is joined before the first order"
            self.sink(event)
        if now <= session.open and self.unsettled_u6:
            self.cash_u6, self.unsettled_u6 = self.total_u6, 0
        for placed in list(self._alive.values()):
            if placed.at < now:
                self._work(placed, now, at_close=now == session.close)

    def _work(self, placed: Placed, now: datetime, *, at_close: bool) -> None:
        kind, speaks = placed.request.type, self.tape.speaks(placed.symbol, now)
        if kind is OrderType.MARKET_ON_CLOSE:
            if at_close and not self._strikes("auction_missed"):
                self._fill(placed, placed.left, self.tape.last_price(placed.symbol))
            return
        if speaks and placed.works_from is not None and now >= placed.works_from:
            if kind is OrderType.MARKET:
                self._fill(placed, placed.left, self._near_side(placed))
            elif kind is OrderType.LIMIT:
                self._meet_limit(placed, now)
        if at_close and not placed.status.is_final:
            self._end(placed, OrderStatus.CANCELLED)

    def _meet_limit(self, placed: Placed, now: datetime) -> None:
        limit = -(placed.request.net_cash or 0.0)
        first, _high, low, _close = self.tape.prices(placed.symbol, now)
        if not low < limit:
            return
        price = min(limit, first)
        if self._strikes("late"):
            self._delay_limit(placed, now, price)
        elif self._strikes("lost"):
            placed.is_told = False
            self._fill(placed, placed.left, price)
        elif self._strikes("partial") and placed.left > 1:
            self._fill(placed, self._random.randrange(1, placed.left), price)
        else:
            self._fill(placed, placed.left, price)

    def _delay_limit(self, placed: Placed, now: datetime, price: float) -> None:
        if self._random.random() < 0.5:
            placed.works_from = now + MINUTE
            return
        placed.told_from = now + self._random.choice((MINUTE, 2 * MINUTE))
        self._fill(placed, placed.left, price)


def _told(placed: Placed) -> BrokerOrder:
    average = placed.paid / placed.filled if placed.filled else 0.0
    order, symbol = placed.request.order, placed.symbol
    return BrokerOrder(
        order, placed.status, {symbol: placed.qty}, {symbol: placed.filled}, {symbol: average}, placed.fees
    )
