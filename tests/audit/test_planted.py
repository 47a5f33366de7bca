"""Every planted violation is caught by the rule that is named for it; a faulty auditor is noticed by the kit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from audit.exchange_days import Session
from audit.replay import Replay
from audit.rules import ALL, Rule
from audit.rules.run import LineRule
from audit.schema import KINDS as SCHEMA
from audit.schema import Record
from audit.verdict import judge_lines
from tests.audit.chaining import chained
from tests.audit.kit import KINDS, WORLDS, Planted, instances, is_caught, misses
from tests.audit.proof import HOW, Part, as_read, prove, small_ledger, survivors
from tests.audit.worlds import pool

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.rule} {kind.name}")


@kinds
def test_planted_violation_is_caught_by_its_rule(kind: Planted) -> None:
    assert misses(kind, 2) == []


@pytest.mark.long
@kinds
def test_a_thousand_planted_violations_are_caught_by_their_rule(kind: Planted) -> None:
    assert misses(kind, 1_000, first=1_000) == []


def test_every_rule_has_a_mutation_and_every_mutation_a_rule() -> None:
    assert {kind.rule for kind in KINDS} == {rule.id for rule in ALL}
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("world", sorted({kind.world for kind in KINDS}))
@pytest.mark.parametrize("seed", range(3))
def test_what_is_damaged_was_clean(seed: int, world: str) -> None:
    judgement = judge_lines(chained(pool(seed, world)))
    assert judgement.exit_code == 0, judgement.causes


# ------------------------------------------------------------------------------------------------- faulty auditors


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_an_auditor_without_a_rule_is_noticed(rule: type[Rule]) -> None:
    kind = next(kind for kind in KINDS if kind.rule == rule.id)
    assert misses(kind, 1, rules=[other for other in ALL if other is not rule]) != []


Sees = Callable[[int, str], bool]
"""Tells by number and kind of a record whether a faulty auditor looks at it."""


def half_blind(rule: type[Rule], sees: Sees) -> type[Rule]:
    """Return the rule, deaf to the records and days that it is not let see."""
    members: dict[str, object] = {}
    for name in (f"on_{kind.lower()}" for kind in SCHEMA):
        if hasattr(rule, name):
            members[name] = _let(getattr(rule, name), sees)
    if hasattr(rule, "on_day"):
        members["on_day"] = _let_day(rule.on_day, sees)
    return type(rule.__name__, (rule,), members)


def _let(handler: Callable[[Rule, Record], None], sees: Sees) -> Callable[[Rule, Record], None]:
    def on_record(self: Rule, record: Record) -> None:
        if sees(record["seq"], record["kind"]):
            handler(self, record)

    return on_record


def _let_day(handler: Callable[[Rule, Session], None], sees: Sees) -> Callable[[Rule, Session], None]:
    def on_day(self: Rule, session: Session) -> None:
        if sees(session.day.toordinal(), "a day"):
            handler(self, session)

    return on_day


def with_blind_chain(rule: type[Rule], sees: Sees) -> type[Replay]:
    """Return a replay whose chain reports for a rule only what it is let see."""

    class HalfBlind(Replay):
        def _chain_report(self, name: str, seq: int, us: int, text: str) -> None:
            if name != rule.id or sees(seq, "a line"):
                super()._chain_report(name, seq, us, text)

    return HalfBlind


def sampled(number: int, kind: str) -> bool:
    return number % 2 == 1


def final_only(number: int, kind: str) -> bool:
    return kind == "RUN_ENDED"


def is_noticed(rule: type[Rule], sees: Sees) -> bool:
    """Tell whether the kit notices a fault of one rule: it misses what was planted, or alarms where nothing is."""
    replay = with_blind_chain(rule, sees) if issubclass(rule, LineRule) else Replay
    rules = [half_blind(each, sees) if each is rule else each for each in ALL]
    for kind in (kind for kind in KINDS if kind.rule == rule.id):
        for seed, lines in instances(kind, 12):
            if not is_caught(kind, judge_lines(lines, rules=rules, replay_with=replay)):
                return True
            whole = chained(pool(seed % WORLDS, kind.world))
            if judge_lines(whole, rules=rules, replay_with=replay).exit_code > judge_lines(whole).exit_code:
                return True
    return False


AT_THE_END = {"AU-07", "AU-08", "AU-09"}
"""Questions about the end alone, which the state answers: no record of its own that such a rule could miss."""


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_a_rule_that_sees_every_second_record_only_is_noticed(rule: type[Rule]) -> None:
    assert is_noticed(rule, sampled) is (rule.id not in AT_THE_END)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_a_rule_that_sees_the_last_record_only_is_noticed(rule: type[Rule]) -> None:
    # RUN_ENDED is all that AU-06 reads.
    assert is_noticed(rule, final_only) is (rule.id not in AT_THE_END | {"AU-06"})


class Sampling(Replay):
    """Judges every second record only."""

    def _judge(self, record: Record, handlers: Sequence[Callable[[Record], None]]) -> None:
        if record["seq"] % 2:
            super()._judge(record, handlers)


class LooksAtTheEnd(Replay):
    """Judges the last record only."""

    def _judge(self, record: Record, handlers: Sequence[Callable[[Record], None]]) -> None:
        if record["kind"] == "RUN_ENDED":
            super()._judge(record, handlers)


@pytest.mark.parametrize("faulty", [Sampling, LooksAtTheEnd])
@pytest.mark.parametrize("name", ["price +1 %", "negative fee", "sent before intent", "equity +3 %", "short by 1"])
def test_an_auditor_that_does_not_judge_every_record_is_noticed(faulty: type[Replay], name: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    alarms = judge_lines(chained(pool(0, kind.world)), replay_with=faulty).exit_code
    assert alarms or misses(kind, 8, replay_with=faulty) != []


class HashesNothing(Replay):
    """Takes every chain for whole."""

    def _chain_report(self, rule: str, seq: int, us: int, text: str) -> None:
        if rule != "AU-02":
            super()._chain_report(rule, seq, us, text)


def test_an_auditor_that_trusts_the_chain_is_noticed() -> None:
    kind = next(kind for kind in KINDS if kind.name == "byte flip")
    assert misses(kind, 2, replay_with=HashesNothing) != []


# ------------------------------------------------------------------------------------------------------------ tampering


def test_no_tampered_ledger_passes_for_clean() -> None:
    content = small_ledger(5)
    assert judge_lines(as_read(content)).exit_code == 0
    done, passed = survivors(content, 60, seed=1)
    assert set(done) == set(HOW)
    assert passed == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(40))
def test_no_tampered_ledger_of_a_hundred_thousand_passes_for_clean(part: int) -> None:
    assert prove(Part("tampers", part, 2_500)).wrong == []


def test_the_same_seed_plants_the_same_damage() -> None:
    kind = KINDS[0]
    assert list(instances(kind, 2)) == list(instances(kind, 2))
