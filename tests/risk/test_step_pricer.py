"""Model values of one step: each contract by its own strike and quote, and unknown where it has none; from a few
strikes where they say what the whole chain would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market import Chain, MarketSnapshot, Quote, QuoteVerdict, Strikes, no_strikes
from core.settings import Settings
from core.vocabulary import Instrument
from risk.step_pricer import StepPricer
from tests.risk.builders import at, bar, call, chain, put, snapshot, without_quotes

SETTINGS = Settings()
MEMBERS = [put(5_290), put(5_300), call(5_400), call(5_410)]


WHOLE = chain(at(11))


def step(*missing: Instrument) -> MarketSnapshot:
    return snapshot(at(11), chains=[without_quotes(WHOLE, *(item.symbol for item in missing))])


def test_every_contract_is_priced_at_its_own_strike_and_volatility() -> None:
    views = StepPricer(SETTINGS.greeks).views(step(), MEMBERS)
    for instrument in MEMBERS:
        view, place = views[instrument.symbol], WHOLE.instruments.index(instrument)
        assert view is not None
        assert view.price == pytest.approx((WHOLE.bid[place] + WHOLE.ask[place]) / 2, abs=1e-6)


@pytest.mark.parametrize("missing", MEMBERS, ids=lambda item: item.symbol.strip())
def test_a_contract_that_the_chain_lacks_is_interpolated_or_unknown_and_spoils_no_other(missing: Instrument) -> None:
    others = [item for item in MEMBERS if item is not missing]
    whole = StepPricer(SETTINGS.greeks).views(step(), MEMBERS)
    asked = StepPricer(SETTINGS.greeks).views(step(missing), [*others, missing])
    for item in others:
        assert asked[item.symbol] == whole[item.symbol]


@pytest.mark.parametrize("order", [1, -1])
def test_a_contract_that_is_not_listed_in_this_minute_has_no_view(order: int) -> None:
    foreign = put(1_000)  # the chain begins at 5,000
    views = StepPricer(SETTINGS.greeks).views(step(), [*MEMBERS, foreign][::order])
    assert views[foreign.symbol] is None
    assert all(views[item.symbol] is not None for item in MEMBERS)


def test_quotes_that_are_completed_later_in_a_step_price_nothing_again() -> None:
    pricer, now = StepPricer(SETTINGS.greeks), step()
    before = pricer.views(now, MEMBERS)
    after = pricer.views(replace(now, quotes={}, last_good={}), MEMBERS)
    assert all(after[item.symbol] is before[item.symbol] for item in MEMBERS)


# -------------------------------------------------------------------------------- from the strikes around the price


@dataclass
class Market:
    """A chain of which single strikes can be read; it keeps what was read of it."""

    whole: Chain
    reads: list[str] = field(default_factory=list)
    asked: list[Instrument] = field(default_factory=list)

    def load(self, _root: str, _expiry: date) -> Chain:
        self.reads.append("whole")
        return self.whole

    def load_strikes(
        self, _root: str, _expiry: date, near: float, each_side: int, also: Sequence[Instrument]
    ) -> Strikes:
        self.reads.append(f"{each_side} strikes")
        self.asked = list(also)
        strikes = sorted(set(self.whole.strike.tolist()))
        middle = sum(strike < near for strike in strikes)
        low, high = max(0, middle - each_side), min(len(strikes), middle + each_side)
        asked = {item.symbol for item in also}
        whole = self.whole
        columns = zip(whole.instruments, whole.bid.tolist(), whole.ask.tolist(), whole.wide_limit.tolist(), strict=True)
        rows = [row for row in columns if row[0].strike in strikes[low:high] or row[0].symbol in asked]
        below = strikes[low - 1] if low else -math.inf
        return Strikes(whole.expiry, whole.time, rows, (below, strikes[high] if high < len(strikes) else math.inf))

    def step(self, spot: float = 5_350.0) -> MarketSnapshot:
        now = replace(snapshot(at(11), bars={"SPX": bar(at(11), spot)}), load_chain=self.load)
        return replace(now, load_strikes=self.load_strikes)


def skewed(strike: float) -> float:
    return 0.20 + (5_350 - strike) * 1e-4


@given(forward=st.floats(5_100, 5_600), off=st.floats(-40, 40))
def test_a_few_strikes_say_what_the_whole_chain_says_or_it_is_read(forward: float, off: float) -> None:
    market = Market(chain(at(11), forward=forward, volatility=skewed))
    money = 5 * round(forward / 5)
    members = [put(money - 20), put(money - 15), call(money + 15), call(money + 20)]
    found = StepPricer(SETTINGS.greeks).views(market.step(forward + off), members)
    reads = tuple(market.reads)
    whole = replace(market.step(), load_strikes=no_strikes)
    assert found == StepPricer(SETTINGS.greeks).views(whole, members)
    # The index may be a strike or two off the forward; farther off, not even more strikes are sure of it.
    assert reads in (("2 strikes",), ("2 strikes", "4 strikes"), ("2 strikes", "4 strikes", "whole"))
    assert abs(off) > 5 or "whole" not in reads
    assert abs(off) < 25 or "whole" in reads
    between_the_same = forward // 5 == (forward + off) // 5 and 0.1 < forward % 5 < 4.9
    assert not between_the_same or reads == ("2 strikes",)


def test_strikes_are_looked_for_where_the_forward_was_seen_last() -> None:
    """A forward far ahead of the index (weeks to run, or an index that is late) costs the whole chain only once."""
    market, pricer, leg = Market(chain(at(11), forward=5_377.0)), StepPricer(SETTINGS.greeks), put(5_370)
    first = pricer.views(market.step(5_350.0), [leg])
    later = replace(market.step(5_352.0), time=at(11, 1))
    assert pricer.views(later, [leg]) == first
    assert market.reads == ["2 strikes", "4 strikes", "whole", "2 strikes"]
    market.whole = chain(at(11), forward=5_340.0)  # the index has not followed
    fallen = pricer.views(replace(later, time=at(11, 2)), [leg])[leg.symbol]
    assert fallen is not None
    assert fallen.underlying_price == pytest.approx(5_340.0)
    assert market.reads[4:] == ["2 strikes", "4 strikes", "whole"]


def quoted(of: Chain, instrument: Instrument, verdict: QuoteVerdict = QuoteVerdict.GOOD, age_s: float = 0.0) -> Quote:
    at_row = of.instruments.index(instrument)
    return Quote(verdict, float(of.bid[at_row]), float(of.ask[at_row]), age_s=age_s)


def test_a_good_quote_of_this_minute_is_not_read_again() -> None:
    whole = chain(at(11), forward=5_352.0, volatility=lambda _strike: 0.40)
    market, (fresh, old, wide, unquoted) = Market(whole), MEMBERS
    quotes = {
        fresh.symbol: quoted(whole, fresh),
        old.symbol: Quote(QuoteVerdict.GOOD, 1.0, 1.1, age_s=60.0),
        wide.symbol: Quote(QuoteVerdict.WIDE, 1.0, 9.0, age_s=0.0),
    }
    found = StepPricer(SETTINGS.greeks).views(replace(market.step(5_352.0), quotes=quotes), MEMBERS)
    assert market.reads == ["2 strikes"]
    assert market.asked == [old, wide, unquoted]
    assert found == StepPricer(SETTINGS.greeks).views(replace(market.step(), load_strikes=no_strikes), MEMBERS)


def test_a_contract_between_whose_neighbours_a_volatility_lies_needs_the_whole_chain() -> None:
    market = Market(without_quotes(chain(at(11), volatility=skewed), put(5_300).symbol))
    found = StepPricer(SETTINGS.greeks).views(market.step(), MEMBERS)
    assert market.reads == ["2 strikes", "whole"]
    view = found[put(5_300).symbol]
    assert view is not None
    assert view.volatility == pytest.approx(skewed(5_300), abs=1e-3)


def test_a_contract_without_a_row_is_unknown_and_asks_for_nothing_more() -> None:
    market = Market(chain(at(11)))
    assert StepPricer(SETTINGS.greeks).views(market.step(), [*MEMBERS, put(1_000)])[put(1_000).symbol] is None
    assert market.reads == ["2 strikes"]


def test_without_an_index_price_or_with_the_chain_at_hand_no_strikes_are_read() -> None:
    market, pricer = Market(chain(at(11))), StepPricer(SETTINGS.greeks)
    pricer.views(replace(market.step(), bars={}), MEMBERS)
    assert market.reads == ["whole"]
    now = market.step()
    whole = pricer.chain(now, "SPXW", at(11).date())
    assert whole is not None
    assert pricer.views(now, MEMBERS)[MEMBERS[0].symbol] is not None
    assert market.reads == ["whole", "whole"]
