"""The simulator's option books: a same-day condor on Fridays, and a longer put structure."""

from __future__ import annotations

from datetime import date, timedelta

from audit.contracts import contract
from audit.exchange_days import is_last_of_week, session_on
from audit.rules.process import is_entry_session
from audit.times import MINUTE, SECOND, at_exchange
from tests.audit.simulate import Deal, Order, Simulator
from tests.audit.tape import CENT, NICKEL, osi

REFUSALS = [
    ("strategy", "VIX_WINDOW"),
    ("strategy", "MOVE_TOO_LARGE"),
    ("events", "EVENT_CPI"),
    ("data", "CHAIN_TOO_THIN"),
]


def net_of(sim: Simulator, legs: dict[str, int]) -> int:
    """Return the net cash of one unit at mid, in micro-dollars per point: received +."""
    return -sum(ratio * sim.price(symbol) for symbol, ratio in legs.items())


class OptionBook:
    """What both books share: ladders of combo orders, fills at mid, the trade's states."""

    name = ""
    tick = NICKEL

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.deal: Deal | None = None
        self.order: Order | None = None
        self.legs: dict[str, int] = {}
        self.number = 0
        self.ladder = 0
        self.plan = ""
        self.reason = ""

    @property
    def holds(self) -> bool:
        return self.deal is not None and bool(self.deal.held) and self.deal.state in ("OPEN", "EXITING")

    def enter(self, structure: str, legs: dict[str, int], qty: int, width: int, deadline: int) -> None:
        """Plan a trade and send its first offer."""
        sim = self.sim
        self.number += 1
        sim.vix_record()
        deal = self.deal = sim.deal(self.name, self.number)
        self.legs, self.ladder, self.exit_at = legs, sim.rng.choice([0, 0, 1, 2]), deadline
        worst = self.worst = net_of(sim, legs) // self.tick * self.tick - 2 * self.tick
        contracts = sum(abs(ratio) for ratio in legs.values())
        loss = (width - worst) * 100 * qty + 2 * contracts * 1_310_000 * qty
        deal.risk = loss
        name = sim.intent(deal, "OPEN", structure, legs, qty, max_loss_u6=loss, margin_u6=width * 100 * qty)
        sim.move(deal, "PLANNED", "PLANNED", sim.now + 60 * SECOND)
        self._offer(name, "OPEN", {symbol: ratio * qty for symbol, ratio in legs.items()}, sim.now + 4 * MINUTE)
        sim.move(deal, "SENT", "ENTERING", sim.now + 5 * MINUTE)

    def leave(self, reason: str, keep: frozenset[str] = frozenset(), purpose: str = "CLOSE") -> None:
        """Close what is held, but for bidless longs in keep."""
        sim, deal = self.sim, self.deal
        assert deal is not None
        self.reason = reason
        if deal.state == "OPEN":
            sim.move(deal, "EXIT_DUE", "EXITING", sim.now + 15 * MINUTE)
        closing = {symbol: -qty for symbol, qty in deal.held.items() if symbol not in keep}
        units = abs(next(iter(closing.values())))
        for qty in closing.values():
            units = min(units, abs(qty))
        ratios = {symbol: qty // units for symbol, qty in closing.items()}
        structure = "SINGLE" if len(closing) == 1 else "LEGS"
        name = sim.intent(deal, purpose, structure, ratios, units, reason=reason)
        self._offer(name, purpose, closing, sim.session.close_us)

    def _offer(self, intent: str, purpose: str, legs: dict[str, int], deadline: int) -> None:
        assert self.deal is not None
        sim = self.sim
        kind = "COMBO_LIMIT" if len(legs) > 1 else "LIMIT"
        order = self.order = sim.send(self.deal, intent, purpose, kind, legs, None, deadline)
        unit = {symbol: qty // order.units for symbol, qty in legs.items()}
        limit = net_of(sim, unit) // self.tick * self.tick - self.tick
        if purpose == "OPEN":
            limit = max(limit, self.worst)
        order.limit_u6 = limit
        next(record for record in reversed(sim.records) if record["kind"] == "ORDER_INTENT")["limit_u6"] = limit
        sim.wake.add(sim.minute + 1)

    def fold(self) -> None:
        order, sim = self.order, self.sim
        if order is None or sim.now <= order.sent:
            return
        if order.purpose == "OPEN" and self.ladder > 0:
            self.ladder -= 1
            sim.event(order, "CANCELLED")
            sim.outcome(order, "CANCELLED")
            self._offer(order.intent, order.purpose, order.legs, order.sent + 4 * MINUTE)
        elif self._missing(order) <= 2 * self.tick:
            self.execute(order)
        else:
            self._not_filled(order)

    worst = 0

    def _missing(self, order: Order) -> int:
        """Return by how much the mid net falls short of the limit, per unit."""
        unit = {symbol: qty // order.units for symbol, qty in order.legs.items()}
        return (order.limit_u6 or 0) - net_of(self.sim, unit)

    def _not_filled(self, order: Order) -> None:
        """The market has moved away: an opening ends, a closing is offered again."""
        sim, deal = self.sim, self.deal
        assert deal is not None
        sim.event(order, "CANCELLED")
        sim.outcome(order, "CANCELLED")
        self.order = None
        if order.purpose == "OPEN":
            sim.move(deal, "CANCELLED", "CANCELLED")
        else:
            self._offer(order.intent, order.purpose, order.legs, sim.session.close_us)

    def execute(self, order: Order) -> None:
        """Let the broker fill the whole group at mid, never worse than the limit."""
        sim, deal = self.sim, self.deal
        assert deal is not None
        assert order.limit_u6 is not None
        prices = self._prices(order)
        for symbol, qty in order.legs.items():
            sim.fill(order, symbol, qty, prices[symbol])
        sim.event(order, "FILLED")
        sim.outcome(order, "FILLED")
        self.order = None
        if order.purpose == "OPEN":
            sim.move(deal, "FILLED", "OPEN", self.exit_at)
        elif not deal.held:
            sim.finish(deal, self.reason)
        else:
            sim.move(deal, "EXPIRED", "SETTLING", _next_open(sim.session.day) + 30 * MINUTE)

    exit_at = 0

    def _prices(self, order: Order) -> dict[str, int]:
        """Return the mid of each leg; what the limit wants beyond that is paid by the first sold leg's buyer."""
        prices = {symbol: self.sim.price(symbol) for symbol in order.legs}
        unit = {symbol: qty // order.units for symbol, qty in order.legs.items()}
        short = (order.limit_u6 or 0) + sum(unit[symbol] * prices[symbol] for symbol in unit)
        if short > 0:
            better = next((s for s, ratio in unit.items() if ratio < 0), None)
            if better is not None:
                prices[better] += -(-short // -unit[better])
            else:
                worse = next(iter(unit))
                prices[worse] = max(0, prices[worse] + short // -unit[worse])
        return prices


def _next_open(day: date) -> int:
    from audit.exchange_days import session_after

    return session_after(day).open_us


class FridayCondor(OptionBook):
    """Sell an SPXW condor or spread on the last session of the week, and be flat by the close."""

    name = "friday_0dte"

    def begin(self) -> None:
        self.number, self.entry_minute, self.exit_minute = 0, -1, -1
        if self.deal is not None and self.deal.state in ("CLOSED", "CANCELLED"):
            self.deal = None
        sim = self.sim
        if not is_last_of_week(sim.session.day):
            return
        sim.vix = sim.rng.uniform(22.5, 34.5)
        self.plan = sim.rng.choice(["trade", "trade", "trade", "refuse"])
        if sim.faults:
            self.plan = sim.rng.choice([self.plan] * 4 + ["repair", "doubt", "bidless"])
        self.plan = sim.friday_plan or self.plan
        if self.plan != "refuse":
            self.entry_minute = sim.rng.randrange(60, 91)
            last = (sim.session.close_us - sim.session.open_us) // MINUTE - 32
            self.exit_minute = last if self.plan == "bidless" else sim.rng.randrange(100, max(101, last))
            sim.wake |= {60, self.entry_minute, self.exit_minute, last}
        else:
            sim.wake |= {60, 90}

    def step(self) -> None:
        sim = self.sim
        if not is_last_of_week(sim.session.day):
            return
        if self.holds and self.order is None and sim.minute >= self.exit_minute:
            self._exit()
        elif 60 <= sim.minute <= 90 and self.deal is None:
            if self.plan != "refuse" and sim.minute >= self.entry_minute:
                self._entry()
            else:
                sim.refuse(self.name, *sim.rng.choice(REFUSALS), minute=sim.minute)

    def _entry(self) -> None:
        sim, day = self.sim, self.sim.session.day
        spot = sim.tape.spot("SPX", sim.minute)
        width = sim.rng.choice([5, 10])
        away = 40 if self.plan == "bidless" else sim.rng.choice([20, 25, 30])
        low, high = round((spot - away) / 5) * 5, round((spot + away) / 5) * 5
        puts = {osi("SPXW", day, "P", low - width): 1, osi("SPXW", day, "P", low): -1}
        calls = {osi("SPXW", day, "C", high): -1, osi("SPXW", day, "C", high + width): 1}
        which = sim.rng.choice(["IRON_CONDOR", "IRON_CONDOR", "PUT_SPREAD", "CALL_SPREAD"])
        legs = {"IRON_CONDOR": puts | calls, "PUT_SPREAD": puts, "CALL_SPREAD": calls}[which]
        close = sim.session.close_us
        self.enter(which, legs, sim.rng.choice([1, 1, 2]) if width == 5 else 1, width * 1_000_000, close - 30 * MINUTE)
        if self.plan == "repair":
            self.ladder = 0

    def _exit(self) -> None:
        sim, deal = self.sim, self.deal
        assert deal is not None
        bidless = frozenset(
            symbol for symbol, qty in deal.held.items() if qty > 0 and not sim.tape.quote(symbol, sim.minute)[0]
        )
        late = sim.minute >= (sim.session.close_us - sim.session.open_us) // MINUTE - 32
        reason = "EXIT_TIME" if late else sim.rng.choice(["EXIT_TARGET", "EXIT_STOP", "EXIT_VIX"])
        self.leave(reason, bidless if self.plan == "bidless" else frozenset())

    def execute(self, order: Order) -> None:
        if order.purpose == "OPEN" and self.plan == "repair":
            self._half(order)
        elif order.purpose == "CLOSE" and self.plan == "doubt":
            self._doubt(order)
        else:
            super().execute(order)

    def _half(self, order: Order) -> None:
        """One sold leg fills, the group is rejected: it is bought back within the minute."""
        sim, deal = self.sim, self.deal
        assert deal is not None
        symbol = next(symbol for symbol, qty in order.legs.items() if qty < 0)
        sim.fill(order, symbol, order.legs[symbol], sim.price(symbol) + NICKEL)
        sim.event(order, "INVALID", "rejected by the exchange")
        sim.outcome(order, "REJECTED")
        self.order = None
        sim.move(deal, "REJECTED", "REPAIRING", sim.now + 60 * SECOND)
        sim.put("REPAIR", self.name, trade=deal.id, stage="BUY_BACK", symbol=symbol, uncovered_s=0)
        qty = -deal.held[symbol]
        name = sim.intent(deal, "REPAIR", "SINGLE", {symbol: 1}, qty, reason="EXIT_RISK")
        price = sim.tape.quote(symbol, sim.minute)[1]
        repair = sim.send(deal, name, "REPAIR", "LIMIT", {symbol: qty}, -(price + 4 * NICKEL), sim.session.close_us)
        sim.fill(repair, symbol, qty, price)
        sim.event(repair, "FILLED")
        sim.outcome(repair, "FILLED")
        sim.finish(deal, "EXIT_RISK")

    def _doubt(self, order: Order) -> None:
        """The broker fills and says nothing: doubt, a break, and the fills found by asking."""
        sim, deal = self.sim, self.deal
        assert deal is not None
        self.plan = "doubted"
        prices = self._prices(order)
        found = [(symbol, qty, prices[symbol]) for symbol, qty in order.legs.items()]
        for symbol, qty, price in found:
            sim.execute(symbol, qty, price, sim.fee(symbol, qty))
        sim.outcome(order, "UNRESOLVED")
        sim.move(deal, "UNRESOLVED", "FROZEN", sim.now + 15 * MINUTE)
        sim.put("TRADING_STATE", scope=f"BOOK:{self.name}", **{"from": "ACTIVE"}, to="REDUCING", cause="unresolved")
        for symbol, qty, _ in found:
            sim.put(
                "BREAK", symbol=symbol, book_qty=-qty, broker_qty=0, status="OPEN", locked=[symbol, self.name]
            )  # fmt: skip
            sim.put(
                "ALERT", severity="CRITICAL", code="BREAK_QTY", text=f"our books hold {-qty} of {symbol}, the broker 0"
            )
        sim.statement()
        for symbol, qty, price in found:
            sim.fill(order, symbol, qty, price, source="RECOVERED")
        sim.outcome(order, "FILLED")
        self.order = None
        for symbol, _, _ in found:
            sim.put("BREAK", symbol=symbol, book_qty=0, broker_qty=0, status="CLEARED", locked=[symbol, self.name])
        sim.finish(deal, self.reason)
        sim.put("TRADING_STATE", scope=f"BOOK:{self.name}", **{"from": "REDUCING"}, to="ACTIVE", cause="released")


class LongPuts(OptionBook):
    """A 1-1-2 put structure or a put spread on SPY, held for days and left before 21 days to expiry."""

    name = "lt112"
    tick = CENT

    def begin(self) -> None:
        sim = self.sim
        self.number = 0
        if self.deal is not None and self.deal.state in ("CLOSED", "CANCELLED"):
            self.deal = None
        self.asked = not is_entry_session(self.name, sim.session.day) and sim.rng.random() < 0.5
        sim.wake |= {31, 45, 60}

    def step(self) -> None:
        sim = self.sim
        if self.holds and self.order is None and sim.minute >= 45:
            if sim.now >= self.exit_at or sim.rng.random() < 0.001:
                self.leave("EXIT_DTE" if sim.now >= self.exit_at else "EXIT_DISTANCE")
        elif 31 <= sim.minute <= 90 and self.deal is None and not self.asked:
            self.asked = True
            if sim.rng.random() < 0.2:
                sim.vix_record()
                sim.refuse(self.name, "strategy", "TREND_DOWN")
            else:
                self._entry()
        elif 31 <= sim.minute <= 90 and not self.asked:
            self.asked = True
            sim.refuse(self.name, "strategy", "MAX_OPEN")

    def _entry(self) -> None:
        sim, day = self.sim, self.sim.session.day
        expiry = day + timedelta(days=sim.rng.randrange(*sim.long_dte))
        while session_on(expiry) is None:
            expiry += timedelta(days=1)
        last = expiry - timedelta(days=21)
        while session_on(last) is None:
            last -= timedelta(days=1)
        spot = round(sim.tape.spot("SPY", sim.minute))
        strikes = [spot - 25, spot - 30, spot - 55, spot - 60]
        puts = [osi("SPY", expiry, "P", strike) for strike in strikes]
        if sim.rng.random() < 0.5:
            legs, name, width = dict(zip(puts, (1, -1, -2, 2), strict=True)), "ONE_ONE_TWO", 5_000_000
        else:
            legs, name, width = {puts[1]: -1, puts[2]: 1}, "PUT_SPREAD", 25_000_000
        if width == 25_000_000:
            legs, width = {puts[0]: -1, puts[1]: 1}, 5_000_000
        self.enter(name, legs, 1, width, max(at_exchange(last, 10, 15), sim.now + 10 * MINUTE))


__all__ = ["FridayCondor", "LongPuts", "contract"]
