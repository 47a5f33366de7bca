"""main.py with a stopwatch in each of its handlers."""

from AlgorithmImports import *

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.assembly import Assembly
from main import BulkheadAlgorithm
from tools.measured.stopwatch import KEY, Stopwatch


class MeasuredAlgorithm(BulkheadAlgorithm):
    """Runs as main.py does; handlers that run inside of another one count twice: reports come while orders are sent."""

    def initialize(self) -> None:
        self._stopwatch = Stopwatch()
        super().initialize()

    def on_data(self, data: Slice) -> None:
        self._stopwatch.data(self.time)
        began = time.thread_time()
        super().on_data(data)
        self._stopwatch.add("on_data", time.thread_time() - began)

    def _on_pulse(self) -> None:
        began = time.thread_time()
        super()._on_pulse()
        self._stopwatch.add("pulse", time.thread_time() - began)

    def _show(self, assembly: Assembly) -> None:
        began = time.thread_time()
        super()._show(assembly)
        self._stopwatch.add("statistics and charts, within on_data and pulse", time.thread_time() - began)

    def on_order_event(self, order_event: OrderEvent) -> None:
        began = time.thread_time()
        super().on_order_event(order_event)
        self._stopwatch.add("order reports", time.thread_time() - began)

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        began = time.thread_time()
        super().on_securities_changed(changes)
        self._stopwatch.add("universe", time.thread_time() - began)

    def on_end_of_algorithm(self) -> None:
        super().on_end_of_algorithm()
        self.object_store.save(KEY, self._stopwatch.text())
