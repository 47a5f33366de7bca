"""The six principles of the ETF book, watched while it runs: before each order, after every fold and every step.

The predecessor broke all of them unseen.  A breach is a record and an alert at once, not after some bars; a critical
one halts the book, which then cancels and sells until it is flat.  The auditor judges the same six from the ledger
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.errors import StateError
from core.family import BOOK, SYMBOLS, Side, Standing, side_of
from core.ledger_kinds import Kind
from core.market import Session
from core.reasons import Reason
from core.rules import Cause, Note
from core.settings_etf import EtfRotationSettings
from core.vocabulary import U6, Disposition, Scope, TradingState

CASH_TOLERANCE_U6: Final = U6
"""P1: a dollar of rounding and late fees."""

UTILISATION: Final = 0.80


_TITLES: Final = MappingProxyType(
    {
        "P1": "cash",
        "P2": "one side",
        "P3": "one open a bar",
        "P4": "no shorts",
        "P5": "flat at night",
        "P6": "utilisation",
    }
)


class Principle(StrEnum):
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"
    P5 = "P5"
    P6 = "P6"

    @property
    def topic(self) -> str:
        """What it is about, in a few words."""
        return _TITLES[self.value]

    @property
    def needs_operator(self) -> bool:
        """Whether a halt for it ends only by the operator's word."""
        return self in (Principle.P1, Principle.P2, Principle.P4)


@dataclass(frozen=True, slots=True)
class Breach:
    """One principle that does not hold now; key tells breaches of one principle apart."""

    principle: Principle
    key: str
    value: int
    limit: int
    critical: bool
    text: str


def breaches(standing: Standing, *, max_opens_per_bar: int = 1) -> tuple[Breach, ...]:
    """Return what P1 to P5 find wrong, in their order."""
    found: list[Breach] = []
    if standing.cash_u6 < -CASH_TOLERANCE_U6:
        found.append(_cash(standing))
    if len(standing.quantities) + len(standing.opening) > 1:
        found += _sides(standing)
    if standing.opens_sent > max_opens_per_bar or standing.opens_filled > max_opens_per_bar:
        found += _opens(standing, max_opens_per_bar)
    if min(standing.quantities.values(), default=0) < 0:
        found += _shorts(standing)
    if standing.is_over and (standing.quantities or standing.working):
        found += _overnight(standing)
    return tuple(found)


def _cash(standing: Standing) -> Breach:
    text = f"cash is {standing.cash_u6 / U6:,.2f} USD"
    return Breach(Principle.P1, "cash", standing.cash_u6, -CASH_TOLERANCE_U6, True, text)


def _sides(standing: Standing) -> list[Breach]:
    """An opening at work counts as held."""
    present = {symbol for symbol, qty in standing.quantities.items() if qty} | standing.opening
    if len(present) < 2:
        return []
    by_side = {side: sorted(symbol for symbol in present if side_of(symbol) is side) for side in Side}
    if all(by_side.values()):
        text = f"{' and '.join('+'.join(symbols) for symbols in by_side.values())} together"
        return [Breach(Principle.P2, "sides", len(present), 1, True, text)]
    return [
        Breach(Principle.P2, side.value, len(symbols), 1, False, f"{' and '.join(symbols)} together")
        for side, symbols in by_side.items()
        if len(symbols) > 1
    ]


def _opens(standing: Standing, most: int) -> list[Breach]:
    return [
        Breach(Principle.P3, key, count, most, True, f"{count} openings were {key} in one bar")
        for key, count in (("sent", standing.opens_sent), ("filled", standing.opens_filled))
        if count > most
    ]


def _shorts(standing: Standing) -> list[Breach]:
    return [
        Breach(
            Principle.P4, symbol, standing.quantities[symbol], 0, True, f"{standing.quantities[symbol]} {symbol} held"
        )
        for symbol in SYMBOLS
        if standing.quantities.get(symbol, 0) < 0
    ]


def _overnight(standing: Standing) -> list[Breach]:
    found = [
        Breach(Principle.P5, symbol, qty, 0, True, f"{qty} {symbol} held after the close")
        for symbol in SYMBOLS
        if (qty := standing.quantities.get(symbol, 0))
    ]
    if standing.working:
        text = f"{standing.working} family orders work after the close"
        found.append(Breach(Principle.P5, "orders", standing.working, 0, True, text))
    return found


