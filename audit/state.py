"""The state that one replay of the ledger builds: positions, cash, orders, trades, locks, phase.

A record changes it by what it says about its own symbols, so that a replay costs O(legs) per record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from math import gcd
from typing import Any

from audit.clock import Deadlines
from audit.contracts import contract, without_cover
from audit.entities import FillFacts, Intent, Mark, Order, Trade
from audit.exchange_days import Session, session_on
from audit.limits import FAMILY_BOOK, LEVERAGE, Limits
from audit.schema import Record
from audit.times import DAY, at_exchange, day_of, micros
from audit.words import CLOSING, DOUBTFUL, OPENING


class State:
    """Everything that rules look at.  Time first, then the fold of a record, then the rules."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.deadlines = Deadlines()
        self.on_day: list[Callable[[Session], None]] = []
        self.record: Record = {}
        self.now = 0
        self.seq = -1
        self.header: Record | None = None
        self.headers = 0
        self.ended: Record | None = None
        self.after_end = 0
        self.counts: dict[str, int] = {}
        self.first_us = 0
        self.session: Session | None = None
        self._day_end = -1
        self._day_begin = 0
        # money and positions
        self.cash = 0
        self.fees = 0
        self.fills = 0
        self.flows = 0
        self.account: dict[str, int] = {}
        self.books: dict[tuple[str, str], int] = {}
        self.family: dict[str, int] = {}
        self.price: dict[str, int] = {}
        self.mults: dict[str, int] = {}
        self.start_equity = 0
        self.marked: Mark | None = None
        self.traded: dict[str, set[bool]] = {}
        # orders, intents, trades
        self.intents: dict[str, Intent] = {}
        self.orders: dict[str, Order] = {}
        self.used_orders: set[str] = set()
        self.working: dict[str, Order] = {}
        self.doubtful: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self.living: dict[str, Trade] = {}
        self.fill: FillFacts | None = None
        self.before: Any = None
        # locks and states
        self.breaks: dict[str, tuple[int, frozenset[str]]] = {}
        self.trading: dict[str, str] = {}
        self._restricted_us: dict[str, int] = {}
        self.breaker = "OK"
        self.vix: Record | None = None
        self.vix_us = -1
        self.signal: Record | None = None
        self.phase = ""
        self.halted: dict[str, int] = {}
        self.halted_for: dict[str, int] = {}
        self._folds: dict[str, Callable[[Record], None]] = {
            "RUN_STARTED": self._run_started,
            "FILL": self._fill,
            "EXPIRY": self._expiry,
            "CASH_FLOW": self._cash_flow,
            "SPLIT": self._split,
            "INTENT": self._intent,
            "VERDICT": self._verdict,
            "ORDER_INTENT": self._order_intent,
            "ORDER_SENT": self._order_sent,
            "ORDER_OUTCOME": self._order_outcome,
            "TRADE_STATE": self._trade_state,
            "REPAIR": self._repair,
            "BREAK": self._break,
            "TRADING_STATE": self._trading_state,
            "BREAKER": self._breaker,
            "VIX": self._vix,
            "SIGNAL": self._signal,
            "PHASE": self._phase,
            "MARK": self._mark,
        }

    # ------------------------------------------------------------------------------------------------------------ time

    def advance(self, now: int) -> None:
        """Let time run to the next record: deadlines fall due, days begin."""
        if now > self.deadlines.next_us:
            self.deadlines.pass_to(now)
        if now >= self._day_end and self.headers:
            self._begin_day(now)
            if now > self.deadlines.next_us:
                self.deadlines.pass_to(now)
        self.now = now

    def _begin_day(self, now: int) -> None:
        day = day_of(now)
        self._forget(self._day_begin)
        self._day_begin = now
        self._day_end = at_exchange(day, 0) + DAY
        if day_of(self._day_end) == day:  # the day on which clocks go back has 25 hours
            self._day_end += DAY // 24
        self.session = session_on(day)
        if self.session is not None:
            for call in self.on_day:
                call(self.session)

    def _forget(self, before: int) -> None:
        """Drop trades that were over before the previous day of records, so that a long ledger needs little memory."""
        for trade in [trade for trade in self.trades.values() if 0 <= trade.ended_us < before and not trade.held]:
            if all(self.orders[order].is_final for order in trade.orders):
                del self.trades[trade.id]
                for order in trade.orders:
                    del self.orders[order]
                for intent in trade.intents:
                    self.intents.pop(intent, None)

    @property
    def day(self) -> date:
        return day_of(self.now)

    @property
    def market_open(self) -> bool:
        return self.session is not None and self.session.is_open(self.now)

    # ------------------------------------------------------------------------------------------------------------ fold

    def take(self, record: Record) -> None:
        """Fold one record."""
        kind = record["kind"]
        self.record = record
        self.seq = record["seq"]
        if not self.counts:
            self.first_us = self.now
        if self.ended is not None:
            self.after_end += 1
        elif kind == "RUN_ENDED":
            self.ended = record
        fold = self._folds.get(kind)
        if fold is not None:
            fold(record)
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def _run_started(self, record: Record) -> None:
        self.headers += 1
        self.limits.take(record["settings"])
        if self.header is not None:
            self.header = record
            # The line that said it was sent may have died with the process; the intent is made durable before.
            for order in self.orders.values():
                if order.sent_us < 0 and not order.is_final:
                    self._mark_sent(order, order.us, order.seq)
            return
        self.header = record
        self._begin_day(self.now)
        self.cash = self.start_equity = record["start_cash_u6"]
        for row in record["holdings"]:
            self.move("", row["symbol"], row["qty"])
            self.price[row["symbol"]] = row["price_u6"]
            self.mults[row["symbol"]] = row["mult"]
            self.start_equity += row["qty"] * row["price_u6"] * row["mult"]

    def move(self, book: str, symbol: str, qty: int) -> None:
        """Change a position of a book and of the account."""
        _add(self.account, symbol, qty)
        _add(self.books, (book, symbol), qty)
        if book and symbol in LEVERAGE:
            _add(self.family, symbol, qty)

    def _fill(self, record: Record) -> None:
        symbol, qty, book = record["symbol"], record["qty"], record["book"]
        order = self.orders.get(record["order"])
        trade = self.trades.get(record["trade"])
        item = contract(symbol)
        exec_us = micros(record["exec_time"])
        before, book_before = self.account.get(symbol, 0), self.books.get((book, symbol), 0)
        worth = -qty * record["price_u6"]
        self.cash += worth * record["mult"] - record["fee_u6"]
        self.fees += record["fee_u6"]
        self.fills += 1
        self.traded.setdefault(book, set()).add(item.is_option)
        self.price[symbol] = record["price_u6"]
        self.mults[symbol] = record["mult"]
        self.move(book, symbol, qty)
        if order is not None:
            order.filled[symbol] = order.filled.get(symbol, 0) + qty
            order.cash_u6 += worth
            if order.is_balanced:
                order.unbalanced_us = -1
            elif order.unbalanced_us < 0:
                order.unbalanced_us = exec_us
            intent = self.intents.get(order.intent)
            if intent is not None:
                intent.filled = True
        if trade is not None:
            _add(trade.held, symbol, qty)
            trade.cash_u6 += worth * record["mult"]
            trade.fees_u6 += record["fee_u6"]
            if trade.first_fill_us < 0:
                trade.first_fill_us = exec_us
        self.fill = FillFacts(order, trade, exec_us, before, before + qty, book_before, book_before + qty, item)

    def _expiry(self, record: Record) -> None:
        book, symbol, qty = record["book"], record["symbol"], record["qty"]
        self.before = self.books.get((book, symbol), 0)
        self.cash += record["cash_u6"]
        self.move(book, symbol, qty)
        left, cash = qty, record["cash_u6"]
        for trade in self.living.values():
            held = trade.held.get(symbol, 0)
            if trade.book != book or held * left >= 0:
                continue
            part = -held if abs(held) <= abs(left) else left
            share = cash * part // left
            _add(trade.held, symbol, part)
            trade.cash_u6 += share
            cash, left = cash - share, left - part
            if not left:
                break
        if "deliver_symbol" in record:
            self.move(book, record["deliver_symbol"], record["deliver_qty"])

    def _cash_flow(self, record: Record) -> None:
        self.cash += record["amount_u6"]
        if record["type"] in ("DEPOSIT", "WITHDRAWAL"):
            self.flows += record["amount_u6"]

    def _split(self, record: Record) -> None:
        symbol, num, den = record["symbol"], record["num"], record["den"]
        self.before = self.account.get(symbol, 0)
        for book, held_symbol in list(self.books):
            if held_symbol == symbol:
                held = self.books[(book, symbol)]
                self.move(book, symbol, scaled(held, num, den) - held)
        for trade in self.living.values():
            if symbol in trade.held:
                trade.held[symbol] = scaled(trade.held[symbol], num, den)
        if symbol in self.price:
            self.price[symbol] = self.price[symbol] * den // num

    def _intent(self, record: Record) -> None:
        legs = {leg["symbol"]: leg["ratio"] for leg in record["legs"]}
        mults = {leg["symbol"]: leg["mult"] for leg in record["legs"]}
        self.mults.update(mults)
        trade_id, book, purpose = record["trade"], record["book"], record["purpose"]
        self.intents[record["intent"]] = Intent(
            record["intent"], trade_id, book, purpose, record["structure"], legs, mults, record["qty"],
            record["risk_basis"], record.get("max_loss_u6"), self.now, self.seq,
        )  # fmt: skip
        trade = self.trades.get(trade_id)
        if trade is None:
            naked = without_cover((contract(symbol), ratio) for symbol, ratio in legs.items())
            declared = {symbol: count * record["qty"] for symbol, count in naked.items()}
            if record["risk_basis"] != "STRESS" or purpose not in OPENING:
                declared = {}
            trade = Trade(trade_id, book, record["structure"], record["risk_basis"], declared, self.now, self.day)
            self.trades[trade_id] = self.living[trade_id] = trade
        elif purpose not in OPENING:
            trade.repaired_us = self.now
        trade.intents.append(record["intent"])

    def _verdict(self, record: Record) -> None:
        intent = self.intents.get(record.get("intent", ""))
        if intent is not None:
            self.before = intent.first_allowed
            intent.verdict = record["allowed"]
            intent.first_allowed = intent.first_allowed or record["allowed"]

    def _order_intent(self, record: Record) -> None:
        self.before = record["order"] in self.used_orders
        if self.before:
            return
        self.used_orders.add(record["order"])
        legs: dict[str, int] = {}
        for leg in record["legs"]:
            legs[leg["symbol"]] = legs.get(leg["symbol"], 0) + leg["qty"]
        order = Order(
            record["order"], record["intent"], record["trade"], record["book"], record["purpose"], record["type"],
            legs, gcd(*legs.values()) or 1, record.get("limit_u6"), micros(record["deadline"]), self.seq, self.now,
        )  # fmt: skip
        self.orders[order.id] = order
        trade = self.trades.get(order.trade)
        if trade is not None:
            trade.orders.append(order.id)
        intent = self.intents.get(order.intent)
        if intent is not None:
            for symbol, qty in legs.items():
                intent.used[symbol] = intent.used.get(symbol, 0) + abs(qty)

    def _order_sent(self, record: Record) -> None:
        order = self.orders.get(record["order"])
        self.before = order is not None and order.sent_us >= 0
        if order is None or order.sent_us >= 0:
            return
        self._mark_sent(order, self.now, self.seq)

    def _mark_sent(self, order: Order, us: int, seq: int) -> None:
        order.sent_us, order.sent_seq = us, seq
        if not order.is_final:
            self.working[order.id] = order
        intent = self.intents.get(order.intent)
        if intent is not None:
            intent.sent += 1
        trade = self.trades.get(order.trade)
        if trade is not None and trade.first_sent_us < 0:
            trade.first_sent_us = us

    def _order_outcome(self, record: Record) -> None:
        order = self.orders.get(record["order"])
        self.before = order is not None and order.is_final
        if order is None or order.is_final:
            return
        order.outcome = record["outcome"]
        if record["outcome"] == DOUBTFUL:
            self.doubtful[order.id] = order
            return
        order.ended_us = self.now
        self.working.pop(order.id, None)
        self.doubtful.pop(order.id, None)
        intent = self.intents.get(order.intent)
        if intent is not None:
            for symbol, qty in order.legs.items():
                intent.used[symbol] = intent.used.get(symbol, 0) - abs(qty) + abs(order.filled.get(symbol, 0))

    def _trade_state(self, record: Record) -> None:
        trade = self.trades.get(record["trade"])
        self.before = None if trade is None else trade.state
        if trade is None:
            return
        trade.state = record["to"]
        deadline = record.get("deadline")
        trade.deadline_us = -1 if deadline is None else micros(deadline)
        if trade.state == "REPAIRING":
            trade.repaired_us = self.now
        if trade.is_over:
            trade.ended_us = self.now
            self.living.pop(trade.id, None)

    def _repair(self, record: Record) -> None:
        trade = self.trades.get(record["trade"])
        if trade is not None:
            trade.repaired_us = self.now

    def _break(self, record: Record) -> None:
        symbol = record["symbol"]
        if record["status"] == "CLEARED":
            self.breaks.pop(symbol, None)
            return
        since = self.breaks[symbol][0] if symbol in self.breaks else self.now
        self.breaks[symbol] = (since, frozenset(record["locked"]))

    def _trading_state(self, record: Record) -> None:
        if record["to"] == "ACTIVE":
            self.trading.pop(record["scope"], None)
        else:
            self.trading[record["scope"]] = record["to"]
            self._restricted_us[record["scope"]] = self.now

    def _breaker(self, record: Record) -> None:
        level = record["level"]
        if level in ("TRIPPED", "HALTED"):
            self.breaker = level
        elif level != "WARN":
            self.breaker = "OK"

    def _vix(self, record: Record) -> None:
        self.vix, self.vix_us = record, self.now

    def _signal(self, record: Record) -> None:
        self.signal = record

    def _phase(self, record: Record) -> None:
        self.phase = record["phase"]

    def _mark(self, record: Record) -> None:
        px = record["px"]
        price = self.price
        for symbol, row in px.items():
            bid, ask = row[0], row[1]
            if bid and ask:
                price[symbol] = (bid + ask) // 2
            elif row[2]:
                price[symbol] = row[2]
            elif ask:
                price[symbol] = 0
        self.before = self.marked
        self.marked = Mark(self.now, self.seq, px, record["equity_u6"])
        if record["halted"] or self.halted:
            self._halts(record["halted"])

    def _halts(self, halted: list[str]) -> None:
        for symbol in list(self.halted):
            if symbol not in halted:
                self.halted_for[symbol] = self.halted_for.get(symbol, 0) + self.now - self.halted.pop(symbol)
        for symbol in halted:
            self.halted.setdefault(symbol, self.now)

    # ----------------------------------------------------------------------------------------------------------- views

    @property
    def equity(self) -> int:
        """Return what is known of equity: cash while nothing is held, else the last mark."""
        if not self.account or self.marked is None:
            return self.cash if not self.account else self.start_equity
        return self.marked.equity_u6

    def worth(self, symbol: str, qty: int) -> int:
        """Return the exposure in micro-dollars of a quantity: of the underlying for an option whose price is known."""
        return abs(qty) * self.price.get(symbol, 0) * self.mults.get(symbol, 1)

    def halted_time(self, symbol: str, until: int) -> int:
        """Return how long a symbol or its underlying was halted until then, as the marks say."""
        total = 0
        for name in {symbol, contract(symbol).underlying}:
            total += self.halted_for.get(name, 0)
            if name in self.halted:
                total += max(0, until - self.halted[name])
        return total

    def restricted_us(self, scope: str) -> int:
        """Return when the state of a scope last became other than ACTIVE, -1 while it is ACTIVE."""
        return self._restricted_us[scope] if scope in self.trading else -1

    def blocked(self, book: str, symbols: Iterable[str]) -> str:
        """Return why a book may not open now: its trading state, the breaker, or a lock; "" for no reason."""
        for scope in ("ACCOUNT", f"BOOK:{book}"):
            if scope in self.trading:
                return f"{scope} is {self.trading[scope]}"
        if self.breaker != "OK":
            return f"the breaker is {self.breaker}"
        for symbol in symbols:
            if f"SYMBOL:{symbol}" in self.trading:
                return f"{symbol} is {self.trading[f'SYMBOL:{symbol}']}"
        for broken, (_, locked) in self.breaks.items():
            if book in locked or any(symbol in locked for symbol in symbols):
                return f"the break of {broken} locks it"
        return ""

    def is_family_open(self, order: Order) -> bool:
        return order.purpose in OPENING and any(symbol in LEVERAGE for symbol in order.legs) and self._is_family(order)

    def is_family_close(self, order: Order) -> bool:
        return order.purpose in CLOSING and any(symbol in LEVERAGE for symbol in order.legs) and self._is_family(order)

    @staticmethod
    def _is_family(order: Order) -> bool:
        return order.book == FAMILY_BOOK or all(symbol in LEVERAGE for symbol in order.legs)


def _add(held: dict[Any, int], key: Any, qty: int) -> None:
    after = held.get(key, 0) + qty
    if after:
        held[key] = after
    else:
        held.pop(key, None)


def scaled(held: int, num: int, den: int) -> int:
    """Return whole shares after a split; what is left over comes as cash."""
    whole = abs(held) * num // den
    return whole if held > 0 else -whole
