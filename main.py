"""Bulkhead on LEAN: subscribe, build the components, forward LEAN's events.  No decisions are made here.

The same file runs on the embedded engine, on a native LEAN launcher, in LEAN's Docker image and in the cloud.
Attributes begin with an underscore, because LEAN lets `self.debug = ...` overwrite a method in silence; standard-
library imports follow the star import, which would shadow them.
"""

from __future__ import annotations

from AlgorithmImports import *

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

from core.assembly import Assembly, assemble
from core.eastern import to_utc
from core.errors import SettingsError
from core.family import SYMBOLS
from core.settings import AccountType as PlanAccount, Brokerage as PlanBrokerage, Mode, Settings
from helpers.lean_broker import LeanBroker
from helpers.lean_charts import LeanCharts
from helpers.lean_market import LeanMarket
from helpers.lean_store import LeanStore
from helpers.log_budget import LogBudget

_BROKERAGES = {
    PlanBrokerage.INTERACTIVE_BROKERS: BrokerageName.INTERACTIVE_BROKERS_BROKERAGE,
    PlanBrokerage.TASTYTRADE: BrokerageName.TASTYTRADE,
    PlanBrokerage.SCHWAB: BrokerageName.CHARLES_SCHWAB,
    PlanBrokerage.DEFAULT: BrokerageName.DEFAULT,
}
_SETTLING_SPAN = timedelta(days=7)
_DATA_WITHIN_S = 10
_SILENT_FOR = timedelta(seconds=90)
"""The pulse steps only where no step has run for this long: the minute had no data."""


