"""What market to make, and the record of what was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from tools.errors import BulkheadUsageError
from tools.market import calendar
from tools.market.scenarios import SCENARIOS

# Part of every cache key.  Raised whenever the same spec gives other bytes.
GENERATOR_VERSION = 4
MANIFEST_NAME = "bulkhead-market.json"

# The daily process starts in 2008 and needs two years to forget how; the calendar ends with 2030.
FIRST_START = date(2010, 1, 4)
LAST_END = date(2030, 6, 28)
MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """One market: dates, seed and scenario; whatever is left out comes from the scenario.

    start     first session; a closed day moves to the next open one
    sessions  number of sessions; give this or `end`
    end       last day that may be a session
    seed      0 or more; same seed and scenario, same date: same data, however long the market is
    scenario  a name from `SCENARIOS`

    Raises BulkheadUsageError (one sentence) for a value that makes no market.
    """

    start: date | None = None
    sessions: int | None = None
    seed: int = 7
    scenario: str = "default"
    end: date | None = None

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            names = ", ".join(sorted(SCENARIOS))
            raise BulkheadUsageError(f"scenario = {self.scenario!r}: expected one of {names}. Choose one of these.")
        if not 0 <= self.seed <= MAX_SEED:
            raise BulkheadUsageError(f"seed = {self.seed}: expected 0 to {MAX_SEED}. Choose a seed in that range.")
        if self.sessions is not None and self.end is not None:
            raise BulkheadUsageError(
                f"sessions = {self.sessions} and end = {self.end}: expected one of the two. Leave one of them out."
            )
        if self.sessions is not None and self.sessions < 1:
            raise BulkheadUsageError(f"sessions = {self.sessions}: expected 1 or more. Ask for at least one session.")
        if self.start is not None and not FIRST_START <= self.start <= LAST_END:
            raise BulkheadUsageError(
                f"start = {self.start}: expected {FIRST_START} to {LAST_END}. Choose a start the calendar covers."
            )
        if self.end is not None and self.end > LAST_END:
            raise BulkheadUsageError(f"end = {self.end}: expected {LAST_END} or earlier. Choose an earlier end.")
        self.dates()

    def dates(self) -> tuple[date, ...]:
        """Return the sessions of the market, oldest first."""
        scenario = SCENARIOS[self.scenario]
        first = calendar.at_or_after(self.start or scenario.start)
        if self.end is not None:
            days = calendar.between(first, self.end)
            if not days:
                raise BulkheadUsageError(
                    f"end = {self.end}: expected a session on or after the start {first}. Choose a later end."
                )
        else:
            asked = self.sessions or max(scenario.sessions, scenario.minimum_sessions(first))
            days = calendar.count_from(first, asked)
        if days[-1] > LAST_END:
            raise BulkheadUsageError(
                f"sessions = {len(days)} from {first}: expected an end by {LAST_END}, this one ends {days[-1]}. "
                "Ask for fewer sessions or an earlier start."
            )
        needed = scenario.minimum_sessions(first)
        if len(days) < needed:
            raise BulkheadUsageError(
                f"sessions = {len(days)}: scenario {self.scenario} expected {needed} or more to reach its event. "
                f"Ask for {needed} sessions or leave the number out."
            )
        return days


@dataclass(frozen=True, slots=True)
class MarketManifest:
    """What `generate` wrote; also stands in the folder as bulkhead-market.json, written last."""

    key: str
    generator_version: int
    scenario: str
    seed: int
    first: date
    last: date
    sessions: int
    files: int
    bytes: int
    option_rows: int

    def save(self, folder: Path) -> None:
        """Write the manifest: a folder that has it is whole."""
        text = json.dumps(asdict(self), default=date.isoformat, indent=2)
        (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> MarketManifest | None:
        """Return the manifest of a generated folder, None where there is none or it is not ours."""
        try:
            raw = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
            raw["first"], raw["last"] = date.fromisoformat(raw["first"]), date.fromisoformat(raw["last"])
            return cls(**raw)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def cache_key(spec: MarketSpec) -> str:
    """Return a name for the market: equal for specs that give the same bytes, also when said in other words."""
    days = spec.dates()
    text = f"{GENERATOR_VERSION}|{spec.scenario}|{spec.seed}|{days[0]}|{days[-1]}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{spec.scenario}-{days[0]:%Y%m%d}-{len(days)}-s{spec.seed}-{digest}"
