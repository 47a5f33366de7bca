"""The schema: exactly the fields of the tables, and what each of them refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from core.errors import LedgerError
from core.ledger_kinds import FIELDS, Kind, plain
from core.reasons import Reason
from core.vocabulary import Gate

HASH = "a" * 64
NOW = datetime(2025, 11, 28, 13, 0)
LEG = {"symbol": "QQQ", "ratio": 1, "mult": 1}
OPTION = {
    "symbol": "SPXW  251128P05900000",
    "ratio": -1,
    "mult": 100,
    "right": "P",
    "strike_u6": 5_900_000_000,
    "expiry": date(2025, 11, 28),
}

# Written down once more from the tables of the ledger and of the risk rules: `?` optional.
TABLES = """
RUN_STARTED run schema engine engine_version start end code_hash settings settings_hash data_manifest seed mode account
 brokerage currency start_cash_u6 holdings families reasons resumed_from?
SESSION_OPENED date open_time close_time half_day
SESSION_CLOSED date open_time close_time half_day cash_u6 equity_u6?
PHASE phase
SIGNAL bar_time state p_e6? target held reason
VIX value_e6? age_s verdict regime
MARK px halted equity_u6 engine_equity_u6 used_u6 reserved_u6 t_loss_u6 c_loss_u6
INTENT intent trade purpose reason? structure legs qty risk_basis max_loss_u6? t_loss_u6? c_loss_u6? margin_u6?
 budget_u6?
