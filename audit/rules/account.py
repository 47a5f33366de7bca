"""AU-55 to AU-59: what the account as a whole may carry, and who may open when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from audit.contracts import contract
from audit.exchange_days import Session
from audit.limits import DOLLAR, FAMILY_BOOK, MIN_PHASE, PHASE_DOWN, PHASE_UP_DRAWDOWN, PHASES
from audit.rules.base import Needs, Record, Rule
from audit.times import SECOND
from audit.words import OPENING

_HALTING = ("day", "week", "month")
"""Limits whose 1.5-fold flattens; the one from the session's high would do so before the daily one acts."""
_ROOM = 1.01
"""A limit is judged at the entry; the first mark after it may have moved by a little."""


class AccountRisk(Rule):
    id = "AU-55"
    title = "after an entry crash loss, margin and stressed margin of the account are inside their limits"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._entered = False

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        if fill is not None and fill.order is not None and fill.order.purpose in OPENING:
            self._entered = True

    def on_mark(self, record: Record) -> None:
        if not self._entered:
            return
        self._entered = False
        self.judge()
        equity = record["equity_u6"]
        used, crash = record["used_u6"] + record["reserved_u6"], record["c_loss_u6"]
        for what, value, bound in (
            ("crash loss", crash, self.limits.account_crash * equity),
            ("margin", used, self.limits.margin * equity),
            ("margin under stress", record["used_u6"], equity - max(crash, record["t_loss_u6"])),
        ):
            if value > bound * _ROOM:
                self.hit(f"{what} is {value / DOLLAR:.2f} after an entry, {bound / DOLLAR:.2f} is allowed",
                         value=value, bound=round(bound), exposure=used)  # fmt: skip


class OpensWhenActive(Rule):
    id = "AU-56"
    title = "no opening leaves while the state is not ACTIVE, the breaker tripped or the symbol locked"
    needs = Needs.EACH_BOOK

    def on_order_sent(self, record: Record) -> None:
        order = self.state.orders.get(record["order"])
        if order is None or order.purpose not in OPENING:
            return
        self.judge(order.book)
        why = self.state.blocked(order.book, order.legs)
        if why:
            self.hit(f"{order.id} opens although {why}", book=order.book)


@dataclass(slots=True)
class _Base:
    """Equity at the end of some day, and the external flows booked until then."""

    equity_u6: int
    flows_u6: int


