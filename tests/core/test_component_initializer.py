"""The component table: dependency order, retries, degradation, and what is permitted while something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import combinations

import pytest

from core.component_initializer import Blocks, ComponentInitializer, Row, Status
from core.errors import PermanentError, TransientError
from core.reasons import Reason
from core.vocabulary import Disposition, TradingState

OPEN = datetime(2025, 9, 5, 9, 30)


class Flaky:
    """A constructor that fails as told, so many times."""

    def __init__(self, error: Exception | None = None, times: int = 10**9) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self, needs: Mapping[str, object]) -> object:
        self.calls += 1
        if self.error is not None and self.calls <= self.times:
            raise self.error
        return f"built from {sorted(needs)}"


def table(**builders: Flaky) -> list[Row]:
    """The shape of the real table in small: ledger -> gateway, vix, margin -> sizer, one strategy."""

    def build(name: str) -> Flaky:
        return builders.get(name, Flaky())

    return [
        Row("sizer", 3, ("vix", "margin"), build("sizer")),
        Row("friday", 4, ("sizer",), build("friday"), Blocks.ITSELF, critical=False),
        Row("ledger", 0, (), build("ledger"), state=TradingState.REDUCING),
        Row("vix", 2, ("ledger",), build("vix")),
        Row("gateway", 1, ("ledger",), build("gateway"), state=TradingState.HALTED, disposition=Disposition.FREEZE),
        Row("margin", 2, ("ledger",), build("margin"), Blocks.OPTIONS),
        Row("charts", 5, (), build("charts"), Blocks.NOTHING, critical=False),
    ]


def built(**builders: Flaky) -> ComponentInitializer:
    initializer = ComponentInitializer(table(**builders))
    initializer.build(OPEN)
    return initializer


def test_components_are_built_in_dependency_order_whatever_the_order_of_the_table() -> None:
    initializer = built()
    assert [line.status for line in initializer.report()] == [Status.READY] * 7
    assert initializer.part("sizer") == "built from ['margin', 'vix']"
    assert initializer.entry_refusal("friday") is None
    assert [*initializer.causes] == []


def test_fp01_a_constructor_that_raises_is_named_and_all_others_are_built() -> None:
    initializer = built(vix=Flaky(ImportError("no module named vixlib")))
    by_name = {line.name: line for line in initializer.report()}
    assert by_name["vix"].status is Status.FAILED
    assert "no module named vixlib" in by_name["vix"].sentence
    assert by_name["margin"].status is Status.READY
    assert by_name["sizer"].status is Status.WAITING
    assert "waits for vix" in by_name["sizer"].sentence


def test_fp01_a_cycle_or_an_unknown_need_stops_the_start() -> None:
    with pytest.raises(PermanentError, match="form a cycle"):
        ComponentInitializer([Row("a", 0, ("b",), Flaky()), Row("b", 0, ("a",), Flaky())])
    with pytest.raises(PermanentError, match="a needs nobody"):
        ComponentInitializer([Row("a", 0, ("nobody",), Flaky())])


def test_fp02_every_missing_need_is_listed_at_once() -> None:
    with pytest.raises(PermanentError, match="a needs x; b needs y"):
        ComponentInitializer([Row("a", 0, ("x",), Flaky()), Row("b", 0, ("y",), Flaky())])


@pytest.mark.parametrize("name", ["margin", "vix", "sizer"])
def test_fp03_a_failed_component_refuses_entries_and_its_return_needs_no_restart(name: str) -> None:
    flaky = Flaky(TransientError("no data yet"), times=1)
    initializer = built(**{name: flaky})
    refusal = initializer.entry_refusal("friday")
    assert refusal is not None
    assert refusal.reason is Reason.COMPONENT_NOT_READY
    assert initializer.retry(OPEN + timedelta(seconds=59)) == ()
    changed = initializer.retry(OPEN + timedelta(minutes=1))
    assert name in changed
    assert initializer.entry_refusal("friday") is None


def test_transient_errors_are_retried_after_1_2_4_8_15_minutes_and_then_every_15() -> None:
    flaky = Flaky(TransientError("no VIX yet"))
    initializer = built(vix=flaky)
    tried_at = []
    for minute in range(1, 65):
        before = flaky.calls
        initializer.retry(OPEN + timedelta(minutes=minute))
        if flaky.calls > before:
            tried_at.append(minute)
    assert tried_at == [1, 3, 7, 15, 30, 45, 60]


def test_ci1_vix_absent_and_there_three_minutes_later_is_ready_without_a_restart() -> None:
    initializer = built(vix=Flaky(TransientError("VIX has no value yet"), times=2))
    for minute in range(1, 4):
        initializer.retry(OPEN + timedelta(minutes=minute))
    assert initializer.status("vix") is Status.READY
    assert initializer.status("sizer") is Status.READY
    assert initializer.entry_refusal("friday") is None


def test_a_permanent_error_is_tried_once_more_at_the_next_open_and_not_before() -> None:
    flaky = Flaky(PermanentError("the brokerage has no combos"))
    initializer = built(gateway=flaky)
    for minute in range(600):
        initializer.retry(OPEN + timedelta(minutes=minute))
    assert flaky.calls == 1
    initializer.session_opened(OPEN + timedelta(days=1))
    initializer.session_opened(OPEN + timedelta(days=2))
    assert flaky.calls == 2


def test_a_critical_component_reduces_or_freezes_the_account() -> None:
    causes = built(ledger=Flaky(PermanentError("disk full"))).causes
    assert {(cause.subject, cause.state, cause.disposition) for cause in causes} == {
        ("ledger", TradingState.REDUCING, None),
        ("gateway", TradingState.HALTED, Disposition.FREEZE),
    }


def test_a_missing_view_stops_nothing_and_a_missing_strategy_only_itself() -> None:
    initializer = built(charts=Flaky(ValueError("no chart")), friday=Flaky(ValueError("bad setting")))
    assert initializer.entry_refusal("another") is None
    assert initializer.entry_refusal("friday") is not None
    assert [*initializer.causes] == []


def test_three_faults_in_thirty_minutes_fail_a_component_until_the_next_open() -> None:
    initializer = built()
    assert initializer.fault("vix", "ZeroDivisionError", OPEN) is Status.READY
    assert initializer.fault("vix", "ZeroDivisionError", OPEN + timedelta(minutes=31)) is Status.READY
    assert initializer.fault("vix", "ZeroDivisionError", OPEN + timedelta(minutes=40)) is Status.READY
    assert initializer.fault("vix", "ZeroDivisionError", OPEN + timedelta(minutes=60)) is Status.FAILED
    assert initializer.entry_refusal("friday") is not None
    initializer.session_opened(OPEN + timedelta(days=1))
    assert initializer.entry_refusal("friday") is None


def test_causes_follow_every_change_of_a_status() -> None:
    initializer = built(ledger=Flaky(TransientError("no store yet"), times=1))
    assert {cause.subject for cause in initializer.causes} == {"ledger", "gateway"}
    initializer.retry(OPEN + timedelta(minutes=1))
    assert [*initializer.causes] == []
    assert initializer.degrade("gateway", "polls the broker")
    assert [*initializer.causes] == []
    for _ in range(3):
        initializer.fault("gateway", "ZeroDivisionError", OPEN + timedelta(minutes=2))
    assert [cause.subject for cause in initializer.causes] == ["gateway"]
    assert initializer.failed == {"gateway"}
    initializer.session_opened(OPEN + timedelta(days=1))
    assert [*initializer.causes] == []
    assert initializer.failed == frozenset()


def test_ci_p1_any_failed_subset_permits_no_more_than_each_of_its_members() -> None:
    names = ["ledger", "gateway", "vix", "margin", "sizer", "charts", "friday"]
    alone = {name: built(**{name: Flaky(PermanentError("off"))}) for name in names}
    for size in range(2, len(names) + 1):
        for subset in combinations(names, size):
            together = built(**{name: Flaky(PermanentError("off")) for name in subset})
            for strategy in ("friday", "another"):
                if any(alone[name].entry_refusal(strategy) is not None for name in subset):
                    assert together.entry_refusal(strategy) is not None, subset
            worst = max((cause.state for name in subset for cause in alone[name].causes), default=TradingState.ACTIVE)
            assert max((cause.state for cause in together.causes), default=TradingState.ACTIVE) >= worst


def test_fp47_a_failed_self_test_blocks_entries_and_nothing_else() -> None:
    initializer = built()
    initializer.self_test_errors = ("VixManager lacks watch, which the coordinator calls.",)
    refusal = initializer.entry_refusal("friday")
    assert refusal is not None
    assert refusal.reason is Reason.SELF_TEST_FAILED
    assert [*initializer.causes] == []
