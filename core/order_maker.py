"""From a parent at a step of its ladder to the order that says so: legs, quantity, price, id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import gcd

from core.books import Books
from core.closing import defined_width
from core.market import MarketSnapshot, Quote
from core.net_quote import NetQuote, PriceLadder, all_good, net_quote, usable
from core.order_checks import collar_room
from core.ports import OrderRequest, OrderType, TimeInForce
from core.settings import OrderSettings
from core.values import value
from core.vocabulary import Leg, OrderLeg, Purpose, Structure, StructureName
from core.working_orders import Parent, Style
from helpers.tick_grid import in_our_favour


@value
class Draft:
    """An order that is not sent yet, the legs of one unit of it, and the net quote that it was priced by; None for one
    without a price.
    """

    request: OrderRequest
    structure: Structure
    net: NetQuote | None


class OrderMaker:
    """Makes orders and gives out ids, none twice, also not in a later process."""

    def __init__(self, run: str, settings: OrderSettings, books: Books) -> None:
        self._run = run
        self._settings = settings
        self._books = books
        self._attempts: Counter[tuple[str, Purpose]] = Counter()
        self._intents: Counter[tuple[str, Purpose]] = Counter()
        self.used_ids: set[str] = set()

    def remember(self, orders: Iterable[tuple[str, str, Purpose, int]], intents: Iterable[tuple[str, Purpose]]) -> None:
        """Take over (order id, trade, purpose, attempt) and (trade, purpose) of the intents of an earlier process."""
        for order, trade, purpose, attempt in orders:
            self.used_ids.add(order)
            self._attempts[(trade, purpose)] = max(self._attempts[(trade, purpose)], attempt)
        self._intents.update(intents)

    def next_intent_id(self, trade: str, purpose: Purpose) -> str:
        self._intents[(trade, purpose)] += 1
        return f"{trade}|{purpose.value}|{self._intents[(trade, purpose)]}"

    def use(self, parent: Parent, request: OrderRequest) -> int:
        """Use an id up; returns the attempt it stands for."""
        self.used_ids.add(request.order)
        self._attempts[(parent.trade, parent.purpose)] += 1
        return self._attempts[(parent.trade, parent.purpose)]

    def make(self, parent: Parent, snapshot: MarketSnapshot) -> Draft | None:
        """Return the order of the present ladder step, None where no price can be made now."""
        if parent.style in (Style.MARKET, Style.ON_CLOSE):
            return Draft(self._unpriced(parent), parent.structure, None)
        for structure, units in self._candidates(parent):
            net = self._net(parent, structure, snapshot)
            cash = None if net is None else self._cash(parent, structure, net)
            if net is not None and cash is not None:
                return Draft(self._request(parent, structure, units, cash), structure, net)
        return None

    def _order(self, parent: Parent) -> str:
        attempt = self._attempts[(parent.trade, parent.purpose)] + 1
        return f"{self._run}|{parent.trade}|{parent.purpose.value}|{attempt}"

    def _unpriced(self, parent: Parent) -> OrderRequest:
        """Return a market order of shares: now, or at the close.

        The engine lets a DAY order expire at the close before it fills one for the auction, so that one is GTC.
        """
        (leg,) = parent.structure.legs
        at_close = parent.style is Style.ON_CLOSE
        return OrderRequest(
            order=self._order(parent),
            type=OrderType.MARKET_ON_CLOSE if at_close else OrderType.MARKET,
            tif=TimeInForce.GTC if at_close else TimeInForce.DAY,
            legs=(OrderLeg(leg.instrument, leg.ratio * parent.remaining),),
            units=parent.remaining,
            net_cash=None,
        )

    def _request(self, parent: Parent, structure: Structure, units: int, cash: float) -> OrderRequest:
        legs = tuple(OrderLeg(leg.instrument, leg.ratio * units) for leg in structure.legs)
        return OrderRequest(
            order=self._order(parent),
            type=OrderType.LIMIT if len(legs) == 1 else OrderType.COMBO_LIMIT,
            tif=TimeInForce.DAY,
            legs=legs,
            units=gcd(*(leg.qty for leg in legs)),
            net_cash=cash,
        )

    def _cash(self, parent: Parent, structure: Structure, net: NetQuote) -> float | None:
        if parent.style is Style.FIXED:
            return parent.floor_cash
        if parent.is_repair:
            # On a clock of minute bars the collar opens to its full width at once, or sixty seconds could not be kept.
            worst = net.natural - collar_room(net.natural, structure.tick, self._settings)
            return in_our_favour(worst, structure.tick) or None
        ladder = PriceLadder.of(parent.ladder, self._settings)
        return ladder.cash(parent.step, net, structure.tick, _floor(parent, structure))

    def _candidates(self, parent: Parent) -> list[tuple[Structure, int]]:
        """Return what the next child may trade, best first: the parent's legs together; where it goes leg by leg every
        short (which it buys) that is left, and only when none is left the longs.
        """
        if not parent.leg_wise:
            return [(parent.structure, parent.remaining)]
        held = self._books.trade(parent.trade).legs
        bought: list[tuple[Structure, int]] = []
        sold: list[tuple[Structure, int]] = []
        for leg in sorted(parent.structure.legs, key=lambda item: item.symbol):
            left = min(abs(held.get(leg.symbol, 0)), abs(leg.ratio) * parent.units)
            if left:
                buys = leg.ratio > 0
                single = Structure(StructureName.SINGLE, (Leg(leg.instrument, 1 if buys else -1),))
                (bought if buys else sold).append((single, left))
        return bought or sold

    @staticmethod
    def _net(parent: Parent, structure: Structure, snapshot: MarketSnapshot) -> NetQuote | None:
        """Return the net quote: openings need every leg GOOD now, closings leave under any verdict, at the last good
        natural price.
        """
        if parent.is_opening:
            return net_quote(structure, snapshot.quote) if all_good(structure, snapshot.quote) else None

        def quote_of(symbol: str) -> Quote:
            present = snapshot.quote(symbol)
            return present if usable(present) else snapshot.last_good.get(symbol, present)

        return net_quote(structure, quote_of)


def _floor(parent: Parent, structure: Structure) -> float | None:
    """Return the net cash that is never passed; of a closing also what a defined risk can be worth at most."""
    width = None if parent.is_opening else defined_width(structure)
    if width is None:
        return parent.floor_cash
    return -width if parent.floor_cash is None else max(parent.floor_cash, -width)
