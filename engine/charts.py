"""Charts and runtime statistics, kept as numbers for the report."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from engine.enums import LeanEnum

MAX_POINTS: Final = 1_000_000  # per series, LEAN's local setting
RESERVED: Final = frozenset({"Strategy Equity", "Benchmark", "Drawdown", "Capacity", "Exposure", "Portfolio Turnover"})


class SeriesType(LeanEnum):
    LINE = 0
    SCATTER = 1
    CANDLE = 2
    BAR = 3
    FLAG = 4
    STACKED_AREA = 5
    PIE = 6
    TREEMAP = 7
    HEATMAP = 9


class ScatterMarkerSymbol(LeanEnum):
    NONE = 0
    CIRCLE = 1
    SQUARE = 2
    DIAMOND = 3
    TRIANGLE = 4
    TRIANGLE_DOWN = 5


class Series:
    """Points of one line; x is naive UTC."""

    def __init__(
        self, name: str, series_type: SeriesType = SeriesType.LINE, index: int | str = 0, unit: str = "$", *_: object
    ) -> None:
        self.name = name
        self.series_type = series_type
        # Series(name, type, unit) is as good as Series(name, type, index, unit).
        self.index = 0 if isinstance(index, str) else index
        self.unit = index if isinstance(index, str) else unit
        self.values: list[tuple[datetime, float]] = []

    def add_point(self, time: datetime, value: float) -> None:
        if len(self.values) < MAX_POINTS:
            self.values.append((time, float(value)))


class Chart:
    """Named series."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name
        self.series: dict[str, Series] = {}

    def add_series(self, series: Series) -> None:
        if series.name in self.series:
            raise ValueError(f"Chart.AddSeries(): Chart series name {series.name!r} already exists")
        self.series[series.name] = series


class ChartBook:
    """All charts of a run."""

    def __init__(self) -> None:
        self.charts: dict[str, Chart] = {}

    def add(self, chart: Chart) -> None:
        self.charts[chart.name] = chart

    def plot(self, chart: str, series: str, time: datetime, value: float) -> None:
        if chart in RESERVED:
            raise ValueError(f"plot({chart!r}): the name is reserved for LEAN's own charts. Choose another name.")
        book = self.charts.setdefault(chart, Chart(chart))
        line = book.series.get(series)
        if line is None:
            line = book.series[series] = Series(series)
        line.add_point(time, value)
