"""The auditor's long proof, with its figures: `python -m tests.audit.proof [PART ...] --processes 2`.

clean      10,000 simulated days of all books, half days, splits and survived faults: no alarm
products   twenty instances of every kind in each of the product's own ledgers
mutations  1,000 instances of every kind of planted violation: each caught by the rule that is named for it
tampers    100,000 random flips, deletions, reorders and truncations: none ends CLEAN

The long tests call the same functions part by part; this prints how far it is and what it counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from audit.chain import Chain
from audit.exchange_days import session_before, session_on
from audit.findings import Severity
from audit.times import DAY
from audit.verdict import judge_lines
from tests.audit.chaining import Record, chained
from tests.audit.damage import Ledger
from tests.audit.kit import KINDS, Planted, is_caught, misses
from tests.audit.products import MADE, product_records
from tests.audit.worlds import HALF_DAYS, clean

WHAT = ["clean", "products", "mutations", "tampers"]
SESSIONS = 10
"""Sessions of one clean run."""
TELLING = frozenset({"AU-32", "AU-46"})
"""Rules that rightly warn of what a sound run survived: a break that was recorded, openings that did not fill."""


def alarms(lines: list[bytes], telling: frozenset[str] = TELLING) -> list[str]:
    """Return what an auditor complains about, warnings of the telling rules apart."""
    judgement = judge_lines(lines)
    found = [cause.text for cause in judgement.causes]
    return found + [
        item.text for item in judgement.findings if item.severity is Severity.WARNING and item.rule not in telling
    ]


# ------------------------------------------------------------------------------------------------------------ tampering

HOW = ("flip", "deletion", "reorder", "truncation")


def tampered(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a ledger after one random flip, deletion, reorder or truncation, and which it was."""
    how = rng.choice(HOW)
    at = rng.randrange(len(content))
    if how == "flip":
        return how, content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
    if how == "deletion":
        return how, content[:at] + content[min(len(content), at + rng.randrange(1, 600)) :]
    if how == "truncation":
        return how, content[:at]
    lines = content.splitlines(keepends=True)
    one, two = rng.sample(range(len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]
    return how, b"".join(lines)


def as_read(content: bytes) -> list[bytes]:
    """Cut bytes into lines as a file is read: at line feeds alone."""
    parts = content.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def survivors(content: bytes, tries: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how many copies were tampered with in each way, and those that would pass for clean."""
    rng = random.Random(seed)
    done: Counter[str] = Counter()
    passed = []
    while done.total() < tries:
        how, copy = tampered(content, rng)
        if copy == content:
            continue
        done[how] += 1
        lines = as_read(copy)
        broken = is_broken(lines)
        if (not broken or done.total() % 20 == 0) and judge_lines(lines).exit_code == 0:
            passed.append(f"{how} {done.total()} of seed {seed}")
    return done, passed


def is_broken(lines: list[bytes]) -> bool:
    """Tell whether the chain complains: that is a violation which nothing takes back, so the whole audit, which every
    twentieth of them gets all the same, cannot end CLEAN.
    """
    complaints: list[str] = []
    chain = Chain(lambda rule, seq, us, text: complaints.append(rule))
    for _ in chain.walk(lines):
        if complaints:
            return True
    return bool(complaints)


@lru_cache(maxsize=4)
def small_ledger(seed: int) -> bytes:
    """Return a clean ledger of a half day: what a damage does depends on the line that it hits, not on their number."""
    options = {"sessions": 1, "first": HALF_DAYS[seed], "books": ("etf_rotation",), "stride": 4, "mode": "BACKTEST"}
    return b"".join(chained(clean(seed, **options)))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ the product's ledgers

BY_NATURE: dict[str, set[str]] = {
    "etf split orphan": {"AU-45"},
    "friday refused": {"AU-08"},
    "paper died before any fill": {"AU-08"},
    "paper settled in the night": {"AU-54"},
}
"""What is not clean by what happened in it: shares overnight, no trade, a condor that nobody would buy back."""


def missed_in(name: str, kind: Planted, seeds: Sequence[int]) -> list[int] | None:
    """Plant a violation into a ledger of the product; returns the seeds that were not seen, None where it fits none."""
    if kind.rule in BY_NATURE.get(name, set()):
        return None
    missed, fitted = [], 0
    for seed in seeds:
        lines = kind.damage(Ledger(product_records(name), random.Random(f"{kind.name} {seed}")))
        if lines is not None:
            fitted += 1
            missed += [] if is_caught(kind, judge_lines(lines)) else [seed]
    return missed if fitted else None


# ------------------------------------------------------------------------------------------------------------ the parts


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the proof, small enough that its end is news; first is a seed."""

    what: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Done:
    """What one part counted, by name, and what it found that must not be."""

    part: Part
    counts: dict[str, int]
    wrong: list[str]


def prove(part: Part) -> Done:
    if part.what == "clean":
        return _clean(part)
    if part.what == "tampers":
        done, passed = survivors(small_ledger((5, 7, 8, 9)[part.first % 4]), part.count, part.first)
        return Done(part, dict(done), passed)
    if part.what.startswith("product "):
        return _product(part)
    kind = next(kind for kind in KINDS if kind.name == part.what)
    missed = misses(kind, part.count, first=part.first)
    return Done(part, {f"{kind.rule} {kind.name}": part.count}, [f"{kind.name}: seed {seed}" for seed in missed])


def _clean(part: Part) -> Done:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in range(part.first, part.first + part.count):
        records = clean(seed, sessions=SESSIONS, first=_first_day(seed), stride=4)
        wrong += [f"seed {seed}: {text}" for text in alarms(chained(records))]
        for record in records:
            kind = record["kind"]
            counts["days"] += kind == "SESSION_CLOSED"
            counts["days after a change of the clocks"] += _changes_clocks(record)
            counts["half days"] += kind == "SESSION_CLOSED" and record["half_day"]
            counts["splits"] += kind == "SPLIT"
            counts["restarts"] += kind == "RESTART"
            counts["rejections"] += kind == "ORDER_OUTCOME" and record["outcome"] == "REJECTED"
            counts["orders in doubt"] += kind == "ORDER_OUTCOME" and record["outcome"] == "UNRESOLVED"
            counts["repairs"] += kind == "REPAIR"
            counts["fills"] += kind == "FILL"
        counts["records"] += len(records)
    return Done(part, dict(counts), wrong)


def _product(part: Part) -> Done:
    name = part.what.removeprefix("product ")
    seeds = range(part.first, part.first + part.count)
    found = {kind: missed for kind in KINDS if (missed := missed_in(name, kind, seeds)) is not None}
    wrong = [f"{name}, {kind.name}: seed {seed}" for kind, missed in found.items() for seed in missed]
    return Done(part, {f"planted in: {name} (instances of {len(found)} kinds)": len(found) * part.count}, wrong)


def _changes_clocks(record: Record) -> bool:
    """Tell whether a session is the first after the clocks were changed."""
    if record["kind"] != "SESSION_CLOSED":
        return False
    session = session_on(date.fromisoformat(record["date"]))
    assert session is not None
    before = session_before(session.day)
    return session.open_us % DAY != before.open_us % DAY


def _first_day(seed: int) -> date | None:
    """Let every eighth run meet a half day, every eighth a change of the clocks; the others begin anywhere."""
    rng = random.Random(seed)
    back = timedelta(days=rng.randrange(10))
    if seed % 8 == 0:
        return rng.choice(HALF_DAYS) - back
    if seed % 8 == 1:
        year = rng.randrange(2021, 2026)
        spring, autumn = date(year, 3, 8), date(year, 11, 1)
        changes = [day + timedelta(days=(6 - day.weekday()) % 7) for day in (spring, autumn)]
        return rng.choice(changes) - back
    return None


def parts(what: Sequence[str], *, days: int, instances: int, tampers: int, rules: Sequence[str] = ()) -> Iterator[Part]:
    """Yield the whole proof; its seeds are those of no quick test."""
    if "clean" in what:
        runs = -(-days // SESSIONS)
        yield from (Part("clean", 100_000 + first, min(20, runs - first)) for first in range(0, runs, 20))
    if "products" in what:
        yield from (Part(f"product {name}", 0, -(-instances // 50)) for name in MADE)
    if "mutations" in what:
        wanted = [kind for kind in KINDS if not rules or kind.rule in rules]
        yield from (Part(kind.name, 1_000, instances) for kind in wanted)
    if "tampers" in what:
        sizes = [min(2_500, tampers - first) for first in range(0, tampers, 2_500)]
        yield from (Part("tampers", number, size) for number, size in enumerate(sizes))


def run(work: Iterable[Part], processes: int, say: Callable[[str], None]) -> tuple[Counter[str], list[str]]:
    """Do all parts and say how far it is; returns the counts and what must not be."""
    began = time.monotonic()
    todo = list(work)
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for number, done in enumerate(pool.imap_unordered(prove, todo), start=1):
            counts.update(done.counts)
            wrong += done.wrong
            passed = time.monotonic() - began
            left = passed / number * (len(todo) - number)
            told = ", ".join(f"{count:,} {name}" for name, count in list(done.counts.items())[:2])
            say(f"{number}/{len(todo)}  {passed:,.0f} s, about {left:,.0f} s left  {told}: {len(done.wrong)} wrong")
            for text in done.wrong:
                say(f"  WRONG {text}")
    return counts, wrong


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Prove the auditor at length.")
    parser.add_argument("what", nargs="*", default=WHAT, help=", ".join(WHAT))
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--days", type=int, default=10_000)
    parser.add_argument("--instances", type=int, default=1_000)
    parser.add_argument("--rule", action="append", default=[], help="mutations of this rule only; may be repeated")
    parser.add_argument("--tampers", type=int, default=100_000)
    given = parser.parse_args(arguments)
    unknown = set(given.what) - set(WHAT)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(WHAT)}")
    work = parts(given.what, days=given.days, instances=given.instances, tampers=given.tampers, rules=given.rule)
    counts, wrong = run(work, given.processes, lambda text: print(text, flush=True))
    print()
    for name, count in sorted(counts.items()):
        print(f"{name:<44} {count:>12,}")
    print(f"{'wrong':<44} {len(wrong):>12,}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