class Utilisation:
    """P6: while a target is wanted and nothing refuses it, most of its value is held.  Judged at the close."""

    MINUTES: Final = 30
    """Fewer minutes than this are no evidence."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._minutes = 0

    def observe(self, held_usd: float, target_usd: float) -> None:
        if target_usd > 0:
            self._sum += held_usd / target_usd
            self._minutes += 1

    def close(self) -> Breach | None:
        """Return the breach of the session that ends, and start anew."""
        mean = self._sum / self._minutes if self._minutes >= self.MINUTES else None
        self._sum, self._minutes = 0.0, 0
        if mean is None or round(mean * U6) >= round(UTILISATION * U6):
            return None
        text = f"{mean:.0%} of the target value was held"
        return Breach(Principle.P6, "session", round(mean * U6), round(UTILISATION * U6), False, text)


class PrincipleMonitor:
    """Remembers which breaches are told already, and that the book is halted."""

    name = "principles"

    def __init__(self, settings: EtfRotationSettings) -> None:
        self._settings = settings
        self._open: set[tuple[Principle, str]] = set()
        self._sound: Standing | None = None
        self._halted_by: dict[Principle, date] = {}
        self._resume_given = False
        self._utilisation = Utilisation()
        self.is_halted = False
        """Whether a critical breach keeps the book closed."""

    @property
    def halted_by(self) -> tuple[Principle, ...]:
        return tuple(sorted(self._halted_by))

    def is_over(self, session: Session, now: datetime) -> bool:
        """Whether everything must be gone: from some time after the close to the next open."""
        if session.open <= now < session.close:
            return False
        return now < session.open or now >= session.close + timedelta(seconds=self._settings.verify_after_close_s)

    def check(self, standing: Standing, day: date) -> tuple[Note, ...]:
        """Judge now; returns the records of breaches that are new.  One that is gone may be told again."""
        if standing is self._sound:
            return ()  # it cannot change, and was found sound by the last look
        broken = breaches(standing, max_opens_per_bar=self._settings.max_opens_per_bar)
        if not broken:
            self._open, self._sound = set(), standing
            return ()
        self._sound = None
        found = {(item.principle, item.key): item for item in broken}
        fresh = [item for key, item in found.items() if key not in self._open]
        self._open = set(found)
        return self._tell(fresh, day)

    def use(self, held_usd: float, target_usd: float) -> None:
        """Take a minute in which a target was wanted, nothing refused it and no other bound than its value held."""
        self._utilisation.observe(held_usd, target_usd)

    def close_session(self, day: date) -> tuple[Note, ...]:
        """Judge the session's utilisation; returns its records."""
        found = self._utilisation.close()
        return () if found is None else self._tell([found], day)

    def _tell(self, found: list[Breach], day: date) -> tuple[Note, ...]:
        notes: list[Note] = []
        for item in found:
            if item.critical:
                self._halted_by[item.principle] = day
                self.is_halted = True
                if item.principle.needs_operator:
                    self._resume_given = False
            fields = {"principle": item.principle.value, "value": item.value, "limit": item.limit}
            severity = "CRITICAL" if item.critical else "WARNING"
            alert = {
                "severity": severity,
                "code": Reason.PRINCIPLE_BREACH.value,
                "text": f"{item.principle}: {item.text}.",
            }
            notes += [Note(Kind.BREACH, BOOK, fields), Note(Kind.ALERT, BOOK, alert)]
        return tuple(notes)

    def causes(self) -> tuple[Cause, ...]:
        """Return the halt of the book, and of P1 the account's own state."""
        if not self._halted_by:
            return ()
        found = [
            Cause(
                f"principle.{principle}", TradingState.HALTED, Reason.BOOK_HALTED, scope=Scope.BOOK, subject=BOOK,
                disposition=Disposition.FLATTEN,
            )
            for principle in self.halted_by
        ]  # fmt: skip
        if Principle.P1 in self._halted_by:
            found.append(Cause("principle.P1", TradingState.REDUCING, Reason.PRINCIPLE_BREACH))
        return tuple(found)

    def statistics(self, breaches: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Yield every principle with its state now and how often it was breached in this run."""
        broken = {principle for principle, _key in self._open}
        for principle in Principle:
            count = breaches.get(principle.value, 0)
            times = f"breached {count} time{'s' if count != 1 else ''}"
            text = f"BROKEN, {times}" if principle in broken else times if count else "ok"
            yield f"ETF {principle} {principle.topic}", text

    # --------------------------------------------------------------------------------------------------------- release

    def resume(self) -> None:
        """Take the operator's word that a halt which needs it may end with the next clean session."""
        self._resume_given = True

    def session_opened(self, day: date, *, is_clean: bool) -> bool:
        """Release the halt where a later session starts flat, reconciled and with no order in doubt; returns whether it
        did.
        """
        if not self._halted_by or not is_clean or any(since >= day for since in self._halted_by.values()):
            return False
        if any(principle.needs_operator for principle in self._halted_by) and not self._resume_given:
            return False
        self._halted_by, self._resume_given = {}, False
        self.is_halted = False
        return True

    # ----------------------------------------------------------------------------------------------------------- state

    def state(self) -> Mapping[str, str | int]:
        """Return what a restart needs."""
        return {
            "halted": ",".join(f"{principle}={day.isoformat()}" for principle, day in sorted(self._halted_by.items())),
            "resume": "true" if self._resume_given else "false",
        }

    def restore(self, stored: Mapping[str, object]) -> None:
        """Go on from a stored state.  Raises StateError for one that cannot be."""
        try:
            pairs = [part.split("=") for part in str(stored["halted"]).split(",") if part]
            self._halted_by = {Principle(name): date.fromisoformat(day) for name, day in pairs}
            self.is_halted = bool(self._halted_by)
            self._resume_given = {"true": True, "false": False}[str(stored["resume"])]
        except (KeyError, ValueError) as error:
            raise StateError(
                f"principles.halted = {stored.get('halted')!r}: expected `P1=date` parts and resume true or false. "
                f"Reconcile and start without a stored state."
            ) from error
