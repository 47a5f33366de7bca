"""Model values of one step: each contract by its own strike and quote, and unknown where it has none."""

from __future__ import annotations

import pytest

from core.market import MarketSnapshot
from core.settings import Settings
from core.vocabulary import Instrument
from risk.step_pricer import StepPricer
from tests.risk.builders import at, call, chain, put, snapshot, without_quotes

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
