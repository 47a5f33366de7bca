"""Orders nobody would think of: drawn from a seed, over all days of the stretch, in shares, options and combos.

The account is so large that no order is refused for its margin, which LEAN does not repeat for many structures; no more
than nine orders are open at a time, because the order in which LEAN lists more depends on the machine.
"""

from __future__ import annotations

from AlgorithmImports import *

from datetime import timedelta
from random import Random

from probe import Probe

SHARES = ("SPY", "QQQ", "TQQQ", "SQQQ")
STRIKES = tuple(range(5960, 6041, 20))
MOST_OPEN = 7
MOST_HELD = 4


class Wander(Probe):
    def prepare(self) -> None:
        self.add_shares(*SHARES)
        self.add_indices("SPX")
        self.add_chain(0, 40)
        self._random = Random(int(self.get_parameter("seed", "1")))
        self._open: list[OrderTicket] = []
        self._ticks = 0
        self.schedule.on(self.date_rules.every_day(self._watched["SPY"]), self.time_rules.every(timedelta(minutes=1)),
                         self._on_minute)  # fmt: skip

    def _on_minute(self) -> None:
        """Act from a schedule now and then, at night too."""
        self._ticks += 1
        if self._random.random() < 0.01:
            self.act()

    def seen(self, data: Slice) -> None:
        if self._random.random() < 0.08:
            self.act()
        if self.time.minute == 0:
            self.account()

    def act(self) -> None:
        self._open = [ticket for ticket in self._open if not _is_over(ticket)]
        draw = self._random.random()
        if self._open and (draw < 0.25 or len(self._open) >= MOST_OPEN):
            self.change(self._random.choice(self._open))
        elif draw < 0.5:
            self.share()
        elif draw < 0.7:
            self.single()
        else:
            self.combo()

    def change(self, ticket: OrderTicket) -> None:
        draw = self._random.random()
        if draw < 0.5 or len(self._open) >= MOST_OPEN:
            response = ticket.cancel()
            what = "cancel"
        elif draw < 0.9 and int(ticket.order_type) in (int(OrderType.LIMIT), int(OrderType.COMBO_LIMIT)):
            response = ticket.update_limit_price(self.price(0.05, 12.0))
            what = "update"
        else:
            response = ticket.update_quantity(float(ticket.quantity) * 2)
            what = "scale"
        self.note(what, int(ticket.order_id), bool(response.is_success), int(response.error_code), int(ticket.status))

    def too_many(self) -> bool:
        """Leave one of the contracts that are held, when there are many: LEAN's search for structures explodes."""
        held = [holding.symbol for holding in self.portfolio.values()
                if holding.invested and holding.symbol.security_type == SecurityType.INDEX_OPTION]  # fmt: skip
        if len(held) < MOST_HELD:
            return False
        symbol = min(held, key=lambda symbol: str(symbol.value))
        self.sent("leave", [self.market_order(symbol, -float(self.portfolio[symbol].quantity))])
        return True

    def share(self) -> None:
        ticker = self._random.choice(SHARES)
        symbol = self._watched[ticker]
        quantity = self._random.choice((-30, -7, -1, 1, 5, 20))
        price = round(float(self.securities[symbol].price) * self._random.uniform(0.995, 1.005), 2)
        draw = self._random.random()
        if draw < 0.35 or price <= 0:
            ticket = self.market_order(symbol, quantity)
        elif draw < 0.7:
            ticket = self.limit_order(symbol, quantity, price, order_properties=self.properties())
        elif draw < 0.8:
            ticket = self.stop_market_order(symbol, quantity, price)
        elif draw < 0.9:
            ticket = self.market_on_close_order(symbol, quantity)
        else:
            for one in self.liquidate(symbol):
                self.order_note("liquidate", one)
            return
        self.sent(ticker, [ticket])

    def single(self) -> None:
        symbol = self.some_contract()
        if symbol is None or self.too_many():
            return
        quantity = self._random.choice((-2, -1, 1, 3))
        if self._random.random() < 0.5:
            ticket = self.market_order(symbol, quantity)
        else:
            ticket = self.limit_order(symbol, quantity, self.price(0.05, 40.0), order_properties=self.properties())
        self.sent("single", [ticket])

    def combo(self) -> None:
        contracts = {one for one in (self.some_contract() for _ in range(self._random.choice((2, 2, 3, 4)))) if one}
        ordered = sorted(contracts, key=lambda symbol: str(symbol.value))
        if len(ordered) < 2 or self.too_many():
            return
        legs = [Leg.create(symbol, self._random.choice((-1, 1))) for symbol in ordered]
        quantity = self._random.choice((-3, -1, 1, 2))
        if self._random.random() < 0.4:
            tickets = self.combo_market_order(legs, quantity)
        else:
            limit = self.price(0.05, 30.0) * self._random.choice((-1, 1))
            tickets = self.combo_limit_order(legs, quantity, limit, order_properties=self.properties())
        self.sent("combo", list(tickets))

    def sent(self, what: str, tickets: list[OrderTicket]) -> None:
        self.order_note(what, tickets)
        # One ticket speaks for its group.
        self._open.append(tickets[0])

    def some_contract(self) -> Symbol | None:
        today = self.time.date()
        listed = sorted((key for key in self._contracts if key[0] >= today and key[2] in STRIKES), key=str)
        if not listed:
            return None
        symbol = self._contracts[self._random.choice(listed)]
        self._watched[self.short(symbol)] = symbol
        return symbol

    def price(self, low: float, high: float) -> float:
        return round(round(self._random.uniform(low, high) / 0.05) * 0.05, 2)

    def properties(self) -> OrderProperties:
        properties = OrderProperties()
        properties.time_in_force = self._random.choice((TimeInForce.DAY, TimeInForce.GOOD_TIL_CANCELED))
        return properties


def _is_over(ticket: OrderTicket) -> bool:
    return ticket.status in (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.INVALID)
