"""Stop new risk when the account loses too much, and let go again by a rule that a flat account is sure to meet.

Loss limits on the day, the week, the month and from the session's high, judged on marks in every step.  A crossing
blocks entries at once; it latches, and closes, when the next step confirms it, so that one bad quote does neither.
At 1.5 times a limit of day, week or month everything is closed.

Release: 24 hours without a new material low, in a later session, with no limit crossed on that day's baselines.  A
flat account makes no lows and the baselines roll with the calendar, so the wait ends; an account that goes on losing
ends at 1.5.  Then comes RECOVERY: half size, one open new trade.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.reasons import Reason
from core.rules import QUIET, Cause, ExitDemand, Note, Watch
from core.settings import BreakerSettings
from core.values import value
from core.vocabulary import Disposition, Gate, Intent, Ladder, SessionPhase, TradingState, Verdict, to_u6
from risk.account_phases import is_option_trade
from risk.breaker_state import BreakerState, Condition, Level, dump, load

if TYPE_CHECKING:
    from core.books import Books

_BEYOND_ROUNDING: Final = 1.000001
"""So much above the equity of a warning no rounding of a ratio makes one."""

RECOVERY_PHASE: Final = 1
"""Account phase whose table the option books follow at most while the breaker recovers."""

HeaviestShort = Callable[[MarketSnapshot, "Books"], str | None]
"""The open short-premium trade with the largest crash loss, None where there is none."""


@value
class _Room:
    """The equities that change nothing but the high of the session: on a day, before money flows, above every warning.

    It is what a mark leaves while nothing is tripped, waits, recovers or warns.
    """

    day: date
    flows_u6: int
    above_u6: float
    high_u6: int


class CircuitBreaker:
    """Loss limits of the account.  The same marks give the same state, with and without restarts."""

    name = "circuit_breaker"
    rests = False

    def __init__(
        self, settings: BreakerSettings, *, heaviest_short: HeaviestShort, reconciled: Callable[[], bool]
    ) -> None:
        self._settings = settings
        self._heaviest_short = heaviest_short
        self._reconciled = reconciled
        self._state = BreakerState()
        self._ratios: Mapping[Condition, float] = {}
        self._notes: list[Note] = []
        self._room: _Room | None = None
        self._bases_of: tuple[date, int, int | None] | None = None
        self._bases = (0, 0, 0)
        self._limits: Mapping[Condition, float] = {
            Condition.DAILY: settings.daily_loss_pct / 100,
            Condition.WEEKLY: settings.weekly_loss_pct / 100,
            Condition.MONTHLY: settings.monthly_loss_pct / 100,
            Condition.INTRADAY: settings.session_high_loss_pct / 100,
        }

    # ----------------------------------------------------------------------------------------------- what others read

    @property
    def level(self) -> Level:
        return self._state.level

    @property
    def in_recovery(self) -> bool:
        return self._state.in_recovery

    @property
    def phase_cap(self) -> int | None:
        """The highest account phase that may be acted on, None for no cap."""
        return RECOVERY_PHASE if self.in_recovery or self.is_tripped else None

    @property
    def is_tripped(self) -> bool:
        return self._state.level is not Level.OK

    def state(self) -> dict[str, str | int]:
        """Return what a restart needs."""
        return dump(self._state)

    def restore(self, stored: Mapping[str, object]) -> None:
        """Go on from a stored state.  Raises StateError for one that cannot be."""
        self._state, self._room = load(stored), None

    def resume(self) -> None:
        """Take the operator's word that a halt, or a third trip, may end once the conditions of a release hold."""
        self._state.resume_given = self._state.needs_resume

    # ------------------------------------------------------------------------------------------------------ each step

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Judge the mark of this step; an unknown, held-over or disputed one changes nothing."""
        state, day, equity, room = self._state, snapshot.session.day, snapshot.equity, self._room
        equity_u6: int | None = None
        if equity is not None and equity.usd is not None and equity.fresh and not equity.disputed:
            equity_u6 = to_u6(equity.usd)
            if room is not None and room.day == day and room.flows_u6 == books.flows_u6 and equity_u6 > room.above_u6:
                if equity_u6 > room.high_u6:
                    self._raise_high(equity_u6, room)
                return QUIET
        self._notes = []
        if state.session_day != day:
            self._open_session(day)
        if equity_u6 is not None:
            self._observe(equity_u6, snapshot, books)
        if state.is_calm and not state.warning and not self._notes:
            if equity_u6 is not None:
                self._room = self._room_left(day)
            return QUIET
        self._room = None
        return Watch(self._causes(), self._scale(), self._exits(books), tuple(self._notes))

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse new risk while tripped or crossed; in RECOVERY allow one open new trade."""
        state = self._state
        if state.level is not Level.OK or state.pending is not Level.OK:
            condition = self._leading_condition()
            return Verdict.refuse(condition.reason, level=max(state.level, state.pending).name)
        if state.released_at is not None and is_option_trade(intent.structure.name):
            open_trades = (trade for trade in books.open_trades() if is_option_trade(trade.structure.name))
            new = [trade.id for trade in open_trades if trade.planned >= state.released_at]
            if new:
                return Verdict.refuse(Reason.BREAKER_RECOVERY, open_new_trade=new[0])
        return Verdict.allow()

    def _open_session(self, day: date) -> None:
        state, settings = self._state, self._settings
        if state.session_day is not None and state.in_recovery:
            state.clean_sessions = 0 if state.warned else state.clean_sessions + 1
            if state.clean_sessions >= settings.recovery_sessions:
                self._end_recovery()
        state.session += 1
        state.session_day = day
        state.high_u6 = None
        state.warned = False
        if state.needs_resume and day in settings.resume_dates:
            state.resume_given = True

    def _observe(self, equity_u6: int, snapshot: MarketSnapshot, books: Books) -> None:
        state = self._state
        if books.flows_u6 != state.flows_u6:
            state.shift(books.flows_u6 - state.flows_u6)
        if state.start_u6 is None:
            state.start_u6 = equity_u6
        state.high_u6 = equity_u6 if state.high_u6 is None else max(state.high_u6, equity_u6)
        self._ratios = self._judge(equity_u6, snapshot.session.day, books)
        state.warning = self._worst() >= self._settings.warn_ratio
        if state.warning and not state.warned:
            state.warned = True
            self._note(self._worst_condition(), "WARN")
        self._confirm(equity_u6, snapshot, books)
        if state.level is not Level.OK:
            self._follow_low(equity_u6, snapshot.time)
            if self._may_release(snapshot):
                self._release(equity_u6, snapshot.time)
        elif state.in_recovery and equity_u6 >= self._settings.recovery_gain * state.release_u6:
            self._end_recovery()

    def _judge(self, equity_u6: int, day: date, books: Books) -> dict[Condition, float]:
        assert self._state.high_u6 is not None
        bases = (*self._closes_before(day, books), self._state.high_u6)
        return {
            condition: round((base - equity_u6) / base / limit, 9) if base > 0 else math.inf
            for (condition, limit), base in zip(self._limits.items(), bases, strict=True)
        }

    def _room_left(self, day: date) -> _Room:
        """Return the room of a mark that has neither crossed nor warned of anything."""
        high_u6 = self._state.high_u6
        assert high_u6 is not None
        above = [self._warns_at(base, of) for base, of in zip((*self._bases, high_u6), self._limits, strict=True)]
        return _Room(day, self._state.flows_u6, max(above), high_u6)

    def _raise_high(self, equity_u6: int, room: _Room) -> None:
        """Take a new high of the session in, which is all that a mark above every warning can change."""
        self._state.high_u6 = equity_u6
        above_u6 = max(room.above_u6, self._warns_at(equity_u6, Condition.INTRADAY))
        self._room = _Room(room.day, room.flows_u6, above_u6, equity_u6)

    def _warns_at(self, base_u6: int, condition: Condition) -> float:
        return base_u6 * (1.0 - self._settings.warn_ratio * self._limits[condition]) * _BEYOND_ROUNDING

    def _closes_before(self, day: date, books: Books) -> tuple[int, int, int]:
        """Return the closing marks before a day, its week and its month: found once a session, because only days before
        it are read, and again when money flows.
        """
        of = (day, books.flows_u6, self._state.start_u6)
        if of != self._bases_of:
            monday, first = day - timedelta(days=day.weekday()), day.replace(day=1)
            self._bases_of = of
            self._bases = (
                self._close_before(day, books),
                self._close_before(monday, books),
                self._close_before(first, books),
            )
        return self._bases

    def _close_before(self, day: date, books: Books) -> int:
        """Return the last closing mark before a day, in today's money; the run's first mark where there is none."""
        close = books.close_before(day)
        assert self._state.start_u6 is not None
        return self._state.start_u6 if close is None else close.equity_u6 + books.flows_u6 - close.flows_u6

    # ------------------------------------------------------------------------------------------------------- tripping

    def _worst_condition(self) -> Condition:
        return max(Condition, key=lambda condition: (self._ratios[condition], condition.value))

    def _worst(self) -> float:
        return max(self._ratios.values())

    def _wanted(self) -> tuple[Level, Condition]:
        """Return the level that this mark alone calls for, and the limit that calls for it (of OK: any)."""
        if self._worst() < 1.0:
            return Level.OK, Condition.DAILY
        halting = max((one for one in Condition if one.can_halt), key=lambda one: (self._ratios[one], one.value))
        if self._ratios[halting] >= self._settings.halt_ratio:
            return Level.HALTED, halting
        return (Level.TRIPPED if self._worst() >= 1.0 else Level.OK), self._worst_condition()

    def _confirm(self, equity_u6: int, snapshot: MarketSnapshot, books: Books) -> None:
        """Latch what two steps in a row have seen; a crossing of one step waits for the next."""
        state = self._state
        wanted, condition = self._wanted()
        if wanted <= state.level:
            self._clear_pending()
            return
        if state.pending_at is not None and state.pending_at < snapshot.time:
            seen = min(state.pending, wanted)
            if seen > state.level:
                self._latch(seen, condition, equity_u6, snapshot, books)
        if wanted <= state.level:
            self._clear_pending()
        elif state.pending is not wanted or state.pending_at is None:
            state.pending, state.pending_at, state.pending_condition = wanted, snapshot.time, condition

    def _clear_pending(self) -> None:
        self._state.pending, self._state.pending_at, self._state.pending_condition = Level.OK, None, None

    def _latch(
        self, level: Level, condition: Condition, equity_u6: int, snapshot: MarketSnapshot, books: Books
    ) -> None:
        state = self._state
        if state.level is Level.OK:
            state.trip_day, state.trip_u6 = snapshot.session.day, equity_u6
            state.low_u6, state.low_at = equity_u6, snapshot.time
            oldest = state.session - self._settings.third_trip_sessions
            state.trips = (*(trip for trip in state.trips if trip > oldest), state.session)
            state.needs_resume, state.resume_given = len(state.trips) >= 3, False
            state.leaving = self._heaviest_short(snapshot, books) or ""
        state.level, state.condition = level, condition
        if level is Level.HALTED:
            state.needs_resume, state.resume_given = True, False
        for crossed in Condition:
            if self._ratios[crossed] >= 1.0:
                self._note(crossed, level.name)

    # ---------------------------------------------------------------------------------------------- release, recovery

    def _follow_low(self, equity_u6: int, now: datetime) -> None:
        state = self._state
        step = self._settings.material_low_pct / 100 * abs(state.trip_u6)
        if equity_u6 <= state.low_u6 - step:
            state.low_u6, state.low_at = equity_u6, now

    def _may_release(self, snapshot: MarketSnapshot) -> bool:
        state, vix = self._state, snapshot.vix
        if state.low_at is None or state.trip_day is None:
            return False  # not tripped
        return (
            (state.resume_given or not state.needs_resume)
            and snapshot.time >= state.low_at + timedelta(hours=self._settings.release_h)
            and snapshot.session.day > state.trip_day
            and snapshot.phase.market_open
            and snapshot.phase is not SessionPhase.OPENING
            and self._worst() < 1.0
            and self._reconciled()
            and vix is not None
            and not vix.panic
        )

    def _release(self, equity_u6: int, now: datetime) -> None:
        state = self._state
        self._note(state.condition or self._worst_condition(), "RECOVERY")
        state.level, state.condition, state.leaving = Level.OK, None, ""
        state.needs_resume = state.resume_given = False
        self._clear_pending()
        state.released_at, state.release_u6, state.clean_sessions = now, equity_u6, 0
        state.warned = False

    def _end_recovery(self) -> None:
        self._state.released_at, self._state.release_u6, self._state.clean_sessions = None, 0, 0

    # --------------------------------------------------------------------------------------------------- what follows

    def _leading_condition(self) -> Condition:
        state = self._state
        return state.condition or state.pending_condition or Condition.DAILY

    def _causes(self) -> tuple[Cause, ...]:
        state = self._state
        if state.level is Level.OK and state.pending is Level.OK:
            return ()
        condition = self._leading_condition()
        name = f"breaker.{condition.value.lower()}"
        if state.level is Level.HALTED:
            return (Cause(name, TradingState.HALTED, condition.reason, Gate.BREAKER, disposition=Disposition.FLATTEN),)
        return (Cause(name, TradingState.REDUCING, condition.reason, Gate.BREAKER),)

    def _scale(self) -> float:
        warning = self._settings.warn_scale if self._state.warning else 1.0
        return min(warning, self._settings.recovery_scale) if self._state.in_recovery else warning

    def _exits(self, books: Books) -> tuple[ExitDemand, ...]:
        """Demand the exit of the trade chosen at the trip, in every step until it is gone."""
        leaving = self._state.leaving
        if not leaving or self._state.level is Level.OK:
            return ()
        if all(trade.id != leaving for trade in books.open_trades()):
            return ()
        return (ExitDemand(leaving, Reason.EXIT_RISK, Ladder.URGENT),)

    def _note(self, condition: Condition, level: str) -> None:
        ratio = self._ratios.get(condition, 0.0)
        ratio_e6 = round(ratio * 1_000_000) if ratio < 1e9 else 10**15
        self._notes.append(Note(Kind.BREAKER, "", {"condition": condition.value, "ratio_e6": ratio_e6, "level": level}))
