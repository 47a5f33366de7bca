"""Figures of the page as plain plotly JSON: data, layout; the page draws them with the library it carries."""

from __future__ import annotations

from typing import Any

from tools.report.model import OPENED, OUTSIDE, Series, View, by_strategy

Figure = dict[str, Any]

CROWDED = 100
"""Points of one trace beyond which they are drawn small."""

INK, GRID = "#7a8794", "rgba(128,140,152,.22)"
BLUE, RED, GREEN, AMBER, VIOLET = "#2f7de1", "#d64550", "#1f9d6b", "#d9912b", "#8561c5"
REGIME_COLOURS = {
    "UNKNOWN": "#9aa5b1",
    "DORMANT": "#5aa9e6",
    "CALM": "#4fb286",
    "NORMAL": "#9bc53d",
    "ELEVATED": "#f2c14e",
    "HIGH": "#f0803c",
    "CRISIS": "#d64550",
}
STATE_COLOURS = {"ACTIVE": GREEN, "REDUCING": AMBER, "HALTED": RED}


def figures(view: View) -> dict[str, Figure]:
    """Return the page's figures by the id of the element that shows them; one without data is left out."""
    made = {
        "equity": equity(view),
        "vix": vix(view),
        "timeline": timeline(view),
        "pnl": pnl(view),
        "funnel": funnel(view),
        "margin": margin(view),
    }
    return {name: figure for name, figure in made.items() if figure["data"]}


def _layout(height: int, **more: Any) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 8, "b": 36},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 12},
        "hovermode": "closest",
        "showlegend": False,
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }
    for name, value in more.items():
        base[name] = {**axis, **value} if name.startswith(("xaxis", "yaxis")) else value
    return base


def equity(view: View) -> Figure:
    data = [
        _line(view.equity, "Equity", BLUE, hover="%{x|%d %b %H:%M}<br>$%{y:,.2f}<extra></extra>"),
        _line(view.drawdown, "Drawdown", RED, axis="y2", fill="tozeroy", hover="%{y:.2f} %<extra>drawdown</extra>"),
    ]
    layout = _layout(
        360,
        xaxis={"anchor": "y2"},
        yaxis={"domain": [0.32, 1], "title": {"text": "Equity USD"}, "tickformat": ",.0f"},
        yaxis2={"domain": [0, 0.24], "title": {"text": "Drawdown %"}, "anchor": "x"},
    )
    return {"data": data if view.equity.x else [], "layout": layout}


def _line(
    series: Series, name: str, colour: str, *, axis: str = "y", fill: str | None = None, hover: str = ""
) -> Figure:
    line: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": series.x,
        "y": series.y,
        "yaxis": axis,
        "line": {"color": colour, "width": 1.6},
    }
    if fill:
        line["fill"] = fill
    if hover:
        line["hovertemplate"] = hover
    return line


def vix(view: View) -> Figure:
    """VIX as recorded, a band of regimes below it, the trading state below that."""
    end = max((series.x[-1] for series in (view.vix, view.equity) if series.x), default="")
    data = (
        [_line(view.vix, "VIX", VIOLET, hover="%{x|%d %b %H:%M}<br>VIX %{y:.2f}<extra></extra>")] if view.vix.x else []
    )
    data += _band(view.regime, REGIME_COLOURS, "regime", "y2", end)
    data += _band(view.state, STATE_COLOURS, "trading state", "y3", end)
    ticks = {"showticklabels": False, "range": [0, 1], "fixedrange": True, "anchor": "x"}
    layout = _layout(
        330,
        xaxis={"anchor": "y3"},
        yaxis={"domain": [0.34, 1], "title": {"text": "VIX"}},
        yaxis2={**ticks, "domain": [0.17, 0.27], "title": {"text": "regime", "standoff": 4}},
        yaxis3={**ticks, "domain": [0, 0.1], "title": {"text": "state", "standoff": 4}},
    )
    return {"data": data, "layout": layout}


def _band(series: Series, colours: dict[str, str], name: str, axis: str, end: str) -> list[Figure]:
    """One filled block per run of the same value, one trace per value: its hover text is the legend."""
    traces: dict[str, Figure] = {}
    points = list(zip(series.x, series.y, strict=True))
    index = 0
    while index < len(points):
        start, value = points[index]
        while index + 1 < len(points) and points[index + 1][1] == value:
            index += 1
        stop = points[index + 1][0] if index + 1 < len(points) else end
        index += 1
        trace = traces.setdefault(
            str(value),
            {
                "type": "scatter",
                "mode": "lines",
                "fill": "toself",
                "line": {"width": 0},
                "fillcolor": colours.get(str(value), INK),
                "x": [],
                "y": [],
                "yaxis": axis,
                "hoverinfo": "text",
                "hoveron": "fills",
                "text": f"{name}: {value}",
                "name": f"{name}: {value}",
            },
        )
        trace["x"] += [start, stop, stop, start, start, None]
        trace["y"] += [0, 0, 1, 1, 0, None]
    return list(traces.values())


