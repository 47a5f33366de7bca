"""Settings: every number has a unit and a source, and a wrong name or value is one clear sentence."""

from __future__ import annotations

from datetime import date, time

import pytest

from core.errors import SettingsError
from core.setting_fields import describe, settings_hash
from core.settings import BreakerSettings, Brokerage, Settings


def refusal(**parameters: str) -> str:
    with pytest.raises(SettingsError) as raised:
        Settings.from_parameters({name.replace("__", "."): value for name, value in parameters.items()})
    return str(raised.value)


def test_every_setting_says_where_it_comes_from_and_every_number_its_bounds() -> None:
    for item in describe(Settings()):
        assert item.meta.source, item.name
        if isinstance(item.value, int | float) and not isinstance(item.value, bool):
            assert item.meta.low < item.meta.high, item.name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("orders.ladder_step_s", "90", 90),
        ("breaker.daily_loss_pct", "4", 4.0),
        ("account.naked_options_approved", "false", False),
        ("account.naked_options_approved", "True", True),
        ("friday_0dte.entry_start_et", "10:45", time(10, 45)),
        ("breaker.resume_dates", "2025-01-02, 2025-02-03", (date(2025, 1, 2), date(2025, 2, 3))),
        ("account.brokerage", "TASTYTRADE", Brokerage.TASTYTRADE),
    ],
)
def test_an_override_is_read_by_the_type_of_its_field(name: str, text: str, value: object) -> None:
    settings = Settings.from_parameters({name: text})
    assert {item.name: item.value for item in describe(settings)}[name] == value


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    assert refusal(breaker__dayly_loss_pct="4") == (
        "breaker.dayly_loss_pct = '4': no setting has this name. Did you mean breaker.daily_loss_pct?"
    )


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("orders__ladder_step_s", "abc", "a whole number"),
        ("orders__ladder_step_s", "60.5", "a whole number"),
        ("orders__entry_k1", "nan", "a finite number"),
        ("orders__entry_k1", "inf", "a finite number"),
        ("vix__daily_only", "1", "true or false"),
        ("friday_0dte__entry_start_et", "25:99", "a time of day such as 10:30"),
        ("account__brokerage", "ETRADE", "one of INTERACTIVE_BROKERS, TASTYTRADE, SCHWAB, DEFAULT"),
        ("run__start", "2025-02-30", "a date such as 2025-11-28"),
    ],
)
def test_a_value_that_cannot_be_read_says_what_was_expected(name: str, text: str, expected: str) -> None:
    sentence = refusal(**{name: text})
    assert name.replace("__", ".") in sentence
    assert repr(text) in sentence
    assert f"expected {expected}" in sentence
    assert "Delete it" in sentence


def test_fp56_a_fraction_given_for_a_percentage_is_refused_by_its_bounds() -> None:
    assert "expected 0.1 to 50" in refusal(breaker__daily_loss_pct="0.05")
    assert "expected 0 to 1" in refusal(orders__entry_k1="40")


def test_all_bad_fields_are_named_at_once() -> None:
    sentences = refusal(orders__ladder_step_s="0", sizer__trade_risk_pct="3", nonsense="1").splitlines()
    assert len(sentences) == 3


def test_the_trade_risk_limit_cannot_be_loosened() -> None:
    assert "sizer.trade_risk_pct = 3: expected 0.01 to 2" in refusal(sizer__trade_risk_pct="3")


def test_the_hash_covers_what_decides_trading_and_not_what_a_run_is() -> None:
    base = settings_hash(Settings().trading())
    assert settings_hash(Settings.from_parameters({"run.seed": "8"}).trading()) == base
    assert settings_hash(Settings.from_parameters({"vix.max_age_s": "299"}).trading()) != base


def test_a_section_built_in_code_is_checked_too() -> None:
    with pytest.raises(SettingsError, match=r"breaker\.halt_ratio = 0\.5: expected 1 to 10"):
        BreakerSettings(halt_ratio=0.5)
