"""Ledgers for tests of the tools: records as audit.md lays them out, chained, without running an algorithm."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
PUT_SHORT = "SPXW  251128P05900000"
PUT_LONG = "SPXW  251128P05875000"
TRADE = "friday_0dte-20251128-1"


class LedgerBuilder:
    """Append records; `at` moves the clock within the current session."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.day = date(2025, 11, 28)
        self.now = datetime.combine(self.day, time(9, 0), NEW_YORK)
        self._previous = "0" * 64

    def at(self, clock: str) -> LedgerBuilder:
        self.now = datetime.combine(self.day, time.fromisoformat(clock), NEW_YORK)
        return self

    def add(self, kind: str, book: str = "", **fields: Any) -> LedgerBuilder:
        record = {"v": 1, "seq": len(self.lines), "time": utc(self.now), "kind": kind, "book": book}
        record |= {"prev_hash": self._previous, **fields}
        body = json.dumps(record, sort_keys=True, separators=(",", ":"))
        self._previous = hashlib.sha256(body.encode()).hexdigest()
        self.lines.append(f'{body[:-1]},"hash":"{self._previous}"}}')
        return self

    def start(self) -> LedgerBuilder:
        day = self.day.isoformat()
        return self.add(
            "RUN_STARTED", run="0a1b2c3d", schema=1, engine="embedded", engine_version="0.1.0", start=day, end=day,
            code_hash="c", settings={}, settings_hash="s" * 64, data_manifest="d" * 64, seed=7, mode="BACKTEST",
            account="MARGIN", brokerage="INTERACTIVE_BROKERS", currency="USD", start_cash_u6=100_000_000_000,
            holdings=[], families={}, reasons=[],
        )  # fmt: skip

    def open_session(self, close: str = "16:00") -> LedgerBuilder:
        opening = datetime.combine(self.day, time(9, 30), NEW_YORK)
        closing = datetime.combine(self.day, time.fromisoformat(close), NEW_YORK)
        return self.at("09:30").add(
            "SESSION_OPENED", date=self.day.isoformat(), open_time=utc(opening), close_time=utc(closing),
            half_day=close != "16:00",
        )  # fmt: skip

    def refuse(
        self, clock: str, gate: str, reason: str, book: str = "friday_0dte", **detail: str | int
    ) -> LedgerBuilder:
        return self.at(clock).add(
            "VERDICT", book, gate=gate, allowed=False, reason=reason, scale_e6=1_000_000, ages={}, detail=detail
        )

    def trade(self, *, opened: str = "10:45", closed: str = "11:30", buy_back_u6: int = 400_000) -> LedgerBuilder:
        """Sell a put spread for 1.50 and buy it back; one unit, no wing price in either fill but the short leg's."""
        self.at(opened).add(
            "INTENT", "friday_0dte", intent="i1", trade=TRADE, purpose="OPEN", structure="put_spread", qty=1,
            legs=[{"symbol": PUT_SHORT, "ratio": -1, "mult": 100}, {"symbol": PUT_LONG, "ratio": 1, "mult": 100}],
            risk_basis="MAX_LOSS", max_loss_u6=2_350_000_000,
        )  # fmt: skip
        self.add(
            "VERDICT", "friday_0dte", intent="i1", gate="invariants", allowed=True, reason="ALLOWED",
            scale_e6=1_000_000, ages={}, detail={},
        )  # fmt: skip
        self._order("i1", "OPEN", -1, 1_500_000)
        self.add("TRADE_STATE", "friday_0dte", trade=TRADE, **{"from": "ENTERING", "trigger": "FILLED", "to": "OPEN"})
        self.at(closed).add(
            "INTENT", "friday_0dte", intent="i2", trade=TRADE, purpose="CLOSE", reason="EXIT_TARGET",
            structure="put_spread", qty=1, risk_basis="MAX_LOSS",
            legs=[{"symbol": PUT_SHORT, "ratio": -1, "mult": 100}, {"symbol": PUT_LONG, "ratio": 1, "mult": 100}],
        )  # fmt: skip
        self._order("i2", "CLOSE", 1, buy_back_u6)
        self.add("TRADE_STATE", "friday_0dte", trade=TRADE, **{"from": "EXITING", "trigger": "FLAT", "to": "CLOSED"})
        return self.add(
            "TRADE_CLOSED", "friday_0dte", trade=TRADE, pnl_u6=(1_500_000 - buy_back_u6) * 100 - 4_000_000,
            fees_u6=4_000_000, risk_u6=2_350_000_000, reason="EXIT_TARGET",
        )  # fmt: skip

    def _order(self, intent: str, purpose: str, sign: int, price_u6: int) -> None:
        order = f"0a1b2c3d|{TRADE}|{purpose}|1"
        deadline = utc(self.now + timedelta(minutes=5))
        self.add(
            "ORDER_INTENT", "friday_0dte", order=order, intent=intent, trade=TRADE, purpose=purpose, attempt=1,
            type="COMBO_LIMIT", tif="DAY", limit_u6=price_u6, deadline=deadline,
            legs=[{"symbol": PUT_SHORT, "qty": sign}, {"symbol": PUT_LONG, "qty": -sign}],
        )  # fmt: skip
        self.add("ORDER_SENT", "friday_0dte", order=order)
        for number, (symbol, quantity, leg_price) in enumerate(
            ((PUT_SHORT, sign, price_u6), (PUT_LONG, -sign, 0)), start=1
        ):
            self.add(
                "FILL", "friday_0dte", fill=f"{intent}-{number}", order=order, trade=TRADE, symbol=symbol, qty=quantity,
                price_u6=leg_price, mult=100, fee_u6=1_000_000, exec_time=utc(self.now), cash_after_u6=0,
                pos_after=quantity, source="EVENT",
            )  # fmt: skip
        self.add("ORDER_OUTCOME", "friday_0dte", order=order, outcome="FILLED", filled=1, left=0)

    def mark(self, clock: str, equity_u6: int) -> LedgerBuilder:
        return self.at(clock).add(
            "MARK", px={}, halted=[], equity_u6=equity_u6, engine_equity_u6=equity_u6, used_u6=0, reserved_u6=0,
            t_loss_u6=0, c_loss_u6=0,
        )  # fmt: skip

    def end(
        self, equity_u6: int = 100_106_000_000, reason: str = "COMPLETED", fees_u6: int = 4_000_000
    ) -> LedgerBuilder:
        self.at("16:00").add(
            "SESSION_CLOSED", date=self.day.isoformat(), open_time=utc(self.now), close_time=utc(self.now),
            half_day=False, cash_u6=equity_u6, equity_u6=equity_u6,
        )  # fmt: skip
        return self.at("16:15").add(
            "RUN_ENDED", reason=reason, counts={}, cash_u6=equity_u6, equity_u6=equity_u6, fees_u6=fees_u6, holdings=[],
            orders=[],
        )  # fmt: skip

    def content(self) -> bytes:
        return ("\n".join(self.lines) + "\n").encode("ascii")

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ledger.jsonl").write_bytes(self.content())
        return folder


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def one_session() -> LedgerBuilder:
    """A session with two minutes of refusals, one winning trade and a quiet afternoon."""
    builder = LedgerBuilder().start().open_session()
    builder.refuse("10:31", "vix", "VIX_WINDOW", vix_e6=23_410_000, high_e6=22_000_000)
    builder.refuse("10:32", "vix", "VIX_WINDOW", vix_e6=23_410_000, high_e6=22_000_000)
    builder.refuse("10:33", "data", "QUOTE_STALE", symbol=PUT_SHORT, age_s=94, limit_s=60)
    builder.mark("10:40", 100_000_000_000).trade().mark("12:00", 100_053_000_000)
    return builder.end()
