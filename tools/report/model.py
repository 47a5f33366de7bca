"""What the page shows, folded from the ledger: series, trades, funnel, health.  No figure comes from anywhere else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tools.ledger_reader import U6, Ledger, Record, exchange_time
from tools.reason_texts import reason_text
from tools.sentences import sentence

OPENED = "OPENED"
OUTSIDE = "OUTSIDE_WINDOW"


@dataclass(slots=True)
class Series:
    """Points of one line; times are exchange time without zone, as a chart wants them."""

    x: list[str] = field(default_factory=list)
    y: list[float | str] = field(default_factory=list)

    def add(self, at: datetime, value: float | str) -> None:
        self.x.append(at.strftime("%Y-%m-%d %H:%M:%S"))
        self.y.append(value)


@dataclass(slots=True)
class TradeView:
    """One trade as a reader wants it: what, when, result, and its story record by record."""

    id: str
    strategy: str
    structure: str
    units: int
    risk_usd: float | None
    legs: list[str]
    planned: str
    opened: str = ""
    closed: str = ""
    state: str = "PLANNED"
    reason: str = ""
    pnl_usd: float | None = None
    fees_usd: float = 0.0
    credit_points: float | None = None
    story: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def is_filled(self) -> bool:
        return bool(self.opened)


@dataclass(slots=True)
class FunnelRow:
    """Refusals of one strategy by one reason."""

    strategy: str
    gate: str
    reason: str
    text: str
    count: int
    sessions: int


@dataclass(slots=True)
class View:
    """Everything on the page."""

    header: Record
    equity: Series = field(default_factory=Series)
    drawdown: Series = field(default_factory=Series)
    vix: Series = field(default_factory=Series)
    regime: Series = field(default_factory=Series)
    state: Series = field(default_factory=Series)
    used: Series = field(default_factory=Series)
    crash: Series = field(default_factory=Series)
    trades: dict[str, TradeView] = field(default_factory=dict)
    funnel: list[FunnelRow] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    components: list[Mapping[str, Any]] = field(default_factory=list)
    alerts: list[tuple[str, str, str, str]] = field(default_factory=list)
    breaks: int = 0
    statements: int = 0
    quarantined: int = 0
    end: Record | None = None

    @property
    def closed(self) -> list[TradeView]:
        return [trade for trade in self.trades.values() if trade.pnl_usd is not None]

    @property
    def wins(self) -> int:
        return sum((trade.pnl_usd or 0) > 0 for trade in self.closed)

    @property
    def losses(self) -> int:
        return sum((trade.pnl_usd or 0) <= 0 for trade in self.closed)


def fold(ledger: Ledger) -> View:
    """Return the page's content of a run."""
    header = ledger.header
    view = View(header if header is not None else {})
    folder = _Folder(view)
    for record in ledger.records:
        folder.take(record)
    folder.finish()
    return view


