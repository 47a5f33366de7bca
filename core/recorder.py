"""What a step leaves in the ledger besides decisions and orders: the session, VIX, marks, the broker's statements,
states, health.

MARK is written in each step while anything is held or works, also of what did at the beginning of its minute, else at
open and close; the broker's statement at the start, after the fills or expiries of a step are all folded, and at open
and close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from core.books import Books
from core.component_initializer import ComponentInitializer, Report
from core.errors import LedgerError
from core.ledger import Ledger
from core.ledger_kinds import Kind
from core.market import MISSING_QUOTE, MarketSnapshot, Regime, Session, VixReading, VixVerdict
from core.order_gateway import OrderGateway
from core.ports import Account, Broker
from core.reasons import Reason
from core.rules import MarginView, Note
from core.settings import Settings
from core.state_manager import StateManager
from core.trading_state import Change, StateBoard
from core.vocabulary import FAMILY, U6, SessionPhase, to_u6
from core.working_orders import WorkingOrders

_NOTHING: Final[frozenset[str]] = frozenset()

ANCHOR_CHANNEL: Final = "Ledger anchor"
"""The runtime statistic, and the line of the log, that an anchor is published in."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The header of a run, as RUN_STARTED states it."""

    run: str
    engine: str
    engine_version: str
    code_hash: str
    settings_hash: str
    data_manifest: str
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class _Marked:
    """What a mark shows: symbols, the same in their order, and their underlyings."""

    symbols: frozenset[str]
    names: Sequence[str]
    underlyings: Sequence[str]


