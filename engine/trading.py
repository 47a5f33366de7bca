"""The order methods of QCAlgorithm (Algorithm/QCAlgorithm.Trading.cs)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from engine.enums import OrderType, Resolution, SecurityType
from engine.models.fills import is_market_on_close_too_late
from engine.models.order_sizing import quantity_for_target
from engine.models.views import exact
from engine.order_checks import check_order, zero_price_text
from engine.orders import (
    GroupOrderManager,
    Leg,
    OrderProperties,
    TimeInForceKind,
    greatest_common_divisor,
    plain_number,
)
from engine.tickets import OrderResponse, OrderTicket, SubmitOrderRequest

if TYPE_CHECKING:
    from engine.securities import Security
    from engine.state import EngineState
    from engine.symbols import Symbol

_FUTURES: Final = frozenset({SecurityType.FUTURE, SecurityType.FUTURE_OPTION})


class PortfolioTarget:
    """A share of the account for one symbol (`set_holdings` takes a list of them)."""

    __slots__ = ("quantity", "symbol", "tag")

    def __init__(self, symbol: Symbol, quantity: float, tag: str = "") -> None:
        self.symbol = symbol
        self.quantity = quantity
        self.tag = tag


class InvalidOrder(ValueError):
    """An order call that LEAN throws on (ArgumentException); nothing was sent."""


class TradingApi:
    """Order calls.  Numbers are taken as LEAN takes them from Python: strings, bools and numpy numbers count."""

    _embedded_engine: EngineState
    _embedded_warned: set[str]
    default_order_properties: OrderProperties

    def market_order(
        self,
        symbol: Symbol,
        quantity: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        """Trade now.  Becomes MarketOnOpen when the market is closed; of daily data, MarketOnClose."""
        security = self._security_for_order(symbol)
        engine = self._embedded_engine
        if security.type not in _FUTURES:
            if not security.exchange.exchange_open:
                ticket = self.market_on_open_order(symbol, quantity, asynchronous, tag, order_properties)
                if ticket.submit_request.response.is_success:
                    self._warn_once(
                        "Warning: market orders submitted while the market is closed are automatically converted into "
                        "MarketOnOpen orders to fill at the next market open."
                    )
                return ticket
            if not (engine.live_mode or engine.is_warming_up) and security.subscription.resolution is Resolution.DAILY:
                late = is_market_on_close_too_late(security, engine.clock.utc)
                convert = self.market_on_open_order if late else self.market_on_close_order
                return convert(symbol, quantity, asynchronous, tag, order_properties)
        request = self._request(OrderType.MARKET, security, quantity, tag, order_properties, asynchronous)
        return self.submit_order_request(request)

    def buy(self, symbol: Symbol, quantity: float) -> OrderTicket:
        return self.market_order(symbol, abs(_number(quantity)))

    def sell(self, symbol: Symbol, quantity: float) -> OrderTicket:
        return self.market_order(symbol, -abs(_number(quantity)))

    def order(
        self,
        symbol: Symbol,
        quantity: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        return self.market_order(symbol, quantity, asynchronous, tag, order_properties)

    def limit_order(
        self,
        symbol: Symbol,
        quantity: float,
        limit_price: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        security = self._security_for_order(symbol)
        request = self._request(
            OrderType.LIMIT, security, quantity, tag, order_properties, asynchronous, limit_price=_number(limit_price)
        )
        return self.submit_order_request(request)

    def stop_market_order(
        self,
        symbol: Symbol,
        quantity: float,
        stop_price: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        security = self._security_for_order(symbol)
        request = self._request(
            OrderType.STOP_MARKET,
            security,
            quantity,
            tag,
            order_properties,
            asynchronous,
            stop_price=_number(stop_price),
        )
        return self.submit_order_request(request)

    def stop_limit_order(
        self,
        symbol: Symbol,
        quantity: float,
        stop_price: float,
        limit_price: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        security = self._security_for_order(symbol)
        request = self._request(
            OrderType.STOP_LIMIT,
            security,
            quantity,
            tag,
            order_properties,
            asynchronous,
            stop_price=_number(stop_price),
            limit_price=_number(limit_price),
        )
        return self.submit_order_request(request)

    def market_on_open_order(
        self,
        symbol: Symbol,
        quantity: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        security = self._security_for_order(symbol)
        properties = self._without_date(order_properties)
        request = self._request(OrderType.MARKET_ON_OPEN, security, quantity, tag, properties, asynchronous)
        return self.submit_order_request(request)

    def market_on_close_order(
        self,
        symbol: Symbol,
        quantity: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        security = self._security_for_order(symbol)
        properties = self._without_date(order_properties)
        request = self._request(OrderType.MARKET_ON_CLOSE, security, quantity, tag, properties, asynchronous)
        return self.submit_order_request(request)

    def exercise_option(
        self,
        option_symbol: Symbol,
        quantity: int,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> OrderTicket:
        security = self._security_for_order(option_symbol)
        request = self._request(
            OrderType.OPTION_EXERCISE, security, -abs(_number(quantity)), tag, order_properties, asynchronous
        )
        return self.submit_order_request(request)

    # Combos.

    def combo_market_order(
        self,
        legs: Iterable[Leg],
        quantity: int,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> list[OrderTicket]:
        return self._submit_combo(list(legs), quantity, 0.0, asynchronous, tag, order_properties)

    def combo_limit_order(
        self,
        legs: Iterable[Leg],
        quantity: int,
        limit_price: float,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> list[OrderTicket]:
        """Trade all legs at once for a net price per unit; negative is a credit when the quantity is positive."""
        legs, limit = list(legs), _number(limit_price)
        if limit == 0:
            raise InvalidOrder("ComboLimitOrder requires a limit price")
        if any(leg.order_price is not None and leg.order_price != 0 for leg in legs):
            raise InvalidOrder("ComboLimitOrder does not support limit prices for individual legs")
        return self._submit_combo(legs, quantity, limit, asynchronous, tag, order_properties)

    def combo_leg_limit_order(
        self,
        legs: Iterable[Leg],
        quantity: int,
        asynchronous: bool = False,
        tag: str = "",
        order_properties: OrderProperties | None = None,
    ) -> list[OrderTicket]:
        legs = list(legs)
        if any(leg.order_price is None or leg.order_price == 0 for leg in legs):
            raise InvalidOrder("ComboLegLimitOrder requires a limit price for each leg")
        return self._submit_combo(legs, quantity, 0.0, asynchronous, tag, order_properties)

    def _submit_combo(
        self,
        legs: Sequence[Leg],
        quantity: int,
        limit_price: float,
        asynchronous: bool,
        tag: str,
        order_properties: OrderProperties | None,
    ) -> list[OrderTicket]:
        units = float(int(_number(quantity)))
        _check_ratios(legs, units)
        engine = self._embedded_engine
        group = GroupOrderManager(engine.transactions.next_group_id(), len(legs), units, limit_price)
        order_type = OrderType.COMBO_LIMIT if limit_price != 0 else OrderType.COMBO_MARKET
        tickets: list[OrderTicket] = []
        requests: list[SubmitOrderRequest] = []
        for leg in legs:
            security = self._security_for_order(leg.symbol)
            if leg.order_price is not None:
                limit_price, order_type = leg.order_price, OrderType.COMBO_LEG_LIMIT
            request = self._request(
                order_type,
                security,
                leg.quantity * units,
                tag,
                order_properties,
                asynchronous,
                limit_price=limit_price,
                group=group,
            )
            # Every leg is checked before any is sent.
            response = self._pre_order_checks(request)
            if response.is_error:
                tickets.append(OrderTicket.invalid_submit_request(engine.transactions, request, response))
                return tickets
            requests.append(request)
        return [engine.transactions.add_order(request) for request in requests]

    # Positions.

    def liquidate(
        self,
        symbol: Symbol | Iterable[Symbol] | None = None,
        asynchronous: bool = False,
        tag: str | None = None,
        order_properties: OrderProperties | None = None,
    ) -> list[OrderTicket]:
        """Cancel what works and close positions with market orders, symbol by symbol."""
        engine = self._embedded_engine
        if not engine.settings.liquidate_enabled:
            engine.debug(
                "Liquidate() is currently disabled by settings. To re-enable please set 'Settings.LiquidateEnabled' to "
                "true"
            )
            return []
        tickets: list[OrderTicket] = []
        for each in self._symbols_to_liquidate(symbol):
            ticket = self._liquidate_one(each, asynchronous, tag or "Liquidated", order_properties)
            if ticket is not None:
                tickets.append(ticket)
        return tickets

    def _symbols_to_liquidate(self, symbol: Symbol | Iterable[Symbol] | None) -> list[Symbol]:
        if symbol is None:
            return sorted(self._embedded_engine.securities.keys(), key=lambda each: each.value)
        return list(symbol) if isinstance(symbol, list | tuple | set | frozenset) else [symbol]  # type: ignore[list-item]

    def _liquidate_one(
        self, symbol: Symbol, asynchronous: bool, tag: str, order_properties: OrderProperties | None
    ) -> OrderTicket | None:
        engine = self._embedded_engine
        security = engine.securities.find(symbol)
        if security is None:
            self._warn_once(
                f"Warning: liquidate ignored symbol '{symbol}' because it has not been added to the algorithm. Add the "
                "security before liquidating it."
            )
            return None
        orders = engine.transactions.get_open_orders(security.symbol)
        holding = security.holdings
        quantity = holding.quantity if holding.invested else 0.0
        if (
            len(orders) == 1
            and quantity != 0
            and orders[0].type is OrderType.MARKET
            and orders[0].quantity == -quantity
        ):
            return None
        under_way = 0.0
        for order in orders:
            if order.type is OrderType.MARKET:
                ticket = engine.transactions.get_order_ticket(order.id)
                under_way += 0.0 if ticket is None else ticket.quantity_remaining
            else:
                engine.transactions.cancel_order(order.id, tag)
        if quantity == 0:
            return None
        return self.market_order(security.symbol, -quantity - under_way, asynchronous, tag, order_properties)

    def set_holdings(
        self,
        symbol: Symbol | Sequence[PortfolioTarget],
        percentage: float | bool = 0.0,
        liquidate_existing_holdings: bool = False,
        asynchronous: bool = False,
        tag: str | None = None,
        order_properties: OrderProperties | None = None,
    ) -> list[OrderTicket]:
        """Order what brings a symbol to a share of the account; a list of targets sells before it buys."""
        if isinstance(symbol, Sequence):
            return self._set_targets(
                symbol, bool(percentage) or liquidate_existing_holdings, asynchronous, tag, order_properties
            )
        tickets: list[OrderTicket] = []
        quantity = self.calculate_order_quantity(symbol, percentage)
        if liquidate_existing_holdings:
            others = [each for each in self._embedded_engine.securities.active if each is not symbol]
            tickets += self.liquidate(sorted(others, key=lambda each: each.value), False, tag, order_properties)
        return tickets + self._set_one(symbol, quantity, asynchronous, tag, order_properties)

    def _set_targets(
        self,
        targets: Sequence[PortfolioTarget],
        liquidate: bool,
        asynchronous: bool,
        tag: str | None,
        order_properties: OrderProperties | None,
    ) -> list[OrderTicket]:
        tickets: list[OrderTicket] = []
        if liquidate:
            wanted = {target.symbol for target in targets}
            others = [each for each in self._embedded_engine.securities.active if each not in wanted]
            tickets += self.liquidate(sorted(others, key=lambda each: each.value), False, tag, order_properties)
        sized = [(target.symbol, self.calculate_order_quantity(target.symbol, target.quantity)) for target in targets]
        # LEAN's order by margin impact: what reduces a position first, then the largest values.
        sized.sort(key=lambda pair: self._margin_rank(*pair))
        for symbol, quantity in sized:
            tickets += self._set_one(symbol, quantity, asynchronous, tag, order_properties)
        return tickets

    def _margin_rank(self, symbol: Symbol, quantity: float) -> tuple[int, float]:
        security = self._embedded_engine.securities[symbol]
        held = security.holdings.quantity
        reduces = held != 0 and quantity != 0 and (held > 0) != (quantity > 0)
        return (0 if reduces else 1, -abs(quantity * security.price * security.contract_multiplier))

    def _set_one(
        self,
        symbol: Symbol,
        quantity: float,
        asynchronous: bool,
        tag: str | None,
        order_properties: OrderProperties | None,
    ) -> list[OrderTicket]:
        engine = self._embedded_engine
        waiting = engine.transactions.get_open_order_tickets(
            lambda ticket: ticket.symbol is symbol and ticket.order_type in (OrderType.MARKET, OrderType.MARKET_ON_OPEN)
        )
        quantity -= sum(ticket.quantity_remaining for ticket in waiting)
        if quantity == 0:
            return []
        is_open = engine.securities[symbol].exchange.exchange_open
        send = self.market_order if is_open else self.market_on_open_order
        return [send(symbol, quantity, asynchronous, tag or "", order_properties)]

    def calculate_order_quantity(self, symbol: Symbol, target: float) -> float:
        """Return what to order so that the symbol is `target` of the account's value."""
        engine = self._embedded_engine
        security = engine.securities[symbol]
        if security.price == 0:
            engine.error(zero_price_text(security))
            return 0.0
        settings = engine.settings
        size = quantity_for_target(
            engine.portfolio.view,
            security,
            _number(target),
            free_share=exact(settings.free_portfolio_value_percentage),
            minimum_share=exact(settings.minimum_order_margin_portfolio_percentage),
        )
        if size.is_error:
            engine.error(f"Unable to compute order quantity of {symbol}. Reason: {size.reason} Returning null.")
        return float(size.quantity)

    # Submission.

    def submit_order_request(self, request: SubmitOrderRequest) -> OrderTicket:
        response = self._pre_order_checks(request)
        if response.is_error:
            return OrderTicket.invalid_submit_request(self._embedded_engine.transactions, request, response)
        return self._embedded_engine.transactions.add_order(request)

    def set_maximum_orders(self, maximum: int) -> None:
        if not self._embedded_engine.is_locked:
            self._embedded_engine.maximum_orders = maximum

    def _request(
        self,
        order_type: OrderType,
        security: Security,
        quantity: float,
        tag: str,
        order_properties: OrderProperties | None,
        asynchronous: bool,
        *,
        stop_price: float = 0.0,
        limit_price: float = 0.0,
        group: GroupOrderManager | None = None,
    ) -> SubmitOrderRequest:
        properties = order_properties if order_properties is not None else self.default_order_properties.clone()
        return SubmitOrderRequest(
            order_type,
            security.symbol,
            _number(quantity),
            self._embedded_engine.clock.utc,
            tag=tag,
            stop_price=stop_price,
            limit_price=limit_price,
            order_properties=properties,
            group_order_manager=group,
            asynchronous=asynchronous,
        )

    def _pre_order_checks(self, request: SubmitOrderRequest) -> OrderResponse:
        response = check_order(self._embedded_engine, request, self._warn_once)
        if response.is_error:
            self._embedded_engine.error(response.error_message or "")
        return response

    def _security_for_order(self, symbol: Symbol) -> Security:
        """Return the security; LEAN adds one that is not there, this engine does not guess what data it should get."""
        security = self._embedded_engine.securities.find(symbol)
        if security is None:
            raise KeyError(
                f"The symbol {symbol} is not found in the algorithm's securities collection and cannot be re-added due "
                "to it being delisted or no longer tradable."
            )
        return security

    def _without_date(self, order_properties: OrderProperties | None) -> OrderProperties:
        """Return the properties of an order that knows no good-til-date."""
        from engine.orders import TimeInForce

        properties = order_properties if order_properties is not None else self.default_order_properties.clone()
        if properties.time_in_force.kind is TimeInForceKind.GOOD_TIL_DATE:
            properties.time_in_force = TimeInForce.GOOD_TIL_CANCELED
            self._warn_once(
                "Warning: Good-Til-Date Time-In-Force is not supported for MOO and MOC orders. The time-in-force will "
                "be reset to Good-Til-Canceled (GTC)."
            )
        return properties

    def _warn_once(self, text: str) -> None:
        if text not in self._embedded_warned:
            self._embedded_warned.add(text)
            self._embedded_engine.debug(text)


def _number(value: object) -> float:
    """Return what LEAN's conversion makes of a Python value: "4" is 4, True is 1."""
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"{value!r}: expected a number. LEAN finds no overload for {type(value).__name__}.") from None


def _check_ratios(legs: Sequence[Leg], units: float) -> None:
    divisor = greatest_common_divisor([leg.quantity for leg in legs])
    if divisor == 1 or (legs and divisor == 0):
        return
    if not legs:
        raise InvalidOrder("A combo needs at least one leg.")
    shown = ", ".join(f"{leg.quantity} {leg.symbol}" for leg in legs)
    better = ", ".join(f"{leg.quantity // divisor} {leg.symbol}" for leg in legs)
    raise InvalidOrder(
        "The global combo quantity should be used to increase or reduce the size of the order, while the leg "
        "quantities should be used to specify the ratio of the order. The combo order quantities should be reduced "
        "from "
        f"{plain_number(units)}x({shown}) to {plain_number(units * divisor)}x({better})."
    )
