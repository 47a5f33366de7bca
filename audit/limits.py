"""The auditor's own numbers: ceilings of settings, fee bounds, the ETF family, account phases, ages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from audit.contracts import INDICES, Contract
from audit.times import SECOND

LONG_SIDE: Final[Mapping[str, int]] = {"QQQ": 1, "TQQQ": 3}
INVERSE_SIDE: Final[Mapping[str, int]] = {"PSQ": 1, "SQQQ": 3}
FAMILY: Final[Mapping[str, Mapping[str, int]]] = {"LONG": LONG_SIDE, "INVERSE": INVERSE_SIDE}
LEVERAGE: Final[Mapping[str, int]] = {**LONG_SIDE, **INVERSE_SIDE}
FAMILY_BOOK: Final = "etf_rotation"

DOLLAR: Final = 1_000_000
CENT: Final = 10_000

PARTLY_UNBALANCED_S: Final = 60
OVERDUE_S: Final = 60
LAST_SEND_S: Final = 30
CLOSED_CHECK_S: Final = 120
STATEMENT_GRACE_S: Final = 60
MARK_GAP_S: Final = 300
GREEKS_AGE_S: Final = 120
BLOCK_MINUTES: Final = 480
OPENING_MINUTES: Final = 5
LATE_MINUTES: Final = 30
UTILISATION: Final = 0.80
PHASES: Final = (  # from USD, open trades, new trades in a session
    (0, 2, 2),
    (38_100, 3, 3),
    (50_800, 5, 5),
    (76_200, 7, 7),
    (95_250, 10, 10),
)
PHASE_DOWN: Final = 0.95
PHASE_UP_DRAWDOWN: Final = 0.10
MIN_PHASE: Final[Mapping[str, int]] = {"lt112": 2, "leap_ladder": 2}
"""Strategies that a small account may not run."""
DTE_EXEMPT: Final = frozenset({"friday_0dte", "ipmcc", "leap_ladder", FAMILY_BOOK})
"""Books whose trades may stay below 21 days to expiry."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The loosest value that a setting may have: at most bound, or at least bound where is_floor is set."""

    bound: float
    is_floor: bool = False

    def is_looser(self, value: float) -> bool:
        return value < self.bound if self.is_floor else value > self.bound


_CEILINGS: Final = (
    (r"sizer\.trade_risk_pct", Ceiling(2)),
    (r"sizer\.trade_crash_pct", Ceiling(5)),
    (r"margin\.account_crash_pct", Ceiling(20)),
    (r"margin\.block_fraction", Ceiling(0.80)),
    (r"vix\.ceiling_\w+", Ceiling(0.80)),
    (r"phases\.bp_ceiling_pct_\d", Ceiling(80)),
    (r"etf_rotation\.sleeve_fraction", Ceiling(0.75)),
    (r"etf_rotation\.max_opens_per_bar", Ceiling(1)),
    (r"etf_rotation\.max_close_children", Ceiling(8)),
    (r"orders\.uncovered_max_s", Ceiling(60)),
    (r"orders\.children_per_parent", Ceiling(8)),
    (r"orders\.orders_per_min", Ceiling(20)),
    (r"state\.cash_tolerance_usd", Ceiling(1)),
    (r"(?!leap_ladder\.|ipmcc\.)\w+\.dte_exit", Ceiling(21, is_floor=True)),
    (r"friday_0dte\.flat_min", Ceiling(5, is_floor=True)),
)
_CEILING_NAMES: Final = tuple((re.compile(pattern + r"\Z"), ceiling) for pattern, ceiling in _CEILINGS)


def ceiling_of(setting: str) -> Ceiling | None:
    """Return the ceiling of a setting by its dotted name, None where it has none."""
    return next((ceiling for pattern, ceiling in _CEILING_NAMES if pattern.match(setting)), None)


# Highest fee of one fill: USD for the order, then USD per contract or share.  A schedule of the day may be lower.
_FEES: Final[Mapping[str, Mapping[str, tuple[float, float]]]] = {
    "INTERACTIVE_BROKERS": {"share": (1.0, 0.0055), "option": (1.0, 1.0), "index": (1.0, 1.31), "future": (0.0, 2.50)},
    "TASTYTRADE": {"share": (0.0, 0.0), "option": (0.0, 1.15), "index": (0.0, 1.75), "future": (0.0, 2.50)},
    "SCHWAB": {"share": (0.0, 0.0), "option": (0.0, 0.70), "index": (0.0, 1.31), "future": (0.0, 2.50)},
    "DEFAULT": {"share": (1.0, 0.0055), "option": (1.0, 1.0), "index": (0.0, 1.31), "future": (0.0, 2.50)},
}
_PAYING: Final[Mapping[str, frozenset[str]]] = {
    "INTERACTIVE_BROKERS": frozenset({"share", "option", "index", "future"}),
    "TASTYTRADE": frozenset({"option", "index", "future"}),
    "SCHWAB": frozenset({"option", "index"}),
    "DEFAULT": frozenset({"share", "option"}),
}