VERDICT intent? gate allowed reason scale_e6 until? ages detail
ORDER_INTENT order intent trade purpose attempt type tif legs limit_u6? deadline
ORDER_SENT order
ORDER_EVENT order status text
FILL fill order trade symbol qty price_u6 mult fee_u6 exec_time cash_after_u6 pos_after source
ORDER_OUTCOME order outcome filled left
TRADE_STATE trade from trigger to deadline?
CASH_FLOW type amount_u6
SPLIT symbol num den
EXPIRY symbol qty result price_u6 cash_u6 deliver_symbol? deliver_qty?
BROKER_STATEMENT cash_u6 unsettled_u6 equity_u6 holdings orders
BREAK symbol book_qty broker_qty status locked
BREACH principle value limit
FAULT name
ANCHOR head_seq head_hash channel
RUN_ENDED reason counts cash_u6 equity_u6 fees_u6 holdings orders
INIT_REPORT components
COMPONENT name status error
TRADING_STATE scope from to cause disposition?
SIZE intent bounds scale_e6 units
EVENT_QUARANTINED order cause symbol qty
TRADE_CLOSED trade pnl_u6 fees_u6 risk_u6 reason
REPAIR trade stage symbol uncovered_s
BREAKER condition ratio_e6 level
LEVEL manager from to value_e6
COMMAND id name result
SUGGESTION intent
ALERT severity code text
STATE_SAVED slot state_seq sha256
RESTART row trades orders
HEALTH component status calls failures last_good? age_s?
FUNNEL strategy date counts
"""


def fields_of(kind: Kind) -> dict[str, Any]:
    """A record that the schema accepts."""
    examples: dict[Kind, dict[str, Any]] = {
        Kind.FILL: {
            "fill": "o#1", "order": "o", "trade": "t", "symbol": "QQQ", "qty": -3, "price_u6": 1, "mult": 1,
            "fee_u6": 0, "exec_time": NOW, "cash_after_u6": -5, "pos_after": 0, "source": "EVENT",
        },
        Kind.INTENT: {
            "intent": "i", "trade": "t", "purpose": "OPEN", "structure": "PUT_SPREAD", "legs": [OPTION], "qty": 1,
            "risk_basis": "MAX_LOSS", "max_loss_u6": 1,
        },
        Kind.VERDICT: {
            "gate": "vix", "allowed": False, "reason": "VIX_STALE", "scale_e6": 0, "ages": {"vix_s": 301},
            "detail": {"a": 1},
        },
        Kind.ORDER_INTENT: {
            "order": "o", "intent": "i", "trade": "t", "purpose": "OPEN", "attempt": 1, "type": "LIMIT", "tif": "DAY",
            "legs": [{"symbol": "QQQ", "qty": 1}], "deadline": NOW,
        },
        Kind.MARK: {
            "px": {"QQQ": [1, 2, 0, 1, 2]}, "halted": [], "equity_u6": 1, "engine_equity_u6": 1, "used_u6": 0,
            "reserved_u6": 0, "t_loss_u6": 0, "c_loss_u6": 0,
        },
        Kind.SESSION_OPENED: {"date": NOW.date(), "open_time": NOW, "close_time": NOW, "half_day": True},
        Kind.ANCHOR: {"head_seq": 7, "head_hash": HASH, "channel": "log"},
        Kind.EXPIRY: {"symbol": "x", "qty": 1, "result": "WORTHLESS", "price_u6": 0, "cash_u6": 0},
        Kind.BROKER_STATEMENT: {
            "cash_u6": 1, "unsettled_u6": 0, "equity_u6": 1, "orders": [],
            "holdings": [{"symbol": "QQQ", "qty": 1, "price_u6": 1, "mult": 1}],
        },
        Kind.SPLIT: {"symbol": "QQQ", "num": 2, "den": 1},
    }  # fmt: skip
    return dict(examples[kind])


def refusal(kind: Kind, **changes: Any) -> str:
    with pytest.raises(LedgerError) as caught:
        plain(kind, fields_of(kind) | changes)
    return str(caught.value)


def test_every_kind_has_exactly_the_fields_of_the_tables() -> None:
    expected = {}
    for line in TABLES.strip().replace("\n ", " ").splitlines():
        kind, *names = line.split()
        expected[kind] = set(names)
    actual = {
        kind.value: {f"{field.name}?" if field.optional else field.name for field in fields.values()}
        for kind, fields in FIELDS.items()
    }
    assert actual == expected


@pytest.mark.parametrize("kind", [Kind.FILL, Kind.INTENT, Kind.VERDICT, Kind.MARK, Kind.SESSION_OPENED, Kind.EXPIRY])
def test_a_good_record_passes_and_each_missing_field_is_named(kind: Kind) -> None:
    good = fields_of(kind)
    assert set(plain(kind, good)) == set(good)
    for name in good:
        field = FIELDS[kind][name]
        rest = {key: value for key, value in good.items() if key != name}
        if not field.optional:
            with pytest.raises(LedgerError, match=name):
                plain(kind, rest)


def test_dates_and_times_become_text() -> None:
    found = plain(Kind.SESSION_OPENED, fields_of(Kind.SESSION_OPENED))
    assert found["date"] == "2025-11-28"
    assert found["open_time"] == "2025-11-28T18:00:00.000000Z"
    assert plain(Kind.INTENT, fields_of(Kind.INTENT))["legs"][0]["expiry"] == "2025-11-28"


def test_enum_members_and_their_values_are_the_same() -> None:
    by_member = plain(Kind.VERDICT, fields_of(Kind.VERDICT) | {"gate": Gate.VIX, "reason": Reason.VIX_STALE})
    assert by_member == plain(Kind.VERDICT, fields_of(Kind.VERDICT))


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Kind.FILL, "qty", 0),
        (Kind.FILL, "qty", 1.0),
        (Kind.FILL, "qty", True),
        (Kind.FILL, "qty", 2**63),
        (Kind.FILL, "qty", "1"),
        (Kind.FILL, "price_u6", -1),
        (Kind.FILL, "mult", 0),
        (Kind.FILL, "symbol", ""),
        (Kind.FILL, "symbol", None),
        (Kind.FILL, "source", "GUESSED"),
        (Kind.FILL, "exec_time", "2025-11-28"),
        (Kind.FILL, "exec_time", NOW.replace(tzinfo=UTC)),
        (Kind.FILL, "exec_time", NOW.date()),
        (Kind.FILL, "exec_time", datetime.min),
        (Kind.FILL, "exec_time", datetime.max),
        (Kind.SESSION_OPENED, "date", NOW),
        (Kind.SESSION_OPENED, "half_day", 1),
        (Kind.VERDICT, "reason", "BECAUSE"),
        (Kind.VERDICT, "gate", "VIX"),
        (Kind.VERDICT, "ages", {"vix_s": -1}),
        (Kind.VERDICT, "ages", {"other_s": 1}),
        (Kind.VERDICT, "detail", {"vix": 18.5}),
        (Kind.VERDICT, "detail", {"": 1}),
        (Kind.VERDICT, "detail", {1: 1, "a": 1}),
        (Kind.VERDICT, "detail", {"vix": ["18"]}),
        (Kind.VERDICT, "gate", ["vix"]),
        (Kind.MARK, "px", {"QQQ": [1, 2, 3]}),
        (Kind.MARK, "px", {"QQQ": [1, 2, 3, 4, 5.0]}),
        (Kind.MARK, "px", {"QQQ": [1, 2, 3, 4, -5]}),
        (Kind.MARK, "halted", "QQQ"),
        (Kind.INTENT, "legs", []),
        (Kind.INTENT, "legs", [LEG | {"ratio": 0}]),
        (Kind.INTENT, "legs", [LEG | {"right": "P"}]),
        (Kind.INTENT, "legs", [LEG | {"note": "x"}]),
        (Kind.INTENT, "legs", [OPTION | {"right": "PUT"}]),
        (Kind.ORDER_INTENT, "legs", []),
        (Kind.ORDER_INTENT, "attempt", 0),
        (Kind.ANCHOR, "head_hash", "A" * 64),
        (Kind.ANCHOR, "head_hash", "a" * 63),
        (Kind.SPLIT, "den", 0),
        (Kind.BROKER_STATEMENT, "holdings", [{"symbol": "QQQ", "qty": 1, "price_u6": 1}]),
    ],
)
def test_a_bad_value_is_refused_in_a_sentence(kind: Kind, name: str, value: object) -> None:
    sentence = refusal(kind, **{name: value})
    assert sentence.startswith(f"{kind.value}.{name}")
    assert "expected" in sentence


def test_a_refusal_inside_a_list_says_where() -> None:
    assert refusal(Kind.INTENT, legs=[OPTION, LEG | {"mult": 0}]).startswith("INTENT.legs[1].mult = 0: expected")
    assert refusal(Kind.MARK, px={"SPY": [1, 2, 3]}).startswith("MARK.px.SPY = [1, 2, 3]: expected five")
    assert refusal(Kind.MARK, halted=["SPY", 7]).startswith("MARK.halted[1] = 7: expected text")
    found = refusal(Kind.VERDICT, ages={"vix_s": 1, "vix": 2})
    assert found.startswith("VERDICT.ages = {'vix_s': 1, 'vix': 2}: expected an object")


def test_a_field_that_no_table_knows_is_refused() -> None:
    assert refusal(Kind.SPLIT, note="x").startswith("SPLIT.note: the schema has no such field")


@pytest.mark.parametrize(("allowed", "reason"), [(True, "VIX_STALE"), (False, "ALLOWED")])
def test_a_verdict_does_not_contradict_itself(allowed: bool, reason: str) -> None:
    assert "contradict" in refusal(Kind.VERDICT, allowed=allowed, reason=reason)


def test_an_opening_declares_the_risk_of_its_basis() -> None:
    assert "max_loss_u6" in _refusal_without("max_loss_u6", risk_basis="MAX_LOSS")
    assert "t_loss_u6" in _refusal_without("max_loss_u6", risk_basis="STRESS")
    closing = fields_of(Kind.INTENT) | {"purpose": "CLOSE"}
    del closing["max_loss_u6"]
    plain(Kind.INTENT, closing)  # an exit declares none


def test_a_delivery_names_symbol_and_quantity() -> None:
    assert "come together" in refusal(Kind.EXPIRY, deliver_symbol="SPY")


def _refusal_without(name: str, **changes: Any) -> str:
    fields = fields_of(Kind.INTENT) | changes
    del fields[name]
    with pytest.raises(LedgerError) as caught:
        plain(Kind.INTENT, fields)
    return str(caught.value)
