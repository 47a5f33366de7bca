"""Kinds of ledger records and their fields: the schema that the writer obeys, and the line that it gives.

One line per kind below: `name:type`, a `?` before the colon marks an optional field.  Types are those of
`core.ledger_fields`, or the name of an enum.  Nothing else may stand in a record: no further field, no float, no null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from json.encoder import encode_basestring_ascii as quote
from operator import call
from types import MappingProxyType
from typing import Any, Final

from core.eastern import utc_text
from core.errors import LedgerError
from core.ledger_fields import REFUSALS, FieldType, Write, as_refused, enum_type, field_type, time_of
from core.market import Regime, VixVerdict
from core.ports import OrderType, TimeInForce
from core.reasons import Reason
from core.signal import SignalState
from core.trade_machine import TradeState, Trigger
from core.vocabulary import (
    Disposition,
    FamilyTarget,
    Gate,
    OrderOutcome,
    OrderStatus,
    Purpose,
    RiskBasis,
    SessionPhase,
    StructureName,
    TradingState,
)

Take = Callable[[str, Mapping[str, Any], datetime], None]
"""Takes one record in: its book, fields and time."""

VERSION: Final = 1
"""The `v` of every line."""


class Kind(StrEnum):
    RUN_STARTED = "RUN_STARTED"
    SESSION_OPENED = "SESSION_OPENED"
    SESSION_CLOSED = "SESSION_CLOSED"
    PHASE = "PHASE"
    SIGNAL = "SIGNAL"
    VIX = "VIX"
    MARK = "MARK"
    INTENT = "INTENT"
    VERDICT = "VERDICT"
    SIZE = "SIZE"
    ORDER_INTENT = "ORDER_INTENT"
    ORDER_SENT = "ORDER_SENT"
    ORDER_EVENT = "ORDER_EVENT"
    FILL = "FILL"
    ORDER_OUTCOME = "ORDER_OUTCOME"
    TRADE_STATE = "TRADE_STATE"
    TRADE_CLOSED = "TRADE_CLOSED"
    CASH_FLOW = "CASH_FLOW"
    SPLIT = "SPLIT"
    EXPIRY = "EXPIRY"
    BROKER_STATEMENT = "BROKER_STATEMENT"
    BREAK = "BREAK"
    BREACH = "BREACH"
    FAULT = "FAULT"
    ANCHOR = "ANCHOR"
    RUN_ENDED = "RUN_ENDED"
    INIT_REPORT = "INIT_REPORT"
    COMPONENT = "COMPONENT"
    TRADING_STATE = "TRADING_STATE"
    EVENT_QUARANTINED = "EVENT_QUARANTINED"
    REPAIR = "REPAIR"
    BREAKER = "BREAKER"
    LEVEL = "LEVEL"
    COMMAND = "COMMAND"
    SUGGESTION = "SUGGESTION"
    ALERT = "ALERT"
    STATE_SAVED = "STATE_SAVED"
    RESTART = "RESTART"
    HEALTH = "HEALTH"
    FUNNEL = "FUNNEL"


Fold = Callable[[Kind], Sequence[Take]]
"""Who takes the records of a kind in, one after the other."""


class EndReason(StrEnum):
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    STOPPED = "STOPPED"
    QUIT = "QUIT"


class ExpiryResult(StrEnum):
    WORTHLESS = "WORTHLESS"
    CASH = "CASH"
    EXERCISED = "EXERCISED"
    ASSIGNED = "ASSIGNED"


class BreakStatus(StrEnum):
    OPEN = "OPEN"
    CLEARED = "CLEARED"


class FillSource(StrEnum):
    EVENT = "EVENT"
    RECOVERED = "RECOVERED"


class FlowType(StrEnum):
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    DIVIDEND = "DIVIDEND"
    INTEREST = "INTEREST"
    FEE = "FEE"
    CASH_IN_LIEU = "CASH_IN_LIEU"


class RunMode(StrEnum):
    BACKTEST = "BACKTEST"
    PAPER = "PAPER"
    LIVE = "LIVE"


class AccountKind(StrEnum):
    CASH = "CASH"
    MARGIN = "MARGIN"


class ComponentStatus(StrEnum):
    WAITING = "WAITING"
    READY = "READY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"


_ENUMS: Final[Mapping[str, FieldType]] = MappingProxyType(
    {
        kind.__name__: enum_type(kind.__name__, (member.value for member in kind))
        for kind in (
            AccountKind, BreakStatus, ComponentStatus, Disposition, EndReason, ExpiryResult, FamilyTarget,
            FillSource, FlowType, Gate, OrderOutcome, OrderStatus, OrderType, Purpose, Reason, Regime, RiskBasis,
            RunMode, SessionPhase, SignalState, StructureName, TimeInForce, TradeState, Trigger, VixVerdict,
        )
    }
    | {"TradingState": enum_type("TradingState", TradingState.__members__)}
)  # fmt: skip

_SCHEMA: Final = """
RUN_STARTED run:name schema:count engine:name engine_version:name start:date end:date code_hash:name settings:values
  settings_hash:name data_manifest:name seed:int mode:RunMode account:AccountKind brokerage:name currency:name
  start_cash_u6:int holdings:holdings families:families reasons:names resumed_from?:hash
