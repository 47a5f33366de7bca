"""Kinds of records and their fields, as the auditor knows them, and a fast judge of one record.

The judge remembers shapes: the keys of a record with the Python types of their values.  A shape is judged once, later
records of that shape cost one look-up and the checks of their values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from audit.times import micros
from audit.words import ENUMS

Record = dict[str, Any]
Check = Callable[[Any], bool]

VERSION: Final = 1
_LIMIT: Final = 2**63
_HEX64: Final = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Type:
    """What a field may hold: its Python type, a check of the value (None: the type says it all), and how it is stored.

    store is integer, text, time, date, flag, or a child table's form: list, map, rows, px.
    """

    name: str
    python: type
    check: Check | None
    store: str
    words: str
    members: frozenset[str] = frozenset()
    row: Mapping[str, Field] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: Type
    optional: bool


def _natural(value: int) -> bool:
    return value >= 0


def _positive(value: int) -> bool:
    return value > 0


def in_range(value: Any) -> bool:
    """Tell whether every whole number in a decoded value fits 64 bits with a sign."""
    if type(value) is int:
        return -_LIMIT < value < _LIMIT
    if type(value) is list:
        return all(map(in_range, value))
    return all(map(in_range, value.values())) if type(value) is dict else True


def _time(value: str) -> bool:
    try:
        micros(value)
    except ValueError:
        return False
    return True


def _date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _hash(value: str) -> bool:
    return _HEX64.match(value) is not None


def _texts(value: list[Any]) -> bool:
    return all(type(item) is str and item for item in value)


def _integers(value: dict[str, Any]) -> bool:
    return all(key and type(item) is int for key, item in value.items())


def _scalars(value: dict[str, Any]) -> bool:
    return all(key and (type(item) is str or type(item) is int) for key, item in value.items())


def _families(value: dict[str, Any]) -> bool:
    return all(key and type(item) is dict and _integers(item) for key, item in value.items())


def _prices(value: dict[str, Any]) -> bool:
    try:
        for bid, ask, last, low, high in value.values():
            if not (type(bid) is type(ask) is type(last) is type(low) is type(high) is int):
                return False
            if bid < 0 or ask < 0 or last < 0 or low < 0 or high < 0:
                return False
    except (TypeError, ValueError):
        return False
    return "" not in value


def _enum(name: str) -> Type:
    members = ENUMS[name]
    listed = ", ".join(sorted(members)) if len(members) <= 12 else f"a member of {name}"
    return Type(name, str, members.__contains__, "text", listed, members)


_TYPES: Final[dict[str, Type]] = {
    "int": Type("int", int, None, "integer", "a whole number of 64 bits"),
    "nat": Type("nat", int, _natural, "integer", "a whole number from 0 on"),
    "pos": Type("pos", int, _positive, "integer", "a whole number above 0"),
    "nonzero": Type("nonzero", int, bool, "integer", "a whole number other than 0"),
    "text": Type("text", str, None, "text", "text"),
    "name": Type("name", str, bool, "text", "text that is not empty"),
    "hash": Type("hash", str, _hash, "text", "64 hex digits"),
    "flag": Type("flag", bool, None, "flag", "true or false"),
    "time": Type("time", str, _time, "time", "a UTC time of microseconds"),
    "date": Type("date", str, _date, "date", "an ISO date"),
    "names": Type("names", list, _texts, "list", "a list of texts"),
    "counts": Type("counts", dict, _integers, "map", "a map of whole numbers"),
    "values": Type("values", dict, _scalars, "map", "a map of texts and whole numbers"),
    "families": Type("families", dict, _families, "families", "a map of maps of whole numbers"),
    "px": Type("px", dict, _prices, "px", "a map of five prices per symbol"),
} | {name: _enum(name) for name in ENUMS}


def _fields(text: str) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for word in text.split():
        name, _, kind = word.partition("=")
        plain = name.rstrip("?")
        found[plain] = Field(plain, _TYPES[kind], name.endswith("?"))
    return found


def _rows(name: str, text: str, *, some: bool) -> None:
    """Add a type: a list of objects with these fields, never empty where some is set."""
    fields = _fields(text)
    required = frozenset(key for key, field in fields.items() if not field.optional)

    def check(value: list[Any]) -> bool:
        if some and not value:
            return False
        return all(_row_holds(item, fields, required) for item in value)

    _TYPES[name] = Type(name, list, check, "rows", "a list of objects with " + ", ".join(fields), row=fields)


def _row_holds(item: object, fields: Mapping[str, Field], required: frozenset[str]) -> bool:
    if type(item) is not dict or not required <= item.keys():
        return False
    for key, value in item.items():
        field = fields.get(key)
        if field is None or type(value) is not field.type.python:
            return False
        if field.type.check is not None and not field.type.check(value):
            return False
    return True


def _one_row(name: str, text: str) -> None:
    """Add a type: one object with these fields."""
    fields = _fields(text)
    required = frozenset(key for key, field in fields.items() if not field.optional)
    words = "an object with " + ", ".join(fields)
    _TYPES[name] = Type(name, dict, lambda value: _row_holds(value, fields, required), "columns", words, row=fields)


_rows("intent_legs", "symbol=name ratio=nonzero mult=pos right?=right strike_u6?=pos expiry?=date", some=True)
_rows("order_legs", "symbol=name qty=nonzero", some=True)
_rows("holdings", "symbol=name qty=nonzero price_u6=nat mult=pos", some=False)
_rows("components", "name=name tier=nat status=component_status error=text sentence=text attempts=nat", some=False)
_one_row("ages", "vix_s?=nat greeks_s?=nat quote_s?=nat")

_TABLE: Final = """
RUN_STARTED: run=name schema=pos engine=name engine_version=name start=date end=date code_hash=name settings=values
    settings_hash=name data_manifest=name seed=int mode=mode account=account brokerage=name currency=name
    start_cash_u6=int holdings=holdings families=families reasons=names resumed_from?=hash
