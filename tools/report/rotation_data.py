"""The rotation book's minutes as the page carries them: packed, because a year has a hundred thousand."""

from __future__ import annotations

from typing import Any

from tools.report.rotation import Day, Rotation

LETTERS = {-2: "S", -1: "P", 0: ".", 1: "Q", 2: "T"}


def packed(rotation: Rotation | None) -> dict[str, Any] | None:
    """Return thresholds and days: probabilities in thousandths, holdings as one letter a minute, use in per cent."""
    if rotation is None:
        return None
    return {"settings": dict(rotation.settings), "days": [_day(day) for day in rotation.days]}


def _day(day: Day) -> dict[str, Any]:
    return {
        "date": day.date,
        "open": day.open.hour * 60 + day.open.minute,
        "p": [None if value is None else round(value * 1000) for value in day.probability],
        "held": "".join(LETTERS[code] for code in day.held),
        "used": [None if value is None else round(value * 100) for value in day.used],
        "pnl": round(day.pnl_usd, 2),
        "fees": round(day.fees_usd, 2),
        "opens": day.opens,
        "rounds": [
            [one.symbol, one.opened, one.closed, one.qty, _mean(one.paid_usd, one.qty), _mean(one.got_usd, one.qty),
             None if one.pnl_usd is None else round(one.pnl_usd, 2), one.why]
            for one in day.rounds
        ],
        "why": [[text, count] for _reason, text, count in day.why_not[:8]],
    }  # fmt: skip


def _mean(usd: float, qty: int) -> float | None:
    """Return the price of a share, None before there was one."""
    return round(usd / qty, 4) if qty and usd else None
