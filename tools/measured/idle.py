"""The least that an algorithm can do with main.py's subscriptions: what it takes is the engine's."""

from AlgorithmImports import *

import sys
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.settings import Settings
from helpers.lean_market import LeanMarket
from main import BulkheadAlgorithm as Subscriber
from tools.measured.stopwatch import KEY, Stopwatch

# LEAN takes the first class of this module; what is imported from another one it passes over.
_configure, _subscribe = Subscriber._configure, Subscriber._subscribe


class IdleAlgorithm(QCAlgorithm):
    """Subscribes like main.py and does nothing."""

    def initialize(self) -> None:
        settings = Settings.from_parameters({str(item.key): str(item.value) for item in self.get_parameters()})
        self._plan = settings
        self._market = LeanMarket(self)
        self._stopwatch = Stopwatch()
        _configure(cast(Any, self), settings)
        _subscribe(cast(Any, self), settings)

    def on_data(self, data: Slice) -> None:
        self._stopwatch.data(self.time)
        if self.time.date() > self._plan.run.end:
            self.quit("The last session is over.")

    def on_end_of_algorithm(self) -> None:
        self.object_store.save(KEY, self._stopwatch.text())
