"""Counters of the ETF book, folded from records: they begin anew at each open, and no number is set by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.family import BOOK, SYMBOLS, Side
from core.family_fold import bar_of
from core.ledger_kinds import Kind
from core.market import Mark
from core.vocabulary import FamilyTarget
from tests.core.family_ledger import DAY, FamilyLedger, clock

CASH, TQQQ = FamilyTarget.CASH, FamilyTarget.TQQQ
TOMORROW = DAY + timedelta(days=1)


def is_orphaned(ledger: FamilyLedger) -> bool:
    return ledger.fold.is_orphan_session


def test_held_and_its_bars_come_from_fills(ledger: FamilyLedger) -> None:
    order = ledger.order(clock("10:06"), "TQQQ", 352, "OPEN")
    assert (ledger.fold.held(), ledger.view(clock("10:06")).bars_held) == (CASH, 0)
    ledger.fill(clock("10:07"), order, "TQQQ", 200, 85.19)
    ledger.fill(clock("10:09"), order, "TQQQ", 152, 85.19)
    assert ledger.fold.held() is TQQQ
    assert ledger.view(clock("10:17")).bars_held == 10
    assert ledger.view(clock("10:17")).bars_since_close is None


def test_bars_since_the_close_count_from_the_fill_that_reached_cash(ledger: FamilyLedger) -> None:
    trade = ledger.buy("10:06", "10:07", "TQQQ", 352, 85.19)
    ledger.sell("10:30", trade, "TQQQ", 300, 85.0)
    assert ledger.view(clock("10:30")).bars_since_close is None
    ledger.sell("10:31", trade, "TQQQ", 52, 85.0)
    assert ledger.fold.held() is CASH
    assert ledger.view(clock("10:36")).bars_since_close == 5
    assert ledger.fold.closed_in(clock("10:31"))
    assert not ledger.fold.closed_in(clock("10:32"))


@pytest.mark.parametrize(("target", "side"), [("QQQ", Side.LONG), ("CASH", None), ("SQQQ", None), ("TQQQ", None)])
def test_a_close_is_half_of_a_switch_when_the_signal_wanted_the_other_share_of_its_side(
    ledger: FamilyLedger, target: str, side: Side | None
) -> None:
    trade = ledger.buy("10:06", "10:07", "TQQQ", 352, 85.19)
    ledger.signal(clock("10:30"), target)
    ledger.sell("10:30", trade, "TQQQ", 352, 85.0)
    assert ledger.fold.switched_side is side


def test_a_switch_that_takes_several_sales_is_one(ledger: FamilyLedger) -> None:
    trade = ledger.buy("10:06", "10:07", "TQQQ", 352, 85.19)
    ledger.signal(clock("10:30"), "QQQ")
    ledger.sell("10:30", trade, "TQQQ", 300, 85.0)
    ledger.signal(clock("10:31"), "CASH")
    ledger.sell("10:31", trade, "TQQQ", 52, 85.0)
    assert ledger.fold.switched_side is Side.LONG


def test_openings_are_counted_by_sending_and_by_first_fill(ledger: FamilyLedger) -> None:
    trade = ledger.buy("10:06", "10:07", "TQQQ", 200, 85.19)
    ledger.order(clock("10:08"), "TQQQ", 152, "ADD", trade=trade)
    fold = ledger.fold
    assert fold.opens_in_session == 2
    assert [fold.opens_sent_in(clock(at)) for at in ("10:06", "10:07", "10:08")] == [1, 0, 1]
    assert [fold.opens_filled_in(clock(at)) for at in ("10:06", "10:07", "10:08")] == [0, 1, 0]


def test_two_openings_within_one_minute_are_in_one_bar(ledger: FamilyLedger) -> None:
    ledger.order(clock("10:06:05"), "TQQQ", 10, "OPEN")
    ledger.order(clock("10:06:55"), "QQQ", 10, "OPEN")
    ledger.order(clock("10:07:00"), "PSQ", 10, "OPEN")
    assert ledger.fold.opens_sent_in(clock("10:06:30")) == 3
    assert ledger.fold.opens_sent_in(clock("10:06:00")) == 0


def test_etf_41_every_counter_of_bars_begins_anew_at_the_open(ledger: FamilyLedger) -> None:
    trade = ledger.buy("15:40", "15:41", "TQQQ", 352, 85.19)
    ledger.sell("15:45", trade, "TQQQ", 352, 85.0)
    ledger.close_session()
    ledger.open_session(TOMORROW)
    fold, view = ledger.fold, ledger.view(clock("09:31", TOMORROW))
    assert (view.bars_since_close, view.bars_held, view.opens_in_session) == (None, 0, 0)
    assert fold.switched_side is None


def test_a_session_that_a_second_process_announces_goes_on(ledger: FamilyLedger) -> None:
    trade = ledger.buy("10:06", "10:07", "QQQ", 59, 500.0)
    ledger.sell("10:20", trade, "QQQ", 59, 499.0)
    ledger.buy("10:30", "10:31", "TQQQ", 352, 85.19, scale=0.5)
    ledger.mark(clock("10:31"), 100_000.0)
    ledger.signal(clock("10:32"), "CASH", "SESSION_LOSS_LIMIT")
    ledger.open_session()
    fold, view = ledger.fold, ledger.view(clock("10:40"))
    assert not fold.is_orphan_session
    assert fold.lost_too_much
    assert (view.bars_since_close, view.bars_held, view.opens_in_session, fold.scale) == (20, 9, 2, 0.5)
    assert fold.sleeve_equity_u6 == 100_000_000_000
    assert fold.session_pnl_usd({"TQQQ": Mark(85.19, fresh=True)}) == pytest.approx(-59.0)


def test_the_scale_is_that_of_the_opening_and_stays_while_it_is_held(ledger: FamilyLedger) -> None:
    trade = ledger.buy("10:06", "10:07", "TQQQ", 100, 85.19, scale=0.75)
    order = ledger.order(clock("10:20"), "TQQQ", 50, "ADD", trade=trade, scale=0.5)
    ledger.fill(clock("10:21"), order, "TQQQ", 50, 85.3)
    assert ledger.fold.scale == 0.75
    ledger.sell("10:30", trade, "TQQQ", 150, 85.0)
    ledger.buy("10:40", "10:41", "QQQ", 10, 500.0, scale=0.5)
    assert ledger.fold.scale == 0.5


def test_the_sessions_result_counts_fees_and_marks(ledger: FamilyLedger) -> None:
    order = ledger.order(clock("10:06"), "TQQQ", 100, "OPEN")
    ledger.fill(clock("10:07"), order, "TQQQ", 100, 85.0, fee_usd=1.0)
    assert ledger.fold.session_pnl_usd({"TQQQ": Mark(84.0, fresh=True)}) == pytest.approx(-101.0)
    assert ledger.fold.session_pnl_usd({}) is None
    ledger.sell("10:30", order.split("|")[1], "TQQQ", 100, 86.0)
    assert ledger.fold.session_pnl_usd({}) == pytest.approx(99.0)


def test_the_sleeve_is_measured_by_the_first_mark_of_the_session(ledger: FamilyLedger) -> None:
    assert ledger.fold.sleeve_equity_u6 is None
    ledger.mark(clock("09:31"), 99_000.0)
    ledger.mark(clock("09:32"), 98_000.0)
    assert ledger.fold.sleeve_equity_u6 == 99_000_000_000


def test_what_a_session_may_lose_is_a_share_of_that_mark_and_once_is_for_all(ledger: FamilyLedger) -> None:
    fold, marks = ledger.fold, {"TQQQ": Mark(80.0, fresh=True)}
    order = ledger.order(clock("10:06"), "TQQQ", 100, "OPEN")
    ledger.fill(clock("10:07"), order, "TQQQ", 100, 85.0)
    assert not fold.has_lost(0.0, marks), "nobody knows of what it is a share"
    ledger.mark(clock("10:08"), 100_000.0)
    assert fold.has_lost(0.005, marks)
    assert not fold.has_lost(0.00501, marks)
    assert not fold.has_lost(0.0, {}), "nobody knows what the shares are worth"
    ledger.signal(clock("10:09"), "CASH", "SESSION_LOSS_LIMIT")
    assert fold.has_lost(0.5, {"TQQQ": Mark(99.0, fresh=True)})


def test_etf_07_a_session_that_begins_with_our_shares_is_an_orphan_session() -> None:
    ledger = FamilyLedger()
    ledger.open_session()
    trade = ledger.buy("15:40", "15:41", "TQQQ", 352, 85.19)
    assert not is_orphaned(ledger)
    ledger.close_session()
    ledger.open_session(TOMORROW)
    assert is_orphaned(ledger)
    ledger.sell("09:32", trade, "TQQQ", 352, 85.0)
    assert is_orphaned(ledger)
    ledger.close_session(TOMORROW)
    ledger.open_session(TOMORROW + timedelta(days=1))
    assert not is_orphaned(ledger)


def test_etf_s18_a_split_scales_the_orphan_before_it_is_swept(ledger: FamilyLedger) -> None:
    ledger.buy("15:40", "15:41", "TQQQ", 352, 85.19)
    ledger.close_session()
    ledger.write(Kind.SPLIT, clock("00:00", TOMORROW), "", symbol="TQQQ", num=2, den=1)
    ledger.open_session(TOMORROW)
    assert ledger.books.position_of("etf_rotation", "TQQQ") == 704
    assert is_orphaned(ledger)


def test_a_day_trade_is_a_holding_that_came_and_went_in_one_session() -> None:
    ledger = FamilyLedger()
    days = [date(2025, 10, 20) + timedelta(days=step) for step in (0, 1, 2, 3, 4, 7)]
    for day in days:
        ledger.open_session(day)
        order = ledger.order(clock("10:06", day), "QQQ", 10, "OPEN")
        ledger.fill(clock("10:07", day), order, "QQQ", 10, 500.0)
        close = ledger.order(clock("10:30", day), "QQQ", -10, "CLOSE", trade=order.split("|")[1])
        ledger.fill(clock("10:30", day), close, "QQQ", -10, 501.0)
        ledger.close_session(day)
    assert ledger.fold.day_trades() == 5


def test_filled_orders_are_counted_over_the_last_block_of_session_minutes() -> None:
    ledger = FamilyLedger(block_minutes=400)
    ledger.open_session()
    trade = ledger.buy("10:06", "10:07", "QQQ", 10, 500.0)
    ledger.sell("15:00", trade, "QQQ", 10, 500.0)
    assert ledger.fold.filled_orders(clock("15:01")) == 2
    ledger.close_session()
    ledger.open_session(TOMORROW)
    # 10:07 was minute 37 of the run; it leaves a block of 400 minutes with minute 437, 47 minutes after this open.
    assert ledger.fold.filled_orders(clock("10:16", TOMORROW)) == 2
    assert ledger.fold.filled_orders(clock("10:17", TOMORROW)) == 1


def test_an_order_that_fills_in_parts_counts_once_and_from_its_first_fill() -> None:
    ledger = FamilyLedger(block_minutes=60)
    ledger.open_session()
    order = ledger.order(clock("10:06"), "QQQ", 10, "OPEN")
    ledger.fill(clock("10:07"), order, "QQQ", 4, 500.0)
    ledger.fill(clock("10:20"), order, "QQQ", 6, 500.0)
    assert ledger.fold.filled_orders(clock("11:06")) == 1
    assert ledger.fold.filled_orders(clock("11:07")) == 0


def test_etf_21_the_fold_moves_only_with_fills(ledger: FamilyLedger) -> None:
    ledger.signal(clock("10:05"), "TQQQ")
    ledger.order(clock("10:06"), "TQQQ", 352, "OPEN")
    ledger.write(Kind.ORDER_OUTCOME, clock("10:07"), order="x", outcome="CANCELLED", filled=0, left=352)
    assert ledger.fold.held() is CASH
    assert ledger.view(clock("11:00")).bars_held == 0


def test_the_loss_limit_is_for_the_whole_session_and_for_that_one_alone(ledger: FamilyLedger) -> None:
    ledger.signal(clock("11:00"), "CASH", "SESSION_LOSS_LIMIT")
    ledger.signal(clock("11:01"), "CASH", "NEUTRAL")
    found = [ledger.fold.lost_too_much]
    ledger.close_session()
    ledger.open_session(TOMORROW)
    assert [*found, ledger.fold.lost_too_much] == [True, False]


MOVES = st.lists(
    st.tuples(st.sampled_from(("fill", "standing", "split", "cash")), st.sampled_from(SYMBOLS), st.integers(-40, 40)),
    max_size=30,
)


@given(MOVES)
def test_what_the_fold_keeps_of_the_books_is_what_they_say_now(moves: list[tuple[str, str, int]]) -> None:
    ledger = FamilyLedger()
    ledger.open_session()
    for number, (what, symbol, qty) in enumerate(moves):
        at = clock("10:00") + timedelta(minutes=number)
        if what == "fill" and qty:
            order = ledger.order(at, symbol, qty, "OPEN")
            ledger.fill(at, order, symbol, qty, 50.0)
        elif what == "standing" and qty:  # shares that are somebody else's
            holding = {"symbol": symbol, "qty": qty, "mult": 1}
            cash = ledger.books.cash_u6
            ledger.write(Kind.RUN_STARTED, at, "", start_cash_u6=cash, holdings=[holding])
        elif what == "split":
            ledger.write(Kind.SPLIT, at, "", symbol=symbol, num=2, den=1)
        else:
            ledger.write(Kind.CASH_FLOW, at, "", type="INTEREST", amount_u6=1)
        books, fold = ledger.books, ledger.fold
        ours = {name: books.position_of(BOOK, name) for name in SYMBOLS}
        assert list(fold.shares().items()) == [(name, held) for name, held in ours.items() if held]
        assert fold.foreign() == {
            name: other for name in SYMBOLS if (other := books.position(name) - books.position_of(BOOK, name))
        }
        most = max(abs(held) for held in ours.values())
        first = next((name for name in SYMBOLS if most and abs(ours[name]) == most), "CASH")
        assert fold.held() is FamilyTarget(first)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 90)), max_size=20))
def test_openings_of_a_bar_are_those_that_were_sent_and_filled_in_it(pairs: list[tuple[int, int]]) -> None:
    ledger = FamilyLedger(1e9)
    ledger.open_session()
    sent: list[datetime] = []
    filled: list[datetime] = []
    for second, later in sorted(pairs):
        at = clock("10:00") + timedelta(seconds=second)
        after = at + timedelta(seconds=later)
        order = ledger.order(at, "QQQ", 2, "OPEN")
        ledger.fill(after, order, "QQQ", 1, 50.0)
        ledger.fill(after + timedelta(minutes=1), order, "QQQ", 1, 50.0)  # of an opening the first fill counts
        sent.append(bar_of(at))
        filled.append(bar_of(after))
    for second in range(0, 420, 15):
        now = clock("10:00") + timedelta(seconds=second)
        assert ledger.fold.opens_sent_in(now) == sent.count(bar_of(now))
        assert ledger.fold.opens_filled_in(now) == filled.count(bar_of(now))
