"""main.py with a stopwatch: the same as the idle algorithm has, and no more."""

from AlgorithmImports import *

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.measured.loading import load_main
from tools.measured.stopwatch import KEY, Stopwatch

if TYPE_CHECKING:
    from main import BulkheadAlgorithm
else:
    BulkheadAlgorithm = load_main().BulkheadAlgorithm


class MeasuredAlgorithm(BulkheadAlgorithm):
    """Runs as main.py does."""

    def initialize(self) -> None:
        self._stopwatch = Stopwatch()
        super().initialize()

    def on_data(self, data: Slice) -> None:
        self._stopwatch.data(self.time)
        super().on_data(data)

    def on_end_of_algorithm(self) -> None:
        super().on_end_of_algorithm()
        self.object_store.save(KEY, self._stopwatch.text())
