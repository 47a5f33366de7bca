"""What a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.charts import Chart
from engine.loop import EquityPoint
from engine.orders import Order, OrderEvent
from engine.state import LogLine, RunError


class RunStatus(StrEnum):
    """LEAN's `state.Status`."""

    COMPLETED = "Completed"
    RUNTIME_ERROR = "RuntimeError"


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything a run has to say.  Times are naive UTC; money is USD."""

    status: RunStatus
    error: RunError | None
    orders: tuple[Order, ...]
    order_events: tuple[OrderEvent, ...]
    equity: tuple[EquityPoint, ...]
    charts: dict[str, Chart]
    runtime_statistics: dict[str, str]
    summary_statistics: dict[str, str]
    logs: tuple[LogLine, ...]
    data_points: int
    engine_s: float
    algorithm_s: float
    object_store: dict[str, bytes]
    start_equity_usd: float
    end_equity_usd: float
    fees_usd: float

    @property
    def wall_s(self) -> float:
        return self.engine_s + self.algorithm_s

    @property
    def points_per_second(self) -> float:
        return self.data_points / self.wall_s if self.wall_s > 0 else 0.0