class LossLimits(Rule):
    """A state that was there before the loss is no answer to it: the breaker latches, or the account's state changes.
    At 1.5 times a limit of day, week or month only HALTED is one.
    """

    id = "AU-57"
    title = "a loss limit that two marks in a row cross has changed the trading state by then, at 1.5 times to HALTED"
    needs = Needs.ACCOUNT

    def on_end(self) -> None:
        if self.evaluations:
            self.judged.add("")

    def start(self) -> None:
        self._day: date | None = None
        self._last: _Base | None = None
        self._bases: dict[str, _Base] = {}
        self._high = 0
        self._peak = 0
        self._floor = 0
        self._since: dict[str, int] = {}

    def on_session_closed(self, record: Record) -> None:
        if "equity_u6" in record:
            self._last = _Base(record["equity_u6"], self.state.flows)

    def on_mark(self, record: Record) -> None:
        state, equity = self.state, record["equity_u6"]
        if state.session is None:
            return
        if self._day != state.session.day:
            self._begin(state.session.day)
        self.evaluations += 1
        if self._last is None or self._last.flows_u6 != state.flows:
            moved = state.flows - (0 if self._last is None else self._last.flows_u6)
            self._high, self._peak = max(0, self._high + moved), max(0, self._peak + moved)
            self._last = _Base(equity, state.flows)
            self._lower_floor()
        self._last.equity_u6 = equity
        if self._floor < equity <= self._high:
            if self._since:
                self._follow("trip", 0, "")
                self._follow("halt", 0, "")
            return
        if not self._is_good(record):
            return
        if equity > self._high:
            self._high, self._peak = equity, max(self._peak, equity)
            self._lower_floor()
        ratios = self._ratios(equity)
        worst = max(ratios, key=lambda name: ratios[name])
        halting = max(_HALTING, key=lambda name: ratios.get(name, 0))
        self._follow("trip", ratios[worst], worst)
        self._follow("halt", ratios.get(halting, 0) / self.limits.halt_ratio, halting)

    def _follow(self, level: str, ratio: float, name: str) -> None:
        """Remember since when a level is called for; a second mark that calls for it wants an answer by then."""
        now, since = self.state.now, self._since.get(level)
        if ratio < 1.0 + 1e-6:
            if since is not None:
                del self._since[level]
                self.hold(level, False)
        elif since is None:
            self._since[level] = now
        elif since < now:
            self.state.deadlines.at(now, partial(self._look, level, name, round(ratio * 1e6), since))

    def _lower_floor(self) -> None:
        """Keep the equity below which some limit is crossed, so that most marks cost one comparison."""
        flows, limits = self.state.flows, self.limits.loss_limits
        bases = [(base.equity_u6 + flows - base.flows_u6, limits[name]) for name, base in self._bases.items()]
        bases.append((self._high, limits["session high"]))
        if self.limits.drawdown is not None:
            bases.append((self._peak, self.limits.drawdown))
        self._floor = max(int(base * (1 - limit)) for base, limit in bases) + 1

    def _begin(self, day: date) -> None:
        last = _Base(self.state.start_equity, 0) if self._last is None else replace(self._last)
        before = self._day
        self._bases["day"] = last
        if before is None or before.isocalendar()[:2] != day.isocalendar()[:2]:
            self._bases["week"] = last
        if before is None or (before.year, before.month) != (day.year, day.month):
            self._bases["month"] = last
        self._day, self._high = day, 0
        self._lower_floor()

    def _is_good(self, record: Record) -> bool:
        """A mark that rests on a quote without both sides, or that the broker disputes, may not trip anything."""
        for symbol, row in record["px"].items():
            bid, ask = row[0], row[1]
            if symbol in self.state.account and (not ask or bid > ask):
                return False
        ours, theirs = int(record["equity_u6"]), int(record["engine_equity_u6"])
        return abs(ours - theirs) * 50 <= abs(theirs)

    def _ratios(self, equity: int) -> dict[str, float]:
        """Return the loss over its limit, by limit."""
        found: dict[str, float] = {}
        for name, limit in self.limits.loss_limits.items():
            base = self._bases.get(name)
            start = self._high if base is None else base.equity_u6 + self.state.flows - base.flows_u6
            found[name] = (start - equity) / start / limit if start > 0 else 0.0
        if self.limits.drawdown is not None and self._peak > 0:
            found["drawdown"] = (self._peak - equity) / self._peak / self.limits.drawdown
        return found

    def _look(self, level: str, name: str, ratio: int, since: int, at: int) -> None:
        state = self.state
        halted = state.breaker == "HALTED" or state.trading.get("ACCOUNT") == "HALTED"
        if level == "halt":
            text = f"the {name} loss is {self.limits.halt_ratio:g} times its limit and nothing halts"
        else:
            text = f"the {name} loss limit is crossed and nothing reacts"
            halted = halted or state.breaker == "TRIPPED" or state.restricted_us("ACCOUNT") >= since
        self.hold(level, not halted, text, value=ratio, bound=1_000_000, exposure=state.equity, at=at)


class InputsKnown(Rule):
    id = "AU-58"
    title = "an option entry knows VIX, Greeks and quotes, all young enough, and VIX is in the strategy's window"
    needs = Needs.OPTION_BOOK

    def on_verdict(self, record: Record) -> None:
        state = self.state
        intent = state.intents.get(record.get("intent", ""))
        if intent is None or not record["allowed"] or state.before or intent.purpose != "OPEN":
            return
        expiries = [contract(symbol).expiry for symbol in intent.legs if contract(symbol).is_option]
        if not expiries:
            return
        self.judge(intent.book)
        limits, ages = self.limits, record["ages"]
        near = (min(expiries) - state.day).days <= limits.near_dte
        for name, bound in (
            ("vix_s", limits.vix_age_s),
            ("greeks_s", limits.greeks_age_s),
            ("quote_s", limits.quote_near_s if near else limits.quote_far_s),
        ):
            age = ages.get(name)
            if age is None:
                self.hit(f"{intent.id} was allowed without {name}", book=intent.book)
            elif age > bound:
                self.hit(f"{intent.id} was allowed on {name} = {age}, limit {bound:g}", book=intent.book, value=age,
                         bound=round(bound))  # fmt: skip
        self._vix(intent.id, intent.book)

    def _vix(self, intent: str, book: str) -> None:
        state, vix = self.state, self.state.vix
        if vix is None or vix["verdict"] != "GOOD" or "value_e6" not in vix:
            self.hit(f"{intent} was allowed while VIX is {'missing' if vix is None else vix['verdict']}", book=book)
            return
        if state.now - state.vix_us > self.limits.vix_age_s * SECOND:
            self.hit(f"{intent} was allowed on a VIX record of {(state.now - state.vix_us) // SECOND} s ago", book=book)
        value = vix["value_e6"]
        low, high = self.limits.setting(f"{book}.vix_min"), self.limits.setting(f"{book}.vix_max")
        if (low is not None and value < low * 1e6) or (high is not None and value > high * 1e6):
            self.hit(f"{intent} was allowed at VIX {value / 1e6:.2f}, outside its window", book=book, value=value,
                     bound=round((low if low is not None and value < low * 1e6 else high or 0) * 1e6))  # fmt: skip


