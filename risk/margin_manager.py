"""How much margin is used, how much may be, and whether everything survives a jump.

Own margin decides; the engine's margin is a second bound in live and paper only (with several overlapping structures
it differs between identical runs).  The buffer grows with VIX, with the time of day and with the calendar, and limits
openings only: nothing is sold because the buffer grew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from core.ledger_kinds import Kind
from core.market import MarketSnapshot, VixVerdict
from core.reasons import Reason
from core.rules import QUIET, Note, SizeBound, Watch
from core.settings import MarginSettings, Mode
from core.values import value
from core.vocabulary import Intent, RiskBasis, UnitRisk, Verdict
from risk.book_stress import BookStress, TradeStress
from risk.event_calendar import EventCalendar
from risk.position_sizer import MARGIN, STRESS, quotient
from risk.unit_risk import C_SHOCKS, T_SHOCKS

if TYPE_CHECKING:
    from core.books import Books


class MarginLevel(IntEnum):
    """Rungs of used margin over equity."""

    NORMAL = 0
    WATCH = 1
    RESTRICT = 2
    BLOCK = 3


@value
class MarginUsage:
    """Own margin and stress of all books, USD.

    used is what is held, reserved what working openings may still take; options_usd both for the option books alone.
    stressed_usd is what would be needed under stress.  loss_by_shock is net over all trades.  unknown names trades
    whose margin or loss could not be priced; their part is infinite in every figure that limits, and left out of
    t_loss and c_loss.
    """

    used_usd: float
    reserved_usd: float
    options_usd: float
    stressed_usd: float
    loss_by_shock: Mapping[str, float]
    unknown: tuple[str, ...] = ()

    @property
    def t_loss_usd(self) -> float:
        return self.worst(T_SHOCKS)

    @property
    def c_loss_usd(self) -> float:
        return self.worst(C_SHOCKS)

    def worst(self, shocks: tuple[str, ...]) -> float:
        worst, losses = 0.0, self.loss_by_shock
        for name in shocks:
            worst = max(worst, losses.get(name, 0.0))
        return worst


@dataclass(frozen=True, slots=True)
class MarginState:
    """What one step's openings may take: fractions of equity, and USD."""

    buffer: float
    ceiling: float
    used_fraction: float
    level: MarginLevel
    available_usd: float


