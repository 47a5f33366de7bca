"""A small simulator that writes clean ledgers: it keeps an account at a broker and its own books, and says so.

It is no copy of the algorithm: it writes what audit.md asks a ledger to say, for all kinds of records and for several
books, and it knows faults that a sound run survives.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import gcd
from typing import Any, Protocol

from audit.contracts import contract
from audit.exchange_days import Session, session_after, session_on
from audit.rules.run import settings_hash
from audit.times import MINUTE, SECOND, at_exchange, utc_text
from tests.audit.chaining import PREVIOUS, Record
from tests.audit.tape import Tape

FAMILIES = {"LONG": {"QQQ": 1, "TQQQ": 3}, "INVERSE": {"PSQ": 1, "SQQQ": 3}}
SETTINGS: dict[str, str | int] = {
    "account.naked_options_approved": "false",
    "breaker.daily_loss_pct": "5.0",
    "breaker.monthly_loss_pct": "15.0",
    "breaker.session_high_loss_pct": "3.0",
    "breaker.weekly_loss_pct": "10.0",
    "data.near_dte": 7,
    "data.quote_max_age_far_s": 300,
    "data.quote_max_age_near_s": 60,
    "margin.account_crash_pct": "20.0",
    "orders.children_per_parent": 8,
    "orders.orders_per_min": 20,
    "orders.uncovered_max_s": 60,
    "sizer.trade_crash_pct": "5.0",
    "sizer.trade_risk_pct": "2.0",
    "state.cash_tolerance_usd": "1.0",
    "vix.ceiling_normal": "0.8",
    "vix.max_age_s": 300,
}
BOOK_SETTINGS: dict[str, dict[str, str | int]] = {
    "friday_0dte": {"entry_start_et": "10:30", "flat_min": 5, "vix_max": "35.0", "vix_min": "22.0"},
    "lt112": {"dte_exit": 21, "entry_start_et": "10:00", "vix_max": "35.0", "vix_min": "12.0"},
    "etf_rotation": {
        "cooldown_bars": 5,
        "max_close_children": 8,
        "max_opens_per_session": 20,
        "orders_per_block_hard": 100,
        "orders_per_block_soft": 50,
        "sleeve_fraction": "0.3",
    },
}


@dataclass(slots=True)
class Order:
    """An order at work: signed legs, what is filled, its limit (net cash of one unit)."""

    id: str
    intent: str
    trade: str
    book: str
    purpose: str
    legs: dict[str, int]
    units: int
    limit_u6: int | None
    sent: int
    fills: int = 0
    filled: dict[str, int] = field(default_factory=dict)

    @property
    def filled_units(self) -> int:
        return min(abs(self.filled.get(symbol, 0)) * self.units // abs(qty) for symbol, qty in self.legs.items())


@dataclass(slots=True)
class Deal:
    """A trade: its state, holdings and money."""

    id: str
    book: str
    state: str = "PLANNED"
    held: dict[str, int] = field(default_factory=dict)
    cash: int = 0
    fees: int = 0
    risk: int = 0


class Book(Protocol):
    """A strategy of the simulator."""

    name: str

    def begin(self) -> None:
        """Plan a session."""

    def fold(self) -> None:
        """Take in what the broker reported since the last step."""

    def step(self) -> None:
        """Decide and send."""


class Simulator:
    """Runs sessions and collects records."""

    def __init__(
        self,
        seed: int,
        first: date,
        sessions: int,
        *,
        books: Sequence[str],
        stride: int = 3,
        mode: str = "BACKTEST",
        account: str = "MARGIN",
        start_cash: int = 100_000,
        holdings: Iterable[tuple[str, int]] = (),
        faults: bool = True,
        settings: Mapping[str, str | int] | None = None,
        friday_plan: str | None = None,
        long_dte: tuple[int, int] = (23, 36),
        action_rate: float = 0.15,
    ) -> None:
        """friday_plan: what the Friday book does, always; long_dte: days to expiry of the long book's trades;
        action_rate: how often a standing holding sees a split or a dividend.
        """
        self.rng = random.Random(seed)
        self.seed = seed
        self.tape = Tape(self.rng)
        self.records: list[Record] = []
        self.faults = faults
        self.mode = mode
        self.account = account
        self.stride = stride
        self.run = f"{seed & 0xFFFFFFFF:08x}"
        start = session_on(first) or session_after(first)
        self.days = [start]
        while len(self.days) < sessions:
            self.days.append(session_after(self.days[-1].day))
        self.session: Session = start
        self.minute = 0
        self.now = at_exchange(start.day, 0)
        self.cash = self.broker_cash = start_cash * 1_000_000
        self.fees = 0
        self.unsettled = 0
        self.positions: dict[tuple[str, str], int] = {}
        self.broker: dict[str, int] = {}
        self.mults: dict[str, int] = {}
        self.standing = dict(holdings)
        for symbol, qty in self.standing.items():
            self.positions[("", symbol)] = self.broker[symbol] = qty
        self.deals: dict[str, Deal] = {}
        self.open_orders: dict[str, Order] = {}
        self.attempts: dict[tuple[str, str], int] = {}
        self.intents: dict[tuple[str, str], int] = {}
        self.moved = False
        self.wake: set[int] = set()
        self.friday_plan, self.long_dte, self.action_rate = friday_plan, long_dte, action_rate
        self.settings: dict[str, str | int] = dict(SETTINGS)
        for name in books:
            self.settings[f"{name}.enabled"] = "true"
            self.settings |= {f"{name}.{key}": value for key, value in BOOK_SETTINGS[name].items()}
        self.settings |= settings or {}
        self.books: list[Book] = []
        self.vix = 24.0
        self._traded: set[str] = set()
        """Symbols filled since the last mark: the next one says what they cost in that minute."""
        self._settlement: dict[tuple[str, date], int] = {}
        self._phases: dict[int, str] = {}

    # ------------------------------------------------------------------------------------------------------- writing

    def put(self, kind: str, book: str = "", /, **fields: Any) -> Record:
        record = {"v": 1, "seq": len(self.records), "time": utc_text(self.now), "kind": kind, "book": book, **fields}
        self.records.append(record)
        return record

    def position(self, symbol: str) -> int:
        return sum(qty for (_, held), qty in self.positions.items() if held == symbol)

    def price(self, symbol: str) -> int:
        return self.tape.mid(symbol, self.minute)

    def equity(self) -> int:
        return self.cash + sum(
            qty * self.price(symbol) * self.mults.get(symbol, 1) for (_, symbol), qty in self.positions.items()
        )

    def holdings(self, held: Mapping[str, int]) -> list[Record]:
        return [
            {"symbol": symbol, "qty": qty, "price_u6": self.price(symbol), "mult": self.mults.get(symbol, 1)}
            for symbol, qty in sorted(held.items())
            if qty
        ]

    def statement(self) -> None:
        """Let the broker state what it has."""
        self.moved = False
        rows = self.holdings(self.broker)
        worth = sum(row["qty"] * row["price_u6"] * row["mult"] for row in rows)
        unsettled = min(self.unsettled, max(0, self.broker_cash)) if self.account == "CASH" else 0
        self.put(
            "BROKER_STATEMENT",
            cash_u6=self.broker_cash - unsettled,
            unsettled_u6=unsettled,
            equity_u6=self.broker_cash + worth,
            holdings=rows,
            orders=sorted(self.open_orders),
        )

    def mark(self) -> None:
        working = {symbol for order in self.open_orders.values() for symbol in order.legs}
        symbols = sorted({symbol for _, symbol in self.positions} | working | self._traded)
        self._traded.clear()
        px = {symbol: self.tape.row(symbol, self.minute) for symbol in symbols}
        for underlying in {contract(symbol).underlying for symbol in symbols} - px.keys():
            px[underlying] = self.tape.bar(underlying, self.minute)
        equity = self.equity()
        used = sum(abs(qty) * self.price(symbol) for (_, symbol), qty in self.positions.items() if len(symbol) < 6)
        self.put(
            "MARK",
            px=px,
            halted=[],
            equity_u6=equity,
            engine_equity_u6=equity + self.rng.randrange(-3_000_000, 3_000_001),
            used_u6=used,
            reserved_u6=0,
            t_loss_u6=used // 7,
            c_loss_u6=used // 4,
        )

    def vix_record(self) -> None:
        self.put("VIX", value_e6=round(self.vix * 1e6), age_s=0, verdict="GOOD", regime="ELEVATED")

    # ------------------------------------------------------------------------------------------------ trades, orders

    def deal(self, book: str, number: int) -> Deal:
        name = f"{book}-{self.session.day:%Y%m%d}-{number}"
        made = self.deals[name] = Deal(name, book)
        return made

    def intent(
        self,
        deal: Deal,
        purpose: str,
        structure: str,
        legs: Mapping[str, int],
        qty: int,
        *,
        basis: str = "MAX_LOSS",
        reason: str | None = None,
        bounds: Mapping[str, int] | None = None,
        **amounts: int,
    ) -> str:
        """Write INTENT, for an opening SIZE, and the verdict that allows it."""
        key = (deal.id, purpose)
        self.intents[key] = self.intents.get(key, 0) + 1
        name = f"{deal.id}|{purpose}|{self.intents[key]}"
        rows = []
        for symbol, ratio in legs.items():
            item = contract(symbol)
            mult = self.mults.setdefault(symbol, 100 if item.is_option else 1)
            row: Record = {"symbol": symbol, "ratio": ratio, "mult": mult}
            if item.is_option:
                row |= {"right": item.right, "strike_u6": item.strike_u6, "expiry": item.expiry.isoformat()}
            rows.append(row)
        optional = {} if reason is None else {"reason": reason}
        self.put(
            "INTENT", deal.book, intent=name, trade=deal.id, purpose=purpose, structure=structure, legs=rows, qty=qty,
            risk_basis=basis, **optional, **amounts,
        )  # fmt: skip
        opening = purpose in ("OPEN", "ADD", "ROLL")
        option = any(contract(symbol).is_option for symbol in legs)
        if opening:
            sizes = dict(bounds or {"RISK": qty, "MARGIN": qty + 3})
            self.put("SIZE", deal.book, intent=name, bounds=sizes, scale_e6=1_000_000, units=qty)
        ages = {"vix_s": 0, "greeks_s": self.rng.randrange(3), "quote_s": self.rng.randrange(3)}
        self.put(
            "VERDICT", deal.book, intent=name, gate="invariants", allowed=True, reason="ALLOWED", scale_e6=1_000_000,
            ages=ages if opening and option else {}, detail={},
        )  # fmt: skip
        return name

    def refuse(self, book: str, gate: str, reason: str, **detail: str | int) -> None:
        self.put("VERDICT", book, gate=gate, allowed=False, reason=reason, scale_e6=0, ages={"vix_s": 0}, detail=detail)

    def send(
        self,
        deal: Deal,
        intent: str,
        purpose: str,
        kind: str,
        legs: Mapping[str, int],
        limit: int | None,
        deadline: int,
    ) -> Order:
        """Write ORDER_INTENT, ORDER_SENT and the broker's acknowledgement."""
        key = (deal.id, purpose)
        attempt = self.attempts[key] = self.attempts.get(key, 0) + 1
        name = f"{self.run}|{deal.id}|{purpose}|{attempt}"
        units = _gcd(legs.values())
        optional = {} if limit is None else {"limit_u6": limit}
        self.put(
            "ORDER_INTENT", deal.book, order=name, intent=intent, trade=deal.id, purpose=purpose, attempt=attempt,
            type=kind, tif="DAY", legs=[{"symbol": symbol, "qty": qty} for symbol, qty in legs.items()],
            deadline=utc_text(deadline), **optional,
        )  # fmt: skip
        self.put("ORDER_SENT", deal.book, order=name)
        order = Order(name, intent, deal.id, deal.book, purpose, dict(legs), units, limit, self.now)
        self.open_orders[name] = order
        self.event(order, "SUBMITTED")
        return order

    def event(self, order: Order, status: str, text: str = "") -> None:
        self.put("ORDER_EVENT", order.book, order=order.id, status=status, text=text)

    def fee(self, symbol: str, qty: int) -> int:
        if contract(symbol).is_option:
            return max(1_000_000, abs(qty) * 650_000)
        return max(1_000_000, abs(qty) * 5_000)

    def fill(
        self, order: Order, symbol: str, qty: int, price: int, *, late_s: int = 0, source: str = "EVENT"
    ) -> Record:
        """Book an execution; the broker has it already for source RECOVERED."""
        deal, fee, mult = self.deals[order.trade], self.fee(symbol, qty), self.mults[symbol]
        worth = -qty * price * mult
        self.cash += worth - fee
        self.fees += fee
        if source == "EVENT":
            self.execute(symbol, qty, price, fee)
        deal.cash += worth
        deal.fees += fee
        _add(deal.held, symbol, qty)
        _add(self.positions, (order.book, symbol), qty)
        order.filled[symbol] = order.filled.get(symbol, 0) + qty
        self.moved = True
        self._traded.add(symbol)
        order.fills += 1
        return self.put(
            "FILL", order.book, fill=f"{order.id}#{order.fills}", order=order.id, trade=order.trade, symbol=symbol,
            qty=qty, price_u6=price, mult=mult, fee_u6=fee, exec_time=utc_text(self.now - late_s * SECOND),
            cash_after_u6=self.cash, pos_after=self.position(symbol), source=source,
        )  # fmt: skip

    def execute(self, symbol: str, qty: int, price: int, fee: int) -> None:
        """Change the account at the broker."""
        worth = -qty * price * self.mults[symbol]
        self.broker_cash += worth - fee
        if worth > 0:
            self.unsettled += worth
        _add(self.broker, symbol, qty)

    def outcome(self, order: Order, outcome: str) -> None:
        filled = order.filled_units
        self.put("ORDER_OUTCOME", order.book, order=order.id, outcome=outcome, filled=filled, left=order.units - filled)
        if outcome != "UNRESOLVED":
            self.open_orders.pop(order.id, None)

    def move(self, deal: Deal, trigger: str, to: str, deadline: int | None = None) -> None:
        optional = {} if deadline is None else {"deadline": utc_text(deadline)}
        self.put("TRADE_STATE", deal.book, trade=deal.id, **{"from": deal.state}, trigger=trigger, to=to, **optional)
        deal.state = to

    def finish(self, deal: Deal, reason: str, trigger: str = "FLAT") -> None:
        """Close a trade that is flat."""
        self.move(deal, trigger, "CLOSED")
        self.put(
            "TRADE_CLOSED", deal.book, trade=deal.id, pnl_u6=deal.cash - deal.fees, fees_u6=deal.fees,
            risk_u6=deal.risk, reason=reason,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------------- the run

    def start(self, resumed: bool = False) -> None:
        """Write the header; resumed: the process died and goes on."""
        optional = {"resumed_from": PREVIOUS} if resumed else {}
        held = self.standing if not resumed else {}
        if not resumed:
            self.tape.begin(self.session)
        start_cash = self.cash if not resumed else 0
        books = [name for name in self.settings if name == "etf_rotation.enabled"]
        self.put(
            "RUN_STARTED", run=self.run, schema=1, engine="simulator", engine_version="1",
            start=self.days[0].day.isoformat(), end=self.days[-1].day.isoformat(), code_hash="0" * 16,
            settings=self.settings, settings_hash=settings_hash(self.settings), data_manifest="made up",
            seed=self.seed, mode=self.mode, account=self.account, brokerage="INTERACTIVE_BROKERS", currency="USD",
            start_cash_u6=start_cash, holdings=self.holdings(held), families=FAMILIES if books else {}, reasons=[],
            **optional,
        )  # fmt: skip
        self.statement()
        component = {"name": "ledger", "tier": 0, "status": "READY", "error": "", "sentence": "ready", "attempts": 1}
        self.put("INIT_REPORT", components=[component])
        if resumed:
            trades = [deal.id for deal in self.deals.values() if deal.state not in ("CLOSED", "CANCELLED")]
            self.put("RESTART", row="one valid slot", trades=trades, orders=sorted(self.open_orders))

    def simulate(self) -> list[Record]:
        """Run all sessions and return the records."""
        self.start()
        for session in self.days:
            self._run_session(session)
        self.now = at_exchange(date.fromordinal(self.session.day.toordinal() + 1), 1)
        self._expire()
        if self.moved:
            self.statement()
        counts: dict[str, int] = {}
        for record in self.records:
            counts[record["kind"]] = counts.get(record["kind"], 0) + 1
        held = {symbol: self.position(symbol) for _, symbol in self.positions}
        self.put(
            "RUN_ENDED", reason="COMPLETED", counts=counts, cash_u6=self.cash, equity_u6=self.equity(),
            fees_u6=self.fees, holdings=self.holdings(held), orders=sorted(self.open_orders),
        )  # fmt: skip
        return self.records

    def _run_session(self, session: Session) -> None:
        self.session, self.minute = session, 0
        if session is not self.days[0]:
            self.tape.begin(session)
        self.now = session.open_us - 30 * MINUTE
        self.unsettled = 0
        self._open(early=self.rng.random() < 0.5)
        minutes = (session.close_us - session.open_us) // MINUTE
        self.wake = {1, 5, minutes - 30, minutes - 15, minutes - 5, minutes}
        for book in self.books:
            book.begin()
        self._phases = _phases(minutes)
        restart_at = self.rng.randrange(20, minutes - 20) if self.mode == "PAPER" and self.rng.random() < 0.3 else -1
        for minute in range(1, minutes + 1):
            if minute % self.stride and minute not in self.wake:
                continue
            if minute > restart_at > 0 and not self.open_orders:
                self._restart()
                restart_at = -1
            self._step(minute, minutes)
        self._close()

    def _open(self, early: bool) -> None:
        """Open a session; early: the broker's statement comes before the settlements are folded."""
        session = self.session
        if not early:
            self._expire()
        self._session_record("SESSION_OPENED")
        if early:
            self.statement()
            self._expire()
        for symbol in sorted(self.standing):
            if self.rng.random() < self.action_rate and session is not self.days[0]:
                self._corporate_action(symbol)
        if not early or self.moved:
            self.statement()
        self.put("PHASE", phase="PRE_OPEN")
        self.put("VIX", age_s=86_400, verdict="UNKNOWN", regime="UNKNOWN")

    def _session_record(self, kind: str, **fields: Any) -> None:
        session = self.session
        self.put(
            kind, date=session.day.isoformat(), open_time=utc_text(session.open_us),
            close_time=utc_text(session.close_us), half_day=session.half_day, **fields,
        )  # fmt: skip

    def _expire(self) -> None:
        """Settle what expired before today: the broker did it in the night."""
        for (book, symbol), qty in sorted(self.positions.items()):
            item = contract(symbol)
            value = self._settlement.get((item.underlying, item.expiry))
            if value is None:
                continue
            worth = item.intrinsic_u6(value)
            cash = worth * qty * self.mults[symbol]
            self.put(
                "EXPIRY", book, symbol=symbol, qty=-qty, result="CASH" if worth else "WORTHLESS", price_u6=value,
                cash_u6=cash,
            )  # fmt: skip
            self.cash += cash
            del self.positions[(book, symbol)]
            self.moved = True
            for deal in self.deals.values():
                if deal.book == book and symbol in deal.held:
                    deal.cash += cash
                    del deal.held[symbol]
                    if not deal.held:
                        self.finish(deal, "EXPIRED", "SETTLED")

    def _settle_at_broker(self) -> None:
        """In the night the broker settles at the index's last regular value."""
        for symbol, qty in list(self.broker.items()):
            item = contract(symbol)
            if item.expiry != self.session.day:
                continue
            value = round(self.tape.spot(item.underlying, 10_000) * 100) * 10_000
            self._settlement[(item.underlying, item.expiry)] = value
            self.broker_cash += item.intrinsic_u6(value) * qty * self.mults[symbol]
            del self.broker[symbol]

    def _corporate_action(self, symbol: str) -> None:
        """A split before the open, or a dividend."""
        held = self.positions[("", symbol)]
        if self.rng.random() < 0.5:
            num, den = self.rng.choice([(2, 1), (3, 2), (1, 2)])
            self.put("SPLIT", symbol=symbol, num=num, den=den)
            after = held * num // den
            rest = held * num - after * den
            self.positions[("", symbol)] = self.broker[symbol] = self.standing[symbol] = after
            self.tape.split(symbol, num, den)
            self.tape.begin(self.session)
            if rest:
                self._flow("CASH_IN_LIEU", rest * self.price(symbol) // den)
        else:
            self._flow("DIVIDEND", held * 310_000)

    def _flow(self, kind: str, amount: int) -> None:
        self.put("CASH_FLOW", type=kind, amount_u6=amount)
        self.cash += amount
        self.broker_cash += amount
        self.moved = True

    def _restart(self) -> None:
        """The process dies between two steps and comes back in the same session."""
        self.now += self.rng.randrange(5, 40) * SECOND
        self.put("STATE_SAVED", slot="a", state_seq=len(self.records), sha256="ab" * 32)
        self.start(resumed=True)
        self._session_record("SESSION_OPENED")

    def _step(self, minute: int, minutes: int) -> None:
        self.minute, self.now = minute, self.session.open_us + minute * MINUTE
        phase = self._phases.pop(minute, None)
        if phase is not None:
            self.put("PHASE", phase=phase)
            if phase == "OPENING":
                self.vix_record()
        for book in self.books:
            book.fold()
        if self.positions or self.open_orders or self._traded or minute == 1:
            self.mark()
        if minute < minutes:
            for book in self.books:
                book.step()
        if self.moved:
            self.statement()

    def _close(self) -> None:
        for book in self.books:
            counts = {"OUTSIDE_WINDOW": self.rng.randrange(390)}
            self.put("FUNNEL", book.name, strategy=book.name, date=self.session.day.isoformat(), counts=counts)
        if self.rng.random() < 0.2:
            self.put(
                "HEALTH",
                component="chain",
                status="READY",
                calls=390,
                failures=0,
                last_good=utc_text(self.now),
                age_s=0,
            )
        if self.records[-1]["kind"] != "MARK":
            self.mark()
        self.statement()
        self._session_record("SESSION_CLOSED", cash_u6=self.cash, equity_u6=self.equity())
        self.put("ANCHOR", head_seq=len(self.records) - 1, head_hash=PREVIOUS, channel="notification")
        self._settle_at_broker()
        self.tape.end()


def _phases(minutes: int) -> dict[int, str]:
    return {
        1: "OPENING", 5: "REGULAR", minutes - 30: "LATE", minutes - 15: "FLATTEN", minutes - 5: "FINAL",
        minutes: "CLOSED",
    }  # fmt: skip


def _add(held: dict[Any, int], key: Any, qty: int) -> None:
    after = held.get(key, 0) + qty
    if after:
        held[key] = after
    else:
        held.pop(key, None)


def _gcd(values: Iterable[int]) -> int:
    return gcd(*values)
