"""Fills of combo orders: the table of measured facts, and the laws behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.enums import OrderDirection, OrderStatus, OrderType
from engine.models.fills import fill, fills_at_submission
from engine.orders import Order, OrderEvent
from tests.engine.models.builders import HOLIDAY, Market, TestSecurity, at, bar, combo

CREDIT_RATIOS = (1, -1, -1, 1)  # long put, short put, short call, long call


def legs_of(securities: list[TestSecurity], ratios: tuple[int, ...]) -> list[tuple[TestSecurity, float]]:
    return [(security, float(ratio)) for security, ratio in zip(securities, ratios, strict=True)]


def condor_quoted(end: str, sides: list[tuple[tuple[float, float], tuple[float, float]]]) -> list[TestSecurity]:
    """Return long put, short put, short call, long call with (low, high) of bid and ask in the bar that ends then."""
    market = Market()
    contracts = [market.option(5780, "P"), market.option(5800, "P"), market.option(5900, "C"), market.option(5920, "C")]
    for contract, (bid, ask) in zip(contracts, sides, strict=True):
        contract.quoted(end, bar(end, *bid), bar(end, *ask))
    return contracts


def run(orders: list[Order], securities: list[TestSecurity], now: str) -> list[OrderEvent]:
    pairs = list(zip(orders, securities, strict=True))
    return fill(orders[0], securities[0], at(now), pairs)


def net_paid(events: list[OrderEvent]) -> float:
    return round(sum(event.fill_price * event.fill_quantity for event in events), 4)


def test_negative_limit_opens_the_credit_condor() -> None:
    securities = condor_quoted(
        "10:01",
        [
            ((7.7, 7.8), (7.9, 8.0)),
            ((14.4, 14.6), (14.7, 14.8)),
            ((1.15, 1.2), (1.25, 1.3)),
            ((0.3, 0.35), (0.4, 0.45)),
        ],
    )
    orders = combo(OrderType.COMBO_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), limit=-7.20)

    events = run(orders, securities, "10:01")

    assert [event.fill_price for event in events] == [7.9, 14.4, 1.15, 0.4]
    assert net_paid(events) == -7.25
    assert {event.status for event in events} == {OrderStatus.FILLED}


@pytest.mark.parametrize(
    ("lots", "ratios", "limit", "prices", "credit"),
    [
        # Bought: at the lows of the bids (legs sold) and asks (legs bought).  Sold: at the highs.  Natural: 3.00.
        (1, (1, -1, -1, 1), -2.90, [0.35, 1.80, 1.70, 0.20], 2.95),
        (-1, (-1, 1, 1, -1), 2.90, [0.45, 1.95, 1.80, 0.25], 3.05),
        # Closing has the mirrored effect.
        (1, (-1, 1, 1, -1), 3.60, [0.25, 2.00, 1.90, 0.15], -3.50),
        (-1, (1, -1, -1, 1), -3.70, [0.35, 2.15, 2.00, 0.20], -3.60),
    ],
)
def test_orientation_decides_which_end_of_the_bar_fills(
    lots: float, ratios: tuple[int, ...], limit: float, prices: list[float], credit: float
) -> None:
    securities = condor_quoted(
        "10:01",
        [
            ((0.25, 0.35), (0.35, 0.45)),
            ((1.80, 1.95), (2.00, 2.15)),
            ((1.70, 1.80), (1.90, 2.00)),
            ((0.15, 0.20), (0.20, 0.25)),
        ],
    )
    orders = combo(OrderType.COMBO_LIMIT, lots, legs_of(securities, ratios), limit=limit)

    events = run(orders, securities, "10:01")

    assert [event.fill_price for event in events] == prices
    assert net_paid(events) == -credit


def flat_condor(end: str) -> list[TestSecurity]:
    """Return a condor whose natural credit is 4.10."""
    return condor_quoted(
        end, [((1.0, 1.0), (1.1, 1.1)), ((4.0, 4.0), (4.2, 4.2)), ((2.0, 2.0), (2.1, 2.1)), ((0.7, 0.7), (0.8, 0.8))]
    )


@pytest.mark.parametrize(
    ("lots", "ratios", "limit", "does_fill"),
    [
        (1, (1, -1, -1, 1), -4.10, False),  # strict: the limit itself does not fill
        (1, (1, -1, -1, 1), -4.09, True),
        (1, (1, -1, -1, 1), -4.15, False),
        (-1, (-1, 1, 1, -1), 4.10, False),
        (-1, (-1, 1, 1, -1), 4.05, True),
        (1, (1, -1, -1, 1), 4.10, True),  # wrong sign: marketable at once, nothing complains
    ],
)
def test_limit_must_be_beaten(lots: float, ratios: tuple[int, ...], limit: float, does_fill: bool) -> None:
    securities = flat_condor("10:01")
    orders = combo(OrderType.COMBO_LIMIT, lots, legs_of(securities, ratios), limit=limit)

    events = run(orders, securities, "10:01")

    assert bool(events) is does_fill
    if does_fill:
        assert net_paid(events) == -4.10


def test_one_event_per_leg_in_order_of_ids_at_one_time() -> None:
    securities = flat_condor("10:21")
    orders = combo(OrderType.COMBO_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), limit=-4.0, first_id=9)
    shuffled = [2, 0, 3, 1]

    pairs = [(orders[index], securities[index]) for index in shuffled]
    events = fill(orders[2], securities[2], at("10:21"), pairs)

    assert [event.order_id for event in events] == [9, 10, 11, 12]
    assert {event.utc for event in events} == {at("10:21")}
    assert [event.fill_quantity for event in events] == [1, -1, -1, 1]


@pytest.mark.parametrize("stale", [0, 1, 2, 3])
def test_one_leg_without_new_quote_holds_back_all(stale: int) -> None:
    securities = flat_condor("10:01")
    securities[stale].quoted("09:59", 1.0, 1.0)
    orders = combo(OrderType.COMBO_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), limit=9.0)

    assert run(orders, securities, "10:01") == []


def test_fresh_order_waits_for_the_next_bar() -> None:
    """The broker asks for no fill in the step that sent the order."""
    assert not fills_at_submission(OrderType.COMBO_LIMIT)
    assert not fills_at_submission(OrderType.LIMIT)
    assert fills_at_submission(OrderType.MARKET)
    assert fills_at_submission(OrderType.COMBO_MARKET)


def test_bar_that_ended_when_the_order_was_sent_will_do_later() -> None:
    """Without a newer quote the next step fills on it: only older bars are stale."""
    securities = flat_condor("10:00")
    orders = combo(OrderType.COMBO_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), at("10:00"), limit=-4.0)

    assert net_paid(run(orders, securities, "10:01")) == -4.10


def test_changed_limit_fills_on_the_bar_before_the_change() -> None:
    securities = flat_condor("10:05")
    orders = combo(OrderType.COMBO_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), at("10:00"), limit=-4.5)
    assert run(orders, securities, "10:05") == []

    group = orders[0].group_order_manager
    assert group is not None
    group.limit_price = -4.0  # in the same minute

    assert net_paid(run(orders, securities, "10:05")) == -4.10


def test_new_quantity_of_the_group_scales_every_leg() -> None:
    securities = flat_condor("10:01")
    orders = combo(OrderType.COMBO_LIMIT, -1, legs_of(securities, (-1, 1, 1, -1)), limit=4.0)
    group = orders[0].group_order_manager
    assert group is not None

    group.quantity = -3

    assert [event.fill_quantity for event in run(orders, securities, "10:01")] == [3, -3, -3, 3]


def test_three_condors_close_in_one_combo_of_twelve_legs() -> None:
    market = Market()
    legs: list[tuple[TestSecurity, float]] = []
    for shift in (0, 50, 100):
        for strike, right, ratio in ((5680, "P", -1), (5700, "P", 1), (6000, "C", 1), (6020, "C", -1)):
            legs.append((market.option(strike + shift, right).quoted("15:51", 0.5, 0.6), ratio))
    orders = combo(OrderType.COMBO_LIMIT, 1, legs, at("15:50"), limit=0.65)

    events = run(orders, [security for security, _ in legs], "15:51")

    assert len(events) == 12
    assert net_paid(events) == 0.6


def test_single_leg_combo_fills() -> None:
    option = Market().option(5800, "P").quoted("10:01", bar("10:01", 1.0, 1.2), bar("10:01", 1.1, 1.3))
    orders = combo(OrderType.COMBO_LIMIT, 2, [(option, 1)], limit=1.15)

    (event,) = run(orders, [option], "10:01")

    assert (event.fill_price, event.fill_quantity) == (1.1, 2)


def test_a_share_counts_for_a_hundredth_in_the_net() -> None:
    market = Market()
    stock = market.stock("SPY", 580.0).quoted("10:01", 579.99, 580.01)
    call = market.stock_option(stock, 585.0, "C").quoted("10:01", 2.0, 2.1)
    orders = combo(OrderType.COMBO_LIMIT, 1, [(stock, 100), (call, -1)], limit=578.02)

    events = run(orders, [stock, call], "10:01")

    assert [(event.fill_price, event.fill_quantity) for event in events] == [(580.01, 100), (2.0, -1)]


def test_a_leg_without_bid_is_sold_at_the_cached_price() -> None:
    """LEAN falls back to the security's price, which for an option without bid is its ask."""
    securities = flat_condor("10:01")
    securities[1].priced(4.2).quoted("10:01", None, 4.2)
    orders = combo(OrderType.COMBO_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), limit=-4.0)

    assert [event.fill_price for event in run(orders, securities, "10:01")] == [1.1, 4.2, 2.0, 0.8]


