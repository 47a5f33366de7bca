"""A broker that behaves as told: it fills units or single legs, rejects, stays silent, confirms late or never, repeats
itself, and mixes orders up.

Behaviour, not a mock: it keeps its own orders, holdings and cash, so that a test can ask what the account looks like
after.  Nothing happens by itself but acknowledgement and cancels; fills are told, or come from `each_minute`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.ports import Account, BrokerOrder, OrderRequest
from core.vocabulary import U6, BrokerEvent, OrderStatus, to_u6

FEE_USD = 1.31
"""A contract."""


@dataclass(slots=True)
class Placed:
    """An order as the broker has it."""

    request: OrderRequest
    at: datetime
    prices: Mapping[str, float]
    filled: dict[str, int] = field(default_factory=dict)
    status: OrderStatus = OrderStatus.SUBMITTED
    fees_usd: float = 0.0
    cancels: int = 0

    @property
    def id(self) -> str:
        return self.request.order

    @property
    def is_open(self) -> bool:
        return not self.status.is_final

    def left(self, symbol: str) -> int:
        ordered = next(leg.qty for leg in self.request.legs if leg.symbol == symbol)
        return ordered - self.filled.get(symbol, 0)


Minute = Callable[["FakeBroker", Placed], None]


class FakeBroker:
    """`core.ports.Broker`. Each switch is one way in which brokers misbehave; all are off."""

    def __init__(self, cash_usd: float = 100_000.0) -> None:
        self.now = datetime.min
        self.cash_usd = cash_usd
        self.holdings: dict[str, int] = {}
        self.orders: dict[str, Placed] = {}
        self.quoted: Callable[[str], float] = lambda _symbol: 1.0
        self.each_minute: Minute | None = None
        self._sink: Callable[[BrokerEvent], None] | None = None
        self._pending: list[str] = []
        # switches
        self.acknowledges = True
        self.confirms_cancels = True
        self.hears_cancels = True
        self.reports_fills = True
        self.repeats_fills = False
        self.fills_first: bool = False
        self.forgets = False
        self.keeps_fills_to_itself = False
        self.fills_on_cancel = 0
        self.refuses: str | None = None
        self.rejects: str | None = None
        self.holds_after: dict[str, int] | None = None

    def reports_to(self, sink: Callable[[BrokerEvent], None]) -> None:
        self._sink = sink

    # -------------------------------------------------------------------------------------------------------- the port

    def send(self, request: OrderRequest) -> Sequence[BrokerEvent]:
        assert request.order not in self.orders, f"{request.order} was sent twice"
        placed = Placed(request, self.now, self._leg_prices(request))
        if self.refuses is not None:
            placed.status = OrderStatus.INVALID
            self.orders[request.order] = placed
            return [self.event(placed, leg.symbol, OrderStatus.INVALID, text=self.refuses) for leg in request.legs]
        self.orders[request.order] = placed
        if self.fills_first:
            self.fill(placed)
            self._say_submitted(placed)
        elif self.acknowledges:
            self._say_submitted(placed)
        if self.rejects is not None and placed.is_open:
            self.reject(placed, self.rejects)
        return []

    def cancel(self, order: str) -> None:
        placed = self.orders[order]
        placed.cancels += 1
        if not placed.is_open or not self.hears_cancels:
            return
        if self.fills_on_cancel:
            self.fill(placed, units=self.fills_on_cancel)
        if placed.is_open and self.confirms_cancels:
            self.confirm_cancel(placed)

    def position(self, symbol: str) -> int:
        return self.holdings.get(symbol, 0)

    def positions(self) -> Mapping[str, int]:
        return {symbol: qty for symbol, qty in sorted(self.holdings.items()) if qty}

    def mark_price(self, symbol: str) -> float:
        return self.quoted(symbol)

    def open_orders(self) -> Iterable[BrokerOrder]:
        return [found for order in self.orders if self.orders[order].is_open and (found := self.find(order))]

    def find(self, order: str) -> BrokerOrder | None:
        placed = self.orders.get(order)
        if placed is None or self.forgets:
            return None
        legs = {leg.symbol: leg.qty for leg in placed.request.legs}
        filled = {} if self.keeps_fills_to_itself else dict(placed.filled)
        return BrokerOrder(order, placed.status, legs, filled, dict(placed.prices), placed.fees_usd)

    def account(self) -> Account:
        worth = sum(qty * 100 * self.quoted(symbol) for symbol, qty in self.holdings.items())
        return Account(to_u6(self.cash_usd), 0, self.cash_usd + worth)

    # ------------------------------------------------------------------------------------------------- what tests tell

    @property
    def last(self) -> Placed:
        return next(reversed(self.orders.values()))

    @property
    def open(self) -> list[Placed]:
        return [placed for placed in self.orders.values() if placed.is_open]

    def minute(self) -> None:
        """Let the market work one minute on every order that is open."""
        for placed in self.open:
            if self.each_minute is not None:
                self.each_minute(self, placed)

    def fill(
        self,
        placed: Placed | None = None,
        *,
        units: int | None = None,
        legs: Iterable[str] | None = None,
        report: bool | None = None,
    ) -> None:
        """Fill whole units of every leg, or of some legs only; all that is left by default. It moves holdings and cash
        whether it is reported or not.
        """
        placed = self.last if placed is None else placed
        wanted = {leg.symbol for leg in placed.request.legs} if legs is None else set(legs)
        for leg in placed.request.legs:
            left = placed.left(leg.symbol)
            per_unit = leg.qty // placed.request.units
            qty = left if units is None else min(abs(left), abs(per_unit) * units) * (1 if leg.qty > 0 else -1)
            if leg.symbol in wanted and qty:
                self._book(placed, leg.symbol, qty, report=self.reports_fills if report is None else report)
        if all(placed.left(leg.symbol) == 0 for leg in placed.request.legs):
            placed.status = OrderStatus.FILLED
        elif placed.filled and placed.is_open:
            placed.status = OrderStatus.PARTIAL

    def reject(self, placed: Placed | None = None, text: str = "rejected at the exchange") -> None:
        """Reject what is left, after the order was accepted."""
        placed = self.last if placed is None else placed
        placed.status = OrderStatus.INVALID
        for leg in placed.request.legs:
            self.tell(self.event(placed, leg.symbol, OrderStatus.INVALID, text=text))

    def confirm_cancel(self, placed: Placed | None = None) -> None:
        """Confirm a cancel, asked for or not."""
        placed = self.last if placed is None else placed
        placed.status = OrderStatus.CANCELLED
        for leg in placed.request.legs:
            if placed.left(leg.symbol):
                self.tell(self.event(placed, leg.symbol, OrderStatus.CANCELLED))

    def repeat_last_report(self) -> None:
        assert self._told is not None
        self.tell(self._told)

    def event(
        self, placed: Placed, symbol: str, status: OrderStatus, qty: int = 0, *, order: str = "", text: str = ""
    ) -> BrokerEvent:
        price = to_u6(placed.prices.get(symbol, 1.0)) if qty else 0
        fee = round(abs(qty) * FEE_USD * U6)
        return BrokerEvent(order or placed.id, symbol, status, qty, price, fee, self.now, text)

    def tell(self, event: BrokerEvent) -> None:
        assert self._sink is not None, "the broker reports to nobody"
        self._told = event
        self._sink(event)

    # ------------------------------------------------------------------------------------------------------- its books

    _told: BrokerEvent | None = None

    def _say_submitted(self, placed: Placed) -> None:
        for leg in placed.request.legs:
            self.tell(self.event(placed, leg.symbol, OrderStatus.SUBMITTED))

    def _book(self, placed: Placed, symbol: str, qty: int, *, report: bool) -> None:
        placed.filled[symbol] = placed.filled.get(symbol, 0) + qty
        self.holdings[symbol] = self.holdings.get(symbol, 0) + qty
        fee = abs(qty) * FEE_USD
        self.cash_usd -= qty * placed.prices[symbol] * 100 + fee
        placed.fees_usd += fee
        if not report:
            return
        status = OrderStatus.PARTIAL if placed.left(symbol) else OrderStatus.FILLED
        told = self.event(placed, symbol, status, qty)
        self.tell(told)
        if self.repeats_fills:
            self.tell(told)

    def _leg_prices(self, request: OrderRequest) -> Mapping[str, float]:
        """Price every leg at its quote, and the dearest so that a unit costs exactly the limit."""
        prices = {leg.symbol: self.quoted(leg.symbol) for leg in request.legs}
        assert request.net_cash is not None, "options are never traded by market orders"
        dear = max(request.legs, key=lambda leg: prices[leg.symbol])
        net = -sum(leg.qty // request.units * prices[leg.symbol] for leg in request.legs)
        prices[dear.symbol] += (net - request.net_cash) / (dear.qty // request.units)
        assert min(prices.values()) >= -1e-9, f"{request.order}: no leg prices give {request.net_cash}"
        return {symbol: round(price, 6) for symbol, price in prices.items()}
