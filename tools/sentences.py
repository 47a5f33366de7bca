"""One sentence per ledger record, made from nothing but the record.

Suffixes of names carry the unit (audit.md section 2): `_u6` micro-dollars or micro-points, `_e6` millionths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from tools.ledger_reader import EXCHANGE_ZONE, U6, Record, parse_utc
from tools.reason_texts import reason_text

_OSI = re.compile(r"(.{6})(\d{6})([CP])(\d{8})")
_UNITS = {"_s": "s", "_min": "min", "_pct": "%", "_points": "points", "_usd": "USD", "_days": "days", "_h": "h"}


def sentence(record: Record) -> str | None:
    """Return the sentence for a record, or None for kinds that tell a reader nothing by themselves (marks, saves)."""
    maker = _MAKERS.get(str(record["kind"]))
    return maker(record) if maker is not None else None


def usd(amount_u6: int) -> str:
    """Return money with sign, thousands and cents: "-$1,234.50"."""
    sign = "-" if amount_u6 < 0 else ""
    return f"{sign}${abs(amount_u6) / U6:,.2f}"


def price(value_u6: int) -> str:
    """Return a price or an index level with at least two decimals and no idle zeros beyond them."""
    text = f"{value_u6 / U6:,.4f}"
    return text[:-2] if text.endswith("00") else text.rstrip("0")


def instrument(symbol: str) -> str:
    """Return a symbol as a person says it: "SPXW 250919 7515P" for the 21 characters of an option's OSI text."""
    match = _OSI.fullmatch(symbol)
    if match is None:
        return " ".join(symbol.split())
    root, expiry, right, strike = match.groups()
    return f"{root.strip()} {expiry} {int(strike) / 1_000:g}{right}"


def detail_text(detail: Mapping[str, str | int]) -> str:
    """Return "vix 23.41, high 22.00" from what stands behind a verdict: names first, then values, bounds last."""

    def rank(item: tuple[str, str | int]) -> int:
        name, value = item
        if isinstance(value, str):
            return 0
        return 2 if name.startswith(("limit", "low", "high", "min", "max", "needed")) else 1

    return ", ".join(_detail_item(name, value) for name, value in sorted(detail.items(), key=rank))


def _detail_item(name: str, value: str | int) -> str:
    if isinstance(value, int) and name.endswith(("_u6", "_e6")):
        shown = price(value) if name.endswith("_e6") else usd(value)
        return f"{_words(name[:-3])} {shown}"
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix) and len(name) > len(suffix):
            return f"{_words(name.removesuffix(suffix))} {value} {unit}"
    return f"{_words(name)} {instrument(value) if isinstance(value, str) else value}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _clock(text: str) -> str:
    moment: datetime = parse_utc(text).astimezone(EXCHANGE_ZONE)
    return f"{moment:%Y-%m-%d %H:%M}"


def _who(record: Record) -> str:
    return str(record["book"]) or "the account"


def _legs(record: Record, quantity: str) -> str:
    return ", ".join(f"{leg[quantity]:+d} {instrument(str(leg['symbol']))}" for leg in record["legs"])


def _run_started(record: Record) -> str:
    return (
        f"run {record['run']} starts on engine {record['engine']} {record['engine_version']}, mode {record['mode']}, "
        f"{record['brokerage']} {record['account']} account with {usd(record['start_cash_u6'])}"
    )


def _run_ended(record: Record) -> str:
    held = f", still holding {len(record['holdings'])} symbols" if record["holdings"] else ", flat"
    return f"run ends: {record['reason']}, equity {usd(record['equity_u6'])}, fees {usd(record['fees_u6'])}{held}"


def _session_opened(record: Record) -> str:
    opened, closed = (parse_utc(str(record[name])).astimezone(EXCHANGE_ZONE) for name in ("open_time", "close_time"))
    half = ", a half day" if record["half_day"] else ""
    return f"session {record['date']} opens, {opened:%H:%M} to {closed:%H:%M}{half}"


def _session_closed(record: Record) -> str:
    equity = usd(record["equity_u6"]) if "equity_u6" in record else "unknown"
    return f"session {record['date']} closes, equity {equity}, cash {usd(record['cash_u6'])}"


