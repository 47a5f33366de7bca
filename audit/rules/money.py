"""AU-30 to AU-34: cash, positions, equity and fees, ours against the broker's own words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from audit.contracts import contract
from audit.findings import Severity
from audit.limits import CENT, DOLLAR, STATEMENT_GRACE_S, charges, fee_bound_u6, fee_kind
from audit.rules.base import Needs, Record, Rule
from audit.state import State
from audit.times import SECOND

_ROUNDING_U6 = 100
"""Micro-dollars by which two sums of rounded amounts may differ."""


def differences(state: State, record: Record) -> tuple[dict[str, int], bool]:
    """Return symbol -> broker's quantity less ours, and whether a settled contract still waits for its EXPIRY.

    A contract past its expiry that the broker no longer has is on its way into the ledger: no difference.
    """
    theirs = {row["symbol"]: row["qty"] for row in record["holdings"]}
    found: dict[str, int] = {}
    settling = False
    if theirs == state.account:
        return found, settling
    today = state.day
    for symbol in theirs.keys() | state.account.keys():
        difference = theirs.get(symbol, 0) - state.account.get(symbol, 0)
        if not difference:
            continue
        expiry = contract(symbol).expiry
        session = state.session
        over = expiry < today or (expiry == today and session is not None and state.now >= session.close_us)
        if over and symbol not in theirs:
            settling = True
        else:
            found[symbol] = difference
    return found, settling


class Replayed(Rule):
    id = "AU-30"
    title = "cash and positions after each fill, session and trade are those of the replay, exactly"
    needs = Needs.ACCOUNT

    def on_fill(self, record: Record) -> None:
        self.judge()
        state, symbol, fill = self.state, record["symbol"], self.state.fill
        assert fill is not None
        given = record["cash_after_u6"]
        text = f"{record['fill']}: cash_after_u6 = {given}, the replay has {state.cash}"
        self.hold("cash", given != state.cash, text, value=given, bound=state.cash, exposure=given - state.cash)
        given, ours = record["pos_after"], fill.account_after
        text = f"{record['fill']}: pos_after = {given}, the replay has {ours} {symbol}"
        self.hold(
            ("position", symbol), given != ours, text,
            symbol=symbol, value=given, bound=ours, exposure=state.worth(symbol, given - ours),
        )  # fmt: skip

    def on_session_closed(self, record: Record) -> None:
        given, ours = record["cash_u6"], self.state.cash
        self.hold("closed", given != ours, f"SESSION_CLOSED.cash_u6 = {given}, the replay has {ours}",
                  value=given, bound=ours, exposure=given - ours)  # fmt: skip

    def on_trade_closed(self, record: Record) -> None:
        trade = self.state.trades.get(record["trade"])
        if trade is None:
            self.hit(f"TRADE_CLOSED of {record['trade']}, which has no INTENT", book=record["book"])
            return
        for name, ours in (("pnl_u6", trade.cash_u6 - trade.fees_u6), ("fees_u6", trade.fees_u6)):
            if record[name] != ours:
                self.hit(f"{trade.id}: {name} = {record[name]}, the replay has {ours}",
                         book=trade.book, value=record[name], bound=ours)  # fmt: skip


class StatedCash(Rule):
    id = "AU-31"
    title = "our cash is the broker's, to a cent per fill and a dollar in all"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._last = 0
        self._fills = 0

    def on_broker_statement(self, record: Record) -> None:
        state = self.state
        found, settling = differences(state, record)
        if found or settling:
            return  # a fill or a settlement is under way; AU-32 and AU-37 watch for it
        self.judge()
        stated = record["cash_u6"] + record["unsettled_u6"]
        off = state.cash - stated
        allowed = CENT * (state.fills - self._fills) + _ROUNDING_U6
        wrong = abs(off - self._last) > allowed or abs(off) > self.limits.cash_tolerance_u6
        self.hold("cash", wrong, f"our cash is {state.cash}, the broker's {stated}",
                  value=state.cash, bound=stated, exposure=off)  # fmt: skip
        if not wrong:
            self._last, self._fills = off, state.fills


@dataclass(slots=True)
class _Missing:
    """A difference that waits for its BREAK, or for the fill that explains it."""

    us: int
    seq: int
    difference: int


class StatedPositions(Rule):
    id = "AU-32"
    title = f"our positions are the broker's, or a BREAK stands within {STATEMENT_GRACE_S} s"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._waiting: dict[str, _Missing] = {}
        self._broken: set[str] = set()

    def on_broker_statement(self, record: Record) -> None:
        self.judge()
        state = self.state
        found, _ = differences(state, record)
        for symbol, difference in found.items():
            if symbol in state.breaks:
                self._known(symbol, difference, True)
            elif symbol not in self._waiting:
                self._waiting[symbol] = missing = _Missing(state.now, record["seq"], difference)
                due = state.now + STATEMENT_GRACE_S * SECOND
                state.deadlines.at(due, partial(self._look, symbol, missing), excused=True)
        for symbol in [symbol for symbol in self._broken if symbol not in found]:
            self._known(symbol, 0, False)

    def _known(self, symbol: str, difference: int, holds: bool) -> None:
        if holds:
            self._broken.add(symbol)
        else:
            self._broken.discard(symbol)
        self.hold(symbol, holds, f"broker and book differ by {difference} {symbol}; a BREAK says so",
                  severity=Severity.WARNING, symbol=symbol, value=difference,
                  exposure=self.state.worth(symbol, difference))  # fmt: skip

    def on_break(self, record: Record) -> None:
        missing = self._waiting.pop(record["symbol"], None) if record["status"] == "OPEN" else None
        if missing is not None:
            self._known(record["symbol"], missing.difference, True)

    def on_fill(self, record: Record) -> None:
        fill = self.state.fill
        missing = self._waiting.get(record["symbol"]) if self._waiting else None
        if missing is not None and fill is not None and fill.exec_us <= missing.us:
            missing.difference -= record["qty"]
            if not missing.difference:
                del self._waiting[record["symbol"]]

    def _look(self, symbol: str, missing: _Missing, at: int) -> None:
        if self._waiting.get(symbol) is missing:
            del self._waiting[symbol]
            self.hit(f"broker and book differ by {missing.difference} {symbol} and no BREAK says so",
                     symbol=symbol, value=missing.difference, seq=missing.seq, at=missing.us,
                     exposure=self.state.worth(symbol, missing.difference))  # fmt: skip

    def on_end(self) -> None:
        for symbol, missing in list(self._waiting.items()):
            self._look(symbol, missing, missing.us)


class StatedEquity(Rule):
    id = "AU-33"
    title = "the broker's equity is the sum of its parts; our mark of equity is near it"
    needs = Needs.ACCOUNT

    def start(self) -> None:
        self._near = False

    def on_broker_statement(self, record: Record) -> None:
        self.judge()
        worth = record["cash_u6"] + record["unsettled_u6"]
        for row in record["holdings"]:
            worth += row["qty"] * row["price_u6"] * row["mult"]
        stated = record["equity_u6"]
        wrong = abs(stated - worth) > CENT + abs(stated) // 1_000_000
        self.hold("sum", wrong, f"the broker states equity {stated}, its parts add up to {worth}",
                  value=stated, bound=worth, exposure=stated - worth)  # fmt: skip

    def on_mark(self, record: Record) -> None:
        ours, theirs = record["equity_u6"], record["engine_equity_u6"]
        self.evaluations += 1
        off = abs(ours - theirs)
        base = abs(theirs)
        far = off * 50 > base
        if far or off * 200 > base or self._near:
            text = f"our mark of equity is {ours}, the broker's {theirs}"
            self.hold("far", far, text, value=ours, bound=theirs, exposure=off)
            self._near = not far and off * 200 > base
            self.hold("near", self._near, text, severity=Severity.WARNING, value=ours, bound=theirs, exposure=off)
            self._near = self._near or far


class Fees(Rule):
    id = "AU-34"
    title = "fees are never negative nor above what the brokerage may charge"
    needs = Needs.EACH_BOOK

    def start(self) -> None:
        self._kinds: set[str] = set()

    def on_fill(self, record: Record) -> None:
        self.judge(record["book"])
        item, fee = contract(record["symbol"]), record["fee_u6"]
        self._kinds.add(fee_kind(item))
        brokerage = "" if self.state.header is None else self.state.header["brokerage"]
        bound = fee_bound_u6(brokerage, item, record["qty"])
        if bound is None:
            self.hit(f"brokerage {brokerage!r}: no fee bound is known", book=record["book"])
        elif not 0 <= fee <= bound:
            self.hit(f"{record['fill']} costs {fee / DOLLAR:.2f}, at most {bound / DOLLAR:.2f} is charged",
                     book=record["book"], symbol=record["symbol"], value=fee, bound=bound, exposure=fee)  # fmt: skip

    def on_end(self) -> None:
        header = self.state.header
        free = self.state.fills > 0 and self.state.fees == 0
        if free and header is not None and charges(header["brokerage"], frozenset(self._kinds)):
            self.hit("the whole run paid no fee", severity=Severity.WARNING)


RULES = (Replayed, StatedCash, StatedPositions, StatedEquity, Fees)
