"""The trade machine against its table, written down once more from the risk rules."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.trade_machine import (
    LIVING,
    OUTCOMES,
    TABLE,
    Balance,
    Look,
    Standing,
    TradeState,
    Trigger,
    next_state,
    traps,
)

NOTHING = Standing(Balance.NONE)
WHOLE = Standing(Balance.BALANCED)
BROKEN = Standing(Balance.UNBALANCED, covered=False)
AT_WORK = Standing(Balance.BALANCED, at_work=True)
ASKED = Standing(Balance.BALANCED, at_work=True, asked_before=True)
REPAIRED = Standing(Balance.UNBALANCED, repaired=True)
COVERED = Standing(Balance.UNBALANCED)

# state, trigger, what the books show -> next; every other pair is ignored.
ROWS = """
PLANNED SENT WHOLE ENTERING
PLANNED DENIED NOTHING CANCELLED
PLANNED ERROR NOTHING CANCELLED
PLANNED DEADLINE NOTHING CANCELLED
ENTERING FILLED WHOLE OPEN
ENTERING PART WHOLE ENTERING
ENTERING LEG BROKEN ENTERING
ENTERING REJECTED NOTHING CANCELLED
ENTERING REJECTED BROKEN REPAIRING
ENTERING REJECTED WHOLE OPEN
ENTERING CANCELLED NOTHING CANCELLED
ENTERING CANCELLED BROKEN REPAIRING
ENTERING CANCELLED WHOLE OPEN
ENTERING EXIT_DUE WHOLE ENTERING
ENTERING DEADLINE NOTHING CANCELLED
ENTERING DEADLINE BROKEN REPAIRING
ENTERING DEADLINE WHOLE OPEN
ENTERING DEADLINE AT_WORK ENTERING
ENTERING DEADLINE ASKED FROZEN
OPEN EXIT_DUE WHOLE EXITING
OPEN ADJUST_DUE WHOLE ADJUSTING
OPEN DEADLINE WHOLE EXITING
ADJUSTING FILLED WHOLE OPEN
ADJUSTING CANCELLED WHOLE OPEN
ADJUSTING LEG BROKEN REPAIRING
ADJUSTING EXIT_DUE WHOLE ADJUSTING
ADJUSTING DEADLINE WHOLE OPEN
ADJUSTING DEADLINE AT_WORK ADJUSTING
ADJUSTING DEADLINE ASKED FROZEN
REPAIRING BALANCED WHOLE OPEN
REPAIRING BALANCED COVERED OPEN
REPAIRING BALANCED BROKEN REPAIRING
REPAIRING DEADLINE BROKEN EXITING
EXITING PART WHOLE EXITING
EXITING CANCELLED WHOLE OPEN
EXITING LEG BROKEN REPAIRING
EXITING LEG REPAIRED EXITING
EXITING REJECTED WHOLE EXITING
EXITING DEADLINE WHOLE EXITING
SETTLING SETTLED NOTHING CLOSED
SETTLING DEADLINE WHOLE FROZEN
FROZEN CLEARED WHOLE OPEN
FROZEN CLEARED NOTHING CLOSED
FROZEN CLEARED BROKEN REPAIRING
FROZEN ADOPT WHOLE OPEN
FROZEN EXIT_DUE WHOLE FROZEN
FROZEN FLAT NOTHING CLOSED
FROZEN DEADLINE WHOLE FROZEN
"""
EVERYWHERE = {
    "BREAK": "FROZEN",
    "UNRESOLVED": "FROZEN",
    "ASSIGNED": "REPAIRING",
    "LEG_GONE": "REPAIRING",
    "EXPIRED": "SETTLING",
    "FLAT": "CLOSED",
}
STANDINGS = {
    "NOTHING": NOTHING,
    "WHOLE": WHOLE,
    "BROKEN": BROKEN,
    "AT_WORK": AT_WORK,
    "ASKED": ASKED,
    "REPAIRED": REPAIRED,
    "COVERED": COVERED,
}
ENTERING_TO_SETTLING = ("ENTERING", "OPEN", "ADJUSTING", "REPAIRING", "EXITING", "SETTLING")


def led(state: TradeState, trigger: Trigger, standing: Standing) -> TradeState | None:
    """Where a trigger leads a trade of which the books show this standing."""
    return next_state(state, trigger, lambda: standing)


@pytest.mark.parametrize("row", ROWS.strip().splitlines())
def test_fp37_a_pair_of_the_table_leads_where_the_table_says(row: str) -> None:
    state, trigger, standing, after = row.split()
    assert led(TradeState(state), Trigger(trigger), STANDINGS[standing]) is TradeState(after)


@pytest.mark.parametrize(("state", "trigger"), list(product(ENTERING_TO_SETTLING, EVERYWHERE)))
def test_fp37_some_triggers_hold_from_entering_to_settling(state: str, trigger: str) -> None:
    assert led(TradeState(state), Trigger(trigger), WHOLE) is TradeState(EVERYWHERE[trigger])


def test_fp37_every_other_pair_is_ignored() -> None:
    known = {tuple(row.split()[:2]) for row in ROWS.strip().splitlines()}
    known |= set(product(ENTERING_TO_SETTLING, EVERYWHERE))
    for state, trigger in product(TradeState, Trigger):
        if (state.value, trigger.value) not in known:
            for standing in STANDINGS.values():
                assert led(state, trigger, standing) is None, (state, trigger)


def test_sm_p1_every_state_reaches_an_end_by_its_deadlines_and_what_must_happen() -> None:
    """Model check: from each state and whatever the books show, some sequence of triggers ends the trade."""
    assert traps() == ()
    for start in TradeState:
        seen, stack = {start}, [start]
        while stack:
            state = stack.pop()
            for trigger, standing in product(Trigger, STANDINGS.values()):
                after = led(state, trigger, standing)
                if after is not None and after not in seen:
                    seen.add(after)
                    stack.append(after)
        assert seen & {TradeState.CLOSED, TradeState.CANCELLED}, start


@pytest.mark.parametrize("state", LIVING)
@pytest.mark.parametrize("standing", [WHOLE, BROKEN, COVERED])
def test_sm_p1_a_trade_that_nobody_looks_after_is_led_out_of_every_state_by_the_clock(
    state: TradeState, standing: Standing
) -> None:
    """Deadlines alone bring every holding to EXITING or FROZEN, where it is closed or looked at."""
    for _ in range(10):
        after = led(state, Trigger.DEADLINE, standing)
        assert after is not None
        state = after
    assert state in (TradeState.EXITING, TradeState.FROZEN)


@pytest.mark.parametrize("state", [TradeState.CLOSED, TradeState.CANCELLED])
@pytest.mark.parametrize("trigger", Trigger)
def test_an_end_is_an_end(state: TradeState, trigger: Trigger) -> None:
    assert led(state, trigger, WHOLE) is None


@given(st.sampled_from(LIVING), st.sampled_from(Trigger), st.sampled_from([WHOLE, BROKEN, AT_WORK, ASKED, REPAIRED]))
def test_a_holding_is_never_called_ended_by_a_look(state: TradeState, trigger: Trigger, standing: Standing) -> None:
    """Only FLAT and SETTLED, which the books confirm, end a trade that holds something."""
    after = led(state, trigger, standing)
    if trigger not in (Trigger.FLAT, Trigger.SETTLED):
        assert after is None or not after.is_end


def test_an_error_never_drops_a_position() -> None:
    assert [state for state, trigger in TABLE if trigger is Trigger.ERROR] == [TradeState.PLANNED]


def test_every_look_gives_only_what_it_declares() -> None:
    for (state, trigger), target in TABLE.items():
        if isinstance(target, Look):
            found = {led(state, trigger, standing) for standing in STANDINGS.values()}
            assert found <= OUTCOMES[target]
