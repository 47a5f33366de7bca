"""Every planted violation is caught by the rule that is named for it; a faulty auditor is noticed by the kit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from audit.replay import Replay
from audit.rules import ALL, Rule
from audit.schema import Record
from audit.verdict import judge_lines
from tests.audit.chaining import chained
from tests.audit.kit import KINDS, Planted, instances, misses
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
def test_an_auditor_that_does_not_judge_every_record_is_noticed(faulty: type[Replay]) -> None:
    wanted = [
        kind for kind in KINDS if kind.name in ("price +1 %", "negative fee", "sent before intent", "equity +3 %")
    ]
    assert sum(len(misses(kind, 4, replay_with=faulty)) for kind in wanted) > 0


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
