"""The ETF rotation book as the page shows it, folded from the ledger alone: every minute of every session, what was
held and why, and the six principles with the worst value that each of them came to.

Nothing is taken from the monitor that watched the run but its count of breaches; the worst values are computed here
again, from fills and marks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean
from typing import Any

from tools.ledger_reader import U6, Ledger, Record, exchange_time
from tools.reason_texts import reason_text

BOOK = "etf_rotation"
SETTING = f"{BOOK}."
CASH = "CASH"
HELD_CODES: Mapping[str, int] = {CASH: 0, "QQQ": 1, "TQQQ": 2, "PSQ": -1, "SQQQ": -2}
LEAST_MINUTES = 30
"""Fewer minutes are no evidence of how well a target was filled."""
LEAST_UTILISATION = 0.80
_ADDS = ("OPEN", "ADD")
_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Round:
    """One holding, from first fill to flat."""

    trade: str
    symbol: str
    opened: str
    qty: int
    paid_usd: float
    closed: str = ""
    got_usd: float = 0.0
    pnl_usd: float | None = None
    why: str = ""


@dataclass(slots=True)
class Day:
    """One session, minute by minute: index 0 is the minute that ends one minute after the open."""

    date: str
    open: datetime
    minutes: int
    half_day: bool
    probability: list[float | None]
    held: list[int]
    used: list[float | None]
    """Held value / target value in minutes in which a target was wanted and nothing refused it."""
    rounds: list[Round] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    opens: int = 0
    fees_usd: float = 0.0
    is_flat: bool = True

    @property
    def pnl_usd(self) -> float:
        return sum(known.pnl_usd or 0.0 for known in self.rounds)

    @property
    def utilisation(self) -> float | None:
        """Mean share of its target value that was held; None where there were too few minutes to tell."""
        known = [value for value in self.used if value is not None]
        return fmean(known) if len(known) >= LEAST_MINUTES else None

    @property
    def minutes_held(self) -> int:
        return sum(code != 0 for code in self.held)

    @property
    def why_not(self) -> list[tuple[str, str, int]]:
        """Reason, its words and minutes, most frequent first; what was done is left out."""
        done = {"HELD", "OPENED", "AT_WORK", "ALLOWED"}
        ordered = sorted(self.outcomes.items(), key=lambda item: (-item[1], item[0]))
        return [(reason, reason_text(reason), count) for reason, count in ordered if reason not in done]


@dataclass(frozen=True, slots=True)
class PrincipleRow:
    """One principle: its statement, its limit, the worst that was seen, and who counted a breach."""

    name: str
    statement: str
    limit: str
    worst: str
    breaches: int
    audited: int | None

    @property
    def holds(self) -> bool:
        return not self.breaches and not self.audited


@dataclass(slots=True)
class Rotation:
    """Everything the page says of the book."""

    settings: Mapping[str, float]
    source: str
    days: list[Day] = field(default_factory=list)
    breaches: Counter[str] = field(default_factory=Counter)
    lowest_cash_usd: float | None = None
    most_sides: int = 0
    most_opens: int = 0
    lowest_qty: int = 0
    most_overnight: int = 0

    @property
    def rounds(self) -> list[Round]:
        return [known for day in self.days for known in day.rounds]

    @property
    def pnl_usd(self) -> float:
        return sum(day.pnl_usd for day in self.days)

    @property
    def fees_usd(self) -> float:
        return sum(day.fees_usd for day in self.days)

    @property
    def flat_days(self) -> int:
        return sum(day.is_flat for day in self.days)

    @property
    def held_share(self) -> float:
        """Share of all session minutes with a holding."""
        total = sum(day.minutes for day in self.days)
        return sum(day.minutes_held for day in self.days) / total if total else 0.0

    def principles(self, audit: Mapping[str, int] | None) -> list[PrincipleRow]:
        """Return the six rows; audit holds the auditor's occurrences by rule, None where it has not judged."""

        def audited(*rules: str) -> int | None:
            return None if audit is None else sum(audit.get(rule, 0) for rule in rules)

        used = [value for day in self.days if (value := day.utilisation) is not None]
        cash = "no fill" if self.lowest_cash_usd is None else f"${self.lowest_cash_usd:,.2f}"
        sides = {0: "nothing held", 1: "one side"}.get(self.most_sides, "both sides at once")
        return [
            PrincipleRow("P1", "Account cash, fees in, is never borrowed", "at least -$1.00", f"lowest {cash}",
                         self.breaches["P1"], audited("AU-40")),
            PrincipleRow("P2", "Long and inverse shares are never held together", "one side", sides,
                         self.breaches["P2"], audited("AU-41", "AU-42")),
            PrincipleRow("P3", "At most one opening a bar", "1", f"{self.most_opens} in the busiest bar",
                         self.breaches["P3"], audited("AU-43")),
            PrincipleRow("P4", "No share is ever sold short", "0 shares", f"lowest quantity {self.lowest_qty}",
                         self.breaches["P4"], audited("AU-44")),
            PrincipleRow("P5", "Nothing held or working from two minutes after the close", "0 shares",
                         f"{self.most_overnight} shares, {self.flat_days} of {len(self.days)} closes flat",
                         self.breaches["P5"], audited("AU-45")),
            PrincipleRow("P6", "What is wanted is also held: session mean of held / target value", "at least 80 %",
                         f"lowest {min(used):.0%}" if used else "no session with enough minutes",
                         self.breaches["P6"], audited("AU-46")),
        ]  # fmt: skip


