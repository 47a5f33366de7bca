"""The settings objects an algorithm may change in `initialize`: `self.settings`, `self.universe_settings`."""

from __future__ import annotations

from datetime import timedelta

from engine.enums import DataNormalizationMode, Resolution


class AlgorithmSettings:
    """LEAN's AlgorithmSettings, as far as this engine follows them."""

    def __init__(self) -> None:
        self.free_portfolio_value_percentage = 0.0025
        self.free_portfolio_value: float | None = None
        self.minimum_order_margin_portfolio_percentage = 0.001
        self.stale_price_time_span = timedelta(hours=1)
        self.liquidate_enabled = True
        self.seed_initial_prices = False
        self.daily_precise_end_time = True
        self.warmup_resolution: Resolution | None = None
        self.automatic_indicator_warm_up = False
        self.trading_days_per_year = 252
        self.max_absolute_portfolio_target_percentage = 1_000_000_000.0
        self.min_absolute_portfolio_target_percentage = 0.0000000001


class UniverseSettings:
    """Defaults of subscriptions that a universe makes."""

    def __init__(self) -> None:
        self.resolution = Resolution.MINUTE
        self.leverage = 0.0
        self.fill_forward = True
        self.extended_market_hours = False
        self.minimum_time_in_universe = timedelta(days=1)
        self.data_normalization_mode = DataNormalizationMode.ADJUSTED
        self.asynchronous: bool | None = None
