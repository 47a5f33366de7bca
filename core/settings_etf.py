"""Numbers of the ETF rotation book (etf-rotation.md 7).

Sources: OC and OD the predecessor's code and documents, SR the seed report, LEAN its source, OUR our decision.
Thresholds are frozen: they stand in the run's header, and nothing moves one while it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import ClassVar

from core.errors import SettingsError
from core.setting_fields import Section, choice, number


class DayTradeRule(StrEnum):
    NONE = "none"
    COUNT = "count"


class SignalSource(StrEnum):
    """Where the probability comes from; all but sigor are made for tests and never run live."""

    SIGOR = "sigor"
    CONSTANT = "constant"
    ALTERNATING = "alternating"
    HOVER = "hover"
    RANDOM = "random"
    NAN = "nan"
    LOOK_AHEAD = "look_ahead"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSettings(Section):
    """The fusion of the detectors; their weights and windows are part of what they are."""

    section: ClassVar[str] = "etf_rotation.signal"
    source: SignalSource = choice(SignalSource.SIGOR, "OUR: the others are refused outside a backtest")
    fusion_gain: float = number(
        2.5, "x the mean log-odds", "OUR", low=0.1, high=10,
        why="at 1.5 the average reaches 0.75 on fewer than 0.1 % of bars, and 3x is dead",
    )  # fmt: skip
    logit_clip_prob: float = number(0.02, "probability at least, and from 1", "OUR", low=0.001, high=0.4)
    ready_weight_fraction: float = number(0.8, "of the detectors' weight", "OUR", low=0.1, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSettings(Section):
    """What the synthetic signals say; read only when one of them is the source."""

    section: ClassVar[str] = "etf_rotation.synthetic"
    seed: int = number(7, "", "OUR: of random, nan and look_ahead", low=0, high=2**53)
    constant_prob: float = number(0.9, "probability", "OUR", low=0.001, high=0.999)
    high_prob: float = number(0.9, "probability, alternating and look_ahead", "OUR", low=0.001, high=0.999)
    low_prob: float = number(0.1, "probability, alternating and look_ahead", "OUR", low=0.001, high=0.999)
    hover_prob: float = number(0.60, "probability in the middle", "OUR", low=0.02, high=0.98)
    hover_width_prob: float = number(0.01, "probability to either side", "OUR", low=0, high=0.4)
    nan_fraction: float = number(0.05, "of the bars", "OUR", low=0, high=1)
    accuracy_fraction: float = number(0.75, "of the bars right", "OUR", low=0, high=1)
    script: str = choice("", "OUR: script: `10:05=0.62 10:20=nan`, each from its minute on")
    table: str = choice("", "OUR: look_ahead: `date=hex` of one bit a minute, separated by commas; made by the test")


@dataclass(frozen=True, slots=True, kw_only=True)
class EtfRotationSettings(Section):
    """Intraday rotation among the index share, its triple, and their inverses; flat at every close."""

    section: ClassVar[str] = "etf_rotation"
    enabled: bool = choice(True, "etf-rotation.md 7")
    enter_1x_prob: float = number(0.60, "probability", "OC", low=0.5, high=0.99)
    enter_3x_prob: float = number(0.75, "probability", "OC", low=0.5, high=0.99)
    leave_1x_prob: float = number(0.55, "probability", "OC", low=0.5, high=0.99)
    leave_3x_prob: float = number(0.70, "probability", "OC", low=0.5, high=0.99)
    confirm_bars: int = number(2, "bars on one side", "OUR", low=1, high=60)
    min_hold_bars: int = number(10, "bars from the first fill", "OD", low=0, high=390)
    cooldown_bars: int = number(5, "bars from the fill that reached CASH", "OD", low=0, high=390)
    max_opens_per_bar: int = number(1, "openings", "OD", low=0, high=1)
    max_opens_per_session: int = number(20, "openings", "OUR", low=0, high=200)
    orders_per_block_soft: int = number(50, "parents with a fill per block_minutes", "SR", low=1, high=1000)
    orders_per_block_hard: int = number(100, "parents with a fill per block_minutes", "SR", low=2, high=1000)
    block_minutes: int = number(480, "session minutes", "SR", low=60, high=3900)
    no_entry_minutes: int = number(30, "minutes before X; must be the session clock's", "OD", low=5, high=120)
    flatten_minutes: int = number(15, "minutes before X; must be the session clock's", "OD", low=2, high=60)
    verify_minutes: int = number(5, "minutes before X; must be the session clock's", "OD", low=1, high=30)
    verify_after_close_s: int = number(120, "s after X", "OUR: auction prints, late reports", low=0, high=900)
    last_send_s: int = number(30, "s before X", "OUR: LEAN makes a late market order market-on-open", low=0, high=600)
    moc_decide_minutes: int = number(16, "minutes before X", "LEAN refuses below 15.5 minutes", low=16, high=60)
    moc_release_minutes: int = number(11, "minutes before X", "OUR", low=2, high=15)
    moc_cancel_s: int = number(60, "s after X that a market-on-close order may stay open", "OUR", low=0, high=600)
    halt_age_s: int = number(90, "s without a fresh quote", "OUR", low=60, high=900)
    max_spread_fraction: float = number(0.002, "of mid", "OUR", low=0.0001, high=0.1)
    sleeve_fraction: float = number(0.30, "of equity", "OUR", low=0.01, high=0.75)
    max_exposure_fraction: float = number(1.00, "of equity, leverage x value", "OUR", low=0.01, high=3)
    weight_1x_fraction: float = number(1.0, "of the sleeve", "OC", low=0, high=1)
    weight_3x_fraction: float = number(1.0, "of the sleeve", "OC: the exposure cap does it", low=0, high=1)
    cash_reserve_fraction: float = number(0.05, "of equity", "OD", low=0, high=1)
    open_collar_fraction: float = number(0.0010, "above the ask", "OUR", low=0, high=0.05)
    rebalance_band_fraction: float = number(0.05, "of the sleeve", "OUR", low=0, high=1)
    min_order_usd: float = number(50.0, "USD", "OC", low=0, high=100_000)
    min_open_fraction: float = number(0.25, "of the target value", "OUR", low=0, high=1)
    max_participation_fraction: float = number(0.05, "of the median minute volume", "OUR", low=0.0001, high=1)
    volume_bars: int = number(20, "bars of the median minute volume", "etf-rotation.md 5", low=1, high=390)
    session_loss_fraction: float = number(0.03, "of the sleeve at the open", "OUR", low=0.001, high=1)
    not_ready_bars: int = number(3, "bars that a holding outlives without a reading", "OUR", low=0, high=60)
    open_timeout_s: int = number(60, "s from sending", "OUR: one bar to fill in", low=30, high=600)
    max_close_children: int = number(8, "orders", "risk.md 18", low=1, high=8)
    vix_max_3x_points: float = number(30.0, "index points, above it no new 3x", "OUR", low=5, high=100)
    vix_max_entry_points: float = number(40.0, "index points, above it no entry", "OUR", low=5, high=100)
    orphan_delay_s: int = number(60, "s after O", "OUR", low=0, high=3600)
    unexplained_gap_fraction: float = number(0.45, "of the last close", "OUR", low=0.01, high=1)
    resume_dates: tuple[date, ...] = choice(
        (), "OUR: the operator's word, sessions from whose open a halt for P1, P2 or P4 may end"
    )
    day_trade_rule: DayTradeRule = choice(DayTradeRule.NONE, "OUR: replaced in 2026; count, while brokers phase in")
    day_trade_equity_usd: float = number(25_000.0, "USD, the rule counts below it", "FINRA 4210", low=0, high=1e9)
    signal: SignalSettings = field(default_factory=SignalSettings)
    synthetic: SyntheticSettings = field(default_factory=SyntheticSettings)

    def __post_init__(self) -> None:
        Section.__post_init__(self)
        sentences = [
            f"etf_rotation.{low} = {getattr(self, low):g}: expected {word} etf_rotation.{high} = "
            f"{getattr(self, high):g}. Delete both from the parameters to use the defaults."
            for low, high, word, holds in (
                ("leave_1x_prob", "enter_1x_prob", "at most", self.leave_1x_prob <= self.enter_1x_prob),
                ("leave_3x_prob", "enter_3x_prob", "at most", self.leave_3x_prob <= self.enter_3x_prob),
                ("enter_1x_prob", "enter_3x_prob", "less than", self.enter_1x_prob < self.enter_3x_prob),
                ("leave_1x_prob", "leave_3x_prob", "at most", self.leave_1x_prob <= self.leave_3x_prob),
                ("orders_per_block_soft", "orders_per_block_hard", "at most",
                 self.orders_per_block_soft <= self.orders_per_block_hard),
                ("vix_max_3x_points", "vix_max_entry_points", "at most",
                 self.vix_max_3x_points <= self.vix_max_entry_points),
            )
            if not holds
        ]  # fmt: skip
        if sentences:
            raise SettingsError(sentences)

    def weight(self, leverage: int) -> float:
        """Return the share of the sleeve that a holding of this leverage takes."""
        return self.weight_1x_fraction if leverage == 1 else self.weight_3x_fraction
