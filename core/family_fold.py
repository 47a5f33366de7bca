"""What the ledger says of the ETF book beyond positions: since when, how often, at what scale.

Every counter of the book is a fold of the same records that make the books, so that a restart counts the same and no
number is set by hand.  Counters of bars begin anew at each open.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from core.books import Books
from core.family import BOOK, SYMBOLS, FamilyView, Side, Trail, side_of
from core.ledger_kinds import Kind, Take
from core.market import Mark
from core.order_records import PURPOSES
from core.reasons import Reason
from core.vocabulary import U6, FamilyTarget, Purpose

_DAY_TRADE_SESSIONS = 5
_TARGETS: Final = MappingProxyType({target.value: target for target in FamilyTarget})
_MINUTE = timedelta(minutes=1)
_LEAVING = frozenset({Purpose.CLOSE.value, Purpose.FLATTEN.value, Purpose.SWEEP.value})


class FamilyFold:
    """Folds after the books, the same records."""

    def __init__(self, books: Books, *, block_minutes: int) -> None:
        self._books = books
        self._block_minutes = block_minutes
        self._open: datetime | None = None
        self._minutes_before = 0
        self._sessions: deque[date] = deque(maxlen=_DAY_TRADE_SESSIONS)
        self._day_trades: deque[date] = deque()
        self._orders: dict[str, tuple[str, Purpose]] = {}
        self._scales: dict[str, float] = {}
        self._filled: dict[str, int] = {}
        """Intent -> session minute of its first fill, of the last block of minutes; the oldest stands first."""
        self._opens_sent: dict[str, datetime] = {}
        self._opens_filled: dict[str, datetime] = {}
        self._sent_in: Counter[datetime] = Counter()
        self._filled_in: Counter[datetime] = Counter()
        self.last_opening = datetime.min
        """The newest bar in which an opening was sent or first filled."""
        self._held_since: datetime | None = None
        self._closed_at: datetime | None = None
        self._last_close_fold: datetime | None = None
        self._left_for: dict[str, FamilyTarget] = {}
        self._target = FamilyTarget.CASH
        self.sleeve_equity_u6: int | None = None
        """Equity by the first mark of this session, None before it."""
        self._session_cash_u6 = 0
        self._breaches: Counter[str] = Counter()
        self._looked_at = -1
        self._shares: Mapping[str, int] = {}
        self._foreign: Mapping[str, int] = {}
        self._held = FamilyTarget.CASH
        self.scale = 1.0
        """The scale with which what is held was opened."""
        self.switched_side: Side | None = None
        """The side on which the last close was half of a switch."""
        self.lost_too_much = False
        """Whether the session's loss limit was reached: once is for the whole session."""
        self.breach_count = 0
        """Breaches of this run."""
        self.is_orphan_session = False
        """Whether the session began with shares of ours: they are sold, and nothing is opened."""

    # ---------------------------------------------------------------------------------------------------- what it says

    def shares(self) -> Mapping[str, int]:
        """Return the book's shares by symbol, in the registry's order; zeros are left out."""
        if self._looked_at != self._books.movements:
            self._look()
        return self._shares

    def foreign(self) -> Mapping[str, int]:
        """Return family shares that are not this book's: the user's own, or another book's assignment."""
        if self._looked_at != self._books.movements:
            self._look()
        return self._foreign

    def held(self) -> FamilyTarget:
        """Return the symbol that the book holds, CASH for nothing; of several the one with the highest count."""
        if self._looked_at != self._books.movements:
            self._look()
        return self._held

    def _look(self) -> None:
        """Read the books again, where something has moved since: no position changes without a movement."""
        books = self._books
        self._looked_at = books.movements
        shares = {symbol: qty for symbol in SYMBOLS if (qty := books.position_of(BOOK, symbol))}
        self._shares = MappingProxyType(shares)
        others = {symbol: books.position(symbol) - shares.get(symbol, 0) for symbol in SYMBOLS}
        self._foreign = MappingProxyType({symbol: qty for symbol, qty in others.items() if qty})
        most = max(shares, key=lambda symbol: abs(shares[symbol]), default=FamilyTarget.CASH)
        self._held = _TARGETS[most]

    def view(self, now: datetime, trail: Trail, vix: float | None, *, loss_limit_reached: bool) -> FamilyView:
        """Return what a decision looks at; trail counts the reading in that it decides on."""
        held, closed = self._held_since, self._closed_at
        return FamilyView(
            held=self.held(),
            bars_held=0 if held is None else _bars_since(held, now),
            bars_since_close=None if closed is None else _bars_since(closed, now),
            switched_side=self.switched_side,
            opens_in_session=len(self._opens_sent),
            trail=trail,
            vix=vix,
            loss_limit_reached=loss_limit_reached,
        )

    @property
    def opens_in_session(self) -> int:
        """Openings and additions that were sent in this session."""
        return len(self._opens_sent)

    @property
    def breaches(self) -> Mapping[str, int]:
        """How often each principle was breached in this run, by its name."""
        return self._breaches

    def opens_sent_in(self, now: datetime) -> int:
        """Return the openings sent in the bar of this moment."""
        return 0 if now > self.last_opening else self._sent_in.get(bar_of(now), 0)

    def opens_filled_in(self, now: datetime) -> int:
        """Return the openings whose first fill was in the bar of this moment."""
        return 0 if now > self.last_opening else self._filled_in.get(bar_of(now), 0)

    def closed_in(self, now: datetime) -> bool:
        """Whether a sale was folded in the step of now."""
        return self._last_close_fold == now

    def filled_orders(self, now: datetime) -> int:
        """Return the intents with a fill in the last block of session minutes."""
        if self._open is None:
            return 0
        since = self._minute(now) - self._block_minutes
        return len([minute for minute in self._filled.values() if minute > since])

    def day_trades(self) -> int:
        """Return the day trades of the last five sessions, today included."""
        return sum(day in self._sessions for day in self._day_trades)

    def session_pnl_usd(self, marks: Mapping[str, Mark]) -> float | None:
        """Return the book's result since the open: cash of its fills, fees, and what it holds at these marks; None
        where a held symbol has none.
        """
        total = self._session_cash_u6 / U6
        for symbol, held in self.shares().items():
            mark = marks.get(symbol)
            if mark is None:
                return None
            total += held * mark.price
        return total

    def has_lost(self, fraction: float, marks: Mapping[str, Mark]) -> bool:
        """Whether the session has cost this fraction of the equity that it began with, now or before; what is unknown
        says no.
        """
        if self.lost_too_much:
            return True
        pnl = self.session_pnl_usd(marks)
        if pnl is None or self.sleeve_equity_u6 is None:
            return False
        return pnl <= -fraction * (self.sleeve_equity_u6 / U6)

    # --------------------------------------------------------------------------------------------------------- folding

    def takes(self, kind: Kind) -> tuple[Take, ...]:
        """Return what takes in a record of a kind that the books have taken; nothing where it changes nothing here."""
        handler = _HANDLERS.get(kind)
        if handler is None:
            return ()
        of_every_book = kind in _OF_EVERY_BOOK

        def take(book: str, fields: Mapping[str, Any], time: datetime) -> None:
            if of_every_book or book == BOOK:
                handler(self, fields, time)

        return (take,)

    def _session_opened(self, fields: Mapping[str, Any], _time: datetime) -> None:
        if self._open == fields["open_time"]:
            return  # a process that takes over in the middle says so again; the session goes on
        self._open = fields["open_time"]
        self._sessions.append(fields["date"])
        while self._day_trades and self._day_trades[0] not in self._sessions:
            self._day_trades.popleft()
        self._opens_sent, self._opens_filled = {}, {}
        self._sent_in, self._filled_in = Counter(), Counter()
        self._closed_at = self._last_close_fold = self.switched_side = None
        self.sleeve_equity_u6 = None
        self._session_cash_u6 = 0
        self._target = FamilyTarget.CASH
        self.lost_too_much = False
        self.is_orphan_session = bool(self.shares())
        if self._held_since is not None:
            self._held_since = self._open

    def _session_closed(self, fields: Mapping[str, Any], _time: datetime) -> None:
        if self._open is not None:
            self._minutes_before += (fields["close_time"] - self._open) // _MINUTE
        self._open = None

    def _mark(self, fields: Mapping[str, Any], time: datetime) -> None:
        if self.sleeve_equity_u6 is None and self._open is not None and time > self._open:
            self.sleeve_equity_u6 = fields["equity_u6"]

    def _signal(self, fields: Mapping[str, Any], _time: datetime) -> None:
        self._target = _TARGETS[fields["target"]]
        self.lost_too_much = self.lost_too_much or fields["reason"] == Reason.SESSION_LOSS_LIMIT

    def _verdict(self, fields: Mapping[str, Any], _time: datetime) -> None:
        if fields["allowed"] and "intent" in fields:
            self._scales[fields["intent"]] = fields["scale_e6"] / 1e6

    def _intent(self, fields: Mapping[str, Any], _time: datetime) -> None:
        if fields["purpose"] in _LEAVING:
            # What the signal wanted when the holding began to leave; it goes on whatever is said meanwhile.
            self._left_for.setdefault(fields["trade"], self._target)

    def _order_intent(self, fields: Mapping[str, Any], _time: datetime) -> None:
        self._orders[fields["order"]] = (fields["intent"], PURPOSES[fields["purpose"]])

    def _order_sent(self, fields: Mapping[str, Any], time: datetime) -> None:
        intent, purpose = self._orders[fields["order"]]
        if purpose.adds_risk and intent not in self._opens_sent:
            bar = self._opens_sent[intent] = bar_of(time)
            self._sent_in[bar] += 1
            self.last_opening = max(self.last_opening, bar)

    def _breach(self, fields: Mapping[str, Any], _time: datetime) -> None:
        self._breaches[fields["principle"]] += 1
        self.breach_count += 1

    def _fill(self, fields: Mapping[str, Any], time: datetime) -> None:
        symbol, qty, at = fields["symbol"], fields["qty"], fields["exec_time"]
        intent, purpose = self._orders[fields["order"]]
        self._session_cash_u6 -= qty * fields["price_u6"] * fields["mult"] + fields["fee_u6"]
        if intent not in self._filled:
            newest = self._filled[intent] = self._minute(at)
            while self._filled[oldest := next(iter(self._filled))] <= newest - self._block_minutes:
                del self._filled[oldest]
        after = self._books.position_of(BOOK, symbol)
        if purpose.adds_risk:
            if intent not in self._opens_filled:
                bar = self._opens_filled[intent] = bar_of(at)
                self._filled_in[bar] += 1
                self.last_opening = max(self.last_opening, bar)
            if after == qty:
                self._held_since = at
                self.scale = self._scales.get(intent, 1.0)
            return
        self._last_close_fold = time
        if after == 0 and self.held() is FamilyTarget.CASH:
            if self._held_since is not None and self._held_since.date() == at.date():
                self._day_trades.append(at.date())
            wanted = self._left_for.pop(fields["trade"], FamilyTarget.CASH)
            same_side = side_of(wanted) is side_of(symbol) and wanted.value != symbol
            self.switched_side = side_of(symbol) if same_side else None
            self._held_since, self._closed_at = None, at

    def _minute(self, at: datetime) -> int:
        """Return the session minute of the run in which something happened; after the close it is the last one."""
        return self._minutes_before + (0 if self._open is None else max(0, (at - self._open) // _MINUTE))


_HANDLERS: Final[Mapping[Kind, Callable[[FamilyFold, Mapping[str, Any], datetime], None]]] = MappingProxyType(
    {
        Kind.SESSION_OPENED: FamilyFold._session_opened,
        Kind.SESSION_CLOSED: FamilyFold._session_closed,
        Kind.MARK: FamilyFold._mark,
        Kind.SIGNAL: FamilyFold._signal,
        Kind.VERDICT: FamilyFold._verdict,
        Kind.INTENT: FamilyFold._intent,
        Kind.ORDER_INTENT: FamilyFold._order_intent,
        Kind.ORDER_SENT: FamilyFold._order_sent,
        Kind.FILL: FamilyFold._fill,
        Kind.BREACH: FamilyFold._breach,
    }
)
_OF_EVERY_BOOK: Final = frozenset({Kind.SESSION_OPENED, Kind.SESSION_CLOSED, Kind.MARK})


def _bars_since(moment: datetime, now: datetime) -> int:
    return 0 if now < moment else (now - moment) // _MINUTE


def bar_of(moment: datetime) -> datetime:
    """Return the end of the minute that a moment lies in; a minute's end belongs to it."""
    if not moment.second and not moment.microsecond:
        return moment
    return moment.replace(second=0, microsecond=0) + _MINUTE