def _vix(record: Record) -> str:
    value = f"VIX {price(record['value_e6'])}" if "value_e6" in record else "VIX unknown"
    return f"{value} ({record['age_s']} s old), verdict {record['verdict']}, regime {record['regime']}"


def _signal(record: Record) -> str:
    known = [record["p_e6"]] if "p_e6" in record else []
    return signal_text(record, known)


def signal_text(record: Record, probabilities: Sequence[int]) -> str:
    """Return what a book makes of its signal in one minute, or in several alike whose probabilities (e6) these are."""
    target, held, reason = str(record["target"]), str(record["held"]), str(record["reason"])
    if record["state"] != "READY":
        does = f"has no signal and {'stays in' if held == 'CASH' else 'keeps' if held == target else 'leaves'} {held}"
    elif target == held:
        does = "stays in CASH" if held == "CASH" else f"keeps {held}"
    elif target == "CASH":
        does = f"leaves {held}"
    else:
        does = f"wants {target}" if held == "CASH" else f"wants {target} instead of {held}"
    said = ""
    if probabilities:
        low, high = f"{min(probabilities) / U6:.2f}", f"{max(probabilities) / U6:.2f}"
        said = f", p {low}" if low == high else f", p {low} to {high}"
    why = "" if reason == "ALLOWED" else f": {reason_text(reason)}"
    return f"{_who(record)} {does}{said}{why}"


def _verdict(record: Record) -> str:
    detail = dict(record["detail"])
    numbers = f" ({detail_text(detail)})" if detail else ""
    if record["allowed"]:
        scale = record["scale_e6"] / U6
        scaled = f" at scale {scale:g}" if scale != 1 else ""
        return f"{_who(record)} may trade{scaled}: {reason_text(str(record['reason']), str(record['book']))}{numbers}"
    until = f"; not before {_clock(str(record['until']))}" if "until" in record else ""
    text = reason_text(str(record["reason"]), str(record["book"]))
    return f"{_who(record)} stayed out at gate {record['gate']}: {text}{numbers}{until}"


def _intent(record: Record) -> str:
    reason = f" because {reason_text(str(record['reason']), str(record['book']))}" if "reason" in record else ""
    amounts = [
        f"{words} {usd(record[name])}"
        for name, words in (
            ("max_loss_u6", "maximum loss"),
            ("t_loss_u6", "stress loss"),
            ("c_loss_u6", "crash loss"),
            ("margin_u6", "margin"),
        )
        if name in record
    ]
    numbers = f"; {', '.join(amounts)}" if amounts else ""
    what = f"{str(record['purpose']).lower()} {record['qty']} × {record['structure']}"
    return f"{_who(record)} wants to {what} [{_legs(record, 'ratio')}]{reason}{numbers}"


def _size(record: Record) -> str:
    bounds = ", ".join(f"{_words(str(name))} {units}" for name, units in sorted(record["bounds"].items()))
    return f"sized at {record['units']} units; bounds: {bounds or 'none'}; scale {record['scale_e6'] / U6:g}"


def _order_intent(record: Record) -> str:
    limit = f" at {price(record['limit_u6'])}" if "limit_u6" in record else ""
    return (
        f"{str(record['purpose']).lower()} order, attempt {record['attempt']}: {record['type']}{limit} "
        f"[{_legs(record, 'qty')}], until {_clock(str(record['deadline']))}"
    )


def _order_event(record: Record) -> str:
    text = f": {record['text']}" if record["text"] else ""
    return f"broker says {record['status']}{text}"


def _fill(record: Record) -> str:
    recovered = ", recovered from the broker's books" if record["source"] == "RECOVERED" else ""
    symbol = instrument(str(record["symbol"]))
    verb = "bought" if record["qty"] > 0 else "sold"
    return (
        f"{verb} {abs(record['qty'])} {symbol} at {price(record['price_u6'])}, fee {usd(record['fee_u6'])}{recovered}"
    )


def _order_outcome(record: Record) -> str:
    return f"order ends {record['outcome']}: {record['filled']} filled, {record['left']} left"


def _trade_state(record: Record) -> str:
    deadline = f", deadline {_clock(str(record['deadline']))}" if "deadline" in record else ""
    return f"trade {record['trade']}: {record['from']} → {record['to']} on {record['trigger']}{deadline}"