class AccountPhase(Rule):
    id = "AU-59"
    title = "trades and strategies stay inside the account phase that equity gives"
    needs = Needs.OPTION_BOOK

    def start(self) -> None:
        self._phase: int | None = None
        self._close: int | None = None
        self._peak = 0

    def on_session_closed(self, record: Record) -> None:
        self._close = record.get("equity_u6", self._close)

    def on_mark(self, record: Record) -> None:
        self._close = record["equity_u6"]

    def on_day(self, session: Session) -> None:
        equity = self.state.start_equity if self._close is None else self._close
        if self._close is None and self.state.headers == 1 and not self.state.counts:
            self._phase = None  # set at the first opening, from the start equity
            return
        self._set(equity)

    def _set(self, equity: int) -> None:
        self._peak = max(self._peak, equity)
        usd = equity / DOLLAR
        by_table = max(number for number, row in enumerate(PHASES) if usd >= row[0] or number == 0)
        if self._phase is None:
            self._phase = by_table
        elif by_table > self._phase:
            drawdown = 1 - equity / self._peak
            if self.state.breaker == "OK" and drawdown < PHASE_UP_DRAWDOWN:
                self._phase = by_table
        else:
            while self._phase > 0 and usd < PHASE_DOWN * PHASES[self._phase][0]:
                self._phase -= 1

    def on_order_sent(self, record: Record) -> None:
        state = self.state
        order = state.orders.get(record["order"])
        trade = None if order is None else state.trades.get(order.trade)
        if order is None or trade is None or order.purpose not in OPENING or not trade.is_option_trade:
            return
        if order.book == FAMILY_BOOK or trade.first_sent_us != state.now or order.sent_seq != state.seq:
            return
        self.judge(order.book)
        if self._phase is None:
            self._set(state.start_equity)
        phase = self._phase or 0
        others = [
            other
            for other in state.living.values()
            if other is not trade and other.is_option_trade and other.first_sent_us >= 0
        ]
        new = sum(
            1
            for other in state.trades.values()
            if other.is_option_trade and other.day == trade.day and other.first_sent_us >= 0
            and (other is trade or not other.is_over or other.first_fill_us >= 0)
        )  # fmt: skip
        most = min(PHASES[phase][1], self.limits.number(f"phases.max_trades_{phase}", PHASES[phase][1]))
        most_new = min(PHASES[phase][2], self.limits.number(f"phases.new_per_session_{phase}", PHASES[phase][2]))
        where: dict[str, Any] = {"book": order.book, "exposure": state.equity}
        if len(others) + 1 > most:
            self.hit(f"{trade.id} is open trade {len(others) + 1}, phase {phase} allows {most:g}",
                     value=len(others) + 1, bound=round(most), **where)  # fmt: skip
        if new > most_new:
            self.hit(f"{trade.id} is new trade {new} of the session, phase {phase} allows {most_new:g}",
                     value=new, bound=round(most_new), **where)  # fmt: skip
        if phase < MIN_PHASE.get(order.book, 0):
            self.hit(f"{order.book} trades in phase {phase}", value=phase, bound=MIN_PHASE[order.book], **where)
        if phase == 0 and trade.basis == "STRESS":
            self.hit(f"{trade.id} sells naked in phase 0", **where)


RULES = (AccountRisk, OpensWhenActive, LossLimits, InputsKnown, AccountPhase)
