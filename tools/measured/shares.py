"""main.py with every part of its step timed: a run of its own, because the timing takes time."""

from AlgorithmImports import *

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.measured.loading import load_main
from tools.measured.stages import REST, Stages
from tools.measured.stopwatch import KEY, Stopwatch

if TYPE_CHECKING:
    from main import BulkheadAlgorithm
else:
    BulkheadAlgorithm = load_main().BulkheadAlgorithm


class SharesAlgorithm(BulkheadAlgorithm):
    """Runs as main.py does, more slowly."""

    def initialize(self) -> None:
        self._stopwatch = Stopwatch()
        self._stages = Stages()
        self._stages.time_parts()
        super().initialize()

    def on_data(self, data: Slice) -> None:
        self._stopwatch.data(self.time)
        self._stages.begin(REST)
        super().on_data(data)
        self._stages.end()

    def _on_pulse(self) -> None:
        self._stages.begin(REST)
        super()._on_pulse()
        self._stages.end()

    def on_order_event(self, order_event: OrderEvent) -> None:
        self._stages.begin(REST)
        super().on_order_event(order_event)
        self._stages.end()

    def on_securities_changed(self, changes: SecurityChanges) -> None:
        self._stages.begin(REST)
        super().on_securities_changed(changes)
        self._stages.end()

    def on_end_of_algorithm(self) -> None:
        super().on_end_of_algorithm()
        self.object_store.save(KEY, self._stopwatch.text(self._stages.seconds()))