class BulkheadAlgorithm(QCAlgorithm):
    """The only QCAlgorithm of the project."""

    def initialize(self) -> None:
        parameters = {str(item.key): str(item.value) for item in self.get_parameters()}
        settings = self._with_mode(Settings.from_parameters(parameters))
        self._plan = settings
        self._assembly: Assembly | None = None
        self._silent = False
        self._rests_until = datetime.min
        self._shown: dict[str, str] = {}
        self._charts = LeanCharts(self)
        self._log_budget = LogBudget(settings.log, live=self.live_mode)
        self._configure(settings)
        self._market = LeanMarket(self)
        self._subscribe(settings)
        self._is_live = settings.run.mode is not Mode.BACKTEST
        self._last_day = date.max if self._is_live else settings.run.end
        self._broker = LeanBroker(self, self._market, margin_repeats=self._is_live)
        if not self._is_live:
            self._assemble()
        # A backtest has pulses where a step may run, and none at night: LEAN takes as long for a pulse as for a price.
        times = (
            self.time_rules.every(timedelta(seconds=5))
            if self._is_live
            else FuncTimeRule("minutes with a step", self._minutes_in_utc)
        )
        # One handler only: LEAN runs the scheduled events of one minute in changing order.
        self.schedule.on(self.date_rules.every_day(self._anchor), times, self._on_pulse)

    def on_warmup_finished(self) -> None:
        # Cash, holdings and open orders of a live account are loaded after initialize: only now can be compared what an
        # earlier process has left.  LEAN calls this without a warm-up as well.
        if self._is_live and self._assembly is None:
            self._assemble()

    def _assemble(self) -> None:
        store = LeanStore(self)
        self._assembly = assemble(self._plan, self._market, self._broker, store, self.time, self._market)

    def _with_mode(self, settings: Settings) -> Settings:
        """A backtest is one whatever config.json says; live it must say which: the two never share a state."""
        if not self.live_mode:
            return replace(settings, run=replace(settings.run, mode=Mode.BACKTEST))
        if settings.run.mode is Mode.BACKTEST:
            raise SettingsError(["run.mode = BACKTEST: expected PAPER or LIVE in live trading. Set it in config.json."])
        return settings

    def _configure(self, settings: Settings) -> None:
        self.set_start_date(settings.run.start)
        # LEAN settles the last session's expiries (at 01:00 of the next day) only in a run that reaches the next
        # trading day, after a Friday the Monday; the first step beyond the last session quits.
        self.set_end_date(settings.run.end + _SETTLING_SPAN)
        self.set_cash(settings.account.start_cash_usd)
        account = AccountType.CASH if settings.account.type is PlanAccount.CASH else AccountType.MARGIN
        self.set_brokerage_model(_BROKERAGES[settings.account.brokerage], account)
        self.set_benchmark(lambda _time: 0)
        # LEAN's default model assigns European shorts intraday on their last day, which no exchange does.
        self.add_security_initializer(_switch_off_assignment)

    def _subscribe(self, settings: Settings) -> None:
        anchor = self.add_equity(settings.session.anchor, Resolution.MINUTE, fill_forward=False)
        anchor.set_data_normalization_mode(DataNormalizationMode.RAW)
        self._anchor = anchor.symbol
        self._market.add_share(settings.session.anchor, anchor.symbol)
        for ticker in ("SPX", "VIX"):
            self._market.add_index(ticker, self.add_index(ticker, Resolution.MINUTE, fill_forward=False).symbol)
        plan = settings.friday_0dte
        if plan.enabled:
            option = self.add_index_option("SPX", plan.underlying, Resolution.MINUTE, fill_forward=False)
            side = plan.strikes_each_side
            option.set_filter(lambda universe: universe.include_weeklys().expiration(0, 0).strikes(-side, side))
            self._market.add_chain(plan.underlying, "SPX", option.symbol)
        if settings.etf_rotation.enabled:
            for ticker in SYMBOLS:
                share = self.add_equity(ticker, Resolution.MINUTE, fill_forward=False)
                share.set_data_normalization_mode(DataNormalizationMode.RAW)
                self._market.add_share(ticker, share.symbol)

    def _minutes_in_utc(self, days: Iterable[datetime]) -> list[datetime]:
        assert self._assembly is not None, "a backtest is assembled before its pulses are"
        clock = self._assembly.parts.clock
        end = self._plan.run.end + _SETTLING_SPAN
        minutes: list[datetime] = []
        for day in days:
            if day.date() > end:  # LEAN's days go on until 2050
                break
            minutes.extend(map(to_utc, clock.minutes(day.date())))
        return minutes

    # -------------------------------------------------------------------------------------------------- LEAN's events

    def on_data(self, data: Slice) -> None:
        minute = self._market.absorb(data)
        if minute is not None:
            self._silent = False
            self._step(minute)

    def _on_pulse(self) -> None:
        """Step through minutes without data; deadlines must fire in silence too."""
        assembly = self._assembly
        if assembly is None:
            return
        now: datetime = self.time
        if self._is_live:
            now = now.replace(microsecond=0)
            assembly.attend(now)
            if now.second < _DATA_WITHIN_S:
                return  # the bars of the minute that has just ended come on another thread, perhaps a moment later
        if now < self._rests_until:
            return
        last = assembly.coordinator.last_step
        # In silence every minute has its step; the first one waits until it is sure that no data comes for its minute.
        if last is None or self._silent or now - last >= _SILENT_FOR:
            self._step(self._market.time)
            # The silence before an open says nothing of the first minute: a step that did not wait for its data would
            # take the opening bars for missing.
            self._silent = not assembly.coordinator.is_at_open

    def _step(self, now: datetime) -> None:
        assembly = self._assembly
        if assembly is None:
            return
        if not assembly.coordinator.is_due(now):
            self._rests_until = assembly.coordinator.rests_until(now)  # live, LEAN's pulse goes on all night
            return
        day = now.date()
        if day > self._last_day:
            self.quit("The last session is settled.")
            return
        self._broker.begin_step(day)
        for line in assembly.step(now):
            self._say(line)
        self._show(assembly)

    def on_order_event(self, order_event: OrderEvent) -> None:
        assembly = self._assembly
        if assembly is None:
            return
        assembly.coordinator.post(self._broker.translate(order_event))
        if not self._is_live:
            # A backtest confirms a cancel after on_data, in the same minute: what waited for it goes on now, not in the
            # next minute. Live, reports come on other threads, and only the pulse goes on.
            assembly.attend(self.time)

    def on_splits(self, splits: Splits) -> None:
        assembly = self._assembly
        if assembly is None:
            return
        for split in splits.values():
            if split.type == SplitType.SPLIT_OCCURRED:
                assembly.coordinator.post(self._market.split(split))

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        self._market.universe_changed()  # what has changed is 480 contracts a day, which hardly anybody asks for

    def on_end_of_algorithm(self) -> None:
        assembly = self._assembly
        if assembly is not None:
            assembly.finish(self.time)
            self._show_statistics(assembly)

    # ---------------------------------------------------------------------------------------------------------- views

    def _say(self, line: str) -> None:
        """Write one line of the log while its budget lasts; the ledger is never cut."""
        if self._log_budget.spend(line, self.time):
            self.log(line)

    def _show(self, assembly: Assembly) -> None:
        self._show_statistics(assembly)
        for chart, series, point in assembly.chart_points():
            self._charts.add(chart, series, point)

    def _show_statistics(self, assembly: Assembly) -> None:
        for name, value in assembly.runtime_statistics():
            if self._shown.get(name) != value:  # LEAN takes longer to write one than we to make all of them
                self._shown[name] = value
                self.set_runtime_statistic(name, value)


def _switch_off_assignment(security: Security) -> None:
    if security.type == SecurityType.INDEX_OPTION:
        security.set_option_assignment_model(NullOptionAssignmentModel())