def test_a_bid_of_zero_sells_for_nothing() -> None:
    option = Market().option(5700, "P").quoted("10:01", 0.0, 0.05)
    orders = combo(OrderType.COMBO_LIMIT, -1, [(option, 1)], limit=-0.05)

    (event,) = run(orders, [option], "10:01")

    assert event.fill_price == 0.0


# -- combo market


def test_combo_market_fills_inside_the_call_at_the_closes() -> None:
    securities = condor_quoted(
        "10:00",
        [((1.0, 1.05), (1.1, 1.2)), ((4.0, 4.1), (4.2, 4.3)), ((2.0, 2.1), (2.1, 2.2)), ((0.7, 0.75), (0.8, 0.9))],
    )
    orders = combo(OrderType.COMBO_MARKET, 1, legs_of(securities, CREDIT_RATIOS), at("10:00"))

    events = run(orders, securities, "10:00")

    assert [event.fill_price for event in events] == [1.2, 4.1, 2.1, 0.9]


@pytest.mark.parametrize("now", ["16:00", "16:01", "16:05", "16:14"])
def test_expiring_spxw_still_trades_on_the_frozen_quotes_after_four(now: str) -> None:
    securities = flat_condor("16:00")
    orders = combo(OrderType.COMBO_MARKET, 1, legs_of(securities, CREDIT_RATIOS), at(now))

    assert net_paid(run(orders, securities, now)) == -4.10


