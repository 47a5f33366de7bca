"""Who is asked in a step: a manager that rests is left alone until it ends its rest, or a session opens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from core.books import Books
from core.component_initializer import ComponentInitializer
from core.containment import Containment
from core.market import MarketSnapshot
from core.rules import QUIET, Watch
from core.settings import Mode
from tests.risk.builders import FRIDAY, at, snapshot


@dataclass
class Listener:
    """A manager that keeps when it was asked."""

    name: str
    rests: bool = False
    answer: Watch = QUIET
    asked: list[datetime] = field(default_factory=list)

    def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
        self.asked.append(snapshot.time)
        return self.answer


def contained(mode: Mode) -> Containment:
    return Containment(mode, None, ComponentInitializer(()), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", Mode)
def test_who_rests_is_asked_once_a_session_and_again_when_the_rest_ends(mode: Mode) -> None:
    containment, books = contained(mode), Books()
    awake, resting = Listener("awake", answer=Watch(scale=0.5)), Listener("resting", rests=True)
    for now in (at(10), at(10, 1), at(10, 2)):
        assert containment.watch((resting, awake), snapshot(now), books) == [Watch(scale=0.5)]
    assert (resting.asked, len(awake.asked)) == ([at(10)], 3)
    resting.rests, resting.answer = False, Watch(scale=0.25)
    assert containment.watch((resting, awake), snapshot(at(10, 3)), books) == [Watch(scale=0.25), Watch(scale=0.5)]
    resting.rests = True
    containment.watch((resting, awake), snapshot(at(10, 4)), books)
    assert resting.asked == [at(10), at(10, 3)]
    tomorrow = snapshot(at(9, 31, FRIDAY + timedelta(days=3)))
    assert containment.watch((resting, awake), tomorrow, books) == [Watch(scale=0.25), Watch(scale=0.5)]
    assert resting.asked[-1] == tomorrow.time


def test_a_step_that_was_not_finished_is_not_the_one_in_which_all_are_asked() -> None:
    containment, books, resting = contained(Mode.BACKTEST), Books(), Listener("resting", rests=True)

    class Failing(Listener):
        def watch(self, snapshot: MarketSnapshot, books: Books) -> Watch:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        containment.watch((Failing("failing"), resting), snapshot(at(10)), books)
    containment.watch((resting,), snapshot(at(10, 1)), books)
    assert resting.asked == [at(10, 1)]
