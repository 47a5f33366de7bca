"""What a paper broker remembers when our process dies: cash, positions, working orders, and its numbering.

The file is replaced whole, by rename, after every event is booked and before the algorithm hears of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.clock import MINUTES_PER_DAY
from engine.enums import DataNormalizationMode, OrderStatus, OrderType, Resolution, SecurityType
from engine.errors import EngineError
from engine.models.views import plain
from engine.orders import GroupOrderManager, Order, OrderProperties, TimeInForce, TimeInForceKind
from engine.state import SEEDED_DAYS
from engine.symbols import Symbol

if TYPE_CHECKING:
    from engine.securities import Security
    from engine.state import EngineState

_VERSION: Final = 1


class PaperAccountError(EngineError):
    """The broker file is not readable; no run starts, since positions would be guessed."""


class PaperAccount:
    """The broker's memory in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        return self.path.is_file()

    def save(self, engine: EngineState) -> None:
        held = engine.portfolio.held.values()
        content = {
            "version": _VERSION,
            "utc": engine.clock.utc.isoformat(),
            "cash": plain(engine.portfolio.settled),
            "unsettled": plain(engine.portfolio.unsettled),
            "order_id": engine.transactions.last_order_id,
            "group_id": engine.transactions.group_id,
            "holdings": [
                {
                    "symbol": str(security.symbol.id),
                    "quantity": security.holdings.quantity,
                    "average_price": security.holdings.average_price,
                }
                for security in held
            ],
            "orders": [_order_to_json(order) for order in _at_the_broker(engine.transactions.working_orders())],
        }
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("w", encoding="ascii") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def load(self, engine: EngineState) -> None:
        """Give the account back to a new process: cash, positions and working orders, with their numbers and tags."""
        try:
            content = json.loads(self.path.read_text(encoding="ascii"))
            if content["version"] != _VERSION:
                raise ValueError(f"version {content['version']}")
            engine.portfolio.set_cash_amount(Decimal(content["cash"]), settled=True)
            engine.portfolio.set_cash_amount(Decimal(content["unsettled"]), settled=False)
            engine.transactions.resume_numbering(int(content["order_id"]), int(content["group_id"]))
            for holding in content["holdings"]:
                security = _security(engine, Symbol.parse(holding["symbol"]))
                security.holdings.set_holdings(float(holding["average_price"]), float(holding["quantity"]))
            groups: dict[int, GroupOrderManager] = {}
            for text in content["orders"]:
                order = _order_from_json(text, groups)
                _security(engine, order.symbol)
                engine.transactions.add_open_order(order)
                engine.simulated_broker.resume(order)
        except (KeyError, TypeError, ValueError) as error:
            raise PaperAccountError(
                f"broker file {self.path.name}: unreadable ({error}), expected a paper run's file. Restore it."
            ) from None
        engine.cash_is_given = True


def _at_the_broker(orders: Sequence[Order]) -> list[Order]:
    """Leave out what the broker has not taken.  A combo is one order there: it is taken, or cancelled, with all legs,
    whichever of them has been reported by now.
    """
    legs: dict[int, list[Order]] = {}
    for order in orders:
        if order.group_order_manager is not None:
            legs.setdefault(order.group_order_manager.id, []).append(order)

    def is_taken(order: Order) -> bool:
        group = order.group_order_manager
        if group is None:
            return bool(order.broker_id)
        return len(legs[group.id]) == group.count and any(leg.broker_id for leg in legs[group.id])

    return [order for order in orders if is_taken(order)]


def _security(engine: EngineState, symbol: Symbol) -> Security:
    """Return the security of a position, subscribed if the algorithm has not done it."""
    found = engine.securities.find(symbol)
    if found is not None:
        return found
    if symbol.underlying is not None:
        _security(engine, symbol.underlying)
    mode = DataNormalizationMode.RAW
    subscription = engine.make_subscription(symbol, Resolution.MINUTE, False, False, mode)
    if symbol.security_type.is_option:
        subscription.since -= SEEDED_DAYS * MINUTES_PER_DAY  # a holding is priced, whenever it was last quoted
    security = engine.create_security(symbol, subscription)
    security.is_tradable = symbol.security_type is not SecurityType.INDEX
    engine.subscribe(security)
    return security


def _order_to_json(order: Order) -> dict[str, Any]:
    group = order.group_order_manager
    force = order.time_in_force
    return {
        "id": order.id,
        "type": order.type.name,
        "symbol": str(order.symbol.id),
        "quantity": order.quantity,
        "time": order.utc.isoformat(),
        "tag": order.tag,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "status": order.status.name,
        "force": force.kind.name,
        "expiry": None if force.expiry is None else force.expiry.isoformat(),
        "group": None
        if group is None
        else {
            "id": group.id,
            "count": group.count,
            "quantity": group.quantity,
            "limit_price": group.limit_price,
            "order_ids": group.order_ids,
        },
    }


def _order_from_json(text: dict[str, Any], groups: dict[int, GroupOrderManager]) -> Order:
    group = None
    shape = text["group"]
    if shape is not None:
        group = groups.get(shape["id"])
        if group is None:
            group = GroupOrderManager(shape["id"], shape["count"], shape["quantity"], shape["limit_price"])
            group.order_ids = list(shape["order_ids"])
            groups[shape["id"]] = group
    properties = OrderProperties()
    expiry = None if text["expiry"] is None else datetime.fromisoformat(text["expiry"])
    properties.time_in_force = TimeInForce(TimeInForceKind[text["force"]], expiry)
    limit = text["limit_price"] if group is None or text["type"] != "COMBO_LIMIT" else group.limit_price
    order = Order(
        OrderType[text["type"]],
        Symbol.parse(text["symbol"]),
        float(text["quantity"]),
        datetime.fromisoformat(text["time"]),
        tag=text["tag"],
        limit_price=float(limit),
        stop_price=float(text["stop_price"]),
        group_order_manager=group,
        properties=properties,
        order_id=int(text["id"]),
    )
    # A cancel that was under way died with our process: the broker still works the order.
    status = OrderStatus[text["status"]]
    order.status = OrderStatus.SUBMITTED if status is OrderStatus.CANCEL_PENDING else status
    order.broker_id = [str(order.id)]
    return order
