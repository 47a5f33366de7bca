"""The price of a structure in net cash, and the ladder along which an order walks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import MISSING_QUOTE, Quote, QuoteVerdict
from core.net_quote import NetQuote, PriceLadder, all_good, net_quote, usable
from core.settings import OrderSettings
from core.vocabulary import Ladder, Structure
from helpers.tick_grid import is_on_grid
from tests.risk.builders import call_spread, condor, put_spread

SETTINGS = OrderSettings()
TICK = 0.05
V = QuoteVerdict


def around(mid: float, half: float) -> NetQuote:
    """A net quote in net cash: natural below mid, passive above it."""
    return NetQuote(mid - half, mid + half)


def walk(ladder: Ladder, net: NetQuote, *, floor: float | None = None, steps: int = 5) -> list[float | None]:
    prices = PriceLadder.of(ladder, SETTINGS)
    return [prices.cash(step, net, TICK, floor) for step in range(steps)]


def quotes(structure: Structure, *pairs: tuple[float | None, float | None]) -> dict[str, Quote]:
    verdicts = (V.GOOD if bid is not None else V.NO_BID for bid, _ask in pairs)
    return {
        symbol: Quote(verdict, bid, ask, age_s=0.0)
        for symbol, verdict, (bid, ask) in zip(structure.symbols, verdicts, pairs, strict=True)
    }


def of(found: dict[str, Quote], symbol: str) -> Quote:
    return found.get(symbol, MISSING_QUOTE)


def test_a_condor_is_sold_at_the_bids_of_its_shorts_less_the_asks_of_its_wings() -> None:
    structure = condor()
    found = quotes(structure, (0.5, 0.6), (2.0, 2.2), (1.9, 2.1), (0.4, 0.5))
    net = net_quote(structure, lambda symbol: of(found, symbol))
    assert net is not None
    assert net.natural == pytest.approx(2.0 + 1.9 - 0.6 - 0.5)
    assert net.passive == pytest.approx(2.2 + 2.1 - 0.5 - 0.4)
    assert net.spread == pytest.approx(0.6)
    assert net.mid == pytest.approx(3.1)
    assert net.half == pytest.approx(0.3)


def test_closing_is_the_same_quote_seen_from_the_other_side() -> None:
    structure = condor()
    found = quotes(structure, (0.5, 0.6), (2.0, 2.2), (1.9, 2.1), (0.4, 0.5))
    opened = net_quote(structure, lambda symbol: of(found, symbol))
    closed = net_quote(structure.inverse(), lambda symbol: of(found, symbol))
    assert opened is not None
    assert closed is not None
    assert closed.natural == pytest.approx(-opened.passive)
    assert closed.passive == pytest.approx(-opened.natural)


def test_a_bought_leg_without_a_bid_is_free_on_the_passive_side_and_a_sold_one_has_no_price() -> None:
    structure = put_spread()
    bidless_wing = quotes(structure, (None, 0.05), (2.0, 2.2))
    net = net_quote(structure, lambda symbol: of(bidless_wing, symbol))
    assert net is not None
    assert [net.natural, net.passive] == pytest.approx([1.95, 2.2])
    assert all_good(structure, lambda symbol: of(bidless_wing, symbol))

    bidless_short = quotes(structure, (0.1, 0.2), (None, 2.2))
    assert net_quote(structure, lambda symbol: of(bidless_short, symbol)) is None
    assert not all_good(structure, lambda symbol: of(bidless_short, symbol))


@pytest.mark.parametrize("side", [0, 1])
def test_a_leg_without_an_ask_has_no_net_quote(side: int) -> None:
    structure = put_spread()
    found = quotes(structure, (0.1, 0.2), (2.0, 2.2))
    found[structure.symbols[side]] = Quote(V.MISSING, 0.1, None)
    assert net_quote(structure, lambda symbol: of(found, symbol)) is None


def test_f0_01_a_condor_is_offered_from_the_passive_side_down_to_its_worst_price() -> None:
    assert walk(Ladder.ENTRY, around(2.70, 0.40), steps=4) == [2.80, 2.70, 2.65, 2.55]


def test_f0_02_the_worst_price_of_a_spread_is_rounded_in_our_favour() -> None:
    assert walk(Ladder.ENTRY, around(1.30, 0.15), steps=4)[3] == 1.25


def test_f0_09_a_target_bids_its_mid_and_never_more_than_a_tick_beyond_the_target() -> None:
    closing = around(-1.30, 0.25)
    assert walk(Ladder.TARGET, closing, floor=-1.35) == [-1.30, -1.35, -1.35, -1.35, -1.35]


def test_an_urgent_close_walks_past_natural_and_holds_at_the_last_price() -> None:
    assert walk(Ladder.URGENT, around(-5.00, 0.50), steps=7) == [-5.30, -5.50, -5.55, -5.60, -5.70, -5.70, -5.70]


def test_ux_05_a_close_never_pays_more_than_the_width() -> None:
    assert walk(Ladder.URGENT, around(-9.90, 0.10), floor=-10.0) == [-9.95, -10.0, -10.0, -10.0, -10.0]


def test_a_price_of_nothing_is_skipped() -> None:
    assert walk(Ladder.TARGET, around(0.0, 0.10), steps=3) == [None, None, -0.05]


@given(
    st.sampled_from([Ladder.ENTRY, Ladder.TARGET, Ladder.URGENT, Ladder.FLATTEN]),
    st.floats(-20, 20),
    st.floats(0, 5),
    st.one_of(st.none(), st.floats(-20, 20)),
)
def test_every_price_is_on_the_grid_never_below_the_floor_and_never_better_than_the_step_before(
    ladder: Ladder, mid: float, half: float, floor: float | None
) -> None:
    prices = [price for price in walk(ladder, around(mid, half), floor=floor, steps=6) if price is not None]
    assert all(is_on_grid(price, TICK) for price in prices)
    assert prices == sorted(prices, reverse=True)
    if floor is not None:
        assert all(price >= floor - 1e-6 for price in prices)


@given(st.floats(-20, 20), st.floats(0.05, 5))
def test_an_entry_never_gives_away_the_whole_spread(mid: float, half: float) -> None:
    net = around(mid, half)
    worst = PriceLadder.of(Ladder.ENTRY, SETTINGS).cash(3, net, TICK)
    assert worst is None or worst >= net.natural


@pytest.mark.parametrize(
    ("verdict", "is_usable"),
    [
        (V.GOOD, True),
        (V.WIDE, True),
        (V.LOCKED, True),
        (V.NO_BID, True),
        (V.CROSSED, False),
        (V.STALE, False),
        (V.MISSING, False),
        (V.HALTED, False),
    ],
)
def test_an_exit_may_be_priced_by_any_present_market_that_is_not_crossed(
    verdict: QuoteVerdict, is_usable: bool
) -> None:
    assert usable(Quote(verdict, 1.0, 1.2)) is is_usable
    assert not usable(Quote(V.NO_BID, None, None))


def test_a_call_spread_is_priced_like_a_put_spread() -> None:
    structure = call_spread()
    found = quotes(structure, (1.7, 1.8), (0.4, 0.5))
    net = net_quote(structure, lambda symbol: of(found, symbol))
    assert net is not None
    assert [net.natural, net.passive] == pytest.approx([1.2, 1.4])
