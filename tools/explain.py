"""Why a run traded and why it did not, told from its ledger and from nothing else.

Three views: `overview` of all sessions, `session_story` minute by minute, `trade_story` from first verdict to money.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tools.errors import BulkheadUsageError
from tools.ledger_reader import Ledger, Record, exchange_time, on_session
from tools.sentences import sentence, signal_text, usd

# Told once when they change, not each time they are written.
_TOLD_ON_CHANGE = {"VIX": ("verdict", "regime")}
_ACTS = frozenset({"INTENT", "SIZE", "ORDER_INTENT", "ORDER_EVENT", "FILL", "ORDER_OUTCOME", "EXPIRY"})
_ENDS = frozenset({"TRADE_CLOSED"})
_ALARMS = frozenset({"ALERT", "BREAK", "BREACH", "REPAIR", "EVENT_QUARANTINED", "FAULT", "TRADING_STATE", "BREAKER"})
QUIET = "QUIET"
_LAST = 2**62
"""Sorts what has no record behind everything of its minute."""
FEW_TRADES = 3
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a story: a minute, or a run of minutes of which the same is true, and one sentence.

    tone is how it is coloured: "refused", "acted", "closed", "alarm" or "plain".
    """

    first: datetime
    last: datetime
    book: str
    kind: str
    tone: str
    text: str
    seqs: tuple[int, ...]

    @property
    def minutes(self) -> int:
        return (self.last - self.first) // MINUTE + 1


