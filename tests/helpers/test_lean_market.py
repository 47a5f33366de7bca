"""The feed over LEAN's slice: a narrow read shows the rows that the whole chain shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from core.ports import RawChain
from core.vocabulary import Instrument
from tests.risk.builders import put
from tests.world import CALL, FRIDAY, PUT, SPOT, STRIKES, THURSDAY, World, contract, minute

if TYPE_CHECKING:
    from helpers.lean_market import LeanMarket

NOW = "10:20"
AT = datetime.combine(FRIDAY, time.fromisoformat(NOW))


def prepare(world: World) -> None:
    world.silence(SPOT, PUT, since=NOW)  # absent
    world.quote(SPOT, CALL, None, 20.0, since=NOW)  # nobody bids
    world.silence(SPOT - 5, CALL, since=NOW)  # traded only
    world.source.set_bar(contract(SPOT - 5, CALL), FRIDAY, minute(NOW), 19.0, volume=1.0)


@pytest.fixture(scope="module")
def market() -> LeanMarket:
    world = World(prepare=prepare).run(NOW)
    market: LeanMarket = world.host.algorithm._market
    return market


def rows(chain: RawChain | None) -> dict[str, tuple[Instrument, float, float]]:
    assert chain is not None
    columns = zip(chain.instruments, chain.bid.tolist(), chain.ask.tolist(), strict=True)
    return {item.symbol: (item, bid, ask) for item, bid, ask in columns}


def test_single_strikes_are_rows_of_the_chain(market: LeanMarket) -> None:
    whole = market.chain(AT, "SPXW", FRIDAY)
    assert whole is not None
    leg, other_day = whole.instruments[0], put(SPOT, FRIDAY.replace(day=8))
    narrow = market.strikes(AT, "SPXW", FRIDAY, SPOT - 1, 3, (leg, other_day))
    assert narrow is not None

    known = rows(whole)
    window = [strike for strike in STRIKES if SPOT - 16 < strike < SPOT + 14]
    expected = {
        item.symbol: known[item.symbol]
        for item in whole.instruments
        if item.strike in window or item.symbol == leg.symbol
    }
    assert {row[0].symbol: row for row in narrow.rows} == expected
    assert len(expected) == 1 + 2 * 6 - 1, "a contract without a quote has no row"
    assert expected[str(contract(SPOT - 5, CALL).value)][1:] == (0.0, 0.0)
    assert (narrow.end, narrow.unread) == (whole.end, (SPOT - 20, SPOT + 15))


@pytest.mark.parametrize(("near", "unread"), [(0.0, (-inf, STRIKES[4])), (9_999.0, (STRIKES[-5], inf))])
def test_beyond_the_last_strike_nothing_is_unread(market: LeanMarket, near: float, unread: tuple[float, float]) -> None:
    narrow = market.strikes(AT, "SPXW", FRIDAY, near, 4, ())
    assert narrow is not None
    assert narrow.unread == unread


def test_a_chain_is_that_of_the_minute_that_is_meant_also_where_leans_clock_has_moved_on(market: LeanMarket) -> None:
    """Live, a step may be late: what it reads is of its own minute, and nothing older or newer is given out as that."""
    late = with_universes(market, Universes([contract(SPOT, CALL), contract(SPOT, PUT)]))
    algorithm: Any = late._algorithm
    algorithm.time = AT + timedelta(minutes=1)
    assert late.time != AT
    assert late.chain(AT, "SPXW", FRIDAY) is not None
    assert late.strikes(AT, "SPXW", FRIDAY, SPOT, 4, ()) is not None
    for other in (AT - timedelta(minutes=1), late.time):
        assert late.chain(other, "SPXW", FRIDAY) is None
        assert late.strikes(other, "SPXW", FRIDAY, SPOT, 4, ()) is None


def test_what_is_not_listed_has_no_strikes(market: LeanMarket) -> None:
    assert market.strikes(AT, "SPXW", FRIDAY.replace(day=12), SPOT, 4, ()) is None
    assert market.strikes(AT, "SPX", FRIDAY, SPOT, 4, ()) is None


def test_a_contract_read_out_of_its_text_is_what_lean_says_of_it(market: LeanMarket) -> None:
    plain = type(market)(market._algorithm)  # it knows no chain and asks for everything
    whole = market.chain(AT, "SPXW", FRIDAY)
    assert whole is not None
    assert len(whole.instruments) > 100
    for instrument in whole.instruments:
        symbol = market.symbol(instrument.symbol)
        assert symbol is not None
        assert plain.instrument(symbol) == instrument


def test_the_universe_is_counted_by_expiry(market: LeanMarket) -> None:
    assert market.listed("SPXW") == {FRIDAY: 2 * len(STRIKES)}


class Universes:
    """LEAN's universes: each look at the chain's one makes the next choice of a row of them."""

    def __init__(self, *choices: list[Any] | None) -> None:
        self._choices = list(choices)
        self.on_look: list[Callable[[], None]] = []

    def __getitem__(self, _canonical: object) -> SimpleNamespace:
        for look in self.on_look:
            look()
        return SimpleNamespace(selected=self._choices.pop(0))


def with_universes(market: LeanMarket, universes: Universes) -> LeanMarket:
    """Return a feed of the same minute whose chain has these contracts."""
    algorithm: Any = SimpleNamespace(
        universe_manager=universes, time=market.time, live_mode=False, securities=market._algorithm.securities
    )
    fresh = type(market)(algorithm)
    fresh.add_chain("SPXW", "SPX", market._canonical["SPXW"])
    present: Any = market._present[1]
    fresh.absorb(present)
    return fresh


def test_a_further_contract_has_its_row_as_soon_as_it_is_known(market: LeanMarket) -> None:
    fresh = with_universes(market, Universes([contract(SPOT, PUT)]))
    symbol: Any = contract(SPOT + 50, CALL)
    held = market.instrument(symbol)
    for known in (False, True):
        narrow = fresh.strikes(AT, "SPXW", FRIDAY, SPOT, 4, (held,))
        assert narrow is not None
        assert (held in [row[0] for row in narrow.rows]) is known
        fresh.instrument(symbol)  # the broker names it


def test_the_universe_is_read_anew_after_a_change_only(market: LeanMarket) -> None:
    calls = [contract(strike, CALL) for strike in STRIKES]
    fresh = with_universes(market, Universes([market._symbols["SPX"], *calls[:3]], calls, None))
    for count in (3, 3, len(calls), len(calls), 0):
        if fresh.listed("SPXW").get(FRIDAY, 0) != count:
            fresh.universe_changed()
        assert fresh.listed("SPXW").get(FRIDAY, 0) == count
        narrow = fresh.strikes(AT, "SPXW", FRIDAY, SPOT, 4, ())
        assert (narrow is not None) == bool(count)
    assert not fresh.listed("SPX"), "no chain of ours"


def test_a_step_that_reads_while_the_universe_changes_keeps_nothing_of_it(market: LeanMarket) -> None:
    """Live, a pulse's step may run on one thread while the thread of the data brings new contracts."""
    calls = [contract(strike, CALL) for strike in STRIKES]
    universes = Universes(calls[:3], calls)
    fresh = with_universes(market, universes)
    universes.on_look.append(fresh.universe_changed)  # LEAN says so just while the first one is read
    assert fresh.listed("SPXW") == {FRIDAY: 3}
    universes.on_look.clear()
    assert fresh.listed("SPXW") == {FRIDAY: len(STRIKES)}
    narrow = fresh.strikes(AT, "SPXW", FRIDAY, SPOT, 1, ())
    assert narrow is not None
    assert narrow.unread == (SPOT - 10, SPOT + 5)


def test_daily_bars_of_several_are_those_of_each(market: LeanMarket) -> None:
    both = market.daily_history(("SPY", "VIX", "unheard of"), 21)
    assert set(both) == {"SPY", "VIX"}
    for ticker, bars in both.items():
        assert bars == market.daily_history((ticker,), 21)[ticker]
        assert len(bars) == 21
        assert bars[-1].end.date() == THURSDAY
    assert [bar.end for bar in both["VIX"]] == [bar.end + timedelta(minutes=15) for bar in both["SPY"]]


class Renamed(str):
    """SPY as LEAN names it after a change of its ticker: the same share, another value."""

    value = "SPYX"
    security_type = None


def test_a_share_stays_itself_under_another_ticker(market: LeanMarket) -> None:
    renamed: Any = Renamed("SPY")
    assert market.instrument(renamed).symbol == "SPY"
