"""Recovery on start, paper and live: the ledger is replayed, the newest valid snapshot completes it, the broker is
asked about what was under way.

What cannot be explained is frozen, never guessed and never traded away; no order is ever repeated.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import gcd

from core.books import Books
from core.order_gateway import OrderGateway
from core.ports import MarketFeed, OrderRequest, OrderType, TimeInForce
from core.session import SessionClock
from core.settlement import Settlement
from core.trades import Trade
from core.vocabulary import Intent, IntentKind, Ladder, Leg, OrderLeg, OrderOutcome, Purpose, Structure, StructureName
from core.working_orders import Child, Parent


def take_over_orders(books: Books, gateway: OrderGateway, now: datetime) -> tuple[str, ...]:
    """Hand every order of the earlier process to the gateway: ids are never used again, unfinished ones are resumed
    and asked about.

    Returns the ids of the unfinished orders. One that the broker does not know is UNRESOLVED, and LOST after its time
    unless holdings show it.
    """
    gateway.relearn(now)
    gateway.remember(
        ((order, trade, purpose, attempt) for order, (trade, purpose, attempt) in books.order_records.orders.items()),
        books.order_records.intents.values(),
    )
    unfinished = []
    for order, (trade_id, purpose, _attempt) in books.order_records.orders.items():
        if books.order_records.outcomes.get(
            order, OrderOutcome.UNRESOLVED
        ) is not OrderOutcome.UNRESOLVED or not books.has_trade(trade_id):
            continue
        unfinished.append(order)
        gateway.adopt(*_resumed(books.trade(trade_id), order, purpose, books, now), now)
    for order in unfinished:
        gateway.query(order, now)
    gateway.doubt_unknown(now)
    return tuple(unfinished)


def learn_settlement_values(
    feed: MarketFeed, books: Books, clock: SessionClock, settlement: Settlement, saved: datetime | None, now: datetime
) -> None:
    """Read the last regular value of each underlying whose contracts have reached their date, from history.

    saved: when the snapshot was taken.  What it says of a day that was not over then is no settlement value.
    """
    for symbol in books.positions():
        instrument = books.instrument(symbol)
        session = None if instrument.expiry is None else clock.session(instrument.expiry)
        if session is None or session.open >= now:
            continue
        bars = [bar for bar in feed.minute_history(instrument.underlying, session.open) if bar.end <= session.close]
        if bars:
            settlement.remember(instrument.underlying, session.day, bars[-1].close)
        elif saved is None or saved < session.close:
            settlement.forget(instrument.underlying, session.day)


def _resumed(trade: Trade, order: str, purpose: Purpose, books: Books, now: datetime) -> tuple[Parent, Child]:
    """Return the parent and child of an order whose ladder has ended with its process: it is cancelled at the next
    step unless it filled.
    """
    quantities = books.order_records.legs[order]
    legs = tuple(OrderLeg(books.instrument(symbol), qty) for symbol, qty in quantities.items())
    filled = dict(books.order_records.filled.get(order, {}))
    units = gcd(*quantities.values())
    name = trade.structure.name if len(legs) == len(trade.structure.legs) else StructureName.LEGS
    structure = Structure(name, tuple(Leg(leg.instrument, leg.qty // units) for leg in legs))
    kind = OrderType.COMBO_LIMIT if len(legs) > 1 else OrderType.LIMIT
    request = OrderRequest(order, kind, TimeInForce.DAY, legs, units, None)
    in_doubt = now if books.order_records.outcomes.get(order) is OrderOutcome.UNRESOLVED else None
    deadline, fills = now + timedelta(seconds=60), books.order_records.fills_of(order)
    child = Child(request, now, deadline, filled=filled, fills=fills, unresolved_at=in_doubt)
    intent = Intent(
        IntentKind.OPEN if purpose.adds_risk else IntentKind.CLOSE,
        trade.strategy,
        structure,
        Ladder.ENTRY,
        trade.id,
        units,
    )
    parent = Parent(
        intent_id=f"{order}|resumed",
        intent=intent,
        purpose=purpose,
        structure=structure,
        units=units,
        ladder=Ladder.ENTRY if purpose.adds_risk else Ladder.TARGET,
        floor_cash=None,
        started=now,
        next_step_at=now,
        ladder_end=now,
        children=1,
    )
    return parent, child
