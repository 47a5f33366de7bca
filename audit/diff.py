"""Compare two runs: the same job on two engines, or before and after a change.

Records are aligned by book, session, purpose and ordinal, never by line: one refusal more shifts every later line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from audit.limits import DOLLAR
from audit.schema import Record
from audit.state import State
from audit.times import day_of
from audit.verdict import Judgement, judge

SAME, DIFFERENT, OTHER_JOB = 0, 1, 2
IDS, ENGINE, TEXT = "ids", "engine", "text"
IGNORABLE: Final = (IDS, ENGINE, TEXT)

Key = tuple[str, date, str, int]
"""Book, session, purpose (or what it is), ordinal."""


class Story:
    """Listens to a replay and keeps what one run did, by key."""

    def __init__(self) -> None:
        self.header: Record | None = None
        self.items: dict[Key, dict[str, Any]] = {}
        self.texts: dict[Key, str] = {}
        self.equity: dict[date, int] = {}
        self.refusals: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
        self._ordinals: Counter[tuple[str, date, str]] = Counter()
        self._purpose: dict[str, str] = {}
        self._run = ""

    def __call__(self, record: Record, state: State) -> None:
        kind, book = record["kind"], record["book"]
        day = state.session.day if state.session is not None else day_of(state.now)
        if kind == "RUN_STARTED":
            self.header = self.header or record
            self._run = record["run"]
        elif kind == "INTENT":
            self._add(
                book, day, f"INTENT {record['purpose']}", record, "structure legs qty reason max_loss_u6 margin_u6"
            )
        elif kind == "ORDER_INTENT":
            self._purpose[record["order"]] = record["purpose"]
            self._add(book, day, f"ORDER {record['purpose']}", record, "type tif legs limit_u6")
        elif kind == "FILL":
            purpose = self._purpose.get(record["order"], "")
            self._add(book, day, f"FILL {purpose}", record, "symbol qty price_u6 fee_u6 exec_time")
        elif kind == "ORDER_OUTCOME":
            purpose = self._purpose.get(record["order"], "")
            self._add(book, day, f"OUTCOME {purpose}", record, "outcome filled left")
        elif kind == "ORDER_EVENT":
            self._add(
                book, day, f"EVENT {self._purpose.get(record['order'], '')}", record, "status", text=record["text"]
            )
        elif kind == "EXPIRY":
            self._add(book, day, "EXPIRY", record, "symbol qty result price_u6 cash_u6")
        elif kind == "SESSION_CLOSED" and "equity_u6" in record:
            self.equity[day] = record["equity_u6"]
        elif kind == "VERDICT" and not record["allowed"]:
            self.refusals[(book, day)][record["reason"]] += 1

    def _add(self, book: str, day: date, what: str, record: Record, names: str, text: str = "") -> None:
        place = (book, day, what)
        self._ordinals[place] += 1
        key = (*place, self._ordinals[place])
        fields = {name: record[name] for name in names.split() if name in record}
        fields["time"] = record["time"]
        fields["id"] = str(record.get("order", record.get("intent", ""))).replace(self._run, "run")
        self.items[key] = fields
        self.texts[key] = text


@dataclass(frozen=True, slots=True)
class Divergence:
    """One difference: where, and both sides in words."""

    key: Key
    field: str
    left: str
    right: str

    @property
    def text(self) -> str:
        book, day, what, ordinal = self.key
        place = f"{day} {book or 'account'} {what}" + (f" #{ordinal}" if ordinal else "")
        return f"{place}: {self.field} is {self.left} against {self.right}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """exit_code 0 same, 1 different, 2 other settings or data; reasons says why for 2."""

    exit_code: int
    reasons: tuple[str, ...]
    divergences: tuple[Divergence, ...]
    compared: int


def compare(
    left: Path,
    right: Path,
    *,
    ignore: frozenset[str] = frozenset(IGNORABLE),
    price_tol_usd: float = 0.01,
    equity_tol_usd: float = 1.0,
) -> Comparison:
    """Compare two runs; see the exit codes of `Comparison`."""
    stories = (Story(), Story())
    for run, story in zip((left, right), stories, strict=True):
        judgement: Judgement = judge(run, rules=(), listeners=(story,))
        if story.header is None:
            sentence = judgement.causes[0].text if judgement.causes else f"{run} has no RUN_STARTED"
            return Comparison(OTHER_JOB, (sentence,), (), 0)
    one, two = stories
    reasons = tuple(_other_job(one.header or {}, two.header or {}, ignore))
    if reasons:
        return Comparison(OTHER_JOB, reasons, (), 0)
    tolerances = {"price_u6": price_tol_usd * DOLLAR, "limit_u6": price_tol_usd * DOLLAR}
    found = sorted(
        _divergences(one, two, ignore, tolerances, equity_tol_usd * DOLLAR), key=lambda item: _place(item, one, two)
    )
    return Comparison(DIFFERENT if found else SAME, (), tuple(found), len(one.items.keys() | two.items.keys()))


def _other_job(one: Record, two: Record, ignore: frozenset[str]) -> Iterator[str]:
    names = ["settings_hash", "data_manifest", "start", "end", "start_cash_u6", "brokerage", "account"]
    if ENGINE not in ignore:
        names += ["engine", "engine_version"]
    for name in names:
        if one.get(name) != two.get(name):
            yield f"{name}: {one.get(name)} against {two.get(name)}"


def _divergences(
    one: Story, two: Story, ignore: frozenset[str], tolerances: dict[str, float], equity_tol: float
) -> Iterator[Divergence]:
    for key in one.items.keys() | two.items.keys():
        left, right = one.items.get(key), two.items.get(key)
        if left is None or right is None:
            there = "only in the first run" if right is None else "only in the second run"
            yield Divergence(key, "record", "there" if right is None else "absent", there)
            continue
        for name in sorted(left.keys() | right.keys()):
            a, b = left.get(name), right.get(name)
            if a == b or (name == "id" and IDS in ignore):
                continue
            if name in tolerances and type(a) is int and type(b) is int and abs(a - b) <= tolerances[name]:
                continue
            yield Divergence(key, name, str(a), str(b))
        if TEXT not in ignore and one.texts[key] != two.texts[key]:
            yield Divergence(key, "text", one.texts[key], two.texts[key])
    for day in one.equity.keys() | two.equity.keys():
        a, b = one.equity.get(day), two.equity.get(day)
        if a is None or b is None or abs(a - b) > equity_tol:
            yield Divergence(("", day, "equity at the close", 0), "equity_u6", str(a), str(b))
    for place in one.refusals.keys() | two.refusals.keys():
        left_reasons, right_reasons = one.refusals.get(place, Counter()), two.refusals.get(place, Counter())
        for reason in sorted(left_reasons.keys() | right_reasons.keys()):
            if left_reasons[reason] != right_reasons[reason]:
                key = (place[0], place[1], "refusals", 0)
                yield Divergence(key, reason, str(left_reasons[reason]), str(right_reasons[reason]))


def _place(item: Divergence, one: Story, two: Story) -> tuple[str, str, int, str, str]:
    """Order by time, so that the first divergence is the cause and not what follows from it."""
    fields = one.items.get(item.key) or two.items.get(item.key)
    time = fields["time"] if fields is not None else f"{item.key[1]}T99"
    return (str(item.key[1]), time, item.key[3], item.key[2], item.field)
