"""Queries on the store: trades from signal to result, positions over time, entries and refusals."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from audit.store import Store
from audit.times import at_exchange, exchange_time

Json = dict[str, Any]


def trade_flow(
    store: Store, trade: str | None, order: str | None, session: date | None, limit: int
) -> dict[str, list[Json]]:
    """Return trade id -> its lines, in the order of the ledger."""
    if order is not None:
        rows = store.query('SELECT trade FROM order_intent WHERE "order" = ?', order)
        trade = rows[0][0] if rows else ""
    if trade is not None:
        names = [trade] if store.query("SELECT 1 FROM intent WHERE trade = ?", trade) else []
    else:
        first, last = _day_span(session, session)
        names = [
            name
            for (name,) in store.query(
                "SELECT intent.trade FROM intent JOIN record USING(seq) WHERE record.time_us BETWEEN ? AND ? "
                "GROUP BY intent.trade ORDER BY min(intent.seq) LIMIT ?",
                first, last, limit,
            )
        ]  # fmt: skip
    return {name: _lines(store, name) for name in names}


_EVENTS = """
SELECT seq, 'INTENT', purpose || ' ' || structure || ' x' || qty, coalesce(reason, '') FROM intent WHERE trade = :trade
UNION ALL SELECT v.seq, 'VERDICT', CASE v.allowed WHEN 1 THEN 'allowed' ELSE 'refused' END, v.reason || ' by ' || v.gate
  FROM verdict v JOIN intent i ON i.intent = v.intent WHERE i.trade = :trade
UNION ALL SELECT seq, 'ORDER_INTENT', type || ' attempt ' || attempt, coalesce('limit ' || (limit_u6 / 1e6), '')
  FROM order_intent WHERE trade = :trade
UNION ALL SELECT s.seq, 'ORDER_SENT', '', '' FROM order_sent s JOIN order_intent o ON o."order" = s."order"
  WHERE o.trade = :trade
UNION ALL SELECT e.seq, 'ORDER_EVENT', e.status, e.text FROM order_event e JOIN order_intent o ON o."order" = e."order"
  WHERE o.trade = :trade
UNION ALL SELECT seq, 'FILL', qty || ' ' || symbol, 'at ' || (price_u6 / 1e6) || ', fee ' || (fee_u6 / 1e6) FROM fill
  WHERE trade = :trade
UNION ALL SELECT u.seq, 'ORDER_OUTCOME', u.outcome, u.filled || ' filled, ' || u.left || ' left'
  FROM order_outcome u JOIN order_intent o ON o."order" = u."order" WHERE o.trade = :trade
UNION ALL SELECT seq, 'TRADE_STATE', "from" || ' to ' || "to", trigger FROM trade_state WHERE trade = :trade
UNION ALL SELECT seq, 'REPAIR', stage, symbol || ' uncovered ' || uncovered_s || ' s' FROM repair WHERE trade = :trade
UNION ALL SELECT seq, 'TRADE_CLOSED', reason, 'result ' || (pnl_u6 / 1e6) || ', fees ' || (fees_u6 / 1e6)
  FROM trade_closed WHERE trade = :trade
"""


def _lines(store: Store, trade: str) -> list[Json]:
    sql = f"SELECT e.*, record.time_us FROM ({_EVENTS}) e JOIN record USING(seq) ORDER BY seq"
    rows = store.connection.execute(sql, {"trade": trade}).fetchall()
    lines = [
        {"seq": seq, "what": f"{kind} {what}".strip(), "detail": detail, "time_us": us}
        for seq, kind, what, detail, us in rows
    ]
    signal = store.query(
        "SELECT s.seq, s.target, s.p_e6, r.time_us FROM signal s JOIN record r USING(seq) "
        "JOIN record mine ON mine.seq = ? WHERE s.seq < mine.seq AND r.book = mine.book ORDER BY s.seq DESC LIMIT 1",
        lines[0]["seq"] if lines else -1,
    )
    for seq, target, probability, us in signal:
        detail = "" if probability is None else f"p = {probability / 1e6:.4f}"
        lines.insert(0, {"seq": seq, "what": f"SIGNAL {target}", "detail": detail, "time_us": us})
    return lines


def intervals(
    store: Store, symbol: str | None, book: str | None, first: date | None, last: date | None
) -> tuple[list[Json], list[Json]]:
    """Return position intervals that touch the span, and the closes in it."""
    begin, end = _day_span(first, last)
    rows = store.query(
        "SELECT book, symbol, qty, from_seq, to_seq, from_us, to_us, max_value_u6 FROM position_interval "
        "WHERE (? IS NULL OR symbol = ?) AND (? IS NULL OR book = ?) AND from_us <= ? AND coalesce(to_us, ?) >= ? "
        "ORDER BY from_us, book, symbol",
        symbol, symbol, book, book, end, end, begin,
    )  # fmt: skip
    names = ("book", "symbol", "qty", "from_seq", "to_seq", "from_us", "to_us", "max_value_u6")
    closes = store.query(
        "SELECT date, cash_u6, equity_u6, fees_u6 FROM equity "
        "WHERE (? IS NULL OR date >= ?) AND (? IS NULL OR date <= ?) ORDER BY date",
        *(None if day is None else day.isoformat() for day in (first, first, last, last)),
    )
    daily = ("date", "cash_u6", "equity_u6", "fees_u6")
    return [dict(zip(names, row, strict=True)) for row in rows], [dict(zip(daily, row, strict=True)) for row in closes]


def funnel_rows(store: Store, book: str | None, by: str) -> list[Json]:
    """Return entries and refusals per book and gate, reason, hour or session."""
    counts: dict[tuple[str, str], list[int]] = {}
    for name, us in store.query(
        "SELECT record.book, record.time_us FROM intent JOIN record USING(seq) WHERE purpose IN ('OPEN','ADD','ROLL')"
    ):
        label = _clock(us, by) if by in ("hour", "session") else "ALLOWED" if by == "reason" else "entry"
        counts.setdefault((name, label), [0, 0])[0] += 1
    for name, us, gate, reason in store.query(
        "SELECT record.book, record.time_us, gate, reason FROM verdict JOIN record USING(seq) WHERE allowed = 0"
    ):
        label = {"gate": gate, "reason": reason}.get(by) or _clock(us, by)
        counts.setdefault((name, label), [0, 0])[1] += 1
    rows = [
        {"book": name, "by": label, "entries": entries, "refusals": refusals}
        for (name, label), (entries, refusals) in counts.items()
        if book in (None, name)
    ]
    if by in ("hour", "session"):
        return sorted(rows, key=lambda row: (row["book"], row["by"]))
    return sorted(rows, key=lambda row: (row["book"], -row["entries"], -row["refusals"], row["by"]))


def _clock(us: int, by: str) -> str:
    moment = exchange_time(us)
    return f"{moment:%H}:00" if by == "hour" else moment.date().isoformat()


def _day_span(first: date | None, last: date | None) -> tuple[int, int]:
    begin = 0 if first is None else at_exchange(first, 0)
    end = 1 << 62 if last is None else at_exchange(last + timedelta(days=1), 0) - 1
    return begin, end
