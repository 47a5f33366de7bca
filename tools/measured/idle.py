"""The least that an algorithm can do with main.py's subscriptions: what it takes is the engine's."""

from AlgorithmImports import *

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.settings import Settings
from helpers.lean_market import LeanMarket
from tools.measured.loading import load_main
from tools.measured.stopwatch import KEY, Stopwatch

_main = load_main().BulkheadAlgorithm


class IdleAlgorithm(QCAlgorithm):
    """Subscribes like main.py and does nothing."""

    def initialize(self) -> None:
        settings = Settings.from_parameters({str(item.key): str(item.value) for item in self.get_parameters()})
        self._plan = settings
        self._market = LeanMarket(self)
        self._stopwatch = Stopwatch()
        _main._configure(self, settings)
        _main._subscribe(self, settings)

    def on_data(self, data: Slice) -> None:
        self._stopwatch.data(self.time)
        if self.time.date() > self._plan.run.end:
            self.quit("The last session is over.")

    def on_end_of_algorithm(self) -> None:
        self.object_store.save(KEY, self._stopwatch.text())
