"""From a parent at a step of its ladder to the order that says so: legs, quantity, price, id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import gcd

from core.books import Books
from core.market import MarketSnapshot, Quote
from core.net_quote import NetQuote, PriceLadder, all_good, net_quote, usable
from core.order_checks import collar_room
from core.ports import OrderRequest, OrderType, TimeInForce
from core.settings import OrderSettings
from core.vocabulary import Leg, OrderLeg, Purpose, Structure, StructureName
from core.working_orders import Parent
from helpers.tick_grid import in_our_favour

FLATTEN_COMBO_FAILURES = 2
"""After so many combos without a fill the flattening goes leg by leg, shorts first."""


class OrderMaker:
    """Makes orders and counts their attempts; an id is never used twice, also not by a later process."""

    def __init__(self, run: str, settings: OrderSettings, books: Books) -> None:
        self._run = run
        self._settings = settings
        self._books = books
        self._attempts: Counter[tuple[str, Purpose]] = Counter()
        self.used_ids: set[str] = set()

    def remember(self, orders: Iterable[tuple[str, str, Purpose, int]]) -> None:
        """Take over (order id, trade, purpose, attempt) of an earlier process."""
        for order, trade, purpose, attempt in orders:
            self.used_ids.add(order)
            self._attempts[(trade, purpose)] = max(self._attempts[(trade, purpose)], attempt)

    def use(self, parent: Parent, request: OrderRequest) -> int:
        """Use an id up; returns the attempt it stands for."""
        self.used_ids.add(request.order)
        self._attempts[(parent.trade, parent.purpose)] += 1
        return self._attempts[(parent.trade, parent.purpose)]

    def make(self, parent: Parent, snapshot: MarketSnapshot) -> OrderRequest | None:
        """Return the order of the present ladder step, None where no price can be made now."""
        structure, units = self.structure_now(parent)
        net = self.net(parent, structure, snapshot)
        if net is None:
            return None
        cash = self._cash(parent, structure, net)
        if cash is None:
            return None
        legs = tuple(OrderLeg(leg.instrument, leg.ratio * units) for leg in structure.legs)
        attempt = self._attempts[(parent.trade, parent.purpose)] + 1
        return OrderRequest(
            order=f"{self._run}|{parent.trade}|{parent.purpose.value}|{attempt}",
            type=OrderType.LIMIT if len(legs) == 1 else OrderType.COMBO_LIMIT,
            tif=TimeInForce.DAY,
            legs=legs,
            units=gcd(*(leg.qty for leg in legs)),
            net_cash=cash,
        )

    def _cash(self, parent: Parent, structure: Structure, net: NetQuote) -> float | None:
        if parent.purpose is Purpose.REPAIR:
            # On a clock of minute bars the collar opens to its full width at once, or sixty seconds could not be kept.
            worst = net.natural - collar_room(net.natural, structure.tick, self._settings)
            return in_our_favour(worst, structure.tick) or None
        ladder = PriceLadder.of(parent.ladder, self._settings)
        return ladder.cash(parent.step, net, structure.tick, parent.floor_cash)

    def structure_now(self, parent: Parent) -> tuple[Structure, int]:
        """Return the legs and units of the next child: the parent's, or one leg of a flattening that goes leg by leg,
        shorts (which it buys) first.
        """
        if self.is_leg_wise(parent):
            held = self._books.trade(parent.trade).legs
            for leg in sorted(parent.structure.legs, key=lambda item: (-item.ratio, item.symbol)):
                left = abs(held.get(leg.symbol, 0))
                if left:
                    single = Leg(leg.instrument, 1 if leg.ratio > 0 else -1)
                    return Structure(StructureName.SINGLE, (single,)), left
        return parent.structure, parent.remaining

    @staticmethod
    def is_leg_wise(parent: Parent) -> bool:
        failed = parent.failures >= FLATTEN_COMBO_FAILURES
        return parent.purpose is Purpose.FLATTEN and failed and len(parent.structure.legs) > 1

    @staticmethod
    def net(parent: Parent, structure: Structure, snapshot: MarketSnapshot) -> NetQuote | None:
        """Return the net quote: openings need every leg GOOD now, closings leave under any verdict, at the last good
        natural price.
        """
        if parent.is_opening:
            return net_quote(structure, snapshot.quote) if all_good(structure, snapshot.quote) else None

        def quote_of(symbol: str) -> Quote:
            present = snapshot.quote(symbol)
            return present if usable(present) else snapshot.last_good.get(symbol, present)

        return net_quote(structure, quote_of)