class MarginManager:
    """Own margin, the ladder, and the gate of openings.

    bp_ceiling_pct is the ceiling of the option books in the present account phase, None while that is unknown;
    priorities are the strategies' own (1 first); calendar is None where it could not be built.
    """

    name = "margin_manager"
    rests = False

    def __init__(
        self,
        settings: MarginSettings,
        stress: BookStress,
        calendar: EventCalendar | None,
        *,
        mode: Mode,
        bp_ceiling_pct: Callable[[], float | None],
        priorities: Mapping[str, int],
    ) -> None:
        self._settings = settings
        self._stress = stress
        self._calendar = calendar
        self._mode = mode
        self._bp_ceiling_pct = bp_ceiling_pct
        self._priorities = dict(priorities)
        self._level = MarginLevel.NORMAL
        self._summed: tuple[TradeStress, ...] = ()
        self._usage = self._sum(())

    # --------------------------------------------------------------------------------------------------- what is used

    def usage(self, snapshot: MarketSnapshot, books: Books) -> MarginUsage:
        """Return own margin and stress losses of everything that is held or may still fill."""
        trades = self._stress.trades(snapshot, books)
        if trades is not self._summed:  # the same tuple is the same trades at the same prices
            self._summed, self._usage = trades, self._sum(trades)
        return self._usage

    def _sum(self, trades: tuple[TradeStress, ...]) -> MarginUsage:
        used: list[float] = []
        reserved: list[float] = []
        naked: list[float] = []
        options: list[float] = []
        losses: dict[str, list[float]] = {name: [] for name in (*T_SHOCKS, *C_SHOCKS)}
        unknown: list[str] = []
        for trade in trades:
            reserved.append(trade.reserved_usd)
            naked.append(trade.naked_usd)
            if trade.used_usd is not None:
                used.append(trade.used_usd)
                if trade.takes_place:
                    options.append(trade.margin_usd)
            for name, loss in trade.losses.by_shock.items():
                losses[name].append(loss or 0.0)
            if trade.is_unknown:
                unknown.append(trade.exposure.trade)
        used_usd, reserved_usd = math.fsum(used), math.fsum(reserved)
        stressed = used_usd + reserved_usd + (self._settings.naked_stress_multiple - 1.0) * math.fsum(naked)
        by_shock = {name: math.fsum(lost) for name, lost in losses.items()}
        return MarginUsage(used_usd, reserved_usd, math.fsum(options), stressed, by_shock, tuple(unknown))

    def buffer(self, snapshot: MarketSnapshot) -> float:
        """Return the share of equity that stays free: by VIX, time of day and calendar; 1 while VIX is unknown."""
        settings, vix = self._settings, snapshot.vix
        if vix is None or vix.verdict in (VixVerdict.UNKNOWN, VixVerdict.STALE):
            return 1.0
        wanted = vix.buffer_base * self._clock(snapshot) + self._event_add(snapshot)
        return min(1.0, max(settings.buffer_low, settings.operator_buffer, wanted))

    def state(self, snapshot: MarketSnapshot, usage: MarginUsage) -> MarginState:
        """Return buffer, ceiling, level and available buying power; with equity unknown nothing is available."""
        settings, equity = self._settings, snapshot.equity_usd
        buffer = self.buffer(snapshot)
        ceiling = min(0.0 if snapshot.vix is None else snapshot.vix.margin_ceiling, 1.0 - buffer)
        fraction, level = self._reached(snapshot, usage)
        if equity is None or math.isinf(fraction):
            return MarginState(buffer, ceiling, fraction, level, 0.0)
        engine_used, engine_remaining = self._engine(snapshot, equity)
        used = max(usage.used_usd, engine_used)
        available = min(
            equity * ceiling - used - usage.reserved_usd,
            settings.engine_share * engine_remaining - usage.reserved_usd,
        )
        return MarginState(buffer, ceiling, fraction, level, max(0.0, available))

    def _reached(self, snapshot: MarketSnapshot, usage: MarginUsage) -> tuple[float, MarginLevel]:
        """Return used margin over equity and the rung it stands on; infinite and BLOCK while either is unknown."""
        equity = snapshot.equity_usd
        if equity is None or not 0 < equity < math.inf or usage.unknown:
            return math.inf, MarginLevel.BLOCK
        engine_used, _ = self._engine(snapshot, equity)
        fraction = max(usage.used_usd, engine_used) / equity
        return fraction, self._rung(fraction, snapshot)

    def _event_add(self, snapshot: MarketSnapshot) -> float:
        """Return what the calendar adds to the buffer; without a calendar every day may hold an event."""
        if self._calendar is None:
            return self._settings.event_add_unknown
        return self._calendar.event_add(snapshot.session.day)

    def _engine(self, snapshot: MarketSnapshot, equity: float) -> tuple[float, float]:
        """Return the broker's used and remaining margin; a backtest never looks at it, a live run never guesses it."""
        if self._mode is Mode.BACKTEST:
            return 0.0, equity
        account = snapshot.account
        if account is None or account.margin_used_usd is None or account.margin_remaining_usd is None:
            return math.inf, 0.0
        return account.margin_used_usd, account.margin_remaining_usd

    def _rung(self, fraction: float, snapshot: MarketSnapshot) -> MarginLevel:
        settings = self._settings
        ceiling = 0.0 if snapshot.vix is None else snapshot.vix.margin_ceiling
        if fraction > 0 and fraction >= min(ceiling, settings.block_fraction):
            return MarginLevel.BLOCK
        if fraction >= settings.restrict_fraction:
            return MarginLevel.RESTRICT
        return MarginLevel.WATCH if fraction >= settings.watch_fraction else MarginLevel.NORMAL

    def _clock(self, snapshot: MarketSnapshot) -> float:
        settings, now, session = self._settings, snapshot.time, snapshot.session
        for end, factor in (
            (session.open, settings.clock_opening),
            (session.after_open(settings.clock_first_min), settings.clock_first),
            (session.after_open(settings.clock_second_min), settings.clock_second),
            (session.before_close(settings.clock_midday_min), settings.clock_midday),
            (session.before_close(settings.clock_afternoon_min), settings.clock_afternoon),
            (session.close, settings.clock_closing),
        ):
            if now < end:
                return factor
        return settings.clock_after

    # ----------------------------------------------------------------------------------------------- manager and rule

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Record a new rung of the ladder; scale openings down from RESTRICT on."""
        if self._mode is Mode.BACKTEST and self._level is MarginLevel.NORMAL and not books.has_open_trades:
            return QUIET  # nothing is used, and a backtest never looks at the engine's margin
        fraction, level = self._reached(snapshot, self.usage(snapshot, books))
        notes: tuple[Note, ...] = ()
        if level is not self._level and math.isfinite(fraction):
            fields = {
                "manager": self.name,
                "from": self._level.name,
                "to": level.name,
                "value_e6": round(fraction * 1_000_000),
            }
            notes = (Note(Kind.LEVEL, "", fields),)
            self._level = level
        if level < MarginLevel.RESTRICT:
            return Watch(notes=notes) if notes else QUIET
        return Watch(scale=self._settings.restrict_scale, notes=notes)

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse one unit that does not fit: the ladder, buying power, the phase's ceiling, then every shock."""
        equity, risk = snapshot.equity_usd, intent.risk
        if equity is None or risk is None:
            return Verdict.refuse(Reason.EQUITY_UNKNOWN)
        usage = self.usage(snapshot, books)
        state = self.state(snapshot, usage)
        return (
            self._ladder(intent, state)
            or self._ceiling(risk, equity, usage, state)
            or self._stress_refusal(risk, equity, usage)
            or Verdict.allow()
        )

    def bounds(
        self, intent: Intent, snapshot: MarketSnapshot, books: Books, scale: float
    ) -> tuple[SizeBound, SizeBound]:
        """Return the units inside a share of available buying power, and inside the room of the shocks."""
        equity, risk = snapshot.equity_usd, intent.risk
        if equity is None or risk is None:
            return SizeBound(MARGIN, 0.0, Reason.SIZE_ZERO_MARGIN), SizeBound(STRESS, 0.0, Reason.SIZE_ZERO_STRESS)
        usage = self.usage(snapshot, books)
        state = self.state(snapshot, usage)
        budget = self._settings.per_trade_pct / 100 * state.available_usd * scale
        return (
            SizeBound(MARGIN, quotient(budget, risk.margin_usd), Reason.SIZE_ZERO_MARGIN),
            SizeBound(STRESS, self._stress_room(risk, equity, usage), Reason.SIZE_ZERO_STRESS),
        )

    def stress_units(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> float:
        """Return the units inside the room of the shocks; 0 while equity or the risk of one is unknown."""
        equity, risk = snapshot.equity_usd, intent.risk
        if equity is None or risk is None:
            return 0.0
        return self._stress_room(risk, equity, self.usage(snapshot, books))

    def _ladder(self, intent: Intent, state: MarginState) -> Verdict | None:
        if state.level is MarginLevel.BLOCK:
            return Verdict(False, Reason.MARGIN_BLOCKED, _shown(state))
        first = self._priorities.get(intent.strategy, math.inf) <= self._settings.restrict_priority
        if state.level is MarginLevel.RESTRICT and not first:
            return Verdict(False, Reason.MARGIN_RESTRICTED, _shown(state))
        return None

    def _ceiling(self, risk: UnitRisk, equity: float, usage: MarginUsage, state: MarginState) -> Verdict | None:
        if not risk.margin_usd <= state.available_usd:
            return Verdict(False, Reason.MARGIN_CEILING, {"unit_usd": risk.margin_usd, **_shown(state)})
        if risk.basis is RiskBasis.FAMILY:
            return None
        ceiling = self._bp_ceiling_pct()
        if ceiling is None or not usage.options_usd + risk.margin_usd <= ceiling / 100 * equity:
            shown = "unknown" if ceiling is None else ceiling
            return Verdict.refuse(
                Reason.MARGIN_CEILING, unit_usd=risk.margin_usd, options_usd=usage.options_usd, bp_ceiling_pct=shown
            )
        return None

    def _stress_refusal(self, risk: UnitRisk, equity: float, usage: MarginUsage) -> Verdict | None:
        room = self._stress_room(risk, equity, usage)
        if room >= 1.0:
            return None
        return Verdict.refuse(
            Reason.MARGIN_STRESS,
            t_loss_usd=usage.t_loss_usd,
            c_loss_usd=usage.c_loss_usd,
            unit_t_usd="unknown" if risk.t_loss_usd is None else risk.t_loss_usd,
            unit_margin_usd=risk.stressed_margin_usd,
            room_units=room,
        )

    def _stress_room(self, risk: UnitRisk, equity: float, usage: MarginUsage) -> float:
        """Return how many units leave equity above margin in every shock, and the crash within its share of equity."""
        if risk.t_loss_usd is None or usage.unknown:
            return 0.0
        room = math.inf
        for shocks, unit in ((T_SHOCKS, risk.t_loss_usd), (C_SHOCKS, risk.c_loss_usd or 0.0)):
            left = equity - usage.worst(shocks) - usage.stressed_usd
            room = min(room, quotient(left, unit + risk.stressed_margin_usd))
        crash = self._settings.account_crash_pct / 100 * equity - usage.c_loss_usd
        if risk.c_loss_usd:
            room = min(room, quotient(crash, risk.c_loss_usd))
        elif crash < 0:
            room = 0.0
        return room


def _shown(state: MarginState) -> dict[str, float]:
    shown = {"available_usd": state.available_usd, "ceiling": state.ceiling, "buffer": state.buffer}
    return {**shown, "used_fraction": state.used_fraction} if math.isfinite(state.used_fraction) else shown