def rotation_of(ledger: Ledger) -> Rotation | None:
    """Return the book's content of a run, None where the run is without it."""
    header = ledger.header
    if header is None or not any(record["kind"] == "SIGNAL" for record in ledger.records):
        return None
    settings = header["settings"]
    numbers = {
        name: float(settings[f"{SETTING}{name}"])
        for name in ("enter_1x_prob", "enter_3x_prob", "leave_1x_prob", "leave_3x_prob")
        if f"{SETTING}{name}" in settings
    }
    rotation = Rotation(numbers, str(settings.get(f"{SETTING}signal.source", "")))
    fold = _Fold(rotation, header)
    for record in ledger.records:
        fold.take(record)
    return rotation


class _Fold:
    """One pass over the records."""

    def __init__(self, rotation: Rotation, header: Record) -> None:
        self._rotation = rotation
        sides = header["families"]
        self._sides = [frozenset(members) for members in sides.values()]
        self._symbols = frozenset().union(*self._sides)
        self._day: Day | None = None
        self._close: datetime | None = None
        self._held: Counter[str] = Counter()
        self._working: dict[str, str] = {}
        self._opens: defaultdict[datetime, set[str]] = defaultdict(set)
        self._fills: defaultdict[datetime, set[str]] = defaultdict(set)
        self._filled_intents: set[str] = set()
        self._orders: dict[str, Record] = {}
        self._rounds: dict[str, Round] = {}
        self._budget = 0.0
        self._budget_equity: float | None = None
        self._equity: float | None = None
        self._wanted: tuple[datetime, int] | None = None
        """Step and minute in which a target other than CASH was wanted, until the step is over."""
        self._refused_at: datetime | None = None
        self._bounded = False
        self._prices: dict[str, float] = {}
        self._phase = ""
        self._handlers = {
            "SESSION_OPENED": self._session_opened,
            "PHASE": self._phase_changed,
            "SIGNAL": self._signal,
            "MARK": self._mark,
            "INTENT": self._intent,
            "SIZE": self._size,
            "VERDICT": self._verdict,
            "ORDER_INTENT": self._order_intent,
            "ORDER_SENT": self._order_sent,
            "ORDER_OUTCOME": self._order_outcome,
            "FILL": self._fill,
            "SPLIT": self._split,
            "TRADE_CLOSED": self._trade_closed,
            "BREACH": self._breach,
            "FUNNEL": self._funnel,
        }

    def take(self, record: Record) -> None:
        handler = self._handlers.get(record["kind"])
        at = exchange_time(record)
        if self._close is not None and at >= self._close + 2 * _MINUTE:
            self._night()
        if self._wanted is not None and at > self._wanted[0]:
            self._use(*self._wanted)
            self._wanted = None
        if handler is not None:
            handler(record, at)

    # ----------------------------------------------------------------------------------------------------- the session

    def _session_opened(self, record: Record, _at: datetime) -> None:
        opened, closed = exchange_time(record, "open_time"), exchange_time(record, "close_time")
        minutes = (closed - opened) // _MINUTE
        self._day = Day(
            str(record["date"]), opened, minutes, bool(record["half_day"]), [None] * minutes, [0] * minutes,
            [None] * minutes,
        )  # fmt: skip
        self._close = closed
        self._rotation.days.append(self._day)

    def _night(self) -> None:
        """What is left when everything must be gone."""
        left = sum(abs(qty) for qty in self._held.values())
        self._rotation.most_overnight = max(self._rotation.most_overnight, left)
        if self._day is not None:
            self._day.is_flat = left == 0
        self._close = None

    def _phase_changed(self, record: Record, _at: datetime) -> None:
        self._phase = str(record["phase"])

    def _place(self, at: datetime) -> int | None:
        """Return the index of the minute that ends at a moment."""
        if self._day is None:
            return None
        place = (at - self._day.open) // _MINUTE - 1
        return place if 0 <= place < self._day.minutes else None

    def _signal(self, record: Record, at: datetime) -> None:
        place = self._place(exchange_time(record, "bar_time"))
        if self._day is None or place is None:
            return
        self._day.probability[place] = record["p_e6"] / U6 if "p_e6" in record else None
        self._day.held[place] = HELD_CODES.get(str(record["held"]), 0)
        if record["target"] != CASH and self._phase in ("OPENING", "REGULAR"):
            self._wanted = (at, place)

    def _use(self, at: datetime, place: int) -> None:
        """Note how much of the target's value was held when the step of a wanted target had ended."""
        if self._day is None or self._refused_at == at or self._bounded or not self._budget or self._equity is None:
            return
        held = sum(qty * self._prices.get(symbol, 0.0) for symbol, qty in self._held.items())
        value = self._budget * (self._equity / self._budget_equity if self._budget_equity else 1.0)
        self._day.used[place] = held / value

    # ------------------------------------------------------------------------------------------------- money and shares

    def _mark(self, record: Record, _at: datetime) -> None:
        self._equity = record["equity_u6"] / U6
        # Bid, else the last price: what a sale would bring.
        self._prices = {symbol: (px[0] or px[2]) / U6 for symbol, px in record["px"].items()}

    def _intent(self, record: Record, _at: datetime) -> None:
        if record["book"] == BOOK and record["purpose"] in _ADDS and "budget_u6" in record:
            self._budget, self._budget_equity = record["budget_u6"] / U6, self._equity

    def _size(self, record: Record, _at: datetime) -> None:
        if record["book"] == BOOK:
            bounds = record["bounds"]
            self._bounded = record["units"] < bounds.get("TARGET", record["units"])

    def _verdict(self, record: Record, at: datetime) -> None:
        if record["book"] == BOOK and not record["allowed"]:
            self._refused_at = at

    def _order_intent(self, record: Record, _at: datetime) -> None:
        if record["book"] == BOOK:
            self._orders[str(record["order"])] = record

    def _order_sent(self, record: Record, at: datetime) -> None:
        order = self._orders.get(str(record["order"]))
        if order is None or order["purpose"] not in _ADDS:
            return
        self._working[str(record["order"])] = str(order["legs"][0]["symbol"])
        bar = self._opens[at]
        bar.add(str(order["intent"]))
        self._rotation.most_opens = max(self._rotation.most_opens, len(bar))
        if self._day is not None:
            self._day.opens += len(bar) == 1
        self._count_sides()

    def _order_outcome(self, record: Record, _at: datetime) -> None:
        self._working.pop(str(record["order"]), None)

    def _count_sides(self) -> None:
        """An opening at work counts as held."""
        present = {symbol for symbol, qty in self._held.items() if qty} | set(self._working.values())
        sides = sum(bool(present & side) for side in self._sides)
        self._rotation.most_sides = max(self._rotation.most_sides, sides)

    def _fill(self, record: Record, at: datetime) -> None:
        rotation, cash = self._rotation, record["cash_after_u6"] / U6
        rotation.lowest_cash_usd = cash if rotation.lowest_cash_usd is None else min(rotation.lowest_cash_usd, cash)
        if record["book"] != BOOK:
            return
        symbol, qty = str(record["symbol"]), int(record["qty"])
        self._held[symbol] += qty
        rotation.lowest_qty = min(rotation.lowest_qty, self._held[symbol])
        order = self._orders.get(str(record["order"]))
        if order is not None and order["purpose"] in _ADDS and order["intent"] not in self._filled_intents:
            self._filled_intents.add(str(order["intent"]))
            bar = self._fills[exchange_time(record, "exec_time")]
            bar.add(str(order["intent"]))
            rotation.most_opens = max(rotation.most_opens, len(bar))
        self._count_sides()
        self._round(record, symbol, qty, at)

    def _round(self, record: Record, symbol: str, qty: int, at: datetime) -> None:
        value = -qty * record["price_u6"] * record["mult"] / U6
        known = self._rounds.get(str(record["trade"]))
        if known is None:
            known = self._rounds[str(record["trade"])] = Round(str(record["trade"]), symbol, f"{at:%H:%M}", 0, 0.0)
            if self._day is not None:
                self._day.rounds.append(known)
        if qty > 0:
            known.qty += qty
            known.paid_usd -= value
        else:
            known.got_usd += value
        if self._day is not None:
            self._day.fees_usd += record["fee_u6"] / U6

    def _split(self, record: Record, _at: datetime) -> None:
        symbol = str(record["symbol"])
        if self._held[symbol]:
            self._held[symbol] = self._held[symbol] * record["num"] // record["den"]

    def _trade_closed(self, record: Record, at: datetime) -> None:
        known = self._rounds.get(str(record["trade"]))
        if known is not None:
            known.closed, known.pnl_usd = f"{at:%H:%M}", record["pnl_u6"] / U6
            known.why = reason_text(str(record["reason"]), BOOK)

    # ------------------------------------------------------------------------------------------------------- the watch

    def _breach(self, record: Record, _at: datetime) -> None:
        self._rotation.breaches[str(record["principle"])] += 1

    def _funnel(self, record: Record, _at: datetime) -> None:
        if record["strategy"] == BOOK and self._day is not None:
            self._day.outcomes = {str(reason): int(count) for reason, count in record["counts"].items()}


def occurrences(audit: Mapping[str, Any]) -> dict[str, int]:
    """Return how often each rule of audit.json was broken, warnings in."""
    rules: Sequence[Mapping[str, Any]] = audit.get("rules", ())
    return {str(rule["id"]): int(rule["occurrences"]) + int(rule.get("warnings", 0)) for rule in rules}