class _Folder:
    """One pass over the records."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._peak = 0.0
        self._refused: Counter[tuple[str, str, str]] = Counter()
        self._sessions: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
        self._trade_of_order: dict[str, str] = {}
        self._trade_of_intent: dict[str, str] = {}
        self._handlers = {
            "RUN_STARTED": self._run_started,
            "MARK": self._mark,
            "SESSION_CLOSED": self._session_closed,
            "RUN_ENDED": self._run_ended,
            "VIX": self._vix,
            "TRADING_STATE": self._trading_state,
            "INTENT": self._intent,
            "VERDICT": self._verdict,
            "ORDER_INTENT": self._order_intent,
            "FILL": self._fill,
            "TRADE_STATE": self._trade_state,
            "TRADE_CLOSED": self._trade_closed,
            "INIT_REPORT": self._init_report,
            "COMPONENT": self._component,
            "ALERT": self._alert,
            "BREAK": self._break,
            "FUNNEL": self._funnel,
        }

    def take(self, record: Record) -> None:
        handler = self._handlers.get(record["kind"])
        if handler is not None:
            handler(record, exchange_time(record))
        self._view.statements += record["kind"] == "BROKER_STATEMENT"
        self._view.quarantined += record["kind"] == "EVENT_QUARANTINED"
        self._tell(record)

    def _tell(self, record: Record) -> None:
        """Add the record to the story of the trade that it belongs to."""
        trade = record.get("trade") or self._trade_of_order.get(str(record.get("order")))
        trade = trade or self._trade_of_intent.get(str(record.get("intent")))
        known = self._view.trades.get(str(trade))
        if known is None:
            return
        text = sentence(record)
        if text is not None:
            known.story.append((exchange_time(record).strftime("%a %d %b %H:%M"), str(record["kind"]), text))

    # ------------------------------------------------------------------------------------------------------ the series

    def _equity(self, at: datetime, usd: float) -> None:
        self._peak = max(self._peak, usd)
        self._view.equity.add(at, round(usd, 2))
        self._view.drawdown.add(at, round((usd / self._peak - 1) * 100, 4) if self._peak > 0 else 0.0)

    def _run_started(self, record: Record, at: datetime) -> None:
        if not self._view.equity.x:
            self._equity(at, record["start_cash_u6"] / U6)
            self._view.state.add(at, "ACTIVE")

    def _mark(self, record: Record, at: datetime) -> None:
        equity = record["equity_u6"] / U6
        self._equity(at, equity)
        if equity > 0:
            self._view.used.add(at, round((record["used_u6"] + record["reserved_u6"]) / U6 / equity * 100, 3))
            self._view.crash.add(at, round(record["c_loss_u6"] / U6 / equity * 100, 3))

    def _session_closed(self, record: Record, at: datetime) -> None:
        if "equity_u6" in record:
            self._equity(at, record["equity_u6"] / U6)

    def _run_ended(self, record: Record, at: datetime) -> None:
        self._view.end = record
        self._equity(at, record["equity_u6"] / U6)
        self._view.state.add(at, str(self._view.state.y[-1]) if self._view.state.y else "ACTIVE")

    def _vix(self, record: Record, at: datetime) -> None:
        if "value_e6" in record:
            self._view.vix.add(at, record["value_e6"] / U6)
        self._view.regime.add(at, str(record["regime"]))

    def _trading_state(self, record: Record, at: datetime) -> None:
        if record["scope"] == "ACCOUNT":
            self._view.state.add(at, str(record["to"]))

    # ------------------------------------------------------------------------------------------------------ the trades

    def _intent(self, record: Record, at: datetime) -> None:
        trade = str(record["trade"])
        self._trade_of_intent[str(record["intent"])] = trade
        if record["purpose"] != "OPEN" or trade in self._view.trades:
            return
        risk = record.get("max_loss_u6", record.get("t_loss_u6"))
        self._view.trades[trade] = TradeView(
            trade,
            str(record["book"]),
            str(record["structure"]).replace("_", " ").lower(),
            int(record["qty"]),
            None if risk is None else risk / U6,
            [_leg(leg) for leg in record["legs"]],
            at.strftime("%Y-%m-%d %H:%M:%S"),
        )

    def _order_intent(self, record: Record, _at: datetime) -> None:
        self._trade_of_order[str(record["order"])] = str(record["trade"])

    def _fill(self, record: Record, at: datetime) -> None:
        trade = self._view.trades.get(str(record["trade"]))
        if trade is None:
            return
        trade.fees_usd += record["fee_u6"] / U6
        if not trade.opened:
            trade.opened = at.strftime("%Y-%m-%d %H:%M:%S")
        if "|OPEN|" in str(record["order"]):
            cash = -record["qty"] * record["price_u6"] / U6 / max(1, trade.units)
            trade.credit_points = (trade.credit_points or 0.0) + cash

    def _trade_state(self, record: Record, at: datetime) -> None:
        trade = self._view.trades.get(str(record["trade"]))
        if trade is not None:
            trade.state = str(record["to"])
            if trade.state in ("CLOSED", "CANCELLED"):
                trade.closed = at.strftime("%Y-%m-%d %H:%M:%S")

    def _trade_closed(self, record: Record, _at: datetime) -> None:
        trade = self._view.trades.get(str(record["trade"]))
        if trade is not None:
            trade.pnl_usd = record["pnl_u6"] / U6
            trade.reason = str(record["reason"])

    # ------------------------------------------------------------------------------------------------ funnel and health

    def _verdict(self, record: Record, at: datetime) -> None:
        if record["allowed"]:
            return
        key = (str(record["book"]), str(record["gate"]), str(record["reason"]))
        self._refused[key] += 1
        self._sessions[key].add(at.date().isoformat())

    def _funnel(self, record: Record, _at: datetime) -> None:
        found = self._view.outcomes.setdefault(str(record["strategy"]), Counter())
        found.update({str(reason): int(count) for reason, count in record["counts"].items()})

    def _init_report(self, record: Record, _at: datetime) -> None:
        self._view.components = [dict(item) for item in record["components"]]

    def _component(self, record: Record, _at: datetime) -> None:
        for item in self._view.components:
            if item["name"] == record["name"]:
                item.update(status=record["status"], sentence=record["sentence"], attempts=record["attempts"])  # type: ignore[attr-defined]

    def _alert(self, record: Record, at: datetime) -> None:
        when = at.strftime("%Y-%m-%d %H:%M")
        self._view.alerts.append((when, str(record["severity"]), str(record["code"]), str(record["text"])))

    def _break(self, record: Record, _at: datetime) -> None:
        self._view.breaks += record["status"] == "OPEN"

    def finish(self) -> None:
        rows = [
            FunnelRow(book, gate, reason, reason_text(reason), count, len(self._sessions[(book, gate, reason)]))
            for (book, gate, reason), count in self._refused.items()
        ]
        self._view.funnel = sorted(rows, key=lambda row: (row.strategy, -row.count, row.reason))


def _leg(leg: Mapping[str, Any]) -> str:
    side = "sell" if leg["ratio"] < 0 else "buy"
    if "strike_u6" not in leg:
        return f"{side} {abs(leg['ratio'])} {leg['symbol']}"
    right = "call" if leg["right"] == "C" else "put"
    root = str(leg["symbol"])[:6].strip()
    return f"{side} {abs(leg['ratio'])} {root} {leg['expiry']} {leg['strike_u6'] / U6:g} {right}"


def by_strategy(trades: Sequence[TradeView]) -> dict[str, float]:
    """Return the summed result per strategy, USD."""
    totals: defaultdict[str, float] = defaultdict(float)
    for trade in trades:
        totals[trade.strategy] += trade.pnl_usd or 0.0
    return dict(sorted(totals.items()))
