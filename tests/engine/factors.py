"""Builders of factor rows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from engine.corporate import FactorRow


def factor_rows(*rows: tuple[str, float, float]) -> list[FactorRow]:
    """Return rows of (last day, price factor, split factor) with a reference price of 100."""
    return [
        FactorRow(date.fromisoformat(day), Decimal(str(price)), Decimal(str(split)), Decimal(100))
        for day, price, split in rows
    ]
