"""Compare two run folders record by record: the same algorithm on two engines must have done the same.

`python -m tools.compare_runs RUN RUN2` prints one line per kind of record, every unjustified difference, and the
justified ones by name with their reasons.  Exit code 0 when nothing else differs, 1 otherwise, 2 for wrong usage.

What may differ, and by how much, is said here by name; there is no general tolerance.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from tools.errors import EXIT_FAILED, EXIT_OK, ToolError
from tools.ledger_reader import U6, Ledger, Record, read_ledger
from tools.run_folder import read_summary

CENT_U6 = 10_000
DOLLAR_U6 = 1_000_000


@dataclass(frozen=True, slots=True)
class Justified:
    """A difference that has to be there; fields are names as in `kind.field`, or of every kind without one."""

    name: str
    fields: frozenset[str]
    reason: str


JUSTIFIED = (
    Justified(
        "engine",
        frozenset({"RUN_STARTED.engine", "RUN_STARTED.engine_version"}),
        "the header names the engine that ran",
    ),
    Justified(
        "chain",
        frozenset({"hash", "prev_hash", "ANCHOR.head_hash"}),
        "every record's hash covers all before it, and the header names the engine",
    ),
)
# The largest deviation that is still the same result, in micro-dollars.
_TOLERANCES: Mapping[str, int] = {
    "FILL.price_u6": CENT_U6,
    "FILL.cash_after_u6": DOLLAR_U6,
    "MARK.equity_u6": DOLLAR_U6,
    "MARK.engine_equity_u6": DOLLAR_U6,
    "BROKER_STATEMENT.cash_u6": DOLLAR_U6,
    "BROKER_STATEMENT.equity_u6": DOLLAR_U6,
    "SESSION_CLOSED.cash_u6": DOLLAR_U6,
    "SESSION_CLOSED.equity_u6": DOLLAR_U6,
    "TRADE_CLOSED.pnl_u6": DOLLAR_U6,
    "RUN_ENDED.cash_u6": DOLLAR_U6,
    "RUN_ENDED.equity_u6": DOLLAR_U6,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not the same, or a record that only one run has (`field` empty)."""

    kind: str
    time: str
    field: str
    left: object
    right: object

    def __str__(self) -> str:
        if not self.field:
            side, record = ("first", self.left) if self.right is None else ("second", self.right)
            return f"{self.time} {self.kind}: only in the {side} run: {record}"
        left, right = _without_the_same(self.left, self.right)
        return f"{self.time} {self.kind}.{self.field}: {left} and {right}"


def _without_the_same(left: object, right: object) -> tuple[object, object]:
    """Return two values without what both have alike, where they are tables or lists: nobody reads 200 settings."""
    if isinstance(left, dict) and isinstance(right, dict):
        other = {name for name in left.keys() | right.keys() if left.get(name) != right.get(name)}
        ones, others = ({name: table[name] for name in sorted(other) if name in table} for table in (left, right))
        return ones, others
    if isinstance(left, list) and isinstance(right, list):
        return [item for item in left if item not in right], [item for item in right if item not in left]
    return left, right


@dataclass(slots=True)
class Comparison:
    """What two runs have in common."""

    records: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    justified: Counter[str] = field(default_factory=Counter)
    deviations: dict[str, int] = field(default_factory=dict)
    """The largest deviation below its tolerance, of the fields that have one."""

    @property
    def same(self) -> bool:
        return not self.differences


def compare_folders(left: Path, right: Path) -> Comparison:
    """Compare the ledgers of two run folders, and what their engines counted."""
    comparison = compare_ledgers(read_ledger(left), read_ledger(right))
    counted = [read_summary(run)["data_points"] for run in (left, right)]
    if counted[0] != counted[1]:
        comparison.differences.append(Difference("summary", "", "data_points", *counted))
    return comparison


def compare_ledgers(left: Ledger, right: Ledger) -> Comparison:
    comparison = Comparison()
    for one, other in _pairs(left.records, right.records):
        record = one or other
        assert record is not None
        kind = str(record["kind"])
        comparison.records[kind] += 1
        if one is None or other is None:
            comparison.differences.append(Difference(kind, str(record["time"]), "", one, other))
        else:
            _compare(kind, one, other, comparison)
    comparison.differences += _order_differences(left.records, right.records)
    return comparison


def _order_differences(left: Iterable[Record], right: Iterable[Record]) -> Iterator[Difference]:
    """Yield the steps that both runs have with the same records in another order."""
    ones, others = _kinds_by_time(left), _kinds_by_time(right)
    for time in sorted(ones.keys() & others.keys()):
        if ones[time] != others[time] and sorted(ones[time]) == sorted(others[time]):
            yield Difference("step", time, "order", ", ".join(ones[time]), ", ".join(others[time]))


def _kinds_by_time(records: Iterable[Record]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        found.setdefault(str(record["time"]), []).append(str(record["kind"]))
    return found


def _pairs(left: Iterable[Record], right: Iterable[Record]) -> Iterator[tuple[Record | None, Record | None]]:
    """Pair the n-th record of a kind at a time with the n-th of the other run; a missing one shifts no other."""
    others: dict[tuple[str, str], list[Record]] = {}
    for record in right:
        others.setdefault((str(record["time"]), str(record["kind"])), []).append(record)
    ones: dict[tuple[str, str], list[Record]] = {}
    for record in left:
        ones.setdefault((str(record["time"]), str(record["kind"])), []).append(record)
    for key in sorted(ones.keys() | others.keys()):
        yield from zip_longest(ones.get(key, ()), others.get(key, ()))


def _compare(kind: str, left: Record, right: Record, comparison: Comparison) -> None:
    for name in sorted(left.keys() | right.keys()):
        one, other = left.get(name), right.get(name)
        if one == other or name == "seq":  # the order within a step is compared as a whole
            continue
        path = f"{kind}.{name}"
        reason = next((item for item in JUSTIFIED if path in item.fields or name in item.fields), None)
        tolerance = _TOLERANCES.get(path)
        if reason is not None:
            comparison.justified[reason.name] += 1
        elif (
            tolerance is not None and isinstance(one, int) and isinstance(other, int) and abs(one - other) <= tolerance
        ):
            comparison.deviations[path] = max(comparison.deviations.get(path, 0), abs(one - other))
        else:
            comparison.differences.append(Difference(kind, str(left["time"]), name, one, other))


def as_text(comparison: Comparison, limit: int = 40) -> str:
    """Return the findings for a reader; at most `limit` differences."""
    lines = [f"{count:>7,} {kind}" for kind, count in sorted(comparison.records.items())]
    for path, deviation in sorted(comparison.deviations.items()):
        lines.append(f"within tolerance: {path} differs by at most {deviation / U6:.6f}")
    lines += [
        f"justified: {item.name}, {comparison.justified[item.name]:,} fields: {item.reason}"
        for item in JUSTIFIED
        if comparison.justified[item.name]
    ]
    lines += [f"different: {difference}" for difference in comparison.differences[:limit]]
    if len(comparison.differences) > limit:
        lines.append(f"different: and {len(comparison.differences) - limit:,} more")
    lines.append("The runs are the same." if comparison.same else f"{len(comparison.differences):,} differences.")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: python -m tools.compare_runs RUN RUN2", file=sys.stderr)
        return 2
    try:
        comparison = compare_folders(Path(arguments[0]), Path(arguments[1]))
    except ToolError as error:
        print(f"compare_runs: {error}", file=sys.stderr)
        return error.exit_code
    print(as_text(comparison))
    return EXIT_OK if comparison.same else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