def test_combo_market_waits_when_one_leg_is_stale() -> None:
    securities = flat_condor("10:00")
    securities[3].quoted("08:59", 0.7, 0.8)
    orders = combo(OrderType.COMBO_MARKET, 1, legs_of(securities, CREDIT_RATIOS), at("10:00"))

    assert run(orders, securities, "10:00") == []


def test_combo_market_waits_for_an_open_exchange() -> None:
    securities = flat_condor("10:00")
    orders = combo(OrderType.COMBO_MARKET, 1, legs_of(securities, CREDIT_RATIOS), at("10:00", HOLIDAY))

    pairs = list(zip(orders, securities, strict=True))
    assert fill(orders[0], securities[0], at("10:00", HOLIDAY), pairs) == []


# -- combo leg limit


@pytest.mark.parametrize(
    ("limits", "prices"),
    [
        ((1.15, 3.9, 1.9, 0.85), [1.1, 4.0, 2.0, 0.8]),  # the worst of the bar where the whole bar is better
        ((1.15, 4.0, 1.9, 0.85), []),  # one leg only at its limit: none fills
    ],
)
def test_every_leg_must_beat_its_own_limit(limits: tuple[float, ...], prices: list[float]) -> None:
    securities = flat_condor("11:13")
    orders = combo(OrderType.COMBO_LEG_LIMIT, 1, legs_of(securities, CREDIT_RATIOS), at("11:12"), leg_limits=limits)

    assert [event.fill_price for event in run(orders, securities, "11:13")] == prices


# -- laws

_CENTS = st.integers(0, 3_000)


@given(
    sides=st.lists(st.tuples(_CENTS, _CENTS, _CENTS, _CENTS), min_size=4, max_size=4),
    limit=st.integers(-8_000, 8_000).filter(bool),
    lots=st.sampled_from((-7, -1, 1, 7)),
    ratios=st.sampled_from(((1, -1, -1, 1), (-1, 1, 1, -1), (1, -2, 1, 1))),
)
def test_combo_limit_is_all_or_none_and_never_worse_than_the_limit(
    sides: list[tuple[int, int, int, int]], limit: int, lots: int, ratios: tuple[int, ...]
) -> None:
    quotes = []
    for bid_low, bid_range, spread, ask_range in sides:
        bid = (bid_low / 100, (bid_low + bid_range) / 100)
        ask = ((bid_low + spread) / 100, (bid_low + spread + ask_range) / 100)
        quotes.append((bid, ask))
    securities = condor_quoted("10:01", quotes)
    orders = combo(OrderType.COMBO_LIMIT, lots, legs_of(securities, ratios), limit=limit / 100)
    group = orders[0].group_order_manager
    assert group is not None

    events = run(orders, securities, "10:01")

    assert len(events) in (0, 4)
    if events:
        # Integer cents: the comparison must not depend on float noise.
        net = sum(round(event.fill_price * 100) * ratio for event, ratio in zip(events, ratios, strict=True))
        assert net < limit if group.direction is OrderDirection.BUY else net > limit
        assert [event.fill_quantity for event in events] == [ratio * lots for ratio in ratios]