SESSION_OPENED date:date open_time:time close_time:time half_day:flag
SESSION_CLOSED date:date open_time:time close_time:time half_day:flag cash_u6:int equity_u6?:int
PHASE phase:SessionPhase
SIGNAL bar_time:time state:SignalState p_e6?:count target:FamilyTarget held:FamilyTarget reason:Reason
VIX value_e6?:count age_s:count verdict:VixVerdict regime:Regime
MARK px:px halted:names equity_u6:int engine_equity_u6:int used_u6:int reserved_u6:int t_loss_u6:int
  c_loss_u6:int
INTENT intent:name trade:name purpose:Purpose reason?:Reason structure:StructureName legs:intent_legs
  qty:positive risk_basis:RiskBasis max_loss_u6?:count t_loss_u6?:count c_loss_u6?:count margin_u6?:count
  budget_u6?:count
VERDICT intent?:name gate:Gate allowed:flag reason:Reason scale_e6:count until?:time ages:ages detail:values
SIZE intent:name bounds:whole_numbers scale_e6:count units:count
ORDER_INTENT order:name intent:name trade:name purpose:Purpose attempt:positive type:OrderType
  tif:TimeInForce legs:order_legs limit_u6?:int deadline:time
ORDER_SENT order:name
ORDER_EVENT order:name status:OrderStatus text:text
FILL fill:name order:name trade:name symbol:name qty:nonzero price_u6:count mult:positive fee_u6:int exec_time:time
  cash_after_u6:int pos_after:int source:FillSource
ORDER_OUTCOME order:name outcome:OrderOutcome filled:count left:count
TRADE_STATE trade:name from:TradeState trigger:Trigger to:TradeState deadline?:time
TRADE_CLOSED trade:name pnl_u6:int fees_u6:int risk_u6:count reason:Reason
CASH_FLOW type:FlowType amount_u6:nonzero
SPLIT symbol:name num:positive den:positive
EXPIRY symbol:name qty:nonzero result:ExpiryResult price_u6:count cash_u6:int deliver_symbol?:name
  deliver_qty?:nonzero
