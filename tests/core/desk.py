"""A desk for tests: a real ledger, real books, a store in memory, and records as the gateway writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from core.books import Books
from core.errors import LedgerError
from core.intents import record_intent
from core.ledger import Ledger
from core.ledger_kinds import Fold, Kind
from core.ledger_sink import PREFIX, ChunkedSink
from core.trade_machine import TradeState, Trigger
from core.trades import Trade
from core.vocabulary import (
    Instrument,
    Intent,
    IntentKind,
    Ladder,
    Leg,
    Purpose,
    Right,
    RiskBasis,
    Structure,
    StructureName,
    UnitRisk,
)

DAY = date(2025, 11, 21)
RUN = "0a1b2c3d"
BOOK = "friday_0dte"
CASH_U6 = 100_000_000_000
FEE_U6 = 1_310_000


def at(hour: int, minute: int = 0, second: int = 0, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute, second))


def contract(right: Right, strike: float, expiry: date = DAY, root: str = "SPXW") -> Instrument:
    text = f"{root:<6}{expiry:%y%m%d}{right.value}{round(strike * 1000):08d}"
    return Instrument(text, "SPX" if root == "SPXW" else root, 100, 0.05, right, strike, expiry)


def put(strike: float, expiry: date = DAY) -> Instrument:
    return contract(Right.PUT, strike, expiry)


def call(strike: float, expiry: date = DAY) -> Instrument:
    return contract(Right.CALL, strike, expiry)


def structure(*legs: tuple[Instrument, int], name: StructureName = StructureName.LEGS) -> Structure:
    return Structure(name, tuple(Leg(instrument, ratio) for instrument, ratio in legs))


def put_spread(short: float = 5_900.0, width: float = 5.0) -> Structure:
    return structure((put(short), -1), (put(short - width), 1), name=StructureName.PUT_SPREAD)


def condor(expiry: date = DAY) -> Structure:
    return structure(
        (put(5_895, expiry), 1),
        (put(5_900, expiry), -1),
        (call(6_000, expiry), -1),
        (call(6_005, expiry), 1),
        name=StructureName.IRON_CONDOR,
    )


def one_one_two() -> Structure:
    """Long one put, short one below it, short two far below: the two are declared naked."""
    return structure((put(5_900), 1), (put(5_850), -1), (put(5_700), -2), name=StructureName.ONE_ONE_TWO)


def tell(fold: Fold, kind: Kind, book: str, fields: Mapping[str, Any], time: datetime) -> None:
    """Let a fold take one record in."""
    for take in fold(kind):
        take(book, fields, time)


class MemoryStore:
    """Blobs in memory; told so, it refuses to write, or tears the next write at a byte."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.durable_keys: list[str] = []
        self.refuses = False
        self.tear_at: int | None = None

    def read(self, key: str) -> bytes | None:
        return self.blobs.get(key)

    def save(self, key: str, payload: bytes) -> None:
        if self.refuses:
            raise OSError("the disk is full")
        if self.tear_at is not None:
            self.blobs[key] = payload[: self.tear_at]
            raise SystemExit("the process dies while it writes")
        self.blobs[key] = payload

    def durable(self, key: str, payload: bytes) -> None:
        self.save(key, payload)
        self.durable_keys.append(key)

    def keys(self, prefix: str) -> Sequence[str]:
        return sorted(key for key in self.blobs if key.startswith(prefix))

    def chunks(self, run: str = RUN) -> list[bytes]:
        return [self.blobs[key] for key in self.keys(f"{PREFIX}/{run}/ledger-")]

    def joined(self, run: str = RUN) -> bytes:
        return b"".join(self.chunks(run))


