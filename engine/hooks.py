"""Calls into the algorithm: guarded, so that what it throws ends the run, and timed."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from engine.errors import SimulatedDeath

if TYPE_CHECKING:
    from engine.state import EngineState


class HookCaller:
    """Runs the algorithm's functions; hooks within hooks (order events) count once."""

    def __init__(self, engine: EngineState) -> None:
        self._engine = engine
        self._is_inside = False
        self.algorithm_s = 0.0  # spent in the algorithm's own code, its calls into the engine included

    def __call__(self, where: str, hook: Callable[..., Any], *arguments: Any) -> bool:
        """Return whether the hook came back; whatever it throws becomes the run's error."""
        is_outermost = not self._is_inside
        self._is_inside = True
        started = perf_counter() if is_outermost else 0.0
        try:
            hook(*arguments)
        except SimulatedDeath:
            raise
        except BaseException as error:  # noqa: BLE001 - LEAN's boundary: even SystemExit in a hook is a runtime error
            self._engine.set_runtime_error(where, error, traceback.format_exc())
            return False
        finally:
            if is_outermost:
                self.algorithm_s += perf_counter() - started
                self._is_inside = False
        return True
