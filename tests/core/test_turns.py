"""Live, LEAN calls from several threads: one piece of work at a time, nobody waits, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Event, Thread, get_ident

import pytest

from core.turns import Turns

LONG = 30.0
"""Seconds that nothing here takes; a test that hangs ends."""


def held(turns: Turns) -> tuple[Thread, Event, list[str]]:
    """Return a thread that is at work until the event is set, and what it has noted."""
    inside, go_on = Event(), Event()
    notes: list[str] = []

    def work() -> None:
        inside.set()
        assert go_on.wait(LONG)
        notes.append("held")

    thread = Thread(target=turns.take, args=(work,))
    thread.start()
    assert inside.wait(LONG)
    return thread, go_on, notes


def test_two_threads_are_never_at_work_at_once_and_all_work_is_done() -> None:
    turns, start = Turns(), Barrier(4)
    at_work, most, done = 0, 0, 0

    def work() -> None:
        nonlocal at_work, most, done
        at_work += 1
        most = max(most, at_work)
        for _ in range(50):
            pass  # room for another thread to come in
        done += 1
        at_work -= 1

    def ask() -> None:
        start.wait()
        for _ in range(500):
            turns.take(work)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    turns.take(work)  # whoever was last has run what others had left
    assert (most, done) == (1, 2001)


def test_work_is_given_what_was_handed_over_with_it() -> None:
    turns, order = Turns(), list[str]()

    def outer(name: str) -> None:
        turns.take(order.append, "inner")
        order.append(name)

    turns.take(outer, "outer")
    assert order == ["outer", "inner"]


def test_work_handed_over_is_done_by_the_one_at_work_and_the_other_goes_on() -> None:
    turns = Turns()
    thread, go_on, notes = held(turns)
    done_by: list[int | None] = []
    turns.take(lambda: done_by.append(get_ident()))
    assert done_by == []  # and we were not held up
    go_on.set()
    thread.join(LONG)
    assert notes == ["held"]
    assert done_by == [thread.ident]


def test_work_asked_for_inside_of_work_follows_it() -> None:
    turns, order = Turns(), list[str]()

    def outer() -> None:
        turns.take(lambda: order.append("inner"))
        order.append("outer")

    turns.take(outer)
    assert order == ["outer", "inner"]


@pytest.mark.parametrize("inside", [True, False])
def test_what_comes_again_is_left_out_while_somebody_is_at_work(inside: bool) -> None:
    turns, done = Turns(), list[str]()
    attend: Callable[[], None] = lambda: turns.take_if_free(lambda: done.append("attended"))  # noqa: E731
    if inside:
        turns.take(attend)
    else:
        thread, go_on, _notes = held(turns)
        attend()
        go_on.set()
        thread.join(LONG)
    assert done == []
    attend()
    assert done == ["attended"]


def test_a_step_that_came_while_something_small_was_done_follows_it() -> None:
    turns, done = Turns(), list[str]()
    turns.take_if_free(lambda: turns.take(lambda: done.append("step")))
    assert done == ["step"]


def test_an_error_gives_the_turn_back() -> None:
    turns, done = Turns(), list[str]()
    with pytest.raises(ZeroDivisionError):
        turns.take(lambda: 1 / 0)
    turns.take(lambda: done.append("next"))
    assert done == ["next"]


def test_the_last_waits_for_the_one_at_work() -> None:
    turns = Turns()
    thread, go_on, notes = held(turns)
    last = Thread(target=turns.take_last, args=(lambda: notes.append("last"), LONG))
    last.start()
    go_on.set()
    thread.join(LONG)
    last.join(LONG)
    assert notes == ["held", "last"]


def test_the_last_is_handed_over_when_its_patience_ends() -> None:
    turns = Turns()
    thread, go_on, notes = held(turns)
    turns.take_last(lambda: notes.append("last"), 0.01)
    assert notes == []
    go_on.set()
    thread.join(LONG)
    assert notes == ["held", "last"]
