"""Judge VIX in every step: is the value to be believed, which regime does it make, how much risk does that leave.

Only a GOOD value admits entries or VIX exits.  A SUSPECT one may raise the regime and never lowers it: a burst of bad
prints must not buy more.  Unknown is never replaced by a constant or by an estimate from the index.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from core.errors import SettingsError, StateError
from core.ledger_kinds import Kind
from core.market import MarketSnapshot, Regime, Session, VixReading, VixVerdict
from core.reasons import Reason
from core.rules import QUIET, Cause, Note, Watch
from core.settings import VixSettings
from core.vocabulary import Gate, Intent, TradingState, Verdict

if TYPE_CHECKING:
    from core.books import Books

VIX: Final = "VIX"
SPX: Final = "SPX"
LADDER: Final = (Regime.DORMANT, Regime.CALM, Regime.NORMAL, Regime.ELEVATED, Regime.HIGH, Regime.CRISIS)

# Asked for several times in every step: a name of the module is found in a third of the time of an enum's member.
_UNKNOWN, _STALE, _SUSPECT, _GOOD = VixVerdict.UNKNOWN, VixVerdict.STALE, VixVerdict.SUSPECT, VixVerdict.GOOD
_NO_REGIME = Regime.UNKNOWN

_REFUSAL: Final[Mapping[VixVerdict, Reason]] = {
    _UNKNOWN: Reason.VIX_UNKNOWN,
    _STALE: Reason.VIX_STALE,
    _SUSPECT: Reason.VIX_SUSPECT,
}


@dataclass(frozen=True, slots=True)
class _Level:
    """What one regime permits."""

    regime: Regime
    scale: float
    margin_ceiling: float
    buffer_base: float


_Point = tuple[datetime, float, float | None]
"""When a step saw VIX, and VIX and SPX as it saw them; no SPX while it has no print."""


class VixManager:
    """Read VIX once a step; remember the regime, the panic and the last minutes.

    The regime goes up at once and down, boundary by boundary, after GOOD values below `down_fraction` of the boundary
    for `down_min` minutes.  One doubtful minute neither counts against it nor lowers anything; `max_age_s` without a
    GOOD value, or a night, starts those minutes again.
    """

    name = "vix_manager"

    def __init__(self, settings: VixSettings) -> None:
        self.rests = False
        self._settings = settings
        self._boundaries = (
            settings.calm_at,
            settings.normal_at,
            settings.elevated_at,
            settings.high_at,
            settings.crisis_at,
        )
        self._leave_below = tuple(settings.down_fraction * boundary for boundary in self._boundaries)
        self._change_over = timedelta(minutes=settings.change_min)
        self._down_after = timedelta(minutes=settings.down_min)
        self._gap = timedelta(seconds=settings.max_age_s)
        normal = (1.0, settings.ceiling_normal, settings.buffer_normal)
        self._levels = (
            _Level(Regime.DORMANT, *normal),
            _Level(Regime.CALM, *normal),
            _Level(Regime.NORMAL, *normal),
            _Level(Regime.ELEVATED, settings.scale_elevated, settings.ceiling_elevated, settings.buffer_elevated),
            _Level(Regime.HIGH, settings.scale_high, settings.ceiling_high, settings.buffer_high),
            _Level(Regime.CRISIS, settings.scale_crisis, settings.ceiling_crisis, settings.buffer_crisis),
        )
        self._refuse_a_table_that_buys_more()
        self._place = -1
        """Of the regime that is held among the levels; -1 before the first value."""
        self._thresholds = sorted((*self._boundaries, *self._leave_below))
        self._settled_on = -1
        """Between which thresholds the last GOOD value stood, where the regime is its own: the next one there starts no
        clock, ends none and changes no regime. -1: nowhere, or the clocks were set anew since.
        """
        self._below_since: list[datetime | None] = [None] * len(self._boundaries)
        self._panic = False
        self._calm_since: datetime | None = None
        self._points: deque[_Point] = deque()
        self._last_good: datetime | None = None
        self._session: Session | None = None
        self._first_print = datetime.max
        self._notes: list[Note] = []

    def _refuse_a_table_that_buys_more(self) -> None:
        """Raise SettingsError where a higher VIX would leave more risk, or the boundaries do not rise."""
        sentences: list[str] = []
        if any(low >= high for low, high in pairwise(self._boundaries)):
            listed = ", ".join(f"{value:g}" for value in self._boundaries)
            sentences.append(
                f"vix.calm_at to vix.crisis_at = {listed}: expected rising boundaries. Delete them to use the defaults."
            )
        rows = self._levels[2:]
        for name, values in (
            ("vix.scale_elevated to vix.scale_crisis", [row.scale for row in rows]),
            ("vix.ceiling_normal to vix.ceiling_crisis", [row.margin_ceiling for row in rows]),
            ("vix.buffer_normal to vix.buffer_crisis", [-row.buffer_base for row in rows]),
        ):
            if any(low < high for low, high in pairwise(values)):
                listed = ", ".join(f"{abs(value):g}" for value in values)
                sentences.append(
                    f"{name} = {listed}: expected no more risk as VIX rises. Delete them to use the defaults."
                )
        if sentences:
            raise SettingsError(sentences)

    # ------------------------------------------------------------------------------------------------------- reading

    def read(self, snapshot: MarketSnapshot) -> VixReading:
        """Return VIX as judged in this step.  Call it once a step, before anything reads the regime."""
        self._notes = []
        settings, now, prior = self._settings, snapshot.time, snapshot.prior_close.get(VIX)
        index = snapshot.bars.get(SPX)
        spx = None if index is None else index.close
        verdict, value, age_s = self._judge(snapshot, spx, prior)
        if value is None or verdict is _UNKNOWN or verdict is _STALE:
            return VixReading(verdict, _NO_REGIME, value, age_s, 0.0, 0.0, 1.0, prior, self._panic)
        good = verdict is _GOOD
        if good:
            # A night, or a while of values that were not GOOD, is no evidence of calm.
            if self._last_good is not None and now - self._last_good > self._gap:
                self._restart_clocks()
            self._last_good = now
        rung = bisect_right(self._thresholds, value)
        if not good or rung != self._settled_on:
            self._follow_regime(value, now, rung, good=good)
        if good and prior is not None and (self._panic or value >= settings.panic_ratio * prior):
            self._follow_panic(value, prior, now)
        self._points.append((now, value, spx))
        level = self._levels[self._place]
        scale = level.scale * settings.daily_only_scale if settings.daily_only else level.scale
        complacent = (
            value < settings.complacent_below
            and prior is not None
            and prior > 0
            and abs(value / prior - 1.0) < settings.complacent_change_pct / 100.0
        )
        ceiling, base = level.margin_ceiling, level.buffer_base
        return VixReading(verdict, level.regime, value, age_s, scale, ceiling, base, prior, self._panic, complacent)

    def _judge(
        self, snapshot: MarketSnapshot, spx: float | None, prior: float | None
    ) -> tuple[VixVerdict, float | None, float]:
        settings, bar = self._settings, snapshot.bars.get(VIX)
        if settings.daily_only:
            is_plausible = prior is not None and settings.low <= prior <= settings.high
            return (_GOOD, prior, 0.0) if is_plausible else (_UNKNOWN, None, math.inf)
        if bar is None:
            return _UNKNOWN, None, math.inf
        vix, age_s = bar.close, bar.age_s
        if not settings.low <= vix <= settings.high:
            return _UNKNOWN, None, age_s
        session = snapshot.session
        if session is not self._session:
            self._session, self._first_print = session, session.after_open(settings.first_print_min)
        # Before the first print of the session the index shows 0 or yesterday's value.
        if bar.end < self._first_print or bar.end.date() != session.day:
            return _UNKNOWN, None, age_s
        if age_s > settings.max_age_s:
            return _STALE, vix, age_s
        return (_SUSPECT if self._is_suspect(vix, spx, snapshot) else _GOOD), vix, age_s

    def _is_suspect(self, vix: float, spx: float | None, snapshot: MarketSnapshot) -> bool:
        settings, rv20 = self._settings, snapshot.rv20
        if rv20 is None or not rv20 > 0:
            return True  # no cross-check exists
        if not settings.rv_ratio_low <= vix / rv20 <= settings.rv_ratio_high:
            return True
        # What was seen `change_min` minutes ago in this session, where something was.
        before, points = snapshot.time - self._change_over, self._points
        while points and points[0][0] < before:
            points.popleft()
        if spx is None or not points:
            return False
        seen, vix_then, spx_then = points[0]
        if seen != before or spx_then is None:
            return False
        vix_change, spx_change = abs(math.log(vix / vix_then)), abs(math.log(spx / spx_then))
        return vix_change > settings.suspect_base + settings.suspect_per_spx * spx_change

    # ---------------------------------------------------------------------------------------------- regime and panic

    def _follow_regime(self, vix: float, now: datetime, rung: int, *, good: bool) -> None:
        raw = bisect_right(self._boundaries, vix)  # so many boundaries are at or below it
        held = max(raw, self._place)
        since = self._below_since
        for place, boundary in enumerate(self._leave_below):
            if vix >= boundary:
                since[place] = None
            elif good and since[place] is None:
                since[place] = now
        while good and held > raw and self._has_been_below(held - 1, now):
            held -= 1
        before, self._place = self.regime, held
        if before is not self.regime:
            self._note_change("vix.regime", before.value, self.regime.value, vix)
        self._settled_on = rung if good and held == raw else -1

    def _has_been_below(self, place: int, now: datetime) -> bool:
        since = self._below_since[place]
        return since is not None and now - since >= self._down_after

    def _follow_panic(self, vix: float, prior: float, now: datetime) -> None:
        if not prior > 0:
            return
        settings, before = self._settings, self._panic
        if vix >= settings.panic_ratio * prior:
            self._panic, self._calm_since = True, None
        elif self._panic:
            self._calm_since = (self._calm_since or now) if vix < settings.panic_release_ratio * prior else None
            calm = self._calm_since
            if calm is not None and now - calm >= timedelta(minutes=settings.panic_release_min):
                self._panic, self._calm_since = False, None
        if before != self._panic:
            self._note_change("vix.panic", "PANIC" if before else "NONE", "PANIC" if self._panic else "NONE", vix)

    def _restart_clocks(self) -> None:
        self._below_since = [None] * len(self._boundaries)
        self._settled_on = -1
        self._calm_since = None

    def _note_change(self, manager: str, before: str, after: str, vix: float) -> None:
        fields: dict[str, object] = {
            "manager": manager,
            "from": before,
            "to": after,
            "value_e6": round(vix * 1_000_000),
        }
        self._notes.append(Note(Kind.LEVEL, "", fields))
        self.rests = False

    # --------------------------------------------------------------------------------------------- manager and rule

    @property
    def regime(self) -> Regime:
        """The regime that is held, also while VIX is unknown; UNKNOWN before the first value."""
        return _NO_REGIME if self._place < 0 else self._levels[self._place].regime

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Return the cause of a panic and what changed in the reading of this step."""
        self.rests = not self._panic
        if not self._panic and not self._notes:
            return QUIET
        causes = (Cause("vix.panic", TradingState.REDUCING, Reason.VIX_PANIC, Gate.VIX),) if self._panic else ()
        notes, self._notes = tuple(self._notes), []
        return Watch(causes=causes, notes=notes)

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse new risk while VIX is not GOOD or in panic; short premium in a crisis, or twice in complacency."""
        reading = snapshot.vix
        if reading is None:
            return Verdict.refuse(Reason.VIX_UNKNOWN)
        if reading.verdict is not VixVerdict.GOOD or reading.value is None:
            age = f"{reading.age_s:g}" if math.isfinite(reading.age_s) else "none"
            return Verdict.refuse(_REFUSAL.get(reading.verdict, Reason.VIX_UNKNOWN), age_s=age)
        if reading.panic:
            return Verdict.refuse(Reason.VIX_PANIC, vix=reading.value)
        if intent.risk is None or not intent.risk.short_premium:
            return Verdict.allow()
        if reading.regime is Regime.CRISIS:
            return Verdict.refuse(Reason.VIX_CRISIS, vix=reading.value, boundary=self._settings.crisis_at)
        if reading.complacent and (sold := _sold_today(books, snapshot)) >= 1:
            return Verdict.refuse(Reason.VIX_COMPLACENT, vix=reading.value, sold_today=sold)
        return Verdict.allow()

    # --------------------------------------------------------------------------------------------------------- state

    def state(self) -> dict[str, str]:
        """Return what a restart needs."""
        return {"regime": self.regime.value, "panic": "true" if self._panic else "false"}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take over a stored state; its clocks start again.  Raises StateError for one that does not exist."""
        regime, panic = state.get("regime"), state.get("panic")
        if regime not in {member.value for member in Regime} or panic not in ("true", "false"):
            known = ", ".join(member.value for member in Regime)
            raise StateError(
                f"vix state regime={regime!r} panic={panic!r}: expected one of {known}, and true or false. "
                "Reconcile and start without a stored state."
            )
        self._place = -1 if regime == Regime.UNKNOWN.value else LADDER.index(Regime(str(regime)))
        self._panic = panic == "true"
        self.rests = False
        self._restart_clocks()


def _sold_today(books: Books, snapshot: MarketSnapshot) -> int:
    """Return the short-premium trades of today: filled, or still at work."""
    return sum(trade.short_premium and books.is_of_day(trade, snapshot.session.day) for trade in books.trades)
