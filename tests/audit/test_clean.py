"""A clean run raises no alarm, whatever it survived; a loss that the breaker answers is clean as well."""

from __future__ import annotations

import random

import pytest

from audit.verdict import judge_lines
from tests.audit.chaining import chained
from tests.audit.damage import Ledger
from tests.audit.planting.process import crash
from tests.audit.proof import Part, alarms, prove
from tests.audit.worlds import clean, pool


@pytest.mark.parametrize("seed", range(4))
def test_a_run_without_faults_raises_not_even_a_warning(seed: int) -> None:
    assert alarms(chained(clean(seed, sessions=4, faults=False)), telling=frozenset()) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_clean_run_raises_no_alarm(seed: int) -> None:
    assert alarms(chained(clean(seed, sessions=4))) == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(50))
def test_ten_thousand_clean_days_raise_no_alarm(part: int) -> None:
    done = prove(Part("clean", 100_000 + 20 * part, 20))
    assert done.counts["days"] == 200
    assert done.wrong == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("loss_pct", "answer"), [(6, "REDUCING"), (6, "HALTED"), (10, "HALTED")])
def test_a_loss_that_changes_the_trading_state_at_once_is_no_violation(seed: int, loss_pct: int, answer: str) -> None:
    lines = crash(Ledger(pool(seed), random.Random(seed)), loss_pct=loss_pct, answer=answer)
    assert lines is not None
    judgement = judge_lines(lines)
    assert not [found for found in judgement.findings if found.rule == "AU-57"]
