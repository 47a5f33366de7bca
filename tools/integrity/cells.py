"""The conditions of the integrity test: signal x fault, with policy, account, season and seed rotating beneath them.

The whole grid of etf-rotation.md 11 has too many cells to run every time.  Every signal meets every fault in each
round; the eight combinations of policy, account and season move on by one from round to round, so that eight rounds
are the whole grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from tools.integrity.tape import CLOCK
from tools.integrity.venue import Fault

BLOCK_MINUTES: Final = 480


class Policy(StrEnum):
    DEFAULT = "default"
    STRESS = "stress"


class Account(StrEnum):
    MARGIN = "margin"
    CASH = "cash"


class Season(StrEnum):
    """Weeks with a change of clocks in them; the autumn ones also have Thanksgiving and its half day."""

    AUTUMN = "autumn"
    SPRING = "spring"

    @property
    def last(self) -> date:
        return date(2025, 11, 28) if self is Season.AUTUMN else date(2025, 3, 28)


SYNTHETIC: Final = "etf_rotation.synthetic."
SIGNALS: Final[Mapping[str, Mapping[str, str]]] = {
    "sigor": {},
    "constant": {},
    "alternating": {},
    "hover": {},
    "random": {},
    "nan": {SYNTHETIC + "nan_fraction": "0.50"},
    **{
        f"look_ahead {accuracy:.2f}": {SYNTHETIC + "accuracy_fraction": f"{accuracy}"}
        for accuracy in (0.4, 0.5, 0.6, 0.75, 0.9, 1.0)
    },
}
"""By name: what is set besides the source.  `nan` says NaN on half of its bars."""

_POLICY: Final[Mapping[Policy, Mapping[str, str]]] = {
    Policy.DEFAULT: {},
    Policy.STRESS: {
        "etf_rotation.confirm_bars": "1", "etf_rotation.min_hold_bars": "0", "etf_rotation.cooldown_bars": "0",
    },
}  # fmt: skip

PROFILE: Final[dict[str, str]] = {"etf_rotation.sleeve_fraction": "0.75", "etf_rotation.max_exposure_fraction": "2.25"}
"""The integrity profile: as much as the ceilings allow, where cash and margin are tight."""

HORIZON_BARS: Final = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: 20 blocks of session minutes unless said otherwise, the last ones of its season or before a day."""

    signal: str
    fault: Fault = Fault.NONE
    policy: Policy = Policy.DEFAULT
    account: Account = Account.MARGIN
    season: Season = Season.AUTUMN
    seed: int = 1
    blocks: int = 20
    last: date | None = None

    @property
    def name(self) -> str:
        parts = (self.signal.replace(" ", "_"), self.fault, self.policy, self.account, self.season, str(self.seed))
        return "-".join(parts)

    @property
    def source(self) -> str:
        return self.signal.split()[0]

    def days(self) -> tuple[date, ...]:
        """Return the sessions: the last ones of the season that hold the blocks."""
        days: list[date] = []
        day, minutes = self.last or self.season.last, 0
        while minutes < self.blocks * BLOCK_MINUTES:
            session = CLOCK.session(day)
            assert session is not None, "a season is walked from session to session"
            days.append(day)
            minutes += int((session.close - session.open).total_seconds() // 60)
            day = session.previous
        return tuple(reversed(days))

    def settings(self, table: str) -> dict[str, str]:
        """Return the parameters of the run; table is what a signal that looks ahead knows."""
        days = self.days()
        chosen = {
            "friday_0dte.enabled": "false",
            "etf_rotation.enabled": "true",
            "etf_rotation.signal.source": self.source,
            SYNTHETIC + "seed": str(self.seed),
            "account.type": self.account.name,
            "run.start": days[0].isoformat(),
            "run.end": days[-1].isoformat(),
            "run.seed": str(self.seed),
            **PROFILE,
            **_POLICY[self.policy],
            **SIGNALS[self.signal],
        }
        if self.source == "look_ahead":
            chosen[SYNTHETIC + "table"] = table
        return chosen


def grid(*, seed: int, rounds: int = 1, blocks: int = 20) -> Iterator[Cell]:
    """Yield the cells of so many rounds; round r has seed + r."""
    combinations = [(policy, account, season) for policy in Policy for account in Account for season in Season]
    for turn in range(rounds):
        for row, signal in enumerate(SIGNALS):
            # Signals that look ahead are one kind: they meet the same conditions, so that their returns compare.
            place = min(row, list(SIGNALS).index("look_ahead 0.40"))
            for column, fault in enumerate(Fault):
                policy, account, season = combinations[(place + column + turn) % len(combinations)]
                yield Cell(signal, fault, policy, account, season, seed + turn, blocks)
