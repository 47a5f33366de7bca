"""Every number of the system: unit in the name or beside it, bounds, and where it comes from.

Override one with a LEAN parameter of its dotted name (`breaker.daily_loss_pct = 4`); values are text.  Sources: M
methodology, S specification, C constants, K code, A seed audit, E measured on the engine, O our decision.  A `_pct` is
in per cent (1.50 means 0.015), a `_fraction` is bare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from enum import StrEnum
from typing import ClassVar

from core.setting_fields import Section, choice, flatten, number, parse
from core.settings_etf import EtfRotationSettings


class Mode(StrEnum):
    BACKTEST = "BACKTEST"
    PAPER = "PAPER"
    LIVE = "LIVE"


class AccountType(StrEnum):
    CASH = "CASH"
    MARGIN = "MARGIN"


class Brokerage(StrEnum):
    INTERACTIVE_BROKERS = "INTERACTIVE_BROKERS"
    TASTYTRADE = "TASTYTRADE"
    SCHWAB = "SCHWAB"
    DEFAULT = "DEFAULT"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings(Section):
    """What one run is: set by the runner, written into the ledger's header, not part of the settings hash."""

    section: ClassVar[str] = "run"
    start: date = choice(date(2025, 9, 2), "first session")
    end: date = choice(date(2025, 11, 25), "last session")
    seed: int = number(7, "", "seed of the synthetic market; part of the run id", low=0, high=2**53)
    mode: Mode = choice(Mode.BACKTEST, "risk.md 17: BACKTEST never loads state, PAPER and LIVE do")
    engine: str = choice("lean", "who runs main.py; the runner says so")
    engine_version: str = choice("unknown", "as the runner knows it")
    data_manifest: str = choice("unknown", "hash of the data that the runner knows")
    code_hash: str = choice("unknown", "hash of the shipped files")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings(Section):
    section: ClassVar[str] = "account"
    start_cash_usd: float = number(100_000.0, "USD", "O", low=1.0, high=1e9)
    brokerage: Brokerage = choice(Brokerage.INTERACTIVE_BROKERS, "strategies.md 0: the default charges index options 0")
    type: AccountType = choice(AccountType.MARGIN, "options need margin")
    currency: str = choice("USD", "O")
    naked_options_approved: bool = choice(False, "O: naked shorts only on the operator's word")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings(Section):
    """Session phases in minutes from the open O and the close X of the anchor."""

    section: ClassVar[str] = "session"
    anchor: str = choice("SPY", "E: index entries say 16:15, the deadline is ours")
    closed_days: tuple[date, ...] = choice((), "closings that the exchange announced after the calendar was written")
    pre_open_min: int = number(30, "minutes before O", "risk.md 3", low=1, high=240)
    opening_min: int = number(5, "minutes after O", "risk.md 3", low=1, high=60)
    late_min: int = number(30, "minutes before X", "M", low=5, high=120)
    flatten_min: int = number(15, "minutes before X", "M", low=2, high=60)
    final_min: int = number(5, "minutes before X", "M", low=1, high=30)
    after_close_min: int = number(15, "minutes after X", "risk.md 3: no order is sent", low=1, high=60)
    opening_price_wait_min: int = number(60, "minutes after O", "A", low=5, high=120)
    opening_price_late_wait_min: int = number(5, "minutes after a late start", "risk.md 3", low=1, high=30)
    opening_price_tolerance_pct: float = number(1.0, "% of the mean of the first five closes", "A", low=0.1, high=10)
    opening_price_low_fraction: float = number(0.7, "of the last close", "A", low=0.1, high=1)
    opening_price_high_fraction: float = number(1.3, "of the last close", "A", low=1, high=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings(Section):
    """How old a value may be before no decision reads it."""

    section: ClassVar[str] = "data"
    underlying_max_age_s: int = number(30, "s", "K", low=1, high=600)
    quote_max_age_near_s: int = number(60, "s", "O: DTE <= near_dte", low=1, high=600)
    quote_max_age_far_s: int = number(300, "s", "O", low=1, high=3600)
    near_dte: int = number(7, "calendar days", "O", low=0, high=60)
    feed_silent_s: int = number(120, "s", "risk.md 5", low=30, high=1800)
    broker_silent_s: int = number(60, "s", "risk.md 5", low=10, high=600)
    mark_hold_s: int = number(60, "s", "risk.md 0: last good mid", low=0, high=600)
    equity_dispute_pct: float = number(2.0, "% of equity", "risk.md 0: it is only a witness", low=0.1, high=20)
    rv_sessions: int = number(20, "daily log returns", "risk.md 2", low=5, high=260)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings(Section):
    """When an option chain and a quote are good enough to open on."""

    section: ClassVar[str] = "chain"
    delta_low: float = number(0.02, "|delta|", "A", low=0, high=0.5)
    delta_high: float = number(0.50, "|delta|", "A", low=0.1, high=1)
    min_contracts: int = number(10, "contracts in the delta band", "A", low=1, high=500)
    min_contracts_0dte: int = number(20, "contracts in the delta band", "A", low=1, high=500)
    good_share_pct: float = number(80.0, "% of them GOOD", "K", low=0, high=100)
    wide_ticks: int = number(3, "ticks", "K", low=1, high=100)
    wide_mid_pct: float = number(10.0, "% of mid", "K", low=0.1, high=100)
    wide_cap_points: float = number(0.50, "points where mid <= wide_cap_mid_points", "M", low=0.01, high=100)
    wide_cap_mid_points: float = number(10.0, "points", "M", low=0.1, high=1000)
    blowout_multiple: float = number(5.0, "x this contract's median spread so far", "risk.md 4", low=1, high=100)
    spread_sample_min: int = number(5, "minutes from one look at the whole chain to the next", "O", low=1, high=60)
    combo_spread_pct: float = number(15.0, "% of the sum of mids", "O", low=0.1, high=100)
    alert_min: int = number(15, "minutes of refusals", "risk.md 4", low=1, high=390)


@dataclass(frozen=True, slots=True, kw_only=True)
class VixSettings(Section):
    section: ClassVar[str] = "vix"
    low: float = number(5.0, "index points", "C", low=0, high=50)
    high: float = number(100.0, "index points", "C", low=50, high=1000)
    max_age_s: int = number(300, "s", "M", low=1, high=3600)
    suspect_base: float = number(0.10, "|5-min change of ln VIX|", "O", low=0.01, high=2)
    suspect_per_spx: float = number(15.0, "x |5-min change of ln SPX|", "O", low=0, high=100)
    rv_ratio_low: float = number(0.4, "VIX / RV20", "O", low=0, high=1)
    rv_ratio_high: float = number(5.0, "VIX / RV20", "O", low=1, high=50)
    daily_only: bool = choice(False, "opt-in where no minute feed exists: last close, scale .5")
    daily_only_scale: float = number(0.5, "fraction", "risk.md 2", low=0, high=1)
    calm_at: float = number(12.0, "index points", "M", low=5, high=100)
    normal_at: float = number(16.0, "index points", "M", low=5, high=100)
    elevated_at: float = number(20.0, "index points", "M, ceilings and buffer step here (O)", low=5, high=100)
    high_at: float = number(30.0, "index points", "M", low=5, high=100)
    crisis_at: float = number(40.0, "index points", "M", low=5, high=100)
    scale_elevated: float = number(0.75, "fraction", "M", low=0, high=1)
    scale_high: float = number(0.50, "fraction", "M", low=0, high=1)
    scale_crisis: float = number(0.25, "fraction; short premium 0", "M", low=0, high=1)
    down_fraction: float = number(0.95, "of the boundary", "risk.md 2", low=0.5, high=1)
    down_min: int = number(30, "minutes below it", "risk.md 2", low=1, high=390)
    complacent_below: float = number(15.0, "index points", "M", low=0, high=100)
    complacent_change_pct: float = number(10.0, "% since last close", "M", low=0, high=100)
    panic_ratio: float = number(1.5, "x last close", "M", low=1, high=10)
    panic_release_ratio: float = number(1.25, "x last close", "risk.md 2", low=1, high=10)
    panic_release_min: int = number(60, "minutes", "risk.md 2", low=1, high=390)
    first_print_min: int = number(1, "minutes after O", "E: before it the price is 0 or yesterday's", low=0, high=60)
    change_min: int = number(5, "minutes of the change that SUSPECT judges", "O", low=1, high=60)
    ceiling_normal: float = number(0.80, "margin / E below elevated_at", "M", low=0, high=1)
    ceiling_elevated: float = number(0.70, "margin / E", "M", low=0, high=1)
    ceiling_high: float = number(0.60, "margin / E", "M", low=0, high=1)
    ceiling_crisis: float = number(0.50, "margin / E", "M", low=0, high=1)
    buffer_normal: float = number(0.20, "fraction of E below elevated_at", "A", low=0, high=1)
    buffer_elevated: float = number(0.35, "fraction of E", "A", low=0, high=1)
    buffer_high: float = number(0.50, "fraction of E", "A", low=0, high=1)
    buffer_crisis: float = number(0.70, "fraction of E", "A", low=0, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettings(Section):
    section: ClassVar[str] = "events"
    nfp_wait_min: int = number(120, "minutes after the release", "C, S", low=0, high=390)
    fomc_before_h: int = number(24, "hours, other short premium", "S", low=0, high=72)
    fomc_after_h: int = number(2, "hours, other short premium", "S", low=0, high=24)
    coverage_alert_days: int = number(30, "days ahead", "risk.md 6", low=0, high=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSettings(Section):
    section: ClassVar[str] = "margin"
    buffer_low: float = number(0.20, "fraction of E", "A", low=0, high=1)
    engine_share: float = number(0.80, "of the engine's remaining margin", "A", low=0, high=1)
    event_add_fomc: float = number(0.15, "fraction", "A", low=0, high=1)
    event_add_opex: float = number(0.12, "fraction", "A", low=0, high=1)
    event_add_cpi: float = number(0.10, "fraction", "A", low=0, high=1)
    event_add_december: float = number(0.10, "fraction", "A", low=0, high=1)
    event_add_unknown: float = number(0.15, "fraction, beyond the calendar's coverage", "risk.md 6", low=0, high=1)
    operator_buffer: float = number(0.0, "fraction; raises the buffer, never lowers it", "A", low=0, high=1)
    per_trade_pct: float = number(30.0, "% of available buying power", "K", low=1, high=100)
    account_crash_pct: float = number(20.0, "% of E", "O", low=1, high=100)
    watch_fraction: float = number(0.60, "used / E", "A", low=0, high=1)
    restrict_fraction: float = number(0.70, "used / E", "A", low=0, high=1)
    block_fraction: float = number(0.80, "used / E", "A", low=0, high=1)
    restrict_scale: float = number(0.5, "fraction", "A", low=0, high=1)
    restrict_priority: int = number(2, "last strategy priority that still enters", "A", low=0, high=6)
    event_add_earnings: float = number(0.08, "fraction, January, April, July, October", "A", low=0, high=1)
    clock_opening: float = number(1.5, "x buffer_base before O", "K", low=1, high=2)
    clock_first: float = number(1.3, "x buffer_base until O + clock_first_min", "K", low=1, high=2)
    clock_second: float = number(1.1, "x buffer_base until O + clock_second_min", "K", low=1, high=2)
    clock_midday: float = number(1.0, "x buffer_base until X - clock_midday_min", "K", low=1, high=2)
    clock_afternoon: float = number(1.1, "x buffer_base until X - clock_afternoon_min", "K", low=1, high=2)
    clock_closing: float = number(1.4, "x buffer_base until X", "K", low=1, high=2)
    clock_after: float = number(1.2, "x buffer_base after X", "K", low=1, high=2)
    clock_first_min: int = number(60, "minutes after O", "K", low=1, high=240)
    clock_second_min: int = number(120, "minutes after O", "K", low=1, high=240)
    clock_midday_min: int = number(120, "minutes before X", "K", low=1, high=240)
    clock_afternoon_min: int = number(30, "minutes before X", "K", low=1, high=240)
    naked_underlying_pct: float = number(20.0, "% of the underlying, naked short", "risk.md 7", low=1, high=100)
    naked_index_pct: float = number(15.0, "% of the underlying, naked short of an index", "risk.md 7", low=1, high=100)
    naked_strike_pct: float = number(10.0, "% of the strike at least, naked short", "risk.md 7", low=1, high=100)
    naked_stress_multiple: float = number(1.3, "x own margin of naked trades under stress", "risk.md 7", low=1, high=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StressSettings(Section):
    """The two pairs of shocks on every book: T ordinary, C crash (risk.md 0); moves x max(|beta|, 1)."""

    section: ClassVar[str] = "stress"
    ordinary_down_pct: float = number(5.0, "% fall", "risk.md 0", low=0.1, high=50)
    ordinary_down_iv_points: float = number(10.0, "points of IV", "risk.md 0", low=0, high=100)
    ordinary_up_pct: float = number(5.0, "% rise", "risk.md 0", low=0.1, high=50)
    ordinary_up_iv_points: float = number(-4.0, "points of IV", "risk.md 0", low=-50, high=50)
    crash_down_pct: float = number(10.0, "% fall", "risk.md 0", low=0.1, high=50)
    crash_down_iv_points: float = number(25.0, "points of 30-day IV", "risk.md 0", low=0, high=100)
    crash_iv_floor_points: float = number(45.0, "points of 30-day IV reached at least", "risk.md 0", low=0, high=200)
    crash_up_pct: float = number(10.0, "% rise", "risk.md 0", low=0.1, high=50)
    crash_up_iv_points: float = number(-5.0, "points of IV", "risk.md 0", low=-50, high=50)
    iv_days: int = number(30, "days to expiry at which the IV shift is 1:1", "risk.md 0", low=1, high=365)
    iv_shift_low: float = number(0.5, "x the IV shift at least", "risk.md 0", low=0, high=1)
    iv_shift_high: float = number(1.5, "x the IV shift at most", "risk.md 0", low=1, high=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizerSettings(Section):
    section: ClassVar[str] = "sizer"
    trade_risk_pct: float = number(2.0, "% of E, maximum loss or ordinary stress loss", "M", low=0.01, high=2.0)
    trade_crash_pct: float = number(5.0, "% of E", "M", low=0.01, high=5.0)
    halve_below_trades: int = number(10, "closed trades of the strategy", "risk.md 8", low=0, high=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings(Section):
    section: ClassVar[str] = "breaker"
    daily_loss_pct: float = number(5.0, "% of the last close", "A", low=0.1, high=50)
    weekly_loss_pct: float = number(10.0, "%", "A", low=0.1, high=50)
    monthly_loss_pct: float = number(15.0, "%", "A", low=0.1, high=50)
    session_high_loss_pct: float = number(3.0, "% from the session high", "A", low=0.1, high=50)
    warn_ratio: float = number(0.80, "of a limit", "risk.md 9", low=0.1, high=1)
    warn_scale: float = number(0.5, "fraction", "risk.md 9", low=0, high=1)
    halt_ratio: float = number(1.50, "of a day, week or month limit", "M", low=1, high=10)
    release_h: int = number(24, "hours after the last material low", "risk.md 9", low=1, high=240)
    material_low_pct: float = number(0.25, "% of trip equity", "risk.md 9", low=0.01, high=10)
    recovery_scale: float = number(0.5, "fraction", "risk.md 9", low=0, high=1)
    recovery_gain: float = number(1.02, "x release equity", "risk.md 9", low=1, high=2)
    recovery_sessions: int = number(20, "sessions without WARN", "risk.md 9", low=1, high=250)
    third_trip_sessions: int = number(20, "sessions", "risk.md 9", low=1, high=250)
    resume_dates: tuple[date, ...] = choice((), "backtests: sessions at whose open a trip may be resumed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcentrationSettings(Section):
    section: ClassVar[str] = "concentration"
    options_delta_pct: float = number(50.0, "% of E, |net delta| of the option books", "K", low=1, high=500)
    options_delta_high_pct: float = number(25.0, "% of E in HIGH and CRISIS", "K", low=1, high=500)
    family_strategies: int = number(2, "strategies per underlying family", "A", low=1, high=10)
    family_strategies_high: int = number(1, "strategies in HIGH and CRISIS", "A", low=1, high=10)
    family_risk_pct: float = number(6.0, "% of E at risk per family", "A", low=0.1, high=100)
    family_margin_pct: float = number(30.0, "% of E own margin per family", "A", low=1, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSettings(Section):
    """Account phases by equity at the open."""

    section: ClassVar[str] = "phases"
    phase1_usd: float = number(38_100.0, "USD", "M", low=0, high=1e9)
    phase2_usd: float = number(50_800.0, "USD", "M", low=0, high=1e9)
    phase3_usd: float = number(76_200.0, "USD", "M", low=0, high=1e9)
    phase4_usd: float = number(95_250.0, "USD", "M", low=0, high=1e9)
    down_fraction: float = number(0.95, "of the boundary", "M", low=0.5, high=1)
    promotion_drawdown_pct: float = number(10.0, "%", "risk.md 15", low=0, high=100)
    max_trades_0: int = number(2, "open option trades", "M", low=0, high=100)
    max_trades_1: int = number(3, "open option trades", "M", low=0, high=100)
    max_trades_2: int = number(5, "open option trades", "M", low=0, high=100)
    max_trades_3: int = number(7, "open option trades", "M", low=0, high=100)
    max_trades_4: int = number(10, "open option trades", "M", low=0, high=100)
    position_margin_pct_0: float = number(5.0, "% of E, own margin of one trade", "M", low=0, high=100)
    position_margin_pct_1: float = number(5.0, "% of E, own margin of one trade", "M", low=0, high=100)
    position_margin_pct_2: float = number(7.0, "% of E, own margin of one trade", "M", low=0, high=100)
    position_margin_pct_3: float = number(10.0, "% of E, own margin of one trade", "M", low=0, high=100)
    position_margin_pct_4: float = number(15.0, "% of E, own margin of one trade", "M", low=0, high=100)
    bp_ceiling_pct_0: float = number(30.0, "% of E, own margin of the option books", "M", low=0, high=100)
    bp_ceiling_pct_1: float = number(30.0, "% of E, own margin of the option books", "M", low=0, high=100)
    bp_ceiling_pct_2: float = number(50.0, "% of E, own margin of the option books", "M", low=0, high=100)
    bp_ceiling_pct_3: float = number(65.0, "% of E, own margin of the option books", "M", low=0, high=100)
    bp_ceiling_pct_4: float = number(80.0, "% of E, own margin of the option books", "M", low=0, high=100)
    new_per_session_0: int = number(2, "new option trades a session", "C", low=0, high=100)
    new_per_session_1: int = number(3, "new option trades a session", "C", low=0, high=100)
    new_per_session_2: int = number(5, "new option trades a session", "C", low=0, high=100)
    new_per_session_3: int = number(7, "new option trades a session", "C", low=0, high=100)
    new_per_session_4: int = number(10, "new option trades a session", "C", low=0, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class GreeksSettings(Section):
    section: ClassVar[str] = "greeks"
    rate_pct: float = number(4.0, "% a year", "risk.md 13", low=-5, high=25)
    min_years_s: int = number(60, "s to settlement at least", "risk.md 13", low=1, high=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSettings(Section):
    section: ClassVar[str] = "orders"
    ladder_step_s: int = number(60, "s per price", "O: minute data", low=30, high=600)
    entry_k1: float = number(0.40, "of the net spread", "K", low=0, high=1)
    entry_k2: float = number(0.50, "of the net spread", "K", low=0, high=1)
    entry_k3: float = number(0.60, "of the net spread", "K", low=0, high=1)
    entry_k4: float = number(0.70, "of the net spread; the worst price", "K", low=0, high=1)
    exit_k1: float = number(0.50, "of the net spread", "K", low=0, high=1)
    exit_k2: float = number(0.65, "of the net spread", "K", low=0, high=1)
    exit_k3: float = number(0.80, "of the net spread", "K", low=0, high=1)
    exit_k4: float = number(1.00, "of the net spread", "K", low=0, high=1)
    urgent_k1: float = number(0.80, "of the net spread", "K", low=0, high=1)
    urgent_k2: float = number(1.00, "of the net spread", "K", low=0, high=1)
    collar_ticks: int = number(4, "ticks beyond natural", "risk.md 18", low=1, high=100)
    collar_pct: float = number(10.0, "% beyond natural", "risk.md 18", low=0.1, high=100)
    ack_timeout_s: int = number(30, "s", "risk.md 18", low=5, high=600)
    cancel_timeout_s: int = number(60, "s", "risk.md 18", low=5, high=600)
    group_wait_s: int = number(30, "s for all legs to be reported", "risk.md 18", low=0, high=60)
    lost_after_s: int = number(120, "s", "risk.md 17", low=30, high=3600)
    uncovered_max_s: int = number(60, "s", "OG-P1", low=10, high=600)
    children_per_parent: int = number(8, "orders", "risk.md 18", low=1, high=50)
    child_pause_s: int = number(60, "s after the last child", "risk.md 18", low=0, high=3600)
    orders_per_min: int = number(20, "orders", "risk.md 18", low=1, high=1000)
    entries_per_min: int = number(10, "orders", "risk.md 18", low=1, high=1000)
    orders_per_session: int = number(500, "orders", "risk.md 18", low=1, high=10_000)
    entry_parents: int = number(3, "ladders per option strategy and session", "strategies.md 0", low=1, high=20)
    entry_spacing_min: int = number(5, "minutes between attempts, and between new option trades", "K", low=0, high=120)
    open_to_close_s: int = number(5, "s, unless urgent", "risk.md 18", low=0, high=600)
    repair_risk_multiple: float = number(1.25, "x approved risk", "risk.md 18", low=1, high=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings(Section):
    section: ClassVar[str] = "state"
    fault_limit: int = number(3, "faults", "K", low=1, high=100)
    fault_window_min: int = number(30, "minutes", "K", low=1, high=390)
    clean_min: int = number(30, "clean minutes", "risk.md 17", low=1, high=390)
    returns_per_day: int = number(2, "times", "risk.md 17", low=0, high=20)
    planned_s: int = number(60, "s", "risk.md 17", low=10, high=600)
    entering_extra_s: int = number(60, "s beyond the ladder", "strategies.md 0", low=10, high=600)
    adjusting_min: int = number(10, "minutes", "risk.md 17", low=1, high=60)
    repairing_s: int = number(60, "s of market", "risk.md 17", low=10, high=600)
    exiting_alert_min: int = number(15, "minutes", "risk.md 17", low=1, high=60)
    settling_min: int = number(30, "minutes after the next open", "risk.md 17", low=1, high=390)
    snapshot_max_bytes: int = number(262_144, "bytes", "risk.md 17", low=1024, high=50_000_000)
    clean_steps: int = number(2, "clean steps before a lock opens", "risk.md 19", low=1, high=60)
    cash_tolerance_usd: float = number(1.0, "USD", "risk.md 19", low=0, high=1000)
    cash_tolerance_fraction: float = number(0.0001, "of E", "risk.md 19", low=0, high=0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings(Section):
    section: ClassVar[str] = "log"
    backtest_bytes: int = number(8_000, "bytes", "risk.md 22: the free cloud keeps 10 KB", low=0, high=100_000_000)
    live_bytes: int = number(50_000, "bytes a session", "risk.md 22", low=0, high=100_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Friday0dteSettings(Section):
    """Same-day SPXW iron condor or spread on the last session of the week (strategies.md 1)."""

    section: ClassVar[str] = "friday_0dte"
    enabled: bool = choice(True, "strategies.md 0")
    underlying: str = choice("SPXW", "European, cash, PM-settled")
    entry_start_et: time = choice(time(10, 30), "M C, K")
    entry_end_et: time = choice(time(11, 0), "M C, K")
    vix_min: float = number(22.0, "index points, inclusive", "S, K", low=5, high=100)
    vix_max: float = number(35.0, "index points, inclusive", "S, K", low=5, high=100)
    condor_max_move_pct: float = number(0.50, "% from the official open, inclusive", "M", low=0, high=10)
    skip_move_pct: float = number(1.50, "%, refused at it", "S", low=0.1, high=20)
    max_gap_pct: float = number(1.50, "%, SPY open against its prior close, refused at it", "S", low=0.1, high=20)
    short_delta: float = number(0.16, "|delta|", "S", low=0.01, high=0.5)
    short_delta_low: float = number(0.10, "|delta|", "S", low=0.01, high=0.5)
    short_delta_high: float = number(0.20, "|delta|", "S", low=0.01, high=0.5)
    wing_width_points: float = number(5.0, "index points below account phase 3", "O", low=5, high=200)
    wing_width_large_points: float = number(10.0, "index points from account phase 3 on", "O", low=5, high=200)
    min_credit_condor_pct: float = number(20.0, "% of width at the worst price", "O", low=0, high=100)
    min_credit_spread_pct: float = number(10.0, "% of width at the worst price", "O", low=0, high=100)
    max_credit_risk_pct: float = number(50.0, "% of width - credit at the first offer", "S", low=1, high=1000)
    max_fee_pct: float = number(12.0, "% of credit", "strategies.md 0", low=0, high=100)
    max_units: int = number(5, "units", "M, K", low=0, high=1000)
    max_units_high_vix: int = number(3, "units", "M, K", low=0, high=1000)
    high_vix: float = number(25.0, "index points, above it", "M, K", low=5, high=100)
    profit_target_pct: float = number(50.0, "% of credit", "all", low=1, high=100)
    stop_cost_multiple: float = number(2.0, "x credit, close_natural", "M", low=1, high=10)
    confirm_min: int = number(2, "consecutive minutes", "M", low=1, high=30)
    touched_confirm_min: int = number(1, "minutes once spot has touched a short strike", "M", low=1, high=30)
    time_exit_min: int = number(30, "minutes before X", "S", low=5, high=300)
    flatten_min: int = number(15, "minutes before X", "S", low=2, high=120)
    flat_min: int = number(5, "minutes before X", "S", low=1, high=60)
    vix_exit: float = number(40.0, "index points, above it", "M", low=5, high=100)
    invalid_min: int = number(5, "minutes without a valid quote, then spot decides", "strategies.md 0", low=1, high=60)
    quiet_exit_until_min: int = number(15, "minutes after O, no exit by quotes", "strategies.md 7.3", low=0, high=120)
    strikes_each_side: int = number(60, "strikes in the subscription", "strategies.md 1", low=5, high=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The root; sections in the order in which components are built."""

    run: RunSettings = field(default_factory=RunSettings)
    account: AccountSettings = field(default_factory=AccountSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    data: DataSettings = field(default_factory=DataSettings)
    chain: ChainSettings = field(default_factory=ChainSettings)
    vix: VixSettings = field(default_factory=VixSettings)
    events: EventSettings = field(default_factory=EventSettings)
    margin: MarginSettings = field(default_factory=MarginSettings)
    stress: StressSettings = field(default_factory=StressSettings)
    sizer: SizerSettings = field(default_factory=SizerSettings)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    concentration: ConcentrationSettings = field(default_factory=ConcentrationSettings)
    phases: PhaseSettings = field(default_factory=PhaseSettings)
    greeks: GreeksSettings = field(default_factory=GreeksSettings)
    orders: OrderSettings = field(default_factory=OrderSettings)
    state: StateSettings = field(default_factory=StateSettings)
    log: LogSettings = field(default_factory=LogSettings)
    friday_0dte: Friday0dteSettings = field(default_factory=Friday0dteSettings)
    etf_rotation: EtfRotationSettings = field(default_factory=EtfRotationSettings)

    @staticmethod
    def from_parameters(parameters: Mapping[str, str]) -> Settings:
        """Return the settings with overrides by dotted name. Raises SettingsError that lists every bad field."""
        return parse(Settings, parameters)

    def trading(self) -> dict[str, str | int]:
        """Return dotted name -> value of all that decides trading: everything but `run`."""
        return {name: value for name, value in flatten(self).items() if not name.startswith("run.")}
