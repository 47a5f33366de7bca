"""Benchmark of the auditor: `verify`, `integrity` and the query store over a made-up ledger of any length.

Each figure comes from a process of its own: records per second of its processor time, so that other work on the
machine slows the clock on the wall and hardly the figure, and its own peak of memory.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson

from audit.exchange_days import Session, session_after, session_on
from audit.rules import ALL, VERIFY
from audit.rules.run import settings_hash
from audit.store import Store
from audit.times import MINUTE, SECOND, utc_text
from audit.verdict import judge
from tools.bench import Figure
from tools.errors import RunFailedError
from tools.machine import peak_rss_mb
from tools.paths import ROOT

RECORDS: Final = 200_000
VERBS: Final = ("verify", "integrity", "fold", "store")
"""What is measured: two verbs, a replay without any rule, and the same filling the query store."""
_FIRST: Final = date(1999, 1, 4)
_FAMILY: Final = {"LONG": {"QQQ": 1, "TQQQ": 3}, "INVERSE": {"PSQ": 1, "SQQQ": 3}}
_BOOK: Final = "etf_rotation"
_SETTINGS: Final = {f"{_BOOK}.enabled": "true", f"{_BOOK}.sleeve_fraction": "0.3"}
_SHARES, _PRICE, _FEE = 60, 500_000_000, 1_000_000


def bench_audit(records: int = RECORDS, repeats: int = 3) -> list[Figure]:
    """Measure verify, integrity and loading into the query store; the best of several counts."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        path = Path(folder) / "ledger.jsonl"
        written, size = write_ledger(path, records)
        figures = [Figure("records", written, ""), Figure("bytes per record", size / written, "B")]
        best: dict[str, float] = {}
        for verb in VERBS:
            runs = [_child(verb, path) for _ in range(repeats)]
            rates = [run["records"] / run["seconds"] for run in runs]
            best[verb] = max(rates)
            if verb != "fold":
                figures.append(Figure(_NAMES[verb], best[verb], "1/s", max(rates) - min(rates)))
                figures.append(Figure(f"{verb}: peak memory", max(run["peak_rss_mb"] for run in runs), "MB"))
        plain = max(written / _plain_s(path) for _ in range(repeats))
    loading_s = 1 / best["store"] - 1 / best["fold"]
    figures.append(Figure("loading alone, per second", 1 / loading_s, "1/s"))
    figures.append(Figure("hashed and decoded alone, per second", plain, "1/s"))
    figures.append(Figure("verify / hashed and decoded", plain / best["verify"], "x"))
    figures.append(Figure("integrity / verify", best["verify"] / best["integrity"], "x"))
    return figures


_NAMES: Final = {
    "verify": "verified per second",
    "integrity": "judged by all rules per second",
    "store": "replayed and loaded per second",
}