class Desk:
    """Writes records; `now` moves on by hand."""

    def __init__(self, *, live: bool = False, cash_u6: int = CASH_U6, now: datetime | None = None) -> None:
        self.store = MemoryStore()
        self.books = Books()
        self.ledger = Ledger(ChunkedSink(self.store, RUN, careful=live), self.books.takes, durable_orders=live)
        self.now = at(9) if now is None else now
        self.start(cash_u6)

    def start(
        self, cash_u6: int, holdings: Sequence[Mapping[str, object]] = (), resumed_from: str | None = None
    ) -> None:
        optional = {} if resumed_from is None else {"resumed_from": resumed_from}
        self.ledger.append(
            Kind.RUN_STARTED,
            "",
            self.now,
            run=RUN,
            schema=1,
            engine="embedded",
            engine_version="0.1",
            start=DAY,
            end=DAY,
            code_hash="c",
            settings={"orders.ladder_step_s": 60},
            settings_hash="s",
            data_manifest="d",
            seed=7,
            mode="BACKTEST",
            account="MARGIN",
            brokerage="INTERACTIVE_BROKERS",
            currency="USD",
            start_cash_u6=cash_u6,
            holdings=list(holdings),
            families={},
            reasons=[],
            **optional,
        )

    def wait(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now

    # ------------------------------------------------------------------------------------------------------- trades

    def plan(
        self,
        legs: Structure | None = None,
        *,
        units: int = 1,
        strategy: str = BOOK,
        risk_usd: float = 500.0,
        basis: RiskBasis = RiskBasis.MAX_LOSS,
    ) -> Trade:
        """Write INTENT of an opening; risk_usd is of one unit."""
        number = self.books.trades_named_on(strategy, self.now.date()) + 1
        name = f"{strategy}-{self.now:%Y%m%d}-{number}"
        risk = UnitRisk(basis, 500.0, 500.0)
        intent = Intent(IntentKind.OPEN, strategy, legs or put_spread(), Ladder.ENTRY, name, units, risk=risk)
        field = "t_loss_u6" if basis is RiskBasis.STRESS else "max_loss_u6"
        amounts = {} if basis is RiskBasis.FAMILY else {field: round(risk_usd * 1e6) * units}
        record_intent(self.ledger, intent, f"{name}|OPEN|1", Purpose.OPEN, self.now, **amounts)
        return self.books.trade(name)

    def intend(self, trade: Trade, purpose: Purpose, reason: str) -> None:
        """Write INTENT of a closing of all that is held."""
        rows = [{"symbol": symbol, "ratio": -qty, "mult": 100} for symbol, qty in sorted(trade.legs.items())]
        self.ledger.append(
            Kind.INTENT,
            trade.strategy,
            self.now,
            intent=f"{trade.id}|{purpose.value}|1",
            trade=trade.id,
            purpose=purpose,
            reason=reason,
            structure="LEGS",
            legs=rows,
            qty=1,
            risk_basis="MAX_LOSS",
        )

    def order(self, trade: Trade, legs: Mapping[str, int], purpose: Purpose = Purpose.OPEN) -> str:
        attempt = self.books.attempts(trade.id, purpose) + 1
        order = f"{RUN}|{trade.id}|{purpose.value}|{attempt}"
        self.ledger.append(
            Kind.ORDER_INTENT,
            trade.strategy,
            self.now,
            order=order,
            intent=f"{trade.id}|{purpose.value}|1",
            trade=trade.id,
            purpose=purpose,
            attempt=attempt,
            type="COMBO_LIMIT",
            tif="DAY",
            limit_u6=1_000_000,
            legs=[{"symbol": symbol, "qty": qty} for symbol, qty in legs.items()],
            deadline=self.now + timedelta(minutes=4),
        )
        self.ledger.append(Kind.ORDER_SENT, trade.strategy, self.now, order=order)
        return order

    def fill(self, trade: Trade, order: str, symbol: str, qty: int, price_u6: int, *, fee_u6: int = FEE_U6) -> None:
        mult = self.books.instrument(symbol).multiplier
        self.ledger.append(
            Kind.FILL,
            trade.strategy,
            self.now,
            fill=f"{order}#{self.books.order_records.fills_of(order) + 1}",
            order=order,
            trade=trade.id,
            symbol=symbol,
            qty=qty,
            price_u6=price_u6,
            mult=mult,
            fee_u6=fee_u6,
            exec_time=self.now,
            cash_after_u6=self.books.cash_u6 - qty * price_u6 * mult - fee_u6,
            pos_after=self.books.position(symbol) + qty,
            source="EVENT",
        )

    def end(self, trade: Trade, order: str, outcome: str = "FILLED", *, filled: int = 1, left: int = 0) -> None:
        self.ledger.append(
            Kind.ORDER_OUTCOME, trade.strategy, self.now, order=order, outcome=outcome, filled=filled, left=left
        )

    def open(
        self, legs: Structure | None = None, *, units: int = 1, price_u6: int = 2_000_000, **plan: object
    ) -> Trade:
        """A trade that is filled in full; the first sold leg at price_u6, every other at half of it."""
        trade = self.plan(legs, units=units, **plan)  # type: ignore[arg-type]
        order = self.order(trade, {leg.symbol: leg.ratio * units for leg in trade.structure.legs})
        self.drive(trade, Trigger.SENT, TradeState.ENTERING)
        dear = (trade.structure.shorts or trade.structure.longs)[0]
        for leg in trade.structure.legs:
            self.fill(trade, order, leg.symbol, leg.ratio * units, price_u6 if leg is dear else price_u6 // 2)
        self.end(trade, order, filled=units)
        self.drive(trade, Trigger.FILLED, TradeState.OPEN)
        return trade

    def close(self, trade: Trade, price_u6: int = 500_000, reason: str = "EXIT_TARGET") -> None:
        """Bring a trade to flat, every leg at price_u6, and write its result."""
        self.intend(trade, Purpose.CLOSE, reason)
        self.drive(trade, Trigger.EXIT_DUE, TradeState.EXITING)
        legs = {symbol: -qty for symbol, qty in trade.legs.items()}
        order = self.order(trade, legs, Purpose.CLOSE)
        for symbol, qty in legs.items():
            self.fill(trade, order, symbol, qty, price_u6)
        self.end(trade, order)
        self.drive(trade, Trigger.FLAT, TradeState.CLOSED)
        self.result(trade, reason)

    def drive(self, trade: Trade, trigger: Trigger, to: TradeState, **more: object) -> None:
        states = {"from": trade.state, "trigger": trigger, "to": to}
        self.ledger.append(Kind.TRADE_STATE, trade.strategy, self.now, trade=trade.id, **states, **more)

    def result(self, trade: Trade, reason: str = "EXIT_TARGET") -> None:
        self.ledger.append(
            Kind.TRADE_CLOSED,
            trade.strategy,
            self.now,
            trade=trade.id,
            pnl_u6=trade.pnl_u6,
            fees_u6=trade.fees_u6,
            risk_u6=trade.entry_risk_u6,
            reason=reason,
        )

    def expire(self, symbol: str, cash_u6: int = 0, *, book: str = BOOK, price_u6: int = 5_950_000_000) -> None:
        held = self.books.position_of(book, symbol)
        self.ledger.append(
            Kind.EXPIRY,
            book,
            self.now,
            symbol=symbol,
            qty=-held,
            result="CASH" if cash_u6 else "WORTHLESS",
            price_u6=price_u6,
            cash_u6=cash_u6,
        )

    def seal(self) -> None:
        self.ledger.seal(
            self.now,
            reason="COMPLETED",
            cash_u6=self.books.cash_u6,
            equity_u6=self.books.cash_u6,
            fees_u6=self.books.fees_u6,
            holdings=[],
            orders=[],
        )

    def refused(self, kind: Kind, **fields: object) -> str:
        """Return the sentence with which the ledger refuses a record; it must not have written it."""
        before = self.ledger.seq, self.ledger.head()
        try:
            self.ledger.append(kind, BOOK, self.now, **fields)
        except LedgerError as error:
            assert (self.ledger.seq, self.ledger.head()) == before
            return str(error)
        raise AssertionError(f"{kind} was written")


def standing(books: Books) -> dict[str, object]:
    """Everything that books say, as values that can be compared."""
    return {
        "cash": books.cash_u6,
        "fees": books.fees_u6,
        "flows": books.flows_u6,
        "movements": books.movements,
        "positions": dict(books.positions()),
        "by book": dict(books.positions_by_book()),
        "trades": list(books.trades),
        "orders": books.order_records.orders,
        "outcomes": books.order_records.outcomes,
        "filled": books.order_records.filled,
        "intents": books.order_records.intents,
        "breaks": books.breaks,
        "refusals": books.refusals,
        "uncovered": books.uncovered_shorts,
    }
