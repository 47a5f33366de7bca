"""Keep short premium away from scheduled releases, and say how much buffer a day deserves.

Outside the span that a series covers nothing is known: the buffer rises by `event_add_unknown`, it is never "no event".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.ledger_kinds import Kind
from core.market import MarketSnapshot
from core.reasons import Reason
from core.rules import QUIET, Note, Watch
from core.settings import EventSettings, MarginSettings
from core.vocabulary import Intent, Structure, Verdict
from risk.event_table import SCHEDULE, EventKind, EventSeries

if TYPE_CHECKING:
    from core.books import Books

_REFUSAL: Final[Mapping[EventKind, Reason]] = {
    EventKind.FOMC: Reason.EVENT_FOMC,
    EventKind.CPI: Reason.EVENT_CPI,
    EventKind.NFP: Reason.EVENT_NFP,
}
DECEMBER: Final = 12
EARNINGS_MONTHS: Final = frozenset({1, 4, 7, 10})


class EventCalendar:
    """Answer for a day and a time; holds the table, and what followed from it."""

    name = "event_calendar"

    def __init__(
        self, settings: EventSettings, margin: MarginSettings, schedule: Sequence[EventSeries] = SCHEDULE
    ) -> None:
        self._settings = settings
        self._margin = margin
        self._schedule = {series.kind: series for series in schedule}
        self._alerted: date | None = None
        self.rests = False
        self._adds: dict[date, float] = {}
        """What was answered for a day: it follows from settings and table, which do not change."""

    # ------------------------------------------------------------------------------------------------------ the table

    def covers(self, kind: EventKind, day: date) -> bool:
        """Tell whether the list of that kind is complete for a day."""
        series = self._schedule.get(kind)
        return series is not None and series.covers(day)

    def event_at(self, kind: EventKind, day: date) -> datetime | None:
        """Return when an event of that kind comes on a day, None where the list has none."""
        series = self._schedule.get(kind)
        return datetime.combine(day, series.at) if series is not None and day in series.days else None

    def event_add(self, day: date) -> float:
        """Return what the margin buffer adds on a day: the largest of what holds, and of what nobody knows."""
        add = self._adds.get(day)
        if add is None:
            add = self._adds[day] = self._find_add(day)
        return add

    def _find_add(self, day: date) -> float:
        margin = self._margin
        adds = [0.0]
        if any(not self.covers(kind, day) for kind in EventKind):
            adds.append(margin.event_add_unknown)
        if self.event_at(EventKind.FOMC, day) is not None:
            adds.append(margin.event_add_fomc)
        if self.event_at(EventKind.CPI, day) is not None:
            adds.append(margin.event_add_cpi)
        if is_opex_week(day):
            adds.append(margin.event_add_opex)
        if day.month == DECEMBER:
            adds.append(margin.event_add_december)
        if day.month in EARNINGS_MONTHS:
            adds.append(margin.event_add_earnings)
        return max(adds)

    # ------------------------------------------------------------------------------------------------ manager and rule

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        """Return one alert a session for each kind whose coverage ends soon or has ended."""
        day = snapshot.session.day
        if self._alerted == day:
            return QUIET
        self._alerted, self.rests = day, True
        horizon = day + timedelta(days=self._settings.coverage_alert_days)
        return Watch(
            notes=tuple(_coverage_alert(series) for series in self._schedule.values() if series.covers_to < horizon)
        )

    def rule(self, intent: Intent, snapshot: MarketSnapshot, books: Books) -> Verdict:
        """Refuse short premium around a release; bought structures pass."""
        if intent.risk is not None and not intent.risk.short_premium:
            return Verdict.allow()
        now = snapshot.time
        refusal = self.same_day_refusal(now) if is_same_day(intent.structure, now.date()) else self._longer(now)
        return refusal or Verdict.allow()

    def same_day_refusal(self, now: datetime) -> Verdict | None:
        """0DTE: never on FOMC and CPI days, and not until the payrolls have been digested."""
        for kind in (EventKind.FOMC, EventKind.CPI):
            at = self.event_at(kind, now.date())
            if at is not None:
                return _refuse(kind, at, until=None)
        return self._after(EventKind.NFP, now, timedelta(minutes=self._settings.nfp_wait_min))

    def _longer(self, now: datetime) -> Verdict | None:
        """Any other short premium: not in the day before an FOMC decision, nor in the hours after a release."""
        after = timedelta(hours=self._settings.fomc_after_h)
        before = timedelta(hours=self._settings.fomc_before_h)
        day = now.date()
        while day <= (now + before).date():
            at = self.event_at(EventKind.FOMC, day)
            if at is not None and at - before <= now < at + after:
                return _refuse(EventKind.FOMC, at, until=at + after)
            day += timedelta(days=1)
        wait = timedelta(minutes=self._settings.nfp_wait_min)
        return self._after(EventKind.CPI, now, wait) or self._after(EventKind.NFP, now, wait)

    def _after(self, kind: EventKind, now: datetime, wait: timedelta) -> Verdict | None:
        """Refuse on the day of a release until it is `wait` old; exactly that old is allowed."""
        at = self.event_at(kind, now.date())
        return None if at is None or now >= at + wait else _refuse(kind, at, until=at + wait)


def is_same_day(structure: Structure, day: date) -> bool:
    """Tell whether every contract of a structure expires on that day."""
    return structure.expiries == (day,)


def is_opex_week(day: date) -> bool:
    """Tell whether the third Friday of its month lies in the week (Monday to Sunday) of a day."""
    friday = day + timedelta(days=4 - day.weekday())
    return 15 <= friday.day <= 21


def _refuse(kind: EventKind, at: datetime, until: datetime | None) -> Verdict:
    return Verdict.refuse(_REFUSAL[kind], until=until, release=f"{at:%Y-%m-%d %H:%M}")


def _coverage_alert(series: EventSeries) -> Note:
    text = (
        f"{series.kind.value} dates are known to {series.covers_to.isoformat()} only; extend the table from its source."
    )
    return Note(Kind.ALERT, "", {"severity": "WARNING", "code": "EVENT_COVERAGE", "text": text})
