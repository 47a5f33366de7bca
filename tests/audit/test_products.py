"""The product's own ledgers: clean where nothing is wrong, and a violation planted in them is caught as well."""

from __future__ import annotations

import random

import pytest

from audit.findings import Severity
from audit.verdict import judge_lines
from tests.audit.chaining import chained, settled
from tests.audit.damage import Ledger
from tests.audit.kit import KINDS, Planted
from tests.audit.products import MADE, product, product_records
from tests.audit.proof import BY_NATURE, Part, missed_in, prove

SCRIPTED = {"AU-64"}
"""A script's probability stands still."""
names = pytest.mark.parametrize("name", MADE)


@names
def test_a_ledger_of_the_product_is_judged_clean_but_for_what_happened_in_it(name: str) -> None:
    judgement = judge_lines(product(name))
    assert {cause.rule for cause in judgement.causes} == BY_NATURE.get(name, set()), judgement.causes
    warned = {found.rule for found in judgement.findings if found.severity is Severity.WARNING}
    unpaid = {"AU-34"} if name == "paper settled in the night" else set()
    assert warned <= SCRIPTED | unpaid
    records = product_records(name)
    kinds = {record["kind"] for record in records} | {"resumed" for record in records if "resumed_from" in record}
    assert kinds >= TOLD.get(name, set())
    # Taken apart and put together it is the same: what is planted in it is all that is wrong with it.
    assert tuple(chained(records)) == product(name)
    assert tuple(chained(settled(Ledger(records, random.Random(1)).records, records))) == product(name)


TOLD: dict[str, set[str]] = {
    "etf day": {"SIGNAL", "MARK", "ANCHOR", "TRADE_CLOSED"},
    "etf lost fill": {"BREAK", "TRADING_STATE"},
    "etf split orphan": {"SPLIT", "BREACH"},
    "friday bidless wing": {"EXPIRY"},
    "paper died twice": {"resumed", "RESTART", "STATE_SAVED"},
    "paper settled in the night": {"resumed", "EXPIRY"},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.rule} {kind.name}")
def test_a_violation_planted_in_a_ledger_of_the_product_is_caught(kind: Planted) -> None:
    fitting = [(name, missed) for name in QUICK if (missed := missed_in(name, kind, range(2))) is not None]
    assert fitting or kind.name in UNFIT
    assert [(name, missed) for name, missed in fitting if missed] == []


QUICK = ("etf day", "friday bidless wing")
UNFIT = {
    "split halves wrong", "21-DTE kept", "21-DTE kept for a night", "refusals removed", "idle half the session",
    "1 share overnight on a half day", "1 share sold in the morning",
}  # fmt: skip
"""Those need a split, puts of 21 days, a Friday without a trade, a half day, a session that was mostly idle."""


@pytest.mark.long
@names
def test_violations_of_every_kind_planted_in_a_ledger_of_the_product_are_caught(name: str) -> None:
    done = prove(Part(f"product {name}", 0, 5))
    assert sum(done.counts.values()) > 100
    assert done.wrong == []


@pytest.mark.parametrize("name", ["etf crash", "etf loss in two steps"])
def test_a_trip_of_the_product_that_is_removed_is_missed(name: str) -> None:
    records = [record for record in product_records(name) if record["kind"] not in ("BREAKER", "TRADING_STATE")]
    assert len(records) < len(product_records(name))
    judgement = judge_lines(chained(Ledger.recount(records)))
    assert {cause.rule for cause in judgement.causes} == {"AU-57"}


def test_a_halt_of_the_product_that_stayed_a_trip_is_seen() -> None:
    records = [
        record | ({"level": "TRIPPED"} if record["kind"] == "BREAKER" and record["level"] == "HALTED" else {})
        for record in product_records("etf crash")
        if record["kind"] != "TRADING_STATE" or record["to"] != "HALTED"
    ]
    judgement = judge_lines(chained(Ledger.recount(records)))
    assert {cause.rule for cause in judgement.causes} == {"AU-57"}


def test_the_brokers_words_at_the_open_follow_what_was_settled_in_the_night() -> None:
    kinds = [record["kind"] for record in product_records("paper settled in the night")]
    opened = len(kinds) - 1 - kinds[::-1].index("SESSION_OPENED")
    assert "EXPIRY" in kinds[opened:]
    assert kinds.index("EXPIRY", opened) < kinds.index("BROKER_STATEMENT", opened)