def timeline(view: View) -> Figure:
    """One bar per filled trade from first fill to flat, coloured by its result; one trace per book and colour, because
    a page with a thousand traces does not move.
    """
    traces: dict[tuple[str, str], Figure] = {}
    for trade in view.trades.values():
        if not trade.is_filled:
            continue
        known = trade.pnl_usd is not None
        colour = INK if not known else GREEN if (trade.pnl_usd or 0) > 0 else RED
        result = f"${trade.pnl_usd:,.2f}" if known else trade.state
        trace = traces.setdefault(
            (trade.strategy, colour),
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [],
                "y": [],
                "line": {"color": colour, "width": 5},
                "marker": {"color": colour, "size": 11, "symbol": []},
                "text": [],
                "hovertemplate": "%{text}<extra></extra>",
                "customdata": [],
            },
        )
        text = f"{trade.id}<br>{trade.units} x {trade.structure}<br>{result} {trade.reason}"
        trace["x"] += [trade.opened, trade.closed or trade.opened, None]
        trace["y"] += [trade.strategy, trade.strategy, None]
        trace["marker"]["symbol"] += ["circle", "diamond", "circle"]
        trace["text"] += [text, text, ""]
        trace["customdata"] += [trade.id, trade.id, ""]
    rows = len({strategy for strategy, _colour in traces})
    for trace in traces.values():
        if len(trace["x"]) > CROWDED:
            trace["marker"]["size"] = 6
    layout = _layout(110 + 50 * rows, yaxis={"type": "category", "title": {"text": ""}})
    return {"data": list(traces.values()), "layout": layout}


def pnl(view: View) -> Figure:
    closed = view.closed
    data: list[Figure] = []
    if closed:
        values = [round(trade.pnl_usd or 0.0, 2) for trade in closed]
        data.append(
            {
                "type": "bar",
                "x": [f"{trade.id}" for trade in closed],
                "y": values,
                "marker": {"color": [GREEN if value > 0 else RED for value in values]},
                "hovertemplate": "%{x}<br>$%{y:,.2f}<extra></extra>",
            }
        )
    sums = by_strategy(closed).items()
    totals = ", ".join(f"{name} {'-' if total < 0 else ''}${abs(total):,.2f}" for name, total in sums)
    layout = _layout(
        280, yaxis={"title": {"text": "Result USD"}, "tickformat": ",.0f"}, xaxis={"showticklabels": False}
    )
    layout["xaxis"]["title"] = {"text": totals}
    return {"data": data, "layout": layout}


def funnel(view: View) -> Figure:
    """Refusals by reason and what became of every asked minute; minutes outside the window are left out."""
    data: list[Figure] = []
    totals: dict[str, int] = {}
    for counts in view.outcomes.values():
        for reason, count in counts.items():
            if reason != OUTSIDE:
                totals[reason] = totals.get(reason, 0) + count
    if totals:
        ordered = sorted(totals.items(), key=lambda item: item[1])
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "x": [count for _reason, count in ordered],
                "y": [reason for reason, _count in ordered],
                "text": [str(count) for _reason, count in ordered],
                "textposition": "auto",
                "marker": {"color": [GREEN if reason == OPENED else AMBER for reason, _count in ordered]},
                "hovertemplate": "%{y}: %{x} minutes<extra></extra>",
            }
        )
    layout = _layout(max(160, 60 + 26 * len(totals)), xaxis={"title": {"text": "asked minutes"}})
    return {"data": data, "layout": layout}


def margin(view: View) -> Figure:
    data = []
    if view.used.x:
        data = [
            _line(
                view.used,
                "own margin",
                BLUE,
                fill="tozeroy",
                hover="%{x|%d %b %H:%M}<br>margin %{y:.2f} % of equity<extra></extra>",
            ),
            _line(view.crash, "crash loss", RED, hover="crash loss %{y:.2f} % of equity<extra></extra>"),
        ]
    return {"data": data, "layout": _layout(240, yaxis={"title": {"text": "% of equity"}, "rangemode": "tozero"})}