def fee_kind(item: Contract) -> str:
    if not item.is_option:
        return "share"
    if item.is_future_option:
        return "future"
    return "index" if item.underlying in INDICES else "option"


def fee_bound_u6(brokerage: str, item: Contract, qty: int) -> int | None:
    """Return the highest fee in micro-dollars of one fill, None for a brokerage that the auditor does not know."""
    table = _FEES.get(brokerage)
    if table is None:
        return None
    order, unit = table[fee_kind(item)]
    return round(max(order, unit * abs(qty)) * DOLLAR)


def charges(brokerage: str, kinds: frozenset[str]) -> bool:
    """Tell whether this brokerage charges for one of these kinds."""
    return bool(_PAYING.get(brokerage, frozenset()) & kinds)


class Limits:
    """The limits of one run: the header's settings within the auditor's ceilings."""

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}
        self.take({})

    def take(self, settings: Mapping[str, Any]) -> None:
        """Read the settings of a header."""
        self.settings = settings
        self.trade_risk = self.number("sizer.trade_risk_pct", 2) / 100
        self.trade_crash = self.number("sizer.trade_crash_pct", 5) / 100
        self.account_crash = self.number("margin.account_crash_pct", 20) / 100
        self.margin = 0.80
        self.sleeve = self.number("etf_rotation.sleeve_fraction", 0.30)
        self.uncovered_us = int(self.number("orders.uncovered_max_s", 60) * SECOND)
        self.children = int(self.number("orders.children_per_parent", 8))
        self.family_close_children = int(self.number("etf_rotation.max_close_children", 8))
        self.orders_per_min = int(self.number("orders.orders_per_min", 20))
        self.cash_tolerance_u6 = int(min(1.0, self.number("state.cash_tolerance_usd", 1)) * DOLLAR)
        self.cooldown_bars = int(self.number("etf_rotation.cooldown_bars", 5))
        self.opens_per_session = int(self.number("etf_rotation.max_opens_per_session", 20))
        self.block_hard = int(self.number("etf_rotation.orders_per_block_hard", 100))
        self.block_soft = int(self.number("etf_rotation.orders_per_block_soft", 50))
        self.vix_age_s = self.number("vix.max_age_s", 300)
        self.greeks_age_s = self.number("data.greeks_max_age_s", GREEKS_AGE_S)
        self.quote_near_s = self.number("data.quote_max_age_near_s", 60)
        self.quote_far_s = self.number("data.quote_max_age_far_s", 300)
        self.near_dte = int(self.number("data.near_dte", 7))
        self.loss_limits = {
            "day": self.number("breaker.daily_loss_pct", 5) / 100,
            "week": self.number("breaker.weekly_loss_pct", 10) / 100,
            "month": self.number("breaker.monthly_loss_pct", 15) / 100,
            "session high": self.number("breaker.session_high_loss_pct", 3) / 100,
        }
        self.halt_ratio = self.number("breaker.halt_ratio", 1.5)
        self.drawdown = self.number("drawdown.stop_pct", 20) / 100 if self.has("drawdown.stop_pct") else None

    def has(self, name: str) -> bool:
        return name in self.settings

    def number(self, name: str, default: float) -> float:
        """Return a setting, never looser than its ceiling; default where the header has no number of that name."""
        value = read_number(self.settings.get(name))
        if value is None:
            return default
        ceiling = ceiling_of(name)
        return ceiling.bound if ceiling is not None and ceiling.is_looser(value) else value

    def setting(self, name: str) -> float | None:
        return read_number(self.settings.get(name))

    def enabled(self, book: str) -> bool:
        return str(self.settings.get(f"{book}.enabled", "")).lower() == "true"

    def books(self) -> list[str]:
        """Return the strategies that the header enables."""
        suffix = ".enabled"
        names = (name.removesuffix(suffix) for name in self.settings if name.endswith(suffix))
        return sorted(name for name in names if self.enabled(name))

    def flat_minutes(self, book: str) -> float:
        """Return how long before the close a contract that expires today must be gone."""
        return max(5.0, self.number(f"{book}.flat_min", 5)) if book == "friday_0dte" else 5.0

    def dte_exit(self, book: str) -> int:
        return int(max(21.0, self.number(f"{book}.dte_exit", 21)))


def read_number(value: object) -> float | None:
    """Return a setting as a number, None where it is none."""
    if type(value) is int:
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None