def _child(verb: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench_audit", verb, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise RunFailedError(f"bench audit: {verb} failed: {done.stderr.strip()}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def measure(verb: str, path: Path) -> dict[str, float]:
    """Judge a ledger in this process; the ledger is clean, and has to be found so."""
    store = Store(path.with_suffix(".db")) if verb == "store" else None
    began = time.process_time()
    rules = {"verify": VERIFY, "integrity": ALL}.get(verb, ())
    judgement = judge(path, rules=rules, listeners=() if store is None else (store,))
    if store is not None:
        store.finish(judgement)
    seconds = time.process_time() - began
    if judgement.exit_code != 0:
        raise SystemExit(f"the made-up ledger is not clean: {judgement.causes}")
    return {"records": sum(judgement.counts.values()), "seconds": seconds, "peak_rss_mb": peak_rss_mb()}


def _plain_s(path: Path) -> float:
    """Return the seconds for the least that a check of a chain can do."""
    began = time.process_time()
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
            hashlib.sha256(line).hexdigest()
    return time.process_time() - began


# ------------------------------------------------------------------------------------------------- the made-up ledger


def write_ledger(path: Path, records: int) -> tuple[int, int]:
    """Write a clean ledger of at least so many records, session by session; returns its records and bytes."""
    head, size, seq = "0" * 64, 0, 0
    counts: dict[str, int] = {}
    with path.open("wb") as file:
        for record in _Maker(records).records():
            kind = record["kind"]
            if kind == "RUN_ENDED":
                record["counts"] = dict(counts)
            body = orjson.dumps({"v": 1, "seq": seq, "prev_hash": head, **record}, option=orjson.OPT_SORT_KEYS)
            head = hashlib.sha256(body).hexdigest()
            size += file.write(body[:-1] + b',"hash":"' + head.encode("ascii") + b'"}\n')
            counts[kind] = counts.get(kind, 0) + 1
            seq += 1
    return seq, size


class _Maker:
    """The rotation book buys in the morning and sells in the afternoon of every session."""

    def __init__(self, records: int) -> None:
        self._wanted = records
        self._made = 0
        self._cash = 100_000_000_000
        self._fees = 0
        self._now = 0
        self._held = 0

    def records(self) -> Iterator[dict[str, Any]]:
        session = session_on(_FIRST) or session_after(_FIRST)
        last = session
        # The header names the last session: 1,200 records of a whole one, 650 of a half one.
        planned = 0
        while planned < self._wanted:
            planned += 650 if last.half_day else 1_200
            last = session_after(last.day)
        self._now = session.open_us - 30 * MINUTE
        yield self._header(session, last)
        yield self._statement()
        while session.day <= last.day:
            yield from self._session(session)
            session = session_after(session.day)
        yield self._put(
            "RUN_ENDED", reason="COMPLETED", cash_u6=self._cash, equity_u6=self._cash, fees_u6=self._fees,
            holdings=[], orders=[],
        )  # fmt: skip

    def _put(self, kind: str, book: str = "", /, **fields: Any) -> dict[str, Any]:
        return {"time": utc_text(self._now), "kind": kind, "book": book, **fields}

    def _header(self, first: Session, last: Session) -> dict[str, Any]:
        return self._put(
            "RUN_STARTED", run="bench", schema=1, engine="made up", engine_version="1", start=first.day.isoformat(),
            end=last.day.isoformat(), code_hash="0" * 16, settings=_SETTINGS, settings_hash=settings_hash(_SETTINGS),
            data_manifest="made up", seed=1, mode="BACKTEST", account="MARGIN", brokerage="INTERACTIVE_BROKERS",
            currency="USD", start_cash_u6=self._cash, holdings=[], families=_FAMILY, reasons=[],
        )  # fmt: skip

    def _statement(self) -> dict[str, Any]:
        rows = [{"symbol": "QQQ", "qty": self._held, "price_u6": _PRICE, "mult": 1}] if self._held else []
        equity = self._cash + self._held * _PRICE
        return self._put(
            "BROKER_STATEMENT", cash_u6=self._cash, unsettled_u6=0, equity_u6=equity, holdings=rows, orders=[]
        )

    def _mark(self, *, works: bool = False) -> dict[str, Any]:
        equity, used = self._cash + self._held * _PRICE, self._held * _PRICE
        px = {"QQQ": [_PRICE - 10_000, _PRICE, 0, _PRICE - 20_000, _PRICE + 10_000]} if self._held or works else {}
        return self._put(
            "MARK", px=px, halted=[], equity_u6=equity, engine_equity_u6=equity, used_u6=used, reserved_u6=0,
            t_loss_u6=used // 17, c_loss_u6=used // 5,
        )  # fmt: skip

    def _session(self, session: Session) -> Iterator[dict[str, Any]]:
        minutes = (session.close_us - session.open_us) // MINUTE
        times = {"open_time": utc_text(session.open_us), "close_time": utc_text(session.close_us)}
        facts = {"date": session.day.isoformat(), "half_day": session.half_day, **times}
        self._now = session.open_us - 30 * MINUTE
        yield self._put("SESSION_OPENED", **facts)
        yield self._statement()
        phases = {1: "OPENING", 5: "REGULAR", minutes - 30: "LATE", minutes - 15: "FLATTEN", minutes: "CLOSED"}
        trade = f"{_BOOK}-{session.day:%Y%m%d}-1"
        buy, sell = 36, minutes - 14
        for minute in range(1, minutes + 1):
            self._now = session.open_us + minute * MINUTE
            if minute in phases:
                yield self._put("PHASE", phase=phases[minute])
            yield self._put("VIX", value_e6=17_000_000 + minute, age_s=0, verdict="GOOD", regime="NORMAL")
            if minute == buy + 1:
                yield from self._fill(trade, "OPEN", _SHARES)
                yield self._state(trade, "ENTERING", "FILLED", "OPEN", session.close_us - 15 * MINUTE)
            works = minute in (buy + 1, sell)
            yield self._mark(works=works)
            target = "QQQ" if buy <= minute < sell else "CASH"
            yield self._put(
                "SIGNAL", _BOOK, bar_time=utc_text(self._now), state="READY", p_e6=500_000 + minute * 7_919 % 200_000,
                target=target, held="QQQ" if self._held else "CASH", reason="ALLOWED",
            )  # fmt: skip
            if minute == buy:
                yield from self._send(trade, "OPEN", _SHARES, session)
            if minute == sell:
                yield self._state(trade, "OPEN", "EXIT_DUE", "EXITING", self._now + 15 * MINUTE)
                yield from self._send(trade, "CLOSE", -_SHARES, session)
                yield from self._fill(trade, "CLOSE", -_SHARES)
                yield self._state(trade, "EXITING", "FLAT", "CLOSED")
            if works:
                yield self._statement()
        yield self._statement()
        yield self._put("SESSION_CLOSED", **facts, cash_u6=self._cash, equity_u6=self._cash)

    def _send(self, trade: str, purpose: str, qty: int, session: Session) -> Iterator[dict[str, Any]]:
        intent, order = f"{trade}|{purpose}|1", f"bench|{trade}|{purpose}|1"
        leg = {"symbol": "QQQ", "ratio": 1 if qty > 0 else -1, "mult": 1}
        yield self._put(
            "INTENT", _BOOK, intent=intent, trade=trade, purpose=purpose, structure="SHARES", legs=[leg], qty=abs(qty),
            risk_basis="FAMILY", **({} if qty > 0 else {"reason": "EXIT_FLATTEN"}),
        )  # fmt: skip
        yield self._put(
            "VERDICT", _BOOK, intent=intent, gate="invariants", allowed=True, reason="ALLOWED", scale_e6=1_000_000,
            ages={}, detail={},
        )  # fmt: skip
        if qty > 0:
            yield self._state(trade, "PLANNED", "PLANNED", "PLANNED", self._now + MINUTE)
        price = {"limit_u6": -_PRICE - 500_000} if qty > 0 else {}
        yield self._put(
            "ORDER_INTENT", _BOOK, order=order, intent=intent, trade=trade, purpose=purpose, attempt=1,
            type="LIMIT" if qty > 0 else "MARKET", tif="DAY", legs=[{"symbol": "QQQ", "qty": qty}],
            deadline=utc_text(self._now + 60 * SECOND if qty > 0 else session.close_us), **price,
        )  # fmt: skip
        yield self._put("ORDER_SENT", _BOOK, order=order)
        yield self._put("ORDER_EVENT", _BOOK, order=order, status="SUBMITTED", text="")
        if qty > 0:
            yield self._state(trade, "PLANNED", "SENT", "ENTERING", self._now + 2 * MINUTE)

    def _fill(self, trade: str, purpose: str, qty: int) -> Iterator[dict[str, Any]]:
        order = f"bench|{trade}|{purpose}|1"
        self._cash -= qty * _PRICE + _FEE
        self._fees += _FEE
        self._held += qty
        yield self._put(
            "FILL", _BOOK, fill=f"{order}#1", order=order, trade=trade, symbol="QQQ", qty=qty, price_u6=_PRICE, mult=1,
            fee_u6=_FEE, exec_time=utc_text(self._now), cash_after_u6=self._cash, pos_after=self._held, source="EVENT",
        )  # fmt: skip
        yield self._put("ORDER_OUTCOME", _BOOK, order=order, outcome="FILLED", filled=_SHARES, left=0)

    def _state(self, trade: str, before: str, trigger: str, after: str, deadline: int = 0) -> dict[str, Any]:
        optional: Mapping[str, str] = {"deadline": utc_text(deadline)} if deadline else {}
        fields = {"trade": trade, "from": before, "trigger": trigger, "to": after}
        return self._put("TRADE_STATE", _BOOK, **fields, **optional)


def main(arguments: Sequence[str]) -> None:
    verb, path = arguments
    print(json.dumps(measure(verb, Path(path))))


if __name__ == "__main__":
    main(sys.argv[1:])
