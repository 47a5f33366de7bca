"""When the money of a sale can be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest

from engine.enums import AccountType, BrokerageName
from engine.models.settlement import DelayedSettlement, ImmediateSettlement
from tests.engine.models.builders import STOCK_CLOCK, TODAY, Market, at

MONDAY = date(2025, 1, 13)


def usd(*amounts: int) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount) for amount in amounts)


@dataclass
class Ledger:
    cash: Decimal = Decimal(0)
    unsettled: Decimal = Decimal(0)

    def add_cash(self, amount: Decimal) -> None:
        self.cash += amount

    def add_unsettled_cash(self, amount: Decimal) -> None:
        self.unsettled += amount


def test_proceeds_settle_at_six_on_the_next_open_day() -> None:
    ledger, model = Ledger(), DelayedSettlement(STOCK_CLOCK)

    model.apply_funds(ledger, Decimal(1_000), at("15:00", TODAY))  # a Friday
    assert (ledger.cash, ledger.unsettled, model.unsettled_cash) == usd(0, 1_000, 1_000)

    model.scan(ledger, at("05:59:59", MONDAY))
    assert ledger.cash == 0

    model.scan(ledger, at("06:00", MONDAY))
    assert (ledger.cash, ledger.unsettled, model.unsettled_cash) == usd(1_000, 0, 0)


def test_a_holiday_is_no_open_day() -> None:
    ledger, model = Ledger(), DelayedSettlement(STOCK_CLOCK)
    model.apply_funds(ledger, Decimal(1_000), at("15:00", date(2025, 1, 17)))

    model.scan(ledger, at("23:59", date(2025, 1, 20)))
    assert ledger.cash == 0

    model.scan(ledger, at("06:00", date(2025, 1, 21)))
    assert ledger.cash == 1_000


def test_each_sale_settles_on_its_own_day() -> None:
    ledger, model = Ledger(), DelayedSettlement(STOCK_CLOCK)
    model.apply_funds(ledger, Decimal(1_000), at("15:00", TODAY))
    model.apply_funds(ledger, Decimal(500), at("10:00", MONDAY))

    model.scan(ledger, at("12:00", MONDAY))

    assert (ledger.cash, ledger.unsettled) == usd(1_000, 500)


@pytest.mark.parametrize("model", [DelayedSettlement(STOCK_CLOCK), ImmediateSettlement()])
def test_purchases_are_paid_at_once(model: DelayedSettlement | ImmediateSettlement) -> None:
    ledger = Ledger()

    model.apply_funds(ledger, Decimal(-700), at("15:00"))

    assert (ledger.cash, ledger.unsettled) == usd(-700, 0)


def test_immediate_settlement_has_nothing_to_wait_for() -> None:
    ledger, model = Ledger(), ImmediateSettlement()

    model.apply_funds(ledger, Decimal(700), at("15:00"))
    model.scan(ledger, at("16:00"))

    assert (ledger.cash, ledger.unsettled, model.unsettled_cash) == usd(700, 0, 0)


@pytest.mark.parametrize("name", [BrokerageName.DEFAULT, BrokerageName.INTERACTIVE_BROKERS_BROKERAGE])
@pytest.mark.parametrize(
    ("account_type", "asset", "kind"),
    [
        (AccountType.CASH, "stock", DelayedSettlement),
        (AccountType.CASH, "stock option", DelayedSettlement),
        (AccountType.CASH, "index option", ImmediateSettlement),
        (AccountType.MARGIN, "stock", ImmediateSettlement),
        (AccountType.MARGIN, "stock option", ImmediateSettlement),
    ],
)
def test_account_and_asset_decide(name: BrokerageName, account_type: AccountType, asset: str, kind: type) -> None:
    market = Market(name, account_type)
    stock = market.stock("SPY", 580.0)
    security = {
        "stock": stock,
        "stock option": market.stock_option(stock, 580, "C"),
        "index option": market.option(5800, "C"),
    }[asset]

    assert type(market.brokerage.get_settlement_model(security)) is kind