class Recorder:
    """Writes the records that nobody else owns."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        books: Books,
        broker: Broker,
        state: StateManager,
        margin: MarginView,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._books = books
        self._broker = broker
        self._state = state
        self._margin = margin
        self._phase: SessionPhase | None = None
        self._vix: tuple[VixVerdict, Regime] | None = None
        self._vix_at: datetime | None = None
        self._opened: date | None = None
        self._marked_open = False
        self._stated_movements = -1
        self.session_closed = False
        self.anchor: tuple[int, str] | None = None
        """Line and hash of the ledger's head at the last close."""
        self.contracts: Callable[[], Mapping[str, str]] = dict
        self.orders = WorkingOrders()
        """What is at work: the gateway's own, once there is one."""
        self.lately_in_play: frozenset[str] = frozenset()
        """Symbols that were held or at work when the last step ended: the minute since then is theirs to be marked."""
        self._played: frozenset[str] = frozenset()
        """What this step began with, for the mark at the close: an auction may have sold it."""
        self._marked = _Marked(_NOTHING, (), ())
        self._seen_play: tuple[Mapping[str, int], tuple[str, ...], frozenset[str]] = ({}, (), frozenset())

    # --------------------------------------------------------------------------------------------------------- header

    def start_run(
        self, facts: RunFacts, initializer: ComponentInitializer, now: datetime, resumed_from: str | None
    ) -> None:
        """Write RUN_STARTED, the broker's first words and INIT_REPORT."""
        run = self._settings.run
        optional = {} if resumed_from is None else {"resumed_from": resumed_from}
        self._ledger.append(
            Kind.RUN_STARTED,
            "",
            now,
            run=facts.run,
            schema=1,
            engine=facts.engine,
            engine_version=facts.engine_version,
            start=facts.start,
            end=facts.end,
            code_hash=facts.code_hash,
            settings=self._settings.trading(),
            settings_hash=facts.settings_hash,
            data_manifest=facts.data_manifest,
            seed=run.seed,
            mode=run.mode.value,
            account=self._settings.account.type.value,
            brokerage=self._settings.account.brokerage.value,
            currency=self._settings.account.currency,
            start_cash_u6=self._broker.account().cash_u6,
            holdings=self._holdings(self._broker.positions()),
            families={side: dict(members) for side, members in FAMILY.items()},
            reasons=sorted(reason.value for reason in Reason),
            **optional,
        )
        self.statement(now)
        components = [
            {
                "name": line.name,
                "tier": line.tier,
                "status": line.status.value,
                "error": line.error,
                "sentence": line.sentence,
                "attempts": line.attempts,
            }
            for line in initializer.report()
        ]
        self._ledger.append(Kind.INIT_REPORT, "", now, components=components)

    def component(self, line: Report, now: datetime) -> None:
        self._ledger.append(
            Kind.COMPONENT,
            "",
            now,
            name=line.name,
            status=line.status.value,
            error=line.error,
        )

    # -------------------------------------------------------------------------------------------------------- session

    def open_session(self, session: Session, now: datetime) -> None:
        self._ledger.open_chunk()
        self._ledger.append(
            Kind.SESSION_OPENED,
            "",
            now,
            date=session.day,
            open_time=session.open,
            close_time=session.close,
            half_day=session.half_day,
        )
        self.session_closed = False
        self._phase = None
        self._vix = None
        self._marked_open = False
        self._stated_movements = -1  # the broker's words follow once this step has folded what was settled in the night

    def close_session(self, snapshot: MarketSnapshot, session: Session) -> None:
        now = snapshot.time
        self._mark(snapshot, self._played)
        self.statement(now)
        equity = snapshot.equity_usd
        equity_u6 = {} if equity is None else {"equity_u6": to_u6(equity)}
        self._ledger.append(
            Kind.SESSION_CLOSED,
            "",
            now,
            date=session.day,
            open_time=session.open,
            close_time=session.close,
            half_day=session.half_day,
            cash_u6=self._books.cash_u6,
            **equity_u6,
        )
        # The head of the ledger, told to the world outside it: only that shows a rewrite of the whole file.
        self.anchor = (self._ledger.seq - 1, self._ledger.head())
        self._ledger.append(
            Kind.ANCHOR, "", now, head_seq=self.anchor[0], head_hash=self.anchor[1], channel=ANCHOR_CHANNEL
        )
        self.session_closed = True
        self._ledger.flush(durable=True)

    # ----------------------------------------------------------------------------------------------------- every step

    def observe(self, snapshot: MarketSnapshot, session: Session, phase: SessionPhase, board: StateBoard) -> None:
        """Write phase and VIX when they change, and the mark of this step."""
        if phase is not self._phase:
            self._phase = phase
            self._ledger.append(Kind.PHASE, "", snapshot.time, phase=phase)
        books, vix = self._books, snapshot.vix
        assert vix is not None
        trades = phase.market_open and books.has_open_trades
        has_bars = phase.market_open and snapshot.time > session.open
        if trades or self._vix != (vix.verdict, vix.regime):
            self._vix_record(vix, snapshot.time)
        if has_bars and (trades or self.lately_in_play or not self._marked_open or self._in_play()):
            self._mark(snapshot)
            self._marked_open = True

    def ask_vix(self, snapshot: MarketSnapshot) -> None:
        """Write VIX before an entry is judged on it, unless this step has written it already."""
        vix = snapshot.vix
        assert vix is not None
        if self._vix_at != snapshot.time or self._vix != (vix.verdict, vix.regime):
            self._vix_record(vix, snapshot.time)

    def _vix_record(self, vix: VixReading, now: datetime) -> None:
        self._vix, self._vix_at = (vix.verdict, vix.regime), now
        value = {} if vix.value is None else {"value_e6": round(vix.value * 1e6)}
        age = int(min(vix.age_s, 86_400))
        self._ledger.append(Kind.VIX, "", now, age_s=age, verdict=vix.verdict, regime=vix.regime, **value)

    def _mark(self, snapshot: MarketSnapshot, also: frozenset[str] = frozenset()) -> None:
        assert snapshot.equity is not None
        assert snapshot.account is not None
        if snapshot.equity.usd is None:
            return
        margin = self._margin.usage(snapshot, self._books)
        played = self._in_play()
        if also or self.lately_in_play is not played:
            played = played | self.lately_in_play | also
        if played is not self._marked.symbols:
            self._marked = self._marks_of(played)
        quotes, bars = snapshot.quotes, snapshot.bars
        px: dict[str, list[int]] = {}
        for symbol in self._marked.names:
            quote, bar = quotes.get(symbol, MISSING_QUOTE), bars.get(symbol)
            last = None if bar is None else bar.close
            px[symbol] = _px(quote.bid, quote.ask, last, quote.low_bid, quote.high_ask)
        for underlying in self._marked.underlyings:
            bar = bars.get(underlying)
            if bar is not None and underlying not in px:
                px[underlying] = [0, 0, to_u6(bar.close), to_u6(bar.low), to_u6(bar.high)]
        self._ledger.append(
            Kind.MARK,
            "",
            snapshot.time,
            px=px,
            halted=sorted(snapshot.halted),
            equity_u6=to_u6(snapshot.equity.usd),
            engine_equity_u6=to_u6(snapshot.account.equity_usd),
            used_u6=to_u6(margin.used_usd),
            reserved_u6=to_u6(margin.reserved_usd),
            t_loss_u6=to_u6(margin.t_loss_usd),
            c_loss_u6=to_u6(margin.c_loss_usd),
        )

    def _marks_of(self, symbols: frozenset[str]) -> _Marked:
        underlyings = {self._books.instrument(symbol).underlying for symbol in symbols}
        return _Marked(symbols, sorted(symbols), sorted(underlyings))

    def _in_play(self) -> frozenset[str]:
        """Return what is held or at work.  Both views are made anew when they change, so that the same two objects
        give the same symbols.
        """
        at_work = self.orders.symbols
        if self._books.is_flat and not at_work:
            return _NOTHING
        held = self._books.positions()
        seen_held, seen_at_work, found = self._seen_play
        if held is not seen_held or at_work is not seen_at_work:
            found = frozenset(held).union(at_work)
            self._seen_play = held, at_work, found
        return found

    def state_changes(self, changes: Iterable[Change], now: datetime) -> None:
        for change in changes:
            optional = {} if change.disposition is None else {"disposition": change.disposition.value}
            scope = change.scope.value if not change.subject else f"{change.scope.value}:{change.subject}"
            self._ledger.append(
                Kind.TRADING_STATE,
                "",
                now,
                scope=scope,
                **{"from": change.before.name},
                to=change.after.name,
                cause=change.cause,
                **optional,
            )

    def notes(self, notes: Iterable[Note], now: datetime) -> None:
        for note in notes:
            self._ledger.append(note.kind, note.book, now, **note.fields)

    def funnel(self, strategy: str, day: date, counts: Mapping[str, int], now: datetime) -> None:
        self._ledger.append(Kind.FUNNEL, strategy, now, strategy=strategy, date=day, counts=dict(counts))

    def after_step(self, snapshot: MarketSnapshot) -> None:
        """State the broker's holdings at the open and when fills or expiries were folded; save what has changed."""
        if self._books.movements != self._stated_movements:
            self.statement(snapshot.time)
        self._played, self.lately_in_play = self.lately_in_play, self._in_play()
        if self._state.slots is not None:
            self.save_state(snapshot.time)

    def save_state(self, now: datetime) -> None:
        """Save the state when something has changed since the last time."""
        if self._state.is_saved:
            return
        try:
            self._state.save_if_changed(now, self.contracts())
        except LedgerError as error:
            self._ledger.append(Kind.ALERT, "", now, severity="CRITICAL", code="STATE_NOT_SAVED", text=str(error))

    # ----------------------------------------------------------------------------------------------------- statements

    def statement(self, now: datetime) -> None:
        """Write the broker's own words: cash, equity, and holdings, read by direct key over our list and its own."""
        self._stated_movements = self._books.movements
        account: Account = self._broker.account()
        known = {*self._books.positions(), *self._broker.positions()}
        held = {symbol: self._broker.position(symbol) for symbol in known}
        orders = sorted(order.order for order in self._broker.open_orders())
        self._ledger.append(
            Kind.BROKER_STATEMENT,
            "",
            now,
            cash_u6=account.cash_u6,
            unsettled_u6=account.unsettled_u6,
            equity_u6=to_u6(account.equity_usd),
            holdings=self._holdings(held),
            orders=orders,
        )

    def _holdings(self, held: Mapping[str, int]) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for symbol, qty in sorted(held.items()):
            if qty:
                mult = self._books.instrument(symbol).multiplier if self._books.knows(symbol) else 1
                rows.append(
                    {"symbol": symbol, "qty": qty, "price_u6": to_u6(self._broker.mark_price(symbol)), "mult": mult}
                )
        return rows

    def end_run(self, now: datetime, reason: str, gateway: OrderGateway) -> None:
        if self._books.movements != self._stated_movements:
            self.statement(now)
        account = self._broker.account()
        self._ledger.seal(
            now,
            reason=reason,
            cash_u6=self._books.cash_u6,
            equity_u6=to_u6(account.equity_usd),
            fees_u6=self._books.fees_u6,
            holdings=self._holdings(self._books.positions()),
            orders=sorted(child.id for child in gateway.working_children()),
        )


def _px(*prices: float | None) -> list[int]:
    """Return bid, ask, last, low and high as MARK holds them: 0 where there is none, as `to_u6` where there is one."""
    return [int(price * U6 + 0.5) if price else 0 for price in prices]
