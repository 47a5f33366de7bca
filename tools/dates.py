"""Dates on the command line."""

from __future__ import annotations

from datetime import date

import click


class DayType(click.ParamType[date]):
    """An ISO date such as 2025-11-28."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value}: expected a date such as 2025-11-28. Write it as year-month-day.", param, ctx)


DAY = DayType()
