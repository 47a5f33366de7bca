"""Which contracts a filter keeps, when it runs, and who joins and leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.columns import UniverseTable
from engine.enums import OptionRight
from engine.errors import EngineUnsupported
from engine.memory import MemorySource, UniverseRow
from engine.selection import ChainUniverse, Selection, selections
from engine.symbols import Symbol
from engine.universe import OptionFilterUniverse, filter_of

SPX = Symbol.index("SPX")
SPXW = Symbol.canonical_option(SPX, "SPXW")
CALL, PUT = OptionRight.CALL, OptionRight.PUT
NEW_YEAR = date(2025, 1, 1)
# 2025-01-06 is a Monday; the file of the Friday before it decides Monday's contracts.
FRIDAY, MONDAY = date(2025, 1, 3), date(2025, 1, 6)
TUESDAY, WEDNESDAY = date(2025, 1, 7), date(2025, 1, 8)
STRIKES = [5280, 5290, 5300, 5310, 5320]


def contract(strike: float, expiry: date = MONDAY, right: OptionRight = PUT) -> Symbol:
    return Symbol.option(SPX, right, strike, expiry, ticker="SPXW")


def table_of(
    *, close: float | None = 5303, strikes: list[int] | None = None, expiries: tuple[date, ...] = (MONDAY,)
) -> UniverseTable:
    source = MemorySource(holidays=[NEW_YEAR])
    rows = [
        UniverseRow(
            symbol=contract(strike, expiry, right), delta=(0.5 if right is CALL else -0.5) - (strike - 5300) / 100,
            theta=-2.0, open_interest=strike - 5280, implied_volatility=0.2,
        )
        for expiry in expiries
        for strike in (STRIKES if strikes is None else strikes)
        for right in (CALL, PUT)
    ]  # fmt: skip
    source.set_universe(SPXW, FRIDAY, rows, close)
    found = source.universe(SPXW, FRIDAY)
    assert found is not None
    return found


def universe_of(table: UniverseTable, at: datetime = datetime(2025, 1, 4)) -> OptionFilterUniverse:
    return OptionFilterUniverse(table, at, MemorySource(holidays=[NEW_YEAR]).hours(SPXW))


def strikes_left(universe: OptionFilterUniverse) -> list[float]:
    return sorted({symbol.id.strike_price for symbol in universe.symbols})


# -- strikes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("close", "low", "high", "kept"),
    [
        # Between two strikes: -1 is the one below, +1 the one above.
        (5303, -1, 1, [5300, 5310]),
        (5303, -2, 2, [5290, 5300, 5310, 5320]),
        (5303, 1, 2, [5310, 5320]),
        (5303, -2, -1, [5290, 5300]),
        (5303, -1, 0, [5300, 5310]),
        (5303, 0, 1, [5310, 5320]),
        (5303, 0, 0, [5310]),
        # Exactly at a strike: that one is 0.
        (5300, -1, 1, [5290, 5300, 5310]),
        (5300, 0, 0, [5300]),
        (5300, 1, 1, [5310]),
        # Bounds beyond the list are cut; a range wholly outside keeps nothing.
        (5303, -30, 30, STRIKES),
        (5303, 5, 9, []),
        (5303, -9, -5, []),
        (5270, -1, 1, [5280]),
        (5320, -1, 1, [5310, 5320]),
        # Above all strikes LEAN keeps nothing, whatever was asked for.
        (5321, -5, 5, []),
    ],
)
def test_strikes_are_counted_from_the_close(close: float, low: int, high: int, kept: list[float]) -> None:
    assert strikes_left(universe_of(table_of(close=close)).strikes(low, high)) == kept


def test_strike_list_is_made_of_what_is_left_at_the_first_call() -> None:
    table = table_of(strikes=[5290, 5300, 5310], expiries=(MONDAY,))
    source = MemorySource()
    symbols = [table.symbol(row) for row in range(len(table))] + [contract(5305, TUESDAY)]
    source.set_universe(SPXW, FRIDAY, symbols, 5303)
    both = source.universe(SPXW, FRIDAY)
    assert both is not None

    # With Tuesday's contract in the list 5305 is the strike above, without it 5310.
    assert strikes_left(universe_of(both).strikes(-1, 1)) == [5300, 5305]
    assert strikes_left(universe_of(both).expiration(0, 0).strikes(-1, 1)) == [5300, 5310]


def test_strike_list_of_the_first_call_serves_later_ones() -> None:
    universe = universe_of(table_of()).strikes(-9, 9).contracts([contract(5290), contract(5320)])

    assert strikes_left(universe.strikes(-1, 1)) == [], "5300 and 5310 are the strikes around the close"


def test_without_an_underlying_strikes_keep_everything() -> None:
    assert strikes_left(universe_of(table_of(close=None)).strikes(-1, 1)) == STRIKES


@given(
    close=st.floats(5270, 5330), low=st.integers(-6, 0), high=st.integers(0, 6),
    strikes=st.lists(st.sampled_from(STRIKES), unique=True, min_size=1),
)  # fmt: skip
def test_kept_strikes_are_neighbours_around_the_close(close: float, low: int, high: int, strikes: list[int]) -> None:
    strikes.sort()
    kept = strikes_left(universe_of(table_of(close=close, strikes=strikes)).strikes(low, high))

    assert kept == [strike for strike in strikes if kept and kept[0] <= strike <= kept[-1]]
    assert len(kept) <= high - low + 1
    if close <= strikes[-1] and low < 0 < high:
        below = [strike for strike in strikes if strike < close]
        assert kept[0] == (below[low:] or strikes)[0]


# -- expiries and kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "first", "last", "kept"),
    [
        # A file of Friday is used on Saturday: day 0 is Monday, the next session.
        (datetime(2025, 1, 4), 0, 0, [MONDAY]),
        (datetime(2025, 1, 4), 0, 1, [MONDAY, TUESDAY]),
        (datetime(2025, 1, 7), 0, 0, [TUESDAY]),
        (datetime(2025, 1, 7), 1, 7, [WEDNESDAY]),
        (datetime(2025, 1, 7), timedelta(0), timedelta(days=1), [TUESDAY, WEDNESDAY]),
        (datetime(2025, 1, 6, 23), 0, 0, [MONDAY]),
        (datetime(2025, 1, 6, 23), timedelta(hours=1), timedelta(days=1, hours=5), [TUESDAY]),
        (datetime(2025, 1, 7), 5, 9, []),
    ],
)
def test_expiries_are_counted_from_the_exchanges_day(
    at: datetime, first: int | timedelta, last: int | timedelta, kept: list[date]
) -> None:
    universe = universe_of(table_of(expiries=(MONDAY, TUESDAY, WEDNESDAY)), at).expiration(first, last)

    assert sorted({symbol.id.date.date() for symbol in universe.symbols}) == kept


def test_expiries_count_from_the_session_after_a_holiday() -> None:
    universe = universe_of(table_of(expiries=(date(2025, 1, 2), date(2025, 1, 3))), datetime(2025, 1, 1))

    assert {symbol.id.date.day for symbol in universe.expiration(0, 0).symbols} == {2}


def test_sides_and_months_narrow_the_universe() -> None:
    expiries = (MONDAY, date(2025, 1, 17), date(2025, 1, 24))
    table = table_of(expiries=expiries)

    def days(universe: OptionFilterUniverse) -> list[int]:
        return sorted({symbol.id.date.day for symbol in universe.symbols})

    assert {symbol.id.option_right for symbol in universe_of(table).calls_only().symbols} == {CALL}
    assert {symbol.id.option_right for symbol in universe_of(table).puts_only().symbols} == {PUT}
    assert days(universe_of(table).front_month()) == [6]
    assert days(universe_of(table).back_months()) == [17, 24]
    assert days(universe_of(table).back_month()) == [17]
    assert days(filter_of(lambda u: u.standards_only())(universe_of(table))) == [17]
    assert days(filter_of(lambda u: u.weeklys_only())(universe_of(table))) == [6, 24]
    assert days(filter_of(lambda u: u.standards_only().include_weeklys())(universe_of(table))) == [6, 17, 24]
    with pytest.raises(ValueError, match="standards_only: expected before front_month"):
        universe_of(table).front_month().standards_only()


@pytest.mark.parametrize(
    ("narrow", "kept"),
    [
        (lambda u: u.delta(0.35, 0.5), {(5300, CALL), (5310, CALL)}),
        (lambda u: u.d(-0.5, -0.4), {(5290, PUT), (5300, PUT)}),
        (lambda u: u.open_interest(30, 40), {(5310, CALL), (5310, PUT), (5320, CALL), (5320, PUT)}),
        (lambda u: u.iv(0.3, 0.4), set()),
        (lambda u: u.strikes(-1, 1).theta(-731, -729).calls_only(), {(5300, CALL), (5310, CALL)}),
        (lambda u: u.where(lambda row: row.greeks.theta == -730.0 and row.greeks.delta > 0.6), {(5280, CALL)}),
    ],
)
def test_greeks_of_the_file_narrow_the_universe(
    narrow: Callable[[OptionFilterUniverse], OptionFilterUniverse], kept: set[tuple[float, OptionRight]]
) -> None:
    universe = narrow(universe_of(table_of()))

    assert {(symbol.id.strike_price, symbol.id.option_right) for symbol in universe.symbols} == kept
    assert len(universe) == universe.count == len(kept)


def test_contracts_take_exactly_what_is_named() -> None:
    stranger = contract(9999)
    universe = universe_of(table_of())

    assert universe.contracts([contract(5310), stranger, contract(5300)]).symbols == [
        contract(5310),
        contract(5300),
        stranger,
    ]
    assert universe.strikes(-9, 0).symbols == [contract(5310), contract(5300)], "the stranger's strike is out of range"
    assert universe_of(table_of()).contracts(lambda rows: [row.symbol for row in rows][:1]).symbols == [
        contract(5280, right=CALL)
    ]
    assert universe_of(table_of()).contracts([stranger]).delta(-1, 1).symbols == [stranger], "no data reads as 0"
    assert universe_of(table_of()).contracts([stranger]).delta(0.1, 1).symbols == []


def test_row_shows_prices_and_greeks() -> None:
    row = next(iter(universe_of(table_of())))

    assert (row.symbol, row.id.strike_price) == (contract(5280, right=CALL), 5280)
    assert (row.greeks.theta, row.greeks.theta_per_day) == (-730.0, -2.0)
    assert (row.close, row.price, row.open_interest, row.implied_volatility) == (0, 0, 0, 0.2)


def test_strategy_selectors_are_refused_by_name_and_typos_are_errors() -> None:
    universe = universe_of(table_of())

    with pytest.raises(EngineUnsupported, match=r"OptionFilterUniverse\.iron_condor: LEAN has it"):
        universe.iron_condor(30, 5, 10)
    with pytest.raises(AttributeError, match="expirations: LEAN has no such member"):
        universe.expirations(0, 0)


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ((-1, 1), 8),
        ((timedelta(0), timedelta(0)), 10),
        ((-1, 1, 0, 0), 4),
        ((-1, 1, timedelta(0), timedelta(days=1)), 8),
        ((lambda u: u.strikes(-1, 1).expiration(0, 0),), 4),
        ((lambda u: None,), 20),
        ((lambda u: [contract(5300), contract(1)],), 1),
    ],
)
def test_set_filter_takes_what_lean_takes(arguments: tuple[object, ...], kept: int) -> None:
    chosen = filter_of(*arguments)(universe_of(table_of(expiries=(MONDAY, TUESDAY))))

    assert chosen.count == kept


@pytest.mark.parametrize("arguments", [(), (1,), ("a", "b"), (1, 2, 3), (1.5, 2.5)])
def test_set_filter_refuses_other_arguments(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"^set_filter\(.*expected a function"):
        filter_of(*arguments)


def test_filter_function_must_return_something_of_use() -> None:
    with pytest.raises(ValueError, match="the function returned int"):
        filter_of(lambda u: 5)(universe_of(table_of()))


# -- when -------------------------------------------------------------------------------------------------------------


def first_selections(symbol: Symbol, start_utc: datetime, count: int = 3) -> list[tuple[str, str, str]]:
    hours = MemorySource(holidays=[NEW_YEAR]).hours(symbol)
    found = selections(hours, start_utc, start_utc + timedelta(days=30))
    return [
        (f"{s.file_date:%m-%d}", f"{s.utc:%m-%d %H:%M}", f"{s.exchange_time:%m-%d %H:%M}")
        for s, _ in zip(found, range(count), strict=False)
    ]


def test_run_that_starts_on_a_monday_has_fridays_file_at_once() -> None:
    # 00:00 New York is 23:00 Chicago on Sunday.
    assert first_selections(SPXW, datetime(2025, 1, 6, 5)) == [
        ("01-03", "01-06 05:00", "01-05 23:00"),
        ("01-06", "01-07 06:00", "01-07 00:00"),
        ("01-07", "01-08 06:00", "01-08 00:00"),
    ]


def test_run_that_starts_on_a_tuesday_first_has_mondays_contracts() -> None:
    assert first_selections(SPXW, datetime(2025, 1, 7, 5), 2) == [
        ("01-03", "01-07 05:00", "01-06 23:00"),
        ("01-06", "01-07 06:00", "01-07 00:00"),
    ]


def test_exchange_in_the_algorithms_zone_starts_with_yesterdays_file() -> None:
    assert first_selections(Symbol.canonical_option(Symbol.equity("SPY")), datetime(2025, 1, 7, 5), 2) == [
        ("01-06", "01-07 05:00", "01-07 00:00"),
        ("01-07", "01-08 05:00", "01-08 00:00"),
    ]


def test_fridays_file_is_out_on_saturday_and_holidays_have_none() -> None:
    found = first_selections(SPXW, datetime(2024, 12, 31, 5), 5)

    assert [file for file, _, _ in found] == ["12-27", "12-30", "12-31", "01-02", "01-03"]
    assert [at for _, at, _ in found] == ["12-31 05:00", "12-31 06:00", "01-01 06:00", "01-03 06:00", "01-04 06:00"]


def test_nothing_is_selected_after_the_end() -> None:
    hours = MemorySource().hours(SPXW)

    found = list(selections(hours, datetime(2025, 1, 7, 5), datetime(2025, 1, 8, 5)))

    assert [selection.file_date for selection in found] == [FRIDAY, MONDAY]


# -- who --------------------------------------------------------------------------------------------------------------


class Run:
    """A chain universe whose file, filter and holdings a test sets."""

    def __init__(self, minimum_time: timedelta = timedelta(days=1)) -> None:
        self.wanted: list[Symbol] = []
        self.held: set[Symbol] = set()
        hours = MemorySource().hours(SPXW)
        self.universe = ChainUniverse(SPXW, hours, lambda u: u.contracts(self.wanted), minimum_time)

    def select(self, wanted: list[Symbol], at: datetime) -> tuple[list[Symbol], list[Symbol], list[Symbol]]:
        self.wanted = wanted
        selection = Selection(FRIDAY, at, at - timedelta(hours=6))
        change = self.universe.select(table_of(), selection, lambda symbol: symbol not in self.held)
        return list(change.added), list(change.removed), list(change.ended)


A, B, C = contract(5280), contract(5290), contract(5300)
DAY_1, DAY_2, DAY_3, DAY_4 = (datetime(2025, 1, day, 6) for day in (7, 8, 9, 10))


def test_chosen_contracts_join_and_the_others_leave() -> None:
    run = Run()

    assert run.select([A, B], DAY_1) == ([A, B], [], [])
    assert run.select([B, C], DAY_2) == ([C], [A], [A])
    assert run.universe.members == (B, C)
    assert run.select([C, B], DAY_3) == ([], [], []), "the same choice in another order is no change"


def test_contract_younger_than_the_minimum_time_stays() -> None:
    run = Run()
    run.select([A], DAY_1)

    assert run.select([B], DAY_1 + timedelta(hours=1)) == ([B], [], [])
    assert run.universe.members == (A, B)
    assert run.select([C], DAY_2) == ([C], [A, B], [A, B]), "23 hours round to a day"


def test_held_contract_keeps_its_data_until_it_is_closed() -> None:
    run = Run()
    run.select([A, B], DAY_1)
    run.held = {A}

    assert run.select([C], DAY_2) == ([C], [A, B], [B]), "told once, its data goes on"
    assert run.universe.members == (A, C)
    assert run.select([B], DAY_3) == ([B], [C], [C])
    run.held = set()
    assert run.select([B], DAY_4) == ([], [], [A]), "ends even when the choice is unchanged"


def test_held_contract_that_is_chosen_again_never_left() -> None:
    run = Run()
    run.select([A], DAY_1)
    run.held = {A}
    run.select([B], DAY_2)

    assert run.select([A], DAY_3) == ([], [B], [B])
    run.held = set()
    assert run.select([A], DAY_4) == ([], [], [])
    assert run.universe.members == (A,)


def test_delisted_contract_is_gone_and_may_join_again() -> None:
    run = Run()
    run.select([A, B], DAY_1)
    run.universe.drop(A)

    assert run.universe.members == (B,)
    assert run.select([C], DAY_2) == ([C], [B], [B])


def test_default_filter_is_one_strike_around_and_35_days() -> None:
    universe = ChainUniverse(SPXW, MemorySource().hours(SPXW))
    table = table_of(expiries=(MONDAY, date(2025, 2, 10), date(2025, 2, 11)))

    change = universe.select(table, Selection(FRIDAY, datetime(2025, 1, 4, 6), datetime(2025, 1, 4)))

    assert {(symbol.id.strike_price, symbol.id.date.date()) for symbol in change.added} == {
        (strike, expiry) for strike in (5300, 5310) for expiry in (MONDAY, date(2025, 2, 10))
    }
