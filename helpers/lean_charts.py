"""Charts on LEAN: each series is kept, because `plot` looks it up anew for every point, at three times the cost."""

from __future__ import annotations

from AlgorithmImports import *


class LeanCharts:
    """The charts of one run; a series begins with its first point, and its name ends with its unit."""

    def __init__(self, algorithm: QCAlgorithm) -> None:
        self._algorithm = algorithm
        self._charts: dict[str, Chart] = {}
        self._lines: dict[tuple[str, str], Series] = {}

    def add(self, chart: str, series: str, value: float) -> None:
        """Add a point at the time of this step."""
        line = self._lines.get((chart, series))
        if line is None:
            line = self._lines[chart, series] = self._begin(chart, series)
        line.add_point(self._algorithm.utc_time, value)

    def _begin(self, chart: str, series: str) -> Series:
        known = self._charts.get(chart)
        if known is None:
            known = self._charts[chart] = Chart(chart)
            self._algorithm.add_chart(known)
        line = Series(series, SeriesType.LINE, _unit(series))
        known.add_series(line)
        return line


def _unit(series: str) -> str:
    if series.endswith("%"):
        return "%"
    return "$" if series.endswith("USD") else ""
