"""Prices of securities and what slices show, with LEAN's oddities."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from engine.corporate import FactorRow
from engine.enums import DataNormalizationMode, Resolution
from engine.errors import EngineUnsupported
from engine.market_bars import QuoteBar, TradeBar
from engine.securities import PropertiesView
from engine.slice import Slice
from tests.engine.desk import (
    FRIDAY,
    MONDAY,
    SPX,
    SPXW,
    SPY,
    THURSDAY,
    VIX,
    WINGS,
    Desk,
    Market,
    minute,
    started,
    trade,
    when,
)


@pytest.fixture
def market() -> Market:
    return Market().session(FRIDAY).condor()


def test_a_vanished_bid_stays_in_bid_price_while_the_bar_shows_none(market: Market) -> None:
    put = WINGS[0]
    market.source.set_quote(put, FRIDAY, minute("10:00"), None, 0.05)

    def look(desk: Desk) -> None:
        security = desk.securities[put]
        bar = desk.current_slice.quote_bars[put]  # type: ignore[union-attr]
        chain = desk.current_slice.option_chains[SPXW]  # type: ignore[union-attr]
        contract = chain.contracts[put]
        desk.keep((security.bid_price, security.ask_price, security.price, bar.bid, contract.bid_price))

    desk = trade(market, with_chain=True, at={"10:00": look})

    # Crossed: the bid of the minute before against the ask of now; the price is the ask (lean_lab surprise 2).
    assert desk.results == [(2.90, 0.05, 0.05, None, 0.0)]


def test_the_tick_of_an_index_option_follows_its_price_also_in_properties_that_were_kept(market: Market) -> None:
    put = WINGS[0]
    market.source.set_quote(put, FRIDAY, minute("10:00"), 2.90, 3.00)
    market.source.set_quote(put, FRIDAY, minute("10:01"), 3.00, 3.20)
    kept: list[PropertiesView] = []

    def look(desk: Desk) -> None:
        kept.append(desk.securities[put].symbol_properties)
        desk.keep([one.minimum_price_variation for one in kept])
        assert (kept[-1].contract_multiplier, kept[-1].quote_currency, kept[-1].lot_size) == (100.0, "USD", 1.0)

    desk = trade(market, with_chain=True, at={"09:00": look, "10:00": look, "10:01": look})

    assert desk.results == [[0.05], [0.05, 0.05], [0.10, 0.10, 0.10]]


def test_a_sale_without_a_bid_fills_at_the_cached_price_which_is_the_ask(market: Market) -> None:
    put = WINGS[0]
    for at in range(minute("10:00"), 976):
        market.source.set_quote(put, FRIDAY, at, None, 0.05)

    def sell(desk: Desk) -> None:
        desk.keep(desk.market_order(put, -1).average_fill_price)

    desk = trade(market, with_chain=True, cash=1e6, at={"09:45": lambda desk: desk.market_order(put, 1), "10:00": sell})

    assert desk.results == [0.05]


def test_prices_are_zero_on_the_first_day_and_yesterdays_close_before_the_next_open() -> None:
    market = Market().session(FRIDAY).session(MONDAY, spot=5_400.0)

    def look(desk: Desk) -> None:
        desk.keep((f"{desk.time:%a}", desk.securities[SPX].price, desk.securities[VIX].price))

    desk = trade(market, with_chain=True, end=MONDAY, at={"08:00": look})

    assert desk.results == [("Fri", 0.0, 0.0), ("Sat", 5_300.0, 16.0), ("Sun", 5_300.0, 16.0), ("Mon", 5_300.0, 16.0)]


def test_an_equity_is_priced_by_trades_and_quoted_by_quotes(market: Market) -> None:
    market.source.set_bar(SPY, FRIDAY, minute("10:00"), 501.0, 503.0, 499.0, 502.0, volume=7.0)
    market.source.set_quote(SPY, FRIDAY, minute("10:00"), 501.9, 502.1)

    def look(desk: Desk) -> None:
        spy = desk.securities[SPY]
        desk.keep((spy.open, spy.high, spy.low, spy.close, spy.price, spy.volume, spy.bid_price, spy.ask_price))

    desk = trade(market, at={"10:00": look})

    assert desk.results == [(501.0, 503.0, 499.0, 502.0, 502.0, 7.0, 501.9, 502.1)]


def test_reading_late_gives_the_same_prices_as_reading_every_minute(market: Market) -> None:
    put = WINGS[0]
    for text, (bid, ask) in {"10:00": (1.0, 1.2), "10:30": (None, 1.5), "10:31": (0.5, None)}.items():
        market.source.set_quote(put, FRIDAY, minute(text), bid, ask)
    for at in range(minute("10:32"), 976):
        market.source.remove_quote(put, FRIDAY, at)

    def prices(desk: Desk) -> tuple[float, ...]:
        security = desk.securities[put]
        return security.bid_price, security.ask_price, security.price, security.high, security.low

    late = trade(market, with_chain=True, at={"15:00": lambda desk: desk.keep(prices(desk))})
    eager = trade(
        market,
        with_chain=True,
        at={"15:00": lambda desk: desk.keep(prices(desk))},
        on_data=lambda desk, data: put in desk.securities and prices(desk),
    )

    assert late.results == eager.results == [(0.5, 1.5, 0.5, 0.5, 0.5)]


def test_a_slice_holds_only_what_has_data_in_its_minute(market: Market) -> None:
    market.source.remove_bar(SPY, FRIDAY, minute("10:00"))
    market.source.remove_quote(WINGS[1], FRIDAY, minute("10:00"))

    def look(desk: Desk, data: Slice) -> None:
        if desk.time == when(FRIDAY, "10:00"):
            chain = data.option_chains[SPXW]
            desk.keep((SPY in data.bars, SPY in data.quote_bars, SPX in data.bars, WINGS[1] in data.quote_bars))
            desk.keep([contract.symbol for contract in chain])
            desk.keep(data.bars.get(SPY))
            with pytest.raises(KeyError, match="likely because there was no-data"):
                data.bars[SPY]

    desk = trade(market, with_chain=True, on_data=look)

    assert desk.results == [(False, True, True, False), [WINGS[0], WINGS[2], WINGS[3]], None]


def test_bars_carry_exchange_times_and_the_slice_algorithm_time(market: Market) -> None:
    def look(desk: Desk, data: Slice) -> None:
        if desk.time == when(FRIDAY, "09:31"):
            desk.keep((data.time, data.bars[SPY].end_time, data.bars[SPX].end_time, data.bars[SPX].time))

    desk = trade(market, with_chain=True, on_data=look)

    assert desk.results == [
        (when(FRIDAY, "09:31"), when(FRIDAY, "09:31"), when(FRIDAY, "08:31"), when(FRIDAY, "08:30"))
    ]


def test_a_chain_knows_contracts_prices_and_underlying_but_computes_no_greeks(market: Market) -> None:
    def look(desk: Desk, data: Slice) -> None:
        chain = data.option_chains.get(SPXW)
        if chain is None or desk.results:
            return
        contract = next(iter(chain))
        desk.keep((contract.strike, contract.expiry, contract.bid_price, contract.ask_price, contract.bid_size))
        desk.keep(
            (
                len(chain),
                chain.underlying and chain.underlying.price,
                contract.underlying_last_price,
                contract.last_price,
            )
        )
        with pytest.raises(EngineUnsupported, match=r"greeks\.delta"):
            _ = contract.greeks.delta

    desk = trade(market, with_chain=True, on_data=look)

    assert desk.results == [(5_260.0, when(FRIDAY, "00:00"), 2.90, 3.10, 10), (4, 5_300.0, 5_300.0, 0.0)]


def test_a_kept_slice_still_shows_its_own_minute(market: Market) -> None:
    market.source.set_bar(SPY, FRIDAY, minute("10:00"), 501.0)
    market.source.set_bar(SPY, FRIDAY, minute("10:30"), 505.0)
    kept: list[Slice] = []

    def keep(desk: Desk, data: Slice) -> None:
        if desk.time == when(FRIDAY, "10:00"):
            kept.append(data)
        if desk.time == when(FRIDAY, "10:30"):
            desk.keep(kept[0].bars[SPY].close)

    assert trade(market, on_data=keep).results == [501.0]


def test_slices_answer_by_type_and_by_symbol(market: Market) -> None:
    def look(desk: Desk, data: Slice) -> None:
        if not desk.results and WINGS[0] in data.quote_bars:
            desk.keep(
                (type(data[SPY]), type(data[WINGS[0]]), data.get(QuoteBar, SPY).ask.close, len(data.get(TradeBar)))
            )
            desk.keep(sorted(pair.key.value for pair in data.bars))

    desk = trade(market, with_chain=True, on_data=look)

    assert desk.results == [(TradeBar, QuoteBar, 500.01, 3), ["SPX", "SPY", "VIX"]]


def test_daily_bars_arrive_at_the_close_of_their_session() -> None:
    market = Market().session(FRIDAY)
    market.source.set_daily(SPX, FRIDAY, 5_290.0, 5_310.0, 5_280.0, 5_300.0)

    def subscribe(desk: Desk) -> None:
        desk.add_index("SPX", Resolution.DAILY)

    def look(desk: Desk, data: Slice) -> None:
        if SPX in data.bars:
            desk.note("bar", data.bars[SPX].close, data.bars[SPX].period.total_seconds() / 3600)

    desk = trade(market, set_up=subscribe, on_data=look)

    assert [(line.time, line.values) for line in desk.heard if line.what == "bar"] == [("03 16:15", (5_300.0, 6.75))]
    assert desk.securities[SPX].price == 5_300.0


def test_history_has_the_sessions_before_now_and_times_of_their_close() -> None:
    market = Market().session(THURSDAY, spot=5_250.0).session(FRIDAY)
    for day, close in ((date(2024, 12, 31), 5_200.0), (THURSDAY, 5_250.0), (FRIDAY, 5_300.0)):
        market.source.set_daily(SPX, day, close, close, close, close)

    def ask(desk: Desk) -> None:
        bars = desk.history[TradeBar](SPX, when(date(2024, 12, 30), "00:00"), desk.time, Resolution.DAILY)
        desk.keep([(bar.end_time, bar.close) for bar in bars if not bar.is_fill_forward])
        frame = desk.history(SPX, 1, Resolution.DAILY)
        desk.keep((list(frame["close"]), frame.index[0][1].to_pydatetime()))
        minutes = desk.history[TradeBar](SPY, 2, Resolution.MINUTE)
        desk.keep([bar.end_time for bar in minutes])

    desk = trade(market, with_chain=True, at={"10:00": ask})

    assert desk.results[0][-1] == (when(THURSDAY, "15:15"), 5_250.0)
    assert desk.results[1] == ([5_250.0], when(THURSDAY, "16:15"))
    assert desk.results[2] == [when(FRIDAY, "09:59"), when(FRIDAY, "10:00")]


def test_option_chain_is_yesterdays_whatever_the_filter(market: Market) -> None:
    def ask(desk: Desk) -> None:
        chain = desk.option_chain(SPXW)
        desk.keep([contract.strike for contract in chain])
        desk.keep(len(desk.option_chain(SPXW).data_frame))

    desk = trade(market, with_chain=True, at={"10:00": ask})

    assert desk.results == [[5_260.0, 5_280.0, 5_320.0, 5_340.0], 4]


def test_a_raw_split_scales_the_position_and_pays_the_fraction() -> None:
    market = Market().session(FRIDAY, stock=500.0).session(MONDAY, stock=200.0)
    half = Decimal("0.4")
    rows = [
        FactorRow(FRIDAY, Decimal(1), half, Decimal(500)),
        FactorRow(date(2050, 12, 31), Decimal(1), Decimal(1), Decimal(0)),
    ]
    market.source.set_factors(SPY, rows)

    def raw(desk: Desk) -> None:
        desk.securities[SPY].set_data_normalization_mode(DataNormalizationMode.RAW)

    def buy(desk: Desk) -> None:
        if desk.time.date() == FRIDAY:
            desk.market_order(SPY, 11)

    def look(desk: Desk, data: Slice) -> None:
        for split in data.splits.values():
            desk.note("split", split.type.name, split.split_factor, desk.portfolio[SPY].quantity)

    desk = trade(market, end=MONDAY, at={"10:00": buy}, set_up=raw, on_data=look)

    seen = [(line.time, line.values) for line in desk.heard if line.what == "split"]
    assert seen == [("03 00:00", ("WARNING", 0.4, 0.0)), ("06 00:00", ("SPLIT_OCCURRED", 0.4, 27.0))]
    # 11 shares are 27.5 new ones: half a share is paid at 200.
    assert desk.portfolio.cash == pytest.approx(100_000 - 11 * 500.01 - 1.0 + 100.0)
    assert desk.portfolio[SPY].average_price == pytest.approx(200.004)


def test_removing_a_security_ends_its_data(market: Market) -> None:
    market.source.set_bar(VIX, FRIDAY, minute("10:01"), 20.0)
    host = started(market, with_chain=True, at={"10:00": lambda desk: desk.remove_security(VIX)})
    host.advance(until=when(FRIDAY, "10:01"))
    desk = host.algorithm

    assert VIX not in [holding.symbol for holding in desk.portfolio.values()]
    assert VIX in desk.securities
    assert VIX not in desk.current_slice.bars  # type: ignore[union-attr]
    assert desk.securities[VIX].price == 16.0


def test_bars_outside_the_session_are_not_delivered(market: Market) -> None:
    for at in ("09:00", "09:30", "16:01", "16:15"):
        market.source.set_bar(SPY, FRIDAY, minute(at), 700.0)
        market.source.set_quote(SPY, FRIDAY, minute(at), 699.9, 700.1)

    def look(desk: Desk, data: Slice) -> None:
        desk.keep((desk.time, desk.securities[SPY].price))

    desk = trade(market, on_data=look)

    assert desk.results[0] == (when(FRIDAY, "09:31"), 500.0)
    assert desk.results[-1] == (when(FRIDAY, "16:00"), 500.0)


def test_a_security_added_during_the_run_has_data_from_the_next_minute(market: Market) -> None:
    def add(desk: Desk) -> None:
        desk.add_index("SPX", Resolution.MINUTE, fill_forward=False)

    def look(desk: Desk, data: Slice) -> None:
        if SPX in data.bars and not desk.results:
            desk.keep(desk.time)

    desk = trade(market, at={"10:00": add}, on_data=look)

    assert desk.results == [when(FRIDAY, "10:01")]
