"""When a trade is left: stored plan against the quotes of each minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.exit_plans import Exit, ExitWatch
from core.ledger_kinds import Kind, plain
from core.market import MarketSnapshot, Quote, QuoteVerdict, Session
from core.reasons import Reason
from core.settings import Settings
from core.trades import Trade
from core.vocabulary import ExitPlan, Ladder, Right
from tests.risk.builders import BookKeeper, at, bar, call, condor, heard, put, session, snapshot, vix

V = QuoteVerdict
DAY = session()
INSIDE = 5_350.0
LONG_PUT, SHORT_PUT, SHORT_CALL, LONG_CALL = put(5_290), put(5_300), call(5_400), call(5_410)


def plan_of(today: Session = DAY, *, confirm_min: int = 2, vix_exit: float | None = 40.0) -> ExitPlan:
    return ExitPlan(
        hard_exit=today.before_close(30),
        flatten=today.before_close(15),
        flat_by=today.before_close(5),
        stop_cost_multiple=2.0,
        target_fraction=0.5,
        confirm_min=confirm_min,
        touched_confirm_min=1,
        vix_exit=vix_exit,
    )


class Held:
    """A condor 5290/5300/5400/5410 sold for 2.60 (stop 5.20, target 1.30), watched minute by minute."""

    def __init__(
        self, *, credit: float = 2.60, confirm_min: int = 2, today: Session = DAY, vix_exit: float | None = 40.0
    ) -> None:
        keeper = BookKeeper()
        self.trade = keeper.hold(condor(), credit=credit)
        self.keeper = keeper
        self.today = today
        self.trade.exit_plan = plan_of(today, confirm_min=confirm_min, vix_exit=vix_exit)
        self.watch = ExitWatch(Settings())

    def see(
        self, now: datetime, mid: float | None = None, half: float = 0.05, *, spot: float | None = INSIDE,
        verdicts: Mapping[str, QuoteVerdict] | None = None, **more: object,
    ) -> Exit | None:  # fmt: skip
        """One minute with a closing cost of mid ± half; None: no quotes at all."""
        step = self.step(now, mid, half, spot=spot, verdicts=verdicts, **more)
        return self.watch.judge(self.trade, step)

    def step(
        self, now: datetime, mid: float | None = None, half: float = 0.05, *, spot: float | None = INSIDE,
        verdicts: Mapping[str, QuoteVerdict] | None = None, **more: object,
    ) -> MarketSnapshot:  # fmt: skip
        bars = {} if spot is None else {"SPX": bar(now, spot)}
        quotes = {} if mid is None else closing_quotes(mid, half, verdicts or {})
        return snapshot(now, quotes=quotes, bars=bars, today=self.today, **more)  # type: ignore[arg-type]


def closing_quotes(mid: float, half: float, verdicts: Mapping[str, QuoteVerdict]) -> dict[str, Quote]:
    """Quotes whose closing cost is mid ± half: all of it in the short call, the rest without a spread to speak of."""
    quotes = {item.symbol: (1.0, 1.0) for item in (LONG_PUT, SHORT_PUT, LONG_CALL)}
    quotes[SHORT_CALL.symbol] = (mid + 1.0 - half, mid + 1.0 + half)
    found = {}
    for symbol, (bid, ask) in quotes.items():
        verdict = verdicts.get(symbol, V.GOOD)
        gone = verdict is V.NO_BID
        found[symbol] = Quote(verdict, None if gone else bid, ask, age_s=0.0)
    return found


def reason(found: Exit | None) -> Reason | None:
    return None if found is None else found.reason


# --------------------------------------------------------------------------------------------------------------- stops


def test_f0_08_a_stop_reads_the_natural_price_and_must_hold_for_two_minutes() -> None:
    held, start = Held(), at(13)
    naturals = (5.30, 4.90, 5.30, 5.25)
    seen = [reason(held.see(start + timedelta(minutes=n), cost - 0.05)) for n, cost in enumerate(naturals)]
    assert seen == [None, None, None, Reason.EXIT_STOP]


def test_f0_08_one_minute_is_enough_once_spot_has_touched_a_short_strike() -> None:
    held = Held()
    assert held.see(at(12), 3.0, spot=5_400.0) is None
    found = held.see(at(13), 5.25)
    assert found is not None
    assert (found.reason, found.ladder, found.floor_cash) == (Reason.EXIT_STOP, Ladder.URGENT, -10.0)


@pytest.mark.parametrize(
    ("low", "high", "stops"), [(5_300.0, 5_310.0, True), (5_300.1, 5_399.9, False), (5_390.0, 5_400.0, True)]
)
def test_a_strike_is_touched_by_any_price_inside_the_minute(low: float, high: float, stops: bool) -> None:
    held = Held()
    step = held.step(at(12), 3.0)
    touched = replace(step.bars["SPX"], low=low, high=high)
    held.watch.judge(held.trade, replace(step, bars={"SPX": touched}))
    assert (reason(held.see(at(12, 1), 5.25)) is Reason.EXIT_STOP) is stops


def test_a_touch_before_the_trade_began_does_not_count() -> None:
    held = Held()
    assert held.trade.opened is not None
    held.see(held.trade.opened, 3.0, spot=5_410.0)
    assert held.see(at(13), 5.25) is None


def test_a_stop_exactly_at_its_price_is_a_stop() -> None:
    held = Held()
    assert [reason(held.see(at(13, n), 5.15)) for n in range(2)] == [None, Reason.EXIT_STOP]
    held = Held()
    assert [reason(held.see(at(13, n), 5.14)) for n in range(2)] == [None, None]


def test_ux_03_minutes_before_a_quarter_to_ten_do_not_count() -> None:
    held = Held(confirm_min=3)
    early = [reason(held.see(at(9, 40 + n), 6.0)) for n in range(5)]
    later = [reason(held.see(at(9, 45 + n), 6.0)) for n in range(3)]
    assert early == [None] * 5
    assert later == [None, None, Reason.EXIT_STOP]


def test_an_invalid_minute_neither_counts_nor_resets() -> None:
    held = Held(confirm_min=3)
    crossed = {SHORT_PUT.symbol: V.CROSSED}
    seen = [
        reason(held.see(at(13, 0), 6.0)),
        reason(held.see(at(13, 1), 6.0)),
        reason(held.see(at(13, 2), 6.0, verdicts=crossed)),
        reason(held.see(at(13, 3), 6.0)),
    ]
    assert seen == [None, None, None, Reason.EXIT_STOP]


WIDE = {SHORT_CALL.symbol: V.WIDE}


@pytest.mark.parametrize(
    ("mid", "half", "spot", "stops"),
    [
        (5.30, 1.0, INSIDE, True),  # the mid says the same
        (4.50, 1.0, INSIDE, False),  # only a wide natural price does
        (4.50, 1.0, 5_405.0, True),  # spot says the same
        (4.50, 1.0, 5_295.0, True),
        (4.50, 1.0, 5_400.0, False),  # at the strike is not beyond it
        (4.00, 1.0, 5_405.0, False),  # natural 5.00 is no stop at all
        (4.50, 1.0, None, False),
    ],
)
def test_a_wide_market_does_not_hide_a_stop(mid: float, half: float, spot: float | None, stops: bool) -> None:
    held = Held(confirm_min=2)
    step = [held.see(at(13, n), mid, half, spot=spot, verdicts=WIDE) for n in range(2)]
    assert (reason(step[-1]) is Reason.EXIT_STOP) is stops


def test_a_wide_quote_fires_no_target() -> None:
    held = Held()
    held.trade.exit_plan = replace(plan_of(), touched_confirm_min=None)
    assert held.see(at(13), 1.0, verdicts=WIDE) is None
    assert held.see(at(13, 1), 1.0, 4.5, spot=5_405.0, verdicts=WIDE) is None, "not while it confirms a stop either"
    assert reason(held.see(at(13, 2), 1.0)) is Reason.EXIT_TARGET


def test_a_long_that_nobody_bids_for_is_worth_nothing_and_the_minute_is_valid() -> None:
    held = Held(confirm_min=1)
    # Without the wing's 1.00 the close costs 5.25 instead of 4.25.
    found = held.see(at(13), 4.20, verdicts={LONG_PUT.symbol: V.NO_BID})
    assert found is not None
    assert found.reason is Reason.EXIT_STOP
    assert found.detail["close_natural"] == pytest.approx(5.25)
    assert found.keep == {LONG_PUT.symbol}


def test_several_steps_in_one_minute_count_once() -> None:
    held = Held()
    first, second = at(13), at(13).replace(second=5)
    assert held.see(first, 6.0) is None
    assert held.see(second, 6.0) is None
    assert reason(held.see(at(13, 1), 6.0)) is Reason.EXIT_STOP
    assert reason(held.see(at(13, 1).replace(second=5), 6.0)) is Reason.EXIT_STOP


@given(st.lists(st.tuples(st.floats(0.5, 12), st.sampled_from([V.GOOD, V.CROSSED, V.STALE])), max_size=25))
def test_a_stop_needs_its_minutes_in_a_row_among_the_valid_ones(minutes: list[tuple[float, QuoteVerdict]]) -> None:
    held, run = Held(confirm_min=3), 0
    for n, (mid, verdict) in enumerate(minutes):
        found = held.see(at(12) + timedelta(minutes=n), mid, verdicts={SHORT_PUT.symbol: verdict})
        if verdict is V.GOOD:
            run = run + 1 if round(mid + 0.05, 6) >= 5.20 else 0
        assert (reason(found) is Reason.EXIT_STOP) == (verdict is V.GOOD and run >= 3)


# ----------------------------------------------------------------------------------------------------- without a price


@pytest.mark.parametrize(
    ("spot", "expected"), [(5_400.5, Reason.UNPRICED), (5_299.5, Reason.UNPRICED), (5_350.0, None)]
)
def test_ux_04_after_five_minutes_without_a_price_spot_decides(spot: float, expected: Reason | None) -> None:
    held = Held()
    seen = [reason(held.see(at(13, n), None, spot=spot)) for n in range(6)]
    assert seen == [None] * 4 + [expected] * 2
    alerts = heard(held.watch, held.step(at(13, 6)), held.keeper.books).notes
    assert len(alerts) == (0 if expected else 1)
    for note in alerts:
        assert note.kind is Kind.ALERT
        plain(note.kind, note.fields)


def test_ux_04_a_valid_minute_starts_the_count_again() -> None:
    held = Held()
    seen = [reason(held.see(at(13, n), 3.0 if n == 4 else None, spot=5_290.0)) for n in range(10)]
    assert seen == [None] * 9 + [Reason.UNPRICED]


def test_without_quotes_and_without_spot_there_is_only_an_alert() -> None:
    held = Held()
    assert [held.see(at(13, n), None, spot=None) for n in range(8)] == [None] * 8
    (alert,) = heard(held.watch, held.step(at(13, 8)), held.keeper.books).notes
    assert alert.fields["severity"] == "CRITICAL"


# ---------------------------------------------------------------------------------------------------------- the others


def test_f0_09_a_target_reads_the_mid_once_and_never_pays_a_tick_more() -> None:
    held = Held()
    assert held.see(at(13), 1.35, 0.25) is None
    found = held.see(at(13, 1), 1.30, 0.25)
    assert found is not None
    assert (found.reason, found.ladder) == (Reason.EXIT_TARGET, Ladder.TARGET)
    assert found.floor_cash == pytest.approx(-1.35)


@pytest.mark.parametrize(
    ("close", "times"),
    [(time(16), ((15, 29), (15, 30), (15, 45))), (time(13), ((12, 29), (12, 30), (12, 45)))],
)
def test_f0_10_hard_times_follow_the_close(close: time, times: tuple[tuple[int, int], ...]) -> None:
    held = Held(today=session(close=close))
    seen = [held.see(at(*moment), 2.0) for moment in times]
    assert [reason(found) for found in seen] == [None, Reason.EXIT_TIME, Reason.EXIT_FLATTEN]
    assert [found.ladder for found in seen if found is not None] == [Ladder.URGENT, Ladder.FLATTEN]


def test_hard_times_hold_without_any_quote_and_before_a_quarter_to_ten() -> None:
    held = Held()
    assert held.trade.exit_plan is not None
    held.trade.exit_plan = replace(held.trade.exit_plan, hard_exit=at(9, 31))
    assert reason(held.see(at(9, 31), None, spot=None)) is Reason.EXIT_TIME


def test_f0_11_a_long_without_a_bid_is_left_out_and_a_short_never() -> None:
    held = Held()
    found = held.see(at(15, 30), 2.0, verdicts={LONG_PUT.symbol: V.NO_BID, SHORT_PUT.symbol: V.NO_BID})
    assert found is not None
    assert found.keep == {LONG_PUT.symbol}


@pytest.mark.parametrize(
    ("present", "good", "kept"),
    [
        (V.STALE, True, False),  # it can be offered at its last good price
        (V.STALE, False, False),  # or at its stale one
        (V.MISSING, True, False),
        (V.MISSING, False, True),
    ],
)
def test_a_long_is_offered_while_any_bid_of_it_is_known(present: QuoteVerdict, good: bool, kept: bool) -> None:
    held = Held()
    step = held.step(at(15, 30), 2.0)
    wing = LONG_CALL.symbol
    quote = Quote(present) if present is V.MISSING else Quote(present, 0.4, 0.5, age_s=90)
    last = {wing: Quote(V.GOOD, 0.4, 0.5, age_s=300)} if good else {}
    step = replace(step, quotes={**step.quotes, wing: quote}, last_good=last)
    found = held.watch.judge(held.trade, step)
    assert found is not None
    assert (wing in found.keep) is kept


@pytest.mark.parametrize(
    ("value", "is_good", "expected"),
    [(40.0, True, None), (40.01, True, Reason.EXIT_VIX), (55.0, False, None)],
)
def test_vix_closes_above_its_limit_and_only_when_it_is_good(
    value: float, is_good: bool, expected: Reason | None
) -> None:
    held, reading = Held(), vix(value)
    if not is_good:
        reading = replace(reading, verdict=type(reading.verdict).SUSPECT)
    assert reason(held.see(at(13), 2.0, reading=reading)) is expected


def test_vix_closes_also_before_a_quarter_to_ten_and_without_quotes() -> None:
    assert reason(Held().see(at(9, 32), None, reading=vix(45.0))) is Reason.EXIT_VIX


def test_ux_01_a_stop_wins_over_vix_and_the_clock_wins_over_a_stop() -> None:
    held = Held(confirm_min=1)
    assert reason(held.see(at(13), 6.0, reading=vix(45.0))) is Reason.EXIT_STOP
    assert reason(held.see(at(15, 30), 6.0, reading=vix(45.0))) is Reason.EXIT_TIME
    assert reason(held.see(at(13, 1), 1.0, reading=vix(45.0))) is Reason.EXIT_VIX, "and vix wins over a target"


def test_ux_01_a_stop_and_a_target_at_once_is_a_stop() -> None:
    """A quote so wide that its natural price is a stop and its mid a target is no target."""
    held = Held(confirm_min=1)
    assert reason(held.see(at(13), 1.2, 4.5)) is Reason.EXIT_STOP


def test_a_trade_without_a_plan_or_bought_for_a_debit_is_not_left_by_prices() -> None:
    held = Held(credit=-2.60)
    assert [held.see(at(13, n), 9.0) for n in range(3)] == [None] * 3
    held.trade.exit_plan = None
    assert held.see(at(15, 50), 9.0) is None


def test_a_trade_that_is_not_whole_is_left_by_the_clock_only_and_without_a_width() -> None:
    held = Held(confirm_min=1)
    del held.trade.legs[LONG_PUT.symbol]
    assert held.see(at(13), 6.0) is None
    found = held.see(at(15, 30), 6.0)
    assert found is not None
    assert (found.reason, found.floor_cash) == (Reason.EXIT_TIME, None)


def test_a_demand_of_a_manager_gets_the_same_floor_and_the_same_omissions() -> None:
    held = Held()
    step = held.step(at(13), 2.0, verdicts={LONG_CALL.symbol: V.NO_BID})
    urgent = held.watch.demanded(held.trade, step, Reason.EXIT_RISK, Ladder.URGENT)
    flatten = held.watch.demanded(held.trade, step, Reason.EXIT_RISK, Ladder.FLATTEN)
    assert (urgent.floor_cash, urgent.keep) == (-10.0, frozenset({LONG_CALL.symbol}))
    assert (flatten.floor_cash, flatten.keep) == (None, frozenset({LONG_CALL.symbol}))


# ------------------------------------------------------------------------------------------------------------- restart


def test_counts_survive_a_restart_and_end_with_their_trade() -> None:
    held = Held(confirm_min=2)
    held.see(at(12), 3.0, spot=5_400.0)
    held.see(at(13), 6.0, verdicts={SHORT_PUT.symbol: V.CROSSED})
    again = ExitWatch(Settings())
    again.watch(held.step(at(13)), BookKeeper().books)
    assert again.rests
    again.restore(held.watch.state())
    assert again.state() == held.watch.state()
    assert reason(again.judge(held.trade, held.step(at(13, 1), 6.0))) is Reason.EXIT_STOP

    heard(again, held.step(at(13, 2)), held.keeper.books)
    held.keeper.close(held.trade)
    heard(again, held.step(at(14)), held.keeper.books)
    assert again.rests
    assert again.state() == {}


def test_legs_of_the_fixture_are_those_of_the_condor() -> None:
    trade: Trade = Held().trade
    assert trade.structure.symbols == tuple(item.symbol for item in (LONG_PUT, SHORT_PUT, SHORT_CALL, LONG_CALL))
    assert {leg.instrument.right for leg in trade.structure.shorts} == {Right.PUT, Right.CALL}
