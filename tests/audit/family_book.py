"""The simulator's rotation book: one of four funds or none, close first, open later, flat by the close."""

from __future__ import annotations

from audit.times import MINUTE, SECOND, utc_text
from tests.audit.simulate import Deal, Order, Simulator
from tests.audit.tape import CENT

LONG = ("QQQ", "TQQQ")
SYMBOLS = ("QQQ", "TQQQ", "PSQ", "SQQQ")
_READINGS = {"TQQQ": 820_000, "QQQ": 640_000, "CASH": 500_000, "PSQ": 360_000, "SQQQ": 180_000}


class Rotation:
    """Follows a random target, by the rules of the book."""

    name = "etf_rotation"

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.deal: Deal | None = None
        self.order: Order | None = None
        self.number = 0
        self.opens = 0
        self.target = "CASH"
        self.closed: tuple[int, str] | None = None
        self.held_since = 0
        self.symbol = ""
        self.rejected = False
        self.will = "fill"

    @property
    def minutes(self) -> int:
        return (self.sim.session.close_us - self.sim.session.open_us) // MINUTE

    def begin(self) -> None:
        self.number = self.opens = 0
        self.target, self.closed, self.symbol = "CASH", None, ""
        self.quiet = self.sim.rng.random() < 0.1

    @property
    def qty(self) -> int:
        return 0 if self.deal is None else sum(self.deal.held.values())

    # ------------------------------------------------------------------------------------------- reports of the broker

    def fold(self) -> None:
        order = self.order
        if order is None or self.sim.now <= order.sent:
            return
        if order.purpose in ("OPEN", "ADD"):
            self._entry_report(order)
        else:
            self._exit_report(order)

    def _entry_report(self, order: Order) -> None:
        sim, deal = self.sim, self.deal
        assert deal is not None
        assert order.limit_u6 is not None
        symbol, wanted = next(iter(order.legs.items()))
        will = self.will
        qty = {"fill": wanted, "part": max(1, wanted // 2), "none": 0, "late": wanted}[will]
        price = min(sim.tape.quote(symbol, sim.minute)[1], -order.limit_u6)
        if qty:
            sim.fill(order, symbol, qty, price, late_s=30 if will == "late" else 0)
        if qty == wanted:
            sim.event(order, "FILLED")
            sim.outcome(order, "FILLED")
        else:
            sim.event(order, "CANCEL_PENDING")
            sim.event(order, "CANCELLED")
            sim.outcome(order, "CANCELLED")
        self.order = None
        if deal.state == "ENTERING":
            if qty:
                trigger = "FILLED" if qty == wanted else "CANCELLED"
                sim.move(deal, trigger, "OPEN", sim.session.close_us - 15 * MINUTE)
                self.held_since = sim.minute
            else:
                sim.move(deal, "CANCELLED", "CANCELLED")
                self.deal = None

    def _exit_report(self, order: Order) -> None:
        """A close that was rejected is sent again; one that was filled in part is worked on."""
        sim = self.sim
        symbol = next(iter(order.legs))
        left = order.legs[symbol] - order.filled.get(symbol, 0)
        sim.fill(order, symbol, left, sim.tape.quote(symbol, sim.minute)[0])
        self._closed(order)

    def _closed(self, order: Order) -> None:
        sim, deal = self.sim, self.deal
        assert deal is not None
        sim.event(order, "FILLED")
        sim.outcome(order, "FILLED")
        self.order = None
        if not deal.held:
            sim.finish(deal, "EXIT_FLATTEN" if sim.minute >= self.minutes - 15 else "EXIT_TARGET")
            self.closed = (sim.minute, "LONG" if self.symbol in LONG else "INVERSE")
            self.deal = None

    # -------------------------------------------------------------------------------------------------------- deciding

    def step(self) -> None:
        sim = self.sim
        if sim.minute < 2 or sim.minute >= self.minutes:
            return
        self._choose()
        p = max(1, _READINGS[self.target] + sim.rng.randrange(-9_000, 9_001))
        held = self.symbol if self.qty else "CASH"
        ready = sim.minute >= 31
        sim.put(
            "SIGNAL", self.name, bar_time=utc_text(sim.now), state="READY" if ready else "NOT_READY",
            target=self.target, held=held, reason="ALLOWED" if ready else "SIGNAL_WARMING_UP",
            **({"p_e6": p} if ready else {}),
        )  # fmt: skip
        if self.order is not None:
            return
        if self.qty and (self.target != self.symbol or self.rejected):
            self._exit("CLOSE", self.qty)
        elif self.qty and self.target == self.symbol:
            self._rebalance()
        elif not self.qty and self.target != "CASH":
            self._enter()

    def _choose(self) -> None:
        """Keep, leave or take a target; never what the rules would have to refuse."""
        sim = self.sim
        if self.order is not None and self.order.purpose not in ("OPEN", "ADD"):
            return
        if sim.minute >= self.minutes - 15 or (self.target != "CASH" and self.rejected):
            self.target = "CASH"
        elif self.order is not None:
            return
        elif self.qty:
            if sim.minute - self.held_since >= 10 and sim.rng.random() < 0.06:
                self.target = sim.rng.choice(["CASH", *SYMBOLS])
        elif sim.minute >= self.minutes - 30 or not sim.minute >= 31:
            self.target = "CASH"
        elif not self.quiet and sim.rng.random() < 0.2 and self.opens < 19:
            wanted = sim.rng.choice(SYMBOLS)
            self.target = wanted if self._cool(wanted) else "CASH"
        else:
            self.target = "CASH"

    def _cool(self, symbol: str) -> bool:
        if self.closed is None:
            return True
        minute, side = self.closed
        if side == ("LONG" if symbol in LONG else "INVERSE"):
            return self.sim.minute > minute
        return self.sim.minute >= minute + 5

    def _enter(self) -> None:
        sim, symbol = self.sim, self.target
        if sim.rng.random() < 0.1:
            sim.refuse(self.name, "data", "SPREAD_WIDE", symbol=symbol)
            return
        self.number += 1
        self.opens += 1
        self.symbol = symbol
        self.will = sim.rng.choice(["fill"] * 6 + (["part", "none", "late"] if sim.faults else []))
        price = -(-sim.tape.quote(symbol, sim.minute)[1] * 1_001 // 1_000 // CENT) * CENT
        qty = int(sim.equity() * 0.3 / price)
        deal = self.deal = sim.deal(self.name, self.number)
        deal.risk = qty * price
        self._open(deal, "OPEN", symbol, qty, price)
        sim.move(deal, "SENT", "ENTERING", sim.now + 120 * SECOND)

    def _open(self, deal: Deal, purpose: str, symbol: str, qty: int, price: int) -> None:
        sim = self.sim
        bounds = {"TARGET": qty, "CASH": qty + 40, "MARGIN": qty + 90, "EXPOSURE": qty + 7, "LIQUIDITY": qty + 500}
        name = sim.intent(deal, purpose, "SHARES", {symbol: 1}, qty, basis="FAMILY", bounds=bounds)
        if purpose == "OPEN":
            sim.move(deal, "PLANNED", "PLANNED", sim.now + 60 * SECOND)
        self.order = sim.send(deal, name, purpose, "LIMIT", {symbol: qty}, -price, sim.now + 60 * SECOND)
        sim.wake.add(sim.minute + 1)

    def _rebalance(self) -> None:
        """After a partial entry more is bought; now and then a part is sold."""
        sim, deal = self.sim, self.deal
        assert deal is not None
        full = sim.equity() * 0.3
        worth = self.qty * sim.price(self.symbol)
        regular = 31 <= sim.minute < self.minutes - 30
        if worth < full * 0.8 and regular and self.opens < 19:
            self.opens += 1
            self.will = "fill"
            price = -(-sim.tape.quote(self.symbol, sim.minute)[1] * 1_001 // 1_000 // CENT) * CENT
            self._open(deal, "ADD", self.symbol, max(1, int((full - worth) / price)), price)
        elif sim.rng.random() < 0.004 and self.qty > 20:
            self._exit("REDUCE", self.qty // 10)

    def _exit(self, purpose: str, qty: int) -> None:
        """Sell at market: filled inside the call, in part, or rejected."""
        sim, deal, symbol = self.sim, self.deal, self.symbol
        assert deal is not None
        if purpose == "CLOSE" and deal.state == "OPEN":
            sim.move(deal, "EXIT_DUE", "EXITING", sim.now + 15 * MINUTE)
        if not self.rejected:
            reason = "EXIT_FLATTEN" if sim.minute >= self.minutes - 15 else "EXIT_TARGET"
            self.intent = sim.intent(deal, purpose, "SHARES", {symbol: -1}, qty, basis="FAMILY", reason=reason)
        self.rejected = False
        order = self.order = sim.send(deal, self.intent, purpose, "MARKET", {symbol: -qty}, None, sim.session.close_us)
        luck = sim.rng.random() if sim.faults and purpose == "CLOSE" and sim.minute < self.minutes - 3 else 1.0
        if luck < 0.08:
            sim.event(order, "INVALID", "rejected")
            sim.outcome(order, "REJECTED")
            self.order, self.rejected = None, True
            sim.wake.add(sim.minute + 1)
        elif luck < 0.16 and qty > 1:
            sim.fill(order, symbol, -(qty // 2), sim.tape.quote(symbol, sim.minute)[0])
            sim.event(order, "PARTIAL")
            sim.wake.add(sim.minute + 1)
        else:
            sim.fill(order, symbol, -qty, sim.tape.quote(symbol, sim.minute)[0])
            self._closed(order)

    intent = ""
