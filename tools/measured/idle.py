"""The least that an algorithm can do with main.py's subscriptions: what it takes is the engine's."""

from AlgorithmImports import *

import importlib.util
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from core.settings import Settings
from helpers.lean_market import LeanMarket
from tools.measured.stopwatch import KEY, Stopwatch

# Under a name of its own: the embedded engine calls whatever it runs `main`.
_spec = importlib.util.spec_from_file_location("subscriber", _ROOT / "main.py")
assert _spec is not None
assert _spec.loader is not None
_subscriber = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_subscriber)
_configure, _subscribe = _subscriber.BulkheadAlgorithm._configure, _subscriber.BulkheadAlgorithm._subscribe


class IdleAlgorithm(QCAlgorithm):
    """Subscribes like main.py and does nothing."""

    def initialize(self) -> None:
        settings = Settings.from_parameters({str(item.key): str(item.value) for item in self.get_parameters()})
        self._plan = settings
        self._market = LeanMarket(self)
        self._stopwatch = Stopwatch()
        _configure(self, settings)
        _subscribe(self, settings)

    def on_data(self, data: Slice) -> None:
        self._stopwatch.data(self.time)
        if self.time.date() > self._plan.run.end:
            self.quit("The last session is over.")

    def on_end_of_algorithm(self) -> None:
        self.object_store.save(KEY, self._stopwatch.text())
