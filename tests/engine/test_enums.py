"""Numbers that LEAN writes into identifiers, results and logs."""

from __future__ import annotations

from enum import IntEnum

import pytest

from engine.enums import (
    MARKET_CODES,
    AccountType,
    BrokerageName,
    OptionRight,
    OptionStyle,
    OrderStatus,
    OrderType,
    Resolution,
    SecurityType,
    TickType,
)


@pytest.mark.parametrize(
    ("member", "number"),
    [
        (OrderStatus.FILLED, 3),
        (OrderStatus.CANCELED, 5),  # there is no 4
        (OrderStatus.UPDATE_SUBMITTED, 9),
        (OrderType.COMBO_LIMIT, 9),
        (OrderType.OPTION_EXERCISE, 6),
        (SecurityType.INDEX, 9),
        (SecurityType.INDEX_OPTION, 10),
        (Resolution.DAILY, 4),
        (TickType.OPEN_INTEREST, 2),
        (OptionRight.PUT, 1),
        (OptionStyle.EUROPEAN, 1),
        (AccountType.CASH, 1),
        (BrokerageName.INTERACTIVE_BROKERS_BROKERAGE, 1),
        (BrokerageName.CHARLES_SCHWAB, 35),
        (BrokerageName.TASTYTRADE, 36),
    ],
)
def test_number_is_leans(member: IntEnum, number: int) -> None:
    assert int(member) == number
    assert member == number, "algorithms may compare with plain numbers"


def test_markets_and_folders_are_leans() -> None:
    assert (MARKET_CODES["usa"], MARKET_CODES["cme"]) == (1, 23)
    assert SecurityType.INDEX_OPTION.folder == "indexoption"
    assert [kind for kind in SecurityType if kind.is_option] == [
        SecurityType.OPTION,
        SecurityType.FUTURE_OPTION,
        SecurityType.INDEX_OPTION,
    ]
