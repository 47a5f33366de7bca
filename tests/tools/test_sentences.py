"""Sentences: whatever record the schema allows can be told, with and without its optional fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.ledger_kinds import FIELDS, Kind
from tests.tools.ledgers import one_session
from tools.sentences import detail_text, price, sentence, usd

# MARK and the broker's statement are figures, saves and health are housekeeping; ORDER_SENT says nothing that
# ORDER_INTENT has not said.
UNTOLD = {"MARK", "BROKER_STATEMENT", "STATE_SAVED", "HEALTH", "ANCHOR", "ORDER_SENT"}
SAMPLES: dict[str, Any] = {
    "str": "word", "int": 1_000_000, "bool": True, "date": "2025-11-28", "time": "2025-11-28T15:30:00.000000Z",
}  # fmt: skip
LISTS: dict[str, list[Any]] = {
    "legs": [{"symbol": "SPXW  251128P05900000", "ratio": -1, "qty": -1, "mult": 100}],
    "components": [{"name": "vix_manager", "error": "E", "sentence": "no data", "status": "WAITING"}],
}


def _record(kind: Kind, *, with_optional: bool) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": kind.value, "book": "friday_0dte", "time": SAMPLES["time"], "seq": 0}
    for name, field in FIELDS[kind].items():
        if field.optional and not with_optional:
            continue
        if field.allowed is not None:
            record[name] = sorted(field.allowed)[0]
        elif field.type == "list":
            record[name] = LISTS.get(name, [])
        elif field.type == "map":
            record[name] = {"limit_e6": 22_000_000}
        else:
            record[name] = SAMPLES[field.type]
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


def test_numbers_behind_a_verdict_carry_their_unit_and_bounds_come_last() -> None:
    detail = {"limit_s": 60, "age_s": 94, "symbol": "SPXW  251128P05900000", "loss_u6": 2_350_000_000, "max_pct": 2}
    assert detail_text(detail) == "symbol SPXW 251128P05900000, age 94 s, loss $2,350.00, limit 60 s, max 2 %"
