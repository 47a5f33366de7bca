"""Which brokerage can start which strategy, and what a contract costs at most."""

from __future__ import annotations

import pytest

from core.ports import OrderType
from core.settings import Brokerage
from core.vocabulary import Instrument
from helpers.brokerages import CAPABILITIES, fee_reserve_usd, missing_capabilities, round_trip_fee_usd
from tests.risk.builders import condor, put, put_spread


def test_every_brokerage_of_the_settings_has_a_row() -> None:
    assert set(CAPABILITIES) == set(Brokerage)


@pytest.mark.parametrize("brokerage", list(Brokerage))
def test_fp41_all_four_do_combos_so_that_option_strategies_start(brokerage: Brokerage) -> None:
    assert missing_capabilities(brokerage, frozenset({OrderType.COMBO_LIMIT, OrderType.LIMIT})) == ()


def test_fp41_a_missing_order_type_is_named() -> None:
    needed = frozenset({OrderType.MARKET_ON_CLOSE, OrderType.COMBO_LIMIT})
    assert missing_capabilities(Brokerage.TASTYTRADE, needed) == ("MARKET_ON_CLOSE",)


def test_a_round_trip_pays_every_contract_twice() -> None:
    assert round_trip_fee_usd(condor()) == pytest.approx(10.48)  # strategies.md F0-01
    assert round_trip_fee_usd(put_spread()) == pytest.approx(5.24)  # F0-02


def test_an_unknown_fee_is_refused_with_the_roots_that_are_known() -> None:
    assert fee_reserve_usd(put(5_300)) == 1.31
    with pytest.raises(ValueError) as refused:
        fee_reserve_usd(Instrument("QQQ", "QQQ"))
    assert "'QQQ'" in str(refused.value)
    assert "SPXW" in str(refused.value)
