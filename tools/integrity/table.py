"""The result of the integrity test as tables: beside the predecessor's figures, and signal by signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from tools.integrity.broker_count import Count
from tools.integrity.result import HARD_ORDERS, SOFT_ORDERS, CellResult

Row = tuple[str, ...]

PREDECESSOR_HEADINGS: Row = ("over all cells", "predecessor", "here, by the broker", "here, by the auditor", "target")


def beside_the_predecessor(results: Sequence[CellResult]) -> list[Row]:
    """Return the worst of all cells beside what the predecessor's own 20 blocks came to."""
    excused = sum(result.excused_nights for result in results)
    as_expected = sum(not result.failures for result in results)
    both = [[result.venue for result in results], [result.auditor for result in results]]
    return [
        ("both sides held at once", "59", *(_sum(one, "conflicts") for one in both), "0"),
        ("nights with a position that could be sold", "11", *(str(_nights(one) - excused) for one in both), "0"),
        ("nights halted, no fill possible, recorded", "-", *[str(excused)] * 2, "recorded"),
        ("lowest cash USD", "-1,480,000", *(_lowest(one) for one in both), ">= 0"),
        ("orders with a fill per block, mean", "294.4", *(_mean(one) for one in both), f"<= {SOFT_ORDERS}"),
        ("orders with a fill per block, most", "-", *(_most(one) for one in both), f"<= {HARD_ORDERS}"),
        ("openings beyond one in a minute", "-", *(_sum(one, "crowded") for one in both), "0"),
        ("quantities below zero", "-", *(_sum(one, "shorts") for one in both), "0"),
        ("fills", "-", *(_sum(one, "fills") for one in both), "the same"),
        ("verdict", '"0" for months', f"{as_expected} of {len(results)} cells hold", _exits(results), "as expected"),
    ]


def _sum(counts: Sequence[Count], name: str) -> str:
    return f"{sum(getattr(count, name) for count in counts):,}"


def _nights(counts: Sequence[Count]) -> int:
    return sum(len(count.overnight) for count in counts)


def _lowest(counts: Sequence[Count]) -> str:
    return f"{min(count.lowest_cash_u6 for count in counts) / 1e6:,.2f}"


def _mean(counts: Sequence[Count]) -> str:
    return f"{fmean(orders for count in counts for orders in count.blocks):.1f}"


def _most(counts: Sequence[Count]) -> str:
    return str(max(orders for count in counts for orders in count.blocks))


def _exits(results: Sequence[CellResult]) -> str:
    codes = [result.exit_code for result in results]
    words = {0: "clean", 1: "violated", 2: "no fill"}
    return ", ".join(f"{codes.count(code)} {word}" for code, word in words.items() if code in codes)


SIGNAL_HEADINGS: Row = (
    "signal", "cells", "conflicts", "nights", "lowest cash", "orders/block", "most", "trades", "fills", "gross return",
    "failed",
)  # fmt: skip


def by_signal(results: Sequence[CellResult]) -> list[Row]:
    """Return one row a signal, over its faults, policies, accounts and seasons."""
    rows: list[Row] = []
    for signal in dict.fromkeys(result.cell.signal for result in results):
        own = [result for result in results if result.cell.signal == signal]
        counts = [result.auditor for result in own]
        rows.append(
            (
                signal, str(len(own)), _sum(counts, "conflicts"),
                str(_nights(counts) - sum(result.excused_nights for result in own)), _lowest(counts), _mean(counts),
                _most(counts), f"{sum(result.trades for result in own):,}", _sum(counts, "fills"),
                f"{fmean(result.gross_return for result in own):+.2%}", str(sum(bool(item.failures) for item in own)),
            )
        )  # fmt: skip
    return rows


FAULT_HEADINGS: Row = ("fault", "cells", "what happened", "orders/block", "fills", "failed")


def by_fault(results: Sequence[CellResult]) -> list[Row]:
    """Return one row a fault, with how often the broker did what it stands for."""
    rows: list[Row] = []
    for fault in dict.fromkeys(result.cell.fault for result in results):
        own = [result for result in results if result.cell.fault is fault]
        counts = [result.auditor for result in own]
        happened: dict[str, int] = {}
        for result in own:
            for name, times in result.faults.items():
                happened[name] = happened.get(name, 0) + times
        said = ", ".join(f"{name} {times:,}" for name, times in sorted(happened.items())) or "-"
        failed = str(sum(bool(result.failures) for result in own))
        rows.append((fault.value, str(len(own)), said, _mean(counts), _sum(counts, "fills"), failed))
    return rows


def as_json(results: Sequence[CellResult]) -> dict[str, Any]:
    """Return the tables and every cell, for integrity.json."""
    cells = []
    for result in results:
        fields = asdict(result) | {"name": result.cell.name, "gross_return": round(result.gross_return, 6)}
        for count in (fields["venue"], fields["auditor"]):
            count["overnight"] = [day.isoformat() for day in count["overnight"]]
        cells.append(fields)
    return {
        "cells": len(results),
        "failed": [result.cell.name for result in results if result.failures],
        "beside_the_predecessor": [
            dict(zip(PREDECESSOR_HEADINGS, row, strict=True)) for row in beside_the_predecessor(results)
        ],
        "results": cells,
    }


def as_text(headings: Row, rows: Sequence[Row]) -> str:
    """Return a table in plain text, columns aligned."""
    widths = [max(len(row[place]) for row in (headings, *rows)) for place in range(len(headings))]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)
