"""The plan of the family: what goes before what comes, and never the two together."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.family import SYMBOLS, SizeVerdict
from core.family_reconciler import FamilyHoldings, FamilyOrder, FamilyWorking, Plan, reconcile
from core.reasons import Reason
from core.vocabulary import FamilyTarget, Purpose

CASH, QQQ, TQQQ, PSQ, SQQQ = (FamilyTarget(name) for name in ("CASH", "QQQ", "TQQQ", "PSQ", "SQQQ"))


def fits(qty: int = 100) -> SizeVerdict:
    return SizeVerdict(qty, 85.19, Reason.ALLOWED if qty else Reason.CASH_SHORT)


def never() -> SizeVerdict:
    raise AssertionError("the sizer is never asked about a close")


def holds(book: Mapping[str, int], broker: Mapping[str, int] | None = None, **more: object) -> FamilyHoldings:
    return FamilyHoldings(book, book if broker is None else broker, **more)  # type: ignore[arg-type]


def selling(symbol: str, qty: int, **more: bool) -> FamilyWorking:
    return FamilyWorking(f"sell {symbol}", symbol, Purpose.CLOSE, -qty, **more)


def buying(symbol: str, qty: int, purpose: Purpose = Purpose.OPEN, **more: bool) -> FamilyWorking:
    return FamilyWorking(f"buy {symbol}", symbol, purpose, qty, **more)


def test_from_nothing_the_target_is_opened() -> None:
    assert reconcile(TQQQ, holds({}), [], fits) == Plan(open=FamilyOrder("TQQQ", 100, Purpose.OPEN))


def test_a_size_of_zero_is_no_opening_and_gives_its_reason() -> None:
    assert reconcile(TQQQ, holds({}), [], lambda: fits(0)) == Plan(reason=Reason.CASH_SHORT)


@pytest.mark.parametrize("held", ["QQQ", "PSQ", "SQQQ"])
def test_etf_02_the_close_goes_first_and_alone(held: str) -> None:
    plan = reconcile(TQQQ, holds({held: 352}), [], never)
    assert plan.closes == (FamilyOrder(held, -352, Purpose.CLOSE),)
    assert plan.open is None
    assert plan.reason is Reason.CLOSE_NOT_CONFIRMED


def test_etf_s03_the_opening_comes_in_a_later_step_than_the_close_fill() -> None:
    same_step = reconcile(QQQ, holds({}, closed_in_step=True), [], never)
    assert same_step == Plan(reason=Reason.CLOSE_NOT_CONFIRMED)
    assert reconcile(QQQ, holds({}), [], fits).open == FamilyOrder("QQQ", 100, Purpose.OPEN)


def test_etf_05_nothing_is_sold_that_is_not_held() -> None:
    assert reconcile(CASH, holds({}), [], never).is_empty
    assert reconcile(CASH, holds({"QQQ": 0}, {"QQQ": 0}), [], never).is_empty


def test_etf_06_what_is_sold_is_what_is_held() -> None:
    plan = reconcile(CASH, holds({"PSQ": 41, "TQQQ": 352}), [], never)
    assert plan.closes == (FamilyOrder("TQQQ", -352, Purpose.CLOSE), FamilyOrder("PSQ", -41, Purpose.CLOSE))


def test_etf_s09_after_a_partial_close_the_rest_is_sold_and_nothing_opens() -> None:
    plan = reconcile(SQQQ, holds({"TQQQ": 52}), [], never)
    assert plan == Plan(closes=(FamilyOrder("TQQQ", -52, Purpose.CLOSE),), reason=Reason.CLOSE_NOT_CONFIRMED)


def test_property_11_what_already_sells_is_not_sold_twice() -> None:
    assert reconcile(CASH, holds({"TQQQ": 352}), [selling("TQQQ", 352)], never).is_empty
    rest = reconcile(CASH, holds({"TQQQ": 352}), [selling("TQQQ", 300)], never)
    assert rest.closes == (FamilyOrder("TQQQ", -52, Purpose.CLOSE),)


def test_a_sale_in_doubt_is_not_repeated_and_nothing_opens_beside_it() -> None:
    doubt = [selling("TQQQ", 352, in_doubt=True)]
    assert reconcile(CASH, holds({"TQQQ": 352}), doubt, never).is_empty
    assert reconcile(QQQ, holds({}), doubt, never) == Plan(reason=Reason.FAMILY_UNRESOLVED)


def test_etf_s17_book_and_broker_disagree_and_only_the_agreed_shares_are_sold() -> None:
    assert reconcile(CASH, holds({"TQQQ": 352}, {"TQQQ": 0}), [], never).is_empty
    assert reconcile(QQQ, holds({"TQQQ": 352}, {"TQQQ": 0}), [], never).open is None
    part = reconcile(CASH, holds({"TQQQ": 352}, {"TQQQ": 300}), [], never)
    assert part.closes == (FamilyOrder("TQQQ", -300, Purpose.CLOSE),)


def test_shares_that_only_the_broker_has_are_nobodys_to_sell_and_nothing_opens_beside_them() -> None:
    foreign = holds({}, {"QQQ": 100})
    assert reconcile(CASH, foreign, [], never).is_empty
    assert reconcile(TQQQ, foreign, [], never).reason is Reason.CLOSE_NOT_CONFIRMED


@pytest.mark.parametrize("working", [selling("QQQ", 5), buying("TQQQ", 100), buying("TQQQ", 9, Purpose.ADD)])
def test_nothing_opens_while_an_order_of_the_family_works(working: FamilyWorking) -> None:
    assert reconcile(TQQQ, holds({}), [working], never) == Plan(reason=Reason.FAMILY_ORDER_WORKING)


def test_an_opening_of_another_symbol_is_cancelled_before_anything_else() -> None:
    plan = reconcile(SQQQ, holds({}), [buying("TQQQ", 100)], never)
    assert plan == Plan(cancels=("buy TQQQ",), reason=Reason.CLOSE_NOT_CONFIRMED)
    waiting = reconcile(SQQQ, holds({}), [buying("TQQQ", 100, cancelling=True)], never)
    assert waiting == Plan(reason=Reason.FAMILY_ORDER_WORKING)


def test_what_an_opening_has_filled_is_sold_once_its_cancel_is_confirmed() -> None:
    at_work = reconcile(CASH, holds({"TQQQ": 200}), [buying("TQQQ", 152)], never)
    assert at_work == Plan(cancels=("buy TQQQ",))
    confirmed = reconcile(CASH, holds({"TQQQ": 200}), [], never)
    assert confirmed.closes == (FamilyOrder("TQQQ", -200, Purpose.CLOSE),)


def test_etf_01_p2_two_symbols_of_one_side_the_one_that_is_not_wanted_is_sold() -> None:
    plan = reconcile(TQQQ, holds({"QQQ": 10, "TQQQ": 100}), [], never)
    assert plan.closes == (FamilyOrder("QQQ", -10, Purpose.CLOSE),)
    assert plan.open is None


def test_p4_a_short_is_bought_back_exactly_to_zero() -> None:
    for target in (CASH, TQQQ, QQQ):
        plan = reconcile(target, holds({"TQQQ": -7}), [], never)
        assert plan.closes == (FamilyOrder("TQQQ", 7, Purpose.CLOSE),)
        assert plan.open is None


def test_p3_one_opening_a_bar() -> None:
    assert reconcile(TQQQ, holds({}, opens_in_bar=1), [], never) == Plan(reason=Reason.OPEN_CAP_BAR)


def test_etf_s08_a_holding_of_the_target_is_added_to() -> None:
    plan = reconcile(TQQQ, holds({"TQQQ": 200}), [], lambda: fits(152))
    assert plan == Plan(open=FamilyOrder("TQQQ", 152, Purpose.ADD))


def test_etf_s07_a_surplus_is_reduced_and_never_more_than_is_held() -> None:
    plan = reconcile(TQQQ, holds({"TQQQ": 352}), [], never, surplus=26)
    assert plan.closes == (FamilyOrder("TQQQ", -26, Purpose.REDUCE),)
    assert reconcile(TQQQ, holds({"TQQQ": 352}), [], never, surplus=999).closes[0].qty == -352


quantities = st.dictionaries(st.sampled_from(SYMBOLS), st.integers(-50, 400))
orders = st.lists(
    st.builds(
        FamilyWorking, st.uuids().map(str), st.sampled_from(SYMBOLS),
        st.sampled_from([Purpose.OPEN, Purpose.ADD, Purpose.CLOSE]), st.integers(-400, 400).filter(bool),
        st.booleans(), st.booleans(),
    ),
    max_size=4,
)  # fmt: skip


@given(st.sampled_from(list(FamilyTarget)), quantities, quantities, orders, st.integers(0, 500), st.integers(0, 500))
def test_property_11_no_plan_sells_more_than_is_agreed_or_opens_beside_anything(
    target: FamilyTarget, book: dict[str, int], broker: dict[str, int], working: list[FamilyWorking], size: int,
    surplus: int,
) -> None:  # fmt: skip
    holdings = FamilyHoldings(book, broker)
    plan = reconcile(target, holdings, working, lambda: fits(size), surplus=surplus)
    assert not (plan.closes and plan.open)
    assert not (plan.cancels and plan.open)
    for order in plan.closes:
        sells = sum(item.qty for item in working if item.symbol == order.symbol)
        agreed = holdings.agreed(order.symbol)
        assert agreed * order.qty < 0
        assert abs(order.qty + sells) <= abs(agreed) or (abs(order.qty) <= abs(agreed) and sells * order.qty < 0)
    if plan.open is not None:
        assert working == []
        assert plan.open.symbol == target.value
        assert all(not holdings.is_held(symbol) for symbol in SYMBOLS if symbol != target.value)
        assert plan.open.qty > 0


@given(st.sampled_from(list(FamilyTarget)), quantities.map(lambda held: {k: abs(v) for k, v in held.items()}))
def test_property_2_the_plan_after_a_filled_plan_is_empty(target: FamilyTarget, start: dict[str, int]) -> None:
    held = dict(start)

    def size() -> SizeVerdict:
        return fits(0) if held.get(target.value, 0) else fits(100)

    for _ in range(3):
        plan = reconcile(target, holds(held), [], size)
        for order in (*plan.closes, *((plan.open,) if plan.open else ())):
            held[order.symbol] = held.get(order.symbol, 0) + order.qty
    assert reconcile(target, holds(held), [], size).is_empty
    assert [symbol for symbol in SYMBOLS if held.get(symbol)] == ([] if target is CASH else [target.value])


@given(st.sampled_from(list(FamilyTarget)), st.integers(0, 500), quantities, st.booleans())
def test_where_the_book_holds_the_target_alone_nothing_has_to_go_whatever_the_broker_says(
    target: FamilyTarget, held: int, broker: dict[str, int], closed: bool
) -> None:
    # The desk does not ask the broker in such a minute, unless something is to be opened.
    book = {target.value: held} if held and target is not CASH else {}
    plan = reconcile(target, holds(book, broker, closed_in_step=closed), [], lambda: fits(0))
    assert (plan.cancels, plan.closes, plan.open) == ((), (), None)
