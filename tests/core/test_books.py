"""Books are folds of the ledger: scenarios, and laws over any sequence of valid records."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.books import Books
from core.contracts import instrument_from_symbol
from core.ledger_kinds import Kind
from core.ledger_reader import replay_ledger
from core.reasons import Reason
from core.trade_machine import Balance, TradeState, Trigger
from core.trades import Trade
from core.vocabulary import Purpose, RiskBasis, StructureName
from tests.core.desk import (
    BOOK,
    CASH_U6,
    DAY,
    FEE_U6,
    RUN,
    Desk,
    at,
    call,
    condor,
    one_one_two,
    put,
    put_spread,
    standing,
    structure,
    tell,
)

# --------------------------------------------------------------------------------------------------- money and holdings


def test_a_fill_moves_cash_fees_and_holdings(desk: Desk) -> None:
    trade = desk.open(put_spread(), units=2)
    short, long = trade.structure.symbols
    assert desk.books.cash_u6 == CASH_U6 + 2 * 100 * 1_000_000 - 2 * FEE_U6
    assert desk.books.fees_u6 == 2 * FEE_U6
    assert dict(desk.books.positions()) == {long: 2, short: -2}
    assert desk.books.position_of(BOOK, short) == -2
    assert desk.books.holders(short) == (BOOK,)
    assert desk.books.trades_holding(BOOK, long) == (trade.id,)


def test_a_view_of_the_holdings_is_of_its_moment(desk: Desk) -> None:
    before = desk.books.positions()
    trade = desk.open(put_spread())
    held = desk.books.positions()
    desk.close(trade, price_u6=400_000)
    assert (dict(before), sorted(held.values()), dict(desk.books.positions())) == ({}, [-1, 1], {})


def test_the_result_of_a_trade_is_its_cash_less_its_fees(desk: Desk) -> None:
    trade = desk.open(condor(), price_u6=3_000_000)
    desk.close(trade, price_u6=400_000)
    assert trade.pnl_u6 == 150_000_000 - 8 * FEE_U6  # sold one leg for 3.00, another for 1.50, bought two at 1.50
    assert desk.books.cash_u6 == CASH_U6 + trade.pnl_u6
    assert trade.fees_u6 == desk.books.fees_u6 == 8 * FEE_U6
    assert desk.books.closed_trades(BOOK) == (trade,)
    assert (desk.books.closed_count, desk.books.result_u6) == (1, trade.pnl_u6)
    assert desk.books.open_trades() == ()
    assert dict(desk.books.positions()) == {}


def test_entry_cash_is_the_net_cash_of_one_unit_in_points(desk: Desk) -> None:
    assert desk.open(put_spread(), units=3).entry_cash == pytest.approx(1.0)
    assert desk.plan().entry_cash == 0.0


@pytest.mark.parametrize(
    ("basis", "filled", "risk_u6"),
    [(RiskBasis.MAX_LOSS, 3, 1_200_000_000), (RiskBasis.MAX_LOSS, 1, 400_000_000), (RiskBasis.STRESS, 2, 800_000_000)],
)
def test_entry_risk_is_that_of_what_was_filled(desk: Desk, basis: RiskBasis, filled: int, risk_u6: int) -> None:
    trade = desk.plan(put_spread(), units=3, risk_usd=400.0, basis=basis)
    order = desk.order(trade, {leg.symbol: leg.ratio * 3 for leg in trade.structure.legs})
    for leg in trade.structure.legs:
        desk.fill(trade, order, leg.symbol, leg.ratio * filled, 1_000_000)
    assert trade.entry_risk_u6 == risk_u6


def test_the_entry_risk_of_shares_is_what_was_paid(desk: Desk) -> None:
    shares = structure((instrument_from_symbol("QQQ", 1), 1), name=StructureName.SHARES)
    trade = desk.open(shares, units=10, price_u6=500_000_000, basis=RiskBasis.FAMILY)
    assert trade.entry_risk_u6 == 5_000_000_000


def test_start_holdings_are_counted_but_belong_to_no_strategy() -> None:
    books = Books()
    rows = [
        {"symbol": "QQQ", "qty": 7, "price_u6": 1, "mult": 1},
        {"symbol": put(5_900).symbol, "qty": -1, "price_u6": 1, "mult": 100},
    ]
    tell(books.takes, Kind.RUN_STARTED, "", {"start_cash_u6": 5, "holdings": rows}, at(9))
    assert books.position("QQQ") == books.position_of("", "QQQ") == 7
    assert books.instrument(put(5_900).symbol) == put(5_900)


def test_a_start_that_goes_on_keeps_the_books(desk: Desk) -> None:
    trade = desk.open()
    before = standing(desk.books)
    rows = [{"symbol": "QQQ", "qty": 7, "price_u6": 1, "mult": 1}]
    desk.start(123, rows, resumed_from=desk.ledger.head())
    assert standing(desk.books) == before
    assert desk.books.open_trades() == (trade,)


def test_fp35_two_strategies_in_one_underlying_are_one_ledger_and_two_books(desk: Desk) -> None:
    first = desk.open(put_spread(), strategy="friday_0dte")
    second = desk.open(put_spread(), strategy="lt112", units=2)
    short = first.structure.symbols[0]
    assert desk.books.position(short) == -3
    assert desk.books.position_of("friday_0dte", short) == -1
    assert desk.books.position_of("lt112", short) == -2
    assert desk.books.holders(short) == ("friday_0dte", "lt112")
    assert desk.books.open_trades("lt112") == (second,)


# -------------------------------------------------------------------------------------------- what contradicts the fold


def test_fp44_a_result_that_is_not_the_sum_of_its_fills_is_refused(desk: Desk) -> None:
    trade = desk.open()
    desk.intend(trade, Purpose.CLOSE, "EXIT_STOP")
    desk.drive(trade, Trigger.EXIT_DUE, TradeState.EXITING)
    good = {"trade": trade.id, "fees_u6": trade.fees_u6, "risk_u6": trade.entry_risk_u6, "reason": "EXIT_STOP"}
    assert "CLOSED" in desk.refused(Kind.TRADE_CLOSED, **good, pnl_u6=0)  # it still holds something
    legs = {symbol: -qty for symbol, qty in trade.legs.items()}
    order = desk.order(trade, legs, Purpose.CLOSE)
    for symbol, qty in legs.items():
        desk.fill(trade, order, symbol, qty, 100_000)
    desk.drive(trade, Trigger.FLAT, TradeState.CLOSED)
    good |= {"fees_u6": trade.fees_u6}
    for wrong in (trade.pnl_u6 + 1, 10**18):
        assert f"gives {trade.pnl_u6}" in desk.refused(Kind.TRADE_CLOSED, **good, pnl_u6=wrong)
    assert "expected a whole number" in desk.refused(Kind.TRADE_CLOSED, **good, pnl_u6=float("nan"))
    desk.result(trade, "EXIT_STOP")
    assert "without a result" in desk.refused(Kind.TRADE_CLOSED, **good, pnl_u6=trade.pnl_u6)


def test_fp44_no_trade_is_invented(desk: Desk) -> None:
    fields = {"trade": "ghost-20251121-1", "pnl_u6": 1, "fees_u6": 0, "risk_u6": 1, "reason": "EXIT_TARGET"}
    assert "ghost" in desk.refused(Kind.TRADE_CLOSED, **fields)
    assert desk.books.closed_trades("ghost") == ()


def test_fp43_a_position_that_no_record_explains_cannot_be_written(desk: Desk) -> None:
    trade = desk.plan()
    order = desk.order(trade, {leg.symbol: leg.ratio for leg in trade.structure.legs})
    symbol = trade.structure.symbols[0]
    fields = {
        "fill": "f",
        "order": order,
        "trade": trade.id,
        "symbol": symbol,
        "qty": -1,
        "price_u6": 1,
        "mult": 100,
        "fee_u6": 0,
        "exec_time": desk.now,
        "source": "EVENT",
        "cash_after_u6": CASH_U6 + 100,
        "pos_after": -2,
    }
    assert "pos_after = -2: the fold of this ledger gives -1" in desk.refused(Kind.FILL, **fields)


@pytest.mark.parametrize("change", [{"order": "nobody's"}, {"trade": "friday_0dte-20251121-9"}, {"symbol": "QQQ"}])
def test_a_fill_belongs_to_an_order_of_its_trade(desk: Desk, change: dict[str, str]) -> None:
    trade = desk.plan()
    order = desk.order(trade, {leg.symbol: leg.ratio for leg in trade.structure.legs})
    fields = {
        "fill": "f",
        "order": order,
        "trade": trade.id,
        "symbol": trade.structure.symbols[0],
        "qty": -1,
        "price_u6": 1,
        "mult": 100,
        "fee_u6": 0,
        "exec_time": desk.now,
        "source": "EVENT",
        "cash_after_u6": CASH_U6 + 100,
        "pos_after": -1,
    }
    assert "expected an order of" in desk.refused(Kind.FILL, **(fields | change))


def test_a_fill_and_an_order_id_are_used_once(desk: Desk) -> None:
    trade = desk.plan(units=2)
    order = desk.order(trade, {leg.symbol: leg.ratio * 2 for leg in trade.structure.legs})
    symbol = trade.structure.symbols[0]
    desk.fill(trade, order, symbol, -1, 1)
    fields = {
        "fill": f"{order}#1",
        "order": order,
        "trade": trade.id,
        "symbol": symbol,
        "qty": -1,
        "price_u6": 0,
        "mult": 100,
        "fee_u6": 0,
        "exec_time": desk.now,
        "source": "EVENT",
        "cash_after_u6": desk.books.cash_u6,
        "pos_after": -2,
    }
    assert "booked already" in desk.refused(Kind.FILL, **fields)
    again = {
        "order": order,
        "intent": "i",
        "trade": trade.id,
        "purpose": "OPEN",
        "attempt": 2,
        "type": "LIMIT",
        "tif": "DAY",
        "legs": [{"symbol": symbol, "qty": -1}],
        "deadline": desk.now,
    }
    assert "never used" in desk.refused(Kind.ORDER_INTENT, **again)


def test_a_transition_starts_from_the_state_that_the_trade_is_in(desk: Desk) -> None:
    trade = desk.plan()
    fields = {"trade": trade.id, "from": "OPEN", "trigger": "EXIT_DUE", "to": "EXITING"}
    assert "is PLANNED" in desk.refused(Kind.TRADE_STATE, **fields)


def test_only_an_opening_begins_a_trade(desk: Desk) -> None:
    row = {"symbol": "QQQ", "ratio": 1, "mult": 1}
    fields = {
        "intent": "i",
        "trade": "x-20251121-1",
        "purpose": "CLOSE",
        "structure": "SHARES",
        "legs": [row],
        "qty": 1,
        "risk_basis": "FAMILY",
    }
    assert "OPEN intent" in desk.refused(Kind.INTENT, **fields)


# ------------------------------------------------------------------------------------------------------- units, balance


@pytest.mark.parametrize(
    ("filled", "units", "balance"),
    [
        ((), 0, Balance.NONE),
        ((0, 1, 2, 3), 1, Balance.BALANCED),
        ((0, 1, 2, 3, 0, 1, 2, 3), 2, Balance.BALANCED),
        ((0, 1, 2), 0, Balance.UNBALANCED),
        ((0, 1, 2, 3, 1), 1, Balance.UNBALANCED),
    ],
)
def test_units_are_the_least_that_every_leg_has(
    desk: Desk, filled: tuple[int, ...], units: int, balance: Balance
) -> None:
    trade = desk.plan(condor(), units=3)
    order = desk.order(trade, {leg.symbol: leg.ratio * 3 for leg in trade.structure.legs})
    for leg in filled:
        desk.fill(trade, order, trade.structure.legs[leg].symbol, trade.structure.legs[leg].ratio, 1_000_000)
    assert (trade.units, trade.balance) == (units, balance)


def test_units_respect_the_ratios(desk: Desk) -> None:
    trade = desk.plan(one_one_two(), units=2, basis=RiskBasis.STRESS)
    order = desk.order(trade, {leg.symbol: leg.ratio * 2 for leg in trade.structure.legs})
    for symbol, qty in ((put(5_900).symbol, 2), (put(5_850).symbol, -2), (put(5_700).symbol, -3)):
        desk.fill(trade, order, symbol, qty, 1_000_000)
    assert trade.units == 1
    assert trade.balance is Balance.UNBALANCED


# ------------------------------------------------------------------------------------------------------------ uncovered


def test_a_short_without_its_wing_is_uncovered_from_its_fill_on(desk: Desk) -> None:
    trade = desk.plan(condor())
    order = desk.order(trade, {leg.symbol: leg.ratio for leg in trade.structure.legs})
    desk.fill(trade, order, put(5_900).symbol, -1, 2_000_000)
    naked_at = desk.now
    assert desk.books.uncovered(trade.id) == {put(5_900).symbol: 1}
    assert trade.uncovered_since == naked_at
    desk.wait(seconds=40)
    desk.fill(trade, order, call(6_000).symbol, -1, 2_000_000)
    assert [found.symbol for found in desk.books.uncovered_shorts] == [call(6_000).symbol, put(5_900).symbol]
    assert trade.uncovered_since == naked_at
    for wing in (put(5_895), call(6_005)):
        desk.fill(trade, order, wing.symbol, 1, 1_000_000)
    assert desk.books.uncovered_shorts == ()
    assert trade.uncovered_since is None


def test_declared_nakeds_of_all_approved_units_are_covered_by_the_approval(desk: Desk) -> None:
    trade = desk.open(one_one_two(), units=2, basis=RiskBasis.STRESS)
    assert desk.books.uncovered(trade.id) == {}


def test_a_wing_that_is_gone_at_the_broker_covers_nothing(desk: Desk) -> None:
    trade = desk.open(put_spread())
    short, wing = trade.structure.symbols
    break_ = {"symbol": wing, "book_qty": 1, "broker_qty": 0, "locked": [wing, BOOK]}
    desk.ledger.append(Kind.BREAK, "", desk.now, **break_, status="OPEN")
    assert desk.books.uncovered(trade.id) == {short: 1}
    assert trade.uncovered_since == desk.now
    assert desk.books.agreed_legs(trade.id) == {short: -1}
    assert desk.books.is_locked(BOOK)
    assert desk.books.is_locked(wing)
    desk.ledger.append(Kind.BREAK, "", desk.now, **break_ | {"broker_qty": 1}, status="CLEARED")
    assert desk.books.uncovered(trade.id) == {}
    assert not desk.books.is_locked(BOOK)


@pytest.mark.parametrize(("broker", "agreed"), [(-3, -2), (-1, -1), (0, 0), (1, 0)])
def test_the_agreed_quantity_is_the_smaller_one_where_the_signs_agree(desk: Desk, broker: int, agreed: int) -> None:
    trade = desk.open(put_spread(), units=2)
    short = trade.structure.symbols[0]
    desk.ledger.append(
        Kind.BREAK, "", desk.now, symbol=short, book_qty=-2, broker_qty=broker, status="OPEN", locked=[short]
    )
    assert desk.books.agreed_legs(trade.id).get(short, 0) == agreed


# ------------------------------------------------------------------------------------------------ expiry, splits, flows


def test_an_expiry_pays_every_trade_its_share(desk: Desk) -> None:
    first, second = desk.open(put_spread()), desk.open(put_spread(), units=2)
    short, wing = first.structure.symbols
    before = first.cash_u6, second.cash_u6
    desk.now = at(16, 15)
    desk.expire(short, cash_u6=-3 * 250_000_000)
    desk.expire(wing)
    assert first.cash_u6 - before[0] == -250_000_000
    assert second.cash_u6 - before[1] == -500_000_000
    assert first.is_flat
    assert second.is_flat
    assert desk.books.cash_u6 == CASH_U6 + first.pnl_u6 + second.pnl_u6


def test_only_what_a_book_holds_can_expire_in_it(desk: Desk) -> None:
    trade = desk.open(put_spread())
    short, wing = trade.structure.symbols
    fields = {"symbol": short, "result": "WORTHLESS", "price_u6": 1, "cash_u6": 0}
    for qty in (-1, 2):
        assert "EXPIRY.qty" in desk.refused(Kind.EXPIRY, **fields, qty=qty)
    fields["symbol"] = wing
    assert "EXPIRY.qty" in desk.refused(Kind.EXPIRY, **fields, qty=1)


def test_an_assignment_leaves_its_shares_in_the_book(desk: Desk) -> None:
    spy = structure((put(590), -1), name=StructureName.SINGLE)
    trade = desk.open(spy, basis=RiskBasis.STRESS)
    desk.ledger.append(
        Kind.EXPIRY, BOOK, desk.now, symbol=trade.structure.symbols[0], qty=1, result="ASSIGNED", price_u6=585_000_000,
        cash_u6=-59_000_000_000, deliver_symbol="SPY", deliver_qty=100,
    )  # fmt: skip
    assert desk.books.position_of(BOOK, "SPY") == 100
    assert trade.is_flat


@pytest.mark.parametrize(("held", "num", "den", "left"), [(10, 2, 1, 20), (10, 1, 4, 2), (7, 3, 2, 10)])
def test_a_split_scales_whole_shares(desk: Desk, held: int, num: int, den: int, left: int) -> None:
    shares = structure((instrument_from_symbol("QQQ", 1), 1), name=StructureName.SHARES)
    trade = desk.open(shares, units=held, basis=RiskBasis.FAMILY)
    desk.ledger.append(Kind.SPLIT, "", desk.now, symbol="QQQ", num=num, den=den)
    assert desk.books.position("QQQ") == desk.books.position_of(BOOK, "QQQ") == trade.legs["QQQ"] == trade.units == left


def test_deposits_are_external_flows_and_dividends_are_not(desk: Desk) -> None:
    for kind, amount in (("DEPOSIT", 500), ("WITHDRAWAL", -200), ("DIVIDEND", 30), ("FEE", -4)):
        desk.ledger.append(Kind.CASH_FLOW, "", desk.now, type=kind, amount_u6=amount)
    assert desk.books.flows_u6 == 300
    assert desk.books.cash_u6 == CASH_U6 + 326


# ------------------------------------------------------------------------------------------------ baselines, day counts


def _close(desk: Desk, day: date, equity_u6: int | None) -> None:
    hours = {"open_time": at(9, 30, day=day), "close_time": at(16, day=day), "half_day": False, "date": day}
    optional = {} if equity_u6 is None else {"equity_u6": equity_u6}
    desk.ledger.append(Kind.SESSION_CLOSED, "", at(16, day=day), **hours, cash_u6=desk.books.cash_u6, **optional)


def _mark(desk: Desk, now: datetime, equity_u6: int) -> None:
    desk.ledger.append(
        Kind.MARK, "", now, px={}, halted=[], equity_u6=equity_u6, engine_equity_u6=equity_u6, used_u6=0, reserved_u6=0,
        t_loss_u6=0, c_loss_u6=0,
    )  # fmt: skip


def test_the_baseline_is_the_last_closing_mark_before_a_day(desk: Desk) -> None:
    monday = date(2025, 11, 24)
    assert desk.books.close_before(monday) is None
    _mark(desk, at(10), 90)
    _close(desk, DAY, 100)
    desk.ledger.append(Kind.CASH_FLOW, "", at(16, day=DAY), type="DEPOSIT", amount_u6=7)
    _mark(desk, at(9, 45, day=monday), 110)
    close = desk.books.close_before(monday)
    assert close is not None
    assert (close.day, close.equity_u6, close.flows_u6) == (DAY, 100, 0)
    assert desk.books.close_before(DAY) is None


def test_where_a_closing_mark_is_missing_the_last_mark_before_stands_in(desk: Desk) -> None:
    monday = date(2025, 11, 24)
    _mark(desk, at(15, 58), 95)
    _close(desk, DAY, None)
    close = desk.books.close_before(monday)
    assert close is not None
    assert close.equity_u6 == 95


def test_a_ladder_without_a_fill_is_no_trade_of_the_day(desk: Desk) -> None:
    unfilled = desk.plan()
    desk.drive(unfilled, Trigger.DENIED, TradeState.CANCELLED)
    assert not desk.books.traded_on(BOOK, DAY)
    assert not desk.books.is_of_day(unfilled, DAY)
    assert desk.books.trades_named_on(BOOK, DAY) == 1
    working = desk.plan()
    assert desk.books.is_of_day(working, DAY)
    trade = desk.open()
    assert desk.books.traded_on(BOOK, DAY)
    assert not desk.books.traded_on(BOOK, DAY + timedelta(days=1))
    assert desk.books.is_of_day(trade, DAY)
    assert [one.id.rsplit("-", 1)[1] for one in desk.books.planned_on(BOOK, DAY)] == ["1", "2", "3"]


def test_a_stop_is_remembered_for_its_day(desk: Desk) -> None:
    trade = desk.open()
    assert not desk.books.stopped_on(BOOK, DAY)
    desk.close(trade, reason="EXIT_STOP")
    assert desk.books.stopped_on(BOOK, DAY)
    assert not desk.books.stopped_on("lt112", DAY)
    assert trade.exit_reason is Reason.EXIT_STOP


def test_orders_without_an_end_are_working_also_when_in_doubt(desk: Desk) -> None:
    trade = desk.plan()
    legs = {leg.symbol: leg.ratio for leg in trade.structure.legs}
    first = desk.order(trade, legs)
    desk.end(trade, first, "UNRESOLVED", filled=0, left=1)
    assert desk.books.working_orders(trade.id) == (first,)
    desk.end(trade, first, "LOST", filled=0, left=1)
    assert desk.books.working_orders() == ()
    assert desk.order(trade, legs).endswith("|OPEN|2")


def test_a_record_that_may_change_a_trade_or_a_holding_counts_as_a_change(desk: Desk) -> None:
    """Who keeps what he has read of trades compares this number: it may be too high, never too low."""
    seen = [desk.books.changes]
    trade = desk.open(put_spread())
    seen.append(desk.books.changes)
    desk.close(trade, price_u6=400_000)
    seen.append(desk.books.changes)
    assert seen == sorted(set(seen))
    refused = {"gate": "vix", "allowed": False, "reason": Reason.VIX_STALE, "scale_e6": 0, "ages": {}, "detail": {}}
    desk.ledger.append(Kind.VERDICT, BOOK, desk.now, **refused)
    assert desk.books.changes == seen[-1], "a refusal changes neither"


def test_refusals_are_counted_by_reason(desk: Desk) -> None:
    for reason in ("VIX_STALE", "VIX_STALE", "MAX_OPEN"):
        desk.ledger.append(
            Kind.VERDICT, BOOK, desk.now, gate="vix", allowed=False, reason=reason, scale_e6=0, ages={}, detail={}
        )
    assert desk.books.refusals == {Reason.VIX_STALE: 2, Reason.MAX_OPEN: 1}


@pytest.mark.parametrize("text", ["QQQ", "BRK.B", "ESZ25 C6000", "SPXW  259999P05900000", "SPXW  251121X05900000"])
def test_a_holding_that_is_no_osi_contract_is_a_line_of_its_own_name(text: str) -> None:
    found = instrument_from_symbol(text, 5)
    assert (found.symbol, found.underlying, found.multiplier, found.right) == (text, text, 5, None)


# ----------------------------------------------------------------------------------------------------------------- laws


class AnyDay(RuleBasedStateMachine):
    """Any sequence of valid plans, orders, fills, expiries, flows and restarts."""

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(live=True)
        self.working: dict[str, tuple[Trade, dict[str, int]]] = {}

    @rule(shape=st.sampled_from([put_spread, condor]), units=st.integers(1, 3), book=st.sampled_from([BOOK, "lt112"]))
    def start(self, shape: object, units: int, book: str) -> None:
        legs = shape()  # type: ignore[operator]
        trade = self.desk.plan(legs, units=units, strategy=book)
        wanted = {leg.symbol: leg.ratio * units for leg in legs.legs}
        self.working[self.desk.order(trade, wanted)] = (trade, wanted)
        self.desk.drive(trade, Trigger.SENT, TradeState.ENTERING)

    @precondition(lambda self: self.working)
    @rule(data=st.data(), price=st.integers(0, 20_000_000), fee=st.integers(0, 3_000_000))
    def fill(self, data: st.DataObject, price: int, fee: int) -> None:
        order = data.draw(st.sampled_from(sorted(self.working)))
        trade, left = self.working[order]
        symbol = data.draw(st.sampled_from(sorted(left)))
        qty = data.draw(st.integers(1, abs(left[symbol]))) * (1 if left[symbol] > 0 else -1)
        self.desk.fill(trade, order, symbol, qty, price, fee_u6=fee)
        left[symbol] -= qty
        if not left[symbol]:
            del left[symbol]
        if not left:
            del self.working[order]
            self.desk.end(trade, order)

    @precondition(lambda self: not self.working and self.desk.books.open_trades())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        trade = data.draw(st.sampled_from(self.desk.books.open_trades()))
        if trade.legs:
            self.desk.intend(trade, Purpose.CLOSE, "EXIT_TIME")
            wanted = {symbol: -qty for symbol, qty in trade.legs.items()}
            self.working[self.desk.order(trade, wanted, Purpose.CLOSE)] = (trade, wanted)

    @precondition(lambda self: any(trade.is_flat for trade in self.desk.books.open_trades()))
    @rule()
    def give_up(self) -> None:
        trade = next(trade for trade in self.desk.books.open_trades() if trade.is_flat)
        for order in [order for order, (owner, _left) in self.working.items() if owner is trade]:
            del self.working[order]
            self.desk.end(trade, order)
        end = TradeState.CANCELLED if trade.opened is None else TradeState.CLOSED
        self.desk.drive(trade, Trigger.FLAT, end)

    @precondition(lambda self: not self.working and self.desk.books.positions())
    @rule(data=st.data(), intrinsic=st.integers(0, 50_000_000))
    def expire(self, data: st.DataObject, intrinsic: int) -> None:
        symbol = data.draw(st.sampled_from(sorted(self.desk.books.positions())))
        for book in self.desk.books.holders(symbol):
            self.desk.expire(symbol, intrinsic * 100 * self.desk.books.position_of(book, symbol), book=book)

    @rule(amount=st.integers(-(10**9), 10**9).filter(bool))
    def flow(self, amount: int) -> None:
        kind = "DEPOSIT" if amount > 0 else "WITHDRAWAL"
        self.desk.ledger.append(Kind.CASH_FLOW, "", self.desk.now, type=kind, amount_u6=amount)

    @rule()
    def wait(self) -> None:
        self.desk.wait(minutes=1)

    @invariant()
    def the_books_of_all_strategies_add_up_to_the_position(self) -> None:
        books = self.desk.books
        total: dict[str, int] = {}
        for (_book, symbol), qty in books.positions_by_book().items():
            total[symbol] = total.get(symbol, 0) + qty
        assert {symbol: qty for symbol, qty in total.items() if qty} == dict(books.positions())

    @invariant()
    def the_legs_of_all_trades_add_up_to_the_books(self) -> None:
        total: dict[tuple[str, str], int] = {}
        for trade in self.desk.books.trades:
            for symbol, qty in trade.legs.items():
                total[(trade.strategy, symbol)] = total.get((trade.strategy, symbol), 0) + qty
        assert {key: qty for key, qty in total.items() if qty} == dict(self.desk.books.positions_by_book())

    @invariant()
    def cash_is_the_start_the_flows_and_the_results(self) -> None:
        books = self.desk.books
        assert books.cash_u6 == CASH_U6 + books.flows_u6 + sum(trade.pnl_u6 for trade in books.trades)
        assert books.fees_u6 == sum(trade.fees_u6 for trade in books.trades)

    @invariant()
    def what_is_uncovered_has_a_since(self) -> None:
        for trade in self.desk.books.trades:
            assert bool(self.desk.books.uncovered(trade.id)) is (trade.uncovered_since is not None)

    @invariant()
    def quick_answers_are_those_of_the_trades(self) -> None:
        books = self.desk.books
        left = tuple(trade for trade in books.trades if not trade.state.is_end)
        assert books.open_trades() == left
        assert books.open_trades(BOOK) == tuple(trade for trade in left if trade.strategy == BOOK)
        assert books.has_open_trades is bool(left)
        closed = [trade for trade in books.trades if trade.state is TradeState.CLOSED]
        assert (books.closed_count, books.result_u6) == (len(closed), sum(trade.pnl_u6 for trade in closed))
        assert books.is_flat is not any(trade.legs for trade in books.trades)
        assert books.has_uncovered is any(trade.uncovered_since is not None for trade in left)

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.ledger.flush(durable=True)
            again = Books()
            found = replay_ledger(self.desk.store, RUN, again.takes)
            assert (found.broken, found.head) == ("", self.desk.ledger.head())
            assert standing(again) == standing(self.desk.books)


test_any_day = AnyDay.TestCase


@given(st.integers(1, 5), st.integers(-9, 9).filter(bool), st.integers(-(10**12), 10**12))
def test_an_expiry_gives_away_exactly_its_cash(trades: int, scale: int, cash_u6: int) -> None:
    desk = Desk()
    held = [desk.open(put_spread(), units=abs(scale) + number) for number in range(trades)]
    before = sum(trade.cash_u6 for trade in held)
    desk.expire(put(5_900).symbol, cash_u6)
    assert sum(trade.cash_u6 for trade in held) - before == cash_u6
    assert all(put(5_900).symbol not in trade.legs for trade in held)