SESSION_OPENED: date=date open_time=time close_time=time half_day=flag
SESSION_CLOSED: date=date open_time=time close_time=time half_day=flag cash_u6=int equity_u6?=int
PHASE: phase=phase
SIGNAL: bar_time=time state=signal_state p_e6?=nat target=target held=text reason=reason
VIX: value_e6?=nat age_s=nat verdict=vix_verdict regime=regime
MARK: px=px halted=names equity_u6=int engine_equity_u6=int used_u6=int reserved_u6=int t_loss_u6=int c_loss_u6=int
INTENT: intent=name trade=name purpose=purpose reason?=reason structure=structure legs=intent_legs qty=pos
    risk_basis=basis max_loss_u6?=nat t_loss_u6?=nat c_loss_u6?=nat margin_u6?=nat budget_u6?=nat
VERDICT: intent?=name gate=gate allowed=flag reason=reason scale_e6=nat until?=time ages=ages detail=values
ORDER_INTENT: order=name intent=name trade=name purpose=purpose attempt=pos type=order_type tif=tif legs=order_legs
    limit_u6?=int deadline=time
ORDER_SENT: order=name
ORDER_EVENT: order=name status=status text=text
FILL: fill=name order=name trade=name symbol=name qty=nonzero price_u6=nat mult=pos fee_u6=int exec_time=time
    cash_after_u6=int pos_after=int source=source
