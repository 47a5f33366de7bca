"""AU-01 to AU-09: the lines themselves, the header, the end of the run."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from audit.findings import Severity
from audit.limits import DOLLAR, FAMILY, FAMILY_BOOK, ceiling_of, read_number
from audit.rules.base import Needs, Record, Rule
from audit.schema import KINDS


class LineRule(Rule):
    """A rule that the chain itself judges, on every line."""

    needs = Needs.ACCOUNT

    @classmethod
    def reads(cls) -> frozenset[str]:
        return frozenset(KINDS)


class LineForm(LineRule):
    id = "AU-01"
    title = "every line is canonical, its kind and fields are known, of their type and in range"


class HashChain(LineRule):
    id = "AU-02"
    title = "hash, prev_hash, ledger hash of the summary and anchors match"

    def on_anchor(self, record: Record) -> None:
        if record["head_seq"] >= record["seq"]:
            self.hit(f"ANCHOR names line {record['head_seq']}, which is not above it")


class Sequence(LineRule):
    id = "AU-03"
    title = "seq rises by one, time never goes back"


class Header(Rule):
    id = "AU-04"
    title = "one RUN_STARTED at the head, further ones only as a valid resume; settings_hash fits the settings"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._run = ""

    def on_run_started(self, record: Record) -> None:
        self.judge()
        first = self.state.headers == 1
        resumed = record.get("resumed_from")
        if first and sum(self.state.counts.values()) > 1:
            self.hit("RUN_STARTED does not stand at the head of the ledger")
        if first and resumed is not None:
            self.hit("the first RUN_STARTED resumes a ledger that is not here")
        if not first and resumed != record["prev_hash"]:
            self.hit("RUN_STARTED is repeated and does not resume from the line above it")
        if not first and record["run"] != self._run:
            self.hit(f"run {record['run']} resumes run {self._run}")
        if first:
            self._run = record["run"]
        if settings_hash(record["settings"]) != record["settings_hash"]:
            self.hit("settings_hash is not the hash of the settings")

    def on_end(self) -> None:
        if self.state.header is None:
            self.hit("the ledger has no RUN_STARTED")


def settings_hash(settings: dict[str, Any]) -> str:
    """Return SHA-256 of the canonical JSON of the settings."""
    return hashlib.sha256(
        json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    ).hexdigest()


class Ceilings(Rule):
    id = "AU-05"
    title = "no setting is looser than its ceiling; the ETF family is the auditor's"
    needs = Needs.ACCOUNT

    def on_run_started(self, record: Record) -> None:
        self.judge()
        for name, value in record["settings"].items():
            ceiling = ceiling_of(name)
            if ceiling is None:
                continue
            number = read_number(value)
            if number is None or not abs(number) < 1e15:
                self.hit(f"{name} = {value!r}: expected a number, it has a ceiling")
            elif ceiling.is_looser(number):
                side = "at least" if ceiling.is_floor else "at most"
                self.hit(
                    f"{name} = {value}: {side} {ceiling.bound:g} is allowed",
                    value=round(number * 1e6),
                    bound=round(ceiling.bound * 1e6),
                )
        families = record["families"]
        if families != FAMILY and (families or self.limits.enabled(FAMILY_BOOK)):
            self.hit(f"families = {json.dumps(families, sort_keys=True)}: the auditor knows {json.dumps(FAMILY)}")


class RunEnd(Rule):
    id = "AU-06"
    title = "nothing follows RUN_ENDED; its counts and totals are those of the replay"

    def on_run_ended(self, record: Record) -> None:
        self.judge()
        state = self.state
        counts = dict(state.counts)
        counts["RUN_ENDED"] -= 1
        counted = {kind: count for kind, count in counts.items() if count}
        if record["counts"] != counted:
            wrong = sorted(set(record["counts"].items()) ^ set(counted.items()))
            self.hit(f"RUN_ENDED.counts differ from the ledger in {', '.join(sorted({kind for kind, _ in wrong}))}")
        for name, ours in (("cash_u6", state.cash), ("fees_u6", state.fees)):
            if record[name] != ours:
                self.hit(f"RUN_ENDED.{name} = {record[name]}, the replay has {ours}", value=record[name], bound=ours)
        held = {row["symbol"]: row["qty"] for row in record["holdings"]}
        if held != state.account or len(held) != len(record["holdings"]):
            wrong_symbols = sorted(set(held.items()) ^ set(state.account.items()))
            self.hit(f"RUN_ENDED.holdings differ from the replay in {', '.join(sorted({s for s, _ in wrong_symbols}))}")
        working = sorted(state.working)
        if sorted(record["orders"]) != working:
            self.hit(f"RUN_ENDED.orders names {len(record['orders'])} working orders, the replay has {len(working)}")
        worth = state.cash + sum(row["qty"] * row["price_u6"] * row["mult"] for row in record["holdings"])
        if abs(record["equity_u6"] - worth) > DOLLAR + abs(worth) // 1_000_000:
            self.hit(
                f"RUN_ENDED.equity_u6 = {record['equity_u6']}, cash and holdings give {worth}",
                value=record["equity_u6"],
                bound=worth,
            )

    def on_end(self) -> None:
        if self.state.after_end:
            self.hit(f"{self.state.after_end} records follow RUN_ENDED")


class NoEnd(Rule):
    id = "AU-07"
    title = "the ledger ends with RUN_ENDED"
    severity = Severity.INCONCLUSIVE

    def on_run_ended(self, record: Record) -> None: ...

    def on_end(self) -> None:
        self.judge()
        if self.state.ended is None:
            self.hit("the ledger has no RUN_ENDED: what came after its last line is unknown")


class NoFills(Rule):
    id = "AU-08"
    title = "something was traded"
    severity = Severity.INCONCLUSIVE

    def on_fill(self, record: Record) -> None: ...

    def on_end(self) -> None:
        self.judge()
        if not self.state.fills:
            self.hit("the run has no fill: its rules were not put to the test")


class DoubtfulEnd(Rule):
    id = "AU-09"
    title = "no order in doubt and no break at the end"
    severity = Severity.INCONCLUSIVE

    def on_order_outcome(self, record: Record) -> None: ...

    def on_break(self, record: Record) -> None: ...

    def on_end(self) -> None:
        self.judge()
        for order in self.state.doubtful.values():
            self.hit(f"the outcome of {order.id} is unknown", book=order.book, seq=order.seq)
        for symbol in self.state.breaks:
            self.hit(f"book and broker differ in {symbol}", symbol=symbol)


RULES = (LineForm, HashChain, Sequence, Header, Ceilings, RunEnd, NoEnd, NoFills, DoubtfulEnd)
