"""The margin call check of the loop: every five minutes of algorithm time, never live."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from engine.models import margin_call
from engine.orders import GroupOrderManager, plain_number
from engine.tickets import OrderTicket, SubmitOrderRequest

if TYPE_CHECKING:
    from engine.algorithm import QCAlgorithm
    from engine.hooks import HookCaller
    from engine.state import EngineState

_SPAN: Final = timedelta(minutes=5)


class MarginCalls:
    """Warns the algorithm, or reduces its positions."""

    def __init__(self, engine: EngineState, algorithm: QCAlgorithm, call: HookCaller) -> None:
        self._engine = engine
        self._algorithm = algorithm
        self._call = call
        self.next_utc = datetime.min

    def check(self, utc: datetime) -> bool:
        """Return whether the run may go on."""
        engine = self._engine
        self.next_utc = utc + _SPAN
        if not engine.portfolio.held or engine.live_mode:
            return True
        found = margin_call.scan_margin_call(engine.portfolio.view)
        orders = margin_call.losers_first(engine.portfolio.view, found.orders)
        executed: list[OrderTicket] = []
        symbols = [symbol for order in orders for symbol, _ in order.legs]
        if orders and all(engine.securities[symbol].exchange.exchange_open for symbol in symbols):
            requests = [request for order in orders for request in self._requests(order)]
            chosen: list[SubmitOrderRequest] = []
            if not self._call("OnMarginCall", self._ask, requests, chosen):
                return False
            executed = self._execute(chosen)
        if not executed and found.is_warning:
            return self._call("OnMarginCallWarning", self._algorithm.on_margin_call_warning)
        return True

    def _ask(self, requests: list[SubmitOrderRequest], chosen: list[SubmitOrderRequest]) -> None:
        """Let the algorithm change the requests; LEAN throws when it answers with nothing."""
        answer = self._algorithm.on_margin_call(requests)
        if not isinstance(answer, list | tuple) or not answer:
            raise ValueError("on_margin_call: expected a non-empty list of the requests to execute.")
        chosen.extend(answer)

    def _requests(self, order: margin_call.MarginCallOrder) -> list[SubmitOrderRequest]:
        engine = self._engine
        group = None
        if len(order.legs) > 1:
            group = GroupOrderManager(engine.transactions.next_group_id(), len(order.legs), order.group_quantity)
        return [
            SubmitOrderRequest(
                order.type,
                symbol,
                quantity,
                engine.clock.utc,
                tag=order.tag,
                order_properties=self._algorithm.default_order_properties.clone(),
                group_order_manager=group,
            )
            for symbol, quantity in order.legs
        ]

    def _execute(self, requests: list[SubmitOrderRequest]) -> list[OrderTicket]:
        engine = self._engine
        groups: dict[int, list[SubmitOrderRequest]] = {}
        for number, request in enumerate(requests):
            group = request.group_order_manager
            groups.setdefault(-1 - number if group is None else group.id, []).append(request)
        executed: list[OrderTicket] = []
        for batch in groups.values():
            if margin_call.is_cured(engine.portfolio.view):
                break
            executed += [engine.transactions.add_order(request) for request in batch]
        for ticket in executed:
            engine.error(
                f"{engine.clock.time:%m/%d/%Y %H:%M:%S} - Executed MarginCallOrder: {ticket.symbol} - Quantity: "
                f"{plain_number(ticket.quantity)} @ {plain_number(ticket.average_fill_price)}"
            )
        return executed
