"""All rules, in the order of their ids."""

from __future__ import annotations

from typing import Final

from audit.rules import account, family, money, options, orders, prices, process, run, working
from audit.rules.base import Needs, Rule

ALL: Final[tuple[type[Rule], ...]] = (
    *run.RULES,
    *orders.RULES,
    *working.RULES,
    *money.RULES,
    *prices.RULES,
    *family.RULES,
    *options.RULES,
    *account.RULES,
    *process.RULES,
)
VERIFY: Final[tuple[type[Rule], ...]] = run.RULES[:7]
"""The rules of `audit verify`: AU-01 to AU-07."""

__all__ = ["ALL", "VERIFY", "Needs", "Rule"]