def _trade_closed(record: Record) -> str:
    return (
        f"trade {record['trade']} is over: {usd(record['pnl_u6'])} after {usd(record['fees_u6'])} fees, "
        f"{reason_text(str(record['reason']), str(record['book']))}"
    )


def _expiry(record: Record) -> str:
    symbol = instrument(str(record["symbol"]))
    return (
        f"{record['qty']:+d} {symbol} expired {record['result']} with the underlying at {price(record['price_u6'])}, "
        f"cash {usd(record['cash_u6'])}"
    )


def _trading_state(record: Record) -> str:
    what = f" ({record['disposition']})" if "disposition" in record else ""
    return f"trading state of {record['scope']}: {record['from']} → {record['to']}{what}, cause {record['cause']}"


def _break(record: Record) -> str:
    locked = f", locked: {', '.join(record['locked'])}" if record["locked"] else ""
    quantities = f"book {record['book_qty']}, broker {record['broker_qty']}"
    return f"{instrument(str(record['symbol']))}: {quantities}, break {record['status']}{locked}"


def _funnel(record: Record) -> str:
    counts = sorted(record["counts"].items(), key=lambda item: (-item[1], item[0]))
    return f"{record['strategy']} over the session: " + ", ".join(f"{name} {count}" for name, count in counts)


def _init_report(record: Record) -> str:
    ready = sum(1 for component in record["components"] if not component["error"])
    failed = [_component(component) for component in record["components"] if component["error"]]
    return f"{ready} of {len(record['components'])} components ready" + "".join(f"; {text}" for text in failed)


def _component(component: Mapping[str, object]) -> str:
    said = component.get("sentence") or component["error"]
    return f"component {component['name']}: {component['status']}{f', {said}' if said else ''}"


_MAKERS: dict[str, Callable[[Record], str]] = {
    "RUN_STARTED": _run_started,
    "RUN_ENDED": _run_ended,
    "SESSION_OPENED": _session_opened,
    "SESSION_CLOSED": _session_closed,
    "PHASE": lambda record: f"phase {record['phase']}",
    "SIGNAL": _signal,
    "VIX": _vix,
    "VERDICT": _verdict,
    "INTENT": _intent,
    "SIZE": _size,
    "ORDER_INTENT": _order_intent,
    "ORDER_EVENT": _order_event,
    "FILL": _fill,
    "ORDER_OUTCOME": _order_outcome,
    "TRADE_STATE": _trade_state,
    "TRADE_CLOSED": _trade_closed,
    "EXPIRY": _expiry,
    "TRADING_STATE": _trading_state,
    "BREAK": _break,
    "BREACH": lambda record: f"principle {record['principle']} breached: {record['value']}, limit {record['limit']}",
    "BREAKER": lambda record: (
        f"circuit breaker {record['condition']}: {record['level']} at {record['ratio_e6'] / U6:.0%} of its limit"
    ),
    "LEVEL": lambda record: f"{record['manager']}: level {record['from']} → {record['to']}",
    "REPAIR": lambda record: (
        f"repair {record['stage']} of {instrument(str(record['symbol']))}, uncovered for {record['uncovered_s']} s"
    ),
    "ALERT": lambda record: f"{record['severity']} {record['code']}: {record['text']}",
    "EVENT_QUARANTINED": lambda record: (
        f"broker event set aside ({record['cause']}): {record['qty']} {instrument(str(record['symbol']))}"
    ),
    "INIT_REPORT": _init_report,
    "COMPONENT": _component,
    "COMMAND": lambda record: f"command {record['name']} ({record['id']}): {record['result']}",
    "RESTART": lambda record: (
        f"restart: {record['row']}, {len(record['trades'])} trades, {len(record['orders'])} orders"
    ),
    "FAULT": lambda record: f"injected fault {record['name']}",
    "CASH_FLOW": lambda record: f"{str(record['type']).lower()} {usd(record['amount_u6'])}",
    "SPLIT": lambda record: f"{record['symbol']} split {record['num']}:{record['den']}",
    "SUGGESTION": lambda record: f"suggested only: intent {record['intent']}",
    "FUNNEL": _funnel,
    "ANCHOR": lambda record: f"ledger head published: {record['head_seq']}:{record['head_hash']}",
}
