"""Securities, orders and accounts for tests of the models: plain values behind the models' protocols."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from engine.enums import AccountType, BrokerageName, OptionRight, OrderType, SecurityType
from engine.exchange import ExchangeClock
from engine.hours import ExchangeHours, Segment
from engine.models.brokerage import DefaultBrokerageModel, brokerage_model
from engine.models.position_groups import PositionGroup, resolve_groups
from engine.models.views import BuyingPowerModel, FeeModel, PriceBar, QuoteView
from engine.orders import GroupOrderManager, Order, OrderProperties, TimeInForce
from engine.symbols import Symbol

NEW_YORK = ZoneInfo("America/New_York")
TODAY = date(2025, 1, 10)  # a Friday in winter: New York is UTC-5, Chicago UTC-6
HOLIDAY = date(2025, 1, 20)
HALF_DAY = date(2025, 7, 3)
SPX = Symbol.index("SPX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
DAY = TimeInForce.DAY


def _hours(zone: str, opens: timedelta, closes: timedelta, early: timedelta) -> ExchangeHours:
    weekday = (Segment(int(opens.total_seconds()), int(closes.total_seconds()), True),)
    return ExchangeHours(
        ZoneInfo(zone), ZoneInfo(zone), (*(weekday,) * 5, (), ()), [HOLIDAY], early_closes={HALF_DAY: early}
    )


STOCK_CLOCK = ExchangeClock(_hours("America/New_York", timedelta(hours=9.5), timedelta(hours=16), timedelta(hours=13)))
INDEX_CLOCK = ExchangeClock(
    _hours("America/Chicago", timedelta(hours=8.5), timedelta(hours=15.25), timedelta(hours=12))
)


def at(clock_time: str, day: date = TODAY) -> datetime:
    """Return the naive UTC moment of a New York wall time such as "10:05" or "15:44:30"."""
    local = datetime.combine(day, time.fromisoformat(clock_time), tzinfo=NEW_YORK)
    return local.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def bar(
    end: str, low: float, high: float, *, open: float | None = None, close: float | None = None, day: date = TODAY
) -> PriceBar:
    """Return a minute bar; it opens at the low and closes at the high unless told."""
    moment = at(end, day)
    return PriceBar(
        low if open is None else open,
        high,
        low,
        high if close is None else close,
        moment - timedelta(minutes=1),
        moment,
    )


def quote(end: str, bid: PriceBar | float | None, ask: PriceBar | float | None, day: date = TODAY) -> QuoteView:
    """Return a quote bar; a number is a side that did not move, None one without a quote."""
    sides = [bar(end, side, side, day=day) if isinstance(side, int | float) else side for side in (bid, ask)]
    moment = at(end, day)
    return QuoteView(sides[0], sides[1], moment - timedelta(minutes=1), moment)


@dataclass
class Holding:
    quantity: float = 0.0
    average_price: float = 0.0


@dataclass
class TestSecurity:
    """A security as the models see it; every field can be set."""

    __test__ = False

    symbol: Symbol
    clock: ExchangeClock
    fee_model: FeeModel = field(init=False)
    buying_power_model: BuyingPowerModel = field(init=False)
    price: float = 0.0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    bid_price: float = 0.0
    ask_price: float = 0.0
    holdings: Holding = field(default_factory=Holding)
    contract_multiplier: float = 1.0
    lot_size: float = 1.0
    minimum_price_variation: float = 0.01
    is_adjusted: bool = False
    is_tradable: bool = True
    underlying: TestSecurity | None = None
    last_trade: PriceBar | None = None
    last_quote: QuoteView | None = None
    has_trades: bool = True
    has_quotes: bool = True
    bar_span: timedelta = timedelta(minutes=1)

    @property
    def type(self) -> SecurityType:
        return self.symbol.security_type

    def priced(self, price: float, *, bid: float | None = None, ask: float | None = None) -> TestSecurity:
        """Set all prices to one, quotes to themselves or to it; return the security."""
        self.price = self.open = self.high = self.low = self.close = price
        self.bid_price = price if bid is None else bid
        self.ask_price = price if ask is None else ask
        return self

    def quoted(
        self, end: str, bid: PriceBar | float | None, ask: PriceBar | float | None, day: date = TODAY
    ) -> TestSecurity:
        self.last_quote = quote(end, bid, ask, day)
        return self

    def holding(self, quantity: float, average_price: float | None = None) -> TestSecurity:
        self.holdings = Holding(quantity, self.price if average_price is None else average_price)
        return self


def _modelled(security: TestSecurity, brokerage: DefaultBrokerageModel) -> TestSecurity:
    security.fee_model = brokerage.get_fee_model(security)
    security.buying_power_model = brokerage.get_buying_power_model(security)
    return security


@dataclass
class Market:
    """One account at one brokerage with SPX, SPY, ETFs and the options asked for."""

    name: BrokerageName = BrokerageName.INTERACTIVE_BROKERS_BROKERAGE
    account_type: AccountType = AccountType.MARGIN
    spot: float = 5860.0

    def __post_init__(self) -> None:
        self.brokerage = brokerage_model(self.name, self.account_type)
        self.spx = self.add(TestSecurity(SPX, INDEX_CLOCK, is_tradable=False)).priced(self.spot)

    def add(self, security: TestSecurity) -> TestSecurity:
        return _modelled(security, self.brokerage)

    def option(
        self, strike: float, right: str, price: float = 1.0, *, expiry: date = TODAY, held: float = 0
    ) -> TestSecurity:
        """Return an SPXW contract ("C" or "P") at a price, and hold some."""
        symbol = Symbol.option(SPX, _right(right), strike, expiry, ticker="SPXW")
        return self._option(symbol, self.spx, price, held)

    def stock(self, ticker: str, price: float, *, held: float = 0) -> TestSecurity:
        security = self.add(TestSecurity(Symbol.equity(ticker), STOCK_CLOCK)).priced(price)
        return security.holding(held)

    def stock_option(
        self,
        stock: TestSecurity,
        strike: float,
        right: str,
        price: float = 1.0,
        *,
        expiry: date = TODAY,
        held: float = 0,
    ) -> TestSecurity:
        symbol = Symbol.option(stock.symbol, _right(right), strike, expiry)
        return self._option(symbol, stock, price, held)

    def _option(self, symbol: Symbol, underlying: TestSecurity, price: float, held: float) -> TestSecurity:
        security = TestSecurity(symbol, underlying.clock, contract_multiplier=100.0, underlying=underlying)
        return self.add(security).priced(price).holding(held)


def _right(letter: str) -> OptionRight:
    return {"C": OptionRight.CALL, "P": OptionRight.PUT}[letter]


@dataclass
class Account:
    """A portfolio as the margin model sees it."""

    total_portfolio_value: Decimal
    securities: Sequence[TestSecurity]
    unsettled_cash: Decimal = Decimal(0)
    filled: dict[int, float] = field(default_factory=dict)

    @property
    def position_groups(self) -> Sequence[PositionGroup]:
        return resolve_groups(self.securities)

    def security(self, symbol: Symbol) -> TestSecurity:
        return next(security for security in self.securities if security.symbol is symbol)

    def quantity_filled(self, order_id: int) -> float:
        return self.filled.get(order_id, 0.0)


def account(value: float | str, *securities: TestSecurity, unsettled: float | str = 0) -> Account:
    return Account(Decimal(value), securities, Decimal(unsettled))


def order(
    kind: OrderType,
    security: TestSecurity,
    quantity: float,
    sent: datetime | None = None,
    *,
    limit: float = 0.0,
    stop: float = 0.0,
    trigger: float = 0.0,
    force: TimeInForce = TimeInForce.GOOD_TIL_CANCELED,
    order_id: int = 1,
) -> Order:
    properties = OrderProperties()
    properties.time_in_force = force
    return Order(
        kind,
        security.symbol,
        quantity,
        at("10:00") if sent is None else sent,
        limit_price=limit,
        stop_price=stop,
        trigger_price=trigger,
        properties=properties,
        order_id=order_id,
    )


def combo(
    kind: OrderType,
    quantity: float,
    legs: Iterable[tuple[TestSecurity, float]],
    sent: datetime | None = None,
    *,
    limit: float = 0.0,
    leg_limits: Sequence[float] = (),
    first_id: int = 1,
) -> list[Order]:
    """Return the orders of a combo, ids counting up from first_id."""
    legs = list(legs)
    group = GroupOrderManager(1, len(legs), quantity, limit)
    orders = [
        Order(
            kind,
            security.symbol,
            ratio * quantity,
            at("10:00") if sent is None else sent,
            limit_price=leg_limits[index] if leg_limits else limit,
            group_order_manager=group,
            order_id=first_id + index,
        )
        for index, (security, ratio) in enumerate(legs)
    ]
    group.order_ids.extend(leg.id for leg in orders)
    return orders
