"""Kinds of ledger records and their fields: the schema that the writer obeys.

One line per kind below: `name:type`, `?` before the colon marks an optional field.  Types: str, int, bool, date, time
(naive New York in, UTC out), list, map, or the name of an enum.  Inside lists and maps only strings, whole numbers,
flags, dates, times, lists and maps may stand: no floats, no null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from core.errors import LedgerError
from core.market import Regime, VixVerdict
from core.ports import OrderType, TimeInForce
from core.reasons import Reason
from core.trade_machine import TradeState, Trigger
from core.vocabulary import (
    Disposition,
    Gate,
    OrderOutcome,
    OrderStatus,
    Purpose,
    RiskBasis,
    SessionPhase,
    StructureName,
)


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


_ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    kind.__name__: kind
    for kind in (
        BreakStatus,
        Disposition,
        EndReason,
        ExpiryResult,
        FillSource,
        FlowType,
        Gate,
        OrderOutcome,
        OrderStatus,
        OrderType,
        Purpose,
        Reason,
        Regime,
        RiskBasis,
        SessionPhase,
        StructureName,
        TimeInForce,
        TradeState,
        Trigger,
        VixVerdict,
    )
}

_SCHEMA: Final = """
RUN_STARTED run:str schema:int engine:str engine_version:str start:date end:date code_hash:str settings:map settings_hash:str data_manifest:str
  seed:int mode:str account:str brokerage:str currency:str start_cash_u6:int holdings:list families:map reasons:list resumed_from?:str
SESSION_OPENED date:date open_time:time close_time:time half_day:bool
SESSION_CLOSED date:date open_time:time close_time:time half_day:bool cash_u6:int equity_u6?:int
PHASE phase:SessionPhase
SIGNAL bar_time:time state:str p_e6?:int target:str held:str reason:str
VIX value_e6?:int age_s:int verdict:VixVerdict regime:Regime
MARK px:map halted:list equity_u6:int engine_equity_u6:int used_u6:int reserved_u6:int t_loss_u6:int c_loss_u6:int
INTENT intent:str trade:str purpose:Purpose reason?:Reason structure:StructureName legs:list qty:int risk_basis:RiskBasis max_loss_u6?:int
  t_loss_u6?:int c_loss_u6?:int margin_u6?:int budget_u6?:int
VERDICT intent?:str gate:Gate allowed:bool reason:Reason scale_e6:int until?:time ages:map detail:map
SIZE intent:str bounds:map scale_e6:int units:int
ORDER_INTENT order:str intent:str trade:str purpose:Purpose attempt:int type:OrderType tif:TimeInForce legs:list limit_u6?:int deadline:time
ORDER_SENT order:str
ORDER_EVENT order:str status:OrderStatus text:str
FILL fill:str order:str trade:str symbol:str qty:int price_u6:int mult:int fee_u6:int exec_time:time cash_after_u6:int pos_after:int
  source:FillSource
ORDER_OUTCOME order:str outcome:OrderOutcome filled:int left:int
TRADE_STATE trade:str from:TradeState trigger:Trigger to:TradeState deadline?:time
TRADE_CLOSED trade:str pnl_u6:int fees_u6:int risk_u6:int reason:Reason
CASH_FLOW type:FlowType amount_u6:int
SPLIT symbol:str num:int den:int
EXPIRY symbol:str qty:int result:ExpiryResult price_u6:int cash_u6:int deliver_symbol?:str deliver_qty?:int
BROKER_STATEMENT cash_u6:int unsettled_u6:int equity_u6:int holdings:list orders:list
BREAK symbol:str book_qty:int broker_qty:int status:BreakStatus locked:list
BREACH principle:str value:int limit:int
FAULT name:str
ANCHOR head_seq:int head_hash:str channel:str
RUN_ENDED reason:EndReason counts:map cash_u6:int equity_u6:int fees_u6:int holdings:list orders:list
INIT_REPORT components:list
COMPONENT name:str status:str error:str sentence:str attempts:int
TRADING_STATE scope:str from:str to:str cause:str disposition?:Disposition
EVENT_QUARANTINED order:str cause:str symbol:str qty:int
REPAIR trade:str stage:str symbol:str uncovered_s:int
BREAKER condition:str ratio_e6:int level:str
LEVEL manager:str from:str to:str value_e6:int
COMMAND id:str name:str result:str
SUGGESTION intent:str
ALERT severity:str code:str text:str
STATE_SAVED slot:str state_seq:int sha256:str
RESTART row:str trades:list orders:list
HEALTH component:str status:str calls:int failures:int last_good?:time age_s?:int
FUNNEL strategy:str date:date counts:map
"""


class _Field:
    """Type and presence of one field."""

    __slots__ = ("allowed", "name", "optional", "type")

    def __init__(self, text: str) -> None:
        name, self.type = text.split(":")
        self.optional = name.endswith("?")
        self.name = name.rstrip("?")
        enum = _ENUMS.get(self.type)
        self.allowed = None if enum is None else frozenset(member.value for member in enum)


def _read_schema() -> dict[Kind, dict[str, _Field]]:
    schema: dict[Kind, dict[str, _Field]] = {}
    for line in _SCHEMA.strip().replace("\n  ", " ").splitlines():
        kind, *fields = line.split()
        schema[Kind(kind)] = {field.name: field for field in map(_Field, fields)}
    return schema


FIELDS: Final = _read_schema()
"""Kind -> field name -> type; every kind has exactly one entry."""

_PYTHON: Final[Mapping[str, type]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "date": date,
    "time": datetime,
    "list": list,
    "map": dict,
}


def check(kind: Kind, fields: Mapping[str, object]) -> None:
    """Refuse a record that the schema refuses. Raises LedgerError naming kind, field, value and what was expected."""
    schema = FIELDS[kind]
    for name, value in fields.items():
        field = schema.get(name)
        if field is None:
            raise LedgerError(f"{kind}.{name}: the schema has no such field; expected one of {', '.join(schema)}.")
        if field.allowed is not None:
            if value not in field.allowed:
                raise LedgerError(f"{kind}.{name} = {value!r}: expected a member of {field.type}.")
            continue
        expected = _PYTHON[field.type]
        actual = type(value)
        if actual is not expected and not (expected is not int and isinstance(value, expected) and actual is not bool):
            raise LedgerError(f"{kind}.{name} = {value!r}: expected {field.type}, got {actual.__name__}.")
    if len(fields) < len(schema):
        missing = [name for name, field in schema.items() if not field.optional and name not in fields]
        if missing:
            raise LedgerError(f"{kind}: {', '.join(missing)} missing.")
