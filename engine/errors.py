"""What can go wrong in the engine itself.

EngineError
├─ EngineUnsupported   LEAN has it, this engine does not; the run ends, because going on would pretend
├─ AlgorithmLoadError  the algorithm's file cannot be used; no run starts
└─ SimulatedDeath      (not an Exception) the simulated process died; nothing after it runs
"""

from __future__ import annotations


class EngineError(Exception):
    """The engine cannot go on."""


class EngineUnsupported(EngineError, NotImplementedError):
    """A LEAN member that this engine lacks was used.  The run ends here instead of pretending."""

    def __init__(self, call: str, remedy: str = "run it with --engine lean") -> None:
        super().__init__(f"{call}: LEAN has it, the embedded engine does not; {remedy}.")
        self.call = call


class AlgorithmLoadError(EngineError):
    """The algorithm's file has no, or more than one, QCAlgorithm subclass, or cannot be imported.  No run starts."""


class SimulatedDeath(BaseException):
    """The simulated process died at this instruction.  Not an Exception: nothing up to the host may catch it."""

    def __init__(self, event_number: int) -> None:
        super().__init__(f"simulated process death at broker event {event_number}")
        self.event_number = event_number