@dataclass(frozen=True, slots=True)
class Story:
    """A heading, its facts in order of importance, and the lines."""

    title: str
    facts: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One row of the overview."""

    session: date
    trades_opened: tuple[str, ...]
    trades_closed: tuple[tuple[str, int], ...]
    refusals: tuple[tuple[str, int], ...]
    alerts: int


def overview(ledger: Ledger) -> list[SessionFacts]:
    """Return what each session of the run came to, in order."""
    by_session: dict[date, list[Record]] = {}
    for record in ledger.records:
        by_session.setdefault(exchange_time(record).date(), []).append(record)
    rows = []
    seen: set[str] = set()
    for session in ledger.sessions():
        records = by_session.get(session, [])
        opened = [trade for trade in _filled_trades(records) if trade not in seen]
        seen.update(opened)
        closed = tuple((str(r["trade"]), int(r["pnl_u6"])) for r in records if r["kind"] == "TRADE_CLOSED")
        alerts = sum(1 for record in records if record["kind"] == "ALERT")
        rows.append(SessionFacts(session, tuple(opened), closed, tuple(_refusals(records).most_common()), alerts))
    return rows


def session_story(ledger: Ledger, session: date) -> Story:
    """Return one session minute by minute: every minute of it belongs to at least one line.

    Raises BulkheadUsageError when the run has no such session.
    """
    records = on_session(ledger.records, session)
    opening = next((record for record in records if record["kind"] == "SESSION_OPENED"), None)
    if opening is None:
        raise BulkheadUsageError(
            f"--session = {session}: the run has no such session. It has {_span(ledger.sessions())}."
        )
    lines = [*_merged(_told(records)), *_signals(records)]
    lines = sorted(
        [*lines, *_quiet(opening, records, lines, held_before(ledger, opening))],
        key=lambda line: (line.first, line.seqs[:1] or (_LAST,)),
    )
    refusals = _refusals(records)
    opened = _filled_trades(records)
    facts = [
        f"trades with a fill: {', '.join(collapsed(opened)) if opened else 'none'}",
        "minutes refused: " + (", ".join(f"{name} {count}" for name, count in refusals.most_common()) or "none"),
    ]
    facts += _closed(records)
    facts += [text for record in records if record["kind"] == "FUNNEL" and (text := sentence(record))]
    return Story(f"Session {session:%A %Y-%m-%d}", tuple(facts), tuple(lines))


def collapsed(trades: Sequence[str]) -> list[str]:
    """Return trade ids with long rows of one book as their first and last: `etf_rotation-20250905-1 to -16`."""
    rows: dict[str, list[str]] = {}
    for trade in trades:
        rows.setdefault(trade.rpartition("-")[0], []).append(trade)
    out = []
    for row in rows.values():
        out += row if len(row) <= FEW_TRADES else [f"{row[0]} to -{row[-1].rpartition('-')[2]} ({len(row)} trades)"]
    return out


def _closed(records: Sequence[Record]) -> list[str]:
    """Return what closed trades came to: each of a few, the sum of a book with many, by symbol."""
    books: dict[str, list[Record]] = {}
    for record in records:
        if record["kind"] == "TRADE_CLOSED":
            books.setdefault(str(record["book"]), []).append(record)
    bought = {str(r["trade"]): str(r["symbol"]) for r in records if r["kind"] == "FILL" and int(r["qty"]) > 0}
    facts = []
    for book, closed in books.items():
        if len(closed) <= FEW_TRADES:
            facts += [sentence(record) or "" for record in closed]
            continue
        result, fees = (sum(int(record[name]) for record in closed) for name in ("pnl_u6", "fees_u6"))
        symbols = Counter(bought.get(str(record["trade"]), "other") for record in closed)
        of_what = ", ".join(f"{symbol} {count}" for symbol, count in symbols.most_common())
        facts.append(f"{book}: {len(closed)} trades over ({of_what}), {usd(result)} after {usd(fees)} fees")
    return facts


def trade_story(ledger: Ledger, trade: str) -> Story:
    """Return the story of one trade.  Raises BulkheadUsageError when the ledger does not know it."""
    intents = {str(r["intent"]) for r in ledger.of_kind("INTENT", "ORDER_INTENT") if r.get("trade") == trade}
    orders = {str(r["order"]) for r in ledger.of_kind("ORDER_INTENT") if r["trade"] == trade}
    symbols = {str(r["symbol"]) for r in ledger.of_kind("FILL") if r["trade"] == trade}
    if not intents and not orders:
        known = sorted({str(r["trade"]) for r in ledger.of_kind("INTENT", "TRADE_STATE")})
        raise BulkheadUsageError(
            f"--trade = {trade}: the run has no such trade. It has {', '.join(known) if known else 'none at all'}."
        )
    told = [
        record
        for record in ledger.records
        if record.get("trade") == trade
        or record.get("intent") in intents
        or record.get("order") in orders
        or (record["kind"] == "EXPIRY" and record["symbol"] in symbols)
    ]
    closed = next((record for record in told if record["kind"] == "TRADE_CLOSED"), None)
    facts = []
    first = next((record for record in told if record["kind"] == "INTENT"), None)
    if first is not None:
        facts.append(sentence(first) or "")
    cash = sum(_fill_cash(record) for record in told if record["kind"] == "FILL")
    cash += sum(int(record["cash_u6"]) for record in told if record["kind"] == "EXPIRY")
    facts.append(f"cash so far: {cash / 1e6:+,.2f} USD, fees included")
    facts.append((sentence(closed) or "") if closed is not None else "not closed when the run ended")
    return Story(f"Trade {trade}", tuple(facts), tuple(_merged(_told(told))))


def held_before(ledger: Ledger, opening: Record) -> list[str]:
    """Return the trades that were open when a session opened."""
    return _open_trades(record for record in ledger.records if int(record["seq"]) < int(opening["seq"]))


def _open_trades(records: Iterable[Record]) -> list[str]:
    held: dict[str, str] = {}
    for record in records:
        if record["kind"] == "TRADE_STATE":
            held[str(record["trade"])] = str(record["to"])
    return [trade for trade, state in held.items() if state not in ("CLOSED", "CANCELLED", "PLANNED")]


def _fill_cash(record: Record) -> int:
    return -int(record["qty"]) * int(record["price_u6"]) * int(record["mult"]) - int(record["fee_u6"])


def _filled_trades(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(str(record["trade"]) for record in records if record["kind"] == "FILL"))


def _refusals(records: Sequence[Record]) -> Counter[str]:
    return Counter(str(r["reason"]) for r in records if r["kind"] == "VERDICT" and r["allowed"] is False)


def _told(records: Iterable[Record]) -> list[Line]:
    """Return one line per record that tells something; states that only repeat themselves are left out."""
    before: dict[tuple[str, str], tuple[object, ...]] = {}
    lines = []
    for record in records:
        kind = str(record["kind"])
        if kind == "SIGNAL":
            continue  # one a minute: told in runs
        text = sentence(record)
        if text is None:
            continue
        if kind in _TOLD_ON_CHANGE:
            state = tuple(record.get(name) for name in _TOLD_ON_CHANGE[kind])
            key = (kind, str(record["book"]))
            if before.get(key) == state:
                continue
            before[key] = state
        minute = exchange_time(record).replace(second=0, microsecond=0)
        lines.append(Line(minute, minute, str(record["book"]), kind, _tone(record), text, (int(record["seq"]),)))
    return lines


def _signals(records: Iterable[Record]) -> list[Line]:
    """Return what a book made of its signal: one line for minutes in a row that say the same, with their odds."""
    lines: list[Line] = []
    run: list[Record] = []

    def end() -> None:
        if run:
            first, last = exchange_time(run[0]), exchange_time(run[-1])
            odds = [int(record["p_e6"]) for record in run if "p_e6" in record]
            seqs = tuple(int(record["seq"]) for record in run)
            text = signal_text(run[0], odds)
            tone = "plain" if run[0]["target"] == run[0]["held"] else "acted"
            lines.append(Line(first, last, str(run[0]["book"]), "SIGNAL", tone, text, seqs))
            run.clear()

    for record in records:
        if record["kind"] != "SIGNAL":
            continue
        same = bool(run) and all(record[name] == run[0][name] for name in ("book", "state", "target", "held", "reason"))
        if not same or exchange_time(record) - exchange_time(run[-1]) > MINUTE:
            end()
        run.append(record)
    end()
    return lines


def _tone(record: Record) -> str:
    kind = record["kind"]
    if kind in _ALARMS:
        return "alarm"
    if kind == "VERDICT":
        return "acted" if record["allowed"] else "refused"
    if kind in _ENDS:
        return "closed"
    return "acted" if kind in _ACTS else "plain"


def _merged(lines: Sequence[Line]) -> list[Line]:
    """Join a verdict with that of the minute before when book and sentence are the same; numbers are never dropped."""
    out: list[Line] = []
    newest: dict[tuple[str, str], int] = {}
    for line in lines:
        key = (line.book, line.kind)
        at = newest.get(key)
        if line.kind == "VERDICT" and at is not None:
            last = out[at]
            if last.text == line.text and line.first - last.last <= MINUTE:
                out[at] = Line(last.first, line.last, last.book, last.kind, last.tone, last.text, last.seqs + line.seqs)
                continue
        newest[key] = len(out)
        out.append(line)
    return out


def _quiet(opening: Record, records: Sequence[Record], lines: Sequence[Line], held: Sequence[str]) -> list[Line]:
    """Return lines for the minutes of which the ledger records no verdict and no order: nobody was asked, and why.

    A strategy is asked in every step of its window, and only there.  Between two verdicts a minute without one may also
    have had no step, because it brought no data; before the first and after the last it was outside of every window.
    """
    first = exchange_time(opening, "open_time")
    last = exchange_time(opening, "close_time")
    told: set[datetime] = set()
    asked = sorted(moment for line in lines if line.kind == "VERDICT" for moment in (line.first, line.last))
    for line in lines:
        if line.kind in ("VERDICT", "SIGNAL") or line.kind in _ACTS:
            told.update(line.first + MINUTE * step for step in range(line.minutes))
    changes = [(exchange_time(r).replace(second=0, microsecond=0), r) for r in records if r["kind"] == "TRADE_STATE"]
    states = dict.fromkeys(held, "OPEN")
    out: list[Line] = []
    # A step belongs to the minute that has just closed: the first one is stamped one minute after the open.
    minute = first + MINUTE
    position = 0
    while minute <= last:
        while position < len(changes) and changes[position][0] <= minute:
            states[str(changes[position][1]["trade"])] = str(changes[position][1]["to"])
            position += 1
        if minute not in told:
            open_now = [trade for trade, state in states.items() if state not in ("CLOSED", "CANCELLED", "PLANNED")]
            between = bool(asked) and asked[0] < minute < asked[-1]
            why = "outside every entry window, or no data came" if between else "outside every entry window"
            holding = f"holding {', '.join(open_now)}, no exit was due" if open_now else "nothing held, nothing at work"
            text = f"no entry was asked for: {why}; {holding}"
            if out and out[-1].text == text and minute - out[-1].last == MINUTE:
                out[-1] = Line(out[-1].first, minute, "", QUIET, "plain", text, ())
            else:
                out.append(Line(minute, minute, "", QUIET, "plain", text, ()))
        minute += MINUTE
    return out


def _span(sessions: Sequence[date]) -> str:
    if not sessions:
        return "no session at all"
    return f"{len(sessions)} sessions from {sessions[0]} to {sessions[-1]}"
