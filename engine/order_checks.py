"""What LEAN answers to an order before it gets an id (QCAlgorithm.PreOrderChecks)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.clock import EngineClock
from engine.enums import OptionStyle, OrderType, Resolution
from engine.models.fills import is_market_on_close_too_late
from engine.orders import lean_name, plain_number
from engine.tickets import OrderResponse, OrderResponseErrorCode, SubmitOrderRequest

if TYPE_CHECKING:
    from engine.securities import Security
    from engine.state import EngineState


def check_order(engine: EngineState, request: SubmitOrderRequest, warn: Callable[[str], None]) -> OrderResponse:
    """Return what LEAN answers before an order gets an id."""
    if engine.is_warming_up or not engine.is_locked:
        return OrderResponse.warming_up(request)
    security = engine.securities.find(request.symbol)
    if security is None:
        return OrderResponse.missing_security(request)
    if request.quantity == 0:
        return OrderResponse.zero_quantity(request)
    if abs(request.quantity) < security.lot_size:
        text = (
            f"Unable to submit order with id {request.order_id} which quantity "
            f"({plain_number(abs(request.quantity))}) is less than lot size ({plain_number(security.lot_size)})."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.ORDER_QUANTITY_LESS_THAN_LOT_SIZE, text)
    if not security.is_tradable:
        text = f"The security with symbol '{request.symbol}' is marked as non-tradable."
        return OrderResponse.error(request, OrderResponseErrorCode.NON_TRADABLE_SECURITY, text)
    is_exercise = request.order_type is OrderType.OPTION_EXERCISE
    if is_exercise and not security.exchange.exchange_open:
        text = f"{lean_name(request.order_type)} order and exchange not open."
        return OrderResponse.error(request, OrderResponseErrorCode.EXCHANGE_NOT_OPEN, text)
    if security.price == 0:
        return OrderResponse.error(request, OrderResponseErrorCode.SECURITY_PRICE_ZERO, zero_price_text(security))
    if not security.has_data:
        text = (
            "There is no data for this symbol yet, please check the security.HasData flag to ensure there is at "
            "least one data point."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.SECURITY_HAS_NO_DATA, text)
    if not engine.live_mode and engine.transactions.orders_count > engine.maximum_orders:
        engine.stop()
        text = (
            f"You have exceeded maximum number of orders ({engine.maximum_orders}), for unlimited orders upgrade "
            "your account."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.EXCEEDED_MAXIMUM_ORDERS, text)
    if is_exercise:
        refusal = _exercise_refusal(request, security, engine.clock)
        if refusal is not None:
            return refusal
    return _check_timing(engine, request, security, warn)


def _check_timing(
    engine: EngineState, request: SubmitOrderRequest, security: Security, warn: Callable[[str], None]
) -> OrderResponse:
    if request.order_type is OrderType.MARKET_ON_OPEN:
        is_daily = security.subscription.resolution is Resolution.DAILY
        if security.exchange.exchange_open and not is_daily:
            text = "Cannot submit a MarketOnOpen order while the market is open."
            code = OrderResponseErrorCode.MARKET_ON_OPEN_NOT_ALLOWED_DURING_REGULAR_HOURS
            return OrderResponse.error(request, code, text)
    elif request.order_type is OrderType.MARKET_ON_CLOSE and is_market_on_close_too_late(security, engine.clock.utc):
        text = (
            "MarketOnClose orders must be placed within 00:15:30 before market close. Override this TimeSpan "
            "buffer by setting Orders.MarketOnCloseOrder.SubmissionTimeBuffer in QCAlgorithm.Initialize()."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.MARKET_ON_CLOSE_ORDER_TOO_LATE, text)
    current = engine.current_slice
    underlying = request.symbol.underlying
    if underlying is not None and current is not None and underlying in current.splits:
        text = "Options orders are not allowed when a split occurred for its underlying stock"
        warn(f"Warning: {text}")
        return OrderResponse.error(request, OrderResponseErrorCode.OPTION_ORDER_ON_STOCK_SPLIT, text)
    return OrderResponse.success(request)


def zero_price_text(security: Security) -> str:
    return (
        f"{security.symbol}: The security does not have an accurate price as it has not yet received a bar of data. "
        "Before placing a trade (or using set_holdings) warm up your algorithm with set_warmup, or use "
        "slice.contains(symbol) to confirm the Slice object has price before using the data. Data does not necessarily "
        "all arrive at the same time so your algorithm should confirm the data is ready before using it. In live "
        "trading this can mean you do not "
        "have an active subscription to the asset class you're trying to trade. If using custom data make sure you've "
        "set the 'Value' property."
    )


def _exercise_refusal(request: SubmitOrderRequest, security: Security, clock: EngineClock) -> OrderResponse | None:
    if not security.type.is_option:
        text = f"The security with symbol '{request.symbol}' is not exercisable."
        return OrderResponse.error(request, OrderResponseErrorCode.NON_EXERCISABLE_SECURITY, text)
    expiry = security.clock.utc(request.symbol.id.date).date()
    if request.symbol.id.option_style is OptionStyle.EUROPEAN and clock.utc.date() < expiry:
        text = f"Cannot exercise European style option with symbol '{request.symbol}' before its expiration date."
        code = OrderResponseErrorCode.EUROPEAN_OPTION_NOT_EXPIRED_ON_EXERCISE
        return OrderResponse.error(request, code, text)
    held = security.holdings.quantity
    if held < 0:
        text = (
            f"The security with symbol '{request.symbol}' has a short option position. Only long option positions are "
            "exercisable."
        )
        return OrderResponse.error(request, OrderResponseErrorCode.UNSUPPORTED_REQUEST_TYPE, text)
    if abs(request.quantity) > held:
        text = f"Cannot exercise more contracts of '{request.symbol}' than is currently available in the portfolio. "
        return OrderResponse.error(request, OrderResponseErrorCode.UNSUPPORTED_REQUEST_TYPE, text)
    return None