ORDER_OUTCOME: order=name outcome=outcome filled=nat left=nat
TRADE_STATE: trade=name from=trade_state trigger=trigger to=trade_state deadline?=time
CASH_FLOW: type=flow amount_u6=nonzero
SPLIT: symbol=name num=pos den=pos
EXPIRY: symbol=name qty=nonzero result=expiry_result price_u6=nat cash_u6=int deliver_symbol?=name deliver_qty?=nonzero
BROKER_STATEMENT: cash_u6=int unsettled_u6=int equity_u6=int holdings=holdings orders=names
BREAK: symbol=name book_qty=int broker_qty=int status=break_status locked=names
BREACH: principle=name value=int limit=int
FAULT: name=name
ANCHOR: head_seq=nat head_hash=hash channel=name
RUN_ENDED: reason=run_end counts=counts cash_u6=int equity_u6=int fees_u6=int holdings=holdings orders=names
INIT_REPORT: components=components
COMPONENT: name=name status=component_status error=text
TRADING_STATE: scope=name from=trading_state to=trading_state cause=name disposition?=disposition
SIZE: intent=name bounds=counts scale_e6=nat units=nat
EVENT_QUARANTINED: order=text cause=name symbol=text qty=int
TRADE_CLOSED: trade=name pnl_u6=int fees_u6=int risk_u6=nat reason=reason
REPAIR: trade=name stage=name symbol=name uncovered_s=nat
BREAKER: condition=name ratio_e6=int level=name
LEVEL: manager=name from=name to=name value_e6=int
COMMAND: id=name name=name result=name
SUGGESTION: intent=name
ALERT: severity=name code=name text=name
STATE_SAVED: slot=name state_seq=nat sha256=hash
RESTART: row=name trades=names orders=names
HEALTH: component=name status=component_status calls=nat failures=nat last_good?=time age_s?=nat
FUNNEL: strategy=name date=date counts=counts
"""


def _read_table() -> dict[str, dict[str, Field]]:
    joined = _TABLE.strip().replace("\n    ", " ")
    return {kind: _fields(text) for kind, _, text in (line.partition(":") for line in joined.splitlines())}


KINDS: Final[Mapping[str, Mapping[str, Field]]] = _read_table()
"""Kind -> field name -> field, without the fields of every line."""

LINE_FIELDS: Final = {"v": int, "seq": int, "time": str, "kind": str, "book": str, "prev_hash": str}
"""Fields of every line but `hash`, with their types."""

Checks = tuple[tuple[str, Check], ...]
_SHAPES_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class _Shape:
    """The keys of a record and the types of its values, in their order, and what is left to check."""

    keys: frozenset[str]
    types: list[type]
    checks: Checks
    agree: Callable[[Record], str | None] | None


class SchemaJudge:
    """Answers with a sentence for a record that is none, and with None for a good one.

    That whole numbers fit 64 bits is asked of whoever decoded the line.
    """

    def __init__(self) -> None:
        self._shapes: dict[str, list[_Shape]] = {kind: [] for kind in KINDS}

    def __call__(self, record: Record) -> str | None:
        kind = record.get("kind")
        known = self._shapes.get(kind) if type(kind) is str else None
        if known is None:
            return "kind is missing" if kind is None else f"kind {_short(kind)} is unknown"
        types = [*map(type, record.values())]
        for shape in known:
            if shape.types == types and shape.keys == record.keys():
                break
        else:
            found = _judge_shape(record, types)
            if isinstance(found, str):
                return found
            shape = found
            if len(known) < _SHAPES_KEPT:
                known.append(shape)
        for name, check in shape.checks:
            if not check(record[name]):
                return _value_sentence(record, name)
        return None if shape.agree is None else shape.agree(record)


SHAPES: Final = SchemaJudge()
"""The one judge of this process: which shapes are good does not depend on the ledger."""


def _judge_shape(record: Record, types: list[type]) -> _Shape | str:
    for name, kind_of in LINE_FIELDS.items():
        if name not in record:
            return f"{name} is missing"
        if type(record[name]) is not kind_of:
            return f"{name} = {_short(record[name])}: expected {'text' if kind_of is str else 'a whole number'}"
    kind = record["kind"]
    fields = KINDS[kind]
    checks: list[tuple[str, Check]] = []
    for name, value in record.items():
        if name in LINE_FIELDS:
            continue
        field = fields.get(name)
        if field is None:
            return f"{kind}.{name}: no such field"
        if type(value) is not field.type.python:
            return f"{kind}.{name} = {_short(value)}: expected {field.type.words}"
        if field.type.check is not None:
            checks.append((name, field.type.check))
    missing = [name for name, field in fields.items() if not field.optional and name not in record]
    if missing:
        return f"{kind}: {', '.join(missing)} missing"
    return _Shape(frozenset(record), types, tuple(checks), _AGREEMENTS.get(kind))


def _value_sentence(record: Record, name: str) -> str:
    kind = record["kind"]
    return f"{kind}.{name} = {_short(record[name])}: expected {KINDS[kind][name].type.words}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _verdict_agrees(record: Record) -> str | None:
    if record["allowed"] is (record["reason"] == "ALLOWED"):
        return None
    return f"VERDICT: allowed = {record['allowed']} and reason = {record['reason']} contradict each other"


def _expiry_agrees(record: Record) -> str | None:
    together = ("deliver_symbol" in record) is ("deliver_qty" in record)
    return None if together else "EXPIRY: deliver_symbol and deliver_qty come together"


def _intent_agrees(record: Record) -> str | None:
    for leg in record["legs"]:
        if len(leg.keys() & {"right", "strike_u6", "expiry"}) not in (0, 3):
            return f"INTENT.legs: {leg['symbol']} needs right, strike_u6 and expiry, or none of them"
    return None


_AGREEMENTS: Final[dict[str, Callable[[Record], str | None]]] = {
    "VERDICT": _verdict_agrees,
    "EXPIRY": _expiry_agrees,
    "INTENT": _intent_agrees,
}
"""Fields of one record that must not contradict each other."""
