"""Sentences: whatever record the schema allows can be told, with and without its optional fields."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import pytest

from core import ledger_kinds
from core.ledger_fields import REFUSALS
from core.ledger_kinds import FIELDS, Kind
from tests.tools.ledgers import one_session
from tools.sentences import detail_text, instrument, price, sentence, usd

# MARK and the broker's statement are figures, saves and health are housekeeping; ORDER_SENT says nothing that
# ORDER_INTENT has not said.
UNTOLD = {"MARK", "BROKER_STATEMENT", "STATE_SAVED", "HEALTH", "ORDER_SENT"}
LEG = {"symbol": "SPXW  251128P05900000", "ratio": -1, "mult": 100}
COMPONENT = {"name": "vix", "tier": 1, "status": "WAITING", "error": "E", "sentence": "no data", "attempts": 1}
# The first that a field's type accepts is its sample.
SAMPLES: tuple[Any, ...] = (
    "word", 1_000_000, True, date(2025, 11, 28), datetime(2025, 11, 28, 10, 30), "ab" * 32,
    {"limit_e6": 22_000_000}, {"vix_s": 94}, {"SPX": [1, 1, 1, 1, 1]}, {"LONG": {"QQQ": 1}},
    [LEG], [{"symbol": LEG["symbol"], "qty": -1}], [COMPONENT], [],
)  # fmt: skip


def _sample(field: ledger_kinds.Field) -> Any:
    """Return a value as a line would hold it."""
    enum = getattr(ledger_kinds, field.type, None)
    candidates = [text for member in enum for text in (member.value, member.name)] if enum is not None else SAMPLES
    for candidate in candidates:
        try:
            return json.loads(field.write(candidate))
        except REFUSALS:
            continue
    raise AssertionError(f"no sample for a field of type {field.type}: add one")


def _record(kind: Kind, *, with_optional: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": kind.value,
        "book": "friday_0dte",
        "time": "2025-11-28T15:30:00.000000Z",
        "seq": 0,
    }
    for name, field in FIELDS[kind].items():
        if with_optional or not field.optional:
            record[name] = _sample(field)
    return record


@pytest.mark.parametrize("with_optional", [False, True])
@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_sentence(kind: Kind, with_optional: bool) -> None:
    text = sentence(_record(kind, with_optional=with_optional))
    assert (text is None) == (kind.value in UNTOLD)
    assert text is None or ("{" not in text and text.strip())


def test_the_ledgers_of_the_tests_obey_the_schema() -> None:
    common = {"v", "seq", "time", "kind", "book", "prev_hash", "hash"}
    for line in one_session().lines:
        record = json.loads(line)
        schema = FIELDS[Kind(record["kind"])]
        assert record.keys() - common <= schema.keys(), record["kind"]
        assert {name for name, field in schema.items() if not field.optional} <= record.keys(), record["kind"]


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (1_234_500_000, "$1,234.50"), (-5_000, "-$0.01"), (-1_000_000, "-$1.00")]
)
def test_money_has_sign_thousands_and_cents(amount: int, text: str) -> None:
    assert usd(amount) == text


@pytest.mark.parametrize(("value", "text"), [(1_500_000, "1.50"), (5_900_123_400, "5,900.1234"), (1_125_000, "1.125")])
def test_a_price_keeps_what_it_has(value: int, text: str) -> None:
    assert price(value) == text


@pytest.mark.parametrize(
    ("symbol", "text"),
    [("SPXW  251128P05900000", "SPXW 251128 5900P"), ("SPY   250103C00592500", "SPY 250103 592.5C"), ("TQQQ", "TQQQ")],
)
def test_an_option_is_named_as_a_person_says_it(symbol: str, text: str) -> None:
    assert instrument(symbol) == text


def test_numbers_behind_a_verdict_carry_their_unit_and_bounds_come_last() -> None:
    detail: dict[str, str | int] = {
        "limit_s": 60,
        "age_s": 94,
        "symbol": "SPXW  251128P05900000",
        "loss_u6": 2_350_000_000,
        "max_pct": 2,
    }
    assert detail_text(detail) == "symbol SPXW 251128 5900P, age 94 s, loss $2,350.00, limit 60 s, max 2 %"
