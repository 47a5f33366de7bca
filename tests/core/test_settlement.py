"""Which value settles a contract: the last regular one of its own day, whatever was said since and before."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from core.settlement import Settlement
from core.trades import Trade
from core.vocabulary import SettlementEvent
from tests.core.desk import DAY, at, put_spread
from tests.core.lifecycle import Lifecycle

NEXT = DAY + timedelta(days=3)
SHORT, LONG = 5_900.0, 5_895.0


class Settled(Lifecycle):
    """A desk whose contracts are settled in the night."""

    def __init__(self) -> None:
        super().__init__()
        self.settlement = Settlement(self.ledger, self.books, self.state)

    def night(self, trade: Trade) -> int:
        """Settle what a trade holds; returns the cash that it brought."""
        before, self.now = self.books.cash_u6, datetime.combine(DAY + timedelta(days=1), at(1).time())
        for symbol, qty in dict(trade.legs).items():
            self.settlement.post(SettlementEvent(symbol, -qty, None, False, self.now))
        self.settlement.fold(self.now)
        return self.books.cash_u6 - before


def worth(value: float) -> int:
    """Cash of one short put spread that is settled at this value."""
    return round(100e6 * (max(LONG - value, 0.0) - max(SHORT - value, 0.0)))


def test_a_contract_settles_at_the_last_value_of_its_day() -> None:
    desk = Settled()
    trade = desk.opened(put_spread())
    for value in (5_950.0, 5_898.0):
        desk.settlement.observe(DAY, {"SPX": value}, {})
    assert desk.night(trade) == worth(5_898.0)


def test_the_next_day_says_nothing_of_it() -> None:
    desk = Settled()
    trade = desk.opened(put_spread())
    nothing: dict[tuple[str, date], float] = {}
    desk.settlement.observe(DAY, {"SPX": 5_898.0}, nothing)
    desk.settlement.observe(NEXT, {"SPX": 5_800.0}, nothing)
    assert desk.night(trade) == worth(5_898.0)


def test_what_is_said_of_days_before_counts() -> None:
    desk = Settled()
    trade = desk.opened(put_spread())
    nothing: dict[tuple[str, date], float] = {}
    desk.settlement.observe(NEXT, {}, nothing)
    desk.settlement.observe(NEXT, {}, {("SPX", DAY): 5_897.0})
    assert desk.night(trade) == worth(5_897.0)


def test_a_value_that_was_forgotten_settles_nothing_until_another_comes() -> None:
    desk = Settled()
    trade = desk.opened(put_spread())
    desk.settlement.observe(DAY, {"SPX": 5_898.0}, {})
    desk.settlement.forget("SPX", DAY)
    assert desk.night(trade) == 0
    assert set(desk.settlement.unknown) == set(trade.legs)
    before = desk.books.cash_u6
    desk.settlement.remember("SPX", DAY, 5_896.0)
    desk.settlement.fold(desk.now)
    assert desk.books.cash_u6 == before + worth(5_896.0)


def test_what_is_learned_later_counts_more_than_what_was_observed() -> None:
    desk = Settled()
    trade = desk.opened(put_spread())
    desk.settlement.observe(DAY, {"SPX": 5_950.0}, {})
    desk.settlement.remember("SPX", DAY, 5_898.0)
    assert desk.night(trade) == worth(5_898.0)


def test_the_values_of_this_day_and_the_days_before_travel_in_the_snapshot() -> None:
    first, second = Settled(), Settled()
    first.settlement.observe(DAY, {"SPX": 5_898.0}, {})
    first.settlement.observe(NEXT, {"SPX": 5_905.5}, {})
    second.settlement.restore(first.settlement.state())
    assert second.settlement.state() == {f"SPX {DAY}": 5_898.0, f"SPX {NEXT}": 5_905.5}
    assert second.night(second.opened(put_spread())) == worth(5_898.0)


def test_old_values_are_dropped_unless_a_contract_waits_for_one() -> None:
    desk = Settled()
    trade = desk.opened(put_spread())
    for passed in range(30):
        desk.settlement.observe(DAY + timedelta(days=passed), {"SPX": 5_898.0 - passed, "VIX": 20.0}, {})
    days = [key.split()[1] for key in desk.settlement.state() if key.startswith("SPX")]
    assert days[0] == DAY.isoformat(), "its settlement is late, and still known"
    assert days[1:] == [(DAY + timedelta(days=passed)).isoformat() for passed in range(22, 30)]
    assert desk.night(trade) == worth(5_898.0)
    desk.settlement.observe(DAY + timedelta(days=30), {}, {})
    assert DAY.isoformat() not in " ".join(desk.settlement.state())