BROKER_STATEMENT cash_u6:int unsettled_u6:int equity_u6:int holdings:holdings orders:names
BREAK symbol:name book_qty:int broker_qty:int status:BreakStatus locked:names
BREACH principle:name value:int limit:int
FAULT name:name
ANCHOR head_seq:count head_hash:hash channel:name
RUN_ENDED reason:EndReason counts:whole_numbers cash_u6:int equity_u6:int fees_u6:int holdings:holdings orders:names
INIT_REPORT components:components
COMPONENT name:name status:ComponentStatus error:text
TRADING_STATE scope:name from:TradingState to:TradingState cause:name disposition?:Disposition
EVENT_QUARANTINED order:text cause:name symbol:text qty:int
REPAIR trade:name stage:name symbol:name uncovered_s:count
BREAKER condition:name ratio_e6:int level:name
LEVEL manager:name from:name to:name value_e6:int
COMMAND id:name name:name result:name
SUGGESTION intent:name
ALERT severity:name code:name text:name
STATE_SAVED slot:name state_seq:count sha256:hash
RESTART row:name trades:names orders:names
HEALTH component:name status:ComponentStatus calls:count failures:count last_good?:time age_s?:count
FUNNEL strategy:name date:date counts:whole_numbers
"""


@dataclass(frozen=True, slots=True)
class Field:
    """Name, type and presence of one field; write gives its JSON text or raises one of REFUSALS."""

    name: str
    type: str
    optional: bool
    write: Write
    expected: str


def _field(text: str) -> Field:
    name, type_name = text.split(":")
    found = _ENUMS.get(type_name) or field_type(type_name)
    return Field(name.rstrip("?"), type_name, name.endswith("?"), found.write, found.expected)


def _read_schema() -> dict[Kind, Mapping[str, Field]]:
    schema: dict[Kind, Mapping[str, Field]] = {}
    for line in _SCHEMA.strip().replace("\n  ", " ").splitlines():
        kind, *texts = line.split()
        schema[Kind(kind)] = MappingProxyType({field.name: field for field in map(_field, texts)})
    return schema


FIELDS: Final[Mapping[Kind, Mapping[str, Field]]] = MappingProxyType(_read_schema())
"""Kind -> field name -> field; every kind has exactly one entry."""

_PLACES: Final = {"prev_hash": '"{0}"', "seq": "{1}", "time": '"{2}"', "book": "{3}"}
"""Where what every line has goes in a template; the fields of its kind follow."""


class Form:
    """The line of one kind with certain fields: which of them there are is looked at once, their values each time.

    `parts` judges what is written; `line` only joins it.  Keys stand sorted, as in any canonical JSON.
    """

    def __init__(self, kind: Kind, names: Iterable[str]) -> None:
        """Raises LedgerError for a field that the kind does not have, and for one that it lacks."""
        given, schema = tuple(names), FIELDS[kind]
        for name in sorted(set(given) - schema.keys()):
            raise LedgerError(f"{kind}.{name}: the schema has no such field; expected one of {', '.join(schema)}.")
        missing = [name for name, field in sorted(schema.items()) if not field.optional and name not in given]
        if missing:
            raise LedgerError(f"{kind}: {', '.join(missing)} missing.")
        self.kind = kind
        is_time = [schema[name].type == "time" for name in given]
        writes = [time_of if late else schema[name].write for name, late in zip(given, is_time, strict=True)]
        self._writes: list[Callable[[Any], str | datetime]] = [quote, *writes]
        self._has_times = any(is_time)
        fixed = {"kind": quote(kind), "v": str(VERSION)}
        places = fixed | _PLACES
        for place, (name, late) in enumerate(zip(given, is_time, strict=True), start=len(_PLACES)):
            places[name] = f'"{{{place}}}"' if late else f"{{{place}}}"
        # A doubled brace is one brace of the line; the last one comes with the hash.
        self._template = "{{" + ",".join([f"{quote(key)}:{places[key]}" for key in sorted(places)])
        self._agree = _AGREEMENTS.get(kind)

    def parts(self, book: str, fields: Mapping[str, Any]) -> list[str | datetime]:
        """Return the JSON texts of book and fields, and times as they are: they become text with the line, where many
        are one.  The fields come in the order of the names that the form was made for.

        Raises LedgerError naming kind, field, value and what was expected.
        """
        try:
            parts = list(map(call, self._writes, (book, *fields.values())))
        except REFUSALS:
            self.check(fields)
            raise  # the name of the book
        if self._agree is not None and (sentence := self._agree(fields)):
            raise LedgerError(f"{self.kind}: {sentence}")
        return parts

    def line(self, prev_hash: str, seq: int, time: datetime, parts: list[str | datetime]) -> str:
        """Return the line up to its last brace, before which the hash comes."""
        if self._has_times:
            parts = [utc_text(part) if isinstance(part, datetime) else part for part in parts]
        return self._template.format(prev_hash, seq, utc_text(time), *parts)

    def check(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """Return the JSON text of each field.  Raises LedgerError as `parts` does, for the first that is refused."""
        schema, texts = FIELDS[self.kind], {}
        for name, value in fields.items():
            try:
                texts[name] = schema[name].write(value)
            except REFUSALS as error:
                refused = as_refused(error, value)
                raise LedgerError(
                    f"{self.kind}.{name}{refused.path} = {refused.value!r}: "
                    f"expected {refused.expected or schema[name].expected}."
                ) from None
        if self._agree is not None and (sentence := self._agree(fields)):
            raise LedgerError(f"{self.kind}: {sentence}")
        return texts


def plain(kind: Kind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as the line holds them.  Raises LedgerError for what a line may not hold."""
    return {name: json.loads(text) for name, text in Form(kind, fields).check(fields).items()}


def _verdict_agrees(fields: Mapping[str, Any]) -> str:
    allowed = fields["reason"] == Reason.ALLOWED
    return (
        ""
        if fields["allowed"] is allowed
        else f"allowed = {fields['allowed']} and reason = {fields['reason']} contradict each other."
    )


_OPENINGS: Final = frozenset(purpose for purpose in Purpose if purpose.adds_risk)
_RISKS: Final = {RiskBasis.MAX_LOSS: "max_loss_u6", RiskBasis.STRESS: "t_loss_u6"}


def _intent_agrees(fields: Mapping[str, Any]) -> str:
    wanted = _RISKS.get(fields["risk_basis"]) if fields["purpose"] in _OPENINGS else None
    return "" if wanted is None or wanted in fields else f"basis {fields['risk_basis']} needs {wanted}."


def _expiry_agrees(fields: Mapping[str, Any]) -> str:
    both = ("deliver_symbol" in fields) is ("deliver_qty" in fields)
    return "" if both else "deliver_symbol and deliver_qty come together."


_AGREEMENTS: Final[Mapping[Kind, Callable[[Mapping[str, Any]], str]]] = MappingProxyType(
    {Kind.VERDICT: _verdict_agrees, Kind.INTENT: _intent_agrees, Kind.EXPIRY: _expiry_agrees}
)
